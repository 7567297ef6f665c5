#ifndef IFUD_STAGES_CUBE_LINKS_H
#define IFUD_STAGES_CUBE_LINKS_H

#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"
#include "common/base/par.h"
#include "common/data/cube_covariance.h"

/*
 * Which detector pixel went into which spaxel by how much, in a few planes of a cube, and
 * from that how far the spaxels of an aperture are from independent.
 *
 * The sum of an aperture's spaxels is a sum over pixels p of f_p times the share
 * s_p = sum_v a_v w_pv / W_v (a: how much of spaxel v lies in the aperture, W_v the sum of
 * the weights in it). So its variance is sum_p s_p^2 e_p^2, whereas the spaxels taken as
 * independent have sum_v a_v ERR_v^2. The factor of cube_covariance.h is the root of the
 * ratio, averaged (as a variance) over places in the field and over the planes.
 *
 * Ownership: cube_links_free. Thread: a plane is written by one thread at a time (that of
 * its tile), different planes by any.
 * Test: tests/stages/test_cube_links.c
 */

#define CUBE_LINKED_PLANES 8

struct cube_link {
    uint32_t spaxel; /* j * nx + i */
    float weight;
};

struct cube_linked_pixel {
    double variance; /* e^2 */
    size_t end;      /* its links end before this one and begin where the last ended */
};

struct cube_linked_plane {
    int k;
    size_t last; /* pixel that is being written; SIZE_MAX: none */
    struct cube_link *links;
    size_t n_links, room_links;
    struct cube_linked_pixel *pixels;
    size_t n_pixels, room_pixels;
    int full; /* given up for lack of room: the plane does not count */
};

struct cube_links {
    int n;
    struct cube_linked_plane planes[CUBE_LINKED_PLANES];
    size_t most_bytes; /* of all planes; beyond it one after another is given up */
};

/* Planes equally spread over nw. */
struct cube_links *cube_links_new(int nw, struct err *err);
void cube_links_free(struct cube_links *l); /* NULL is fine */

/* From here on pixels belong to another exposure. While the links take more than
 * most_bytes, and more than one plane is left, planes are given up. */
void cube_links_next_exposure(struct cube_links *l);

/* Does a plane of k0..k1-1 take part? */
int cube_links_within(const struct cube_links *l, int k0, int k1);

/* Pixel `pixel` (its links of one plane must follow each other) has this weight in a
 * spaxel of plane k; nothing happens if k does not take part. */
void cube_links_add(struct cube_links *l, int k, size_t spaxel, double weight,
                    size_t pixel, double variance);

/*
 * The table of factors; planes may be given up before.
 * Given:     nx, ny   spaxels of a plane; scale: of a spaxel, arcsec
 * Returned:  *ret, NULL where no plane holds data
 */
int cube_links_covariance(struct cube_links *l, int nx, int ny, double scale,
                          struct par *par, const atomic_bool *cancel,
                          struct cube_covariance **ret, struct err *err);

#endif
