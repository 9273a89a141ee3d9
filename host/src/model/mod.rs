//! The vocabulary as types: names, ids, events, runs, deliveries. Plain data: it decides nothing and touches nothing.

mod delivery;
mod event;
mod id;
mod name;
mod run;
mod world;

pub use delivery::{Attempt, AttemptError, BodyRef, Delivery, DeliveryStatus, ENDPOINT_RESPONSE_BYTES_MAX};
pub use event::{Event, Header, Message};
pub use id::{DeliveryId, Digest, EventId, InvalidId, RunId};
pub use name::{EndpointName, InvalidName, ModuleName, RouteName, SourceName, TenantName};
pub use run::{LogLevel, LogLine, Origin, Run, RunFailure, RunStatus, StepTrace, Verdict};
pub use world::World;
