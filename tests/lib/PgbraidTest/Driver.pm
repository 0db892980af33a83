# A real client program, run twice: against one plain PostgreSQL server and against a router over three shards. What it prints must be
# the same.
#
#   PgbraidTest::Driver::compare(name => 'psycopg2', command => ['/usr/bin/python3', program('psycopg2.py')], checks => 15, ...);
#
# The program finds its server by PGHOST, PGPORT, PGUSER and PGDATABASE, prints '## NAME' before what belongs to a check, and '## end'
# last. Each check is a test. The plain server's run is the truth, so a program asserts nothing that both would answer alike; what it
# does not expect ends it, with a message, and that fails.
#
# Other options: short (part of ./dev test; the others run in ./dev drivers), present (function: undef, or why the driver is not
# there), version (function: its version), config (the router's), schema (SQL run on both first, beside schema.sql's; undef for neither),
# reference (tables made reference tables), sharded (how many tables must be sharded in the end), same (function: text => text
# without what may differ), todo (hash: check => reason), env (hash), timeout_s, ready (function, called with the beds before).
package PgbraidTest::Driver;
use strict;
use warnings;
use Exporter qw(import);
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(run workdir);
use PgbraidTest::Router;
use PgbraidTest::Tree;

our @EXPORT_OK = qw(compare go node program python python_module rust skip_unless);

sub program { my ($name) = @_; return PgbraidTest::Tree::root() . "/tests/drivers/programs/$name"; }

# Where ./dev drivers keeps what comes from registries.
sub cache { return $ENV{PGBRAID_DRIVER_CACHE} || PgbraidTest::Tree::root() . '/build/drivers'; }

sub skip_unless
{
    my (%opt) = @_;
    plan skip_all => "$opt{name}: ./dev drivers runs it" if !$opt{short} && !$ENV{PGBRAID_DRIVERS};
    plan skip_all => 'not under a sanitizer' if PgbraidTest::Tree::build() =~ /san$/ && !$opt{short};
    my $why = $opt{present} ? $opt{present}->() : undef;
    plan skip_all => "$opt{name}: $why" if defined $why;
    return;
}

# For `present`: is a module of Debian's Python there?
sub python_module
{
    my ($module) = @_;
    my $r = run([ '/usr/bin/python3', '-c', "import $module; print(getattr($module, '__version__', '?'))" ]);
    return $r->{rc} ? "Python has no $module" : undef;
}

# The options of a program in Python, or in JavaScript with modules of the npm registry.
sub python
{
    my ($module, $program) = @_;
    return (present => sub { python_module($module) }, version => sub { says('/usr/bin/python3', '-c', "import $module; print($module.__version__)") }, command => [ '/usr/bin/python3', '-B', program($program) ]);
}

