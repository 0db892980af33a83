#!/usr/bin/perl
# What other sharding systems answer wrongly without a word. Each statement runs on three shards and on one plain server:
# the answers are equal, or the router refuses. Which of the two is written down where it is the point: `same` and `refused`;
# `right` is either.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Twin;
use PgbraidTest::Wire;

my $tables = <<'END';
CREATE TABLE users (id bigint PRIMARY KEY, name text, val int);
CREATE TABLE orders (user_id bigint NOT NULL, id int NOT NULL, item text, amount numeric, PRIMARY KEY (user_id, id));
CREATE TABLE items (id bigint PRIMARY KEY, name text);
CREATE TABLE labels (code varchar(20) PRIMARY KEY, n int);
CREATE TABLE cities (code text PRIMARY KEY, name text, n int);
CREATE TABLE local (k int PRIMARY KEY, v text);
INSERT INTO users SELECT i, 'n' || i % 4, NULLIF(i % 6, 2) FROM generate_series(1, 24) i;
INSERT INTO orders SELECT i % 12 + 1, i, 'n' || i % 5, i / 4.0 FROM generate_series(1, 60) i;
INSERT INTO items SELECT i, 'n' || i % 5 FROM generate_series(1, 24) i;
INSERT INTO labels SELECT i::text, i FROM generate_series(1, 20) i;
INSERT INTO cities VALUES ('n1', 'Bonn', 1), ('n2', 'Lyon', 2), ('n3', 'Bari', 3);
INSERT INTO local VALUES (1, 'n1'), (2, 'n2');
END
my $t = PgbraidTest::Twin->new(tables => $tables, sharded => { users => ['id'], orders => ['user_id'], items => ['id'], labels => ['code'] }, reference => ['cities']);
is($t->contents_differ, undef, 'the same rows to begin with');

