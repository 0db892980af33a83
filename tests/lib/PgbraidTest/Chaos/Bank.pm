# Checks of the bank: every transfer is whole, and is there if and only if its client was told so.
package PgbraidTest::Chaos::Bank;
use strict;
use warnings;

# What is wrong, one string each. transfers: of a history; ledger: list of [ transfer, account, amount ], all shards together.
sub check
{
    my ($transfers, $ledger) = @_;
    my (@wrong, %rows, %known);
    for my $row (@$ledger) {
        my ($transfer, $account, $amount) = @$row;
        push @wrong, "transfer $transfer: two rows for account $account" if exists $rows{$transfer}{$account};
        $rows{$transfer}{$account} = $amount;
    }
    for my $t (@$transfers) {
        $known{ $t->{id} } = 1;
        my $rows = $rows{ $t->{id} };
        my $who = "transfer $t->{id} ($t->{mode}, $t->{outcome} $t->{state} $t->{gtid})";
        my $said = { c => 'committed', a => 'aborted', u => 'unknown' }->{ $t->{outcome} };
        $t->{present} = $rows ? 1 : 0;
        if (!$rows) {
            push @wrong, "lost: $who: its client was told that it is committed, and nothing of it is there" if $said eq 'committed';
            next;
        }
        push @wrong, "phantom: $who: its client was told that it is rolled back, and it is there" if $said eq 'aborted';
        my @missing = grep { !exists $rows->{$_} } keys %{ $t->{parts} };
        push @wrong, "half: $who: nothing for account $_" for @missing;
        for my $account (keys %$rows) {
            my $want = $t->{parts}{$account};
            push @wrong, "garbage: $who: account $account has $rows->{$account}, not " . ($want // 'nothing') if !defined $want || $want != $rows->{$account};
        }
    }
    push @wrong, "garbage: a transfer $_ that nobody made" for grep { !$known{$_} } sort keys %rows;
    return @wrong;
}

1;
