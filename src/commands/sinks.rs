//! The sink that the settings name, and what it takes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use super::preparation::Preparation;
use super::signals::{Hurry, Signals};
use crate::ledger::Recorder;
use crate::memory::shares::Budget;
use crate::plan::Plan;
use crate::settings::{Month, Settings, SinkTo};
use crate::sink::csv::CsvSink;
use crate::sink::parquet::{self, ParquetSink};
use crate::sink::postgres::{Connections, DayOfRun, MonthOfRun, PostgresSink, Writing};
use crate::sink::{Sink, SinkError};
use crate::summary::row::DayMeta;

/// Frees a run that was interrupted from waiting for PostgreSQL.
fn hurry(connections: &Arc<Connections>) -> Hurry {
    let connections = connections.clone();
    Box::new(move || connections.cancel())
}

/// What the plan replaces of each month; months of sources without a report period are refused
/// later, by the day.
fn months(plan: &Plan) -> Vec<MonthOfRun> {
    let mut months: BTreeMap<Month, MonthOfRun> = BTreeMap::new();
    for DayMeta { date, source_uuid, report_period_id, .. } in plan.units.iter().map(|u| &*u.meta) {
        let month = Month::of(*date);
        let empty = || MonthOfRun { month, days: Vec::new(), hourly_rows: 0 };
        let of_run = months.entry(month).or_insert_with(empty);
        of_run.days.extend(report_period_id.map(|report_period_id| DayOfRun {
            date: *date,
            report_period_id,
            source_uuid: *source_uuid,
        }));
    }
    for group in plan.groups.iter().filter(|group| group.file.part.has_pods()) {
        let month = Month::of(plan.units[group.units.0].meta.date);
        if let Some(month) = months.get_mut(&month) {
            month.hourly_rows += group.group.rows as u64;
        }
    }
    months.into_values().collect()
}

/// From here on a run must be ended in good order.
pub(super) fn open(
    settings: &Settings,
    database: &mut Preparation<'_>,
    plan: &Plan,
    writers: usize,
    recorder: Option<Recorder>,
    signals: &Signals,
) -> Result<Box<dyn Sink>> {
    let recorder = recorder.map(Arc::new);
    let to_file = |create: fn(&Path) -> Result<Box<dyn Sink>, SinkError>, path| {
        signals.begin_writing(Some(Box::new(|| {})));
        Ok(create(path)?)
    };
    match &settings.sink {
        SinkTo::Csv(path) => to_file(|path| Ok(Box::new(CsvSink::create(path)?)), path),
        SinkTo::Parquet(path) => to_file(|path| Ok(Box::new(ParquetSink::create(path)?)), path),
        SinkTo::Postgres => database.last_step(|client| {
            let connections = Arc::new(Connections::new(&settings.postgres, client));
            signals.begin_writing(Some(hurry(&connections)));
            let writing = Writing {
                connections,
                writers,
                copy_buffer: settings.loading.copy_buffer,
                bulk: settings.loading.bulk,
                months: months(plan),
                recorder: recorder.clone(),
                interrupted: signals.cancelled().clone(),
            };
            let opened = PostgresSink::open_with(writing, &settings.postgres.schema);
            Ok(Box::new(opened.map_err(SinkError::from)?) as Box<dyn Sink>)
        }),
    }
}

/// What a sink holds while it writes.
pub(super) fn bytes(settings: &Settings, connections: usize) -> u64 {
    /// Of a connection beside its rows.
    const CONNECTION: u64 = 256 * 1024;
    match settings.sink {
        // Rows are encoded in one buffer, copied to a second and sent from a third.
        SinkTo::Postgres => {
            connections as u64 * (3 * settings.loading.copy_buffer as u64 + CONNECTION)
        }
        SinkTo::Csv(_) => 1024 * 1024,
        SinkTo::Parquet(_) => parquet::MOST_BYTES,
    }
}

/// Days that are written at once.
pub(super) fn connections(settings: &Settings, budget: &Budget, threads: usize) -> usize {
    /// More of them keep a server busy that others need too.
    const MOST: usize = 4;
    /// Below this the days that wait would take what the aggregation needs.
    const ENOUGH_MEMORY: u64 = 256 * 1024 * 1024;
    match settings.loading.connections {
        _ if settings.sink != SinkTo::Postgres => 1,
        Some(connections) => connections,
        None if budget.bytes < ENOUGH_MEMORY => 1,
        None => threads.min(MOST),
    }
}
