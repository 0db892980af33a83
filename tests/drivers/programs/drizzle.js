// Drizzle: queries, relations, prepared statements, transactions, its migrations.
'use strict';

const fs = require('fs');
const os = require('os');
const path = require('path');
const { show, check, fails: failsAs, faults } = require('./common');
const { drizzle } = require('drizzle-orm/node-postgres');
const { migrate } = require('drizzle-orm/node-postgres/migrator');
const { relations, sql, eq, and, or, gt, gte, lt, inArray, notInArray, like, ilike, between, isNull, desc, asc, count, sum, avg, max, exists } = require('drizzle-orm');
const { pgTable, pgEnum, bigint, integer, smallint, text, varchar, numeric, boolean, doublePrecision, timestamp, date, uuid, jsonb, primaryKey, unionAll, alias } = require('drizzle-orm/pg-core');
const { Pool } = require('pg');

const mood = pgEnum('mood', ['sad', 'ok', 'happy']);
const types = pgTable('types', {
  id: bigint('id', { mode: 'number' }).primaryKey(), i2: smallint('i2'), i4: integer('i4'), i8: bigint('i8', { mode: 'bigint' }), num: numeric('num'), f8: doublePrecision('f8'), b: boolean('b'),
  t: text('t'), vc: varchar('vc', { length: 20 }), d: date('d'), ts: timestamp('ts', { mode: 'string' }), tstz: timestamp('tstz', { withTimezone: true }), u: uuid('u'), jb: jsonb('jb'),
  ia: integer('ia').array(), ta: text('ta').array(), md: mood('md'),
});
const accounts = pgTable('accounts', {
  account: bigint('account_id', { mode: 'number' }).primaryKey(), owner: text('owner').notNull(), balance: numeric('balance', { precision: 14, scale: 2 }).notNull().default('0'), created: timestamp('created', { withTimezone: true }).notNull().defaultNow(),
});
const items = pgTable('items', {
  account: bigint('account_id', { mode: 'number' }).notNull(), item: integer('item').notNull(), name: varchar('name', { length: 40 }).notNull(), price: numeric('price', { precision: 10, scale: 2 }),
}, (t) => [primaryKey({ columns: [t.account, t.item] })]);
const countries = pgTable('countries', { code: varchar('code', { length: 2 }).primaryKey(), name: text('name').notNull() });
const accountsRelations = relations(accounts, ({ many }) => ({ items: many(items) }));
const itemsRelations = relations(items, ({ one }) => ({ owner: one(accounts, { fields: [items.account], references: [accounts.account] }) }));
const db = drizzle(new Pool({ max: 6 }), { schema: { types, accounts, items, countries, accountsRelations, itemsRelations } });
const fails = (promise) => failsAs(promise.then((v) => v, (e) => { throw e.cause || e; }));

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'drizzle-'));
fs.mkdirSync(path.join(folder, 'meta'));
fs.writeFileSync(path.join(folder, 'meta', '_journal.json'), JSON.stringify({ version: '7', dialect: 'postgresql', entries: [
  { idx: 0, version: '7', when: 1700000000000, tag: '0000_shops', breakpoints: true }, { idx: 1, version: '7', when: 1700000001000, tag: '0001_opened', breakpoints: true }] }));
fs.writeFileSync(path.join(folder, '0000_shops.sql'), `CREATE TABLE "shops" ("account_id" bigint NOT NULL, "shop" integer NOT NULL, "name" varchar(30), CONSTRAINT "shops_pk" PRIMARY KEY ("account_id", "shop"));
--> statement-breakpoint
ALTER TABLE "shops" ADD CONSTRAINT "shops_account_fk" FOREIGN KEY ("account_id") REFERENCES "public"."accounts"("account_id") ON DELETE cascade ON UPDATE no action;`);
fs.writeFileSync(path.join(folder, '0001_opened.sql'), 'ALTER TABLE "shops" ADD COLUMN "opened" date;\n--> statement-breakpoint\nCREATE INDEX "shop_names" ON "shops" USING btree ("name");');

