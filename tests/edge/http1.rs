//! HTTP/1.1 that is wrong, or odd, or meant to be read in two ways: byte for byte, and what may come of it. After each case it is looked
//! at what the host has stored: what was refused left nothing, what was taken is there once, with the body that the specification gives it.

mod bodies;
mod heads;

use super::book::Book;
use super::stored::Stored;
use super::support::Host;
use super::wire::{Heard, exchange};

/// What may come of a case.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    /// Taken as this one event. What comes behind it in the same bytes is no event.
    Once(&'static str),
    /// Taken as so many events.
    Times(usize),
    /// Refused: one of these is the first answer, or the connection is closed without any.
    Refused(&'static [u16]),
    /// Either, as the specification leaves it open: one event with this body, or 400.
    OnceOrRefused(&'static str),
}

use Expected::{Once, OnceOrRefused, Refused, Times};

/// A case: what is sent, and what may come of it.
pub(crate) struct Case {
    pub(crate) name: String,
    bytes: Vec<u8>,
    expected: Expected,
}

const BAD: Expected = Refused(&[400]);

fn case(name: impl Into<String>, bytes: impl Into<Vec<u8>>, expected: Expected) -> Case {
    Case { name: name.into(), bytes: bytes.into(), expected }
}

/// A request with this target whose body is `{}`, and these headers besides.
fn request(line: &str, headers: &str) -> String {
    format!("{line}\r\nhost: edge\r\ncontent-length: 2\r\n{headers}\r\n{{}}")
}

/// A request to take an event, with these header lines, and what is behind the head.
fn post(headers: &str, rest: &str) -> String {
    format!("POST /in/acme/in HTTP/1.1\r\nhost: edge\r\n{headers}\r\n{rest}")
}

/// What somebody who smuggles wants to have understood as a request of its own.
fn smuggled() -> String {
    "POST /in/acme/in HTTP/1.1\r\nhost: edge\r\ncontent-length: 10\r\n\r\n\"smuggled\"".to_owned()
}

/// Every group of cases by its name.
pub(crate) fn groups() -> Vec<(&'static str, Vec<Case>)> {
    vec![
        ("length and coding", bodies::framing()),
        ("chunks", bodies::chunks()),
        ("header lines", heads::lines()),
        ("request line", heads::request_line()),
        ("targets", heads::targets()),
        ("hosts", heads::hosts()),
        ("sizes", bodies::sizes()),
        ("expectations and upgrades", expectations()),
        ("pipelines", pipelines()),
        ("cut at every byte", cut()),
    ]
}

fn expectations() -> Vec<Case> {
    let with = |line: &str, expected| {
        case(format!("`{}`", line.escape_debug()), post(&format!("{line}\r\ncontent-length: 2\r\n"), "{}"), expected)
    };
    vec![
        with("expect: 100-continue", Once("{}")),
        with("expect: 100-CONTINUE", Once("{}")),
        with("expect: 200-ok", Refused(&[417])),
        with("expect: 100-continue, 200-ok", Refused(&[417])),
        with("expect:", Refused(&[400, 417])),
        with("expect: 100-continue\r\nexpect: x", Refused(&[417])),
        case(
            "`expect` in HTTP/1.0",
            "POST /in/acme/in HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n{}",
            Once("{}"),
        ),
        case("`expect` and no body", post("expect: 100-continue\r\ncontent-length: 0\r\n", ""), Once("")),
        case(
            "`expect`, and too large",
            post("expect: 100-continue\r\ncontent-length: 99999999\r\n", ""),
            Refused(&[413]),
        ),
        with("upgrade: websocket\r\nconnection: upgrade", Once("{}")),
        with(
            "upgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\nconnection: upgrade, http2-settings",
            Once("{}"),
        ),
        with("upgrade: TLS/1.0\r\nconnection: upgrade", Once("{}")),
        with("connection: close", Once("{}")),
        with("connection: host, content-length", Once("{}")),
        with("keep-alive: timeout=99999999", Once("{}")),
    ]
}

fn pipelines() -> Vec<Case> {
    let good = post("content-length: 2\r\n", "{}");
    let bad = "POST /in/acme/in HTTP/1.1\r\nhost: edge\r\nx : y\r\n\r\n";
    vec![
        case("two good ones", good.repeat(2), Times(2)),
        case("fifty good ones", good.repeat(50), Times(50)),
        case("a bad one behind", format!("{good}{bad}"), Once("{}")),
        case("a bad one before", format!("{bad}{good}"), BAD),
        case(
            "one without host before",
            format!("POST /in/acme/in HTTP/1.1\r\ncontent-length: 2\r\n\r\n{{}}{good}"),
            BAD,
        ),
        case("one for nothing before", format!("{}{good}", request("POST /in/acme/other HTTP/1.1", "")), Times(1)),
        case(
            "`connection: close` before",
            format!("{}{good}", post("connection: close\r\ncontent-length: 2\r\n", "{}")),
            Once("{}"),
        ),
        case("half of one behind", format!("{good}{}", &good[..20]), Once("{}")),
    ]
}

fn cut() -> Vec<Case> {
    let mut cases = Vec::new();
    let length = post("content-length: 2\r\n", "{}");
    let chunked = post("transfer-encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n");
    for (name, whole) in [("length", length), ("chunks", chunked)] {
        for end in 0..whole.len() {
            cases.push(case(format!("{name}, after {end} bytes"), &whole.as_bytes()[..end], BAD));
        }
    }
    cases
}

/// Sends every case to `acme/in`.
pub(crate) async fn run(host: &Host, book: &mut Book) {
    let address = host.ingest_url.strip_prefix("http://").unwrap();
    let mut stored = Stored::of(host).await;
    for (name, cases) in groups() {
        book.group(name);
        // Hundreds of the same kind say nothing line by line.
        let shown = cases.len() < 70;
        for Case { name, bytes, expected } in cases {
            let heard = exchange(address, &bytes).await;
            let wrong = judge(&expected, &heard, &stored.new_bodies().await);
            book.case(&name, &heard.statuses(), shown, wrong);
        }
        book.print_group();
    }
}

/// What is wrong with what came of a case.
fn judge(expected: &Expected, heard: &Heard, stored: &[Vec<u8>]) -> Option<String> {
    let statuses = heard.statuses();
    let accepted = statuses.iter().filter(|status| **status == 202).count();
    if !heard.closed {
        return Some("the connection was left open".to_owned());
    }
    if accepted != stored.len() {
        return Some(format!("{accepted} were acknowledged, and {} are stored", stored.len()));
    }
    let once = |body: &str| accepted == 1 && stored[0] == body.as_bytes() && statuses[0] == 202;
    let refused = |among: &[u16]| {
        let fits = statuses.first().is_none_or(|status| among.contains(status));
        let taken = usize::from(among.contains(&202));
        fits && accepted <= taken
    };
    let fits = match expected {
        Once(body) => once(body),
        Times(count) => accepted == *count,
        Refused(among) => refused(among),
        OnceOrRefused(body) => once(body) || refused(&[400]),
    };
    let told: Vec<_> = stored.iter().map(|body| String::from_utf8_lossy(body)).collect();
    (!fits).then(|| format!("expected {expected:?}, stored {told:?}"))
}
