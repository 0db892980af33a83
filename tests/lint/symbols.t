#!/usr/bin/perl
# No function of ours has the name of one in a library that we link: the linker would take one of the two for both, and
# says nothing.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Proc qw(run);
use PgbraidTest::Tree;

my $build = PgbraidTest::Tree::build();
sub symbols
{
    my (@nm) = @_;
    my $r = run([ 'nm', @nm ]);
    return map { /^[0-9a-f]+ [TDBRW] (\w+)/ ? $1 : () } split /\n/, $r->{out};
}

my %ours = map { $_ => 1 } map { symbols('--defined-only', $_) } glob "$build/lib*.a";
cmp_ok(scalar keys %ours, '>', 300, 'our archives have symbols');
my @libraries = map { m{=> (/\S+)} ? $1 : () } split /\n/, run([ 'ldd', "$build/pgbraid" ])->{out};
ok(scalar(grep { /libpg_query/ } @libraries), 'the binary links libpg_query');
for my $library (@libraries) {
    next if $library =~ m{/lib(?:asan|ubsan|tsan|gcc_s)\.}; # they replace functions on purpose
    my @both = grep { $ours{$_} } symbols('-D', '--defined-only', $library);
    is("@both", '', "$library has no name of ours");
}
done_testing();
