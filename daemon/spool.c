#include "daemon/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/path.h"
#include "daemon/spool_take.h"
#include "daemon/watchdog.h"

#define ROOM 512                        /* files under way */
#define BATCH_FILES 64                  /* taken together at most */
#define BATCH_BYTES ((int64_t)32 << 20) /* and no more once there are so many bytes */

struct taker { /* one thread */
    struct spool *spool;
    pthread_t thread;
    struct heartbeat beat;
};

struct batch { /* one that has come to its end */
    size_t n;
    struct batch *next;
    struct spool_work *works[BATCH_FILES];
};

struct spool {
    struct spool_options o;
    struct spool_place place;
    uv_async_t wake;
    struct taker *takers;
    int n_takers;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct spool_work *todo, **todo_end; /* under lock */
    size_t n_todo;                       /* under lock */
    struct batch *ready, **ready_end;    /* under lock */
    size_t busy;                         /* loop thread */
    bool stop;                           /* under lock */
};

/* ---- in the threads ---- */

/* The oldest files that wait, a fair share of them; under the lock. */
static size_t pick(struct spool *s, struct spool_work **works)
{
    int64_t bytes = 0;
    size_t n = 0, share = (s->n_todo + (size_t)s->o.threads - 1) / (size_t)s->o.threads;
    share = share < BATCH_FILES ? share : BATCH_FILES;
    while (n < share && bytes < BATCH_BYTES) {
        struct spool_work *w = s->todo;
        if (!(s->todo = w->next)) {
            s->todo_end = &s->todo;
        }
        w->next = NULL;
        bytes += w->result.st.st_size;
        works[n++] = w;
    }
    s->n_todo -= n;
    return n;
}

static void *take_main(void *arg)
{
    struct taker *t = arg;
    struct spool *s = t->spool;
    struct batch *b = NULL;
    pthread_mutex_lock(&s->lock);
    while (!s->stop) {
        if (!s->todo || (!b && !(b = mem_calloc(1, sizeof *b, NULL)))) {
            pthread_cond_wait(&s->more, &s->lock);
            continue;
        }
        b->n = pick(s, b->works);
        pthread_mutex_unlock(&s->lock);
        heartbeat_beat(&t->beat);
        spool_take(&s->place, b->works, b->n, &t->beat);
        heartbeat_rest(&t->beat);
        pthread_mutex_lock(&s->lock);
        *s->ready_end = b;
        s->ready_end = &b->next;
        b = NULL;
        uv_async_send(&s->wake);
    }
    pthread_mutex_unlock(&s->lock);
    free(b);
    return NULL;
}

/* ---- on the loop ---- */

static void work_free(struct spool_work *w)
{
    association_done(&w->result.association);
    free(w->result.text);
    free(w->name);
    free(w);
}

static void batch_free(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        work_free(b->works[i]);
    }
    free(b);
}

/* One batch, so that the loop goes on between two. */
static void on_wake(uv_async_t *wake)
{
    struct spool *s = wake->data;
    const struct spool_result *results[BATCH_FILES];
    pthread_mutex_lock(&s->lock);
    struct batch *b = s->ready;
    s->ready = b ? b->next : NULL;
    if (!s->ready) {
        s->ready_end = &s->ready;
    }
    bool more = s->ready;
    pthread_mutex_unlock(&s->lock);
    if (more) {
        uv_async_send(&s->wake);
    }
    if (!b) {
        return;
    }
    for (size_t i = 0; i < b->n; i++) {
        results[i] = &b->works[i]->result;
    }
    s->busy -= b->n;
    s->o.done(s->o.user, results, b->n);
    batch_free(b);
}

bool spool_submit(struct spool *s, const struct inbox_file *file)
{
    struct spool_work *w = s->busy < ROOM ? mem_calloc(1, sizeof *w, NULL) : NULL;
    if (!w || !(w->name = mem_strdup(file->name, NULL))) {
        free(w);
        return false;
    }
    w->last_chance = file->last_chance;
    w->copy = -1;
    w->result.name = w->name;
    path_show(w->name, w->result.shown, sizeof w->result.shown);
    w->result.st = file->st;
    w->result.seen_at = file->seen_at;
    w->result.settling_at = file->settling_at;
    s->busy++;
    pthread_mutex_lock(&s->lock);
    *s->todo_end = w;
    s->todo_end = &w->next;
    s->n_todo++;
    pthread_cond_signal(&s->more);
    pthread_mutex_unlock(&s->lock);
    return true;
}

