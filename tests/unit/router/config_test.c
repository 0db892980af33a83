#include "router/config/config.h"

#include "router/config/config_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct config *parse_ok(const char *text)
{
    struct strbuf report = STRBUF_INIT;
    struct err e = ERR_INIT;
    struct config *c = config_parse(span_str(text), "/etc/pgbraid/pgbraid.conf", &report, &e);

    if (!c)
        fail_msg("%s", strbuf_str(&report));
    assert_int_equal(report.len, 0);
    assert_int_equal(e.id, ERR_NONE);
    strbuf_fini(&report);
    return c;
}

/* The whole report has to be as expected. */
static void parse_bad(const char *text, const char *expected)
{
    struct strbuf report = STRBUF_INIT;
    struct err e = ERR_INIT;

    assert_null(config_parse(span_str(text), "x.conf", &report, &e));
    assert_string_equal(strbuf_str(&report), expected);
    assert_int_equal(e.id, PB0501);
    assert_string_equal(e.sqlstate, "F0000");
    /* The error is the first problem. */
    assert_int_equal(strncmp(e.message, expected, strlen(e.message)), 0);
    assert_null(config_parse(span_str(text), "x.conf", NULL, &e));
    strbuf_fini(&report);
}

static void test_defaults(void **state)
{
    struct config *c = config_new_default();

    (void)state;
    assert_string_equal(c->listen_addr, "127.0.0.1");
    assert_int_equal(c->port, 6432);
    assert_string_equal(c->unix_socket_dir, "");
    assert_string_equal(c->directory, "directory.db");
    assert_int_equal(c->log_level, LOG_INFO);
    assert_int_equal(c->pool_size, 20);
    assert_int_equal(c->reserve_pool_size, 5);
    assert_int_equal(c->max_client_conn, 10000);
    assert_int_equal(c->query_wait_timeout_ms, 120000);
    assert_int_equal(c->server_connect_timeout_ms, 15000);
    assert_int_equal(c->server_lifetime_ms, 3600000);
    assert_int_equal(c->server_idle_timeout_ms, 600000);
    assert_string_equal(c->server_check_query, "select 1");
    assert_int_equal(c->server_check_delay_ms, 30000);
    assert_int_equal(c->client_login_timeout_ms, 60000);
    assert_int_equal(c->client_idle_timeout_ms, 0);
    assert_int_equal(c->max_message_size, 256u << 20);
    assert_int_equal(c->max_prepared_statements, 200);
    assert_string_equal(c->admin_users[0], "postgres");
    assert_null(c->admin_users[1]);
    assert_null(c->sharding_key[0]);
    assert_true(config_worker_count(c) >= 1);
    config_unref(c);
    config_unref(NULL);
}

static void test_values(void **state)
{
    struct config *c = parse_ok("# a comment\n"
                                "[pgbraid] ; another\n"
                                "  port = 7000 ; inline\n"
                                "listen_addr=*\r\n"
                                "workers: 3\n"
                                "log_level = WARNING\n"
                                "server_check_query = 'select 2; '\n"
                                "query_timeout = 1500 ms\n"
                                "server_lifetime = 90\n"
                                "server_idle_timeout = 1.5h\n"
                                "client_idle_timeout = 1d\n"
                                "max_message_size = 1.5MB\n"
                                "sharding_key = customer_id , tenant_id\n"
                                "safe_functions = public.f,app.g\n"
                                "admin_users =\n"
                                "passfile = /root/.pgpass\n"
                                "pidfile = \"run/router.pid\"");

    (void)state;
    assert_int_equal(c->port, 7000);
    assert_string_equal(c->listen_addr, "*");
    assert_int_equal(c->workers, 3);
    assert_int_equal(config_worker_count(c), 3);
    assert_int_equal(c->log_level, LOG_WARN);
    assert_string_equal(c->server_check_query, "select 2; ");
    assert_int_equal(c->query_timeout_ms, 1500);
    assert_int_equal(c->server_lifetime_ms, 90000);
    assert_int_equal(c->server_idle_timeout_ms, 5400000);
    assert_int_equal(c->client_idle_timeout_ms, 86400000);
    assert_int_equal(c->max_message_size, 3u << 19);
    assert_string_equal(c->sharding_key[0], "customer_id");
    assert_string_equal(c->sharding_key[1], "tenant_id");
    assert_null(c->sharding_key[2]);
    assert_string_equal(c->safe_functions[1], "app.g");
    assert_null(c->safe_functions[2]);
    assert_null(c->admin_users[0]);
    assert_string_equal(c->passfile, "/root/.pgpass");
    assert_string_equal(c->pidfile, "/etc/pgbraid/run/router.pid");
    assert_string_equal(c->directory, "/etc/pgbraid/directory.db");
    assert_string_equal(c->unix_socket_dir, "");
    config_unref(c);
}

