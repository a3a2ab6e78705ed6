//! A sink that counts what goes into another one, and the time that it takes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::NaiveDate;
use uuid::Uuid;

use super::{Encode, Encoded, Ended, Sink, SinkError};
use crate::database::Passing;
use crate::summary::row::{DayMeta, RowBatch};
use crate::telemetry::totals::{DayInProgress, Sums};
use crate::telemetry::{Figure, Telemetry};

/// Hands everything on. A day counts once the sink has it in its place.
pub struct ObservedSink {
    sink: Box<dyn Sink>,
    telemetry: Arc<Telemetry>,
    day: Option<(Arc<DayMeta>, DayInProgress)>,
    /// In the sink, for the day in progress.
    time: Duration,
    /// Days that wait for others, be it of the sinks beside, each with its time in the sink.
    waiting: Arc<Mutex<Waiting>>,
}

type Waiting = HashMap<(Uuid, NaiveDate), (DayInProgress, Duration)>;

fn key(meta: &DayMeta) -> (Uuid, NaiveDate) {
    (meta.source_uuid, meta.date)
}

impl ObservedSink {
    pub fn new(sink: Box<dyn Sink>, telemetry: Arc<Telemetry>) -> Self {
        Self::beside_others(sink, telemetry, Arc::default())
    }

    fn beside_others(
        sink: Box<dyn Sink>,
        telemetry: Arc<Telemetry>,
        waiting: Arc<Mutex<Waiting>>,
    ) -> Self {
        ObservedSink { sink, telemetry, day: None, time: Duration::ZERO, waiting }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a day that is in its place.
    fn count(&self, (source, date): (Uuid, NaiveDate), day: DayInProgress, time: Duration) {
        let Sums { pod_rows, storage_rows, unallocated_rows, .. } = day.sums;
        self.telemetry.add(Figure::DaysWritten, 1);
        self.telemetry.add(Figure::PodRowsWritten, pod_rows);
        self.telemetry.add(Figure::StorageRowsWritten, storage_rows);
        self.telemetry.add(Figure::UnallocatedRowsWritten, unallocated_rows);
        if let Some(mut totals) = self.telemetry.totals() {
            totals.add(source, date, day, time);
        }
    }

    fn timed<T>(
        &mut self,
        step: Figure,
        work: impl FnOnce(&mut dyn Sink) -> Result<T, SinkError>,
    ) -> Result<T, SinkError> {
        let started = Instant::now();
        let done = work(&mut *self.sink);
        let time = started.elapsed();
        self.time += time;
        self.telemetry.add_time(step, time);
        self.telemetry.add_time(Figure::WriteTime, time);
        done
    }
}

/// Counts what is encoded.
struct ObservedEncoder {
    encoder: Arc<dyn Encode>,
}

impl Encode for ObservedEncoder {
    fn bytes(&self, rows: &RowBatch) -> u64 {
        self.encoder.bytes(rows)
    }

    fn encode(&self, rows: &RowBatch) -> Result<Option<Encoded>, SinkError> {
        let mut encoded = self.encoder.encode(rows)?;
        if let Some(encoded) = &mut encoded {
            encoded.totals.add(rows);
        }
        Ok(encoded)
    }
}

impl Sink for ObservedSink {
    fn begin_day(&mut self, day: &Arc<DayMeta>) -> Result<(), SinkError> {
        self.time = Duration::ZERO;
        self.day = Some((day.clone(), DayInProgress::default()));
        self.timed(Figure::BeginTime, |sink| sink.begin_day(day))
    }

    fn write(&mut self, rows: &RowBatch) -> Result<(), SinkError> {
        self.timed(Figure::CopyTime, |sink| sink.write(rows))?;
        if let Some((_, day)) = &mut self.day {
            day.add(rows);
        }
        Ok(())
    }

    fn encoder(&self) -> Option<Arc<dyn Encode>> {
        let encoder = self.sink.encoder()?;
        Some(Arc::new(ObservedEncoder { encoder }))
    }

    fn write_encoded(&mut self, encoded: &Encoded) -> Result<(), SinkError> {
        self.timed(Figure::CopyTime, |sink| sink.write_encoded(encoded))?;
        if let Some((_, day)) = &mut self.day {
            day.clone_from(&encoded.totals);
        }
        Ok(())
    }

    fn end_day(&mut self) -> Result<Ended, SinkError> {
        let Some((meta, day)) = self.day.take() else {
            return self.timed(Figure::CommitTime, |sink| sink.end_day());
        };
        let own = key(&meta);
        // Before it ends: another sink may be the one that puts it in its place.
        self.waiting().insert(own, (day, self.time));
        let ended = self.timed(Figure::CommitTime, |sink| sink.end_day());
        let in_place = match &ended {
            Ok(Ended::InPlace) => vec![own],
            Ok(Ended::Waiting) => Vec::new(),
            Ok(Ended::AllInPlace(days)) => days.iter().map(|meta| key(meta)).collect(),
            Err(_) => {
                self.waiting().remove(&own);
                return ended;
            }
        };
        self.telemetry.add(Figure::DaysTaken, 1);
        for key in in_place {
            let waited = self.waiting().remove(&key);
            if let Some((day, time)) = waited {
                self.count(key, day, if key == own { self.time } else { time });
            }
        }
        ended
    }

    fn recover(&mut self, failed: SinkError) -> Result<Passing, SinkError> {
        let ObservedSink { sink, telemetry, .. } = self;
        let passing = telemetry.timed(Figure::WriteTime, || sink.recover(failed))?;
        let figure = match passing {
            Passing::Deadlock => Figure::RedoneForDeadlock,
            Passing::SerializationFailure => Figure::RedoneForSerialization,
            Passing::LostConnection => Figure::RedoneForConnection,
        };
        telemetry.add(figure, 1);
        Ok(passing)
    }

    fn beside(&self) -> Vec<Box<dyn Sink>> {
        let observed = |sink| {
            let (telemetry, waiting) = (self.telemetry.clone(), self.waiting.clone());
            Box::new(Self::beside_others(sink, telemetry, waiting)) as Box<dyn Sink>
        };
        self.sink.beside().into_iter().map(observed).collect()
    }

    fn remarks(&self) -> Vec<String> {
        self.sink.remarks()
    }

    fn finish(self: Box<Self>) -> Result<(), SinkError> {
        let ObservedSink { sink, telemetry, .. } = *self;
        telemetry.timed(Figure::WriteTime, || sink.finish())
    }
}
