# Checks of a history of appends and reads, after Elle (Kingsbury and Alvaro, VLDB 2020): every value is appended once, so
# the final list of a key is the order of its writers, and every read must be a beginning of it.
#
#   my @wrong = PgbraidTest::Chaos::Lists::check($transactions, \%final, serializable => 0);
#
# transactions: as PgbraidTest::Chaos::History gives them; final: key => list of values, read after everything has come to
# rest. What is found, by the word that each string begins with:
#
#   lost          an append of a committed transaction is not in the final list
#   half          only some appends of a transaction are (its outcome may be unknown to the client)
#   duplicate     a value stands twice
#   garbage       a value that nobody appended
#   internal      a transaction does not see its own appends, or not at the end
#   order         a read is no beginning of the final list: an update was lost, or went away after it was seen
#   G1a           a value of an aborted transaction, read or final
#   G1b           a read between two appends of one transaction
#   G0            a cycle of writers (edges ww)
#   G1c           a cycle of writers and of readers that saw them (ww, wr)
#   G2            serializable: a cycle with a reader that missed a write (ww, wr, rw)
#
# A transaction of unknown outcome counts as committed when its appends are in the final lists, as aborted when not.
package PgbraidTest::Chaos::Lists;
use strict;
use warnings;

sub check
{
    my ($transactions, $final, %opt) = @_;
    my $self = { wrong => [], final => $final, writer => {}, place => {}, edges => {}, by_id => {} };
    for my $t (@$transactions) {
        $self->{by_id}{ $t->{id} } = $t;
        for my $op (grep { $_->[0] eq 'a' } @{ $t->{ops} }) { $self->{writer}{ $op->[1] }{ $op->[2] } = $t; }
    }
    check_final($self);
    settle($self, $_) for @$transactions;
    check_reads($self, $_, $opt{serializable}) for @$transactions;
    write_edges($self);
    my $cycle = find_cycle($self, qw(ww));
    if ($cycle) { push @{ $self->{wrong} }, "G0: $cycle"; }
    elsif ($cycle = find_cycle($self, qw(ww wr))) { push @{ $self->{wrong} }, "G1c: $cycle"; }
    elsif ($opt{serializable} && ($cycle = find_cycle($self, qw(ww wr rw)))) { push @{ $self->{wrong} }, "G2: $cycle"; }
    return @{ $self->{wrong} };
}

