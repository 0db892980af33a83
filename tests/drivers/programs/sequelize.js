// Sequelize: sync, associations, validations, transactions with savepoints, bulk operations.
'use strict';

const { show, check, fails, rows, faults } = require('./common');
const { Sequelize, DataTypes, Op, QueryTypes, fn, col, literal } = require('sequelize');

const db = new Sequelize(process.env.PGDATABASE, process.env.PGUSER, '', { host: process.env.PGHOST, port: process.env.PGPORT, dialect: 'postgres', logging: false, pool: { max: 6 } });
const plain = (x) => JSON.parse(JSON.stringify(x));
const Account = db.define('Account', { account_id: { type: DataTypes.BIGINT, primaryKey: true }, owner: { type: DataTypes.TEXT, allowNull: false }, balance: DataTypes.DECIMAL(14, 2), created: DataTypes.DATE }, { tableName: 'accounts', timestamps: false });
const Item = db.define('Item', { account_id: { type: DataTypes.BIGINT, primaryKey: true }, item: { type: DataTypes.INTEGER, primaryKey: true }, name: DataTypes.STRING(40), price: DataTypes.DECIMAL(10, 2) }, { tableName: 'items', timestamps: false });
const Shop = db.define('Shop', {
  id: { type: DataTypes.UUID, primaryKey: true }, name: { type: DataTypes.STRING(30), validate: { len: [1, 30] } }, tags: DataTypes.ARRAY(DataTypes.TEXT), data: DataTypes.JSONB, kind: DataTypes.STRING(10),
  open: DataTypes.BOOLEAN, rating: DataTypes.DOUBLE, logo: DataTypes.BLOB, since: DataTypes.DATEONLY, account: DataTypes.BIGINT,
}, { tableName: 'shops', timestamps: true, paranoid: true, indexes: [{ fields: ['name'] }] });
Account.hasMany(Item, { foreignKey: 'account_id', constraints: false });
Item.belongsTo(Account, { foreignKey: 'account_id', constraints: false });
Shop.belongsTo(Account, { foreignKey: 'account', as: 'owner', constraints: false });
const id = (n) => '00000000-0000-4000-8000-' + String(n).padStart(12, '0');

