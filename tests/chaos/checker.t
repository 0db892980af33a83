#!/usr/bin/perl
# The checkers of the chaos tests find each anomaly in a history made by hand, and nothing in a clean one.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Chaos::Bank;
use PgbraidTest::Chaos::History;
use PgbraidTest::Chaos::Lists;

# "1 c a:x:1 r:y:2,3; 2 u ..." as transactions.
sub history
{
    my ($text, $mode) = @_;
    my $h = PgbraidTest::Chaos::History::parse(map { my ($id, $outcome, @ops) = split ' '; "L $id 0 " . ($mode // 'rc') . " $outcome - - @ops" } split /;/, $text);
    return $h->{ $mode ? 'slists' : 'lists' };
}

# "x:1,2 y:3" as final lists.
sub final { my ($text) = @_; return { map { my ($key, $values) = split /:/; ($key => [ split /,/, $values // '' ]) } split ' ', $text }; }

# The words that the complaints begin with.
sub words { my %seen; return join ' ', sort grep { !$seen{$_}++ } map { /^(\w+)/ } @_; }

sub lists { my ($text, $final, $mode) = @_; return words(PgbraidTest::Chaos::Lists::check(history($text, $mode), final($final), serializable => $mode ? 1 : 0)); }

# --- what is right
is(lists('1 c a:x:1 a:y:1; 2 c r:x:1 a:x:2; 3 c r:y:1 r:x:1,2; 4 a a:x:9 r:x:1,2,9; 5 u a:x:7 a:y:7', 'x:1,2 y:1'), '', 'a clean history');
is(lists('1 u a:x:1 a:y:1; 2 c r:x:1', 'x:1 y:1'), '', 'an unknown outcome that is committed');
is(lists('1 c r:x: r:x:1; 2 c a:x:1', 'x:1'), '', 'two reads of a transaction may differ under READ COMMITTED');
is(lists('1 c a:x:1 a:x:2 r:x:1,2; 2 c r:x:', 'x:1,2'), '', 'two appends to one list');
is(lists('1 c r:x:1; 2 c a:x:1 r:y:; 3 c a:y:3', 'x:1 y:3'), '', 'an anti-dependency alone is nothing');

# --- each anomaly
is(lists('1 c a:x:1; 2 c a:x:2', 'x:2'), 'lost', 'a lost append');
is(lists('1 c a:x:1 a:y:2', 'x:1 y:'), 'half', 'half a committed transaction');
is(lists('1 u a:x:1 a:y:2', 'x:1 y:'), 'half', 'half an unknown one');
is(lists('1 c a:x:1; 2 c a:x:2', 'x:1,2,1'), 'G0 duplicate', 'a value twice');
is(lists('1 c a:x:1', 'x:1,5'), 'garbage', 'a value from nowhere');
is(lists('1 c r:x:5', 'x:'), 'garbage', 'read from nowhere');
is(lists('1 c a:x:1 r:x:; 2 c r:x:', 'x:1'), 'internal', 'an own append unseen');
is(lists('1 c a:x:1; 2 c a:x:2 r:x:2,1', 'x:1,2'), 'internal', 'an own append in the wrong place');
is(lists('1 c a:x:1; 2 c a:x:2; 3 c r:x:2', 'x:1,2'), 'order', 'a read that the final list forgot');
is(lists('1 c a:x:1; 2 c a:x:2; 3 c r:x:2,1', 'x:1,2'), 'order', 'two orders');
is(lists('1 a a:x:1; 2 c r:x:1', 'x:'), 'G1a', 'a read of an aborted append');
is(lists('1 u a:x:1; 2 c r:x:1', 'x:'), 'G1a', 'of one whose outcome was unknown');
is(lists('1 a a:x:1', 'x:1'), 'G1a', 'an aborted append that stays');
is(lists('1 c a:x:1 a:x:2; 2 c r:x:1', 'x:1,2'), 'G1b', 'an intermediate read');
is(lists('1 c a:x:1 a:y:1; 2 c a:x:2 a:y:2', 'x:1,2 y:2,1'), 'G0', 'a write cycle');
is(lists('1 c a:x:1 a:x:3; 2 c a:x:2', 'x:1,2,3'), 'G0', 'an append between two of another transaction');
is(lists('1 c a:x:1 r:y:2; 2 c a:y:2 r:x:1', 'x:1 y:2'), 'G1c', 'each has read the other');
is(lists('1 c a:x:1 r:y:2; 2 c a:x:2 a:y:2', 'x:1,2 y:2'), 'G1c', 'read what was written after it');
is(lists('1 c r:x: a:y:1; 2 c r:y: a:x:2', 'x:2 y:1'), '', 'write skew is allowed under READ COMMITTED');
is(lists('1 c r:x: a:y:1; 2 c r:y: a:x:2', 'x:2 y:1', 'ser'), 'G2', 'but not under SERIALIZABLE');
is(lists('1 c r:x: a:x:1; 2 c r:x: a:x:2', 'x:1,2', 'ser'), 'G2', 'nor is a lost update');
is(lists('1 c r:x: r:y:2; 2 c a:x:2 a:y:2', 'x:2 y:2', 'ser'), 'G2', 'nor a read skew');
is(lists('1 c r:x: a:y:1; 2 a r:y: a:x:2', 'x: y:1', 'ser'), '', 'an aborted transaction is no part of a cycle');

# --- the bank
sub bank
{
    my ($text, $ledger) = @_;
    my $h = PgbraidTest::Chaos::History::parse(map { my ($id, $outcome, @parts) = split ' '; "B $id 0 simple $outcome - - @parts" } split /;/, $text);
    return words(PgbraidTest::Chaos::Bank::check($h->{transfers}, [ map { [ split /,/ ] } split ' ', $ledger ]));
}

my $transfer = '1 %s 10:-5 20:5';
my $whole = '1,10,-5 1,20,5';
is(bank(sprintf($transfer, $_), $whole), '', "$_: it is there") for qw(c u);
is(bank(sprintf($transfer, $_), ''), '', "$_: it is not there") for qw(a u);
is(bank(sprintf($transfer, 'c'), ''), 'lost', 'a committed transfer is lost');
is(bank(sprintf($transfer, 'a'), $whole), 'phantom', 'a rolled back one is there');
is(bank(sprintf($transfer, $_), '1,10,-5'), 'half', "$_: half of it") for qw(c u);
is(bank(sprintf($transfer, 'a'), '1,20,5'), 'half phantom', 'half of a rolled back one');
is(bank(sprintf($transfer, 'c'), '1,10,-5 1,20,6'), 'garbage', 'another amount');
is(bank(sprintf($transfer, 'c'), "$whole 1,30,1"), 'garbage', 'another account');
is(bank(sprintf($transfer, 'c'), "$whole 7,10,1"), 'garbage', 'a transfer that nobody made');
is(bank(sprintf($transfer, 'c'), "$whole 1,10,-5"), 'transfer', 'a row twice');
done_testing();
