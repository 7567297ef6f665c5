#include "stages/cube_fov.h"

#include <math.h>
#include <stdlib.h>
#include "common/data/dq.h"

void cube_fov_clear(struct cube_extent slices[WCS_SLICES])
{
    for (int s = 0; s < WCS_SLICES; s++) {
        slices[s] = (struct cube_extent){INFINITY, -INFINITY, INFINITY, -INFINITY};
    }
}

void cube_fov_add(const struct cube_grid *g, int k0, int k1,
                  struct cube_extent (*extents)[WCS_SLICES], double near_um, int slice,
                  double lam_um, double u, double v)
{
    int k = cube_grid_plane(g, lam_um - near_um - g->dz_max / 2);
    for (k = k < k0 ? k0 : k; k < k1 && g->z[k] - lam_um < near_um; k++) {
        if (lam_um - g->z[k] < near_um) {
            struct cube_extent *e = &extents[k - k0][slice - 1];
            e->u0 = u < e->u0 ? u : e->u0;
            e->u1 = u > e->u1 ? u : e->u1;
            e->v0 = v < e->v0 ? v : e->v0;
            e->v1 = v > e->v1 ? v : e->v1;
        }
    }
}

/* Spaxels are counted from the centre of the first one, and cut off, not rounded. */
static int cell(double u)
{
    return u < -1e6 ? -1000000 : u > 1e6 ? 1000000 : (int)(u - 0.5);
}

void cube_fov_draw(const struct cube_grid *g,
                   const struct cube_extent slices[WCS_SLICES], uint32_t *dq)
{
    long area = (long)g->nx * g->ny;
    for (int s = 0; s < WCS_SLICES; s++) {
        const struct cube_extent *e = &slices[s];
        if (!(e->u0 < e->u1) || !(e->v0 < e->v1)) {
            continue; /* no pixel, or a single point */
        }
        int x0 = cell(e->u0), x1 = cell(e->u1), y = cell(e->v0), y1 = cell(e->v1);
        if (y1 - y > x1 - x0) {
            x0 = y;
            x1 = y1;
        }
        int dx = x1 - x0, dy = y1 - y, error = dx / 2;
        for (int x = x0; x <= x1; x++) {
            long at = (long)y * g->nx + x;
            if (at >= 0 && at < area) {
                dq[at] |= CUBE_SEEN;
            }
            error -= dy;
            if (error < 0) {
                y += dy > 0 ? 1 : -1;
                error += dx;
            }
        }
    }
}

/* A hole at the rim of the field, or beside a spaxel that nothing covers, is none. The
 * peer does not look at column and row 0. */
static int at_rim(int nx, int ny, int i, int j, const uint32_t *dq)
{
    static const int step[4][2] = {{-1, 0}, {1, 0}, {0, -1}, {0, 1}};
    if (i == 0 || j == 0 || i == nx - 1 || j == ny - 1) {
        return 1;
    }
    for (int s = 0; s < 4; s++) {
        int x = i + step[s][0], y = j + step[s][1];
        if (x > 0 && x < nx && y > 0 && y < ny &&
            (dq[(size_t)y * (size_t)nx + (size_t)x] & DQ_NON_SCIENCE)) {
            return 1;
        }
    }
    return 0;
}

void cube_fov_finish(int nx, int ny, const float *weight, uint32_t *dq)
{
    const uint32_t outside = DQ_DO_NOT_USE | DQ_NON_SCIENCE;
    size_t area = (size_t)nx * (size_t)ny;
    for (size_t i = 0; i < area; i++) {
        dq[i] = weight[i] > 0 ? 0 : dq[i] & CUBE_SEEN ? DQ_DO_NOT_USE : outside;
    }
    /* one after another: a hole that is ruled out rules out its later neighbours */
    for (int j = 0; j < ny; j++) {
        for (int i = 0; i < nx; i++) {
            size_t at = (size_t)j * (size_t)nx + (size_t)i;
            if (dq[at] == DQ_DO_NOT_USE && at_rim(nx, ny, i, j, dq)) {
                dq[at] = outside;
            }
        }
    }
}
