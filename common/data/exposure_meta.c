#include "common/data/exposure.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define FRAME 2048 /* pixels on a side of each detector */

/* One keyword of struct exposure_meta. */
struct text_field {
    const char *keyword;
    size_t offset, size;
    bool needed;
};

struct real_field {
    const char *keyword;
    size_t offset;
    bool needed;
    double fallback, min, max; /* min == max: any finite value */
};

#define TEXT(keyword, member, needed)                                                  \
    {                                                                                  \
        keyword, offsetof(struct exposure_meta, member),                               \
            sizeof(((struct exposure_meta *)0)->member), needed                        \
    }
#define REAL(keyword, member, needed, fallback, min, max)                              \
    {                                                                                  \
        keyword, offsetof(struct exposure_meta, member), needed, fallback, min, max    \
    }

static const struct text_field texts[] = {
    TEXT("EXP_TYPE", exp_type, true),
    TEXT("INSTRUME", instrument, true),
    TEXT("DETECTOR", detector, true),
    TEXT("FILTER", filter, true),
    TEXT("GRATING", grating, true),
    TEXT("DATE-OBS", date_obs, true),
    TEXT("TIME-OBS", time_obs, true),
    TEXT("BUNIT", bunit, false),
    TEXT("PROGRAM", program, false),
    TEXT("OBSERVTN", observation, false),
    TEXT("VISIT", visit, false),
    TEXT("VISITGRP", visit_group, false),
    TEXT("SEQ_ID", sequence, false),
    TEXT("ACT_ID", activity, false),
    TEXT("EXPOSURE", exposure_number, false),
    TEXT("SRCTYPE", source_type, false),
    TEXT("SRCTYAPT", source_type_apt, false),
    TEXT("PATTTYPE", pattern_type, false),
    TEXT("READPATT", read_pattern, false),
    TEXT("SUBARRAY", subarray, false),
    TEXT("LAMP", lamp, false),
    TEXT("OPMODE", operation_mode, false),
    TEXT("VISITYPE", visit_type, false),
    TEXT("TSOVISIT", tso_visit, false),
};

static const struct real_field reals[] = {
    REAL("GWA_XTIL", gwa_xtilt, true, 0, 0, 0),
    REAL("GWA_YTIL", gwa_ytilt, true, 0, 0, 0),
    REAL("RA_REF", ra_ref, true, 0, -360, 360),
    REAL("DEC_REF", dec_ref, true, 0, -90, 90),
    REAL("V2_REF", v2_ref, true, 0, 0, 0),
    REAL("V3_REF", v3_ref, true, 0, 0, 0),
    REAL("ROLL_REF", roll_ref, true, 0, -360, 360),
    REAL("V3I_YANG", v3i_yang, true, 0, -360, 360),
    REAL("VA_SCALE", va_scale, false, 1, 0.99, 1.01),
    REAL("TARG_RA", target_ra, false, NAN, -360, 360),
    REAL("TARG_DEC", target_dec, false, NAN, -90, 90),
    REAL("EFFEXPTM", exposure_time, false, NAN, 0, 1e9),
    REAL("EXPSTART", expstart, false, NAN, 0, 1e6),
};

/* The nine pairs that give science spectra through the IFU. */
static const struct {
    const char *grating, *filter;
} pairs[] = {
    {"PRISM", "CLEAR"},  {"G140M", "F070LP"}, {"G140M", "F100LP"},
    {"G140H", "F070LP"}, {"G140H", "F100LP"}, {"G235M", "F170LP"},
    {"G235H", "F170LP"}, {"G395M", "F290LP"}, {"G395H", "F290LP"},
};

/* The card of a keyword, from the primary header or from SCI; NULL if in neither. */
static const struct header *holder(const struct exposure *e, const char *keyword)
{
    if (header_find(&e->primary, keyword)) {
        return &e->primary;
    }
    return header_find(&e->science, keyword) ? &e->science : NULL;
}

static int missing(const char *name, const char *keyword, const char *expected,
                   struct err *err)
{
    return err_set(err, ERR_INPUT,
                   "%s: %s is missing from the primary and SCI headers; expected %s",
                   name, keyword, expected);
}

