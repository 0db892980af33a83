#!/usr/bin/perl
# Random COPY data, the nastier the better: one server loads it, the splitter cuts it into rows and reads the keys. They
# must agree on the number of rows and on every key, and the rows dealt out over two shards must load as they did together.
# What the server refuses, the splitter refuses, or at least one of the shards does when it gets its part.
#
# PGBRAID_CASES (how many) and PGBRAID_SEED repeat a failure or make the run longer.
use strict;
use warnings;
use IPC::Open2;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Tree;
use PgbraidTest::Wire;

my $seed = $ENV{PGBRAID_SEED} // 20240607;
my $wanted = $ENV{PGBRAID_CASES} // 2000;
srand $seed;

my $cluster = PgbraidTest::Cluster->new(shards => 1, settings => { fsync => 'off' });
my $server = $cluster->wire(1);
$server->do('CREATE TEMP TABLE t (n bigint GENERATED ALWAYS AS IDENTITY, a text, k text, b text)');

my $tool = PgbraidTest::Tree::build() . '/tools/copy_tool';
open2(my $answers, my $cases, $tool) or die "$tool: $!";
binmode $_ for $answers, $cases;

sub pick { return $_[ rand @_ ]; }
sub chance { return rand() < $_[0]; }
sub hex_of { return unpack 'H*', $_[0]; }
sub literal { my ($text) = @_; $text =~ s/'/''/g; return "'$text'"; }
sub printable { my ($bytes) = @_; $bytes =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge; return $bytes; }

# --- the two readers ---

# Rows and keys as the splitter sees them: { rows => [[raw, key]...], preamble, error }.
sub split_copy
{
    my ($o, $data) = @_;
    my %seen = (rows => []);
    printf $cases "format=%s delimiter=%s quote=%s escape=%s null=%s header=%d force_null=%d force_not_null=%d columns=%d keys=1 chunk=%d length=%d\n%s",
        $o->{format}, hex_of($o->{delimiter}), hex_of($o->{quote}), hex_of($o->{escape}), hex_of($o->{null}), $o->{header} ne '', $o->{force} eq 'NULL',
        $o->{force} eq 'NOT_NULL', $o->{format} eq 'b' ? 3 : 0, $o->{chunk}, length $data, $data;
    $cases->flush;
    while (defined(my $line = <$answers>)) {
        chomp $line;
        return \%seen if $line eq 'end';
        if ($line =~ s/^error //) { $seen{error} = $line; return \%seen; }
        my ($kind, $raw, $key) = split ' ', $line;
        $key = $key eq '-' ? undef : $key eq '=' ? '' : pack 'H*', $key;
        if ($kind eq 'preamble') { $seen{preamble} = pack 'H*', $raw; }
        else { push @{ $seen{rows} }, [ pack('H*', $raw), $key ]; }
    }
    die 'copy_tool has died';
}

sub copy_statement
{
    my ($o) = @_;
   
    return "COPY t (a, k, b) FROM STDIN (FORMAT binary)" if $o->{format} eq 'b';
    my @options = ('FORMAT ' . ($o->{format} eq 'c' ? 'csv' : 'text'), 'DELIMITER ' . literal($o->{delimiter}), 'NULL ' . literal($o->{null}));
    push @options, 'QUOTE ' . literal($o->{quote}), 'ESCAPE ' . literal($o->{escape}) if $o->{format} eq 'c';
    push @options, "HEADER $o->{header}" if $o->{header};
    push @options, "FORCE_$o->{force} (k)" if $o->{force};
    return "COPY t (a, k, b) FROM STDIN (" . join(', ', @options) . ')';
}

# Rows as the server sees them, in a transaction that is rolled back: { rows => [[a, k, b]...], error }.
sub load
{
    my ($o, @chunks) = @_;
    my %seen = (rows => []);
   
    $server->send(Query('BEGIN'), Query(copy_statement($o)), (map { CopyData($_) } @chunks), CopyDone());
    $server->until_ready;
    for my $f ($server->until_ready) {
        $seen{error} = $f->{fields}{M} if $f->{type} eq 'E';
    }
    $server->send(Query("SELECT a, k, b FROM t ORDER BY n")) unless $seen{error};
    for my $f ($seen{error} ? () : $server->until_ready) {
        push @{ $seen{rows} }, $f->{values} if $f->{type} eq 'D';
    }
    $server->send(Query('ROLLBACK'));
    $server->until_ready;
    return \%seen;
}

# --- data ---

sub options
{
    my $csv = chance(0.55);
    my %o = (format => $csv ? 'c' : 't', chunk => pick(0, 0, 1, 2, 3, 7), header => chance(0.15) ? pick('true', 'match') : '', force => '');
    $o{delimiter} = $csv ? pick(',', ',', "\t", '|', ';', 'x', chance(0.1) ? '\\' : ',') : pick("\t", "\t", ',', '|', 'A', 'E', '"');
    $o{quote} = $csv ? pick('"', '"', '"', "'", 'q', chance(0.1) ? '\\' : '"') : '"';
    $o{escape} = $csv ? pick($o{quote}, $o{quote}, '\\', '\\', '^', 'e') : '"';
    $o{null} = $csv ? pick('', '', 'NULL', '\\N', 'e') : pick('\\N', '\\N', '\\N', '', 'NULL', '\\\\', 'N\\');
    $o{force} = pick('NULL', 'NOT_NULL') if $csv && chance(0.3);
    $o{quote} = '"' if $o{quote} eq $o{delimiter};
    $o{escape} = $o{quote} if $o{escape} eq $o{delimiter};
    $o{null} = '' if index($o{null}, $o{delimiter}) >= 0 || ($csv && index($o{null}, $o{quote}) >= 0);
    return \%o;
}

my @bits = ('a', 'b', '1', '7', '0', '.', ' ', 'N', 'A', 'E', 'e', 'x', 'q', '^', "\xc3\xa9", "\xe2\x82\xac", '\\.', '\\N', '\\x4', '\\101', '\\0607', '\\t', 'NULL');

sub noise
{
    my ($o, $n) = @_;
    my $eol = $o->{eol};
    return join '', map {
        chance(0.4) ? pick(@bits) : pick($o->{delimiter}, $o->{delimiter}, $o->{quote}, $o->{quote}, $o->{escape}, '\\', $eol, $eol, chance(0.1) ? pick("\n", "\r", "\r\n") : $eol, "$eol\\.$eol", $o->{null})
    } 1 .. $n;
}

# A field written as some program might write it.
sub field
{
    my ($o) = @_;
    return $o->{null} if chance(0.12);
    my $value = join '', map { chance(0.75) ? pick(@bits) : pick($o->{delimiter}, $o->{quote}, $o->{escape}, '\\', "\n", "\r", "\r\n", '') } 1 .. rand 6;
    if ($o->{format} eq 't') {
        $value =~ s/(\\|\Q$o->{delimiter}\E|[\r\n])/\\$1/g unless chance(0.03);
        $value =~ s/\\\n/\\n/g if chance(0.5);
        $value =~ s/\\\r/\\r/g if chance(0.9);
        return $value;
    }
    return $value if chance(0.03);
    my ($q, $e) = @$o{qw(quote escape)};
    my $must = $value =~ /[\r\n]|\Q$o->{delimiter}\E|\Q$q\E/ || $value eq $o->{null} || $value eq '\\.';
    return $value if !$must && chance(0.6);
    $value =~ s/(\Q$q\E|\Q$e\E)/$e$1/g;
    return $value =~ s/^(a+|1)//r ? "$q$value$q" : "$q$value$q" if chance(0.9);
    return $q . substr($value, 0, 0) . $q . "$q$value$q" if $e ne $q;
    return "z$q$value$q";
}

sub table_data
{
    my ($o) = @_;
    my $eol = $o->{eol};
    my $data = $o->{header} ? join($o->{delimiter}, qw(a k b)) . $eol : '';
    for (1 .. rand 8) { $data .= join($o->{delimiter}, map { field($o) } 1 .. (chance(0.02) ? 2 + int rand 3 : 3)) . $eol; }
    $data .= "\\.$eol" . (chance(0.5) ? noise($o, 5) : '') if chance(0.1);
    substr($data, -length $eol) = '' if $data ne '' && chance(0.1);
    substr($data, rand length $data, 1) = pick(@bits, $o->{quote}, $o->{escape}, '\\', "\n", "\r") if $data ne '' && chance(0.15);
    return $data;
}

sub binary_data
{
    my ($o) = @_;
    my $extension = join '', map { chr rand 256 } 1 .. (chance(0.2) ? rand 9 : 0);
    my $data = "PGCOPY\n\xff\r\n\0" . pack('N', chance(0.05) ? pick(1 << 16, 1 << 20, 1 << 31) : chance(0.1) ? 5 : 0) . pack('N/a*', $extension);
    for (1 .. rand 6) {
        my @fields = map { chance(0.15) ? pack('N', 0xFFFFFFFF) : pack('N/a*', join '', map { pick(grep { !/\\/ } @bits) } 1 .. rand 5) } 1 .. 3;
        $data .= pack('n', chance(0.02) ? pick(0, 1, 2, 4, 5, 0xFFFE, 0x8000) : 3) . join '', @fields;
    }
    $data .= "\xff\xff" unless chance(0.15);
    $data .= pick("\0", "\xff", 'abcdef') if chance(0.08);
    substr($data, rand length $data) = '' if chance(0.08);
    substr($data, rand length $data, 1) = chr pick(0, 1, 3, 0x7f, 0x80, 0xff, rand 256) if length $data && chance(0.1);
    return $data;
}

# --- the comparison ---

my %count = map { $_ => 0 } qw(good refused by_shard rows);
my %refusals;
my @faults;

sub fault
{
    my ($o, $data, $what) = @_;
    push @faults, "$what\n  " . copy_statement($o) . "\n  data: " . printable($data) . ", chunk $o->{chunk}";
}

sub deal
{
    my ($o, $split) = @_;
    my @parts = map { my $shard = $_; join '', $split->{preamble} // '', map { $split->{rows}[$_][0] } grep { $_ % 2 == $shard } 0 .. $#{ $split->{rows} } } 0, 1;
    return map { load($o, $o->{format} eq 'b' ? "$_\xff\xff" : $_) } @parts;
}

sub same { my ($x, $y) = @_; return defined $x ? defined $y && $x eq $y : !defined $y; }

sub compare
{
    my ($o, $data) = @_;
    my $split = split_copy($o, $data);
    # With a backslash as the quote, a server's answer depends on where its buffer ends: it counts the quote of "\." twice.
    my $whole = load($o, $o->{chunk} > 1 && $o->{quote} ne '\\' ? unpack("(a$o->{chunk})*", $data) : $data);
    if ($split->{error}) {
        return fault($o, $data, "the server takes what the splitter refuses: $split->{error}") unless $whole->{error};
        $count{refused}++;
        $refusals{ $split->{error} =~ s/-?\d+/N/gr }++;
        return;
    }
    my @dealt = deal($o, $split);
    if ($whole->{error}) {
        $count{by_shard}++;
        $refusals{"shard: " . ($whole->{error} =~ s{".*?"|-?\d+}{N}gr)}++;
        return if grep { $_->{error} } @dealt;
        return fault($o, $data, "neither the splitter nor a shard says what the server says: $whole->{error}");
    }
    my @rows = @{ $whole->{rows} };
    return fault($o, $data, sprintf 'the server sees %d rows, the splitter %d', scalar @rows, scalar @{ $split->{rows} }) if @rows != @{ $split->{rows} };
    for my $i (0 .. $#rows) {
        my ($server_key, $key) = ($rows[$i][1], $split->{rows}[$i][1]);
        next if same($server_key, $key);
        return fault($o, $data, "row $i: the server sees key " . printable($server_key // 'NULL') . ', the splitter ' . printable($key // 'NULL'));
    }
    for my $shard (0, 1) {
        return fault($o, $data, "shard $shard refuses its part: $dealt[$shard]{error}") if $dealt[$shard]{error};
        my @mine = @rows[ grep { $_ % 2 == $shard } 0 .. $#rows ];
        my $print = sub { join "\n", map { join "\t", map { defined $_ ? "'$_'" : 'NULL' } @$_ } @_ };
        return fault($o, $data, "shard $shard loads other rows") if $print->(@mine) ne $print->(@{ $dealt[$shard]{rows} });
    }
    $count{good}++;
    $count{rows} += @rows;
    return;
}

for (1 .. $wanted) {
    last if @faults >= 10;
    my $o = options();
    $o->{eol} = pick("\n", "\n", "\r\n", "\r");
    if (chance(0.12)) {
        %$o = (%$o, format => 'b', header => '', force => '');
        compare($o, binary_data($o));
    } else {
        compare($o, chance(0.6) ? table_data($o) : noise($o, 1 + rand 20));
    }
}

note "$count{good} good with $count{rows} rows, $count{refused} refused by the splitter, $count{by_shard} by a shard";
note "$refusals{$_} times: $_" for sort keys %refusals;
is(join("\n", @faults), '', "agreement on $wanted streams (seed $seed)");
cmp_ok($count{good}, '>', $wanted / 4, 'many streams are good');
cmp_ok($count{rows}, '>', $count{good}, 'with many rows');
cmp_ok($count{refused}, '>', $wanted / 50, 'some are not');

done_testing();
