#ifndef IFUD_BASE_PARAMS_H
#define IFUD_BASE_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include "common/base/err.h"

/*
 * Parameters are one table per stage (or program): name, type, default, bounds, unit
 * and a line of doc. Parser, --help and the docs come from it. Values are given as
 * text; `none` is None, lists are `a,b` or `a b`.
 *
 * Ownership: a struct params borrows its table (static) and owns its values.
 * Thread: a struct params is written by one thread, then read by any.
 */

enum param_type {
    PARAM_BOOL,   /* true / false (also True, False, 1, 0) */
    PARAM_INT,    /* decimal; min..max */
    PARAM_REAL,   /* finite; min..max */
    PARAM_STRING, /* any text, or one of `choices` (a|b|c) if given */
    PARAM_LIST    /* reals `a,b,...`; each in min..max; length min_n..max_n */
};

struct param {
    const char *name; /* the peer's parameter name */
    enum param_type type;
    const char *fallback; /* default as text; "none" where None is the default */
    double min, max;      /* bounds of numbers, both 0: unbounded */
    const char *choices;  /* "a|b|c" for strings, or NULL */
    const char *unit;     /* "arcsec", "um", ...; "file": a path; "" if none */
    const char *doc;      /* one line, no full stop at the end */
    bool may_be_none;     /* `none` is accepted */
};

struct params;

/* Values at their defaults. Table: n rows, static. Free with params_free. */
int params_new(const struct param *table, size_t n, struct params **ret,
               struct err *err);
void params_free(struct params *params);

/*
 * Set one value from text. ERR_PARAM names the parameter, the value and what would be
 * right; an unknown name is answered with the nearest known one.
 */
int params_set(struct params *params, const char *name, const char *text,
               struct err *err);

/* Typed reads. Asking for a name or type that is not in the table is a bug (assert). */
bool params_is_none(const struct params *params, const char *name);
bool params_bool(const struct params *params, const char *name);
long params_int(const struct params *params, const char *name);
double params_real(const struct params *params, const char *name);
const char *params_string(const struct params *params,
                          const char *name); /* NULL: none */
size_t params_list(const struct params *params, const char *name,
                   const double **ret_values); /* borrowed; 0 values: none */

/* The current value as text, in the canonical form that is written to headers. */
const char *params_text(const struct params *params, const char *name);

/* The table and its length, for help, docs, manifests and provenance. */
const struct param *params_table(const struct params *params, size_t *ret_n);

/* The name of `table` nearest to `name` (edit distance), or NULL if none is near. */
const char *params_nearest(const struct param *table, size_t n, const char *name);

#endif
