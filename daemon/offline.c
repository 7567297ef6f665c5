#include "daemon/offline.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/path.h"
#include "daemon/report.h"
#include "daemon/status.h"

static char *failure(const struct err *err)
{
    json_t *o = json_pack("{s:b,s:s,s:s}", "ok", 0, "code", err_name(err->code),
                          "error", err->message);
    char *line = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return line;
}

/* SQLite's own words for this are no help. */
static int look(const char *path, struct err *err)
{
    if (!access(path, R_OK)) {
        return 0;
    }
    return errno == ENOENT
               ? err_set(err, ERR_IO, "there is no queue %s yet", path)
               : err_set(err, ERR_IO, "queue %s: %s", path, strerror(errno));
}

static char *answer(const struct config *config, const char *request, size_t n,
                    struct err *err)
{
    const struct params *v = config->values;
    const char *spool = params_string(v, "spool_folder");
    char *db = path_join(spool, "queue.db", err);
    char *manifests = path_join(spool, "jobs", err), *line = NULL;
    struct queue *queue = NULL;
    if (db && manifests && !look(db, err) && !queue_open(db, QUEUE_READ, &queue, err)) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        struct report r = {
            .queue = queue,
            .config = config,
            .spool_folder = spool,
            .inbox_folder = params_string(v, "inbox_folder"),
            .rejected_folder = params_string(v, "rejected_folder"),
            .place = {.products = params_string(v, "products_folder"),
                      .references = params_string(v, "references_folder"),
                      .manifests = manifests,
                      .threads =
                          config_inner_threads(config, cores < 1 ? 1 : (int)cores)}};
        if (!(line = report_answer(&r, request, n, true))) {
            err_set(err, ERR_NOMEM, "out of memory");
        }
    }
    queue_close(queue);
    free(db);
    free(manifests);
    return line;
}

int offline_answer(const struct config *config, FILE *in, FILE *out, struct err *err)
{
    char request[STATUS_MAX_REQUEST], *line = NULL;
    size_t n = 0;
    int c;
    while ((c = getc(in)) != EOF && c != '\n' && n < sizeof request) {
        request[n++] = (char)c;
    }
    if (n == sizeof request) {
        err_set(err, ERR_PARAM, "the request is longer than %d bytes",
                STATUS_MAX_REQUEST);
    } else {
        line = answer(config, request, n, err);
    }
    line = line ? line : failure(err);
    int bad = !line || fputs(line, out) < 0 || fputc('\n', out) < 0 || fflush(out);
    free(line);
    return bad ? err_set(err, ERR_IO, "cannot write the answer") : 0;
}
