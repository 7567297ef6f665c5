#ifndef IFUD_DATA_REFERENCES_H
#define IFUD_DATA_REFERENCES_H

#include <stdbool.h>
#include <stddef.h>
#include "common/base/err.h"
#include "common/base/par.h"
#include "common/data/exposure.h"

/*
 * Reference files: an index of a folder by the files' own metadata or the rules of a CRDS
 * context, the choice for one exposure, and one read-only cache per process.
 *
 * Matching: type, instrument, detector, filter, grating, exposure type; P_DETECT,
 * P_EXP_TY, P_FILTER, P_GRATIN (p_* in ASDF, "A|B|") override the plain value; absent,
 * N/A and ANY match all; case does not matter. Of those that match the newest USEAFTER
 * not after the exposure, then the highest serial number in the name; still tied with
 * other content is an error naming both.
 */

/* What is shared: one index and one cache per process. Thread: any (locked inside). */
struct references;

/*
 * Index `folder` (any depth; NULL: no folder, overrides only). A file whose metadata
 * cannot be read is remembered, and named if nothing else matches.
 * max_bytes: memory ceiling of the cache; what no reader holds is dropped beyond it.
 */
int references_open(const char *folder, size_t max_bytes, struct references **ret,
                    struct err *err);
void references_close(
    struct references *refs); /* NULL is fine; no handle may be held */

/*
 * From now on the rules of a CRDS context choose, from a cache folder (crds_cache.h), in place
 * of the folder's index; what is named outright stays so. context: "jwst_NNNN.pmap" or
 * "latest". path NULL: the folder's index again. On failure nothing changes.
 */
int references_use_crds(struct references *refs, const char *path, const char *context,
                        struct err *err);

/* The context whose rules choose, "jwst_NNNN.pmap"; "" if none does. */
void references_context(struct references *refs, char ret[64]);

/* Index the folder again, or read the context's rules again (new files appear); handles
 * already held stay valid. */
int references_rescan(struct references *refs, struct err *err);

/*
 * Hash n files for references_hash, several at once (par: by whose threads; NULL: one
 * after another).
 */
int references_hash_all(struct references *refs, size_t n, const char *const *paths,
                        struct par *par, struct err *err);
/*
 * SHA-256 of any file, taken once for each state of it (size, times, inode): a job is
 * pinned and run without reading its inputs twice for that.
 */
int references_hash(struct references *refs, const char *path, char ret_hex[65],
                    struct err *err);

#define REFERENCE_NOT_APPLICABLE "N/A" /* as override: none, although there is one */

struct reference; /* one file in memory: immutable, reference counted */

/* A choice, and why: for `ifurun refs`, headers and manifests. */
struct reference_choice {
    char type[24];
    char path[4096];
    char name[256]; /* base name, as written to R_* keywords ("crds://" not added) */
    char sha256[65];
    char reason[512]; /* one line: what matched, how many others, why this one */
};

/* Choose without loading. `override_path` (or NULL) names the file outright. */
int references_choose(struct references *refs, const char *type,
                      const struct exposure_meta *meta, const char *override_path,
                      struct reference_choice *ret, struct err *err);

/*
 * Like references_choose, for types that an exposure can do without
 * (reference_type_is_optional): *ret_found is false, and that is no error, if no file of
 * the folder suits, the context's rules say that it is not applicable, or override_path is "N/A" or "" (none was there when a job was
 * pinned).
 */
int references_choose_if_any(struct references *refs, const char *type,
                             const struct exposure_meta *meta,
                             const char *override_path, struct reference_choice *ret,
                             bool *ret_found, struct err *err);

/*
 * Load (or share) the chosen file, parsed by the loader of its type.
 * `object` is the type's struct (ref_*.h); it stays valid until reference_release.
 */
int references_load(struct references *refs, const struct reference_choice *choice,
                    struct reference **ret_ref, const void **ret_object,
                    struct err *err);
void reference_release(struct reference *ref); /* NULL is fine */

/*
 * One loader per reference type, in one table (reference_types.c). A loader reads the
 * file at `path` into a new object, tells its size in memory, and frees it.
 */
struct reference_type {
    const char *type; /* "fflat", "camera", ... */
    bool is_asdf;
    int (*load)(const char *path, void **ret_object, size_t *ret_bytes,
                struct err *err);
    void (*free)(void *object);
};
extern const struct reference_type reference_types[]; /* ends with type == NULL */

/* May there be none? (msaoper, msa, flat, apcorr) */
bool reference_type_is_optional(const char *type);

#endif
