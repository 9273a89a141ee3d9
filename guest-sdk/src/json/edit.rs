//! Changing a [`Json`]: put a value somewhere, take one out. What is not on the way there is not opened.

use std::borrow::Cow;

use super::{Json, Node, Pointer, pointer};
use crate::Failure;

impl<'a> Json<'a> {
    /// Puts a value where the pointer points. Objects that are missing on the way are made; `-` as the last token of an array
    /// appends to it.
    ///
    /// # Errors
    /// `input-invalid` if something on the way is neither an object nor an array that has the index.
    pub fn set(&mut self, pointer: &Pointer, value: Json<'a>) -> Result<(), Failure> {
        let Some((parents, last)) = pointer.split_last() else {
            *self = value;
            return Ok(());
        };
        let mut here = self;
        for token in parents {
            here = here.child_or_object(token, pointer)?;
        }
        here.open()?;
        match &mut here.0 {
            Node::Array(items) if last == "-" => items.push(value),
            _ => *here.child_or_object(last, pointer)? = value,
        }
        Ok(())
    }

    /// Takes out what the pointer points at, or none. The items after it move up, in an array.
    ///
    /// # Errors
    /// See [`Json::get`].
    pub fn take(&mut self, pointer: &Pointer) -> Result<Option<Json<'a>>, Failure> {
        let Some((parents, last)) = pointer.split_last() else {
            return Ok(Some(std::mem::replace(self, Json::null())));
        };
        let mut here = self;
        for token in parents {
            match here.child(token)? {
                Some(child) => here = child,
                None => return Ok(None),
            }
        }
        here.open()?;
        Ok(match &mut here.0 {
            Node::Array(items) => {
                pointer::index(last).filter(|index| *index < items.len()).map(|index| items.remove(index))
            }
            Node::Object(entries) => {
                // All entries of this key go, so that none that was hidden comes to light; the last is the one that counted.
                let (taken, kept) = std::mem::take(entries).into_iter().partition(|(key, _)| key == last);
                *entries = kept;
                let taken: Vec<_> = taken;
                taken.into_iter().next_back().map(|(_, value)| value)
            }
            Node::Shut(_) => None,
        })
    }

    /// The value under a key or index; where an object has no such key, an empty object under it.
    fn child_or_object(&mut self, token: &str, pointer: &Pointer) -> Result<&mut Json<'a>, Failure> {
        self.open()?;
        let kind = self.kind();
        let misfit = |why: String| Failure::input_invalid(format!("cannot set {pointer} in the body: {why}"));
        match &mut self.0 {
            Node::Object(entries) => {
                let place = match entries.iter().rposition(|(key, _)| key == token) {
                    Some(place) => place,
                    None => {
                        entries.push((Cow::Owned(token.to_owned()), Json::object(Vec::new())));
                        entries.len().saturating_sub(1)
                    }
                };
                entries.get_mut(place).map(|(_, value)| value).ok_or_else(|| misfit(format!("no key `{token}`")))
            }
            Node::Array(items) => {
                let len = items.len();
                let item = pointer::index(token).and_then(|index| items.get_mut(index));
                item.ok_or_else(|| misfit(format!("an array of {len} has no item `{token}`")))
            }
            Node::Shut(_) => Err(misfit(format!("`{token}` would be inside {}", kind.name()))),
        }
    }
}
