#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/base/sha256.h"
#include "common/data/exposure_io.h"
#include "jobs/job.h"
#include "jobs/job_plan.h"
#include "tests/support.h"

/* ---- manifests -------------------------------------------------------------------- */

#define HEAD "\"ifud_manifest\": 1, \"id\": \"a-1\", \"recipe\": \"spec2\", "
#define TAIL "\"output_folder\": \"/out\", \"date\": \"2026-01-01T00:00:00.000\""

START_TEST(test_job_json_round_trip)
{
    static const char text[] =
        "{" HEAD "\"inputs\": [{\"path\": \"/in/x_rate.fits\"}], "
        "\"members\": [{\"role\": \"imprint\", \"path\": \"/in/i_rate.fits\"}], "
        "\"reference_folder\": \"/refs\", \"references\": [{\"input\": "
        "\"x_rate.fits\", \"type\": \"area\", \"path\": \"/refs/area.fits\"}], "
        "\"parameters\": {\"photom\": {\"skip\": true, \"inverse\": \"false\"}, "
        "\"cube_build\": {\"scalexy\": 0.05, \"n\": 3, \"none\": null}}, "
        "\"save\": [\"srctype\"], \"stop_after\": \"photom\", " TAIL
        ", \"threads\": 2, \"attempt\": 3}";
    struct job job, again;
    struct err err = {0};
    support_ok(job_parse(text, &job, &err), &err);
    ck_assert_uint_eq(job.n_settings, 5);
    ck_assert_str_eq(job.settings[0].value, "true");
    ck_assert_double_eq(strtod(job.settings[2].value, NULL), 0.05);
    ck_assert_str_eq(job.settings[4].value, "none");
    ck_assert_str_eq(job.references[0].type, "area");
    ck_assert_uint_eq(job.n_members, 1);
    ck_assert_str_eq(job.members[0].role, "imprint");
    ck_assert_str_eq(job.members[0].path, "/in/i_rate.fits");
    ck_assert_int_eq(job.attempt, 3);
    char *one = job_to_json(&job, &err);
    support_ok(job_parse(one, &again, &err), &err);
    char *two = job_to_json(&again, &err);
    ck_assert_str_eq(one, two);
    free(one);
    free(two);
    job_done(&job);
    job_done(&again);
}
END_TEST

START_TEST(test_job_json_refuses_by_name)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "line 1"},
        {"[]", "JSON object"},
        {"{" HEAD TAIL ", \"thread\": 2}", "unknown key 'thread'"},
        {"{" HEAD TAIL ", \"threads\": \"2\"}", "threads must be"},
        {"{" HEAD TAIL ", \"inputs\": [{\"path\": \"a\", \"size\": 1}]}",
         "unknown key 'inputs[].size'"},
        {"{" HEAD TAIL ", \"members\": [{\"path\": \"a\"}]}", "members[].role"},
        {"{" HEAD TAIL ", \"inputs\": [{\"path\": \"a\\nb\"}]}", "inputs[].path"},
        {"{" HEAD TAIL ", \"inputs\": [{\"path\": \"a\", \"sha256\": \"zz\"}]}",
         "SHA-256"},
        {"{" HEAD TAIL ", \"parameters\": {\"photom\": {\"skip\": [1]}}}",
         "parameters.photom.skip"},
        {"{" HEAD TAIL ", \"product_name\": \"../up\"}", "product_name"},
        {"{" HEAD "\"date\": \"x\"}", "output_folder"},
        {"{\"ifud_manifest\": 2}", "ifud_manifest"},
        {"{" HEAD TAIL ", \"id\": \"b\"}", "duplicate"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct job job = {0};
        struct err err = {0};
        ck_assert_int_eq(job_parse(bad[i].text, &job, &err), ERR_INPUT);
        ck_assert_msg(strstr(err.message, bad[i].says) != NULL, "no '%s' in: %s",
                      bad[i].says, err.message);
    }
}
END_TEST

START_TEST(test_job_read_takes_files_only)
{
    char *folder = support_folder();
    struct job job;
    struct err err = {0};
    ck_assert_int_eq(job_read(folder, &job, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "a manifest is a file"));
    const char *path = support_path(folder, "m.json");
    ck_assert_int_eq(job_read(path, &job, &err), ERR_INPUT);
    ck_assert_int_eq(mkfifo(path, 0600), 0); /* and it is not waited for */
    ck_assert_int_eq(job_read(path, &job, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "a manifest is a file"));
    unlink(path);
    support_write_file(path, "{}", 2);
    ck_assert_int_eq(truncate(path, 65 << 20), 0);
    ck_assert_int_eq(job_read(path, &job, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "at most 64 MB"));
    support_remove(folder);
}
END_TEST

