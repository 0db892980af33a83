#include "store/db.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define V1                                                                                                             \
    "CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;"                                  \
    "CREATE TABLE child (parent_id INTEGER NOT NULL REFERENCES parent) STRICT;"
#define V2 "CREATE TABLE extra (x INTEGER) STRICT; INSERT INTO extra SELECT count(*) FROM parent;"

static const char *const steps[] = { V1, V2 };
static const char *const other_steps[] = { "CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT) STRICT;", V2 };
static const char *const broken_steps[] = { V1, "CREATE TABLE extra (x INTEGER) STRICT; CREATE TABEL oops;" };

static const struct db_schema v1 = { "test file", 0x70677431, steps, 1 };
static const struct db_schema v2 = { "test file", 0x70677431, steps, 2 };
static const struct db_schema other_program = { "test file", 0x70677432, steps, 1 };
static const struct db_schema altered = { "test file", 0x70677431, other_steps, 2 };
static const struct db_schema broken = { "test file", 0x70677431, broken_steps, 2 };

static char dir[64], path[96];

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/pgbraid-store-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/test.db", dir);
    return 0;
}

static int teardown(void **state)
{
    const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };
    char name[128];

    (void)state;
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
        unlink(name);
    }
    return rmdir(dir);
}

static struct db *open_ok(const struct db_schema *schema)
{
    struct err e = ERR_INIT;
    struct db *db = db_open(path, schema, true, &e);

    if (!db)
        fail_msg("%s: %s", e.message, e.detail);
    return db;
}

static void open_bad(const struct db_schema *schema, bool create, const char *message, const char *detail)
{
    struct err e = ERR_INIT;

    assert_null(db_open(path, schema, create, &e));
    assert_int_equal(e.id, PB0401);
    assert_string_equal(e.sqlstate, "58030");
    assert_non_null(strstr(e.message, path));
    if (!strstr(e.message, message) || !strstr(e.detail, detail))
        fail_msg("got \"%s\", \"%s\"", e.message, e.detail);
    assert_true(e.detail[0] != '\0');
    assert_true(e.hint[0] != '\0');
}

static void run_ok(struct db *db, const char *sql, const struct db_value *values)
{
    struct err e = ERR_INIT;

    if (!db_run(db, sql, values, &e))
        fail_msg("%s: %s", e.message, e.detail);
}

static int64_t count(struct db *db, const char *sql)
{
    struct db_rows *r = db_query(db, sql, DB_NO_VALUES);
    struct err e = ERR_INIT;
    int64_t n = -1;

    while (db_next(r))
        n = db_get_int(r, 0);
    assert_true(db_finish(r, &e));
    return n;
}

static void write_file(const char *bytes, size_t len)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    fclose(f);
}

static void test_values_and_rows(void **state)
{
    struct db *db = open_ok(&v1);
    struct err e = ERR_INIT;
    struct db_rows *r;

    (void)state;
    run_ok(db, "INSERT INTO parent VALUES (?1, ?2)", DB_VALUES(db_int(INT64_MIN), db_text("it's")));
    assert_int_equal(db_last_id(db), INT64_MIN);
    assert_int_equal(db_changes(db), 1);
    run_ok(db, "INSERT INTO parent VALUES (?1, ?2)", DB_VALUES(db_int(2), db_text("")));
    r = db_query(db, "SELECT id, name, ?1, ?2 FROM parent ORDER BY id", DB_VALUES(db_null(), db_text(NULL)));
    assert_true(db_next(r));
    assert_int_equal(db_get_int(r, 0), INT64_MIN);
    assert_string_equal(db_get_text(r, 1), "it's");
    assert_true(db_is_null(r, 2));
    assert_null(db_get_text(r, 3));
    assert_true(db_next(r));
    assert_string_equal(db_get_text(r, 1), "");
    assert_false(db_is_null(r, 1));
    assert_false(db_next(r));
    assert_true(db_finish(r, &e));

    /* Rows given up half-way. */
    r = db_query(db, "SELECT id FROM parent", DB_NO_VALUES);
    assert_true(db_next(r));
    assert_true(db_finish(r, &e));
    assert_int_equal(e.id, ERR_NONE);
    db_close(db);
    db_close(NULL);
}

