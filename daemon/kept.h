#ifndef IFUD_DAEMON_KEPT_H
#define IFUD_DAEMON_KEPT_H

#include <stdbool.h>
#include "common/base/err.h"
#include "daemon/queue.h"

/*
 * What a version has published stays when the next one takes its names: as
 * <folder of products>/superseded/<job>/<name>, another name of the same file, so that it
 * takes no room before the next version is there. The rows of the old job follow once the
 * new one is done; retention removes it with the job.
 *
 * A death between the two leaves the second name, which is found to be there already.
 * Thread: the queue's. Test: tests/daemon/test_kept.c
 */

/* Before a job runs: give what lies under the names of its older versions a second name.
 * A file that is gone, or a file system without links (a line in the log), is no failure;
 * ERR_IO is: the job waits and nothing is lost. */
int kept_link(struct queue *q, const struct queue_job *job, struct err *err);

/* It is done, and its products are recorded: those of older versions whose names it has
 * taken are found under their second name. In the same transaction. */
int kept_record(struct queue *q, const struct queue_job *job, struct err *err);

/* Where a product of a job is to be found once its newer version has run: under its second
 * name if it has one, else `path`. The caller frees. */
char *kept_path(const char *path, const char *job, struct err *err);

/* Does the path lie in such a folder? */
bool kept_is(const char *path);

/* Remove the folder in which a kept product lies, with all in it; adds to *bytes. What
 * refuses is left there with a line in the log. dry_run: only counts. */
void kept_remove(const char *path, bool dry_run, long long *bytes);

#endif
