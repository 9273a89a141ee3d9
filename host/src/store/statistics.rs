//! How what was counted is stored: for each subject one record a minute for the last hour, and one an hour for the last day. Periods
//! take turns at a fixed number of places, and a record says of which one it is. So nothing that is written has to be swept while its subject
//! is in use, and a clock that jumps leaves at worst a record that no window has.

use super::ReadError;
use super::key::KeyReader;
use crate::model::TenantName;
use crate::statistics::{HOURS_KEPT, Kind, MINUTES_KEPT, Period, Subject, Tally};
use serde::{Deserialize, Serialize};

/// What was counted in one period, whose number tells it from others at the same place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The number of the minute, or of the hour.
    pub(super) number: u64,
    /// What was counted.
    pub(super) tally: Tally,
}

/// A subject's kind in its key. All of a kind stand under its capital letter, with an empty name.
pub(super) const fn kind_byte(subject: &Subject) -> u8 {
    match subject {
        Subject::Source(_) => b's',
        Subject::Module { .. } => b'm',
        Subject::Endpoint(_) => b'e',
        Subject::All(Kind::Source) => b'S',
        Subject::All(Kind::Module) => b'M',
        Subject::All(Kind::Endpoint) => b'E',
    }
}

/// The kind of subjects that have names, in their keys.
pub(super) const fn named_kind_byte(kind: Kind) -> u8 {
    match kind {
        Kind::Source => b's',
        Kind::Module => b'm',
        Kind::Endpoint => b'e',
    }
}

/// The place of a period: what length it has, and whose turn it is.
pub(super) fn place_of(period: Period) -> [u8; 2] {
    let (length, place) = match period {
        Period::Minute(minute) => (b'm', minute % MINUTES_KEPT),
        Period::Hour(hour) => (b'h', hour % HOURS_KEPT),
    };
    // There are fewer places than a byte counts.
    [length, u8::try_from(place).unwrap_or(u8::MAX)]
}

/// The number of a period.
pub(super) const fn number_of(period: Period) -> u64 {
    match period {
        Period::Minute(number) | Period::Hour(number) => number,
    }
}

/// Reads what a key stands for: a subject, and whether its periods at this place are hours. `key` has its tenant still before it.
pub(super) fn read_key(key: &mut KeyReader<'_>) -> Result<(TenantName, Subject, bool), ReadError> {
    let (tenant, kind) = (key.name()?, key.byte()?);
    let subject = match kind {
        b's' => Subject::Source(key.name()?),
        b'e' => Subject::Endpoint(key.name()?),
        b'm' => Subject::Module { name: key.text()?.into(), version: key.digest()? },
        b'S' | b'M' | b'E' => {
            key.text()?;
            Subject::All(match kind {
                b'S' => Kind::Source,
                b'M' => Kind::Module,
                _ => Kind::Endpoint,
            })
        }
        _ => return Err(key.broken()),
    };
    let in_hours = match key.byte()? {
        b'm' => false,
        b'h' => true,
        _ => return Err(key.broken()),
    };
    Ok((tenant, subject, in_hours))
}

impl Kept {
    /// The period that it is of.
    pub(super) const fn period(&self, in_hours: bool) -> Period {
        if in_hours { Period::Hour(self.number) } else { Period::Minute(self.number) }
    }
}
