//! Strings with places to fill in: `${/pointer}`, `${item:/pointer}`, `${event:fact}`; `$${` stands for `${` itself.

use crate::template::{Fact, Place, parse_piece};

/// A string with places to fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(Vec<Piece>);

/// A part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Characters as they are; never none.
    Constant(String),
    /// What is there: a string without its quotes, anything else as JSON.
    Place(Place),
    /// A fact about the event.
    Fact(Fact),
}

impl Text {
    /// Reads a string. `has_item`: whether there is an element to point into.
    ///
    /// # Errors
    /// If a `${` has no `}`, or what is between them is none of the three.
    pub fn parse(text: &str, has_item: bool) -> Result<Self, String> {
        let (mut pieces, mut constant, mut rest) = (Vec::new(), String::new(), text);
        while let Some((before, after)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                constant.push_str(before);
                constant.push_str("${");
                rest = after;
                continue;
            }
            constant.push_str(before);
            let (inside, after) =
                after.split_once('}').ok_or("`${` without `}`; write `$${` for the characters `${`")?;
            if !constant.is_empty() {
                pieces.push(Piece::Constant(std::mem::take(&mut constant)));
            }
            pieces.push(parse_piece(inside, has_item)?);
            rest = after;
        }
        constant.push_str(rest);
        if !constant.is_empty() {
            pieces.push(Piece::Constant(constant));
        }
        Ok(Self(pieces))
    }

    /// Its parts, in order.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookswitch_guest::json::Pointer;

    #[test]
    fn places_and_characters_alternate() {
        let constant = |text: &str| Piece::Constant(text.to_owned());
        let pointer = |text| Pointer::parse(text).unwrap();
        let pieces = |text| Text::parse(text, true).unwrap().0;
        assert_eq!(pieces(""), []);
        assert_eq!(pieces("a $ {b} $"), [constant("a $ {b} $")]);
        assert_eq!(pieces("$${/a} costs $$5"), [constant("${/a} costs $$5")]);
        assert_eq!(
            pieces("${/a~1b}${item:/c} by ${event:id}!"),
            [
                Piece::Place(Place::Body(pointer("/a~1b"))),
                Piece::Place(Place::Item(pointer("/c"))),
                constant(" by "),
                Piece::Fact(Fact::Id),
                constant("!"),
            ]
        );
    }

    #[test]
    fn what_cannot_be_filled_in_is_refused() {
        for text in ["${", "a ${/b", "${}x${y}", "${item:b}", "${event:}"] {
            assert!(Text::parse(text, true).is_err(), "{text}");
        }
        assert!(Text::parse("${item:/b}", false).is_err());
    }
}
