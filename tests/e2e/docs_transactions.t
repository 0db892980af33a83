#!/usr/bin/perl
# The examples of docs/transactions.md, run as they are written: sessions with psql, and several sessions beside each other.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(run wait_for);
use PgbraidTest::Router;
use PgbraidTest::Tree;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 2);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { sharding_key => 'customer_id' });
$router->do('CREATE TABLE accounts (customer_id bigint PRIMARY KEY, balance bigint NOT NULL, changed timestamptz)');
$router->do('INSERT INTO accounts VALUES ' . join(', ', map { "($_, 100)" } 1 .. 4));
my ($shard) = grep { @{ $cluster->rows($_, 'SELECT 1 FROM accounts WHERE customer_id = 1') } } 1, 2;
is(scalar @{ $cluster->rows(3 - $shard, 'SELECT 1 FROM accounts WHERE customer_id = 4') }, 1, 'customers 1 and 4 live on different shards');

my $gtid = qr/[0-9a-f]{14}-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{16}/;
my $last; # the name that a block has shown
my %done;
my @blocks = PgbraidTest::Tree::slurp('docs/transactions.md') =~ /^```\n(.*?)^```$/msg;
cmp_ok(scalar @blocks, '>', 8, 'there are examples');

sub reset_accounts { $router->do('UPDATE accounts SET balance = 100'); return; }

# Statements and what psql shows of them.
sub psql_session
{
    my ($block) = @_;
    my (@sql, $want, $continued);
    for (split /^/, $block) {
        if (s/^shop=[*!]?> // || (s/^shop-[*!]?> // || $continued)) { push @sql, $_; $continued = !/;\s*$/; }
        else { $want .= $_; }
    }
    my $sql = join '', @sql;
    $sql =~ s/$gtid/$last/g if $last;
    my $r = run([ 'sh', '-c', 'psql -X -h 127.0.0.1 -p ' . $router->port . ' -U postgres -d test -f - 2>&1' ], stdin => $sql);
    my $got = $r->{out};
    ($last) = $got =~ /($gtid)/ if $got =~ /current_gtid/ && $got =~ $gtid;
    s/psql:<stdin>:\d+: //g, s/$gtid/GTID/g, s/^[ -]+\n//mg, s/ +$//mg, s/^ +//mg, s/ +/ /g for $got, my $shown = $want;
    chomp(my $first = (split /\n/, $sql)[-1]);
    is(substr($got, 0, length $shown), $shown, "psql: ... $first") or diag $got;
    return;
}

# Sessions beside each other; "-- 90 and 110" behind a query is what it gives.
sub sessions
{
    my ($block) = @_;
    my %w;
    for (split /\n/, $block) {
        my ($who, $sql, $want) = /^(?:session (\d)|shop)=> (.*?;)(?:\s+-- (-?\d+(?: and -?\d+)*)?.*)?$/ or BAIL_OUT("not understood: $_");
        $who //= 1;
        $w{$who} //= $router->wire;
        $w{$who}->do("SET pgbraid.snapshot_shards = 'all_serializable'") if $block =~ /SERIALIZABLE/ && !$w{"$who set"}++;
        my $r = $w{$who}->query($sql);
        is(($r->{error} // {})->{M}, undef, "session $who: $sql");
        is(join(' and ', map { $_->[-1] } sort { $a->[0] <=> $b->[0] } @{ $r->{rows} }), $want, "... gives $want") if defined $want;
    }
    return;
}

# A transfer of which one shard has not committed its half yet: the connection that is told to is stopped.
sub half_way
{
    my ($block) = @_;
    my ($single, $both) = $block =~ /\A(.*?)([^\n]*\n)\z/s;
    my $two = 3 - $shard;
    my ($w, $lock, $reader) = ($router->wire, $cluster->wire($shard), $router->wire);
    $w->do('BEGIN', 'UPDATE accounts SET balance = balance + 10 WHERE customer_id = 4', 'UPDATE accounts SET balance = balance - 10 WHERE customer_id = 1');
    my $pid = $cluster->value($two, "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'");
    $lock->do('BEGIN', 'LOCK TABLE pgbraid.decisions IN EXCLUSIVE MODE'); # keeps the decision waiting meanwhile
    $w->send(Query('COMMIT'));
    wait_for('the other half is prepared', sub { $cluster->value($two, "SELECT count(*) FROM pg_prepared_xacts WHERE gid LIKE 'pgbraid:%'") });
    kill STOP => $pid;
    $lock->do('COMMIT');
    wait_for('the decision', sub { $cluster->value($shard, 'SELECT balance FROM accounts WHERE customer_id = 1') == 90 });
    sessions($single);
    my ($sql) = $both =~ /=> (.*?;)/;
    $reader->send(Query($sql));
    wait_for('it waits', sub { $router->wire(database => 'pgbraid')->query('SHOW GATE')->{rows}[0][1] > 0 });
    kill CONT => $pid;
    is_deeply([ map { $_->[1] } sort { $a->[0] <=> $b->[0] } @{ PgbraidTest::Wire::result($reader->until_ready)->{rows} } ], [ $both =~ /-- (\d+) and (\d+)$/ ], "session: $sql");
    is(PgbraidTest::Wire::result($w->until_ready)->{tags}[0], 'COMMIT', 'the transfer is done');
    return;
}

for my $block (@blocks) {
    if ($block =~ /^pgbraid=>/) { $done{console}++; } # tests/e2e/recovery.t: it takes a transaction that is in doubt
    elsif ($block =~ /\AERROR/) { $done{error}++; }   # tests/e2e/deadlock.t
    elsif ($block =~ /not here yet/) { reset_accounts(); half_way($block); $done{half}++; }
    elsif ($block =~ /began before both/) { $done{race}++; } # nothing can force it
    elsif ($block =~ /^session 1/) { reset_accounts(); sessions($block); $done{sessions}++; }
    elsif ($block =~ /^shop=/) { psql_session($block); $done{psql}++; }
    else { fail("an example that nobody runs:\n$block"); }
}
is_deeply(\%done, { console => 1, error => 1, half => 1, race => 1, sessions => 1, psql => 5 }, 'the examples of each kind');
done_testing();
