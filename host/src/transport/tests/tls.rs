//! TLS against a real server. Its certificate is for `localhost` and 127.0.0.1, made by a certificate authority that nobody trusts, and
//! both are valid for a hundred years; the key beside it is worth nothing. The same goes for the client's, which is of an authority of its own.

use super::{Config, PATIENCE_MS, Request, SendError, Transport, loopback, request, send};
use crate::config::Tls;
use http::StatusCode;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const CERTIFICATE: &[u8] = include_bytes!("server.pem");
const KEY: &[u8] = include_bytes!("server.key.pem");
const CA: &str = include_str!("ca.pem");
const CLIENT_CA: &str = include_str!("client_ca.pem");
const CLIENT_CERTIFICATE: &str = include_str!("client.pem");
const CLIENT_KEY: &str = include_str!("client.key.pem");

fn trusting() -> Transport {
    let ca_file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/transport/tests/ca.pem");
    let allow = vec!["127.0.0.0/8".parse().unwrap()];
    Transport::new(&Config { allow, ca_file: Some(ca_file), ..Config::default() }).unwrap()
}

/// A server that answers one request on each of its connections.
fn tls_server(ip: &str) -> SocketAddr {
    tls_server_that(ip, WebPkiClientVerifier::no_client_auth())
}

/// One that wants to see a certificate of the clients' authority.
fn mutual_tls_server() -> SocketAddr {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(CLIENT_CA.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    tls_server_that("127.0.0.1", verifier)
}

fn server_config(verifier: Arc<dyn ClientCertVerifier>) -> rustls::ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()],
            PrivateKeyDer::from_pem_slice(KEY).unwrap(),
        )
        .unwrap()
}

fn tls_server_that(ip: &str, verifier: Arc<dyn ClientCertVerifier>) -> SocketAddr {
    let config = Arc::new(server_config(verifier));
    let listener = TcpListener::bind((ip, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    // Ends with the test's process: it waits for connections that do not come any more.
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream);
            let mut got = Vec::new();
            let mut buffer = [0; 4096];
            while !got.ends_with(b"hello") {
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => break,
                    Ok(bytes) => got.extend_from_slice(&buffer[..bytes]),
                }
            }
            // A client that hung up is what some tests are about.
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").and_then(|()| stream.flush());
        }
    });
    address
}

#[tokio::test]
async fn a_trusted_certificate_is_accepted() {
    let address = tls_server("127.0.0.1");
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("https://{host}:{}/", address.port());
        assert_eq!(send(&trusting(), &url).await.map(|response| response.status), Ok(StatusCode::OK), "{host}");
    }
}

#[tokio::test]
async fn an_untrusted_or_misnamed_certificate_is_a_tls_error() {
    let (named, other) = (tls_server("127.0.0.1"), tls_server("127.0.0.2"));
    let untrusted = send(&loopback(), &format!("https://localhost:{}/?key=hidden", named.port())).await.unwrap_err();
    let misnamed = send(&trusting(), &format!("https://{other}/?key=hidden")).await.unwrap_err();
    assert_eq!(misnamed.code(), "tls", "{misnamed}");
    assert_eq!(untrusted.code(), "tls");
    assert!(untrusted.to_string().contains("certificate") && !untrusted.to_string().contains("hidden"), "{untrusted}");
}

async fn send_with(transport: &Transport, server: SocketAddr, tls: Option<Tls>) -> Result<StatusCode, SendError> {
    let url = format!("https://localhost:{}/", server.port());
    let request = Request { tls: tls.map(Arc::new), ..request(&url, PATIENCE_MS) };
    transport.send(request).await.map(|response| response.status)
}

#[tokio::test]
async fn a_request_shows_its_own_certificate_and_no_other_one_does() {
    let (server, transport) = (mutual_tls_server(), trusting());
    let own = || Tls::new(Some(CLIENT_CERTIFICATE), Some(CLIENT_KEY), None).unwrap();
    assert_eq!(send_with(&transport, server, Some(own())).await, Ok(StatusCode::OK));
    assert!(send_with(&transport, server, None).await.is_err());
    let strangers =
        Tls::new(Some(str::from_utf8(CERTIFICATE).unwrap()), Some(str::from_utf8(KEY).unwrap()), None).unwrap();
    assert!(send_with(&transport, server, Some(strangers)).await.is_err());
    assert_eq!(send_with(&transport, server, Some(own())).await, Ok(StatusCode::OK));
}

#[tokio::test]
async fn authorities_of_a_requests_own_take_the_place_of_all_others() {
    let server = tls_server("127.0.0.1");
    let own = |ca| Some(Tls::new(None, None, Some(ca)).unwrap());
    assert_eq!(send_with(&loopback(), server, own(CA)).await, Ok(StatusCode::OK));
    let error = send_with(&trusting(), server, own(CLIENT_CA)).await.unwrap_err();
    assert_eq!(error.code(), "tls", "{error}");
}

