# Statements made at random whose top level groups, aggregates, sorts, drops duplicates and cuts, over FROM and WHERE as
# PgbraidTest::Statements makes them. A statement begins with ! if its ORDER BY is total.
#
#   my $g = PgbraidTest::Tops->new(tables => ..., worlds => ...); my $sql = $g->top;
package PgbraidTest::Tops;
use strict;
use warnings;
use List::Util qw(shuffle);
use parent 'PgbraidTest::Statements';

sub pick { return $_[ rand @_ ]; }
sub chance { return rand() < $_[0]; }

sub direction { return pick('', '', ' DESC', ' ASC') . pick('', '', ' NULLS FIRST', ' NULLS LAST'); }

sub numbers { my (@seen) = @_; return map { my $s = $_; map { "$s->[0].$_->[0]" } grep { $_->[1] eq 'int' || $_->[1] eq 'num' } @{ $s->[1] } } @seen; }

sub aggregate
{
    my ($self, $seen) = @_;
    my $c = PgbraidTest::Statements::column(@$seen);
    my @n = numbers(@$seen);
    my $x = pick(@n, $c->[0]);
    my $number = grep { $_ eq $x } @n;
    my $filter = chance(0.12) ? ' FILTER (WHERE ' . $self->condition(0, $seen, []) . ')' : '';
    return 'count(*)' . $filter if chance(0.2);
    return "count($x)$filter" if chance(0.15);
    return pick('count', 'min', 'max') . "(DISTINCT $x)" if chance(0.1);
    return pick('min', 'max') . "($x)$filter" if !$number || chance(0.25);
    return pick('sum', 'avg') . '(DISTINCT ' . $x . ')' if chance(0.1);
    return pick('sum', 'sum', 'avg') . '(' . pick($x, $x, "$x + 1", "$x * " . pick(@n), "-$x", "coalesce($x, 0)") . ")$filter";
}

sub over { my ($self, $seen) = @_; my $a = $self->aggregate($seen); return $a if chance(0.8) || $a =~ /^(?:min|max)/; return pick("coalesce($a, 0)", "$a + 1", "($a)::text", "CASE WHEN $a > 2 THEN 'much' END", "abs($a)"); }

sub limits
{
    my ($self) = @_;
    my $n = int rand 8;
    return pick("LIMIT $n", "LIMIT $n OFFSET " . int(rand 5), 'OFFSET ' . int(rand 6), "FETCH FIRST $n ROWS ONLY", "OFFSET 1 ROWS FETCH NEXT $n ROWS ONLY", "OFFSET 2 LIMIT $n", 'LIMIT ALL', 'LIMIT NULL OFFSET 1', "LIMIT $n + 1");
}

# ORDER BY all columns of the answer, in any order: total.
sub total_order
{
    my ($self, $n, @ways) = @_;
    my @order = sort { $a->[0] <=> $b->[0] } map { [ rand, $_ ] } 0 .. $n - 1;
    return ' ORDER BY ' . join ', ', map { pick(@{ $ways[ $_->[1] ] }) . direction() } @order;
}

sub top
{
    my ($self) = @_;
    $self->{consts} = [];
    $self->{names} = 0;
    $self->{with} = {};
    my $world = pick(@{ $self->{worlds} });
    $self->{pool} = $world;
    my ($from, $seen) = $self->from_clause(1, []);
    my $where = chance(0.6) ? ' WHERE ' . $self->conditions(1, $seen, [], 1) : '';
    my @plain = map { PgbraidTest::Statements::column(@$seen)->[0] } 1 .. 1 + int rand 2;
    my %once;
    @plain = grep { !$once{$_}++ } @plain;
    my ($sql, @items, $group) = ('');
    if (chance(0.6)) {
        my @groups = chance(0.25) ? () : @plain;
        @groups = map { chance(0.15) ? "coalesce($_, $_)" : $_ } @groups;
        my @aggregates = map { $self->over($seen) } 1 .. (@groups ? int rand 3 : 1 + int rand 3);
        @items = shuffle(@groups, @aggregates);
        my %place = map { $items[$_] => $_ + 1 } 0 .. $#items;
        $group = @groups ? ' GROUP BY ' . join(', ', map { chance(0.3) ? $place{$_} : $_ } @groups) : '';
        $group .= ' HAVING ' . $self->aggregate($seen) =~ s/.*/count(*)/r . ' > ' . int(rand 3) if chance(0.2);
    } else {
        @items = @plain;
        $group = '';
    }
    my @named = map { chance(0.4) ? "$items[$_] AS x$_" : $items[$_] } 0 .. $#items;
    my @ways = map { my $i = $_; [ $i + 1, $named[$i] =~ / AS (x\d)$/ ? $1 : $i + 1, $items[$i] ] } 0 .. $#items;
    my $distinct = chance(0.15) ? 'DISTINCT ' : '';
    my $order = chance(0.6) ? $self->total_order(scalar @items, @ways) : '';
    my $limit = $order && chance(0.5) ? ' ' . $self->limits : '';
    my ($text) = $self->render("SELECT $distinct" . join(', ', @named) . " FROM $from$where$group$order$limit", 0);
    return ($order ? '!' : '') . $text;
}

1;
