//! What a sink does in the ledger with each day.

use std::collections::HashMap;

use chrono::NaiveDate;
use postgres::GenericClient;
use uuid::Uuid;

use super::{Fingerprint, Ledger};
use crate::database::DatabaseError;
use crate::plan::Plan;
use crate::summary::row::{DayMeta, RowBatch, RowKind};

/// Rows of a day by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rows {
    pub pod: u64,
    pub storage: u64,
    pub unallocated: u64,
}

impl Rows {
    pub fn total(self) -> u64 {
        self.pod + self.storage + self.unallocated
    }

    /// Counts the rows of a batch in.
    pub fn count(&mut self, batch: &RowBatch) {
        for row in &batch.rows {
            *match row.kind {
                RowKind::Pod => &mut self.pod,
                RowKind::Storage => &mut self.storage,
                RowKind::Unallocated => &mut self.unallocated,
            } += 1;
        }
    }
}

/// Keeps the ledger true to the rows that are written.
#[derive(Debug, Clone)]
pub struct Recorder {
    ledger: Ledger,
    made_of: HashMap<(Uuid, NaiveDate), Fingerprint>,
}

impl Recorder {
    /// Records the days of `plan`; `made_of` is by its units.
    pub fn new(ledger: Ledger, plan: &Plan, made_of: Vec<Fingerprint>) -> Self {
        let days = plan.units.iter().map(|unit| (unit.meta.source_uuid, unit.meta.date));
        Recorder { ledger, made_of: days.zip(made_of).collect() }
    }

    /// Records no day, but takes each that is written out of the ledger: what stands there would
    /// be true of its old rows only.
    pub fn forgetting(ledger: Ledger) -> Self {
        Recorder { ledger, made_of: HashMap::new() }
    }

    /// To be called in the transaction that writes `rows` rows of `day` to `period`.
    ///
    /// # Errors
    /// What PostgreSQL refuses.
    pub fn written(
        &self,
        client: &mut impl GenericClient,
        day: &DayMeta,
        period: i32,
        rows: Rows,
    ) -> Result<(), DatabaseError> {
        match self.made_of.get(&(day.source_uuid, day.date)) {
            Some(made_of) => self.ledger.record(client, day, period, made_of, rows),
            None => self.ledger.forget(client, day),
        }
    }
}
