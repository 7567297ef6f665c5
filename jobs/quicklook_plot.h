#ifndef IFUD_JOBS_QUICKLOOK_PLOT_H
#define IFUD_JOBS_QUICKLOOK_PLOT_H

#include <cairo.h>
#include <stdbool.h>
#include <stddef.h>
#include "common/base/err.h"

/*
 * Axes, text and colours for the quicklook. Thread: that of the cairo_t.
 */

/* A rectangle of the picture (left, top, width, height in pixels) and the values at its
 * edges: x0 left, x1 right, y0 bottom, y1 top. x0 > x1 is fine. */
struct panel {
    double left, top, width, height;
    double x0, x1, y0, y1;
};

double panel_x(const struct panel *p, double x); /* value -> picture pixel */
double panel_y(const struct panel *p, double y);

enum text_align { TEXT_LEFT, TEXT_CENTER, TEXT_RIGHT };

struct rgb {
    double r, g, b;
};

/* What all pictures share: text and axes; side remarks; no data; ground; error bands. */
extern const struct rgb plot_ink, plot_faint, plot_empty, plot_paper, plot_band;

/* Of several curves, as they come. */
struct rgb plot_colour_of(int i);

void plot_colour(cairo_t *cr, struct rgb c, double alpha);

/* One line of text, its baseline at y; turned: reads upwards. Returns its width. */
double plot_text(cairo_t *cr, double x, double y, double size, bool bold,
                 enum text_align align, bool turned, const char *text);

/* One line from x, smaller than `size` where it would be wider than `room`. Returns its
 * width. */
double plot_text_fit(cairo_t *cr, double x, double y, double size, double room,
                     bool bold, const char *text);

/* A bold word centred at x with a light halo, for any ground. */
void plot_text_halo(cairo_t *cr, double x, double y, double size, struct rgb colour,
                    const char *text);

/* The width one line would take, in pixels. */
double plot_text_width(cairo_t *cr, double size, bool bold, const char *text);

/* A step of 1, 2 or 5 times a power of ten that makes at most `most` intervals of
 * |range|; range > 0. */
double plot_step(double range, int most);

/* A tick's value as text: as many decimals as its step needs. */
void plot_number(char *text, size_t n, double value, double step);

/* Grid lines inside the panel, then (plot_frame) frame, ticks and numbers round it.
 * numbers_x false: ticks without numbers below (a panel under it has them). */
void plot_grid(cairo_t *cr, const struct panel *p, int most_x, int most_y);
void plot_frame(cairo_t *cr, const struct panel *p, int most_x, int most_y,
                bool numbers_x);

/* A perceptually uniform colour for t in 0..1 (dark blue over green to yellow). */
struct rgb plot_map(double t);

enum { QUICKLOOK_WIDTH = 1600, QUICKLOOK_HEIGHT = 900 };

/*
 * A picture of QUICKLOOK_WIDTH x QUICKLOOK_HEIGHT, drawn by draw(cr, what), as a PNG file,
 * replaced if it is there. ERR_IO, ERR_NOMEM, or what draw says: no file is left.
 */
typedef int plot_draw(cairo_t *cr, const void *what, struct err *err);
int plot_picture(plot_draw *draw, const void *what, const char *path, struct err *err);

#endif
