#ifndef IFUD_DATA_CRDS_LITERAL_H
#define IFUD_DATA_CRDS_LITERAL_H

#include <stddef.h>
#include "common/base/err.h"

/*
 * The text of a CRDS mapping (.pmap, .imap, .rmap): assignments of Python literals and of
 * selectors, `header = {...}`, `selector = Match({...})`, `comment = """..."""`. Nothing is
 * executed: names, calls and values are read as they stand, within bounds of size, depth
 * and number of values.
 * Ownership: crds_node_done frees what a node holds. Thread: any.
 * Test: tests/data/test_crds.c, tests/fuzz/fuzz_crds.c
 */

enum crds_kind {
    CRDS_NONE,
    CRDS_BOOL,   /* text "True" or "False" */
    CRDS_NUMBER, /* text as written */
    CRDS_STRING, /* text: its value; without zero bytes */
    CRDS_TUPLE,  /* also a list: items */
    CRDS_DICT,   /* items: key, value, key, value, ...; n counts both */
    CRDS_CALL    /* text: its name; items: one argument */
};

struct crds_node {
    enum crds_kind kind;
    char *text; /* NULL where the kind has none */
    struct crds_node *items;
    size_t n;
};

struct crds_mapping {
    struct crds_node header, selector; /* DICT; DICT or CALL */
    char sha1[41]; /* of the text without the lines that contain "sha1sum" */
};

/* Read a mapping's text. name: for messages. ERR_REFERENCE names the line. */
int crds_mapping_parse(const char *text, size_t n, const char *name,
                       struct crds_mapping *ret, struct err *err);
void crds_mapping_done(struct crds_mapping *m);

/* Read one literal that fills the whole text (config/jwst/server_config of a cache). */
int crds_literal_parse(const char *text, size_t n, const char *name,
                       struct crds_node *ret, struct err *err);
void crds_node_done(struct crds_node *node);

/* The value of a string key, the last if there are several, or NULL. */
const struct crds_node *crds_dict_get(const struct crds_node *dict, const char *key);

/* The same if it is a string, else NULL. */
const char *crds_dict_string(const struct crds_node *dict, const char *key);

#endif
