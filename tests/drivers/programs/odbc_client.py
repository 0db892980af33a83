# psqlODBC through pyodbc.
import os
import threading

import pyodbc
from common import JSONS, NUMERIC_EDGES, ROWS, check, end, show

COLUMNS = ("id", "i2", "i4", "i8", "num2", "f4", "f8", "b", "t", "vc", "c", "ba", "d", "ts", "u")
PICK = [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 18]


def connect(options="", **kw):
    server = [os.environ[k] for k in ("ODBC_DRIVER", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE")]
    return pyodbc.connect("DRIVER=%s;SERVER=%s;PORT=%s;UID=%s;DATABASE=%s;SSLmode=disable;" % tuple(server) + options, **kw)


def fault(e):
    return e.args[0], e.args[1].split(";\n")[0].split("\n")[0]


def query(c, sql, *args):
    try:
        cur = c.execute(sql, *args)
        if cur.description:
            show([(d[0], d[1].__name__, d[6]) for d in cur.description])
            for r in cur.fetchall():
                show([v[:60] if isinstance(v, (str, bytes)) else v for v in r])
        else:
            show(cur.rowcount)
    except pyodbc.Error as e:
        show(fault(e))


def run(options, name):
    c = connect(options, autocommit=True)
    tag = lambda x: check("%s, %s" % (x, name))
    tag("types")
    for t in ("types", "items", "accounts"):
        c.execute("DELETE FROM " + t)
    for row in ROWS:
        if row[0] in (2, 3):  # dates and sizes that ODBC's own types do not hold
            continue
        query(c, "INSERT INTO types (%s) VALUES (%s)" % (", ".join(COLUMNS), ", ".join("?" * len(COLUMNS))), *(str(row[i]) if i == 18 and row[i] else row[i] if row[i] not in (float("inf"), float("-inf")) else 0.5 for i in PICK))
    query(c, "SELECT %s FROM types WHERE id = ?" % ", ".join(COLUMNS), 1)
    query(c, "SELECT %s FROM types ORDER BY id" % ", ".join(COLUMNS))
    query(c, "SELECT count(*), sum(i4), max(ts), min(d) FROM types")
    for n, j in enumerate(JSONS):
        query(c, "INSERT INTO types (id, j, jb) VALUES (?, ?, ?)", 100 + n, j, j)
    for n, v in enumerate(NUMERIC_EDGES):
        query(c, "INSERT INTO types (id, num) VALUES (?, CAST(CAST(? AS text) AS numeric))", 200 + n, v)
    query(c, "SELECT id, CAST(num AS text), CAST(j AS text), CAST(jb AS text) FROM types WHERE id >= 100 ORDER BY id")
    tag("errors")
    query(c, "INSERT INTO accounts (account_id, owner, balance, created) VALUES (1, ?, 10, '2024-01-01'), (2, 'bob', 20, '2024-01-01'), (3, 'cem', 30, '2024-01-01')", "ann")
    for sql in ("SELECT 1/0", "SELECT * FROM nowhere", "SELEC", "INSERT INTO accounts (account_id, owner) VALUES (1, 'x')", "INSERT INTO accounts (account_id, owner) VALUES (7, NULL)",
                "UPDATE accounts SET balance = -1 WHERE account_id = 1", "INSERT INTO items VALUES (99, 1, 'x', 1)", "SELECT CAST('x' AS mood)"):
        query(c, sql)
    tag("prepared")
    cur = c.cursor()
    for n in range(8):
        show((cur.execute("SELECT owner FROM accounts WHERE account_id = ?", n % 4).fetchone() or [None])[0])
        show(cur.execute("SELECT count(*), sum(balance) FROM accounts WHERE account_id > ?", n % 3).fetchone()[:2])
    tag("batches")
    cur.executemany("INSERT INTO items VALUES (?, ?, ?, ?)", [(n % 3 + 1, n, "item %d" % n, n / 4) for n in range(60)])
    cur.fast_executemany = True
    cur.executemany("INSERT INTO items VALUES (?, ?, ?, ?)", [(n % 3 + 1, 100 + n, "fast %d" % n, n / 4) for n in range(60)])
    query(c, "SELECT account_id, count(*), sum(price) FROM items GROUP BY account_id ORDER BY account_id")
    query(c, "SELECT a.owner, i.name FROM accounts a JOIN items i ON i.account_id = a.account_id WHERE i.item < ? ORDER BY i.item", 4)
    tag("several results")
    cur.execute("SELECT owner FROM accounts WHERE account_id = 1; SELECT count(*) FROM items; UPDATE accounts SET owner = 'eve' WHERE account_id = 2")
    while True:
        show([list(r) for r in cur.fetchall()] if cur.description else cur.rowcount)
        if not cur.nextset():
            break
    tag("transactions and savepoints")
    t = connect(options)
    t.execute("UPDATE accounts SET balance = balance - 5 WHERE account_id = 1")
    t.execute("UPDATE accounts SET balance = balance + 5 WHERE account_id = 3")
    t.commit()
    t.execute("DELETE FROM items")
    t.rollback()
    t.execute("SAVEPOINT s")
    query(t, "UPDATE accounts SET balance = balance + 1")
    t.execute("ROLLBACK TO SAVEPOINT s")
    query(t, "SELECT account_id, balance FROM accounts ORDER BY account_id")
    t.commit()
    query(t, "SELECT 1/0")
    t.rollback()
    query(t, "SELECT count(*) FROM items")
    t.close()
    tag("catalogs")
    show(sorted((r.table_name, r.table_type) for r in cur.tables(schema="public")))
    show([(r.column_name, r.type_name, r.nullable) for r in cur.columns(table="accounts")])
    show([(r.column_name, r.pk_name) for r in cur.primaryKeys("items")])
    show([(r[3], r[7]) for r in cur.foreignKeys("accounts")])
    show(sorted({(r.index_name, r.column_name, r.non_unique) for r in cur.statistics("accounts") if r.index_name}))
    tag("large results")
    cur.execute("SELECT a.item, b.item FROM items a, items b ORDER BY a.item, b.item")
    show((len(cur.fetchmany(50)), len(cur.fetchall())))
    tag("cancel")
    threading.Timer(0.3, cur.cancel).start()
    query(cur, "SELECT account_id, pg_sleep(60) FROM accounts")
    query(c, "SELECT 1 AS one")
    tag("settings")
    query(c, "SET TimeZone = 'Asia/Tokyo'")
    query(c, "SELECT CAST(created AS text) FROM accounts WHERE account_id = 3")
    tag("concurrency")
    c.execute("UPDATE accounts SET balance = 1000")
    faults = []

    def work(k):
        one = connect(options)
        for n in range(12):
            pair = sorted(((n + k) % 3 + 1, (n + 2 * k + 1) % 3 + 1))
            while True:
                try:
                    one.execute("UPDATE accounts SET balance = balance - 1 WHERE account_id = ?", pair[0])
                    one.execute("UPDATE accounts SET balance = balance + 1 WHERE account_id = ?", pair[1])
                    one.commit()
                    break
                except pyodbc.Error as e:
                    one.rollback()
                    if e.args[0] not in ("40P01", "40001"):
                        faults.append(fault(e))
                        return
        one.close()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for x in threads:
        x.start()
    for x in threads:
        x.join()
    show(faults)
    query(c, "SELECT sum(balance) FROM accounts")
    c.close()


pyodbc.pooling = False
run("UseServerSidePrepare=1", "prepared on the server")
run("UseServerSidePrepare=0", "values in the text")
check("declared cursors")
declared = connect("UseDeclareFetch=1;Fetch=7", autocommit=True)
query(declared, "SELECT item FROM items WHERE account_id = 1 ORDER BY item")
# Gathered columns are no table's: whether they can be NULL is not known.
show([list(r) for r in declared.execute("SELECT item, name FROM items WHERE item < 100 ORDER BY item").fetchall()])
end()
