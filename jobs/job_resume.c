#include "jobs/job_resume.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/base/sha256.h"
#include "common/data/cube_io.h"
#include "common/data/exposure_io.h"
#include "common/data/fits_io.h"

struct job_resume_file {
    const struct job_input *file;
    char suffix[40];
    int last;     /* the step that made it; -1: not known */
    bool agrees;  /* its fingerprints are those of this job */
    bool checked; /* its bytes were compared ... */
    bool good;    /* ... and are what was published */
};

static void tell(const struct job_context *c, int is_warning, const char *line)
{
    if (c->events && c->events->note) {
        c->events->note(c->events->user, is_warning, "reuse", line);
    }
}

static int step_of_suffix(const struct recipe *r, const char *suffix)
{
    for (int i = r->n_steps - 1; i >= 0; i--) {
        if (r->steps[i].stage && !(r->steps[i].flags & STEP_ON_OPEN) &&
            !strcmp(r->steps[i].stage->suffix, suffix)) {
            return i;
        }
    }
    return -1;
}

/* The last step that runs; -1: none. */
static int last_running(const struct job_plan *plan)
{
    int i = plan->last;
    while (i >= 0 && !job_plan_runs(plan, i)) {
        i--;
    }
    return i;
}

/* Which step made a file, and do its fingerprints agree? */
static void look(const struct job_context *c, struct job_resume_file *f)
{
    const struct recipe *recipe = c->plan.recipe;
    struct provenance p = {0};
    struct fits_in *in = NULL;
    struct err none = {0};
    f->last = step_of_suffix(recipe, f->suffix);
    if (path_has_suffix(f->file->path, ".png")) { /* of cube and spectrum, at the end */
        f->last = last_running(&c->plan);
        f->agrees = true;
        return;
    }
    if (!fits_in_open(f->file->path, ERR_INPUT, &in, &none) &&
        !provenance_read(in, &p, &none)) {
        int last;
        f->agrees = job_fingerprint_agrees(&c->fingerprint, recipe, &p, &last);
        f->last = last >= 0 ? last : f->last;
    }
    fits_in_close(in);
    provenance_done(&p);
}

static bool is_good(const struct job_context *c, struct job_resume_file *f)
{
    if (!f->checked) {
        char hash[SHA256_HEX], line[4400];
        struct err why = {0};
        f->checked = true;
        f->good = !sha256_file(f->file->path, hash, NULL, &why) &&
                  !strcmp(hash, f->file->sha256);
        if (!f->good) {
            snprintf(line, sizeof line, "%s is not as it was published%s%.200s",
                     f->file->path, *why.message ? ": " : "", why.message);
            tell(c, 1, line);
        }
    }
    return f->good;
}

/* Will the run write a product of this step by this name? */
static bool is_written(const struct job_plan *plan, int i)
{
    const char *suffix =
        job_plan_runs(plan, i) ? plan->recipe->steps[i].stage->suffix : "";
    return (*suffix && plan->save[i]) || !strcmp(suffix, "cal") ||
           !strcmp(suffix, "s3d") || !strcmp(suffix, "x1d");
}

static bool has(const struct job_resume_file *files, size_t n, const char *suffix)
{
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(files[i].suffix, suffix)) {
            return true;
        }
    }
    return false;
}

/* Does the file hold all of the cube that later steps need, and may memory hold it? */
static bool cube_is_whole(const struct job_plan *plan, int step, const char *path)
{
    const double most =
        1e9 * params_real(recipe_params(plan->settings, step), "max_memory");
    const double voxel_bytes = 16; /* SCI, ERR, DQ, WMAP */
    struct fits_in *in = NULL;
    struct header primary = {0}, science = {0};
    struct err none = {0};
    const char *type = "", *axis = "", *master = "";
    int sci;
    bool whole = !fits_in_open_headers(path, ERR_INPUT, &in, &none) &&
                 !fits_in_need(in, "SCI", &sci, &none) &&
                 !fits_in_header(in, 0, &primary, &none) &&
                 !fits_in_header(in, sci, &science, &none) &&
                 fits_in_find(in, "VAR_BKG", 0) < 0 &&
                 voxel_bytes * (double)fits_in_hdu(in, sci)->pixels <= most;
    header_get_string(&science, "CTYPE3", &type);
    header_get_string(&science, "CTYPE1", &axis);
    header_get_string(&primary, "S_MSBSUB", &master);
    whole = whole && !strcmp(type, "WAVE") && !strcmp(axis, "RA---TAN") &&
            strcmp(master, "COMPLETE") != 0;
    header_done(&primary);
    header_done(&science);
    fits_in_close(in);
    return whole;
}

