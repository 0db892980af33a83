# Logins by hand: what a client sends and a server answers, frame by frame, with any message wrong.
#
#   my $l = PgbraidTest::Login->new(port => $port, user => 'alice', database => 'test');
#   $l->start; $l->answer_scram('password'); say for $l->frames;
#
# frames: one text a frame; what differs from login to login (nonces, salts at random, ids) is left out, so that two
# servers' frames can be compared.
package PgbraidTest::Login;
use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use Digest::SHA qw(hmac_sha256 sha256);
use MIME::Base64 qw(decode_base64 encode_base64);
use PgbraidTest::Wire;

sub new
{
    my ($class, %opt) = @_;
    my $wire = PgbraidTest::Wire->open(%opt) or die "nobody listens on port $opt{port}";
    return bless { %opt, wire => $wire, frames => [] }, $class;
}

sub wire { return $_[0]{wire}; }

sub start
{
    my ($self, %params) = @_;
    $self->{wire}->send(Startup({ user => $self->{user}, database => $self->{database}, %params }));
    return $self->next;
}

sub send { my ($self, @bytes) = @_; $self->{wire}->send(@bytes); return $self; }

# The next frame, noted; undef at the end of the stream.
sub next
{
    my ($self) = @_;
    my $f = $self->{wire}->read_frame;
    push @{ $self->{frames} }, $f ? told($f) : 'closed';
    return $self->{last} = $f;
}

# Everything up to ReadyForQuery or the end.
sub finish
{
    my ($self) = @_;
    while (my $f = $self->next) { last if $f->{type} eq 'Z'; }
    return $self;
}

# ParameterStatus and BackendKeyData are not about logins.
sub frames { my ($self) = @_; return grep { !/^[SK]/ } @{ $self->{frames} }; }
sub error  { my ($self) = @_; return $self->{last} && $self->{last}{type} eq 'E' ? $self->{last}{fields} : undef; }
sub in     { my ($self) = @_; return scalar grep { /^Z/ } @{ $self->{frames} }; }

sub told
{
    my ($f) = @_;
    return "E $f->{fields}{S} $f->{fields}{C} $f->{fields}{M}" if $f->{type} eq 'E';
    return $f->{type} unless $f->{type} eq 'R';
    my $data = $f->{data};
    $data =~ s/r=[^,]*/r=.../;
    $data =~ s/v=.*/v=.../s;
    $data = 'salt' if $f->{code} == 5;
    $data =~ s/\0/|/g;
    $data =~ s/s=[^,]*/'s=' . length(decode_base64(substr $&, 2))/e;
    return "R$f->{code} $data";
}

# --- answers ---

sub hash_md5 { my ($password, $user, $salt) = @_; return 'md5' . md5_hex(md5_hex($password . $user) . $salt); }

sub pbkdf2
{
    my ($password, $salt, $iterations) = @_;
    my $u = my $out = hmac_sha256($salt . pack('N', 1), $password);
    for (2 .. $iterations) { $u = hmac_sha256($u, $password); $out ^= $u; }
    return $out;
}

# SASLInitialResponse. Options: mechanism, gs2 ('n,,'), name (''), nonce.
sub scram_initial
{
    my ($self, %opt) = @_;
    $self->{gs2} = $opt{gs2} // 'n,,';
    $self->{nonce} = $opt{nonce} // 'rOprNGfwEbeRWgbNEkqO';
    $self->{bare} = 'n=' . ($opt{name} // '') . ",r=$self->{nonce}" . ($opt{more} // '');
    my $first = $opt{first} // $self->{gs2} . $self->{bare};
    return Message('p', ($opt{mechanism} // 'SCRAM-SHA-256') . "\0" . pack('N/a*', $first));
}

# SASLResponse to server-first. Options: binding, nonce, proof (bytes), before (attributes before the proof).
sub scram_final
{
    my ($self, $password, %opt) = @_;
    my $server_first = $opt{server_first} // $self->{last}{data};
    my ($r, $s, $i) = $server_first =~ /^r=([^,]*),s=([^,]*),i=(\d+)$/ or die "not a server-first message: $server_first";
    my $without = 'c=' . ($opt{binding} // encode_base64($self->{gs2}, '')) . ',r=' . ($opt{nonce} // $r) . ($opt{before} // '');
    my $salted = pbkdf2($password, decode_base64($s), $i);
    my $key = hmac_sha256('Client Key', $salted);
    my $message = "$self->{bare},$server_first,$without";
    my $proof = $opt{proof} // encode_base64($key ^ hmac_sha256($message, sha256($key)), '');
    $self->{signature} = encode_base64(hmac_sha256($message, hmac_sha256('Server Key', $salted)), '');
    return Message('p', "$without,p=$proof" . ($opt{after} // ''));
}

# Whatever the server asks for.
sub answer
{
    my ($self, $password) = @_;
    my $f = $self->{last};
    while ($f && $f->{type} eq 'R') {
        if ($f->{code} == 3) { $self->send(Password($password)); }
        elsif ($f->{code} == 5) { $self->send(Password(hash_md5($password, $self->{user}, $f->{data}))); }
        elsif ($f->{code} == 10) { $self->send($self->scram_initial); }
        elsif ($f->{code} == 11) { $self->send($self->scram_final($password)); }
        elsif ($f->{code} == 12) { $self->{proved} = $f->{data} eq "v=$self->{signature}"; }
        elsif ($f->{code} == 0) { return $self->finish; }
        $f = $self->next;
    }
    $self->next if $f && $f->{type} eq 'E';
    return $self;
}

1;
