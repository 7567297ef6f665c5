#ifndef IFUD_STAGES_STAGE_H
#define IFUD_STAGES_STAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include "common/base/err.h"
#include "common/base/par.h"
#include "common/base/params.h"
#include "common/data/cube.h"
#include "common/data/exposure.h"
#include "common/data/plane_set.h"
#include "common/data/references.h"
#include "common/data/spectrum.h"

/*
 * What a stage is. One const struct stage per file: the peer's step name, a summary,
 * the reference types it reads, one table of parameters, and run(). A stage changes a
 * dataset in memory; it knows nothing of the daemon, of SQLite or of files.
 * To add one: write its file and add one line to the table in recipe.c.
 */

/*
 * Exposures that are not all in memory: spec3 opens one at a time from its file.
 * open() gives exposure i with its WCS built; with `pixels` false only meta, headers,
 * nx, ny and wcs are there and every plane is NULL (cheap: for a first pass over the
 * extents). The exposure belongs to the source until close(), which must follow; at most
 * one should be open at a time. Thread: the one that runs the stage.
 */
struct exposure_source {
    size_t n;
    int (*open)(void *user, size_t i, bool pixels, struct exposure **ret,
                struct err *err);
    void (*close)(void *user, size_t i, struct exposure *e);
    void *user;
};

/*
 * What a stage does to exposures that are not in memory: on every one as it is opened, in
 * the order in which stages asked for it. Thread: the one that opens.
 */
struct corrector {
    /* With `pixels` false there are only headers, as in struct exposure_source; else
     * planes as `few_planes` says. */
    int (*correct)(void *user, struct exposure *e, bool pixels, struct err *err);
    /* Error that all pixels of a plane (at um, width_um wide) have in common afterwards, in
     * MJy/sr, so that no mean over them makes it smaller; NULL: none. */
    double (*common_error)(const void *user, double um, double width_um);
    void (*done)(void *user); /* frees `user` */
    void *user;
    bool few_planes; /* what a cube is made of is all that correct() looks at
                        (exposure_read_for_cube); false: every plane of the file */
    /* Tell the header of a cube that is made of all exposures; NULL: nothing to tell. */
    int (*describe)(const void *user, struct header *primary, struct err *err);
};

/* What a recipe works on. spec2: one exposure; spec3: several. Owned by the runner.
 * A stage goes through dataset_n, dataset_open and dataset_close. */
struct dataset {
    /* spec2: exposures that are taken off this one, NULL: none was given. Opened with
     * pixels they have gone through the stages before this one (as far as those run), as
     * the exposure has: a background also through imprint_subtract. */
    const struct exposure_source *imprints, *backgrounds;
    /* spec3: spectra of dedicated backgrounds */
    struct spectrum **background_spectra;
    size_t n_background_spectra;
    struct exposure **exposures; /* those in memory; NULL where `source` is set */
    size_t n_exposures;
    const struct exposure_source *source; /* NULL: all are in `exposures` */
    struct corrector correctors[4];       /* dataset_correct */
    size_t n_correctors;
    struct corrector background_corrector; /* dataset_correct_backgrounds */
    struct spectrum **spectra;             /* combine: the inputs */
    size_t n_spectra;
    struct cube *cube;         /* NULL before cube_build */
    struct spectrum *spectrum; /* NULL before extract_1d */
};

/* How many exposures there are, in memory or not. */
size_t dataset_n(const struct dataset *data);
/* Exposure i (see struct exposure_source for `pixels`), to be given back with
 * dataset_close before the next is opened. */
int dataset_open(struct dataset *data, size_t i, bool pixels, struct exposure **ret,
                 struct err *err);
void dataset_close(struct dataset *data, size_t i, struct exposure *e);

/* Have every exposure corrected: those in memory now, others whenever they are opened.
 * Takes `c->user` over, also on failure. */
int dataset_correct(struct dataset *data, const struct corrector *c, struct err *err);
/* Do all correctors content themselves with what a cube is made of? */
bool dataset_needs_few_planes(const struct dataset *data);
/* Does any corrector have a common error? */
bool dataset_has_common_error(const struct dataset *data);
/* Have the backgrounds corrected when they are opened by later stages. Takes `c->user` over. */
void dataset_correct_backgrounds(struct dataset *data, const struct corrector *c);
/* The common errors of all correctors in a plane, in quadrature; MJy/sr. */
double dataset_common_error(const struct dataset *data, double um, double width_um);
/* What the correctors have to tell of a cube made of all exposures. */
int dataset_describe(const struct dataset *data, struct header *primary,
                     struct err *err);
void dataset_correctors_done(struct dataset *data);

