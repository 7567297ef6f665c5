#include "config/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/base/mem.h"

#define MAX_PATH 3000

static const char *const folders[] = {"inbox_folder", "spool_folder", "products_folder",
                                      "rejected_folder", "references_folder"};
#define N_FOLDERS (sizeof folders / sizeof *folders)

/* Without "//", "/./", "x/..", and a slash at either end. */
static char *plain(const char *path, struct err *err)
{
    bool absolute = *path == '/';
    size_t at = 0, depth = 0; /* depth: words that a ".." can take back */
    char *out = mem_alloc(strlen(path) + 2, 1, err);
    if (!out) {
        return NULL;
    }
    for (; *path; path += strspn(path, "/")) {
        size_t n = strcspn(path, "/");
        bool up = n == 2 && !strncmp(path, "..", 2);
        if (up && depth > 0) {
            while (at > 0 && out[--at] != '/') {
            }
            depth--;
        } else if (n > 0 && !(n == 1 && *path == '.') && !(up && absolute)) {
            if (at > 0) {
                out[at++] = '/';
            }
            memcpy(out + at, path, n);
            at += n;
            depth += !up;
        }
        path += n;
    }
    out[at] = 0;
    return out;
}

int config_inside(const char *path, const char *folder, bool *ret, struct err *err)
{
    char *p = plain(path, err), *f = p ? plain(folder, err) : NULL;
    if (f) {
        size_t n = strlen(f);
        *ret = (path[0] == '/') == (folder[0] == '/') &&
               (n == 0 || (!strncmp(p, f, n) && (p[n] == '/' || p[n] == 0)));
    }
    free(p);
    int code = f ? 0 : ERR_NOMEM;
    free(f);
    return code;
}

int config_apart(const char *const *names, const char *const *paths, size_t n,
                 struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < n; k++) {
            bool inside = false, same = false;
            if (i == k || !paths[i] || !paths[k]) {
                continue;
            }
            int code = config_inside(paths[i], paths[k], &inside, err);
            code = code ? code : config_inside(paths[k], paths[i], &same, err);
            if (code) {
                return code;
            }
            if (inside) {
                return err_set(err, ERR_PARAM,
                               "%s %s %s %s: each needs a folder of its own", names[i],
                               paths[i], same ? "is also" : "lies in", names[k]);
            }
        }
    }
    return 0;
}

/* Settings look like stage.parameter=value; stages themselves are checked by the job. */
static int check_settings(const struct config *c, const char *name, struct err *err)
{
    size_t n;
    char **lines = config_strings(c, name, &n, err);
    if (!lines) {
        return ERR_NOMEM;
    }
    int code = 0;
    for (size_t i = 0; i < n && !code; i++) {
        const char *dot = strchr(lines[i], '.'), *is = strchr(lines[i], '=');
        if (!dot || !is || dot == lines[i] || is < dot + 2 || !is[1]) {
            code = err_set(err, ERR_PARAM, "%s: '%s' is not stage.parameter=value",
                           name, lines[i]);
        }
    }
    free(lines);
    return code;
}

/* "PROGRAM:OBSERVATION,OBSERVATION...", in digits. */
static bool is_observation_list(const char *line)
{
    size_t n = strspn(line, "0123456789"), observations = 0;
    if (n < 1 || n > 5 || line[n] != ':') {
        return false;
    }
    for (line += n; *line; line += n + 1) {
        n = strspn(line + 1, "0123456789");
        if (n < 1 || n > 3 || (line[n + 1] && line[n + 1] != ',')) {
            return false;
        }
        observations++;
        if (!line[n + 1]) {
            return observations >= 2 && observations <= CONFIG_MAX_OBSERVATIONS;
        }
    }
    return false;
}

static int check_observations(const struct config *c, struct err *err)
{
    size_t n;
    char **lines = config_strings(c, "observation_lists", &n, err);
    int code = lines ? 0 : ERR_NOMEM;
    for (size_t i = 0; i < n && !code; i++) {
        if (!is_observation_list(lines[i])) {
            code =
                err_set(err, ERR_PARAM,
                        "observation_lists: '%.60s' is not "
                        "PROGRAM:OBSERVATION,OBSERVATION... of 2 to %d observations, "
                        "such as 01234:001,002",
                        lines[i], CONFIG_MAX_OBSERVATIONS);
        }
    }
    free(lines);
    return code;
}

/* A file of the daemon's own does not lie where exposures are dropped. */
static int check_file(const struct config *c, const char *name, struct err *err)
{
    const char *path = params_string(c->values, name);
    const char *inbox = params_string(c->values, "inbox_folder");
    bool inside = false;
    if (!path || config_inside(path, inbox, &inside, err)) {
        return path ? ERR_NOMEM : 0;
    }
    return inside ? err_set(err, ERR_PARAM,
                            "%s %s lies in inbox_folder: put it elsewhere", name, path)
                  : 0;
}

int config_check(const struct config *c, struct err *err)
{
    const char *paths[N_FOLDERS];
    for (size_t i = 0; i < N_FOLDERS; i++) {
        paths[i] = params_string(c->values, folders[i]);
        if (paths[i] && strlen(paths[i]) > MAX_PATH) {
            return err_set(err, ERR_PARAM, "%s has %zu bytes; at most %d", folders[i],
                           strlen(paths[i]), MAX_PATH);
        }
    }
    size_t room = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    const char *socket = params_string(c->values, "socket_path");
    if (strlen(socket) > room) {
        return err_set(err, ERR_PARAM,
                       "socket_path %.120s has %zu bytes; a socket's path has at most "
                       "%zu",
                       socket, strlen(socket), room);
    }
    int code = config_apart(folders, paths, N_FOLDERS, err);
    code = code ? code : check_file(c, "socket_path", err);
    code = code ? code : check_file(c, "log_file", err);
    code = code ? code : check_observations(c, err);
    code = code ? code : check_settings(c, "spec2_settings", err);
    code = code ? code : check_settings(c, "spec3_settings", err);
    code = code ? code : check_settings(c, "combine_settings", err);
    int64_t group;
    return code ? code : config_socket_group(c, &group, err);
}
