#include <string.h>

#include "cli/ifurun_commands.h"
#include "cli/ifurun_source.h"
#include "common/data/exposure_io.h"
#include "common/data/references.h"
#include "jobs/job_plan.h"

int ifurun_refs(const struct ifurun_options *o, struct err *err)
{
    struct job job = {0};
    struct job_plan plan = {0};
    struct references *refs = NULL;
    struct exposure *e = NULL;
    if (o->n_files != 1) {
        return err_set(err, ERR_PARAM, "refs takes one exposure; see ifurun --help");
    }
    int code = ifurun_make_job(o, "spec2", o->files, 1, &job, err);
    if (!code) {
        code = job_plan_make(&job, &plan, err);
    }
    if (!code) {
        code = exposure_read_headers_alone(o->files[0], &e, err);
    }
    if (!code) {
        code = ifurun_open_references(&job, &refs, err);
    }
    for (int i = 0; !code && i < plan.recipe->n_steps; i++) {
        const struct stage *stage = plan.recipe->steps[i].stage;
        for (const char *const *t = stage ? stage->reference_types : NULL; t && *t;
             t++) {
            struct reference_choice choice;
            struct err why = {0};
            int missing = references_choose(
                refs, *t, &e->meta, recipe_override(plan.settings, stage->name, *t),
                &choice, &why);
            printf("%-12s %-16s %s: %s\n", stage->name, *t,
                   missing ? "none" : choice.path,
                   missing ? why.message : choice.reason);
            if (missing && err->code == 0 && !reference_type_is_optional(*t)) {
                *err = why;
            }
        }
    }
    code = code ? code : err->code;
    references_close(refs);
    exposure_free(e);
    job_plan_done(&plan);
    job_done(&job);
    return code;
}
