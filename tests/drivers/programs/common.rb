# What the Ruby programs share: how results are printed, and the values and statements that each tries.
$stdout.sync = true

def check(name) = puts("## #{name}")

def show(value) = puts(value.inspect)

COLUMNS = %w[id i2 i4 i8 num num2 f4 f8 b t vc c ba d ti ts tstz iv u j jb ia ta na md].freeze
ROWS = [
  ['1', '1', '2', '3', '1.5', '2.25', '0.5', '0.1', 't', "text ä 'q' \"d\" \\b\t\n", 'var', 'c', '\x0001ff5c27', '2024-02-29', '23:59:59.999999', '2024-02-29 01:02:03.456789', '2024-02-29 01:02:03.456789+05:30',
   '3 days 00:00:05.000007', '12345678-1234-5678-1234-567812345678', '{"a": [1, 2.50, null]}', '{"b": "\u00e4"}', '{1,2,NULL}', '{"a","","NULL",NULL,"q\"u\\\\o"}', '{1.1,-2,NaN}', 'happy'],
  ['2', '-32768', '-2147483648', '-9223372036854775808', '-1e30', '-9999999999.99', '-3.4028235e38', '-1.7976931348623157e308', 'f', '', '', '', '\x', '0001-01-01', '00:00', 'infinity', '-infinity',
   '0', '00000000-0000-0000-0000-000000000000', 'null', '[]', '{}', '{}', '{}', 'sad'],
  ['3', '32767', '2147483647', '9223372036854775807', '0', '9999999999.99', '1e-37', '5e-324', 't', 'x' * 100_000, 'x' * 20, 'abcde', '\x' + 'ab' * 70_000, '9999-12-31', '12:00', '9999-12-31 23:59:59.999999', '2024-07-01 00:00+00',
   '-1 days -00:00:00.000001', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '"x"', '1e3', "{#{(0..999).to_a.join(',')}}", '{x}', '{0.125}', 'ok'],
  ['4'] + [nil] * 24
].freeze
EDGES = ['0', '-0.00', '1e-16383', '9' * 400, "-#{'9' * 100}.#{'1' * 50}", 'NaN', 'Infinity', '0.1', '10000', '9999.9999', '100000000.00000001'].freeze
FAULTS = ['SELECT 1/0', 'SELECT * FROM nowhere', 'SELEC', "INSERT INTO accounts (account_id, owner) VALUES (1, 'x')", 'INSERT INTO accounts (account_id, owner) VALUES (7, NULL)',
          'UPDATE accounts SET balance = -1 WHERE account_id = 1', "INSERT INTO items VALUES (99, 1, 'x', 1)", "SELECT 'x'::mood", 'INSERT INTO types (id, pos) VALUES (500, 0)', 'SET nothing = 1'].freeze
ACCOUNTS = "INSERT INTO accounts (account_id, owner, balance, created) VALUES (1, 'ann', 10, '2024-01-01'), (2, 'bob', 20, '2024-01-01'), (3, 'cem', 30, '2024-01-01')".freeze
