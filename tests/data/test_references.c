#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/base/mem.h"
#include "common/base/sha256.h"
#include "common/data/fits_io.h"
#include "common/data/reference_cache.h"
#include "common/data/reference_index.h"
#include "common/data/references.h"
#include "tests/support.h"

/* ---- files ------------------------------------------------------------------------ */

/* A FITS reference: keys are pairs "KEYWORD", "value", ended by NULL. */
static void write_fits(const char *folder, const char *name, const char *const *keys)
{
    struct header h = {0};
    struct fits_out *f = NULL;
    struct err err = {0};
    for (; *keys; keys += 2) {
        support_ok(header_set_string(&h, keys[0], keys[1], NULL, &err), &err);
    }
    support_ok(fits_out_create(support_path(folder, name), &f, &err), &err);
    support_ok(fits_out_primary(f, &h, &err), &err);
    support_ok(fits_out_close(f, &err), &err);
    header_done(&h);
}

#define FITS(folder, name, ...)                                                        \
    write_fits(folder, name, (const char *const[]){__VA_ARGS__, NULL})

static void write_asdf(const char *folder, const char *name, const char *meta)
{
    char text[2048];
    int n =
        snprintf(text, sizeof text,
                 "#ASDF 1.0.0\n#ASDF_STANDARD 1.5.0\n%%YAML 1.1\n"
                 "%%TAG ! tag:stsci.edu:asdf/\n--- !core/asdf-1.1.0\nmeta: %s\n...\n",
                 meta);
    support_write_file(support_path(folder, name), text, (size_t)n);
}

static struct exposure_meta meta_of(const char *detector, const char *filter,
                                    const char *grating)
{
    struct exposure_meta m = {.filename = "x_rate.fits",
                              .instrument = "NIRSPEC",
                              .exp_type = "NRS_IFU",
                              .date_obs = "2024-03-12",
                              .time_obs = "04:05:06.000"};
    snprintf(m.detector, sizeof m.detector, "%s", detector);
    snprintf(m.filter, sizeof m.filter, "%s", filter);
    snprintf(m.grating, sizeof m.grating, "%s", grating);
    return m;
}

/* What is chosen from the folder: the name, or the error's message. */
static const char *chosen(const char *folder, const char *type,
                          const struct exposure_meta *m)
{
    static char text[1100];
    struct references *refs = NULL;
    struct reference_choice choice;
    struct err err = {0};
    support_ok(references_open(folder, 1 << 20, &refs, &err), &err);
    int code = references_choose(refs, type, m, NULL, &choice, &err);
    ck_assert(code == 0 || code == ERR_REFERENCE);
    snprintf(text, sizeof text, "%s", code ? err.message : choice.name);
    references_close(refs);
    return text;
}

#define CHOSEN(type, m, name) ck_assert_str_eq(chosen(folder, type, m), name)
#define SAYS(type, m, part)                                                            \
    do {                                                                               \
        const char *said = chosen(folder, type, m);                                    \
        ck_assert_msg(strstr(said, part) != NULL, "no '%s' in: %s", part, said);       \
    } while (0)

/* ---- choice ----------------------------------------------------------------------- */

