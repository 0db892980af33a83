# Where wire scripts are played: a PostgreSQL server that holds all rows of tests/golden/wire/schema.sql, and routers over one
# and three shards.
#
#   my $bed = PgbraidTest::Scripts->new(config => \%config);
#   my @found = $bed->differences($path);    one of each router that the script is for: 'same', 'refused' (they are the same up to
#                                            a statement that the router refuses), or a diff
#   my @lines = $bed->expected($path);       what the server answers
package PgbraidTest::Scripts;
use strict;
use warnings;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(run workdir);
use PgbraidTest::Router;
use PgbraidTest::Script;
use PgbraidTest::Tree;
use PgbraidTest::Wire;

sub new
{
    my ($class, %opt) = @_;
    my $three = PgbraidTest::Cluster->new(shards => 3);
    my $one = PgbraidTest::Cluster->new(shards => 2); # a shard, and the server to compare with
    load($three, $_, 'functions.sql') for 1 .. 3;
    load($one, $_, 'functions.sql') for 1 .. 2;
    load($three, 1, 'schema.sql');
    load($one, $_, 'schema.sql') for 1 .. 2;
    my %router = (
        1 => PgbraidTest::Router->new(cluster => $one, ranges => ['-'], config => $opt{config}),
        3 => PgbraidTest::Router->new(cluster => $three, config => $opt{config}),
    );
    for my $router (values %router) {
        $router->do(map({ "SELECT pgbraid.shard_table('$_', 'id')" } qw(t w c)), "SELECT pgbraid.reference_table('r')");
    }
    return bless { router => \%router, plain => $one }, $class;
}

sub load
{
    my ($cluster, $i, $file) = @_;
    my $r = run([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $cluster->conninfo($i), '-f', PgbraidTest::Tree::root() . "/tests/golden/wire/$file" ]);
    die "$file: $r->{err}" if $r->{rc};
    return;
}

sub play_on
{
    my ($script, $port, $database) = @_;
    return $script->play(sub { return PgbraidTest::Wire->open(port => $port, timeout_s => 10) }, { user => 'postgres', database => $database, application_name => 'wire' });
}

sub expected
{
    my ($self, $path) = @_;
    return play_on(PgbraidTest::Script->read($path), $self->{plain}->port(2), $self->{plain}->database(2));
}

# The first line that is not the same is a refusal of the router's.
sub is_refused
{
    my ($expected, $got) = @_;
    my $i = 0;
    $i++ while $i < @$got && $i < @$expected && $got->[$i] eq $expected->[$i];
    return $i < @$got && $got->[$i] =~ /^E .*\bC=0A000 / && ($expected->[$i] // '') !~ /^E .*\bC=0A000 /;
}

sub differences
{
    my ($self, $path) = @_;
    my $script = PgbraidTest::Script->read($path);
    my @expected = $self->expected($path);
    my @found;
    for my $n (sort keys %{ $self->{router} }) {
        next unless $script->wants_shards($n);
        my $router = $self->{router}{$n};
        my @got = eval { play_on($script, $router->port, $router->database) } or push @found, "($n shards) $@";
        next unless @got;
        push @found, "@got" eq "@expected" ? 'same' : is_refused(\@expected, \@got) ? 'refused' : "($n shards)\n" . difference(\@expected, \@got);
    }
    return @found;
}

# Both, with what differs marked.
sub difference
{
    my @files = map { my $file = workdir() . "/$_->[0]"; open my $out, '>', $file or die "$file: $!"; print $out map { "$_\n" } @{ $_->[1] }; close $out; $file }
        ([ expected => $_[0] ], [ got => $_[1] ]);
    return run([ 'diff', '-U', '1000', @files ])->{out};
}

1;
