//! The engine: definitions, workflows, tasks and queues in memory. It is pure: [`Engine::step`] gets a command and the
//! time and gives an answer. It owns no thread, clock or socket, so the time may be real or virtual.

mod check;
mod decide;
mod definition;
mod ending;
mod expression;
mod metadata;
mod queue;
mod record;
mod steer;
mod timeout;
mod update;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::{
    metadata::{TaskDef, WorkflowDef},
    task::{PollData, Task, TaskExecLog, TaskResult},
    workflow::{StartWorkflowRequest, Workflow, WorkflowStatus},
};

use definition::Plan;
use queue::Queues;
use record::{TaskRecord, WorkflowRecord};

pub(super) use record::queue_name;

/// What to do about that which is not served here.
pub(super) const REAL_SERVER: &str =
    "a real Conductor server does: set CONDUCTOR_SERVER_URL where the program reads it";

/// Milliseconds since 1970.
pub(super) type Millis = i64;

/// What the engine is told to do.
#[derive(Debug)]
pub(super) enum Command {
    RegisterTasks(Vec<TaskDef>),
    UpdateTask(TaskDef),
    DeleteTask(String),
    RegisterWorkflow {
        definition: WorkflowDef,
        overwrite: bool,
    },
    UpdateWorkflows(Vec<WorkflowDef>),
    ValidateWorkflow(WorkflowDef),
    DeleteWorkflow {
        name: String,
        version: i32,
    },
    Start(StartWorkflowRequest),
    /// A start by the path of the request, which has other words for what is wrong.
    StartByName(StartWorkflowRequest),
    Terminate {
        workflow_id: String,
        reason: Option<String>,
    },
    Pause(String),
    Resume(String),
    Decide(String),
    Restart {
        workflow_id: String,
        with_latest: bool,
    },
    Retry(String),
    Remove {
        workflow_id: String,
        archive: bool,
    },
    /// Takes tasks out of a queue for a poll, which [`Command::HandOut`] ends.
    Take {
        queue: String,
        most: usize,
    },
    HandOut(Poll, Vec<String>),
    Update(TaskResult),
    UpdateByReference(ByReference),
    AddLog {
        task_id: String,
        line: String,
    },
    /// Nothing but the time.
    Tick,
}

/// Who polls what.
#[derive(Clone, Debug, Default)]
pub(super) struct Poll {
    pub(super) task_type: String,
    pub(super) domain: Option<String>,
    pub(super) worker_id: Option<String>,
}

/// An update of a task that is named by its workflow and reference name.
#[derive(Debug)]
pub(super) struct ByReference {
    pub(super) workflow_id: String,
    pub(super) reference: String,
    pub(super) result: TaskResult,
    /// Whether a missing worker id wipes the one that is there.
    pub(super) wipes_worker: bool,
}

/// What the engine answers.
#[derive(Debug)]
pub(super) enum Answer {
    Done,
    /// The id of what was made or changed; `None` when there was nothing to change.
    Id(Option<String>),
    Ids(Vec<String>),
    Tasks(Vec<Task>),
}

/// Why the engine does not do what it was told.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) kind: RefusalKind,
    pub(super) message: String,
    pub(super) violations: Vec<Violation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefusalKind {
    Invalid,
    NotFound,
    Conflict,
    Failed,
    NotServed,
}

/// A field that is not what it must be.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Violation {
    pub(super) path: String,
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) invalid_value: Option<String>,
}

impl Violation {
    pub(super) fn of(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), invalid_value: None }
    }

    pub(super) fn of_value(path: impl Into<String>, message: impl Into<String>, value: impl ToString) -> Self {
        Self { invalid_value: Some(value.to_string()), ..Self::of(path, message) }
    }
}

