# The truth is one PostgreSQL: statements that only read, run on one plain server and on routers over 1, 3 and 5 shards, in the
# simple protocol and in the extended one with results as text and as binary. Rows (in order where it is total), columns, types,
# tags and SQLSTATEs have to be the same, or the router has to refuse.
#
#   my $t = PgbraidTest::Truth->new('types');                  # the schema tests/differential/schema/types.sql
#   $t->run(cases('corpus/joins.sql'));                        # { wrong => [...], refused => [...], same, errors, skipped }
#
# All databases are on one server. Statements go out in batches, so that a round trip is not paid for each.
#
# A schema is SQL with lines that tell what it is: "-- everywhere" (what follows is for each shard, too: types, functions), "-- tables" (for
# the home shard and the plain server), "-- sharded: table key...", "-- reference: table...", "-- config: name value" (of the router).
#
# A case is { sql, ordered, values, types, formats }. Files of cases: statements end with ; at the end of a line; one that begins
# with ! has a total order; lines before it that begin with a backslash set its parameters (values, types, formats; ~ is NULL, 0x... bytes).
# A case that was answered wrongly is made smaller and kept, in the test's directory and as such a file that "./dev differential --case FILE" runs.
#
# Options: shards ([1, 3, 5]); full (each case in each protocol on each router; otherwise in one of them in turn, each on 3 shards, some on
# the others. PGBRAID_FULL=1 sets it); timeout (of the plain server, for statements made at random: what takes longer there is skipped).
package PgbraidTest::Truth;
use strict;
use warnings;
use Exporter qw(import);
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(run workdir);
use PgbraidTest::Shrink qw(shrink);
use PgbraidTest::Tree;
use PgbraidTest::Twin;
use Test::More ();
use Time::HiRes qw(time);

our @EXPORT_OK = qw(cases);

my %modes = (simple => {}, text => { extended => 1, result_formats => [0] }, binary => { extended => 1, result_formats => [1] });
my $BATCH = 16;
my $MAX_ROWS = 2000; # of statements made at random: more take long to compare

