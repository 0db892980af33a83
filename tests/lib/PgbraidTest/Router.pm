# A router under test, in front of a cluster.
#
#   my $r = PgbraidTest::Router->new(cluster => $cluster);
#
# Options: database (its logical name, test), config (hash of pgbraid.conf settings), ranges (list of key ranges, one a shard;
# default: equal parts), beside (a router whose directory this one shares: directory_shared), binary. The router must end in
# order and without a sanitizer's report, or the test fails, unless kill_now was called. PGBRAID_VALGRIND=1 runs it under valgrind.
package PgbraidTest::Router;
use strict;
use warnings;
use Carp qw(croak);
use PgbraidTest::Proc qw(free_port run wait_for workdir);
use PgbraidTest::Tree;
use PgbraidTest::Wire ();

my $count = 0;

sub new
{
    my ($class, %opt) = @_;
    my $self = bless { cluster => $opt{cluster}, database => $opt{database} // 'test', binary => $opt{binary} // PgbraidTest::Tree::pgbraid() }, $class;
    $self->{dir} = workdir() . '/router-' . ++$count;
    mkdir $self->{dir} or die "$self->{dir}: $!";
    $self->{port} = free_port();
    $self->{config} = { workers => 2, %{ $opt{config} // {} }, listen_addr => '127.0.0.1', port => $self->{port}, directory => 'directory.db', pidfile => 'router.pid' };
    $self->{config}{directory} = "$opt{beside}{dir}/directory.db" if $opt{beside};
    $self->write_config;
    my @ranges = $opt{beside} ? () : @{ $opt{ranges} // [ equal_ranges($self->{cluster}->shards) ] };
    for my $i (1 .. @ranges) {
        $self->cli_ok('shard', 'add', '--config', $self->conf, "s$i", '--database', $self->{database}, '--range', $ranges[ $i - 1 ], '--conninfo', $self->{cluster}->conninfo($i));
    }
    PgbraidTest::Proc::at_end(sub { return $self->complaints_at_end; });
    $self->start;
    return $self;
}

# n key ranges of equal size, printed as everywhere: '-55', '55-aa', 'aa-'.
sub equal_ranges
{
    my ($n) = @_;
    return ('-') if $n == 1;
    my @bounds = map { sprintf('%04x', int($_ * 65536 / $n)) =~ s/00$//r } 1 .. $n - 1;
    return map { ($_ == 0 ? '' : $bounds[ $_ - 1 ]) . '-' . ($_ == $n - 1 ? '' : $bounds[$_]) } 0 .. $n - 1;
}

sub conf     { return "$_[0]{dir}/pgbraid.conf"; }
sub port     { return $_[0]{port}; }
sub pid      { return $_[0]{proc}->pid; }
sub database { return $_[0]{database}; }
sub cluster  { return $_[0]{cluster}; }
sub log_text { return $_[0]{proc}->log_text; }

# Write pgbraid.conf, with settings changed; RELOAD or restart() makes them count.
sub write_config
{
    my ($self, %change) = @_;
    $self->{config} = { %{ $self->{config} }, %change };
    open my $out, '>', $self->conf or die $self->conf . ": $!";
    print $out "[pgbraid]\n", map { "$_ = $self->{config}{$_}\n" } sort keys %{ $self->{config} };
    close $out;
    return;
}

# The command line: { rc, out, err }.
sub cli { my ($self, @args) = @_; return run([ $self->{binary}, @args ]); }

sub cli_ok
{
    my ($self, @args) = @_;
    my $r = $self->cli(@args);
    croak "pgbraid @args: exit $r->{rc}\n$r->{out}$r->{err}" if $r->{rc} != 0;
    return $r->{out};
}

# Start, and wait until a client can log in.
sub start
{
    my ($self) = @_;
    my @under = $ENV{PGBRAID_VALGRIND} ? ('valgrind', '-q', '--leak-check=full', '--show-leak-kinds=definite', '--num-callers=30', "--log-file=$self->{dir}/valgrind.%p") : ();
    my $proc = $self->{proc} = PgbraidTest::Proc->spawn([ @under, $self->{binary}, 'serve', '-c', $self->conf ], log => "$self->{dir}/log");
    my $last = 'nobody listens';
    my $up = eval {
        wait_for('the router', sub {
            return 'died' unless $proc->alive;
            my $w = PgbraidTest::Wire->try_connect(port => $self->{port}, database => $self->{database}) or return 0;
            return 'up' unless $w->{error};
            $last = "$w->{error}{C} $w->{error}{M} " . ($w->{error}{D} // '');
            return 0;
        });
    } // "does not let anybody in: $last ($@)";
    croak "the router: $up\n" . $self->log_text if $up ne 'up';
    return $self;
}

# In order (SIGTERM); the exit status.
sub stop     { my ($self) = @_; return $self->{stopped} = $self->{proc}->stop; }
sub restart  { my ($self) = @_; $self->stop; return $self->start; }
# As a crash.
sub kill_now { my ($self) = @_; $self->{killed} = $self->{proc}; return $self->{proc}->kill_now; }
sub alive    { return $_[0]{proc}->alive; }

sub complaints_at_end
{
    my ($self) = @_;
    my @complaints;
    my $proc = $self->{proc};
    if (($self->{killed} // 0) != $proc) {
        my $status = $proc->alive ? $proc->stop : $proc->wait_exit;
        push @complaints, "the router ended with status $status" if $status != 0;
    }
    for my $file (glob "$self->{dir}/valgrind.*") { # it is quiet unless there is something to say
        my $said = PgbraidTest::Tree::slurp($file);
        push @complaints, "valgrind says:\n" . substr($said, 0, 8000) if $said =~ /\S/;
    }
    my @reports = grep { /AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|BUG:/ } split /\n/, $self->log_text;
    push @complaints, "the router's log has: $_" for @reports;
    push @complaints, "the router's log:\n" . substr($self->log_text, -4000) if @complaints;
    return @complaints;
}

# A session on the sharded database. Options as PgbraidTest::Wire's; try_wire leaves an error in {error}.
sub wire     { my ($self, %opt) = @_; return PgbraidTest::Wire->connect(port => $self->{port}, database => $self->{database}, %opt); }
sub try_wire { my ($self, %opt) = @_; return PgbraidTest::Wire->try_connect(port => $self->{port}, database => $self->{database}, %opt); }
sub open_wire { my ($self, %opt) = @_; return PgbraidTest::Wire->open(port => $self->{port}, %opt); }

# Each in a session of its own.
sub rows  { my ($self, $sql, @values) = @_; return $self->wire->rows($sql, @values); }
sub value { my ($self, $sql, @values) = @_; return $self->wire->value($sql, @values); }
sub do    { my ($self, @statements) = @_; return $self->wire->do(@statements); }
sub error { my ($self, $sql, @values) = @_; return $self->wire->error($sql, @values); }
sub query { my ($self, $sql, %opt) = @_; return $self->wire->query($sql, %opt); }

# The console.
sub console { my ($self, $sql) = @_; return $self->wire(database => 'pgbraid')->rows($sql); }
# What the console says of a statement, as a list of hashes.
sub route
{
    my ($self, $sql) = @_;
    my $r = $self->wire(database => 'pgbraid')->query("SHOW ROUTE FOR $sql");
    croak "SHOW ROUTE FOR $sql: $r->{error}{M}" if $r->{error};
    return [ map { my %h; @h{ @{ $r->{columns} } } = @$_; \%h } @{ $r->{rows} } ];
}

# How the answers of several shards to a SELECT become one, by EXPLAIN: concatenated, merged, aggregated or gathered.
sub plan
{
    my ($self, $sql) = @_;
    my $text = join "\n", map { $_->[0] } @{ $self->rows("EXPLAIN (COSTS OFF) $sql") };
    my ($how) = $text =~ /\ARows of \d+ shards, (\w+)/ or return 'routed';
    return $text =~ /FROM pg_temp\."part_1" AS pgbraid_rows\b/ ? 'aggregated' : $how;
}

# psql through the router: { rc, out, err }. Options of psql may follow.
sub psql
{
    my ($self, $sql, @options) = @_;
    return run([ 'psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-h', '127.0.0.1', '-p', $self->{port}, '-U', 'postgres', '-d', $self->{database}, @options, '-c', $sql ]);
}

1;
