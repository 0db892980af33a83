# What can happen to a distributed database, each as something that is done to a PgbraidTest::Chaos::Bed while the load runs,
# and undone again.
#
#   my $fault = PgbraidTest::Chaos::Faults::pick($rng, $bed, $only);     # by weight
#   my $said = $fault->{run}->($bed, $rng);                              # what was done, in words
#
# `kills` says how many times a router or a shard is killed by it (a crash run has at least one). $rng->($n) is 0 .. n-1.
package PgbraidTest::Chaos::Faults;
use strict;
use warnings;
use PgbraidTest::Proc qw(run wait_for);
use Time::HiRes qw(sleep time);

our $LONGEST_S = 10; # of what lasts: SIGSTOP, a hole in the network

# The points of router/exec/commit.c that every commit passes.
our @COMMIT_POINTS = map { "commit.$_" } qw(before_prepare prepare_sent after_prepare before_decide decide_sent after_decide before_commit_prepared
    commit_prepared_sent after_commit_prepared before_answer);
our @UNDO_POINTS = map { "commit.$_" } qw(before_rollback_prepared rollback_prepared_sent);
our @RECOVERY_POINTS = map { "recovery.$_" } qw(before_decide after_abort_row after_decide before_finish after_finish);
my @STEPS = ('PREPARE TRANSACTION', 'pgbraid.decide', 'COMMIT PREPARED');

sub one_of { my ($rng, @list) = @_; return $list[ $rng->(scalar @list) ]; }
sub shard { my ($bed, $rng) = @_; return 1 + $rng->($bed->shards); }
# Between the two, in seconds, to the millisecond.
sub between { my ($rng, $from, $to) = @_; my $ms = int(($to - $from) * 1000); return $from + ($ms > 0 ? $rng->($ms) / 1000 : 0); }
sub long { my ($rng) = @_; return between($rng, $LONGEST_S / 10, $LONGEST_S); }
sub any_router { my ($bed, $rng) = @_; return $rng->(scalar @{ $bed->{routers} }); }

# --- routers

# Restart a router in order with a fault point armed, and wait until it has died there.
sub die_at
{
    my ($bed, $n, $fault) = @_;
    my $status = $bed->router($n)->stop;
    $bed->router_spawn($n, $fault);
    my $died = $bed->router_death($n, 10);
    return ($status == 0 ? '' : "(it ended with status $status) ") . ($died ? "died at $fault" : "killed (did not come to $fault)");
}

sub at_point
{
    my (@points) = @_;
    return sub {
        my ($bed, $rng) = @_;
        my $n = any_router($bed, $rng);
        my $said = die_at($bed, $n, one_of($rng, @points) . '=kill:' . (1 + $rng->(40)));
        $bed->router_spawn($n);
        return "router $n $said";
    };
}

sub at_undo_point
{
    my ($bed, $rng) = @_;
    my $n = any_router($bed, $rng);
    my $fault = one_of($rng, @UNDO_POINTS) . '=kill';
    $bed->router($n)->stop;
    $bed->router_spawn($n, $fault);
    # A participant that is lost while it prepares makes the others roll back.
    my $shard = shard($bed, $rng);
    my $died = 0;
    for (1 .. 20) {
        $bed->network('on', $shard, 'after', 1 + $rng->(3), 'PREPARE TRANSACTION');
        $died = eval { wait_for('a fault point', sub { !$bed->router($n)->alive }, 0.5); 1 } and last;
    }
    $bed->network('pass', $shard);
    $bed->router($n)->kill_now;
    $bed->router_spawn($n);
    return "router $n " . ($died ? 'died' : 'killed (did not come)') . " at $fault";
}

# It leaves something at a point of the commit; its successor dies while it cleans up.
sub at_recovery_point
{
    my ($bed, $rng) = @_;
    my $n = any_router($bed, $rng);
    my $said = die_at($bed, $n, one_of($rng, @COMMIT_POINTS[ 2 .. 7 ]) . '=kill:' . (1 + $rng->(40)));
    my $fault = one_of($rng, @RECOVERY_POINTS) . '=kill:' . (1 + $rng->(2));
    $bed->router_spawn($n, $fault);
    my $died = $bed->router_death($n, 4);
    $bed->router_spawn($n);
    return "router $n $said, then " . ($died ? "died at $fault" : "killed (did not come to $fault)");
}

sub stopped_at_point
{
    my ($bed, $rng) = @_;
    my $n = any_router($bed, $rng);
    my $fault = one_of($rng, @COMMIT_POINTS) . '=stop:' . (1 + $rng->(40));
    my $for_s = long($rng);
    $bed->router($n)->stop;
    $bed->router_spawn($n, $fault);
    my $pid = $bed->router($n)->pid;
    my $stopped = eval { wait_for('a fault point', sub { state($pid) eq 'T' }, 8); 1 };
    sleep $for_s if $stopped;
    kill 'CONT', $pid;
    return sprintf 'router %d %s at %s for %.1f s', $n, $stopped ? 'stopped' : '(did not come)', $fault, $for_s;
}

