/*
 * keyboard: how bytes come from the keyboard into readline's line, where readline's own way falls
 * short.
 *
 * - Every byte is text, also one that is no character of the locale. Readline takes some for the
 *   Meta key, and drops those that begin a character and do not go on with it.
 * - A paste comes in over many reads. Readline waits in the middle for its end, which Ctrl-C may have
 *   thrown away.
 * - No read waits for a key while somebody waits for us.
 */
#ifndef BANTER_CLIENT_TERMINAL_KEYBOARD_H
#define BANTER_CLIENT_TERMINAL_KEYBOARD_H

/* Tells readline, once it has read the user's settings. While `interrupt_fd` is readable, no read
 * waits for a key. */
void keyboard_init(int interrupt_fd);

/* Takes what has been typed, where standard input is readable: a key, or as much of a paste as there
 * is. */
void keyboard_read(void);

/* Forgets what has only begun, a character or a paste: the line is given up. */
void keyboard_forget(void);

#endif
