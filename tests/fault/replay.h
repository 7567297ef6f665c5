#ifndef IFUD_TESTS_FAULT_REPLAY_H
#define IFUD_TESTS_FAULT_REPLAY_H

#include <stddef.h>
#include <stdint.h>

/*
 * What a disk may look like after the power failed, from the log of the shim.
 *
 * The model knows less than any real file system gives: a file's data are safe once the
 * file is synced, a name (made, removed, renamed) once the folder that holds it is (for a
 * rename from one folder to another, the one it goes to); all else may be there or not.
 * Two things are taken for granted, as every journal gives them: the operations on one
 * folder keep their order, and a rename happens as a whole or not at all.
 * SQLite's -shm is gone after each cut, as it is for SQLite.
 * Thread: one.
 */
enum replay_luck {
    REPLAY_NOTHING, /* nothing that was not synced survives */
    REPLAY_NAMES,   /* names do, data do not: files are empty or old */
    REPLAY_SOME,    /* some of each, by the seed; writes torn at 512 bytes */
    REPLAY_LUCKS
};

struct replay;

/* The folder as it is now, all of it safe: before the life that is logged. */
struct replay *replay_new(const char *folder);
void replay_free(struct replay *r);

/* Read the log of that life. */
void replay_load(struct replay *r, const char *log);
size_t replay_count(const struct replay *r); /* operations in it */

/* Is operation i one that makes things safe, or changes what is visible: where a cut
 * before or after it matters most? */
int replay_is_turn(const struct replay *r, size_t i);

/* Make the folder anew (it must not be there) as it may be found after a cut before
 * operation `cut` (0 to replay_count). */
void replay_make(struct replay *r, size_t cut, enum replay_luck luck, uint64_t seed);

#endif
