//! TLS of a listener: its certificate and key, read from files, and read again while the host runs, since certificates end.
//!
//! What must hold: a listener that has TLS never speaks without it; a pair of files that cannot be used never takes the place of one that can.

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The longest file, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// What a client may ask for, best first (RFC 7301).
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// TLS of a listener, as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// A PEM file: the certificate, and behind it those that lead to the authority.
    pub cert_file: PathBuf,
    /// A PEM file with its private key.
    pub key_file: PathBuf,
    /// How often the files are read again. What is new is used when two looks in a row find it. 100 to 86,400,000; by itself 10,000.
    #[serde(default = "default_reload_ms")]
    pub reload_ms: u64,
    /// How long a handshake may take. 1 to 600,000; by itself 10,000.
    #[serde(default = "default_handshake_timeout_ms")]
    pub handshake_timeout_ms: u64,
}

const fn default_reload_ms() -> u64 {
    10_000
}

const fn default_handshake_timeout_ms() -> u64 {
    10_000
}

/// What the PEM of a private key with a passphrase has: in its first line, or in a header of the old form.
const ENCRYPTED: &[u8] = b"ENCRYPTED";

/// Why a pair of files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// One is not what it should be.
    #[error("{} is not the PEM of {wanted}", path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// What it should be.
        wanted: &'static str,
    },
    /// The key has a passphrase.
    #[error(
        "{name} is encrypted, and nobody is there to enter its passphrase: take it out with `openssl pkey -in {name} -out open.pem`, and give \
         that file to nobody but the host", name = key_file.display()
    )]
    Encrypted {
        /// The key's file.
        key_file: PathBuf,
    },
    /// They do not belong together.
    #[error("{} is not the key of the first certificate in {}", key_file.display(), cert_file.display())]
    Mismatch {
        /// The certificate's file.
        cert_file: PathBuf,
        /// The key's.
        key_file: PathBuf,
    },
    /// TLS cannot be spoken with them.
    #[error("{} and {} cannot be used: {error}", cert_file.display(), key_file.display())]
    Unusable {
        /// The certificate's file.
        cert_file: PathBuf,
        /// The key's.
        key_file: PathBuf,
        /// What the library said.
        error: rustls::Error,
    },
}

/// What reading the files again came to.
#[derive(Debug)]
pub enum Reloaded {
    /// There is nothing to say: they are what they were, or what was said already, or new since the last look and maybe half written.
    Nothing,
    /// They are new, the same at two looks, and used from now on.
    New,
    /// They are new and cannot be used. The pair before them still is.
    Refused(TlsError),
}

/// TLS of a listener.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    used: Arc<ServerConfig>,
    used_digest: [u8; 32],
    /// What was new at the last look, and whether it was said that it cannot be used. A pair is written one file after the other, and a
    /// chain certificate by certificate, so what is new is believed when it is the same at two looks.
    seen: Option<([u8; 32], bool)>,
}

