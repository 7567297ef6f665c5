/*
 * spec3 without the references of the WCS: the cube is the one that it makes with them.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/cube_io.h"
#include "common/data/fits_io.h"
#include "common/data/provenance.h"
#include "tests/e2e/programs.h"
#include "tests/support.h"

static struct err err;

static struct cube *read_cube(const char *folder, const char *name)
{
    struct cube *c = NULL;
    support_ok(cube_read(support_path(folder, name), &c, &err), &err);
    return c;
}

/* Both WCS agree within rounding: voxels within 1e-4 of the value or 0.001 of ERR, as the
 * cubes of other programs are compared. */
static void same_cubes(const struct cube *a, const struct cube *b)
{
    size_t n = (size_t)a->nx * (size_t)a->ny * (size_t)a->nw, seen = 0;
    ck_assert(a->nx == b->nx && a->ny == b->ny && a->nw == b->nw);
    ck_assert_double_eq_tol(a->crval1, b->crval1, 1e-12);
    ck_assert_double_eq_tol(a->crval2, b->crval2, 1e-12);
    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(isnan(a->sci[i]), isnan(b->sci[i]));
        ck_assert_uint_eq(a->dq[i], b->dq[i]);
        if (!isnan(a->sci[i])) {
            double far = fabs((double)a->sci[i] - (double)b->sci[i]);
            double value = fabs((double)a->sci[i]) * 1e-4;
            ck_assert_double_le(far, fmax(value, (double)a->err[i] * 1e-3));
            seen++;
        }
    }
    ck_assert_uint_gt(seen, 1000);
}

/* Files whose own WCS was taken, by the provenance. */
static int count_gwcs(const char *folder, const char *name)
{
    struct provenance p = {0};
    struct fits_in *f = NULL;
    int n = 0;
    support_ok(fits_in_open(support_path(folder, name), ERR_INPUT, &f, &err), &err);
    support_ok(provenance_read(f, &p, &err), &err);
    for (size_t i = 0; i < p.n; i++) {
        n +=
            p.items[i].kind == PROVENANCE_REFERENCE && !strcmp(p.items[i].name, "gwcs");
    }
    provenance_done(&p);
    fits_in_close(f);
    return n;
}

START_TEST(test_gwcs_cube_without_references)
{
    static const char base[] = "jw01234-o001_simtarg_nirspec_g395h-f290lp";
    char *top = support_folder(), with[200], without[200];
    programs_run(top, "$B/ifusim --make-references refs");
    programs_run(top, "$B/ifusim --references refs --output . --detector NRS1 "
                      "--dithers 2 --subarray 900,700,300,130 --truth false");
    for (int i = 1; i <= 2; i++) {
        programs_run(top,
                     "$B/ifurun spec2 --references refs --output p --stop-after photom "
                     "jw01234001001_02101_0000%d_nrs1_rate.fits",
                     i);
    }
    /* all but what the WCS is built from */
    programs_run(top, "mkdir few && cp refs/*.fits refs/*extract1d* few/");
    programs_run(top, "$B/ifurun spec3 --references refs --output with p/*_cal.fits");
    programs_run(top, "$B/ifurun spec3 --references few --output without p/*_cal.fits");
    snprintf(with, sizeof with, "with/%s_s3d.fits", base);
    snprintf(without, sizeof without, "without/%s_s3d.fits", base);
    struct cube *a = read_cube(top, with), *b = read_cube(top, without);
    same_cubes(a, b);
    cube_free(a);
    cube_free(b);
    /* provenance names the files, and the manifest runs again */
    ck_assert_int_eq(count_gwcs(top, with), 0);
    ck_assert_int_eq(count_gwcs(top, without), 2);
    char first[65], again[65];
    programs_hash(top, without, first);
    programs_run(top, "rm %s && $B/ifurun without/%s_spec3_manifest.json", without,
                 base);
    programs_hash(top, without, again);
    ck_assert_str_eq(first, again);
    support_remove(top);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gwcs");
    TCase *t = tcase_create("core");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, test_gwcs_cube_without_references);
    suite_add_tcase(s, t);
    return support_run(s);
}