sub new
{
    my ($class, $schema, %opt) = @_;
    my %s = read_schema($schema);
    my $self = bless { schema => $schema, shards => $opt{shards} // [ 1, 3, 5 ], full => $opt{full} // $ENV{PGBRAID_FULL}, kept => 0 }, $class;
    my $cluster = $self->{cluster} = PgbraidTest::Cluster->new(shards => 1, settings => { max_connections => 300, %{ $opt{settings} // {} } });
    load($cluster, 1, $s{everywhere} . $s{tables});
    $cluster->do(1, 'ANALYZE');
    for my $n (@{ $self->{shards} }) {
        my $part = $cluster->part((map { $cluster->add_shard } 1 .. $n), 1);
        push @{ $self->{twins} }, PgbraidTest::Twin->new(cluster => $part, shards => $n, %s, config => { %{ $s{config} }, %{ $opt{config} // {} } });
    }
    $self->{timeout} = $opt{timeout};
    return $self;
}

sub twins { return @{ $_[0]{twins} }; }

sub load
{
    my ($cluster, $i, $sql) = @_;
    my $r = run([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $cluster->conninfo($i) ], stdin => $sql);
    die "psql: $r->{err}" if $r->{rc};
    return;
}

sub read_schema
{
    my ($name) = @_;
    my %s = (everywhere => '', tables => '', sharded => {}, reference => [], config => {});
    my $to;
    for my $line (split /^/, PgbraidTest::Tree::slurp("tests/differential/schema/$name.sql")) {
        if ($line =~ /^-- (everywhere|tables)$/) { $to = $1; }
        elsif ($line =~ /^-- sharded: (\S+) (.*)$/) { $s{sharded}{$1} = [ split ' ', $2 ]; }
        elsif ($line =~ /^-- reference: (.*)$/) { push @{ $s{reference} }, split ' ', $1; }
        elsif ($line =~ /^-- config: (\S+) (.*)$/) { $s{config}{$1} = $2; }
        elsif ($line !~ /^--/) { $s{$to} .= $line if $to; }
    }
    return %s;
}

# The cases of a file, path from tests/differential or absolute.
sub cases
{
    my ($file) = @_;
    my @cases;
    for my $text (grep { /\S/ } split /;\s*\n/, PgbraidTest::Tree::slurp($file =~ m{^/} ? $file : "tests/differential/$file") =~ s/^--.*\n//mgr) {
        my %c;
        while ($text =~ s/\A\s*\\(\w+) (.*)\n//) {
            $c{$1} = [ map { $_ eq '~' ? undef : /^0x/ ? pack('H*', substr $_, 2) : $_ } split / /, $2 ];
        }
        $text =~ s/\A\s+|\s+\z//g;
        $c{ordered} = $text =~ s/\A!//;
        push @cases, { %c, sql => $text };
    }
    return @cases;
}

# A case as text, for cases().
sub as_text
{
    my ($case) = @_;
    my $set = join '', map { my $k = $_; "\\$k " . join(' ', map { !defined $_ ? '~' : /^[!-}]+$/ && !/^0x/ ? $_ : '0x' . unpack 'H*', $_ } @{ $case->{$k} }) . "\n" } grep { $case->{$_} && @{ $case->{$_} } } qw(values types formats);
    return $set . ($case->{ordered} ? '!' : '') . "$case->{sql};\n";
}

sub how { my ($case, $mode) = @_; return (%$case, %{ $modes{$mode} }); }

# A session of a side (a twin, or the plain server), kept open.
sub session
{
    my ($self, $side) = @_;
    return $self->{session}{$side} //= do {
        my $w = $side eq 'plain' ? $self->{cluster}->wire(1) : $self->{twins}[$side]->router->wire;
        $w->do("SET statement_timeout = '" . ($side eq 'plain' ? $self->{timeout} : '60s') . "'") if $self->{timeout};
        $w;
    };
}

# Answers of a side to cases in a mode, in order. A session that breaks is the answer { error } of the statement that broke it.
sub answers
{
    my ($self, $side, $mode, @cases) = @_;
    return unless @cases;
    my @answers;
    my $done = eval {
        my $w = $self->session($side);
        $w->send(map { PgbraidTest::Twin::messages($_->{sql}, how($_, $mode)) } @cases);
        push @answers, PgbraidTest::Twin::answer($w->until_ready) for @cases;
        1;
    };
    return @answers if $done;
    my $why = $@ =~ s/ at \S+ line.*//sr;
    delete $self->{session}{$side};
    if (@cases > 1) { return map { $self->answers($side, $mode, $_) } @cases; }
    return ({ error => { C => 'lost', M => $why }, rows => [], tags => [] });
}

# Which of the modes a case runs in on a side. If not all: one, in turn, and not each case on every side.
sub runs
{
    my ($self, $side, $case, $mode, $i) = @_;
    return 0 if $mode eq 'simple' && $case->{values};
    return 1 if $self->{full} || @{ $self->{twins} } == 1;
    my $every = $self->{shards}[$side] == 1 ? 6 : $self->{shards}[$side] == 3 ? 1 : 3;
    my @of = $case->{values} ? qw(text binary) : qw(simple text binary);
    return $i % $every == 0 && $of[ (int($i / $every) + $side) % @of ] eq $mode;
}

# One case on one router: what differs, or undef.
sub differs
{
    my ($self, $side, $mode, $case) = @_;
    my ($want) = $self->answers('plain', $mode, $case);
    return undef if $want->{error} && $want->{error}{C} eq '57014';
    my ($got) = $self->answers($side, $mode, $case);
    return undef if PgbraidTest::Twin::refused($got);
    return $self->{twins}[$side]->answers_differ($got, $want, ordered => $case->{ordered});
}

# Run cases; a list of what is wrong: { case, mode, shards, diff, file }. Counts and refusals go to %{ $t->{count} } and
# @{ $t->{refusals} }. Stops after so many wrong ones (5).
sub run_cases
{
    my ($self, $cases, %opt) = @_;
    $_->sessions for $self->twins; # answers_differ asks them for names of types
    my @wrong;
    for (my $from = 0; $from < @$cases; $from += $BATCH) {
        my @index = $from .. ($from + $BATCH > @$cases ? $#$cases : $from + $BATCH - 1);
        for my $mode (qw(simple text binary)) {
            my @of = grep { my $i = $_; grep { $self->runs($_, $cases->[$i], $mode, $i) } 0 .. $#{ $self->{twins} } } @index;
            my %want;
            @want{@of} = $self->answers('plain', $mode, @$cases[@of]);
            my @slow = grep { $self->{timeout} && ($want{$_}{error} && $want{$_}{error}{C} eq '57014' || @{ $want{$_}{rows} } > $MAX_ROWS) } @of;
            $self->{count}{skipped} += @slow if @slow;
            delete @want{@slow};
            for my $side (0 .. $#{ $self->{twins} }) {
                my @mine = grep { $want{$_} && $self->runs($side, $cases->[$_], $mode, $_) } @of;
                my %got;
                @got{@mine} = $self->answers($side, $mode, @$cases[@mine]);
                for my $i (@mine) {
                    push @wrong, $self->judge($side, $mode, $cases->[$i], $got{$i}, $want{$i});
                }
            }
        }
        last if @wrong >= ($opt{stop} // 5);
    }
    return @wrong;
}

sub judge
{
    my ($self, $side, $mode, $case, $got, $want) = @_;
    my $n = $self->{shards}[$side];
    if (my $refused = PgbraidTest::Twin::refused($got)) {
        my $kind = $want->{error} ? 'refused an error' : 'refused';
        $self->{count}{$kind}++;
        push @{ $self->{refusals} }, { sql => $case->{sql}, id => $refused->{D} =~ /\b(PB\d{4})\b/, why => $refused->{M}, shards => $n, mode => $mode } unless $want->{error};
        return;
    }
    my $diff = $self->{twins}[$side]->answers_differ($got, $want, ordered => $case->{ordered});
    if (!$diff) {
        $self->{count}{ $got->{error} ? 'errors' : 'same' }++;
        return;
    }
    $self->{count}{wrong}++;
    return { case => $case, mode => $mode, shards => $n, diff => $diff, $self->keep($side, $mode, $case, $diff) };
}

# A smaller case that differs likewise, in a file.
sub keep
{
    my ($self, $side, $mode, $case, $diff) = @_;
    my $kind = sub { return $_[0] && ($_[0] =~ /^([a-z]+)/)[0]; };
    my $same = $kind->($diff);
    my $small = { %$case };
    # A session of before may matter: only what differs by itself is made smaller.
    my $alone = $self->differs($side, $mode, $case);
    if (($kind->($alone) // '') eq $same) {
        # An order that is total has to stay so: what is selected and ORDER BY are left alone then.
        my ($head, $body, $tail) = $case->{ordered} && $case->{sql} =~ /\A(.*?)(\sFROM\s.*)(\sORDER BY\s.*?)\z/s ? ($1, $2, $3) : ('', $case->{sql}, '');
        my $fails = sub { my ($sql) = @_; return ($kind->($self->differs($side, $mode, { %$case, sql => "$head $sql $tail" })) // '') eq $same; };
        $small->{sql} = join ' ', grep { length } $head, shrink($body, $fails), $tail;
        $diff = $self->differs($side, $mode, $small) // $diff;
    }
    my $dir = workdir() . '/failing';
    mkdir $dir;
    my $file = sprintf '%s/%02d.sql', $dir, ++$self->{kept};
    open my $out, '>', $file or die "$file: $!";
    print $out "-- schema: $self->{schema}\n-- $self->{shards}[$side] shards, $mode", $alone ? '' : ' (not when it runs alone)', "\n", map({ "-- $_\n" } split /\n/, $diff), as_text($small);
    print $out "-- as it was:\n", map { "-- $_\n" } split /\n/, as_text($case) if $small->{sql} ne $case->{sql};
    close $out or die "$file: $!";
    return (small => $small->{sql}, small_diff => $diff, file => $file);
}

# As a test's output: a line each, and how to run them again.
sub complain
{
    my ($self, @wrong) = @_;
    Test::More::diag("$_->{shards} shards, $_->{mode}:\n" . ($_->{small} // $_->{case}{sql}) . "\n" . substr($_->{small_diff}, 0, 2000) . "\n  ./dev differential --case $_->{file}") for @wrong;
    return scalar @wrong;
}

sub summary
{
    my ($self) = @_;
    return join ', ', map { "$_ " . ($self->{count}{$_} // 0) } qw(same errors refused), 'refused an error', qw(skipped wrong);
}

# A benchmark's queries, "$name.sql" over "schema/$name.sql", on three shards and on one plain server in each protocol: there are $n, each
# gives rows, is combined as %plans says (number => how; the others are gathered), and gives what one server gives.
sub benchmark
{
    my ($name, $n, %plans) = @_;
    my $self = PgbraidTest::Truth->new($name, shards => [3]);
    Test::More::is(($self->twins)[0]->contents_differ, undef, 'the same rows to begin with');
    my @cases = cases("$name.sql");
    Test::More::is(scalar @cases, $n, "$n queries");
    my $plain = $self->{cluster}->wire(1);
    my $router = ($self->twins)[0]->router;
    for my $i (1 .. @cases) {
        my $rows = $plain->rows($cases[$i - 1]{sql});
        Test::More::ok((grep { grep { defined } @$_ } @$rows), "Q$i: " . @$rows . ' rows');
        Test::More::is($router->plan($cases[$i - 1]{sql}), $plans{$i} // 'gathered', "Q$i: how");
    }
    Test::More::is($self->complain($self->run_cases(\@cases, stop => $n)), 0, 'as one server');
    Test::More::note($_) for $self->summary, $self->reasons;
    Test::More::is($self->{count}{same}, 3 * $n, 'all run');
    return;
}

# Why statements that the plain server answers were refused: "PBnnnn message: n (an example)", most frequent first.
sub reasons
{
    my ($self) = @_;
    my (%n, %example);
    for my $r (@{ $self->{refusals} // [] }) {
        my $why = "$r->{id} " . $r->{why} =~ s/"[^"]*"/.../gr;
        $n{$why}++;
        $example{$why} = $r->{sql} if !defined $example{$why} || length $r->{sql} < length $example{$why};
    }
    return map { "$n{$_} $_: $example{$_}" } sort { $n{$b} <=> $n{$a} || $a cmp $b } keys %n;
}

1;
