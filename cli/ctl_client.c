#include "cli/ctl_client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/path.h"

#define MAX_ANSWER (64u << 20)

extern char **environ;

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
        int why = errno, code = err_set(err, ERR_IO, "no ifud answers on %s: %s", path,
                                        strerror(why));
        if (fd >= 0) {
            close(fd);
        }
        errno = why;
        return code;
    }
    *ret_fd = fd;
    return 0;
}

bool ctl_is_down(const char *socket)
{
    int fd = -1;
    if (connect_to(socket, &fd, NULL)) {
        return errno == ENOENT || errno == ECONNREFUSED;
    }
    close(fd);
    return false;
}

static int send_line(int fd, const char *text, const char *name, struct err *err)
{
    char *line = mem_printf(err, "%s\n", text);
    int code = line ? 0 : ERR_NOMEM;
    size_t n = line ? strlen(line) : 0;
    for (size_t at = 0; at < n && !code;) {
        ssize_t m = write(fd, line + at, n - at);
        if (m < 0 && errno == EPIPE) {
            break; /* the answer says why it was hung up on */
        }
        if (m < 0 && errno != EINTR) {
            code = err_set(err, ERR_IO, "%s: %s", name, strerror(errno));
        }
        at += m > 0 ? (size_t)m : 0;
    }
    free(line);
    return code;
}

static int read_line(int fd, char **ret, const char *name, struct err *err)
{
    char *line = NULL;
    size_t n = 0, room = 0;
    for (;;) {
        if (n == room) {
            room = room ? 2 * room : 65536;
            char *more = room <= MAX_ANSWER ? mem_realloc(line, room, 1, err) : NULL;
            if (!more) {
                free(line);
                return err_set(err, ERR_NOMEM, "%s: the answer is too long", name);
            }
            line = more;
        }
        ssize_t m = read(fd, line + n, room - n);
        if (m < 0 && errno == EINTR) {
            continue;
        }
        if (m <= 0) {
            free(line);
            return err_set(err, ERR_IO, "%s: %s", name,
                           m == 0            ? "hung up without an answer"
                           : errno == EAGAIN ? "no answer within 10 s"
                                             : strerror(errno));
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

/* One line out, one line in, and what it says. */
static int exchange(int to, int from, const char *name, const json_t *request,
                    json_t **ret, struct err *err)
{
    char *text = json_dumps(request, JSON_COMPACT), *line = NULL;
    json_t *answer = NULL;
    int code = text ? send_line(to, text, name, err)
                    : err_set(err, ERR_NOMEM, "out of memory");
    code = code ? code : read_line(from, &line, name, err);
    free(text);
    if (!code && !(answer = json_loads(line, 0, NULL))) {
        code = err_set(err, ERR_IO, "%s: the answer is no JSON", name);
    }
    free(line);
    if (!code && !json_is_true(json_object_get(answer, "ok"))) {
        const char *why = json_string_value(json_object_get(answer, "error"));
        const char *kind = json_string_value(json_object_get(answer, "code"));
        code = kind && err_code_of(kind) == ERR_IO ? ERR_IO : ERR_INPUT;
        err_set(err, code, "%s", why ? why : "the daemon refused");
    }
    if (code) {
        json_decref(answer);
    } else {
        *ret = answer;
    }
    return code;
}

int ctl_ask(const char *socket, const json_t *request, json_t **ret, struct err *err)
{
    int fd = -1, code = connect_to(socket, &fd, err);
    if (!code) {
        code = exchange(fd, fd, socket, request, ret, err);
        close(fd);
    }
    return code;
}

/* ---- without a daemon ---- */

/* Path of the ifud that lies beside this program, or "ifud" for $PATH. */
static char *find_ifud(struct err *err)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0) {
        self[n] = 0;
        char *folder = path_folder(self, err);
        char *path = folder ? path_join(folder, "ifud", err) : NULL;
        free(folder);
        if (path && !access(path, X_OK)) {
            return path;
        }
        free(path);
    }
    return mem_strdup("ifud", err);
}

static int spawn(char *program, const char *config, int in, int out, pid_t *ret_pid)
{
    char with[] = "--config", what[] = "--answer";
    char *file = mem_strdup(config, NULL);
    char *argv[] = {program, with, file, what, NULL};
    posix_spawn_file_actions_t actions;
    int rc = file ? posix_spawn_file_actions_init(&actions) : ENOMEM;
    if (!rc) {
        rc = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
        rc = rc ? rc : posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
        rc = rc ? rc : posix_spawnp(ret_pid, program, &actions, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
    }
    free(file);
    return rc;
}

static void shut(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

int ctl_ask_offline(const char *config, const json_t *request, json_t **ret,
                    struct err *err)
{
    int to[2] = {-1, -1}, from[2] = {-1, -1}, rc = 0, code = 0;
    pid_t pid = 0;
    char *program = find_ifud(err);
    if (!program) {
        return ERR_NOMEM;
    }
    if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC)) {
        rc = errno;
    }
    rc = rc ? rc : spawn(program, config, to[0], from[1], &pid);
    shut(to[0]);
    shut(from[1]);
    if (rc) {
        code = err_set(err, ERR_IO, "cannot run %s: %s", program, strerror(rc));
    } else {
        code = exchange(to[1], from[0], program, request, ret, err);
    }
    shut(to[1]);
    shut(from[0]);
    while (pid && waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    free(program);
    return code;
}
