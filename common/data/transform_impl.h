#ifndef IFUD_DATA_TRANSFORM_IMPL_H
#define IFUD_DATA_TRANSFORM_IMPL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/data/transform_build.h"

/*
 * Inside of the transforms: shared by the transform_*.c files only.
 *
 * A transform is a node of an immutable tree. A leaf carries one operation and its
 * numbers; the other kinds say how children are wired. transform_compile.c walks the
 * tree once and writes the flat program that transform_eval runs.
 */

/* Points go through a program in runs; registers are padded to whole blocks. */
#define TRANSFORM_RUN 256
#define TRANSFORM_BLOCK 32
/* Bounds of what a hostile tree may ask for. */
#define TRANSFORM_MAX_AXES 32
#define TRANSFORM_MAX_DEPTH 400
#define TRANSFORM_MAX_WEIGHT 20000

/* Eight numbers at a time: gcc splits this into what the machine has. */
typedef double lanes __attribute__((vector_size(64), may_alias));
#define LANES (sizeof(lanes) / sizeof(double))

/* The square root of each, in place. */
static inline void lanes_sqrt(lanes *x)
{
    for (size_t i = 0; i < LANES; i++) {
        (*x)[i] = __builtin_sqrt((*x)[i]);
    }
}

enum transform_kind {
    TRANSFORM_LEAF,
    TRANSFORM_REMAP,       /* idx */
    TRANSFORM_COMPOSE,     /* a, b */
    TRANSFORM_CONCATENATE, /* a, b */
    TRANSFORM_ARITHMETIC,  /* a, b, par[0]: the sign */
    TRANSFORM_FIX          /* a, idx (which inputs), par (their values) */
};

/*
 * One operation over a run. in and out are arrays of n doubles, aligned to 64 bytes; n is
 * a multiple of TRANSFORM_BLOCK; no output overlaps an input.
 * par: the numbers of the leaf. sub: its sub-transforms (selectors only).
 */
typedef void (*transform_run)(const struct transform *leaf, size_t n,
                              const double *const *in, double *const *out);

struct asdf_text; /* common/data/asdf_text.h */

struct transform_op {
    const char *name; /* as messages call it */
    transform_run run;
    /* The analytic inverse as a new tree; NULL: there is none. */
    struct transform *(*inverse)(const struct transform *leaf, struct err *err);
    /* Its tag and an open mapping that begins with `keys` ("!transform/shift-1.2.0
     * {offset: 1.0"); NULL: it cannot be written. */
    void (*write)(const struct transform *leaf, struct asdf_text *t, const char *keys);
};

struct program;

struct transform {
    atomic_int refs;
    enum transform_kind kind;
    int n_in, n_out;
    int depth, weight; /* of the tree below: bounded */
    const struct transform_op *op;
    struct transform *a, *b;
    struct transform *inverse; /* stored */
    int *idx;
    double *par;
    size_t n_par;
    struct transform **sub;
    size_t n_sub;
    int nested;   /* selectors within selectors */
    char *origin; /* "file: path in the tree", or NULL */
    _Atomic(struct program *) program;
};

/* A node of a kind, with room for n_par numbers and n_idx indices (zeroed). */
struct transform *transform_node(enum transform_kind kind, int n_in, int n_out,
                                 size_t n_par, size_t n_idx, struct err *err);
/* A leaf with a copy of n_par numbers (par may be NULL: zeroes). */
struct transform *transform_leaf(const struct transform_op *op, int n_in, int n_out,
                                 size_t n_par, const double *par, struct err *err);
/* Say where t and its unnamed children came from (if memory allows). */
void transform_set_origin(struct transform *t, const char *file, const char *path);

/* The operations of + - * / ^ (two inputs, one output), by their sign; NULL: unknown. */
const struct transform_op *transform_arithmetic_op(char sign);
/* ret: scale and offset of the map from domain to window (double[2]; NULL: [-1, 1]). */
int transform_map_domain(const double *domain, const double *window, double ret[2],
                         struct err *err);
/* Operations that the compiler simplifies by. */
extern const struct transform_op transform_op_shift, transform_op_scale;

/*
 * The selector: the input at position at_in is a label; the first i with
 * low[i] <= label <= high[i] says which of n sub-transforms the other inputs go through.
 * The label becomes an output at position at_out (-1: it does not). Where no interval
 * holds the label, outputs are `none`. Takes over the subs (also on failure).
 */
struct transform *transform_select(size_t n, const double *low, const double *high,
                                   struct transform *const *subs, int at_in, int at_out,
                                   double none, struct err *err);

/* Doubles of scratch on the stack of transform_eval (128 KB): slots times run length. */
#define PROGRAM_SCRATCH 16384

/* A program: made by transform_compile.c, run by transform_eval. */
struct program {
    int n_instr, n_slots, run;
    int n_const;
    struct program_instr {
        transform_run run;
        const struct transform *leaf;
        int n_in, n_out;
        int *slots; /* inputs, then outputs */
    } *instr;
    struct program_const {
        int slot;
        double value;
    } *consts;
    int *out_slots;
    int *slots;              /* what instr[].slots point into */
    struct transform **made; /* leaves that the compiler made */
    int n_made;
};
int program_make(const struct transform *t, struct program **ret, struct err *err);
void program_free(struct program *p);

#endif
