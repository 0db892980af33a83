#!/usr/bin/perl
# psycopg 3: text and binary values, pipeline mode, server-side cursors, COPY, asyncio.
use strict;
use warnings;
use PgbraidTest::Driver qw(compare program python_module);

PgbraidTest::Driver::compare(
    name    => 'psycopg3',
    short   => 1,
    present => sub { python_module('psycopg') },
    version => sub { PgbraidTest::Driver::says('/usr/bin/python3', '-c', 'import psycopg; print(psycopg.__version__)') },
    command => [ '/usr/bin/python3', '-B', program('psycopg3_client.py') ],
    checks  => 21,
    sharded => 3,
);
