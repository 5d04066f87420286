// The conformance program of all languages, in Zig.

const std = @import("std");

/// The value of a field, decoded.
fn value(arena: std.mem.Allocator, fields: []const u8, name: []const u8, separator: u8) ![]const u8 {
    var pairs = std.mem.splitScalar(u8, fields, separator);
    while (pairs.next()) |pair| {
        const found, const encoded = std.mem.cutScalar(u8, std.mem.trimStart(u8, pair, " "), '=') orelse continue;
        if (std.mem.eql(u8, found, name)) {
            const text = try arena.dupe(u8, encoded);
            std.mem.replaceScalar(u8, text, '+', ' ');
            return std.Uri.percentDecodeInPlace(text);
        }
    }
    return "";
}

pub fn main(init: std.process.Init) !void {
    const arena = init.arena.allocator();
    const io = init.io;
    const env = init.environ_map;
    var buffer: [4096]u8 = undefined;
    var input = std.Io.File.stdin().readerStreaming(io, &buffer);
    const body = try input.interface.allocRemaining(arena, .unlimited);
    var output_buffer: [4096]u8 = undefined;
    var output = std.Io.File.stdout().writerStreaming(io, &output_buffer);
    const out = &output.interface;

    const path = env.get("PATH_INFO") orelse "";
    if (std.mem.eql(u8, path, "/binary")) {
        std.mem.reverse(u8, body);
        try out.print("Content-Type: application/octet-stream\n\n{s}", .{body});
        return out.flush();
    }
    std.debug.print("to standard error\n", .{});
    const www: std.Io.Dir = switch (init.preopens.get("/www") orelse return error.NoVolume) {
        .dir => |dir| dir,
        .file => return error.NoVolume,
    };
    const file = try www.readFileAlloc(io, "conform.txt", arena, .unlimited);
    const query = env.get("QUERY_STRING") orelse "";
    const cookies = env.get("HTTP_COOKIE") orelse "";
    try out.writeAll("Status: 201\nContent-Type: text/plain; charset=utf-8\n");
    try out.writeAll("Set-Cookie: first=1; Path=/\nSet-Cookie: second=2; Path=/\n\n");
    try out.print("method: {s}\npath: {s}\n", .{ env.get("REQUEST_METHOD") orelse "", path });
    const name, const n = .{ try value(arena, query, "name", '&'), try value(arena, query, "n", '&') };
    try out.print("query: {s} {s}\n", .{ name, n });
    const a, const b = .{ try value(arena, body, "a", '&'), try value(arena, body, "b", '&') };
    try out.print("form: {s} {s}\n", .{ a, b });
    const one, const two = .{ try value(arena, cookies, "one", ';'), try value(arena, cookies, "two", ';') };
    try out.print("cookies: {s} {s}\nfile: {s}", .{ one, two, file });
    return out.flush();
}
