// Greets the name in the query.

const std = @import("std");

pub fn main(init: std.process.Init) !void {
    var buffer: [4096]u8 = undefined;
    var input = std.Io.File.stdin().readerStreaming(init.io, &buffer);
    const body = try input.interface.allocRemaining(init.arena.allocator(), .unlimited);

    var name: []const u8 = "world";
    var fields = std.mem.splitScalar(u8, init.environ_map.get("QUERY_STRING") orelse "", '&');
    while (fields.next()) |field| {
        if (std.mem.startsWith(u8, field, "name=")) name = field["name=".len..];
    }

    var output_buffer: [4096]u8 = undefined;
    var output = std.Io.File.stdout().writerStreaming(init.io, &output_buffer);
    const out = &output.interface;
    try out.writeAll("Content-Type: text/plain; charset=utf-8\n\n");
    try out.print("Hello, {s}!\n", .{name});
    const path = init.environ_map.get("PATH_INFO") orelse "";
    try out.print("You asked for {s} and sent {d} bytes.\n", .{ path, body.len });
    try out.flush();
    // Standard error goes to the log of the server.
    std.debug.print("greeted {s}\n", .{name});
}
