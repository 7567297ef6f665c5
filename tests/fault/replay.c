#include "tests/fault/replay.h"

#include <check.h>
#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/path.h"
#include "common/math/rng.h"
#include "tests/fault/shim.h"
#include "tests/support.h"

/* A change of a folder that is not safe yet. */
struct change {
    char *name;  /* what is removed ... */
    char *to;    /* ... or made; either may be NULL; both: renamed here */
    size_t node; /* of `to` */
    size_t id;   /* of the rename between folders that it is half of, from 1; 0: none */
};

struct entry {
    char *name;
    size_t node;
};

struct entries {
    struct entry *e;
    size_t n;
};

struct bytes {
    char *data;
    size_t n;
};

struct node {
    uint64_t inode;
    int is_folder;
    struct entries now, safe; /* folders */
    struct change *changes;
    size_t n_changes;
    struct bytes is, was;                 /* files: now, and as last synced */
    const struct fault_record **unsynced; /* writes and truncations since */
    size_t n_unsynced;
};

struct replay {
    char *folder;
    struct bytes log;
    struct fault_record **record;
    size_t n;
    struct node *node; /* 0: the folder; the first n_start are those of the start */
    size_t n_nodes, n_start, n_moves;
};

/* ---- small things ---- */

static void *grown(void *array, size_t n, size_t size)
{
    void *more = realloc(array, (n + 1) * size);
    ck_assert(more != NULL);
    return more;
}

static struct bytes copy_of(const struct bytes *b)
{
    struct bytes c = {malloc(b->n + 1), b->n};
    ck_assert(c.data != NULL);
    if (b->n) {
        memcpy(c.data, b->data, b->n);
    }
    return c;
}

static void set_length(struct bytes *b, size_t n)
{
    b->data = realloc(b->data, n + 1);
    ck_assert(b->data != NULL);
    if (n > b->n) {
        memset(b->data + b->n, 0, n - b->n);
    }
    b->n = n;
}

static void put(struct entries *l, const char *name, size_t node)
{
    for (size_t i = 0; i < l->n; i++) {
        if (!strcmp(l->e[i].name, name)) {
            l->e[i].node = node;
            return;
        }
    }
    l->e = grown(l->e, l->n, sizeof *l->e);
    l->e[l->n++] = (struct entry){strdup(name), node};
}

static void drop(struct entries *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++) {
        if (!strcmp(l->e[i].name, name)) {
            free(l->e[i].name);
            l->e[i] = l->e[--l->n];
            return;
        }
    }
}

static void entries_done(struct entries *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->e[i].name);
    }
    free(l->e);
    *l = (struct entries){0};
}

static struct entries entries_copy(const struct entries *l)
{
    struct entries c = {0};
    for (size_t i = 0; i < l->n; i++) {
        put(&c, l->e[i].name, l->e[i].node);
    }
    return c;
}

static size_t new_node(struct replay *r, uint64_t inode, int is_folder)
{
    r->node = grown(r->node, r->n_nodes, sizeof *r->node);
    r->node[r->n_nodes] = (struct node){.inode = inode, .is_folder = is_folder};
    return r->n_nodes++;
}

/* The youngest with this number: numbers are used again. */
static struct node *by_inode(struct replay *r, uint64_t inode)
{
    for (size_t i = r->n_nodes; i-- > 0;) {
        if (r->node[i].inode == inode) {
            return &r->node[i];
        }
    }
    return NULL;
}

/* The folder that holds `path`, and the last name in it; -1 if it is outside. */
static long holder(const struct replay *r, const char *path, const char **ret_name)
{
    size_t n = strlen(r->folder), at = 0;
    if (strncmp(path, r->folder, n) != 0 || path[n] != '/') {
        return -1;
    }
    const char *name = path + n + 1;
    for (const char *slash; (slash = strchr(name, '/')); name = slash + 1) {
        const struct entries *l = &r->node[at].now;
        size_t i = 0;
        while (i < l->n && (strncmp(l->e[i].name, name, (size_t)(slash - name)) != 0 ||
                            l->e[i].name[slash - name])) {
            i++;
        }
        ck_assert_msg(i < l->n, "the log names %s before its folder is made", path);
        at = l->e[i].node;
    }
    *ret_name = name;
    return (long)at;
}

