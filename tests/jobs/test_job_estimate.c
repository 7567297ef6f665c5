#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/data/exposure_io.h"
#include "jobs/job_estimate.h"
#include "tests/e2e/programs.h"
#include "tests/support.h"

/*
 * Estimates against the peaks of ifurun: never below, and at most 2.5 times above, which
 * is what a field whose corners no light reaches, and planes beyond one detector, cost.
 */

static char *top;

static void setup(void)
{
    top = support_folder();
}

static void teardown(void)
{
    support_remove(top);
}

static struct job_memory estimate(struct job *job)
{
    struct job_memory m = {0};
    struct job_extent extents[16] = {0};
    struct err err = {0};
    for (size_t i = 0; i < job->n_inputs; i++) {
        struct exposure *e = NULL;
        support_ok(exposure_read_headers(job->inputs[i].path, &e, &err), &err);
        struct job_extent *x = &extents[i];
        x->pixels = (double)exposure_pixels(e);
        snprintf(x->grating, sizeof x->grating, "%s", e->meta.grating);
        snprintf(x->filter, sizeof x->filter, "%s", e->meta.filter);
        x->ra = e->meta.ra_ref;
        x->dec = e->meta.dec_ref;
        x->pa = e->meta.roll_ref + e->meta.v3i_yang;
        exposure_free(e);
    }
    support_ok(job_estimate(job, extents, &m, &err), &err);
    return m;
}

/* A job on files of the folder; settings are "stage", "name", "value", ..., NULL. */
static void make_job(struct job *job, const char *recipe, const char *const *files,
                     const char *const *settings)
{
    *job = (struct job){.threads = 2};
    job->recipe = strdup(recipe);
    job->inputs = calloc(16, sizeof *job->inputs);
    job->settings = calloc(8, sizeof *job->settings);
    for (; *files; files++) {
        job->inputs[job->n_inputs++].path = strdup(support_path(top, *files));
    }
    for (; settings && *settings; settings += 3) {
        job->settings[job->n_settings++] = (struct job_setting){
            strdup(settings[0]), strdup(settings[1]), strdup(settings[2])};
    }
}

/* Run it; the peak of the process in bytes. */
static double peak_of(const struct job *job)
{
    char ifurun[500], refs[500], out[500], sets[8][200];
    const char *argv[64] = {ifurun,     job->recipe, "--references", refs,
                            "--output", out,         "--threads",    "2"};
    int n = 8;
    snprintf(ifurun, sizeof ifurun, "%s/ifurun",
             getenv("IFUD_BIN") ? getenv("IFUD_BIN") : "build/bin");
    snprintf(refs, sizeof refs, "%s/refs", top);
    snprintf(out, sizeof out, "%s/out", top);
    for (size_t i = 0; i < job->n_settings; i++) {
        const struct job_setting *s = &job->settings[i];
        snprintf(sets[i], sizeof sets[i], "%s.%s=%s", s->stage, s->name, s->value);
        argv[n++] = "--set";
        argv[n++] = sets[i];
    }
    for (size_t i = 0; i < job->n_inputs; i++) {
        argv[n++] = job->inputs[i].path;
    }
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)) {
            _exit(126);
        }
        execv(ifurun, (char *const *)(void *)argv);
        _exit(127);
    }
    int status;
    struct rusage used;
    ck_assert_int_eq(wait4(pid, &status, 0, &used), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "ifurun failed: %d",
                  status);
    return 1024.0 * (double)used.ru_maxrss;
}

/* A sanitizer takes memory of its own. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define OVERHEAD 20
#else
#define OVERHEAD 1
#endif

static void check(const char *recipe, const char *const *files,
                  const char *const *settings)
{
    struct job job;
    make_job(&job, recipe, files, settings);
    struct job_memory m = estimate(&job);
    double all = (double)(m.job + m.process), peak = peak_of(&job);
    ck_assert_msg(all * OVERHEAD >= peak,
                  "%s of %zu: estimate %.0f MB, but the peak was %.0f MB", recipe,
                  job.n_inputs, all / 1e6, peak / 1e6);
    ck_assert_msg(all <= 2.5 * peak,
                  "%s of %zu: estimate %.0f MB for a peak of %.0f MB", recipe,
                  job.n_inputs, all / 1e6, peak / 1e6);
    job_done(&job);
}

#define NAME(dither, kind) "jw01234001001_02101_0000" #dither "_nrs1_" kind ".fits"

START_TEST(test_job_estimate_full_frame)
{
    const char *const rate[] = {NAME(1, "rate"), NULL};
    const char *const cal[] = {"out/" NAME(1, "cal"), NULL};
    const char *const flat[] = {"flat_field", "save_interpolated_flat", "true", NULL};
    const char *const fine[] = {"cube_build", "scalexy", "0.05", NULL};
    const char *const gp[] = {"clean_flicker_noise",
                              "skip",
                              "false",
                              "clean_flicker_noise",
                              "fit_method",
                              "gp",
                              "clean_flicker_noise",
                              "mask_science_regions",
                              "true",
                              NULL};
    programs_run(top, "$B/ifusim --make-references refs --grating G235M >/dev/null");
    programs_run(top,
                 "$B/ifusim --references refs --grating G235M --detector NRS1 "
                 "--dithers 1 --truth false --noise false --flicker 0.01 >/dev/null");
    check("spec2", rate, flat);
    check("spec2", rate, gp);
    check("spec2", rate, fine);
    check("spec3", cal, NULL);
}
END_TEST

/* Thin windows across all slices: the cube is what counts. */
START_TEST(test_job_estimate_windows)
{
    static const char *const turns[] = {"0", "25", "60"};
    const char *const rate[] = {NAME(1, "rate"), NULL};
    const char *const cal[] = {"out/" NAME(1, "cal"), "out/" NAME(2, "cal"),
                               "out/" NAME(3, "cal"), "out/" NAME(4, "cal"), NULL};
    const char *const grid[] = {"cube_build", "cube_pa", "30",         "cube_build",
                                "scalexy",    "0.05",    "cube_build", "nspax_x",
                                "41",         NULL};
    programs_run(top, "$B/ifusim --make-references refs --grating G395M >/dev/null");
    for (size_t i = 0; i < sizeof turns / sizeof *turns; i++) {
        programs_run(top,
                     "$B/ifusim --references refs --grating G395M --dithers 4 "
                     "--detector NRS1 --subarray 600,0,300,2048 --roll %s "
                     "--truth false --noise false >/dev/null",
                     turns[i]);
        check("spec2", rate, NULL);
    }
    check("spec2", rate, grid);
    programs_run(top, "for f in *_rate.fits; do $B/ifurun spec2 --references refs "
                      "--output out --stop-after photom $f || exit 1; done");
    check("spec3", cal, NULL);
    check("spec3", cal, grid);
}
END_TEST