#[test]
fn tls_that_does_not_fit_together_is_refused_and_not_shown() {
    let refused = |certificate, key, ca| Tls::new(certificate, key, ca).unwrap_err();
    let server_key = str::from_utf8(KEY).unwrap();
    let wrong = [
        (
            refused(Some(CLIENT_CERTIFICATE), Some(server_key), None),
            "/tls/key_pem",
            "not the key of the first certificate",
        ),
        (refused(Some(CLIENT_CERTIFICATE), Some("hush"), None), "/tls/key_pem", "PEM of a private key"),
        (refused(Some("hush"), Some(CLIENT_KEY), None), "/tls/certificate_pem", "PEM of certificates"),
        (refused(Some(CLIENT_CERTIFICATE), None, None), "/tls/key_pem", "missing"),
        (refused(None, Some(CLIENT_KEY), None), "/tls/certificate_pem", "missing"),
        (refused(None, None, Some(CLIENT_KEY)), "/tls/ca_pem", "PEM of certificates"),
        (refused(None, None, Some(&CA.repeat(17))), "/tls/ca_pem", "17 certificates; at most 16"),
        (refused(None, None, Some(&"x".repeat(32_769))), "/tls/ca_pem", "32769 bytes; at most 32768"),
        (refused(None, None, None), "/tls", "is empty"),
    ];
    for (error, pointer, says) in wrong {
        assert!(error.pointer == pointer && error.message.contains(says), "{error}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_a_tls_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let answering = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        // Until the other side has seen enough.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    };
    let (code, ()) = tokio::join!(async { send(&loopback(), &url).await.unwrap_err().code() }, answering);
    assert_eq!(code, "tls");
}

#[tokio::test]
async fn a_handshake_that_hangs_ends_with_the_connect_timeout() {
    // Accepted by the kernel, and nobody says a word.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let allow = vec!["127.0.0.0/8".parse().unwrap()];
    let transport = Transport::new(&Config { allow, connect_timeout_ms: 100, ..Config::default() }).unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let error = transport.send(request(&url, PATIENCE_MS)).await.unwrap_err();
    assert_eq!(error, SendError::ConnectTimeout { connect_timeout_ms: 100 });
}

#[test]
fn a_ca_file_that_is_none_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    for path in [empty, directory.path().join("absent.pem")] {
        let error = Transport::new(&Config { ca_file: Some(path.clone()), ..Config::default() }).unwrap_err();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

/// A server that speaks HTTP/2, answers the first request of each connection, and never looks at that connection again. It counts them.
fn http2_server_that_hangs() -> (SocketAddr, Arc<AtomicUsize>) {
    let mut config = server_config(WebPkiClientVerifier::no_client_auth());
    config.alpn_protocols = vec![b"h2".to_vec()];
    let (config, connections) = (Arc::new(config), Arc::new(AtomicUsize::new(0)));
    let (listener, count) = (TcpListener::bind("127.0.0.1:0").unwrap(), connections.clone());
    let address = listener.local_addr().unwrap();
    // Ends with the test's process.
    std::thread::spawn(move || {
        let mut hanging = Vec::new();
        while let Ok((stream, _)) = listener.accept() {
            count.fetch_add(1, Ordering::SeqCst);
            let mut stream =
                rustls::StreamOwned::new(rustls::ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
            let (mut got, mut buffer) = (Vec::new(), [0; 4096]);
            while !got.windows(5).any(|five| five == b"hello") {
                let bytes = stream.read(&mut buffer).unwrap();
                assert!(bytes > 0, "it hung up");
                got.extend_from_slice(&buffer[..bytes]);
            }
            // Settings, none; and headers that end stream 1 and say `:status: 200`, by the static table.
            let answer = [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88];
            stream.write_all(&answer).and_then(|()| stream.flush()).unwrap();
            hanging.push(stream);
        }
    });
    (address, connections)
}

#[tokio::test]
async fn an_http2_connection_that_hangs_serves_no_second_attempt() {
    let ((address, connections), transport) = (http2_server_that_hangs(), trusting());
    let url = format!("https://{address}/");
    assert_eq!(send(&transport, &url).await.unwrap().status, StatusCode::OK);
    // From here on nothing comes, so the clock may go as fast as it likes.
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let attempt = transport.send(request(&url, 300_000)).await;
    assert!(attempt.is_err() && began.elapsed().as_secs() < 60, "{attempt:?} after {:?}", began.elapsed());
    tokio::time::resume();
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    assert_eq!(send(&transport, &url).await.unwrap().status, StatusCode::OK);
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}
