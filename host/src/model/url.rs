//! The URL of an endpoint, read by the one parser that sending uses (the WHATWG rules): what was checked is what is sent.

use url::Url;

/// A text that no delivery can be sent to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; write it as https://host/path")]
pub struct InvalidUrl(String);

impl InvalidUrl {
    pub(super) const fn new(why: String) -> Self {
        Self(why)
    }
}

/// Reads an `http` or `https` URL with a host, a port other than 0, and no user information.
///
/// # Errors
/// Where it is not one; the text does not repeat it, as it may hold a token.
pub fn parse_url(text: &str) -> Result<Url, InvalidUrl> {
    let wrong = |why: &str| Err(InvalidUrl(why.to_owned()));
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => return wrong(&format!("is not a URL: {error}")),
    };
    if !matches!(url.scheme(), "http" | "https") {
        return wrong("is not an http or https URL");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("has user information in it: send an authorization header instead");
    }
    if url.port_or_known_default().is_none_or(|port| port == 0) {
        return wrong("has no port");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_sent_to_is_a_url() {
        for good in ["https://example.com", "http://127.0.0.1:8080/a?b=c", "https://[::1]/x", "HTTPS://Example.com/ä"]
        {
            assert!(parse_url(good).is_ok(), "{good}");
        }
        let bad =
            ["", "/path", "example.com", "ftp://x/", "http://", "https://u:p@x/", "http://x:0/", "http://x:99999/"];
        // The last ones are what http::Uri takes and sending would not.
        for bad in bad.iter().chain(&["http://a b/", "http://1.2.3.4.5/", "http://256.0.0.1/", "http://[::1/"]) {
            assert!(parse_url(bad).is_err(), "{bad}");
        }
    }
}
