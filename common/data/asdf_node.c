#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "common/data/asdf_impl.h"

/* Reading a tree that has been built: children and scalars. */

size_t asdf_bytes(const struct asdf *a)
{
    return sizeof(*a) + a->n_bytes + a->chunk_bytes +
           a->n_blocks * sizeof(struct asdf_block);
}

const struct asdf_node *asdf_root(const struct asdf *a)
{
    return a->root;
}

/* The child of a name or index; of equal keys the last, as in the peer. */
static const struct asdf_node *child(const struct asdf_node *node, const char *name,
                                     size_t n)
{
    if (node->kind == ASDF_MAPPING) {
        for (size_t i = node->n; i-- > 0;) {
            if (strncmp(node->keys[i], name, n) == 0 && node->keys[i][n] == '\0') {
                return node->items[i];
            }
        }
    } else if (node->kind == ASDF_SEQUENCE && n > 0 && n < 10 &&
               strspn(name, "0123456789") >= n) {
        const size_t i = strtoul(name, NULL, 10);

        return i < node->n ? node->items[i] : NULL;
    }
    return NULL;
}

const struct asdf_node *asdf_get(const struct asdf_node *node, const char *path)
{
    while (node != NULL && *path != '\0') {
        const size_t n = strcspn(path, ".");

        node = child(node, path, n);
        path += n + (path[n] == '.');
    }
    return node;
}

size_t asdf_count(const struct asdf_node *node)
{
    return node == NULL ? 0 : node->n;
}

const struct asdf_node *asdf_item(const struct asdf_node *node, size_t i)
{
    return node != NULL && i < node->n ? node->items[i] : NULL;
}

bool asdf_is_mapping(const struct asdf_node *node)
{
    return node != NULL && node->kind == ASDF_MAPPING;
}

bool asdf_is_sequence(const struct asdf_node *node)
{
    return node != NULL && node->kind == ASDF_SEQUENCE;
}

const char *asdf_tag(const struct asdf_node *node)
{
    return node == NULL ? "" : node->tag;
}

const char *asdf_path(const struct asdf_node *node)
{
    return node == NULL ? "" : node->path;
}

bool asdf_tag_is(const struct asdf_node *node, const char *prefix, const char *name)
{
    const size_t n = strlen(prefix), m = strlen(name);

    if (strncmp(node->tag, prefix, n) != 0 || strncmp(node->tag + n, name, m) != 0 ||
        node->tag[n + m] != '-') {
        return false;
    }
    const char *version = node->tag + n + m + 1;

    return *version != '\0' && strspn(version, "0123456789.") == strlen(version);
}

/* The scalar itself, or that of a quantity. */
static const struct asdf_node *scalar(const struct asdf_node *node)
{
    if (node != NULL && asdf_tag_is(node, "tag:stsci.edu:asdf/unit/", "quantity")) {
        node = asdf_get(node, "value");
    }
    return node != NULL && node->kind == ASDF_SCALAR ? node : NULL;
}

bool asdf_string(const struct asdf_node *node, const char **ret)
{
    if (node == NULL || node->kind != ASDF_SCALAR || asdf_is_null(node)) {
        return false;
    }
    *ret = node->text;
    return true;
}

bool asdf_is_null(const struct asdf_node *node)
{
    return node != NULL && node->kind == ASDF_SCALAR && !node->quoted &&
           (node->text[0] == '\0' || strcmp(node->text, "~") == 0 ||
            strcmp(node->text, "null") == 0 || strcmp(node->text, "Null") == 0 ||
            strcmp(node->text, "NULL") == 0);
}

bool asdf_bool(const struct asdf_node *node, bool *ret)
{
    static const char yes[][5] = {"true", "yes", "on"},
                      no[][6] = {"false", "no", "off"};

    if (node == NULL || node->kind != ASDF_SCALAR || node->quoted) {
        return false;
    }
    for (int i = 0; i < 3; i++) {
        if (strcasecmp(node->text, yes[i]) == 0 || strcasecmp(node->text, no[i]) == 0) {
            *ret = strcasecmp(node->text, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

/* A number's text without the underscores that YAML allows. */
static bool digits(const struct asdf_node *node, char *to, size_t size)
{
    size_t n = 0;

    if (node == NULL || (node->quoted && node->tag[0] == '\0')) {
        return false;
    }
    for (const char *p = node->text; *p != '\0'; p++) {
        if (*p != '_' && n + 1 < size) {
            to[n++] = *p;
        } else if (*p != '_') {
            return false;
        }
    }
    to[n] = '\0';
    return n > 0 && strspn(to, "+-.") < n;
}

bool asdf_int(const struct asdf_node *node, long long *ret)
{
    char text[64], *end, *from = text;
    int base = 10;
    long long value;

    if (!digits(scalar(node), text, sizeof(text))) {
        return false;
    }
    from += *from == '-' || *from == '+';
    if (from[0] == '0' && from[1] != '\0') {
        base = from[1] == 'x' ? 16 : from[1] == 'b' || from[1] == 'o' ? 0 : 8;
        if (base == 0) {
            base = from[1] == 'b' ? 2 : 8;
            from += 2;
        }
    }
    if (*from < '0' || *from > '9') {
        return false;
    }
    errno = 0;
    value = strtoll(from, &end, base);
    if (*end != '\0' || errno != 0) {
        return false;
    }
    *ret = text[0] == '-' ? -value : value;
    return true;
}

bool asdf_real(const struct asdf_node *node, double *ret)
{
    const struct asdf_node *at = scalar(node);
    char text[128], *end;
    long long whole;
    double value;

    if (at == NULL) {
        return false;
    }
    if (!at->quoted) {
        const char *p = at->text + (*at->text == '-' || *at->text == '+');

        if (strcasecmp(p, ".inf") == 0) {
            *ret = *at->text == '-' ? -INFINITY : INFINITY;
            return true;
        }
        if (strcasecmp(p, ".nan") == 0) {
            *ret = NAN;
            return true;
        }
    }
    if (asdf_int(at, &whole)) {
        *ret = (double)whole;
        return true;
    }
    if (!digits(at, text, sizeof(text)) ||
        strspn(text, "0123456789+-.eE") != strlen(text)) {
        return false;
    }
    value = strtod(text, &end);
    if (*end != '\0') {
        return false;
    }
    *ret = value;
    return true;
}
