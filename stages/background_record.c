#include "stages/background_record.h"

#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t stem(const char *name)
{
    const char *end = strstr(name, "_rate");
    return end ? (size_t)(end - name) : strlen(name);
}

int background_record(struct header *primary, const char *const *names, size_t n,
                      bool has_variance, struct err *err)
{
    size_t length = 1, at = 0;
    const char **sorted = mem_alloc(n, sizeof *sorted, err);
    for (size_t i = 0; i < n && sorted; i++) {
        sorted[i] = names[i];
        length += strlen(names[i]) + 1;
    }
    char *text = sorted ? mem_alloc(length, 1, err) : NULL;
    if (!text) {
        free(sorted);
        return ERR_NOMEM;
    }
    qsort(sorted, n, sizeof *sorted, by_name);
    for (size_t i = 0; i < n; i++) {
        const size_t m = stem(sorted[i]);
        memcpy(text + at, sorted[i], m);
        at += m;
        text[at++] = ',';
    }
    text[at ? at - 1 : 0] = '\0';
    int code = header_set_int(primary, "BKGNEXP", (long)n,
                              "Background exposures averaged and subtracted", err);
    code =
        code ? code : header_set_string(primary, "BKGEXPS", text, "Their names", err);
    code = code ? code
                : header_set_bool(primary, "BKGVAR", has_variance,
                                  "Is their variance in VAR_BKG?", err);
    free(sorted);
    free(text);
    return code;
}

const char *background_recorded(const struct header *primary)
{
    const char *text = "";
    bool has_variance = false;
    header_get_bool(primary, "BKGVAR", &has_variance);
    if (has_variance) {
        header_get_string(primary, "BKGEXPS", &text);
    }
    return text;
}
