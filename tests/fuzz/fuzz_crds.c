/*
 * A mapping of a CRDS cache: read, its rules built and asked, as an rmap.
 */
#include <stdlib.h>
#include <string.h>
#include "common/data/crds_literal.h"
#include "common/data/crds_rules.h"
#include "tests/fuzz/fuzz.h"

/* Every key that begins so has a value; what is short is a plain one. */
static const char *lookup(void *user, const char *name)
{
    (void)user;
    if (strstr(name, "DATE")) {
        return "2024-03-12";
    }
    if (strstr(name, "TIME")) {
        return "04:05:06.5";
    }
    return !strncmp(name, "META", 4) ? "NRS1" : NULL;
}

void fuzz_crds(const uint8_t *data, size_t n)
{
    struct crds_mapping m = {0};
    struct crds_node literal = {0};
    struct crds_rules *rules = NULL;
    struct err err = {0};
    enum crds_answer answer;
    char *file = NULL, why[256];
    if (!crds_literal_parse((const char *)data, n, "fuzz", &literal, &err)) {
        crds_node_done(&literal);
    }
    if (crds_mapping_parse((const char *)data, n, "fuzz.rmap", &m, &err)) {
        fuzz_must(err.message[0] != '\0', "refused without a word");
        return;
    }
    int code = crds_rules_new(&m, "fuzz.rmap", &rules, &err);
    crds_mapping_done(&m);
    if (!code) {
        code = crds_rules_ask(rules, lookup, NULL, &answer, &file, why, &err);
        fuzz_must(code || answer != CRDS_FILE || file, "a file without a name");
        fuzz_must(strlen(why) < sizeof why, "a reason without end");
        free(file);
        crds_rules_free(rules);
    }
    fuzz_must(!code || err.message[0], "refused without a word");
}
