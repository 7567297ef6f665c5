#include "jobs/job_plan.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/mem.h"
#include "common/base/path.h"
#include "stages/cube_choice.h"

char *job_input_base(const char *path, struct err *err)
{
    static const char *const ends[] = {"_rate", "_rateints", "_cal", "_x1d"};
    char *base = mem_strdup(path_base(path), err);
    if (!base) {
        return NULL;
    }
    char *dot = strstr(base, ".fits");
    if (dot && (!strcmp(dot, ".fits") || !strcmp(dot, ".fits.gz"))) {
        *dot = 0;
    }
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        if (path_has_suffix(base, ends[i])) {
            base[strlen(base) - strlen(ends[i])] = 0;
            break;
        }
    }
    return base;
}

char *job_target_base(const struct exposure_meta *meta, struct err *err)
{
    char target[72] = "";
    if (!path_slug(meta->target_name, target, sizeof target)) {
        strcpy(target, "unknown");
    }
    return mem_printf(err, "jw%05ld-o%03ld_%s_nirspec", strtol(meta->program, NULL, 10),
                      strtol(meta->observation, NULL, 10), target);
}

char *job_group_base(const struct exposure_meta *meta, struct err *err)
{
    char *target = job_target_base(meta, err);
    char *name = target
                     ? mem_printf(err, "%s_%s-%s", target, meta->grating, meta->filter)
                     : NULL;
    free(target);
    for (char *c = name; c && *c; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    return name;
}

static int check_inputs(const struct job *job, struct err *err)
{
    if (job->n_inputs == 0) {
        return err_set(err, ERR_INPUT, "no input file: %s needs at least one exposure",
                       job->recipe);
    }
    if (!strcmp(job->recipe, "spec2") && job->n_inputs != 1) {
        return err_set(err, ERR_INPUT, "spec2 works on one exposure, not on %zu",
                       job->n_inputs);
    }
    for (size_t i = 0; i < job->n_inputs; i++) {
        char *base = job_input_base(job->inputs[i].path, err);
        bool safe = base && path_is_safe_name(base);
        free(base);
        if (!base) {
            return ERR_NOMEM;
        }
        if (!safe) {
            return err_set(
                err, ERR_INPUT,
                "%s: the file name must consist of letters, digits and . _ + "
                "- = only, because products are named after it",
                job->inputs[i].path);
        }
        for (size_t k = 0; k < i; k++) {
            if (!strcmp(path_base(job->inputs[i].path),
                        path_base(job->inputs[k].path))) {
                return err_set(err, ERR_INPUT, "%s: given twice (also as %s)",
                               job->inputs[i].path, job->inputs[k].path);
            }
        }
    }
    return 0;
}

static int check_members(const struct job *job, struct err *err)
{
    const bool is_spec3 = !strcmp(job->recipe, "spec3");
    if (job->n_members && !strcmp(job->recipe, RECIPE_COMBINE)) {
        return err_set(err, ERR_INPUT, "%s: %s takes no %s", job->members[0].path,
                       RECIPE_COMBINE, job->members[0].role);
    }
    for (size_t i = 0; i < job->n_members; i++) {
        const struct job_member *m = &job->members[i];
        if (strcmp(m->role, JOB_IMPRINT) && strcmp(m->role, JOB_BACKGROUND)) {
            return err_set(err, ERR_INPUT, "%s: no role '%s': there are %s and %s",
                           m->path, m->role, JOB_IMPRINT, JOB_BACKGROUND);
        }
        if (is_spec3 && strcmp(m->role, JOB_BACKGROUND)) {
            return err_set(err, ERR_INPUT,
                           "%s: spec3 takes no imprint: imprint_subtract is a stage of "
                           "spec2",
                           m->path);
        }
        for (size_t k = 0; k < job->n_inputs; k++) {
            if (!strcmp(path_base(m->path), path_base(job->inputs[k].path))) {
                return err_set(err, ERR_INPUT, "%s: given as input and as %s", m->path,
                               m->role);
            }
        }
        for (size_t k = 0; k < i; k++) {
            if (!strcmp(path_base(m->path), path_base(job->members[k].path))) {
                return err_set(err, ERR_INPUT, "%s: given twice (as %s and as %s)",
                               m->path, job->members[k].role, m->role);
            }
        }
    }
    return 0;
}

/* A stage that is to be stopped at or saved must be there and run. */
static int find_wanted(const struct job_plan *plan, const char *option,
                       const char *name, int *ret, struct err *err)
{
    int code = recipe_step_find(plan->recipe, name, ret, err);
    if (!code && !plan->recipe->steps[*ret].stage) {
        code = err_set(err, ERR_PARAM, "stage %s is not built yet", name);
    } else if (!code && plan->recipe->steps[*ret].flags & STEP_ON_OPEN) {
        code = err_set(err, ERR_PARAM, "stage %s writes nothing in %s", name,
                       plan->recipe->name);
    } else if (!code && recipe_is_skipped(plan->settings, *ret)) {
        code = err_set(err, ERR_PARAM, "stage %s is skipped", name);
    }
    return code ? err_prefix(err, "%s", option) : 0;
}

int job_plan_make(const struct job *job, struct job_plan *ret, struct err *err)
{
    struct job_plan plan = {.job = job};
    plan.recipe = job->recipe ? recipe_find(job->recipe) : NULL;
    if (!plan.recipe) {
        return err_set(err, ERR_PARAM,
                       "no recipe '%s': there are spec2, spec3 and combine",
                       job->recipe ? job->recipe : "");
    }
    assert(plan.recipe->n_steps <= JOB_MAX_STEPS);
    plan.last = plan.recipe->n_steps - 1;
    int code = check_inputs(job, err);
    code = code ? code : check_members(job, err);
    if (!code) {
        code = recipe_settings_new(plan.recipe, &plan.settings, err);
    }
    for (size_t i = 0; i < job->n_settings && !code; i++) {
        code = recipe_set(plan.settings, job->settings[i].stage, job->settings[i].name,
                          job->settings[i].value, err);
    }
    for (int i = 0; i < plan.recipe->n_steps && !code; i++) {
        const struct stage *stage = plan.recipe->steps[i].stage;
        if (stage && stage->check && !recipe_is_skipped(plan.settings, i)) {
            code = stage->check(recipe_params(plan.settings, i), err);
        }
    }
    if (!code && job->stop_after) {
        code = find_wanted(&plan, "stop-after", job->stop_after, &plan.last, err);
        if (!code) {
            plan.save[plan.last] = true;
        }
    }
    for (size_t i = 0; i < job->n_save && !code; i++) {
        int step = 0;
        code = find_wanted(&plan, "save", job->save[i], &step, err);
        if (!code && step > plan.last) {
            code = err_set(err, ERR_PARAM, "save: stage %s is not reached (%s)",
                           job->save[i], job->stop_after);
        }
        if (!code) {
            plan.save[step] = true;
        }
    }
    if (code) {
        job_plan_done(&plan);
        return code;
    }
    *ret = plan;
    return 0;
}

void job_plan_done(struct job_plan *plan)
{
    recipe_settings_free(plan->settings);
    *plan = (struct job_plan){0};
}

bool job_plan_runs(const struct job_plan *plan, int i)
{
    return i <= plan->last && plan->recipe->steps[i].stage &&
           !recipe_is_skipped(plan->settings, i);
}

bool job_plan_is_path(const struct job_plan *plan, const struct job_setting *s)
{
    struct err none = {0};
    int step;
    if (!strncmp(s->name, "override_", 9)) {
        return strcasecmp(s->value, REFERENCE_NOT_APPLICABLE) != 0;
    }
    if (!strcasecmp(s->value, "none") ||
        recipe_step_find(plan->recipe, s->stage, &step, &none)) {
        return false;
    }
    size_t n = 0;
    const struct params *params = recipe_params(plan->settings, step);
    const struct param *table = params ? params_table(params, &n) : NULL;
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(table[i].name, s->name)) {
            return !strcmp(table[i].unit, "file");
        }
    }
    return false;
}

