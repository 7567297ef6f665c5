#include "tests/support.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "common/data/exposure_io.h"

void support_beat(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

int support_run(Suite *s)
{
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

char *support_folder(void)
{
    const char *top = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof path, "%s/ifud-test-XXXXXX", top && top[0] ? top : "/tmp");
    ck_assert_msg(mkdtemp(path) != NULL, "cannot make %s", path);
    return strdup(path);
}

static int remove_one(const char *path, const struct stat *st, int kind,
                      struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void support_remove(char *folder)
{
    ck_assert_int_eq(nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    free(folder);
}

const char *support_path(const char *folder, const char *name)
{
    static char ring[8][4096];
    static int next;
    char *path = ring[next++ % 8];
    snprintf(path, sizeof ring[0], "%s/%s", folder, name);
    return path;
}

void support_ok(int code, const struct err *err)
{
    ck_assert_msg(code == 0, "failed (%s): %s", err_name(code), err->message);
}

/* ---- exposures -------------------------------------------------------------------- */

struct text_key {
    const char *keyword, *value;
};
struct real_key {
    const char *keyword;
    double value;
};
struct int_key {
    const char *keyword;
    long value;
};

static void set_texts(struct header *h, const struct text_key *keys, size_t n)
{
    struct err err = {0};
    for (size_t i = 0; i < n; i++) {
        support_ok(header_set_string(h, keys[i].keyword, keys[i].value, NULL, &err),
                   &err);
    }
}

static void set_reals(struct header *h, const struct real_key *keys, size_t n)
{
    struct err err = {0};
    for (size_t i = 0; i < n; i++) {
        support_ok(header_set_real(h, keys[i].keyword, keys[i].value, NULL, &err),
                   &err);
    }
}

static void set_ints(struct header *h, const struct int_key *keys, size_t n)
{
    struct err err = {0};
    for (size_t i = 0; i < n; i++) {
        support_ok(header_set_int(h, keys[i].keyword, keys[i].value, NULL, &err), &err);
    }
}

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void fill_headers(struct exposure *e, int substrt1, int substrt2,
                         const char *detector, const char *filter, const char *grating)
{
    const struct text_key texts[] = {{"DATAMODL", "IFUImageModel"},
                                     {"TELESCOP", "JWST"},
                                     {"DATE-OBS", "2024-03-12"},
                                     {"TIME-OBS", "04:05:06.000"},
                                     {"VISIT_ID", "01234001001"},
                                     {"PROGRAM", "01234"},
                                     {"OBSERVTN", "001"},
                                     {"VISIT", "001"},
                                     {"VISITGRP", "02"},
                                     {"SEQ_ID", "1"},
                                     {"ACT_ID", "01"},
                                     {"EXPOSURE", "00001"},
                                     {"TARGPROP", "TEST TARGET"},
                                     {"TARGNAME", "TEST TARGET"},
                                     {"INSTRUME", "NIRSPEC"},
                                     {"DETECTOR", detector},
                                     {"FILTER", filter},
                                     {"GRATING", grating},
                                     {"LAMP", "NONE"},
                                     {"EXP_TYPE", "NRS_IFU"},
                                     {"PATTTYPE", "4-POINT-DITHER"}};
    const struct real_key reals[] = {{"TARG_RA", 150.1163}, {"TARG_DEC", 2.2058},
                                     {"GWA_XTIL", 0.3562},  {"GWA_YTIL", 0.1323},
                                     {"GWA_TILT", 37.0},    {"EXPSTART", 60381.12},
                                     {"EFFINTTM", 1458.9},  {"EFFEXPTM", 1458.9}};
    const struct int_key ints[] = {{"SUBSTRT1", substrt1}, {"SUBSTRT2", substrt2},
                                   {"SUBSIZE1", e->nx},    {"SUBSIZE2", e->ny},
                                   {"PATT_NUM", 1},        {"NUMDTHPT", 4}};
    const struct text_key science_texts[] = {{"SRCTYPE", "POINT"}, {"BUNIT", "DN/s"}};
    const struct real_key science_reals[] = {
        {"VA_SCALE", 1.00002},  {"V2_REF", 300.2961}, {"V3_REF", -497.9},
        {"V3I_YANG", 138.5746}, {"RA_REF", 150.1163}, {"DEC_REF", 2.2058},
        {"ROLL_REF", 60.0},     {"VELOSYS", -12345.6}};
    const struct int_key science_ints[] = {{"VPARITY", -1}};
    set_texts(&e->primary, texts, COUNT(texts));
    set_reals(&e->primary, reals, COUNT(reals));
    set_ints(&e->primary, ints, COUNT(ints));
    set_texts(&e->science, science_texts, COUNT(science_texts));
    set_reals(&e->science, science_reals, COUNT(science_reals));
    set_ints(&e->science, science_ints, COUNT(science_ints));
}

struct exposure *support_exposure(int nx, int ny, int substrt1, int substrt2,
                                  const char *detector, const char *filter,
                                  const char *grating)
{
    struct err err = {0};
    struct exposure *e = exposure_new(nx, ny, &err);
    ck_assert_msg(e != NULL, "%s", err.message);
    fill_headers(e, substrt1, substrt2, detector, filter, grating);
    size_t n = exposure_pixels(e);
    e->sci = malloc(n * sizeof *e->sci);
    e->err = malloc(n * sizeof *e->err);
    e->dq = calloc(n, sizeof *e->dq);
    e->var_poisson = malloc(n * sizeof *e->var_poisson);
    e->var_rnoise = malloc(n * sizeof *e->var_rnoise);
    ck_assert(e->sci && e->err && e->dq && e->var_poisson && e->var_rnoise);
    for (size_t i = 0; i < n; i++) {
        float x = (float)(i % (size_t)nx), y = (float)(i / (size_t)nx);
        e->sci[i] = 1.0F + x / 100.0F + y / 1000.0F;
        e->err[i] = 0.1F;
        e->var_poisson[i] = 0.005F;
        e->var_rnoise[i] = 0.005F;
    }
    support_ok(exposure_read_meta(e, "made-for-a-test_rate.fits", &err), &err);
    return e;
}

void support_write_rate(const char *path, const struct exposure *e)
{
    struct err err = {0};
    const char *slash = strrchr(path, '/');
    support_ok(exposure_write(e, path, slash ? slash + 1 : path, NULL, &err), &err);
}

/* ---- files ------------------------------------------------------------------------ */

char *support_read_file(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "cannot open %s", path);
    ck_assert_int_eq(fseek(f, 0, SEEK_END), 0);
    size_t n = (size_t)ftell(f);
    rewind(f);
    char *data = malloc(n + 1);
    ck_assert(data != NULL);
    ck_assert_uint_eq(fread(data, 1, n, f), n);
    data[n] = '\0';
    fclose(f);
    if (ret_n) {
        *ret_n = n;
    }
    return data;
}

void support_write_file(const char *path, const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    ck_assert_msg(f != NULL, "cannot create %s", path);
    ck_assert_uint_eq(fwrite(data, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

void support_truncate(const char *path, size_t n)
{
    ck_assert_int_eq(truncate(path, (off_t)n), 0);
}

const char *support_peer_samples(void)
{
    const char *folder = getenv("PEER_SAMPLES");
    folder = folder && folder[0] ? folder : "../shared";
    if (access(folder, R_OK)) {
        fprintf(stderr,
                "the peer's samples are absent (%s): these comparisons are left out\n",
                folder);
        return NULL;
    }
    return folder;
}
