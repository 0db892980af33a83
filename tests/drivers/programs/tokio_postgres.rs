// tokio-postgres: typed parameters in binary, pipelining, portals, COPY both ways, simple queries, notifications, cancel.
use std::fmt::Debug;
use std::time::Duration;

use futures_util::{future, pin_mut, stream, SinkExt, StreamExt, TryStreamExt};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, Error, IsolationLevel, NoTls, Row, SimpleQueryMessage};

fn check(name: &str) {
    println!("## {name}");
}

fn show<T: Debug>(v: T) {
    let s = format!("{v:?}");
    if s.len() > 4000 { println!("{} characters", s.len()) } else { println!("{s}") }
}

fn fault(e: &Error) -> String {
    match e.as_db_error() {
        Some(d) => format!("{} {} {} {:?} {:?} {:?}", d.severity(), d.code().code(), d.message(), d.constraint(), d.table(), d.column()),
        None => e.to_string(),
    }
}

fn tell<T: Debug>(r: Result<T, Error>) {
    match r {
        Ok(v) => show(v),
        Err(e) => println!("{}", fault(&e)),
    }
}

fn config() -> Config {
    let var = |n: &str| std::env::var(n).unwrap();
    let mut c = Config::new();
    c.host(&var("PGHOST")).port(var("PGPORT").parse().unwrap()).user(&var("PGUSER")).dbname(&var("PGDATABASE"));
    c
}

async fn connect() -> Client {
    let (client, connection) = config().connect(NoTls).await.unwrap();
    tokio::spawn(async move { let _ = connection.await; });
    client
}

// A row by the types that it says it has.
fn spell(r: &Row) -> Vec<String> {
    (0..r.len())
        .map(|i| match *r.columns()[i].type_() {
            Type::INT2 => format!("{:?}", r.get::<_, Option<i16>>(i)),
            Type::INT4 => format!("{:?}", r.get::<_, Option<i32>>(i)),
            Type::INT8 => format!("{:?}", r.get::<_, Option<i64>>(i)),
            Type::FLOAT4 => format!("{:?}", r.get::<_, Option<f32>>(i)),
            Type::FLOAT8 => format!("{:?}", r.get::<_, Option<f64>>(i)),
            Type::BOOL => format!("{:?}", r.get::<_, Option<bool>>(i)),
            Type::BYTEA => format!("{:?}", r.get::<_, Option<Vec<u8>>>(i).map(|b| (b.len(), b.into_iter().take(8).collect::<Vec<_>>()))),
            Type::INT4_ARRAY => format!("{:?}", r.get::<_, Option<Vec<Option<i32>>>>(i).map(|a| (a.len(), a.into_iter().take(5).collect::<Vec<_>>()))),
            Type::TEXT_ARRAY => format!("{:?}", r.get::<_, Option<Vec<Option<String>>>>(i)),
            _ => format!("{:?}", r.get::<_, Option<String>>(i).map(|s| if s.chars().count() > 60 { format!("{} characters", s.chars().count()) } else { s })),
        })
        .collect()
}

async fn query(c: &Client, sql: &str, args: &[&(dyn ToSql + Sync)]) {
    match c.query(sql, args).await {
        Ok(rows) => {
            if let Some(r) = rows.first() {
                show(r.columns().iter().map(|x| (x.name(), x.type_().name())).collect::<Vec<_>>());
            }
            for r in &rows {
                show(spell(r));
            }
        }
        Err(e) => println!("{}", fault(&e)),
    }
}

const COLUMNS: &str = "id, i2, i4, i8, f4, f8, b, t, vc, ba, ia, ta";

async fn transfer(c: &mut Client, from: i64, to: i64) {
    let (from, to) = if from < to { (from, to) } else { (to, from) };
    loop {
        let t = c.transaction().await.unwrap();
        let mut r = t.execute("UPDATE accounts SET balance = balance - 1 WHERE account_id = $1", &[&from]).await;
        if r.is_ok() {
            r = t.execute("UPDATE accounts SET balance = balance + 1 WHERE account_id = $1", &[&to]).await;
        }
        let done = match r {
            Ok(_) => t.commit().await,
            Err(e) => { t.rollback().await.unwrap(); Err(e) }
        };
        match done {
            Ok(()) => return,
            Err(e) if e.code().is_some_and(|c| c.code() == "40P01" || c.code() == "40001") => {}
            Err(e) => panic!("{}", fault(&e)),
        }
    }
}

