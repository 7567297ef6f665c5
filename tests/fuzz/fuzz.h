#ifndef IFUD_TESTS_FUZZ_H
#define IFUD_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/*
 * Fuzzing: what strangers can hand to the daemon, one target for each way in. A target
 * takes any bytes; it fails by a crash, a sanitizer's report, a memory or time limit, or
 * by fuzz_must.
 *
 * scripts/fuzz runs them with libFuzzer (fuzz_main.c); tests/fuzz/test_fuzz.c replays
 * the seeds (corpus/<target>/) and what was found and fixed (found/<target>/) with any
 * compiler. Thread: one.
 */
struct fuzz_target {
    const char *name;
    void (*one)(const uint8_t *data, size_t n);
};

extern const struct fuzz_target fuzz_targets[]; /* ends with name == NULL */
const struct fuzz_target *fuzz_target_find(const char *name); /* or NULL */

void fuzz_fits(const uint8_t *data, size_t n);     /* exposures, FITS references */
void fuzz_asdf(const uint8_t *data, size_t n);     /* ASDF references, transforms */
void fuzz_manifest(const uint8_t *data, size_t n); /* of a job */
void fuzz_config(const uint8_t *data, size_t n);   /* the daemon's configuration */
void fuzz_report(const uint8_t *data, size_t n);   /* of a job's process */
void fuzz_socket(const uint8_t *data, size_t n);   /* the status socket */
void fuzz_association(const uint8_t *data, size_t n);
void fuzz_crds(const uint8_t *data, size_t n); /* association files */

/* A folder of this process below $TMPDIR, removed at its end. */
const char *fuzz_folder(void);

/* The bytes as a file of this name in that folder: its path, borrowed until the next
 * call. */
const char *fuzz_file(const char *name, const uint8_t *data, size_t n);

/* The bytes as text, up to the first zero; the caller frees. */
char *fuzz_text(const uint8_t *data, size_t n);

/* Ends the process unless `truth` holds, saying what does not. */
void fuzz_must(int truth, const char *what);

/*
 * A change to a FITS file that keeps its 80-byte cards: another value, a card twice, away
 * or exchanged with another one's. In place, or shorter or longer by cards.
 * Given: data, n bytes, room for max; seed. Returned: the new length
 */
size_t fuzz_cards_mutate(uint8_t *data, size_t n, size_t max, unsigned seed);

/* The entry points that libFuzzer calls. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed);

#endif
