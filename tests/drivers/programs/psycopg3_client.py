# psycopg 3: server-side parameters, text and binary, prepared statements, pipeline mode, server-side cursors, COPY.
import asyncio
import threading
import time

import psycopg
from psycopg import ClientCursor
from psycopg.types.json import Json, Jsonb
from psycopg.types.numeric import Int4
from common import COLUMNS, JSONS, NUMERIC_EDGES, ROWS, D, check, end, show

con = psycopg.connect("", autocommit=True)


def query(sql, args=None, binary=False, c=None, **kw):
    k = (c or con).execute(sql, args, binary=binary, **kw)
    print(k.statusmessage, k.rowcount)
    if k.description:
        show([(d.name, d.type_code if d.type_code < 16384 else "user", d.internal_size, d.precision, d.scale) for d in k.description])
        for row in k.fetchall():
            show(row)


def fails(sql, args=None, c=None, **kw):
    try:
        (c or con).execute(sql, args, **kw)
        print("no error")
    except psycopg.Error as e:
        print(type(e).__name__, e.sqlstate, e.diag.message_primary, e.diag.constraint_name, e.diag.table_name, e.diag.column_name)


for binary, base in ((False, 0), (True, 1000)):
    check("types in " + ("binary" if binary else "text"))
    mark = "%b" if binary else "%t"
    for row in ROWS:
        row = (row[0] + base,) + row[1:]
        con.execute("INSERT INTO types (%s) VALUES (%s)" % (", ".join(COLUMNS), ", ".join("%t::mood" if c == "md" else mark + "::numeric[]" if c == "na" else mark + "::int[]" if c == "ia" else mark + "::text[]" if c == "ta" else mark for c in COLUMNS)), row)
    query("SELECT %s FROM types WHERE id = %%s" % ", ".join(COLUMNS), (base + 1,), binary=binary)
    query("SELECT %s FROM types WHERE id BETWEEN %%s AND %%s AND d < '9999-01-01' ORDER BY id" % ", ".join(COLUMNS), (base - 5, base + 10), binary=binary)
    query("SELECT id, t, ba, num, u FROM types ORDER BY id", None, binary=binary)
    query("SELECT u, md, ia FROM types ORDER BY num NULLS FIRST, id LIMIT 3", None, binary=binary)
    query("SELECT count(*), sum(i4), sum(num), max(d), min(ts) FROM types WHERE id > %s", (base,), binary=binary)
check("nulls")
query("SELECT * FROM types WHERE id = %s", (4,), binary=True)
query("SELECT %s::int, %t::text, %b::bytea", (None, None, None))
query("SELECT id FROM types WHERE t IS NOT DISTINCT FROM %s ORDER BY id", (None,))
check("arrays")
query("SELECT id, ia, ta FROM types WHERE id = ANY(%s) ORDER BY id", ([1, 3, 1001],))
query("SELECT id FROM types WHERE id = ANY(%b) ORDER BY id", ([1, 3, 1001],), binary=True)
query("SELECT %s::int[], %s::text[], %s::numeric[]", ([[1, 2], [3, 4]], [], [D("1.0"), None]), binary=True)
check("json")
for n, j in enumerate(JSONS):
    con.execute("INSERT INTO types (id, j, jb) VALUES (%s, %s, %s)", (2000 + n, j, j))
con.execute("INSERT INTO types (id, j, jb) VALUES (%b, %b, %b)", (2100, Json({"a": 1}), Jsonb(["x", None])))
for binary in (False, True):
    query("SELECT id, j, jb FROM types WHERE id BETWEEN 2000 AND 2999 ORDER BY id", binary=binary)
    query("SELECT id FROM types WHERE jb @> %s ORDER BY id", (Jsonb({"a": [None]}),), binary=binary)
check("numeric edges")
for n, v in enumerate(NUMERIC_EDGES):
    con.execute("INSERT INTO types (id, num) VALUES (%s, " + ("%b" if n % 2 else "%t") + ")", (3000 + n, D(v)))
