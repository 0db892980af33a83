#!/usr/bin/perl
# shardmap/vhash and shardmap/placement against a live server: every generated value must hash as the server's own SQL
# hashes it, in every form it can come in, compared and stored (P17); what is not canonical is declined (P18); and the
# placement condition must hold on the server for exactly the rows whose keyspace id lies in the range (P19).
#
# PGBRAID_VALUES (how many of each type; a quarter of that for each typmod) and PGBRAID_SEED repeat a failure or make the run longer.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(run workdir);
use PgbraidTest::Tree;

my $seed = $ENV{PGBRAID_SEED} // 20240229;
my $full = $ENV{PGBRAID_VALUES} // 10000;
my $wanted = $full;
srand $seed;

my $dir = workdir();
my $tool = PgbraidTest::Tree::build() . '/tools/vhash_tool';
my $cluster = PgbraidTest::Cluster->new(shards => 1);

# --- the two sides ---

sub psql
{
    my ($script) = @_;
    my $r = run([ 'psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', $cluster->conninfo(1) ], stdin => $script, env => { PGCLIENTENCODING => 'UTF8' });
    die "psql: $r->{err}\n" . substr $script, 0, 2000 if $r->{rc};
    return $r->{out};
}

sub tool
{
    my ($args, $lines) = @_;
    my $r = run([ $tool, @$args ], stdin => join('', map { "$_\n" } @$lines));
    die "vhash_tool @$args: $r->{err}" if $r->{rc};
    my @out = split /\n/, $r->{out};
    die "vhash_tool @$args: " . @out . ' lines for ' . @$lines if @$lines && @out != @$lines;
    return \@out;
}

# Hashes of values of one column.
sub hashes { my ($type, $typmod, $use, $form, $values) = @_; return tool([ 'hash', "$type,$typmod,$use,$form" ], [ map { unpack 'H*', $_ } @$values ]); }

my %escape = ("\\" => "\\\\", "\t" => "\\t", "\n" => "\\n", "\r" => "\\r");
my %unescape = (n => "\n", t => "\t", r => "\r", b => "\b", f => "\f", v => "\x0b");
sub copy_escape { my ($v) = @_; return $v =~ s/([\\\t\n\r])/$escape{$1}/gr; }
sub copy_unescape { my ($v) = @_; return $v =~ s/\\(.)/$unescape{$1} \/\/ $1/ger; }