/* What stands in the card, for messages. */
static const char *shown(const struct header *h, const char *keyword)
{
    return header_find(h, keyword)->text;
}

static int read_texts(struct exposure *e, const char *name, struct err *err)
{
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const struct text_field *f = &texts[i];
        const struct header *h = holder(e, f->keyword);
        const char *value;
        if (!h) {
            if (f->needed) {
                return missing(name, f->keyword, "text", err);
            }
            continue;
        }
        if (!header_get_string(h, f->keyword, &value)) {
            if (f->needed) {
                return err_set(err, ERR_INPUT, "%s: %s is %s; expected text in quotes",
                               name, f->keyword, shown(h, f->keyword));
            }
            value = shown(h, f->keyword); /* an unquoted number, say */
        }
        if (strlen(value) >= f->size) {
            return err_set(err, ERR_INPUT,
                           "%s: %s is '%.80s'; expected at most %zu bytes", name,
                           f->keyword, value, f->size - 1);
        }
        snprintf((char *)&e->meta + f->offset, f->size, "%s", value);
    }
    const char *target = "";
    if (!header_get_string(&e->primary, "TARGPROP", &target) || !target[0]) {
        header_get_string(&e->primary, "TARGNAME", &target);
    }
    snprintf(e->meta.target_name, sizeof e->meta.target_name, "%s", target);
    return 0;
}

static int read_real(const struct exposure *e, const char *name,
                     const struct real_field *f, double *ret, struct err *err)
{
    const struct header *h = holder(e, f->keyword);
    double v = f->fallback;
    if (!h && f->needed) {
        return missing(name, f->keyword, "a number", err);
    }
    /* an optional keyword without a value counts as absent */
    if (!h || (!f->needed && !shown(h, f->keyword)[0])) {
        *ret = v;
        return 0;
    }
    if (!header_get_real(h, f->keyword, &v)) {
        return err_set(err, ERR_INPUT, "%s: %s is '%.80s'; expected a finite number",
                       name, f->keyword, shown(h, f->keyword));
    }
    if (f->min < f->max && (v < f->min || v > f->max)) {
        return err_set(err, ERR_INPUT, "%s: %s is %g; expected %g to %g", name,
                       f->keyword, v, f->min, f->max);
    }
    *ret = v;
    return 0;
}

static int read_reals(struct exposure *e, const char *name, struct err *err)
{
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        double v;
        int code = read_real(e, name, &reals[i], &v, err);
        if (code) {
            return code;
        }
        memcpy((char *)&e->meta + reals[i].offset, &v, sizeof v);
    }
    const bool prism = !strcmp(e->meta.grating, "PRISM");
    const struct real_field temperature =
        REAL("GWA_TILT", gwa_temperature, prism, NAN, 4, 400);
    const struct real_field velocity = REAL("VELOSYS", velosys, false, NAN, -1e6, 1e6);
    int code = read_real(e, name, &temperature, &e->meta.gwa_temperature, err);
    code = code ? code : read_real(e, name, &velocity, &e->meta.velosys, err);
    e->meta.has_velosys = !code && !isnan(e->meta.velosys);
    if (!e->meta.has_velosys) {
        e->meta.velosys = 0;
    }
    return code;
}

/* A whole number in min..max; `fallback` if absent; fallback < min: needed. */
static int read_int(const struct exposure *e, const char *name, const char *keyword,
                    long fallback, long min, long max, long *ret, struct err *err)
{
    const struct header *h = holder(e, keyword);
    long v = fallback;
    if (!h && fallback < min) {
        return missing(name, keyword, "a whole number", err);
    }
    if (h && (!header_get_int(h, keyword, &v) || v < min || v > max)) {
        return err_set(err, ERR_INPUT,
                       "%s: %s is '%.80s'; expected a whole number in %ld..%ld", name,
                       keyword, shown(h, keyword), min, max);
    }
    *ret = v;
    return 0;
}

static bool read_flag(const struct exposure *e, const char *keyword)
{
    const struct header *h = holder(e, keyword);
    bool v = false;
    return h && header_get_bool(h, keyword, &v) && v;
}

