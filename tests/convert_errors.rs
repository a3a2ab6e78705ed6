//! Payloads that `convert` refuses: each with a message that says where and what to do, and
//! nothing written.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::payload::{
    Member, Place, archive, claim, file, gzip, hour, manifest, nodes, pod, pods, storage,
};
use tar::EntryType;

/// Converts and expects a refusal that says all of `parts`.
#[track_caller]
fn refused(place: &Place, inputs: &[&Path], more: &[&str], code: i32, parts: &[&str]) {
    let converted = place.convert(inputs, more);
    let message = converted.stderr();
    assert_eq!(converted.0.status.code(), Some(code), "{message}");
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
    assert_eq!(converted.stdout(), "");
    assert!(!place.out().exists(), "something was written");
}

/// The same for one CSV file.
#[track_caller]
fn csv_refused(content: impl AsRef<[u8]>, parts: &[&str]) {
    let place = Place::new();
    let input = place.write("in/some.csv", content);
    refused(&place, &[&input], &[], 3, parts);
    // Nor does a good file beside it change that.
    place.write("in/a.csv", pods([pod(1, 0, "web-1", "")]));
    refused(&place, &[&place.path("in")], &[], 3, parts);
}

#[track_caller]
fn archive_refused(bytes: impl AsRef<[u8]>, parts: &[&str]) {
    let place = Place::new();
    let input = place.write("payload.tar.gz", bytes);
    refused(&place, &[&input], &[], 3, &[&["payload.tar.gz"], parts].concat());
}

/// An archive of a good payload with another member before the others.
#[track_caller]
fn member_refused(name: &str, kind: EntryType, content: &[u8], parts: &[&str]) {
    let pods = pods([pod(1, 0, "web-1", "")]);
    let manifest = manifest("a", &["pods.csv"]);
    let bytes = archive(&[
        Member { name, kind, content },
        file("pods.csv", &pods),
        file("manifest.json", &manifest),
    ]);
    archive_refused(bytes, parts);
}

/// A good archive.
fn good() -> Vec<u8> {
    let pods = pods((0..24).map(|hour| pod(1, hour, &format!("web-{hour}"), "")));
    archive(&[file("pods.csv", &pods), file("manifest.json", &manifest("a", &["pods.csv"]))])
}

fn pods_with(change: impl FnOnce(String) -> String) -> String {
    pods([pod(1, 0, "web-1", ""), change(pod(1, 1, "web-2", "")), pod(1, 2, "web-3", "")])
}

#[test]
fn no_such_input() {
    let place = Place::new();
    refused(&place, &[&place.path("nowhere")], &[], 3, &["nowhere", "--input"]);
}

#[test]
fn neither_folder_nor_archive_nor_csv() {
    let place = Place::new();
    let input = place.write("usage.xlsx", "PK");
    refused(&place, &[&input], &[], 3, &["usage.xlsx is neither", ".tar.gz"]);
}

#[test]
fn nothing_to_convert() {
    let place = Place::new();
    place.write("in/vm.csv", "interval_start,vm_name\n");
    refused(&place, &[&place.path("in")], &[], 3, &["no CSV file with pods", "/in"]);
}

#[test]
fn wrong_flags() {
    let place = Place::new();
    let input = place.write("in/pods.csv", pods([]));
    let wrong = |more: &[&str], parts: &[&str]| refused(&place, &[&input], more, 2, parts);
    wrong(&["--manifest-id", "../a"], &["--manifest-id \"../a\"", "letters"]);
    wrong(&["--max-unpacked", "lots"], &["--max-unpacked", "20GiB"]);
    wrong(&["--log-format", "xml"], &["--log-format"]);
    let out = place.out().display().to_string();
    let mut command = common::payload::program();
    command.args(["convert", "--input", "x", "--out", &out, "--org-id", "a/b"]);
    let output = command.args(["--provider-uuid", common::payload::PROVIDER]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--org-id \"a/b\""));
}

#[test]
fn a_truncated_archive() {
    let bytes = good();
    for keep in [bytes.len() - 1, bytes.len() - 8, bytes.len() / 2, 20, 3] {
        archive_refused(&bytes[..keep], &["truncated or damaged", "get it again"]);
    }
}