sub node
{
    my ($program, @modules) = @_;
    my $dir = cache() . '/node_modules';
    return (
        present => sub { my ($missing) = grep { !-e "$dir/$_/package.json" } @modules; return $missing ? "npm has not installed $missing" : undef; },
        version => sub { return join ', ', 'node ' . says('node', '--version'), map { "$_ " . (PgbraidTest::Tree::slurp("$dir/$_/package.json") =~ /"version":\s*"([^"]+)"/)[0] } @modules },
        command => [ 'node', program($program) ], env => { NODE_PATH => $dir },
    );
}

# The options of a program in Go over a module of the proxy; it is built in the cache.
sub go
{
    my ($program, $module) = @_;
    my $dir = cache() . '/go';
    my $binary = "$dir/" . $program =~ s/\.go$//r;
    local $ENV{PATH} = "$ENV{PATH}:/usr/local/go/bin";
    my ($go) = grep { -x } map { "$_/go" } split /:/, $ENV{PATH};
    return (
        present => sub {
            return 'no Go' if !$go;
            return "Go's proxy has not given $module" if !-e "$dir/go.mod" || PgbraidTest::Tree::slurp("$dir/go.mod") !~ /^\s*(?:require )?\Q$module\E /m;
            my $r = run([ $go, '-C', $dir, 'build', '-o', $binary, program($program), program('common.go') ], timeout_s => 300);
            die "go build: $r->{err}" if $r->{rc};
            return undef;
        },
        version => sub { return says($go, 'version') . ", $module " . (PgbraidTest::Tree::slurp("$dir/go.mod") =~ /\Q$module\E (\S+)/)[0] },
        command => [$binary],
    );
}

# The options of a program in Rust over a crate, likewise; one program at a time is the package's.
sub rust
{
    my ($program, $crate) = @_;
    my $dir = cache() . '/rust';
    local $ENV{PATH} = "$ENV{PATH}:$ENV{HOME}/.cargo/bin";
    my ($cargo) = grep { -x } map { "$_/cargo" } split /:/, $ENV{PATH};
    return (
        present => sub {
            return 'no Rust' if !$cargo;
            return "crates.io has not given $crate" if !-e "$dir/Cargo.toml" || PgbraidTest::Tree::slurp("$dir/Cargo.toml") !~ /^\Q$crate\E = /m;
            my $r = run([ 'cp', program($program), "$dir/src/main.rs" ]);
            $r = run([ $cargo, 'build', '--quiet', '--manifest-path', "$dir/Cargo.toml" ], timeout_s => 600) if !$r->{rc};
            die "cargo build: $r->{err}" if $r->{rc};
            return undef;
        },
        version => sub { return says($cargo, '--version') . ", $crate " . (PgbraidTest::Tree::slurp("$dir/Cargo.lock") =~ /name = "\Q$crate\E"\nversion = "([^"]+)"/)[0] },
        command => ["$dir/target/debug/pgbraid_drivers"],
    );
}

# For `version` and `present` of anything that a command tells.
sub says { my (@command) = @_; my $r = eval { run(\@command) } // return undef; return $r->{rc} ? undef : "$r->{out}$r->{err}" =~ s/\s+\z//r; }

# A router over three shards and a plain database on the same server: { cluster, router, plain }.
sub bed
{
    my (%opt) = @_;
    my $cluster = PgbraidTest::Cluster->new(shards => 3, settings => $opt{settings} // {});
    my @ranges = PgbraidTest::Router::equal_ranges(3);
    my $plain = $cluster->add_shard;
    my $router = PgbraidTest::Router->new(cluster => $cluster, ranges => \@ranges, config => { sharding_key => 'account_id, id', %{ $opt{config} // {} } });
    my $bed = { cluster => $cluster, router => $router, plain => $plain };
    my $schema = exists $opt{schema} && !defined $opt{schema} ? '' : PgbraidTest::Tree::slurp('tests/drivers/schema.sql') . ($opt{schema} // '');
    for my $side (qw(plain router)) {
        last if $schema eq '';
        my $r = run([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1' ], stdin => $schema, env => environment($bed, $side));
        die "$side: $r->{err}" if $r->{rc};
    }
    $router->do("SELECT pgbraid.reference_table('$_')") for $schema eq '' ? () : 'countries', @{ $opt{reference} // [] };
    return $bed;
}

sub environment
{
    my ($bed, $side) = @_;
    my ($port, $database) = $side eq 'plain' ? ($bed->{cluster}->port(1), $bed->{cluster}->database($bed->{plain})) : ($bed->{router}->port, $bed->{router}->database);
    return { PGHOST => '127.0.0.1', PGPORT => $port, PGUSER => 'postgres', PGDATABASE => $database, PGSSLMODE => 'disable', PGTZ => 'UTC', TZ => 'UTC', HOME => workdir(), LC_ALL => 'C.UTF-8' };
}

# Run it on one side: (checks in order as [name, text] ...).
sub play
{
    my ($bed, $side, %opt) = @_;
    my $env = environment($bed, $side);
    my $r = run($opt{command}, env => { %$env, %{ $opt{env} // {} } }, timeout_s => $opt{timeout_s} // 120);
    my $out = $r->{out} =~ s/\b(?:$env->{PGDATABASE}|$env->{PGPORT})\b/SERVER/gr;
    my @parts = split /^## (.*)\n/m, $out;
    shift @parts;
    my @checks;
    while (my ($name, $text) = splice @parts, 0, 2) { push @checks, [ $name, $opt{same} ? $opt{same}->($text // '', $name) : $text // '' ]; }
    my $ended = @checks && $checks[-1][0] eq 'end';
    pop @checks if $ended;
    ok($ended && $r->{rc} == 0, "$opt{name}: the program ends in order on $side") or diag("exit status $r->{rc}\n" . substr($r->{err}, -3000) . (@checks ? "\nin $checks[-1][0]: " . substr $checks[-1][1], -1000 : $out));
    return @checks;
}

sub compare
{
    my (%opt) = @_;
    skip_unless(%opt);
    note("$opt{name}: version " . ($opt{version}->() // '?')) if $opt{version};
    my $bed = bed(%opt);
    $opt{ready}->($bed) if $opt{ready};
    my @want = play($bed, 'plain', %opt);
    my @got = play($bed, 'router', %opt);
    is(scalar @want, $opt{checks}, "$opt{name}: every check was made");
    my %got = map { @$_ } @got;
    for my $check (@want) {
        my ($name, $text) = @$check;
        local $TODO = ($opt{todo} // {})->{$name};
        is($got{$name}, $text, "$opt{name}: $name");
    }
    if ($opt{sharded}) {
        my @tables = grep { $_->[3] =~ /^sharded/ } @{ $bed->{router}->console('SHOW TABLES') };
        cmp_ok(scalar @tables, '>=', $opt{sharded}, "$opt{name}: its tables are sharded");
    }
    is(scalar grep({ $bed->{cluster}->value($_, 'SELECT count(*) FROM pg_prepared_xacts') } 1 .. 3), 0, "$opt{name}: no prepared transaction is left");
    done_testing();
    return $bed;
}

1;
