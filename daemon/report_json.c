#include "daemon/report_parts.h"

json_t *report_text(const char *s)
{
    json_t *t = json_string(s);
    return t ? t : json_string("(not UTF-8)");
}

void report_put(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value);
}

json_t *report_job(const struct queue_job *j)
{
    json_t *o = json_object();
    report_put(o, "id", json_integer(j->id));
    report_put(o, "job", report_text(j->name));
    report_put(o, "recipe", report_text(j->recipe));
    report_put(o, "program", report_text(j->program));
    report_put(o, "group", report_text(j->group));
    report_put(o, "version", json_integer(j->version));
    report_put(o, "state", report_text(job_state_name(j->state)));
    report_put(o, "wish", report_text(j->wish));
    report_put(o, "priority", json_integer(j->priority));
    report_put(o, "attempt", json_integer(j->attempt));
    report_put(o, "failures", json_integer(j->failures));
    report_put(o, "crashes", json_integer(j->crashes));
    report_put(o, "estimate_bytes", json_integer(j->estimate_bytes));
    report_put(o, "peak_bytes", json_integer(j->peak_bytes));
    report_put(o, "created_at", json_real(j->created_at));
    report_put(o, "changed_at", json_real(j->changed_at));
    report_put(o, "queued_at",
               j->queued_at > 0 ? json_real(j->queued_at) : json_null());
    report_put(o, "retry_at",
               j->state == JOB_DEFERRED ? json_real(j->not_before) : json_null());
    report_put(o, "stage", report_text(j->stage));
    report_put(o, "error", report_text(j->error));
    report_put(o, "message", report_text(j->message));
    return o;
}

json_t *report_event(const struct queue_event *e)
{
    json_t *o = json_object();
    report_put(o, "id", json_integer(e->id));
    report_put(o, "at", json_real(e->at));
    report_put(o, "file", report_text(e->file));
    report_put(o, "exposure", report_text(e->exposure));
    report_put(o, "job", report_text(e->job));
    report_put(o, "from", report_text(e->from));
    report_put(o, "to", report_text(e->to));
    report_put(o, "message", report_text(e->message));
    return o;
}

json_t *report_exposure(const struct queue_exposure *e)
{
    json_t *o = json_object();
    report_put(o, "exposure", report_text(e->name));
    report_put(o, "sha256", report_text(e->sha256));
    report_put(o, "state", report_text(e->state));
    report_put(o, "role", report_text(e->role));
    report_put(o, "program", report_text(e->program));
    report_put(o, "group", report_text(e->group));
    report_put(o, "target", report_text(e->target));
    report_put(o, "detector", report_text(e->detector));
    report_put(o, "filter", report_text(e->filter));
    report_put(o, "grating", report_text(e->grating));
    report_put(o, "dither", json_integer(e->pattern_number));
    report_put(o, "dithers", json_integer(e->pattern_total));
    report_put(o, "bytes", json_integer(e->bytes));
    report_put(o, "accepted_at", json_real(e->accepted_at));
    return o;
}
