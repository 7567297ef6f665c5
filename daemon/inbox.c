#include "daemon/inbox.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "daemon/inbox_clear.h"
#include "daemon/inbox_impl.h"

#define LATER_SECONDS 5.0 /* a file that was answered INBOX_LATER */

static double now(const struct inbox *in)
{
    uv_update_time(in->loop);
    return (double)uv_now(in->loop) / 1000.0;
}

static void complete(struct inbox *in, struct names_file *f)
{
    in->n_incomplete -= f->incomplete_at > 0;
    f->incomplete_at = 0;
}

static void drop(struct inbox *in, struct names_file *f)
{
    complete(in, f);
    names_drop(&in->names, f);
}

/* It left by itself. */
static void leave(struct inbox *in, struct names_file *f)
{
    struct inbox_file file = {
        .name = f->name, .seen_at = f->seen_at, .settling_at = f->settling_at};
    if (!f->taken) {
        in->o.gone(in->o.user, &file);
    }
    drop(in, f);
}

/* It is, or has become, another file: it settles anew. */
static void changed(struct inbox *in, struct names_file *f,
                    const struct names_print *print)
{
    f->print = *print;
    f->taken = false;
    f->settling_at = clock_date();
    complete(in, f);
    names_put(&in->names, f, now(in) + in->o.settle_seconds);
}

static void look(struct inbox *in);

static void on_settle(uv_timer_t *timer)
{
    look(timer->data);
}

void inbox_arm(struct inbox *in)
{
    const struct names_file *first = names_first(&in->names);
    if (in->closing || !first || in->full || in->lost) {
        uv_timer_stop(&in->settle);
        return;
    }
    double wait = first->due - now(in);
    uv_timer_start(&in->settle, on_settle, wait > 0 ? (uint64_t)(wait * 1000.0) + 1 : 0,
                   0);
}

void inbox_notice(struct inbox *in, const char *name)
{
    struct stat st;
    struct names_print print;
    if (inbox_is_temporary(name)) {
        return;
    }
    struct names_file *f = names_find(&in->names, name);
    if (fstatat(in->dir, name, &st, AT_SYMLINK_NOFOLLOW)) {
        if (f && !inbox_is_busy(f)) {
            leave(in, f);
        }
        return;
    }
    if (S_ISDIR(st.st_mode)) {
        return;
    }
    names_print(&st, &print);
    if (!f) {
        f = names_add(&in->names, name);
        if (!f) {
            return; /* no memory: the next listing finds it */
        }
        f->seen_at = clock_date();
        changed(in, f, &print);
    } else if (!inbox_is_busy(f) && !names_same(&f->print, &print)) {
        changed(in, f, &print);
    }
    f->listing = in->n_listings;
}

/* Accepted before, but it could not be removed: once more. */
static bool try_remove(struct inbox *in, struct names_file *f, const struct stat *st)
{
    int code = inbox_name_clear(in->dir, f->name, st, NULL);
    if (code == ERR_IO) {
        return false;
    }
    drop(in, f);
    return true;
}

/* One file whose time has come. False: stop here. */
static bool look_at(struct inbox *in, struct names_file *f)
{
    struct stat st;
    struct names_print print;
    double t = now(in), wait = in->o.settle_seconds;
    if (fstatat(in->dir, f->name, &st, AT_SYMLINK_NOFOLLOW)) {
        leave(in, f);
        return true;
    }
    names_print(&st, &print);
    if (!names_same(&f->print, &print)) {
        changed(in, f, &print);
        return true;
    }
    if (f->taken) {
        if (!try_remove(in, f, &st)) {
            names_put(&in->names, f, t + in->o.rescan_seconds);
        }
        return true;
    }
    bool late =
        f->incomplete_at > 0 && t - f->incomplete_at >= in->o.incomplete_seconds;
    if (f->incomplete_at > 0 && !late) {
        names_put(&in->names, f, t + wait);
        return true;
    }
    struct inbox_file offer = {.name = f->name,
                               .st = st,
                               .last_chance = late,
                               .seen_at = f->seen_at,
                               .settling_at = f->settling_at};
    enum inbox_answer answer = in->o.settled(in->o.user, &offer);
    if (answer == INBOX_TAKEN) {
        names_pull(&in->names, f);
    } else if (answer == INBOX_LATER) {
        names_put(&in->names, f, t + (wait > LATER_SECONDS ? wait : LATER_SECONDS));
    }
    in->full = answer == INBOX_FULL;
    return !in->full;
}

