#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/data/dq.h"
#include "common/math/robust.h"
#include "stages/fixed_slits.h"
#include "stages/imprint.h"

enum {
    OUTPUT_ROWS = 512, /* rows of the frame that one output reads */
    OUTPUTS = 4,
    MARGIN = 2,     /* rows kept away from a slice: wings of its light */
    NEIGHBOURS = 5, /* to each side, along the dispersion */
    FEWEST_NEIGHBOURS = 4,
    FEWEST_IN_LINE = 16, /* pixels of a line of readout, else it does not count */
    FEWEST = 1000,       /* pixels for a fit */
    ROUNDS = 20
};

#define CLIP_SIGMA 4.0
#define MISFIT 0.2 /* of the leakage itself: one factor does not fit every trace */
#define STRONG_SIGMA 3.0
#define CONVERGED 1e-5

/* Sums over the pixels of one line of readout, then its levels. */
struct line {
    double w, data, imprint, expected;
    int n;
};

struct gaps {
    const struct exposure *e, *imprint;
    size_t nx, ny;
    uint8_t *open;      /* 1: in a gap, and good in both */
    uint8_t *used;      /* 1: of those, no outlier */
    float *expected;    /* what its neighbours say of the imprint there */
    float *scratch;     /* nx * ny */
    struct line *lines; /* nx * OUTPUTS */
};

static struct line *line_of(const struct gaps *g, size_t at)
{
    size_t row = at / g->nx + (size_t)g->e->meta.substrt2 - 1;
    return &g->lines[row / OUTPUT_ROWS * g->nx + at % g->nx];
}

static double variance(const struct gaps *g, size_t at, double a)
{
    return (double)g->e->var_poisson[at] + (double)g->e->var_rnoise[at] +
           a * a *
               ((double)g->imprint->var_poisson[at] +
                (double)g->imprint->var_rnoise[at]);
}

static bool is_good(const struct exposure *e, size_t at)
{
    float v = e->var_poisson[at] + e->var_rnoise[at];
    return !(e->dq[at] & DQ_DO_NOT_USE) && isfinite(e->sci[at]) && isfinite(v) && v > 0;
}

/* No slice within MARGIN rows, and not a row of the fixed slits. */
static bool in_gap(const struct gaps *g, size_t x, size_t y)
{
    const size_t frame_row = y + (size_t)g->e->meta.substrt2 - 1;
    if (frame_row >= FIXED_SLITS_FIRST && frame_row < FIXED_SLITS_END) {
        return false;
    }
    size_t from = y < MARGIN ? 0 : y - MARGIN;
    size_t to = y + MARGIN < g->ny ? y + MARGIN : g->ny - 1;
    for (size_t row = from; row <= to; row++) {
        if (g->e->regions[row * g->nx + x]) {
            return false;
        }
    }
    return true;
}

static float median_of_few(float *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        float x = v[i];
        size_t k = i;
        for (; k > 0 && v[k - 1] > x; k--) {
            v[k] = v[k - 1];
        }
        v[k] = x;
    }
    return n % 2 ? v[n / 2] : 0.5F * (v[n / 2 - 1] + v[n / 2]);
}

/* Fill `expected` of one row; a pixel with too few neighbours is given up. */
static void expect_row(struct gaps *g, size_t first)
{
    const float *sci = g->imprint->sci + first;
    const uint8_t *open = g->open + first;
    for (size_t x = 0; x < g->nx; x++) {
        float near[2 * NEIGHBOURS];
        size_t n = 0;
        size_t from = x < NEIGHBOURS ? 0 : x - NEIGHBOURS;
        size_t to = x + NEIGHBOURS < g->nx ? x + NEIGHBOURS : g->nx - 1;
        for (size_t k = from; open[x] && k <= to; k++) {
            if (k != x && open[k]) {
                near[n++] = sci[k];
            }
        }
        g->used[first + x] = n >= FEWEST_NEIGHBOURS;
        g->expected[first + x] = n >= FEWEST_NEIGHBOURS ? median_of_few(near, n) : 0;
    }
}

