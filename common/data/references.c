#include "common/data/references.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/base/sha256.h"
#include "common/data/crds_cache.h"
#include "common/data/reference_cache.h"
#include "common/data/reference_index.h"

/* What is remembered of one state of a file: its hash, and the type it says it is. */
struct hashed {
    char *path;
    struct stat st;
    char sha256[65];
    bool has_type;
    char type[24];
};

struct references {
    char *folder; /* NULL: overrides only */
    struct reference_cache *cache;
    pthread_mutex_t lock;         /* guards what follows */
    struct crds_cache *crds;      /* NULL: the index chooses */
    char *crds_path, *crds_asked; /* asked: as given, perhaps "latest" */
    struct reference_index index;
    struct hashed *hashes;
    size_t n_hashes;
};

int references_open(const char *folder, size_t max_bytes, struct references **ret,
                    struct err *err)
{
    struct references *refs = mem_calloc(1, sizeof *refs, err);
    if (!refs) {
        return ERR_NOMEM;
    }
    pthread_mutex_init(&refs->lock, NULL);
    int code = reference_cache_new(max_bytes, &refs->cache, err);
    if (!code && folder) {
        refs->folder = mem_strdup(folder, err);
        code =
            refs->folder ? reference_index_scan(folder, &refs->index, err) : ERR_NOMEM;
    }
    if (code) {
        references_close(refs);
        return code;
    }
    *ret = refs;
    return 0;
}

void references_close(struct references *refs)
{
    if (!refs) {
        return;
    }
    reference_cache_free(refs->cache);
    reference_index_done(&refs->index);
    crds_cache_free(refs->crds);
    free(refs->crds_path);
    free(refs->crds_asked);
    for (size_t i = 0; i < refs->n_hashes; i++) {
        free(refs->hashes[i].path);
    }
    free(refs->hashes);
    free(refs->folder);
    pthread_mutex_destroy(&refs->lock);
    free(refs);
}

int references_use_crds(struct references *refs, const char *path, const char *context,
                        struct err *err)
{
    struct crds_cache *fresh = NULL;
    char *own_path = path ? mem_strdup(path, err) : NULL;
    char *own_context = path ? mem_strdup(context, err) : NULL;
    int code = path && !(own_path && own_context) ? ERR_NOMEM : 0;
    if (!code && path) {
        code = crds_cache_open(path, context, &fresh, err);
    }
    if (code) {
        free(own_path);
        free(own_context);
        return code;
    }
    pthread_mutex_lock(&refs->lock);
    struct crds_cache *old = refs->crds;
    char *old_path = refs->crds_path, *old_context = refs->crds_asked;
    refs->crds = fresh;
    refs->crds_path = own_path;
    refs->crds_asked = own_context;
    pthread_mutex_unlock(&refs->lock);
    crds_cache_free(old);
    free(old_path);
    free(old_context);
    return 0;
}

void references_context(struct references *refs, char ret[64])
{
    pthread_mutex_lock(&refs->lock);
    snprintf(ret, 64, "%s", refs->crds ? crds_cache_context(refs->crds) : "");
    pthread_mutex_unlock(&refs->lock);
}

static int rescan_crds(struct references *refs, bool *ret_done, struct err *err)
{
    pthread_mutex_lock(&refs->lock);
    bool has = refs->crds != NULL;
    char *path = has ? mem_strdup(refs->crds_path, err) : NULL;
    char *asked = has ? mem_strdup(refs->crds_asked, err) : NULL;
    pthread_mutex_unlock(&refs->lock);
    int code = has && !(path && asked) ? ERR_NOMEM : 0;
    if (!code && has) {
        code = references_use_crds(refs, path, asked, err);
    }
    free(path);
    free(asked);
    *ret_done = has;
    return code;
}

int references_rescan(struct references *refs, struct err *err)
{
    struct reference_index fresh = {0};
    bool done = false;
    int code = rescan_crds(refs, &done, err);
    if (code || done || !refs->folder) {
        return code;
    }
    code = reference_index_scan(refs->folder, &fresh, err);
    if (!code) {
        pthread_mutex_lock(&refs->lock);
        struct reference_index old = refs->index;
        refs->index = fresh;
        pthread_mutex_unlock(&refs->lock);
        reference_index_done(&old);
    }
    return code;
}

