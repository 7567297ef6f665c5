#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/data/exposure_io.h"
#include "common/data/spectrum_io.h"
#include "common/data/wcs.h"
#include "jobs/job_context.h"

/*
 * The files of a job beside its inputs. An imprint or background goes through the stages
 * that the exposure has gone through (STEP_ON_MEMBERS) when a stage opens it.
 */

struct list {
    struct exposure_source interface;
    struct job_members *all;
    const char *role;
    const char **paths;
    /* The last one that was prepared, where it may be asked for again; SIZE_MAX: none. */
    struct exposure *kept;
    size_t kept_index;
};

struct job_members {
    struct job_context *context;
    struct list imprints, backgrounds;
};

/* What only the stages before needed. */
static void strip(struct exposure *e)
{
    wcs_release(e->wcs);
    e->wcs = NULL;
    free(e->wavelength);
    e->wavelength = NULL;
}

/* Run the stages before the one that asks. */
static int prepare(struct list *l, struct exposure *e, struct err *err)
{
    struct job_context *c = l->all->context;
    const bool is_background = l == &l->all->backgrounds;
    const int asks = c->step;
    struct dataset data = {.exposures = &e,
                           .n_exposures = 1,
                           .imprints = is_background ? c->data.imprints : NULL};
    int code = 0;
    for (c->step = 0; c->step < asks && !code; c->step++) {
        const struct recipe_step *step = &c->plan.recipe->steps[c->step];
        const struct corrector *also = &c->data.background_corrector;
        if (is_background && step->flags & STEP_ON_BACKGROUNDS && also->correct) {
            code = also->correct(also->user, e, true, err);
        }
        if (code || !job_plan_runs(&c->plan, c->step) ||
            !(step->flags & STEP_ON_MEMBERS)) {
            continue;
        }
        struct stage_env env = job_context_env(c, step->name);
        env.progress = NULL; /* the asking stage's bar goes on */
        env.keep = NULL;
        c->member = path_base(e->meta.filename);
        code = step->stage->run(&env, recipe_params(c->plan.settings, c->step), &data,
                                err);
        if (code) {
            err_prefix(err, "%s %s: %s", l->role, c->member, step->name);
        }
        c->member = NULL;
    }
    c->step = asks;
    if (!code && c->late.code) {
        *err = c->late;
        code = c->late.code;
    }
    strip(e);
    return code;
}

static int open_one(void *user, size_t i, bool pixels, struct exposure **ret,
                    struct err *err)
{
    struct list *l = user;
    struct exposure *e = NULL;
    if (l->kept && l->kept_index == i) {
        *ret = l->kept;
        return 0;
    }
    int code = pixels ? exposure_read(l->paths[i], &e, err)
                      : exposure_read_headers(l->paths[i], &e, err);
    if (!code && pixels) {
        code = prepare(l, e, err);
    }
    if (code) {
        exposure_free(e);
        return code;
    }
    if (pixels && l == &l->all->imprints && l->all->backgrounds.interface.n) {
        exposure_free(l->kept);
        l->kept = e;
        l->kept_index = i;
    }
    *ret = e;
    return 0;
}

static void close_one(void *user, size_t i, struct exposure *e)
{
    const struct list *l = user;
    (void)i;
    if (e != l->kept) {
        exposure_free(e);
    }
}

/* Files of the other detector are left out: one command line may name those of both. */
static int add(struct list *l, const char *path, struct err *err)
{
    struct job_context *c = l->all->context;
    const struct exposure_meta *own = &c->data.exposures[0]->meta;
    struct exposure *e = NULL;
    int code = exposure_read_headers(path, &e, err);
    if (!code && strcmp(e->meta.detector, own->detector)) {
        struct stage_env env = job_context_env(c, "read");
        stage_note(&env, "%s %s is of %s, not of %s: left out", l->role,
                   path_base(path), e->meta.detector, own->detector);
    } else if (!code) {
        code = job_plan_check_pins(&c->plan, c->refs, &e->meta, true, true, err);
        l->paths[l->interface.n++] = path;
    }
    exposure_free(e);
    return code ? err_prefix(err, "%s", l->role) : 0;
}

static int make_list(struct job_members *m, struct list *l, const char *role,
                     struct err *err)
{
    const struct job *job = m->context->job;
    int code = 0;
    l->all = m;
    l->role = role;
    l->interface = (struct exposure_source){0, open_one, close_one, l};
    l->paths = mem_calloc(job->n_members, sizeof *l->paths, err);
    if (!l->paths) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < job->n_members && !code; i++) {
        if (!strcmp(job->members[i].role, role)) {
            code = add(l, job->members[i].path, err);
        }
    }
    return code;
}

static int read_spectra(struct job_context *c, struct err *err)
{
    struct dataset *d = &c->data;
    d->background_spectra =
        mem_calloc(c->job->n_members, sizeof *d->background_spectra, err);
    int code = d->background_spectra ? 0 : ERR_NOMEM;
    for (size_t i = 0; i < c->job->n_members && !code; i++) {
        code = spectrum_read(c->job->members[i].path, &d->background_spectra[i], err);
        d->n_background_spectra += !code;
    }
    return code ? err_prefix(err, "%s", JOB_BACKGROUND) : 0;
}

int job_members_new(struct job_context *c, struct job_members **ret, struct err *err)
{
    if (!c->job->n_members) {
        return 0;
    }
    struct job_members *m = mem_calloc(1, sizeof *m, err);
    if (!m) {
        return ERR_NOMEM;
    }
    *ret = m;
    m->context = c;
    if (!strcmp(c->job->recipe, "spec3")) {
        return read_spectra(c, err);
    }
    int code = make_list(m, &m->imprints, JOB_IMPRINT, err);
    code = code ? code : make_list(m, &m->backgrounds, JOB_BACKGROUND, err);
    c->data.imprints = m->imprints.interface.n ? &m->imprints.interface : NULL;
    c->data.backgrounds = m->backgrounds.interface.n ? &m->backgrounds.interface : NULL;
    return code;
}

static void list_done(struct list *l)
{
    exposure_free(l->kept);
    free(l->paths);
}

void job_members_free(struct job_members *m)
{
    if (!m) {
        return;
    }
    struct dataset *d = &m->context->data;
    for (size_t i = 0; i < d->n_background_spectra; i++) {
        spectrum_free(d->background_spectra[i]);
    }
    free(d->background_spectra);
    d->background_spectra = NULL;
    d->n_background_spectra = 0;
    list_done(&m->imprints);
    list_done(&m->backgrounds);
    free(m);
}
