#include "jobs/quicklook_plot.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const struct rgb plot_ink = {0.13, 0.13, 0.15}, plot_faint = {0.42, 0.44, 0.48};
const struct rgb plot_empty = {0.90, 0.90, 0.91}, plot_paper = {1.0, 1.0, 1.0};
const struct rgb plot_band = {0.35, 0.60, 0.82};

struct rgb plot_colour_of(int i)
{
    static const struct rgb colours[] = {{0.06, 0.29, 0.49}, {0.80, 0.36, 0.00},
                                         {0.00, 0.50, 0.30}, {0.70, 0.20, 0.50},
                                         {0.45, 0.40, 0.00}, {0.30, 0.30, 0.75}};
    return colours[(size_t)i % (sizeof colours / sizeof *colours)];
}

double panel_x(const struct panel *p, double x)
{
    return p->left + (x - p->x0) / (p->x1 - p->x0) * p->width;
}

double panel_y(const struct panel *p, double y)
{
    return p->top + p->height - (y - p->y0) / (p->y1 - p->y0) * p->height;
}

void plot_colour(cairo_t *cr, struct rgb c, double alpha)
{
    cairo_set_source_rgba(cr, c.r, c.g, c.b, alpha);
}

static void choose_font(cairo_t *cr, double size, bool bold)
{
    cairo_select_font_face(cr, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, size);
}

double plot_text_width(cairo_t *cr, double size, bool bold, const char *text)
{
    cairo_text_extents_t e;
    choose_font(cr, size, bold);
    cairo_text_extents(cr, text, &e);
    return e.x_advance;
}

double plot_text(cairo_t *cr, double x, double y, double size, bool bold,
                 enum text_align align, bool turned, const char *text)
{
    double width = plot_text_width(cr, size, bold, text);
    double back = align == TEXT_CENTER  ? 0.5 * width
                  : align == TEXT_RIGHT ? width
                                        : 0.0;
    cairo_save(cr);
    cairo_translate(cr, x, y);
    if (turned) {
        cairo_rotate(cr, -1.57079632679489661923);
    }
    cairo_move_to(cr, -back, 0.0);
    cairo_show_text(cr, text);
    cairo_restore(cr);
    return width;
}

double plot_step(double range, int most)
{
    double least = fabs(range) / most;
    double power = pow(10.0, floor(log10(least)));
    double lead = least / power;
    return power * (lead <= 1.0 ? 1.0 : lead <= 2.0 ? 2.0 : lead <= 5.0 ? 5.0 : 10.0);
}

void plot_number(char *text, size_t n, double value, double step)
{
    if (fabs(value) < 1e-9 * step) {
        value = 0.0; /* no "-0" */
    }
    int decimals = (int)ceil(-log10(step) - 1e-9);
    double largest = fabs(value) > step ? fabs(value) : step;
    if (largest >= 1e6 || decimals > 6) {
        snprintf(text, n, "%.3g", value);
    } else {
        snprintf(text, n, "%.*f", decimals > 0 ? decimals : 0, value);
    }
    if (text[0] == '-') { /* a real minus sign */
        char rest[64];
        snprintf(rest, sizeof rest, "%s", text + 1);
        snprintf(text, n, "\u2212%s", rest);
    }
}

double plot_text_fit(cairo_t *cr, double x, double y, double size, double room,
                     bool bold, const char *text)
{
    double width = plot_text_width(cr, size, bold, text);
    double fit = width > room ? size * room / width : size;
    return plot_text(cr, x, y, fit, bold, TEXT_LEFT, false, text);
}

void plot_text_halo(cairo_t *cr, double x, double y, double size, struct rgb colour,
                    const char *text)
{
    double width = plot_text_width(cr, size, true, text);
    cairo_new_path(cr);
    cairo_move_to(cr, x - 0.5 * width, y);
    cairo_text_path(cr, text);
    cairo_set_source_rgba(cr, 1.0, 1.0, 1.0, 0.85);
    cairo_set_line_width(cr, 4.0);
    cairo_stroke_preserve(cr);
    plot_colour(cr, colour, 1.0);
    cairo_fill(cr);
}

