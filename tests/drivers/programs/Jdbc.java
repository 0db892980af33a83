// JDBC: prepareThreshold, binary transfer, batches, fetch size, savepoints, autosave, CopyManager, metadata, cancel.
import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.*;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

public class Jdbc {
    static Connection con;
    static String url;

    static void check(String name) { System.out.println("## " + name); System.out.flush(); }

    static String text(Object v) throws SQLException {
        if (v instanceof byte[] b) return b.length > 300 ? "bytes " + b.length + " " + Arrays.hashCode(b) : Arrays.toString(b);
        if (v instanceof Array a) return "array " + a.getBaseTypeName() + " " + Arrays.deepToString((Object[]) a.getArray());
        return String.valueOf(v);
    }

    static void rows(ResultSet r) throws SQLException {
        ResultSetMetaData m = r.getMetaData();
        StringBuilder s = new StringBuilder();
        for (int i = 1; i <= m.getColumnCount(); i++)
            s.append(m.getColumnName(i)).append(' ').append(m.getColumnTypeName(i)).append(' ').append(m.getColumnType(i)).append(' ').append(m.getPrecision(i)).append(' ').append(m.getScale(i)).append(", ");
        System.out.println(s);
        while (r.next()) {
            s.setLength(0);
            for (int i = 1; i <= m.getColumnCount(); i++) s.append(text(r.getObject(i))).append(" | ");
            System.out.println(s);
        }
        r.close();
    }

    static void error(SQLException e) { System.out.println(e.getSQLState() + " " + e.getMessage().lines().findFirst().orElse("")); }

    static void query(String sql, Object... values) throws SQLException {
        try (PreparedStatement p = con.prepareStatement(sql)) {
            for (int i = 0; i < values.length; i++) p.setObject(i + 1, values[i]);
            if (p.execute()) rows(p.getResultSet()); else System.out.println(p.getUpdateCount());
        } catch (SQLException e) {
            error(e);
        }
    }

    static final String COLUMNS = "id, i2, i4, i8, num, num2, f4, f8, b, t, vc, c, ba, d, ti, ts, tstz, iv, u, j, jb, ia, ta, na, md, ip, bits, r, pt, m, pos";

    static void types() throws Exception {
        check("types");
        try (PreparedStatement p = con.prepareStatement("INSERT INTO types (id, i2, i4, i8, num, num2, f4, f8, b, t, vc, c, ba, d, ti, ts, u, ia, ta) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")) {
            for (int n = 1; n <= 8; n++) {
                Object[] v = n % 4 == 0 ? new Object[18] : new Object[] { (short) n, -n, Long.MIN_VALUE + n, new BigDecimal("1.50").scaleByPowerOfTen(n * 10), new BigDecimal("2.25"), n / 3f, n / 7d, n % 2 == 0, "snowman \u2603 ' \" \\", "", "c", new byte[] { 0, 1, (byte) 255 },
                    java.time.LocalDate.of(2024, 2, 29), java.time.LocalTime.of(23, 59, 59), java.time.LocalDateTime.of(2024, 2, 29, 1, 2, 3, 456789000), new UUID(n, -n), con.createArrayOf("int4", new Object[] { 1, null, n }), con.createArrayOf("text", new Object[] { "a", "", "NULL", null, "q\"u\\o" }) };
                int[] kinds = { Types.SMALLINT, Types.INTEGER, Types.BIGINT, Types.NUMERIC, Types.NUMERIC, Types.REAL, Types.DOUBLE, Types.BOOLEAN, Types.VARCHAR, Types.VARCHAR, Types.CHAR, Types.BINARY, Types.DATE, Types.TIME, Types.TIMESTAMP, Types.OTHER, Types.ARRAY, Types.ARRAY };
                p.setLong(1, n);
                for (int i = 0; i < v.length; i++) { if (v[i] == null) p.setNull(i + 2, kinds[i]); else p.setObject(i + 2, v[i]); }
                System.out.println(p.executeUpdate());
            }
        }
        query("INSERT INTO types (id, iv, j, jb, na, md, ip, bits, r, pt, m, pos, tstz, num) VALUES (20, '1 day 00:00:03', '{\"a\": 1}', '[null]', '{1.5,NaN}', 'happy', '::1', B'1010', '[1,5)', '(1,2)', '12.34', 7, 'infinity', 'NaN')");
        try (PreparedStatement p = con.prepareStatement("SELECT i2, i4, i8, num, f4, f8, b, t, ba, d, ti, ts, u, ia, ta FROM types WHERE id = ?")) {
            for (int n = 1; n <= 9; n++) { p.setLong(1, n); rows(p.executeQuery()); } // binary from the fifth on
        }
        for (int n = 0; n < 7; n++) query("SELECT num, i8, d, ts, u, t, id FROM types WHERE id < ? ORDER BY num DESC NULLS LAST, id", 100L);
        query("SELECT " + COLUMNS + " FROM types WHERE id = 20");
        query("SELECT count(*), sum(i8), avg(num2), max(ts) FROM types WHERE id < ?", 10);
    }

