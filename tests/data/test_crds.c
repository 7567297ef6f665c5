/* The rules of a CRDS context. Equality with the crds package: tests/peer/crds_rules.py. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/base/path.h"
#include "common/data/crds_cache.h"
#include "common/data/crds_expr.h"
#include "common/data/crds_match.h"
#include "common/data/provenance.h"
#include "common/data/references.h"
#include "tests/crds_kit.h"
#include "tests/support.h"

#define KEYS "(('META.INSTRUMENT.DETECTOR', 'META.INSTRUMENT.FILTER'), " DATE ")"
#define DATE "('META.OBSERVATION.DATE', 'META.OBSERVATION.TIME')"

static char *cache;

static void setup(void)
{
    cache = support_folder();
}

static void teardown(void)
{
    support_remove(cache);
}

/* ---- values and patterns ---------------------------------------------------------- */

START_TEST(test_crds_values_are_conditioned)
{
    static const char *const pairs[][2] = {
        {" nrs1 ", "NRS1"},
        {"ANY", "*"},
        {"N/A", "N/A"},
        {"not applicable", "N/A"},
        {"n/a or so", "N/A"}, /* by its beginning, as in the peer */
        {"True", "T"},
        {"F", "F"},
        {"1", "1.0"},
        {"-2.50", "-2.5"},
        {"1e20", "1e+20"},
        {"0.00001", "1e-05"},
        {"123456789012", "123456789012.0"},
        {".5", "0.5"},
        {"3.", "3.0"},
        {"4294967295", "-1.0"},
        {"1.2.3", "1.2.3"},
        {"", ""}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char *text = crds_condition(pairs[i][0], NULL);
        bool exponent = strchr(pairs[i][1], 'e') != NULL;
        ck_assert_msg(!strcmp(text, pairs[i][1]), "'%s' became '%s'", pairs[i][0],
                      text);
        ck_assert(!exponent || strchr(text, 'e'));
        free(text);
    }
}
END_TEST

