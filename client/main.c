/* banter: the client. Two ways to ask over a conversation: at a terminal, or as a batch. */
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/batch/batch.h"
#include "client/connect.h"
#include "client/conversation.h"
#include "client/exit_status.h"
#include "client/options.h"
#include "client/output.h"
#include "client/report.h"
#include "client/terminal/terminal.h"

/* The socket would get the number of a standard descriptor that is closed. Opened the wrong way
 * round, that descriptor fails when it is used, as the closed one would. */
static void reserve_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1 && errno == EBADF)
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/* Text is UTF-8 in the C locale, too, and in one that is not installed. Another charset is
 * somebody's choice. Readline looks at the environment by itself. */
static void choose_locale(void)
{
    setlocale(LC_CTYPE, "");
    bool is_ascii = strcmp(nl_langinfo(CODESET), "ANSI_X3.4-1968") == 0;
    if (is_ascii && setlocale(LC_CTYPE, "C.UTF-8"))
        setenv("LC_ALL", "C.UTF-8", true);
}

static enum exit_status converse(const struct options *options, struct output *output)
{
    enum conversation_opening opening;
    struct error error;
    struct connect_retries retries = connect_retries(options);
    struct conversation *conversation = connect_first(&retries, options, &opening, &error);
    if (!conversation) {
        report_opening(opening, error.text);
        return connect_status(opening);
    }
    /* Both close it, and may open others. */
    if (options_is_interactive(options))
        return terminal_run(conversation, &retries, options, output);
    return batch_run(conversation, &retries, options, output);
}

int main(int argc, char **argv)
{
    choose_locale();
    /* Our parent may have ignored it; a reader that is gone shall end us. */
    signal(SIGPIPE, SIG_DFL);
    reserve_standard_descriptors();

    struct options options;
    enum exit_status status;
    if (!options_parse(&options, argc, argv, &status))
        return status;

    struct output output;
    output_init(&output, options.color);
    status = converse(&options, &output);
    if (!output_close(&output)) {
        report_io("write", "standard output", output.failure);
        status = exit_status_first(status, EXIT_STATUS_IO);
    }
    output_fini(&output);
    return status;
}
