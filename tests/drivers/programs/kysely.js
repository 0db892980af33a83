// Kysely: typed query builder, schema builder, migrations, transactions.
'use strict';

const { show, check, fails, rows, faults } = require('./common');
const { Kysely, PostgresDialect, Migrator, sql } = require('kysely');
const { Pool } = require('pg');

const db = new Kysely({ dialect: new PostgresDialect({ pool: new Pool({ max: 6 }) }) });

const provider = {
  getMigrations: async () => ({
    1: {
      up: (k) => k.schema.createTable('shops').addColumn('account_id', 'bigint', (c) => c.notNull().references('accounts.account_id')).addColumn('shop', 'integer', (c) => c.notNull())
        .addColumn('name', 'varchar(30)').addColumn('data', 'jsonb').addPrimaryKeyConstraint('shops_pkey', ['account_id', 'shop']).execute(),
      down: (k) => k.schema.dropTable('shops').execute(),
    },
    2: {
      up: async (k) => { await k.schema.alterTable('shops').addColumn('opened', 'date').execute(); await k.schema.createIndex('shop_names').on('shops').columns(['name']).execute(); },
      down: async (k) => { await k.schema.dropIndex('shop_names').execute(); await k.schema.alterTable('shops').dropColumn('opened').execute(); },
    },
  }),
};

