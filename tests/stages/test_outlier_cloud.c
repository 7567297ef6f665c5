#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "stages/outlier_cloud.h"
#include "tests/support.h"

/* Points laid out by hand: exposures of 100 x 100 pixels that all see a square arcsecond
 * and 3 to 3.1 um, columns of 0.001 um. */
enum { NX = 100, MOST = 64, EXPOSURES = 4 };
static const struct outlier_rules rules = {5, 3, 4};
static struct outlier_cloud cloud;
static uint8_t reason[MOST];

static void cover_all(struct outlier_cover *v)
{
    struct err err = {0};
    (void)err;
    *v = (struct outlier_cover){NX, NX, -0.6f, -0.6f, 3.0f, 0.01f, 8, 8, 10, NULL};
    v->seen = malloc(8 * 8 * 10);
    memset(v->seen, 1, 8 * 8 * 10);
}

static void setup(void)
{
    struct err err = {0};
    support_ok(outlier_cloud_init(&cloud, EXPOSURES, &err), &err);
    for (size_t i = 0; i < EXPOSURES; i++) {
        cover_all(&cloud.covers[i]);
    }
    cloud.um_column = 0.001f;
}

static void teardown(void)
{
    outlier_cloud_done(&cloud);
}

/* A point at the place (arcsec) and wavelength; sigma 1, trace 1. Exposures in order, and
 * their pixels. Returns its index. */
static size_t add(size_t exposure, int x, int y, float excess, float east, float um)
{
    struct err err = {0};
    struct outlier_point *p;
    support_ok(outlier_cloud_room(&cloud, 1, &p, &err), &err);
    *p = (struct outlier_point){.pixel = (uint32_t)(y * NX + x),
                                .exposure = (uint16_t)exposure,
                                .slice = 9,
                                .excess = excess,
                                .trace = 1,
                                .sigma = 1,
                                .east = east,
                                .um = um,
                                .um_column = 0.001f};
    cloud.n++;
    for (size_t i = exposure; i < EXPOSURES; i++) {
        cloud.from[i + 1] = cloud.n;
    }
    return cloud.n - 1;
}

static void judge(int threads)
{
    struct err err = {0};
    struct par *par;
    ck_assert_uint_le(cloud.n, MOST);
    support_ok(par_new(threads, &par, &err), &err);
    support_ok(outlier_cloud_judge(&cloud, &rules, par, NULL, reason, &err), &err);
    par_free(par);
}

/* What three exposures see is a line; one of them may look elsewhere on the pixels. */
START_TEST(test_cloud_believes_lines)
{
    for (size_t i = 0; i < EXPOSURES; i++) {
        add(i, 50, 50, i == 2 ? 30 : 100, 0.03f * (float)i, 3.05f);
    }
    judge(2);
    for (size_t i = 0; i < EXPOSURES; i++) {
        ck_assert_int_eq(reason[i], OUTLIER_KEPT);
    }
}
END_TEST

/* What one sees is none, whatever another sees beside it, on the other side or fainter. */
START_TEST(test_cloud_rejects_hits)
{
    const size_t above = add(0, 50, 50, 100, 0, 3.05f);
    const size_t below = add(0, 70, 50, -100, 0, 3.07f);
    const size_t faint = add(0, 80, 50, 4.9f, 0, 3.08f);
    add(1, 50, 50, 100, 0.2f, 3.05f);
    add(1, 70, 50, 100, 0, 3.07f);
    add(2, 50, 50, 100, 0, 3.053f);
    add(3, 50, 50, 10, 0, 3.05f);
    judge(1);
    ck_assert_int_eq(reason[above], OUTLIER_ABOVE);
    ck_assert_int_eq(reason[below], OUTLIER_BELOW);
    ck_assert_int_eq(reason[faint], OUTLIER_KEPT);
}
END_TEST

/* A quarter is enough, less is not; half of the others are enough, less are not. */
START_TEST(test_cloud_contrast_and_majority)
{
    const size_t enough = add(0, 50, 50, 85, 0, 3.05f);
    const size_t too_few = add(0, 60, 50, 85, 0, 3.06f);
    const size_t too_faint = add(0, 70, 50, 85, 0, 3.07f);
    for (size_t i = 1; i < 3; i++) {
        add(i, 50, 50, 20.1f, 0, 3.05f);
        if (i == 1) {
            add(i, 60, 50, 20.1f, 0, 3.06f);
        }
        add(i, 70, 50, 19.9f, 0, 3.07f);
    }
    judge(1);
    ck_assert_int_eq(reason[enough], OUTLIER_KEPT);
    ck_assert_int_eq(reason[too_few], OUTLIER_ABOVE);
    ck_assert_int_eq(reason[too_faint], OUTLIER_ABOVE);
}
END_TEST

/* In the core of a star, whose trace is ten times brighter, its line is, too. */
START_TEST(test_cloud_scales_by_the_trace)
{
    for (int k = 0; k < 2; k++) {
        const size_t core = add(0, 50, 50, 1000, 0, 3.05f);
        cloud.points[core].trace = k ? 200 : 20;
        for (size_t i = 1; i < EXPOSURES; i++) {
            const size_t wing = add(i, 50, 50, 40, 0.1f, 3.05f);
            cloud.points[wing].trace = 20;
        }
        judge(1);
        ck_assert_int_eq(reason[core], k ? OUTLIER_KEPT : OUTLIER_ABOVE);
        teardown();
        setup();
    }
}
END_TEST

