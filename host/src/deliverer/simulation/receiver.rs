//! Receivers as they are: well, slow, overloaded, broken for a while, gone.

use super::super::outcome::Failure;
use super::setup::Random;
use crate::transport::{Response, SendError};
use http::StatusCode;
use http::header::RETRY_AFTER;

/// How a receiver behaves.
#[derive(Clone, Debug)]
pub(super) enum Receiver {
    /// It takes everything, in so many milliseconds at most.
    Well { latency_ms_max: u64 },
    /// It takes so many a second, and refuses the others with 429, sometimes with a `Retry-After`.
    Busy { per_s: usize, taken_ms: Vec<u64> },
    /// Between these times it fails; before and after it takes everything.
    Sick { from_ms: u64, until_ms: u64 },
    /// Each answer is a failure with this probability, in per cent, before this time.
    Flaky { percent: u64, until_ms: u64 },
    /// Between these times it answers 410.
    Gone { from_ms: u64, until_ms: u64 },
    /// It never answers.
    Hangs,
}

/// What it answers, and how long that takes.
pub(super) struct Answer {
    pub(super) result: Result<Response, Failure>,
    pub(super) latency_ms: u64,
}

impl Answer {
    /// Whether the receiver has the delivery.
    pub(super) fn took_it(&self) -> bool {
        self.result.as_ref().is_ok_and(|answer| answer.status.is_success())
    }

    /// How long it wants to be left alone, in milliseconds.
    pub(super) fn asked_ms(&self) -> Option<u64> {
        let header = self.result.as_ref().ok()?.header(RETRY_AFTER)?;
        Some(header.parse::<u64>().unwrap() * 1000)
    }
}

impl Receiver {
    pub(super) fn answer(&mut self, random: &mut Random, now_ms: u64) -> Answer {
        let latency_ms = 1 + random.below(40);
        let status = |status: u16| Answer { result: response(status, None), latency_ms };
        match self {
            Self::Well { latency_ms_max } => Answer { latency_ms: 1 + random.below(*latency_ms_max), ..status(200) },
            Self::Busy { per_s, taken_ms } => {
                taken_ms.retain(|at_ms| at_ms + 1000 > now_ms);
                if taken_ms.len() < *per_s {
                    taken_ms.push(now_ms);
                    return status(202);
                }
                let asked_s = [None, Some(0), Some(1), Some(3)][random.index(4)];
                Answer { result: response(429, asked_s), latency_ms }
            }
            Self::Sick { from_ms, until_ms } if (*from_ms..*until_ms).contains(&now_ms) => match random.below(4) {
                0 => Answer { result: Err(Failure::Send(SendError::Timeout { timeout_ms: 1000 })), latency_ms: 1000 },
                1 => Answer { result: response(503, Some(random.below(5))), latency_ms },
                2 => status(504),
                _ => status(500),
            },
            Self::Flaky { percent, until_ms } if now_ms < *until_ms && random.below(100) < *percent => status(500),
            Self::Gone { from_ms, until_ms } if (*from_ms..*until_ms).contains(&now_ms) => status(410),
            Self::Hangs => {
                Answer { result: Err(Failure::Send(SendError::Timeout { timeout_ms: 15_000 })), latency_ms: 15_000 }
            }
            Self::Sick { .. } | Self::Flaky { .. } | Self::Gone { .. } => status(200),
        }
    }
}

fn response(status: u16, retry_after_s: Option<u64>) -> Result<Response, Failure> {
    Ok(Response {
        status: StatusCode::from_u16(status).unwrap(),
        headers: retry_after_s.map(|seconds| (RETRY_AFTER, seconds.into())).into_iter().collect(),
        body_prefix: Vec::new(),
        cut: false,
    })
}
