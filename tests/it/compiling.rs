//! How uploads are compiled: in processes that are bounded and have nothing in reach, once, and kept through crashes and restarts.

use super::support::{Client, Host, Receiver, guest, hookswitch, slow_filter, small_filter, until};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const MODULE: &str = "/v1/tenants/acme/modules/m";

async fn acme(more: &str) -> (Host, Receiver) {
    let (host, receiver) = (Host::start_with(more).await, Receiver::start().await);
    host.acme(&receiver.url("/out")).await;
    (host, receiver)
}

async fn upload(admin: &Client, module: &str, wasm: Vec<u8>) {
    let answer = admin.put_bytes(&format!("/v1/tenants/acme/modules/{module}"), wasm).await;
    assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
}

/// Uploads without waiting for what comes of it.
async fn hand_in(host: &Host, path: &str, wasm: Vec<u8>) -> Value {
    let handed_in = host.admin.put_bytes(&format!("{path}?wait=false"), wasm).await.expect(202);
    assert_eq!(handed_in["state"], "compiling");
    handed_in
}

async fn module_with(host: &Host, path: &str, state: &str) -> Value {
    until(&format!("{path} to be {state}"), || async {
        let module = host.admin.get(path).await.expect(200);
        (module["state"] == state).then_some(module)
    })
    .await
}

async fn report(host: &Host) -> Value {
    host.admin.get("/v1/operator/library").await.expect(200)
}

