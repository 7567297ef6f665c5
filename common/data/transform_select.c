#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/transform_impl.h"

/*
 * A label chooses the transform. Within a block, the points of one label are gathered and
 * go through their sub-transform together.
 * par: at_in, at_out, none, then low and high of each label.
 */

enum { PAR_IN, PAR_OUT, PAR_NONE, PAR_LABELS };

/* Selectors within selectors; each level has its own scratch on the stack. */
#define MAX_NESTED 3

static size_t choose(const struct transform *leaf, double label)
{
    const double *low = leaf->par + PAR_LABELS, *high = low + leaf->n_sub;

    for (size_t i = 0; i < leaf->n_sub; i++) {
        if (label >= low[i] && label <= high[i]) {
            return i;
        }
    }
    return leaf->n_sub;
}

static void run_select(const struct transform *leaf, size_t n, const double *const *in,
                       double *const *out)
{
    const int at_in = (int)leaf->par[PAR_IN], at_out = (int)leaf->par[PAR_OUT];
    const int n_in = leaf->n_in - 1, n_out = leaf->n_out - (at_out >= 0);
    double gathered[TRANSFORM_MAX_AXES][TRANSFORM_BLOCK];
    double results[TRANSFORM_MAX_AXES][TRANSFORM_BLOCK];
    const double *args[TRANSFORM_MAX_AXES];
    double *to[TRANSFORM_MAX_AXES];
    double *direct[TRANSFORM_MAX_AXES];

    for (int k = 0; k < n_in; k++) {
        args[k] = in[k < at_in ? k : k + 1];
    }
    for (int k = 0; k < n_out; k++) {
        direct[k] = out[at_out >= 0 && k >= at_out ? k + 1 : k];
    }
    for (size_t i = 0; i < n; i += TRANSFORM_BLOCK) {
        size_t which[TRANSFORM_BLOCK];

        for (size_t k = 0; k < TRANSFORM_BLOCK; k++) {
            which[k] = choose(leaf, in[at_in][i + k]);
        }
        for (size_t k = 0; k < TRANSFORM_BLOCK; k++) {
            size_t points[TRANSFORM_BLOCK], n_points = 0;
            const double *from[TRANSFORM_MAX_AXES];
            const size_t chosen = which[k];

            if (chosen > leaf->n_sub) {
                continue; /* done with an earlier point */
            }
            for (size_t m = k; m < TRANSFORM_BLOCK; m++) {
                if (which[m] == chosen) {
                    points[n_points++] = m;
                    which[m] = leaf->n_sub + 1;
                }
            }
            for (int j = 0; j < n_out && chosen == leaf->n_sub; j++) {
                for (size_t m = 0; m < n_points; m++) {
                    direct[j][i + points[m]] = leaf->par[PAR_NONE];
                }
            }
            if (chosen == leaf->n_sub) {
                continue;
            }
            for (int j = 0; j < n_in; j++) {
                for (size_t m = 0; m < n_points; m++) {
                    gathered[j][m] = args[j][i + points[m]];
                }
                from[j] = gathered[j];
            }
            for (int j = 0; j < n_out; j++) {
                to[j] = results[j];
            }
            transform_eval(leaf->sub[chosen], n_points, from, to);
            for (int j = 0; j < n_out; j++) {
                for (size_t m = 0; m < n_points; m++) {
                    direct[j][i + points[m]] = results[j][m];
                }
            }
        }
    }
    if (at_out >= 0) {
        memcpy(out[at_out], in[at_in], n * sizeof(double));
    }
}

static const struct transform_op op_select;

static struct transform *select_back(const struct transform *leaf, struct err *err)
{
    const double *low = leaf->par + PAR_LABELS;
    struct transform **inv;

    if (leaf->par[PAR_OUT] < 0.0) {
        err_set(err, ERR_REFERENCE, "%s%sa selector whose label is lost has no inverse",
                leaf->origin ? leaf->origin : "", leaf->origin ? ": " : "");
        return NULL;
    }
    inv = mem_calloc(leaf->n_sub, sizeof(*inv), err);
    if (inv == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < leaf->n_sub; i++) {
        if (transform_inverse(leaf->sub[i], &inv[i], err) != 0) {
            while (i-- > 0) {
                transform_release(inv[i]);
            }
            free(inv);
            return NULL;
        }
    }
    struct transform *t = transform_select(
        leaf->n_sub, low, low + leaf->n_sub, inv, (int)leaf->par[PAR_OUT],
        (int)leaf->par[PAR_IN], leaf->par[PAR_NONE], err);

    free(inv);
    return t;
}

static const struct transform_op op_select = {"selector", run_select, select_back,
                                              NULL};

/* ERR_* if the subs cannot stand in one selector with the label at these places. */
static int check(size_t n, struct transform *const *subs, int at_in, int at_out,
                 struct err *err)
{
    long weight = 0;

    if (n == 0 || n > TRANSFORM_MAX_WEIGHT) {
        return err_set(err, ERR_REFERENCE, "a selector of %zu transforms", n);
    }
    for (size_t i = 0; i < n; i++) {
        weight += subs[i]->weight;
        if (subs[i]->n_in != subs[0]->n_in || subs[i]->n_out != subs[0]->n_out) {
            return err_set(err, ERR_REFERENCE,
                           "the transforms of a selector differ in inputs or outputs");
        }
        if (at_in > subs[i]->n_in || at_out > subs[i]->n_out) {
            return err_set(
                err, ERR_REFERENCE,
                "the transforms of a selector have %d inputs and %d outputs: "
                "too few for the label's place",
                subs[i]->n_in, subs[i]->n_out);
        }
        if (subs[i]->nested >= MAX_NESTED) {
            return err_set(err, ERR_REFERENCE, "selectors nested more than %d deep",
                           MAX_NESTED);
        }
    }
    return weight <= TRANSFORM_MAX_WEIGHT
               ? 0
               : err_set(err, ERR_REFERENCE, "a selector of more than %d parts",
                         TRANSFORM_MAX_WEIGHT);
}

struct transform *transform_select(size_t n, const double *low, const double *high,
                                   struct transform *const *subs, int at_in, int at_out,
                                   double none, struct err *err)
{
    struct transform *t = NULL;

    if (check(n, subs, at_in, at_out, err) == 0) {
        t = transform_leaf(&op_select, subs[0]->n_in + 1,
                           subs[0]->n_out + (at_out >= 0), PAR_LABELS + 2 * n, NULL,
                           err);
    }
    if (t != NULL && !(t->sub = mem_calloc(n, sizeof(*t->sub), err))) {
        transform_release(t);
        t = NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (t == NULL) {
            transform_release(subs[i]);
            continue;
        }
        t->sub[i] = subs[i];
        t->weight += subs[i]->weight;
        t->nested = subs[i]->nested + 1 > t->nested ? subs[i]->nested + 1 : t->nested;
        t->depth = subs[i]->depth + 1 > t->depth ? subs[i]->depth + 1 : t->depth;
        t->par[PAR_LABELS + i] = low[i];
        t->par[PAR_LABELS + n + i] = high[i];
    }
    if (t != NULL) {
        t->n_sub = n;
        t->par[PAR_IN] = at_in;
        t->par[PAR_OUT] = at_out;
        t->par[PAR_NONE] = none;
    }
    return t;
}
