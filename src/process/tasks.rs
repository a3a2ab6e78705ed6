//! What workers are given: a day of a source, or a slice of a day that outweighs the others.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::plan::PlannedGroup;

/// Row groups that can hold rows of the same units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Indices into [`crate::plan::Plan::groups`].
    pub groups: Range<usize>,
    /// First and last unit.
    pub units: (usize, usize),
    pub rows: usize,
    /// Whether no other task has rows of its units.
    pub whole: bool,
}

/// Cuts a plan's groups into tasks for so many workers. A day with more rows than one worker's part
/// of the whole is cut into slices of whole row groups; their states merge to the day.
pub fn cut(groups: &[PlannedGroup], workers: usize) -> Vec<Task> {
    let total: usize = groups.iter().map(|group| group.group.rows).sum();
    let most = total.div_ceil(workers.max(1)).max(1);
    let units = groups.iter().map(|group| group.units.1 + 1).max().unwrap_or(0);
    let mut rows_of_unit = vec![0; units];
    for group in groups {
        rows_of_unit[group.units.0..=group.units.1].iter_mut().for_each(|u| *u += group.group.rows);
    }
    let mut tasks = Vec::new();
    let mut start = 0;
    for set in groups.chunk_by(|a, b| a.units == b.units) {
        let rows = |groups: &[PlannedGroup]| groups.iter().map(|g| g.group.rows).sum::<usize>();
        let of_set = rows(set);
        let slice = of_set.div_ceil(of_set.div_ceil(most).max(1));
        let mut taken = 0;
        while taken < set.len() {
            let first = taken;
            let mut sum = 0;
            while taken < set.len() && (taken == first || sum + set[taken].group.rows <= slice) {
                sum += set[taken].group.rows;
                taken += 1;
            }
            let groups = start + first..start + taken;
            let (first, last) = set[0].units;
            let whole = rows_of_unit[first..=last].iter().all(|&rows| rows == sum);
            tasks.push(Task { groups, units: (first, last), rows: sum, whole });
        }
        start += set.len();
    }
    tasks
}

/// The next task of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Task(Task),
    /// None until an earlier day has left memory.
    Blocked,
    Done,
}

/// Tasks that no one has taken, the heaviest first.
#[derive(Debug)]
pub struct Queue {
    tasks: Mutex<Vec<Task>>,
}

impl Queue {
    pub fn new(mut tasks: Vec<Task>) -> Self {
        // Equals in the order of the plan, so that days are done in it.
        tasks.sort_by(|a, b| b.rows.cmp(&a.rows).then(a.groups.start.cmp(&b.groups.start)));
        Queue { tasks: Mutex::new(tasks) }
    }

    /// Takes a task of unit `awaited`, for which all later ones wait, else the heaviest that begins before
    /// unit `open_until`.
    pub fn next(&self, awaited: usize, open_until: usize) -> Next {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let position = |is: &dyn Fn(&Task) -> bool| tasks.iter().position(is);
        let awaited = position(&|task| (task.units.0..=task.units.1).contains(&awaited));
        match awaited.or_else(|| position(&|task| task.units.0 < open_until)) {
            Some(at) => Next::Task(tasks.remove(at)),
            None if tasks.is_empty() => Next::Done,
            None => Next::Blocked,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Row groups by first unit, number of further units, and rows; sorted as a plan is.
    fn groups(mut of: Vec<(usize, usize, usize)>) -> Vec<PlannedGroup> {
        of.sort_unstable_by_key(|&(first, more, _)| (first, first + more));
        let group = |(first, more, rows)| PlannedGroup::made_up((first, first + more), rows);
        of.into_iter().map(group).collect()
    }

    proptest! {
        #[test]
        fn every_group_is_in_one_task_and_the_queue_gives_all(
            of in prop::collection::vec((0usize..9, 0usize..3, 1usize..500), 0..40),
            workers in 1usize..6,
        ) {
            let groups = groups(of);
            let tasks = cut(&groups, workers);
            let mut next = 0;
            for task in &tasks {
                prop_assert_eq!(task.groups.start, next);
                next = task.groups.end;
                let own = &groups[task.groups.clone()];
                prop_assert!(own.iter().all(|group| group.units == task.units));
                prop_assert_eq!(task.rows, own.iter().map(|g| g.group.rows).sum::<usize>());
                let others = groups.iter().enumerate().filter(|(at, _)| !task.groups.contains(at));
                let (first, last) = task.units;
                let shared = others.into_iter().any(|(_, g)| g.units.0 <= last && g.units.1 >= first);
                prop_assert_eq!(task.whole, !shared);
            }
            prop_assert_eq!(next, groups.len());

            let queue = Queue::new(tasks.clone());
            let mut given = Vec::new();
            for open_until in 0..12 {
                while let Next::Task(task) = queue.next(open_until, open_until + 1) {
                    prop_assert!(task.units.0 <= open_until);
                    given.push(task);
                }
            }
            prop_assert_eq!(queue.next(0, 0), Next::Done);
            given.sort_by_key(|task| task.groups.start);
            prop_assert_eq!(given, tasks);
        }
    }

    #[test]
    fn only_a_day_that_outweighs_the_others_is_cut() {
        let shape = |of: Vec<(usize, usize, usize)>, workers| -> Vec<usize> {
            cut(&groups(of), workers).iter().map(|task| task.rows).collect()
        };
        let even = vec![(0, 0, 10), (0, 0, 10), (1, 0, 20), (2, 0, 20), (3, 0, 20)];
        assert_eq!(shape(even, 4), [20, 20, 20, 20]);
        let one = vec![(0, 0, 10), (1, 0, 40), (1, 0, 40), (1, 0, 40), (1, 0, 40)];
        assert_eq!(shape(one.clone(), 2), [10, 80, 80]);
        assert_eq!(shape(one, 1), [10, 160]);
    }

    #[test]
    fn the_day_that_others_wait_for_goes_first_then_the_heaviest() {
        let tasks = cut(&groups(vec![(0, 0, 1), (1, 0, 3), (2, 0, 9), (3, 0, 5), (4, 0, 7)]), 1);
        let queue = Queue::new(tasks);
        let rows = |next| if let Next::Task(task) = next { task.rows } else { 0 };
        assert_eq!(rows(queue.next(0, 3)), 1);
        // Someone is at it.
        assert_eq!(rows(queue.next(0, 2)), 3);
        assert_eq!(queue.next(0, 2), Next::Blocked);
        assert_eq!(rows(queue.next(1, 4)), 9);
        assert_eq!(rows(queue.next(3, 5)), 5);
        assert_eq!(rows(queue.next(3, 5)), 7);
        assert_eq!(queue.next(3, 5), Next::Done);
    }
}
