#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/data/crds_literal.h"
#include "common/data/reference_index.h"
#include "tests/crds_kit.h"
#include "tests/support.h"

#define WANTED "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW" /* as long as a SHA-1 */

void crds_kit_write(const char *cache, const char *name, const char *kind,
                    const char *parkey, const char *more, const char *selector)
{
    struct crds_mapping m = {0};
    struct err err = {0};
    char *folder = mem_printf(&err, "%s/mappings/jwst", cache);
    char *text = mem_printf(&err,
                            "header = {\n    'mapping' : '%s',\n    'name' : '%s',\n"
                            "    'parkey' : %s,\n    %s\n    'sha1sum' : '" WANTED
                            "',\n}\n\ncomment = \"\"\"made by hand\"\"\"\n\nselector = "
                            "%s\n",
                            kind, name, parkey, more, selector);
    ck_assert(folder && text);
    support_ok(path_make_folder(folder, 0755, &err), &err);
    support_ok(crds_mapping_parse(text, strlen(text), name, &m, &err), &err);
    memcpy(strstr(text, WANTED), m.sha1, strlen(WANTED));
    support_write_file(support_path(folder, name), text, strlen(text));
    crds_mapping_done(&m);
    free(text);
    free(folder);
}

void crds_kit_context(const char *cache, int number, const char *rmaps)
{
    char pmap[64], imap[64], selector[128];
    snprintf(pmap, sizeof pmap, "jwst_%04d.pmap", number);
    snprintf(imap, sizeof imap, "jwst_nirspec_%04d.imap", number);
    snprintf(selector, sizeof selector, "{'MIRI' : 'N/A', 'NIRSPEC' : '%s'}", imap);
    crds_kit_write(cache, pmap, "PIPELINE", "('META.INSTRUMENT.NAME',)", "", selector);
    crds_kit_write(cache, imap, "INSTRUMENT", "('REFTYPE',)", "", rmaps);
}

static const char *pattern(const struct reference_entry *e, int by)
{
    return e->accept[by] ? e->accept[by] : "N/A";
}

/* One rmap of all entries of a type. */
static void adopt_type(const char *cache, const struct reference_index *index,
                       const char *type, int number)
{
    char name[64], *rules = mem_strdup("", NULL);
    for (size_t i = 0; i < index->n; i++) {
        const struct reference_entry *e = &index->entries[i];
        if (strcmp(e->type, type)) {
            continue;
        }
        char *more = mem_printf(NULL,
                                "%s    ('%s', '%s', '%s') : UseAfter({\n        "
                                "'2020-01-01 00:00:00' : '%s',\n    }),\n",
                                rules, pattern(e, BY_DETECTOR), pattern(e, BY_FILTER),
                                pattern(e, BY_GRATING), path_base(e->path));
        free(rules);
        rules = more;
    }
    char *selector = mem_printf(NULL, "Match({\n%s})", rules);
    ck_assert_ptr_nonnull(selector);
    snprintf(name, sizeof name, "jwst_nirspec_%s_%04d.rmap", type, number);
    crds_kit_write(cache, name, "REFERENCE",
                   "(('META.INSTRUMENT.DETECTOR', 'META.INSTRUMENT.FILTER', "
                   "'META.INSTRUMENT.GRATING'), ('META.OBSERVATION.DATE', "
                   "'META.OBSERVATION.TIME'))",
                   "", selector);
    free(selector);
    free(rules);
}

void crds_kit_adopt(const char *cache, const char *folder, int number, bool flat)
{
    struct reference_index index = {0};
    struct err err = {0};
    char *rmaps = mem_strdup("'msa' : 'N/A', 'msaoper' : 'N/A',", &err);
    char *to = mem_printf(&err, "%s/references/jwst%s", cache, flat ? "" : "/nirspec");
    support_ok(path_make_folder(to, 0755, &err), &err);
    support_ok(reference_index_scan(folder, &index, &err), &err);
    for (size_t i = 0; i < index.n; i++) {
        const struct reference_entry *e = &index.entries[i];
        char *more = mem_printf(&err, "%s '%s' : 'jwst_nirspec_%s_%04d.rmap',", rmaps,
                                e->type, e->type, number);
        adopt_type(cache, &index, e->type, number);
        free(rmaps);
        rmaps = more;
    }
    for (size_t i = 0; i < index.n; i++) {
        ck_assert_int_eq(rename(index.entries[i].path,
                                support_path(to, path_base(index.entries[i].path))),
                         0);
    }
    char *dict = mem_printf(&err, "{%s}", rmaps);
    crds_kit_context(cache, number, dict);
    free(dict);
    free(rmaps);
    free(to);
    reference_index_done(&index);
}
