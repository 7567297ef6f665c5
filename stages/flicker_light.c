#include "stages/flicker_light.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/math/robust.h"

#define BOX 32            /* pixels along x and y */
#define LEAST_SHARE 0.125 /* of a box, for its mean to count */
#define BOXES_PER_ORDER 4
#define ROUNDS 4
#define OUTLIER_SIGMA 4.0
#define BELIEVED 4.0 /* times the power of noise */
#define LINES 32     /* columns of one piece */
#define TERMS ((LIGHT_Y + 1) * (LIGHT_X + 1))

/* ---- levels of the columns ---- */

struct levels {
    const float *image;
    const uint8_t *mask;
    int nx, ny;
    float *levels, *scratch; /* ny for each thread */
};

static int level_body(size_t piece, int thread, void *arg, struct err *err)
{
    const struct levels *l = arg;
    const size_t nx = (size_t)l->nx, ny = (size_t)l->ny;
    float *values = l->scratch + (size_t)thread * ny;
    (void)err;
    for (size_t x = piece * LINES; x < (piece + 1) * LINES && x < nx; x++) {
        size_t n = 0;
        for (size_t i = x; i < nx * ny; i += nx) {
            if (l->mask[i]) {
                values[n++] = l->image[i];
            }
        }
        l->levels[x] = n ? robust_median(values, n) : 0;
    }
    return 0;
}

int flicker_column_levels(const struct stage_env *env, const float *image,
                          const uint8_t *mask, int nx, int ny, float *levels,
                          struct err *err)
{
    const size_t threads = env->par ? (size_t)par_threads(env->par) : 1;
    struct levels l = {image, mask, nx, ny, levels, NULL};
    l.scratch = mem_alloc(threads * (size_t)ny, sizeof *l.scratch, err);
    if (!l.scratch) {
        return ERR_NOMEM;
    }
    int code = par_for(env->par, ((size_t)nx + LINES - 1) / LINES, level_body, &l,
                       env->cancel, err);
    free(l.scratch);
    return code;
}

/* ---- the series ---- */

struct box {
    double mean, weight; /* weight: pixels; 0 does not count */
    double model, wavy;  /* the series; without the terms that y does not change */
    double terms[TERMS];
};

static double order(int k, double at, int n)
{
    return cos(M_PI * k * at / n);
}

static double mad(float *values, size_t n)
{
    return n ? 1.4826 * (double)robust_median(values, n) : 0;
}

/* The limit beyond which a pixel counts as the limit: 5 sigma of all masked pixels. */
static double clip_limit(const float *image, const uint8_t *mask, const float *levels,
                         size_t nx, size_t n, float *scratch, size_t room)
{
    const size_t step = n / room + 1;
    size_t used = 0;
    for (size_t i = 0; i < n; i += step) {
        if (mask[i]) {
            scratch[used++] = fabsf(image[i] - levels[i % nx]);
        }
    }
    return 5 * mad(scratch, used);
}

static void fill_box(struct box *b, const float *image, const uint8_t *mask,
                     const float *levels, const struct flicker_light *l, int x0, int y0,
                     double limit)
{
    const int x1 = x0 + BOX < l->nx ? x0 + BOX : l->nx;
    const int y1 = y0 + BOX < l->ny ? y0 + BOX : l->ny;
    double sum = 0;
    size_t n = 0;
    for (int y = y0; y < y1; y++) {
        for (int x = x0; x < x1; x++) {
            const size_t i = (size_t)y * (size_t)l->nx + (size_t)x;
            if (mask[i]) {
                const double v = (double)image[i] - (double)levels[x];
                sum += fmin(fmax(v, -limit), limit);
                n++;
            }
        }
    }
    const bool counts = (double)n >= LEAST_SHARE * (x1 - x0) * (y1 - y0) && n > 0;
    b->weight = counts ? (double)n : 0;
    b->mean = counts ? sum / (double)n : 0;
    int t = 0;
    for (int ky = 0; ky <= l->orders_y; ky++) {
        for (int kx = 0; kx <= l->orders_x; kx++) {
            b->terms[t++] =
                order(ky, (y0 + y1) / 2.0, l->ny) * order(kx, (x0 + x1) / 2.0, l->nx);
        }
    }
}

