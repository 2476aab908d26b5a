//! Where tasks are in a workflow, and which of them may be referred to from where.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter,
};

use crate::metadata::WorkflowTask;

/// From where is referred.
#[derive(Clone, Copy)]
pub(super) enum At {
    /// A task, by its number.
    Task(usize),
    /// The loop with this number, as seen after each round.
    InLoop(usize),
    /// What a join waits for, by its number.
    Join(usize),
    /// The default of an exclusive join, by its number.
    Default(usize),
    /// Behind all tasks.
    End,
}

/// All tasks of a workflow, numbered as they stand in the definition: a task comes before those inside it.
#[derive(Default)]
pub(super) struct Places<'a> {
    tasks: Vec<Place<'a>>,
    by_reference: BTreeMap<&'a str, usize>,
    twice: BTreeSet<&'a str>,
    pub(super) has_loop: bool,
}

/// A task and where it is.
struct Place<'a> {
    task: &'a WorkflowTask,
    path: Path,
    /// The task around it, where the server (3.32.1) makes both in one step: this one knows nothing of that one.
    made_with: Option<usize>,
}

/// The tasks around a task from the outside, each with the number of the branch.
type Path = Vec<(usize, usize)>;

impl<'a> Places<'a> {
    pub(super) fn of(tasks: &'a [WorkflowTask]) -> Self {
        let mut this = Self::default();
        this.collect(tasks, &Path::new(), None);
        this
    }

    fn collect(&mut self, tasks: &'a [WorkflowTask], path: &Path, mut made_with: Option<usize>) {
        for task in tasks {
            let (reference, number) = (task.task_reference_name.as_str(), self.tasks.len());
            self.has_loop |= kind(task) == "DO_WHILE";
            self.tasks.push(Place { task, path: path.clone(), made_with: made_with.take() });
            if self.by_reference.insert(reference, number).is_some() {
                self.twice.insert(reference);
            }
            for (at, (_, branch)) in branches(task).into_iter().enumerate() {
                let mut inner = path.clone();
                inner.push((number, at));
                self.collect(branch, &inner, Some(number).filter(|_| kind(task) != "DO_WHILE"));
            }
        }
    }

