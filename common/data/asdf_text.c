#include "common/data/asdf_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "common/base/mem.h"
#include "common/data/transform_impl.h"

static const char head[] =
    "#ASDF 1.0.0\n"
    "#ASDF_STANDARD 1.5.0\n"
    "%YAML 1.1\n"
    "%TAG ! tag:stsci.edu:asdf/\n"
    "--- !core/asdf-1.1.0\n"
    "asdf_library: !core/software-1.0.0 {name: ifud, version: " IFUD_VERSION "}\n";

struct buffer {
    char *at;
    size_t n, room;
};

struct block {
    unsigned char *data;
    size_t n, size; /* bytes stored, and once decompressed */
    bool packed;
};

struct asdf_text {
    struct buffer text;
    struct block *blocks;
    size_t n_blocks;
    const struct transform **shared; /* written with an anchor, numbered from 0 */
    size_t n_shared;
    struct err err;
};

/* Room for n more bytes; false: failed, now or before. */
static bool make_room(struct asdf_text *t, struct buffer *b, size_t n)
{
    if (t->err.code) {
        return false;
    }
    if (n > b->room - b->n) {
        size_t room = 2 * b->room + n;
        char *at = mem_realloc(b->at, room, 1, &t->err);
        if (!at) {
            return false;
        }
        b->at = at;
        b->room = room;
    }
    return true;
}

struct asdf_text *asdf_text_new(struct err *err)
{
    struct asdf_text *t = mem_calloc(1, sizeof *t, err);
    if (t) {
        asdf_text_put(t, "%s", head);
    }
    return t;
}

void asdf_text_free(struct asdf_text *t)
{
    if (t) {
        for (size_t i = 0; i < t->n_blocks; i++) {
            free(t->blocks[i].data);
        }
        free(t->blocks);
        free(t->shared);
        free(t->text.at);
        free(t);
    }
}

void asdf_text_fail(struct asdf_text *t, int code, const char *message)
{
    if (!t->err.code) {
        err_set(&t->err, code, "%s", message);
    }
}

void asdf_text_put(struct asdf_text *t, const char *fmt, ...)
{
    struct buffer *b = &t->text;
    size_t need = 256;
    while (make_room(t, b, need)) {
        va_list ap;
        va_start(ap, fmt);
        int n = vsnprintf(b->at + b->n, b->room - b->n, fmt, ap);
        va_end(ap);
        if (n >= 0 && (size_t)n < b->room - b->n) {
            b->n += (size_t)n;
            return;
        }
        need = n >= 0 ? (size_t)n + 1 : 2 * need;
    }
}

/* With a point, before the exponent if any. */
struct asdf_number asdf_number(double v)
{
    struct asdf_number n = {".nan"};
    char digits[32];
    if (v == v) {
        snprintf(digits, sizeof digits, "%.17g", v);
        size_t mantissa = strcspn(digits, "e");
        bool pointed = memchr(digits, '.', mantissa) != NULL;
        snprintf(n.text, sizeof n.text, "%.*s%s%s", (int)mantissa, digits,
                 pointed ? "" : ".0", digits + mantissa);
    }
    return n;
}

void asdf_text_real(struct asdf_text *t, double v)
{
    asdf_text_put(t, "%s", asdf_number(v).text);
}

void asdf_text_reals(struct asdf_text *t, size_t n, const double *v)
{
    for (size_t i = 0; i < n; i++) {
        asdf_text_put(t, i ? ", " : "[");
        asdf_text_real(t, v[i]);
    }
    asdf_text_put(t, "]");
}

/* ---- blocks ---- */

/* Take over the data of a new block; its number. */
static size_t add_block(struct asdf_text *t, struct block b)
{
    struct block *more =
        t->err.code ? NULL
                    : mem_realloc(t->blocks, t->n_blocks + 1, sizeof *more, &t->err);
    if (!more) {
        free(b.data);
        return 0;
    }
    t->blocks = more;
    t->blocks[t->n_blocks] = b;
    return t->n_blocks++;
}

