#ifndef IFUD_TESTS_E2E_PROGRAMS_H
#define IFUD_TESTS_E2E_PROGRAMS_H

#include "common/base/sha256.h"

/*
 * Drive the programs of $IFUD_BIN (default build/bin) from a test, in a folder of its own.
 * Every failure ends the test with what the program wrote to standard error.
 */

/* Run in the shell within `folder`, with $B the programs' folder; it must succeed. */
__attribute__((format(printf, 2, 3))) void programs_run(const char *folder,
                                                        const char *fmt, ...);

/* SHA-256 of folder "/" name, which must exist. */
void programs_hash(const char *folder, const char *name, char ret[65]);

#endif