static void test_constraints(void **state)
{
    struct db *db = open_ok(&v1);
    struct err e = ERR_INIT;

    (void)state;
    run_ok(db, "INSERT INTO parent VALUES (1, 'a')", DB_NO_VALUES);
    assert_false(db_run(db, "INSERT INTO parent VALUES (2, 'a')", DB_NO_VALUES, &e));
    assert_int_equal(e.id, PB0401);
    assert_non_null(strstr(e.detail, "UNIQUE constraint failed: parent.name"));
    assert_false(db_run(db, "INSERT INTO child VALUES (7)", DB_NO_VALUES, &e));
    assert_non_null(strstr(e.detail, "FOREIGN KEY"));
    assert_false(db_run(db, "INSERT INTO parent VALUES (3, ?1)", DB_VALUES(db_null()), &e));
    assert_non_null(strstr(e.detail, "NOT NULL"));
    assert_false(db_run(db, "SELEKT 1", DB_NO_VALUES, &e));
    assert_non_null(strstr(e.detail, "syntax error"));
    db_close(db);
}

static void test_transactions(void **state)
{
    struct db *db = open_ok(&v1);
    struct err e = ERR_INIT;

    (void)state;
    assert_true(db_begin(db, &e));
    run_ok(db, "INSERT INTO parent VALUES (1, 'a')", DB_NO_VALUES);
    db_rollback(db);
    db_rollback(db);
    assert_int_equal(count(db, "SELECT count(*) FROM parent"), 0);
    assert_true(db_begin(db, &e));
    assert_false(db_begin(db, &e));
    run_ok(db, "INSERT INTO parent VALUES (1, 'a')", DB_NO_VALUES);
    assert_true(db_commit(db, &e));
    assert_int_equal(count(db, "SELECT count(*) FROM parent"), 1);
    /* A commit that fails rolls back. */
    assert_true(db_begin(db, &e));
    run_ok(db, "PRAGMA defer_foreign_keys = ON", DB_NO_VALUES);
    run_ok(db, "INSERT INTO child VALUES (7)", DB_NO_VALUES);
    assert_false(db_commit(db, &e));
    assert_int_equal(count(db, "SELECT count(*) FROM child"), 0);
    assert_true(db_begin(db, &e));
    db_rollback(db);
    db_close(db);
}

/* What was committed is there after the process died without closing; what was not is gone. */
static void test_survives_kill(void **state)
{
    struct err e = ERR_INIT;
    struct db *db;
    int status;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        db = db_open(path, &v1, true, &e);
        if (!db || !db_run(db, "INSERT INTO parent VALUES (1, 'kept')", DB_NO_VALUES, &e) || !db_begin(db, &e) ||
            !db_run(db, "INSERT INTO parent VALUES (2, 'lost')", DB_NO_VALUES, &e))
            _exit(1);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    db = open_ok(&v1);
    assert_int_equal(count(db, "SELECT count(*) FROM parent"), 1);
    db_close(db);
}

