# Certificates for tests, made by openssl in a folder of the test's own.
#
#   my $certs = PgbraidTest::Certs->new;                 # one authority: $certs->ca
#   my $c = $certs->make('server', san => 'IP:127.0.0.1,DNS:localhost');   # { cert, key }
#   $certs->make('alice', cn => 'alice', days => -1);     # expired
#   $certs->make('mallory', cn => 'alice', self => 1);    # of no authority
#   $certs->revoke('bob'); $certs->crl;                   # a list of the revoked ones
package PgbraidTest::Certs;
use strict;
use warnings;
use PgbraidTest::Proc qw(run workdir);

my $count = 0;

sub openssl
{
    my (@args) = @_;
    my $r = run([ 'openssl', @args ]);
    die "openssl @args: $r->{err}" if $r->{rc} != 0;
    return $r->{out};
}

sub new
{
    my ($class) = @_;
    my $dir = workdir() . '/certs-' . ++$count;
    mkdir $dir or die "$dir: $!";
    my $self = bless { dir => $dir }, $class;
    $self->key('ca');
    openssl('req', '-x509', '-new', '-key', "$dir/ca.key", '-subj', '/CN=pgbraid test authority', '-days', 30, '-out', "$dir/ca.crt");
    $self->write('ca.conf', <<"TEXT");
[ca]
default_ca = this
[this]
database = $dir/index.txt
new_certs_dir = $dir
certificate = $dir/ca.crt
private_key = $dir/ca.key
serial = $dir/serial
crlnumber = $dir/crlnumber
default_md = sha256
default_crl_days = 30
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
TEXT
    $self->write('index.txt', '');
    $self->write('serial', "01\n");
    $self->write('crlnumber', "01\n");
    return $self;
}

sub dir { return $_[0]{dir}; }
sub ca  { return "$_[0]{dir}/ca.crt"; }

sub write
{
    my ($self, $name, $text) = @_;
    open my $out, '>', "$self->{dir}/$name" or die "$name: $!";
    print $out $text;
    close $out;
    return "$self->{dir}/$name";
}

sub key
{
    my ($self, $name, %opt) = @_;
    my $file = "$self->{dir}/$name.key";
    openssl('genpkey', @{ $opt{algorithm} // [ '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256' ] }, '-out', $file);
    chmod 0600, $file or die "$file: $!";
    return $file;
}

# Options: cn (the name), san, days (negative: expired), self (signed by itself), digest, algorithm (of the key, for genpkey).
sub make
{
    my ($self, $name, %opt) = @_;
    my $base = "$self->{dir}/$name";
    my $cn = $opt{cn} // $name;
    my @san = $opt{san} ? ('-addext', "subjectAltName=$opt{san}") : ();
    my $days = $opt{days} // 30;
    $self->key($name, %opt);
    if ($opt{self}) { openssl('req', '-x509', '-new', '-key', "$base.key", '-subj', "/CN=$cn", @san, '-days', 30, '-out', "$base.crt"); }
    else {
        openssl('req', '-new', '-key', "$base.key", '-subj', "/CN=$cn", @san, '-out', "$base.csr");
        my @when = $days < 0 ? ('-startdate', '20200101000000Z', '-enddate', '20200201000000Z') : ('-days', $days);
        openssl('ca', '-batch', '-notext', '-config', "$self->{dir}/ca.conf", '-md', $opt{digest} // 'sha256', '-in', "$base.csr", '-out', "$base.crt", @when);
    }
    return { cert => "$base.crt", key => "$base.key" };
}

sub revoke { my ($self, $name) = @_; openssl('ca', '-config', "$self->{dir}/ca.conf", '-revoke', "$self->{dir}/$name.crt"); return; }
sub crl
{
    my ($self) = @_;
    openssl('ca', '-config', "$self->{dir}/ca.conf", '-gencrl', '-out', "$self->{dir}/ca.crl");
    return "$self->{dir}/ca.crl";
}

1;
