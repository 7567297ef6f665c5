#ifndef IFUD_DATA_WCS_PRIVATE_H
#define IFUD_DATA_WCS_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include "common/data/ref_wcs.h"
#include "common/data/transform_build.h"
#include "common/data/wcs.h"

/*
 * The inside of a WCS, shared by the wcs_*.c files only.
 *
 * Points go through in runs of at most WCS_RUN, with scratch on the stack. What does not
 * depend on the slice (detector <-> gwa, slicer <-> sky) is common; per slice there are
 * the table y_slit(beta_in) and a short series, alpha_in of y_slit at the mid wavelength:
 * towards the sky IFUPOST is fixed there and x_slit is 0, so that the way from slit to
 * grating is a smooth function of y_slit alone.
 */

#define WCS_RUN 256
#define WCS_FULL 2048        /* pixels along an edge of the full frame */
#define WCS_BLOCK 64         /* columns of the guide along a trace */
#define WCS_SLIT_TABLE 1000  /* points of the table y_slit(beta_in), as in the peer */
#define WCS_PRISM_TABLE 1542 /* points of the prism's table wavelength(index) */
#define WCS_SERIES 21        /* most terms of a series in y_slit */

/*
 * A WCS that was read from an exposure (wcs_gwcs.c) has the transforms of its file in
 * the place of the instrument's parts: per slice those from the detector to the slicer,
 * common to all that to the sky. They take the exposure's own array pixels.
 */
struct wcs_there_and_back {
    struct transform *forward, *inverse; /* held; NULL: made from references */
};

/* A slit: a slice of the IFU, or a shutter of the MSA. */
struct wcs_slice {
    struct wcs_there_and_back to_slicer; /* (x, y) -> (across, along, lam), m */
    struct transform *from_slit;   /* (x_slit, y_slit, lam) -> (x, y), of older files */
    double x, y, size_x, size_y;   /* on the slicer or in the MSA's quadrant, m */
    const struct transform *plane; /* from there on: 2 -> 2 */
    const struct ref_ifupost_slice *post; /* NULL: a shutter */
    double y_min, y_max;                  /* ends, in slit lengths */
    double beta[WCS_SLIT_TABLE];          /* ascending */
    double y_slit[WCS_SLIT_TABLE];        /* at beta[i] */
    double beta_scale;                    /* (points - 1) / (last - first) */
    int n_terms;
    double alpha_in[WCS_SERIES]; /* powers of y_slit scaled to -1..1 */
    struct wcs_box box;
};

struct wcs_glass {
    double angle_deg;             /* the prism's */
    double sin2, cos2;            /* of twice that */
    struct transform_glass glass; /* at the prism's temperature */
    double index[WCS_PRISM_TABLE], lam[WCS_PRISM_TABLE]; /* index ascending; m */
};

/* v2v3 -> sky about the reference point; angles in radians. */
struct wcs_pointing {
    double va_scale;
    double v2_ref, v3_ref; /* arcsec */
    double ra_ref;         /* degrees */
    double sin_v3, cos_v3, sin_roll, cos_roll, sin_dec, cos_dec;
    double dec_ref; /* radians */
    double dec_deg, roll_deg;
};

struct wcs {
    atomic_int count;
    int nx, ny;
    double corner_x, corner_y; /* of the array in the full frame, 0-based */
    bool flip;                 /* NRS2 */

    struct ref_optics fpa, camera, collimator, slicer_plane, ifufore, fore, chromcorr,
        ote;
    struct ref_ifupost_slice post[WCS_SLICES]; /* held */

    double tilt_deg[4]; /* turns about x, y, z and y that make up to_gwa */
    double to_gwa[9];   /* direction cosines in the camera's frame to the grating's */
    int order;
    double groove_order;     /* grooves per m times order */
    struct wcs_glass *glass; /* the prism; NULL: a grating */
    double velocity;         /* observed wavelength times this is barycentric */
    double lam_min, lam_max, lam_mid; /* m */

    struct wcs_pointing pointing;
    struct wcs_there_and_back to_sky; /* (across, along, lam) -> (ra, dec, um) */
    struct wcs_slice slice[WCS_SLICES];

    double footprint[8];
    double spectral_min, spectral_max; /* um */
    double slice_width;
};

/* Size and corner of the array, as the headers say; ERR_INPUT beyond the full frame. */
int wcs_set_frame(struct wcs *w, const struct exposure_meta *meta, int nx, int ny,
                  struct err *err);

/* ---- wcs.c: detector -> slicer, at most WCS_RUN points; y_slit limits apply ---- */

void wcs_run_to_slicer(const struct wcs *w, const struct wcs_slice *s, size_t n,
                       const double *x, const double *y, double *across_m,
                       double *along_m, double *lam_m);

/* ---- wcs_gwcs_run.c: the same and more for a WCS with the transforms of a file ---- */

void wcs_file_to_slicer(const struct wcs_slice *s, size_t n, const double *x,
                        const double *y, double *across_m, double *along_m,
                        double *lam_m);
void wcs_file_from_slicer(const struct wcs_slice *s, size_t n, const double *across_m,
                          const double *along_m, const double *lam_m, double *x,
                          double *y);
