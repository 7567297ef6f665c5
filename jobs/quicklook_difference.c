#include "jobs/quicklook_difference.h"

#include <cairo.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "jobs/job_difference.h"
#include "jobs/quicklook.h"
#include "jobs/quicklook_curve.h"
#include "jobs/quicklook_plot.h"
#include "jobs/quicklook_range.h"

static const struct rgb is_colour = {0.06, 0.29, 0.49}, was_colour = {0.95, 0.60, 0.25};

/* No wavelength of an instrument and no value that an axis can hold lies beyond these. */
#define MOST_UM 1e6
#define MOST_VALUE 1e30

static bool is_on_axis(double um)
{
    return um > 0 && um < MOST_UM;
}

/* NaN where there is nothing to show. */
static double shown(double um, double value)
{
    return is_on_axis(um) && fabs(value) < MOST_VALUE ? value : (double)NAN;
}

struct sheet { /* what is drawn; the arrays hold the rows of both spectra */
    struct curve was, is, change;
    double x0, x1;
};

static void fill_flux(const struct spectrum *s, struct curve *q)
{
    for (size_t i = 0; i < s->n; i++) {
        const bool good = !(s->dq[i] & DQ_DO_NOT_USE);
        q->y[i] = good ? shown(s->wavelength[i], s->flux[i]) : (double)NAN;
        q->error[i] = fabs(s->flux_error[i]) < MOST_VALUE ? s->flux_error[i] : 0.0;
    }
}

/* In place: sheet->change.y holds the old flux, .error its error. */
static void fill_change(const struct spectrum *s, struct curve *q)
{
    for (size_t i = 0; i < s->n; i++) {
        q->y[i] = shown(s->wavelength[i], (s->flux[i] - q->y[i]) / q->error[i]);
        q->error[i] = 0.0;
    }
}

/* By the rows that are shown, or all. */
static void widen(const struct curve *q, bool all, double *x0, double *x1)
{
    for (size_t i = 0; i < q->n; i++) {
        if (is_on_axis(q->x[i]) && (all || isfinite(q->y[i]))) {
            *x0 = fmin(*x0, q->x[i]);
            *x1 = fmax(*x1, q->x[i]);
        }
    }
}

/* Where either spectrum has a flux; if neither has, all wavelengths; if there are none,
 * something to draw an axis by. */
static void choose_wavelengths(struct sheet *t)
{
    t->x0 = INFINITY;
    t->x1 = -INFINITY;
    for (int all = 0; all < 2 && !(t->x1 >= t->x0); all++) {
        widen(&t->was, all, &t->x0, &t->x1);
        widen(&t->is, all, &t->x0, &t->x1);
    }
    if (!(t->x1 >= t->x0)) {
        t->x0 = t->x1 = 1.0;
    }
    const double margin = t->x1 - t->x0 < 1e-6 ? 0.5 : 0.01 * (t->x1 - t->x0);
    t->x0 -= margin;
    t->x1 += margin;
}

static void scale(struct curve *q, double factor)
{
    for (size_t i = 0; i < q->n; i++) {
        q->y[i] *= factor;
    }
}

/* ---- the panels ---- */

static const double left = 120.0, width = 1440.0;

static int draw_fluxes(cairo_t *cr, struct sheet *t, struct err *err)
{
    double low, high, other_low, other_high, factor = 1.0;
    int code = quicklook_range(t->is.y, t->is.error, t->is.n, &low, &high, err);
    code = code ? code
                : quicklook_range(t->was.y, t->was.error, t->was.n, &other_low,
                                  &other_high, err);
    if (code) {
        return code;
    }
    if (t->was.n && t->is.n) {
        low = fmin(low, other_low);
        high = fmax(high, other_high);
    } else if (t->was.n) {
        low = other_low;
        high = other_high;
    }
    const char *unit = curve_flux_unit(fmax(fabs(low), fabs(high)), &factor);
    struct panel p = {left,  184.0, width,        376.0,
                      t->x0, t->x1, low * factor, high * factor};
    char text[80];
    scale(&t->was, factor);
    scale(&t->is, factor);
    plot_grid(cr, &p, 14, 6);
    struct curve was = t->was, is = t->is;
    was.error = is.error = NULL;
    curve_draw(cr, &p, &was, was_colour,
               3.4); /* seen under the new one where they agree */
    curve_draw(cr, &p, &is, is_colour, 1.15);
    plot_frame(cr, &p, 14, 6, false);
    snprintf(text, sizeof text, "Flux density (%s)", unit);
    plot_colour(cr, plot_ink, 1.0);
    plot_text(cr, p.left - 72.0, p.top + 0.5 * p.height, 16.0, false, TEXT_CENTER, true,
              text);
    return 0;
}

