//! A JSON value with places to fill in.

use hookswitch_guest::Failure;
use hookswitch_guest::json::{Json, Kind, Pointer};

use crate::text::{Piece, Text};

/// How many parts (values, and pieces of texts) all templates of a step may have.
pub const PARTS_MAX: usize = 2_000;
/// How deep a template may be nested.
pub const DEPTH_MAX: usize = 32;

/// A value of the payload to make.
#[derive(Debug, Clone)]
pub enum Template {
    /// A JSON text, as it stands in the settings.
    Constant(String),
    /// A string with places to fill in.
    Text(Text),
    /// What is there in the old payload.
    Copy {
        /// Where.
        place: Place,
        /// What to take where nothing is there.
        default: Option<Box<Template>>,
    },
    /// A fact about the event.
    Fact(Fact),
    /// An array.
    Array(Vec<Template>),
    /// An object.
    Object(Vec<(String, Template)>),
}

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the message's body.
    Body(Pointer),
    /// In the element of `each`.
    Item(Pointer),
}

/// What there is to know of the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// `evt_…`
    Id,
    /// The message's event type, as the step before left it.
    Type,
    /// The source's name.
    Source,
    /// The tenant's name.
    Tenant,
    /// As RFC 3339 in UTC with milliseconds.
    ReceivedAt,
    /// In milliseconds since 1970, as a number.
    ReceivedAtMs,
}

impl Fact {
    fn parse(name: &str) -> Result<Self, String> {
        Ok(match name {
            "id" => Self::Id,
            "type" => Self::Type,
            "source" => Self::Source,
            "tenant" => Self::Tenant,
            "received_at" => Self::ReceivedAt,
            "received_at_ms" => Self::ReceivedAtMs,
            _ => {
                return Err(format!(
                    "unknown `{name}`; of an event there are `id`, `type`, `source`, `tenant`, `received_at` and `received_at_ms`"
                ));
            }
        })
    }
}

/// Reads the templates of a step. Whatever is wrong is refused with the path to it.
pub(crate) struct Reader {
    has_item: bool,
    parts_left: usize,
}

impl Reader {
    /// `has_item`: whether there is an `each` whose elements can be pointed into.
    pub(crate) fn new(has_item: bool) -> Self {
        Self { has_item, parts_left: PARTS_MAX }
    }

    pub(crate) fn template(&mut self, json: &mut Json, path: &str) -> Result<Template, String> {
        self.value(json, path, DEPTH_MAX)
    }

    /// Reads a string with places to fill in.
    pub(crate) fn text(&mut self, text: &str, path: &str) -> Result<Text, String> {
        let text = Text::parse(text, self.has_item).map_err(|problem| format!("{path}: {problem}"))?;
        self.spend(text.pieces().len(), path)?;
        Ok(text)
    }

    fn value(&mut self, json: &mut Json, path: &str, depth: usize) -> Result<Template, String> {
        let at = |problem: String| format!("{path}: {problem}");
        let words = |failure: Failure| format!("{path}: {}", failure.message);
        self.spend(1, path)?;
        let depth = depth.checked_sub(1).ok_or_else(|| at(format!("a template has at most {DEPTH_MAX} levels")))?;
        match json.kind() {
            Kind::String => {
                let text = self.text(&json.as_string().map_err(words)?.unwrap_or_default(), path)?;
                Ok(match text.pieces() {
                    [] => Template::Constant("\"\"".to_owned()),
                    [Piece::Constant(text)] => Template::Constant(Json::string(text).to_text()),
                    _ => Template::Text(text),
                })
            }
            Kind::Array => {
                let items = json.items().map_err(words)?.into_iter().flatten().enumerate();
                let read = |(place, item)| self.value(item, &format!("{path}[{place}]"), depth);
                Ok(Template::Array(items.map(read).collect::<Result<_, _>>()?))
            }
            Kind::Object => {
                let entries = json.entries().map_err(words)?.map(Vec::as_mut_slice).unwrap_or_default();
                if let Some((key, _)) = entries.iter().find(|(key, _)| key.starts_with('$')) {
                    let key = key.clone().into_owned();
                    return self.place(&key, entries, path, depth);
                }
                let read = |(key, value): &mut (_, _)| {
                    let key = String::clone(key);
                    let value = self.value(value, &format!("{path}.{key}"), depth)?;
                    Ok((key, value))
                };
                let mut entries: Vec<_> =
                    entries.iter().map(|(key, value)| (key.clone().into_owned(), value.clone())).collect();
                Ok(Template::Object(entries.iter_mut().map(read).collect::<Result<_, String>>()?))
            }
            Kind::Null | Kind::Bool | Kind::Number => Ok(Template::Constant(json.to_text())),
        }
    }

