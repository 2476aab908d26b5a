//! The timeline of an execution for terminals: one line for each attempt, in the order of the server.

use std::fmt;

use crate::{task::Task, workflow::Workflow};

use super::{run, text};

/// A narrower bar shows nothing.
const LEAST_BAR: usize = 10;

/// A longer column leaves no room for bars.
const MOST_COLUMN: usize = 32;

/// The attempts of a workflow's tasks as text, from [`Workflow::timeline`]. Show it with `{}`.
///
/// ```
/// use conductor_sync::Workflow;
/// let workflow: Workflow = serde_json::from_str(r#"{
///     "workflowName": "hello", "workflowVersion": 1, "status": "COMPLETED", "startTime": 1000, "endTime": 3000,
///     "tasks": [{"referenceTaskName": "greet_ref", "taskType": "greet", "status": "COMPLETED",
///                "scheduledTime": 1000, "startTime": 2000, "endTime": 3000}]
/// }"#).unwrap();
/// assert_eq!(workflow.timeline().width(70).to_string(), "\
/// hello version 1  COMPLETED  2.0 s
/// reference  type   status       start   took
/// greet_ref  greet  ✓ COMPLETED  +1.0 s  1.0 s  ░░░░░░░░░░░░████████████
/// ");
/// ```
#[derive(Clone, Debug)]
pub struct Timeline<'a> {
    workflow: &'a Workflow,
    width: usize,
}

impl<'a> Timeline<'a> {
    pub(super) fn new(workflow: &'a Workflow) -> Self {
        Self { workflow, width: 100 }
    }

    /// Sets how many columns a line may take; bars get what the text leaves, but at least 10. Defaults to 100.
    #[must_use]
    pub fn width(mut self, columns: usize) -> Self {
        // A bar is a piece of text in memory.
        self.width = columns.min(10_000);
        self
    }
}

impl fmt::Display for Timeline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workflow = self.workflow;
        let start = run::started(workflow);
        let end = last_sign(workflow).max(start);
        let name = text::line(&workflow.workflow_name);
        write!(f, "{name} version {}  {}", workflow.workflow_version, text::line(workflow.status.as_str()))?;
        let so_far = if workflow.status.is_terminal() { "" } else { " so far" };
        writeln!(f, "  {}{so_far}", text::duration(end.saturating_sub(start)))?;
        if let Some(reason) = &workflow.reason_for_incompletion {
            writeln!(f, "  {}", text::shorten(&text::clean(reason), self.width.max(LEAST_BAR)))?;
        }
        let mut tasks: Vec<&Task> = workflow.tasks.iter().collect();
        tasks.sort_by_key(|task| task.seq);
        let head = ["reference", "type", "status", "start", "took"].map(str::to_owned);
        let rows: Vec<_> = tasks.iter().map(|task| columns_of(task, start)).collect();
        let widths: [usize; 5] =
            std::array::from_fn(|at| rows.iter().chain([&head]).map(|row| text::columns(&row[at])).max().unwrap_or(0));
        let taken: usize = widths.iter().map(|width| width + 2).sum();
        let scale = Scale { start, end, n_cells: self.width.saturating_sub(taken).max(LEAST_BAR) };
        write_row(f, &head, &widths, "")?;
        for (task, row) in tasks.iter().zip(&rows) {
            write_row(f, row, &widths, &scale.bar(task))?;
        }
        Ok(())
    }
}

/// The latest time that is known; an execution under way has no end.
fn last_sign(workflow: &Workflow) -> i64 {
    let of_tasks =
        workflow.tasks.iter().flat_map(|task| [task.scheduled_time, task.start_time, task.end_time, task.update_time]);
    match workflow.end_time {
        end if end > 0 => workflow.tasks.iter().map(|task| task.end_time).fold(end, i64::max),
        _ => of_tasks.fold(workflow.update_time, i64::max),
    }
}

fn columns_of(task: &Task, start: i64) -> [String; 5] {
    let mut reference = text::shorten(&text::clean(run::without_round(task)), MOST_COLUMN);
    if task.iteration > 0 && task.task_type != "DO_WHILE" {
        reference.push_str(&format!(" round {}", task.iteration));
    }
    if task.retry_count > 0 {
        reference.push_str(&format!(" try {}", i64::from(task.retry_count) + 1));
    }
    let (mark, _) = run::mark(&task.status);
    let offset = |time: i64| format!("+{}", text::duration(time.saturating_sub(start)));
    let (began, ended) = run::span(task);
    let took = match task.start_time > 0 && task.end_time > 0 {
        true => text::duration(ended.saturating_sub(began)),
        false => "–".to_owned(),
    };
    [
        reference,
        text::shorten(&text::clean(&task.task_type), MOST_COLUMN),
        format!("{mark} {}", text::shorten(&text::clean(task.status.as_str()), MOST_COLUMN)),
        if began > 0 { offset(began) } else { "–".to_owned() },
        took,
    ]
}

fn write_row(f: &mut fmt::Formatter<'_>, row: &[String; 5], widths: &[usize; 5], bar: &str) -> fmt::Result {
    let mut line = String::new();
    for (cell, width) in row.iter().zip(widths) {
        line.push_str(cell);
        line.push_str(&" ".repeat(width - text::columns(cell) + 2));
    }
    line.push_str(bar);
    writeln!(f, "{}", line.trim_end())
}

/// Places times on a bar.
struct Scale {
    start: i64,
    end: i64,
    n_cells: usize,
}

impl Scale {
    /// `░` from the schedule to the start, `█` (at least one) from there to the end or, under way, to the last sign.
    fn bar(&self, task: &Task) -> String {
        let (began, ended) = run::span(task);
        let is_queued = task.start_time <= 0 && !task.status.is_terminal();
        let ended = if task.end_time <= 0 && !task.status.is_terminal() { self.end } else { ended };
        if is_queued {
            let from = self.cell(task.scheduled_time);
            return " ".repeat(from) + &"░".repeat(self.n_cells - from);
        }
        let from = self.cell(began).min(self.n_cells - 1);
        let to = self.cell(ended).max(from + 1);
        let queued = if task.scheduled_time > 0 { self.cell(task.scheduled_time).min(from) } else { from };
        " ".repeat(queued) + &"░".repeat(from - queued) + &"█".repeat(to - from)
    }

    /// The cell of a time, from 0 to `n_cells`.
    fn cell(&self, time: i64) -> usize {
        let whole = i128::from(self.end) - i128::from(self.start);
        let part = (i128::from(time) - i128::from(self.start)).clamp(0, whole.max(0));
        let cells = i128::try_from(self.n_cells).unwrap_or(0);
        usize::try_from((part * cells).checked_div(whole).unwrap_or(0)).unwrap_or(0)
    }
}
