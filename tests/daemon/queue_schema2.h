#ifndef IFUD_TESTS_DAEMON_QUEUE_SCHEMA2_H
#define IFUD_TESTS_DAEMON_QUEUE_SCHEMA2_H

/* A queue as ifud wrote it before jobs had companions: the rows of queue_schema1.h. */
void queue_schema2_write(const char *path);
/* And a dedicated background, which has no job; no group is to be looked at. */
void queue_schema2_add_background(const char *path);

#endif
