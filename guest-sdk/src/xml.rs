//! XML, as a small tree. [`Message::xml`] reads a body, [`Output::xml`] makes one.
//!
//! It is XML 1.0 in UTF-8. Names are what is written, prefix and all: nothing is done about namespaces, and `xmlns` is an
//! attribute. Comments and processing instructions are left out; CDATA is text.
//!
//! What must hold: nothing outside the document is ever looked at, and nothing in it expands. There are the five entities every
//! parser knows and character references; a document type declaration is refused. Depth and number of nodes are bounded.

mod read;
mod write;

use crate::{Failure, Message, Output};

/// The media type of XML.
pub const CONTENT_TYPE: &str = "application/xml";

/// How deep elements may be nested, in levels, in and out.
pub const DEPTH_MAX: usize = 64;

/// How many elements, attributes and pieces of text a body may have together.
pub const NODES_MAX: usize = 100_000;

/// How many attributes an element may have.
pub const ATTRIBUTES_MAX: usize = 256;

/// An element with what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// The name as written: `soap:Envelope`.
    pub name: String,
    /// Names and values, in order.
    pub attributes: Vec<(String, String)>,
    /// Elements and text, in order.
    pub children: Vec<Node>,
}

/// What is in an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// An element.
    Element(Element),
    /// Text, references resolved and CDATA included. When read, text never follows text, and none is empty.
    Text(String),
}

impl Message {
    /// The body, parsed as XML: its root element.
    ///
    /// # Errors
    /// See [`Element::parse`].
    pub fn xml(&self) -> Result<Element, Failure> {
        Element::parse(&self.body)
    }
}

impl Output {
    /// An XML body, with the content type `application/xml; charset=utf-8`.
    ///
    /// # Errors
    /// See [`Element::to_text`].
    pub fn xml(root: &Element) -> Result<Self, Failure> {
        Ok(Self::body("application/xml; charset=utf-8", root.to_text()?))
    }
}

impl Element {
    /// An element of this name, empty.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with_attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// Adds an element at the end.
    #[must_use]
    pub fn with_element(mut self, element: Element) -> Self {
        self.children.push(Node::Element(element));
        self
    }

    /// Adds text at the end.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.children.push(Node::Text(text.into()));
        self
    }

    /// The value of the attribute of this name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The elements in it, in order.
    pub fn elements(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|child| if let Node::Element(element) = child { Some(element) } else { None })
    }

    /// The first element of this name in it.
    #[must_use]
    pub fn element(&self, name: &str) -> Option<&Element> {
        self.elements().find(|element| element.name == name)
    }

    /// Its own text, without that of the elements in it.
    #[must_use]
    pub fn text(&self) -> String {
        let texts =
            self.children.iter().filter_map(|child| if let Node::Text(text) = child { Some(&**text) } else { None });
        texts.collect()
    }
}

/// Whether XML 1.0 can hold this character, even as a reference.
fn is_char(char: char) -> bool {
    matches!(char, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Whether this is the name of an element or attribute. Exact for ASCII; beyond it all letters count.
fn is_name(name: &str) -> bool {
    let may_begin =
        |char: char| char.is_ascii_alphabetic() || matches!(char, '_' | ':') || (!char.is_ascii() && is_char(char));
    let may_follow = |char: char| may_begin(char) || char.is_ascii_digit() || matches!(char, '-' | '.');
    name.starts_with(may_begin) && name.chars().all(may_follow)
}

#[cfg(test)]
mod tests;
