#include "router/config/config_int.h"

#include "base/mem.h"
#include "base/span.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor; /* of the field's unit */
};

/* As PostgreSQL writes them, biggest first. */
static const struct unit durations[] = { { "d", 86400000 }, { "h", 3600000 }, { "min", 60000 },
                                         { "s", 1000 },     { "ms", 1 },      { NULL, 0 } };
static const struct unit sizes[] = {
    { "GB", 1u << 30 }, { "MB", 1u << 20 }, { "kB", 1u << 10 }, { "B", 1 }, { NULL, 0 }
};
static const struct unit no_units[] = { { NULL, 0 } };

static const struct unit *units_of(enum setting_type type)
{
    switch (type) {
    case SETTING_DURATION:
        return durations;
    case SETTING_SIZE:
        return sizes;
    case SETTING_INTEGER:
    case SETTING_STRING:
    case SETTING_FILE:
    case SETTING_LIST:
    case SETTING_CHOICE:
        return no_units;
    }
    BUG_ON(true);
}

const char *setting_type_name(enum setting_type type)
{
    static const char *const names[] = {
        [SETTING_INTEGER] = "integer", [SETTING_DURATION] = "duration", [SETTING_SIZE] = "size",
        [SETTING_STRING] = "string",   [SETTING_FILE] = "file",         [SETTING_LIST] = "list",
        [SETTING_CHOICE] = "choice"
    };

    return names[type];
}

static const char *print_number(enum setting_type type, uint64_t value, struct arena *a)
{
    if (value) {
        for (const struct unit *u = units_of(type); u->name; u++) {
            if (value % u->factor == 0)
                return arena_printf(a, "%" PRIu64 "%s", value / u->factor, u->name);
        }
    }
    return arena_printf(a, "%" PRIu64, value);
}

static bool bad_number(const struct setting *s, const char *value, struct err *e)
{
    err_set(e, PB0501, "\"%s\" is not %s %s", value, s->type == SETTING_INTEGER ? "an" : "a",
            setting_type_name(s->type));
    if (s->type == SETTING_DURATION)
        return err_hint(e, "Write a number and one of ms, s, min, h, d; a number alone is seconds.");
    if (s->type == SETTING_SIZE)
        return err_hint(e, "Write a number and one of B, kB, MB, GB; a number alone is bytes.");
    return err_hint(e, "Write digits only.");
}

static bool bad_range(const struct setting *s, const char *value, struct err *e)
{
    struct arena a;

    arena_init(&a, 256);
    err_set(e, PB0501, "%s is out of range", value);
    err_hint(e, "It may be from %s to %s.", print_number(s->type, s->min, &a), print_number(s->type, s->max, &a));
    arena_fini(&a);
    return false;
}

/* digits [. digits] [blanks] [unit], as PostgreSQL reads settings; a fraction needs a unit. */
static bool parse_number(const struct setting *s, const char *value, uint64_t *out, struct err *e)
{
    uint64_t whole = 0, fraction = 0, scale = 1, factor, part;
    const char *p = value;
    bool over = false;

    if (*p < '0' || *p > '9')
        return bad_number(s, value, e);
    for (; *p >= '0' && *p <= '9'; p++)
        over |=
            __builtin_mul_overflow(whole, 10u, &whole) || __builtin_add_overflow(whole, (unsigned)(*p - '0'), &whole);
    if (*p == '.') {
        for (p++; *p >= '0' && *p <= '9'; p++) {
            if (scale < 1000000) {
                fraction = fraction * 10 + (unsigned)(*p - '0');
                scale *= 10;
            }
        }
    }
    while (*p == ' ' || *p == '\t')
        p++;

    factor = s->type == SETTING_DURATION ? 1000 : 1;
    if (*p) {
        const struct unit *u = units_of(s->type);

        while (u->name && strcmp(u->name, p) != 0)
            u++;
        if (!u->name)
            return bad_number(s, value, e);
        factor = u->factor;
    }
    part = fraction * factor; /* at most 10^6 * 2^30 */
    if (part % scale)
        return bad_number(s, value, e);
    over |= __builtin_mul_overflow(whole, factor, &whole) || __builtin_add_overflow(whole, part / scale, &whole);
    if (over || whole < s->min || whole > s->max)
        return bad_range(s, value, e);
    *out = whole;
    return true;
}