/* Weighted least squares by Cholesky; false if the boxes do not determine the series. */
static bool solve(const struct box *boxes, const uint8_t *use, size_t n, int terms,
                  double *c)
{
    double a[TERMS][TERMS] = {{0}}, r[TERMS] = {0};
    for (size_t i = 0; i < n; i++) {
        const struct box *b = &boxes[i];
        for (int j = 0; use[i] && j < terms; j++) {
            const double w = b->weight * b->terms[j];
            r[j] += w * b->mean;
            for (int k = 0; k <= j; k++) {
                a[j][k] += w * b->terms[k];
            }
        }
    }
    const double floor = 1e-6 * a[0][0];
    for (int i = 0; i < terms; i++) {
        for (int k = 0; k <= i; k++) {
            double sum = a[i][k];
            for (int j = 0; j < k; j++) {
                sum -= a[i][j] * a[k][j];
            }
            if (i == k && !(sum > floor)) {
                return false;
            }
            a[i][k] = i == k ? sqrt(sum) : sum / a[k][k];
        }
    }
    for (int i = 0; i < terms; i++) {
        c[i] = r[i];
        for (int j = 0; j < i; j++) {
            c[i] -= a[i][j] * c[j];
        }
        c[i] /= a[i][i];
    }
    for (int i = terms; i-- > 0;) {
        for (int j = i + 1; j < terms; j++) {
            c[i] -= a[j][i] * c[j];
        }
        c[i] /= a[i][i];
    }
    return true;
}

/* Boxes that lie far from the model are left out of the next round. */
static void drop_outliers(struct box *boxes, uint8_t *use, size_t n, int flat_terms,
                          int terms, const double *c, float *scratch)
{
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        boxes[i].model = boxes[i].wavy = 0;
        for (int j = 0; j < terms; j++) {
            boxes[i].model += c[j] * boxes[i].terms[j];
            boxes[i].wavy += j < flat_terms ? 0 : c[j] * boxes[i].terms[j];
        }
        if (use[i]) {
            scratch[used++] = (float)fabs(boxes[i].mean - boxes[i].model);
        }
    }
    const double limit = OUTLIER_SIGMA * mad(scratch, used);
    for (size_t i = 0; i < n; i++) {
        use[i] = boxes[i].weight > 0 && fabs(boxes[i].mean - boxes[i].model) <= limit;
    }
}

/*
 * Is it light? Neighbours along x share the light and not the noise, so their differences
 * tell the variance that noise gives the mean of a box; each term of the series would
 * fit as much of it.
 */
static void judge(const struct box *boxes, const uint8_t *use, size_t across, size_t n,
                  int terms, float *scratch, struct flicker_light *l)
{
    size_t pairs = 0, used = 0;
    double power = 0;
    for (size_t i = 0; i < n; i++) {
        power += use[i] ? boxes[i].wavy * boxes[i].wavy : 0;
        used += use[i];
        if ((i + 1) % across && i + 1 < n && use[i] && use[i + 1]) {
            scratch[pairs++] = (float)fabs(boxes[i + 1].mean - boxes[i].mean);
        }
    }
    const double sigma = mad(scratch, pairs) / sqrt(2);
    l->rms = used ? sqrt(power / (double)used) : 0;
    l->ratio = sigma > 0 ? power / terms / (sigma * sigma) : 0;
    l->found = l->ratio > BELIEVED;
}

static double level_term(const float *levels, int kx, int nx)
{
    double sum = 0;
    for (int x = 0; x < nx; x++) {
        sum += (double)levels[x] * order(kx, x + 0.5, nx);
    }
    return 2 * sum / nx;
}

/*
 * The terms that y does not change, of the levels of columns. In the boxes, whose levels
 * are off, they stood for minus the levels of the rest of the light. Cosines are
 * orthogonal over all columns, so each is a sum. Slow noise is in them: its power, which
 * goes as 1 / order, is told by the orders above; of the light by its other terms of the
 * same order along x. The share of the light in both is what counts as light.
 */
