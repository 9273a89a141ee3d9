//! Fills templates in. What is copied is paid for from one budget of bytes, before it is copied.

use hookswitch_guest::json::{Json, Pointer};
use hookswitch_guest::{Event, Failure, Message, time};

use crate::settings::OnMissing;
use crate::template::{Fact, Place, Template};
use crate::text::{Piece, Text};

/// How many bytes all outputs of a call may have together: 8 MiB.
pub const OUTPUT_BYTES_MAX: usize = 8 << 20;

/// What templates are filled in from.
pub(crate) struct Input<'a> {
    event: &'a Event,
    message: &'a Message,
    on_missing: OnMissing,
    /// Parsed when it is first asked for.
    body: Option<Json<'a>>,
    /// The element of `each` at hand.
    pub(crate) item: Option<Json<'a>>,
    bytes_left: usize,
}

impl<'a> Input<'a> {
    pub(crate) fn new(event: &'a Event, message: &'a Message, on_missing: OnMissing) -> Self {
        Self { event, message, on_missing, body: None, item: None, bytes_left: OUTPUT_BYTES_MAX }
    }

    /// The message's body.
    pub(crate) fn body(&mut self) -> Result<&mut Json<'a>, Failure> {
        Ok(match &mut self.body {
            Some(body) => body,
            empty => empty.insert(Json::parse(&self.message.body)?),
        })
    }

    /// Fills a template in; none where it is to be left out.
    pub(crate) fn value(&mut self, template: &'a Template) -> Result<Option<Json<'a>>, Failure> {
        Ok(Some(match template {
            Template::Constant(text) => {
                self.spend(text.len())?;
                Json::parse(text.as_bytes())?
            }
            Template::Text(text) => match self.text(text)? {
                Some(text) => Json::string(text),
                None => return Ok(None),
            },
            Template::Copy { place, default } => match (self.copy(place)?, default) {
                (Some(found), _) => found,
                (None, Some(default)) => return self.value(default),
                (None, None) => return Ok(self.missing(place)?.then(Json::null)),
            },
            Template::Fact(Fact::ReceivedAtMs) => Json::value(&self.event.received_at_ms.into()),
            Template::Fact(fact) => Json::string(self.fact(*fact)),
            Template::Array(templates) => {
                let items = templates.iter().filter_map(|template| self.value(template).transpose());
                Json::array(items.collect::<Result<_, _>>()?)
            }
            Template::Object(templates) => {
                let mut entries = Vec::with_capacity(templates.len());
                for (key, template) in templates {
                    if let Some(value) = self.value(template)? {
                        self.spend(key.len())?;
                        entries.push((key.as_str().into(), value));
                    }
                }
                Json::object(entries)
            }
        }))
    }

    /// Fills a text in; none where it is to be left out.
    pub(crate) fn text(&mut self, text: &Text) -> Result<Option<String>, Failure> {
        let mut filled = String::new();
        for piece in text.pieces() {
            match piece {
                Piece::Constant(text) => filled.push_str(text),
                Piece::Fact(fact) => filled.push_str(&self.fact(*fact)),
                Piece::Place(place) => match self.copy(place)? {
                    Some(found) => filled.push_str(&found.as_string()?.unwrap_or_else(|| found.to_text())),
                    None if self.missing(place)? => {}
                    None => return Ok(None),
                },
            }
        }
        Ok(Some(filled))
    }

    /// What is there, paid for.
    fn copy(&mut self, place: &Place) -> Result<Option<Json<'a>>, Failure> {
        let found = match place {
            Place::Body(pointer) => self.body()?.get(pointer)?.cloned(),
            Place::Item(pointer) => find(self.item.as_mut(), pointer)?,
        };
        if let Some(found) = &found {
            self.spend(found.text_bytes())?;
        }
        Ok(found)
    }

    /// Whether something empty is to stand for what is missing, or nothing at all.
    pub(crate) fn missing(&self, place: &Place) -> Result<bool, Failure> {
        match self.on_missing {
            OnMissing::Null => Ok(true),
            OnMissing::Omit => Ok(false),
            OnMissing::Fail => Err(Failure::input_invalid(format!(
                "there is no {place}; give it a `default`, or set `on_missing` to `null` or `omit`"
            ))),
        }
    }

    /// Takes bytes from the budget.
    pub(crate) fn spend(&mut self, bytes: usize) -> Result<(), Failure> {
        let over =
            || Failure::limit(format!("the outputs would have more than OUTPUT_BYTES_MAX, {OUTPUT_BYTES_MAX} bytes"));
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or_else(over)?;
        Ok(())
    }

    fn fact(&self, fact: Fact) -> String {
        match fact {
            Fact::Id => self.event.id.clone(),
            Fact::Type => self.message.event_type.clone(),
            Fact::Source => self.event.source.clone(),
            Fact::Tenant => self.event.tenant.clone(),
            Fact::ReceivedAt => time::rfc3339(self.event.received_at_ms),
            Fact::ReceivedAtMs => self.event.received_at_ms.to_string(),
        }
    }
}

fn find<'a>(json: Option<&mut Json<'a>>, pointer: &Pointer) -> Result<Option<Json<'a>>, Failure> {
    match json {
        Some(json) => Ok(json.get(pointer)?.cloned()),
        None => Ok(None),
    }
}
