//! From text to [`Element`]s. quick-xml finds the tags; what it leaves to its users is checked here: that there is one root, that
//! all is closed at the end, that names and characters are XML's, that the encoding is ours.

use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::{ATTRIBUTES_MAX, DEPTH_MAX, Element, NODES_MAX, Node, is_char, is_name};
use crate::Failure;

const XML: XmlVersion = XmlVersion::Implicit1_0;

impl Element {
    /// Reads a document: its root element.
    ///
    /// # Errors
    /// `input-invalid` with line and column if it is not well-formed XML 1.0 in UTF-8, or has a document type declaration or an
    /// entity; `limit` beyond [`DEPTH_MAX`], [`NODES_MAX`] and [`ATTRIBUTES_MAX`].
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        let text = std::str::from_utf8(body)
            .map_err(|error| Failure::input_invalid(format!("the body is not XML in UTF-8: {error}")))?;
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        let mut tree = Tree { open: Vec::new(), root: None, nodes_left: NODES_MAX };
        loop {
            let start = reader.buffer_position();
            let event = reader.read_event().map_err(|error| located(invalid(error), text, reader.error_position()))?;
            let is_end = matches!(event, Event::Eof);
            tree.take(event).map_err(|failure| located(failure, text, start))?;
            if is_end {
                return tree.root.ok_or_else(|| located(invalid("there is no element"), text, start));
            }
        }
    }
}

/// The elements that are open, outermost first, and the root once it is closed.
struct Tree {
    open: Vec<Element>,
    root: Option<Element>,
    nodes_left: usize,
}

impl Tree {
    fn take(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(_) => self.end(),
            Event::Text(text) => self.text(&text.xml10_content()),
            Event::CData(text) => self.text(&text.xml10_content()),
            Event::GeneralRef(reference) => self.text(resolve(&reference)?.encode_utf8(&mut [0; 4])),
            Event::Decl(declaration) => check_declaration(&declaration),
            Event::DocType(_) => {
                Err(invalid("a document type declaration is not taken, for entities could be defined in it"))
            }
            Event::Eof => match self.open.last() {
                Some(element) => Err(invalid(format!("`<{}>` is not closed", element.name))),
                None => Ok(()),
            },
            // Expanded to a start and an end, by the reader's configuration.
            Event::Empty(_) | Event::Comment(_) | Event::PI(_) => Ok(()),
        }
    }

    fn start(&mut self, tag: &BytesStart) -> Result<(), Failure> {
        if self.root.is_some() {
            return Err(invalid("there is a second root element"));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(Failure::limit(format!("elements are nested deeper than DEPTH_MAX, {DEPTH_MAX} levels")));
        }
        self.count()?;
        let mut element = Element::new(name(tag.name().as_ref())?);
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(invalid)?;
            if element.attributes.len() >= ATTRIBUTES_MAX {
                let problem = format!("`<{}>` has more than ATTRIBUTES_MAX, {ATTRIBUTES_MAX} attributes", element.name);
                return Err(Failure::limit(problem));
            }
            self.count()?;
            let value = attribute.normalized_value(XML).map_err(invalid)?;
            if attribute.value.contains('<') {
                return Err(invalid("there is a `<` in the value of an attribute; write `&lt;`"));
            }
            element.attributes.push((name(attribute.key.as_ref())?, checked(&value)?.to_owned()));
        }
        self.open.push(element);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Failure> {
        // The reader has checked that the names of start and end are the same.
        let Some(element) = self.open.pop() else { return Err(invalid("an end without a start")) };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(Node::Element(element)),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Failure> {
        let text = checked(text)?;
        let Some(element) = self.open.last_mut() else {
            let is_space = text.chars().all(|char| matches!(char, ' ' | '\t' | '\r' | '\n'));
            return if is_space { Ok(()) } else { Err(invalid("there is text outside of the root element")) };
        };
        match element.children.last_mut() {
            Some(Node::Text(before)) => before.push_str(text),
            _ if text.is_empty() => {}
            _ => {
                element.children.push(Node::Text(text.to_owned()));
                self.count()?;
            }
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), Failure> {
        let over =
            || Failure::limit(format!("there are more than NODES_MAX, {NODES_MAX} elements, attributes and texts"));
        self.nodes_left = self.nodes_left.checked_sub(1).ok_or_else(over)?;
        Ok(())
    }
}

fn name(name: &str) -> Result<String, Failure> {
    if is_name(name) { Ok(name.to_owned()) } else { Err(invalid(format!("`{name}` is no name"))) }
}

fn checked(text: &str) -> Result<&str, Failure> {
    match text.chars().find(|char| !is_char(*char)) {
        Some(char) => Err(invalid(format!("XML has no character U+{:04X}", u32::from(char)))),
        None => Ok(text),
    }
}

fn resolve(reference: &BytesRef) -> Result<char, Failure> {
    if let Some(char) = reference.resolve_char_ref().map_err(invalid)? {
        return Ok(char);
    }
    Ok(match reference.as_ref() {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        other => return Err(invalid(format!("the entity `&{other};` is unknown; only XML's own five are known"))),
    })
}

fn check_declaration(declaration: &BytesDecl) -> Result<(), Failure> {
    let version = declaration.version().map_err(invalid)?;
    if version != "1.0" {
        return Err(invalid(format!("it is XML {version}; only 1.0 is read")));
    }
    match declaration.encoding().transpose().map_err(invalid)? {
        Some(encoding) if !["utf-8", "us-ascii"].contains(&encoding.to_ascii_lowercase().as_str()) => {
            Err(invalid(format!("its encoding is `{encoding}`; only UTF-8 is read")))
        }
        _ => Ok(()),
    }
}

fn invalid(problem: impl std::fmt::Display) -> Failure {
    Failure::input_invalid(problem)
}

/// The failure with the place where it was found.
fn located(failure: Failure, text: &str, at: u64) -> Failure {
    let at = usize::try_from(at).unwrap_or(text.len());
    let before = text.get(..text.floor_char_boundary(at)).unwrap_or(text);
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count().saturating_add(1);
    Failure {
        message: format!("the body is not the XML that is read here: line {line} column {column}: {}", failure.message),
        ..failure
    }
}
