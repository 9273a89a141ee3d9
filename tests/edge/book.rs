//! What was tried and what came of it: group by group, and what a host must never do, counted.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How many odd cases are told in words.
const TOLD_MAX: usize = 40;

/// The book of a run.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) cases: usize,
    pub(crate) server_errors: usize,
    wrong: Vec<String>,
    groups: Vec<Group>,
}

struct Group {
    name: &'static str,
    cases: usize,
    /// How often each answer came.
    answers: BTreeMap<String, usize>,
    rows: Vec<(String, String)>,
}

impl Book {
    /// Begins a group of cases.
    pub(crate) fn group(&mut self, name: &'static str) {
        self.groups.push(Group { name, cases: 0, answers: BTreeMap::new(), rows: Vec::new() });
    }

    /// Notes a case: what was answered, and what is wrong with that, if anything is. A row is shown where it says more than the counts do.
    pub(crate) fn case(&mut self, name: &str, answers: &[u16], shown: bool, wrong: Option<String>) {
        let told = told(answers);
        self.server_errors += answers.iter().filter(|status| is_server_error(**status)).count();
        self.note(name, told, shown, wrong);
    }

    /// The same for what is answered in frames.
    pub(crate) fn note(&mut self, name: &str, told: String, shown: bool, wrong: Option<String>) {
        self.cases += 1;
        let group = self.groups.last_mut().unwrap();
        group.cases += 1;
        *group.answers.entry(told.clone()).or_default() += 1;
        if shown {
            group.rows.push((name.to_owned(), told.clone()));
        }
        let group = group.name;
        self.wrong.extend(wrong.map(|wrong| format!("{group}: {name}: {told}: {wrong}")));
    }

    /// Something that no case may cause.
    pub(crate) fn server_error(&mut self, what: String) {
        self.server_errors += 1;
        self.wrong.push(what);
    }

    /// Prints the last group.
    pub(crate) fn print_group(&self) {
        let Group { name, cases, answers, rows } = self.groups.last().unwrap();
        let mut all = String::new();
        for (told, count) in answers {
            write!(all, "  {told} ×{count}").unwrap();
        }
        println!("{name}: {cases} cases:{all}");
        for (case, told) in rows {
            println!("    {case:56} {told}");
        }
    }

    /// What is wrong, in words; empty where nothing is.
    pub(crate) fn wrong(&self) -> &[String] {
        &self.wrong[..self.wrong.len().min(TOLD_MAX)]
    }

    pub(crate) fn is_well(&self) -> bool {
        self.wrong.is_empty() && self.server_errors == 0
    }
}

/// Nothing that is sent here gives the host a reason for one: no source is disabled, no bound of all requests together is reached, no disk is full.
fn is_server_error(status: u16) -> bool {
    status >= 500
}

fn told(answers: &[u16]) -> String {
    if answers.is_empty() {
        return "closed".to_owned();
    }
    if answers.len() > 4 {
        return format!("{} × {}", answers.len(), answers[0]);
    }
    answers.iter().map(u16::to_string).collect::<Vec<_>>().join(" ")
}
