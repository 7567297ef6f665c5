#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "common/data/exposure_io.h"
#include "tests/support.h"
#include "tests/tiny.h"

/* ifurun with association files, on exposures of 16 x 16 pixels. */

static char *top;
static char out[1 << 14], err_text[1 << 16];
static struct err err;

#define SMALL                                                                          \
    " --references refs --set flat_field.skip=true --set cube_build.scalexy=0.3 "      \
    "--set "                                                                           \
    "cube_build.scalew=0.05 --threads 1 "
#define SMALL3                                                                         \
    " --references refs --set cube_build.scalexy=0.3 --set cube_build.scalew=0.05 "    \
    "--threads 1 "

static void slurp(const char *name, char *to, size_t size)
{
    size_t n;
    char *text = support_read_file(support_path(top, name), &n);
    snprintf(to, size, "%s", text);
    free(text);
}

__attribute__((format(printf, 1, 2))) static int shell(const char *fmt, ...)
{
    char command[2048], whole[4096];
    const char *bin = getenv("IFUD_BIN");
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(command, sizeof command, fmt, ap);
    va_end(ap);
    snprintf(whole, sizeof whole,
             "cd '%s' && B='%s' && { %s ; } >stdout.txt 2>stderr.txt", top,
             bin ? bin : "build/bin", command);
    int status = system(whole);
    slurp("stdout.txt", out, sizeof out);
    slurp("stderr.txt", err_text, sizeof err_text);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void worked(int got)
{
    ck_assert_msg(got == 0, "exit code %d: %s", got, err_text);
}

static void says(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "no '%s' in: %s", part, text);
}

static void write_text(const char *name, const char *text)
{
    support_write_file(support_path(top, name), text, strlen(text));
}

#define NAME(DITHER) "jw01234001001_02101_0000" DITHER "_nrs1"
#define MEMBER(NAME, TYPE) "{\"expname\": \"" NAME ".fits\", \"exptype\": \"" TYPE "\"}"

static void setup(void)
{
    char refs[300];
    top = support_folder();
    snprintf(refs, sizeof refs, "%s", support_path(top, "refs"));
    mkdir(refs, 0755);
    mkdir(support_path(top, "d"), 0755);
    tiny_make(refs);
    tiny_expose(refs, support_path(top, "d"), 1, 3);
}

static void teardown(void)
{
    support_remove(top);
}

/* Both products of one file, then what spec3 makes of them by another. */
START_TEST(test_ifurun_association_products)
{
    write_text("d/two_asn.json",
               "{\"asn_type\": \"spec2\", \"products\": [{\"name\": \"mine\","
               " \"members\": [" MEMBER(NAME("1") "_rate", "science") "," MEMBER(
                   NAME("2") "_rate",
                   "background") "," MEMBER("ta_rate",
                                            "target_acquisition") "]}, {\"name\": "
                                                                  "\"" NAME("3") "\", "
                                                                                 "\"mem"
                                                                                 "bers"
                                                                                 "\": "
                                                                                 "[" MEMBER(NAME("3") "_rate",
                                                                                            "science") "]}]}");
    worked(shell("$B/ifurun spec2" SMALL "--output c d/two_asn.json"));
    says(err_text,
         "two_asn.json: product mine: member ta_rate.fits is not used: exptype "
         "target_acquisition");
    worked(shell("ls c/mine_cal.fits c/mine_x1d.fits c/" NAME("3") "_s3d.fits"));
    worked(shell("grep -c '\"role\": *\"background\"' c/mine_spec2_manifest.json"));
    worked(shell("test ! -e c/" NAME("1") "_cal.fits"));
    /* again by its manifest: the same name */
    worked(shell("mv c/mine_cal.fits first && $B/ifurun c/mine_spec2_manifest.json && "
                 "cmp first c/mine_cal.fits"));
    write_text("c/three_asn.json",
               "{\"asn_type\": \"spec3\", \"products\": [{\"name\": \"all\","
               " \"members\": [" MEMBER("mine_cal", "science") "," MEMBER(
                   NAME("3") "_cal", "science") "]}]}");
    worked(shell("$B/ifurun spec3" SMALL3 "--output s c/three_asn.json"));
    worked(shell("ls s/all_s3d.fits s/all_x1d.fits"));
}
END_TEST

/* What is wrong with one product is told, the others are made. */
START_TEST(test_ifurun_association_errors)
{
    struct exposure *e = NULL;
    write_text(
        "d/a_asn.json",
        "{\"asn_type\": \"spec2\", \"products\": [{\"name\": \"p\","
        " \"members\": [" MEMBER(NAME("1") "_rate", "science") "," MEMBER(
            "leak_rate",
            "imprint") "]}, {\"name\": \"q\", \"members\": [" MEMBER(NAME("2") "_rate",
                                                                     "science") "]}]}");
    ck_assert_int_eq(shell("$B/ifurun spec2" SMALL "--output c d/a_asn.json"), 1);
    says(err_text, "a_asn.json: product p: member leak_rate.fits cannot be read in d");
    says(err_text, "at least one of 2 products failed");
    worked(shell("ls c/q_cal.fits && test ! -e c/p_cal.fits"));

    support_ok(exposure_read(support_path(top, "d/" NAME("3") "_rate.fits"), &e, &err),
               &err);
    if (header_set_string(&e->primary, "GRATING", "G235M", NULL, &err) ||
        header_set_string(&e->primary, "FILTER", "F170LP", NULL, &err)) {
        ck_abort_msg("%s", err.message);
    }
    support_write_rate(support_path(top, "d/other_rate.fits"), e);
    exposure_free(e);
    write_text("d/b_asn.json",
               "{\"asn_type\": \"spec3\", \"products\": [{\"name\": \"p\","
               " \"members\": [" MEMBER(NAME("1") "_rate", "science") "," MEMBER(
                   "other_rate", "science") "]}]}");
    ck_assert_int_eq(shell("$B/ifurun spec3" SMALL3 "d/b_asn.json"), 1);
    says(err_text,
         "b_asn.json: product p: member other_rate.fits has F170LP/G235M, " NAME(
             "1") "_rate.fits has F290LP/G395M");

    ck_assert_int_eq(shell("$B/ifurun spec3" SMALL3 "d/a_asn.json"), 1);
    says(err_text, "its asn_type is spec2, not spec3; give it to ifurun spec2");
    write_text("d/cut_asn.json", "{\"asn_type\": \"spec2\"");
    ck_assert_int_eq(shell("$B/ifurun spec2" SMALL "d/cut_asn.json"), 1);
    says(err_text, "cut_asn.json: line 1: is no JSON");
    ck_assert_int_eq(
        shell("$B/ifurun spec2" SMALL "d/a_asn.json d/" NAME("1") "_rate.fits"), 2);
    says(err_text, "give association files or exposures");
    ck_assert_int_eq(shell("$B/ifurun spec2" SMALL "--imprint x d/a_asn.json"), 2);
    says(err_text, "--imprint and --background do not go with it");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ifurun_association");
    TCase *tc = tcase_create("ifurun_association");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_ifurun_association_products);
    tcase_add_test(tc, test_ifurun_association_errors);
    suite_add_tcase(suite, tc);
    return support_run(suite);
}
