//! Lookups from a directory of CSV files with the columns of the tenant's tables.

use std::fs::File;
use std::path::{Path, PathBuf};

use ::csv::{Reader, StringRecord};

use super::{CategoryPattern, Lookups, LookupsError, NodeRole};

const PROVIDER_TYPE: &str = "OCP";

/// Reads `enabled_tag_keys.csv`, `cost_category_namespace.csv` and `nodes.csv` in `dir`. Columns
/// are found by the names on the first line, others are ignored; `\N` is null.
///
/// # Errors
/// A missing file or column, a file that is not CSV, a bad value: each names file, line, column.
pub fn load(dir: &Path) -> Result<Lookups, LookupsError> {
    Ok(Lookups {
        enabled_keys: enabled_keys(&dir.join("enabled_tag_keys.csv"))?,
        categories: categories(&dir.join("cost_category_namespace.csv"))?,
        nodes: nodes(&dir.join("nodes.csv"))?,
    })
}

fn enabled_keys(path: &Path) -> Result<Vec<String>, LookupsError> {
    let mut keys = Vec::new();
    Table::open(path, ["key", "enabled", "provider_type"])?.each(|row| {
        let key = row.text(0)?;
        let enabled = row.boolean(1)?;
        if enabled && row.text(2)? == PROVIDER_TYPE {
            keys.push(key.to_owned());
        }
        Ok(())
    })?;
    Ok(keys)
}

fn categories(path: &Path) -> Result<Vec<CategoryPattern>, LookupsError> {
    let mut categories = Vec::new();
    Table::open(path, ["namespace", "cost_category_id"])?.each(|row| {
        let pattern = row.text(0)?.to_owned();
        categories.push(CategoryPattern { pattern, cost_category_id: row.integer(1)? });
        Ok(())
    })?;
    Ok(categories)
}

fn nodes(path: &Path) -> Result<Vec<NodeRole>, LookupsError> {
    let mut nodes = Vec::new();
    Table::open(path, ["node", "resource_id", "node_role"])?.each(|row| {
        nodes.push(NodeRole {
            node: row.text(0)?.to_owned(),
            resource_id: row.nullable(1).map(str::to_owned),
            role: row.nullable(2).map(str::to_owned),
        });
        Ok(())
    })?;
    Ok(nodes)
}

/// A CSV file, and where its `N` columns of interest stand.
struct Table<const N: usize> {
    path: PathBuf,
    reader: Reader<File>,
    names: [&'static str; N],
    positions: [usize; N],
}

impl<const N: usize> Table<N> {
    fn open(path: &Path, names: [&'static str; N]) -> Result<Self, LookupsError> {
        let file = File::open(path)
            .map_err(|source| LookupsError::Open { path: path.to_owned(), source })?;
        let mut reader = Reader::from_reader(file);
        let header = reader
            .headers()
            .map_err(|source| LookupsError::Malformed { path: path.to_owned(), source })?;
        let mut positions = [0; N];
        for (position, column) in positions.iter_mut().zip(names) {
            *position = header
                .iter()
                .position(|name| name == column)
                .ok_or_else(|| LookupsError::MissingColumn { path: path.to_owned(), column })?;
        }
        Ok(Table { path: path.to_owned(), reader, names, positions })
    }

    fn each(
        mut self,
        mut visit: impl FnMut(Row<'_, N>) -> Result<(), LookupsError>,
    ) -> Result<(), LookupsError> {
        let mut record = StringRecord::new();
        loop {
            let more = self
                .reader
                .read_record(&mut record)
                .map_err(|source| LookupsError::Malformed { path: self.path.clone(), source })?;
            if !more {
                return Ok(());
            }
            visit(Row {
                path: &self.path,
                names: &self.names,
                positions: &self.positions,
                record: &record,
            })?;
        }
    }
}

/// One record, its fields numbered as in [`Table::open`].
struct Row<'a, const N: usize> {
    path: &'a Path,
    names: &'a [&'static str; N],
    positions: &'a [usize; N],
    record: &'a StringRecord,
}

impl<'a, const N: usize> Row<'a, N> {
    fn raw(&self, field: usize) -> &'a str {
        self.record.get(self.positions[field]).unwrap_or_default()
    }

    fn nullable(&self, field: usize) -> Option<&'a str> {
        // As PostgreSQL's text format says it: an empty field is an empty text.
        Some(self.raw(field)).filter(|&text| text != r"\N")
    }

    fn text(&self, field: usize) -> Result<&'a str, LookupsError> {
        self.nullable(field).ok_or_else(|| self.bad(field, "a text, and null is not allowed"))
    }

    fn boolean(&self, field: usize) -> Result<bool, LookupsError> {
        match self.raw(field) {
            "true" | "t" => Ok(true),
            "false" | "f" => Ok(false),
            _ => Err(self.bad(field, "a boolean (true, false, t or f)")),
        }
    }

    fn integer(&self, field: usize) -> Result<i32, LookupsError> {
        self.raw(field).parse().map_err(|_| self.bad(field, "an integer of 32 bits"))
    }

    fn bad(&self, field: usize, expected: &'static str) -> LookupsError {
        LookupsError::BadValue {
            path: self.path.to_owned(),
            line: self.record.position().map_or(0, ::csv::Position::line),
            column: self.names[field],
            value: self.raw(field).to_owned(),
            expected,
        }
    }
}