async function main() {
  check('types');
  await db.insert(types).values({ id: 1, i2: 1, i4: -2, i8: 3n, num: '1.50', f8: 0.1, b: true, t: 'snowman \u2603 \'q\' "d" \\', vc: 'v', d: '2024-02-29', ts: '2024-02-29 01:02:03.456', tstz: new Date('2024-02-29T01:02:03.456Z'),
    u: '12345678-1234-5678-1234-567812345678', jb: { a: [1, null, 'x'] }, ia: [1, 2], ta: ['a', '', 'q"u'], md: 'happy' });
  await db.insert(types).values([{ id: 2, i8: -9223372036854775808n, num: '-1e30', f8: -Infinity, t: '', ia: [], ta: [], jb: [] }, { id: 3 }]);
  show(await db.select().from(types).orderBy(types.id));
  show(await db.select().from(types).where(eq(types.id, 1)));
  check('insert');
  show(await db.insert(accounts).values([4, 1, 3, 2].map((n) => ({ account: n, owner: 'owner ' + n, balance: String(n * 100), created: new Date('2024-01-01') }))).returning());
  show((await db.insert(items).values(Array.from({ length: 60 }, (_, n) => ({ account: n % 4 + 1, item: n, name: 'item ' + n % 7, price: String(n / 4) }))).returning({ item: items.item, name: items.name })).slice(0, 9));
  show(await db.insert(countries).values([{ code: 'lu', name: 'Luxembourg' }, { code: 'mt', name: 'Malta' }]).returning());
  show(await db.insert(accounts).values({ account: 1, owner: 'again' }).onConflictDoUpdate({ target: accounts.account, set: { owner: sql`excluded.owner` } }).returning({ owner: accounts.owner }));
  show((await db.insert(accounts).values([{ account: 1, owner: 'x' }, { account: 2, owner: 'y' }]).onConflictDoNothing()).rowCount);
  check('select');
  show(await db.select().from(accounts).where(eq(accounts.account, 3)));
  show(await db.select({ item: items.item, price: items.price }).from(items).where(and(eq(items.account, 2), or(lt(items.item, 10), between(items.item, 40, 50)))).orderBy(desc(items.item)));
  show(await db.select().from(items).where(inArray(items.item, [1, 5, 99, 7])).orderBy(items.item));
  show(await db.select({ name: items.name }).from(items).where(and(ilike(items.name, 'ITEM 3'), gt(items.item, 20))).orderBy(items.item));
  show(await db.select().from(items).orderBy(desc(items.price), items.item).limit(3).offset(2));
  show(await db.selectDistinct({ name: items.name }).from(items).orderBy(items.name));
  show(await db.selectDistinctOn([items.name], { name: items.name, item: items.item }).from(items).orderBy(items.name, desc(items.item)));
  show(await db.$count(items, gte(items.item, 10)));
  check('joins and aggregates');
  show(await db.select({ owner: accounts.owner, n: count(), total: sum(items.price), most: max(items.item) }).from(accounts).innerJoin(items, eq(items.account, accounts.account)).groupBy(accounts.account, accounts.owner).orderBy(accounts.owner));
  show(await db.select({ name: items.name, n: count(), mean: avg(items.price) }).from(items).groupBy(items.name).having(({ n }) => gt(n, 8)).orderBy(items.name));
  show(await db.select({ owner: accounts.owner, item: items.item }).from(accounts).leftJoin(items, and(eq(items.account, accounts.account), gt(items.item, 55))).orderBy(accounts.owner, items.item));
  const other = alias(items, 'other');
  show(await db.select({ a: items.item, b: other.item }).from(items).innerJoin(other, and(eq(items.name, other.name), gt(other.item, items.item))).where(lt(items.item, 3)).orderBy(items.item, other.item));
  const dear = db.$with('dear').as(db.select().from(items).where(gt(items.price, '14')));
  show(await db.with(dear).select({ item: dear.item }).from(dear).orderBy(dear.item));
  const totals = db.select({ account: items.account, total: sum(items.price).as('total') }).from(items).groupBy(items.account).as('totals');
  show(await db.select({ owner: accounts.owner, total: totals.total }).from(accounts).innerJoin(totals, eq(totals.account, accounts.account)).orderBy(desc(totals.total)));
  show(await db.select({ owner: accounts.owner }).from(accounts).where(exists(db.select().from(items).where(and(eq(items.account, accounts.account), eq(items.item, 5))))));
  show(await unionAll(db.select({ n: accounts.owner }).from(accounts), db.select({ n: countries.name }).from(countries)).orderBy(sql`1`));
  check('relations');
  show(await db.query.accounts.findMany({ with: { items: { where: lt(items.item, 6), orderBy: asc(items.item), columns: { item: true, name: true } } }, orderBy: asc(accounts.account), columns: { account: true } }));
  show(await db.query.accounts.findFirst({ where: eq(accounts.account, 2), with: { items: { orderBy: desc(items.item), limit: 2 } } }));
  show(await db.query.items.findMany({ where: inArray(items.item, [3, 8]), with: { owner: { columns: { owner: true } } }, orderBy: asc(items.item) }));
  check('prepared');
  const one = db.select().from(items).where(and(eq(items.account, sql.placeholder('a')), eq(items.item, sql.placeholder('i')))).prepare('one_item');
  for (let n = 0; n < 6; n++) show(await one.execute({ a: n % 4 + 1, i: n }));
  const many = db.select({ n: count() }).from(items).where(lt(items.item, sql.placeholder('i'))).prepare('many_items');
  for (let n = 0; n < 6; n++) show(await many.execute({ i: n * 10 }));
  check('update and delete');
  show(await db.update(accounts).set({ balance: sql`${accounts.balance} + 1` }).where(eq(accounts.account, 1)).returning({ balance: accounts.balance }));
  show((await db.update(items).set({ name: 'renamed' }).where(notInArray(items.item, [1, 2, 3]))).rowCount);
  show((await db.update(items).set({ price: null }).where(and(like(items.name, 'ren%'), gt(items.item, 50)))).rowCount);
  show(await db.select({ n: count() }).from(items).where(isNull(items.price)));
  show((await db.delete(items).where(gt(items.item, 57)).returning({ item: items.item })).map((r) => r.item).sort());
  check('errors');
  for (const text of faults) await fails(db.execute(text));
  check('transactions');
  await db.transaction(async (t) => {
    await t.update(accounts).set({ owner: 'in' }).where(eq(accounts.account, 2));
    await t.transaction(async (u) => { await u.update(accounts).set({ owner: 'undone' }); u.rollback(); }).catch((e) => show(e.message));
    await fails(t.transaction((u) => u.execute('SELECT 1/0')));
    await t.insert(items).values([{ account: 1, item: 900, name: 'a' }, { account: 2, item: 900, name: 'b' }, { account: 3, item: 900, name: 'c' }]);
  });
  show(await db.select({ owner: accounts.owner }).from(accounts).orderBy(accounts.account));
  await db.transaction(async (t) => { await t.delete(items); t.rollback(); }).catch((e) => show(e.message));
  show(await db.$count(items));
  await db.transaction(async (t) => show((await t.execute('SHOW transaction_isolation')).rows), { isolationLevel: 'repeatable read', accessMode: 'read only' });
  await db.transaction(async (t) => show(await t.select().from(accounts).where(eq(accounts.account, 2)).for('update')));
  check('cancel');
  await db.transaction(async (t) => {
    const { pid } = (await t.execute('SELECT pg_backend_pid() AS pid')).rows[0];
    setTimeout(async () => { await db.execute(sql`SELECT pg_cancel_backend(${pid})`); }, 300);
    await fails(t.execute('SELECT account_id, pg_sleep(60) FROM accounts'));
    t.rollback();
  }).catch((e) => show(e.message));
  check('concurrency');
  await db.update(accounts).set({ balance: '1000' });
  await Promise.all(Array.from({ length: 60 }, (_, i) => (async () => {
    const [a, b] = [i % 4 + 1, (i + 1) % 4 + 1].sort();
    for (;;) {
      try {
        await db.transaction(async (t) => {
          await t.update(accounts).set({ balance: sql`${accounts.balance} - 1` }).where(eq(accounts.account, a));
          await t.update(accounts).set({ balance: sql`${accounts.balance} + 1` }).where(eq(accounts.account, b));
        });
        return;
      } catch (e) { if (!['40P01', '40001'].includes((e.cause || e).code)) throw e; }
    }
  })()));
  show(await db.select({ s: sum(accounts.balance) }).from(accounts));
  check('migrator');
  await migrate(db, { migrationsFolder: folder });
  await migrate(db, { migrationsFolder: folder });
  show((await db.execute('SELECT id, created_at FROM drizzle.__drizzle_migrations ORDER BY id')).rows);
  show((await db.execute("INSERT INTO shops VALUES (3, 1, 'a'), (1, 1, 'b'), (2, 1, 'c') RETURNING *")).rows);
  await fails(db.execute("INSERT INTO shops VALUES (77, 1, 'nobody')"));
  fs.rmSync(folder, { recursive: true });
  check('end');
  process.exit(0);
}

main().catch((e) => { console.error(e); process.exit(1); });
