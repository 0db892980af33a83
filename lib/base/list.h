/*
 * Intrusive doubly linked list. The head is a node too; an unlinked node points to itself or is zeroed.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/bug.h"

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev, *next;
};

static inline void list_init(struct list *head)
{
    head->prev = head->next = head;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline bool list_linked(const struct list *node)
{
    return node->next && node->next != node;
}

static inline void list_insert(struct list *prev, struct list *node)
{
    node->prev = prev;
    node->next = prev->next;
    prev->next->prev = node;
    prev->next = node;
}

static inline void list_push_front(struct list *head, struct list *node)
{
    list_insert(head, node);
}

static inline void list_push_back(struct list *head, struct list *node)
{
    list_insert(head->prev, node);
}

/* Unlink; harmless on an unlinked node. */
static inline void list_remove(struct list *node)
{
    if (!node->next)
        return;
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

static inline struct list *list_first(const struct list *head)
{
    return list_empty(head) ? NULL : head->next;
}

#define LIST_ENTRY(node, type, member) CONTAINER_OF(node, type, member)

/* Safe against removal of the current node. */
#define LIST_FOREACH(node, head)                                                                                       \
    for (struct list *node = (head)->next, *node##_next = node->next; node != (head);                                  \
         node = node##_next, node##_next = node->next)

#endif
