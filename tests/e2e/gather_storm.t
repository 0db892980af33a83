#!/usr/bin/perl
# Joins over shards, whose tables wait for each other's rows, while money moves between their tables and links change, statements
# are cancelled, time out, lose their clients, and server processes are killed: each sum is right, or it is an error; nothing hangs
# or is left behind. PGBRAID_STORM says for how many seconds (3).
use strict;
use warnings;
use Test::More;
use POSIX ();
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;
use Time::HiRes qw(time sleep);

my $seconds = $ENV{PGBRAID_STORM} // 3;
my ($groups, $owners) = (6, 240);
my $total = 300 * $owners / $groups; # of each group
my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { pool_size => 8 });
$router->do(
    'CREATE TABLE own (id bigint PRIMARY KEY, grp int, acc bigint, cash bigint NOT NULL)', 'CREATE TABLE acct (id bigint PRIMARY KEY, bal bigint NOT NULL, pot text)',
    'CREATE TABLE pots (name text PRIMARY KEY, amount numeric NOT NULL)', 'CREATE TABLE uns (grp int PRIMARY KEY, note text)',
    q{SELECT pgbraid.shard_table('own', 'id')}, q{SELECT pgbraid.shard_table('acct', 'id')}, q{SELECT pgbraid.shard_table('pots', 'name')},
    'INSERT INTO uns VALUES ' . join(', ', map { "($_, 'g$_')" } 0 .. $groups - 1),
    'INSERT INTO own VALUES ' . join(', ', map { "($_, " . $_ % $groups . ', ' . (1000 + $_) . ', 100)' } 1 .. $owners),
    'INSERT INTO acct VALUES ' . join(', ', (map { '(' . (1000 + $_) . ", 100, 'p$_')" } 1 .. $owners), map { '(' . (5000 + $_) . q{, 7, 'none')} } 1 .. 2000),
    'INSERT INTO pots VALUES ' . join(', ', map { "('p$_', 100)" } 1 .. $owners),
);
$cluster->do($_, 'ANALYZE') for 1 .. 3;

# What a group has; %d is its number.
my @sums = (
    'SELECT sum(o.cash) + sum(a.bal) + sum(p.amount) FROM own o JOIN acct a ON a.id = o.acc JOIN pots p ON p.name = a.pot WHERE o.grp = %d',
    'SELECT sum(o.cash) + sum(a.bal) + sum(p.amount) FROM pots p JOIN acct a ON p.name = a.pot JOIN own o ON o.acc = a.id WHERE o.grp = %d AND o.id > 0',
    'SELECT sum(o.cash + (SELECT a.bal FROM acct a WHERE a.id = o.acc) + (SELECT p.amount FROM acct a JOIN pots p ON p.name = a.pot WHERE a.id = o.acc)) FROM own o WHERE o.grp = %d',
    'WITH q AS (SELECT a.id, a.bal, p.amount FROM acct a LEFT JOIN pots p ON p.name = a.pot) SELECT sum(o.cash + q.bal + q.amount) FROM own o JOIN q ON q.id = o.acc WHERE o.grp = %d',
    q{SELECT sum(o.cash) + sum(a.bal) + sum(p.amount) FROM uns u JOIN own o ON o.grp = u.grp JOIN acct a ON a.id = o.acc JOIN pots p ON p.name = a.pot WHERE u.note = 'g%d'},
    'SELECT (SELECT sum(cash) FROM own WHERE grp = %1$d) + (SELECT sum(bal) FROM acct WHERE id IN (SELECT acc FROM own WHERE grp = %1$d))
        + (SELECT sum(amount) FROM pots WHERE name IN (SELECT pot FROM acct WHERE id IN (SELECT acc FROM own WHERE grp = %1$d)))',
);
sub a_sum { return sprintf $sums[ rand @sums ], int rand $groups; }

