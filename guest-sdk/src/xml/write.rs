//! From [`Element`]s to text. What is written reads back as the same tree, if no text in it follows text or is empty.

use super::{DEPTH_MAX, Element, Node, is_char, is_name};
use crate::Failure;

impl Element {
    /// The document with this root, in UTF-8.
    ///
    /// # Errors
    /// `output-invalid` if a name is none, an attribute comes twice, a character cannot be in XML, or elements are nested deeper
    /// than [`DEPTH_MAX`].
    pub fn to_text(&self) -> Result<String, Failure> {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        write(self, DEPTH_MAX, &mut out)?;
        Ok(out)
    }
}

fn write(element: &Element, depth: usize, out: &mut String) -> Result<(), Failure> {
    let name = checked_name(&element.name)?;
    let too_deep = || invalid(format!("elements are nested deeper than DEPTH_MAX, {DEPTH_MAX} levels"));
    let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
    out.push('<');
    out.push_str(name);
    for (place, (attribute, value)) in element.attributes.iter().enumerate() {
        if element.attributes.iter().take(place).any(|(before, _)| before == attribute) {
            return Err(invalid(format!("`<{name}>` has the attribute `{attribute}` twice")));
        }
        out.push(' ');
        out.push_str(checked_name(attribute)?);
        out.push_str("=\"");
        escape(value, true, out)?;
        out.push('"');
    }
    if element.children.is_empty() {
        out.push_str("/>");
        return Ok(());
    }
    out.push('>');
    for child in &element.children {
        match child {
            Node::Element(element) => write(element, depth, out)?,
            Node::Text(text) => escape(text, false, out)?,
        }
    }
    out.push_str("</");
    out.push_str(name);
    out.push('>');
    Ok(())
}

/// Writes text so that a parser gives it back as it was: a parser turns line ends into `\n`, and in attributes into spaces.
fn escape(text: &str, in_attribute: bool, out: &mut String) -> Result<(), Failure> {
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if in_attribute => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\n' if in_attribute => out.push_str("&#10;"),
            '\t' if in_attribute => out.push_str("&#9;"),
            char if is_char(char) => out.push(char),
            char => return Err(invalid(format!("XML has no character U+{:04X}", u32::from(char)))),
        }
    }
    Ok(())
}

fn checked_name(name: &str) -> Result<&str, Failure> {
    if is_name(name) { Ok(name) } else { Err(invalid(format!("{name:?} is no name"))) }
}

fn invalid(problem: String) -> Failure {
    Failure::new("output-invalid", format!("the output cannot be written as XML: {problem}"))
}
