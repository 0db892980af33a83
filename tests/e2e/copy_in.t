#!/usr/bin/perl
# COPY FROM STDIN through the router, cut into frames anywhere: the rows are those that one server has after the same
# COPY, each on the shard of its key, and after an error there are none on any shard.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $seed = $ENV{PGBRAID_SEED} // 20240611;
srand $seed;

my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster);
my $one = $cluster->wire($cluster->add_shard); # a database that the router knows nothing of
my $table = 'CREATE TABLE t (v text, id text PRIMARY KEY, n int)';
$router->do($table, "SELECT pgbraid.shard_table('t', 'id')");
$one->do($table);
my $w = $router->wire;

# The data in frames of random sizes, empty ones among them.
sub frames
{
    my ($data) = @_;
    my @frames;
    while (length $data) { push @frames, CopyData(substr $data, 0, int rand 30, ''); }
    return @frames;
}

# What a COPY gave, and the table's rows in order.
sub copy_rows
{
    my ($to, $sql, $data) = @_;
    $to->do('DELETE FROM t');
    $to->send(Query($sql), frames($data), CopyDone());
    my $r = PgbraidTest::Wire::result($to->until_ready);
    my @rows = sort { $a cmp $b } map { join "\t", map { $_ // 'NULL' } @$_ } @{ $to->rows('SELECT v, id, n FROM t') };
    return ($r, \@rows);
}

sub shards_with_rows { return scalar grep { $cluster->value($_, 'SELECT count(*) FROM t') > 0 } 1 .. 3; }

sub same_as_one
{
    my ($name, $sql, $data) = @_;
    subtest $name => sub {
        my ($r, $rows) = copy_rows($w, $sql, $data);
        my ($expected, $expected_rows) = copy_rows($one, $sql, $data);
        my ($error, $expected_error) = map { $_->{error} ? "$_->{error}{C} $_->{error}{M}" : 'none' } $r, $expected;
        is($error, $expected_error, 'the same error, or none');
        is_deeply($r->{tags}, $expected->{tags}, 'the same command tag');
        is($r->{status}, 'I', 'ready for the next statement');
        is_deeply($rows, $expected_rows, scalar(@$rows) . ' rows');
        is(shards_with_rows(), 0, 'on no shard') if $expected_error ne 'none';
        is(shards_with_rows(), 3, 'on all shards') if @$rows > 50;
    };
    return;
}

my @keys = map { ("k$_", "\xc3\xa9$_", "a,$_", "a\"$_", "a\\$_", "a\n$_", "a\t$_", " $_") } 1 .. 40;

sub text_field { my ($s) = @_; $s =~ s/([\\\t\n])/{ "\\" => '\\\\', "\t" => '\\t', "\n" => rand() < 0.5 ? "\\\n" : '\\n' }->{$1}/ge; return $s; }
sub csv_field { my ($s) = @_; $s =~ s/"/""/g; return qq("$s"); }

my $text = join '', map { text_field("v of $_") . "\t" . text_field($_) . "\t7\n" } @keys;
my $csv = join '', map { csv_field("v of\n$_") . ',' . csv_field($_) . ",\n" } @keys;
my $binary = "PGCOPY\n\xff\r\n\0" . pack('N N/a*', 0, 'extension') . join('', map { pack 'n N/a* N/a* N', 3, "v$_", $_, 0xFFFFFFFF } @keys) . "\xff\xff";

same_as_one('text', 'COPY t FROM STDIN', $text);
same_as_one('text, the end within the data', 'COPY t FROM STDIN', "${text}\\.\nwhat follows\tis dropped\t1\n");
same_as_one('text, columns in another order', 'COPY t (id, n, v) FROM STDIN', join '', map { text_field($_) . "\t1\t\\N\n" } @keys);
same_as_one('text, an unfinished last line', 'COPY t FROM STDIN', $text . "x\ty\t1");
same_as_one('text, CRLF', 'COPY t FROM STDIN', "a\tb\t1\r\nc\td\t2\r\n\\.\r\n");
same_as_one('text, a header that matches', 'COPY t FROM STDIN (HEADER match)', "v\tid\tn\n$text");
same_as_one('text, a header that does not', 'COPY t FROM STDIN (HEADER match)', "v\tid\tm\n$text");
same_as_one('CSV', 'COPY t FROM STDIN (FORMAT csv)', $csv);
same_as_one('CSV, header and the end within the data', 'COPY t FROM STDIN (FORMAT csv, HEADER)', "\"v\nw\",id,n\n$csv\\.\nrest");
same_as_one('CSV, other characters', q{COPY t FROM STDIN (FORMAT csv, DELIMITER ';', QUOTE '''', ESCAPE '\\', NULL 'nil')},
    join '', map { "nil;'" . s/(['\\])/\\$1/gr . "';nil\n" } @keys);
same_as_one('CSV, forced nulls', 'COPY t FROM STDIN (FORMAT csv, FORCE_NULL (v, n))', qq("","1",""\n"a","2","3"\n));
same_as_one('binary', 'COPY t FROM STDIN (FORMAT binary)', $binary);
same_as_one('binary, no trailer', 'COPY t FROM STDIN (FORMAT binary)', substr $binary, 0, -2);
same_as_one('nothing', 'COPY t FROM STDIN', '');

# Errors, late in the data: what came before is nowhere.
same_as_one('text, mixed line ends', 'COPY t FROM STDIN', $text . "a\tb\t1\r\n");
same_as_one('text, a corrupt end', 'COPY t FROM STDIN', $text . "\\.x\n");
same_as_one('CSV, an open quote', 'COPY t FROM STDIN (FORMAT csv)', $csv . qq("a,b,1\n));
same_as_one('binary, data behind the trailer', 'COPY t FROM STDIN (FORMAT binary)', $binary . 'x');
same_as_one('binary, cut off', 'COPY t FROM STDIN (FORMAT binary)', substr $binary, 0, -10);
same_as_one('binary, too few fields', 'COPY t FROM STDIN (FORMAT binary)', substr($binary, 0, -2) . pack('n N', 1, 0xFFFFFFFF) . "\xff\xff");
same_as_one('binary, no signature', 'COPY t FROM STDIN (FORMAT binary)', 'PGCOPX' . substr $binary, 6);
same_as_one('too few columns', 'COPY t FROM STDIN', $text . "a\tb\n");
same_as_one('too many columns', 'COPY t FROM STDIN', $text . "a\tb\t1\tc\n");
same_as_one('not a number', 'COPY t FROM STDIN', $text . "a\tb\tc\n");
same_as_one('no key', 'COPY t FROM STDIN', $text . "a\t\\N\t1\n");
same_as_one('a key twice', 'COPY t FROM STDIN', $text . "a\tk1\t1\n");
same_as_one('no characters', 'COPY t FROM STDIN', $text . "\xff\tx\t1\n");

done_testing();
