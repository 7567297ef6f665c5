#ifndef IFUD_JOBS_JOB_WCS_H
#define IFUD_JOBS_JOB_WCS_H

#include <stdint.h>
#include "common/data/wcs.h"
#include "stages/stage.h"

/*
 * The WCS of an exposure from its headers alone: references chosen and loaded for the
 * stage assign_wcs, whose name env carries.
 * Given:     params of assign_wcs; meta; nx, ny pixels
 * Returned:  *ret (one reference, wcs_release); regions (uint8_t[ny * nx], may be NULL):
 *            slice of each pixel, 0 = none
 * Thread: the one that owns env->par. Test: tests/jobs/test_job.c
 */
int job_build_wcs(const struct stage_env *env, const struct params *params,
                  const struct exposure_meta *meta, int nx, int ny, struct wcs **ret,
                  uint8_t *regions, struct err *err);

#endif