/* The array's place in the frame. */
static int read_subarray(struct exposure *e, const char *name, struct err *err)
{
    const int size[2] = {e->nx, e->ny};
    int *const start[2] = {&e->meta.substrt1, &e->meta.substrt2};
    for (int i = 0; i < 2; i++) {
        char keyword[32];
        long v, n;
        if (size[i] < 1 || size[i] > FRAME) {
            return err_set(err, ERR_INPUT, "%s: NAXIS%d of SCI is %d; expected 1..%d",
                           name, i + 1, size[i], FRAME);
        }
        snprintf(keyword, sizeof keyword, "SUBSIZE%d", i + 1);
        int code = read_int(e, name, keyword, size[i], 1, FRAME, &n, err);
        if (!code && n != size[i]) {
            return err_set(err, ERR_INPUT,
                           "%s: %s is %ld, but NAXIS%d of SCI is %d; expected the same",
                           name, keyword, n, i + 1, size[i]);
        }
        snprintf(keyword, sizeof keyword, "SUBSTRT%d", i + 1);
        long fallback = size[i] == FRAME ? 1 : 0; /* a part needs its place */
        code = code ? code : read_int(e, name, keyword, fallback, 1, FRAME, &v, err);
        if (code) {
            return code;
        }
        if (v - 1 + size[i] > FRAME) {
            return err_set(err, ERR_INPUT,
                           "%s: %s is %ld and the axis has %d pixels; expected both to "
                           "fit in the frame of %d",
                           name, keyword, v, size[i], FRAME);
        }
        *start[i] = (int)v;
    }
    return 0;
}

static int expect(const char *name, const char *keyword, const char *value,
                  const char *expected, struct err *err)
{
    return !strcmp(value, expected)
               ? 0
               : err_set(err, ERR_INPUT, "%s: %s is '%.80s'; expected '%s'", name,
                         keyword, value, expected);
}

/* Digits where the pattern has 9, else the same character. */
static bool looks_like(const char *text, const char *pattern)
{
    size_t n = strlen(pattern);
    for (size_t i = 0; i < n; i++) {
        bool digit = text[i] >= '0' && text[i] <= '9';
        if (pattern[i] == '9' ? !digit : text[i] != pattern[i]) {
            return false;
        }
    }
    return true;
}

static int check_texts(const struct exposure *e, const char *name, struct err *err)
{
    const struct exposure_meta *m = &e->meta;
    const char *model = "";
    if (!header_get_string(&e->primary, "DATAMODL", &model)) {
        return missing(name, "DATAMODL", "'IFUImageModel'", err);
    }
    int code = expect(name, "INSTRUME", m->instrument, "NIRSPEC", err);
    code = code ? code : expect(name, "EXP_TYPE", m->exp_type, "NRS_IFU", err);
    code = code ? code : expect(name, "DATAMODL", model, "IFUImageModel", err);
    if (!code && strcmp(m->detector, "NRS1") && strcmp(m->detector, "NRS2")) {
        code =
            err_set(err, ERR_INPUT, "%s: DETECTOR is '%s'; expected 'NRS1' or 'NRS2'",
                    name, m->detector);
    }
    if (!code && !looks_like(m->date_obs, "9999-99-99")) {
        code = err_set(err, ERR_INPUT, "%s: DATE-OBS is '%s'; expected yyyy-mm-dd",
                       name, m->date_obs);
    }
    if (!code && !looks_like(m->time_obs, "99:99:99")) {
        code = err_set(err, ERR_INPUT, "%s: TIME-OBS is '%s'; expected hh:mm:ss.sss",
                       name, m->time_obs);
    }
    for (size_t i = 0; !code && i < sizeof pairs / sizeof *pairs; i++) {
        if (!strcmp(m->grating, pairs[i].grating) &&
            !strcmp(m->filter, pairs[i].filter)) {
            return 0;
        }
    }
    return code ? code
                : err_set(
                      err, ERR_INPUT,
                      "%s: GRATING is '%s' and FILTER '%s'; expected PRISM with CLEAR, "
                      "G140M or G140H with F070LP or F100LP, G235M or G235H with "
                      "F170LP, G395M or G395H with F290LP",
                      name, m->grating, m->filter);
}

