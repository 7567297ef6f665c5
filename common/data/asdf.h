#ifndef IFUD_DATA_ASDF_H
#define IFUD_DATA_ASDF_H

#include <stdbool.h>
#include <stddef.h>
#include "common/base/err.h"
#include "common/data/transform.h"

/*
 * A strict reader of ASDF files (ASDF Standard 1.0 to 1.6): a YAML tree and its blocks.
 * Hostile input is expected: depth, node count, sizes and block offsets are checked.
 *
 * Ownership: asdf_free releases the tree; nodes and strings are borrowed from it.
 * Thread: a struct asdf is immutable after asdf_read.
 * Test: tests/data/test_asdf.c, tests/data/test_transform_asdf.c
 */

struct asdf;
struct asdf_node; /* a scalar, sequence or mapping, with its tag and its path */

int asdf_read(const char *path, struct asdf **ret, struct err *err);
/* The same of the content of a file that is in memory, an ASDF extension of a FITS file
 * for example. name: for messages. Takes over bytes (from malloc), also on failure. */
int asdf_read_bytes(const char *name, unsigned char *bytes, size_t n, struct asdf **ret,
                    struct err *err);
void asdf_free(struct asdf *a);
size_t asdf_bytes(const struct asdf *a); /* memory in use */

const struct asdf_node *asdf_root(const struct asdf *a);

/* A child by a path of keys and indices: "meta.instrument.name", "model.forward.0".
 * NULL if absent. */
const struct asdf_node *asdf_get(const struct asdf_node *node, const char *path);
/* Children of a sequence or mapping: count, i-th value. */
size_t asdf_count(const struct asdf_node *node);
const struct asdf_node *asdf_item(const struct asdf_node *node, size_t i);
bool asdf_is_mapping(const struct asdf_node *node);
bool asdf_is_sequence(const struct asdf_node *node);
/* The tag ("tag:stsci.edu:asdf/transform/shift-1.2.0") or "". */
const char *asdf_tag(const struct asdf_node *node);
/* Where the node stands: "model.forward.0.offset". Borrowed. */
const char *asdf_path(const struct asdf_node *node);

/* Scalars. A quantity (unit/quantity) reads as its value. false: not of that kind. */
bool asdf_string(const struct asdf_node *node, const char **ret);
bool asdf_real(const struct asdf_node *node, double *ret);
bool asdf_int(const struct asdf_node *node, long long *ret);
bool asdf_bool(const struct asdf_node *node, bool *ret);
bool asdf_is_null(const struct asdf_node *node);

/*
 * A numeric array as doubles: core/ndarray (inline or block, any endianness and
 * numeric datatype, zlib / lz4 blocks), a quantity of one, or a plain nested sequence
 * (null is NaN). shape: up to 4 axes, slowest first. The caller frees values with free().
 * A structured array (datatype: a list of numeric fields, each with its own byteorder,
 * as in ifuslicer's data) gets its fields as one more, last axis: shape [30] of 5 fields
 * reads as [30][5].
 */
struct asdf_array {
    int n_axes;
    size_t shape[4];
    size_t n; /* product of shape */
    double *values;
};
int asdf_array(const struct asdf_node *node, struct asdf_array *ret, struct err *err);

/*
 * Compile the transform at `node` (any of the transform tags; see transform_asdf.c).
 * An unknown tag: ERR_REFERENCE naming the tag, the file and the path in the tree.
 */
int asdf_transform(const struct asdf_node *node, struct transform **ret,
                   struct err *err);

#endif
