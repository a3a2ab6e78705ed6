//! What is compared.

/// The ways of saving that can be switched off; nothing else differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Switches {
    /// Days go as they are complete.
    pub streaming: bool,
    /// Only columns that count are read.
    pub columns: bool,
    /// Texts are codes.
    pub categorical: bool,
}

impl Switches {
    pub const ALL: Switches = Switches { streaming: true, columns: true, categorical: true };
    pub const NONE: Switches = Switches { streaming: false, columns: false, categorical: false };
    /// All combinations: the whole first, the baseline last.
    pub const COMBINATIONS: [Switches; 8] = [
        Switches::ALL,
        Switches { streaming: false, ..Switches::ALL },
        Switches { columns: false, ..Switches::ALL },
        Switches { categorical: false, ..Switches::ALL },
        Switches { streaming: true, ..Switches::NONE },
        Switches { columns: true, ..Switches::NONE },
        Switches { categorical: true, ..Switches::NONE },
        Switches::NONE,
    ];

    fn name(self) -> String {
        let each = [
            (self.streaming, "streaming"),
            (self.columns, "column filtering"),
            (self.categorical, "categorical"),
        ];
        let named = |on: bool| {
            let names: Vec<&str> =
                each.iter().filter(|(is_on, _)| *is_on == on).map(|(_, name)| *name).collect();
            names.join(", ")
        };
        match each.iter().filter(|(on, _)| *on).count() {
            3 => "all on".to_owned(),
            2 => format!("{} off", named(false)),
            1 => format!("{} alone", named(true)),
            _ => "all off".to_owned(),
        }
    }
}

/// What a variant is there to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Switches,
    Threads,
    Chunks,
    /// What to divide by: see [`super::floor`].
    Floor,
}

/// One way to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    pub name: String,
    pub group: Group,
    pub switches: Switches,
    pub threads: usize,
    /// `None`: as the program chooses.
    pub chunk_rows: Option<usize>,
}

impl Variant {
    /// Flags of `run`, names without dashes.
    pub fn flags(&self) -> Vec<(&'static str, String)> {
        let switch = |on: bool| if on { "on" } else { "off" }.to_owned();
        vec![
            ("streaming", switch(self.switches.streaming)),
            ("column-filtering", switch(self.switches.columns)),
            ("categorical", switch(self.switches.categorical)),
            ("threads", self.threads.to_string()),
            ("chunk-rows", self.chunk_rows.map_or_else(|| "auto".to_owned(), |n| n.to_string())),
        ]
    }
}

/// Everything that is compared, the whole (all on, all threads, chunks as the program chooses)
/// first; it belongs to every group.
pub fn all(most_threads: usize, chunk_sizes: &[usize]) -> Vec<Variant> {
    let whole = Variant {
        name: String::new(),
        group: Group::Switches,
        switches: Switches::ALL,
        threads: most_threads,
        chunk_rows: None,
    };
    let switched = Switches::COMBINATIONS.map(|switches| Variant {
        name: switches.name(),
        switches,
        ..whole.clone()
    });
    let threads = fewer(most_threads).into_iter().map(|threads| Variant {
        name: match threads {
            1 => "1 thread".to_owned(),
            _ => format!("{threads} threads"),
        },
        group: Group::Threads,
        threads,
        ..whole.clone()
    });
    let chunks = chunk_sizes.iter().map(|&rows| Variant {
        name: format!("chunks of {rows} rows"),
        group: Group::Chunks,
        chunk_rows: Some(rows),
        ..whole.clone()
    });
    let floor = Variant {
        name: "read and decompress only".to_owned(),
        group: Group::Floor,
        threads: 1,
        ..whole.clone()
    };
    switched.into_iter().chain(threads).chain(chunks).chain([floor]).collect()
}

/// Powers of two below `threads`.
fn fewer(threads: usize) -> Vec<usize> {
    std::iter::successors(Some(1usize), |&n| n.checked_mul(2))
        .take_while(|&n| n < threads)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn threads_double_up_to_all_of_them() {
        let threads = |most| -> Vec<usize> {
            all(most, &[]).iter().filter(|v| v.group == Group::Threads).map(|v| v.threads).collect()
        };
        assert_eq!(threads(1), [0usize; 0]);
        assert_eq!(threads(2), [1]);
        assert_eq!(threads(6), [1, 2, 4]);
        assert_eq!(threads(8), [1, 2, 4]);
    }

    #[test]
    fn no_two_variants_are_the_same_run() {
        let variants = all(4, &[10, 1000]);
        let names: BTreeSet<&str> = variants.iter().map(|v| v.name.as_str()).collect();
        let runs: Vec<&Variant> = variants.iter().filter(|v| v.group != Group::Floor).collect();
        let flags: BTreeSet<_> = runs.iter().map(|v| v.flags()).collect();
        assert_eq!((names.len(), flags.len()), (variants.len(), runs.len()));
        assert_eq!(variants[0].switches, Switches::ALL);
        assert_eq!(variants.len(), 8 + 2 + 2 + 1);
    }

    #[test]
    fn names_say_what_is_off_or_alone() {
        let names: Vec<String> = Switches::COMBINATIONS.iter().map(|s| s.name()).collect();
        let expected = [
            "all on",
            "streaming off",
            "column filtering off",
            "categorical off",
            "streaming alone",
            "column filtering alone",
            "categorical alone",
            "all off",
        ];
        assert_eq!(names, expected);
    }
}
