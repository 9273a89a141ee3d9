//! JSON with the standard library, so that nothing is rounded: a number is kept as it is written.
const std = @import("std");
const hookswitch = @import("hookswitch.zig");

pub const Value = std.json.Value;

/// One JSON value, in UTF-8; of members with the same name the last counts.
pub fn parse(text: []const u8) !Value {
    if (!std.unicode.utf8ValidateSlice(text)) return error.InvalidUtf8;
    return std.json.parseFromSliceLeaky(Value, hookswitch.memory, text, .{
        .parse_numbers = false,
        .duplicate_field_behavior = .use_last,
    });
}

/// The value at a JSON pointer such as "/a/0/b".
pub fn find(value: Value, pointer: []const u8) ?Value {
    var here = value;
    var tokens = std.mem.splitScalar(u8, pointer, '/');
    _ = tokens.next();
    while (tokens.next()) |token| {
        const slashes = std.mem.replaceOwned(u8, hookswitch.memory, token, "~1", "/") catch unreachable;
        const key = std.mem.replaceOwned(u8, hookswitch.memory, slashes, "~0", "~") catch unreachable;
        here = switch (here) {
            .object => |object| object.get(key) orelse return null,
            .array => |array| item(array.items, key) orelse return null,
            else => return null,
        };
    }
    return here;
}

fn item(items: []const Value, key: []const u8) ?Value {
    if (!isInteger(key) or key[0] == '-' or (key.len > 1 and key[0] == '0')) return null;
    const index = std.fmt.parseInt(usize, key, 10) catch return null;
    return if (index < items.len) items[index] else null;
}

/// Whether a number has neither fraction nor exponent.
pub fn isInteger(number: []const u8) bool {
    const digits = if (number.len > 1 and number[0] == '-') number[1..] else number;
    for (digits) |digit| if (!std.ascii.isDigit(digit)) return false;
    return digits.len > 0;
}

/// The JSON of a value: structs, slices, texts; a `Value` that is a number is written as it was.
pub fn write(value: anytype) []const u8 {
    return std.json.Stringify.valueAlloc(hookswitch.memory, value, .{ .emit_null_optional_fields = false }) catch unreachable;
}
