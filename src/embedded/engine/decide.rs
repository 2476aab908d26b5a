//! The part of the engine that moves workflows on: starts, the evaluation of a workflow, retries, and how it ends.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::{
    json::RawJson,
    task::{Task, TaskStatus},
    workflow::{StartWorkflowRequest, Workflow, WorkflowStatus},
};

use super::{
    Engine, Millis, Refusal, Violation,
    definition::{always_written, with_template},
    ending::Ending,
    expression::resolve_map,
    record::{TaskRecord, WorkflowRecord, WorkflowScope, is_successful},
};

/// The server's `maxWorkflowInputPayloadSizeThreshold` and `maxTaskOutputPayloadSizeThreshold`.
pub(super) const MOST_PAYLOAD_BYTES: usize = 10_240 << 10;

/// How long ago a worker may have polled a domain to count as active.
const ACTIVE_WITHIN: Millis = 10_000;

/// What an evaluation found.
#[derive(Debug, Default)]
struct Outcome {
    /// Tasks that the workflow goes on from.
    passed: Vec<String>,
    /// Those of them that failed but are optional.
    forgiven: Vec<String>,
    to_retry: Vec<String>,
    /// Places in the plan.
    to_schedule: Vec<usize>,
}

impl Engine {
    /// Starts a workflow. A start `by_name` is the one by the path of the request: it has other words for what is wrong.
    pub(super) fn start(
        &mut self,
        request: StartWorkflowRequest,
        by_name: bool,
        now: Millis,
    ) -> Result<String, Refusal> {
        check_start(&request, by_name)?;
        let plan = self.plan(&request.name, request.version, request.workflow_def, by_name)?;
        let input = match request.input {
            Some(input) if input.is_null() => return Err(no_input()),
            None if request.extra.came_as_null("input") == Some(true) => return Err(no_input()),
            Some(input) => input,
            None => RawJson::default(),
        };
        if request.external_input_payload_storage_path.is_some() {
            return Err(Refusal::not_served("the embedded server has no external payload storage"));
        }
        self.n_started += 1;
        let workflow_id = self.new_id();
        if input.get().len() > MOST_PAYLOAD_BYTES {
            return Err(Refusal::failed(format!(
                "The payload size: {} of workflow: {workflow_id} is greater than the permissible limit: \
                 {MOST_PAYLOAD_BYTES} bytes",
                input.get().len()
            )));
        }
        let workflow = Workflow {
            workflow_id: workflow_id.clone(),
            status: WorkflowStatus::Running,
            workflow_name: plan.name().to_owned(),
            workflow_version: plan.version(),
            create_time: now,
            start_time: now,
            update_time: now,
            // `createdBy` of the request is ignored, as by the real server.
            input: with_template(&plan.definition.input_template, &input),
            variables: RawJson::new(&plan.definition.variables).unwrap_or_default(),
            correlation_id: request.correlation_id,
            task_to_domain: request.task_to_domain,
            priority: request.priority,
            ..Workflow::default()
        };
        let record = WorkflowRecord {
            workflow,
            plan,
            task_ids: Vec::new(),
            pending: Vec::new(),
            by_reference: HashMap::new(),
            timer: None,
            number: self.n_started,
        };
        let name = record.plan.name().to_owned();
        self.by_name.entry(name).or_default().insert(record.number, workflow_id.clone());
        self.workflows.insert(workflow_id.clone(), record);
        self.decide(&workflow_id, now);
        Ok(workflow_id)
    }

    /// Looks at a workflow and does what follows from its state and the time.
    pub(super) fn decide(&mut self, workflow_id: &str, now: Millis) {
        match self.evaluate(workflow_id, now) {
            Ok(Some(outcome)) => self.apply(workflow_id, outcome, now),
            Ok(None) => {}
            Err(ending) => self.fail(workflow_id, ending, &[], now),
        }
        self.rearm(workflow_id);
    }

