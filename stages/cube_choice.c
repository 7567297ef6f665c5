#include "stages/cube_choice.h"

#include <string.h>
#include <strings.h>

#define ALL "all"

static const char *const gratings[] = {"g140m", "g140h", "g235m", "g235h",
                                       "g395m", "g395h", "prism", NULL};
static const char *const filters[] = {"f070lp", "f100lp", "f170lp", "f290lp",
                                      "clear",  "opaque", NULL};

/* The bit of a name that is n characters long; 0: no such name. */
static unsigned bit_of(const char *const *names, const char *name, size_t n)
{
    for (unsigned i = 0; names[i]; i++) {
        if (strlen(names[i]) == n && !strncasecmp(names[i], name, n)) {
            return 1u << i;
        }
    }
    return 0;
}

static int read_list(const struct params *params, const char *name,
                     const char *const *names, unsigned *ret, struct err *err)
{
    static const char between[] = ", ";
    const char *text = params_string(params, name);
    unsigned bits = 0;
    bool all = false;
    for (const char *at = text + strspn(text, between); *at;) {
        const size_t n = strcspn(at, between);
        const unsigned bit = bit_of(names, at, n);
        if (n == strlen(ALL) && !strncasecmp(at, ALL, n)) {
            all = true;
        } else if (!bit) {
            char known[100] = ALL;
            for (size_t i = 0, end = strlen(known); names[i]; i++) {
                known[end++] = ' ';
                strcpy(known + end, names[i]);
                end += strlen(names[i]);
            }
            return err_set(err, ERR_PARAM,
                           "cube_build: %s = '%s': '%.*s' is none of: %s", name, text,
                           (int)n, at, known);
        }
        bits |= bit;
        at += n;
        at += strspn(at, between);
    }
    *ret = all ? 0 : bits;
    return 0;
}

int cube_choice_read(const struct params *params, struct cube_choice *ret,
                     struct err *err)
{
    struct cube_choice c = {0, 0};
    int code = read_list(params, "grating", gratings, &c.gratings, err);
    code = code ? code : read_list(params, "filter", filters, &c.filters, err);
    if (!code) {
        *ret = c;
    }
    return code;
}

bool cube_choice_takes(const struct cube_choice *choice, const char *grating,
                       const char *filter)
{
    return (!choice->gratings ||
            (bit_of(gratings, grating, strlen(grating)) & choice->gratings)) &&
           (!choice->filters ||
            (bit_of(filters, filter, strlen(filter)) & choice->filters));
}

int cube_choice_nothing(const struct params *params, size_t n,
                        const struct exposure_meta *first, struct err *err)
{
    return err_set(err, ERR_INPUT,
                   "cube_build: grating = %s and filter = %s leave none of %zu "
                   "exposures (%s is %s/%s)",
                   params_string(params, "grating"), params_string(params, "filter"), n,
                   first->filename, first->grating, first->filter);
}
