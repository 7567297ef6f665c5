#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/sim/instrument.h"
#include "cli/sim/scene.h"
#include "common/data/cube_io.h"
#include "common/data/exposure_io.h"
#include "common/data/spectrum_io.h"
#include "tests/e2e/programs.h"
#include "tests/support.h"

/*
 * Is what comes out what was put in? ifusim looks at a star with lines through four
 * dithers, ifurun reduces them, and the spectrum is compared with the scene, which is
 * analytic: the flux within the aperture's radius at every wavelength, and the lines'
 * wavelengths. The annulus holds less than 1e-4 of the star, so nothing is taken off for
 * it. Windows of the frame are enough; with IFUD_TRUTH=full (scripts/check-truth) whole
 * frames of three dispersers are measured. The figures are printed.
 */

#define SOURCE_MJY 0.35
#define EAST_ARCSEC 0.08 /* of the star from the field's centre, as ifusim's default */
#define NORTH_ARCSEC (-0.05)
#define RA_DEG 150.1163
#define DEC_DEG 2.2058
#define RADIUS_ARCSEC 0.45 /* the idealised extract1d reference */

/* Targets. */
#define FLUX_TRUTH 0.03
#define FLUX_SPAXELS 0.02
#define LINE_PIXELS 0.1
#define OFF_ARCSEC 0.01 /* a tenth of a slice */

static const double spaxels[] = {0.05, 0.075, 0.1};
#define ALL_SPAXELS spaxels, sizeof spaxels / sizeof *spaxels

/* A run: what is simulated and which part of the spectrum every slice holds. */
struct run {
    const char *name, *grating, *filter, *detector, *options;
    double from_um, to_um; /* wavemin and wavemax of the cube; 0: cubepar's */
    const double *spaxels; /* arcsec */
    size_t n_spaxels;
};

static char *top;
static struct exposure *cals[2]; /* of the first dither: their pixels' wavelengths */
static size_t n_cals;

static void prepare(void)
{
    top = support_folder();
}

static void cleanup(void)
{
    support_remove(top);
}

/* ---- measuring one spectrum -------------------------------------------------------- */

