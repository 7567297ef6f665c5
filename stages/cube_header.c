#include "stages/cube_header.h"

#include <stdio.h>
#include <string.h>

enum rule {
    LEAST,    /* number */
    LARGEST,  /* number */
    SUM,      /* number */
    MEAN,     /* number */
    EARLIEST, /* text */
    LATEST,   /* text */
    MULTIPLE  /* text: "MULTIPLE" if they differ */
};

static const struct {
    const char *keyword;
    bool science; /* in the SCI header */
    enum rule rule;
} rules[] = {
    {"DATE-OBS", false, EARLIEST}, {"TIME-OBS", false, EARLIEST},
    {"DATE-BEG", false, EARLIEST}, {"DATE-END", false, LATEST},
    {"DETECTOR", false, MULTIPLE}, {"FILTER", false, MULTIPLE},
    {"GRATING", false, MULTIPLE},  {"EXPSTART", false, LEAST},
    {"EXPMID", false, MEAN},       {"EXPEND", false, LARGEST},
    {"MJD-BEG", true, LEAST},      {"MJD-AVG", true, MEAN},
    {"MJD-END", true, LARGEST},    {"TDB-BEG", true, LEAST},
    {"TDB-MID", true, MEAN},       {"TDB-END", true, LARGEST},
    {"INTSTART", false, LEAST},    {"INTEND", false, LARGEST},
    {"EFFEXPTM", false, SUM},      {"XPOSURE", true, SUM},
    {"TMEASURE", false, SUM},      {"DURATION", false, SUM},
    {"TELAPSE", true, SUM},        {"IMPRHOW", false, MULTIPLE},
    {"IMPRFILE", false, MULTIPLE}, {"IMPRDIST", false, LARGEST},
    {"IMPRFIT", false, MULTIPLE},  {"IMPRAMP", false, MEAN},
    {"IMPRAERR", false, LARGEST},  {"CFN_LEFT", false, MULTIPLE},
    {"CFN_NOBG", false, SUM},      {"CFN_FEW", false, SUM},
    {"CFN_LITE", false, LARGEST},  {"CFN_HELD", false, SUM},
    {"CFN_BEF", false, MEAN},      {"CFN_AFT", false, MEAN},
    {"CFN_BEF1", false, MEAN},     {"CFN_BEF2", false, MEAN},
    {"CFN_BEF3", false, MEAN},     {"CFN_BEF4", false, MEAN},
    {"CFN_AFT1", false, MEAN},     {"CFN_AFT2", false, MEAN},
    {"CFN_AFT3", false, MEAN},     {"CFN_AFT4", false, MEAN},
};
#define N_RULES (sizeof rules / sizeof *rules)
_Static_assert(N_RULES <= HEADER_BLEND_KEYS, "room for every rule");

static bool is_text(enum rule rule)
{
    return rule == EARLIEST || rule == LATEST || rule == MULTIPLE;
}

static void add_text(struct header_blend_value *v, const char *text)
{
    if (v->n == 0 || strcmp(text, v->low) < 0) {
        snprintf(v->low, sizeof v->low, "%s", text);
    }
    if (v->n == 0 || strcmp(text, v->high) > 0) {
        snprintf(v->high, sizeof v->high, "%s", text);
    }
    v->n++;
}

static void add_number(struct header_blend_value *v, double x)
{
    v->min = v->n == 0 || x < v->min ? x : v->min;
    v->max = v->n == 0 || x > v->max ? x : v->max;
    v->sum += x;
    v->n++;
}

int header_blend_add(struct header_blend *b, const struct header *primary,
                     const struct header *science, struct err *err)
{
    if (b->n++ == 0) {
        int code = header_copy(&b->primary, primary, err);
        code = code ? code : header_copy(&b->science, science, err);
        if (code) {
            return code;
        }
    }
    for (size_t i = 0; i < N_RULES; i++) {
        const struct header *h = rules[i].science ? science : primary;
        const char *text = NULL;
        double x = 0;
        if (is_text(rules[i].rule)) {
            if (header_get_string(h, rules[i].keyword, &text)) {
                add_text(&b->values[i], text);
            }
        } else if (header_get_real(h, rules[i].keyword, &x)) {
            add_number(&b->values[i], x);
        }
    }
    return 0;
}

static int apply(struct header *h, const char *keyword, enum rule rule,
                 const struct header_blend_value *v, struct err *err)
{
    switch (rule) {
    case EARLIEST:
        return header_set_string(h, keyword, v->low, NULL, err);
    case LATEST:
        return header_set_string(h, keyword, v->high, NULL, err);
    case MULTIPLE:
        return header_set_string(
            h, keyword, strcmp(v->low, v->high) ? "MULTIPLE" : v->low, NULL, err);
    default:
        break;
    }
    const struct card *card = header_find(h, keyword);
    double x = rule == LEAST     ? v->min
               : rule == LARGEST ? v->max
               : rule == SUM     ? v->sum
                                 : v->sum / v->n;
    if (card && card->type == CARD_INT && x == (double)(long)x) {
        return header_set_int(h, keyword, (long)x, NULL, err);
    }
    return header_set_real(h, keyword, x, NULL, err);
}

int header_blend_finish(struct header_blend *b, struct err *err)
{
    int code = 0;
    for (size_t i = 0; i < N_RULES && b->n > 1 && !code; i++) {
        if (b->values[i].n > 0) {
            code = apply(rules[i].science ? &b->science : &b->primary, rules[i].keyword,
                         rules[i].rule, &b->values[i], err);
        }
    }
    return code;
}

void header_blend_done(struct header_blend *b)
{
    header_done(&b->primary);
    header_done(&b->science);
}
