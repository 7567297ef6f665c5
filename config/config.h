#ifndef IFUD_CONFIG_CONFIG_H
#define IFUD_CONFIG_CONFIG_H

#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"
#include "common/base/params.h"

/*
 * The daemon's configuration: one JSON object in one file, described by one table
 * (config_table) with name, type, bounds, default, unit and doc. The parser,
 * `ifud --check-config`, `--print-config` and the help all come from it.
 *
 * Keys that are live count as soon as the file is read again (config/reload.h), the
 * others from the next start. Files are at most 1 MiB, lists at most 1000 items.
 *
 * Values are JSON strings, numbers, booleans or null (none). Rows of unit
 * CONFIG_STRINGS take an array of strings; they are kept as one text, one per line.
 *
 * Ownership: config_free releases everything; strings read from `values` are borrowed.
 * Thread: immutable once read. Test: tests/config/test_config.c
 */

#define CONFIG_STRINGS "strings"
#define CONFIG_MAX_OBSERVATIONS 20 /* of one of observation_lists */

struct config {
    char *path; /* of the file, for messages */
    struct params *values;
};

extern const struct param config_table[];
extern const size_t config_table_n;

/* Does a changed value count as soon as the file is read again? */
bool config_is_live(const char *name);

/*
 * Read and check a file. ERR_PARAM names the file and the key, and for an unknown key
 * the nearest known one; ERR_IO if it cannot be read.
 */
int config_read(const char *path, struct config **ret, struct err *err);

/* The same from text; name stands for the file in messages. */
int config_parse(const char *json, const char *name, struct config **ret,
                 struct err *err);
void config_free(struct config *config); /* NULL is fine */

/*
 * Strings of a CONFIG_STRINGS value: a new NULL-terminated array in one allocation
 * (free with one free()); *ret_n may be NULL. NULL on failure (ERR_NOMEM).
 */
char **config_strings(const struct config *config, const char *name, size_t *ret_n,
                      struct err *err);

/*
 * Workers, and inner threads of each, so that workers x threads <= cores: the workers are
 * lowered to the cores, then the threads to what each worker's share is (0: that share).
 */
int config_workers(const struct config *config, int cores);
int config_inner_threads(const struct config *config, int cores);

/*
 * The number of the group `socket_group`, -1 if it is none. ERR_PARAM if this machine has
 * no such group; config_read has checked it.
 */
int config_socket_group(const struct config *config, int64_t *ret, struct err *err);

/* Every key with its value, as JSON that config_read takes back. The caller frees. */
char *config_to_json(const struct config *config, struct err *err);

/* The table as text: name, default, bounds, unit, doc. The caller frees. */
char *config_help(struct err *err);

#endif
