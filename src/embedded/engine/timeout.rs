//! The part of the engine that knows when time runs out.

use crate::{
    metadata::TimeoutPolicy,
    task::{Task, TaskStatus},
    workflow::WorkflowStatus,
};

use super::{
    Engine, Millis,
    ending::Ending,
    record::{TaskRecord, WorkflowRecord},
};

/// The limits of a task under way, as the times at which they pass.
struct Limits {
    total: Option<Millis>,
    attempt: Option<Millis>,
    poll: Option<Millis>,
    response: Option<Millis>,
}

impl Limits {
    fn of(record: &TaskRecord) -> Self {
        let (task, rules) = (&record.task, &record.node().rules);
        let limit =
            |seconds: i64, from: Millis| (seconds > 0).then(|| from.saturating_add(seconds.saturating_mul(1000)));
        let delay = Millis::from(task.start_delay_in_seconds) * 1000;
        let callback = task.callback_after_seconds.saturating_mul(1000);
        let is = |status| task.status == status;
        Self {
            total: limit(rules.total_timeout_seconds.unwrap_or(0), record.first_scheduled),
            attempt: limit(rules.timeout_seconds.unwrap_or(0), task.start_time + delay).filter(|_| task.start_time > 0),
            poll: limit(rules.poll_timeout_seconds.unwrap_or(0).into(), task.scheduled_time + delay)
                .map(|end| end.saturating_add(callback))
                .filter(|_| is(TaskStatus::Scheduled)),
            response: limit(rules.response_timeout_seconds.unwrap_or(0), task.update_time)
                .map(|end| end.saturating_add(callback))
                .filter(|_| is(TaskStatus::InProgress)),
        }
    }
}

impl Engine {
    pub(super) fn check_workflow_timeout(record: &WorkflowRecord, now: Millis) -> Result<(), Ending> {
        match workflow_limit(record) {
            Some(end) if end <= now => {
                let seconds = record.plan.definition.timeout_seconds.unwrap_or(0);
                let elapsed = (now - end) / 1000 + seconds;
                let reason = format!(
                    "Workflow timed out after {elapsed} seconds. Timeout configured as {seconds} seconds. Timeout \
                     policy configured to TIME_OUT_WF"
                );
                Err(Ending { status: WorkflowStatus::TimedOut, reason, task_id: None })
            }
            _ => Ok(()),
        }
    }

    /// Times a task out when one of its limits has passed, by the policy of its definition.
    pub(super) fn check_timeouts(&mut self, task_id: &str, now: Millis) -> Result<(), Ending> {
        let Some(record) = self.tasks.get(task_id).filter(|record| !record.is_terminal()) else { return Ok(()) };
        let limits = Limits::of(record);
        let has_passed = |limit: Option<Millis>| limit.is_some_and(|end| end <= now);
        let (task, node) = (&record.task, record.node());
        let policy = node.policy().clone();
        if policy != TimeoutPolicy::AlertOnly {
            let passed = [
                has_passed(limits.total).then(|| total_reason(record, now)),
                has_passed(limits.attempt).then(|| attempt_reason(record, now)),
                has_passed(limits.poll).then(|| poll_reason(record, now)),
            ];
            if let Some(reason) = passed.into_iter().flatten().next() {
                self.time_out(task_id, reason.clone(), now);
                return match policy {
                    TimeoutPolicy::Retry => Ok(()),
                    _ => Err(Ending { status: WorkflowStatus::TimedOut, reason, task_id: Some(task_id.to_owned()) }),
                };
            }
        }
        if has_passed(limits.response) {
            let seconds = node.rules.response_timeout_seconds.unwrap_or(0);
            let reason = format!(
                "responseTimeout: {seconds} exceeded for the taskId: {} with Task Definition: {}",
                task.task_id, task.task_def_name
            );
            self.time_out(task_id, reason, now);
        }
        Ok(())
    }

    fn time_out(&mut self, task_id: &str, reason: String, now: Millis) {
        self.close(task_id, TaskStatus::TimedOut, now);
        if let Some(record) = self.tasks.get_mut(task_id) {
            record.task.reason_for_incompletion = Some(reason);
        }
    }

    /// Sets the timer of a workflow to the next limit of it or of its tasks.
    pub(super) fn rearm(&mut self, workflow_id: &str) {
        let Some(record) = self.workflows.get(workflow_id) else { return };
        let next = self.next_limit(record);
        let Some(record) = self.workflows.get_mut(workflow_id) else { return };
        if record.timer == next {
            return;
        }
        if let Some(old) = std::mem::replace(&mut record.timer, next) {
            self.timers.remove(&(old, workflow_id.to_owned()));
        }
        if let Some(next) = next {
            self.timers.insert((next, workflow_id.to_owned()));
        }
    }

    fn next_limit(&self, record: &WorkflowRecord) -> Option<Millis> {
        if record.is_terminal() {
            return None;
        }
        // The real server does not look at a paused workflow by itself either.
        if record.workflow.status == WorkflowStatus::Paused {
            return None;
        }
        let under_way = record.pending.iter().filter_map(|id| self.tasks.get(id)).filter(|task| !task.is_terminal());
        let of_tasks = under_way.filter_map(|task| {
            let Limits { total, attempt, poll, response } = Limits::of(task);
            let by_policy = match task.node().policy() {
                TimeoutPolicy::AlertOnly => None,
                _ => [total, attempt, poll].into_iter().flatten().min(),
            };
            [by_policy, response].into_iter().flatten().min()
        });
        of_tasks.chain(workflow_limit(record)).min()
    }
}

/// When a workflow times out, if its policy lets it.
fn workflow_limit(record: &WorkflowRecord) -> Option<Millis> {
    let definition = &record.plan.definition;
    let seconds = definition.timeout_seconds.unwrap_or(0);
    if seconds <= 0 || definition.timeout_policy != Some(TimeoutPolicy::TimeOutWf) {
        return None;
    }
    let from = match record.workflow.last_retried_time {
        0 => record.workflow.create_time,
        retried => retried,
    };
    Some(from.saturating_add(seconds.saturating_mul(1000)))
}

fn total_reason(record: &TaskRecord, now: Millis) -> String {
    let Task { task_def_name, task_id, .. } = &record.task;
    format!(
        "Task {task_def_name}/{task_id} exceeded total timeout of {} seconds (elapsed {} seconds across all attempts \
         including retry delays). Timeout policy: {}",
        record.node().rules.total_timeout_seconds.unwrap_or(0),
        (now - record.first_scheduled) / 1000,
        record.node().policy()
    )
}

fn attempt_reason(record: &TaskRecord, now: Millis) -> String {
    let from = record.task.start_time + Millis::from(record.task.start_delay_in_seconds) * 1000;
    format!(
        "Task timed out after {} seconds. Timeout configured as {} seconds. Timeout policy configured to {}",
        (now - from) / 1000,
        record.node().rules.timeout_seconds.unwrap_or(0),
        record.node().policy()
    )
}

fn poll_reason(record: &TaskRecord, now: Millis) -> String {
    let from = record.task.scheduled_time + Millis::from(record.task.start_delay_in_seconds) * 1000;
    format!(
        "Task poll timed out after {} seconds. Poll timeout configured as {} seconds. Timeout policy configured to {}",
        (now - from) / 1000,
        record.node().rules.poll_timeout_seconds.unwrap_or(0),
        record.node().policy()
    )
}