my $until = time + $seconds;
my $mild = qr/^(?:57014|57P01|08\d\d\d|40000|40001|40P01|25P02|34000)$/; # what may happen when things are killed
sub wire { return $router->wire(timeout_s => 50); }
sub result { return PgbraidTest::Wire::result(@_); }
sub wrong
{
    my ($r, $how) = @_;
    return $r->{error}{C} =~ $mild ? () : "$how: $r->{error}{C} $r->{error}{M}" if $r->{error};
    return @{ $r->{rows} } && $r->{rows}[0][0] == $total ? () : "$how: " . ($r->{rows}[0][0] // 'nothing');
}

# Statements one after another; the first error, or the last one's answer.
sub all { my ($w, @statements) = @_; my $r; for my $s (@statements) { $r = $w->query($s); return $r if $r->{error}; } return $r; }

sub writer
{
    my $w = wire();
    my @wrong;
    while (time < $until) {
        my $x = 1 + int rand $owners;
        my $y = 1 + ($x - 1 + $groups * (1 + int rand $owners / $groups - 1)) % $owners; # another one of its group
        my ($n, $z) = (1 + int rand 9, 1000 + $y);
        my @moves = (
            [ "UPDATE own SET cash = cash - $n WHERE id = $x", "UPDATE acct SET bal = bal + $n WHERE pot = 'p$y' AND id = $z" ],
            [ "UPDATE acct SET bal = bal - $n WHERE id = $z", "UPDATE pots SET amount = amount + $n WHERE name = 'p$x'" ],
            [ "UPDATE pots SET amount = amount - $n WHERE name = 'p$y'", "UPDATE own SET cash = cash + $n WHERE id = $x" ],
        );
        my $r = all($w, 'BEGIN', @{ $moves[ rand @moves ] }, 'COMMIT');
        push @wrong, wrong($r, 'a transfer') if $r->{error};
        if (!$r->{error} && rand() < 0.3) { # two owners of a group change their accounts
            my @acc = map { all($w, $_ == $x ? 'BEGIN' : 'SELECT 1', "SELECT acc FROM own WHERE id = $_ FOR UPDATE") } $x, $y;
            my ($p, $q) = map { $_->{rows}[0][0] } @acc;
            $r = $acc[0]{error} || $acc[1]{error} ? $acc[0] : all($w, "UPDATE own SET acc = $q WHERE id = $x", "UPDATE own SET acc = $p WHERE id = $y", 'COMMIT');
        }
        $w->query('ROLLBACK');
    }
    return @wrong;
}

my @ways = (
    sub { my ($w, $sql) = @_; return $w->query($sql); },
    sub { my ($w, $sql) = @_; return result($w->send(Parse('', $sql), Bind('', '', []), Execute(''), Sync())->until_ready); },
    sub { my ($w, $sql) = @_; return all($w, 'BEGIN', $sql); },
    sub { my ($w, $sql) = @_; my $r = all($w, 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT 1', $sql); return $r->{error} || wrong($r) ? $r : $w->query($sql); },
    sub {
        my ($w, $sql) = @_;
        my $r = all($w, 'BEGIN' . (rand() < 0.5 ? ' ISOLATION LEVEL REPEATABLE READ' : ''), "UPDATE own SET cash = cash + 1000 WHERE id <= $groups", $sql); # one of each group
        $r->{rows}[0][0] -= 1000 if !$r->{error};
        return $r;
    },
    sub { my ($w, $sql) = @_; return all($w, 'BEGIN', "DECLARE c CURSOR FOR $sql", 'FETCH ALL FROM c'); },
);
sub reader
{
    my $w = wire();
    my @wrong;
    while (time < $until) {
        my ($how, $sql) = (int rand @ways, a_sum());
        push @wrong, wrong($ways[$how]->($w, $sql), "way $how: $sql");
        $w->query('ROLLBACK');
    }
    return @wrong;
}

sub breaker
{
    my ($w, @wrong);
    while (time < $until) {
        $w //= wire();
        my ($how, $sql) = (int rand 4, a_sum());
        if ($how < 2) {
            $w->query('SET statement_timeout = ' . ($how ? 1 + int rand 15 : 0));
            $w->send(Query($sql));
            if (!$how) { sleep rand 0.02; $w->cancel; }
            push @wrong, wrong(result($w->until_ready), $how ? 'a timeout' : 'a cancel');
        } else { # the client goes away
            $w->send($how == 2 ? Query($sql) : (Parse('', $sql), Bind('', '', []), Execute(''), Flush()));
            sleep rand 0.02;
            $w->close;
            $w = undef;
        }
    }
    return @wrong;
}

sub killer
{
    while (time < $until) {
        sleep 0.1 + rand 0.3;
        eval { $cluster->do(1 + int rand 3, q{SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
            AND backend_type = 'client backend' AND state <> 'idle' ORDER BY random() LIMIT 1) q}); };
    }
    return;
}

# Children: what each returns is a list of what was wrong.
my @children = map {
    my $code = $_;
    pipe my $in, my $out or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        srand $$;
        my @lines = eval { $code->() };
        push @lines, "died: $@" if $@;
        print $out map { s/\n/ /gr . "\n" } @lines;
        close $out;
        POSIX::_exit(0);
    }
    close $out;
    { pid => $pid, in => $in };
} (\&writer) x 2, (\&reader) x 3, \&breaker, \&killer;
my @wrong = map { my @lines = readline $_->{in}; waitpid $_->{pid}, 0; @lines } @children;
is(join('', @wrong), '', "$seconds seconds: every sum is right");

my $left = q{SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%') + (SELECT count(*) FROM pg_prepared_xacts)};
for my $i (1 .. 3) { wait_for("shard $i to be quiet", sub { return $cluster->value($i, $left) == 0; }); }
my $w = $router->wire;
is_deeply([ map { my $g = $_; map { $w->value(sprintf $_, $g) + 0 } @sums } 0 .. $groups - 1 ], [ ($total) x ($groups * @sums) ], 'afterwards, too');
done_testing();
