//! The four functions, as a call has them: every bound is checked here.

use super::source::{Size, Source, Step, Writes};
use super::{CarriedStep, StateConfig, States};
use crate::runtime::{StateAccess, StateError};
use crate::store::{ReadError, StateEntry};
use std::sync::Arc;

/// What a write takes beside key and value, about: the key in the index of times, ids, times, the records' own bytes.
const WRITE_BYTES: u64 = 320;
/// How many expired entries are looked at in one go where room is needed.
const SWEPT_FOR_ROOM: usize = 256;

impl StateAccess for States {
    fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        self.check_key(key)?;
        Ok(self.live(key)?.map(|entry| entry.value.to_vec()))
    }

    fn set(&mut self, key: &str, value: Vec<u8>, ttl_s: u32) -> Result<(), StateError> {
        self.check_key(key)?;
        let most = self.bounds.value_bytes_max;
        if value.len() as u64 > most {
            let what = format!("the value for `{key}` has {} bytes", value.len());
            return Err(limit(what, "pipeline.state.value_bytes_max", most));
        }
        let expires_ms = self.expiry(ttl_s)?;
        self.write(key, Some(StateEntry { value: value.into(), expires_ms }))
    }

    fn remove(&mut self, key: &str) -> Result<(), StateError> {
        self.check_key(key)?;
        self.write(key, None)
    }

    fn increment(&mut self, key: &str, by: i64, ttl_s: u32) -> Result<i64, StateError> {
        self.check_key(key)?;
        let first_expires_ms = self.expiry(ttl_s)?;
        let (number, expires_ms) = match self.live(key)? {
            Some(entry) => (number(key, &entry.value)?, entry.expires_ms),
            None => (0, first_expires_ms),
        };
        let sum = number.checked_add(by).ok_or_else(|| {
            StateError::InputInvalid(format!(
                "{number} under `{key}` and {by} more is beyond a signed number of 64 bits"
            ))
        })?;
        self.write(key, Some(StateEntry { value: sum.to_string().into(), expires_ms }))?;
        Ok(sum)
    }
}

impl States {
    /// The step under way, its state read.
    fn step(&mut self) -> Result<&mut Step, StateError> {
        let Some((key, step)) = &mut self.step else {
            return Err(StateError::Unavailable("no call is under way".to_owned()));
        };
        if step.is_none() {
            let (seen, carried, swept) = match self.carried.0.remove(key) {
                Some(CarriedStep { head, writes, swept }) => (Some(head), writes, swept),
                None => (self.source.head(key).map_err(unavailable)?, Arc::default(), None),
            };
            let size = seen.map(|head| Size { keys: head.keys, bytes: head.bytes }).unwrap_or_default();
            self.call.size_before = size;
            let time_ms = seen.map_or(self.event_ms, |head| head.time_ms.max(self.event_ms));
            *step = Some(Step { seen, time_ms, size, carried, writes: Writes::new(), swept });
        }
        step.as_mut().ok_or_else(|| StateError::Unavailable("no call is under way".to_owned()))
    }

    /// What stands under a key, expired or not.
    fn found(&mut self, key: &str) -> Result<Option<StateEntry>, StateError> {
        self.step()?;
        let Self { source, step: Some((_, Some(step))), call, .. } = self else { return Ok(None) };
        if let Some(own) = call.writes.get(key) {
            return Ok(own.clone());
        }
        let written = [&step.writes, &*step.carried].into_iter().find_map(|writes| writes.get(key));
        let found = match written {
            Some(written) => written.clone(),
            None => source.entry(step, key).map_err(unavailable)?,
        };
        if let Some(noted) = &mut call.found {
            noted.insert(key.to_owned(), found.clone());
        }
        Ok(found)
    }

    fn live(&mut self, key: &str) -> Result<Option<StateEntry>, StateError> {
        let time_ms = self.step()?.time_ms;
        Ok(self.found(key)?.filter(|entry| !entry.expired(time_ms)))
    }

    fn check_key(&self, key: &str) -> Result<(), StateError> {
        let most = self.bounds.key_bytes_max;
        if key.len() as u64 > most {
            let what = format!("a key has {} bytes", key.len());
            return Err(limit(what, "pipeline.state.key_bytes_max", most));
        }
        if key.is_empty() || key.contains('\0') {
            return Err(StateError::InputInvalid("a key has 1 byte or more, and no U+0000".to_owned()));
        }
        Ok(())
    }

    /// When an entry expires that is written now; none for one that stays.
    fn expiry(&mut self, ttl_s: u32) -> Result<Option<u64>, StateError> {
        let most = self.bounds.ttl_s_max;
        if u64::from(ttl_s) > most {
            return Err(limit(format!("a ttl is {ttl_s} seconds"), "pipeline.state.ttl_s_max", most));
        }
        let time_ms = self.step()?.time_ms;
        Ok((ttl_s > 0).then(|| time_ms.saturating_add(u64::from(ttl_s) * 1000)))
    }

