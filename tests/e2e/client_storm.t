#!/usr/bin/perl
# Clients at random, several at once over few connections: statements of all kinds with rows of a few bytes and of more than a MB, COPY in and
# out, portals in pieces, cursors, pipelines, errors that come with a late row; clients that read slowly, cancel, or go in the middle
# of a message. Every client that waits gets its answer within the limit, no statement is answered with fewer rows than there are, and
# at the end every row is as before.
# PGBRAID_STORM_S=N is for how long (8), PGBRAID_SEED=N begins elsewhere.
use strict;
use warnings;
use IO::Select;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);
use PgbraidTest::Cluster;
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $LIMIT_S = 60;
my $seed = $ENV{PGBRAID_SEED} // 1;
my $cluster = PgbraidTest::Cluster->new(shards => 3, settings => { max_connections => 200 });
my $router = PgbraidTest::Router->new(cluster => $cluster, ranges => [ PgbraidTest::Router::equal_ranges(3) ], config => { sharding_key => 'k', workers => 2, pool_size => 4 });
$router->do('CREATE TABLE a (k bigint PRIMARY KEY, g int, v text)', 'CREATE TABLE b (k bigint PRIMARY KEY, p int, v text)');
sub copies { my ($k) = @_; return $k % 500 == 1 ? 40_000 : $k % 10 == 0 ? 400 : 3; }
for my $i (0 .. 19) {
    $router->do('INSERT INTO a VALUES ' . join ', ', map { my $k = $i * 100 + $_; "($k, $k % 7, repeat(md5('$k'), " . copies($k) . '))' } 1 .. 100);
}
my $SUMS = 'SELECT count(*), sum(k), sum(g), sum(length(v)) FROM a';
my $sums = $router->rows($SUMS);

sub pick { return $_[ rand @_ ]; }
sub some_key { return int rand 1e12; }

# What a client does: what it is, how many ReadyForQuery come, what the answer has (undef: anything), the messages.
my %answered = (
    'COPY a TO STDOUT' => 'COPY 2000', 'SELECT k, v FROM a' => 'SELECT 2000', 'SELECT k, v FROM a ORDER BY k' => 'SELECT 2000', 'SELECT k, v FROM a ORDER BY v, k LIMIT 7' => 'SELECT 7', 'SELECT k, rank() OVER (ORDER BY v), v FROM a' => 'SELECT 2000',
    'SELECT count(*) FROM a x JOIN a y ON x.g = y.g' => 'SELECT 1', q{SELECT g, count(*), string_agg(v, ',') FROM a GROUP BY g} => 'SELECT 7', 'UPDATE a SET g = g RETURNING k, v' => 'UPDATE 2000', 'SELECT k FROM a ORDER BY k FOR UPDATE' => 'SELECT 2000',
    'BEGIN; DECLARE c CURSOR FOR SELECT k, v FROM a ORDER BY k; FETCH 900 FROM c; FETCH ALL FROM c; COMMIT' => 'FETCH 1100', 'BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT k, v FROM a ORDER BY k; COMMIT; FETCH 100 FROM c; MOVE 50 IN c; FETCH 30 FROM c; CLOSE c' => 'FETCH 30',
    'SELECT k / (k - 1234) FROM a ORDER BY k' => '22012', 'SELECT sum(10 / (k - 1234)) FROM a' => '22012', 'SELECT k, rank() OVER (ORDER BY 1 / (k - 1500)) FROM a' => '22012', 'COPY (SELECT k, 5 / (k - 1800) FROM a) TO STDOUT' => '22012', 'BEGIN; UPDATE a SET g = g; SELECT 1 / 0; COMMIT' => '22012',
    'BEGIN; SAVEPOINT x; SELECT k / (k - 77) FROM a; ROLLBACK TO x; COMMIT' => '22012', 'BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM a; UPDATE b SET p = 2 WHERE p = 1; COMMIT' => undef, 'BEGIN; LOCK TABLE b; DELETE FROM b; ROLLBACK' => 'ROLLBACK', 'SELECT pg_sleep(0.05), k FROM a WHERE k < 5' => 'SELECT 4',
    'EXPLAIN ANALYZE SELECT count(*) FROM a' => 'EXPLAIN', q{BEGIN; SET LOCAL work_mem = '1MB'; SELECT count(DISTINCT v) FROM a; COMMIT} => 'COMMIT', 'SELECT x.k FROM a x WHERE EXISTS (SELECT FROM a y WHERE y.g = x.g AND y.k > x.k + 1990)' => 'SELECT 5',
);
my @portals = ('SELECT k, 10 / (k - 1500) FROM a ORDER BY k', 'SELECT k, 10 / (k - 1500) FROM a', 'SELECT k, v FROM a ORDER BY k', 'SELECT k, v FROM a WHERE g = 2 ORDER BY v, k', 'UPDATE a SET g = g WHERE g = 3 RETURNING k, v', 'SELECT x.k, y.v FROM a x JOIN a y ON x.g = y.g AND x.k < 30 AND y.k < 60',
    'SELECT k, rank() OVER (ORDER BY k) FROM a', 'SELECT g, count(*) FROM a GROUP BY g ORDER BY g', 'SELECT DISTINCT g FROM a', 'DELETE FROM b WHERE p = 1 RETURNING k');

sub copy_in
{
    my ($n, $pad, $first) = (1 + int rand 3000, 'x' x pick(1, 10, 500), some_key());
    my @lines = map { $first + $_ . "\t1\t$pad\n" } 1 .. $n;
    return ("COPY of $n rows", 1, "COPY $n", Query('COPY b FROM STDIN'), (map { CopyData($_) } rand() < 0.5 ? join('', @lines) : @lines), CopyDone());
}