static void test_bad_values(void **state)
{
    (void)state;
    parse_bad("[pgbraid]\nport = 65536\n", "x.conf:2: port: 65536 is out of range (It may be from 0 to 65535.)\n");
    parse_bad("[pgbraid]\nport = 99999999999999999999999\n",
              "x.conf:2: port: 99999999999999999999999 is out of range (It may be from 0 to 65535.)\n");
    parse_bad("[pgbraid]\nport = -1\n", "x.conf:2: port: \"-1\" is not an integer (Write digits only.)\n");
    parse_bad("[pgbraid]\nport = 6432 # no\n",
              "x.conf:2: port: \"6432 # no\" is not an integer (Write digits only.)\n");
    parse_bad("[pgbraid]\nport =\n", "x.conf:2: port: \"\" is not an integer (Write digits only.)\n");
    parse_bad("[pgbraid]\nport = 1.5\n", "x.conf:2: port: \"1.5\" is not an integer (Write digits only.)\n");
    parse_bad("[pgbraid]\nport = 10s\n", "x.conf:2: port: \"10s\" is not an integer (Write digits only.)\n");
    parse_bad("[pgbraid]\nquery_timeout = 10 sec\n",
              "x.conf:2: query_timeout: \"10 sec\" is not a duration (Write a number and one of ms, s, min, h, d; a "
              "number alone is seconds.)\n");
    parse_bad("[pgbraid]\nquery_timeout = 0.5ms\n",
              "x.conf:2: query_timeout: \"0.5ms\" is not a duration (Write a number and one of ms, s, min, h, d; a "
              "number alone is seconds.)\n");
    parse_bad("[pgbraid]\nquery_timeout = 25d\n",
              "x.conf:2: query_timeout: 25d is out of range (It may be from 0 to 2147483647ms.)\n");
    parse_bad("[pgbraid]\nserver_connect_timeout = 0\n",
              "x.conf:2: server_connect_timeout: 0 is out of range (It may be from 1ms to 2147483647ms.)\n");
    parse_bad("[pgbraid]\nmax_message_size = 1kb\n",
              "x.conf:2: max_message_size: \"1kb\" is not a size (Write a number and one of B, kB, MB, GB; a number "
              "alone is bytes.)\n");
    parse_bad("[pgbraid]\nmax_message_size = 17179869184GB\n",
              "x.conf:2: max_message_size: 17179869184GB is out of range (It may be from 64kB to 1GB.)\n");
    parse_bad("[pgbraid]\nlog_level = statement\n", "x.conf:2: log_level: \"statement\" is not a value of this setting "
                                                    "(It may be: error, warning, info, debug.)\n");
    parse_bad("[pgbraid]\nadmin_users = a,,b\n",
              "x.conf:2: admin_users: the list has an empty item (Write names separated by single commas.)\n");
    parse_bad("[pgbraid]\nadmin_users = a, b ,\n",
              "x.conf:2: admin_users: the list has an empty item (Write names separated by single commas.)\n");
    parse_bad("[pgbraid]\nadmin_users = a, b, a\n", "x.conf:2: admin_users: \"a\" is in the list twice\n");
    parse_bad("[pgbraid]\nsafe_functions = f\n", "x.conf:2: safe_functions: \"f\" is not a qualified function name "
                                                 "(Write schema.name, for example public.f.)\n");
}

static void test_bad_lines(void **state)
{
    (void)state;
    parse_bad("[pgbraid]\n\nport\n", "x.conf:3: expected \"name = value\"\n");
    parse_bad("[pgbraid]\n = 5\n", "x.conf:2: expected \"name = value\"\n");
    parse_bad("[pgbraid\nport = 1\n", "x.conf:1: expected \"[section]\"\n"
                                      "x.conf:2: setting \"port\" stands before any section (All settings belong under "
                                      "[pgbraid], or those of one user "
                                      "under [user NAME].)\n");
    parse_bad("[other]\nport = 1\n", "x.conf:2: setting \"port\" is in the unknown section [other] (All settings "
                                     "belong under [pgbraid], or those of one user "
                                     "under [user NAME].)\n");
    parse_bad("[pgbraid]\npool_sise = 1\n", "x.conf:2: unknown setting \"pool_sise\" (Did you mean \"pool_size\"?)\n");
    parse_bad("[pgbraid]\nlisten_port = 1\n",
              "x.conf:2: unknown setting \"listen_port\" (PgBouncer's listen_port is called port here.)\n");
    parse_bad("[pgbraid]\nxyzzy = 1\n", "x.conf:2: unknown setting \"xyzzy\" (\"pgbraid config --print-defaults\" "
                                        "lists all settings.)\n");
    parse_bad("[pgbraid]\nport = 1\nport = 1\n", "x.conf:3: port is set twice (It is first set in line 2.)\n");
}