sub check
{
    my ($expect, $sql, %opt) = @_;
    my %out;
    my $diff = $t->differs($sql, contents => scalar($sql !~ /^SELECT/), %opt, out => \%out);
    is($diff // ($out{refused} ? 'refused' : 'same'), $expect, $sql . ($opt{values} ? ' with ' . PgbraidTest::Twin::row($opt{values}) : ''));
    return;
}
sub same    { my ($sql, %opt) = @_; check('same', $sql, %opt); return; }
sub refused { my ($sql, %opt) = @_; check('refused', $sql, %opt); return; }
# Refused once, answered by gathering now: what can be gathered may change, what may not is a wrong answer.
sub right
{
    my ($sql, %opt) = @_;
    my $diff = $t->differs($sql, %opt);
    is($diff // 'right', 'right', $sql);
    return;
}

# --- routing: the first "key = constant" anywhere decides ---
same('SELECT id = 1 FROM users');
same('SELECT id, id = 1 AS one FROM users WHERE val > 1');
right('SELECT count(*) FILTER (WHERE id = 1) FROM users');
right('SELECT * FROM users u LEFT JOIN orders o ON o.user_id = 5');
same('SELECT * FROM users u LEFT JOIN orders o ON o.user_id = u.id AND o.user_id = 5');
right('SELECT id, (SELECT count(*) FROM orders WHERE user_id = 1) FROM users');
same('SELECT id, (SELECT count(*) FROM orders WHERE user_id = 1) FROM users WHERE id = 1');
same('SELECT id FROM users WHERE id = 1 UNION SELECT id FROM users WHERE id = 1');
for my $pair ([ 1, 2 ], [ 1, 3 ], [ 2, 5 ], [ 4, 9 ], [ 5, 6 ]) { # some of them share a shard
    my ($a, $b) = @$pair;
    my $diff = $t->differs("SELECT id FROM users WHERE id = $a UNION SELECT id FROM users WHERE id = $b");
    is($diff, undef, "a UNION of keys $a and $b is right or refused");
    $diff = $t->differs("SELECT u.name, o.item FROM users u, orders o WHERE u.id = $a AND o.user_id = $b");
    is($diff, undef, "tables bound to keys $a and $b are right or refused");
}
# OR
same("SELECT * FROM users WHERE id = 1 OR val = 5");
same("UPDATE users SET name = 'or' WHERE id = 1 OR val = 5");
same("DELETE FROM orders WHERE user_id = 1 OR item = 'n3'");
same('SELECT * FROM users WHERE NOT (id <> 1 AND val <> 5)');
# ranges
same('SELECT * FROM users WHERE id <= 20');
same('SELECT * FROM users WHERE id BETWEEN 3 AND 3');
same('UPDATE users SET val = 1 WHERE id >= 4 AND id <= 4');
same('DELETE FROM orders WHERE user_id < 3');
# several statements
same('SELECT id FROM users WHERE id = 1; SELECT id FROM users WHERE id = 2; SELECT id FROM users WHERE id = 3');
same("UPDATE users SET name = 'a' WHERE id = 1; UPDATE users SET name = 'b' WHERE id = 2; DELETE FROM users WHERE id = 3");
# keys of other forms
same('SELECT n FROM labels WHERE code = $$12$$');
same("SELECT n FROM labels WHERE code = '12'");
same('SELECT n FROM labels WHERE code = 12');
same('INSERT INTO labels (code, n) VALUES (121, 1)');
same("SELECT n FROM labels WHERE code = '121'");
refused('INSERT INTO users (id, name) VALUES (100 + 1, $$x$$)');
refused("INSERT INTO users (id, name) VALUES (length('abc'), 'x'), (102, 'y')");
refused('INSERT INTO users (id, name) SELECT id + 100, name FROM users');
refused("INSERT INTO orders (user_id, id) SELECT val, 500 + id FROM users WHERE id = 1");
same("INSERT INTO orders (user_id, id) SELECT id, 500 FROM users WHERE id = 4");
refused("INSERT INTO users (name) SELECT name FROM users WHERE id = 1");
# COPY without a column list; "\." in the middle
{
    my %tag;
    for my $side (qw(router plain)) {
        my $r = $t->sessions->{$side}->query('COPY users FROM STDIN', copy => join('', map { "$_\tcopied\t\\N\n" } 201 .. 230));
        $tag{$side} = $r->{error} ? $r->{error}{C} : "@{ $r->{tags} }";
    }
    is($tag{router}, $tag{plain}, 'COPY without a column list');
    is($t->contents_differ, undef, 'COPY: each row is on one shard');
}
for my $data ("301\ta\t1\n\\.\n302\tb\t2\n", "303\ta\\\\.\t1\n304\tb\t2\n", "305\t\\\\.\t1\n306\tb\t2\n") {
    my %end;
    for my $side (qw(router plain)) {
        my $w = $t->sessions->{$side};
        $w->send(Query('COPY users FROM STDIN'), CopyData($data), CopyDone());
        $end{$side} = summary(grep { $_->{type} ne 'N' } $w->until_ready);
    }
    is($end{router}, $end{plain}, 'COPY with "\\." in a chunk: ' . PgbraidTest::Twin::row([$data]));
    is($t->contents_differ, undef, 'COPY with "\\." in a chunk: the same rows');
}
# a table that nobody declared is on the home shard alone
same("INSERT INTO local VALUES (3, 'x'), (4, 'y')");
is_deeply([ map { scalar @{ $t->cluster->rows($_, "SELECT 1 FROM pg_class WHERE relname = 'local'") } } 1 .. 3 ], [ 1, 0, 0 ], 'an undeclared table is on the home shard only');
# writes in WITH
refused("WITH w AS (UPDATE users SET val = 9 RETURNING id) SELECT * FROM w");
refused("WITH w AS (DELETE FROM orders WHERE user_id = 5 RETURNING *) SELECT name FROM users");
refused("WITH w AS (INSERT INTO users (id) VALUES (401), (402), (403) RETURNING id) SELECT id FROM items");
same('WITH w AS (DELETE FROM orders WHERE user_id = 5 RETURNING *) SELECT u.name, w.item FROM users u, w WHERE u.id = 5');
same('WITH a AS (UPDATE users SET val = 77 WHERE id = 5 RETURNING val), b AS (SELECT val FROM users WHERE id = 5) SELECT a.val, b.val FROM a, b');
refused("WITH w AS (UPDATE cities SET n = n + 1 RETURNING n) SELECT count(*) FROM users, w");

# --- merging ---
right($_) for 'SELECT count(*) FROM users', 'SELECT id FROM users ORDER BY id LIMIT 2', 'SELECT id FROM users ORDER BY id OFFSET 3', 'SELECT id FROM users ORDER BY id LIMIT 2 OFFSET 3', 'SELECT count(*) FROM (SELECT id FROM users LIMIT 2) u',
    'SELECT val, count(*) FROM users GROUP BY val ORDER BY 1 LIMIT 2', 'SELECT id FROM users ORDER BY -id', 'SELECT id FROM users ORDER BY name, id', 'SELECT val FROM users ORDER BY val NULLS FIRST', 'SELECT val FROM users ORDER BY val DESC',
    'SELECT name FROM users ORDER BY name COLLATE "C"', 'SELECT val FROM users GROUP BY val HAVING count(*) > 2', 'SELECT 1 FROM users HAVING count(*) > 2', 'SELECT name, val FROM users GROUP BY name, val HAVING max(id) > 3',
    'SELECT id, row_number() OVER (ORDER BY id) FROM users', 'SELECT id, sum(val) OVER () FROM users', 'SELECT DISTINCT ON (name) name, id FROM users ORDER BY name, id', 'SELECT DISTINCT name FROM users',
    'SELECT name, val, count(*) FROM users GROUP BY GROUPING SETS ((name), (val), ())', 'SELECT name, count(*) FROM users GROUP BY ROLLUP (name)', 'SELECT val FROM users GROUP BY val', 'SELECT max(id) FROM users GROUP BY val',
    'SELECT coalesce(sum(val), 0) FROM users', 'SELECT avg(val) FROM users', 'SELECT count(DISTINCT val) FROM users', "SELECT string_agg(name, ',' ORDER BY id) FROM users", 'SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY val) FROM users',
    'SELECT id FROM users ORDER BY id FETCH FIRST 2 ROWS WITH TIES', 'SELECT id FROM users UNION SELECT user_id FROM orders', 'SELECT id FROM users INTERSECT SELECT user_id FROM orders', 'SELECT id FROM users EXCEPT SELECT user_id FROM orders',
    'SELECT min(val), max(val) FROM users', 'SELECT bool_and(val > 1) FROM users', 'SELECT count(*) FROM users u JOIN orders o ON o.user_id = u.id', 'SELECT val + 1, count(*) FROM users GROUP BY 1';
right($_) for 'SELECT u.id, i.id FROM users u, items i', 'SELECT u.id, i.id FROM users u CROSS JOIN items i', 'SELECT u.id, i.id FROM users u JOIN items i ON i.name = u.name', 'SELECT u.id, i.id FROM users u JOIN items i ON i.id = u.val',
    'SELECT u.id FROM users u WHERE u.val = (SELECT max(val) FROM users)', 'SELECT u.id FROM users u WHERE EXISTS (SELECT FROM items i WHERE i.name = u.name)', 'SELECT u.id FROM users u WHERE u.name NOT IN (SELECT name FROM items)',
    'SELECT u.id, (SELECT count(*) FROM orders o WHERE o.item = u.name) FROM users u', 'SELECT u.id FROM users u WHERE u.id IN (SELECT val FROM users)', 'SELECT u.id FROM users u JOIN users v ON v.id = u.val',
    'WITH RECURSIVE r AS (SELECT id, val FROM users WHERE id = 1 UNION ALL SELECT u.id, u.val FROM users u JOIN r ON u.id = r.val + 1 WHERE r.id < 5) SELECT * FROM r',
    'WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT r.n, u.id FROM r JOIN users u ON true', 'SELECT * FROM users NATURAL JOIN local', 'SELECT l.v, u.id FROM local l JOIN users u ON u.id = l.k',
    'SELECT u.id, o.id FROM users u, LATERAL (SELECT id FROM items WHERE name = u.name ORDER BY id LIMIT 1) o', 'SELECT u.id FROM users u, local l WHERE u.id = l.k';
refused($_) for 'UPDATE users SET val = i.id FROM items i WHERE i.name = users.name', 'DELETE FROM users USING items i WHERE i.name = users.name AND i.id = 3';
same($_) for 'SELECT u.id, o.id FROM users u JOIN orders o ON o.user_id = u.id', 'SELECT u.id FROM users u WHERE EXISTS (SELECT FROM orders o WHERE o.user_id = u.id AND o.item = u.name)', 'SELECT u.id, c.name FROM users u JOIN cities c ON c.code = u.name',
    'SELECT u.id, (SELECT max(o.amount) FROM orders o WHERE o.user_id = u.id) FROM users u', 'SELECT count(*), sum(val), max(name) FROM users WHERE id = 7', 'SELECT item, count(*) FROM orders WHERE user_id = 7 GROUP BY item HAVING max(amount) > 1',
    'SELECT id, rank() OVER (ORDER BY amount) FROM orders WHERE user_id = 7', 'UPDATE orders SET amount = u.val FROM users u WHERE u.id = orders.user_id', 'SELECT u.id FROM users u LEFT JOIN cities c ON c.code = u.name';
same('SELECT id, item FROM orders WHERE user_id = 7 ORDER BY amount DESC, id LIMIT 2 OFFSET 1', ordered => 1);
# reference tables: once, not once per shard
same($_) for 'SELECT count(*) FROM cities', "INSERT INTO cities VALUES ('x', 'X', 5) RETURNING *", "UPDATE cities SET n = n + 1 WHERE code = 'x' RETURNING *", "DELETE FROM cities WHERE code = 'x' RETURNING *", "INSERT INTO cities VALUES ('y', 'Y', 1), ('z', 'Z', 1)", 'UPDATE cities SET n = 0',
    "DELETE FROM cities WHERE code IN ('y', 'z')", 'SELECT * FROM cities ORDER BY code LIMIT 2';
# tags add up
same("INSERT INTO users (id, name) VALUES (501, 'a'), (502, 'b'), (503, 'c'), (504, 'd')");
same("INSERT INTO users (id, name) VALUES (503, 'a'), (505, 'b'), (506, 'c') ON CONFLICT DO NOTHING");
same('UPDATE users SET val = 3 WHERE id IN (501, 502, 503)');
same('DELETE FROM users WHERE id IN (501, 502, 503, 504, 999)');

# --- seen in Citus ---
right('SELECT o.item FROM orders o JOIN items i ON i.name = o.item GROUP BY o.item HAVING max(o.amount) > 5');
refused('INSERT INTO orders (user_id, id) SELECT NULLIF(id, id), 1 FROM users');
same('INSERT INTO orders (user_id, id) SELECT NULL, 1 FROM users WHERE id = 5');
right('SELECT id, now() = now() FROM users');
right('SELECT id FROM users WHERE now() IS NULL');
refused('INSERT INTO users (id, name) SELECT id, name FROM users ON CONFLICT DO NOTHING');
same('INSERT INTO users (id, name) SELECT id, name FROM users WHERE id = 5 ON CONFLICT DO NOTHING');

# --- transactions ---
same($_) for 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only'), count(*) FROM users WHERE id = 7", 'UPDATE users SET val = 1 WHERE id = 7', 'ROLLBACK',
    'BEGIN READ ONLY', 'SELECT id FROM users WHERE id = 1', 'SELECT id FROM users WHERE id = 2', 'UPDATE users SET val = 1 WHERE id = 3', 'SELECT 1', 'ROLLBACK', # read only on the shard that joins last, too
    'BEGIN', 'SELECT id FROM users WHERE id = 1', 'SAVEPOINT a', 'UPDATE users SET val = 1000 WHERE id = 7', 'UPDATE users SET val = 1000 WHERE id = 8', 'UPDATE users SET val = 1000 WHERE id = 9', 'ROLLBACK TO a', 'COMMIT';
# SQL PREPARE, whatever its body looks like
same($_) for 'PREPARE p AS SELECT id FROM users WHERE id = $1', "PREPARE \"a as b\" (text, int) AS SELECT ' AS ' || \$1", 'EXECUTE p (1)', q{EXECUTE "a as b" ('x', 1)}, 'DEALLOCATE ALL';
same('PREPARE p (int AS SELECT');
same('SELECT id FROM users WHERE id = 7');

done_testing();
