#ifndef IFUD_DATA_TRANSFORM_ASDF_H
#define IFUD_DATA_TRANSFORM_ASDF_H

#include <stdint.h>
#include "common/data/asdf_impl.h"
#include "common/data/transform_impl.h"

/*
 * From ASDF nodes to transforms: shared by transform_asdf*.c only.
 *
 * A builder makes the transform of one tag from its node; it returns NULL with err set.
 * Stored inverses, names and bounding boxes are the business of transform_asdf.c.
 */

struct asdf_builder;

typedef struct transform *(*asdf_build)(struct asdf_builder *b,
                                        const struct asdf_node *node);

struct asdf_tag_row {
    const char *name; /* between the prefix and the version */
    asdf_build build;
};

struct asdf_builder {
    struct err *err;
    int depth;
    bool named; /* err says already where it happened */
    struct {
        const struct asdf_node *node;
        struct transform *made;
    } *shared; /* what aliases point to is built once */
    size_t n_shared, cap_shared;
};

/* The transform at node (NULL node: an error that names parent and what is missing). */
struct transform *asdf_build_node(struct asdf_builder *b, const struct asdf_node *node);
struct transform *asdf_build_child(struct asdf_builder *b,
                                   const struct asdf_node *parent, const char *key);

/* Errors of a builder: set err, remember that it is named, return NULL. */
struct transform *asdf_build_error(struct asdf_builder *b, const struct asdf_node *node,
                                   const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A number (also a quantity, or an array of one value) under key; false: err is set. */
bool asdf_build_real(struct asdf_builder *b, const struct asdf_node *node,
                     const char *key, double *ret);
#define ASDF_ANY_LENGTH SIZE_MAX

/* An array under key with exactly n values (or ASDF_ANY_LENGTH); the caller frees it. */
bool asdf_build_array(struct asdf_builder *b, const struct asdf_node *node,
                      const char *key, size_t n, struct asdf_array *ret);
/* A word under key; false: err is set. */
bool asdf_build_word(struct asdf_builder *b, const struct asdf_node *node,
                     const char *key, const char **ret);

/* Tags of the peer and of gwcs (transform_asdf_peer.c), and selectors. */
extern const struct asdf_tag_row asdf_tags_peer[], asdf_tags_gwcs[];
struct transform *asdf_build_label_mapper(struct asdf_builder *b,
                                          const struct asdf_node *node);
struct transform *asdf_build_regions_selector(struct asdf_builder *b,
                                              const struct asdf_node *node);
/* Numeric leaves with arrays (transform_asdf_leaves.c). */
struct transform *asdf_build_polynomial(struct asdf_builder *b,
                                        const struct asdf_node *node);
struct transform *asdf_build_ortho(struct asdf_builder *b,
                                   const struct asdf_node *node);
struct transform *asdf_build_tabular(struct asdf_builder *b,
                                     const struct asdf_node *node);
struct transform *asdf_build_affine(struct asdf_builder *b,
                                    const struct asdf_node *node);
struct transform *asdf_build_rotate3d(struct asdf_builder *b,
                                      const struct asdf_node *node);
struct transform *asdf_build_rotate_sequence(struct asdf_builder *b,
                                             const struct asdf_node *node);
/* The angles and axes of a rotation sequence; false: err is set. */
bool asdf_build_turns(struct asdf_builder *b, const struct asdf_node *node,
                      double angles[16], const char **ret_axes);

#endif
