#ifndef IFUD_JOBS_JOB_CONTEXT_H
#define IFUD_JOBS_JOB_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>
#include "common/base/publish.h"
#include "common/data/provenance.h"
#include "jobs/job.h"
#include "jobs/job_fingerprint.h"
#include "jobs/job_plan.h"
#include "stages/stage.h"

/*
 * A job while it runs: what job_run, the products and the source of exposures share.
 * Thread: the one that called job_run, but for progress, which the team may tell.
 */
struct job_context {
    const struct job *job;
    struct job_plan plan;
    struct references *refs;
    struct par *par;
    const atomic_bool *cancel;
    const struct job_events *events; /* may be NULL */
    struct job_result *result;

    struct job_fingerprint fingerprint;
    int resumed; /* the last step that an earlier run has done (job_resume.h); -1: none */
    const char *resume_path;          /* what it left */
    struct job_resume_file *reusable; /* job_resume.c */
    size_t n_reusable;

    struct provenance provenance;
    char *base;             /* product name without suffix */
    char *manifest;         /* canonical text */
    struct publish_set set; /* what was written; published when all has succeeded */

    struct dataset data;
    bool whole; /* spec3: exposures are opened with every plane, for a product */
    const char *member; /* file name of the imprint or background being prepared */
    int step;           /* being run */
    int index, count;   /* of the steps that run */
    struct err late;    /* a failure in a callback that could not return it */
    uint32_t idle;      /* bit i: step i ran and said that it had nothing to do */
    const struct header
        *opened; /* spec3: primary header of the exposure being opened */
};

/* The environment of stage `name`. */
struct stage_env job_context_env(struct job_context *c, const char *name);

/* A reference was used: into the provenance, as crds://NAME if it lies in the CRDS cache
 * (as in the peer's headers). */
void job_context_used(struct job_context *c, const char *stage,
                      const struct reference_choice *choice);

/* ---- job_products.c ---- */

/* S_* of every step up to the one being run, in a product's primary header. */
int job_set_status(const struct job_context *c, struct header *primary,
                   struct err *err);

/* Write what the step has made: cube or spectrum if they are new, else the exposure.
 * With the spectrum goes a picture of it and its cube, <product>_quicklook.png. */
int job_write_exposure(struct job_context *c, struct exposure *e, const char *suffix,
                       struct err *err);
/* spec3: every exposure as it is after the step, <exposure>_<observation>_<suffix>, where
 * the middle is what stands behind the program in the group's name ("o001"), or all of
 * that name. */
int job_write_opened(struct job_context *c, const char *suffix, struct err *err);
/* What a stage worked with; named like these, after one of the exposures. */
int job_write_planes(struct job_context *c, const char *exposure, struct plane_set *p,
                     const char *suffix, struct err *err);
/* A spectrum that a stage wants kept: no picture. */
int job_write_kept_spectrum(struct job_context *c, struct spectrum *s,
                            const char *suffix, struct err *err);
int job_write_cube(struct job_context *c, const char *suffix, struct err *err);
int job_write_spectrum(struct job_context *c, const char *suffix, struct err *err);

/* A product that an earlier run has published is one of this run, too: it stays as it is. */
int job_keep_product(struct job_context *c, const char *path, const char *suffix,
                     const char *sha256, struct err *err);

/* The run has succeeded: all that was written appears. On failure nothing does. */
int job_publish(struct job_context *c, struct err *err);

/* ---- job_reuse.c ---- */

/* The list of the products and their hashes, <product>_<recipe>_products.json. */
int job_write_list(struct job_context *c, struct err *err);

/* ---- job_pin.c ---- */

/* Have the inputs hashed, by all threads at once: those whose hash the job does not say
 * or, with `all`, those too. */
int job_hash_inputs(const struct job *job, bool all, struct references *refs,
                    struct par *par, struct err *err);

/* ---- job_members.c ---- */

/*
 * Imprints and backgrounds, into c->data: of spec2 as sources that prepare each exposure
 * as it is opened (its headers are read now), of spec3 as spectra.
 * Returned: *ret, to be freed with job_members_free after the last stage.
 */
struct job_members;
int job_members_new(struct job_context *c, struct job_members **ret, struct err *err);
void job_members_free(struct job_members *m);

/* ---- job_source.c ---- */

/* spec3: exposures opened one at a time, each with its WCS (kept once built). */
struct job_source;
int job_source_new(struct job_context *c, struct job_source **ret, struct err *err);
void job_source_free(struct job_source *s);
const struct exposure_source *job_source_interface(const struct job_source *s);
/* Meta of the first exposure. */
const struct exposure_meta *job_source_first(const struct job_source *s);

#endif