/* One owner, whether the other one is in this process or another; free again when it is gone. */
static void test_one_owner(void **state)
{
    struct db *db = open_ok(&v1);
    int to_child[2], from_child[2], status;
    struct err e = ERR_INIT;
    pid_t pid;
    char c;

    (void)state;
    open_bad(&v1, true, "is in use", "Another pgbraid process owns it");
    db_close(db);

    assert_int_equal(pipe(to_child), 0);
    assert_int_equal(pipe(from_child), 0);
    pid = fork();
    if (pid == 0) {
        close(to_child[1]);
        db = db_open(path, &v1, true, &e);
        c = db ? 'y' : 'n';
        if (write(from_child[1], &c, 1) != 1 || read(to_child[0], &c, 1) < 0)
            _exit(1);
        _exit(0); /* without closing */
    }
    assert_int_equal(read(from_child[0], &c, 1), 1);
    assert_int_equal(c, 'y');
    open_bad(&v1, true, "is in use", "Another pgbraid process owns it");
    close(to_child[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(to_child[0]);
    close(from_child[0]);
    close(from_child[1]);
    db_close(open_ok(&v1));
}

static void test_upgrade(void **state)
{
    struct db *db = open_ok(&v1);

    (void)state;
    run_ok(db, "INSERT INTO parent VALUES (1, 'a')", DB_NO_VALUES);
    db_close(db);
    db = open_ok(&v2);
    assert_int_equal(count(db, "SELECT x FROM extra"), 1);
    assert_int_equal(count(db, "PRAGMA user_version"), 2);
    db_close(db);
    db_close(open_ok(&v2));
    open_bad(&v1, true, "was written by a newer pgbraid", "version 2; this pgbraid knows versions up to 1");
}

/* A step that fails leaves the version before it. */
static void test_failed_upgrade(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    db_close(open_ok(&v1));
    assert_null(db_open(path, &broken, true, &e));
    assert_int_equal(e.id, PB0401);
    assert_non_null(strstr(e.detail, "syntax error"));
    db_close(open_ok(&v1));
    db_close(open_ok(&v2));
}

static void test_missing(void **state)
{
    (void)state;
    open_bad(&v1, false, "cannot be opened: No such file or directory", "");
    assert_int_equal(access(path, F_OK), -1);
}

static void test_bad_paths(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    assert_null(db_open("", &v1, true, &e));
    assert_string_equal(e.message, "\"\" is not a file name for a test file");
    assert_null(db_open(":memory:", &v1, true, &e));
    assert_null(db_open("/nonexistent/x.db", &v1, true, &e));
    assert_non_null(strstr(e.message, "\"/nonexistent/x.db\" cannot be opened: No such file or directory"));
    assert_null(db_open(dir, &v1, true, &e));
    assert_non_null(strstr(e.message, "cannot be opened"));
}

static void test_not_a_database(void **state)
{
    char text[4096];

    (void)state;
    memset(text, 'x', sizeof(text));
    write_file(text, sizeof(text));
    open_bad(&v1, true, "is not a pgbraid file", "not an SQLite database");
    write_file("short", 5);
    open_bad(&v1, true, "is not a pgbraid file", "not an SQLite database");
}

static void test_empty_file(void **state)
{
    (void)state;
    write_file("", 0);
    db_close(open_ok(&v1));
}

static void test_other_program(void **state)
{
    struct db *db = open_ok(&other_program);
    struct stat before, after;

    (void)state;
    db_close(db);
    assert_int_equal(stat(path, &before), 0);
    open_bad(&v1, true, "is not a pgbraid file", "another program");
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    db_close(open_ok(&other_program));
}

static void test_altered(void **state)
{
    struct db *db = open_ok(&v1);

    (void)state;
    db_close(db);
    open_bad(&altered, true, "has been altered", "not those of version 2");
    db = open_ok(&v2);
    run_ok(db, "CREATE TRIGGER t AFTER INSERT ON parent BEGIN SELECT 1; END", DB_NO_VALUES);
    db_close(db);
    open_bad(&v2, true, "has been altered", "not those of version 2");
}

/* Overwrite every page but the first, one after the other: each is noticed, nothing crashes. */
static void test_corrupt_pages(void **state)
{
    struct db *db = open_ok(&v1);
    char good[65536], bad[65536], name[32];
    size_t len;
    FILE *f;

    (void)state;
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "name %d", i);
        run_ok(db, "INSERT INTO parent (name) VALUES (?1)", DB_VALUES(db_text(name)));
    }
    db_close(db);
    f = fopen(path, "r");
    assert_non_null(f);
    len = fread(good, 1, sizeof(good), f);
    fclose(f);
    assert_true(len >= 4 * 4096 && len < sizeof(good));
    for (size_t page = 4096; page < len; page += 4096) {
        memcpy(bad, good, len);
        memset(bad + page, 0xA5, 4096);
        write_file(bad, len);
        open_bad(&v1, true, "is damaged", "");
    }
    /* Cut in the middle. */
    write_file(good, len - 4096);
    open_bad(&v1, true, "is damaged", "");
    write_file(good, len);
    db_close(open_ok(&v1));
}

