#include "planner/hint.h"

#include "planner/lex.h"
#include "planner/plan_int.h"
#include "planner/types.h"

#include <string.h>

/* key=42, key='a''b', shard=-80 or shard=s1 at the start of the text. */
static bool read_value(struct span text, struct plan_hint *hint, struct arena *a)
{
    struct strbuf sb = STRBUF_INIT;
    size_t at, end;
    bool ok = true;
    if (text.len > 4 && memcmp(text.ptr, "key=", 4) == 0) {
        at = 4;
    } else if (text.len > 6 && memcmp(text.ptr, "shard=", 6) == 0) {
        hint->shard = true;
        at = 6;
    } else {
        return false;
    }
    hint->quoted = text.ptr[at] == '\'';
    if (hint->quoted) {
        ok = false;
        for (end = at + 1; end < text.len; end++) {
            if (text.ptr[end] == '\'' && (end + 1 == text.len || text.ptr[++end] != '\'')) {
                ok = true;
                break;
            }
            strbuf_putc(&sb, text.ptr[end]);
        }
    } else {
        for (end = at; end < text.len && !memchr(" \t\r\n*;,", text.ptr[end], 8); end++)
            strbuf_putc(&sb, text.ptr[end]);
    }
    hint->text = arena_strdup(a, strbuf_str(&sb));
    strbuf_fini(&sb);
    return ok && *hint->text;
}

static bool from_comments(struct span sql, const struct plan_env *env, struct arena *a, const struct plan_hint **out,
                          struct err *e)
{
    struct lex lex;
    struct lex_token t;
    const char *at = sql.ptr;
    lex_init(&lex, sql, env->nonstandard_strings);
    do { /* between two tokens are blanks and comments only */
        lex_next(&lex, &t);
        const char *gap_end = (const char *)t.start;
        const char *mark = gap_end > at ? memmem(at, (size_t)(gap_end - at), HINT_MARK, strlen(HINT_MARK)) : NULL;
        if (mark) {
            struct plan_hint *hint = ARENA_NEW(a, struct plan_hint);
            mark += strlen(HINT_MARK);
            hint->comment = true;
            *out = hint;
            if (read_value(span_make(mark, (size_t)(gap_end - mark)), hint, a))
                return true;
            err_set(e, PB0202, "the routing hint cannot be read");
            return err_hint(e, "Write pgbraid:key=42, pgbraid:key='text' or pgbraid:shard=-80.");
        }
        at = (const char *)t.end;
    } while (t.kind != LEX_END);
    return true;
}

bool hint_read(struct span sql, const struct plan_env *env, struct arena *a, const struct plan_hint **out,
               struct err *e)
{
    *out = NULL;
    if (sql.len && memmem(sql.ptr, sql.len, HINT_MARK, strlen(HINT_MARK)) && !from_comments(sql, env, a, out, e))
        return false;
    if (*out || (!env->hint_shard && !env->hint_key))
        return true;
    struct plan_hint *hint = ARENA_NEW(a, struct plan_hint);
    hint->shard = env->hint_shard;
    hint->text = arena_strdup(a, hint->shard ? env->hint_shard : env->hint_key);
    *out = hint;
    return true;
}

static bool shard_by_text(const char *text, const struct map_db *db, uint32_t *shard, struct err *e)
{
    char range[KEYRANGE_TEXT_MAX];
    for (uint32_t i = 0; i < db->nshard; i++) {
        if (strcmp(db->shards[i].name, text) == 0 || strcmp(keyrange_print(&db->shards[i].range, range), text) == 0) {
            *shard = i;
            return true;
        }
    }
    err_set(e, PB0403, "there is no shard \"%s\"", text);
    err_detail(e, "A routing hint names it.");
    return err_hint(e, "Give a shard's name or its key range, as SHOW SHARDS has them.");
}

bool plan_hint_shard(const struct plan *p, const struct map_db *db, uint32_t *shard, struct err *e)
{
    const struct plan_hint *hint = p->hint;
    const struct key_group *g = p->nclass && p->classes[0].ngroup ? &p->classes[0].groups[0] : NULL;
    struct span v = span_str(hint->text);
    enum key_type type = KEY_INT8;
    uint64_t hash;
    int64_t n;
    if (hint->shard)
        return shard_by_text(hint->text, db, shard, e);
    if (g && g->ncolumn > 1) {
        err_set(e, PB0206, "a routing hint cannot give a key of several columns");
        return err_hint(e, "Name the shard: pgbraid:shard=...");
    }
    if (g)
        type = g->columns[0].type;
    else if (hint->quoted || !vhash_integer(KEY_INT8, false, v, &n))
        type = KEY_TEXT;
    if (g && g->identity) {
        if (vhash_integer(type, false, v, &n)) {
            *shard = map_shard_of(db, vhash_keyspace_id((uint64_t)n));
            return true;
        }
    } else if (vhash_text(type, -1, VHASH_COMPARE, v, 0, &hash) == VHASH_OK) {
        *shard = map_shard_of(db, vhash_keyspace_id(hash));
        return true;
    }
    err_set(e, PB0206, "the key of the routing hint is not in a form that can be placed");
    return err_hint(e, "Write it as PostgreSQL prints it.");
}