impl Tls {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// Where they cannot be used.
    pub fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        let pair = Pair::read(files);
        let state = State { used_digest: pair.digest, used: pair.config(files)?, seen: None };
        Ok(Self { files: files.clone(), state: Mutex::new(state) })
    }

    /// Reads the files again. It blocks on the disk.
    pub fn reload(&self) -> Reloaded {
        let pair = Pair::read(&self.files);
        let mut state = self.state();
        let digest = pair.digest;
        if digest == state.used_digest {
            state.seen = None;
            return Reloaded::Nothing;
        }
        let Some((_, is_said)) = state.seen.filter(|(seen, _)| *seen == digest) else {
            state.seen = Some((digest, false));
            return Reloaded::Nothing;
        };
        if is_said {
            return Reloaded::Nothing;
        }
        match pair.config(&self.files) {
            Ok(config) => {
                *state = State { used: config, used_digest: digest, seen: None };
                Reloaded::New
            }
            Err(error) => {
                state.seen = Some((digest, true));
                Reloaded::Refused(error)
            }
        }
    }

    /// As it is written.
    pub(super) const fn files(&self) -> &TlsFiles {
        &self.files
    }

    /// How often to read them again.
    #[must_use]
    pub const fn reload_every(&self) -> Duration {
        Duration::from_millis(self.files.reload_ms)
    }

    /// Speaks TLS on a connection, and says whether HTTP/2 was asked for.
    pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> io::Result<(TlsStream<S>, bool)> {
        let acceptor = TlsAcceptor::from(self.state().used.clone());
        let most = Duration::from_millis(self.files.handshake_timeout_ms);
        let stream = timeout(most, acceptor.accept(stream)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((stream, http2))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the two files have in them.
struct Pair {
    certificate: Result<Vec<u8>, TlsError>,
    key: Result<Vec<u8>, TlsError>,
    /// What tells it from other pairs, and from files that cannot be read.
    digest: [u8; 32],
}

impl Pair {
    fn read(files: &TlsFiles) -> Self {
        let (certificate, key) = (read(&files.cert_file), read(&files.key_file));
        let mut hash = Sha256::new();
        for part in [&certificate, &key] {
            // The length first: the same bytes, cut elsewhere, are another pair.
            let bytes = part.as_deref().unwrap_or_default();
            hash.update([u8::from(part.is_ok())]);
            hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(bytes);
        }
        Self { certificate, key, digest: hash.finalize().into() }
    }

    fn config(self, files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
        let TlsFiles { cert_file, key_file, .. } = files;
        let pem = |path: &Path, wanted| TlsError::Pem { path: path.to_owned(), wanted };
        let no_certificate = || pem(cert_file, "a certificate: `-----BEGIN CERTIFICATE-----` and so on");
        let no_key = || pem(key_file, "a private key: `-----BEGIN PRIVATE KEY-----` and so on");
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.certificate?).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(no_certificate)?;
        let written = self.key?;
        let is_encrypted = written.windows(ENCRYPTED.len()).any(|window| window == ENCRYPTED);
        let key = PrivateKeyDer::from_pem_slice(&written).map_err(|_| match is_encrypted {
            true => TlsError::Encrypted { key_file: key_file.clone() },
            false => no_key(),
        })?;
        let unusable = |error| match error {
            rustls::Error::InconsistentKeys(_) => {
                TlsError::Mismatch { cert_file: cert_file.clone(), key_file: key_file.clone() }
            }
            error => TlsError::Unusable { cert_file: cert_file.clone(), key_file: key_file.clone(), error },
        };
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(unusable)?.with_no_client_auth();
        let mut config = builder.with_single_cert(chain, key).map_err(unusable)?;
        config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
        Ok(Arc::new(config))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let wrong = |error| TlsError::Read { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(wrong)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(wrong)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(wrong(io::Error::other(format!("it is longer than {FILE_BYTES_MAX} bytes"))));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use tempfile::TempDir;

    fn pair() -> (String, String) {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    fn files(dir: &TempDir) -> TlsFiles {
        let (cert_file, key_file) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        TlsFiles { cert_file, key_file, reload_ms: 100, handshake_timeout_ms: 100 }
    }

    fn write(files: &TlsFiles, certificate: &str, key: &str) {
        std::fs::write(&files.cert_file, certificate).unwrap();
        std::fs::write(&files.key_file, key).unwrap();
    }

    #[test]
    fn a_pair_that_cannot_be_used_is_refused_with_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(&dir);
        let ((certificate, key), other) = (pair(), pair());
        let error = || Tls::load(&files).unwrap_err().to_string();
        assert!(error().contains("cannot read") && error().contains("cert.pem"), "{}", error());
        write(&files, "", &key);
        assert!(error().contains("cert.pem is not the PEM of a certificate"), "{}", error());
        write(&files, &certificate, &certificate);
        assert!(error().contains("key.pem is not the PEM of a private key"), "{}", error());
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        write(&files, &certificate, encrypted);
        assert!(error().contains("key.pem is encrypted") && error().contains("openssl pkey"), "{}", error());
        write(&files, &certificate, &other.1);
        assert!(error().contains("key.pem is not the key of the first certificate in"), "{}", error());
        write(&files, &certificate.repeat(2000), &key);
        assert!(error().contains("longer than 1048576 bytes"), "{}", error());
        write(&files, &certificate, &key);
        Tls::load(&files).unwrap();
    }

    #[test]
    fn a_new_pair_is_used_and_a_wrong_one_is_said_once() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(&dir);
        let ((certificate, key), other) = (pair(), pair());
        write(&files, &certificate, &key);
        let tls = Tls::load(&files).unwrap();
        let first = tls.state().used.clone();
        let used = || tls.state().used.clone();
        assert!(matches!(tls.reload(), Reloaded::Nothing));
        write(&files, &other.0, &key);
        assert!(matches!(tls.reload(), Reloaded::Nothing), "the key may come a moment later");
        assert!(matches!(tls.reload(), Reloaded::Refused(TlsError::Mismatch { .. })));
        assert!(matches!(tls.reload(), Reloaded::Nothing), "it was said");
        assert!(Arc::ptr_eq(&first, &used()), "the old pair stays");
        std::fs::remove_file(&files.key_file).unwrap();
        assert!(matches!(tls.reload(), Reloaded::Nothing));
        assert!(matches!(tls.reload(), Reloaded::Refused(TlsError::Read { .. })));
        write(&files, &other.0, &other.1);
        assert!(matches!(tls.reload(), Reloaded::Nothing), "more of it may come");
        assert!(matches!(tls.reload(), Reloaded::New));
        assert!(!Arc::ptr_eq(&first, &used()));
        assert!(matches!(tls.reload(), Reloaded::Nothing));
    }
    #[test]
    fn a_chain_that_is_written_in_steps_is_never_used_half() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(&dir);
        let ((certificate, key), (authority, _)) = (pair(), pair());
        write(&files, &certificate.repeat(3), &key);
        let tls = Tls::load(&files).unwrap();
        let first = tls.state().used.clone();
        // The renewed one has the same key, so each step is a pair that could be used.
        for step in [certificate.clone(), certificate.repeat(2), certificate.clone() + &authority] {
            write(&files, &step, &key);
            assert!(matches!(tls.reload(), Reloaded::Nothing));
            assert!(Arc::ptr_eq(&first, &tls.state().used));
        }
        assert!(matches!(tls.reload(), Reloaded::New));
    }
}
