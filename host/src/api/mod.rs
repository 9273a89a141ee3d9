//! The admin interface: resources are declared, data is queried. Its own listener, bearer keys only, no CORS, `Host` checked.
//!
//! `operations` is the list of all that can be done, each behind `access`; `keys` are what opens it. `audit` tells who changed what.
//! `change` is how configuration changes, and `versions` how that of a module does; `resources`, `secrets` and `modules` put that on
//! HTTP; `quarantine` is the worker that does it where a module fails too often. `data` answers questions about events and deliveries, `rerun`
//! and `replay` run one again, `publish` takes what an application has to say, `jobs` has many done so, `endpoints` shows how they are doing, `state` what modules keep, `statistics` what was
//! counted, `backup` gives the whole store. Every refusal is a [`Problem`].

mod access;
mod audit;
mod backup;
mod body;
mod change;
mod change_error;
mod customers;
mod data;
mod endpoints;
mod jobs;
mod key_uses;
mod keys;
mod module_test;
mod modules;
mod operations;
mod publish;
pub mod quarantine;
mod refused;
mod replay;
mod rerun;
mod reseal;
mod resources;
mod room;
mod secrets;
mod state;
mod statistics;
mod tokens;
pub mod upkeep;
mod uploads;
mod usage;
mod versions;

pub use access::{Access, OperatorKey};
pub use change::{ChangeError, Configuration, load};
pub use key_uses::KeyUses;
pub use operations::{Operation, operations};
pub use reseal::reseal;
pub use room::Rooms;
pub use tokens::TokenKey;
pub use uploads::Uploads;

use crate::clock::Clock;
use crate::deliverer::Throttles;
use crate::ids::Ids;
use crate::ingest::Ingest;
use crate::jobs::Jobs;
use crate::pipeline::{Library, Pipeline, Retention, Shadows};
use crate::problem::Problem;
use crate::runtime::Executor;
use crate::statistics::Recorder;
use crate::store::{DataFiles, ReadError, Store};
use crate::telemetry::{Health, is_ready};
use crate::trial::Costs;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderValue, Request, StatusCode, header};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// The bounds of the admin interface.
#[derive(Clone, Debug)]
pub struct Config {
    /// The listener.
    pub server: crate::server::Config,
    /// Names that a request's `Host` may have, beside `localhost` and addresses. This keeps a browser that was led here by a name
    /// of somebody else's from talking to the host.
    pub hosts: Vec<String>,
    /// How many bytes the bodies of requests may take together, and as many again those of answers to questions; beyond it the answer is
    /// 503. 1,048,576 to 4,294,967,295; by itself 134,217,728.
    pub in_flight_bytes_max: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { server: crate::server::Config::default(), hosts: Vec::new(), in_flight_bytes_max: 128 << 20 }
    }
}

/// What the handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    inner: Arc<Parts>,
}

/// The parts that an [`Api`] is made of.
pub struct Parts {
    /// The configuration and how to change it.
    pub configuration: Configuration,
    /// Events and deliveries.
    pub store: Store,
    /// What a backup has beside the store.
    pub files: DataFiles,
    /// Compiled modules.
    pub library: Library,
    /// Modules on their way.
    pub uploads: Uploads,
    /// The road of an event.
    pub pipeline: Pipeline,
    /// Where the road begins.
    pub ingest: Ingest,
    /// What the shadows of modules have said.
    pub shadows: Shadows,
    /// What is kept for how long.
    pub retention: Retention,
    /// What modules cost, for those who try one.
    pub costs: Costs,
    /// What is done to many.
    pub jobs: Jobs,
    /// The threads that modules run on.
    pub executor: Arc<Executor>,
    /// What was counted.
    pub recorder: Recorder,
    /// What bounds the sends to endpoints.
    pub throttles: Throttles,
    /// The time.
    pub clock: Clock,
    /// Who makes ids.
    pub ids: Ids,
    /// The state of the workers.
    pub health: Health,
    /// Who may come in.
    pub access: Access,
    /// When each key was used last.
    pub key_uses: KeyUses,
    /// How long a request's body may take.
    pub body_time_max: Duration,
    /// How much memory bodies may take.
    pub rooms: Rooms,
}

impl Api {
    /// An interface over these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { inner: Arc::new(parts) }
    }

    /// The routes, ready to be served.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/readyz", get(readyz))
            .merge(operations::router(self))
            .fallback(unknown_path)
            .method_not_allowed_fallback(wrong_method)
            .layer(axum::middleware::from_fn_with_state(self.clone(), room::bound_answers))
            .layer(axum::middleware::from_fn_with_state(self.clone(), access::require_host))
            // By whatever name: who looks whether a host lives, as a load balancer does, may not know how it is called, and is told nothing else.
            .route("/healthz", get(healthz).fallback(wrong_method))
            .with_state(self.clone())
    }

    fn parts(&self) -> &Parts {
        &self.inner
    }
}

async fn healthz() -> &'static str {
    "ok\n"
}

/// 200 while every worker is at work, 503 otherwise; either way it says how each one is.
async fn readyz(State(api): State<Api>) -> Response {
    let report = api.parts().health.report();
    // Of the same moment: whoever reads that the host is not ready finds the worker that is not.
    let ready = is_ready(&report);
    let workers: Vec<_> = report
        .into_iter()
        .map(|(name, report)| {
            json!({
                "name": name,
                "state": report.state,
                "restarts": report.restarts,
                "last_error": report.last_error,
            })
        })
        .collect();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(json!({ "ready": ready, "workers": workers }))).into_response()
}

/// How long things are kept, and how far the sweeps have come.
async fn retention(State(api): State<Api>) -> Response {
    axum::Json(api.parts().retention.report()).into_response()
}

/// Whoever may not come in is not told what there is.
async fn unknown_path(State(api): State<Api>, request: Request<Body>) -> Problem {
    if let Err(refused) = access::identify(&api, request.headers()) {
        return refused;
    }
    let path = request.uri().path();
    let hint = match path {
        "/v1" | "/v1/" => ": tenants are at `/v1/tenants`, what the operator has is below `/v1/operator`",
        _ if path.ends_with('/') => ": leave the slash at its end out",
        _ => "",
    };
    let detail = format!("there is nothing at `{path}`{hint}");
    Problem::new(StatusCode::NOT_FOUND, "path_unknown", detail)
}

async fn wrong_method(State(api): State<Api>, request: Request<Body>) -> Problem {
    if let Err(refused) = access::identify(&api, request.headers()) {
        return refused;
    }
    let detail = format!("`{}` cannot be done at `{}`", request.method(), request.uri().path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.to_response().map(Body::new);
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        if error == ReadError::Cursor {
            return Self::new(StatusCode::BAD_REQUEST, "cursor_invalid", error.to_string());
        }
        tracing::error!(%error, "the store cannot be read");
        let detail = "the store cannot be read; the host's log says why";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail).retry_after_s(5)
    }
}
