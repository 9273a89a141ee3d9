//! Did enough come?

use hookswitch_guest::place::{Facts, Place, Places};
use hookswitch_guest::{Decision, Event, Failure, Message, accept, log, reject, state};

use crate::amount::Amount;
use crate::settings::{Pass, Settings};
use crate::window::Window;

/// Counts the message, and accepts it if what came in the window reaches the threshold.
///
/// # Errors
/// `input-invalid` if the body has to be looked into and is not JSON, has nothing where `by` or `sum` says, or no number to sum;
/// state's: `denied`, `limit`.
pub fn threshold(settings: &Settings, event: &Event, message: &Message) -> Result<Decision, Failure> {
    let mut facts = Facts::new(event, message);
    let sum = settings.sum.clone().map(Places::from);
    for places in [&settings.by, &sum].into_iter().flatten() {
        if let Some(place) = facts.missing(places)? {
            return settings.on_missing.decide(place);
        }
    }
    let amount = match &settings.sum {
        Some(place) => amount(&mut facts, place)?,
        None => Amount::ONE,
    };
    let key = key(settings, &mut facts)?;
    let mut window = read(&key)?;
    let (window_ms, now_ms) = (u64::from(settings.window_s) * 1_000, event.received_at_ms);
    let total = window.add(window_ms, now_ms, amount);
    let decision = decide(settings, &mut window, total, now_ms);
    // A second more than the window, for what is left of the slot that the first message is in.
    state::set(&key, &window.to_bytes(), settings.window_s.saturating_add(settings.window_s / 60).saturating_add(1))?;
    Ok(decision)
}

/// Where the window is kept. What it is made of is in the key: a route keeps its state when its settings change, and slots of another
/// length or sums of something else must not be read as these.
fn key(settings: &Settings, facts: &mut Facts) -> Result<String, Failure> {
    let Settings { window_s, sum, by, .. } = settings;
    let what = sum.as_ref().map_or_else(|| "count".to_owned(), |place| format!("sum of {}", place.written()));
    Ok(format!("window:{}", facts.digest(&format!("{what} in {window_s} s"), by.iter().flatten())?))
}

fn decide(settings: &Settings, window: &mut Window, total: Amount, now_ms: u64) -> Decision {
    let Settings { reaches, window_s, .. } = settings;
    if total < *reaches {
        return reject(format!("{total} of {reaches} in {window_s} s"));
    }
    if settings.pass == Pass::Each {
        return accept();
    }
    match window.quiet_until_ms.checked_sub(now_ms) {
        Some(left_ms) if left_ms > 0 => reject(format!(
            "{total} of {reaches} in {window_s} s, and one went through; the next in {} s",
            left_ms.div_ceil(1_000)
        )),
        _ => {
            window.quiet_until_ms = now_ms.saturating_add(u64::from(*window_s) * 1_000);
            accept()
        }
    }
}

fn read(key: &str) -> Result<Window, Failure> {
    let Some(bytes) = state::get(key)? else { return Ok(Window::default()) };
    Ok(Window::parse(&bytes).unwrap_or_else(|| {
        log::warn(format!("what state has under {key} is not of this module; counting begins anew"));
        Window::default()
    }))
}

/// The number at the place. A string that reads as a number counts: amounts are often sent so.
fn amount(facts: &mut Facts, place: &Place) -> Result<Amount, Failure> {
    let text = facts.text(place)?.unwrap_or_default();
    Amount::parse(&text).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        Failure::input_invalid(format!(
            "{place} is {shown:?}; `sum` takes numbers below 10^18 with at most six decimals"
        ))
    })
}

#[cfg(test)]
mod tests;
