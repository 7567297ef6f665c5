#include "config/reload.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "daemon/messages.h"
#include "daemon/notify.h"
#include "daemon/rules.h"
#include "daemon/service_state.h"

/* What was copied from the configuration when the daemon started. */
static void apply(struct service *s)
{
    const struct params *v = s->config->values;
    log_set_level_name(params_string(v, "log_level"));
    inbox_retime(s->inbox, params_real(v, "settle_seconds"),
                 params_real(v, "incomplete_seconds"),
                 params_real(v, "rescan_seconds"));
    struct err err = {0};
    if (rules_apply(s->queue, s->config, &err)) {
        service_trouble(s, "cannot look at the groups again: %s", err.message);
    }
    service_plan(s);
}

static void refuse(struct service *s, const struct err *err)
{
    free(s->reload.error);
    s->reload.error = mem_strdup(err->message, NULL);
    log_event(LOG_LEVEL_ERROR, message_id(MESSAGE_RELOAD_REFUSED), NULL,
              "the configuration stays as it was: %s", err->message);
}

static void take(struct service *s, struct config *merged, const char *changed,
                 char *restart)
{
    config_free(s->reload.config);
    s->reload.config = merged;
    s->config = merged;
    s->reload.loaded_at = service_now();
    free(s->reload.error);
    s->reload.error = NULL;
    free(s->reload.restart);
    s->reload.restart = restart;
    log_event(*restart ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
              message_id(MESSAGE_RELOADED), NULL,
              "configuration %s read again; changed: %s%s%s", merged->path,
              *changed ? changed : "nothing",
              *restart ? "; not before a restart: " : "", restart);
    apply(s);
}

/* The context of a configuration that is about to be taken. */
static int use_crds(struct service *s, const struct config *fresh, struct err *err)
{
    static const char *const keys[] = {"crds_path", "crds_context"};
    const struct params *old = s->config->values, *new = fresh->values;
    bool same = true;
    for (int i = 0; i < 2; i++) {
        same = same && !strcmp(params_text(old, keys[i]), params_text(new, keys[i]));
    }
    return same ? 0
                : references_use_crds(s->references, params_string(new, "crds_path"),
                                      params_string(new, "crds_context"), err);
}

void reload_configuration(struct service *s)
{
    struct config *fresh = NULL, *merged = NULL;
    char *changed = NULL, *restart = NULL;
    struct err err = {0};
    notify("RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)notify_clock_us());
    int code = config_read(s->config->path, &fresh, &err);
    code =
        code ? code : config_merge(s->config, fresh, &merged, &changed, &restart, &err);
    code = code ? code : use_crds(s, merged, &err);
    if (code) {
        config_free(merged);
        free(restart);
        refuse(s, &err);
    } else {
        take(s, merged, changed, restart);
    }
    free(changed);
    config_free(fresh);
    notify("READY=1\nSTATUS=%s%s", code ? "The configuration stays as it was: " : "",
           code ? err.message : "The configuration was read again");
}

/* Text that may not be UTF-8, or NULL. */
static json_t *text(const char *s)
{
    json_t *t = s ? json_string(s) : json_null();
    return t ? t : json_string("(not UTF-8)");
}

json_t *reload_status(const struct service *s)
{
    json_t *o = json_object();
    json_object_set_new(o, "file", text(s->config->path));
    json_object_set_new(o, "loaded_at", json_real(s->reload.loaded_at));
    json_object_set_new(o, "error", text(s->reload.error));
    json_object_set_new(o, "restart_needed_for",
                        text(s->reload.restart ? s->reload.restart : ""));
    return o;
}

void reload_done(struct service *s)
{
    config_free(s->reload.config);
    free(s->reload.error);
    free(s->reload.restart);
}
