// pgx: every way to run a query, batches, CopyFrom, transactions, cursors, pools, notifications.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

var ctx = context.Background()

func fault(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return said(e.Severity, e.Code, e.Message, e.ConstraintName, e.TableName, e.ColumnName)
	}
	if err == nil {
		return "no error"
	}
	return err.Error()
}

func spell(v any) string {
	switch x := v.(type) {
	case pgtype.Numeric:
		return spell(must(x.Value()))
	case []any:
		s := make([]string, len(x))
		for i := range x {
			s[i] = spell(x[i])
		}
		return "[" + strings.Join(s, " ") + "]"
	}
	return spellPlain(v)
}

type querier interface {
	Query(context.Context, string, ...any) (pgx.Rows, error)
}

func show(q querier, sql string, args ...any) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		fmt.Println(fault(err))
		return
	}
	names := []string{}
	for _, f := range rows.FieldDescriptions() {
		oid := f.DataTypeOID
		if oid > 16000 {
			oid = 0
		}
		names = append(names, fmt.Sprint(f.Name, ":", oid, ":", f.TypeModifier))
	}
	out := []string{}
	for rows.Next() {
		v, err := rows.Values()
		if err != nil {
			out = append(out, err.Error())
			continue
		}
		out = append(out, spell(any(v)))
	}
	fmt.Println(names, rows.CommandTag(), fault(rows.Err()))
	for _, s := range out {
		fmt.Println(" ", s)
	}
}

var columns = "id, i2, i4, i8, num, num2, f4, f8, b, t, vc, c, ba, d, ti, ts, tstz, iv, u, j, jb, ip, net, mac, ia, ta, na, bits, pt, r"

func types(c *pgx.Conn) {
	check("types")
	insert := "INSERT INTO types (" + columns + ") VALUES ($1" + strings.Repeat("x", 0)
	for i := 2; i <= 30; i++ {
		insert += fmt.Sprint(", $", i)
	}
	insert += ")"
	num := func(s string) pgtype.Numeric { var n pgtype.Numeric; must(0, n.Scan(s)); return n }
	t := time.Date(2024, 2, 29, 1, 2, 3, 456789000, time.UTC)
	rows := [][]any{
		{1, 1, 2, 3, num("1.50"), num("2.25"), 0.5, 0.1, true, "snowman \u2603 'q' \"d\" \\", "v", "c", []byte{0, 1, 255}, t, pgtype.Time{Microseconds: 1, Valid: true}, t, t, pgtype.Interval{Days: 3, Microseconds: 7, Valid: true},
			"12345678-1234-5678-1234-567812345678", map[string]any{"a": []int{1}}, map[string]any{"b": nil}, "10.0.0.1/8", "10.0.0.0/8", "08:00:2b:01:02:03", []int32{1, 2}, []string{"a", "", "NULL", "q\"u\\o"}, []string{"1.0", "2.50"}, pgtype.Bits{Bytes: []byte{0xA0}, Len: 4, Valid: true}, "(1,2)", "[1,5)"},
		{2, -32768, -2147483648, int64(-9223372036854775808), num("-1" + strings.Repeat("0", 30)), num("-9999999999.99"), float32(-3.4e38), -1.7e308, false, "", "", "", []byte{}, pgtype.Date{InfinityModifier: pgtype.Infinity, Valid: true}, pgtype.Time{Valid: true}, pgtype.Timestamp{InfinityModifier: pgtype.NegativeInfinity, Valid: true}, t, pgtype.Interval{Valid: true},
			"00000000-0000-0000-0000-000000000000", []int{}, "x", "::1", "::/0", "ff:ff:ff:ff:ff:ff", []int32{}, []string{}, []string{}, pgtype.Bits{Bytes: []byte{0}, Len: 4, Valid: true}, "(0,0)", "empty"},
		append([]any{3}, make([]any, 29)...),
		{-4, 0, 0, 0, pgtype.Numeric{NaN: true, Valid: true}, num("0"), float32(0.25), 5e-324, true, strings.Repeat("x", 100000), "ä", "ä", bytes.Repeat([]byte{7}, 70000), t, pgtype.Time{Microseconds: 86399999999, Valid: true}, t, t, pgtype.Interval{Months: -14, Valid: true},
			"ffffffff-ffff-ffff-ffff-ffffffffffff", nil, nil, nil, nil, nil, make([]int32, 1000), []*string{nil}, nil, nil, nil, "(,3]"},
	}
	for _, r := range rows {
		tag, err := c.Exec(ctx, insert, r...)
		fmt.Println(tag, fault(err))
	}
	show(c, "SELECT "+columns+" FROM types WHERE id = $1", 1)
	show(c, "SELECT "+columns+" FROM types ORDER BY id")
	show(c, "SELECT id, num, u FROM types ORDER BY num DESC NULLS LAST, id LIMIT 3")
	show(c, "SELECT count(*), sum(i4), max(ts), min(num2) FROM types")
	check("scanning")
	var (
		id   int64
		text *string
		n    *big.Float
		ints []int32
		strs []*string
		day  pgtype.Date
	)
	_ = n
	for _, k := range []int{1, 3} {
		err := c.QueryRow(ctx, "SELECT id, t, ia, ta, d FROM types WHERE id = $1", k).Scan(&id, &text, &ints, &strs, &day)
		fmt.Println(id, text == nil, ints, len(strs), day, err)
	}
	fmt.Println(c.QueryRow(ctx, "SELECT id FROM types WHERE id = 999").Scan(&id) == pgx.ErrNoRows)
	fmt.Println(c.QueryRow(ctx, "SELECT t FROM types WHERE id = 1").Scan(&id) != nil)
	check("numeric edges")
	for i, e := range []string{"0", "-0.00", "0." + strings.Repeat("0", 300) + "1", strings.Repeat("9", 400), "0.1", "10000", "9999.9999", "100000000.00000001"} {
		must(c.Exec(ctx, "INSERT INTO types (id, num) VALUES ($1, $2)", 100+i, num(e)))
	}
	show(c, "SELECT id, num FROM types WHERE id >= 100 ORDER BY id")
}

