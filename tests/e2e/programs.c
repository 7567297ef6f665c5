#include "tests/e2e/programs.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include "tests/support.h"

void programs_run(const char *folder, const char *fmt, ...)
{
    char command[4096], whole[8192];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(command, sizeof command, fmt, ap);
    va_end(ap);
    ck_assert(n > 0 && (size_t)n < sizeof command);
    const char *bin = getenv("IFUD_BIN");
    snprintf(whole, sizeof whole,
             "cd '%s' && unset IFUD_REFERENCES CRDS_PATH && B='%s' && { %s ; } "
             ">stdout.txt 2>stderr.txt",
             folder, bin ? bin : "build/bin", command);
    int status = system(whole);
    char *said = support_read_file(support_path(folder, "stderr.txt"), NULL);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s\nfailed: %s",
                  command, said);
    free(said);
}

void programs_hash(const char *folder, const char *name, char ret[65])
{
    struct err err = {0};
    support_ok(sha256_file(support_path(folder, name), ret, NULL, &err), &err);
}
