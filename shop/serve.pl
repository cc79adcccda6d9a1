#!/usr/bin/perl
# The shop itself: serve.pl ADDRESS DATABASE UPLOADS SETTINGS answers /health, /
# (what it is and has) and /uploads/NAME over HTTP.
use strict;
use warnings;
use FindBin;
use IO::Socket::INET;

my ($address, $database, $uploads, $settings) = @ARGV;
my $listen = IO::Socket::INET->new(LocalAddr => $address =~ s{^http://}{}r, Listen => 16, ReuseAddr => 1)
    or die "listen on $address: $@\n";
$SIG{TERM} = sub { print "closed\n"; exit 0 };
$SIG{PIPE} = 'IGNORE';
$| = 1;
print "open on $address\n";

sub slurp { open my $f, '<:raw', $_[0] or die "$_[0]: $!\n"; local $/; return scalar <$f> }

sub ask {
    open my $psql, '-|', 'psql', '--no-psqlrc', '-At', '-v', 'ON_ERROR_STOP=1', '-c', $_[0], $database or die "psql: $!\n";
    chomp(my $said = join '', <$psql>);
    close $psql or die "the database does not answer\n";
    return $said;
}

sub answer {
    my $path = shift;
    return slurp("$uploads/$1") if $path =~ m{^/uploads/(\w[\w./-]*)$} && $path !~ m{\.\.};
    die "not found\n" if $path !~ m{^/(health)?$};
    my ($name) = slurp("$settings/shop.conf") =~ /^name = (.+)$/m or die "no name in shop.conf\n";
    chomp(my $version = slurp("$FindBin::Bin/../VERSION"));
    my $orders = ask('select count(*) from orders');
    slurp("$uploads/" . ask('select path from uploads order by path desc limit 1'));
    return $path eq '/' ? "$name, version $version, $orders orders\n" : "ok\n";
}

while (my $client = $listen->accept) {
    my ($path) = (<$client> // '') =~ /^GET (\S+) HTTP/;
    while (defined(my $line = <$client>)) { last if $line =~ /^\r?$/ }
    my ($status, $body) = ('200 OK', eval { answer($path // '') });
    ($status, $body) = ($@ eq "not found\n" ? '404 Not Found' : '503 Service Unavailable', $@) if $@;
    print $client "HTTP/1.0 $status\r\nContent-Length: ", length($body), "\r\nConnection: close\r\n\r\n", $body;
    close $client;
}
