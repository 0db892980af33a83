#include "planner/figure.h"

#include <string.h>

/* A name, and how good it is: 2 one of the expression's own, 1 a type's or CASE, 0 none, -1 not known here. */
struct figured {
    const char *name;
    int strength;
};

static struct figured figure(const PgQuery__Node *n);

static struct figured last_name(size_t n, PgQuery__Node *const *names)
{
    for (; n > 0; n--)
        if (*tree_string(names[n - 1]))
            return (struct figured){ tree_string(names[n - 1]), 2 };
    return (struct figured){ NULL, 0 };
}

static struct figured figure_indirection(const PgQuery__AIndirection *x)
{
    struct figured own = last_name(x->n_indirection, x->indirection);
    return own.name ? own : figure(x->arg);
}

static struct figured figure_cast(const PgQuery__TypeCast *c)
{
    struct figured f = figure(c->arg);
    if (f.strength > 1 || f.strength < 0 || !c->type_name)
        return f;
    struct figured type = last_name(c->type_name->n_names, c->type_name->names);
    return type.name ? (struct figured){ type.name, 1 } : f;
}

static struct figured figure_case(const PgQuery__CaseExpr *c)
{
    struct figured f = figure(c->defresult);
    return f.strength > 1 || f.strength < 0 ? f : (struct figured){ "case", 1 };
}

static struct figured figure_sublink(const PgQuery__SubLink *s)
{
    if (s->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK)
        return (struct figured){ "exists", 2 };
    if (s->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK)
        return (struct figured){ "array", 2 };
    return (struct figured){ NULL, s->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK ? -1 : 0 };
}

static struct figured figure(const PgQuery__Node *n)
{
    if (!n)
        return (struct figured){ NULL, 0 };
    switch ((int)n->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return last_name(n->column_ref->n_fields, n->column_ref->fields);
    case PG_QUERY__NODE__NODE_A_INDIRECTION:
        return figure_indirection(n->a_indirection);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return last_name(n->func_call->n_funcname, n->func_call->funcname);
    case PG_QUERY__NODE__NODE_A_EXPR:
        if (n->a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF)
            return (struct figured){ "nullif", 2 };
        return (struct figured){ NULL, 0 };
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return figure_cast(n->type_cast);
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        return figure(n->collate_clause->arg);
    case PG_QUERY__NODE__NODE_GROUPING_FUNC:
        return (struct figured){ "grouping", 2 };
    case PG_QUERY__NODE__NODE_SUB_LINK:
        return figure_sublink(n->sub_link);
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        return figure_case(n->case_expr);
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
        return (struct figured){ "array", 2 };
    case PG_QUERY__NODE__NODE_ROW_EXPR:
        return (struct figured){ "row", 2 };
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return (struct figured){ "coalesce", 2 };
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        return (struct figured){ n->min_max_expr->op == PG_QUERY__MIN_MAX_OP__IS_LEAST ? "least" : "greatest", 2 };
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
    case PG_QUERY__NODE__NODE_XML_EXPR:
    case PG_QUERY__NODE__NODE_XML_SERIALIZE:
        return (struct figured){ NULL, -1 };
    default:
        return (struct figured){ NULL, 0 };
    }
}

const char *figure_name(const PgQuery__ResTarget *t)
{
    if (*tree_str(t->name))
        return t->name;
    struct figured f = figure(t->val);
    return f.name ? f.name : f.strength < 0 ? NULL : "?column?";
}
