#ifndef IFUD_STAGES_CUBE_CHOICE_H
#define IFUD_STAGES_CUBE_CHOICE_H

#include <stdbool.h>
#include <stddef.h>
#include "common/base/err.h"
#include "common/base/params.h"
#include "common/data/exposure.h"

/*
 * Which exposures go into a cube: those whose disperser is in the parameter grating and
 * whose filter is in filter. The peer takes one name of each, and only both together; here
 * a list does, and one parameter alone.
 * Thread: any (plain data). Test: tests/stages/test_cube_choice.c
 */
struct cube_choice {
    unsigned gratings, filters; /* a bit for each name; 0: all */
};

/* Errors: ERR_PARAM: a name that NIRSpec does not have. */
int cube_choice_read(const struct params *params, struct cube_choice *ret,
                     struct err *err);
bool cube_choice_takes(const struct cube_choice *choice, const char *grating,
                       const char *filter);

/* ERR_INPUT: none of n exposures is chosen, of which `first` is one. */
int cube_choice_nothing(const struct params *params, size_t n,
                        const struct exposure_meta *first, struct err *err);

#endif
