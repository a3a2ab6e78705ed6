//! `bench`: the program against itself, and the run that it starts for each variant.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use xxhash_rust::xxh3::Xxh3;

use super::signals::Signals;
use super::{exit, logging, output, run};
use crate::bench::child::{self, Task};
use crate::bench::measure::Measured;
use crate::bench::results::{Machine, Measurement, Results};
use crate::bench::table::Table;
use crate::bench::variants::{self, Group, Variant};
use crate::bench::{BenchError, data, floor, html, json};
use crate::cli::Flags;
use crate::cli::bench::{BenchFlags, BenchRunFlags, NOT_TAKEN};
use crate::cli::demo::GivenFlags;
use crate::cli::run::RunFlags;
use crate::generate;
use crate::plan::discover::{self, MonthMeta};
use crate::settings::{self, ConfigFile, keys, load};
use crate::sink::SinkError;
use crate::sink::file::PendingFile;
use crate::telemetry::Telemetry;

/// The hidden subcommand that [`one_run`] is.
const RUN: &str = "measure";

pub fn run(flags: &BenchFlags) -> Result<u8> {
    if let Some(flag) = NOT_TAKEN.into_iter().find(|flag| flags.run.value(flag).is_some()) {
        return Err(BenchError::NotTaken { flag }.into());
    }
    let config = load::config(&flags.run.config)?;
    let logging = settings::settle_logging(&flags.run, &load::env, config.as_ref())?.settings;
    logging::start(&logging);
    // Whether there is a place for them is better known now than after all runs.
    let json_file = flags.json.as_deref().map(create).transpose()?;
    let html_file = flags.html.as_deref().map(create).transpose()?;
    let signals = Signals::listen()?;
    // The folder below is to be removed again.
    signals.begin_writing(None);
    let folder = data::folder()?;
    let input = Input::of(flags, config.as_ref(), folder.path())?;
    let settled = settings::settle(&input.flags, &load::env, config.as_ref(), load::today())?;
    settled.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let threads = run::threads(&settled.settings);
    let bench = Bench { input: &input, folder: folder.path(), signals: &signals };
    let measured = bench.all(variants::all(threads, &flags.chunk_sizes), flags.runs);
    if let Err(BenchError::Different { .. }) = measured {
        // What differs can be looked at.
        let _ = folder.keep();
    }
    let measurements = measured?;
    let results = Results {
        machine: Machine::of_this(threads),
        input: input.described(&measurements),
        same_bytes: input.own_sink.is_some().then_some(true),
        measurements,
    };
    if let Some(file) = json_file {
        write(file, &format!("{:#}\n", json::document(&results)))?;
    }
    if let Some(file) = html_file {
        write(file, &html::page(&results))?;
    }
    output::print(Table(&results))?;
    Ok(exit::DONE)
}

/// Rolls up as `run` does, and prints what that took.
pub fn one_run(flags: &BenchRunFlags) -> Result<u8> {
    let config = load::config(&flags.run.config)?;
    let settled = settings::settle(&flags.run, &load::env, config.as_ref(), load::today())?;
    logging::start(&settled.settings.logging);
    let signals = Signals::listen()?;
    let store = run::open_store(&settled.settings, &signals)?;
    let measured = if flags.floor {
        let meta = |_, _| MonthMeta::default();
        let plan = discover::plan(&settled.settings, &store, &meta)?;
        let walked = floor::walk(&plan, &store)?;
        Measured { rows_read: walked.rows, ..Measured::so_far() }
    } else {
        let telemetry = Arc::new(Telemetry::default());
        run::roll_up_watched(&settled.settings, &store, &signals, &telemetry)?;
        Measured::of(&telemetry.snapshot())
    };
    output::print(serde_json::to_string(&measured)?)?;
    Ok(exit::DONE)
}

/// What every variant is given.
struct Input {
    /// Settings of all variants.
    flags: GivenFlags,
    config: Option<PathBuf>,
    /// The file that each variant writes, where the user gave no sink.
    own_sink: Option<PathBuf>,
    /// For people.
    name: String,
}

impl Input {
    /// Makes the rows up in `folder` if none are given.
    fn of(flags: &BenchFlags, config: Option<&ConfigFile>, folder: &Path) -> Result<Self> {
        let source = settings::given(&keys::SOURCE, &flags.run, &load::env, config)?;
        let mut given = given(&flags.run);
        let name = match source {
            Some(source) => format!("of {source}"),
            None => {
                let plan = data::plan(folder, flags.days, flags.nodes);
                tracing::info!("making up {} days of {} nodes", flags.days, flags.nodes);
                generate::run(&plan)?;
                for (name, value) in data::flags(&plan) {
                    if given.value(name).is_none() {
                        given = given.with(name, value);
                    }
                }
                format!("made up, {} days of {} nodes", flags.days, flags.nodes)
            }
        };
        let own_sink = flags.run.sink.is_none().then(|| folder.join("rows.parquet"));
        if let Some(path) = &own_sink {
            given = given.with("sink", format!("parquet:{}", path.to_string_lossy()));
        }
        Ok(Input { flags: given, config: flags.run.config.config.clone(), own_sink, name })
    }

    fn described(&self, measurements: &[Measurement]) -> String {
        let first = measurements.first().and_then(|m| m.runs.first());
        let (read, written) =
            first.map_or((0, 0), |run| (run.measured.rows_read, run.measured.rows_written));
        format!("{read} line items {}, which make {written} rows", self.name)
    }

