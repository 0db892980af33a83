#!/usr/bin/perl
# psycopg2: text values, server-side cursors, COPY, batches, large objects.
use strict;
use warnings;
use PgbraidTest::Driver qw(compare program python_module);

PgbraidTest::Driver::compare(
    name    => 'psycopg2',
    short   => 1,
    present => sub { python_module('psycopg2') },
    version => sub { PgbraidTest::Driver::says('/usr/bin/python3', '-c', 'import psycopg2; print(psycopg2.__version__)') },
    command => [ '/usr/bin/python3', '-B', program('psycopg2_client.py') ],
    checks  => 18,
    sharded => 3,
);
