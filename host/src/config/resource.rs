//! A resource of any kind: where it stands, and how it is read and written as JSON. What each kind says is in `spec` and `module`.

use super::event_type::EventTypeSpec;
use super::key::KeyRecord;
use super::module::ModuleRecord;
use super::snapshot::Invalid;
use super::source::SourceSpec;
use super::spec::{EndpointSpec, QuarantineSpec, RouteSpec, TenantSpec};
use crate::model::TenantName;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::error::Category;
use std::fmt;

/// The kinds of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A tenant itself.
    Tenant,
    /// A module with its versions.
    Module,
    /// A version of a module that is not run for this tenant.
    Quarantine,
    /// An event type.
    EventType,
    /// A source.
    Source,
    /// An endpoint.
    Endpoint,
    /// A route.
    Route,
    /// An API key.
    Key,
}

impl Kind {
    /// As it stands in the store's keys.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Module => "module",
            Self::Quarantine => "quarantine",
            Self::EventType => "event-type",
            Self::Source => "source",
            Self::Endpoint => "endpoint",
            Self::Route => "route",
            Self::Key => "key",
        }
    }

    /// The opposite of [`Kind::as_str`].
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        [
            Self::Tenant,
            Self::Module,
            Self::Quarantine,
            Self::EventType,
            Self::Source,
            Self::Endpoint,
            Self::Route,
            Self::Key,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == text)
    }
}

/// Where a resource stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId {
    /// Its tenant; none for the operator's scope.
    pub tenant: Option<TenantName>,
    /// Its kind.
    pub kind: Kind,
    /// Its name, unique among those of its kind in its scope; for a tenant the tenant's own.
    pub name: String,
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = self.tenant.as_ref().map_or("operator", TenantName::as_str);
        write!(f, "{scope}/{}/{}", self.kind.as_str(), self.name)
    }
}

impl ResourceId {
    /// For people, in a sentence: "the source `in` of the tenant `acme`".
    #[must_use]
    pub fn words(&self) -> String {
        let kind = match self.kind {
            Kind::Tenant => return format!("tenant `{}`", self.name),
            Kind::EventType => "event type",
            other => other.as_str(),
        };
        match &self.tenant {
            Some(tenant) => format!("{kind} `{}` of the tenant `{tenant}`", self.name),
            None => format!("{kind} `{}` in the operator's scope", self.name),
        }
    }
}

/// A resource of any kind. Secrets in it are plain as people write them, sealed as they are stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Spec {
    /// See [`TenantSpec`].
    Tenant(TenantSpec),
    /// See [`ModuleRecord`].
    Module(ModuleRecord),
    /// See [`QuarantineSpec`].
    Quarantine(QuarantineSpec),
    /// See [`EventTypeSpec`].
    EventType(EventTypeSpec),
    /// See [`SourceSpec`].
    Source(SourceSpec),
    /// See [`EndpointSpec`].
    Endpoint(EndpointSpec),
    /// See [`RouteSpec`].
    Route(RouteSpec),
    /// See [`KeyRecord`].
    Key(KeyRecord),
}

/// Reads a resource from JSON.
///
/// # Errors
/// Where the text is not JSON, a key is unknown, missing or of the wrong type: the error points at it.
pub fn parse(kind: Kind, json: &[u8]) -> Result<Spec, Invalid> {
    match kind {
        Kind::Tenant => parse_as(json).map(Spec::Tenant),
        Kind::Module => parse_as(json).map(ModuleRecord::with_its_version).map(Spec::Module),
        Kind::Quarantine => parse_as(json).map(Spec::Quarantine),
        Kind::EventType => parse_as(json).map(Spec::EventType),
        Kind::Source => parse_as(json).map(Spec::Source),
        Kind::Endpoint => parse_as(json).map(Spec::Endpoint),
        Kind::Route => parse_as(json).map(Spec::Route),
        Kind::Key => parse_as(json).map(Spec::Key),
    }
}

