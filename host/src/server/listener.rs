//! Where connections come in: a socket, and what is spoken on it.

use super::Config;
use super::tls::{Tls, TlsError};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// A socket that listens, with TLS or without.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: TcpListener,
    tls: Option<Arc<Tls>>,
}

/// Why a listener does not come about.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is taken, or none of this machine's.
    #[error("cannot listen on listen = \"{address}\": {error}")]
    Address {
        /// Which.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
}

impl Listener {
    /// Opens a listener. Nothing is accepted before [`super::serve`] is called with it.
    ///
    /// # Errors
    /// Where the address cannot be listened on, or its TLS cannot be spoken.
    pub async fn bind(config: &Config) -> Result<Self, ListenError> {
        let tls = config.tls.as_ref().map(Tls::load).transpose()?.map(Arc::new);
        let address = config.listen;
        let socket = TcpListener::bind(address).await.map_err(|error| ListenError::Address { address, error })?;
        Ok(Self { socket, tls })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Where the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Its TLS, where it has it.
    #[must_use]
    pub const fn tls(&self) -> Option<&Arc<Tls>> {
        self.tls.as_ref()
    }
}