/* An arrowhead at the edge of the panel that a value is beyond. */
static void mark_outside(cairo_t *cr, const struct panel *p, double um, bool above)
{
    const double x = panel_x(p, um), high = above ? 1.0 : -1.0;
    const double tip = (above ? p->top : p->top + p->height) + 3.0 * high;
    cairo_new_path(cr);
    cairo_move_to(cr, x, tip);
    cairo_line_to(cr, x - 5.0, tip + 9.0 * high);
    cairo_line_to(cr, x + 5.0, tip + 9.0 * high);
    cairo_close_path(cr);
    cairo_fill(cr);
}

/* The old error about no change, and no change itself. */
static void draw_sigma(cairo_t *cr, const struct panel *p)
{
    plot_colour(cr, plot_band, 0.25);
    cairo_rectangle(cr, p->left, panel_y(p, 1.0), p->width,
                    panel_y(p, -1.0) - panel_y(p, 1.0));
    cairo_fill(cr);
    plot_colour(cr, plot_ink, 0.55);
    cairo_set_line_width(cr, 1.0);
    cairo_move_to(cr, p->left, floor(panel_y(p, 0.0)) + 0.5);
    cairo_rel_line_to(cr, p->width, 0.0);
    cairo_stroke(cr);
}

static int draw_change(cairo_t *cr, const struct sheet *t, size_t compared,
                       struct err *err)
{
    struct panel p = {left, 584.0, width, 210.0, t->x0, t->x1, -1.0, 1.0};
    struct curve q = t->change;
    int code = quicklook_range(q.y, q.error, q.n, &p.y0, &p.y1, err);
    if (code) {
        return code;
    }
    p.y0 = fmin(compared ? p.y0 : -1.0, -1.2); /* one sigma is in sight */
    p.y1 = fmax(compared ? p.y1 : 1.0, 1.2);
    q.error = NULL;
    if (compared) {
        draw_sigma(cr, &p);
    }
    curve_veil(cr, &p, &q);
    if (!compared) {
        plot_colour(cr, plot_faint, 1.0);
        plot_text(
            cr, p.left + 0.5 * p.width, p.top + 0.5 * p.height + 30.0, 14.0, false,
            TEXT_CENTER, false,
            "no wavelength has a flux in both, and an error in the version before");
    }
    plot_grid(cr, &p, 14, 5);
    curve_draw(cr, &p, &q, is_colour, 1.15);
    plot_colour(cr, (struct rgb){0.80, 0.20, 0.10}, 1.0);
    for (size_t i = 0; i < q.n; i++) {
        if (q.y[i] > p.y1 || q.y[i] < p.y0) {
            mark_outside(cr, &p, q.x[i], q.y[i] > p.y1);
        }
    }
    plot_frame(cr, &p, 14, 5, true);
    plot_colour(cr, plot_ink, 1.0);
    plot_text(cr, p.left - 72.0, p.top + 0.5 * p.height, 16.0, false, TEXT_CENTER, true,
              "Change / error (σ)");
    plot_text(cr, p.left + 0.5 * p.width, p.top + p.height + 46.0, 16.0, false,
              TEXT_CENTER, false, "Wavelength (µm)");
    return 0;
}

/* ---- the words ---- */

