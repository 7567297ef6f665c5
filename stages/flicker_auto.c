#include "stages/flicker_auto.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/data/dq.h"
#include "common/math/robust.h"

#define MARGIN 1       /* rows beside a slice that are never background */
#define MIDDLE 8       /* rows from a slice at which its light has ended, if it does */
#define REACH 10       /* rows over which distances to slices matter */
#define THRESHOLD 4.0F /* sigma */
#define SPILL_SIGMA 4.0
#define CLIP 5.0F      /* sigma: so much one pixel may add to a mean */
#define GROW 2         /* rows on both sides of what was found */
#define LEAST_SHARE 16 /* a column keeps one in so many of its rows */
#define LEAST_FAR 50   /* pixels of a column, for its level away from slices */
#define COVERED 0.3    /* of a mean's pixels that must be background */
#define SAMPLES 262144
#define ROWS 32 /* of one piece */

/* Half widths of the means. */
static const struct scale {
    int x, y;
} scales[] = {{0, 0}, {4, 0}, {16, 1}, {64, 1}, {256, 1}};
enum { N_SCALES = sizeof scales / sizeof *scales };

struct found {
    size_t light;    /* pixels left out because light was found on them */
    int spill;       /* rows left out on both sides of every slice */
    size_t restored; /* pixels with light kept, for their column had too few others */
};

struct search {
    const struct stage_env *env;
    size_t nx, ny;
    float *d; /* image less its columns' levels and wide light */
    float *score, *z,
        *finer;        /* the most of all scales; of this one; of the one before */
    uint8_t *base;     /* candidates for background */
    uint8_t *distance; /* rows from the next slice of the column, REACH at most */
    uint8_t *hot;      /* light was found */
    float *levels;     /* nx */
    float *samples;
    double *sums; /* 4 * (nx + 1) for each thread */
    struct scale scale;
    float center, sigma; /* of z */
};

/* ---- what surrounds the slices ---- */

static void measure_distance(const struct exposure *e, struct search *s)
{
    memset(s->distance, REACH, s->nx * s->ny);
    for (size_t i = 0; e->regions && i < s->nx * s->ny; i++) {
        if (e->regions[i]) {
            s->distance[i] = 0;
        } else if (i >= s->nx && s->distance[i - s->nx] < REACH) {
            s->distance[i] = (uint8_t)(s->distance[i - s->nx] + 1);
        }
    }
    for (size_t i = s->nx * s->ny - s->nx; i-- > 0;) {
        const uint8_t next = (uint8_t)(s->distance[i + s->nx] + 1);
        s->distance[i] = next < s->distance[i] ? next : s->distance[i];
    }
}

/* Columns' levels from pixels away from slices, where there are enough of them. */
static int take_levels(struct search *s, const float *image, struct err *err)
{
    const size_t n = s->nx * s->ny;
    for (size_t x = 0; x < s->nx; x++) {
        size_t far = 0;
        for (size_t i = x; i < n; i += s->nx) {
            far += s->base[i] && s->distance[i] > MIDDLE;
        }
        for (size_t i = x; i < n; i += s->nx) {
            s->hot[i] = s->base[i] && (far < LEAST_FAR || s->distance[i] > MIDDLE);
        }
    }
    return flicker_column_levels(s->env, image, s->hot, (int)s->nx, (int)s->ny,
                                 s->levels, err);
}

/* Median and robust standard deviation of the finite values where the mask is set. */
static void spread(const float *v, const uint8_t *mask, size_t n, float *samples,
                   float *ret_center, float *ret_sigma)
{
    /* odd, so that rows of a power of two are all visited */
    const size_t step = (n / SAMPLES + 1) | 1;
    size_t used = 0;
    for (size_t i = 0; i < n && used < SAMPLES; i += step) {
        if (mask[i] && isfinite(v[i])) {
            samples[used++] = v[i];
        }
    }
    *ret_center = used ? robust_median(samples, used) : 0;
    for (size_t i = 0; i < used; i++) {
        samples[i] = fabsf(samples[i] - *ret_center);
    }
    *ret_sigma = used ? 1.4826F * robust_median(samples, used) : 0;
}

/* s->d: levels and wide light off, single pixels clipped. */
static int flatten(struct search *s, const float *image, struct err *err)
{
    const size_t n = s->nx * s->ny;
    struct flicker_light light;
    float center, sigma;
    int code = take_levels(s, image, err);
    code = code ? code
                : flicker_light_fit(image, s->base, s->levels, (int)s->nx, (int)s->ny,
                                    &light, err);
    if (code) {
        return code;
    }
    for (size_t y = 0; y < s->ny; y++) {
        float *row = s->d + y * s->nx;
        flicker_light_row(&light, (int)y, row);
        for (size_t x = 0; x < s->nx; x++) {
            row[x] = image[y * s->nx + x] - s->levels[x] - row[x];
        }
    }
    spread(s->d, s->base, n, s->samples, &center, &sigma);
    for (size_t i = 0; i < n; i++) {
        s->d[i] = fminf(fmaxf(s->d[i] - center, -CLIP * sigma), CLIP * sigma);
    }
    return 0;
}