/* Offer what is due. */
static void look(struct inbox *in)
{
    struct names_file *f;
    uint64_t end = uv_hrtime() + SLICE_NS;
    double t = now(in);
    while (!in->closing && !in->lost && (f = names_first(&in->names)) && f->due <= t &&
           look_at(in, f) && uv_hrtime() < end) {
    }
    inbox_arm(in);
}

/* ---- what became of a file ---- */

void inbox_kick(struct inbox *in)
{
    if (in->full) {
        in->full = false;
        inbox_arm(in);
    }
}

static struct names_file *offered(struct inbox *in, const char *name)
{
    struct names_file *f = names_find(&in->names, name);
    return f && inbox_is_busy(f) ? f : NULL;
}

void inbox_gone(struct inbox *in, const char *name)
{
    struct names_file *f = names_find(&in->names, name);
    if (f) {
        drop(in, f);
    }
    inbox_notice(in, name); /* a new file may have taken the name meanwhile */
    inbox_arm(in);
}

void inbox_again(struct inbox *in, const char *name, double seconds)
{
    struct names_file *f = offered(in, name);
    if (f) {
        struct stat st;
        struct names_print print = {0}; /* of no file: the next look finds it gone */
        if (fstatat(in->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
            names_print(&st, &print);
        }
        double wait = in->o.settle_seconds;
        if (!names_same(&f->print, &print)) {
            changed(in, f, &print);
        }
        names_put(&in->names, f, now(in) + (seconds > wait ? seconds : wait));
    }
    inbox_arm(in);
}

void inbox_incomplete(struct inbox *in, const char *name)
{
    struct names_file *f = offered(in, name);
    if (f) {
        double t = now(in);
        if (f->incomplete_at == 0) {
            f->incomplete_at = t > 0 ? t : 1e-3;
            in->n_incomplete++;
        }
        double wait = in->o.settle_seconds, grace = in->o.incomplete_seconds;
        names_put(&in->names, f, t + (grace < wait ? grace : wait));
    }
    inbox_arm(in);
}

void inbox_keep(struct inbox *in, const char *name)
{
    struct names_file *f = offered(in, name);
    if (f) {
        f->taken = true;
        names_put(&in->names, f, now(in) + in->o.rescan_seconds);
    }
    inbox_arm(in);
}

int inbox_clear(struct inbox *in, const char *name, const struct stat *st,
                struct err *err)
{
    return inbox_name_clear(in->dir, name, st, err);
}

size_t inbox_count(const struct inbox *in, size_t *ret_incomplete)
{
    if (ret_incomplete) {
        *ret_incomplete = in->n_incomplete;
    }
    return in->names.n;
}

/* ---- open and close ---- */

static void release(struct inbox *in)
{
    names_done(&in->names);
    inbox_watch_release(in);
    free(in->folder);
    free(in);
}

static void on_closed(uv_handle_t *handle)
{
    struct inbox *in = handle->data;
    if (--in->open_handles == 0) {
        release(in);
    }
}

void inbox_close(struct inbox *in)
{
    if (in && !in->closing) {
        in->closing = true;
        in->open_handles = 5;
        uv_close((uv_handle_t *)&in->poll, on_closed);
        uv_close((uv_handle_t *)&in->settle, on_closed);
        uv_close((uv_handle_t *)&in->rescan, on_closed);
        uv_close((uv_handle_t *)&in->check, on_closed);
        uv_close((uv_handle_t *)&in->idle, on_closed);
    }
}

int inbox_open(uv_loop_t *loop, const struct inbox_options *options, struct inbox **ret,
               struct err *err)
{
    struct inbox *in = mem_calloc(1, sizeof *in, err);
    if (!in || !(in->folder = mem_strdup(options->folder, err))) {
        free(in);
        return ERR_NOMEM;
    }
    in->o = *options;
    in->o.folder = in->folder;
    in->loop = loop;
    int code = inbox_watch_open(in, err);
    if (code) {
        release(in);
        return code;
    }
    uv_timer_init(loop, &in->settle);
    in->settle.data = in;
    inbox_watch_start(in);
    *ret = in;
    inbox_rescan(in);
    return 0;
}

void inbox_retime(struct inbox *in, double settle_seconds, double incomplete_seconds,
                  double rescan_seconds)
{
    double due = now(in) + settle_seconds;
    if (settle_seconds < in->o.settle_seconds) { /* also for those that wait now */
        for (struct names_file *f = in->names.all; f; f = f->next) {
            if (!inbox_is_busy(f) && f->due > due) {
                names_put(&in->names, f, due);
            }
        }
    }
    in->o.settle_seconds = settle_seconds;
    in->o.incomplete_seconds = incomplete_seconds;
    in->o.rescan_seconds = rescan_seconds;
    inbox_watch_retime(in);
    inbox_arm(in);
}
