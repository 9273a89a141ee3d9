//! The durable queue: closed transitions in, projections out.
//!
//! One committer thread applies transitions in groups and makes each group durable before it answers. Reads look at the same
//! trees from other threads. Nothing outside this layer knows about sled.
//!
//! Read in this order: `transition` (what can be written), `apply` (what that changes), `keys` (where it stands), `committer`
//! (how it becomes durable), `reader` (what can be asked).

mod apply;
mod audit;
mod backend;
mod backup;
mod batch_bytes;
mod body;
mod committer;
mod compiled_files;
#[cfg(test)]
mod contract;
mod dedup;
mod disk_backend;
mod error;
mod hint;
mod job;
mod journal;
mod key;
mod keys;
mod layers;
mod memory_backend;
mod meta;
mod module_files;
mod notice;
mod outcome;
mod owner;
mod reader;
mod record;
mod room;
#[cfg(test)]
mod simulated;
mod sled_backend;
mod sled_snapshot;
mod state;
mod statistics;
mod stored;
mod sweep;
mod tick;
mod transition;
mod tree;
mod usage;
mod view;
mod waiting_uploads;
mod whole_file;

pub use audit::Audited;
pub use backend::BackendError;
pub use backup::{
    Backup, BackupError, DataFiles, End as BackupEnd, Head as BackupHead, RestoreError, Restored, check_restored,
    restore, verify as verify_backup,
};
pub use compiled_files::CompiledFiles;
pub use error::{CommitError, OpenError, ReadError};
pub use hint::Hint;
pub use job::{JOBS_AT_WORK_MAX, JOBS_KEPT_MAX, JobEnd, JobItem, JobStep, REPLAYS_PER_EVENT_MAX, Replay};
pub use module_files::ModuleFiles;
pub use notice::Notice;
pub use outcome::{Former, Outcome};
pub use reader::{
    AuditFilter, Binding, Configuration, DeliveryFilter, Due, EventFilter, HeldRun, JobFound, KeptPeriod, OverSubjects,
    PAGE_BYTES_MAX, PAGE_ITEMS_MAX, Page, PendingRun, QUEUE_COUNTED_MAX, Queue, Reader, Waiting,
};
pub use room::DiskFull;
#[cfg(test)]
pub(crate) use simulated::Simulated;
pub use sled_backend::is_in_use;
pub use state::{StateChange, StateEntry, StateHead};
pub use sweep::{Sweep, Swept};
pub use tick::{Tick, TickMark};
pub use transition::{
    Accept, Configure, DEDUP_MS_MAX, HostFact, NewDelivery, Next, ResourceKey, RouteRun, RoutedRun, Settle, Transition,
};
pub use tree::Day;
pub use usage::Usage;
pub use waiting_uploads::{WaitingUpload, WaitingUploads};
pub use whole_file::{NewFile, make_dir, on_disk, write as write_whole};

use crate::model::{Delivery, DeliveryId, TenantName};
use crate::telemetry::Health;
use backend::Backend;
use bytes::Bytes;
use committer::{Committer, Job, Message};
use disk_backend::DiskBackend;
use memory_backend::MemoryBackend;
use room::Room;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot, watch};
use view::View;

/// How large things may get in a store. The defaults are right for most machines.
#[derive(Clone, Debug)]
pub struct Config {
    /// The page cache of the database on disk, in bytes; about this much memory is used.
    pub cache_bytes: u64,
    /// How long one of the journal's two files gets, about, in bytes; up to twice as much is kept in memory.
    pub journal_bytes_max: u64,
    /// How much is written to the database, about, in bytes, before it is noted anew what is where in it: at most this much more is read
    /// again at the next start.
    pub snapshot_bytes_min: u64,
    /// With less than this free on the disk, in bytes, [`Store::room`] says that it is full: what is left is for what became of the
    /// events that were taken.
    pub free_bytes_min: u64,
    /// How much may be committed while a backup is fetched, in bytes; it is kept in the data directory until that is done. Beyond it the
    /// backup fails.
    pub backup_redo_bytes_max: u64,
    /// With less than this free on the disk, in bytes, or than `free_bytes_min`, [`Store::little_room`] says so.
    pub free_bytes_low: u64,
    /// How many transitions become durable at once.
    pub group_transitions_max: usize,
    /// How many bytes a group has, about, before no more is added to it; and how many bytes of bodies are written at once.
    pub group_bytes_max: usize,
    /// How many bytes of records (bodies apart) one transition may write. They are one atomic write.
    pub transition_bytes_max: usize,
    /// How many transitions wait for the committer; who comes then waits to be let in.
    pub transitions_queued_max: usize,
    /// How many bytes the waiting transitions take, about; who comes then waits to be let in.
    pub queued_bytes_max: usize,
    /// How many of [`Store::read`] run at once; who comes then waits.
    pub reads_at_once_max: usize,
    /// How many groups' hints a subscriber may be behind before it loses the oldest.
    pub hints_kept_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cache_bytes: 16 * 1024 * 1024,
            journal_bytes_max: 4 * 1024 * 1024,
            snapshot_bytes_min: 128 * 1024 * 1024,
            free_bytes_min: 256 * 1024 * 1024,
            backup_redo_bytes_max: 1024 * 1024 * 1024,
            free_bytes_low: 1024 * 1024 * 1024,
            group_transitions_max: 256,
            group_bytes_max: 1024 * 1024,
            transition_bytes_max: 2 * 1024 * 1024,
            transitions_queued_max: 4096,
            queued_bytes_max: 64 * 1024 * 1024,
            reads_at_once_max: 8,
            hints_kept_max: 1024,
        }
    }
}

