#ifndef IFUD_CLI_CTL_TEXT_H
#define IFUD_CLI_CTL_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/*
 * The daemon's answers as plain text that a tired operator can read. Pure but for
 * writing to `out`; keys that are missing print as nothing. Control characters in names
 * and messages are printed as '?'.
 * Thread: any. Test: tests/cli/test_ctl_text.c
 */
void ctl_print_status(FILE *out, const json_t *status); /* ctl_text_status.c */

void ctl_print_show(FILE *out, const json_t *job_or_exposure);
void ctl_print_why(FILE *out, const json_t *job);
void ctl_print_list(FILE *out, const json_t *jobs, bool names_only); /* the array */
void ctl_print_events(FILE *out, const json_t *events);              /* the array */
/* What a command changed; what drain, resume and rescan did; what the queue's care says. */
void ctl_print_moves(FILE *out, const json_t *answer);
void ctl_print_service(FILE *out, const char *command, const json_t *answer);
void ctl_print_proceed(FILE *out, const json_t *answer);
void ctl_print_care(FILE *out, const json_t *answer);

/* ctl_text_stale.c: what is stale, what is reduced again, and as of when that is known */
void ctl_print_stale(FILE *out, const json_t *answer, bool names_only);
void ctl_print_reduced(FILE *out, const json_t *answer);
void ctl_print_stale_since(FILE *out, const json_t *sum);

/* Seconds as "4.2 s", "3 min 5 s", "2 h 10 min", "5 d 3 h". */
void ctl_duration(double seconds, char ret[32]);
/* Bytes as "512 MB", "3.2 GB" (powers of 1024). */
void ctl_bytes(double bytes, char ret[32]);

/* Shared by the two files: members of an object, "" and 0 where there is none. */
const char *ctl_text(const json_t *o, const char *key);
double ctl_number(const json_t *o, const char *key);
long ctl_whole(const json_t *o, const char *key);
void ctl_print_safe(FILE *out, const char *s);
void ctl_stamp(double at, char ret[32]); /* "2026-01-31 12:00:00", UTC */
const char *ctl_plural(long n);          /* "" or "s" */

#endif