START_TEST(test_references_match_by_metadata)
{
    char *folder = support_folder();
    mkdir(support_path(folder, "deep"), 0755);
    mkdir(support_path(folder, "deep/er"), 0755);
    FITS(folder, "a.fits", "REFTYPE", "SFLAT", "INSTRUME", "NIRSPEC", "DETECTOR",
         "NRS1", "FILTER", "F290LP", "GRATING", "G395H");
    FITS(folder, "deep/er/b.fits", "REFTYPE", "sflat", "DETECTOR", "nrs2", "FILTER",
         "ANY", "GRATING", "N/A");
    FITS(folder, "c.fits", "REFTYPE", "sflat", "INSTRUME", "MIRI");
    write_asdf(folder, "d_G140H.asdf",
               "{reftype: disperser, instrument: {name: NIRSPEC, grating: G140H, "
               "p_detector: NRS1|NRS2|}, exposure: {type: N/A, p_exptype: NRS_IFU|}}");
    write_asdf(folder, "d_G395H.asdf",
               "{reftype: DISPERSER, instrument: {name: NIRSPEC, grating: G395H, "
               "p_detector: NRS1|NRS2|}, exposure: {type: N/A, p_exptype: NRS_IFU|}}");
    struct exposure_meta one = meta_of("NRS1", "F290LP", "G395H"),
                         two = meta_of("NRS2", "F170LP", "G235H"),
                         h140 = meta_of("NRS1", "F100LP", "G140H");
    CHOSEN("sflat", &one, "a.fits");
    CHOSEN("sflat", &two, "b.fits");
    CHOSEN("disperser", &one, "d_G395H.asdf");
    CHOSEN("disperser", &h140, "d_G140H.asdf");
    SAYS("sflat", &h140, "3 of this type");
    SAYS("sflat", &h140, "1 for another instrument (c.fits: MIRI)");
    SAYS("sflat", &h140, "1 for another detector");
    SAYS("sflat", &h140, "1 for another filter (a.fits: F290LP)");
    SAYS("camera", &one, "no reference of type 'camera' for x_rate.fits");
    support_remove(folder);
}
END_TEST

START_TEST(test_references_patterns_override_plain_values)
{
    char *folder = support_folder();
    FITS(folder, "p.fits", "REFTYPE", "fflat", "FILTER", "F100LP", "P_FILTER",
         "F290LP | f170lp|", "GRATING", "MIRROR", "P_GRATIN", "G395H|G235H|",
         "EXP_TYPE", "NRS_LAMP", "P_EXP_TY", "NRS_LAMP|NRS_IFU|", "DETECTOR", "NRS1",
         "P_DETECT", "ANY|");
    write_asdf(folder, "q.asdf",
               "{reftype: fore, instrument: {filter: CLEAR, p_filter: F290LP|}, "
               "exposure: {type: NRS_IFU, p_exptype: NRS_IFU|}}");
    struct exposure_meta m = meta_of("NRS2", "F170LP", "G235H"),
                         plain = meta_of("NRS1", "F100LP", "MIRROR"),
                         clear = meta_of("NRS1", "CLEAR", "PRISM"),
                         f290 = meta_of("NRS1", "F290LP", "G395M");
    CHOSEN("fflat", &m, "p.fits");
    SAYS("fflat", &plain, "1 for another filter");
    CHOSEN("fore", &f290, "q.asdf");
    SAYS("fore", &clear, "1 for another filter");
    support_remove(folder);
}
END_TEST

START_TEST(test_references_newest_then_highest_serial)
{
    char *folder = support_folder();
    struct exposure_meta m = meta_of("NRS1", "F290LP", "G395H");
    FITS(folder, "area_0009.fits", "REFTYPE", "area", "USEAFTER", "2022-01-01");
    CHOSEN("area", &m, "area_0009.fits");
    FITS(folder, "area_0003.fits", "REFTYPE", "area", "USEAFTER",
         "2024-03-12T04:05:06");
    CHOSEN("area", &m, "area_0003.fits");
    FITS(folder, "area_0012.fits", "REFTYPE", "area", "USEAFTER",
         "2024-03-12 04:05:06");
    CHOSEN("area", &m, "area_0012.fits");
    FITS(folder, "area_0099.fits", "REFTYPE", "area", "USEAFTER",
         "2024-03-12T04:05:06.001");
    CHOSEN("area", &m, "area_0012.fits");
    snprintf(m.date_obs, sizeof m.date_obs, "2021-01-01");
    SAYS("area", &m, "4 with a USEAFTER after the exposure");
    support_remove(folder);
}
END_TEST

