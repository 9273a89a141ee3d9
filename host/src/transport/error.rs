//! Why nothing came back: each kind has a stable code, and a text for whoever looks after the endpoint. No text holds the URL, which may
//! hold a secret.

use super::connecting::TooSlow;
use super::guard::ResolveError;
use std::error::Error;

/// The longest cause that is taken over from a library, in bytes.
const CAUSE_BYTES_MAX: usize = 300;

/// A request without an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The URL cannot be sent to. Trying again does not help.
    #[error("the URL cannot be sent to: {why}")]
    UrlInvalid {
        /// What is wrong with it.
        why: String,
    },
    /// The host must not connect there.
    #[error("refused to connect: {why}")]
    AddressRefused {
        /// Which address, and what it is.
        why: String,
    },
    /// The name has no address.
    #[error("name resolution failed: {why}")]
    Dns {
        /// Which name, and what the resolver said.
        why: String,
    },
    /// No connection came about.
    #[error("could not connect: {why}")]
    Connect {
        /// What the system said.
        why: String,
    },
    /// No connection came about within its time.
    #[error("could not connect within connect_timeout_ms ({connect_timeout_ms})")]
    ConnectTimeout {
        /// How long it was given.
        connect_timeout_ms: u64,
    },
    /// The connection is there, TLS over it is not.
    #[error("TLS failed: {why}")]
    Tls {
        /// What did not fit.
        why: String,
    },
    /// No answer came in time.
    #[error("no answer within timeout_ms ({timeout_ms})")]
    Timeout {
        /// How long it was given.
        timeout_ms: u64,
    },
    /// The answer did not begin in time.
    #[error("no answer began within first_byte_timeout_ms ({first_byte_timeout_ms})")]
    FirstByte {
        /// How long it was given.
        first_byte_timeout_ms: u64,
    },
    /// What came was not HTTP, or the connection broke before the answer.
    #[error("no proper HTTP answer: {why}")]
    Protocol {
        /// What was wrong.
        why: String,
    },
}

impl SendError {
    /// Stable, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UrlInvalid { .. } => "url_invalid",
            Self::AddressRefused { .. } => "address_refused",
            Self::Dns { .. } => "dns",
            Self::Connect { .. } | Self::ConnectTimeout { .. } => "connect",
            Self::Tls { .. } => "tls",
            Self::Timeout { .. } | Self::FirstByte { .. } => "timeout",
            Self::Protocol { .. } => "protocol",
        }
    }

    /// What a failed request was, by the errors that lie under the library's own.
    pub(super) fn of(error: &reqwest::Error, connect_timeout_ms: u64) -> Self {
        let mut why = String::new();
        let mut next: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = next {
            if let Some(resolve) = error.downcast_ref::<ResolveError>() {
                let why = resolve.to_string();
                return match resolve {
                    ResolveError::Refused { .. } => Self::AddressRefused { why },
                    ResolveError::Empty { .. } | ResolveError::Lookup { .. } => Self::Dns { why },
                };
            }
            if error.is::<TooSlow>() {
                return Self::ConnectTimeout { connect_timeout_ms };
            }
            if let Some(tls) = tls_error(error) {
                return Self::Tls { why: cut(&tls.to_string()) };
            }
            // The innermost says most; the outermost says the URL.
            why = error.to_string();
            next = error.source();
        }
        let why = cut(&why);
        if error.is_builder() {
            Self::UrlInvalid { why }
        } else if error.is_connect() && error.is_timeout() {
            Self::ConnectTimeout { connect_timeout_ms }
        } else if error.is_connect() {
            Self::Connect { why }
        } else {
            Self::Protocol { why }
        }
    }
}

/// TLS errors come wrapped in I/O errors, once or twice, and the `source` of these passes over what they wrap.
pub(super) fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut error = error;
    while let Some(wrapped) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        error = wrapped;
    }
    error.downcast_ref()
}

fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(CAUSE_BYTES_MAX)).unwrap_or(text).to_owned()
}
