#include "cli/ifurun_source.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "cli/ifurun_commands.h"
#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/data/crds_cache.h"

/* An environment variable that says something, or NULL. */
static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static int use_folder(struct job *job, const char *folder, struct err *err)
{
    job->reference_folder = mem_strdup(folder, err);
    return job->reference_folder ? 0 : ERR_NOMEM;
}

static int use_rules(struct job *job, const char *path, const char *context,
                     struct err *err)
{
    job->crds_path = mem_strdup(path, err);
    job->crds_context = mem_strdup(context ? context : "latest", err);
    return job->crds_path && job->crds_context ? 0 : ERR_NOMEM;
}

/* A cache without rules: its references speak for themselves. */
static int use_cache_as_folder(struct job *job, const char *path, struct err *err)
{
    struct stat st;
    char *folder = path_join(path, "references", err);
    int code = folder ? 0 : ERR_NOMEM;
    if (!code && !stat(folder, &st) && S_ISDIR(st.st_mode)) {
        code = use_folder(job, folder, err);
    }
    free(folder);
    return code;
}

int ifurun_source(const struct ifurun_options *o, struct job *job, struct err *err)
{
    const char *own = environment("IFUD_REFERENCES");
    const char *path = o->crds_path ? o->crds_path : environment("CRDS_PATH");
    const char *context =
        o->crds_context ? o->crds_context : environment("CRDS_CONTEXT");
    const bool asked = o->crds_path || o->crds_context;
    if (o->references) {
        return asked ? err_set(err, ERR_PARAM,
                               "--references and --crds-path or --crds-context: give "
                               "one of them")
                     : use_folder(job, o->references, err);
    }
    if (asked && !path) {
        return err_set(err, ERR_PARAM,
                       "--crds-context needs --crds-path or $CRDS_PATH, the cache");
    }
    if (!asked && own) {
        return use_folder(job, own, err);
    }
    if (path && (asked || context || crds_has_latest(path))) {
        return use_rules(job, path, context, err);
    }
    return path ? use_cache_as_folder(job, path, err) : 0;
}

int ifurun_open_references(const struct job *job, struct references **ret,
                           struct err *err)
{
    struct references *refs = NULL;
    int code = references_open(job->crds_path ? NULL : job->reference_folder,
                               IFURUN_CACHE_BYTES, &refs, err);
    if (!code && job->crds_path) {
        code =
            references_use_crds(refs, job->crds_path,
                                job->crds_context ? job->crds_context : "latest", err);
    }
    if (code) {
        references_close(refs);
        return code;
    }
    *ret = refs;
    return 0;
}

int ifurun_open_source(const struct ifurun_options *o, struct references **ret,
                       struct err *err)
{
    struct job job = {0};
    int code = ifurun_source(o, &job, err);
    code = code ? code : ifurun_open_references(&job, ret, err);
    job_done(&job);
    return code;
}