START_TEST(test_references_tie_is_an_error_unless_the_same)
{
    char *folder = support_folder();
    struct exposure_meta m = meta_of("NRS1", "F290LP", "G395H");
    FITS(folder, "one.fits", "REFTYPE", "photom", "USEAFTER", "2022-01-01");
    FITS(folder, "two.fits", "REFTYPE", "photom", "USEAFTER", "2022-01-01");
    CHOSEN("photom", &m, "one.fits"); /* byte for byte the same */
    FITS(folder, "three.fits", "REFTYPE", "photom", "USEAFTER", "2022-01-01", "NOTE",
         "other");
    SAYS("photom", &m, "equally good");
    SAYS("photom", &m, "one.fits");
    SAYS("photom", &m, "three.fits");
    support_remove(folder);
}
END_TEST

START_TEST(test_references_unreadable_files_are_named)
{
    char *folder = support_folder();
    struct exposure_meta m = meta_of("NRS1", "F290LP", "G395H");
    support_write_file(support_path(folder, "broken.fits"), "SIMPLE", 6);
    FITS(folder, "date.fits", "REFTYPE", "photom", "USEAFTER", "yesterday");
    FITS(folder, "no-type.fits", "OBJECT", "sky");
    SAYS("area", &m, "2 files could not be read");
    SAYS("area", &m, "broken.fits");
    unlink(support_path(folder, "broken.fits"));
    SAYS("photom", &m, "USEAFTER 'yesterday' is not a date");
    support_remove(folder);
}
END_TEST

START_TEST(test_references_links_are_not_followed)
{
    char *folder = support_folder(), *other = support_folder();
    struct exposure_meta m = meta_of("NRS1", "F290LP", "G395H");
    FITS(other, "area.fits", "REFTYPE", "area");
    ck_assert_int_eq(symlink(other, support_path(folder, "out")), 0);
    ck_assert_int_eq(
        symlink(support_path(other, "area.fits"), support_path(folder, "area.fits")),
        0);
    SAYS("area", &m, "0 of this type");
    SAYS("area", &m, "1 symbolic links were not followed");
    support_remove(folder);
    support_remove(other);
}
END_TEST

START_TEST(test_references_override)
{
    char *folder = support_folder();
    struct exposure_meta m = meta_of("NRS1", "F290LP", "G395H");
    struct references *refs = NULL;
    struct reference_choice choice;
    struct err err = {0};
    FITS(folder, "mine.fits", "REFTYPE", "AREA", "DETECTOR", "NRS2");
    char path[4096];
    snprintf(path, sizeof path, "%s", support_path(folder, "mine.fits"));
    support_ok(references_open(NULL, 0, &refs, &err), &err);
    support_ok(references_choose(refs, "area", &m, path, &choice, &err), &err);
    ck_assert_str_eq(choice.name, "mine.fits");
    ck_assert_uint_eq(strlen(choice.sha256), 64);
    ck_assert_int_eq(references_choose(refs, "photom", &m, path, &choice, &err),
                     ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "is of type 'area'"));
    ck_assert_int_eq(references_choose(refs, "area", &m, NULL, &choice, &err),
                     ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "no reference folder"));
    ck_assert_int_eq(references_choose(refs, "area", &m, "/none.fits", &choice, &err),
                     ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "/none.fits"));
    references_close(refs);
    support_remove(folder);
}
END_TEST

START_TEST(test_references_rescan_sees_new_files)
{
    char *folder = support_folder();
    struct exposure_meta m = meta_of("NRS1", "F290LP", "G395H");
    struct references *refs = NULL;
    struct reference_choice choice;
    struct err err = {0};
    support_ok(references_open(folder, 0, &refs, &err), &err);
    ck_assert_int_ne(references_choose(refs, "area", &m, NULL, &choice, &err), 0);
    FITS(folder, "new.fits", "REFTYPE", "area");
    support_ok(references_rescan(refs, &err), &err);
    support_ok(references_choose(refs, "area", &m, NULL, &choice, &err), &err);
    ck_assert_str_eq(choice.name, "new.fits");
    ck_assert_int_eq(
        references_open("/nonexistent", 0, &(struct references *){0}, &err),
        ERR_REFERENCE);
    references_close(refs);
    support_remove(folder);
}
END_TEST

