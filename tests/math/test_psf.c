#include <check.h>
#include <math.h>
#include "common/math/psf.h"
#include "tests/support.h"

START_TEST(test_psf_width_and_share)
{
    const struct psf p = {0.03, 0.04, 0.2, 3.0};
    ck_assert_double_eq_tol(psf_fwhm(&p, 1.0), 0.05, 1e-15);
    /* half of a Gaussian's light lies within half its FWHM; of the wing's, as much within
     * three times that */
    const struct psf core = {0.03, 0.04, 0.0, 3.0}, wing = {0.03, 0.04, 1.0, 3.0};
    ck_assert_double_eq_tol(psf_enclosed(&core, 1.0, 0.025), 0.5, 1e-9);
    ck_assert_double_eq_tol(psf_enclosed(&wing, 1.0, 0.075), 0.5, 1e-9);
    ck_assert_double_eq_tol(psf_enclosed(&p, 1.0, 0.06),
                            0.8 * psf_enclosed(&core, 1.0, 0.06) +
                                0.2 * psf_enclosed(&wing, 1.0, 0.06),
                            1e-15);
}
END_TEST

/* Spaxels so small that their sum within a circle is the enclosed share: the circle's edge
 * runs through 1 % of them, that is 1e-3 of the light. */
START_TEST(test_psf_spaxels_add_up)
{
    enum { N = 161 };
    static double share[N * N], edge[4 * N];
    const struct psf p = {0.03, 0.04, 0.2, 3.0};
    double all = 0, in = 0;
    psf_spaxels(&p, 2.0, 80.2, 79.7, 0.005, N, N, edge, share);
    for (int j = 0; j < N; j++) {
        for (int i = 0; i < N; i++) {
            all += share[j * N + i];
            in += hypot(i - 80.2, j - 79.7) < 20 ? share[j * N + i] : 0;
        }
    }
    ck_assert_double_eq_tol(in, psf_enclosed(&p, 2.0, 0.1), 1e-3);
    /* the square reaches as far as 0.4 arcsec: 4.3 sigma of the wing */
    ck_assert_double_eq_tol(all, 1.0, 1e-4);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("psf");
    TCase *t = tcase_create("psf");
    tcase_add_test(t, test_psf_width_and_share);
    tcase_add_test(t, test_psf_spaxels_add_up);
    suite_add_tcase(s, t);
    return support_run(s);
}
