#include "stages/flat_total.h"

#include <math.h>
#include <string.h>
#include "common/data/dq.h"

enum { BAD_FLAT = DQ_NO_FLAT_FIELD | DQ_DO_NOT_USE | DQ_UNRELIABLE_FLAT };

/* One of the three flats, on the pixels of a run. */
struct part {
    double flat[FLAT_RUN], error[FLAT_RUN];
    uint32_t dq[FLAT_RUN];
};

/* The slow part: the image at the wavelengths of the pixels. */
struct slow {
    float flat[FLAT_RUN];
    double error[FLAT_RUN];
    uint32_t dq[FLAT_RUN];
};

static int one_plane(const struct ref_flat *r, const struct flat_run *run,
                     struct slow *s, struct err *err)
{
    size_t x = run->x - r->x0, y = run->y - r->y0;
    int code = ref_planes_floats(&r->sci, 0, x, y, run->n, s->flat, err);
    if (!code && r->error.n) {
        float error[FLAT_RUN];
        code = ref_planes_floats(&r->error, 0, x, y, run->n, error, err);
        for (size_t i = 0; !code && i < run->n; i++) {
            s->error[i] = (double)error[i];
        }
    }
    if (!code && r->dq.n) {
        code = ref_flat_dq(r, 0, run->x, run->y, run->n, s->dq, err);
    }
    return code;
}

/* The planes below and above each pixel's wavelength, clamped to the first and last
 * pair, and the weight of the upper one. */
static void find_planes(const struct ref_flat *r, const struct flat_run *run,
                        size_t *plane, double *weight)
{
    const float *um = r->plane_um;
    size_t last = r->sci.n - 2, k = 0;
    for (size_t i = 0; i < run->n; i++) {
        double v = run->um[i];
        while (k < last && v >= (double)um[k + 1]) {
            k++;
        }
        while (k > 0 && v < (double)um[k]) {
            k--;
        }
        /* The difference is rounded to float, as the peer's column type makes it. */
        float gap = um[k + 1] - um[k];
        plane[i] = k;
        weight[i] = gap == 0.0F ? 0 : (v - (double)um[k]) / (double)gap;
    }
}

/* n values between the planes k and k + 1. */
static int blend(const struct ref_planes *p, size_t k, size_t x, size_t y, size_t n,
                 const double *weight, double *ret, struct err *err)
{
    float low[FLAT_RUN], high[FLAT_RUN];
    int code = ref_planes_floats(p, k, x, y, n, low, err);
    code = code ? code : ref_planes_floats(p, k + 1, x, y, n, high, err);
    for (size_t i = 0; !code && i < n; i++) {
        ret[i] = (1 - weight[i]) * (double)low[i] + weight[i] * (double)high[i];
    }
    return code;
}

/* The flags of both; on the lower plane its own. */
static int join_dq(const struct ref_flat *r, size_t k, size_t x, size_t y, size_t n,
                   const double *weight, uint32_t *ret, struct err *err)
{
    uint32_t high[FLAT_RUN];
    int code = ref_flat_dq(r, k, x, y, n, ret, err);
    code = code ? code : ref_flat_dq(r, k + 1, x, y, n, high, err);
    for (size_t i = 0; !code && i < n; i++) {
        ret[i] |= weight[i] == 0 ? 0 : high[i];
    }
    return code;
}

static int between_planes(const struct ref_flat *r, const struct flat_run *run,
                          struct slow *s, struct err *err)
{
    size_t plane[FLAT_RUN], x = run->x - r->x0, y = run->y - r->y0;
    double weight[FLAT_RUN], flat[FLAT_RUN] = {0};
    float single[FLAT_RUN];
    int code = 0;

    find_planes(r, run, plane, weight);
    if (r->error.n == 1) {
        code = ref_planes_floats(&r->error, 0, x, y, run->n, single, err);
        for (size_t i = 0; !code && i < run->n; i++) {
            s->error[i] = (double)single[i];
        }
    }
    if (!code && r->dq.n == 1) {
        code = ref_flat_dq(r, 0, run->x, run->y, run->n, s->dq, err);
    }
    for (size_t i = 0, end; !code && i < run->n; i = end) {
        size_t k = plane[i];
        for (end = i + 1; end < run->n && plane[end] == k; end++) {
        }
        size_t n = end - i;
        code = blend(&r->sci, k, x + i, y, n, weight + i, flat + i, err);
        if (!code && r->error.n > 1) {
            code = blend(&r->error, k, x + i, y, n, weight + i, s->error + i, err);
        }
        if (!code && r->dq.n > 1) {
            code = join_dq(r, k, run->x + i, run->y, n, weight + i, s->dq + i, err);
        }
    }
    float first = r->plane_um[0], last = r->plane_um[r->sci.n - 1];
    for (size_t i = 0; !code && i < run->n; i++) {
        s->flat[i] = (float)flat[i];
        if (run->um[i] < (double)first || run->um[i] > (double)last) {
            s->dq[i] |= DQ_DO_NOT_USE;
        }
        if (s->dq[i] & DQ_DO_NOT_USE) {
            s->flat[i] = 1;
        }
    }
    return code;
}