static size_t look_up(const struct entries *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++) {
        if (!strcmp(l->e[i].name, name)) {
            return l->e[i].node;
        }
    }
    ck_abort_msg("the log names %s, which is not there", name);
}

/* ---- operations ---- */

static void note_change(struct node *f, const char *name, const char *to, size_t node,
                        size_t id)
{
    f->changes = grown(f->changes, f->n_changes, sizeof *f->changes);
    f->changes[f->n_changes++] = (struct change){.name = name ? strdup(name) : NULL,
                                                 .to = to ? strdup(to) : NULL,
                                                 .node = node,
                                                 .id = id};
}

static void apply_change(struct entries *l, const struct change *c)
{
    if (c->name) {
        drop(l, c->name);
    }
    if (c->to) {
        put(l, c->to, c->node);
    }
}

static void forget_changes(struct node *f)
{
    for (size_t i = 0; i < f->n_changes; i++) {
        free(f->changes[i].name);
        free(f->changes[i].to);
    }
    f->n_changes = 0;
}

static void apply_data(struct bytes *b, const struct fault_record *c, size_t n_data)
{
    size_t at = (size_t)c->offset;
    if (c->op == FAULT_TRUNCATE) {
        set_length(b, at);
    } else {
        const char *data = (const char *)(c + 1) + c->n_path + c->n_path2;
        if (at + n_data > b->n) {
            set_length(b, at + n_data);
        }
        memcpy(b->data + at, data, n_data);
    }
}

static void sync_node(struct node *f)
{
    if (f->is_folder) {
        entries_done(&f->safe);
        f->safe = entries_copy(&f->now);
        forget_changes(f);
    } else {
        free(f->was.data);
        f->was = copy_of(&f->is);
        f->n_unsynced = 0;
    }
}

static void rename_node(struct replay *r, const char *path, const char *path2,
                        int keep_old)
{
    const char *name = NULL, *name2 = NULL;
    long from = holder(r, path, &name), to = holder(r, path2, &name2);
    ck_assert_msg(from >= 0 && to >= 0, "%s to %s leaves the folder", path, path2);
    size_t node = look_up(&r->node[from].now, name);
    size_t id = from == to || keep_old ? 0 : ++r->n_moves;
    if (!keep_old) {
        drop(&r->node[from].now, name);
    }
    put(&r->node[to].now, name2, node);
    if (keep_old) {
        note_change(&r->node[to], NULL, name2, node, 0);
    } else if (from == to) {
        note_change(&r->node[to], name, name2, node, 0);
    } else {
        note_change(&r->node[to], NULL, name2, node, id);
        note_change(&r->node[from], name, NULL, 0, id);
    }
}

static void make_node(struct replay *r, const struct fault_record *c, const char *path)
{
    const char *name = NULL;
    long in = holder(r, path, &name);
    if (in >= 0) {
        size_t node = new_node(r, c->inode, c->op == FAULT_MKDIR);
        put(&r->node[in].now, name, node);
        note_change(&r->node[in], NULL, name, node, 0);
    }
}

static void unlink_node(struct replay *r, const char *path)
{
    const char *name = NULL;
    long in = holder(r, path, &name);
    if (in >= 0) {
        drop(&r->node[in].now, name);
        note_change(&r->node[in], name, NULL, 0, 0);
    }
}

