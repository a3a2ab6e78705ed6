//! Texts to typed values. Each error names who gave the text, the text, and what would do.

use std::path::PathBuf;
use std::time::Duration;

use uuid::Uuid;

use super::error::SettingsError;
use super::sources::Raw;
use super::{ChunkSize, LogFormat, LookupsFrom, SinkTo};

type Parsed<T> = Result<T, SettingsError>;

/// One of a few words, case aside.
pub(crate) fn choice<T: Copy>(raw: &Raw, words: &[(&str, T)]) -> Parsed<T> {
    words
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(raw.text.trim()))
        .map(|(_, value)| *value)
        .ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            raw.invalid(format!("one of {}", words.join(", ")))
        })
}

pub(crate) fn switch(raw: &Raw) -> Parsed<bool> {
    match raw.text.trim().to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Ok(true),
        "off" | "false" | "no" | "0" => Ok(false),
        _ => Err(raw.invalid("`on` or `off`")),
    }
}

pub(crate) fn port(raw: &Raw) -> Parsed<u16> {
    match raw.text.trim().parse() {
        Ok(0) | Err(_) => Err(raw.invalid("a port from 1 to 65535")),
        Ok(port) => Ok(port),
    }
}

pub(crate) fn report_period_id(raw: &Raw) -> Parsed<i32> {
    match raw.text.trim().parse() {
        Ok(id) if id > 0 => Ok(id),
        _ => Err(raw.invalid("the positive id of a report period")),
    }
}

/// `None` is `auto`.
pub(crate) fn threads(raw: &Raw) -> Parsed<Option<usize>> {
    match count(raw) {
        Some(Count::Auto) => Ok(None),
        Some(Count::Of(n)) if n <= 4096 => Ok(Some(n)),
        _ => Err(raw.invalid("`auto` or a number of threads from 1 to 4096")),
    }
}

pub(crate) fn chunk_size(raw: &Raw) -> Parsed<ChunkSize> {
    match count(raw) {
        Some(Count::Auto) => Ok(ChunkSize::Auto),
        Some(Count::Of(n)) => Ok(ChunkSize::Rows(n)),
        None => Err(raw.invalid("`auto` or a number of rows, at least 1")),
    }
}

enum Count {
    Auto,
    Of(usize),
}

fn count(raw: &Raw) -> Option<Count> {
    match raw.text.trim() {
        "auto" => Some(Count::Auto),
        text => text.parse().ok().filter(|n| *n > 0).map(Count::Of),
    }
}

/// Bytes: `512MiB`, `1.5 GiB`, `500MB`, Kubernetes' `512Mi` and `1G`, or a plain number; `None` is
/// `auto`.
pub(crate) fn memory(raw: &Raw) -> Parsed<Option<u64>> {
    let text = raw.text.trim();
    if text.eq_ignore_ascii_case("auto") {
        return Ok(None);
    }
    bytes(text)
        .map(Some)
        .ok_or_else(|| raw.invalid("`auto`, or a size such as `512MiB`, `1GiB`, `500MB` or bytes"))
}

/// A size in one of the forms of [`memory`], but `auto`.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "m" | "mb" => 1000_u64.pow(2),
        "g" | "gb" => 1000_u64.pow(3),
        "t" | "tb" => 1000_u64.pow(4),
        "ki" | "kib" => 1 << 10,
        "mi" | "mib" => 1 << 20,
        "gi" | "gib" => 1 << 30,
        "ti" | "tib" => 1 << 40,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(unit).filter(|bytes| *bytes > 0);
    }
    scaled(number.parse().ok()?, unit)
}

/// A number of GiB, as the proof of concept gives its memory limit.
pub(crate) fn gibibytes(raw: &Raw) -> Parsed<u64> {
    raw.text
        .trim()
        .parse()
        .ok()
        .and_then(|number| scaled(number, 1 << 30))
        .ok_or_else(|| raw.invalid("a number of GiB above 0"))
}

/// `90s`, `3min`, `1h`, `500ms`, or a number of seconds; above zero and at most a day.
pub(crate) fn duration(raw: &Raw) -> Parsed<Duration> {
    let text = raw.text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit.trim().to_ascii_lowercase().as_str() {
        "ms" => 0.001,
        "" | "s" | "sec" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => f64::NAN,
    };
    number
        .parse::<f64>()
        .ok()
        .map(|number| number * seconds)
        .filter(|seconds| *seconds > 0.0 && *seconds <= 86_400.0)
        .map(Duration::from_secs_f64)
        .ok_or_else(|| raw.invalid("a time such as `90s`, `3min` or `500ms`, at most a day"))
}

