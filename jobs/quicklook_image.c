#include "jobs/quicklook_image.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "common/base/mem.h"
#include "common/data/cube_collapse.h"
#include "common/math/robust.h"
#include "jobs/quicklook_plot.h"

/* Finite values of v in ascending order. */
static size_t sorted_values(const float *v, size_t n, float *sorted, float *scratch)
{
    size_t good = 0;
    for (size_t i = 0; i < n; i++) {
        if (isfinite(v[i])) {
            sorted[good++] = v[i];
        }
    }
    robust_sort(sorted, scratch, good);
    return good;
}

static double percentile(const float *sorted, size_t n, double share)
{
    return (double)sorted[(size_t)(share * (double)(n - 1) + 0.5)];
}

struct stretch {
    double low, high, knee; /* asinh((v - low) / knee), 1 at high */
};

static double stretched(const struct stretch *s, double v)
{
    return asinh((v - s->low) / s->knee) / asinh((s->high - s->low) / s->knee);
}

static struct stretch choose_stretch(const float *sorted, size_t n)
{
    struct stretch s = {0.0, 1.0, 1.0};
    if (n > 0) {
        double middle = percentile(sorted, n, 0.5);
        s.low = percentile(sorted, n, 0.02);
        s.high = percentile(sorted, n, 0.998);
        if (!(s.high > s.low)) {
            s.high = s.low + (fabs(s.low) > 0.0 ? 0.01 * fabs(s.low) : 1.0);
        }
        /* The knee at the level of the sky: faint structure and the core both show. */
        s.knee = fmax(0.004 * (s.high - s.low),
                      fmin(middle - s.low, 0.06 * (s.high - s.low)));
    }
    return s;
}

/* Paint one flat square per spaxel. */
static void paint_spaxels(cairo_t *cr, const struct panel *p, const struct cube *c,
                          const float *image, const struct stretch *s)
{
    double w = p->width / c->nx, h = p->height / c->ny;
    cairo_save(cr);
    cairo_set_antialias(cr, CAIRO_ANTIALIAS_NONE);
    for (int j = 0; j < c->ny; j++) {
        for (int i = 0; i < c->nx; i++) {
            float v = image[(size_t)j * (size_t)c->nx + (size_t)i];
            plot_colour(
                cr, isfinite(v) ? plot_map(stretched(s, (double)v)) : plot_empty, 1.0);
            double x0 = round(p->left + i * w), x1 = round(p->left + (i + 1) * w);
            double y0 = round(p->top + p->height - (j + 1) * h);
            double y1 = round(p->top + p->height - j * h);
            cairo_rectangle(cr, x0, y0, x1 - x0, y1 - y0);
            cairo_fill(cr);
        }
    }
    cairo_restore(cr);
}

static void stroke_twice(cairo_t *cr, double width)
{
    plot_colour(cr, plot_ink, 0.7);
    cairo_set_line_width(cr, width + 2.0);
    cairo_stroke_preserve(cr);
    plot_colour(cr, plot_paper, 1.0);
    cairo_set_line_width(cr, width);
    cairo_stroke(cr);
}

/* A circle on the sky of `radius` spaxels round the spaxel x, y. */
static void circle(cairo_t *cr, const struct panel *p, const struct cube *c, double x,
                   double y, double radius, bool dashed)
{
    const double dash[2] = {7.0, 5.0};
    double w = p->width / c->nx, h = p->height / c->ny;
    cairo_save(cr);
    cairo_rectangle(cr, p->left, p->top, p->width, p->height);
    cairo_clip(cr);
    cairo_new_path(cr);
    cairo_arc(cr, p->left + (x + 0.5) * w, p->top + p->height - (y + 0.5) * h,
              radius * w, 0.0, 6.28318530717958647693);
    if (dashed) {
        cairo_set_dash(cr, dash, 2, 0.0);
    }
    stroke_twice(cr, dashed ? 1.2 : 2.2);
    cairo_restore(cr);
}

/* Round the spaxels that were summed. */
static void outline(cairo_t *cr, const struct panel *p, const struct cube *c,
                    const unsigned char *in)
{
    const double w = p->width / c->nx, h = p->height / c->ny;
    cairo_save(cr);
    cairo_set_line_cap(cr, CAIRO_LINE_CAP_SQUARE);
    cairo_new_path(cr);
    for (int j = 0; j <= c->ny; j++) {
        for (int i = 0; i <= c->nx; i++) {
            const unsigned char *at = in + (ptrdiff_t)j * c->nx + i;
            const bool here = i < c->nx && j < c->ny && at[0];
            const bool left = i > 0 && j < c->ny && at[-1];
            const bool below = j > 0 && i < c->nx && at[-c->nx];
            const double x = round(p->left + i * w),
                         y = round(p->top + p->height - j * h);
            if (here != left) {
                cairo_move_to(cr, x, y);
                cairo_line_to(cr, x, round(p->top + p->height - (j + 1) * h));
            }
            if (here != below) {
                cairo_move_to(cr, x, y);
                cairo_line_to(cr, round(p->left + (i + 1) * w), y);
            }
        }
    }
    stroke_twice(cr, 2.2);
    cairo_restore(cr);
}

