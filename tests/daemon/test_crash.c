#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/crash.h"
#include "tests/support.h"

START_TEST(test_crash_summary_names_the_innermost_functions)
{
    static const struct {
        const char *backtrace, *summary;
    } cases[] = {
        {"", ""},
        {"nothing of the kind\n()\n(+)[\n", ""},
        {"build/bin/ifurun(+0x12144)[0x558286ee3144]\n"
         "/lib/x86_64-linux-gnu/libc.so.6(abort+0xd3)[0x7f5820e5a050]\n"
         "/usr/lib/libcfitsio.so.10(ffopen+0x7f)[0x558286eeb00f]\n"
         "build/bin/ifurun(exposure_read+0x14a)[0x558286ee7cfa]\n"
         "build/bin/ifurun(+0x342c5)[0x558286f052c5]\n"
         "build/bin/ifurun(job_run+0xcb4)[0x558286ef9ec4]\n"
         "build/bin/ifurun(main+0x832)[0x558286ee16b2]\n"
         "build/bin/ifurun(_start+0x21)[0x558286ee28c1]\n",
         "ffopen < exposure_read < job_run < main < _start"},
        {"a(cut+0x", "cut"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];
        crash_summary(cases[i].backtrace, text, sizeof text);
        ck_assert_str_eq(text, cases[i].summary);
    }
    char small[8];
    crash_summary(cases[2].backtrace, small, sizeof small);
    ck_assert_str_eq(small, "ffopen ");
}
END_TEST

START_TEST(test_crash_is_kept)
{
    char *folder = support_folder();
    struct err err = {0};
    support_ok(crash_keep(folder, "spec2-a-1", 2, "old", "", &err), &err);
    support_ok(crash_keep(folder, "spec2-a-1", 3, "died of 11", "a(b+1)[2]\n", &err),
               &err);
    char *text = support_read_file(support_path(folder, "spec2-a-1.crash.txt"), NULL);
    ck_assert_str_eq(text, "spec2-a-1, attempt 3: died of 11\na(b+1)[2]\n");
    free(text);
    support_remove(folder);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("crash");
    TCase *t = tcase_create("crash");
    tcase_add_test(t, test_crash_summary_names_the_innermost_functions);
    tcase_add_test(t, test_crash_is_kept);
    suite_add_tcase(s, t);
    return support_run(s);
}
