#!/usr/bin/perl
# Rows that are longer than a read (64 kB) and are handed on in pieces: nothing may come between the pieces, and the pieces
# of a row whose rest is lost end the connection. Every way that rows take, on three shards and on one plain server.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Twin;
use PgbraidTest::Wire;

my $noisy = q{CREATE FUNCTION noisy(i bigint, w text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE 'row % %', i, repeat('n', 20000); RETURN w; END $$;};
my $t = PgbraidTest::Twin->new(tables => <<'END_SQL', sharded => { big => ['id'], other => ['id'] }, reference => ['ref'], config => { safe_functions => 'public.noisy' }, everywhere => $noisy);
CREATE TABLE big (id bigint PRIMARY KEY, v int, w text);
CREATE TABLE other (id bigint PRIMARY KEY, v int, w text, b bytea, a text[]);
CREATE TABLE ref (id int PRIMARY KEY, w text);
INSERT INTO big SELECT i, i % 10, repeat(chr(97 + i % 20), CASE i % 4 WHEN 0 THEN 10 WHEN 1 THEN 65520 + i % 40 WHEN 2 THEN 66000 + i ELSE 200000 END) FROM generate_series(1, 30) i;
INSERT INTO other SELECT id, v, CASE WHEN id % 2 = 0 THEN w ELSE w || 'z' END, convert_to(w, 'UTF8'), ARRAY[w, NULL, 'x'] FROM big WHERE id < 20;
INSERT INTO ref SELECT i, repeat('r', 100000 * i) FROM generate_series(1, 3) i;
END_SQL
my $router = $t->router;

my @statements = grep { /\S/ } split /\n/, <<'END_SQL';
SELECT * FROM big
SELECT * FROM big WHERE id = 3
SELECT * FROM big ORDER BY id
SELECT id, w FROM big ORDER BY w, id LIMIT 12
SELECT DISTINCT w FROM big
SELECT w, count(*) FROM big GROUP BY w ORDER BY 1
SELECT v, max(w) FROM big GROUP BY v
SELECT string_agg(w, ',' ORDER BY id) FROM big
SELECT b.id, o.id FROM big b JOIN other o ON b.w = o.w
SELECT b.id, o.w, o.a, o.b FROM big b JOIN other o ON b.v = o.v WHERE b.id < 5
SELECT b.id, r.w FROM big b LEFT JOIN ref r ON b.v = r.id ORDER BY b.id
SELECT w FROM big UNION SELECT w FROM other
SELECT id, w, row_number() OVER (ORDER BY id) FROM big
SELECT DISTINCT ON (v) v, w FROM big ORDER BY v, id
INSERT INTO big VALUES (101, 1, repeat('q', 200000)), (102, 2, repeat('q', 100)), (103, 3, repeat('q', 70000)) RETURNING id, w
UPDATE big SET v = v + 1 RETURNING id, w
DELETE FROM big WHERE id > 100 RETURNING w
COPY big TO STDOUT
COPY big (w, id) TO STDOUT (FORMAT csv, HEADER)
COPY big TO STDOUT (FORMAT binary)
COPY other (id, a) TO STDOUT (FORMAT binary)
COPY (SELECT o.id, b.w FROM big b JOIN other o USING (v)) TO STDOUT
END_SQL
for my $sql (@statements) {
    for my $form ($sql =~ /^COPY/ ? 'simple' : ('simple', 'binary')) {
        my %out;
        my $diff = $t->differs($sql, ($form eq 'binary' ? (extended => 1, result_formats => [1]) : ()), out => \%out, ordered => $sql =~ /ORDER BY/ ? 1 : 0);
        $diff //= "refused: $out{refused}{M}" if $out{refused};
        is(substr($diff // 'same', 0, 1000), 'same', "$form: $sql");
    }
}
is($t->contents_differ, undef, 'the same rows are left');

# --- notices of one shard while another one's row is on its way
for my $round (1 .. 5) {
    my $r = $router->wire->query('SELECT noisy(id, w) FROM big');
    is(scalar(@{ $r->{rows} }), 30, 'all rows') or diag(explain($r->{error}));
    is(scalar(@{ $r->{notices} }), 30, '... all notices');
    is(join(' ', sort { $a <=> $b } map { length $_->[0] } @{ $r->{rows} }), join(' ', map { $_->[0] } @{ $t->cluster->wire($t->plain)->query('SELECT length(w) FROM big ORDER BY 1')->{rows} }), '... as they were');
}

# --- a server's process ends in the middle of a row: the client gets nothing that it could take for the rest of it
for my $sql ("SELECT repeat('x', 100000000) FROM big WHERE id = 1", "SELECT repeat('x', 100000000) FROM big", "COPY (SELECT repeat('x', 100000000) FROM big WHERE id = 1) TO STDOUT") {
    my $w = $router->wire;
    $w->send(Query($sql));
    my $sock = $w->{sock};
    $sock->blocking(1);
    my $got = '';
    while ($got !~ /xxxx/) { sysread $sock, $got, 1 << 16, length $got or last; }
    my $ended = 0;
    for my $i (1 .. $t->shards) {
        $ended += $t->cluster->value($i, q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%100000000%' AND pid <> pg_backend_pid()});
    }
    cmp_ok($ended, '>', 0, "a process is ended: $sql");
    my $tail = $got;
    while (my $n = sysread $sock, my $more, 1 << 20) { $tail = substr $tail . $more, -100; }
    like($tail, qr/x\z/, '... the connection ends with what there was of the row');
    is($router->wire->value('SELECT count(*) FROM big'), 30, '... and the router goes on');
}
done_testing();
