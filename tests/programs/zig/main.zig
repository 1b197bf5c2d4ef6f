//! Uses files through Zig's std, which takes the first directory it is given, 3,
//! for the current one and hands absolute paths on to it as they are.
//!
//!     subject files        every operation once, a line per result
//!     subject grow MB      heap and files grow in turn, both are verified
//!     subject limit MB     the same heap, and files until there is no space
//!
//! It works in work, and prints in the end what is below.
const std = @import("std");
const Io = std.Io;
const Dir = Io.Dir;
const grow = @import("grow.zig");

pub const Context = struct {
    io: Io,
    gpa: std.mem.Allocator,
    out: *Io.Writer,
    cwd: Dir,
};

pub fn main(init: std.process.Init) !void {
    var buffer: [4096]u8 = undefined;
    var stdout = Io.File.stdout().writerStreaming(init.io, &buffer);
    const c: Context = .{ .io = init.io, .gpa = init.gpa, .out = &stdout.interface, .cwd = .cwd() };
    errdefer c.out.flush() catch {};
    var args = try init.minimal.args.iterateAllocator(init.gpa);
    _ = args.skip();
    const mode = args.next() orelse return error.NoMode;
    if (std.mem.eql(u8, mode, "files")) {
        try files(c);
    } else {
        const megabytes = try std.fmt.parseInt(usize, args.next() orelse return error.NoSize, 10);
        if (std.mem.eql(u8, mode, "grow")) {
            try grow.grow(c, megabytes);
        } else if (std.mem.eql(u8, mode, "limit")) {
            try grow.limit(c, megabytes);
        } else return error.NoSuchMode;
    }
    try c.out.print("--- tree\n", .{});
    const work = try c.cwd.openDir(c.io, "work", .{ .iterate = true });
    try list(c, work, "");
    try c.out.flush();
}

fn files(c: Context) !void {
    const out = c.out;
    const work = try c.cwd.openDir(c.io, "work", .{});
    defer work.close(c.io);

    try out.print("# create, read\n", .{});
    try work.createDir(c.io, "dir", .default_dir);
    try work.createDirPath(c.io, "a/b/c");
    try work.writeFile(c.io, .{ .sub_path = "dir/text", .data = "one\ntwo\n" });
    try out.print("'{s}'\n", .{try read(c, work, "dir/text")});
    try out.print("'{s}'\n", .{try read(c, c.cwd, "data/packed.txt")});

    try out.print("# positions, truncate\n", .{});
    const file = try work.createFile(c.io, "seek", .{ .read = true, .exclusive = true });
    try file.writeStreamingAll(c.io, "0123456789");
    try file.writePositionalAll(c.io, "abc", 3);
    try file.writePositionalAll(c.io, "end", 15);
    try file.setLength(c.io, 16);
    var bytes: [20]u8 = undefined;
    const length = try file.readPositionalAll(c.io, &bytes, 1);
    try out.print("{d} '{s}' {any}\n", .{ length, bytes[0..9], bytes[9..length] });
    try file.setLength(c.io, 4);
    try out.print("{d} bytes are left\n", .{try file.length(c.io)});
    try file.sync(c.io);
    file.close(c.io);

    try out.print("# stat\n", .{});
    for ([_][]const u8{ "dir", "dir/text", "seek" }) |name| {
        const stat = try work.statFile(c.io, name, .{});
        try out.print("{s}: {t}\n", .{ name, stat.kind });
    }

    try out.print("# rename, link, symlink\n", .{});
    try work.rename("dir/text", work, "a/renamed", c.io);
    try work.rename("a", work, "moved", c.io);
    try work.hardLink("moved/renamed", work, "hard", c.io, .{});
    try work.symLink(c.io, "moved/renamed", "soft", .{});
    const target = try work.readLink(c.io, "soft", &bytes);
    try out.print("{s}\n", .{bytes[0..target]});
    // Zig's std does not ask for links to be followed.
    try fails(c, "read through a link", work.openFile(c.io, "soft", .{}));
    const link = try work.statFile(c.io, "soft", .{ .follow_symlinks = false });
    try out.print("{t}\n", .{link.kind});
    try work.copyFile("hard", work, "copy", c.io, .{});

    try out.print("# errors\n", .{});
    try fails(c, "open what is not there", work.openFile(c.io, "none", .{}));
    try fails(c, "create what is there", work.createFile(c.io, "copy", .{ .exclusive = true }));
    try fails(c, "create below a file", work.createFile(c.io, "copy/x", .{}));
    try fails(c, "open a directory to write", work.createFile(c.io, "dir", .{}));
    try fails(c, "mkdir what is there", work.createDir(c.io, "dir", .default_dir));
    try fails(c, "rmdir of a full directory", work.deleteDir(c.io, "moved"));
    try fails(c, "unlink a directory", work.deleteFile(c.io, "dir"));

    try out.print("# remove\n", .{});
    try work.deleteFile(c.io, "hard");
    try work.deleteTree(c.io, "moved/b");
    try work.deleteDir(c.io, "dir");

    try out.print("# many entries\n", .{});
    try work.createDir(c.io, "many", .default_dir);
    const many = try work.openDir(c.io, "many", .{ .iterate = true });
    defer many.close(c.io);
    for (0..1000) |number| {
        var name: [4]u8 = undefined;
        _ = try std.fmt.bufPrint(&name, "{d:0>4}", .{number});
        try many.writeFile(c.io, .{ .sub_path = &name, .data = std.mem.trimStart(u8, &name, "0") });
    }
    var seen: usize = 0;
    for (try sorted(c, many)) |entry| {
        const number = try std.fmt.parseInt(usize, entry.name, 10);
        seen += number;
        if (number % 100 != 0) try many.deleteFile(c.io, entry.name);
    }
    try out.print("{d}\n", .{seen});
}

