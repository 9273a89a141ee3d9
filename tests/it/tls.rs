//! TLS of the listeners: which versions of HTTP are spoken, that certificates are renewed, and what cannot be used is refused with words.

use super::support::{Host, OPERATOR_KEY, PATIENCE, hookswitch, until};
use super::wire::{exchange, hear};
use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedKey, IsCa, KeyPair, generate_simple_self_signed};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A certificate for `localhost` and its key, as PEM, and somebody who trusts it alone.
struct Pair {
    certificate: String,
    key: String,
    roots: RootCertStore,
}

impl Pair {
    fn new() -> Self {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        Self { certificate: cert.pem(), key: signing_key.serialize_pem(), roots }
    }
}

/// Where the files are, with their settings.
struct Files {
    dir: TempDir,
}

impl Files {
    fn new(pair: &Pair) -> Self {
        let files = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::write(files.certificate(), &pair.certificate).unwrap();
        std::fs::write(files.key(), &pair.key).unwrap();
        files
    }

    fn certificate(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("key.pem")
    }

    fn settings(&self, listener: &str) -> String {
        let file = |path: &Path| path.to_str().unwrap().to_owned();
        let (certificate, key) = (file(&self.certificate()), file(&self.key()));
        format!(
            "{listener}.tls = {{ cert_file = \"{certificate}\", key_file = \"{key}\", reload_ms = 100, handshake_timeout_ms = 5000 }}\n"
        )
    }
}

fn address(url: &str) -> &str {
    url.strip_prefix("https://").expect("a listener with TLS says https")
}

async fn connect(url: &str, pair: &Pair, alpn: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(pair.roots.clone()).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(address(url)).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

fn event(uri: &str) -> Request<Full<Bytes>> {
    Request::post(uri).header("host", "localhost").body(Full::new(Bytes::from("{}"))).unwrap()
}

/// Sends an event by the version of HTTP that the handshake came to, and gives the status.
async fn send(stream: TlsStream<TcpStream>) -> (Version, u16) {
    let answer = if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(event("https://localhost/in/acme/in")).await.unwrap()
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(event("/in/acme/in")).await.unwrap()
    };
    let (version, status) = (answer.version(), answer.status().as_u16());
    answer.into_body().collect().await.unwrap();
    (version, status)
}

#[tokio::test]
async fn tls_brings_both_versions_of_http_and_nothing_comes_without_it() {
    let pair = Pair::new();
    let files = Files::new(&pair);
    let host = Host::start_with(&files.settings("ingest")).await;
    host.acme("http://127.0.0.1:1/").await;
    for (alpn, version) in [
        (&["h2", "http/1.1"][..], Version::HTTP_2),
        (&["h2"], Version::HTTP_2),
        (&["http/1.1"], Version::HTTP_11),
        (&[], Version::HTTP_11),
    ] {
        let stream = connect(&host.ingest_url, &pair, alpn).await.unwrap();
        assert_eq!(send(stream).await, (version, 202), "{alpn:?}");
    }
    let plain = b"POST /in/acme/in HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}";
    let heard = exchange(address(&host.ingest_url), plain).await;
    assert!(heard.closed && heard.answers.is_empty(), "{heard:?}");
    let events = host.admin.get("/v1/tenants/acme/events").await.expect(200);
    assert_eq!(events["items"].as_array().unwrap().len(), 4);
    let workers = host.admin.get("/readyz").await.expect(200)["workers"].clone();
    assert!(workers.as_array().unwrap().iter().any(|worker| worker["name"] == "ingest certificate"), "{workers}");
}

#[tokio::test]
async fn a_handshake_that_does_not_go_on_has_its_time() {
    let files = Files::new(&Pair::new());
    let settings = files.settings("ingest").replace("handshake_timeout_ms = 5000", "handshake_timeout_ms = 50");
    let host = Host::start_with(&settings).await;
    let mut silent = TcpStream::connect(address(&host.ingest_url)).await.unwrap();
    assert!(hear(&mut silent).await.closed);
}

#[tokio::test]
async fn a_handshake_that_has_begun_gives_its_place_to_who_waits() {
    let pair = Pair::new();
    let files = Files::new(&pair);
    let settings = files.settings("ingest").replace("handshake_timeout_ms = 5000", "handshake_timeout_ms = 600000");
    let host = Host::start_with(&format!("ingest.connections_max = 1\n{settings}")).await;
    host.acme("http://127.0.0.1:1/").await;
    let mut begun = TcpStream::connect(address(&host.ingest_url)).await.unwrap();
    // What a handshake begins with.
    begun.write_all(&[22]).await.unwrap();
    let waiting = tokio::time::timeout(PATIENCE, connect(&host.ingest_url, &pair, &[])).await.expect("it has a turn");
    assert_eq!(send(waiting.unwrap()).await.1, 202);
    assert!(hear(&mut begun).await.closed);
}

