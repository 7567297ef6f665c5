#ifndef IFUD_CLI_IFURUN_ASSOCIATION_H
#define IFUD_CLI_IFURUN_ASSOCIATION_H

#include "cli/ifurun_options.h"
#include "jobs/association.h"

/*
 * Jobs as an association file says: inputs, imprints and backgrounds are the files that
 * it names, beside it; products are named as it says.
 * Thread: one. Test: tests/e2e/test_ifurun_association.c
 */

/* Is one of the files an association? Then all must be (ERR_PARAM). */
int ifurun_has_associations(const struct ifurun_options *o, bool *ret, struct err *err);

/*
 * The job of one product. Every member must be there, and all of one disperser and filter
 * (ERR_INPUT, with file, product and member). Members that are not used are told on
 * standard error.
 * Given: a: read from `path`. Returned: *ret; free with job_done.
 */
int ifurun_association_job(const struct ifurun_options *o, const char *path,
                           const struct association *a, size_t product, struct job *ret,
                           struct err *err);

#endif
