# Statements made at random for a given schema, for tests that compare two systems. What they answer is determined by the
# rows alone: no order is relied on, no clock, no chance, no choice among equals.
#
#   my $g = PgbraidTest::Statements->new(tables => { orders => { columns => [ [ 'id', 'int' ], ... ], key => ['id'], write => 1 } });
#   my ($sql, $values, $types) = $g->statement(extended => 1);
#
# tables: columns are [name, kind]; kinds: int text num uuid date ts char mood. key: those that are worth a condition.
# worlds: lists of tables of which one is used in most statements.
# write: 'v' is an int column that may be set; unique: columns of its primary key. Uses rand: call srand first.
package PgbraidTest::Statements;
use strict;
use warnings;

my %oid = (int => 20, text => 25, num => 1700, uuid => 2950, date => 1082, ts => 1114, char => 1042);
# Kinds that "=" joins without a cast on either side.
my %family = (int => 'int', text => 'text', num => 'num', uuid => 'uuid', date => 'date', ts => 'ts', char => 'char', mood => 'mood');

sub new { my ($class, %opt) = @_; return bless { tables => $opt{tables}, worlds => $opt{worlds} }, $class; }

sub pick { return $_[ rand @_ ]; }
sub chance { return rand() < $_[0]; }

# A constant of a kind: { kind, text, quoted }.
sub value
{
    my ($kind) = @_;
    return int(rand 9) if $kind eq 'int';
    return pick(qw(n0 n1 n2 n3 n4 de fr eu us)) if $kind eq 'text';
    return pick(0 .. 5, '1.50', '2.25', '3.00', '1.0') if $kind eq 'num';
    return sprintf '00000000-0000-4000-8000-%012d', int rand 6 if $kind eq 'uuid';
    return '2024-01-0' . (1 + int rand 6) if $kind eq 'date';
    return '2024-01-0' . (1 + int rand 6) . ' 10:00:00' if $kind eq 'ts';
    return pick(qw(a b c d e)) if $kind eq 'char';
    return pick(qw(sad ok happy)) if $kind eq 'mood';
    die $kind;
}

