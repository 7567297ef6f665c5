#ifndef IFUD_DATA_CUBE_COVARIANCE_H
#define IFUD_DATA_CUBE_COVARIANCE_H

#include <stddef.h>
#include "common/base/err.h"
#include "common/data/cube.h"
#include "common/data/fits_io.h"

/*
 * How far the spaxels of a cube are from independent: a detector pixel goes into several
 * of them, so the error of a sum over an aperture is larger than the root of the sum of
 * their variances, by a factor that grows with the aperture from 1 to a constant.
 * A table of that factor belongs to a cube; cube_build fills it in from its weights
 * (stages/cube_links.h). Thread: any, read-only.
 * Test: tests/data/test_cube_covariance.c
 */
struct cube_covariance {
    size_t n;              /* at least 1 */
    double *radius_arcsec; /* n, ascending; the last: the whole field and beyond */
    double *factor;        /* n, of standard deviations */
};

/* A table of n rows, zeroed; NULL if out of memory. cube_covariance_free releases it. */
struct cube_covariance *cube_covariance_new(size_t n, struct err *err);
void cube_covariance_free(struct cube_covariance *v); /* NULL is fine */

/*
 * sqrt(variance of the sum over a circle / sum of the variances of its spaxels).
 * Given:     c              cube
 *            radius_arcsec  of the circle; INFINITY: the whole field
 * Returned:  the factor, linear between the rows, 1 at radius 0; 1 if it is not known
 *            or the radius is not a number
 */
double cube_covariance_factor(const struct cube *c, double radius_arcsec);

/* The table extension COVARIANCE (RADIUS in arcsec, FACTOR). */
int cube_covariance_write(const struct cube_covariance *v, struct fits_out *f,
                          struct err *err);
/* Read it back; *ret is NULL if the file has none. Radii must ascend, factors be finite
 * and positive. `path` is for messages. */
int cube_covariance_read(struct fits_in *f, const char *path,
                         struct cube_covariance **ret, struct err *err);

#endif
