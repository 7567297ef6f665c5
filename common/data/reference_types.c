#include "common/data/ref_apcorr.h"
#include "common/data/ref_area.h"
#include "common/data/ref_extract1d.h"
#include "common/data/ref_cubepar.h"
#include "common/data/ref_flat.h"
#include "common/data/ref_msa.h"
#include "common/data/ref_msaoper.h"
#include "common/data/ref_pathloss.h"
#include "common/data/ref_photom.h"
#include "common/data/ref_wcs.h"
#include "common/data/references.h"

#include <string.h>

/* One row per type that has a loader; the loaders live in ref_<type>.c. */
const struct reference_type reference_types[] = {
    {"fflat", false, ref_fflat_load, ref_flat_free},
    {"sflat", false, ref_image_flat_load, ref_flat_free},
    {"dflat", false, ref_image_flat_load, ref_flat_free},
    {"flat", false, ref_total_flat_load, ref_flat_free},
    {"pathloss", false, ref_pathloss_load, ref_pathloss_free},
    {"photom", false, ref_photom_load, ref_photom_free},
    {"area", false, ref_area_load, ref_area_free},
    {"extract1d", true, ref_extract1d_load, ref_extract1d_free},
    {"apcorr", true, ref_apcorr_load, ref_apcorr_free},
    {"camera", true, ref_optics_load_2to2, ref_optics_free},
    {"collimator", true, ref_optics_load_2to2, ref_optics_free},
    {"ote", true, ref_optics_load_2to2, ref_optics_free},
    {"fore", true, ref_optics_load_3to2, ref_optics_free},
    {"ifufore", true, ref_optics_load_3to2, ref_optics_free},
    {"chromcorr", true, ref_chromcorr_load, ref_optics_free},
    {"fpa", true, ref_fpa_load, ref_fpa_free},
    {"disperser", true, ref_disperser_load, ref_disperser_free},
    {"ifupost", true, ref_ifupost_load, ref_ifupost_free},
    {"ifuslicer", true, ref_ifuslicer_load, ref_ifuslicer_free},
    {"wavelengthrange", true, ref_wavelengthrange_load, ref_wavelengthrange_free},
    {"cubepar", false, ref_cubepar_load, ref_cubepar_free},
    {"msaoper", false, ref_msaoper_load, ref_msaoper_free},
    {"msa", true, ref_msa_load, ref_msa_free},
    {NULL, false, NULL, NULL},
};

bool reference_type_is_optional(const char *type)
{
    return !strcmp(type, "msaoper") || !strcmp(type, "msa") || !strcmp(type, "flat") ||
           !strcmp(type, "apcorr");
}
