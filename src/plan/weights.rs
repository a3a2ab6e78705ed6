//! How many rows each day of a source has, as an earlier plan found.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{fs, io};

use chrono::NaiveDate;
use serde::{Deserialize, Deserializer, de};
use uuid::Uuid;

/// Rows by source and day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Weights(BTreeMap<(Uuid, NaiveDate), u64>);

/// Why weights cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    #[error("cannot read the weights {}; give the output of `ocp-rollup plan --json`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is not what `ocp-rollup plan --json` prints", path.display())]
    Format { path: PathBuf, source: serde_json::Error },
    #[error(
        "{} weighs none of the days asked for; make it anew by `ocp-rollup plan --json` with the flags \
         of the run, and give it to every shard", path.display()
    )]
    OtherDays { path: PathBuf },
}

/// What counts of the output of `plan --json`.
#[derive(Deserialize)]
struct PlanOutput {
    days: Vec<Day>,
}

#[derive(Deserialize)]
struct Day {
    #[serde(deserialize_with = "parsed")]
    provider_uuid: Uuid,
    #[serde(deserialize_with = "parsed")]
    date: NaiveDate,
    input: Vec<Input>,
}

#[derive(Deserialize)]
struct Input {
    rows: u64,
}

/// A value that is written as a text.
fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(from: D) -> Result<T, D::Error> {
    String::deserialize(from)?.parse().map_err(de::Error::custom)
}

impl Weights {
    /// Reads what `plan --json` printed.
    ///
    /// # Errors
    /// A file that cannot be read or is something else.
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        let path = || path.to_owned();
        let text =
            fs::read(path()).map_err(|source| WeightsError::Read { path: path(), source })?;
        let plan: PlanOutput = serde_json::from_slice(&text)
            .map_err(|source| WeightsError::Format { path: path(), source })?;
        let mut weights = BTreeMap::new();
        for Day { provider_uuid, date, input } in plan.days {
            let rows: &mut u64 = weights.entry((provider_uuid, date)).or_default();
            input.iter().for_each(|input| *rows = rows.saturating_add(input.rows));
        }
        Ok(Weights(weights))
    }

    /// Whether there was nothing to weigh.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Rows of a day, if it is known.
    pub fn rows(&self, source: Uuid, date: NaiveDate) -> Option<u64> {
        self.0.get(&(source, date)).copied()
    }
}
