//! Mistakes in a file of resources, each with its place.

use std::fmt;

/// A mistake in the file, with its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::cli) struct Mistake {
    file: String,
    line: Option<usize>,
    keys: String,
    message: String,
}

impl Mistake {
    pub(super) fn new(file: &str, line: Option<usize>, keys: String, message: &str) -> Self {
        Self { file: file.to_owned(), line, keys, message: message.to_owned() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))?;
        write!(f, ": {}{}{}", self.keys, if self.keys.is_empty() { "" } else { ": " }, self.message)
    }
}

/// All that were found.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub(in crate::cli) struct Mistakes(Vec<Mistake>);

impl Mistakes {
    pub(in crate::cli) fn add(&mut self, mistake: Mistake) {
        self.0.push(mistake);
    }

    pub(super) fn extend(&mut self, mistakes: impl IntoIterator<Item = Mistake>) {
        self.0.extend(mistakes);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// # Errors
    /// Itself, in the order of the lines, where there is any.
    pub(in crate::cli) fn check(mut self) -> Result<(), Self> {
        self.0.sort_by_key(|mistake| mistake.line);
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => one.fmt(f),
            many => {
                write!(f, "{} mistakes, and nothing was put:", many.len())?;
                many.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
            }
        }
    }
}
