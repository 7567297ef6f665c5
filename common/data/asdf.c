#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>
#include "common/base/mem.h"
#include "common/data/asdf_impl.h"

/*
 * The tree. libyaml gives events; nodes are built from them here, so that depth and
 * number are bounded while the text is read. An alias is the very node it names, never a
 * copy, and may not name a node that is still open: the tree has no cycles.
 */

#define CHUNK ((size_t)64 << 10)
#define PATH_MAX_SHOWN 400
#define YAML_OMAP "tag:yaml.org,2002:omap"

struct asdf_chunk {
    struct asdf_chunk *next;
    size_t used, size;
    max_align_t bytes[];
};

#define BUCKETS                                                                        \
    4096 /* of anchors, by a hash of their names: there may be as many aliases */

struct anchor {
    char *name;
    struct asdf_node *node; /* NULL while it is open */
    size_t next;            /* the one before in its bucket, from 1; 0: none */
};

struct reader {
    struct asdf *a;
    yaml_parser_t parser;
    struct anchor *anchors;
    size_t n_anchors, cap_anchors, n_nodes;
    size_t buckets[BUCKETS]; /* the last anchor of each, from 1; 0: none */
    struct err *err;
};

static void *take(struct asdf *a, size_t n, struct err *err)
{
    const size_t unit = sizeof(max_align_t);

    n = (n + unit - 1) / unit * unit;
    if (a->chunks == NULL || a->chunks->size - a->chunks->used < n) {
        const size_t size = n > CHUNK ? n : CHUNK;
        struct asdf_chunk *c = mem_alloc(1, sizeof(*c) + size, err);

        if (c == NULL) {
            return NULL;
        }
        c->next = a->chunks;
        c->used = 0;
        c->size = size;
        a->chunks = c;
        a->chunk_bytes += size;
    }
    void *p = (char *)a->chunks->bytes + a->chunks->used;

    a->chunks->used += n;
    return p;
}

static const char *keep(struct asdf *a, const char *s, size_t n, struct err *err)
{
    char *p = take(a, n + 1, err);

    if (p != NULL) {
        memcpy(p, s, n);
        p[n] = '\0';
    }
    return p;
}

int asdf_error(const struct asdf_node *node, struct err *err, const char *fmt, ...)
{
    char text[700];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return err_set(err, ERR_REFERENCE, "%s: %s: %s", node->file->name,
                   node->path[0] != '\0' ? node->path : "top of the tree", text);
}

static int yaml_error(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;

    if (p->error == YAML_MEMORY_ERROR) {
        return err_set(r->err, ERR_NOMEM, "%s: no memory to read the tree", r->a->name);
    }
    return err_set(r->err, ERR_REFERENCE, "%s: line %zu: not YAML: %s", r->a->name,
                   p->problem_mark.line + 1, p->problem ? p->problem : "unknown");
}

static int tree_error(struct reader *r, const yaml_event_t *e, const char *what)
{
    return err_set(r->err, ERR_REFERENCE, "%s: line %zu: %s", r->a->name,
                   e->start_mark.line + 1, what);
}

static size_t bucket_of(const char *name)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (; *name != '\0'; name++) {
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    }
    return hash % BUCKETS;
}

/* The last one of this name. */
static struct anchor *anchor_find(struct reader *r, const char *name)
{
    for (size_t i = r->buckets[bucket_of(name)]; i > 0; i = r->anchors[i - 1].next) {
        if (strcmp(r->anchors[i - 1].name, name) == 0) {
            return &r->anchors[i - 1];
        }
    }
    return NULL;
}

/* Open an anchor; *ret_index is where it stands. */
static int anchor_open(struct reader *r, const yaml_event_t *e, const char *name,
                       size_t *ret_index)
{
    if (r->n_anchors >= ASDF_MAX_ANCHORS) {
        return tree_error(r, e, "too many anchors for a reference file");
    }
    if (r->n_anchors == r->cap_anchors) {
        const size_t cap = r->cap_anchors == 0 ? 64 : 2 * r->cap_anchors;
        struct anchor *more = mem_realloc(r->anchors, cap, sizeof(*more), r->err);

        if (more == NULL) {
            return ERR_NOMEM;
        }
        r->anchors = more;
        r->cap_anchors = cap;
    }
    char *copy = mem_strdup(name, r->err);

    if (copy == NULL) {
        return ERR_NOMEM;
    }
    *ret_index = r->n_anchors;
    size_t *bucket = &r->buckets[bucket_of(name)];

    r->anchors[r->n_anchors++] = (struct anchor){copy, NULL, *bucket};
    *bucket = r->n_anchors;
    return 0;
}

