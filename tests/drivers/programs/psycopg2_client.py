# psycopg2: text protocol, client-side parameters.
import threading
import time

import psycopg2
import psycopg2.extensions
import psycopg2.extras
import io
from common import COLUMNS, JSONS, NUMERIC_EDGES, ROWS, check, end, show

psycopg2.extras.register_uuid()
con = psycopg2.connect("")
con.autocommit = True
cur = con.cursor()


def query(sql, args=None, cursor=None):
    c = cursor or cur
    c.execute(sql, args)
    print(c.statusmessage, c.rowcount)
    if c.description:
        show([(d.name, d.type_code if d.type_code < 16384 else "user", d.internal_size, d.precision, d.scale) for d in c.description])
        for row in c.fetchall():
            show(tuple(bytes(v) if isinstance(v, memoryview) else v for v in row))


def fails(sql, args=None, cursor=None):
    try:
        (cursor or cur).execute(sql, args)
        print("no error")
    except psycopg2.Error as e:
        print(type(e).__name__, e.pgcode, e.diag.message_primary, e.diag.constraint_name, e.diag.table_name, e.diag.column_name)


check("types")
for row in ROWS:
    cur.execute("INSERT INTO types (%s) VALUES (%s)" % (", ".join(COLUMNS), ", ".join("%s::mood" if c == "md" else "%s::numeric[]" if c == "na" else "%s::int[]" if c == "ia" else "%s::text[]" if c == "ta" else "%s" for c in COLUMNS)), row)
query("SELECT %s FROM types WHERE id = 1" % ", ".join(COLUMNS))
query("SELECT %s FROM types ORDER BY id" % ", ".join(COLUMNS))
check("nulls")
query("SELECT * FROM types WHERE id = 4")
query("SELECT id FROM types WHERE t IS NULL")
query("SELECT %s IS NULL, %s::int", (None, None))
check("arrays")
query("SELECT id, ia, ta FROM types WHERE id = ANY(%s) ORDER BY id", ([1, 3],))
query("SELECT id FROM types WHERE id IN %s ORDER BY id", ((1, 3, 99),))
query("SELECT id, ia[1], array_length(ta, 1) FROM types WHERE ia @> %s ORDER BY id", ([5],))
check("json")
for n, j in enumerate(JSONS):
    cur.execute("INSERT INTO types (id, j, jb) VALUES (%s, %s, %s)", (100 + n, j, j))
query("SELECT id, j, jb FROM types WHERE id >= 100 ORDER BY id")
query("SELECT id FROM types WHERE jb @> %s", (psycopg2.extras.Json({"a": [None]}),))
query("SELECT j->'a', jb->>'b' FROM types WHERE id = 100")
check("numeric edges")
for n, v in enumerate(NUMERIC_EDGES):
    cur.execute("INSERT INTO types (id, num) VALUES (%s, %s)", (200 + n, v))
query("SELECT id, num FROM types WHERE id >= 200 ORDER BY id")
query("SELECT sum(num), max(num) FROM types WHERE id >= 200 AND num <> 'NaN'")
fails("INSERT INTO types (id, num2) VALUES (300, 1e10)")
fails("INSERT INTO types (id, i2) VALUES (300, 32768)")
check("other types")
query("INSERT INTO types (id, ip, net, mac, bits, vbits, pt, r, m, titz, p, pos) VALUES (400, '::1', '10.0.0.0/8', '08:00:2b:01:02:03', B'1010', B'1', '(1,2)', '[1,5)', '12.34', '12:00+02', '(1,\"a,b\")', 7)")
query("SELECT id, ip, net, mac, bits, vbits, pt, r, m, titz, p, pos FROM types WHERE id = 400")
check("errors")
query("INSERT INTO accounts (account_id, owner, balance, created) VALUES (1, 'ann', 10, '2024-01-01'), (2, 'bob', 20, '2024-01-01'), (3, 'cem', 30, '2024-01-01')")
for sql in ["SELECT 1/0", "SELECT * FROM nowhere", "SELEC", "INSERT INTO accounts (account_id, owner) VALUES (1, 'x')", "INSERT INTO accounts (account_id, owner) VALUES (7, NULL)",
            "UPDATE accounts SET balance = -1 WHERE account_id = 1", "INSERT INTO items VALUES (99, 1, 'x', 1)", "SELECT 'x'::mood", "INSERT INTO types (id, pos) VALUES (500, 0)", "SELECT pg_sleep('x')", "SET nothing = 1"]:
    fails(sql)
