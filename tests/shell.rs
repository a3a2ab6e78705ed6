//! Help, completions and manual pages, as shells and readers meet them.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

use std::process::Command;

use clap::CommandFactory;
use ocp_rollup::cli::Cli;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ocp-rollup");

#[track_caller]
fn printed(arguments: &[&str]) -> String {
    let output = Command::new(PROGRAM).args(arguments).env("COLUMNS", "100").output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_flag_has_a_help_text_and_every_command_of_many_flags_headings() {
    for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = command.get_name();
        let about =
            command.get_about().unwrap_or_else(|| panic!("{name} says nothing")).to_string();
        assert!(!about.contains("subcommand"), "{name}: {about}");
        let visible = || command.get_arguments().filter(|argument| !argument.is_hide_set());
        for argument in visible() {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.len() > 5, "{name}: {} says {help:?}", argument.get_id());
        }
        let flags = || visible().filter(|argument| !argument.is_positional());
        let bare = flags().filter(|flag| flag.get_help_heading().is_none()).count();
        assert!(bare <= 2 || flags().count() <= 8, "{name}: {bare} flags under no heading");
        assert!(printed(&[name, "--help"]).contains("Usage: ocp-rollup"));
    }
}

#[test]
fn help_is_coloured_on_a_terminal_alone() {
    let on_a_terminal = |environment: &[(&str, &str)]| {
        let line = format!("'{PROGRAM}' run --help");
        let output = Command::new("script")
            .args(["-qefc", &line, "/dev/null"])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TERM", "xterm")
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let coloured = on_a_terminal(&[]);
    assert!(coloured.contains('\u{1b}') && coloured.contains("--metrics-file"), "{coloured}");
    let plain = on_a_terminal(&[("NO_COLOR", "1")]);
    assert!(!plain.contains('\u{1b}') && plain.contains("--metrics-file"), "{plain}");
    assert!(!printed(&["run", "--help"]).contains('\u{1b}'));
}

#[test]
fn bash_completes_commands_and_flags() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("completions");
    std::fs::write(&script, printed(&["completions", "bash"])).unwrap();
    let complete = |words: &str, at: usize| {
        let line = format!(
            "source '{}'; COMP_WORDS=({words}); COMP_CWORD={at}; \
             _ocp__rollup ocp-rollup \"${{COMP_WORDS[{at}]}}\" \"${{COMP_WORDS[{}]}}\"; \
             echo \"${{COMPREPLY[@]}}\"",
            script.display(),
            at - 1
        );
        let output = Command::new("bash").args(["-c", &line]).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(error, "");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("ocp-rollup ver", 1), "verify");
    assert_eq!(complete("ocp-rollup run --metr", 2), "--metrics-file --metrics-listen");
    assert_eq!(complete("ocp-rollup run --pod-source d", 3), "daily");
    for shell in ["zsh", "fish"] {
        let script = printed(&["completions", shell]);
        assert!(script.contains("metrics-file") && script.contains("verify"), "{shell}");
    }
}

#[test]
fn manual_pages_have_every_command() {
    let page = printed(&["man"]);
    assert!(page.contains(".TH ocp-rollup 1") && page.contains("ocp\\-rollup\\-verify"), "{page}");
    let page = printed(&["man", "run"]);
    for part in [".TH ocp-rollup-run 1", ".SH WATCHING", "\\-\\-metrics\\-file"] {
        assert!(page.contains(part), "no {part}: {page}");
    }
    let folder = tempfile::tempdir().unwrap();
    printed(&["man", "--out", folder.path().to_str().unwrap()]);
    for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
        let page = folder.path().join(format!("ocp-rollup-{}.1", command.get_name()));
        assert!(page.exists(), "{}", page.display());
    }
    for (arguments, code, part) in [
        (&["man", "rum"][..], 2, "no command `rum`"),
        (&["man", "--out", "/nowhere"], 4, "/nowhere"),
    ] {
        let output = Command::new(PROGRAM).args(arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(error.starts_with("error: ") && error.contains(part), "{error}");
    }
}