/* "parent.key"; NULL on failure. */
static const char *join(struct reader *r, const char *parent, const char *key)
{
    const size_t n = strlen(parent), m = strlen(key);
    char *p;

    if (n + m + 1 > PATH_MAX_SHOWN) {
        return parent;
    }
    p = take(r->a, n + m + 2, r->err);
    if (p != NULL) {
        snprintf(p, n + m + 2, "%s%s%s", parent, n > 0 ? "." : "", key);
    }
    return p;
}

static int node_read(struct reader *r, const yaml_event_t *e, const char *path,
                     int depth, const struct asdf_node **ret);

/* What a sequence or mapping holds, while it is read. */
struct items {
    const struct asdf_node **items;
    const char **keys; /* of a mapping */
    size_t n, room;
};

static int items_make_room(struct reader *r, struct items *x, bool mapping)
{
    if (x->n < x->room) {
        return 0;
    }
    const size_t room = x->room == 0 ? 8 : 2 * x->room;
    const struct asdf_node **more = mem_realloc(x->items, room, sizeof(*more), r->err);
    x->items = more != NULL ? more : x->items;
    if (more != NULL && mapping) {
        const char **keys = mem_realloc(x->keys, room, sizeof(*keys), r->err);
        x->keys = keys != NULL ? keys : x->keys;
        more = keys != NULL ? more : NULL;
    }
    x->room = more != NULL ? room : x->room;
    return more != NULL ? 0 : ERR_NOMEM;
}

/* Into the node. */
static int items_keep(struct reader *r, const struct items *x, struct asdf_node *node)
{
    const bool mapping = node->kind == ASDF_MAPPING;

    if (x->n == 0) {
        return 0;
    }
    node->items = take(r->a, x->n * sizeof(*x->items), r->err);
    node->keys = mapping ? take(r->a, x->n * sizeof(*x->keys), r->err) : NULL;
    if (node->items == NULL || (mapping && node->keys == NULL)) {
        return ERR_NOMEM;
    }
    memcpy(node->items, x->items, x->n * sizeof(*x->items));
    if (mapping) {
        memcpy(node->keys, x->keys, x->n * sizeof(*x->keys));
    }
    node->n = x->n;
    return 0;
}

/* The items of a sequence or mapping, up to its end event. */
static int items_read(struct reader *r, struct asdf_node *node, int depth)
{
    const bool mapping = node->kind == ASDF_MAPPING;
    struct items x = {0};
    int rc = 0;

    while (rc == 0) {
        const char *path = node->path;
        yaml_event_t e;
        char index[24];
        bool open = true; /* e is to be deleted */

        if (!yaml_parser_parse(&r->parser, &e)) {
            rc = yaml_error(r);
            break;
        }
        if (e.type == YAML_SEQUENCE_END_EVENT || e.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&e);
            break;
        }
        rc = items_make_room(r, &x, mapping);
        if (rc == 0 && mapping) {
            if (e.type != YAML_SCALAR_EVENT) {
                rc = tree_error(r, &e, "a key of a mapping must be a plain word");
            } else {
                x.keys[x.n] = keep(r->a, (const char *)e.data.scalar.value,
                                   e.data.scalar.length, r->err);
                path = x.keys[x.n] != NULL ? join(r, node->path, x.keys[x.n]) : NULL;
                rc = path == NULL ? ERR_NOMEM : 0;
            }
            yaml_event_delete(&e);
            open = rc == 0 && yaml_parser_parse(&r->parser, &e);
            rc = rc == 0 && !open ? yaml_error(r) : rc;
        } else if (rc == 0 && e.type != YAML_SCALAR_EVENT) {
            /* numbers in a list share its path: arrays may be long */
            snprintf(index, sizeof(index), "%zu", x.n);
            path = join(r, node->path, index);
            rc = path == NULL ? ERR_NOMEM : 0;
        }
        if (rc == 0) {
            rc = node_read(r, &e, path, depth + 1, &x.items[x.n]);
            x.n += rc == 0;
        }
        if (open) {
            yaml_event_delete(&e);
        }
    }
    rc = rc != 0 ? rc : items_keep(r, &x, node);
    free(x.items);
    free(x.keys);
    return rc;
}