START_TEST(test_job_product_names)
{
    static const char *const names[][2] = {
        {"/a/jw01_nrs1_rate.fits", "jw01_nrs1"},
        {"jw01_nrs1_rate.fits.gz", "jw01_nrs1"},
        {"jw01_nrs1_rateints.fits", "jw01_nrs1"},
        {"jw01_nrs1_cal.fits", "jw01_nrs1"},
        {"other.fits", "other"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *base = job_input_base(names[i][0], NULL);
        ck_assert_str_eq(base, names[i][1]);
        free(base);
    }
    struct exposure_meta m = {.program = "01234",
                              .observation = "001",
                              .target_name = "NGC 1068 (nuc)",
                              .grating = "G395H",
                              .filter = "F290LP"};
    char *base = job_group_base(&m, NULL);
    ck_assert_str_eq(base, "jw01234-o001_ngc-1068-nuc_nirspec_g395h-f290lp");
    free(base);
}
END_TEST

/* ---- running ---------------------------------------------------------------------- */

/* A job that needs no references: the source type of a small exposure. */
static struct job small_job(const char *folder)
{
    char text[4096];
    struct job job;
    struct err err = {0};
    struct exposure *e = support_exposure(8, 4, 1, 1, "NRS1", "F290LP", "G395H");
    support_write_rate(support_path(folder, "jw1_nrs1_rate.fits"), e);
    exposure_free(e);
    snprintf(text, sizeof text,
             "{" HEAD "\"inputs\": [{\"path\": \"%s/jw1_nrs1_rate.fits\"}], "
             "\"parameters\": {\"assign_wcs\": {\"skip\": true}}, \"stop_after\": "
             "\"srctype\", \"output_folder\": \"%s/out\", \"date\": "
             "\"2026-01-01T00:00:00.000\"}",
             folder, folder);
    support_ok(job_parse(text, &job, &err), &err);
    return job;
}

static int run(const struct job *job, const atomic_bool *cancel, struct job_result *ret,
               struct err *err)
{
    struct references *refs = NULL;
    support_ok(references_open(NULL, 0, &refs, err), err);
    int code = job_run(job, refs, NULL, cancel, NULL, ret, err);
    references_close(refs);
    return code;
}

START_TEST(test_job_refuses_members_that_do_not_fit)
{
    static const struct {
        const char *recipe, *role, *path, *says;
    } bad[] = {
        {"spec2", "dark", "/d_rate.fits", "no role 'dark'"},
        {"spec2", "imprint", "/elsewhere/jw1_nrs1_rate.fits",
         "as input and as imprint"},
        {"spec3", "imprint", "/i_rate.fits", "spec3 takes no imprint"},
        {"spec2", "background", "/nowhere_rate.fits", "/nowhere_rate.fits"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *folder = support_folder();
        struct job job = small_job(folder);
        struct err err = {0};
        char role[20], path[64];
        struct job_member member = {.role = strcpy(role, bad[i].role),
                                    .path = strcpy(path, bad[i].path)};
        free(job.recipe);
        job.recipe = strdup(bad[i].recipe);
        free(job.stop_after);
        job.stop_after = NULL;
        job.members = &member;
        job.n_members = 1;
        ck_assert_int_eq(job_check(&job, &err), ERR_INPUT);
        ck_assert_msg(strstr(err.message, bad[i].says), "'%s'", err.message);
        job.members = NULL;
        job.n_members = 0;
        job_done(&job);
        support_remove(folder);
    }
}
END_TEST

START_TEST(test_job_run_writes_product_and_manifest)
{
    char *folder = support_folder();
    struct job job = small_job(folder), from_file;
    struct job_result result;
    struct err err = {0};
    support_ok(run(&job, NULL, &result, &err), &err);
    ck_assert_uint_eq(result.n_products, 1);
    ck_assert_str_eq(result.products[0].suffix, "srctype");
    char hash[65], manifest_hash[65];
    uint64_t bytes;
    const char *product = support_path(folder, "out/jw1_nrs1_srctype.fits"),
               *manifest = support_path(folder, "out/jw1_nrs1_spec2_manifest.json");
    ck_assert_str_eq(result.products[0].path, product);
    support_ok(sha256_file(product, hash, &bytes, &err), &err);
    ck_assert_str_eq(hash, result.products[0].sha256);
    ck_assert_uint_eq(bytes, result.products[0].bytes);

    struct exposure *e = NULL;
    const char *value = NULL;
    support_ok(exposure_read(product, &e, &err), &err);
    ck_assert(header_get_string(&e->primary, "S_SRCTYP", &value));
    ck_assert_str_eq(value, "COMPLETE");
    ck_assert(header_get_string(&e->primary, "S_WCS", &value));
    ck_assert_str_eq(value, "SKIPPED");
    ck_assert(header_get_string(&e->primary, "S_CLNFNS", &value));
    ck_assert_str_eq(value, "SKIPPED");
    ck_assert(!header_get_string(&e->primary, "S_FLAT", &value)); /* not reached */
    support_ok(sha256_file(manifest, manifest_hash, NULL, &err), &err);
    ck_assert(header_get_string(&e->primary, "IFUD_MAN", &value));
    ck_assert_str_eq(value, manifest_hash);
    exposure_free(e);

    /* The manifest on disk gives the same bytes again. */
    support_ok(job_read(manifest, &from_file, &err), &err);
    unlink(product);
    job_result_done(&result);
    support_ok(run(&from_file, NULL, &result, &err), &err);
    ck_assert_str_eq(hash, result.products[0].sha256);
    job_result_done(&result);
    job_done(&from_file);
    job_done(&job);
    support_remove(folder);
}
END_TEST

START_TEST(test_job_run_failures_leave_no_product)
{
    char *folder = support_folder();
    struct job job = small_job(folder);
    struct job_result result;
    struct err err = {0};
    atomic_bool cancel = true;
    ck_assert_int_eq(run(&job, &cancel, &result, &err), ERR_CANCELLED);
    ck_assert_uint_eq(result.n_products, 0);
    ck_assert_int_eq(access(support_path(folder, "out/jw1_nrs1_srctype.fits"), F_OK),
                     -1);
    job_result_done(&result);
    memset(job.inputs[0].sha256, '0', 64);
    ck_assert_int_eq(run(&job, NULL, &result, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "the manifest says 0000"));
    ck_assert_str_eq(result.failed_stage, "read");
    job_result_done(&result);
    /* what is calibrated is not calibrated once more */
    struct exposure *e = support_exposure(8, 4, 1, 1, "NRS1", "F290LP", "G395H");
    const char *path = support_path(folder, "jw1_nrs1_rate.fits");
    strcpy(e->meta.bunit, "MJy/sr");
    support_ok(header_set_string(&e->science, "BUNIT", "MJy/sr", NULL, &err), &err);
    ck_assert_int_eq(unlink(path), 0);
    support_write_rate(path, e);
    exposure_free(e);
    *job.inputs[0].sha256 = 0;
    ck_assert_int_eq(run(&job, NULL, &result, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "jw1_nrs1_rate.fits: SCI: BUNIT is "
                                              "'MJy/sr': it is calibrated already"));
    job_result_done(&result);
    job_done(&job);
    support_remove(folder);
}
END_TEST

struct late {
    atomic_bool cancel, wrote;
    const char *part;
};

/* Once the stage's product is written, and before anything is published. */
static void cancel_after_stage(void *user, const char *stage, int index, int count,
                               double share)
{
    struct late *late = user;
    if (!strcmp(stage, "srctype") && index + 1 == count && share >= 1) {
        atomic_store(&late->wrote, access(late->part, F_OK) == 0);
        atomic_store(&late->cancel, true);
    }
}

START_TEST(test_job_run_publishes_all_or_nothing)
{
    char *folder = support_folder();
    struct job job = small_job(folder);
    struct job_result result;
    struct references *refs = NULL;
    struct err err = {0};
    struct late late = {.part =
                            support_path(folder, "out/.jw1_nrs1_srctype.fits.1.part")};
    const struct job_events events = {.stage = cancel_after_stage, .user = &late};
    support_ok(references_open(NULL, 0, &refs, &err), &err);
    ck_assert_int_eq(job_run(&job, refs, NULL, &late.cancel, &events, &result, &err),
                     ERR_CANCELLED);
    ck_assert(atomic_load(&late.wrote));
    ck_assert_uint_eq(result.n_products, 0);
    ck_assert_int_eq(rmdir(support_path(folder, "out")), 0); /* it is empty */
    references_close(refs);
    job_result_done(&result);
    job_done(&job);
    support_remove(folder);
}
END_TEST

/* With everything on, the first reference that is missing is named at once. */
START_TEST(test_job_pin_names_what_is_missing)
{
    char *folder = support_folder();
    struct job job = small_job(folder);
    struct references *refs = NULL;
    struct err err = {0};
    support_ok(references_open(NULL, 0, &refs, &err), &err);
    support_ok(job_check(&job, &err), &err);
    support_ok(job_pin(&job, refs, NULL, &err), &err);
    ck_assert_uint_eq(job.n_references, 0);
    ck_assert_uint_eq(strlen(job.inputs[0].sha256), 64);
    job.n_settings--; /* assign_wcs again */
    free(job.settings[0].stage);
    free(job.settings[0].name);
    free(job.settings[0].value);
    ck_assert_int_eq(job_pin(&job, refs, NULL, &err), ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "assign_wcs: no reference of type"));
    references_close(refs);
    job_done(&job);
    support_remove(folder);
}
END_TEST

START_TEST(test_job_plan_refuses)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"\"inputs\": []", "no input"},
        {"\"inputs\": [{\"path\": \"a.fits\"}, {\"path\": \"b.fits\"}]",
         "one exposure"},
        {"\"inputs\": [{\"path\": \"a b.fits\"}]", "file name"},
        {"\"inputs\": [{\"path\": \"a.fits\"}], \"stop_after\": \"flat_fields\"",
         "did you mean 'flat_field'?"},
        {"\"inputs\": [{\"path\": \"a.fits\"}], \"save\": [\"photom\"], "
         "\"stop_after\": "
         "\"srctype\"",
         "not reached"},
        {"\"inputs\": [{\"path\": \"a.fits\"}], \"stop_after\": \"photom\", "
         "\"parameters\": {\"photom\": {\"skip\": true}}",
         "is skipped"},
        {"\"inputs\": [{\"path\": \"a.fits\"}], "
         "\"parameters\": {\"extract_1d\": {\"center_radec\": \"151\"}}",
         "center_radec = 151; two values"},
        {"\"inputs\": [{\"path\": \"a.fits\"}], "
         "\"parameters\": {\"extract_1d\": {\"ellipse\": \"1,2\"}}",
         "two semi-axes"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[1024];
        struct job job;
        struct job_plan plan;
        struct err err = {0};
        snprintf(text, sizeof text, "{" HEAD "%s, " TAIL "}", bad[i].text);
        support_ok(job_parse(text, &job, &err), &err);
        ck_assert_int_ne(job_plan_make(&job, &plan, &err), 0);
        ck_assert_msg(strstr(err.message, bad[i].says) != NULL, "no '%s' in: %s",
                      bad[i].says, err.message);
        job_done(&job);
    }
}
END_TEST

