#include "jobs/job_code.h"

/* IFUD_CODE: the Makefile hashes the sources; this file is compiled again with any. */
const char *job_code_version(void)
{
    return IFUD_VERSION "+" IFUD_CODE;
}
