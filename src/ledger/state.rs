//! Whether a day is done: what is recorded of it against what it would be made of now. Pure.

use std::fmt;

use super::{Entry, Fingerprint};

/// How a day stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Its rows are those that a run would write again.
    Done,
    /// A run might write other rows.
    Stale(Vec<Change>),
    /// It has input but was never written, or not with a ledger.
    Missing,
    /// Neither input nor a record of rows.
    Empty,
}

/// What has changed since a day was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Objects,
    Lookups,
    Settings,
    Program,
    /// The summary holds nothing of it any more.
    RowsGone,
    /// The whole month has no pod files any more, so that a run leaves it alone.
    NoInput,
}

impl State {
    /// `now` is `None` for a day that a run would leave alone.
    pub fn of(now: Option<&Fingerprint>, entry: Option<&Entry>) -> Self {
        match (now, entry) {
            (None, Some(entry)) if entry.rows.total() > 0 => State::Stale(vec![Change::NoInput]),
            (None, _) => State::Empty,
            (Some(now), None) if now.object_count == 0 => State::Empty,
            (Some(_), None) => State::Missing,
            (Some(now), Some(entry)) => {
                let changes = changes(now, entry);
                if changes.is_empty() { State::Done } else { State::Stale(changes) }
            }
        }
    }

    /// As one word.
    pub fn word(&self) -> &'static str {
        match self {
            State::Done => "done",
            State::Stale(_) => "stale",
            State::Missing => "missing",
            State::Empty => "empty",
        }
    }
}

fn changes(now: &Fingerprint, entry: &Entry) -> Vec<Change> {
    let then = &entry.fingerprint;
    [
        (now.objects != then.objects || now.object_count != then.object_count, Change::Objects),
        (now.lookups != then.lookups, Change::Lookups),
        (now.settings != then.settings, Change::Settings),
        (now.program != then.program, Change::Program),
        (entry.rows.total() > 0 && !entry.rows_present, Change::RowsGone),
    ]
    .into_iter()
    .filter_map(|(changed, what)| changed.then_some(what))
    .collect()
}

impl Change {
    /// As one word, for programs.
    pub fn word(self) -> &'static str {
        match self {
            Change::Objects => "objects",
            Change::Lookups => "lookups",
            Change::Settings => "settings",
            Change::Program => "program",
            Change::RowsGone => "rows_gone",
            Change::NoInput => "no_input",
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Change::Objects => "its objects changed",
            Change::Lookups => "lookups changed",
            Change::Settings => "settings, report period or cluster changed",
            Change::Program => "written by another version",
            Change::RowsGone => "its rows are gone from the summary",
            Change::NoInput => "its month has no pod files any more",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Rows;

    fn fingerprint(objects: &str, object_count: u32) -> Fingerprint {
        Fingerprint {
            objects: objects.to_owned(),
            object_count,
            lookups: "l".to_owned(),
            settings: "s".to_owned(),
            program: "p".to_owned(),
        }
    }

    fn entry(fingerprint: Fingerprint, pod: u64, rows_present: bool) -> Entry {
        let rows = Rows { pod, ..Rows::default() };
        Entry { fingerprint, rows, rows_present, written_at: "then".to_owned() }
    }

    #[test]
    fn a_day_is_done_only_if_nothing_changed_and_its_rows_are_there() {
        let now = fingerprint("o", 1);
        let of = |now: &Fingerprint, entry: &Entry| State::of(Some(now), Some(entry));
        assert_eq!(of(&now, &entry(now.clone(), 2, true)), State::Done);
        assert_eq!(of(&now, &entry(now.clone(), 0, false)), State::Done);
        assert_eq!(of(&now, &entry(now.clone(), 2, false)), State::Stale(vec![Change::RowsGone]));
        let then = [
            (Fingerprint { objects: "x".to_owned(), ..now.clone() }, Change::Objects),
            (Fingerprint { lookups: "x".to_owned(), ..now.clone() }, Change::Lookups),
            (Fingerprint { settings: "x".to_owned(), ..now.clone() }, Change::Settings),
            (Fingerprint { program: "x".to_owned(), ..now.clone() }, Change::Program),
        ];
        for (then, change) in then {
            assert_eq!(of(&now, &entry(then, 2, true)), State::Stale(vec![change]));
        }
    }

    #[test]
    fn a_day_that_lost_its_input_is_not_done() {
        let then = entry(fingerprint("o", 1), 2, true);
        let now = fingerprint("none", 0);
        assert_eq!(State::of(Some(&now), Some(&then)), State::Stale(vec![Change::Objects]));
        assert_eq!(State::of(None, Some(&then)), State::Stale(vec![Change::NoInput]));
    }

    #[test]
    fn what_was_never_written_is_missing_or_empty() {
        assert_eq!(State::of(Some(&fingerprint("o", 1)), None), State::Missing);
        assert_eq!(State::of(Some(&fingerprint("none", 0)), None), State::Empty);
        assert_eq!(State::of(None, None), State::Empty);
    }
}
