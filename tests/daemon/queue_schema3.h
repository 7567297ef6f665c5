#ifndef IFUD_TESTS_DAEMON_QUEUE_SCHEMA3_H
#define IFUD_TESTS_DAEMON_QUEUE_SCHEMA3_H

/* A queue as ifud wrote it before it knew associations: the rows of queue_schema1.h. */
void queue_schema3_write(const char *path);

#endif
