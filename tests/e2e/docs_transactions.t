#!/usr/bin/perl
# The examples of docs/transactions.md, run as they stand there. A block between ``` is a psql session: what follows a prompt is
# sent, and what psql prints must be what is printed there (names of transactions apart, which are the same each time). Blocks with
# "session N=>" have several sessions; numbers in a comment at the end of a line are what the statement gives; `...` stands for
# anything. Each block begins with 100 on every account, or as "<!-- staged: how -->" before it says. One that is not run has
# "<!-- not run: why -->" before it; one without a prompt is no session.
use strict;
use warnings;
use Test::More;
use IPC::Open2;
use IO::Select;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $gtid = qr/[0-9a-f]{14}(?:-[0-9a-f]{8}){2}-[0-9a-f]{16}/;
my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster, database => 'shop');
my $w = $router->wire;
$w->do('CREATE TABLE accounts (customer_id bigint PRIMARY KEY, balance int NOT NULL, changed timestamptz)', "SELECT pgbraid.shard_table('accounts', 'customer_id')");

# --- what the examples take for granted

sub fresh
{
    $w->do('DELETE FROM accounts', 'INSERT INTO accounts VALUES (1, 100), (2, 100), (3, 100), (4, 100)');
    return;
}
my %stage = ('Recovery and what an operator can do' => sub {
    $cluster->wire(2)->do('BEGIN', 'CREATE TABLE left_behind ()', "PREPARE TRANSACTION 'pgbraid:06612a5c75ab00-0000000a-0000000b-00000000000000aa:77:2'");
    $cluster->wire(3)->do('BEGIN', 'CREATE TABLE nightly ()', "PREPARE TRANSACTION 'nightly import'");
    return;
});
# A transfer of 10 from 1 to 4, decided on the first one's shard; the other's part is prepared, and its server process stopped.
sub half_way
{
    my $t = $router->wire;
    my @lock = map { my $l = $cluster->wire($_); $l->do('BEGIN', 'LOCK TABLE pgbraid.decisions IN EXCLUSIVE MODE'); $l } 1 .. 3;
    $t->do("SET application_name = 'transfer'", 'BEGIN', 'UPDATE accounts SET balance = balance + 10 WHERE customer_id = 4', 'UPDATE accounts SET balance = balance - 10 WHERE customer_id = 1'); # the last one decides
    $t->send(Query('COMMIT'));
    my ($at) = wait_for('a part to be prepared', sub { (grep { $cluster->value($_, 'SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()') } 1 .. 3)[0] });
    wait_for('the decision to wait', sub { grep { $cluster->value($_, 'SELECT count(*) FROM pg_locks l JOIN pg_stat_activity s USING (pid) WHERE NOT l.granted AND s.datname = current_database()') } 1 .. 3 });
    my $pid = $cluster->value($at, "SELECT pid FROM pg_stat_activity WHERE application_name = 'transfer' AND datname = current_database()");
    kill STOP => $pid;
    $_->do('COMMIT') for @lock;
    wait_for('the decision', sub { grep { $router->value("SELECT balance FROM accounts WHERE customer_id = $_") != 100 } 1, 4 });
    return sub { kill CONT => $pid; $t->until_ready; return; };
}
my %staged = ('a transfer is half way' => \&half_way);

fresh();
my @home = map { my $id = $_; grep { $cluster->value($_, "SELECT count(*) FROM accounts WHERE customer_id = $id") } 1 .. 3 } 1, 4;
isnt($home[0], $home[1], 'customers 1 and 4 live on different shards');

# --- psql

sub psql_open
{
    my ($database) = @_;
    my $pid = open2(my $out, my $in, 'sh', '-c', 'exec "$0" "$@" 2>&1', 'psql', '-X', '-h', '127.0.0.1', '-p', $router->port, '-U', 'postgres', '-d', $database);
    return { pid => $pid, in => $in, out => $out, buffer => '' };
}
sub psql
{
    my ($p, $sql) = @_;
    my $end = 'end of the answer';
    print { $p->{in} } "$sql\n\\echo $end\n";
    $p->{in}->flush;
    my $until = time + 60;
    while ($p->{buffer} !~ /^\Q$end\E\n/m) {
        return "no answer to $sql" if time > $until;
        next if !IO::Select->new($p->{out})->can_read(1);
        sysread($p->{out}, $p->{buffer}, 65536, length $p->{buffer}) or return "psql has gone: $p->{buffer}";
    }
    $p->{buffer} =~ s/^(.*?)^\Q$end\E\n//ms;
    return $1;
}
sub psql_close { my ($p) = @_; close $p->{in}; waitpid $p->{pid}, 0; return; }