void asdf_text_array(struct asdf_text *t, size_t n, const double *v)
{
    size_t at = 0, size = n * sizeof *v;
    while (at < t->n_blocks && (t->blocks[at].packed || t->blocks[at].n != size ||
                                memcmp(t->blocks[at].data, v, size) != 0)) {
        at++;
    }
    if (at == t->n_blocks) {
        unsigned char *copy = t->err.code ? NULL : mem_alloc(n, sizeof *v, &t->err);
        if (!copy) {
            return;
        }
        memcpy(copy, v, size);
        at = add_block(t, (struct block){copy, size, size, false});
    }
    asdf_text_put(t,
                  "!core/ndarray-1.0.0 {source: %zu, datatype: float64, byteorder: %s, "
                  "shape: [%zu]}",
                  at, __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? "little" : "big", n);
}

void asdf_text_bytes(struct asdf_text *t, size_t nx, size_t ny, const uint8_t *v)
{
    uLongf n = compressBound((uLong)(nx * ny));
    unsigned char *packed = t->err.code ? NULL : mem_alloc(n, 1, &t->err);
    if (!packed) {
        return;
    }
    if (compress2(packed, &n, v, (uLong)(nx * ny), 1) != Z_OK) {
        free(packed);
        asdf_text_fail(t, ERR_NOMEM, "no memory to compress a slice map");
        return;
    }
    size_t at = add_block(t, (struct block){packed, n, nx * ny, true});
    asdf_text_put(t,
                  "!core/ndarray-1.0.0 {source: %zu, datatype: uint8, byteorder: big, "
                  "shape: [%zu, %zu]}",
                  at, ny, nx);
}

static void put_big(unsigned char *to, int n, unsigned long long v)
{
    for (int i = n - 1; i >= 0; i--) {
        to[i] = (unsigned char)v;
        v >>= 8;
    }
}

/* A checksum of zeros is none: FITS products are hashed as a whole. */
static void append_block(struct asdf_text *t, const struct block *b)
{
    unsigned char header[54] = "\323BLK";
    put_big(header + 4, 2, 48);
    if (b->packed) {
        memcpy(header + 10, "zlib", 4);
    }
    put_big(header + 14, 8, b->n);
    put_big(header + 22, 8, b->n);
    put_big(header + 30, 8, b->size);
    if (make_room(t, &t->text, sizeof header + b->n)) {
        memcpy(t->text.at + t->text.n, header, sizeof header);
        memcpy(t->text.at + t->text.n + sizeof header, b->data, b->n);
        t->text.n += sizeof header + b->n;
    }
}

int asdf_text_finish(struct asdf_text *t, const unsigned char **ret, size_t *ret_n,
                     struct err *err)
{
    asdf_text_put(t, "...\n");
    for (size_t i = 0; i < t->n_blocks; i++) {
        append_block(t, &t->blocks[i]);
    }
    if (t->err.code) {
        return err_set(err, t->err.code, "%s", t->err.message);
    }
    *ret = (const unsigned char *)t->text.at;
    *ret_n = t->text.n;
    return 0;
}

int asdf_text_write(struct asdf_text *t, struct fits_out *f, struct err *err)
{
    const unsigned char *data;
    size_t n;
    int code = asdf_text_finish(t, &data, &n, err);
    if (!code) {
        const struct fits_column column = {
            .name = "ASDF_METADATA", .type = FITS_UINT8, .repeat = n, .data = data};
        code = fits_out_table(f, "ASDF", NULL, 1, &column, 1, err);
    }
    return code;
}

/* ---- transforms ---- */

/* A constant has no inputs; what comes in is dropped by the remap before it. */
static bool is_constant(const struct transform *x)
{
    return x->kind == TRANSFORM_COMPOSE && x->b->kind == TRANSFORM_LEAF &&
           x->b->n_in == 0;
}

