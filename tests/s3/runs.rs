//! Whole runs: the same rows as from local disk, or a clear refusal.

use rayon::prelude::*;

use crate::common::fault_proxy::{FaultProxy, Harm};
use crate::common::golden::{report, scenarios, succeed};
use crate::common::s3::{ACCESS, BUCKET, S3Server, SECRET, other_authority};
use crate::common::usage::{Program, Tree, local_rows};

#[test]
fn rows_are_those_of_local_disk() {
    let tree = Tree::new(1);
    let expected = local_rows(&tree, &tree.path());
    let plain = S3Server::plain();
    plain.fill(&tree.path(), "");
    plain.fill(&tree.path(), "some/prefix");
    let tls = S3Server::tls();
    tls.fill(&tree.path(), "");

    let ended = Program::on_s3("run", &tree, &plain.url()).end();
    assert!(ended.stdout.contains("\nfetched "), "{}", ended.stdout);
    assert!(!ended.stdout.contains("\nretried "), "{}", ended.stdout);
    assert!(ended.rows() == expected);

    let below = Program::new("run", &tree, &format!("s3://{BUCKET}/some/prefix"))
        .env("AWS_ENDPOINT_URL", &plain.url())
        .env("AWS_ACCESS_KEY_ID", ACCESS)
        .env("AWS_SECRET_ACCESS_KEY", SECRET);
    assert!(below.end().rows() == expected);

    let ca = tls.ca.clone().unwrap();
    let secure = || Program::on_s3("run", &tree, &tls.url());
    assert!(secure().flag("--s3-ca", &ca).end().rows() == expected);
    assert!(secure().env("AWS_CA_BUNDLE", ca.to_str().unwrap()).end().rows() == expected);

    // Worker processes reach the store by themselves, with the keys and the authority they are told.
    let by_workers = secure().flag("--s3-ca", &ca).flag("--processes", "2").end();
    assert!(by_workers.stdout.contains("\nfetched "), "{}", by_workers.stdout);
    assert!(by_workers.rows() == expected);

    // The baseline reads every column, as arrays.
    for flags in [["--categorical", "off"], ["--column-filtering", "off"]] {
        let run = Program::on_s3("run", &tree, &plain.url()).flag(flags[0], flags[1]);
        assert!(run.end().rows() == expected, "{flags:?}");
    }
}

#[test]
fn golden_scenarios_come_out_as_from_local_disk() {
    let server = S3Server::plain();
    let failures = scenarios()
        .into_par_iter()
        .filter_map(|mut scenario| {
            let folder = tempfile::tempdir().unwrap();
            let (here, there) = (folder.path().join("here.csv"), folder.path().join("there.csv"));
            let failed = |error| format!("{}: {error}", scenario.name);
            let expected = match scenario.run_to_csv::<&str>(&here, &[]) {
                Ok(expected) => expected,
                Err(error) => return Some(failed(error)),
            };
            server.fill(&scenario.tree, &scenario.name);
            scenario.tree = format!("s3://{BUCKET}/{}", scenario.name).into();
            let mut command = scenario.run();
            command
                .env("S3_ENDPOINT", server.url())
                .env("S3_ACCESS_KEY", ACCESS)
                .env("S3_SECRET", SECRET)
                .arg("--lookups")
                .arg(&scenario.folder)
                .args(["--cluster-id", &scenario.params.cluster_id])
                .args(["--cluster-alias", &scenario.params.cluster_alias])
                .arg("--sink")
                .arg(format!("csv:{}", there.display()));
            let failed = |error| format!("{}: {error}", scenario.name);
            match succeed(&mut command) {
                Err(error) => Some(failed(error)),
                Ok(_) if std::fs::read(there).unwrap() == expected => None,
                Ok(_) => Some(failed("other rows".to_owned())),
            }
        })
        .collect();
    report(failures);
}

#[test]
fn what_is_wrong_with_the_store_is_said_at_once() {
    let tree = Tree::new(1);
    let (plain, tls) = (S3Server::plain(), S3Server::tls());
    plain.fill(&tree.path(), "");
    let on = |url: &str| Program::on_s3("run", &tree, url).flag("--s3-retry-for", "60s");

    on(&plain.url()).env("S3_SECRET", "wrong").end().refused("check the keys");
    on(&plain.url()).env("S3_ACCESS_KEY", "WRONG").end().refused("check the keys");
    Program::new("run", &tree, "s3://elsewhere")
        .env("S3_ENDPOINT", &plain.url())
        .env("S3_ACCESS_KEY", ACCESS)
        .env("S3_SECRET", SECRET)
        .end()
        .refused("there is no bucket elsewhere at http://localhost:");

    on(&tls.url()).end().refused("name the authorities with --s3-ca");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.pem");
    std::fs::write(&file, other_authority()).unwrap();
    on(&tls.url()).flag("--s3-ca", &file).end().refused("name the authorities with --s3-ca");
    std::fs::write(&file, "no certificate").unwrap();
    on(&tls.url()).flag("--s3-ca", &file).end().refused("holds no certificate");
    std::fs::remove_file(&file).unwrap();
    on(&tls.url()).flag("--s3-ca", &file).end().refused("cannot read the certificates");

    // In the clear only where that was asked for: by the scheme, or by s3.use_ssl.
    let bare = format!("localhost:{}", plain.address.port());
    on(&bare).end().refused("does not speak TLS");
}

