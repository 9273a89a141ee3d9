//! {{name}}: a transform. It makes a Slack message of a pull request's event, and none of any other:
//!
//!     {"channel": "#pulls"}
const std = @import("std");
const hookswitch = @import("hookswitch.zig");
const json = @import("json.zig");

comptime {
    hookswitch.transform(configure, apply);
}

/// Where to post, or nothing.
var channel: ?[]const u8 = null;

var outputs: [1]hookswitch.Output = undefined;

fn apply(_: *const hookswitch.Event, message: *const hookswitch.Message) hookswitch.Failed![]const hookswitch.Output {
    if (!std.mem.eql(u8, message.event_type.slice(), "pull_request")) return &.{};
    const body = json.parse(message.body.slice()) catch return hookswitch.fail("input-invalid", "the body is not JSON");
    outputs[0] = .{ .content_type = .some(.of("application/json")), .body = .some(.of(try slackMessage(body))) };
    return &outputs;
}

const Mrkdwn = struct { type: []const u8 = "mrkdwn", verbatim: bool = true, text: []const u8 };

fn slackMessage(body: json.Value) hookswitch.Failed![]const u8 {
    const action = try string(body, "/action");
    const login = escape(try string(body, "/sender/login"));
    const id = try integer(body, "/pull_request/id");
    const number = try integer(body, "/pull_request/number");
    const title = escape(try string(body, "/pull_request/title"));
    const url = escape(try string(body, "/pull_request/html_url"));
    const repository = escape(try string(body, "/repository/full_name"));
    const repository_id = try integer(body, "/repository/id");
    const merged = std.mem.eql(u8, action, "closed") and isTrue(json.find(body, "/pull_request/merged"));
    const verb = if (merged) "merged" else escape(replace(action, "_", " "));
    const line = .{ login, verb, number.number_string, title };
    const linked = .{ login, verb, url, number.number_string, title };
    return json.write(.{
        .text = hookswitch.format("{s} {s} #{s} {s}", line),
        .blocks = .{
            .{ .type = "section", .text = Mrkdwn{ .text = hookswitch.format("{s} {s} <{s}|#{s} {s}>", linked) } },
            .{ .type = "context", .elements = [_]Mrkdwn{.{ .text = repository }} },
        },
        .metadata = .{
            .event_type = "github_pull_request",
            .event_payload = .{ .id = id, .number = number, .repository_id = repository_id },
        },
        .channel = channel,
    });
}

fn isTrue(value: ?json.Value) bool {
    return value != null and value.? == .bool and value.?.bool;
}

/// Nothing in a payload can mention anybody in Slack, or look like another link.
fn escape(text: []const u8) []const u8 {
    return replace(replace(replace(text, "&", "&amp;"), "<", "&lt;"), ">", "&gt;");
}

fn replace(text: []const u8, old: []const u8, new: []const u8) []const u8 {
    return std.mem.replaceOwned(u8, hookswitch.memory, text, old, new) catch unreachable;
}

fn string(body: json.Value, comptime pointer: []const u8) hookswitch.Failed![]const u8 {
    const value = json.find(body, pointer) orelse .null;
    if (value == .string) return value.string;
    return hookswitch.fail("input-invalid", pointer ++ " is not a string");
}

/// It is kept as it is written: an id may be larger than any integer of the language.
fn integer(body: json.Value, comptime pointer: []const u8) hookswitch.Failed!json.Value {
    const value = json.find(body, pointer) orelse .null;
    if (value == .number_string and json.isInteger(value.number_string)) return value;
    return hookswitch.fail("input-invalid", pointer ++ " is not an integer");
}

fn configure(text: []const u8) hookswitch.Failed!void {
    channel = readChannel(text) catch return hookswitch.fail("settings-invalid", "settings are {\"channel\": \"#pulls\"}");
}

fn readChannel(text: []const u8) !?[]const u8 {
    const value = try json.parse(text);
    if (value != .object) return error.Wrong;
    const found = value.object.get("channel") orelse return if (value.object.count() == 0) null else error.Wrong;
    if (found != .string or value.object.count() != 1) return error.Wrong;
    return found.string;
}
