#include "cli/ctl_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/mem.h"

#define MAX_ANSWER (64u << 20)

static int connect_to(const char *path, int *ret_fd, struct err *err)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof addr.sun_path) {
        return err_set(err, ERR_PARAM, "%s is too long for a socket", path);
    }
    strcpy(addr.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = 10};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&addr, sizeof addr)) {
        int code =
            err_set(err, ERR_IO, "no ifud answers on %s: %s", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return code;
    }
    *ret_fd = fd;
    return 0;
}

static int send_line(int fd, const char *text, const char *path, struct err *err)
{
    char *line = mem_printf(err, "%s\n", text);
    int code = line ? 0 : ERR_NOMEM;
    size_t n = line ? strlen(line) : 0;
    for (size_t at = 0; at < n && !code;) {
        ssize_t m = send(fd, line + at, n - at, MSG_NOSIGNAL);
        if (m < 0 && errno != EINTR) {
            code = err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
        }
        at += m > 0 ? (size_t)m : 0;
    }
    free(line);
    return code;
}

static int read_line(int fd, char **ret, const char *path, struct err *err)
{
    char *line = NULL;
    size_t n = 0, room = 0;
    for (;;) {
        if (n == room) {
            room = room ? 2 * room : 65536;
            char *more = room <= MAX_ANSWER ? mem_realloc(line, room, 1, err) : NULL;
            if (!more) {
                free(line);
                return err_set(err, ERR_NOMEM, "%s: the answer is too long", path);
            }
            line = more;
        }
        ssize_t m = recv(fd, line + n, room - n, 0);
        if (m < 0 && errno == EINTR) {
            continue;
        }
        if (m <= 0) {
            free(line);
            return err_set(err, ERR_IO, "%s: the answer is cut short: %s", path,
                           m < 0 ? strerror(errno) : "the daemon hung up");
        }
        char *end = memchr(line + n, '\n', (size_t)m);
        n += (size_t)m;
        if (end) {
            *end = 0;
            *ret = line;
            return 0;
        }
    }
}

int ctl_ask(const char *socket, const json_t *request, json_t **ret, struct err *err)
{
    int fd = -1, code = connect_to(socket, &fd, err);
    if (code) {
        return code;
    }
    char *text = json_dumps(request, JSON_COMPACT), *line = NULL;
    json_t *answer = NULL;
    code = text ? send_line(fd, text, socket, err)
                : err_set(err, ERR_NOMEM, "out of memory");
    code = code ? code : read_line(fd, &line, socket, err);
    close(fd);
    free(text);
    if (!code && !(answer = json_loads(line, 0, NULL))) {
        code = err_set(err, ERR_IO, "%s: the answer is no JSON", socket);
    }
    free(line);
    if (!code && !json_is_true(json_object_get(answer, "ok"))) {
        const char *why = json_string_value(json_object_get(answer, "error"));
        code = err_set(err, ERR_INPUT, "%s", why ? why : "the daemon refused");
    }
    if (code) {
        json_decref(answer);
    } else {
        *ret = answer;
    }
    return code;
}