START_TEST(test_crds_patterns_match)
{
    static const struct {
        const char *pattern, *value;
        int match;
    } cases[] = {
        {"NRS1", "NRS1", 1},
        {"NRS1", "NRS2", -1},
        {"NRS1", "*", 1},
        {"NRS1", "N/A", 0},
        {"N/A", "NRS1", 0},
        {"*", "ANYTHING", 1},
        {"*", "N/A", 0},
        {"A|NRS?", "NRS2", 1},
        {"A|NRS?", "NRS", -1},
        {"F*LP|G*", "F290LP", 1},
        {"[A-C]X*", "BX1", 1},
        {"[!A-C]X*", "BX1", -1},
        {"{A|B}", "A", -1},
        {"{A|B}", "A|B", 1},
        {">=2", "2.0", 1},
        {"> 2", "2.0", -1},
        {"<2", "X", -1},
        {"BETWEEN 1 3", "1.0", 1},
        {"BETWEEN 1 3", "3.0", -1},
        {"#>1 AND <=2#", "2.0", 1},
        {"#>1 AND <=2#", "2.5", -1},
        {"#<1 OR >2#", "2.5", 1},
        {"NOT NRS1", "NRS2", 1},
        {"NOT NRS1", "NRS1", -1},
        {"NOT NRS1", "N/A", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct crds_matcher *m = NULL;
        struct err err = {0};
        support_ok(crds_matcher_new(cases[i].pattern, "x", &m, &err), &err);
        int match = crds_matcher_try(m, cases[i].value);
        ck_assert_msg(match == cases[i].match, "'%s' and '%s': %d", cases[i].pattern,
                      cases[i].value, match);
        crds_matcher_free(m);
    }
}
END_TEST

START_TEST(test_crds_bad_patterns_are_refused)
{
    static const char *const bad[] = {"(A.*)", "BETWEEN 1", "BETWEEN 3 1", ">X",
                                      "NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT A"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct crds_matcher *m = NULL;
        struct err err = {0};
        ck_assert_int_eq(crds_matcher_new(bad[i], "a.rmap", &m, &err), ERR_REFERENCE);
        ck_assert_ptr_nonnull(strstr(err.message, "a.rmap"));
    }
}
END_TEST

START_TEST(test_crds_glob_takes_no_time)
{
    /* Backtracking over each star would take 2^60 steps. */
    char pattern[200], text[4000];
    for (size_t i = 0; i < sizeof pattern - 2; i += 2) {
        memcpy(pattern + i, "a*", 2);
    }
    memcpy(pattern + sizeof pattern - 2, "b", 2);
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    ck_assert(!crds_glob(pattern, text));
}
END_TEST

static const char *lookup(void *user, const char *name)
{
    (void)user;
    return !strcmp(name, "META.EXPOSURE.TYPE") || !strcmp(name, "META_EXPOSURE_TYPE")
               ? "NRS_IFU"
               : NULL;
}

START_TEST(test_crds_expressions)
{
    static const struct {
        const char *text;
        int expected; /* -1: refused */
    } cases[] = {
        {"True", 1},
        {"(META.EXPOSURE.TYPE == 'NRS_IFU')", 1},
        {"(META_EXPOSURE_TYPE != \"NRS_IFU\")", 0},
        {"META.EXPOSURE.TYPE not in ('A', \"B\",)", 1},
        {"META.EXPOSURE.TYPE in ['NRS_IFU']", 1},
        {"META.EXPOSURE.TYPE in ('xNRS_IFUx')", 1}, /* text in text: no tuple */
        {"META.EXPOSURE.TYPE in ('A', 'B') or not False", 1},
        {"True or NOWHERE == 'A'", 1}, /* is not reached */
        {"False or NOWHERE == 'A'", -1},
        {"False and NOWHERE == 'A'", 0},
        {"(1 < 2) and ('a' >= 'b')", 0},
        {"2 <= 2 and 3 > 2.5", 1},
        {"META.EXPOSURE.TYPE ==", -1},
        {"META.EXPOSURE.TYPE < 3", -1},
        {"(True", -1},
        {"'open", -1},
        {"True True", -1},
        {"__import__('os')", -1},
        {"", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        bool yes = false;
        int code = crds_expr(cases[i].text, lookup, NULL, &yes, &err);
        ck_assert_msg(code ? cases[i].expected == -1 && code == ERR_REFERENCE &&
                                 err.message[0]
                           : yes == cases[i].expected,
                      "%s: %d %d %s", cases[i].text, code, yes, err.message);
    }
}
END_TEST

/* ---- files ------------------------------------------------------------------------ */

START_TEST(test_crds_mappings_are_read_strictly)
{
    static const char *const bad[][2] = {
        {"header = {'a' : 1}", "'selector'"},
        {"header = {'a' : 1}\nselector = {'a' 1}", "line 2"},
        {"header = 3\nselector = {}", "header in {}"},
        {"header = {}\nselector = {}\nimport os", "'header', 'selector'"},
        {"header = {}\nselector = Match({'a' : \n", "before the end"},
        {"header = {'a' : 'open}\nselector = {}", "end of the string"},
        {"header = {}\nselector = \"\"\"open", "an end of the string that begins"},
        {"header = {'a' : 0x12}\nselector = {}", "a number"},
        {"header = {'a' : os.system}\nselector = {}", "'(' behind a name"},
        {"header = {'a' : [1 2]}\nselector = {}", "']'"},
    };
    struct crds_mapping m = {0};
    struct err err = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int code = crds_mapping_parse(bad[i][0], strlen(bad[i][0]), "x.rmap", &m, &err);
        ck_assert_int_eq(code, ERR_REFERENCE);
        ck_assert_msg(strstr(err.message, bad[i][1]) != NULL, "%s", err.message);
    }
    char deep[200];
    memset(deep, '[', sizeof deep);
    ck_assert_int_eq(crds_mapping_parse(deep, sizeof deep, "x", &m, &err),
                     ERR_REFERENCE);
    memcpy(deep, "header = ", 9);
    ck_assert_int_eq(crds_mapping_parse(deep, sizeof deep, "x", &m, &err),
                     ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "so deeply"));
}
END_TEST

