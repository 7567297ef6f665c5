#ifndef IFUD_DATA_EXPOSURE_H
#define IFUD_DATA_EXPOSURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"
#include "common/data/header.h"

/*
 * One exposure of one detector: headers, the typed keywords that the stages need, and
 * planes of nx * ny pixels, row by row (index y * nx + x, 0-based, in the delivered
 * orientation). A plane that does not exist is NULL.
 * Ownership: exposure_free releases all planes and headers.
 * Thread: one writer; stages split rows between threads.
 */

/* GWA_XTIL and GWA_YTIL of two exposures that differ by more are of two positions of the
 * grating wheel (as in the peer). */
#define EXPOSURE_TILT_TOLERANCE 1e-8

struct exposure_meta {
    char filename[256];  /* the name it came under, no folder */
    char exp_type[32];   /* EXP_TYPE */
    char instrument[16]; /* INSTRUME */
    char detector[8];    /* NRS1 or NRS2 */
    char filter[12], grating[12];
    char read_pattern[16],
        subarray[16];                  /* READPATT, SUBARRAY; "" if absent, as below */
    char lamp[24], operation_mode[24]; /* LAMP, OPMODE */
    char visit_type[40], tso_visit[8]; /* VISITYPE, TSOVISIT */
    char date_obs[16], time_obs[20];   /* DATE-OBS, TIME-OBS: UTC */
    char bunit[24];                    /* BUNIT of SCI */
    char program[16], observation[16], visit[16], visit_group[8], sequence[8],
        activity[8],
        exposure_number[8]; /* PROGRAM OBSERVTN VISIT VISITGRP SEQ_ID ACT_ID EXPOSURE */
    char target_name[72];   /* TARGPROP, else TARGNAME */
    char source_type[16];   /* SRCTYPE; "" if absent */
    char source_type_apt[16];           /* SRCTYAPT; "" if absent */
    char pattern_type[32];              /* PATTTYPE */
    long pattern_number, pattern_total; /* PATT_NUM, NUMDTHPT; 0 if absent */
    bool is_imprint, is_background;     /* IS_IMPRT, BKGDTARG */
    double gwa_xtilt, gwa_ytilt;        /* GWA_XTIL, GWA_YTIL: sensor volts */
    double gwa_temperature;             /* GWA_TILT: kelvin */
    double ra_ref, dec_ref;             /* degrees */
    double v2_ref, v3_ref;              /* arcsec */
    double roll_ref, v3i_yang;          /* degrees */
    int vparity;
    bool has_velosys;
    double velosys;               /* m/s, barycentric */
    double va_scale;              /* VA_SCALE, 1 if absent */
    double target_ra, target_dec; /* TARG_RA, TARG_DEC: degrees; NaN if absent */
    double exposure_time;         /* EFFEXPTM: seconds */
    double expstart;              /* EXPSTART: MJD (UTC); NaN if absent */
    int substrt1, substrt2;       /* 1-based corner in the 2048 x 2048 frame */
};

/* Why outlier_detection rejected a pixel; plane REASON of _crf. */
enum outlier_reason {
    OUTLIER_KEPT = 0,
    OUTLIER_NEIGHBOURS = 1,    /* unlike its neighbours in all exposures (the peer's) */
    OUTLIER_NO_DIFFERENCE = 2, /* ifu_second_check (the peer's) */
    OUTLIER_ABOVE = 3,         /* above what other exposures allow there */
    OUTLIER_BELOW = 4,         /* below */
    OUTLIER_TRACE_ABOVE = 5,   /* above the trace, where there is no other exposure */
    OUTLIER_TRACE_BELOW = 6,   /* below */
    OUTLIER_ADJACENT = 7,      /* beside a rejected pixel, and doubtful itself */
    OUTLIER_REASONS
};

struct wcs; /* common/data/wcs.h */

/*
 * Planes whose rows are not those of the detector (adaptive_trace_model): each row holds
 * samples of one slice, column by column, and ny is the number of such rows.
 */
struct exposure_sampling {
    double *y_low, *y_high; /* nx * ny: where the lower and upper edge of each sample
                               cross the middle of its column, in rows of the detector
                               (0-based, pixel j covers j - 0.5 .. j + 0.5); NaN where
                               regions is 0 */
};