#[tokio::test]
async fn a_new_certificate_is_used_without_a_restart_and_a_wrong_one_is_told() {
    let (old, new, other) = (Pair::new(), Pair::new(), Pair::new());
    let files = Files::new(&old);
    let host = Host::start_with(&files.settings("ingest")).await;
    host.acme("http://127.0.0.1:1/").await;
    host.put("/v1/tenants/ops", &json!({ "operational_events": "all" })).await;
    let before = connect(&host.ingest_url, &old, &[]).await.unwrap();

    std::fs::write(files.certificate(), &new.certificate).unwrap();
    std::fs::write(files.key(), &new.key).unwrap();
    until("the new certificate to be shown", || async { connect(&host.ingest_url, &new, &[]).await.ok() }).await;
    assert!(connect(&host.ingest_url, &old, &[]).await.is_err());
    assert_eq!(send(before).await.1, 202, "a connection that is there stays");

    std::fs::write(files.key(), &other.key).unwrap();
    let told = until("the operator to be told", || async {
        let events = host.admin.get("/v1/tenants/ops/events?source=hookswitch").await.expect(200);
        events["items"].as_array().unwrap().iter().find(|event| event["event_type"] == "certificate.refused").cloned()
    })
    .await;
    let body =
        host.admin.get(&format!("/v1/tenants/ops/events/{}/body", told["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(body["listener"], "ingest");
    assert!(body["reason"].as_str().unwrap().contains("is not the key of the first certificate in"), "{body}");
    assert!(host.log().contains("a new certificate cannot be used"));
    assert_eq!(send(connect(&host.ingest_url, &new, &[]).await.unwrap()).await.1, 202, "the one before it stays");
}

#[tokio::test]
async fn a_host_does_not_start_with_files_that_do_not_belong_together() {
    let (pair, other) = (Pair::new(), Pair::new());
    let files = Files::new(&pair);
    let settings = files.settings("admin");
    let error = async || {
        let started = Host::start_on(files.dir.path().join("data"), &settings).await;
        started.err().expect("it does not start")
    };
    std::fs::write(files.key(), &other.key).unwrap();
    let mismatch = error().await;
    assert!(mismatch.contains("in [admin]: tls: ") && mismatch.contains("is not the key of"), "{mismatch}");
    std::fs::remove_file(files.certificate()).unwrap();
    let missing = error().await;
    assert!(missing.contains("cannot read") && missing.contains("cert.pem"), "{missing}");
}

#[tokio::test]
async fn the_commands_reach_an_admin_interface_with_tls() {
    let pair = Pair::new();
    let files = Files::new(&pair);
    let host = Host::start_with(&files.settings("admin")).await;
    let resources = files.dir.path().join("resources.toml");
    std::fs::write(&resources, "[tenants.acme.sources.in]\nverify = { scheme = \"none\" }\n").unwrap();
    let at = host.admin_url.replace("127.0.0.1", "localhost");
    let apply = |trusted: PathBuf| {
        let mut command = hookswitch();
        command.arg("apply").arg("-f").arg(&resources).arg("--admin").arg(&at).env("SSL_CERT_FILE", trusted);
        command.env("HOOKSWITCH_OPERATOR_KEY", OPERATOR_KEY);
        async move { command.output().await.unwrap() }
    };
    let output = apply(files.certificate()).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stranger = Files::new(&Pair::new());
    let output = apply(stranger.certificate()).await;
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && told.contains("is not accepted"),
        "a certificate that nobody vouches for is not believed: {told}"
    );
    assert!(!told.contains("is the host running"), "{told}");
    let output = apply(files.dir.path().join("none.pem")).await;
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("SSL_CERT_FILE names") && told.contains("none.pem: it cannot be read"), "{told}");
    let output = apply(files.key()).await;
    assert!(String::from_utf8_lossy(&output.stderr).contains("it holds no certificate"), "{output:?}");
}

#[tokio::test]
async fn the_commands_say_what_a_host_does_not_accept_or_speak() {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pair = Pair {
        certificate: params.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
        roots: RootCertStore::empty(),
    };
    let files = Files::new(&pair);
    let host = Host::start_with(&files.settings("admin")).await;
    let resources = files.dir.path().join("resources.toml");
    std::fs::write(&resources, "[tenants.acme]\n").unwrap();
    let apply = async |at: String| {
        let mut command = hookswitch();
        command.arg("apply").arg("-f").arg(&resources).args(["--admin", &at]).env("SSL_CERT_FILE", files.certificate());
        command.env("HOOKSWITCH_OPERATOR_KEY", OPERATOR_KEY);
        String::from_utf8(command.output().await.unwrap().stderr).unwrap()
    };
    // As `openssl req -x509` makes one by itself.
    let told = apply(host.admin_url.replace("127.0.0.1", "localhost")).await;
    assert!(told.contains("is not accepted") && told.contains("basicConstraints=critical,CA:FALSE"), "{told}");
    let told = apply(host.admin_url.replace("https", "http")).await;
    assert!(told.contains("does not speak plain HTTP") && told.contains("write https://"), "{told}");
    let told = apply(host.ingest_url.replace("http", "https")).await;
    assert!(told.contains("does not speak TLS") && told.contains("write http://"), "{told}");
}
