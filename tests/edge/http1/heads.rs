//! Lines of a head: the first one, its target, headers, and hosts.

use super::Expected::{Once, OnceOrRefused, Refused, Times};
use super::{BAD, Case, case, post, request};

pub(super) fn lines() -> Vec<Case> {
    let line = |name: &str, line: &str, expected| {
        case(name, post(&format!("{line}\r\ncontent-length: 2\r\n"), "{}"), expected)
    };
    let mut latin1 = post("content-length: 2\r\nx: caf", "{}").into_bytes();
    let at = latin1.windows(3).position(|window| window == b"caf").unwrap() + 3;
    latin1.splice(at..at, [0xe9, b'\r', b'\n']);
    let mut cases = vec![
        case("Latin-1 in a value", latin1, Once("{}")),
        line("UTF-8 in a value", "x: é漢", Once("{}")),
        line("tab in a value", "x: a\tb", Once("{}")),
        line("NUL in a value", "x: a\0b", BAD),
        line("NUL in a name", "x\0: a", BAD),
        line("space before the colon", "x : a", BAD),
        line("space in a name", "x y: a", BAD),
        line("no colon", "nothing", BAD),
        line("no name", ": a", BAD),
        line("no value", "x:", Once("{}")),
        line("UTF-8 in a name", "é: a", BAD),
        line("folded", "x: a\r\n b", BAD),
        line("folded with a tab", "x: a\r\n\tb", BAD),
        line("bare CR", "x: a\ry: b", BAD),
        line("CR, CR, LF", "x: a\r", BAD),
        line("bare LF", "x: a\ny: b", OnceOrRefused("{}")),
        case("space before the first", "POST /in/acme/in HTTP/1.1\r\n host: edge\r\ncontent-length: 2\r\n\r\n{}", BAD),
        case(
            "bare LF everywhere",
            "POST /in/acme/in HTTP/1.1\nhost: edge\ncontent-length: 2\n\n{}",
            OnceOrRefused("{}"),
        ),
        case("bare CR everywhere", "POST /in/acme/in HTTP/1.1\rhost: edge\rcontent-length: 2\r\r{}", BAD),
        case(
            "invalid UTF-8 in the body",
            [post("content-length: 2\r\n", "").as_bytes(), b"\xff\xfe"].concat(),
            Times(1),
        ),
    ];
    for byte in (1..32_u8).filter(|byte| !b"\t\n\r".contains(byte)).chain([127]) {
        let mut bytes = post("x: ab\r\ncontent-length: 2\r\n", "{}").into_bytes();
        let at = bytes.windows(2).position(|window| window == b"ab").unwrap() + 1;
        bytes.insert(at, byte);
        cases.push(case(format!("control character {byte} in a value"), bytes, BAD));
    }
    for character in "\"(),/:;<=>?@[\\]{}".chars() {
        let line = format!("x{character}y: a");
        let expected = if character == ':' { Once("{}") } else { BAD };
        cases.push(case(
            format!("`{character}` in a name"),
            post(&format!("{line}\r\ncontent-length: 2\r\n"), "{}"),
            expected,
        ));
    }
    cases
}

