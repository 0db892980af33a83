#!/usr/bin/perl
# Plans: every tests/plan/NAME.sql through plan_tool, compared with NAME.out. The catalog is read from a real server by
# the planner's own query, so the loader is tested with the analyser. When a plan changes on purpose, read every changed
# line, then take over the .actual file that the failure leaves in the working directory.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(run workdir);
use PgbraidTest::Tree;

my $root = PgbraidTest::Tree::root();
my $dir = workdir();
my $cluster = PgbraidTest::Cluster->new(shards => 3);
my %database = (plan => 1, hijack => 2, plain => 3);
my %extra = (plain => 'CREATE TABLE customers (id bigint PRIMARY KEY, name text)');

sub spew { my ($path, $text) = @_; open my $f, '>', $path or die "$path: $!"; print {$f} $text; close $f or die $!; return; }

# psql with a file on shard $i
sub load
{
    my ($i, @args) = @_;
    my $r = run([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $cluster->conninfo($i), @args ]);
    die "psql @args: $r->{err}" if $r->{rc};
    return $r->{out};
}

my @catalogs;
for my $name (qw(plan hijack plain)) { # the first is what statements begin with
    my $i = $database{$name};
    load($i, '-f', "$root/planner/sql/bootstrap.sql") for 1 .. 2;
    my $schema = { plan => 'schema', hijack => 'hijack' }->{$name};
    load($i, '-f', "$root/tests/plan/$schema.sql") if $schema;
    load($i, '-c', $extra{$name}) if $extra{$name};
    my $rows = load($i, '-c', 'SET search_path = pg_catalog', '-A', '-t', '-F', "\x1f", '-R', "\x1e", '-P', "null=\x02", '-f', "$root/planner/sql/catalog.sql");
    spew("$dir/$name.cat", $rows);
    push @catalogs, "$name=$dir/$name.cat";
}

my @names = map { m{([^/]+)\.sql$} } glob "$root/tests/plan/*.sql";
my $statements = 0;
for my $name (grep { $_ ne 'schema' && $_ ne 'hijack' } sort @names) {
    my $sql = PgbraidTest::Tree::slurp("tests/plan/$name.sql");
    my $r = run([ PgbraidTest::Tree::build() . '/tools/plan_tool', @catalogs ], stdin => $sql);
    is($r->{rc}, 0, "$name: plan_tool runs") or diag($r->{err});
    unlike($r->{out}, qr/^CACHED PLAN DIFFERS/m, "$name: P12: a cached plan is the plan a fresh look gives");
    my $want = -f "$root/tests/plan/$name.out" ? PgbraidTest::Tree::slurp("tests/plan/$name.out") : '';
    ok($r->{out} eq $want, "$name: plans are as written down") or do {
        spew("$dir/$name.actual", $r->{out});
        diag(run([ 'diff', '-u', "$root/tests/plan/$name.out", "$dir/$name.actual" ])->{out});
    };
    $statements += () = $r->{out} =~ /^(?:query|insert|ddl|session|control|copy in|copy out|ERROR PB)\b/mg;
}
cmp_ok($statements, '>=', 250, 'statements planned');
done_testing();
