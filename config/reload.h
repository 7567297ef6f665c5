#ifndef IFUD_CONFIG_RELOAD_H
#define IFUD_CONFIG_RELOAD_H

#include "common/base/err.h"
#include "config/config.h"

/*
 * A configuration read again while the daemon runs: live keys (config_is_live) take
 * their new values, the others keep those they had.
 *
 * Given:     now    what is in effect
 *            fresh  what the file says
 * Returned:  *ret          what is in effect from now on; a new configuration
 *            *ret_changed  names of live keys whose value is another, "a, b"; "" for none
 *            *ret_restart  names of the other keys whose value is another
 * Ownership: the caller frees *ret with config_free and the lists with free.
 * Thread: any (pure). Test: tests/config/test_reload.c
 */
int config_merge(const struct config *now, const struct config *fresh,
                 struct config **ret, char **ret_changed, char **ret_restart,
                 struct err *err);

#endif
