// lib/pq under database/sql: statements, transactions, COPY, arrays, errors, notifications.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/lib/pq"
)

func fault(err error) string {
	var e *pq.Error
	if errors.As(err, &e) {
		return said(e.Severity, string(e.Code), e.Message, e.Constraint, e.Table, e.Column)
	}
	if err == nil {
		return "no error"
	}
	return err.Error()
}

type querier interface {
	Query(string, ...any) (*sql.Rows, error)
}

func show(q querier, text string, args ...any) {
	rows, err := q.Query(text, args...)
	if err != nil {
		fmt.Println(fault(err))
		return
	}
	defer rows.Close()
	types := must(rows.ColumnTypes())
	for _, t := range types {
		fmt.Print(t.Name(), ":", t.DatabaseTypeName(), " ")
	}
	fmt.Println()
	for rows.Next() {
		row := make([]any, len(types))
		into := make([]any, len(types))
		for i := range row {
			into[i] = &row[i]
		}
		must(0, rows.Scan(into...))
		for _, v := range row {
			fmt.Print("  ", spellPlain(v))
		}
		fmt.Println()
	}
	fmt.Println(fault(rows.Err()))
}

func transfer(db *sql.DB, from, to int) {
	if from > to {
		from, to = to, from
	}
	for {
		tx := must(db.Begin())
		_, err := tx.Exec("UPDATE accounts SET balance = balance - 1 WHERE account_id = $1", from)
		if err == nil {
			_, err = tx.Exec("UPDATE accounts SET balance = balance + 1 WHERE account_id = $1", to)
		}
		if err == nil {
			err = tx.Commit()
		} else {
			_ = tx.Rollback()
		}
		var e *pq.Error
		if errors.As(err, &e) && (e.Code == "40P01" || e.Code == "40001") {
			continue
		}
		must(0, err)
		return
	}
}

func main() {
	for _, binary := range []string{"no", "yes"} {
		run(binary)
	}
	check("end")
	os.Stdout.Sync()
}

