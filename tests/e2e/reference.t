#!/usr/bin/perl
# Reference tables: the same rows on every shard, whatever is written to them and how (rule P42).
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster);
my $w = $router->wire;
$w->do('CREATE TABLE ref (code text PRIMARY KEY, note text, at timestamptz, on_day date, n int)', "SELECT pgbraid.reference_table('ref')");
$w->do('CREATE TABLE plain (code text PRIMARY KEY, note text)', "SELECT pgbraid.reference_table('plain')");

sub copies_agree
{
    my ($what, $table, $rows) = @_;
    my @copies = map { join "\n", map { join '|', map { $_ // '~' } @$_ } @{ $cluster->rows($_, "SELECT * FROM $table ORDER BY code") } } 1 .. 3;
    is_deeply(\@copies, [ ($copies[0]) x 3 ], "$what: the copies agree");
    is(scalar(split /\n/, $copies[0]), $rows, "$what: $rows rows");
    return;
}

sub copy_in
{
    my ($sql, @data) = @_;
    $w->send(Query($sql));
    my $f;
    do { $f = $w->read_frame } until $f->{type} =~ /[GEZ]/;
    $w->send((map { CopyData($_) } @data), CopyDone()) if $f->{type} eq 'G';
    my @frames = $f->{type} eq 'Z' ? $f : ($f, $w->until_ready);
    my ($error) = grep { $_->{type} eq 'E' } @frames;
    return $error ? $error->{fields} : undef;
}

$w->do("INSERT INTO ref VALUES ('a', 'x', '2024-01-01', '2024-01-01', 1), ('b', NULL, NULL, NULL, NULL)", "UPDATE ref SET n = coalesce(n, 0) + 1", "DELETE FROM ref WHERE code = 'b'");
copies_agree('written by constants', 'ref', 1);
for my $word ("'now'", "'today'", "'tomorrow'", "'yesterday'", 'random()::text::date') {
    is($w->error("INSERT INTO ref (code, at) VALUES ('x', $word)")->{C}, '0A000', "P42: $word is refused");
}
for my $word ('now()', 'current_timestamp') {
    $w->do("INSERT INTO ref (code, at) VALUES ('timed', $word)");
    copies_agree("P42, X22: $word", 'ref', 2);
    $w->do("DELETE FROM ref WHERE code = 'timed'");
}
is($w->error('INSERT INTO ref (code, at) VALUES ($1, $2)', 'x', $_)->{C}, '0A000', "P42: $_ as a parameter, too") for 'now', ' Today ', 'tomorrow 10:00';
is($w->error('UPDATE ref SET on_day = $1 WHERE code = $2', 'today', 'a')->{C}, '0A000', 'P42: in an UPDATE');
ok(!$w->query_params('INSERT INTO ref (code, at, note) VALUES ($1, $2, $3)', 'c', '2024-02-03 04:05:06+00', 'a note')->{error}, 'a date as a parameter is fine');
ok(!$w->query_params('INSERT INTO plain VALUES ($1, $2)', 'now', 'do it now')->{error}, 'where there are no dates the words are words');
copies_agree('written by parameters', 'ref', 2);
copies_agree('written by parameters, without dates', 'plain', 1);

is(copy_in('COPY ref FROM STDIN', "d\tnow\t2024-01-01\t\\N\t1\n", "e\ttoday\t\\N\t2024-05-06\t2\n"), undef, 'COPY of dates, and of words that are no dates');
copies_agree('copied', 'ref', 4);
like(copy_in('COPY ref FROM STDIN', "f\tx\t2024-01-01\t\\N\t1\ng\tx\tnow\t\\N\t1\n")->{M}, qr/cannot read the clock: "now"/, 'P42: COPY of now is refused');
like(copy_in('COPY ref (on_day, code) FROM STDIN CSV', "2024-01-01,h\n\"Yes", "terday\",i\n")->{M}, qr/cannot read the clock: "Yesterday"/, 'P42: in CSV, in another order, cut in the middle');
copies_agree('refused', 'ref', 4);
is(copy_in('COPY plain FROM STDIN', "today\tnow\n"), undef, 'COPY into a table without dates');
copies_agree('copied, without dates', 'plain', 2);
is(copy_in('COPY ref FROM STDIN', "d\tx\t\\N\t\\N\t1\n")->{C}, '23505', 'an error of the shards is theirs');
copies_agree('after it', 'ref', 4);
done_testing();
