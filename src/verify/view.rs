//! Two sides seen through the columns they share.

use std::cmp::Ordering;
use std::hash::Hasher;

use rustc_hash::FxHasher;

use super::Options;
use super::number::{Closeness, Number};
use super::rows::{Column, Data, NULL_ID, Rows};

/// A row of one of the two sides. All left rows sort before all right ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RowRef {
    pub right: bool,
    pub row: usize,
}

impl RowRef {
    pub fn left(row: usize) -> Self {
        RowRef { right: false, row }
    }

    pub fn right(row: usize) -> Self {
        RowRef { right: true, row }
    }
}

/// A column that both sides have.
struct Pair<'a> {
    left: &'a Column,
    right: &'a Column,
}

impl<'a> Pair<'a> {
    fn of(&self, row: RowRef) -> &'a Column {
        if row.right { self.right } else { self.left }
    }
}

pub(super) struct View<'a> {
    left: &'a Rows,
    right: &'a Rows,
    keys: Vec<Pair<'a>>,
    numbers: Vec<Pair<'a>>,
    /// For each id of the right vocabulary the left's, or one beyond the left's.
    translation: Vec<u32>,
    pub closeness: Closeness,
}

impl<'a> View<'a> {
    pub fn new(left: &'a Rows, right: &'a Rows, options: &Options) -> Self {
        let mut keys = Vec::new();
        let mut numbers = Vec::new();
        for column in &left.columns {
            let Some(other) = right.columns.iter().find(|c| c.name == column.name) else {
                continue;
            };
            let pair = Pair { left: column, right: other };
            match column.data {
                Data::Numbers(_) => numbers.push(pair),
                Data::Texts(_) => keys.push(pair),
            }
        }
        let mut translation = vec![NULL_ID];
        let mut next = left.vocabulary.texts().len() as u32;
        for text in right.vocabulary.texts() {
            translation.push(left.vocabulary.find(text).unwrap_or_else(|| {
                next += 1;
                next
            }));
        }
        let closeness = Closeness { relative: options.relative, absolute: options.absolute };
        View { left, right, keys, numbers, translation, closeness }
    }

    /// Every row of both sides.
    pub fn rows(&self) -> impl Iterator<Item = RowRef> {
        (0..self.left.len).map(RowRef::left).chain((0..self.right.len).map(RowRef::right))
    }

    pub fn key_count(&self) -> usize {
        self.keys.len()
    }

    pub fn number_count(&self) -> usize {
        self.numbers.len()
    }

    pub fn key_name(&self, key: usize) -> &'a str {
        &self.keys[key].left.name
    }

    pub fn number_name(&self, number: usize) -> &'a str {
        &self.numbers[number].left.name
    }

    pub fn key_named(&self, name: &str) -> Option<usize> {
        self.keys.iter().position(|k| k.left.name == name)
    }

    pub fn number_named(&self, name: &str) -> Option<usize> {
        self.numbers.iter().position(|n| n.left.name == name)
    }

    /// An id that is the same for equal texts of either side.
    pub fn id(&self, key: usize, row: RowRef) -> u32 {
        let id = self.keys[key].of(row).id(row.row);
        if row.right { self.translation[id as usize] } else { id }
    }

    pub fn text(&self, key: usize, row: RowRef) -> Option<&'a str> {
        let id = self.keys[key].of(row).id(row.row);
        if row.right { self.right.vocabulary.text(id) } else { self.left.vocabulary.text(id) }
    }

    pub fn number(&self, number: usize, row: RowRef) -> Number {
        self.numbers[number].of(row).number(row.row)
    }

    pub fn hash(&self, keys: &[usize], row: RowRef) -> u64 {
        let mut hasher = FxHasher::default();
        for &key in keys {
            hasher.write_u32(self.id(key, row));
        }
        hasher.finish()
    }

    /// An order in which equal keys are neighbours; it means nothing else.
    pub fn order(&self, keys: &[usize], a: RowRef, b: RowRef) -> Ordering {
        keys.iter()
            .map(|&key| self.id(key, a).cmp(&self.id(key, b)))
            .find(|o| o.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    /// Whether all numbers of the two rows are equal within the tolerance.
    pub fn close(&self, a: RowRef, b: RowRef) -> bool {
        (0..self.numbers.len()).all(|n| self.closeness.close(self.number(n, a), self.number(n, b)))
    }

    /// How many columns of the two rows differ, and by how much at most.
    pub fn distance(&self, a: RowRef, b: RowRef) -> (usize, f64) {
        let mut columns =
            (0..self.keys.len()).filter(|&key| self.id(key, a) != self.id(key, b)).count();
        let mut largest = 0.0_f64;
        for n in 0..self.numbers.len() {
            let (x, y) = (self.number(n, a), self.number(n, b));
            if !self.closeness.close(x, y) {
                columns += 1;
                largest = largest.max(x.relative_difference(y).unwrap_or(f64::INFINITY));
            }
        }
        (columns, largest)
    }

    /// The largest relative difference of the two rows' numbers, the negligible ones aside.
    pub fn largest_difference(&self, a: RowRef, b: RowRef) -> Option<f64> {
        (0..self.numbers.len())
            .map(|n| (self.number(n, a), self.number(n, b)))
            .filter(|&(x, y)| x == y || !self.closeness.negligible(x, y))
            .filter_map(|(x, y)| x.relative_difference(y))
            .max_by(f64::total_cmp)
    }
}
