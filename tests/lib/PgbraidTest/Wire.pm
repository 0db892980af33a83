# PostgreSQL's protocol 3 by hand (chapter "Frontend/Backend Protocol"): any bytes can be sent, frames are read one by one
# and decoded strictly, and every wait has a limit.
#
#   my $w = PgbraidTest::Wire->connect(port => $port, user => 'postgres', database => 'test');
#   $w->send(Parse('', 'SELECT $1::int'), Bind('', '', ['7']), Execute(''), Sync());
#   is(summary($w->until_ready), '1 2 D C(SELECT 1) Z(I)');
package PgbraidTest::Wire;
use strict;
use warnings;
use Carp qw(croak);
use Exporter qw(import);
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use PgbraidTest::Proc;
use Time::HiRes qw(time);

our @EXPORT = qw(Bind Close CopyData CopyDone CopyFail Describe Execute Flush FunctionCall Message Parse Password Query Startup Sync
    Terminate summary);

# Messages: each function returns bytes.

sub Message { my ($type, $body) = @_; return $type . pack('N', 4 + length $body) . $body; }

sub Query     { my ($sql) = @_; return Message('Q', "$sql\0"); }
sub Sync      { return Message('S', ''); }
sub Flush     { return Message('H', ''); }
sub Terminate { return Message('X', ''); }
sub CopyData  { my ($data) = @_; return Message('d', $data); }
sub CopyDone  { return Message('c', ''); }
sub CopyFail  { my ($reason) = @_; return Message('f', "$reason\0"); }
sub Password  { my ($text) = @_; return Message('p', "$text\0"); }

# Types are object ids; those left out are for the server to infer.
sub Parse { my ($name, $sql, @types) = @_; return Message('P', "$name\0$sql\0" . pack('n N*', scalar @types, @types)); }

