#include "stages/cube_room.h"

#include <math.h>
#include <stdio.h>
#include "common/data/cube_file.h"
#include "stages/cube_sum.h"

/* What would fit instead of `over` times too much? */
static int refuse(const struct cube_room *room, double need, const char *bound,
                  double most, struct err *err)
{
    const struct cube_grid *g = room->grid;
    const double over = need / most, range = g->z[g->nw - 1] - g->z[0];
    /* spaxels along an edge, without those at the rim, which do not grow */
    const double edge = sqrt((double)g->nx * g->ny), fits = edge / sqrt(over);
    const double coarser = fits > 5 ? (edge - 3) / (fits - 4) : edge;
    char step[60] = "", spaxel[60] = "";
    if (!room->slicer) {
        snprintf(spaxel, sizeof spaxel, "scalexy = %.3g arcsec, ",
                 1.01 * g->scale * coarser);
    }
    if (g->linear) {
        snprintf(step, sizeof step, "scalew = %.3g um, ", 1.01 * g->step * over);
    }
    return err_set(err, ERR_PARAM,
                   "cube_build: %d x %d spaxels and %d planes take %.3g GB, more than "
                   "%s = %g GB; would fit: %s%s%.3g um between wavemin and "
                   "wavemax%s",
                   g->nx, g->ny, g->nw, need / 1e9, bound, most / 1e9, spaxel, step,
                   0.99 * range / over,
                   room->slicer ? "" : ", or fewer nspax_x and nspax_y");
}

int cube_room_make(const struct cube_room *room, const struct params *params,
                   struct cube **ret, int *ret_planes, struct err *err)
{
    const struct cube_grid *g = room->grid;
    const double plane = (double)g->nx * g->ny * cube_sums_voxel_bytes(room->shared);
    const double memory = 1e9 * params_real(params, "max_memory"), need = plane * g->nw;
    const double file = room->folder ? 1e9 * params_real(params, "max_file") : 0;
    if (need <= memory) {
        *ret_planes = g->nw;
        *ret = cube_new(g->nx, g->ny, g->nw, err);
        return *ret ? 0 : ERR_NOMEM;
    }
    if (need > file) {
        return file > memory ? refuse(room, need, "max_file", file, err)
                             : refuse(room, need, "max_memory", memory, err);
    }
    *ret_planes = memory < plane ? 1 : (int)(memory / plane);
    return cube_new_in_file(g->nx, g->ny, g->nw, room->shared, room->folder, ret, err);
}
