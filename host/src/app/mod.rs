//! Composition: opens the data directory, starts every part in its order, and ends them in the opposite one.

mod certificates;
mod keys;
mod logs;
mod restart;
mod settings;
mod supervise;

pub use keys::{MASTER_KEY_ENV, OPERATOR_KEY_ENV, rotate_master_key};
pub use settings::{DEFAULT as DEFAULT_SETTINGS, LogFormat, Settings, SettingsError};

use crate::api::{Access, Api, Configuration, KeyUses, Parts, Rooms, TokenKey, Uploads, quarantine, upkeep};
use crate::clock::Clock;
use crate::config::PlanStep;
use crate::deliverer::Deliverer;
use crate::ids::Ids;
use crate::ingest::Ingest;
use crate::jobs::Jobs;
use crate::model::Digest;
use crate::pipeline::{
    Library, Pipeline, Published, Retention, disk, notices, pending, retention, shadow, statistics, sweep,
};
use crate::runtime::{Compiler, Executor, Runtime};
use crate::server::{Listener, serve};
use crate::shutdown::{self, Shutdown, Trigger};
use crate::statistics::Recorder;
use crate::store::{CompiledFiles, DataFiles, ModuleFiles, Store, Transition, WaitingUploads};
use crate::telemetry::Health;
use crate::transport::Transport;
use crate::trial::Costs;
use anyhow::Context as _;
use hyper_util::service::TowerToHyperService;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use supervise::supervise;
use tokio::task::JoinSet;

/// What the key is for that authenticates compiled modules.
const COMPILED_LABEL: &str = "compiled modules";
/// What the key is for that signs tokens.
const TOKENS_LABEL: &str = "tokens";

/// Where a host listens. It outlives the host: one that takes another's place has the same addresses, and who connects meanwhile waits.
pub struct Sockets {
    ingest: Arc<Listener>,
    admin: Arc<Listener>,
}

impl Sockets {
    /// Opens both listeners.
    ///
    /// # Errors
    /// Where an address is taken, or is none of this machine's, or a certificate cannot be used.
    pub async fn bind(settings: &Settings) -> anyhow::Result<Self> {
        let ingest = Listener::bind(&settings.ingest.server).await.context("in [ingest]")?;
        let admin = Listener::bind(&settings.admin.server).await.context("in [admin]")?;
        Ok(Self { ingest: Arc::new(ingest), admin: Arc::new(admin) })
    }
}

/// Where a listener is; its text is a URL.
#[derive(Clone, Copy, Debug)]
pub struct At {
    address: SocketAddr,
    tls: bool,
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.address)
    }
}

/// A host at work.
pub struct Host {
    /// Where events are taken.
    pub ingest: At,
    /// Where the admin interface is.
    pub admin: At,
    edge: (Trigger, JoinSet<()>),
    workers: (Trigger, JoinSet<()>),
    store: Store,
    executor: Arc<Executor>,
    recorder: Recorder,
}

