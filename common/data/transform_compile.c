#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/transform_impl.h"

/*
 * From the tree to the flat program.
 *
 * 1. emit: walk the tree with the values that come in; remaps only rename values, leaves
 *    become instructions. Every instruction writes new values (single assignment), so an
 *    instruction with the same operation, numbers and inputs as an earlier one is that
 *    one again, and one whose inputs are all constants is run now.
 * 2. sweep: instructions whose results nobody needs are dropped.
 * 3. assign: values get slots of the scratch; a slot is free again after the last use.
 *
 * Simplifications keep every bit of a result: x + 0, x * 1, and an operation with a
 * constant becomes a shift or a scale by it.
 */

#define BUCKETS 1024

enum value_kind { VALUE_INPUT, VALUE_CONST, VALUE_RESULT };

struct value {
    enum value_kind kind;
    double number; /* VALUE_CONST */
    int last_use;  /* instruction, or n_ins for outputs of the program */
    int slot;
};

struct ins {
    const struct transform *leaf;
    int n_in, n_out;
    int first;  /* in pool: the inputs */
    int result; /* the first of n_out values */
    int next;   /* in its bucket, or -1 */
    bool live;
};

struct compiler {
    struct value *values;
    struct ins *ins;
    int *pool;
    int n_values, n_ins, n_pool;
    int cap_values, cap_ins, cap_pool;
    int buckets[BUCKETS];
    struct transform **made; /* leaves that the simplifications made */
    int n_made, cap_made;
    struct err *err;
};

/* p with room for `need` elements, or NULL (p stays). */
static void *grow(void *p, int *cap, int need, size_t size, struct err *err)
{
    int n = *cap < 64 ? 64 : *cap;

    if (p != NULL && need <= *cap) {
        return p;
    }
    while (n < need) {
        n *= 2;
    }
    p = mem_realloc(p, (size_t)n, size, err);
    if (p != NULL) {
        *cap = n;
    }
    return p;
}

static int new_value(struct compiler *c, enum value_kind kind, double number)
{
    struct value *values =
        grow(c->values, &c->cap_values, c->n_values + 1, sizeof(*values), c->err);

    if (values == NULL) {
        return -1;
    }
    c->values = values;
    c->values[c->n_values] = (struct value){kind, number, -1, -1};
    return c->n_values++;
}

static int constant(struct compiler *c, double number)
{
    for (int i = 0; i < c->n_values; i++) {
        if (c->values[i].kind == VALUE_CONST &&
            memcmp(&c->values[i].number, &number, sizeof(number)) == 0) {
            return i;
        }
    }
    return new_value(c, VALUE_CONST, number);
}

static unsigned hash(const struct transform *leaf, int n_in, const int *in)
{
    size_t h = (size_t)(uintptr_t)leaf->op * 31 + leaf->n_par;

    for (size_t i = 0; i < leaf->n_par && i < 8; i++) {
        unsigned long long bits;

        memcpy(&bits, &leaf->par[i], sizeof(bits));
        h = (h ^ (bits >> 29) ^ bits) * 1000003;
    }
    for (int i = 0; i < n_in; i++) {
        h = (h ^ (size_t)in[i]) * 1000003;
    }
    return (unsigned)((h ^ (h >> 17)) % BUCKETS);
}

static bool same(const struct compiler *c, const struct ins *x,
                 const struct transform *leaf, const int *in)
{
    return x->leaf->op == leaf->op && x->n_in == leaf->n_in &&
           x->n_out == leaf->n_out && x->leaf->n_par == leaf->n_par &&
           leaf->n_sub == 0 && x->leaf->n_sub == 0 &&
           (leaf->n_par == 0 ||
            memcmp(x->leaf->par, leaf->par, leaf->n_par * sizeof(double)) == 0) &&
           memcmp(&c->pool[x->first], in, (size_t)x->n_in * sizeof(int)) == 0;
}

