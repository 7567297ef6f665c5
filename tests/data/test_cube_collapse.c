#include <check.h>
#include <math.h>
#include <string.h>
#include "common/data/cube_collapse.h"
#include "tests/support.h"

START_TEST(test_cube_collapse_median)
{
    enum { NX = 7, NY = 5, NW = 9, N = NX * NY };
    struct err err;
    struct cube *c = cube_new(NX, NY, NW, &err);
    ck_assert_ptr_nonnull(c);
    for (int k = 0; k < NW; k++) {
        for (int p = 0; p < N; p++) {
            c->sci[k * N + p] =
                (float)((k * 4) % NW + p); /* 0..8 in some order, plus p */
        }
        c->sci[k * N + 3] = NAN;
        c->sci[k * N + 4] = k == 2 ? 42.0f : INFINITY;
    }
    float image[N], again[N];
    ck_assert_int_eq(cube_median_image(c, 0, NW, NULL, image, &err), 0);
    for (int p = 0; p < N; p++) {
        if (p == 3) {
            ck_assert(isnan(image[p]));
        } else {
            ck_assert(image[p] == (p == 4 ? 42.0f : 4.0f + (float)p));
        }
    }
    struct par *par = NULL;
    ck_assert_int_eq(par_new(4, &par, &err), 0);
    ck_assert_int_eq(cube_median_image(c, 0, NW, par, again, &err), 0);
    ck_assert_mem_eq(image, again, sizeof image);
    par_free(par);
    ck_assert_int_eq(cube_median_image(c, 1, 3, NULL, image, &err), 0);
    ck_assert(image[0] == 6.0f); /* mean of 4 and 8 */
    cube_free(c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cube_collapse");
    TCase *t = tcase_create("cube_collapse");
    tcase_add_test(t, test_cube_collapse_median);
    suite_add_tcase(s, t);
    return support_run(s);
}
