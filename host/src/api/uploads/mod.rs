//! Uploads on their way: kept in a file, lined up, compiled, made the version of their module. One that somebody waits for, and one
//! that was acknowledged at once, go the same way; a restart goes on with the second.
//!
//! What must hold: the uploads of one tenant become versions in the order in which they came; and what is removed meanwhile does not
//! come back.

mod board;

use super::change::{ChangeError, Changed, Configuration};
use super::modules::{UploadQuery, add_version};
use super::resources::{not_found, tenant_id};
use crate::clock::Clock;
use crate::config::{Kind, ModuleRecord, ResourceId};
use crate::model::{Actor, Digest, ModuleName, TenantName};
use crate::pipeline::{Library, Place, Scope, Turn};
use crate::problem::Problem;
use crate::store::{WaitingUpload, WaitingUploads, on_disk};
use board::{Board, Ticket};
use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::{JoinError, JoinHandle};

/// The uploads on their way. Cheap to clone.
#[derive(Clone)]
pub struct Uploads {
    inner: Arc<Inner>,
}

struct Inner {
    library: Library,
    configuration: Configuration,
    clock: Clock,
    waiting: WaitingUploads,
    board: Mutex<Board>,
    /// Held while an upload is taken or becomes a version, and while a module or a tenant is removed.
    changing: tokio::sync::Mutex<()>,
}

/// What an upload is for.
#[derive(Debug, Serialize, Deserialize)]
pub struct Purpose {
    /// The tenant; none for the operator.
    tenant: Option<TenantName>,
    /// The module.
    module: ModuleName,
    /// What was asked for beside.
    query: UploadQuery,
    /// By whom.
    #[serde(default = "Actor::host")]
    by: Actor,
}

/// One upload.
struct Job {
    /// Its file.
    number: u64,
    digest: Digest,
    id: ResourceId,
    query: UploadQuery,
    by: Actor,
}

type Done = Result<(Changed, ModuleRecord), Problem>;

