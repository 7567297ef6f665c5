#include "common/base/mem.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BIG (1u << 16)
#define LARGE ((size_t)4 << 20) /* worth pages of two megabytes */

int mem_mul(size_t a, size_t b, size_t *ret)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product) || product > PTRDIFF_MAX) {
        return ERR_NOMEM;
    }
    *ret = product;
    return 0;
}

static void *refuse(size_t n, size_t size, struct err *err)
{
    err_set(err, ERR_NOMEM, "out of memory: %zu elements of %zu bytes", n, size);
    return NULL;
}

/* Planes of exposures and cubes come and go: in pages of four kilobytes they cost a fault
 * for each and the processor its table of pages. It is a wish, no more. */
static void wish_large_pages(void *p, size_t bytes)
{
    const uintptr_t page = 4096, first = ((uintptr_t)p + page - 1) / page * page;
    if (bytes >= LARGE) {
        madvise((char *)p + (first - (uintptr_t)p), bytes - page, MADV_HUGEPAGE);
    }
}

void *mem_calloc(size_t n, size_t size, struct err *err)
{
    size_t bytes;
    if (mem_mul(n, size, &bytes)) {
        return refuse(n, size, err);
    }
    void *p = calloc(bytes ? bytes : 1, 1);
    if (!p) {
        return refuse(n, size, err);
    }
    wish_large_pages(p, bytes);
    return p;
}

void *mem_alloc(size_t n, size_t size, struct err *err)
{
    size_t bytes;
    if (mem_mul(n, size, &bytes) || bytes > PTRDIFF_MAX - 64) {
        return refuse(n, size, err);
    }
    void *p = bytes >= BIG ? aligned_alloc(64, (bytes + 63) / 64 * 64)
                           : malloc(bytes ? bytes : 1);
    if (!p) {
        return refuse(n, size, err);
    }
    wish_large_pages(p, bytes);
    return p;
}

void *mem_realloc(void *p, size_t n, size_t size, struct err *err)
{
    size_t bytes;
    if (mem_mul(n, size, &bytes)) {
        return refuse(n, size, err);
    }
    void *q = realloc(p, bytes ? bytes : 1);
    if (!q) {
        return refuse(n, size, err);
    }
    return q;
}

char *mem_strndup(const char *s, size_t n, struct err *err)
{
    char *p = strndup(s, n);
    return p ? p : refuse(n, 1, err);
}

char *mem_strdup(const char *s, struct err *err)
{
    return mem_strndup(s, strlen(s), err);
}

char *mem_printf(struct err *err, const char *fmt, ...)
{
    char *p = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&p, fmt, ap);
    va_end(ap);
    return n < 0 ? refuse(1, 1, err) : p;
}

void mem_return_large(void)
{
    mallopt(M_MMAP_THRESHOLD, 1 << 20); /* setting it also ends its growth */
}