size_t spool_busy(const struct spool *s)
{
    return s->busy;
}

double spool_quiet(const struct spool *s)
{
    double longest = 0;
    for (int i = 0; i < s->n_takers; i++) {
        double quiet = heartbeat_quiet(&s->takers[i].beat);
        longest = quiet > longest ? quiet : longest;
    }
    return longest;
}

void spool_stop(struct spool *s)
{
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_broadcast(&s->more);
    pthread_mutex_unlock(&s->lock);
}

char *spool_path(const struct spool *s, const char *sha256, const char *name,
                 struct err *err)
{
    return mem_printf(err, "%s/%s/%s", s->place.exposures, sha256, name);
}

int spool_forget(struct spool *s, const char *sha256, const char *name, struct err *err)
{
    char *path = spool_path(s, sha256, name, err);
    char *folder = path ? path_folder(path, err) : NULL;
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int code = folder ? 0 : ERR_NOMEM;
    if (!code && (fd < 0 || (unlink(path) && errno != ENOENT) || fsync(fd))) {
        code = err_set(err, ERR_IO, "cannot remove the spare copy of %s: %s", name,
                       strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    free(folder);
    free(path);
    return code;
}

/* Copies that a death left behind. */
static void empty_tmp(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            unlinkat(dirfd(dir), entry->d_name, 0);
        }
    }
    if (dir) {
        closedir(dir);
    }
}

static void release(struct spool *s)
{
    while (s->todo) {
        struct spool_work *w = s->todo;
        s->todo = w->next;
        work_free(w);
    }
    while (s->ready) {
        struct batch *b = s->ready;
        s->ready = b->next;
        batch_free(b);
    }
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->more);
    free(s->takers);
    free(s->place.inbox);
    free(s->place.rejected);
    free(s->place.tmp);
    free(s->place.exposures);
    free(s);
}

static void on_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void spool_close(struct spool *s)
{
    if (s) {
        spool_stop(s);
        for (int i = 0; i < s->n_takers; i++) {
            pthread_join(s->takers[i].thread, NULL);
        }
        uv_close((uv_handle_t *)&s->wake, on_closed);
    }
}

static int make_folders(struct spool *s, const struct spool_options *o, struct err *err)
{
    struct spool_place *p = &s->place;
    if (!(p->inbox = mem_strdup(o->inbox, err)) ||
        !(p->rejected = mem_strdup(o->rejected, err)) ||
        !(p->tmp = path_join(o->folder, "tmp", err)) ||
        !(p->exposures = path_join(o->folder, "exposures", err))) {
        return ERR_NOMEM;
    }
    int code = path_make_folder(p->tmp, 0700, err);
    code = code ? code : path_make_folder(p->exposures, 0700, err);
    code = code ? code : path_make_folder(p->rejected, 0750, err);
    if (!code) {
        empty_tmp(p->tmp);
    }
    return code;
}

int spool_open(uv_loop_t *loop, const struct spool_options *options, struct spool **ret,
               struct err *err)
{
    struct spool *s = mem_calloc(1, sizeof *s, err);
    if (!s) {
        return ERR_NOMEM;
    }
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->more, NULL);
    s->todo_end = &s->todo;
    s->ready_end = &s->ready;
    s->o = *options;
    s->takers = mem_calloc((size_t)options->threads, sizeof *s->takers, err);
    int code = s->takers ? make_folders(s, options, err) : ERR_NOMEM;
    if (code) {
        release(s);
        return code;
    }
    uv_async_init(loop, &s->wake, on_wake);
    s->wake.data = s;
    for (; !code && s->n_takers < options->threads; s->n_takers += code == 0) {
        struct taker *t = &s->takers[s->n_takers];
        t->spool = s;
        if (pthread_create(&t->thread, NULL, take_main, t)) {
            code = err_set(err, ERR_NOMEM, "cannot start an intake thread");
        }
    }
    if (code) {
        spool_close(s);
        return code;
    }
    *ret = s;
    return 0;
}