int exposure_read_meta(struct exposure *e, const char *filename, struct err *err)
{
    struct exposure_meta before = e->meta;
    long parity = 0;
    struct exposure_meta *m = &e->meta;
    *m = (struct exposure_meta){0};
    snprintf(m->filename, sizeof m->filename, "%s", filename);
    int code = read_texts(e, filename, err);
    code = code ? code : check_texts(e, filename, err);
    code = code ? code : exposure_check_reaches(m, err);
    code = code ? code : read_reals(e, filename, err);
    code = code ? code : read_int(e, filename, "VPARITY", -2, -1, 1, &parity, err);
    if (!code && parity == 0) {
        code = err_set(err, ERR_INPUT, "%s: VPARITY is 0; expected -1 or 1", filename);
    }
    code =
        code ? code
             : read_int(e, filename, "PATT_NUM", 0, 0, 100000, &m->pattern_number, err);
    code =
        code ? code
             : read_int(e, filename, "NUMDTHPT", 0, 0, 100000, &m->pattern_total, err);
    code = code ? code : read_subarray(e, filename, err);
    if (code) {
        e->meta = before;
        return code;
    }
    m->vparity = (int)parity;
    m->is_imprint = read_flag(e, "IS_IMPRT");
    m->is_background = read_flag(e, "BKGDTARG");
    return 0;
}

void exposure_glean_meta(const struct header *primary, const struct header *science,
                         const char *filename, struct exposure_meta *ret)
{
    const struct header *const headers[2] = {primary, science};
    const char *target = "";
    *ret = (struct exposure_meta){0};
    snprintf(ret->filename, sizeof ret->filename, "%s", filename);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *value = "";
        if (!header_get_string(headers[0], texts[i].keyword, &value)) {
            header_get_string(headers[1], texts[i].keyword, &value);
        }
        snprintf((char *)ret + texts[i].offset, texts[i].size, "%s", value);
    }
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        double v = reals[i].fallback;
        if (!header_get_real(headers[0], reals[i].keyword, &v)) {
            header_get_real(headers[1], reals[i].keyword, &v);
        }
        memcpy((char *)ret + reals[i].offset, &v, sizeof v);
    }
    ret->gwa_temperature = NAN;
    header_get_real(primary, "GWA_TILT", &ret->gwa_temperature);
    ret->has_velosys = header_get_real(science, "VELOSYS", &ret->velosys);
    if (!header_get_string(primary, "TARGPROP", &target) || !target[0]) {
        header_get_string(primary, "TARGNAME", &target);
    }
    snprintf(ret->target_name, sizeof ret->target_name, "%s", target);
}

bool exposure_is_pair(const char *grating, const char *filter)
{
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (!strcasecmp(pairs[i].grating, grating) &&
            !strcasecmp(pairs[i].filter, filter)) {
            return true;
        }
    }
    return false;
}

bool exposure_reaches(const char *detector, const char *grating, const char *filter)
{
    if (strcmp(detector, "NRS2") != 0) {
        return true;
    }
    size_t n = strlen(grating);
    bool high = n > 0 && grating[n - 1] == 'H';
    return high && !(strcmp(grating, "G140H") == 0 && strcmp(filter, "F070LP") == 0);
}

int exposure_check_reaches(const struct exposure_meta *meta, struct err *err)
{
    if (exposure_reaches(meta->detector, meta->grating, meta->filter)) {
        return 0;
    }
    return err_set(err, ERR_INPUT,
                   "%s: GRATING %s with FILTER %s never reaches DETECTOR %s; only NRS1 "
                   "holds spectra of it",
                   meta->filename, meta->grating, meta->filter, meta->detector);
}

int exposure_check_rate(const struct exposure_meta *meta, struct err *err)
{
    return strcasecmp(meta->bunit, "MJy/sr")
               ? 0
               : err_set(err, ERR_INPUT,
                         "%s: SCI: BUNIT is '%s': it is calibrated already; a _rate "
                         "image (DN/s) is right here, and ifurun spec3 takes "
                         "calibrated ones",
                         meta->filename, meta->bunit);
}
