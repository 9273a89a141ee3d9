//! From a message to the same without what is to be kept from its receivers.

use hmac::{Hmac, KeyInit, Mac};
use hookswitch_guest::json::{Json, Kind};
use hookswitch_guest::{Event, Failure, Message, Output, hex, log};
use sha2::Sha256;

use crate::settings::Settings;

/// Removes, then masks, then hashes.
///
/// # Errors
/// `input-invalid` if the body is not JSON, or if an array or object would have to be hashed.
pub fn apply(settings: &Settings, _: &Event, message: &Message) -> Result<Vec<Output>, Failure> {
    let mut payload = Json::parse(&message.body)?;
    let (mut removed, mut masked, mut hashed) = (0_usize, 0_usize, 0_usize);
    for path in &settings.remove {
        removed = removed.saturating_add(path.remove(&mut payload)?);
    }
    for path in &settings.mask {
        masked = masked.saturating_add(path.replace(&mut payload, &mut |json| mask(settings, json).map(Some))?);
    }
    let salted = Hmac::<Sha256>::new_from_slice(settings.salt.as_bytes()).map_err(Failure::settings_invalid)?;
    for path in &settings.hash {
        hashed = hashed.saturating_add(path.replace(&mut payload, &mut |json| hash(&salted, json))?);
    }
    log::info(format!("removed {removed}, masked {masked}, hashed {hashed}"));
    if removed == 0 && masked == 0 && hashed == 0 {
        return Ok(vec![Output::unchanged()]);
    }
    let mut output = Output::body("application/json", payload.to_text());
    if !message.content_type.is_empty() {
        output.content_type = None;
    }
    Ok(vec![output])
}

/// The mask, and of a text or number that is long enough the last characters.
fn mask(settings: &Settings, json: &Json) -> Result<Json<'static>, Failure> {
    let text = match json.kind() {
        Kind::String => json.as_string()?.unwrap_or_default(),
        Kind::Number => json.to_text(),
        Kind::Null | Kind::Bool | Kind::Array | Kind::Object => String::new(),
    };
    let count = text.chars().count();
    // At least half of it goes, so that a short one does not come through whole.
    let kept = if count >= settings.mask_keep.saturating_mul(2) { settings.mask_keep } else { 0 };
    let tail: String = text.chars().skip(count.saturating_sub(kept)).collect();
    Ok(Json::string(format!("{}{tail}", settings.mask_with)))
}

/// HMAC-SHA256 in hex: of a string's characters, of a number or boolean as it is written. `null` says nothing and stays.
fn hash<'a>(salted: &Hmac<Sha256>, json: &Json<'a>) -> Result<Option<Json<'a>>, Failure> {
    let text = match json.kind() {
        Kind::Null => return Ok(None),
        Kind::String => json.as_string()?.unwrap_or_default(),
        Kind::Number | Kind::Bool => json.to_text(),
        kind @ (Kind::Array | Kind::Object) => {
            return Err(Failure::input_invalid(format!("{} is not hashed; remove or mask it", kind.name())));
        }
    };
    let hash = salted.clone().chain_update(text).finalize().into_bytes();
    Ok(Some(Json::string(hex(&hash))))
}

#[cfg(test)]
mod tests;
