#!/usr/bin/perl
# docs/errors.md documents exactly the errors of lib/base/errcodes.h: id, SQLSTATE, title, cause and way out.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Tree;

my %code;
my $header = PgbraidTest::Tree::slurp('lib/base/errcodes.h');
while ($header =~ /X\((PB\d{4}), "(\w{5})", "([^"]+)"\)/g) {
    ok(!$code{$1}, "$1 is declared once");
    $code{$1} = { state => $2, title => $3 };
}
ok(keys %code > 20, 'errcodes.h was understood');

my %doc;
for my $line (split /\n/, PgbraidTest::Tree::slurp('docs/errors.md')) {
    next unless $line =~ /^\|\s*(PB\d{4})\s*\|/;
    my (undef, $id, $state, $title, $cause, $way) = map { s/^\s+|\s+$//gr } split /\|/, $line;
    ok(!$doc{$id}, "$id is documented once");
    $doc{$id} = 1;
    next unless ok($code{$id}, "$id in docs/errors.md exists");
    is($state, $code{$id}{state}, "$id has its SQLSTATE");
    is($title, $code{$id}{title}, "$id has its title");
    cmp_ok(length($cause // ''), '>', 15, "$id has a cause");
    cmp_ok(length($way // ''), '>', 15, "$id has a way out");
}
ok($doc{$_}, "$_ is documented") for sort keys %code;

done_testing();
