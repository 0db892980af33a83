#!/usr/bin/perl
# PHP's pdo_pgsql.
use strict;
use warnings;
use PgbraidTest::Driver qw(compare program);

PgbraidTest::Driver::compare(
    name    => 'pdo_pgsql',
    present => sub { return defined PgbraidTest::Driver::says('php', '-r', 'exit(extension_loaded("pdo_pgsql") ? 0 : 1);') ? undef : 'PHP has no pdo_pgsql' },
    version => sub { PgbraidTest::Driver::says('php', '-r', 'echo PHP_VERSION, ", libpq ", (new ReflectionExtension("pgsql"))->getVersion();') },
    command => [ 'php', program('php_pdo.php') ],
    checks  => 15,
    sharded => 3,
);
