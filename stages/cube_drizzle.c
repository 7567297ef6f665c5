#include "stages/cube_drizzle.h"

#include <math.h>
#include "common/math/polygon.h"

/* What the overlap of a pixel with planes k.. of the tile adds to spaxels that it shares
 * areas with: `lo` to `hi` is its interval of wavelengths. */
static inline __attribute__((always_inline)) void
add_any(const struct cube_tile *t, int k, double lo, double hi,
        const struct cube_spread *s, const struct cube_pixel *pixel)
{
    const struct cube_grid *g = t->grid;
    for (; k < t->k1; k++) {
        const double z0 = g->z[k] - g->dz[k] / 2, z1 = g->z[k] + g->dz[k] / 2;
        const double share = (z1 < hi ? z1 : hi) - (z0 > lo ? z0 : lo);
        if (!(z0 < hi)) {
            break;
        }
        if (share > 0) {
            cube_tile_add(t, k, s, share / g->dz[k], pixel);
        }
    }
}

#if defined(__x86_64__)
/* The same arithmetic, so the same bits. */
__attribute__((target("avx2"))) static void add_avx2(const struct cube_tile *t, int k,
                                                     double lo, double hi,
                                                     const struct cube_spread *s,
                                                     const struct cube_pixel *pixel)
{
    add_any(t, k, lo, hi, s, pixel);
}
#endif

static void add_spaxels(const struct cube_tile *t, int k, double lo, double hi,
                        struct cube_spread *s, const struct cube_pixel *pixel)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        add_avx2(t, k, lo, hi, s, pixel);
        s->n = 0;
        return;
    }
#endif
    add_any(t, k, lo, hi, s, pixel);
    s->n = 0;
}

static void take(struct cube_spread *s, const struct cube_grid *g, int i, int j,
                 double area)
{
    s->spaxel[s->n] = (uint32_t)(j * g->nx + i);
    s->share[s->n] = area;
    s->n += area > 0;
}

/* Cells of a footprint that lie in the grid. */
static void take_cells(const struct cube_grid *g, const struct polygon_cells *cells,
                       struct cube_spread *s)
{
    _Static_assert(POLYGON_CELLS < CUBE_SPREAD, "all cells have room");
    const int i0 = cells->i0 < 0 ? 0 : cells->i0, j0 = cells->j0 < 0 ? 0 : cells->j0;
    const int i1 = cells->i0 + cells->ni < g->nx ? cells->i0 + cells->ni : g->nx;
    const int j1 = cells->j0 + cells->nj < g->ny ? cells->j0 + cells->nj : g->ny;
    for (int j = j0; j < j1; j++) {
        const double *area = cells->area + (j - cells->j0) * cells->ni - cells->i0;
        for (int i = i0; i < i1; i++) {
            take(s, g, i, j, area[i]);
        }
    }
}

/* Spaxels so small that a footprint covers more of them than polygon_cells holds. */
static void add_fine(const struct cube_tile *t, int k, double lo, double hi,
                     const double qx[4], const double qy[4], struct cube_spread *s,
                     const struct cube_pixel *pixel)
{
    double x0 = fmin(fmin(qx[0], qx[1]), fmin(qx[2], qx[3]));
    double x1 = fmax(fmax(qx[0], qx[1]), fmax(qx[2], qx[3]));
    double y0 = fmin(fmin(qy[0], qy[1]), fmin(qy[2], qy[3]));
    double y1 = fmax(fmax(qy[0], qy[1]), fmax(qy[2], qy[3]));
    int i0 = (int)fmax(floor(x0), 0), i1 = (int)fmin(ceil(x1), t->grid->nx);
    int j0 = (int)fmax(floor(y0), 0), j1 = (int)fmin(ceil(y1), t->grid->ny);
    for (int j = j0; j < j1; j++) {
        for (int i = i0; i < i1; i++) {
            if (s->n == CUBE_SPREAD) {
                add_spaxels(t, k, lo, hi, s, pixel);
            }
            take(s, t->grid, i, j, polygon_overlap(qx, qy, i, i + 1, j, j + 1));
        }
    }
}

void cube_drizzle_pixel(const struct cube_tile *t, double lam, double dlam,
                        double (*q)[CUBE_BLOCK], int i, const struct cube_pixel *pixel)
{
    const struct cube_grid *g = t->grid;
    const double lo = lam - dlam / 2, hi = lam + dlam / 2;
    int k = cube_grid_plane(g, lo);
    k = k < t->k0 ? t->k0 : k;
    if (k >= t->k1 || !(g->z[k] - g->dz[k] / 2 < hi)) {
        return;
    }
    double qx[4], qy[4];
    for (int c = 0; c < 4; c++) {
        qx[c] = q[CUBE_U1 - CUBE_U0 + c][i];
        qy[c] = q[CUBE_V1 - CUBE_U0 + c][i];
    }
    struct polygon_cells cells;
    struct cube_spread s;
    s.n = 0;
    if (polygon_cell_areas(qx, qy, &cells)) {
        add_fine(t, k, lo, hi, qx, qy, &s, pixel);
    } else {
        take_cells(g, &cells, &s);
    }
    add_spaxels(t, k, lo, hi, &s, pixel);
}
