//! Another master key takes the place of the one before: every secret is opened with that and sealed with the new one. To be done before anything
//! else reads the configuration. Where it was cut short it goes on when it is begun again: what is sealed with the new key already stays.

use super::change::random;
use crate::config::{Kind, MasterKey, ResourceId, parse};
use crate::store::{Configuration as Stored, Outcome, ResourceKey, Store, Transition};
use bytes::Bytes;

/// How many bytes of resources are one commit, unless one alone has more: far below what the store takes at once.
const COMMIT_BYTES_MAX: usize = 512 << 10;
/// What a resource counts beside its value: its key, and what the store adds.
const RESOURCE_BYTES: usize = 1024;

/// A resource and its value.
type Put = (ResourceKey, Bytes);

/// Seals every secret anew, and says how many there were.
///
/// # Errors
/// Where the store fails, or a secret opens with neither key: the text says which resource.
pub async fn reseal(store: &Store, previous: &MasterKey, key: &MasterKey) -> Result<usize, String> {
    let (count, commits) = commits(store, previous, key).await?;
    for reseal in commits {
        match store.commit(reseal).await.map_err(|error| error.to_string())? {
            Outcome::Done => {}
            other => return Err(format!("the store answered {other:?}")),
        }
    }
    Ok(count)
}

/// How many secrets are to be sealed anew, and the commits that do so.
async fn commits(store: &Store, previous: &MasterKey, key: &MasterKey) -> Result<(usize, Vec<Transition>), String> {
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
    let commits = parts(changed).into_iter().map(|puts| Transition::Reseal { expected_revision: revision, puts });
    Ok((count, commits.collect()))
}

/// The resources in parts, each of which the store takes at once. One that is longer than a part is one of its own.
fn parts(puts: Vec<Put>) -> Vec<Vec<Put>> {
    let mut parts: Vec<Vec<Put>> = Vec::new();
    let mut room = 0;
    for put in puts {
        let bytes = RESOURCE_BYTES + put.1.len();
        match parts.last_mut().filter(|_| bytes <= room) {
            Some(part) => {
                room -= bytes;
                part.push(put);
            }
            None => {
                room = COMMIT_BYTES_MAX.saturating_sub(bytes);
                parts.push(vec![put]);
            }
        }
    }
    parts
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Config, Configure};
    use crate::telemetry::Health;

    const SECRET_BYTES: usize = 900_000;

    fn key(byte: u8) -> MasterKey {
        MasterKey::new([byte; 32])
    }

    fn place(name: &str) -> ResourceKey {
        ResourceKey { tenant: Some("acme".parse().unwrap()), kind: "endpoint", name: name.to_owned() }
    }

    /// A store with three endpoints, of which each has a secret that is about as long as a request may be.
    async fn with_long_secrets(sealed_with: &MasterKey) -> Store {
        let store = Store::in_memory(&Config::default(), &Health::default()).unwrap();
        for (revision, name) in ["a", "b", "c"].into_iter().enumerate() {
            let sealed =
                sealed_with.seal(&format!("acme/endpoint/{name}"), &"x".repeat(SECRET_BYTES), random().unwrap());
            let spec = serde_json::json!({ "url": "https://example.com/", "headers": { "x-key": sealed.unwrap() } });
            let puts = vec![(place(name), Bytes::from(spec.to_string()))];
            let configure = Configure { expected_revision: revision as u64, puts, ..Configure::default() };
            store.commit(Transition::Configure(configure)).await.unwrap();
        }
        store
    }

    async fn opens_with(store: &Store, key: &MasterKey) -> usize {
        let stored = store.read(|reader| reader.config()).await.unwrap();
        let opens = |(place, value): &(ResourceKey, Bytes)| {
            let mut spec = parse(Kind::Endpoint, value).unwrap();
            let id = format!("acme/endpoint/{}", place.name);
            spec.secrets_mut()
                .iter()
                .all(|(_, secret)| key.open(&id, secret).is_ok_and(|open| open.len() == SECRET_BYTES))
        };
        stored.resources.iter().filter(|resource| opens(resource)).count()
    }

    #[tokio::test]
    async fn secrets_that_are_too_long_for_one_commit_are_sealed_anew_in_several() {
        let (old, new) = (key(1), key(2));
        let store = with_long_secrets(&old).await;
        assert_eq!(reseal(&store, &old, &new).await, Ok(3));
        assert_eq!((opens_with(&store, &new).await, opens_with(&store, &old).await), (3, 0));
    }

    #[tokio::test]
    async fn a_rotation_that_was_cut_short_goes_on_where_it_was() {
        let (old, new) = (key(1), key(2));
        let store = with_long_secrets(&old).await;
        let (count, commits) = commits(&store, &old, &new).await.unwrap();
        assert_eq!((count, commits.len()), (3, 3));
        store.commit(commits.into_iter().next().unwrap()).await.unwrap();
        assert_eq!((opens_with(&store, &new).await, opens_with(&store, &old).await), (1, 2));
        assert_eq!(reseal(&store, &old, &new).await, Ok(2), "what is sealed with the new key stays");
        assert_eq!(opens_with(&store, &new).await, 3);
    }

    #[test]
    fn short_resources_share_a_commit() {
        let put = |bytes: usize| (place("e"), Bytes::from(vec![b'x'; bytes]));
        let lengths = |puts: Vec<Put>| parts(puts).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(Vec::new()), [0; 0]);
        assert_eq!(lengths((0..1000).map(|_| put(0)).collect()), [512, 488]);
        assert_eq!(lengths(vec![put(10), put(COMMIT_BYTES_MAX), put(10), put(10)]), [1, 1, 2]);
    }
}
