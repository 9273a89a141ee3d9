//! Uses all that state can do, and says what it found.

use hookswitch_guest::{Decision, Event, Failure, Message, NoSettings, filter, reject, state};

filter!(decide);

fn decide(_: &NoSettings, _: &Event, _: &Message) -> Result<Decision, Failure> {
    state::increment("number", 5_000_000_000, 60)?;
    let same = if state::increment("number", -1, 60)? == 4_999_999_999 { "same" } else { "other" };
    let text = |value: Option<Vec<u8>>| String::from_utf8(value.unwrap_or_default()).unwrap_or_default();
    let number = text(state::get("number")?);
    state::set("key", b"v", 0)?;
    let kept = text(state::get("key")?);
    state::remove("key")?;
    let gone = if state::get("key")?.is_none() { "gone" } else { "kept" };
    state::set("odd", b"x", 0)?;
    let refused = state::increment("odd", 1, 0).err().map(|failure| failure.code).unwrap_or_default();
    Ok(reject(format!("{number} {same} {kept} {gone} {refused}")))
}