START_TEST(test_crds_literals)
{
    static const char text[] =
        "# a comment\nheader = { 'a' : ('x' 'y',\n 'it\\'s', \"\\d\\n\"), 'n' : "
        "-1.5e3, # here too\n"
        " 't' : (True), 'one' : ('p',), 'none' : (), 'nothing' : None, 'a2' : [1, 2,], "
        "}\n"
        "comment = \"\"\"a 'quoted' \"word\"\n\"\"\"\nselector = Match({ })\n";
    struct crds_mapping m = {0};
    struct err err = {0};
    support_ok(crds_mapping_parse(text, sizeof text - 1, "x", &m, &err), &err);
    const struct crds_node *a = crds_dict_get(&m.header, "a");
    ck_assert_uint_eq(a->n, 3);
    ck_assert_str_eq(a->items[0].text, "xy");
    ck_assert_str_eq(a->items[1].text, "it's");
    ck_assert_str_eq(a->items[2].text, "\\d\n");
    ck_assert_str_eq(crds_dict_get(&m.header, "n")->text, "-1.5e3");
    ck_assert_int_eq(crds_dict_get(&m.header, "t")->kind, CRDS_BOOL);
    ck_assert_int_eq(crds_dict_get(&m.header, "one")->kind, CRDS_TUPLE);
    ck_assert_uint_eq(crds_dict_get(&m.header, "none")->n, 0);
    ck_assert_int_eq(crds_dict_get(&m.header, "nothing")->kind, CRDS_NONE);
    ck_assert_uint_eq(crds_dict_get(&m.header, "a2")->n, 2);
    ck_assert_int_eq(m.selector.kind, CRDS_CALL);
    ck_assert_str_eq(m.selector.text, "Match");

    ck_assert_uint_eq(strlen(m.sha1), 40);
    crds_mapping_done(&m);
}
END_TEST

/* ---- choosing --------------------------------------------------------------------- */

static struct exposure_meta meta_of(const char *detector, const char *filter,
                                    const char *date)
{
    struct exposure_meta m = {.filename = "x_rate.fits",
                              .instrument = "NIRSPEC",
                              .exp_type = "NRS_IFU",
                              .time_obs = "04:05:06.000"};
    snprintf(m.detector, sizeof m.detector, "%s", detector);
    snprintf(m.filter, sizeof m.filter, "%s", filter);
    snprintf(m.date_obs, sizeof m.date_obs, "%s", date);
    return m;
}

static void reference(const char *name, bool flat)
{
    char folder[600];
    struct err err = {0};
    snprintf(folder, sizeof folder, "%s/references/jwst%s", cache,
             flat ? "" : "/nirspec");
    support_ok(path_make_folder(folder, 0755, &err), &err);
    support_write_file(support_path(folder, name), name, strlen(name));
}

/* What a context with one rmap chooses: the file, "N/A", "OMIT" or the error. */
static const char *chosen(const char *parkey, const char *more, const char *selector,
                          const struct exposure_meta *m)
{
    static char text[1100];
    struct crds_cache *c = NULL;
    enum crds_answer answer;
    char *path = NULL, why[500];
    struct err err = {0};
    crds_kit_write(cache, "jwst_nirspec_area_0001.rmap", "REFERENCE", parkey, more,
                   selector);
    crds_kit_context(cache, 1,
                     "{'area' : 'jwst_nirspec_area_0001.rmap', 'ote' : 'N/A'}");
    support_ok(crds_cache_open(cache, "jwst_0001.pmap", &c, &err), &err);
    int code = crds_cache_choose(c, "area", m, &answer, &path, why, &err);
    snprintf(text, sizeof text, "%s",
             code                  ? err.message
             : answer == CRDS_FILE ? path_base(path)
             : answer == CRDS_NA   ? "N/A"
                                   : "OMIT");
    ck_assert(code || strstr(why, "jwst_0001.pmap: jwst_nirspec_area_0001.rmap"));
    free(path);
    crds_cache_free(c);
    return text;
}

