//! The vocabulary as types: names, ids, events, runs, deliveries, jobs. Plain data: it decides nothing and touches nothing.

mod address_range;
mod audit;
mod delivery;
mod event;
mod header_rules;
mod health;
mod id;
mod job;
mod name;
mod run;
mod step_key;
mod url;
mod world;

pub use address_range::{AddressRange, InvalidAddressRange, is_in_network};
pub use audit::{Actor, ActorKind, AuditChange, AuditEntry};
pub use delivery::{Attempt, AttemptError, BodyRef, Delivery, DeliveryStatus, ENDPOINT_RESPONSE_BYTES_MAX, Turn};
pub use event::{
    DELIVERY_DEAD, Erased, Event, Header, Message, OPERATIONAL_SOURCE, PUBLISHED_SOURCE, SchemaError, SchemaVerdict,
    TEST_ROUTE,
};
pub use header_rules::{is_credential, is_header_for_modules, is_header_of_the_host};
pub use health::{EndpointHealth, EndpointState};
pub use id::{AuditId, DeliveryId, Digest, EventId, InvalidId, JobId, RunId};
pub use job::{Job, JobAction, JobFilter, JobState, PlanChoice};
pub use name::{EndpointName, InvalidName, KeyName, ModuleName, RouteName, SourceName, TenantName};
pub use run::{LogLevel, LogLine, Origin, Run, RunFailure, RunStatus, RunsAsked, StepTrace, Verdict};
pub use step_key::{InvalidStepKey, StepKey};
pub use url::{InvalidUrl, parse_url};
pub use world::World;
