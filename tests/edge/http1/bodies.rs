//! Where a body ends: lengths, codings, chunks; and bodies and heads that are too large.

use super::Expected::{Once, OnceOrRefused, Refused, Times};
use super::{BAD, Case, case, post, smuggled};
use std::fmt::Write as _;

pub(super) fn framing() -> Vec<Case> {
    let with = |name: &str, headers: &str, rest: &str, expected| case(name, post(headers, rest), expected);
    let length = |value: &str, expected| {
        case(format!("length `{}`", value.escape_debug()), post(&format!("content-length:{value}\r\n"), "{}"), expected)
    };
    let coding = |value: &str, expected| {
        let head = format!("transfer-encoding:{value}\r\n");
        case(format!("coding `{}`", value.escape_debug()), post(&head, "2\r\n{}\r\n0\r\n\r\n"), expected)
    };
    let hidden = format!("0\r\n\r\n{}", smuggled());
    let both = "content-length: 6\r\ntransfer-encoding: chunked\r\n";
    vec![
        with("length, then coding", both, &hidden, OnceOrRefused("")),
        with("coding, then length", "transfer-encoding: chunked\r\ncontent-length: 6\r\n", &hidden, OnceOrRefused("")),
        with(
            "coding, and a length of all",
            &format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", hidden.len()),
            &hidden,
            OnceOrRefused(""),
        ),
        with("two equal lengths", "content-length: 2\r\ncontent-length: 2\r\n", "{}", OnceOrRefused("{}")),
        with("two lengths", "content-length: 2\r\ncontent-length: 70\r\n", "{}", BAD),
        with(
            "two lengths, the shorter last",
            "content-length: 70\r\ncontent-length: 2\r\n",
            &format!("{{}}{}", smuggled()),
            BAD,
        ),
        with(
            "coding, identity in a second line",
            "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
            &hidden,
            BAD,
        ),
        with("coding, said in two lines", "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", &hidden, BAD),
        with(
            "coding, with a space before the colon",
            "transfer-encoding : chunked\r\ncontent-length: 2\r\n",
            "{}",
            BAD,
        ),
        with("coding, folded", "transfer-encoding:\r\n chunked\r\n", &hidden, BAD),
        with("coding, in a folded line", "x: y\r\n transfer-encoding: chunked\r\ncontent-length: 2\r\n", "{}", BAD),
        with("coding, by another name", "transfer_encoding: chunked\r\ncontent-length: 2\r\n", "{}", Once("{}")),
        with(
            "coding, behind a bare LF",
            "x: y\ntransfer-encoding: chunked\r\ncontent-length: 6\r\n",
            &hidden,
            OnceOrRefused(""),
        ),
        with("coding, behind a bare CR", "x: y\rtransfer-encoding: chunked\r\ncontent-length: 2\r\n", "{}", BAD),
        case(
            "coding, in HTTP/1.0",
            format!("POST /in/acme/in HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n{hidden}"),
            BAD,
        ),
        case("length, in HTTP/1.0", "POST /in/acme/in HTTP/1.0\r\ncontent-length: 2\r\n\r\n{}", Once("{}")),
        with("no length", "", &format!(" {}", smuggled()), Refused(&[202, 400])),
        length(" 2", Once("{}")),
        length("2\t", Once("{}")),
        length(" 02", OnceOrRefused("{}")),
        length(" +2", BAD),
        length(" -2", BAD),
        length(" 0x2", BAD),
        length(" 2 2", BAD),
        length(" 2, 2", OnceOrRefused("{}")),
        length(" 2, 3", BAD),
        length(" 2;2", BAD),
        length("", BAD),
        length(" 2a", BAD),
        length(" 1e1", BAD),
        length(" 2.0", BAD),
        length(" \"2\"", BAD),
        length(" ２", BAD),
        length(" 18446744073709551615", Refused(&[400, 413, 431])),
        length(" 18446744073709551618", BAD),
        length(" 9223372036854775807", Refused(&[400, 413])),
        coding(" chunked", Once("{}")),
        coding("chunked", Once("{}")),
        coding(" CHUNKED", Once("{}")),
        coding("\tchunked\t", Once("{}")),
        coding(" chunked, identity", BAD),
        coding(" identity, chunked", BAD),
        coding(" chunked, chunked", BAD),
        coding(" gzip, chunked", BAD),
        coding(" chunked,", BAD),
        coding(" ,chunked", BAD),
        coding(" identity", BAD),
        coding(" xchunked", BAD),
        coding(" chunkedx", BAD),
        coding(" chunke", BAD),
        coding(" \"chunked\"", BAD),
        coding(" chunked;q=1", BAD),
        coding(" \u{b}chunked", BAD),
        coding(" chun\u{0}ked", BAD),
        coding(" \u{a0}chunked", BAD),
        coding("", BAD),
    ]
}

