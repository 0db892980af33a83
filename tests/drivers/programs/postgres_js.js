// postgres.js: pipelined queries, tagged templates, transactions, cursors, COPY, LISTEN.
'use strict';

const postgres = require('postgres');
const { pipeline } = require('stream/promises');
const { Readable } = require('stream');
const { show, check, fails, rows, edges, faults } = require('./common.js');

async function main() {
  const sql = postgres({ max: 1, onnotice: () => {} });
  const query = async (promise) => {
    const r = await promise;
    show([r.command, r.count, r.columns && r.columns.map((c) => [c.name, c.type < 16384 ? c.type : 'user'])]);
    [...r].forEach(show);
  };
  check('types');
  for (const row of rows) {
    const finite = { ...row, ...(row.id === '2' && { ts: '0001-01-01 00:00:00', tstz: new Date(0) }) };
    await query(sql`INSERT INTO types ${sql(finite)}`);
  }
  const columns = Object.keys(rows[0]);
  await query(sql`SELECT ${sql(columns)} FROM types WHERE id = ${1}`);
  await query(sql`SELECT ${sql(columns)} FROM types ORDER BY id`);
  check('NULLs and arrays');
  await query(sql`SELECT ${null}::int AS a, ${sql.array(['x', null])}::text[] AS b`);
  await query(sql`SELECT id FROM types WHERE id = ANY(${[1, 3]}) ORDER BY id`);
  await query(sql`SELECT id FROM types WHERE id IN ${sql([1, 2])} ORDER BY id`);
  check('json');
  await query(sql`INSERT INTO types ${sql({ id: 10, j: { a: [1, null] }, jb: sql.json({ b: 'x' }) })}`);
  await query(sql`SELECT j, jb FROM types WHERE id = 10`);
  check('numeric edges');
  for (let n = 0; n < edges.length; n++) await query(sql`INSERT INTO types (id, num) VALUES (${20 + n}, ${edges[n]})`);
  await query(sql`SELECT id, num FROM types WHERE id >= 20 ORDER BY num, id`);
  check('errors');
  await query(sql`INSERT INTO accounts ${sql([1, 2, 3].map((n) => ({ account_id: n, owner: 'owner ' + n, balance: n * 10, created: new Date(0) })))}`);
  for (const fault of faults) {
    await fails(sql.unsafe(fault));
    await fails(sql.unsafe(fault, [], { prepare: true }));
  }
  check('transactions and savepoints');
  await sql.begin(async (t) => {
    await query(t`UPDATE accounts SET balance = balance - 5 WHERE account_id = 1`);
    await t.savepoint(async (s) => {
      await query(s`UPDATE accounts SET balance = balance + 5 WHERE account_id = 2`);
      throw new Error('mine');
    }).catch((e) => show(e.message));
    await query(t`UPDATE accounts SET balance = balance + 5 WHERE account_id = 3`);
  });
  await fails(sql.begin(async (t) => { await t`UPDATE accounts SET balance = 0`; await t`SELECT 1/0`; }));
  await query(sql`SELECT account_id, balance FROM accounts ORDER BY 1`);
  check('pipelines and batches');
  await Promise.all(Array.from({ length: 60 }, (_, n) => sql`INSERT INTO items VALUES (${(n % 3) + 1}, ${n}, ${'item ' + n}, ${n / 4})`));
  show(await Promise.all(Array.from({ length: 30 }, (_, n) => sql`SELECT name FROM items WHERE account_id = ${(n % 3) + 1} AND item = ${n}`)));
  const mixed = await sql.begin((t) => [t`SELECT count(*) FROM items`, t`UPDATE items SET price = 0 WHERE item = 1 RETURNING item`, t`SELECT sum(price) FROM items`]);
  show(mixed.map((r) => [...r]));
  await query(sql`SELECT account_id, count(*) FROM items GROUP BY 1 ORDER BY 1`);
  show((await sql.unsafe('SELECT 1 AS a; SELECT owner FROM accounts ORDER BY 1')).map((r) => [...r]));
  check('describe and forEach');
  const d = await sql`SELECT * FROM accounts WHERE account_id = ${1}`.describe();
  show([d.types, d.columns.map((c) => c.name)]);
  await sql`SELECT item FROM items ORDER BY item LIMIT 4`.forEach((row) => show(row));
  check('cursor');
  for await (const some of sql`SELECT item FROM items WHERE account_id = 1 ORDER BY item`.cursor(7)) show(some.map((r) => r.item));
  check('COPY');
  await pipeline(Readable.from(['1\t100\tfrom copy\t1.5\n2\t100\t', 'x\t\\N\n']), await sql`COPY items FROM STDIN`.writable());
  let out = '';
  for await (const chunk of await sql`COPY (SELECT * FROM items WHERE account_id = 2 ORDER BY item) TO STDOUT`.readable()) out += chunk;
  show(out);
  check('cancel');
  const slow = sql`SELECT account_id, pg_sleep(60) FROM accounts`;
  setTimeout(() => slow.cancel(), 300);
  await fails(slow);
  await query(sql`SELECT 1 AS one`);
  check('concurrency');
  await query(sql`UPDATE accounts SET balance = 1000`);
  const many = postgres({ max: 8, onnotice: () => {} });
  await Promise.all(Array.from({ length: 100 }, async (_, n) => {
    const [a, b] = [(n % 3) + 1, ((n + 1) % 3) + 1].sort();
    for (;;) {
      try {
        return await many.begin((t) => [t`UPDATE accounts SET balance = balance - 1 WHERE account_id = ${a}`, t`UPDATE accounts SET balance = balance + 1 WHERE account_id = ${b}`]);
      } catch (e) {
        if (!/^40/.test(e.code)) throw e;
      }
    }
  }));
  await query(sql`SELECT sum(balance) FROM accounts`);
  check('notifications');
  let heard;
  const got = new Promise((resolve) => { heard = resolve; });
  await many.listen('news', heard);
  await sql.notify('news', 'hello');
  show(await got);
  await many.end();
  await sql.end();
  check('end');
}

main().catch((e) => { console.error(e); process.exit(1); });