static void apply(struct replay *r, const struct fault_record *c)
{
    char path[4096], path2[4096];
    const char *text = (const char *)(c + 1);
    struct node *f;
    snprintf(path, sizeof path, "%.*s", (int)c->n_path, text);
    snprintf(path2, sizeof path2, "%.*s", (int)c->n_path2, text + c->n_path);
    switch ((enum fault_op)c->op) {
    case FAULT_WRITE:
    case FAULT_TRUNCATE:
        if ((f = by_inode(r, c->inode))) {
            apply_data(&f->is, c, c->n_data);
            f->unsynced = grown(f->unsynced, f->n_unsynced, sizeof *f->unsynced);
            f->unsynced[f->n_unsynced++] = c;
        }
        break;
    case FAULT_SYNC:
        if ((f = by_inode(r, c->inode))) {
            sync_node(f);
        }
        break;
    case FAULT_CREATE:
    case FAULT_MKDIR:
        make_node(r, c, path);
        break;
    case FAULT_RENAME:
        rename_node(r, path, path2, 0);
        break;
    case FAULT_LINK:
        rename_node(r, path, path2, 1);
        break;
    case FAULT_UNLINK:
        unlink_node(r, path);
        break;
    }
}

/* ---- the start ---- */

static void node_done(struct node *f)
{
    entries_done(&f->now);
    entries_done(&f->safe);
    forget_changes(f);
    free(f->changes);
    free(f->is.data);
    free(f->was.data);
    free(f->unsynced);
}

static void read_start(struct replay *r)
{
    char *const paths[] = {r->folder, NULL};
    FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    const FTSENT *e;
    while ((e = fts_read(fts))) {
        int is_folder = e->fts_info == FTS_D;
        if (e->fts_info == FTS_DP || (!is_folder && e->fts_info != FTS_F)) {
            continue;
        }
        size_t node = new_node(r, e->fts_statp->st_ino, is_folder);
        if (e->fts_level > 0) {
            const char *name = NULL;
            long in = holder(r, e->fts_path, &name);
            put(&r->node[in].now, name, node);
        }
        if (!is_folder) {
            struct bytes *b = &r->node[node].is;
            b->data = support_read_file(e->fts_path, &b->n);
        }
    }
    fts_close(fts);
    for (size_t i = 0; i < r->n_nodes; i++) {
        sync_node(&r->node[i]);
    }
    r->n_start = r->n_nodes;
}

struct replay *replay_new(const char *folder)
{
    struct replay *r = calloc(1, sizeof *r);
    ck_assert(r != NULL);
    r->folder = strdup(folder);
    read_start(r);
    return r;
}

void replay_free(struct replay *r)
{
    for (size_t i = 0; i < r->n_nodes; i++) {
        node_done(&r->node[i]);
    }
    for (size_t i = 0; i < r->n; i++) {
        free(r->record[i]);
    }
    free(r->node);
    free(r->record);
    free(r->log.data);
    free(r->folder);
    free(r);
}

void replay_load(struct replay *r, const char *log)
{
    r->log.data = support_read_file(log, &r->log.n);
    for (size_t at = 0; at < r->log.n;) {
        struct fault_record c;
        ck_assert(at + sizeof c <= r->log.n);
        memcpy(&c, r->log.data + at, sizeof c);
        size_t whole = sizeof c + c.n_path + c.n_path2 + c.n_data;
        struct fault_record *copy = malloc(whole); /* aligned */
        ck_assert(copy != NULL && at + whole <= r->log.n);
        memcpy(copy, r->log.data + at, whole);
        r->record = grown(r->record, r->n, sizeof *r->record);
        r->record[r->n++] = copy;
        at += whole;
    }
}

size_t replay_count(const struct replay *r)
{
    return r->n;
}

int replay_is_turn(const struct replay *r, size_t i)
{
    return r->record[i]->op != FAULT_WRITE && r->record[i]->op != FAULT_TRUNCATE;
}

/* ---- after the cut ---- */

struct after {
    struct replay *r;
    enum replay_luck luck;
    struct rng rng;
    char *moved; /* [n_moves + 1]: this rename between folders has happened */
};