/* All inputs are constants: the results are, too. */
static int fold(struct compiler *c, const struct transform *leaf, const int *in,
                int *out)
{
    double scratch[2 * TRANSFORM_MAX_AXES][TRANSFORM_BLOCK]
        __attribute__((aligned(64)));
    const double *args[TRANSFORM_MAX_AXES];
    double *results[TRANSFORM_MAX_AXES];

    for (int i = 0; i < leaf->n_in; i++) {
        args[i] = scratch[i];
        for (int k = 0; k < TRANSFORM_BLOCK; k++) {
            scratch[i][k] = c->values[in[i]].number;
        }
    }
    for (int i = 0; i < leaf->n_out; i++) {
        results[i] = scratch[TRANSFORM_MAX_AXES + i];
    }
    leaf->op->run(leaf, TRANSFORM_BLOCK, args, results);
    for (int i = 0; i < leaf->n_out; i++) {
        out[i] = constant(c, results[i][0]);
        if (out[i] < 0) {
            return ERR_NOMEM;
        }
    }
    return 0;
}

static int append(struct compiler *c, const struct transform *leaf, const int *in,
                  int *out)
{
    unsigned h = hash(leaf, leaf->n_in, in);
    struct ins x = {leaf, leaf->n_in, leaf->n_out, c->n_pool, c->n_values, 0, false};

    for (int i = c->buckets[h]; i >= 0; i = c->ins[i].next) {
        if (same(c, &c->ins[i], leaf, in)) {
            for (int k = 0; k < leaf->n_out; k++) {
                out[k] = c->ins[i].result + k;
            }
            return 0;
        }
    }
    x.next = c->buckets[h];
    struct ins *ins = grow(c->ins, &c->cap_ins, c->n_ins + 1, sizeof(x), c->err);

    if (ins == NULL) {
        return ERR_NOMEM;
    }
    c->ins = ins;
    int *pool =
        grow(c->pool, &c->cap_pool, c->n_pool + leaf->n_in, sizeof(int), c->err);

    if (pool == NULL) {
        return ERR_NOMEM;
    }
    c->pool = pool;
    for (int k = 0; k < leaf->n_out; k++) {
        out[k] = new_value(c, VALUE_RESULT, 0.0);
        if (out[k] < 0) {
            return ERR_NOMEM;
        }
    }
    for (int k = 0; k < leaf->n_in; k++) {
        c->pool[c->n_pool++] = in[k];
    }
    c->buckets[h] = c->n_ins;
    c->ins[c->n_ins++] = x;
    return 0;
}

/* Append with a leaf of our own, kept for the life of the program. */
static int append_made(struct compiler *c, struct transform *leaf, const int *in,
                       int *out)
{
    if (leaf == NULL) {
        return ERR_NOMEM;
    }
    struct transform **made =
        grow(c->made, &c->cap_made, c->n_made + 1, sizeof(*made), c->err);

    if (made == NULL) {
        transform_release(leaf);
        return ERR_NOMEM;
    }
    c->made = made;
    c->made[c->n_made++] = leaf;
    return append(c, leaf, in, out);
}

static int leaf_of(struct compiler *c, const struct transform *leaf, const int *in,
                   int *out)
{
    bool all_const = leaf->n_sub == 0;

    for (size_t i = 0; i < leaf->n_sub; i++) {
        int rc = transform_compile(leaf->sub[i], c->err);

        if (rc != 0) {
            return rc;
        }
    }
    for (int i = 0; i < leaf->n_in; i++) {
        all_const = all_const && c->values[in[i]].kind == VALUE_CONST;
    }
    if (all_const) {
        return fold(c, leaf, in, out);
    }
    if ((leaf->op == &transform_op_shift && leaf->par[0] == 0.0) ||
        (leaf->op == &transform_op_scale && leaf->par[0] == 1.0)) {
        out[0] = in[0];
        return 0;
    }
    return append(c, leaf, in, out);
}

static int combine(struct compiler *c, const struct transform *t, int a, int b,
                   int *out)
{
    const struct value *va = &c->values[a], *vb = &c->values[b];
    const bool ca = va->kind == VALUE_CONST, cb = vb->kind == VALUE_CONST;
    const char sign = (char)t->par[0];
    const int in[2] = {a, b};

    if (cb && !ca && (sign == '+' || sign == '-')) {
        double by = sign == '+' ? vb->number : -vb->number;

        return by == 0.0 ? (*out = a, 0)
                         : append_made(c, transform_shift(by, c->err), &a, out);
    }
    if (ca && !cb && sign == '+') {
        return va->number == 0.0
                   ? (*out = b, 0)
                   : append_made(c, transform_shift(va->number, c->err), &b, out);
    }
    if (sign == '*' && ca != cb) {
        double by = ca ? va->number : vb->number;
        const int *x = ca ? &b : &a;

        return by == 1.0 ? (*out = *x, 0)
                         : append_made(c, transform_scale(by, c->err), x, out);
    }
    struct transform *leaf =
        transform_leaf(transform_arithmetic_op(sign), 2, 1, 0, NULL, c->err);

    if (leaf != NULL && ca && cb) {
        int rc = fold(c, leaf, in, out);

        transform_release(leaf);
        return rc;
    }
    return append_made(c, leaf, in, out);
}

