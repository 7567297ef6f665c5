#include "common/base/journal.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

bool journal_add(struct journal_entry *entry, const char *key, const char *value,
                 size_t limit)
{
    size_t k = strlen(key), v = value ? strnlen(value, limit) : 0;
    /* KEY, newline, 8 bytes of length, value, newline: the longer of the two forms */
    if (v == 0 || k + v + 10 > sizeof entry->bytes - entry->n) {
        return false;
    }
    char *at = entry->bytes + entry->n;
    memcpy(at, key, k);
    at += k;
    if (memchr(value, '\n', v)) {
        *at++ = '\n';
        for (int i = 0; i < 8; i++) {
            *at++ = (char)((uint64_t)v >> (8 * i) & 0xff);
        }
    } else {
        *at++ = '=';
    }
    memcpy(at, value, v);
    at[v] = '\n';
    entry->n = (size_t)(at - entry->bytes) + v + 1;
    return true;
}

bool journal_add_number(struct journal_entry *entry, const char *key, long value)
{
    char text[24];
    snprintf(text, sizeof text, "%ld", value);
    return journal_add(entry, key, text, sizeof text);
}

bool journal_is_stream(const char *journal_stream, int fd)
{
    struct stat st;
    char *end = NULL;
    if (!journal_stream || fstat(fd, &st)) {
        return false;
    }
    unsigned long long device = strtoull(journal_stream, &end, 10);
    if (end == journal_stream || *end != ':') {
        return false;
    }
    const char *second = end + 1;
    unsigned long long inode = strtoull(second, &end, 10);
    return end != second && *end == 0 && device == st.st_dev && inode == st.st_ino;
}

bool journal_send(int fd, const char *path, const struct journal_entry *entry)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n >= sizeof addr.sun_path) {
        return false;
    }
    memcpy(addr.sun_path, path, n + 1);
    return sendto(fd, entry->bytes, entry->n, MSG_NOSIGNAL | MSG_DONTWAIT,
                  (const struct sockaddr *)&addr, sizeof addr) == (ssize_t)entry->n;
}
