#!/usr/bin/perl
# What stands above a sum over one table's rows: ORDER BY, LIMIT and OFFSET, aggregates, GROUP BY, HAVING, DISTINCT. Statements
# for every type that is compared in the router, statements written by hand (finish.sql) and statements made at random, on three
# shards (one of them often without rows), on one, and on one plain server: the same rows, in order where it is total, the same
# columns, types, tags and SQLSTATEs, in the simple protocol and in the extended one in text and binary.
#
# PGBRAID_SEED, PGBRAID_SEEDS and PGBRAID_STATEMENTS as in router.t.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Tree;
use PgbraidTest::Twin;
use PgbraidTest::Tops;

my $first = $ENV{PGBRAID_SEED} // 1;
my $seeds = $ENV{PGBRAID_SEEDS} // 1;
my $wanted = $ENV{PGBRAID_STATEMENTS} // 150;

# Columns of m: name, type, values beside NULL. Floats are sums of powers of two: their sums do not depend on the order.
my @columns = (
    [ 'b', 'boolean', qw(true false) ],
    [ 'i2', 'smallint', qw(0 -1 1 32767 -32768 7) ],
    [ 'i4', 'integer', qw(0 -1 1 2147483647 -2147483648 7) ],
    [ 'i8', 'bigint', qw(0 -1 1 9223372036854775807 -9223372036854775808 7) ],
    [ 'f4', 'real', qw(0 -0 1.5 -1.5 NaN Infinity -Infinity 1e-40 3.4e38) ],
    [ 'f8', 'double precision', qw(0 -0 1.5 -1.5 NaN Infinity -Infinity 1e-310 1.7e308) ],
    [ 'n', 'numeric', qw(0 0.0 0.000 1 1.0 1.00 -1 -1.0 0.0001 0.00009999 -0.0001 123456789012345678901234567890.123456789 99999999 100000000 10000 9999 -10000 -9999 NaN Infinity -Infinity 1e-30 1e30) ],
    [ 'nm', 'numeric(12,3)', qw(0 1 1.5 -1.5 999999999.999 -999999999.999 10000 9999.999 20000) ],
    [ 't', 'text', 'a', 'A', 'ab', 'a b', 'B', '', 'é', 'zz', 'z', "\xC3\xA4".'x', '~' ],
    [ 'tc', 'text COLLATE "C"', 'a', 'A', 'ab', 'a b', 'B', '', 'é', 'zz' ],
    [ 'tx', 'text COLLATE "en-x-icu"', 'a', 'A', 'ab', 'a b', 'B', '', 'é', 'zz' ],
    [ 'v', 'varchar(10)', 'a', 'A', 'ab', 'B', '', 'ab ' ],
    [ 'bp', 'char(6)', 'a', 'A', 'ab', 'B', '', 'ab  ' ],
    [ 'u', 'uuid', '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '7fffffff-ffff-ffff-ffff-ffffffffffff', '80000000-0000-0000-0000-000000000000' ],
    [ 'by', 'bytea', '', '\x00', '\x0000', '\xff', '\x7f', '\x80' ],
    [ 'd', 'date', '2024-01-01', '1999-12-31', 'infinity', '-infinity', '4713-01-01 BC', '5874897-12-31' ],
    [ 'ti', 'time', '00:00', '24:00', '12:00:00.000001', '12:00' ],
    [ 'tz', 'timetz', '12:00+00', '13:00+01', '11:00-01', '23:59-12', '00:00+14' ],
    [ 'ts', 'timestamp(3)', '2024-01-01 00:00', 'infinity', '-infinity', '1999-12-31 23:59:59.999', '4713-01-01 00:00 BC' ],
    [ 'tsz', 'timestamptz', '2024-01-01 00:00+00', 'infinity', '-infinity', '2024-01-01 01:00+01', '2024-01-01 00:00+01' ],
    [ 'iv', 'interval', '1 mon', '30 days', '29 days 24:00', '-1 mon', '1 day -24:00', '00:00', '1 year', '12 mons', '360 days', '0.000001 s', '178000000 years', '-178000000 years' ],
    [ 'mo', 'money', '0', '-1.50', '100000.00', '92233720368547758.07' ],
    [ 'ch', '"char"', 'a', 'Z', '~' ],
    [ 'na', 'name', 'a', 'A', 'ab', 'zz' ],
    [ 'mac', 'macaddr', '00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff', '08:00:2b:01:02:03' ],
    [ 'lsn', 'pg_lsn', '0/0', 'FFFFFFFF/FFFFFFFF', '1/0' ],
    [ 'e', 'mood', qw(happy sad ok) ],
    [ 'ar', 'integer[]', '{}', '{1}', '{1,2}', '{2}', '{NULL}' ],
    [ 'j', 'jsonb', '1', '1.0', '"a"', '{"a": 1}', '[]', 'null' ],
    [ 'dm', 'small', qw(1 2 3) ],
    [ 'vb', 'bit varying', qw(1 01 111) ],
    [ 'nt', 'inet', '10.0.0.1', '10.0.0.0/8', '::1' ],
);
my @rows;
for my $i (0 .. 59) {
    push @rows, "($i, " . ($i % 9) . ', ' . join(', ', map { my (undef, undef, @values) = @$_; ($i * 7 + @values) % (@values + 1) == @values ? 'NULL' : "'" . $values[ ($i * 7 + @values) % (@values + 1) ] =~ s/'/''/gr . "'" } @columns) . ')';
}
my $everywhere = q{CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); CREATE DOMAIN small AS int CHECK (VALUE < 10);};
my $tables = 'CREATE TABLE m (id int NOT NULL, k bigint NOT NULL, ' . join(', ', map { "$_->[0] $_->[1]" } @columns) . ', PRIMARY KEY (k, id));'
    . 'INSERT INTO m (id, k, ' . join(', ', map { $_->[0] } @columns) . ') VALUES ' . join(', ', @rows) . ';' . <<'END';
CREATE TABLE one (k bigint PRIMARY KEY, v int, w numeric, s text);
CREATE TABLE none (k bigint PRIMARY KEY, v int, w numeric, s text);
CREATE TABLE acc (id bigint PRIMARY KEY, name text, v int, w numeric(8,2));
CREATE TABLE ord (acc_id bigint NOT NULL, id int NOT NULL, item text, v int, q smallint, f float8, PRIMARY KEY (acc_id, id));
CREATE TABLE lin (acc_id int NOT NULL, ord_id int NOT NULL, n int NOT NULL, v smallint, PRIMARY KEY (acc_id, ord_id, n));
CREATE TABLE ev (tenant int NOT NULL, region text NOT NULL, v int, PRIMARY KEY (tenant, region));
CREATE TABLE ref (k text PRIMARY KEY, name text, v int);
CREATE TABLE uns (id int PRIMARY KEY, v int);
INSERT INTO one VALUES (1, 10, 1.50, 'x'), (2, NULL, 2, NULL);
INSERT INTO acc SELECT i, 'n' || i % 5, NULLIF(i % 7, 3), i * 0.5 FROM generate_series(0, 12) i;
INSERT INTO ord SELECT i % 11, i, 'n' || i % 4, NULLIF(i % 6, 2), NULLIF(i % 5, 4), NULLIF(i % 7, 5) * 0.25 FROM generate_series(0, 60) i;
INSERT INTO lin SELECT i % 10, i % 61, i % 5, NULLIF(i % 6, 2) FROM generate_series(0, 80) i;
INSERT INTO ev SELECT i % 4, (ARRAY['eu', 'us', 'de'])[1 + i / 4 % 3], NULLIF(i, 5) FROM generate_series(0, 11) i;
INSERT INTO ref VALUES ('n1', 'one', 3), ('n2', 'two', 4), ('n3', 'three', NULL);
INSERT INTO uns SELECT i, i * 2 FROM generate_series(0, 4) i;
END
my %sharded = (m => ['k'], one => ['k'], none => ['k'], acc => ['id'], ord => ['acc_id'], lin => ['acc_id'], ev => [qw(tenant region)]);
my %t = (
    acc => { columns => [ [qw(id int)], [qw(name text)], [qw(v int)], [qw(w num)] ], key => ['id'] },
    ord => { columns => [ [qw(acc_id int)], [qw(id int)], [qw(item text)], [qw(v int)], [qw(q int)] ], key => ['acc_id'] },
    lin => { columns => [ [qw(acc_id int)], [qw(ord_id int)], [qw(n int)], [qw(v int)] ], key => ['acc_id'] },
    ev => { columns => [ [qw(tenant int)], [qw(region text)], [qw(v int)] ], key => [qw(tenant region)] },
    ref => { columns => [ [qw(k text)], [qw(name text)], [qw(v int)] ], key => ['k'] },
);

# Each type in every order; ties are broken by the key.
sub systematic
{
    my @s;
    for my $c (map { $_->[0] } @columns) {
        my $sorts = $c ne 'ar';
        push @s, map { "!SELECT id, $c FROM m ORDER BY $c$_, k, id" } '', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST' if $sorts;
        push @s, "!SELECT $c FROM m ORDER BY 1 DESC, id LIMIT 7 OFFSET 2", "SELECT count($c), count(*) FROM m", "SELECT $c IS NULL, count(*) FROM m GROUP BY 1";
        push @s, "SELECT min($c), max($c) FROM m" if $c !~ /^(?:b|u|by|j|mac|vb)$/;
        push @s, "SELECT count(DISTINCT $c) FROM m", "!SELECT ${c}::text > '', count(*) FROM m GROUP BY ${c}::text > '' ORDER BY 1";
    }
    push @s, map { ("SELECT sum($_), avg($_), sum($_) FILTER (WHERE id < 20), avg($_) FILTER (WHERE id < 0) FROM m WHERE $_ IS NOT NULL", "!SELECT k, sum($_), avg($_), count(*) FROM m GROUP BY k ORDER BY k",
        "!SELECT b, sum($_), avg($_), count($_) FROM m GROUP BY b ORDER BY b") } qw(i2 i4 i8 n nm dm);
    push @s, map { ("SELECT sum($_), avg($_) FROM m WHERE $_ IN (0, 1.5, -1.5)", "SELECT sum($_), avg($_) FROM m WHERE $_ IN ('NaN', 'Infinity')", "SELECT sum($_), avg($_) FROM m WHERE $_ = '-Infinity'") } qw(f4 f8);
    push @s, "SELECT sum(iv), avg(iv) FROM m WHERE iv BETWEEN '-1 year' AND '1 year'", "SELECT sum(mo) FROM m WHERE mo < '1000000'", 'SELECT sum(mo) FROM m';
    return @s;
}

sub by_hand
{
    return grep { /\S/ } split /;\n/, PgbraidTest::Tree::slurp('tests/differential/finish.sql') =~ s/^--.*\n//mgr;
}

my %count;

# A statement, with ! before it if its order is total, and lines that set its parameters.
sub try_one
{
    my ($twin, $statement, $what) = @_;
    my %opt;
    while ($statement =~ s/\A\s*\\(\w+) (.*)\n//) {
        $opt{$1} = [ map { $_ eq '~' ? undef : /^0x/ ? pack('H*', substr $_, 2) : $_ } split / /, $2 ];
    }
    $statement =~ s/\A\s+//;
    my $ordered = $statement =~ s/\A!//;
    for my $way ($opt{values} ? qw(text binary) : qw(simple text binary)) {
        my %how = $way eq 'simple' ? () : (extended => 1, result_formats => [ $way eq 'binary' ? 1 : 0 ]);
        my %out;
        my $diff = $twin->differs($statement, %opt, %how, ordered => $ordered, out => \%out);
        $count{ $diff ? 'wrong' : $out{refused} ? 'refused' : $out{got}{error} ? 'errors' : 'same' }++;
        diag("refused: $statement: $out{refused}{M}") if $out{refused} && $what ne 'random';
        return "$way: $diff" if $diff;
    }
    return undef;
}

for my $shards (3, 1) {
    my $twin = PgbraidTest::Twin->new(shards => $shards, everywhere => $everywhere, tables => $tables, sharded => \%sharded, reference => ['ref'], any_user_type => 1);
    for my $s (systematic(), by_hand()) {
        is(try_one($twin, $s, 'by hand') // 'right', 'right', "$shards shards: $s") or $twin->reset_sessions;
    }
    for my $seed ($first .. $first + $seeds - 1) {
        srand $seed;
        my $g = PgbraidTest::Tops->new(tables => \%t, worlds => [ [qw(acc ord lin ref)], [qw(acc ord lin ref)], [qw(ev)], ['ord'], ['acc'] ]);
        $twin->sessions->{plain}->do("SET statement_timeout = '2s'");
        my $bad = 0;
        for my $i (1 .. ($shards == 1 ? $wanted / 4 : $wanted)) {
            my $diff = try_one($twin, $g->top, 'random') or next;
            diag("seed $seed, statement $i:\n$diff");
            last if ++$bad >= 5;
        }
        is($bad, 0, "$shards shards, seed $seed: no answer differs from one server's");
    }
}
note join ', ', map { "$_ " . ($count{$_} // 0) } qw(same errors refused wrong);
cmp_ok($count{refused} // 0, '<', $count{same} / 50, 'nearly all are answered');
done_testing();
