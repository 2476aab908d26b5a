//! The part of the engine that workers talk to: hand-outs and updates of tasks.

use crate::{
    json::{JsonMap, RawJson},
    task::{PollData, Task, TaskExecLog, TaskResult, TaskResultStatus, TaskStatus},
};

use super::{
    Answer, ByReference, Engine, Millis, Poll, Refusal, decide::MOST_PAYLOAD_BYTES, definition::always_written,
};

/// The server keeps so many characters of a reason.
const MOST_REASON_CHARS: usize = 500;

/// The server keeps so many log lines of one result.
const MOST_LOGS: usize = 10;

/// How long the server holds back a task whose definition has no free place.
const HELD_BACK: Millis = 60_000;

impl Engine {
    /// Hands out tasks that were taken for a poll. Tasks that ended meanwhile are dropped, and those without a free place
    /// go back into the queue.
    pub(super) fn hand_out(&mut self, poll: &Poll, task_ids: &[String], now: Millis) -> Vec<Task> {
        let mut handed_out = Vec::with_capacity(task_ids.len());
        for task_id in task_ids {
            let Some(record) = self.tasks.get(task_id).filter(|record| !record.is_terminal()) else { continue };
            if self.is_full(task_id) {
                let (queue, priority) = (record.queue(), record.task.workflow_priority);
                self.held_back.entry(record.task.task_def_name.clone()).or_default().push_back(task_id.clone());
                self.queues.push(&queue, task_id, priority, now + HELD_BACK, now);
                continue;
            }
            // An update may have put it back into the queue since it was taken.
            self.queues.remove(task_id);
            self.set_status(task_id, TaskStatus::InProgress, now);
            let Some(record) = self.tasks.get_mut(task_id) else { continue };
            let task = &mut record.task;
            if task.start_time == 0 {
                task.start_time = now;
            }
            task.callback_after_seconds = 0;
            task.worker_id = poll.worker_id.clone();
            task.poll_count += 1;
            task.update_time = now;
            handed_out.push(record.sent());
            let workflow_id = record.task.workflow_instance_id.clone();
            self.rearm(&workflow_id);
        }
        let data = PollData {
            queue_name: poll.task_type.clone(),
            domain: poll.domain.clone(),
            worker_id: poll.worker_id.clone(),
            last_poll_time: now,
            ..PollData::default()
        };
        self.poll_data.insert((poll.task_type.clone(), poll.domain.clone()), data);
        handed_out
    }

    /// Whether as many tasks of this one's definition are in progress as may be.
    fn is_full(&self, task_id: &str) -> bool {
        let Some(record) = self.tasks.get(task_id) else { return false };
        let limit = record.node().rules.concurrent_exec_limit.unwrap_or(0);
        let n_in_progress = self.n_in_progress.get(&record.task.task_def_name).copied().unwrap_or(0);
        limit > 0 && n_in_progress >= limit && record.task.status != TaskStatus::InProgress
    }

    /// The one place where the status of a task changes, so that the count of tasks in progress stays right.
    pub(super) fn set_status(&mut self, task_id: &str, status: TaskStatus, now: Millis) {
        let Some(record) = self.tasks.get_mut(task_id) else { return };
        let was = std::mem::replace(&mut record.task.status, status.clone());
        if status.is_terminal() && record.task.update_time == 0 {
            record.task.update_time = now;
        }
        let change = i32::from(status == TaskStatus::InProgress) - i32::from(was == TaskStatus::InProgress);
        if change == 0 {
            return;
        }
        let name = record.task.task_def_name.clone();
        *self.n_in_progress.entry(name.clone()).or_default() += change;
        if change < 0 {
            self.release_one(&name, now);
        }
    }

    /// Lets a task that was held back go, now that a place is free.
    fn release_one(&mut self, task_def_name: &str, now: Millis) {
        while let Some(task_id) = self.held_back.get_mut(task_def_name).and_then(|held| held.pop_front()) {
            let Some(queue) = self.queues.queue_of(&task_id).map(str::to_owned) else { continue };
            let priority = self.tasks.get(&task_id).map_or(0, |record| record.task.workflow_priority);
            self.queues.push(&queue, &task_id, priority, now, now);
            return;
        }
    }

    pub(super) fn update(&mut self, result: TaskResult, now: Millis) -> Result<Answer, Refusal> {
        if result.extend_lease {
            return self.extend_lease(result.task_id, now);
        }
        let workflow = self.workflow_record(&result.workflow_instance_id)?;
        let workflow_ended = workflow.is_terminal();
        let Some(record) = self.tasks.get(&result.task_id) else {
            return Err(Refusal::not_found(format!("No such task found by id: {}", result.task_id)));
        };
        let id = result.task_id.clone();
        if record.is_terminal() || workflow_ended {
            return Ok(Answer::Id(Some(id)));
        }
        if result.external_output_payload_storage_path.as_ref().is_some_and(|path| !path.trim().is_empty()) {
            return Err(Refusal::not_served("the embedded server has no external payload storage"));
        }
        self.apply_result(result, now)?;
        Ok(Answer::Id(Some(id)))
    }

