#!/usr/bin/perl
# EXPLAIN of what runs on several shards: one document with the way the answers are put together, each part's SQL, and each
# shard's rows, bytes, time and plan; in every format a server's own reader takes it. Nothing is changed by it.
use strict;
use warnings;
use JSON::PP qw(decode_json);
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster, ranges => [ PgbraidTest::Router::equal_ranges(3) ]);
my $w = $router->wire;
$w->do('CREATE TABLE t (k bigint PRIMARY KEY, n int, s text)', "SELECT pgbraid.shard_table('t', 'k')", 'CREATE TABLE u (k bigint PRIMARY KEY, t bigint)',
    "SELECT pgbraid.shard_table('u', 'k')", 'CREATE TABLE r (id int PRIMARY KEY, name text)', "SELECT pgbraid.reference_table('r')", 'CREATE TABLE home (id int)');
$w->do("INSERT INTO t VALUES ($_, $_ % 7, 'row $_')", "INSERT INTO u VALUES ($_, $_ * 3)") for 1 .. 60;

sub text { my ($sql) = @_; return join "\n", map { $_->[0] } @{ $w->query($sql)->{rows} } }
sub json { my ($sql) = @_; my $doc = decode_json($w->value($sql)); return $doc->[0]{Plan} }
sub sum { my ($part, $what) = @_; my $n = 0; $n += $_->{$what} for @{ $part->{Shards} }; return $n }

# --- text
my $plain = text('EXPLAIN SELECT * FROM t WHERE n = 3');
like($plain, qr/\ARows of 3 shards, concatenated\n  Combining Server: router\n  Part 1:\n    SELECT \* FROM t WHERE n = 3\n    Shard \S+  \(estimated rows=\d+ estimated bytes=\d+\)\n      Seq Scan on t/, 'the head of a plain EXPLAIN') or diag $plain;
is(scalar(() = $plain =~ /^    Shard \S+/mg), 3, 'each shard is named');
is(scalar(() = $plain =~ /^ +Filter: \(n = 3\)/mg), 3, 'and its own plan is shown');
like(text('EXPLAIN (COSTS OFF) SELECT * FROM t'), qr/^    Shard \S+\n      Seq Scan on t$/m, 'COSTS OFF: no numbers');
like(text('EXPLAIN (VERBOSE, COSTS OFF) SELECT * FROM t'), qr/Output: t?\.?k, n, s|Output: k, n, s/, 'VERBOSE goes to the shards');
like(text('EXPLAIN VERBOSE SELECT k FROM t'), qr/Output: k/, 'without parentheses, too');
like(text('EXPLAIN (SELECT k FROM t)'), qr/concatenated/, 'a query in parentheses is no list of options');
my $ran = text('EXPLAIN ANALYZE SELECT * FROM t');
my @rows = $ran =~ /^    Shard \S+  \(actual rows=(\d+) estimated bytes=\d+ time=\d+\.\d+ ms\)$/mg;
is(eval { $rows[0] + $rows[1] + $rows[2] }, 60, 'ANALYZE: rows of each shard') or diag $ran;
is(scalar(() = $ran =~ /^      Execution Time: /mg), 3, 'ANALYZE: with each server\'s time');
like(text('EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT * FROM t'), qr/^    Shard \S+  \(actual rows=\d+ time=[\d.]+ ms\)\n      Seq Scan on t \(actual rows=\d+ loops=1\)\n        Buffers: /m, 'BUFFERS');

