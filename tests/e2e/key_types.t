# Sharding keys of every type through the router: what is stored in the column, after its assignment cast and typmod, decides
# the shard (P17), by whatever way the row comes. The placement CHECK refuses a misplaced row (P19), so a row that is taken is
# on its shard; that the router finds it there again is asked for.
use strict;
use warnings;
use lib 'tests/lib';
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(run);
use PgbraidTest::Router;
use PgbraidTest::Tree;
use PgbraidTest::Wire;
use Test::More;

# name => vhash's type, the column's, values as given and (where it differs) as stored.
my %tables = (
    smallints => [ int2 => 'smallint', [-32768], [0], [32767] ],
    integers => [ int4 => 'integer', [-2147483648], [-1], [7], [2147483647] ],
    bigints => [ int8 => 'bigint', ['-9223372036854775808'], [-1], [0], [12345678901], ['9223372036854775807'] ],
    ids => [ identity => 'bigint', ['-9223372036854775808'], [-1], [0], [1], ['3074457345618258602'], ['9223372036854775807'] ],
    texts => [ text => 'text', [''], ['a'], ['a '], ["\xc3\xa9\xe6\xbc\xa2"], ['x' x 300], ["it's"] ],
    varchars => [ varchar => 'varchar(3)', ['abc'], [ 'def  ', 'def' ], ['g '], [ "\xc3\xa9\xc3\xa9\xc3\xa9 ", "\xc3\xa9\xc3\xa9\xc3\xa9" ] ],
    chars => [ bpchar => 'char(4)', [ 'ab', 'ab  ' ], [ 'abcd   ', 'abcd' ], [ '', '    ' ], [ "\xc3\xa9", "\xc3\xa9   " ] ],
    uuids => [ uuid => 'uuid', ['00000000-0000-0000-0000-000000000001'], [ 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' ] ],
    numerics => [ numeric => 'numeric', ['0'], ['1.00'], ['-10000.5'], ['12345678901234567890.000000001'], ['NaN'] ],
    rounded => [ numeric => 'numeric(6,2)', [ '1.005', '1.01' ], [ '-2.555', '-2.56' ], [ '7', '7.00' ], [ '9999.994', '9999.99' ], [ '0.001', '0.00' ] ],
    timestamps => [ timestamp => 'timestamp', ['2001-02-03 04:05:06.789'], ['0044-03-15 12:00:00 BC'], ['infinity'], ['294276-12-31 23:59:59'] ],
    seconds => [ timestamp => 'timestamp(0)', [ '2001-02-03 04:05:06.5', '2001-02-03 04:05:07' ], [ '1999-12-31 23:59:59.5', '1999-12-31 23:59:59' ], ['-infinity'] ],
    dates => [ date => 'date', ['2001-02-03'], ['4714-11-24 BC'], ['5874897-12-31'], ['infinity'], ['-infinity'] ],
);

my $cluster = PgbraidTest::Cluster->new(shards => 3);
my @ranges = PgbraidTest::Router::equal_ranges(3);
my $tool = PgbraidTest::Tree::build() . '/tools/vhash_tool';

# As the router makes them.
for my $i (1 .. 3) {
    my $w = $cluster->wire($i);
    $w->do(PgbraidTest::Tree::slurp('planner/sql/bootstrap.sql'));
    for my $name (sort keys %tables) {
        my ($type, $sql) = @{ $tables{$name} };
        my $condition = run([ $tool, 'condition', $type, 'k' ], stdin => "$ranges[ $i - 1 ]\n")->{out};
        $w->do("CREATE TABLE $name (k $sql PRIMARY KEY, way text, CONSTRAINT pgbraid_placement CHECK ($condition))",
            sprintf q{INSERT INTO pgbraid.tables VALUES ('public', '%s', 'sharded', '{k}', '%s')}, $name, $type eq 'identity' ? 'identity' : 'hash');
    }
}
my $router = PgbraidTest::Router->new(cluster => $cluster, ranges => \@ranges);
my $client = $router->wire;
my @direct = map { $cluster->wire($_) } 1 .. 3;

sub quote { return "'" . $_[0] =~ s/'/''/gr . "'"; }

# The server's binary form of a value before the column's typmod is applied to it.
my $one = $direct[0];
sub binary_form
{
    my ($sql, $value) = @_;
    my $bare = $sql =~ s/\(.*//r =~ s/^char$/bpchar/r;
    $one->send(Parse('', "SELECT CAST(\$1 AS $bare)"), Bind('', '', [$value], result_formats => [1]), Execute(''), Sync());
    my ($row) = grep { $_->{type} eq 'D' } $one->until_ready;
    return $row->{values}[0];
}

sub binary_copy
{
    my (@rows) = @_;
    return "PGCOPY\n\xff\r\n\0" . pack('N N', 0, 0) . join('', map { pack('n', 2) . join '', map { pack('N', length $_) . $_ } @$_ } @rows) . "\xff\xff";
}

my %ways = (
    'a literal' => sub { my ($t, $v) = @_; return $client->query("INSERT INTO $t VALUES (" . quote($v) . ", 'x')"); },
    'a text parameter' => sub { my ($t, $v) = @_; return $client->query_params("INSERT INTO $t VALUES (\$1, 'x')", $v); },
    'a binary parameter' => sub {
        my ($t, $v) = @_;
        $client->send(Parse('', "INSERT INTO $t VALUES (\$1, 'x')"), Bind('', '', [ binary_form($tables{$t}[1], $v) ], formats => [1]), Execute(''), Sync());
        return PgbraidTest::Wire::result($client->until_ready);
    },
    'COPY' => sub { my ($t, $v) = @_; return $client->query("COPY $t FROM STDIN", copy => "$v\tx\n"); },
    'COPY CSV' => sub { my ($t, $v) = @_; return $client->query("COPY $t FROM STDIN (FORMAT csv)", copy => "\"$v\",x\n"); },
    'COPY BINARY' => sub { my ($t, $v) = @_; return $client->query("COPY $t FROM STDIN (FORMAT binary)", copy => binary_copy([ binary_form($tables{$t}[1], $v), 'x' ])); },
);

for my $name (sort keys %tables) {
    my ($type, $sql, @values) = @{ $tables{$name} };
    for my $way (sort keys %ways) {
        my @wrong;
        for my $case (@values) {
            my ($given, $stored) = ($case->[0], $case->[1] // $case->[0]);
            my $r = $ways{$way}->($name, $given);
            push @wrong, "'$given' is not taken: $r->{error}{C} $r->{error}{M}" if $r->{error};
            my $where = 'k = ' . quote($stored);
            my $found = $client->rows("SELECT k FROM $name WHERE $where");
            push @wrong, "'$given' is found as " . join ', ', map { "'$_->[0]'" } @$found if @$found != 1 || $found->[0][0] ne $stored;
            $found = $client->query_params("SELECT k FROM $name WHERE k = \$1", $stored);
            push @wrong, "'$given' is not found by a parameter" if @{ $found->{rows} } != 1;
            my $on = grep { $_->value("SELECT count(*) FROM $name WHERE $where") } @direct;
            push @wrong, "'$given' is on $on shards" if $on != 1;
            $client->do("DELETE FROM $name WHERE $where");
        }
        ok(!@wrong, "P17: $sql by $way") or diag(join "\n", @wrong);
    }
}

# P17, P18: compared, a value is itself: nothing that is stored equals it.
$client->do("INSERT INTO rounded VALUES (1.01, 'x')", "INSERT INTO varchars VALUES ('abc', 'x')");
is_deeply($client->rows("SELECT k FROM rounded WHERE k = 1.005"), [], 'P17: 1.005 finds no 1.01');
is_deeply($client->rows("SELECT k FROM varchars WHERE k = 'abc  '"), [], 'P17: blanks count in a comparison with varchar');

# P18: other forms of a value are as good to the server; where one shard would have to be chosen, they are refused.
is_deeply($client->rows("SELECT k FROM rounded WHERE k = ' 1.010'"), [ ['1.01'] ], 'P18: a form that is not canonical is looked for on all shards');
is_deeply($client->rows("SELECT k FROM rounded WHERE k = '101e-2'"), [ ['1.01'] ], 'P18: so is another');
like($client->error("INSERT INTO rounded VALUES (' 5 ', 'x')")->{D}, qr/PB0206/, 'P18: stored, it is refused');
is($client->query("COPY rounded FROM STDIN", copy => "+5\tx\n")->{error}{C}, '0A000', 'P18: in COPY as well');

# The bytes that are hashed are those that are stored.
for my $bad ([ client_encoding => 'LATIN1' ], [ client_encoding => 'win1252' ], [ options => '-c client_encoding=latin1' ], [ options => '--client-encoding=SJIS' ]) {
    my $w = $router->try_wire(params => {@$bad});
    like($w->{error}{D} // '', qr/PB0313/, "P17: a login with $bad->[0] $bad->[1] is refused");
}
for my $good ([ client_encoding => 'utf-8' ], [ client_encoding => 'SQL_ASCII' ], [ options => '-c client_encoding=Unicode' ]) {
    is($router->wire(params => {@$good})->value('SELECT 1'), 1, "a login with $good->[0] $good->[1] is fine");
}
$one->do("CREATE ROLE old LOGIN", "ALTER ROLE old SET client_encoding = 'LATIN1'");
$cluster->do($_, 'GRANT ALL ON ALL TABLES IN SCHEMA public TO old') for 1 .. 3;
my $old = $router->wire(user => 'old');
is($old->{parameter}{client_encoding}, 'UTF8', "P17: a role's default encoding does not count");
$old->do("INSERT INTO texts VALUES ('\xc3\xa9', 'x')");
is_deeply($client->rows("SELECT k FROM texts"), [ ["\xc3\xa9"] ], '... so its rows are placed as others are');

# Databases in another encoding store other bytes. A role that has not been here yet sees what they are now.
$one->do('CREATE ROLE late LOGIN', "UPDATE pg_database SET encoding = pg_char_to_encoding('LATIN1') WHERE datname ~ '^shard'");
my $late = $router->try_wire(user => 'late');
like("$late->{error}{M} $late->{error}{D}", qr/encoding "LATIN1".*PB0313/, 'P17: a shard that is not in UTF8 is not used');

done_testing;
