#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/data/exposure_io.h"
#include "common/data/wcs.h"
#include "jobs/job_context.h"
#include "jobs/job_wcs.h"
#include "stages/assign_wcs.h"

struct job_source {
    struct exposure_source interface;
    struct job_context *context;
    struct job_group group;
    struct wcs **wcs;  /* n; NULL until an exposure is first opened */
    uint8_t **regions; /* n; slice maps of files that have none */
};

/* The references that made the product on disk should be those of the WCS that is built
 * again: a difference is told, because slices may move between the two. */
static void compare_references(struct job_source *s, const struct exposure_meta *meta,
                               const struct reference_choice *choice)
{
    const char *keyword = provenance_keyword(choice->type, NULL), *was = NULL;
    const struct header *primary = s->context->opened;
    if (keyword && primary && header_get_string(primary, keyword, &was) &&
        strcasecmp(was, "N/A")) {
        const char *name = path_base(was);
        if (strcmp(name, choice->name)) {
            struct stage_env env = job_context_env(s->context, "assign_wcs");
            stage_warn(&env, "%s was made with %s %s, its WCS is now built with %s",
                       meta->filename, choice->type, name, choice->name);
        }
    }
}

static void used(void *user, const struct exposure_meta *meta,
                 const struct reference_choice *choice)
{
    struct job_source *s = user;
    job_context_used(s->context, "assign_wcs", choice);
    compare_references(s, meta, choice);
}

static const char *on_override(void *user, const char *stage, const char *type,
                               const struct exposure_meta *meta)
{
    const struct job_source *s = user;
    return job_plan_override(&s->context->plan, stage, type, meta);
}

static const struct params *wcs_params(const struct job_context *c)
{
    for (int i = 0; i < c->plan.recipe->n_steps; i++) {
        if (c->plan.recipe->steps[i].flags & STEP_ON_OPEN) {
            return recipe_params(c->plan.settings, i);
        }
    }
    return NULL;
}

/* The WCS of exposure i into e, from references or from its file; with_regions: its slice
 * map, too. */
static int make_wcs(struct job_source *s, size_t i, struct exposure *e,
                    bool with_regions, struct err *err)
{
    struct job_context *c = s->context;
    struct stage_env env = job_context_env(c, "assign_wcs");
    env.used_reference = used;
    env.override = on_override;
    env.progress = NULL;
    env.user = s;
    env.note = NULL;
    if (job_wcs_from_file(&c->plan, c->refs, e, c->job->n_references > 0)) {
        struct stage_env say = job_context_env(c, "assign_wcs");
        stage_note(&say, "%s: WCS from its ASDF extension", e->meta.filename);
        return job_wcs_read(c, &c->job->inputs[i], e, with_regions, err);
    }
    c->opened = &e->primary;
    const struct params *p = wcs_params(c);
    const double y_slit[2] = {params_real(p, "slit_y_low"),
                              params_real(p, "slit_y_high")};
    int code = assign_wcs_exposure(&env, e, y_slit, with_regions, err);
    c->opened = NULL;
    free(e->wavelength); /* comes with the map */
    e->wavelength = NULL;
    return code;
}

/* Both are kept once they are made; a slice map is made where the file has none. */
static int build(struct job_source *s, size_t i, struct exposure *e, bool pixels,
                 struct err *err)
{
    bool needs_map = pixels && !e->regions;
    if (!s->wcs[i] || (needs_map && !s->regions[i])) {
        int code = make_wcs(s, i, e, needs_map, err);
        if (!code && needs_map) {
            s->regions[i] = mem_alloc(exposure_pixels(e), 1, err);
            code = s->regions[i] ? 0 : ERR_NOMEM;
        }
        if (code) {
            return code;
        }
        if (needs_map) {
            memcpy(s->regions[i], e->regions, exposure_pixels(e));
        }
        wcs_release(s->wcs[i]);
        s->wcs[i] = wcs_hold(e->wcs);
        return 0;
    }
    if (needs_map) {
        e->regions = mem_alloc(exposure_pixels(e), 1, err);
        if (!e->regions) {
            return ERR_NOMEM;
        }
        memcpy(e->regions, s->regions[i], exposure_pixels(e));
    }
    e->wcs = wcs_hold(s->wcs[i]);
    e->wavelength_corrected = e->meta.has_velosys;
    return 0;
}

/* What a cube is made of; all of it where that is not enough. */
static int read_pixels(const struct job_source *s, const char *path,
                       struct exposure **ret, struct err *err)
{
    if (!s->context->whole && dataset_needs_few_planes(&s->context->data)) {
        return exposure_read_for_cube(path, s->context->par, ret, err);
    }
    int code = exposure_read(path, ret, err);
    if (!code) {
        exposure_match_nans(*ret);
    }
    return code;
}

static int open_one(void *user, size_t i, bool pixels, struct exposure **ret,
                    struct err *err)
{
    struct job_source *s = user;
    struct exposure *e = NULL;
    const char *path = s->context->job->inputs[i].path;
    int code =
        pixels ? read_pixels(s, path, &e, err) : exposure_read_headers(path, &e, err);
    if (!code) {
        code = build(s, i, e, pixels, err);
    }
    if (code) {
        exposure_free(e);
        return code;
    }
    *ret = e;
    return 0;
}

static void close_one(void *user, size_t i, struct exposure *e)
{
    (void)user;
    (void)i;
    exposure_free(e);
}

int job_source_new(struct job_context *c, struct job_source **ret, struct err *err)
{
    struct job_source *s = mem_calloc(1, sizeof *s, err);
    int code = s ? 0 : ERR_NOMEM;
    if (!code) {
        s->context = c;
        s->interface =
            (struct exposure_source){c->job->n_inputs, open_one, close_one, s};
        s->wcs = mem_calloc(c->job->n_inputs, sizeof(struct wcs *), err);
        s->regions = mem_calloc(c->job->n_inputs, sizeof(uint8_t *), err);
        code = s->wcs && s->regions ? 0 : ERR_NOMEM;
    }
    for (size_t i = 0; i < c->job->n_inputs && !code; i++) {
        struct exposure *e = NULL;
        code = exposure_read_headers(c->job->inputs[i].path, &e, err);
        if (!code) {
            code = job_group_add(&s->group, &c->plan, &e->meta, err);
        }
        if (!code && strcmp(e->meta.bunit, "MJy/sr")) {
            code = err_set(err, ERR_INPUT,
                           "%s: SCI: BUNIT is '%s': spec3 needs calibrated exposures "
                           "(_cal) in MJy/sr",
                           c->job->inputs[i].path, e->meta.bunit);
        }
        if (!code) {
            bool from_file =
                job_wcs_from_file(&c->plan, c->refs, e, c->job->n_references > 0);
            code = job_plan_check_pins(&c->plan, c->refs, &e->meta, false, !from_file,
                                       err);
        }
        exposure_free(e);
    }
    code = code ? code : job_group_check(&s->group, &c->plan, err);
    if (code) {
        job_source_free(s);
        return code;
    }
    *ret = s;
    return 0;
}

void job_source_free(struct job_source *s)
{
    if (!s) {
        return;
    }
    for (size_t i = 0; s->wcs && i < s->interface.n; i++) {
        wcs_release(s->wcs[i]);
    }
    for (size_t i = 0; s->regions && i < s->interface.n; i++) {
        free(s->regions[i]);
    }
    free(s->regions);
    free(s->wcs);
    free(s);
}

const struct exposure_source *job_source_interface(const struct job_source *s)
{
    return &s->interface;
}

const struct exposure_meta *job_source_first(const struct job_source *s)
{
    return &s->group.first;
}
