#ifndef IFUD_JOBS_JOB_H
#define IFUD_JOBS_JOB_H

#include <stdatomic.h>
#include <stddef.h>
#include "common/base/err.h"
#include "common/base/par.h"
#include "common/data/references.h"

/*
 * A job: one recipe on named inputs with named parameters, as a JSON manifest.
 * `ifurun` and the daemon run jobs through job_run and nothing else.
 * Ownership: job_done frees what a struct job holds. Thread: one at a time per job.
 */

#define JOB_REPLACES_NONE "-"

struct job_input {
    char *path;
    char sha256[65]; /* "" if not known yet; job_pin fills it, job_run checks it */
};

/* A file beside the inputs: of spec2 an exposure that is taken off each of them, of spec3
 * the spectrum (_x1d) of a dedicated background. */
#define JOB_IMPRINT "imprint"
#define JOB_BACKGROUND "background"
struct job_member {
    char *role; /* one of these two; what the file's headers say is not asked */
    char *path;
    char sha256[65];
};

struct job_setting {
    char *stage, *name, *value; /* --set stage.name=value; also skip, override_<type> */
};

struct job_reference { /* pinned: exactly this file, or an error */
    char *input;       /* base name of the input it was chosen for */
    char type[24];
    char *path;
    char sha256[65];
};

struct job {
    char *id;     /* "spec2-jw..._nrs1-1"; used in messages */
    char *recipe; /* "spec2" or "spec3" */
    struct job_input *inputs;
    size_t n_inputs;
    struct job_member *members;
    size_t n_members;
    char *reference_folder;         /* NULL: overrides only, or a CRDS context */
    char *crds_path, *crds_context; /* a CRDS cache whose rules choose; NULL: none */
    struct job_reference *references;
    size_t n_references; /* 0: choose at run time */
    struct job_setting *settings;
    size_t n_settings;
    char **save; /* stages whose product is written too */
    size_t n_save;
    /* What an earlier run published, with the hashes it had then: taken where it is what
     * this run would make (job_resume.h). Does not stand in the published manifest. */
    struct job_input *reuse;
    size_t n_reuse;
    /* The spectrum (_x1d) that the new one is compared with and shown beside; "-": none;
     * NULL: what stands in its place. Does not stand in the published manifest. */
    char *replaces;
    char *stop_after;    /* stage name or NULL */
    char *output_folder; /* products go here */
    char *product_name;  /* base name without suffix; NULL: spec2: that of the input,
                            spec3: from the headers */
    char *date;          /* ISO 8601 UTC, DATE of every product */
    int threads;         /* inner threads */
    int attempt;         /* 1.. */
};

void job_done(struct job *job);

/* JSON: unknown keys, wrong types and unsafe paths are refused by name (ERR_INPUT). */
int job_parse(const char *json, struct job *ret, struct err *err);
int job_read(const char *path, struct job *ret, struct err *err);
char *job_to_json(const struct job *job, struct err *err); /* canonical; caller frees */

/* Check recipe, stages, parameters, values and files without running. */
int job_check(const struct job *job, struct err *err);

/* Fill in what makes it complete: hashes of inputs (par: whose threads take them; may be
 * NULL), the choice of every reference. */
int job_pin(struct job *job, struct references *refs, struct par *par, struct err *err);

struct job_events { /* called from the thread that called job_run, or its team */
    /* stage `index` of `count` has done `share` (0..1) */
    void (*stage)(void *user, const char *stage, int index, int count, double share);
    void (*note)(void *user, int is_warning, const char *stage, const char *line);
    void *user;
};

struct job_product {
    char *path;
    char suffix[40]; /* "cal", "s3d", "x1d", ... */
    char sha256[65];
    size_t bytes;
};

/* Wall time of a stage, seconds: the computation, and writing what it has made. */
struct job_timing {
    const char *stage; /* static: the stage's name, or "read" for what goes before */
    double run, write;
};

/* Of the published spectrum from the one that it replaced (job_difference.h). */
struct job_difference {
    size_t compared; /* rows; 0: there was none, or the spectrum was not made anew */
    double median_percent, largest_percent, largest_percent_um; /* NaN: not known */
    double largest_sigma, largest_sigma_um;
};

struct job_result {
    struct job_product *products;
    size_t n_products;
    struct job_timing timings[32];
    size_t n_timings;
    struct job_difference difference;
    char failed_stage[40]; /* on failure: where */
};
void job_result_done(struct job_result *result);

/*
 * Run: read the inputs, run the stages in order, write the products and the manifest
 * (<product>_<recipe>_manifest.json) beside their place under the attempt's name and
 * fsync them as the stages end. Once all have succeeded everything is renamed and the
 * folder fsynced; a run that fails or is cancelled publishes nothing.
 * refs is shared (one per process); par may be NULL.
 */
int job_run(const struct job *job, struct references *refs, struct par *par,
            const atomic_bool *cancel, const struct job_events *events,
            struct job_result *ret, struct err *err);

#endif
