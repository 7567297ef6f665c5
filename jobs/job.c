#include "jobs/job.h"

#include <stdlib.h>

void job_done(struct job *job)
{
    if (!job) {
        return;
    }
    for (size_t i = 0; i < job->n_inputs; i++) {
        free(job->inputs[i].path);
    }
    for (size_t i = 0; i < job->n_members; i++) {
        free(job->members[i].role);
        free(job->members[i].path);
    }
    for (size_t i = 0; i < job->n_references; i++) {
        free(job->references[i].input);
        free(job->references[i].path);
    }
    for (size_t i = 0; i < job->n_settings; i++) {
        free(job->settings[i].stage);
        free(job->settings[i].name);
        free(job->settings[i].value);
    }
    for (size_t i = 0; i < job->n_save; i++) {
        free(job->save[i]);
    }
    free(job->inputs);
    free(job->members);
    free(job->references);
    free(job->settings);
    for (size_t i = 0; i < job->n_reuse; i++) {
        free(job->reuse[i].path);
    }
    free(job->reuse);
    free(job->save);
    free(job->id);
    free(job->recipe);
    free(job->reference_folder);
    free(job->crds_path);
    free(job->crds_context);
    free(job->replaces);
    free(job->stop_after);
    free(job->output_folder);
    free(job->product_name);
    free(job->date);
    *job = (struct job){0};
}

void job_result_done(struct job_result *result)
{
    for (size_t i = 0; i < result->n_products; i++) {
        free(result->products[i].path);
    }
    free(result->products);
    *result = (struct job_result){0};
}