/// A handle to the store. Clones are the same store.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    queue: mpsc::Sender<Message>,
    /// What is left of `queued_bytes_max`, in units of [`ROOM_BYTES`].
    room: Arc<Semaphore>,
    room_max: u32,
    hints: broadcast::Sender<Arc<[Hint]>>,
    reader: Reader,
    reads: Arc<Semaphore>,
    panics: Arc<AtomicU64>,
    failure: watch::Receiver<Option<String>>,
    disk: Arc<Room>,
    /// One backup at a time.
    backups: Arc<Semaphore>,
    backup_redo_bytes_max: u64,
    committer: Mutex<Option<JoinHandle<()>>>,
}

/// The unit in which room in the queue is given out, in bytes.
const ROOM_BYTES: usize = 1024;

impl Store {
    /// Opens the store in `dir`, or makes it there. `health` learns of the workers `committer` and `checkpoint`.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing was changed then.
    pub fn open(dir: &Path, config: &Config, health: &Health) -> Result<Self, OpenError> {
        let backend = DiskBackend::open(dir, config, health.worker("checkpoint"))?;
        let room = Room::new(Some(dir), config.free_bytes_min, config.free_bytes_low);
        Self::with_room(Arc::new(backend), room, config, health)
    }

    /// A store in memory, empty and gone with its last handle: for tests and simulation.
    ///
    /// # Errors
    /// [`OpenError::Thread`] where the system has no thread left.
    pub fn in_memory(config: &Config, health: &Health) -> Result<Self, OpenError> {
        Self::over(Arc::new(MemoryBackend::default()), config, health)
    }

    fn over(backend: Arc<dyn Backend>, config: &Config, health: &Health) -> Result<Self, OpenError> {
        Self::with_room(backend, Room::new(None, 0, 0), config, health)
    }

