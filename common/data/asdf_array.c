#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/asdf_impl.h"

/* core/ndarray and nested sequences, as doubles. */

#define MAX_AXES 4
#define MAX_FIELDS 256
#define MAX_VALUES ((size_t)1 << 27)
#define CORE "tag:stsci.edu:asdf/core/"

struct datatype {
    char kind; /* i u f b (bool) */
    size_t size;
    bool big_endian;
};

static const struct {
    const char *name;
    char kind;
    unsigned char size;
} datatypes[] = {{"int8", 'i', 1},    {"int16", 'i', 2},   {"int32", 'i', 4},
                 {"int64", 'i', 8},   {"uint8", 'u', 1},   {"uint16", 'u', 2},
                 {"uint32", 'u', 4},  {"uint64", 'u', 8},  {"float16", 'f', 2},
                 {"float32", 'f', 4}, {"float64", 'f', 8}, {"bool8", 'b', 1}};

static bool datatype_find(const char *name, struct datatype *ret)
{
    for (size_t i = 0; i < sizeof(datatypes) / sizeof(datatypes[0]); i++) {
        if (strcmp(datatypes[i].name, name) == 0) {
            ret->kind = datatypes[i].kind;
            ret->size = datatypes[i].size;
            return true;
        }
    }
    return false;
}

static bool is_big(const struct asdf_node *node, bool otherwise)
{
    const char *order;

    return asdf_string(node, &order) ? strcmp(order, "big") == 0 : otherwise;
}

static double half(unsigned bits)
{
    const int exponent = bits >> 10 & 31;
    const double part = bits & 1023;
    const double special = part != 0.0 ? (double)NAN : (double)INFINITY;
    const double value = exponent == 31  ? special
                         : exponent == 0 ? ldexp(part, -24)
                                         : ldexp(part + 1024.0, exponent - 25);

    return (bits & 0x8000) != 0 ? -value : value;
}

static double number(const unsigned char *p, const struct datatype *type)
{
    unsigned long long bits = 0;
    double d;
    float f;

    for (size_t i = 0; i < type->size; i++) {
        const size_t from = type->big_endian ? i : type->size - 1 - i;

        bits = bits << 8 | p[from];
    }
    switch (type->kind) {
    case 'u':
        return (double)bits;
    case 'b':
        return bits != 0 ? 1.0 : 0.0;
    case 'i': {
        const int unused = 64 - 8 * (int)type->size;
        long long value;

        bits <<= unused;
        memcpy(&value, &bits, sizeof(value));
        return (double)(value >> unused);
    }
    default:
        if (type->size == 2) {
            return half((unsigned)bits);
        }
        if (type->size == 4) {
            const unsigned word = (unsigned)bits;

            memcpy(&f, &word, sizeof(f));
            return (double)f;
        }
        memcpy(&d, &bits, sizeof(d));
        return d;
    }
}

/* ---- inline: a nested sequence ---- */

static int inline_shape(const struct asdf_node *node, struct asdf_array *a,
                        struct err *err)
{
    const struct asdf_node *at = node;

    a->n_axes = 0;
    a->n = 1;
    while (asdf_is_sequence(at)) {
        if (a->n_axes == MAX_AXES) {
            return asdf_error(node, err, "an array of more than %d axes", MAX_AXES);
        }
        a->shape[a->n_axes++] = asdf_count(at);
        if (mem_mul(a->n, asdf_count(at), &a->n) != 0 || a->n > ASDF_MAX_NODES) {
            return asdf_error(node, err, "an array of too many values");
        }
        at = asdf_item(at, 0);
    }
    return 0;
}

static int inline_fill(const struct asdf_node *node, const struct asdf_array *a,
                       int axis, bool single, double **to, struct err *err)
{
    int rc = 0;
    bool truth;

    if (axis == a->n_axes) {
        if (asdf_is_null(node)) {
            **to = NAN;
        } else if (asdf_bool(node, &truth)) {
            **to = truth;
        } else if (!asdf_real(node, *to)) {
            return asdf_error(node, err, "a number is needed in an array");
        }
        if (single) {
            **to = (double)(float)**to;
        }
        (*to)++;
        return 0;
    }
    if (!asdf_is_sequence(node) || asdf_count(node) != a->shape[axis]) {
        return asdf_error(node, err, "the rows of an array differ in length");
    }
    for (size_t i = 0; rc == 0 && i < a->shape[axis]; i++) {
        rc = inline_fill(asdf_item(node, i), a, axis + 1, single, to, err);
    }
    return rc;
}

static int inline_array(const struct asdf_node *node, bool single,
                        struct asdf_array *ret, struct err *err)
{
    struct asdf_array a = {0};
    int rc = inline_shape(node, &a, err);

    if (rc != 0) {
        return rc;
    }
    a.values = mem_alloc(a.n, sizeof(double), err);
    if (a.values == NULL) {
        return ERR_NOMEM;
    }
    double *to = a.values;

    rc = inline_fill(node, &a, 0, single, &to, err);
    if (rc != 0) {
        free(a.values);
        return rc;
    }
    *ret = a;
    return 0;
}

