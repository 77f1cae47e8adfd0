/*
 * prompt: readline's callback interface.
 *
 * After each line readline would prompt again at once, so the handler removes itself and is
 * installed again for the next line.
 */
#include "client/terminal/prompt.h"

#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>

#include "client/signals.h"
#include "client/status_line.h"
#include "client/terminal/completion.h"
#include "client/terminal/keyboard.h"
#include "client/terminal/reflow.h"
#include "common/buffer.h"

#define PROMPT "-> "

static struct {
    void (*on_line)(void *context, char *line);
    void *context;
    FILE *screen;
    struct termios found;   /* the terminal's mode before us */
    struct termios waiting; /* while no prompt is shown */
    struct termios asking;  /* for readline, which edits unseen if it finds no echo */
    bool is_shown;
    bool is_suspended; /* by prompt_suspend() */
    bool reflows;      /* the terminal wraps lines anew when its size changes */
    struct status_line state;
} prompt;

static void set_mode(const struct termios *mode)
{
    /* Not TCSADRAIN: output that the user has stopped must not block us. */
    tcsetattr(STDIN_FILENO, TCSANOW, mode);
}

static void take_line(char *line)
{
    rl_callback_handler_remove();
    set_mode(&prompt.waiting);
    prompt.is_shown = false;
    prompt.on_line(prompt.context, line);
}

static FILE *open_screen(void)
{
    if (isatty(STDOUT_FILENO))
        return stdout;
    FILE *screen = fopen("/dev/tty", "we");
    const char *name = screen ? NULL : ttyname(STDIN_FILENO);
    if (name)
        screen = fopen(name, "we");
    return screen ? screen : stderr;
}

bool prompt_open(void (*on_line)(void *context, char *line), void *context, int interrupt_fd)
{
    if (tcgetattr(STDIN_FILENO, &prompt.found) != 0)
        return false;
    prompt.on_line = on_line;
    prompt.context = context;
    prompt.screen = open_screen();
    prompt.reflows = reflow_is_known();
    prompt.waiting = prompt.found;
    prompt.waiting.c_lflag &= ~(tcflag_t) (ICANON | ECHO);
    prompt.waiting.c_cc[VMIN] = 1;
    prompt.waiting.c_cc[VTIME] = 0;
    prompt.asking = prompt.waiting;
    prompt.asking.c_lflag |= ECHO;
    prompt.waiting.c_lflag |= NOFLSH; /* Ctrl-C keeps what was typed ahead */
    set_mode(&prompt.waiting);

    rl_readline_name = "banter";
    rl_instream = stdin;
    rl_outstream = prompt.screen;
    rl_catch_signals = 0;
    rl_catch_sigwinch = 0;
    rl_change_environment = 0;
    rl_initialize(); /* reads inputrc; what follows is not the user's choice */
    keyboard_init(interrupt_fd);
    completion_init();
    return true;
}

static void erase_state(void)
{
    fflush(prompt.screen);
    status_line_erase(&prompt.state, fileno(prompt.screen));
}

/* So that the next output does not overwrite what was typed. */
static void go_behind_line(void)
{
    int point = rl_point;
    rl_point = rl_end;
    rl_redisplay();
    rl_point = point;
}

void prompt_close(void)
{
    erase_state();
    if (prompt.is_shown) {
        go_behind_line();
        rl_callback_handler_remove();
        prompt.is_shown = false;
        fputc('\n', prompt.screen);
    }
    fflush(prompt.screen);
    set_mode(&prompt.found);
}

FILE *prompt_screen(void) { return prompt.screen; }

static void put_before(const char *lines)
{
    int point = rl_point + (int) strlen(lines);
    keyboard_forget();
    rl_free_line_state(); /* moves the cursor */
    rl_callback_sigcleanup();
    rl_clear_visible_line();
    rl_point = 0;
    rl_insert_text(lines);
    if (rl_end > rl_point) {
        rl_insert_text("\n");
        point++;
    }
    rl_point = point;
    rl_on_new_line();
    rl_redisplay();
}

void prompt_show(const char *text)
{
    if (prompt.is_shown) {
        put_before(text);
        return;
    }
    erase_state();
    using_history();
    bool has_typed = prompt_has_typed();
    prompt.is_shown = true;
    set_mode(&prompt.asking);
    rl_callback_handler_install(PROMPT, take_line);
    if (text) {
        rl_insert_text(text);
        if (has_typed)
            rl_insert_text("\n");
        rl_redisplay();
    }
}

