#ifndef IFUD_TESTS_STAGE_KIT_H
#define IFUD_TESTS_STAGE_KIT_H

#include "common/data/fits_io.h"
#include "stages/stage.h"
#include "tests/support.h"

/*
 * Runs one stage on one exposure with references made for the test: the reference of
 * type T is the file T.fits in the kit's folder.
 */
struct stage_kit {
    char *folder;
    struct references *refs;
    char used[256]; /* types that were used, each with a blank behind it */
    struct {
        char suffix[40];
        struct exposure *e;
    } kept[8]; /* products beside the stage's own, until the next run */
    size_t n_kept;
    bool skipped;    /* the stage said that it had nothing to do */
    char said[4096]; /* its notes and warnings, each with a line end behind it */
    int n_warnings;
    const struct exposure_source *imprints, *backgrounds; /* given to the dataset */
    struct exposure *background; /* corrected after the run, as later stages open it */
};

/* What was kept under this suffix; fails if nothing was. The kit owns it. */
const struct exposure *stage_kit_kept(const struct stage_kit *kit, const char *suffix);

void stage_kit_init(struct stage_kit *kit);
void stage_kit_done(struct stage_kit *kit);

/* Run with parameters "name=value;name=value" (or "") and this many threads. */
int stage_kit_run(struct stage_kit *kit, const struct stage *stage, const char *params,
                  int threads, struct exposure *e, struct err *err);

/* Write a reference file: primary header, then what `fill` adds. Replaces the old one. */
void stage_kit_write(const char *path,
                     void (*fill)(struct fits_out *f, const void *arg),
                     const void *arg);

/*
 * An exposure of 64 x 24 pixels whose corner is pixel (33, 9) of the frame, with two
 * slices: 7 in rows 3..9 and 12 in rows 13..19, both rising by a row at column 32.
 * The wavelength is 3 + 0.01 x + 0.001 y um.
 */
enum { KIT_NX = 64, KIT_NY = 24, KIT_X0 = 33, KIT_Y0 = 9 };
struct exposure *stage_kit_exposure(void);
double stage_kit_um(int x, int y);
int stage_kit_slice(int x, int y); /* 0: none */

#endif
