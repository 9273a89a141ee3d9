//! Another master key takes the place of the one before: every secret is opened with that and sealed with the new one. To be done before anything
//! else reads the configuration. Where it was cut short it goes on when it is begun again: what is sealed with the new key already stays.

use super::change::random;
use crate::config::{Kind, MasterKey, ResourceId, parse};
use crate::store::{Configuration as Stored, Outcome, ResourceKey, Store, Transition};
use bytes::Bytes;

/// How many resources are one commit.
const AT_ONCE: usize = 64;

/// Seals every secret anew, and says how many there were.
///
/// # Errors
/// Where the store fails, or a secret opens with neither key: the text says which resource.
pub async fn reseal(store: &Store, previous: &MasterKey, key: &MasterKey) -> Result<usize, String> {
    let Stored { revision, resources } =
        store.read(|reader| reader.config()).await.map_err(|error| error.to_string())?;
    let mut count = 0;
    let mut changed = Vec::new();
    for (place, value) in resources {
        let (secrets, value) = resealed(&place, &value, previous, key)?;
        if secrets > 0 {
            changed.push((place, value));
        }
        count += secrets;
    }
    for puts in changed.chunks(AT_ONCE) {
        let reseal = Transition::Reseal { expected_revision: revision, puts: puts.to_vec() };
        match store.commit(reseal).await.map_err(|error| error.to_string())? {
            Outcome::Done => {}
            other => return Err(format!("the store answered {other:?}")),
        }
    }
    Ok(count)
}

/// A resource with its secrets sealed anew, and how many they were.
fn resealed(
    place: &ResourceKey,
    value: &Bytes,
    previous: &MasterKey,
    key: &MasterKey,
) -> Result<(usize, Bytes), String> {
    let kind = Kind::from_text(place.kind).ok_or_else(|| format!("unknown kind of resource `{}`", place.kind))?;
    let id = ResourceId { tenant: place.tenant.clone(), kind, name: place.name.clone() }.to_string();
    let mut spec = parse(kind, value).map_err(|error| format!("{id}: {error}"))?;
    let mut count = 0;
    for (pointer, secret) in spec.secrets_mut() {
        if key.open(&id, secret).is_ok() {
            continue;
        }
        let wrong = |error: String| format!("{id}: at `{pointer}`: {error}");
        let open = previous.open(&id, secret).map_err(|error| wrong(error.to_string()))?;
        let nonce = random().map_err(|error| wrong(error.to_string()))?;
        *secret = key.seal(&id, &open, nonce).map_err(|error| wrong(error.to_string()))?;
        count += 1;
    }
    let value = spec.to_json().map_err(|error| format!("{id}: {error}"))?;
    Ok((count, Bytes::from(value.to_string())))
}
