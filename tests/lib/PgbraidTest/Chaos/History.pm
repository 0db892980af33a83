# What the load (tests/chaos/load.h has the format) wrote about one round.
#
#   my $h = PgbraidTest::Chaos::History::read($file);
#
# { transfers, lists, slists, sums, waits }: transactions are { id, client, mode, outcome, state, gtid } with `parts`
# (account => amount) or `ops` (lists of [ 'a', key, value ] and [ 'r', key, [ values ] ]).
package PgbraidTest::Chaos::History;
use strict;
use warnings;

sub parse
{
    my @lines = @_;
    my $h = { transfers => [], lists => [], slists => [], sums => [], waits => [] };
    for my $line (@lines) {
        my ($kind, @w) = split ' ', $line;
        if ($kind eq 'S') { push @{ $h->{sums} }, { client => $w[0], sum => $w[1], count => $w[2] }; next; }
        if ($kind eq 'W') { push @{ $h->{waits} }, { client => $w[0], seconds => $w[1], what => join ' ', @w[ 2 .. $#w ] }; next; }
        my %t;
        (@t{qw(id client mode outcome state gtid)}, my @rest) = @w;
        if ($kind eq 'B') {
            $t{parts} = { map { split /:/, $_, 2 } @rest };
            push @{ $h->{transfers} }, \%t;
        }
        elsif ($kind eq 'L') {
            $t{ops} = [ map { my ($op, $key, $value) = split /:/, $_, 3; [ $op, $key, $op eq 'r' ? [ split /,/, $value // '' ] : $value ] } @rest ];
            push @{ $h->{ $t{mode} eq 'ser' ? 'slists' : 'lists' } }, \%t;
        }
        else { die "history: $line"; }
    }
    return $h;
}

sub read
{
    my ($file) = @_;
    open my $in, '<', $file or die "$file: $!";
    chomp(my @lines = <$in>);
    return parse(@lines);
}

1;
