//! Heap and files that grow in turn, each verified while the other grows.
const std = @import("std");
const Context = @import("main.zig").Context;

/// A block of the heap and the seed of its contents.
const Block = struct {
    seed: u32,
    bytes: []u8,

    fn verify(block: Block, c: Context) !void {
        const expected = try contents(c, block.seed);
        defer c.gpa.free(expected);
        if (!std.mem.eql(u8, block.bytes, expected)) return error.HeapWasChanged;
    }
};

/// Allocates and writes until both are as large; every third block and file goes
/// again, so that the allocators have holes to fill.
pub fn grow(c: Context, megabytes: usize) !void {
    var blocks: std.ArrayList(Block) = .empty;
    var files: std.ArrayList(u32) = .empty;
    var seed: u32 = 1;
    var size: usize = 0;
    while (size < megabytes << 20) {
        seed = next(seed);
        const made: Block = .{ .seed = seed, .bytes = try contents(c, seed) };
        try blocks.append(c.gpa, made);
        size += made.bytes.len;
        seed = next(seed);
        try write(c, files.items.len, seed);
        try files.append(c.gpa, seed);
        if (seed % 3 == 0) {
            const gone = blocks.swapRemove(seed % blocks.items.len);
            size -= gone.bytes.len;
            c.gpa.free(gone.bytes);
            const file = seed % files.items.len;
            files.items[file] = next(files.items[file]);
            try write(c, file, files.items[file]);
        }
        // What was made lately, and something old.
        try verifyFile(c, files.items.len - 1, files.getLast());
        const old = seed / 7 % files.items.len;
        try verifyFile(c, old, files.items[old]);
        if (blocks.items.len > 0) try blocks.items[seed / 5 % blocks.items.len].verify(c);
    }
    var sum: u64 = 0;
    for (blocks.items) |block| {
        try block.verify(c);
        sum ^= std.hash.Fnv1a_64.hash(block.bytes);
    }
    for (files.items, 0..) |file, number| try verifyFile(c, number, file);
    const counts = .{ blocks.items.len, files.items.len, sum };
    try c.out.print("{d} blocks, {d} files, {x:0>16}\n", counts);
}

/// Has a heap of that size and writes files until there is no space, twice.
pub fn limit(c: Context, megabytes: usize) !void {
    for (1..3) |round| {
        var heap: std.ArrayList([]u8) = .empty;
        for (0..megabytes) |seed| {
            const block = try c.gpa.alloc(u8, 1 << 20);
            @memset(block, @truncate(seed));
            try heap.append(c.gpa, block);
        }
        var written: usize = 0;
        while (write(c, written, @intCast(written))) written += 1 else |failure| {
            if (failure != error.NoSpaceLeft) return failure;
        }
        for (heap.items, 0..) |block, seed| {
            if (!std.mem.allEqual(u8, block, @truncate(seed))) return error.HeapWasChanged;
            c.gpa.free(block);
        }
        heap.deinit(c.gpa);
        var name: [32]u8 = undefined;
        for (0..written) |number| {
            try verifyFile(c, number, @intCast(number));
            try c.cwd.deleteFile(c.io, try path(&name, number));
        }
        // What did not fit leaves a shorter file.
        try c.cwd.deleteFile(c.io, try path(&name, written));
        const many = written > 100;
        try c.out.print("round {d}: full, and more than 100 files: {}\n", .{ round, many });
    }
}

fn path(buffer: []u8, number: usize) ![]u8 {
    return std.fmt.bufPrint(buffer, "work/{d}", .{number});
}

fn write(c: Context, number: usize, seed: u32) !void {
    var name: [32]u8 = undefined;
    const bytes = try contents(c, seed);
    defer c.gpa.free(bytes);
    try c.cwd.writeFile(c.io, .{ .sub_path = try path(&name, number), .data = bytes });
}

fn verifyFile(c: Context, number: usize, seed: u32) !void {
    var name: [32]u8 = undefined;
    const expected = try contents(c, seed);
    defer c.gpa.free(expected);
    const found = try c.cwd.readFileAlloc(c.io, try path(&name, number), c.gpa, .unlimited);
    defer c.gpa.free(found);
    if (!std.mem.eql(u8, found, expected)) return error.FileWasChanged;
}

/// Between 4 KB and 1 MB that only the seed decides.
fn contents(c: Context, seed: u32) ![]u8 {
    const words = (4096 + (seed *% 2_654_435_761 >> 12)) / 4;
    const bytes = try c.gpa.alloc(u8, words * 4);
    var word = seed | 1;
    for (0..words) |at| {
        word = next(word);
        std.mem.writeInt(u32, bytes[at * 4 ..][0..4], word, .little);
    }
    return bytes;
}

/// The next of a sequence of numbers without pattern.
fn next(number: u32) u32 {
    return number *% 1_664_525 +% 1_013_904_223;
}
