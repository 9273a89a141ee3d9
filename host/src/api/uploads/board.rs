//! What has become of the latest upload of each module, for as long as that is worth knowing: until it is ready, or for a refusal until
//! the next one. Pure; it is forgotten at a restart, but for uploads that wait, which are files.

use crate::config::ResourceId;
use crate::model::{Digest, TenantName};
use crate::problem::Problem;
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};

/// How many uploads of one scope may wait to be compiled, or for the host's next start where it failed at them.
const WAITING_MAX: usize = 16;
/// How many refusals of one scope are remembered, the latest.
const REFUSALS_MAX: usize = 100;
/// When to try again where as many wait as may, in seconds.
const RETRY_AFTER_S: u32 = 10;

/// A tenant, or none for the operator.
type Scope = Option<TenantName>;

/// An upload's place in the order in which they came since the start.
pub(super) type Ticket = u64;

#[derive(Debug, Default)]
pub(super) struct Board {
    next: Ticket,
    entries: BTreeMap<ResourceId, Entry>,
    /// How many uploads wait or are being compiled.
    at_work: HashMap<Scope, usize>,
}

#[derive(Debug)]
struct Entry {
    /// The first and the last upload that is to become this module. Between them are those that will be replaced at once.
    first: Ticket,
    last: Ticket,
    /// The last one's.
    digest: Digest,
    /// Where the last one was refused, why.
    refused: Option<(&'static str, String)>,
    /// The files of those that wait; the numbers grow from one upload to the next.
    waiting: Vec<u64>,
    /// The files of those that the host failed at: they wait for its next start.
    kept: Vec<u64>,
}

impl Entry {
    /// Whether there are files of it.
    fn is_awaited(&self) -> bool {
        !self.waiting.is_empty() || !self.kept.is_empty()
    }
}

impl Board {
    /// Notes an upload that came.
    pub(super) fn begin(&mut self, id: &ResourceId, digest: Digest, file: u64) -> Ticket {
        let ticket = self.next;
        self.next += 1;
        *self.at_work.entry(id.tenant.clone()).or_default() += 1;
        let new =
            || Entry { first: ticket, last: ticket, digest, refused: None, waiting: Vec::new(), kept: Vec::new() };
        let entry = self.entries.entry(id.clone()).or_insert_with(new);
        if entry.refused.take().is_some() {
            entry.first = ticket;
        }
        (entry.last, entry.digest) = (ticket, digest);
        entry.waiting.push(file);
        ticket
    }

