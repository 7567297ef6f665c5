#include "daemon/reject.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/base/publish.h"

#define MAX_NAME 180 /* leaves room for ".<number>.why.json" */

/* A safe name made from a hostile one. */
static void tame(const char *name, char ret[MAX_NAME + 1])
{
    size_t n = 0;
    for (; n < MAX_NAME && name[n]; n++) {
        char one[3] = {'a', name[n], 0};
        ret[n] = path_is_safe_name(one) ? name[n] : '_';
    }
    ret[n] = 0;
    if (ret[0] == '.' || ret[0] == '-') {
        ret[0] = '_';
    }
}

static char *why_json(const char *name, const struct err *why, const char *sha256,
                      struct err *err)
{
    char date[32];
    time_t now = time(NULL);
    struct tm tm;
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    json_t *root = json_object();
    json_t *file = json_string(name); /* NULL unless it is UTF-8 */
    char tamed[MAX_NAME + 1];
    tame(name, tamed);
    json_object_set_new(root, "file", file ? file : json_string(tamed));
    json_t *text = json_string(why->message);
    json_object_set_new(root, "why",
                        text ? text : json_string("not a usable exposure"));
    json_object_set_new(root, "error", json_string(err_name(why->code)));
    json_object_set_new(root, "sha256", *sha256 ? json_string(sha256) : json_null());
    json_object_set_new(root, "date", json_string(date));
    char *json = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    if (!json) {
        err_set(err, ERR_NOMEM, "out of memory while writing why %s was rejected",
                tamed);
    }
    return json;
}

/* Copy to another file system, then remove; regular files only. */
static int move_far(int inbox, const char *name, const char *to)
{
    int from = openat(inbox, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    struct stat st;
    bool ok = from >= 0 && out >= 0 && fstat(from, &st) == 0 && S_ISREG(st.st_mode);
    char buffer[65536];
    ssize_t n = 0;
    while (ok && (n = read(from, buffer, sizeof buffer)) > 0) {
        ok = write(out, buffer, (size_t)n) == n;
    }
    ok = ok && n == 0 && fsync(out) == 0 && unlinkat(inbox, name, 0) == 0;
    int reason = errno;
    if (from >= 0) {
        close(from);
    }
    if (out >= 0) {
        close(out);
    }
    if (!ok && out >= 0) {
        unlink(to);
    }
    errno = reason;
    return ok ? 0 : -1;
}

int reject_file(int inbox, const char *name, const char *folder, const struct err *why,
                const char *sha256, struct err *err)
{
    char tamed[MAX_NAME + 1], unique[MAX_NAME + 16], note[MAX_NAME + 32];
    struct stat st;
    tame(name, tamed);
    int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        return err_set(err, ERR_IO, "cannot open the folder of rejected files %s: %s",
                       folder, strerror(errno));
    }
    snprintf(unique, sizeof unique, "%s", tamed);
    for (int i = 1; fstatat(dir, unique, &st, AT_SYMLINK_NOFOLLOW) == 0; i++) {
        snprintf(unique, sizeof unique, "%s.%d", tamed, i);
    }
    snprintf(note, sizeof note, "%s.why.json", unique);
    char *json = why_json(name, why, sha256, err);
    char *to = path_join(folder, unique, err);
    int code = json && to ? publish_bytes(folder, note, 1, json, strlen(json), err)
                          : ERR_NOMEM;
    if (!code && renameat2(inbox, name, dir, unique, RENAME_NOREPLACE) &&
        (errno != EXDEV || move_far(inbox, name, to))) {
        code = err_set(err, ERR_IO, "cannot move %s to the rejected files: %s", tamed,
                       strerror(errno));
        unlinkat(dir, note, 0);
    }
    if (!code) {
        fsync(dir);
    }
    close(dir);
    free(to);
    free(json);
    return code;
}
