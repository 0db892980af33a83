#!/usr/bin/perl
# Every #include of the tree against tests/lint/layers.txt, and a README in every layer.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Tree;

my $root = PgbraidTest::Tree::root();
my (%folder, %allowed, %foreign, %pure, %impure);

sub read_rules
{
    open my $in, '<', "$root/tests/lint/layers.txt" or die "layers.txt: $!";
    while (my $line = <$in>) {
        $line =~ s/#.*//;
        my ($kind, @w) = split ' ', $line or next;
        if ($kind eq 'layer') { my ($name, $dir, @may) = @w; $folder{$name} = $dir; $allowed{$name} = { map { $_ => 1 } $name, @may }; }
        elsif ($kind eq 'foreign') { my ($header, @may) = @w; $foreign{$header} = { map { $_ => 1 } @may }; }
        elsif ($kind eq 'pure') { $pure{$_} = 1 for @w; }
        elsif ($kind eq 'impure') { $impure{$_} = 1 for @w; }
        else { die "layers.txt: what is '$kind'?"; }
    }
}

# libc and the compiler's own headers: whatever else comes in angle brackets must be named in the rules.
my %libc = map { $_ => 1 } qw(assert.h ctype.h dirent.h dlfcn.h errno.h fcntl.h fenv.h float.h fts.h ftw.h getopt.h glob.h grp.h
    ifaddrs.h inttypes.h limits.h locale.h malloc.h math.h netdb.h poll.h pthread.h pwd.h regex.h sched.h semaphore.h setjmp.h signal.h spawn.h
    stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h stdnoreturn.h string.h strings.h
    syslog.h termios.h time.h ucontext.h unistd.h wchar.h wctype.h emmintrin.h immintrin.h x86intrin.h nmmintrin.h
    execinfo.h sanitizer/asan_interface.h sanitizer/lsan_interface.h);

# Why the include is not allowed, or undef.
sub fault
{
    my ($layer, $include, $quoted) = @_;
    return "$layer is to be free of descriptors, clocks and loggers" if $pure{$layer} && $impure{$include};
    for my $prefix (keys %foreign) {
        next if index($include, $prefix) != 0;
        return $foreign{$prefix}{$layer} ? undef : "only these may include it: " . join(q{ }, sort keys %{ $foreign{$prefix} });
    }
    if (!$quoted) {
        return undef if $libc{$include} || $include =~ m{^(?:sys|netinet|arpa|net|linux|bits)/};
        return "tests/lint/layers.txt does not know this foreign header";
    }
    my ($to) = $include =~ m{^(\w+)/} or return "write it with its folder";
    return "no such layer" unless $folder{$to};
    return undef if $allowed{$layer}{$to};
    return "$layer may not include $to";
}

sub layer_of
{
    my ($path) = @_;
    for my $name (keys %folder) { return $name if index($path, "$folder{$name}/") == 0; }
    return undef;
}

read_rules();

# The rules themselves can say no.
ok(defined fault('planner', 'router/exec/exec.h', 1), 'planner -> router would be refused');
ok(defined fault('router', 'store/db.h', 1), 'router -> store would be refused');
ok(defined fault('router', 'sqlite3.h', 0), 'sqlite3.h outside lib/store would be refused');
ok(defined fault('net', 'foo/bar.h', 0), 'an unknown foreign header would be refused');
ok(defined fault('wire', 'time.h', 0), 'a clock in a pure layer would be refused');
ok(!defined fault('router', 'planner/plan.h', 1), 'router -> planner is allowed');

my $n = 0;
my @faults;
# Tests are no layer: they may see everything.
for my $path (grep { !m{^(?:tests|cmake)/} } PgbraidTest::Tree::files(qw(*.c *.h))) {
    my $layer = layer_of($path);
    if (!$layer) { push @faults, "$path: in no layer"; next; }
    open my $in, '<', "$root/$path" or die "$path: $!";
    while (my $line = <$in>) {
        next unless $line =~ /^\s*#\s*include\s*([<"])([^>"]+)[>"]/;
        my ($quoted, $include) = ($1 eq '"', $2);
        $n++;
        my $why = fault($layer, $include, $quoted) or next;
        push @faults, "$path: $include: $why";
    }
}
ok($n > 100, "the tree has includes ($n)");
is(join("\n", @faults), '', 'every include is an allowed edge');

for my $dir (sort values %folder, 'tests') {
    next unless glob("$root/$dir/*");
    ok(-s "$root/$dir/README.md", "$dir has a README.md");
}

done_testing();
