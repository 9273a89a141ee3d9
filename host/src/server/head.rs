//! What every request's head has to be, whatever it asks for. The parsers below look at each line by itself; this looks at what the lines say
//! together, so that no two servers in a row can read two different requests in one. Pure.
//!
//! A request that comes out of here has one authority, in `Host`, by whichever version of HTTP it came.

use crate::problem::Problem;
use http::header::{CONNECTION, EXPECT, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, Method, StatusCode, Version};

/// Checks a head, and puts its authority into `Host`.
pub(super) fn check(parts: &mut Parts, headers_max: usize) -> Result<(), Problem> {
    if parts.headers.len() > headers_max {
        let detail = format!("the request has more than headers_max = {headers_max} headers");
        return Err(Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_many", detail));
    }
    check_target(parts)?;
    check_host(parts)?;
    check_transfer_coding(parts)?;
    check_expectation(parts)
}

/// The target is a path, with a scheme and an authority before it or without; or `*`, where the method is `OPTIONS`.
fn check_target(parts: &Parts) -> Result<(), Problem> {
    if parts.method == Method::CONNECT {
        let detail = "this is no proxy: CONNECT is not done here";
        return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail));
    }
    let whole = parts.uri.scheme_str().is_none_or(|scheme| matches!(scheme, "http" | "https"));
    let path = parts.uri.path();
    if whole && (path.starts_with('/') || (path == "*" && parts.method == Method::OPTIONS)) {
        return Ok(());
    }
    let detail = "the request's target is neither a path nor a whole http or https URL";
    Err(Problem::new(StatusCode::BAD_REQUEST, "target_invalid", detail))
}

/// RFC 9112, section 3.2, and RFC 9113, section 8.3.1, but that a `Host` beside another authority is refused and not ignored.
fn check_host(parts: &mut Parts) -> Result<(), Problem> {
    let wrong = |detail: &str| Err(Problem::new(StatusCode::BAD_REQUEST, "host_invalid", detail));
    let mut hosts = parts.headers.get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return wrong("the request has more than one `Host`");
    }
    let host = match host.map(|value| authority(value.as_bytes())) {
        Some(None) => return wrong("`Host` is not a name or an address, with a port or without"),
        Some(host) => host,
        None => None,
    };
    let target = parts.uri.authority();
    if target.is_some_and(|target| authority(target.as_str().as_bytes()).is_none()) {
        return wrong("the authority of the request's target is not a name or an address, with a port or without");
    }
    match (host, target) {
        (Some(host), Some(target)) if !host.as_str().eq_ignore_ascii_case(target.as_str()) => {
            wrong("`Host` and the authority of the request's target are not the same")
        }
        (Some(_), _) => Ok(()),
        (None, Some(target)) => {
            let Ok(value) = HeaderValue::from_str(target.as_str()) else {
                return wrong("the authority of the request's target cannot stand in `Host`");
            };
            parts.headers.insert(HOST, value);
            Ok(())
        }
        (None, None) if parts.version < Version::HTTP_11 => Ok(()),
        (None, None) => wrong("the request says no `Host`"),
    }
}

/// A name or an address, with a port or without, and nothing else. User information is none of the host's business.
fn authority(bytes: &[u8]) -> Option<Authority> {
    let authority = Authority::try_from(bytes).ok()?;
    let text = authority.as_str();
    let port_fits = text.strip_prefix(authority.host()).is_some_and(|rest| {
        rest.is_empty()
            || rest
                .strip_prefix(':')
                .is_some_and(|port| port.is_empty() || port.parse::<u16>().is_ok_and(|_| !port.starts_with('+')))
    });
    (!authority.host().is_empty() && !text.contains('@') && port_fits).then_some(authority)
}

/// `chunked`, once, is all that is understood. A body in another coding would be taken for what it is not, and one that is chunked twice
/// is not what its sender means (RFC 9112, sections 6.1 and 7). That is 400 and not 501, which clients take for a fault of the host and try
/// again.
fn check_transfer_coding(parts: &Parts) -> Result<(), Problem> {
    let mut codings = parts.headers.get_all(TRANSFER_ENCODING).iter();
    let (first, second) = (codings.next(), codings.next());
    let chunked = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    if second.is_none() && first.is_none_or(chunked) {
        return Ok(());
    }
    let detail = "the only transfer coding that is understood is `chunked`, said once";
    Err(Problem::new(StatusCode::BAD_REQUEST, "transfer_coding_unknown", detail))
}

/// RFC 9110, section 10.1.1.
fn check_expectation(parts: &Parts) -> Result<(), Problem> {
    let met = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"100-continue");
    if parts.headers.get_all(EXPECT).iter().all(met) {
        return Ok(());
    }
    let detail = "the only expectation that is met is `100-continue`";
    Err(Problem::new(StatusCode::EXPECTATION_FAILED, "expectation_unknown", detail))
}

