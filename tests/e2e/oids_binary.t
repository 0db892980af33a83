#!/usr/bin/perl
# P37: object ids inside binary values are the home shard's: arrays, rows, ranges of users' types, and all that is made of
# them, in every way that rows come to a client. In the other direction servers take such values whatever ids are in them.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 3);
# Objects get the next number of their server: on shards 2 and 3 something else was made before.
$cluster->do($_, map { ("CREATE TYPE before_$_ AS (a int)", "CREATE TABLE other_$_ (a int)") } 1 .. $_) for 2, 3;
my $router = PgbraidTest::Router->new(cluster => $cluster);
my $w = $router->wire;
my %column = (
    m   => [ mood     => q{'glad'} ],
    ms  => ['mood[]'  => q{'{{sad,glad},{NULL,fine}}'}],
    s   => [ short    => q{'x'} ],
    ss  => ['short[]' => q{'{x,y}'}],
    sm  => [ few      => q{'{sad}'} ],
    sms => ['few[]'  => q{ARRAY['{sad}', NULL]::few[]}],
    c   => [ pair     => q{(1, 'glad', '{sad}')} ],
    cs  => ['pair[]'  => q{ARRAY[(1, NULL, '{sad}'), NULL]::pair[]}],
    r   => [ moods    => q{'(sad,glad]'} ],
    rr  => [ pairs    => q{'["(1,sad,)","(2,sad,{fine})")'} ],
    mr  => [ multi    => q{'{[sad,sad],(fine,glad]}'} ],
    d   => [ deep     => q{ROW(ARRAY[(1, 'sad', '{glad,glad}'), (NULL, NULL, NULL)]::pair[], '[fine,fine]')::deep} ],
    rs  => ['moods[]' => q{'{empty,"[sad,fine]"}'}],
    n   => ['int[]'   => q{'{1,2}'}],
    nr  => [ int4range => q{'[1,5)'} ],
    t   => [ text     => q{NULL} ],
);
my @names = sort keys %column;
$w->do(
    q{CREATE TYPE mood AS ENUM ('sad', 'fine', 'glad')},
    'CREATE DOMAIN short AS text CHECK (length(value) < 9)',
    'CREATE DOMAIN few AS mood[]',
    'CREATE TYPE pair AS (a int, m mood, ms mood[])',
    'CREATE TYPE moods AS RANGE (subtype = mood, multirange_type_name = multi)',
    'CREATE TYPE pairs AS RANGE (subtype = pair)',
    'CREATE TYPE deep AS (c pair[], r moods)',
    'CREATE TABLE p (id bigint PRIMARY KEY, ' . join(', ', map { "$_ $column{$_}[0]" } @names) . ')',
    q{SELECT pgbraid.shard_table('p', 'id')},
    map { my $id = $_; "INSERT INTO p VALUES ($id, " . join(', ', map { $column{$_}[1] } @names) . ')' } 1 .. 12
);
my @shard = map { [ map { $_->[0] } @{ $cluster->rows($_, 'SELECT id FROM p ORDER BY id') } ] } 1 .. 3;
ok(@$_ >= 2, 'each shard has rows') for @shard;

sub hex_of { return join ' ', map { defined $_ ? unpack 'H*', $_ : '~' } @_; }
sub frames { my ($c, @messages) = @_; $c->send(@messages); return $c->until_ready; }
sub got { my (@frames) = @_; return [ map { hex_of(@{ $_->{values} }) } grep { $_->{type} eq 'D' } @frames ]; }
sub error { my ($e) = grep { $_->{type} eq 'E' } @_; return $e ? "$e->{fields}{C} $e->{fields}{M}" : ''; }

