#ifndef IFUD_CLI_IFURUN_OPTIONS_H
#define IFUD_CLI_IFURUN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include "common/base/err.h"
#include "cli/ifurun_child.h"
#include "jobs/job.h"

/* The command line of ifurun. Borrows argv; ifurun_options_done frees the rest. */
struct ifurun_options {
    const char *command; /* "spec2", "wcs", ..., or a manifest's path */
    const char *references, *crds_path, *crds_context, *output, *stop_after, *timings;
    int threads;
    bool help, reuse;
    int report_fd; /* -1: none */
    struct ifurun_limits limits;
    struct job_setting *settings;
    size_t n_settings;
    struct job_member *members; /* --imprint, --background */
    size_t n_members;
    char **save;
    size_t n_save;
    char **files;
    size_t n_files;
};

/* ERR_PARAM with what would be right. */
int ifurun_options_read(int argc, char **argv, struct ifurun_options *ret,
                        struct err *err);
void ifurun_options_done(struct ifurun_options *o);

/* A job with the options' settings. Free with job_done. */
int ifurun_make_job(const struct ifurun_options *o, const char *recipe,
                    char *const *files, size_t n_files, struct job *ret,
                    struct err *err);

#endif
