//! What is signed of a request: its body, perhaps its time, and what stands around them.

/// What is signed: text in which `{timestamp}` and `{body}` stand for what the request has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedText(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Timestamp,
    Body,
}

/// Why a text does not say what is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSignedText {
    /// The body is not signed, or twice.
    #[error("has to have `{{body}}` once: what is not signed can be forged")]
    Body,
    /// The time stamp is there twice.
    #[error("has `{{timestamp}}` more than once")]
    Timestamp,
    /// A brace that begins nothing known.
    #[error("has a brace that is neither `{{timestamp}}` nor `{{body}}`")]
    Brace,
}

impl SignedText {
    /// Reads it.
    ///
    /// # Errors
    /// Where it is not such a text.
    pub fn parse(text: &str) -> Result<Self, InvalidSignedText> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, place) = rest.split_at(at);
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let known = [("{timestamp}", Part::Timestamp), ("{body}", Part::Body)];
            let (part, after) = known
                .into_iter()
                .find_map(|(name, part)| Some((part, place.strip_prefix(name)?)))
                .ok_or(InvalidSignedText::Brace)?;
            parts.push(part);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        let count = |wanted: &Part| parts.iter().filter(|part| *part == wanted).count();
        match (count(&Part::Body), count(&Part::Timestamp)) {
            (1, 0 | 1) => Ok(Self(parts)),
            (1, _) => Err(InvalidSignedText::Timestamp),
            _ => Err(InvalidSignedText::Body),
        }
    }

    /// The body alone.
    #[must_use]
    pub fn body() -> Self {
        Self(vec![Part::Body])
    }

    /// The time and the body, with these before and between them.
    pub(super) fn time_and_body(before: &str, between: &str) -> Self {
        let text = |text: &str| (!text.is_empty()).then(|| Part::Text(text.to_owned()));
        let parts = [text(before), Some(Part::Timestamp), text(between), Some(Part::Body)];
        Self(parts.into_iter().flatten().collect())
    }

    /// Whether the time is signed, too.
    #[must_use]
    pub fn has_timestamp(&self) -> bool {
        self.0.contains(&Part::Timestamp)
    }

    /// Its pieces for one request.
    pub(super) fn pieces<'a>(&'a self, timestamp: &'a str, body: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().map(move |part| match part {
            Part::Text(text) => text.as_bytes(),
            Part::Timestamp => timestamp.as_bytes(),
            Part::Body => body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_has_the_body_once_and_no_unknown_brace() {
        assert_eq!(SignedText::parse("{body}"), Ok(SignedText::body()));
        assert!(SignedText::parse("v0:{timestamp}:{body}").unwrap().has_timestamp());
        for (text, error) in [
            ("", InvalidSignedText::Body),
            ("{timestamp}", InvalidSignedText::Body),
            ("{body}{body}", InvalidSignedText::Body),
            ("{timestamp}{timestamp}{body}", InvalidSignedText::Timestamp),
            ("{id}.{body}", InvalidSignedText::Brace),
            ("{body}}", InvalidSignedText::Brace),
        ] {
            assert_eq!(SignedText::parse(text), Err(error), "{text}");
        }
    }
}