/* The inputs that go into a cube are of one disperser, and name the product. */
START_TEST(test_job_group_of_the_cube)
{
    static const struct {
        const char *settings;
        int code;         /* of adding */
        size_t n_taken;   /* 0: refused when all are seen */
        const char *says; /* or the disperser that names the product */
    } cases[] = {
        {"", ERR_INPUT, 1, "one disperser and filter"},
        {"\"output_type\": \"multi\"", 0, 3, "G395M"},
        {"\"grating\": \"g395h\", \"filter\": \"f290lp\"", 0, 2, "G395H"},
        {"\"grating\": \"g140h\"", 0, 0, "leave none of 3 exposures"},
        {"\"filter\": \"f290\"", ERR_PARAM, 0, "'f290' is none of"},
    };
    static const char *const gratings[] = {"G395M", "G395H", "G395H"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024];
        struct job job;
        struct job_plan plan;
        struct job_group group = {0};
        struct err err = {0};
        int code = 0;
        snprintf(text, sizeof text,
                 "{" HEAD "\"inputs\": [{\"path\": \"a_cal.fits\"}], \"parameters\": "
                 "{\"cube_build\": {%s}}, " TAIL "}",
                 cases[i].settings);
        const char *spec2 = strstr(text, "spec2");
        ck_assert_ptr_nonnull(spec2);
        text[spec2 - text + 4] = '3';
        support_ok(job_parse(text, &job, &err), &err);
        support_ok(job_plan_make(&job, &plan, &err), &err);
        for (size_t k = 0; k < 3 && !code; k++) {
            struct exposure_meta meta = {0};
            strcpy(meta.grating, gratings[k]);
            strcpy(meta.filter, "F290LP");
            code = job_group_add(&group, &plan, &meta, &err);
        }
        ck_assert_int_eq(code, cases[i].code);
        ck_assert_uint_eq(group.n_taken, cases[i].n_taken);
        const bool is_whole = !code && group.n_taken;
        code = code ? code : job_group_check(&group, &plan, &err);
        ck_assert_int_eq(!code, is_whole);
        ck_assert_msg(strstr(code ? err.message : group.first.grating, cases[i].says) !=
                          NULL,
                      "no '%s' in: %s", cases[i].says, err.message);
        job_plan_done(&plan);
        job_done(&job);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("job");
    TCase *t = tcase_create("job");
    tcase_add_test(t, test_job_json_round_trip);
    tcase_add_test(t, test_job_json_refuses_by_name);
    tcase_add_test(t, test_job_read_takes_files_only);
    tcase_add_test(t, test_job_product_names);
    tcase_add_test(t, test_job_refuses_members_that_do_not_fit);
    tcase_add_test(t, test_job_run_writes_product_and_manifest);
    tcase_add_test(t, test_job_run_failures_leave_no_product);
    tcase_add_test(t, test_job_run_publishes_all_or_nothing);
    tcase_add_test(t, test_job_pin_names_what_is_missing);
    tcase_add_test(t, test_job_plan_refuses);
    tcase_add_test(t, test_job_group_of_the_cube);
    suite_add_tcase(s, t);
    return support_run(s);
}
