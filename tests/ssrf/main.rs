//! `make ssrf`: a real host, a tenant who wants it to connect to where it must not, and canaries that listen there.
//!
//! Each case is a URL, a redirect or a name, given to the host in one of the ways that a tenant has; the host then sends. It has to refuse in the way that is expected,
//! and no canary may have heard of it. What is in no case, but shows that the cases could fail: the receiver that may be reached is; so are public
//! addresses, where every address can be watched; and a host that allows everything reaches the canaries by the very same URLs.
//!
//! Nothing leaves the machine: where the network is not our own (`world`), only what is on loopback is tried by the host that allows everything.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a suite that cannot go on says why by a panic"
)]

mod canary;
mod cases;
mod dns;
mod drive;
mod ground;
mod rebinding;
mod redirects;
mod spellings;
#[path = "../it/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
mod support;
mod world;

use cases::{Case, Fate, Way};
use drive::{Endpoint, Verdict, attempts, try_case};
use ground::{Ground, Resolver};
use std::net::SocketAddr;
use std::process::ExitCode;
use support::Host;
use world::World;

fn main() -> ExitCode {
    match world::enter() {
        Err(ended) => ended,
        Ok(world) => tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(run(world)),
    }
}

async fn run(world: World) -> ExitCode {
    println!("in {}", world.says());
    if std::net::TcpListener::bind("127.0.0.2:0").is_err() {
        println!(
            "ssrf: skipped: it takes a loopback with all of 127.0.0.0/8, as Linux has it, and this one has no 127.0.0.2"
        );
        return ExitCode::SUCCESS;
    }
    let mut ground = Ground::open(world).await;
    println!("canaries listen at {} addresses and ports", ground.canary.len());
    let mut tally = Tally::default();
    tally.all(&mut ground, Resolver::Servers).await;
    if world == World::Everywhere {
        tally.all(&mut ground, Resolver::System).await;
    }
    let controls = Controls::of(&mut ground, world).await;
    println!("controls: {}", controls.shown);
    for wrong in tally.wrong.iter().chain(&controls.wrong) {
        println!("WRONG: {wrong}");
    }
    println!("ssrf: cases={} reached={}", tally.cases, tally.reached);
    let right = tally.wrong.is_empty() && controls.wrong.is_empty() && tally.reached == 0;
    if right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What came of the cases.
#[derive(Default)]
struct Tally {
    cases: usize,
    reached: usize,
    wrong: Vec<String>,
}

impl Tally {
    /// Tries everything with a host that looks names up in this way.
    async fn all(&mut self, ground: &mut Ground, resolver: Resolver) {
        println!("a host whose names are looked up by {resolver:?}:");
        let host = ground.host(&ground.allowed(), resolver).await;
        for case in cases::cases() {
            let verdict = try_case(&host, ground, &case, self.cases).await;
            self.tell(format!("{} {}", case.way.name(), case.url), verdict, ground.canary.reached().await);
        }
        for redirect in redirects::redirects() {
            let verdict = redirect.attempt(&host, ground, self.cases).await;
            self.tell(redirect.what(), verdict, ground.canary.reached().await);
        }
        for rebinding in rebinding::rebindings() {
            let verdict = rebinding.attempt(&host, ground, self.cases).await;
            self.tell(rebinding.what.to_owned(), verdict, ground.canary.reached().await);
        }
    }

    fn tell(&mut self, what: String, verdict: Verdict, reached: Vec<SocketAddr>) {
        self.cases += 1;
        self.reached += reached.len();
        let what = what.escape_debug();
        let (shown, is_right) = match verdict {
            Ok(shown) => (shown, reached.is_empty()),
            Err(wrong) => (wrong, false),
        };
        println!("  {what:58} {shown}");
        if !is_right {
            self.wrong.push(format!("{what}: {shown}; reached {reached:?}"));
        }
    }
}

/// What shows that the cases could fail.
struct Controls {
    shown: String,
    wrong: Vec<String>,
}

impl Controls {
    async fn of(ground: &mut Ground, world: World) -> Self {
        let mut wrong = Vec::new();
        let host = ground.host(&ground.allowed(), Resolver::Servers).await;
        let allowed = format!("http://{}/", ground.receiver.address);
        ground.dns.name("good.example", &["127.0.0.2"]);
        for url in [allowed.as_str(), "http://good.example:{q}/"] {
            let case = Case { way: Way::Delivery, url: url.to_owned(), fate: Fate::Delivered };
            wrong.extend(try_case(&host, ground, &case, 0).await.err());
        }
        let mut shown = "the receiver that may be reached was".to_owned();
        if world == World::Everywhere {
            let (reached, missed) = Self::public(&host, ground).await;
            shown = format!("{shown}; of public addresses {reached}");
            wrong.extend(missed);
        }
        let (reached, tried, missed) = Self::unguarded(ground, world).await;
        wrong.extend(missed);
        shown = format!("{shown}; of {tried} URLs above, {reached} lead a host that allows everything to a canary");
        Self { shown, wrong }
    }

    /// Public addresses are reached by the host that refuses the others.
    async fn public(host: &Host, ground: &mut Ground) -> (usize, Vec<String>) {
        let (four, six) = ("93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946");
        ground.dns.turns("public.example", &[&[four], &["127.0.0.1"]]);
        let urls = [
            (format!("http://{four}:{{p}}/"), four),
            (format!("http://{four}/"), four),
            (format!("http://[{six}]:{{p}}/"), six),
            ("http://public.example:{p}/".to_owned(), four),
        ];
        let mut missed = Vec::new();
        for (url, address) in &urls {
            let endpoint = Endpoint::put(host, ground, Way::Delivery, &ground.url(url, host), 0).await.unwrap();
            attempts(host, &endpoint.send(host).await, 1).await;
            let reached = ground.canary.reached().await;
            if reached.is_empty() || reached.iter().any(|at| at.ip().to_string() != *address) {
                missed.push(format!("{url} was to reach {address}, and reached {reached:?}"));
            }
        }
        (urls.len() - missed.len(), missed)
    }

    /// How many of the cases that are refused for an address get through to a host that allows every address, of how many that are tried.
    async fn unguarded(ground: &mut Ground, world: World) -> (usize, usize, Vec<String>) {
        let host = ground.host("[\"0.0.0.0/0\", \"[::/0]\"]", Resolver::Servers).await;
        let (mut reached, mut tried, mut missed) = (0, 0, Vec::new());
        for (number, case) in cases::cases().into_iter().enumerate() {
            let Fate::Attempt(_, why) = case.fate else { continue };
            let is_loopback = why == cases::LOOPBACK;
            let to_a_canary = is_loopback && case.url.contains("{p}");
            if world == World::Loopback && !is_loopback || case.url.contains("{admin}") || case.url.contains("{ingest}")
            {
                continue;
            }
            tried += 1;
            let url = ground.url(&case.url, &host);
            let endpoint = Endpoint::put(&host, ground, case.way, &url, number).await.unwrap();
            attempts(&host, &endpoint.send(&host).await, 1).await;
            let heard = !ground.canary.reached().await.is_empty();
            reached += usize::from(heard);
            if to_a_canary && !heard && !case.url.contains("127.0.0.2") {
                missed.push(format!("{} reaches no canary though everything is allowed", case.url));
            }
        }
        (reached, tried, missed)
    }
}
