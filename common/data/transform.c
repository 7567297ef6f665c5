#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/transform_impl.h"

int transform_n_inputs(const struct transform *t)
{
    return t->n_in;
}

int transform_n_outputs(const struct transform *t)
{
    return t->n_out;
}

struct transform *transform_hold(const struct transform *t)
{
    /* Only the count changes; the transform itself stays immutable. */
    struct transform *mine = (struct transform *)(uintptr_t)t;

    if (mine != NULL) {
        atomic_fetch_add_explicit(&mine->refs, 1, memory_order_relaxed);
    }
    return mine;
}

void transform_release(struct transform *t)
{
    if (t == NULL || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    transform_release(t->a);
    transform_release(t->b);
    transform_release(t->inverse);
    for (size_t i = 0; i < t->n_sub; i++) {
        transform_release(t->sub[i]);
    }
    program_free(atomic_load(&t->program));
    free(t->sub);
    free(t->idx);
    free(t->par);
    free(t->origin);
    free(t);
}

int transform_compile(const struct transform *t, struct err *err)
{
    struct transform *mine = (struct transform *)(uintptr_t)t;
    struct program *made, *none = NULL;

    if (atomic_load_explicit(&mine->program, memory_order_acquire) != NULL) {
        return 0;
    }
    int rc = program_make(t, &made, err);

    if (rc != 0) {
        return rc;
    }
    /* Two threads may compile at once: the first to finish is kept. */
    if (!atomic_compare_exchange_strong(&mine->program, &none, made)) {
        program_free(made);
    }
    return 0;
}

/* The inverse as a tree that is not compiled yet. */
static struct transform *invert(const struct transform *t, struct err *err)
{
    if (t->inverse != NULL) {
        return transform_hold(t->inverse);
    }
    switch (t->kind) {
    case TRANSFORM_LEAF:
        if (t->op->inverse != NULL) {
            return t->op->inverse(t, err);
        }
        break;
    case TRANSFORM_REMAP: {
        int back[TRANSFORM_MAX_AXES];

        for (int i = 0; i < t->n_in; i++) {
            back[i] = -1;
            for (int k = t->n_out - 1; k >= 0; k--) {
                if (t->idx[k] == i) {
                    back[i] = k;
                }
            }
            if (back[i] < 0) {
                err_set(err, ERR_REFERENCE,
                        "%s%sremap_axes drops its input %d and has no stored inverse",
                        t->origin ? t->origin : "", t->origin ? ": " : "", i);
                return NULL;
            }
        }
        return transform_remap(t->n_out, t->n_in, back, err);
    }
    case TRANSFORM_COMPOSE: {
        struct transform *b = invert(t->b, err);

        return b == NULL ? NULL : transform_compose(b, invert(t->a, err), err);
    }
    case TRANSFORM_CONCATENATE: {
        struct transform *a = invert(t->a, err);

        return a == NULL ? NULL : transform_concatenate(a, invert(t->b, err), err);
    }
    case TRANSFORM_ARITHMETIC:
    case TRANSFORM_FIX:
        break;
    }
    err_set(err, ERR_REFERENCE,
            "%s%s%s has no stored inverse, and none can be derived from it",
            t->origin ? t->origin : "", t->origin ? ": " : "",
            t->kind == TRANSFORM_FIX          ? "fix_inputs"
            : t->kind == TRANSFORM_ARITHMETIC ? "arithmetic of transforms"
                                              : t->op->name);
    return NULL;
}

int transform_inverse(const struct transform *t, struct transform **ret,
                      struct err *err)
{
    struct err mine = {0};
    struct transform *inv = invert(t, &mine);
    int rc = inv == NULL ? mine.code : transform_compile(inv, &mine);

    if (rc != 0) {
        transform_release(inv);
        return err_set(err, rc, "%s", mine.message);
    }
    *ret = inv;
    return 0;
}

static void run_program(const struct program *p, const struct transform *t, size_t n,
                        double *scratch, const double *const *in, double *const *out)
{
    const double *args[TRANSFORM_MAX_AXES];
    double *results[TRANSFORM_MAX_AXES];
    const size_t run = (size_t)p->run;
    const size_t most = n < run ? n + TRANSFORM_BLOCK : run;

    for (int i = 0; i < p->n_const; i++) {
        double *to = scratch + (size_t)p->consts[i].slot * run;

        for (size_t k = 0; k < most && k < run; k++) {
            to[k] = p->consts[i].value;
        }
    }
    for (size_t begin = 0; begin < n; begin += run) {
        const size_t left = n - begin < run ? n - begin : run;
        const size_t padded =
            (left + TRANSFORM_BLOCK - 1) / TRANSFORM_BLOCK * TRANSFORM_BLOCK;

        /* Inputs are the first slots; the last point fills up the block. */
        for (int i = 0; i < t->n_in; i++) {
            double *to = scratch + (size_t)i * run;

            memcpy(to, in[i] + begin, left * sizeof(double));
            for (size_t k = left; k < padded; k++) {
                to[k] = to[left - 1];
            }
        }
        for (int i = 0; i < p->n_instr; i++) {
            const struct program_instr *x = &p->instr[i];

            for (int k = 0; k < x->n_in; k++) {
                args[k] = scratch + (size_t)x->slots[k] * run;
            }
            for (int k = 0; k < x->n_out; k++) {
                results[k] = scratch + (size_t)x->slots[x->n_in + k] * run;
            }
            x->run(x->leaf, padded, args, results);
        }
        for (int i = 0; i < t->n_out; i++) {
            memcpy(out[i] + begin, scratch + (size_t)p->out_slots[i] * run,
                   left * sizeof(double));
        }
    }
}

void transform_eval(const struct transform *t, size_t n, const double *const *in,
                    double *const *out)
{
    struct transform *mine = (struct transform *)(uintptr_t)t;
    const struct program *p =
        atomic_load_explicit(&mine->program, memory_order_acquire);
    double scratch[PROGRAM_SCRATCH] __attribute__((aligned(64)));

    assert(p != NULL); /* transform_compile comes first */
    run_program(p, t, n, scratch, in, out);
}
