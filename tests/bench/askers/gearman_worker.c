/*
 * gearman_worker: a worker of gearmand by libgearman, which echoes.
 *
 *     gearman_worker PORT FUNCTION
 */
#include <libgearman/gearman.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static gearman_return_t echo(gearman_job_st *job, void *context)
{
    (void) context;
    return gearman_job_send_complete(job, gearman_job_workload(job),
                                     gearman_job_workload_size(job));
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: gearman_worker PORT FUNCTION\n", stderr);
        return EX_USAGE;
    }
    gearman_worker_st *worker = gearman_worker_create(NULL);
    if (!worker ||
        gearman_failed(gearman_worker_add_server(worker, "127.0.0.1",
                                                 (in_port_t) strtoul(argv[1], NULL, 10))) ||
        gearman_failed(gearman_worker_define_function(worker, argv[2], strlen(argv[2]),
                                                      gearman_function_create(echo), 0, NULL)))
        return EX_UNAVAILABLE;
    while (gearman_success(gearman_worker_work(worker)))
        ;
    return EX_UNAVAILABLE;
}