/// Reads a JSON text as `T`, which is an object: nothing that people write has its fields by their order, though serde would take it.
///
/// # Errors
/// Where it is none: the error points at the place.
pub fn parse_as<T: for<'de> Deserialize<'de>>(json: &[u8]) -> Result<T, Invalid> {
    if json.trim_ascii_start().starts_with(b"[") {
        return Err(Invalid::new("", "is a list; it has to be an object: `{…}`"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer_of(error.path());
        let error = error.into_inner();
        let is_data = error.classify() == Category::Data;
        // Where one of several forms is wanted, serde_json takes another value for one that is not JSON.
        if !is_data && serde_json::from_slice::<IgnoredAny>(json).is_err() {
            return no_json(&error);
        }
        match (json.trim_ascii_start().starts_with(b"{"), is_data) {
            (false, _) => Invalid::new("", "has to be an object: `{…}`"),
            // The place is told by the pointer.
            (true, true) => Invalid::new(pointer, without_place(&error)),
            (true, false) => {
                Invalid::new(pointer, "has to be an object with one member that says which it is, or a text")
            }
        }
    })?;
    deserializer.end().map_err(|error| no_json(&error))?;
    Ok(value)
}

fn no_json(error: &serde_json::Error) -> Invalid {
    Invalid::new("", format!("is no JSON that can be read: {error}"))
}

/// The words of an error without the line and column that serde_json puts behind them, and without the host's own names for what is wanted.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&place).unwrap_or(&text);
    let own = [", expected struct ", ", expected internally tagged enum "];
    match own.iter().find_map(|own| text.split_once(own)) {
        Some((what, name)) if !name.contains(' ') => format!("{what}, expected an object: `{{…}}`"),
        _ => text.to_owned(),
    }
}

/// A JSON pointer (RFC 6901) to where reading stopped.
fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

impl Spec {
    /// What kind it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Tenant(_) => Kind::Tenant,
            Self::Module(_) => Kind::Module,
            Self::Quarantine(_) => Kind::Quarantine,
            Self::EventType(_) => Kind::EventType,
            Self::Source(_) => Kind::Source,
            Self::Endpoint(_) => Kind::Endpoint,
            Self::Route(_) => Kind::Route,
            Self::Key(_) => Kind::Key,
        }
    }

    /// As JSON, in the form that [`parse`] reads.
    ///
    /// # Errors
    /// Never for what came from [`parse`].
    pub fn to_json(&self) -> Result<Value, serde_json::Error> {
        match self {
            Self::Tenant(spec) => serde_json::to_value(spec),
            Self::Module(spec) => serde_json::to_value(spec),
            Self::Quarantine(spec) => serde_json::to_value(spec),
            Self::EventType(spec) => serde_json::to_value(spec),
            Self::Source(spec) => serde_json::to_value(spec),
            Self::Endpoint(spec) => serde_json::to_value(spec),
            Self::Route(spec) => serde_json::to_value(spec),
            Self::Key(key) => serde_json::to_value(key),
        }
    }

    /// The secrets in it with their JSON pointers, to be sealed, opened or hidden in place.
    pub fn secrets_mut(&mut self) -> Vec<(String, &mut String)> {
        match self {
            Self::Source(spec) => spec.secrets_mut(),
            Self::Endpoint(spec) => spec.secrets_mut(),
            _ => Vec::new(),
        }
    }
}

/// Whether a number is within its bounds, which are part of the answer where it is not.
pub(super) fn within(pointer: &str, value: u64, least: u64, most: u64) -> Result<(), Invalid> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Invalid::new(pointer, format!("{value} is not from {least} to {most}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_told_in_words_of_what_was_written() {
        let deep = format!(r#"{{"schedule": {{"payload": {}"#, "[".repeat(200));
        for (text, pointer, says) in [
            ("no json", "", "is no JSON that can be read: expected ident at line 1"),
            ("{} x", "", "is no JSON that can be read: "),
            ("{", "", "is no JSON that can be read: "),
            (&deep, "", "is no JSON that can be read: recursion limit exceeded"),
            (
                r#"{"event_type": 5}"#,
                "/event_type",
                "has to be an object with one member that says which it is, or a text",
            ),
            (
                r#"{"event_type": []}"#,
                "/event_type",
                "has to be an object with one member that says which it is, or a text",
            ),
            ("5", "", "has to be an object: `{…}`"),
            ("[]", "", "is a list; it has to be an object: `{…}`"),
            (r#"{"dedup": 5}"#, "/dedup", "invalid type: integer `5`, expected an object: `{…}`"),
            (r#"{"verify": 5}"#, "/verify", "expected an object: `{…}`"),
            (r#"{"rate_per_s": "x"}"#, "/rate_per_s", r#"invalid type: string "x", expected u32"#),
        ] {
            let told = parse(Kind::Source, text.as_bytes()).unwrap_err();
            assert!(told.pointer == pointer && told.message.contains(says), "{text}: {told:?}");
            assert!(told.message.starts_with("is no JSON") || !told.message.contains(" at line "), "{text}: {told:?}");
        }
    }

    #[test]
    fn a_resource_has_words_for_people() {
        let id = |tenant: Option<&str>, kind, name: &str| {
            ResourceId { tenant: tenant.map(|name| name.parse().unwrap()), kind, name: name.to_owned() }.words()
        };
        assert_eq!(id(Some("acme"), Kind::Tenant, "acme"), "tenant `acme`");
        assert_eq!(id(Some("acme"), Kind::EventType, "a.b"), "event type `a.b` of the tenant `acme`");
        assert_eq!(id(None, Kind::Key, "ci"), "key `ci` in the operator's scope");
    }
}
