<?php
// What PHP does with files.
function fails($what, $result) {
    echo $what, ": ", var_export($result, true), " ", preg_replace("/^.*: /", "", error_get_last()["message"] ?? ""), "\n";
    error_clear_last();
}
error_reporting(0);
set_include_path("/data/lib");
require "helper.php";
echo helper(20), "\n";

$data = ["text" => "größe", "list" => [1, 2.5, null]];
echo file_put_contents("/work/data.json", json_encode($data)), "\n";
var_dump(json_decode(file_get_contents("/work/data.json"), true) == $data);

$file = fopen("/work/table.csv", "w+");
foreach (range(0, 99) as $n) fputcsv($file, [$n, $n * $n]);
rewind($file);
for ($sum = 0; $row = fgetcsv($file);) $sum += $row[1];
echo $sum, " ", ftell($file), "\n";
ftruncate($file, 10);
fseek($file, -3, SEEK_END);
var_dump(fread($file, 10), fstat($file)["size"]);
fclose($file);
file_put_contents("/work/table.csv", "more\n", FILE_APPEND);

mkdir("/work/a/b/c", 0777, true);
foreach (range(1, 30) as $n) file_put_contents("/work/a/f$n", str_repeat($n, $n));
rename("/work/a/f7", "/work/a/b/moved");
copy("/work/a/f8", "/work/a/b/copied");
unlink("/work/a/f9");
var_dump(count(scandir("/work/a")), count(glob("/work/a/f*")));
symlink("a/f8", "/work/link");
echo readlink("/work/link"), " ", file_get_contents("/work/link"), "\n";
link("/work/a/f10", "/work/hard");
touch("/work/a/f1", 1000000000);
echo filemtime("/work/a/f1"), " ", filesize("/work/a/f30"), "\n";
$temporary = tempnam("/tmp", "x");
var_dump(dirname($temporary), file_put_contents($temporary, "temporary"), unlink($temporary));

fails("open", fopen("/work/none", "r"));
fails("exclusive", fopen("/work/link", "x"));
fails("mkdir", mkdir("/work/a"));
fails("rmdir", rmdir("/work/a"));
fails("unlink", unlink("/work/a"));

foreach (new RecursiveIteratorIterator(new RecursiveDirectoryIterator("/work/a", FilesystemIterator::SKIP_DOTS)) as $path) $all[] = "$path " . md5_file($path);
sort($all);
echo implode("\n", $all), "\n";
echo file_get_contents("/data/packed.txt");