/* ---- means along x ---- */

static void add_row(const struct search *s, size_t y, double *sum, double *count)
{
    const float *d = s->d + y * s->nx;
    const uint8_t *base = s->base + y * s->nx;
    double v = 0, k = 0;
    for (size_t x = 0; x < s->nx; x++) {
        v += base[x] ? (double)d[x] : 0;
        k += base[x];
        sum[x + 1] += v;
        count[x + 1] += k;
    }
}

/* z of one row: mean of the box times the root of its number of pixels. */
static void means_of_row(const struct search *s, size_t y, double *sum, double *count)
{
    const size_t hx = (size_t)s->scale.x, hy = (size_t)s->scale.y;
    const size_t first = y < hy ? 0 : y - hy;
    const size_t last = y + hy < s->ny ? y + hy : s->ny - 1;
    const double least = COVERED * (double)((2 * hx + 1) * (last - first + 1));
    memset(sum, 0, (s->nx + 1) * sizeof *sum);
    memset(count, 0, (s->nx + 1) * sizeof *count);
    for (size_t r = first; r <= last; r++) {
        add_row(s, r, sum, count);
    }
    for (size_t x = 0; x < s->nx; x++) {
        const size_t a = x < hx ? 0 : x - hx;
        const size_t b = x + hx + 1 < s->nx ? x + hx + 1 : s->nx;
        const double k = count[b] - count[a];
        const bool counts = s->base[y * s->nx + x] && k >= least;
        s->z[y * s->nx + x] =
            counts && k > 0 ? (float)((sum[b] - sum[a]) / sqrt(k)) : NAN;
    }
}

static int means_body(size_t piece, int thread, void *arg, struct err *err)
{
    const struct search *s = arg;
    double *sum = s->sums + (size_t)thread * 2 * (s->nx + 1);
    (void)err;
    for (size_t y = piece * ROWS; y < (piece + 1) * ROWS && y < s->ny; y++) {
        means_of_row(s, y, sum, sum + s->nx + 1);
    }
    return 0;
}

/*
 * The score of a pixel is the most of all scales. A wide mean reaches beyond the end of
 * what it sees: it counts only where the one four times narrower, which a line fills with
 * half as many sigma, sees a quarter at least.
 */
static int score(struct search *s, struct err *err)
{
    const size_t n = s->nx * s->ny;
    memset(s->score, 0, n * sizeof *s->score);
    for (int k = 0; k < N_SCALES; k++) {
        s->scale = scales[k];
        int code = par_for(s->env->par, (s->ny + ROWS - 1) / ROWS, means_body, s,
                           s->env->cancel, err);
        if (code) {
            return code;
        }
        spread(s->z, s->base, n, s->samples, &s->center, &s->sigma);
        for (size_t i = 0; i < n; i++) {
            const float z = s->sigma > 0 ? (s->z[i] - s->center) / s->sigma : 0;
            s->z[i] = z;
            if (z > s->score[i] && (k < 2 || s->finer[i] > z / 4)) {
                s->score[i] = z;
            }
        }
        float *swap = s->z;
        s->z = s->finer;
        s->finer = swap;
    }
    return 0;
}

static void find_hot(struct search *s)
{
    const size_t n = s->nx * s->ny, reach = GROW * s->nx;
    memset(s->hot, 0, n);
    for (size_t i = 0; i < n; i++) {
        if (s->score[i] > THRESHOLD) {
            const size_t first = i < reach ? i % s->nx : i - reach;
            for (size_t k = first; k <= i + reach && k < n; k += s->nx) {
                s->hot[k] = 1;
            }
        }
    }
}

/* ---- what all slices together show beside them ---- */

/*
 * Light that spills over the ends of the slices and is too faint to be seen in any place:
 * the mean at each distance from a slice, against that in the middle between slices. The
 * rows up to the last that stands out are left out.
 */
static int measure_spill(const struct search *s)
{
    double sum[REACH + 1] = {0}, squares[REACH + 1] = {0}, count[REACH + 1] = {0};
    for (size_t i = 0; i < s->nx * s->ny; i++) {
        if (s->base[i] && !s->hot[i] && s->distance[i] < REACH) {
            const double v = (double)s->d[i];
            sum[s->distance[i]] += v;
            squares[s->distance[i]] += v * v;
            count[s->distance[i]] += 1;
        }
    }
    const int far = MIDDLE;
    if (count[far] < 2) {
        return MARGIN;
    }
    const double middle = sum[far] / count[far];
    int rows = MARGIN;
    while (rows + 1 < far && count[rows + 1] > 0) {
        const int k = rows + 1;
        const double error = sqrt(squares[k] / count[k] / count[k] +
                                  squares[far] / count[far] / count[far]);
        if (sum[k] / count[k] - middle < SPILL_SIGMA * error) {
            break;
        }
        rows++;
    }
    return rows;
}