/* Many files at once, one of them twice, give what they give one by one. */
START_TEST(test_references_hash_all)
{
    enum { FILES = 12 };
    char *folder = support_folder(), hash[65], other[65];
    struct references *refs = NULL;
    struct par *par = NULL;
    struct err err = {0};
    char *paths[FILES];
    for (size_t i = 0; i < FILES; i++) {
        char name[8];
        snprintf(name, sizeof name, "%zu", i % (FILES - 1));
        paths[i] = mem_strdup(support_path(folder, name), NULL);
        support_write_file(paths[i], name, strlen(name));
    }
    support_ok(references_open(NULL, 0, &refs, &err), &err);
    support_ok(par_new(3, &par, &err), &err);
    support_ok(references_hash_all(refs, FILES, (const char *const *)paths, par, &err),
               &err);
    for (size_t i = 0; i < FILES; i++) {
        support_ok(references_hash(refs, paths[i], hash, &err), &err);
        support_ok(sha256_file(paths[i], other, NULL, &err), &err);
        ck_assert_str_eq(hash, other);
    }
    support_ok(references_hash_all(refs, 0, (const char *const *)paths, par, &err),
               &err);
    unlink(paths[3]);
    ck_assert_int_eq(
        references_hash_all(refs, FILES, (const char *const *)paths, NULL, &err),
        ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, paths[3]));
    for (size_t i = 0; i < FILES; i++) {
        free(paths[i]);
    }
    par_free(par);
    references_close(refs);
    support_remove(folder);
}
END_TEST

START_TEST(test_references_time)
{
    int64_t a = 0, b = 0;
    ck_assert(reference_time("1970-01-02", &a));
    ck_assert_int_eq(a, 86400000000LL);
    ck_assert(reference_time("1970-01-01T00:00:01.5", &b));
    ck_assert_int_eq(b, 1500000);
    ck_assert(!reference_time("", &a));
    ck_assert(!reference_time("2022-13-01", &a));
    ck_assert(!reference_time("2022-01-01T25:00:00", &a));
    ck_assert(!reference_time("2022-01-01 and more", &a));
}
END_TEST

/* ---- cache ------------------------------------------------------------------------ */

static atomic_int n_loads, n_alive, n_asked;
static int n_askers;

/* It is not done before all have asked. */
static int slow_load(const char *path, void **ret, size_t *bytes, struct err *err)
{
    atomic_fetch_add(&n_loads, 1);
    while (atomic_load(&n_asked) < n_askers) {
        sched_yield();
    }
    if (strstr(path, "bad")) {
        return err_set(err, ERR_REFERENCE, "%s: broken", path);
    }
    *ret = mem_strdup(path, err);
    *bytes = 100;
    atomic_fetch_add(&n_alive, 1);
    return 0;
}

static void slow_free(void *object)
{
    atomic_fetch_sub(&n_alive, 1);
    free(object);
}

static const struct reference_type slow = {"slow", false, slow_load, slow_free};

struct ask {
    struct reference_cache *cache;
    const char *path;
    int code;
    struct err err;
};

static void *ask(void *arg)
{
    struct ask *a = arg;
    struct reference *ref = NULL;
    const void *object = NULL;
    struct err err = {0};
    atomic_fetch_add(&n_asked, 1);
    a->code =
        reference_cache_get(a->cache, &slow, a->path, "hash", &ref, &object, &err);
    if (!a->code && strcmp(object, a->path)) {
        a->code = ERR_BUG;
    }
    a->err = err;
    reference_release(ref);
    return NULL;
}