# What a statement gives in binary; ways to ask.
my $n = 0;
my %way = (
    unnamed => sub { my ($c, $sql, @values) = @_; return frames($c, Parse('', $sql), Bind('', '', \@values, result_formats => [1]), Execute(''), Sync()); },
    portal => sub {
        my ($c, $sql, @values) = @_;
        return frames($c, Parse('', $sql), Bind('', '', \@values, result_formats => [1]), Describe('P', ''), Execute(''), Sync());
    },
    named => sub {
        my ($c, $sql, @values) = @_;
        $n++;
        frames($c, Parse("n$n", $sql), Describe('S', "n$n"), Sync());
        return frames($c, Bind('', "n$n", \@values, result_formats => [1]), Execute(''), Sync());
    },
    pieces => sub {
        my ($c, $sql, @values) = @_;
        my @all = frames($c, Query('BEGIN'));
        push @all, frames($c, Parse('', $sql), Bind('q', '', \@values, result_formats => [1]), Execute('q', 1), Sync());
        push @all, frames($c, Execute('q', 1), Execute('q', 2), Sync());
        push @all, frames($c, Query('SELECT id FROM p WHERE id = 1'));
        pop @all while @all && $all[-1]{type} ne 'D'; # that row
        pop @all;
        push @all, frames($c, Execute('q'), Sync());
        frames($c, Query('COMMIT'));
        return @all;
    },
    later => sub {
        my ($c, $sql, @values) = @_;
        frames($c, Query('BEGIN'));
        my @all = frames($c, Parse('', $sql), Bind('q', '', \@values, result_formats => [1]), Sync());
        push @all, frames($c, Execute('q'), Sync());
        frames($c, Query('COMMIT'));
        return @all;
    },
    pipeline => sub {
        my ($c, $sql, @values) = @_;
        return frames($c, Parse('', $sql), (Bind('', '', \@values, result_formats => [1]), Execute('')), Parse('', 'SELECT 1 WHERE false'), Bind('', '', []), Execute(''), Sync());
    },
    cursor => sub {
        my ($c, $sql, @values) = @_;
        $sql =~ s/\$(\d)/$values[$1 - 1]/g;
        frames($c, Query('BEGIN'), Query("DECLARE k BINARY CURSOR FOR $sql"));
        $c->until_ready;
        my @all = (frames($c, Query('FETCH 1 FROM k')), frames($c, Query('FETCH ALL FROM k')));
        frames($c, Query('COMMIT'));
        return @all;
    },
    fetch => sub {
        my ($c, $sql, @values) = @_;
        $sql =~ s/\$(\d)/$values[$1 - 1]/g;
        frames($c, Query('BEGIN'), Query("DECLARE k CURSOR FOR $sql"));
        $c->until_ready;
        my @all = map { frames($c, Parse('', "FETCH $_ FROM k"), Bind('', '', [], result_formats => [1]), Execute(''), Sync()) } 1, 'ALL';
        frames($c, Query('COMMIT'));
        return @all;
    },
    execute => sub {
        my ($c, $sql, @values) = @_;
        $n++;
        frames($c, Query("PREPARE x$n AS $sql"));
        return frames($c, Parse('', "EXECUTE x$n" . (@values ? '(' . join(', ', @values) . ')' : '')), Bind('', '', [], result_formats => [1]), Execute(''), Sync());
    },
);
my $columns = join ', ', @names;
my $home = $cluster->wire(1);
my ($want) = @{ got($way{unnamed}->($home, 'SELECT ' . join(', ', map { "$column{$_}[1]::$column{$_}[0]" } @names))) };
my ($rows) = @{ got($way{unnamed}->($home, "SELECT p, ROW(p.m, p.c, ROW(p.ms, 1)), ARRAY[ROW(p.m, 1), ROW('sad'::mood, 2)] FROM (SELECT * FROM p LIMIT 1) p")) };
like($want, qr/ /, 'there is something to compare with');
my $own = $router->wire;
my ($whole) = @{ got($way{unnamed}->($home, "SELECT q FROM (SELECT $columns FROM p LIMIT 1) q")) };
for my $way (sort keys %way) {
    for my $i (1 .. 3) {
        my $id = $shard[ $i - 1 ][0];
        is_deeply(got($way{$way}->($own, "SELECT $columns FROM p WHERE id = \$1::bigint", $id)), [$want], "shard $i, $way") for 1, 2;
        my $sql = "SELECT q, ROW(m, c, ROW(ms, 1)), ARRAY[ROW(m, 1), ROW('sad'::mood, 2)] FROM (SELECT $columns FROM p WHERE id = \$1::bigint) q";
        is_deeply(got($way{$way}->($own, $sql, $id)), [ join ' ', $whole, (split / /, $rows)[ 1, 2 ] ], "... rows");
    }
    is_deeply(got($way{$way}->($own, "SELECT $columns FROM p")), [ ($want) x 12 ], "all shards, $way") for 1, 2;
    is_deeply(got($way{$way}->($own, "SELECT $columns FROM p ORDER BY id DESC OFFSET 1")), [ ($want) x 11 ], "merged, $way");
    is_deeply(got($way{$way}->($own, "SELECT $columns FROM p ORDER BY id LIMIT 5")), [ ($want) x 5 ], "... with LIMIT, $way");
    is_deeply(got($way{$way}->($own, "SELECT $columns FROM (SELECT DISTINCT p.*, count(*) OVER () FROM p) p")), [ ($want) x 12 ], "gathered, $way");
}

