#!/usr/bin/perl
# SQLAlchemy, Core and ORM, over psycopg2.
use strict;
use warnings;
use PgbraidTest::Driver qw(compare node program python);

PgbraidTest::Driver::compare(
    name    => 'SQLAlchemy',
    python('sqlalchemy', 'sqlalchemy_client.py'),
    checks  => 11,
    sharded => 3,
);
