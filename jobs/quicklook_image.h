#ifndef IFUD_JOBS_QUICKLOOK_IMAGE_H
#define IFUD_JOBS_QUICKLOOK_IMAGE_H

#include <cairo.h>
#include "common/base/err.h"
#include "common/data/cube.h"
#include "common/data/spectrum.h"

/*
 * The left half of a quicklook: the cube's median over the wavelengths with its scale,
 * north and east, and what was extracted for s (a list, or NULL).
 * Returned: 0 or ERR_NOMEM. Thread: that of the cairo_t. Test: tests/jobs/test_quicklook.c
 */
int quicklook_image_draw(cairo_t *cr, const struct cube *c, const struct spectrum *s,
                         struct err *err);

#endif
