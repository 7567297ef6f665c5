#include "stages/recipe.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

static const struct recipe_step spec2_steps[] = {
    {"assign_wcs", NULL, "S_WCS", "Assign World Coordinate System", &stage_assign_wcs,
     STEP_ON_MEMBERS},
    {"badpix_selfcal", NULL, "S_BPXSLF", "Bad Pixel Self-Calibration",
     &stage_badpix_selfcal, STEP_OFF | STEP_ON_BACKGROUNDS},
    {"msa_flagging", NULL, "S_MSAFLG", "NIRSpec MSA Stuck Shutter Flagging",
     &stage_msa_flagging, STEP_ON_MEMBERS},
    {"clean_flicker_noise", "nsclean", "S_CLNFNS", "Clean Flicker Noise",
     &stage_clean_flicker_noise, STEP_OFF | STEP_ON_MEMBERS},
    {"imprint_subtract", NULL, "S_IMPRNT", "NIRSpec MSA Imprint Subtraction",
     &stage_imprint_subtract, STEP_ON_MEMBERS},
    {"bkg_subtract", NULL, "S_BKDSUB", "Background subtraction", &stage_bkg_subtract,
     0},
    {"srctype", NULL, "S_SRCTYP", "Source Type Determination", &stage_srctype, 0},
    {"flat_field", NULL, "S_FLAT", "Flat Field Correction", &stage_flat_field,
     STEP_MATCH_NANS},
    {"pathloss", NULL, "S_PTHLOS", "Pathloss Correction", &stage_pathloss,
     STEP_MATCH_NANS},
    {"photom", NULL, "S_PHOTOM", "Photometric Calibration", &stage_photom,
     STEP_MATCH_NANS},
    {"adaptive_trace_model", NULL, "S_TRCMOD", "Adaptive Trace Model",
     &stage_adaptive_trace_model, STEP_OFF},
    {"pixel_replace", NULL, "S_PXREPL", "Pixel Replacement", &stage_pixel_replace,
     STEP_OFF},
    {"cube_build", NULL, "S_IFUCUB", "IFU Cube Creation", &stage_cube_build, 0},
    {"extract_1d", NULL, "S_EXTR1D", "1-D Spectral Extraction", &stage_extract_1d, 0},
};

/* assign_wcs is not a step of the peer's spec3: it stands here for the WCS that is
 * rebuilt from the headers of each exposure. */
static const struct recipe_step spec3_steps[] = {
    {"assign_wcs", NULL, "S_WCS", "Assign World Coordinate System", &stage_assign_wcs,
     STEP_ON_OPEN},
    {"assign_mtwcs", NULL, "S_MTWCS", "Assign Moving Target World Coordinate System",
     NULL, 0},
    {"master_background", NULL, "S_MSBSUB", "Master Background Subtraction",
     &stage_master_background, 0},
    {"outlier_detection", NULL, "S_OUTLIR", "Outlier Detection",
     &stage_outlier_detection, 0},
    {"adaptive_trace_model", NULL, "S_TRCMOD", "Adaptive Trace Model",
     &stage_adaptive_trace_model, STEP_OFF},
    {"pixel_replace", NULL, "S_PXREPL", "Pixel Replacement", &stage_pixel_replace,
     STEP_OFF},
    {"cube_build", NULL, "S_IFUCUB", "IFU Cube Creation", &stage_cube_build, 0},
    {"extract_1d", NULL, "S_EXTR1D", "1-D Spectral Extraction", &stage_extract_1d, 0},
};

static const struct recipe_step combine_steps[] = {
    {"combine_1d", NULL, "S_COMB1D", "1-D Spectral Combination", &stage_combine_1d, 0},
};

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

const struct recipe recipes[] = {
    {"spec2", "one exposure of one detector: rate to calibrated image, cube, spectrum",
     spec2_steps, COUNT(spec2_steps)},
    {"spec3", "all exposures of a target and disperser: one cube and one spectrum",
     spec3_steps, COUNT(spec3_steps)},
    {RECIPE_COMBINE, "spectra (_x1d) of a target, of any dispersers: one spectrum",
     combine_steps, COUNT(combine_steps)},
    {NULL, NULL, NULL, 0},
};

struct override {
    struct override *next;
    int step;
    char *type, *path;
};

struct recipe_settings {
    const struct recipe *recipe;
    struct params **params; /* n_steps; NULL where not built */
    bool *skip;             /* n_steps */
    struct override *overrides;
};

const struct recipe *recipe_find(const char *name)
{
    for (const struct recipe *r = recipes; r->name; r++) {
        if (!strcmp(r->name, name)) {
            return r;
        }
    }
    return NULL;
}

int recipe_step_find(const struct recipe *recipe, const char *name, int *ret_index,
                     struct err *err)
{
    struct param names[32] = {0}; /* for the search of the nearest name */
    for (int i = 0; i < recipe->n_steps && i < COUNT(names); i++) {
        const struct recipe_step *s = &recipe->steps[i];
        if (!strcmp(s->name, name) || (s->alias && !strcmp(s->alias, name))) {
            *ret_index = i;
            return 0;
        }
        names[i].name = s->name;
    }
    const char *near = params_nearest(names, (size_t)recipe->n_steps, name);
    return err_set(err, ERR_PARAM, "%s has no stage '%s'%s%s%s", recipe->name, name,
                   near ? "; did you mean '" : "; 'ifurun stages' lists them",
                   near ? near : "", near ? "'?" : "");
}