    /// Whether one more upload of this scope may wait.
    pub(super) fn check_room(&self, scope: &Scope) -> Result<(), Problem> {
        let kept: usize = self.of_scope(scope).map(|(_, entry)| entry.kept.len()).sum();
        if self.at_work.get(scope).copied().unwrap_or_default().saturating_add(kept) < WAITING_MAX {
            return Ok(());
        }
        let mut detail =
            format!("{WAITING_MAX} uploads of this tenant wait to be compiled: try again when some are through");
        if kept > 0 {
            let why = format!("; {kept} of them wait for the host's next start, since it failed at them");
            detail.push_str(&why);
        }
        Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "uploads_waiting", detail).retry_after_s(RETRY_AFTER_S))
    }

    /// Whether an upload is still to become its module: it was not removed meanwhile.
    pub(super) fn is_wanted(&self, id: &ResourceId, ticket: Ticket) -> bool {
        self.entries.get(id).is_some_and(|entry| (entry.first..=entry.last).contains(&ticket))
    }

    /// The files that are not needed any more when this upload has become its module: its own, and those of uploads before it, which the
    /// host failed at. They must not come back after it.
    pub(super) fn files_up_to(&self, id: &ResourceId, file: u64) -> Vec<u64> {
        let older = self.entries.get(id).into_iter().flat_map(|entry| entry.kept.iter().copied());
        older.filter(|older| *older < file).chain([file]).collect()
    }

    /// Notes what became of an upload, and which files are gone: its own is kept where it is not among them.
    pub(super) fn end(
        &mut self,
        id: &ResourceId,
        (ticket, file): (Ticket, u64),
        gone: &[u64],
        refused: Option<&Problem>,
    ) {
        if let Some(count) = self.at_work.get_mut(&id.tenant) {
            *count -= 1;
            if *count == 0 {
                self.at_work.remove(&id.tenant);
            }
        }
        if !self.is_wanted(id, ticket) {
            return;
        }
        let Some(entry) = self.entries.get_mut(id) else { return };
        entry.waiting.retain(|waiting| *waiting != file);
        entry.kept.retain(|kept| !gone.contains(kept));
        entry.kept.extend(Some(file).filter(|file| !gone.contains(file)));
        match refused {
            _ if entry.last != ticket => {}
            Some(problem) => {
                entry.refused = Some((problem.code, problem.detail.clone()));
                self.forget_old_refusals(&id.tenant);
            }
            None => drop(self.entries.remove(id)),
        }
    }

    /// The files of all uploads of a module that wait; none where there is no upload to be told of.
    pub(super) fn files(&self, id: &ResourceId) -> Option<Vec<u64>> {
        self.entries.get(id).map(|entry| [&entry.kept[..], &entry.waiting].concat())
    }

    /// Forgets the uploads of a module that is removed.
    pub(super) fn forget(&mut self, id: &ResourceId) {
        self.entries.remove(id);
    }

    /// Whether uploads of a scope wait, for their turn or for the host's next start.
    pub(super) fn is_awaited(&self, scope: &Scope) -> bool {
        self.of_scope(scope).any(|(_, entry)| entry.is_awaited())
    }

    /// Forgets what was refused of a scope that is removed.
    pub(super) fn forget_refusals(&mut self, scope: &Scope) {
        self.entries.retain(|id, entry| id.tenant != *scope || entry.is_awaited());
    }

    /// Adds a module's state to what is shown of it, and where the latest upload is not ready, which one that is.
    pub(super) fn show(&self, id: &ResourceId, document: &mut Map<String, Value>) {
        let (state, upload) = match self.entries.get(id) {
            None => ("ready", None),
            Some(Entry { digest, refused: None, .. }) => ("compiling", Some(json!({ "digest": digest }))),
            Some(Entry { digest, refused: Some((code, detail)), .. }) => {
                ("refused", Some(json!({ "digest": digest, "code": code, "detail": detail })))
            }
        };
        document.insert("state".to_owned(), state.into());
        document.extend(upload.map(|upload| ("upload".to_owned(), upload)));
    }

    /// Whether a module has an upload that is not ready.
    pub(super) fn is_not_ready(&self, id: &ResourceId) -> bool {
        self.entries.contains_key(id)
    }

    /// The modules of a scope that have an upload which is not ready.
    pub(super) fn not_ready(&self, scope: &Scope) -> impl Iterator<Item = &ResourceId> {
        self.of_scope(scope).map(|(id, _)| id)
    }

    fn of_scope(&self, scope: &Scope) -> impl Iterator<Item = (&ResourceId, &Entry)> {
        self.entries.iter().filter(move |(id, _)| id.tenant == *scope)
    }

    fn forget_old_refusals(&mut self, scope: &Scope) {
        let refusals = self.of_scope(scope).filter(|(_, entry)| entry.refused.is_some() && !entry.is_awaited());
        let mut refusals: Vec<_> = refusals.map(|(id, entry)| (entry.last, id.clone())).collect();
        refusals.sort_unstable_by_key(|(last, _)| std::cmp::Reverse(*last));
        for (_, id) in refusals.into_iter().skip(REFUSALS_MAX) {
            self.entries.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Kind;

    fn id(name: &str) -> ResourceId {
        ResourceId { tenant: None, kind: Kind::Module, name: name.to_owned() }
    }

    fn shown(board: &Board, name: &str) -> Value {
        let mut document = Map::new();
        board.show(&id(name), &mut document);
        document.into()
    }

    fn problem(code: &'static str) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, "why")
    }

    #[test]
    fn an_upload_is_compiling_then_ready_or_refused() {
        let (mut board, digest) = (Board::default(), Digest::of(b"a"));
        assert_eq!(shown(&board, "m"), json!({ "state": "ready" }));
        let ticket = board.begin(&id("m"), digest, 0);
        assert_eq!(shown(&board, "m"), json!({ "state": "compiling", "upload": { "digest": digest } }));
        board.end(&id("m"), (ticket, 0), &[0], Some(&problem("module_invalid")));
        let upload = json!({ "digest": digest, "code": "module_invalid", "detail": "why" });
        assert_eq!(shown(&board, "m"), json!({ "state": "refused", "upload": upload }));
        let ticket = board.begin(&id("m"), digest, 0);
        assert_eq!(shown(&board, "m")["state"], "compiling");
        board.end(&id("m"), (ticket, 0), &[0], None);
        assert_eq!(shown(&board, "m"), json!({ "state": "ready" }));
        assert!(board.at_work.is_empty() && board.entries.is_empty());
    }

    #[test]
    fn the_last_upload_is_the_one_that_is_told_of() {
        let (mut board, a, b) = (Board::default(), Digest::of(b"a"), Digest::of(b"b"));
        let (first, second) = (board.begin(&id("m"), a, 1), board.begin(&id("m"), b, 2));
        assert!(board.is_wanted(&id("m"), first) && board.is_wanted(&id("m"), second));
        board.end(&id("m"), (first, 1), &[1], Some(&problem("module_invalid")));
        assert_eq!(shown(&board, "m"), json!({ "state": "compiling", "upload": { "digest": b } }));
        assert_eq!(board.files(&id("m")), Some(vec![2]));
        board.forget(&id("m"));
        let third = board.begin(&id("m"), a, 3);
        assert!(!board.is_wanted(&id("m"), second) && board.is_wanted(&id("m"), third));
        board.end(&id("m"), (second, 2), &[2], Some(&problem("module_invalid")));
        assert_eq!(shown(&board, "m")["state"], "compiling", "what was forgotten says nothing any more");
        board.end(&id("m"), (third, 3), &[3], None);
        assert!(board.at_work.is_empty() && board.entries.is_empty() && board.files(&id("m")).is_none());
    }

    #[test]
    fn what_the_host_failed_at_does_not_come_back_after_a_later_upload() {
        let (mut board, digest) = (Board::default(), Digest::of(b"a"));
        let first = board.begin(&id("m"), digest, 1);
        board.end(&id("m"), (first, 1), &[], Some(&problem("uploads_unavailable")));
        let second = board.begin(&id("m"), digest, 2);
        board.begin(&id("m"), digest, 3);
        let gone = board.files_up_to(&id("m"), 2);
        assert_eq!(gone, [1, 2]);
        board.end(&id("m"), (second, 2), &gone, None);
        assert_eq!(board.files(&id("m")), Some(vec![3]));
        assert_eq!(board.files_up_to(&id("m"), 4), [4]);
    }

    #[test]
    fn what_the_host_failed_at_counts_among_those_that_wait() {
        let mut board = Board::default();
        for file in 0..WAITING_MAX as u64 {
            board.check_room(&None).unwrap();
            let id = id(&format!("m{}", file % 2));
            let ticket = board.begin(&id, Digest::of(b"a"), file);
            board.end(&id, (ticket, file), &[], Some(&problem("uploads_unavailable")));
        }
        let refused = board.check_room(&None).unwrap_err();
        assert_eq!(refused.code, "uploads_waiting");
        assert!(refused.detail.contains("16 of them wait for the host's next start"), "{}", refused.detail);
        assert_eq!(board.files(&id("m0")).unwrap().len(), WAITING_MAX / 2);
        board.forget(&id("m0"));
        board.check_room(&None).unwrap();
    }

    #[test]
    fn so_many_wait_and_so_many_refusals_are_remembered() {
        let mut board = Board::default();
        for number in 0..WAITING_MAX {
            board.check_room(&None).unwrap();
            board.begin(&id(&number.to_string()), Digest::of(b"a"), 0);
        }
        assert_eq!(board.check_room(&None).unwrap_err().code, "uploads_waiting");
        assert!(board.check_room(&Some("other".parse().unwrap())).is_ok());
        let mut board = Board::default();
        for number in 0..=REFUSALS_MAX {
            let id = id(&format!("m{number}"));
            let ticket = board.begin(&id, Digest::of(b"a"), 0);
            board.end(&id, (ticket, 0), &[0], Some(&problem("module_invalid")));
        }
        assert_eq!(board.not_ready(&None).count(), REFUSALS_MAX);
        assert_eq!(shown(&board, "m0")["state"], "ready");
        assert_eq!(shown(&board, "m1")["state"], "refused");
    }
}