#define CHOSEN(m, name) ck_assert_str_eq(chosen(parkey, more, rules, &m), name)
#define SAYS(m, part)                                                                  \
    do {                                                                               \
        const char *said = chosen(parkey, more, rules, &m);                            \
        ck_assert_msg(strstr(said, part) != NULL, "no '%s' in: %s", part, said);       \
    } while (0)

START_TEST(test_crds_more_that_match_go_before_what_does_not_care)
{
    const char *parkey = KEYS, *more = "";
    const char *rules =
        "Match({('NRS1', 'N/A') : UseAfter({'2022-01-01 00:00:00' : 'a.fits'}),"
        "('NRS1', 'F290LP|CLEAR') : UseAfter({'2023-01-01 00:00:00' : 'b.fits',"
        "  '2024-03-12 04:05:06' : 'c.fits'}),"
        "('ANY', 'F170LP') : UseAfter({'2022-01-01 00:00:00' : 'd.fits'}),})";
    struct exposure_meta late = meta_of("NRS1", "F290LP", "2024-03-12"),
                         mid = meta_of("NRS1", "CLEAR", "2023-06-01"),
                         early = meta_of("NRS1", "F290LP", "2022-06-01"),
                         before = meta_of("NRS1", "F290LP", "2021-06-01"),
                         any = meta_of("NRS2", "F170LP", "2024-03-12"),
                         none = meta_of("NRS2", "F290LP", "2024-03-12");
    for (const char *c = "abcd"; *c; c++) {
        char name[] = {*c, '.', 'f', 'i', 't', 's', '\0'};
        reference(name, *c == 'b');
    }
    CHOSEN(late, "c.fits");  /* from its second on */
    CHOSEN(mid, "b.fits");   /* in the flat layout */
    CHOSEN(early, "a.fits"); /* the better rule is too new: the next best */
    SAYS(before, "every UseAfter is later than the exposure (2021-06-01 04:05:06)");
    CHOSEN(any, "d.fits");
    SAYS(none, "no rule fits");
}
END_TEST

START_TEST(test_crds_equal_rules_are_merged)
{
    const char *parkey = KEYS, *more = "";
    const char *rules =
        "Match({('NRS1', '*') : UseAfter({'2022-01-01 00:00:00' : 'a.fits', "
        "'2023-01-01 00:00:00' : 'd.fits'}),"
        "('*', 'F290LP') : UseAfter({'2022-06-01 00:00:00' : 'b.fits', "
        "'2023-01-01 00:00:00' : 'c.fits'}),})";
    struct exposure_meta first = meta_of("NRS1", "F290LP", "2022-03-01"),
                         second = meta_of("NRS1", "F290LP", "2022-09-01"),
                         third = meta_of("NRS1", "F290LP", "2023-09-01");
    reference("a.fits", false);
    reference("b.fits", false);
    reference("d.fits", false);
    CHOSEN(first, "a.fits");
    CHOSEN(second, "b.fits");
    CHOSEN(third, "d.fits"); /* the greater name of the same date */
    more = "'merge_overlaps' : 'False',";
    SAYS(third, "2 rules fit equally well");
    rules = "Match({('NRS1', '*') : 'a.fits', ('*', 'F290LP') : 'b.fits'})";
    parkey = "(('META.INSTRUMENT.DETECTOR', 'META.INSTRUMENT.FILTER'),)";
    more = "'reffile_required' : 'NO',";
    SAYS(third, "2 rules fit equally well");
}
END_TEST

START_TEST(test_crds_not_applicable)
{
    const char *parkey = KEYS, *more = "'reffile_required' : 'NO',";
    const char *rules = "Match({('NRS1', 'N/A') : 'N/A', ('NRS2', 'CLEAR') : "
                        "UseAfter({'2022-01-01 00:00:00' : 'OMIT'})})";
    struct exposure_meta one = meta_of("NRS1", "F290LP", "2024-03-12"),
                         two = meta_of("NRS2", "CLEAR", "2024-03-12"),
                         three = meta_of("NRS2", "F290LP", "2024-03-12");
    CHOSEN(one, "N/A");
    CHOSEN(two, "OMIT");
    CHOSEN(three, "N/A"); /* nothing fits, and none is required */
    more = "'rmap_relevance' : '(META.INSTRUMENT.DETECTOR != \"NRS2\")',";
    CHOSEN(three, "N/A");
    more = "'rmap_omit' : '(META.INSTRUMENT.DETECTOR == \"NRS2\")',";
    CHOSEN(three, "OMIT");
    more =
        "'rmap_relevance' : '(META.NOWHERE == \"NRS2\")',"; /* stands in no one's way */
    SAYS(three, "no rule fits");
}
END_TEST

