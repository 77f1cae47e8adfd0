/*
 * gearman_asker: asks workers of gearmand by libgearman, so many jobs at a time.
 *
 *     gearman_asker PORT FUNCTION OUT SECONDS
 *
 * Exit: 0 every reply was right, 1 some was not, 64 usage, 69 unable to ask.
 */
#include <libgearman/gearman.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "tests/bench/askers/outcome.h"

enum { MAX_OUT = 10000 };

static const char text[] = "sixteen bytes ok";

struct job {
    struct outcome *outcome;
    uint64_t asked_ns;
    bool is_right;
};

static gearman_return_t completed(gearman_task_st *task)
{
    struct job *job = gearman_task_context(task);
    job->is_right = gearman_task_data_size(task) == strlen(text) &&
                    memcmp(gearman_task_data(task), text, strlen(text)) == 0;
    outcome_add(job->outcome, job->asked_ns, outcome_now());
    return GEARMAN_SUCCESS;
}

/* All of them at once, and waits for all. */
static bool ask(gearman_client_st *client, const char *function, struct job *jobs, size_t out)
{
    gearman_return_t result = GEARMAN_SUCCESS;
    for (size_t i = 0; i < out && gearman_success(result); i++) {
        jobs[i].asked_ns = outcome_now();
        jobs[i].is_right = false;
        gearman_client_add_task(client, NULL, &jobs[i], function, NULL, text, strlen(text),
                                &result);
    }
    if (gearman_failed(result) || gearman_failed(gearman_client_run_tasks(client)))
        return false;
    gearman_client_task_free_all(client);
    for (size_t i = 0; i < out; i++)
        if (!jobs[i].is_right)
            return false;
    return true;
}

int main(int argc, char **argv)
{
    static struct outcome outcome;
    static struct job jobs[MAX_OUT];
    size_t out = argc == 5 ? strtoul(argv[3], NULL, 10) : 0;
    if (out < 1 || out > MAX_OUT) {
        fputs("usage: gearman_asker PORT FUNCTION OUT SECONDS\n", stderr);
        return EX_USAGE;
    }
    gearman_client_st *client = gearman_client_create(NULL);
    if (!client || gearman_failed(gearman_client_add_server(
                       client, "127.0.0.1", (in_port_t) strtoul(argv[1], NULL, 10))))
        return EX_UNAVAILABLE;
    gearman_client_set_complete_fn(client, completed);
    for (size_t i = 0; i < out; i++)
        jobs[i].outcome = &outcome;
    outcome_begin(&outcome, strtod(argv[4], NULL));
    bool is_right = true;
    while (is_right && outcome_now() < outcome.end_ns)
        is_right = ask(client, argv[2], jobs, out);
    outcome_print(&outcome);
    gearman_client_free(client);
    return !is_right;
}
