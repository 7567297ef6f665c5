#ifndef IFUD_STAGES_IMPRINT_H
#define IFUD_STAGES_IMPRINT_H

#include <stdbool.h>
#include <stddef.h>
#include "common/data/exposure.h"

/*
 * The parts of imprint_subtract: which leakage exposure (imprint) is taken, and how
 * strong the leakage is. Thread: any (both look at what they are given, and no more).
 * Test: tests/stages/test_imprint_subtract.c
 */

enum imprint_how {
    IMPRINT_NONE,      /* none may be used */
    IMPRINT_SOLE,      /* the only one: for all dithers */
    IMPRINT_MATCH,     /* of the same observation and dither position */
    IMPRINT_REMAINING, /* the only one with the same background flag */
    IMPRINT_NEAREST    /* none matches: the nearest on the sky */
};

struct imprint_choice {
    enum imprint_how how;
    size_t index;    /* of the imprint; not IMPRINT_NONE */
    double distance; /* between the two pointings, arcsec */
};

/*
 * Choose the imprint of an exposure by the peer's rules: a sole one for all; else of
 * those with the same BKGDTARG the first of the same OBSERVTN and PATT_NUM, or the
 * only one there is. Where these leave none, `nearest` allows beyond the peer: the
 * nearest on the sky, of those with the same BKGDTARG if there are any; of equally near
 * ones (1 mas) the nearest in time, then the first.
 * Given:      imprints  their keywords, n
 * Reference:  jwst user documentation, "imprint_subtract".
 */
struct imprint_choice imprint_match(const struct exposure_meta *e,
                                    const struct exposure_meta *imprints, size_t n,
                                    bool nearest);

/* Are both of one detector, disperser, filter and part of the frame? ERR_INPUT names
 * the imprint, the keyword, its value and the exposure's. */
int imprint_check(const struct exposure *e, const struct exposure *imprint,
                  struct err *err);

struct imprint_amplitude {
    double value, error; /* value: NaN if it cannot be fitted */
    size_t n;            /* pixels that were used */
};

/*
 * How much of the imprint is in the exposure: the factor a of
 *
 *     exposure = a * imprint + b(line of readout)
 *
 * over the gaps between the slices (regions 0, two pixels away from any slice, no fixed
 * slit), each column of each output with a level of its own, so that slow 1/f noise does
 * not count. Noise of the imprint does not pull a towards 0: each pixel is weighted by
 * what the imprint's neighbours along the dispersion lead to expect there, not by its
 * own value (an instrumental variable). Outliers are left out. The error takes pixels of
 * a column and of a row as correlated.
 *
 * Given:      e          regions, and planes of both
 * Errors:     ERR_NOMEM; too few pixels, or nothing in the imprint to fit: 0, with NaN
 * Reference:  Fuller 1987, Measurement Error Models, 1.4; Cameron, Gelbach & Miller
 *             2011, J. Bus. Econ. Stat. 29, 238 (the error).
 */
int imprint_fit_amplitude(const struct exposure *e, const struct exposure *imprint,
                          struct imprint_amplitude *ret, struct err *err);

#endif