/// The last words on a connection: after a head that is wrong, nobody knows where the next one begins.
pub(super) fn close(headers: &mut http::HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn checked(
        version: Version,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Result<Parts, (u16, &'static str)> {
        let mut request = Request::builder().version(version).method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut parts = request.body(()).unwrap().into_parts().0;
        check(&mut parts, 4).map_err(|problem| (problem.status.as_u16(), problem.code))?;
        Ok(parts)
    }

    fn refused(version: Version, method: &str, target: &str, headers: &[(&str, &str)]) -> (u16, &'static str) {
        checked(version, method, target, headers).unwrap_err()
    }

    const H1: Version = Version::HTTP_11;

    #[test]
    fn a_request_has_one_host() {
        for good in ["a.example", "a.example:8080", "127.0.0.1:1", "[::1]", "[::1]:443", "LOCALHOST", "a.example:"] {
            checked(H1, "POST", "/", &[("host", good)]).unwrap();
        }
        for bad in
            ["", "a b", "a.example:x", "a.example:99999", "a.example:+1", "me@a.example", "a.example/", ":80", "[::1"]
        {
            assert_eq!(refused(H1, "POST", "/", &[("host", bad)]), (400, "host_invalid"), "{bad}");
        }
        assert_eq!(refused(H1, "POST", "/", &[]), (400, "host_invalid"));
        assert_eq!(refused(H1, "POST", "/", &[("host", "a"), ("host", "a")]), (400, "host_invalid"));
        checked(Version::HTTP_10, "POST", "/", &[]).unwrap();
        assert_eq!(refused(Version::HTTP_10, "POST", "/", &[("host", "")]), (400, "host_invalid"));
    }

    #[test]
    fn the_authority_of_the_target_is_the_host() {
        let parts = checked(Version::HTTP_2, "POST", "https://a.example/in", &[]).unwrap();
        assert_eq!(parts.headers["host"], "a.example");
        checked(Version::HTTP_2, "POST", "https://a.example/in", &[("host", "A.example")]).unwrap();
        checked(H1, "POST", "http://a.example/in", &[("host", "a.example")]).unwrap();
        for version in [H1, Version::HTTP_2] {
            let conflict = refused(version, "POST", "http://a.example/in", &[("host", "b.example")]);
            assert_eq!(conflict, (400, "host_invalid"));
            assert_eq!(refused(version, "POST", "http://me@a.example/", &[]), (400, "host_invalid"));
        }
        assert_eq!(refused(Version::HTTP_2, "POST", "/in", &[]), (400, "host_invalid"));
    }

    #[test]
    fn a_target_is_a_path() {
        let host = [("host", "a.example")];
        checked(H1, "OPTIONS", "*", &host).unwrap();
        assert_eq!(refused(H1, "GET", "*", &host), (400, "target_invalid"));
        assert_eq!(refused(H1, "GET", "a.example:80", &host), (400, "target_invalid"));
        assert_eq!(refused(H1, "GET", "ftp://a.example/", &host), (400, "target_invalid"));
        assert_eq!(refused(H1, "CONNECT", "a.example:80", &host), (405, "method_not_allowed"));
    }

    #[test]
    fn a_body_is_chunked_once_or_not_at_all() {
        let coded = |codings: &[&'static str]| {
            let mut headers = vec![("host", "a")];
            headers.extend(codings.iter().map(|coding| ("transfer-encoding", *coding)));
            checked(H1, "POST", "/", &headers)
        };
        coded(&["chunked"]).unwrap();
        coded(&["CHUNKED"]).unwrap();
        for codings in [
            &["gzip, chunked"][..],
            &["identity"],
            &["chunked, chunked"],
            &["chunked", "chunked"],
            &["chunked", "identity"],
            &["chunked;a=b"],
        ] {
            assert_eq!(coded(codings).unwrap_err(), (400, "transfer_coding_unknown"), "{codings:?}");
        }
    }

    #[test]
    fn expectations_and_many_headers_are_refused() {
        checked(H1, "POST", "/", &[("host", "a"), ("expect", "100-Continue")]).unwrap();
        for expectation in ["200-ok", "100-continue, x", ""] {
            let refused = refused(H1, "POST", "/", &[("host", "a"), ("expect", expectation)]);
            assert_eq!(refused, (417, "expectation_unknown"), "{expectation}");
        }
        let many = [("host", "a"), ("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")];
        assert_eq!(refused(H1, "GET", "/", &many), (431, "headers_too_many"));
    }
}
