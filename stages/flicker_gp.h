#ifndef IFUD_STAGES_FLICKER_GP_H
#define IFUD_STAGES_FLICKER_GP_H

#include <complex.h>
#include <stddef.h>
#include "common/math/fft.h"
#include "stages/flicker.h"

/*
 * What the parts of the method gp share: the best linear estimate of the 1/f noise from
 * the background pixels.
 *
 * The noise of output c at time t is common(t) + own_c(t), two stationary processes in
 * readout order, and white noise on top that is not to be estimated. Series are periodic
 * in n samples, of which the readout fills the first ones: the rest, and every sample
 * that is no background pixel, is unknown.
 * Test: tests/stages/test_flicker_gp.c
 */

enum { GP_MAX_OUTPUTS = 4 };

/* ---- flicker_gp_readout.c: when each pixel was read ---- */

/*
 * Line l of output c is read from sample l * line on; its pixel j is the pixel
 * start[c] + l + j * step[c] of the image, read at sample l * line + when(j).
 */
struct gp_readout {
    int n_outputs;
    size_t n_lines, length;     /* lines of an output, pixels of a line */
    size_t line;                /* samples from one line to the next */
    size_t group, group_period; /* pixels read in a row, samples from group to group */
    size_t n; /* samples of a series, a good length for a transform; a multiple of 4 */
    size_t start[GP_MAX_OUTPUTS];
    long step[GP_MAX_OUTPUTS];
    const char *name; /* for the log */
};

/*
 * The order in which the frame was read. Subarrays: one output. A full frame: four
 * outputs at once, of 512 rows each and read in alternating directions, unless the
 * background pixels show another order: of outputs side by side, or of outputs of 512
 * columns; it is the one in which pixels read at the same time share most of their noise.
 * irs2: reference pixels are read in between (READPATT).
 */
void gp_readout_choose(const struct flicker *f, bool irs2, struct gp_readout *ret);

static inline size_t gp_readout_when(const struct gp_readout *r, size_t j)
{
    return j / r->group * r->group_period + j % r->group;
}

/* From the spectrum of one output to the next, of n / 2 + 1 values: each is aligned. */
static inline size_t gp_readout_stride(const struct gp_readout *r)
{
    return r->n / 2 + 2;
}

/* An image into series, `fill` where there is no pixel, and back. series[c] has n values.
 * Parallel over lines. */
int gp_readout_gather(const struct stage_env *env, const struct gp_readout *r,
                      const float *image, float *series, struct err *err);
int gp_readout_scatter(const struct stage_env *env, const struct gp_readout *r,
                       const float *series, float *image, struct err *err);

/* ---- flicker_gp_covariance.c: how the noise hangs together ---- */

/* Covariance of the noise at a lag of so many samples: within an output (`within`), and
 * between two of them (`between`). Linear in log(1 + lag) between the nodes. */
enum { GP_NODES = 160 };
struct gp_covariance {
    size_t n_nodes;
    double lag[GP_NODES], within[GP_NODES], between[GP_NODES];
    double white; /* variance of the white noise of a typical pixel */
};

/*
 * From the background pixels themselves: products of pairs of a lag, averaged, and
 * smoothed in lag. y, used: n_outputs series of n values: the data, 0 where not used,
 * and 1 where used. No nodes if there are too few pairs of the shortest lags.
 */
int gp_covariance_estimate(const struct stage_env *env, const struct gp_readout *r,
                           const struct fft *fft, const float *y, const float *used,
                           struct gp_covariance *ret, struct err *err);

/* Power spectra of the differences between outputs and of their mean (n / 2 + 1 values
 * each, not negative). */
int gp_covariance_spectra(const struct gp_covariance *c, const struct gp_readout *r,
                          const struct fft *fft, float *differences, float *mean,
                          struct err *err);

/* ---- flicker_gp_file.c: a covariance in a file ---- */

/*
 * Hand the covariance to the runner as <product>_covariance.fits: SCI has a column for each
 * lag, and rows of the lags (samples), within and between; the primary header GPWHITE.
 */
int gp_covariance_keep(const struct stage_env *env, const struct exposure *of,
                       const struct gp_covariance *cov, struct err *err);
/* Read such a file. ERR_PARAM says what is wrong with it. */
int gp_covariance_read(const char *path, struct gp_covariance *ret, struct err *err);

/* ---- flicker_gp_solve.c: the estimate ---- */

/* What is known but the data. Borrowed. */
struct gp_problem {
    const struct gp_readout *readout;
    const struct fft *fft;           /* of readout->n, aligned */
    const float *differences, *mean; /* power spectra, n / 2 + 1 values each */
    const float
        *weight; /* n_outputs series: 1 / variance of the white noise, 0: unknown */
};

/*
 * The best linear estimate of the noise of every sample.
 * Given:     series  n_outputs series of n: the data
 *            enough  rounds end when the residual is this share of the first one
 * Returned:  series  the estimate; the number of rounds it took
 */
int gp_solve(const struct stage_env *env, const struct gp_problem *problem,
             float *series, double enough, int *ret_rounds, struct err *err);

/* ---- flicker_gp_variance.c: how wrong the estimate is ---- */

/*
 * Errors of an estimate from background pixels like these: noise of these spectra is
 * drawn, and white noise; its estimate less the noise drawn has the variance of the true
 * errors, in each sample. The same numbers are drawn each time.
 * Returned:  series  n_outputs series of n: the errors
 * Reference: Papandreou & Yuille 2010, NIPS 23, 1858 (perturb, then solve).
 */
int gp_errors(const struct stage_env *env, const struct gp_problem *problem,
              float *series, double enough, struct err *err);

/* Mean square of the errors round each pixel of an image: 129 columns by 3 rows, over
 * which the slices hardly move. It is known to some 10 %. */
int gp_mean_square(const struct stage_env *env, size_t nx, size_t ny,
                   const float *errors, float *variance, struct err *err);

#endif