# Text stays as it is, mixed formats.
my $mixed = Bind('', '', [ $shard[2][0] ], result_formats => [ 0, 1, 0 ]);
my @text = frames($own, Parse('', 'SELECT ms, ms, c FROM p WHERE id = $1'), $mixed, Execute(''), Sync());
is_deeply(
    (grep { $_->{type} eq 'D' } @text)[0]{values},
    [ '{{sad,glad},{NULL,fine}}', (grep { $_->{type} eq 'D' } $way{unnamed}->($home, q{SELECT '{{sad,glad},{NULL,fine}}'::mood[]}))[0]{values}[0], '(1,glad,{sad})' ], 'formats by column'
);

# Changes.
for my $i (1 .. 3) {
    is_deeply(got($way{$_}->($own, "UPDATE p SET m = m WHERE id = \$1::bigint RETURNING $columns", $shard[ $i - 1 ][0])), [$want], "shard $i, RETURNING, $_") for qw(unnamed portal later execute);
}
is_deeply(got($way{$_}->($own, "UPDATE p SET m = m RETURNING $columns")), [ ($want) x 12 ], "RETURNING of all shards, $_") for qw(unnamed pieces);

# A row of more than one read, and one that is too long.
$w->do("UPDATE p SET ms = array_fill('sad'::mood, ARRAY[50000]) WHERE id = $_") for $shard[2][1];
my ($long) = @{ got($way{unnamed}->($home, q{SELECT array_fill('sad'::mood, ARRAY[50000])})) };
is_deeply(got($way{$_}->($own, 'SELECT ms FROM p WHERE id = $1::bigint', $shard[2][1])), [$long], "350,000 bytes, $_") for sort keys %way;
is((grep { $_ eq $long } @{ got($way{$_}->($own, 'SELECT ms FROM p')) }), 1, "... among others, $_") for qw(unnamed pieces cursor);
is((grep { $_ eq $long } @{ got($way{$_}->($own, 'SELECT ms FROM p ORDER BY id')) }), 1, "... merged, $_") for qw(unnamed pieces);