    static void errors() throws Exception {
        check("errors");
        query("INSERT INTO accounts (account_id, owner, balance, created) VALUES (1, 'ann', 10, '2024-01-01'), (2, 'bob', 20, '2024-01-01'), (3, 'cem', 30, '2024-01-01')");
        for (String sql : new String[] { "SELECT 1/0", "SELECT * FROM nowhere", "SELEC", "INSERT INTO accounts (account_id, owner) VALUES (1, 'x')", "INSERT INTO accounts (account_id, owner) VALUES (7, NULL)", "UPDATE accounts SET balance = -1 WHERE account_id = 1",
            "INSERT INTO items VALUES (99, 1, 'x', 1)", "SELECT 'x'::mood" }) query(sql);
        query("SELECT owner FROM accounts WHERE account_id = ?", "x");
        query("SELECT owner FROM accounts WHERE account_id = ? AND owner = ?", 1, "ann");
    }

    static void transactions() throws Exception {
        check("transactions, savepoints, autosave");
        con.setAutoCommit(false);
        query("UPDATE accounts SET balance = balance - 5 WHERE account_id = 1");
        Savepoint s = con.setSavepoint("mine");
        query("UPDATE accounts SET balance = -1 WHERE account_id = 2");
        query("SELECT 1");
        con.rollback(s);
        query("UPDATE accounts SET balance = balance + 5 WHERE account_id = 3");
        con.releaseSavepoint(s);
        con.commit();
        query("SELECT account_id, balance FROM accounts ORDER BY 1");
        con.rollback();
        for (int level : new int[] { Connection.TRANSACTION_REPEATABLE_READ, Connection.TRANSACTION_READ_COMMITTED }) {
            con.setTransactionIsolation(level);
            query("SELECT sum(balance) FROM accounts");
            con.commit();
        }
        con.setReadOnly(true);
        query("UPDATE accounts SET balance = 0 WHERE account_id = 1");
        con.rollback();
        con.setReadOnly(false);
        con.setAutoCommit(true);
        Connection old = con;
        con = DriverManager.getConnection(url + "&autosave=always&prepareThreshold=1");
        con.setAutoCommit(false);
        for (int n = 0; n < 4; n++) {
            query("UPDATE accounts SET balance = balance + 1 WHERE account_id = ?", n);
            query("SELECT 1/0");
            query("SELECT owner FROM accounts WHERE account_id = ?", n);
        }
        con.commit();
        con.close();
        con = old;
        query("SELECT account_id, balance FROM accounts ORDER BY 1");
    }

