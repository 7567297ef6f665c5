#include "daemon/inbox_names.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

void names_print(const struct stat *st, struct names_print *ret)
{
    *ret = (struct names_print){st->st_dev,  st->st_ino,  st->st_size,
                                st->st_mode, st->st_mtim, st->st_ctim};
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool names_same(const struct names_print *a, const struct names_print *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->mode == b->mode && same_time(&a->mtime, &b->mtime) &&
           same_time(&a->ctime, &b->ctime);
}

/* ---- by name: the tree holds pointers to the text ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static struct names_file *file_of(const void *name)
{
    return (struct names_file *)((uintptr_t)name - offsetof(struct names_file, name));
}

struct names_file *names_find(const struct names *s, const char *name)
{
    void *node = tfind(name, &s->tree, by_name);
    return node ? file_of(*(char **)node) : NULL;
}

/* ---- by time ---- */

static bool before(const struct names_file *a, const struct names_file *b)
{
    return a->due < b->due || (a->due == b->due && a->order < b->order);
}

static void set(struct names *s, size_t place, struct names_file *f)
{
    s->heap[place] = f;
    f->place = place;
}

static void rise(struct names *s, struct names_file *f)
{
    size_t at = f->place;
    while (at > 0 && before(f, s->heap[(at - 1) / 2])) {
        set(s, at, s->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    set(s, at, f);
}

static void sink(struct names *s, struct names_file *f)
{
    size_t at = f->place;
    for (size_t child; (child = 2 * at + 1) < s->n_heap; at = child) {
        if (child + 1 < s->n_heap && before(s->heap[child + 1], s->heap[child])) {
            child++;
        }
        if (!before(s->heap[child], f)) {
            break;
        }
        set(s, at, s->heap[child]);
    }
    set(s, at, f);
}

void names_pull(struct names *s, struct names_file *f)
{
    size_t at = f->place;
    if (at == NAMES_NOWHERE) {
        return;
    }
    f->place = NAMES_NOWHERE;
    struct names_file *last = s->heap[--s->n_heap];
    if (last != f) {
        set(s, at, last);
        rise(s, last);
        sink(s, last);
    }
}

void names_put(struct names *s, struct names_file *f, double due)
{
    names_pull(s, f);
    f->due = due;
    f->order = ++s->orders;
    set(s, s->n_heap++, f);
    rise(s, f);
}

struct names_file *names_first(const struct names *s)
{
    return s->n_heap ? s->heap[0] : NULL;
}

/* ---- both ---- */

struct names_file *names_add(struct names *s, const char *name)
{
    if (s->n == s->room) {
        size_t room = s->room ? 2 * s->room : 64;
        struct names_file **heap = mem_realloc(s->heap, room, sizeof(void *), NULL);
        if (!heap) {
            return NULL;
        }
        s->heap = heap;
        s->room = room;
    }
    size_t n = strlen(name) + 1;
    struct names_file *f = mem_calloc(1, sizeof *f + n, NULL);
    if (!f) {
        return NULL;
    }
    memcpy(f->name, name, n);
    if (!tsearch(f->name, &s->tree, by_name)) {
        free(f);
        return NULL;
    }
    f->place = NAMES_NOWHERE;
    f->next = s->all;
    if (s->all) {
        s->all->prev = f;
    }
    s->all = f;
    s->n++;
    return f;
}

void names_drop(struct names *s, struct names_file *f)
{
    names_pull(s, f);
    tdelete(f->name, &s->tree, by_name);
    *(f->prev ? &f->prev->next : &s->all) = f->next;
    if (f->next) {
        f->next->prev = f->prev;
    }
    s->n--;
    free(f);
}

void names_done(struct names *s)
{
    while (s->all) {
        names_drop(s, s->all);
    }
    free(s->heap);
    *s = (struct names){0};
}
