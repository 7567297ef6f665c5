/*
 * Poison: a library for LD_PRELOAD that makes a program die when it opens a file whose
 * path contains a given text. It stands for a malformed file that crashes a library.
 *
 *   IFUD_POISON='segv=00003_nrs1_cal,abort=00005_nrs1_cal,loop=...,bomb=...'
 *   LD_PRELOAD=build/tests/fault/poison.so build/bin/ifud --config ...
 *
 * Kinds:
 *   segv   writes through a null pointer
 *   abort  abort(), as after a corrupted heap
 *   loop   computes for ever and looks at no cancel
 *   bomb   takes memory and touches it until there is none, then abort() as a library
 *          does that cannot go on without; at IFUD_POISON_MB (1024) it kills itself with
 *          SIGKILL, as the kernel would when the machine is full
 *
 * To strike in a job and not at intake, name a product: the part file
 * .<base>_cal.fits.<attempt>.part is opened by the spec2 job alone. At most 16 pairs.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

static void bomb(void)
{
    const size_t block = (size_t)16 << 20;
    const char *text = getenv("IFUD_POISON_MB");
    size_t limit = (text ? strtoul(text, NULL, 10) : 1024) << 20, taken = 0;
    for (;;) {
        char *p = malloc(block);
        if (!p) {
            abort();
        }
        for (size_t i = 0; i < block; i += 4096) {
            ((volatile char *)p)[i] = 1;
        }
        taken += block;
        if (taken >= limit) {
            raise(SIGKILL);
        }
    }
}

static void strike(const char *kind, size_t n)
{
    if (n == 4 && !memcmp(kind, "segv", 4)) {
        volatile int *volatile nowhere = NULL;
        *nowhere = 1;
    } else if (n == 5 && !memcmp(kind, "abort", 5)) {
        abort();
    } else if (n == 4 && !memcmp(kind, "loop", 4)) {
        for (volatile unsigned long i = 0;; i++) {
        }
    } else if (n == 4 && !memcmp(kind, "bomb", 4)) {
        bomb();
    }
}

static void look(const char *path)
{
    const char *pair = getenv("IFUD_POISON");
    for (int i = 0; path && pair && *pair && i < 16; i++) {
        const char *is = strchr(pair, '='), *end = pair + strcspn(pair, ",");
        if (is && is < end) {
            char text[256];
            snprintf(text, sizeof text, "%.*s", (int)(end - is - 1), is + 1);
            if (*text && strstr(path, text)) {
                strike(pair, (size_t)(is - pair));
            }
        }
        pair = *end ? end + 1 : end;
    }
}

/* The function behind ours; the detour keeps -Wpedantic content. */
#define REAL(type, name)                                                               \
    static type real;                                                                  \
    if (!real) {                                                                       \
        void *found = dlsym(RTLD_NEXT, #name);                                         \
        memcpy(&real, &found, sizeof real);                                            \
    }

typedef int (*open_type)(const char *, int, ...);
typedef int (*openat_type)(int, const char *, int, ...);
typedef FILE *(*fopen_type)(const char *, const char *);

#define MODE(last)                                                                     \
    va_list ap;                                                                        \
    va_start(ap, last);                                                                \
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;            \
    va_end(ap);

int open(const char *path, int flags, ...)
{
    REAL(open_type, open)
    MODE(flags)
    look(path);
    return real(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    REAL(open_type, open64)
    MODE(flags)
    look(path);
    return real(path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...)
{
    REAL(openat_type, openat)
    MODE(flags)
    look(path);
    return real(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...)
{
    REAL(openat_type, openat64)
    MODE(flags)
    look(path);
    return real(folder, path, flags, mode);
}

FILE *fopen(const char *path, const char *how)
{
    REAL(fopen_type, fopen)
    look(path);
    return real(path, how);
}

FILE *fopen64(const char *path, const char *how)
{
    REAL(fopen_type, fopen64)
    look(path);
    return real(path, how);
}
