#include "planner/same.h"

#include <string.h>

enum { MAX_LITERALS = 32 };

/* An expression as text with its columns by number and a mark for each literal. */
struct printed {
    struct an *an;
    const struct scope *s;
    struct strbuf sb;
    uint32_t literals[MAX_LITERALS];
    uint32_t n;
    bool no; /* it cannot be compared */
};

static void print_message(struct printed *p, const ProtobufCMessage *m);

static void print_scalar(struct printed *p, const ProtobufCFieldDescriptor *f, const char *at)
{
    uint64_t wide = 0;
    uint32_t narrow;
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING: {
        char *text;
        memcpy(&text, at, sizeof text);
        strbuf_printf(&p->sb, "%zu:%s,", strlen(tree_str(text)), tree_str(text));
        return;
    }
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_DOUBLE:
        memcpy(&wide, at, sizeof wide);
        break;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_BOOL:
        memcpy(&narrow, at, sizeof narrow);
        wide = narrow;
        break;
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        p->no = true; /* not in PostgreSQL's tree */
        return;
    }
    strbuf_printf(&p->sb, "%llu,", (unsigned long long)wide);
}

/* A minus sign is part of the number's node: it is told by the mark. */
static bool print_literal(struct printed *p, const PgQuery__AConst *c)
{
    uint32_t i;
    bool negate = false;
    if (c->isnull || c->val_case == PG_QUERY__A__CONST__VAL_BOOLVAL)
        return false;
    bool number = c->val_case == PG_QUERY__A__CONST__VAL_IVAL || c->val_case == PG_QUERY__A__CONST__VAL_FVAL;
    if (p->n == MAX_LITERALS || !(number ? literal_number_at(p->an->in->sql, p->an->in->lits, c->location, &i, &negate)
                                         : literal_at(p->an->in->lits, c->location, &i))) {
        p->no = true;
        return true;
    }
    p->literals[p->n++] = i;
    strbuf_printf(&p->sb, "#%d%s,", (int)c->val_case, negate ? "-" : "");
    return true;
}

static bool print_column(struct printed *p, const PgQuery__ColumnRef *ref)
{
    bool found;
    int v = scope_resolve(p->s, ref, &found);
    if (!found || v == NO_COLUMN || p->an->vars[v].mixed)
        return false;
    strbuf_printf(&p->sb, "@%d,", v);
    return true;
}

static void print_field(struct printed *p, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    const char *base = (const char *)m, *at = base + f->offset;
    if (strcmp(f->name, "location") == 0)
        return;
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) { /* a node has hundreds of these, and one that counts */
        uint32_t chosen;
        memcpy(&chosen, base + f->quantifier_offset, sizeof chosen);
        if (chosen != f->id)
            return;
    }
    strbuf_printf(&p->sb, "%u=", f->id);
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t n;
        ProtobufCMessage **v;
        memcpy(&n, base + f->quantifier_offset, sizeof n);
        memcpy(&v, at, sizeof v);
        p->no |= n > 0 && f->type != PROTOBUF_C_TYPE_MESSAGE;
        for (size_t i = 0; i < n && !p->no; i++)
            print_message(p, v[i]);
        return;
    }
    if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
        ProtobufCMessage *child;
        memcpy(&child, at, sizeof child);
        if (child)
            print_message(p, child);
        return;
    }
    print_scalar(p, f, at);
}

static void print_message(struct printed *p, const ProtobufCMessage *m)
{
    const void *v = m;
    if (m->descriptor == &pg_query__a__const__descriptor && print_literal(p, v))
        return;
    if (m->descriptor == &pg_query__column_ref__descriptor && print_column(p, v))
        return;
    strbuf_printf(&p->sb, "%s(", m->descriptor->short_name);
    for (unsigned i = 0; i < m->descriptor->n_fields && !p->no; i++)
        print_field(p, m, &m->descriptor->fields[i]);
    strbuf_putc(&p->sb, ')');
}

static struct span literal_of(const struct an *an, uint32_t i)
{
    return span_make(an->in->sql.ptr + an->in->lits->v[i].off, an->in->lits->v[i].len);
}

bool same_expression(struct an *an, const struct scope *s, const PgQuery__Node *a, const PgQuery__Node *b)
{
    struct printed pa = { .an = an, .s = s }, pb = { .an = an, .s = s };
    const ProtobufCMessage *ma = tree_message(a), *mb = tree_message(b);
    bool same = ma && mb;
    if (same) {
        print_message(&pa, ma);
        print_message(&pb, mb);
        same = !pa.no && !pb.no && pa.n == pb.n && span_eq(strbuf_span(&pa.sb), strbuf_span(&pb.sb));
    }
    for (uint32_t i = 0; same && i < pa.n; i++) {
        if (pa.literals[i] != pb.literals[i])
            depend_on_pair(an, pa.literals[i], pb.literals[i]);
        same = span_eq(literal_of(an, pa.literals[i]), literal_of(an, pb.literals[i]));
    }
    strbuf_fini(&pa.sb);
    strbuf_fini(&pb.sb);
    return same;
}
