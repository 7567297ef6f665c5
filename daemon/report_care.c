#include <stdlib.h>

#include "common/base/path.h"
#include "daemon/report_parts.h"
#include "daemon/retention.h"
#include "daemon/service_state.h"

json_t *report_check(const struct report *r, const struct request *in, struct err *err)
{
    (void)in;
    char *text = NULL;
    if (queue_check(r->queue, &text, err)) {
        return NULL;
    }
    json_t *o = json_object();
    report_put(o, "findings", report_text(text));
    free(text);
    return o;
}

json_t *report_backup(const struct report *r, const struct request *in, struct err *err)
{
    if (!in->path) {
        err_set(err, ERR_PARAM, "backup needs \"path\": the file to make");
        return NULL;
    }
    if (queue_backup(r->queue, in->path, err)) {
        return NULL;
    }
    json_t *o = json_object();
    report_put(o, "path", report_text(in->path));
    return o;
}

/* What retention would remove now. */
json_t *report_prunable(const struct report *r, const struct request *in,
                        struct err *err)
{
    (void)in;
    double now = service_now();
    struct queue_prune_rules rules = retention_rules(r->config->values, now);
    struct retention_sum sum;
    char *exposures = path_join(r->spool_folder, "exposures", err);
    int code = exposures
                   ? retention_run(r->queue, exposures, &rules, true, now, &sum, err)
                   : ERR_NOMEM;
    free(exposures);
    if (code) {
        return NULL;
    }
    json_t *o = json_object();
    report_put(o, "events", json_integer(sum.events));
    report_put(o, "jobs", json_integer(sum.jobs));
    report_put(o, "exposures", json_integer(sum.exposures));
    report_put(o, "bytes", json_integer(sum.bytes));
    return o;
}

/* Begin with the next tick; it goes step by step, beside everything else. */
json_t *report_prune(const struct report *r, const struct request *in, struct err *err)
{
    (void)in;
    (void)err;
    r->live->care.next_prune = 0;
    json_t *o = json_object();
    report_put(o, "started", json_true());
    return o;
}
