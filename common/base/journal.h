#ifndef IFUD_BASE_JOURNAL_H
#define IFUD_BASE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The native protocol of systemd's journal: one datagram per event, one field per line,
 * KEY=value, or where the value has a newline KEY, its length as 8 bytes little endian,
 * and the bytes.
 * Reference: systemd, "Native Journal Protocol". Thread: any; a struct journal_entry
 * belongs to one thread. Test: tests/base/test_log.c
 */

#define JOURNAL_ROOM 8192

struct journal_entry {
    size_t n;
    char bytes[JOURNAL_ROOM];
};

/* Add KEY=value, at most `limit` bytes of the value. false, and nothing is added, if there
 * is no room left or the value is NULL or "". */
bool journal_add(struct journal_entry *entry, const char *key, const char *value,
                 size_t limit);
/* The same with a number. */
bool journal_add_number(struct journal_entry *entry, const char *key, long value);

/* Is this descriptor the stream that $JOURNAL_STREAM names (device:inode, decimal)? */
bool journal_is_stream(const char *journal_stream, int fd);

/* Send to the socket at path over a datagram socket of ours; false if that fails. Waits
 * for nothing. */
bool journal_send(int fd, const char *path, const struct journal_entry *entry);

#endif