/* First tick at or above the lower of the two edges. */
static double first_tick(double a, double b, double step)
{
    double low = a < b ? a : b;
    return ceil(low / step - 1e-9) * step;
}

static double last_edge(double a, double b, double step)
{
    return (a > b ? a : b) + 1e-9 * step;
}

void plot_grid(cairo_t *cr, const struct panel *p, int most_x, int most_y)
{
    double step = plot_step(p->x1 - p->x0, most_x);
    cairo_save(cr);
    cairo_set_line_width(cr, 1.0);
    plot_colour(cr, plot_ink, 0.09);
    for (double v = first_tick(p->x0, p->x1, step); v <= last_edge(p->x0, p->x1, step);
         v += step) {
        double x = floor(panel_x(p, v)) + 0.5;
        cairo_move_to(cr, x, p->top);
        cairo_line_to(cr, x, p->top + p->height);
    }
    step = plot_step(p->y1 - p->y0, most_y);
    for (double v = first_tick(p->y0, p->y1, step); v <= last_edge(p->y0, p->y1, step);
         v += step) {
        double y = floor(panel_y(p, v)) + 0.5;
        cairo_move_to(cr, p->left, y);
        cairo_line_to(cr, p->left + p->width, y);
    }
    cairo_stroke(cr);
    cairo_restore(cr);
}

static void ticks_x(cairo_t *cr, const struct panel *p, double step, double length)
{
    for (double v = first_tick(p->x0, p->x1, step); v <= last_edge(p->x0, p->x1, step);
         v += step) {
        double x = floor(panel_x(p, v)) + 0.5;
        cairo_move_to(cr, x, p->top + p->height);
        cairo_rel_line_to(cr, 0.0, -length);
        cairo_move_to(cr, x, p->top);
        cairo_rel_line_to(cr, 0.0, length);
    }
}

static void ticks_y(cairo_t *cr, const struct panel *p, double step, double length)
{
    for (double v = first_tick(p->y0, p->y1, step); v <= last_edge(p->y0, p->y1, step);
         v += step) {
        double y = floor(panel_y(p, v)) + 0.5;
        cairo_move_to(cr, p->left, y);
        cairo_rel_line_to(cr, length, 0.0);
        cairo_move_to(cr, p->left + p->width, y);
        cairo_rel_line_to(cr, -length, 0.0);
    }
}

/* Minor ticks: fifths of a step that begins with 1 or 5, quarters of one with 2. */
static double minor_step(double step)
{
    double lead = step / pow(10.0, floor(log10(step) + 1e-9));
    return lead > 1.5 && lead < 3.0 ? step / 4.0 : step / 5.0;
}

void plot_frame(cairo_t *cr, const struct panel *p, int most_x, int most_y,
                bool numbers_x)
{
    const double size = 14.0;
    double sx = plot_step(p->x1 - p->x0, most_x), sy = plot_step(p->y1 - p->y0, most_y);
    char text[80];
    cairo_save(cr);
    plot_colour(cr, plot_ink, 1.0);
    cairo_set_line_width(cr, 1.0);
    ticks_x(cr, p, sx, 8.0);
    ticks_x(cr, p, minor_step(sx), 4.0);
    ticks_y(cr, p, sy, 8.0);
    ticks_y(cr, p, minor_step(sy), 4.0);
    cairo_stroke(cr);
    cairo_set_line_width(cr, 1.4);
    cairo_rectangle(cr, floor(p->left) + 0.5, floor(p->top) + 0.5, floor(p->width),
                    floor(p->height));
    cairo_stroke(cr);
    for (double v = first_tick(p->x0, p->x1, sx);
         numbers_x && v <= last_edge(p->x0, p->x1, sx); v += sx) {
        plot_number(text, sizeof text, v, sx);
        plot_text(cr, panel_x(p, v), p->top + p->height + 20.0, size, false,
                  TEXT_CENTER, false, text);
    }
    for (double v = first_tick(p->y0, p->y1, sy); v <= last_edge(p->y0, p->y1, sy);
         v += sy) {
        plot_number(text, sizeof text, v, sy);
        plot_text(cr, p->left - 8.0, panel_y(p, v) + 5.0, size, false, TEXT_RIGHT,
                  false, text);
    }
    cairo_restore(cr);
}