/* What a stage is given. Borrowed for the call. */
struct stage_env {
    struct par *par; /* parallel loops; NULL: one thread */
    struct references *refs;
    const atomic_bool *cancel; /* may be NULL; long loops look at it between pieces */
    const char *recipe;        /* "spec2" or "spec3" */
    const char *scratch; /* folder for a file that memory is too small for; or NULL */

    /* Path that overrides the choice of a reference type for this stage and exposure, or
     * NULL; of an optional type "": there is none. */
    const char *(*override)(void *user, const char *stage, const char *type,
                            const struct exposure_meta *meta);
    /* Told for each reference in use: for headers, provenance and manifest. */
    void (*used_reference)(void *user, const struct exposure_meta *meta,
                           const struct reference_choice *choice);
    /* Given one more product of a stage (owned from then on); NULL: not wanted. */
    int (*keep)(void *user, const char *suffix, struct exposure *e, struct err *err);
    int (*keep_spectrum)(void *user, const char *suffix, struct spectrum *s,
                         struct err *err);
    int (*keep_planes)(void *user, const char *exposure, const char *suffix,
                       struct plane_set *p, struct err *err);
    /* Told that the stage has nothing to do: S_* of the products will say SKIPPED. */
    void (*skipped)(void *user);
    /* Share done of this stage, 0..1. Any thread of the team may call it. */
    void (*progress)(void *user, double share);
    /* One line for the log: what was decided, or what a user should know. */
    void (*note)(void *user, int is_warning, const char *line);
    void *user;
    const char *stage_name; /* of the stage being run */
};

struct stage {
    const char *name; /* the peer's step name, as on the command line */
    const char
        *status_keyword; /* S_* keyword of the primary header: COMPLETE / SKIPPED */
    const char *suffix;  /* product suffix after --save: "cal", else the name */
    const char *summary;
    const char *const *reference_types; /* ends with NULL */
    const struct param *params; /* its own; `skip` is added to all by the recipe */
    size_t n_params;
    /* What can be said of the parameters before anything is read; NULL: nothing. ERR_PARAM
     * names the parameter, its value and what would be right. */
    int (*check)(const struct params *params, struct err *err);
    /* 0, or ERR_*; on failure the dataset may only be freed. */
    int (*run)(const struct stage_env *env, const struct params *params,
               struct dataset *data, struct err *err);
};

/*
 * Run `one` on every exposure of the dataset, one after another, each opened and closed;
 * progress is told by the share of exposures done. For stages that look at one at a time.
 */
int stage_each_exposure(const struct stage_env *env, const struct params *params,
                        struct dataset *data,
                        int (*one)(const struct stage_env *env,
                                   const struct params *params, struct exposure *e,
                                   struct err *err),
                        struct err *err);

/*
 * Choose (with override), load and report one reference for one exposure.
 * The caller releases *ret_ref with reference_release.
 */
int stage_reference(const struct stage_env *env, const struct exposure_meta *meta,
                    const char *type, struct reference **ret_ref,
                    const void **ret_object, struct err *err);

/*
 * The same for a type that an exposure can do without (reference_type_is_optional):
 * *ret_ref is NULL if there is none.
 */
int stage_reference_if_any(const struct stage_env *env,
                           const struct exposure_meta *meta, const char *type,
                           struct reference **ret_ref, const void **ret_object,
                           struct err *err);

/*
 * One more product beside the stage's own, as save_mask asks for: written as
 * <product>_<suffix>.fits. Takes e over, also on failure.
 */
int stage_keep(const struct stage_env *env, const char *suffix, struct exposure *e,
               struct err *err);
int stage_keep_spectrum(const struct stage_env *env, const char *suffix,
                        struct spectrum *s, struct err *err);
/* Of a group, named after one of its exposures (its file name), as the peer does:
 * <exposure>_<observation>_<suffix>.fits. */
int stage_keep_planes(const struct stage_env *env, const char *exposure,
                      const char *suffix, struct plane_set *p, struct err *err);

/* The stage leaves the exposure as it is, as if it had been skipped: S_* says SKIPPED. A
 * stage says why by stage_note or stage_warn. */
void stage_skipped(const struct stage_env *env);

/* One line for the log, printf style. */
void stage_note(const struct stage_env *env, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void stage_warn(const struct stage_env *env, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void stage_progress(const struct stage_env *env, double share);

/* The stages that are built. */
extern const struct stage stage_assign_wcs, stage_clean_flicker_noise,
    stage_msa_flagging, stage_imprint_subtract, stage_bkg_subtract,
    stage_badpix_selfcal, stage_master_background, stage_outlier_detection,
    stage_srctype, stage_flat_field, stage_pathloss, stage_photom,
    stage_adaptive_trace_model, stage_pixel_replace, stage_cube_build, stage_extract_1d,
    stage_combine_1d;

#endif