static void draw_version(cairo_t *cr, double y, struct rgb colour, double thick,
                         const char *when, const struct quicklook_version *v)
{
    char text[700], inputs[60] = "";
    if (v->inputs && v->spectrum->weight) { /* combined */
        snprintf(inputs, sizeof inputs, ", %zu spectra", v->inputs);
    } else if (v->inputs) {
        snprintf(inputs, sizeof inputs, ", %zu exposure%s", v->inputs,
                 v->inputs == 1 ? "" : "s");
    }
    snprintf(text, sizeof text, "%s: %.400s%s%s%.40s%s", when, v->name, inputs,
             *v->date ? ", made " : "", v->date, *v->date ? " UTC" : "");
    plot_colour(cr, colour, 1.0);
    cairo_set_line_width(cr, thick);
    cairo_move_to(cr, left, y - 5.0);
    cairo_rel_line_to(cr, 34.0, 0.0);
    cairo_stroke(cr);
    plot_colour(cr, plot_ink, 1.0);
    plot_text_fit(cr, left + 46.0, y, 15.0, width - 46.0, false, text);
}

static void draw_words(cairo_t *cr, const struct quicklook_difference *d)
{
    const struct spectrum *s = d->is.spectrum;
    const char *target = "(no target name)", *grating = "", *filter = "";
    char text[600];
    header_get_string(&s->primary, "TARGNAME", &target);
    header_get_string(&s->primary, "GRATING", &grating);
    header_get_string(&s->primary, "FILTER", &filter);
    plot_colour(cr, plot_ink, 1.0);
    const double wide = plot_text_fit(cr, 40.0, 58.0, 30.0, 800.0, true, target);
    snprintf(text, sizeof text, "NIRSpec IFU  %.20s/%.20s   change of the spectrum%s",
             grating, filter, s->next ? " (source 1)" : "");
    plot_text_fit(cr, 40.0 + wide + 26.0, 58.0, 20.0, 1494.0 - wide, false, text);
    plot_colour(cr, plot_faint, 1.0);
    snprintf(text, sizeof text, "%.400s_%s.fits", d->file, s->weight ? "c1d" : "x1d");
    plot_text_fit(cr, 40.0, 88.0, 15.0, 1520.0, false, text);
    plot_colour(cr, plot_ink, 0.15);
    cairo_rectangle(cr, 40.0, 104.0, QUICKLOOK_WIDTH - 80.0, 1.0);
    cairo_fill(cr);
    draw_version(cr, 138.0, was_colour, 3.4, "before", &d->was);
    draw_version(cr, 164.0, is_colour, 1.6, "now", &d->is);
    job_difference_text(&d->numbers, text, sizeof text);
    plot_colour(cr, plot_faint, 1.0);
    plot_text_fit(cr, 40.0, QUICKLOOK_HEIGHT - 22.0, 13.0, 1300.0, false, text);
    plot_text(cr, QUICKLOOK_WIDTH - 40.0, QUICKLOOK_HEIGHT - 22.0, 13.0, false,
              TEXT_RIGHT, false, "ifud " IFUD_VERSION);
}

static int draw(cairo_t *cr, const void *what, struct err *err)
{
    const struct quicklook_difference *d = what;
    const struct spectrum *was = d->was.spectrum, *is = d->is.spectrum;
    double *values = mem_alloc(2 * (was->n + 2 * is->n) + 1, sizeof *values, err), *v;
    if (!(v = values)) {
        return ERR_NOMEM;
    }
    struct sheet t = {.was = {was->n, was->wavelength, v, v + was->n}};
    v += 2 * was->n;
    t.is = (struct curve){is->n, is->wavelength, v, v + is->n};
    v += 2 * is->n;
    t.change = (struct curve){is->n, is->wavelength, v, v + is->n};
    fill_flux(was, &t.was);
    fill_flux(is, &t.is);
    const size_t compared = job_difference_rows(was, is, t.change.y, t.change.error);
    fill_change(is, &t.change);
    choose_wavelengths(&t);
    plot_colour(cr, plot_paper, 1.0);
    cairo_paint(cr);
    draw_words(cr, d);
    int code = draw_fluxes(cr, &t, err);
    code = code ? code : draw_change(cr, &t, compared, err);
    free(values);
    return code;
}

int quicklook_difference_write(const struct quicklook_difference *d, const char *path,
                               struct err *err)
{
    return plot_picture(draw, d, path, err);
}
