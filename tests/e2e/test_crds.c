/*
 * References by the rules of a CRDS context: ifurun and the real daemon, on a cache of
 * simulated references whose rules are ours.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/exposure_io.h"
#include "tests/crds_kit.h"
#include "tests/daemon_child.h"
#include "tests/e2e/programs.h"
#include "tests/support.h"
#include "tests/tiny.h"

#define SPEC2                                                                          \
    "spec2 --set flat_field.skip=true --stop-after photom --set "                      \
    "cube_build.scalexy=0.3 "

static struct daemon_child d;

/* A keyword of a product's primary header; "" if absent. */
static const char *keyword(const char *folder, const char *name, const char *key)
{
    static char text[100];
    struct exposure *e = NULL;
    struct err err = {0};
    const char *value = "";
    support_ok(exposure_read(support_path(folder, name), &e, &err), &err);
    header_get_string(&e->primary, key, &value);
    snprintf(text, sizeof text, "%s", value);
    exposure_free(e);
    return text;
}

START_TEST(test_crds_ifurun_takes_what_the_rules_choose)
{
    char *top = support_folder();
    char refs[300], cache[300], a[65], b[65];
    const char *rate = tiny_name("", 1, "_rate.fits"),
               *cal = tiny_name("", 1, "_cal.fits");
    snprintf(refs, sizeof refs, "%s/refs", top);
    snprintf(cache, sizeof cache, "%s/cache", top);
    programs_run(top, "mkdir refs in");
    tiny_make(refs);
    tiny_expose(refs, support_path(top, "in"), 1, 1);
    programs_run(top, "rm -f refs/*_rate.fits; cp -r refs plain");
    crds_kit_adopt(cache, refs, 7, false);
    programs_run(top, "$B/ifurun " SPEC2 "--references plain --output one in/%s", rate);
    programs_run(top,
                 "$B/ifurun " SPEC2
                 "--crds-path cache --crds-context jwst_0007.pmap --output two in/%s",
                 rate);
    ck_assert_str_eq(keyword(support_path(top, "one"), cal, "CRDS_CTX"), "");
    ck_assert_str_eq(keyword(support_path(top, "two"), cal, "CRDS_CTX"),
                     "jwst_0007.pmap");
    ck_assert(!strncmp(keyword(support_path(top, "two"), cal, "CRDS_VER"), "ifud ", 5));
    ck_assert(
        !strncmp(keyword(support_path(top, "two"), cal, "R_PHOTOM"), "crds://", 7));
    /* the same by the peer's environment; and by the manifest, which needs no rules */
    programs_run(top,
                 "CRDS_PATH=cache CRDS_CONTEXT=jwst_0007.pmap $B/ifurun " SPEC2
                 "--output three in/%s",
                 rate);
    programs_run(top,
                 "$B/ifurun refs --crds-path cache --crds-context jwst_0007.pmap "
                 "in/%s >refs.txt 2>said || true",
                 rate);
    programs_run(top,
                 "grep -q 'photom .*jwst_0007.pmap: jwst_nirspec_photom_0007.rmap: "
                 "Match (.*UseAfter 2020-01-01 00:00:00' refs.txt");
    programs_hash(top, support_path("two", cal), a);
    programs_run(top, "rm -r cache/mappings; $B/ifurun two/*_manifest.json");
    programs_hash(top, support_path("two", cal), b);
    ck_assert_str_eq(a, b);
    programs_run(top,
                 "! $B/ifurun " SPEC2 "--crds-path cache --crds-context "
                 "jwst_0007.pmap in/%s 2>said; grep -q 'crds sync' said",
                 rate);
    programs_run(top,
                 "! $B/ifurun " SPEC2 "--references plain --crds-context x in/%s "
                 "2>said; grep -q 'give one of them' said",
                 rate);
    support_remove(top);
}
END_TEST

/* The configuration with another context. */
static void use_context(const char *context)
{
    char text[2000];
    int n = snprintf(text, sizeof text,
                     "sed -i 's/\"crds_context\": \"[^\"]*\"/\"crds_context\": "
                     "\"%s\"/' %s",
                     context, d.config);
    ck_assert_int_lt(n, (int)sizeof text);
    programs_run(d.top, "%s", text);
    ck_assert_int_eq(kill(d.pid, SIGHUP), 0);
}

static const char *context_of(int dither)
{
    char command[400];
    snprintf(command, sizeof command,
             "find products -name '%s' -exec cp {} found_cal.fits ';'",
             tiny_name("", dither, "_cal.fits"));
    programs_run(d.top, "%s", command);
    return keyword(d.top, "found_cal.fits", "CRDS_CTX");
}

static bool logged(const char *words)
{
    char *log = support_read_file(d.log, NULL);
    bool found = strstr(log, words) != NULL;
    free(log);
    return found;
}

START_TEST(test_crds_daemon_follows_the_configuration)
{
    char settings[1000], cache[400], other[400];
    daemon_child_init(&d, "");
    snprintf(cache, sizeof cache, "%s/cache", d.top);
    snprintf(other, sizeof other, "%s/other", d.top);
    programs_run(d.top, "mkdir tiny in");
    tiny_make(support_path(d.top, "tiny"));
    tiny_expose(support_path(d.top, "tiny"), support_path(d.top, "in"), 1, 2);
    programs_run(d.top, "rm -f tiny/*_rate.fits; cp -r tiny again");
    crds_kit_adopt(cache, support_path(d.top, "tiny"), 1, false);
    crds_kit_adopt(cache, support_path(d.top, "again"), 2, true);
    snprintf(settings, sizeof settings,
             "sed -i 's|^{|{ " TINY_SETTINGS
             ", \"crds_path\": \"%s\", \"crds_context\": "
             "\"jwst_0001.pmap\",|' %s",
             cache, d.config);
    programs_run(d.top, "%s", settings);
    daemon_child_start(&d);
    programs_run(d.top, "mv in/%s inbox/", tiny_name("", 1, "_rate.fits"));
    daemon_child_until(&d, "jobs.done", 1);
    ck_assert_str_eq(context_of(1), "jwst_0001.pmap");
    use_context("jwst_0003.pmap");
    support_until(logged("the configuration stays as it was"), 30, "no refusal");
    ck_assert(logged("jwst_0003.pmap: No such file"));
    use_context("jwst_0002.pmap");
    support_until(logged("changed: crds_context"), 30, "not read again");
    programs_run(d.top, "mv in/%s inbox/", tiny_name("", 2, "_rate.fits"));
    daemon_child_until(&d, "jobs.done", 2);
    ck_assert_str_eq(context_of(2), "jwst_0002.pmap");
    daemon_child_stop(&d);
    daemon_child_done(&d);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("e2e_crds");
    TCase *t = tcase_create("crds");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, test_crds_ifurun_takes_what_the_rules_choose);
    tcase_add_test(t, test_crds_daemon_follows_the_configuration);
    suite_add_tcase(s, t);
    return support_run(s);
}
