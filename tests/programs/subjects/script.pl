# What Perl does with files.
use strict;
use warnings;
use lib '/data/lib';
use Helper;

$| = 1;
print Helper::twice(21), "\n";

open my $out, '+>', '/work/table' or die "table: $!";
print $out "$_ ", $_ * $_, "\n" for 0 .. 99;
seek $out, 0, 0;
my $sum = 0;
while (<$out>) { $sum += (split)[1] }
print "$sum ", tell($out), "\n";
truncate $out, 10 or print "truncate: $!\n";
seek $out, -3, 2;
read $out, my $tail, 10;
print "[$tail] ", -s $out, "\n";
close $out;
open my $more, '>>', '/work/table' or die $!;
print $more "more\n";
close $more;

mkdir '/work/a' or die $!;
mkdir '/work/a/b' or die $!;
for my $n (1 .. 30) {
    open my $file, '>', "/work/a/f$n" or die $!;
    print $file $n x $n;
    close $file;
}
rename '/work/a/f7', '/work/a/b/moved' or print "rename: $!\n";
print unlink('/work/a/f9', '/work/a/f10'), "\n";
opendir my $dir, '/work/a' or die $!;
my @names = sort grep { !/^\./ } readdir $dir;
closedir $dir;
print scalar(@names), " @names[0 .. 3]\n";
utime 1000000000, 1000000000, '/work/a/f1' or print "utime: $!\n";
print +(stat '/work/a/f1')[9], " ", -d '/work/a/b' ? 'directory' : 'none', "\n";

for my $what (
    [ open => sub { open my $f, '<', '/work/none' } ],
    [ mkdir => sub { mkdir '/work/a' } ],
    [ rmdir => sub { rmdir '/work/a' } ],
    [ opendir => sub { opendir my $d, '/work/table' } ],
) {
    print "$what->[0]: ", $what->[1]->() ? 'done' : $! + 0, "\n";
}
open my $packed, '<', '/data/packed.txt' or die $!;
print <$packed>;