/* ---- the mask ---- */

/* Give a column back the pixels with the least light, until it has `least`. */
static size_t restore(const struct search *s, size_t x, size_t least, uint8_t *mask)
{
    const size_t n = s->nx * s->ny;
    size_t has = 0, out = 0, back = 0;
    for (size_t i = x; i < n; i += s->nx) {
        has += mask[i];
        if (s->base[i] && !mask[i]) {
            s->samples[out++] = s->score[i];
        }
    }
    if (has >= least || out == 0) {
        return 0;
    }
    const size_t want = least - has < out ? least - has : out;
    const float limit = robust_select(s->samples, out, want - 1);
    for (size_t i = x; i < n && back < want; i += s->nx) {
        if (s->base[i] && !mask[i] && s->score[i] <= limit) {
            mask[i] = 1;
            back++;
        }
    }
    return back;
}

static void apply(const struct search *s, uint8_t *mask, struct found *ret)
{
    ret->spill = measure_spill(s);
    for (size_t i = 0; i < s->nx * s->ny; i++) {
        mask[i] = s->base[i] && !s->hot[i] && s->distance[i] > ret->spill;
        ret->light += s->base[i] && s->hot[i];
    }
    for (size_t x = 0; x < s->nx; x++) {
        ret->restored += restore(s, x, s->ny / LEAST_SHARE, mask);
    }
}

static int search_new(struct search *s, struct err *err)
{
    const size_t n = s->nx * s->ny;
    const size_t threads = s->env->par ? (size_t)par_threads(s->env->par) : 1;
    s->d = mem_alloc(n, sizeof *s->d, err);
    s->score = mem_alloc(n, sizeof *s->score, err);
    s->z = mem_alloc(n, sizeof *s->z, err);
    s->finer = mem_alloc(n, sizeof *s->finer, err);
    s->base = mem_alloc(n, 1, err);
    s->distance = mem_alloc(n, 1, err);
    s->hot = mem_alloc(n, 1, err);
    s->levels = mem_alloc(s->nx, sizeof *s->levels, err);
    s->samples = mem_alloc(SAMPLES, sizeof *s->samples, err);
    s->sums = mem_alloc(2 * threads * (s->nx + 1), sizeof *s->sums, err);
    return s->d && s->score && s->z && s->finer && s->base && s->distance && s->hot &&
                   s->levels && s->samples && s->sums
               ? 0
               : ERR_NOMEM;
}

static void search_free(struct search *s)
{
    free(s->d);
    free(s->score);
    free(s->z);
    free(s->finer);
    free(s->base);
    free(s->distance);
    free(s->hot);
    free(s->levels);
    free(s->samples);
    free(s->sums);
}

/* Again with the mask as it is now, and off the image. */
static int set_light_aside(struct search *s, struct flicker *f,
                           struct flicker_light *light, struct err *err)
{
    int code =
        flicker_column_levels(s->env, f->image, f->mask, f->nx, f->ny, s->levels, err);
    code = code ? code
                : flicker_light_fit(f->image, f->mask, s->levels, f->nx, f->ny, light,
                                    err);
    for (size_t y = 0; !code && light->found && y < s->ny; y++) {
        flicker_light_row(light, (int)y, s->samples);
        for (size_t x = 0; x < s->nx; x++) {
            f->image[y * s->nx + x] -= s->samples[x];
        }
    }
    return code;
}

int flicker_auto_mask(const struct stage_env *env, struct flicker *f,
                      struct flicker_light *light, struct err *err)
{
    struct search s = {.env = env, .nx = (size_t)f->nx, .ny = (size_t)f->ny};
    const struct exposure *e = f->exposure;
    struct found found = {0};
    int code = search_new(&s, err);
    if (!code) {
        measure_distance(e, &s);
        for (size_t i = 0; i < s.nx * s.ny; i++) {
            s.base[i] =
                f->mask[i] && s.distance[i] > MARGIN && !(e->dq[i] & DQ_DO_NOT_USE);
        }
        code = flatten(&s, f->image, err);
    }
    code = code ? code : score(&s, err);
    if (!code) {
        find_hot(&s);
        apply(&s, f->mask, &found);
        code = set_light_aside(&s, f, light, err);
    }
    if (!code) {
        stage_note(env,
                   "%s: automatic mask: light on %zu background pixels, rows beside "
                   "each slice left out: %d, pixels taken back for columns with few: "
                   "%zu, wide light of %.2g DN/s rms set aside",
                   e->meta.filename, found.light, found.spill, found.restored,
                   light->found ? light->rms : 0);
    }
    search_free(&s);
    return code;
}
