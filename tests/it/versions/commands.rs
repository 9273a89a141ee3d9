//! Versions from the command line.

use super::version;
use crate::support::{Host, hookswitch};
use serde_json::json;

#[tokio::test]
async fn the_command_line_pushes_lists_and_changes_versions() {
    let host = Host::start().await;
    host.put("/v1/tenants/acme", &json!({})).await;
    let dir = tempfile::tempdir().unwrap();
    let file = |mark: u8| {
        let path = dir.path().join(format!("{mark}.wasm"));
        std::fs::write(&path, version(mark)).unwrap();
        path.display().to_string()
    };
    let run = async |words: &str, file: Option<String>| {
        let mut command = hookswitch();
        command.arg("module").args(words.split_whitespace()).args(file);
        command.args(["--tenant", "acme", "--name", "m", "--admin", &host.admin_url]);
        let output = command.output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let ok = async |words: &str, file: Option<String>| -> Vec<String> {
        let (ok, out, error) = run(words, file).await;
        assert!(ok, "{words}: {error}");
        // The numbers and states, the newest version first.
        let lines = out.lines().filter(|line| line.starts_with("    "));
        lines
            .map(|line| {
                line.split("  ").filter(|word| !word.is_empty()).take(2).collect::<Vec<_>>().join(" ").trim().to_owned()
            })
            .collect()
    };
    assert_eq!(ok("push --quarantine-after 3", Some(file(1))).await, ["1 active"]);
    assert_eq!(ok("push --no-activate", Some(file(2))).await, ["2 kept", "1 active"]);
    assert_eq!(ok("push --canary 20", Some(file(3))).await, ["3 canary 20 %", "2 kept", "1 active"]);
    assert_eq!(ok("canary --off", None).await, ["3 kept", "2 kept", "1 active"]);
    assert_eq!(ok("canary 2 --percent 5", None).await, ["3 kept", "2 canary 5 %", "1 active"]);
    assert_eq!(ok("shadow 3", None).await, ["3 shadow", "2 canary 5 %", "1 active"]);
    let (_, out, _) = run("shadow", None).await;
    assert!(out.contains("beside the active version") && out.contains("different  0"), "{out}");
    assert_eq!(ok("activate 3", None).await, ["3 active", "2 kept", "1 previous"]);
    assert_eq!(ok("rollback", None).await, ["3 previous", "2 kept", "1 active"]);
    assert_eq!(ok("list", None).await, ["3 previous", "2 kept", "1 active"]);
    let (_, out, _) = run("release 3", None).await;
    assert!(out.contains("was not quarantined"), "{out}");
    let (ok, _, error) = run("activate 9", None).await;
    assert!(!ok && error.contains("no version number 9") && error.contains("version_unknown"), "{error}");
}