static bool same_state(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
           a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* The remembered hash of this state of the file. Lock held. */
static struct hashed *find_hash(const struct references *refs, const char *path,
                                const struct stat *st)
{
    for (size_t i = 0; i < refs->n_hashes; i++) {
        if (!strcmp(refs->hashes[i].path, path) &&
            same_state(&refs->hashes[i].st, st)) {
            return &refs->hashes[i];
        }
    }
    return NULL;
}

/* fault: the code of a file that is not there. */
static int look(const char *path, int fault, struct stat *st, struct err *err)
{
    if (stat(path, st)) {
        return err_set(err, fault, "%s: %s", path, strerror(errno));
    }
    if (!S_ISREG(st->st_mode)) {
        return err_set(err, fault, "%s is not a regular file", path);
    }
    return 0;
}

/* Remember a hash. Lock held. */
static int add_hash(struct references *refs, const char *path, struct hashed *fresh,
                    struct hashed **ret, struct err *err)
{
    struct hashed *grown =
        mem_realloc(refs->hashes, refs->n_hashes + 1, sizeof *grown, err);
    if (!grown) {
        return ERR_NOMEM;
    }
    refs->hashes = grown;
    fresh->path = mem_strdup(path, err);
    if (!fresh->path) {
        return ERR_NOMEM;
    }
    *ret = &refs->hashes[refs->n_hashes++];
    **ret = *fresh;
    return 0;
}

/* The record of a file as it is now, hashed if it is new. Valid until the next call.
 * Lock held: each file is hashed once, and whoever asks for it would wait anyway. */
static int remember(struct references *refs, const char *path, int fault,
                    struct hashed **ret, struct err *err)
{
    struct hashed fresh = {0};
    int code = look(path, fault, &fresh.st, err);
    if (code) {
        return code;
    }
    *ret = find_hash(refs, path, &fresh.st);
    if (*ret) {
        return 0;
    }
    code = sha256_file(path, fresh.sha256, NULL, err);
    return code ? code : add_hash(refs, path, &fresh, ret, err);
}

static int hash_of(struct references *refs, const char *path, int fault, char ret[65],
                   struct err *err)
{
    struct hashed *h = NULL;
    int code = remember(refs, path, fault, &h, err);
    if (!code) {
        memcpy(ret, h->sha256, 65);
    }
    return code;
}

int references_hash(struct references *refs, const char *path, char ret_hex[65],
                    struct err *err)
{
    pthread_mutex_lock(&refs->lock);
    int code = hash_of(refs, path, ERR_INPUT, ret_hex, err);
    pthread_mutex_unlock(&refs->lock);
    return code;
}

struct hashing {
    struct references *refs;
    const char *const *paths;
};

/* Without the lock, so that others are hashed at the same time. */
static int hash_one(size_t i, int thread, void *arg, struct err *err)
{
    const struct hashing *h = arg;
    struct references *refs = h->refs;
    struct hashed fresh = {0}, *kept = NULL;
    (void)thread;
    int code = look(h->paths[i], ERR_INPUT, &fresh.st, err);
    if (code) {
        return code;
    }
    pthread_mutex_lock(&refs->lock);
    kept = find_hash(refs, h->paths[i], &fresh.st);
    pthread_mutex_unlock(&refs->lock);
    code = kept ? 0 : sha256_file(h->paths[i], fresh.sha256, NULL, err);
    if (kept || code) {
        return code;
    }
    pthread_mutex_lock(&refs->lock);
    if (!find_hash(refs, h->paths[i], &fresh.st)) {
        code = add_hash(refs, h->paths[i], &fresh, &kept, err);
    }
    pthread_mutex_unlock(&refs->lock);
    return code;
}

int references_hash_all(struct references *refs, size_t n, const char *const *paths,
                        struct par *par, struct err *err)
{
    struct hashing h = {refs, paths};
    return par_for(par, n, hash_one, &h, NULL, err);
}

/* What the file says it is, "" if nothing, and its hash. Lock held. */
static int type_of(struct references *refs, const char *path, char ret_type[24],
                   char ret_hash[65], struct err *err)
{
    struct hashed *h = NULL;
    int code = remember(refs, path, ERR_REFERENCE, &h, err);
    if (!code && !h->has_type) {
        struct reference_entry e = {0};
        code = reference_entry_read(path, &e, err);
        if (!code) {
            memcpy(h->type, e.type, sizeof h->type);
            h->has_type = true;
        }
        reference_entry_done(&e);
    }
    if (!code) {
        memcpy(ret_type, h->type, 24);
        memcpy(ret_hash, h->sha256, 65);
    }
    return code;
}

static int fill(struct reference_choice *choice, const char *type, const char *path,
                struct err *err)
{
    const char *name = path_base(path);
    if (strlen(path) >= sizeof choice->path || strlen(name) >= sizeof choice->name) {
        return err_set(err, ERR_REFERENCE, "reference file %.200s...: path too long",
                       path);
    }
    snprintf(choice->type, sizeof choice->type, "%s", type);
    strcpy(choice->path, path);
    strcpy(choice->name, name);
    return 0;
}

static int choose_override(struct references *refs, const char *type, const char *path,
                           struct reference_choice *choice, struct err *err)
{
    char is[24], wanted[24];
    reference_type_fold(type, wanted);
    pthread_mutex_lock(&refs->lock);
    int code = type_of(refs, path, is, choice->sha256, err);
    pthread_mutex_unlock(&refs->lock);
    if (!code && is[0] && strcmp(is, wanted)) {
        code = err_set(err, ERR_REFERENCE,
                       "reference file %s is of type '%s', but was given for '%s'",
                       path, is, type);
    }
    if (!code) {
        code = fill(choice, type, path, err);
    }
    if (!code) {
        snprintf(choice->reason, sizeof choice->reason, "named outright");
    }
    return code;
}

/* Of several that suit equally: all must have the same content. Lock held. */
static int settle_tie(struct references *refs, const struct reference_entry **best,
                      size_t n, const char *type, const char *filename, struct err *err)
{
    char first[65], other[65];
    int code = hash_of(refs, best[0]->path, ERR_REFERENCE, first, err);
    for (size_t i = 1; i < n && !code; i++) {
        code = hash_of(refs, best[i]->path, ERR_REFERENCE, other, err);
        if (!code && strcmp(first, other)) {
            code =
                err_set(err, ERR_REFERENCE,
                        "two references of type '%s' are equally good for %s: %s and "
                        "%s (USEAFTER %s, same criteria, different content); remove "
                        "one or name one with override_%s",
                        type, filename, best[0]->path, best[i]->path,
                        best[0]->useafter[0] ? best[0]->useafter : "absent", type);
        }
    }
    return code;
}

static int choose_indexed(struct references *refs, const char *type,
                          const struct exposure_meta *meta,
                          struct reference_choice *choice, struct err *err)
{
    const struct reference_entry **best = NULL;
    size_t n = 0, n_type = 0, n_match = 0;
    if (!refs->folder) {
        return err_set(
            err, ERR_REFERENCE,
            "no reference of type '%s' for %s: no reference folder was given "
            "and none was named with override_%s",
            type, meta->filename, type);
    }
    pthread_mutex_lock(&refs->lock);
    int code = reference_index_match(&refs->index, refs->folder, type, meta, &best, &n,
                                     &n_type, &n_match, err);
    if (!code) {
        code = settle_tie(refs, best, n, type, meta->filename, err);
    }
    if (!code) {
        code = fill(choice, type, best[0]->path, err);
    }
    if (!code) {
        code = hash_of(refs, best[0]->path, ERR_REFERENCE, choice->sha256, err);
    }
    if (!code) {
        char suits[200];
        const char *why = n > 1         ? "one of several with the same content"
                          : n_match > 1 ? "newest USEAFTER, then highest serial number"
                                        : "the only one that matches";
        reference_entry_suits(best[0], suits, sizeof suits);
        snprintf(choice->reason, sizeof choice->reason,
                 "for %s; USEAFTER %s; %s (%zu of %zu of this type match)", suits,
                 best[0]->useafter[0] ? best[0]->useafter : "absent", why, n_match,
                 n_type);
    }
    free(best);
    pthread_mutex_unlock(&refs->lock);
    return code;
}

/* By the rules of the context. *ret_found false: not applicable. Lock held. */
static int choose_by_rules(struct references *refs, const char *type,
                           const struct exposure_meta *meta,
                           struct reference_choice *choice, bool *ret_found,
                           struct err *err)
{
    enum crds_answer answer;
    char *path = NULL;
    int code =
        crds_cache_choose(refs->crds, type, meta, &answer, &path, choice->reason, err);
    *ret_found = !code && answer == CRDS_FILE;
    if (!code && path) {
        code = fill(choice, type, path, err);
        code = code ? code : hash_of(refs, path, ERR_REFERENCE, choice->sha256, err);
    }
    free(path);
    return code;
}

/* *ret_done: a context is in use, and has answered. */
static int try_rules(struct references *refs, const char *type,
                     const struct exposure_meta *meta, struct reference_choice *choice,
                     bool *ret_found, bool *ret_done, struct err *err)
{
    pthread_mutex_lock(&refs->lock);
    *ret_done = refs->crds != NULL;
    int code =
        refs->crds ? choose_by_rules(refs, type, meta, choice, ret_found, err) : 0;
    pthread_mutex_unlock(&refs->lock);
    return code;
}

int references_choose(struct references *refs, const char *type,
                      const struct exposure_meta *meta, const char *override_path,
                      struct reference_choice *ret, struct err *err)
{
    struct reference_choice choice = {0};
    bool found = true, done = override_path != NULL;
    int code = override_path ? choose_override(refs, type, override_path, &choice, err)
                             : try_rules(refs, type, meta, &choice, &found, &done, err);
    if (!code && !done) {
        code = choose_indexed(refs, type, meta, &choice, err);
    }
    if (!code && !found) {
        code =
            err_set(err, ERR_REFERENCE,
                    "no reference of type '%s' for %s: not applicable by %s; name one "
                    "with override_%s",
                    type, meta->filename, choice.reason, type);
    }
    if (!code) {
        *ret = choice;
    }
    return code;
}

/* Does any file of the folder suit? */
static bool is_there(struct references *refs, const char *type,
                     const struct exposure_meta *meta)
{
    const struct reference_entry **best = NULL;
    size_t n = 0, n_type = 0, n_match = 0;
    struct err none = {0};
    pthread_mutex_lock(&refs->lock);
    int code = reference_index_match(&refs->index, refs->folder ? refs->folder : "",
                                     type, meta, &best, &n, &n_type, &n_match, &none);
    pthread_mutex_unlock(&refs->lock);
    free(best);
    return code != ERR_REFERENCE;
}

int references_choose_if_any(struct references *refs, const char *type,
                             const struct exposure_meta *meta,
                             const char *override_path, struct reference_choice *ret,
                             bool *ret_found, struct err *err)
{
    struct reference_choice choice = {0};
    bool none = override_path && (!override_path[0] ||
                                  !strcasecmp(override_path, REFERENCE_NOT_APPLICABLE));
    int code = 0;
    if (!override_path) {
        bool found = false, done = false;
        code = try_rules(refs, type, meta, &choice, &found, &done, err);
        none = done ? !found : !is_there(refs, type, meta);
        if (!code && done && found) {
            *ret = choice;
        }
        if (code || (done && found)) {
            *ret_found = found;
            return code;
        }
    }
    if (none) {
        *ret_found = false;
        return 0;
    }
    code = references_choose(refs, type, meta, override_path, ret, err);
    if (!code) {
        *ret_found = true;
    }
    return code;
}

static const struct reference_type *find_type(const char *type)
{
    for (const struct reference_type *t = reference_types; t->type; t++) {
        if (!strcmp(t->type, type)) {
            return t;
        }
    }
    return NULL;
}

int references_load(struct references *refs, const struct reference_choice *choice,
                    struct reference **ret_ref, const void **ret_object,
                    struct err *err)
{
    struct reference *ref = NULL;
    const void *object = NULL;
    const struct reference_type *type = find_type(choice->type);
    if (!type) {
        return err_set(err, ERR_BUG, "no loader for references of type '%s'",
                       choice->type);
    }
    int code = reference_cache_get(refs->cache, type, choice->path, choice->sha256,
                                   &ref, &object, err);
    if (code) {
        return code;
    }
    /* A file that was replaced between its hash and now may not be what was chosen. */
    char now[65];
    pthread_mutex_lock(&refs->lock);
    code = hash_of(refs, choice->path, ERR_REFERENCE, now, err);
    pthread_mutex_unlock(&refs->lock);
    if (!code && strcmp(now, choice->sha256)) {
        code = err_set(err, ERR_REFERENCE,
                       "reference file %s changed while it was in use", choice->path);
    }
    if (code) {
        reference_release(ref);
        return code;
    }
    *ret_ref = ref;
    *ret_object = object;
    return 0;
}