/* How many of a folder's changes survive. */
static size_t surviving(struct after *a, const struct node *f)
{
    return a->luck == REPLAY_NOTHING ? 0
           : a->luck == REPLAY_NAMES ? f->n_changes
                                     : (size_t)rng_below(&a->rng, f->n_changes + 1);
}

/* New names first: then it is known which old ones go. */
static struct entries *settle_folders(struct after *a)
{
    struct replay *r = a->r;
    struct entries *all = calloc(r->n_nodes, sizeof *all);
    size_t *kept = calloc(r->n_nodes, sizeof *kept);
    ck_assert(all && kept);
    memset(a->moved, 1, r->n_moves + 1);
    for (size_t i = 0; i < r->n_nodes; i++) {
        const struct node *f = &r->node[i];
        kept[i] = surviving(a, f);
        for (size_t k = kept[i]; k < f->n_changes; k++) {
            if (f->changes[k].to) {
                a->moved[f->changes[k].id] = 0; /* [0] is of no rename */
            }
        }
    }
    for (size_t i = 0; i < r->n_nodes; i++) {
        const struct node *f = &r->node[i];
        all[i] = entries_copy(&f->safe);
        for (size_t k = 0; k < f->n_changes; k++) {
            const struct change *c = &f->changes[k];
            if (c->id && c->name ? a->moved[c->id] : k < kept[i]) {
                apply_change(&all[i], c);
            }
        }
    }
    free(kept);
    return all;
}

static struct bytes settle_data(struct after *a, const struct node *f)
{
    struct bytes b = copy_of(&f->was);
    for (size_t i = 0; a->luck == REPLAY_SOME && i < f->n_unsynced; i++) {
        size_t n = f->unsynced[i]->n_data;
        uint64_t fate = rng_below(&a->rng, 3);
        if (fate == 0) { /* torn */
            n = (size_t)rng_below(&a->rng, n / 512 + 1) * 512;
        }
        if (fate < 2) {
            apply_data(&b, f->unsynced[i], n);
        }
    }
    return b;
}

static void write_out(struct after *a, const struct entries *all, size_t node,
                      const char *path)
{
    const struct node *f = &a->r->node[node];
    if (!f->is_folder) {
        struct bytes b = settle_data(a, f);
        support_write_file(path, b.data, b.n);
        free(b.data);
        return;
    }
    ck_assert_msg(!mkdir(path, 0755), "%s: %s", path, strerror(errno));
    for (size_t i = 0; i < all[node].n; i++) {
        const struct entry *e = &all[node].e[i];
        char below[4096];
        if (!path_has_suffix(e->name, "-shm")) {
            snprintf(below, sizeof below, "%s/%s", path, e->name);
            write_out(a, all, e->node, below);
        }
    }
}

/* Back to the start: everything synced then was all there was. */
static void rewind_to_start(struct replay *r, struct node *start)
{
    for (size_t i = 0; i < r->n_start; i++) {
        start[i] =
            (struct node){.inode = r->node[i].inode, .is_folder = r->node[i].is_folder};
        start[i].now = entries_copy(&r->node[i].now);
        start[i].is = copy_of(&r->node[i].is);
        sync_node(&start[i]);
    }
}

void replay_make(struct replay *r, size_t cut, enum replay_luck luck, uint64_t seed)
{
    struct replay run = *r;
    run.node = calloc(r->n_start, sizeof *run.node);
    ck_assert(run.node != NULL && cut <= r->n);
    rewind_to_start(r, run.node);
    for (size_t i = 0; i < cut; i++) {
        apply(&run, r->record[i]);
    }
    struct after a = {.r = &run, .luck = luck, .moved = malloc(run.n_moves + 1)};
    rng_init(&a.rng, seed, cut);
    struct entries *all = settle_folders(&a);
    write_out(&a, all, 0, r->folder);
    for (size_t i = 0; i < run.n_nodes; i++) {
        entries_done(&all[i]);
        node_done(&run.node[i]);
    }
    free(all);
    free(a.moved);
    free(run.node);
}
