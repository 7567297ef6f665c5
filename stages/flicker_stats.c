#include "stages/flicker_stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

enum {
    INNER = 1024,     /* bins between the ends, */
    BINS = INNER + 2, /* and what lies beyond them */
    PIECES = 8,       /* of the image, in parallel */
    SAMPLE = 16384,   /* pixels that tell where the bins lie */
    HALF_WIDTH = 8    /* of the binned range, standard deviations */
};

struct bin {
    size_t first;       /* its values: values[first] up to the next one's first */
    double sum, square; /* of their distances from the origin */
};

struct flicker_stats {
    float *values;  /* bin by bin; borrowed */
    float *scratch; /* for the fullest bin */
    size_t n;
    float from, per_width; /* lower end of the first inner bin; bins per unit */
    double origin;
    struct bin bins[BINS + 1]; /* and the end */
};

/* While they are filled. */
struct filling {
    struct flicker_stats *s;
    const float *image;
    const uint8_t *mask;
    size_t n;
    size_t (*at)[BINS]; /* [PIECES]: counts, then where the next value goes */
};

/* Rises with the value, so that bins are in order. */
static inline size_t bin_of(const struct flicker_stats *s, float value)
{
    const float at = (value - s->from) * s->per_width;
    return at < 0 ? 0 : at >= INNER ? INNER + 1 : (size_t)at + 1;
}

static void piece_of(const struct filling *f, size_t piece, size_t *first, size_t *end)
{
    *first = f->n / PIECES * piece;
    *end = piece + 1 == PIECES ? f->n : f->n / PIECES * (piece + 1);
}

static int count_piece(size_t piece, int thread, void *arg, struct err *err)
{
    struct filling *f = arg;
    size_t first, end, *at = f->at[piece];
    (void)thread;
    (void)err;
    piece_of(f, piece, &first, &end);
    for (size_t i = first; i < end; i++) {
        if (f->mask[i]) {
            at[bin_of(f->s, f->image[i])]++;
        }
    }
    return 0;
}

static int fill_piece(size_t piece, int thread, void *arg, struct err *err)
{
    struct filling *f = arg;
    size_t first, end, *at = f->at[piece];
    (void)thread;
    (void)err;
    piece_of(f, piece, &first, &end);
    for (size_t i = first; i < end; i++) {
        if (f->mask[i]) {
            f->s->values[at[bin_of(f->s, f->image[i])]++] = f->image[i];
        }
    }
    return 0;
}

static void add(const struct flicker_stats *s, const float *v, size_t n, double low,
                double high, struct bin *to)
{
    for (size_t i = 0; i < n; i++) {
        if ((double)v[i] >= low && (double)v[i] <= high) {
            const double d = (double)v[i] - s->origin;
            to->first++;
            to->sum += d;
            to->square += d * d;
        }
    }
}

static int sum_piece(size_t piece, int thread, void *arg, struct err *err)
{
    struct flicker_stats *s = ((struct filling *)arg)->s;
    (void)thread;
    (void)err;
    for (size_t b = piece; b < BINS; b += PIECES) {
        double sum = 0, square = 0;
        for (size_t i = s->bins[b].first; i < s->bins[b + 1].first; i++) {
            const double d = (double)s->values[i] - s->origin;
            sum += d;
            square += d * d;
        }
        s->bins[b].sum = sum;
        s->bins[b].square = square;
    }
    return 0;
}

/* The bins span the median and some widths of the lower half, which sources do not
 * touch. There is a masked pixel. */
static int place_bins(struct filling *f, struct err *err)
{
    struct flicker_stats *s = f->s;
    float *sample = mem_alloc(2 * (SAMPLE + 1), sizeof *sample, err);
    size_t n = 0;
    if (!sample) {
        return ERR_NOMEM;
    }
    for (size_t step = f->n / SAMPLE + 1; n == 0; step = step / 16 + 1) {
        for (size_t i = 0; i < f->n && n < SAMPLE; i += step) {
            sample[n] = f->image[i];
            n += f->mask[i];
        }
    }
    robust_sort(sample, sample + SAMPLE + 1, n);
    const float median = sample[n / 2];
    float width = median - sample[n / 6]; /* about one standard deviation */
    if (!(width > 1e-6F * fabsf(median))) {
        width = 1e-6F * fabsf(median) + 1e-30F;
    }
    s->origin = (double)median;
    s->from = median - HALF_WIDTH * width;
    s->per_width = INNER / (2 * HALF_WIDTH * width);
    free(sample);
    return 0;
}

static int fill(const struct stage_env *env, struct filling *f, struct err *err)
{
    struct flicker_stats *s = f->s;
    int code = par_for(env->par, PIECES, count_piece, f, env->cancel, err);
    size_t next = 0, fullest = 1;
    for (size_t b = 0; !code && b < BINS; b++) {
        s->bins[b].first = next;
        for (size_t p = 0; p < PIECES; p++) {
            const size_t count = f->at[p][b];
            f->at[p][b] = next;
            next += count;
        }
        fullest = next - s->bins[b].first > fullest ? next - s->bins[b].first : fullest;
    }
    s->bins[BINS].first = next;
    s->scratch = code ? NULL : mem_alloc(fullest, sizeof *s->scratch, err);
    code = code || s->scratch ? code : ERR_NOMEM;
    code = code ? code : par_for(env->par, PIECES, fill_piece, f, env->cancel, err);
    return code ? code : par_for(env->par, PIECES, sum_piece, f, env->cancel, err);
}

