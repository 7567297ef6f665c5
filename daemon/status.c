#include "daemon/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/mem.h"

struct client {
    struct status *status;
    uv_pipe_t pipe;
    uv_timer_t timer;
    uv_write_t write;
    int open_handles;
    bool closing, writing, close_after, is_owner;
    char in[STATUS_MAX_REQUEST + 1];
    size_t n_in;
    char *out;
    size_t n_out;
    struct client *prev, *next; /* the last that did something comes first */
};

struct status {
    struct status_options o;
    char *path;
    dev_t device;
    ino_t inode;
    uv_loop_t *loop;
    uv_pipe_t listener;
    struct client *first, *last;
    size_t n_clients; /* that are not closing */
    size_t pending;   /* bytes of answers under way */
    bool closing, listener_closed;
};

/* ---- the list of clients ---- */

static void detach(struct client *c)
{
    struct status *s = c->status;
    *(c->prev ? &c->prev->next : &s->first) = c->next;
    *(c->next ? &c->next->prev : &s->last) = c->prev;
    c->prev = c->next = NULL;
}

static void attach_first(struct client *c)
{
    struct status *s = c->status;
    c->next = s->first;
    *(c->next ? &c->next->prev : &s->last) = c;
    s->first = c;
}

static void release_if_over(struct status *s)
{
    if (s->closing && s->listener_closed && !s->first) {
        free(s->path);
        free(s);
    }
}

static void drop_answer(struct client *c)
{
    c->status->pending -= c->n_out;
    free(c->out);
    c->out = NULL;
    c->n_out = 0;
}

static void on_client_closed(uv_handle_t *handle)
{
    struct client *c = handle->data;
    struct status *s = c->status;
    if (--c->open_handles > 0) {
        return;
    }
    detach(c);
    drop_answer(c);
    free(c);
    release_if_over(s);
}

static void close_client(struct client *c)
{
    if (!c->closing) {
        c->closing = true;
        c->status->n_clients--;
        uv_close((uv_handle_t *)&c->pipe, on_client_closed);
        uv_close((uv_handle_t *)&c->timer, on_client_closed);
    }
}

/* Room for one more: the client that did nothing for longest goes. False: nobody may. */
static bool make_room(struct status *s, bool for_owner)
{
    struct client *oldest = NULL;
    for (struct client *c = s->last; c && !oldest; c = c->prev) {
        oldest = !c->closing && !c->is_owner ? c : NULL;
    }
    for (struct client *c = s->last; c && !oldest && for_owner; c = c->prev) {
        oldest = !c->closing ? c : NULL;
    }
    if (oldest) {
        close_client(oldest);
    }
    return oldest != NULL;
}

/* ---- time ---- */

static void on_time_over(uv_timer_t *timer)
{
    close_client(timer->data);
}

static void limit(struct client *c, double seconds)
{
    uv_timer_start(&c->timer, on_time_over, (uint64_t)(seconds * 1000.0), 0);
}

/* ---- answers ---- */

static void serve(struct client *c);

static void on_written(uv_write_t *write, int status)
{
    struct client *c = write->data;
    drop_answer(c);
    c->writing = false;
    if (status || c->close_after) {
        close_client(c);
        return;
    }
    limit(c, c->n_in ? c->status->o.request_seconds : c->status->o.idle_seconds);
    serve(c);
}

/* Send a line; takes over `line` (NULL: there was no memory). */
static void send_line(struct client *c, char *line)
{
    size_t n = line ? strlen(line) : 0;
    char *out = line ? mem_realloc(line, n + 2, 1, NULL) : NULL;
    if (!out) {
        free(line);
        close_client(c);
        return;
    }
    out[n] = '\n';
    c->out = out;
    c->n_out = n + 1;
    c->status->pending += c->n_out;
    c->writing = true;
    c->write.data = c;
    limit(c, c->status->o.answer_seconds);
    uv_buf_t buf = uv_buf_init(out, (unsigned)n + 1);
    if (uv_write(&c->write, (uv_stream_t *)&c->pipe, &buf, 1, on_written)) {
        c->writing = false;
        close_client(c);
    }
}

static char *refusal(const char *why)
{
    return mem_printf(NULL, "{\"ok\": false, \"error\": \"%s\"}", why);
}

static void refuse(struct client *c, const char *why)
{
    c->close_after = true;
    send_line(c, refusal(why));
}

static void answer(struct client *c, const char *request, size_t n)
{
    struct status *s = c->status;
    if (s->pending >= STATUS_MAX_PENDING) {
        send_line(c, refusal("too many answers are under way: ask again"));
        return;
    }
    char *line = s->o.answer(s->o.user, request, n, c->is_owner);
    if (line && strlen(line) > STATUS_MAX_ANSWER) {
        free(line);
        line = refusal("the answer is too long: ask for less");
    }
    send_line(c, line);
}

/* ---- requests ---- */

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    struct client *c = handle->data;
    (void)wanted;
    *buf = uv_buf_init(c->in + c->n_in, (unsigned)(STATUS_MAX_REQUEST - c->n_in));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct client *c = stream->data;
    (void)buf;
    if (n < 0 && n != UV_ENOBUFS) {
        close_client(c);
        return;
    }
    if (n > 0 && c->n_in == 0) {
        limit(c, c->status->o.request_seconds);
    }
    c->n_in += n > 0 ? (size_t)n : 0;
    uv_read_stop(stream);
    serve(c);
}

