#ifndef IFUD_STAGES_CUBE_GEOMETRY_H
#define IFUD_STAGES_CUBE_GEOMETRY_H

#include <stdbool.h>
#include <stddef.h>
#include "common/base/err.h"
#include "common/base/par.h"
#include "common/base/params.h"
#include "common/data/ref_cubepar.h"
#include "common/data/wcs.h"

/*
 * The grid of a cube: a tangent plane cut into square spaxels, and planes of wavelength.
 * xi grows towards the west (decreasing RA) and eta to the north, in arcsec, unless the
 * grid is turned. The centre of the middle spaxel is the tangent point.
 * Ownership: cube_grid_done frees z and dz. Thread: read-only once set up.
 * Test: tests/stages/test_cube_geometry.c
 */
struct cube_grid {
    int nx, ny, nw;
    double ra0, dec0; /* tangent point, degrees */
    double pa;        /* position angle of the grid, degrees east of north */
    double scale;     /* spaxel, arcsec */
    double x0, y0;    /* outer edges of the first spaxel, arcsec */
    bool linear;      /* planes are equally spaced */
    double step;      /* um, linear only */
    double *z, *dz;   /* centre and width of each plane, um; z ascends */
    double dz_mean, dz_max;
    double
        reach; /* um: how far from its own wavelengths a pixel may count; dz_mean unless
                     a weighting takes it farther */

    bool points; /* the weighting takes pixels as points: footprints are not wanted */

    /* Of the tangent point and the angle, for cube_grid_project. */
    double sin_dec0, cos_dec0, sin_pa, cos_pa;
    /* Of an offset of all positions, see cube_grid_offset. */
    bool moved;
    double shift[3];
};

/* What the parameters of the stage ask for; NaN and 0 mean: not given. */
struct cube_request {
    double scale, step;        /* scalexy (arcsec), scalew (um); 0: from cubepar */
    double wave_min, wave_max; /* um */
    double ra_center, dec_center, pa; /* degrees */
    int nspax_x, nspax_y;             /* odd, or 0 */
    bool linear;
    bool exact; /* internal_cal: planes where the header says */
};

void cube_request_read(const struct params *params, struct cube_request *ret);

/*
 * Set up the grid as the peer's setup_ifucube_wcs does.
 *
 * Given:      request
 *             row, waves    what cubepar says about the disperser
 *             disperser     for messages
 *             n, ra, dec    corners of all exposures' footprints (degrees)
 * Returned:   *ret, to be freed with cube_grid_done
 * Errors:     ERR_PARAM: an empty or too large range; ERR_REFERENCE: the same from
 *             cubepar; ERR_NODATA: no finite corner
 */
int cube_grid_set(const struct cube_request *request, const struct ref_cubepar_row *row,
                  const struct ref_cubepar_waves *waves, const char *disperser,
                  size_t n, const double *ra, const double *dec, struct cube_grid *ret,
                  struct err *err);
void cube_grid_done(struct cube_grid *grid);

/* n sky positions (degrees) to the grid: spaxel i covers u = i .. i + 1, and so v. */
void cube_grid_project(const struct cube_grid *grid, size_t n, const double *ra,
                       const double *dec, double *u, double *v);

/* Have cube_grid_project move positions by this much east and north (arcsec) first, as
 * cube_offset_apply does. */
void cube_grid_offset(struct cube_grid *grid, const double offset[2]);

/* First plane whose upper edge lies above lam_um: 0..nw. NaN gives nw. */
int cube_grid_plane(const struct cube_grid *grid, double lam_um);

/*
 * The positions with the least and largest RA and Dec of all pixels of an exposure, as
 * four corners (RA near that of the pointing, may leave 0..360).
 * Used where the footprint's box does not do: the grid is turned or the target moves.
 */
int cube_extremes(const struct wcs *wcs, double ra_ref, struct par *par,
                  const atomic_bool *cancel, double ret_ra[4], double ret_dec[4],
                  struct err *err);

#endif
