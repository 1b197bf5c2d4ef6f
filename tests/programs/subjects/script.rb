# What Ruby does with its standard library and with files.
require "set"
require "json"
require "fileutils"
require "tempfile"
require "pathname"
require "stringio"
require "erb"

puts "set from #{$LOADED_FEATURES.grep(/fileutils\.rb/).first}"
work = Pathname("/work")

data = { "text" => "größe", "list" => [1, 2.5, nil], "nested" => { "a" => 1 } }
File.write("/work/data.json", JSON.pretty_generate(data))
p JSON.parse(File.read("/work/data.json")) == data
p Set.new([3, 1, 2, 3]).sort

File.open("/work/seek", "w+b") do |file|
  file.write((0..255).to_a.pack("C*") * 64)
  file.seek(-10, IO::SEEK_END)
  p file.read(3), file.pos
  file.truncate(5000)
  p file.size
end
File.open("/work/seek", "ab") { |file| p file.write("appended") }

FileUtils.mkdir_p("/work/a/b/c")
50.times { |n| File.write("/work/a/f#{n}", n.to_s * n) }
FileUtils.cp_r("/work/a", "/work/copy")
FileUtils.mv("/work/a/f7", "/work/a/b/moved")
FileUtils.rm_rf("/work/copy/b")
FileUtils.rm(Dir["/work/copy/f[1-4]*"])
p Dir.children("/work/copy").sort
p Dir.glob("/work/**/*").size

Tempfile.create("x") do |file|
  file.write("temporary")
  file.flush
  p File.size(file.path), File.dirname(file.path)
end
File.symlink("a/f8", "/work/link")
p File.readlink("/work/link"), File.read("/work/link")
File.link("/work/seek", "/work/hard")
p File.identical?("/work/seek", "/work/hard"), File.stat("/work/hard").nlink
File.rename("/work/hard", "/work/a/renamed")
p work.join("a").children.count(&:file?)

[
  -> { File.open("/work/none") },
  -> { Dir.mkdir("/work/a") },
  -> { Dir.rmdir("/work/a") },
  -> { Dir.children("/work/seek") },
  -> { File.open("/work/seek", File::CREAT | File::EXCL | File::WRONLY) },
  -> { File.open("/work/a", "w") },
].each do |action|
  action.call
rescue SystemCallError => e
  puts e.class
end
p File.read("/data/packed.txt"), File.foreach("/data/packed.txt").count
puts ERB.new("<%= 6 * 7 %>").result

# As tests/src/tree.rs does.
def show(directory, prefix = "")
  Dir.children(directory).sort.each do |name|
    path, shown = "#{directory}/#{name}", "#{prefix}/#{name}"
    if File.symlink?(path)
      puts "#{shown} -> #{File.readlink(path)}"
    elsif File.directory?(path)
      puts "#{shown}/"
      show(path, shown)
    else
      bytes = File.binread(path)
      hash = bytes.each_byte.inject(0xcbf29ce484222325) do |value, byte|
        ((value ^ byte) * 0x100000001b3) & 0xffffffffffffffff
      end
      puts format("%s %d %016x", shown, bytes.size, hash)
    end
  end
end
puts "--- tree"
show("/work")
