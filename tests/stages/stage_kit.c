#include "tests/stages/stage_kit.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void stage_kit_init(struct stage_kit *kit)
{
    struct err err = {0};
    *kit = (struct stage_kit){.folder = support_folder()};
    support_ok(references_open(NULL, (size_t)1 << 26, &kit->refs, &err), &err);
}

static void forget_kept(struct stage_kit *kit)
{
    while (kit->n_kept) {
        exposure_free(kit->kept[--kit->n_kept].e);
    }
}

const struct exposure *stage_kit_kept(const struct stage_kit *kit, const char *suffix)
{
    for (size_t i = 0; i < kit->n_kept; i++) {
        if (!strcmp(kit->kept[i].suffix, suffix)) {
            return kit->kept[i].e;
        }
    }
    ck_abort_msg("no product '%s'", suffix);
    return NULL;
}

void stage_kit_done(struct stage_kit *kit)
{
    forget_kept(kit);
    references_close(kit->refs);
    support_remove(kit->folder);
}

static const char * override(void *user, const char *stage, const char *type,
                             const struct exposure_meta *meta)
{
    (void)stage;
    (void)meta;
    const struct stage_kit *kit = user;
    char name[64];
    snprintf(name, sizeof name, "%s.fits", type);
    return support_path(kit->folder, name);
}

static void used(void *user, const struct exposure_meta *meta,
                 const struct reference_choice *choice)
{
    (void)meta;
    struct stage_kit *kit = user;
    size_t n = strlen(kit->used);
    snprintf(kit->used + n, sizeof kit->used - n, "%s ", choice->type);
}

static int keep(void *user, const char *suffix, struct exposure *e, struct err *err)
{
    struct stage_kit *kit = user;
    (void)err;
    ck_assert(kit->n_kept < sizeof kit->kept / sizeof *kit->kept);
    snprintf(kit->kept[kit->n_kept].suffix, sizeof kit->kept->suffix, "%s", suffix);
    kit->kept[kit->n_kept++].e = e;
    return 0;
}

static void skipped(void *user)
{
    struct stage_kit *kit = user;
    kit->skipped = true;
}

static void note(void *user, int is_warning, const char *line)
{
    struct stage_kit *kit = user;
    size_t n = strlen(kit->said);
    snprintf(kit->said + n, sizeof kit->said - n, "%s\n", line);
    kit->n_warnings += is_warning;
}

int stage_kit_run(struct stage_kit *kit, const struct stage *stage, const char *text,
                  int threads, struct exposure *e, struct err *err)
{
    struct params *params;
    struct par *par;
    char copy[1024], *rest = copy, *item;
    snprintf(copy, sizeof copy, "%s", text);
    support_ok(params_new(stage->params, stage->n_params, &params, err), err);
    while ((item = strsep(&rest, ";")) && *item) {
        char *value = strchr(item, '=');
        *value++ = '\0';
        support_ok(params_set(params, item, value, err), err);
    }
    support_ok(par_new(threads, &par, err), err);
    struct stage_env env = {.par = par,
                            .refs = kit->refs,
                            .recipe = "spec2",
                            .override = override,
                            .used_reference = used,
                            .keep = keep,
                            .skipped = skipped,
                            .note = note,
                            .user = kit,
                            .stage_name = stage->name};
    struct dataset data = {.exposures = &e,
                           .n_exposures = 1,
                           .imprints = kit->imprints,
                           .backgrounds = kit->backgrounds};
    forget_kept(kit);
    kit->used[0] = kit->said[0] = '\0';
    kit->skipped = false;
    kit->n_warnings = 0;
    int code = stage->run(&env, params, &data, err);
    const struct corrector *c = &data.background_corrector;
    if (!code && kit->background && c->correct) {
        support_ok(c->correct(c->user, kit->background, true, err), err);
    }
    dataset_correctors_done(&data);
    par_free(par);
    params_free(params);
    return code;
}

void stage_kit_write(const char *path,
                     void (*fill)(struct fits_out *f, const void *arg), const void *arg)
{
    struct err err = {0};
    struct fits_out *f;
    unlink(path);
    support_ok(fits_out_create(path, &f, &err), &err);
    support_ok(fits_out_primary(f, NULL, &err), &err);
    fill(f, arg);
    support_ok(fits_out_close(f, &err), &err);
}

double stage_kit_um(int x, int y)
{
    return 3 + 0.01 * x + 0.001 * y;
}

int stage_kit_slice(int x, int y)
{
    int row = y - (x >= 32);
    return row >= 3 && row < 10 ? 7 : row >= 13 && row < 20 ? 12 : 0;
}

struct exposure *stage_kit_exposure(void)
{
    struct exposure *e =
        support_exposure(KIT_NX, KIT_NY, KIT_X0, KIT_Y0, "NRS1", "F290LP", "G395H");
    size_t n = exposure_pixels(e);
    e->regions = malloc(n);
    e->wavelength = malloc(n * sizeof *e->wavelength);
    ck_assert(e->regions && e->wavelength);
    for (int y = 0; y < KIT_NY; y++) {
        for (int x = 0; x < KIT_NX; x++) {
            int at = y * KIT_NX + x, slice = stage_kit_slice(x, y);
            e->regions[at] = (uint8_t)slice;
            e->wavelength[at] = slice ? stage_kit_um(x, y) : (double)NAN;
        }
    }
    return e;
}