int flicker_stats_new(const struct stage_env *env, const float *image,
                      const uint8_t *mask, size_t n, float *room,
                      struct flicker_stats **ret, struct err *err)
{
    struct flicker_stats *s = mem_calloc(1, sizeof *s, err);
    if (!s) {
        return ERR_NOMEM;
    }
    struct filling f = {.s = s, .image = image, .mask = mask, .n = n};
    s->values = room;
    f.at = mem_calloc(PIECES, sizeof *f.at, err);
    int code = f.at ? 0 : ERR_NOMEM;
    if (!code && memchr(mask, 1, n)) {
        code = place_bins(&f, err);
        code = code ? code : fill(env, &f, err);
        s->n = s->bins[BINS].first;
    }
    free(f.at);
    if (code) {
        flicker_stats_free(s);
        return code;
    }
    *ret = s;
    return 0;
}

void flicker_stats_free(struct flicker_stats *s)
{
    if (s) {
        free(s->scratch);
        free(s);
    }
}

size_t flicker_stats_n(const struct flicker_stats *s)
{
    return s->n;
}

/* ---- looking up ---- */

static size_t count_of(const struct flicker_stats *s, size_t b)
{
    return s->bins[b + 1].first - s->bins[b].first;
}

/* Bins first..last hold what lies within low..high; those between lie in it whole. */
static void bins_between(const struct flicker_stats *s, double low, double high,
                         size_t *first, size_t *last)
{
    const float l = low < -3e38 ? -3e38F : (float)low;
    const float h = high > 3e38 ? 3e38F : (float)high;
    *first = bin_of(s, nextafterf(l, -INFINITY));
    *last = bin_of(s, nextafterf(h, INFINITY));
}

/* Number (in `first`) and sums of the values within low..high. */
static struct bin sums_between(const struct flicker_stats *s, double low, double high)
{
    struct bin sums = {0};
    size_t first, last;
    bins_between(s, low, high, &first, &last);
    for (size_t b = first; b <= last; b++) {
        if (b > first + 1 && b + 1 < last) {
            sums.first += count_of(s, b);
            sums.sum += s->bins[b].sum;
            sums.square += s->bins[b].square;
        } else { /* rounding of the limits may reach the neighbour */
            add(s, s->values + s->bins[b].first, count_of(s, b), low, high, &sums);
        }
    }
    return sums;
}

/* The values of one bin within low..high, into scratch. */
static size_t take(const struct flicker_stats *s, size_t b, double low, double high)
{
    const float *v = s->values + s->bins[b].first;
    size_t n = 0;
    for (size_t i = 0; i < count_of(s, b); i++) {
        if ((double)v[i] >= low && (double)v[i] <= high) {
            s->scratch[n++] = v[i];
        }
    }
    return n;
}

/* The value of this rank among those within low..high; there are more than `rank`. */
static float value_of_rank(const struct flicker_stats *s, size_t rank, double low,
                           double high)
{
    size_t first, last;
    bins_between(s, low, high, &first, &last);
    for (size_t b = first; b <= last; b++) {
        const bool whole = b > first + 1 && b + 1 < last;
        size_t n = whole ? count_of(s, b) : take(s, b, low, high);
        if (rank < n) {
            n = whole ? take(s, b, low, high) : n;
            return robust_select(s->scratch, n, rank);
        }
        rank -= n;
    }
    return NAN; /* not reached: the ranks have been counted */
}

static void middle(const struct flicker_stats *s, size_t n, double low, double high,
                   float *ret_lower, float *ret_upper)
{
    *ret_upper = value_of_rank(s, n / 2, low, high);
    *ret_lower = n % 2 ? *ret_upper : value_of_rank(s, n / 2 - 1, low, high);
}

static struct robust_stats stats_between(const struct flicker_stats *s, double low,
                                         double high)
{
    const struct bin b = sums_between(s, low, high);
    struct robust_stats r = {(double)NAN, (double)NAN, (double)NAN, b.first};
    if (r.n > 0) {
        float lower, upper;
        const double n = (double)r.n, mean = b.sum / n;
        middle(s, r.n, low, high, &lower, &upper);
        r.median = 0.5 * ((double)lower + (double)upper);
        r.mean = s->origin + mean;
        r.std = sqrt(fmax(b.square / n - mean * mean, 0));
    }
    return r;
}

struct robust_stats flicker_stats_clip(const struct flicker_stats *s, double low,
                                       double high, double sigma, int max_rounds)
{
    struct robust_stats r = stats_between(s, low, high);
    for (int round = 0; round < max_rounds && r.n > 0; round++) {
        const size_t was = r.n;
        low = fmax(low, r.median - sigma * r.std);
        high = fmin(high, r.median + sigma * r.std);
        r = stats_between(s, low, high);
        if (r.n == was) {
            break;
        }
    }
    return r;
}

double flicker_stats_below(const struct flicker_stats *s, double low, double center,
                           double sigma, int max_rounds)
{
    double std = (double)NAN;
    size_t was = 0;
    for (int round = 0; round <= max_rounds; round++) {
        const struct bin b = sums_between(s, low, center);
        const double n = (double)b.first, shift = center - s->origin;
        if (b.first == was) {
            break;
        }
        was = b.first;
        std = sqrt(fmax((b.square - 2 * shift * b.sum) / n + shift * shift, 0));
        low = fmax(low, center - sigma * std);
    }
    return std;
}

float flicker_stats_median(const struct flicker_stats *s, double low, double high)
{
    const size_t n = sums_between(s, low, high).first;
    float lower, upper;
    if (n == 0) {
        return NAN;
    }
    middle(s, n, low, high, &lower, &upper);
    return (lower + upper) / 2;
}
