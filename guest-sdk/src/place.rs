//! Places in an event that a step's settings name, and what is there. A filter that is told to count "per user" gets a [`Places`]
//! from its settings, and a digest of what is there from [`Facts`].
//!
//! | written | is |
//! | --- | --- |
//! | `/user/id` | a place in the message's JSON body, by JSON Pointer; the empty text is the whole body |
//! | `header:x-user` | a header of the event as received |
//! | `event:id`, `event:type`, `event:source`, `event:tenant` | a fact; the type is the message's, as the step before left it |
//! | `body` | the bytes of the message's body, in any format |
//!
//! What must hold: two digests are equal only if the same is at the same places. A string counts by its characters, anything else
//! as it is written: `1` and `1.0` are two things, and so are `1` and `"1"`.

use std::borrow::Cow;
use std::{fmt, slice};

use serde::Deserialize;
use serde::de::{self, SeqAccess, Visitor};
use sha2::{Digest as _, Sha256};

use crate::json::{Json, Pointer};
use crate::{Decision, Event, Failure, Message, accept, hex, reject};

/// How many places one setting may name.
pub const PLACES_MAX: usize = 16;

/// One place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the message's JSON body.
    Pointer(Pointer),
    /// A header of the event as received, by its name in lower case.
    Header(String),
    /// The event's id.
    Id,
    /// The message's type.
    Type,
    /// The event's source.
    Source,
    /// The event's tenant.
    Tenant,
    /// The bytes of the message's body.
    Body,
}

/// One place or a list of them; in settings a text or an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places(Vec<Place>);

/// SHA-256 of some places and what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

/// What a filter does about a message that has nothing at a place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnMissing {
    /// Fail, and name the place; the route's failure policy says what then.
    #[default]
    Fail,
    /// Let the message through.
    Accept,
    /// Stop it.
    Reject,
}

impl Place {
    /// Reads a place as it is written.
    ///
    /// # Errors
    /// Says what is wrong and what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        Ok(match text.split_once(':') {
            _ if text.is_empty() || text.starts_with('/') => {
                Self::Pointer(Pointer::parse(text).map_err(|error| error.to_string())?)
            }
            None if text == "body" => Self::Body,
            Some(("header", name)) if is_name(name) => Self::Header(name.to_ascii_lowercase()),
            Some(("event", "id")) => Self::Id,
            Some(("event", "type")) => Self::Type,
            Some(("event", "source")) => Self::Source,
            Some(("event", "tenant")) => Self::Tenant,
            _ => {
                return Err(format!(
                    "`{text}` is no place; write a JSON pointer such as `/user/id`, `header:NAME`, `event:id`, `event:type`, \
                     `event:source`, `event:tenant`, or `body`"
                ));
            }
        })
    }

    /// As it is written in settings; each place in one way only.
    #[must_use]
    pub fn written(&self) -> Cow<'_, str> {
        match self {
            Self::Pointer(pointer) => pointer.as_str().into(),
            Self::Header(name) => format!("header:{name}").into(),
            Self::Id => "event:id".into(),
            Self::Type => "event:type".into(),
            Self::Source => "event:source".into(),
            Self::Tenant => "event:tenant".into(),
            Self::Body => "body".into(),
        }
    }
}

impl Places {
    /// The places, in order; at least one.
    pub fn iter(&self) -> impl Iterator<Item = &Place> {
        self.0.iter()
    }

    fn checked(places: Vec<Place>) -> Result<Self, String> {
        match places.len() {
            0 => Err("there is no place; name at least one".to_owned()),
            1..=PLACES_MAX => Ok(Self(places)),
            count => Err(format!("there are {count} places; PLACES_MAX is {PLACES_MAX}")),
        }
    }
}

impl<'a> IntoIterator for &'a Places {
    type Item = &'a Place;
    type IntoIter = slice::Iter<'a, Place>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl From<Place> for Places {
    fn from(place: Place) -> Self {
        Self(vec![place])
    }
}

/// The message, its body parsed when the first place in it is asked for.
#[derive(Debug)]
pub struct Facts<'a> {
    event: &'a Event,
    message: &'a Message,
    body: Option<Json<'a>>,
}

impl<'a> Facts<'a> {
    /// Facts of this message.
    #[must_use]
    pub fn new(event: &'a Event, message: &'a Message) -> Self {
        Self { event, message, body: None }
    }

