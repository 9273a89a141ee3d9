//! `make bench`, the part about modules: what a fresh sandbox for every call costs, beside the same code run natively in the same
//! process, with the system's allocator as a program has by itself. Calls alternate in short rounds, and each ratio is taken inside its
//! round; so believe the ratios.
//!
//! - *native*: `github-to-slack` as plain Rust, on a real payload of a pull request, of 24 KB or so.
//! - *fresh*: the same crate as a module, by the host's own runtime: instance, settings, call, answer, and everything dropped.
//! - *on demand*: the same without the pool: what it would cost to ask the system for memory each time.
//! - *kept*: one instance for all calls, which the host never does: the price of WebAssembly alone.
//! - *no-op*: the whole call of a filter that accepts.
//! - *unscanned*: fresh and no-op where `pagemap_scan` is off, so that every page of a used memory is given back and comes anew.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on says why by a panic"
)]

use bytes::Bytes;
use guests::guest;
use hookswitch::model::{Event, Message};
use hookswitch::runtime::{Call, Config, Module, Runtime, Verdict};
use hookswitch_filter_github_to_slack as native;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

const ROUNDS: usize = 21;
const CALLS_PER_ROUND: usize = 200;
const EXAMPLES: &str = "node_modules/@octokit/webhooks-examples/api.github.com/index.json";
const SETTINGS: &str = r##"{"channel":"#builds"}"##;

mod event;
#[path = "../it/support/guests.rs"]
mod guests;

/// The contract as wasmtime binds it, for the engines that only this benchmark has.
mod bindings {
    wasmtime::component::bindgen!({ path: "../wit", world: "transform" });
}

fn main() {
    let body = pull_request();
    let event = event::pull_request_event();
    let message = Message::of_event(&event, &body);
    let scanning = Runtime::start(Config { threads: 1, ..Config::default() }).unwrap();
    let unscanning = Runtime::start(Config { threads: 1, pagemap_scan: false, ..Config::default() }).unwrap();
    let [slack, slack_unscanned] = [&scanning, &unscanning].map(|it| it.compile(&guest("github-to-slack")).unwrap());
    let [no_op, no_op_unscanned] = [&scanning, &unscanning].map(|it| it.compile(&guest("no-op")).unwrap());
    let host = |module: &Module, settings: &str| call(module, settings, &event, &body, &message);
    let on_demand = plain::Engine::new(&guest("github-to-slack"));
    let mut kept = on_demand.instance();
    let (guest_event, guest_message) = (plain::event(&event), plain::message(&message));
    let own = Native::new(&event, &message);
    assert_eq!(own.call(), host(&slack, SETTINGS).expect("a message"), "native code and module agree");
    assert_eq!(
        Some(own.call()),
        on_demand.call(&mut kept, &guest_event, &guest_message),
        "and so does the plain engine"
    );

    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push([
            median_us(|| drop(black_box(own.call()))),
            median_us(|| drop(black_box(host(&slack, SETTINGS)))),
            median_us(|| drop(black_box(on_demand.call(&mut on_demand.instance(), &guest_event, &guest_message)))),
            median_us(|| drop(black_box(on_demand.call(&mut kept, &guest_event, &guest_message)))),
            median_us(|| drop(black_box(host(&slack_unscanned, SETTINGS)))),
            median_us(|| drop(black_box(host(&no_op, "{}")))),
            median_us(|| drop(black_box(host(&no_op_unscanned, "{}")))),
        ]);
    }
    let time = |column: usize| median(rounds.iter().map(|round| round[column]).collect());
    let ratio = |column: usize| median(rounds.iter().map(|round| round[column] / round[0]).collect());
    println!(
        "github-to-slack on a pull request of {} bytes; {ROUNDS} rounds of {CALLS_PER_ROUND} calls each",
        body.len()
    );
    for (column, name) in ["native", "fresh", "on demand", "kept", "unscanned"].into_iter().enumerate() {
        println!("  {name:<10} {:>7.1} µs   {:.2} × native", time(column), ratio(column));
    }
    println!("  {:<10} {:>7.1} µs   unscanned {:.1} µs", "no-op", time(5), time(6));
    println!(
        "modules: fresh_to_native={:.2} kept_to_native={:.2} on_demand_to_native={:.2} no_op_us={:.1}",
        ratio(1),
        ratio(3),
        ratio(2),
        time(5)
    );
}

/// One call by the host's runtime; the body of the message that came of it, if one did.
fn call(module: &Module, settings: &str, event: &Event, body: &Bytes, message: &Message) -> Option<Bytes> {
    let report = module.call(&Call::trial(event, body, message, settings));
    match report.result.expect("the module does its work") {
        Verdict::Messages(messages) => Some(messages[0].body.clone()),
        _ => None,
    }
}

/// The same work without a sandbox.
struct Native {
    event: hookswitch_guest::Event,
    message: hookswitch_guest::Message,
}

