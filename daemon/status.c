#include "daemon/status.h"

#include <errno.h>
#include <stdbool.h>
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
    uv_timer_t idle;
    uv_write_t write;
    int open_handles;
    bool closing, writing, close_after, is_owner;
    char in[STATUS_MAX_REQUEST + 1];
    size_t n_in;
    char *out;
    struct client *prev, *next;
};

struct status {
    struct status_options o;
    char *path;
    uv_loop_t *loop;
    uv_pipe_t listener;
    struct client *clients;
    size_t n_clients;
    bool closing, listener_closed;
};

static void release_if_over(struct status *s)
{
    if (s->closing && s->listener_closed && !s->clients) {
        free(s->path);
        free(s);
    }
}

static void on_client_closed(uv_handle_t *handle)
{
    struct client *c = handle->data;
    struct status *s = c->status;
    if (--c->open_handles > 0) {
        return;
    }
    *(c->prev ? &c->prev->next : &s->clients) = c->next;
    if (c->next) {
        c->next->prev = c->prev;
    }
    s->n_clients--;
    free(c->out);
    free(c);
    release_if_over(s);
}

static void close_client(struct client *c)
{
    if (!c->closing) {
        c->closing = true;
        uv_close((uv_handle_t *)&c->pipe, on_client_closed);
        uv_close((uv_handle_t *)&c->idle, on_client_closed);
    }
}

static void on_idle(uv_timer_t *timer)
{
    close_client(timer->data);
}

static void rest(struct client *c)
{
    uv_timer_start(&c->idle, on_idle, (uint64_t)(c->status->o.idle_seconds * 1000.0),
                   0);
}

static void serve(struct client *c);

static void on_written(uv_write_t *write, int status)
{
    struct client *c = write->data;
    free(c->out);
    c->out = NULL;
    c->writing = false;
    if (status || c->close_after) {
        close_client(c);
    } else {
        rest(c);
        serve(c);
    }
}

/* Send a line; takes over `line`. */
static void send_line(struct client *c, char *line)
{
    size_t n = strlen(line);
    char *out = mem_realloc(line, n + 2, 1, NULL);
    if (!out) {
        free(line);
        close_client(c);
        return;
    }
    out[n] = '\n';
    c->out = out;
    c->writing = true;
    c->write.data = c;
    uv_buf_t buf = uv_buf_init(out, (unsigned)n + 1);
    if (uv_write(&c->write, (uv_stream_t *)&c->pipe, &buf, 1, on_written)) {
        c->writing = false;
        close_client(c);
    }
}

static void refuse(struct client *c, const char *why)
{
    char *line = mem_printf(NULL, "{\"ok\": false, \"error\": \"%s\"}", why);
    c->close_after = true;
    if (line) {
        send_line(c, line);
    } else {
        close_client(c);
    }
}

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
    *end = 0;
    char *line = c->status->o.answer(c->status->o.user, c->in, (size_t)(end - c->in),
                                     c->is_owner);
    c->n_in -= (size_t)(end + 1 - c->in);
    memmove(c->in, end + 1, c->n_in);
    if (line) {
        send_line(c, line);
    } else {
        close_client(c);
    }
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
    uv_timer_init(s->loop, &c->idle);
    c->pipe.data = c->idle.data = c;
    c->next = s->clients;
    if (c->next) {
        c->next->prev = c;
    }
    s->clients = c;
    s->n_clients++;
    if (uv_accept(listener, (uv_stream_t *)&c->pipe)) {
        close_client(c);
        return;
    }
    rest(c);
    c->is_owner = is_owner(&c->pipe);
    if (s->n_clients > STATUS_MAX_CLIENTS) {
        refuse(c, "too many clients");
    } else if (s->o.mode == 0600 && !c->is_owner) {
        refuse(c, "only the owner of the daemon and root may ask");
    } else {
        serve(c);
    }
}

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
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int used = fd >= 0 && connect(fd, (const struct sockaddr *)addr, sizeof *addr) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return used;
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct status *s = handle->data;
    s->listener_closed = true;
    release_if_over(s);
}

void status_close(struct status *s)
{
    if (!s || s->closing) {
        return;
    }
    s->closing = true;
    unlink(s->path);
    for (struct client *c = s->clients; c; c = c->next) {
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
    s->o.path = s->path;
    s->loop = loop;
    unlink(s->path);
    uv_pipe_init(loop, &s->listener, 0);
    s->listener.data = s;
    mode_t before = umask(0777 & ~options->mode);
    int rc = uv_pipe_bind(&s->listener, s->path);
    umask(before);
    rc = rc ? rc : uv_listen((uv_stream_t *)&s->listener, 64, on_connection);
    if (rc) {
        int code =
            err_set(err, ERR_IO, "cannot listen on %s: %s", s->path, uv_strerror(rc));
        s->closing = true;
        uv_close((uv_handle_t *)&s->listener, on_listener_closed);
        return code;
    }
    *ret = s;
    return 0;
}
