//! Uses all that state can do, and says what it found.
const hookswitch = @import("hookswitch.zig");
const state = hookswitch.state;

comptime {
    hookswitch.filter(configure, accept);
}

fn accept(_: *const hookswitch.Event, _: *const hookswitch.Message) hookswitch.Failed!hookswitch.Decision {
    _ = try state.increment("number", 5_000_000_000, 60);
    const sum = try state.increment("number", -1, 60);
    const number = (try state.get("number")).?;
    try state.set("key", "v", 0);
    const kept = (try state.get("key")).?;
    try state.remove("key");
    const gone = if (try state.get("key") == null) "gone" else "kept";
    try state.set("odd", "x", 0);
    const refused = if (state.increment("odd", 1, 0)) |_| "" else |_| hookswitch.failure.code.slice();
    const same = if (sum == 4_999_999_999) "same" else "other";
    return .{ .reject = hookswitch.format("{s} {s} {s} {s} {s}", .{ number, same, kept, gone, refused }) };
}

fn configure(_: []const u8) hookswitch.Failed!void {}
