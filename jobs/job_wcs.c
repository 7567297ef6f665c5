#include "jobs/job_wcs.h"

#include "common/data/wcs_build.h"

#define MAX_TYPES 16

int job_build_wcs(const struct stage_env *env, const struct params *params,
                  const struct exposure_meta *meta, int nx, int ny, struct wcs **ret,
                  uint8_t *regions, struct err *err)
{
    struct wcs_references refs = {0};
    struct reference *held[MAX_TYPES] = {0};
    const double y_slit[2] = {params_real(params, "slit_y_low"),
                              params_real(params, "slit_y_high")};
    int code = 0;
    for (size_t i = 0; wcs_reference_types[i] && i < MAX_TYPES && !code; i++) {
        const void *object = NULL;
        code =
            stage_reference(env, meta, wcs_reference_types[i], &held[i], &object, err);
        if (!code) {
            wcs_references_set(&refs, i, object);
        }
    }
    if (!code) {
        code = wcs_build(meta, nx, ny, &refs, y_slit, env->par, env->cancel, ret,
                         regions, NULL, err);
    }
    for (size_t i = 0; i < MAX_TYPES; i++) {
        reference_release(held[i]);
    }
    return code;
}