void wcs_file_from_sky(const struct wcs *w, size_t n, const double *ra,
                       const double *dec, const double *lam_um, double *across_m,
                       double *along_m, double *lam_m);

/* ---- wcs_tree.c: the WCS as transforms ---- */

struct wcs_trees {
    struct wcs_there_and_back slice[WCS_SLICES]; /* array pixels to the slicer */
    int n_steps;
    struct wcs_tree_step {
        const char *frame; /* from which it goes, as the peer calls it; static */
        struct wcs_there_and_back t;
    } step[8]; /* slicer to sky; the last one ends at world */
};

/* Not compiled; parts that slices have in common are the same objects. */
int wcs_trees_make(const struct wcs *w, struct wcs_trees *ret, struct err *err);
void wcs_trees_done(struct wcs_trees *t);

/* ---- wcs_gwa.c: detector <-> gwa; array pixels and direction cosines ---- */

void wcs_set_rotation(struct wcs *w, const double angles_deg[4]);
void wcs_pixel_to_gwa(const struct wcs *w, size_t n, const double *x, const double *y,
                      double *alpha, double *beta);
/* By the stored inverses of camera and fpa. */
void wcs_gwa_to_pixel(const struct wcs *w, size_t n, const double *alpha,
                      const double *beta, double *x, double *y);
/* The exact inverse of wcs_pixel_to_gwa. */
void wcs_gwa_to_pixel_exact(const struct wcs *w, size_t n, const double *alpha,
                            const double *beta, double *x, double *y);

/* ---- wcs_newton.c ---- */

/* From (x, y) to (u, v) at n <= WCS_RUN points; outputs are not the inputs. */
typedef void (*wcs_map)(const void *arg, size_t n, const double *x, const double *y,
                        double *u, double *v);
/* One step of Newton's method, with derivatives over h: moves x, y nearer to where map
 * gives u, v. */
void wcs_newton(wcs_map map, const void *arg, double h, size_t n, const double *u,
                const double *v, double *x, double *y);

/* ---- wcs_slit.c: gwa <-> slit of one slice ---- */

int wcs_slice_prepare(const struct wcs *w, struct wcs_slice *s, struct err *err);
int wcs_glass_prepare(struct wcs_glass *g, const struct ref_disperser *d,
                      double temperature_k, struct err *err);
/* lam_m is barycentric. NaN where beta is outside the slit. */
void wcs_gwa_to_slit(const struct wcs *w, const struct wcs_slice *s, size_t n,
                     const double *alpha, const double *beta, double *y_slit,
                     double *lam_m);
/* The inverse of wcs_gwa_to_slit on the centre line; elsewhere moved as the optics do. */
void wcs_slit_to_gwa_exact(const struct wcs *w, const struct wcs_slice *s, size_t n,
                           const double *x_slit, const double *y_slit,
                           const double *lam_m, double *alpha, double *beta);
/* The peer's own way back: IFUPOST at each wavelength, the prism without its table. */
void wcs_slit_to_gwa(const struct wcs *w, const struct wcs_slice *s, size_t n,
                     const double *x_slit, const double *y_slit, const double *lam_m,
                     double *alpha, double *beta);
/* y_slit on the centre line to the slicer, and the slicer to the slit. */
void wcs_slit_to_slicer(const struct wcs *w, const struct wcs_slice *s, size_t n,
                        const double *y_slit, double *across_m, double *along_m);
void wcs_slicer_to_slit(const struct wcs *w, const struct wcs_slice *s, size_t n,
                        const double *across_m, const double *along_m, double *x_slit,
                        double *y_slit);

/* ---- wcs_sky.c: slicer <-> sky, at most WCS_RUN points ---- */

int wcs_set_pointing(struct wcs_pointing *p, const struct exposure_meta *meta,
                     struct err *err);
void wcs_run_to_sky(const struct wcs *w, size_t n, const double *across_m,
                    const double *along_m, const double *lam_m, double *ra, double *dec,
                    double *lam_um);
void wcs_run_from_sky(const struct wcs *w, size_t n, const double *ra,
                      const double *dec, const double *lam_um, double *across_m,
                      double *along_m, double *lam_m);

/* ---- wcs_boxes.c: slice map, bounding boxes, footprint ---- */

/* Where a slit is looked for, in array pixels; inclusive; empty if first > last. */
struct wcs_search {
    int x_first, x_last, y_first, y_last;
    /* rows of the frame near the trace by block of columns */
    double y_low[WCS_FULL / WCS_BLOCK], y_high[WCS_FULL / WCS_BLOCK];
};
void wcs_find_search(const struct wcs *w, const struct wcs_slice *s,
                     struct wcs_search *ret);
/* Does the trace come near this row in the block that holds this column? */
bool wcs_near_trace(const struct wcs *w, const struct wcs_search *f, int column,
                    int row);

/* regions and wavelength may be NULL; see wcs_build. */
int wcs_find_slices(struct wcs *w, const char *name, struct par *par,
                    const atomic_bool *cancel, uint8_t *regions, double *wavelength,
                    struct err *err);

#endif
