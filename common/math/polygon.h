#ifndef IFUD_MATH_POLYGON_H
#define IFUD_MATH_POLYGON_H

/*
 * Areas shared by quadrilaterals and the cells of a grid: the heart of drizzling.
 * Reference: Sutherland & Hodgman 1974, CACM 17, 32; Fruchter & Hook 2002, PASP 114, 144.
 * Test: tests/math/test_polygon.c
 */

/*
 * Area shared by a detector pixel's sky footprint and one spaxel.
 *
 * Given:      qx, qy  double[4]  footprint corners, in order round the edge (arcsec)
 *             x0..y1  double     spaxel edges, x0 < x1 and y0 < y1 (arcsec)
 * Returned:   shared area (arcsec^2); 0 if disjoint or any corner is not finite
 * Ownership:  borrows qx and qy. Thread: any (pure).
 */
double polygon_overlap(const double qx[4], const double qy[4], double x0, double x1,
                       double y0, double y1);

#define POLYGON_CELLS 256    /* the most cells that one call answers for */
#define POLYGON_SLIVER 1e-12 /* areas below this are rounding and count as 0 (cells) */

/* Areas shared with the unit cells [i, i+1] x [j, j+1], i0 <= i < i0 + ni and so for j:
 * area[(j - j0) * ni + (i - i0)]. */
struct polygon_cells {
    int i0, j0, ni, nj;
    double area[POLYGON_CELLS];
};

/*
 * All areas of a footprint on a grid of unit cells at once.
 *
 * Given:      qx, qy  double[4]  corners in order round the edge (cells); the box that
 *                     holds them must have at most POLYGON_CELLS cells
 * Returned:   *ret    the cells of that box; ni = nj = 0 if any corner is not finite
 *             0, or -1 if the box has more cells or lies beyond +-1e9 (then *ret is empty)
 * Algorithm:  the shared area of a cell is the difference of two integrals along the
 *             edge of the polygon, of min(y, top) and min(y, bottom) dx within the column
 *             of the cell; both are sums over the four edges, without clipping.
 * Ownership:  borrows qx and qy. Thread: any (pure).
 */
int polygon_cell_areas(const double qx[4], const double qy[4],
                       struct polygon_cells *ret);

#endif
