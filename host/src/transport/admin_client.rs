//! The command line's own client for the admin interface of a host. Its address is the operator's, not a stranger's, so nothing
//! guards where it goes; what it reads is bounded all the same.

use super::error::tls_error;
use super::innermost;
use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode, header};
use reqwest::Url;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::timeout;

/// The longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// How long a request may take: the host compiles a module while it is asked, by itself for 300 s at most (`runtime.compile_time_s_max`).
const TIMEOUT: Duration = Duration::from_secs(330);
/// How long a download may take: as good as for ever, so long as something comes.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long a download waits for its next piece.
const PIECE_TIMEOUT: Duration = Duration::from_secs(60);

/// The environment's name for the file with the authorities that are trusted in place of the system's.
const AUTHORITIES: &str = "SSL_CERT_FILE";

/// Talks to the admin interface of one host.
#[derive(Clone, Debug)]
pub struct AdminClient {
    http: reqwest::Client,
    base: Url,
    key: header::HeaderValue,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AdminClientError {
    /// The address is not one.
    #[error("`{0}` is not the address of an admin interface: write it as http://127.0.0.1:8081")]
    Address(String),
    /// The key cannot stand in a header.
    #[error("the key has other characters than visible ASCII")]
    Key,
    /// No client came about.
    #[error("cannot set up the HTTP client: {0}")]
    Client(String),
    /// Nobody answered.
    #[error("no answer from {url}: {why}; is the host running there?")]
    NoAnswer {
        /// Who was asked.
        url: String,
        /// Why not.
        why: String,
    },
    /// What is there does not prove that it is who was asked.
    #[error(
        "the certificate of {url} is not accepted: {why}. The system's authorities are trusted, or those in the file that {AUTHORITIES} names; a \
         certificate that a host signs itself is to be made with `-addext basicConstraints=critical,CA:FALSE`"
    )]
    Certificate {
        /// Who was asked.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The file with the authorities is of no use.
    #[error("{AUTHORITIES} names {}: {why}", path.display())]
    Authorities {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// What is there speaks something else.
    #[error(
        "what answers at {url} does not speak {}: {why}; write {} if that is what it speaks",
        if *tls { "TLS" } else { "plain HTTP" },
        if *tls { "http://" } else { "https://" }
    )]
    Protocol {
        /// Who was asked.
        url: String,
        /// Whether TLS was spoken to it.
        tls: bool,
        /// What was wrong.
        why: String,
    },
    /// What came could not be kept.
    #[error("cannot keep what came: {0}")]
    Take(io::Error),
    /// The answer is longer than it may be.
    #[error("the answer of {url} is longer than {ANSWER_BYTES_MAX} bytes")]
    TooLong {
        /// Who was asked.
        url: String,
    },
}

impl AdminClient {
    /// A client for the host at `base` with this key.
    ///
    /// # Errors
    /// Where the address, the key or the file of authorities is not usable.
    pub fn new(base: &str, key: &str) -> Result<Self, AdminClientError> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let wrong = || AdminClientError::Address(base.to_owned());
        let base = Url::parse(base).map_err(|_| wrong())?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(wrong());
        }
        if base.scheme() == "https" {
            check_authorities()?;
        }
        let mut key = header::HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| AdminClientError::Key)?;
        key.set_sensitive(true);
        let http =
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().timeout(TIMEOUT).build();
        let http = http.map_err(|error| AdminClientError::Client(innermost(&error)))?;
        Ok(Self { http, base, key })
    }

    /// Puts a resource at `path`, and gives the answer's status and body.
    ///
    /// # Errors
    /// Where there is no whole answer.
    pub async fn put(&self, path: &str, media_type: &str, body: Bytes) -> Result<(u16, Bytes), AdminClientError> {
        self.send(Method::PUT, path, media_type, body).await
    }

    /// Sends a request to `path`, which may have a query, and gives the answer's status and body.
    ///
    /// # Errors
    /// Where there is no whole answer.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        media_type: &str,
        body: Bytes,
    ) -> Result<(u16, Bytes), AdminClientError> {
        let mut url = self.base.clone();
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        url.set_path(path);
        url.set_query(query);
        let request = self.http.request(method, url).header(header::AUTHORIZATION, self.key.clone());
        let request = request.header(header::CONTENT_TYPE, media_type).body(body);
        let answer = request.send().await.map_err(|error| self.no_answer(&error))?;
        self.whole(answer).await
    }

    /// Gets what is at `path`, of any length, piece by piece; where the answer is another than 200, its status and body instead.
    ///
    /// # Errors
    /// Where there is no whole answer, or `take` fails.
    pub async fn download(
        &self,
        path: &str,
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<Option<(u16, Bytes)>, AdminClientError> {
        let mut url = self.base.clone();
        url.set_path(path);
        let request = self.http.get(url).header(header::AUTHORIZATION, self.key.clone()).timeout(DOWNLOAD_TIMEOUT);
        let answer = timeout(PIECE_TIMEOUT, request.send()).await.map_err(|_| self.silent())?;
        let mut answer = answer.map_err(|error| self.no_answer(&error))?;
        if answer.status() != StatusCode::OK {
            let whole = timeout(PIECE_TIMEOUT, self.whole(answer)).await;
            return whole.map_err(|_| self.silent())?.map(Some);
        }
        loop {
            let piece = timeout(PIECE_TIMEOUT, answer.chunk()).await;
            match piece.map_err(|_| self.silent())?.map_err(|error| self.no_answer(&error))? {
                Some(piece) => take(&piece).map_err(AdminClientError::Take)?,
                None => return Ok(None),
            }
        }
    }

    /// The status and the whole body of an answer.
    async fn whole(&self, mut answer: reqwest::Response) -> Result<(u16, Bytes), AdminClientError> {
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.no_answer(&error))? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(AdminClientError::TooLong { url: self.base.to_string() });
            }
            body.extend_from_slice(&chunk);
        }
        Ok((answer.status().as_u16(), body.freeze()))
    }

    fn silent(&self) -> AdminClientError {
        AdminClientError::NoAnswer { url: self.base.to_string(), why: format!("nothing came for {PIECE_TIMEOUT:?}") }
    }

    fn no_answer(&self, error: &reqwest::Error) -> AdminClientError {
        let (url, why) = (self.base.to_string(), innermost(error));
        let mut next: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = next {
            match tls_error(error) {
                Some(rustls::Error::InvalidMessage(_)) => return AdminClientError::Protocol { url, tls: true, why },
                Some(rustls::Error::InvalidCertificate(wrong)) => {
                    return AdminClientError::Certificate { url, why: wrong.to_string() };
                }
                _ => {}
            }
            if error.downcast_ref().is_some_and(hyper::Error::is_parse) {
                return AdminClientError::Protocol { url, tls: false, why };
            }
            next = error.source();
        }
        AdminClientError::NoAnswer { url, why }
    }
}

/// Sees that the file of authorities can be read, where there is to be one. What takes them from it passes over a file that is not there.
fn check_authorities() -> Result<(), AdminClientError> {
    let Some(path) = std::env::var_os(AUTHORITIES).map(PathBuf::from) else { return Ok(()) };
    let found = std::fs::read(&path).map_err(|error| format!("it cannot be read: {error}"));
    let found = found.and_then(|pem| match CertificateDer::pem_slice_iter(&pem).next() {
        Some(Ok(_)) => Ok(()),
        _ => Err("it holds no certificate: `-----BEGIN CERTIFICATE-----` and so on".to_owned()),
    });
    found.map_err(|why| AdminClientError::Authorities { path, why })
}
