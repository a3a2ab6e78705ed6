//! Watches a run from beside it: one thread that looks at the figures several times a second.

use std::io::IsTerminal;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::bars::Bars;
use super::ending::Ending;
use super::identity::Identity;
use super::metrics::file::MetricsFile;
use super::metrics::listen::Listener;
use super::metrics::{self, Moment};
use super::progress;
use super::run::{ReportFolder, RunReport};
use super::timeline::Timeline;
use crate::memory::watch::{self, Watch};
use crate::settings::{Observe, ProgressForm, Settings, load};
use crate::telemetry::{Figure, Telemetry};

/// How often it looks.
const LOOK: Duration = Duration::from_millis(200);

/// Progress, metrics and what the report will need, until [`Monitor::end`].
pub struct Monitor {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Watched>>,
    listener: Option<Listener>,
    report: Option<ReportFolder>,
    started: Duration,
}

struct Shared {
    identity: Identity,
    telemetry: Arc<Telemetry>,
    ended: Mutex<bool>,
    changed: Condvar,
}

/// What the thread looks after.
struct Watched {
    watch: Watch,
    timeline: Timeline,
    bars: Option<Bars>,
    lines: bool,
    /// Whether a line of progress was written: the end is said only then.
    said: bool,
    file: Option<MetricsFile>,
    last_success: Option<f64>,
    started: Duration,
    interval: Duration,
}

impl Monitor {
    /// Begins to watch.
    ///
    /// # Errors
    /// A file, folder or address that cannot be had: better now than after hours.
    pub fn start(settings: &Settings, telemetry: &Arc<Telemetry>) -> Result<Self> {
        let observe = &settings.observe;
        let identity = Identity::of(settings);
        let started = since_1970();
        let report = observe.report.clone().map(ReportFolder::create).transpose()?;
        let mut file = observe.metrics_file.clone().map(MetricsFile::new);
        let last_success = file.as_ref().and_then(MetricsFile::last_success);
        let beginning = Moment { started, last_success, ended: None };
        let listener = listener(observe, &identity, telemetry, beginning.clone())?;
        // Last, since it says that a run has begun.
        if let Some(file) = &mut file {
            file.write(&metrics::render(&identity, &telemetry.snapshot(), &beginning))?;
        }
        let (bars, lines) = form_of_progress(observe.progress);
        let shared = Arc::new(Shared {
            identity,
            telemetry: telemetry.clone(),
            ended: Mutex::new(false),
            changed: Condvar::new(),
        });
        let watched = Watched {
            watch: Watch::new(watch::own_cgroup()),
            timeline: Timeline::default(),
            bars: bars.then(Bars::show),
            lines,
            said: false,
            file,
            last_success,
            started,
            interval: observe.interval,
        };
        let thread = std::thread::Builder::new()
            .name("monitor".to_owned())
            .spawn({
                let shared = shared.clone();
                move || watched.watch(&shared)
            })
            .context("cannot start the thread that watches the run")?;
        Ok(Monitor { shared, thread: Some(thread), listener, report, started })
    }

    /// Ends watching, removes the bars and writes what is written at the end.
    ///
    /// # Errors
    /// A report that cannot be written.
    pub fn end(mut self, settings: &Settings, ending: &Ending) -> Result<()> {
        let Some(watched) = self.stop() else { return Ok(()) };
        drop(self.listener.take());
        let Watched { timeline, file, last_success, .. } = watched;
        let telemetry = &self.shared.telemetry;
        let now = since_1970();
        if let Some(mut file) = file {
            let last_success =
                if ending.state.is_success() { Some(now.as_secs_f64()) } else { last_success };
            let ended = Some((ending.clone(), now));
            let moment = Moment { started: self.started, last_success, ended };
            let text = metrics::render(&self.shared.identity, &telemetry.snapshot(), &moment);
            file.try_write(&text);
        }
        if let Some(folder) = self.report.take() {
            let started = load::now() - (now - self.started);
            folder.write(&RunReport::new(settings, telemetry, &timeline, ending, started))?;
        }
        Ok(())
    }

    /// Ends the thread; bars are gone afterwards.
    fn stop(&mut self) -> Option<Watched> {
        *self.shared.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.changed.notify_all();
        self.thread.take()?.join().ok()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

impl Watched {
    /// Looks until the run has ended.
    fn watch(mut self, shared: &Shared) -> Self {
        let mut next = Instant::now() + self.interval;
        let look = LOOK.min(self.interval);
        self.look(shared, false);
        loop {
            let ended = shared.ended.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = shared.changed.wait_timeout_while(ended, look, |ended| !*ended);
            let ended = *waited.unwrap_or_else(PoisonError::into_inner).0;
            self.look(shared, ended);
            if ended {
                self.bars = None;
                return self;
            }
            if Instant::now() >= next {
                next = Instant::now() + self.interval;
                self.say(shared);
            }
        }
    }

    fn look(&mut self, shared: &Shared, ended: bool) {
        let telemetry = &shared.telemetry;
        let in_use = self.watch.sample();
        telemetry.set(Figure::MemoryUsed, in_use.own);
        telemetry.set(Figure::MemoryOfOthers, in_use.others);
        let snapshot = telemetry.snapshot();
        if ended {
            self.timeline.end(&snapshot);
            if self.said {
                progress::write_line(&shared.identity, &snapshot);
            }
        } else {
            self.timeline.push(&snapshot);
        }
        if let Some(bars) = &self.bars {
            bars.update(&snapshot);
        }
    }

    fn say(&mut self, shared: &Shared) {
        let snapshot = shared.telemetry.snapshot();
        if self.lines {
            progress::write_line(&shared.identity, &snapshot);
            self.said = true;
        }
        if let Some(file) = &mut self.file {
            let (started, last_success) = (self.started, self.last_success);
            let moment = Moment { started, last_success, ended: None };
            file.try_write(&metrics::render(&shared.identity, &snapshot, &moment));
        }
    }
}

fn listener(
    observe: &Observe,
    identity: &Identity,
    telemetry: &Arc<Telemetry>,
    moment: Moment,
) -> Result<Option<Listener>> {
    let Some(address) = observe.metrics_listen else { return Ok(None) };
    let (identity, telemetry) = (identity.clone(), telemetry.clone());
    let page = move || metrics::render(&identity, &telemetry.snapshot(), &moment);
    let listener = Listener::start(address, Box::new(page))?;
    let address = listener.address();
    tracing::info!(%address, "metrics at http://{address}/metrics");
    Ok(Some(listener))
}

/// Whether to show bars, and whether to write lines.
fn form_of_progress(form: ProgressForm) -> (bool, bool) {
    let is_terminal = std::io::stderr().is_terminal()
        && load::env("TERM").is_none_or(|terminal| terminal != "dumb");
    match form {
        ProgressForm::Auto => (is_terminal, !is_terminal),
        // Where there is no terminal, there is none to draw bars on.
        ProgressForm::Bar => (is_terminal, false),
        ProgressForm::Json => (false, true),
        ProgressForm::Off => (false, false),
    }
}

fn since_1970() -> Duration {
    let now = load::now();
    Duration::from_micros(u64::try_from(now.timestamp_micros()).unwrap_or(0))
}
