#include "common/data/reference_cache.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

enum state { LOADING, READY, FAILED };

struct reference {
    struct reference_cache *cache;
    struct reference *next; /* list of the cache, most recently used first */
    const struct reference_type *type;
    char *path;
    char sha256[65];
    enum state state;
    size_t users; /* handles and waiters */
    size_t bytes;
    void *object;
    struct err err; /* of FAILED */
};

struct reference_cache {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* an entry has left LOADING */
    struct reference *first;
    size_t max_bytes, bytes, loads;
};

int reference_cache_new(size_t max_bytes, struct reference_cache **ret, struct err *err)
{
    struct reference_cache *cache = mem_calloc(1, sizeof *cache, err);
    if (!cache) {
        return ERR_NOMEM;
    }
    pthread_mutex_init(&cache->lock, NULL);
    pthread_cond_init(&cache->changed, NULL);
    cache->max_bytes = max_bytes;
    *ret = cache;
    return 0;
}

static void entry_free(struct reference *r)
{
    if (r->object) {
        r->type->free(r->object);
    }
    free(r->path);
    free(r);
}

/* Take r out of the list. Called with the lock held. */
static void unlink_entry(struct reference_cache *cache, struct reference *r)
{
    struct reference **at = &cache->first;
    while (*at != r) {
        at = &(*at)->next;
    }
    *at = r->next;
}

void reference_cache_free(struct reference_cache *cache)
{
    if (!cache) {
        return;
    }
    while (cache->first) {
        struct reference *r = cache->first;
        assert(r->users == 0);
        cache->first = r->next;
        entry_free(r);
    }
    pthread_cond_destroy(&cache->changed);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* Drop what nobody holds, oldest use first, until the ceiling is kept. Lock held. */
static void trim(struct reference_cache *cache)
{
    while (cache->bytes > cache->max_bytes) {
        struct reference *oldest = NULL;
        for (struct reference *r = cache->first; r; r = r->next) {
            if (r->users == 0 && r->state == READY) {
                oldest = r;
            }
        }
        if (!oldest) {
            return;
        }
        unlink_entry(cache, oldest);
        cache->bytes -= oldest->bytes;
        entry_free(oldest);
    }
}

/* One user less. Lock held. */
static void leave(struct reference_cache *cache, struct reference *r)
{
    assert(r->users > 0);
    r->users--;
    if (r->state == FAILED && r->users == 0) {
        entry_free(r); /* it left the list when it failed */
    } else {
        trim(cache);
    }
}

static struct reference *find(struct reference_cache *cache,
                              const struct reference_type *type, const char *path,
                              const char *sha256)
{
    for (struct reference *r = cache->first; r; r = r->next) {
        if (r->type == type && !strcmp(r->sha256, sha256) && !strcmp(r->path, path)) {
            return r;
        }
    }
    return NULL;
}

static int add(struct reference_cache *cache, const struct reference_type *type,
               const char *path, const char *sha256, struct reference **ret,
               struct err *err)
{
    struct reference *r = mem_calloc(1, sizeof *r, err);
    if (!r) {
        return ERR_NOMEM;
    }
    r->path = mem_strdup(path, err);
    if (!r->path) {
        free(r);
        return ERR_NOMEM;
    }
    memcpy(r->sha256, sha256, strnlen(sha256, 64));
    r->cache = cache;
    r->type = type;
    r->state = LOADING;
    r->next = cache->first;
    cache->first = r;
    *ret = r;
    return 0;
}

/* Read the file without the lock; then let the waiters know. Lock held on both ends. */
static void load(struct reference_cache *cache, struct reference *r)
{
    void *object = NULL;
    size_t bytes = 0;
    struct err err = {0};
    pthread_mutex_unlock(&cache->lock);
    int code = r->type->load(r->path, &object, &bytes, &err);
    pthread_mutex_lock(&cache->lock);
    cache->loads++;
    if (code) {
        r->err = err;
        r->err.code = code;
        r->state = FAILED;
        unlink_entry(cache, r);
    } else {
        r->object = object;
        r->bytes = bytes;
        r->state = READY;
        cache->bytes += bytes;
        trim(cache); /* r is held by its caller and stays */
    }
    pthread_cond_broadcast(&cache->changed);
}

int reference_cache_get(struct reference_cache *cache,
                        const struct reference_type *type, const char *path,
                        const char *sha256, struct reference **ret_ref,
                        const void **ret_object, struct err *err)
{
    int code = 0;
    pthread_mutex_lock(&cache->lock);
    struct reference *r = find(cache, type, path, sha256);
    if (r) {
        r->users++;
        while (r->state == LOADING) {
            pthread_cond_wait(&cache->changed, &cache->lock);
        }
    } else {
        code = add(cache, type, path, sha256, &r, err);
        if (code) {
            goto out;
        }
        r->users++;
        load(cache, r);
    }
    if (r->state == FAILED) {
        code = err_set(err, r->err.code, "%s", r->err.message);
        leave(cache, r);
        goto out;
    }
    unlink_entry(cache, r); /* to the front: most recently used */
    r->next = cache->first;
    cache->first = r;
    *ret_ref = r;
    *ret_object = r->object;
out:
    pthread_mutex_unlock(&cache->lock);
    return code;
}

void reference_release(struct reference *r)
{
    if (!r) {
        return;
    }
    struct reference_cache *cache = r->cache;
    pthread_mutex_lock(&cache->lock);
    leave(cache, r);
    pthread_mutex_unlock(&cache->lock);
}

void reference_cache_usage(struct reference_cache *cache, size_t *ret_entries,
                           size_t *ret_bytes, size_t *ret_loads)
{
    pthread_mutex_lock(&cache->lock);
    *ret_entries = 0;
    for (struct reference *r = cache->first; r; r = r->next) {
        ++*ret_entries;
    }
    *ret_bytes = cache->bytes;
    *ret_loads = cache->loads;
    pthread_mutex_unlock(&cache->lock);
}
