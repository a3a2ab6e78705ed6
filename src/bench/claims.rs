//! What each way of saving was claimed to save, beside what it does.

use super::results::{Medians, Results};
use super::variants::Switches;

/// A claim of the design that this program started from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    pub name: &'static str,
    pub claimed: &'static str,
    /// With all others on, without it.
    without: Switches,
    /// With all others off, with it.
    alone: Switches,
}

pub const ALL: [Claim; 4] = [
    Claim {
        name: "streaming",
        claimed: "about 90 % of memory",
        without: Switches { streaming: false, ..Switches::ALL },
        alone: Switches { streaming: true, ..Switches::NONE },
    },
    Claim {
        name: "column filtering",
        claimed: "30 to 40 %",
        without: Switches { columns: false, ..Switches::ALL },
        alone: Switches { columns: true, ..Switches::NONE },
    },
    Claim {
        name: "categorical",
        claimed: "50 to 70 % of the memory of texts",
        without: Switches { categorical: false, ..Switches::ALL },
        alone: Switches { categorical: true, ..Switches::NONE },
    },
    Claim {
        name: "all together",
        claimed: "about 95 % of memory",
        without: Switches::NONE,
        alone: Switches::ALL,
    },
];

/// What was saved, as a share of what it takes without: 0.9 is 90 % saved, below 0 it costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Saved {
    pub memory: f64,
    pub cpu: f64,
    pub wall: f64,
}

/// A claim and what is measured of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Checked {
    pub claim: Claim,
    /// By switching it on where the others are on.
    pub among_others: Saved,
    /// By switching it on where the others are off.
    pub alone: Saved,
}

/// All claims, where all switches were measured.
pub fn check(results: &Results) -> Vec<Checked> {
    let medians = |switches| Some(results.with(switches)?.medians());
    let checked = |claim: &Claim| {
        let (all, none) = (medians(Switches::ALL)?, medians(Switches::NONE)?);
        Some(Checked {
            claim: *claim,
            among_others: saved(medians(claim.without)?, all),
            alone: saved(none, medians(claim.alone)?),
        })
    };
    ALL.iter().filter_map(checked).collect()
}

fn saved(without: Medians, with: Medians) -> Saved {
    let share = |without: f64, with: f64| if without > 0.0 { 1.0 - with / without } else { 0.0 };
    Saved {
        memory: share(without.peak, with.peak),
        cpu: share(without.cpu, with.cpu),
        wall: share(without.wall, with.wall),
    }
}

/// `82 %`; what costs has a minus.
pub fn percent(share: f64) -> String {
    // Not `-0 %`.
    format!("{:.0} %", (share * 100.0).round() + 0.0)
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::results;
    use super::*;

    #[test]
    fn savings_compare_the_right_variants() {
        // Peaks are 100 MiB for all on, 200 to 400 without one, 500 to 700 with one alone, 800
        // for none.
        let checked = check(&results());
        let memory: Vec<(String, String)> = checked
            .iter()
            .map(|c| (percent(c.among_others.memory), percent(c.alone.memory)))
            .collect();
        let expected = [("50 %", "38 %"), ("67 %", "25 %"), ("75 %", "13 %"), ("88 %", "88 %")];
        assert_eq!(memory, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }

    #[test]
    fn costs_have_a_minus() {
        let take = |peak| Medians { peak, ..Medians::default() };
        assert_eq!(percent(saved(take(100.0), take(110.0)).memory), "-10 %");
        assert_eq!(percent(saved(take(1000.0), take(1001.0)).memory), "0 %");
        assert_eq!(percent(saved(take(0.0), take(1.0)).memory), "0 %");
    }
}