static int emit(struct compiler *c, const struct transform *t, const int *in, int *out)
{
    int mid[TRANSFORM_MAX_AXES], more[TRANSFORM_MAX_AXES];
    int rc;

    switch (t->kind) {
    case TRANSFORM_LEAF:
        return leaf_of(c, t, in, out);
    case TRANSFORM_REMAP:
        for (int i = 0; i < t->n_out; i++) {
            out[i] = in[t->idx[i]];
        }
        return 0;
    case TRANSFORM_COMPOSE:
        rc = emit(c, t->a, in, mid);
        return rc != 0 ? rc : emit(c, t->b, mid, out);
    case TRANSFORM_CONCATENATE:
        rc = emit(c, t->a, in, out);
        return rc != 0 ? rc : emit(c, t->b, in + t->a->n_in, out + t->a->n_out);
    case TRANSFORM_ARITHMETIC:
        rc = emit(c, t->a, in, mid);
        rc = rc != 0 ? rc : emit(c, t->b, in, more);
        for (int i = 0; rc == 0 && i < t->n_out; i++) {
            rc = combine(c, t, mid[i], more[i], &out[i]);
        }
        return rc;
    case TRANSFORM_FIX:
        for (int i = 0, next = 0; i < t->a->n_in; i++) {
            int k = 0;

            while (k < (int)t->n_par && t->idx[k] != i) {
                k++;
            }
            mid[i] = k < (int)t->n_par ? constant(c, t->par[k]) : in[next++];
            if (mid[i] < 0) {
                return ERR_NOMEM;
            }
        }
        return emit(c, t->a, mid, out);
    }
    return err_set(c->err, ERR_BUG, "transform of unknown kind %d", (int)t->kind);
}

/* Mark what the outputs need, and when each value is used last. */
static void sweep(struct compiler *c, int n_out, const int *out)
{
    for (int i = 0; i < n_out; i++) {
        c->values[out[i]].last_use = c->n_ins;
    }
    for (int i = c->n_ins - 1; i >= 0; i--) {
        struct ins *x = &c->ins[i];

        for (int k = 0; k < x->n_out; k++) {
            x->live = x->live || c->values[x->result + k].last_use >= 0;
        }
        for (int k = 0; x->live && k < x->n_in; k++) {
            struct value *v = &c->values[c->pool[x->first + k]];

            v->last_use = v->last_use > i ? v->last_use : i;
        }
    }
}

struct slots {
    int *unused; /* a stack of free slots */
    int n_unused, n_slots;
};

static int take(struct slots *s)
{
    return s->n_unused > 0 ? s->unused[--s->n_unused] : s->n_slots++;
}

