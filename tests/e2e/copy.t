#!/usr/bin/perl
# COPY through the router, compared with one plain server that gets the same data: rows, command tags, errors.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;

# Shards 1 to 3 and a fourth database, which is the plain server.
my $cluster = PgbraidTest::Cluster->new(shards => 4);
my @tables = (
    'CREATE TABLE t (id bigint PRIMARY KEY, v text, n int)',
    'CREATE TABLE docs (body text, key text PRIMARY KEY)',
    'CREATE TABLE pairs (a int NOT NULL, b text NOT NULL, v text, PRIMARY KEY (a, b))',
    "CREATE TABLE filled (id int PRIMARY KEY, v text DEFAULT 'none', g text GENERATED ALWAYS AS (v || '!') STORED, w numeric)",
    'CREATE TABLE checked (id int PRIMARY KEY, v int CHECK (v > 0))',
    'CREATE TABLE ref (code text PRIMARY KEY, name text)',
    'CREATE TABLE home (id int PRIMARY KEY, v text)',
);
$cluster->do($_, @tables) for 1, 4;
my $router = PgbraidTest::Router->new(cluster => $cluster, ranges => [ PgbraidTest::Router::equal_ranges(3) ]);
$router->do(map { "SELECT pgbraid.shard_table($_)" } "'t', 'id'", "'docs', 'key'", "'pairs', 'a', 'b'", "'filled', 'id'", "'checked', 'id'");
$router->do("SELECT pgbraid.reference_table('ref')");
my $plain = $cluster->wire(4);
my $w = $router->wire;