static void arrow(cairo_t *cr, double x, double y, double dx, double dy,
                  const char *name)
{
    const double length = 44.0, head = 8.0;
    double tx = x + length * dx, ty = y + length * dy;
    cairo_new_path(cr);
    cairo_move_to(cr, x, y);
    cairo_line_to(cr, tx, ty);
    cairo_move_to(cr, tx - head * (dx - 0.55 * dy), ty - head * (dy + 0.55 * dx));
    cairo_line_to(cr, tx, ty);
    cairo_line_to(cr, tx - head * (dx + 0.55 * dy), ty - head * (dy - 0.55 * dx));
    plot_colour(cr, plot_paper, 0.85); /* a light halo: readable on any ground */
    cairo_set_line_width(cr, 5.5);
    cairo_stroke_preserve(cr);
    plot_colour(cr, plot_ink, 1.0);
    cairo_set_line_width(cr, 2.0);
    cairo_stroke(cr);
    plot_text_halo(cr, x + (length + 14.0) * dx, y + (length + 14.0) * dy + 5.5, 15.0,
                   plot_ink, name);
}

/* Direction on the picture of a step on the sky (xi east, eta north). */
static bool sky_direction(const struct cube *c, double xi, double eta, double *dx,
                          double *dy)
{
    double a = c->cdelt1 * c->pc[0][0], b = c->cdelt1 * c->pc[0][1];
    double d = c->cdelt2 * c->pc[1][0], e = c->cdelt2 * c->pc[1][1];
    double det = a * e - b * d;
    double x = (e * xi - b * eta) / det, y = (a * eta - d * xi) / det;
    double norm = hypot(x, y);
    *dx = x / norm;
    *dy = -y / norm; /* pictures count downwards */
    return isfinite(*dx) && isfinite(*dy);
}

static void compass(cairo_t *cr, const struct panel *p, const struct cube *c)
{
    double nx, ny, ex, ey;
    if (!sky_direction(c, 0.0, 1.0, &nx, &ny) ||
        !sky_direction(c, 1.0, 0.0, &ex, &ey)) {
        return;
    }
    /* Put the foot so that both arrows and letters stay in the upper right corner. */
    const double reach = 66.0, gap = 22.0;
    double right = fmax(fmax(nx, ex), 0.0) * reach,
           up = fmax(fmax(-ny, -ey), 0.0) * reach;
    double x = p->left + p->width - gap - right, y = p->top + gap + up;
    arrow(cr, x, y, nx, ny, "N");
    arrow(cr, x, y, ex, ey, "E");
}

/* One number beside the bar, unless it would touch the one before. */
static void bar_number(cairo_t *cr, const struct panel *image, const struct stretch *s,
                       double v, double step, double *last)
{
    double x = image->left + image->width + 30.0;
    double y = image->top + image->height * (1.0 - stretched(s, v));
    if (*last - y < 22.0) {
        return;
    }
    char text[80];
    plot_number(text, sizeof text, v, step);
    cairo_move_to(cr, x, floor(y) + 0.5);
    cairo_rel_line_to(cr, 5.0, 0.0);
    cairo_stroke(cr);
    plot_text(cr, x + 8.0, y + 5.0, 13.0, false, TEXT_LEFT, false, text);
    *last = y;
}

static void colour_bar(cairo_t *cr, const struct panel *image, const struct stretch *s)
{
    const double wide = 16.0, left = image->left + image->width + 14.0;
    for (int i = 0; i < (int)image->height; i++) {
        double t = 1.0 - (i + 0.5) / image->height;
        plot_colour(cr, plot_map(t), 1.0);
        cairo_rectangle(cr, left, image->top + i, wide, 1.0);
        cairo_fill(cr);
    }
    plot_colour(cr, plot_ink, 1.0);
    cairo_set_line_width(cr, 1.0);
    cairo_rectangle(cr, left + 0.5, floor(image->top) + 0.5, wide,
                    floor(image->height));
    cairo_stroke(cr);
    /* Numbers at 0 and 1, 2, 5 times the powers of ten; at equal steps where the range is
     * narrow. Not closer than a line of text. */
    double last = 1e9, step = plot_step(s->high - s->low, 8);
    if (s->low > 0.3 * s->high || s->high <= 0.0) {
        for (double v = ceil(s->low / step) * step; v <= s->high; v += step) {
            bar_number(cr, image, s, v, step, &last);
        }
    } else {
        if (s->low <= 0.0) {
            bar_number(cr, image, s, 0.0, step, &last);
        }
        static const double lead[3] = {1.0, 2.0, 5.0};
        int top = (int)floor(log10(s->high));
        for (int n = 3 * (top - 5); n < 3 * (top + 1); n++) {
            double power = pow(10.0, floor(n / 3.0)),
                   v = lead[((n % 3) + 3) % 3] * power;
            if (v >= s->low && v <= s->high) {
                bar_number(cr, image, s, v, power, &last);
            }
        }
    }
    plot_text(cr, left + wide, image->top - 10.0, 13.0, false, TEXT_CENTER, false,
              "MJy/sr");
}

