// node-postgres with pg-cursor, pg-query-stream and pg-copy-streams.
'use strict';

const pg = require('pg');
const Cursor = require('pg-cursor');
const QueryStream = require('pg-query-stream');
const { from: copyFrom, to: copyTo } = require('pg-copy-streams');
const { pipeline } = require('stream/promises');
const { Readable } = require('stream');
const { show, check, fails, rows, edges, faults } = require('./common.js');

async function main() {
  const client = new pg.Client();
  await client.connect();
  const query = async (...args) => {
    const r = await client.query(...args);
    for (const one of Array.isArray(r) ? r : [r]) {
      show([one.command, one.rowCount, one.fields.map((f) => [f.name, f.dataTypeID < 16384 ? f.dataTypeID : 'user', f.format])]);
      one.rows.forEach(show);
    }
  };
  check('types');
  const columns = Object.keys(rows[0]);
  for (const row of rows)
    await query(`INSERT INTO types (${columns}) VALUES (${columns.map((c, i) => '$' + (i + 1))})`, columns.map((c) => (c === 'j' && row[c] ? JSON.stringify(row[c]) : row[c])));
  await query(`SELECT ${columns} FROM types WHERE id = $1`, [1]);
  await query(`SELECT ${columns} FROM types ORDER BY id`);
  await query({ text: `SELECT ${columns} FROM types ORDER BY id`, rowMode: 'array' });
  check('types in binary');
  await query({ text: 'SELECT id, i2, i4, f8, b, t FROM types WHERE id = $1', values: [1], binary: true });
  await query({ text: 'SELECT id, i2, i4, f8, b, t FROM types WHERE id <= $1 ORDER BY id', values: [3], binary: true });
  check('NULLs and arrays');
  await query('SELECT $1::int, $2::text[]', [null, [null, 'x']]);
  await query('SELECT id FROM types WHERE id = ANY($1) ORDER BY id', [[1, 3]]);
  await query('SELECT id FROM types WHERE t IS NULL');
  check('json');
  await query('INSERT INTO types (id, j, jb) VALUES ($1, $2, $3)', [10, { a: [1, null] }, '"x"']);
  await query("SELECT j, jb, j->'a' AS a FROM types WHERE id = 10");
  check('numeric edges');
  for (let n = 0; n < edges.length; n++) await query('INSERT INTO types (id, num) VALUES ($1, $2)', [20 + n, edges[n]]);
  await query('SELECT id, num FROM types WHERE id >= 20 ORDER BY num, id');
  await fails(client.query('INSERT INTO types (id, i2) VALUES (99, 32768)'));
  check('errors');
  await query("INSERT INTO accounts (account_id, owner, balance, created) VALUES (1, 'ann', 10, '2024-01-01'), (2, 'bob', 20, '2024-01-01'), (3, 'cem', 30, '2024-01-01')");
  for (const sql of faults) {
    await fails(client.query(sql));
    await fails(client.query({ text: sql, values: [], name: 'f' + faults.indexOf(sql) }));
  }
  await fails(client.query('SELECT owner FROM accounts WHERE account_id = $1', ['x']));
  check('transactions and savepoints');
  for (const sql of ['BEGIN', 'UPDATE accounts SET balance = balance - 5 WHERE account_id = 1', 'SAVEPOINT a', 'UPDATE accounts SET balance = balance + 5 WHERE account_id = 2', 'ROLLBACK TO a',
    'UPDATE accounts SET balance = balance + 5 WHERE account_id = 3', 'COMMIT', 'SELECT account_id, balance FROM accounts ORDER BY 1']) await query(sql);
  await query('BEGIN');
  await fails(client.query('SELECT 1/0'));
  await fails(client.query('SELECT 1'));
  await query('ROLLBACK');
  check('prepared');
  for (let n = 0; n < 10; n++) {
    await query({ name: 'one', text: 'SELECT owner FROM accounts WHERE account_id = $1', values: [n % 4] });
    await query({ name: 'all', text: 'SELECT count(*), sum(balance) FROM accounts WHERE balance > $1', values: [n] });
  }
  check('batches');
  await Promise.all(Array.from({ length: 60 }, (_, n) => client.query('INSERT INTO items VALUES ($1, $2, $3, $4)', [(n % 3) + 1, n, 'item ' + n, n / 4])));
  await query('SELECT account_id, count(*), sum(price) FROM items GROUP BY 1 ORDER BY 1; SELECT 1 AS x; SELECT owner FROM accounts ORDER BY 1');
  check('cursor and stream');
  const cursor = client.query(new Cursor('SELECT item FROM items WHERE account_id = $1 ORDER BY item', [1]));
  show(await cursor.read(3));
  show((await cursor.read(100)).length);
  show(await cursor.read(3));
  await cursor.close();
  const early = client.query(new Cursor('SELECT item FROM items WHERE account_id = 2 ORDER BY item'));
  show(await early.read(2));
  await early.close();
  const stream = client.query(new QueryStream('SELECT item, name FROM items WHERE account_id = 3 ORDER BY item', [], { batchSize: 4 }));
  for await (const row of stream) show(row);
  check('cursor over shards');
  const wide = client.query(new Cursor('SELECT item FROM items ORDER BY item'));
  try {
    show((await wide.read(1000)).length);
    show(await wide.read(1000));
  } catch (e) {
    show(e.code);
  }
  await wide.close().catch(() => {});
  check('COPY');
  await pipeline(Readable.from(['1\t100\tfrom copy\t1.5\n2\t100\t', 'x\\n\t\\N\n3\t100\t\t0\n']), client.query(copyFrom('COPY items FROM STDIN')));
  let out = '';
  for await (const chunk of client.query(copyTo('COPY (SELECT * FROM items WHERE account_id = 2 ORDER BY item) TO STDOUT'))) out += chunk;
  show(out);
  out = '';
  for await (const chunk of client.query(copyTo('COPY items TO STDOUT'))) out += chunk;
  show(out.split('\n').sort());
  await fails(pipeline(Readable.from(['1\t100\tagain\t1\n']), client.query(copyFrom('COPY items FROM STDIN'))));
  check('cancel');
  const slow = client.query('SELECT account_id, pg_sleep(60) FROM accounts');
  const other = new pg.Client();
  setTimeout(() => { const c = new pg.Client(); c.connection.once('connect', () => c.connection.cancel(client.processID, client.secretKey)); c.connection.on('error', () => {}); c.connection.connect(Number(process.env.PGPORT), process.env.PGHOST); }, 300);
  await fails(slow);
  await query('SELECT 1 AS one');
  check('concurrency');
  await query('UPDATE accounts SET balance = 1000');
  const pool = new pg.Pool({ max: 8 });
  await Promise.all(Array.from({ length: 100 }, async (_, n) => {
    const [a, b] = [(n % 3) + 1, ((n + 1) % 3) + 1].sort();
    for (;;) {
      const c = await pool.connect();
      try {
        await c.query('BEGIN');
        await c.query('UPDATE accounts SET balance = balance - 1 WHERE account_id = $1', [a]);
        await c.query('UPDATE accounts SET balance = balance + 1 WHERE account_id = $1', [b]);
        await c.query('COMMIT');
        return;
      } catch (e) {
        await c.query('ROLLBACK');
        if (!/^40/.test(e.code)) throw e;
      } finally {
        c.release();
      }
    }
  }));
  await pool.end();
  await query('SELECT sum(balance) FROM accounts');
  check('notifications');
  await query('LISTEN news');
  const heard = new Promise((resolve) => client.once('notification', (m) => resolve([m.channel, m.payload])));
  await other.connect();
  await other.query("NOTIFY news, 'hello'");
  show(await heard);
  await other.end();
  await client.end();
  check('end');
}

main().catch((e) => { console.error(e); process.exit(1); });
