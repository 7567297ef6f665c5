#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/transform_impl.h"

/* Nodes of the tree and the combinators. */

struct transform *transform_node(enum transform_kind kind, int n_in, int n_out,
                                 size_t n_par, size_t n_idx, struct err *err)
{
    struct transform *t;

    if (n_in < 0 || n_out < 0 || n_in > TRANSFORM_MAX_AXES ||
        n_out > TRANSFORM_MAX_AXES) {
        err_set(err, ERR_REFERENCE,
                "a transform of %d inputs and %d outputs; at most %d are possible",
                n_in, n_out, TRANSFORM_MAX_AXES);
        return NULL;
    }
    t = mem_calloc(1, sizeof(*t), err);
    if (t == NULL) {
        return NULL;
    }
    atomic_init(&t->refs, 1);
    atomic_init(&t->program, NULL);
    t->kind = kind;
    t->n_in = n_in;
    t->n_out = n_out;
    t->depth = t->weight = 1;
    t->n_par = n_par;
    if ((n_par > 0 && !(t->par = mem_calloc(n_par, sizeof(double), err))) ||
        (n_idx > 0 && !(t->idx = mem_calloc(n_idx, sizeof(int), err)))) {
        transform_release(t);
        return NULL;
    }
    return t;
}

struct transform *transform_leaf(const struct transform_op *op, int n_in, int n_out,
                                 size_t n_par, const double *par, struct err *err)
{
    struct transform *t = transform_node(TRANSFORM_LEAF, n_in, n_out, n_par, 0, err);

    if (t != NULL) {
        t->op = op;
        if (par != NULL && n_par > 0) {
            memcpy(t->par, par, n_par * sizeof(double));
        }
    }
    return t;
}

void transform_set_origin(struct transform *t, const char *file, const char *path)
{
    if (t != NULL && t->origin == NULL) {
        t->origin = mem_printf(NULL, "%s: %s", file, path);
        transform_set_origin(t->a, file, path);
        transform_set_origin(t->b, file, path);
    }
}

/* Hang a and b (NULL if there is one child only) below t; all are taken over. */
static struct transform *hang(struct transform *t, struct transform *a,
                              struct transform *b, struct err *err)
{
    if (t == NULL) {
        transform_release(a);
        transform_release(b);
        return NULL;
    }
    t->a = a;
    t->b = b;
    t->depth = 1 + (b != NULL && b->depth > a->depth ? b->depth : a->depth);
    t->nested = b != NULL && b->nested > a->nested ? b->nested : a->nested;
    t->weight = 1 + a->weight + (b != NULL ? b->weight : 0);
    if (t->depth > TRANSFORM_MAX_DEPTH || t->weight > TRANSFORM_MAX_WEIGHT) {
        err_set(err, ERR_REFERENCE,
                "a transform of more than %d parts or %d levels cannot be right",
                TRANSFORM_MAX_WEIGHT, TRANSFORM_MAX_DEPTH);
        transform_release(t);
        return NULL;
    }
    return t;
}

struct transform *transform_compose(struct transform *a, struct transform *b,
                                    struct err *err)
{
    if (a == NULL || b == NULL || a->n_out != b->n_in) {
        if (a != NULL && b != NULL) {
            err_set(err, ERR_REFERENCE,
                    "a transform of %d inputs cannot follow one of %d outputs", b->n_in,
                    a->n_out);
        }
        transform_release(a);
        transform_release(b);
        return NULL;
    }
    return hang(transform_node(TRANSFORM_COMPOSE, a->n_in, b->n_out, 0, 0, err), a, b,
                err);
}

struct transform *transform_concatenate(struct transform *a, struct transform *b,
                                        struct err *err)
{
    if (a == NULL || b == NULL) {
        transform_release(a);
        transform_release(b);
        return NULL;
    }
    return hang(transform_node(TRANSFORM_CONCATENATE, a->n_in + b->n_in,
                               a->n_out + b->n_out, 0, 0, err),
                a, b, err);
}

struct transform *transform_remap(int n_in, int n_out, const int *idx, struct err *err)
{
    struct transform *t = NULL;

    for (int i = 0; i < n_out && n_out <= TRANSFORM_MAX_AXES; i++) {
        if (idx[i] < 0 || idx[i] >= n_in) {
            err_set(err, ERR_REFERENCE, "remap_axes takes input %d of %d", idx[i],
                    n_in);
            return NULL;
        }
    }
    t = transform_node(TRANSFORM_REMAP, n_in, n_out, 0, n_out > 0 ? (size_t)n_out : 0,
                       err);
    for (int i = 0; t != NULL && i < n_out; i++) {
        t->idx[i] = idx[i];
    }
    return t;
}

struct transform *transform_identity(int n, struct err *err)
{
    int idx[TRANSFORM_MAX_AXES];

    for (int i = 0; i < n && i < TRANSFORM_MAX_AXES; i++) {
        idx[i] = i;
    }
    return transform_remap(n, n, idx, err);
}

struct transform *transform_arithmetic(char op, struct transform *a,
                                       struct transform *b, struct err *err)
{
    struct transform *t = NULL;

    if (a == NULL || b == NULL) {
        transform_release(a);
        transform_release(b);
        return NULL;
    }
    if (transform_arithmetic_op(op) == NULL) {
        err_set(err, ERR_BUG, "transform_arithmetic: no operation %c", op);
    } else if (a->n_in != b->n_in || a->n_out != b->n_out) {
        err_set(err, ERR_REFERENCE,
                "transforms of %d inputs and %d outputs, and of %d and %d, cannot be "
                "combined by %c",
                a->n_in, a->n_out, b->n_in, b->n_out, op);
    } else {
        t = transform_node(TRANSFORM_ARITHMETIC, a->n_in, a->n_out, 1, 0, err);
    }
    if (t != NULL) {
        t->par[0] = op;
    }
    return hang(t, a, b, err);
}

struct transform *transform_fix_inputs(struct transform *t, int n, const int *idx,
                                       const double *values, struct err *err)
{
    struct transform *fixed = NULL;
    unsigned long long seen = 0;

    if (t == NULL) {
        return NULL;
    }
    for (int i = 0; i < n; i++) {
        if (idx[i] < 0 || idx[i] >= t->n_in || (seen >> idx[i] & 1) != 0) {
            err_set(err, ERR_REFERENCE, "fix_inputs holds input %d of %d, or twice",
                    idx[i], t->n_in);
            transform_release(t);
            return NULL;
        }
        seen |= 1ULL << idx[i];
    }
    fixed =
        transform_node(TRANSFORM_FIX, t->n_in - n, t->n_out, (size_t)n, (size_t)n, err);
    for (int i = 0; fixed != NULL && i < n; i++) {
        fixed->idx[i] = idx[i];
        fixed->par[i] = values[i];
    }
    return hang(fixed, t, NULL, err);
}

/* A node that does as t does, so that an inverse can be stored though t is shared. */
struct transform *transform_with_inverse(struct transform *t, struct transform *inv,
                                         struct err *err)
{
    struct transform *both = NULL;

    if (t != NULL && inv != NULL) {
        both = transform_compose(t, transform_identity(t->n_out, err), err);
    } else {
        transform_release(t);
    }
    if (both == NULL) {
        transform_release(inv);
        return NULL;
    }
    both->inverse = inv;
    return both;
}
