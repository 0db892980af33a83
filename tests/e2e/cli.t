# The command line without a running router: help, the directory file, configuration files, bad input.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Proc qw(free_port run workdir);
use PgbraidTest::Tree;

my $pgbraid = PgbraidTest::Tree::pgbraid();
my $dir = workdir();
my $conf = "$dir/pgbraid.conf";

sub cli { return run([ $pgbraid, @_ ]); }

sub write_file
{
    my ($path, $text) = @_;
    open my $out, '>', $path or die "$path: $!";
    print $out $text;
    close $out;
    return;
}

# Exit status, then patterns for standard output and standard error; '' means nothing at all.
sub cli_is
{
    my ($args, $rc, $out, $err, $name) = @_;
    my $r = cli(@$args);
    is($r->{rc}, $rc, "$name: exit status") or diag $r->{out}, $r->{err};
    for ([ out => $out ], [ err => $err ]) {
        my ($key, $want) = @$_;
        ref $want ? like($r->{$key}, $want, "$name: std$key") : is($r->{$key}, $want, "$name: std$key");
    }
    return $r;
}

# ---- help ----

cli_is(['--version'], 0, qr/\Apgbraid \d+\.\d+\.\d+\n\z/, '', 'version');
cli_is([], 2, '', qr/\AUsage: pgbraid COMMAND/, 'no verb');
my $help = cli_is(['--help'], 0, qr/\AUsage: pgbraid COMMAND.*\bshard\b.*\btable\b.*\bconfig\b/s, '', 'help');
for my $verb (qw(shard table)) {
    my $sub = cli_is([ $verb, '--help' ], 0, qr/\AUsage: pgbraid $verb COMMAND/, '', "$verb --help");
    for my $name ($sub->{out} =~ /^  (\w+) {2}/mg) {
        cli_is([ $verb, $name, '--help' ], 0, qr/\AUsage: pgbraid $verb $name\b.*^Options:.*-h, --help/ms, '', "$verb $name --help");
    }
}
cli_is(['shrad'], 2, '', qr/unknown command "shrad".*Did you mean "pgbraid shard"\?/s, 'unknown verb');
cli_is([ 'shard', 'bogus' ], 2, '', qr/unknown command "bogus".*"pgbraid shard --help"/s, 'unknown verb of shard');
cli_is([ 'shard', 'add' ], 2, '', qr/option --database is missing/, 'shard add without options');

# ---- configuration ----