START_TEST(test_crds_keys_are_substituted_or_irrelevant)
{
    const char *parkey = "(('META.SUBARRAY.NAME', 'META.INSTRUMENT.FILTER'),)";
    const char *rules =
        "Match({('GENERIC', 'CLEAR') : 'a.fits', ('FULL', 'OPAQUE') : 'b.fits',"
        "('SUB512', 'F170LP') : 'd.fits'})";
    const char *more = "";
    struct exposure_meta m = meta_of("NRS1", "CLEAR", "2024-03-12"), other = m;
    strcpy(m.subarray, "SUB32");
    strcpy(other.subarray, "SUB512");
    strcpy(other.filter, "F290LP");
    reference("a.fits", false);
    reference("d.fits", false);
    CHOSEN(m, "a.fits"); /* GENERIC stands for N/A */
    SAYS(other, "META.INSTRUMENT.FILTER is 'F290LP', for which no rule is");
    more = "'parkey_relevance' : {'meta.instrument.filter' : '(META.SUBARRAY.NAME != "
           "\"SUB512\")'},";
    CHOSEN(other, "d.fits");
    more =
        "'substitutions' : {'META.INSTRUMENT.FILTER' : {'F170LP' : ['F290LP', 'X']}},";
    CHOSEN(other, "d.fits");
    parkey = "(('META.EXPOSURE.NFRAMES', 'META.INSTRUMENT.FILTER'),)";
    SAYS(m, "its rules ask for META.EXPOSURE.NFRAMES, which is not known here");
}
END_TEST

START_TEST(test_crds_rules_that_cannot_be_read)
{
    static const char *const bad[][2] = {
        {"Match({'NRS1' : 'a.fits'})", "not as many values as parkey"},
        {"Match({('NRS1', 'X') : 3})", "neither a file name nor a selector"},
        {"Match({('NRS1', {}) : 'a.fits'})", "expected text, a number or a tuple"},
        {"Match({('nrs1', 'X') : 'a.fits', ('NRS1', 'X') : 'b.fits'})", "twice"},
        {"ClosestTime({'2022-01-01' : 'a.fits'})", "Match and UseAfter"},
        {"Match({('NRS1', 'X') : UseAfter({3 : 'a.fits'})})", "no text in quotes"},
        {"Match({('NRS1', 'X') : Match({('a', 'b') : Match({})})})",
         "parkey has no tuple"},
        {"{'a' : 'b'}", "not Match"},
        {"Match(3)", "without {...}"},
    };
    struct exposure_meta m = meta_of("NRS1", "X", "2024-03-12");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *said = chosen(KEYS, "", bad[i][0], &m);
        bool named = strstr(said, "jwst_nirspec_area_0001.rmap") != NULL;
        ck_assert_msg(named && strstr(said, bad[i][1]), "%s", said);
    }
}
END_TEST

static int open_cache(const char *context, struct err *err)
{
    struct crds_cache *c = NULL;
    int code = crds_cache_open(cache, context, &c, err);
    crds_cache_free(c);
    return code;
}

static void damage(const char *name)
{
    char path[600];
    size_t n;
    snprintf(path, sizeof path, "%s/mappings/jwst/%s", cache, name);
    char *text = support_read_file(path, &n);
    *strstr(text, "NIRSPEC") = 'M';
    support_write_file(path, text, n);
    free(text);
}

