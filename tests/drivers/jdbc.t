#!/usr/bin/perl
# JDBC: prepareThreshold, batches, autosave, fetch size, CopyManager, metadata.
use strict;
use warnings;
use PgbraidTest::Driver qw(compare program);

my ($jar) = glob '/usr/share/java/postgresql.jar';
PgbraidTest::Driver::compare(
    name    => 'JDBC',
    present => sub { return !$jar ? 'no libpostgresql-jdbc-java' : PgbraidTest::Driver::says('java', '-version') ? undef : 'no Java' },
    version => sub { return (readlink($jar) // $jar) . ', ' . PgbraidTest::Driver::says('java', '-version') =~ s/\n.*//sr },
    command => [ 'java', '-cp', $jar // '', program('Jdbc.java') ],
    checks  => 14,
    sharded => 3,
);
