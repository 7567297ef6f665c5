#ifndef IFUD_STAGES_OUTLIER_CLOUD_H
#define IFUD_STAGES_OUTLIER_CLOUD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"
#include "common/base/par.h"
#include "common/data/exposure.h"

/*
 * All pixels of all exposures that depart from their trace, by where they look: a line
 * departs in every exposure that sees the same place and wavelength, a cosmic ray in one.
 *
 * Ownership: outlier_cloud_done. Thread: one writer while it is filled; judged in parallel.
 * Test: tests/stages/test_outlier_cloud.c
 */

struct outlier_point {
    uint32_t pixel;    /* y * nx + x */
    uint16_t exposure; /* which */
    uint8_t slice;     /* 1..30 */
    float excess;      /* SCI - trace, MJy/sr */
    float trace, sigma;
    float east, north;   /* arcsec from a common point */
    float um, um_column; /* wavelength, and from one column to the next */
};

/* Where an exposure has pixels with a value: cells of the sky and of wavelength. */
struct outlier_cover {
    int nx, ny;            /* of the exposure, pixels */
    float east, north, um; /* lower corner */
    float um_cell;
    int n_east, n_north, n_um;
    uint8_t *seen; /* n_um * n_north * n_east */
};
#define OUTLIER_COVER_ARCSEC 0.15f

struct outlier_cloud {
    struct outlier_point *points; /* by exposure, then by pixel */
    size_t n, room;
    size_t *from; /* n_exposures + 1: where the points of each begin */
    struct outlier_cover *covers;
    size_t n_exposures;
    float um_column;          /* the largest of all points */
    uint32_t *bucket, *order; /* points by place (outlier_cloud_judge) */
    size_t n_buckets;
};

/* Given: how many exposures will be added. */
int outlier_cloud_init(struct outlier_cloud *c, size_t n_exposures, struct err *err);
void outlier_cloud_done(struct outlier_cloud *c);

/* Room for `more` points behind the last; *ret is where the first of them goes. The caller
 * fills them and adds to c->n. */
int outlier_cloud_room(struct outlier_cloud *c, size_t more, struct outlier_point **ret,
                       struct err *err);

/*
 * Cells that hold the field of an exposure, with a margin; none has been seen.
 * Given:    corners of its footprint (arcsec); wavelengths from low to high (um), NaN if not
 *           known: those of the spectrograph
 * Returned: v->seen, which outlier_cloud_done frees. ERR_INPUT if the corners are no field of
 *           the IFU
 */
int outlier_cover_init(struct outlier_cover *v, const double east[4],
                       const double north[4], double low, double high, struct err *err);

/* Is there a pixel with a value? */
bool outlier_cover_has(const struct outlier_cover *v, float east, float north,
                       float um);

struct outlier_rules {
    double snr, snr_adjacent; /* in units of sigma */
    double
        contrast; /* how many times brighter one exposure may see a line than another:
                        light of a star falls on one pixel or on four */
};

/*
 * Which points to reject.
 *
 * A point that departs by more than snr sigma is believed if at least half of the other
 * exposures that cover its place bear witness: a pixel within 0.12 arcsec and 1.5 columns
 * departs to the same side by more than (excess - snr sigma) / contrast, scaled up by the
 * ratio of the traces where its own is the brighter (the nearer to a star, the brighter
 * its line). The other slices of its own exposure are one more witness, within 0.16 arcsec,
 * and the only one where no other exposure covers the place; and so are neighbours in its own
 * slice whose trace differs by a factor of 2 or more and whose excess is the same share of it. Pixels beside a rejected one are rejected from snr_adjacent on.
 * Returned: ret uint8_t[c->n], enum outlier_reason; the same for any number of threads
 */
int outlier_cloud_judge(struct outlier_cloud *c, const struct outlier_rules *rules,
                        struct par *par, const atomic_bool *cancel, uint8_t *ret,
                        struct err *err);

#endif
