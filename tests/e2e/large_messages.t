#!/usr/bin/perl
# Messages far larger than what is read or kept at once, sent without waiting for answers: COPY data in one message or in many, values and
# texts of statements. All answers are one server's.
use strict;
use warnings;
use POSIX ();
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 4);
my $router = PgbraidTest::Router->new(cluster => $cluster, ranges => [ PgbraidTest::Router::equal_ranges(3) ], config => { sharding_key => 'k' });
my $plain = $cluster->wire(4);
$_->do('CREATE TABLE a (k bigint PRIMARY KEY, v text)', 'CREATE TABLE h (v text)') for $router, $plain;

sub lines { my ($from, $count) = @_; return join '', map { $from + $_ . "\txxxxxxxxxx\n" } 1 .. $count; }
my @copy = (Parse('', 'COPY a FROM STDIN'), Bind('', ''), Execute(''));
my $v = 'y' x 400_000;

# What is sent, how many ReadyForQuery come, and the messages.
my @cases = (
    [ 'COPY, its data sent at once', 1, Query('COPY a FROM STDIN'), CopyData(lines(1000, 30_000)), CopyDone() ],
    [ '... in small messages', 1, Query('COPY a FROM STDIN'), (map { CopyData($_) } unpack '(a1000)*', lines(100_000, 30_000)), CopyDone() ],
    [ '... and a query', 2, Query('COPY a FROM STDIN'), CopyData(lines(200_000, 30_000)), CopyDone(), Query('SELECT count(*) FROM a') ],
    [ '... in the extended protocol', 1, @copy, Sync(), CopyData(lines(300_000, 30_000)), CopyDone(), Sync() ],
    [ '... with one Sync', 1, @copy, CopyData(lines(340_000, 30_000)), CopyDone(), Sync() ],
    [ '... in a string of statements', 1, Query('SELECT 1; COPY a FROM STDIN; SELECT count(*) FROM a; COPY h FROM STDIN; SELECT 2'), CopyData(lines(400_000, 30_000)), CopyDone(), CopyData('x' x 300_000), CopyDone() ],
    [ '... that ends with CopyFail', 1, Query('COPY a FROM STDIN'), CopyData(lines(500_000, 30_000)), CopyFail('no') ],
    [ '... with an error at its beginning', 2, Query('SELECT 1; COPY a FROM STDIN; SELECT 2'), CopyData("x\ty\n" . lines(600_000, 30_000)), CopyDone(), Query('SELECT 3') ],
    [ '... that has a column too many', 2, Query('COPY a FROM STDIN'), CopyData(lines(1_300_000, 30_000) =~ s/\n/\t1\n/gr), CopyDone(), Query('SELECT 5') ],
    [ '... in a transaction', 4, Query('BEGIN'), (Query('COPY a FROM STDIN'), CopyData(lines(700_000, 30_000)), CopyDone()) x 2, Query('ROLLBACK') ],
    [ '... empty messages among it', 1, Query('COPY a FROM STDIN'), CopyData(''), CopyData("1200000\tx\n"), CopyData(''), CopyDone() ],
    [ '... a long value in CSV', 2, Query('COPY a FROM STDIN CSV'), CopyData(qq(1200001,") . qq(a""\n,) x 100_000 . qq("\n1200002,b\n)), CopyDone(), Query('SELECT length(v), md5(v) FROM a WHERE k = 1200001') ],
    [ 'COPY data without a COPY', 1, CopyData('x' x 500_000), CopyDone(), CopyFail('y'), Query('SELECT 1') ],
    [ 'COPY out, and in', 3, Query('COPY (SELECT k, v FROM a WHERE k < 30000 ORDER BY k) TO STDOUT'), Query('COPY a FROM STDIN'), CopyData(lines(1_100_000, 30_000)), CopyDone(), Query('SELECT count(*) FROM a') ],
    [ 'parameters, in a pipeline', 2, Parse('i', 'INSERT INTO a VALUES ($1, $2)'), (map { Bind('', 'i', [ 900_000 + $_, $v ]), Execute('') } 1 .. 20), Sync(), Query('SELECT count(*), sum(length(v)) FROM a WHERE k > 900000') ],
    [ 'parameters, in batches of their own', 21, (map { Parse('', 'INSERT INTO a VALUES ($1, $2)'), Bind('', '', [ 910_000 + $_, $v ]), Execute(''), Sync() } 1 .. 20), Query('SELECT count(*), sum(length(v)) FROM a WHERE k > 900000') ],
    [ 'statements', 3, (map { my $n = $_; Query(join '; ', map { sprintf(q{INSERT INTO a VALUES (%d, '%s')}, $n + $_, $v) } 1 .. 5) } 920_000, 930_000), Query('SELECT count(*), sum(length(v)) FROM a WHERE k > 900000') ],
);

sub told
{
    my ($f) = @_;
    return "E($f->{fields}{C} $f->{fields}{M})" if $f->{type} eq 'E';
    return "C($f->{tag})" if $f->{type} eq 'C';
    return "Z($f->{status})" if $f->{type} eq 'Z';
    return 'D(' . join('|', map { $_ // '~' } @{ $f->{values} }) . ')' if $f->{type} eq 'D';
    return $f->{type};
}

# The answers, read while another process sends.
sub answers
{
    my ($w, $n, @bytes) = @_;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        eval { $w->send(@bytes) };
        POSIX::_exit(0);
    }
    my @frames = eval { map { $w->until_ready } 1 .. $n };
    push @frames, { type => "failed: $@" } if $@;
    waitpid $pid, 0;
    return [ map { told($_) } grep { $_->{type} ne 'd' } @frames ];
}

for my $case (@cases) {
    my ($what, $n, @bytes) = @$case;
    my ($got, $expected) = map { answers($_, $n, @bytes) } $router->wire(timeout_s => 30), $cluster->wire(4, timeout_s => 30);
    is_deeply($got, $expected, $what);
}
my $sums = 'SELECT count(*), sum(k), sum(length(v)) FROM a';
is_deeply($router->rows($sums), $plain->rows($sums), 'the rows');
done_testing();