static bool parse_choice(const struct setting *s, const char *value, void *field, struct err *e)
{
    struct arena a;
    const char *all = "";

    for (unsigned i = 0; s->choices[i]; i++) {
        if (span_ieq(span_str(value), span_str(s->choices[i]))) {
            memcpy(field, &i, sizeof(i)); /* the enums have no negative value: they are unsigned */
            return true;
        }
    }
    arena_init(&a, 256);
    for (unsigned i = 0; s->choices[i]; i++)
        all = arena_printf(&a, "%s%s%s", all, i ? ", " : "", s->choices[i]);
    err_set(e, PB0501, "\"%s\" is not a value of this setting", value);
    err_hint(e, "It may be: %s.", all);
    arena_fini(&a);
    return false;
}

static struct span trim(struct span s)
{
    while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = span_make(s.ptr + 1, s.len - 1);
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static bool parse_list(const struct setting *s, const char *value, struct arena *a, void *field, struct err *e)
{
    struct span rest = trim(span_str(value));
    size_t n = 0, cap = rest.len / 2 + 2; /* items of one byte between commas, and the NULL */
    const char **items = ARENA_ARRAY(a, const char *, cap);

    for (bool more = rest.len > 0; more; n++) {
        const char *comma = memchr(rest.ptr, ',', rest.len);
        struct span item = trim(span_make(rest.ptr, comma ? (size_t)(comma - rest.ptr) : rest.len));

        if (item.len == 0) {
            err_set(e, PB0501, "the list has an empty item");
            return err_hint(e, "Write names separated by single commas.");
        }
        items[n] = arena_spandup(a, item);
        for (size_t i = 0; i < n; i++) {
            if (strcmp(items[i], items[n]) == 0)
                return err_set(e, PB0501, "\"%s\" is in the list twice", items[n]);
        }
        if (s->check && !s->check(items[n], e))
            return false;
        more = comma != NULL;
        if (more)
            rest = span_make(comma + 1, (size_t)(rest.ptr + rest.len - comma - 1));
    }
    *(const char *const **)field = items;
    return true;
}

static void put_string(void *field, const char *text)
{
    *(const char **)field = text;
}

bool setting_parse(const struct setting *s, const char *value, const char *folder, struct arena *a, void *field,
                   struct err *e)
{
    uint64_t number = 0;

    switch (s->type) {
    case SETTING_INTEGER:
        if (!parse_number(s, value, &number, e))
            return false;
        *(uint32_t *)field = (uint32_t)number;
        return true;
    case SETTING_DURATION:
    case SETTING_SIZE:
        return parse_number(s, value, field, e);
    case SETTING_STRING:
        put_string(field, arena_strdup(a, value));
        return true;
    case SETTING_FILE:
        if (value[0] && value[0] != '/' && folder)
            put_string(field, arena_printf(a, "%s/%s", folder, value));
        else
            put_string(field, arena_strdup(a, value));
        return true;
    case SETTING_LIST:
        return parse_list(s, value, a, field, e);
    case SETTING_CHOICE:
        return parse_choice(s, value, field, e);
    }
    BUG_ON(true);
}

const char *setting_print(const struct setting *s, const void *field, struct arena *a)
{
    const char *text = "";
    const char *const *items;
    unsigned choice;

    switch (s->type) {
    case SETTING_INTEGER:
        return print_number(s->type, *(const uint32_t *)field, a);
    case SETTING_DURATION:
    case SETTING_SIZE:
        return print_number(s->type, *(const uint64_t *)field, a);
    case SETTING_STRING:
    case SETTING_FILE:
        return *(const char *const *)field;
    case SETTING_LIST:
        items = *(const char *const *const *)field;
        for (size_t i = 0; items[i]; i++)
            text = arena_printf(a, "%s%s%s", text, i ? ", " : "", items[i]);
        return text;
    case SETTING_CHOICE:
        memcpy(&choice, field, sizeof(choice));
        return s->choices[choice];
    }
    BUG_ON(true);
}
