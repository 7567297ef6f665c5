#include "jobs/quicklook_combined.h"

#include <cairo.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "jobs/quicklook.h"
#include "jobs/quicklook_curve.h"
#include "jobs/quicklook_plot.h"
#include "jobs/quicklook_range.h"

static const double left = 120.0, width = 1440.0;

#define MOST_VALUE 1e30 /* that an axis can hold */

/* Of the spectra, as they come. */
static struct rgb colour_of(size_t i)
{
    static const struct rgb colours[] = {
        {0.95, 0.60, 0.25}, {0.35, 0.60, 0.82}, {0.45, 0.75, 0.45},
        {0.85, 0.45, 0.65}, {0.75, 0.68, 0.20}, {0.60, 0.55, 0.85},
        {0.40, 0.75, 0.75}, {0.85, 0.45, 0.40}, {0.60, 0.60, 0.60}};
    return colours[i % (sizeof colours / sizeof *colours)];
}

static bool is_extended(const struct spectrum *s)
{
    return !strcmp(s->source_type, "EXTENDED");
}

/* What is shown of a spectrum, NaN where nothing is. */
static void fill(const struct spectrum *s, bool extended, double factor,
                 struct curve *q)
{
    const double *y = extended ? s->surf_bright : s->flux;
    const double *e = extended ? s->sb_error : s->flux_error;
    for (size_t i = 0; i < s->n; i++) {
        const bool good = !(s->dq[i] & DQ_DO_NOT_USE) && fabs(y[i]) < MOST_VALUE &&
                          s->wavelength[i] > 0 && s->wavelength[i] < 1e6;
        q->y[i] = good ? factor * y[i] : (double)NAN;
        q->error[i] = fabs(e[i]) < MOST_VALUE ? factor * e[i] : 0.0;
    }
}

/* What it was combined from, in its colours; then the mean. */
static int draw_spectra(cairo_t *cr, const struct quicklook_combined *d,
                        struct panel *p, struct curve *q, struct err *err)
{
    const struct spectrum *mean = d->mean;
    const bool extended = is_extended(mean);
    const char *unit = "MJy/sr";
    double factor = 1.0;
    char text[80];
    fill(mean, extended, 1.0, q);
    int code = quicklook_range(q->y, q->error, q->n, &p->y0, &p->y1, err);
    if (code) {
        return code;
    }
    if (!extended) {
        unit = curve_flux_unit(fmax(fabs(p->y0), fabs(p->y1)), &factor);
    }
    p->y0 *= factor;
    p->y1 *= factor;
    fill(mean, extended, factor, q);
    q->error = NULL;
    curve_veil(cr, p, q);
    plot_grid(cr, p, 14, 6);
    for (size_t i = 0; i < d->n; i++) {
        const struct spectrum *s = d->inputs[i];
        double *values = mem_alloc(2 * s->n + 1, sizeof *values, err);
        if (!values) {
            return ERR_NOMEM;
        }
        struct curve c = {s->n, s->wavelength, values, values + s->n};
        fill(s, extended, factor, &c);
        c.error = NULL;
        if (s->n && s->wavelength[0] <= s->wavelength[s->n - 1]) {
            curve_draw(cr, p, &c, colour_of(i), 3.4);
        }
        free(values);
    }
    curve_draw(cr, p, q, plot_ink, 1.0);
    plot_frame(cr, p, 14, 6, false);
    plot_colour(cr, plot_ink, 1.0);
    snprintf(text, sizeof text, "%s (%s)",
             extended ? "Mean surface brightness" : "Flux density", unit);
    plot_text(cr, p->left - 72.0, p->top + 0.5 * p->height, 16.0, false, TEXT_CENTER,
              true, text);
    return 0;
}

static int draw_ratio(cairo_t *cr, const struct quicklook_combined *d,
                      const struct panel *above, struct curve *q, struct err *err)
{
    struct panel p = {left, 584.0, width, 210.0, above->x0, above->x1, 0.0, 1.0};
    fill(d->mean, is_extended(d->mean), 1.0, q);
    for (size_t i = 0; i < q->n; i++) {
        q->y[i] = q->error[i] > 0.0 ? q->y[i] / q->error[i] : (double)NAN;
        q->y[i] = fabs(q->y[i]) < MOST_VALUE ? q->y[i] : (double)NAN;
        q->error[i] = 0.0;
    }
    int code = quicklook_range(q->y, q->error, q->n, &p.y0, &p.y1, err);
    if (code) {
        return code;
    }
    q->error = NULL;
    curve_veil(cr, &p, q);
    plot_grid(cr, &p, 14, 5);
    curve_draw(cr, &p, q, plot_ink, 1.0);
    plot_frame(cr, &p, 14, 5, true);
    plot_colour(cr, plot_ink, 1.0);
    plot_text(cr, p.left - 72.0, p.top + 0.5 * p.height, 16.0, false, TEXT_CENTER, true,
              "S/N");
    plot_text(cr, p.left + 0.5 * p.width, p.top + p.height + 46.0, 16.0, false,
              TEXT_CENTER, false, "Wavelength (µm)");
    return 0;
}