    fn apply_result(&mut self, result: TaskResult, now: Millis) -> Result<(), Refusal> {
        let status = task_status(&result.status)?;
        let (is_terminal, task_id) = (status.is_terminal(), result.task_id);
        self.queues.remove(&task_id);
        self.set_status(&task_id, status, now);
        let Some(record) = self.tasks.get_mut(&task_id) else { return Ok(()) };
        let task = &mut record.task;
        task.reason_for_incompletion =
            result.reason_for_incompletion.map(|reason| reason.chars().take(MOST_REASON_CHARS).collect());
        task.worker_id = result.worker_id;
        task.callback_after_seconds = result.callback_after_seconds;
        task.output_data = result.output_data.unwrap_or_default();
        task.sub_workflow_id = result.sub_workflow_id;
        let own_workflow = task.workflow_instance_id.clone();
        if is_terminal {
            task.end_time = now;
        } else {
            task.update_time = now;
            // The real server can't find a task again that was put back for a negative time.
            let due = match result.callback_after_seconds {
                ..0 => Millis::MAX,
                seconds => now.saturating_add(seconds.saturating_mul(1000)),
            };
            let (queue, priority) = (record.queue(), record.task.workflow_priority);
            self.queues.push(&queue, &task_id, priority, due, now);
        }
        for log in result.logs.into_iter().take(MOST_LOGS) {
            self.add_log(&task_id, log.log, log.created_time);
        }
        self.limit_output(&task_id, now);
        // The real server looks at the workflow that was named, not at the one the task is in.
        self.decide(&result.workflow_instance_id, now);
        if own_workflow != result.workflow_instance_id {
            self.rearm(&own_workflow);
        }
        Ok(())
    }

    /// Keeps a log line, in the order of the times.
    pub(super) fn add_log(&mut self, task_id: &str, log: String, created_time: Millis) {
        let extra = always_written(&["createdTime"]);
        let line = TaskExecLog { log, task_id: Some(task_id.to_owned()), created_time, extra };
        let lines = self.logs.entry(task_id.to_owned()).or_default();
        let at = lines.partition_point(|known| known.created_time <= created_time);
        lines.insert(at, line);
    }

    /// Fails a task for good whose output is larger than the server allows.
    fn limit_output(&mut self, task_id: &str, now: Millis) {
        let Some(record) = self.tasks.get_mut(task_id) else { return };
        let task = &mut record.task;
        let size = task.output_data.get().len();
        if size <= MOST_PAYLOAD_BYTES {
            return;
        }
        task.output_data = RawJson::default();
        task.reason_for_incompletion = Some(format!(
            "The payload size: {size} of task: {task_id} in workflow: {}  is greater than the permissible limit: \
             {MOST_PAYLOAD_BYTES} bytes",
            task.workflow_instance_id
        ));
        self.close(task_id, TaskStatus::FailedWithTerminalError, now);
    }

    fn extend_lease(&mut self, task_id: String, now: Millis) -> Result<Answer, Refusal> {
        let Some(record) = self.tasks.get_mut(&task_id) else {
            return Err(Refusal::not_found(format!("No such task found by id: {task_id}")));
        };
        if !record.is_terminal() {
            record.task.update_time = now;
            let workflow_id = record.task.workflow_instance_id.clone();
            self.rearm(&workflow_id);
        }
        Ok(Answer::Id(Some(task_id)))
    }

    pub(super) fn update_by_reference(&mut self, update: ByReference, now: Millis) -> Result<Answer, Refusal> {
        let ByReference { workflow_id, reference, mut result, wipes_worker } = update;
        let found = self.workflows.get(&workflow_id).and_then(|workflow| workflow.by_reference.get(&reference));
        let Some(record) = found.and_then(|id| self.tasks.get(id)).filter(|record| !record.is_terminal()) else {
            return Ok(Answer::Id(None));
        };
        let task = &record.task;
        let id = task.task_id.clone();
        result.task_id.clone_from(&id);
        result.workflow_instance_id = workflow_id;
        result.reason_for_incompletion.clone_from(&task.reason_for_incompletion);
        result.callback_after_seconds = task.callback_after_seconds;
        result.sub_workflow_id.clone_from(&task.sub_workflow_id);
        if result.worker_id.is_none() && !wipes_worker {
            result.worker_id.clone_from(&task.worker_id);
        }
        let mut output: JsonMap = task.output_data.decode().unwrap_or_default();
        output.extend(result.output_data.take().and_then(|new| new.decode::<JsonMap>().ok()).unwrap_or_default());
        result.output_data = Some(RawJson::new(&output).unwrap_or_default());
        self.update(result, now)
    }
}

/// What becomes of a task by what was reported; a worker that reports IN_PROGRESS puts it back into the queue.
fn task_status(reported: &TaskResultStatus) -> Result<TaskStatus, Refusal> {
    Ok(match reported {
        TaskResultStatus::InProgress => TaskStatus::Scheduled,
        TaskResultStatus::Completed => TaskStatus::Completed,
        TaskResultStatus::Failed => TaskStatus::Failed,
        TaskResultStatus::FailedWithTerminalError => TaskStatus::FailedWithTerminalError,
        TaskResultStatus::Canceled => TaskStatus::Canceled,
        TaskResultStatus::Other(_) => {
            return Err(Refusal::failed(
                "Cannot invoke \"com.netflix.conductor.common.metadata.tasks.TaskResult$Status.name()\" because the \
                 return value of \"com.netflix.conductor.common.metadata.tasks.TaskResult.getStatus()\" is null",
            ));
        }
    })
}
