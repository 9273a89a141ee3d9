//! `hookswitch apply`: a whole tenant from a file, twice, and each mistake with its line.

use super::support::{Host, OPERATOR_KEY, Receiver, guest, hookswitch};
use serde_json::json;
use std::path::Path;

async fn apply(host: &Host, file: &Path) -> (bool, String, String) {
    let mut command = hookswitch();
    command.arg("apply").arg("-f").arg(file).arg("--admin").arg(&host.admin_url).env("TOKEN", "s3cret");
    let output = command.output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn a_file_is_applied_and_applied_again() {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ten.wasm"), guest("ten-lines")).unwrap();
    let file = dir.path().join("resources.toml");
    let url = receiver.url("/out");
    let text = format!(
        "[tenants.acme.routes.all]\nsource = \"in\"\nsteps = [{{ module = \"ten\" }}]\nto = {{ endpoints = [\"out\"] }}\n
         [tenants.acme.modules.ten]\nfile = \"ten.wasm\"\nmax_time_ms = 90\n
         [tenants.acme.sources.in]\nverify = {{ scheme = \"none\" }}\n
         [tenants.acme.sources.hub]\nverify = {{ scheme = \"github\", secrets = [{{ env = \"TOKEN\" }}] }}\n
         [tenants.acme.endpoints.private]\nurl = \"{url}\"\nsecret_scheme = \"v1a\"\n
         [tenants.acme.endpoints.out]\nurl = \"{url}\"\n"
    );
    std::fs::write(&file, &text).unwrap();
    let (ok, out, error) = apply(&host, &file).await;
    assert!(ok, "{error}");
    assert_eq!(out.matches("created ").count(), 7, "{out}");
    for made in ["whsec_", "whsk_"] {
        assert!(out.contains(&format!("its signing secret, shown this once: {made}")), "{out}");
    }
    let (ok, out, error) = apply(&host, &file).await;
    assert!(ok, "{error}");
    assert_eq!((out.matches("unchanged ").count(), out.lines().count()), (6, 7), "{out}");
    assert!(out.contains("left alone /v1/tenants/acme\n"), "{out}");

    assert_eq!(host.admin.get("/v1/tenants/acme/modules/ten").await.expect(200)["max_time_ms"], 90);

    host.event("push", r#"{"sender":{"login":"octocat"}}"#).await;
    assert_eq!(receiver.next().await.json()["summary"], "push by octocat");
}

#[tokio::test]
async fn mistakes_in_the_file_are_told_with_their_line_and_change_nothing() {
    let host = Host::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("resources.toml");
    let cases = [
        ("[tenants.acme]\ntitle = 3\n", "resources.toml:2: tenants.acme.title: "),
        (
            "[tenants.acme.endpoints.e]\nurl = \"x\"\n[tenants.acme.endpoints.f]\nurl = 1\n",
            "resources.toml:4: tenants.acme.endpoints.f.url: ",
        ),
        (
            "[tenants.acme.modules.m]\nfile = \"none.wasm\"\n",
            "resources.toml:2: tenants.acme.modules.m.file: cannot read ",
        ),
        (
            "[tenants.acme.endpoints.e]\nurl = { env = \"NOT_SET_ANYWHERE\" }\n",
            "resources.toml:2: tenants.acme.endpoints.e.url: the environment has no",
        ),
    ];
    for (text, words) in cases {
        std::fs::write(&file, text).unwrap();
        let (ok, _, error) = apply(&host, &file).await;
        assert!(!ok && error.contains(words), "{text}: {error}");
        assert_eq!(host.admin.get("/v1/tenants/acme").await.status, 404, "{text}");
    }
    // All at once, so that nobody mends them one by one.
    std::fs::write(&file, cases.map(|(text, _)| text.replace("acme", &format!("t{}", text.len()))).concat()).unwrap();
    let (ok, out, error) = apply(&host, &file).await;
    assert!(!ok && out.is_empty() && error.contains("4 mistakes, and nothing was put:"), "{error}");
    // What only the host can tell comes after the tenant is made.
    std::fs::write(&file, "[tenants.acme.endpoints.e]\n\nurl = \"ftp://x\"\n").unwrap();
    let (ok, out, error) = apply(&host, &file).await;
    assert!(!ok && error.contains("resources.toml:3: tenants.acme.endpoints.e.url: "), "{error}");
    assert!(out.contains("created    /v1/tenants/acme\n"), "{out}");
    assert_eq!(host.admin.get("/v1/tenants/acme/endpoints/e").await.status, 404);
}

#[tokio::test]
async fn a_new_tenant_does_not_find_what_one_of_its_name_left() {
    let host = Host::start().await;
    host.acme("http://127.0.0.1:1/").await;
    let event = host.event("x", "for its eyes alone").await;
    let day = host.day(&event).await;
    for path in ["/sources/in", "/endpoints/out", ""] {
        host.admin.delete(&format!("/v1/tenants/acme{path}")).await.expect(204);
    }
    let problem = host.admin.put("/v1/tenants/acme", &json!({})).await.problem(409);
    assert_eq!(problem["code"], "tenant_name_used");
    let day_ms = 24 * 60 * 60 * 1000;
    let until_ms = problem["until_ms"].as_u64().unwrap();
    assert_eq!(until_ms, (day + 1 + 30) * day_ms, "until the last event's day has been kept for its time");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("resources.toml");
    std::fs::write(&file, "[tenants.acme]\n").unwrap();
    let (ok, _, error) = apply(&host, &file).await;
    for words in ["resources.toml:1: tenants.acme: ", "was removed", "former=keep", "(tenant_name_used)"] {
        assert!(!ok && error.contains(words), "no `{words}`: {error}");
    }
    assert_eq!(host.admin.get("/v1/tenants/acme").await.status, 404);
    let wrong = host.admin.put("/v1/tenants/acme?former=forget", &json!({})).await;
    assert_eq!(wrong.problem(400)["code"], "query_invalid");
    host.admin.put("/v1/tenants/acme?former=keep", &json!({})).await.expect(201);
    host.show(&event).await;
    // It is there now, and finds what is its own.
    let (ok, _, error) = apply(&host, &file).await;
    assert!(ok, "{error}");
}

#[tokio::test]
async fn a_tenant_that_the_file_says_nothing_of_keeps_what_it_has() {
    let host = Host::start().await;
    let tenant = json!({ "title": "Acme", "quotas": { "events_per_s": 7 } });
    host.put("/v1/tenants/acme", &tenant).await;
    let key =
        host.put("/v1/tenants/acme/keys/ci", &json!({ "role": "deploy" })).await["key"].as_str().unwrap().to_owned();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("resources.toml");
    std::fs::write(&file, "[tenants.acme.sources.in]\nverify = { scheme = \"none\" }\n").unwrap();
    let apply_with = async |key: &str| {
        let mut command = hookswitch();
        command
            .arg("apply")
            .arg("-f")
            .arg(&file)
            .args(["--admin", &host.admin_url])
            .env("HOOKSWITCH_OPERATOR_KEY", key);
        let output = command.output().await.unwrap();
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    // A key of the tenant may not put it, and need not.
    let (ok, said) = apply_with(&key).await;
    assert!(ok && said.contains("created    /v1/tenants/acme/sources/in\n"), "{said}");
    let (ok, said) = apply_with(OPERATOR_KEY).await;
    assert!(ok && said.contains("left alone /v1/tenants/acme\n"), "{said}");
    let shown = host.admin.get("/v1/tenants/acme").await.expect(200);
    assert_eq!((&shown["title"], &shown["quotas"]), (&tenant["title"], &tenant["quotas"]));
    // What it says of the tenant is put as a whole, by whoever may.
    std::fs::write(&file, "[tenants.acme]\ntitle = \"New\"\n").unwrap();
    let (ok, said) = apply_with(&key).await;
    assert!(!ok && said.contains("tenants.acme: this key is for the tenant `acme`"), "{said}");
    let (ok, said) = apply_with(OPERATOR_KEY).await;
    assert!(ok && said.contains("changed    /v1/tenants/acme\n"), "{said}");
}

#[tokio::test]
async fn the_port_of_the_events_is_no_admin_interface() {
    let host = Host::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("resources.toml");
    std::fs::write(&file, "[tenants.acme]\n").unwrap();
    let mut command = hookswitch();
    command.arg("apply").arg("-f").arg(&file).args(["--admin", &host.ingest_url]);
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("--admin is not the admin interface: this is where events come in"), "{said}");
}

#[tokio::test]
async fn a_wrong_key_and_a_missing_host_are_told_apart() {
    let host = Host::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("resources.toml");
    std::fs::write(&file, "[tenants.acme]\n").unwrap();
    let run = async |admin: &str, key: &str| {
        let mut command = hookswitch();
        command.args(["apply", "-f"]).arg(&file).args(["--admin", admin]).env("HOOKSWITCH_OPERATOR_KEY", key);
        String::from_utf8(command.output().await.unwrap().stderr).unwrap()
    };
    let error = run(&host.admin_url, "a-wrong-key").await;
    assert!(error.contains("the host refuses the key"), "{error}");
    let error = run("http://127.0.0.1:1", OPERATOR_KEY).await;
    assert!(error.contains("is the host running there?"), "{error}");
    let error = run("nonsense", OPERATOR_KEY).await;
    assert!(error.contains("is not the address of an admin interface"), "{error}");
}
