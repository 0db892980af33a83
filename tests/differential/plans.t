#!/usr/bin/perl
# Never silently wrong: statements made at random, planned by plan_tool, run on the shards that the plan names, and
# compared with the answer of one server that holds all rows. A plan for "any one" shard must hold on every shard. What
# the planner refuses is counted, not compared.
#
# PGBRAID_STATEMENTS (how many) and PGBRAID_SEED repeat a failure or make the run longer.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(run workdir);
use PgbraidTest::Tree;

my $seed = $ENV{PGBRAID_SEED} // 20240131;
my $wanted = $ENV{PGBRAID_STATEMENTS} // 2000;
srand $seed;

my $root = PgbraidTest::Tree::root();
my $dir = workdir();
my $cluster = PgbraidTest::Cluster->new(shards => 4, settings => { fsync => 'off' });
my $whole = 4; # shards are 1 to 3, home is 2

sub psql
{
    my ($i, @args) = @_;
    my $r = run([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $cluster->conninfo($i), @args ]);
    die "psql: $r->{err}" if $r->{rc};
    return $r->{out};
}

my $data = <<'END';
INSERT INTO customers SELECT i, 'n' || i % 4, (ARRAY['de', 'fr', 'xx', NULL])[1 + i % 4], NULLIF((i + 3) % 7, 0) FROM generate_series(0, 11) i;
INSERT INTO orders SELECT i % 9, i, 'n' || i % 5, NULLIF(i % 7, 3), NULL FROM generate_series(0, 29) i;
INSERT INTO lines SELECT i % 8, i % 30, i, NULLIF(i % 6, 2) FROM generate_series(0, 39) i;
INSERT INTO events SELECT i % 4, (ARRAY['eu', 'us', 'de'])[1 + i / 4 % 3], i FROM generate_series(0, 11) i;
INSERT INTO notes SELECT i % 3, (ARRAY['eu', 'us', 'de'])[1 + i / 3 % 3], i FROM generate_series(0, 8) i;
INSERT INTO docs SELECT 'n' || i, 'de' FROM generate_series(0, 6) i;
INSERT INTO countries VALUES ('de', 'n1', 3), ('fr', 'n2', 4), ('it', 'n3', NULL);
INSERT INTO products SELECT i, 'n' || i, i * 2 FROM generate_series(0, 4) i;
INSERT INTO settings VALUES ('n1', 'de'), ('n2', 'fr');
END

my %key = (customers => 'hashint8extended(id, 0)', orders => 'hashint8extended(customer_id, 0)', lines => 'hashint8extended(customer_id, 0)',
           docs => 'hashtextextended(key, 0)', events => 'hashtextextended(region, hashint8extended(tenant, 0))',
           notes => 'hashtextextended(region, hashint8extended(tenant, 0))');
my @bounds = (0, map { $_ * 2**48 } 0x5555, 0xaaaa, 0x10000); # exact: few bits
my $schema = PgbraidTest::Tree::slurp('tests/plan/schema.sql');
for my $i (1 .. 4) {
    psql($i, '-f', "$root/planner/sql/bootstrap.sql");
    psql($i, '-c', $schema);
    $schema =~ s/^CREATE ROLE.*$//m; # roles are the server's
    psql($i, '-c', $data);
    next if $i == $whole;
    for my $table (sort keys %key) {
        psql($i, '-c', sprintf 'DELETE FROM %s WHERE NOT (%s::numeric + 9223372036854775808 >= %.0f AND %s::numeric + 9223372036854775808 < %.0f)',
            $table, $key{$table}, $bounds[ $i - 1 ], $key{$table}, $bounds[$i]);
    }
    psql($i, '-c', 'DELETE FROM settings') if $i != 2;
}

# --- statements ---

my %columns = (
    customers => [qw(id name country parent_id)], orders => [qw(customer_id id item total)],
    lines => [qw(customer_id order_id n qty)], events => [qw(tenant region v)], notes => [qw(tenant region v)],
    docs => [qw(key body)], countries => [qw(code name population)], products => [qw(id name price)], settings => [qw(name value)]);
my %text = map { $_ => 1 } qw(name country item region key body code value);
my %keys = (customers => ['id'], orders => ['customer_id'], lines => ['customer_id'], events => [qw(tenant region)], notes => [qw(tenant region)], docs => ['key']);

sub pick { return $_[ rand @_ ]; }
sub chance { return rand() < $_[0]; }
my $names = 0;
my %with; # name => columns, of the statement being made

