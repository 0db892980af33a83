# Settings, savepoints, errors and disconnects at random (seed fixed): every session must see what a session on one
# PostgreSQL server sees after the same statements, on every shard; and a new session what it starts with (P30, P46, P47).
use strict;
use warnings;
use lib 'tests/lib';
use PgbraidTest::Cluster;
use PgbraidTest::Router;
use PgbraidTest::Wire;
use Test::More;

my $seed = $ENV{SEED} // 20260701;
my $sessions = $ENV{SESSIONS} // 150;
srand $seed;

my $cluster = PgbraidTest::Cluster->new(shards => 2);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { workers => 2, pool_size => 2, reserve_pool_size => 4 });
$cluster->do(1, 'CREATE TABLE t (id int PRIMARY KEY)', 'INSERT INTO t SELECT generate_series(1, 20)');
$router->do("SELECT pgbraid.shard_table('t', 'id')");
my @key = map { $cluster->value($_, 'SELECT min(id) FROM t') } 1, 2;

my %values = (
    search_path        => [ 'public', "'a b', public", 'pg_catalog', "''" ],
    TimeZone           => [ "'UTC'", "'Europe/Paris'", "'nowhere/at/all'", 'LOCAL' ],
    DateStyle          => [ "'SQL, DMY'", 'ISO', "'German'", "'no style'" ],
    IntervalStyle      => [ 'iso_8601', 'postgres_verbose', 'wrong' ],
    application_name   => [ "'o''hara'", "'x y'", "''" ],
    statement_timeout  => [ '0', "'1h'", "'-1 s'" ],
    work_mem           => [ "'1MB'", "'7777kB'", "'1'" ],
    extra_float_digits => [ '0', '3', '9' ],
    bytea_output       => [ 'escape', 'hex' ],
);
my @names = sort keys %values;
my @points = qw(a b "C");
my $probe = join ', ', (map { "pg_catalog.current_setting('$_')" } @names), map { "coalesce(pg_catalog.current_setting('app.$_', true), '')" } qw(x y);

sub pick { return $_[ rand @_ ]; }

# Several set_config() at once, in the extended protocol some values as parameters: [ statement, value, ... ].
sub several
{
    my ($extended) = @_;
    my %once = map { $_ => 1 } map { pick(@names, 'app.x', 'app.y') } 1 .. 2 + rand 3;
    my (@calls, @values);
    for my $name (rand() < 0.5 ? sort keys %once : reverse sort keys %once) {
        my @quoted = map { /^'((?:[^']|'')*)'$/ ? $1 =~ s/''/'/gr : () } @{ $values{$name} // [ "'1'", "'a''b'" ] };
        my $value = rand() < 0.1 ? undef : @quoted ? pick(@quoted) : $name eq 'IntervalStyle' ? pick('iso_8601', 'wrong') : 'hex';
        my $said = defined $value ? q(') . $value =~ s/'/''/gr . q(') : 'NULL';
        if ($extended && rand() < 0.6) { push @values, $value; $said = '$' . @values; }
        my $named = pick("'$name'", "'\U$name'");
        if ($extended && rand() < 0.3) { push @values, pick($name, uc $name); $named = '$' . @values; }
        push @calls, "set_config($named" . ", $said, " . pick('true', 'false') . ')' . pick('', ' AS x');
    }
    return [ 'SELECT ' . join(', ', @calls), @values ];
}

# A random statement; undef: the client goes away.
sub statement
{
    my $name = pick(@names);
    my $value = pick(@{ $values{$name} });
    my @kinds = (
        ("SET $name TO $value") x 6,
        ("SET LOCAL $name TO $value") x 4,
        "SET SESSION $name = DEFAULT",
        "SET LOCAL $name TO DEFAULT",
        "RESET $name",
        'RESET ALL',
        ($value =~ /^'(?:[^']|'')*'$/ ? ("SELECT set_config('$name', $value, " . pick('true', 'false') . ')') x 2 : ()),
        ('BEGIN') x 4,
        'BEGIN ISOLATION LEVEL READ COMMITTED, READ ONLY',
        ('COMMIT', 'ROLLBACK') x 2,
        (map { ("SAVEPOINT $_", "ROLLBACK TO $_", "RELEASE $_") } pick(@points)) x 2,
        'SELECT 1/0',
        "SET no_such_setting TO 1",
        'DISCARD ALL',
        "SET $name TO $value; SELECT 1",
        "SET $name TO $value; SELECT 1/0",
        "BEGIN; SET LOCAL $name TO $value; SAVEPOINT a",
    );
    return rand() < 0.02 ? undef : pick(@kinds);
}

