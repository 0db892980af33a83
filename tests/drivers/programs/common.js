// What the programs in JavaScript share.
'use strict';

const { inspect } = require('util');

function show(value) {
  console.log(inspect(value, { depth: 10, maxArrayLength: null, maxStringLength: 200, breakLength: 200, sorted: true }));
}

function check(name) {
  console.log('## ' + name);
}

// The error of a promise, as far as servers must agree.
async function fails(promise) {
  try {
    await promise;
    console.log('no error');
  } catch (e) {
    const o = e.original || e;
    show([o.code, o.message, o.constraint || o.constraint_name, o.table || o.table_name, o.column || o.column_name]);
  }
}

const rows = [
  { id: '1', i2: 1, i4: -2, i8: '3', num: '1.50', num2: '2.25', f8: 0.1, b: true, t: 'snowman \u2603 \u{1f600} \'q\' "d" \\', vc: 'v', ba: Buffer.from([0, 1, 255, 39, 92]), ts: '2024-02-29 01:02:03.456', tstz: new Date('2024-02-29T01:02:03.456Z'), d: '2024-02-29', u: '12345678-1234-5678-1234-567812345678', j: { a: [1, null, 'x'] }, ia: [1, 2], ta: ['a', '', 'NULL', 'q"u\\o', '{,}'], md: 'happy' },
  { id: '2', i2: -32768, i4: -2147483648, i8: '-9223372036854775808', num: '-1e30', num2: '-9999999999.99', f8: -Infinity, b: false, t: '', vc: '', ba: Buffer.alloc(0), ts: '-infinity', tstz: 'infinity', d: '0001-01-01', u: '00000000-0000-0000-0000-000000000000', j: [], ia: [], ta: [], md: 'sad' },
  { id: '3', i2: null, i4: null, i8: null, num: null, num2: null, f8: null, b: null, t: null, vc: null, ba: null, ts: null, tstz: null, d: null, u: null, j: null, ia: null, ta: null, md: null },
];
const edges = ['0', '1e-16383', '9'.repeat(400), 'NaN', '-0.00', '100000000.00000001'];
const faults = ['SELECT 1/0', 'SELECT * FROM nowhere', 'SELEC', "INSERT INTO accounts (account_id, owner) VALUES (1, 'x')", 'INSERT INTO accounts (account_id, owner) VALUES (7, NULL)',
  'UPDATE accounts SET balance = -1 WHERE account_id = 1', "INSERT INTO items VALUES (99, 1, 'x', 1)", "SELECT 'x'::mood"];

module.exports = { show, check, fails, rows, edges, faults };
