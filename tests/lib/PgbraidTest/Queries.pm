# Queries made at random over the schema "types" (tests/differential/schema/types.sql): joins of all kinds, lateral ones, sub-queries of
# all kinds, WITH, recursive too, set operations, windows, grouping sets, aggregates with FILTER, ORDER BY and DISTINCT, LIMIT, parameters.
#
#   my $g = PgbraidTest::Queries->new; srand $seed; my $case = $g->query; # a case for PgbraidTest::Truth
#
# What they answer is determined by the rows alone, and they raise no errors that depend on the order in which rows are looked at:
# no overflow, no division by zero; values that are equal are identical (numbers have two decimals); whatever depends on an
# order has one that is total.
package PgbraidTest::Queries;
use strict;
use warnings;
use List::Util qw(shuffle uniq);

# Kinds of expressions: those with functions (int num float text bool date ts tsz mood json), and those that are only compared.
my %no_extremes = map { $_ => 1 } qw(bool uuid json bytea range mr tarr);
my %no_equal = map { $_ => 1 } qw(point);
my %oid = (int => 20, num => 1700, text => 25, bool => 16, date => 1082, ts => 1114, tsz => 1184, uuid => 2950);

my %tables = (
    users => { columns => 'id:int name:text email:text country:text age:int score:num rating:float active:bool born:date created:tsz mood:mood tags:tarr prefs:json boss:int', key => ['id'], place => ['id'] },
    orders => { columns => 'user_id:int id:int product_id:int status:text total:num qty:int placed:ts note:text', key => [qw(user_id id)], place => ['user_id'] },
    lines => { columns => 'user_id:int order_id:int n:int product_id:int qty:int', key => [qw(user_id order_id n)], place => ['user_id'] },
    products => { columns => 'id:int name:text category:text price:num weight:float', key => ['id'] },
    countries => { columns => 'code:text name:text continent:text population:int', key => ['code'] },
    words => { columns => 'word:text lang:text freq:int', key => ['word'], place => ['word'] },
    events => { columns => 'id:uuid user_id:int kind:text at:tsz payload:json amount:n1', key => ['id'], place => ['id'] },
    points => { columns => 'tenant:int region:text x:int y:int', key => [qw(tenant region x)], place => [qw(tenant region)] },
    tree => { columns => 'id:int parent:int label:text', key => ['id'], place => ['id'] },
    nothing => { columns => 'id:int v:int t:text', key => ['id'], place => ['id'] },
    home => { columns => 'id:int v:text n:int', key => ['id'] },
    types => { columns => 'k:int id:int i2:i2 i4:i4 i8:i8 nm:n3 mo:money t:text tc:tc tg:tg b:bool by:bytea u:uuid d:draw ti:time ts:traw tsz:zraw ine:inet ma:mac vb:bit i4r:range mr:mr ia:arr ta:tarr m:mood ls:lsn dm:dm', key => [qw(k id)], place => ['k'] },
);
my @weighted = ((qw(users) x 5), (qw(orders) x 4), (qw(lines) x 2), qw(products products countries words events events points tree nothing home types types));

sub new { my ($class, %opt) = @_; return bless { params => 0.25, %opt }, $class; }

sub pick { return $_[ rand @_ ]; }
sub chance { return rand() < $_[0]; }

# --- constants and columns ---

# In the text a constant is \1index\2 until render().
sub const
{
    my ($self, $kind) = @_;
    my $v = $kind eq 'int' ? int rand 12
        : $kind eq 'num' ? sprintf '%.2f', int(rand 400) / 4
        : $kind eq 'float' ? int(rand 40) / 8
        : $kind eq 'text' ? pick(qw(ann bob Eve de fr us paid sent en login buy office apple b), 'node 3', 'x')
        : $kind eq 'bool' ? pick(qw(true false))
        : $kind eq 'date' ? sprintf '19%02d-0%d-15', 60 + rand 40, 1 + rand 9
        : $kind eq 'ts' ? sprintf '2024-02-%02d 12:00:00', 1 + rand 28
        : $kind eq 'tsz' ? sprintf '2024-03-%02d 12:00:00+00', 1 + rand 28
        : $kind eq 'mood' ? pick(qw(sad ok happy))
        : $kind eq 'uuid' ? sprintf '00000000-0000-4000-8000-%012d', rand 60
        : return undef;
    push @{ $self->{consts} }, [ $kind, $v ];
    return "\x01$#{ $self->{consts} }\x02";
}