sub sorted { my ($table) = @_; return [ map { [ sort map { join '|', map { $_ // '~' } @$_ } @{ $_->rows("SELECT * FROM $table") } ] } $w, $plain ]; }

# What the client hears: everything but where it happened.
sub heard
{
    my ($r) = @_;
    my %e = %{ $r->{error} // {} };
    $e{W} =~ s/\n?shard "s\d"$// if $e{W};
    delete $e{W} if defined $e{W} && $e{W} eq '';
    return { tags => $r->{tags}, status => $r->{status}, error => { map { $_ => $e{$_} } grep { /^[CMHW]$/ && defined $e{$_} } keys %e } };
}

# The same COPY FROM on both sides: pieces of data, as they are cut into messages.
sub copy_in
{
    my ($s, $sql, @pieces) = @_;
    $s->send(Query($sql));
    my @frames;
    do {
        push @frames, $s->read_frame // die "the connection ended during: $sql";
        $s->send((map { CopyData($_) } @pieces), CopyDone()) if $frames[-1]{type} eq 'G';
    } until $frames[-1]{type} eq 'Z';
    return PgbraidTest::Wire::result(@frames);
}

sub same_in
{
    my ($what, $table, $sql, @pieces) = @_;
    my ($ours, $theirs) = map { copy_in($_, $sql, @pieces) } $w, $plain;
    is_deeply(heard($ours), heard($theirs), "$what: the answer") or diag(explain([ $ours->{error}, $theirs->{error} ]));
    my ($a, $b) = @{ sorted($table) };
    is_deeply($a, $b, "$what: the rows");
    return $ours;
}

sub spread { my ($table) = @_; return grep { $cluster->value($_, "SELECT count(*) FROM $table") > 0 } 1 .. 3; }

# Text
my $r = same_in('text', 't', 'COPY t FROM STDIN', join '', map { "$_\tv$_\t" . $_ * 2 . "\n" } 1 .. 500);
is(scalar spread('t'), 3, 'rows on every shard');
is($r->{tags}[0], 'COPY 500', 'counted once');
same_in('text, one byte a message', 't', 'COPY t FROM STDIN', split //, join '', map { "$_\tx\\ty\\\\z\\n\t\\N\n" } 501 .. 540);
# Messages larger than anything that is read or kept at once.
my @many = map { "$_\tx\t$_\n" } 100_001 .. 130_000;
same_in('text, one large message', 't', 'COPY t FROM STDIN', join '', @many[0 .. 19_999]);
same_in('text, a value of 3 MB', 't', 'COPY t FROM STDIN', "700\t" . 'y' x 3_000_000 . "\t1\n701\tz\t2\n");
same_in('text, an error within a large message', 't', 'COPY t FROM STDIN', join('', @many[20_000 .. 20_100], "131\tx\tno number\n", @many[20_101 .. 29_999]), join '', @many[20_000 .. 29_999]);
same_in('text, after it', 't', 'COPY t FROM STDIN', join '', @many[20_000 .. 29_999]);
same_in('text, a large message for a table that every shard has', 'ref', 'COPY ref FROM STDIN', join '', map { "$_\tr\n" } 100_001 .. 130_000);
same_in('text, a large message for a table that one shard has', 'home', 'COPY home FROM STDIN', join '', map { "$_\th\n" } 100_001 .. 130_000);
$_->do('DELETE FROM t WHERE id IN (700, 701) OR id > 100000', "DELETE FROM ref WHERE name = 'r'", 'DELETE FROM home') for $w, $plain;
same_in('text, the end marker', 't', 'COPY t FROM STDIN', "601\ta\t1\n602\tb\t2\n\\.\n");
same_in('text, what follows the end marker', 't', 'COPY t FROM STDIN', "603\ta\t1\n\\.\n604\tb\t2\n");
same_in('text, CRLF', 't', 'COPY t FROM STDIN', "611\ta\t1\r\n612\tb\t2\r\n613\tc\t3\r\n");
same_in('text, no line end at the end', 't', 'COPY t FROM STDIN', "621\ta\t1\n622\tb\t2");
same_in('text, a line end in a value', 't', 'COPY t FROM STDIN', "631\ta\\\nb\t1\n632\tb\t2\n633\tc\t3\n");
same_in('text, nothing', 't', 'COPY t FROM STDIN');
same_in('text, columns in another order', 't', "COPY t (n, id) FROM STDIN (DELIMITER '|', NULL 'nil')", "1|701\nnil|702\n3|703\n");
same_in('text, header', 't', 'COPY t FROM STDIN (HEADER)', "id\tv\tn\n711\ta\t1\n712\tb\t2\n713\tc\t3\n");
same_in('text, header match', 't', 'COPY t FROM STDIN (HEADER match)', "id\tv\tn\n721\ta\t1\n722\tb\t2\n");
same_in('text, header does not match', 't', 'COPY t FROM STDIN (HEADER match)', "id\tx\tn\n723\ta\t1\n");
same_in('text, WHERE', 't', 'COPY t FROM STDIN WHERE n > 1', "731\ta\t1\n732\tb\t2\n733\tc\t3\n");
same_in('a key given as people write it', 't', 'COPY t FROM STDIN CSV', "  741 ,a,1\n+742,b,2\n0743,c,3\n\" 744\",d,4\n");
same_in('defaults and a generated column', 'filled', 'COPY filled (w, id) FROM STDIN', "1.50\t1\n2\t2\n\\N\t3\n4\t4\n");
same_in('... all columns', 'filled', 'COPY filled FROM STDIN', "11\ta\t1\n12\t\\N\t2\n13\tc\t3\n");
same_in('text keys', 'docs', 'COPY docs FROM STDIN', join '', map { "b$_\tk\\\\e\\ty$_ \x{c3}\x{bc}\n" } 1 .. 50);
same_in('composite keys', 'pairs', 'COPY pairs FROM STDIN', join '', map { $_ % 7 . "\tb$_\tv\n" } 1 .. 70);

# CSV
same_in('CSV', 't', 'COPY t FROM STDIN CSV', join '', map { qq($_,"a ""quoted"" b, with\nnewline",$_\n) } 1001 .. 1050);
same_in('CSV, header, options', 't', q{COPY t FROM STDIN (FORMAT csv, HEADER, DELIMITER ';', QUOTE '''', ESCAPE '\\', NULL 'nil')}, "id;v;n\n'1101';'it\\'s';nil\n1102;nil;2\n1103;'nil';3\n");
same_in('CSV, end marker in quotes is data', 't', 'COPY t FROM STDIN CSV', "1111,\"\n\\.\n\",1\n1112,x,2\n");
same_in('CSV, the end marker', 't', 'COPY t FROM STDIN CSV', "1121,a,1\n\\.\n1122,b,2\n");
same_in('CSV, FORCE_NULL', 't', 'COPY t FROM STDIN (FORMAT csv, FORCE_NULL (v))', qq(1131,"",1\n1132,,2\n));
same_in('CSV, FORCE_NOT_NULL of the key', 'docs', 'COPY docs FROM STDIN (FORMAT csv, FORCE_NOT_NULL (key))', "x,\ny,k1\nz,k2\n");

# Binary
sub binary { return "PGCOPY\n\377\r\n\0" . pack('N N', 0, 0) . join('', map { my @f = @$_; pack('n', scalar @f) . join '', map { defined ? pack('N/a*', $_) : pack('N', 0xFFFFFFFF) } @f } @_) . pack('n', 0xFFFF); }
my $binary = binary(map { [ pack('q>', $_), "b$_", $_ % 3 ? pack('N', $_) : undef ] } 2001 .. 2100);
same_in('binary', 't', 'COPY t FROM STDIN BINARY', $binary);
same_in('binary, cut anywhere', 't', 'COPY t FROM STDIN BINARY', unpack '(a7)*', binary(map { [ pack('q>', $_), 'x', undef ] } 2101 .. 2120));

# Reference and unsharded tables
same_in('a reference table', 'ref', 'COPY ref FROM STDIN', "a\tA\nb\tB\n");
is_deeply([ map { $cluster->value($_, 'SELECT count(*) FROM ref') } 1 .. 3 ], [ 2, 2, 2 ], 'is on every shard');
same_in('an unsharded table', 'home', 'COPY home FROM STDIN CSV', "1,a\n2,b\n");

# P53: PostgreSQL's own error, with the client's line
$_->do('TRUNCATE t') for $plain;
$cluster->do($_, 'TRUNCATE t') for 1 .. 3;
sub lines { my ($bad, $line, $sep) = @_; my @l = map { join($sep // "\t", $_, "v$_", $_) . "\n" } 1 .. 200; $l[ $line - 1 ] = $bad; return join '', @l; }
same_in('a bad value', 't', 'COPY t FROM STDIN', lines("150\tv\tseven\n", 150));
same_in('a bad key', 't', 'COPY t FROM STDIN', lines("x150\tv\t1\n", 150));
same_in('too few columns', 't', 'COPY t FROM STDIN', lines("150\n", 150));
same_in('too many columns', 't', 'COPY t FROM STDIN', lines("150\ta\t1\t2\n", 150));
same_in('an empty line', 't', 'COPY t FROM STDIN', lines("\n", 77));
same_in('a null key', 't', 'COPY t FROM STDIN', lines("\\N\ta\t1\n", 120));
same_in('a value out of range', 't', 'COPY t FROM STDIN', lines("9223372036854775808\ta\t1\n", 120));
same_in('a bad value in CSV with line ends in quotes', 't', 'COPY t FROM STDIN CSV', join('', map { qq($_,"a\nb\nc",$_\n) } 1 .. 100) . "101,x,seven\n" . join('', map { qq($_,"a\nb",$_\n) } 102 .. 150));
same_in('... with a header', 't', 'COPY t FROM STDIN CSV HEADER', "id,v,n\n" . join('', map { qq($_,"a\nb\nc",$_\n) } 1 .. 100) . "101,x,seven\n");
same_in('... with CRLF', 't', 'COPY t FROM STDIN CSV', join('', map { qq($_,"a\r\nb",$_\r\n) } 1 .. 100) . "101,x,seven\r\n");
same_in('a bad value in binary', 't', 'COPY t FROM STDIN BINARY', binary(map { [ pack('q>', $_), "b$_", $_ == 70 ? 'bad' : undef ] } 1 .. 100));
same_in('a duplicate', 't', 'COPY t FROM STDIN', "1\ta\t1\n2\tb\t2\n1\tc\t3\n");
same_in('a CHECK', 'checked', 'COPY checked FROM STDIN', join '', map { "$_\t" . ($_ == 90 ? 0 : $_) . "\n" } 1 .. 100);
same_in('the first of several', 't', 'COPY t FROM STDIN', join '', map { "$_\tv\t" . ($_ % 10 == 5 ? 'bad' : $_) . "\n" } 1 .. 200);
# What each shard alone could not see is refused by the router, as one server would.
my @mixed = map { copy_in($_, 'COPY t FROM STDIN', "1\ta\t1\n2\tb\t2\r\n3\tc\t3\n")->{error} } $w, $plain;
is_deeply([ map { $mixed[0]{$_} } qw(C M H) ], [ map { $mixed[1]{$_} } qw(C M H) ], 'mixed line ends') or diag(explain(\@mixed));
same_in('an unknown column', 't', 'COPY t (id, x) FROM STDIN', "1\ta\n");
same_in('a column twice', 't', 'COPY t (id, id) FROM STDIN', "1\t2\n");
same_in('a bad option', 't', "COPY t FROM STDIN (DELIMITER 'ab')", '');
same_in('an unknown table', 't', 'COPY nonsense FROM STDIN', '');
is(scalar spread('t'), 0, 'nothing was stored');
$w->do('SELECT 1');

# Given up by the client
for my $s ($w, $plain) {
    $s->send(Query('COPY t FROM STDIN'));
    $s->until_type('G');
    $s->send(CopyData("1\ta\t1\n2\tb\t2\n3\tc\t3\n4\td\t"), CopyFail('changed my mind'));
}
my ($ours, $theirs) = map { heard(PgbraidTest::Wire::result($_->until_ready)) } $w, $plain;
delete $_->{error}{W} for $ours, $theirs;
is_deeply($ours, $theirs, 'CopyFail');
is(scalar spread('t'), 0, '... stores nothing');

# In transactions
$w->do('BEGIN');
is(copy_in($w, 'COPY t FROM STDIN', lines("200\tx\t200\n", 200))->{tags}[0], 'COPY 200', 'in a transaction');
is(scalar @{ $w->rows('SELECT id FROM t') }, 200, 'sees its own rows');
$w->do('ROLLBACK');
is(scalar spread('t'), 0, 'rolled back');
$w->do('BEGIN');
is(copy_in($w, 'COPY t FROM STDIN', lines("200\tx\tbad\n", 200))->{status}, 'E', 'an error fails the transaction');
is($w->do('COMMIT'), 'ROLLBACK', '... which is rolled back');
is(scalar spread('t'), 0, '... everywhere');
$w->do('BEGIN', 'SAVEPOINT a');
copy_in($w, 'COPY t FROM STDIN', lines("200\tx\tbad\n", 200));
$w->do('ROLLBACK TO a');
copy_in($w, 'COPY t FROM STDIN', "1\ta\t1\n2\tb\t2\n3\tc\t3\n");
$w->do('COMMIT');
is(scalar @{ $w->rows('SELECT id FROM t') }, 3, 'to a savepoint and again');
$w->do('BEGIN', 'DELETE FROM t', 'COMMIT');

# In a string and in the extended protocol
for my $s ($w, $plain) {
    $s->send(Query('COPY t FROM STDIN; SELECT count(*) FROM home; COPY home FROM STDIN'));
    $s->until_type('G');
    $s->send(CopyData("1\ta\t1\n2\tb\t2\n3\tc\t3\n"), CopyDone());
    my @f = $s->until_type('G');
    $s->send(CopyData("21\tx\n"), CopyDone());
    push @f, $s->until_ready;
    $s->{heard} = summary(grep { $_->{type} ne 'N' } @f);
}
is($w->{heard}, $plain->{heard}, 'two COPYs in a string');
is_deeply(@{ sorted($_) }, "... the rows of $_") for qw(t home);
for my $s ($w, $plain) {
    $s->send(Parse('', 'COPY t FROM STDIN'), Bind('', '', []), Describe('P', ''), Execute(''), Flush());
    my @f = $s->until_type('G');
    $s->send(CopyData("11\ta\t1\n12\tb\t2\n13\tc\t3\n"), CopyDone(), Sync());
    push @f, $s->until_ready;
    $s->{heard} = summary(grep { $_->{type} ne 'N' } @f);
}
is($w->{heard}, $plain->{heard}, 'extended protocol');
is_deeply(@{ sorted('t') }, '... the rows');
for my $s ($w, $plain) {
    $s->send(Parse('', 'COPY t FROM STDIN'), Bind('', '', []), Execute(''), Sync());
    my @f = $s->until_type('G');
    $s->send(CopyData("14\ta\tx\n15\tb\t2\n16\tc\t3\n"), CopyDone(), Sync());
    push @f, $s->until_ready;
    $s->{heard} = summary(grep { $_->{type} ne 'N' } @f);
    $s->{left} = $s->query('SELECT 1')->{tags}[0];
}
is($w->{heard}, $plain->{heard}, 'extended protocol, an error');
is($w->{left}, 'SELECT 1', '... and on');

# A client that goes away in the middle
my $gone = $router->wire;
$gone->send(Query('COPY t FROM STDIN'));
$gone->until_type('G');
$gone->send(CopyData(join '', map { "$_\tgone\t1\n" } 5001 .. 6000));
$gone->close;
wait_for('no COPY on the shards', sub { !grep { $cluster->value($_, q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state <> 'idle' AND datname = current_database()}) } 1 .. 3 });
is_deeply(@{ sorted('t') }, 'a client that goes away stores nothing');
is($w->value('SELECT count(*) FROM home'), 3, 'others go on');

# A shard that is lost in the middle
my $hit = $router->wire;
$hit->send(Query('COPY t FROM STDIN'));
$hit->until_type('G');
$hit->send(CopyData(join '', map { "$_\tlost\t1\n" } 5001 .. 6000));
wait_for('COPY on the shard', sub { $cluster->value(2, q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state <> 'idle' AND datname = current_database()}) });
$hit->send(CopyData("6001\tlost\t1\n"), CopyDone());
my $lost = PgbraidTest::Wire::result($hit->until_ready);
ok($lost->{error}, 'a lost shard is an error') and note(explain $lost->{error});
is($lost->{status}, 'I', '... and the session goes on');
is_deeply(@{ sorted('t') }, '... nothing is stored');
is($hit->value('SELECT count(*) FROM home'), 3, '... it works');

# Out
$plain->do('TRUNCATE t'); $cluster->do($_, 'TRUNCATE t') for 1 .. 3;
same_in('data to copy out', 't', 'COPY t FROM STDIN', join '', map { "$_\tv\\n$_\t" . ($_ % 5 ? $_ : '\N') . "\n" } 1 .. 300);
sub same_out
{
    my ($what, $sql, $cut, $head) = @_;
    my ($ours, $theirs) = map { $_->query($sql) } $w, $plain;
    is_deeply(heard($ours), heard($theirs), "$what: the answer");
    is_deeply([ sort @{ $cut->($ours->{copied}) } ], [ sort @{ $cut->($theirs->{copied}) } ], "$what: the data");
    is(substr($ours->{copied}, 0, $head), substr($theirs->{copied}, 0, $head), "$what: header first") if $head;
    return;
}
my $by_line = sub { return [ split /(?<=\n)/, $_[0] ] };
# Rows of a binary stream, and what is not a row.
my $by_tuple = sub {
    my ($data) = @_;
    my @rows = (substr $data, 0, 19, '');
    while (length $data >= 2 && (my $n = unpack 's>', substr $data, 0, 2) >= 0) {
        my $len = 2;
        for (1 .. $n) { my $l = unpack 'l>', substr $data, $len, 4; $len += 4 + ($l > 0 ? $l : 0); }
        push @rows, substr $data, 0, $len, '';
    }
    return [ @rows, "rest: $data" ];
};
same_out('text', 'COPY t TO STDOUT', $by_line);
same_out('text, header', 'COPY t TO STDOUT (HEADER)', $by_line, 6);
same_out('CSV, header', 'COPY t (n, id) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *)', $by_line, 5);
same_out('binary', 'COPY t TO STDOUT BINARY', $by_tuple, 19);
same_out('binary, no rows', 'COPY (SELECT * FROM t WHERE n < 0) TO STDOUT BINARY', $by_tuple, 19);
same_out('header, no rows', 'COPY (SELECT * FROM t WHERE n < 0) TO STDOUT CSV HEADER', $by_line, 7);
same_out('a query on all shards', 'COPY (SELECT id, n + 1 FROM t WHERE n > 10) TO STDOUT CSV', $by_line);
same_out('a query on one shard', 'COPY (SELECT count(*) FROM t WHERE id = 7) TO STDOUT CSV HEADER', $by_line, 6);
same_out('a reference table', 'COPY ref TO STDOUT', $by_line);
same_out('an unsharded table', 'COPY home TO STDOUT CSV HEADER', $by_line, 5);
same_out('RETURNING', 'COPY (UPDATE t SET n = 0 WHERE id < 50 RETURNING id) TO STDOUT', $by_line);
same_out('a shard says no', 'COPY (SELECT 1 / (n - 7) FROM t WHERE n > 0) TO STDOUT', sub { [] });
same_out('an unknown table', 'COPY nonsense TO STDOUT', $by_line);
same_out('a partial row is no row', 'COPY t TO STDOUT', $by_line);
same_out('in order', 'COPY (SELECT * FROM t ORDER BY id) TO STDOUT', sub { [@_] });
is($w->error("COPY t TO '/tmp/x'")->{C}, '0A000', 'files are refused');

# What came out goes in again.
for my $format (qw(text csv binary)) {
    my $data = $w->query("COPY t TO STDOUT (FORMAT $format)")->{copied};
    my $before = sorted('t')->[0];
    $w->do('DELETE FROM t');
    copy_in($w, "COPY t FROM STDIN (FORMAT $format)", $data);
    is_deeply(sorted('t')->[0], $before, "$format: out and in again");
}

# Nothing is left behind.
wait_for('no transaction is open', sub { !$cluster->value(1, q{SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%' OR (state = 'active' AND query LIKE 'COPY%')}) });
pass('no backend was left in a transaction');
done_testing();