pub(super) fn request_line() -> Vec<Case> {
    let line = |line: &str, expected| case(format!("`{}`", line.escape_debug()), request(line, ""), expected);
    let to = "/in/acme/in";
    let refused = Refused(&[400, 405]);
    vec![
        case("HTTP/0.9", "GET /in/acme/in\r\n\r\n", BAD),
        case("HTTP/0.9 with POST", "POST /in/acme/in\r\n\r\n{}", BAD),
        line("POST /in/acme/in HTTP/1.0", Once("{}")),
        line("POST /in/acme/in HTTP/1.2", Refused(&[400, 505])),
        line("POST /in/acme/in HTTP/2.0", Refused(&[400, 505])),
        line("POST /in/acme/in HTTP/3.0", Refused(&[400, 505])),
        line("POST /in/acme/in HTTP/0.9", Refused(&[400, 505])),
        line("POST /in/acme/in http/1.1", BAD),
        line("POST /in/acme/in HTTP/1.1 ", BAD),
        line("POST /in/acme/in HTTP/11", BAD),
        line("POST /in/acme/in HTTP/01.1", BAD),
        line("POST /in/acme/in HTTP/1.1x", BAD),
        line("POST /in/acme/in", BAD),
        line("POST /in/acme/in HTTPS/1.1", BAD),
        line("POST  /in/acme/in HTTP/1.1", BAD),
        line("POST /in/acme/in  HTTP/1.1", BAD),
        line("POST\t/in/acme/in\tHTTP/1.1", BAD),
        line(" POST /in/acme/in HTTP/1.1", BAD),
        line("\r\nPOST /in/acme/in HTTP/1.1", Once("{}")),
        line("\0POST /in/acme/in HTTP/1.1", BAD),
        line("post /in/acme/in HTTP/1.1", refused.clone()),
        line("PO\0ST /in/acme/in HTTP/1.1", BAD),
        line("PO(ST /in/acme/in HTTP/1.1", BAD),
        line("PÖST /in/acme/in HTTP/1.1", BAD),
        line("/in/acme/in HTTP/1.1", BAD),
        case(
            "a method of 10,000 letters",
            request(&format!("{} {to} HTTP/1.1", "A".repeat(10_000)), ""),
            refused.clone(),
        ),
        case(
            "a method of 100,000 letters",
            request(&format!("{} {to} HTTP/1.1", "A".repeat(100_000)), ""),
            Refused(&[400, 431]),
        ),
        line("TRACE /in/acme/in HTTP/1.1", refused.clone()),
        line("OPTIONS /in/acme/in HTTP/1.1", refused.clone()),
        line("OPTIONS * HTTP/1.1", Refused(&[400, 404, 405])),
        line("GET /in/acme/in HTTP/1.1", refused.clone()),
        line("HEAD /in/acme/in HTTP/1.1", refused.clone()),
        line("DELETE /in/acme/in HTTP/1.1", refused.clone()),
        line("CONNECT edge:443 HTTP/1.1", refused.clone()),
        line("CONNECT /in/acme/in HTTP/1.1", refused.clone()),
        line("PRI * HTTP/2.0", Refused(&[400, 505])),
        case("the preface of HTTP/2, wrong at its end", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", Refused(&[400, 505])),
        case("the preface of HTTP/2 in one word", "PRI", Refused(&[400])),
        case("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), BAD),
        case("nothing but NULs", vec![0; 1000], BAD),
        case("nothing but lines", "\r\n".repeat(1000), Refused(&[400, 431])),
        case("nothing but 0xff", vec![0xff; 100_000], Refused(&[400, 431])),
    ]
}

pub(super) fn targets() -> Vec<Case> {
    let target = |target: &str, expected| {
        case(format!("`{}`", target.escape_debug()), request(&format!("POST {target} HTTP/1.1"), ""), expected)
    };
    let unknown = Refused(&[400, 404]);
    let long = |length: usize| format!("POST /in/acme/{} HTTP/1.1", "x".repeat(length));
    vec![
        target("/in/acme/in?a=b", Once("{}")),
        target("/in/acme/in?", Once("{}")),
        target("/in/acme/in#f", OnceOrRefused("{}")),
        target("/in/acme/in/", unknown.clone()),
        target("//in/acme/in", unknown.clone()),
        target("/in//acme/in", unknown.clone()),
        target("/in/acme//in", unknown.clone()),
        target("/in/acme/../acme/in", unknown.clone()),
        target("/in/acme/./in", unknown.clone()),
        target("/../in/acme/in", unknown.clone()),
        target("/in%2Facme%2Fin", unknown.clone()),
        target("/in/acme%2Fin", unknown.clone()),
        target("/in/acme/%69n", unknown.clone()),
        target("/in/acme/in%00", unknown.clone()),
        target("/in/acme/in%", unknown.clone()),
        target("/in/acme/in%zz", unknown.clone()),
        target("/in/acme/%2e%2e/acme/in", unknown.clone()),
        target("/in/acme/in\\", unknown.clone()),
        target("/in/acme/in;x", unknown.clone()),
        target("/IN/acme/in", unknown.clone()),
        target("/in/acme/é", unknown.clone()),
        target("/in/acme/in\u{1}", BAD),
        target("/in/acme/in\u{7f}", BAD),
        target("/in/acme/\0in", BAD),
        target("/in/acme/in\ry", BAD),
        target("in/acme/in", BAD),
        target("*", BAD),
        target("?", BAD),
        target("", BAD),
        target("edge:80", BAD),
        target("http://edge/in/acme/in", Once("{}")),
        target("HTTP://EDGE/in/acme/in", Once("{}")),
        target("https://edge/in/acme/in", OnceOrRefused("{}")),
        target("http://other/in/acme/in", BAD),
        target("http://me@edge/in/acme/in", BAD),
        target("http:///in/acme/in", BAD),
        target("http://edge", unknown.clone()),
        target("ftp://edge/in/acme/in", BAD),
        target("javascript:alert(1)", BAD),
        case("of 60,000 bytes", request(&long(60_000), ""), Refused(&[404, 414, 431])),
        case("of 64 KiB", request(&long(65_536), ""), Refused(&[414, 431])),
        case("of 1 MiB", request(&long(1 << 20), ""), Refused(&[414, 431])),
    ]
}

pub(super) fn hosts() -> Vec<Case> {
    let hosts = |name: &str, lines: &str, expected| {
        case(name, format!("POST /in/acme/in HTTP/1.1\r\n{lines}content-length: 2\r\n\r\n{{}}"), expected)
    };
    vec![
        hosts("none", "", BAD),
        hosts("two, equal", "host: edge\r\nhost: edge\r\n", BAD),
        hosts("two", "host: edge\r\nhost: other\r\n", BAD),
        hosts("empty", "host:\r\n", BAD),
        hosts("with a space", "host: a b\r\n", BAD),
        hosts("with a user", "host: me@edge\r\n", BAD),
        hosts("with a path", "host: edge/x\r\n", BAD),
        hosts("with a port that is none", "host: edge:x\r\n", BAD),
        hosts("with a port beyond all", "host: edge:65536\r\n", BAD),
        hosts("a list", "host: edge, other\r\n", BAD),
        hosts("folded", "host:\r\n edge\r\n", BAD),
        hosts("with UTF-8", "host: édge\r\n", BAD),
        hosts("an IPv6 address", "host: [::1]:80\r\n", Once("{}")),
        hosts("an IPv6 address without its end", "host: [::1\r\n", BAD),
        hosts("with a port", "host: edge:80\r\n", Once("{}")),
    ]
}
