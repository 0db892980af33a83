#!/usr/bin/perl
# Sequelize over node-postgres.
use strict;
use warnings;
use PgbraidTest::Driver qw(compare node program python);

PgbraidTest::Driver::compare(
    name    => 'Sequelize',
    node('sequelize.js', qw(pg sequelize)),
    checks  => 14,
    sharded => 4,
);