    fn evaluate(&mut self, workflow_id: &str, now: Millis) -> Result<Option<Outcome>, Ending> {
        let Some(record) = self.workflows.get(workflow_id) else { return Ok(None) };
        if record.is_terminal() {
            return Ok(None);
        }
        Self::check_workflow_timeout(record, now)?;
        if record.workflow.status == WorkflowStatus::Paused {
            return Ok(None);
        }
        let mut outcome = Outcome::default();
        if record.task_ids.is_empty() {
            outcome.to_schedule.push(0);
        }
        for task_id in record.pending.clone() {
            self.evaluate_task(&task_id, &mut outcome, now)?;
        }
        Ok(Some(outcome))
    }

    fn evaluate_task(&mut self, task_id: &str, outcome: &mut Outcome, now: Millis) -> Result<(), Ending> {
        self.check_timeouts(task_id, now)?;
        let Some(record) = self.tasks.get(task_id) else { return Ok(()) };
        if !record.is_terminal() {
            return Ok(());
        }
        if !is_successful(&record.task.status) {
            if may_retry(record, now)? {
                outcome.to_retry.push(task_id.to_owned());
                return Ok(());
            }
            if record.node().is_optional() || !record.node().is_permissive() {
                outcome.forgiven.push(task_id.to_owned());
            }
        }
        outcome.passed.push(task_id.to_owned());
        let next = record.node + 1;
        // After a retry from outside, later tasks may have run before.
        let is_new = |name: &String| {
            let workflow = self.workflows.get(&record.task.workflow_instance_id);
            workflow.is_none_or(|workflow| !workflow.by_reference.contains_key(name))
        };
        if record.plan.nodes.get(next).is_some_and(|node| is_new(&node.task.task_reference_name)) {
            outcome.to_schedule.push(next);
        }
        Ok(())
    }

    fn apply(&mut self, workflow_id: &str, outcome: Outcome, now: Millis) {
        let nothing_to_do = outcome.to_retry.is_empty() && outcome.to_schedule.is_empty();
        if nothing_to_do && self.all_done(workflow_id) {
            return match self.permissive_failures(workflow_id) {
                // The last task stays as it was reported: what the evaluation thinks of it is not stored. A failed task
                // that is forgiven does not count as failed all the same.
                None => self.end(workflow_id, WorkflowStatus::Completed, None, &outcome.forgiven, now),
                Some(reason) => {
                    let ending = Ending { status: WorkflowStatus::Failed, reason, task_id: None };
                    self.fail(workflow_id, ending, &outcome.forgiven, now);
                }
            };
        }
        for task_id in &outcome.passed {
            if let Some(record) = self.tasks.get_mut(task_id) {
                record.task.executed = true;
            }
            if outcome.forgiven.contains(task_id) {
                self.set_status(task_id, TaskStatus::CompletedWithErrors, now);
            }
        }
        if let Some(record) = self.workflows.get_mut(workflow_id) {
            record.pending.retain(|id| !outcome.passed.contains(id) && !outcome.to_retry.contains(id));
        }
        for task_id in &outcome.to_retry {
            self.retry(task_id, now);
        }
        for node in outcome.to_schedule {
            self.schedule(workflow_id, node, now);
        }
    }

    /// Whether each node of the plan has run and nothing is under way.
    fn all_done(&self, workflow_id: &str) -> bool {
        let Some(record) = self.workflows.get(workflow_id) else { return false };
        let is_done = |id: &String| self.tasks.get(id).is_some_and(TaskRecord::is_terminal);
        record.by_reference.len() >= record.plan.nodes.len() && record.by_reference.values().all(is_done)
    }

    fn permissive_failures(&self, workflow_id: &str) -> Option<String> {
        let record = self.workflows.get(workflow_id)?;
        let failures: Vec<String> = record
            .by_reference
            .values()
            .filter_map(|id| self.tasks.get(id))
            .filter(|task| task.node().is_permissive() && !task.node().is_optional())
            .filter(|task| !is_successful(&task.task.status))
            .map(|task| failure(&task.task, task.task.status.as_str()))
            .collect();
        (!failures.is_empty()).then(|| failures.join(". "))
    }

