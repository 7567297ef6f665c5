#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "jobs/job_wcs.h"
#include "tests/support.h"

static struct err err;
static struct references *refs;
static struct exposure *e;

static void setup(void)
{
    err = (struct err){0};
    support_ok(references_open(NULL, 1 << 20, &refs, &err), &err);
    e = support_exposure(32, 16, 1, 1, "NRS1", "F290LP", "G395H");
    strcpy(e->meta.filename, "x_cal.fits");
    e->has_asdf = true;
}

static void teardown(void)
{
    exposure_free(e);
    references_close(refs);
}

/* The rule for e, of a recipe, references of a manifest and parameters. */
static bool from_file(const char *recipe, const char *references,
                      const char *parameters)
{
    struct job job;
    struct job_plan plan;
    char text[1000];
    snprintf(
        text, sizeof text,
        "{\"ifud_manifest\": 1, \"id\": \"a\", \"recipe\": \"%s\", \"inputs\": "
        "[{\"path\": \"/in/x_cal.fits\"}], \"references\": [%s], \"parameters\": "
        "{%s}, \"output_folder\": \"/out\", \"date\": \"2026-01-01T00:00:00.000\"}",
        recipe, references, parameters);
    support_ok(job_parse(text, &job, &err), &err);
    support_ok(job_plan_make(&job, &plan, &err), &err);
    bool is = job_wcs_from_file(&plan, refs, e, job.n_references > 0);
    job_plan_done(&plan);
    job_done(&job);
    return is;
}

#define SOURCE(s) "\"assign_wcs\": {\"wcs_source\": \"" s "\"}"
#define PIN(type)                                                                      \
    "{\"input\": \"x_cal.fits\", \"type\": \"" type "\", \"path\": \"/refs/a\"}"

START_TEST(test_job_wcs_rule)
{
    ck_assert(!from_file("spec2", "", ""));
    /* another program's: the file */
    ck_assert(from_file("spec3", "", ""));
    ck_assert(!from_file("spec3", "", SOURCE("references")));
    ck_assert(from_file("spec3", "", SOURCE("file")));
    ck_assert(
        !from_file("spec3", "", "\"assign_wcs\": {\"override_camera\": \"/refs/a\"}"));
    /* as it was when the job was pinned */
    ck_assert(!from_file("spec3", PIN("camera"), ""));
    ck_assert(from_file("spec3", PIN("cubepar"), ""));
    /* our own, and no references here */
    support_ok(header_set_string(&e->primary, "IFUD_VER", "1", NULL, &err), &err);
    ck_assert(from_file("spec3", "", ""));
    /* nothing in the file */
    e->has_asdf = false;
    ck_assert(!from_file("spec3", "", ""));
    ck_assert(from_file("spec3", "", SOURCE("file")));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("job_wcs");
    TCase *t = tcase_create("core");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_job_wcs_rule);
    suite_add_tcase(s, t);
    return support_run(s);
}