impl Native {
    fn new(event: &Event, message: &Message) -> Self {
        let headers = event.headers.iter();
        let headers =
            headers.map(|header| hookswitch_guest::Header { name: header.name.clone(), value: header.value.clone() });
        let message = hookswitch_guest::Message {
            event_type: message.event_type.clone(),
            content_type: message.content_type.clone(),
            body: message.body.to_vec(),
            ..hookswitch_guest::Message::default()
        };
        let event = hookswitch_guest::Event { headers: headers.collect(), ..hookswitch_guest::Event::default() };
        Self { event, message }
    }

    fn call(&self) -> Bytes {
        let settings: native::Settings = serde_json::from_str(SETTINGS).unwrap();
        let mut made = native::apply(&settings, &self.event, &self.message).unwrap();
        made.pop().unwrap().body.unwrap().into()
    }
}

/// wasmtime without what the runtime adds: no pool, no deadline, no bounds.
mod plain {
    use super::bindings::hookswitch::module::{context, log, state, types};
    use super::bindings::{Transform, TransformPre};
    use bytes::Bytes;
    use wasmtime::Store;
    use wasmtime::component::{Component, HasSelf, Linker};

    pub(crate) struct Engine {
        engine: wasmtime::Engine,
        pre: TransformPre<Nothing>,
    }

    pub(crate) struct Nothing;

    impl Engine {
        pub(crate) fn new(core_module: &[u8]) -> Self {
            let mut config = wasmtime::Config::new();
            config.concurrency_support(false);
            let engine = wasmtime::Engine::new(&config).unwrap();
            let mut encoder = wit_component::ComponentEncoder::default().module(core_module).unwrap();
            let component = Component::new(&engine, encoder.encode().unwrap()).unwrap();
            let mut linker = Linker::new(&engine);
            Transform::add_to_linker::<_, HasSelf<_>>(&mut linker, |nothing| nothing).unwrap();
            let pre = TransformPre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
            Self { engine, pre }
        }

        pub(crate) fn instance(&self) -> (Store<Nothing>, Transform) {
            let mut store = Store::new(&self.engine, Nothing);
            let instance = self.pre.instantiate(&mut store).unwrap();
            (store, instance)
        }

        pub(crate) fn call(
            &self,
            (store, instance): &mut (Store<Nothing>, Transform),
            event: &types::Event,
            message: &types::Message,
        ) -> Option<Bytes> {
            instance.call_configure(&mut *store, super::SETTINGS).unwrap().unwrap();
            let mut made = instance.call_apply(&mut *store, event, message).unwrap().unwrap();
            made.pop()?.body.map(Bytes::from)
        }
    }

    pub(crate) fn event(event: &hookswitch::model::Event) -> types::Event {
        let headers = event.headers.iter();
        types::Event {
            id: event.id.to_string(),
            tenant: event.tenant.to_string(),
            source: event.source.to_string(),
            event_type: event.event_type.clone(),
            received_at_ms: event.received_at_ms,
            headers: headers
                .map(|header| types::Header { name: header.name.clone(), value: header.value.clone() })
                .collect(),
        }
    }

    pub(crate) fn message(message: &hookswitch::model::Message) -> types::Message {
        types::Message {
            event_type: message.event_type.clone(),
            content_type: message.content_type.clone(),
            headers: Vec::new(),
            body: message.body.to_vec(),
            ordering_key: None,
            delay_ms: 0,
        }
    }

    impl types::Host for Nothing {}

    impl context::Host for Nothing {
        fn event_body(&mut self) -> Vec<u8> {
            Vec::new()
        }

        fn origin(&mut self) -> String {
            "test".to_owned()
        }
    }

    impl log::Host for Nothing {
        fn write(&mut self, _: log::Level, _: String) {}
    }

    impl state::Host for Nothing {
        fn get(&mut self, _: String) -> Result<Option<Vec<u8>>, types::Failure> {
            Err(none())
        }

        fn set(&mut self, _: String, _: Vec<u8>, _: u32) -> Result<(), types::Failure> {
            Err(none())
        }

        fn remove(&mut self, _: String) -> Result<(), types::Failure> {
            Err(none())
        }

        fn increment(&mut self, _: String, _: i64, _: u32) -> Result<i64, types::Failure> {
            Err(none())
        }
    }

    fn none() -> types::Failure {
        types::Failure { code: "denied".to_owned(), message: String::new() }
    }
}

fn median_us(mut work: impl FnMut()) -> f64 {
    let each = (0..CALLS_PER_ROUND).map(|_| {
        let began = Instant::now();
        work();
        began.elapsed().as_secs_f64() * 1e6
    });
    median(each.collect())
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// The first of GitHub's published examples of a pull request.
fn pull_request() -> Bytes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/demo").join(EXAMPLES);
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `make setup`", path.display()));
    let examples: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let of_pulls = examples.as_array().unwrap().iter().find(|event| event["name"] == "pull_request").unwrap();
    of_pulls["examples"][0].to_string().into()
}