static int slow_part(const struct ref_flat *r, const struct flat_run *run,
                     struct slow *s, struct err *err)
{
    memset(s->error, 0, run->n * sizeof *s->error);
    memset(s->dq, 0, run->n * sizeof *s->dq);
    if (!r->sci.n) { /* the fore optics have no image */
        for (size_t i = 0; i < run->n; i++) {
            s->flat[i] = 1;
        }
        return 0;
    }
    int code =
        r->sci.n == 1 ? one_plane(r, run, s, err) : between_planes(r, run, s, err);
    for (size_t i = 0; !code && i < run->n; i++) {
        if (isnan(s->flat[i]) || s->flat[i] == 0.0F) {
            s->dq[i] |= DQ_DO_NOT_USE | DQ_NO_FLAT_FIELD;
        }
        if (s->dq[i] & DQ_DO_NOT_USE) {
            s->flat[i] = 1;
        }
    }
    return code;
}

/* One flat: slow times fast, with the errors of both. */
static int one_part(const struct ref_flat *r, const struct flat_run *run,
                    struct part *ret, struct err *err)
{
    /* Gauss-Legendre, three points, on an interval of width 1 (Abramowitz & Stegun 1972,
     * table 25.4). */
    const double offset = sqrt(0.6) / 2;
    const double side = 5.0 / 18, middle = 8.0 / 18;
    const double none = (double)NAN;
    struct slow s;
    int code = slow_part(r, run, &s, err);
    if (code) {
        return code;
    }
    size_t at_low = 0, at_high = 0, at = 0;
    for (size_t i = 0; i < run->n; i++) {
        double um = run->um[i], reach = run->width[i] * offset;
        double fast = side * interp_at(&r->fast, um - reach, none, none, &at_low);
        fast += middle * interp_at(&r->fast, um, none, none, &at);
        fast += side * interp_at(&r->fast, um + reach, none, none, &at_high);
        double fast_error = interp_at(&r->fast_error, um, none, none, &at);
        uint32_t dq = s.dq[i];
        if (isnan(fast)) {
            fast = 1;
            fast_error = 0;
            dq |= DQ_NO_FLAT_FIELD | DQ_DO_NOT_USE;
        }
        double a = fast_error * (double)s.flat[i], b = s.error[i] * fast;
        a = isnan(a) ? 0 : a * a;
        b = isnan(b) ? 0 : b * b;
        ret->flat[i] = (double)s.flat[i] * fast;
        ret->error[i] = sqrt(a + b);
        ret->dq[i] = dq;
    }
    return 0;
}

static double relative_variance(const struct part *p, size_t i)
{
    double relative = p->error[i] / (p->flat[i] == 0 ? 1 : p->flat[i]);
    return relative * relative;
}

int flat_total(const struct flat_set *set, const struct flat_run *run, float *ret_flat,
               float *ret_error, uint32_t *ret_dq, struct err *err)
{
    struct part fore, spectrograph, detector;
    int code = one_part(set->fore, run, &fore, err);
    if (!code) {
        code = one_part(set->spectrograph, run, &spectrograph, err);
    }
    if (!code) {
        code = one_part(set->detector, run, &detector, err);
    }
    for (size_t i = 0; !code && i < run->n; i++) {
        double flat = fore.flat[i] * spectrograph.flat[i] * detector.flat[i];
        double variance = relative_variance(&fore, i);
        variance += relative_variance(&spectrograph, i);
        variance += relative_variance(&detector, i);
        double error = flat * sqrt(variance);
        uint32_t dq = fore.dq[i] | spectrograph.dq[i] | detector.dq[i];
        bool is_bad = dq & (DQ_NO_FLAT_FIELD | DQ_DO_NOT_USE) || flat <= 0;
        ret_flat[i] = is_bad ? NAN : (float)flat;
        ret_error[i] = is_bad ? NAN : (float)error;
        ret_dq[i] = is_bad                   ? dq | BAD_FLAT
                    : !isfinite(ret_flat[i]) ? dq | DQ_DO_NOT_USE
                                             : dq;
    }
    return code;
}
