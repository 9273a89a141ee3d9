//! HTTP/2 that is wrong, or meant to cost: frames out of place, headers that no request has, floods. The host ends what is wrong, stores nothing
//! of it, and is there for the next one.

mod floods;

use super::book::Book;
use super::frames::{
    CONTINUATION, Came, DATA, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, PING, PREFACE, PRIORITY, PUSH_PROMISE,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, headers,
};
use super::stored::Stored;
use super::support::Host;
use std::time::Duration;
use tokio::time::Instant;

/// How long a case is waited for: longer than any bound of the host under test.
const PATIENCE: Duration = Duration::from_secs(15);
const ACK: u8 = 1;

/// What may come of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// One event.
    Taken,
    /// No event.
    Refused,
    /// One event or none: what is wrong comes behind it.
    Either,
}

use Expected::{Either, Refused, Taken};

/// The header list of a good request.
fn request() -> Vec<(&'static [u8], &'static [u8])> {
    vec![(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"edge"), (b":path", b"/in/acme/in")]
}

/// A request of this header list and body on stream 1.
fn sent(list: &[(&[u8], &[u8])], body: &[u8]) -> Vec<u8> {
    [frame(HEADERS, END_HEADERS, 1, &headers(list)), frame(DATA, END_STREAM, 1, body)].concat()
}

fn good() -> Vec<u8> {
    sent(&request(), b"{}")
}

/// A good request with headers besides.
fn with(more: &[(&'static [u8], &'static [u8])]) -> Vec<u8> {
    sent(&[&request()[..], more].concat(), b"{}")
}

/// A good request with another value, or none, for a pseudo-header.
fn instead(name: &'static [u8], value: Option<&'static [u8]>) -> Vec<u8> {
    let list = request().into_iter().filter_map(|(own, old)| match value {
        Some(value) if own == name => Some((own, value)),
        None if own == name => None,
        _ => Some((own, old)),
    });
    sent(&list.collect::<Vec<_>>(), b"{}")
}