#[test]
fn a_bare_host_in_the_clear_where_the_file_says_so() {
    let tree = Tree::new(1);
    let plain = S3Server::plain();
    plain.fill(&tree.path(), "");
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    std::fs::write(&config, "s3: {use_ssl: false}\n").unwrap();
    let bare = format!("localhost:{}", plain.address.port());
    let rows = Program::on_s3("run", &tree, &bare).flag("--config", &config).end().rows();
    assert!(rows == local_rows(&tree, &tree.path()));
}

#[test]
fn a_server_that_is_down_is_given_up_in_time() {
    let tree = Tree::new(1);
    let server = S3Server::plain();
    let url = server.url();
    drop(server);
    let ended = Program::on_s3("run", &tree, &url).flag("--s3-retry-for", "700ms").end();
    ended.refused("failed connection at each of ");
    assert!(ended.stderr.contains("--s3-retry-for"), "{}", ended.stderr);
}

#[test]
fn an_unknown_provider_is_told_which_there_are() {
    let tree = Tree::new(1);
    let server = S3Server::plain();
    server.fill(&tree.path(), "");
    let other = "00000000-0000-0000-0000-000000000001";
    let ended = Program::on_s3("run", &tree, &server.url())
        .env("OCP_PROVIDER_UUID", other)
        .without("--provider-uuid")
        .end();
    ended.refused(&format!("source={}", ocp_rollup::generate::PROVIDER_UUID));
}

#[test]
fn a_plan_reads_footers_only_and_keeps_secrets() {
    let tree = Tree::new(1);
    let server = S3Server::plain();
    server.fill(&tree.path(), "");
    let text = Program::on_s3("plan", &tree, &server.url()).end();
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    assert!(!text.left_behind);
    for line in
        ["s3.secret_key                  ***", "2025-10-01  node_labels", "Left out\n  nothing"]
    {
        assert!(text.stdout.contains(line), "no {line:?} in: {}", text.stdout);
    }
    assert!(!text.stdout.contains(ACCESS));

    let json = Program::on_s3("plan", &tree, &server.url()).switch("--json").end();
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["total"]["days"], 2);
    assert_eq!(json["total"]["files"], 16);
    assert_eq!(json["days"][1]["date"], "2025-10-02");
    let pods = &json["days"][1]["input"][3];
    assert_eq!((&pods["type"], &pods["files"]), (&"pod_usage".into(), &2.into()));
    let rows = |part: &serde_json::Value| part["rows"].as_u64().unwrap();
    let all: u64 = json["days"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|day| day["input"].as_array().unwrap())
        .map(rows)
        .sum();
    assert_eq!(json["total"]["rows"].as_u64(), Some(all));
    let read = Program::on_s3("run", &tree, &server.url()).end().stdout;
    assert!(read.contains(&format!("read      {all} rows in ")), "{read}");
    assert_eq!(json["settings"]["s3.access_key"], "***");
}

#[test]
fn row_groups_in_many_chunks_are_fetched_once() {
    let tree = Tree::new(1);
    let server = S3Server::plain();
    server.fill(&tree.path(), "");
    let expected = local_rows(&tree, &tree.path());
    let traffic = |flags: &[(&str, &str)]| {
        let program = Program::on_s3("run", &tree, &server.url());
        let ended = flags.iter().fold(program, |program, (name, value)| program.flag(name, value));
        let ended = ended.end();
        let fetched = ended.stdout.lines().find(|line| line.starts_with("fetched"));
        let fetched = fetched.unwrap_or_default().to_owned();
        assert!(ended.rows() == expected, "{flags:?}");
        fetched
    };
    let whole = traffic(&[]);
    assert_eq!(traffic(&[("--chunk-rows", "50"), ("--threads", "2")]), whole);
    assert_eq!(traffic(&[("--chunk-rows", "7"), ("--threads", "1")]), whole);
}

#[test]
fn row_groups_too_large_to_hold_are_read_by_windows() {
    let tree = Tree::large();
    let server = S3Server::plain();
    server.fill(&tree.path(), "");
    let run = |limit: &str| {
        Program::on_s3("run", &tree, &server.url())
            .flag("--memory-limit", limit)
            .flag("--threads", "1")
            .end()
    };
    // The least that would do leaves little to hold bytes with.
    let small = run("1MiB");
    assert_eq!(small.code, Some(5), "{}", small.stderr);
    let (_, least) = small.stderr.split_once("needs at least ").unwrap();
    let (least, _) = least.split_once(';').unwrap();
    let ended = run(least);
    let expected = local_rows(&tree, &tree.path());
    let ratio = ended.stdout.split(" requests, ").nth(1).and_then(|rest| rest.split(' ').next());
    let ratio: f64 = ratio.unwrap().parse().unwrap();
    assert!(ratio < 1.5, "{}", ended.stdout);
    let requests = ended.stdout.split(" in ").nth(2).and_then(|rest| rest.split(' ').next());
    let requests: u32 = requests.unwrap().parse().unwrap();
    assert!(requests > 20, "not by windows: {}", ended.stdout);
    assert!(ended.rows() == expected);
}

#[test]
fn a_signal_ends_a_run_that_waits_for_the_store() {
    let tree = Tree::new(1);
    let server = S3Server::plain();
    let proxy = FaultProxy::new(server.address, 1, 1000, Some(Harm::Silence));
    let program = Program::on_s3("run", &tree, &proxy.url());
    let running = program.start();
    while proxy.harmed() == 0 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let ended = running.terminate();
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    assert!(ended.stderr.contains("interrupted"), "{}", ended.stderr);
    assert!(!ended.left_behind);
}
