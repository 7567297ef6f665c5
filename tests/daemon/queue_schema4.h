#ifndef IFUD_TESTS_DAEMON_QUEUE_SCHEMA4_H
#define IFUD_TESTS_DAEMON_QUEUE_SCHEMA4_H

/* A queue as ifud wrote it before it knew what is stale: the rows of queue_schema1.h. */
void queue_schema4_write(const char *path);

#endif
