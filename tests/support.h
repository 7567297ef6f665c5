#ifndef IFUD_TESTS_SUPPORT_H
#define IFUD_TESTS_SUPPORT_H

#include <check.h>
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/data/exposure.h"

/*
 * Helpers for tests. Every failure ends the test with a message.
 */

/* A pause of 10 ms between two looks. */
void support_beat(void);

/* Look until the condition holds; after `patience` s fail with the message. */
#define support_until(condition, patience, ...)                                        \
    do {                                                                               \
        double support_end = clock_steady() + (patience);                              \
        while (!(condition)) {                                                         \
            ck_assert_msg(clock_steady() < support_end, __VA_ARGS__);                  \
            support_beat();                                                            \
        }                                                                              \
    } while (0)

/* Run the suite and free it; returns what main returns. */
int support_run(Suite *s);

/* A new empty folder below $TMPDIR or /tmp; free with support_remove. */
char *support_folder(void);
/* Remove the folder and all in it, and free the path. */
void support_remove(char *folder);

/* folder "/" name in a static ring of eight buffers: no need to free. */
const char *support_path(const char *folder, const char *name);

/* Fail the test with the message unless code is 0. */
void support_ok(int code, const struct err *err);

/*
 * A minimal valid rate exposure of nx * ny pixels in memory, headers and meta complete:
 * detector "NRS1" or "NRS2"; corner substrt1/2 (1-based). SCI = 1 + x / 100 + y / 1000,
 * ERR = 0.1, DQ = 0, variances 0.005. Free with exposure_free.
 */
struct exposure *support_exposure(int nx, int ny, int substrt1, int substrt2,
                                  const char *detector, const char *filter,
                                  const char *grating);

/* The same written to path as a _rate file. */
void support_write_rate(const char *path, const struct exposure *e);

/* Whole small files: NULL-terminated text; the caller frees. */
char *support_read_file(const char *path, size_t *ret_n);
void support_write_file(const char *path, const void *data, size_t n);

/* Cut a file to n bytes. */
void support_truncate(const char *path, size_t n);

/*
 * Folder of the peer's samples (PEER_SAMPLES, default ../shared from the checkout), or
 * NULL after saying aloud on standard error that they are absent.
 */
const char *support_peer_samples(void);

#endif
