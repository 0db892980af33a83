#!/usr/bin/perl
# Semi-joins of gathered statements: a table is asked only for rows that go with those of a smaller one. The answer is one
# server's; a number before a statement says how many queries with values the shards must have seen the first time.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Proc;
use PgbraidTest::Twin;
use PgbraidTest::Wire;

my $tables = <<'END';
CREATE TABLE cus (id bigint PRIMARY KEY, name text, city text, boss int, code uuid, born date, at timestamp, w numeric, short smallint, chr char(4), vc varchar(9));
CREATE TABLE ord (id int PRIMARY KEY, cus_id int, name text, code uuid, born date, at timestamp, w numeric, v bigint, chr char(6), vc varchar(20));
CREATE TABLE lin (ord_id bigint, n int, item text, v int, PRIMARY KEY (ord_id, n));
CREATE TABLE two (a int, b text, cus_id bigint, PRIMARY KEY (a, b));
CREATE TABLE ref (k text PRIMARY KEY, cus_id int);
CREATE TABLE uns (id int PRIMARY KEY, cus_id bigint, note text);
CREATE TABLE big (id int PRIMARY KEY, v int);
INSERT INTO cus SELECT i, 'n' || i % 40, 'c' || i % 7, NULLIF(i / 2, 0), md5((i % 50)::text)::uuid, date '2020-01-01' + i % 60, timestamp '2020-01-01' + i % 60 * interval '1 hour',
  (i % 30)::numeric / 2, i % 20, 'x' || i % 9, 'y' || i % 9 FROM generate_series(1, 300) i;
INSERT INTO ord SELECT i, NULLIF(i % 331, 0), 'n' || i % 45, md5((i % 55)::text)::uuid, date '2020-01-01' + i % 70, timestamp '2020-01-01' + i % 70 * interval '1 hour',
  (i % 40) * 0.50, i % 13, 'x' || i % 11, 'y' || i % 11 FROM generate_series(1, 700) i;
INSERT INTO lin SELECT i % 500, i, 'i' || i % 17, i % 5 FROM generate_series(1, 900) i;
INSERT INTO two SELECT i % 10, 'b' || i, i FROM generate_series(1, 90) i;
INSERT INTO ref SELECT 'n' || i, i * 3 FROM generate_series(1, 30) i;
INSERT INTO uns SELECT i, NULLIF(i * 5, 50), 'u' || i % 4 FROM generate_series(1, 60) i;
INSERT INTO big SELECT i, i % 700 FROM generate_series(1, 12000) i;
END
my $twin = PgbraidTest::Twin->new(tables => $tables, sharded => { cus => ['id'], ord => ['id'], lin => ['ord_id'], two => [ 'a', 'b' ], big => ['id'] }, reference => ['ref'],
    settings => { log_statement => 'all' }, config => { gather_array_rows => 30 }); # more go into temporary tables
my $cluster = $twin->cluster;
$cluster->do($_, 'ANALYZE') for 1 .. 3; # sizes are asked for at first
my $log_from = 0;

