#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/sim/instrument.h"
#include "cli/sim/scene.h"
#include "common/data/dq.h"
#include "common/data/spectrum_io.h"
#include "tests/e2e/programs.h"
#include "tests/support.h"

/*
 * Is the flux of a star that of the scene, whatever the aperture, the dithers, the spaxels and
 * the weighting? Without noise, corrected for what the aperture misses by the PSF that is
 * fitted in each cube (apcorr_source=psf): apertures of 1.5 FWHM of the scene's PSF
 * (0.17 arcsec at 3.3 um), 0.3 and 0.45 arcsec, and the fit of the profile. A window of
 * NRS1 as in test_errors.c; with IFUD_TRUTH=full (scripts/check-truth) all combinations.
 */

#define SOURCE_MJY 0.35
#define SOURCE "150.116322 2.205786"

/* Targets: a cube of four dithers; of one or two, which are undersampled; and of these with
 * msm, which weighs the nearest pixel most. */
#define FLUX_DITHERS 0.01
#define FLUX_FEW 0.02
#define FLUX_FEW_MSM 0.10

static char *top;

static void prepare(void)
{
    static const char catalog[] = SOURCE " 0.173\n" SOURCE " 0.3\n" SOURCE " 0.45\n";
    top = support_folder();
    support_write_file(support_path(top, "radii.txt"), catalog, sizeof catalog - 1);
    programs_run(top, "$B/ifusim --make-references refs --grating G395H && $B/ifusim "
                      "--references refs --output rate --detector NRS1 --disc 0 "
                      "--truth false --noise false --subarray 770,0,200,2048 && "
                      "$B/ifurun spec2 --references refs --output cal --stop-after "
                      "photom rate/*_rate.fits");
}

static void cleanup(void)
{
    support_remove(top);
}

/* Sum over all wavelengths, of the scene's. */
static double of_truth(const struct spectrum *s)
{
    const struct sim_mode *mode;
    struct err err = {0};
    support_ok(sim_mode_find("G395H", "F290LP", &mode, &err), &err);
    const struct scene scene = {.source_mjy = SOURCE_MJY,
                                .line_sigma_um = 1.6 * mode->step_um};
    double sum = 0, truth = 0;
    for (size_t k = 0; k < s->n; k++) {
        if (!(s->dq[k] & DQ_DO_NOT_USE)) {
            sum += s->flux[k];
            truth += 1e-3 * scene_source_mjy(&scene, s->wavelength[k], mode->step_um);
        }
    }
    ck_assert(truth > 0);
    return sum / truth;
}

static struct spectrum *extract(const char *files, double spaxel, const char *weighting,
                                const char *type)
{
    struct spectrum *s = NULL;
    struct err err = {0};
    programs_run(top,
                 "rm -rf cube && $B/ifurun spec3 --references refs --output cube "
                 "--set outlier_detection.skip=true --set cube_build.scalexy=%g "
                 "--set cube_build.weighting=%s --set cube_build.wavemin=3.284 --set "
                 "cube_build.wavemax=3.310 --set extract_1d.source_catalog=radii.txt "
                 "--set extract_1d.apcorr_source=psf --set "
                 "extract_1d.extraction_type=%s cal/%s_cal.fits && mv "
                 "cube/*_x1d.fits x1d.fits",
                 spaxel, weighting, type, files);
    support_ok(spectrum_read(support_path(top, "x1d.fits"), &s, &err), &err);
    return s;
}

static void check(const char *files, double spaxel, const char *weighting)
{
    const double tolerance = !strcmp(files, "*")        ? FLUX_DITHERS
                             : strcmp(weighting, "msm") ? FLUX_FEW
                                                        : FLUX_FEW_MSM;
    double flux[4];
    struct spectrum *box = extract(files, spaxel, weighting, "box"), *s = box;
    for (int k = 0; k < 3; k++, s = s->next) {
        ck_assert_ptr_nonnull(s);
        flux[k] = of_truth(s);
    }
    s = extract(files, spaxel, weighting, "optimal");
    flux[3] = of_truth(s->next->next);
    spectrum_free(box);
    spectrum_free(s);
    printf("%-11s %.3f arcsec %-8s flux of the truth: 0.17 arcsec %.4f, 0.3 %.4f, 0.45 "
           "%.4f, optimal %.4f\n",
           files, spaxel, weighting, flux[0], flux[1], flux[2], flux[3]);
    fflush(stdout);
    for (int k = 0; k < 4; k++) {
        ck_assert_msg(fabs(flux[k] - 1) <= tolerance, "%s, %g arcsec, %s: %d: flux %g",
                      files, spaxel, weighting, k, flux[k]);
    }
}

START_TEST(test_apertures_of_a_star)
{
    const char *mode = getenv("IFUD_TRUTH");
    static const char *const files[] = {"*", "*_0000[12]_*", "*_00001_*"};
    static const char *const weightings[] = {"drizzle", "emsm", "msm"};
    static const double spaxels[] = {0.1, 0.075, 0.05};
    const int most = mode && !strcmp(mode, "full") ? 3 : 1;
    for (int f = 0; f < most; f++) {
        for (int w = 0; w < most; w++) {
            for (int k = 0; k < most; k++) {
                check(files[f], spaxels[k], weightings[w]);
            }
        }
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("apertures");
    TCase *t = tcase_create("apertures");
    tcase_set_timeout(t, 3600);
    tcase_add_checked_fixture(t, prepare, cleanup);
    tcase_add_test(t, test_apertures_of_a_star);
    suite_add_tcase(s, t);
    return support_run(s);
}
