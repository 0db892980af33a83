#!/usr/bin/perl
# pg_dump and pg_restore through the router: a sharded database is dumped in every format, restored into an empty sharded one and
# into a plain one, and all are equal.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Driver;
use PgbraidTest::Proc qw(run workdir);
use PgbraidTest::Router;

PgbraidTest::Driver::skip_unless(name => 'pg_dump', short => 1);
my $filled = 'INSERT INTO accounts (account_id, owner, balance, created) VALUES ' . join(', ', map { "($_, 'owner $_ \x{c3}\x{a4} ''q'' \\x', $_.25, '2024-02-29 12:00+00')" } 1 .. 200) . ";\n";
$filled .= 'INSERT INTO items VALUES ' . join(', ', map { my $a = $_; map { "($a, $_, 'item\t$_\n', " . ($_ % 2 ? 'NULL' : "$_.5") . ')' } 1 .. 3 } 1 .. 200) . ";\n";
$filled .= <<'SQL';
INSERT INTO countries VALUES ('DE', 'Germany'), ('SE', 'Sweden');
INSERT INTO notes (body) VALUES ('one'), (NULL);
INSERT INTO types (id, ba, jb, ia, md, p, pos, num, ts) VALUES (1, '\x00ff', '{"a": null}', '{1,NULL}', 'ok', '(1,"a b")', 3, 'NaN', '-infinity'), (2, NULL, NULL, NULL, NULL, NULL, NULL, 1e100, NULL);
COMMENT ON COLUMN accounts.owner IS 'whose';
GRANT SELECT ON accounts TO public;
SQL

my $from = PgbraidTest::Driver::bed(schema => $filled);
my $to = PgbraidTest::Driver::bed(schema => undef);

sub env { my ($bed, $side) = @_; return PgbraidTest::Driver::environment($bed, $side); }

# A dump as text, without what may differ: the order of rows of a sharded table, the token of \restrict, comments.
sub dump_of
{
    my ($bed, $side, @options) = @_;
    my $r = run([ 'pg_dump', @options ], env => env($bed, $side));
    is($r->{rc}, 0, "pg_dump @options of $side") or diag($r->{err});
    my $text = $r->{out} =~ s/^--.*\n|^\\(?:un)?restrict .*\n//gmr;
    $text =~ s/^(COPY .*\n)((?:.*\n)*?)(\\\.\n)/$1 . join('', sort split \/^\/m, $2) . $3/gme;
    return $text;
}

my $want = dump_of($from, 'plain');
is(dump_of($from, 'router'), $want, 'pg_dump: the dump of a sharded database is that of a plain one');
is(dump_of($from, 'router', '-s'), dump_of($from, 'plain', '-s'), 'pg_dump: the schema alone');
is(dump_of($from, 'router', '-a', '-t', 'accounts', '--inserts') =~ s/^INSERT.*\n//gmr, dump_of($from, 'plain', '-a', '-t', 'accounts', '--inserts') =~ s/^INSERT.*\n//gmr, 'pg_dump: one table as INSERTs');

# Another's rule of sharding makes the tables sharded as they are restored.
my $dump = workdir() . '/dump';
for my $format (qw(custom directory tar plain)) {
    my $r = run([ 'pg_dump', '-F', $format, '-f', "$dump.$format" ], env => env($from, 'router'));
    is($r->{rc}, 0, "pg_dump -F $format") or diag($r->{err});
    $r = $format eq 'plain' ? run([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$dump.plain" ], env => env($to, 'router'))
        : run([ 'pg_restore', '--exit-on-error', '-d', env($to, 'router')->{PGDATABASE}, "$dump.$format" ], env => env($to, 'router'));
    is($r->{rc}, 0, "pg_restore of -F $format") or diag($r->{err});
    is(dump_of($to, 'router'), $want, '... and it is equal');
    my %known = map { ($_->[2] => $_->[3]) } @{ $to->{router}->console('SHOW TABLES') };
    is($known{accounts}, 'sharded', '... sharded');
    is($to->{cluster}->value(1, 'SELECT count(*) FROM accounts') < 200, 1, '... its rows too');
    $r = run([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1' ], stdin => 'DROP TABLE accounts, items, countries, notes, types; DROP TYPE mood, pair; DROP DOMAIN positive', env => env($to, 'router'));
    is($r->{rc}, 0, '... and dropped again') or diag($r->{err});
}

my $r = run([ 'pg_restore', '--exit-on-error', '-d', env($to, 'plain')->{PGDATABASE}, "$dump.custom" ], env => env($to, 'plain'));
is($r->{rc}, 0, 'pg_restore into one plain server') or diag($r->{err});
is(dump_of($to, 'plain'), $want, '... and it is equal');
done_testing();
