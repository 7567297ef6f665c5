#ifndef IFUD_JOBS_JOB_WCS_H
#define IFUD_JOBS_JOB_WCS_H

#include <stdbool.h>
#include "common/data/exposure.h"
#include "common/data/references.h"
#include "jobs/job_context.h"
#include "jobs/job_plan.h"

/*
 * spec3: where the WCS of a calibrated exposure comes from: built from references, or
 * taken out of the exposure's own file (common/data/wcs_gwcs.h).
 *
 * assign_wcs.wcs_source says so. With `auto` these decide, the first that applies:
 * the file has no ASDF extension: references; a reference of assign_wcs is overridden, or
 * the manifest names one: references; the manifest names references, but none of these:
 * file; another program calibrated the exposure: file; this one did: references if all
 * eleven types are there, else file.
 * pinned: the manifest's references are all there are (false while they are being chosen).
 * Thread: any. Test: tests/jobs/test_job_wcs.c
 */
bool job_wcs_from_file(const struct job_plan *plan, struct references *refs,
                       const struct exposure *e, bool pinned);

/*
 * Read it into e->wcs, and with_regions also the slice map into e->regions. Provenance
 * names the file as reference of type gwcs.
 */
int job_wcs_read(struct job_context *c, const struct job_input *in, struct exposure *e,
                 bool with_regions, struct err *err);

#endif