/* Equal steps of lightness in CIELAB, L* 14 to 92, at 97 % of the chroma that sRGB allows
 * (at most 70); the hue turns evenly from 308 degrees (violet) to 100 (yellow). */
static const struct rgb map[] = {
    {0.142, 0.027, 0.445}, {0.024, 0.159, 0.445}, {0.031, 0.228, 0.434},
    {0.034, 0.286, 0.453}, {0.053, 0.343, 0.478}, {0.051, 0.401, 0.511},
    {0.067, 0.459, 0.540}, {0.077, 0.519, 0.565}, {0.093, 0.580, 0.582},
    {0.101, 0.644, 0.585}, {0.100, 0.711, 0.561}, {0.119, 0.779, 0.487},
    {0.391, 0.829, 0.418}, {0.606, 0.867, 0.378}, {0.795, 0.899, 0.362},
    {0.976, 0.924, 0.380},
};

struct rgb plot_map(double t)
{
    const int last = (int)(sizeof map / sizeof map[0]) - 1;
    double at = (t < 0.0 ? 0.0 : t > 1.0 ? 1.0 : t) * last;
    int i = (int)at < last ? (int)at : last - 1;
    double f = at - i;
    struct rgb c = {map[i].r + f * (map[i + 1].r - map[i].r),
                    map[i].g + f * (map[i + 1].g - map[i].g),
                    map[i].b + f * (map[i + 1].b - map[i].b)};
    return c;
}

static cairo_status_t write_bytes(void *fd, const unsigned char *data, unsigned int n)
{
    while (n > 0) {
        ssize_t m = write(*(const int *)fd, data, n);
        if (m < 0 && errno != EINTR) {
            return CAIRO_STATUS_WRITE_ERROR;
        }
        data += m > 0 ? m : 0;
        n -= m > 0 ? (unsigned int)m : 0;
    }
    return CAIRO_STATUS_SUCCESS;
}

static int save(cairo_surface_t *surface, const char *path, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    }
    errno = 0;
    cairo_status_t status =
        cairo_surface_write_to_png_stream(surface, write_bytes, &fd);
    int why = errno;
    bool closed = close(fd) == 0;
    if (status == CAIRO_STATUS_SUCCESS && closed) {
        return 0;
    }
    why = why ? why : errno;
    remove(path);
    return err_set(err, status == CAIRO_STATUS_NO_MEMORY ? ERR_NOMEM : ERR_IO, "%s: %s",
                   path, why ? strerror(why) : cairo_status_to_string(status));
}

int plot_picture(plot_draw *draw, const void *what, const char *path, struct err *err)
{
    cairo_surface_t *surface = cairo_image_surface_create(
        CAIRO_FORMAT_RGB24, QUICKLOOK_WIDTH, QUICKLOOK_HEIGHT);
    cairo_t *cr = cairo_create(surface);
    int code = draw(cr, what, err);
    if (!code && cairo_status(cr) != CAIRO_STATUS_SUCCESS) {
        code = err_set(err, ERR_NOMEM, "%s: cannot draw: %s", path,
                       cairo_status_to_string(cairo_status(cr)));
    }
    cairo_destroy(cr);
    code = code ? code : save(surface, path, err);
    cairo_surface_destroy(surface);
    return code;
}