sub spit { my ($name, $bytes) = @_; open my $f, '>:raw', "$dir/$name" or die "$dir/$name: $!"; print $f $bytes; close $f or die; return "$dir/$name"; }
sub slurp { my ($name) = @_; open my $f, '<:raw', "$dir/$name" or die "$dir/$name: $!"; local $/; return <$f> // ''; }

# COPY's text and binary forms of (number, value) as a hash of number => value.
sub text_rows { return map { my ($n, $v) = split /\t/, $_, 2; ($n => copy_unescape($v)) } split /\n/, slurp($_[0]); }

sub binary_rows
{
    my $data = slurp($_[0]);
    my ($at, %rows) = (19);
    while ((my $fields = unpack 'n', substr $data, $at, 2) != 0xffff) {
        my ($n, $len) = unpack 'x2 x4 N N', substr $data, $at, 14;
        $rows{$n} = substr $data, $at + 14, $len;
        $at += 14 + $len;
    }
    return %rows;
}

# Which of these values the server refuses to store in a column, one by one.
sub refused
{
    my ($table, $values, $numbers) = @_;
    return {} unless @$numbers;
    spit('doubtful', join '', map { "$_\t" . copy_escape($values->[$_]) . "\n" } @$numbers);
    my $out = psql(<<"END");
CREATE TEMP TABLE doubtful (n int, v text);
\\copy doubtful FROM '$dir/doubtful'
CREATE FUNCTION pg_temp.refuses(v text) RETURNS boolean LANGUAGE plpgsql AS \$\$
BEGIN EXECUTE format('INSERT INTO $table VALUES (-1, %L)', v); RETURN false; EXCEPTION WHEN data_exception THEN RETURN true; END \$\$;
SELECT n FROM doubtful WHERE pg_temp.refuses(v);
DELETE FROM $table WHERE n = -1;
END
    return { map { $_ => 1 } split /\n/, $out };
}

# No more than a few examples of what is wrong.
sub none_wrong
{
    my ($name, @wrong) = @_;
    ok(!@wrong, $name) or diag(scalar(@wrong) . " wrong, such as\n" . join "\n", @wrong[ 0 .. ($#wrong > 9 ? 9 : $#wrong) ]);
    return;
}

# --- values ---

sub pick { return $_[ rand @_ ]; }
sub chance { return rand() < $_[0]; }
sub digits { my ($n) = @_; return join '', map { int rand 10 } 1 .. $n; }

sub values_int
{
    my ($bits) = @_;
    my ($low, $high) = $bits == 64 ? ('-9223372036854775808', '9223372036854775807') : (-2**($bits - 1), 2**($bits - 1) - 1);
    my @v = (0, 1, -1, $low, $high, 127, 128, -128, -129, 255, 256, 32767, -32768);
    push @v, grep { length } map { ($_, "-$_") } map { 10**$_ } 1 .. int(($bits - 1) * 0.301);
    push @v, map { (2**$_, 2**$_ - 1, -2**$_) } 1 .. $bits - 2;
    @v = map { /e/ ? sprintf '%d', $_ : $_ } @v;
    push @v, unpack('q', pack 'L2', int rand 2**32, int rand 2**32) >> int rand $bits while @v < $wanted;
    @v = map { /^-?\d+$/ && $_ > $high ? unpack('q', pack 'Q', $_) : $_ } @v;
    return map { $bits == 64 ? $_ : $bits == 32 ? unpack('l', pack 'l', $_) : unpack('s', pack 's', $_) } @v;
}

my @letters = (map({ chr } 33 .. 126), (' ') x 20, "\\", "'", '"', "\t", "\n", "\r", "\x01", "\xc3\xa9", "\xc3\x9f", "\xcc\x81", "\xe6\xbc\xa2", "\xe2\x82\xac",
    "\xef\xbf\xbd", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf", "\xc2\xa0");

sub values_text
{
    my ($longest) = @_;
    my @v = ('', ' ', '  ', 'a', 'a ', ' a', "\xc3\xa9", "\xc3\xa9  ", "\xf0\x9f\x98\x80" x 3, "\xf0\x9f\x98\x80" x 4, 'abc', 'abc ', 'abc  ', 'abcd', "\\.", "\\N", 'NULL', "a\n", "a\t ");
    push @v, 'x' x $_, "\xe6\xbc\xa2" x $_ for 0 .. 40;
    push @v, join('', map { pick(@letters) } 1 .. $_) for 100, 1000, 5000;
    push @v, join('', map { pick(@letters) } 1 .. rand $longest) . ' ' x pick(0, 0, 0, 1, 2, 5, 12) while @v < $wanted;
    return @v;
}

sub values_uuid
{
    my @v = ('0' x 32, 'f' x 32, 'F' x 32, '0' x 31 . '1', '8' . '0' x 31);
    while (@v < $wanted) { my $v = join '', map { sprintf '%08x', int rand 2**32 } 1 .. 4; push @v, chance(0.2) ? uc $v : $v; }
    return map { join '-', unpack 'a8 a4 a4 a4 a12', $_ } @v;
}

sub values_numeric
{
    my @v = qw(0 0.0 0.000 -0 -0.00 00.00 1 1.0 1.00 1.000000000 01 007.50 -1 -1.0 10000 10000.0 10000.0000 9999 9999.9999 9999.99994 9999.99995 99999999 100000000 0.1 0.10 0.0001
        0.00010 0.00001 0.00009999 0.000099995 12345678.87654321 1.005 1.015 -1.005 0.005 -0.005 0.004999 9999.994 9999.995 -9999.995 9999.99 10000.00 999.995 0.00999 0.009994 0.009995
        0.0099949 0.001234 0.00001 0.000001 0.000005 0.000004 499 500 501 1499.9 1500 99499.99 99500 99999 -99500 999999999.5 0.5 0.49 -0.5 NaN Infinity -Infinity);
    push @v, '9' x $_, '1' . '0' x $_, '9' x $_ . '.5', '0.' . '0' x $_ . '1', '0.' . '0' x $_ . '5', '1.' . '0' x $_, '0.' . '9' x $_ for 1 .. 40;
    push @v, '9' x 1000, '1' . '0' x 999, '0.' . '0' x 1000 . '7', digits(500) . '.' . digits(500), '-' . digits(400) . '.' . digits(600);
    while (@v < $wanted) {
        my $v = chance(0.4) ? digits(1 + int rand 6) : chance(0.5) ? int rand 100000 : digits(1 + int rand 30);
        $v = '0' if chance(0.15);
        $v .= '.' . (chance(0.3) ? '0' x rand 8 : '') . digits(1 + int(rand() < 0.7 ? rand 5 : rand 30)) . (chance(0.3) ? '0' x rand 6 : '') if chance(0.75);
        $v .= '0' x rand 12 if $v !~ /\./ && chance(0.2);
        $v =~ s/\d(\d{1,4})$/9 . '9' x length($1)/e if chance(0.1);
        push @v, (chance(0.4) ? '-' : '') . $v;
    }
    return @v;
}

sub random_date
{
    my ($last) = @_;
    my $r = rand;
    my $year = $r < 0.5 ? 1900 + int rand 200 : $r < 0.75 ? 1 + int rand 9999 : $r < 0.9 ? 1 + int rand 4714 : 10000 + int rand $last - 9990;
    return sprintf('%04d-%02d-%02d', $year, 1 + int rand 12, 1 + int rand chance(0.9) ? 28 : 31), $r >= 0.75 && $r < 0.9 ? ' BC' : '';
}

sub values_date
{
    my @v = ('infinity', '-infinity', '4714-11-24 BC', '4714-11-23 BC', '4713-01-01 BC', '0001-12-31 BC', '0001-01-01', '0001-02-29 BC', '0005-02-29 BC', '0004-02-29', '0044-03-15 BC',
        '1999-12-31', '2000-01-01', '2000-02-29', '1900-02-28', '1900-02-29', '2100-02-29', '9999-12-31', '10000-01-01', '5874897-12-31', '5874898-01-01', '9999999-01-01', '1970-01-01', '0000-01-01');
    push @v, join '', random_date(5874897) while @v < $wanted;
    return @v;
}

sub values_timestamp
{
    my @v = ('infinity', '-infinity', '4714-11-24 00:00:00 BC', '4714-11-24 00:00:00.000001 BC', '4714-11-23 23:59:59.999999 BC', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.4',
        '294277-01-01 00:00:00', '1999-12-31 23:59:59.999999', '1999-12-31 23:59:59.9', '2000-01-01 00:00:00', '2000-01-01 00:00:00.000001', '1999-12-31 23:59:59.5', '2000-01-01 00:00:00.5',
        '2000-01-01 00:00:00.0005', '1999-12-31 23:59:59.9995', '0001-12-31 23:59:59.999999 BC', '0001-01-01 00:00:00', '2024-02-29 12:00:00', '1900-02-29 12:00:00', '2000-01-01 00:00:00.100000');
    while (@v < $wanted) {
        my ($date, $bc) = random_date(294276);
        my $fraction = chance(0.3) ? '' : '.' . (chance(0.2) ? pick(qw(5 05 005 0005 00005 000005 9 99 999 9999 99999 999999 4 49 499 4999)) : digits(1 + int rand 6));
        push @v, sprintf '%s %02d:%02d:%02d%s%s', $date, rand 24, rand 60, rand 60, $fraction, $bc;
    }
    return @v;
}

# --- one type ---

sub typmod_of { my ($sql) = @_; return psql("SELECT a.atttypmod FROM pg_attribute a WHERE a.attrelid = '$sql'::regclass AND a.attname = 'v'") + 0; }

my $tables = 0;
my %base_values; # type => what was loaded without typmod, for the composites

# One column type: $type is vhash's, $sql the column's; the values are canonical, though the server may refuse some.
sub check_type
{
    my ($type, $sql, @values) = @_;
    my $bare = $sql =~ s/\(.*//r =~ s/^char$/bpchar/r;
    my ($stored, $plain, $cast) = map { "t_" . ++$tables } 1 .. 3;
    psql("CREATE TABLE $stored (n int, v $sql); CREATE TABLE $plain (n int, v $bare); CREATE TABLE $cast (n int, v $sql)");
    my $typmod = typmod_of($stored);
    my $expression = tool([ 'expression', $type, 'v' ], [])->[0];
    my @all = 0 .. $#values;

    # What the values hash to, compared (typmod does not matter) and stored.
    my $compare = hashes($type, $typmod, 'c', 't', \@values);
    my $assign = hashes($type, $typmod, 'a', 't', \@values);
    my @accepted = grep { $assign->[$_] ne 'decline' } @all;
    my @uncast = grep { $compare->[$_] ne 'decline' } @all;
    spit('stored', join '', map { "$_\t" . copy_escape($values[$_]) . "\n" } @accepted);
    spit('plain', join '', map { "$_\t" . copy_escape($values[$_]) . "\n" } @uncast);
    psql(<<"END");
\\copy $stored FROM '$dir/stored'
\\copy $plain FROM '$dir/plain'
INSERT INTO $cast SELECT p.n, p.v FROM $plain p JOIN $stored s ON s.n = p.n;
\\copy (SELECT n, $expression FROM $stored) TO '$dir/stored.hash'
\\copy (SELECT n, $expression FROM $plain) TO '$dir/plain.hash'
\\copy (SELECT n, $expression FROM $cast) TO '$dir/cast.hash'
\\copy (SELECT n, v FROM $stored) TO '$dir/stored.text'
\\copy (SELECT n, v FROM $stored) TO '$dir/stored.binary' (FORMAT binary)
\\copy (SELECT n, v FROM $plain) TO '$dir/plain.text'
\\copy (SELECT n, v FROM $plain) TO '$dir/plain.binary' (FORMAT binary)
END
    my %stored = text_rows('stored.hash');
    my %plain = text_rows('plain.hash');
    my %cast = text_rows('cast.hash');
    my $show = sub { my ($n, $got, $want) = @_; return "'$values[$n]': $got, server " . ($want // 'has none'); };

    none_wrong("$sql: " . @uncast . ' compared values hash as on the server', map { $show->($_, $compare->[$_], $plain{$_}) } grep { $compare->[$_] ne ($plain{$_} // '') } @uncast);
    none_wrong("P17: $sql: " . @accepted . ' stored values hash as on the server', map { $show->($_, $assign->[$_], $stored{$_}) } grep { $assign->[$_] ne ($stored{$_} // '') } @accepted);
    none_wrong("P17: $sql: stored through the assignment cast as well", map { $show->($_, $assign->[$_], $cast{$_}) } grep { $assign->[$_] ne ($cast{$_} // '') } @accepted);

    # Canonical values are declined only where the server refuses them.
    my $refused = refused($stored, \@values, [ grep { $assign->[$_] eq 'decline' } @all ]);
    none_wrong("$sql: " . keys(%$refused) . ' declined values are refused by the server', map { "'$values[$_]'" } grep { $assign->[$_] eq 'decline' && !$refused->{$_} } @all);

    # The forms that the server sends, of the values before and after the cast.
    for my $case ([ 'stored', 'a', \%stored ], [ 'stored', 'c', \%stored ], $typmod == -1 ? () : ([ 'plain', 'c', \%plain ], [ 'plain', 'a', \%stored ])) {
        my ($from, $use, $want) = @$case;
        for my $form ('text', 'binary') {
            my %rows = $form eq 'text' ? text_rows("$from.text") : binary_rows("$from.binary");
            # Rounding up makes one timestamp that PostgreSQL prints and does not read.
            my @n = grep { $type ne 'timestamp' || $values[$_] ne '294276-12-31 23:59:59.999999' } sort { $a <=> $b } keys %rows;
            my $got = hashes($type, $typmod, $use, substr($form, 0, 1), [ @rows{@n} ]);
            none_wrong("$sql: " . @n . " $from values in $form form, " . ($use eq 'a' ? 'stored' : 'compared'),
                map { $show->($n[$_], $got->[$_], $want->{ $n[$_] }) } grep { $got->[$_] ne ($want->{ $n[$_] } // 'decline') } 0 .. $#n);
        }
    }
    $base_values{$type} //= [ @values[@uncast] ];

    # What is canonical means one thing under every DateStyle.
    return unless $sql =~ /^(date|timestamp)$/;
    for my $style ('ISO, MDY', 'ISO, DMY', 'ISO, YMD', 'SQL, DMY', 'German', 'Postgres, MDY') {
        my $wrong = psql(<<"END");
SET DateStyle = '$style';
CREATE TEMP TABLE again (n int, v $bare);
\\copy again FROM '$dir/plain'
SELECT count(*) FROM again a JOIN $plain p USING (n) WHERE a.v IS DISTINCT FROM p.v
END
        is($wrong + 0, 0, "$sql: the same values under DateStyle $style");
    }
    return;
}

check_type('int2', 'smallint', values_int(16));
check_type('int4', 'integer', values_int(32));
check_type('int8', 'bigint', values_int(64));
check_type('text', 'text', values_text(40));
check_type('varchar', 'varchar', values_text(40));
check_type('bpchar', 'bpchar', values_text(40));
check_type('uuid', 'uuid', values_uuid());
check_type('numeric', 'numeric', values_numeric());
check_type('timestamp', 'timestamp', values_timestamp());
check_type('date', 'date', values_date());
$wanted = $full / 4;
check_type('varchar', "varchar($_)", values_text($_ + 3)) for 3, 10;
check_type('bpchar', "char($_)", values_text($_ + 3)) for 1, 5;
check_type('numeric', "numeric($_)", values_numeric()) for '6,2', '5', '3,5', '2,-3', '38,10', '1000,3';
check_type('timestamp', "timestamp($_)", values_timestamp()) for 0, 3, 6;

# --- P18: what is declined, whether the server takes it or not ---

my %declined = (
    int4 => [ ' 5', '5 ', '+5', '05', '-05', '-0', '00', '0x5', '0b1', '0o7', '1_000', '5.0', '5e0', '', '-', '--5', "\t5", "5\n", "\xef\xbc\x95", '2147483648', '-2147483649', '99999999999999999999' ],
    int2 => [ '32768', '-32769', ' 1' ],
    int8 => [ '9223372036854775808', '-9223372036854775809', '18446744073709551616', '+1', '1 ' ],
    numeric => [ ' 5 ', '+5', '.5', '5.', '-.5', '1e3', '1E-3', '1e', 'nan', 'NAN', 'inf', '-inf', 'infinity', '+Infinity', 'Infinity ', '0x10', '1_000', '', '-', '.', '1.2.3', '- 5', '5-', '9' x 1025 ],
    uuid => [ '00000000000000000000000000000001', '{00000000-0000-0000-0000-000000000001}', '0000-0000-0000-0000-0000-0000-0000-0001', ' 00000000-0000-0000-0000-000000000001',
        '00000000-0000-0000-0000-000000000001 ', '00000000-0000-0000-0000-00000000000g', '00000000-0000-0000-0000-0000000000', '', '-' x 36 ],
    date => [ ' 2001-02-03', '2001-02-03 ', '20010203', '2001-2-3', '01-02-03', '1/2/2001', '2001/02/03', 'Feb 3 2001', '3-Feb-2001', '2001-034', 'J2451545', 'today', 'now', 'epoch', 'Infinity', 'inf',
        '+infinity', 'infinity BC', '2001-02-03 00:00:00', '2001-02-03T00:00:00', '2001-02-03 AD', '0044-03-15 bc', '0044-03-15BC', '0044-03-15  BC', '44-03-15 BC', ' BC', 'BC', '02001-02-03', '-2001-02-03',
        '2001-02-30', '2001-13-01', '2001-00-01', '0000-01-01', '', '-' ],
    timestamp => [ '2001-02-03', '2001-02-03T04:05:06', '2001-02-03 04:05', '2001-02-03 04:05:06Z', '2001-02-03 04:05:06+02', '2001-02-03 04:05:06 UTC', '2001-02-03 4:05:06', '2001-02-03 04:05:06 AM',
        '2001-02-03 24:00:00', '2001-02-03 23:59:60', '2001-02-03 04:05:06.', '2001-02-03 04:05:06.1234567', '2001-02-03  04:05:06', ' 2001-02-03 04:05:06', '2001-02-03 04:05:06 ', '20010203 040506',
        '2001-02-03 040506', 'now', 'epoch', 'today', 'INFINITY', '2001-02-03 04:05:06 AD', '2001-02-03 BC 04:05:06', '2001-02-03 04:05:06,5', '2001-02-03 04:05:06.5e0', '999999-01-01 00:00:00', '' ],
);
for my $type (sort keys %declined) {
    my $values = $declined{$type};
    psql("CREATE TABLE d_$type (n int, v $type)");
    my $refused = refused("d_$type", $values, [ 0 .. $#$values ]);
    for my $use ('c', 'a') {
        my $got = hashes($type, -1, $use, 't', $values);
        none_wrong("P18: $type: " . @$values . ' forms are declined' . ($use eq 'a' ? ' (stored)' : ''), map { "'$values->[$_]': $got->[$_]" } grep { $got->[$_] ne 'decline' } 0 .. $#$values);
    }
    note("$type, declined though the server takes it: " . join ' ', map { "'$values->[$_]'" } grep { !$refused->{$_} } 0 .. $#$values);
}

# --- P17: by name ---

for my $case ([ 'numeric', 'numeric(6,2)', '1.005', '1.01' ], [ 'numeric', 'numeric(6,2)', '-1.005', '-1.01' ], [ 'varchar', 'varchar(3)', 'abc  ', 'abc' ], [ 'bpchar', 'char(3)', 'ab', 'ab ' ],
    [ 'timestamp', 'timestamp(0)', '2001-02-03 04:05:06.5', '2001-02-03 04:05:07' ], [ 'timestamp', 'timestamp(3)', '1999-12-31 23:59:59.9995', '1999-12-31 23:59:59.999' ]) {
    my ($type, $sql, $given, $kept) = @$case;
    psql("CREATE TABLE p17_" . ++$tables . " (v $sql)");
    my $typmod = typmod_of("p17_$tables");
    my ($stored) = @{ hashes($type, $typmod, 'a', 't', [$given]) };
    is($stored, hashes($type, $typmod, 'c', 't', [$kept])->[0], "P17: '$given' in $sql is placed as '$kept'");
    my $differs = hashes($type, $typmod, 'c', 't', [$given])->[0] ne $stored;
    is($differs, $type ne 'bpchar', "P17: compared, '$given' is " . ($type eq 'bpchar' ? 'the same' : 'itself'));
}
for my $case ([ 'varchar', 7, "abcd" ], [ 'varchar', 7, 'abc d' ], [ 'bpchar', 5, "\xc3\xa9a" ], [ 'numeric', ((6 << 16) | 2) + 4, '9999.995' ], [ 'numeric', ((6 << 16) | 2) + 4, 'Infinity' ], [ 'int4', -1, '14.4' ]) {
    my ($type, $typmod, $given) = @$case;
    is(hashes($type, $typmod, 'a', 't', [$given])->[0], 'decline', "P17: '$given' does not fit, or is an expression's work: declined");
}
is(hashes('varchar', -1, 'c', 't', ['a '])->[0] eq hashes('varchar', -1, 'c', 't', ['a'])->[0], !1, 'blanks count in varchar');
is(hashes('bpchar', -1, 'c', 't', ['a '])->[0], hashes('bpchar', -1, 'c', 't', ['a'])->[0], 'blanks do not count in char');

# --- P19: the placement condition ---

my @edges = ('-', '-80', '80-', '00-', '0000000000000001-', '-0000000000000001', '40-80', '80-c0', 'c0-', '-40', '7fffffffffffffff-8000000000000000', '8000000000000000-8000000000000001', '7fffffffffffffff-',
    '-7fffffffffffffff', '8000000000000001-', '-8000000000000001', 'ff-', '-ff', 'ffffffffffffffff-', '-ffffffffffffffff', 'fffffffffffffffe-ffffffffffffffff');

sub id_hex { my ($hash, $add) = @_; my ($high, $low) = unpack 'L> L>', pack 'q>', $hash; my $id = (($high ^ 0x80000000) << 32 | $low) + ($add // 0); return sprintf '%016x', $id; }

# Ranges that begin or end exactly at these hashes, and next to them.
sub ranges_at
{
    my @ranges;
    for my $hash (@_) {
        my ($at, $next) = (id_hex($hash), id_hex($hash) eq 'f' x 16 ? undef : id_hex($hash, 1));
        push @ranges, "$at-", defined $next ? ("$at-$next", "$next-", "-$next") : (), $at eq '0' x 16 ? () : "-$at";
    }
    return @ranges;
}

# Columns: [vhash type, SQL type, name]. A type without values, identity, takes those of bigint. Keys are short enough for an index.
sub check_placement
{
    my ($what, @columns) = @_;
    my $n = $wanted < 1500 ? $wanted : 1500;
    my @pool = map { my $v = [ grep { length $_ < 500 } @{ $base_values{ $_->[0] eq 'identity' ? 'int8' : $_->[0] } } ]; [ @$v[ 0 .. 99 ], map { pick(@$v) } 1 .. $n - 100 ] } @columns;
    my @rows = map { my $row = $_; [ map { $_->[ @columns > 1 ? rand @$_ : $row ] } @pool ] } 0 .. $n - 1;
    my $table = 'p_' . ++$tables;
    my @names = map { '"' . $_->[2] =~ s/"/""/gr . '"' } @columns;
    my @key = map { ($_->[0], $_->[2]) } @columns;
    my $hashes = tool([ 'hash', map { "$_->[0],-1,c,t" } @columns ], [ map { join "\t", map { unpack 'H*', $_ } @$_ } @rows ]);
    my @random = map { my @b = sort map { sprintf '%04x', rand 65536 } 1, 2; $b[0] eq $b[1] ? () : "$b[0]-$b[1]" } 1 .. 10;
    my @ranges = (@edges, @random, ranges_at(@$hashes[ 0, 1, map { int rand $n } 1 .. 4 ]));
    my $conditions = tool([ 'condition', @key ], \@ranges);
    my $want = tool([ 'contains', @ranges ], $hashes);
    my $expression = tool([ 'expression', @key ], [])->[0];
    spit('rows', join '', map { join("\t", $_, map { copy_escape($_) } @{ $rows[$_] }) . "\n" } 0 .. $#rows);
    my $select = join ', ', $expression, map { "CASE WHEN $_ THEN 1 ELSE 0 END" } @$conditions;
    psql("CREATE TABLE $table (n int, " . join(', ', map { "$names[$_] $columns[$_][1] NOT NULL" } 0 .. $#columns) . ", PRIMARY KEY (n, " . join(', ', @names) . "));\n"
        . "\\copy $table FROM '$dir/rows'\n\\copy (SELECT n, $select FROM $table ORDER BY n) TO '$dir/placement'\n");
    my %got = text_rows('placement');
    none_wrong("P19: $what: $n rows in " . @ranges . ' ranges',
        map { "row $_ (" . join(', ', @{ $rows[$_] }) . '): ' . ($got{$_} // 'missing') . " against $hashes->[$_] $want->[$_]" } grep { ($got{$_} // '') ne "$hashes->[$_]\t$want->[$_]" } 0 .. $#rows);

    # As it is used: a CHECK constraint and a publication's row filter.
    my ($in) = grep { $ranges[$_] eq '40-80' } 0 .. $#ranges;
    my $kept = grep { (split /\t/)[$in] } @$want;
    psql("CREATE TABLE ${table}_shard (LIKE $table); ALTER TABLE ${table}_shard ADD CONSTRAINT pgbraid_placement CHECK ($conditions->[$in]);"
        . "CREATE PUBLICATION ${table}_filter FOR TABLE $table WHERE ($conditions->[$in])");
    my $count = psql("INSERT INTO ${table}_shard SELECT * FROM $table WHERE $conditions->[$in]; SELECT count(*) FROM ${table}_shard;");
    is($count + 0, $kept, "P19: $what: the CHECK takes its own $kept rows");
    my ($foreign) = grep { !(split /\t/, $want->[$_])[$in] } 0 .. $#rows;
    my $r = $cluster->wire(1)->query("INSERT INTO ${table}_shard SELECT * FROM $table WHERE n = $foreign");
    is($r->{error}{C}, '23514', "P19: $what: the CHECK refuses a foreign row");
    return;
}

my %sql_type = (varchar => 'varchar', bpchar => 'bpchar');
check_placement($_, [ $_, $sql_type{$_} // $_, 'k' ]) for qw(int2 int4 int8 text varchar bpchar uuid numeric timestamp date);
check_placement('identity', [ 'identity', 'bigint', 'k' ]);
check_placement('(int8, text)', [ 'int8', 'bigint', 'tenant' ], [ 'text', 'text', 'Region' ]);
check_placement('(text, int4)', [ 'text', 'text', 'we"ird' ], [ 'int4', 'integer', 'date' ]);
check_placement('(date, uuid)', [ 'date', 'date', 'a b' ], [ 'uuid', 'uuid', '%s' ]);
check_placement('(numeric, timestamp, varchar)', [ 'numeric', 'numeric', 'select' ], [ 'timestamp', 'timestamp', 'timestamp' ], [ 'varchar', 'varchar', 'x' ]);
check_placement('(int2, bpchar, date, numeric)', [ 'int2', 'smallint', 'a' ], [ 'bpchar', 'bpchar', 'b' ], [ 'date', 'date', 'c' ], [ 'numeric', 'numeric', 'd' ]);
check_placement('four dates of the longest names', map { [ 'date', 'date', '"' x 62 . $_ ] } 1 .. 4);

# The condition means the same when somebody's operators and types stand before the built-in ones.
my ($mine) = @{ tool([ 'condition', 'date', 'k', 'int8', 'l' ], ['40-80']) };
my $same = psql(<<"END");
CREATE SCHEMA evil;
CREATE FUNCTION evil.yes(bigint, bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION evil.zero(date, date) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 0';
CREATE FUNCTION evil.hashint8extended(bigint, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 0::bigint';
CREATE OPERATOR evil.>= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.yes);
CREATE OPERATOR evil.< (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.yes);
CREATE OPERATOR evil.- (LEFTARG = date, RIGHTARG = date, FUNCTION = evil.zero);
CREATE DOMAIN evil.date AS pg_catalog.text;
CREATE TABLE hijacked (k pg_catalog.date, l bigint);
INSERT INTO hijacked SELECT '2001-01-01'::pg_catalog.date + i, i FROM generate_series(1, 400) i;
CREATE TEMP TABLE straight AS SELECT l FROM hijacked WHERE $mine;
SET search_path = evil, pg_catalog, public;
SELECT count(*) OPERATOR(pg_catalog.>) 0 AND count(*) OPERATOR(pg_catalog.=) (SELECT count(*) FROM hijacked WHERE $mine) FROM straight;
END
is($same, "t\n", 'P16, P19: no search_path changes what the condition means');

done_testing;