static void take_levels(const float *levels, struct flicker_light *l)
{
    double noise = 0;
    for (int kx = LIGHT_X + 1; kx <= 5 * LIGHT_X; kx++) {
        const double c = level_term(levels, kx, l->nx);
        noise += kx * c * c / (4 * LIGHT_X);
    }
    l->c[0][0] = 0; /* the level of the whole image stays */
    for (int kx = 1; kx <= l->orders_x; kx++) {
        double light = 0;
        for (int ky = 1; ky <= l->orders_y; ky++) {
            light += l->c[ky][kx] * l->c[ky][kx] / l->orders_y;
        }
        const double both = light + noise / kx;
        l->c[0][kx] += level_term(levels, kx, l->nx);
        l->c[0][kx] *= both > 0 ? light / both : 0;
    }
}

static void fit_boxes(struct box *boxes, uint8_t *use, float *scratch, size_t across,
                      size_t n, struct flicker_light *l)
{
    const int flat_terms = l->orders_x + 1, terms = (l->orders_y + 1) * flat_terms;
    double c[TERMS] = {0};
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        use[i] = boxes[i].weight > 0;
        used += use[i];
    }
    for (int round = 0; round < ROUNDS; round++) {
        if (used < 2 * (size_t)terms || !solve(boxes, use, n, terms, c)) {
            return;
        }
        drop_outliers(boxes, use, n, flat_terms, terms, c, scratch);
    }
    judge(boxes, use, across, n, terms - flat_terms, scratch, l);
    for (int ky = 0, t = 0; ky <= l->orders_y; ky++) {
        for (int kx = 0; kx <= l->orders_x; kx++) {
            l->c[ky][kx] = c[t++];
        }
    }
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

int flicker_light_fit(const float *image, const uint8_t *mask, const float *levels,
                      int nx, int ny, struct flicker_light *ret, struct err *err)
{
    const int across = (nx + BOX - 1) / BOX, down = (ny + BOX - 1) / BOX;
    const size_t n = (size_t)across * (size_t)down, room = n > 65536 ? n : 65536;
    struct flicker_light l = {.nx = nx, .ny = ny};
    l.orders_x = least(LIGHT_X, across / BOXES_PER_ORDER);
    l.orders_y = least(LIGHT_Y, down / BOXES_PER_ORDER);
    struct box *boxes = mem_alloc(n, sizeof *boxes, err);
    uint8_t *use = mem_alloc(n, 1, err);
    float *scratch = mem_alloc(room, sizeof *scratch, err);
    const int code = boxes && use && scratch ? 0 : ERR_NOMEM;
    if (!code && l.orders_y > 0) {
        const double limit = clip_limit(image, mask, levels, (size_t)nx,
                                        (size_t)nx * (size_t)ny, scratch, room);
        for (size_t i = 0; i < n; i++) {
            fill_box(&boxes[i], image, mask, levels, &l,
                     (int)(i % (size_t)across) * BOX, (int)(i / (size_t)across) * BOX,
                     limit);
        }
        fit_boxes(boxes, use, scratch, (size_t)across, n, &l);
        take_levels(levels, &l);
    }
    free(boxes);
    free(use);
    free(scratch);
    if (!code) {
        *ret = l;
    }
    return code;
}

void flicker_light_row(const struct flicker_light *light, int y, float *row)
{
    double along[LIGHT_X + 1] = {0};
    memset(row, 0, (size_t)light->nx * sizeof *row);
    if (!light->found) {
        return;
    }
    for (int kx = 0; kx <= light->orders_x; kx++) {
        for (int ky = 0; ky <= light->orders_y; ky++) {
            along[kx] += light->c[ky][kx] * order(ky, y + 0.5, light->ny);
        }
    }
    for (int x = 0; x < light->nx; x++) {
        double sum = 0;
        const double step = cos(M_PI * (x + 0.5) / light->nx);
        /* Clenshaw: cos(k t) from cos(t) */
        double b1 = 0, b2 = 0;
        for (int kx = light->orders_x; kx > 0; kx--) {
            const double b = along[kx] + 2 * step * b1 - b2;
            b2 = b1;
            b1 = b;
        }
        sum = along[0] + step * b1 - b2;
        row[x] = (float)sum;
    }
}
