#include "tests/stages/extract_kit.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/support.h"

const double kit_sky = 3.0;
const double kit_sigma = 1.1;
const double kit_total = 800.;
const double kit_radius = 4.5;

char kit_note[4096];
const char *kit_apcorr;

static const char reference[] = "#ASDF 1.0.0\n"
                                "#ASDF_STANDARD 1.5.0\n"
                                "%YAML 1.1\n"
                                "%TAG ! tag:stsci.edu:asdf/\n"
                                "--- !core/asdf-1.1.0\n"
                                "data:\n"
                                "  wavelength: [0.5, 6.0]\n"
                                "  radius: [0.45, 0.45]\n"
                                "  inner_bkg: [0.9, 0.9]\n"
                                "  outer_bkg: [1.3, 1.3]\n"
                                "meta:\n"
                                "  reftype: extract1d\n"
                                "  instrument: {name: NIRSPEC}\n"
                                "  exposure: {type: NRS_IFU}\n"
                                "  useafter: '2022-01-01T00:00:00'\n"
                                "  method: subpixel\n"
                                "  subpixels: 10\n"
                                "  subtract_background: true\n"
                                "...\n";

static char reference_path[1024];

static char apcorr_path[1024];

static const char *override_type(void *user, const char *stage, const char *type,
                                 const struct exposure_meta *meta)
{
    (void)user;
    (void)meta;
    ck_assert_str_eq(stage, "extract_1d");
    if (!strcmp(type, "apcorr")) {
        return kit_apcorr ? apcorr_path : "";
    }
    ck_assert_str_eq(type, "extract1d");
    return reference_path;
}

static void note(void *user, int is_warning, const char *line)
{
    (void)user;
    (void)is_warning;
    size_t n = strlen(kit_note);
    snprintf(kit_note + n, sizeof kit_note - n, "%s\n", line);
}

struct cube *kit_star(double x, double y)
{
    struct err err;
    struct cube *c = cube_new(KIT_NX, KIT_NY, KIT_NW, &err);
    ck_assert_ptr_nonnull(c);
    c->crval1 = 150.0;
    c->crval2 = 2.0;
    c->crpix1 = 21.0;
    c->crpix2 = 23.0;
    c->cdelt1 = c->cdelt2 = 0.1 / 3600.0;
    c->crval3 = 3.0;
    c->cdelt3 = 0.01;
    strcpy(c->meta.source_type, "POINT");
    strcpy(c->meta.exp_type, "NRS_IFU");
    strcpy(c->meta.instrument, "NIRSPEC");
    strcpy(c->meta.detector, "NRS1");
    strcpy(c->meta.date_obs, "2024-03-12");
    strcpy(c->meta.time_obs, "04:05:06.0");
    cube_spaxel_to_sky(c, round(x), round(y), &c->meta.target_ra, &c->meta.target_dec);
    for (int k = 0; k < KIT_NW; k++) {
        c->wavelength[k] = 3.0 + 0.01 * k;
        for (int j = 0; j < KIT_NY; j++) {
            for (int i = 0; i < KIT_NX; i++) {
                size_t p = (size_t)(k * KIT_PLANE + j * KIT_NX + i);
                double r2 = (i - x) * (i - x) + (j - y) * (j - y);
                c->sci[p] =
                    (float)(kit_sky + kit_total / (2.0 * M_PI * kit_sigma * kit_sigma) *
                                          exp(-r2 / (2.0 * kit_sigma * kit_sigma)));
                c->err[p] = 0.1f;
                c->wmap[p] = 1.0f;
            }
        }
    }
    return c;
}

int kit_extract(struct cube *c, int threads, const char *const *settings,
                struct spectrum **ret, struct err *err)
{
    char *folder = support_folder();
    snprintf(reference_path, sizeof reference_path, "%s",
             support_path(folder, "extract1d.asdf"));
    support_write_file(reference_path, reference, strlen(reference));
    if (kit_apcorr) {
        snprintf(apcorr_path, sizeof apcorr_path, "%s",
                 support_path(folder, "apcorr.asdf"));
        support_write_file(apcorr_path, kit_apcorr, strlen(kit_apcorr));
    }
    kit_note[0] = 0;
    struct references *refs = NULL;
    struct params *params = NULL;
    struct par *par = NULL;
    support_ok(references_open(NULL, 1 << 20, &refs, err), err);
    support_ok(
        params_new(stage_extract_1d.params, stage_extract_1d.n_params, &params, err),
        err);
    for (; settings && *settings; settings += 2) {
        support_ok(params_set(params, settings[0], settings[1], err), err);
    }
    support_ok(par_new(threads, &par, err), err);
    struct stage_env env = {.par = par,
                            .refs = refs,
                            .recipe = "spec2",
                            .override = override_type,
                            .note = note,
                            .stage_name = "extract_1d"};
    struct dataset data = {.cube = c};
    int code = stage_extract_1d.run(&env, params, &data, err);
    *ret = data.spectrum;
    par_free(par);
    params_free(params);
    references_close(refs);
    cube_free(c);
    support_remove(folder);
    return code;
}

double kit_to_jy(void)
{
    return 0.01 * 2.3504e-11 * 1e6;
}
