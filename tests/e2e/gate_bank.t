#!/usr/bin/perl
# The bank: clients move money between shards, insert rows in pairs, and carry an item from one shard to the other, while
# others read over all shards in every way there is. Every sum is right, every pair whole, the item never gone (rules X13,
# X14, X15, X20); with consistent_reads = off the same reads see wrong sums. PGBRAID_SUMS says how many reads (4000).
use strict;
use warnings;
use Test::More;
use POSIX ();
use PgbraidTest::Cluster;
use PgbraidTest::Router;
use PgbraidTest::Wire;
use Time::HiRes qw(time);

my $sums = $ENV{PGBRAID_SUMS} // 4000;
my $accounts = 24;
my $total = $accounts * 1000;
my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { sharding_key => 'id', pool_size => 12 });
$router->do(
    'CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL)',
    'CREATE TABLE pairs (id bigint NOT NULL, n bigint NOT NULL, seen boolean NOT NULL DEFAULT false, PRIMARY KEY (id, n))',
    'CREATE TABLE item (id bigint PRIMARY KEY)',
    'CREATE TABLE visits (id bigint, account bigint, PRIMARY KEY (id, account))',
    'INSERT INTO accounts VALUES ' . join(', ', map { "($_, 1000)" } 1 .. $accounts),
);
my @on = map { my $i = $_; [ map { $_->[0] } @{ $cluster->rows($i, 'SELECT id FROM accounts ORDER BY id') } ] } 1 .. 3;
cmp_ok(scalar @{ $on[$_] }, '>', 1, "shard $_ has accounts") for 0 .. 2;
$router->do("INSERT INTO item VALUES ($on[0][0])", map { "INSERT INTO visits VALUES ($on[0][0], $_)" } 1 .. $accounts);

# --- those who write: until killed

sub transfers
{
    my ($w) = @_;
    while (1) {
        my ($i, $k) = (int rand 3, int rand 2);
        $k = 2 if $k == $i;
        my ($from, $to) = ($on[$i][ rand @{ $on[$i] } ], $on[$k][ rand @{ $on[$k] } ]);
        my $amount = 1 + int rand 50;
        my @moves = sort { $a->[0] <=> $b->[0] } [ $from, -$amount ], [ $to, $amount ]; # in one order: no deadlocks
        $w->send(Query('BEGIN'), (map { Query("UPDATE accounts SET balance = balance + ($_->[1]) WHERE id = $_->[0]") } @moves), Query('COMMIT'));
        for my $f (map { $w->until_ready } 1 .. 4) { die "transfer: $f->{fields}{C} $f->{fields}{M}" if $f->{type} eq 'E'; }
    }
}

sub pairs
{
    my ($w, $number) = @_;
    for (my $n = $number;; $n += 10) { $w->do("INSERT INTO pairs VALUES ($on[0][0], $n), ($on[1][0], $n), ($on[2][0], $n)"); }
}

# Two commits of single shards after one another, each acknowledged before the next is sent.
sub carry
{
    my ($w) = @_;
    for (my $at = 0;; $at = ($at + 1) % 3) {
        my ($here, $there) = ($on[$at][0], $on[ ($at + 1) % 3 ][0]);
        $w->do("INSERT INTO item VALUES ($there)");
        if (rand() < 0.5) { $w->do("DELETE FROM item WHERE id = $here"); }
        else { $w->do('BEGIN', "DELETE FROM item WHERE id = $here", 'COMMIT'); }
    }
}

# --- those who read: each returns how many reads and what was wrong