static bool job_plan_reads_references(const struct job_plan *plan, int i)
{
    const struct params *params = recipe_params(plan->settings, i);
    size_t n = 0;
    const struct param *table = params ? params_table(params, &n) : NULL;
    for (size_t k = 0; k < n; k++) {
        if (!strcmp(table[k].name, "user_supplied_flat")) {
            return params_is_none(params, table[k].name);
        }
    }
    return true;
}

bool job_plan_chooses(const struct job_plan *plan, int i, bool is_member)
{
    return job_plan_runs(plan, i) && job_plan_reads_references(plan, i) &&
           (!is_member || plan->recipe->steps[i].flags & STEP_ON_MEMBERS);
}

static const struct job_reference *find_pin(const struct job *job, const char *type,
                                            const char *filename)
{
    for (size_t i = 0; i < job->n_references; i++) {
        if (!strcmp(job->references[i].type, type) &&
            !strcmp(job->references[i].input, filename)) {
            return &job->references[i];
        }
    }
    return NULL;
}

bool job_plan_is_pinned(const struct job_plan *plan, const char *type,
                        const struct exposure_meta *meta)
{
    return find_pin(plan->job, type, meta->filename) != NULL;
}

const char *job_plan_override(const struct job_plan *plan, const char *stage,
                              const char *type, const struct exposure_meta *meta)
{
    const char *path = recipe_override(plan->settings, stage, type);
    if (!path) {
        const struct job_reference *pin = find_pin(plan->job, type, meta->filename);
        path = pin ? pin->path : NULL;
        if (!pin && plan->job->n_references && reference_type_is_optional(type)) {
            path = ""; /* there was none when the job was pinned */
        }
    }
    return path;
}

