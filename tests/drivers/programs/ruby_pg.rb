# ruby-pg: text and binary results, type maps, COPY with coders, single-row and pipeline mode.
require 'pg'
require_relative 'common'

def connect = PG.connect(host: ENV.fetch('PGHOST'), port: ENV.fetch('PGPORT'))

CON = connect
TYPES = PG::BasicTypeMapForResults.new(CON)

def told(res)
  show([res.cmd_status, res.fields.each_index.map { |n| [res.fname(n), res.ftype(n) < 16_384 ? res.ftype(n) : 'user', res.fmod(n), res.fformat(n)] }])
  res.each_row { |row| show(row) }
end

def query(sql, args = [], format = 0, con = CON) = told(con.exec_params(sql, args, format))

def fails(con = CON)
  yield
  puts 'no error'
rescue PG::Error => e
  r = e.result
  show([e.class, r && %w[SQLSTATE MESSAGE_PRIMARY CONSTRAINT_NAME TABLE_NAME COLUMN_NAME].map { |f| r.error_field(PG.const_get("PG_DIAG_#{f}")) }])
end

check 'types'
ROWS.each { |row| query("INSERT INTO types (#{COLUMNS.join(', ')}) VALUES (#{COLUMNS.each_index.map { |n| "$#{n + 1}" }.join(', ')})", row) }
query("SELECT #{COLUMNS.join(', ')} FROM types WHERE id = $1", [1])
query("SELECT #{COLUMNS.join(', ')} FROM types ORDER BY id")
told(CON.exec("SELECT #{COLUMNS.join(', ')} FROM types ORDER BY id"))
check 'types in binary'
query("SELECT #{COLUMNS.join(', ')} FROM types WHERE id = $1", [1], 1)
query("SELECT #{COLUMNS.join(', ')} FROM types ORDER BY id", [], 1)
query('SELECT count(*), sum(i4), max(ts), avg(num) FROM types', [], 1)
query('SELECT id FROM types WHERE id = $1', [{ value: [3].pack('q>'), type: 20, format: 1 }], 1)
query('INSERT INTO types (id, ba) VALUES ($1, $2)', [{ value: '30', type: 20 }, { value: (0..255).to_a.pack('C*'), type: 17, format: 1 }])
query('SELECT ba FROM types WHERE id = 30', [], 1)
check 'type maps'
CON.type_map_for_results = TYPES
query('SELECT id, i2, f8, b, ba, d, ts, tstz, j, ia, num FROM types WHERE id <= $1 ORDER BY id', [2])
query('SELECT id, i2, f8, b, ba FROM types WHERE id = $1', [1], 1)
CON.type_map_for_results = PG::TypeMapAllStrings.new
check 'NULLs and arrays'
query('SELECT $1::int, $2::text[]', [nil, '{NULL,x}'])
query('SELECT id FROM types WHERE id = ANY($1::bigint[]) ORDER BY id', ['{1,3}'])
query('SELECT id, ia[1] FROM types WHERE t IS NULL ORDER BY id')
check 'json'
query('INSERT INTO types (id, j, jb) VALUES ($1, $2, $3)', [100, '{"a": [1, null]}', '{"b":"x"}'])
query("SELECT j->'a', jb->>'b' FROM types WHERE id = 100")
query("SELECT id FROM types WHERE jb @> $1", ['{"b": "x"}'])
check 'numeric edges'
EDGES.each_with_index { |v, n| query('INSERT INTO types (id, num) VALUES ($1, $2)', [200 + n, v]) }
query('SELECT id, num FROM types WHERE id >= 200 ORDER BY num, id')
query('SELECT id, num FROM types WHERE id >= 200 ORDER BY num, id', [], 1)
fails { query('INSERT INTO types (id, i2) VALUES (300, $1)', [32_768]) }
check 'errors'
query(ACCOUNTS)
FAULTS.each do |sql|
  fails { CON.exec(sql) }
  fails { query(sql) }
end
fails { query('SELECT owner FROM accounts WHERE account_id = $1', ['x']) }
check 'transactions and savepoints'
CON.transaction do
  query('UPDATE accounts SET balance = balance - 5 WHERE account_id = 1')
  query('SAVEPOINT a')
  fails { query('UPDATE accounts SET balance = -1') }
  show(CON.transaction_status)
  query('ROLLBACK TO a')
  query('UPDATE accounts SET balance = balance + 5 WHERE account_id = 3')
end
begin
  CON.transaction { query('DELETE FROM accounts'); raise 'undone' }
rescue RuntimeError => e
  show(e.message)
end
query('SELECT account_id, balance FROM accounts ORDER BY 1')
check 'prepared'
CON.prepare('one', 'SELECT owner FROM accounts WHERE account_id = $1')
CON.prepare('all', 'SELECT count(*), sum(balance) FROM accounts WHERE balance > $1')
told(CON.describe_prepared('all'))
10.times do |n|
  told(CON.exec_prepared('one', [n % 4], n % 2))
  told(CON.exec_prepared('all', [n], n % 2))
end
CON.exec('DEALLOCATE one')
fails { CON.exec_prepared('one', [1]) }
check 'batches and pipeline mode'
CON.enter_pipeline_mode
90.times { |n| CON.send_query_params('INSERT INTO items VALUES ($1, $2, $3, $4)', [n % 3 + 1, n, "item #{n}", n]) }
CON.send_query_params('SELECT 1/0', [])
CON.send_query_params('SELECT 1', [])
CON.pipeline_sync
CON.send_query_params('SELECT account_id, count(*) FROM items GROUP BY 1 ORDER BY 1', [])
CON.pipeline_sync
syncs = 0
while syncs < 2
  res = CON.get_result or next
  show([res.res_status(res.result_status), res.cmd_tuples, res.values])
  syncs += 1 if res.result_status == PG::PGRES_PIPELINE_SYNC
end
CON.exit_pipeline_mode
90.times { |n| CON.exec_params('INSERT INTO items VALUES ($1, $2, $3, $4)', [n % 3 + 1, 100 + n, "item #{n}", n]) }
query('SELECT account_id, count(*), sum(price) FROM items GROUP BY 1 ORDER BY 1')
told(CON.exec('SELECT 1 AS one; SELECT count(*) FROM items'))
check 'single-row mode and cursors'
['SELECT item FROM items WHERE account_id = 1 ORDER BY item', 'SELECT item, account_id FROM items ORDER BY item'].each do |sql|
  CON.send_query(sql)
  CON.set_single_row_mode
  show(CON.get_result.stream_each_row.to_a)
  CON.get_result
  CON.transaction do
    CON.exec("DECLARE k CURSOR FOR #{sql}")
    3.times { told(CON.exec('FETCH 7 FROM k')) }
    CON.exec('CLOSE k')
  end
end
check 'COPY'
coder = PG::TextEncoder::CopyRow.new
show(CON.copy_data('COPY items FROM STDIN', coder) { [[1, 500, "x\ty", '1.5'], [2, 500, "ä\n\\", nil], [3, 500, '', '0']].each { |row| CON.put_copy_data(row) } }.cmd_status)
rows = []
CON.copy_data('COPY items TO STDOUT', PG::TextDecoder::CopyRow.new) { while (row = CON.get_copy_data) do rows << row end }
show(rows.sort_by(&:to_s))
CON.copy_data('COPY (SELECT * FROM items WHERE account_id = 2 ORDER BY item) TO STDOUT (FORMAT csv, HEADER)') { while (row = CON.get_copy_data) do show(row) end }
fails { CON.copy_data('COPY items FROM STDIN') { CON.put_copy_data("1\t500\tagain\t0\n") } }
check 'cancel'
['SELECT pg_sleep(60)', 'SELECT account_id, pg_sleep(60) FROM accounts'].each do |sql|
  CON.send_query(sql)
  sleep 0.4
  show(CON.cancel)
  fails { CON.get_last_result }
end
query('SELECT 1 AS one')
check 'concurrency'
query('UPDATE accounts SET balance = 1000')
threads = (0...8).map do |t|
  Thread.new do
    c = connect
    25.times do |n|
      a, b = [(t + n) % 3 + 1, (t + n + 1) % 3 + 1].sort
      c.transaction do
        c.exec_params('UPDATE accounts SET balance = balance - 1 WHERE account_id = $1', [a])
        c.exec_params('UPDATE accounts SET balance = balance + 1 WHERE account_id = $1', [b])
      end
    rescue PG::TRSerializationFailure, PG::TRDeadlockDetected
      retry
    end
    c.close
  end
end
threads.each(&:join)
query('SELECT sum(balance) FROM accounts')
check 'notifications'
CON.exec('LISTEN news')
other = connect
other.exec("NOTIFY news, 'hello'")
CON.wait_for_notify(20) { |channel, _pid, payload| show([channel, payload]) }
CON.exec('UNLISTEN news')
other.close
check 'session'
show([CON.server_version, CON.parameter_status('TimeZone'), CON.parameter_status('client_encoding'), CON.internal_encoding])
CON.set_client_encoding('UTF8')
query('SELECT name FROM items WHERE account_id = 2 AND item = 500')
CON.reset
query("SET TimeZone = 'Asia/Tokyo'")
query("SELECT created FROM accounts WHERE account_id = 2")
show([CON.parameter_status('TimeZone'), CON.escape_literal("a'b\\")])
CON.close
check 'end'