my $defaults = cli_is([ 'config', '--print-defaults' ], 0, qr/^\[pgbraid\]\n.*^#port = 6432\n/ms, '', 'defaults');
write_file($conf, $defaults->{out} =~ s/^#(\w)/$1/mgr);
cli_is([ 'config', '--check', $conf ], 0, qr/^port = 6432$/m, '', 'the printed defaults are a configuration');
my $docs = cli_is([ 'config', '--docs' ], 0, qr/^\| `port` \| `6432` \|/m, '', 'docs');
ok(index(PgbraidTest::Tree::slurp('docs/configuration.md'), $docs->{out}) > 0, 'docs/configuration.md has the table of today (pgbraid config --docs)');
cli_is(['config'], 2, '', qr/say what to do/, 'config without options');
write_file($conf, "[pgbraid]\nprot = 1\nworkers = many\n");
cli_is([ 'config', '--check', $conf ], 1, '',
    qr/\A\Q$conf\E:2: unknown setting "prot" \(Did you mean "port"\?\)\n\Q$conf\E:3: workers: "many" is not an integer \(.*\)\n\z/,
    'all problems of a file');
cli_is([ 'shard', 'list', '--config', $conf ], 1, '', qr/pgbraid.conf:2: unknown setting/, 'a verb with a bad configuration');
cli_is([ 'shard', 'list', '--config', "$dir/none.conf" ], 1, '', qr/none.conf" cannot be opened: No such file/, 'a verb without its configuration');

# ---- the directory file ----

write_file($conf, "[pgbraid]\nport = " . free_port() . "\n");
my @c = ('--config', $conf);
my @add = ('shard', 'add', @c, '--database', 'shop');
cli_is([ 'shard', 'list', @c ], 1, '', qr/directory file ".*directory\.db" cannot be opened: No such file/, 'list without a directory');
ok(!-e "$dir/directory.db", 'listing makes no file');
cli_is([ @add, '--range', '-80', '--conninfo', 'host=a' ], 0, qr/shard "-80" added: .* once its ranges cover/, '', 'first shard');
cli_is([ 'shard', 'list', @c ], 0, qr/Database "shop" is not served: /, '', 'incomplete');
cli_is([ @add, 'upper', '--range', 'c0-', '--conninfo', 'host=b' ], 0, qr/shard "upper" added/, '', 'second shard');
cli_is([ @add, '--range', '70-90', '--conninfo', 'host=c' ], 1, '', qr/key range "70-90" overlaps "-80" of shard "-80"/, 'overlap');
cli_is([ @add, '--range', '80-c', '--conninfo', 'host=c' ], 1, '', qr/pgbraid: error: /, 'malformed range');
cli_is([ @add, '--range', '80-c0', '--conninfo', 'host' ], 1, '', qr/pgbraid: error: /, 'malformed conninfo');
cli_is([ @add, '--range', '80-c0', '--conninfo', 'host=c password=x' ], 1, '', qr/must not hold a password.*passfile/s, 'password');
cli_is([ @add, '--range', '80-c0', '--conninfo', 'host=a' ], 1, '', qr/shard "shop\.-80" has the same conninfo/, 'conninfo taken');
cli_is([ @add, '--range', '80-c0', '--conninfo', 'host=c' ], 0, qr/database "shop" is complete with 3 shards/, '', 'last shard');
cli_is([ @add, 'more', '--range', '80-c0', '--conninfo', 'host=d' ], 1, '', qr/A serving layout is changed by resharding/s, 'one too many');
my $list = cli_is([ 'shard', 'list', @c ], 0, qr/\(3 rows\)\n\z/, '', 'complete');
is_deeply(
    [ map { [ map { s/^ +| +$//gr } split /\|/ ] } grep { /\|/ } split /\n/, $list->{out} ],
    [
        [ 'database', 'shard', 'key_range', 'home', 'conninfo' ],
        [ 'shop', '-80', '-80', 'yes', 'host=a' ],
        [ 'shop', '80-c0', '80-c0', 'no', 'host=c' ],
        [ 'shop', 'upper', 'c0-', 'no', 'host=b' ],
    ],
    'shard list'
);
cli_is([ 'table', 'list', @c ], 0, qr/\(0 rows\)\n\z/, '', 'table list');
cli_is([ 'table', 'list', @c, '--database', 'none' ], 1, '', qr/database "none" is not in the directory/, 'table list of an unknown database');
for my $args ([ 'shard', 't', '--by', 'k' ], [ 'reference', 't' ], [ 'unshard', 't' ]) {
    cli_is([ 'table', @$args, @c ], 1, '', qr/no router is running, and this needs one.*pgbraid serve/s, "table $args->[0] without a router");
}
cli_is([ 'table', 'shard', 't', '--by', 'k,', @c ], 2, '', qr/"k," is not a list of columns/, 'bad column list');
cli_is([ 'shard', 'list', '--console', "host=127.0.0.1 port=" . free_port() . " dbname=pgbraid", @c ],
    1, '', qr/pgbraid: error: /, 'a console that was named must answer');

write_file("$dir/directory.db", 'not a database, whatever its name says' x 100);
cli_is([ 'shard', 'list', @c ], 1, '', qr/"\Q$dir\E\/directory\.db" is not a pgbraid file/, 'not a directory file');
cli_is([ @add, '--range', '-', '--conninfo', 'host=z' ], 1, '', qr/is not a pgbraid file/, 'adding to it');

done_testing;