/* A reference to nothing, as an edit with another tool leaves it. */
static void test_orphan(void **state)
{
    struct db *db = open_ok(&v1);

    (void)state;
    run_ok(db, "PRAGMA foreign_keys = OFF", DB_NO_VALUES);
    run_ok(db, "INSERT INTO child VALUES (7)", DB_NO_VALUES);
    db_close(db);
    open_bad(&v1, true, "is damaged", "A row of table child refers to a row that does not exist");
}

/* In a process without root's rights. */
static void open_unprivileged(const char *message)
{
    struct err e = ERR_INIT;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct db *db;

        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(2);
        db = db_open(path, &v1, true, &e);
        if (db || e.id != PB0401 || !strstr(e.message, message) || !strstr(e.message, path) || !e.detail[0] ||
            !e.hint[0]) {
            fprintf(stderr, "# got \"%s\", \"%s\"\n", e.message, e.detail);
            _exit(1);
        }
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_permissions(void **state)
{
    (void)state;
    assert_int_equal(chmod(dir, 0555), 0);
    open_unprivileged("cannot be opened: Permission denied"); /* no file, and none can be made */
    db_close(open_ok(&v1));
    assert_int_equal(chmod(path, 0444), 0);
    open_unprivileged("cannot be written");
    assert_int_equal(chmod(path, 0666), 0);
    open_unprivileged("cannot be written"); /* the WAL file cannot be made */
    assert_int_equal(chmod(path, 0), 0);
    open_unprivileged("cannot be opened: Permission denied");
    assert_int_equal(chmod(dir, 0755), 0);
}

/* A disk without room: the change is refused and what was there before is all there is. */
static void test_full_disk(void **state)
{
    struct rlimit limit = { .rlim_cur = 64 * 1024, .rlim_max = 64 * 1024 };
    struct err e = ERR_INIT;
    struct db *db = open_ok(&v1);
    int status, n = 0;
    pid_t pid;

    (void)state;
    run_ok(db, "INSERT INTO parent VALUES (1, 'a')", DB_NO_VALUES);
    db_close(db);
    pid = fork();
    if (pid == 0) {
        signal(SIGXFSZ, SIG_IGN);
        db = setrlimit(RLIMIT_FSIZE, &limit) == 0 ? db_open(path, &v1, false, &e) : NULL;
        while (db && n++ < 1000 &&
               db_run(db, "INSERT INTO parent (name) VALUES (hex(randomblob(4000)))", DB_NO_VALUES, &e))
            ;
        if (!db || e.id != PB0401 || !strstr(e.message, "cannot be read or written") || !strstr(e.message, path))
            _exit(1);
        _exit(n); /* inserts tried, the last without success */
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) > 1);
    db = open_ok(&v1);
    assert_int_equal(count(db, "SELECT count(*) FROM parent"), WEXITSTATUS(status));
    db_close(db);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_values_and_rows), TEST(test_constraints),    TEST(test_transactions),   TEST(test_survives_kill),
        TEST(test_one_owner),       TEST(test_upgrade),        TEST(test_failed_upgrade), TEST(test_missing),
        TEST(test_bad_paths),       TEST(test_not_a_database), TEST(test_empty_file),     TEST(test_other_program),
        TEST(test_altered),         TEST(test_corrupt_pages),  TEST(test_orphan),         TEST(test_permissions),
        TEST(test_full_disk),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
