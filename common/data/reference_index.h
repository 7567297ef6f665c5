#ifndef IFUD_DATA_REFERENCE_INDEX_H
#define IFUD_DATA_REFERENCE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"
#include "common/data/exposure.h"

/*
 * The index behind references.h: what each file of a folder says of itself, and which of
 * them suits an exposure. No locks and no hashes here.
 * Ownership: reference_index_done frees the entries. Thread: one writer, many readers.
 * Test: tests/data/test_references.c
 */

enum { /* what must match, in the order in which differences are reported */
       BY_INSTRUMENT,
       BY_DETECTOR,
       BY_FILTER,
       BY_GRATING,
       BY_EXP_TYPE,
       BY_N
};

struct reference_entry {
    char *path;
    char type[24];       /* lower case, letters and digits only; "" with `problem` */
    char *accept[BY_N];  /* "A|B" upper case as written; NULL: everything */
    char useafter[40];   /* as written; "" if absent */
    int64_t useafter_us; /* microseconds since 1970; INT64_MIN if absent */
    long serial;         /* digits before the extension after '_'; -1 if none */
    char *problem;       /* why the metadata could not be used, or NULL */
};

struct reference_index {
    struct reference_entry *entries; /* sorted by path */
    size_t n, room;
    size_t n_links; /* symbolic links left alone */
};

/*
 * Index a folder at any depth: files *.fits, *.fits.gz, *.asdf and *.json. Symbolic links below
 * the folder are not followed. A file without a reference type is left out; one that
 * cannot be read stays with its problem. ERR_REFERENCE if there is no such folder.
 */
int reference_index_scan(const char *folder, struct reference_index *ret,
                         struct err *err);
void reference_index_done(struct reference_index *index);

/* The metadata of one file. type is "" if it says none. Free with
 * reference_entry_done. */
int reference_entry_read(const char *path, struct reference_entry *ret,
                         struct err *err);
void reference_entry_done(struct reference_entry *entry);

/*
 * Those that suit best: same type, all criteria, newest USEAFTER not after the exposure,
 * highest serial. More than one is a tie, for the caller to settle by content.
 * Given:     type as in references.h; meta
 * Returned:  *ret_best (malloc: the caller frees) pointers into the index, sorted by
 *            path; *ret_n >= 1; *ret_n_type entries of the type, *ret_n_match of those
 *            that match but for their date
 * ERR_REFERENCE if none: the message says what was looked for and what stood in the way.
 */
int reference_index_match(const struct reference_index *index, const char *folder,
                          const char *type, const struct exposure_meta *meta,
                          const struct reference_entry ***ret_best, size_t *ret_n,
                          size_t *ret_n_type, size_t *ret_n_match, struct err *err);

/* What an entry says it suits: "detector NRS1|NRS2, filter F290LP". */
void reference_entry_suits(const struct reference_entry *e, char *ret, size_t size);

/* A type's name in the form that is compared: "EXTRACT_1D" -> "extract1d". */
void reference_type_fold(const char *name, char ret[24]);

/* "2022-01-01T00:00:00.5", "2022-01-01 00:00:00" or "2022-01-01" in microseconds since
 * 1970; false if it is none of these. */
bool reference_time(const char *text, int64_t *ret_us);

#endif
