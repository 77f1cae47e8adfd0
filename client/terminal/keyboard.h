/*
 * keyboard: puts bytes from the keyboard into readline's line if readline falls short.
 *
 * - Every byte is text, also one that is no character of the locale. Readline takes some for the
 *   Meta key, and drops the beginning of a character that does not continue.
 * - A paste comes in over many reads. Readline blocks in the middle until its end comes, which
 *   Ctrl-C may have thrown away.
 * - No read waits for a key while a signal waits for us.
 */
#ifndef BANTER_CLIENT_TERMINAL_KEYBOARD_H
#define BANTER_CLIENT_TERMINAL_KEYBOARD_H

/* Sets readline up, after it has read the user's settings. While `interrupt_fd` is readable, no
 * read waits for a key. */
void keyboard_init(int interrupt_fd);

/* Takes a key, or as much of a paste as has come. Standard input must be readable. */
void keyboard_read(void);

/* Forgets the beginning of a character or of a paste: the line is given up. */
void keyboard_forget(void);

#endif
