//! What a module can do: see its event, decide, make messages; and that every call begins anew.

use super::guests::{
    ENDPOINTS_GET, EVENT_BODY, Guest, LOG, ORIGIN, Output, STATE_GET, bytes, making, rejecting, words,
};
use super::*;
use crate::model::World;
use crate::runtime::{EndpointInfo, StateAccess, StateError};
use std::sync::{Arc, Mutex};

#[test]
fn a_filter_accepts_or_rejects_with_a_reason_as_core_module_and_as_component() {
    for upload in [Guest::of("filter").core(), Guest::of("filter").component()] {
        let module = compile(&upload);
        assert_eq!((module.world(), module.digest()), (World::Filter, crate::model::Digest::of(&upload)));
        assert!(module.code_bytes() > 0);
        assert_eq!(verdict(&module), Verdict::Accept);
    }
    for upload in [rejecting(64, 8).core(), rejecting(64, 8).component()] {
        assert_eq!(verdict(&compile(&upload)), Verdict::Reject("not main".into()));
    }
}

#[test]
fn a_long_reason_is_cut() {
    let reason = verdict(&compile(&rejecting(0x10_000, 5000).core()));
    assert!(matches!(&reason, Verdict::Reject(text) if text.len() == RUNTIME.config().reason_bytes_max), "{reason:?}");
}

#[test]
fn outputs_are_laid_over_the_message() {
    let texts = bytes(0x8000, b"issue") // 5
        + &bytes(0x8010, b"text/plain") // 10
        + &words(0x8020, &[0x8040, 6, 0x8050, 3]) // one header
        + &bytes(0x8040, b"X-Team") + &bytes(0x8050, b" c ")
        + &bytes(0x8060, b"hello") + &bytes(0x8070, b"key");
    let all = Output {
        event_type: Some((0x8000, 5)),
        content_type: Some((0x8010, 10)),
        headers: Some((0x8020, 1)),
        body: Some((0x8060, 5)),
        ordering_key: Some((0x8070, 3)),
        delay_ms: Some(7),
    };
    let no_key = Output { ordering_key: Some((0x8070, 0)), ..Output::default() };
    let module = compile(&making(&[Output::default(), all, no_key], &texts).core());
    assert_eq!(module.world(), World::Transform);
    let mut setting = Setting::default();
    setting.message.ordering_key = Some("old".into());
    setting.message.headers = vec![Header { name: "x-old".into(), value: "1".into() }];
    let changed = Message {
        event_type: "issue".into(),
        content_type: "text/plain".into(),
        headers: vec![Header { name: "x-team".into(), value: "c".into() }],
        body: Bytes::from_static(b"hello"),
        body_is_event: false,
        ordering_key: Some("key".into()),
        delay_ms: 7,
    };
    let without_key = Message { ordering_key: None, ..setting.message.clone() };
    let expected = vec![setting.message.clone(), changed, without_key];
    assert_eq!(setting.call(&module).result, Ok(Verdict::Messages(expected)));
    assert_eq!(verdict(&compile(&Guest::of("transform").core())), Verdict::Messages(Vec::new()));
}

#[test]
fn a_router_sees_the_endpoints_and_names_them() {
    // Asks for the endpoint `slack`; sends to it if it is there, and nothing otherwise.
    let dispatch: Vec<u32> = [0x8000, 5].into_iter().chain(Output::default().words()).collect();
    let guest = Guest {
        imports: ENDPOINTS_GET.into(),
        call: r"(call $endpoints-get (i32.const 0x8000) (i32.const 5) (i32.const 512))
                (i32.store (i32.const 8) (i32.load8_u (i32.const 512))) (i32.const 0)"
            .into(),
        rest: words(4, &[64]) + &words(64, &dispatch) + &bytes(0x8000, b"slack"),
        ..Guest::of("router")
    };
    let module = compile(&guest.core());
    assert_eq!(verdict(&module), Verdict::Dispatches(Vec::new()));
    let slack = EndpointInfo { name: "slack".parse().expect("a name"), labels: [("team".into(), "a".into())].into() };
    let setting = Setting { endpoints: Directory::new(vec![slack.clone()]), ..Setting::default() };
    let expected = Verdict::Dispatches(vec![(slack.name, setting.message.clone())]);
    assert_eq!(setting.call(&module).result, Ok(expected));
}

