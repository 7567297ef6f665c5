#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/e2e/programs.h"
#include "tests/support.h"
#include "tests/tiny.h"

/* The picture of what changed in a spectrum, and with what it is compared. */

static char *top;

#define BASE "jw01234001001_02101_00001_nrs1"

/* Once: one/ and two/, what the manifests one.json and two.json make in an empty folder. */
static void make(void)
{
    top = support_folder();
    tiny_make(support_path(top, "refs"));
    tiny_expose(support_path(top, "refs"), top, 1, 1);
    programs_run(top,
                 "$B/ifurun spec2 --references refs --output out --set "
                 "flat_field.skip=true --set cube_build.scalexy=0.3 --set "
                 "cube_build.scalew=0.05 --set extract_1d.bkg_sigma_clip=3 " BASE
                 "_rate.fits 2>log && cp out/" BASE
                 "_spec2_manifest.json one.json && mv out one && sed "
                 "'s/\"bkg_sigma_clip\": \"3\"/\"subtract_background\": \"false\"/' "
                 "one.json >two.json && $B/ifurun two.json 2>>log && mv out two");
}

static void unmake(void)
{
    support_remove(top);
}

static void setup(void)
{
    programs_run(top, "rm -rf out && cp -a one out");
}

static bool is_there(const char *name)
{
    return access(support_path(top, name), F_OK) == 0;
}

static bool log_says(const char *part)
{
    char *log = support_read_file(support_path(top, "log"), NULL);
    bool yes = strstr(log, part) != NULL;
    free(log);
    return yes;
}

START_TEST(test_difference_first_version_has_none)
{
    ck_assert(!is_there("one/" BASE "_difference.png"));
    ck_assert(!log_says(": difference: "));
}
END_TEST

START_TEST(test_difference_picture_is_a_product)
{
    programs_run(top,
                 "$B/ifurun two.json >list 2>log && cmp out/" BASE "_x1d.fits two/" BASE
                 "_x1d.fits && grep -q /" BASE
                 "_difference.png list && grep -q $(sha256sum <out/" BASE
                 "_difference.png | cut -d' ' -f1) out/" BASE "_spec2_products.json");
    ck_assert(log_says(": difference: "));
    /* the same versions give the same picture, whoever makes it */
    programs_run(top, "mv out/" BASE "_difference.png a.png && rm -r out && "
                      "cp -a one out && $B/ifurun two.json --threads 1 2>log && "
                      "cmp a.png out/" BASE "_difference.png");
    /* the order of the two counts */
    programs_run(top, "$B/ifurun one.json 2>log && ! cmp -s a.png out/" BASE
                      "_difference.png");
}
END_TEST

/* An attempt that died after it had published is no version before. */
START_TEST(test_difference_manifest_names_what_it_replaces)
{
    programs_run(top, "sed 's/^{/{ \"replaces\": \"-\",/' two.json >t.json && "
                      "$B/ifurun t.json 2>log");
    ck_assert(!is_there("out/" BASE "_difference.png"));
    ck_assert(!log_says(": difference: "));
    programs_run(top, "sed \"s:^{:{ \\\"replaces\\\"\\: \\\"$PWD/one/" BASE
                      "_x1d.fits\\\",:\" two.json >t.json && $B/ifurun t.json 2>log && "
                      "cp out/" BASE "_difference.png a.png && rm -r out && "
                      "cp -a one out && $B/ifurun two.json 2>log && cmp a.png out/" BASE
                      "_difference.png");
    /* it does not stand in what is published */
    programs_run(top, "! grep -q replaces out/" BASE "_spec2_manifest.json");
}
END_TEST

/* What cannot be read is not compared, and keeps nothing from being published. */
START_TEST(test_difference_of_what_cannot_be_read)
{
    programs_run(top, "echo nothing >out/" BASE "_x1d.fits && $B/ifurun two.json "
                      "2>log && cmp out/" BASE "_x1d.fits two/" BASE "_x1d.fits");
    ck_assert(!is_there("out/" BASE "_difference.png"));
    programs_run(top, "rm -r out && cp -a one out && echo {} >out/" BASE
                      "_spec2_manifest.json && $B/ifurun two.json 2>log");
    ck_assert(is_there("out/" BASE "_difference.png"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("difference");
    TCase *t = tcase_create("difference");
    tcase_set_timeout(t, 120);
    tcase_add_unchecked_fixture(t, make, unmake);
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, test_difference_first_version_has_none);
    tcase_add_test(t, test_difference_picture_is_a_product);
    tcase_add_test(t, test_difference_manifest_names_what_it_replaces);
    tcase_add_test(t, test_difference_of_what_cannot_be_read);
    suite_add_tcase(s, t);
    return support_run(s);
}
