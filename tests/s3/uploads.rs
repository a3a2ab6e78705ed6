//! `convert` and `generate` straight into a store.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use ocp_rollup::generate::PROVIDER_UUID;
use rayon::prelude::*;

use crate::common::fault_proxy::FaultProxy;
use crate::common::files;
use crate::common::payload::{ORG, PROVIDER, Place, pod, pods, program};
use crate::common::s3::{ACCESS, BUCKET, S3Server, SECRET};

/// A folder of CSV files with so many hours of October's first day.
fn payload(place: &Place, name: &str, hours: u32) {
    let rows = (0..hours).map(|hour| pod(1, hour, "web-1", "label_app:web"));
    place.write(&format!("{name}/pods.csv"), pods(rows));
}

fn on(url: &str, mut command: Command) -> Output {
    command.env("S3_ENDPOINT", url).env("S3_ACCESS_KEY", ACCESS).env("S3_SECRET", SECRET).args([
        "--s3-timeout",
        "500ms",
        "--s3-retry-for",
        "60s",
    ]);
    command.output().unwrap()
}

fn convert(place: &Place, input: &str, out: &str, manifest: &str) -> Command {
    let mut command = program();
    command.arg("convert").arg("--input").arg(place.path(input)).args(["--out", out]);
    command.args(["--org-id", ORG, "--provider-uuid", PROVIDER, "--manifest-id", manifest]);
    command
}

#[track_caller]
fn done(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What lies in a folder, with each sidecar as the metadata of its file.
fn with_sidecars(folder: &Path) -> BTreeMap<String, (Vec<u8>, BTreeMap<String, String>)> {
    let mut all: BTreeMap<_, _> = files::below(folder);
    let sidecars: Vec<String> =
        all.keys().filter(|name| name.ends_with(".metadata.json")).cloned().collect();
    for name in &sidecars {
        all.remove(name);
    }
    let entry = |(name, path): (String, std::path::PathBuf)| {
        let sidecar = folder.join(format!("{name}.metadata.json"));
        let metadata = std::fs::read_to_string(sidecar)
            .map_or_else(|_| BTreeMap::new(), |text| serde_json::from_str(&text).unwrap());
        (name, (std::fs::read(path).unwrap(), metadata))
    };
    all.into_iter().map(entry).collect()
}

fn stored(server: &S3Server) -> BTreeMap<String, (Vec<u8>, BTreeMap<String, String>)> {
    server.keys().into_iter().map(|key| (key.clone(), server.get(&key))).collect()
}

#[test]
fn a_payload_lies_in_the_store_as_it_would_on_disk_with_its_metadata() {
    let (place, server) = (Place::new(), S3Server::plain());
    payload(&place, "early", 17);
    payload(&place, "full", 24);
    let uri = format!("s3://{BUCKET}");
    for (input, manifest) in [("early", "7"), ("full", "8")] {
        done(&on(&server.url(), convert(&place, input, &uri, manifest)));
        done(&convert(&place, input, place.out().to_str().unwrap(), manifest).output().unwrap());
    }
    let there = stored(&server);
    assert_eq!(there.len(), 4);
    assert!(there == with_sidecars(&place.out()));
    let (_, early) = there.iter().find(|(key, _)| key.contains(".7.0_0.")).unwrap();
    let facts = [("manifestid", "7"), ("reportdatestart", "2025-10-01"), ("reportnumhours", "17")];
    assert_eq!(early.1, facts.map(|(name, value)| (name.to_owned(), value.to_owned())).into());

    // What the same manifest no longer has goes; other manifests stay.
    let stale = there.keys().find(|key| key.contains(".8.0_0.")).unwrap();
    server.put(&stale.replace("0_0", "0_1"), b"of an earlier conversion".to_vec(), &[]);
    done(&on(&server.url(), convert(&place, "full", &uri, "8")));
    assert!(stored(&server) == there);

    // A prefix, and what run makes of both.
    done(&on(&server.url(), convert(&place, "full", &format!("{uri}/some/prefix"), "8")));
    let below = stored(&server).into_keys().filter(|key| key.starts_with("some/prefix/data/"));
    assert_eq!(below.count(), 2);
}

#[test]
fn faults_in_passing_change_nothing_that_is_written() {
    let place = Place::new();
    payload(&place, "full", 24);
    done(&convert(&place, "full", place.out().to_str().unwrap(), "8").output().unwrap());
    let expected = with_sidecars(&place.out());
    let harmed: u64 = (0..6u64)
        .into_par_iter()
        .map(|seed| {
            let server = S3Server::plain();
            let proxy = FaultProxy::new(server.address, seed, 200, None);
            let uri = format!("s3://{BUCKET}");
            done(&on(&proxy.url(), convert(&place, "full", &uri, "8")));
            assert!(stored(&server) == expected, "seed {seed}");
            proxy.harmed()
        })
        .sum();
    assert!(harmed > 3, "only {harmed} answers were spoiled");
}

#[test]
fn what_cannot_be_written_is_said() {
    let (place, server) = (Place::new(), S3Server::plain());
    payload(&place, "full", 24);
    let mut command = convert(&place, "full", &format!("s3://{BUCKET}"), "8");
    command.env("S3_ENDPOINT", server.url()).env("S3_ACCESS_KEY", ACCESS).env("S3_SECRET", "no");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("check the keys"), "{said}");
    let elsewhere = on(&server.url(), convert(&place, "full", "s3://elsewhere", "8"));
    let said = String::from_utf8_lossy(&elsewhere.stderr);
    assert_eq!(elsewhere.status.code(), Some(4), "{said}");
    assert!(said.contains("there is no bucket elsewhere"), "{said}");
}

#[test]
fn a_synthetic_tree_goes_straight_into_the_store() {
    let (place, server) = (Place::new(), S3Server::plain());
    let (here, lookups) = (place.path("here"), place.path("lookups"));
    let generate = |out: &str| {
        let mut command = program();
        command.args(["generate", "--out", out, "--days", "2", "--nodes", "3", "--pods", "20"]);
        command.args(["--namespaces", "6", "--files-per-day", "2", "--lookups"]).arg(&lookups);
        command
    };
    done(&generate(here.to_str().unwrap()).output().unwrap());
    let uri = format!("s3://{BUCKET}");
    done(&on(&server.url(), generate(&uri)));
    assert!(stored(&server) == with_sidecars(&here));

    let again = on(&server.url(), generate(&uri));
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert_eq!(again.status.code(), Some(2), "{said}");
    let named = format!("OCP/pod_usage/source={PROVIDER_UUID} already holds data");
    assert!(said.contains(&named), "{said}");
    let mut command = generate(&uri);
    command.args(["--overwrite", "--no-daily"]);
    done(&on(&server.url(), command));
    assert_eq!(server.keys().len(), 2 * 2 * 4);

    let mut command = program();
    command.args(["generate", "--out", &uri]);
    let output = on(&server.url(), command);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--lookups none: must be a folder"));
}
