#include "stages/outlier_keep.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include "common/base/mem.h"
#include "common/data/plane_set.h"

static int describe(const struct outlier_peer *p, struct header *h, struct err *err)
{
    int code =
        header_set_int(h, "KERNXSZ", p->box_y, "outlier detection kernel x size", err);
    code = code ? code
                : header_set_int(h, "KERNYSZ", p->box_x,
                                 "outlier detection kernel y size", err);
    return code ? code
                : header_set_real(h, "THRSPRC", p->percent,
                                  "outlier detection threshold percent", err);
}

/* One more plane: of floats, or of doubles. */
static int add_plane(struct plane_set *set, const char *extname,
                     const struct outlier_kept *k, const float *floats,
                     const double *doubles, struct err *err)
{
    const size_t n = k->nx * k->ny;
    float *data = mem_alloc(n, sizeof *data, err);
    if (!data) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        data[i] = floats ? floats[i] : (float)doubles[i];
    }
    return plane_set_add(set, extname, k->nx, k->ny, 0, data, err);
}

int outlier_keep(const struct stage_env *env, const struct outlier_kept *k,
                 struct err *err)
{
    char suffix[40];
    struct plane_set *set = plane_set_new("OutlierIFUOutputModel", k->first, err);
    if (!set) {
        free(k->differences);
        return ERR_NOMEM;
    }
    int code = plane_set_add(set, "DIFFARR", k->nx, k->ny, k->n, k->differences, err);
    code = code ? code : describe(k->method, &set->primary, err);
    code = code ? code : add_plane(set, "MINARR", k, k->least, NULL, err);
    code = code ? code : add_plane(set, "NORMARR", k, NULL, k->norm, err);
    code = code ? code : add_plane(set, "MINNORM", k, NULL, k->ratio, err);
    if (code) {
        plane_set_free(set);
        return code;
    }
    snprintf(suffix, sizeof suffix, "%s_outlier_output", k->detector);
    for (char *c = suffix; *c; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    return stage_keep_planes(env, k->exposure, suffix, set, err);
}