sub state { my ($pid) = @_; open my $in, '<', "/proc/$pid/stat" or return ''; return (<$in> // '') =~ /\) (\S)/ ? $1 : ''; }

sub router_kill
{
    my ($bed, $rng) = @_;
    my $n = any_router($bed, $rng);
    $bed->router($n)->kill_now;
    $bed->router_spawn($n);
    return "router $n";
}

sub router_pause
{
    my ($bed, $rng) = @_;
    my $n = any_router($bed, $rng);
    my $for_s = long($rng);
    my $pid = $bed->router($n)->pid;
    kill 'STOP', $pid;
    sleep $for_s;
    kill 'CONT', $pid;
    return sprintf 'router %d for %.1f s', $n, $for_s;
}

sub router_restart
{
    my ($bed, $rng) = @_;
    my $n = any_router($bed, $rng);
    my $status = $bed->router($n)->stop;
    $bed->router_spawn($n);
    return "router $n, exit status $status";
}

# --- shards

sub shard_kill
{
    my ($bed, $rng) = @_;
    my $i = shard($bed, $rng);
    my $for_s = between($rng, 0, 1.5);
    $bed->cluster->crash_server($i);
    sleep $for_s;
    $bed->cluster->start_server($i);
    return sprintf 'shard %d, down for %.1f s', $i, $for_s;
}

# At the moment when a step of a commit has passed to it, and is not answered yet.
sub shard_kill_at
{
    my ($bed, $rng) = @_;
    my $i = shard($bed, $rng);
    my $step = one_of($rng, @STEPS);
    $bed->network('on', $i, 'after', 1 + $rng->(20), $step);
    my $fired = $bed->network_fired($i, 8);
    $bed->cluster->crash_server($i);
    $bed->network('pass', $i);
    $bed->cluster->start_server($i);
    return "shard $i " . ($fired ? 'at' : 'not at') . " $step";
}

sub backend_kill
{
    my ($bed, $rng) = @_;
    my $i = shard($bed, $rng);
    my $pids = eval { $bed->cluster->rows($i, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name LIKE 'chaos%' ORDER BY pid") } // [];
    $pids = eval { $bed->cluster->rows($i, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY pid") } // [] if !@$pids;
    return "shard $i: no backend" if !@$pids;
    kill 'KILL', $pids->[ $rng->(scalar @$pids) ][0];
    return "shard $i, one of " . @$pids . ' backends';
}

sub shard_immediate { my ($bed, $rng) = @_; my $i = shard($bed, $rng); $bed->cluster->kill_server($i); $bed->cluster->start_server($i); return "shard $i"; }
sub shard_restart { my ($bed, $rng) = @_; my $i = shard($bed, $rng); $bed->cluster->stop_server($i); $bed->cluster->start_server($i); return "shard $i"; }

sub shard_pause
{
    my ($bed, $rng) = @_;
    my $i = shard($bed, $rng);
    my $for_s = long($rng);
    $bed->cluster->freeze_server($i);
    sleep $for_s;
    $bed->cluster->thaw_server($i);
    return sprintf 'shard %d for %.1f s', $i, $for_s;
}

sub everything
{
    my ($bed, $rng) = @_;
    my $n = any_router($bed, $rng);
    my $with_router = $rng->(2);
    $bed->router($n)->kill_now if $with_router;
    $bed->cluster->crash_server($_) for 1 .. $bed->shards;
    $bed->cluster->start_server($_) for 1 .. $bed->shards;
    $bed->router_spawn($n) if $with_router;
    return 'all shards' . ($with_router ? " and router $n" : '');
}

sub router_and_shard
{
    my ($bed, $rng) = @_;
    my $n = any_router($bed, $rng);
    my $said = die_at($bed, $n, one_of($rng, @COMMIT_POINTS) . '=kill:' . (1 + $rng->(40)));
    my $i = shard($bed, $rng);
    $bed->cluster->crash_server($i);
    $bed->router_spawn($n); # comes while the shard is down
    sleep between($rng, 0, 1.5);
    $bed->cluster->start_server($i);
    return "router $n $said, then shard $i";
}

# --- network

sub network_for
{
    my ($verb, $from, $to) = @_;
    return sub {
        my ($bed, $rng) = @_;
        my $i = shard($bed, $rng);
        my $for_s = $to ? between($rng, $from, $to) : long($rng);
        $bed->network($verb, $i, $verb eq 'delay' ? 5 + $rng->(60) : ());
        sleep $for_s;
        $bed->network('reset', $i) if $verb eq 'hole' && $rng->(2);
        $bed->network('pass', $i);
        return sprintf '%s shard %d for %.1f s', $verb, $i, $for_s;
    };
}

# Links break at the steps of commits, some after another.
sub network_at
{
    my ($bed, $rng) = @_;
    my @said;
    for (1 .. 4) {
        my $i = shard($bed, $rng);
        my ($action, $step) = (one_of($rng, qw(before after half)), one_of($rng, @STEPS));
        $bed->network('on', $i, $action, 1 + $rng->(10), $step);
        push @said, "$action $step on shard $i" . ($bed->network_fired($i, 4) ? '' : ' (did not come)');
        $bed->network('pass', $i) if $action ne 'half' || $rng->(2);
    }
    $bed->network('pass', $_) for 1 .. $bed->shards;
    return join ', ', @said;
}

# --- disk

sub disk_full
{
    my ($bed, $rng) = @_;
    my $i = $bed->shards;
    my $filler = $bed->cluster->{shard}{$i}{server}{dir} . '/data/filler';
    my $said = length $bed->cluster->server_log($i);
    run([ 'dd', 'if=/dev/zero', "of=$filler", 'bs=64k' ]); # until nothing fits any more
    truncate $filler, (-s $filler) - $rng->(500_000) if !$rng->(3); # some goes on a little
    my $for_s = between($rng, 1, 5);
    sleep $for_s;
    unlink $filler;
    my $errors = () = substr($bed->cluster->server_log($i), $said) =~ /No space left on device/g;
    return sprintf 'shard %d for %.1f s, %d errors', $i, $for_s, $errors;
}

# --- clocks

# Seconds, minutes, a day or half a year, forth or back, of a shard or a router.
sub clock_jump
{
    my ($bed, $rng) = @_;
    my $whose = $rng->(3) ? shard($bed, $rng) : 'router-' . any_router($bed, $rng);
    my $by_s = one_of($rng, 5, 600, 86_400, 180 * 86_400) * ($rng->(2) ? 1 : -1);
    my $for_s = between($rng, 1.5, 4); # a clock is looked at once a second
    $bed->clock_set($whose, $by_s);
    sleep $for_s / 2;
    my $kill = $rng->(2);
    router_kill($bed, $rng) if $kill; # what it leaves is judged by wrong clocks
    sleep $for_s / 2;
    $bed->clock_set($whose, 0);
    return sprintf '%s by %d s for %.1f s%s', $whose =~ /router/ ? $whose : "shard $whose", $by_s, $for_s, $kill ? ', a router killed meanwhile' : '';
}

# --- the table

our @FAULTS = (
    { name => 'router.kill.commit_point', weight => 30, kills => 1, run => at_point(@COMMIT_POINTS) },
    { name => 'router.kill.undo_point', weight => 4, kills => 1, run => \&at_undo_point },
    { name => 'router.kill.recovery_point', weight => 10, kills => 2, run => \&at_recovery_point },
    { name => 'router.kill.any_time', weight => 6, kills => 1, run => \&router_kill },
    { name => 'router.stop.commit_point', weight => 2, kills => 0, run => \&stopped_at_point },
    { name => 'router.stop', weight => 2, kills => 0, run => \&router_pause },
    { name => 'router.restart', weight => 1, kills => 0, run => \&router_restart },
    { name => 'shard.kill', weight => 12, kills => 1, run => \&shard_kill },
    { name => 'shard.kill.at_step', weight => 14, kills => 1, run => \&shard_kill_at },
    { name => 'shard.kill.backend', weight => 5, kills => 1, run => \&backend_kill },
    { name => 'shard.immediate', weight => 2, kills => 0, run => \&shard_immediate },
    { name => 'shard.restart', weight => 2, kills => 0, run => \&shard_restart },
    { name => 'shard.stop', weight => 3, kills => 0, run => \&shard_pause },
    { name => 'shard.kill.all', weight => 3, kills => 3, run => \&everything },
    { name => 'router_and_shard.kill', weight => 8, kills => 2, run => \&router_and_shard },
    { name => 'network.reset', weight => 2, kills => 0, run => network_for('reset', 0, 0.1) },
    { name => 'network.cut', weight => 3, kills => 0, run => network_for('cut', 0.2, 3) },
    { name => 'network.hole', weight => 3, kills => 0, run => network_for('hole') },
    { name => 'network.half_open', weight => 3, kills => 0, run => network_for('halfopen', 0.5, 6) },
    { name => 'network.delay', weight => 1, kills => 0, run => network_for('delay', 1, 2) },
    { name => 'network.at_step', weight => 6, kills => 0, run => \&network_at },
    { name => 'clock.jump', weight => 10, kills => 0, run => \&clock_jump, needs => 'clock' },
    { name => 'disk.full', weight => 3, kills => 0, run => \&disk_full, needs => 'disk' },
);

sub possible { my ($bed, $only) = @_; return grep { (!$_->{needs} || $bed->{ $_->{needs} }) && (!$only || $_->{name} =~ $only) } @FAULTS; }

sub pick
{
    my ($rng, $bed, $only) = @_;
    my @faults = possible($bed, $only) or die 'no such fault';
    my $sum = 0;
    $sum += $_->{weight} for @faults;
    my $at = $rng->($sum);
    for my $f (@faults) {
        return $f if $at < $f->{weight};
        $at -= $f->{weight};
    }
    die 'not reached';
}

1;
