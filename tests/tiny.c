#include "tests/tiny.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/base/path.h"
#include "common/data/exposure_io.h"
#include "tests/e2e/programs.h"
#include "tests/support.h"

const char *tiny_name(const char *begin, int dither, const char *end)
{
    static char ring[8][600];
    static int at;
    char *s = ring[at++ % 8];
    snprintf(s, sizeof ring[0], "%.300sjw01234001001_02101_%05d_nrs1%.200s", begin,
             dither, end);
    return s;
}

void tiny_make(const char *references)
{
    struct err err = {0};
    support_ok(path_make_folder(references, 0700, &err), &err);
    programs_run(references,
                 "$B/ifusim --make-references . --grating G395M && "
                 "$B/ifusim --references . --grating G395M --detector NRS1 --dithers 1 "
                 "--subarray 1000,700,16,16 --truth false --threads 1 --output made && "
                 "mv made/*_rate.fits tiny_rate.fits && rm *dflat* *sflat*");
}

void tiny_expose(const char *references, const char *folder, int first, int last)
{
    struct exposure *e = NULL;
    struct err err = {0};
    support_ok(exposure_read(support_path(references, "tiny_rate.fits"), &e, &err),
               &err);
    support_ok(header_set_int(&e->primary, "NUMDTHPT", 999, NULL, &err), &err);
    for (int i = first; i <= last; i++) {
        char part[800], name[800];
        const char *file = tiny_name("", i, "_rate.fits");
        snprintf(part, sizeof part, "%.300s/made/%s", references, file);
        snprintf(name, sizeof name, "%.300s/%s", folder, file);
        support_ok(header_set_int(&e->primary, "PATT_NUM", i, NULL, &err), &err);
        support_write_rate(part, e);
        ck_assert_int_eq(rename(part, name), 0);
    }
    exposure_free(e);
}
