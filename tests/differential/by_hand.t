#!/usr/bin/perl
# Statements written to find a wrong answer (by_hand.sql), run on three shards and on one plain server: the same or refused.
# Those that once were answered wrongly are among them.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Tree;
use PgbraidTest::Twin;

my $tables = <<'END';
CREATE TABLE customers (id bigint PRIMARY KEY, name text, country text, parent_id bigint);
CREATE TABLE orders (customer_id bigint NOT NULL, id bigint NOT NULL, item text, total numeric, at timestamptz, PRIMARY KEY (customer_id, id));
CREATE TABLE lines (customer_id integer NOT NULL, order_id bigint NOT NULL, n int NOT NULL, qty int, PRIMARY KEY (customer_id, order_id, n));
CREATE TABLE docs (key text PRIMARY KEY, body text);
CREATE TABLE tags (name varchar(10) PRIMARY KEY, v int);
CREATE TABLE codes (code char(5) PRIMARY KEY, v int);
CREATE TABLE amounts (n numeric(6,2) PRIMARY KEY, v int, w numeric);
CREATE TABLE events (tenant int NOT NULL, region text NOT NULL, v int, PRIMARY KEY (tenant, region));
CREATE TABLE notes (tenant int NOT NULL, region text NOT NULL, v int, PRIMARY KEY (tenant, region));
CREATE TABLE countries (code text PRIMARY KEY, name text, population bigint);
CREATE TABLE pairs (a int PRIMARY KEY, b int);
CREATE TABLE settings (name text PRIMARY KEY, value text);
INSERT INTO customers SELECT i, 'n' || i % 4, (ARRAY['de', 'fr', 'xx', NULL])[1 + i % 4], NULLIF((i + 3) % 7, 0) FROM generate_series(0, 11) i;
INSERT INTO orders SELECT i % 9, i, 'n' || i % 5, NULLIF(i % 7, 3), NULL FROM generate_series(0, 29) i;
INSERT INTO lines SELECT i % 8, i % 30, i, NULLIF(i % 6, 2) FROM generate_series(0, 39) i;
INSERT INTO events SELECT i % 4, (ARRAY['eu', 'us', 'de'])[1 + i / 4 % 3], i FROM generate_series(0, 11) i;
INSERT INTO notes SELECT i % 3, (ARRAY['eu', 'us', 'de'])[1 + i / 3 % 3], i FROM generate_series(0, 8) i;
INSERT INTO docs SELECT 'n' || i, 'de' FROM generate_series(0, 6) i;
INSERT INTO tags SELECT 'n' || i, i FROM generate_series(0, 6) i;
INSERT INTO codes SELECT 'n' || i, i FROM generate_series(0, 6) i;
INSERT INTO amounts SELECT i, i, i FROM generate_series(0, 6) i;
INSERT INTO countries VALUES ('de', 'n1', 3), ('fr', 'n2', 4), ('it', 'n3', NULL);
INSERT INTO pairs SELECT i, i + 4 FROM generate_series(0, 4) i;
INSERT INTO settings VALUES ('n1', 'de'), ('n2', 'fr');
END
my $t = PgbraidTest::Twin->new(config => { gather_array_rows => 4 }, tables => $tables, reference => [qw(countries pairs)],
    sharded => { customers => ['id'], orders => ['customer_id'], lines => ['customer_id'], docs => ['key'], tags => ['name'], codes => ['code'], amounts => ['n'],
        events => [qw(tenant region)], notes => [qw(tenant region)] });
is($t->contents_differ, undef, 'the same rows to begin with');

my ($refused, $n) = (0, 0);
for my $statement (grep { /\S/ } split /;\n/, PgbraidTest::Tree::slurp('tests/differential/by_hand.sql') =~ s/^--.*\n//mgr) {
    my %opt;
    while ($statement =~ s/\A\s*\\(\w+) (.*)\n//) {
        $opt{$1} = [ map { $_ eq '~' ? undef : /^0x/ ? pack('H*', substr $_, 2) : $_ } split / /, $2 ];
    }
    $statement =~ s/\A\s+//;
    my $reads = $statement =~ /^\W*(?:SELECT|TABLE|VALUES)/;
    for my $way ($opt{values} ? 'text' : $reads ? qw(simple text binary) : 'simple') {
        my %how = $way eq 'simple' ? () : (extended => 1, result_formats => [ $way eq 'binary' ? 1 : 0 ]);
        my %out;
        my $diff = $t->differs($statement, %opt, %how, contents => !$reads, out => \%out);
        is($diff // 'right', 'right', "$way: $statement");
        $t->resync if $diff && $t->contents_differ;
        $refused++ if $out{refused};
        $n++;
    }
}
cmp_ok($refused, '<', $n / 2, 'most are answered');
done_testing();
