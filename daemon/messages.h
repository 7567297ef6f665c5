#ifndef IFUD_DAEMON_MESSAGES_H
#define IFUD_DAEMON_MESSAGES_H

#include <stddef.h>

/*
 * Kinds of events in the log, each with a name and the 128-bit id that the journal keeps
 * as MESSAGE_ID= (`journalctl MESSAGE_ID=...`). systemd/ifud.catalog explains each to
 * `journalctl -x`. An id never changes its meaning.
 * Thread: any (pure). Test: tests/daemon/test_messages.c
 */
enum message {
    MESSAGE_READY,
    MESSAGE_STOPPING,
    MESSAGE_STOPPED,
    MESSAGE_ABANDONED,
    MESSAGE_RELOADED,
    MESSAGE_RELOAD_REFUSED,
    MESSAGE_STALLED,
    MESSAGE_TROUBLE,
    MESSAGE_COMMAND,
    MESSAGE_EXPOSURE_ACCEPTED,
    MESSAGE_EXPOSURE_DUPLICATE,
    MESSAGE_FILE_REJECTED,
    MESSAGE_BACKGROUND_OFFERED,
    MESSAGE_JOB_PLANNED,
    MESSAGE_JOB_STARTED,
    MESSAGE_JOB_STAGE,
    MESSAGE_JOB_NOTE,
    MESSAGE_JOB_DONE,
    MESSAGE_JOB_QUEUED,
    MESSAGE_JOB_DEFERRED,
    MESSAGE_JOB_HELD,
    MESSAGE_JOB_CANCELLED,
    MESSAGE_JOB_SUSPECT,
    MESSAGE_JOB_QUARANTINED,
    MESSAGE_N
};

/* 32 hexadecimal digits. */
const char *message_id(enum message message);
/* Such as "job-done". */
const char *message_name(enum message message);
/* The id of what an attempt became, by the name of its state ("done", "held", ...);
 * NULL if there is none. */
const char *message_id_of_job(const char *state);

#endif