for binary in (False, True):
    query("SELECT id, num FROM types WHERE id BETWEEN 3000 AND 3999 ORDER BY id", binary=binary)
    query("SELECT num FROM types WHERE id BETWEEN 3000 AND 3999 ORDER BY num DESC, id", binary=binary)
    query("SELECT sum(num), avg(num), max(num) FROM types WHERE id BETWEEN 3000 AND 3999 AND num <> 'NaN'", binary=binary)
fails("INSERT INTO types (id, num2) VALUES (4000, %s)", (D("1e10"),))
fails("INSERT INTO types (id, i2) VALUES (4000, %s)", (32768,))
check("other types")
con.execute("INSERT INTO types (id, ip, net, mac, bits, vbits, pt, r, m, titz, p, pos) VALUES (4100, '::1', '10.0.0.0/8', '08:00:2b:01:02:03', B'1010', B'1', '(1,2)', '[1,5)', '12.34', '12:00+02', '(1,\"a,b\")', 7)")
query("SELECT id, ip, net, mac, bits, vbits, pt, r, m, titz, p, pos FROM types WHERE id = 4100")
query("SELECT id, ip, net, bits, pt, r, titz, pos FROM types WHERE id = 4100", binary=True)
query("SELECT id, r, ip FROM types WHERE id IN (4100, 1) ORDER BY id", binary=True)
check("errors")
query("INSERT INTO accounts (account_id, owner, balance, created) VALUES (%s, %s, %s, %s), (2, 'bob', 20, '2024-01-01'), (3, 'cem', 30, '2024-01-01')", (1, "ann", D(10), "2024-01-01"))
for sql in ["SELECT 1/0", "SELECT * FROM nowhere", "SELEC", "INSERT INTO accounts (account_id, owner) VALUES (1, 'x')", "INSERT INTO accounts (account_id, owner) VALUES (7, NULL)",
            "UPDATE accounts SET balance = -1 WHERE account_id = 1", "INSERT INTO items VALUES (99, 1, 'x', 1)", "SELECT 'x'::mood", "INSERT INTO types (id, pos) VALUES (5000, 0)", "SET nothing = 1", "SELECT 1; SELECT 2/0; SELECT 3"]:
    fails(sql)
    fails(sql, prepare=True)
fails("SELECT owner FROM accounts WHERE account_id = %s", ("x",))
fails("SELECT %s + 1", ("x",))
fails("SELECT owner FROM accounts WHERE owner = %s", (5,))
check("transactions")
with con.transaction():
    query("UPDATE accounts SET balance = balance - %s WHERE account_id = 1", (5,))
    query("UPDATE accounts SET balance = balance + %s WHERE account_id = 2", (5,))
    print(con.info.transaction_status)
try:
    with con.transaction():
        query("UPDATE accounts SET balance = 99")
        con.execute("SELECT 1/0")
except psycopg.Error as e:
    print(e.sqlstate)
query("SELECT account_id, balance FROM accounts ORDER BY 1")
con.autocommit = False
for level in psycopg.IsolationLevel.READ_COMMITTED, psycopg.IsolationLevel.REPEATABLE_READ:
    con.isolation_level = level
    query("SELECT account_id, balance FROM accounts ORDER BY 1")
    query("SHOW transaction_isolation")
    con.rollback()
con.isolation_level = None
con.read_only = True
fails("UPDATE accounts SET balance = 0 WHERE account_id = 1")
con.rollback()
con.read_only = None
con.autocommit = True
check("savepoints")
with con.transaction():
    for n, bad in ((1, False), (2, True), (3, False)):
        try:
            with con.transaction():
                query("UPDATE accounts SET balance = %s WHERE account_id = %s", (n, n))
                if bad:
                    con.execute("UPDATE accounts SET balance = -1 WHERE account_id = 3")
        except psycopg.Error as e:
            print(e.sqlstate)
    with con.transaction() as t:
        query("DELETE FROM accounts")
        raise psycopg.Rollback(t)