# --- kinds
my $p = json('EXPLAIN (FORMAT JSON) SELECT k, n FROM t ORDER BY n LIMIT 5 OFFSET 2');
is("$p->{Answers} $p->{'Combining Server'} $p->{'Number of Shards'}", 'merged router 3', 'merged');
like($p->{Parts}[0]{Statement}, qr/LIMIT 7$/, 'what the shards are asked');
is($p->{Parts}[0]{Shards}[0]{'Shard Plan'}[0]{Plan}{'Node Type'}, 'Limit', "a shard's own plan stands in the document");
is(json('EXPLAIN (FORMAT JSON) SELECT DISTINCT ON (n) k FROM t')->{Answers}, 'merged, the first of equal ones', 'DISTINCT ON');
$p = json('EXPLAIN (FORMAT JSON) SELECT k FROM t UNION ALL SELECT n FROM t WHERE k > 3 ORDER BY 1');
like("$p->{Answers}: $p->{Parts}[0]{Statement}", qr/^merged: SELECT .* FROM \(SELECT k FROM t UNION ALL SELECT n FROM t WHERE k > 3\) AS/, 'UNION ALL');
$p = json('EXPLAIN (FORMAT JSON) SELECT k, n FROM t ORDER BY n OFFSET 2 FETCH FIRST 5 ROWS WITH TIES');
like($p->{Parts}[0]{Statement}, qr/ORDER BY 1 ASC FETCH FIRST 7 ROWS WITH TIES$/, '... with ties');
$p = json('EXPLAIN (FORMAT JSON, ANALYZE) SELECT k FROM t ORDER BY n LIMIT 5');
is(sum($p->{Parts}[0], 'Actual Rows'), 15, 'ANALYZE of a merge: rows as they would move');
$p = json('EXPLAIN (FORMAT JSON) SELECT n, count(*) FROM t GROUP BY n HAVING count(*) > 1');
my $home = $p->{'Combining Server'};
is($p->{Answers}, 'gathered', 'partial aggregates');
like($p->{'Combining Statement'}, qr/pg_temp\."part_1"|FROM "?pg_temp"?.*part_1|part_1/, 'the statement over them');
is($p->{'Combining Statement Executed'}, JSON::PP::false, 'which is not run');
like($p->{Parts}[0]{Shards}[0]{'Shard Plan'}[0]{Plan}{'Node Type'}, qr/Aggregate/, 'shards aggregate');
$p = json('EXPLAIN (FORMAT JSON, ANALYZE) SELECT t.s, u.k, r.name FROM t JOIN u ON u.t = t.k LEFT JOIN r ON r.id = t.n WHERE t.n < 3');
is(scalar(@{ $p->{Parts} }), 3, 'gathered: a part for each table');
is_deeply([ map { $_->{'Narrowed If Far Smaller'} } @{ $p->{Parts} } ], [ '"t"."k" IN part 2', '"u"."t" IN part 1', '"r"."id" IN part 1' ], 'what may be narrowed by what');
like(text('EXPLAIN SELECT t.s FROM t JOIN u ON u.t = t.k'), qr/^    Narrowed, if that is far smaller: "u"."t" IN part 1$/m, '... as text');
is(join(' ', map { scalar @{ $_->{Shards} } } @{ $p->{Parts} }), '3 3 1', 'on its shards; a reference table on one');
is(sum($p->{Parts}[0], 'Actual Rows'), scalar(grep { $_ % 7 < 3 } 1 .. 60), 'conditions are pushed down');
unlike($p->{'Combining Statement'}, qr/EXPLAIN/i, 'the combining statement is a query');
$p = json('EXPLAIN (FORMAT JSON) SELECT t.k FROM t JOIN home ON home.id = t.k');
is("$p->{Answers} " . scalar(@{ $p->{Parts} }), 'gathered 2', 'with a table of the home shard');
is(json('EXPLAIN (FORMAT JSON) SELECT k FROM t WHERE k = 5')->{'Node Type'} =~ /Scan/ ? 1 : 0, 1, "one shard: the server's own document");
$p = json('EXPLAIN (FORMAT JSON) SELECT k FROM t WHERE k IN (1, 2, 3, 4, 5, 6)');
cmp_ok($p->{'Number of Shards'}, '>', 1, 'an IN list');
$p = json(q{EXPLAIN (FORMAT JSON) SELECT s AS "a""b\c" FROM t WHERE s <> E'x\ty"' -- a comment
  AND n > 1});
like($p->{Parts}[0]{Statement}, qr/a""b\\c.*a comment\n  AND n > 1/s, 'quotes and ends of line in a statement');
$p = json('EXPLAIN (FORMAT JSON) UPDATE t SET n = 0');
is($p->{Parts}[0]{Shards}[2]{'Shard Plan'}[0]{Plan}{'Operation'}, 'Update', 'a change that is not run');