static void find_gaps(struct gaps *g)
{
    for (size_t at = 0; at < g->nx * g->ny; at++) {
        g->open[at] = is_good(g->e, at) && is_good(g->imprint, at) &&
                      in_gap(g, at % g->nx, at / g->nx);
    }
    for (size_t y = 0; y < g->ny; y++) {
        expect_row(g, y * g->nx);
    }
    memcpy(g->open, g->used, g->nx * g->ny);
}

/* ---- levels of the lines ---------------------------------------------------------- */

/* Median over a line's gap pixels of one plane. */
static double line_median(const struct gaps *g, const float *plane, size_t x,
                          size_t from, size_t to)
{
    size_t n = 0;
    for (size_t y = from; y < to; y++) {
        if (g->open[y * g->nx + x]) {
            g->scratch[n++] = plane[y * g->nx + x];
        }
    }
    return n ? (double)robust_median(g->scratch, n) : 0;
}

/* To start with, medians: outliers are not known yet. */
static void start_levels(struct gaps *g)
{
    const size_t corner = (size_t)g->e->meta.substrt2 - 1;
    for (size_t y = 0; y < g->ny;) {
        size_t to = OUTPUT_ROWS - (y + corner) % OUTPUT_ROWS + y;
        to = to < g->ny ? to : g->ny;
        for (size_t x = 0; x < g->nx; x++) {
            *line_of(g, y * g->nx + x) =
                (struct line){.data = line_median(g, g->e->sci, x, y, to),
                              .imprint = line_median(g, g->imprint->sci, x, y, to),
                              .expected = line_median(g, g->expected, x, y, to),
                              .n = OUTPUT_ROWS};
        }
        y = to;
    }
}

/* Weighted means over the used pixels. */
static void find_levels(struct gaps *g, double a)
{
    memset(g->lines, 0, g->nx * OUTPUTS * sizeof *g->lines);
    for (size_t at = 0; at < g->nx * g->ny; at++) {
        if (g->used[at]) {
            struct line *l = line_of(g, at);
            double w = 1.0 / variance(g, at, a);
            l->w += w;
            l->data += w * (double)g->e->sci[at];
            l->imprint += w * (double)g->imprint->sci[at];
            l->expected += w * (double)g->expected[at];
            l->n++;
        }
    }
    for (size_t i = 0; i < g->nx * OUTPUTS; i++) {
        struct line *l = &g->lines[i];
        if (l->n) {
            l->data /= l->w;
            l->imprint /= l->w;
            l->expected /= l->w;
        }
    }
}

/* ---- the fit ---------------------------------------------------------------------- */

/* Values of one pixel above the levels of its line. */
struct excess {
    double data, imprint, expected;
};

static struct excess excess_at(const struct gaps *g, size_t at)
{
    const struct line *l = line_of(g, at);
    return (struct excess){(double)g->e->sci[at] - l->data,
                           (double)g->imprint->sci[at] - l->imprint,
                           (double)g->expected[at] - l->expected};
}

/* The median ratio where the imprint stands out; 1 if it hardly does anywhere. */
static double start_amplitude(struct gaps *g)
{
    size_t n = 0;
    for (size_t at = 0; at < g->nx * g->ny; at++) {
        if (g->open[at]) {
            struct excess x = excess_at(g, at);
            double sigma = sqrt((double)g->imprint->var_poisson[at] +
                                (double)g->imprint->var_rnoise[at]);
            if (fabs(x.expected) > STRONG_SIGMA * sigma) {
                g->scratch[n++] = (float)(x.data / x.expected);
            }
        }
    }
    return n >= FEWEST ? (double)robust_median(g->scratch, n) : 1.0;
}

