/*
 * fuzz: what the targets share. A target is a program of libFuzzer: it is given bytes again and
 * again, does something with them, and compares what comes of it with what a simple judge says.
 * What differs ends the program, and libFuzzer keeps the bytes.
 */
#ifndef BANTER_TESTS_FUZZ_FUZZ_H
#define BANTER_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libFuzzer calls these. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is left of an input. */
struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

/* The next byte; 0 if there is none. */
static inline unsigned fuzz_byte(struct fuzz_input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->at++;
}

/* The next number from 0 to `bound` - 1, which is 255 at most. */
static inline unsigned fuzz_below(struct fuzz_input *input, unsigned bound)
{
    return fuzz_byte(input) % bound;
}

/* The next `size` bytes, or all that are left, which is then put into `*size`. */
static inline const char *fuzz_bytes(struct fuzz_input *input, size_t *size)
{
    const char *bytes = (const char *) input->at;
    if (*size > input->left)
        *size = input->left;
    input->at += *size;
    input->left -= *size;
    return bytes;
}

/* Sizes of pieces, made of one number, so that the mutation of one byte cuts differently. */
struct fuzz_cuts {
    uint32_t state;
    uint32_t longest;
};

static inline struct fuzz_cuts fuzz_cuts(struct fuzz_input *input)
{
    uint32_t longest = 1 + fuzz_byte(input) % 32;
    return (struct fuzz_cuts){fuzz_byte(input) * 2654435761u + 1, longest};
}

/* From 1 to `left`, which is not 0. */
static inline size_t fuzz_cut(struct fuzz_cuts *cuts, size_t left)
{
    cuts->state = cuts->state * 1664525 + 1013904223;
    size_t size = 1 + (cuts->state >> 16) % cuts->longest;
    return size < left ? size : left;
}

/* Either may be NULL if the size is 0. */
static inline bool fuzz_is_same(const void *one, const void *other, size_t size)
{
    return size == 0 || memcmp(one, other, size) == 0;
}

#define FUZZ_REQUIRE(condition)                                                                    \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fuzz_fail(__FILE__, __LINE__, #condition);                                             \
    } while (0)

_Noreturn static inline void fuzz_fail(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: this is false: %s\n", file, line, condition);
    abort();
}

#endif
