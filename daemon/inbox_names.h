#ifndef IFUD_DAEMON_INBOX_NAMES_H
#define IFUD_DAEMON_INBOX_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/*
 * The names of an inbox: found by name (a tree), and by when they are to be looked at (a
 * heap; those of the same time in the order in which they were put in). Every function
 * takes O(log n) steps; a name takes some 250 bytes.
 *
 * Ownership: names_done frees all. Thread: one. Test: tests/daemon/test_inbox_names.c
 */

struct names_print { /* what must stand still */
    dev_t dev;
    ino_t ino;
    off_t size;
    mode_t mode;
    struct timespec mtime, ctime;
};

struct names_file {
    struct names_print print;
    double due;           /* s of the loop's time; when it is looked at */
    double incomplete_at; /* the same; since when; 0: not known to be incomplete */
    double seen_at, settling_at; /* s since 1970 */
    uint64_t order;              /* of those with the same due */
    size_t place;                /* in the heap; NAMES_NOWHERE: in none */
    uint32_t listing;            /* the last one that found it */
    bool taken; /* accepted, but the name could not be removed: only to be removed */
    struct names_file *prev, *next; /* of all */
    char name[];
};

#define NAMES_NOWHERE ((size_t)-1)

struct names {
    void *tree;
    struct names_file **heap, *all;
    size_t n, n_heap, room;
    uint64_t orders;
};

void names_print(const struct stat *st, struct names_print *ret);
bool names_same(const struct names_print *a, const struct names_print *b);

struct names_file *names_find(const struct names *s, const char *name);
/* A name that is not in yet; zeroed and in no heap. NULL without memory. */
struct names_file *names_add(struct names *s, const char *name);
void names_drop(struct names *s, struct names_file *f);
/* Into the heap, or to another place in it. There is always room for all names. */
void names_put(struct names *s, struct names_file *f, double due);
/* Out of the heap. */
void names_pull(struct names *s, struct names_file *f);
/* The one with the least due; NULL if the heap is empty. */
struct names_file *names_first(const struct names *s);
void names_done(struct names *s);

#endif
