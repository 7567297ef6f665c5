#ifndef IFUD_JOBS_JOB_CODE_H
#define IFUD_JOBS_JOB_CODE_H

/*
 * The version of all code on which a result may depend: that of the program, and the first
 * digits of a hash over the sources of common/, stages/ and jobs/ ("0.1.0+1f0c2a4b5d6e7f80").
 * Thread: any; static storage. Test: tests/jobs/test_job_fingerprint.c
 */
const char *job_code_version(void);

#endif
