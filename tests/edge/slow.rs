//! A thousand connections that are slow on purpose, while healthy clients send events at a steady rate: how long these take, with the slow
//! ones and without, by turns.

use super::book::Book;
use super::support::{Host, OPERATOR_KEY};
use super::wire::{connect_from, hear_one};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// How many connections are slow: heads and bodies that come byte by byte, idle ones, and readers that take nothing.
const SLOW: [(Kind, usize); 4] = [(Kind::Head, 350), (Kind::Body, 350), (Kind::Idle, 290), (Kind::Reader, 10)];
/// The first ones come within this time, so that they are not all ended at the same moment, for ever.
const SPREAD: Duration = Duration::from_secs(3);
/// Between two bytes of a slow one.
const DRIP: Duration = Duration::from_millis(500);
/// How long a connection that was ended waits before the next one.
const REST: Duration = Duration::from_millis(200);
/// What a slow reader asks for: more than the kernel keeps for it.
const BODY_BYTES: usize = 6 << 20;
const HEALTHY: usize = 8;
/// What a healthy client sends, in one piece.
const EVENT: &[u8] = b"POST /in/acme/in HTTP/1.1\r\nhost: edge\r\ncontent-length: 7\r\n\r\n{\"n\":1}";
/// Between two events of a healthy client.
const PACE: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Head,
    Body,
    Idle,
    Reader,
}

/// Where the slow ones connect.
struct Targets {
    ingest: String,
    admin: String,
    event: String,
    /// How often the host ended one of each kind.
    ended: [AtomicUsize; 4],
    open: AtomicUsize,
}

