#ifndef IFUD_JOBS_JOB_ESTIMATE_H
#define IFUD_JOBS_JOB_ESTIMATE_H

#include <stdint.h>
#include "common/base/err.h"
#include "jobs/job.h"

/*
 * How much memory a job will need, from the size and pointing of its exposures, its recipe
 * and its settings, before it runs. Pure: no file is opened.
 *
 *     pixels of one exposure x bytes of the planes that a stage holds
 *     + voxels of the cube x 20   (SCI, ERR, DQ, WMAP and the weights)
 *     + threads x 6 MB            (tiles of the drizzle)
 *     + exposures x 0.5 MB        (the WCS that spec3 keeps of each)
 *
 * spec2 with imprints or backgrounds peaks while one of them is prepared (33 bytes a pixel
 * more, 25 for an imprint that waits for a background, 20 for each background), and
 * with clean_flicker_noise by gp while that runs (66 more). Without,
 * it peaks while it calibrates and writes _cal (45 bytes a pixel, 57 where the flat is
 * kept), or in cube_build (33 of the exposure, 10 of its trace, and the cube); spec3 holds
 * one exposure at a time (24 with its trace). The field of an exposure is taken as a
 * square of 3.6 arcsec, turned as it was on the sky; the grid as the settings of
 * cube_build say, and where they leave it to cubepar, 0.1 arcsec and the disperser's
 * nominal range and step. Spaxels that no light reaches are never touched, so true peaks
 * are lower. Estimate over peak, measured (G395H, two threads): spec2 of a full frame 390
 * over 274 MB, with spaxels of 0.05 arcsec 868 over 585; spec3 of 1, 4, 8, 16 exposures
 * 311, 334, 359, 363 over 179, 276, 294, 296. Over all modes: 1.1 to 1.9.
 *
 * A cube beyond cube_build.max_memory lies in a file, and takes no more than that.
 *
 * What stays outside: flats and other references lie on disk (ref_planes.h) or in the
 * cache, which has a ceiling of its own; a flat that is compressed is loaded whole, and
 * only measured peaks show that. Of a window that leaves out slices the field is still
 * taken whole (three times too much for a quarter of the frame).
 */

struct job_memory {  /* bytes */
    int64_t job;     /* what the job allocates, in whichever process */
    int64_t mapped;  /* the file in which a larger cube lies: address space alone */
    int64_t process; /* a process of its own beside that: code, libraries, references */
};

struct job_extent { /* of one exposure */
    double pixels;
    char grating[12],
        filter[12]; /* another than the nine pairs: the one of most planes */
    double ra, dec; /* degrees: RA_REF, DEC_REF */
    double pa;      /* degrees: ROLL_REF + V3I_YANG */
};

/*
 * Given:     job      recipe, inputs, settings, threads (nothing needs to be pinned)
 *            extents  of each input
 * Errors:    as job_plan_make
 * Thread:    any (pure). Test: tests/jobs/test_job_estimate.c
 */
int job_estimate(const struct job *job, const struct job_extent *extents,
                 struct job_memory *ret, struct err *err);

#endif
