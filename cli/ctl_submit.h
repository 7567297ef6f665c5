#ifndef IFUD_CLI_CTL_SUBMIT_H
#define IFUD_CLI_CTL_SUBMIT_H

#include "common/base/err.h"

/*
 * Copy a file into the inbox so that the daemon sees it whole: under a hidden name
 * first, fsynced, then renamed. A name that is there already is ERR_IO.
 * Thread: any. Test: tests/e2e/test_daemon.c
 */
int ctl_submit(const char *file, const char *inbox, struct err *err);

#endif
