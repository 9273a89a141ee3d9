//! A filter that accepts every message: what a call costs by itself.

use hookswitch_guest::{Decision, Event, Failure, Message, NoSettings, accept, filter};

filter!(accept_all);

#[expect(clippy::unnecessary_wraps, reason = "the contract's type")]
fn accept_all(_: &NoSettings, _: &Event, _: &Message) -> Result<Decision, Failure> {
    Ok(accept())
}