    /// Puts the task of a node into its queue.
    fn schedule(&mut self, workflow_id: &str, node: usize, now: Millis) {
        let task_id = self.new_id();
        let Some(record) = self.workflows.get(workflow_id) else { return };
        let plan = Arc::clone(&record.plan);
        let place = &plan.nodes[node];
        let delay = place.task.start_delay.unwrap_or(0);
        let task = Task {
            task_type: place.task.name.clone(),
            task_def_name: place.task.name.clone(),
            reference_task_name: place.task.task_reference_name.clone(),
            start_delay_in_seconds: delay,
            callback_after_seconds: delay.into(),
            response_timeout_seconds: place.rules.response_timeout_seconds.unwrap_or(3600),
            rate_limit_per_frequency: place.rules.rate_limit_per_frequency.unwrap_or(0),
            rate_limit_frequency_in_seconds: place.rules.rate_limit_frequency_in_seconds.unwrap_or(1),
            execution_name_space: place.rules.execution_name_space.clone(),
            isolation_group_id: place.rules.isolation_group_id.clone(),
            input_data: self.input_of(record, node, &task_id),
            task_id,
            ..Task::default()
        };
        let record = TaskRecord { task, plan, node, first_scheduled: now };
        self.enqueue(workflow_id, record, Millis::from(delay) * 1000, now);
    }

    fn input_of(&self, record: &WorkflowRecord, node: usize, task_id: &str) -> RawJson {
        let place = &record.plan.nodes[node];
        let scope = WorkflowScope { workflow: record, tasks: &self.tasks, task_id: Some(task_id) };
        let input = resolve_map(&place.task.input_parameters, &place.rules.input_template, &scope);
        RawJson::new(&input).unwrap_or_default()
    }

    /// Puts a task into the workflow and into its queue, where it is hidden for `delay`.
    fn enqueue(&mut self, workflow_id: &str, mut record: TaskRecord, delay: Millis, now: Millis) {
        let Some(workflow) = self.workflows.get(workflow_id) else { return };
        let domain = self.domain_for(&workflow.workflow.task_to_domain, &record.task.task_type, now);
        let Some(workflow) = self.workflows.get_mut(workflow_id) else { return };
        record.task = Task {
            status: TaskStatus::Scheduled,
            seq: i32::try_from(workflow.task_ids.len()).unwrap_or(i32::MAX).saturating_add(1),
            scheduled_time: now,
            correlation_id: workflow.workflow.correlation_id.clone(),
            workflow_instance_id: workflow_id.to_owned(),
            workflow_type: workflow.plan.name().to_owned(),
            workflow_priority: workflow.workflow.priority,
            callback_from_worker: true,
            domain,
            extra: always_written(&[]),
            ..record.task
        };
        let (task_id, priority) = (record.task.task_id.clone(), record.task.workflow_priority);
        workflow.by_reference.insert(record.task.reference_task_name.clone(), task_id.clone());
        workflow.task_ids.push(task_id.clone());
        workflow.pending.push(task_id.clone());
        workflow.workflow.update_time = now;
        self.queues.push(&record.queue(), &task_id, priority, now.saturating_add(delay), now);
        self.tasks.insert(task_id, record);
    }

    /// The domain a task is queued in: the first of its list that a worker polled lately, else the last.
    fn domain_for(&self, domains: &BTreeMap<String, String>, task_type: &str, now: Millis) -> Option<String> {
        let list = domains.get(task_type).or_else(|| domains.get("*").filter(|list| !list.trim().is_empty()))?;
        let is_none = |domain: &str| domain.eq_ignore_ascii_case("NO_DOMAIN");
        let is_active = |domain: &&str| {
            let key = (task_type.to_owned(), Some((*domain).to_owned()));
            self.poll_data.get(&key).is_some_and(|data| now - data.last_poll_time < ACTIVE_WITHIN)
        };
        let names: Vec<&str> = list.split(',').map(str::trim).collect();
        let active = names.iter().copied().filter(|name| !is_none(name)).find(is_active);
        active.or_else(|| names.last().copied().filter(|last| !is_none(last))).map(str::to_owned)
    }

    /// Queues the attempt that follows a failed one, after the delay that the definition asks for.
    fn retry(&mut self, task_id: &str, now: Millis) {
        let Some(record) = self.tasks.get(task_id) else { return };
        let delay = record.node().retry_delay(record.task.retry_count);
        let jitter = match record.node().rules.backoff_jitter_ms {
            Some(most) if most > 0 => Millis::from(self.random.i32(0..=most)),
            _ => 0,
        };
        self.queue_attempt(task_id, delay, jitter, now);
    }