    /// The reference names that more than one task has.
    pub(super) fn twice(&self) -> Vec<&'a str> {
        self.twice.iter().copied().collect()
    }

    pub(super) fn task(&self, reference: &str) -> Option<&'a WorkflowTask> {
        self.by_reference.get(reference).map(|number| self.tasks[*number].task)
    }

    pub(super) fn is_in_loop(&self, number: usize) -> bool {
        self.loops(number).next().is_some()
    }

    fn is_loop(&self, number: usize) -> bool {
        kind(self.tasks[number].task) == "DO_WHILE"
    }

    /// The loops around a task.
    fn loops(&self, number: usize) -> impl Iterator<Item = usize> {
        self.tasks[number].path.iter().map(|(around, _)| *around).filter(|around| self.is_loop(*around))
    }

    /// Why a task can't be referred to from a place, if so. It must come earlier and be in no other branch; inside a loop it
    /// may also be the one of the round before. A join waits for tasks of its own round, and has defaults outside of loops
    /// (3.32.1).
    pub(super) fn problem(&self, reference: &str, from: At) -> Option<&'static str> {
        let Some(target) = self.by_reference.get(reference).copied() else { return Some("which does not exist") };
        let their = &self.tasks[target].path;
        let own = match from {
            At::End => return None,
            At::InLoop(own) if own == target || their.iter().any(|(around, _)| *around == own) => return None,
            At::Join(own) if self.loops(own).ne(self.loops(target)) => {
                return Some(match self.is_in_loop(own) {
                    true => "which the rounds of the loop around it do not make",
                    false => "which each round of a loop makes anew: wait for the loop itself",
                });
            }
            // It is looked up by its plain name, also inside a loop.
            At::Default(_) if self.is_in_loop(target) => return Some("which each round of a loop makes anew"),
            At::Task(own) | At::Join(own) | At::Default(own) if self.is_made_with(own, target) => {
                return Some("which the first task of a branch knows nothing of yet: put a noop before it");
            }
            At::Task(own) | At::InLoop(own) | At::Join(own) | At::Default(own) => own,
        };
        let (mut is_parted, mut in_one_loop) = (false, false);
        for (a, b) in self.tasks[own].path.iter().zip(their).take_while(|(a, b)| a.0 == b.0) {
            is_parted |= a.1 != b.1;
            // A join waits for no task of the round before.
            in_one_loop |= self.is_loop(a.0) && !matches!(from, At::Join(_));
        }
        match target {
            _ if own == target => Some("the task itself").filter(|_| !in_one_loop),
            _ if in_one_loop => None,
            _ if is_parted => Some("which is in another branch"),
            _ if target > own => Some("which comes later"),
            _ => None,
        }
    }

    /// Whether a task sets this variable.
    pub(super) fn sets_variable(&self, name: &str) -> bool {
        self.tasks.iter().any(|at| kind(at.task) == "SET_VARIABLE" && at.task.input_parameters.contains_key(name))
    }

    /// Two of these that are in different branches of a switch.
    pub(super) fn never_both<'b>(&self, references: &'b [String]) -> Option<(&'b str, &'b str)> {
        let known = |reference: &'b String| Some((reference.as_str(), *self.by_reference.get(reference.as_str())?));
        let known: Vec<_> = references.iter().filter_map(known).collect();
        known.iter().enumerate().find_map(|(at, (one, number))| {
            let other = known[at + 1..].iter().find(|(_, other)| self.is_parted_by_switch(*number, *other));
            other.map(|(other, _)| (*one, *other))
        })
    }

    fn is_parted_by_switch(&self, one: usize, other: usize) -> bool {
        let mut both = self.tasks[one].path.iter().zip(&self.tasks[other].path);
        both.find(|(a, b)| a != b)
            .is_some_and(|(a, b)| a.0 == b.0 && matches!(kind(self.tasks[a.0].task), "SWITCH" | "DECISION"))
    }

    /// Whether both are made in one step, as are also a branch in a branch and the first task of that.
    fn is_made_with(&self, number: usize, around: usize) -> bool {
        let made_with = |number: usize| self.tasks[number].made_with;
        iter::successors(made_with(number), |number| made_with(*number)).any(|number| number == around)
    }
}

pub(super) fn kind(task: &WorkflowTask) -> &str {
    task.task_type.as_deref().unwrap_or("SIMPLE")
}

/// The lists of tasks inside a task, with what they are.
pub(super) fn branches(task: &WorkflowTask) -> Vec<(String, &[WorkflowTask])> {
    let mut found: Vec<(String, &[WorkflowTask])> = Vec::new();
    match kind(task) {
        "SWITCH" | "DECISION" => {
            found
                .extend(task.decision_cases.iter().map(|(value, tasks)| (format!("case `{value}`"), tasks.as_slice())));
            if !task.default_case.is_empty() {
                found.push(("default case".to_owned(), &task.default_case));
            }
        }
        "FORK_JOIN" => {
            found
                .extend(task.fork_tasks.iter().enumerate().map(|(at, b)| (format!("branch {}", at + 1), b.as_slice())));
        }
        "DO_WHILE" => found.push(("loop".to_owned(), &task.loop_over)),
        _ => {}
    }
    found
}

/// The reference names of all tasks inside a task.
pub(super) fn below(task: &WorkflowTask) -> Vec<String> {
    let mut found = Vec::new();
    for (_, branch) in branches(task) {
        for task in branch {
            found.push(task.task_reference_name.clone());
            found.extend(below(task));
        }
    }
    found
}

/// How many tasks are inside each other.
pub(super) fn depth(tasks: &[WorkflowTask]) -> usize {
    let mut depth = 0;
    let mut lists = vec![(1, tasks)];
    while let Some((level, tasks)) = lists.pop() {
        depth = depth.max(level);
        lists.extend(tasks.iter().flat_map(branches).map(|(_, inner)| (level + 1, inner)));
    }
    depth
}