func transfer(p *pgxpool.Pool, from, to int) error {
	if from > to {
		from, to = to, from
	}
	for {
		err := pgx.BeginFunc(ctx, p, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "UPDATE accounts SET balance = balance - 1 WHERE account_id = $1", from); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "UPDATE accounts SET balance = balance + 1 WHERE account_id = $1", to)
			return err
		})
		var e *pgconn.PgError
		if errors.As(err, &e) && (e.Code == "40P01" || e.Code == "40001") {
			continue
		}
		return err
	}
}

func main() {
	c := must(pgx.Connect(ctx, ""))
	types(c)
	check("accounts")
	show(c, "INSERT INTO accounts (account_id, owner, balance, created) VALUES (1, $1, 10, '2024-01-01'), (2, 'bob', 20, '2024-01-01'), (3, 'cem', 30, '2024-01-01')", "ann")
	check("query modes")
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		for range 2 {
			show(c, "SELECT owner, balance FROM accounts WHERE account_id = $1", mode, 2)
			show(c, "SELECT owner, balance FROM accounts WHERE balance > $1 ORDER BY account_id", mode, 5)
			show(c, "SELECT count(*), sum(balance) FROM accounts WHERE owner <> $1", mode, "it's")
		}
	}
	check("errors")
	for _, sql := range []string{"SELECT 1/0", "SELECT * FROM nowhere", "SELEC", "INSERT INTO accounts (account_id, owner) VALUES (1, 'x')", "INSERT INTO accounts (account_id, owner) VALUES (7, NULL)",
		"UPDATE accounts SET balance = -1 WHERE account_id = 1", "INSERT INTO items VALUES (99, 1, 'x', 1)", "SELECT 'x'::mood", "SELECT $1::int"} {
		_, err := c.Exec(ctx, sql)
		fmt.Println(fault(err))
	}
	check("prepared")
	must(c.Prepare(ctx, "one", "SELECT owner FROM accounts WHERE account_id = $1"))
	must(c.Prepare(ctx, "all", "SELECT sum(balance) FROM accounts WHERE balance > $1"))
	for n := range 8 {
		show(c, "one", n%4)
		show(c, "all", n*4)
	}
	must(0, c.Deallocate(ctx, "one"))
	_, err := c.Exec(ctx, "SELECT broken FROM accounts")
	fmt.Println(fault(err))
	check("batches")
	b := &pgx.Batch{}
	for n := range 60 {
		b.Queue("INSERT INTO items VALUES ($1, $2, $3, $4)", n%3+1, n, fmt.Sprint("item ", n), n)
	}
	b.Queue("SELECT count(*) FROM items").QueryRow(func(r pgx.Row) error { var n int; err := r.Scan(&n); fmt.Println("counted", n); return err })
	fmt.Println(fault(c.SendBatch(ctx, b).Close()))
	bad := &pgx.Batch{}
	bad.Queue("UPDATE items SET price = 1 WHERE account_id = 1 AND item = 0")
	bad.Queue("SELECT 1/0")
	bad.Queue("UPDATE items SET price = 2 WHERE account_id = 1 AND item = 0")
	fmt.Println(fault(c.SendBatch(ctx, bad).Close()))
	show(c, "SELECT price FROM items WHERE account_id = 1 AND item = 0")
	check("pipeline")
	p := c.PgConn().StartPipeline(ctx)
	p.SendPrepare("pl", "SELECT item FROM items WHERE account_id = $1 ORDER BY item LIMIT 2", nil)
	for n := 1; n <= 3; n++ {
		p.SendQueryPrepared("pl", [][]byte{[]byte(fmt.Sprint(n))}, nil, nil)
	}
	p.SendQueryParams("SELECT sum(price) FROM items", nil, nil, nil, nil)
	must(0, p.Sync())
	for {
		r, err := p.GetResults()
		if err != nil || r == nil {
			fmt.Println("end", err)
			break
		}
		switch x := r.(type) {
		case *pgconn.ResultReader:
			got := x.Read()
			fmt.Println(got.CommandTag, len(got.Rows), fault(got.Err))
			for _, row := range got.Rows {
				fmt.Println(" ", string(row[0]))
			}
		case *pgconn.StatementDescription:
			fmt.Println("prepared", x.ParamOIDs)
		case *pgconn.PipelineSync:
			fmt.Println("sync")
		}
	}
	must(0, p.Close())
	check("copy")
	rows := [][]any{}
	for n := range 100 {
		rows = append(rows, []any{int64(n%3 + 1), int32(1000 + n), fmt.Sprint("copied\t", n), nil})
	}
	fmt.Println(c.CopyFrom(ctx, pgx.Identifier{"items"}, []string{"account_id", "item", "name", "price"}, pgx.CopyFromRows(rows)))
	_, err = c.CopyFrom(ctx, pgx.Identifier{"items"}, []string{"account_id", "item", "name", "price"}, pgx.CopyFromRows(rows[:1]))
	fmt.Println(fault(err))
	var out bytes.Buffer
	fmt.Println(c.PgConn().CopyTo(ctx, &out, "COPY items TO STDOUT (FORMAT csv)"))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	sort.Strings(lines)
	fmt.Println(len(lines), lines[0], lines[len(lines)-1])
	fmt.Println(c.PgConn().CopyFrom(ctx, strings.NewReader("1,5000,csv,1\n2,5000,csv,\n"), "COPY items FROM STDIN (FORMAT csv)"))
	check("transactions and savepoints")
	fmt.Println(fault(pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		must(tx.Exec(ctx, "UPDATE accounts SET balance = balance - 5 WHERE account_id = 1"))
		err := pgx.BeginFunc(ctx, tx, func(inner pgx.Tx) error {
			_, err := inner.Exec(ctx, "UPDATE accounts SET balance = -1")
			return err
		})
		fmt.Println(fault(err))
		return pgx.BeginFunc(ctx, tx, func(inner pgx.Tx) error {
			_, err := inner.Exec(ctx, "UPDATE accounts SET balance = balance + 5 WHERE account_id = 3")
			return err
		})
	})))
	fmt.Println(pgx.BeginTxFunc(ctx, c, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		show(tx, "SELECT account_id, balance FROM accounts ORDER BY 1")
		_, err := tx.Exec(ctx, "DELETE FROM items")
		fmt.Println(fault(err))
		return errors.New("undone")
	}))
	check("cursors")
	must(0, pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		must(tx.Exec(ctx, "DECLARE cur CURSOR FOR SELECT item FROM items ORDER BY item"))
		show(tx, "FETCH 3 FROM cur")
		show(tx, "FETCH 2 FROM cur")
		_, err := tx.Exec(ctx, "CLOSE cur")
		return err
	}))
	check("cancel")
	short, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	other := must(pgx.Connect(ctx, ""))
	_, err = other.Exec(short, "SELECT account_id, pg_sleep(60) FROM accounts")
	stop()
	fmt.Println(errors.Is(err, context.DeadlineExceeded), other.IsClosed())
	held := must(pgx.Connect(ctx, ""))
	go func() { time.Sleep(200 * time.Millisecond); must(0, held.PgConn().CancelRequest(ctx)) }()
	_, err = held.Exec(ctx, "SELECT pg_sleep(60)")
	fmt.Println(fault(err))
	show(held, "SELECT 1 AS one")
	check("settings")
	must(held.Exec(ctx, "SET TimeZone = 'Asia/Tokyo'"))
	fmt.Println(held.PgConn().ParameterStatus("TimeZone"), held.PgConn().ParameterStatus("server_version"), held.PgConn().TxStatus())
	show(held, "SELECT created::text FROM accounts WHERE account_id = 1")
	must(0, held.Close(ctx))
	check("notifications")
	must(c.Exec(ctx, "LISTEN news"))
	pool := must(pgxpool.New(ctx, "pool_max_conns=6"))
	must(pool.Exec(ctx, "NOTIFY news, 'hello'"))
	soon, stop2 := context.WithTimeout(ctx, 20*time.Second)
	heard := must(c.WaitForNotification(soon))
	stop2()
	fmt.Println(heard.Channel, heard.Payload)
	check("concurrency")
	must(pool.Exec(ctx, "UPDATE accounts SET balance = 1000"))
	var wg sync.WaitGroup
	for n := range 100 {
		wg.Go(func() { must(0, transfer(pool, n%3+1, (n+1)%3+1)) })
	}
	wg.Wait()
	show(pool, "SELECT sum(balance) FROM accounts")
	pool.Close()
	must(0, c.Close(ctx))
	check("end")
	os.Stdout.Sync()
}