/// The compiled files.
fn compiled(host: &Host) -> Vec<PathBuf> {
    std::fs::read_dir(host.data().join("compiled")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn an_upload_that_nobody_waits_for_tells_what_became_of_it() {
    let (host, receiver) = acme("").await;
    let handed_in = hand_in(&host, MODULE, guest("ten-lines")).await;
    let ready = module_with(&host, MODULE, "ready").await;
    assert_eq!((&ready["digest"], &ready["world"]), (&handed_in["upload"]["digest"], &json!("transform")));
    assert_eq!(ready["upload"], Value::Null);
    host.route("r", json!([{ "module": "m" }])).await;
    host.event("push", r#"{"sender":{"login":"octocat"}}"#).await;
    assert_eq!(receiver.next().await.json()["summary"], "push by octocat");

    // A refusal leaves the version that is there, and is told beside it.
    hand_in(&host, MODULE, b"no module".to_vec()).await;
    let refused = module_with(&host, MODULE, "refused").await;
    assert_eq!((&refused["digest"], &refused["upload"]["code"]), (&ready["digest"], &json!("module_not_wasm")));
    assert!(refused["upload"]["detail"].as_str().unwrap().contains("begins with"), "{refused}");
    host.admin.put_bytes(MODULE, guest("ten-lines")).await.expect(200);
    assert_eq!(host.admin.get(MODULE).await.expect(200)["state"], "ready");

    // A module that was never good is shown too, until it is removed.
    hand_in(&host, "/v1/tenants/acme/modules/bad", b"no module".to_vec()).await;
    module_with(&host, "/v1/tenants/acme/modules/bad", "refused").await;
    let list = host.admin.get("/v1/tenants/acme/modules").await.expect(200);
    let states: Vec<_> = list["items"].as_array().unwrap().iter().map(|m| (&m["name"], &m["state"])).collect();
    assert_eq!(states, [(&json!("bad"), &json!("refused")), (&json!("m"), &json!("ready"))]);
    assert_eq!(host.admin.delete("/v1/tenants/acme/modules/bad").await.status, 204);
    assert_eq!(host.admin.get("/v1/tenants/acme/modules/bad").await.status, 404);
    assert_eq!(std::fs::read_dir(host.data().join("uploads")).unwrap().count(), 0, "nothing waits any more");
}

#[tokio::test]
async fn an_upload_that_was_acknowledged_survives_a_kill() {
    let (mut host, _receiver) = acme("").await;
    let handed_in = hand_in(&host, MODULE, slow_filter(8)).await;
    assert_eq!(host.admin.get(MODULE).await.expect(200)["state"], "compiling", "the kill comes in between");
    host.kill().await;
    host.start_again().await;
    let ready = module_with(&host, MODULE, "ready").await;
    assert_eq!(ready["digest"], handed_in["upload"]["digest"]);
}

#[tokio::test]
async fn the_upload_that_came_last_is_the_version_that_stays() {
    let (host, _receiver) = acme("").await;
    hand_in(&host, MODULE, slow_filter(2)).await;
    let last = hand_in(&host, MODULE, small_filter(1)).await;
    let ready = module_with(&host, MODULE, "ready").await;
    assert_eq!(ready["digest"], last["upload"]["digest"]);
}

#[tokio::test]
async fn a_module_that_is_removed_while_it_compiles_stays_away() {
    let (host, _receiver) = acme("").await;
    let waiting = host.admin.clone();
    let waits = tokio::spawn(async move { waiting.put_bytes(MODULE, slow_filter(8)).await });
    until("the upload to compile", || async { (host.admin.get(MODULE).await.status == 200).then_some(()) }).await;
    assert_eq!(host.admin.delete(MODULE).await.status, 204);
    assert_eq!(host.admin.delete(MODULE).await.status, 404);
    assert_eq!(waits.await.unwrap().problem(409)["code"], "upload_cancelled");
    assert_eq!(host.admin.get(MODULE).await.status, 404);
}

#[tokio::test]
async fn an_upload_whose_file_cannot_be_removed_is_not_forgotten() {
    let (host, _receiver) = acme("").await;
    hand_in(&host, MODULE, slow_filter(40)).await;
    let waits = "/v1/tenants/acme/modules/waits";
    hand_in(&host, waits, small_filter(1)).await;
    let files = std::fs::read_dir(host.data().join("uploads")).unwrap();
    let file = files.map(|entry| entry.unwrap().path()).max().unwrap();
    // No file any more, so it cannot be removed like one.
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert_eq!(host.admin.delete(waits).await.problem(503)["code"], "uploads_unavailable");
    assert_eq!(host.admin.get(waits).await.expect(200)["state"], "compiling");
    std::fs::remove_dir(&file).unwrap();
    assert_eq!(host.admin.delete(waits).await.status, 204);
    assert_eq!(host.admin.get(waits).await.status, 404);
    assert_eq!(host.admin.delete(MODULE).await.status, 204);
}

#[tokio::test]
async fn no_upload_outlives_its_tenant() {
    let host = Host::start().await;
    let (tenant, module) = ("/v1/tenants/t", "/v1/tenants/t/modules/m");
    host.put(tenant, &json!({})).await;
    hand_in(&host, module, b"no module".to_vec()).await;
    module_with(&host, module, "refused").await;
    hand_in(&host, module, slow_filter(8)).await;
    assert_eq!(host.admin.delete(tenant).await.problem(409)["code"], "in_use");
    assert_eq!(host.admin.delete(module).await.status, 204);
    hand_in(&host, "/v1/tenants/t/modules/bad", b"no module".to_vec()).await;
    // It has its turn when the removed one, whose compiling goes on, is through.
    module_with(&host, "/v1/tenants/t/modules/bad", "refused").await;
    assert_eq!(host.admin.delete(tenant).await.status, 204);
    host.put(tenant, &json!({})).await;
    assert_eq!(host.admin.get("/v1/tenants/t/modules").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn a_module_that_compiles_too_long_or_too_large_is_refused_with_the_bound() {
    for (settings, wasm, code) in [
        ("runtime.compile_cpu_s_max = 1\n", slow_filter(40), "compile_cpu"),
        ("runtime.compile_time_s_max = 1\n", slow_filter(40), "compile_time"),
        ("runtime.compile_memory_bytes_max = 268435456\n", slow_filter(40), "compile_memory"),
    ] {
        let (host, _receiver) = acme(settings).await;
        let problem = host.admin.put_bytes(MODULE, wasm).await.problem(422);
        assert_eq!(problem["code"], code, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(&format!("runtime.{code}_")), "{problem}");
        upload(&host.admin, "good", small_filter(1)).await;
    }
}

#[tokio::test]
async fn precompiled_code_is_no_upload() {
    let (host, _receiver) = acme("").await;
    upload(&host.admin, "good", small_filter(1)).await;
    let file = std::fs::read(&compiled(&host)[0]).unwrap();
    let elf = file.windows(4).position(|bytes| bytes == b"\x7fELF").expect("it is an object file");
    for upload in [&file[..], &file[elf..]] {
        let problem = host.admin.put_bytes(MODULE, upload.to_vec()).await.problem(422);
        assert_eq!(problem["code"], "module_not_wasm");
    }
}

#[tokio::test]
async fn code_that_is_damaged_or_foreign_is_compiled_again_and_never_run() {
    let (mut host, receiver) = acme("").await;
    let other = Host::start().await;
    for host in [&host, &other] {
        host.upload("match").await;
    }
    let steps = json!([{ "module": "operator/match", "settings": { "pointer": "/n", "gte": 0 } }]);
    host.route("r", steps).await;
    let path = compiled(&host)[0].clone();
    let mut damaged = std::fs::read(&path).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    // The same module and engine, but another host's key.
    let foreign = std::fs::read(&compiled(&other)[0]).unwrap();
    for bytes in [damaged, foreign] {
        host.terminate().await;
        std::fs::write(&path, bytes).unwrap();
        host.start_again().await;
        host.event("x", "{\"n\":1}").await;
        assert_eq!(receiver.next().await.body, "{\"n\":1}");
        let report = report(&host).await;
        assert_eq!((&report["compiles"], &report["loads"]), (&json!(1), &json!(1)));
    }
}

#[tokio::test]
async fn the_code_of_a_module_that_is_gone_is_removed_at_the_start() {
    let (mut host, _receiver) = acme("").await;
    upload(&host.admin, "gone", small_filter(1)).await;
    upload(&host.admin, "stays", small_filter(2)).await;
    host.admin.put_bytes("/v1/tenants/acme/modules/stays", small_filter(3)).await.expect(200);
    host.admin.put_bytes("/v1/operator/modules/stays", small_filter(4)).await.expect(201);
    assert_eq!(host.admin.delete("/v1/tenants/acme/modules/gone").await.status, 204);
    assert_eq!(compiled(&host).len(), 4);
    host.terminate().await;
    host.start_again().await;
    // A version that is not active may become so.
    assert_eq!(compiled(&host).len(), 3);
}

#[tokio::test]
async fn a_start_with_500_modules_loads_those_that_are_used() {
    let (mut host, receiver) = acme("").await;
    // Tenants compile side by side; acme has the first hundred.
    let uploads = ["acme", "b", "c", "d", "e"].into_iter().zip(0..).map(|(tenant, place)| {
        let (admin, path) = (host.admin.clone(), format!("/v1/tenants/{tenant}"));
        tokio::spawn(async move {
            admin.put(&path, &json!({})).await;
            for number in place * 100..(place + 1) * 100 {
                admin.put_bytes(&format!("{path}/modules/m{number}"), small_filter(number)).await.expect(201);
            }
        })
    });
    for uploaded in uploads.collect::<Vec<_>>() {
        uploaded.await.unwrap();
    }
    host.route("r", json!([{ "module": "m7" }])).await;
    assert_eq!(compiled(&host).len(), 500);
    host.terminate().await;
    host.start_again().await;
    // What is loaded without being asked for is what routes use.
    until("the route's module to be loaded", || async { (report(&host).await["loaded"] == 1).then_some(()) }).await;
    host.event("x", "7").await;
    assert_eq!(receiver.next().await.body, "7");
    for number in [0, 50, 99] {
        host.route("r", json!([{ "module": format!("m{number}") }])).await;
        host.event("x", number.to_string()).await;
        assert_eq!(receiver.next().await.body, number.to_string());
    }
    let report = report(&host).await;
    assert_eq!((&report["loaded"], &report["loads"], &report["compiles"]), (&json!(4), &json!(4), &json!(0)));
}

#[tokio::test]
async fn an_event_for_a_module_that_had_to_make_room_is_routed() {
    // Room for no module but the one in use.
    let (host, receiver) = acme("runtime.modules_memory_bytes_max = 0\n").await;
    upload(&host.admin, "first", small_filter(1)).await;
    host.route("r", json!([{ "module": "first" }])).await;
    for number in 2..5 {
        // Each takes the place of the one before.
        upload(&host.admin, &format!("m{number}"), small_filter(number)).await;
        let event = host.event("x", number.to_string()).await;
        assert_eq!(receiver.next().await.body, number.to_string());
        host.run_with(&event, "routed").await;
    }
    let report = report(&host).await;
    assert_eq!(report["compiles"], 4, "it comes back from the disk");
    // A thread may have had one in hand still when another came.
    assert!(report["loaded"].as_u64().unwrap() <= 2, "{report}");
}

#[tokio::test]
async fn the_operators_modules_are_compiled_and_loaded_once_for_all_tenants() {
    let (host, receiver) = acme("").await;
    host.upload("match").await;
    let steps = json!([{ "module": "operator/match", "settings": { "pointer": "/n", "gte": 0 } }]);
    let route = json!({ "source": "in", "steps": steps, "to": { "endpoints": ["out"] } });
    for tenant in ["acme", "other"] {
        let at = |rest: &str| format!("/v1/tenants/{tenant}{rest}");
        host.put(&at(""), &json!({})).await;
        host.put(&at("/sources/in"), &json!({ "verify": { "scheme": "none" } })).await;
        host.put(&at("/endpoints/out"), &json!({ "url": receiver.url("/out"), "secrets": [] })).await;
        host.put(&at("/routes/r"), &route).await;
        host.ingest.post(&format!("/in/{tenant}/in"), "{\"n\":1}").await.expect(202);
        assert_eq!(receiver.next().await.body, "{\"n\":1}");
    }
    // A tenant's own upload of the same bytes is the same version.
    upload(&host.admin, "mine", guest("match")).await;
    let report = report(&host).await;
    assert_eq!((&report["compiles"], &report["loads"], &report["loaded"]), (&json!(1), &json!(1), &json!(1)));
}

/// What the kernel says of a process, a line for each thing.
fn limit(limits: &str, name: &str) -> String {
    let line = limits.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {limits}"));
    line[name.len()..].split_whitespace().next().unwrap().to_owned()
}

/// Waits until a process that compiles has set the last of its limits. Before, it may be the host's image still, and have its files.
async fn until_confined(proc: &Path) {
    until("the process to limit itself", || async {
        let limits = std::fs::read_to_string(proc.join("limits")).unwrap();
        (limit(&limits, "Max open files") == "3").then_some(())
    })
    .await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_process_that_compiles_limits_itself_before_it_reads_a_byte() {
    let config = json!({ "compile_memory_bytes_max": 1 << 30, "compile_cpu_s_max": 7 });
    let mut command = hookswitch();
    command
        .arg("compile-module")
        .arg(config.to_string())
        .env("MIMALLOC_ARENA_RESERVE", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let proc = PathBuf::from(format!("/proc/{}", child.id().unwrap()));
    let read = |file: &str| std::fs::read_to_string(proc.join(file)).unwrap();
    // Nothing was written to it yet.
    until_confined(&proc).await;
    for (name, value) in [
        ("Max address space", "1073741824"),
        ("Max cpu time", "7"),
        ("Max file size", "0"),
        ("Max core file size", "0"),
    ] {
        assert_eq!(limit(&read("limits"), name), value, "{name}");
    }
    let nice = |process| rustix::process::getpriority_process(process).unwrap();
    let its = rustix::process::Pid::from_raw(child.id().unwrap().try_into().unwrap());
    assert_eq!(nice(its), (nice(None) + 10).min(19), "it leaves the processors to the host");
    let answer = |stdout: Vec<u8>| {
        let line = stdout.iter().position(|byte| *byte == b'\n').unwrap();
        (serde_json::from_slice::<Value>(&stdout[..line]).unwrap(), stdout.len() - line - 1)
    };
    child.stdin.take().unwrap().write_all(&small_filter(1)).await.unwrap();
    let mut stdout = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut stdout).await.unwrap();
    let (answer, code_bytes) = answer(stdout);
    assert_eq!(answer["outcome"]["compiled"], json!({ "world": "filter", "code_bytes": code_bytes }));
    assert!(child.wait().await.unwrap().success());
    // What is in force is said; where it is Landlock, so are no new privileges.
    let confinement = &answer["confinement"];
    assert!(["full", "partial", "none"].contains(&confinement["landlock"].as_str().unwrap()), "{answer}");
    assert_eq!(confinement["no_new_privileges"], confinement["landlock"] != "none");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_process_that_compiles_has_nothing_of_the_hosts() {
    let (host, _receiver) = acme("").await;
    hand_in(&host, MODULE, slow_filter(8)).await;
    let proc = until("the host to start it", || async {
        let children = host.children();
        children.first().map(|pid| PathBuf::from(format!("/proc/{pid}")))
    })
    .await;
    until_confined(&proc).await;
    let environment = std::fs::read_to_string(proc.join("environ")).unwrap();
    assert_eq!(
        environment.trim_end_matches('\0'),
        "MIMALLOC_ARENA_RESERVE=0",
        "a setting of the allocator, and no secret"
    );
    assert_eq!(std::fs::read_link(proc.join("cwd")).unwrap(), PathBuf::from("/"));
    let files = std::fs::read_dir(proc.join("fd")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut files: Vec<_> = files.map(|name| name.into_string().unwrap()).collect();
    files.sort();
    assert_eq!(files, ["0", "1", "2"]);
    module_with(&host, MODULE, "ready").await;
}
