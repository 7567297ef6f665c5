#include "common/math/aperture.h"

#include <math.h>
#include <stdlib.h>
#include "common/base/mem.h"

int aperture_new(int nx, int ny, struct aperture **ret, struct err *err)
{
    size_t n;
    if (nx < 1 || ny < 1 || mem_mul((size_t)nx, (size_t)ny, &n)) {
        return err_set(err, ERR_BUG, "aperture on a grid of %d x %d pixels", nx, ny);
    }
    struct aperture *a = mem_calloc(1, sizeof *a, err);
    if (!a) {
        return ERR_NOMEM;
    }
    a->nx = nx;
    a->ny = ny;
    a->index = mem_alloc(n, sizeof *a->index, err);
    a->weight = mem_alloc(n, sizeof *a->weight, err);
    if (!a->index || !a->weight) {
        aperture_free(a);
        return ERR_NOMEM;
    }
    *ret = a;
    return 0;
}

void aperture_free(struct aperture *a)
{
    if (a) {
        free(a->index);
        free(a->weight);
        free(a);
    }
}

void aperture_whole(struct aperture *a)
{
    a->n = (size_t)a->nx * (size_t)a->ny;
    for (size_t p = 0; p < a->n; p++) {
        a->index[p] = p;
        a->weight[p] = 1.0;
    }
    a->full = (double)a->n;
}

/* Area between the circle and the triangle (origin, a, b), signed by its turn. */
static double circle_triangle(double ax, double ay, double bx, double by, double r)
{
    /* Cut the edge a-b where it crosses the circle: inside pieces count as
     * triangles, outside pieces as circular sectors. */
    double dx = bx - ax, dy = by - ay;
    double qa = dx * dx + dy * dy;
    double qb = ax * dx + ay * dy;
    double qc = ax * ax + ay * ay - r * r;
    double disc = qb * qb - qa * qc;
    double cut[4] = {0.0, 0.0, 0.0, 1.0};
    int n = 1;
    if (qa > 0.0 && disc > 0.0) {
        double root = sqrt(disc);
        double t[2] = {(-qb - root) / qa, (-qb + root) / qa};
        for (int i = 0; i < 2; i++) {
            if (t[i] > 0.0 && t[i] < 1.0) {
                cut[n++] = t[i];
            }
        }
    }
    cut[n] = 1.0;
    double area = 0.0;
    for (int i = 0; i < n; i++) {
        double px = ax + cut[i] * dx, py = ay + cut[i] * dy;
        double qx = ax + cut[i + 1] * dx, qy = ay + cut[i + 1] * dy;
        double mx = 0.5 * (px + qx), my = 0.5 * (py + qy);
        double cross = px * qy - py * qx;
        if (mx * mx + my * my < r * r) {
            area += 0.5 * cross;
        } else {
            area += 0.5 * r * r * atan2(cross, px * qx + py * qy);
        }
    }
    return area;
}

double aperture_circle_overlap(double x0, double y0, double x1, double y1, double r)
{
    return circle_triangle(x0, y0, x1, y0, r) + circle_triangle(x1, y0, x1, y1, r) +
           circle_triangle(x1, y1, x0, y1, r) + circle_triangle(x0, y1, x0, y0, r);
}

/* Share of the cells of a pixel (lower corner x0, y0; upper x1, y1) inside r. */
static double cells_inside(double x0, double y0, double x1, double y1, double r,
                           int cells)
{
    double sx = (x1 - x0) / cells, sy = (y1 - y0) / cells;
    double r2 = r * r;
    int inside = 0;
    double x = x0 - 0.5 * sx;
    for (int i = 0; i < cells; i++) {
        x += sx;
        double y = y0 - 0.5 * sy;
        for (int j = 0; j < cells; j++) {
            y += sy;
            inside += x * x + y * y < r2;
        }
    }
    return (double)inside / ((double)cells * cells);
}

/* Share of one pixel inside the circle of radius r round the origin. */
static double pixel_inside(double x0, double y0, double dx, double dy, double r,
                           enum aperture_method method, int cells)
{
    double x1 = x0 + dx, y1 = y0 + dy;
    if (!(x1 > -r - 0.5 * dx && x0 < r + 0.5 * dx && y1 > -r - 0.5 * dy &&
          y0 < r + 0.5 * dy)) {
        return 0.0;
    }
    double xc = x0 + dx * 0.5, yc = y0 + dy * 0.5;
    double half = 0.5 * sqrt(dx * dx + dy * dy);
    double d = sqrt(xc * xc + yc * yc);
    if (d < r - half) {
        return 1.0;
    }
    if (d >= r + half) {
        return 0.0;
    }
    if (method == APERTURE_EXACT) {
        double share = aperture_circle_overlap(x0, y0, x1, y1, r) / (dx * dy);
        return share < 1.0 ? share : 1.0; /* rounding */
    }
    return cells_inside(x0, y0, x1, y1, r, method == APERTURE_CENTER ? 1 : cells);
}

void aperture_ring(struct aperture *a, double x, double y, double r_in, double r_out,
                   enum aperture_method method, int subpixels)
{
    const double pi = 3.14159265358979323846;
    a->n = 0;
    a->full = pi * (r_out * r_out - r_in * r_in);
    /* The bounding box in whole pixels; corners are counted from its edge. */
    double ix0 = floor(x - r_out + 0.5), ix1 = ceil(x + r_out + 0.5);
    double iy0 = floor(y - r_out + 0.5), iy1 = ceil(y + r_out + 0.5);
    double xmin = ix0 - 0.5 - x, xmax = ix1 - 0.5 - x;
    double ymin = iy0 - 0.5 - y, ymax = iy1 - 0.5 - y;
    if (!(ix1 > 0.0 && iy1 > 0.0 && ix0 < a->nx && iy0 < a->ny)) {
        return; /* off the grid, or not finite */
    }
    double dx = (xmax - xmin) / (ix1 - ix0), dy = (ymax - ymin) / (iy1 - iy0);
    int i0 = ix0 > 0.0 ? (int)ix0 : 0, i1 = ix1 < a->nx ? (int)ix1 : a->nx;
    int j0 = iy0 > 0.0 ? (int)iy0 : 0, j1 = iy1 < a->ny ? (int)iy1 : a->ny;
    for (int j = j0; j < j1; j++) {
        double py = ymin + (j - iy0) * dy;
        for (int i = i0; i < i1; i++) {
            double px = xmin + (i - ix0) * dx;
            double w = pixel_inside(px, py, dx, dy, r_out, method, subpixels);
            if (w > 0.0 && r_in > 0.0) {
                w -= pixel_inside(px, py, dx, dy, r_in, method, subpixels);
            }
            if (w > 0.0) {
                a->index[a->n] = (size_t)j * (size_t)a->nx + (size_t)i;
                a->weight[a->n++] = w;
            }
        }
    }
}