    /// The message's body as JSON.
    ///
    /// # Errors
    /// `input-invalid` if it is not JSON.
    pub fn json(&mut self) -> Result<&mut Json<'a>, Failure> {
        Ok(match &mut self.body {
            Some(body) => body,
            empty => empty.insert(Json::parse(&self.message.body)?),
        })
    }

    /// What is there as text: of a string its characters, of any other JSON what is written. None where there is nothing.
    ///
    /// # Errors
    /// `input-invalid` if the body has to be JSON or text, and is not.
    pub fn text(&mut self, place: &Place) -> Result<Option<String>, Failure> {
        Ok(match place {
            Place::Pointer(pointer) => match self.json()?.get(pointer)? {
                Some(json) => Some(json.as_string()?.unwrap_or_else(|| json.to_text())),
                None => None,
            },
            Place::Body => Some(self.message.text()?.to_owned()),
            Place::Header(name) => self.event.header(name).map(str::to_owned),
            Place::Id => Some(self.event.id.clone()),
            Place::Type => Some(self.message.event_type.clone()),
            Place::Source => Some(self.event.source.clone()),
            Place::Tenant => Some(self.event.tenant.clone()),
        })
    }

    /// The first of these places that has nothing.
    ///
    /// # Errors
    /// See [`Facts::text`].
    pub fn missing<'p>(&mut self, places: &'p Places) -> Result<Option<&'p Place>, Failure> {
        for place in places.iter() {
            let is_there = match place {
                Place::Pointer(pointer) => self.json()?.get(pointer)?.is_some(),
                Place::Header(name) => self.event.header(name).is_some(),
                Place::Id | Place::Type | Place::Source | Place::Tenant | Place::Body => true,
            };
            if !is_there {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// A digest of these places and what is there. `purpose` keeps digests for one thing apart from those for another.
    ///
    /// # Errors
    /// See [`Facts::text`].
    pub fn digest<'p>(
        &mut self,
        purpose: &str,
        places: impl IntoIterator<Item = &'p Place>,
    ) -> Result<Digest, Failure> {
        let mut hash = Sha256::new();
        let mut feed = |kind: u8, bytes: &[u8]| {
            hash.update([kind]);
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        feed(b'p', purpose.as_bytes());
        for place in places {
            feed(b'@', place.written().as_bytes());
            let is_json = match place {
                Place::Pointer(pointer) => {
                    self.json()?.get(pointer)?.is_some_and(|json| json.kind() != crate::json::Kind::String)
                }
                _ => false,
            };
            match place {
                Place::Body => feed(b't', &self.message.body),
                place => match self.text(place)? {
                    Some(text) => feed(if is_json { b'j' } else { b't' }, text.as_bytes()),
                    None => feed(b'-', b""),
                },
            }
        }
        Ok(Digest(hash.finalize().into()))
    }
}

impl Digest {
    /// The first 64 bits as a number: the same for the same digest, and as good as random otherwise.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.0.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }
}

impl OnMissing {
    /// What to do about a message that has nothing at this place.
    ///
    /// # Errors
    /// `input-invalid`, for [`OnMissing::Fail`].
    pub fn decide(self, place: &Place) -> Result<Decision, Failure> {
        match self {
            Self::Accept => Ok(accept()),
            Self::Reject => Ok(reject(format!("there is no {place}"))),
            Self::Fail => Err(Failure::input_invalid(format!(
                "there is no {place}; set `on_missing` to `accept` or `reject` if that may be"
            ))),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Pointer(pointer) => pointer.fmt(out),
            Self::Header(name) => write!(out, "header {name}"),
            Self::Id => out.write_str("event id"),
            Self::Type => out.write_str("event type"),
            Self::Source => out.write_str("source"),
            Self::Tenant => out.write_str("tenant"),
            Self::Body => out.write_str("body"),
        }
    }
}

/// 64 hex digits, for keys of state.
impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str(&hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Places {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Places;

            fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
                out.write_str("a place such as `/user/id`, or an array of places")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Places, E> {
                Place::parse(text).map(Places::from).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Places, A::Error> {
                let mut places = Vec::new();
                while let Some(place) = list.next_element()? {
                    places.push(place);
                }
                Places::checked(places).map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

#[cfg(test)]
mod tests;