# What comes back, as far as both must agree.
sub outcome
{
    my ($r) = @_;
    return join ' ', (map { 'D(' . join('|', map { $_ // 'NULL' } @$_) . ')' } @{ $r->{rows} // [] }), (map { "C($_)" } @{ $r->{tags} // [] }), ($r->{error} ? "E($r->{error}{C})" : ()), "Z($r->{status})";
}

sub settings { my ($r) = @_; return $r->{error} ? $r->{error}{C} : join "\n", @{ $r->{rows}[0] }; }

my ($steps, $probes, $left, $broken) = (0, 0, 0, 0);
SESSION: for my $session (1 .. $sessions) {
    my %params = (application_name => "session $session", rand() < 0.3 ? (TimeZone => 'Asia/Tokyo') : (), rand() < 0.3 ? (options => '-c work_mem=2MB') : ());
    my $one = $cluster->wire(1, params => \%params);
    my $many = $router->wire(params => \%params);
    my @history;
    for (1 .. 4 + rand 30) {
        my ($sql, @values) = rand() < 0.15 ? @{ several(rand() < 0.5) } : statement();
        if (!defined $sql) { $left++; last; }
        push @history, $sql;
        $steps++;
        my ($expected, $got);
        if (@values || (rand() < 0.25 && $sql !~ /;/)) {
            ($expected, $got) = map { $_->send(Parse('', $sql), Bind('', '', \@values), Execute(''), Sync()); outcome(PgbraidTest::Wire::result($_->until_ready)) } $one, $many;
            $history[-1] .= ' -- extended';
        }
        else { ($expected, $got) = map { outcome($_->query($sql)) } $one, $many; }
        if ($expected ne $got) {
            is($got, $expected, "session $session: answers are the same") or diag join "\n", @history;
            last SESSION if ++$broken == 3;
            next SESSION;
        }
        next unless rand() < 0.5;
        for my $key (rand() < 0.5 ? @key : pick(@key)) {
            $probes++;
            push @history, "probe $key";
            my $query = "SELECT $probe FROM public.t WHERE id = ";
            my ($e, $g) = (settings($one->query($query . $key[0])), settings($many->query($query . $key)));
            next if $e eq $g;
            is($g, $e, "session $session: settings are the same") or diag join "\n", @history;
            last SESSION if ++$broken == 3;
            next SESSION;
        }
    }
    $many->close if rand() < 0.5;
}
is($broken, 0, "seed $seed: $sessions sessions, $steps statements, $probes comparisons, $left of them cut off") or diag 'SEED=' . $seed;

# All connections there are, at once, seen by sessions that have set nothing.
my @fresh = map { $router->wire(params => { application_name => 'fresh' }) } 1 .. 6;
my $pristine = join "\n", @{ $cluster->wire(1, params => { application_name => 'fresh' })->rows("SELECT $probe")->[0] };
$_->do('BEGIN') for @fresh;
my %seen;
for my $i (0, 1) {
    my $size = 2;
    for my $c (@fresh[ $i * $size .. $i * $size + $size - 1 ]) {
        is(settings($c->query("SELECT $probe FROM public.t WHERE id = $key[$i]")), $pristine, 'a fresh session sees the defaults on shard ' . ($i + 1));
    }
}
$_->do('COMMIT') for @fresh;
# work_mem is each server's own: not told of several.
my $everywhere = join ', ', map { "pg_catalog.current_setting('$_')" } grep { $_ ne 'work_mem' } @names;
my $one = join "\n", @{ $cluster->wire(1, params => { application_name => 'fresh' })->rows("SELECT $everywhere")->[0] };
my $scattered = $fresh[0]->rows("SELECT $everywhere FROM public.t");
is(scalar(grep { join("\n", @$_) ne $one } @$scattered), 0, 'and in a scattered statement');

done_testing();
