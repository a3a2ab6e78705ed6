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
}

/// Cuts a plan's groups into tasks for so many workers. A day with more rows than one worker's part
/// of the whole is cut into slices of whole row groups; their states merge to the day.
pub fn cut(groups: &[PlannedGroup], workers: usize) -> Vec<Task> {
    let total: usize = groups.iter().map(|group| group.group.rows).sum();
    let most = total.div_ceil(workers.max(1)).max(1);
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
            tasks.push(Task { groups, units: set[0].units, rows: sum });
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

    /// Takes the heaviest task that begins before unit `open_until`.
    pub fn next(&self, open_until: usize) -> Next {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        match tasks.iter().position(|task| task.units.0 < open_until) {
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
            }
            prop_assert_eq!(next, groups.len());

            let queue = Queue::new(tasks.clone());
            let mut given = Vec::new();
            for open_until in 0..12 {
                while let Next::Task(task) = queue.next(open_until) {
                    prop_assert!(task.units.0 < open_until);
                    given.push(task);
                }
            }
            prop_assert_eq!(queue.next(0), Next::Done);
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
    fn the_heaviest_day_goes_first() {
        let tasks = cut(&groups(vec![(0, 0, 1), (1, 0, 3), (2, 0, 9)]), 1);
        let queue = Queue::new(tasks);
        let rows = |next| if let Next::Task(task) = next { task.rows } else { 0 };
        assert_eq!(rows(queue.next(2)), 3);
        assert_eq!(rows(queue.next(3)), 9);
        assert_eq!(rows(queue.next(3)), 1);
    }
}
