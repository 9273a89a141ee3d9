//! What Hookswitch and a module say to each other: the WIT contract in wit/, as Zig.
//!
//! The structs lie in memory exactly as the component model's canonical ABI has them, so nothing is copied or converted on
//! the way, and no code is generated. A module is two functions and one line:
//!
//!     comptime { hookswitch.filter(configure, accept); }    or    comptime { hookswitch.transform(configure, apply); }
//!
//! The host makes a fresh instance for every call: nothing has to be freed, and a variable is new each time.
const std = @import("std");

/// Memory; all of it is gone after the call.
pub const memory = std.heap.wasm_allocator;

/// UTF-8 text, bytes, or a list of something else.
pub fn List(comptime Item: type) type {
    return extern struct {
        items: [*]const Item = undefined,
        length: usize = 0,

        pub fn of(list: []const Item) @This() {
            return .{ .items = list.ptr, .length = list.len };
        }

        pub fn slice(list: @This()) []const Item {
            return list.items[0..list.length];
        }
    };
}

pub const Text = List(u8);

pub fn Option(comptime Value: type) type {
    return extern struct {
        is_some: bool = false,
        value: Value = undefined,

        pub fn some(value: Value) @This() {
            return .{ .is_some = true, .value = value };
        }
    };
}

pub const Header = extern struct { name: Text, value: Text };

/// The event as it was received, the same at every step of a route.
pub const Event = extern struct {
    id: Text,
    tenant: Text,
    source: Text,
    event_type: Text,
    received_at_ms: u64,
    headers: List(Header),
};

/// The message as the step before left it.
pub const Message = extern struct {
    event_type: Text,
    content_type: Text,
    headers: List(Header),
    body: Text,
    ordering_key: Option(Text),
    delay_ms: u64,
};

/// A message that a transform makes; what is left out stays as it was.
pub const Output = extern struct {
    event_type: Option(Text) = .{},
    content_type: Option(Text) = .{},
    headers: Option(List(Header)) = .{},
    body: Option(Text) = .{},
    /// An empty key takes the message's away.
    ordering_key: Option(Text) = .{},
    delay_ms: Option(u64) = .{},
};

/// A filter's verdict.
pub const Decision = union(enum) { accept, reject: []const u8 };

/// The module, or what it asked of the host, could not do its work; `failure` says why.
pub const Failed = error{Failed};

/// Why `Failed` was answered last: by `fail`, or by a function of `state`.
pub var failure: Failure = undefined;
pub const Failure = extern struct { code: Text, message: Text };

/// `return hookswitch.fail("input-invalid", "the body is not JSON");`
pub fn fail(code: []const u8, message: []const u8) Failed {
    failure = .{ .code = .of(code), .message = .of(message) };
    return error.Failed;
}

/// Text put together. There is memory for it: what does not fit traps.
pub fn format(comptime words: []const u8, arguments: anytype) []const u8 {
    return std.fmt.allocPrint(memory, words, arguments) catch unreachable;
}

pub const Level = enum(i32) { debug, info, warn, err };

/// A line for the event's trace.
pub fn log(level: Level, line: []const u8) void {
    imports.write(@intFromEnum(level), line.ptr, line.len);
}

/// The event's body as received, whatever the steps before made of the message.
pub fn eventBody() []const u8 {
    var body: Text = .{};
    imports.@"event-body"(&body);
    return body.slice();
}

/// A small store that outlives the call, for a step that says `state = true`: wit/types.wit has its rules. Time to live is in
/// seconds; 0 keeps for good.
pub const state = struct {
    pub fn get(key: []const u8) Failed!?[]const u8 {
        var found: Answer(Option(Text)) = undefined;
        stateImports.get(key.ptr, key.len, &found);
        const option = try taken(Option(Text), &found);
        return if (option.is_some) option.value.slice() else null;
    }

    pub fn set(key: []const u8, value: []const u8, ttl_s: u32) Failed!void {
        var done: Answer(u8) = undefined;
        stateImports.set(key.ptr, key.len, value.ptr, value.len, ttl_s, &done);
        _ = try taken(u8, &done);
    }

    pub fn remove(key: []const u8) Failed!void {
        var done: Answer(u8) = undefined;
        stateImports.remove(key.ptr, key.len, &done);
        _ = try taken(u8, &done);
    }

    /// Adds to the number under a key, 0 where there is none, and answers the sum.
    pub fn increment(key: []const u8, by: i64, ttl_s: u32) Failed!i64 {
        var sum: Answer(i64) = undefined;
        stateImports.increment(key.ptr, key.len, by, ttl_s, &sum);
        return taken(i64, &sum);
    }

    fn taken(comptime Value: type, given: *const Answer(Value)) Failed!Value {
        if (!given.failed) return given.is.value;
        failure = given.is.failure;
        return error.Failed;
    }
};