# Queries with values that the shards have logged since the last call.
sub narrowed
{
    my $log = $cluster->server_log(1);
    my $n = () = substr($log, $log_from) =~ /execute .*OPERATOR\(pg_catalog\.=\) ANY \(\$/g;
    $log_from = length $log;
    return $n;
}

# Each is tried as a simple query, in text and binary; values in a line of their own, by \values.
my @statements = split /;\n/, <<'END';
2: SELECT o.id, c.name FROM ord o JOIN cus c ON c.id = o.cus_id WHERE o.id IN (5, 9, 11);
1: SELECT o.id, c.name FROM ord o JOIN cus c ON c.id = o.cus_id WHERE o.id = 5;
1: SELECT o.id, c.name FROM cus c JOIN ord o ON c.id = o.cus_id WHERE o.id = 5;
0: SELECT o.id, c.name FROM ord o JOIN cus c ON c.id = o.cus_id WHERE o.id = 331;
0: SELECT o.id, c.name FROM ord o LEFT JOIN cus c ON c.id = o.cus_id WHERE o.id IN (331, 662);
2: SELECT o.id, c.name FROM ord o LEFT JOIN cus c ON c.id = o.cus_id WHERE o.id IN (331, 7, 328, 329);
SELECT o.id, c.name FROM ord o JOIN cus c ON c.id = o.cus_id WHERE o.id IN (5, 9) AND 10 / (o.id - 5) > -100;
SELECT o.id, c.name FROM ord o RIGHT JOIN cus c ON c.id = o.cus_id WHERE c.city = 'c3';
SELECT o.id, c.name FROM ord o RIGHT JOIN cus c ON c.id = o.cus_id WHERE o.id = 3;
SELECT o.id, c.name FROM ord o FULL JOIN cus c ON c.id = o.cus_id WHERE c.city = 'c3' OR o.id = 3;
3: SELECT o.id, c.id FROM ord o JOIN cus c ON c.name = o.name WHERE o.v = 3 AND o.id < 300;
3: SELECT o.id, c.id FROM ord o JOIN cus c ON c.code = o.code WHERE c.city = 'c1' AND c.id < 40;
3: SELECT o.id, c.id FROM ord o JOIN cus c ON c.born = o.born WHERE c.city = 'c1' AND c.id < 40;
3: SELECT o.id, c.id FROM ord o JOIN cus c ON c.at = o.at WHERE c.city = 'c1' AND c.id < 40;
3: SELECT o.id, c.id, o.w, c.w FROM ord o JOIN cus c ON c.w = o.w WHERE c.city = 'c1' AND c.id < 40;
3: SELECT o.id, c.id FROM ord o JOIN cus c ON c.short = o.cus_id WHERE c.city = 'c1' AND c.id < 40;
3: SELECT o.id, c.id FROM ord o JOIN cus c ON c.chr = o.chr WHERE c.city = 'c1' AND c.id < 40;
3: SELECT o.id, c.id FROM ord o JOIN cus c ON c.vc = o.vc WHERE c.city = 'c1' AND c.id < 40;
3: SELECT o.id, c.id FROM ord o JOIN cus c ON c.name = o.vc WHERE c.id < 40;
SELECT o.id, c.id FROM ord o JOIN cus c ON c.name = o.chr WHERE c.id < 40;
SELECT o.id, c.id FROM ord o JOIN cus c ON c.id = o.w WHERE c.id < 40;
SELECT o.id, c.id FROM ord o JOIN cus c USING (name, code) WHERE c.id < 40;
SELECT count(*), sum(o.v) FROM ord o NATURAL JOIN (SELECT id AS cus_id, city FROM cus) c WHERE c.city = 'c2';
SELECT o.id, c.city, l.item FROM ord o JOIN cus c ON c.id = o.cus_id JOIN lin l ON l.ord_id = o.cus_id WHERE o.id = 17;
SELECT o.id, c.city, b.city FROM ord o JOIN cus c ON c.id = o.cus_id JOIN cus b ON b.id = c.boss WHERE o.id = 17;
SELECT o.id, c.city, b.city, d.city FROM ord o JOIN cus c ON c.id = o.cus_id JOIN cus b ON b.id = c.boss LEFT JOIN cus d ON d.id = b.boss AND d.city <> 'c1' WHERE o.id BETWEEN 17 AND 25;
SELECT c.id FROM cus c WHERE c.id IN (SELECT o.cus_id FROM ord o WHERE o.id < 9);
SELECT c.id FROM cus c WHERE EXISTS (SELECT 1 FROM ord o WHERE o.cus_id = c.id AND o.v = 5) AND c.city = 'c2';
SELECT c.id FROM cus c WHERE NOT EXISTS (SELECT 1 FROM ord o WHERE o.cus_id = c.id AND o.v = 5) AND c.city = 'c2';
SELECT c.id FROM cus c WHERE c.id NOT IN (SELECT o.cus_id FROM ord o WHERE o.id > 350) AND c.city = 'c2';
SELECT c.id FROM cus c WHERE c.id NOT IN (SELECT o.cus_id FROM ord o WHERE o.id BETWEEN 300 AND 330) AND c.city = 'c2';
SELECT c.id, (SELECT max(o.v) FROM ord o WHERE o.cus_id = c.id) FROM cus c WHERE c.city = 'c4';
SELECT c.id, (SELECT count(*) FROM ord o WHERE o.name = c.name) FROM cus c WHERE c.id IN (3, 4, 250);
SELECT c.id, q.n FROM cus c JOIN (SELECT cus_id, count(*) AS n FROM ord GROUP BY cus_id) q ON q.cus_id = c.id WHERE c.id < 9;
SELECT c.id, q.n FROM cus c LEFT JOIN LATERAL (SELECT count(*) AS n FROM ord o WHERE o.cus_id = c.id) q ON true WHERE c.id < 9;
SELECT c.id, q.r FROM cus c JOIN (SELECT cus_id, rank() OVER (ORDER BY v, id) AS r FROM ord) q ON q.cus_id = c.id WHERE c.id < 9;
SELECT c.id, q.id FROM cus c JOIN (SELECT cus_id, id FROM ord ORDER BY id LIMIT 40) q ON q.cus_id = c.id WHERE c.id < 9;
WITH q AS (SELECT cus_id, id FROM ord) SELECT c.id, q.id FROM cus c JOIN q ON q.cus_id = c.id WHERE c.id < 9;
WITH q AS (SELECT cus_id, id FROM ord) SELECT c.id, q.id, (SELECT count(*) FROM q) FROM cus c JOIN q ON q.cus_id = c.id WHERE c.id < 9;
SELECT c.id, q.id FROM cus c JOIN (SELECT cus_id, id FROM ord UNION ALL SELECT cus_id, a FROM two) q ON q.cus_id = c.id WHERE c.id < 9;
SELECT c.id, t.b FROM cus c JOIN two t ON t.cus_id = c.id WHERE c.id < 9;
SELECT c.id, t.b FROM cus c JOIN two t ON t.a = c.id WHERE c.id < 9;
SELECT c.id, t.b FROM cus c JOIN two t ON t.b = c.name WHERE c.id < 9;
SELECT r.k, c.city FROM ref r JOIN cus c ON c.id = r.cus_id AND c.name <> r.k WHERE r.k < 'n2';
SELECT u.note, c.city FROM uns u JOIN cus c ON c.id = u.cus_id WHERE u.note = 'u1';
SELECT u.note, c.city FROM uns u LEFT JOIN cus c ON c.id = u.cus_id WHERE u.id IN (9, 10, 11);
SELECT u.note, o.id FROM cus c JOIN ord o ON o.cus_id = c.id JOIN uns u ON u.cus_id = c.id WHERE c.id = 45;
SELECT count(*), sum(o.v) FROM big b JOIN ord o ON o.id = b.v WHERE b.id > 0;
SELECT count(*), sum(b.v) FROM big b JOIN ord o ON o.id = b.id WHERE o.v > -1;
SELECT count(*) FROM cus c JOIN ord o ON o.cus_id = c.id WHERE c.city = 'nowhere';
SELECT c.id, o.id FROM cus c JOIN ord o ON o.cus_id = c.id + 0 WHERE c.id < 4;
SELECT c.id, o.id FROM cus c JOIN ord o ON o.cus_id = c.id OR o.v = c.id WHERE c.id < 4;
SELECT c.id, o.id FROM cus c, ord o WHERE o.cus_id = c.id AND c.id < 4 AND 10 / (o.v + 1) > 0;
SELECT DISTINCT c.city FROM cus c JOIN ord o ON o.cus_id = c.id JOIN lin l ON l.ord_id = o.id WHERE l.item = 'i3' AND l.v = 2;
SELECT c.city, count(*) FROM cus c JOIN ord o ON o.cus_id = c.id WHERE o.v = 7 GROUP BY c.city HAVING count(*) > 1;
\values 5
SELECT o.id, c.name FROM ord o JOIN cus c ON c.id = o.cus_id WHERE o.id = $1;
\values 5 c3
SELECT o.id, c.name FROM ord o JOIN cus c ON c.id = o.cus_id WHERE o.v = $1 AND c.city <> $2;
\values ~ 4
SELECT o.id, c.name, $1::text FROM ord o JOIN cus c ON c.id = o.cus_id AND c.boss > $2 WHERE o.id < 30;
SELECT o.id, c.name FROM ord o JOIN cus c ON c.id = o.cus_id WHERE o.id IN (1, 2) ORDER BY c.name FOR SHARE OF o;
SELECT r.cus_id FROM cus c JOIN ord o JOIN ref r ON r.k = 'n3' USING (name);
SELECT c.id, t.b FROM ord o JOIN cus c JOIN two t ON t.a = 3 ON t.cus_id = c.id ON o.cus_id = c.id WHERE o.v = 4;
SELECT c.id, c.id IN (SELECT o.cus_id FROM ord o) FROM cus c WHERE c.id < 9;
SELECT c.id FROM cus c WHERE (c.id IN (SELECT o.cus_id FROM ord o)) IS NULL AND c.id < 9;
SELECT c.id FROM cus c WHERE c.id <> ALL (SELECT o.cus_id FROM ord o) AND c.id < 9;
SELECT c.id FROM cus c WHERE c.id = ANY (SELECT o.cus_id FROM ord o) AND c.id < 9;
SELECT c.id, q.v FROM cus c JOIN (SELECT DISTINCT ON (v) v, cus_id FROM ord ORDER BY v, id) q ON q.cus_id = c.id WHERE c.id < 9;
SELECT c.id, q.n FROM cus c JOIN (SELECT max(cus_id) AS m, count(*) AS n FROM ord GROUP BY v) q ON q.m = c.id WHERE c.id < 400;
SELECT c.id, q.n FROM cus c JOIN (SELECT cus_id, count(*) AS n FROM ord GROUP BY ROLLUP (cus_id)) q ON q.cus_id IS NOT DISTINCT FROM c.boss WHERE c.id < 9;
SELECT c.id, q.n FROM cus c JOIN (SELECT cus_id, v, count(*) AS n FROM ord GROUP BY CUBE (cus_id, v)) q ON q.cus_id = c.id WHERE c.id < 9;
SELECT c.id, q.i FROM cus c JOIN (SELECT cus_id, id AS i FROM ord ORDER BY id OFFSET 10) q ON q.cus_id = c.id WHERE c.id < 9;
SELECT c.id FROM cus c JOIN (SELECT cus_id FROM ord EXCEPT ALL SELECT ord_id FROM lin) q ON q.cus_id = c.id WHERE c.id < 9;
SELECT c.id, q.id FROM cus c LEFT JOIN (SELECT o.cus_id, l.n AS id FROM ord o FULL JOIN lin l ON l.ord_id = o.id) q ON q.cus_id = c.id WHERE c.id < 9;
SELECT c.id, b.id, o.id FROM cus c LEFT JOIN (cus b JOIN ord o ON o.cus_id = b.id) ON b.boss = c.id WHERE c.id IN (2, 299);
SELECT c.id FROM cus c WHERE c.id < 9 AND NOT EXISTS (SELECT FROM ord o LEFT JOIN lin l ON l.ord_id = o.id WHERE o.cus_id = c.id AND l.n IS NULL);
SELECT c.id, (SELECT string_agg(l.item, ',' ORDER BY l.n) FROM ord o JOIN lin l ON l.ord_id = o.id WHERE o.cus_id = c.id) FROM cus c WHERE c.id < 9;
END
for my $statement (@statements) {
    my $queries = $statement =~ s/\A\s*(\d+): // ? $1 : undef;
    my %opt = $statement =~ s/\A\s*\\values (.*)\n// ? (values => [ map { $_ eq '~' ? undef : $_ } split / /, $1 ]) : ();
    $statement =~ s/\A\s+//;
    narrowed();
    for my $way ($opt{values} ? qw(text binary) : qw(simple text binary)) {
        my %how = $way eq 'simple' ? () : (extended => 1, result_formats => [ $way eq 'binary' ? 1 : 0 ]);
        my %out;
        is($twin->differs($statement, %opt, %how, out => \%out) // ($out{refused} ? "refused: $out{refused}{M}" : 'right'), 'right', "$way: $statement") or $twin->reset_sessions;
        is(narrowed(), $queries, "... $queries queries with values") if defined $queries && $way eq 'simple';
    }
}

# Before any size has been seen, the shards' planners are asked: conditions alone would have it the other way round.
for my $statement ('SELECT count(*), sum(b.v), min(c.name) FROM cus c JOIN big b ON b.v = c.id WHERE b.id > -1',
    'SELECT b.v, c.name FROM big b JOIN cus c ON c.id = b.v AND c.city < c.name WHERE b.id * 2 > -1',
    'SELECT count(*) FROM big b JOIN ord o ON o.id = b.id JOIN cus c ON c.id = o.cus_id WHERE o.v >= 0 AND c.city = \'c3\'') {
    for my $how ({}, { extended => 1, result_formats => [1] }) {
        narrowed();
        is($twin->differs($statement, %$how) // 'right', 'right', $statement);
        cmp_ok(narrowed(), '>=', 3, '... with values the first time') if !%$how;
    }
}
is($twin->differs('SELECT count(*) FROM cus c JOIN big b ON b.v = c.id WHERE b.id > $1 AND c.city <> $2', extended => 1, values => [ -1, 'c1' ]) // 'right', 'right', 'with parameters');

# Sizes that were seen change what waits for what.
my $both = 'SELECT o.id, c.id FROM ord o JOIN cus c ON c.id = o.cus_id WHERE c.id = ANY ($1) AND o.id = ANY ($2)';
for my $values ([ '{' . join(',', 1 .. 250) . '}', '{' . join(',', 1 .. 300) . '}' ], [ '{7}', '{' . join(',', 1 .. 300) . '}' ], [ '{' . join(',', 1 .. 250) . '}', '{5,9}' ], [ '{}', '{1,2}' ], [ '{' . join(',', 1 .. 300) . '}', '{1}' ]) {
    for (1 .. 3) { is($twin->differs($both, values => $values, extended => 1, result_formats => [0]) // 'right', 'right', "$both: " . join(', ', map { length } @$values)); }
}

my $join = 'SELECT o.id, c.name FROM ord o JOIN cus c ON c.id = o.cus_id WHERE o.id IN (5, 9)';
subtest 'the first time' => sub {
    my $w = $twin->router->wire;
    my $r = $w->query('SELECT c.id FROM cus c JOIN big b ON b.v = c.id WHERE b.id / 0 > 1 AND c.city > $$c$$');
    is($r->{error}{C}, '22012', 'an error that the planner of a shard meets');
    is($w->value('SELECT count(*) FROM cus c JOIN big b ON b.v = c.id WHERE b.id > -2'), 5200, '... and the session goes on');
    $w->do('BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT count(*) FROM cus');
    narrowed();
    is($w->value('SELECT count(*) FROM cus c JOIN big b ON b.v = c.id WHERE b.id > -3'), 5200, 'in REPEATABLE READ');
    cmp_ok(narrowed(), '>=', 3, '... with values');
    is($w->query('SELECT c.id FROM cus c JOIN big b ON b.v = c.id WHERE b.id / 0 > 2 AND c.city > $$c$$')->{error}{C}, '22012', '... an error');
    is($w->query('SELECT 1')->{error}{C}, '25P02', '... is the transaction\'s end');
    $w->do('ROLLBACK');
};

subtest 'in transactions' => sub {
    my $w = $twin->router->wire;
    my $right = $w->rows("$join ORDER BY 1");
    narrowed();
    $w->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
    $w->do('UPDATE cus SET name = \'mine\' WHERE id IN (5, 9)');
    is_deeply($w->rows("$join ORDER BY 1"), [ [ 5, 'mine' ], [ 9, 'mine' ] ], 'one sees its own rows');
    cmp_ok(narrowed(), '>', 0, '... by their values');
    is_deeply($twin->router->rows("$join ORDER BY 1"), $right, 'others do not');
    $w->do('ROLLBACK');
    narrowed();
    $w->do('BEGIN');
    $w->do('UPDATE cus SET name = \'mine\' WHERE id IN (5, 9)');
    is_deeply($w->rows("$join ORDER BY 1"), [ [ 5, 'mine' ], [ 9, 'mine' ] ], 'READ COMMITTED: in one query of each shard');
    is(narrowed(), 0, '... of all rows');
    $w->do('ROLLBACK');
};

# A shard waits between two rounds, without a ReadyForQuery: whoever ends the statement must let it go.
subtest 'ends in the second round' => sub {
    my $router = $twin->router;
    my ($home) = map { $twin->cluster->value($_, 'SELECT count(*) FROM cus WHERE id = 5') ? $_ : () } 1 .. 3;
    my $busy = sub { return $cluster->value(1, q{SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle' AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND query NOT LIKE 'LOCK%'}); };
    my $locked = q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'};
    my $slow = 'SELECT o.id, c.name FROM ord o JOIN cus c ON c.id = o.cus_id WHERE o.id IN (5, 9) AND o.v >= 0';
    $router->rows($slow);
    for my $end (qw(making cancel timeout disconnect terminate)) {
        my $holder = $cluster->wire($home);
        my $w = $router->wire;
        my $anew = $slow =~ s/c\.name/c.name, c.code/r; # the sizes get known, but no tables are made yet
        $w->rows($anew) if $end eq 'making';
        $w->do('SET statement_timeout = 400') if $end eq 'timeout' || $end eq 'making';
        # Nothing of the first round needs the table.
        $holder->do('BEGIN', 'LOCK TABLE cus IN ACCESS EXCLUSIVE MODE');
        $w->send($end eq 'making' ? (Parse('', $anew), Bind('p', '', []), Execute('p'), Sync()) : Query($slow));
        PgbraidTest::Proc::wait_for('a shard that waits for the lock', sub { return $cluster->value(1, $locked) > 0; });
        if ($end eq 'cancel') { $w->cancel; }
        elsif ($end eq 'terminate') { $cluster->do(1, q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'}); }
        elsif ($end eq 'disconnect') { $w->close; }
        if ($end ne 'disconnect') {
            my $r = PgbraidTest::Wire::result($w->until_ready);
            like($r->{error}{C}, $end eq 'terminate' ? qr/^(57P01|08006)$/ : qr/^57014$/, "$end: an error");
            is($w->value('SELECT 1'), 1, '... and the session goes on');
        }
        $holder->do('ROLLBACK');
        PgbraidTest::Proc::wait_for('quiet shards', sub { return !$busy->(); });
        is(scalar @{ $router->rows($slow) }, 2, '... the next one gets its rows');
    }
};
done_testing;
