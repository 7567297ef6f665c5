#include "jobs/job_wcs.h"

#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/data/wcs_gwcs.h"

/* The step that runs as exposures are opened; NULL: the recipe has none. */
static const struct recipe_step *step_on_open(const struct job_plan *plan, int *ret)
{
    for (int i = 0; i < plan->recipe->n_steps; i++) {
        if (plan->recipe->steps[i].flags & STEP_ON_OPEN) {
            *ret = i;
            return &plan->recipe->steps[i];
        }
    }
    return NULL;
}

bool job_wcs_from_file(const struct job_plan *plan, struct references *refs,
                       const struct exposure *e, bool pinned)
{
    int at = 0;
    const struct recipe_step *step = step_on_open(plan, &at);
    if (!step) {
        return false;
    }
    const char *source = params_string(recipe_params(plan->settings, at), "wcs_source");
    if (strcmp(source, "auto") != 0) {
        return !strcmp(source, "file");
    }
    if (!e->has_asdf) {
        return false;
    }
    const char *const *type = step->stage->reference_types;
    for (size_t i = 0; type[i]; i++) {
        if (recipe_override(plan->settings, step->name, type[i]) ||
            (pinned && job_plan_is_pinned(plan, type[i], &e->meta))) {
            return false;
        }
    }
    if (pinned || !header_find(&e->primary, "IFUD_VER")) {
        return true;
    }
    for (size_t i = 0; type[i]; i++) {
        struct reference_choice choice;
        struct err ignored = {0};
        if (references_choose(refs, type[i], &e->meta, NULL, &choice, &ignored)) {
            return true;
        }
    }
    return false;
}

int job_wcs_read(struct job_context *c, const struct job_input *in, struct exposure *e,
                 bool with_regions, struct err *err)
{
    struct fits_in *f = NULL;
    uint8_t *regions = NULL;
    struct wcs *w = NULL;
    int code = fits_in_open(in->path, ERR_INPUT, &f, err);
    if (!code && with_regions) {
        regions = mem_alloc(exposure_pixels(e), 1, err);
        code = regions ? 0 : ERR_NOMEM;
    }
    if (!code) {
        code = wcs_read_gwcs(f, in->path, e, c->par, c->cancel, &w, regions, err);
    }
    fits_in_close(f);
    if (!code) {
        code = provenance_add(&c->provenance, PROVENANCE_REFERENCE, "assign_wcs",
                              "gwcs", path_base(in->path), in->sha256, err);
    }
    if (code) {
        wcs_release(w);
        free(regions);
        return code;
    }
    wcs_release(e->wcs);
    e->wcs = w;
    e->wavelength_corrected = e->meta.has_velosys;
    if (regions) {
        free(e->regions);
        e->regions = regions;
    }
    return 0;
}
