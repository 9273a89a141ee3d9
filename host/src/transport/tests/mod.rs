//! The transport against real servers on loopback that behave well and badly. Every wait has a short bound of its own.

pub(crate) mod server;
mod tls;

use super::{
    Config, DRAIN_BYTES_MAX, HEADER_BYTES_MAX, RESPONSE_BYTES_MAX, Request, Response, SendError, Transport,
    TransportError,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use server::{Server, answer};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Long enough for anything on loopback; a test that waits this long fails.
const PATIENCE_MS: u64 = 20_000;

fn transport(allow: &[&str]) -> Transport {
    let allow = allow.iter().map(|entry| entry.parse().unwrap()).collect();
    Transport::new(&Config { allow, ..Config::default() }).unwrap()
}

fn loopback() -> Transport {
    transport(&["127.0.0.0/8"])
}

fn request(url: &str, timeout_ms: u64) -> Request {
    Request {
        method: Method::POST,
        url: url.to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"hello"),
        connect_timeout_ms: None,
        first_byte_timeout_ms: None,
        timeout_ms,
        response_bytes_max: RESPONSE_BYTES_MAX,
        tls: None,
    }
}

async fn send(transport: &Transport, url: &str) -> Result<Response, SendError> {
    transport.send(request(url, PATIENCE_MS)).await
}

async fn code(transport: &Transport, url: &str) -> &'static str {
    send(transport, url).await.unwrap_err().code()
}

#[tokio::test]
async fn a_request_goes_out_as_it_is_and_the_answer_comes_back() {
    let mut server = Server::start(answer("503 Service Unavailable", "retry-after: 17\r\n", "busy")).await;
    let mut sent = request(&server.url("/a/b?c=d"), PATIENCE_MS);
    sent.method = Method::PUT;
    sent.headers.append("x-a", HeaderValue::from_static("1"));
    sent.headers.append("x-a", HeaderValue::from_static("2"));
    let response = loopback().send(sent).await.unwrap();
    assert_eq!((response.status, response.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, Some("17")));
    assert_eq!((&response.body_prefix[..], response.cut), (&b"busy"[..], false));

    let got = server.request().await;
    assert!(got.starts_with("PUT /a/b?c=d HTTP/1.1\r\n"), "{got}");
    assert!(got.contains("\r\nx-a: 1\r\nx-a: 2\r\n") && got.ends_with("\r\n\r\nhello"), "{got}");
    for absent in ["accept-encoding", "cookie", "referer", "user-agent", "transfer-encoding"] {
        assert!(!got.to_lowercase().contains(absent), "{absent} in {got}");
    }
}

#[test]
fn a_header_of_an_answer_is_looked_at_if_it_is_short_visible_ascii() {
    let header = |value: &str| {
        let headers =
            HeaderMap::from_iter([(http::header::RETRY_AFTER, HeaderValue::from_bytes(value.as_bytes()).unwrap())]);
        let response = Response { status: StatusCode::OK, headers, body_prefix: Vec::new(), cut: false };
        response.header("retry-after").map(str::len)
    };
    assert_eq!(header(&"1".repeat(HEADER_BYTES_MAX)), Some(HEADER_BYTES_MAX));
    assert_eq!((header(&"1".repeat(HEADER_BYTES_MAX + 1)), header("grün")), (None, None));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let mut other = Server::start(answer("200 OK", "", "")).await;
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let server = Server::start(answer(status, &format!("location: {}\r\n", other.url("/")), "")).await;
        let response = send(&loopback(), &server.url("/")).await.unwrap();
        assert!(response.status.is_redirection(), "{status}");
    }
    assert!(other.untouched());
}

