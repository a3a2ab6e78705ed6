//! What the documents say of the program, against the program.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use ocp_rollup::cli::Cli;
use ocp_rollup::commands::exit;
use ocp_rollup::settings::keys;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// The cells of the table whose head begins with `head`, without head and rule.
fn table(text: &str, head: &str) -> Vec<Vec<String>> {
    // A cell of its own is what stands between two bars that are not escaped.
    let cells = |line: &str| {
        let inner = line.trim().replace("\\|", "\u{0}");
        let inner = inner.strip_prefix('|').and_then(|rest| rest.strip_suffix('|')).unwrap_or("");
        inner.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let rows: Vec<_> = text
        .lines()
        .skip_while(|line| !line.starts_with(head))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(cells)
        .collect();
    assert!(!rows.is_empty(), "no table that begins with {head}");
    rows
}

fn code(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_readme_names_every_setting_with_its_flag_and_variables() {
    let readme = document("README.md");
    let found: BTreeMap<String, (Vec<String>, Vec<String>)> = table(&readme, "| key |")
        .into_iter()
        .map(|row| (code(&row[0]).remove(0), (code(&row[1]), code(&row[2]))))
        .collect();
    let expected: BTreeMap<_, _> = keys::ALL
        .iter()
        .map(|key| {
            let flag: Vec<String> = key.flag.iter().map(|flag| format!("--{flag}")).collect();
            let variables = key.env.iter().map(|name| (*name).to_owned()).collect();
            (key.path.to_owned(), (flag, variables))
        })
        .collect();
    assert_eq!(found, expected, "the table of settings in README.md");
}

#[test]
fn the_readme_names_every_subcommand_and_exit_code() {
    let readme = document("README.md");
    let mut listed: Vec<String> = table(&readme, "| command |")
        .iter()
        .map(|row| code(&row[0])[0].split(' ').next().unwrap().to_owned())
        .collect();
    let command = Cli::command();
    let mut known: Vec<String> = command
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .map(|command| command.get_name().to_owned())
        .collect();
    listed.sort();
    known.sort();
    assert_eq!(listed, known, "the table of commands in README.md");

    let codes: Vec<String> =
        table(&readme, "| code |").into_iter().map(|mut row| row.remove(0)).collect();
    for code in [
        exit::DONE,
        exit::DIFFERENT,
        exit::USAGE,
        exit::INPUT,
        exit::OUTPUT,
        exit::MEMORY,
        exit::INTERRUPTED,
    ] {
        assert!(codes.contains(&code.to_string()), "exit code {code} in README.md");
    }
}

#[test]
fn the_code_map_has_every_module_and_no_other() {
    let mut listed: Vec<String> = table(&document("ARCHITECTURE.md"), "| module |")
        .iter()
        .map(|row| code(&row[0]).remove(0))
        .collect();
    let mut modules: Vec<String> = fs::read_dir(root().join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "lib.rs")
        .map(|name| if name == "main.rs" { name } else { name.replace(".rs", "") })
        .collect();
    listed.sort();
    modules.sort();
    assert_eq!(listed, modules, "the code map in ARCHITECTURE.md");
}

/// Files that a document links to or names in backticks by path.
#[test]
fn what_documents_refer_to_is_there() {
    let mut documents: Vec<PathBuf> = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"]
        .map(PathBuf::from)
        .into_iter()
        .chain(["docs", "docs/adr"].into_iter().flat_map(|folder| {
            let entries = fs::read_dir(root().join(folder)).unwrap();
            entries.map(move |entry| Path::new(folder).join(entry.unwrap().file_name()))
        }))
        .collect();
    documents.retain(|path| path.extension().is_some_and(|e| e == "md"));
    for path in documents {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        let folder = root().join(&path);
        let folder = folder.parent().unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            assert!(folder.join(file).exists(), "{}: the link {link}", path.display());
        }
        for name in code(&text.replace("```", "")) {
            let is_path = name.contains('/') && !name.contains([' ', '{', '…', '*', ':', '=']);
            let is_file = Path::new(&name)
                .extension()
                .is_some_and(|e| ["rs", "yaml", "sh"].contains(&e.to_str().unwrap_or_default()));
            if is_path && is_file {
                let there = root().join(&name).exists() || root().join("src").join(&name).exists();
                assert!(there, "{}: `{name}`", path.display());
            }
        }
    }
}

/// All of the program's sources, with texts that go over several lines put together.
fn sources(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else {
            let lines = fs::read_to_string(path).unwrap();
            let mut glued = lines.split("\\\n");
            all.push_str(glued.next().unwrap());
            glued.for_each(|rest| all.push_str(rest.trim_start()));
        }
    }
}

#[test]
fn messages_to_look_up_are_the_program_s() {
    let mut all = String::new();
    sources(&root().join("src"), &mut all);
    let rows = table(&document("docs/operations.md"), "| message says |");
    assert!(rows.len() > 20, "{}", rows.len());
    for message in rows.iter().flat_map(|row| code(&row[0])) {
        assert!(
            all.contains(&message),
            "docs/operations.md explains `{message}`, which nobody says"
        );
    }
}

#[test]
fn every_test_that_the_threats_name_is_there() {
    let text = document("docs/security.md");
    let mut named = 0;
    for name in code(&text).iter().filter(|code| code.contains("::")) {
        let Some((file, test)) = name.split_once("::").filter(|(file, _)| *file != "FILE") else {
            continue;
        };
        let places =
            [format!("tests/{file}"), format!("src/{file}")].map(|place| root().join(place));
        let found = places.iter().any(|place| {
            let mut sources = vec![place.with_extension("rs")];
            sources.extend(
                fs::read_dir(place).into_iter().flatten().map(|entry| entry.unwrap().path()),
            );
            let test = format!("fn {test}(");
            sources
                .iter()
                .filter_map(|source| fs::read_to_string(source).ok())
                .any(|s| s.contains(&test))
        });
        assert!(found, "docs/security.md names `{name}`, which is no test");
        named += 1;
    }
    assert!(named > 20, "{named}");
}

#[test]
fn no_crate_is_older_than_its_last_known_fault() {
    let lock = document("Cargo.lock");
    let number = |version: &str| -> Vec<u64> {
        version.split(['.', '+', '-']).map_while(|part| part.parse().ok()).collect()
    };
    for row in table(&document("docs/security.md"), "| crate | at least |") {
        let (name, least) = (&row[0], &row[1]);
        let entry = format!("name = \"{name}\"\nversion = \"");
        let versions: Vec<&str> =
            lock.split(&entry).skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(!versions.is_empty(), "{name} is no dependency any more");
        for version in versions {
            assert!(number(version) >= number(least), "{name} {version} is older than {least}");
        }
    }
}