#[test]
fn a_directory_finds_by_name_and_by_all_labels() {
    let endpoint = |name: &str, labels: &[(&str, &str)]| EndpointInfo {
        name: name.parse().expect("a name"),
        labels: labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
    };
    let directory = Directory::new(vec![
        endpoint("c", &[("team", "x"), ("env", "live")]),
        endpoint("a", &[("team", "x")]),
        endpoint("b", &[]),
    ]);
    let find = |labels: &[(&str, &str)]| {
        let labels: Vec<_> = labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        directory.find(&labels).map(|endpoint| endpoint.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(find(&[]), ["a", "b", "c"]);
    assert_eq!(find(&[("team", "x")]), ["a", "c"]);
    assert_eq!(find(&[("team", "x"), ("env", "live")]), ["c"]);
    assert!(find(&[("team", "y")]).is_empty());
    assert_eq!(directory.get("b"), Some(&endpoint("b", &[])));
    assert_eq!(directory.get("d"), None);
}

#[test]
fn a_module_sees_the_body_as_received_and_why_it_runs() {
    let log = "(call $log (i32.const 1) (i32.load (i32.const 512)) (i32.load (i32.const 516)))";
    let guest = Guest {
        imports: format!("{LOG}{ORIGIN}{EVENT_BODY}"),
        call: format!("(call $origin (i32.const 512)) {log} (call $event-body (i32.const 512)) {log} (i32.const 0)"),
        ..Guest::of("filter")
    };
    let mut setting = Setting { origin: Origin::Replay, ..Setting::default() };
    setting.message.body = Bytes::from_static(b"something else");
    let report = setting.call(&compile(&guest.core()));
    assert_eq!(report.result, Ok(Verdict::Accept));
    assert_eq!(lines(&report.logs), ["replay", r#"{"ref":"main"}"#]);
    assert!(!report.logs_cut);
}

#[test]
fn the_message_and_the_event_reach_the_module() {
    // `accept` gets a record: event id, tenant, source and type are at 0, 8, 16, 24; the message's body is at 80.
    let log = |at: u32| {
        format!(
            "(call $log (i32.const 1) (i32.load offset={at} (local.get $args)) (i32.load offset={} (local.get $args)))",
            at + 4
        )
    };
    let call = [0, 8, 16, 24, 48, 56, 72].map(log).concat() + "(i32.const 0)";
    let report = call_with_log(&call);
    let id = event().id.to_string();
    assert_eq!(lines(&report.logs), [&*id, "acme", "github", "push", "push", "application/json", r#"{"ref":"main"}"#]);
}

fn call_with_log(instructions: &str) -> Report<Verdict> {
    let guest = Guest { imports: LOG.into(), call: instructions.into(), ..Guest::of("filter") };
    call(&compile(&guest.core()))
}

#[test]
fn every_call_begins_with_fresh_memory_and_globals() {
    // Traps where it finds anything of a call before; then dirties a global, 2 MiB of memory, a table and a grown page.
    let guest = Guest {
        call: r"(if (i32.or (global.get $count) (i32.or (i32.load (i32.const 0x8000)) (i32.load (i32.const 0x1fffff))))
                    (then unreachable))
                (if (i32.ne (memory.size) (i32.const 40)) (then unreachable))
                (if (i32.eqz (ref.is_null (table.get (i32.const 0)))) (then unreachable))
                (global.set $count (i32.const 1))
                (memory.fill (i32.const 0x4000) (i32.const 255) (i32.const 0x1fffff))
                (i32.store (i32.mul (i32.const 65536) (memory.grow (i32.const 1))) (i32.const -1))
                (table.set (i32.const 0) (ref.func $configure))
                (i32.const 0)"
            .into(),
        rest: "(global $count (mut i32) (i32.const 0)) (table 10 funcref) (elem declare func $configure)".into(),
        ..Guest::of("filter")
    };
    let module = compile(&guest.core());
    for _ in 0..200 {
        assert_eq!(verdict(&module), Verdict::Accept);
    }
    // The same slots of the pool, taken by another module.
    let other = Guest {
        call: "(if (i32.load (i32.const 0x8000)) (then unreachable)) (i32.const 0)".into(),
        ..Guest::of("filter")
    };
    let other = compile(&other.core());
    for _ in 0..20 {
        assert_eq!((verdict(&module), verdict(&other)), (Verdict::Accept, Verdict::Accept));
    }
}

#[test]
fn configure_comes_first_and_may_refuse_the_settings() {
    let logs = "(call $log (i32.const 0) (local.get $settings) (local.get $length)) (i32.const 0)";
    let guest = Guest { imports: LOG.into(), configure: logs.into(), ..Guest::of("filter") };
    let module = compile(&guest.core());
    let report = module.configure(r#"{"a":1}"#);
    assert_eq!((report.result, lines(&report.logs)), (Ok(()), vec![r#"{"a":1}"#]));
    assert_eq!(lines(&call(&module).logs), ["{}"]);

    let rest = words(0, &[1, 64, 4, 72, 5]) + &bytes(64, b"code") + &bytes(72, b"words");
    let module = compile(&Guest { rest: rest.clone(), ..Guest::of("filter") }.core());
    let refused = CallError::SettingsInvalid { code: "code".into(), message: "words".into() };
    assert_eq!(module.configure("{}").result, Err(refused.clone()));
    assert_eq!(error(&module), refused);
    assert_eq!(
        (refused.code(), &*refused.to_string()),
        ("settings_invalid", "the module refuses its settings: words (code)")
    );

    let failing = Guest { configure: "(i32.const 1024)".into(), rest, ..Guest::of("filter") };
    let failed = error(&compile(&failing.core()));
    assert_eq!(failed, CallError::Failed { code: "code".into(), message: "words".into() });
    assert_eq!(failed.code(), "failed");
}

#[test]
fn before_the_call_proper_a_module_may_only_log() {
    let ask = "(call $origin (i32.const 512)) (i32.const 0)";
    let guest = Guest { imports: ORIGIN.into(), configure: ask.into(), ..Guest::of("filter") };
    let module = compile(&guest.core());
    let denied = CallError::Denied { function: "context.origin" };
    assert_eq!((module.configure("{}").result, error(&module)), (Err(denied.clone()), denied));
}

/// Asks for the key `k`, and logs the code and the words of the failure it is answered: the result is at 512.
fn asking(configure: bool) -> Guest {
    let ask = r"(call $state-get (i32.const 64) (i32.const 1) (i32.const 512))
        (if (i32.ne (i32.load8_u (i32.const 512)) (i32.const 1)) (then unreachable))
        (call $log (i32.const 0) (i32.load (i32.const 516)) (i32.load (i32.const 520)))
        (call $log (i32.const 0) (i32.load (i32.const 524)) (i32.load (i32.const 528))) (i32.const 0)";
    let guest = Guest { imports: format!("{LOG}{STATE_GET}"), rest: bytes(64, b"k"), ..Guest::of("filter") };
    if configure { Guest { configure: ask.into(), ..guest } } else { Guest { call: ask.into(), ..guest } }
}

/// A state that answers every question with this.
#[derive(Debug)]
struct Answering(StateError);

impl StateAccess for Answering {
    fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        assert_eq!(key, "k");
        Err(self.0.clone())
    }
    fn set(&mut self, _: &str, _: Vec<u8>, _: u32) -> Result<(), StateError> {
        Err(self.0.clone())
    }
    fn remove(&mut self, _: &str) -> Result<(), StateError> {
        Err(self.0.clone())
    }
    fn increment(&mut self, _: &str, _: i64, _: u32) -> Result<i64, StateError> {
        Err(self.0.clone())
    }
}

#[test]
fn a_step_without_state_is_told_how_to_get_one() {
    let report = call(&compile(&asking(false).core()));
    let logs = lines(&report.logs);
    assert!(logs[0] == "denied" && logs[1].contains("`state = true`"), "{logs:?}");
}

#[test]
fn state_is_out_of_reach_in_configure() {
    let module = compile(&asking(true).core());
    let denied = CallError::Denied { function: "state.get" };
    assert_eq!((module.configure("{}").result, error(&module)), (Err(denied.clone()), denied));
}

#[test]
fn what_a_state_refuses_is_a_failure_and_what_the_host_cannot_read_ends_the_call() {
    let module = compile(&asking(false).core());
    let ask = |error: StateError| {
        Setting { state: Some(Arc::new(Mutex::new(Answering(error)))), ..Setting::default() }.call(&module)
    };
    let limit = ask(StateError::Limit { what: "too much".into(), bound: "the.bound_max", max: 7 });
    assert_eq!(lines(&limit.logs), ["limit", "too much: `the.bound_max` is 7"]);
    let invalid = ask(StateError::InputInvalid("no number".into()));
    assert_eq!(lines(&invalid.logs), ["input-invalid", "no number"]);
    let broken = ask(StateError::Unavailable("the disk".into()));
    assert_eq!((broken.result, broken.logs.len()), (Err(CallError::StateUnavailable("the disk".into())), 0));
}