/* ---- in a block ---- */

/* Numbers of one kind: the elements themselves, or one field of each. */
struct column {
    struct datatype type;
    size_t skip; /* bytes from the begin of the element */
};

struct layout {
    struct column columns[MAX_FIELDS];
    size_t n_columns;
    size_t item;                /* bytes from one element to the next */
    size_t offset;              /* of the first element in the block */
    long long stride[MAX_AXES]; /* bytes */
};

/* The fields of records, one after another. */
static int read_fields(const struct asdf_node *node, const struct asdf_node *fields,
                       bool big_endian, struct layout *l, struct err *err)
{
    l->n_columns = asdf_count(fields);
    if (l->n_columns > MAX_FIELDS) {
        return asdf_error(node, err, "records of %zu fields; at most %d are read",
                          l->n_columns, MAX_FIELDS);
    }
    for (size_t i = 0; i < l->n_columns; i++) {
        const struct asdf_node *x = asdf_item(fields, i);
        const char *name = "", *type_name = "";
        struct column *c = &l->columns[i];

        asdf_string(asdf_get(x, "name"), &name);
        if (!asdf_string(asdf_get(x, "datatype"), &type_name) ||
            !datatype_find(type_name, &c->type)) {
            return asdf_error(node, err, "field %zu '%s' is not numeric", i, name);
        }
        if (asdf_get(x, "shape") != NULL && asdf_count(asdf_get(x, "shape")) > 0) {
            return asdf_error(node, err, "field '%s' is an array in itself", name);
        }
        c->type.big_endian = is_big(asdf_get(x, "byteorder"), big_endian);
        c->skip = l->item;
        l->item += c->type.size;
    }
    return 0;
}

static int read_datatype(const struct asdf_node *node, const struct asdf_node *fields,
                         struct layout *l, struct err *err)
{
    const bool big_endian = is_big(asdf_get(node, "byteorder"), false);
    struct datatype *type = &l->columns[0].type;
    const char *name = "?";

    if (fields != NULL) {
        return read_fields(node, fields, big_endian, l, err);
    }
    if (!asdf_string(asdf_get(node, "datatype"), &name) || !datatype_find(name, type)) {
        return asdf_error(node, err, "datatype '%s' is not numeric", name);
    }
    type->big_endian = big_endian;
    l->n_columns = 1;
    l->item = type->size;
    return 0;
}

/* Shape, with * as the first axis of a streamed array. */
static int read_shape(const struct asdf_node *node, size_t n_bytes, struct layout *l,
                      struct asdf_array *a, struct err *err)
{
    const struct asdf_node *shape = asdf_get(node, "shape");
    long long first = 0;
    const char *word;
    size_t n = 1;

    if (!asdf_is_sequence(shape) || asdf_count(shape) > MAX_AXES) {
        return asdf_error(node, err, "shape must be a list of at most %d sizes",
                          MAX_AXES);
    }
    a->n_axes = (int)asdf_count(shape);
    for (int i = a->n_axes - 1; i >= 0; i--) {
        const struct asdf_node *x = asdf_item(shape, (size_t)i);

        if (i == 0 && asdf_string(x, &word) && strcmp(word, "*") == 0) {
            first = n > 0 && l->offset < n_bytes
                        ? (long long)((n_bytes - l->offset) / (n * l->item))
                        : 0;
        } else if (!asdf_int(x, &first) || first < 0) {
            return asdf_error(node, err, "shape holds something that is not a size");
        }
        a->shape[i] = (size_t)first;
        if (mem_mul(n, (size_t)first, &n) != 0 || n > MAX_VALUES ||
            n > n_bytes / l->item) {
            return asdf_error(node, err, "its shape has more values than its block");
        }
    }
    a->n = n;
    return 0;
}

/* Strides, given or those of a plain array; every element must lie in the block. */
static int read_strides(const struct asdf_node *node, size_t n_bytes, struct layout *l,
                        const struct asdf_array *a, struct err *err)
{
    const struct asdf_node *strides = asdf_get(node, "strides");
    long long step = (long long)l->item, low = 0, high = 0;

    for (int i = a->n_axes - 1; i >= 0; i--) {
        long long far;

        l->stride[i] = step;
        if (strides != NULL &&
            !asdf_int(asdf_item(strides, (size_t)i), &l->stride[i])) {
            return asdf_error(node, err, "strides must be one number for each axis");
        }
        if (a->n > 0 &&
            (__builtin_mul_overflow(l->stride[i], (long long)a->shape[i] - 1, &far) ||
             __builtin_add_overflow(far < 0 ? low : high, far,
                                    far < 0 ? &low : &high) ||
             __builtin_mul_overflow(step, (long long)a->shape[i], &step))) {
            return asdf_error(node, err, "its strides are absurd");
        }
    }
    const long long begin = (long long)l->offset;

    if (a->n > 0 && (begin + low < 0 || high > (long long)n_bytes - begin ||
                     (size_t)(begin + high) + l->item > n_bytes)) {
        return asdf_error(node, err,
                          "its elements lie outside of its block (%zu bytes)", n_bytes);
    }
    return 0;
}