check("transactions")
con.autocommit = False
query("UPDATE accounts SET balance = balance - 5 WHERE account_id = 1")
query("UPDATE accounts SET balance = balance + 5 WHERE account_id = 2")
print(con.get_transaction_status())
con.rollback()
query("SELECT account_id, balance FROM accounts ORDER BY 1")
query("UPDATE accounts SET balance = balance - 5 WHERE account_id = 1")
query("UPDATE accounts SET balance = balance + 5 WHERE account_id = 2")
con.commit()
fails("SELECT 1/0")
fails("SELECT 1")
con.rollback()
for level in ("READ COMMITTED", "REPEATABLE READ", "READ UNCOMMITTED"):
    con.set_session(isolation_level=level)
    query("SELECT account_id, balance FROM accounts ORDER BY 1")
    query("SHOW transaction_isolation")
    con.commit()
con.set_session(isolation_level="READ COMMITTED", readonly=True)
fails("UPDATE accounts SET balance = 0 WHERE account_id = 1")
con.rollback()
con.set_session(readonly=False)
check("savepoints")
query("SAVEPOINT a")
query("UPDATE accounts SET balance = 1 WHERE account_id = 1")
query("SAVEPOINT b")
fails("UPDATE accounts SET balance = -1 WHERE account_id = 3")
query("ROLLBACK TO b")
query("UPDATE accounts SET balance = 3 WHERE account_id = 3")
query("RELEASE b")
con.commit()
query("SELECT account_id, balance FROM accounts ORDER BY 1")
con.commit()
check("server-side cursors")
cur.execute("INSERT INTO items SELECT account_id, 0, 'x', 1 FROM accounts WHERE account_id = 1")
psycopg2.extras.execute_values(cur, "INSERT INTO items VALUES %s", [(a, i, "item %d" % i, i) for a in (1, 2, 3) for i in range(1, 51)])
print(cur.rowcount)
named = con.cursor("named")
named.itersize = 7
named.execute("SELECT account_id, item FROM items ORDER BY item, account_id")
show(named.fetchone())
show(named.fetchmany(3))
show(len(named.fetchall()))
named.close()
with con.cursor("one") as named:
    named.execute("SELECT item FROM items WHERE account_id = %s ORDER BY item", (2,))
    show([r[0] for r in named])
con.commit()
with con.cursor("held", withhold=True) as named:
    named.execute("SELECT item FROM items WHERE account_id = 2 ORDER BY item")
    con.commit()
    show(named.fetchmany(2))
con.commit()
con.autocommit = True
check("prepared")
cur.execute("PREPARE q (bigint) AS SELECT owner FROM accounts WHERE account_id = $1")
for n in range(8):
    query("EXECUTE q (%s)", (n % 4,))
cur.execute("DEALLOCATE q")
check("batches")
psycopg2.extras.execute_batch(cur, "UPDATE accounts SET balance = balance + %s WHERE account_id = %s", [(n, n % 3 + 1) for n in range(50)])
query("SELECT account_id, balance FROM accounts ORDER BY 1")
cur.executemany("DELETE FROM items WHERE account_id = %s AND item > %s", [(1, 40), (2, 30), (3, 20)])
query("SELECT account_id, count(*) FROM items GROUP BY 1 ORDER BY 1")
check("copy")
cur.copy_from(io.StringIO("1\t100\tfrom copy\t1.5\n2\t100\tä\\n\\\\\t\\N\n3\t100\t\t0\n"), "items")
out = io.StringIO()
cur.copy_expert("COPY items TO STDOUT", out)
show(sorted(out.getvalue().splitlines()))
out = io.BytesIO()
cur.copy_expert("COPY (SELECT * FROM items WHERE account_id = 1 ORDER BY item) TO STDOUT (FORMAT csv, HEADER)", out)
show(out.getvalue())
out = io.BytesIO()
cur.copy_expert("COPY (SELECT account_id, item, price FROM items WHERE account_id = 1 ORDER BY item) TO STDOUT (FORMAT binary)", out)
show(out.getvalue())
try:
    cur.copy_from(io.StringIO("1\t100\tagain\t0\n"), "items")
