//! What there is to say of an event, before it becomes blocks.

use crate::line::Line;
use crate::payload::Payload;

/// A message in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// A heading, for what deserves one.
    pub heading: Option<String>,
    /// Who did what.
    pub headline: Line,
    /// What they said, or a list.
    pub body: Option<Line>,
    /// Small print: where it happened, and more.
    pub details: Vec<Line>,
}

impl Note {
    /// A note that says where it happened.
    #[must_use]
    pub fn new(payload: &Payload, headline: Line) -> Self {
        Self { heading: None, headline, body: None, details: payload.place().into_iter().collect() }
    }

    /// With a heading.
    #[must_use]
    pub fn heading(mut self, heading: impl Into<String>) -> Self {
        self.heading = Some(heading.into());
        self
    }

    /// With a body, if there is something in it.
    #[must_use]
    pub fn body(mut self, body: Line) -> Self {
        self.body = (!body.is_empty()).then_some(body);
        self
    }

    /// With small print, if there is something in it.
    #[must_use]
    pub fn detail(mut self, detail: Line) -> Self {
        if !detail.is_empty() {
            self.details.push(detail);
        }
        self
    }
}