/* One column of all elements, beside the other columns. */
static void fill(const unsigned char *p, const struct layout *l, const struct column *c,
                 const struct asdf_array *a, int axis, double **to)
{
    if (axis == a->n_axes) {
        **to = number(p + c->skip, &c->type);
        *to += l->n_columns;
        return;
    }
    for (size_t i = 0; i < a->shape[axis]; i++) {
        fill(p + (long long)i * l->stride[axis], l, c, a, axis + 1, to);
    }
}

static int block_array(const struct asdf_node *node, const struct asdf_node *fields,
                       struct asdf_array *ret, struct err *err)
{
    const struct asdf *file = node->file;
    struct asdf_array a = {0};
    struct layout l = {0};
    const unsigned char *bytes;
    unsigned char *owned = NULL;
    long long source, offset = 0;
    size_t n_bytes;
    int rc;

    if (!asdf_int(asdf_get(node, "source"), &source)) {
        return asdf_error(node, err,
                          "its data are in another file; only blocks of this "
                          "file are read");
    }
    source += source < 0 ? (long long)file->n_blocks : 0;
    if (source < 0 || source >= (long long)file->n_blocks) {
        return asdf_error(node, err, "block %lld of %zu blocks", source,
                          file->n_blocks);
    }
    rc = read_datatype(node, fields, &l, err);
    if (rc != 0) {
        return rc;
    }
    rc = asdf_block_data(file, (size_t)source, &bytes, &n_bytes, &owned, err);
    if (rc != 0) {
        return rc;
    }
    if (asdf_get(node, "offset") != NULL &&
        (!asdf_int(asdf_get(node, "offset"), &offset) || offset < 0 ||
         offset > (long long)n_bytes)) {
        rc = asdf_error(node, err, "its offset lies outside of its block");
    }
    l.offset = (size_t)offset;
    rc = rc != 0 ? rc : read_shape(node, n_bytes, &l, &a, err);
    rc = rc != 0 ? rc : read_strides(node, n_bytes, &l, &a, err);
    if (rc == 0 && fields != NULL && a.n_axes == MAX_AXES) {
        rc = asdf_error(node, err, "records in more than %d axes", MAX_AXES - 1);
    }
    if (rc == 0 && !(a.values = mem_alloc(a.n, l.n_columns * sizeof(double), err))) {
        rc = ERR_NOMEM;
    }
    if (rc == 0) {
        for (size_t k = 0; k < l.n_columns && a.n > 0; k++) {
            double *to = a.values + k;

            fill(bytes + l.offset, &l, &l.columns[k], &a, 0, &to);
        }
        if (fields != NULL) {
            a.shape[a.n_axes++] = l.n_columns;
            a.n *= l.n_columns;
        }
        *ret = a;
    }
    free(owned);
    return rc;
}

/* In the tree; the rows of records are [1, 2.5], [2, 3.5]. */
static int tree_array(const struct asdf_node *node, const struct asdf_node *fields,
                      struct asdf_array *ret, struct err *err)
{
    const char *name;
    const bool single =
        asdf_string(asdf_get(node, "datatype"), &name) && strcmp(name, "float32") == 0;
    int rc = inline_array(asdf_get(node, "data"), single, ret, err);

    if (rc == 0 && fields != NULL &&
        (ret->n_axes < 2 || ret->shape[ret->n_axes - 1] != asdf_count(fields))) {
        free(ret->values);
        *ret = (struct asdf_array){0};
        rc =
            asdf_error(node, err, "its rows do not have the %zu fields of its datatype",
                       asdf_count(fields));
    }
    return rc;
}

int asdf_array(const struct asdf_node *node, struct asdf_array *ret, struct err *err)
{
    if (node == NULL) {
        return err_set(err, ERR_BUG, "asdf_array: no node");
    }
    if (asdf_tag_is(node, "tag:stsci.edu:asdf/unit/", "quantity")) {
        node = asdf_get(node, "value");
        if (node == NULL) {
            return err_set(err, ERR_REFERENCE, "a quantity without a value");
        }
    }
    if (!asdf_tag_is(node, CORE, "ndarray") && node->tag[0] != '\0' &&
        strncmp(node->tag, "tag:yaml.org,2002:", 18) != 0) {
        return asdf_error(node, err, "unknown tag %s where an array is needed",
                          node->tag);
    }
    if (!asdf_is_mapping(node)) {
        return inline_array(node, false, ret, err);
    }
    if (asdf_get(node, "mask") != NULL) {
        return asdf_error(node, err, "masked arrays are not read");
    }
    const struct asdf_node *fields = asdf_get(node, "datatype");

    if (!asdf_is_sequence(fields)) {
        fields = NULL;
    } else if (asdf_count(fields) == 0) {
        return asdf_error(node, err, "its records have no fields");
    }
    return asdf_get(node, "data") != NULL ? tree_array(node, fields, ret, err)
                                          : block_array(node, fields, ret, err);
}
