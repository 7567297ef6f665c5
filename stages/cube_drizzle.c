#include "stages/cube_drizzle.h"

#include <math.h>
#include "common/math/polygon.h"

/* Overlaps with cells in one plane. */
static void add_plane(const struct cube_tile *t, int k,
                      const struct polygon_cells *cells, double share,
                      const struct cube_pixel *pixel)
{
    const struct cube_grid *g = t->grid;
    int i0 = cells->i0 < 0 ? 0 : cells->i0, j0 = cells->j0 < 0 ? 0 : cells->j0;
    int i1 = cells->i0 + cells->ni < g->nx ? cells->i0 + cells->ni : g->nx;
    int j1 = cells->j0 + cells->nj < g->ny ? cells->j0 + cells->nj : g->ny;
    const size_t at = (size_t)(k - t->k0) * (size_t)g->nx * (size_t)g->ny;
    for (int j = j0; j < j1; j++) {
        const double *area = cells->area + (j - cells->j0) * cells->ni - cells->i0;
        const size_t row = at + (size_t)j * (size_t)g->nx;
        for (int i = i0; i < i1; i++) {
            const double w = area[i] * share;
            if (w > 0) {
                cube_tile_add(t, row + (size_t)i, w, pixel);
            }
        }
    }
}

/* Spaxels so small that a footprint covers more of them than polygon_cells holds. */
static void add_plane_fine(const struct cube_tile *t, int k, const double qx[4],
                           const double qy[4], double share,
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
            struct polygon_cells one = {.i0 = i, .j0 = j, .ni = 1, .nj = 1};
            one.area[0] = polygon_overlap(qx, qy, i, i + 1, j, j + 1);
            add_plane(t, k, &one, share, pixel);
        }
    }
}

void cube_drizzle_pixel(const struct cube_tile *t, double lam, double dlam,
                        double (*q)[CUBE_BLOCK], int i, const struct cube_pixel *pixel)
{
    const struct cube_grid *g = t->grid;
    double lo = lam - dlam / 2, hi = lam + dlam / 2;
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
    int fine = polygon_cell_areas(qx, qy, &cells);
    for (; k < t->k1; k++) {
        double z0 = g->z[k] - g->dz[k] / 2, z1 = g->z[k] + g->dz[k] / 2;
        double share = (z1 < hi ? z1 : hi) - (z0 > lo ? z0 : lo);
        if (!(z0 < hi)) {
            break;
        }
        if (!(share > 0)) {
            continue;
        }
        if (fine) {
            add_plane_fine(t, k, qx, qy, share / g->dz[k], pixel);
        } else {
            add_plane(t, k, &cells, share / g->dz[k], pixel);
        }
    }
}
