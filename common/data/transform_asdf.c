#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/transform_asdf.h"

/*
 * The transform tags. Every version of a tag is read: what differs between versions
 * (dimensions of constant from 1.4, domains of polynomial from 1.2) follows from the keys
 * that are there. Keys that do not bear on values (name, inputs, outputs, bounding_box,
 * fixed, bounds) are passed over, except that fix_inputs looks inputs up by name.
 */

struct transform *asdf_build_error(struct asdf_builder *b, const struct asdf_node *node,
                                   const char *fmt, ...)
{
    char text[600];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    asdf_error(node, b->err, "%s", text);
    b->named = true;
    return NULL;
}

bool asdf_build_array(struct asdf_builder *b, const struct asdf_node *node,
                      const char *key, size_t n, struct asdf_array *ret)
{
    const struct asdf_node *x = asdf_get(node, key);

    if (x == NULL) {
        asdf_build_error(b, node, "%s needs '%s'", node->tag, key);
        return false;
    }
    if (asdf_array(x, ret, b->err) != 0) {
        b->named = true;
        return false;
    }
    if (n != ASDF_ANY_LENGTH && ret->n != n) {
        asdf_build_error(b, node, "'%s' has %zu values; %zu are right", key, ret->n, n);
        free(ret->values);
        return false;
    }
    return true;
}

bool asdf_build_real(struct asdf_builder *b, const struct asdf_node *node,
                     const char *key, double *ret)
{
    struct asdf_array a;

    if (asdf_real(asdf_get(node, key), ret)) {
        return true;
    }
    if (!asdf_build_array(b, node, key, 1, &a)) {
        return false;
    }
    *ret = a.values[0];
    free(a.values);
    return true;
}

bool asdf_build_word(struct asdf_builder *b, const struct asdf_node *node,
                     const char *key, const char **ret)
{
    if (!asdf_string(asdf_get(node, key), ret)) {
        asdf_build_error(b, node, "%s needs a word for '%s'", node->tag, key);
        return false;
    }
    return true;
}

struct transform *asdf_build_child(struct asdf_builder *b,
                                   const struct asdf_node *parent, const char *key)
{
    const struct asdf_node *x = asdf_get(parent, key);

    return x != NULL ? asdf_build_node(b, x)
                     : asdf_build_error(b, parent, "%s needs '%s'", parent->tag, key);
}

/* ---- combinators ---- */

/* Both of `forward`; on failure both are NULL. */
static bool pair(struct asdf_builder *b, const struct asdf_node *node,
                 struct transform *both[2])
{
    if (asdf_count(asdf_get(node, "forward")) != 2) {
        asdf_build_error(b, node, "%s needs two transforms as 'forward'", node->tag);
        return false;
    }
    both[0] = asdf_build_child(b, node, "forward.0");
    both[1] = both[0] != NULL ? asdf_build_child(b, node, "forward.1") : NULL;
    if (both[1] == NULL) {
        transform_release(both[0]);
        return false;
    }
    return true;
}

static struct transform *compose(struct asdf_builder *b, const struct asdf_node *node)
{
    struct transform *both[2];

    return pair(b, node, both) ? transform_compose(both[0], both[1], b->err) : NULL;
}

static struct transform *concatenate(struct asdf_builder *b,
                                     const struct asdf_node *node)
{
    struct transform *both[2];

    return pair(b, node, both) ? transform_concatenate(both[0], both[1], b->err) : NULL;
}

static struct transform *arithmetic(struct asdf_builder *b,
                                    const struct asdf_node *node, char sign)
{
    struct transform *both[2];

    return pair(b, node, both) ? transform_arithmetic(sign, both[0], both[1], b->err)
                               : NULL;
}

static struct transform *add(struct asdf_builder *b, const struct asdf_node *node)
{
    return arithmetic(b, node, '+');
}

static struct transform *subtract(struct asdf_builder *b, const struct asdf_node *node)
{
    return arithmetic(b, node, '-');
}

static struct transform *multiply(struct asdf_builder *b, const struct asdf_node *node)
{
    return arithmetic(b, node, '*');
}

static struct transform *divide(struct asdf_builder *b, const struct asdf_node *node)
{
    return arithmetic(b, node, '/');
}

static struct transform *power(struct asdf_builder *b, const struct asdf_node *node)
{
    return arithmetic(b, node, '^');
}

