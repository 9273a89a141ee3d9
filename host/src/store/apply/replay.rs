//! Replay: an event goes again. Its runs are pending, in its place in the order, and of a generation that none had before.

use super::index::put_run;
use super::{Applied, Refusal, check};
use crate::model::Run;
use crate::store::backend::{Look as _, Order};
use crate::store::job::Replayed;
use crate::store::key::Key;
use crate::store::tree::TreeId;
use crate::store::{Outcome, REPLAYS_PER_EVENT_MAX, ReadError, Replay, View, keys, record, stored};

/// Makes the runs, unless the same was asked for before.
pub(super) fn replay(view: &mut View<'_>, replay: &Replay) -> Result<Applied, Refusal> {
    check::replay(replay)?;
    let Replay { tenant, event, runs, asked, now_ms } = replay;
    let Some(event) = stored::event(view, tenant, *event)? else { return Ok(Applied::quietly(Outcome::NotFound)) };
    let earlier = earlier(view, replay)?;
    if let Some(same) = earlier.iter().find(|earlier| asked.is_some() && earlier.asked == *asked) {
        return Ok(Applied::quietly(Outcome::Replayed { runs: same.runs.clone() }));
    }
    if earlier.len() >= REPLAYS_PER_EVENT_MAX {
        return Ok(Applied::quietly(Outcome::TooMany { max: REPLAYS_PER_EVENT_MAX }));
    }
    let generation = earlier.last().map_or(0, |last| last.generation).saturating_add(1);
    let (mut made, mut hints) = (Vec::with_capacity(runs.len()), Vec::new());
    for (route, plan) in runs {
        let run = Run::new(event.id, route, generation, *plan, *now_ms);
        put_run(view, tenant, event.seq, None, &run, &mut hints)?;
        made.push(run.id);
    }
    let kept = Replayed { generation, asked: *asked, runs: made.clone() };
    record::put(view, TreeId::of(event.id), keys::replay(tenant, event.id, generation), &kept)?;
    Ok(Applied { outcome: Outcome::Replayed { runs: made }, hints })
}

/// The replays of the event so far, the first one first.
fn earlier(view: &View<'_>, Replay { tenant, event, .. }: &Replay) -> Result<Vec<Replayed>, ReadError> {
    let tree = TreeId::of(*event);
    let found = view.scan(tree, &keys::replays(tenant, *event).prefix(), Order::Ascending);
    let decode = |entry: Result<(bytes::Bytes, bytes::Bytes), _>| {
        let (key, value) = entry?;
        record::decode(view, tree, &Key::from(&key[..]), value)
    };
    found.map(decode).collect()
}