/* Answer the first whole line, or read on. One answer is under way at a time. */
static void serve(struct client *c)
{
    if (c->writing || c->closing || c->close_after) {
        return;
    }
    char *end = memchr(c->in, '\n', c->n_in);
    if (!end && c->n_in == STATUS_MAX_REQUEST) {
        refuse(c, "the request is longer than 4096 bytes");
        return;
    }
    if (!end) {
        uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read);
        return;
    }
    char request[STATUS_MAX_REQUEST + 1];
    size_t n = (size_t)(end - c->in);
    memcpy(request, c->in, n);
    request[n] = 0;
    c->n_in -= n + 1;
    memmove(c->in, end + 1, c->n_in);
    detach(c);
    attach_first(c);
    answer(c, request, n);
}

/* Is the other side the daemon's own user, or root? */
static bool is_owner(uv_pipe_t *pipe)
{
    uv_os_fd_t fd;
    struct ucred peer;
    socklen_t size = sizeof peer;
    return uv_fileno((uv_handle_t *)pipe, &fd) == 0 &&
           getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct status *s = listener->data;
    struct client *c = status ? NULL : mem_calloc(1, sizeof *c, NULL);
    if (!c) {
        return;
    }
    c->status = s;
    c->open_handles = 2;
    uv_pipe_init(s->loop, &c->pipe, 0);
    uv_timer_init(s->loop, &c->timer);
    c->pipe.data = c->timer.data = c;
    bool accepted = uv_accept(listener, (uv_stream_t *)&c->pipe) == 0;
    c->is_owner = accepted && is_owner(&c->pipe);
    bool room =
        !accepted || s->n_clients < STATUS_MAX_CLIENTS || make_room(s, c->is_owner);
    attach_first(c);
    s->n_clients++;
    if (!accepted) {
        close_client(c);
    } else if (!room) {
        refuse(c, "too many clients");
    } else if (s->o.mode == 0600 && !c->is_owner) {
        refuse(c, "only the owner of the daemon and root may ask");
    } else {
        limit(c, s->o.idle_seconds);
        serve(c);
    }
}

/* ---- opening and closing ---- */

/* 1 if somebody answers on the socket, 0 if it may be replaced, -1 if it is no socket. */
static int in_use(const struct sockaddr_un *addr)
{
    struct stat st;
    if (lstat(addr->sun_path, &st)) {
        return 0;
    }
    if (!S_ISSOCK(st.st_mode)) {
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* a full backlog (EAGAIN) is somebody too */
    int used =
        fd >= 0 && (connect(fd, (const struct sockaddr *)addr, sizeof *addr) == 0 ||
                    errno == EAGAIN);
    if (fd >= 0) {
        close(fd);
    }
    return used;
}

/* Bind, then give it its group and mode; it does not listen yet: nobody can connect. */
static int bind_socket(struct status *s, const struct sockaddr_un *addr, int *ret_fd,
                       struct err *err)
{
    struct stat st;
    int code = 0;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || fchmod(fd, 0600) ||
        bind(fd, (const struct sockaddr *)addr, sizeof *addr) || lstat(s->path, &st)) {
        code =
            err_set(err, ERR_IO, "cannot listen on %s: %s", s->path, strerror(errno));
    } else if (s->o.group >= 0 && lchown(s->path, (uid_t)-1, (gid_t)s->o.group)) {
        code = err_set(err, errno == EPERM ? ERR_PARAM : ERR_IO,
                       "%s cannot be given to socket_group (number %lld): %s%s",
                       s->path, (long long)s->o.group, strerror(errno),
                       errno == EPERM ? "; ifud's user must belong to it" : "");
        unlink(s->path);
    } else if (chmod(s->path, (mode_t)s->o.mode)) {
        code = err_set(err, ERR_IO, "%s: %s", s->path, strerror(errno));
        unlink(s->path);
    }
    if (code) {
        if (fd >= 0) {
            close(fd);
        }
        return code;
    }
    s->device = st.st_dev;
    s->inode = st.st_ino;
    *ret_fd = fd;
    return 0;
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct status *s = handle->data;
    s->listener_closed = true;
    release_if_over(s);
}

void status_close(struct status *s)
{
    struct stat st;
    if (!s || s->closing) {
        return;
    }
    s->closing = true;
    if (!lstat(s->path, &st) && st.st_dev == s->device && st.st_ino == s->inode) {
        unlink(s->path);
    }
    for (struct client *c = s->first; c; c = c->next) {
        close_client(c);
    }
    uv_close((uv_handle_t *)&s->listener, on_listener_closed);
}

int status_open(uv_loop_t *loop, const struct status_options *options,
                struct status **ret, struct err *err)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (strlen(options->path) >= sizeof addr.sun_path) {
        return err_set(err, ERR_PARAM, "socket_path %s is longer than %zu bytes",
                       options->path, sizeof addr.sun_path - 1);
    }
    strcpy(addr.sun_path, options->path);
    int fd = -1, code;
    int used = in_use(&addr);
    if (used) {
        return err_set(err, ERR_IO, "%s %s", options->path,
                       used > 0 ? "is in use: another ifud runs here"
                                : "exists and is no socket");
    }
    struct status *s = mem_calloc(1, sizeof *s, err);
    if (!s || !(s->path = mem_strdup(options->path, err))) {
        free(s);
        return ERR_NOMEM;
    }
    s->o = *options;
    s->loop = loop;
    unlink(s->path);
    if ((code = bind_socket(s, &addr, &fd, err))) {
        free(s->path);
        free(s);
        return code;
    }
    s->o.path = s->path;
    uv_pipe_init(loop, &s->listener, 0);
    s->listener.data = s;
    int rc = uv_pipe_open(&s->listener, fd);
    if (rc) {
        close(fd);
    }
    rc = rc ? rc : uv_listen((uv_stream_t *)&s->listener, 128, on_connection);
    if (rc) {
        code =
            err_set(err, ERR_IO, "cannot listen on %s: %s", s->path, uv_strerror(rc));
        status_close(s);
        return code;
    }
    *ret = s;
    return 0;
}
