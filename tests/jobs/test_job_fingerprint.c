#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "jobs/job_code.h"
#include "jobs/job_fingerprint.h"
#include "tests/support.h"

#define HASH_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HASH_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* A pinned job; the arguments are what tests change. */
static struct job_fingerprint of(const char *recipe, const char *parameters,
                                 const char *photom_hash, const char *input_hash,
                                 const char *members, const char *more,
                                 const char *version)
{
    char text[4096];
    struct job job;
    struct job_plan plan;
    struct job_fingerprint f;
    struct references *refs = NULL;
    struct err err = {0};
    snprintf(
        text, sizeof text,
        "{\"ifud_manifest\": 1, \"id\": \"a-1\", \"recipe\": \"%s\", \"inputs\": "
        "[{\"path\": \"/in/x_rate.fits\", \"sha256\": \"%s\"}], \"members\": [%s], "
        "\"references\": [{\"input\": \"x_rate.fits\", \"type\": \"photom\", "
        "\"path\": \"/refs/p.fits\", \"sha256\": \"%s\"}], \"parameters\": {%s}, "
        "\"date\": \"2026-01-01T00:00:00.000\", %s}",
        recipe, input_hash, members, photom_hash, parameters, more);
    support_ok(job_parse(text, &job, &err), &err);
    support_ok(job_plan_make(&job, &plan, &err), &err);
    support_ok(references_open(NULL, 0, &refs, &err), &err);
    support_ok(job_fingerprint(&plan, refs, version, &f, &err), &err);
    references_close(refs);
    job_plan_done(&plan);
    job_done(&job);
    return f;
}

#define OUT "\"output_folder\": \"/out\""

static struct job_fingerprint plain(void)
{
    return of("spec2", "", HASH_A, HASH_A, "", OUT, "1");
}

static int step(const char *name)
{
    struct err err = {0};
    int i;
    support_ok(recipe_step_find(recipe_find("spec2"), name, &i, &err), &err);
    return i;
}

/* The first step in which they differ; one more than there are: none. */
static int first_difference(const struct job_fingerprint *a,
                            const struct job_fingerprint *b)
{
    int i = 0;
    while (i < a->n && i < b->n && !strcmp(a->step[i], b->step[i])) {
        i++;
    }
    for (int k = i; k < a->n && k < b->n; k++) { /* a chain: all after it differ, too */
        ck_assert_str_ne(a->step[k], b->step[k]);
    }
    return i;
}

START_TEST(test_job_fingerprint_depends_on_nothing_else)
{
    struct job_fingerprint a = plain(),
                           b = of("spec2", "\"cube_build\": {\"scalexy\": \"0.0\"}",
                                  HASH_A, HASH_A, "",
                                  "\"output_folder\": \"/else\", \"threads\": 7, "
                                  "\"attempt\": 3, \"save\": [\"srctype\"]",
                                  "1");
    ck_assert_int_eq(a.n, recipe_find("spec2")->n_steps);
    ck_assert_int_eq(first_difference(&a, &b), a.n);
    struct job_fingerprint c =
        of("spec2", "", HASH_A, HASH_A, "", OUT ", \"stop_after\": \"photom\"", "1");
    ck_assert_int_eq(c.n, step("photom") + 1);
    ck_assert_int_eq(first_difference(&a, &c), c.n);
}
END_TEST

START_TEST(test_job_fingerprint_changes_from_the_step_on)
{
    static const struct {
        const char *parameters, *photom, *input, *members, *version, *from;
    } rows[] = {
        {"\"extract_1d\": {\"bkg_sigma_clip\": 2}", HASH_A, HASH_A, "", "1",
         "extract_1d"},
        {"\"cube_build\": {\"scalexy\": 0.05}", HASH_A, HASH_A, "", "1", "cube_build"},
        {"\"pathloss\": {\"skip\": true}", HASH_A, HASH_A, "", "1", "pathloss"},
        {"", HASH_B, HASH_A, "", "1", "photom"},
        {"", HASH_A, HASH_B, "", "1", "assign_wcs"},
        {"", HASH_A, HASH_A,
         "{\"role\": \"imprint\", \"path\": \"/i_rate.fits\", \"sha256\": \"" HASH_A
         "\"}",
         "1", "assign_wcs"},
        {"", HASH_A, HASH_A, "", "2", "assign_wcs"},
    };
    struct job_fingerprint a = plain();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct job_fingerprint b =
            of("spec2", rows[i].parameters, rows[i].photom, rows[i].input,
               rows[i].members, OUT, rows[i].version);
        ck_assert_msg(first_difference(&a, &b) == step(rows[i].from), "%s",
                      rows[i].from);
    }
}
END_TEST

