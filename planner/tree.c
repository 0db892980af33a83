#include "planner/tree.h"

#include <string.h>

/* A Node's one member is its only field that is set, so the wrapper costs one level and no case. */
static void each_message(const ProtobufCMessage *m, void (*fn)(const ProtobufCMessage *child, void *arg), void *arg)
{
    if (m->descriptor == &pg_query__node__descriptor) {
        const ProtobufCMessage *inner = tree_message((const PgQuery__Node *)(const void *)m);
        if (inner)
            fn(inner, arg);
        return;
    }
    fn(m, arg);
}

const ProtobufCMessage *tree_message(const PgQuery__Node *n)
{
    if (!n || n->node_case == PG_QUERY__NODE__NODE__NOT_SET)
        return NULL;
    return (const ProtobufCMessage *)(const void *)n->alias; /* any member of the union: all are message pointers */
}

void tree_children(const ProtobufCMessage *m, void (*fn)(const ProtobufCMessage *child, void *arg), void *arg)
{
    const char *base = (const char *)m;
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        if (f->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t n;
            ProtobufCMessage **v;
            memcpy(&n, base + f->quantifier_offset, sizeof n);
            memcpy(&v, base + f->offset, sizeof v);
            for (size_t k = 0; k < n; k++)
                if (v[k])
                    each_message(v[k], fn, arg);
            continue;
        }
        if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
            uint32_t chosen;
            memcpy(&chosen, base + f->quantifier_offset, sizeof chosen);
            if (chosen != f->id)
                continue;
        }
        ProtobufCMessage *child;
        memcpy(&child, base + f->offset, sizeof child);
        if (child)
            each_message(child, fn, arg);
    }
}

static bool ends_in_star(size_t n, PgQuery__Node *const *names)
{
    return n > 0 && names[n - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
}

bool tree_is_star(const PgQuery__Node *n)
{
    if (n && n->node_case == PG_QUERY__NODE__NODE_COLUMN_REF)
        return ends_in_star(n->column_ref->n_fields, n->column_ref->fields);
    return n && n->node_case == PG_QUERY__NODE__NODE_A_INDIRECTION &&
           ends_in_star(n->a_indirection->n_indirection, n->a_indirection->indirection);
}

bool tree_has_star(size_t n, PgQuery__Node *const *list)
{
    for (size_t i = 0; i < n; i++)
        if (tree_is_star(list[i]))
            return true;
    return false;
}

const char *tree_string(const PgQuery__Node *n)
{
    return n && n->node_case == PG_QUERY__NODE__NODE_STRING ? tree_str(n->string->sval) : "";
}

const char *tree_name(size_t n, PgQuery__Node *const *names, const char **schema)
{
    *schema = n > 1 ? tree_string(names[n - 2]) : "";
    return n > 0 ? tree_string(names[n - 1]) : "";
}

bool tree_name_is(size_t n, PgQuery__Node *const *names, const char *name)
{
    if (n == 0 || n > 2 || strcmp(tree_string(names[n - 1]), name) != 0)
        return false;
    return n == 1 || strcmp(tree_string(names[0]), "pg_catalog") == 0;
}

const PgQuery__Node *tree_assigned(const PgQuery__ResTarget *t)
{
    const PgQuery__MultiAssignRef *m;
    if (!t->val || t->val->node_case != PG_QUERY__NODE__NODE_MULTI_ASSIGN_REF)
        return t->val;
    m = t->val->multi_assign_ref;
    if (m->source && m->source->node_case == PG_QUERY__NODE__NODE_ROW_EXPR && m->colno >= 1 &&
        (size_t)m->colno <= m->source->row_expr->n_args)
        return m->source->row_expr->args[m->colno - 1];
    return t->val;
}
