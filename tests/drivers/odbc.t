#!/usr/bin/perl
# psqlODBC, through pyodbc: prepared on the server and not, catalogs, cursors.
use strict;
use warnings;
use PgbraidTest::Driver qw(compare program python_module);

my ($library) = glob '/usr/lib/x86_64-linux-gnu/odbc/psqlodbcw.so /usr/lib/*/odbc/psqlodbcw.so';
PgbraidTest::Driver::compare(
    name    => 'ODBC',
    present => sub { return python_module('pyodbc') // ($library ? undef : 'no odbc-postgresql') },
    version => sub { return PgbraidTest::Driver::says('dpkg-query', '-W', '-f', '${Package} ${Version} ', 'odbc-postgresql', 'python3-pyodbc') },
    command => [ '/usr/bin/python3', '-B', program('odbc_client.py') ],
    env     => { ODBC_DRIVER => $library },
    checks  => 23,
    sharded => 3,
);