/* Keys are the names of inputs, or their indices. */
static struct transform *fix_inputs(struct asdf_builder *b,
                                    const struct asdf_node *node)
{
    const struct asdf_node *inputs = asdf_get(node, "forward.0.inputs");
    const struct asdf_node *keys = asdf_get(node, "forward.1.keys");
    const size_t n = asdf_count(keys);
    int idx[TRANSFORM_MAX_AXES];
    double values[TRANSFORM_MAX_AXES];
    struct asdf_array a;

    if (n == 0 || n > TRANSFORM_MAX_AXES) {
        return asdf_build_error(b, node, "fix_inputs needs keys and values");
    }
    for (size_t i = 0; i < n; i++) {
        const struct asdf_node *key = asdf_item(keys, i);
        const char *name, *input;
        long long at = -1;

        if (!asdf_int(key, &at) && asdf_string(key, &name)) {
            for (size_t k = 0; k < asdf_count(inputs); k++) {
                if (asdf_string(asdf_item(inputs, k), &input) &&
                    strcmp(input, name) == 0) {
                    at = (long long)k;
                }
            }
        }
        if (at < 0 || at >= TRANSFORM_MAX_AXES) {
            return asdf_build_error(b, node, "fix_inputs: key %zu names no input", i);
        }
        idx[i] = (int)at;
    }
    if (!asdf_build_array(b, node, "forward.1.values", n, &a)) {
        return NULL;
    }
    memcpy(values, a.values, n * sizeof(double));
    free(a.values);
    return transform_fix_inputs(asdf_build_child(b, node, "forward.0"), (int)n, idx,
                                values, b->err);
}

static struct transform *remap_axes(struct asdf_builder *b,
                                    const struct asdf_node *node)
{
    const struct asdf_node *mapping = asdf_get(node, "mapping");
    const size_t n = asdf_count(mapping);
    int idx[TRANSFORM_MAX_AXES];
    long long n_in = 0, at, given;

    if (n == 0 || n > TRANSFORM_MAX_AXES) {
        return asdf_build_error(b, node, "remap_axes needs a mapping of 1 to %d inputs",
                                TRANSFORM_MAX_AXES);
    }
    for (size_t i = 0; i < n; i++) {
        if (!asdf_int(asdf_item(mapping, i), &at) || at < 0 ||
            at >= TRANSFORM_MAX_AXES) {
            return asdf_build_error(b, node, "remap_axes: item %zu is no input", i);
        }
        idx[i] = (int)at;
        n_in = at + 1 > n_in ? at + 1 : n_in;
    }
    if (asdf_int(asdf_get(node, "n_inputs"), &given)) {
        if (given < n_in || given > TRANSFORM_MAX_AXES) {
            return asdf_build_error(b, node, "remap_axes: n_inputs %lld is not right",
                                    given);
        }
        n_in = given;
    }
    return transform_remap((int)n_in, (int)n, idx, b->err);
}

/* ---- leaves of a number or two ---- */

static struct transform *identity(struct asdf_builder *b, const struct asdf_node *node)
{
    long long n = 1;

    if (asdf_get(node, "n_dims") != NULL &&
        (!asdf_int(asdf_get(node, "n_dims"), &n) || n < 1 || n > TRANSFORM_MAX_AXES)) {
        return asdf_build_error(b, node, "identity: n_dims is 1 to %d",
                                TRANSFORM_MAX_AXES);
    }
    return transform_identity((int)n, b->err);
}

static struct transform *shift(struct asdf_builder *b, const struct asdf_node *node)
{
    double x;

    return asdf_build_real(b, node, "offset", &x) ? transform_shift(x, b->err) : NULL;
}

static struct transform *scale(struct asdf_builder *b, const struct asdf_node *node)
{
    double x;

    return asdf_build_real(b, node, "factor", &x) ? transform_scale(x, b->err) : NULL;
}

static struct transform *constant(struct asdf_builder *b, const struct asdf_node *node)
{
    long long n = 1;
    double x;

    if (asdf_get(node, "dimensions") != NULL &&
        (!asdf_int(asdf_get(node, "dimensions"), &n) || n < 1 || n > 2)) {
        return asdf_build_error(b, node, "constant: dimensions is 1 or 2");
    }
    return asdf_build_real(b, node, "value", &x) ? transform_constant((int)n, x, b->err)
                                                 : NULL;
}

static struct transform *rotate2d(struct asdf_builder *b, const struct asdf_node *node)
{
    double x;

    return asdf_build_real(b, node, "angle", &x) ? transform_rotate2d(x, b->err) : NULL;
}

static struct transform *math_functions(struct asdf_builder *b,
                                        const struct asdf_node *node)
{
    const char *name;

    return asdf_build_word(b, node, "func_name", &name)
               ? transform_function(name, b->err)
               : NULL;
}

/* Units are attached and taken off, the numbers stay. */
static struct transform *units_mapping(struct asdf_builder *b,
                                       const struct asdf_node *node)
{
    const size_t n = asdf_count(asdf_get(node, "unit_inputs"));

    if (n < 1 || n > TRANSFORM_MAX_AXES) {
        return asdf_build_error(b, node, "units_mapping needs unit_inputs");
    }
    return transform_identity((int)n, b->err);
}

