# Wire scripts: what a client sends, in a small text format, and what a server answers to it, as text.
#
#   my $script = PgbraidTest::Script->read('tests/golden/wire/notice.wire');
#   my @lines = $script->play(sub { my ($user_options) = @_; return PgbraidTest::Wire->open(...) });
#
# The same script played against a PostgreSQL server and against the router must give the same lines: every frame is there
# with all it carries, except what is named in "Not compared".
#
# Format, line by line; a line that starts with a blank continues the one before, `#` starts a comment line. The first
# comment is the script's title. Messages of a paragraph go out in one write; at its end as many ReadyForQuery are waited
# for as it has query, sync and call messages, unless `read` or `eof` said otherwise.
#
#   option NAME [VALUE]      unordered: rows between two other frames are compared sorted
#                            tableless: which table a column is of is not compared (it is not known of gathered rows)
#                            shards N ...: only against routers of so many shards
#   client NAME              speak on another connection; it is opened and logged in when first named
#   open NAME                another connection, nothing sent yet
#   startup VERSION k=v ...  startup packet (database=@ is the one under test); startup raw HEX
#   ssl | gss                the request and its one-byte answer
#   query SQL
#   parse NAME [TYPE ...] SQL      NAME '' is the unnamed one; [] may be left out
#   bind PORTAL STATEMENT (VALUES) [-> FORMAT ...]
#                            a value is 'text', null, x'hex' (sent as binary), or a value followed by *N: repeated
#   describe S|P NAME | execute PORTAL [MAX] | close S|P NAME | flush | sync | call OID | terminate
#   copydata TEXT | copydone | copyfail REASON
#   raw HEX                  any bytes
#   read TYPE [N]            send, then read frames up to the Nth of a type
#   eof                      send, then read frames until the server closes the connection
#   bytes                    send, then read bytes until then
#
# Text: \n \t \\ \xHH are escapes, {A..B:TEXT|SEP} is TEXT for each number (written % in it), joined by SEP.
#
# Not compared: BackendKeyData's content; the order of ParameterStatus at login; file, line and routine of errors (F L R);
# the object ids of tables and user types (only that there is one); a DETAIL that is nothing but the router's error id; the
# shard's name in CONTEXT; the warning that a commit over several shards is not atomic; AuthenticationOk before a refusal.
package PgbraidTest::Script;
use strict;
use warnings;
use Carp qw(croak);
use PgbraidTest::Wire;

sub unescape
{
    my ($text) = @_;
    $text =~ s/\{(\d+)\.\.(\d+):([^|}]*)\|([^}]*)\}/my ($from, $to, $each, $sep) = ($1, $2, $3, $4); join $sep, map { my $i = $_; $each =~ s{%}{$i}gr } $from .. $to/ge;
    $text =~ s/\\(?:x([0-9a-f]{2})|(.))/defined $1 ? chr hex $1 : { n => "\n", t => "\t", '\\' => '\\' }->{$2} \/\/ croak "bad escape \\$2"/gei;
    return $text;
}