    /// An object that stands for something else: `{"$pointer": "/a"}`.
    fn place<K: AsRef<str>>(
        &mut self,
        key: &str,
        entries: &mut [(K, Json)],
        path: &str,
        depth: usize,
    ) -> Result<Template, String> {
        let at = |problem: String| format!("{path}: {problem}");
        let takes_default = matches!(key, "$pointer" | "$item");
        let (mut argument, mut default) = (Json::null(), None);
        for (name, value) in entries {
            match name.as_ref() {
                name if name == key => argument = value.clone(),
                "default" if takes_default => {
                    default = Some(Box::new(self.value(value, &format!("{path}.default"), depth)?));
                }
                name if takes_default => {
                    return Err(at(format!("beside `{key}` there may be `default`, not `{name}`")));
                }
                name => return Err(at(format!("beside `{key}` there may be nothing, so no `{name}`"))),
            }
        }
        let text = || {
            let text = argument.as_string().map_err(|failure| at(failure.message))?;
            text.ok_or_else(|| at(format!("`{key}` takes a string, not {}", argument.kind().name())))
        };
        match key {
            "$pointer" | "$item" => {
                let place = Place::parse(&text()?, key == "$item", self.has_item).map_err(at)?;
                Ok(Template::Copy { place, default })
            }
            "$event" => Fact::parse(&text()?).map(Template::Fact).map_err(at),
            "$constant" => Ok(Template::Constant(argument.to_text())),
            _ => Err(at(format!(
                "unknown `{key}`; there are `$pointer`, `$item`, `$event`, and `$constant` for a value that has such a key itself"
            ))),
        }
    }

    fn spend(&mut self, parts: usize, path: &str) -> Result<(), String> {
        let left = self.parts_left.checked_sub(parts);
        self.parts_left =
            left.ok_or_else(|| format!("{path}: the templates of a step have at most {PARTS_MAX} parts"))?;
        Ok(())
    }
}

impl Place {
    pub(crate) fn parse(text: &str, in_item: bool, has_item: bool) -> Result<Self, String> {
        if in_item && !has_item {
            return Err("there is no element without `each`; point into the body".to_owned());
        }
        let pointer = Pointer::parse(text).map_err(|error| error.to_string())?;
        Ok(if in_item { Self::Item(pointer) } else { Self::Body(pointer) })
    }
}

/// What is between `${` and `}`: `/pointer`, `item:/pointer` or `event:fact`.
pub(crate) fn parse_piece(inside: &str, has_item: bool) -> Result<Piece, String> {
    match inside.split_once(':') {
        Some(("item", pointer)) => Place::parse(pointer, true, has_item).map(Piece::Place),
        Some(("event", fact)) => Fact::parse(fact).map(Piece::Fact),
        _ => Place::parse(inside, false, has_item).map(Piece::Place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Template, String> {
        Reader::new(true).template(&mut Json::parse(text.as_bytes()).unwrap(), "t")
    }

    #[test]
    fn parts_and_depth_are_bounded() {
        let wide = |count: usize| format!("[{}]", vec!["0"; count].join(","));
        assert!(read(&wide(PARTS_MAX - 1)).is_ok());
        assert!(
            read(&wide(PARTS_MAX)).unwrap_err().contains("t[1999]: the templates of a step have at most 2000 parts")
        );
        let deep = |count: usize| format!("{}{}", "[".repeat(count), "]".repeat(count));
        assert!(read(&deep(DEPTH_MAX)).is_ok());
        assert!(read(&deep(DEPTH_MAX + 1)).unwrap_err().contains("at most 32 levels"));
    }

    #[test]
    fn a_constant_may_look_like_a_place() {
        let Ok(Template::Constant(text)) = read(r#"{"$constant": {"$pointer": "${/a"}}"#) else { panic!("a constant") };
        assert_eq!(text, r#"{"$pointer": "${/a"}"#);
    }
}
