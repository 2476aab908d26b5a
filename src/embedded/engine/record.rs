//! Workflows and tasks as the engine keeps them, and how they are sent.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use crate::{
    json::RawJson,
    metadata::{OF_TASK, OF_WORKFLOW},
    task::{Task, TaskStatus},
    workflow::Workflow,
};

use super::{
    Millis,
    definition::{Node, Plan, always_written},
    expression::Scope,
};

/// One execution of a task.
#[derive(Debug)]
pub(super) struct TaskRecord {
    /// What changes; the parts that come from the plan are filled in when it is sent.
    pub(super) task: Task,
    pub(super) plan: Arc<Plan>,
    /// Its place in the plan.
    pub(super) node: usize,
    /// When the first attempt was scheduled.
    pub(super) first_scheduled: Millis,
}

impl TaskRecord {
    pub(super) fn node(&self) -> &Node {
        &self.plan.nodes[self.node]
    }

    pub(super) fn queue(&self) -> String {
        let rules = &self.node().rules;
        let mut name = queue_name(&self.task.task_type, self.task.domain.as_deref());
        for (mark, part) in [("@", &rules.execution_name_space), ("-", &rules.isolation_group_id)] {
            if let Some(part) = part.as_deref().filter(|part| !part.is_empty()) {
                name = name + mark + part;
            }
        }
        name
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.task.status.is_terminal()
    }

    /// The task as it is sent.
    pub(super) fn sent(&self) -> Task {
        let node = self.node();
        let mut task = self.task.clone();
        task.workflow_task = Some(node.task_json.clone());
        task.task_definition = Some(node.rules_json.clone());
        task.execution_metadata = Some(RawJson::from(
            serde_json::json!({"additionalContext": {}, "empty": true, "additionalContextMap": {}}),
        ));
        let was_polled = task.start_time > 0 && task.callback_after_seconds == 0;
        task.queue_wait_time = if was_polled { task.start_time - task.scheduled_time } else { 0 };
        task.extra = always_written(&[
            "inputData",
            "outputData",
            "retryCount",
            "pollCount",
            "startTime",
            "endTime",
            "updateTime",
            "startDelayInSeconds",
            "retried",
            "executed",
            "callbackAfterSeconds",
            "rateLimitPerFrequency",
            "workflowPriority",
            "iteration",
            "subworkflowChanged",
            "firstStartTime",
            "loopOverTask",
            "queueWaitTime",
            "responseTimeoutSeconds",
        ]);
        task
    }
}

/// One execution of a workflow.
#[derive(Debug)]
pub(super) struct WorkflowRecord {
    /// What changes; tasks and definition are filled in when it is sent.
    pub(super) workflow: Workflow,
    pub(super) plan: Arc<Plan>,
    /// All its tasks, in order.
    pub(super) task_ids: Vec<String>,
    /// Its tasks that are neither retried nor went on from, in order; when it has ended, those that it ended with.
    pub(super) pending: Vec<String>,
    /// The last attempt of each reference name.
    pub(super) by_reference: HashMap<String, String>,
    /// When it must be looked at because of the time, as it stands in the engine's timers.
    pub(super) timer: Option<Millis>,
    /// Its number among all starts.
    pub(super) number: u64,
}

impl WorkflowRecord {
    pub(super) fn is_terminal(&self) -> bool {
        self.workflow.status.is_terminal()
    }

    /// Its name, version and id, as messages of the server name it.
    pub(super) fn label(&self) -> String {
        format!("{}.{}/{}", self.plan.name(), self.plan.version(), self.workflow.workflow_id)
    }

    /// The workflow as it is sent.
    pub(super) fn sent(&self, tasks: Vec<Task>) -> Workflow {
        let mut workflow = self.workflow.clone();
        workflow.tasks = tasks;
        workflow.workflow_definition = Some(Box::new(self.plan.definition.clone()));
        workflow.owner_app = Some(String::new());
        workflow.extra = always_written(&[
            "endTime",
            "tasks",
            "input",
            "output",
            "taskToDomain",
            "failedReferenceTaskNames",
            "failedTaskNames",
            "priority",
            "variables",
            "lastRetriedTime",
            "history",
            "rateLimited",
        ]);
        workflow
    }
}

