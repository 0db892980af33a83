#include "base/cmd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct sample {
    struct cmd_args args; /* first */
    const char *range;
    const char *user;
    bool force;
};

static const struct cmd_option options[] = {
    { .name = "range",
      .letter = 'r',
      .value = "RANGE",
      .offset = offsetof(struct sample, range),
      .required = true,
      .help = "what it owns" },
    { .name = "user", .value = "NAME", .offset = offsetof(struct sample, user), .help = "who" },
    { .name = "force", .letter = 'f', .offset = offsetof(struct sample, force), .help = "do it" },
};

static const struct cmd sample_cmd = {
    .name = "pgbraid sample",
    .synopsis = "NAME [OTHER] --range RANGE",
    .about = "A sample.\n\n  pgbraid sample x --range -80",
    .options = options,
    .noption = ARRAY_LEN(options),
    .min_args = 1,
    .max_args = 2,
};

/* argv as main gets it: NULL-terminated, not counted. */
#define PARSE(s, e, ...)                                                                                               \
    cmd_parse(&sample_cmd, (int)ARRAY_LEN(((const char *[]){ __VA_ARGS__ })),                                          \
              (char **)(const char *[]){ __VA_ARGS__, NULL }, &(s)->args, (e))

static void test_forms(void **state)
{
    struct sample s = { .user = "default" };
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(PARSE(&s, &e, "a", "--range", "-80", "b"), CMD_RUN);
    assert_int_equal(s.args.narg, 2);
    assert_string_equal(s.args.args[0], "a");
    assert_string_equal(s.args.args[1], "b");
    assert_string_equal(s.range, "-80");
    assert_string_equal(s.user, "default");
    assert_false(s.force);

    s = (struct sample){ 0 };
    assert_int_equal(PARSE(&s, &e, "--range=80-", "-f", "--user=", "x=y"), CMD_RUN);
    assert_string_equal(s.range, "80-");
    assert_string_equal(s.user, "");
    assert_string_equal(s.args.args[0], "x=y");
    assert_true(s.force);

    s = (struct sample){ 0 };
    assert_int_equal(PARSE(&s, &e, "-r-80", "--", "-f", "--user"), CMD_RUN);
    assert_string_equal(s.range, "-80");
    assert_string_equal(s.args.args[0], "-f");
    assert_string_equal(s.args.args[1], "--user");
    assert_false(s.force);

    s = (struct sample){ 0 };
    assert_int_equal(PARSE(&s, &e, "-", "-r", "--force"), CMD_RUN); /* a value may look like an option */
    assert_string_equal(s.args.args[0], "-");
    assert_string_equal(s.range, "--force");
    assert_int_equal(e.id, ERR_NONE);
}

static void bad(enum cmd_result result, const struct err *e, const char *message, const char *hint)
{
    assert_int_equal(result, CMD_BAD);
    assert_int_equal(e->id, PB0502);
    assert_string_equal(e->message, message);
    assert_string_equal(e->hint, hint);
}

static void test_bad(void **state)
{
    static const char usage[] = "Usage: pgbraid sample NAME [OTHER] --range RANGE";
    struct sample s = { 0 };
    struct err e;

    (void)state;
    bad(PARSE(&s, &e, "a", "--rangee", "x"), &e, "pgbraid sample: unknown option \"--rangee\"",
        "Did you mean --range?");
    bad(PARSE(&s, &e, "a", "--xyzzy=1"), &e, "pgbraid sample: unknown option \"--xyzzy\"",
        "\"pgbraid sample --help\" lists the options.");
    bad(PARSE(&s, &e, "a", "-x"), &e, "pgbraid sample: unknown option \"-x\"",
        "\"pgbraid sample --help\" lists the options.");
    bad(PARSE(&s, &e, "a", "--range"), &e, "pgbraid sample: option --range needs a value", "Write --range RANGE.");
    bad(PARSE(&s, &e, "a", "-r"), &e, "pgbraid sample: option --range needs a value", "Write --range RANGE.");
    bad(PARSE(&s, &e, "a", "-r", "1", "--range=2"), &e, "pgbraid sample: option --range is given twice", "");
    bad(PARSE(&s, &e, "a", "-r", "1", "--force=yes"), &e, "pgbraid sample: option --force takes no value", "");
    bad(PARSE(&s, &e, "a", "-r", "1", "-fx"), &e, "pgbraid sample: option --force takes no value", "");
    bad(PARSE(&s, &e, "a"), &e, "pgbraid sample: option --range is missing", usage);
    bad(PARSE(&s, &e, "-r", "1"), &e, "pgbraid sample: too few arguments", usage);
    bad(PARSE(&s, &e, "-r", "1", "a", "b", "c"), &e, "pgbraid sample: too many arguments: \"c\"", usage);
    bad(PARSE(&s, &e, "a",
              "--aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        &e, "pgbraid sample: unknown option \"--aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
        "\"pgbraid sample --help\" lists the options.");
}

static void test_help(void **state)
{
    struct sample s = { 0 };
    struct strbuf out = STRBUF_INIT;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(PARSE(&s, &e, "--help"), CMD_HELP);
    assert_int_equal(PARSE(&s, &e, "a", "b", "c", "--bogus", "-h"), CMD_HELP);
    assert_int_equal(PARSE(&s, &e, "-r", "1", "--", "--help"), CMD_RUN);
    cmd_print_help(&sample_cmd, &out);
    assert_string_equal(strbuf_str(&out), "Usage: pgbraid sample NAME [OTHER] --range RANGE\n"
                                          "\n"
                                          "A sample.\n"
                                          "\n"
                                          "  pgbraid sample x --range -80\n"
                                          "\n"
                                          "Options:\n"
                                          "  -r, --range RANGE  what it owns\n"
                                          "      --user NAME    who\n"
                                          "  -f, --force        do it\n"
                                          "  -h, --help         print this\n");
    strbuf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_help),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
