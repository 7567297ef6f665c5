#ifndef IFUD_BASE_MEM_H
#define IFUD_BASE_MEM_H

#include <stddef.h>
#include "common/base/err.h"

/*
 * Checked allocation. Sizes are multiplied with an overflow check; a failure sets
 * ERR_NOMEM with the size asked for. Memory is released with free().
 * Thread: any.
 */

/* n zeroed elements of `size` bytes (never NULL on success, even for n = 0). */
void *mem_calloc(size_t n, size_t size, struct err *err);

/* n elements, contents undefined. Large arrays are aligned to 64 bytes. */
void *mem_alloc(size_t n, size_t size, struct err *err);

/* Grow or shrink p to n elements; on failure p stays valid and NULL is returned. */
void *mem_realloc(void *p, size_t n, size_t size, struct err *err);

/* Copies of a string, or of at most n bytes of it. */
char *mem_strdup(const char *s, struct err *err);
char *mem_strndup(const char *s, size_t n, struct err *err);

/* A formatted string. */
char *mem_printf(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* *ret = a * b; returns 0, or ERR_NOMEM on overflow with *ret untouched. */
int mem_mul(size_t a, size_t b, size_t *ret);

/*
 * From now on blocks of 1 MiB and more go back to the system when they are freed. Without
 * it glibc raises that limit to 32 MiB as planes come and go, and the process keeps holes
 * the size of exposures. For programs: once, before the first thread.
 */
void mem_return_large(void);

#endif
