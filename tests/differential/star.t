#!/usr/bin/perl
# Joins of a star (schema/star.sql) in every order of its four dimensions: explicit, implicit, with outer joins of all kinds, as semi and anti
# joins. On three shards and on one plain server, in each protocol: the same rows, nothing refused.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Truth;

my %on = (customers => 's_customer = c_id', products => 's_product = p_id', stores => 's_store = t_id', days => 's_day = d_id');
my %key = (customers => 'c_id', products => 'p_id', stores => 't_id', days => 'd_id');
my %only = (customers => "c_city <> 'Ulm'", products => "p_kind = 'pen'", stores => 't_size > 20', days => 'd_month = 2');
my @kinds = qw(JOIN LEFT RIGHT FULL);

sub permutations
{
    my (@of) = @_;
    return [] unless @of;
    return map { my $i = $_; map { [ $of[$i], @$_ ] } permutations(@of[ grep { $_ != $i } 0 .. $#of ]) } 0 .. $#of;
}

sub kind { my ($kind) = @_; return $kind eq 'JOIN' ? 'JOIN' : "$kind JOIN"; }

# What is asked of a join: rows, groups, the first ones.
my @ask = (
    sub { my ($from) = @_; return { sql => "SELECT s_id, c_name, p_name, t_city, d_weekday $from" }; },
    sub { my ($from) = @_; return { sql => "SELECT c_city, p_kind, t_city, count(*), sum(s_qty * s_price), avg(s_price) $from GROUP BY c_city, p_kind, t_city" }; },
    sub { my ($from) = @_; return { sql => "SELECT s_id, c_id, p_id, t_id, d_id $from ORDER BY s_id, c_id, p_id, t_id, d_id LIMIT 20", ordered => 1 }; },
    sub { my ($from) = @_; return { sql => "SELECT d_month, count(DISTINCT s_customer), max(p_name) $from GROUP BY d_month HAVING count(*) > 2 ORDER BY d_month", ordered => 1 }; },
);
my (@cases, $n);
for my $order (permutations(sort keys %on)) {
    my $i = $n++;
    my ($first, @others) = @$order;
    # The fact first, or behind its first dimension.
    my $head = $i % 2 ? "FROM sales JOIN $first ON $on{$first}" : "FROM $first JOIN sales ON $on{$first}";
    push @cases, $ask[ $i % 4 ]->(join ' ', $head, map { "JOIN $_ ON $on{$_}" } @others);
    # Implicit, with conditions on one or two dimensions.
    push @cases, $ask[ ($i + 1) % 4 ]->('FROM ' . join(', ', (@$order[ 0 .. 1 ], 'sales', @$order[ 2 .. 3 ])) . ' WHERE ' . join ' AND ', map({ $on{$_} } @$order), @only{ @$order[ 0 .. $i % 2 ] });
    # Outer joins, each kind at each place.
    my @k = @kinds[ map { ($i + $_ * (1 + $i / 4 % 3)) % 4 } 0 .. 3 ];
    push @cases, $ask[ ($i + 2) % 4 ]->('FROM sales ' . join ' ', map { kind($k[$_]) . " $order->[$_] ON $on{ $order->[$_] }" . ($i % 3 == 0 && $k[$_] eq 'LEFT' ? " AND $only{ $order->[$_] }" : '') } 0 .. 3);
    # A snowflake: joins within brackets, a condition above what is filled.
    push @cases, $ask[ ($i + 3) % 4 ]->("FROM $first " . kind($kinds[ $i % 3 ]) . " (sales " . kind($kinds[ ($i + 1) % 3 ]) . " $others[0] ON $on{ $others[0] }) ON $on{$first} "
            . kind($kinds[ ($i + 2) % 4 ]) . " $others[1] ON $on{ $others[1] } LEFT JOIN $others[2] ON $on{ $others[2] } WHERE $only{ $others[0] } OR $key{$first} IS NULL");
    # Semi and anti joins.
    my ($in, $not) = ("IN (SELECT $key{$first} FROM $first WHERE $only{$first})", "NOT EXISTS (SELECT * FROM $others[0] WHERE $on{ $others[0] } AND $only{ $others[0] })");
    my ($column) = $on{$first} =~ /^(\w+)/;
    push @cases, { sql => "SELECT count(*), sum(s_qty) FROM sales WHERE $column $in AND $not" };
    push @cases, { sql => "SELECT $key{$first} FROM $first WHERE " . ($i % 2 ? 'NOT ' : '') . "EXISTS (SELECT 1 FROM sales JOIN $others[1] ON $on{ $others[1] } WHERE $on{$first} AND $only{ $others[1] }) ORDER BY 1", ordered => 1 };
    push @cases, { sql => "SELECT $key{$first}, (SELECT sum(s_price) FROM sales, $others[2] WHERE $on{$first} AND $on{ $others[2] }) FROM $first WHERE $key{$first} NOT IN (SELECT $column FROM sales WHERE $column IS NOT NULL AND s_qty = 2)" };
}
push @cases, map { { sql => $_ } } (
    'SELECT u_name, sum(s_qty) FROM sales JOIN products ON s_product = p_id JOIN suppliers ON u_id = p_supplier GROUP BY u_name',
    'SELECT u_name, p_name, s_id FROM suppliers LEFT JOIN products ON u_id = p_supplier FULL JOIN sales ON s_product = p_id',
    'SELECT c_name FROM customers WHERE EXISTS (SELECT 1 FROM sales JOIN products ON s_product = p_id JOIN suppliers ON p_supplier = u_id WHERE s_customer = c_id AND u_id = 1)',
    'SELECT a.s_id, b.s_id FROM sales a JOIN sales b ON a.s_product = b.s_product AND a.s_day = b.s_day AND a.s_id < b.s_id',
    'SELECT t_city, d_month, sum(s_price) FROM sales, stores, days WHERE s_store = t_id AND s_day = d_id GROUP BY ROLLUP (t_city, d_month)',
    'SELECT c_city, t_city FROM customers JOIN stores ON c_city = t_city EXCEPT SELECT c_city, t_city FROM sales JOIN customers ON s_customer = c_id JOIN stores ON s_store = t_id',
    'SELECT p_id, s.n FROM products LEFT JOIN LATERAL (SELECT count(*) AS n FROM sales WHERE s_product = p_id) s ON true',
);

my $t = PgbraidTest::Truth->new('star', shards => [3]);
is(($t->twins)[0]->contents_differ, undef, 'the same rows to begin with');
my $plain = $t->{cluster}->wire(1);
is_deeply([ map { $_->{sql} } grep { !@{ $plain->rows($_->{sql}) } } @cases ], [], 'all have answers');
is($t->complain($t->run_cases(\@cases)), 0, @cases . ' joins');
note $t->summary;
note $_ for $t->reasons;
is($t->{count}{same}, 3 * @cases, 'all run');
done_testing();