static void ask_from_many(struct reference_cache *cache, const char *path, int want)
{
    pthread_t threads[16];
    struct ask asks[16];
    atomic_store(&n_asked, 0);
    n_askers = 16;
    for (int i = 0; i < 16; i++) {
        asks[i] = (struct ask){.cache = cache, .path = path};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask, &asks[i]), 0);
    }
    for (int i = 0; i < 16; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(asks[i].code, want);
        ck_assert(!want || strstr(asks[i].err.message, path));
    }
}

START_TEST(test_reference_cache_loads_once)
{
    struct reference_cache *cache = NULL;
    size_t entries, bytes, loads;
    ck_assert_int_eq(reference_cache_new(1000, &cache, NULL), 0);
    ask_from_many(cache, "/good", 0);
    ck_assert_int_eq(n_loads, 1);
    reference_cache_usage(cache, &entries, &bytes, &loads);
    ck_assert_uint_eq(entries, 1);
    ck_assert_uint_eq(bytes, 100);
    reference_cache_free(cache);
    ck_assert_int_eq(n_alive, 0);
}
END_TEST

START_TEST(test_reference_cache_failure_reaches_all_and_is_not_kept)
{
    struct reference_cache *cache = NULL;
    size_t entries, bytes, loads;
    ck_assert_int_eq(reference_cache_new(1000, &cache, NULL), 0);
    ask_from_many(cache, "/bad", ERR_REFERENCE);
    reference_cache_usage(cache, &entries, &bytes, &loads);
    ck_assert_uint_eq(entries, 0);
    ck_assert_uint_eq(bytes, 0);
    int before = n_loads;
    ask_from_many(cache, "/bad", ERR_REFERENCE); /* tried again, not remembered */
    ck_assert_int_gt(n_loads, before);
    reference_cache_free(cache);
}
END_TEST

START_TEST(test_reference_cache_drops_least_recently_used)
{
    struct reference_cache *cache = NULL;
    struct reference *held = NULL;
    const void *object = NULL;
    size_t entries, bytes, loads;
    ck_assert_int_eq(reference_cache_new(250, &cache, NULL), 0);
    ck_assert_int_eq(
        reference_cache_get(cache, &slow, "/held", "h", &held, &object, NULL), 0);
    struct ask a = {.cache = cache, .path = "/a"}, b = {.cache = cache, .path = "/b"};
    ask(&a);
    ask(&b); /* 300 > 250: a goes, held stays although it is older */
    reference_cache_usage(cache, &entries, &bytes, &loads);
    ck_assert_uint_eq(bytes, 200);
    ck_assert_uint_eq(loads, 3);
    ask(&b);
    reference_cache_usage(cache, &entries, &bytes, &loads);
    ck_assert_uint_eq(loads, 3); /* b was there */
    ask(&a);
    reference_cache_usage(cache, &entries, &bytes, &loads);
    ck_assert_uint_eq(loads, 4); /* a was not */
    ck_assert_str_eq(object, "/held");
    reference_release(held);
    reference_cache_free(cache);
    ck_assert_int_eq(n_alive, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("references");
    TCase *t = tcase_create("references");
    tcase_add_test(t, test_references_match_by_metadata);
    tcase_add_test(t, test_references_patterns_override_plain_values);
    tcase_add_test(t, test_references_newest_then_highest_serial);
    tcase_add_test(t, test_references_tie_is_an_error_unless_the_same);
    tcase_add_test(t, test_references_unreadable_files_are_named);
    tcase_add_test(t, test_references_links_are_not_followed);
    tcase_add_test(t, test_references_override);
    tcase_add_test(t, test_references_rescan_sees_new_files);
    tcase_add_test(t, test_references_hash_all);
    tcase_add_test(t, test_references_time);
    tcase_add_test(t, test_reference_cache_loads_once);
    tcase_add_test(t, test_reference_cache_failure_reaches_all_and_is_not_kept);
    tcase_add_test(t, test_reference_cache_drops_least_recently_used);
    suite_add_tcase(s, t);
    return support_run(s);
}
