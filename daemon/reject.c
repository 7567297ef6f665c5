#include "daemon/reject.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/path.h"
#include "common/base/publish.h"
#include "daemon/inbox_clear.h"

#define MAX_NAME 150 /* leaves room for ".<number>.why.json" and publish's part */
#define MAX_UNIQUE (MAX_NAME + 32)

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

static int io(struct err *err, const char *what, const char *name)
{
    char shown[NAME_MAX];
    int reason = errno;
    path_show(name, shown, sizeof shown);
    return err_set(err, ERR_IO, "cannot move %s to the rejected files: %s: %s", shown,
                   what, strerror(reason));
}

static int copy(int from, int to, int64_t limit)
{
    char buffer[65536];
    ssize_t n;
    while ((n = read(from, buffer, sizeof buffer)) > 0) {
        limit -= n;
        if (limit < 0) {
            errno = EFBIG; /* it grows while it is copied */
            return -1;
        }
        for (ssize_t at = 0, m; at < n; at += m) {
            if ((m = write(to, buffer + at, (size_t)(n - at))) < 0) {
                return -1;
            }
        }
    }
    return n < 0 ? -1 : 0;
}

/* To another file system: copy, sync, then let the name go; regular files only. */
static int move_far(int inbox, const char *name, const struct stat *judged, int dir,
                    const char *unique, struct err *err)
{
    struct stat st;
    int code = 0;
    int from = openat(inbox, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (from < 0 || fstat(from, &st)) {
        code = io(err, "reading", name);
    } else if (!S_ISREG(st.st_mode)) {
        errno = EXDEV;
        code = io(err, "it is no regular file", name);
    } else if (!path_same_file(&st, judged)) {
        code = err_set(err, ERR_NODATA, "another file has the name now");
    } else if (st.st_size > REJECT_MAX_BYTES) {
        errno = EFBIG;
        code = io(err, "it would have to be copied to another file system", name);
    }
    int to =
        code ? -1 : openat(dir, unique, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (!code && (to < 0 || copy(from, to, st.st_size) || fsync(to) || fsync(dir))) {
        code = io(err, "copying", name);
    }
    if (!code) {
        code = inbox_name_clear(inbox, name, judged, err);
        code = code == ERR_INPUT ? ERR_NODATA : code;
    }
    if (from >= 0) {
        close(from);
    }
    if (to >= 0) {
        close(to);
        if (code) {
            unlinkat(dir, unique, 0);
        }
    }
    return code;
}

/* Move the name. If it was given to another file since that was judged, it goes back. */
static int move(int inbox, const char *name, const struct stat *judged, int dir,
                const char *unique, struct err *err)
{
    struct stat st;
    if (fstatat(inbox, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        !path_same_file(&st, judged)) {
        return err_set(err, ERR_NODATA, "another file has the name now");
    }
    if (renameat2(inbox, name, dir, unique, RENAME_NOREPLACE)) {
        return errno == EXDEV ? move_far(inbox, name, judged, dir, unique, err)
                              : io(err, "renaming", name);
    }
    if (fstatat(dir, unique, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        !path_same_file(&st, judged) &&
        renameat2(dir, unique, inbox, name, RENAME_NOREPLACE) == 0) {
        return err_set(err, ERR_NODATA, "another file has the name now");
    }
    return 0;
}

static bool is_there(int dir, const char *name)
{
    struct stat st;
    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A rejected file of that name, that is, with a reason of its own? Else it is a reason
 * whose file a death kept from coming: it is written anew. */
static bool is_file_of_its_own(int dir, const char *note)
{
    char of_note[MAX_UNIQUE + 20];
    snprintf(of_note, sizeof of_note, "%s.why.json", note);
    return is_there(dir, note) && is_there(dir, of_note);
}

/* A name that is free in the folder, as is that of its reason: with a number, later with
 * the time. */
static void find_free(int dir, const char *tamed, char ret[MAX_UNIQUE],
                      char ret_note[MAX_UNIQUE + 10])
{
    for (int i = 0;; i++) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        if (i == 0) {
            snprintf(ret, MAX_UNIQUE, "%s", tamed);
        } else if (i < 100) {
            snprintf(ret, MAX_UNIQUE, "%s.%d", tamed, i);
        } else {
            snprintf(ret, MAX_UNIQUE, "%s.%lld%09ld", tamed, (long long)t.tv_sec,
                     t.tv_nsec);
        }
        snprintf(ret_note, MAX_UNIQUE + 10, "%s.why.json", ret);
        if (!is_there(dir, ret) && !is_file_of_its_own(dir, ret_note)) {
            return;
        }
    }
}

int reject_file(int inbox, const char *name, const struct stat *st, const char *folder,
                const struct err *why, const char *sha256, struct err *err)
{
    /* one at a time: the free name must still be free when it is used */
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    char tamed[MAX_NAME + 1], unique[MAX_UNIQUE], note[MAX_UNIQUE + 10];
    tame(name, tamed);
    int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        return err_set(err, ERR_IO, "cannot open the folder of rejected files %s: %s",
                       folder, strerror(errno));
    }
    pthread_mutex_lock(&lock);
    find_free(dir, tamed, unique, note);
    char *json = why_json(name, why, sha256, err);
    int code =
        json ? publish_bytes(folder, note, 1, json, strlen(json), err) : ERR_NOMEM;
    if (!code && (code = move(inbox, name, st, dir, unique, err))) {
        unlinkat(dir, note, 0);
    }
    pthread_mutex_unlock(&lock);
    if (!code) {
        fsync(dir);
    }
    close(dir);
    free(json);
    return code;
}