int job_plan_check_pins(const struct job_plan *plan, struct references *refs,
                        const struct exposure_meta *meta, bool is_member,
                        bool uses_on_open, struct err *err)
{
    int code = 0;
    for (int i = 0; i <= plan->last && plan->job->n_references && !code; i++) {
        if (!job_plan_chooses(plan, i, is_member) ||
            (plan->recipe->steps[i].flags & STEP_ON_OPEN && !uses_on_open)) {
            continue;
        }
        const char *const *type = plan->recipe->steps[i].stage->reference_types;
        for (; *type && !code; type++) {
            const struct job_reference *pin =
                find_pin(plan->job, *type, meta->filename);
            struct reference_choice choice;
            if (!pin && reference_type_is_optional(*type)) {
                continue;
            }
            if (!pin) {
                code = err_set(err, ERR_REFERENCE,
                               "the manifest names references, but none of type '%s' "
                               "for %s",
                               *type, meta->filename);
                break;
            }
            const char *path =
                job_plan_override(plan, plan->recipe->steps[i].name, *type, meta);
            code = references_choose(refs, *type, meta, path, &choice, err);
            if (!code && pin->sha256[0] && path && !strcmp(path, pin->path) &&
                strcmp(choice.sha256, pin->sha256)) {
                code =
                    err_set(err, ERR_REFERENCE,
                            "reference file %s has changed: SHA-256 %s, the manifest "
                            "says %s",
                            pin->path, choice.sha256, pin->sha256);
            }
        }
    }
    return code;
}

/* ---- what goes into the cube ------------------------------------------------------- */

static const struct params *cube_params(const struct job_plan *plan)
{
    struct err none = {0};
    int i;
    return recipe_step_find(plan->recipe, "cube_build", &i, &none)
               ? NULL
               : recipe_params(plan->settings, i);
}

static bool same_band(const struct exposure_meta *a, const struct exposure_meta *b)
{
    return !strcmp(a->grating, b->grating) && !strcmp(a->filter, b->filter);
}

int job_group_add(struct job_group *g, const struct job_plan *plan,
                  const struct exposure_meta *meta, struct err *err)
{
    const struct params *params = cube_params(plan);
    struct cube_choice choice = {0, 0};
    int code = params ? cube_choice_read(params, &choice, err) : 0;
    const bool takes = !code && cube_choice_takes(&choice, meta->grating, meta->filter);
    if (takes && g->n_taken && !same_band(&g->first, meta) &&
        !(params && !strcmp(params_string(params, "output_type"), "multi"))) {
        code = err_set(err, ERR_INPUT,
                       "spec3 takes one disperser and filter at a time, unless "
                       "cube_build.output_type is multi or cube_build.grating and "
                       "filter choose: %s has %s/%s, %s has %s/%s",
                       g->first.filename, g->first.filter, g->first.grating,
                       meta->filename, meta->filter, meta->grating);
    }
    if (code) {
        return code;
    }
    if (g->n == 0 || (takes && g->n_taken == 0)) {
        g->first = *meta;
    }
    g->n++;
    g->n_taken += takes;
    return 0;
}

int job_group_check(const struct job_group *g, const struct job_plan *plan,
                    struct err *err)
{
    struct err none = {0};
    int i;
    return g->n_taken || recipe_step_find(plan->recipe, "cube_build", &i, &none) ||
                   !job_plan_runs(plan, i)
               ? 0
               : cube_choice_nothing(recipe_params(plan->settings, i), g->n, &g->first,
                                     err);
}