fn read(c: Context, dir: Dir, path: []const u8) ![]u8 {
    return dir.readFileAlloc(c.io, path, c.gpa, .unlimited);
}

fn fails(c: Context, what: []const u8, result: anytype) !void {
    if (result) |_| {
        return error.DidNotFail;
    } else |failure| {
        try c.out.print("{s}: {t}\n", .{ what, failure });
    }
}

/// The entries by name. They are not freed: the program ends soon.
fn sorted(c: Context, dir: Dir) ![]Dir.Entry {
    var entries: std.ArrayList(Dir.Entry) = .empty;
    var iterator = dir.iterate();
    while (try iterator.next(c.io)) |entry| {
        var kept = entry;
        kept.name = try c.gpa.dupe(u8, entry.name);
        try entries.append(c.gpa, kept);
    }
    std.mem.sort(Dir.Entry, entries.items, {}, struct {
        fn before(_: void, a: Dir.Entry, b: Dir.Entry) bool {
            return std.mem.lessThan(u8, a.name, b.name);
        }
    }.before);
    return entries.items;
}

/// Prints what is below a directory, as tests/src/tree.rs does.
fn list(c: Context, dir: Dir, prefix: []const u8) !void {
    for (try sorted(c, dir)) |entry| switch (entry.kind) {
        .directory => {
            try c.out.print("{s}/{s}/\n", .{ prefix, entry.name });
            const below = try dir.openDir(c.io, entry.name, .{ .iterate = true });
            try list(c, below, try std.fmt.allocPrint(c.gpa, "{s}/{s}", .{ prefix, entry.name }));
        },
        .sym_link => {
            var target: [256]u8 = undefined;
            const length = try dir.readLink(c.io, entry.name, &target);
            try c.out.print("{s}/{s} -> {s}\n", .{ prefix, entry.name, target[0..length] });
        },
        else => {
            const bytes = try read(c, dir, entry.name);
            defer c.gpa.free(bytes);
            const hash = std.hash.Fnv1a_64.hash(bytes);
            try c.out.print("{s}/{s} {d} {x:0>16}\n", .{ prefix, entry.name, bytes.len, hash });
        },
    };
}
