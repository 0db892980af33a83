#!/usr/bin/perl
# Each header compiles alone, each .c includes its own header (or its folder's half of it, NAME_int.h) first, and guards are named after the path.
use strict;
use warnings;
use Test::More;
use File::Temp qw(tempdir);
use PgbraidTest::Tree;

my $root = PgbraidTest::Tree::root();
my $dir = tempdir(CLEANUP => 1);
my @headers = grep { !m{^tests/} } PgbraidTest::Tree::files('*.h');
ok(@headers > 10, 'the tree has headers');

# The name that the include path gives a header: lib/ is on the path.
sub include_name { my ($path) = @_; $path =~ s{^lib/}{}; return $path; }

# The compiler's complaint about a text; empty when it compiles.
sub compile
{
    my ($text) = @_;
    open my $out, '>', "$dir/alone.c" or die "alone.c: $!";
    print $out $text;
    close $out;
    return `gcc -std=gnu11 -fsyntax-only -Wall -Wextra -Werror -I$root -I$root/lib -x c $dir/alone.c 2>&1`;
}

isnt(compile("#include \"base/nothing.h\"\n"), '', 'a header that is not there is noticed');
for my $path (@headers) {
    my $name = include_name($path);
    # The second include proves the guard.
    my $complaint = compile("#include \"$name\"\n#include \"$name\"\nextern int not_empty;\n");
    is($complaint, '', "$path compiles alone");
    (my $guard = uc $name) =~ s/\W/_/g;
    like(PgbraidTest::Tree::slurp($path), qr/^#ifndef \Q$guard\E\n#define \Q$guard\E$/m, "$path has its guard");
}

for my $path (grep { !m{^(?:tests|cmake)/} } PgbraidTest::Tree::files('*.c')) {
    (my $header = $path) =~ s/\.c$/.h/;
    next unless -e "$root/$header";
    my ($first) = PgbraidTest::Tree::slurp($path) =~ /^\s*#\s*include\s*[<"]([^>"]+)[>"]/m;
    (my $internal = $header) =~ s/\.h$/_int.h/;
    my @may = map { include_name($_) } $header, -e "$root/$internal" ? $internal : ();
    ok((grep { $first eq $_ } @may), "$path includes its own header first") or diag("it is $first");
}

done_testing();
