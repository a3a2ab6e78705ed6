//! Parquet files as pod and storage line items: read or refused, and read alike both ways of reading texts.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use ocp_rollup::aggregate::partial::Partial;
use ocp_rollup::decode::row_group::{AddError, Buffers, Counts, Days, Reading, Segment, add_rows};
use ocp_rollup::decode::schema::Part;
use ocp_rollup::labels::known::KnownLabels;
use ocp_rollup::lookups::Lookups;
use ocp_rollup::plan::footers;
use ocp_rollup::read::bytes::ColumnBytes;
use ocp_rollup::settings::{Aggregation, FanOut, NullRules, PodSource};
use ocp_rollup::store::Store;
use ocp_rollup::store::local::LocalStore;
use ocp_rollup::summary::finish::Tenant;

const SEED: u64 = 7;
/// October 2025, as days since 1970-01-01.
const DAYS: (i64, i64) = (20_362, 20_392);
/// A footer may promise more rows than its bytes can hold, which are then read until they end.
const MOST_ROWS: usize = 1 << 20;

struct States {
    categorical: bool,
    days: BTreeMap<i64, Partial>,
}

impl Days for States {
    type Error = Infallible;

    fn state(&mut self, day: i64) -> Result<Option<&mut Partial>, Infallible> {
        let categorical = self.categorical;
        Ok(Some(self.days.entry(day).or_insert_with(|| {
            let known =
                if categorical { KnownLabels::hashed(SEED) } else { KnownLabels::compared(SEED) };
            Partial::new(known, SEED)
        })))
    }
}

pub fn run(data: &[u8]) {
    let Ok(folder) = tempfile::tempdir() else { return };
    if std::fs::write(folder.path().join("pods.parquet"), data).is_err() {
        return;
    }
    let source = folder.path().to_string_lossy().into_owned();
    let store = Store::Local(LocalStore::new(&source).unwrap_or_else(|error| panic!("{error}")));
    for part in [Part::Pods, Part::Storage] {
        read(&store, part);
    }
}

fn read(store: &Store, part: Part) {
    let objects = store.list("").unwrap_or_else(|error| panic!("{error}"));
    let Ok(opened) = store.tail(&objects[0], 4096).wait() else { return };
    let Ok((file, metadata)) = footers::read(store, &opened, part, true, DAYS) else { return };
    let (file, metadata) = (Arc::new(file), Arc::new(metadata));
    for row_group in 0..metadata.num_row_groups() {
        let rows = metadata.row_group(row_group).num_rows() as usize;
        if rows > MOST_ROWS {
            continue;
        }
        let Ok(bytes) = ColumnBytes::paged(store, &file.stored, Vec::new()) else { return };
        let segment = Segment {
            file: file.clone(),
            metadata: metadata.clone(),
            row_group,
            rows: 0..rows,
            bytes,
            promised_days: None,
        };
        let ways = [true, false].map(|categorical| group(&segment, categorical));
        if let [Some(codes), Some(texts)] = ways {
            assert_eq!(codes, texts, "row group {row_group}, by codes and by texts");
        }
    }
}

/// Counts, and (pod groups, storage groups) of each day.
type Outcome = (Counts, Vec<(i64, usize, usize)>);

fn group(segment: &Segment, categorical: bool) -> Option<Outcome> {
    let rules = Aggregation {
        pod_source: PodSource::Hourly,
        fan_out: FanOut::Koku,
        null_rules: NullRules::SelfHosted,
    };
    let enabled_keys = vec!["app".to_owned(), "env".to_owned()];
    let lookups = Lookups { enabled_keys, ..Lookups::default() };
    let tenant = Tenant::new(&lookups, rules).unwrap_or_else(|error| panic!("{error}"));
    let mut states = States { categorical, days: BTreeMap::new() };
    let reading = Reading { categorical, all_columns: false };
    match add_rows(segment, &tenant, reading, &mut states, &mut Buffers::default()) {
        Ok(counts) => {
            let groups = states
                .days
                .iter()
                .map(|(&day, state)| (day, state.pods.groups.len(), state.storage.groups.len()))
                .collect();
            Some((counts, groups))
        }
        Err(AddError::Input(error)) => {
            assert!(error.to_string().contains("pods.parquet"), "{error} does not name the file");
            None
        }
        Err(AddError::State(never)) => match never {},
    }
}