# --- the document

my (@blocks, $heading, $skip, $staged, $in);
open(my $doc, '<', 'docs/transactions.md') or die $!;
while (my $line = <$doc>) {
    if ($line =~ /^```/) { $in = !$in; push @blocks, { heading => $heading, skip => $skip, staged => $staged, line => $., lines => [] } if $in; $skip = $staged = undef if !$in; }
    elsif ($in) { push @{ $blocks[-1]{lines} }, $line; }
    elsif ($line =~ /^##? (.*)/) { $heading = $1; }
    elsif ($line =~ /^<!-- not run: (.*) -->/) { $skip = $1; }
    elsif ($line =~ /^<!-- staged: (.*) -->/) { $staged = $1; }
}
close $doc;

# Steps: { session, sql, want (what is printed), value (what is in the comment) }.
sub steps
{
    my ($block) = @_;
    my @steps;
    for my $line (@{ $block->{lines} }) {
        if ($line =~ /^(shop|pgbraid|session \d)=([*!]?)> (.*)$/) {
            my ($session, $sql) = ($1, $3);
            my $value = $sql =~ s/\s+--\s+(.*)$// ? $1 : undef;
            push @steps, { session => $session, sql => $sql, want => '', value => $value };
        }
        elsif (!@steps) { return; }
        elsif ($steps[-1]{sql} !~ /;\s*$/) { $steps[-1]{sql} .= "\n$line"; }
        else { $steps[-1]{want} .= $line; }
    }
    return @steps;
}

my %name; # of a transaction in the document, here
sub same
{
    my ($got, $want) = @_;
    s/[ \t]+$//mg, s/\n+\z/\n/, s/\A\n+// for $got, $want;
    my @got = $got =~ /($gtid)/g;
    for my $w ($want =~ /($gtid)/g) { my $g = shift @got; $name{$w} //= $g if defined $g; }
    $want =~ s/($gtid)/$name{$1} \/\/ $1/ge;
    return $got eq $want if $want !~ / \.\.\. /;
    s/^[-+]+\n//mg for $got, $want;
    my $pattern = join '', map { /^\s+$/ ? '\s+' : /^-+$/ ? '-+' : /^\.\.\.$/ ? '.*?' : quotemeta } $want =~ /(\.\.\.|\s+|-+|[^\s.-]+|.)/gs;
    return $got =~ /^$pattern$/s;
}

for my $block (@blocks) {
    my @steps = steps($block) or next;
    my $what = "$block->{heading}, line $block->{line}";
    SKIP: {
        skip "$what: $block->{skip}", 1 if $block->{skip};
        fresh();
        my (%session, @wrong);
        $stage{ $block->{heading} }->() if $stage{ $block->{heading} };
        my $go_on = $block->{staged} ? $staged{ $block->{staged} }->() : undef;
        for my $s (@steps) {
            $session{ $s->{session} } //= psql_open($s->{session} eq 'pgbraid' ? 'pgbraid' : 'shop');
            (my $sql = $s->{sql}) =~ s/($gtid)/$name{$1} \/\/ $1/ge;
            if ($go_on && $s == $steps[-1]) { # which waits for it
                my $early = $router->wire;
                $early->send(Query($sql));
                ok(!$early->readable(0.2), "$what: over both shards it waits");
                $go_on->();
            }
            my $got = psql($session{ $s->{session} }, $sql);
            my $several = $s->{session} =~ /^session/;
            my $right = $several || defined $s->{value} ? $got !~ /^(?:ERROR|WARNING)/m : same($got, $s->{want});
            my ($values) = ($s->{value} // '') =~ /^(-?\d+(?: and -?\d+)*)/;
            $right = 0 if defined $values && join(' and ', sort { $a <=> $b } $got =~ /^[^(]*?(-?\d+)\s*$/mg) ne $values;
            push @wrong, "$s->{sql}\n--- gave\n$got--- not\n" . ($s->{value} // $s->{want}) if !$right;
        }
        psql_close($_) for values %session;
        is(join("\n", @wrong), '', $what);
    }
}
$cluster->wire(3)->do("ROLLBACK PREPARED 'nightly import'");
done_testing();
