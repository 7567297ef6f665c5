#ifndef IFUD_DATA_PLANE_SET_H
#define IFUD_DATA_PLANE_SET_H

#include <stddef.h>
#include "common/base/err.h"
#include "common/data/header.h"
#include "common/data/provenance.h"

/*
 * Images that a stage worked with, as a product of their own: each one extension.
 * Ownership: plane_set_free releases headers and images. Thread: one.
 * Test: tests/data/test_plane_set.c
 */

#define PLANE_SET_MOST 4

struct plane_set {
    struct header primary;
    const char *model; /* DATAMODL; static */
    size_t n;
    struct plane_set_image {
        const char *extname; /* static */
        int n_axes;
        size_t axes[3]; /* fastest first */
        float *data;
    } images[PLANE_SET_MOST];
};

/* With a copy of these cards. */
struct plane_set *plane_set_new(const char *model, const struct header *primary,
                                struct err *err);
void plane_set_free(struct plane_set *p); /* NULL is fine */

/* One more image, of two or three axes (nz 0: two). Takes data over, also on failure. */
int plane_set_add(struct plane_set *p, const char *extname, size_t nx, size_t ny,
                  size_t nz, float *data, struct err *err);

/* path: a file that does not exist yet; filename: its final name, for FILENAME. */
int plane_set_write(const struct plane_set *p, const char *path, const char *filename,
                    const struct provenance *provenance, struct err *err);

#endif
