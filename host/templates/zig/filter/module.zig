//! {{name}}: a filter. It accepts messages of some types, and with some value in their body:
//!
//!     {"events": ["push"], "pointer": "/ref", "equals": "refs/heads/main"}
const std = @import("std");
const hookswitch = @import("hookswitch.zig");
const json = @import("json.zig");

comptime {
    hookswitch.filter(configure, accept);
}

const Settings = struct {
    events: ?[]const std.json.Value = null,
    pointer: ?[]const u8 = null,
    equals: ?std.json.Value = null,
};

var settings: Settings = .{};

fn accept(_: *const hookswitch.Event, message: *const hookswitch.Message) hookswitch.Failed!hookswitch.Decision {
    const event_type = message.event_type.slice();
    if (settings.events) |events| {
        if (!isOneOf(event_type, events)) return .{ .reject = hookswitch.format("the event type is {s}", .{event_type}) };
    }
    const pointer = settings.pointer orelse return .accept;
    const body = json.parse(message.body.slice()) catch return hookswitch.fail("input-invalid", "the body is not JSON");
    const value = json.find(body, pointer) orelse
        return .{ .reject = hookswitch.format("{s} is not there", .{pointer}) };
    if (!equal(value, settings.equals.?)) return .{ .reject = hookswitch.format("{s} is something else", .{pointer}) };
    return .accept;
}

fn isOneOf(text: []const u8, wanted: []const std.json.Value) bool {
    for (wanted) |item| if (std.mem.eql(u8, item.string, text)) return true;
    return false;
}

fn equal(a: std.json.Value, b: std.json.Value) bool {
    return switch (a) {
        .null => b == .null,
        .bool => |truth| b == .bool and b.bool == truth,
        .string => |text| b == .string and std.mem.eql(u8, b.string, text),
        .number_string => |number| b == .number_string and std.mem.eql(u8, b.number_string, number),
        else => false,
    };
}

fn configure(text: []const u8) hookswitch.Failed!void {
    settings = readSettings(text) catch return hookswitch.fail(
        "settings-invalid",
        "settings are {\"events\": [\"push\"], \"pointer\": \"/a/b\", \"equals\": \"c\"}; pointer and equals go together",
    );
}

fn readSettings(text: []const u8) !Settings {
    const value = try json.parse(text);
    if (value != .object) return error.Wrong;
    var read: Settings = .{};
    var members = value.object.iterator();
    while (members.next()) |member| {
        if (std.mem.eql(u8, member.key_ptr.*, "events")) {
            if (member.value_ptr.* != .array) return error.Wrong;
            read.events = member.value_ptr.array.items;
            for (read.events.?) |item| if (item != .string) return error.Wrong;
        } else if (std.mem.eql(u8, member.key_ptr.*, "pointer")) {
            if (member.value_ptr.* != .string) return error.Wrong;
            read.pointer = member.value_ptr.string;
            if (read.pointer.?.len > 0 and read.pointer.?[0] != '/') return error.Wrong;
        } else if (std.mem.eql(u8, member.key_ptr.*, "equals")) {
            switch (member.value_ptr.*) {
                .null, .bool, .string => {},
                .number_string => |number| if (!json.isInteger(number)) return error.Wrong,
                else => return error.Wrong,
            }
            read.equals = member.value_ptr.*;
        } else return error.Wrong;
    }
    if ((read.pointer == null) != (read.equals == null)) return error.Wrong;
    return read;
}