int recipe_settings_new(const struct recipe *recipe, struct recipe_settings **ret,
                        struct err *err)
{
    struct recipe_settings *s = mem_calloc(1, sizeof *s, err);
    if (!s) {
        return ERR_NOMEM;
    }
    size_t n = (size_t)recipe->n_steps;
    s->recipe = recipe;
    s->params = mem_calloc(n, sizeof(struct params *), err);
    s->skip = mem_calloc(n, sizeof *s->skip, err);
    int code = s->params && s->skip ? 0 : ERR_NOMEM;
    for (size_t i = 0; i < n && !code; i++) {
        const struct stage *stage = recipe->steps[i].stage;
        s->skip[i] = !stage || recipe->steps[i].flags & STEP_OFF;
        if (stage) {
            code = params_new(stage->params, stage->n_params, &s->params[i], err);
        }
    }
    if (code) {
        recipe_settings_free(s);
        return code;
    }
    *ret = s;
    return 0;
}

void recipe_settings_free(struct recipe_settings *s)
{
    if (!s) {
        return;
    }
    for (int i = 0; s->params && i < s->recipe->n_steps; i++) {
        params_free(s->params[i]);
    }
    while (s->overrides) {
        struct override *o = s->overrides;
        s->overrides = o->next;
        free(o->type);
        free(o->path);
        free(o);
    }
    free(s->params);
    free(s->skip);
    free(s);
}

static int set_skip(struct recipe_settings *s, int step, const char *value,
                    struct err *err)
{
    static const struct param table[] = {{"skip", PARAM_BOOL, "false", 0, 0, NULL, "",
                                          "true leaves the stage out", false}};
    struct params *p = NULL;
    int code = params_new(table, 1, &p, err);
    if (!code) {
        code = params_set(p, "skip", value, err);
    }
    if (!code) {
        bool skip = params_bool(p, "skip");
        if (skip && s->recipe->steps[step].flags & STEP_ON_OPEN) {
            code =
                err_set(err, ERR_PARAM, "skip = true: %s cannot do without this stage",
                        s->recipe->name);
        } else if (!skip && !s->recipe->steps[step].stage) {
            code =
                err_set(err, ERR_PARAM,
                        "skip = false: this stage is not built yet; only skip = true "
                        "is accepted");
        } else {
            s->skip[step] = skip;
        }
    }
    params_free(p);
    return code;
}

static int set_override(struct recipe_settings *s, int step, const char *type,
                        const char *path, struct err *err)
{
    const struct stage *stage = s->recipe->steps[step].stage;
    const char *const *t = stage ? stage->reference_types : NULL;
    while (t && *t && strcmp(*t, type)) {
        t++;
    }
    if (!t || !*t) {
        char known[512] = "none";
        size_t at = 0;
        for (t = stage ? stage->reference_types : NULL; t && *t; t++) {
            size_t n = strlen(*t);
            if (at + n + 3 < sizeof known) {
                at += (size_t)(stpcpy(stpcpy(known + at, at ? ", " : ""), *t) -
                               (known + at));
            }
        }
        return err_set(err, ERR_PARAM,
                       "override_%s: not a reference type of this stage (it has: %s)",
                       type, known);
    }
    if (!*path) {
        return err_set(err, ERR_PARAM, "override_%s: give the name of a file", type);
    }
    struct override *o = mem_calloc(1, sizeof *o, err);
    if (!o) {
        return ERR_NOMEM;
    }
    o->step = step;
    o->type = mem_strdup(type, err);
    o->path = mem_strdup(path, err);
    o->next = s->overrides; /* the last one set is found first */
    s->overrides = o;
    return o->type && o->path ? 0 : ERR_NOMEM;
}

static int set_parameter(struct recipe_settings *s, int step, const char *name,
                         const char *value, struct err *err)
{
    struct params *p = s->params[step];
    if (!p) {
        return err_set(err, ERR_PARAM,
                       "%s: this stage is not built yet; only skip = true is accepted",
                       name);
    }
    size_t n;
    const struct param *table = params_table(p, &n);
    static const struct param own[] = {{.name = "skip"}, {.name = "override_<type>"}};
    const char *near = params_nearest(table, n, name);
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(table[i].name, name)) {
            return params_set(p, name, value, err);
        }
    }
    if (!near) {
        near = params_nearest(own, 2, name);
    }
    return err_set(err, ERR_PARAM, "no parameter '%s'%s%s%s", name,
                   near ? "; did you mean '" : "; 'ifurun stages' lists them",
                   near ? near : "", near ? "'?" : "");
}

int recipe_set(struct recipe_settings *s, const char *stage, const char *name,
               const char *value, struct err *err)
{
    int step = 0;
    int code = recipe_step_find(s->recipe, stage, &step, err);
    if (code) {
        return code;
    }
    if (!strcmp(name, "skip")) {
        code = set_skip(s, step, value, err);
    } else if (!strncmp(name, "override_", 9)) {
        code = set_override(s, step, name + 9, value, err);
    } else {
        code = set_parameter(s, step, name, value, err);
    }
    return code ? err_prefix(err, "%s", s->recipe->steps[step].name) : 0;
}

bool recipe_is_skipped(const struct recipe_settings *s, int step)
{
    return s->skip[step];
}

const struct params *recipe_params(const struct recipe_settings *s, int step)
{
    return s->params[step];
}

const char *recipe_override(const struct recipe_settings *s, const char *stage,
                            const char *type)
{
    for (const struct override *o = s->overrides; o; o = o->next) {
        if (!strcmp(o->type, type) && !strcmp(s->recipe->steps[o->step].name, stage)) {
            return o->path;
        }
    }
    return NULL;
}