async function main() {
  check('types');
  for (const r of rows.slice(0, 1).concat(rows.slice(2))) {
    await db.query('INSERT INTO types (id, i2, i4, i8, num, t, b, u, ia, ta, md) VALUES ($id, $i2, $i4, $i8, $num, $t, $b, $u, $ia, $ta, $md)', { bind: r });
  }
  show(await db.query('SELECT id, i2, i4, i8, num, t, b, u, ia, ta, md FROM types ORDER BY id', { type: QueryTypes.SELECT }));
  show(await db.query('SELECT t FROM types WHERE id = ? OR t = ?', { replacements: [1, "it's"], type: QueryTypes.SELECT }));
  check('sync');
  await Shop.sync();
  show(Object.entries(await db.getQueryInterface().describeTable('shops')).map(([k, v]) => [k, v.type, v.allowNull, v.primaryKey]));
  show((await db.getQueryInterface().showAllTables()).sort());
  check('create');
  show((await Account.bulkCreate([4, 2, 3, 1].map((n) => ({ account_id: n, owner: 'owner ' + n, balance: n * 100, created: new Date('2024-01-01') })))).map(plain));
  await Item.bulkCreate(Array.from({ length: 60 }, (_, n) => ({ account_id: n % 4 + 1, item: n, name: 'item ' + n % 7, price: n / 4 })), { returning: ['account_id', 'item', 'name'] }).then((all) => show(all.slice(0, 9).map(plain)));
  const s = await Shop.create({ id: id(1), name: 'a', tags: ['x', 'y'], data: { n: 1, l: [1, 2] }, kind: 'small', open: true, rating: 0.5, logo: Buffer.from([0, 255]), since: '2024-02-29', account: 2 });
  show([s.name, s.tags, s.data, s.logo, s.since]);
  for (let n = 2; n < 8; n++) await Shop.create({ id: id(n), name: 'shop ' + n, kind: n % 2 ? 'small' : 'large', account: n % 5, rating: n / 8 });
  show((await Shop.findOrCreate({ where: { id: id(3) }, defaults: { name: 'never' } }))[1]);
  show((await Shop.findCreateFind({ where: { id: id(30) }, defaults: { name: 'made' } }))[1]);
  show((await Shop.upsert({ id: id(3), name: 'upserted' }))[0].name);
  check('find');
  show(plain(await Account.findByPk(3)));
  show(plain(await Account.findAll({ where: { balance: { [Op.gt]: 150 }, owner: { [Op.notLike]: '%3' } }, order: [['owner', 'DESC']] })));
  show(plain(await Shop.findAll({ attributes: ['name', 'kind'], where: { [Op.or]: [{ kind: 'small' }, { name: { [Op.iLike]: 'UP%' } }] }, order: ['name'], limit: 3, offset: 1 })));
  show(plain(await Shop.findAll({ attributes: ['name'], where: { tags: { [Op.contains]: ['x'] }, data: { n: 1 } } })));
  show(plain(await Shop.findOne({ attributes: ['name', 'logo'], where: { id: id(1) } })));
  show(await Item.findAndCountAll({ where: { name: 'item 3' }, limit: 2, order: ['item'] }).then((r) => [r.count, plain(r.rows)]));
  check('associations');
  show(plain(await Account.findAll({ include: { model: Item, where: { price: { [Op.lt]: 2 } }, required: false }, order: [['account_id', 'ASC'], [Item, 'item', 'ASC']] })));
  show(plain(await Shop.findAll({ attributes: ['name'], include: { model: Account, as: 'owner', attributes: ['owner'] }, order: ['name'] })));
  show(plain(await (await Account.findByPk(2)).getItems({ order: ['item'], limit: 2 })));
  show(plain(await Item.findAll({ include: { model: Account, where: { owner: 'owner 4' } }, order: ['item'], limit: 2 })));
  check('aggregates');
  show([await Item.count(), await Item.sum('price'), await Item.max('price'), await Item.min('name'), await Item.count({ distinct: true, col: 'name' })]);
  show(plain(await Item.findAll({ attributes: ['name', [fn('COUNT', col('item')), 'n'], [fn('SUM', col('price')), 's']], group: ['name'], order: ['name'], having: literal('count(*) > 2') })));
  show(plain(await Account.findAll({ attributes: ['owner', [literal('(SELECT count(*) FROM items i WHERE i.account_id = "Account".account_id)'), 'n']], order: ['owner'] })));
  check('update');
  show(await Account.update({ balance: literal('balance + 1') }, { where: { account_id: [1, 2] } }));
  show((await Item.increment('price', { by: 2, where: { account_id: 1, item: 4 } }))[0][1]);
  const a = await Account.findByPk(1);
  a.owner = 'changed';
  await a.save();
  show(plain(await a.reload()));
  show((await Shop.update({ name: 'renamed' }, { where: { id: id(4) }, returning: ['name', 'kind'] }))[1].map(plain));
  check('delete');
  show(await Item.destroy({ where: { price: { [Op.gt]: 14 } } }));
  show(await Shop.destroy({ where: { id: [id(5), id(6)] } }));
  show([await Shop.count(), await Shop.count({ paranoid: false })]);
  await Shop.restore({ where: { id: id(5) } });
  show(await Shop.count());
  check('errors');
  for (const sql of faults) await fails(db.query(sql));
  await Account.create({ account_id: 1, owner: 'twice' }).catch((e) => show([e.name, e.original.code, e.errors.map((x) => x.path)]));
  await Shop.create({ id: id(40), name: '' }).catch((e) => show(e.name));
  await Item.create({ account_id: 99, item: 1, name: 'x' }).catch((e) => show([e.name, e.original.code]));
  check('transactions');
  await db.transaction(async (t) => {
    await Account.decrement('balance', { by: 10, where: { account_id: 1 }, transaction: t });
    await Account.increment('balance', { by: 10, where: { account_id: 3 }, transaction: t });
    await db.transaction({ transaction: t }, async (sp) => { await Account.update({ balance: 0 }, { where: {}, transaction: sp }); throw new Error('back'); }).catch((e) => show(e.message));
    show(plain(await Account.findAll({ attributes: ['balance'], order: ['account_id'], transaction: t })));
  });
  await db.transaction(async (t) => { await Item.destroy({ where: {}, transaction: t }); throw new Error('undone'); }).catch((e) => show(e.message));
  await db.transaction({ isolationLevel: 'REPEATABLE READ' }, async (t) => show(await Item.count({ transaction: t })));
  check('locks');
  await db.transaction(async (t) => show(plain(await Account.findByPk(2, { lock: t.LOCK.UPDATE, transaction: t }))));
  await db.transaction(async (t) => show((await Account.findAll({ lock: true, skipLocked: true, transaction: t })).length));
  check('cancel');
  await db.transaction(async (t) => {
    const [{ pid }] = await db.query('SELECT pg_backend_pid() AS pid', { type: QueryTypes.SELECT, transaction: t });
    setTimeout(() => db.query(`SELECT pg_cancel_backend(${pid})`), 300);
    await fails(db.query('SELECT account_id, pg_sleep(60) FROM accounts', { transaction: t }));
    await fails(db.query('SELECT 1', { transaction: t }));
    throw new Error('rolled back');
  }).catch((e) => show(e.message));
  show(plain(await db.query('SELECT 1 AS one', { type: QueryTypes.SELECT })));
  check('concurrency');
  await Account.update({ balance: 1000 }, { where: {} });
  await Promise.all(Array.from({ length: 60 }, (_, i) => (async () => {
    const [x, y] = [i % 4 + 1, (i + 1) % 4 + 1].sort();
    for (;;) {
      try {
        await db.transaction(async (t) => {
          await Account.decrement('balance', { where: { account_id: x }, transaction: t });
          await Account.increment('balance', { where: { account_id: y }, transaction: t });
        });
        return;
      } catch (e) { if (!['40P01', '40001'].includes(e.original && e.original.code)) throw e; }
    }
  })()));
  show(await Account.sum('balance'));
  check('schema changes');
  const q = db.getQueryInterface();
  await q.addColumn('shops', 'more', { type: DataTypes.INTEGER, defaultValue: 7 });
  await q.renameColumn('shops', 'more', 'extra');
  await q.addIndex('shops', ['account']);
  show(plain(await db.query('SELECT DISTINCT extra FROM shops', { type: QueryTypes.SELECT })));
  show((await q.showIndex('shops')).map((i) => [i.name, i.unique, i.fields.map((f) => f.attribute)]).sort());
  await q.removeColumn('shops', 'extra');
  check('end');
  process.exit(0);
}

main().catch((e) => { console.error(e); process.exit(1); });