    /// The flags of one variant's process.
    fn of_variant(&self, variant: &Variant) -> Vec<(&'static str, String)> {
        let mut own = variant.flags();
        // Days that were written by one variant are to be written by the next one too.
        own.push(("incremental", "off".to_owned()));
        let is_own = |name: &str| own.iter().any(|(own, _)| *own == name);
        let given = self.flags.all().iter().filter(|(name, _)| !is_own(name));
        let mut all: Vec<_> = given.cloned().chain(own.iter().cloned()).collect();
        if let Some(config) = &self.config {
            all.push(("config", config.to_string_lossy().into_owned()));
        }
        // What a run says is looked at only when it fails; and then by people.
        for (name, value) in [("log-level", "error"), ("log-format", "human")] {
            if self.flags.value(name).is_none() {
                all.push((name, value.to_owned()));
            }
        }
        all
    }
}

/// What was given on the command line.
fn given(flags: &RunFlags) -> GivenFlags {
    keys::ALL
        .iter()
        .filter_map(|key| key.flag)
        .filter_map(|flag| Some((flag, flags.value(flag)?)))
        .fold(GivenFlags::default(), |all, (flag, value)| all.with(flag, value))
}

struct Bench<'a> {
    input: &'a Input,
    folder: &'a Path,
    signals: &'a Signals,
}

impl Bench<'_> {
    /// Runs every variant `runs` times, by turns; another one goes first in each round.
    fn all(&self, variants: Vec<Variant>, runs: usize) -> Result<Vec<Measurement>, BenchError> {
        let program = std::env::current_exe().map_err(|source| BenchError::Start {
            variant: variants.first().map(|v| v.name.clone()).unwrap_or_default(),
            source,
        })?;
        let mut all: Vec<Measurement> =
            variants.into_iter().map(|variant| Measurement { variant, runs: Vec::new() }).collect();
        let count = all.len();
        let mut first: Option<(String, u64)> = None;
        for round in 0..runs {
            for turn in 0..count {
                let Some(measurement) = all.get_mut((round + turn) % count) else { continue };
                let variant = &measurement.variant;
                let run = self.one(&program, variant, &mut first)?;
                tracing::info!(
                    "{} of {runs}: {}: {:.2} s, {:.2} s of CPU, {} MiB",
                    round + 1,
                    variant.name,
                    run.wall,
                    run.measured.cpu,
                    run.measured.peak / (1024 * 1024)
                );
                measurement.runs.push(run);
            }
        }
        Ok(all)
    }

    /// One run of a variant; `first` is who wrote first, and the hash of its bytes.
    fn one(
        &self,
        program: &Path,
        variant: &Variant,
        first: &mut Option<(String, u64)>,
    ) -> Result<child::Run, BenchError> {
        let flags = self.input.of_variant(variant);
        let task = Task {
            program,
            subcommand: RUN,
            variant: &variant.name,
            floor: variant.group == Group::Floor,
            flags: &flags,
            folder: self.folder,
        };
        let run = child::run(&task, self.signals.cancelled())?;
        let Some(path) = self.input.own_sink.as_ref().filter(|_| !task.floor) else {
            return Ok(run);
        };
        let failed = |source| BenchError::ReadBack {
            variant: variant.name.clone(),
            path: path.clone(),
            source,
        };
        let hash = hash(path).map_err(failed)?;
        match first {
            Some((_, same)) if *same == hash => {}
            Some((first, _)) => {
                return Err(BenchError::Different {
                    variant: variant.name.clone(),
                    first: first.clone(),
                    folder: self.folder.to_owned(),
                });
            }
            None => {
                // To be compared with, should another one differ.
                fs::copy(path, self.folder.join("first.parquet")).map_err(failed)?;
                *first = Some((variant.name.clone(), hash));
            }
        }
        Ok(run)
    }
}

fn hash(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let mut hasher = Xxh3::new();
    let mut buffer = vec![0; 1024 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.digest()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

fn create(path: &Path) -> Result<PendingFile, SinkError> {
    Ok(PendingFile::create(path)?)
}

fn write(mut file: PendingFile, text: &str) -> Result<(), SinkError> {
    file.write_all(text.as_bytes()).map_err(|source| file.error(source))?;
    Ok(file.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(arguments: &[&str]) -> RunFlags {
        #[derive(clap::Parser)]
        struct Only {
            #[command(flatten)]
            run: RunFlags,
        }
        let words = ["bench"].iter().chain(arguments);
        <Only as clap::Parser>::try_parse_from(words).unwrap().run
    }

    #[test]
    fn a_variant_overrides_what_it_compares_and_passes_the_rest_on() {
        let flags = flags(&["--threads=7", "--streaming=on", "--memory-limit=1GiB", "--from=-3d"]);
        let input = Input {
            flags: given(&flags).with("sink", "parquet:x"),
            config: Some("c.yaml".into()),
            own_sink: None,
            name: String::new(),
        };
        let variant = &variants::all(7, &[])[7];
        let mut all = input.of_variant(variant);
        all.sort();
        let expected = [
            ("categorical", "off"),
            ("chunk-rows", "auto"),
            ("column-filtering", "off"),
            ("config", "c.yaml"),
            ("from", "-3d"),
            ("incremental", "off"),
            ("log-format", "human"),
            ("log-level", "error"),
            ("memory-limit", "1GiB"),
            ("sink", "parquet:x"),
            ("streaming", "off"),
            ("threads", "7"),
        ];
        assert_eq!(all, expected.map(|(name, value)| (name, value.to_owned())));
    }
}
