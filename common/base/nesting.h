#ifndef IFUD_BASE_NESTING_H
#define IFUD_BASE_NESTING_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Does JSON text of n bytes nest at most so many objects and arrays? Looked at before a
 * parser that recurses sees a stranger's text. Brackets within its texts do not count.
 * Pure. Test: tests/base/test_nesting.c
 */
bool nesting_within(const char *text, size_t n, int depth);

#endif