/// What is sent behind the preface and empty settings.
fn cases() -> Vec<(&'static str, Vec<u8>, Expected)> {
    let block = headers(&request());
    let (first, second) = block.split_at(20);
    let opened = frame(HEADERS, END_HEADERS, 1, &block);
    let mut padded = vec![200];
    padded.extend(&block);
    let behind = [&request()[..], &[(b"x", b"y"), (b":path", b"/")]].concat();
    vec![
        ("a request", good(), Taken),
        (
            "a request in three frames",
            [
                frame(HEADERS, 0, 1, first),
                frame(CONTINUATION, END_HEADERS, 1, second),
                frame(DATA, END_STREAM, 1, b"{}"),
            ]
            .concat(),
            Taken,
        ),
        ("a request with padding", [opened.clone(), frame(DATA, END_STREAM | 8, 1, b"\x03{}\0\0\0")].concat(), Taken),
        ("a frame of an unknown kind", [frame(99, 0, 1, b"?"), good()].concat(), Taken),
        ("a setting of an unknown kind", [frame(SETTINGS, 0, 0, &[0, 99, 0, 0, 0, 1]), good()].concat(), Taken),
        (
            "trailers",
            [
                opened.clone(),
                frame(DATA, 0, 1, b"{}"),
                frame(HEADERS, END_HEADERS | END_STREAM, 1, &headers(&[(b"x", b"y")])),
            ]
            .concat(),
            Taken,
        ),
        ("HEADERS on stream 0", frame(HEADERS, END_HEADERS, 0, &block), Refused),
        ("HEADERS on an even stream", frame(HEADERS, END_HEADERS | END_STREAM, 2, &block), Refused),
        (
            "HEADERS on an earlier stream",
            [frame(HEADERS, END_HEADERS, 3, &block), frame(HEADERS, END_HEADERS, 1, &block)].concat(),
            Refused,
        ),
        ("padding longer than the frame", frame(HEADERS, END_HEADERS | END_STREAM | 8, 1, &padded), Refused),
        ("DATA on stream 0", frame(DATA, END_STREAM, 0, b"{}"), Refused),
        ("DATA on an idle stream", frame(DATA, END_STREAM, 1, b"{}"), Refused),
        ("CONTINUATION of nothing", frame(CONTINUATION, END_HEADERS, 1, &block), Refused),
        ("another frame amid headers", [frame(HEADERS, 0, 1, first), frame(PING, 0, 0, &[0; 8])].concat(), Refused),
        (
            "CONTINUATION on another stream",
            [frame(HEADERS, 0, 1, first), frame(CONTINUATION, END_HEADERS, 3, second)].concat(),
            Refused,
        ),
        ("a frame beyond the largest", frame(DATA, 0, 1, &[0; 16_385]), Refused),
        ("half a frame", opened[..opened.len() - 5].to_vec(), Refused),
        ("SETTINGS of 5 bytes", frame(SETTINGS, 0, 0, &[0; 5]), Refused),
        ("SETTINGS on stream 1", frame(SETTINGS, 0, 1, &[]), Refused),
        ("SETTINGS that acknowledge with a payload", frame(SETTINGS, ACK, 0, &[0; 6]), Refused),
        ("SETTINGS with a window beyond 2^31-1", frame(SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0]), Refused),
        ("SETTINGS with frames beyond the largest", frame(SETTINGS, 0, 0, &[0, 5, 0xff, 0xff, 0xff, 0xff]), Refused),
        ("SETTINGS that push with 2", frame(SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 2]), Refused),
        ("PING of 7 bytes", frame(PING, 0, 0, &[0; 7]), Refused),
        ("PING on stream 1", frame(PING, 0, 1, &[0; 8]), Refused),
        ("WINDOW_UPDATE of 0", frame(WINDOW_UPDATE, 0, 0, &[0; 4]), Refused),
        (
            "WINDOW_UPDATE beyond 2^31-1",
            [frame(WINDOW_UPDATE, 0, 0, &[0x7f, 255, 255, 255]), frame(WINDOW_UPDATE, 0, 0, &[0x7f, 255, 255, 255])]
                .concat(),
            Refused,
        ),
        ("WINDOW_UPDATE of 3 bytes", frame(WINDOW_UPDATE, 0, 0, &[0; 3]), Refused),
        ("WINDOW_UPDATE on an idle stream", frame(WINDOW_UPDATE, 0, 9, &[0, 0, 0, 1]), Refused),
        ("RST_STREAM on an idle stream", frame(RST_STREAM, 0, 9, &[0, 0, 0, 8]), Refused),
        ("RST_STREAM on stream 0", frame(RST_STREAM, 0, 0, &[0, 0, 0, 8]), Refused),
        ("RST_STREAM of 3 bytes", [opened.clone(), frame(RST_STREAM, 0, 1, &[0; 3])].concat(), Refused),
        ("PRIORITY on stream 0", frame(PRIORITY, 0, 0, &[0; 5]), Refused),
        ("PUSH_PROMISE of a client", frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]), Refused),
        ("GOAWAY on stream 1", frame(GOAWAY, 0, 1, &[0; 8]), Refused),
        ("GOAWAY of 3 bytes", frame(GOAWAY, 0, 0, &[0; 3]), Refused),
        ("headers: index 0", frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x80]), Refused),
        (
            "headers: an index beyond the table",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff, 0xff, 0xff, 0x0f]),
            Refused,
        ),
        ("headers: a number without end", frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff; 100]), Refused),
        (
            "headers: a length beyond the frame",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0, 0x7f, 0xff, 0x7f]),
            Refused,
        ),
        (
            "headers: Huffman code of the end",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0, 0x84, 255, 255, 255, 255, 0]),
            Refused,
        ),
        (
            "headers: a table larger than allowed",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x3f, 0xff, 0xff, 0xff, 0x0f]),
            Refused,
        ),
        ("an upper-case name", with(&[(b"X", b"y")]), Refused),
        ("an empty name", with(&[(b"", b"y")]), Refused),
        ("CR LF in a value", with(&[(b"x", b"y\r\ntransfer-encoding: chunked")]), Refused),
        ("NUL in a value", with(&[(b"x", b"a\0b")]), Refused),
        ("a colon in a name", with(&[(b"x:y", b"z")]), Refused),
        ("`connection`", with(&[(b"connection", b"close")]), Refused),
        ("`transfer-encoding`", with(&[(b"transfer-encoding", b"chunked")]), Refused),
        ("`upgrade`", with(&[(b"upgrade", b"websocket")]), Refused),
        ("`te: gzip`", with(&[(b"te", b"gzip")]), Refused),
        ("`te: trailers`", with(&[(b"te", b"trailers")]), Taken),
        ("`content-length` of less", with(&[(b"content-length", b"1")]), Refused),
        ("`content-length` of more", with(&[(b"content-length", b"3")]), Refused),
        ("`content-length` twice", with(&[(b"content-length", b"2"), (b"content-length", b"3")]), Refused),
        ("`host`, the same", with(&[(b"host", b"edge")]), Taken),
        ("`host`, another", with(&[(b"host", b"other")]), Refused),
        ("`host`, twice", with(&[(b"host", b"edge"), (b"host", b"edge")]), Refused),
        ("an expectation", with(&[(b"expect", b"200-ok")]), Refused),
        ("no `:method`", instead(b":method", None), Refused),
        ("no `:scheme`", instead(b":scheme", None), Refused),
        ("no `:path`", instead(b":path", None), Refused),
        ("no `:authority`", instead(b":authority", None), Refused),
        ("an empty `:path`", instead(b":path", Some(b"")), Refused),
        ("a `:path` with a space", instead(b":path", Some(b"/in/acme/in HTTP/1.1")), Refused),
        ("a `:path` without its first slash", instead(b":path", Some(b"in/acme/in")), Refused),
        ("a `:path` that is a URL", instead(b":path", Some(b"http://edge/in/acme/in")), Refused),
        ("an `:authority` with a user", instead(b":authority", Some(b"me@edge")), Refused),
        ("an `:authority` with CR LF", instead(b":authority", Some(b"edge\r\nx: y")), Refused),
        ("a `:method` with a space", instead(b":method", Some(b"POST /")), Refused),
        ("a `:scheme` that is none", instead(b":scheme", Some(b"a b")), Refused),
        ("a pseudo-header twice", with(&[(b":path", b"/in/acme/in")]), Refused),
        ("a pseudo-header of answers", with(&[(b":status", b"200")]), Refused),
        ("a pseudo-header behind others", sent(&behind, b"{}"), Refused),
        ("an unknown pseudo-header", with(&[(b":x", b"y")]), Refused),
        ("CONNECT", sent(&[(b":method", b"CONNECT"), (b":authority", b"edge:443")], b""), Refused),
        (
            "the CONNECT of WebSockets",
            sent(&[&request()[1..], &[(b":method", b"CONNECT"), (b":protocol", b"websocket")]].concat(), b""),
            Refused,
        ),
        // The parser leaves it out, and nobody reads trailers.
        (
            "a pseudo-header in trailers",
            [
                opened.clone(),
                frame(DATA, 0, 1, b"{}"),
                frame(HEADERS, END_HEADERS | END_STREAM, 1, &headers(&[(b":path", b"/")])),
            ]
            .concat(),
            Either,
        ),
        ("DATA behind the end", [good(), frame(DATA, END_STREAM, 1, b"{}")].concat(), Either),
    ]
}