except psycopg2.Error as e:
    print(e.pgcode)
big = io.StringIO("".join("%d\t%d\tname %d\t%d\n" % (n % 3 + 1, 1000 + n, n, n) for n in range(20_000)))
cur.copy_from(big, "items", size=8192)
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
cur.execute("SET statement_timeout = 200")
fails("SELECT pg_sleep(60)")
cur.execute("RESET statement_timeout")
check("concurrency")
cur.execute("UPDATE accounts SET balance = 1000")


def transfer(n, errors):
    c = psycopg2.connect("")
    for i in range(25):
        a, b = (n + i) % 3 + 1, (n + i + 1) % 3 + 1
        while True:
            try:
                with c, c.cursor() as k:
                    k.execute("UPDATE accounts SET balance = balance - 1 WHERE account_id = %s", (min(a, b),))
                    k.execute("UPDATE accounts SET balance = balance + 1 WHERE account_id = %s", (max(a, b),))
                break
            except psycopg2.Error as e:
                if e.pgcode not in ("40001", "40P01"):
                    errors.append(e)
                    return


errors = []
threads = [threading.Thread(target=transfer, args=(n, errors)) for n in range(8)]
for t in threads:
    t.start()
for t in threads:
    t.join()
show(errors)
query("SELECT sum(balance) FROM accounts")
check("listen and notify")
other = psycopg2.connect("")
other.autocommit = True
cur.execute("LISTEN news")
other.cursor().execute("NOTIFY news, 'hello'")
until = time.time() + 20
while not con.notifies and time.time() < until:
    con.poll()
    time.sleep(0.02)
show([(n.channel, n.payload) for n in con.notifies])
check("session")
show((con.encoding, con.server_version, con.get_parameter_status("TimeZone"), con.get_parameter_status("integer_datetimes")))
con.set_client_encoding("UTF8")
query("SET TimeZone = 'Asia/Tokyo'")
show(con.get_parameter_status("TimeZone"))
con.reset()
show(con.get_parameter_status("TimeZone"))
query("SELECT account_id, owner, created FROM accounts WHERE account_id = 1")
check("large objects")
con.commit()
con.autocommit = False
try:
    lo = con.lobject(0, "wb")
    lo.write(b"x" * 100_000)
    oid = lo.oid
    lo.close()
    con.commit()
    lo = con.lobject(oid, "rb")
    lo.seek(99_990)
    show(lo.read())
    lo.unlink()
    con.commit()
    lo = con.lobject(0, "wb")
    oid = lo.oid
    lo.write(b"gone")
    cur.execute("INSERT INTO accounts (account_id, owner) VALUES (7001, 'a'), (7002, 'b'), (7003, 'c')")
    con.rollback()
    try:
        con.lobject(oid, "rb")
    except psycopg2.Error as e:
        show(str(e).splitlines()[0].replace(str(oid), "N"))
    try:
        con.lobject(0, "wb")
    except psycopg2.Error as e:
        show(str(e).splitlines()[0])
    con.rollback()
    lo = con.lobject(0, "wb")
    oid = lo.oid
    lo.write(b"stays")
    cur.execute("INSERT INTO accounts (account_id, owner) VALUES (7001, 'a'), (7002, 'b'), (7003, 'c')")
    con.commit()
    lo = con.lobject(oid, "rwb")
    show([lo.read(), lo.tell(), lo.seek(0, 2)])
    lo.truncate(2)
    lo.seek(0)
    show(lo.read())
    lo.unlink()
    cur.execute("DELETE FROM accounts WHERE account_id BETWEEN 7001 AND 7003")
    show(cur.rowcount)
    con.commit()
except psycopg2.Error as e:
    show(e)
end()