bool prompt_is_shown(void) { return prompt.is_shown; }

bool prompt_has_typed(void)
{
    int bytes = 0;
    return !prompt.is_shown && ioctl(STDIN_FILENO, FIONREAD, &bytes) == 0 && bytes > 0;
}

const char *prompt_text(void) { return rl_line_buffer; }

/* A terminal is narrower before we are: what it can't show in a row must not make another one. */
static void let_wrap(bool may)
{
    if (prompt.reflows)
        fputs(may ? "\033[?7h" : "\033[?7l", prompt.screen);
    fflush(prompt.screen);
}

void prompt_show_state(const char *text, size_t size)
{
    if (size == 0) {
        erase_state();
        return;
    }
    let_wrap(false);
    status_line_draw(&prompt.state, fileno(prompt.screen), text, size);
    let_wrap(true);
}

void prompt_read(void) { keyboard_read(); }

void prompt_begin_output(void)
{
    if (prompt.is_shown)
        rl_clear_visible_line();
    erase_state();
}

void prompt_end_output(void)
{
    fflush(prompt.screen);
    if (prompt.is_shown) {
        rl_on_new_line();
        rl_redisplay();
    }
}

void prompt_clear_line(void)
{
    keyboard_forget();
    using_history(); /* from its end again */
    rl_free_line_state();
    rl_callback_sigcleanup();
    go_behind_line();
    rl_echo_signal_char(SIGINT);
    rl_crlf();
    rl_replace_line("", 0);
    rl_on_new_line();
    rl_redisplay();
}

/* As readline knows it: from before a resize until its size is reset. */
static size_t columns_known(void)
{
    int rows, columns;
    rl_get_screen_size(&rows, &columns);
    return columns > 0 ? (size_t) columns : 1;
}

/* Erases what stands from `rows` above the cursor on, and leaves the cursor there. */
static void erase_rows(size_t rows)
{
    if (rows > 0)
        fprintf(prompt.screen, "\033[%zuA", rows);
    fputs("\r\033[J", prompt.screen);
    fflush(prompt.screen);
}

/* For a terminal that has wrapped the line anew. */
static void resize_wrapped_line(void)
{
    size_t before = columns_known();
    rl_reset_screen_size();
    struct buffer shown = {0};
    if (buffer_append(&shown, PROMPT, strlen(PROMPT)) &&
        buffer_append(&shown, rl_line_buffer, (size_t) rl_point))
        erase_rows(reflow_rows(buffer_head(&shown), buffer_size(&shown), before, columns_known()));
    buffer_fini(&shown);
    rl_on_new_line();
    rl_redisplay();
}

/* The same for the line of prompt_show_state(), which is drawn again when its text changes. */
static void resize_state(void)
{
    rl_reset_screen_size();
    if (prompt.reflows && prompt.state.drawn > 0) {
        erase_rows((prompt.state.drawn - 1) / columns_known());
        prompt.state.drawn = 0;
    }
}

void prompt_resize(void)
{
    if (prompt.is_shown && RL_ISSTATE(RL_STATE_ISEARCH)) {
        /* rl_resize_terminal() would show the prompt in the place of the search. */
        rl_clear_visible_line();
        rl_reset_screen_size();
        rl_on_new_line();
        rl_redisplay();
    } else if (prompt.is_shown && prompt.reflows) {
        resize_wrapped_line();
    } else if (prompt.is_shown) {
        rl_resize_terminal();
    } else {
        resize_state();
    }
}

static void lend_terminal(void)
{
    erase_state();
    if (prompt.is_shown) {
        go_behind_line();
        rl_deprep_terminal();
    }
    set_mode(&prompt.found);
}

static void take_terminal_back(void)
{
    /* Unprepared first, or readline believes that nothing has changed. */
    if (prompt.is_shown)
        rl_deprep_terminal();
    set_mode(prompt.is_shown ? &prompt.asking : &prompt.waiting);
    if (!prompt.is_shown)
        return;
    rl_prep_terminal(1);
    rl_reset_screen_size();
    rl_forced_update_display();
}

void prompt_suspend(void)
{
    lend_terminal();
    prompt.is_suspended = signals_stop();
    if (!prompt.is_suspended)
        take_terminal_back();
}

void prompt_continue(void)
{
    /* Stopped by another process: the cursor is still on the prompt's line. */
    if (!prompt.is_suspended && prompt.is_shown)
        fputc('\n', prompt.screen);
    prompt.is_suspended = false;
    take_terminal_back();
}
