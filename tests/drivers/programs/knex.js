// knex: schema builder, migrations, query builder, transactions, batches, streams, pool.
'use strict';

const { show, check, fails, rows, faults } = require('./common');
const knexOf = require('knex');

const connection = { host: process.env.PGHOST, port: process.env.PGPORT, user: process.env.PGUSER, database: process.env.PGDATABASE };
const db = knexOf({ client: 'pg', connection, pool: { min: 0, max: 6 } });

// Migrations that are not files.
const migrations = {
  getMigrations: async () => ['1_shops', '2_more'],
  getMigrationName: (m) => m,
  getMigration: async (m) => m === '1_shops'
    ? {
      up: (k) => k.schema.createTable('shops', (t) => {
        t.bigInteger('account_id').notNullable();
        t.integer('shop').notNullable();
        t.string('name', 30).notNullable().index();
        t.decimal('rating', 4, 2);
        t.jsonb('data').defaultTo('{}');
        t.enu('kind', ['small', 'large']);
        t.specificType('tags', 'text[]');
        t.primary(['account_id', 'shop']);
        t.foreign('account_id').references('accounts.account_id').onDelete('CASCADE');
      }),
      down: (k) => k.schema.dropTable('shops'),
    }
    : {
      up: (k) => k.schema.alterTable('shops', (t) => { t.timestamp('opened'); t.renameColumn('rating', 'stars'); t.unique(['account_id', 'name'], { indexName: 'shop_names' }); }),
      down: (k) => k.schema.alterTable('shops', (t) => { t.dropUnique(['account_id', 'name'], 'shop_names'); t.renameColumn('stars', 'rating'); t.dropColumn('opened'); }),
    },
};