static void test_users(void **state)
{
    struct config *c =
        parse_ok("[user b]\npool_size = 3\n[pgbraid]\npool_size = 7\nquery_timeout = 9s\n"
                 "admin_users = root\nstats_users = eyes\n"
                 "[user  a b ]\nquery_timeout = 0\nadmin = on\n[user \" c\"]\nstats = on\nserver_user = service\n");

    (void)state;
    assert_int_equal(c->nuser, 3);
    assert_int_equal(config_user(c, "b")->pool_size, 3);
    assert_int_equal(config_user(c, "b")->query_timeout_ms, 9000);
    assert_int_equal(config_user(c, "a b")->pool_size, 7); /* also of what stands behind it */
    assert_int_equal(config_user(c, "a b")->query_timeout_ms, 0);
    assert_null(config_user(c, "a")->name);
    assert_int_equal(config_user(c, "a")->pool_size, 7);
    assert_int_equal(config_user(c, "a")->max_client_conn, 0);
    assert_true(config_may_command(c, "a b") && config_may_look(c, "a b") && config_may_command(c, "root"));
    assert_true(config_may_look(c, " c") && !config_may_command(c, " c"));
    assert_true(config_may_look(c, "eyes") && !config_may_command(c, "eyes"));
    assert_false(config_may_look(c, "b"));
    assert_string_equal(config_server_user(c, "b"), "b");
    assert_string_equal(config_server_user(c, " c"), "service");
    assert_string_equal(config_server_user(c, "nobody"), "nobody");
    config_unref(c);

    c = config_new_default();
    assert_int_equal(config_user(c, "x")->pool_size, 20);
    config_unref(c);
    parse_bad(
        "[user a]\npool_sise = 1\nlisten_addr = x\nmax_user_connections = 1\n[user a]\npool_size = x\n[user b]\n"
        "pool_size = x\n[pgbraid]\nstats = on\n",
        "x.conf:2: unknown setting \"pool_sise\" of a user (Did you mean \"pool_size\"?)\n"
        "x.conf:3: unknown setting \"listen_addr\" of a user (It is for all users together: write it under "
        "[pgbraid].)\n"
        "x.conf:4: unknown setting \"max_user_connections\" of a user (PgBouncer's max_user_connections is called "
        "max_client_conn here.)\n"
        "x.conf:5: user \"a\" has two sections (The first one is in line 1.)\n"
        "x.conf:8: pool_size: \"x\" is not an integer (Write digits only.)\n"
        "x.conf:10: unknown setting \"stats\" (It is of one user: write it under [user NAME].)\n");
    parse_bad("[user]\n[user \"\"]\n", "x.conf:1: section [user] names no user (Write [user NAME].)\n"
                                       "x.conf:2: section [user \"\"] names no user (Write [user NAME].)\n");
}

static void test_all_problems(void **state)
{
    struct strbuf report = STRBUF_INIT;
    struct err e = ERR_INIT;
    const char *text = "[pgbraid]\nport = x\nnonsense\npool_size = 0\nport = 6432\n";

    (void)state;
    parse_bad(text, "x.conf:2: port: \"x\" is not an integer (Write digits only.)\n"
                    "x.conf:3: expected \"name = value\"\n"
                    "x.conf:4: pool_size: 0 is out of range (It may be from 1 to 100000.)\n"
                    "x.conf:5: port is set twice (It is first set in line 2.)\n");
    assert_null(config_parse(span_str(text), "x.conf", &report, &e));
    assert_string_equal(e.message, "x.conf:2: port: \"x\" is not an integer");
    assert_string_equal(e.hint, "Write digits only.");
    assert_string_equal(e.detail, "The file has 4 problems.");
    strbuf_fini(&report);
}

static void test_zero_byte_and_long_line(void **state)
{
    struct strbuf text = STRBUF_INIT, report = STRBUF_INIT;
    struct err e = ERR_INIT;

    (void)state;
    strbuf_puts(&text, "[pgbraid]\nport");
    strbuf_put(&text, "\0= 1\n", 5);
    strbuf_puts(&text, "admin_users = ");
    for (int i = 0; i < 4000; i++)
        strbuf_putc(&text, 'a');
    strbuf_puts(&text, "\nport = x\n");
    assert_null(config_parse(strbuf_span(&text), "x.conf", &report, &e));
    assert_string_equal(strbuf_str(&report), "x.conf:2: the line holds a zero byte\n"
                                             "x.conf:3: the line is too long\n"
                                             "x.conf:4: port: \"x\" is not an integer (Write digits only.)\n");
    strbuf_fini(&report);
    strbuf_fini(&text);
}

