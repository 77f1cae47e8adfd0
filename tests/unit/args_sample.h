/*
 * args_sample: a program with options of each kind, which writes down what it takes, so that a
 * table can hold it.
 */
#ifndef BANTER_TESTS_ARGS_SAMPLE_H
#define BANTER_TESTS_ARGS_SAMPLE_H

#include "common/args.h"
#include "common/line_file.h"

/* The end of its errors. */
#define ARGS_SEE "; see banterd --help"

/* The context of its options: all zero at first. */
struct args_record {
    char text[512];         /* what was taken, in order, as "name=value;" or "name;" */
    struct line_file *file; /* the last one; whoever has parsed closes it */
};

extern const struct args_program args_sample;

#endif
