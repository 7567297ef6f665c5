#ifndef IFUD_CONFIG_CHECK_H
#define IFUD_CONFIG_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include "common/base/err.h"
#include "config/config.h"

/*
 * What single values cannot say: folders that are the same or lie in one another, a path
 * too long for a socket, settings of a wrong form. Paths are compared as text ("a//b/../c"
 * is "a/c"); symbolic links are the business of whoever opens them.
 * Thread: any (pure). Test: tests/config/test_config.c
 */

/* ERR_PARAM names the key, its value and what would be right. */
int config_check(const struct config *config, struct err *err);

/* *ret: is `path` the folder, or does it lie in it? */
int config_inside(const char *path, const char *folder, bool *ret, struct err *err);

/* ERR_PARAM if any two of n paths are the same or one lies in the other; names are those
 * of their keys. NULL paths are left out. */
int config_apart(const char *const *names, const char *const *paths, size_t n,
                 struct err *err);

#endif