struct exposure {
    struct exposure_meta meta;
    struct header primary, science; /* cards carried from the input to the products */
    int nx, ny;       /* SUBSIZE1, SUBSIZE2 = columns, rows of every plane */
    float *sci, *err; /* unit: meta.bunit */
    uint32_t *dq;     /* enum dq_flag */
    float *var_poisson, *var_rnoise, *var_flat; /* unit squared */
    float
        *var_background; /* unit squared: what of the variances is that of a background
                              which other exposures share (bkg_subtract) */
    uint8_t *regions;    /* slice 1..30 of each pixel, 0 = none (assign_wcs) */
    double
        *wavelength; /* um, double as the WCS gives it (flats are integrated over it);
                           NaN where regions is 0 (assign_wcs). Files hold floats. */
    uint8_t *outlier_reason;          /* enum outlier_reason (outlier_detection) */
    float *pathloss_ps, *pathloss_un; /* corrections applied (pathloss) */
    float *trace_model; /* light of compact sources as the trace model has it, NaN: none
                           (adaptive_trace_model); not written to files */
    struct wcs *wcs;    /* one reference (assign_wcs) */
    struct exposure_sampling *sampling; /* NULL: the planes are detector pixels */
    bool wavelength_corrected;          /* barycentric correction is in the WCS */
    bool has_asdf; /* the file has an ASDF extension, perhaps with a WCS (wcs_gwcs.h) */
};

struct exposure *exposure_new(int nx, int ny, struct err *err); /* no planes yet */
void exposure_free(struct exposure *e);
size_t exposure_pixels(const struct exposure *e); /* nx * ny */

/* Room for the edges of nx * ny samples, all NaN. NULL if there is no memory. */
struct exposure_sampling *exposure_sampling_new(int nx, int ny, struct err *err);
void exposure_sampling_free(struct exposure_sampling *s); /* NULL is fine */

/* Exchange the planes of an exposure for samples, with their size and sampling; the path
 * loss and the reasons of outliers, which samples do not have, go. `samples` holds what was there, to be freed. */
void exposure_take_samples(struct exposure *e, struct exposure *samples);

/*
 * Fill e->meta from the headers and check them: EXP_TYPE NRS_IFU, INSTRUME NIRSPEC,
 * detector, the nine filter/disperser pairs, sizes, and every keyword the WCS needs.
 * ERR_INPUT names file, keyword, value and what was expected.
 */
int exposure_read_meta(struct exposure *e, const char *filename, struct err *err);

/* The same fields without any check, for products that are read back: what is absent
 * or wrong is left empty, or NaN where NaN means absent. */
void exposure_glean_meta(const struct header *primary, const struct header *science,
                         const char *filename, struct exposure_meta *ret);

/*
 * Does light of this disperser and filter reach the detector? NRS2 sees the H gratings
 * only, and not G140H with F070LP. Names as in the headers.
 */
bool exposure_reaches(const char *detector, const char *grating, const char *filter);

/* Is it one of the nine pairs that give science spectra? In capitals or not. */
bool exposure_is_pair(const char *grating, const char *filter);

/* The same of an exposure: ERR_INPUT that names the keywords if it does not. */
int exposure_check_reaches(const struct exposure_meta *meta, struct err *err);

/* May it be calibrated? ERR_INPUT that names the keyword if it is so already. */
int exposure_check_rate(const struct exposure_meta *meta, struct err *err);

/* After each stage NaN and DO_NOT_USE go together: NaN SCI, ERR or a variance sets the
 * flag, and a flagged pixel has NaN in SCI, ERR and every variance (as in the peer). */
void exposure_match_nans(struct exposure *e);
/* The same of n pixels: their flags, and planes that may be NULL. */
void exposure_match_nans_of(uint32_t *dq, float *const *planes, size_t n_planes,
                            size_t n);
/* Pixel i is not used any more: `flags` and DO_NOT_USE, and NaN in all those planes. */
void exposure_reject(struct exposure *e, size_t i, uint32_t flags);

#endif
