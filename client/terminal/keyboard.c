/*
 * keyboard: functions that readline calls for keys, and for reading one.
 *
 * For each byte from 0x80 on, take_byte() holds the bytes back until they are a character, or can't
 * become one; then they go into the line. Only the next byte shows that a beginning does not
 * continue, so read_byte() looks at every byte.
 *
 * For the sequence that begins a paste, begin_paste(). From then on the bytes are read here, never
 * beyond the sequence that ends the paste: readline reads what comes behind it.
 */
#include "client/terminal/keyboard.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include <readline/chardefs.h>
#include <readline/readline.h>

#include "common/buffer.h"

#define BEGIN_PASTE "\033[200~"
#define END_PASTE "\033[201~"
#define WOKEN 0xff /* stands for no key; begins no character of UTF-8 */

static struct {
    int fd;
    int interrupt_fd;
    bool is_interrupted; /* at the last wait */
    unsigned woken;      /* reads without a key, since readline was last called */
    char begun[MB_LEN_MAX + 1];
    size_t begun_size;
    bool is_pasting;
    struct buffer paste; /* the part of it that has come */
} keyboard;

/* ---- characters ---- */

enum sequence { WHOLE, BEGINNING, NO_CHARACTER };

static enum sequence judge(const char *bytes, size_t size)
{
    mbstate_t state;
    memset(&state, 0, sizeof state);
    size_t length = mbrtowc(NULL, bytes, size, &state);
    if (length == (size_t) -2)
        return BEGINNING;
    return length == size ? WHOLE : NO_CHARACTER;
}

/* Puts the bytes that were held back into the line, whether they are a character or not. */
static void insert_begun(int count)
{
    keyboard.begun[keyboard.begun_size] = '\0';
    keyboard.begun_size = 0;
    rl_begin_undo_group();
    if (rl_insert_mode == 0 && rl_point < rl_end) /* overwriting */
        rl_delete(count, 0);
    while (count-- > 0)
        rl_insert_text(keyboard.begun);
    rl_end_undo_group();
}

/* Whether a byte continues what was held back. */
static bool goes_on(int byte)
{
    if (byte < 0 || keyboard.begun_size == MB_LEN_MAX)
        return false;
    keyboard.begun[keyboard.begun_size] = (char) byte;
    return judge(keyboard.begun, keyboard.begun_size + 1) != NO_CHARACTER;
}

static int take_byte(int count, int byte)
{
    if (byte == WOKEN && keyboard.woken > 0)
        return 0;
    keyboard.begun[keyboard.begun_size++] = (char) byte;
    if (judge(keyboard.begun, keyboard.begun_size) != BEGINNING)
        insert_begun(count);
    return 0;
}

/* ---- reading ---- */

/* Opens the terminal a second time, without blocking: between a poll(2) that shows a key and the
 * read, Ctrl-C may empty the terminal's queue. O_NONBLOCK on standard input would affect every
 * process that shares it. If the terminal can't be opened, standard input has to do. */