# COPY, both ways.
sub copied { my ($c, $sql) = @_; my $r = $c->query($sql); return $r->{error} ? $r->{error}{M} : unpack 'H*', $r->{copied}; }
my $head = unpack 'H*', "PGCOPY\n\377\r\n\0" . pack 'N N', 0, 0;
my $one = unpack 'H*', pack('n', scalar @names) . join '', map { $_ eq '~' ? pack('N', 0xFFFFFFFF) : pack('N/a*', pack 'H*', $_) } split / /, $want;
for my $i (1 .. 3) {
    is(copied($own, "COPY (SELECT $columns FROM p WHERE id = $shard[$i-1][0]) TO STDOUT (FORMAT binary)"), "$head${one}ffff", "shard $i, COPY of a query");
}
$w->do("UPDATE p SET ms = $column{ms}[1] WHERE id = $shard[2][1]");
is(copied($own, "COPY (SELECT $columns FROM p) TO STDOUT (FORMAT binary)"), $head . $one x 12 . 'ffff', 'all shards');
is(copied($own, "COPY (SELECT $columns FROM p ORDER BY id) TO STDOUT (FORMAT binary)"), $head . $one x 12 . 'ffff', '... gathered');
is(copied($own, "COPY p ($columns) TO STDOUT (FORMAT binary)"), $head . $one x 12 . 'ffff', 'a table');
is(copied($own, "BEGIN; COPY p ($columns) TO STDOUT (FORMAT binary); COMMIT"), $head . $one x 12 . 'ffff', '... in a transaction');
is(copied($own, "COPY (SELECT /* ä */ nothing FROM p WHERE id = $shard[2][0]) TO STDOUT (FORMAT binary)"), 'column "nothing" does not exist', 'what is not there');
is($own->query("COPY (SELECT /* \x{c3}\x{a4} */ nothing FROM p WHERE id = $shard[2][0]) TO STDOUT (FORMAT binary)")->{error}{P}, 22, '... and where');
is(copied($own, 'COPY p (nothing) TO STDOUT (FORMAT binary)'), 'column "nothing" of relation "p" does not exist', 'a column that is not there');
my @ext = frames($own, Parse('', "COPY (SELECT $columns FROM p WHERE id = $shard[2][0]) TO STDOUT (FORMAT binary)"), Bind('', '', []), Execute(''), Sync());
is(summary(@ext), '1 2 H d d c C(COPY 1) Z(I)', 'by the extended protocol');
is(unpack('H*', PgbraidTest::Wire::result(@ext)->{copied}), "$head${one}ffff", '... the data');

$w->do('CREATE TABLE q (id bigint PRIMARY KEY, ' . join(', ', map { "$_ $column{$_}[0]" } @names) . ')', q{SELECT pgbraid.shard_table('q', 'id')});
my $all = $own->query("COPY p (id, $columns) TO STDOUT (FORMAT binary)")->{copied};
is_deeply($own->query("COPY q (id, $columns) FROM STDIN (FORMAT binary)", copy => $all)->{tags}, ['COPY 12'], 'COPY FROM of what came out');
is_deeply($w->rows('SELECT * FROM q ORDER BY id'), $w->rows('SELECT * FROM p ORDER BY id'), '... is the same');