# In the text a constant is \1index\2 until render().
sub const
{
    my ($self, $kind, $value) = @_;
    push @{ $self->{consts} }, { kind => $kind, value => $value // value($kind) };
    return "\x01$#{ $self->{consts} }\x02";
}

sub literal
{
    my ($c) = @_;
    return $c->{value} if ($c->{kind} eq 'int' || $c->{kind} eq 'num') && !$c->{text};
    return "'$c->{value}'";
}

sub binary
{
    my ($c) = @_;
    return pack 'q>', $c->{value} if $c->{kind} eq 'int';
    return $c->{value} if $c->{kind} eq 'text' || $c->{kind} eq 'char';
    if ($c->{kind} eq 'uuid') { (my $h = $c->{value}) =~ tr/-//d; return pack 'H*', $h; }
    return undef;
}

# The text with literals, or with some of them as parameters: (sql, values, types, formats).
sub render
{
    my ($self, $text, $extended) = @_;
    my (@values, @types, @formats, %seen);
    $text =~ s{\x01(\d+)\x02}{
        my $c = $self->{consts}[$1];
        if ($extended && $oid{ $c->{kind} } && chance(0.6)) {
            my $typed = chance(0.6);
            my $again = "$c->{kind} $c->{value}";
            if ($seen{$again} && chance(0.3)) { '$' . $seen{$again} }
            else {
                my $binary = $typed && chance(0.5) ? binary($c) : undef;
                push @values, $binary // $c->{value};
                push @types, $typed ? $oid{ $c->{kind} } : 0;
                push @formats, defined $binary ? 1 : 0;
                $seen{$again} = @values;
                '$' . @values;
            }
        } else { literal($c) }
    }ge;
    return ($text, \@values, \@types, \@formats);
}

# What a level sees: [ alias, [ [name, kind], ... ], [key names] ].
sub named { my ($s, $name) = @_; my ($c) = grep { $_->[0] eq $name } @{ $s->[1] }; return $c && [ "$s->[0].$c->[0]", $c->[1] ]; }
sub column { my (@seen) = @_; my $s = pick(grep { @{ $_->[1] } } @seen); my $c = pick(@{ $s->[1] }); return [ "$s->[0].$c->[0]", $c->[1] ]; }

sub like_column
{
    my ($kind, @seen) = @_;
    my @same = grep { $family{ $_->[1] } eq $family{$kind} } map { my $s = $_; map { [ "$s->[0].$_->[0]", $_->[1] ] } @{ $s->[1] } } @seen;
    return @same ? pick(@same) : undef;
}

sub key_condition
{
    my ($self, $s) = @_;
    my @keys = grep { $_ } map { named($s, $_) } @{ $s->[2] };
    return 'true' if !@keys;
    if (@keys > 1 && chance(0.3)) {
        my $list = join ', ', map { $_->[0] } @keys;
        my $row = sub { return '(' . join(', ', map { $self->const($_->[1]) } @keys) . ')' };
        return chance(0.5) ? "($list) = " . $row->() : "($list) IN (" . join(', ', map { $row->() } 1 .. 1 + int rand 3) . ')';
    }
    return join ' AND ', map {
        my ($c, $kind) = @$_;
        my $r = rand;
        $r < 0.55 ? "$c = " . $self->const($kind)
            : $r < 0.62 ? $self->const($kind) . " = $c"
            : $r < 0.78 ? "$c IN (" . join(', ', map { chance(0.05) ? 'NULL' : $self->const($kind) } 1 .. 1 + int rand 3) . ')'
            : $r < 0.86 && $kind ne 'char' && $kind ne 'ts' ? "$c = ANY ('{" . join(',', map { value($kind) } 1 .. int rand 3) . "}')"
            : $r < 0.9 && $kind eq 'int' ? "$c = ANY (ARRAY[" . join(', ', map { $self->const($kind) } 1 .. 1 + int rand 2) . '])'
            : $r < 0.93 ? "$c = NULL"
            : "($c = " . $self->const($kind) . " OR $c = " . $self->const($kind) . ')';
    } @keys;
}

sub key_join
{
    my ($self, $a, $b) = @_;
    my @pairs;
    for my $i (0 .. $#{ $a->[2] }) {
        my ($x, $y) = (named($a, $a->[2][$i]), $b->[2][$i] && named($b, $b->[2][$i]));
        push @pairs, "$x->[0] = $y->[0]" if $x && $y && $family{ $x->[1] } eq $family{ $y->[1] };
    }
    return @pairs ? join(' AND ', @pairs) : 'true';
}

sub condition
{
    my ($self, $depth, $seen, $outer) = @_;
    my $r = rand;
    my $s = pick(@$seen);
    return $self->key_condition($s) if $r < 0.3;
    return $self->key_join($s, pick(@$seen, @$outer)) if $r < 0.48;
    my $c = column(@$seen);
    my $other = like_column($c->[1], @$seen, @$outer);
    return "$c->[0] = $other->[0]" if $r < 0.55 && $other;
    return "$c->[0] " . pick('=', '<', '<>', '>=') . ' ' . $self->const($c->[1]) if $r < 0.64;
    return "$c->[0] IS " . pick('NULL', 'NOT NULL') if $r < 0.67;
    return "$c->[0] " . pick('BETWEEN', 'NOT BETWEEN', 'BETWEEN SYMMETRIC') . ' ' . $self->const($c->[1]) . ' AND ' . $self->const($c->[1]) if $r < 0.69;
    return "$c->[0] " . pick('IS DISTINCT FROM', 'IS NOT DISTINCT FROM') . ' ' . ($other ? $other->[0] : $self->const($c->[1])) if $r < 0.71;
    return "COALESCE($c->[0] = " . $self->const($c->[1]) . ', ' . pick('true', 'false') . ')' if $r < 0.73;
    return "CASE WHEN $c->[0] = " . $self->const($c->[1]) . ' THEN ' . $self->condition($depth - 1, $seen, $outer) . ' END' if $r < 0.75;
    return '(' . $self->condition($depth, $seen, $outer) . ' OR ' . $self->condition($depth, $seen, $outer) . ')' if $r < 0.8;
    return 'NOT (' . $self->condition($depth, $seen, $outer) . ')' if $r < 0.82;
    return 'true' if $depth <= 0;
    if ($r < 0.9) {
        my ($q) = $self->select_query($depth - 1, [ @$seen, @$outer ], 'any');
        return pick('EXISTS', 'EXISTS', 'NOT EXISTS') . " ($q)";
    }
    my ($q) = $self->select_query($depth - 1, [ @$seen, @$outer ], $c->[1]);
    return "$c->[0] " . pick('IN', 'IN', 'NOT IN', '= ANY', '<> ALL') . " ($q)" if $r < 0.96;
    return "$c->[0] = (SELECT max(x) FROM ($q) AS m (x))" if $c->[1] ne 'uuid' && $c->[1] ne 'mood';
    return 'true';
}

sub conditions { my ($self, $depth, $seen, $outer, $n) = @_; return join ' AND ', map { $self->condition($depth, $seen, $outer) } 1 .. $n; }

sub from_item
{
    my ($self, $depth, $left, $outer) = @_;
    my $alias = 't' . ++$self->{names};
    my $r = rand;
    if (%{ $self->{with} } && $r < 0.25) {
        my $name = pick(sort keys %{ $self->{with} });
        return ("$name AS $alias", [ $alias, @{ $self->{with}{$name} } ]);
    }
    if ($depth > 0 && $r < 0.36) {
        my $lateral = @$left && chance(0.5);
        my ($q, $columns, $key) = $self->select_query($depth - 1, $lateral ? [ @$left, @$outer ] : $outer);
        my %renamed = map { $_->[0] => $_->[0] } @$columns;
        my $names = '';
        if (chance(0.3)) { # other names, some of which are other columns'
            my @new = map { "c$_" } 1 .. @$columns;
            $new[0] = pick('id', 'v', 'acc_id', 'k') if chance(0.4);
            @renamed{ map { $_->[0] } @$columns } = @new;
            $names = ' (' . join(', ', @new) . ')';
        }
        return (($lateral ? 'LATERAL ' : '') . "($q) AS $alias$names", [ $alias, [ map { [ $renamed{ $_->[0] }, $_->[1] ] } @$columns ], [ map { $renamed{$_} } @$key ] ]);
    }
    return ("generate_series(0, 3) AS $alias (x)", [ $alias, [ [ 'x', 'int' ] ], ['x'] ]) if $r < 0.39;
    return ('(VALUES (' . $self->const('int') . '::bigint), (' . $self->const('int') . ")) AS $alias (x)", [ $alias, [ [ 'x', 'int' ] ], ['x'] ]) if $r < 0.42;
    my $table = pick(@{ $self->{pool} });
    my $t = $self->{tables}{$table};
    return ("$table AS $alias", [ $alias, $t->{columns}, $t->{key} // [] ]);
}

sub on_condition
{
    my ($self, $depth, $a, $b, $outer) = @_;
    my @parts;
    push @parts, $self->key_join(pick(@$a), $b) if chance(0.75);
    push @parts, $self->condition($depth - 1, [ @$a, $b ], $outer) if !@parts || chance(0.25);
    return join ' AND ', @parts;
}

sub from_clause
{
    my ($self, $depth, $outer) = @_;
    my ($sql, $first) = $self->from_item($depth, [], $outer);
    my (@seen, $chain) = ($first);
    my @visible = ($first); # left of the next JOIN
    for (1 .. (chance(0.6) ? 1 + int rand 2 : 0)) {
        my ($item, $s) = $self->from_item($depth, \@seen, $outer);
        my $join = pick('JOIN', 'JOIN', 'LEFT JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN', 'CROSS JOIN', ',');
        $join = 'JOIN' if $item =~ /^LATERAL/ && $join =~ /RIGHT|FULL/;
        if ($join eq ',') { $sql .= ", $item"; @visible = ($s); }
        elsif ($join eq 'CROSS JOIN') { $sql .= " CROSS JOIN $item"; push @visible, $s; }
        else {
            my %have = map { $_->[0] => $_->[1] } @{ $s->[1] };
            my @common = @visible == 1 ? grep { $have{ $_->[0] } && $family{ $have{ $_->[0] } } eq $family{ $_->[1] } } @{ $visible[0][1] } : ();
            my @all_common = @visible == 1 ? grep { $have{ $_->[0] } } @{ $visible[0][1] } : ();
            if (@common && chance(0.15)) { $sql .= " $join $item USING (" . join(', ', map { $_->[0] } $common[0], grep { chance(0.3) } @common[ 1 .. $#common ]) . ')'; }
            elsif (@all_common && @all_common == @common && chance(0.1)) { $sql .= " NATURAL $join $item"; }
            elsif ($join eq 'FULL JOIN') { $sql .= " FULL JOIN $item ON " . $self->key_join(pick(@visible), $s); }
            else { $sql .= " $join $item ON " . $self->on_condition($depth, \@visible, $s, $outer); }
            push @visible, $s;
        }
        push @seen, $s;
    }
    return ($sql, \@seen);
}

# A query: (text, columns, key names). $want: undef: any columns; 'any': does not matter; a kind: one column of it.
sub select_query
{
    my ($self, $depth, $outer, $want) = @_;
    my ($from, $seen) = $self->from_clause($depth, $outer);
    my $where = chance(0.85) ? ' WHERE ' . $self->conditions($depth, $seen, $outer, 1 + int rand 2) : '';
    if (defined $want) {
        return ("SELECT 1 FROM $from$where") if $want eq 'any';
        my $c = like_column($want, @$seen) or return ('SELECT ' . $self->const($want) . ($want eq 'int' ? '::bigint' : $want eq 'num' ? '::numeric' : $want eq 'char' ? '::bpchar' : $want eq 'ts' ? '::timestamp' : "::$want") . " FROM $from$where");
        return ("SELECT $c->[0] FROM $from$where") if chance(0.85) || $want eq 'uuid' || $want eq 'mood';
        return ('SELECT ' . pick('min', 'max') . "($c->[0]) FROM $from$where") if chance(0.5);
        return ("SELECT DISTINCT $c->[0] FROM $from$where") if chance(0.5);
        return ("SELECT $c->[0] FROM $from$where ORDER BY 1 LIMIT " . $self->const('int'));
    }
    my $s = pick(@$seen);
    my @columns = ((chance(0.6) ? grep { $_ } map { named($s, $_) } @{ $s->[2] } : ()), map { column(@$seen) } 1 .. 1 + int rand 2);
    my %taken;
    @columns = grep { my ($n) = $_->[0] =~ /([^.]+)$/; !$taken{$n}++ } @columns;
    my @out = map { [ $_->[0] =~ s/.*\.//r, $_->[1] ] } @columns;
    my %have = map { $_->[0] => 1 } @columns;
    my @key = grep({ !$have{"$s->[0].$_"} } @{ $s->[2] }) ? () : @{ $s->[2] };
    my $list = join ', ', map { $_->[0] } @columns;
    my $r = rand;
    if ($r < 0.05) {
        my %n;
        return ("SELECT $s->[0].* FROM $from$where", $s->[1], $s->[2]) if !grep { $n{ $_->[0] }++ } @{ $s->[1] };
    }
    return ("SELECT $list FROM $from$where", \@out, \@key) if $r < 0.6;
    return ("SELECT DISTINCT $list FROM $from$where", \@out, \@key) if $r < 0.65;
    return ("SELECT $list, count(*) AS total FROM $from$where GROUP BY " . (chance(0.5) ? $list : join ', ', 1 .. @columns) . (chance(0.2) ? ' HAVING count(*) > ' . $self->const('int', int rand 2) : ''),
        [ @out, [ 'total', 'int' ] ], \@key) if $r < 0.74 && !$taken{total};
    return ("SELECT $list, count(*) OVER (PARTITION BY $columns[0][0]) AS total FROM $from$where", [ @out, [ 'total', 'int' ] ], \@key) if $r < 0.8 && !$taken{total};
    return ("SELECT $list FROM $from$where ORDER BY " . join(', ', 1 .. @columns) . ' LIMIT ' . $self->const('int'), \@out, \@key) if $r < 0.93;
    return ("SELECT count(*) AS total, count($columns[0][0]) AS v FROM $from$where", [ [ 'total', 'int' ], [ 'v', 'int' ] ], []);
}

sub top_select
{
    my ($self, $depth) = @_;
    my ($q, $columns) = $self->select_query($depth, []);
    return $q if chance(0.85) || @$columns != 1;
    my ($other) = $self->select_query($depth - 1, [], $columns->[0][1]);
    return "($q) " . pick('UNION', 'UNION ALL', 'EXCEPT', 'INTERSECT', 'EXCEPT ALL') . " ($other)";
}

sub with_clause
{
    my ($self, $writable) = @_;
    my @parts;
    for my $i (1 .. (chance(0.3) ? 2 : 1)) {
        my ($q, $columns, $key);
        if ($writable && chance(0.6)) { ($q, $columns, $key) = $self->change(1); }
        ($q, $columns, $key) = $self->select_query(1, []) if !$q;
        my $name = chance(0.15) ? pick(sort keys %{ $self->{tables} }) : "w$i";
        next if grep { /^\Q$name\E / } @parts;
        push @parts, "$name AS" . ($q =~ /^SELECT/ ? pick('', ' MATERIALIZED', ' NOT MATERIALIZED') : '') . " ($q)";
        $self->{with}{$name} = [ $columns, $key ];
    }
    return 'WITH ' . join(', ', @parts) . ' ';
}

sub new_row
{
    my ($self, $t, @columns) = @_;
    return '(' . join(', ', map { my $kind = $_->[1]; my $k = $_->[0]; chance(0.04) ? 'DEFAULT' : chance(0.02) ? 'NULL' : $self->const($kind, $kind eq 'int' && !grep({ $_ eq $k } @{ $t->{key} }) ? int rand 40 : undef) } @columns) . ')';
}

sub returning
{
    my ($self, $t, $always) = @_;
    return ('', []) if !$always && chance(0.7);
    my @c = @{ $t->{columns} };
    return (' RETURNING ' . join(', ', map { $_->[0] } @c), \@c);
}

# INSERT, UPDATE, DELETE or MERGE: (text, columns that it returns, key). $inner: it stands in WITH, so it has to return.
sub change
{
    my ($self, $inner) = @_;
    my @writable = grep { $self->{tables}{$_}{write} } @{ $self->{pool} };
    my $table = pick(@writable);
    my $t = $self->{tables}{$table};
    my $r = rand;
    return $self->insert($table, $t, $inner) if $r < 0.45;
    return ($self->merge($table, $t), [], []) if $r < 0.52 && !$inner;
    my @target = ([ $table, $t->{columns}, $t->{key} // [] ]);
    my ($item, $s) = chance(0.3) ? $self->from_item(1, [], []) : ();
    push @target, $s if $s;
    my $where = ' WHERE ' . ($s ? $self->key_join($target[0], $s) . ' AND ' : chance(0.5) ? $self->key_condition($target[0]) . ' AND ' : '') . $self->conditions(1, \@target, [], 1 + int rand 2);
    my ($ret, $columns) = $s ? ('', []) : $self->returning($t, $inner);
    $ret = ' RETURNING ' . join(', ', map { "$table.$_->[0]" } @{ $columns = $t->{columns} }) if $inner && $s;
    return ("DELETE FROM $table" . ($item ? " USING $item" : '') . "$where$ret", $columns, $t->{key}) if $r < 0.7;
    # With FROM the value must not depend on which of several matches is taken.
    my $set = 'v = ' . pick($self->const('int'), "COALESCE($table.v, 0) + 1", "CASE WHEN $table.v > 3 THEN 0 ELSE 7 END");
    $set .= ", $t->{key}[0] = $table.$t->{key}[0]" if chance(0.05) && $t->{key} && @{ $t->{key} };
    return ("UPDATE $table SET $set" . ($item ? " FROM $item" : '') . "$where$ret", $columns, $t->{key});
}

sub insert
{
    my ($self, $table, $t, $inner) = @_;
    my @columns = grep { $_->[0] ne 'g' } @{ $t->{columns} };
    @columns = grep { my $c = $_; chance(0.85) || grep { $_ eq $c->[0] } @{ $t->{unique} } } @columns;
    @columns = reverse @columns if chance(0.3);
    my $list = join ', ', map { $_->[0] } @columns;
    my ($ret, $returned) = $self->returning($t, $inner);
    my $target = join ', ', @{ $t->{unique} };
    my $conflict = pick('', '', '', ' ON CONFLICT DO NOTHING', " ON CONFLICT ($target) DO NOTHING", " ON CONFLICT ($target) DO UPDATE SET v = COALESCE($table.v, 0) + 1",
        " ON CONFLICT ($target) DO UPDATE SET v = excluded.v" . (chance(0.3) ? " WHERE $table.v > 3" : ''));
    if (chance(0.75)) {
        return ("INSERT INTO $table ($list) VALUES " . join(', ', map { $self->new_row($t, @columns) } 1 .. pick(1, 1, 2, 3, 4, 5)) . "$conflict$ret", $returned, $t->{key});
    }
    # From a query that gives as many columns of the right kinds; duplicates within it would be a choice among equals.
    my $source = pick(@{ $self->{pool} });
    my $s = [ 's', $self->{tables}{$source}{columns}, $self->{tables}{$source}{key} // [] ];
    my %key = map { $_ => 1 } @{ $t->{key} };
    my @exprs = map {
        my ($name, $kind) = @$_;
        my $c = like_column($kind, $s);
        my $sk = $key{$name} && $s->[2][0] ? named($s, $s->[2][0]) : undef;
        $sk && $family{ $sk->[1] } eq $family{$kind} && chance(0.6) ? $sk->[0] : $c && chance(0.3) ? $c->[0] : $self->const($kind) . ($kind eq 'mood' ? '::mood' : '')
    } @columns;
    $conflict = ' ON CONFLICT DO NOTHING' if $conflict =~ /UPDATE/;
    my $ordinary = join ', ', @exprs;
    return ("INSERT INTO $table ($list) SELECT $ordinary FROM $source AS s WHERE " . $self->key_condition($s) . $ret, $returned, $t->{key});
}

sub merge
{
    my ($self, $table, $t) = @_;
    my $key = $t->{key} && $t->{key}[0] or return "DELETE FROM $table WHERE false";
    my ($kind) = map { $_->[1] } grep { $_->[0] eq $key } @{ $t->{columns} };
    my $on = "m.$key = " . pick($self->const($kind), 's.x');
    my $v = $self->const($kind);
    my $cast = { int => 'bigint', text => 'text', num => 'numeric', uuid => 'uuid', date => 'date', ts => 'timestamp', char => 'bpchar', mood => 'mood' }->{$kind};
    my $source = pick("(VALUES ($v\::$cast)) AS s (x)", "(SELECT $key AS x FROM $table WHERE $key = $v GROUP BY $key) AS s");
    my $insert = @{ $t->{unique} } == 1 ? ' WHEN NOT MATCHED THEN INSERT (' . $key . ', v) VALUES (' . pick('s.x', $v) . ', 1)' : '';
    return "MERGE INTO $table AS m USING $source ON $on WHEN MATCHED AND m.v > 5 THEN DELETE WHEN MATCHED THEN UPDATE SET v = COALESCE(m.v, 0) + 1$insert";
}

# (sql, values, types, formats); values are empty without `extended`.
sub statement
{
    my ($self, %opt) = @_;
    @$self{qw(names consts with)} = (0, [], {});
    # Mostly tables that can be used together; all of them now and then.
    my $world = chance(0.05) ? [ sort keys %{ $self->{tables} } ] : pick(@{ $self->{worlds} });
    $self->{pool} = [ map { my $t = $_; ($t) x ($self->{tables}{$t}{weight} // 1) } @$world ];
    my $write = $opt{write} // chance(0.35);
    my ($text) = $write ? $self->change : ();
    if (!defined $text) { $text = (chance(0.25) ? $self->with_clause(chance(0.3)) : '') . $self->top_select(2); }
    elsif (chance(0.1)) {
        my ($ctes, $before) = ($self->with_clause(chance(0.5)), $text);
        $text = $ctes . $before;
    }
    return $self->render($text, $opt{extended});
}

1;