#[tokio::main]
async fn main() {
    let mut c = connect().await;
    check("types");
    let insert = format!("INSERT INTO types ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)");
    let none: Option<String> = None;
    tell(c.execute(&insert, &[&1i64, &1i16, &-2i32, &3i64, &0.5f32, &0.1f64, &true, &"snowman \u{2603} 'q' \"d\" \\", &"v", &vec![0u8, 1, 255], &vec![Some(1i32), None], &vec!["a", "", "NULL", "q\"u\\o"]]).await);
    tell(c.execute(&insert, &[&2i64, &i16::MIN, &i32::MIN, &i64::MIN, &f32::MIN, &f64::NEG_INFINITY, &false, &"", &"", &Vec::<u8>::new(), &Vec::<i32>::new(), &Vec::<String>::new()]).await);
    tell(c.execute(&insert, &[&3i64, &None::<i16>, &None::<i32>, &None::<i64>, &None::<f32>, &None::<f64>, &None::<bool>, &none, &none, &None::<Vec<u8>>, &None::<Vec<i32>>, &None::<Vec<String>>]).await);
    tell(c.execute(&insert, &[&-4i64, &0i16, &0i32, &0i64, &f32::NAN, &5e-324f64, &true, &"x".repeat(100_000), &"ä", &vec![7u8; 70_000], &vec![5i32; 1000], &vec![none.clone()]]).await);
    query(&c, &format!("SELECT {COLUMNS} FROM types WHERE id = $1"), &[&1i64]).await;
    query(&c, &format!("SELECT {COLUMNS} FROM types ORDER BY id"), &[]).await;
    query(&c, "SELECT count(*), max(i4), string_agg(vc, ',' ORDER BY id) FROM types", &[]).await;
    query(&c, "SELECT id FROM types WHERE id = ANY($1) ORDER BY id", &[&vec![1i64, 3, 9]]).await;
    check("numeric edges and json, as text");
    for (n, e) in ["0", "-0.00", "1e-1000", &"9".repeat(400), "NaN", "0.1", "100000000.00000001"].iter().enumerate() {
        tell(c.simple_query(&format!("INSERT INTO types (id, num, j, jb) VALUES ({}, '{e}', '[{n}, 1.50]', '[{n}, 1.50]')", 100 + n)).await.map(|m| m.len()));
    }
    query(&c, "SELECT id, num::text, j::text, jb::text FROM types WHERE id >= 100 ORDER BY id", &[]).await;
    check("simple queries");
    for m in c.simple_query("SELECT id, num FROM types WHERE id = 101; SELECT id FROM types WHERE id < 3 ORDER BY id; SELECT 1 WHERE false").await.unwrap() {
        match m {
            SimpleQueryMessage::Row(r) => show((0..r.len()).map(|i| r.get(i).map(str::to_owned)).collect::<Vec<_>>()),
            SimpleQueryMessage::CommandComplete(n) => show(n),
            SimpleQueryMessage::RowDescription(d) => show(d.iter().map(|x| x.name().to_owned()).collect::<Vec<_>>()),
            _ => {}
        }
    }
    check("accounts");
    tell(c.execute("INSERT INTO accounts (account_id, owner, balance, created) VALUES (1, $1, 10, '2024-01-01'), (2, 'bob', 20, '2024-01-01'), (3, 'cem', 30, '2024-01-01')", &[&"ann"]).await);
    query(&c, "UPDATE accounts SET balance = balance + 1 WHERE account_id = $1 RETURNING owner, balance::text", &[&2i64]).await;
    check("errors");
    for sql in ["SELECT 1/0", "SELECT * FROM nowhere", "SELEC", "INSERT INTO accounts (account_id, owner) VALUES (1, 'x')", "INSERT INTO accounts (account_id, owner) VALUES (7, NULL)",
                "UPDATE accounts SET balance = -1 WHERE account_id = 1", "INSERT INTO items VALUES (99, 1, 'x', 1)", "SELECT 'x'::mood"] {
        tell(c.execute(sql, &[]).await);
        tell(c.batch_execute(sql).await);
    }
    check("prepared");
    let one = c.prepare_typed("SELECT owner FROM accounts WHERE account_id = $1", &[Type::INT8]).await.unwrap();
    let all = c.prepare("SELECT sum(balance)::text FROM accounts WHERE balance::float8 > $1").await.unwrap();
    show((one.params(), all.params()));
    for n in 0..8i64 {
        show(c.query_opt(&one, &[&(n % 4)]).await.unwrap().map(|r| spell(&r)));
        show(spell(&c.query_one(&all, &[&(n as f64 * 4.0)]).await.unwrap()));
    }
    drop(one);
    check("pipelining");
    let c2 = &c;
    let got = future::join_all((0..40).map(|n| async move {
        if n % 10 == 7 { c2.query("SELECT 1/0", &[]).await.map(|r| r.len()) }
        else if n % 2 == 0 { c2.query("SELECT owner FROM accounts WHERE account_id = $1", &[&(n as i64 % 4)]).await.map(|r| r.len()) }
        else { c2.query("SELECT owner FROM accounts ORDER BY account_id", &[]).await.map(|r| r.len()) }
    })).await;
    for g in got { tell(g); }
    let inserted = future::join_all((0..60).map(|n| async move {
        let (a, i, name) = (n as i64 % 3 + 1, n, format!("item {n}"));
        c2.execute("INSERT INTO items VALUES ($1, $2, $3, 1.5)", &[&a, &i, &name]).await.unwrap()
    })).await;
    show(inserted.iter().sum::<u64>());
    check("portals");
    let t = c.transaction().await.unwrap();
    for sql in ["SELECT item FROM items WHERE account_id = 1 ORDER BY item", "SELECT item FROM items ORDER BY item", "SELECT count(*), name FROM items GROUP BY name ORDER BY name"] {
        let p = t.bind(sql, &[]).await.unwrap();
        for _ in 0..3 {
            show(t.query_portal(&p, 3).await.unwrap().iter().map(spell).collect::<Vec<_>>());
        }
        show(t.query_portal(&p, 0).await.unwrap().len());
    }
    t.commit().await.unwrap();
    check("streams");
    let rows = c.query_raw("SELECT item FROM items WHERE item > $1 ORDER BY item", &[&5i32]).await.unwrap();
    pin_mut!(rows);
    let mut sum = 0;
    while let Some(r) = rows.try_next().await.unwrap() { sum += r.get::<_, i32>(0); }
    show(sum);
    check("copy");
    let sink = c.copy_in::<_, bytes::Bytes>("COPY items FROM STDIN (FORMAT csv)").await.unwrap();
    pin_mut!(sink);
    for n in 0..50 { sink.send(bytes::Bytes::from(format!("{},{},\"copied, {n}\",\n", n % 3 + 1, 1000 + n))).await.unwrap(); }
    show(sink.finish().await.unwrap());
    let sink = c.copy_in::<_, bytes::Bytes>("COPY items FROM STDIN").await.unwrap();
    pin_mut!(sink);
    let _ = sink.send_all(&mut stream::iter(vec![Ok(bytes::Bytes::from("1\t1000\ttwice\t\\N\n"))])).await;
    tell(sink.finish().await);
    let mut out = Vec::new();
    let copied = c.copy_out("COPY items TO STDOUT").await.unwrap();
    pin_mut!(copied);
    while let Some(b) = copied.next().await { out.extend_from_slice(&b.unwrap()); }
    let mut lines: Vec<_> = String::from_utf8(out).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    show((lines.len(), lines.first(), lines.last()));
    check("transactions and savepoints");
    let mut t = c.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start().await.unwrap();
    tell(t.execute("UPDATE accounts SET balance = balance - 5 WHERE account_id = 1", &[]).await);
    let s = t.savepoint("s").await.unwrap();
    tell(s.execute("UPDATE accounts SET balance = -1", &[]).await);
    tell(s.execute("SELECT 1", &[]).await);
    s.rollback().await.unwrap();
    tell(t.execute("UPDATE accounts SET balance = balance + 5 WHERE account_id = 3", &[]).await);
    tell(t.commit().await);
    let t = c.build_transaction().read_only(true).start().await.unwrap();
    tell(t.execute("DELETE FROM items", &[]).await);
    drop(t);
    query(&c, "SELECT account_id, balance::text FROM accounts ORDER BY 1", &[]).await;
    check("cancel");
    let token = c.cancel_token();
    tokio::spawn(async move { tokio::time::sleep(Duration::from_millis(250)).await; token.cancel_query(NoTls).await.unwrap(); });
    tell(c.query("SELECT account_id, pg_sleep(60)::text FROM accounts", &[]).await.map(|r| r.len()));
    query(&c, "SELECT 1 AS one", &[]).await;
    check("notifications");
    let (listener, mut connection) = config().connect(NoTls).await.unwrap();
    let (tx, rx) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx));
        let mut tx = Some(tx);
        while let Some(Ok(m)) = messages.next().await {
            if let (AsyncMessage::Notification(n), Some(tx)) = (m, tx.take_if(|_| true)) { let _ = tx.send((n.channel().to_owned(), n.payload().to_owned())); }
        }
    });
    listener.batch_execute("LISTEN news").await.unwrap();
    c.batch_execute("NOTIFY news, 'hello'").await.unwrap();
    show(tokio::time::timeout(Duration::from_secs(20), rx).await.unwrap().unwrap());
    check("concurrency");
    c.execute("UPDATE accounts SET balance = 1000", &[]).await.unwrap();
    future::join_all((0..6i64).map(|k| async move {
        let mut one = connect().await;
        for n in 0..15 { transfer(&mut one, (n + k) % 3 + 1, (n + 2 * k + 1) % 3 + 1).await; }
    })).await;
    query(&c, "SELECT sum(balance)::text FROM accounts", &[]).await;
    check("end");
}
