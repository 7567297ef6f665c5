#ifndef IFUD_TESTS_FAULT_PICTURE_H
#define IFUD_TESTS_FAULT_PICTURE_H

#include <stdbool.h>

/*
 * What a folder with inbox, spool, products and rejected files looks like, as text that
 * can be compared: files with their hashes, and the rows of the queue, without what a
 * death may change (times, attempts, numbers of rows, the order of acceptance).
 */
enum picture_part {
    PICTURE_INBOX,
    PICTURE_PRODUCTS, /* hidden files too */
    PICTURE_REJECTED,
    PICTURE_COPIES,     /* of the exposures, in the spool */
    PICTURE_UNFINISHED, /* spool/tmp */
    PICTURE_MANIFESTS,  /* spool/jobs: names; they tell the attempt */
    PICTURE_ROWS,       /* exposures, associations, jobs, products */
    PICTURE_PARTS
};

struct picture {
    char *part[PICTURE_PARTS];
};

/* The files alone; of any disk. */
void picture_files(const char *disk, struct picture *ret);
/* Of a disk on which no daemon works and where the last one ended by itself. */
void picture_take(const char *disk, struct picture *ret);
void picture_done(struct picture *p);

/* NULL if both are the same, else which part differs, and how; free it. */
char *picture_compare(const struct picture *should, const struct picture *is);

/*
 * After a death, before anyone repairs: NULL, or what is wrong; free it.
 * - each visible product is, to the byte, one of `before` or `after`;
 * - each file of `before` (copies, and what lay in the inbox) still is in the inbox,
 *   among the copies or among the rejected files; associations are looked for among the
 *   rows, at the end.
 */
char *picture_check_dead(const char *disk, const struct picture *before,
                         const struct picture *after);

/*
 * What the queue has committed is on the disk: NULL, or what is wrong; free it. Each
 * exposure's copy is whole; each product of a job that is done is there. Works on the
 * queue itself: for a disk that is not needed any more.
 */
char *picture_check_committed(const char *disk);

/* The events of each job follow one another and end it `done` once: NULL, or what is
 * wrong; free it. again: more than once is fine, as products may have been lost. */
char *picture_check_events(const char *disk, bool again);

#endif
