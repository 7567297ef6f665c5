#include "common/data/references.h"

/* One row per type that has a loader; the loaders live in ref_<type>.c. */
const struct reference_type reference_types[] = {
    {NULL, false, NULL, NULL},
};
