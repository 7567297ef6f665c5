#ifndef IFUD_DATA_PROVENANCE_H
#define IFUD_DATA_PROVENANCE_H

#include <stddef.h>
#include "common/base/err.h"
#include "common/data/fits_io.h"
#include "common/data/header.h"

/*
 * What a product was made from and by: written to every product as the table
 * IFUD_PROVENANCE (columns KIND, STAGE, NAME, VALUE, SHA256), the last extension, and
 * as short keywords of the primary header.
 * Ownership: provenance_done frees the items. Thread: one writer, then many readers.
 * Test: tests/data/test_products.c
 */

enum provenance_kind {
    PROVENANCE_INPUT,
    PROVENANCE_REFERENCE,
    PROVENANCE_PARAMETER,
    PROVENANCE_FINGERPRINT /* of a step: jobs/job_fingerprint.h */
};

struct provenance_item {
    enum provenance_kind kind;
    char *stage; /* "" for inputs; the stage that used or has it */
    char *name;  /* input: "exposure"; reference: its type; parameter: its name;
                        fingerprint: "code <version>" */
    char *value; /* file name without folder, with crds:// before it if it was chosen
                        from a CRDS cache; parameter: its text; fingerprint: date of the
                        run that did the step */
    char sha256[65]; /* "" for parameters */
};

struct provenance {
    char version[32];         /* of this program */
    char manifest_sha256[65]; /* "" if there was none */
    char crds_context[64];    /* whose rules chose the references; "" if none did */
    char date[32];            /* DATE of the product, ISO 8601 UTC */
    struct provenance_item *items;
    size_t n, room;
};

void provenance_done(struct provenance *p);

/* Append a copy; the same item twice is kept once. sha256 may be NULL. */
int provenance_add(struct provenance *p, enum provenance_kind kind, const char *stage,
                   const char *name, const char *value, const char *sha256,
                   struct err *err);

/*
 * Keywords of a product's primary header: DATE, FILENAME, DATAMODL, CAL_SW, IFUD_VER,
 * IFUD_MAN, R_* for every reference item, and CRDS_CTX and CRDS_VER if a context chose them
 * (else those are removed). p may be NULL (only FILENAME, DATAMODL and the program's name
 * and version). Cards of another calibration (CAL_VER, CAL_VCS) are removed.
 */
int provenance_to_header(const struct provenance *p, const char *filename,
                         const char *datamodl, struct header *primary, struct err *err);

/* Append the IFUD_PROVENANCE table. NULL: nothing is written. */
int provenance_write(const struct provenance *p, struct fits_out *f, struct err *err);

/* Read the table back (for tests and ifuctl); a file without one: ERR_INPUT. */
int provenance_read(struct fits_in *f, struct provenance *ret, struct err *err);

/* R_* keyword of a reference type ("camera" -> "R_CAMERA") or NULL; *ret_comment (may
 * be NULL) is what stands behind the slash. */
const char *provenance_keyword(const char *reference_type, const char **ret_comment);

#endif
