# Changing how a table is distributed: rows move, nothing is lost, whatever stops in the middle (P19, P39, P40).
use strict;
use warnings;
use lib 'tests/lib';
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(run wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;
use Test::More;

my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { workers => 2, admin_users => 'postgres' });
my @shards = 1 .. 3;
my $nrow = 300;

sub make
{
    my ($name) = @_;
    $cluster->do(1, "CREATE TABLE $name (id int PRIMARY KEY, v text NOT NULL DEFAULT 'x', n numeric(12,3), at timestamptz, b bytea, j jsonb, a text[], twice int GENERATED ALWAYS AS (id * 2) STORED, \"odd \"\"name\" float8 CHECK (\"odd \"\"name\" <> 7))",
        "CREATE INDEX ON $name (v)",
        "INSERT INTO $name (id, v, n, at, b, j, a, \"odd \"\"name\") SELECT i, CASE i % 4 WHEN 0 THEN E'tab\\t and \\\\ ' || i WHEN 1 THEN '' WHEN 2 THEN 'größe' ELSE E'line\\nbreak' END, i / 7.0, CASE WHEN i % 3 = 0 THEN NULL ELSE now() + i * interval '1 hour' END, decode(lpad(to_hex(i), 8, '0'), 'hex'), jsonb_build_object('i', i), ARRAY[i::text, NULL, 'x,y'], 1 / i::float8 FROM generate_series(1, $nrow) i");
    return;
}
# Everything in a table on one shard, one line a row.
sub lines { my ($i, $name) = @_; return map { $_->[0] } @{ $cluster->rows($i, "SELECT t::text FROM ONLY $name t") }; }
sub exists_on { my ($i, $name) = @_; return $cluster->value($i, "SELECT to_regclass('$name') IS NOT NULL") eq 't'; }
sub distribution { my ($i, $name) = @_; my $r = $cluster->rows($i, "SELECT dist FROM pgbraid.tables WHERE schema_name || '.' || table_name = '$name' OR table_name = '$name'"); return @$r ? $r->[0][0] : 'unsharded'; }
# Complaints about a table that shall be what the home shard says it is, with these rows.
sub faults
{
    my ($name, @expected) = @_;
    my $dist = distribution(1, $name);
    my @complaints;
    @expected = sort @expected;
    my @by_shard = map { exists_on($_, $name) ? [ sort(lines($_, $name)) ] : undef } @shards;
    my $same = sub { my ($a, $b) = @_; return "@$a" eq "@$b" && @$a == @$b; };
    if ($dist eq 'sharded') {
        $same->([ sort map { @{ $_ // [] } } @by_shard ], \@expected) or push @complaints, 'the shards together hold other rows: ' . join '+', map { scalar @{ $_ // [] } } @by_shard;
        for my $i (@shards) {
            my $def = $cluster->rows($i, "SELECT pg_get_expr(conbin, conrelid), convalidated FROM pg_constraint WHERE conrelid = '$name'::regclass AND conname = 'pgbraid_placement'");
            if (!@$def || $def->[0][1] ne 't') { push @complaints, "no placement constraint on shard $i"; next; }
            push @complaints, "misplaced rows on shard $i" if $cluster->value($i, "SELECT count(*) FROM $name WHERE NOT ($def->[0][0])");
        }
    }
    elsif ($dist eq 'reference') { $same->($by_shard[ $_ - 1 ] // [], \@expected) or push @complaints, "shard $_ holds other rows" for @shards; }
    else {
        $same->($by_shard[0] // [], \@expected) or push @complaints, 'the home shard holds other rows: ' . scalar @{ $by_shard[0] // [] };
        push @complaints, 'a placement constraint is left' if $cluster->value(1, "SELECT count(*) FROM pg_constraint WHERE conrelid = '$name'::regclass AND conname = 'pgbraid_placement'");
    }
    my @seen = sort map { $_->[0] } @{ $router->rows("SELECT id FROM $name") };
    push @complaints, 'through the router other rows are seen: ' . @seen if @seen != @expected;
    my $one = $router->rows("SELECT id FROM $name WHERE id = 42");
    push @complaints, 'row 42 is not found' unless @$one == 1;
    return join '; ', @complaints;
}

subtest 'there and back, from everywhere' => sub {
    make('app_orders');
    my @rows = lines(1, 'app_orders');
    my $w = $router->wire;
    my $r = $w->query("SELECT pgbraid.shard_table('app_orders', 'id')");
    is($r->{error}, undef, 'a literal');
    like($r->{rows}[0][0], qr/"public"\."app_orders" is sharded now; \d+ rows moved/, 'the answer');
    is(distribution($_, 'app_orders'), 'sharded', "shard $_ knows") for @shards;
    is(faults('app_orders', @rows), '', 'every row is where its key says, once');
    cmp_ok(scalar(lines($_, 'app_orders')), '>', $nrow / 5, "shard $_ has its share") for @shards;
    is($cluster->value(2, "SELECT count(*) FROM pg_indexes WHERE tablename = 'app_orders'"), 2, 'indexes are there, too');
    is($cluster->wire(2)->error('INSERT INTO app_orders (id, "odd ""name") VALUES (100000, 7)')->{C}, '23514', '... and constraints');
    like($w->query("SELECT pgbraid.shard_table('app_orders', 'id')")->{rows}[0][0], qr/already/, 'again is nothing');
    is($w->error("SELECT pgbraid.shard_table('app_orders', 'v')")->{C}, '0A000', 'another key needs unshard_table first');
    like($w->rows('SELECT pgbraid.unshard_table($1)', 'app_orders')->[0][0], qr/unsharded now/, 'a parameter');
    is(faults('app_orders', @rows), '', 'all rows are home');
    ok(!exists_on($_, 'app_orders'), "nothing is left on shard $_") for 2, 3;
    my $console = $router->wire(database => 'pgbraid');
    is($console->do("REFERENCE TABLE app_orders"), 'REFERENCE TABLE', 'the console');
    is(faults('app_orders', @rows), '', 'every shard has all rows');
    is($console->do("UNSHARD TABLE public.app_orders IN DATABASE test"), 'UNSHARD TABLE', '... back');
    is(faults('app_orders', @rows), '', 'all rows are home');
    for (([ 'table', 'shard', 'app_orders', '--by', 'id' ], [ 'table', 'unshard', 'app_orders' ], [ 'table', 'reference', 'app_orders' ], [ 'table', 'unshard', 'app_orders' ])) {
        my $got = $router->cli(@$_, '--config', $router->conf);
        is($got->{rc}, 0, "pgbraid @$_[0 .. 2]") or diag $got->{err};
        is(faults('app_orders', @rows), '', '... and all rows are there');
    }
    $w->do("SELECT pgbraid.shard_table('public.app_orders', 'id')");
    like($router->cli_ok('table', 'list', '--config', $router->conf), qr/app_orders *\| sharded *\| id/, 'pgbraid table list');
};

subtest 'P19: a row can only be where it belongs' => sub {
    my ($id) = $cluster->value(1, 'SELECT min(id) FROM app_orders');
    my $own = $cluster->value(2, 'SELECT min(id) FROM app_orders');
    my $w = $cluster->wire(2);
    is($w->error("INSERT INTO app_orders (id) VALUES ($id)")->{C}, '23514', 'INSERT on the wrong shard');
    is($w->error("UPDATE app_orders SET id = $id WHERE id = $own")->{C}, '23514', 'UPDATE of the key to one of another shard');
    $w->do("CREATE FUNCTION moved() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN NEW.id := $id; RETURN NEW; END \$\$",
        'CREATE TRIGGER m BEFORE INSERT OR UPDATE ON app_orders FOR EACH ROW EXECUTE FUNCTION moved()');
    is($w->error("UPDATE app_orders SET v = 'x' WHERE id = $own")->{C}, '23514', 'a trigger that changes the key');
    $w->do('DROP TRIGGER m ON app_orders', 'DROP FUNCTION moved');
};

subtest 'what is refused' => sub {
    $cluster->do(1, "CREATE TYPE mood AS ENUM ('a', 'b')", 'CREATE DOMAIN dom AS int', "CREATE COLLATION nd (provider = icu, locale = 'und', deterministic = false)",
        'CREATE TABLE odd (id int PRIMARY KEY, e mood, d dom, tz timestamptz, c text COLLATE nd, j jsonb, g int GENERATED ALWAYS AS (id) STORED, f float8)', 'CREATE TABLE uq (id int PRIMARY KEY, u int UNIQUE)',
        'CREATE TABLE parent (id int PRIMARY KEY)', 'CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent)', 'CREATE TABLE part (id int) PARTITION BY RANGE (id)',
        'CREATE TABLE ruled (id int PRIMARY KEY)', 'CREATE RULE r AS ON INSERT TO ruled DO INSTEAD NOTHING', 'CREATE VIEW vw AS SELECT 1 AS id', 'CREATE ROLE amy LOGIN', 'CREATE TABLE nokey (id int, v text)', 'INSERT INTO nokey SELECT i, i::text FROM generate_series(1, 50) i');
    my $w = $router->wire;
    for ([ 'odd', 'e' ], [ 'odd', 'd' ], [ 'odd', 'tz' ], [ 'odd', 'c' ], [ 'odd', 'j' ], [ 'odd', 'g' ], [ 'odd', 'f' ], [ 'uq', 'id' ], [ 'child', 'id' ], [ 'part', 'id' ], [ 'ruled', 'id' ], [ 'vw', 'id' ], [ 'pg_class', 'oid' ]) {
        my ($table, $key) = @$_;
        my $e = $w->error("SELECT pgbraid.shard_table('$table', '$key')");
        is($e->{C}, '0A000', "$table by $key: $e->{M}");
        like($e->{D} . ($e->{H} // ''), qr/PB0207/, '... with its id');
    }
    is($w->error("SELECT pgbraid.shard_table('nowhere', 'id')")->{C}, '42P01', 'no such table');
    is($w->error("SELECT pgbraid.shard_table('uq', 'nowhere')")->{C}, '42703', 'no such column');
    is($router->wire(user => 'amy')->error("SELECT pgbraid.shard_table('uq', 'u')")->{C}, '42501', 'not the owner');
    is($w->error(q{SELECT pgbraid.unshard_table('nowhere')})->{C}, '42P01', 'unshard_table of nothing');
    my $r = $w->query("SELECT pgbraid.shard_table('nokey', 'id')");
    my ($notice) = map { $_->{fields} } grep { $_->{type} eq 'N' && $_->{fields}{M} =~ /cannot be resharded/ } @{ $r->{frames} };
    is($notice->{S}, 'NOTICE', 'a table without a usable identity is taken, with a NOTICE');
    like($w->query("SELECT count(*) FROM nokey WHERE id = 7")->{rows}[0][0], qr/^1$/, '... and works');
    # Colocated foreign keys.
    $w->do("SELECT pgbraid.reference_table('parent')", "SELECT pgbraid.shard_table('child', 'id')");
    is($cluster->value(2, "SELECT count(*) FROM pg_constraint WHERE conrelid = 'child'::regclass AND contype = 'f'"), 1, 'a foreign key to a reference table goes along');
    is($w->error("SELECT pgbraid.unshard_table('parent')")->{C}, '0A000', '... and keeps it one');
};

subtest 'in a transaction' => sub {
    make('in_txn');
    my @rows = lines(1, 'in_txn');
    my $w = $router->wire;
    $w->do('BEGIN', 'SELECT 1');
    is($w->error("SELECT pgbraid.shard_table('in_txn', 'id')")->{C}, '0A000', 'is refused');
    $w->do('ROLLBACK');
    is($w->error("SELECT 1; SELECT pgbraid.shard_table('in_txn', 'id')")->{C}, '0A000', 'in a string behind something else, too');
    is(faults('in_txn', @rows), '', 'nothing has changed');
    # A transaction that is open when the table is changed sees it through.
    $w->do('BEGIN', 'SELECT id FROM in_txn WHERE id = 42');
    my $other = $router->wire;
    $other->send(Query("SELECT pgbraid.shard_table('in_txn', 'id')"));
    wait_for('statements to be held', sub {
        my $c = $router->wire;
        $c->send(Query('SELECT 1'));
        my ($state) = map { $_->[5] } grep { $_->[0] eq $c->{pid} } @{ $router->console('SHOW CLIENTS') };
        $c->close;
        return $state eq 'held';
    });
    is($w->value('SELECT id FROM in_txn WHERE id = 43'), 43, 'it goes on');
    $w->do('COMMIT');
    is(PgbraidTest::Wire::result($other->until_ready)->{error}, undef, 'then the change is made');
    is(faults('in_txn', @rows), '', 'with all rows');
};

subtest 'P40: calls that cannot be intercepted' => sub {
    my $w = $router->wire;
    for my $sql ("SELECT pgbraid.shard_table('in_txn', 'id') FROM pg_class", "SELECT pgbraid.shard_table('in_txn', 'id'), 1", "SELECT upper(pgbraid.unshard_table('in_txn'))", "SELECT pgbraid.unshard_table('in_' || 'txn')") {
        my $e = $w->error($sql);
        is($e->{C}, '0A000', "$sql: refused") or diag $e->{M};
    }
    my $e = eval { $cluster->wire(2)->error("SELECT pgbraid.shard_table('in_txn', 'id')") };
    is($e->{C}, '0A000', 'on a shard: a stub refuses');
    is(distribution(1, 'in_txn'), 'sharded', 'nothing has changed');
};

subtest 'leftovers, and tables of others' => sub {
    make('twin');
    my @rows = lines(1, 'twin');
    $cluster->do(2, 'CREATE TABLE twin (mine text)', "INSERT INTO twin VALUES ('precious')");
    my $e = $router->error("SELECT pgbraid.shard_table('twin', 'id')");
    is($e->{C}, '0A000', 'a table of that name on another shard is in the way');
    like($e->{M}, qr/"s2" has a table "public"\."twin" that pgbraid did not make/, '... and named');
    is($cluster->value(2, 'SELECT mine FROM twin'), 'precious', '... and left alone');
    is(faults('twin', @rows), '', 'nothing has changed');
    ok(!exists_on(3, 'twin'), 'nothing is left on the third shard');
    $cluster->do(2, 'DROP TABLE twin');
    $router->do("SELECT pgbraid.shard_table('twin', 'id')");
    is(faults('twin', @rows), '', 'afterwards it works');
};

subtest 'P39: killed at every step' => sub {
    my %steps = (
        shard => [ [ 'place.after_fill', 'kill' ], [ 'place.after_fill', 'kill:2' ], [ 'place.before_others_commit', 'kill' ], [ 'place.after_other_commit', 'kill:2' ], [ 'place.after_other_commit', 'kill:3' ], [ 'place.before_home_commit', 'kill' ], [ 'place.after_home_commit', 'kill' ], [ 'place.before_publish', 'kill' ] ],
        reference => [ [ 'place.after_other_commit', 'kill:2' ], [ 'place.before_home_commit', 'kill' ], [ 'place.after_home_commit', 'kill' ] ],
        unshard => [ [ 'place.after_gather', 'kill' ], [ 'place.before_home_commit', 'kill' ], [ 'place.after_home_commit', 'kill' ], [ 'place.before_drop', 'kill' ], [ 'place.before_drop', 'kill:2' ] ],
    );
    make('steps');
    my @rows = lines(1, 'steps');
    for my $verb (qw(shard reference unshard)) {
        for my $step (@{ $steps{$verb} }) {
            my ($name, $action) = @$step;
            # From a known state: unsharded, or sharded before unshard.
            $router->do("SELECT pgbraid.unshard_table('steps')");
            $router->do("SELECT pgbraid.shard_table('steps', 'id')") if $verb eq 'unshard';
            $router->stop;
            { local $ENV{PGBRAID_FAULT} = "$name=$action"; $router->start; }
            my $call = $verb eq 'shard' ? "SELECT pgbraid.shard_table('steps', 'id')" : "SELECT pgbraid.${verb}_table('steps')";
            my $w = $router->wire;
            $w->send(Query($call));
            is($router->{proc}->wait_exit, 137, "$verb, $name $action: the router is killed there");
            $router->{killed} = $router->{proc};
            wait_for('its transactions to be gone', sub { !grep { $cluster->value($_, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbraid placement'") } @shards });
            $router->start;
            is(faults('steps', @rows), '', '... every row is there, once: the table is ' . distribution(1, 'steps'));
            is($router->query($call)->{error}, undef, '... the call can be repeated');
            is(faults('steps', @rows), '', '... to its end');
        }
    }
};

subtest 'P39: a connection of the change is lost at every step' => sub {
    my @points = ([ 'shard', 'place.after_fill' ], [ 'shard', 'place.before_others_commit' ], [ 'shard', 'place.before_home_commit' ], [ 'unshard', 'place.after_gather' ], [ 'unshard', 'place.before_home_commit' ], [ 'unshard', 'place.before_drop' ]);
    $router->do("SELECT pgbraid.unshard_table('steps')");
    my @rows = lines(1, 'steps');
    for my $point (@points) {
        my ($verb, $name) = @$point;
        for my $shard (1, 3) { # the home shard and another one
            $router->do("SELECT pgbraid.unshard_table('steps')");
            $router->do("SELECT pgbraid.shard_table('steps', 'id')") if $verb eq 'unshard';
            $router->stop;
            { local $ENV{PGBRAID_FAULT} = "$name=stop"; $router->start; }
            my $w = $router->wire;
            $w->send(Query($verb eq 'shard' ? "SELECT pgbraid.shard_table('steps', 'id')" : "SELECT pgbraid.unshard_table('steps')"));
            wait_for("$verb to reach $name", sub { open my $in, '<', '/proc/' . $router->pid . '/stat' or die; return <$in> =~ /\) T /; });
            $cluster->do($shard, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgbraid placement' AND datname = current_database()");
            wait_for('its end', sub { $cluster->value($shard, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbraid placement' AND datname = current_database()") == 0 });
            $router->{proc}->signal('CONT');
            my $r = PgbraidTest::Wire::result($w->until_ready);
            my $said = $r->{error} ? "refused ($r->{error}{C})" : 'done';
            is(faults('steps', @rows), '', "$verb, $name, shard $shard lost: $said, the table is " . distribution(1, 'steps'));
            my $now = distribution(1, 'steps');
            is($now eq ($verb eq 'shard' ? 'sharded' : 'unsharded') ? 'done' : 'refused', $r->{error} ? 'refused' : 'done', '... as the client was told');
        }
    }
    $router->restart;
};

subtest 'writers all the while' => sub {
    $cluster->do(1, 'CREATE TABLE busy (id int PRIMARY KEY, n int NOT NULL DEFAULT 0)', 'INSERT INTO busy SELECT i FROM generate_series(1, 100) i');
    my @clients = map { $router->wire } 1 .. 64;
    my (%inserted, %added, %pending, @errors);
    my $next_id = 1000;
    my $go = sub {
        my ($i) = @_;
        my $pick = int rand 3;
        my $id = 1 + int rand 100;
        if ($pick == 0) { $pending{$i} = [ insert => $next_id ]; $clients[$i]->send(Query('INSERT INTO busy (id) VALUES (' . $next_id++ . ')')); }
        elsif ($pick == 1) { $pending{$i} = [ add => $id ]; $clients[$i]->send(Query("UPDATE busy SET n = n + 1 WHERE id = $id")); }
        else { $pending{$i} = [ add => $id ]; $clients[$i]->send(Query('BEGIN'), Query("UPDATE busy SET n = n + 1 WHERE id = $id"), Query('COMMIT')); $pending{$i}[2] = 3; }
    };
    my $step = sub {
        for my $i (grep { $clients[$_]->readable } 0 .. $#clients) {
            my ($what, $id, $answers) = @{ $pending{$i} };
            my @r = map { PgbraidTest::Wire::result($clients[$i]->until_ready) } 1 .. ($answers // 1);
            my ($error) = grep { $_ } map { $_->{error} } @r;
            if ($error) { push @errors, "$what $id: $error->{C} $error->{M}"; $clients[$i]->query('ROLLBACK') if $r[-1]{status} ne 'I'; }
            elsif ($what eq 'insert') { $inserted{$id}++; }
            else { $added{$id}++; }
            $go->($i);
        }
    };
    $go->($_) for 0 .. $#clients;
    my @told;
    for my $call ("SELECT pgbraid.shard_table('busy', 'id')", "SELECT pgbraid.unshard_table('busy')", "SELECT pgbraid.shard_table('busy', 'id')") {
        my $w = $router->wire;
        my $before = keys %inserted;
        wait_for('writers to write', sub { $step->(); keys %inserted > $before + 30 });
        $w->send(Query($call));
        wait_for('the change', sub { $step->(); return $w->readable; });
        my $r = PgbraidTest::Wire::result($w->until_ready);
        is($r->{error}{M}, undef, $call) or diag explain $r->{error};
    }
    my $before = keys %inserted;
    wait_for('writers to write', sub { $step->(); keys %inserted > $before + 30 });
    for my $i (0 .. $#clients) { # what is under way ends
        my ($what, $id, $answers) = @{ $pending{$i} };
        my @r = map { PgbraidTest::Wire::result($clients[$i]->until_ready) } 1 .. ($answers // 1);
        if (my ($e) = grep { $_ } map { $_->{error} } @r) { push @errors, "$what $id: $e->{C} $e->{M}"; }
        elsif ($what eq 'insert') { $inserted{$id}++; }
        else { $added{$id}++; }
    }
    is(scalar @errors, 0, 'no writer sees an error') or diag join "\n", @errors[ 0 .. ($#errors > 5 ? 5 : $#errors) ];
    my %n = map { $_->[0] => $_->[1] } map { @{ $cluster->rows($_, 'SELECT id, n FROM busy') } } @shards;
    my $total = 0;
    $total += $cluster->value($_, 'SELECT count(*) FROM busy') for @shards;
    is($total, 100 + keys %inserted, 'every row inserted is there, once: ' . keys %inserted);
    is(scalar(grep { !exists $n{$_} } keys %inserted), 0, '... these rows');
    is(scalar(grep { $n{$_} != ($added{$_} // 0) } 1 .. 100), 0, 'and every update counts, once');
};

done_testing();
