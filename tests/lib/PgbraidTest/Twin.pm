# The same database twice: sharded behind a router, and whole on one plain server. A statement run on both must give the
# same rows (in any order), columns, types, tags and SQLSTATEs, and leave the same rows behind, or be refused by the router.
#
#   my $t = PgbraidTest::Twin->new(everywhere => $sql, tables => $sql, sharded => { orders => ['customer_id'] }, reference => ['countries']);
#   is($t->differs('SELECT ...'), undef);
#
# everywhere: SQL for every shard and the plain server (types, functions, roles); tables: SQL for the home shard and the plain
# server; statements may follow in `after`, run everywhere once the tables are distributed (it is the caller's to make sense).
# Other options: any_user_type (types of users are not told apart: P37 is not there yet), shards (3), settings (of the servers), config (of the router),
# cluster (a part of another one: the shards, and a plain server that is already loaded, roles too). Shard 1 is home.
package PgbraidTest::Twin;
use strict;
use warnings;
use Carp qw(croak);
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(run);
use PgbraidTest::Router;
use PgbraidTest::Tree;
use PgbraidTest::Wire;

sub new
{
    my ($class, %opt) = @_;
    my $n = $opt{shards} // 3;
    my $cluster = $opt{cluster} // PgbraidTest::Cluster->new(shards => $n, settings => $opt{settings} // {});
    my $self = bless { cluster => $cluster, n => $n, sharded => $opt{sharded} // {}, reference => $opt{reference} // [], any_user_type => $opt{any_user_type} }, $class;
    my @ranges = PgbraidTest::Router::equal_ranges($n);
    $self->{plain} = $opt{cluster} ? $n + 1 : $cluster->add_shard;
    my $common = $opt{everywhere} // '';
    for my $i ($opt{cluster} ? () : $self->{plain}, 1 .. $n) {
        $common =~ s/^CREATE ROLE [^;]*;//mg if $i != $self->{plain}; # roles are the server's
        $self->load($i, $common);
    }
    $self->load($_, $opt{tables} // '') for 1, $opt{cluster} ? () : $self->{plain};
    $self->{router} = PgbraidTest::Router->new(cluster => $cluster, ranges => \@ranges, config => { ($n == 5 ? (gather_array_rows => 0) : ()), %{ $opt{config} // {} } });
    for my $table (sort keys %{ $self->{sharded} }) {
        $self->{router}->do('SELECT pgbraid.shard_table(' . join(', ', map { "'$_'" } $table, @{ $self->{sharded}{$table} }) . ')');
    }
    $self->{router}->do("SELECT pgbraid.reference_table('$_')") for @{ $self->{reference} };
    if ($opt{after}) {
        $self->load($_, $opt{after}) for 1 .. $n + 1;
        $self->{router}->restart;
    }
    $self->{unsharded} = [ grep { my $t = $_; !$self->{sharded}{$t} && !grep { $_ eq $t } @{ $self->{reference} } } $self->tables_of($self->{plain}) ];
    return $self;
}

sub router  { return $_[0]{router}; }
sub cluster { return $_[0]{cluster}; }
sub plain   { return $_[0]{plain}; }
sub shards  { return $_[0]{n}; }

# SQL on a database, past the router.
sub load
{
    my ($self, $i, $sql) = @_;
    my $r = run([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $self->{cluster}->conninfo($i) ], stdin => $sql);
    croak "psql: $r->{err}" if $r->{rc};
    return;
}

# Names of the ordinary tables, as SQL writes them.
sub tables_of
{
    my ($self, $i) = @_;
    return map { $_->[0] } @{ $self->{cluster}->rows($i, q{SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND n.nspname !~ '^(pg_|information_schema|pgbraid)' ORDER BY 1}) };
}

# Sessions of the two, kept open: { router, plain }. A statement that breaks a session gets new ones.
sub sessions
{
    my ($self) = @_;
    $self->{session} //= { router => $self->{router}->wire, plain => $self->{cluster}->wire($self->{plain}) };
    $self->{past}{$_} //= $self->{cluster}->wire($_) for 1 .. $self->{n} + 1;
    return $self->{session};
}

sub reset_sessions { my ($self) = @_; delete $self->{session}; return; }

# One execution on a session. Options: values (list: extended protocol), types (of the parameters), formats and
# result_formats (0 text, 1 binary).
sub execute
{
    my ($self, $w, $sql, %opt) = @_;
    return answer($opt{values} || $opt{extended} ? $w->send(messages($sql, %opt))->until_ready : @{ $w->query($sql)->{frames} });
}

# The messages of an execution, and its frames as the answer.
sub messages
{
    my ($sql, %opt) = @_;
    return Query($sql) unless $opt{values} || $opt{extended};
    return join '', Parse('', $sql, @{ $opt{types} // [] }), Bind('', '', $opt{values} // [], formats => $opt{formats}, result_formats => $opt{result_formats}), Describe('P', ''), Execute(''), Sync();
}

sub answer
{
    my (@frames) = @_;
    my $r = PgbraidTest::Wire::result(@frames);
    my ($t) = grep { $_->{type} eq 'T' } @frames;
    $r->{described} = $t && $t->{columns};
    return $r;
}

sub row { return join '|', map { defined $_ ? $_ =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ger : '~' } @{ $_[0] }; }
sub bag { return join "\n", sort map { row($_) } @_; }

# A type's name where it is a user's, since its number differs between databases.
sub type_name
{
    my ($self, $side, $oid) = @_;
    return $oid if $oid < 16_384;
    return 'a user\'s' if $self->{any_user_type};
    return $self->{type_name}{$side}{$oid} //= ($self->{past}{ $side eq 'plain' ? $self->{plain} : 1 }->rows("SELECT format_type($oid, NULL)")->[0][0] // "?$oid");
}

sub columns_of
{
    my ($self, $side, $r) = @_;
    return '' unless $r->{described};
    return join ', ', map { "$_->{name} " . $self->type_name($side, $_->{type}) . " $_->{modifier}" } @{ $r->{described} };
}

sub content
{
    my ($self, $i, @tables) = @_;
    return {} unless @tables;
    my %rows = map { $_ => [] } @tables;
    for my $row (@{ $self->{past}{$i}->rows(join ' UNION ALL ', map { "SELECT '" . s/'/''/gr . "', t::text FROM $_ t" } @tables) }) {
        push @{ $rows{ $row->[0] } }, $row->[1];
    }
    return \%rows;
}

# Do all tables hold what the plain server's hold? undef, or what differs.
sub contents_differ
{
    my ($self) = @_;
    $self->sessions;
    my $want = $self->content($self->{plain}, sort(keys %{ $self->{sharded} }), @{ $self->{reference} }, @{ $self->{unsharded} });
    my %got;
    for my $i (1 .. $self->{n}) {
        my $have = $self->content($i, sort(keys %{ $self->{sharded} }), @{ $self->{reference} }, $i == 1 ? @{ $self->{unsharded} } : ());
        push @{ $got{$_} }, $have->{$_} for keys %$have;
    }
    for my $table (sort keys %got) {
        my @versions = $self->{sharded}{$table} ? [ map { @$_ } @{ $got{$table} } ] : @{ $got{$table} };
        my $all = join "\n", sort @{ $want->{$table} };
        for my $v (@versions) {
            my $have = join "\n", sort @$v;
            return "table $table afterwards\nwant:\n$all\nhave:\n$have" if $have ne $all;
        }
    }
    return undef;
}

# After a difference: give the plain server the shards' rows, so that what follows is judged on its own.
sub resync
{
    my ($self) = @_;
    my $w = $self->{past}{ $self->{plain} };
    $w->do('BEGIN', "SET LOCAL session_replication_role = 'replica'");
    for my $table (sort(keys %{ $self->{sharded} }), @{ $self->{reference} }, @{ $self->{unsharded} }) {
        my @rows = map { @{ $self->content($_, $table)->{$table} } } $self->{sharded}{$table} ? (1 .. $self->{n}) : (1);
        my $columns = join ', ', map { $_->[0] } @{ $w->rows("SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = '$table'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum") };
        $w->do("DELETE FROM $table");
        $w->do(map { "INSERT INTO $table ($columns) OVERRIDING SYSTEM VALUE SELECT $columns FROM (SELECT ('" . s/'/''/gr . "'::$table).*) r" } @rows);
    }
    $w->do('COMMIT');
    return;
}

# The router's own refusal; its errors that PostgreSQL has too (42P01, 25P02 ...) are compared as those.
sub refused { my ($r) = @_; return $r->{error} && $r->{error}{C} eq '0A000' && ($r->{error}{D} // '') =~ /\bPB\d{4}\b/ ? $r->{error} : undef; }

# Which rows are in one of two bags only, or undef.
sub bags_differ
{
    my ($got, $want) = @_;
    return undef if bag(@$got) eq bag(@$want);
    my %n;
    $n{ row($_) }++ for @$got;
    $n{ row($_) }-- for @$want;
    my ($more, $less) = map { my $sign = $_; join "\n", map { ($_) x abs $n{$_} } grep { $n{$_} * $sign > 0 } sort keys %n } 1, -1;
    return "rows: only got\n$more\nonly wanted\n$less";
}

# Binary values hold the numbers of users' types (elements of arrays, fields of rows): the home shard's, as the plain server has them.
sub as_plain
{
    my ($self, $got) = @_;
    my @columns = grep { my $c = $got->{described}[$_]; $c->{format} && ($c->{type} >= 16_384 || $c->{type} == 2249 || $c->{type} == 2287) } 0 .. $#{ $got->{described} // [] };
    return $got->{rows} unless @columns;
    $self->{as_plain} //= do {
        my %plain = map { @$_ } @{ $self->{past}{ $self->{plain} }->rows('SELECT oid::regtype, oid FROM pg_type WHERE oid >= 16384') };
        my %as = map { (pack('N', $_->[0]) => pack('N', $plain{ $_->[1] })) } grep { $plain{ $_->[1] } } @{ $self->{past}{1}->rows('SELECT oid, oid::regtype FROM pg_type WHERE oid >= 16384') };
        \%as;
    };
    my $any = join '|', map { quotemeta } sort keys %{ $self->{as_plain} };
    return [ map { my @row = @$_; for (@row[@columns]) { s/($any)/$self->{as_plain}{$1}/g if defined; } \@row } @{ $got->{rows} } ];
}

# Run on both and compare; undef if they agree or the router refuses ({refused} of %$out says so). Options: as execute's;
# ordered (rows in this order), any_error (which error does not matter), plain_first (and
# not on the router at all if the plain server has a statement_timeout and hits it: {skipped}), contents (compare the tables afterwards), out (a hash to fill: got, want, refused).
sub differs
{
    my ($self, $sql, %opt) = @_;
    my $s = $self->sessions;
    my $out = $opt{out} // {};
    my $first = $opt{plain_first} ? $self->execute($s->{plain}, $sql, %opt) : undef;
    if ($first && $first->{error} && $first->{error}{C} eq '57014') {
        %$out = (skipped => 1);
        return undef;
    }
    my $got = $self->execute($s->{router}, $sql, %opt);
    %$out = (got => $got, refused => refused($got));
    my $what = $sql . ($opt{values} ? ' -- ' . row($opt{values}) : '');
    if ($out->{refused}) {
        # Nothing may have happened.
        return undef if !$opt{contents};
        my $diff = $self->contents_differ;
        return $diff && "$what\nrefused, but $diff";
    }
    my $want = $out->{want} = $first // $self->execute($s->{plain}, $sql, %opt);
    my $diff = $self->answers_differ($got, $want, %opt);
    $diff //= $self->contents_differ if $opt{contents};
    return $diff && "$what\n$diff";
}

# What differs between the router's answer and the plain server's (of execute); undef if nothing does. Options: ordered and any_error as above.
sub answers_differ
{
    my ($self, $got, $want, %opt) = @_;
    $got = { %$got, rows => $self->as_plain($got) };
    my ($ge, $we) = map { $_->{error} ? "$_->{error}{C} $_->{error}{M}" : 'none' } $got, $want;
    return
        $opt{any_error} && $got->{error} && $want->{error} ? undef
        : ($got->{error} ? $got->{error}{C} : '') ne ($want->{error} ? $want->{error}{C} : '') ? "error: got $ge, want $we"
        : $got->{error} ? undef
        : "@{ $got->{tags} }" ne "@{ $want->{tags} }" ? "tag: got @{ $got->{tags} }, want @{ $want->{tags} }"
        : $self->columns_of('router', $got) ne $self->columns_of('plain', $want) ? 'columns: got ' . $self->columns_of('router', $got) . "\nwant " . $self->columns_of('plain', $want)
        : $got->{status} ne $want->{status} ? "status: got $got->{status}, want $want->{status}"
        : $opt{ordered} ? (join("\n", map { row($_) } @{ $got->{rows} }) ne join("\n", map { row($_) } @{ $want->{rows} }) ? 'order' : undef)
        : bags_differ($got->{rows}, $want->{rows});
}

1;
