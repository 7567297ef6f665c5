#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include "common/math/polygon.h"
#include "tests/support.h"

/* A repeatable random number in 0..1. */
static double uniform(unsigned long *state)
{
    *state = *state * 6364136223846793005ul + 1442695040888963407ul;
    return (double)(*state >> 11) / 9007199254740992.0;
}

static double quad_area(const double x[4], const double y[4])
{
    return fabs((x[2] - x[0]) * (y[3] - y[1]) - (x[3] - x[1]) * (y[2] - y[0])) / 2;
}

/* A rectangle w x h about (cx, cy), turned by `angle`, corners moved by up to `rough`. */
static void turned(double cx, double cy, double w, double h, double angle, double rough,
                   unsigned long *state, double x[4], double y[4])
{
    static const double sx[4] = {-1, 1, 1, -1}, sy[4] = {-1, -1, 1, 1};
    for (int k = 0; k < 4; k++) {
        double a = sx[k] * w / 2 + rough * (uniform(state) - 0.5);
        double b = sy[k] * h / 2 + rough * (uniform(state) - 0.5);
        x[k] = cx + a * cos(angle) - b * sin(angle);
        y[k] = cy + a * sin(angle) + b * cos(angle);
    }
}

START_TEST(test_polygon_known_areas)
{
    const double x[4] = {0, 1, 1, 0}, y[4] = {0, 0, 1, 1};
    ck_assert_double_eq_tol(polygon_overlap(x, y, 0, 1, 0, 1), 1, 1e-15);
    ck_assert_double_eq_tol(polygon_overlap(x, y, 0.25, 2, -1, 0.5), 0.375, 1e-15);
    ck_assert_double_eq(polygon_overlap(x, y, 2, 3, 0, 1), 0);
    ck_assert_double_eq(polygon_overlap(x, y, 1, 2, 0, 1), 0);
    /* a diamond of half width 1 in the unit square beside its centre: a triangle */
    const double dx[4] = {1, 0, -1, 0}, dy[4] = {0, 1, 0, -1};
    ck_assert_double_eq_tol(polygon_overlap(dx, dy, 0, 1, 0, 1), 0.5, 1e-15);
    /* the other way round the edge */
    const double rx[4] = {0, 0, 1, 1}, ry[4] = {0, 1, 1, 0};
    ck_assert_double_eq_tol(polygon_overlap(rx, ry, 0, 1, 0, 0.5), 0.5, 1e-15);
}
END_TEST

START_TEST(test_polygon_degenerate)
{
    const double line_x[4] = {0, 1, 1, 0}, line_y[4] = {0.5, 0.5, 0.5, 0.5};
    const double point[4] = {0.3, 0.3, 0.3, 0.3};
    const double bad[4] = {0, NAN, 1, 0}, far[4] = {0, INFINITY, 1, 0};
    const double y[4] = {0, 0, 1, 1};
    struct polygon_cells cells;
    ck_assert_double_eq(polygon_overlap(line_x, line_y, 0, 1, 0, 1), 0);
    ck_assert_double_eq(polygon_overlap(point, point, 0, 1, 0, 1), 0);
    ck_assert_double_eq(polygon_overlap(bad, y, 0, 1, 0, 1), 0);
    ck_assert_double_eq(polygon_overlap(far, y, 0, 1, 0, 1), 0);
    ck_assert_int_eq(polygon_cell_areas(bad, y, &cells), 0);
    ck_assert_int_eq(cells.ni * cells.nj, 0);
    ck_assert_int_eq(polygon_cell_areas(far, y, &cells), 0);
    ck_assert_int_eq(cells.ni * cells.nj, 0);
    ck_assert_int_eq(polygon_cell_areas(line_x, line_y, &cells), 0);
    for (int i = 0; i < cells.ni * cells.nj; i++) {
        ck_assert_double_eq(cells.area[i], 0);
    }
    /* more cells than there is room for */
    const double wide[4] = {0, 300, 300, 0};
    ck_assert_int_eq(polygon_cell_areas(wide, y, &cells), -1);
    const double large_x[4] = {0, 17, 17, 0}, large_y[4] = {0, 0, 17, 17};
    ck_assert_int_eq(polygon_cell_areas(large_x, large_y, &cells), -1);
    ck_assert_int_eq(cells.ni * cells.nj, 0);
}
END_TEST

/* Cell by cell the two ways agree to rounding, and together they are the whole. */
START_TEST(test_polygon_cells_agree_with_clipping)
{
    unsigned long state = 7;
    for (int round = 0; round < 20000; round++) {
        double x[4], y[4], sum = 0;
        double angle = round % 5 == 0 ? 0 : 2 * M_PI * uniform(&state);
        turned(20 * uniform(&state) - 10, 20 * uniform(&state) - 10,
               0.05 + 4 * uniform(&state), 0.05 + 4 * uniform(&state), angle,
               round % 3 == 0 ? 0 : 0.02, &state, x, y);
        struct polygon_cells cells;
        ck_assert_int_eq(polygon_cell_areas(x, y, &cells), 0);
        for (int j = 0; j < cells.nj; j++) {
            for (int i = 0; i < cells.ni; i++) {
                double area = cells.area[j * cells.ni + i];
                double clipped = polygon_overlap(x, y, cells.i0 + i, cells.i0 + i + 1,
                                                 cells.j0 + j, cells.j0 + j + 1);
                ck_assert_double_eq_tol(area, clipped, 2e-12); /* slivers count as 0 */
                sum += area;
            }
        }
        ck_assert_double_eq_tol(sum, quad_area(x, y), 1e-10);
    }
}
END_TEST

/* Points thrown into the box: the share that hits both. 1e6 points give 5e-4. */
START_TEST(test_polygon_monte_carlo)
{
    unsigned long state = 11;
    double x[4], y[4];
    turned(0.6, 0.4, 0.9, 0.7, 0.7, 0.1, &state, x, y);
    long hits = 0, n = 1000000;
    for (long p = 0; p < n; p++) {
        double px = uniform(&state), py = uniform(&state);
        bool inside = true;
        for (int a = 0; a < 4; a++) {
            int b = (a + 1) % 4;
            inside =
                inside && (x[b] - x[a]) * (py - y[a]) - (y[b] - y[a]) * (px - x[a]) > 0;
        }
        hits += inside;
    }
    ck_assert_double_eq_tol(polygon_overlap(x, y, 0, 1, 0, 1), (double)hits / (double)n,
                            2e-3);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("polygon");
    TCase *t = tcase_create("polygon");
    tcase_add_test(t, test_polygon_known_areas);
    tcase_add_test(t, test_polygon_degenerate);
    tcase_add_test(t, test_polygon_cells_agree_with_clipping);
    tcase_add_test(t, test_polygon_monte_carlo);
    suite_add_tcase(s, t);
    return support_run(s);
}
