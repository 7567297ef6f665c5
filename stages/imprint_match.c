#include <math.h>
#include <string.h>

#include "common/math/sphere.h"
#include "stages/imprint.h"

#define SAME_PLACE_ARCSEC 1e-3

static double distance_arcsec(const struct exposure_meta *a,
                              const struct exposure_meta *b)
{
    return 3600 * sphere_separation(a->ra_ref, a->dec_ref, b->ra_ref, b->dec_ref);
}

/* Days between the two; unknown is farthest. */
static double apart(const struct exposure_meta *a, const struct exposure_meta *b)
{
    double days = fabs(a->expstart - b->expstart);
    return isnan(days) ? HUGE_VAL : days;
}

static bool same_dither(const struct exposure_meta *a, const struct exposure_meta *b)
{
    return a->pattern_number == b->pattern_number &&
           !strcmp(a->observation, b->observation);
}

/* Of those with this background flag (or of all) the nearest; false: there is none. */
static bool find_nearest(const struct exposure_meta *e,
                         const struct exposure_meta *imprints, size_t n, bool any_flag,
                         size_t *ret)
{
    bool found = false;
    for (size_t i = 0; i < n; i++) {
        if (!any_flag && imprints[i].is_background != e->is_background) {
            continue;
        }
        if (found) {
            double was = distance_arcsec(e, &imprints[*ret]);
            double is = distance_arcsec(e, &imprints[i]);
            bool tie = fabs(is - was) <= SAME_PLACE_ARCSEC;
            if (tie ? !(apart(e, &imprints[i]) < apart(e, &imprints[*ret]))
                    : is > was) {
                continue;
            }
        }
        *ret = i;
        found = true;
    }
    return found;
}

struct imprint_choice imprint_match(const struct exposure_meta *e,
                                    const struct exposure_meta *imprints, size_t n,
                                    bool nearest)
{
    struct imprint_choice choice = {IMPRINT_NONE, 0, (double)NAN};
    size_t same_flag = 0, last = 0;
    if (n == 1) {
        choice.how = IMPRINT_SOLE;
    }
    for (size_t i = 0; i < n && choice.how == IMPRINT_NONE; i++) {
        if (imprints[i].is_background == e->is_background) {
            same_flag++;
            last = i;
            if (same_dither(e, &imprints[i])) {
                choice.how = IMPRINT_MATCH;
                choice.index = i;
            }
        }
    }
    if (choice.how == IMPRINT_NONE && same_flag == 1) {
        choice.how = IMPRINT_REMAINING;
        choice.index = last;
    }
    if (choice.how == IMPRINT_NONE && nearest &&
        (find_nearest(e, imprints, n, false, &choice.index) ||
         find_nearest(e, imprints, n, true, &choice.index))) {
        choice.how = IMPRINT_NEAREST;
    }
    if (choice.how != IMPRINT_NONE) {
        choice.distance = distance_arcsec(e, &imprints[choice.index]);
    }
    return choice;
}

static int differs(const struct exposure *e, const struct exposure *imprint,
                   const char *keyword, const char *is, const char *expected,
                   struct err *err)
{
    return strcmp(is, expected)
               ? err_set(err, ERR_INPUT, "imprint %s: %s is %s; expected %s as in %s",
                         imprint->meta.filename, keyword, is, expected,
                         e->meta.filename)
               : 0;
}

int imprint_check(const struct exposure *e, const struct exposure *imprint,
                  struct err *err)
{
    const struct exposure_meta *a = &e->meta, *b = &imprint->meta;
    const struct {
        const char *keyword;
        int is, expected;
    } numbers[] = {{"SUBSIZE1", imprint->nx, e->nx},
                   {"SUBSIZE2", imprint->ny, e->ny},
                   {"SUBSTRT1", b->substrt1, a->substrt1},
                   {"SUBSTRT2", b->substrt2, a->substrt2}};
    int code = differs(e, imprint, "DETECTOR", b->detector, a->detector, err);
    code = code ? code : differs(e, imprint, "GRATING", b->grating, a->grating, err);
    code = code ? code : differs(e, imprint, "FILTER", b->filter, a->filter, err);
    for (size_t i = 0; !code && i < sizeof numbers / sizeof *numbers; i++) {
        if (numbers[i].is != numbers[i].expected) {
            code = err_set(err, ERR_INPUT, "imprint %s: %s is %d; expected %d as in %s",
                           b->filename, numbers[i].keyword, numbers[i].is,
                           numbers[i].expected, a->filename);
        }
    }
    return code;
}
