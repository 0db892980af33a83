#!/usr/bin/perl
# Rules of style that a pattern can see: no typedef of a struct, union or enum, no umbrella header, sizes worth noticing,
# nothing promised for later, and Perl that compiles under strict and warnings.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Tree;

my $MAX_LINES_C = 800;
my $MAX_LINES_H = 200;
my $MAX_INCLUDES_H = 15;

# The faults of one C file's text.
sub faults
{
    my ($path, $text) = @_;
    my @faults;
    my $line = 0;
    for (split /\n/, $text) {
        $line++;
        push @faults, "line $line: typedef of a struct, union or enum" if /^\s*typedef\s+(?:struct|union|enum)\b(?!.*\(\s*\*?\s*\w+\s*\)\s*\()/ && !/\)\s*;/;
        push @faults, "line $line: a promise for later" if m{\b(?:TODO|FIXME|XXX)\b};
        push @faults, "line $line: tab" if /\t/;
        push @faults, "line $line: trailing blanks" if /\s$/;
    }
    my $includes = () = $text =~ /^\s*#\s*include/mg;
    push @faults, "$includes includes in a header" if $path =~ /\.h$/ && $includes > $MAX_INCLUDES_H;
    return @faults;
}

ok(faults('x.c', "typedef struct foo foo;\n") == 1, 'a struct typedef is noticed');
ok(faults('x.c', "typedef struct {\n") == 1, 'an anonymous one too');
ok(faults('x.c', "typedef void done_fn(void *arg);\n") == 0, 'a callback may be one');
ok(faults('x.c', "typedef struct list *next_fn(struct list *l);\n") == 0, 'also one that returns a struct');
ok(faults('x.c', "/* TO" . "DO */\n") == 1, 'a promise is noticed');

my @sources = PgbraidTest::Tree::files(qw(*.c *.h));
for my $path (@sources) {
    my $text = PgbraidTest::Tree::slurp($path);
    is(join("\n", faults($path, $text)), '', $path);
    my $lines = ($text =~ tr/\n//);
    my $max = $path =~ /\.h$/ ? $MAX_LINES_H : $MAX_LINES_C;
    diag("$path has $lines lines (over $max): a split may be due") if $lines > $max && $path !~ m{^tests/};
}

for my $path (PgbraidTest::Tree::files(qw(*.pm *.t *.pl))) {
    my $text = PgbraidTest::Tree::slurp($path);
    like($text, qr/^use strict;$/m, "$path: use strict");
    like($text, qr/^use warnings;$/m, "$path: use warnings");
}

done_testing();