    static void batches(String more) throws Exception {
        try (Connection c = DriverManager.getConnection(url + more); PreparedStatement p = c.prepareStatement("INSERT INTO items VALUES (?, ?, ?, ?)")) {
            int base = more.isEmpty() ? 0 : 1000;
            for (int n = 0; n < 200; n++) { p.setLong(1, n % 3 + 1); p.setInt(2, base + n); p.setString(3, "item " + n); p.setBigDecimal(4, new BigDecimal(n)); p.addBatch(); }
            System.out.println(Arrays.stream(p.executeBatch()).map(Math::abs).sum() > 0);
            c.setAutoCommit(false);
            for (int n : new int[] { 5000, 5001, 0, 5002 }) { p.setLong(1, 1); p.setInt(2, n); p.setString(3, "x"); p.setBigDecimal(4, null); p.addBatch(); }
            try { p.executeBatch(); System.out.println("no error"); } catch (BatchUpdateException e) { System.out.println(e.getSQLState()); }
            c.rollback();
        }
        query("SELECT account_id, count(*), sum(price) FROM items GROUP BY 1 ORDER BY 1");
    }

    static void fetch(String sql) throws Exception {
        con.setAutoCommit(false);
        try (PreparedStatement p = con.prepareStatement(sql)) {
            p.setFetchSize(17);
            int n = 0;
            try (ResultSet r = p.executeQuery()) { while (r.next()) n += r.getInt(1) > -1 ? 1 : 0; }
            System.out.println(n);
        } catch (SQLException e) {
            error(e);
        }
        con.commit();
        con.setAutoCommit(true);
    }

    static void transfer(int n) throws Exception {
        try (Connection c = DriverManager.getConnection(url); PreparedStatement p = c.prepareStatement("UPDATE accounts SET balance = balance + ? WHERE account_id = ?")) {
            c.setAutoCommit(false);
            for (int i = 0; i < 25;) {
                int a = (n + i) % 3 + 1, b = (n + i + 1) % 3 + 1;
                try {
                    p.setInt(1, -1); p.setLong(2, Math.min(a, b)); p.executeUpdate();
                    p.setInt(1, 1); p.setLong(2, Math.max(a, b)); p.executeUpdate();
                    c.commit();
                    i++;
                } catch (SQLException e) {
                    c.rollback();
                    if (!e.getSQLState().startsWith("40")) throw e;
                }
            }
        }
    }