async function main() {
  check('types');
  for (const r of rows) await db('types').insert({ ...r, j: JSON.stringify(r.j) });
  show(await db('types').orderBy('id'));
  show(await db('types').where({ id: 1 }).first('t', 'ba', 'ta'));
  check('schema');
  show((await db.migrate.latest({ migrationSource: migrations }))[1]);
  show(await db.schema.hasTable('shops'));
  show(await db.schema.hasColumn('shops', 'stars'));
  show(await db('shops').columnInfo());
  show(await db.migrate.currentVersion({ migrationSource: migrations }));
  check('insert');
  await db('accounts').insert([1, 2, 3, 4].map((n) => ({ account_id: n, owner: 'owner ' + n, balance: n * 100, created: '2024-01-01' })));
  await db.batchInsert('items', Array.from({ length: 80 }, (_, n) => ({ account_id: n % 4 + 1, item: n, name: 'item ' + n, price: n / 4 })), 30);
  show(await db('shops').insert({ account_id: 1, shop: 1, name: 'a', data: { x: [1] }, kind: 'small', tags: ['p', 'q'] }).returning(['name', 'data', 'tags']));
  show(await db('shops').insert([{ account_id: 2, shop: 1, name: 'b', kind: 'large' }, { account_id: 2, shop: 2, name: 'c', stars: 4.5 }]).returning('*'));
  show(await db('shops').insert([3, 1, 2].map((n) => ({ account_id: n, shop: 9, name: 'several' }))).returning(['account_id', 'name']));
  show(await db('shops').where({ shop: 9 }).del());
  show((await db('shops').insert({ account_id: 1, shop: 1, name: 'z' }).onConflict(['account_id', 'shop']).merge(['name'])).rowCount);
  show((await db('shops').insert({ account_id: 1, shop: 1, name: 'y' }).onConflict().ignore()).rowCount);
  check('select');
  show(await db('accounts').select('owner', db.raw('balance / ? as half', [2])).whereIn('account_id', [1, 3, 9]).orderBy('owner', 'desc'));
  show(await db('accounts').whereBetween('balance', [150, 350]).andWhereNot('owner', 'owner 3').pluck('owner'));
  show(await db('items').where('name', 'like', '%7').orWhere((b) => b.where('price', '>', 19).whereNotNull('price')).orderBy('item').pluck('item'));
  show(await db('items').orderBy('price', 'desc').limit(5).offset(2).select('item'));
  show(await db('items').distinct('account_id').orderBy('account_id'));
  check('aggregates');
  show(await db('items').count('* as n').sum('price as s').avg('price as a').min('name as lo').max('name as hi'));
  show(await db('items').select('account_id').count('* as n').groupBy('account_id').having(db.raw('count(*)'), '>', 5).orderBy('account_id'));
  show(await db('items').countDistinct('account_id as n').first());
  check('joins');
  show(await db('accounts as a').join('items as i', 'i.account_id', 'a.account_id').where('a.account_id', 2).orderBy('i.item').limit(3).select('a.owner', 'i.name'));
  show(await db('accounts as a').leftJoin('shops as s', 's.account_id', 'a.account_id').orderBy(['a.account_id', 's.shop']).select('a.owner', 's.name as shop'));
  show(await db('items as i').join('accounts as a', 'a.balance', 'i.item').select('i.item').orderBy('i.item'));
  show(await db('accounts').whereExists(db('shops').select(db.raw('1')).whereRaw('shops.account_id = accounts.account_id')).orderBy('owner').pluck('owner'));
  show(await db('accounts').whereIn('account_id', db('items').select('account_id').where('price', '>', 19)).orderBy('owner').pluck('owner'));
  check('sub-queries, unions, WITH, windows');
  show(await db.with('w', db('items').select('account_id').sum('price as s').groupBy('account_id')).from('w').orderBy('s').select());
  show(await db('accounts').select('owner as x').union(db('shops').select('name')).orderBy('x'));
  show(await db('items').select('item').rowNumber('r', (b) => b.partitionBy('account_id').orderBy('item')).orderBy('item').limit(6));
  show(await db.from(db('items').select('account_id').max('price as m').groupBy('account_id').as('q')).avg('m as a'));
  check('update, delete');
  show(await db('items').where({ account_id: 1 }).update({ price: db.raw('price + ?', [1]) }));
  show(await db('accounts').where({ account_id: 1 }).increment('balance', 5));
  show(await db('accounts').where('account_id', 1).update({ owner: 'new' }, ['owner', 'balance']));
  show(await db('items').where('price', '>', 18).del());
  show(await db('shops').where({ account_id: 2, shop: 2 }).delete('name'));
  check('errors');
  for (const sql of faults) await fails(db.raw(sql));
  await fails(db('accounts').insert({ account_id: 1, owner: 'twice' }));
  check('transactions');
  await db.transaction(async (t) => {
    await t('accounts').where({ account_id: 1 }).decrement('balance', 10);
    await t('accounts').where({ account_id: 3 }).increment('balance', 10);
    await t.transaction(async (s) => { await s('accounts').update({ balance: 0 }); throw new Error('back'); }).catch((e) => show(e.message));
    show(await t('accounts').orderBy('account_id').pluck('balance'));
  });
  await db.transaction(async (t) => { await t('accounts').del(); throw new Error('undone'); }).catch((e) => show(e.message));
  const trx = await db.transaction(null, { isolationLevel: 'repeatable read', readOnly: true });
  show(await trx('accounts').count('* as n'));
  await fails(trx('accounts').update({ balance: 1 }));
  await trx.rollback();
  await db.transaction(async (t) => show(await t('accounts').where({ account_id: 1 }).forUpdate().first('owner')));
  check('streams');
  let n = 0;
  for await (const r of db('items').select('item').orderBy('item').stream({ highWaterMark: 5 })) n += r.item;
  show(n);
  check('concurrency');
  await db('accounts').update({ balance: 1000 });
  await Promise.all(Array.from({ length: 60 }, (_, i) => (async () => {
    const [a, b] = [i % 4 + 1, (i + 1) % 4 + 1].sort();
    for (;;) {
      try {
        await db.transaction(async (t) => { await t('accounts').where({ account_id: a }).decrement('balance', 1); await t('accounts').where({ account_id: b }).increment('balance', 1); });
        return;
      } catch (e) { if (!['40P01', '40001'].includes(e.code)) throw e; }
    }
  })()));
  show(await db('accounts').sum('balance as s'));
  check('cancel and rollback of migrations');
  await db.raw('SELECT account_id, pg_sleep(30) FROM accounts').timeout(300, { cancel: true }).catch((e) => show(e.name));
  show(await db.raw('SELECT 1 AS one').then((r) => r.rows));
  await db.migrate.rollback({ migrationSource: migrations }, true);
  show(await db.schema.hasTable('shops'));
  check('end');
  process.exit(0);
}

main().catch((e) => { console.error(e); process.exit(1); });
