# A failing SQL statement, made smaller: tokens are left out as long as it still fails (delta debugging over the tree of its
# parentheses). Nothing is known of SQL's grammar: what does not parse does not fail.
#
#   my $small = shrink($sql, sub { my ($candidate) = @_; return still_fails($candidate); });
package PgbraidTest::Shrink;
use strict;
use warnings;
use Exporter qw(import);
use Time::HiRes qw(time);

our @EXPORT_OK = qw(shrink tokens);

sub tokens { my ($sql) = @_; return $sql =~ /('(?:[^']|'')*'|"(?:[^"]|"")*"|\$\d+|[A-Za-z_][A-Za-z_0-9\$]*|\d+(?:\.\d+)?|::|<=|>=|<>|!=|->>|->|\|\||\s+|.)/gs; }

sub text { return join(' ', @_) =~ s/ ?\. ?/./gr =~ s/ ,/,/gr =~ s/\( /(/gr =~ s/ \)/)/gr; }

# Limits: tries (400), seconds (20).
sub shrink
{
    my ($sql, $fails, %opt) = @_;
    my $tries = $opt{tries} // 400;
    my $until = time + ($opt{seconds} // 20);
    my @t = grep { /\S/ } tokens($sql);
    my %seen;
    my $try = sub {
        my (@candidate) = @_;
        my $text = text(@candidate);
        return 0 if !@candidate || $seen{$text}++ || $tries-- <= 0 || time > $until;
        return $fails->($text);
    };
    return $sql unless $try->(@t);
    my $progress = 1;
    while ($progress && $tries > 0 && time < $until) {
        $progress = 0;
        # A group in parentheses, alone or with what stands before it, or replaced by what is in it.
        for (my $i = 0; $i < @t; $i++) {
            next if $t[$i] ne '(';
            my $end = closing($i, @t) // next;
            for my $from (grep { $_ >= 0 } $i - 3, $i - 2, $i - 1, $i) {
                my @c = @t;
                splice @c, $from, $end - $from + 1;
                if ($try->(@c)) { @t = @c; $progress = 1; last; }
            }
            next if $progress;
            my @inner = @t[ $i + 1 .. $end - 1 ];
            if (@inner && $try->(@inner)) { @t = @inner; $progress = 1; }
            last if $progress;
        }
        next if $progress;
        for (my $size = int(@t / 2) || 1; $size >= 1; $size = int($size / 2)) {
            for (my $i = 0; $i + $size <= @t; $i++) {
                my @c = @t;
                splice @c, $i, $size;
                if ($try->(@c)) { @t = @c; $progress = 1; $i--; }
            }
        }
    }
    return text(@t);
}

sub closing
{
    my ($i, @t) = @_;
    my $depth = 0;
    for my $j ($i .. $#t) {
        $depth++ if $t[$j] eq '(';
        return $j if $t[$j] eq ')' && --$depth == 0;
    }
    return undef;
}

1;