static const struct asdf_tag_row tags_transform[] = {
    {"compose", compose},
    {"concatenate", concatenate},
    {"add", add},
    {"subtract", subtract},
    {"multiply", multiply},
    {"divide", divide},
    {"power", power},
    {"fix_inputs", fix_inputs},
    {"remap_axes", remap_axes},
    {"identity", identity},
    {"shift", shift},
    {"scale", scale},
    {"multiplyscale", scale},
    {"constant", constant},
    {"affine", asdf_build_affine},
    {"rotate2d", rotate2d},
    {"rotate3d", asdf_build_rotate3d},
    {"rotate_sequence_3d", asdf_build_rotate_sequence},
    {"polynomial", asdf_build_polynomial},
    {"ortho_polynomial", asdf_build_ortho},
    {"tabular", asdf_build_tabular},
    {"math_functions", math_functions},
    {"label_mapper", asdf_build_label_mapper},
    {"regions_selector", asdf_build_regions_selector},
    {NULL, NULL}};

static const struct asdf_tag_row tags_astropy[] = {{"units_mapping", units_mapping},
                                                   {NULL, NULL}};

static const struct {
    const char *prefix;
    const struct asdf_tag_row *rows;
} families[] = {{"tag:stsci.edu:asdf/transform/", tags_transform},
                {"tag:stsci.edu:jwst_pipeline/", asdf_tags_peer},
                {"tag:stsci.edu:gwcs/", asdf_tags_gwcs},
                {"tag:astropy.org:astropy/transform/", tags_astropy}};

static asdf_build find(const struct asdf_node *node)
{
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        for (const struct asdf_tag_row *x = families[i].rows; x->name != NULL; x++) {
            if (asdf_tag_is(node, families[i].prefix, x->name)) {
                return x->build;
            }
        }
    }
    return NULL;
}

static struct transform *build(struct asdf_builder *b, const struct asdf_node *node)
{
    const asdf_build maker = find(node);
    struct transform *t;

    if (maker == NULL || !asdf_is_mapping(node)) {
        return asdf_build_error(b, node, "unknown tag %s%s where a transform is needed",
                                node->tag[0] != '\0' ? node->tag : "(none)",
                                maker != NULL ? " of a node that is no mapping" : "");
    }
    t = maker(b, node);
    if (t == NULL) {
        if (!b->named) {
            err_prefix(b->err, "%s: %s", node->file->name,
                       node->path[0] != '\0' ? node->path : "top of the tree");
            b->named = true;
        }
        return NULL;
    }
    transform_set_origin(t, node->file->name, node->path);
    if (asdf_get(node, "inverse") != NULL) {
        struct transform *inv = asdf_build_child(b, node, "inverse");

        if (inv == NULL) {
            transform_release(t);
            return NULL;
        }
        t = transform_with_inverse(t, inv, b->err);
    }
    return t;
}

struct transform *asdf_build_node(struct asdf_builder *b, const struct asdf_node *node)
{
    struct transform *t;

    for (size_t i = 0; node->shared && i < b->n_shared; i++) {
        if (b->shared[i].node == node) {
            return transform_hold(b->shared[i].made);
        }
    }
    if (b->depth > ASDF_MAX_DEPTH) {
        return asdf_build_error(b, node, "transforms nested more than %d deep",
                                ASDF_MAX_DEPTH);
    }
    b->depth++;
    t = build(b, node);
    b->depth--;
    if (t != NULL && node->shared) {
        if (b->n_shared == b->cap_shared) {
            const size_t cap = b->cap_shared == 0 ? 32 : 2 * b->cap_shared;
            void *more = mem_realloc(b->shared, cap, sizeof(*b->shared), b->err);

            if (more == NULL) {
                transform_release(t);
                return NULL;
            }
            b->shared = more;
            b->cap_shared = cap;
        }
        b->shared[b->n_shared].node = node;
        b->shared[b->n_shared++].made = transform_hold(t);
    }
    return t;
}

int asdf_transform(const struct asdf_node *node, struct transform **ret,
                   struct err *err)
{
    struct err mine = {0};
    struct asdf_builder b = {.err = &mine};
    struct transform *t;
    int rc;

    if (node == NULL) {
        return err_set(err, ERR_REFERENCE, "a transform is missing from the tree");
    }
    t = asdf_build_node(&b, node);
    for (size_t i = 0; i < b.n_shared; i++) {
        transform_release(b.shared[i].made);
    }
    free(b.shared);
    rc = t == NULL ? mine.code : transform_compile(t, &mine);
    if (rc != 0) {
        transform_release(t);
        return err_set(err, rc, "%s", mine.message);
    }
    *ret = t;
    return 0;
}