/* Which pixels are used, from their residuals with amplitude a. */
static void leave_out(struct gaps *g, double a)
{
    size_t n = 0;
    for (size_t at = 0; at < g->nx * g->ny; at++) {
        if (g->open[at]) {
            struct excess x = excess_at(g, at);
            g->scratch[n++] =
                (float)(fabs(x.data - a * x.imprint) / sqrt(variance(g, at, a)));
        }
    }
    double scale = n ? 1.4826 * (double)robust_median(g->scratch, n) : 0;
    for (size_t at = 0; at < g->nx * g->ny; at++) {
        struct excess x = excess_at(g, at);
        double r = x.data - a * x.imprint, misfit = MISFIT * a * x.expected;
        double limit = CLIP_SIGMA * scale;
        g->used[at] = g->open[at] && line_of(g, at)->n >= FEWEST_IN_LINE &&
                      r * r <= limit * limit * variance(g, at, a) + misfit * misfit;
    }
}

/* The estimate from the used pixels, weighted as of amplitude a. */
static double estimate(const struct gaps *g, double a, size_t *ret_n)
{
    double with_data = 0, with_imprint = 0;
    *ret_n = 0;
    for (size_t at = 0; at < g->nx * g->ny; at++) {
        if (g->used[at]) {
            struct excess x = excess_at(g, at);
            double w = x.expected / variance(g, at, a);
            with_data += w * x.data;
            with_imprint += w * x.imprint;
            ++*ret_n;
        }
    }
    return with_imprint > 0 ? with_data / with_imprint : (double)NAN;
}

/* Residuals of a column and of a row go together; columns and rows are summed apart. */
static int estimate_error(const struct gaps *g, double a, double *ret, struct err *err)
{
    double *sums = mem_calloc(g->nx + g->ny, sizeof *sums, err);
    double single = 0, grouped = 0, with_imprint = 0;
    if (!sums) {
        return ERR_NOMEM;
    }
    for (size_t at = 0; at < g->nx * g->ny; at++) {
        if (g->used[at]) {
            struct excess x = excess_at(g, at);
            double w = x.expected / variance(g, at, a);
            double share = w * (x.data - a * x.imprint);
            with_imprint += w * x.imprint;
            single += share * share;
            sums[at % g->nx] += share;
            sums[g->nx + at / g->nx] += share;
        }
    }
    for (size_t i = 0; i < g->nx + g->ny; i++) {
        grouped += sums[i] * sums[i];
    }
    free(sums);
    *ret = sqrt(fmax(grouped - single, single)) / with_imprint;
    return 0;
}

static int fit(struct gaps *g, struct imprint_amplitude *ret, struct err *err)
{
    struct imprint_amplitude found = {(double)NAN, (double)NAN, 0};
    int code = 0;
    find_gaps(g);
    start_levels(g);
    double a = start_amplitude(g), before = HUGE_VAL;
    for (int i = 0; i < ROUNDS && fabs(a - before) > CONVERGED * fabs(a); i++) {
        before = a;
        leave_out(g, a);
        find_levels(g, a);
        a = estimate(g, a, &found.n);
    }
    if (found.n >= FEWEST && isfinite(a)) {
        found.value = a;
        code = estimate_error(g, a, &found.error, err);
    }
    if (!code) {
        *ret = found;
    }
    return code;
}

int imprint_fit_amplitude(const struct exposure *e, const struct exposure *imprint,
                          struct imprint_amplitude *ret, struct err *err)
{
    struct gaps g = {
        .e = e, .imprint = imprint, .nx = (size_t)e->nx, .ny = (size_t)e->ny};
    const size_t n = exposure_pixels(e);
    g.open = mem_alloc(n, 1, err);
    g.used = mem_alloc(n, 1, err);
    g.expected = mem_alloc(n, sizeof *g.expected, err);
    g.scratch = mem_alloc(n, sizeof *g.scratch, err);
    g.lines = mem_calloc(g.nx * OUTPUTS, sizeof *g.lines, err);
    int code = g.open && g.used && g.expected && g.scratch && g.lines ? 0 : ERR_NOMEM;
    code = code ? code : fit(&g, ret, err);
    free(g.open);
    free(g.used);
    free(g.expected);
    free(g.scratch);
    free(g.lines);
    return code;
}
