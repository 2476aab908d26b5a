//! The part of the engine that steers workflows from outside: terminate, pause, resume, restart, retry, remove.

use std::sync::Arc;

use crate::{json::RawJson, task::TaskStatus, workflow::WorkflowStatus};

use super::{
    Answer, Engine, Millis, Refusal,
    record::{WorkflowRecord, is_successful},
};

impl Engine {
    pub(super) fn terminate(
        &mut self,
        workflow_id: &str,
        reason: Option<String>,
        now: Millis,
    ) -> Result<Answer, Refusal> {
        let record = self.workflow_record(workflow_id)?;
        if record.workflow.status == WorkflowStatus::Completed {
            return Err(Refusal::conflict("Cannot terminate a COMPLETED workflow."));
        }
        if record.workflow.status == WorkflowStatus::Terminated {
            return Ok(Answer::Done);
        }
        self.end(workflow_id, WorkflowStatus::Terminated, reason, &[], now);
        self.rearm(workflow_id);
        Ok(Answer::Done)
    }

    pub(super) fn pause(&mut self, workflow_id: &str, now: Millis) -> Result<Answer, Refusal> {
        let record = self.workflow_record(workflow_id)?;
        if record.is_terminal() {
            let message = format!("Workflow {} has ended, status cannot be updated.", record.label());
            return Err(Refusal::conflict(message));
        }
        if let Some(record) = self.workflows.get_mut(workflow_id) {
            record.workflow.status = WorkflowStatus::Paused;
            record.workflow.update_time = now;
        }
        self.rearm(workflow_id);
        Ok(Answer::Done)
    }

    pub(super) fn resume(&mut self, workflow_id: &str, now: Millis) -> Result<Answer, Refusal> {
        let status = &self.workflow_record(workflow_id)?.workflow.status;
        if *status != WorkflowStatus::Paused {
            let message =
                format!("The workflow {workflow_id} is not PAUSED so cannot resume. Current status is {status}");
            return Err(Refusal::failed(message));
        }
        if let Some(record) = self.workflows.get_mut(workflow_id) {
            record.workflow.status = WorkflowStatus::Running;
            record.workflow.last_retried_time = now;
            record.workflow.update_time = now;
        }
        self.decide(workflow_id, now);
        Ok(Answer::Done)
    }

    /// Runs a workflow again from its beginning, in place.
    pub(super) fn restart(&mut self, workflow_id: &str, with_latest: bool, now: Millis) -> Result<Answer, Refusal> {
        let record = self.workflow_record(workflow_id)?;
        let label = format!("{}.{}", record.label(), record.workflow.status);
        if !record.is_terminal() {
            let message = format!("Workflow: {label} is not in terminal state, unable to restart.");
            return Err(Refusal::conflict(message));
        }
        let (mut plan, is_completed) = (Arc::clone(&record.plan), record.workflow.status == WorkflowStatus::Completed);
        if with_latest {
            if self.workflow_def(plan.name(), None).is_none() {
                return Err(Refusal::not_found(format!("Unable to find latest definition for {workflow_id}")));
            }
            plan = self.plan(plan.name(), None, None, false)?;
        }
        if is_completed && plan.definition.restartable == Some(false) {
            return Err(Refusal::not_found(format!("Workflow: {label} is non-restartable")));
        }
        let Some(record) = self.workflows.get_mut(workflow_id) else { return Ok(Answer::Done) };
        for task_id in std::mem::take(&mut record.task_ids) {
            self.tasks.remove(&task_id);
        }
        record.pending.clear();
        record.by_reference.clear();
        record.workflow.workflow_version = plan.version();
        record.plan = plan;
        let workflow = &mut record.workflow;
        workflow.status = WorkflowStatus::Running;
        workflow.reason_for_incompletion = None;
        workflow.output = RawJson::default();
        (workflow.create_time, workflow.start_time) = (now, now);
        (workflow.end_time, workflow.last_retried_time) = (0, 0);
        self.decide(workflow_id, now);
        Ok(Answer::Done)
    }

    /// Goes on with a workflow that has ended: what did not succeed gets another attempt. The output, the end and the
    /// names of what failed stay as they were until it ends again, as on the real server.
    pub(super) fn retry_workflow(&mut self, workflow_id: &str, now: Millis) -> Result<Answer, Refusal> {
        let record = self.workflow_record(workflow_id)?;
        if !record.is_terminal() {
            let status = &record.workflow.status;
            return Err(Refusal::not_found(format!("Workflow is still running.  status={status}")));
        }
        let failed = self.last_failed(record);
        if failed.is_empty() && record.workflow.status != WorkflowStatus::TimedOut {
            return Err(Refusal::conflict(
                "There are no retryable tasks! Use restart if you want to attempt entire workflow execution again.",
            ));
        }
        if let Some(record) = self.workflows.get_mut(workflow_id) {
            record.workflow.status = WorkflowStatus::Running;
            record.workflow.last_retried_time = now;
            record.workflow.update_time = now;
            record.workflow.reason_for_incompletion = None;
            record.pending.retain(|id| !failed.contains(id));
        }
        for task_id in failed {
            let Some(record) = self.tasks.get_mut(&task_id) else { continue };
            // A new attempt inherits the mark of a task that the workflow has gone on from.
            let was_executed = std::mem::replace(&mut record.task.executed, true);
            self.queue_attempt(&task_id, 0, 0, now);
            let last = self.workflows.get(workflow_id).and_then(|record| record.task_ids.last()).cloned();
            if let Some(record) = last.and_then(|id| self.tasks.get_mut(&id)) {
                record.task.reason_for_incompletion = None;
                record.task.update_time = now;
                record.task.executed = was_executed;
            }
        }
        self.decide(workflow_id, now);
        Ok(Answer::Done)
    }

    /// The last attempts that did not succeed, in order.
    fn last_failed(&self, record: &WorkflowRecord) -> Vec<String> {
        let has_failed = |id: &&String| {
            self.tasks.get(*id).is_some_and(|record| {
                record.is_terminal() && !is_successful(&record.task.status) && record.task.status != TaskStatus::Skipped
            })
        };
        let is_last = |id: &&String| record.by_reference.values().any(|last| last == *id);
        record.task_ids.iter().filter(is_last).filter(has_failed).cloned().collect()
    }

    /// Forgets a workflow and its tasks.
    pub(super) fn remove(&mut self, workflow_id: &str, archive: bool) -> Result<Answer, Refusal> {
        let record = self.workflow_record(workflow_id)?;
        if archive && !record.is_terminal() {
            let status = &record.workflow.status;
            let message = format!("Cannot archive workflow: {workflow_id} with status: {status}");
            return Err(Refusal::invalid(message));
        }
        let Some(record) = self.workflows.remove(workflow_id) else { return Ok(Answer::Done) };
        if let Some(timer) = record.timer {
            self.timers.remove(&(timer, workflow_id.to_owned()));
        }
        if let Some(by_number) = self.by_name.get_mut(record.plan.name()) {
            by_number.remove(&record.number);
        }
        for task_id in &record.task_ids {
            self.queues.remove(task_id);
            // Makes room where it was in progress.
            self.set_status(task_id, TaskStatus::Canceled, record.workflow.update_time);
            self.tasks.remove(task_id);
        }
        Ok(Answer::Done)
    }
}