impl Host {
    /// Starts a host on `data`, a directory that is made where it is not there, by this clock. When this returns it takes events.
    ///
    /// # Errors
    /// Where a bound is out of range, the data directory is another host's or not readable, or the master key is not the one that its
    /// secrets are sealed with.
    pub async fn start(settings: &Settings, data: &Path, sockets: &Sockets, clock: Clock) -> anyhow::Result<Self> {
        let health = Health::default();
        crate::store::make_dir(data).with_context(|| format!("cannot make the data directory {}", data.display()))?;
        crate::store::check_restored(data)?;
        // First: it says that the directory is ours.
        let store = Store::open(&data.join("store"), &settings.store, &health).context("cannot open the store")?;
        store.commit(Transition::CountUsage).await.context("cannot count what tenants have in the store")?;
        let sealing = keys::Master::find(data)?;
        let (master, is_changed) = (&sealing.key, sealing.previous.is_some());
        if let Some(previous) = &sealing.previous {
            let secrets = crate::api::reseal(&store, previous, master).await.map_err(anyhow::Error::msg);
            let secrets = secrets.context("cannot seal the secrets with the new master key")?;
            sealing.keep(data)?;
            tracing::info!(
                secrets,
                "every secret is sealed with the new master key; the previous one is needed no more"
            );
        }
        let operator = keys::operator_key(data)?;
        let tokens = TokenKey::new(&master.derive(TOKENS_LABEL));
        let snapshot = crate::api::load(&store, master)
            .await
            .map_err(anyhow::Error::msg)
            .context("cannot read the configuration")?;
        // Now it has opened every secret: one that does not is no reason to take it for the right one from here on.
        sealing.keep(data)?;
        let runtime = Runtime::start(settings.runtime.clone()).context("cannot start the module runtime")?;
        let executor =
            Arc::new(Executor::start(&settings.runtime, &health).context("cannot start the module threads")?);
        let files = ModuleFiles::open(&data.join("modules")).context("cannot open the modules directory")?;
        let (compiler, confinement) = Compiler::subprocess(&settings.runtime).await?;
        let costs = Costs::new(settings.runtime.clone(), compiler.clone(), files.clone());
        tracing::info!(%confinement, "modules are compiled in processes of their own");
        // What was compiled of others only takes room: a run that is pinned to one has it compiled again.
        let known: BTreeSet<Digest> = snapshot.module_versions().collect();
        let (engine, key) = (runtime.engine_id(), master.derive(COMPILED_LABEL));
        let is_wanted = |digest: &Digest| !is_changed && known.contains(digest);
        let compiled = CompiledFiles::open(&data.join("compiled"), engine, &key, is_wanted)
            .context("cannot open the directory of compiled modules")?;
        if is_changed {
            tracing::info!(
                "compiled modules were vouched for by the previous master key: each is compiled again when it is needed"
            );
        }
        let (waiting, found) =
            WaitingUploads::open(&data.join("uploads")).context("cannot open the directory of waiting uploads")?;
        let backed_up = DataFiles { data: data.to_owned(), uploads: waiting.clone() };
        let library = Library::new(runtime, compiler, files, compiled);
        let transport = Transport::new(&settings.transport).context("in [transport]")?;
        let published = Published::new(snapshot);
        let recorder = Recorder::new(&settings.statistics);
        let pipeline = Pipeline::new(
            store.clone(),
            published.clone(),
            executor.clone(),
            library.clone(),
            recorder.clone(),
            clock.clone(),
            settings.pipeline.clone(),
        );
        let configuration = Configuration::new(
            store.clone(),
            library.clone(),
            executor.clone(),
            sealing.key,
            published.clone(),
            clock.clone(),
            settings.retention.events_s.saturating_mul(1000),
        );
        warm_up(&library, &configuration);
        let uploads = Uploads::start(library.clone(), configuration.clone(), clock.clone(), waiting, found)
            .context("cannot take up the waiting uploads")?;

        let (stop_workers, told_workers) = shutdown::channel();
        let mut workers = JoinSet::new();
        let deliverer = Deliverer::new(
            store.clone(),
            transport,
            published.subscribe(),
            recorder.clone(),
            clock.clone(),
            settings.deliverer.clone(),
        );
        let (told, throttles) = (told_workers.clone(), deliverer.throttles());
        workers.spawn(supervise(health.worker("deliverer"), told_workers.clone(), move || {
            let (deliverer, told) = (deliverer.clone(), told.clone());
            async move { deliverer.run(told).await }
        }));
        let (told, for_pending) = (told_workers.clone(), pipeline.clone());
        workers.spawn(supervise(health.worker("pending"), told_workers.clone(), move || {
            pending::work(for_pending.clone(), told.clone())
        }));
        let (told, for_sweeper) = (told_workers.clone(), store.clone());
        workers.spawn(supervise(health.worker("sweeper"), told_workers.clone(), move || {
            sweep::work(for_sweeper.clone(), told.clone())
        }));
        let (told, counted) = (told_workers.clone(), (recorder.clone(), store.clone(), clock.clone()));
        workers.spawn(supervise(health.worker("statistics"), told_workers.clone(), move || {
            let (recorder, store, clock) = counted.clone();
            statistics::work(recorder, store, clock, told.clone())
        }));
        let kept = Retention::new(settings.retention, clock.clone());
        let (told, parts) = (told_workers.clone(), (pipeline.clone(), kept.clone()));
        workers.spawn(supervise(health.worker("retention"), told_workers.clone(), move || {
            let (pipeline, kept) = parts.clone();
            retention::work(pipeline, kept, told.clone())
        }));
        let (told, for_shadow) = (told_workers.clone(), pipeline.clone());
        workers.spawn(supervise(health.worker("shadow"), told_workers.clone(), move || {
            shadow::work(for_shadow.clone(), told.clone())
        }));
        let (told, for_notices) = (told_workers.clone(), pipeline.clone());
        workers.spawn(supervise(health.worker("notices"), told_workers.clone(), move || {
            notices::work(for_notices.clone(), told.clone())
        }));
        let (told, for_disk) = (told_workers.clone(), (store.clone(), clock.clone()));
        workers.spawn(supervise(health.worker("disk"), told_workers.clone(), move || {
            disk::work(for_disk.0.clone(), for_disk.1.clone(), told.clone())
        }));
        let jobs = Jobs::new(store.clone(), published.clone(), clock.clone(), settings.jobs.clone());
        let (told, for_jobs) = (told_workers.clone(), jobs.clone());
        workers
            .spawn(supervise(health.worker("jobs"), told_workers.clone(), move || for_jobs.clone().work(told.clone())));
        let uses = store.read(|reader| reader.key_uses()).await.context("cannot read when keys were used")?;
        let key_uses = KeyUses::new(uses);
        let (told, parts) =
            (told_workers.clone(), (key_uses.clone(), configuration.clone(), store.clone(), clock.clone()));
        let audit_s = settings.retention.audit_s;
        workers.spawn(supervise(health.worker("upkeep"), told_workers.clone(), move || {
            let (uses, configuration, store, clock) = parts.clone();
            upkeep::work(uses, configuration, store, clock, audit_s, told.clone())
        }));
        for (name, listener) in [("ingest", &sockets.ingest), ("admin", &sockets.admin)] {
            let Some(tls) = listener.tls().cloned() else { continue };
            let (told, parts) = (told_workers.clone(), (tls, store.clone(), clock.clone()));
            let worker = health.worker(&format!("{name} certificate"));
            workers.spawn(supervise(worker, told_workers.clone(), move || {
                let (tls, store, clock) = parts.clone();
                certificates::watch(name, tls, store, clock, told.clone())
            }));
        }
        let ids = Ids::default();
        let ingest = Ingest::new(
            pipeline.clone(),
            store.clone(),
            published.subscribe(),
            recorder.clone(),
            clock.clone(),
            ids.clone(),
            settings.ingest.clone(),
        );
        let (told, for_schedules) = (told_workers.clone(), ingest.clone());
        workers.spawn(supervise(health.worker("schedules"), told_workers.clone(), move || {
            for_schedules.clone().tick(told.clone())
        }));
        let (told, parts) =
            (told_workers.clone(), (configuration.clone(), pipeline.clone(), clock.clone(), ids.clone()));
        workers.spawn(supervise(health.worker("quarantine"), told_workers, move || {
            let (configuration, pipeline, clock, ids) = parts.clone();
            quarantine::work(configuration, pipeline, clock, ids, told.clone())
        }));

        let (stop_edge, told_edge) = shutdown::channel();
        let mut edge = JoinSet::new();
        let shadows = pipeline.shadows().clone();
        let for_requests = ingest.clone();
        let ingest_at = listen(
            &mut edge,
            "ingest",
            &sockets.ingest,
            &settings.ingest.server,
            &health,
            told_edge.clone(),
            move |request| {
                let ingest = for_requests.clone();
                async move { ingest.handle(request).await }
            },
        )?;
        let access = Access { operator, tokens, hosts: settings.admin.hosts.clone() };
        let body_time_max = Duration::from_millis(settings.admin.server.body_timeout_ms);
        let parts = Parts {
            configuration,
            store: store.clone(),
            files: backed_up,
            library,
            uploads,
            pipeline,
            ingest,
            shadows,
            retention: kept,
            costs,
            jobs,
            executor: executor.clone(),
            recorder: recorder.clone(),
            throttles,
            clock,
            ids,
            health: health.clone(),
            access,
            key_uses,
            body_time_max,
            rooms: Rooms::new(settings.admin.in_flight_bytes_max),
        };
        let router = TowerToHyperService::new(Api::new(parts).router());
        let admin_at =
            listen(&mut edge, "admin", &sockets.admin, &settings.admin.server, &health, told_edge, move |request| {
                let router = router.clone();
                async move {
                    let Ok(response) = hyper::service::Service::call(&router, request).await;
                    response
                }
            })?;
        Ok(Self {
            ingest: ingest_at,
            admin: admin_at,
            edge: (stop_edge, edge),
            workers: (stop_workers, workers),
            store,
            executor,
            recorder,
        })
    }

