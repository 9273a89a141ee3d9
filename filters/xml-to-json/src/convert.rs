//! The mapping. It goes as deep as the document, which `hookswitch_guest::xml` bounds.

use std::collections::BTreeMap;

use hookswitch_guest::json::{Entries, Json};
use hookswitch_guest::xml::Element;
use hookswitch_guest::{Event, Failure, Message, Output};

use crate::settings::Settings;

/// Turns the body into JSON.
///
/// # Errors
/// `input-invalid` if it is not XML, or has a document type declaration; `limit` beyond the bounds of `hookswitch_guest::xml`.
pub fn apply(settings: &Settings, _: &Event, message: &Message) -> Result<Vec<Output>, Failure> {
    let root = message.xml()?;
    let name = shown_name(settings, &root).to_owned();
    let value = value(settings, &root, &mut vec![name.clone()]);
    let json = Json::object(vec![(name.into(), value)]);
    Ok(vec![Output::body("application/json", json.to_text())])
}

/// A string for an element with nothing but text, an object for any other. `path` has the names from the root to this element.
fn value(settings: &Settings, element: &Element, path: &mut Vec<String>) -> Json<'static> {
    let mut entries: Entries = Vec::new();
    for (name, value) in &element.attributes {
        let is_namespace = name == "xmlns" || name.starts_with("xmlns:");
        if !(settings.strip_prefixes && is_namespace) {
            entries.push((format!("@{name}").into(), Json::string(value)));
        }
    }
    let groups = groups(settings, element, path);
    let text = text(settings, element, !groups.is_empty());
    if entries.is_empty() && groups.is_empty() {
        return Json::string(text);
    }
    for Group { name, mut values, is_array } in groups {
        let value = match values.pop() {
            Some(only) if values.is_empty() && !is_array => only,
            last => {
                values.extend(last);
                Json::array(values)
            }
        };
        entries.push((name.into(), value));
    }
    if !text.is_empty() {
        entries.push(("#text".into(), Json::string(text)));
    }
    Json::object(entries)
}

/// Elements of one name in an element.
struct Group {
    name: String,
    values: Vec<Json<'static>>,
    is_array: bool,
}

/// The elements in an element by name, in the order in which the names first come.
fn groups(settings: &Settings, element: &Element, path: &mut Vec<String>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places = BTreeMap::new();
    for child in element.elements() {
        let name = shown_name(settings, child);
        path.push(name.to_owned());
        let value = value(settings, child, path);
        let place = *places.entry(name).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.values.push(value),
            None => {
                groups.push(Group { name: name.to_owned(), values: vec![value], is_array: settings.is_array(path) })
            }
        }
        path.pop();
    }
    groups
}

/// An element's own text. Space between elements is layout, not text.
fn text(settings: &Settings, element: &Element, has_elements: bool) -> String {
    let text = element.text();
    let trimmed = text.trim_matches([' ', '\t', '\r', '\n']);
    match settings.trim || (has_elements && trimmed.is_empty()) {
        true => trimmed.to_owned(),
        false => text,
    }
}

fn shown_name<'a>(settings: &Settings, element: &'a Element) -> &'a str {
    match element.name.split_once(':') {
        Some((_, local)) if settings.strip_prefixes => local,
        _ => &element.name,
    }
}

#[cfg(test)]
mod tests;