sub portal
{
    my $sql = pick(@portals);
    my @insert = rand() < 0.3 ? (Parse('', 'INSERT INTO b VALUES ($1, 1)'), Bind('', '', [ some_key() ]), Execute('')) : ();
    return ("portal of $sql", 1, undef, Parse('', $sql), Bind('p', ''), Execute('p', pick(1, 30, 600)), @insert, Execute('p', pick(0, 1, 100, 5000)), Execute('p', 0), Sync());
}

sub pipeline
{
    my ($n, $v) = (1 + int rand 30, 'z' x pick(10, 70_000, 300_000));
    my ($sql, @keys) = rand() < 0.5 ? ('SELECT length(v), $2::text FROM a WHERE k = $1', map { [ 1 + int rand 2000, $v ] } 1 .. $n) : ('SELECT count(*), max(length($1)) FROM a WHERE g < 5', map { [$v] } 1 .. $n);
    return ("pipeline of $n, $sql", 1, 'SELECT 1', Parse('', $sql), (map { Bind('', '', $_), Execute('') } @keys), Sync());
}

sub queries
{
    my $n = 2 + int rand 6;
    return ("$n queries", $n, undef, map { Query(pick('SELECT v FROM a WHERE g = 3', 'SELECT k, v FROM a WHERE k < 100 ORDER BY k', 'SELECT 1', 'UPDATE a SET g = g WHERE k = 5')) } 1 .. $n);
}

sub inserts
{
    my $first = some_key();
    return ('rows of several shards', 1, 'COMMIT', Query('BEGIN; INSERT INTO b VALUES ' . join(', ', map { '(' . ($first + $_) . ', 3)' } 1 .. 20) . '; COMMIT'));
}

sub statement { my $sql = pick(sort keys %answered); return ($sql, 1, $answered{$sql}, Query($sql)); }

# Take a whole message from what has been read; its type and what there is to tell of it.
sub next_message
{
    my ($in) = @_;
    return () if length $$in < 5 || length $$in < 1 + unpack 'x N', $$in;
    my $frame = substr $$in, 0, 1 + unpack('x N', $$in), '';
    my $type = substr $frame, 0, 1;
    return ($type, $type eq 'C' ? substr($frame, 5, -1) : $type eq 'E' ? join ' ', $frame =~ /\0C(\w{5})/, $frame =~ /\0M([^\0]*)/ : '');
}

# Send and read until the last ReadyForQuery; what was told, or undef when the client has gone. Dies when there is no answer.
sub talk
{
    my ($w, $n, $bytes) = @_;
    my $begin = time;
    my $slow = rand() < 0.15;
    my $cancel_at = rand() < 0.25 ? $begin + rand() ** 3 * 0.3 : 0;
    my $go = rand() < 0.1;
    my $left = $go ? substr $bytes, 0, rand length $bytes : $bytes;
    my $told = '';
    while ($n) {
        die "no answer within $LIMIT_S s, " . length($left) . " bytes not sent; so far: $told\n" if time > $begin + $LIMIT_S;
        if ($cancel_at && time > $cancel_at) { $w->cancel; $cancel_at = 0; }
        if ($go && !length $left) { sleep rand 0.2; return; }
        if (length $left && IO::Select->new($w->{sock})->can_write(0)) {
            local $SIG{PIPE} = 'IGNORE';
            my $sent = syswrite $w->{sock}, $left, 65_536;
            substr($left, 0, $sent) = '' if $sent;
        }
        next unless IO::Select->new($w->{sock})->can_read(length $left ? 0.001 : 0.1);
        my $got = sysread $w->{sock}, $w->{in}, $slow ? 8192 : 262_144, length $w->{in};
        die "the connection was closed; so far: $told\n" if defined $got && $got == 0;
        sleep 0.004 if $slow;
        while (my ($type, $what) = next_message(\$w->{in})) {
            $told .= "$what; " if $what ne '';
            $n-- if $type eq 'Z';
        }
    }
    return $told;
}

sub client
{
    my ($number, $until) = @_;
    srand 1000 * $seed + $number;
    my $w;
    while (time < $until) {
        $w //= $router->wire;
        my ($what, $n, $want, @messages) = pick(\&copy_in, \&portal, \&portal, \&pipeline, \&queries, \&inserts, (\&statement) x 5)->();
        my $told = eval { talk($w, $n, join '', @messages) };
        die "$what: $@" if $@;
        die "$what: $told\n" if defined $told && defined $want && index($told, $want) < 0 && $told !~ /57014|40P01|40001/;
        if (!defined $told || $told =~ /\b[0-9A-Z]{5} / || rand() < 0.1) { $w->close; undef $w; } # what is left of its transaction goes with it
    }
    return;
}

my $until = time + ($ENV{PGBRAID_STORM_S} // 8);
my %running;
for my $number (1 .. 8) {
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        eval { client($number, $until) };
        print STDERR "# client $number: $@" if $@;
        POSIX::_exit($@ ? 1 : 0);
    }
    $running{$pid} = $number;
}
for my $pid (sort { $a <=> $b } keys %running) {
    waitpid $pid, 0;
    is($?, 0, "client $running{$pid} got its answers");
}
is_deeply($router->rows($SUMS), $sums, 'the rows are what they were');
ok($router->alive, 'the router lives');
done_testing();