my %cast = (date => 'date', ts => 'timestamp', tsz => 'timestamptz', mood => 'mood', uuid => 'uuid', num => 'numeric', float => 'float8', int => 'bigint', bool => 'boolean', text => 'text');

sub render
{
    my ($self, $text) = @_;
    my %case = (ordered => scalar($text =~ s/\A!//));
    my $extended = chance($self->{params});
    $text =~ s{\x01(\d+)\x02}{
        my ($kind, $v) = @{ $self->{consts}[$1] };
        my $plain = $kind =~ /^(?:int|num|float)$/ ? $v : $kind eq 'bool' ? $v : $kind eq 'text' ? "'$v'" : "$cast{$kind} '$v'";
        if ($extended && chance(0.6)) {
            my $typed = $oid{$kind} && chance(0.5);
            push @{ $case{values} }, $v;
            push @{ $case{types} }, $typed ? $oid{$kind} : 0;
            '$' . @{ $case{values} } . ($typed ? '' : "::$cast{$kind}");
        } else { $plain }
    }ge;
    return { %case, sql => $text };
}

# What a level sees: a list of { alias, columns => [ [name, kind] ], key (names, or undef), place }.
sub columns_of { my (@seen) = @_; return map { my $s = $_; map { [ "$s->{alias}.$_->[0]", $_->[1] ] } @{ $s->{columns} } } @seen; }
sub column
{
    my ($kind, @seen) = @_;
    my @c = grep { !defined $kind || $_->[1] eq $kind } columns_of(@seen);
    return @c ? pick(@c) : undef;
}

# --- expressions ---

sub expr
{
    my ($self, $kind, $seen, $depth) = @_;
    my $c = column($kind, @$seen);
    my $leaf = $c && chance(0.85) ? $c->[0] : $self->const($kind) // ($c ? $c->[0] : 'NULL');
    return $leaf if $depth <= 0 || chance(0.55);
    my $e = sub { return $self->expr($_[0] // $kind, $seen, $depth - 1); };
    return 'coalesce(' . $e->() . ', ' . $e->() . ')' if chance(0.15);
    return 'CASE WHEN ' . $self->condition($seen, $depth - 1) . ' THEN ' . $e->() . (chance(0.7) ? ' ELSE ' . $e->() : '') . ' END' if chance(0.15);
    return 'nullif(' . $e->() . ', ' . $e->() . ')' if chance(0.05) && !$no_extremes{$kind};
    return pick('greatest', 'least') . '(' . $e->() . ', ' . $e->() . ')' if chance(0.06) && !$no_extremes{$kind};
    return '(SELECT ' . $self->scalar_query($kind, $seen, $depth - 1) . ')' if $depth > 1 && chance(0.15) && !$no_extremes{$kind};
    if ($kind eq 'int') {
        my $r = int rand 8;
        return '(' . $e->() . pick(' + ', ' - ') . $e->() . ')' if $r < 3;
        return 'abs(' . $e->() . ')' if $r == 3;
        return '(' . $e->() . ' % ' . (2 + int rand 6) . ')' if $r == 4;
        return 'length(' . $e->('text') . ')' if $r == 5;
        return 'extract(' . pick(qw(year month dow)) . ' FROM ' . $e->('date') . ')::int' if $r == 6;
        return 'cardinality(' . $e->('tarr') . ')';
    }
    return pick('round(' . $e->() . ', 2)', '(' . $e->() . ' + ' . $e->() . ')', 'abs(' . $e->() . ')', '(' . $e->('int') . ')::numeric(12,2)') if $kind eq 'num';
    return pick('(' . $e->() . ' * 2)', '(-' . $e->() . ')', '(' . $e->('int') . ')::float8') if $kind eq 'float';
    return pick('upper(' . $e->() . ')', 'lower(' . $e->() . ')', '(' . $e->() . " || '-' || " . $e->() . ')', 'left(' . $e->() . ', 2)', 'substr(' . $e->() . ', 2)', '(' . $e->('int') . ')::text', '(' . $e->('mood') . ')::text', 'concat(' . $e->() . ', ' . $e->('int') . ')', "replace(" . $e->() . ", 'a', 'b')", '(' . $e->('json') . " ->> 'lang')") if $kind eq 'text';
    return '(' . $self->condition($seen, $depth - 1) . ')' if $kind eq 'bool';
    return pick('(' . $e->() . ' + ' . int(rand 30) . ')', '(' . $e->('ts') . ')::date', "date_trunc('month', " . $e->() . ')::date') if $kind eq 'date';
    return pick("(" . $e->() . " + interval '1 day 2 hours')", "date_trunc('day', " . $e->() . ')', '(' . $e->('date') . ')::timestamp') if $kind eq 'ts';
    return "date_trunc('hour', " . $e->() . ')' if $kind eq 'tsz';
    return pick("(" . $e->() . " -> 'n')", 'jsonb_build_object(\'a\', ' . $e->('int') . ', \'b\', ' . $e->('text') . ')', 'to_jsonb(' . $e->('int') . ')') if $kind eq 'json';
    return 'ARRAY[' . $e->('text') . ', ' . $e->('text') . ']' if $kind eq 'tarr';
    return $leaf;
}

# One value: an aggregate over a level of its own.
sub scalar_query
{
    my ($self, $kind, $outer, $depth) = @_;
    my ($from, $seen) = $self->from_clause($depth, $outer);
    my $what = $kind eq 'int' && chance(0.5) ? 'count(*)' : pick('min', 'max') . '(' . $self->expr($kind, $seen, 0) . ')';
    return "$what FROM $from WHERE " . $self->conditions([ @$seen, @$outer ], $depth, $seen, $outer);
}

sub conditions
{
    my ($self, $seen, $depth, $inner, $outer) = @_;
    my @c;
    push @c, $self->correlation($inner, $outer) if $outer && @$outer && chance(0.7);
    push @c, $self->condition($seen, $depth) for 1 .. (@c ? int rand 2 : 1 + int rand 2);
    return join ' AND ', @c;
}

# A column of this level with one of those around, the sharding key with another often.
sub correlation
{
    my ($self, $inner, $outer) = @_;
    my ($a, $b) = (pick(@$inner), pick(@$outer));
    if ($a->{place} && $b->{place} && @{ $a->{place} } == @{ $b->{place} } && chance(0.6)) {
        return join ' AND ', map { "$a->{alias}.$a->{place}[$_] = $b->{alias}.$b->{place}[$_]" } 0 .. $#{ $a->{place} } if "@{[ map { kind_of($a, $_) } @{ $a->{place} } ]}" eq "@{[ map { kind_of($b, $_) } @{ $b->{place} } ]}";
    }
    for (1 .. 8) {
        my $x = column(undef, $a) or last;
        next if $no_equal{ $x->[1] } || $x->[1] eq 'bool';
        my $y = column($x->[1], $b) or next;
        return "$x->[0] " . pick('=', '=', '=', '=', '<', '>=') . " $y->[0]";
    }
    return 'true';
}

sub kind_of { my ($s, $name) = @_; my ($c) = grep { $_->[0] eq $name } @{ $s->{columns} }; return $c ? $c->[1] : 'none'; }

sub condition
{
    my ($self, $seen, $depth) = @_;
    my $r = rand;
    return '(' . $self->condition($seen, $depth - 1) . pick(' AND ', ' OR ') . $self->condition($seen, $depth - 1) . ')' if $depth > 0 && $r < 0.1;
    return 'NOT (' . $self->condition($seen, $depth - 1) . ')' if $depth > 0 && $r < 0.14;
    my $c = column(undef, @$seen) // return 'true';
    my ($x, $kind) = @$c;
    if ($depth > 0 && $r < 0.34) {
        my $q = sub { my ($from, $s) = $self->from_clause($depth - 1, $seen); return ($from, $s, ' WHERE ' . $self->conditions([ @$s, @$seen ], $depth - 1, $s, $seen)); };
        if ($r < 0.22) { my ($from, undef, $where) = $q->(); return pick('EXISTS', 'NOT EXISTS') . " (SELECT FROM $from$where)"; }
        if (!$no_equal{$kind}) {
            my ($from, $s, $where) = $q->();
            my $y = column($kind, @$s);
            return pick("$x IN", "$x NOT IN", "$x = ANY", "$x <> ALL", $no_extremes{$kind} ? "$x = ANY" : pick("$x > ALL", "$x <= SOME")) . " (SELECT $y->[0] FROM $from$where)" if $y;
        }
    }
    return "$x IS " . pick('NULL', 'NOT NULL') if $r < 0.42 || $no_equal{$kind};
    my $y = (chance(0.5) ? $self->const($kind) : undef) // $self->expr($kind, $seen, $depth > 1 ? 1 : 0);
    return "$x = $y" if $r < 0.6;
    return "$x IS " . pick('', 'NOT ') . "DISTINCT FROM $y" if $r < 0.66;
    return "$x IN ($y, " . $self->expr($kind, $seen, 0) . ')' if $r < 0.74;
    return "$x BETWEEN $y AND " . $self->expr($kind, $seen, 0) if $r < 0.8;
    return "$x LIKE '" . pick('%a%', 'b%', '_e%', '%e', 'p%') . "'" if $kind eq 'text' && $r < 0.88;
    return "$x IS " . pick('TRUE', 'NOT TRUE', 'FALSE', 'UNKNOWN') if $kind eq 'bool';
    return "$x @> '{\"lang\": \"de\"}'" if $kind eq 'json';
    return "$x " . pick('<', '<=', '>', '>=', '<>') . " $y";
}

# --- FROM ---

sub item
{
    my ($self, $depth, $left, $outer) = @_;
    my $alias = 't' . ++$self->{names};
    my $r = rand;
    if (@{ $self->{with} } && $r < 0.2) {
        my $w = pick(@{ $self->{with} });
        return ("$w->{name} $alias", { alias => $alias, columns => $w->{columns} });
    }
    if ($depth > 0 && $r < 0.34) {
        my $lateral = @$left && chance(0.4);
        my ($q, $columns) = $self->select($depth - 1, $lateral ? [ @$left, @$outer ] : $outer, named => 1);
        return (($lateral ? 'LATERAL ' : '') . "($q) $alias", { alias => $alias, columns => $columns, lateral => $lateral });
    }
    return ('generate_series(' . int(rand 3) . ', ' . int(rand 6) . ") $alias (x)", { alias => $alias, columns => [ [ 'x', 'int' ] ], key => ['x'] }) if $r < 0.37;
    if ($r < 0.41) {
        my $rows = join ', ', map { '(' . $self->const('int') . '::bigint, ' . $self->const('text') . '::text)' } 1 .. 1 + int rand 3;
        return ("(VALUES $rows) $alias (x, y)", { alias => $alias, columns => [ [ 'x', 'int' ], [ 'y', 'text' ] ] });
    }
    my $name = pick(@weighted);
    my $t = $tables{$name};
    my @columns = map { [ split /:/ ] } split ' ', $t->{columns};
    return ("$name $alias", { alias => $alias, columns => \@columns, key => $t->{key}, place => $t->{place} });
}

sub from_clause
{
    my ($self, $depth, $outer) = @_;
    my ($sql, $first) = $self->item($depth, [], $outer);
    my @seen = ($first);
    for (1 .. pick(0, 0, 1, 1, 1, 2)) {
        my ($more, $s) = $self->item($depth, \@seen, $outer);
        my $on = $self->correlation([$s], \@seen);
        my $equal = $on =~ /^\S+ = \S+(?: AND \S+ = \S+)*$/;
        $on .= ' AND ' . $self->condition([ $s, @seen ], $depth - 1) if !$equal && chance(0.5) || chance(0.15);
        my $r = rand;
        if ($r < 0.42) { $sql .= " JOIN $more ON $on"; }
        elsif ($r < 0.68) { $sql .= " LEFT JOIN $more ON $on"; }
        elsif ($r < 0.78 && !$s->{lateral}) { $sql .= " RIGHT JOIN $more ON $on"; }
        elsif ($r < 0.88 && !$s->{lateral} && $equal && $on =~ /^\S+ = \S+(?: AND \S+ = \S+)*$/) { $sql .= " FULL JOIN $more ON $on"; }
        elsif ($r < 0.92 && !@$outer) { $sql .= " CROSS JOIN $more"; }
        else { $sql .= ($s->{lateral} ? " JOIN $more ON $on" : " LEFT JOIN $more ON $on"); }
        push @seen, $s;
    }
    return ($sql, \@seen);
}

# --- aggregates and windows ---

sub aggregate
{
    my ($self, $seen, $depth) = @_;
    my $filter = chance(0.15) ? ' FILTER (WHERE ' . $self->condition($seen, $depth > 1 ? 1 : 0) . ')' : '';
    my ($x, $kind) = @{ column(undef, @$seen) // return [ 'count(*)', 'int' ] };
    my $r = rand;
    return [ "count(*)$filter", 'int' ] if $r < 0.15;
    return [ 'count(' . (chance(0.3) && !$no_equal{$kind} ? 'DISTINCT ' : '') . "$x)$filter", 'int' ] if $r < 0.3;
    my $e = $self->expr($kind, $seen, 1);
    my $distinct = chance(0.15) ? 'DISTINCT ' : '';
    if ($kind eq 'int') {
        return [ "sum($distinct$e)$filter", 'big' ] if $r < 0.45;
        return [ "round(avg($distinct$e)$filter, 2)", 'num' ] if $r < 0.52;
        return [ 'round(' . pick(qw(stddev var_pop variance stddev_samp)) . "($e)$filter, 2)", 'num' ] if $r < 0.56;
        return [ pick(qw(bit_and bit_or bit_xor)) . "($e)$filter", 'int' ] if $r < 0.6;
        return [ "percentile_disc(0.5) WITHIN GROUP (ORDER BY $e)$filter", 'int' ] if $r < 0.63;
    }
    return [ pick("sum($distinct$e)$filter", "round(avg($e)$filter, 2)"), 'num' ] if $kind eq 'num' && $r < 0.6;
    return [ pick('sum', 'avg') . "($e)$filter", 'float' ] if $kind eq 'float' && $r < 0.6;
    return [ pick(qw(bool_and bool_or every)) . "($e)$filter", 'bool' ] if $kind eq 'bool';
    return [ "string_agg($distinct$e, ',' ORDER BY $e)$filter", 'text' ] if $kind eq 'text' && $r < 0.45;
    return [ "array_agg($distinct$x ORDER BY $x)$filter", 'agg' ] if $r < 0.68 && $kind =~ /^(?:int|num|text|date|ts|mood|i4|draw|traw)$/;
    return [ "jsonb_agg($x ORDER BY $x)$filter", 'json' ] if $r < 0.72 && $kind =~ /^(?:int|text|bool)$/;
    return [ pick('min', 'max') . "($e)$filter", $kind ] if !$no_extremes{$kind} && !$no_equal{$kind};
    return [ "count($x)$filter", 'int' ];
}

# Columns that tell the rows of a level apart, if there are such.
sub unique { my (@seen) = @_; return (grep { !$_->{key} } @seen) ? () : map { my $s = $_; map { "$s->{alias}.$_" } @{ $s->{key} } } @seen; }

sub window
{
    my ($self, $seen) = @_;
    my ($p, $o, $x) = map { column(undef, @$seen) } 1 .. 3;
    return [ 'count(*) OVER ()', 'int' ] if !$p || grep { $no_equal{ $_->[1] } || $_->[1] eq 'json' } $p, $o, $x;
    my $partition = chance(0.6) ? "PARTITION BY $p->[0]" : '';
    my $way = pick('', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST');
    my @unique = unique(@$seen);
    if (@unique && chance(0.5)) {
        my $order = "ORDER BY $o->[0]$way, " . join ', ', @unique;
        return [ "row_number() OVER ($partition $order)", 'int' ] if chance(0.3);
        return [ pick("lag($x->[0])", "lead($x->[0])", "lag($x->[0], 2)") . " OVER ($partition $order)", $x->[1] ] if chance(0.3);
        return [ pick("first_value($x->[0])", "last_value($x->[0])", "nth_value($x->[0], 2)") . " OVER ($partition $order " . pick('', 'ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING', 'ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING') . ')', $x->[1] ] if chance(0.4);
        return [ "count($x->[0]) OVER ($partition $order ROWS BETWEEN " . pick('1 PRECEDING AND 1 FOLLOWING', 'UNBOUNDED PRECEDING AND CURRENT ROW', 'CURRENT ROW AND UNBOUNDED FOLLOWING') . pick('', ' EXCLUDE CURRENT ROW') . ')', 'int' ] if chance(0.5);
        return [ 'ntile(' . (2 + int rand 3) . ") OVER ($partition $order)", 'int' ];
    }
    my $order = chance(0.7) ? "ORDER BY $o->[0]$way" : '';
    return [ pick('rank()', 'dense_rank()', "count($x->[0])") . " OVER ($partition $order)", 'int' ] if chance(0.6);
    my $c = column('int', @$seen);
    return [ "sum($c->[0]) OVER ($partition $order)", 'big' ] if $c && chance(0.5);
    return [ pick('min', 'max') . "($x->[0]) OVER ($partition $order)", $x->[1] ] if !$no_extremes{ $x->[1] };
    return [ "count(*) OVER ($partition $order)", 'int' ];
}

# --- SELECT ---

# One level: (text, columns). Options: named (each column has a name of its own), kinds (of the columns, as for UNION), order
# (ORDER BY and LIMIT may follow).
sub select
{
    my ($self, $depth, $outer, %opt) = @_;
    return $self->set_operation($depth, $outer, %opt) if !$opt{kinds} && $depth > 0 && chance(0.1);
    my ($from, $seen) = $self->from_clause($depth, $outer);
    my $where = chance(0.7) || @$outer ? ' WHERE ' . $self->conditions([ @$seen, @$outer ], $depth, $seen, $outer) : '';
    my (@items, $group);
    my $r = $opt{kinds} ? 1 : rand;
    if ($r < 0.34) {
        my @by = grep { $_ && !$no_equal{ $_->[1] } && $_->[1] ne 'json' } map { column(undef, @$seen) } 1 .. pick(0, 1, 1, 1, 2, 2);
        my %once;
        @by = grep { !$once{ $_->[0] }++ } @by;
        @by = map { chance(0.2) && $cast{ $_->[1] } ? [ $self->expr($_->[1], $seen, 1), $_->[1], 1 ] : $_ } @by;
        @by = grep { $_->[0] !~ /\x01|SELECT/ && $_->[0] ne 'NULL' } @by;
        @items = (@by, map { $self->aggregate($seen, $depth) } 1 .. (@by ? int rand 3 : 1 + int rand 2));
        my @keys = map { $_->[0] } @by;
        my $sets = @keys && chance(0.25);
        $group = !@keys ? '' : ' GROUP BY ' . (!$sets ? join(', ', @keys)
            : pick('ROLLUP (' . join(', ', @keys) . ')', 'CUBE (' . join(', ', @keys) . ')', 'GROUPING SETS ((' . join(', ', @keys) . "), ($keys[0]), ())"));
        push @items, [ 'grouping(' . join(', ', @keys) . ')', 'int' ] if $sets && chance(0.5);
        $group .= ' HAVING ' . pick('count(*) > ' . int(rand 4), $self->aggregate($seen, 0)->[0] . ' IS NOT NULL') if chance(0.2);
        @items = shuffle @items;
    } else {
        @items = $opt{kinds} ? map { [ $self->expr($_, $seen, 1), $_ ] } @{ $opt{kinds} }
            : map { my $c = column(undef, @$seen, chance(0.1) ? @$outer : ()); $c && $cast{ $c->[1] } && chance(0.35) ? [ $self->expr($c->[1], [ @$seen, @$outer ], $depth > 1 ? 2 : 1), $c->[1] ] : $c // [ 'NULL', 'text' ] } 1 .. 1 + int rand 4;
        if (!$opt{kinds} && chance(0.2)) { push @items, $self->window($seen); }
    }
    my $n = 0;
    my @named = map { $n++; $opt{named} || chance(0.4) ? "$_->[0] AS c$n" : $_->[0] } @items;
    # A constant alone has no type of its own in UNION and DISTINCT.
    @named = map { s/^(\x01(\d+)\x02|NULL)(?= AS|$)/"$1::$cast{ $items[0] && $self->kind_at(\@items, $_) }"/er } @named if $opt{named} || $opt{kinds};
    my $plain = !grep { $_->[1] eq 'json' || $no_equal{ $_->[1] } } @items;
    my $distinct = $plain && !defined $group && chance(0.12) ? 'DISTINCT ' : '';
    $n = 0;
    my @columns = map { [ 'c' . ++$n, $_->[1] ] } @items;
    return ("SELECT $distinct" . join(', ', @named) . " FROM $from$where" . ($group // ''), \@columns);
}

sub kind_at { my ($self, $items, $text) = @_; my ($i) = grep { index($text, $items->[$_][0]) == 0 } 0 .. $#$items; my $k = defined $i ? $items->[$i][1] : 'text'; return $cast{$k} ? $k : 'text'; }

# An arm whose first column is the sharding key, or nearly so.
sub arm_by_key
{
    my ($self) = @_;
    my ($table, $key, @others) = @{ pick([qw(users id age)], [qw(orders user_id id)], [qw(orders user_id qty)], [qw(lines user_id order_id)], [qw(lines user_id n)], [qw(tree id parent)], [qw(types k id)],
        [ 'users u JOIN orders o ON o.user_id = u.id', 'u.id', 'o.id' ], [ 'users u LEFT JOIN orders o ON o.user_id = u.id', 'o.user_id', 'u.id' ], [ 'orders', 'user_id + 0', 'id' ], [ 'products', 'id', 'id' ]) };
    my $c = pick($key, @others);
    my $where = chance(0.6) ? " WHERE $c " . pick('>', '<', '=', '<>') . ' ' . $self->const('int') : '';
    return "SELECT $key AS c1, " . pick(@others, @others, 'NULL::int') . " AS c2 FROM $table$where" if chance(0.85);
    return "SELECT $key AS c1, count(*) AS c2 FROM $table$where GROUP BY $key";
}

sub set_operation_by_key
{
    my ($self) = @_;
    my $sql = $self->arm_by_key;
    for (1 .. 1 + int rand 2) {
        my $b = $self->arm_by_key;
        $b = "($b " . pick('UNION', 'EXCEPT') . ' ' . $self->arm_by_key . ')' if chance(0.1);
        $sql = "$sql " . pick('UNION', 'UNION ALL', 'UNION ALL', 'INTERSECT', 'EXCEPT', 'EXCEPT ALL', 'INTERSECT ALL') . " $b";
    }
    return ($sql, [ [qw(c1 int)], [qw(c2 int)] ]);
}

sub set_operation
{
    my ($self, $depth, $outer, %opt) = @_;
    return $self->set_operation_by_key if chance(0.3);
    my @kinds = map { pick(qw(int int text num bool date uuid mood)) } 1 .. 1 + int rand 3;
    my ($a, $columns) = $self->select($depth - 1, $outer, named => 1, kinds => \@kinds);
    my $sql = $a;
    for (1 .. 1 + (chance(0.2) ? 1 : 0)) {
        my ($b) = $self->select($depth - 1, $outer, named => chance(0.5), kinds => \@kinds);
        $sql = ($sql =~ /\b(?:UNION|INTERSECT|EXCEPT)\b/ && chance(0.5) ? "($sql)" : $sql) . ' ' . pick('UNION', 'UNION ALL', 'UNION ALL', 'INTERSECT', 'EXCEPT', 'EXCEPT ALL', 'INTERSECT ALL') . ' ' . $b;
    }
    return ($sql, $columns);
}

sub with_clause
{
    my ($self) = @_;
    my (@with, $recursive);
    for (1 .. 1 + (chance(0.4) ? 1 : 0)) {
        my $name = 'w' . ++$self->{names};
        if (chance(0.25)) {
            $recursive = 1;
            my ($base, $step, @c) = @{ pick(
                [ 'SELECT id, 0 FROM tree WHERE id = ' . $self->const('int'), "SELECT t.id, r.d + 1 FROM tree t JOIN $name r ON t.parent = r.id", 'id', 'd' ],
                [ 'SELECT id::bigint, 0 FROM users WHERE id > 30', "SELECT u.boss, r.d + 1 FROM users u JOIN $name r ON u.id = r.id WHERE r.d < 4 AND u.boss IS NOT NULL", 'id', 'd' ],
                [ 'VALUES (1, 1)', "SELECT a + 1, b * 2 FROM $name r WHERE a < " . (3 + int rand 6), 'a', 'b' ],
                [ 'SELECT min(id), 0 FROM users WHERE active', "SELECT (SELECT min(u.id) FROM users u WHERE u.id > r.id AND u.active), r.d + 1 FROM $name r WHERE r.id IS NOT NULL AND r.d < 8", 'id', 'd' ]) };
            push @with, "$name (" . join(', ', @c) . ") AS ($base UNION " . (chance(0.7) ? 'ALL ' : '') . "$step)";
            push @{ $self->{with} }, { name => $name, columns => [ map { [ $_, 'int' ] } @c ] };
        } else {
            my ($q, $columns) = $self->select(1, [], named => 1);
            push @with, "$name AS " . pick('', '', '', 'MATERIALIZED ', 'NOT MATERIALIZED ') . "($q)";
            push @{ $self->{with} }, { name => $name, columns => $columns };
        }
    }
    return 'WITH ' . ($recursive ? 'RECURSIVE ' : '') . join(', ', @with) . ' ';
}

# A whole statement: a case.
sub query
{
    my ($self) = @_;
    @$self{qw(consts names with)} = ([], 0, []);
    my $with = chance(0.15) ? $self->with_clause : '';
    my ($sql, $columns) = $self->select(2, []);
    my $order = '';
    # PostgreSQL 15 leaves out a sort key that a condition makes a constant, though a grouping set may have filled it with NULLs.
    my $misled = $sql =~ /\b(?:ROLLUP|CUBE|GROUPING SETS)\b/ && $sql =~ / = |\bUSING\b|\bNATURAL\b/;
    if (chance(0.5) && !$misled && !grep { $_->[1] eq 'json' || $no_equal{ $_->[1] } } @$columns) {
        my @by = shuffle(1 .. @$columns);
        $order = ' ORDER BY ' . join ', ', map { $_ . pick('', '', ' DESC', ' ASC', ' NULLS FIRST', ' DESC NULLS LAST') } @by;
        my $on = join ', ', @by[0 .. int rand @by];
        $sql =~ s/^SELECT (?!DISTINCT)/SELECT DISTINCT ON ($on) / if $sql !~ /\b(?:UNION|INTERSECT|EXCEPT)\b/ && chance(0.15);
        $order .= ' ' . pick('LIMIT ' . int(rand 12), 'LIMIT 5 OFFSET ' . int(rand 6), 'OFFSET 3', 'FETCH FIRST 4 ROWS ONLY', 'FETCH FIRST 3 ROWS WITH TIES', 'LIMIT ' . $self->const('int')) if chance(0.4);
    }
    return $self->render(($order ? '!' : '') . "$with$sql$order");
}

1;
