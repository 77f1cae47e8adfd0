/*
 * prompt: the line editor (GNU readline) and the state of the terminal that it needs.
 *
 * Readline has one instance a program, and so has this module. It knows nothing of servers: its
 * user polls standard input and the signals, and calls in here. While no prompt is shown the
 * terminal neither echoes nor gathers lines, so that what is typed ahead waits untouched for the
 * next prompt, also if that comes by Ctrl-C; Ctrl-C and Ctrl-Z always work.
 */
#ifndef BANTER_CLIENT_TERMINAL_PROMPT_H
#define BANTER_CLIENT_TERMINAL_PROMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Takes over the terminal that is standard input, and reads the user's inputrc. Each entered line
 * goes to `on_line` (heap memory, which it then owns; NULL: end of input), after the prompt was
 * taken away. While `interrupt_fd` is readable no read waits for a key. False with errno set on
 * failure. */
bool prompt_open(void (*on_line)(void *context, char *line), void *context, int interrupt_fd);

/* Takes the prompt away and leaves the terminal as it was found. */
void prompt_close(void);

/* The terminal that the user sees, also if standard output is none. */
FILE *prompt_screen(void);

/* Shows the prompt, with `text` on it as if it had been typed, or NULL. In front of what is typed,
 * or was typed ahead, the text is lines of its own. If the prompt is shown already, a search in the
 * history ends. */
void prompt_show(const char *text);
bool prompt_is_shown(void);

/* The present line, of the prompt that is shown; good until the next call of any of these. */
const char *prompt_text(void);

/* Whether something was typed ahead. */
bool prompt_has_typed(void);

/* While no prompt is shown: a line for what is true only now, redrawn in place; ASCII. Any other
 * output takes it away, and so does size 0. */
void prompt_show_state(const char *text, size_t size);

/* Takes what was typed; standard input must be readable and the prompt shown. May call
 * on_line(). */
void prompt_read(void);

/* What is written to the screen between these two stands above the prompt, which comes back
 * unchanged, an open search in the history included. It must end in a newline. */
void prompt_begin_output(void);
void prompt_end_output(void);

/* Throws away the present line, a search in the history included. */
void prompt_clear_line(void);

/* The screen's size has changed. */
void prompt_resize(void);

/* After Ctrl-Z: stops the program, with the terminal as it was found. After SIGCONT: takes the
 * terminal back; a prompt that was shown comes back on a line of its own. */
void prompt_suspend(void);
void prompt_continue(void);

#endif
