//! Which requests a source looks at, by what their heads say: the method, the media type, the address that they come from. Pure.
//!
//! None of it proves anything. It keeps out what cannot be meant, before anything is read or computed for it.

use super::resolve::at_most;
use super::{Invalid, SourceSpec};
use crate::model::AddressRange;
use http::Method;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

const MEDIA_RANGES_MAX: usize = 32;
const MEDIA_RANGE_BYTES_MAX: usize = 128;
const ADDRESS_RANGES_MAX: usize = 256;

/// Which requests a source looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intake {
    methods: Vec<EventMethod>,
    content_types: Vec<MediaRange>,
    allow_addresses: Vec<AddressRange>,
}

/// Why a request is not looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwanted {
    /// By its method.
    #[error("events are sent to this source with {0}")]
    Method(String),
    /// By its media type.
    #[error("this source takes {taken}, and the request {given}")]
    MediaType {
        /// What the request says.
        given: String,
        /// What is taken, as a list.
        taken: String,
    },
    /// By its address.
    #[error("this source takes requests from the addresses in its `allow_addresses` alone, and {0} is none of them")]
    Address(IpAddr),
}

impl Default for Intake {
    /// POST, of anything, from anybody.
    fn default() -> Self {
        Self { methods: EventMethod::post(), content_types: Vec::new(), allow_addresses: Vec::new() }
    }
}

impl Intake {
    pub(super) fn resolve(spec: &SourceSpec) -> Result<Self, Invalid> {
        if spec.methods.is_empty() {
            return Err(Invalid::new("/methods", "is empty: name at least one of POST, PUT and PATCH"));
        }
        at_most("/methods", spec.methods.len(), EventMethod::ALL.len())?;
        at_most("/content_types", spec.content_types.len(), MEDIA_RANGES_MAX)?;
        at_most("/allow_addresses", spec.allow_addresses.len(), ADDRESS_RANGES_MAX)?;
        Ok(Self {
            methods: spec.methods.clone(),
            content_types: spec.content_types.clone(),
            allow_addresses: spec.allow_addresses.clone(),
        })
    }

    /// Whether requests from there are looked at.
    ///
    /// # Errors
    /// Where they are not.
    pub fn check_address(&self, address: IpAddr) -> Result<(), Unwanted> {
        let is_in = |range: &AddressRange| range.contains(address);
        if self.allow_addresses.is_empty() || self.allow_addresses.iter().any(is_in) {
            return Ok(());
        }
        Err(Unwanted::Address(address))
    }

    /// Whether events are sent with this method.
    ///
    /// # Errors
    /// Where they are not.
    pub fn check_method(&self, method: &Method) -> Result<(), Unwanted> {
        if self.methods.iter().any(|one| one.as_str() == method.as_str()) {
            return Ok(());
        }
        Err(Unwanted::Method(self.allow()))
    }

    /// Whether a body of this media type is taken. `given` is the header, as it came; none where there is none.
    ///
    /// # Errors
    /// Where it is not.
    pub fn check_media_type(&self, given: Option<&str>) -> Result<(), Unwanted> {
        let media_type = given.map(media_type_of);
        let covers = |range: &MediaRange| media_type.is_some_and(|it| range.covers(it));
        if self.content_types.is_empty() || self.content_types.iter().any(covers) {
            return Ok(());
        }
        let given = media_type.map_or_else(
            || "has no `Content-Type`".to_owned(),
            |it| format!("has `{}`", it.chars().take(MEDIA_RANGE_BYTES_MAX).collect::<String>()),
        );
        Err(Unwanted::MediaType { given, taken: self.accept() })
    }

    /// The methods, as the header `Allow` has them.
    #[must_use]
    pub fn allow(&self) -> String {
        let names: Vec<&str> = self.methods.iter().map(|one| one.as_str()).collect();
        names.join(", ")
    }

    /// The media types, as the header `Accept` has them.
    #[must_use]
    pub fn accept(&self) -> String {
        let ranges: Vec<String> = self.content_types.iter().map(ToString::to_string).collect();
        ranges.join(", ")
    }
}

/// A method that events are sent with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EventMethod {
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
}

impl EventMethod {
    const ALL: [Self; 3] = [Self::Post, Self::Put, Self::Patch];

    /// `["POST"]`, the default.
    pub(super) fn post() -> Vec<Self> {
        vec![Self::Post]
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
        }
    }
}

/// Media types, without parameters: `application/json` or `text/*`. Lower case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MediaRange {
    kind: String,
    /// None for `*`.
    subtype: Option<String>,
}

