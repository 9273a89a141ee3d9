//! HTTP/2 that is right, or nearly, but more than anybody needs, or without end: it costs its sender the connection, and nobody else anything.

use super::{Frames, PATIENCE, PREFACE, Stored, request, told};
use crate::book::Book;
use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS, frame, headers,
};
use std::time::Duration;
use tokio::time::Instant;

/// Makes the frames of a turn.
type Make = fn(u32) -> Vec<u8>;

/// What the host has to do about a flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// It ends the connection before the last turn: each turn costs it something.
    Ended,
    /// It may hear all of it, and keeps nothing of it.
    Borne,
}

use Wanted::{Borne, Ended};

/// In how many parts a flood comes, and how long the host has to say something after each of them.
const PARTS: u32 = 100;
const LISTENED: Duration = Duration::from_millis(5);

/// What comes turn by turn.
const FLOODS: [(&str, Wanted, u32, Make); 9] = [
    ("20,000 streams, each reset at once", Ended, 20_000, |turn| [opened(turn), reset(turn)].concat()),
    ("20,000 pings", Borne, 20_000, |_| frame(PING, 0, 0, &[7; 8])),
    ("20,000 settings", Borne, 20_000, |_| frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])),
    ("20,000 empty frames of data", Ended, 20_000, |turn| if turn == 0 { opened(0) } else { frame(DATA, 0, 1, &[]) }),
    ("20,000 frames of priority", Borne, 20_000, |turn| frame(PRIORITY, 0, number(turn), &[0, 0, 0, 0, 1])),
    ("continuations without end", Ended, 20_000, |turn| frame(first_or_more(turn), 0, 1, &[0x82; 1000])),
    ("empty continuations without end", Ended, 20_000, |turn| frame(first_or_more(turn), 0, 1, &[])),
    ("a header list of 1.6 MB", Ended, 100, |turn| {
        let flags = if turn == 99 { END_HEADERS } else { 0 };
        frame(first_or_more(turn), flags, 1, &headers(&[(b"x", &[b'y'; 16_000])]))
    }),
    ("1,000 streams at once", Ended, 1_000, opened),
];

const fn number(turn: u32) -> u32 {
    2 * turn + 1
}

const fn first_or_more(turn: u32) -> u8 {
    if turn == 0 { HEADERS } else { CONTINUATION }
}

fn opened(turn: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, number(turn), &headers(&request()))
}

fn reset(turn: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, number(turn), &[0, 0, 0, 8])
}

/// A request for nothing, without a body.
fn asked(turn: u32) -> Vec<u8> {
    let list = [&request()[..3], &[(&b":path"[..], &b"/in/acme/none"[..])]].concat();
    frame(HEADERS, END_HEADERS | END_STREAM, number(turn), &headers(&list))
}

pub(super) async fn run(address: &str, stored: &mut Stored<'_>, book: &mut Book) {
    book.group("HTTP/2: floods");
    let began = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    for (name, wanted, turns, make) in FLOODS {
        let mut frames = Frames::connect(address).await.unwrap();
        let mut is_over = frames.write(&began).await.is_err();
        let (mut came, mut turn, mut closed) = (Vec::new(), 0, false);
        while !is_over && turn < turns {
            let next = turn + turns / PARTS;
            let bytes: Vec<u8> = (turn..next).flat_map(make).collect();
            is_over = frames.write(&bytes).await.is_err();
            let heard;
            (heard, closed) = frames.rest(Instant::now() + LISTENED).await;
            is_over |= closed || heard.iter().any(|came| came.kind == GOAWAY);
            came.extend(heard);
            turn = next;
        }
        // One that has to be ended is not helped along: the end of what this side writes would end it in any case.
        if wanted == Borne {
            frames.finish().await;
        }
        if !closed {
            let rest;
            (rest, closed) = frames.rest(Instant::now() + PATIENCE).await;
            came.extend(rest);
        }
        let in_time = wanted == Borne || turn < turns;
        let wrong = (!in_time).then(|| "the host heard all of it".to_owned());
        record(name, format!("{} after {turn} turns", told(&came, closed)), closed, wrong, stored, book).await;
    }
    // Nobody says that these are all: the host waits, and has to stop waiting.
    let no_window = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let half = headers(&request());
    let held = [
        ("50 answers and no window", [PREFACE, &no_window, &(0..50).flat_map(asked).collect::<Vec<_>>()].concat()),
        ("headers that are never ended", [&began[..], &frame(HEADERS, 0, 1, &half[..20])].concat()),
        ("a body that never comes", [&began[..], &opened(0)].concat()),
        ("no request", began.clone()),
    ];
    for (name, bytes) in held {
        let mut frames = Frames::connect(address).await.unwrap();
        let _ = frames.write(&bytes).await;
        note(&mut frames, name, stored, book).await;
    }
    deaf(address, stored, book).await;
    book.print_group();
}

/// A client that is told that its connection ends and goes on, request by request; it does not answer the ping that asks whether it has heard.
async fn deaf(address: &str, stored: &mut Stored<'_>, book: &mut Book) {
    let mut frames = Frames::connect(address).await.unwrap();
    let _ = frames.write(&[PREFACE, &frame(SETTINGS, 0, 0, &[]), &asked(0)].concat()).await;
    let until = Instant::now() + PATIENCE;
    // The host's settings come first, and the GOAWAY when the connection has been idle for long enough.
    while frames.next(until).await.is_some_and(|came| came.kind != GOAWAY) {}
    let (mut turn, mut closed) = (1, false);
    while !closed && Instant::now() < until {
        closed = frames.write(&asked(turn)).await.is_err()
            || frames.rest(Instant::now() + Duration::from_millis(500)).await.1;
        turn += 1;
    }
    let name = "requests after a GOAWAY, and no answer to a ping";
    record(name, told(&[], closed), closed, None, stored, book).await;
}

/// Hears what comes until the host closes, which it has to.
async fn note(frames: &mut Frames, name: &str, stored: &mut Stored<'_>, book: &mut Book) {
    let (came, closed) = frames.rest(Instant::now() + PATIENCE).await;
    record(name, told(&came, closed), closed, None, stored, book).await;
}

/// What came of a connection that has to be closed by now.
async fn record(
    name: &str,
    told: String,
    closed: bool,
    wrong: Option<String>,
    stored: &mut Stored<'_>,
    book: &mut Book,
) {
    let events = stored.new_bodies().await.len();
    let wrong = if events > 0 {
        Some(format!("{events} events are stored"))
    } else {
        (!closed).then(|| "the connection was left open".to_owned()).or(wrong)
    };
    book.note(name, told, true, wrong);
}