START_TEST(test_crds_faults_of_the_cache_are_named)
{
    struct exposure_meta m = meta_of("NRS1", "X", "2024-03-12");
    struct err err = {0};
    ck_assert_int_eq(open_cache("jwst_0001.pmap", &err), ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "crds sync --contexts jwst_0001.pmap"));
    ck_assert_int_eq(open_cache("jwst_0001.imap", &err), ERR_PARAM);
    ck_assert_int_eq(open_cache("../jwst_0001.pmap", &err), ERR_PARAM);
    ck_assert_int_eq(open_cache("latest", &err), ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "server_config"));
    const char *said = chosen(KEYS, "", "Match({('NRS1', 'X') : 'gone.fits'})", &m);
    static const char *const parts[] = {"'area'", "gone.fits", "jwst_0001.pmap",
                                        "crds sync --files gone.fits"};
    for (int i = 0; i < 4; i++) {
        ck_assert_msg(strstr(said, parts[i]) != NULL, "%s", said);
    }
    said = chosen(KEYS, "", "Match({('NRS1', 'X') : '../../x.fits'})", &m);
    ck_assert_msg(strstr(said, "no name of a reference") != NULL, "%s", said);
    damage("jwst_0001.pmap");
    ck_assert_int_eq(open_cache("jwst_0001.pmap", &err), ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "is damaged: sha1sum"));
}
END_TEST

static void server_config(const char *text)
{
    char folder[600];
    struct err err = {0};
    snprintf(folder, sizeof folder, "%s/config/jwst", cache);
    support_ok(path_make_folder(folder, 0755, &err), &err);
    support_write_file(support_path(folder, "server_config"), text, strlen(text));
}

START_TEST(test_crds_latest_context_and_invalid_files)
{
    struct exposure_meta m = meta_of("NRS1", "X", "2024-03-12");
    struct crds_cache *c = NULL;
    struct err err = {0};
    const char *rules = "Match({('NRS1', 'X') : 'a.fits'})";
    reference("a.fits", false);
    ck_assert_str_eq(chosen(KEYS, "", rules, &m), "a.fits");
    ck_assert(!crds_has_latest(cache));
    server_config(
        "{'observatory' : 'jwst', 'operational_context' : 'jwst_0001.pmap',\n"
        " 'connected' : True, 'x' : {'y' : None}, 'bad_files_list' : ['a.fits']}\n");
    ck_assert(crds_has_latest(cache));
    support_ok(crds_cache_open(cache, "latest", &c, &err), &err);
    ck_assert_str_eq(crds_cache_context(c), "jwst_0001.pmap");
    crds_cache_free(c);
    ck_assert_ptr_nonnull(
        strstr(chosen(KEYS, "", rules, &m), "scientifically invalid"));
    server_config("{'bad_files_list' : ('jwst_nirspec_0001.imap',)}");
    ck_assert_int_eq(open_cache("jwst_0001.pmap", &err), ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "jwst_nirspec_0001.imap"));
    server_config("{'bad_files_list' : ");
    ck_assert_int_eq(open_cache("jwst_0001.pmap", &err), ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "server_config"));
}
END_TEST

/* ---- as references.h gives it ----------------------------------------------------- */

