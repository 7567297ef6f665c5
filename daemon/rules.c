#include "daemon/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/work.h"
#include "stages/recipe.h"

/* Will this stage run? Settings that are wrong hold each job with the reason; here they
 * change nothing. */
static bool runs(const struct config *config, const char *recipe_name,
                 const char *stage)
{
    const struct recipe *recipe = recipe_find(recipe_name);
    struct recipe_settings *s = NULL;
    struct job job = {0};
    struct err err = {0};
    int step = 0;
    bool on = !recipe_step_find(recipe, stage, &step, &err) &&
              !recipe_settings_new(recipe, &s, &err) &&
              !work_settings(config, recipe_name, &job, &err);
    for (size_t i = 0; i < job.n_settings && on; i++) {
        const struct job_setting *set = &job.settings[i];
        if (!strcmp(set->name, "skip")) {
            recipe_set(s, set->stage, set->name, set->value, &err);
        }
    }
    on = on && !recipe_is_skipped(s, step);
    recipe_settings_free(s);
    job_done(&job);
    return on;
}

void rules_of(const struct config *config, struct plan_rules *ret)
{
    const struct params *v = config->values;
    const char *policy = params_string(v, "background_policy");
    const bool images = runs(config, "spec2", "bkg_subtract");
    *ret = (struct plan_rules){
        .quiet_seconds = params_real(v, "group_quiet_seconds"),
        .wait_seconds = params_real(v, "member_wait_seconds"),
        .imprints = runs(config, "spec2", "imprint_subtract"),
        .nods = images && params_bool(v, "nod_subtraction"),
        .linked = strcmp(policy, "off") != 0,
        .off_scene = !strcmp(policy, "nearest"),
        .in_spec3 = !strcmp(params_string(v, "background_stage"), "master_background"),
        .combine = params_bool(v, "combine_spectra") &&
                   runs(config, "spec3", "extract_1d") &&
                   runs(config, RECIPE_COMBINE, "combine_1d"),
    };
    ret->backgrounds =
        ret->in_spec3 ? runs(config, "spec3", "master_background") : images;
}

/* Is its observation in the list? As "001-002-005" into ret. */
static bool lists(const char *line, const struct queue_exposure *e, char *ret,
                  size_t size)
{
    char *at;
    bool is_in = false;
    size_t n = 0;
    if (strtol(line, &at, 10) != strtol(e->program, NULL, 10)) {
        return false;
    }
    while (*at) {
        long observation = strtol(at + 1, &at, 10);
        is_in |= observation == strtol(e->observation, NULL, 10);
        n += (size_t)snprintf(ret + n, size - n, "%s%03ld", n ? "-" : "", observation);
    }
    return is_in;
}

int rules_group(const struct config *config, struct queue_exposure *e, struct err *err)
{
    char observations[4 * CONFIG_MAX_OBSERVATIONS + 1];
    size_t n;
    char **lines = config_strings(config, "observation_lists", &n, err);
    if (!lines) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        if (lists(lines[i], e, observations, sizeof observations)) {
            planner_join(e, observations);
            break;
        }
    }
    free(lines);
    return 0;
}

int rules_apply(struct queue *q, const struct config *config, struct err *err)
{
    struct plan_rules r;
    char text[200], before[200] = "";
    rules_of(config, &r);
    snprintf(text, sizeof text, "%g %g %d%d%d%d%d%d%d", r.quiet_seconds, r.wait_seconds,
             r.imprints, r.backgrounds, r.nods, r.linked, r.off_scene, r.in_spec3,
             r.combine);
    int code = queue_get_setting(q, "plan_rules", before, sizeof before, err);
    if (code || !strcmp(text, before)) {
        return code;
    }
    code = queue_begin(q, err);
    if (code) {
        return code;
    }
    code = queue_plan_anew(q, err);
    code = code ? code : queue_set_setting(q, "plan_rules", text, err);
    if (code) {
        queue_rollback(q);
        return code;
    }
    return queue_commit(q, err);
}