async function main() {
  check('types');
  for (const r of rows) await db.insertInto('types').values({ ...r, j: JSON.stringify(r.j) }).execute();
  show(await db.selectFrom('types').selectAll().orderBy('id').execute());
  check('schema');
  for (const m of Object.values(await provider.getMigrations())) await m.up(db);
  show((await db.introspection.getTables()).map((t) => [t.name, t.columns.map((c) => [c.name, c.dataType, c.isNullable])]).filter((t) => ['shops', 'items'].includes(t[0])));
  check('insert');
  await db.insertInto('accounts').values([1, 2, 3, 4].map((n) => ({ account_id: n, owner: 'owner ' + n, balance: n * 100, created: '2024-01-01' }))).execute();
  show(await db.insertInto('items').values(Array.from({ length: 60 }, (_, n) => ({ account_id: n % 4 + 1, item: n, name: 'item ' + n % 7, price: n / 4 }))).executeTakeFirst());
  show(await db.insertInto('shops').values({ account_id: 1, shop: 1, name: 'a', data: JSON.stringify({ x: 1 }) }).returningAll().executeTakeFirst());
  show(await db.insertInto('shops').values({ account_id: 1, shop: 1, name: 'b' }).onConflict((c) => c.columns(['account_id', 'shop']).doUpdateSet({ name: (e) => e.ref('excluded.name') })).returning('name').execute());
  check('select');
  show(await db.selectFrom('accounts').select(['owner', sql`balance / 2`.as('half')]).where('account_id', 'in', [1, 3, 9]).orderBy('owner', 'desc').execute());
  show(await db.selectFrom('items').select('item').where((e) => e.or([e('name', 'like', '%3'), e('price', '>', 14)])).orderBy('item').limit(9).offset(1).execute());
  show(await db.selectFrom('items').select('name').distinct().orderBy('name').execute());
  show(await db.selectFrom('items').distinctOn('account_id').select(['account_id', 'item']).orderBy('account_id').orderBy('item', 'desc').execute());
  check('aggregates');
  show(await db.selectFrom('items').select((e) => [e.fn.countAll().as('n'), e.fn.sum('price').as('s'), e.fn.avg('price').as('a'), e.fn.count('name').distinct().as('d'), e.fn.max('price').filterWhere('item', '<', 9).as('m')]).execute());
  show(await db.selectFrom('items').select(['account_id', (e) => e.fn.count('item').as('n')]).groupBy('account_id').having((e) => e.fn.count('item'), '>', 3).orderBy('account_id').execute());
  check('joins');
  show(await db.selectFrom('accounts as a').innerJoin('items as i', 'i.account_id', 'a.account_id').select(['a.owner', 'i.name']).where('i.price', '<', 1).orderBy('i.item').execute());
  show(await db.selectFrom('accounts as a').leftJoin('shops as s', 's.account_id', 'a.account_id').select(['a.owner', 's.name']).orderBy('a.owner').execute());
  show(await db.selectFrom('items as i').innerJoin('accounts as a', (j) => j.onRef('a.balance', '=', 'i.item')).select('i.item').execute());
  show(await db.with('w', (k) => k.selectFrom('items').select(['account_id', (e) => e.fn.sum('price').as('s')]).groupBy('account_id')).selectFrom('w').selectAll().orderBy('s').execute());
  show(await db.selectFrom('accounts').select('owner as x').unionAll(db.selectFrom('shops').select('name as x')).orderBy('x').execute());
  show(await db.selectFrom('items').select(['item', (e) => e.fn.agg('rank').over((o) => o.partitionBy('account_id').orderBy('price', 'desc')).as('r')]).orderBy('item').limit(6).execute());
  show(await db.selectFrom('accounts as a').select(['owner', (e) => e.selectFrom('items as i').whereRef('i.account_id', '=', 'a.account_id').select((x) => x.fn.countAll().as('n')).as('n')]).orderBy('owner').execute());
  check('update, delete');
  show(await db.updateTable('accounts').set({ balance: sql`balance + 1` }).where('account_id', '=', 1).returning('balance').execute());
  show(await db.updateTable('items').set((e) => ({ price: e('price', '+', 1) })).where('account_id', 'in', [1, 2]).executeTakeFirst());
  show(await db.deleteFrom('items').where('price', '>', 14).executeTakeFirst());
  check('errors');
  for (const text of faults) await fails(sql.raw(text).execute(db));
  await fails(db.insertInto('accounts').values({ account_id: 1, owner: 'twice' }).execute());
  check('transactions');
  await db.transaction().execute(async (t) => {
    await t.updateTable('accounts').set({ balance: sql`balance - 10` }).where('account_id', '=', 1).execute();
    await t.updateTable('accounts').set({ balance: sql`balance + 10` }).where('account_id', '=', 3).execute();
  });
  await db.transaction().setIsolationLevel('repeatable read').execute(async (t) => { await t.deleteFrom('shops').execute(); throw new Error('undone'); }).catch((e) => show(e.message));
  show(await db.selectFrom('accounts').select('balance').orderBy('account_id').execute());
  show(await db.selectFrom('shops').select('name').execute());
  check('all rows');
  let n = 0;
  for (const r of await db.selectFrom('items').select('item').orderBy('item').execute()) n += r.item;
  show(n);
  check('cancel');
  await db.connection().execute(async (c) => {
    const { pid } = (await sql`SELECT pg_backend_pid() AS pid`.execute(c)).rows[0];
    setTimeout(() => sql`SELECT pg_cancel_backend(${pid})`.execute(db), 300);
    await fails(sql`SELECT account_id, pg_sleep(60) FROM accounts`.execute(c));
    show((await sql`SELECT 1 AS one`.execute(c)).rows);
  });
  check('concurrency');
  await db.updateTable('accounts').set({ balance: 1000 }).execute();
  await Promise.all(Array.from({ length: 60 }, (_, i) => (async () => {
    const [a, b] = [i % 4 + 1, (i + 1) % 4 + 1].sort();
    for (;;) {
      try {
        await db.transaction().execute(async (t) => {
          await t.updateTable('accounts').set({ balance: sql`balance - 1` }).where('account_id', '=', a).execute();
          await t.updateTable('accounts').set({ balance: sql`balance + 1` }).where('account_id', '=', b).execute();
        });
        return;
      } catch (e) { if (!['40P01', '40001'].includes(e.code)) throw e; }
    }
  })()));
  show(await db.selectFrom('accounts').select((e) => e.fn.sum('balance').as('s')).execute());
  await db.schema.dropTable('shops').execute();
  check('migrator');
  const done = await new Migrator({ db, provider }).migrateToLatest();
  show(done.error ? done.error.message : done.results.map((r) => [r.migrationName, r.direction, r.status]));
  check('end');
  process.exit(0);
}

main().catch((e) => { console.error(e); process.exit(1); });
