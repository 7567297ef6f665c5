#ifndef IFUD_CLI_CTL_TEXT_H
#define IFUD_CLI_CTL_TEXT_H

#include <jansson.h>
#include <stdio.h>

/*
 * The daemon's answers as plain text that a tired operator can read. Pure but for
 * writing to `out`; keys that are missing print as nothing. Control characters in names
 * and messages are printed as '?'.
 * Thread: any. Test: tests/cli/test_ctl_text.c
 */
void ctl_print_status(FILE *out, const json_t *status);
void ctl_print_show(FILE *out, const json_t *job);
void ctl_print_events(FILE *out, const json_t *events); /* the array */

/* Seconds as "4.2 s", "3 min 5 s", "2 h 10 min", "5 d 3 h". */
void ctl_duration(double seconds, char ret[32]);

#endif
