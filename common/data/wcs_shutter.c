#include "common/data/wcs_shutter.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/data/wcs_private.h"

/* Rows by which the peer's second box exceeds the rows with a wavelength: two of margin,
 * moved by the same stray -1 as the first. */
#define MORE_BELOW 3
#define MORE_ABOVE 1

struct trace {
    size_t n;
    int y_first, y_last; /* of its pixels */
};

/* Visit the pixels of one row that see the slit; with dq they are flagged. */
static void visit_row(const struct wcs *w, const struct wcs_slice *s,
                      const struct wcs_search *f, int row, uint32_t flag, uint32_t *dq,
                      struct trace *t)
{
    double x[WCS_RUN], y[WCS_RUN], a[WCS_RUN], b[WCS_RUN], lam[WCS_RUN];
    for (int column = f->x_first; column <= f->x_last;) {
        size_t n = 0;
        for (; n < WCS_RUN && column <= f->x_last; column++) {
            if (wcs_near_trace(w, f, column, row)) {
                x[n] = column;
                y[n++] = row;
            }
        }
        double columns[WCS_RUN];
        for (size_t i = 0; i < n; i++) {
            columns[i] = x[i];
        }
        wcs_pixel_to_gwa(w, n, x, y, a, b);
        wcs_gwa_to_slit(w, s, n, a, b, y, lam);
        for (size_t i = 0; i < n; i++) {
            if (isfinite(lam[i])) {
                t->n++;
                t->y_first = row < t->y_first ? row : t->y_first;
                t->y_last = row > t->y_last ? row : t->y_last;
                if (dq) {
                    dq[(size_t)row * (size_t)w->nx + (size_t)columns[i]] |= flag;
                }
            }
        }
    }
}

static struct trace visit(const struct wcs *w, const struct wcs_slice *s,
                          const struct wcs_search *f, int first, int last,
                          uint32_t flag, uint32_t *dq)
{
    struct trace t = {0, INT_MAX, -1};
    first = first < 0 ? 0 : first;
    last = last > w->ny - 1 ? w->ny - 1 : last;
    for (int row = first; row <= last; row++) {
        visit_row(w, s, f, row, flag, dq, &t);
    }
    return t;
}

int wcs_shutter_flag(const struct wcs *w, const struct transform *plane,
                     const struct msa_shutter *shutter, uint32_t flag, uint32_t *dq,
                     size_t *ret_n, struct err *err)
{
    struct wcs_search f;
    struct wcs_slice *s = mem_calloc(1, sizeof *s, err);
    if (!s) {
        return ERR_NOMEM;
    }
    s->x = shutter->x;
    s->y = shutter->y;
    s->size_x = shutter->size_x;
    s->size_y = shutter->size_y;
    s->plane = plane;
    s->y_min = -0.5;
    s->y_max = 0.5;
    int code = wcs_slice_prepare(w, s, err);
    if (!code) {
        wcs_find_search(w, s, &f);
        struct trace t = visit(w, s, &f, f.y_first, f.y_last, 0, NULL);
        if (t.n > 0) { /* the peer puts its box anew around these rows */
            t = visit(w, s, &f, t.y_first - MORE_BELOW, t.y_last + MORE_ABOVE, flag,
                      dq);
        }
        *ret_n = t.n;
    }
    free(s);
    return code;
}