static int open_terminal(void)
{
    const char *name = ttyname(STDIN_FILENO);
    int fd = name ? open(name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
    return fd >= 0 ? fd : STDIN_FILENO;
}

/* As read(2), but never blocks. */
static ssize_t read_keys(char *keys, size_t size)
{
    struct pollfd fd = {.fd = keyboard.fd, .events = POLLIN};
    if (keyboard.fd != STDIN_FILENO || poll(&fd, 1, 0) > 0)
        return read(keyboard.fd, keys, size);
    errno = EAGAIN;
    return -1;
}

/* Until there is a key, or a signal waits for us. */
static void wait_for_key(void)
{
    struct pollfd fds[] = {{.fd = keyboard.fd, .events = POLLIN},
                           {.fd = keyboard.interrupt_fd, .events = POLLIN}};
    poll(fds, 2, -1);
    keyboard.is_interrupted = fds[0].revents == 0 && fds[1].revents != 0;
}

/* What readline gets if there is no key: a key that does nothing, or one that ends a search if it
 * reads in the middle of one; and the end of input if it still reads on, as it does in the middle
 * of a paste into a search. */
static int no_key(void)
{
    bool is_first = keyboard.woken++ == 0;
    if (!RL_ISSTATE(RL_STATE_ISEARCH | RL_STATE_NSEARCH))
        return WOKEN;
    return is_first ? ABORT_CHAR : EOF;
}

/* Replaces rl_getc(). */
static int read_byte(FILE *stream)
{
    (void) stream;
    unsigned char byte;
    ssize_t size;
    keyboard.is_interrupted = false;
    while ((size = read_keys((char *) &byte, 1)) < 0 && (errno == EAGAIN || errno == EINTR)) {
        if (keyboard.is_interrupted)
            return no_key();
        wait_for_key();
    }
    int result = size == 1 ? byte : EOF;
    if (keyboard.begun_size > 0 && !goes_on(result))
        insert_begun(1);
    return result;
}

/* ---- pastes ---- */

static int begin_paste(int count, int key)
{
    (void) count, (void) key;
    keyboard.is_pasting = true;
    return 0;
}

/* How many of the last bytes are the beginning of END_PASTE. */
static size_t matched_of_end(const struct buffer *paste)
{
    size_t held = buffer_size(paste);
    size_t matched = held < strlen(END_PASTE) ? held : strlen(END_PASTE);
    while (matched > 0 && memcmp(buffer_head(paste) + held - matched, END_PASTE, matched) != 0)
        matched--;
    return matched;
}

/* Lines of a paste end in CR, as Enter sends it, or in CR LF or LF, as the text had it. */
static void insert_paste(const char *text, size_t size)
{
    char *lines = malloc(size + 1);
    size_t used = 0;
    if (!lines)
        return;
    for (size_t i = 0; i < size; i++) {
        bool is_second = text[i] == '\n' && i > 0 && text[i - 1] == '\r';
        if (text[i] != '\0' && !is_second)
            lines[used++] = text[i] == '\r' ? '\n' : text[i];
    }
    lines[used] = '\0';
    rl_insert_text(lines);
    free(lines);
}

static void end_paste(void)
{
    keyboard.is_pasting = false;
    buffer_fini(&keyboard.paste);
    rl_redisplay();
}

/* Reads what has come, but never so much that it could go beyond the end of the paste. */
static void read_paste(void)
{
    struct buffer *paste = &keyboard.paste;
    for (;;) {
        size_t matched = matched_of_end(paste);
        if (matched == strlen(END_PASTE)) {
            insert_paste(buffer_head(paste), buffer_size(paste) - matched);
            end_paste();
            return;
        }
        bool has_room = buffer_reserve(paste, strlen(END_PASTE));
        ssize_t size = has_room ? read_keys(buffer_tail(paste), strlen(END_PASTE) - matched) : 0;
        if (size <= 0) {
            if (size == 0 || (errno != EAGAIN && errno != EINTR)) /* the terminal is gone */
                end_paste();
            return;
        }
        buffer_added(paste, (size_t) size);
    }
}

/* ---- all together ---- */

void keyboard_read(void)
{
    keyboard.woken = 0;
    if (keyboard.is_pasting)
        read_paste();
    else
        rl_callback_read_char();
}

void keyboard_forget(void)
{
    keyboard.begun_size = 0;
    keyboard.is_pasting = false;
    buffer_fini(&keyboard.paste);
}

static void bind_all(const char *keymap_name)
{
    Keymap keymap = rl_get_keymap_by_name(keymap_name);
    /* Unless the user's settings have given the byte another meaning. */
    for (int byte = 0x80; byte <= UCHAR_MAX; byte++)
        if (keymap[byte].type == ISFUNC && keymap[byte].function == rl_insert)
            rl_bind_key_in_map(byte, take_byte, keymap);
    rl_bind_keyseq_in_map(BEGIN_PASTE, begin_paste, keymap);
}

void keyboard_init(int interrupt_fd)
{
    keyboard.fd = open_terminal();
    keyboard.interrupt_fd = interrupt_fd;
    rl_variable_bind("input-meta", "on");
    rl_variable_bind("output-meta", "on");
    rl_variable_bind("convert-meta", "off");
    rl_getc_function = read_byte;
    bind_all("emacs-standard");
    bind_all("vi-insert");
}