sub read
{
    my ($class, $path) = @_;
    open my $in, '<', $path or croak "$path: $!";
    my $self = bless { path => $path, option => {}, lines => [] }, $class;
    my $paragraph = 1;
    while (my $line = <$in>) {
        chomp $line;
        if ($line =~ /^#\s*(.*)/) { $self->{title} //= $1; next; }
        if ($line =~ /^\s*$/) { $paragraph++; next; }
        if ($line =~ /^\s+(.*)/) { $self->{lines}[-1]{text} .= "\n$1"; next; }
        if ($line =~ /^option (\w+)\s*(.*)/) { $self->{option}{$1} = $2 || 1; next; }
        my ($verb, $text) = $line =~ /^(\w+)(?: (.*))?$/ or croak "$path:$.: cannot read: $line";
        push @{ $self->{lines} }, { verb => $verb, text => $text // '', at => $., paragraph => $paragraph };
    }
    croak "$path: no title" unless defined $self->{title};
    return $self;
}

sub title { return $_[0]{title}; }
sub wants_shards { my ($self, $n) = @_; return !$self->{option}{shards} || grep { $_ == $n } split / /, $self->{option}{shards}; }

# --- messages ---

sub name { my ($text) = @_; return $text eq q('') ? '' : $text; }

sub values_of
{
    my ($text) = @_;
    my (@values, @formats);
    while ($text =~ /\G\s*(?:(null)|(x)?'((?:[^']|'')*)')(?:\s*\*\s*(\d+))?\s*(?:,|$)/gc) {
        my ($null, $hex, $body, $times) = ($1, $2, $3, $4);
        my $value = $null ? undef : $hex ? pack('H*', $body) : unescape($body =~ s/''/'/gr);
        push @values, ($value) x ($times // 1);
        push @formats, ($hex ? 1 : 0) x ($times // 1);
        last if pos($text) == length $text;
    }
    croak "cannot read values: $text" if (pos($text) // 0) < length $text;
    return (\@values, grep({ $_ } @formats) ? \@formats : []);
}

my %message = (
    query => sub { return Query(unescape($_[0])); },
    parse => sub {
        my ($name, $types, $sql) = $_[0] =~ /^(\S+) (?:\[([^\]]*)\] ?)?(.*)$/s or croak "cannot read: parse $_[0]";
        my @types = map { /^(\d+)\*(\d+)$/ ? ($1) x $2 : $_ } split ' ', $types // '';
        return Parse(name($name), unescape($sql), @types);
    },
    bind => sub {
        my ($portal, $statement, $values, $results) = $_[0] =~ /^(\S+) (\S+) \((.*)\)(?: ->((?: \d+)*))?$/s or croak "cannot read: bind $_[0]";
        my ($v, $formats) = values_of($values);
        return Bind(name($portal), name($statement), $v, formats => $formats, result_formats => [ split ' ', $results // '' ]);
    },
    describe => sub { my ($kind, $name) = split / /, $_[0]; return Describe($kind, name($name)); },
    execute  => sub { my ($name, $max) = split / /, $_[0]; return Execute(name($name), $max); },
    close    => sub { my ($kind, $name) = split / /, $_[0]; return Close($kind, name($name)); },
    flush => sub { return Flush(); },
    sync  => sub { return Sync(); },
    call  => sub { return FunctionCall($_[0]); },
    terminate => sub { return Terminate(); },
    copydata => sub { return CopyData(unescape($_[0])); },
    copydone => sub { return CopyDone(); },
    copyfail => sub { return CopyFail($_[0]); },
    raw => sub { return pack 'H*', $_[0] =~ s/\s//gr; },
);

sub startup
{
    my ($text, $login) = @_;
    return pack 'H*', $1 =~ s/\s//gr if $text =~ /^raw (.*)/;
    my ($version, @pairs) = split / /, $text;
    my ($major, $minor) = $version =~ /^(\d+)\.(\d+)$/ or croak "cannot read: startup $text";
    my %params = map { /^([^=]+)=(.*)$/ ? ($1, unescape($2)) : croak "cannot read: startup $text" } @pairs;
    $params{database} = $login->{database} if ($params{database} // '') eq '@';
    return Startup(\%params, $major << 16 | $minor);
}

# --- answers as text ---

sub show
{
    my ($bytes) = @_;
    return 'null' unless defined $bytes;
    return $bytes =~ s/([^\x20-\x5b\x5d-\x7e])/sprintf '\\x%02x', ord $1/ger;
}

my %field_order = map { ((split //, 'SVCMDHPpqWstcdn')[$_] => $_) } 0 .. 14;

sub fields_text
{
    my ($fields) = @_;
    my %f = %$fields;
    delete @f{qw(F L R)};
    delete $f{D} if ($f{D} // '') =~ /^\[PB\d{4}\]$/;
    if (defined $f{W}) { $f{W} =~ s/\n?shard "[^"]*"\z//; delete $f{W} unless length $f{W}; }
    return join ' ', map { "$_=" . show($f{$_}) } sort { ($field_order{$a} // 99) <=> ($field_order{$b} // 99) } keys %f;
}

sub oid { my ($oid) = @_; return $oid >= 16384 ? 'user' : $oid; }

my %text = (
    R => sub { my ($f) = @_; return "$f->{code} " . show($f->{data}); },
    S => sub { my ($f) = @_; return "$f->{name}=" . show($f->{value}); },
    K => sub { return ''; },
    Z => sub { my ($f) = @_; return $f->{status}; },
    C => sub { my ($f) = @_; return show($f->{tag}); },
    T => sub {
        my ($f) = @_;
        return join ', ', map { show($_->{name}) . ':' . join '/', ($_->{table} ? 'table' : '-'), $_->{column}, oid($_->{type}), @$_{qw(size modifier format)} } @{ $f->{columns} };
    },
    D => sub { my ($f) = @_; return join '|', map { show($_) } @{ $f->{values} }; },
    E => sub { my ($f) = @_; return fields_text($f->{fields}); },
    N => sub { my ($f) = @_; return fields_text($f->{fields}); },
    t => sub { my ($f) = @_; return join ' ', map { oid($_) } @{ $f->{types} }; },
    A => sub { my ($f) = @_; return "$f->{channel} " . show($f->{payload}); },
    v => sub { my ($f) = @_; return join ' ', $f->{minor}, @{ $f->{unknown} }; },
);

sub frame_text
{
    my ($f) = @_;
    my $text = $text{ $f->{type} };
    my $rest = $text ? $text->($f) : show($f->{body});
    return length $rest ? "$f->{type} $rest" : $f->{type};
}

sub sort_runs
{
    my ($type, @lines) = @_;
    my (@out, @run);
    for my $line (@lines, undef) {
        if (defined $line && $line =~ /^\Q$type\E /) { push @run, $line; next; }
        push @out, sort(@run);
        @run = ();
        push @out, $line if defined $line;
    }
    return @out;
}

# --- playing ---

# $open->() gives a new PgbraidTest::Wire on which nothing has been sent; $login the startup parameters.
sub play
{
    my ($self, $open, $login) = @_;
    my (%wire, @out);
    my $state = { client => 'a', pending => '', ready => 0, paragraph => 0 };

    my $wire = sub { return $wire{ $state->{client} } //= $self->_login($open->(), $login); };
    my $flush = sub { $wire->()->send($state->{pending}) if length $state->{pending}; $state->{pending} = ''; };
    my $receive = sub {
        my ($type, $n) = @_;
        $flush->();
        my @got;
        while ($n > 0) {
            my $f = $wire->()->read_frame;
            if (!$f) { push @got, $type eq 'eof' ? 'EOF' : 'EOF (unexpected)'; last; }
            push @got, frame_text($f) unless $f->{type} eq 'N' && ($f->{fields}{D} // '') =~ /\[PB0311\]/;
            last if $f->{type} eq 'Z' && $type ne 'Z' && $type ne 'eof'; # what was waited for does not come
            $n-- if $f->{type} eq $type;
        }
        @got = sort_runs('D', @got) if $self->{option}{unordered};
        @got = grep { $_ ne 'R 0 ' } @got if grep { /^E S=FATAL/ } @got;
        push @out, @got;
    };
    my $settle = sub {
        $receive->('Z', $state->{ready}) if $state->{ready} || length $state->{pending};
        $state->{ready} = 0;
    };

    for my $line (@{ $self->{lines} }) {
        my ($verb, $text) = @$line{qw(verb text)};
        my $ok = eval {
            $settle->() if $line->{paragraph} != $state->{paragraph} || $verb =~ /^(?:client|open)$/;
            push @out, "-- line $line->{at}" if $line->{paragraph} != $state->{paragraph};
            $state->{paragraph} = $line->{paragraph};
            if (my $make = $message{$verb}) {
                $state->{pending} .= $make->($text);
                $state->{ready}++ if $verb =~ /^(?:query|sync|call)$/;
            }
            elsif ($verb eq 'client') { $state->{client} = $text; $wire->(); }
            elsif ($verb eq 'open') { $state->{client} = $text; $wire{$text} = $open->(); }
            elsif ($verb eq 'startup') { $state->{pending} .= startup($text, $login); $state->{ready}++; }
            elsif ($verb eq 'ssl') { push @out, 'ssl ' . ($wire->()->ask_ssl // 'EOF'); }
            elsif ($verb eq 'gss') { push @out, 'gss ' . ($wire->()->ask_gss // 'EOF'); }
            elsif ($verb eq 'read') { my ($type, $n) = split / /, $text; $receive->($type, $n // 1); $state->{ready} = 0; }
            elsif ($verb eq 'bytes') { $flush->(); my $all = ''; while (defined(my $c = $wire->()->read_bytes(1))) { $all .= $c; } push @out, 'bytes ' . show($all); $state->{ready} = 0; }
            elsif ($verb eq 'eof') { $receive->('eof', 1); $state->{ready} = 0; }
            else { croak "no such line: $verb" }
            1;
        };
        croak "$self->{path}:$line->{at}: $@After:\n" . join("\n", @out) . "\n" unless $ok;
    }
    eval { $settle->(); 1 } or croak "$self->{path}: at the end: $@After:\n" . join("\n", @out) . "\n";
    @out = map { /^T / ? s{:table/\d+/}{:-/0/}gr : $_ } @out if $self->{option}{tableless};
    # The answer to a login comes in an order of its own.
    return sort_runs('S', @out);
}

sub _login
{
    my ($self, $wire, $login) = @_;
    $wire->send(Startup($login));
    while (my $f = $wire->read_frame) {
        croak "login failed: $f->{fields}{M}" if $f->{type} eq 'E';
        return $wire if $f->{type} eq 'Z';
    }
    croak 'login failed: the server closed the connection';
}

1;
