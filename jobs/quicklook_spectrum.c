#include "jobs/quicklook_spectrum.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "jobs/quicklook_curve.h"
#include "jobs/quicklook_range.h"

/* Values to show: NaN where flagged, in the unit of the axis. */
static void fill_values(const struct spectrum *s, const double *y, double factor,
                        struct curve *q)
{
    for (size_t i = 0; i < q->n; i++) {
        bool good = !(s->dq[i] & DQ_DO_NOT_USE) && isfinite(y[i]);
        q->y[i] = good ? y[i] * factor : (double)NAN;
    }
}

static void fill_curve(const struct spectrum *s, const double *y, const double *e,
                       double factor, struct curve *q)
{
    fill_values(s, y, factor, q);
    for (size_t i = 0; i < q->n; i++) {
        bool good = isfinite(q->y[i]) && isfinite(e[i]);
        q->error[i] = good ? e[i] * factor : (double)NAN;
    }
}

static const double *values_of(const struct spectrum *s, bool extended)
{
    return extended ? s->surf_bright : s->flux;
}

static const double *errors_of(const struct spectrum *s, bool extended)
{
    return extended ? s->sb_error : s->flux_error;
}

/* As many rows of another spectrum as q has room for. */
static struct curve curve_of(const struct spectrum *t, const struct curve *q)
{
    return (struct curve){t->n < q->n ? t->n : q->n, t->wavelength, q->y, q->error};
}

/* What holds all of the list. */
static int find_range(const struct spectrum *s, bool extended, const struct curve *q,
                      double *ret_low, double *ret_high, struct err *err)
{
    *ret_low = INFINITY;
    *ret_high = -INFINITY;
    int code = 0;
    for (const struct spectrum *t = s; t && !code; t = t->next) {
        double low, high;
        struct curve one = curve_of(t, q);
        fill_curve(t, values_of(t, extended), errors_of(t, extended), 1.0, &one);
        code = quicklook_range(one.y, one.error, one.n, &low, &high, err);
        *ret_low = code ? *ret_low : fmin(*ret_low, low);
        *ret_high = code ? *ret_high : fmax(*ret_high, high);
    }
    return code;
}

static void label_fluxes(cairo_t *cr, const struct panel *p, const struct spectrum *s,
                         bool extended, const char *unit, int n_sources)
{
    char text[160];
    plot_colour(cr, plot_ink, 1.0);
    snprintf(text, sizeof text, "%s (%s)",
             extended ? "Mean surface brightness" : "Flux density", unit);
    plot_text(cr, p->left - 62.0, p->top + 0.5 * p->height, 16.0, false, TEXT_CENTER,
              true, text);
    if (extended) {
        const char *region = "whole field";
        header_get_string(&s->table, "EXTRREGN", &region);
        snprintf(text, sizeof text, "%.60s, EXTENDED; band: 1σ error", region);
    } else if (n_sources > 1) {
        snprintf(text, sizeof text, "%d sources; band and S/N: of the first",
                 n_sources);
    } else {
        snprintf(text, sizeof text, "aperture %.2f″, %s; band: 1σ error",
                 s->aperture_arcsec, s->source_type[0] ? s->source_type : "POINT");
    }
    plot_text(cr, p->left, p->top - 12.0, 15.0, false, TEXT_LEFT, false, text);
}

/* Above: values of all with the error band of the first, which stays in q. */
static int draw_fluxes(cairo_t *cr, const struct spectrum *s, struct curve *q,
                       struct panel *p, struct err *err)
{
    const bool extended = !strcmp(s->source_type, "EXTENDED");
    const double *y = values_of(s, extended), *e = errors_of(s, extended);
    const char *unit = "MJy/sr";
    double low, high, factor = 1.0;
    int number = 1, code = find_range(s, extended, q, &low, &high, err);
    if (code) {
        return code;
    }
    if (!extended) {
        unit = curve_flux_unit(fmax(fabs(low), fabs(high)), &factor);
    }
    p->y0 = low * factor;
    p->y1 = high * factor;
    fill_curve(s, y, e, factor, q); /* what the veil follows */
    curve_veil(cr, p, q);
    plot_grid(cr, p, 8, 7);
    for (const struct spectrum *t = s->next; t; t = t->next) {
        struct curve other = curve_of(t, q);
        other.error = NULL;
        fill_values(t, values_of(t, extended), factor, &other);
        curve_draw(cr, p, &other, plot_colour_of(number++), 1.15);
    }
    fill_curve(s, y, e, factor, q);
    curve_draw(cr, p, q, plot_colour_of(0), 1.15);
    plot_frame(cr, p, 8, 7, false);
    label_fluxes(cr, p, s, extended, unit, number);
    return 0;
}

/* Below: signal to noise, without a band. */
static int draw_ratio(cairo_t *cr, struct curve *q, struct panel *p, struct err *err)
{
    for (size_t i = 0; i < q->n; i++) {
        q->y[i] = q->error[i] > 0.0 ? q->y[i] / q->error[i] : (double)NAN;
        q->error[i] = 0.0;
    }
    int code = quicklook_range(q->y, q->error, q->n, &p->y0, &p->y1, err);
    if (code) {
        return code;
    }
    struct curve ratio = *q;
    ratio.error = NULL;
    curve_veil(cr, p, q);
    plot_grid(cr, p, 8, 6);
    curve_draw(cr, p, &ratio, plot_colour_of(0), 1.15);
    plot_frame(cr, p, 8, 6, true);
    plot_colour(cr, plot_ink, 1.0);
    plot_text(cr, p->left - 62.0, p->top + 0.5 * p->height, 16.0, false, TEXT_CENTER,
              true, "S/N");
    plot_text(cr, p->left + 0.5 * p->width, p->top + p->height + 46.0, 16.0, false,
              TEXT_CENTER, false, "Wavelength (µm)");
    return 0;
}

int quicklook_spectrum_draw(cairo_t *cr, const struct spectrum *s, struct err *err)
{
    double *values = mem_alloc(2 * s->n + 1, sizeof *values, err);
    if (!values) {
        return ERR_NOMEM;
    }
    struct curve q = {s->n, s->wavelength, values, values + s->n};
    struct panel p = {
        790.0, 150.0, 765.0, 440.0, s->wavelength[0], s->wavelength[s->n - 1],
        0.0,   1.0};
    if (!(p.x1 > p.x0)) { /* one wavelength */
        p.x0 -= 0.5;
        p.x1 += 0.5;
    }
    int code = draw_fluxes(cr, s, &q, &p, err);
    struct panel below = {p.left, 612.0, p.width, 168.0, p.x0, p.x1, 0.0, 1.0};
    code = code ? code : draw_ratio(cr, &q, &below, err);
    free(values);
    return code;
}
