//! `demo`: input, roll-up, tables, checks, and how to go on.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use super::signals::Signals;
use super::{exit, logging, output, run};
use crate::cli::demo::{DemoArgs, GivenFlags};
use crate::demo::checks::{self, Check};
use crate::demo::output as read_back;
use crate::demo::shell::{command, quoted};
use crate::demo::{DemoError, cluster, input, tables};
use crate::generate::{self, Plan};
use crate::report::summary::Summary;
use crate::settings::{self, LogFormat, Logging, load};

const CONFIG: &str = "demo.yaml";
const SUMMARY: &str = "summary.parquet";

pub fn run(_: DemoArgs) -> Result<u8> {
    logging::start(&Logging { level: "warn".to_owned(), format: LogFormat::Human });
    let signals = Signals::listen()?;
    // The folder below is to be removed again.
    signals.begin_writing(None);
    let folder = tempfile::Builder::new()
        .prefix("ocp-rollup-demo-")
        .tempdir()
        .map_err(|source| DemoError::Folder { path: std::env::temp_dir(), source })?;
    let plan = cluster::plan(folder.path());
    let summary_file = plan.out.join(SUMMARY);
    let flags = cluster::flags(&plan, &summary_file);
    // The environment is left out, so that the run is the one that is shown.
    let settled = settings::settle(&flags, &|_| None, None, load::today())?;
    let program = std::env::args_os()
        .next()
        .map_or_else(|| "ocp-rollup".to_owned(), |name| name.to_string_lossy().into_owned());

    let started = Instant::now();
    let made = generate::run(&plan)?;
    let time = started.elapsed();
    output::write(|out| show_input(&plan, &made, time, out))?;
    let line = command(&program, "run", &flags, "    ");
    output::print(format_args!("\nROLL-UP, as this does\n  {line}\n\n"))?;

    let started = Instant::now();
    let store = run::open_store(&settled.settings, &signals)?;
    let rolled = run::roll_up(&settled.settings, &store, &signals)?;
    let outcome = rolled.outcome.as_ref();
    let report =
        Summary::new(&settled.settings, &rolled.plan, outcome, store.traffic(), started.elapsed());
    let report = report.to_string();
    output::write(|out| report.lines().try_for_each(|line| writeln!(out, "  {line}")))?;
    write_config(&plan)?;
    // From here on there is something to look at, whatever the checks say.
    let kept = folder.keep();

    let summary = read_back::sums(&summary_file)?;
    output::write(|out| show(&summary, out))?;
    let files = cluster::pod_files(&plan)?;
    let (from, to) = cluster::range(&plan);
    let expected = input::sums(files.iter().map(AsRef::as_ref))?;
    let checks = checks::all(&summary, &expected, from, to);
    output::write(|out| show_checks(&checks, out))?;
    let failed = checks.iter().filter(|check| check.fault.is_some()).count();
    if failed > 0 {
        output::error(format_args!(
            "{failed} of {} checks failed: the numbers above are wrong and this program \
             must not be billed from; input and output are in {}",
            checks.len(),
            kept.display()
        ));
        return Ok(exit::DIFFERENT);
    }
    output::write(|out| show_next(&program, &kept, out))?;
    Ok(exit::DONE)
}

fn show_input(
    plan: &Plan,
    made: &generate::Summary,
    time: Duration,
    out: &mut impl Write,
) -> io::Result<()> {
    let (from, to) = cluster::range(plan);
    writeln!(
        out,
        "INPUT, made up: {from} to {to}, {} nodes, {} namespaces, about {} pods at a time\n  \
         {} pod, {} storage, {} node label and {} namespace label rows\n  \
         {} files of {:.1} MiB below {}  ({:.2} s)",
        plan.nodes,
        plan.namespaces,
        plan.pods.unwrap_or_default(),
        made.pod_rows,
        made.storage_rows,
        made.node_label_rows,
        made.namespace_label_rows,
        made.files,
        made.bytes as f64 / (1u64 << 20) as f64,
        plan.out.display(),
        time.as_secs_f64(),
    )
}

fn show(summary: &read_back::Summary, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\nRESULT, read back from {SUMMARY}: {} rows", summary.rows)?;
    for resource in [tables::CPU, tables::MEMORY] {
        tables::namespaces_head(resource, out)?;
        tables::namespaces(summary, resource, out)?;
    }
    tables::unallocated(summary, out)?;
    tables::storage(summary, out)
}

fn show_checks(checks: &[Check], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\nCHECKS")?;
    for Check { what, scope, fault } in checks {
        match fault {
            None => writeln!(out, "  ok      {what:<45} {scope}")?,
            Some(fault) => writeln!(out, "  FAILED  {what:<45} {scope}\n          {fault}")?,
        }
    }
    Ok(())
}

/// Lines that a shell takes as they are, below a word on each.
fn show_next(program: &str, folder: &Path, out: &mut impl Write) -> io::Result<()> {
    let program = quoted(program);
    let folder = quoted(&folder.to_string_lossy());
    writeln!(
        out,
        r#"
GO ON, with the folder, which is kept, and the flags above, which {CONFIG} holds
    D={folder}
  The same rows as CSV, and whether they are the same
    {program} run --config "$D/{CONFIG}" --sink "csv:$D/summary.csv"
    {program} verify "$D/{SUMMARY}" "$D/summary.csv"
  Counted as Koku's joins do, which count some rows more than once
    {program} run --config "$D/{CONFIG}" --fan-out koku --sink "csv:$D/koku.csv"
  Into a tenant's table (DATABASE_SERVICE_HOST and so on say where)
    {program} run --config "$D/{CONFIG}" --lookups postgres --sink postgres
  Input of another size, up to millions of rows a day
    {program} generate --help
  Away with it
    rm -r "$D""#
    )
}

/// The flags of the run as a config file.
fn write_config(plan: &Plan) -> Result<(), DemoError> {
    let path = plan.out.join(CONFIG);
    let flags = cluster::flags(plan, &plan.out.join(SUMMARY));
    fs::write(&path, config(&flags)).map_err(|source| DemoError::Write { path, source })
}

/// JSON is YAML too, and needs no care with quotes.
fn config(flags: &GivenFlags) -> String {
    let mut document = json!({});
    for (name, value) in flags.all() {
        let key = settings::keys::ALL.iter().find(|key| key.flag == Some(name));
        let path = key.map_or(*name, |key| key.path);
        let mut at = &mut document;
        for part in path.split('.') {
            at = &mut at[part];
        }
        // What looks like a placeholder is none.
        *at = value.replace("${", "$${").into();
    }
    format!("# Settings of the demo, for ocp-rollup run --config.\n{document:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::NoFlags;
    use crate::settings::{ConfigFile, settle};

    #[test]
    fn the_config_says_what_the_flags_say() {
        let plan = cluster::plan(Path::new("/tmp/a b/${HOME}: \"it's\""));
        let flags = cluster::flags(&plan, &plan.out.join(SUMMARY));
        let file = ConfigFile { path: CONFIG.into(), text: config(&flags) };
        let today = load::today();
        let by_file = settle(&NoFlags, &|_| None, Some(&file), today).unwrap();
        let by_flags = settle(&flags, &|_| None, None, today).unwrap();
        assert_eq!(by_file, by_flags);
    }
}
