#include "common/data/ref_area.h"
#include "common/data/ref_flat.h"
#include "common/data/ref_pathloss.h"
#include "common/data/ref_photom.h"
#include "common/data/references.h"

/* One row per type that has a loader; the loaders live in ref_<type>.c. */
const struct reference_type reference_types[] = {
    {"fflat", false, ref_fflat_load, ref_flat_free},
    {"sflat", false, ref_image_flat_load, ref_flat_free},
    {"dflat", false, ref_image_flat_load, ref_flat_free},
    {"flat", false, ref_total_flat_load, ref_flat_free},
    {"pathloss", false, ref_pathloss_load, ref_pathloss_free},
    {"photom", false, ref_photom_load, ref_photom_free},
    {"area", false, ref_area_load, ref_area_free},
    {NULL, false, NULL, NULL},
};