query("SELECT account_id, balance FROM accounts ORDER BY 1")
check("prepared")
for n in range(12):
    query("SELECT account_id, owner FROM accounts WHERE account_id = %s", (n % 4,))
    query("SELECT account_id, owner FROM accounts WHERE account_id = %b", (Int4(n % 4),), prepare=True, binary=bool(n % 2))
    query("SELECT count(*) FROM accounts WHERE balance > %s", (D(n),), prepare=True)
con.prepared_max = 3
for n in range(20):
    query("SELECT account_id + %d FROM accounts WHERE account_id = %%s" % n, (2,), prepare=True)
con.execute("ALTER TABLE accounts ADD COLUMN more integer DEFAULT 5")
fails("SELECT * FROM accounts WHERE account_id = %s", (1,), prepare=True)
con.execute("ALTER TABLE accounts DROP COLUMN more")
query("SELECT account_id, owner FROM accounts WHERE account_id = %s", (1,))
check("batches")
k = con.cursor()
k.executemany("INSERT INTO items VALUES (%s, %s, %s, %s)", [(a, i, "item %d" % i, i) for i in range(1, 31) for a in (1, 2, 3)])
print(k.rowcount)
k.executemany("UPDATE items SET price = price + %s WHERE account_id = %s AND item = %s RETURNING account_id, price", [(n, n % 3 + 1, n) for n in range(1, 10)], returning=True)
while True:
    show(k.fetchall())
    if not k.nextset():
        break
query("SELECT account_id, count(*), sum(price) FROM items GROUP BY 1 ORDER BY 1")
check("pipeline")
with con.pipeline() as p:
    a = con.execute("SELECT owner FROM accounts WHERE account_id = %s", (1,))
    b = con.execute("SELECT count(*) FROM items")
    c = con.execute("UPDATE accounts SET balance = balance + 1 WHERE account_id = %s", (2,))
    d = con.execute("SELECT balance FROM accounts WHERE account_id = %s", (2,))
    p.sync()
    show((a.fetchall(), b.fetchall(), c.rowcount, d.fetchall()))
try:
    with con.pipeline() as p:
        con.execute("UPDATE accounts SET balance = 500 WHERE account_id = 1")
        con.execute("SELECT 1/0")
        con.execute("UPDATE accounts SET balance = 500 WHERE account_id = 2")
except psycopg.Error as e:
    print(type(e).__name__, e.sqlstate)
query("SELECT account_id, balance FROM accounts ORDER BY 1")
with con.pipeline(), con.transaction():
    cs = [con.execute("UPDATE accounts SET balance = balance + 1 WHERE account_id = %s RETURNING balance", (n % 3 + 1,)) for n in range(60)]
    show([c.fetchone() for c in cs])
with con.pipeline():
    with con.transaction():
        con.execute("UPDATE accounts SET balance = 7 WHERE account_id = 1")
    with con.transaction():
        con.execute("UPDATE accounts SET balance = 8 WHERE account_id = 2")
query("SELECT account_id, balance FROM accounts ORDER BY 1")
check("server-side cursors")
for binary in (False, True):
    for scrollable in (None, False, True):
        with con.transaction(), con.cursor("named", scrollable=scrollable) as k:
            k.execute("SELECT account_id, item FROM items WHERE account_id = 1 ORDER BY item", binary=binary)
            show((k.fetchone(), k.fetchmany(3), len(k.fetchall())))
            if scrollable:
                k.scroll(-5)
                show(k.fetchall())
    with con.transaction(), con.cursor("all") as k:
        k.itersize = 10
        k.execute("SELECT item, account_id, price FROM items ORDER BY item, account_id", binary=binary)
        show([r for r in k])
with con.cursor("held", withhold=True) as k:
    k.execute("SELECT item FROM items WHERE account_id = %s ORDER BY item", (2,))
    show(k.fetchmany(2))
    show(k.fetchmany(2))
check("stream")
show([r for r in con.cursor().stream("SELECT item, account_id FROM items WHERE item < %s ORDER BY 1, 2", (5,))])
show([r for r in con.cursor().stream("SELECT item FROM items WHERE account_id = 1 ORDER BY 1", binary=True)])
check("several results")
k = con.execute("SELECT 1; SELECT owner FROM accounts ORDER BY account_id; UPDATE accounts SET balance = 9 WHERE account_id = 3")
while True:
    show((k.statusmessage, k.fetchall() if k.description else None))
    if not k.nextset():
        break