/// Measures in turns of this length, and gives the ratio of the 99th percentiles.
pub(crate) async fn run(host: &Host, turn: Duration, turns: usize, book: &mut Book) -> f64 {
    book.group("slow connections");
    let event = host.event("large", vec![b'x'; BODY_BYTES]).await;
    let strip = |url: &str| url.strip_prefix("http://").unwrap().to_owned();
    let targets = Arc::new(Targets {
        ingest: strip(&host.ingest_url),
        admin: strip(&host.admin_url),
        event,
        ended: Default::default(),
        open: AtomicUsize::new(0),
    });
    let (mut quiet, mut attacked) = (Vec::new(), Vec::new());
    healthy(host, turn / 4).await;
    for _ in 0..turns {
        quiet.extend(healthy(host, turn).await);
        let attack = attack(&targets);
        // All of them are there when the measuring begins.
        for _ in 0..100 {
            if targets.open.load(Ordering::Relaxed) * 10 >= total() * 9 {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
        let open = targets.open.load(Ordering::Relaxed);
        let wrong = (open * 10 < total() * 9).then(|| "too few of the slow ones are open".to_owned());
        book.note("slow connections open at once", format!("{}", open.min(total())), true, wrong);
        attacked.extend(healthy(host, turn).await);
        drop(attack);
    }
    for ((kind, _), ended) in SLOW.iter().zip(&targets.ended) {
        let ended = ended.load(Ordering::Relaxed);
        let wrong = (ended == 0 && turn > Duration::from_secs(4)).then(|| "none was ended by the host".to_owned());
        book.note(&format!("{kind:?}: ended by the host"), format!("{ended} times"), true, wrong);
    }
    let sent = quiet.len() + attacked.len();
    let failed = quiet.iter().chain(&attacked).filter(|sample| sample.is_none()).count();
    let wrong = (failed > 0).then(|| format!("{failed} of {sent} events of healthy clients were not taken"));
    book.note("events of healthy clients that were not taken", failed.to_string(), true, wrong);
    book.print_group();
    let (quiet, attacked) = (p99(quiet), p99(attacked));
    println!("healthy clients: p99 {quiet:.2} ms alone, {attacked:.2} ms beside {} slow connections", total());
    attacked / quiet
}

fn total() -> usize {
    SLOW.iter().map(|(_, count)| count).sum()
}

/// Opens all the slow connections, and again those that are ended, until the set is dropped.
fn attack(targets: &Arc<Targets>) -> JoinSet<()> {
    targets.open.store(0, Ordering::Relaxed);
    let mut all = JoinSet::new();
    for (place, (kind, count)) in SLOW.into_iter().enumerate() {
        for number in 0..count {
            let targets = targets.clone();
            // Eight addresses, so that none has more than its share.
            let from = [127, 0, 1, u8::try_from(number % 8).unwrap() + 1];
            all.spawn(async move {
                sleep(SPREAD * u32::try_from(number).unwrap() / u32::try_from(count).unwrap()).await;
                loop {
                    if let Ok(stream) =
                        connect_from(if kind == Kind::Reader { &targets.admin } else { &targets.ingest }, from).await
                    {
                        targets.open.fetch_add(1, Ordering::Relaxed);
                        one(kind, stream, &targets.event).await;
                        targets.open.fetch_sub(1, Ordering::Relaxed);
                        targets.ended[place].fetch_add(1, Ordering::Relaxed);
                    }
                    sleep(REST).await;
                }
            });
        }
    }
    all
}

/// One slow connection, until the host ends it.
async fn one(kind: Kind, mut stream: TcpStream, event: &str) {
    let begun = match kind {
        Kind::Head => "POST /in/acme/in HTTP/1.1\r\nhost: edge\r\nx: ".to_owned(),
        Kind::Body => "POST /in/acme/in HTTP/1.1\r\nhost: edge\r\ncontent-length: 100000\r\n\r\n".to_owned(),
        Kind::Idle => String::new(),
        Kind::Reader => {
            let path = format!("/v1/tenants/acme/events/{event}/body");
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {OPERATOR_KEY}\r\n\r\n")
        }
    };
    if stream.write_all(begun.as_bytes()).await.is_err() {
        return;
    }
    match kind {
        Kind::Head | Kind::Body => {
            let (mut read, mut write) = stream.split();
            let mut answer = [0; 512];
            loop {
                tokio::select! {
                    // An answer is as good as the end: nobody wants the rest.
                    _ = read.read(&mut answer) => return,
                    () = sleep(DRIP) => if write.write_all(b"x").await.is_err() { return },
                }
            }
        }
        Kind::Idle => {
            let _ = stream.read(&mut [0; 1]).await;
        }
        Kind::Reader => {
            // One byte at a time, far slower than it comes; a reset is seen all the same.
            loop {
                sleep(DRIP).await;
                match stream.read(&mut [0; 1]).await {
                    Ok(1..) => {}
                    _ => return,
                }
                if is_over(&stream) {
                    return;
                }
            }
        }
    }
}

/// Whether the host has closed its side, though there are bytes left to read.
fn is_over(stream: &TcpStream) -> bool {
    // A byte more is refused by a socket that is gone. It belongs to no request: the one that was sent is whole.
    matches!(stream.try_write(b"\r"), Err(error) if error.kind() != std::io::ErrorKind::WouldBlock)
}

/// How long each event of the healthy clients took, in milliseconds; none where it was not taken.
async fn healthy(host: &Host, time: Duration) -> Vec<Option<f64>> {
    let end = Instant::now() + time;
    let mut clients = JoinSet::new();
    for _ in 0..HEALTHY {
        let address = host.ingest_url.strip_prefix("http://").unwrap().to_owned();
        clients.spawn(async move {
            let mut stream = connect_from(&address, [127, 0, 0, 1]).await.unwrap();
            let mut pace = interval(PACE);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut took = Vec::new();
            while Instant::now() < end {
                pace.tick().await;
                let began = Instant::now();
                let taken = stream.write_all(EVENT).await.is_ok()
                    && hear_one(&mut stream).await.is_some_and(|answer| answer.status == 202);
                took.push(taken.then(|| began.elapsed().as_secs_f64() * 1000.0));
            }
            took
        });
    }
    clients.join_all().await.concat()
}

fn p99(samples: Vec<Option<f64>>) -> f64 {
    let mut taken: Vec<f64> = samples.into_iter().flatten().collect();
    taken.sort_by(f64::total_cmp);
    taken[taken.len() * 99 / 100]
}
