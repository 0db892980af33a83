<?php
// pdo_pgsql, and what only the pgsql extension has: cancel and notifications between connections.
declare(strict_types=1);

function check(string $name): void { echo "## $name\n"; }

// Each value with its PHP type; bytes that are no text in hex.
function show(mixed $value): void
{
    $plain = fn ($v) => is_resource($v) ? ['stream' => bin2hex(stream_get_contents($v))] : (is_string($v) && !preg_match('//u', $v) ? ['bytes' => bin2hex($v)] : $v);
    echo json_encode(is_array($value) ? array_map($plain, $value) : $plain($value), JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION | JSON_THROW_ON_ERROR), "\n";
}

function connect(array $options = []): PDO
{
    $e = getenv();
    return new PDO("pgsql:host={$e['PGHOST']};port={$e['PGPORT']};dbname={$e['PGDATABASE']};user={$e['PGUSER']};sslmode=disable", null, null, $options + [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
}

function transfers(int $t): void
{
    $c = connect();
    for ($n = 0; $n < 25; $n++) {
        [$a, $b] = [($t + $n) % 3 + 1, ($t + $n + 1) % 3 + 1];
        for (;;) {
            try {
                $c->beginTransaction();
                $c->prepare('UPDATE accounts SET balance = balance - 1 WHERE account_id = ?')->execute([min($a, $b)]);
                $c->prepare('UPDATE accounts SET balance = balance + 1 WHERE account_id = ?')->execute([max($a, $b)]);
                $c->commit();
                break;
            } catch (PDOException $e) {
                if ($c->inTransaction()) $c->rollBack();
                if (!in_array($e->getCode(), ['40001', '40P01'])) throw $e;
            }
        }
    }
}

if (isset($argv[1])) {
    transfers((int) $argv[1]);
    exit(0);
}
$con = connect();

function told(PDOStatement $s): void
{
    $metas = [];
    for ($n = 0; $n < $s->columnCount(); $n++) {
        $m = $s->getColumnMeta($n);
        $metas[] = [$m['name'], $m['pgsql:oid'] < 16384 ? [$m['pgsql:oid'], $m['native_type']] : 'user', $m['len'], $m['precision']];
    }
    show([$s->rowCount(), $metas]);
    foreach ($s->fetchAll(PDO::FETCH_NUM) as $row) show($row);
}

function query(string $sql, array $args = []): void
{
    global $con;
    $s = $con->prepare($sql);
    foreach ($args as $n => $v) $s->bindValue($n + 1, $v, is_bool($v) ? PDO::PARAM_BOOL : (is_int($v) ? PDO::PARAM_INT : (is_null($v) ? PDO::PARAM_NULL : (is_resource($v) ? PDO::PARAM_LOB : PDO::PARAM_STR))));
    $s->execute();
    told($s);
}

function fails(callable $what): void
{
    try {
        $what();
        echo "no error\n";
    } catch (PDOException $e) {
        show([$e->getCode(), preg_split('/\nDETAIL|\nCONTEXT|\nHINT/', $e->getMessage())[0]]);
    }
}

function lob(string $bytes)
{
    $f = fopen('php://memory', 'w+b');
    fwrite($f, $bytes);
    rewind($f);
    return $f;
}

$columns = ['id', 'i2', 'i4', 'i8', 'num', 'num2', 'f4', 'f8', 'b', 't', 'vc', 'c', 'ba', 'd', 'ti', 'ts', 'tstz', 'iv', 'u', 'j', 'jb', 'ia', 'ta', 'na', 'md'];
$rows = fn () => [
    [1, 1, 2, 3, '1.5', '2.25', '0.5', '0.1', true, "text ä 'q' \"d\" \\b\t\n", 'var', 'c', lob("\0\1\xff\\'"), '2024-02-29', '23:59:59.999999', '2024-02-29 01:02:03.456789', '2024-02-29 01:02:03.456789+05:30', '3 days 00:00:05.000007',
        '12345678-1234-5678-1234-567812345678', '{"a": [1, 2.50, null]}', '{"b": "\u00e4"}', '{1,2,NULL}', '{"a","","NULL",NULL,"q\"u\\\\o"}', '{1.1,-2,NaN}', 'happy'],
    [2, -32768, -2147483648, PHP_INT_MIN, '-1e30', '-9999999999.99', '-3.4028235e38', '-1.7976931348623157e308', false, '', '', '', lob(''), '0001-01-01', '00:00', 'infinity', '-infinity', '0', '00000000-0000-0000-0000-000000000000', 'null', '[]', '{}', '{}', '{}', 'sad'],
    [3, 32767, 2147483647, PHP_INT_MAX, '0', '9999999999.99', '1e-37', '5e-324', true, str_repeat('x', 100000), str_repeat('x', 20), 'abcde', lob(str_repeat("\xab\0", 70000)), '9999-12-31', '12:00', '9999-12-31 23:59:59.999999', '2024-07-01 00:00+00',
        '-1 days', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '"x"', '1e3', '{' . implode(',', range(0, 999)) . '}', '{x}', '{0.125}', 'ok'],
    [4, ...array_fill(0, 24, null)],
];
$list = implode(', ', $columns);
$marks = implode(', ', array_fill(0, count($columns), '?'));
check('types');
foreach ($rows() as $row) query("INSERT INTO types ($list) VALUES ($marks)", $row);
query("SELECT $list FROM types WHERE id = ?", [1]);
query("SELECT $list FROM types ORDER BY id");
check('emulated prepares');
$con->setAttribute(PDO::ATTR_EMULATE_PREPARES, true);
query("SELECT $list FROM types WHERE id = ?", [1]);
query('UPDATE types SET t = ?, ba = ? WHERE id = ?', ["a'b\\c?", lob("\0\\'\xff"), 1]);
query('SELECT t, ba FROM types WHERE id <= ? ORDER BY id', [2]);
$con->setAttribute(PDO::ATTR_EMULATE_PREPARES, false);
check('NULLs and arrays');
query('SELECT ?::int, ?::text[]', [null, '{NULL,x}']);
query('SELECT id FROM types WHERE id = ANY(?::bigint[]) ORDER BY id', ['{1,3}']);
query('SELECT id, ia[1] FROM types WHERE t IS NULL ORDER BY id');
check('json');
query('INSERT INTO types (id, j, jb) VALUES (?, ?, ?)', [100, '{"a": [1, null]}', '{"b":"x"}']);
query("SELECT j->'a', jb->>'b' FROM types WHERE id = 100");
query('SELECT id FROM types WHERE jb @> ?', ['{"b": "x"}']);
query('SELECT id FROM types WHERE jb ?? ?', ['b']);
check('numeric edges');
foreach (['0', '-0.00', '1e-16383', str_repeat('9', 400), 'NaN', 'Infinity', '0.1', '10000', '9999.9999', '100000000.00000001'] as $n => $v) query('INSERT INTO types (id, num) VALUES (?, ?)', [200 + $n, $v]);
query('SELECT id, num FROM types WHERE id >= 200 ORDER BY num, id');
fails(fn () => query('INSERT INTO types (id, i2) VALUES (300, ?)', [32768]));
check('errors');
query("INSERT INTO accounts (account_id, owner, balance, created) VALUES (1, 'ann', 10, '2024-01-01'), (2, 'bob', 20, '2024-01-01'), (3, 'cem', 30, '2024-01-01')");
foreach (['SELECT 1/0', 'SELECT * FROM nowhere', 'SELEC', "INSERT INTO accounts (account_id, owner) VALUES (1, 'x')", 'INSERT INTO accounts (account_id, owner) VALUES (7, NULL)', 'UPDATE accounts SET balance = -1 WHERE account_id = 1',
    "INSERT INTO items VALUES (99, 1, 'x', 1)", "SELECT 'x'::mood", 'INSERT INTO types (id, pos) VALUES (500, 0)', 'SET nothing = 1'] as $sql) {
    fails(fn () => query($sql));
    fails(fn () => $con->exec($sql));
}
fails(fn () => query('SELECT owner FROM accounts WHERE account_id = ?', ['x']));
check('transactions and savepoints');
$con->beginTransaction();
query('UPDATE accounts SET balance = balance - 5 WHERE account_id = 1');
$con->exec('SAVEPOINT a');
fails(fn () => query('UPDATE accounts SET balance = -1'));
fails(fn () => query('SELECT 1'));
$con->exec('ROLLBACK TO a');
query('UPDATE accounts SET balance = balance + 5 WHERE account_id = 3');
show($con->inTransaction());
$con->commit();
$con->beginTransaction();
show($con->exec('DELETE FROM accounts'));
$con->rollBack();
query('SELECT account_id, balance FROM accounts ORDER BY 1');
check('prepared');
$one = $con->prepare('SELECT owner FROM accounts WHERE account_id = :id');
$all = $con->prepare('SELECT count(*), sum(balance) FROM accounts WHERE balance > :low');
for ($n = 0; $n < 10; $n++) {
    $one->execute(['id' => $n % 4]);
    told($one);
    $all->execute(['low' => $n]);
    told($all);
}
$one = $all = null;
check('batches');
$insert = $con->prepare('INSERT INTO items VALUES (?, ?, ?, ?)');
for ($n = 0; $n < 90; $n++) $insert->execute([$n % 3 + 1, $n, "item $n", $n]);
query('SELECT account_id, count(*), sum(price) FROM items GROUP BY 1 ORDER BY 1');
show($con->exec("UPDATE items SET price = 1 WHERE account_id = 1; UPDATE items SET price = 2 WHERE item < 30"));
query('SELECT account_id, sum(price) FROM items GROUP BY account_id ORDER BY account_id');
query("INSERT INTO items VALUES (1, 900, 'r', 1) RETURNING item, name");
check('cursors');
foreach (['SELECT item FROM items WHERE account_id = 1 ORDER BY item', 'SELECT item, account_id FROM items ORDER BY item'] as $sql) {
    $s = $con->prepare($sql, [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
    $s->execute();
    for ($n = 0; $n < 12; $n++) show($s->fetch(PDO::FETCH_NUM));
    $s = null;
    $con->beginTransaction();
    $con->exec("DECLARE k CURSOR FOR $sql");
    for ($n = 0; $n < 3; $n++) query('FETCH 7 FROM k');
    $con->commit();
}
check('COPY');
show($con->pgsqlCopyFromArray('items', ["1\t500\tx\\ty\t1.5\n", "2\t500\tä\\n\t\\N\n", "3\t500\t\t0\n"]));
$lines = $con->pgsqlCopyToArray('items');
sort($lines);
show($lines);
fails(fn () => $con->pgsqlCopyFromArray('items', ["1\t500\tagain\t0\n"]));
show($con->pgsqlCopyFromArray('items', ["1\t501\tsome\t0\n"], "\t", '\\\\N', 'account_id, item, name, price'));
check('cancel');
$pg = pg_connect(getenv('PGHOST') ? 'sslmode=disable' : '');
foreach (['SELECT pg_sleep(60)', 'SELECT account_id, pg_sleep(60) FROM accounts'] as $sql) {
    pg_send_query($pg, $sql);
    usleep(400000);
    show(pg_cancel_query($pg));
}
show(pg_fetch_all(pg_query_params($pg, 'SELECT owner FROM accounts WHERE account_id = $1', [1])));
$con->exec('SET statement_timeout = 200');
fails(fn () => query('SELECT account_id, pg_sleep(60) FROM accounts'));
$con->exec('RESET statement_timeout');
check('concurrency');
$con->exec('UPDATE accounts SET balance = 1000');
$workers = array_map(fn ($t) => proc_open(['php', __FILE__, (string) $t], [], $pipes), range(0, 7));
show(array_map('proc_close', $workers));
query('SELECT sum(balance) FROM accounts');
check('notifications');
$con->exec('LISTEN news');
pg_query($pg, "NOTIFY news, 'hello'");
$note = $con->pgsqlGetNotify(PDO::FETCH_ASSOC, 20000);
show([$note['message'], $note['payload']]);
check('session');
show([$con->getAttribute(PDO::ATTR_SERVER_VERSION), $con->getAttribute(PDO::ATTR_DRIVER_NAME), $con->quote("a'b\\")]);
$con->exec("SET TimeZone = 'Asia/Tokyo'");
query('SELECT account_id, created FROM accounts ORDER BY 1');
$shared = connect([PDO::ATTR_PERSISTENT => true]);
show($shared->query('SELECT owner FROM accounts WHERE account_id = 3')->fetch(PDO::FETCH_ASSOC));
check('end');