/* An ordered mapping is written as a sequence of mappings of one key each. */
static int omap_read(struct reader *r, struct asdf_node *node)
{
    if (node->kind != ASDF_SEQUENCE || strcmp(node->tag, YAML_OMAP) != 0) {
        return 0;
    }
    for (size_t i = 0; i < node->n; i++) {
        if (node->items[i]->kind != ASDF_MAPPING || node->items[i]->n != 1) {
            return asdf_error(node, r->err,
                              "item %zu of an ordered mapping is not a pair", i);
        }
    }
    node->keys = take(r->a, node->n * sizeof(*node->keys), r->err);
    if (node->keys == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < node->n; i++) {
        node->keys[i] = node->items[i]->keys[0];
        node->items[i] = node->items[i]->items[0];
    }
    node->kind = ASDF_MAPPING;
    return 0;
}

static int alias_read(struct reader *r, const yaml_event_t *e,
                      const struct asdf_node **ret)
{
    const struct anchor *x = anchor_find(r, (const char *)e->data.alias.anchor);

    if (x == NULL || x->node == NULL) {
        return tree_error(r, e,
                          x == NULL ? "an alias names no anchor"
                                    : "an alias names a node that contains it");
    }
    x->node->shared = true;
    *ret = x->node;
    return 0;
}

static int node_read(struct reader *r, const yaml_event_t *e, const char *path,
                     int depth, const struct asdf_node **ret)
{
    const char *anchor = NULL, *tag = NULL;
    struct asdf_node *node;
    size_t at = 0;
    int rc = 0;

    if (e->type == YAML_ALIAS_EVENT) {
        return alias_read(r, e, ret);
    }
    if (++r->n_nodes > ASDF_MAX_NODES || depth > ASDF_MAX_DEPTH) {
        return tree_error(r, e,
                          depth > ASDF_MAX_DEPTH
                              ? "nested more deeply than any reference file"
                              : "more nodes than any reference file has");
    }
    node = take(r->a, sizeof(*node), r->err);
    if (node == NULL) {
        return ERR_NOMEM;
    }
    *node = (struct asdf_node){.file = r->a, .tag = "", .path = path};
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        node->kind = ASDF_SCALAR;
        node->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        node->text = keep(r->a, (const char *)e->data.scalar.value,
                          e->data.scalar.length, r->err);
        rc = node->text == NULL ? ERR_NOMEM : 0;
        anchor = (const char *)e->data.scalar.anchor;
        tag = (const char *)e->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        node->kind = ASDF_SEQUENCE;
        anchor = (const char *)e->data.sequence_start.anchor;
        tag = (const char *)e->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        node->kind = ASDF_MAPPING;
        anchor = (const char *)e->data.mapping_start.anchor;
        tag = (const char *)e->data.mapping_start.tag;
        break;
    default:
        return tree_error(r, e, "the tree ends too early");
    }
    if (rc == 0 && tag != NULL) {
        node->tag = keep(r->a, tag, strlen(tag), r->err);
        rc = node->tag == NULL ? ERR_NOMEM : 0;
    }
    if (rc == 0 && anchor != NULL) {
        rc = anchor_open(r, e, anchor, &at);
    }
    if (rc == 0 && node->kind != ASDF_SCALAR) {
        rc = items_read(r, node, depth);
        rc = rc != 0 ? rc : omap_read(r, node);
    }
    if (rc == 0) {
        if (anchor != NULL) {
            r->anchors[at].node = node;
        }
        *ret = node;
    }
    return rc;
}

/* The first node of the first document. */
static int tree_read(struct asdf *a, size_t n, struct err *err)
{
    struct reader r = {.a = a, .err = err};
    bool at_node = false;
    int rc = 0;

    if (!yaml_parser_initialize(&r.parser)) {
        return err_set(err, ERR_NOMEM, "%s: no memory to read the tree", a->name);
    }
    yaml_parser_set_input_string(&r.parser, a->bytes, n);
    while (rc == 0 && !at_node) {
        yaml_event_t e;

        if (!yaml_parser_parse(&r.parser, &e)) {
            rc = yaml_error(&r);
            break;
        }
        if (e.type == YAML_STREAM_END_EVENT) {
            rc = err_set(err, ERR_REFERENCE, "%s: no YAML tree", a->name);
        } else if (e.type != YAML_STREAM_START_EVENT &&
                   e.type != YAML_DOCUMENT_START_EVENT) {
            at_node = true;
            rc = node_read(&r, &e, "", 0, &a->root);
        }
        yaml_event_delete(&e);
    }
    for (size_t i = 0; i < r.n_anchors; i++) {
        free(r.anchors[i].name);
    }
    free(r.anchors);
    yaml_parser_delete(&r.parser);
    return rc;
}