    /// Queues another attempt of a task.
    pub(super) fn queue_attempt(&mut self, task_id: &str, delay: i32, jitter: Millis, now: Millis) {
        let new_id = self.new_id();
        let Some(record) = self.tasks.get_mut(task_id) else { return };
        record.task.retried = true;
        let workflow_id = record.task.workflow_instance_id.clone();
        let (plan, node, first_scheduled) = (Arc::clone(&record.plan), record.node, record.first_scheduled);
        let failed = record.task.clone();
        let Some(workflow) = self.workflows.get(&workflow_id) else { return };
        let task = Task {
            input_data: self.input_of(workflow, node, &new_id),
            task_id: new_id,
            retried_task_id: Some(failed.task_id),
            retry_count: failed.retry_count + 1,
            retried: false,
            executed: false,
            start_delay_in_seconds: delay,
            callback_after_seconds: delay.into(),
            poll_count: 0,
            start_time: 0,
            end_time: 0,
            update_time: 0,
            worker_id: None,
            sub_workflow_id: None,
            output_data: RawJson::default(),
            external_output_payload_storage_path: None,
            ..failed
        };
        let record = TaskRecord { task, plan, node, first_scheduled };
        self.enqueue(&workflow_id, record, Millis::from(delay) * 1000 + jitter, now);
    }
}

fn check_start(request: &StartWorkflowRequest, by_name: bool) -> Result<(), Refusal> {
    const AT: &str = "startWorkflow.arg0";
    let mut wrong = Vec::new();
    if !by_name && request.name.is_empty() && request.extra.came_as_null("name") != Some(false) {
        wrong.push(Violation::of(format!("{AT}.name"), "Workflow name cannot be null or empty"));
    }
    let priority = request.priority;
    let bound = match priority {
        ..0 => Some((0, "minimum")),
        100.. => Some((99, "maximum")),
        _ => None,
    };
    if let Some((bound, end)) = bound {
        let (at, message) = match by_name {
            true => ("startWorkflow.arg3", format!("{bound} is the {end} priority value")),
            false => ("startWorkflow.arg0.priority", format!("priority: {priority} should be {end} {bound}")),
        };
        wrong.push(Violation::of_value(at, message, priority));
    }
    Refusal::unless_empty(wrong)
}

fn no_input() -> Refusal {
    Refusal::invalid("NULL input passed when starting workflow")
}

/// Whether a failed task gets another attempt. Without one the workflow ends, unless the task is optional or permissive.
fn may_retry(record: &TaskRecord, now: Millis) -> Result<bool, Ending> {
    let (task, node) = (&record.task, record.node());
    let ended = |reason| {
        let status = match task.status {
            TaskStatus::Canceled => WorkflowStatus::Terminated,
            TaskStatus::TimedOut => WorkflowStatus::TimedOut,
            _ => WorkflowStatus::Failed,
        };
        Ending { status, reason, task_id: Some(task.task_id.clone()) }
    };
    let is_retriable = matches!(task.status, TaskStatus::Failed | TaskStatus::TimedOut);
    if !is_retriable || node.n_retries() <= task.retry_count {
        if node.is_optional() || node.is_permissive() {
            return Ok(false);
        }
        let ending = ended(String::new());
        return Err(Ending { reason: failure(task, ending.status.as_str()), ..ending });
    }
    let (total, elapsed) = (node.rules.total_timeout_seconds.unwrap_or(0), (now - record.first_scheduled) / 1000);
    if total > 0 && elapsed >= total {
        return Err(ended(format!(
            "Task {}/{} exceeded total timeout of {total} seconds (elapsed {elapsed} seconds across all attempts). \
             No further retries will be attempted.",
            task.task_id, task.task_def_name
        )));
    }
    Ok(true)
}

fn failure(task: &Task, status: &str) -> String {
    let reason = task.reason_for_incompletion.as_deref().unwrap_or("null");
    format!("Task {} failed with status: {status} and reason: '{reason}'", task.task_id)
}
