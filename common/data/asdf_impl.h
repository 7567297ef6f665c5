#ifndef IFUD_DATA_ASDF_IMPL_H
#define IFUD_DATA_ASDF_IMPL_H

#include "common/data/asdf.h"

/* Inside of the ASDF reader: shared by asdf*.c and transform_asdf*.c only. */

/* Bounds of what a hostile file may ask for. */
#define ASDF_MAX_FILE ((size_t)512 << 20) /* bytes */
#define ASDF_MAX_DATA ((size_t)1 << 30)   /* bytes of one block, decompressed */
#define ASDF_MAX_NODES 2000000
#define ASDF_MAX_DEPTH 400
#define ASDF_MAX_ANCHORS 20000

enum asdf_kind { ASDF_SCALAR, ASDF_SEQUENCE, ASDF_MAPPING };

struct asdf_node {
    const struct asdf *file;
    const char *tag, *path;
    enum asdf_kind kind;
    bool quoted; /* a scalar in quotes: a string whatever it looks like */
    bool shared; /* an alias points here */
    const char *text;
    size_t n;
    const struct asdf_node **items;
    const char **keys;
};

/* A block as it stands in the file. */
struct asdf_block {
    size_t offset; /* of its data in the file */
    size_t used;   /* bytes stored */
    size_t size;   /* bytes once decompressed */
    char compression[5];
};

struct asdf_chunk;

struct asdf {
    char *name; /* of the file, for messages */
    unsigned char *bytes;
    size_t n_bytes;
    struct asdf_block *blocks;
    size_t n_blocks;
    struct asdf_chunk *chunks; /* nodes and strings */
    size_t chunk_bytes;
    const struct asdf_node *root;
};

/* Index the blocks that begin at or after `from`; checks sizes and checksums. */
int asdf_blocks_find(struct asdf *a, size_t from, struct err *err);

/*
 * The data of block `i`: *ret points into the file's bytes, or, decompressed, into
 * *ret_owned, which the caller frees (NULL if nothing was decompressed).
 */
int asdf_block_data(const struct asdf *a, size_t i, const unsigned char **ret,
                    size_t *ret_n, unsigned char **ret_owned, struct err *err);

/* ERR_REFERENCE "file: path: message". */
int asdf_error(const struct asdf_node *node, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Does the tag read "<prefix><name>-<version>"? */
bool asdf_tag_is(const struct asdf_node *node, const char *prefix, const char *name);

#endif
