#include "tests/poison_child.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void poison_child_set(const char *pairs, int bomb_mb)
{
    const char *bin = getenv("IFUD_BIN"), *options = getenv("ASAN_OPTIONS");
    char library[4096], text[4096];
    if (!pairs) {
        unsetenv("IFUD_POISON");
        unsetenv("LD_PRELOAD");
        return;
    }
    snprintf(library, sizeof library, "%.3000s/../tests/fault/poison.so",
             bin ? bin : "build/bin");
    ck_assert_msg(access(library, R_OK) == 0, "no %s", library);
    if (!options || !strstr(options, "verify_asan_link_order")) {
        snprintf(text, sizeof text, "%.3000s:verify_asan_link_order=0",
                 options ? options : "");
        setenv("ASAN_OPTIONS", text, 1);
    }
    snprintf(text, sizeof text, "%d", bomb_mb);
    setenv("IFUD_POISON_MB", text, 1);
    setenv("IFUD_POISON", pairs, 1);
    setenv("LD_PRELOAD", library, 1);
}
