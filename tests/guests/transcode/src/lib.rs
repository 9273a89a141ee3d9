//! A test guest: reads an order in the format that its content type says, and writes it in the one that the settings say. It
//! shows all formats in one module; and a build of the workspace, which this crate is in, has all of the SDK's features on.

use hookswitch_guest::xml::Element;
use hookswitch_guest::{Event, Failure, Message, Output, form, msgpack, protobuf, transform};
use serde::{Deserialize, Serialize};

/// An order, flat enough for a form.
#[derive(Clone, PartialEq, Serialize, Deserialize, prost::Message)]
pub struct Order {
    /// Above 2^53 at times.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// Who ordered.
    #[prost(string, tag = "2")]
    pub customer: String,
    /// Labels.
    #[serde(default)]
    #[prost(string, repeated, tag = "3")]
    pub tags: Vec<String>,
}

/// A format to write.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JSON
    Json,
    /// XML
    Xml,
    /// A form
    Form,
    /// MessagePack
    Msgpack,
    /// Protobuf
    Protobuf,
}

/// The step's settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What to write.
    pub to: Format,
}

transform!(transcode);

/// Reads and writes.
///
/// # Errors
/// Those of the formats.
pub fn transcode(settings: &Settings, _: &Event, message: &Message) -> Result<Vec<Output>, Failure> {
    let order = read(message)?;
    Ok(vec![match settings.to {
        Format::Json => Output::json(&order)?,
        Format::Xml => Output::xml(&to_xml(&order))?,
        Format::Form => Output::form(&order)?,
        Format::Msgpack => Output::msgpack(&order)?,
        Format::Protobuf => Output::protobuf(&order),
    }])
}

fn read(message: &Message) -> Result<Order, Failure> {
    match message.content_type.split(';').next().unwrap_or_default().trim() {
        "application/json" => message.json(),
        "application/xml" => from_xml(&message.xml()?),
        form::CONTENT_TYPE => message.form(),
        msgpack::CONTENT_TYPE => message.msgpack(),
        protobuf::CONTENT_TYPE => message.protobuf(),
        other => Err(Failure::input_invalid(format!("{other:?} is none of the formats that are read"))),
    }
}

fn from_xml(root: &Element) -> Result<Order, Failure> {
    let missing = |what| move || Failure::input_invalid(format!("the order has no {what}"));
    let id = root.attribute("id").and_then(|id| id.parse().ok()).ok_or_else(missing("number as its `id`"))?;
    let customer = root.element("customer").ok_or_else(missing("`customer`"))?.text();
    let tags = root.elements().filter(|element| element.name == "tag").map(Element::text).collect();
    Ok(Order { id, customer, tags })
}

fn to_xml(order: &Order) -> Element {
    let root = Element::new("order").with_attribute("id", order.id.to_string());
    let root = root.with_element(Element::new("customer").with_text(&order.customer));
    order.tags.iter().fold(root, |root, tag| root.with_element(Element::new("tag").with_text(tag)))
}

#[cfg(test)]
mod tests;