const stateImports = struct {
    extern "hookswitch:module/state@0.1.0" fn get(key: [*]const u8, length: usize, found: *Answer(Option(Text))) void;
    extern "hookswitch:module/state@0.1.0" fn set(
        key: [*]const u8,
        length: usize,
        value: [*]const u8,
        value_length: usize,
        ttl_s: u32,
        done: *Answer(u8),
    ) void;
    extern "hookswitch:module/state@0.1.0" fn remove(key: [*]const u8, length: usize, done: *Answer(u8)) void;
    extern "hookswitch:module/state@0.1.0" fn increment(
        key: [*]const u8,
        length: usize,
        by: i64,
        ttl_s: u32,
        sum: *Answer(i64),
    ) void;
};

const imports = struct {
    extern "hookswitch:module/log@0.1.0" fn write(level: i32, items: [*]const u8, length: usize) void;
    extern "hookswitch:module/context@0.1.0" fn @"event-body"(body: *Text) void;
};

// How the arguments and the answers of the exports lie in memory.
const Call = extern struct { event: Event, message: Message };
fn Answer(comptime Value: type) type {
    return extern struct { failed: bool, is: extern union { value: Value, failure: Failure } };
}
const RawDecision = extern struct { rejected: bool, reason: Text = .{} };
comptime {
    std.debug.assert(@sizeOf(Call) == 104 and @sizeOf(Output) == 80 and @sizeOf(Answer(RawDecision)) == 20);
    std.debug.assert(@sizeOf(Answer(Option(Text))) == 20 and @sizeOf(Answer(i64)) == 24);
}

fn answer(comptime Value: type, result: Failed!Value) *const Answer(Value) {
    const Static = struct {
        var kept: Answer(Value) = undefined;
    };
    Static.kept = if (result) |value|
        .{ .failed = false, .is = .{ .value = value } }
    else |_|
        .{ .failed = true, .is = .{ .failure = failure } };
    return &Static.kept;
}

/// What every module has: the types of its world, memory for what the host hands over, and its settings.
fn module(comptime configure: fn ([]const u8) Failed!void) void {
    const exports = struct {
        fn realloc(old: ?[*]u8, old_length: usize, alignment: usize, length: usize) callconv(.c) ?[*]u8 {
            _ = alignment;
            const new = memory.alignedAlloc(u8, .@"8", @max(length, 1)) catch unreachable;
            if (old) |bytes| @memcpy(new[0..@min(old_length, length)], bytes[0..@min(old_length, length)]);
            return new.ptr;
        }
        fn take(items: [*]const u8, length: usize) callconv(.c) *const Answer(u8) {
            return answer(u8, if (configure(items[0..length])) |_| 0 else |failed| failed);
        }
    };
    @export(&exports.realloc, .{ .name = "cabi_realloc" });
    @export(&exports.take, .{ .name = "configure" });
}

/// Makes this a filter.
pub fn filter(
    comptime configure: fn ([]const u8) Failed!void,
    comptime accept: fn (*const Event, *const Message) Failed!Decision,
) void {
    module(configure);
    const exports = struct {
        fn decide(call: *const Call) callconv(.c) *const Answer(RawDecision) {
            const decision = accept(&call.event, &call.message) catch |failed| return answer(RawDecision, failed);
            return answer(RawDecision, switch (decision) {
                .accept => .{ .rejected = false },
                .reject => |reason| .{ .rejected = true, .reason = .of(reason) },
            });
        }
    };
    @export(&exports.decide, .{ .name = "accept" });
}

/// Makes this a transform.
pub fn transform(
    comptime configure: fn ([]const u8) Failed!void,
    comptime apply: fn (*const Event, *const Message) Failed![]const Output,
) void {
    module(configure);
    const exports = struct {
        fn make(call: *const Call) callconv(.c) *const Answer(List(Output)) {
            const outputs = apply(&call.event, &call.message) catch |failed| return answer(List(Output), failed);
            return answer(List(Output), .of(outputs));
        }
    };
    @export(&exports.make, .{ .name = "apply" });
}

// The world that the module is built for.
comptime {
    asm (
        \\.section ".custom_section.component-type:hookswitch","",@
        \\.incbin "component-type.bin"
        \\.text
    );
}