/* Which colour is which spectrum, side by side. */
static void draw_names(cairo_t *cr, const struct quicklook_combined *d)
{
    const double room = width / (double)(d->n ? d->n : 1);
    for (size_t i = 0; i < d->n; i++) {
        const struct exposure_meta *m = &d->inputs[i]->meta;
        const double x = left + room * (double)i;
        char text[120];
        snprintf(text, sizeof text, "%.12s/%.12s, %zu rows", m->grating, m->filter,
                 d->inputs[i]->n);
        plot_colour(cr, colour_of(i), 1.0);
        cairo_set_line_width(cr, 3.4);
        cairo_move_to(cr, x, 159.0);
        cairo_rel_line_to(cr, 34.0, 0.0);
        cairo_stroke(cr);
        plot_colour(cr, plot_ink, 1.0);
        plot_text_fit(cr, x + 46.0, 164.0, 15.0, room - 60.0, false, text);
    }
}

static void draw_words(cairo_t *cr, const struct quicklook_combined *d)
{
    const struct spectrum *s = d->mean;
    const char *target = s->meta.target_name;
    char text[600];
    plot_colour(cr, plot_ink, 1.0);
    const double wide = plot_text_fit(cr, 40.0, 58.0, 30.0, 800.0, true,
                                      *target ? target : "(no target name)");
    snprintf(text, sizeof text, "NIRSpec IFU  %zu spectra and their mean%s", d->n,
             s->next ? " (source 1)" : "");
    plot_text_fit(cr, 40.0 + wide + 26.0, 58.0, 20.0, 1494.0 - wide, false, text);
    plot_colour(cr, plot_faint, 1.0);
    plot_text_fit(cr, 40.0, 88.0, 15.0, 1520.0, false, d->file);
    plot_colour(cr, plot_ink, 0.15);
    cairo_rectangle(cr, 40.0, 104.0, QUICKLOOK_WIDTH - 80.0, 1.0);
    cairo_fill(cr);
    plot_colour(cr, plot_ink, 1.0);
    plot_text(cr, left, 138.0, 15.0, false, TEXT_LEFT, false,
              "thin: the mean; in colour: what it was combined from");
    draw_names(cr, d);
    plot_colour(cr, plot_faint, 1.0);
    snprintf(text, sizeof text, "%zu wavelengths from %.4f to %.4f µm", s->n,
             s->wavelength[0], s->wavelength[s->n - 1]);
    plot_text_fit(cr, 40.0, QUICKLOOK_HEIGHT - 22.0, 13.0, 1300.0, false, text);
    plot_text(cr, QUICKLOOK_WIDTH - 40.0, QUICKLOOK_HEIGHT - 22.0, 13.0, false,
              TEXT_RIGHT, false, "ifud " IFUD_VERSION);
}

static int draw(cairo_t *cr, const void *what, struct err *err)
{
    const struct quicklook_combined *d = what;
    const struct spectrum *s = d->mean;
    double *values = mem_alloc(2 * s->n + 1, sizeof *values, err);
    if (!values) {
        return ERR_NOMEM;
    }
    struct curve q = {s->n, s->wavelength, values, values + s->n}, ratio = q;
    struct panel p = {
        left, 184.0, width, 376.0, s->wavelength[0], s->wavelength[s->n - 1], 0.0, 1.0};
    const double margin = p.x1 - p.x0 > 1e-6 ? 0.01 * (p.x1 - p.x0) : 0.5;
    p.x0 -= margin;
    p.x1 += margin;
    plot_colour(cr, plot_paper, 1.0);
    cairo_paint(cr);
    draw_words(cr, d);
    int code = draw_spectra(cr, d, &p, &q, err);
    code = code ? code : draw_ratio(cr, d, &p, &ratio, err);
    free(values);
    return code;
}

int quicklook_combined_write(const struct quicklook_combined *d, const char *path,
                             struct err *err)
{
    return plot_picture(draw, d, path, err);
}
