#ifndef IFUD_JOBS_JOB_FINGERPRINT_H
#define IFUD_JOBS_JOB_FINGERPRINT_H

#include <stdbool.h>
#include "common/base/err.h"
#include "common/base/sha256.h"
#include "common/data/provenance.h"
#include "jobs/job_plan.h"

/*
 * What a result depends on, as a chain of hashes along the recipe:
 *
 *   F(step) = SHA-256(F(step before), name of the step, code version, whether it runs, its
 *             parameters in canonical form, hashes of files that they name, names and
 *             hashes of the references that it may use)
 *   F(before the first) = SHA-256(recipe, names and hashes of inputs and members)
 *
 * Two jobs with the same F(step) have the same result after that step, but for dates. Folders,
 * threads, attempts and what is saved do not enter. Each product says in IFUD_PROVENANCE by
 * which fingerprint each step up to it was made (kind "fingerprint"; its value is the date).
 * Thread: any. Test: tests/jobs/test_job_fingerprint.c
 */
struct job_fingerprint {
    int n; /* steps: all up to plan->last; 0: not known */
    char step[JOB_MAX_STEPS][SHA256_HEX];
};

/*
 * Given:    plan  of a pinned job (job_pin): of another *ret is not known, which is no error
 *           refs  hashes the files that parameters name
 *           code  version of the code, as job_code_version
 * Returned: *ret; ERR_INPUT if a file that a parameter names cannot be read
 */
int job_fingerprint(const struct job_plan *plan, struct references *refs,
                    const char *code, struct job_fingerprint *ret, struct err *err);

/*
 * Do the fingerprints that a product carries agree with these?
 * Given:    p  its provenance
 * Returned: *ret_last, the last step that the product says it has gone through, -1 if it says
 *           nothing; true if all up to it are those of f
 */
bool job_fingerprint_agrees(const struct job_fingerprint *f,
                            const struct recipe *recipe, const struct provenance *p,
                            int *ret_last);

#endif
