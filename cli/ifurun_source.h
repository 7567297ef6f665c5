#ifndef IFUD_CLI_IFURUN_SOURCE_H
#define IFUD_CLI_IFURUN_SOURCE_H

#include "cli/ifurun_options.h"
#include "common/base/err.h"
#include "common/data/references.h"

/*
 * Where references come from. --references DIR: that folder. Else a CRDS cache and its
 * rules: --crds-path or $CRDS_PATH, with --crds-context or $CRDS_CONTEXT or the newest
 * context that the cache knows of. Else $IFUD_REFERENCES, or the folder "references" of
 * $CRDS_PATH without rules. $IFUD_REFERENCES goes before $CRDS_PATH unless an option
 * speaks of CRDS.
 * Test: tests/e2e/test_crds.c
 */

/* Fill in the job's reference_folder, crds_path and crds_context (all NULL: none). */
int ifurun_source(const struct ifurun_options *o, struct job *job, struct err *err);

/* Open what a job says. Free with references_close. */
int ifurun_open_references(const struct job *job, struct references **ret,
                           struct err *err);

/* The same from the options alone. */
int ifurun_open_source(const struct ifurun_options *o, struct references **ret,
                       struct err *err);

#endif
