#ifndef IFUD_STAGES_EXTRACT_REGION_H
#define IFUD_STAGES_EXTRACT_REGION_H

#include "common/base/err.h"
#include "common/data/cube.h"
#include "common/math/aperture.h"

/*
 * Regions of a cube that are summed as they are: the share of each spaxel that lies in
 * them (10 x 10 points of it). Angles on the sky are those of the cube's tangent plane.
 * Thread: any. Test: tests/stages/test_extract_region.c
 */

/*
 * An ellipse. Given: x, y: centre (spaxels); a, b: semi-axes along and across (arcsec);
 * pa: of a, degrees east of north.
 * Returned: *ret, to be freed with aperture_free. ERR_PARAM if it misses the cube.
 */
int extract_region_ellipse(const struct cube *c, double x, double y, double a, double b,
                           double pa, struct aperture **ret, struct err *err);

/*
 * From a file: a FITS image of the cube's nx x ny spaxels (first image; what is not 0 is
 * in), or a region file of DS9 in fk5, icrs or image coordinates: circle, ellipse, box and
 * polygon, in degrees (or h:m:s and d:m:s) with sizes in degrees, ' or "; a minus in front
 * takes a shape out. What DS9 says of looks is left aside.
 * Returned: likewise; ERR_INPUT naming file, line and what would be right
 */
int extract_region_read(const struct cube *c, const char *path, struct aperture **ret,
                        struct err *err);

#endif
