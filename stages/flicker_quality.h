#ifndef IFUD_STAGES_FLICKER_QUALITY_H
#define IFUD_STAGES_FLICKER_QUALITY_H

#include "common/data/header.h"
#include "stages/flicker.h"

/*
 * How well the noise was cleaned: the noise power of background pixels before and after,
 * in four bands of frequency along the readout, and whether to keep the cleaning at all.
 * The pixels are held out of the fit, so that a model that follows their own noise gains
 * nothing by it. Not in the peer. Test: tests/stages/test_flicker_quality.c
 */

/* Bands: below 100 Hz, to 1 kHz, to 10 kHz, to 50 kHz (pixels of a column are read 10 us
 * apart). The lowest holds what differs from column to column. */
enum { FLICKER_BANDS = 4 };

struct flicker_quality {
    size_t pixels; /* held out, and not outliers */
    double before, after;
    double band_before[FLICKER_BANDS], band_after[FLICKER_BANDS];
    /* variance, unit of the image squared; the bands add up to the whole. Where a band
     * holds next to nothing its power may come out a little below 0. */
};

/*
 * Move a share of the masked pixels from f->mask to `held` (one byte a pixel, 0 or 1):
 * always the same ones, spread like random ones. Returns how many.
 */
size_t flicker_hold_out(struct flicker *f, double share, uint8_t *held);

/*
 * Measure on the pixels held out: f->image before, less f->noise after. Outliers, farther
 * than 5 sigma (robust) from the median before, are left out.
 *
 * The autocovariance at each lag is the mean over all pairs of a column, tapered by
 * (1 + cos(pi lag / ny)) / 2; its cosine transform, integrated over a band, is the power.
 * With p pairs in all the error of a band of width w (per pixel) is about
 * variance * sqrt(2 w ny / p) or less.
 * Returned: ret; all 0 if fewer than two pixels were held out.
 */
int flicker_quality_measure(const struct stage_env *env, const struct flicker *f,
                            const uint8_t *held, struct flicker_quality *ret,
                            struct err *err);

/* Why an exposure is left as it was. */
enum flicker_verdict {
    FLICKER_CLEAN,   /* it is not */
    FLICKER_FEW,     /* too few background pixels in too many columns (or outputs) */
    FLICKER_LIGHT,   /* wide scattered light is stronger than the noise */
    FLICKER_NO_GAIN, /* the pixels held out are not less noisy after cleaning */
};

/*
 * Has the mask left enough? FLICKER_FEW if more than a tenth of the columns with data
 * have fewer than 32 background pixels in any piece of `rows` rows (ny: the whole).
 */
enum flicker_verdict flicker_guard_mask(const struct flicker *f, int rows);

/* FLICKER_NO_GAIN unless the power is less after than before; without pixels CLEAN. */
enum flicker_verdict flicker_guard_noise(const struct flicker_quality *q);

/* Why, for header and log. */
const char *flicker_verdict_text(enum flicker_verdict v);

/* Write the keywords of the measure, CFN_HELD, CFN_BEF*, CFN_AFT*; see docs/algorithms.md. */
int flicker_quality_header(const struct flicker_quality *q, struct header *h,
                           struct err *err);

#endif