    /// Stops: first the listeners, then, when every request under way has its answer, the workers, and last the store. Each wait is bounded
    /// by the settings of its part.
    pub async fn stop(self) {
        let (stop_edge, mut edge) = self.edge;
        stop_edge.fire();
        while edge.join_next().await.is_some() {}
        let (stop_workers, mut workers) = self.workers;
        stop_workers.fire();
        while workers.join_next().await.is_some() {}
        // It waits for jobs under way, each of which is bounded.
        let executor = self.executor;
        let _ = tokio::task::spawn_blocking(move || executor.shut_down()).await;
        if let Err(error) = statistics::keep(&self.recorder, &self.store, None).await {
            tracing::warn!(%error, "what was counted since the last whole minute is lost");
        }
        self.store.close().await;
    }
}

/// Serves a listener under supervision.
fn listen<S, F, B>(
    edge: &mut JoinSet<()>,
    name: &'static str,
    listener: &Arc<Listener>,
    config: &crate::server::Config,
    health: &Health,
    told: Shutdown,
    service: S,
) -> anyhow::Result<At>
where
    S: Fn(hyper::Request<crate::server::RequestBody>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = hyper::Response<B>> + Send + 'static,
    B: hyper::body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let address = listener.local_addr().with_context(|| format!("[{name}] listen"))?;
    let at = At { address, tls: listener.tls().is_some() };
    let (listener, config) = (Arc::clone(listener), config.clone());
    edge.spawn(supervise(health.worker(name), told.clone(), move || {
        let (listener, config, service, told) = (listener.clone(), config.clone(), service.clone(), told.clone());
        async move {
            serve(&listener, &config, service, told).await;
            Ok::<(), std::convert::Infallible>(())
        }
    }));
    Ok(at)
}

/// Loads the modules that routes use, one after the other and as many as memory is given, so that the first events find them ready.
fn warm_up(library: &Library, configuration: &Configuration) {
    let snapshot = configuration.snapshot();
    let library = library.clone();
    tokio::spawn(async move {
        let tenants = snapshot.tenant_names().filter_map(|name| snapshot.tenant(name));
        let routes = tenants.flat_map(|tenant| tenant.routes.values());
        let wanted: BTreeSet<_> =
            routes.flat_map(|route| route.plan.steps.iter().flat_map(PlanStep::versions)).collect();
        library.warm_up(wanted).await;
    });
}

pub use logs::init as init_logs;
