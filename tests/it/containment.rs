//! Every hostile guest of `tests/hostile`, tried on a runtime in this process: refused, stopped or harmless, as its fate says. And in a
//! real host, that whoever burns processors does so without the others.

use super::hostile::{Fate, Hostile, all, flipped, good, truncated};
use super::hostile_call;
use super::support::{Host, Receiver};
use bytes::Bytes;
use hookswitch::runtime::{CallError, Config, Module, Runtime, Verdict};
use http::Method;
use serde_json::json;
use std::time::Duration;

/// How many times bits are flipped. `make hostile` uploads some of them to a real host.
const FLIPS: usize = 3000;

/// A runtime whose calls have time enough on a busy machine to do their own kind of wrong.
fn runtime() -> Runtime {
    Runtime::start(Config { threads: 1, max_time_ms: 10_000, ..Config::default() }).unwrap()
}

fn call(module: &Module, time: Duration) -> Result<Verdict, CallError> {
    hostile_call::call(module, &Bytes::from_static(b"{}"), time)
}

/// Those that loop for ever are stopped soon; all others have all the time there is.
fn time_for(code: &str) -> Duration {
    if code == "time_limit" { Duration::from_millis(20) } else { Duration::from_secs(10) }
}

/// What became of it; an error where it met another fate.
fn check(runtime: &Runtime, Hostile { name, upload, fate }: Hostile) -> Result<(), String> {
    let taken = runtime.compile(&upload).map_err(|error| (error.code(), error.to_string()));
    let (code, text) = match (fate, taken) {
        (Fate::Refused(..), Err(refused)) => refused,
        (Fate::Refused(..), Ok(_)) => return Err(format!("{name} was taken")),
        (_, Err((code, text))) => return Err(format!("{name} was refused, {code}: {text}")),
        (Fate::Harmless, Ok(module)) => {
            return call(&module, time_for("")).map(drop).map_err(|error| format!("{name}: {error}"));
        }
        (Fate::NoRoute(code, _) | Fate::Stopped(code, _), Ok(module)) => match call(&module, time_for(code)) {
            Ok(verdict) => return Err(format!("{name} ended well: {verdict:?}")),
            Err(error) => (error.code(), error.to_string()),
        },
    };
    let (Fate::Refused(expected, says) | Fate::NoRoute(expected, says) | Fate::Stopped(expected, says)) = fate else {
        return Ok(());
    };
    if code == expected && text.contains(says) {
        Ok(())
    } else {
        Err(format!("{name}: {code}, not {expected}: {text}"))
    }
}

#[test]
fn every_hostile_guest_meets_its_fate_and_the_runtime_goes_on() {
    let runtime = runtime();
    let good = runtime.compile(&good()).unwrap();
    let guests = all(false);
    let names: std::collections::BTreeSet<_> = guests.iter().map(|guest| guest.name).collect();
    assert!(names.len() == guests.len() && guests.len() >= 40, "{} guests, {} names", guests.len(), names.len());
    let mut wrong = Vec::new();
    for guest in guests {
        let name = guest.name;
        wrong.extend(check(&runtime, guest).err());
        assert_eq!(call(&good, time_for("")), Ok(Verdict::Reject("not main".into())), "after {name}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_module_cut_off_at_a_section_is_refused_or_whole() {
    let runtime = runtime();
    let (mut whole, mut refused) = (0, 0);
    for upload in truncated() {
        match runtime.compile(&upload) {
            // What was cut off were names for people.
            Ok(module) => {
                whole += 1;
                assert_eq!(
                    call(&module, time_for("")),
                    Ok(Verdict::Reject("not main".into())),
                    "{} bytes",
                    upload.len()
                );
            }
            Err(_) => refused += 1,
        }
    }
    assert!(whole < 5 && refused > 60, "{whole} whole, {refused} refused");
}

#[test]
fn no_flipped_bit_hurts_the_host() {
    let runtime = runtime();
    let (mut taken, mut refused) = (0, 0);
    for upload in flipped(FLIPS) {
        match runtime.compile(&upload) {
            // Whatever it does now, it does it within its bounds.
            Ok(module) => {
                taken += 1;
                drop(call(&module, Duration::from_millis(5)));
            }
            Err(_) => refused += 1,
        }
    }
    assert!(taken > FLIPS / 60 && refused > FLIPS / 12, "both happened: {taken} taken, {refused} refused");
}

/// Loops for all the time a call may have, which is longer than this test waits for anything.
#[tokio::test]
async fn a_tenant_whose_modules_burn_processors_slows_itself_only() {
    let settings =
        "runtime.threads = 2\nruntime.queue_max = 8\nruntime.max_time_ms = 60000\npipeline.run_time_max_ms = 300000\n";
    let (host, receiver) = (Host::start_with(settings).await, Receiver::start().await);
    host.acme(&receiver.url("/out")).await;
    host.upload("match").await;
    host.route("all", json!([{ "module": "operator/match", "settings": { "pointer": "/n", "gte": 0 } }])).await;
    let endless = all(false).into_iter().find(|guest| guest.name == "loop-in-export").unwrap();
    host.put("/v1/tenants/mallory", &json!({})).await;
    host.put("/v1/tenants/mallory/sources/in", &json!({ "verify": { "scheme": "none" } })).await;
    host.put("/v1/tenants/mallory/endpoints/out", &json!({ "url": receiver.url("/never"), "secrets": [] })).await;
    assert_eq!(host.admin.put_bytes("/v1/tenants/mallory/modules/endless", endless.upload).await.status, 201);
    let route = json!({ "source": "in", "steps": [{ "module": "endless" }], "to": { "endpoints": ["out"] } });
    host.put("/v1/tenants/mallory/routes/all", &route).await;

    // Many more than there are threads, and places in the queue: all are taken, and wait.
    let mut first = None;
    for _ in 0..20 {
        let taken = host.ingest.send(Method::POST, "/in/mallory/in", &[], "{}").await.expect(202);
        first.get_or_insert(taken["id"].as_str().unwrap().to_owned());
    }
    for n in 0..20 {
        host.event("push", json!({ "n": n }).to_string()).await;
        assert_eq!(receiver.next().await.json()["n"], n);
        assert_eq!(host.admin.get("/healthz").await.status, 200);
    }
    let path = format!("/v1/tenants/mallory/events/{}", first.unwrap());
    assert_eq!(host.admin.get(&path).await.expect(200)["runs"][0]["status"], "pending", "it still loops");
}
