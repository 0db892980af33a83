# asyncpg: binary only, prepared statements, cursors, COPY, pools, type introspection.
import asyncio
import io

import asyncpg
from common import COLUMNS, JSONS, NUMERIC_EDGES, ROWS, D, check, end, show


async def main():
    con = await asyncpg.connect()

    async def query(sql, *args):
        try:
            s = await con.prepare(sql)
            rows = await s.fetch(*args)
            print(s.get_statusmsg())
            show([(a.name, a.type.name) for a in s.get_attributes()])
            for r in rows:
                show(tuple(r))
        except asyncpg.PostgresError as e:
            print(type(e).__name__, e.sqlstate, e.message, e.constraint_name, e.table_name, e.column_name)

    check("types")
    for row in ROWS:
        await query("INSERT INTO types (%s) VALUES (%s)" % (", ".join(COLUMNS), ", ".join("$%d" % (n + 1) for n in range(len(COLUMNS)))), *row)
    await query("SELECT %s FROM types WHERE id = $1" % ", ".join(COLUMNS), 1)
    await query("SELECT %s FROM types ORDER BY id" % ", ".join(COLUMNS))
    await query("SELECT id, num, u FROM types ORDER BY num DESC NULLS LAST, id LIMIT 3")
    await query("SELECT count(*), sum(i4), max(ts) FROM types")
    check("users' types")
    await query("INSERT INTO types (id, md, p, pos, r, ip, bits, pt, jb) VALUES ($1, $2, $3, $4, '[1,5)', '::1', B'1010', '(1,2)', '{}')", 50, "happy", (1, "a b"), 7)
    await query("SELECT md, p, pos, r, ip, bits, pt, jb FROM types WHERE id = $1", 50)
    await query("SELECT md, p, pos FROM types ORDER BY id")
    check("NULLs and arrays")
    await query("SELECT $1::int, $2::text[]", None, [None, "x"])
    await query("SELECT id FROM types WHERE id = ANY($1::bigint[]) ORDER BY id", [1, 3])
    check("json")
    for n, j in enumerate(JSONS):
        await query("INSERT INTO types (id, j, jb) VALUES ($1, $2, $3)", 100 + n, j, j)
    await query("SELECT j, jb FROM types WHERE id >= 100 ORDER BY id")
    check("numeric edges")
    for n, v in enumerate(NUMERIC_EDGES):
        await query("INSERT INTO types (id, num) VALUES ($1, $2)", 200 + n, D(v))
    await query("SELECT id, num FROM types WHERE id >= 200 ORDER BY num, id")
    check("errors")
    await query("INSERT INTO accounts (account_id, owner, balance, created) VALUES (1, $1, 10, '2024-01-01'), (2, 'bob', 20, '2024-01-01'), (3, 'cem', 30, '2024-01-01')", "ann")
    for sql in ["SELECT 1/0", "SELECT * FROM nowhere", "SELEC", "INSERT INTO accounts (account_id, owner) VALUES (1, 'x')", "INSERT INTO accounts (account_id, owner) VALUES (7, NULL)",
                "UPDATE accounts SET balance = -1 WHERE account_id = 1", "INSERT INTO items VALUES (99, 1, 'x', 1)", "SELECT 'x'::mood"]:
        await query(sql)
    check("transactions and savepoints")
    async with con.transaction():
        await con.execute("UPDATE accounts SET balance = balance - 5 WHERE account_id = 1")
        try:
            async with con.transaction():
                await con.execute("UPDATE accounts SET balance = -1")
        except asyncpg.CheckViolationError as e:
            print(e.sqlstate)
        async with con.transaction():
            await con.execute("UPDATE accounts SET balance = balance + 5 WHERE account_id = 3")
    async with con.transaction(isolation="repeatable_read", readonly=True):
        await query("SELECT account_id, balance FROM accounts ORDER BY 1")
    check("prepared")
    one = await con.prepare("SELECT owner FROM accounts WHERE account_id = $1")
    all_of = await con.prepare("SELECT count(*), sum(balance) FROM accounts WHERE balance > $1")
    for n in range(10):
        show((await one.fetchval(n % 4), tuple(await all_of.fetchrow(D(n)))))
    check("one row")
    show(await con.fetchval("SELECT owner FROM accounts WHERE account_id = 2"))
    show(tuple(await con.fetchrow("SELECT owner FROM accounts WHERE account_id = $1", 2)))
    check("one row over shards")
    show(await con.fetchval("SELECT count(*) FROM accounts"))
    show(tuple(await con.fetchrow("SELECT owner FROM accounts ORDER BY account_id DESC")))
    check("batches")
    await con.executemany("INSERT INTO items VALUES ($1, $2, $3, $4)", [(n % 3 + 1, n, "item %d" % n, D(n)) for n in range(90)])
    await query("SELECT account_id, count(*), sum(price) FROM items GROUP BY 1 ORDER BY 1")
    check("cursors")
    async with con.transaction():
        show([r[0] async for r in con.cursor("SELECT item FROM items WHERE account_id = $1 ORDER BY item", 1, prefetch=7)])
    check("cursors over shards")
    async with con.transaction():
        try:
            show([r[0] async for r in con.cursor("SELECT item FROM items ORDER BY item", prefetch=7)])
        except asyncpg.PostgresError as e:
            print(e.sqlstate)
            raise
    check("copy")
    print(await con.copy_records_to_table("items", records=[(1, 500, "x", D(1)), (2, 500, "ä", None), (3, 500, "", D(2))]))
    print(await con.copy_to_table("items", source=io.BytesIO(b"1,501,csv,1\n2,501,csv,\n"), format="csv"))
    out = io.BytesIO()
    print(await con.copy_from_query("SELECT * FROM items WHERE account_id = $1 ORDER BY item", 2, output=out, format="csv"))
    show(out.getvalue())
    out = io.BytesIO()
    print(await con.copy_from_table("items", output=out))
    show(sorted(out.getvalue().splitlines()))
    check("cancel")
    try:
        await con.fetch("SELECT account_id, pg_sleep(60) FROM accounts", timeout=0.4)
    except asyncio.TimeoutError:
        print("timeout")
    await query("SELECT 1 AS one")
    check("concurrency")
    await con.execute("UPDATE accounts SET balance = 1000")
    async with asyncpg.create_pool(min_size=4, max_size=8) as pool:
        async def transfer(n):
            a, b = sorted((n % 3 + 1, (n + 1) % 3 + 1))
            while True:
                try:
                    async with pool.acquire() as c, c.transaction():
                        await c.execute("UPDATE accounts SET balance = balance - 1 WHERE account_id = $1", a)
                        await c.execute("UPDATE accounts SET balance = balance + 1 WHERE account_id = $1", b)
                    return
                except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError):
                    pass
        await asyncio.gather(*(transfer(n) for n in range(100)))
        show(await pool.fetch("SELECT sum(balance) FROM accounts"))
        check("notifications")
        heard = asyncio.Future()
        await con.add_listener("news", lambda c, pid, channel, payload: heard.set_result((channel, payload)))
        await pool.execute("NOTIFY news, 'hello'")
        show(await asyncio.wait_for(heard, 20))
    await con.close()
    end()


asyncio.run(main())