/* Larger inputs, larger grids and more threads never need less. */
START_TEST(test_job_estimate_grows)
{
    const char *const one[] = {"a_rate.fits", NULL};
    const char *const coarse[] = {"cube_build", "scalexy", "0.2", NULL};
    const char *const large[] = {"cube_build", "scalexy", "0.001", NULL};
    const char *const huge[] = {"cube_build", "scalexy", "0.001", "cube_build",
                                "max_memory", "1000",    NULL};
    const char *const far[] = {"cube_build", "ra_center", "150.2", NULL};
    const char *const no_cube[] = {"cube_build", "skip", "true", "extract_1d",
                                   "skip",       "true", NULL};
    struct exposure *e = support_exposure(64, 64, 1, 1, "NRS1", "F290LP", "G395H");
    support_write_rate(support_path(top, "a_rate.fits"), e);
    exposure_free(e);
    struct job job;
    make_job(&job, "spec2", one, NULL);
    const int64_t plain = estimate(&job).job;
    job.threads = 16;
    ck_assert_int_gt(estimate(&job).job, plain);
    job_done(&job);
    make_job(&job, "spec2", one, coarse);
    ck_assert_int_lt(estimate(&job).job, plain);
    job_done(&job);
    make_job(&job, "spec2", one, no_cube);
    ck_assert_int_lt(estimate(&job).job, plain / 4);
    job_done(&job);
    make_job(&job, "spec2", one, far);
    ck_assert_int_gt(estimate(&job).job, 10 * plain);
    job_done(&job);
    /* beyond max_memory a cube lies in a file, and one beyond 1e9 voxels is refused: so far
     * and no further */
    make_job(&job, "spec2", one, large);
    ck_assert_int_gt(estimate(&job).mapped, (int64_t)4000 * 1000 * 1000);
    ck_assert_int_gt(estimate(&job).job, (int64_t)4000 * 1000 * 1000);
    ck_assert_int_lt(estimate(&job).job, (int64_t)4300 * 1000 * 1000);
    job_done(&job);
    make_job(&job, "spec2", one, huge);
    ck_assert_int_gt(estimate(&job).job, 100 * plain);
    ck_assert_int_eq(estimate(&job).mapped, 0);
    ck_assert_int_lt(estimate(&job).job, (int64_t)21000 * 1000 * 1000);
    job_done(&job);
}
END_TEST

/* What is not known counts as the largest of its kind; a bad setting is named. */
START_TEST(test_job_estimate_unknown)
{
    const char *const one[] = {"a_rate.fits", NULL};
    const char *const bad[] = {"cube_build", "scalexi", "1", NULL};
    struct job_extent x = {.pixels = 64 * 64}, h = x, m = x;
    struct job job;
    struct job_memory unknown = {0}, high = {0}, medium = {0};
    struct err err = {0};
    strcpy(h.grating, "G395H");
    strcpy(h.filter, "F290LP");
    strcpy(m.grating, "G395M");
    strcpy(m.filter, "F290LP");
    make_job(&job, "spec2", one, NULL);
    support_ok(job_estimate(&job, &x, &unknown, &err), &err);
    support_ok(job_estimate(&job, &h, &high, &err), &err);
    support_ok(job_estimate(&job, &m, &medium, &err), &err);
    ck_assert_int_gt(high.job, 2 * medium.job);
    ck_assert_int_ge(unknown.job, high.job);
    job_done(&job);
    make_job(&job, "spec2", one, bad);
    ck_assert_int_eq(job_estimate(&job, &x, &high, &err), ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "scalexi"));
    job_done(&job);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("job_estimate");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_job_estimate_full_frame);
    tcase_add_test(t, test_job_estimate_windows);
    tcase_add_test(t, test_job_estimate_grows);
    tcase_add_test(t, test_job_estimate_unknown);
    suite_add_tcase(s, t);
    return support_run(s);
}
