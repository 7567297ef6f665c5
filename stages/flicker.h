#ifndef IFUD_STAGES_FLICKER_H
#define IFUD_STAGES_FLICKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/data/exposure.h"
#include "stages/stage.h"

/*
 * What the parts of clean_flicker_noise share. An image of nx * ny pixels in the
 * delivered orientation; a detector column is read as one line: pixels of one x and
 * rising y follow one another in time, 10 us apart, on four outputs of 512 rows.
 * Test: tests/stages/test_clean_flicker_noise.c
 */
struct flicker_stats;

struct flicker {
    const struct exposure *exposure; /* as it came; planes are changed at the end */
    int nx, ny;
    bool nrs2;       /* its lines run from high x to low x */
    float *flat;     /* NULL, or what the image was divided by; never 0 */
    float *image;    /* SCI / flat, background taken off; 0 where not finite */
    uint8_t *mask;   /* 1: background pixel, to be used */
    float level;     /* background that was taken off, */
    float *model;    /* and NULL, or its plane, in place of the level */
    float *noise;    /* made by a method: the noise of `image`, to be subtracted */
    float *variance; /* NULL, or the noise's variance, made (mem_alloc) by a method */
    const char *covariance_file; /* gp: NULL, or where to take the covariance from */
    bool save_covariance;        /* gp: hand the covariance to the runner */
    struct flicker_stats *stats; /* NULL, or those of image + shift, kept in `noise` */
    double low, high, shift; /* of `stats`: the mask is what lies within low..high */
    size_t n_plain;          /* fft: lines with too few pixels for all vectors */
};

#define FLICKER_FRAME 2048       /* pixels on each side of a full frame */
#define FLICKER_CHANNEL_ROWS 512 /* rows of a full frame that one output reads */

static inline bool flicker_is_full_frame(const struct flicker *f)
{
    return f->nx == FLICKER_FRAME && f->ny == FLICKER_FRAME;
}

/* ---- flicker_pixels.c ---- */

/* Call fn(arg, first, end) for pieces of the image's pixels, in parallel. */
int flicker_pixels(const struct stage_env *env, const struct flicker *f,
                   void (*fn)(void *arg, size_t first, size_t end), void *arg,
                   struct err *err);

/* ---- flicker_level.c: what stands out of the background ---- */

struct flicker_cut {
    double lower, upper; /* sigma */
    bool lower_half;     /* sigma of what lies below the center, mirrored */
    bool fit_histogram;  /* center and sigma of a Gaussian fitted to a histogram */
};

/*
 * Take pixels of f->image out of f->mask that lie below center - lower * sigma or above
 * center + upper * sigma; center and sigma are the median and standard deviation of the
 * masked pixels, clipped at 3 sigma in five rounds. fit_histogram: those of a Gaussian
 * fitted to 2000 bins within 4 sigma of the clipped mean; if that does not converge, the
 * clipped mean and standard deviation.
 * The statistics stay for the next call (flicker_forget): until then the mask must not be
 * changed otherwise, the image by no more than f->shift, and f->noise is in use.
 * Returned: *ret_median of what is left, 0 if nothing is.
 * Reference: jwst user documentation, "clean_flicker_noise".
 */
int flicker_clip(const struct stage_env *env, struct flicker *f,
                 const struct flicker_cut *cut, float *ret_median, struct err *err);

/* The image, the mask or f->noise will be changed: statistics are made anew. */
void flicker_forget(struct flicker *f);

/* ---- flicker_background.c ---- */

/*
 * Take the background off f->image, as background_method asks: their median, or a model
 * of boxes (flicker_mesh.h; background_box_size), or nothing. Pixels 3 sigma from the
 * level leave the mask. Where no box of the model is full enough the median stands in,
 * with a warning. Returned: f->level, f->model.
 */
int flicker_background(const struct stage_env *env, const struct params *params,
                       struct flicker *f, struct err *err);

/* ---- flicker_flat.c ---- */

/*
 * The flat to divide by (reference type "flat", which override_flat names; the reference
 * server has none for NIRSpec IFU), its pixels without a value filled from their
 * surroundings. Without one a warning. Overwrites image, mask and noise.
 * Returned: f->flat or NULL
 */
int flicker_flat(const struct stage_env *env, struct flicker *f, struct err *err);

/* ---- flicker_mask.c ---- */

/*
 * Background pixels before anything is clipped: finite and not 0; with science_regions
 * also outside slices, failed-open shutters and the rows of the fixed slits.
 * Returned: mask, one byte a pixel.
 */
void flicker_mask_start(const struct exposure *e, bool science_regions, uint8_t *mask);

/*
 * The user's mask: the SCI image of a FITS file, or else its first one, 1 on background.
 * ERR_PARAM names the file if it has no image of the exposure's size.
 */
int flicker_mask_read(const char *path, const struct exposure *e, uint8_t *mask,
                      struct err *err);

/* ---- the methods: fill f->noise ---- */

/* Each line's median, of all of it or of each output (512 rows of a full frame). */
int flicker_median(const struct stage_env *env, struct flicker *f, bool by_channel,
                   struct err *err);

/*
 * NSClean: nine Fourier vectors fitted to the background pixels of each line, weighted by
 * the reciprocal of their local density, low-pass filtered, smoothed over lines.
 * Reference: Rauscher 2023, arXiv:2306.03250.
 */
int flicker_fft(const struct stage_env *env, struct flicker *f, struct err *err);

/*
 * The best linear estimate of a stationary process in readout order, with a part common to
 * the outputs, from its covariance in the background pixels (stages/flicker_gp.h).
 */
int flicker_gp(const struct stage_env *env, struct flicker *f, struct err *err);

/* The same of a window, whose lines are short: sections of several lines that overlap by
 * half. Narrows the mask by its own outliers; warns of lines it cannot fit. */
int flicker_window(const struct stage_env *env, struct flicker *f, struct err *err);

/* ---- flicker_keep.c: products beside the cleaned exposure ---- */

/*
 * Hand a plane of f's size to the runner under this suffix; the plane is copied.
 * Given: mask (with values NULL) or values.
 */
int flicker_keep(const struct stage_env *env, const struct flicker *f,
                 const char *suffix, const uint8_t *mask, const float *values,
                 struct err *err);

#endif