# What a level can see: [alias, [columns], [columns that are keys]]
sub constant { my ($column) = @_; return $text{$column} ? "'" . pick(qw(n0 n1 n2 n3 de fr eu us)) . "'" : int rand 7; }
sub kind { my ($column) = @_; return $text{ $column =~ s/.*\.//r } ? 't' : 'n'; }
sub column { my (@seen) = @_; my $s = pick(@seen); return "$s->[0]." . pick(@{ $s->[1] }); }

sub like_column
{
    my ($kind, @seen) = @_;
    my @all = map { my $s = $_; map { "$s->[0].$_" } @{ $s->[1] } } @seen;
    my @same = grep { kind($_) eq $kind } @all;
    return @same ? pick(@same) : undef;
}

sub key_condition
{
    my ($s) = @_;
    my @conditions = map {
        my $c = "$s->[0].$_";
        chance(0.65) ? "$c = " . constant($_) : chance(0.5) ? "$c IN (" . join(', ', map { constant($c =~ s/.*\.//r) } 1 .. 1 + int rand 3) . ')'
            : chance(0.5) && !$text{$_} ? "$c = ANY ('{" . join(',', map { constant('n') } 1 .. int rand 3) . "}')" : "($c = " . constant($_) . " OR $c = " . constant($_) . ')'
    } @{ $s->[2] };
    return @conditions ? join(' AND ', @conditions) : 'true';
}

sub key_join
{
    my ($a, $b) = @_;
    my $n = @{ $a->[2] } < @{ $b->[2] } ? @{ $a->[2] } : @{ $b->[2] };
    return 'true' if !$n || kind($a->[2][0]) ne kind($b->[2][0]);
    return join ' AND ', map { "$a->[0].$a->[2][$_] = $b->[0].$b->[2][$_]" } grep { kind($a->[2][$_]) eq kind($b->[2][$_]) } 0 .. $n - 1;
}

sub condition
{
    my ($depth, $seen, $outer) = @_;
    my $r = rand;
    my $s = pick(@$seen);
    return key_condition($s) if $r < 0.3 && @{ $s->[2] };
    return key_join($s, pick(@$seen, @$outer)) if $r < 0.5;
    my $c = column(@$seen);
    my $other = like_column(kind($c), @$seen, @$outer);
    return "$c = $other" if $r < 0.58 && $other;
    return "$c " . pick('=', '<', '<>', '>=') . ' ' . constant($c =~ s/.*\.//r) if $r < 0.7;
    return "$c IS " . pick('NULL', 'NOT NULL') if $r < 0.73;
    return '(' . condition($depth, $seen, $outer) . ' OR ' . condition($depth, $seen, $outer) . ')' if $r < 0.79;
    return 'NOT (' . condition($depth, $seen, $outer) . ')' if $r < 0.81;
    return 'true' if $depth <= 0;
    if ($r < 0.9) {
        my ($q) = select_query($depth - 1, [ @$seen, @$outer ], 0);
        return pick('EXISTS', 'EXISTS', 'NOT EXISTS') . " ($q)";
    }
    my ($q) = select_query($depth - 1, [ @$seen, @$outer ], kind($c));
    return "$c " . pick('IN', 'IN', 'NOT IN') . " ($q)" if $r < 0.97;
    return "$c = (SELECT max(x) FROM ($q) AS m (x))";
}

sub conditions
{
    my ($depth, $seen, $outer, $n) = @_;
    return join ' AND ', map { condition($depth, $seen, $outer) } 1 .. $n;
}

sub from_item
{
    my ($depth, $left, $outer) = @_;
    my $alias = 't' . ++$names;
    my $r = rand;
    if (%with && $r < 0.2) {
        my $name = pick(sort keys %with);
        return ("$name AS $alias", [ $alias, @{ $with{$name} } ]);
    }
    if ($depth > 0 && $r < 0.35) {
        my $lateral = @$left && chance(0.5);
        my ($q, $columns, $key) = select_query($depth - 1, $lateral ? [ @$left, @$outer ] : $outer, undef);
        return (($lateral ? 'LATERAL ' : '') . "($q) AS $alias", [ $alias, $columns, $key ]);
    }
    my $table = pick(qw(customers customers orders orders orders lines lines events notes docs countries products));
    return ("$table AS $alias", [ $alias, $columns{$table}, $keys{$table} // [] ]);
}

sub on_condition
{
    my ($depth, $a, $b, $outer) = @_;
    my @parts;
    push @parts, key_join(pick(@$a), $b) if chance(0.75);
    push @parts, condition($depth - 1, [ @$a, $b ], $outer) if !@parts || chance(0.25);
    return join ' AND ', @parts;
}

sub from_clause
{
    my ($depth, $outer) = @_;
    my ($sql, $first) = from_item($depth, [], $outer);
    my @seen = ($first);
    my $joins = chance(0.6) ? 1 + int rand 2 : 0;
    for (1 .. $joins) {
        my ($item, $s) = from_item($depth, \@seen, $outer);
        my $join = pick('JOIN', 'JOIN', 'LEFT JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN', ',');
        $join = 'JOIN' if $item =~ /^LATERAL/ && $join =~ /RIGHT|FULL/;
        if ($join eq ',') { $sql = "$sql, $item"; push @seen, $s; next; }
        # A comma binds less than JOIN: what stands left of it is not seen by ON.
        my @visible = $sql =~ /^[^,]*$/ ? @seen : ();
        if (!@visible) { $sql = "$sql, $item"; push @seen, $s; next; }
        my $shared = $join eq 'FULL JOIN' ? undef : shared_key(\@visible, $s);
        if ($shared && chance(0.2)) { $sql = "$sql $join $item USING (" . join(', ', @$shared) . ')'; }
        else { $sql = "$sql $join $item ON " . ($join eq 'FULL JOIN' ? full_on(\@visible, $s) : on_condition($depth, \@visible, $s, $outer)); }
        push @seen, $s;
    }
    return ($sql, \@seen);
}

# FULL JOIN needs a mergeable condition.
sub full_on { my ($a, $s) = @_; my $on = key_join(pick(@$a), $s); return $on; }

sub shared_key
{
    my ($a, $s) = @_;
    return undef if @$a != 1 || !@{ $s->[2] } || "@{ $a->[0][2] }" ne "@{ $s->[2] }";
    return $s->[2];
}

# A query: text, output columns, those that are keys. $want: undef any columns, 'n' or 't' one column, 0 does not matter
sub select_query
{
    my ($depth, $outer, $want) = @_;
    my ($from, $seen) = from_clause($depth, $outer);
    my $where = chance(0.85) ? ' WHERE ' . conditions($depth, $seen, $outer, 1 + int rand 2) : '';
    if (defined $want) {
        return ("SELECT 1 FROM $from$where") if $want eq '0';
        my $c = like_column($want, @$seen);
        return "SELECT " . ($want eq 't' ? "'n1'" : 1) . " FROM $from$where" if !$c;
        return "SELECT $c FROM $from$where" if chance(0.9);
        return 'SELECT ' . pick('min', 'max') . "($c) FROM $from$where";
    }
    my @columns = map { column(@$seen) } 1 .. 1 + int rand 2;
    my $s = pick(@$seen);
    unshift @columns, map { "$s->[0].$_" } @{ $s->[2] } if chance(0.6);
    my %seen_name;
    @columns = grep { my ($n) = /([^.]+)$/; !$seen_name{$n}++ } @columns;
    my @names = map { s/.*\.//r } @columns;
    my %have = map { $_ => 1 } @columns;
    my @key = !grep({ !$have{"$s->[0].$_"} } @{ $s->[2] }) ? @{ $s->[2] } : ();
    my $r = rand;
    my $list = join ', ', @columns;
    return ("SELECT $list FROM $from$where", \@names, \@key) if $r < 0.6;
    return ("SELECT DISTINCT $list FROM $from$where", \@names, \@key) if $r < 0.66;
    return ("SELECT $list, count(*) AS v FROM $from$where GROUP BY $list", [ @names, $seen_name{v} ? () : 'v' ], \@key) if $r < 0.76 && !$seen_name{v};
    return ("SELECT $list, (SELECT count(*) FROM orders x WHERE x.customer_id = $s->[0].$s->[2][0]) AS v FROM $from$where", [ @names, 'v' ], \@key)
        if $r < 0.82 && !$seen_name{v} && @{ $s->[2] } && !$text{ $s->[2][0] };
    return ("SELECT $list FROM $from$where ORDER BY $list LIMIT " . int(rand 4), \@names, \@key) if $r < 0.95;
    return ("SELECT count(*) AS v, max($columns[0]) AS total FROM $from$where", [qw(v total)], []);
}

sub top_select
{
    my ($depth) = @_;
    my ($q) = select_query($depth, [], undef);
    return $q if chance(0.88);
    my ($c) = $q =~ /^SELECT (?:DISTINCT )?(t\d+\.\w+) FROM/ or return $q;
    my ($other) = select_query($depth - 1, [], kind($c));
    return "$q " . pick('UNION', 'UNION ALL', 'EXCEPT', 'INTERSECT') . " $other";
}

sub with_clause
{
    return '' if chance(0.75);
    my ($q, $columns, $key) = select_query(1, [], undef);
    %with = (w1 => [ $columns, $key ]);
    return 'WITH w1 AS' . pick('', ' MATERIALIZED') . " ($q) ";
}

sub assignment
{
    my ($table) = @_;
    my ($c) = { customers => 'parent_id', orders => 'total', lines => 'qty', events => 'v', notes => 'v', countries => 'population' }->{$table};
    return "$c = " . pick(int rand 9, "COALESCE($table.$c, 0) + 1", "(SELECT count(*) FROM orders x WHERE x.customer_id = " . ($keys{$table} && !$text{ $keys{$table}[0] } ? "$table.$keys{$table}[0]" : 1) . ')');
}

sub change
{
    my $table = pick(qw(customers orders orders lines lines events notes countries));
    my @target = ([ $table, $columns{$table}, $keys{$table} // [] ]);
    my $r = rand;
    return insert() if $r < 0.35;
    my ($item, $s) = chance(0.3) ? from_item(1, [], []) : ();
    push @target, $s if $s;
    my $where = ' WHERE ' . ($s ? key_join($target[0], $s) . ' AND ' : '') . conditions(1, \@target, [], 1 + int rand 2);
    return "DELETE FROM $table" . ($item ? " USING $item" : '') . $where if $r < 0.6;
    # With FROM the value must not depend on which of several matches is taken.
    return "UPDATE $table SET " . assignment($table) . ($item ? " FROM $item" : '') . $where;
}

sub insert
{
    my $n = 100 + int rand 50;
    my $conflict = pick('', '', ' ON CONFLICT DO NOTHING', ' ON CONFLICT (id) DO UPDATE SET name = excluded.name');
    return 'INSERT INTO customers (id, name) VALUES ' . join(', ', map { '(' . pick(int rand 20, "'" . int(rand 20) . "'") . ", 'x$_')" } 1 .. 1 + int rand 4) . $conflict
        if chance(0.4);
    return 'INSERT INTO events (region, tenant, v) VALUES ' . join(', ', map { "('r$_', " . int(rand 5) . ', 1)' } 1 .. 1 + int rand 3) if chance(0.2);
    return "INSERT INTO countries VALUES ('c$n', 'x', $n)" if chance(0.2);
    my ($q) = select_query(1, [], undef);
    my $k = int rand 7;
    return "INSERT INTO orders (customer_id, id) SELECT $k, $n" . pick('', ' FROM countries WHERE population = 3', " FROM customers WHERE id = $k") if chance(0.4);
    my $from = pick('customers', 'lines', 'orders');
    my $key = $keys{$from}[0];
    return "INSERT INTO orders (customer_id, id) SELECT s.$key, max($n) FROM $from s WHERE " . key_condition([ 's', $columns{$from}, $keys{$from} ]) . " GROUP BY s.$key";
}

sub statement
{
    $names = 0;
    %with = ();
    return change() if chance(0.25);
    my $with = with_clause();
    return $with . top_select(2);
}

# --- planning and running ---

my $catalog = psql(2, '-c', 'SET search_path = pg_catalog', '-A', '-t', '-F', "\x1f", '-R', "\x1e", '-P', "null=\x02", '-f', "$root/planner/sql/catalog.sql");
open my $f, '>', "$dir/plan.cat" or die $!;
print {$f} $catalog;
close $f or die $!;

my %wire = map { $_ => $cluster->wire($_) } 1 .. 4;
$wire{$_}->do("SET statement_timeout = '10s'") for 1 .. 4;
my @tables = qw(customers orders lines events notes countries settings);

sub row { return join '|', map { $_ // '~' } @{ $_[0] }; }
sub multiset { return join "\n", sort map { row($_) } @_; }

# What a statement does on one server: { rows, count, error, after (rows of each table) }
sub effect
{
    my ($i, $sql) = @_;
    my $w = $wire{$i};
    my $writes = $sql !~ /^(?:SELECT|WITH)/;
    $w->do('BEGIN') if $writes;
    my $r = $w->query($sql);
    my %e = (rows => $r->{rows} // [], error => $r->{error} ? $r->{error}{C} : undef, count => ($r->{tags}[0] // '') =~ /(\d+)$/ ? $1 : 0);
    if ($writes) {
        $e{after} = { map { $_ => $w->rows("SELECT * FROM $_") } @tables } unless $e{error};
        $w->do('ROLLBACK');
    }
    return \%e;
}

sub tables_of
{
    my ($effects) = @_;
    my %all;
    for my $t (@tables) {
        my @rows = map { $_->{after} ? @{ $_->{after}{$t} } : () } @$effects;
        $all{$t} = multiset(@rows);
    }
    return \%all;
}

my (%count, @failures);

sub check
{
    my ($sql, $plan) = @_;
    if ($plan =~ /^ERROR (PB\d+)/m) { $count{refused}++; return; }
    if ($plan =~ /^(?:gather|query keyed gather)\b/m) { $count{gathered}++; return; } # tests/e2e/gather.t runs such
    if ($plan =~ /^query keyed merge\b/m) { $count{merged}++; return; } # finish.t runs such: the router, not a shard, gives the rows
    my ($where) = $plan =~ /^shards: (.*)$/m or do { push @failures, "$sql\nno route:\n$plan"; return; };
    my %split = $plan =~ /^to s(\d): (.*)$/mg;
    my $any = $where =~ /^any one/;
    my @on = $any ? (1 .. 3) : $where =~ /\bs(\d)\b/g;
    $count{$any ? 'any' : @on > 1 ? 'several' : 'one'}++;
    my $want = effect($whole, $sql);
    my $writes = $want->{after} && join('', map { multiset(@{ $want->{after}{$_} }) } @tables);
    my @got = map { effect($_, $split{$_} // $sql) } @on;
    if ($want->{error}) {
        $count{errors}++;
        push @failures, "$sql\nfails with $want->{error} on one server, not on the shards:\n$plan" if !grep { ($_->{error} // '') eq $want->{error} } @got;
        return;
    }
    if (my ($bad) = grep { $_->{error} } @got) { push @failures, "$sql\nfails with $bad->{error} on a shard:\n$plan"; return; }
    my $same = $plan =~ /^query all same/;
    for my $set ($any || $same ? map { [$_] } @got : \@got) {
        my @rows = map { @{ $_->{rows} } } @$set;
        my $n = 0;
        $n += $_->{count} for @$set;
        if (multiset(@rows) ne multiset(@{ $want->{rows} }) || ($sql !~ /^(?:SELECT|WITH)/ && $n != $want->{count})) {
            push @failures, "$sql\nwant $want->{count}:\n" . multiset(@{ $want->{rows} }) . "\ngot $n:\n" . multiset(@rows) . "\nplan:\n$plan";
            return;
        }
    }
    return if !$want->{after};
    # All shards' rows afterwards, the untouched ones included.
    my %by_shard;
    @by_shard{@on} = @got;
    for my $t (@tables) {
        my @parts = map { $by_shard{$_} && $by_shard{$_}{after} ? $by_shard{$_}{after}{$t} : $wire{$_}->rows("SELECT * FROM $t") } 1 .. 3;
        my $all = multiset(@{ $want->{after}{$t} });
        my @versions = $t eq 'countries' ? map { multiset(@$_) } @parts : $t eq 'settings' ? multiset(@{ $parts[1] }) : multiset(map { @$_ } @parts);
        next if !grep { $_ ne $all } @versions;
        push @failures, "$sql\ntable $t afterwards differs\nwant:\n$all\ngot:\n" . join("\n--\n", @versions) . "\nplan:\n$plan";
        return;
    }
}

my @statements = map { statement() } 1 .. $wanted;
my $r = run([ PgbraidTest::Tree::build() . '/tools/plan_tool', "plan=$dir/plan.cat" ], stdin => join('', map { "$_;\n" } @statements), timeout_s => 300);
is($r->{rc}, 0, 'plan_tool runs') or diag($r->{err});
unlike($r->{out}, qr/^CACHED PLAN DIFFERS/m, 'cached plans are those a fresh look gives');
my @blocks = split /\n\n/, $r->{out};
is(scalar @blocks, $wanted, 'a plan for each');
for my $i (0 .. $wanted - 1) {
    my ($sql, $plan) = $blocks[$i] =~ /\A(.*?);\n(.*)\z/s;
    check($sql, $plan);
    last if @failures >= 5;
}
is(scalar @failures, 0, 'no answer differs from that of one server') or diag("seed $seed\n" . join "\n----\n", @failures);
note join ', ', map { "$_ $count{$_}" } sort keys %count;
cmp_ok($count{one} // 0, '>', $wanted / 20, 'enough statements ran on one shard');
cmp_ok($count{several} // 0, '>', $wanted / 20, 'enough statements ran on several shards');
cmp_ok($count{any} // 0, '>', $wanted / 500, 'enough statements ran on any shard');
done_testing();