START_TEST(test_crds_references_by_rules)
{
    struct exposure_meta m = meta_of("NRS1", "X", "2024-03-12");
    struct references *refs = NULL;
    struct reference_choice choice;
    struct err err = {0};
    bool found = true;
    char context[64];
    reference("a.fits", false);
    reference("b.fits", false);
    chosen(KEYS, "", "Match({('NRS1', 'X') : 'a.fits'})", &m);
    crds_kit_write(cache, "b.rmap", "REFERENCE", KEYS, "",
                   "Match({('NRS1', 'X') : 'b.fits'})");
    crds_kit_context(cache, 2, "{'AREA' : 'b.rmap', 'msaoper' : 'N/A'}");
    support_ok(references_open(NULL, 1 << 20, &refs, &err), &err);
    references_context(refs, context);
    ck_assert_str_eq(context, "");
    support_ok(references_use_crds(refs, cache, "jwst_0001.pmap", &err), &err);
    support_ok(references_choose(refs, "area", &m, NULL, &choice, &err), &err);
    ck_assert_str_eq(choice.name, "a.fits");
    ck_assert_str_eq(choice.reason,
                     "jwst_0001.pmap: jwst_nirspec_area_0001.rmap: Match (NRS1, X)");
    ck_assert_uint_eq(strlen(choice.sha256), 64);
    ck_assert_int_eq(references_choose(refs, "ote", &m, NULL, &choice, &err),
                     ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "not applicable by jwst_0001.pmap"));
    ck_assert_int_eq(references_choose(refs, "sflat", &m, NULL, &choice, &err),
                     ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "jwst_nirspec_0001.imap has no type"));
    support_ok(
        references_choose_if_any(refs, "msaoper", &m, NULL, &choice, &found, &err),
        &err);
    ck_assert(!found); /* an optional type that the context does not have */
    /* what cannot be taken leaves the old one */
    ck_assert_int_ne(references_use_crds(refs, cache, "jwst_0009.pmap", &err), 0);
    support_ok(references_rescan(refs, &err), &err);
    references_context(refs, context);
    ck_assert_str_eq(context, "jwst_0001.pmap");
    support_ok(references_use_crds(refs, cache, "jwst_0002.pmap", &err), &err);
    support_ok(references_choose(refs, "area", &m, NULL, &choice, &err), &err);
    ck_assert_str_eq(choice.name, "b.fits");
    support_ok(
        references_choose_if_any(refs, "msaoper", &m, NULL, &choice, &found, &err),
        &err);
    ck_assert(!found);
    support_ok(references_choose_if_any(refs, "area", &m, NULL, &choice, &found, &err),
               &err);
    ck_assert(found);
    ck_assert_int_eq(unlink(choice.path), 0);
    ck_assert_int_eq(
        references_choose_if_any(refs, "area", &m, NULL, &choice, &found, &err),
        ERR_REFERENCE); /* chosen, but not there: no way round it */
    support_ok(references_use_crds(refs, NULL, NULL, &err), &err);
    ck_assert_int_eq(references_choose(refs, "area", &m, NULL, &choice, &err),
                     ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "no reference folder"));
    references_close(refs);
}
END_TEST

START_TEST(test_crds_keywords_of_products)
{
    struct provenance p = {.version = "1.2.3", .crds_context = "jwst_1234.pmap"};
    struct header h = {0};
    struct err err = {0};
    const char *text = "";
    support_ok(provenance_to_header(&p, "x.fits", "IFUImageModel", &h, &err), &err);
    ck_assert(header_get_string(&h, "CRDS_CTX", &text));
    ck_assert_str_eq(text, "jwst_1234.pmap");
    ck_assert(header_get_string(&h, "CRDS_VER", &text));
    ck_assert_str_eq(text, "ifud 1.2.3");
    p.crds_context[0] = '\0'; /* what an input said of another choice goes */
    support_ok(provenance_to_header(&p, "x.fits", "IFUImageModel", &h, &err), &err);
    ck_assert_ptr_null(header_find(&h, "CRDS_CTX"));
    ck_assert_ptr_null(header_find(&h, "CRDS_VER"));
    header_done(&h);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("crds");
    TCase *t = tcase_create("crds");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_crds_values_are_conditioned);
    tcase_add_test(t, test_crds_patterns_match);
    tcase_add_test(t, test_crds_bad_patterns_are_refused);
    tcase_add_test(t, test_crds_glob_takes_no_time);
    tcase_add_test(t, test_crds_expressions);
    tcase_add_test(t, test_crds_mappings_are_read_strictly);
    tcase_add_test(t, test_crds_literals);
    tcase_add_test(t, test_crds_more_that_match_go_before_what_does_not_care);
    tcase_add_test(t, test_crds_equal_rules_are_merged);
    tcase_add_test(t, test_crds_not_applicable);
    tcase_add_test(t, test_crds_keys_are_substituted_or_irrelevant);
    tcase_add_test(t, test_crds_rules_that_cannot_be_read);
    tcase_add_test(t, test_crds_faults_of_the_cache_are_named);
    tcase_add_test(t, test_crds_latest_context_and_invalid_files);
    tcase_add_test(t, test_crds_references_by_rules);
    tcase_add_test(t, test_crds_keywords_of_products);
    suite_add_tcase(s, t);
    return support_run(s);
}