    fn with_room(backend: Arc<dyn Backend>, disk: Room, config: &Config, health: &Health) -> Result<Self, OpenError> {
        let (queue, waiting) = mpsc::channel(config.transitions_queued_max.max(1));
        let (hints, _) = broadcast::channel(config.hints_kept_max.max(1));
        let room_max = u32::try_from(config.queued_bytes_max / ROOM_BYTES).unwrap_or(u32::MAX).max(1);
        let (panics, (failed, failure)) = (Arc::new(AtomicU64::new(0)), watch::channel(None));
        let committer = Committer {
            backend: Arc::clone(&backend),
            queue: waiting,
            hints: hints.clone(),
            health: health.worker("committer"),
            config: config.clone(),
            panics: Arc::clone(&panics),
            failed,
            recorder: None,
        };
        let thread = std::thread::Builder::new().name("committer".to_owned());
        let thread = thread.spawn(move || committer.run()).map_err(OpenError::Thread)?;
        let shared = Shared {
            queue,
            room: Arc::new(Semaphore::new(usize::try_from(room_max).unwrap_or(1))),
            room_max,
            hints,
            reader: Reader::new(backend),
            reads: Arc::new(Semaphore::new(config.reads_at_once_max.max(1))),
            panics,
            failure,
            disk: Arc::new(disk),
            backups: Arc::new(Semaphore::new(1)),
            backup_redo_bytes_max: config.backup_redo_bytes_max,
            committer: Mutex::new(Some(thread)),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Writes a transition. When this returns an [`Outcome`], that is durable: it survives a crash and a power cut.
    ///
    /// Once the transition is in the queue it is written, even if this future is dropped. Waits while the queue is full.
    ///
    /// # Errors
    /// See [`CommitError`]; after all but `Unknown` nothing was written.
    pub async fn commit(&self, transition: Transition) -> Result<Outcome, CommitError> {
        self.submit(transition).await?.await
    }

    /// Puts a transition in the queue, and answers what waits for its outcome. Who submits one after the other has them written in that
    /// order, and without a wait in between.
    ///
    /// # Errors
    /// [`CommitError::Closed`]; what the answer gives is as for [`Store::commit`].
    pub async fn submit(
        &self,
        transition: Transition,
    ) -> Result<impl Future<Output = Result<Outcome, CommitError>> + Send + use<>, CommitError> {
        let room = u32::try_from(transition.weight() / ROOM_BYTES).unwrap_or(u32::MAX).clamp(1, self.shared.room_max);
        let room = Arc::clone(&self.shared.room).acquire_many_owned(room).await.map_err(|_| CommitError::Closed)?;
        let (answer, outcome) = oneshot::channel();
        let job = Message::Commit(Job { transition, answer, room });
        self.shared.queue.send(job).await.map_err(|_| CommitError::Closed)?;
        let lost = || CommitError::Unknown { reason: "the committer ended".to_owned() };
        Ok(async move { outcome.await.unwrap_or_else(|_| Err(lost())) })
    }

    /// Whether it takes transitions: who does something that only a commit can record asks first.
    ///
    /// # Errors
    /// [`CommitError::Poisoned`] after a write failed, [`CommitError::Closed`] after [`Store::close`].
    pub fn check(&self) -> Result<(), CommitError> {
        match &*self.shared.failure.borrow() {
            Some(reason) => Err(CommitError::Poisoned { reason: reason.clone() }),
            None if self.shared.queue.is_closed() => Err(CommitError::Closed),
            None => Ok(()),
        }
    }

    /// Waits until a write has failed, and gives the reason. From then on nothing is written any more.
    pub async fn failed(&self) -> String {
        let mut failure = self.shared.failure.clone();
        // Of a committer that ended without a failure nothing will fail.
        match failure.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Whether the disk has room for more than what becomes of the events that were taken. Asked of the file system a few times a
    /// second at most.
    ///
    /// # Errors
    /// With less than `free_bytes_min` free. Where the file system does not say, there is room.
    pub fn room(&self) -> Result<(), DiskFull> {
        self.shared.disk.check()
    }

    /// What is to be said of the room on the disk, where it has become little since `low_since_ms` was none, or enough since it was not.
    #[must_use]
    pub fn little_room(&self, low_since_ms: Option<u64>) -> Option<HostFact> {
        self.shared.disk.news(low_since_ms)
    }

    /// What is new from now on, a group at a time, each once it is durable. A subscriber that lags is told so by the channel, and
    /// then reads its lanes anew.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<[Hint]>> {
        self.shared.hints.subscribe()
    }

    /// For a thread of one's own: reading blocks it.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.shared.reader.clone()
    }

    /// Reads on a thread that may block. At most `reads_at_once_max` at once, others wait.
    ///
    /// # Errors
    /// What `look` answers; [`ReadError::Internal`] where it panics.
    pub async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Reader) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let permit = Arc::clone(&self.shared.reads).acquire_owned().await.map_err(|_| ReadError::Internal)?;
        let reader = self.reader();
        let looking = tokio::task::spawn_blocking(move || {
            // It goes on where the caller is gone, so the permit goes with it.
            let _permit = permit;
            look(&reader)
        });
        looking.await.unwrap_or(Err(ReadError::Internal))
    }

    /// A delivery and what it carries; none where it is not pending. What was written a moment ago is still in memory, and comes
    /// without a thread that may block.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub async fn to_send(
        &self,
        tenant: &TenantName,
        delivery: DeliveryId,
    ) -> Result<Option<(Delivery, Bytes)>, ReadError> {
        if let Some(kept) = self.shared.reader.to_send_at_once(tenant, delivery) {
            return kept;
        }
        let tenant = tenant.clone();
        self.read(move |reader| reader.to_send(&tenant, delivery)).await
    }

    /// How many transitions were answered [`CommitError::Internal`] since the store was opened. More than 0 is a bug.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.shared.panics.load(Ordering::Relaxed)
    }

    /// Takes no more transitions, writes those that wait, and ends the committer. Reading goes on to work. Closing twice is
    /// closing once.
    pub async fn close(&self) {
        let thread = self.shared.committer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        // A committer that has ended already takes no message, and needs none.
        let _ = self.shared.queue.send(Message::Close).await;
        // How it ended is in `health`.
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }
}