/// Sends the wrong ones one by one, and then the floods.
pub(crate) async fn run(host: &Host, book: &mut Book) {
    let address = host.ingest_url.strip_prefix("http://").unwrap();
    let mut stored = Stored::of(host).await;
    book.group("HTTP/2: frames and headers");
    for (name, bytes, expected) in cases() {
        let mut frames = Frames::connect(address).await.unwrap();
        let began = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
        let _ = frames.write(&[&began[..], &bytes].concat()).await;
        let told = settle(&mut frames, expected).await;
        let events = stored.new_bodies().await.len();
        let fits = match expected {
            Taken => events == 1,
            Refused => events == 0,
            Either => events < 2,
        };
        let wrong = (!fits).then(|| format!("expected {expected:?}, and {events} events are stored"));
        book.note(name, told, true, wrong);
    }
    for (name, preface) in [("a preface cut short", &PREFACE[..20]), ("no preface", &frame(SETTINGS, 0, 0, &[])[..])] {
        let mut frames = Frames::connect(address).await.unwrap();
        let _ = frames.write(preface).await;
        let told = settle(&mut frames, Refused).await;
        book.note(name, told, true, None);
    }
    book.print_group();
    floods::run(address, &mut stored, book).await;
}

/// How long an answer to what is wrong is waited for, before this side says that it is done.
const ANSWER_PATIENCE: Duration = Duration::from_secs(1);

/// Hears what comes of a case: up to its answer where there is one, then what is left when this side writes no more.
async fn settle(frames: &mut Frames, expected: Expected) -> String {
    let until = Instant::now() + PATIENCE;
    let answered = if expected == Taken { until } else { Instant::now() + ANSWER_PATIENCE };
    let mut came = Vec::new();
    while let Some(next) = frames.next(answered).await {
        let last = next.stream == 1 && matches!(next.kind, HEADERS | RST_STREAM) || next.kind == GOAWAY;
        came.push(next);
        if last {
            break;
        }
    }
    frames.finish().await;
    let (rest, closed) = frames.rest(until).await;
    came.extend(rest);
    told(&came, closed)
}

/// The frames that say something.
fn told(came: &[Came], closed: bool) -> String {
    let telling = came.iter().filter(|came| !matches!(came.kind, SETTINGS | WINDOW_UPDATE | PING | DATA));
    let mut words: Vec<String> = telling.map(Came::told).collect();
    words.dedup();
    words.truncate(4);
    words.push(if closed { "closed" } else { "LEFT OPEN" }.to_owned());
    words.join(", ")
}
