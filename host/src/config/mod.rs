//! What users declare: sources, modules, routes, endpoints of each tenant, from what they write to what the road uses.
//!
//! `resource` is one of any kind; `spec` is what people write (raw), with `secrets` read with care, `module` what uploads make. Parts of an endpoint, raw and
//! resolved, are in `signatures`, `auth`, `tls`, `cloudevents` and `target_url`, those of a source, which is in `source`, in
//! `verify_spec`, `verify`, `intake`, `from_cloudevents` and `schedule` (with `cron`). `event_type` is one of the catalogue, with its `schema`. `endpoint`, `resolve` (sources), `route`, `tenant` and `snapshot` make what
//! everything else reads: complete, checked, immutable, swapped as a whole. `key` is what an API key may do. `plan` is the part of a route that a run pins, `quotas` what a tenant may use. `seal` keeps secrets unreadable at rest. All of it is pure.

mod asking;
mod auth;
mod cloudevents;
mod cron;
mod endpoint;
mod event_type;
mod from_cloudevents;
mod intake;
mod key;
mod module;
mod pattern;
mod plan;
mod quotas;
mod resolve;
mod resource;
mod route;
mod schedule;
mod schema;
mod seal;
mod secrets;
mod signatures;
mod snapshot;
mod source;
mod spec;
mod target_url;
mod tenant;
mod tls;
mod verify;
mod verify_spec;

pub use asking::{Asking, VerificationSpec};
pub use auth::{Auth, AuthSpec, ClientAuth, Oauth2};
pub use cloudevents::{CloudEventsMode, CloudEventsSpec};
pub use endpoint::{Endpoint, EndpointKey};
pub use event_type::{EventType, EventTypeSpec, OnInvalid, UnknownEventTypes};
pub use from_cloudevents::{FromCloudEvents, FromCloudEventsSpec};
pub use intake::{EventMethod, Intake, MediaRange, Unwanted, media_type_of};
pub use key::{KeyRecord, KeyRole, KeySpec, Permission, key_text, scope_of_key};
pub use module::{
    MODULE_VERSIONS_MAX, ModuleOptions, ModuleRecord, ModuleVersion, QUARANTINE_AFTER, Role, VersionError, VersionRef,
};
pub use pattern::{EventTypePattern, InvalidPattern};
pub use plan::{CallTime, Canary, ModuleRef, OnFailure, Plan, PlanStep, Target, TimeBound};
pub use quotas::{QuotaSpec, Quotas, Rate};
pub(crate) use resolve::check_labels;
pub use resolve::{Asks, Maker, SECRETS_MAX, Source};
pub use resource::{Kind, ResourceId, Spec, parse, parse_as};
pub use route::Route;
pub use schedule::{Missed, Schedule, ScheduleSpec};
pub use schema::{OutOfSteps, Schema, memory_of};
pub use seal::{MasterKey, SealError};
pub use secrets::SecretSpec;
pub use signatures::{HeaderSignature, SignatureSpec};
pub use snapshot::{Invalid, Record, Snapshot};
pub use source::{DedupSpec, EventTypeRule, PublishSpec, SourceSpec};
pub use spec::{
    EndpointSpec, OperationalEvents, OrderingSpec, QuarantineSpec, RetrySpec, RouteSpec, StepSpec, TenantSpec,
};
pub use target_url::{TargetUrl, Unfilled, UrlVariable};
pub use tenant::Tenant;
pub use tls::{Tls, TlsSpec};
pub use verify::{DedupRule, Verify};
pub use verify_spec::VerifySpec;
