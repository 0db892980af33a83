/*
 * A plan in words, for SHOW ROUTE and the golden tests:
 *
 *   query keyed concat rows [flags]
 *   reason: ...
 *   class: key in ($1) & key in ('a', 'b')
 *   shards: 2 (40-80), 3 (80-)
 */
#include "planner/plan.h"

#include <inttypes.h>

static const char *kind_name(enum plan_kind k)
{
    static const char *const names[] = {
        [PLAN_EMPTY] = "empty",   [PLAN_QUERY] = "query",     [PLAN_GATHER] = "gather",
        [PLAN_INSERT] = "insert", [PLAN_COPY_IN] = "copy in", [PLAN_COPY_OUT] = "copy out",
        [PLAN_DDL] = "ddl",       [PLAN_SESSION] = "session", [PLAN_CONTROL] = "control",
    };
    return names[k];
}

static const char *scope_name(enum plan_scope s)
{
    static const char *const names[] = {
        [SCOPE_ANY] = "any", [SCOPE_HOME] = "home", [SCOPE_KEYED] = "keyed", [SCOPE_ALL] = "all"
    };
    return names[s];
}

static void print_value(const struct key_value *v, struct strbuf *out)
{
    switch (v->source) {
    case VALUE_LITERAL:
        strbuf_printf(out, "%sliteral %u", v->negate ? "-" : "", v->index);
        return;
    case VALUE_PARAM:
        strbuf_printf(out, "$%u %s", v->index, key_type_name(v->type));
        return;
    case VALUE_PARAM_ARRAY:
        strbuf_printf(out, "any of $%u %s[]", v->index, key_type_name(v->type));
        return;
    case VALUE_LITERAL_ARRAY:
        strbuf_printf(out, "any of literal %u", v->index);
        return;
    case VALUE_NULL:
        strbuf_puts(out, "null");
        return;
    }
}

static void print_group(const struct key_group *g, struct strbuf *out)
{
    strbuf_puts(out, g->use == VHASH_ASSIGN ? "store " : "");
    strbuf_puts(out, g->identity ? "identity(" : "hash(");
    for (uint32_t i = 0; i < g->columns[0].nvalue; i++) {
        strbuf_puts(out, i ? ", " : "");
        strbuf_puts(out, g->ncolumn > 1 ? "(" : "");
        for (uint32_t k = 0; k < g->ncolumn; k++) {
            strbuf_puts(out, k ? ", " : "");
            print_value(&g->columns[k].values[i], out);
        }
        strbuf_puts(out, g->ncolumn > 1 ? ")" : "");
    }
    strbuf_putc(out, ')');
}

static void print_class(const struct key_class *c, struct strbuf *out)
{
    strbuf_puts(out, "class: ");
    if (c->ngroup == 0)
        strbuf_puts(out, "every key");
    for (uint32_t i = 0; i < c->ngroup; i++) {
        strbuf_puts(out, i ? " and " : "");
        print_group(&c->groups[i], out);
    }
    strbuf_putc(out, '\n');
}

static void print_session(const struct plan_session *s, struct strbuf *out)
{
    static const char *const verbs[] = {
        [SESSION_BEGIN] = "begin",
        [SESSION_COMMIT] = "commit",
        [SESSION_ROLLBACK] = "rollback",
        [SESSION_SAVEPOINT] = "savepoint",
        [SESSION_RELEASE] = "release",
        [SESSION_ROLLBACK_TO] = "rollback to",
        [SESSION_SET_TRANSACTION] = "set transaction",
        [SESSION_SET] = "set",
        [SESSION_RESET] = "reset",
        [SESSION_RESET_ALL] = "reset all",
        [SESSION_SHOW] = "show",
        [SESSION_SET_CONFIG] = "set_config",
        [SESSION_DISCARD_ALL] = "discard all",
        [SESSION_DISCARD_OTHER] = "discard",
        [SESSION_DEALLOCATE] = "deallocate",
        [SESSION_DEALLOCATE_ALL] = "deallocate all",
        [SESSION_CANCEL] = "cancel",
        [SESSION_TERMINATE] = "terminate",
        [SESSION_DECLARE] = "declare",
        [SESSION_FETCH] = "fetch",
        [SESSION_CLOSE] = "close",
        [SESSION_PREPARE] = "prepare",
        [SESSION_EXECUTE] = "execute",
        [SESSION_SET_CONSTRAINTS] = "set constraints",
        [SESSION_LISTEN] = "listen",
        [SESSION_UNLISTEN] = "unlisten",
        [SESSION_CHANNELS] = "channels",
    };
    strbuf_printf(out, "session: %s", verbs[s->verb]);
    if (s->name)
        strbuf_printf(out, " \"%s\"", s->name);
    if (s->param && (s->name || !s->nset))
        strbuf_printf(out, " to $%u as \"%s\"", s->param, s->column);
    for (uint32_t i = 0; (s->nset > 1 || !s->name) && i < s->nset; i++) {
        if (s->sets[i].name)
            strbuf_printf(out, "%s \"%s\"", i ? "," : "", s->sets[i].name);
        else
            strbuf_printf(out, "%s $%u", i ? "," : "", s->sets[i].name_param);
        if (s->sets[i].param)
            strbuf_printf(out, " to $%u", s->sets[i].param);
        strbuf_printf(out, " as \"%s\"%s", s->sets[i].column, s->sets[i].local ? " local" : "");
    }
    strbuf_puts(out, s->hold ? " with hold" : "");
    strbuf_puts(out, s->scroll ? " scroll" : "");
    strbuf_puts(out, s->local ? " local" : "");
    strbuf_puts(out, s->chain ? " chain" : "");
    strbuf_putc(out, '\n');
}