    public static void main(String[] args) throws Exception {
        Map<String, String> env = System.getenv();
        url = "jdbc:postgresql://" + env.get("PGHOST") + ":" + env.get("PGPORT") + "/" + env.get("PGDATABASE") + "?user=" + env.get("PGUSER") + "&sslmode=disable";
        con = DriverManager.getConnection(url);
        types();
        errors();
        transactions();
        check("prepared");
        for (int n = 0; n < 10; n++) query("SELECT owner, ?::text FROM accounts WHERE account_id = ?", "x" + n, n % 4);
        try (PreparedStatement p = con.prepareStatement("SELECT count(*), sum(balance) FROM accounts WHERE balance > ?")) {
            for (int n = 0; n < 8; n++) { p.setInt(1, n); rows(p.executeQuery()); System.out.println(p.getParameterMetaData().getParameterTypeName(1)); }
        }
        check("batches");
        batches("");
        batches("&prepareThreshold=1");
        check("batches as multi-row INSERTs");
        query("DELETE FROM items");
        batches("&reWriteBatchedInserts=true");
        check("RETURNING");
        try (PreparedStatement p = con.prepareStatement("INSERT INTO notes (body) VALUES (?)", Statement.RETURN_GENERATED_KEYS)) { p.setString(1, "x"); p.executeUpdate(); rows(p.getGeneratedKeys()); }
        try (PreparedStatement p = con.prepareStatement("INSERT INTO accounts (account_id, owner, created) VALUES (?, ?, '2024-01-01')", new String[] { "account_id", "balance" })) { p.setLong(1, 50); p.setString(2, "x"); p.executeUpdate(); rows(p.getGeneratedKeys()); }
        check("fetch size on one shard");
        fetch("SELECT item FROM items WHERE account_id = 1 ORDER BY item");
        check("fetch size over shards");
        fetch("SELECT item FROM items ORDER BY item");
        check("several statements");
        try (Statement st = con.createStatement()) {
            boolean is = st.execute("SELECT 1 AS one; UPDATE accounts SET balance = 3 WHERE account_id = 50; SELECT owner FROM accounts ORDER BY account_id");
            while (is || st.getUpdateCount() != -1) { if (is) rows(st.getResultSet()); else System.out.println(st.getUpdateCount()); is = st.getMoreResults(); }
        }
        check("CopyManager");
        CopyManager copy = con.unwrap(PGConnection.class).getCopyAPI();
        System.out.println(copy.copyIn("COPY items FROM STDIN WITH (FORMAT csv)", new StringReader("1,9000,\"from, copy\",1.5\n2,9000,x,\n3,9000,y,0\n")));
        StringWriter w = new StringWriter();
        System.out.println(copy.copyOut("COPY (SELECT * FROM items WHERE account_id = 2 AND item > 100 ORDER BY item) TO STDOUT", w) + "\n" + w);
        w = new StringWriter();
        System.out.println(copy.copyOut("COPY items TO STDOUT", w));
        try { copy.copyIn("COPY items FROM STDIN WITH (FORMAT csv)", new StringReader("1,9000,again,1\n")); } catch (SQLException e) { error(e); }
        query("SELECT count(*) FROM items");
        check("cancel and timeouts");
        try (Statement st = con.createStatement()) {
            Timer timer = new Timer(true);
            timer.schedule(new TimerTask() { public void run() { try { st.cancel(); } catch (SQLException e) { e.printStackTrace(); } } }, 400);
            try { st.execute("SELECT account_id, pg_sleep(60) FROM accounts"); System.out.println("no error"); } catch (SQLException e) { error(e); }
        }
        try (Statement st = con.createStatement()) {
            st.setQueryTimeout(1);
            try { st.execute("SELECT pg_sleep(60)"); System.out.println("no error"); } catch (SQLException e) { error(e); }
        }
        System.out.println(con.isValid(5));
        check("metadata");
        DatabaseMetaData m = con.getMetaData();
        System.out.println(m.getDatabaseProductName() + " " + m.getDatabaseMajorVersion());
        try (ResultSet r = m.getTables(null, null, "%", new String[] { "TABLE", "SEQUENCE" })) { while (r.next()) System.out.println(r.getString(2) + "." + r.getString(3) + " " + r.getString(4) + " " + r.getString(5)); }
        try (ResultSet r = m.getColumns(null, "public", "accounts", "%")) { while (r.next()) System.out.println(r.getString(4) + " " + r.getString(6) + " " + r.getString(7) + " " + r.getString(13) + " " + r.getString(12)); }
        try (ResultSet r = m.getPrimaryKeys(null, "public", "items")) { while (r.next()) System.out.println(r.getString(4) + " " + r.getString(6)); }
        try (ResultSet r = m.getImportedKeys(null, "public", "items")) { while (r.next()) System.out.println(r.getString(3) + " " + r.getString(8) + " " + r.getString(11)); }
        try (ResultSet r = m.getIndexInfo(null, "public", "accounts", false, false)) { while (r.next()) System.out.println(r.getString(6) + " " + r.getString(9)); }
        try (ResultSet r = m.getSchemas()) { while (r.next()) System.out.println(r.getString(1)); }
        check("concurrency");
        query("UPDATE accounts SET balance = 1000 WHERE account_id < 4");
        List<Thread> threads = new ArrayList<>();
        for (int n = 0; n < 6; n++) { final int k = n; Thread t = new Thread(() -> { try { transfer(k); } catch (Exception e) { e.printStackTrace(); System.exit(1); } }); t.start(); threads.add(t); }
        for (Thread t : threads) t.join();
        query("SELECT sum(balance) FROM accounts");
        check("end");
        con.close();
    }
}