/* A file that a parameter names counts by its bytes, wherever it is. */
START_TEST(test_job_fingerprint_of_files_that_parameters_name)
{
    char *folder = support_folder(), parameters[700];
    struct job_fingerprint f[3];
    for (int i = 0; i < 3; i++) {
        const char *path = support_path(folder, "mask.fits");
        support_write_file(path, i < 2 ? "one" : "two", 3);
        snprintf(parameters, sizeof parameters,
                 "\"clean_flicker_noise\": {\"skip\": false, \"user_mask\": \"%s\"}",
                 path);
        f[i] = of("spec2", parameters, HASH_A, HASH_A, "", OUT, "1");
    }
    ck_assert_int_eq(first_difference(&f[0], &f[1]), f[0].n);
    ck_assert_int_eq(first_difference(&f[0], &f[2]), step("clean_flicker_noise"));
    support_remove(folder);
}
END_TEST

START_TEST(test_job_fingerprint_of_a_job_that_is_not_pinned)
{
    struct job job;
    struct job_plan plan;
    struct job_fingerprint f;
    struct err err = {0};
    support_ok(
        job_parse("{\"ifud_manifest\": 1, \"id\": \"a-1\", \"recipe\": \"spec2\", "
                  "\"inputs\": [{\"path\": \"/x_rate.fits\"}], "
                  "\"date\": \"2026-01-01T00:00:00.000\", " OUT "}",
                  &job, &err),
        &err);
    support_ok(job_plan_make(&job, &plan, &err), &err);
    support_ok(job_fingerprint(&plan, NULL, "1", &f, &err), &err);
    ck_assert_int_eq(f.n, 0);
    job_plan_done(&plan);
    job_done(&job);
}
END_TEST

START_TEST(test_job_fingerprint_agrees_with_a_product)
{
    const struct recipe *spec2 = recipe_find("spec2");
    struct job_fingerprint f = plain();
    struct provenance p = {0};
    struct err err = {0};
    int last = 7;
    ck_assert(!job_fingerprint_agrees(&f, spec2, &p, &last));
    ck_assert_int_eq(last, -1);
    for (int i = 0; i < 3; i++) {
        support_ok(provenance_add(&p, PROVENANCE_FINGERPRINT, spec2->steps[i].name,
                                  "code 1", "2026-01-01", f.step[i], &err),
                   &err);
    }
    ck_assert(job_fingerprint_agrees(&f, spec2, &p, &last));
    ck_assert_int_eq(last, 2);
    support_ok(provenance_add(&p, PROVENANCE_FINGERPRINT, spec2->steps[3].name,
                              "code 1", "2026-01-01", HASH_A, &err),
               &err);
    ck_assert(!job_fingerprint_agrees(&f, spec2, &p, &last));
    ck_assert_int_eq(last, 3);
    provenance_done(&p);
}
END_TEST

START_TEST(test_job_code_version_names_program_and_code)
{
    const char *version = job_code_version();
    ck_assert_int_eq(strncmp(version, IFUD_VERSION "+", strlen(IFUD_VERSION) + 1), 0);
    ck_assert_uint_eq(strlen(version), strlen(IFUD_VERSION) + 17);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("job_fingerprint");
    TCase *t = tcase_create("job_fingerprint");
    tcase_add_test(t, test_job_fingerprint_depends_on_nothing_else);
    tcase_add_test(t, test_job_fingerprint_changes_from_the_step_on);
    tcase_add_test(t, test_job_fingerprint_of_files_that_parameters_name);
    tcase_add_test(t, test_job_fingerprint_of_a_job_that_is_not_pinned);
    tcase_add_test(t, test_job_fingerprint_agrees_with_a_product);
    tcase_add_test(t, test_job_code_version_names_program_and_code);
    suite_add_tcase(s, t);
    return support_run(s);
}
