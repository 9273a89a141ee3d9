//! Results: a module of each world that puts the event's body into its memory and answers with what is at the address in the body's
//! first word; the second word says which world. So every input is an answer, without compiling anything anew.

use super::call::call;
use super::hostile::guests::{EVENT_BODY, Guest, Output};
use super::{Random, Target, runtime};
use bytes::Bytes;
use hookswitch::model::{Message, is_header_for_modules};
use hookswitch::runtime::{Config, Module, Verdict};
use std::time::Duration;

/// Where the body lies in the guest's memory.
const BODY_AT: u32 = 0x10_0000;

/// A module that puts the event's body there, and answers with what is at the address in its first word.
fn answering_with_the_body(world: &'static str) -> Vec<u8> {
    let call = format!(
        "(global.set $heap (i32.const {BODY_AT})) (call $event-body (i32.const 512)) (i32.load (i32.load (i32.const 512)))"
    );
    Guest { imports: EVENT_BODY.into(), call, ..Guest::of(world) }.core()
}

/// The worlds, by their places in [`Results`].
const WORLDS: [&str; 3] = ["filter", "transform", "router"];
const FILTER: u32 = 0;
const ROUTER: u32 = 2;

pub(crate) struct Results {
    modules: Vec<Module>,
    config: Config,
}

impl Results {
    pub(crate) fn new() -> Self {
        let runtime = runtime();
        let compile = |world| runtime.compile(&answering_with_the_body(world)).unwrap();
        Self { modules: WORLDS.map(compile).into(), config: runtime.config().clone() }
    }

    fn check(&self, message: &Message) -> Result<(), String> {
        let config = &self.config;
        let headers: usize = message.headers.iter().map(|header| header.name.len() + header.value.len()).sum();
        let texts = [&message.event_type, &message.content_type];
        let bounds = [
            (headers <= config.header_bytes_max && message.headers.len() <= config.headers_max, "headers"),
            (message.headers.iter().all(|header| is_header_for_modules(&header.name)), "a forbidden header"),
            (message.headers.iter().all(|header| !header.value.contains(['\r', '\n', '\0'])), "a header's value"),
            (texts.iter().all(|text| text.len() <= config.text_bytes_max), "a text's length"),
            (texts.iter().all(|text| !text.contains(char::is_control)), "a control character"),
            (message.delay_ms <= config.delay_ms_max, "the delay"),
            (message.body_is_event || message.body.len() <= config.output_bytes_max, "the body"),
        ];
        bounds.into_iter().try_for_each(|(holds, what)| if holds { Ok(()) } else { Err(format!("{what} got through")) })
    }
}

impl Target for Results {
    fn make(&mut self, random: &mut Random) -> Vec<u8> {
        // The answer's address, then a result, then a list of outputs, then texts for them.
        let world = u32::try_from(random.below(3)).unwrap();
        let count = u32::try_from(random.below(4)).unwrap();
        let (list, texts) = (BODY_AT + 64, BODY_AT + 0x1000);
        let part = |random: &mut Random| {
            random
                .one_in(2)
                .then(|| (texts + u32::try_from(random.below(64)).unwrap(), u32::try_from(random.below(12)).unwrap()))
        };
        let mut outputs = Vec::new();
        for _ in 0..count {
            let headers = random.one_in(3).then(|| (texts + 128, u32::try_from(random.below(3)).unwrap()));
            if world == ROUTER {
                // The endpoint's name, `slack`.
                outputs.extend([texts + 11, 5]);
            }
            let output = Output {
                event_type: part(random),
                content_type: part(random),
                headers,
                body: part(random),
                ordering_key: part(random),
                delay_ms: random.one_in(3).then(|| random.number()),
            };
            outputs.extend(output.words());
        }
        let failed = u32::from(random.one_in(8));
        let mut words = match (world, failed) {
            (FILTER, 0) => vec![BODY_AT + 8, world, failed, count % 2, texts, count * 3],
            (_, 0) => vec![BODY_AT + 8, world, failed, list, count],
            _ => vec![BODY_AT + 8, world, failed, texts, 4, texts + 11, 5],
        };
        words.resize(16, 0);
        words.extend(outputs);
        let mut body: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        body.resize(0x1000, 0);
        body.extend_from_slice(b"text/plain slack x-team: webhook-id\xc3\xa4 \xff \r\n host application/json");
        body.resize(0x1000 + 128, b'x');
        body.extend(
            [texts + 17, 6, texts, 4, texts + 25, 10, texts + 60, 5].iter().flat_map(|word| word.to_le_bytes()),
        );
        for _ in 0..random.below(3) {
            let end = if random.one_in(3) { 0x400 } else { 16 + words.len() };
            let at = 4 * random.below(end);
            let number = random.number().to_le_bytes();
            if at + 4 <= body.len() {
                body[at..at + 4].copy_from_slice(&number);
            }
        }
        if random.one_in(4) {
            random.mutate(&mut body);
        }
        body
    }

    fn throw(&mut self, input: &[u8]) -> Result<&'static str, String> {
        let body = Bytes::copy_from_slice(input);
        let world = usize::from(input.get(4).copied().unwrap_or_default()) % self.modules.len();
        let result = call(&self.modules[world], &body, Duration::from_secs(5));
        match result {
            Ok(Verdict::Accept) => Ok("accept"),
            Ok(Verdict::Reject(reason)) if reason.len() <= self.config.reason_bytes_max => Ok("reject"),
            Ok(Verdict::Reject(_)) => Err("a reason over its bound".into()),
            Ok(Verdict::Messages(messages)) => {
                messages.iter().try_for_each(|message| self.check(message)).map(|()| "messages")
            }
            Ok(Verdict::Dispatches(made)) => {
                made.iter().try_for_each(|(_, message)| self.check(message)).map(|()| "dispatches")
            }
            Err(error) if matches!(error.code(), "time_limit" | "busy" | "start_failed") => {
                Err(format!("{}: {error}", error.code()))
            }
            Err(error) => Ok(error.code()),
        }
    }
}
