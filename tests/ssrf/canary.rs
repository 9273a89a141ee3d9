//! Listeners that nobody may ever connect to, on as many addresses as there are. Each connection is counted, with the address that it reached.

use std::net::{IpAddr, SocketAddr};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// A connection that was accepted: from where, and to which address.
type Accepted = (SocketAddr, SocketAddr);

pub(crate) struct Canary {
    listeners: Vec<Listener>,
    _accepting: JoinSet<()>,
}

struct Listener {
    /// Where it can be reached by this process.
    at: SocketAddr,
    accepted: mpsc::UnboundedReceiver<Accepted>,
}

impl Canary {
    /// Listens at these addresses; those of IPv6 may be missing.
    pub(crate) async fn at(addresses: &[SocketAddr]) -> Self {
        let (mut listeners, mut accepting) = (Vec::new(), JoinSet::new());
        for address in addresses {
            let listener = match TcpListener::bind(address).await {
                Err(_) if address.is_ipv6() => continue,
                bound => bound.unwrap_or_else(|error| panic!("{address}: {error}")),
            };
            let mut at = listener.local_addr().unwrap();
            if at.ip().is_unspecified() {
                at.set_ip(IpAddr::from([127, 0, 0, 1]));
            }
            let (sender, accepted) = mpsc::unbounded_channel();
            accepting.spawn(async move {
                while let Ok((stream, from)) = listener.accept().await {
                    // Closed at once: whoever connected has shown that it can.
                    let reached = stream.local_addr().unwrap_or(at);
                    let _ = sender.send((plain(from), plain(reached)));
                }
            });
            listeners.push(Listener { at, accepted });
        }
        Self { listeners, _accepting: accepting }
    }

    /// How many addresses it listens at.
    pub(crate) fn len(&self) -> usize {
        self.listeners.len()
    }

    /// The addresses that were reached since this was asked last.
    ///
    /// Connections are accepted in the order in which they were made. So a connection of our own is made to each listener, and all that came
    /// before it have come.
    pub(crate) async fn reached(&mut self) -> Vec<SocketAddr> {
        let mut reached = Vec::new();
        for listener in &mut self.listeners {
            let own = TcpStream::connect(listener.at).await.unwrap();
            let own = own.local_addr().unwrap();
            while let Some((from, at)) = listener.accepted.recv().await {
                if from == own {
                    break;
                }
                reached.push(at);
            }
        }
        reached
    }
}

/// An IPv4 address as such, also where a socket for both families has accepted it.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
