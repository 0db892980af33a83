/*
 * Which statements are prepared on a connection: by serial, the least recently used goes first.
 */
#include "router/server/backend.h"

#include "base/mem.h"
#include "router/session/prepared.h"
#include "wire/femsg.h"

#include <stdlib.h>

/* A statement prepared on a connection. */
struct backend_statement {
    struct hmap_node node;
    struct list lru;
    uint32_t serial;
};

static struct backend_statement *backend_find_statement(const struct backend *b, uint32_t serial)
{
    struct hmap_node *node = hmap_first(&b->statements, serial * UINT64_C(0x9E3779B97F4A7C15));

    return node ? CONTAINER_OF(node, struct backend_statement, node) : NULL;
}

bool backend_has_statement(struct backend *b, uint32_t serial)
{
    struct backend_statement *st = backend_find_statement(b, serial);

    if (!st)
        return false;
    if (b->statement_lru.next != &st->lru) {
        list_remove(&st->lru);
        list_push_front(&b->statement_lru, &st->lru);
    }
    return true;
}

static void backend_drop_statement(struct backend *b, struct backend_statement *st)
{
    hmap_remove(&b->statements, &st->node);
    list_remove(&st->lru);
    b->nstatement--;
    free(st);
}

void backend_forget_statement(struct backend *b, uint32_t serial)
{
    struct backend_statement *st = backend_find_statement(b, serial);

    if (st)
        backend_drop_statement(b, st);
}

void backend_forget_statements(struct backend *b)
{
    struct hmap_node *node;

    while ((node = hmap_any(&b->statements)))
        backend_drop_statement(b, CONTAINER_OF(node, struct backend_statement, node));
}

uint32_t backend_add_statement(struct backend *b, uint32_t serial, uint32_t limit, struct strbuf *out)
{
    struct backend_statement *st = mem_zalloc(sizeof(*st));
    char name[PREPARED_NAME_MAX];
    uint32_t closed = 0;

    while (b->nstatement >= limit && !list_empty(&b->statement_lru)) {
        struct backend_statement *old = LIST_ENTRY(b->statement_lru.prev, struct backend_statement, lru);

        fe_put_close(out, 'S', prepared_server_name(old->serial, name));
        backend_drop_statement(b, old);
        closed++;
    }
    st->serial = serial;
    hmap_insert(&b->statements, &st->node, serial * UINT64_C(0x9E3779B97F4A7C15));
    list_push_front(&b->statement_lru, &st->lru);
    b->nstatement++;
    return closed;
}