with ClientCursor(con) as k:
    k.execute("SELECT owner, %s FROM accounts WHERE account_id = %s; SELECT count(*) FROM items", ("it's", 1))
    show(k.fetchall())
    k.nextset()
    show(k.fetchall())
check("copy")
k = con.cursor()
with k.copy("COPY items FROM STDIN") as copy:
    for r in [(1, 100, "from copy", D("1.5")), (2, 100, "ä\n\\\t", None), (3, 100, "", 0)]:
        copy.write_row(r)
print(k.rowcount, k.statusmessage)
with k.copy("COPY items (account_id, item, name, price) FROM STDIN (FORMAT BINARY)") as copy:
    copy.set_types(["int8", "int4", "varchar", "numeric"])
    for n in range(3000):
        copy.write_row((n % 3 + 1, 1000 + n, "name %d" % n, D(n)))
print(k.rowcount)
with k.copy("COPY items TO STDOUT") as copy:
    show(sorted(bytes(b) for b in copy)[:5])
with k.copy("COPY (SELECT account_id, item, price FROM items WHERE account_id = 1 AND item < 101 ORDER BY item) TO STDOUT (FORMAT BINARY)") as copy:
    copy.set_types(["int8", "int4", "numeric"])
    show(list(copy.rows()))
try:
    with k.copy("COPY items FROM STDIN") as copy:
        copy.write("1\t100\tagain\t0\n")
except psycopg.Error as e:
    print(e.sqlstate, e.diag.message_primary)
try:
    with k.copy("COPY items FROM STDIN") as copy:
        copy.write("1\t5000\tgiven up\t0\n")
        raise ValueError("mine")
except (ValueError, psycopg.Error) as e:
    print(type(e).__name__, getattr(e, "sqlstate", None))
query("SELECT account_id, count(*), sum(price) FROM items GROUP BY 1 ORDER BY 1")
check("cancel")
for sql in ("SELECT pg_sleep(60)", "SELECT account_id, pg_sleep(60) FROM accounts"):
    timer = threading.Timer(0.4, con.cancel)
    timer.start()
    start = time.time()
    fails(sql)
    timer.join()
    print(time.time() - start < 30)
query("SELECT 1")
check("concurrency")
con.execute("UPDATE accounts SET balance = 1000")


async def transfer(n):
    async with await psycopg.AsyncConnection.connect("", autocommit=True) as c:
        for i in range(20):
            a, b = sorted(((n + i) % 3 + 1, (n + i + 1) % 3 + 1))
            while True:
                try:
                    async with c.transaction():
                        await c.execute("UPDATE accounts SET balance = balance - 1 WHERE account_id = %s", (a,))
                        await c.execute("UPDATE accounts SET balance = balance + 1 WHERE account_id = %s", (b,))
                    break
                except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected):
                    pass


async def transfers():
    await asyncio.gather(*(transfer(n) for n in range(10)))


asyncio.run(transfers())
query("SELECT sum(balance) FROM accounts")
check("listen and notify")
con.execute("LISTEN news")
with psycopg.connect("", autocommit=True) as other:
    other.execute("SELECT pg_notify('news', 'hello')")
    with other.transaction():
        other.execute("UPDATE accounts SET balance = 0 WHERE account_id = 2")
        other.execute("NOTIFY news, 'second'")
got = []
for n in con.notifies():
    got.append((n.channel, n.payload))
    if len(got) == 2:
        break
show(got)
check("session")
show((con.info.encoding, con.info.server_version, con.info.parameter_status("TimeZone"), con.info.parameter_status("is_superuser")))
query("SET TimeZone = 'Asia/Tokyo'")
show(con.info.parameter_status("TimeZone"))
query("SELECT account_id, created FROM accounts ORDER BY 1")
query("SELECT account_id, created FROM accounts ORDER BY 1", binary=True)
query("SELECT pg_backend_pid() = %s", (con.info.backend_pid,))
end()
