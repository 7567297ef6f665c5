#ifndef IFUD_DATA_ASDF_TEXT_H
#define IFUD_DATA_ASDF_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"
#include "common/data/fits_io.h"
#include "common/data/transform.h"

/*
 * Writing an ASDF tree: text that grows, and binary blocks behind it. The first failure
 * stays; what follows it does nothing, so that only asdf_text_finish need be looked at.
 * Reference: ASDF Standard 1.5.0. Thread: one. Test: tests/data/test_asdf_text.c
 */
struct asdf_text;

struct asdf_text *
asdf_text_new(struct err *err);           /* the head of a file; NULL: no memory */
void asdf_text_free(struct asdf_text *t); /* NULL is fine */

__attribute__((format(printf, 2, 3))) void asdf_text_put(struct asdf_text *t,
                                                         const char *fmt, ...);
/* A number that YAML 1.1 takes for a real one, as text. */
struct asdf_number {
    char text[40];
};
struct asdf_number asdf_number(double v);
void asdf_text_real(struct asdf_text *t, double v);
/* "[1.0, 2.0]" */
void asdf_text_reals(struct asdf_text *t, size_t n, const double *v);
/* An ndarray in a block; what is there already is not stored twice. */
void asdf_text_array(struct asdf_text *t, size_t n, const double *v);
/* An ndarray of ny rows in a compressed block. */
void asdf_text_bytes(struct asdf_text *t, size_t nx, size_t ny, const uint8_t *v);

/*
 * A transform as a tree of tags, with its stored inverses. keys: of its own mapping,
 * "inputs: [x, y], " for example, or "". A transform that was written before, and is held
 * more than once, becomes an alias. ERR_REFERENCE: it has a part that has no tag here.
 */
void asdf_text_transform(struct asdf_text *t, const struct transform *what,
                         const char *keys);

/* Fail, if nothing has failed before: for those who write parts of a tree. */
void asdf_text_fail(struct asdf_text *t, int code, const char *message);

/* The whole file; borrowed until asdf_text_free. The first failure, or 0. */
int asdf_text_finish(struct asdf_text *t, const unsigned char **ret, size_t *ret_n,
                     struct err *err);

/* The same as extension ASDF of a product: a table of one cell. */
int asdf_text_write(struct asdf_text *t, struct fits_out *f, struct err *err);

#endif
