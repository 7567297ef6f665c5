#ifndef IFUD_MATH_STAR_FINDER_H
#define IFUD_MATH_STAR_FINDER_H

#include <stdbool.h>
#include "common/base/err.h"

/*
 * The brightest point-like source of an image.
 *
 * Given:      image      ny rows of nx pixels, background subtracted, all finite
 *             threshold  least amplitude of a source (image units)
 *             fwhm       of the source (pixels), > 0
 * Returned:   *ret_found; if true *ret_x, *ret_y: centroid (pixels, 0-based)
 * Algorithm:  local maxima of the image convolved with a zero-sum Gaussian, one within
 *             2.5 FWHM, above the threshold times the kernel's relative error; kept if
 *             0.2 <= sharpness <= 1 and both roundnesses are within +-1; the centroid
 *             fits the Gaussian's marginals. Of those kept the one with the largest sum
 *             over the kernel's box; ties go to the lowest row, then column.
 * Ownership:  borrows the image. Thread: any.
 * Reference:  Stetson 1987, PASP 99, 191 (DAOFIND), with the conventions of photutils
 *             3.0: zero outside the image, a ring of 2.5 FWHM centred half a pixel low
 *             where its diameter in pixels is even. Test: tests/math/test_star_finder.c
 */
int star_find_brightest(const float *image, int nx, int ny, double threshold,
                        double fwhm, bool *ret_found, double *ret_x, double *ret_y,
                        struct err *err);

#endif