static void put_row(const struct config_row *row, void *arg)
{
    strbuf_printf(arg, "%s = %s\n", row->name, row->value);
    assert_true(row->doc[0] != '\0');
}

/* What SHOW CONFIG prints reads back as the same configuration. */
static void test_rows_read_back(void **state)
{
    struct strbuf first = STRBUF_INIT, second = STRBUF_INIT;
    struct config *c = parse_ok("[pgbraid]\nquery_timeout = 90s\nmax_message_size = 1536kB\nadmin_users = a,b\n"
                                "log_level = debug\nsafe_functions = a.b\nsharding_key = k\n");

    (void)state;
    strbuf_puts(&first, "[pgbraid]\n");
    config_each(c, put_row, &first);
    assert_non_null(strstr(strbuf_str(&first), "\nquery_timeout = 90s\n"));
    assert_non_null(strstr(strbuf_str(&first), "\nquery_wait_timeout = 2min\n"));
    assert_non_null(strstr(strbuf_str(&first), "\nmax_message_size = 1536kB\n"));
    assert_non_null(strstr(strbuf_str(&first), "\nadmin_users = a, b\n"));
    assert_non_null(strstr(strbuf_str(&first), "\nlog_level = debug\n"));
    config_unref(c);

    c = parse_ok(strbuf_str(&first));
    strbuf_puts(&second, "[pgbraid]\n");
    config_each(c, put_row, &second);
    assert_string_equal(strbuf_str(&first), strbuf_str(&second));
    config_unref(c);
    strbuf_fini(&first);
    strbuf_fini(&second);
}

/* The printed defaults are a valid file, with and without the comment signs, and change nothing. */
static void test_printed_defaults(void **state)
{
    struct strbuf text = STRBUF_INIT, bare = STRBUF_INIT;
    struct config *def = parse_ok("[pgbraid]\n"), *c;

    (void)state;
    config_print_defaults(&text);
    c = parse_ok(strbuf_str(&text));
    assert_null(config_restart_needed(def, c));
    config_unref(c);
    for (size_t i = 0; i < text.len; i++) {
        if (!(text.ptr[i] == '#' && text.ptr[i + 1] != ' '))
            strbuf_putc(&bare, text.ptr[i]);
    }
    assert_non_null(strstr(strbuf_str(&bare), "\nport = 6432\n"));
    c = parse_ok(strbuf_str(&bare));
    assert_null(config_restart_needed(def, c));
    config_unref(c);
    config_unref(def);
    strbuf_reset(&text);
    config_print_markdown(&text);
    assert_non_null(strstr(strbuf_str(&text), "| `pool_size` | `20` | integer | yes |"));
    strbuf_fini(&text);
    strbuf_fini(&bare);
}

static void test_restart_needed(void **state)
{
    struct config *a = parse_ok("[pgbraid]\npool_size = 1\n"), *b = parse_ok("[pgbraid]\npool_size = 2\n");
    struct config *c = parse_ok("[pgbraid]\nport = 1\n"), *again = config_ref(a);

    (void)state;
    assert_null(config_restart_needed(a, b));
    assert_string_equal(config_restart_needed(a, c), "port");
    config_unref(a);
    assert_int_equal(again->pool_size, 1); /* still held */
    config_unref(again);
    config_unref(b);
    config_unref(c);
}

static void test_load(void **state)
{
    char path[] = "/tmp/pgbraid-config-XXXXXX";
    int fd = mkstemp(path);
    struct strbuf report = STRBUF_INIT;
    struct err e = ERR_INIT;
    struct config *c;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "\xEF\xBB\xBF[pgbraid]\nport = 7\n", 22), 22);
    close(fd);
    c = config_load(path, &report, &e);
    assert_non_null(c);
    assert_int_equal(c->port, 7);
    assert_string_equal(c->directory, "/tmp/directory.db");
    config_unref(c);
    unlink(path);

    assert_null(config_load(path, &report, &e));
    assert_int_equal(e.id, PB0501);
    assert_non_null(strstr(e.message, "cannot be opened: No such file or directory"));
    assert_non_null(strstr(strbuf_str(&report), path));
    assert_null(config_load("/tmp", NULL, &e));
    assert_non_null(strstr(e.message, "cannot be read: Is a directory"));
    strbuf_fini(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),       cmocka_unit_test(test_values),
        cmocka_unit_test(test_bad_values),     cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_all_problems),   cmocka_unit_test(test_zero_byte_and_long_line),
        cmocka_unit_test(test_rows_read_back), cmocka_unit_test(test_printed_defaults),
        cmocka_unit_test(test_restart_needed), cmocka_unit_test(test_load),
        cmocka_unit_test(test_users),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