/// The queue of a task type in a domain. An empty domain is a queue of its own, as on the real server.
pub(in super::super) fn queue_name(task_type: &str, domain: Option<&str>) -> String {
    domain.map_or_else(|| task_type.to_owned(), |domain| format!("{domain}:{task_type}"))
}

/// A task that counts as neither failed nor under way.
pub(super) fn is_successful(status: &TaskStatus) -> bool {
    !matches!(
        status,
        TaskStatus::Failed | TaskStatus::FailedWithTerminalError | TaskStatus::TimedOut | TaskStatus::Canceled
    )
}

/// What the references of one workflow can name.
pub(super) struct WorkflowScope<'a> {
    pub(super) workflow: &'a WorkflowRecord,
    pub(super) tasks: &'a HashMap<String, TaskRecord>,
    /// The task whose input is computed.
    pub(super) task_id: Option<&'a str>,
}

impl Scope for WorkflowScope<'_> {
    fn field(&self, root: &str, field: &str) -> Option<Cow<'_, RawJson>> {
        if root == "workflow" {
            return self.workflow_field(field);
        }
        let task = &self.tasks.get(self.workflow.by_reference.get(root)?)?.task;
        match field {
            "input" => return Some(Cow::Borrowed(&task.input_data)),
            "output" => return Some(Cow::Borrowed(&task.output_data)),
            _ => {}
        }
        let text = |text: &str| Some(Cow::Owned(RawJson::from(text)));
        let number = |number: i64| Some(Cow::Owned(RawJson::from(serde_json::Value::from(number))));
        match field {
            "status" => text(task.status.as_str()),
            "taskId" => text(&task.task_id),
            "taskType" => text(&task.task_type),
            "taskDefName" => text(&task.task_def_name),
            "referenceTaskName" => text(&task.reference_task_name),
            "workflowInstanceId" => text(&task.workflow_instance_id),
            "correlationId" => text(task.correlation_id.as_ref()?),
            "reasonForIncompletion" => text(task.reason_for_incompletion.as_ref()?),
            "workerId" => text(task.worker_id.as_ref()?),
            "retryCount" => number(task.retry_count.into()),
            "pollCount" => number(task.poll_count.into()),
            "iteration" => number(task.iteration.into()),
            "scheduledTime" => number(task.scheduled_time),
            "startTime" => number(task.start_time),
            "endTime" => number(task.end_time),
            "callbackAfterSeconds" => number(task.callback_after_seconds),
            _ => None,
        }
    }

    fn fields(&self, root: &str) -> Option<&'static [&'static str]> {
        match root {
            "workflow" => Some(OF_WORKFLOW),
            _ => self.workflow.by_reference.contains_key(root).then_some(OF_TASK),
        }
    }

    fn task_id(&self) -> Option<&str> {
        self.task_id
    }
}

impl WorkflowScope<'_> {
    fn workflow_field(&self, field: &str) -> Option<Cow<'_, RawJson>> {
        let workflow = &self.workflow.workflow;
        let text = |text: &str| Some(Cow::Owned(RawJson::from(text)));
        match field {
            "input" => Some(Cow::Borrowed(&workflow.input)),
            "output" => Some(Cow::Borrowed(&workflow.output)),
            "variables" => Some(Cow::Borrowed(&workflow.variables)),
            "workflowId" => text(&workflow.workflow_id),
            "status" => text(workflow.status.as_str()),
            "workflowType" => text(self.workflow.plan.name()),
            "version" => Some(Cow::Owned(RawJson::from(serde_json::Value::from(self.workflow.plan.version())))),
            "schemaVersion" => Some(Cow::Owned(RawJson::from(serde_json::Value::from(2)))),
            "correlationId" => text(workflow.correlation_id.as_ref()?),
            "reasonForIncompletion" => text(workflow.reason_for_incompletion.as_ref()?),
            "parentWorkflowId" => text(workflow.parent_workflow_id.as_ref()?),
            "parentWorkflowTaskId" => text(workflow.parent_workflow_task_id.as_ref()?),
            _ => None,
        }
    }
}
