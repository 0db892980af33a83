#!/usr/bin/perl
# PREPARE and EXECUTE in SQL, beside one plain server: what the wire scripts (golden/wire/sql_prepare*.wire) do not show.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Twin;

my $t = PgbraidTest::Twin->new(
    everywhere => "CREATE TYPE mood AS ENUM ('sad', 'glad');",
    tables     => "CREATE TABLE o (id int PRIMARY KEY, v text, m mood); INSERT INTO o SELECT i, 'v' || i, (CASE WHEN i % 2 = 0 THEN 'sad' ELSE 'glad' END)::mood FROM generate_series(1, 30) i;
        CREATE TABLE u (id int PRIMARY KEY, v text); INSERT INTO u VALUES (1, 'u1');",
    sharded => { o => [q(id)] },
);
my $is_same = sub { my ($sql, %opt) = @_; my %out; is($t->differs($sql, out => \%out, %opt), undef, $sql); ok(!$out{refused}, "... and is answered") or diag("$out{got}{error}{M}"); return; };

$is_same->($_) for 'PREPARE a (int) AS SELECT * FROM o WHERE id = $1', 'EXECUTE a(3)', 'EXECUTE a(4)', 'PREPARE m AS SELECT id FROM o WHERE m = $1', q{EXECUTE m('sad')}, q{EXECUTE m('odd')},
    'PREPARE mi AS INSERT INTO o VALUES ($1, $2, $3) RETURNING *', q{EXECUTE mi(100, 'x', 'glad')}, q{EXECUTE mi(100, 'x', 'glad')}, q{EXECUTE mi(101, NULL, NULL)},
    'PREPARE j AS SELECT o.id, u.v FROM o JOIN u ON u.id = o.id WHERE o.v <> $1', q{EXECUTE j('')}, 'PREPARE h AS SELECT v FROM u WHERE id = $1', 'EXECUTE h(1)', 'EXECUTE h(NULL)';
is($t->contents_differ, undef, 'the same rows afterwards');

my $w = $t->router->wire;
is($w->error('EXECUTE a(3)')->{C}, '26000', 'names belong to a session');
is($w->error($_)->{C}, '0A000', "refused: $_") for 'PREPARE x (mood) AS SELECT $1', 'PREPARE x AS SELECT pgbraid.shard_table($1)', q{PREPARE x AS SELECT set_config('pgbraid.commit', $1, false)}, 'SELECT * FROM pg_prepared_statements';
$w->do('PREPARE a (int, text) AS SELECT id FROM o WHERE id = $1 AND v = $2');
is($w->error($_)->{C}, '0A000', "refused: $_") for 'EXECUTE a(1 + 1, NULL)', 'EXECUTE a(1, now())', 'EXECUTE a(1.5, NULL)', 'EXECUTE a(true, NULL)', 'CREATE TABLE made AS EXECUTE a(1, NULL)', 'EXECUTE a(1, 1e3)';
like($w->value('EXPLAIN (COSTS OFF) EXECUTE a(3, NULL)'), qr/Result|Index Scan/, 'EXPLAIN EXECUTE shows the plan of the shard');
like($w->value(q{EXPLAIN EXECUTE a(3, 'x')}), qr/o_pkey/, 'EXPLAIN EXECUTE: by its arguments');
is($w->error('EXPLAIN EXECUTE a(3)')->{C}, '42601', 'EXPLAIN EXECUTE: as many arguments as parameters');

# Rule P13: the columns change under the statement.
$w->do('PREPARE s (int) AS SELECT * FROM u WHERE id = $1', 'EXECUTE s(1)', 'PREPARE s2 (int) AS SELECT v FROM u WHERE id = $1');
$t->router->wire->do('ALTER TABLE u ADD COLUMN more int');
is($w->error('EXECUTE s(1)')->{M}, 'cached plan must not change result type', 'P13: EXECUTE of a statement whose columns have changed');
is($w->value('EXECUTE s2(1)'), 'u1', 'P13: and of one whose columns have not');
$w->do('DEALLOCATE s', 'PREPARE s (int) AS SELECT * FROM u WHERE id = $1');
is_deeply($w->rows('EXECUTE s(1)'), [ [ 1, 'u1', undef ] ], 'P13: prepared anew');

# The settings of a session change under it (P12, P13).
$w->do('CREATE SCHEMA other', 'CREATE TABLE other.u (id int PRIMARY KEY, v text)', q{INSERT INTO other.u VALUES (1, 'other')}, 'SET search_path = other, public');
is($w->value('EXECUTE s2(1)'), 'other', 'P12: names are looked up at EXECUTE, as in PostgreSQL');
done_testing();
