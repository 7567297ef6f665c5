/*
 * A job's manifest: read, checked against its recipe (no file is opened), and written
 * again: what was read must come back as it was.
 */
#include <stdlib.h>
#include <string.h>
#include "jobs/job.h"
#include "jobs/job_plan.h"
#include "tests/fuzz/fuzz.h"

static void plan(const struct job *job)
{
    struct err err = {0};
    struct job_plan p = {0};
    struct exposure_meta meta = {0};
    if (job_plan_make(job, &p, &err)) {
        fuzz_must(err.message[0] != '\0', "refused without a word");
        return;
    }
    for (int i = 0; i <= p.last; i++) {
        job_plan_runs(&p, i);
        job_plan_chooses(&p, i, i % 2);
    }
    job_plan_override(&p, "flat_field", "fflat", &meta);
    job_plan_done(&p);
}

void fuzz_manifest(const uint8_t *data, size_t n)
{
    struct err err = {0};
    struct job job = {0}, again = {0};
    char *text = fuzz_text(data, n);
    if (job_parse(text, &job, &err)) {
        fuzz_must(err.message[0] != '\0', "refused without a word");
    } else {
        char *first = job_to_json(&job, &err);
        fuzz_must(first != NULL, "a manifest that was read cannot be written");
        fuzz_must(!job_parse(first, &again, &err), "what was written is refused");
        char *second = job_to_json(&again, &err);
        fuzz_must(second && !strcmp(first, second), "read back, it is another one");
        plan(&job);
        for (size_t i = 0; i < job.n_inputs; i++) {
            free(job_input_base(job.inputs[i].path, &err));
        }
        free(first);
        free(second);
        job_done(&again);
        job_done(&job);
    }
    free(text);
}