static void print_control(const struct plan_control *c, struct strbuf *out)
{
    static const char *const verbs[] = {
        [CONTROL_SHARD_TABLE] = "shard_table",
        [CONTROL_REFERENCE_TABLE] = "reference_table",
        [CONTROL_UNSHARD_TABLE] = "unshard_table",
        [CONTROL_CURRENT_GTID] = "current_gtid",
        [CONTROL_TRANSACTION_STATUS] = "transaction_status",
    };
    strbuf_printf(out, "control: %s(", verbs[c->verb]);
    for (uint32_t i = 0; i < c->narg; i++) {
        strbuf_puts(out, i ? ", " : "");
        print_value(&c->args[i], out);
    }
    strbuf_printf(out, ") as \"%s\"\n", c->column);
}

static void print_char(const char *what, char c, struct strbuf *out)
{
    if (c == '\t')
        strbuf_printf(out, " %s tab", what);
    else
        strbuf_printf(out, " %s %c", what, c);
}

static void print_copy(const struct plan_copy *c, struct strbuf *out)
{
    static const char *const formats[] = { "text", "csv", "binary" };
    strbuf_printf(out, "copy: %s", formats[c->format]);
    if (c->format != COPY_FORMAT_BINARY) {
        print_char("delimiter", c->delimiter, out);
        strbuf_printf(out, " null '%s'", c->null_text);
    }
    if (c->format == COPY_FORMAT_CSV) {
        print_char("quote", c->quote, out);
        print_char("escape", c->escape, out);
    }
    strbuf_puts(out, c->header ? " header" : "");
    if (c->table)
        strbuf_printf(out, " table %s", c->table);
    if (c->ncolumn)
        strbuf_printf(out, " columns %u", c->ncolumn);
    for (uint32_t i = 0; i < c->nkey; i++)
        strbuf_printf(out, "%s%u %s",
                      i             ? ", "
                      : c->identity ? " identity field "
                                    : " key field ",
                      c->keys[i].field, key_type_name(c->keys[i].type));
    for (uint32_t i = 0; i < c->nkey; i++)
        strbuf_puts(out, c->force_null & BIT(i) ? " force-null" : c->force_not_null & BIT(i) ? " force-not-null" : "");
    strbuf_putc(out, '\n');
}

static void print_ddl(const struct plan_ddl *d, struct strbuf *out)
{
    strbuf_puts(out, "ddl:");
    strbuf_puts(out, d->schema_change ? " schema" : "");
    strbuf_puts(out, d->no_transaction ? " no-transaction" : "");
    strbuf_puts(out, d->once_per_server ? " once-per-server" : "");
    strbuf_puts(out, d->shared ? " shared" : "");
    strbuf_puts(out, d->bodies ? " bodies" : "");
    if (d->shard_table)
        strbuf_printf(out, " shard %s.%s by %s %s(%d)", d->shard_schema, d->shard_table, d->shard_column,
                      key_type_name(d->shard_type), d->shard_typmod);
    strbuf_putc(out, '\n');
    if (d->elsewhere)
        strbuf_printf(out, "elsewhere: %s\n", d->elsewhere);
    if (d->after)
        strbuf_printf(out, "after: %s\n", d->after);
}

/* The shape of a text: its own words, and "..." for what comes from the statement. */
static void print_text(const char *what, const struct plan_text *t, struct strbuf *out)
{
    strbuf_printf(out, "%s: ", what);
    for (uint32_t i = 0; i < t->n; i++) {
        if (t->v[i].kind == PIECE_FIXED)
            strbuf_puts(out, t->v[i].fixed);
        else if (t->v[i].kind == PIECE_TABLE)
            strbuf_puts(out, "pg_temp.table");
        else
            strbuf_puts(out, "...");
    }
    strbuf_putc(out, '\n');
}

static void print_push(const struct plan_push *p, struct strbuf *out)
{
    print_text("shards", &p->shard, out);
    print_text("then", &p->rest, out);
}

static void print_merge(const struct plan_merge *m, struct strbuf *out)
{
    print_text("shards", &m->text, out);
    if (m->nunique)
        strbuf_printf(out, "then: the first of rows with the same %u keys\n", m->nunique);
}

