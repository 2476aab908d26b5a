//! What an execution says about the nodes of its definition: which attempts belong to which node, their state and timing.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;

use crate::{
    task::{Task, TaskStatus},
    workflow::Workflow,
};

use super::{graph::Tone, text};

/// The attempts of an execution by node.
pub(super) struct Run<'a> {
    by_reference: HashMap<String, Vec<&'a Task>>,
    /// What each dynamic fork made, by the reference of the fork.
    forked: HashMap<String, Vec<String>>,
    /// References that neither the definition nor a dynamic fork knows, in order.
    pub(super) others: Vec<String>,
    started: i64,
    has_ended: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ForkInput {
    #[serde(default)]
    forked_tasks: Vec<String>,
}

impl<'a> Run<'a> {
    /// `known` holds the references of the definition.
    pub(super) fn new(workflow: &'a Workflow, known: &HashSet<&str>) -> Self {
        let mut tasks: Vec<&Task> = workflow.tasks.iter().collect();
        tasks.sort_by_key(|task| task.seq);
        let mut run = Self {
            by_reference: HashMap::new(),
            forked: HashMap::new(),
            others: Vec::new(),
            started: started(workflow),
            has_ended: workflow.status.is_terminal(),
        };
        let mut makers = HashMap::new();
        for fork in tasks.iter().filter(|task| task.task_type == "FORK") {
            // A plain fork has such a list too: its tasks are in the definition.
            let made = fork.input_data.decode::<ForkInput>().map(|input| input.forked_tasks).unwrap_or_default();
            makers.extend(made.into_iter().map(|made| (made, node_of(fork, known))));
        }
        for task in tasks {
            let node = node_of(task, known);
            if !known.contains(node.as_str()) && !run.by_reference.contains_key(&node) {
                match makers.get(&task.reference_task_name).or_else(|| makers.get(&node)) {
                    Some(fork) => run.forked.entry(fork.clone()).or_default().push(node.clone()),
                    None => run.others.push(node.clone()),
                }
            }
            run.by_reference.entry(node).or_default().push(task);
        }
        run
    }

    /// The attempts of the node with this reference, in order.
    pub(super) fn attempts(&self, reference: &str) -> &[&'a Task] {
        self.by_reference.get(reference).map_or(&[], Vec::as_slice)
    }

    /// The references of what a dynamic fork made.
    pub(super) fn made_by(&self, fork: &str) -> &[String] {
        self.forked.get(fork).map_or(&[], Vec::as_slice)
    }

    /// The state of a node in words, and its tone.
    pub(super) fn state(&self, reference: &str) -> (String, Tone) {
        let attempts = self.attempts(reference);
        let Some(last) = attempts.last() else {
            return (if self.has_ended { "not run" } else { "not yet" }.to_owned(), Tone::Idle);
        };
        let (mark, tone) = mark(&last.status);
        let mut words = format!("{mark} {}", text::line(last.status.as_str()));
        match busy(attempts) {
            Some(millis) => words.push_str(&format!(" {}", text::duration(millis))),
            None => {
                let since = if last.start_time > 0 { last.start_time } else { last.scheduled_time };
                let offset = text::duration(since.saturating_sub(self.started));
                words.push_str(&format!(" since +{offset}"));
            }
        }
        let rounds: HashSet<i32> = attempts.iter().map(|task| task.iteration).collect();
        // The loop itself is one task, whose round grows.
        let n_rounds = if last.task_type == "DO_WHILE" {
            usize::try_from(last.iteration).unwrap_or(0)
        } else if last.iteration > 0 {
            rounds.len()
        } else {
            0
        };
        if n_rounds > 0 {
            words.push_str(&format!(", {n_rounds} round{}", if n_rounds == 1 { "" } else { "s" }));
        }
        if attempts.len() > rounds.len() {
            words.push_str(&format!(", {} attempts", attempts.len()));
        }
        (words, tone)
    }
}

/// How long the attempts took: in each round from the first start to the last end. `None` while the last one is under way.
fn busy(attempts: &[&Task]) -> Option<i64> {
    if attempts.last().is_some_and(|last| !last.status.is_terminal() && last.end_time <= 0) {
        return None;
    }
    let mut rounds: BTreeMap<i32, (i64, i64)> = BTreeMap::new();
    for task in attempts {
        let (start, end) = span(task);
        let round = rounds.entry(task.iteration).or_insert((start, end));
        *round = (round.0.min(start), round.1.max(end));
    }
    Some(rounds.values().fold(0_i64, |sum, (start, end)| sum.saturating_add(end.saturating_sub(*start).max(0))))
}

/// When an attempt was in work; where it never started, both are its end.
pub(super) fn span(task: &Task) -> (i64, i64) {
    match (task.start_time, task.end_time) {
        (start, end) if start > 0 && end > 0 => (start, end.max(start)),
        (start, _) if start > 0 => (start, start),
        (_, end) if end > 0 => (end, end),
        _ => (task.scheduled_time, task.scheduled_time),
    }
}

/// When the workflow started; the first sign of it where that is missing.
pub(super) fn started(workflow: &Workflow) -> i64 {
    let of_tasks = workflow.tasks.iter().flat_map(|task| [task.scheduled_time, task.start_time]);
    match workflow.start_time {
        start if start > 0 => start,
        _ => of_tasks.filter(|time| *time > 0).min().unwrap_or(0),
    }
}

/// The reference of the node a task belongs to: its own, without the `__N` that rounds of loops add.
fn node_of(task: &Task, known: &HashSet<&str>) -> String {
    let own = task.reference_task_name.as_str();
    let mut reference = own;
    while !known.contains(reference) {
        match reference.rsplit_once("__") {
            Some((head, round)) if !head.is_empty() && round.parse::<u32>().is_ok() => reference = head,
            _ => break,
        }
    }
    match known.contains(reference) {
        true => reference.to_owned(),
        false => without_round(task).to_owned(),
    }
}

/// The reference of a task without the round it ends in.
pub(super) fn without_round(task: &Task) -> &str {
    let own = task.reference_task_name.as_str();
    let head = own.strip_suffix(&task.iteration.to_string()).and_then(|head| head.strip_suffix("__"));
    head.filter(|head| task.iteration > 0 && !head.is_empty()).unwrap_or(own)
}

/// A sign and a tone for a state.
pub(super) fn mark(status: &TaskStatus) -> (char, Tone) {
    match status {
        TaskStatus::Scheduled => ('…', Tone::Waiting),
        TaskStatus::InProgress => ('▶', Tone::Running),
        TaskStatus::Completed => ('✓', Tone::Done),
        TaskStatus::CompletedWithErrors => ('!', Tone::Doubtful),
        TaskStatus::Skipped => ('»', Tone::Doubtful),
        TaskStatus::Failed | TaskStatus::FailedWithTerminalError | TaskStatus::TimedOut => ('✗', Tone::Failed),
        TaskStatus::Canceled => ('⊘', Tone::Canceled),
        _ => ('?', Tone::Doubtful),
    }
}