/* The whole file into a->bytes. */
static int file_read(struct asdf *a, struct err *err)
{
    int fd = open(a->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    size_t got = 0;
    int rc = 0;

    if (fd < 0 || fstat(fd, &st) != 0) {
        rc = err_set(err, errno == ENOENT ? ERR_REFERENCE : ERR_IO, "%s: %s", a->name,
                     strerror(errno));
    } else if (!S_ISREG(st.st_mode) || (size_t)st.st_size > ASDF_MAX_FILE) {
        rc = err_set(err, ERR_REFERENCE, "%s: %s", a->name,
                     S_ISREG(st.st_mode) ? "larger than any reference file"
                                         : "not a regular file");
    } else if (!(a->bytes = mem_alloc((size_t)st.st_size + 1, 1, err))) {
        rc = ERR_NOMEM;
    }
    while (rc == 0 && got < (size_t)st.st_size) {
        ssize_t n = read(fd, a->bytes + got, (size_t)st.st_size - got);

        if (n < 0 && errno != EINTR) {
            rc = err_set(err, ERR_IO, "%s: %s", a->name, strerror(errno));
        } else if (n == 0) {
            break; /* shorter than a moment ago: what is there counts */
        } else {
            got += n > 0 ? (size_t)n : 0;
        }
    }
    a->n_bytes = got;
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

/* Where the tree ends: after a line "..."; 0 if there is none. */
static size_t tree_end(const unsigned char *p, size_t n)
{
    const unsigned char *at = p;

    while ((at = memmem(at, n - (size_t)(at - p), "\n...", 4)) != NULL) {
        const size_t end = (size_t)(at - p) + 4;

        if (end == n || p[end] == '\n') {
            return end < n ? end + 1 : end;
        }
        if (p[end] == '\r' && end + 1 < n && p[end + 1] == '\n') {
            return end + 2;
        }
        at++;
    }
    return 0;
}

/* The tree and the blocks of what is in a->bytes; takes over a. */
static int parse(struct asdf *a, struct asdf **ret, struct err *err)
{
    size_t end = 0;
    int rc = 0;

    if (a->n_bytes < 6 || memcmp(a->bytes, "#ASDF ", 6) != 0) {
        rc = err_set(err, ERR_REFERENCE,
                     "%s: not an ASDF file: it does not begin with "
                     "#ASDF",
                     a->name);
    }
    if (rc == 0 && (end = tree_end(a->bytes, a->n_bytes)) == 0) {
        rc = err_set(err, ERR_REFERENCE,
                     "%s: the YAML tree has no end (a line of three dots): truncated",
                     a->name);
    }
    rc = rc != 0 ? rc : tree_read(a, end, err);
    rc = rc != 0 ? rc : asdf_blocks_find(a, end, err);
    if (rc != 0) {
        asdf_free(a);
        return rc;
    }
    *ret = a;
    return 0;
}

static struct asdf *named(const char *name, struct err *err)
{
    struct asdf *a = mem_calloc(1, sizeof(*a), err);

    if (a != NULL && !(a->name = mem_strdup(name, err))) {
        asdf_free(a);
        a = NULL;
    }
    return a;
}

int asdf_read(const char *path, struct asdf **ret, struct err *err)
{
    struct asdf *a = named(path, err);
    int rc = a == NULL ? ERR_NOMEM : file_read(a, err);

    if (rc != 0) {
        asdf_free(a);
        return rc;
    }
    return parse(a, ret, err);
}

int asdf_read_bytes(const char *name, unsigned char *bytes, size_t n, struct asdf **ret,
                    struct err *err)
{
    struct asdf *a = named(name, err);

    if (a == NULL) {
        free(bytes);
        return ERR_NOMEM;
    }
    a->bytes = bytes;
    a->n_bytes = n;
    return parse(a, ret, err);
}

void asdf_free(struct asdf *a)
{
    if (a != NULL) {
        while (a->chunks != NULL) {
            struct asdf_chunk *next = a->chunks->next;

            free(a->chunks);
            a->chunks = next;
        }
        free(a->blocks);
        free(a->bytes);
        free(a->name);
        free(a);
    }
}
