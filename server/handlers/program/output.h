/*
 * output: reads what a worker's instance writes, and takes it for what it is: a greeting, an answer
 * or a part of one, or something that nobody asked for.
 *
 * Only the supervisor's thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_OUTPUT_H
#define BANTER_SERVER_HANDLERS_PROGRAM_OUTPUT_H

#include "server/handlers/program/state.h"

/* OUTPUT_LOST: the instance was lost, or has closed its output; the outcome says more. */
enum output { OUTPUT_SOME, OUTPUT_ALL, OUTPUT_LOST };

/* Reads once. OUTPUT_ALL: there was nothing. */
enum output output_read(struct workers *workers, struct worker *worker);

/* Reads until there is nothing more; OUTPUT_SOME: there is more. */
enum output output_read_all(struct workers *workers, struct worker *worker);

#endif
