//! What the host says of itself.

use super::support::{Client, Host, hookswitch, until};
use serde_json::Value;

#[tokio::test]
async fn readyz_names_every_worker() {
    let host = Host::start().await;
    let anyone = Client::new(&host.admin_url, None);
    assert_eq!(anyone.get("/healthz").await.status, 200);
    // Listeners may be there a moment before the last of the workers.
    let ready = until("the host to be ready", || async {
        let answer = anyone.get("/readyz").await;
        (answer.status == 200).then(|| answer.json())
    })
    .await;
    assert_eq!(ready["ready"], true);
    let workers: Vec<&str> = ready["workers"].as_array().unwrap().iter().filter_map(|w| w["name"].as_str()).collect();
    let all = [
        "admin",
        "checkpoint",
        "committer",
        "deliverer",
        "disk",
        "ingest",
        "jobs",
        "modules",
        "notices",
        "pending",
        "quarantine",
        "retention",
        "schedules",
        "shadow",
        "statistics",
        "sweeper",
        "upkeep",
    ];
    assert_eq!(workers, all);
    for worker in ready["workers"].as_array().unwrap() {
        assert_eq!((&worker["state"], &worker["last_error"]), (&Value::from("running"), &Value::Null), "{worker}");
    }
}

#[tokio::test]
async fn a_wrong_settings_file_is_refused_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("host.toml");
    let cases = [
        ("[ingest]\nlisten = \"127.0.0.1:0\"\nboddy_bytes_max = 1\n", "line 3"),
        ("[admin]\nlisten = 8081\n", "line 2"),
        ("[runtime]\nthreads = 0\n", "threads"),
        ("[transport]\nallow = [\"everything\"]\n", "everything"),
        ("[deliverer]\ndeliveries_in_flight_max = 0\n", "deliveries_in_flight_max"),
    ];
    for (text, words) in cases {
        std::fs::write(&config, text).unwrap();
        let mut command = hookswitch();
        command.arg("serve").arg("--config").arg(&config).arg("--data").arg(dir.path().join("data"));
        let output = command.output().await.unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(words), "{text}: {error}");
        assert!(error.starts_with("hookswitch: "), "{error}");
    }
}

#[tokio::test]
async fn help_tells_a_newcomer_how_to_begin() {
    let output = hookswitch().arg("--help").output().await.unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for word in ["serve", "apply", "settings", "hookswitch serve --data"] {
        assert!(help.contains(word), "{help}");
    }
    let settings = hookswitch().arg("settings").output().await.unwrap();
    assert!(String::from_utf8(settings.stdout).unwrap().contains("[ingest]"));
}