/// A text that names no media types.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no media type: write `application/json` or `text/*`, at most {MEDIA_RANGE_BYTES_MAX} bytes, without parameters; \
     for any media type leave `content_types` out"
)]
pub struct InvalidMediaRange(String);

impl MediaRange {
    /// Whether this media type, in any case, is one of them.
    fn covers(&self, media_type: &str) -> bool {
        let Some((kind, subtype)) = media_type.split_once('/') else { return false };
        kind.eq_ignore_ascii_case(&self.kind)
            && self.subtype.as_ref().is_none_or(|own| own.eq_ignore_ascii_case(subtype))
    }
}

impl FromStr for MediaRange {
    type Err = InvalidMediaRange;
    fn from_str(text: &str) -> Result<Self, InvalidMediaRange> {
        let is_token = |part: &str| !part.is_empty() && part.bytes().all(|it| it != b'*' && is_of_a_token(it));
        match text.split_once('/') {
            Some((kind, subtype))
                if text.len() <= MEDIA_RANGE_BYTES_MAX && is_token(kind) && (subtype == "*" || is_token(subtype)) =>
            {
                let subtype = (subtype != "*").then(|| subtype.to_ascii_lowercase());
                Ok(Self { kind: kind.to_ascii_lowercase(), subtype })
            }
            _ => Err(InvalidMediaRange(text.chars().take(60).collect())),
        }
    }
}

impl TryFrom<String> for MediaRange {
    type Error = InvalidMediaRange;
    fn try_from(text: String) -> Result<Self, InvalidMediaRange> {
        text.parse()
    }
}

impl From<MediaRange> for String {
    fn from(range: MediaRange) -> Self {
        range.to_string()
    }
}

impl fmt::Display for MediaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.subtype.as_deref().unwrap_or("*"))
    }
}

/// A `Content-Type` without its parameters.
#[must_use]
pub fn media_type_of(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// RFC 9110, section 5.6.2.
const fn is_of_a_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intake(spec: &str) -> Intake {
        let spec = format!(r#"{{"verify": {{"scheme": "none"}}, {spec}}}"#);
        Intake::resolve(&serde_json::from_str(&spec).unwrap()).unwrap()
    }

    #[test]
    fn a_media_type_is_taken_by_name_or_by_kind_and_its_parameters_are_no_matter() {
        let json_or_text = intake(r#""content_types": ["Application/JSON", "text/*"]"#);
        for given in ["application/json", "APPLICATION/json;charset=utf-8", "text/plain", " text/csv ; header=present"]
        {
            assert_eq!(json_or_text.check_media_type(Some(given)), Ok(()), "{given}");
        }
        for given in [Some("application/xml"), Some("application/json2"), Some("text"), Some(""), None] {
            let error = json_or_text.check_media_type(given).unwrap_err().to_string();
            assert!(error.contains("takes application/json, text/*, and the request has "), "{error}");
        }
        assert_eq!(intake(r#""content_types": []"#).check_media_type(None), Ok(()));
    }

    #[test]
    fn what_is_no_media_type_is_refused_with_the_way_to_write_it() {
        for text in
            ["", "*/*", "*", "json", "application/", "/json", "a/b;c=d", "a/b c", "te*t/plain", &"a/".repeat(65)]
        {
            assert!(
                text.parse::<MediaRange>().unwrap_err().to_string().contains("leave `content_types` out"),
                "{text}"
            );
        }
        let long = format!("a/{}", "b".repeat(126));
        assert_eq!(long.parse::<MediaRange>().unwrap().to_string(), long);
        assert!(format!("{long}b").parse::<MediaRange>().is_err());
    }

    #[test]
    fn methods_and_addresses_are_those_that_are_named() {
        let by_itself = intake(r#""disabled": false"#);
        assert_eq!(by_itself.check_method(&Method::POST), Ok(()));
        assert_eq!(by_itself.check_method(&Method::PUT), Err(Unwanted::Method("POST".to_owned())));
        assert_eq!(by_itself.check_address([9, 9, 9, 9].into()), Ok(()));
        let narrow = intake(r#""methods": ["PUT", "PATCH"], "allow_addresses": ["10.0.0.0/8", "::1"]"#);
        assert_eq!(narrow.check_method(&Method::PATCH), Ok(()));
        assert_eq!(narrow.check_method(&Method::POST), Err(Unwanted::Method("PUT, PATCH".to_owned())));
        assert_eq!(narrow.check_address([10, 1, 2, 3].into()), Ok(()));
        assert_eq!(narrow.check_address("::1".parse().unwrap()), Ok(()));
        let other: IpAddr = [11, 0, 0, 0].into();
        assert_eq!(narrow.check_address(other), Err(Unwanted::Address(other)));
    }
}