func run(binary string) {
	from := "sslmode=disable binary_parameters=" + binary
	db := must(sql.Open("postgres", from))
	check := func(name string) { check(name + ", binary parameters: " + binary) }
	check("types")
	must(db.Exec("DELETE FROM types"))
	t := time.Date(2024, 2, 29, 1, 2, 3, 456789000, time.UTC)
	insert := "INSERT INTO types (id, i2, i4, i8, num, f4, f8, b, t, vc, ba, d, ts, tstz, iv, u, j, jb, ip, ia, ta, na) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)"
	for _, r := range [][]any{
		{1, 1, 2, 3, "1.50", 0.5, 0.1, true, "snowman \u2603 'q' \"d\" \\", "v", []byte{0, 1, 255}, t, t, t, "3 days", "12345678-1234-5678-1234-567812345678", "{\"a\": [1]}", "null", "10.0.0.1/8", pq.Array([]int64{1, 2}), pq.Array([]string{"a", "", "NULL", "q\"u\\o"}), pq.Array([]string{"1.0"})},
		{2, -32768, -2147483648, int64(-9223372036854775808), "-1e30", -1.5, -1.7e308, false, "", "", []byte{}, "infinity", "-infinity", t, "0", "00000000-0000-0000-0000-000000000000", "[]", "[]", "::1", pq.Array([]int64{}), pq.Array([]string{}), nil},
		append([]any{3}, make([]any, 21)...),
		{-4, 0, 0, 0, "NaN", 0.25, 5e-324, true, strings.Repeat("x", 100000), "ä", make([]byte, 70000), t, t, t, "-14 mons", "ffffffff-ffff-ffff-ffff-ffffffffffff", "1e3", "1e3", nil, pq.Array(make([]int64, 1000)), pq.Array([]sql.NullString{{}}), nil},
	} {
		res, err := db.Exec(insert, r...)
		n := int64(0)
		if err == nil {
			n = must(res.RowsAffected())
		}
		fmt.Println(n, fault(err))
	}
	show(db, "SELECT id, i2, i4, i8, num, f4, f8, b, t, vc, ba, d, ts, tstz, iv, u, j, jb, ip, ia, ta, na FROM types ORDER BY id")
	show(db, "SELECT id, num, u, ta FROM types WHERE id = $1", 1)
	show(db, "SELECT count(*), max(ts), sum(i4) FROM types")
	show(db, "SELECT id FROM types WHERE id = ANY($1) ORDER BY id", pq.Array([]int64{1, 3, 9}))
	check("accounts")
	must(db.Exec("DELETE FROM items"))
	must(db.Exec("DELETE FROM accounts"))
	show(db, "INSERT INTO accounts (account_id, owner, balance, created) VALUES (1, $1, 10, '2024-01-01'), (2, 'bob', 20, '2024-01-01'), (3, 'cem', 30, '2024-01-01')", "ann")
	show(db, "INSERT INTO accounts (account_id, owner, balance) VALUES (4, 'dan', 5) RETURNING account_id, balance")
	check("errors")
	for _, text := range []string{"SELECT 1/0", "SELECT * FROM nowhere", "SELEC", "INSERT INTO accounts (account_id, owner) VALUES (1, 'x')", "INSERT INTO accounts (account_id, owner) VALUES (7, NULL)",
		"UPDATE accounts SET balance = -1 WHERE account_id = 1", "INSERT INTO items VALUES (99, 1, 'x', 1)", "SELECT 'x'::mood", "SELECT 1; SELECT 1/0"} {
		_, err := db.Exec(text)
		fmt.Println(fault(err))
	}
	_, err := db.Query("SELECT $1::int", "x")
	fmt.Println(fault(err))
	check("prepared")
	one, all := must(db.Prepare("SELECT owner FROM accounts WHERE account_id = $1")), must(db.Prepare("SELECT sum(balance) FROM accounts WHERE balance > $1"))
	for n := range 8 {
		var owner sql.NullString
		var sum sql.NullFloat64
		err := one.QueryRow(n % 5).Scan(&owner)
		must(0, all.QueryRow(n*4).Scan(&sum))
		fmt.Println(owner, err, sum)
	}
	must(0, one.Close())
	check("several statements, several results")
	rows := must(db.Query("SELECT owner FROM accounts WHERE account_id = 1; SELECT count(*) FROM accounts"))
	for {
		for rows.Next() {
			var v string
			must(0, rows.Scan(&v))
			fmt.Println(v)
		}
		if !rows.NextResultSet() {
			break
		}
	}
	must(0, rows.Close())
	check("transactions and savepoints")
	tx := must(db.Begin())
	must(tx.Exec("UPDATE accounts SET balance = balance - 5 WHERE account_id = 1"))
	must(tx.Exec("SAVEPOINT s"))
	_, err = tx.Exec("UPDATE accounts SET balance = -1")
	fmt.Println(fault(err))
	_, err = tx.Exec("SELECT 1")
	fmt.Println(fault(err))
	must(tx.Exec("ROLLBACK TO SAVEPOINT s"))
	must(tx.Exec("UPDATE accounts SET balance = balance + 5 WHERE account_id = 3"))
	must(0, tx.Commit())
	tx = must(db.BeginTx(context.Background(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}))
	show(tx, "SELECT account_id, balance FROM accounts ORDER BY 1")
	_, err = tx.Exec("DELETE FROM items")
	fmt.Println(fault(err))
	must(0, tx.Rollback())
	check("copy")
	tx = must(db.Begin())
	in := must(tx.Prepare(pq.CopyIn("items", "account_id", "item", "name", "price")))
	for n := range 90 {
		must(in.Exec(n%3+1, n, fmt.Sprint("item\t", n), nil))
	}
	must(in.Exec())
	must(0, in.Close())
	must(0, tx.Commit())
	show(db, "SELECT account_id, count(*), max(name) FROM items GROUP BY 1 ORDER BY 1")
	tx = must(db.Begin())
	in = must(tx.Prepare(pq.CopyIn("items", "account_id", "item", "name")))
	must(in.Exec(1, 0, "twice"))
	_, err = in.Exec()
	fmt.Println(fault(err))
	_ = tx.Rollback()
	check("cancel")
	short, stop := context.WithTimeout(context.Background(), 300*time.Millisecond)
	_, err = db.ExecContext(short, "SELECT account_id, pg_sleep(60) FROM accounts")
	stop()
	fmt.Println(err != nil)
	show(db, "SELECT 1 AS one")
	check("notifications")
	l := pq.NewListener(from, 10*time.Millisecond, time.Second, nil)
	must(0, l.Listen("news"))
	must(db.Exec("NOTIFY news, 'hello'"))
	for heard := range l.Notify {
		if heard != nil {
			fmt.Println(heard.Channel, heard.Extra)
			break
		}
	}
	must(0, l.Close())
	check("concurrency")
	must(db.Exec("UPDATE accounts SET balance = 1000"))
	db.SetMaxOpenConns(6)
	var wg sync.WaitGroup
	for n := range 60 {
		wg.Go(func() { transfer(db, n%3+1, (n+1)%3+1) })
	}
	wg.Wait()
	show(db, "SELECT sum(balance) FROM accounts")
	must(0, db.Close())
}
