//! What a comparison found.

use serde::Serialize;

/// The outcome of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub left: Side,
    pub right: Side,
    pub tolerance: Tolerance,
    /// The columns compared, in the left side's order.
    pub columns: Vec<String>,
    pub only_left: Vec<OneSided>,
    pub only_right: Vec<OneSided>,
    pub totals: Vec<Totals>,
    /// Pairs of rows that are equal within the tolerance.
    pub equal_rows: usize,
    /// Pairs of rows that are each other's counterpart and differ.
    pub differing_rows: usize,
    pub rows_only_left: usize,
    pub rows_only_right: usize,
    /// The largest relative difference between two numbers of counterparts, equal ones included;
    /// `None` where no two numbers could be compared.
    pub largest_relative_difference: Option<f64>,
    /// The first differing rows, by date, cluster and name.
    pub differences: Vec<RowDifference>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    pub name: String,
    pub rows: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Tolerance {
    pub relative: f64,
    pub absolute: f64,
}

/// A column that one side alone has, and that is not compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OneSided {
    pub column: String,
    /// Rows in which it is not null.
    pub filled: usize,
}

/// Sums of measures by the values of one column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Totals {
    /// The column.
    pub by: String,
    pub groups: Vec<GroupTotal>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupTotal {
    /// The column's value; `None` is null.
    pub name: Option<String>,
    pub rows_left: usize,
    pub rows_right: usize,
    /// Measures that at least one row has.
    pub measures: Vec<MeasureTotal>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeasureTotal {
    pub measure: &'static str,
    /// `None` where no row of the side has the measure.
    pub left: Option<f64>,
    pub right: Option<f64>,
    /// Right minus left.
    pub difference: f64,
    pub relative: Option<f64>,
    /// Within what the rows' tolerances add up to.
    pub equal: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RowDifferenceKind {
    Differs,
    OnlyLeft,
    OnlyRight,
}

/// A pair of rows that differ, or a row without a counterpart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowDifference {
    pub kind: RowDifferenceKind,
    /// What the row is found by: of the left side if there is one.
    pub row: Vec<Named>,
    /// What differs; for a row without counterpart, its numbers.
    pub cells: Vec<CellDifference>,
}

/// A column and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    pub column: String,
    pub value: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CellDifference {
    pub column: String,
    pub left: Cell,
    pub right: Cell,
    /// Of two numbers.
    pub relative: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Cell {
    Null,
    Number(f64),
    Text(String),
}

impl Report {
    /// Whether every row of either side has its equal on the other. Sides without a column in
    /// common are not equal.
    pub fn is_equal(&self) -> bool {
        self.unequal() == 0 && !self.columns.is_empty()
    }

    /// Rows or pairs of rows that differ.
    pub fn unequal(&self) -> usize {
        self.differing_rows + self.rows_only_left + self.rows_only_right
    }

    /// The closing line.
    pub fn summary(&self) -> String {
        let (unequal, all) = (self.unequal(), self.unequal() + self.equal_rows);
        if self.columns.is_empty() {
            return "DIFFERENT: the two sides have no column in common".to_owned();
        }
        if self.is_equal() && all == 0 {
            return "equal: 0 rows (both sides are empty: check the dates and the provider)"
                .to_owned();
        }
        if self.is_equal() {
            return format!("equal: {all} rows");
        }
        let mut line = format!("DIFFERENT: {unequal} of {all} rows differ");
        for (count, side) in [(self.rows_only_left, "left"), (self.rows_only_right, "right")] {
            if count > 0 {
                line.push_str(&format!(", {count} of them only {side}"));
            }
        }
        if let Some(largest) = self.largest_relative_difference.filter(|&l| l > 0.0) {
            line.push_str(&format!(", largest relative difference {largest:.1e}"));
        }
        line
    }
}
