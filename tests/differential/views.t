#!/usr/bin/perl
# Views over distributed tables: statements written by hand (views.sql) give what one server gives, for roles that may
# read everything themselves; other roles, policies and security barriers are refused. Definitions that change are seen.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Tree;
use PgbraidTest::Twin;
use PgbraidTest::Wire;

my $everywhere = q{CREATE ROLE reader LOGIN; CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2'; CREATE SCHEMA other; GRANT USAGE ON SCHEMA other TO PUBLIC;};
my $tables = <<'END';
CREATE TABLE acc (id bigint PRIMARY KEY, name text, v int, w numeric(8,2));
CREATE TABLE ord (acc_id bigint NOT NULL, id int NOT NULL, item text, v int, at date, PRIMARY KEY (acc_id, id));
CREATE TABLE other.lin (acc_id int NOT NULL, ord_id int NOT NULL, n int NOT NULL, PRIMARY KEY (acc_id, ord_id, n));
CREATE TABLE ref (k text PRIMARY KEY, name text);
CREATE TABLE uns (id int PRIMARY KEY, v int);
CREATE TABLE own (id bigint PRIMARY KEY, owner text);
INSERT INTO acc SELECT i, 'n' || i % 5, NULLIF(i % 7, 3), i * 0.5 FROM generate_series(0, 12) i;
INSERT INTO ord SELECT i % 11, i, 'n' || i % 4, NULLIF(i % 6, 2), date '2020-01-01' + i FROM generate_series(0, 60) i;
INSERT INTO other.lin SELECT i % 10, i % 61, i % 5 FROM generate_series(0, 80) i;
INSERT INTO ref VALUES ('n1', 'one'), ('n2', 'two'), ('n3', NULL);
INSERT INTO uns SELECT i, i * 2 FROM generate_series(0, 4) i;
INSERT INTO own SELECT i, CASE WHEN i % 2 = 0 THEN 'reader' ELSE 'postgres' END FROM generate_series(0, 9) i;
GRANT SELECT ON acc, ref, own TO reader;
END
my @views = grep { /\S/ } split /;\n/, <<'END';
CREATE VIEW v_ord AS SELECT * FROM ord WHERE v IS DISTINCT FROM 4;
CREATE VIEW v_names (a, b) AS SELECT o.id, r.name FROM ord o LEFT JOIN ref r ON r.k = o.item;
CREATE VIEW v_join AS SELECT a.id AS acc, a.name, o.id, o.item, count(l.n) AS lines FROM acc a JOIN ord o ON o.acc_id = a.id LEFT JOIN other.lin l ON l.acc_id = o.acc_id AND l.ord_id = o.id GROUP BY a.id, o.acc_id, o.id;
CREATE VIEW v_sums AS SELECT acc_id, sum(v) AS s, count(*) AS n, 'it''s; -- "x"'::text AS note, E'a\nb'::text AS two FROM ord GROUP BY acc_id;
CREATE VIEW v_items AS SELECT item, sum(v) AS s FROM ord GROUP BY item;
CREATE VIEW v_both AS SELECT id::bigint AS id, 'ord' AS which FROM ord UNION ALL SELECT id, 'acc' FROM acc;
CREATE VIEW v_on_view AS SELECT s.acc_id, s.s, a.name FROM v_sums s JOIN acc a ON a.id = s.acc_id WHERE s.n > 4;
CREATE VIEW v_last AS SELECT * FROM (SELECT o.*, row_number() OVER (PARTITION BY acc_id ORDER BY id DESC) AS rn FROM ord o) x WHERE rn = 1;
CREATE VIEW v_distinct AS SELECT DISTINCT item FROM ord;
CREATE VIEW v_limit AS SELECT id FROM ord ORDER BY id DESC LIMIT 5;
CREATE VIEW v_uns AS SELECT o.id, u.v FROM ord o JOIN uns u ON u.id = o.v;
CREATE VIEW v_ref AS SELECT k, upper(name) AS name FROM ref;
CREATE VIEW v_clock AS SELECT id FROM ord WHERE at < CURRENT_DATE - '1 year'::interval;
CREATE VIEW v_dates AS SELECT id, at, date '2020-01-15' AS d FROM ord WHERE at >= date '2020-01-15';
CREATE VIEW v_with AS WITH w AS (SELECT acc_id, max(id) AS m FROM ord GROUP BY acc_id) SELECT w.m, a.name FROM w JOIN acc a ON a.id = w.acc_id;
CREATE VIEW v_sub AS SELECT id, (SELECT count(*) FROM other.lin l WHERE l.acc_id = ord.acc_id AND l.ord_id = ord.id) AS n FROM ord WHERE EXISTS (SELECT FROM acc WHERE acc.id = ord.acc_id);
CREATE VIEW v_twice AS SELECT id, twice(v) AS t FROM ord;
CREATE VIEW "V x" AS SELECT id AS "I d", item AS "select" FROM ord;
CREATE VIEW v_acc AS SELECT id, name FROM acc;
CREATE VIEW v_barrier WITH (security_barrier) AS SELECT id FROM acc;
CREATE VIEW v_policy AS SELECT id FROM own;
CREATE VIEW v_caller WITH (security_invoker) AS SELECT id FROM own;
GRANT SELECT ON v_acc, v_ord, v_policy, v_caller TO reader;
END
my $twin = PgbraidTest::Twin->new(everywhere => $everywhere, tables => $tables, sharded => { acc => ['id'], ord => ['acc_id'], 'other.lin' => ['acc_id'], own => ['id'] }, reference => ['ref'],
    config => { safe_functions => 'public.twice' });
$twin->router->do($_) for @views, 'ALTER TABLE own ENABLE ROW LEVEL SECURITY', "CREATE POLICY p ON own USING (owner = current_user)";
$twin->load($twin->plain, join ';', @views, 'ALTER TABLE own ENABLE ROW LEVEL SECURITY', "CREATE POLICY p ON own USING (owner = current_user)");

my $refused = 0;
for my $statement (grep { /\S/ } split /;\n/, PgbraidTest::Tree::slurp('tests/differential/views.sql') =~ s/^--.*\n//mgr) {
    my %opt;
    while ($statement =~ s/\A\s*\\(\w+) (.*)\n//) {
        $opt{$1} = [ map { $_ eq '~' ? undef : $_ } split / /, $2 ];
    }
    $statement =~ s/\A\s+//;
    my $ordered = $statement =~ s/\A!//;
    for my $way ($opt{values} ? qw(text binary) : qw(simple text binary)) {
        my %how = $way eq 'simple' ? () : (extended => 1, result_formats => [ $way eq 'binary' ? 1 : 0 ]);
        my %out;
        my $diff = $twin->differs($statement, %opt, %how, ordered => $ordered, out => \%out);
        is($diff // 'right', 'right', "$way: $statement") or $twin->reset_sessions;
        diag("refused: $statement: $out{refused}{M} ($out{refused}{D})") if $out{refused};
        $refused++ if $out{refused};
    }
}
is($refused, 0, 'all are answered');

# --- a prepared statement, described before it is run, and run again after the view has changed
my ($w, $plain) = ($twin->router->wire, $twin->cluster->wire($twin->plain));
for my $c ($w, $plain) {
    $c->send(Parse('p', 'SELECT id FROM v_ord WHERE v = $1'), Describe('S', 'p'), Bind('', 'p', [1]), Execute(''), Sync());
}
my ($got, $want) = map { [ $_->until_ready ] } $w, $plain;
sub types { return join ' ', map { $_->{type} } @{ $_[0] }; }
is(types($got), types($want), 'a prepared statement: the same messages');
my ($described) = grep { $_->{type} eq 'T' } @$got;
is(join(' ', map { $_->{name} } @{ $described->{columns} }), 'id', '... and columns');
for my $change ('CREATE OR REPLACE VIEW v_ord AS SELECT * FROM ord WHERE v < 2', 'BEGIN') {
    $_->do($change) for $w, $plain;
}
$_->do('CREATE OR REPLACE VIEW v_ord AS SELECT * FROM ord WHERE id < 20') for $w, $plain;
my @rows = map { join ' ', sort { $a <=> $b } map { $_->[0] } @{ $_->rows('SELECT id FROM v_ord') } } $w, $plain;
is($rows[0], $rows[1], "a definition changed in a transaction is seen there");
$_->do('ROLLBACK') for $w, $plain;
for my $c ($w, $plain) {
    $c->send(Bind('', 'p', [1]), Execute(''), Sync());
}
($got, $want) = map { join ' ', sort map { $_->{values}[0] } grep { $_->{type} eq 'D' } $_->until_ready } $w, $plain;
is($got, $want, 'a prepared statement reads the view as it is now');
is(join(' ', sort map { $_->[0] } @{ $w->rows('SELECT id FROM v_ord') }), join(' ', sort map { $_->[0] } @{ $plain->rows('SELECT id FROM v_ord') }), 'and so does a new one');

# --- cursors, EXPLAIN, COPY
$w->do('BEGIN', 'DECLARE c CURSOR FOR SELECT id FROM v_ord ORDER BY id');
is_deeply($w->rows('FETCH ALL FROM c'), $plain->rows('SELECT id FROM v_ord ORDER BY id'), 'a cursor');
$w->do('COMMIT');
like(join("\n", map { $_->[0] } @{ $w->rows('EXPLAIN SELECT * FROM v_ord') }), qr/Rows of 3 shards, concatenated.*Seq Scan on ord/s, 'EXPLAIN');
like(join("\n", map { $_->[0] } @{ $twin->router->console('SHOW ROUTE FOR SELECT * FROM v_ord') }), qr/scatter: rows of ord are cut/, 'SHOW ROUTE');

# --- who may
my %as = map { $_ => $_ eq 'plain' ? $twin->cluster->wire($twin->plain) : $twin->router->wire } qw(router plain);
$_->do('SET ROLE reader') for values %as;
is_deeply([ sort map { $_->[0] } @{ $as{router}->rows('SELECT id FROM v_acc') } ], [ sort map { $_->[0] } @{ $as{plain}->rows('SELECT id FROM v_acc') } ], 'a role with privileges of its own');
is_deeply([ sort map { $_->[0] } @{ $as{router}->rows('SELECT id FROM v_caller') } ], [ 0, 2, 4, 6, 8 ], "security_invoker: the caller's policies");
like($as{router}->error('SELECT id FROM v_ord')->{M}, qr/stands for distributed tables/, "no privilege for the view's table: refused, though one server answers");
like($as{router}->error('SELECT id FROM v_sums')->{M}, qr/stands for distributed tables/, 'no privilege for the view');
like($w->error('SELECT id FROM v_policy')->{M}, qr/stands for distributed tables/, "the owner's policies");
like($w->error('SELECT id FROM v_barrier')->{M}, qr/stands for distributed tables/, 'security_barrier');
$w->do('GRANT SELECT ON ord TO reader');
is(scalar(@{ $as{router}->rows('SELECT id FROM v_ord') }), scalar(@{ $w->rows('SELECT id FROM v_ord') }), 'GRANT is seen at once');
$w->do('CREATE FUNCTION public.upper(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT $1$$');
like($w->error('SELECT o.id FROM ord o JOIN v_ref r ON r.k = o.item')->{D}, qr/"upper" in its text/, 'a name that may mean something else');
done_testing();