#[test]
fn a_damaged_archive() {
    let mut bytes = good();
    let checksum = bytes.len() - 8;
    bytes[checksum] ^= 1;
    archive_refused(&bytes, &["truncated or damaged"]);
    archive_refused(gzip(b"no archive at all, but longer than nothing"), &["truncated or damaged"]);
}

#[test]
fn an_archive_cut_before_it_was_packed() {
    let mut tar = tar::Builder::new(Vec::new());
    let content = pods((0..24).map(|hour| pod(1, hour, "web-1", "")));
    let mut header = tar::Header::new_ustar();
    header.set_path("pods.csv").unwrap();
    header.set_size(content.len() as u64);
    header.set_cksum();
    tar.append(&header, content.as_bytes()).unwrap();
    let bytes = tar.into_inner().unwrap();
    archive_refused(gzip(&bytes[..1500]), &["truncated or damaged"]);
}

#[test]
fn no_manifest() {
    let pods = pods([pod(1, 0, "web-1", "")]);
    archive_refused(archive(&[file("pods.csv", &pods)]), &["no manifest.json", "give the folder"]);
}

#[test]
fn a_manifest_that_is_none() {
    for (manifest, part) in [
        ("{", "is no manifest"),
        ("[]", "is no manifest"),
        (r#"{"files": []}"#, "missing field `uuid`"),
        (r#"{"uuid": "../../x", "files": []}"#, "uuid \"../../x\" must be"),
        (r#"{"uuid": "a", "files": "pods.csv"}"#, "expected a sequence"),
    ] {
        archive_refused(archive(&[file("manifest.json", manifest)]), &["manifest.json", part]);
    }
    let place = Place::new();
    place.write("in/pods.csv", pods([]));
    place.write("in/manifest.json", "{");
    refused(&place, &[&place.path("in")], &[], 3, &["in/manifest.json: is no manifest"]);
}

#[test]
fn a_listed_file_is_missing() {
    let pods = pods([pod(1, 0, "web-1", "")]);
    let manifest = manifest("a", &["pods.csv", "more.csv", "last.csv"]);
    let bytes = archive(&[file("pods.csv", &pods), file("manifest.json", &manifest)]);
    let place = Place::new();
    let input = place.write("payload.tar.gz", bytes);
    let parts = ["2 of the files", "payload a", "last.csv, more.csv", "each with --input"];
    refused(&place, &[&input], &[], 3, &parts);
}

#[test]
fn inputs_of_two_payloads() {
    let place = Place::new();
    let part = |uuid: &str| {
        let pods = pods([pod(1, 0, "web-1", "")]);
        let manifest = manifest(uuid, &["pods.csv"]);
        let bytes = archive(&[file("pods.csv", &pods), file("manifest.json", &manifest)]);
        place.write(&format!("{uuid}.tar.gz"), bytes)
    };
    let (a, b) = (part("a"), part("b"));
    refused(&place, &[&a, &b], &[], 3, &["a.tar.gz belongs to the payload a", "convert each"]);
    refused(&place, &[&a, &a], &[], 3, &["pods.csv is there twice"]);
    let csv = place.write("in/more.csv", pods([]));
    refused(&place, &[&a, &csv], &[], 3, &["(no manifest)"]);
    refused(&place, &[&csv, &a], &[], 3, &["(no manifest)"]);
}

#[test]
fn members_that_lead_elsewhere() {
    let escape = |name: &str, part: &str| {
        member_refused(name, EntryType::Regular, b"x", &[&format!("{name:?}"), part]);
    };
    escape("/etc/cron.d/x.csv", "absolute");
    escape("../x.csv", "out of the archive");
    escape("a/../../x.csv", "out of the archive");
    escape("/manifest.json", "absolute");
    member_refused("../x", EntryType::Directory, b"", &["out of the archive"]);
    member_refused("a/../x/", EntryType::Regular, b"", &["out of the archive"]);
}

#[test]
fn members_that_are_no_files() {
    for (kind, part) in [
        (EntryType::Symlink, "a link"),
        (EntryType::Link, "a link"),
        (EntryType::Fifo, "a device"),
        (EntryType::Char, "a device"),
        (EntryType::Block, "a device"),
        (EntryType::GNUSparse, "neither a file nor a folder"),
    ] {
        member_refused("x.csv", kind, b"", &["\"x.csv\"", part]);
    }
}

#[test]
fn a_long_name_that_leads_elsewhere() {
    let long = format!("../{}.csv\0", "x".repeat(200));
    let name = "././@LongLink";
    member_refused(name, EntryType::GNULongName, long.as_bytes(), &["out of the archive"]);
    let attributes = |text: &str, parts: &[&str]| {
        member_refused("pax", EntryType::XHeader, text.as_bytes(), parts);
    };
    attributes("23 path=../../evil.csv\n", &["../../evil.csv", "out of the archive"]);
    // Not its own length: what follows cannot be trusted.
    attributes("22 path=../../evil.csv\n", &["\"pax\"", "damaged"]);
    attributes("19 size=8589934592\n", &["pods.csv", "8 GiB"]);
    attributes("22 GNU.sparse.major=1\n", &["pods.csv", "sparse"]);
}

#[test]
fn names_and_manifests_of_any_length() {
    let long = vec![b'x'; 100_000];
    member_refused("././@LongLink", EntryType::GNULongName, &long, &["too long"]);
    member_refused("pax", EntryType::XHeader, &long, &["too long"]);
    let long = vec![b' '; (16 << 20) + 1];
    member_refused("manifest.json", EntryType::Regular, &long, &["too long"]);
}

#[test]
fn a_file_or_a_manifest_twice() {
    let again = pods([pod(1, 0, "web-1", "")]);
    member_refused("a/pods.csv", EntryType::Regular, again.as_bytes(), &["is there twice"]);
    let again = manifest("a", &["pods.csv"]);
    member_refused("a/manifest.json", EntryType::Regular, again.as_bytes(), &["second manifest"]);
}

#[test]
fn too_many_members() {
    let many: Vec<_> = (0..10_001).map(|_| file("notes.txt", "")).collect();
    archive_refused(archive(&many), &["more than 10000 members"]);
}

#[test]
fn a_bomb() {
    let place = Place::new();
    let zeros = vec![b'0'; 3 << 20];
    let bytes = archive(&[Member { name: "x.csv", kind: EntryType::Regular, content: &zeros }]);
    let input = place.write("payload.tar.gz", bytes);
    let limit = ["--max-unpacked", "2MiB"];
    refused(&place, &[&input], &limit, 3, &["more than 2.0 MiB", "--max-unpacked"]);
    // The limit is one for all archives.
    let limit = ["--max-unpacked", "4MiB"];
    let manifest = manifest("a", &[]);
    let with_manifest = |name: &str| {
        let zeros = Member { name, kind: EntryType::Regular, content: &zeros };
        let bytes = archive(&[zeros, file("manifest.json", &manifest)]);
        place.write(&format!("{name}.tar.gz"), bytes)
    };
    let (one, other) = (with_manifest("1.csv"), with_manifest("2.csv"));
    refused(&place, &[&one, &other], &limit, 3, &["2.csv.tar.gz", "more than 4.0 MiB"]);
    // 100 MiB of nothing shrink a thousandfold; after the last member they count as well.
    let zeros = vec![0; 100 << 20];
    archive_refused(gzip(&zeros), &["more than 500 times its size", "give the folder"]);
}

#[test]
fn an_unknown_header() {
    csv_refused("a,b\n1,2\n", &["some.csv: unknown header", "\"a,b\""]);
    csv_refused("", &["some.csv: unknown header"]);
    let lacking = pods([pod(1, 0, "web-1", "")]).replace("pod_labels", "labels");
    csv_refused(lacking, &["nearest is pod_usage, without pod_labels"]);
}

#[test]
fn a_bad_number() {
    csv_refused(
        pods_with(|row| row.replace(",3600,7200,", ",3600,a lot,")),
        &["some.csv, line 3, column pod_request_cpu_core_seconds", "\"a lot\" must be a number"],
    );
    csv_refused(pods_with(|row| row.replace(",3600,7200,", ",-Inf,7200,")), &["must be a number"]);
}

#[test]
fn a_bad_time() {
    csv_refused(
        pods_with(|row| {
            row.replace("2025-10-01 01:00:00 +0000 UTC", "2025-10-01 01:00:00 +0200 CEST")
        }),
        &["some.csv, line 3, column interval_start", "+0200 CEST", "UTC"],
    );
    csv_refused(
        pods_with(|row| row.replace("2025-10-01 01:00:00 +0000 UTC", "")),
        &["line 3, column interval_start", "\"\" must be a time"],
    );
    let end = format!("{},node-1,label_a:b", hour(1, 0).replace("2025-11-01", "2025-13-01"));
    csv_refused(nodes([end]), &["line 2, column report_period_end"]);
}

#[test]
fn labels_that_are_json_already() {
    csv_refused(
        pods_with(|row| row + r#""{""app"": ""web""}""#),
        &["line 3, column pod_labels", "label_app:web|label_env:test"],
    );
}

#[test]
fn lines_that_are_cut_or_too_long() {
    csv_refused(
        pods_with(|row| row[..row.len() - 4].to_owned()),
        &["line 3: has 19 fields, the header has 20"],
    );
    csv_refused(pods_with(|row| row + ",more"), &["line 3: has 21 fields"]);
    let whole = storage([claim(1, 0, "web-1"), claim(1, 1, "web-1")]);
    csv_refused(&whole[..whole.len() - 30], &["line 3: has"]);
    csv_refused(
        pods_with(|row| row + &"x".repeat(5 << 20)),
        &["some.csv, line 3: is longer than", "quote"],
    );
}

#[test]
fn a_quote_that_is_not_closed() {
    // It takes the rest of the file into one cell: rows would be lost without a word.
    csv_refused(pods_with(|row| row + "\"label_a:b"), &["line 3, column pod_labels", "quote"]);
    csv_refused(pods_with(|row| row.replace("web-2", "\"web-2")), &["line 3: has 7 fields"]);
    let mut long = pods_with(|row| row + "\"label_a:b");
    for number in 0..40_000 {
        long.push_str(&pod(1, number % 24, "web-1", ""));
        long.push('\n');
    }
    csv_refused(long, &["line 3: is longer than"]);
}

#[test]
fn text_that_is_not_utf_8() {
    let text = pods_with(|row| row.replace("web-2", "web-\u{e9}"));
    // Latin 1, as a spreadsheet saves it.
    let bytes: Vec<u8> = text.chars().map(|c| c as u8).collect();
    csv_refused(bytes, &["line 3, column pod:", "UTF-8"]);
}

#[test]
fn what_is_there_already_stays_as_it_is() {
    let place = Place::new();
    let input = place.write("payload.tar.gz", good());
    place.convert(&[&input], &[]).done();
    let before = place.files();
    let bad = pods_with(|row| row.replace(",3600,7200,", ",x,7200,"));
    let manifest = manifest("a", &["pods.csv"]);
    place.write(
        "payload.tar.gz",
        archive(&[file("pods.csv", &bad), file("manifest.json", &manifest)]),
    );
    let converted = place.convert(&[&input], &[]);
    assert_eq!(converted.0.status.code(), Some(3), "{}", converted.stderr());
    assert_eq!(place.files(), before);
}

#[test]
fn an_output_that_cannot_be_written() {
    let place = Place::new();
    let input = place.write("payload.tar.gz", good());
    place.write("out", "a file where a folder is to be");
    let converted = place.convert(&[&input], &[]);
    assert_eq!(converted.0.status.code(), Some(4), "{}", converted.stderr());
    assert!(converted.stderr().contains("cannot write"), "{}", converted.stderr());
    // A file in the way of the tree, met only at the end.
    fs::remove_file(place.out()).unwrap();
    let blocked: PathBuf = place.write("out/data/parquet", "a file where a folder is to be");
    let converted = place.convert(&[&input], &[]);
    assert_eq!(converted.0.status.code(), Some(4), "{}", converted.stderr());
    assert_eq!(place.files().len(), 1);
    assert!(blocked.is_file());
}

#[test]
fn pipes_are_refused_and_not_waited_for() {
    let place = Place::new();
    place.write("in/a.csv", pods([pod(1, 0, "web-1", "")]));
    let pipe = place.path("in/pipe.csv");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for input in [&pipe, &place.path("in")] {
        refused(&place, &[input], &[], 3, &["pipe.csv is neither"]);
    }
    fs::remove_file(&pipe).unwrap();
    std::os::unix::fs::symlink("nowhere", &pipe).unwrap();
    refused(&place, &[&place.path("in")], &[], 3, &["pipe.csv"]);
}