/* May the run go on after step `at`? *ret_path: from this file. */
static bool may_resume(const struct job_context *c, struct job_resume_file *files,
                       size_t n, int at, const char **ret_path)
{
    const struct job_plan *plan = &c->plan;
    const bool whole_run = at == last_running(plan);
    *ret_path = NULL;
    if (at < 0 || !job_plan_runs(plan, at)) {
        return false;
    }
    for (int i = 0; i <= at; i++) {
        if (is_written(plan, i) &&
            !has(files, n, plan->recipe->steps[i].stage->suffix)) {
            return false;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (files[i].last <= at && !files[i].agrees) {
            return false;
        }
        if (files[i].last == at &&
            !strcmp(files[i].suffix, plan->recipe->steps[at].stage->suffix)) {
            *ret_path = files[i].file->path;
        }
    }
    if (!*ret_path || (whole_run && !has(files, n, "quicklook") &&
                       (!strcmp(plan->recipe->steps[at].stage->suffix, "x1d") ||
                        !strcmp(plan->recipe->steps[at].stage->suffix, "c1d")))) {
        return false;
    }
    if (!whole_run && !strcmp(plan->recipe->steps[at].stage->suffix, "s3d") &&
        !cube_is_whole(plan, at, *ret_path)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) { /* last, for it takes longest */
        if (files[i].last <= at && !is_good(c, &files[i])) {
            return false;
        }
    }
    return true;
}

/* Is it a file of the folder? Its suffix: what follows the name of the products and "_"; of
 * other names (exposures of a group), what follows the last "_". */
static bool is_ours(const struct job *job, const char *path, const char *base,
                    char ret_suffix[40])
{
    const size_t folder = strlen(job->output_folder), length = strlen(base);
    const char *name = path_base(path), *dot = strrchr(name, '.');
    if ((size_t)(name - path) != folder + 1 ||
        strncmp(path, job->output_folder, folder) || !path_is_safe_name(name) || !dot) {
        return false;
    }
    const char *end = strncmp(name, base, length) || name[length] != '_'
                          ? memrchr(name, '_', (size_t)(dot - name))
                          : name + length;
    const ptrdiff_t n = end ? dot - end - 1 : 0;
    if (n < 1 || n >= 40) {
        return false;
    }
    snprintf(ret_suffix, 40, "%.*s", (int)n, end + 1);
    return true;
}

/* Those of job->reuse that lie in its folder. */
static int list_files(const struct job_context *c, const char *base,
                      struct job_resume_file **ret, size_t *ret_n, struct err *err)
{
    struct job_resume_file *files = mem_calloc(c->job->n_reuse, sizeof *files, err);
    if (!files) {
        return ERR_NOMEM;
    }
    *ret_n = 0;
    for (size_t i = 0; i < c->job->n_reuse; i++) {
        struct job_resume_file *f = &files[*ret_n];
        if (is_ours(c->job, c->job->reuse[i].path, base, f->suffix)) {
            f->file = &c->job->reuse[i];
            look(c, f);
            (*ret_n)++;
        }
    }
    *ret = files;
    return 0;
}

static char *base_of(const struct job *job, struct err *err)
{
    return job->product_name ? mem_strdup(job->product_name, err)
                             : job_input_base(job->inputs[0].path, err);
}

static void tell_resumed(const struct job_context *c, const char *path)
{
    char line[700];
    const struct recipe_step *steps = c->plan.recipe->steps;
    if (c->resumed == last_running(&c->plan)) {
        snprintf(line, sizeof line,
                 "nothing has changed that the products depend on: they stay");
    } else {
        snprintf(line, sizeof line,
                 "%s to %s: nothing has changed that they depend on; going on from %s",
                 steps[0].name, steps[c->resumed].name, path_base(path));
    }
    tell(c, 0, line);
}

int job_resume_find(struct job_context *c, struct err *err)
{
    const struct recipe *recipe = c->plan.recipe;
    const int points[] = {last_running(&c->plan), step_of_suffix(recipe, "s3d"),
                          step_of_suffix(recipe, "cal")};
    const bool is_spec3 = !strcmp(recipe->name, "spec3");
    size_t n = 0;
    c->resumed = -1;
    if (!c->job->n_reuse || !c->fingerprint.n || (is_spec3 && !c->job->product_name)) {
        return 0;
    }
    char *base = base_of(c->job, err);
    int code = base ? list_files(c, base, &c->reusable, &n, err) : ERR_NOMEM;
    for (size_t i = 0; i < sizeof points / sizeof *points && !code && c->resumed < 0;
         i++) {
        if (may_resume(c, c->reusable, n, points[i], &c->resume_path)) {
            c->resumed = points[i];
        }
    }
    c->n_reusable = code ? 0 : n;
    free(base);
    if (!code && c->resumed >= 0) {
        tell_resumed(c, c->resume_path);
    }
    return code;
}

/* ---- taking it -------------------------------------------------------------------- */

/* Cards that a product has beside those of the exposure it was made from: they would be
 * appended once more, behind what the next step adds. */
static void strip(struct header *h, const struct header *input)
{
    static const char *const own[] = {"DATE",   "FILENAME", "DATAMODL",
                                      "CAL_SW", "IFUD_VER", "IFUD_MAN"};
    for (size_t i = h->n; i-- > 0;) {
        const char *keyword = h->cards[i].keyword;
        bool is_own = !strncmp(keyword, "R_", 2);
        for (size_t k = 0; k < sizeof own / sizeof *own; k++) {
            is_own = is_own || !strcmp(keyword, own[k]);
        }
        if (is_own && !header_find(input, keyword)) {
            header_remove(h, keyword);
        }
    }
}

/* Steps that ran and had nothing to do. */
static void find_idle(struct job_context *c, const struct header *primary)
{
    for (int i = 0; i <= c->resumed; i++) {
        const char *status = "";
        header_get_string(primary, c->plan.recipe->steps[i].status_keyword, &status);
        if (job_plan_runs(&c->plan, i) && !strcmp(status, "SKIPPED")) {
            c->idle |= UINT32_C(1) << i;
        }
    }
}

static int load_provenance(struct job_context *c, struct err *err)
{
    struct provenance p = {0};
    struct fits_in *in = NULL;
    int code = fits_in_open(c->resume_path, ERR_INPUT, &in, err);
    code = code ? code : provenance_read(in, &p, err);
    fits_in_close(in);
    for (size_t i = 0; i < p.n && !code; i++) {
        const struct provenance_item *item = &p.items[i];
        code = provenance_add(&c->provenance, item->kind, item->stage, item->name,
                              item->value, item->sha256, err);
    }
    provenance_done(&p);
    return code;
}

static int load_exposure(struct job_context *c, const struct exposure *input,
                         struct err *err)
{
    struct exposure *e = NULL;
    int wcs = -1;
    c->data.exposures = mem_calloc(1, sizeof(struct exposure *), err);
    int code = c->data.exposures ? exposure_read(c->resume_path, &e, err) : ERR_NOMEM;
    if (code) {
        return code;
    }
    c->data.exposures[0] = e;
    c->data.n_exposures = 1;
    find_idle(c, &e->primary);
    strip(&e->primary, &input->primary);
    memcpy(e->meta.filename, input->meta.filename, sizeof e->meta.filename);
    code = recipe_step_find(c->plan.recipe, "assign_wcs", &wcs, err);
    if (!code && job_plan_runs(&c->plan, wcs)) { /* the file holds no WCS */
        c->step = wcs;
        struct stage_env env = job_context_env(c, "assign_wcs");
        env.progress = NULL;
        code = c->plan.recipe->steps[wcs].stage->run(
            &env, recipe_params(c->plan.settings, wcs), &c->data, err);
    }
    return code;
}

static int load_cube(struct job_context *c, const struct exposure *input,
                     struct err *err)
{
    int code = cube_read(c->resume_path, &c->data.cube, err);
    if (code) {
        return code;
    }
    struct cube *cube = c->data.cube;
    char type[sizeof cube->meta.source_type];
    memcpy(type, cube->meta.source_type, sizeof type);
    find_idle(c, &cube->primary);
    strip(&cube->primary, &input->primary);
    cube->meta = input->meta;
    memcpy(cube->meta.source_type, type, sizeof type);
    cube->n_exposures = (int)c->job->n_inputs;
    return 0;
}

int job_resume_load(struct job_context *c, struct err *err)
{
    const char *suffix = c->plan.recipe->steps[c->resumed].stage->suffix;
    struct exposure *input = NULL;
    int code = 0;
    for (size_t i = 0; i < c->n_reusable && !code; i++) {
        if (c->reusable[i].last <= c->resumed) {
            const struct job_resume_file *f = &c->reusable[i];
            code = job_keep_product(c, f->file->path, f->suffix, f->file->sha256, err);
        }
    }
    if (code || c->resumed == last_running(&c->plan)) {
        return code;
    }
    code = exposure_read_headers(c->job->inputs[0].path, &input, err);
    code = code ? code : load_provenance(c, err);
    if (!code) {
        code = strcmp(suffix, "cal") ? load_cube(c, input, err)
                                     : load_exposure(c, input, err);
    }
    exposure_free(input);
    return code;
}