sub wrong_sum { my ($sum, $how) = @_; return ($sum // 'nothing') eq $total ? () : "$how: " . ($sum // 'nothing'); }
sub add_up { my ($rows) = @_; my $sum = 0; $sum += $_->[1] for @$rows; return $sum; }
sub must { my ($r) = @_; die "$r->{error}{C} $r->{error}{M}" if $r->{error}; return $r; }

my %read = (
    gather => sub { my ($w) = @_; return wrong_sum($w->value('SELECT sum(balance) FROM accounts'), 'gather'); },
    parts => sub {
        my ($w) = @_;
        my $row = $w->rows('SELECT (SELECT sum(balance) FROM accounts), (SELECT sum(a.balance) FROM accounts a JOIN accounts b ON a.balance = b.balance AND a.id = b.id)')->[0];
        return (wrong_sum($row->[0], 'X15: first part'), wrong_sum($row->[1], 'X15: self join'));
    },
    # Accounts are asked for when the visits are there, of which two shards have none.
    semijoin => sub { my ($w) = @_; return wrong_sum($w->value("SELECT sum(a.balance) FROM visits v JOIN accounts a ON a.id = v.account WHERE v.id = $on[0][0]"), 'X15: semi-join'); },
    simple => sub { my ($w) = @_; return wrong_sum(add_up(must($w->query('SELECT id, balance FROM accounts'))->{rows}), 'X14: simple'); },
    extended => sub { my ($w) = @_; return wrong_sum(add_up(must($w->query_params('SELECT id, balance FROM accounts WHERE balance > $1', -1000000))->{rows}), 'extended'); },
    transaction => sub {
        my ($w) = @_;
        $w->send(Query('BEGIN'), Query('SELECT id, balance FROM accounts'), Query('SELECT sum(balance) FROM accounts'), Query('COMMIT'));
        my @r = map { must(PgbraidTest::Wire::result($w->until_ready)) } 1 .. 4;
        return (wrong_sum(add_up($r[1]{rows}), 'in a transaction'), wrong_sum($r[2]{rows}[0][0], 'gather in a transaction'));
    },
    # One snapshot for all statements, whichever comes first (rule X21).
    repeatable => sub {
        my ($w) = @_;
        my ($id, $how) = (1 + int rand $accounts, int rand 4);
        my @first = ("SELECT balance FROM accounts WHERE id = $id", 'SELECT id, balance FROM accounts', 'SELECT sum(balance) FROM accounts', 'SAVEPOINT s; SELECT count(*) FROM item');
        $w->do('BEGIN ISOLATION LEVEL REPEATABLE READ' . (rand() < 0.5 ? ', READ ONLY' : ''));
        must($w->query($first[$how]));
        my $one = $w->value("SELECT balance FROM accounts WHERE id = $id");
        my %rows = map { $_->[0] => $_->[1] } @{ must($w->query_params('SELECT id, balance FROM accounts WHERE balance > $1', -1000000))->{rows} };
        my $sum = $w->value('SELECT sum(balance) FROM accounts');
        my $copied = add_up([ map { [ split /\t/ ] } split /\n/, must($w->query('COPY accounts TO STDOUT'))->{copied} ]);
        my $items = @{ $w->rows('SELECT id FROM item') };
        $w->do('COMMIT');
        return ((map { wrong_sum($_, "X21: beginning with $how") } add_up([ map { [ $_, $rows{$_} ] } keys %rows ]), $sum, $copied), $rows{$id} eq $one ? () : "X21: $one and $rows{$id}", $items ? () : 'X21: the item is nowhere');
    },
    copy => sub { my ($w) = @_; return wrong_sum(add_up([ map { [ split /\t/ ] } split /\n/, must($w->query('COPY accounts TO STDOUT'))->{copied} ]), 'X13: COPY TO'); },
    copy_query => sub {
        my ($w) = @_;
        $w->send(Query('BEGIN'), Query('COPY (SELECT id, balance FROM accounts) TO STDOUT'), Query('ROLLBACK'));
        my @r = map { PgbraidTest::Wire::result($w->until_ready) } 1 .. 3;
        return () if $r[1]{error} && $r[1]{error}{C} eq '40001'; # and no CopyDone
        return wrong_sum(add_up([ map { [ split /\t/ ] } split /\n/, must($r[1])->{copied} ]), 'X13: COPY TO in a transaction');
    },
    item => sub { my ($w) = @_; return @{ $w->rows('SELECT id FROM item') } ? () : 'X20: the item is nowhere'; },
    change => sub {
        my ($w) = @_;
        my $sql = rand() < 0.5 ? 'DELETE FROM pairs WHERE seen RETURNING n' : 'UPDATE pairs SET seen = true WHERE NOT seen RETURNING n';
        my %times;
        my $rows;
        if (rand() < 0.3) {
            $w->do('BEGIN');
            $rows = $w->rows($sql);
            $w->do('COMMIT');
        } else {
            $rows = $w->rows($sql);
        }
        $times{ $_->[0] }++ for @$rows;
        return map { "X13: $sql: row $_ on $times{$_} shards" } grep { $times{$_} != 3 } sort keys %times;
    },
);

# Children: code gets a session of its own; what it returns is a list of lines.
sub child
{
    my ($code) = @_;
    pipe my $in, my $out or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    return { pid => $pid, in => $in } if $pid;
    srand $$;
    my @lines = eval { $code->($router->wire(timeout_s => 60)) };
    push @lines, "died: $@" if $@;
    print $out map { s/\n/ /gr . "\n" } @lines;
    close $out;
    POSIX::_exit(0);
}

sub bank
{
    my ($reads, @kinds) = @_;
    my @writers = ((map { child(\&transfers) } 1 .. 3), child(sub { pairs($_[0], 1) }), child(\&carry));
    my $started = time;
    my @readers = map {
        my @own = @$_;
        child(sub {
            my ($w) = @_;
            my (%n, @wrong);
            for my $i (1 .. $reads / 3) {
                my $kind = $own[ rand @own ];
                $w->do("SET application_name = 'reader $i'") if $i % 7 == 0; # replayed on each connection, after BEGIN, too
                push @wrong, $read{$kind}->($w);
                $n{$kind}++;
                last if @wrong > 20;
            }
            return ((map { "did $_ $n{$_}" } sort keys %n), map { "wrong $_" } @wrong);
        });
    } [ grep { $_ ne 'change' } @kinds ], [ grep { $_ ne 'change' } @kinds ], \@kinds;
    my (%did, @wrong);
    for my $r (@readers) {
        for (readline $r->{in}) {
            if (/^did (\S+) (\d+)/) { $did{$1} += $2; }
            else { push @wrong, $_; }
        }
        waitpid $r->{pid}, 0;
    }
    my $took = time - $started;
    kill KILL => $_->{pid} for @writers;
    for my $x (@writers) { push @wrong, readline $x->{in}; waitpid $x->{pid}, 0; }
    my $n = 0;
    $n += $_ for values %did;
    diag sprintf '%d reads in %.1f s: %s', $n, $took, join ', ', map { "$_ $did{$_}" } sort keys %did;
    return ($n, @wrong);
}

my ($n, @wrong) = bank($sums, sort keys %read);
is(join("", @wrong), "", "$n reads: every sum is right");
cmp_ok($n, '>=', int($sums / 3) * 3, 'all were done');
my $gate = $router->wire(database => 'pgbraid')->query('SHOW GATE');
my %gate;
@gate{ @{ $gate->{columns} } } = @{ $gate->{rows}[0] };
diag join ' ', map { "$_=$gate{$_}" } @{ $gate->{columns} };
cmp_ok($gate{retries}, '>', 0, 'some snapshots were taken again');
cmp_ok($gate{commits}, '>', 100, 'many transactions were committed meanwhile');
is($gate{refused}, 0, 'no read was refused');

$router->write_config(consistent_reads => 'off');
$router->restart;
($n, @wrong) = bank(3000, qw(gather simple copy item));
cmp_ok(scalar(grep { /^wrong (?:gather|X14|X13)/ } @wrong), '>', 0, "consistent_reads = off: some of $n sums are wrong");
diag scalar(@wrong) . ' wrong';
my $w = $router->wire;
$w->do('SET pgbraid.consistent_reads = on'); # commits of the clients that were killed may still be under way
is(add_up($w->rows('SELECT id, balance FROM accounts')), $total, 'the money is all there');
done_testing();
