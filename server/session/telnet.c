/* telnet: one byte after the other. */
#include "server/session/telnet.h"

/* telnet.state */
enum {
    DATA,
    BEHIND_CR, /* the same; a NUL is none */
    /* in a command: */
    BEHIND_IAC,
    BEHIND_WILL, /* and these: which option is it? */
    BEHIND_DO,
    BEHIND_NO,  /* WONT or DONT, which need no answer */
    PARAMETERS, /* up to IAC SE */
    PARAMETERS_IAC,
};

enum {
    SE = 240, /* the end of parameters */
    SB = 250, /* their beginning */
    WILL = 251,
    WONT = 252,
    DO = 253,
    DONT = 254,
    IAC = 255, /* the beginning of a command */
    TIMING_MARK = 6,
};

static bool answer(struct buffer *answers, unsigned char verb, unsigned char option)
{
    unsigned char command[] = {IAC, verb, option};
    return buffer_append(answers, command, sizeof command);
}

static unsigned char after_iac(unsigned char byte)
{
    switch (byte) {
    case SB:
        return PARAMETERS;
    case WILL:
        return BEHIND_WILL;
    case DO:
        return BEHIND_DO;
    case WONT:
    case DONT:
        return BEHIND_NO;
    default:
        return DATA;
    }
}

size_t telnet_filter(struct telnet *telnet, char *data, size_t size, struct buffer *answers,
                     bool *failed)
{
    char *out = data;
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char) data[i];
        bool ok = true;
        switch (telnet->state) {
        case BEHIND_CR:
        case DATA:
            if (byte == IAC) {
                telnet->state = BEHIND_IAC;
            } else {
                if (byte != '\0' || telnet->state != BEHIND_CR)
                    *out++ = data[i];
                telnet->state = byte == '\r' ? BEHIND_CR : DATA;
            }
            break;
        case BEHIND_IAC:
            if (byte == IAC)
                *out++ = data[i];
            telnet->state = after_iac(byte);
            break;
        case BEHIND_WILL:
            ok = answer(answers, DONT, byte);
            telnet->state = DATA;
            break;
        case BEHIND_DO:
            ok = answer(answers, byte == TIMING_MARK ? WILL : WONT, byte);
            telnet->state = DATA;
            break;
        case BEHIND_NO:
            telnet->state = DATA;
            break;
        case PARAMETERS:
            if (byte == IAC)
                telnet->state = PARAMETERS_IAC;
            break;
        case PARAMETERS_IAC:
            telnet->state = byte == SE ? DATA : PARAMETERS;
            break;
        }
        *failed |= !ok;
    }
    return (size_t) (out - data);
}
