/*
 * The daemon's configuration: read, used, and written again; what was read must come back
 * as it was.
 */
#include <stdlib.h>
#include <string.h>
#include "config/config.h"
#include "tests/fuzz/fuzz.h"

void fuzz_config(const uint8_t *data, size_t n)
{
    struct err err = {0};
    struct config *c = NULL, *again = NULL;
    char *text = fuzz_text(data, n);
    if (config_parse(text, "ifud.json", &c, &err)) {
        fuzz_must(err.message[0] != '\0', "refused without a word");
    } else {
        size_t count;
        free(config_strings(c, "spec2_settings", &count, &err));
        fuzz_must(config_inner_threads(c, 2) >= 1, "no inner thread");
        char *first = config_to_json(c, &err);
        fuzz_must(first != NULL, "a configuration that was read cannot be written");
        fuzz_must(!config_parse(first, "again", &again, &err),
                  "what was written is refused");
        char *second = config_to_json(again, &err);
        fuzz_must(second && !strcmp(first, second), "read back, it is another one");
        free(first);
        free(second);
        config_free(again);
        config_free(c);
    }
    free(text);
}
