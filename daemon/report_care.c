#include <stdlib.h>

#include "daemon/report_parts.h"

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
