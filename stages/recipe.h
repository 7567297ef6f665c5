#ifndef IFUD_STAGES_RECIPE_H
#define IFUD_STAGES_RECIPE_H

#include <stdbool.h>
#include <stddef.h>
#include "common/base/err.h"
#include "common/base/params.h"
#include "stages/stage.h"

/*
 * Recipes are tables: the order of the peer's steps, which of them are built, and what
 * the headers call them. A step that is not built is a row without a stage: it is
 * skipped, and asking for it is an error.
 * Thread: tables are static; a struct recipe_settings is written by one thread.
 * Test: tests/stages/test_recipe.c
 */

enum step_flag {
    /* Not a step of its own: run on the headers of each exposure as it is opened. Its
     * parameters and overrides are taken; it cannot be skipped. */
    STEP_ON_OPEN = 1,
    STEP_OFF = 4, /* skipped unless skip = false is set, as in the peer */
    /* Imprints and backgrounds go through it, too, before they are taken off. */
    STEP_ON_MEMBERS = 8,
    /* What it finds holds for backgrounds, too (dataset_correct_backgrounds). */
    STEP_ON_BACKGROUNDS = 16,
    STEP_MATCH_NANS = 2 /* NaN and DO_NOT_USE go together after it, as in the peer */
};

struct recipe_step {
    const char *name;           /* the peer's step name */
    const char *alias;          /* another name that is understood, or NULL */
    const char *status_keyword; /* S_* */
    const char *title;          /* comment behind the keyword, and for --help */
    const struct stage *stage;  /* NULL: not built */
    unsigned flags;             /* enum step_flag */
};

struct recipe {
    const char *name; /* "spec2", "spec3", "combine" */
    const char *summary;
    const struct recipe_step *steps;
    int n_steps;
};

/* The recipe whose inputs are spectra, not exposures. */
#define RECIPE_COMBINE "combine"

extern const struct recipe recipes[];               /* ends with name == NULL */
const struct recipe *recipe_find(const char *name); /* or NULL */

/* Index of a step by name or alias. ERR_PARAM names the nearest. */
int recipe_step_find(const struct recipe *recipe, const char *name, int *ret_index,
                     struct err *err);

/* What each step of one run is told: parameters, skip, overrides. */
struct recipe_settings;

int recipe_settings_new(const struct recipe *recipe, struct recipe_settings **ret,
                        struct err *err);
void recipe_settings_free(struct recipe_settings *settings);

/*
 * Set `stage.name=value`: a parameter of the stage, `skip`, or `override_<type>`.
 * ERR_PARAM names the stage, the parameter and what would be right.
 */
int recipe_set(struct recipe_settings *settings, const char *stage, const char *name,
               const char *value, struct err *err);

bool recipe_is_skipped(const struct recipe_settings *settings, int step);
/* Parameters of a step; NULL if it is not built. */
const struct params *recipe_params(const struct recipe_settings *settings, int step);
/* Override of a reference type for a stage (name), or NULL. */
const char *recipe_override(const struct recipe_settings *settings, const char *stage,
                            const char *type);

#endif
