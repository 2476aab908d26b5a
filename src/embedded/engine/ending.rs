//! The part of the engine that ends workflows: their output, what is under way, and the workflow that follows a failure.

use crate::{
    json::{JsonMap, RawJson},
    task::TaskStatus,
    workflow::{StartWorkflowRequest, WorkflowStatus},
};

use super::{Engine, Millis, expression::resolve_map, record::WorkflowScope};

/// Why a workflow ends otherwise than completed.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) status: WorkflowStatus,
    pub(super) reason: String,
    /// The task that ended it.
    pub(super) task_id: Option<String>,
}

impl Engine {
    /// Ends a workflow that failed, and starts its failure workflow.
    pub(super) fn fail(&mut self, workflow_id: &str, ending: Ending, forgiven: &[String], now: Millis) {
        self.end(workflow_id, ending.status, Some(ending.reason), forgiven, now);
        let Some(started) = self.start_failure_workflow(workflow_id, ending.task_id, now) else { return };
        let Some(record) = self.workflows.get_mut(workflow_id) else { return };
        let mut output: JsonMap = record.workflow.output.decode().unwrap_or_default();
        output.insert("conductor.failure_workflow".to_owned(), RawJson::from(started.as_str()));
        record.workflow.output = RawJson::new(&output).unwrap_or_default();
    }

    /// Starts the workflow that a definition names for failures: its id, or why it did not start.
    fn start_failure_workflow(&mut self, workflow_id: &str, task_id: Option<String>, now: Millis) -> Option<String> {
        let record = self.workflows.get(workflow_id)?;
        let definition = &record.plan.definition;
        let mut input: JsonMap = record.workflow.input.decode().unwrap_or_default();
        let name = match definition.failure_workflow.as_deref().filter(|name| !name.trim().is_empty())? {
            // An input that holds the name: `$workflow.input.name`.
            reference if reference.starts_with('$') => input.get(reference.split('.').nth(2)?)?.decode().ok()?,
            name => name.to_owned(),
        };
        let failed = RawJson::new(&self.workflow(workflow_id, true)?).unwrap_or_default();
        let text = |text: &str| RawJson::from(text);
        input.insert("workflowId".to_owned(), text(workflow_id));
        input.insert("reason".to_owned(), text(record.workflow.reason_for_incompletion.as_deref().unwrap_or_default()));
        input.insert("failureStatus".to_owned(), text(record.workflow.status.as_str()));
        if let Some(task_id) = task_id {
            input.insert("failureTaskId".to_owned(), text(&task_id));
        }
        input.insert("failedWorkflow".to_owned(), failed);
        let mut request = StartWorkflowRequest::new(name.clone()).input(RawJson::new(&input).unwrap_or_default());
        request.version = definition.failure_workflow_version;
        request.correlation_id.clone_from(&record.workflow.correlation_id);
        request.task_to_domain.clone_from(&record.workflow.task_to_domain);
        let started = self.start(request, false, now);
        Some(
            started.unwrap_or_else(|refusal| {
                format!("Error workflow {name} failed to start.  reason: {}", refusal.message)
            }),
        )
    }

    /// Ends a task by the server's own will.
    pub(super) fn close(&mut self, task_id: &str, status: TaskStatus, now: Millis) {
        self.queues.remove(task_id);
        self.set_status(task_id, status, now);
        if let Some(record) = self.tasks.get_mut(task_id) {
            record.task.end_time = now;
        }
    }

    /// Ends a workflow: computes its output, cancels what is under way and empties the queues of it.
    pub(super) fn end(
        &mut self,
        workflow_id: &str,
        status: WorkflowStatus,
        reason: Option<String>,
        forgiven: &[String],
        now: Millis,
    ) {
        let output = self.output_of(workflow_id);
        let Some(record) = self.workflows.get_mut(workflow_id) else { return };
        record.workflow.output = output;
        record.workflow.status = status;
        record.workflow.reason_for_incompletion = reason;
        record.workflow.end_time = now;
        record.workflow.update_time = now;
        for task_id in record.task_ids.clone() {
            let Some(task) = self.tasks.get(&task_id) else { continue };
            if !task.is_terminal() {
                self.close(&task_id, TaskStatus::Canceled, now);
            }
            let Some(task) = self.tasks.get_mut(&task_id) else { continue };
            if task.task.end_time == 0 {
                task.task.end_time = now;
            }
            let has_failed = matches!(task.task.status, TaskStatus::Failed | TaskStatus::FailedWithTerminalError);
            if !has_failed || forgiven.contains(&task_id) {
                continue;
            }
            let Some(record) = self.workflows.get_mut(workflow_id) else { return };
            let names = [
                (&mut record.workflow.failed_reference_task_names, &task.task.reference_task_name),
                (&mut record.workflow.failed_task_names, &task.task.task_def_name),
            ];
            for (names, name) in names {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
        }
    }

    /// The output by the definition, or else the output of the last task.
    fn output_of(&self, workflow_id: &str) -> RawJson {
        let Some(record) = self.workflows.get(workflow_id) else { return RawJson::default() };
        let Some(last) = record.task_ids.last().and_then(|id| self.tasks.get(id)) else { return RawJson::default() };
        let parameters = &record.plan.definition.output_parameters;
        if parameters.is_empty() {
            return last.task.output_data.clone();
        }
        let scope = WorkflowScope { workflow: record, tasks: &self.tasks, task_id: None };
        RawJson::new(&resolve_map(parameters, &JsonMap::new(), &scope)).unwrap_or_default()
    }
}
