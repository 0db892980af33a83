# DBD::Pg: server-side prepare, placeholders, COPY, asynchronous queries, large values, savepoints.
use strict;
use warnings;
use utf8;
use DBI;
use DBD::Pg qw(:pg_types :async);
use Time::HiRes qw(sleep time);
binmode STDOUT, ':utf8';
$| = 1;

my $dbh = DBI->connect('dbi:Pg:', '', '', { RaiseError => 0, PrintError => 0, AutoCommit => 1, pg_enable_utf8 => 1 }) or die $DBI::errstr;

sub check { print "## $_[0]\n"; return; }
sub text { my ($v) = @_; return !defined $v ? 'undef' : ref $v ? '[' . join(',', map { text($_) } @$v) . ']' : $v; }
sub show { print join(' | ', map { text($_) } @_), "\n"; return; }
sub failed { show(DBI->err // 0 ? $DBI::state : 'no error', ($DBI::errstr // '') =~ /^(.*)/); return; }

sub query
{
    my ($sql, @values) = @_;
    my $sth = $dbh->prepare($sql) or return failed();
    my $n = $sth->execute(@values) // return failed();
    show("rows $n");
    if (($sth->{NUM_OF_FIELDS} // 0) > 0) {
        show(@{ $sth->{NAME} });
        show(map { $_ // '?' } @{ $sth->{pg_type} });
        show(@$_) for @{ $sth->fetchall_arrayref };
    }
    return;
}

check('types');
my @columns = qw(id i2 i4 i8 num f8 b t c d ts tstz iv u ia ta md);
my @rows = (
    [ 1, 1, 2, 3, '1.50', 0.1, 1, "snowman \x{2603}", 'c', '2024-02-29', '2024-02-29 01:02:03.456789', '2024-02-29 01:02:03.456789+05', '3 days', '12345678-1234-5678-1234-567812345678', [ 1, 2 ], [ 'a', '', undef, 'q"u\\o' ], 'happy' ],
    [ 2, -32768, -2147483648, '-9223372036854775808', '-1e30', '-Infinity', 0, '', '', '0001-01-01 BC', '-infinity', 'infinity', '-1 year', '00000000-0000-0000-0000-000000000000', [], [], 'sad' ],
    [ 3, (undef) x 16 ],
);
my $insert = 'INSERT INTO types (' . join(', ', @columns) . ') VALUES (' . join(', ', ('?') x @columns) . ')';
query($insert, @$_) for @rows;
query('SELECT ' . join(', ', @columns) . ' FROM types WHERE id = ?', 1);
query('SELECT ' . join(', ', @columns) . ' FROM types ORDER BY id');
check('NULLs');
query('SELECT ?::int, ?::text', undef, undef);
query('SELECT id FROM types WHERE t IS NULL');
check('arrays');
query('SELECT id FROM types WHERE id = ANY(?) ORDER BY id', [ 1, 3 ]);
query('SELECT ?::int[], ?::text[]', [ [ 1, 2 ], [ 3, 4 ] ], [ 'x', undef ]);
check('json');
query('INSERT INTO types (id, j, jb) VALUES (?, ?, ?)', 10, '{"a": [1, null]}', '{"b":  "\\u00e4"}');
query('SELECT j, jb, j->?, jb->>? FROM types WHERE id = 10', 'a', 'b');
check('bytea');
my $sth = $dbh->prepare('INSERT INTO types (id, ba) VALUES (?, ?)');
my $n = 20;
for my $bytes ('', join('', map { chr } 0 .. 255), "\0" x 10, 'x' x 100_000) {
    $sth->bind_param(1, $n++);
    $sth->bind_param(2, $bytes, { pg_type => PG_BYTEA });
    show($sth->execute);
}
show(map { length $_->[0] } @{ $dbh->selectall_arrayref('SELECT ba FROM types WHERE id BETWEEN 20 AND 30 ORDER BY id') });
show(join ' ', map { ord } split //, $dbh->selectrow_array('SELECT ba FROM types WHERE id = 21'));
check('numeric edges');
$n = 40;
query('INSERT INTO types (id, num) VALUES (?, ?)', $n++, $_) for '0', '1e-16383', '9' x 400, 'NaN', '-0.00', 'Infinity', 'x';
query('SELECT id, num FROM types WHERE id >= 40 ORDER BY num, id');
query('INSERT INTO types (id, i2) VALUES (99, 32768)');
check('errors');
query('INSERT INTO accounts (account_id, owner, balance) VALUES (1, ?, 10), (2, ?, 20), (3, ?, 30)', qw(ann bob cem));
query($_) for 'SELECT 1/0', 'SELECT * FROM nowhere', 'SELEC', "INSERT INTO accounts (account_id, owner) VALUES (1, 'x')", 'INSERT INTO accounts (account_id, owner) VALUES (7, NULL)', 'UPDATE accounts SET balance = -1 WHERE account_id = 1',
    "INSERT INTO items VALUES (99, 1, 'x', 1)", "SELECT 'x'::mood";
query('SELECT owner FROM accounts WHERE account_id = ?', 'x');
show($dbh->ping);
check('transactions');
$dbh->begin_work;
query('UPDATE accounts SET balance = balance - ? WHERE account_id = ?', 5, 1);
query('UPDATE accounts SET balance = balance + ? WHERE account_id = ?', 5, 2);
show($dbh->{AutoCommit} ? 'auto' : 'begun', $dbh->ping);
$dbh->rollback;
query('SELECT account_id, balance FROM accounts ORDER BY 1');
$dbh->begin_work;
query('UPDATE accounts SET balance = balance - ? WHERE account_id = ?', 5, 1);
query('UPDATE accounts SET balance = balance + ? WHERE account_id = ?', 5, 2);
$dbh->commit;
$dbh->begin_work;
query('SELECT 1/0');
query('SELECT 1');
show($dbh->ping);
$dbh->rollback;
check('savepoints');
$dbh->begin_work;
query('UPDATE accounts SET balance = 1 WHERE account_id = 1');
show($dbh->pg_savepoint('a'));
query('UPDATE accounts SET balance = -1 WHERE account_id = 2');
show($dbh->pg_rollback_to('a'));
query('UPDATE accounts SET balance = 2 WHERE account_id = 2');
show($dbh->pg_release('a'));
$dbh->commit;
query('SELECT account_id, balance FROM accounts ORDER BY 1');
check('prepared');
for my $mode (0, 1) {
    $dbh->{pg_server_prepare} = $mode;
    $sth = $dbh->prepare('SELECT owner FROM accounts WHERE account_id = ?');
    for (1 .. 6) { $sth->execute($_ % 4); show(map { @$_ } @{ $sth->fetchall_arrayref }); }
    $sth = $dbh->prepare('SELECT count(*), sum(balance) FROM accounts WHERE balance > $1');
    for (1 .. 6) { $sth->execute($_); show(map { @$_ } @{ $sth->fetchall_arrayref }); }
}
$sth = $dbh->prepare('SELECT account_id FROM accounts WHERE owner = :who', { pg_prepare_now => 1 });
$sth->bind_param(':who', 'bob');
$sth->execute;
show($sth->fetchrow_array);
check('batches');
$sth = $dbh->prepare('INSERT INTO items VALUES (?, ?, ?, ?)');
my @status;
show($sth->execute_array({ ArrayTupleStatus => \@status }, [ (1, 2, 3) x 20 ], [ map { ($_) x 3 } 1 .. 20 ], [ map { "item $_" } 1 .. 60 ], 1));
query('SELECT account_id, count(*), sum(price) FROM items GROUP BY 1 ORDER BY 1');
check('copy');
$dbh->do('COPY items FROM STDIN');
$dbh->pg_putcopydata($_) for "1\t100\tfrom copy\t1.5\n", "2\t100\t\x{e4}\\n\t\\N\n", "3\t100\t\t0\n";
show($dbh->pg_putcopyend);
$dbh->do('COPY items FROM STDIN');
$dbh->pg_putcopydata("1\t100\tagain\t0\n");
$dbh->pg_putcopyend or failed();
$dbh->do('COPY (SELECT * FROM items WHERE account_id = 2 ORDER BY item) TO STDOUT WITH (FORMAT csv)');
my $line = '';
print $line while $dbh->pg_getcopydata($line) >= 0;
$dbh->do('COPY items TO STDOUT');
my @lines;
push @lines, $line while $dbh->pg_getcopydata($line) >= 0;
print sort @lines;
check('cancel and asynchronous');
my $start = time;
$sth = $dbh->prepare('SELECT account_id, pg_sleep(60) FROM accounts', { pg_async => PG_ASYNC });
$sth->execute;
show($dbh->pg_ready);
sleep 0.3;
show($dbh->pg_cancel, $dbh->state);
show(time - $start < 30 ? 'soon' : 'late');
$sth = $dbh->prepare('SELECT sum(balance) FROM accounts', { pg_async => PG_ASYNC });
$sth->execute;
show($sth->pg_result);
show($sth->fetchrow_array);
check('catalog');
show(map { $_->[2] } @{ $dbh->table_info(undef, 'public', '%', 'TABLE')->fetchall_arrayref });
show(@$_[ 3, 4, 5, 6, 10 ]) for @{ $dbh->column_info(undef, 'public', 'accounts', '%')->fetchall_arrayref };
show($dbh->primary_key(undef, 'public', 'items'));
show(@{ $_->fetchrow_arrayref }[ 2, 3, 6, 7 ]) for $dbh->foreign_key_info(undef, 'public', 'accounts', undef, 'public', 'items');
show($dbh->type_info(DBI::SQL_INTEGER)->{TYPE_NAME});
check('concurrency');
$dbh->do('UPDATE accounts SET balance = 1000');
my @kids;
for my $k (0 .. 5) {
    my $pid = fork // die;
    if (!$pid) {
        $dbh->{InactiveDestroy} = 1;
        my $c = DBI->connect('dbi:Pg:', '', '', { RaiseError => 1, PrintError => 0 });
        for my $i (1 .. 20) {
            my ($x, $y) = sort { $a <=> $b } ($k + $i) % 3 + 1, ($k + $i + 1) % 3 + 1;
            1 until eval { $c->begin_work; $c->do('UPDATE accounts SET balance = balance - 1 WHERE account_id = ?', undef, $x); $c->do('UPDATE accounts SET balance = balance + 1 WHERE account_id = ?', undef, $y); $c->commit; 1 } || do { my $s = $c->state; $c->rollback if !$c->{AutoCommit}; $s !~ /^40/ };
        }
        $c->disconnect;
        exit 0;
    }
    push @kids, $pid;
}
waitpid $_, 0 for @kids;
query('SELECT sum(balance) FROM accounts');
check('notifications');
$dbh->do('LISTEN news');
$dbh->do(q{NOTIFY news, 'hello'});
my $note;
$start = time;
until ($note = $dbh->pg_notifies or time - $start > 20) { sleep 0.02; }
show(@$note[ 0, 2 ]);
check('end');
