/* reverse: gives each message back, its last character first. */
#include <banter/handler.h>

#include <string.h>

static void reverse(void *state, const char *message, size_t size,
                    struct banter_reply *reply)
{
    (void) state;
    char *out = banter_reply_room(reply, size);
    if (!out)
        return; /* the server tells the client */
    for (size_t end = size; end > 0;) {
        size_t begin = end - 1;
        while (begin > 0 && (message[begin] & 0xc0) == 0x80)
            begin--; /* a character of UTF-8 stays in one piece */
        memcpy(out, message + begin, end - begin);
        out += end - begin;
        end = begin;
    }
    banter_reply_added(reply, size);
}

const struct banter_handler banter_handler = {
    .abi = BANTER_HANDLER_ABI,
    .name = "reverse",
    .handle = reverse,
};
