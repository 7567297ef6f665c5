#include "daemon/reserve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "common/base/mem.h"

#define MB 1048576.0

struct reserve {
    struct reserve_place *places;
    size_t n;
    int64_t bytes, inodes;
    int64_t claimed;
    bool low;
    char why[RESERVE_WHY];
};

/* Bytes and inodes that are free for us; INT64_MAX where there is no limit. */
static bool ask(const struct reserve_place *p, int64_t *ret_bytes, int64_t *ret_inodes,
                char *why)
{
    struct statvfs v;
    if (statvfs(p->folder, &v)) {
        snprintf(why, RESERVE_WHY, "%s %s: %s", p->key, p->folder, strerror(errno));
        return false;
    }
    double bytes = (double)v.f_bavail * (double)v.f_frsize;
    *ret_bytes = bytes < 9e18 ? (int64_t)bytes : INT64_MAX;
    *ret_inodes = v.f_files && v.f_favail < INT64_MAX ? (int64_t)v.f_favail : INT64_MAX;
    return true;
}

static bool has_room(const struct reserve *r, const struct reserve_place *p,
                     int64_t more, char *why)
{
    int64_t bytes, inodes;
    /* once it was low it must be a twentieth better, so that it does not flicker */
    int64_t want = r->low ? r->bytes + r->bytes / 20 : r->bytes;
    int64_t want_inodes = r->low ? r->inodes + r->inodes / 20 : r->inodes;
    if (!ask(p, &bytes, &inodes, why)) {
        return false;
    }
    if (r->bytes > 0 && bytes - more < want) {
        if (more) {
            snprintf(why, RESERVE_WHY,
                     "%s %s: %.1f MB are free, %.1f MB are to be written, and "
                     "reserve_mb = %.0f must stay free",
                     p->key, p->folder, (double)bytes / MB, (double)more / MB,
                     (double)r->bytes / MB);
        } else {
            snprintf(why, RESERVE_WHY, "%s %s: %.1f MB are free, reserve_mb = %.0f",
                     p->key, p->folder, (double)bytes / MB, (double)r->bytes / MB);
        }
        return false;
    }
    if (r->inodes > 0 && inodes < want_inodes) {
        snprintf(why, RESERVE_WHY, "%s %s: %lld inodes are free, reserve_inodes = %lld",
                 p->key, p->folder, (long long)inodes, (long long)r->inodes);
        return false;
    }
    return true;
}

bool reserve_look(struct reserve *r)
{
    char why[RESERVE_WHY] = "";
    bool room = true;
    for (size_t i = 0; i < r->n && room; i++) {
        room = has_room(r, &r->places[i], 0, why);
    }
    r->low = !room;
    memcpy(r->why, room ? "" : why, room ? 1 : sizeof r->why);
    return room;
}

const char *reserve_why(const struct reserve *r)
{
    return r->why;
}

bool reserve_claim(struct reserve *r, int64_t bytes, char *why)
{
    if (bytes < 0 || bytes > INT64_MAX - r->claimed ||
        !has_room(r, &r->places[0], r->claimed + bytes, why)) {
        return false;
    }
    r->claimed += bytes;
    return true;
}

void reserve_release(struct reserve *r, int64_t bytes)
{
    r->claimed -= bytes;
}

void reserve_set(struct reserve *r, int64_t bytes, int64_t inodes)
{
    r->bytes = bytes;
    r->inodes = inodes;
}

void reserve_close(struct reserve *r)
{
    if (r) {
        for (size_t i = 0; i < r->n; i++) {
            free((char *)(uintptr_t)r->places[i].folder);
        }
        free(r->places);
        free(r);
    }
}

int reserve_open(const struct reserve_place *places, size_t n, int64_t bytes,
                 int64_t inodes, struct reserve **ret, struct err *err)
{
    struct reserve *r = mem_calloc(1, sizeof *r, err);
    if (!r || !(r->places = mem_calloc(n, sizeof *r->places, err))) {
        free(r);
        return ERR_NOMEM;
    }
    reserve_set(r, bytes, inodes);
    for (; r->n < n; r->n++) {
        r->places[r->n].key = places[r->n].key;
        if (!(r->places[r->n].folder = mem_strdup(places[r->n].folder, err))) {
            reserve_close(r);
            return ERR_NOMEM;
        }
    }
    *ret = r;
    return 0;
}