impl Refusal {
    fn new(kind: RefusalKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), violations: Vec::new() }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(RefusalKind::Invalid, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(RefusalKind::NotFound, message)
    }

    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(RefusalKind::Conflict, message)
    }

    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::new(RefusalKind::Failed, message)
    }

    pub(super) fn not_served(message: impl Into<String>) -> Self {
        Self::new(RefusalKind::NotServed, message)
    }

    /// Refuses when anything is wrong.
    pub(super) fn unless_empty(violations: Vec<Violation>) -> Result<(), Self> {
        match violations.is_empty() {
            true => Ok(()),
            false => Err(Self { violations, ..Self::invalid("Validation failed, check below errors for detail.") }),
        }
    }

    fn no_workflow(workflow_id: &str) -> Self {
        Self::not_found(format!("No such workflow found by id: {workflow_id}"))
    }
}

/// The state of the server.
#[derive(Debug)]
pub(super) struct Engine {
    task_defs: HashMap<String, TaskDef>,
    /// By name and version.
    workflow_defs: BTreeMap<String, BTreeMap<i32, WorkflowDef>>,
    /// Plans made from the definitions; emptied when a definition changes.
    plans: HashMap<(String, i32), Arc<Plan>>,
    workflows: HashMap<String, WorkflowRecord>,
    tasks: HashMap<String, TaskRecord>,
    logs: HashMap<String, Vec<TaskExecLog>>,
    queues: Queues,
    /// When a workflow must be looked at because of the time.
    timers: BTreeSet<(Millis, String)>,
    /// All workflows, by name, in the order of their starts.
    by_name: HashMap<String, BTreeMap<u64, String>>,
    /// How many tasks of a definition are in progress.
    n_in_progress: HashMap<String, i32>,
    /// Tasks held back by the concurrency limit of their definition, in order.
    held_back: HashMap<String, VecDeque<String>>,
    /// By task type and domain.
    poll_data: BTreeMap<(String, Option<String>), PollData>,
    n_started: u64,
    random: fastrand::Rng,
}

impl Engine {
    /// An engine that knows nothing; equal seeds give equal ids.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            task_defs: HashMap::new(),
            workflow_defs: BTreeMap::new(),
            plans: HashMap::new(),
            workflows: HashMap::new(),
            tasks: HashMap::new(),
            logs: HashMap::new(),
            queues: Queues::default(),
            timers: BTreeSet::new(),
            by_name: HashMap::new(),
            n_in_progress: HashMap::new(),
            held_back: HashMap::new(),
            poll_data: BTreeMap::new(),
            n_started: 0,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// Does what is due by `now`, then what it is told.
    pub(super) fn step(&mut self, command: Command, now: Millis) -> Result<Answer, Refusal> {
        self.catch_up(now);
        match command {
            Command::RegisterTasks(definitions) => self.register_tasks(definitions, now),
            Command::UpdateTask(definition) => self.update_task_def(definition, now),
            Command::DeleteTask(name) => self.delete_task_def(&name),
            Command::RegisterWorkflow { definition, overwrite } => self.register_workflow(definition, overwrite, now),
            Command::UpdateWorkflows(definitions) => self.update_workflows(definitions, now),
            Command::ValidateWorkflow(definition) => self.validate_workflow(&definition),
            Command::DeleteWorkflow { name, version } => self.delete_workflow_def(&name, version),
            Command::Start(request) => self.start(request, false, now).map(|id| Answer::Id(Some(id))),
            Command::StartByName(request) => self.start(request, true, now).map(|id| Answer::Id(Some(id))),
            Command::Terminate { workflow_id, reason } => self.terminate(&workflow_id, reason, now),
            Command::Pause(workflow_id) => self.pause(&workflow_id, now),
            Command::Resume(workflow_id) => self.resume(&workflow_id, now),
            Command::Decide(workflow_id) => {
                self.workflow_record(&workflow_id)?;
                self.decide(&workflow_id, now);
                Ok(Answer::Done)
            }
            Command::Restart { workflow_id, with_latest } => self.restart(&workflow_id, with_latest, now),
            Command::Retry(workflow_id) => self.retry_workflow(&workflow_id, now),
            Command::Remove { workflow_id, archive } => self.remove(&workflow_id, archive),
            Command::Take { queue, most } => Ok(Answer::Ids(self.queues.take(&queue, most))),
            Command::HandOut(poll, task_ids) => Ok(Answer::Tasks(self.hand_out(&poll, &task_ids, now))),
            Command::Update(result) => self.update(result, now),
            Command::UpdateByReference(update) => self.update_by_reference(update, now),
            Command::AddLog { task_id, line } => {
                self.add_log(&task_id, line, now);
                Ok(Answer::Done)
            }
            Command::Tick => Ok(Answer::Done),
        }
    }