static void print_gather(const struct plan_gather *g, struct strbuf *out)
{
    if (g->push) {
        print_push(g->push, out);
        return;
    }
    for (uint32_t i = 0; i < g->npart; i++) {
        const struct gather_part *part = &g->parts[i];
        strbuf_printf(out, "part: %s as %s (%s), %s, %u filters", part->table, part->alias, part->columns,
                      scope_name(part->scope), part->nfilter);
        for (uint32_t k = 0; k < part->nlocal; k++)
            strbuf_printf(out, ", beside %s", g->parts[part->locals[k].from].alias);
        if (part->lock)
            strbuf_printf(out, ",%s", part->lock);
        strbuf_puts(out, part->scope == SCOPE_KEYED ? "; " : "\n");
        if (part->scope == SCOPE_KEYED)
            print_class(&part->keys, out);
    }
    for (uint32_t i = 0; i < g->nsemijoin; i++)
        strbuf_printf(out, "semi-join: %s with values of %s, column %u%s\n", g->semijoins[i].name,
                      g->parts[g->semijoins[i].from].alias, g->semijoins[i].column + 1,
                      g->semijoins[i].keys ? ", by key" : "");
}

static void print_explain(const struct plan_explain *x, struct strbuf *out)
{
    static const char *const formats[] = {
        [EXPLAIN_TEXT] = "text", [EXPLAIN_JSON] = "json", [EXPLAIN_YAML] = "yaml", [EXPLAIN_XML] = "xml"
    };
    strbuf_printf(out, "explain: each shard's, as %s%s\n", formats[x->format], x->analyse ? ", executed" : "");
}

/* gathers: it does, given the route, if there is one. */
static void print_head(const struct plan *p, bool gathers, struct strbuf *out)
{
    strbuf_puts(out, kind_name(p->kind));
    if ((p->kind != PLAN_SESSION || p->session->verb == SESSION_DECLARE) && p->kind != PLAN_CONTROL &&
        p->kind != PLAN_EMPTY)
        strbuf_printf(out, " %s", scope_name(p->scope));
    if (p->combine == COMBINE_CONCAT)
        strbuf_puts(out, " concat");
    if (p->combine == COMBINE_MERGE)
        strbuf_puts(out, " merge");
    if (p->combine == COMBINE_SAME)
        strbuf_puts(out, " same");
    if (gathers && p->kind != PLAN_GATHER)
        strbuf_puts(out, " gather");
    if (p->returns_rows)
        strbuf_puts(out, " rows");
    if (p->writes)
        strbuf_puts(out, " writes");
    if (p->sequential)
        strbuf_puts(out, " sequential");
    if (p->opaque)
        strbuf_puts(out, " opaque");
    if (p->no_share)
        strbuf_puts(out, " no-share");
    if (p->pins)
        strbuf_puts(out, " pins");
    strbuf_putc(out, '\n');
}

static void print_route(const struct map_db *db, const struct route *r, struct strbuf *out)
{
    char range[KEYRANGE_TEXT_MAX];
    strbuf_puts(out, "shards:");
    if (r->any)
        strbuf_puts(out, " any one");
    for (uint32_t i = shardset_next(&r->set, 0); i < MAP_MAX_SHARDS; i = shardset_next(&r->set, i + 1))
        strbuf_printf(out, " %s (%s)%s", db->shards[i].name, keyrange_print(&db->shards[i].range, range),
                      i == db->home ? " home" : "");
    strbuf_putc(out, '\n');
}

void plan_print(const struct plan *p, const struct map_db *db, const struct route *r, struct strbuf *out)
{
    bool gathers = p->gather && p->combine != COMBINE_MERGE && (p->kind == PLAN_GATHER || !r || r->n > 1);
    print_head(p, gathers, out);
    bool several = !r || r->n > 1;
    if (p->reason)
        strbuf_printf(out, "reason: %s%s%s\n", p->reason, several && p->finish ? "; " : "",
                      several && p->finish ? p->finish : "");
    for (uint32_t i = 0; i < p->nclass; i++)
        print_class(&p->classes[i], out);
    if (gathers)
        print_gather(p->gather, out);
    if (p->combine == COMBINE_MERGE && several)
        print_merge(p->merge, out);
    if (p->expanded)
        strbuf_printf(out, "expanded: %s\n", p->expanded);
    if (p->rewritten)
        strbuf_printf(out, "sent as: %s\n", p->rewritten);
    if (p->session)
        print_session(p->session, out);
    if (p->control)
        print_control(p->control, out);
    if (p->copy)
        print_copy(p->copy, out);
    if (p->explain && several && p->combine != COMBINE_NONE && p->combine != COMBINE_SAME)
        print_explain(p->explain, out);
    if (p->ddl)
        print_ddl(p->ddl, out);
    if (db && r)
        print_route(db, r, out);
}
