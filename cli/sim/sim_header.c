#include "cli/sim/sim_header.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Which group of a visit: science 02, leakage 03. */
static const char *visit_group(const struct simulation *sim)
{
    return sim->is_imprint ? "03" : "02";
}

void sim_exposure_name(const struct simulation *sim, char ret[64])
{
    snprintf(ret, 64, "jw%.5s%.3s001_%s101_%05d_%s", sim->program, sim->observation,
             visit_group(sim), sim->dither,
             strcmp(sim->detector, "NRS2") ? "nrs1" : "nrs2");
}

enum place { PRIMARY, SCIENCE };

struct string_card {
    enum place place;
    const char *key, *value;
};

struct real_card {
    enum place place;
    const char *key;
    double value;
};

struct int_card {
    enum place place;
    const char *key;
    long value;
};

#define COUNT(a) (sizeof(a) / sizeof *(a))

int sim_fill_headers(const struct simulation *sim, int whole, struct exposure *e,
                     struct err *err)
{
    char name[64], file[80], visit_id[32], exposure[16];
    sim_exposure_name(sim, name);
    snprintf(file, sizeof file, "%s_rate.fits", name);
    snprintf(visit_id, sizeof visit_id, "%.5s%.3s001", sim->program, sim->observation);
    snprintf(exposure, sizeof exposure, "%05d", sim->dither);
    const struct string_card strings[] = {
        {PRIMARY, "FILENAME", file},
        {PRIMARY, "DATAMODL", "IFUImageModel"},
        {PRIMARY, "TELESCOP", "JWST"},
        {PRIMARY, "DATE-OBS", "2024-03-12"},
        {PRIMARY, "TIME-OBS", "04:05:06.000"},
        {PRIMARY, "VISIT_ID", visit_id},
        {PRIMARY, "PROGRAM", sim->program},
        {PRIMARY, "OBSERVTN", sim->observation},
        {PRIMARY, "VISIT", "001"},
        {PRIMARY, "VISITGRP", visit_group(sim)},
        {PRIMARY, "SEQ_ID", "1"},
        {PRIMARY, "ACT_ID", "01"},
        {PRIMARY, "EXPOSURE", exposure},
        {PRIMARY, "TARGPROP", sim->target},
        {PRIMARY, "TARGNAME", sim->target},
        {PRIMARY, "INSTRUME", "NIRSPEC"},
        {PRIMARY, "DETECTOR", sim->detector},
        {PRIMARY, "FILTER", sim->mode->filter},
        {PRIMARY, "GRATING", sim->mode->grating},
        {PRIMARY, "LAMP", "NONE"},
        {PRIMARY, "EXP_TYPE", "NRS_IFU"},
        {PRIMARY, "READPATT", "NRSIRS2RAPID"},
        {PRIMARY, "SUBARRAY", "FULL"},
        {PRIMARY, "PATTTYPE", sim->n_dithers > 1 ? "CYCLING" : "NONE"},
        {SCIENCE, "SRCTYPE", sim->scene.source_mjy > 0 ? "POINT" : "EXTENDED"},
        {SCIENCE, "BUNIT", "DN/s"},
    };
    double cos_dec = cos(sim->dec * M_PI / 180);
    double start = 60381.17 + 0.02 * sim->dither,
           length = sim->noise.exposure_time / 86400;
    double ra = sim->ra + sim->dither_east / 3600 / cos_dec;
    double dec = sim->dec + sim->dither_north / 3600;
    const struct real_card reals[] = {
        {PRIMARY, "TARG_RA", sim->is_background ? ra : sim->ra},
        {PRIMARY, "TARG_DEC", sim->is_background ? dec : sim->dec},
        {PRIMARY, "GWA_XTIL", SIM_GWA_XTILT},
        {PRIMARY, "GWA_YTIL", SIM_GWA_YTILT},
        {PRIMARY, "GWA_TILT", SIM_GWA_TILT_K},
        {PRIMARY, "EXPSTART", start},
        {PRIMARY, "EXPMID", start + length / 2},
        {PRIMARY, "EXPEND", start + length},
        {PRIMARY, "EFFINTTM", sim->noise.exposure_time},
        {PRIMARY, "EFFEXPTM", sim->noise.exposure_time},
        {PRIMARY, "XOFFSET", sim->dither_east},
        {PRIMARY, "YOFFSET", sim->dither_north},
        {SCIENCE, "VA_SCALE", sim->va_scale},
        {SCIENCE, "V2_REF", SIM_V2_ARCSEC},
        {SCIENCE, "V3_REF", SIM_V3_ARCSEC},
        {SCIENCE, "V3I_YANG", SIM_V3I_YANG_DEG},
        {SCIENCE, "RA_REF", ra},
        {SCIENCE, "DEC_REF", dec},
        {SCIENCE, "ROLL_REF", sim->roll},
        {SCIENCE, "VELOSYS", sim->velosys},
    };
    const int *sub = sim->subarray;
    int cut = sub[2] && !whole;
    const struct int_card ints[] = {
        {PRIMARY, "NINTS", 1},
        {PRIMARY, "NGROUPS", 20},
        {PRIMARY, "SUBSTRT1", cut ? sub[0] + 1 : 1},
        {PRIMARY, "SUBSTRT2", cut ? sub[1] + 1 : 1},
        {PRIMARY, "SUBSIZE1", cut ? sub[2] : SIM_FRAME},
        {PRIMARY, "SUBSIZE2", cut ? sub[3] : SIM_FRAME},
        {PRIMARY, "FASTAXIS", 2},
        {PRIMARY, "SLOWAXIS", 1},
        {PRIMARY, "PATT_NUM", sim->dither},
        {PRIMARY, "NUMDTHPT", sim->n_dithers},
        {SCIENCE, "VPARITY", -1},
    };
    struct header *h[] = {&e->primary, &e->science};
    int code = 0;
    for (size_t i = 0; i < COUNT(strings) && !code; i++) {
        code = header_set_string(h[strings[i].place], strings[i].key, strings[i].value,
                                 "", err);
    }
    for (size_t i = 0; i < COUNT(reals) && !code; i++) {
        code =
            header_set_real(h[reals[i].place], reals[i].key, reals[i].value, "", err);
    }
    for (size_t i = 0; i < COUNT(ints) && !code; i++) {
        code = header_set_int(h[ints[i].place], ints[i].key, ints[i].value, "", err);
    }
    if (!code && sim->is_imprint) {
        code = header_set_bool(&e->primary, "IS_IMPRT", true, "", err);
    }
    if (!code && sim->is_background) {
        code = header_set_bool(&e->primary, "BKGDTARG", true, "", err);
    }
    return code;
}