#[tokio::test]
async fn connections_serve_again_after_small_answers() {
    let server = Server::start(answer("200 OK", "", &"x".repeat(DRAIN_BYTES_MAX))).await;
    let transport = loopback();
    for _ in 0..5 {
        let response = send(&transport, &server.url("/")).await.unwrap();
        assert_eq!((response.body_prefix.len(), response.cut), (RESPONSE_BYTES_MAX, true));
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn of_an_endless_answer_only_the_beginning_is_read() {
    let server = Server::with(async |mut stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        loop {
            stream.write_all(&[b'x'; 1024]).await?;
        }
    })
    .await;
    let response = send(&loopback(), &server.url("/")).await.unwrap();
    assert_eq!(response.body_prefix, [b'x'; RESPONSE_BYTES_MAX]);
    assert!(response.cut);
}

#[tokio::test]
async fn a_body_of_exactly_what_is_kept_is_not_cut() {
    for (bytes, cut) in [(0, false), (RESPONSE_BYTES_MAX, false), (RESPONSE_BYTES_MAX + 1, true)] {
        let server = Server::start(answer("200 OK", "", &"x".repeat(bytes))).await;
        assert_eq!(send(&loopback(), &server.url("/")).await.unwrap().cut, cut, "{bytes}");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_costs_the_timeout_and_no_more() {
    let server = Server::with(async |mut stream| {
        // Reads on, so that the connection stays open until the other side closes it.
        stream.read_to_end(&mut Vec::new()).await.map(drop)
    })
    .await;
    let error = loopback().send(request(&server.url("/"), 100)).await.unwrap_err();
    assert_eq!(error, SendError::Timeout { timeout_ms: 100 });
    let request = Request { first_byte_timeout_ms: Some(100), ..request(&server.url("/"), PATIENCE_MS) };
    let error = loopback().send(request).await.unwrap_err();
    assert_eq!(error, SendError::FirstByte { first_byte_timeout_ms: 100 });
    assert_eq!(error.code(), "timeout");
}

#[tokio::test]
async fn a_request_bounds_its_own_connecting_and_no_others() {
    // It takes the connection, and never says a word of TLS.
    let silent = async |mut stream: tokio::net::TcpStream| stream.read_to_end(&mut Vec::new()).await.map(drop);
    let server = Server::with(silent).await;
    let url = server.url("/").replace("http:", "https:");
    let slow = Request { connect_timeout_ms: Some(100), ..request(&url, PATIENCE_MS) };
    let expected = SendError::ConnectTimeout { connect_timeout_ms: 100 };
    assert_eq!(loopback().send(slow.clone()).await.unwrap_err(), expected);
    assert_eq!(expected.code(), "connect");

    // The host's own bound holds whatever a request says.
    let allow = vec!["127.0.0.0/8".parse().unwrap()];
    let quick = Transport::new(&Config { allow, connect_timeout_ms: 150, ..Config::default() }).unwrap();
    for own_ms in [None, Some(PATIENCE_MS)] {
        let request = Request { connect_timeout_ms: own_ms, ..request(&url, PATIENCE_MS) };
        let error = quick.send(request).await.unwrap_err();
        assert_eq!(error, SendError::ConnectTimeout { connect_timeout_ms: 150 });
    }
    // It bounds connecting, and not the answer: requests with and without it share a connection.
    let server = Server::start(answer("200 OK", "", "")).await;
    let transport = loopback();
    for own_ms in [None, Some(100), Some(200), None] {
        let request = Request { connect_timeout_ms: own_ms, ..request(&server.url("/"), PATIENCE_MS) };
        assert_eq!(transport.send(request).await.unwrap().status, StatusCode::OK);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn headers_that_trickle_are_no_answer() {
    let server = Server::with(async |mut stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        loop {
            pace.tick().await;
            stream.write_all(b"x: y\r\n").await?;
        }
    })
    .await;
    let error = loopback().send(request(&server.url("/"), 300)).await.unwrap_err();
    assert_eq!(error.code(), "timeout");
}

#[tokio::test]
async fn a_body_that_trickles_past_the_timeout_is_cut_and_the_status_counts() {
    let server = Server::with(async |mut stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nbegin").await?;
        stream.read_to_end(&mut Vec::new()).await.map(drop)
    })
    .await;
    let response = loopback().send(request(&server.url("/"), 300)).await.unwrap();
    assert_eq!((response.status, &response.body_prefix[..], response.cut), (StatusCode::OK, &b"begin"[..], true));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_cut_and_the_status_counts() {
    let server = Server::with(async |mut stream| {
        stream.write_all(b"HTTP/1.1 500 Oh\r\ncontent-length: 1000\r\n\r\nbegin").await
    })
    .await;
    let response = send(&loopback(), &server.url("/")).await.unwrap();
    assert_eq!((response.status.as_u16(), response.cut), (500, true));
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_error() {
    for garbage in ["", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 200", "HTTP/1.1 abc\r\n\r\n", "\0\0\0\0"] {
        let server = Server::with(async move |mut stream| stream.write_all(garbage.as_bytes()).await).await;
        assert_eq!(code(&loopback(), &server.url("/")).await, "protocol", "{garbage:?}");
    }
}

#[tokio::test]
async fn endless_headers_are_a_protocol_error() {
    let server = Server::with(async |mut stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
        loop {
            stream.write_all(format!("x: {}\r\n", "y".repeat(1000)).as_bytes()).await?;
        }
    })
    .await;
    assert_eq!(code(&loopback(), &server.url("/")).await, "protocol");
}

#[tokio::test]
async fn nobody_there_is_a_connect_error() {
    // Bound and not listening any more: the port was free a moment ago.
    let address = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = send(&loopback(), &format!("http://{address}/?key=hidden")).await.unwrap_err();
    assert_eq!(error.code(), "connect");
    assert!(!error.to_string().contains("hidden"), "{error}");
}

#[tokio::test]
async fn loopback_is_refused_in_every_spelling_before_a_connection() {
    let mut server = Server::start(answer("200 OK", "", "")).await;
    let port = server.address().port();
    let guarded = transport(&[]);
    let hosts = [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "１２７.０.０.１",
        "%31%32%37.0.0.1",
    ];
    for host in hosts {
        assert_eq!(code(&guarded, &format!("http://{host}:{port}/")).await, "address_refused", "{host}");
        assert_eq!(code(&guarded, &format!("https://{host}:{port}/")).await, "address_refused", "{host}");
    }
    assert!(server.untouched());
}

#[tokio::test]
async fn a_name_with_an_allowed_address_is_reached() {
    let server = Server::start(answer("200 OK", "", "")).await;
    let url = format!("http://localhost:{}/", server.address().port());
    assert_eq!(send(&loopback(), &url).await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn an_entry_with_a_port_opens_that_port_alone_by_address_and_by_name() {
    let (open, mut closed) =
        (Server::start(answer("200 OK", "", "")).await, Server::start(answer("200 OK", "", "")).await);
    let transport = transport(&[&format!("127.0.0.1:{}", open.address().port())]);
    for host in ["127.0.0.1", "localhost"] {
        let url = |server: &Server| format!("http://{host}:{}/", server.address().port());
        assert_eq!(send(&transport, &url(&open)).await.unwrap().status, StatusCode::OK, "{host}");
        assert_eq!(code(&transport, &url(&closed)).await, "address_refused", "{host}");
    }
    assert!(closed.untouched());
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_a_dns_error() {
    // A label longer than DNS allows: the system's resolver says no without asking anybody.
    let error = send(&loopback(), &format!("http://{}.test/?key=hidden", "x".repeat(64))).await.unwrap_err();
    assert_eq!(error.code(), "dns", "{error}");
    assert!(!error.to_string().contains("hidden"), "{error}");
}

#[tokio::test]
async fn only_plain_http_urls_are_sent_to() {
    for url in [
        "",
        "nonsense",
        "/path",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "unix:/run/x",
        "http://",
        "http://user@127.0.0.1/",
        "http://user:secret@127.0.0.1/",
        "http://:secret@127.0.0.1/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:99999/",
        "http://[::1/",
        "http://256.1.1.1/",
        "data:,x",
    ] {
        let error = send(&loopback(), url).await.unwrap_err();
        assert_eq!(error.code(), "url_invalid", "{url}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn settings_have_bounds_and_errors_name_them() {
    let wrong = |config: Config| match Transport::new(&config).unwrap_err() {
        TransportError::OutOfBounds { field, .. } => field,
        error => panic!("{error}"),
    };
    let config = Config::default;
    assert_eq!(wrong(Config { connect_timeout_ms: 0, ..config() }), "connect_timeout_ms");
    assert_eq!(wrong(Config { connect_timeout_ms: 120_001, ..config() }), "connect_timeout_ms");
    assert_eq!(wrong(Config { idle_timeout_ms: 0, ..config() }), "idle_timeout_ms");
    assert_eq!(wrong(Config { idle_connections_per_host_max: 1_025, ..config() }), "idle_connections_per_host_max");
    let many = |count: u16, entry: &str| {
        (1..=count).map(|port| entry.replace('P', &port.to_string()).parse().unwrap()).collect()
    };
    let nameservers = vec!["127.0.0.1:53".parse().unwrap(); 9];
    assert_eq!(wrong(Config { nameservers, ..config() }), "nameservers");
    assert_eq!(wrong(Config { allow: many(257, "10.0.0.1"), ..config() }), "allow");
    assert_eq!(wrong(Config { allow: many(17, "10.0.0.1:P"), ..config() }), "allow (different ports)");
}

#[test]
fn settings_read_as_people_write_them() {
    let text = r#"allow = ["127.0.0.0/8", "[::1]:9000"]
        nameservers = ["127.0.0.1:5353", "[::1]:53"]"#;
    let config: Config = toml::from_str(text).unwrap();
    assert_eq!((config.allow.len(), config.nameservers.len(), config.connect_timeout_ms), (2, 2, 10_000));
    assert!(toml::from_str::<Config>("alow = []").unwrap_err().to_string().contains("unknown field `alow`"));
    assert!(
        toml::from_str::<Config>(r#"allow = ["localhost"]"#).unwrap_err().to_string().contains("is not an IP address")
    );
}
