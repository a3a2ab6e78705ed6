//! The backfill on Ray: a real cluster of two nodes, one of which is killed while it works. The table is that of a run
//! without shards.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::postgres::{Partitions, database};
use ocp_rollup::generate::{self, Plan};
use ocp_rollup::settings::Postgres;

const VERSION: &str = "2.60.0";
const PROGRAM: &str = env!("CARGO_BIN_EXE_ocp-rollup");

/// The Python with Ray, made where it is missing; `None`, told of, where that is not possible.
fn python() -> Option<PathBuf> {
    let target = Path::new(PROGRAM).ancestors().nth(2).unwrap();
    let venv = target.join("ray-venv");
    let python = venv.join("bin/python");
    let works = |program: &Path| {
        let import = Command::new(program).args(["-c", "import ray"]).output();
        import.is_ok_and(|output| output.status.success())
    };
    if works(&python) {
        return Some(python);
    }
    let made = Command::new("python3").args(["-m", "venv"]).arg(&venv).status();
    if made.is_ok_and(|status| status.success()) {
        let _ = Command::new(venv.join("bin/pip"))
            .args(["--quiet", "--disable-pip-version-check", "install"])
            .arg(format!("ray=={VERSION}"))
            .status();
    }
    if works(&python) {
        return Some(python);
    }
    eprintln!(
        "SKIPPED the backfill on Ray: ray {VERSION} cannot be installed with python3 and pip"
    );
    None
}

fn with_database(command: &mut Command, tenant: &Postgres) {
    let password = tenant.password.as_ref().map_or("", |secret| &secret.0);
    command
        .env("DATABASE_SERVICE_HOST", &tenant.host)
        .env("DATABASE_SERVICE_PORT", tenant.port.to_string())
        .env("DATABASE_NAME", &tenant.database)
        .env("DATABASE_USER", &tenant.user)
        .env("DATABASE_PASSWORD", password)
        .env("PGSSLMODE", "disable")
        .env("POSTGRES_SCHEMA", &tenant.schema);
}

#[test]
fn a_node_that_dies_changes_no_row() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    let plan =
        Plan { days: 6, nodes: 6, namespaces: 12, pods: Some(150), ..Plan::new(tree.clone()) };
    generate::run(&plan).unwrap();
    let tenant = database().tenant("org1234567", Partitions::Registry);
    let run = [
        "run".to_owned(),
        format!("--source={}", tree.display()),
        format!("--lookups={}", tree.join("lookups").display()),
        "--org-id=org1234567".to_owned(),
        format!("--provider-uuid={}", plan.provider_uuid),
        "--cluster-id=c".to_owned(),
        "--report-period-id=1".to_owned(),
        "--from=2025-10-01".to_owned(),
        "--to=2025-10-06".to_owned(),
    ];

    let csv = folder.path().join("alone.csv");
    let mut alone = Command::new(PROGRAM);
    alone.args(&run).arg(format!("--sink=csv:{}", csv.display()));
    assert!(alone.status().unwrap().success());

    // Long enough at work for its node to be killed meanwhile, and to be seen to begin.
    let marks = folder.path().join("marks");
    fs::create_dir(&marks).unwrap();
    let wrapper = folder.path().join("slow");
    let script = format!(
        "#!/bin/sh\n\
         [ \"$1\" = plan ] && exec '{PROGRAM}' \"$@\"\n\
         test -s \"$OCP_ROLLUP_SHARD_WEIGHTS\" || exit 2\n\
         touch '{}'/$OCP_ROLLUP_SHARD_INDEX.$$\n\
         sleep 2\n\
         exec '{PROGRAM}' \"$@\"\n",
        marks.display()
    );
    fs::write(&wrapper, script).unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(python);
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ray/two_nodes.py"))
        .arg(&marks)
        .args(["--shards", "4", "--memory", "256MiB", "--binary"])
        .arg(&wrapper)
        .arg("--")
        .args(&run)
        .env("RAY_memory_monitor_refresh_ms", "0");
    with_database(&mut command, &tenant);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    for shard in 0..4 {
        assert!(said.contains(&format!("shard {shard}: exit code 0")), "{said}{errors}");
    }
    // The shard of the node that died began twice.
    let begun = fs::read_dir(&marks).unwrap().count();
    assert!(begun > 4, "{begun} of 4 shards began: no node died at work: {said}");
    assert!(said.contains("killed a node"), "{said}{errors}");

    let mut command = Command::new(PROGRAM);
    command.args(["verify", "postgres"]).arg(&csv).args([
        "--schema=org1234567",
        "--from=2025-10-01",
        "--to=2025-10-06",
    ]);
    with_database(&mut command, &tenant);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