sub name { my ($t) = @_; return "transaction $t->{id} ($t->{outcome} " . ($t->{state} // '-') . ')'; }

sub check_final
{
    my ($self) = @_;
    for my $key (sort keys %{ $self->{final} }) {
        my $i = 0;
        for my $value (@{ $self->{final}{$key} }) {
            push @{ $self->{wrong} }, "duplicate: key $key: $value" if exists $self->{place}{$key}{$value};
            push @{ $self->{wrong} }, "garbage: key $key: nobody appended $value" unless $self->{writer}{$key}{$value};
            $self->{place}{$key}{$value} //= $i++;
        }
    }
    return;
}

# Is it committed, by its client or by what is there?
sub settle
{
    my ($self, $t) = @_;
    my @appends = grep { $_->[0] eq 'a' } @{ $t->{ops} };
    my @there = grep { exists $self->{place}{ $_->[1] }{ $_->[2] } } @appends;
    $t->{committed} = $t->{outcome} eq 'c' || ($t->{outcome} eq 'u' && @there) ? 1 : 0;
    if ($t->{outcome} eq 'a') {
        push @{ $self->{wrong} }, 'G1a: ' . name($t) . ": key $_->[1]: $_->[2] is in the final list" for @there;
        return;
    }
    return if !$t->{committed} || @there == @appends;
    my $word = @there ? 'half' : 'lost';
    push @{ $self->{wrong} }, "$word: " . name($t) . ": key $_->[1]: $_->[2] is not in the final list" for grep { !exists $self->{place}{ $_->[1] }{ $_->[2] } } @appends;
    return;
}

sub check_reads
{
    my ($self, $t, $serializable) = @_;
    my %own;
    for my $op (@{ $t->{ops} }) {
        my ($kind, $key, $value) = @$op;
        if ($kind eq 'a') { push @{ $own{$key} }, $value; next; }
        my @own = @{ $own{$key} // [] };
        my @seen = @$value;
        my @tail = @own <= @seen ? splice @seen, @seen - @own : ();
        if ("@tail" ne "@own") {
            push @{ $self->{wrong} }, 'internal: ' . name($t) . " read key $key as [@$value] after it appended [@own]";
            next;
        }
        check_read($self, $t, $key, \@seen, $serializable);
    }
    return;
}

# seen: a read without what the transaction itself had appended.
sub check_read
{
    my ($self, $t, $key, $seen, $serializable) = @_;
    my $final = $self->{final}{$key} // [];
    my $bad = 0;
    for my $value (@$seen) {
        my $writer = $self->{writer}{$key}{$value};
        next if $writer && ($writer->{committed} || $writer == $t);
        push @{ $self->{wrong} }, ($writer ? 'G1a: ' : 'garbage: ') . name($t) . " read key $key: $value" . ($writer ? ' of ' . name($writer) : '');
        $bad = 1;
    }
    return if $bad;
    my $n = @$seen;
    if ($n > @$final || "@$seen" ne "@$final[ 0 .. $n - 1 ]") {
        push @{ $self->{wrong} }, 'order: ' . name($t) . " read key $key as [@$seen], which became [@$final]";
        return;
    }
    if ($n) {
        my $writer = $self->{writer}{$key}{ $seen->[-1] };
        my @of = map { $_->[2] } grep { $_->[0] eq 'a' && $_->[1] eq $key } @{ $writer->{ops} };
        push @{ $self->{wrong} }, 'G1b: ' . name($t) . " read key $key up to $seen->[-1] of " . name($writer) . ", which appended $of[-1] as well" if $writer != $t && $of[-1] ne $seen->[-1];
        add_edge($self, 'wr', $writer, $t) if $t->{committed};
    }
    add_edge($self, 'rw', $t, $self->{writer}{$key}{ $final->[$n] }) if $serializable && $t->{committed} && $n < @$final;
    return;
}

sub write_edges
{
    my ($self) = @_;
    for my $key (keys %{ $self->{final} }) {
        my @writers = grep { $_ } map { $self->{writer}{$key}{$_} } @{ $self->{final}{$key} };
        add_edge($self, 'ww', $writers[ $_ - 1 ], $writers[$_]) for 1 .. $#writers;
    }
    return;
}

sub add_edge
{
    my ($self, $kind, $from, $to) = @_;
    $self->{edges}{$kind}{ $from->{id} }{ $to->{id} } = 1 if $from && $to && $from->{id} != $to->{id};
    return;
}

# A cycle over edges of these kinds, printed; undef when there is none. Depth first, without recursion.
sub find_cycle
{
    my ($self, @kinds) = @_;
    my %next;
    for my $kind (@kinds) {
        for my $from (keys %{ $self->{edges}{$kind} // {} }) {
            $next{$from}{$_} //= $kind for keys %{ $self->{edges}{$kind}{$from} };
        }
    }
    my %state; # 1: on the path, 2: done
    for my $start (sort { $a <=> $b } keys %next) {
        next if $state{$start};
        my @path = ([ $start, [ sort keys %{ $next{$start} } ] ]);
        $state{$start} = 1;
        while (@path) {
            my ($node, $left) = @{ $path[-1] };
            if (!@$left) { $state{$node} = 2; pop @path; next; }
            my $to = shift @$left;
            if (!$state{$to}) {
                $state{$to} = 1;
                push @path, [ $to, [ sort keys %{ $next{$to} // {} } ] ];
            }
            elsif ($state{$to} == 1) {
                my @nodes = map { $_->[0] } @path;
                shift @nodes while $nodes[0] != $to;
                return join '', (map { "$nodes[$_] -$next{ $nodes[$_] }{ $nodes[ ($_ + 1) % @nodes ] }-> " } 0 .. $#nodes), $to;
            }
        }
    }
    return undef;
}

1;