    /// Writes for this call, if there is room.
    fn write(&mut self, key: &str, entry: Option<StateEntry>) -> Result<(), StateError> {
        let most = self.bounds.writes_per_call_max;
        if self.call.count >= most {
            return Err(limit("one call writes more often".to_owned(), "pipeline.state.writes_per_call_max", most));
        }
        let value_bytes = entry.as_ref().map_or(0, |entry| entry.value.len() as u64);
        let run_bytes = self.run_bytes + WRITE_BYTES + key.len() as u64 + value_bytes;
        let most = self.bounds.bytes_per_run_max;
        if run_bytes > most {
            return Err(limit("one run writes more bytes".to_owned(), "pipeline.state.bytes_per_run_max", most));
        }
        let old = self.found(key)?;
        if old.is_none() && entry.is_none() {
            self.call.count += 1;
            return Ok(());
        }
        if entry.is_some() {
            self.check_steps()?;
        }
        let (old, new) = (Size::of(key, old.as_ref()), Size::of(key, entry.as_ref()));
        if entry.is_some() {
            self.make_room(key, old, new)?;
        }
        let step = self.step()?;
        step.size = step.size.less(old).plus(new);
        self.run_bytes = run_bytes;
        self.call.count += 1;
        self.call.writes.insert(key.to_owned(), entry);
        Ok(())
    }

    /// Whether the route may have one state more, where this is the first write to one.
    fn check_steps(&mut self) -> Result<(), StateError> {
        let step = self.step()?;
        if step.seen.is_some() || !step.writes.is_empty() || !self.call.writes.is_empty() {
            return Ok(());
        }
        let Source::Store { reader, tenant, route } = &self.source else { return Ok(()) };
        let stored = reader.states_of(tenant, route).map_err(unavailable)?.len() as u64;
        let new = self.steps.values().filter(|step| step.seen.is_none() && !step.writes.is_empty()).count() as u64;
        let most = self.bounds.steps_per_route_max;
        if stored + new < most {
            return Ok(());
        }
        let what =
            format!("{} steps of this route have state; DELETE …/routes/{route}/state?step=… frees one", stored + new);
        Err(limit(what, "pipeline.state.steps_per_route_max", most))
    }

    /// Sees to it that `new` may take the place of `old`: where the state is full, what is expired goes.
    fn make_room(&mut self, key: &str, old: Size, new: Size) -> Result<(), StateError> {
        let StateConfig { keys_max, bytes_max, .. } = self.bounds;
        let (mut after, mut looked_at_series) = (None, false);
        loop {
            let size = self.step()?.size.less(old).plus(new);
            let (what, bound, most) = if size.keys > keys_max {
                (format!("the step has {} keys", size.keys), "pipeline.state.keys_max", keys_max)
            } else if size.bytes > bytes_max {
                (format!("the step has {} bytes", size.bytes), "pipeline.state.bytes_max", bytes_max)
            } else {
                return Ok(());
            };
            let Self { source, step: Some((_, Some(step))), call, .. } = self else {
                return Err(limit(what, bound, most));
            };
            if !looked_at_series {
                looked_at_series = true;
                for (name, entry) in step.expired_of_series() {
                    if name != key && !call.writes.contains_key(&name) {
                        let gone = Size::of(&name, Some(&entry));
                        step.size = step.size.less(gone);
                        call.size_before = call.size_before.less(gone);
                        step.writes.insert(name, None);
                    }
                }
                continue;
            }
            let found = source.expired(step, after.as_ref(), SWEPT_FOR_ROOM).map_err(unavailable)?;
            after = found.last().cloned();
            if after.is_none() {
                return Err(limit(what, bound, most));
            }
            // What goes here stays gone, whatever becomes of the call.
            for (_, name) in found.into_iter().filter(|(_, name)| name != key && !call.writes.contains_key(name)) {
                let gone = source.sweep(step, name).map_err(unavailable)?;
                call.size_before = call.size_before.less(gone);
            }
        }
    }
}

fn number(key: &str, value: &[u8]) -> Result<i64, StateError> {
    let number = str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| {
        let range = "a decimal number of -9223372036854775808 to 9223372036854775807";
        StateError::InputInvalid(format!("what stands under `{key}` is not {range}, so nothing can be added to it"))
    })
}

fn limit(what: String, bound: &'static str, max: u64) -> StateError {
    StateError::Limit { what, bound, max }
}

fn unavailable(error: ReadError) -> StateError {
    StateError::Unavailable(error.to_string())
}