/// A time as [`duration`] takes it, or `off`, which is zero.
pub(crate) fn time_or_off(raw: &Raw) -> Parsed<Duration> {
    if raw.text.trim().eq_ignore_ascii_case("off") {
        return Ok(Duration::ZERO);
    }
    duration(raw).map_err(|_| {
        raw.invalid("`off`, or a time such as `90s`, `3min` or `500ms`, at most a day")
    })
}

fn scaled(number: f64, unit: u64) -> Option<u64> {
    let bytes = number * unit as f64;
    (bytes >= 1.0 && bytes < i64::MAX as f64).then_some(bytes as u64)
}

/// One or several uuids separated by commas, each once, in the order given.
pub(crate) fn uuids(raw: &Raw) -> Parsed<Vec<Uuid>> {
    let mut uuids = Vec::new();
    for part in raw.text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let Ok(uuid) = Uuid::parse_str(part) else {
            return Err(SettingsError::Invalid {
                origin: raw.origin.to_string(),
                value: part.to_owned(),
                expected: "the UUID of a source, like 6ee3c302-8689-5608-91c9-dbd77e9736dd"
                    .to_owned(),
            });
        };
        if !uuids.contains(&uuid) {
            uuids.push(uuid);
        }
    }
    if uuids.is_empty() {
        return Err(raw.invalid("the UUID of at least one source"));
    }
    Ok(uuids)
}

/// A name that needs no quoting in SQL.
pub(crate) fn identifier(raw: &Raw) -> Parsed<String> {
    let text = &raw.text;
    let begins = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let rest = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if begins && rest && text.len() <= 63 {
        return Ok(text.clone());
    }
    Err(raw.invalid(
        "the schema of the tenant, like `org1234567`: lower-case letters, digits and `_`, beginning \
         with a letter, at most 63; give `--schema` if it is not the org id",
    ))
}

/// The org id stands in paths as it is.
pub(crate) fn org_id(raw: &Raw) -> Parsed<String> {
    let good = raw.text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if good { Ok(raw.text.clone()) } else { Err(raw.invalid("letters, digits, `_` and `-`")) }
}

/// A local folder, or `s3://bucket[/prefix]`; without the `/` at its end.
pub(crate) fn source(raw: &Raw) -> Parsed<String> {
    let expected = "a local folder or `s3://bucket[/prefix]`, what holds `data/`";
    let text = raw.text.trim();
    match text.split_once("://") {
        Some(("s3", rest)) if !rest.is_empty() && !rest.starts_with('/') => {}
        Some(_) => return Err(raw.invalid(expected)),
        None => {}
    }
    let trimmed = text.trim_end_matches('/');
    Ok(if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() })
}

pub(crate) fn lookups(raw: &Raw) -> Parsed<LookupsFrom> {
    Ok(match raw.text.as_str() {
        "postgres" | "postgresql" => LookupsFrom::Postgres,
        directory => LookupsFrom::Directory(PathBuf::from(directory)),
    })
}

pub(crate) fn sink(raw: &Raw) -> Parsed<SinkTo> {
    match raw.text.split_once(':') {
        None if raw.text == "postgres" || raw.text == "postgresql" => Ok(SinkTo::Postgres),
        Some(("csv", file)) if !file.is_empty() => Ok(SinkTo::Csv(PathBuf::from(file))),
        Some(("parquet", path)) if !path.is_empty() => Ok(SinkTo::Parquet(PathBuf::from(path))),
        _ => Err(raw.invalid("`postgres`, `csv:FILE` or `parquet:PATH`")),
    }
}

pub(crate) fn log_format(raw: &Raw) -> Parsed<LogFormat> {
    choice(
        raw,
        &[
            ("auto", LogFormat::Auto),
            ("human", LogFormat::Human),
            ("json", LogFormat::Json),
            ("console", LogFormat::Human),
        ],
    )
}

