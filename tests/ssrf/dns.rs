//! A name server on loopback, as an attacker would run one: what it answers may change with every question. Nothing is to be kept (TTL 0).
//!
//! It answers A and AAAA over UDP, whole chains of CNAME included, as a server does that resolves for others.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// The longest question that is read, and the longest answer, in bytes.
const MESSAGE_BYTES_MAX: usize = 512;
/// The most CNAMEs that are followed for one answer.
const CHAIN_MAX: usize = 8;

/// One record of an answer.
#[derive(Clone, Debug)]
pub(crate) enum Record {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Cname(String),
}

impl Record {
    const fn kind(&self) -> u16 {
        match self {
            Self::A(_) => A,
            Self::Cname(_) => 5,
            Self::Aaaa(_) => AAAA,
        }
    }
}

/// A record of the kind that an address needs.
impl From<IpAddr> for Record {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::A(address),
            IpAddr::V6(address) => Self::Aaaa(address),
        }
    }
}

const A: u16 = 1;
const AAAA: u16 = 28;

/// What a name answers: the first set of records to the first question for A, the second to the second, and the last to all that follow; in the same
/// way for AAAA.
#[derive(Clone, Debug, Default)]
struct Entry {
    turns: Vec<Vec<Record>>,
    asked: BTreeMap<u16, usize>,
}

type Zone = Arc<Mutex<BTreeMap<String, Entry>>>;

/// The server. Dropping it closes its port.
pub(crate) struct Dns {
    pub(crate) address: SocketAddr,
    zone: Zone,
    task: JoinHandle<()>,
}

impl Dns {
    /// A server at this address that knows no name.
    pub(crate) async fn at(address: SocketAddr) -> std::io::Result<Self> {
        let socket = UdpSocket::bind(address).await?;
        let address = socket.local_addr()?;
        let zone = Zone::default();
        let answers = Arc::clone(&zone);
        let task = tokio::spawn(async move {
            let mut buffer = [0; MESSAGE_BYTES_MAX];
            loop {
                // An error is one of a question before: its asker is gone.
                let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
                if let Some(answer) = answer(&buffer[..length], &answers) {
                    let _ = socket.send_to(&answer, from).await;
                }
            }
        });
        Ok(Self { address, zone, task })
    }

    /// Has a name answer these addresses.
    pub(crate) fn name(&self, name: &str, addresses: &[&str]) {
        self.turns(name, &[addresses]);
    }

    /// Has a name answer these addresses, by turns; the last ones for good.
    pub(crate) fn turns(&self, name: &str, turns: &[&[&str]]) {
        let record = |text: &&str| Record::from(text.parse::<IpAddr>().unwrap());
        let turns = turns.iter().map(|turn| turn.iter().map(record).collect()).collect();
        self.put(name, turns);
    }

    /// Has a name stand for another.
    pub(crate) fn alias(&self, name: &str, other: &str) {
        self.put(name, vec![vec![Record::Cname(other.to_owned())]]);
    }

    fn put(&self, name: &str, turns: Vec<Vec<Record>>) {
        self.zone.lock().unwrap().insert(name.to_owned(), Entry { turns, asked: BTreeMap::new() });
    }

    /// How often a name's IPv4 addresses were asked for.
    pub(crate) fn asked(&self, name: &str) -> usize {
        self.zone.lock().unwrap().get(name).and_then(|entry| entry.asked.get(&A)).copied().unwrap_or(0)
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The answer to a question; none to what is not one.
fn answer(question: &[u8], zone: &Zone) -> Option<Vec<u8>> {
    let id = question.get(..2)?;
    let (name, end) = read_name(question.get(12..)?)?;
    let asked = question.get(12..12 + end + 4)?;
    let kind = u16::from_be_bytes(asked.get(end..end + 2)?.try_into().ok()?);
    let found = zone.lock().unwrap().resolve(&name, kind);
    let (code, records) = found.map_or((3, Vec::new()), |records| (0, records));
    // A response, recursion desired and available; one question.
    let mut message = vec![id[0], id[1], 0x81, 0x80 | code, 0, 1];
    message.extend(u16::try_from(records.len()).ok()?.to_be_bytes());
    message.extend([0, 0, 0, 0]);
    message.extend(asked);
    for (owner, record) in records {
        message.extend(written(&owner));
        message.extend(record.kind().to_be_bytes());
        // Class IN, and a TTL of 0.
        message.extend([0, 1, 0, 0, 0, 0]);
        let data = match record {
            Record::A(address) => address.octets().to_vec(),
            Record::Aaaa(address) => address.octets().to_vec(),
            Record::Cname(name) => written(&name),
        };
        message.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        message.extend(data);
    }
    (message.len() <= MESSAGE_BYTES_MAX).then_some(message)
}

trait Resolve {
    /// The records of a name of this kind, with the CNAMEs on the way; none where there is no such name.
    fn resolve(&mut self, name: &str, kind: u16) -> Option<Vec<(String, Record)>>;
}

impl Resolve for BTreeMap<String, Entry> {
    fn resolve(&mut self, name: &str, kind: u16) -> Option<Vec<(String, Record)>> {
        let mut owner = name.to_owned();
        let mut found = Vec::new();
        for _ in 0..CHAIN_MAX {
            let entry = self.get_mut(&owner)?;
            let asked = entry.asked.entry(kind).or_default();
            let turn = entry.turns.get(*asked).or_else(|| entry.turns.last())?;
            *asked += 1;
            let fits = |record: &&Record| record.kind() == kind || matches!(record, Record::Cname(_));
            let records: Vec<Record> = turn.iter().filter(fits).cloned().collect();
            found.extend(records.iter().map(|record| (owner.clone(), record.clone())));
            match records.into_iter().next() {
                Some(Record::Cname(next)) => owner = next,
                _ => break,
            }
        }
        Some(found)
    }
}

/// A name as people write it, in lower case and without its last dot, and the bytes that it took.
fn read_name(bytes: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), 0);
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(bytes.get(at..at + length)?).to_lowercase());
        at += length;
    }
}

fn written(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}