impl Uploads {
    /// Takes up again the uploads that waited when the host last stopped, those in `found`; but for those that were never acknowledged.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn start(
        library: Library,
        configuration: Configuration,
        clock: Clock,
        waiting: WaitingUploads,
        found: Vec<WaitingUpload<Purpose>>,
    ) -> io::Result<Self> {
        let (board, changing) = (Mutex::default(), tokio::sync::Mutex::default());
        let uploads = Self { inner: Arc::new(Inner { library, configuration, clock, waiting, board, changing }) };
        for WaitingUpload { number, digest, purpose: Purpose { tenant, module, query, by } } in found {
            if !query.is_acknowledged() {
                uploads.inner.waiting.remove(number)?;
                continue;
            }
            let id = ResourceId { tenant, kind: Kind::Module, name: module.to_string() };
            tracing::info!(module = %id, %digest, "an upload that waits is taken up again");
            drop(uploads.begin(Job { number, digest, id, query, by }));
        }
        Ok(uploads)
    }

    /// Takes an upload, durably. The task it answers compiles it and makes it the version of its module, also where nobody waits for it.
    pub(super) async fn take(
        &self,
        by: Actor,
        id: ResourceId,
        query: UploadQuery,
        wasm: Bytes,
    ) -> Result<JoinHandle<Done>, Problem> {
        let module = id.name.parse().map_err(|_| Problem::internal())?;
        let purpose = Purpose { tenant: id.tenant.clone(), module, query: query.clone(), by: by.clone() };
        let (uploads, digest) = (self.clone(), Digest::of(&wasm));
        // In a task of its own: a client that hangs up leaves no file that nobody works on.
        let taken = tokio::spawn(async move {
            let _changing = uploads.inner.changing.lock().await;
            // It may have gone while the body came.
            let snapshot = uploads.inner.configuration.snapshot();
            if let Some(gone) = id.tenant.as_ref().filter(|tenant| snapshot.tenant(tenant).is_none()) {
                return Err(not_found(&tenant_id(gone)));
            }
            uploads.board().check_room(&id.tenant)?;
            let waiting = uploads.inner.waiting.clone();
            let number = with_files(move || waiting.put(digest, &purpose, &wasm)).await?;
            Ok(uploads.begin(Job { number, digest, id, query, by }))
        });
        taken.await.unwrap_or_else(|error| Err(broken_down(&error)))
    }

    /// Removes a module with the uploads that are to become it; `false` where there is neither.
    pub(super) async fn remove(&self, by: &Actor, id: ResourceId) -> Result<bool, Problem> {
        let _changing = self.inner.changing.lock().await;
        let removed = self.inner.configuration.remove(by, id.clone(), false).await?;
        let Some(files) = self.board().files(&id) else { return Ok(removed) };
        // Before they are forgotten: where the disk fails now, one can ask again.
        self.remove_files(files).await?;
        self.board().forget(&id);
        Ok(true)
    }

    /// Removes a tenant; `false` where there is none. It is not empty as long as uploads of it wait: they would become modules of a later
    /// tenant with that name.
    pub(super) async fn remove_tenant(&self, by: &Actor, id: ResourceId) -> Result<bool, ChangeError> {
        let _changing = self.inner.changing.lock().await;
        let scope = id.tenant.clone();
        if let Some(tenant) = scope.as_ref().filter(|_| self.board().is_awaited(&scope)) {
            return Err(ChangeError::NotEmpty(tenant.clone()));
        }
        let removed = self.inner.configuration.remove(by, id, false).await?;
        if removed {
            self.board().forget_refusals(&scope);
        }
        Ok(removed)
    }

    /// Adds to what is shown of a module how its latest upload is.
    pub(super) fn show(&self, id: &ResourceId, document: &mut Map<String, Value>) {
        self.board().show(id, document);
    }

    /// Whether a module has an upload that is not ready.
    pub(super) fn is_not_ready(&self, id: &ResourceId) -> bool {
        self.board().is_not_ready(id)
    }

    /// The names of a scope's modules that have an upload which is not ready.
    pub(super) fn not_ready(&self, tenant: &Option<TenantName>) -> BTreeSet<String> {
        self.board().not_ready(tenant).map(|id| id.name.clone()).collect()
    }

    fn begin(&self, job: Job) -> JoinHandle<Done> {
        // Together: who has the earlier ticket has the earlier place.
        let mut board = self.board();
        let ticket = board.begin(&job.id, job.digest, job.number);
        let place = self.inner.library.line_up_to_compile(&scope_of(&job.id));
        drop(board);
        tokio::spawn(self.clone().work(job, ticket, place))
    }

    async fn work(self, job: Job, ticket: Ticket, place: Place) -> Done {
        let Some(mut turn) = place.turn().await else { return Err(Problem::internal()) };
        let done = self.compile(&job, ticket, &mut turn).await;
        let refused = done.as_ref().err();
        if let Some(problem) = refused {
            tracing::info!(module = %job.id, code = problem.code, problem.detail, "an upload is refused");
        }
        let gone = match refused {
            None => self.board().files_up_to(&job.id, job.number),
            // What was acknowledged, and the host itself failed at, is tried again at the next start.
            Some(problem) if problem.status.is_server_error() && job.query.is_acknowledged() => Vec::new(),
            Some(_) => vec![job.number],
        };
        if let Err(problem) = self.remove_files(gone.clone()).await {
            tracing::error!(module = %job.id, problem.detail, "an upload that is through could not be removed");
        }
        self.board().end(&job.id, (ticket, job.number), &gone, refused);
        done
    }

    async fn compile(&self, job: &Job, ticket: Ticket, turn: &mut Turn) -> Done {
        let (waiting, number) = (self.inner.waiting.clone(), job.number);
        let wasm = with_files(move || waiting.get(number)).await?;
        let bytes = wasm.len() as u64;
        let module = self.inner.library.install(turn, wasm).await.map_err(ChangeError::from)?;
        let _changing = self.inner.changing.lock().await;
        if !self.board().is_wanted(&job.id, ticket) {
            let detail = format!("`{}` was removed while this upload was on its way", job.id);
            return Err(Problem::new(StatusCode::CONFLICT, "upload_cancelled", detail));
        }
        let now_ms = self.inner.clock.now_ms();
        Ok(add_version(&self.inner.configuration, &job.by, &job.id, &job.query, &module, bytes, now_ms).await?)
    }

    async fn remove_files(&self, numbers: Vec<u64>) -> Result<(), Problem> {
        let waiting = self.inner.waiting.clone();
        with_files(move || numbers.into_iter().try_for_each(|number| waiting.remove(number))).await
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.inner.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose turn a module's upload takes.
pub(super) fn scope_of(id: &ResourceId) -> Scope {
    id.tenant.clone().map_or(Scope::Operator, Scope::Tenant)
}

/// For a task that panicked.
pub(super) fn broken_down(error: &JoinError) -> Problem {
    tracing::error!(%error, "an upload broke down");
    Problem::internal()
}

/// What is to be said where the files fail.
async fn with_files<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Problem> {
    on_disk(work).await.map_err(|error| {
        tracing::error!(%error, "the files of uploads fail");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "uploads_unavailable", "the host's disk fails; its log says how")
    })
}
