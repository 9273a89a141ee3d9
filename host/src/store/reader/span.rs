//! A stretch of time, as it bounds lists: ids begin with the time of their event, so it is a stretch of each day's keys.

use crate::model::EventId;
use crate::store::ReadError;
use crate::store::key::{Key, KeyRange};
use crate::store::tree::TreeId;

/// The latest time that an id can carry.
const ID_MS_MAX: u64 = (1 << 48) - 1;

/// From one place to before another. A place is an event's id, or one and a tag, as they stand at the end of a key.
pub(super) struct Span {
    /// The first place that may be in it.
    from: Vec<u8>,
    /// The first one beyond it. None reaches to the end of time.
    until: Option<Vec<u8>>,
}

impl Span {
    /// From `since_ms` to before `until_ms`.
    pub(super) fn new(since_ms: Option<u64>, until_ms: Option<u64>) -> Self {
        let first = |ms: u64| EventId::new(ms, 0).to_bytes().to_vec();
        let until = until_ms.filter(|ms| *ms <= ID_MS_MAX).map(first);
        Self { from: first(since_ms.unwrap_or(0).min(ID_MS_MAX)), until }
    }

    /// The part of it before a place, where a page of a list that goes backwards ended.
    pub(super) fn before(self, place: Option<Vec<u8>>) -> Result<Self, ReadError> {
        let until = match (self.until, checked(place)?) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Ok(Self { until, ..self })
    }

    /// The part of it behind a place, where a page of one that goes forward ended.
    pub(super) fn behind(self, place: Option<Vec<u8>>) -> Result<Self, ReadError> {
        let Some(mut place) = checked(place)? else { return Ok(self) };
        place.push(0);
        Ok(Self { from: self.from.max(place), ..self })
    }

    /// Whether a tree is a day's that this is about.
    pub(super) fn touches(&self, tree: TreeId) -> bool {
        let day = |place: &[u8]| place.first_chunk().map(|id| TreeId::of(EventId::from_bytes(*id)));
        day(&self.from).is_none_or(|from| from <= tree)
            && self.until.as_deref().and_then(day).is_none_or(|until| tree <= until)
    }

    /// The part of the keys under `prefix` that it covers.
    pub(super) fn range(&self, prefix: &Key) -> KeyRange {
        let mut range = prefix.clone().prefix();
        range.from = [prefix.as_bytes(), &self.from].concat();
        if let Some(until) = &self.until {
            range.until = [prefix.as_bytes(), until].concat();
        }
        range
    }
}

fn checked(place: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, ReadError> {
    let is_place = place.as_ref().is_none_or(|place| matches!(place.len(), 16 | 24));
    if is_place { Ok(place) } else { Err(ReadError::Cursor) }
}
