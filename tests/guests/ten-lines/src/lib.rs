//! The README's module: ten lines of code that add a summary to a JSON payload.

use hookswitch_guest::{Event, Failure, Message, NoSettings, Output, transform};
use serde_json::{Map, Value};

transform!(summarise);

fn summarise(_: &NoSettings, event: &Event, message: &Message) -> Result<Vec<Output>, Failure> {
    let mut payload: Map<String, Value> = message.json()?;
    let sender = payload.get("sender").and_then(|sender| sender["login"].as_str()).unwrap_or("somebody");
    let summary = format!("{} by {sender}", event.event_type);
    payload.insert("summary".to_owned(), summary.into());
    Ok(vec![Output::json(&payload)?])
}
