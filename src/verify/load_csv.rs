//! Reads a side from CSV.

use std::fs::File;
use std::io::BufRead;
use std::path::Path;

use super::csv_reader::{Records, buffered};
use super::rows::Builder;
use super::{Filter, LoadError, Rows};
use crate::summary::columns::COLUMNS;

pub(super) fn load(path: &Path, filter: &Filter) -> Result<Rows, LoadError> {
    let file =
        File::open(path).map_err(|source| LoadError::Open { path: path.to_path_buf(), source })?;
    read(buffered(file), path.display().to_string(), filter)
}

/// Reads CSV with a header; a bare `\N` is null. `name` is what errors call the input.
pub(super) fn read<R: BufRead>(input: R, name: String, filter: &Filter) -> Result<Rows, LoadError> {
    let mut records = Records::new(input, name.clone());
    if !records.advance()? {
        return Err(LoadError::NoHeader { file: name });
    }
    let header: Vec<String> = records.fields().map(|f| f.text.to_owned()).collect();
    if !header.iter().any(|h| COLUMNS.iter().any(|c| c.name == h)) {
        let first = header.into_iter().next().unwrap_or_default();
        return Err(LoadError::NotAHeader { file: name, first });
    }
    let mut builder = Builder::new(name, &header, filter)?;
    while records.advance()? {
        if records.len() != header.len() {
            return Err(LoadError::FieldCount {
                place: records.place(),
                found: records.len(),
                expected: header.len(),
            });
        }
        for (i, field) in records.fields().enumerate() {
            if field.is_null() {
                continue;
            }
            builder.text(i, field.text).map_err(|expected| LoadError::Value {
                place: records.place(),
                column: header[i].clone(),
                value: field.text.to_owned(),
                expected,
            })?;
        }
        builder.end_row();
    }
    Ok(builder.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        read(text.as_bytes(), "x.csv".to_owned(), &Filter::default()).unwrap_err().to_string()
    }

    #[test]
    fn errors_say_where() {
        assert_eq!(error(""), "x.csv is empty: its first line must name the columns");
        assert!(error("1,2,Pod\n").contains("begins with `1`"));
        assert_eq!(error("node,node\n"), "x.csv names the column node twice");
        assert_eq!(
            error("node,usage_start\na,2025-10-01\nb\n"),
            "x.csv, line 3 has 1 fields where the header has 2"
        );
        assert_eq!(
            error("node,pod_usage_cpu_core_hours\na,1\nb,1O\n"),
            "x.csv, line 3, column pod_usage_cpu_core_hours: \"1O\" is not a number"
        );
        assert_eq!(
            error("node,pod_usage_cpu_core_hours\nb,\n"),
            "x.csv, line 2, column pod_usage_cpu_core_hours: \"\" is not a number (NULL is \
             written \\N; psql: `null '\\N'`)"
        );
        assert!(error("pod_labels\n{a}\n").ends_with("\"{a}\" is not JSON"));
        assert!(error("usage_start\nx\n").ends_with("\"x\" is not a date (YYYY-MM-DD)"));
    }

    #[test]
    fn filters_go_by_date_and_source() {
        let text = "usage_start,source_uuid\n\
                    2025-10-01,bc531e7b-f319-5bbf-b686-40d15291920d\n\
                    2025-10-02,bc531e7b-f319-5bbf-b686-40d15291920d\n\
                    2025-10-02 00:00:00,8612bb28-b45e-565b-b1a0-10915ebf9c5b\n\
                    \\N,8612bb28-b45e-565b-b1a0-10915ebf9c5b\n\
                    2025-10-03,8612bb28-b45e-565b-b1a0-10915ebf9c5b\n";
        let count = |from: Option<&str>, to: Option<&str>, source: Option<&str>| {
            let filter = Filter {
                from: from.map(|d| d.parse().unwrap()),
                to: to.map(|d| d.parse().unwrap()),
                provider_uuids: source.iter().map(|u| u.parse().unwrap()).collect(),
            };
            read(text.as_bytes(), "x.csv".to_owned(), &filter).unwrap().len()
        };
        assert_eq!(count(None, None, None), 5);
        assert_eq!(count(Some("2025-10-02"), None, None), 3);
        assert_eq!(count(None, Some("2025-10-02"), None), 3);
        assert_eq!(count(Some("2025-10-02"), Some("2025-10-02"), None), 2);
        let source = Some("8612BB28-b45e-565b-b1a0-10915ebf9c5b");
        assert_eq!(count(None, None, source), 3);
        assert_eq!(count(Some("2025-10-02"), Some("2025-10-02"), source), 1);
    }

    #[test]
    fn a_filter_needs_its_column() {
        let filter = Filter { from: "2025-10-01".parse().ok(), ..Filter::default() };
        let error = read("node\na\n".as_bytes(), "x.csv".to_owned(), &filter).unwrap_err();
        assert!(error.to_string().starts_with("x.csv has no column usage_start"), "{error}");
    }
}