/* The tag of a node that wires others. */
static const char *wiring(const struct transform *x)
{
    bool same = x->n_in == x->n_out;
    switch (x->kind) {
    case TRANSFORM_COMPOSE:
        return is_constant(x) ? "constant-1.4.0" : "compose-1.2.0";
    case TRANSFORM_CONCATENATE:
        return "concatenate-1.2.0";
    case TRANSFORM_FIX:
        return "fix_inputs-1.2.0";
    case TRANSFORM_REMAP:
        for (int i = 0; i < x->n_out; i++) {
            same = same && x->idx[i] == i;
        }
        return same ? "identity-1.2.0" : "remap_axes-1.3.0";
    case TRANSFORM_ARITHMETIC:
        switch ((char)x->par[0]) {
        case '+':
            return "add-1.2.0";
        case '-':
            return "subtract-1.2.0";
        case '*':
            return "multiply-1.2.0";
        case '/':
            return "divide-1.2.0";
        default:
            return "power-1.2.0";
        }
    case TRANSFORM_LEAF:
        break;
    }
    return NULL;
}

static void put_parts(struct asdf_text *t, const struct transform *x)
{
    if (is_constant(x)) {
        asdf_text_put(t, "dimensions: %d, value: ", x->a->n_in);
        asdf_text_real(t, x->b->par[0]);
        return;
    }
    if (x->kind == TRANSFORM_REMAP) {
        asdf_text_put(t, "n_inputs: %d, n_dims: %d, mapping: [", x->n_in, x->n_in);
        for (int i = 0; i < x->n_out; i++) {
            asdf_text_put(t, i ? ", %d" : "%d", x->idx[i]);
        }
        asdf_text_put(t, "]");
        return;
    }
    asdf_text_put(t, "forward: [");
    asdf_text_transform(t, x->a, "");
    asdf_text_put(t, ", ");
    if (x->kind == TRANSFORM_FIX) {
        int n = x->a->n_in - x->n_in;
        asdf_text_put(t, "{keys: [");
        for (int i = 0; i < n; i++) {
            asdf_text_put(t, i ? ", %d" : "%d", x->idx[i]);
        }
        asdf_text_put(t, "], values: ");
        asdf_text_reals(t, (size_t)n, x->par);
        asdf_text_put(t, "}");
    } else {
        asdf_text_transform(t, x->b, "");
    }
    asdf_text_put(t, "]");
}

/* An alias, if it was written before; else an anchor, if it may come again. */
static bool put_shared(struct asdf_text *t, const struct transform *x)
{
    for (size_t i = 0; i < t->n_shared; i++) {
        if (t->shared[i] == x) {
            asdf_text_put(t, "*t%zu", i);
            return true;
        }
    }
    if (atomic_load(&((struct transform *)(uintptr_t)x)->refs) > 1 && !t->err.code) {
        const struct transform **more =
            mem_realloc(t->shared, t->n_shared + 1, sizeof *more, &t->err);
        if (more) {
            t->shared = more;
            asdf_text_put(t, "&t%zu ", t->n_shared);
            t->shared[t->n_shared++] = x;
        }
    }
    return false;
}

void asdf_text_transform(struct asdf_text *t, const struct transform *what,
                         const char *keys)
{
    if (put_shared(t, what)) {
        return;
    }
    const char *tag = wiring(what);
    if (tag) {
        asdf_text_put(t, "!transform/%s {%s", tag, keys);
        put_parts(t, what);
    } else if (what->op->write) {
        what->op->write(what, t, keys);
    } else {
        char message[200];
        snprintf(message, sizeof message, "a transform '%s' cannot be written",
                 what->op->name);
        asdf_text_fail(t, ERR_REFERENCE, message);
    }
    if (what->inverse) {
        asdf_text_put(t, ", inverse: ");
        asdf_text_transform(t, what->inverse, "");
    }
    asdf_text_put(t, "}");
}