/// A level (Python's names too) or filter directives.
pub(crate) fn log_level(raw: &Raw) -> Parsed<String> {
    let text = raw.text.trim().to_ascii_lowercase();
    let level = match text.as_str() {
        "warning" => "warn",
        "critical" | "fatal" => "error",
        other => other,
    };
    let known = ["off", "error", "warn", "info", "debug", "trace"];
    if known.contains(&level) {
        return Ok(level.to_owned());
    }
    // A lone word is a valid directive too, but one that mutes everything else: surely a typo.
    let directives = raw.text.trim();
    let parses = tracing_subscriber::EnvFilter::try_new(directives).is_ok();
    let is_target = directives == "ocp_rollup" || directives.starts_with("ocp_rollup::");
    if parses && (is_target || directives.contains(['=', ','])) {
        return Ok(directives.to_owned());
    }
    Err(raw.invalid(
        "`error`, `warn`, `info`, `debug`, `trace`, `off`, or directives such as \
         `info,ocp_rollup::read=debug`",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::sources::Origin;

    fn raw(text: &str) -> Raw {
        Raw { text: text.to_owned(), origin: Origin::Flag("flag") }
    }

    fn message<T>(parsed: Parsed<T>) -> String {
        parsed.err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn sizes() {
        let cases = [
            ("512MiB", 512 << 20),
            ("512Mi", 512 << 20),
            ("1GiB", 1 << 30),
            ("1.5 GiB", 3 << 29),
            ("500MB", 500_000_000),
            ("500m", 500_000_000),
            ("1048576", 1 << 20),
            ("7b", 7),
        ];
        for (text, expected) in cases {
            assert_eq!(memory(&raw(text)).unwrap(), Some(expected), "{text}");
        }
        assert_eq!(memory(&raw("auto")).unwrap(), None);
        for text in ["0", "0MiB", "-1", "MiB", "1PiB", "1e3", "99999999999TiB", "1..5GiB", "0.1"] {
            assert!(memory(&raw(text)).is_err(), "{text}");
        }
        assert_eq!(
            message(memory(&raw("lots"))),
            "`--flag` is `lots`, but must be `auto`, or a size such as `512MiB`, `1GiB`, `500MB` or \
             bytes"
        );
        assert_eq!(gibibytes(&raw("1.5")).unwrap(), 3 << 29);
        for text in ["0", "-1", "NaN", "inf", "x"] {
            assert_eq!(
                message(gibibytes(&raw(text))),
                format!("`--flag` is `{text}`, but must be a number of GiB above 0")
            );
        }
    }

    #[test]
    fn durations() {
        for (text, millis) in
            [("3min", 180_000), ("90s", 90_000), ("500 ms", 500), ("1.5h", 5_400_000), ("7", 7000)]
        {
            assert_eq!(duration(&raw(text)).unwrap().as_millis(), millis, "{text}");
        }
        for text in ["0", "0s", "-1s", "25h", "3 weeks", "s", "1e3", "inf", "NaN"] {
            assert_eq!(
                message(duration(&raw(text))),
                format!(
                    "`--flag` is `{text}`, but must be a time such as `90s`, `3min` or `500ms`, at \
                     most a day"
                )
            );
        }
    }

    #[test]
    fn counts_begin_at_one() {
        assert_eq!(chunk_size(&raw("auto")).unwrap(), ChunkSize::Auto);
        assert_eq!(chunk_size(&raw("100000")).unwrap(), ChunkSize::Rows(100_000));
        for text in ["0", "-5", "1.5", "many"] {
            assert_eq!(
                message(chunk_size(&raw(text))),
                format!("`--flag` is `{text}`, but must be `auto` or a number of rows, at least 1")
            );
        }
        assert_eq!(threads(&raw("4")).unwrap(), Some(4));
        assert_eq!(threads(&raw("auto")).unwrap(), None);
        assert_eq!(
            message(threads(&raw("0"))),
            "`--flag` is `0`, but must be `auto` or a number of threads from 1 to 4096"
        );
    }

    #[test]
    fn uuids_are_kept_once_and_in_order() {
        let (a, b) =
            ("6ee3c302-8689-5608-91c9-dbd77e9736dd", "b713d10e-fbe1-5519-82dc-0f4cb8668dd9");
        let parsed = uuids(&raw(&format!("{b}, {a},{}", b.to_uppercase()))).unwrap();
        assert_eq!(parsed.iter().map(Uuid::to_string).collect::<Vec<_>>(), [b, a]);
        assert_eq!(
            message(uuids(&raw(&format!("{a},nonsense")))),
            "`--flag` is `nonsense`, but must be the UUID of a source, like \
             6ee3c302-8689-5608-91c9-dbd77e9736dd"
        );
        assert_eq!(
            message(uuids(&raw(","))),
            "`--flag` is `,`, but must be the UUID of at least one source"
        );
    }

    #[test]
    fn sources_are_folders_or_buckets() {
        assert_eq!(source(&raw("/srv/koku/")).unwrap(), "/srv/koku");
        assert_eq!(source(&raw("/")).unwrap(), "/");
        assert_eq!(source(&raw("s3://bucket/some/prefix/")).unwrap(), "s3://bucket/some/prefix");
        for text in ["s3://", "s3:///x", "gs://bucket", "https://host/bucket"] {
            assert_eq!(
                message(source(&raw(text))),
                format!(
                    "`--flag` is `{text}`, but must be a local folder or `s3://bucket[/prefix]`, \
                     what holds `data/`"
                )
            );
        }
    }

    #[test]
    fn sinks() {
        assert_eq!(sink(&raw("postgres")).unwrap(), SinkTo::Postgres);
        assert_eq!(sink(&raw("csv:out:1.csv")).unwrap(), SinkTo::Csv("out:1.csv".into()));
        assert_eq!(sink(&raw("parquet:out/")).unwrap(), SinkTo::Parquet("out/".into()));
        for text in ["csv", "csv:", "out.csv", "postgres:x", ""] {
            assert_eq!(
                message(sink(&raw(text))),
                format!(
                    "`--flag` is `{text}`, but must be `postgres`, `csv:FILE` or `parquet:PATH`"
                )
            );
        }
    }

    #[test]
    fn names_that_could_change_sql_or_paths_are_refused() {
        assert_eq!(identifier(&raw("org1234567")).unwrap(), "org1234567");
        let long = "a".repeat(64);
        for text in ["1234567", "org-1", "a;b", "Org1", "a\"b", long.as_str(), ""] {
            assert!(identifier(&raw(text)).is_err(), "{text}");
        }
        assert_eq!(org_id(&raw("org-1_2")).unwrap(), "org-1_2");
        for text in ["..", "a/b", "a*", "{uuid}"] {
            assert_eq!(
                message(org_id(&raw(text))),
                format!("`--flag` is `{text}`, but must be letters, digits, `_` and `-`")
            );
        }
    }

    #[test]
    fn small_words() {
        assert!(switch(&raw("On")).unwrap() && !switch(&raw("false")).unwrap());
        assert_eq!(message(switch(&raw("2"))), "`--flag` is `2`, but must be `on` or `off`");
        assert_eq!(
            message(choice(&raw("c"), &[("a", 1), ("b", 2)])),
            "`--flag` is `c`, but must be one of `a`, `b`"
        );
        assert_eq!(port(&raw("5432")).unwrap(), 5432);
        for text in ["0", "65536", "tcp://10.0.0.1:5432"] {
            assert_eq!(
                message(port(&raw(text))),
                format!("`--flag` is `{text}`, but must be a port from 1 to 65535")
            );
        }
        assert_eq!(report_period_id(&raw(" 12 ")).unwrap(), 12);
        for text in ["0", "-1", "x", "3000000000"] {
            assert_eq!(
                message(report_period_id(&raw(text))),
                format!("`--flag` is `{text}`, but must be the positive id of a report period")
            );
        }
    }

    #[test]
    fn log_levels() {
        for (text, level) in [
            ("INFO", "info"),
            ("WARNING", "warn"),
            ("Critical", "error"),
            ("info,ocp_rollup::read=debug", "info,ocp_rollup::read=debug"),
            ("ocp_rollup::read", "ocp_rollup::read"),
        ] {
            assert_eq!(log_level(&raw(text)).unwrap(), level);
        }
        for text in ["verbose", "info,x=loud"] {
            assert!(message(log_level(&raw(text))).starts_with("`--flag` is"), "{text}");
        }
        assert_eq!(log_format(&raw("console")).unwrap(), LogFormat::Human);
    }
}