/* Slots for constants, then instruction by instruction; fills p. */
static void assign(struct compiler *c, struct slots *s, const int *out,
                   const struct transform *t, struct program *p)
{
    int *to = p->slots;

    for (int i = 0; i < c->n_values; i++) {
        struct value *v = &c->values[i];

        if (v->kind == VALUE_INPUT) {
            v->slot = s->n_slots++;
        }
    }
    for (int i = 0; i < c->n_values; i++) {
        struct value *v = &c->values[i];

        if (v->kind == VALUE_CONST && v->last_use >= 0) {
            v->slot = s->n_slots++;
            p->consts[p->n_const++] = (struct program_const){v->slot, v->number};
        }
    }
    for (int i = 0; i < c->n_ins; i++) {
        const struct ins *x = &c->ins[i];
        struct program_instr *y = &p->instr[p->n_instr];

        if (!x->live) {
            continue;
        }
        *y = (struct program_instr){x->leaf->op->run, x->leaf, x->n_in, x->n_out, to};
        p->n_instr++;
        for (int k = 0; k < x->n_in; k++) {
            *to++ = c->values[c->pool[x->first + k]].slot;
        }
        for (int k = 0; k < x->n_out; k++) {
            c->values[x->result + k].slot = take(s);
            *to++ = c->values[x->result + k].slot;
        }
        for (int k = 0; k < x->n_in; k++) {
            struct value *v = &c->values[c->pool[x->first + k]];

            if (v->kind == VALUE_RESULT && v->last_use == i) {
                s->unused[s->n_unused++] = v->slot;
                v->last_use = -2; /* given back once, though used twice here */
            }
        }
        for (int k = 0; k < x->n_out; k++) { /* a result that nobody wants */
            struct value *v = &c->values[x->result + k];

            if (v->last_use < 0) {
                s->unused[s->n_unused++] = v->slot;
            }
        }
    }
    for (int i = 0; i < t->n_out; i++) {
        p->out_slots[i] = c->values[out[i]].slot;
    }
    p->n_slots = s->n_slots;
}

void program_free(struct program *p)
{
    if (p != NULL) {
        for (int i = 0; i < p->n_made; i++) {
            transform_release(p->made[i]);
        }
        free(p->made);
        free(p->instr);
        free(p->consts);
        free(p->out_slots);
        free(p->slots);
        free(p);
    }
}

static int finish(struct compiler *c, const struct transform *t, const int *out,
                  struct program **ret)
{
    struct program *p = mem_calloc(1, sizeof(*p), c->err);
    struct slots s = {0};
    size_t n_slots = 0;
    int rc = ERR_NOMEM;

    for (int i = 0; i < c->n_ins; i++) {
        n_slots += (size_t)(c->ins[i].n_in + c->ins[i].n_out);
    }
    s.unused = mem_alloc((size_t)c->n_values, sizeof(int), c->err);
    if (p == NULL || s.unused == NULL) {
        goto out;
    }
    p->instr = mem_calloc((size_t)c->n_ins, sizeof(*p->instr), c->err);
    p->consts = mem_calloc((size_t)c->n_values, sizeof(*p->consts), c->err);
    p->out_slots = mem_calloc((size_t)t->n_out, sizeof(int), c->err);
    p->slots = mem_calloc(n_slots, sizeof(int), c->err);
    if (!p->instr || !p->consts || !p->out_slots || !p->slots) {
        goto out;
    }
    assign(c, &s, out, t, p);
    p->run = TRANSFORM_RUN;
    while (p->run > TRANSFORM_BLOCK && p->n_slots > PROGRAM_SCRATCH / p->run) {
        p->run /= 2;
    }
    if (p->n_slots > PROGRAM_SCRATCH / p->run) {
        rc = err_set(c->err, ERR_REFERENCE,
                     "%s%sthe transform needs %d values at a time; at most %d are kept",
                     t->origin ? t->origin : "", t->origin ? ": " : "", p->n_slots,
                     PROGRAM_SCRATCH / TRANSFORM_BLOCK);
        goto out;
    }
    p->made = c->made;
    p->n_made = c->n_made;
    c->made = NULL;
    c->n_made = 0;
    *ret = p;
    p = NULL;
    rc = 0;
out:
    free(s.unused);
    program_free(p);
    return rc;
}

int program_make(const struct transform *t, struct program **ret, struct err *err)
{
    struct compiler c = {.err = err};
    int in[TRANSFORM_MAX_AXES], out[TRANSFORM_MAX_AXES];
    int rc = 0;

    memset(c.buckets, -1, sizeof(c.buckets));
    for (int i = 0; rc == 0 && i < t->n_in; i++) {
        in[i] = new_value(&c, VALUE_INPUT, 0.0);
        rc = in[i] < 0 ? ERR_NOMEM : 0;
    }
    rc = rc != 0 ? rc : emit(&c, t, in, out);
    if (rc == 0) {
        sweep(&c, t->n_out, out);
        rc = finish(&c, t, out, ret);
    }
    for (int i = 0; i < c.n_made; i++) {
        transform_release(c.made[i]);
    }
    free(c.made);
    free(c.values);
    free(c.ins);
    free(c.pool);
    return rc;
}
