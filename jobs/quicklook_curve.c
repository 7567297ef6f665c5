#include "jobs/quicklook_curve.h"

#include <math.h>

static void veil(cairo_t *cr, const struct panel *p, double x0, double x1)
{
    plot_colour(cr, plot_empty, 0.8);
    cairo_rectangle(cr, x0, p->top, x1 - x0, p->height);
    cairo_fill(cr);
    if (x1 - x0 > 110.0) {
        plot_colour(cr, plot_faint, 1.0);
        plot_text(cr, 0.5 * (x0 + x1), p->top + 0.5 * p->height + 5.0, 14.0, false,
                  TEXT_CENTER, false, "no data");
    }
}

/* Do samples leave a gap before sample i, as between dispersers that do not overlap? A step
 * that is wide in the picture and so many times those beside it. */
static bool is_gap(const struct panel *p, const struct curve *q, size_t i)
{
    const double wide = 40.0, times = 8.0;
    const double step = q->x[i] - q->x[i - 1];
    const bool before = i < 2 || step > times * (q->x[i - 1] - q->x[i - 2]);
    const bool after = i + 1 >= q->n || step > times * (q->x[i + 1] - q->x[i]);
    return panel_x(p, q->x[i]) - panel_x(p, q->x[i - 1]) > wide && before && after;
}

void curve_veil(cairo_t *cr, const struct panel *p, const struct curve *q)
{
    const double edge = 20.0; /* a margin of the axis is no gap */
    const double right = p->left + p->width;
    double last = p->left; /* of the values so far */
    size_t gap = 0;
    for (size_t i = 0; i < q->n; i++) {
        if (!isfinite(q->y[i])) {
            gap++;
            continue;
        }
        const double x = panel_x(p, q->x[i]);
        if (gap > 2 || (gap == i && x - last > edge) ||
            (i > 0 && gap == 0 && is_gap(p, q, i))) {
            veil(cr, p, last, x);
        }
        last = x;
        gap = 0;
    }
    if (gap > 2 || right - last > edge) {
        veil(cr, p, last, right);
    }
}

static double held(double y, const struct panel *p) /* keep paths near the panel */
{
    double span = p->y1 - p->y0;
    return y < p->y0 - span ? p->y0 - span : y > p->y1 + span ? p->y1 + span : y;
}

/* One run without gaps: first..end-1. */
static void draw_run(cairo_t *cr, const struct panel *p, const struct curve *q,
                     struct rgb colour, double width, size_t first, size_t end)
{
    if (q->error) {
        cairo_new_path(cr);
        for (size_t i = first; i < end; i++) {
            double e = isfinite(q->error[i]) ? q->error[i] : 0.0;
            cairo_line_to(cr, panel_x(p, q->x[i]), panel_y(p, held(q->y[i] + e, p)));
        }
        for (size_t i = end; i-- > first;) {
            double e = isfinite(q->error[i]) ? q->error[i] : 0.0;
            cairo_line_to(cr, panel_x(p, q->x[i]), panel_y(p, held(q->y[i] - e, p)));
        }
        cairo_close_path(cr);
        plot_colour(cr, plot_band, 0.45);
        cairo_fill(cr);
    }
    cairo_new_path(cr);
    for (size_t i = first; i < end; i++) {
        cairo_line_to(cr, panel_x(p, q->x[i]), panel_y(p, held(q->y[i], p)));
    }
    if (end - first == 1) { /* a value between gaps: a dot */
        cairo_close_path(cr);
    }
    plot_colour(cr, colour, 1.0);
    cairo_set_line_width(cr, width);
    cairo_stroke(cr);
}

void curve_draw(cairo_t *cr, const struct panel *p, const struct curve *q,
                struct rgb colour, double width)
{
    cairo_save(cr);
    cairo_rectangle(cr, p->left, p->top, p->width, p->height);
    cairo_clip(cr);
    cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
    cairo_set_line_cap(cr, CAIRO_LINE_CAP_ROUND);
    for (size_t i = 0; i < q->n; i++) {
        size_t end = i;
        while (end < q->n && isfinite(q->y[end]) && (end == i || !is_gap(p, q, end))) {
            end++;
        }
        if (end > i) {
            draw_run(cr, p, q, colour, width, i, end);
        }
        i = end < q->n && isfinite(q->y[end]) ? end - 1 : end;
    }
    cairo_restore(cr);
}

const char *curve_flux_unit(double high, double *ret_factor)
{
    static const struct {
        double from, factor;
        const char *name;
    } units[] = {{1.0, 1.0, "Jy"}, {1e-3, 1e3, "mJy"}, {1e-6, 1e6, "µJy"}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (high >= units[i].from) {
            *ret_factor = units[i].factor;
            return units[i].name;
        }
    }
    *ret_factor = 1e9;
    return "nJy";
}
