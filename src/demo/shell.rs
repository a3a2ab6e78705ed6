//! Command lines that can be copied into a shell.

use std::fmt::Write;

use crate::cli::demo::GivenFlags;

/// A word as a POSIX shell needs it: quoted only where it must be.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// `program subcommand` with `flags`, one a line, each line but the first indented by `indent`.
pub fn command(program: &str, subcommand: &str, flags: &GivenFlags, indent: &str) -> String {
    let mut line = format!("{} {subcommand}", quoted(program));
    for (name, value) in flags.all() {
        // Writing to a string cannot fail.
        let _ = write!(line, " \\\n{indent}--{name} {}", quoted(value));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        for word in ["plain", "/tmp/a b", "it's", "$HOME `x` \"y\" \\", "", "*", "a\nb", "~"] {
            let output = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", quoted(word))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
        assert_eq!(quoted("parquet:/tmp/x.parquet"), "parquet:/tmp/x.parquet");
    }
}