struct measured {
    double flux;         /* sum over all wavelengths, of the truth's */
    double low, high;    /* 1 and 99 % of the ratio, wavelengths without lines */
    size_t n;            /* wavelengths that see the whole aperture */
    double worst_pixels; /* of a line's place */
    double off_arcsec;   /* of the aperture from the star */
    int n_lines;
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The whole aperture has been seen at this wavelength. */
static int is_whole(const struct spectrum *s, size_t i)
{
    double most = 0;
    for (size_t k = 0; k < s->n; k++) {
        most = fmax(most, s->npixels[k]);
    }
    return isfinite(s->flux[i]) && s->npixels[i] > 0.999 * most;
}

static int is_continuum(double um, double sigma)
{
    size_t n;
    const struct scene_line *lines = scene_lines(&n);
    for (size_t i = 0; i < n; i++) {
        if (fabs(um - lines[i].um) < 6 * sigma) {
            return 0;
        }
    }
    return 1;
}

static struct scene star(const struct sim_mode *mode)
{
    return (struct scene){.source_mjy = SOURCE_MJY,
                          .line_sigma_um = 1.6 * mode->step_um};
}

static void measure_flux(const struct spectrum *s, const struct scene *scene,
                         double step, struct measured *m)
{
    double *ratio = malloc(s->n * sizeof *ratio), sum = 0, truth = 0;
    size_t n = 0;
    ck_assert(ratio != NULL);
    for (size_t i = 0; i < s->n; i++) {
        double um = s->wavelength[i];
        if (is_whole(s, i)) {
            double t = 1e-3 * scene_source_mjy(scene, um, step) *
                       scene_psf_enclosed(RADIUS_ARCSEC, um);
            if (is_continuum(um, scene->line_sigma_um)) {
                ratio[n++] = s->flux[i] / t;
            }
            m->n++;
            sum += s->flux[i];
            truth += t;
        }
    }
    ck_assert_msg(m->n >= 20, "only %zu wavelengths have a whole aperture", m->n);
    ck_assert(n > 0);
    qsort(ratio, n, sizeof *ratio, by_value);
    m->flux = sum / truth;
    m->low = ratio[n / 100];
    m->high = ratio[n - 1 - n / 100];
    free(ratio);
}

/*
 * Place of a line: the centroid weighted with its own profile, repeated until it stands.
 * The continuum is the straight line through the means on both sides. NAN where another
 * line or the end of the spectrum is near.
 */
static double line_place(const struct spectrum *s, double um, double sigma)
{
    double side[2] = {0}, place[2] = {0};
    int n[2] = {0}, inside = 0;
    for (size_t i = 0; i < s->n; i++) {
        double d = (s->wavelength[i] - um) / sigma;
        if (fabs(d) < 9 && !is_whole(s, i)) {
            return NAN;
        }
        inside += fabs(d) < 6;
        if (fabs(d) >= 6 && fabs(d) < 9) {
            side[d > 0] += s->flux[i];
            place[d > 0] += s->wavelength[i];
            n[d > 0]++;
        }
    }
    if (n[0] < 3 || n[1] < 3 || inside < 9) {
        return NAN;
    }
    for (int k = 0; k < 2; k++) {
        side[k] /= n[k];
        place[k] /= n[k];
    }
    double slope = (side[1] - side[0]) / (place[1] - place[0]), c = um;
    for (int turn = 0; turn < 50; turn++) {
        double moment = 0, total = 0;
        for (size_t i = 0; i < s->n; i++) {
            double d = (s->wavelength[i] - c) / sigma;
            if (fabs(d) < 5) {
                double f = s->flux[i] - side[0] - slope * (s->wavelength[i] - place[0]);
                moment += exp(-0.5 * d * d) * f * s->wavelength[i];
                total += exp(-0.5 * d * d) * f;
            }
        }
        c = moment / total;
    }
    return c;
}

/* Width of a detector pixel at a wavelength, um: the mean of all that hold it. */
static double pixel_um(const struct exposure *cal, double um)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = 1; i < exposure_pixels(cal); i++) {
        double a = (double)cal->wavelength[i - 1], b = (double)cal->wavelength[i];
        if (i % (size_t)cal->nx > 0 && cal->regions[i] > 0 &&
            cal->regions[i] == cal->regions[i - 1] && (a - um) * (b - um) <= 0) {
            sum += fabs(b - a);
            n++;
        }
    }
    return sum / (double)n; /* NAN if none */
}

static void measure_lines(const struct spectrum *s, const struct sim_mode *mode,
                          struct measured *m)
{
    size_t n;
    const struct scene_line *lines = scene_lines(&n);
    double sigma = 1.6 * mode->step_um;
    for (size_t i = 0; i < n; i++) {
        int crowded = (i > 0 && lines[i].um - lines[i - 1].um < 15 * sigma) ||
                      (i + 1 < n && lines[i + 1].um - lines[i].um < 15 * sigma);
        double c = line_place(s, lines[i].um, sigma);
        for (size_t k = 0; k < n_cals && !crowded && isfinite(c); k++) {
            double pixel = pixel_um(cals[k], lines[i].um);
            if (!isfinite(pixel)) {
                continue;
            }
            double off = (c - lines[i].um) / pixel;
            printf("  %-12s %.5f um: %+.4f pixel of %.3f nm\n", lines[i].name,
                   lines[i].um, off, 1e3 * pixel);
            m->worst_pixels = fmax(m->worst_pixels, fabs(off));
            m->n_lines++;
        }
    }
}

/* How far the aperture's centre is from the star. */
static double off_star(const char *s3d, const struct spectrum *s)
{
    struct cube *cube = NULL;
    struct err err = {0};
    support_ok(cube_read(s3d, &cube, &err), &err);
    double ra, dec;
    cube_spaxel_to_sky(cube, s->extraction_x, s->extraction_y, &ra, &dec);
    cube_free(cube);
    double east = (ra - RA_DEG) * cos(DEC_DEG * M_PI / 180) * 3600 - EAST_ARCSEC,
           north = (dec - DEC_DEG) * 3600 - NORTH_ARCSEC;
    return hypot(east, north);
}

