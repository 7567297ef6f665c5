#ifndef IFUD_TESTS_DAEMON_QUEUE_SCHEMA1_H
#define IFUD_TESTS_DAEMON_QUEUE_SCHEMA1_H

/*
 * A queue as the first version of ifud wrote it: exposures a (superseded), a again and b
 * (accepted), an imprint; their spec2 done, queued, running; a waiting spec3; a duplicate
 * and a rejected file. Every failure ends the test.
 */
void queue_schema1_write(const char *path);

#endif
