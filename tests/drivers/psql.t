#!/usr/bin/perl
# psql: every \d command over sharded, reference and unsharded tables, \copy, \gdesc, \watch and the rest.
use strict;
use warnings;
use PgbraidTest::Driver qw(compare program);

PgbraidTest::Driver::compare(
    name    => 'psql',
    short   => 1,
    version => sub { PgbraidTest::Driver::says('psql', '--version') },
    command => [ 'sh', '-c', 'exec psql -X -v VERBOSITY=sqlstate -P pager=off -f "$1" 2>&1', 'sh', program('psql.sql') ],
    checks  => 30,
    config  => { safe_functions => 'public.twice' },
    sharded => 3,
    # \watch prints the time; the router adds its number and the shard to an error.
    same => sub { return $_[0] =~ s/^DETAIL:  \[PB\d+\]\n|^CONTEXT:  shard "s\d"\n//gmr =~ s/^\w{3} \w{3} \d+ \d\d:\d\d:\d\d \d{4} \(every/TIME (every/gmr; },
);