# Values: undef is NULL. Options: formats and result_formats, lists of 0 (text) and 1 (binary).
sub Bind
{
    my ($portal, $statement, $values, %opt) = @_;
    my @formats = @{ $opt{formats} // [] };
    my @results = @{ $opt{result_formats} // [] };
    my @values = @{ $values // [] };
    my $body = "$portal\0$statement\0" . pack('n n*', scalar @formats, @formats) . pack('n', scalar @values);
    $body .= defined $_ ? pack('N/a*', $_) : pack('N', 0xFFFFFFFF) for @values;
    return Message('B', $body . pack('n n*', scalar @results, @results));
}

# kind: 'S' (statement) or 'P' (portal).
sub Describe { my ($kind, $name) = @_; return Message('D', "$kind$name\0"); }
sub Close    { my ($kind, $name) = @_; return Message('C', "$kind$name\0"); }
sub Execute  { my ($portal, $max) = @_; return Message('E', "$portal\0" . pack('N', $max // 0)); }
sub FunctionCall { my ($oid) = @_; return Message('F', pack('N n n n', $oid, 0, 0, 0)); }

sub Startup
{
    my ($params, $version) = @_;
    my $body = pack('N', $version // 0x00030000) . join('', map { "$_\0$params->{$_}\0" } sort keys %$params) . "\0";
    return pack('N', 4 + length $body) . $body;
}

my $SSL_REQUEST = pack('N N', 8, 80877103);
my $GSS_REQUEST = pack('N N', 8, 80877104);

# Connections.

# A bare connection, nothing sent. Options: host or socket_dir, port, timeout_s.
sub open
{
    my ($class, %opt) = @_;
    my $sock =
        $opt{socket_dir}
        ? IO::Socket::UNIX->new(Peer => "$opt{socket_dir}/.s.PGSQL.$opt{port}")
        : IO::Socket::INET->new(PeerAddr => $opt{host} // '127.0.0.1', PeerPort => $opt{port}, Proto => 'tcp');
    return undef unless $sock;
    binmode $sock;
    $sock->blocking(0);
    return bless { %opt, sock => $sock, in => '', parameter => {}, notices => [], timeout_s => $opt{timeout_s} // $PgbraidTest::Proc::timeout_s }, $class;
}

# Open and log in, up to ReadyForQuery; croaks with the server's error. Options: user, database, params (hash).
sub connect
{
    my ($class, %opt) = @_;
    my $self = $class->try_connect(%opt) or croak "cannot connect to port $opt{port}: $!";
    croak "login failed: $self->{error}{M}" if $self->{error};
    return $self;
}

# The same, but an error is in {error}; undef when nobody listens.
sub try_connect
{
    my ($class, %opt) = @_;
    my $self = $class->open(%opt) or return undef;
    $self->send(Startup({ user => $opt{user} // 'postgres', database => $opt{database} // 'postgres', %{ $opt{params} // {} } }, $opt{version}));
    while (1) {
        my $f = $self->read_frame or last;
        if ($f->{type} eq 'R' && $f->{code} == 3) { $self->send(Password($opt{password} // '')); }
        elsif ($f->{type} eq 'K') { @$self{qw(pid secret)} = @$f{qw(pid secret)}; }
        elsif ($f->{type} eq 'E') { $self->{error} = $f->{fields}; }
        elsif ($f->{type} eq 'v') { $self->{negotiated} = $f; }
        elsif ($f->{type} eq 'Z') { return $self; }
    }
    $self->{error} //= { M => 'the server closed the connection', C => '08006' };
    return $self;
}

# One byte in answer to an SSLRequest or GSSENCRequest ('N': no).
sub ask_ssl { my ($self) = @_; $self->send($SSL_REQUEST); return $self->read_bytes(1); }
sub ask_gss { my ($self) = @_; $self->send($GSS_REQUEST); return $self->read_bytes(1); }

# Cancel what this session runs: a connection of its own, which the server closes.
sub cancel
{
    my ($self) = @_;
    my $other = ref($self)->open(map { $_ => $self->{$_} } grep { exists $self->{$_} } qw(host socket_dir port)) or croak 'cannot connect to cancel';
    $other->send(pack('N N N N', 16, 80877102, $self->{pid}, $self->{secret}));
    return $other->at_eof;
}

sub close { my ($self) = @_; CORE::close($self->{sock}) if $self->{sock}; $self->{sock} = undef; return; }

# Bytes.

sub send
{
    my ($self, @bytes) = @_;
    my $out = join '', @bytes;
    my $until = time + $self->{timeout_s};
    local $SIG{PIPE} = 'IGNORE';
    while (length $out) {
        my $n = syswrite $self->{sock}, $out;
        if (defined $n) { substr($out, 0, $n) = ''; next; }
        croak "cannot send: $!" unless $!{EAGAIN};
        my $left = $until - time;
        croak 'timed out sending' if $left <= 0;
        IO::Select->new($self->{sock})->can_write($left);
    }
    return $self;
}

# Fill the buffer to at least n bytes; false when the stream ends before.
sub fill
{
    my ($self, $n) = @_;
    my $until = time + $self->{timeout_s};
    while (length $self->{in} < $n) {
        my $got = sysread $self->{sock}, $self->{in}, 65536, length $self->{in};
        next if $got;
        return 0 if defined $got || $!{ECONNRESET};
        croak "cannot read: $!" unless $!{EAGAIN};
        my $left = $until - time;
        croak 'timed out reading' if $left <= 0;
        IO::Select->new($self->{sock})->can_read($left);
    }
    return 1;
}

sub read_bytes
{
    my ($self, $n) = @_;
    $self->fill($n) or return undef;
    return substr $self->{in}, 0, $n, '';
}

# The server closed the connection and nothing is left to read.
sub at_eof { my ($self) = @_; return !$self->fill(1); }

# Something to read within so many seconds?
sub readable { my ($self, $s) = @_; return length $self->{in} || scalar IO::Select->new($self->{sock})->can_read($s // 0); }

# Frames.

# A taker of fields from a body: dies on a body that is too short; finish() on one that is too long.
sub taker
{
    my ($body) = @_;
    my $take = sub {
        my ($template, $n) = @_;
        croak 'short message' if length $body < $n;
        return unpack $template, substr($body, 0, $n, '');
    };
    my $string = sub {
        my $end = index $body, "\0";
        croak 'unterminated string' if $end < 0;
        my $text = substr $body, 0, $end;
        substr($body, 0, $end + 1) = '';
        return $text;
    };
    return ($take, $string, sub { return length $body; }, sub { return substr $body, 0, length $body, ''; });
}

my %decode = (
    R => sub { my ($f, $take, undef, undef, $rest) = @_; $f->{code} = $take->('N', 4); $f->{data} = $rest->(); },
    S => sub { my ($f, undef, $string) = @_; @$f{qw(name value)} = ($string->(), $string->()); },
    K => sub { my ($f, $take) = @_; @$f{qw(pid secret)} = ($take->('N', 4), $take->('N', 4)); },
    Z => sub { my ($f, $take) = @_; $f->{status} = $take->('a', 1); },
    C => sub { my ($f, undef, $string) = @_; $f->{tag} = $string->(); },
    T => sub {
        my ($f, $take, $string) = @_;
        for (1 .. $take->('n', 2)) {
            my %column = (name => $string->());
            @column{qw(table column type size modifier format)} =
                ($take->('N', 4), $take->('n', 2), $take->('N', 4), $take->('s>', 2), $take->('l>', 4), $take->('n', 2));
            push @{ $f->{columns} }, \%column;
        }
        $f->{columns} //= [];
    },
    D => sub {
        my ($f, $take) = @_;
        $f->{values} = [ map { my $n = $take->('l>', 4); $n < 0 ? undef : $take->("a$n", $n) } 1 .. $take->('n', 2) ];
    },
    E => \&decode_fields,
    N => \&decode_fields,
    t => sub { my ($f, $take) = @_; $f->{types} = [ map { $take->('N', 4) } 1 .. $take->('n', 2) ]; },
    A => sub { my ($f, $take, $string) = @_; @$f{qw(pid channel payload)} = ($take->('N', 4), $string->(), $string->()); },
    v => sub { my ($f, $take, $string) = @_; $f->{minor} = $take->('N', 4); $f->{unknown} = [ map { $string->() } 1 .. $take->('N', 4) ]; },
    (map { $_ => \&decode_copy } qw(G H W)),
    d => sub { my ($f, undef, undef, undef, $rest) = @_; $f->{data} = $rest->(); },
    (map { $_ => sub { } } qw(1 2 3 n s I c)),
);

sub decode_fields
{
    my ($f, $take, $string) = @_;
    while ((my $field = $take->('a', 1)) ne "\0") { $f->{fields}{$field} = $string->(); }
    return;
}

sub decode_copy
{
    my ($f, $take) = @_;
    $f->{format} = $take->('C', 1);
    $f->{formats} = [ map { $take->('n', 2) } 1 .. $take->('n', 2) ];
    return;
}

# The next frame as it came: { type, body } and the decoded fields; undef at the end of the stream.
sub read_frame
{
    my ($self) = @_;
    my $head = $self->read_bytes(5);
    if (!defined $head) {
        croak 'the stream ends inside a frame' if length $self->{in};
        return undef;
    }
    my ($type, $len) = unpack 'a N', $head;
    my $body = $self->read_bytes($len - 4) // croak "the stream ends inside a frame of type $type";
    my %f = (type => $type, body => $body);
    my $decode = $decode{$type} or croak "unknown message type '$type'";
    my ($take, $string, $left, $rest) = taker($body);
    $decode->(\%f, $take, $string, $left, $rest);
    croak "message '$type' is longer than its content" if $left->();
    $self->{parameter}{ $f{name} } = $f{value} if $type eq 'S';
    return \%f;
}

# The frames up to and including the next one of a type; croaks when the stream ends before.
sub until_type
{
    my ($self, $type) = @_;
    my @frames;
    while (1) {
        my $f = $self->read_frame or croak "the connection ended after: " . summary(@frames);
        push @frames, $f;
        return @frames if $f->{type} eq $type;
    }
}

sub until_ready { my ($self) = @_; return $self->until_type('Z'); }

# Frames as one line: types, with the tag of C, the status of Z and the SQLSTATE of E and N. ParameterStatus is left out.
sub summary
{
    return join ' ', map {
        my $f = $_;
        $f->{type} eq 'C' ? "C($f->{tag})" : $f->{type} eq 'Z' ? "Z($f->{status})" : $f->{type} =~ /^[EN]$/ ? "$f->{type}($f->{fields}{C})" : $f->{type}
    } grep { $_->{type} ne 'S' } @_;
}

# What a simple query gave: { rows, columns, tags, error, notices, status, copied, frames }.
sub result
{
    my (@frames) = @_;
    my %r = (rows => [], columns => [], tags => [], notices => [], copied => '', frames => \@frames);
    for my $f (@frames) {
        if ($f->{type} eq 'D') { push @{ $r{rows} }, $f->{values}; }
        elsif ($f->{type} eq 'T') { $r{columns} = [ map { $_->{name} } @{ $f->{columns} } ]; }
        elsif ($f->{type} eq 'C') { push @{ $r{tags} }, $f->{tag}; }
        elsif ($f->{type} eq 'E') { $r{error} = $f->{fields}; }
        elsif ($f->{type} eq 'N') { push @{ $r{notices} }, $f->{fields}; }
        elsif ($f->{type} eq 'd') { $r{copied} .= $f->{data}; }
        elsif ($f->{type} eq 'Z') { $r{status} = $f->{status}; }
    }
    return \%r;
}

# A simple query to its end. COPY FROM STDIN gets `copy` (text) as its data.
sub query
{
    my ($self, $sql, %opt) = @_;
    $self->send(Query($sql));
    my @frames;
    do {
        my $f = $self->read_frame or croak "the connection ended during: $sql";
        push @frames, $f;
        $self->send(defined $opt{copy} ? (CopyData($opt{copy}), CopyDone()) : CopyFail('no data')) if $f->{type} eq 'G';
    } until $frames[-1]{type} eq 'Z';
    return result(@frames);
}

# An extended query with parameters as text, to its end.
sub query_params
{
    my ($self, $sql, @values) = @_;
    $self->send(Parse('', $sql), Bind('', '', \@values), Describe('P', ''), Execute(''), Sync());
    return result($self->until_ready);
}

# The rows of a query that must succeed.
sub rows
{
    my ($self, $sql, @values) = @_;
    my $r = @values ? $self->query_params($sql, @values) : $self->query($sql);
    croak "$sql: $r->{error}{C} $r->{error}{M}" if $r->{error};
    return $r->{rows};
}

# Its only value.
sub value { my ($self, $sql, @values) = @_; return $self->rows($sql, @values)->[0][0]; }

# Statements that must succeed, one by one; the last one's tag.
sub do
{
    my ($self, @statements) = @_;
    my $tag;
    for my $sql (@statements) {
        my $r = $self->query($sql);
        croak "$sql: $r->{error}{C} $r->{error}{M}" . ($r->{error}{D} ? "\n$r->{error}{D}" : '') if $r->{error};
        $tag = $r->{tags}[-1];
    }
    return $tag;
}

# The error fields of a statement that must fail.
sub error
{
    my ($self, $sql, @values) = @_;
    my $r = @values ? $self->query_params($sql, @values) : $self->query($sql);
    return $r->{error} // croak "$sql: succeeded";
}

sub DESTROY { my ($self) = @_; CORE::close($self->{sock}) if $self->{sock}; return; }

1;