/* ---- one run ----------------------------------------------------------------------- */

static struct measured reduce(const struct run *r, const struct sim_mode *mode,
                              double spaxel)
{
    char range[128] = "";
    if (r->to_um > 0) {
        snprintf(range, sizeof range,
                 "--set cube_build.wavemin=%g --set cube_build.wavemax=%g", r->from_um,
                 r->to_um);
    }
    programs_run(top,
                 "rm -rf cube && $B/ifurun spec3 --references refs --output cube "
                 "--set cube_build.scalexy=%g --set extract_1d.ifu_autocen=true %s "
                 "cal/*_cal.fits && mv cube/*_s3d.fits s3d.fits && mv "
                 "cube/*_x1d.fits x1d.fits",
                 spaxel, range);
    struct spectrum *s = NULL;
    struct err err = {0};
    support_ok(spectrum_read(support_path(top, "x1d.fits"), &s, &err), &err);
    struct measured m = {0};
    struct scene scene = star(mode);
    measure_flux(s, &scene, mode->step_um, &m);
    measure_lines(s, mode, &m);
    m.off_arcsec = off_star(support_path(top, "s3d.fits"), s);
    spectrum_free(s);
    printf(
        "%s, spaxel %.3f arcsec: flux %.4f of the truth in %zu planes (continuum, "
        "1 and 99 %% of them: %.4f %.4f), worst of %d lines %.4f pixel, aperture off "
        "by %.4f arcsec\n",
        r->name, spaxel, m.flux, m.n, m.low, m.high, m.n_lines, m.worst_pixels,
        m.off_arcsec);
    fflush(stdout);
    return m;
}

static void open_cals(const struct run *r)
{
    static const char *const names[] = {"nrs1", "nrs2"};
    n_cals = 0;
    for (int d = 0; d < 2; d++) {
        char name[64];
        struct err err = {0};
        if (!strcmp(r->detector, d ? "NRS1" : "NRS2")) {
            continue;
        }
        snprintf(name, sizeof name, "cal/jw01234001001_02101_00001_%s_cal.fits",
                 names[d]);
        support_ok(exposure_read(support_path(top, name), &cals[n_cals], &err), &err);
        n_cals++;
    }
}

static void check_run(const struct run *r)
{
    const struct sim_mode *mode;
    struct err err = {0};
    support_ok(sim_mode_find(r->grating, r->filter, &mode, &err), &err);
    printf("\n");
    programs_run(
        top,
        "{ test -e refs/ideal_fflat_%s_%s.fits || $B/ifusim --make-references "
        "refs --grating %s --filter %s; } && $B/ifusim --references refs "
        "--output rate --grating %s --filter %s --detector %s --disc 0 --truth "
        "false %s",
        r->grating, r->filter, r->grating, r->filter, r->grating, r->filter,
        r->detector, r->options);
    programs_run(top, "$B/ifurun spec2 --references refs --output cal --stop-after "
                      "photom rate/*_rate.fits");
    open_cals(r);
    double low = INFINITY, high = 0;
    for (size_t i = 0; i < r->n_spaxels; i++) {
        struct measured m = reduce(r, mode, r->spaxels[i]);
        ck_assert_msg(fabs(m.flux - 1) <= FLUX_TRUTH, "%s, %g arcsec: flux %g", r->name,
                      r->spaxels[i], m.flux);
        ck_assert_msg(m.n_lines > 0 && m.worst_pixels <= LINE_PIXELS,
                      "%s, %g arcsec: %d lines, off by %g pixel", r->name,
                      r->spaxels[i], m.n_lines, m.worst_pixels);
        ck_assert_msg(m.off_arcsec < OFF_ARCSEC, "%s, %g arcsec: aperture off by %g",
                      r->name, r->spaxels[i], m.off_arcsec);
        low = fmin(low, m.flux);
        high = fmax(high, m.flux);
    }
    printf("%s: flux between spaxels: %.4f\n", r->name, high / low - 1);
    ck_assert_msg(high / low - 1 <= FLUX_SPAXELS, "%s: flux %g to %g", r->name, low,
                  high);
    for (size_t i = 0; i < n_cals; i++) {
        exposure_free(cals[i]);
    }
    programs_run(top, "rm -rf rate cal cube *.fits");
}

