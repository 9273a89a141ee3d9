//! Why a change of configuration, or anything else that is asked of the store, is not made; and what is said of it to who asked.

use super::resources::not_found;
use crate::config::{Invalid, ResourceId, VersionError};
use crate::model::{EndpointName, TenantName};
use crate::pipeline::LibraryError;
use crate::problem::Problem;
use crate::runtime::ModuleError;
use crate::store::{CommitError, Outcome, ReadError};
use http::StatusCode;

/// Why a change is not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The resource itself does not fit.
    #[error(transparent)]
    Invalid(Invalid),
    /// Another resource needs it as it was.
    #[error("`{id}` needs it: {invalid}")]
    InUse {
        /// Which one.
        id: ResourceId,
        /// What would not fit there.
        invalid: Invalid,
    },
    /// A tenant still has resources.
    #[error("the tenant `{0}` still has sources, modules, endpoints or routes: remove them first")]
    NotEmpty(TenantName),
    /// Deliveries still wait for an endpoint that is to be removed.
    #[error("deliveries still wait for the endpoint `{0}`; remove it with `?pending=cancel` to give them up")]
    Waiting(EndpointName),
    /// A tenant is to be made, and another one of its name left events.
    #[error(
        "a tenant `{tenant}` was removed, and its events are kept for their time, until {} at the latest if they are finished; this one would \
         read them. Take another name, or wait until then; where it is the same customer, make it by `PUT /v1/tenants/{tenant}?former=keep`",
        date(*until_ms)
    )]
    Former {
        /// Its name.
        tenant: TenantName,
        /// When they will be gone: milliseconds since 1970-01-01T00:00:00Z.
        until_ms: u64,
    },
    /// A customer chose the labels of an endpoint.
    #[error(
        "the labels of an endpoint are not a customer's to choose: a new one has those of the token, another keeps its own; leave `labels` out"
    )]
    Labels,
    /// An endpoint became another customer's meanwhile.
    #[error("this token does not allow that")]
    NotOwn,
    /// A tenant has as many modules as it may.
    #[error(
        "the tenant's quota is used up: it has modules_max = {0} modules; remove one first, or ask the operator for more"
    )]
    ModulesQuota(u64),
    /// The versions of a module do not change like that.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// There is no such resource.
    #[error("there is no {}", .0.words())]
    Missing(ResourceId),
    /// A module that a route needs is not to be had.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The change was not made durable.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// What waits for an endpoint could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store answered what it must not.
    #[error("the store answered {0:?} to a change of configuration")]
    Answer(Outcome),
    /// A secret could not be sealed.
    #[error("a secret could not be sealed: {0}")]
    Seal(String),
    /// The machine gives no random numbers.
    #[error("the machine gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Invalid(Invalid { pointer, message }) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "resource_invalid", message).at(pointer)
            }
            ChangeError::InUse { .. } | ChangeError::NotEmpty(_) => {
                Self::new(StatusCode::CONFLICT, "in_use", error.to_string())
            }
            ChangeError::Former { until_ms, .. } => {
                Self::new(StatusCode::CONFLICT, "tenant_name_used", error.to_string()).with("until_ms", until_ms)
            }
            ChangeError::Labels => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "resource_invalid", error.to_string()).at("/labels")
            }
            ChangeError::NotOwn => Self::new(StatusCode::FORBIDDEN, "forbidden", error.to_string()),
            ChangeError::ModulesQuota(most) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded", error.to_string())
                    .with("quota", "modules_max")
                    .with("max", most)
            }
            ChangeError::Version(refused) => {
                let (status, code) = match refused {
                    VersionError::Unknown(_) => (StatusCode::NOT_FOUND, "version_unknown"),
                    VersionError::NoPrevious => (StatusCode::CONFLICT, "version_no_previous"),
                    VersionError::Active(_) => (StatusCode::CONFLICT, "version_active"),
                    VersionError::World { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "version_world"),
                    VersionError::Percent(_) => (StatusCode::UNPROCESSABLE_ENTITY, "canary_percent"),
                };
                Self::new(status, code, refused.to_string())
            }
            ChangeError::Missing(id) => not_found(&id),
            ChangeError::Waiting(_) => Self::new(StatusCode::CONFLICT, "deliveries_pending", error.to_string()),
            ChangeError::Library(LibraryError::Module(refused)) => {
                // The host's own fault is no word about the module.
                let is_host = matches!(refused, ModuleError::Host(_));
                let status = if is_host { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::UNPROCESSABLE_ENTITY };
                Self::new(status, refused.code(), refused.to_string())
            }
            // It would be as long the next time.
            ChangeError::Commit(CommitError::TooLong { bytes, bytes_max }) => {
                let detail = format!(
                    "this change writes {bytes} bytes at once, and at most {bytes_max} go at once: make what it changes smaller, or change fewer \
                     routes and tenants by it"
                );
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "change_too_long", detail)
            }
            ChangeError::Commit(error) => {
                tracing::error!(%error, "a change of configuration was not stored");
                let detail = "the change could not be made durable; ask again what is there before you try again";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail).retry_after_s(5)
            }
            ChangeError::Read(error) => error.into(),
            ChangeError::Library(_) | ChangeError::Answer(_) | ChangeError::Seal(_) | ChangeError::Random(_) => {
                tracing::error!(%error, "a change of configuration broke down");
                Self::internal()
            }
        }
    }
}

/// A time as people read it, in UTC.
fn date(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| format!("{ms} ms"), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_can_never_be_stored_is_not_to_be_tried_again() {
        let too_long = ChangeError::Commit(CommitError::TooLong { bytes: 3_000_000, bytes_max: 2_000_000 });
        let problem = Problem::from(too_long);
        assert_eq!((problem.status.as_u16(), problem.code, problem.retry_after_s), (422, "change_too_long", None));
        assert!(problem.detail.contains("3000000") && problem.detail.contains("2000000"), "{}", problem.detail);
        let closed = Problem::from(ChangeError::Commit(CommitError::Closed));
        assert_eq!((closed.status.as_u16(), closed.retry_after_s), (503, Some(5)));
    }
}
