#ifndef IFUD_JOBS_JOB_PLAN_H
#define IFUD_JOBS_JOB_PLAN_H

#include <stdbool.h>
#include "common/base/err.h"
#include "jobs/job.h"
#include "stages/recipe.h"

/*
 * A job checked against its recipe: what will run, with which parameters.
 * Ownership: job_plan_done. Thread: made by one, then read by any.
 * Test: tests/jobs/test_job.c
 */

#define JOB_MAX_STEPS 32

struct job_plan {
    const struct job *job; /* borrowed */
    const struct recipe *recipe;
    struct recipe_settings *settings;
    int last;                 /* index of the last step that may run */
    bool save[JOB_MAX_STEPS]; /* its product was asked for */
};

int job_plan_make(const struct job *job, struct job_plan *ret, struct err *err);
void job_plan_done(struct job_plan *plan);

/* Does step i run? (built, not skipped, not after stop_after) */
bool job_plan_runs(const struct job_plan *plan, int i);

/* Is this setting's value the path of a file? */
bool job_plan_is_path(const struct job_plan *plan, const struct job_setting *s);

/*
 * Are references to be chosen for step i? Not if a file of the user's stands for all of
 * them (flat_field.user_supplied_flat). is_member: for an imprint or a background.
 */
bool job_plan_chooses(const struct job_plan *plan, int i, bool is_member);

/* Name of products: "jw..._nrs1_rate.fits.gz" -> "jw..._nrs1". The caller frees. */
char *job_input_base(const char *path, struct err *err);

/*
 * spec3: "jwPPPPP-oOOO_<target>_nirspec_<grating>-<filter>", lower case, from the headers
 * of the first exposure. The caller frees.
 */
char *job_group_base(const struct exposure_meta *meta, struct err *err);

/* combine: "jwPPPPP-oOOO_<target>_nirspec", likewise: of no one disperser. */
char *job_target_base(const struct exposure_meta *meta, struct err *err);

/* Path that overrides a type for a stage and an exposure: what was set, else the pin of
 * the manifest, else NULL. */
const char *job_plan_override(const struct job_plan *plan, const char *stage,
                              const char *type, const struct exposure_meta *meta);

/* Does the manifest name this type for this exposure? */
bool job_plan_is_pinned(const struct job_plan *plan, const char *type,
                        const struct exposure_meta *meta);

/* Every pin is there and has the content that the manifest says (ERR_REFERENCE); of steps
 * on opening only where their references are in use (uses_on_open). */
int job_plan_check_pins(const struct job_plan *plan, struct references *refs,
                        const struct exposure_meta *meta, bool is_member,
                        bool uses_on_open, struct err *err);

/* The inputs of a job, seen one after another. */
struct job_group {
    size_t n, n_taken;          /* inputs; those that cube_build takes */
    struct exposure_meta first; /* of the first that it takes, else of the first */
};

/*
 * One more input. Those that go into the cube (cube_build.grating and filter) belong
 * together: one disperser and filter, unless cube_build.output_type is multi.
 */
int job_group_add(struct job_group *group, const struct job_plan *plan,
                  const struct exposure_meta *meta, struct err *err);
/* All inputs are seen: do any go into the cube, if there is to be one? */
int job_group_check(const struct job_group *group, const struct job_plan *plan,
                    struct err *err);

#endif