    /// When time alone changes something next.
    pub(super) fn next_event(&self) -> Option<Millis> {
        let timer = self.timers.first().map(|(due, _)| *due);
        [self.queues.next_due().filter(|due| *due < Millis::MAX), timer].into_iter().flatten().min()
    }

    fn catch_up(&mut self, now: Millis) {
        self.queues.promote(now);
        let mut due = Vec::new();
        while self.timers.first().is_some_and(|(due, _)| *due <= now) {
            due.extend(self.timers.pop_first().map(|(_, workflow_id)| workflow_id));
        }
        for workflow_id in due {
            if let Some(workflow) = self.workflows.get_mut(&workflow_id) {
                workflow.timer = None;
            }
            self.decide(&workflow_id, now);
        }
    }

    fn workflow_record(&self, workflow_id: &str) -> Result<&WorkflowRecord, Refusal> {
        self.workflows.get(workflow_id).ok_or_else(|| Refusal::no_workflow(workflow_id))
    }

    /// The workflow as it is sent.
    pub(super) fn workflow(&self, workflow_id: &str, with_tasks: bool) -> Option<Workflow> {
        let record = self.workflows.get(workflow_id)?;
        let tasks = match with_tasks {
            true => record.task_ids.iter().filter_map(|id| self.task(id)).collect(),
            false => Vec::new(),
        };
        Some(record.sent(tasks))
    }

    pub(super) fn status(&self, workflow_id: &str) -> Option<WorkflowStatus> {
        self.workflows.get(workflow_id).map(|record| record.workflow.status.clone())
    }

    /// The task as it is sent.
    pub(super) fn task(&self, task_id: &str) -> Option<Task> {
        self.tasks.get(task_id).map(TaskRecord::sent)
    }

    /// Whether a queue holds a task that can be handed out.
    pub(super) fn has_ready(&self, queue: &str) -> bool {
        self.queues.has_ready(queue)
    }

    pub(super) fn queue_size(&self, queue: &str) -> usize {
        self.queues.len(queue)
    }

    pub(super) fn queue_sizes(&self) -> BTreeMap<&str, usize> {
        self.queues.sizes()
    }

    pub(super) fn logs(&self, task_id: &str) -> &[TaskExecLog] {
        self.logs.get(task_id).map_or(&[], Vec::as_slice)
    }

    /// Who polled, of one task type or of all.
    pub(super) fn poll_data(&self, task_type: Option<&str>) -> Vec<&PollData> {
        self.poll_data.values().filter(|data| task_type.is_none_or(|name| data.queue_name == name)).collect()
    }

    /// The workflows of a name, in the order of their starts.
    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = &Workflow> {
        let ids = self.by_name.get(name).into_iter().flat_map(BTreeMap::values);
        ids.filter_map(|id| self.workflows.get(id)).map(|record| &record.workflow)
    }

    /// All workflows that have not ended, with their tasks, in the order of their starts.
    pub(super) fn all_running(&self) -> Vec<Workflow> {
        let mut running: Vec<_> = self.workflows.values().filter(|record| !record.is_terminal()).collect();
        running.sort_by_key(|record| record.number);
        running.into_iter().filter_map(|record| self.workflow(&record.workflow.workflow_id, true)).collect()
    }

    /// An id in the shape of a random UUID.
    fn new_id(&mut self) -> String {
        let bits = self.random.u128(..);
        let hex = format!("{bits:032x}");
        let variant = ['8', '9', 'a', 'b'][(bits & 3) as usize];
        format!("{}-{}-4{}-{variant}{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
    }
}

#[cfg(test)]
mod tests;