# --- YAML: read by its indentation
my $yaml = $w->value('EXPLAIN (FORMAT YAML) SELECT t.s, u.k FROM t JOIN u ON u.t = t.k');
like($yaml, qr/\A- Plan:\n    Node Type: "Shards"\n    Answers: "gathered"\n    Number of Shards: 3\n/, 'YAML: the head');
is(scalar(() = $yaml =~ /^      - Statement: "/mg), 2, 'YAML: parts');
is(scalar(() = $yaml =~ /^          - Shard: "\S+"\n            Estimated Rows: \d+\n            Estimated Bytes: \d+\n            Shard Plan:\n              - Plan: ?\n                  Node Type: /mg), 6, 'YAML: shards with their plans') or diag $yaml;
unlike($yaml, qr/^ {0,3}\S(?<!-)/m, 'YAML: one document');

# --- parameters, formats, portals
for my $format (0, 1) {
    $w->send(Parse('', 'EXPLAIN (FORMAT JSON) SELECT k FROM t WHERE n = $1 ORDER BY s LIMIT $2'), Bind('', '', [ 3, 4 ], result_formats => [$format]), Describe('P', ''), Execute(''), Sync());
    my @got = $w->until_ready;
    is(join('', map { $_->{type} } @got), '12TDCZ', "parameters, results in format $format") or diag explain \@got;
    my ($row) = grep { $_->{type} eq 'D' } @got;
    is(eval { decode_json($row->{values}[0])->[0]{Plan}{Answers} }, 'merged', 'the document');
}
is($w->error("EXPLAIN SELECT k FROM t WHERE n = \$1 ORDER BY $_")->{C}, '42P02', "a parameter without a value: EXPLAIN, ORDER BY $_") for qw(n s);
$w->send(Parse('e', 'EXPLAIN SELECT k FROM t WHERE n = $1'), Describe('S', 'e'), Bind('', 'e', [1]), Describe('P', ''), Execute(''), Sync());
my @frames = $w->until_ready;
is(join('', map { $_->{type} } grep { $_->{type} ne 'D' } @frames), '1tT2TCZ', 'Describe of statement and portal');
$w->do('PREPARE q AS SELECT k FROM t WHERE n = $1');
like(text('EXPLAIN (COSTS OFF) EXECUTE q(3)'), qr/concatenated.*Shard/s, 'EXPLAIN EXECUTE');

# --- what is not run
is($w->error('EXPLAIN ANALYZE UPDATE t SET n = 0')->{C}, '0A000', 'ANALYZE of a change over several shards');
is($w->error('EXPLAIN (FORMAT XML) SELECT * FROM t')->{C}, '0A000', 'XML');
is($w->error('EXPLAIN INSERT INTO t VALUES (101, 1), (102, 2), (103, 3), (104, 4), (105, 5)')->{C}, '0A000', 'rows for several shards');
is($w->error('EXPLAIN SELECT nothing FROM t')->{C}, '42703', "PostgreSQL's own errors");
is($w->error('EXPLAIN (FORMAT NONSENSE) SELECT k FROM t')->{C}, '22023', '... of options, too');
is($w->error('EXPLAIN ANALYZE SELECT 1 / (k - 7) FROM t')->{C}, '22012', 'ANALYZE: an error of one shard');
is($w->value('SELECT count(*) FROM t WHERE n = 0'), 8, 'nothing has changed');

# --- in transactions
$w->do('BEGIN', 'INSERT INTO t VALUES (1000, 3, NULL)');
is(sum(json('EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM t')->{Parts}[0], 'Actual Rows'), 61, 'a transaction sees its own rows');
is(sum(json('EXPLAIN (ANALYZE, FORMAT JSON) SELECT DISTINCT s FROM t, u')->{Parts}[0], 'Actual Rows'), 61, 'in each part');
$w->do('ROLLBACK');
is($w->value('SELECT count(*) FROM t'), 60, 'and it is rolled back');
done_testing();