# Parameters with the home shard's ids inside, on each shard.
my ($values) = map { $_->{values} } grep { $_->{type} eq 'D' } $way{unnamed}->($home, 'SELECT ' . join(', ', map { "$column{$_}[1]::$column{$_}[0]" } @names));
my %type = map { $_->[0] => $_->[1] } @{ $w->rows('SELECT a.attname, a.atttypid::int FROM pg_attribute a WHERE attrelid = \'p\'::regclass AND attnum > 0') };
for my $declared (0, 1) {
    my @types = $declared ? map { $type{$_} } 'id', @names : ();
    my $insert = "INSERT INTO q (id, $columns) VALUES (" . join(', ', map { "\$$_" } 1 .. @names + 1) . ')';
    for my $i (1 .. 3) {
        my $id = pack 'q>', $shard[ $i - 1 ][0];
        $w->do("DELETE FROM q WHERE id = $shard[$i-1][0]");
        is(error(frames($own, Parse('', $insert, @types), Bind('', '', [ $id, @$values ], formats => [1]), Execute(''), Sync())), '', "shard $i, parameters of all types, declared: $declared");
    }
    $w->do('DELETE FROM q WHERE id < 7');
    my @six = map { pack('q>', $_), @$values } 1 .. 6;
    my $k = 0;
    my $several = "INSERT INTO q (id, $columns) VALUES " . join ', ', map { '(' . join(', ', map { '$' . ++$k } 0 .. @names) . ')' } 1 .. 6;
    is(error(frames($own, Parse('', $several, (@types) x 6), Bind('', '', \@six, formats => [1]), Execute(''), Sync())), '', "... for several shards, declared: $declared");
    is_deeply($w->rows('SELECT * FROM q ORDER BY id'), $w->rows('SELECT * FROM p ORDER BY id'), '... are the same');
    for my $c (@names) {
        next if $c eq 't' || (!$declared && $c =~ /^[cd]$/); # a row of no known type is nobody's input
        my ($v) = map { $values->[$_] } grep { $names[$_] eq $c } 0 .. $#names;
        my @f = frames($own, Parse('', "SELECT count(*) FROM q WHERE $c = \$1", $declared ? $type{$c} : ()), Bind('', '', [$v], formats => [1]), Execute(''), Sync());
        is(join(' ', map { $_->{values}[0] } grep { $_->{type} eq 'D' } @f), 12, "a parameter of type $column{$c}[0] finds rows of all shards, declared: $declared") or diag(error(@f));
    }
}

# Types of the transaction that still runs have no number that the router knows: refused rather than shown as the shard's.
$w->do('BEGIN', q{CREATE TYPE late AS ENUM ('a')}, q{ALTER TABLE p ADD COLUMN l late[] DEFAULT '{a}'});
my $late = $shard[2][0];
is_deeply($w->rows("SELECT l FROM p WHERE id = $late"), [ ['{a}'] ], 'a new type, in text');
like(error($way{unnamed}->($w, "SELECT l FROM p WHERE id = $late")), qr/^0A000 the type of column "l" is not known/, '... in binary');
$w->do('ROLLBACK', 'BEGIN', q{CREATE TYPE late AS ENUM ('a')}, q{ALTER TABLE p ADD COLUMN l late[] DEFAULT '{a}'});
like(error($way{unnamed}->($w, "SELECT ROW(l) FROM p WHERE id = $late")), qr/^0A000 a binary value has a type inside/, '... in a row');
$w->do('ROLLBACK', 'BEGIN', q{CREATE TYPE late AS ENUM ('a')}, q{ALTER TABLE p ADD COLUMN l late[] DEFAULT '{a}'});
like(copied($w, "COPY p (l) TO STDOUT (FORMAT binary)"), qr/^a binary value has a type inside/, '... in COPY');
$w->do('ROLLBACK');
$w->do(q{CREATE TYPE late AS ENUM ('a')}, q{ALTER TABLE p ADD COLUMN l late[] DEFAULT '{a}'});
my ($new) = @{ got($way{unnamed}->($home, q{SELECT '{a}'::late[]})) };
is_deeply(got($way{unnamed}->($w, 'SELECT l FROM p')), [ ($new) x 12 ], '... and afterwards');

# Another type of the same statement: the columns are looked at anew.
my $again = $router->wire;
frames($again, Parse('a', "SELECT l FROM p WHERE id = $late"), Sync());
is_deeply(got(frames($again, Bind('', 'a', [], result_formats => [1]), Execute(''), Sync())), [$new], 'a statement');
$w->do('ALTER TABLE p ALTER COLUMN l DROP DEFAULT', 'ALTER TABLE p ALTER COLUMN l TYPE mood[] USING NULL', "UPDATE p SET l = '{sad}'");
my ($sad) = @{ got($way{unnamed}->($home, q{SELECT '{sad}'::mood[]})) };
is_deeply(got(frames($again, Bind('', 'a', [], result_formats => [1]), Execute(''), Sync())), [$sad], '... after its column has another type');
done_testing;