pub(super) fn chunks() -> Vec<Case> {
    let body = |name: &str, body: &str, expected| case(name, post("transfer-encoding: chunked\r\n", body), expected);
    let extension = format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(20_000));
    let each = "1;abcdefghijklmnop\r\nx\r\n".repeat(2_000) + "0\r\n\r\n";
    let trailers = "x: y\r\n".repeat(200);
    vec![
        body("one", "2\r\n{}\r\n0\r\n\r\n", Once("{}")),
        body("two", "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", Once("{}")),
        body("zeros before the size", "00000000000000000002\r\n{}\r\n0\r\n\r\n", OnceOrRefused("{}")),
        body("extension", "2;a=b;c=\"d\"\r\n{}\r\n0\r\n\r\n", Once("{}")),
        body("space behind the size", "2 \r\n{}\r\n0\r\n\r\n", OnceOrRefused("{}")),
        body("space before the size", " 2\r\n{}\r\n0\r\n\r\n", BAD),
        body("size that overflows", "10000000000000002\r\n{}\r\n0\r\n\r\n", BAD),
        body("size of 2^64-1", "ffffffffffffffff\r\n{}\r\n0\r\n\r\n", BAD),
        body("negative size", "-2\r\n{}\r\n0\r\n\r\n", BAD),
        body("size with a sign", "+2\r\n{}\r\n0\r\n\r\n", BAD),
        body("size with 0x", "0x2\r\n{}\r\n0\r\n\r\n", BAD),
        body("size that is no number", "g\r\n{}\r\n0\r\n\r\n", BAD),
        body("size with an underscore", "0_2\r\n{}\r\n0\r\n\r\n", BAD),
        body("no size", "\r\n{}\r\n0\r\n\r\n", BAD),
        body("very long extension", &extension, BAD),
        body("many extensions", &each, BAD),
        body("extension with a bare LF", "2;a\nb\r\n{}\r\n0\r\n\r\n", BAD),
        body("extension with a bare CR", "2;a\rb\r\n{}\r\n0\r\n\r\n", BAD),
        body("bare LF", "2\n{}\n0\n\n", BAD),
        body("bare LF behind the size", "2\n{}\r\n0\r\n\r\n", BAD),
        body("bare LF behind the data", "2\r\n{}\n0\r\n\r\n", BAD),
        body("bare CR behind the size", "2\r{}\r\n0\r\n\r\n", BAD),
        body("nothing behind the data", "2\r\n{}0\r\n\r\n", BAD),
        body("more data than the size", "2\r\n{}{}\r\n0\r\n\r\n", BAD),
        body("less data than the size", "4\r\n{}\r\n0\r\n\r\n", BAD),
        body("no last chunk", "2\r\n{}\r\n", BAD),
        body("no end behind the last chunk", "2\r\n{}\r\n0\r\n", BAD),
        body("trailer", "2\r\n{}\r\n0\r\nx: y\r\n\r\n", Once("{}")),
        body("trailer with a length", "2\r\n{}\r\n0\r\ncontent-length: 70\r\n\r\n", OnceOrRefused("{}")),
        body("trailer with a coding", "2\r\n{}\r\n0\r\ntransfer-encoding: chunked\r\n\r\n", OnceOrRefused("{}")),
        body("trailer with a host", "2\r\n{}\r\n0\r\nhost: other\r\n\r\n", OnceOrRefused("{}")),
        body("trailer without a colon", "2\r\n{}\r\n0\r\nnothing\r\n\r\n", BAD),
        body("trailer with a NUL", "2\r\n{}\r\n0\r\nx: \0\r\n\r\n", BAD),
        body("long trailer", &format!("2\r\n{{}}\r\n0\r\nx: {}\r\n\r\n", "y".repeat(70_000)), BAD),
        body("many trailers", &format!("2\r\n{{}}\r\n0\r\n{trailers}\r\n"), BAD),
        body("another request behind", &format!("2\r\n{{}}\r\n0\r\n\r\n{}", smuggled()), Times(2)),
        body("another request in a trailer", &format!("2\r\n{{}}\r\n0\r\n{}\r\n\r\n", smuggled()), BAD),
    ]
}

pub(super) fn sizes() -> Vec<Case> {
    let headers = |name: &str, headers: &str, expected| {
        case(name, post(&format!("{headers}content-length: 2\r\n"), "{}"), expected)
    };
    let mut numbered = String::new();
    for number in 0..1_000 {
        write!(numbered, "x-{number}: y\r\n").unwrap();
    }
    let large = 11 << 20;
    let body = "x".repeat(large);
    vec![
        headers("98 headers", &"x: y\r\n".repeat(98), Once("{}")),
        headers("99 headers", &"x: y\r\n".repeat(99), Refused(&[431])),
        headers("1,000 headers", &numbered, Refused(&[431])),
        headers("one of 60,000 bytes", &format!("x: {}\r\n", "y".repeat(60_000)), Once("{}")),
        headers("one of 70,000 bytes", &format!("x: {}\r\n", "y".repeat(70_000)), Refused(&[431])),
        headers("a name of 70,000 bytes", &format!("{}: y\r\n", "x".repeat(70_000)), Refused(&[400, 431])),
        case("a body of 11 MiB", post(&format!("content-length: {large}\r\n"), &body), Refused(&[413])),
        case(
            "a body of 11 MiB in one chunk",
            post("transfer-encoding: chunked\r\n", &format!("{large:x}\r\n{body}\r\n0\r\n\r\n")),
            Refused(&[413]),
        ),
        case("a length of 11 MiB and nothing", post(&format!("content-length: {large}\r\n"), ""), Refused(&[413])),
        case(
            "a length of 1 TiB and nothing",
            post(&format!("content-length: {}\r\n", 1_u64 << 40), ""),
            Refused(&[413]),
        ),
        case("100 MiB of zeros in 100 KiB of gzip", bomb(), Refused(&[413, 415])),
    ]
}

fn bomb() -> Vec<u8> {
    use std::io::Write as _;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..100 {
        gzip.write_all(&[0; 1 << 20]).unwrap();
    }
    let body = gzip.finish().unwrap();
    let head = post(&format!("content-encoding: gzip\r\ncontent-length: {}\r\n", body.len()), "");
    [head.as_bytes(), &body].concat()
}
