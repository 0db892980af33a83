#!/usr/bin/perl
# Transactions over shards are atomic and recoverable, whatever breaks: README.md in this folder.
# The environment sets the length and the seed: PGBRAID_CHAOS_MINUTES or PGBRAID_CHAOS_ROUNDS, PGBRAID_CHAOS_SEED,
# PGBRAID_CHAOS_ONLY (a pattern of fault names), PGBRAID_CHAOS_ROUTERS, PGBRAID_CHAOS_CLOCK (1: clocks jump; then no shard is
# killed, because libfaketime's lock does not survive that). `./dev chaos` sets it.
use strict;
use warnings;
use Digest::MD5 qw(md5);
use Test::More;

BEGIN {
    # A mount namespace of its own: the small file system that gets full is gone with us, whatever happens.
    if ($> == 0 && !$ENV{PGBRAID_CHAOS_MOUNTS}) {
        $ENV{PGBRAID_CHAOS_MOUNTS} = system('unshare', '--mount', '--propagation', 'private', 'true') == 0 ? 'own' : 'none';
        exec 'unshare', '--mount', '--propagation', 'private', $^X, (map { "-I$_" } @INC), $0, @ARGV if $ENV{PGBRAID_CHAOS_MOUNTS} eq 'own';
    }
}

use PgbraidTest::Chaos::Bed;
use PgbraidTest::Chaos::Faults;
use PgbraidTest::Proc qw(wait_for workdir);
use Time::HiRes qw(sleep time);

my $minutes = $ENV{PGBRAID_CHAOS_MINUTES} || 1;
my $rounds = $ENV{PGBRAID_CHAOS_ROUNDS} || 0;
my $seed = $ENV{PGBRAID_CHAOS_SEED} // 1;
my $only = $ENV{PGBRAID_CHAOS_ONLY} ? qr/$ENV{PGBRAID_CHAOS_ONLY}/ : undef;
my $routers = $ENV{PGBRAID_CHAOS_ROUTERS} // 1;
my $clock = $ENV{PGBRAID_CHAOS_CLOCK} ? 1 : 0;
plan skip_all => 'no libfaketime' if $clock && !PgbraidTest::Chaos::Bed::have_clock();
$only //= qr/^(?:clock|router|network)\./ if $clock;
my $disk = ($ENV{PGBRAID_CHAOS_MOUNTS} // 'none') eq 'own';
$PgbraidTest::Chaos::Faults::LONGEST_S = 3 if $minutes <= 2 && !$only;

# Random numbers of a round: the same again for the same seed and round.
sub random_of
{
    my ($round) = @_;
    my $i = 0;
    return sub { my ($n) = @_; return unpack('N', md5("$seed $round " . ++$i)) % $n; };
}

my $bed = PgbraidTest::Chaos::Bed->new(seed => $seed, clients => { readers => 1 }, routers => $routers, clock => $clock, $disk ? (disk_mb => 160) : ());
$bed->{disk} = $disk;
note 'no file system of its own: disk.full is left out' if !$disk;
open my $schedule, '>', workdir() . '/schedule' or die "schedule: $!";
$schedule->autoflush(1);

my (%count, %transactions, $kills, $crash_runs, $orphans, $sums, $wrong_sums);
$kills = $crash_runs = $orphans = $sums = $wrong_sums = 0;

sub say_it { my ($text) = @_; print {$schedule} "$text\n"; note $text; return; }

# Shards and routers answer again; what does not, in words.
sub wait_back
{
    my @wrong;
    for my $i (1 .. $bed->shards) {
        my $server = $bed->cluster->{shard}{$i}{server};
        $bed->cluster->start_server($i) if !$server->{proc}->alive; # a server with a full disk gives up
        eval { wait_for("shard $i", sub { eval { $bed->cluster->value($i, 'SELECT 1') } }, 30); 1 } or push @wrong, "not back: shard $i: $@";
    }
    for my $n (0 .. $#{ $bed->{routers} }) {
        my $why = $bed->router_up($n, 30);
        push @wrong, "not back: router $n: $why" if $why;
    }
    return @wrong;
}

sub run_round
{
    my ($round) = @_;
    my $rng = random_of($round);
    my $fault = PgbraidTest::Chaos::Faults::pick($rng, $bed, $only);
    my $began = time;
    $bed->load_go($round);
    sleep 0.3 + $rng->(700) / 1000;
    my $said = eval { $fault->{run}->($bed, $rng) };
    my @wrong = defined $said ? () : ("harness: $fault->{name}: $@");
    $said //= '';
    my $back = time;
    my $left = $bed->prepared // {}; # by the dead
    push @wrong, wait_back();
    push @wrong, $bed->wait_orphans($fault->{name}, $left, $back) if !@wrong;
    sleep 0.4;
    my $counts = $bed->load_pause;
    if (!@wrong) {
        # Transactions that came to their end meanwhile, and those of clients that went away.
        push @wrong, eval { wait_for('the end of everything prepared', sub { my $now = $bed->prepared; $now && !%$now }, $PgbraidTest::Chaos::Bed::ORPHAN_LIMIT_S); 1 }
            ? () : ('orphan: at rest: ' . join ', ', sort keys %{ $bed->prepared // {} });
        push @wrong, $bed->check($round);
    }
    $count{ $fault->{name} }++;
    $kills += $fault->{kills};
    $crash_runs++ if $fault->{kills};
    $orphans += $bed->{orphans} // 0;
    $sums += $bed->{sums} // 0;
    $wrong_sums += $bed->{wrong_sums} // 0;
    $transactions{$_} += $counts->{$_} for keys %$counts;
    say_it(sprintf 'round %d: %s: %s; %d transactions: %d committed, %d aborted, %d unknown; %d left prepared, gone %.2f s after all was back; %.1f s', $round, $fault->{name}, $said,
        @$counts{qw(all committed aborted unknown)}, $bed->{orphans} // 0, $bed->{orphan_s} // 0, time - $began);
    return ("$fault->{name}: $said", @wrong);
}

my $end = time + $minutes * 60;
my $round = 0;
while ($rounds ? $round < $rounds : time < $end) {
    my ($what, @wrong) = run_round(++$round);
    if (@wrong) {
        fail("round $round: $what");
        say_it("VIOLATION $_") for @wrong;
        diag($_) for @wrong[ 0 .. ($#wrong > 30 ? 30 : $#wrong) ];
        diag("again: ./dev chaos --seed $seed --rounds $round; history, schedule and logs are kept in the directory below");
        last;
    }
    pass("round $round: $what");
    $bed->fold($round);
}
say_it("$_: $count{$_}") for sort keys %count;
say_it(sprintf '%d rounds, %d crash runs with %d kills; %d transactions: %d committed, %d aborted, %d unknown; %d orphans seen, longest %.2f s; %d statuses asked; %d sums read, %d of them wrong', $round, $crash_runs, $kills,
    (map { $transactions{$_} // 0 } qw(all committed aborted unknown)), $orphans, $bed->{longest_orphan_s}, $bed->{statuses} // 0, $sums, $wrong_sums);
done_testing();