/* In the far wing of a bright star only a certain witness says how bright its core is. */
START_TEST(test_cloud_scales_far)
{
    for (int k = 0; k < 2; k++) {
        const size_t core = add(0, 50, 50, 8000, 0, 3.05f);
        cloud.points[core].trace = 5000;
        for (size_t i = 1; i < EXPOSURES; i++) {
            const size_t wing = add(i, 50, 50, k ? 6 : 4.5f, 0.1f, 3.05f);
            cloud.points[wing].trace = 10;
        }
        judge(1);
        ck_assert_int_eq(reason[core], k ? OUTLIER_KEPT : OUTLIER_ABOVE);
        teardown();
        setup();
    }
}
END_TEST

/* Where no other exposure looks only other slices of its own can tell. */
START_TEST(test_cloud_of_one_exposure)
{
    for (size_t i = 1; i < EXPOSURES; i++) {
        memset(cloud.covers[i].seen, 0, 8 * 8 * 10);
    }
    const size_t hit = add(0, 20, 50, 100, 0.02f, 3.02f);
    add(0, 20, 51, 90, 0.1f, 3.02f); /* the same slice */
    const size_t below = add(0, 30, 50, -100, 0, 3.03f);
    const size_t line = add(0, 50, 50, 100, 0, 3.05f);
    const size_t other = add(0, 50, 60, 60, 0.1f, 3.05f);
    cloud.points[other].slice = 10;
    judge(1);
    ck_assert_int_eq(reason[hit], OUTLIER_TRACE_ABOVE);
    ck_assert_int_eq(reason[below], OUTLIER_TRACE_BELOW);
    ck_assert_int_eq(reason[line], OUTLIER_KEPT);
}
END_TEST

/* A star's line follows its profile along the slice, a hit does not. */
START_TEST(test_cloud_follows_the_profile)
{
    for (int k = 0; k < 2; k++) {
        const size_t core = add(0, 50, 50, 100, 0, 3.05f);
        cloud.points[core].trace = 200;
        const size_t wing = add(0, 50, 51, k ? 12 : 100, 0.1f, 3.05f);
        cloud.points[wing].trace = 20;
        judge(1);
        ck_assert_int_eq(reason[core], k ? OUTLIER_KEPT : OUTLIER_ABOVE);
        ck_assert_int_eq(reason[wing], k ? OUTLIER_KEPT : OUTLIER_ABOVE);
        teardown();
        setup();
        for (size_t i = 1; i < EXPOSURES - 1; i++) {
            memset(cloud.covers[i].seen, 0, 8 * 8 * 10);
        }
    }
}
END_TEST

/* Beside a hit less is enough; the neighbour of a neighbour is not beside it. */
START_TEST(test_cloud_adjacent)
{
    const size_t hit = add(0, 50, 50, 100, 0, 3.05f);
    const size_t beside = add(0, 51, 51, 4, 0, 3.051f);
    const size_t second = add(0, 52, 52, 4, 0, 3.052f);
    const size_t other_side = add(0, 49, 51, -4, 0, 3.049f);
    const size_t apart = add(0, 50, 60, 4, 0.3f, 3.05f);
    judge(1);
    ck_assert_int_eq(reason[hit], OUTLIER_ABOVE);
    ck_assert_int_eq(reason[beside], OUTLIER_ADJACENT);
    ck_assert_int_eq(reason[second], OUTLIER_KEPT);
    ck_assert_int_eq(reason[other_side], OUTLIER_KEPT);
    ck_assert_int_eq(reason[apart], OUTLIER_KEPT);
}
END_TEST

START_TEST(test_cloud_limits)
{
    struct outlier_cloud many;
    struct err err = {0};
    support_ok(outlier_cloud_init(&many, 1025, &err), &err);
    ck_assert_int_eq(outlier_cloud_judge(&many, &rules, NULL, NULL, reason, &err),
                     ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "1025 exposures"));
    outlier_cloud_done(&many);
    judge(3); /* none at all */
}
END_TEST

/* A WCS from a file may say anything. */
START_TEST(test_cover_holds_a_field_of_the_ifu)
{
    const double north[4] = {-1.5, -1.5, 1.5, 1.5};
    const double east[4] = {-1.5, 1.5, 1.5, -1.5}, wide[4] = {-1.5, 7e5, 1.5, 0};
    const double none[4] = {NAN, NAN, NAN, NAN};
    struct outlier_cover v;
    struct err err = {0};
    support_ok(outlier_cover_init(&v, east, north, 2.9, 5.3, &err), &err);
    ck_assert_int_eq(v.n_east, 24); /* 3.6 / 0.15 */
    ck_assert_int_eq(v.n_north, 24);
    ck_assert(!outlier_cover_has(&v, 0, 0, 4));
    free(v.seen);
    support_ok(outlier_cover_init(&v, east, north, NAN, 1e30, &err), &err);
    ck_assert_int_lt(v.n_um, 5000);
    free(v.seen);
    ck_assert_int_eq(outlier_cover_init(&v, wide, north, 2.9, 5.3, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "3 x 3 arcsec"));
    ck_assert_int_eq(outlier_cover_init(&v, none, north, 2.9, 5.3, &err), ERR_INPUT);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("outlier_cloud");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_cloud_believes_lines);
    tcase_add_test(t, test_cloud_rejects_hits);
    tcase_add_test(t, test_cloud_contrast_and_majority);
    tcase_add_test(t, test_cloud_scales_by_the_trace);
    tcase_add_test(t, test_cloud_scales_far);
    tcase_add_test(t, test_cloud_of_one_exposure);
    tcase_add_test(t, test_cloud_follows_the_profile);
    tcase_add_test(t, test_cloud_adjacent);
    tcase_add_test(t, test_cloud_limits);
    tcase_add_test(t, test_cover_holds_a_field_of_the_ifu);
    suite_add_tcase(s, t);
    return support_run(s);
}
