#include "tests/fault/tree.h"

#include <check.h>
#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/sha256.h"
#include "tests/support.h"

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static FTS *walk(const char *path)
{
    char copy[4096];
    snprintf(copy, sizeof copy, "%s", path);
    char *const paths[] = {copy, NULL};
    FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    ck_assert_msg(fts != NULL, "%s: %s", path, strerror(errno));
    return fts;
}

static void copy_file(const char *from, const char *to, mode_t mode)
{
    size_t n;
    char *data = support_read_file(from, &n);
    support_write_file(to, data, n);
    ck_assert_int_eq(chmod(to, mode), 0);
    free(data);
}

void tree_copy(const char *from, const char *to)
{
    char path[8192];
    FTS *fts = walk(from);
    const FTSENT *e;
    while ((e = fts_read(fts))) {
        snprintf(path, sizeof path, "%s%s", to, e->fts_path + strlen(from));
        if (e->fts_info == FTS_D) {
            ck_assert_msg(!mkdir(path, 0700), "%s: %s", path, strerror(errno));
        } else if (e->fts_info == FTS_F) {
            copy_file(e->fts_path, path, e->fts_statp->st_mode & 07777);
        }
    }
    fts_close(fts);
}

void tree_remove(const char *path)
{
    if (access(path, F_OK)) {
        return;
    }
    FTS *fts = walk(path);
    const FTSENT *e;
    while ((e = fts_read(fts))) {
        if (e->fts_info != FTS_D) {
            ck_assert_msg(!remove(e->fts_accpath), "%s: %s", e->fts_path,
                          strerror(errno));
        }
    }
    fts_close(fts);
}

char *tree_list(const char *path)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    FTS *fts = walk(path);
    const FTSENT *e;
    ck_assert(f != NULL);
    while ((e = fts_read(fts))) {
        if (e->fts_info != FTS_D && e->fts_info != FTS_DP) {
            char hash[65] = "no regular file";
            struct err err = {0};
            if (e->fts_info == FTS_F) {
                support_ok(sha256_file(e->fts_path, hash, NULL, &err), &err);
            }
            fprintf(f, "%s %s\n", e->fts_path + strlen(path) + 1, hash);
        }
    }
    fts_close(fts);
    fclose(f);
    return text;
}