/* Every slice sees Pf-delta and 20 pixels on its either side in this window. */
#define WINDOW "--subarray 770,0,200,2048 "
#define WINDOW_UM 3.284, 3.310

START_TEST(test_truth_of_a_star_without_noise)
{
    check_run(&(struct run){"G395H window", "G395H", "F290LP", "NRS1",
                            WINDOW "--noise false", WINDOW_UM, ALL_SPAXELS});
}
END_TEST

START_TEST(test_truth_of_a_star_with_noise)
{
    check_run(&(struct run){"G395H window, noise", "G395H", "F290LP", "NRS1", WINDOW,
                            WINDOW_UM, (const double[]){0.1}, 1});
}
END_TEST

static const struct run full[] = {
    {"G395H/F290LP", "G395H", "F290LP", "both", "--noise false", 0, 0, ALL_SPAXELS},
    {"G395H/F290LP, noise", "G395H", "F290LP", "both", "", 0, 0, ALL_SPAXELS},
    {"G235H/F170LP", "G235H", "F170LP", "both", "--noise false", 0, 0, ALL_SPAXELS},
    {"PRISM/CLEAR", "PRISM", "CLEAR", "NRS1", "--noise false", 0, 0, ALL_SPAXELS},
};

/* Pixels of one column after another share 1/f noise: 8000 of them are as good as some
 * hundreds of independent ones, whose correlation scatters by 0.05. */
START_TEST(test_truth_noise_is_drawn_anew_for_an_imprint)
{
    struct exposure *e[2];
    double xy = 0, xx = 0, yy = 0;
    programs_run(top, "$B/ifusim --make-references dark");
    for (int k = 0; k < 2; k++) {
        char name[80];
        struct err err = {0};
        programs_run(
            top,
            "$B/ifusim --references dark --output . --detector NRS1 --dither 1 "
            "--subarray 900,0,40,200 --truth false --source 0 --disc 0 --zodi 0 "
            "--flicker 0.01 --imprint %s",
            k ? "true" : "false");
        snprintf(name, sizeof name, "jw01234001001_%s_00001_nrs1_rate.fits",
                 k ? "03101" : "02101");
        support_ok(exposure_read(support_path(top, name), &e[k], &err), &err);
    }
    for (size_t i = 0; i < exposure_pixels(e[0]); i++) {
        const double x = (double)e[0]->sci[i], y = (double)e[1]->sci[i];
        if (isfinite(x) && isfinite(y)) {
            xy += x * y;
            xx += x * x;
            yy += y * y;
        }
    }
    ck_assert_double_gt(xx, 0);
    ck_assert_double_lt(fabs(xy) / sqrt(xx * yy), 0.3);
    exposure_free(e[0]);
    exposure_free(e[1]);
}
END_TEST

START_TEST(test_truth_of_whole_frames)
{
    check_run(&full[_i]);
}
END_TEST

int main(void)
{
    const char *asked = getenv("IFUD_TRUTH");
    Suite *s = suite_create("truth");
    TCase *t = tcase_create("truth");
    tcase_add_unchecked_fixture(t, prepare, cleanup);
    if (asked && !strcmp(asked, "full")) {
        tcase_set_timeout(t, 900);
        tcase_add_loop_test(t, test_truth_of_whole_frames, 0,
                            (int)(sizeof full / sizeof *full));
    } else {
        tcase_add_test(t, test_truth_noise_is_drawn_anew_for_an_imprint);
        tcase_add_test(t, test_truth_of_a_star_without_noise);
        tcase_add_test(t, test_truth_of_a_star_with_noise);
    }
    suite_add_tcase(s, t);
    return support_run(s);
}
