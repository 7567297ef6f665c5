#ifndef IFUD_BASE_ERR_H
#define IFUD_BASE_ERR_H

/*
 * Errors as values.
 *
 * A function that can fail returns 0 or a negative ERR_* and takes, last, a
 * caller-owned struct err. The message is one line that names the file, HDU,
 * keyword or value that is wrong and what would be right. On failure the other
 * outputs are untouched. `err` may be NULL when only the code matters.
 * Thread: a struct err belongs to one thread.
 */

enum err_code {
    ERR_NOMEM = -1,     /* allocation failed or a size would overflow; may pass */
    ERR_IO = -2,        /* the system refused: disk, permission; may pass */
    ERR_INPUT = -3,     /* an exposure, association or manifest is not acceptable */
    ERR_REFERENCE = -4, /* a reference file is missing, ambiguous or malformed */
    ERR_PARAM = -5,     /* a parameter or configuration value is not acceptable */
    ERR_CANCELLED = -6, /* asked to stop between two pieces of work */
    ERR_NODATA = -7,    /* nothing left to work on (every pixel bad, no overlap) */
    ERR_BUG = -8        /* a promise inside the program was broken */
};

struct err {
    int code;
    char message[1024];
};

/*
 * Set code and message (printf style, one line) and return code.
 * Given:    code (ERR_*), fmt and arguments.
 * Thread:   any. Test: tests/base/test_err.c
 */
int err_set(struct err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "prefix: " before the message; returns err->code (ERR_BUG if err is NULL). */
int err_prefix(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The name of a code, such as "input"; "unknown" for others. Static storage. */
const char *err_name(int code);

/* The code of a name as err_name gives it; ERR_BUG if unknown. */
int err_code_of(const char *name);

#endif