/* Regions, apertures and annuli; of several sources their numbers. */
static void mark_sources(cairo_t *cr, const struct panel *p, const struct cube *c,
                         const struct spectrum *s)
{
    const double arcsec = c->cdelt2 * 3600.0, side = p->width / c->nx;
    int number = 1;
    for (const struct spectrum *t = s; t; t = t->next, number++) {
        double x = t->extraction_x, y = t->extraction_y;
        if (t->region) {
            outline(cr, p, c, t->region);
        }
        if (!(t->aperture_arcsec > 0.0)) {
            continue;
        }
        circle(cr, p, c, x, y, t->aperture_arcsec / arcsec, false);
        if (t->annulus_out_arcsec > 0.0 && !s->next) {
            circle(cr, p, c, x, y, t->annulus_in_arcsec / arcsec, true);
            circle(cr, p, c, x, y, t->annulus_out_arcsec / arcsec, true);
        }
        if (s->next) { /* its number, in the colour of its spectrum */
            char name[16];
            snprintf(name, sizeof name, "%d", number);
            plot_text_halo(
                cr, p->left + (x + 0.5 + t->aperture_arcsec / arcsec) * side + 10.0,
                p->top + p->height - (y + 0.5) * side + 5.5, 15.0,
                plot_colour_of(number - 1), name);
        }
    }
}

static void draw_image(cairo_t *cr, const struct cube *c, const struct spectrum *s,
                       const float *image, const struct stretch *stretch)
{
    const double room_w = 545.0, room_h = 630.0, left = 100.0, top = 150.0;
    double side = fmin(room_w / c->nx, room_h / c->ny);
    const double arcsec = c->cdelt2 * 3600.0;
    bool aligned = fabs(c->pc[0][1]) < 1e-6 && fabs(c->pc[1][0]) < 1e-6;
    double turn_x = aligned && c->pc[0][0] < 0.0 ? -1.0 : 1.0;
    struct panel p = {left, top, side * c->nx, side * c->ny, 0.0, 0.0, 0.0, 0.0};
    p.x0 = turn_x * (0.5 - c->crpix1) * arcsec;
    p.x1 = turn_x * (c->nx + 0.5 - c->crpix1) * arcsec;
    p.y0 = (0.5 - c->crpix2) * arcsec;
    p.y1 = (c->ny + 0.5 - c->crpix2) * arcsec;
    paint_spaxels(cr, &p, c, image, stretch);
    mark_sources(cr, &p, c, s);
    compass(cr, &p, c);
    int most_x = (int)(p.width / 60.0), most_y = (int)(p.height / 60.0);
    plot_frame(cr, &p, most_x > 1 ? most_x : 1, most_y > 1 ? most_y : 1, true);
    plot_colour(cr, plot_ink, 1.0);
    plot_text(cr, p.left + 0.5 * p.width, p.top + p.height + 46.0, 16.0, false,
              TEXT_CENTER, false, aligned ? "ΔRA (arcsec)" : "Δx (arcsec)");
    plot_text(cr, p.left - 52.0, p.top + 0.5 * p.height, 16.0, false, TEXT_CENTER, true,
              aligned ? "ΔDec (arcsec)" : "Δy (arcsec)");
    char text[160];
    snprintf(text, sizeof text, "median over %.2f–%.2f µm", c->wavelength[0],
             c->wavelength[c->nw - 1]);
    plot_text(cr, p.left, p.top - 12.0, 15.0, false, TEXT_LEFT, false, text);
    colour_bar(cr, &p, stretch);
}

int quicklook_image_draw(cairo_t *cr, const struct cube *c, const struct spectrum *s,
                         struct err *err)
{
    const size_t n = (size_t)c->nx * (size_t)c->ny;
    float *image = mem_alloc(n, sizeof *image, err);
    float *sorted = mem_alloc(n, sizeof *sorted, err);
    float *scratch = mem_alloc(n, sizeof *scratch, err);
    int code = image && sorted && scratch ? 0 : ERR_NOMEM;
    code = code ? code : cube_median_image(c, 0, c->nw, NULL, image, err);
    if (!code) {
        const size_t good = sorted_values(image, n, sorted, scratch);
        const struct stretch stretch = choose_stretch(sorted, good);
        draw_image(cr, c, s, image, &stretch);
    }
    free(image);
    free(sorted);
    free(scratch);
    return code;
}
