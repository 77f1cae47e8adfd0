/* terminal_end: what ends the program but the end of the conversation. */
#include <errno.h>
#include <signal.h>

#include "client/report.h"
#include "client/terminal/prompt.h"
#include "client/terminal/terminal_state.h"

void terminal_note(struct terminal *terminal, enum exit_status status)
{
    terminal->status = exit_status_first(terminal->status, status);
}

void terminal_fail(struct terminal *terminal, const char *verb, const char *object, int why)
{
    if (terminal->done) /* reported */
        return;
    prompt_begin_output();
    report_io(verb, object, why);
    terminal_note(terminal, EXIT_STATUS_IO);
    terminal->done = true;
}

void terminal_die_of(struct terminal *terminal, int number)
{
    prompt_close();
    signals_die_of(&terminal->signals, number);
}

void terminal_fail_output(struct terminal *terminal)
{
    if (terminal->output->failure == EPIPE)
        terminal_die_of(terminal, SIGPIPE);
    terminal_fail(terminal, "write", "standard output", terminal->output->failure);
}
