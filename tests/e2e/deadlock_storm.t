#!/usr/bin/perl
# Many transactions over shards at once, with the deadlock detector always looking (X26, P50): in one order nobody is ever a victim;
# in any order everybody ends with COMMIT, 40P01 or 40001, and the money is right.
use strict;
use warnings;
use POSIX ();
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Router;
use PgbraidTest::Wire;
use Time::HiRes qw(sleep time);

my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { sharding_key => 'id', deadlock_timeout => '20ms' });
my $rows = 12;
$router->do('CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL)');
$router->do('INSERT INTO accounts VALUES ' . join ', ', map { "($_, 0)" } 1 .. $rows);

# Clients, each a process of its own, for some seconds; what each returns is a hash of counters.
sub clients
{
    my ($n, $seconds, $code) = @_;
    my (%sum, @children);
    for my $i (1 .. $n) {
        pipe my $in, my $out or die "pipe: $!";
        my $pid = fork // die "fork: $!";
        if (!$pid) {
            srand $i;
            my %n;
            my $ok = eval {
                my $w = $router->wire(timeout_s => 60);
                my $until = time + $seconds;
                $code->($w, \%n) while time < $until;
                1;
            };
            $n{died} = $@ =~ s/\s+/_/gr unless $ok;
            print $out join(' ', %n), "\n";
            close $out;
            POSIX::_exit(0);
        }
        push @children, [ $pid, $in ];
    }
    for (@children) {
        my ($pid, $in) = @$_;
        my %n = split ' ', <$in> // 'died silently';
        waitpid $pid, 0;
        if (exists $n{died}) { diag "a client: $n{died}"; $sum{died}++; delete $n{died}; }
        $sum{$_} += $n{$_} for keys %n;
    }
    return \%sum;
}

# A transaction: each row of the list is changed by 1; what it came to is counted.
sub change
{
    my ($w, $n, $hold_ms, @ids) = @_;
    $w->do('BEGIN');
    for my $id (@ids) {
        my $e = $w->query("UPDATE accounts SET balance = balance + 1 WHERE id = $id")->{error} or next;
        $n->{ $e->{C} }++;
        $w->do('ROLLBACK');
        return;
    }
    sleep $hold_ms / 1000 if $hold_ms;
    my $r = $w->query('COMMIT');
    if ($r->{error}) { $n->{ $r->{error}{C} }++; return; }
    $n->{commits}++;
    $n->{changes} += @ids;
    return;
}

sub some { my ($k) = @_; my %h; $h{ 1 + int rand $rows } = 1 while keys %h < $k; return keys %h; }
sub total { return $router->value('SELECT sum(balance) FROM accounts'); }

my $n = clients(10, 8, sub { my ($w, $n) = @_; change($w, $n, rand 60, sort { $a <=> $b } some(3)); });
is_deeply([ grep { /^(?:died|\w{5})$/ } grep { $_ ne 'commits' && $_ ne 'changes' } keys %$n ], [], 'X26: waits in one order: no victims, no errors') or diag explain $n;
cmp_ok($n->{commits}, '>', 20, "$n->{commits} transactions, one waiting for the other");
is(total(), $n->{changes}, 'every change is there');
my $sum = $n->{changes};

$n = clients(8, 10, sub { my ($w, $n) = @_; change($w, $n, 0, some(4)); });
my $errors = join ' ', map { "$_ ($n->{$_})" } grep { !/^(?:commits|changes|40P01|40001)$/ } sort keys %$n;
is($errors, '', 'a storm of deadlocks: every transaction commits or hears 40P01 or 40001');
cmp_ok($n->{commits}, '>', 10, "$n->{commits} commits, " . ($n->{'40P01'} // 0) . ' deadlocks: progress');
cmp_ok($n->{'40P01'} // 0, '>', 0, 'there were some');
is(total(), $sum += $n->{changes}, 'every committed change is there, and no other');

# Statements over all shards by themselves, which meet on each shard in another order. A try that was torn at the gate is done again:
# not before the cancel requests of the one before have been dealt with.
$n = clients(8, 8, sub {
    my ($w, $n) = @_;
    my $limit = 1 + int rand $rows;
    my $r = $w->query('UPDATE accounts SET balance = balance + 1 WHERE id ' . (rand() < 0.5 ? '<=' : '>=') . " $limit");
    if ($r->{error}) { $n->{ $r->{error}{C} }++; return; }
    $n->{commits}++;
    $n->{changes} += ($r->{tags}[0] =~ /(\d+)$/)[0];
    return;
});
$errors = join ' ', map { "$_ ($n->{$_})" } grep { !/^(?:commits|changes|40P01|40001)$/ } sort keys %$n;
is($errors, '', 'P49: crossing statements over all shards: each commits or hears 40P01 or 40001');
cmp_ok($n->{commits}, '>', 10, "$n->{commits} commits, " . ($n->{'40P01'} // 0) . ' deadlocks');
is(total(), $sum += $n->{changes}, 'every committed change is there, and no other');

is($cluster->value(1, 'SELECT count(*) FROM pg_prepared_xacts'), 0, 'nothing is left');
done_testing();
