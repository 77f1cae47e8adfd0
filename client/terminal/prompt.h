/*
 * prompt: the line editor (GNU readline) and the state of the terminal that it needs.
 *
 * Readline has one instance a program, and so has this module. It knows nothing of servers and
 * signals: its user polls standard input while the prompt is shown, and tells what the signals
 * mean. While no prompt is shown the terminal neither echoes nor gathers lines, so that what is
 * typed ahead waits for the next prompt untouched; Ctrl-C and Ctrl-Z work always.
 */
#ifndef BANTER_CLIENT_TERMINAL_PROMPT_H
#define BANTER_CLIENT_TERMINAL_PROMPT_H

#include <stdbool.h>
#include <stdio.h>

/* Takes over the terminal that is standard input, and reads the user's inputrc. Each entered line
 * goes to `on_line` (heap memory that is then its own; NULL: end of input), after the prompt was
 * taken away. While `interrupt_fd` is readable no key is waited for. False with errno set on
 * failure. */
bool prompt_open(void (*on_line)(void *context, char *line), void *context, int interrupt_fd);

/* Takes the prompt away and leaves the terminal as it was found. */
void prompt_close(void);

/* Where the user looks: the terminal, also when standard output is none. */
FILE *prompt_screen(void);

/* Shows the prompt, with `text` on it as if it had been typed, or NULL. */
void prompt_show(const char *text);
bool prompt_is_shown(void);

/* What stands on the line now, of the prompt that is shown; good until the next call of any of
 * these. */
const char *prompt_text(void);

/* While no prompt is shown: a line for what is true only for now, drawn anew in its place; ASCII.
 * Whatever else is shown takes it away. Size 0: takes it away. */
void prompt_show_state(const char *text, size_t size);

/* Takes what was typed; standard input must be readable and the prompt shown. May call
 * on_line(). */
void prompt_read(void);

/* What is written to the screen between these two stands above the prompt, which comes back
 * unchanged, an open search in the history included. It must end in a newline. */
void prompt_begin_output(void);
void prompt_end_output(void);

/* Throws away what stands on the line, a search in the history included. */
void prompt_clear_line(void);

/* The screen's size has changed. */
void prompt_resize(void);

/* The terminal as it was found, for a while; a prompt that was shown comes back on a line of its
 * own. */
void prompt_pause(void);
void prompt_resume(void);

#endif
