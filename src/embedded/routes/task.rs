//! The routes under `/api/tasks`.

use std::collections::BTreeMap;

use crate::{
    embedded::engine::{Answer, ByReference, Command, Engine, Millis, Poll, Refusal, Violation, queue_name},
    task::{TaskResult, TaskResultStatus},
};

use super::{Call, Outcome, PollOrder, Reply, Route, done, id, sent};

pub(super) const ROUTES: &[Route] = &[
    ("POST", "api/tasks", Some(update)),
    ("POST", "api/tasks/update-v2", Some(update_v2)),
    ("GET", "api/tasks/poll/*", Some(poll)),
    ("GET", "api/tasks/poll/batch/*", Some(poll_batch)),
    ("GET", "api/tasks/queue/size", Some(queue_size)),
    ("GET", "api/tasks/queue/sizes", Some(queue_sizes)),
    ("GET", "api/tasks/queue/all", Some(|_, engine, _| sent(&engine.queue_sizes()))),
    ("GET", "api/tasks/queue/all/verbose", Some(verbose)),
    ("GET", "api/tasks/queue/polldata", Some(poll_data)),
    ("GET", "api/tasks/queue/polldata/all", Some(|_, engine, _| sent(&engine.poll_data(None)))),
    ("POST", "api/tasks/queue/requeue/*", None),
    ("GET", "api/tasks/search", None),
    ("GET", "api/tasks/search-v2", None),
    ("GET", "api/tasks/externalstoragelocation", None),
    ("GET", "api/tasks/external-storage-location", None),
    ("GET", "api/tasks/*", Some(get)),
    ("GET", "api/tasks/*/log", Some(logs)),
    ("POST", "api/tasks/*/log", Some(add_log)),
    ("POST", "api/tasks/*/*/signal", None),
    ("POST", "api/tasks/*/*/signal/sync", None),
    ("POST", "api/tasks/*/*/*", Some(update_by_reference)),
    ("POST", "api/tasks/*/*/*/sync", Some(update_by_reference_sync)),
];

/// The longest hold of a batch poll, milliseconds.
const LONGEST_HOLD: i32 = 5000;

/// How long a single poll waits, and a batch poll that does not say.
const DEFAULT_HOLD: i32 = 100;

fn update(call: &Call, engine: &mut Engine, now: Millis) -> Result<Outcome, Refusal> {
    let result = call.task_result()?;
    let mut wrong = Vec::new();
    let required = [
        ("taskId", &result.task_id, "Task ID cannot be null or empty"),
        ("workflowInstanceId", &result.workflow_instance_id, "Workflow Id cannot be null or empty"),
    ];
    for (field, value, message) in required {
        if value.is_empty() {
            let path = format!("updateTask.arg0.{field}");
            wrong.push(match result.extra.came_as_null(field) {
                Some(false) => Violation::of_value(path, message, ""),
                _ => Violation::of(path, message),
            });
        }
    }
    Refusal::unless_empty(wrong)?;
    id(engine, Command::Update(result), now)
}

fn update_v2(call: &Call, engine: &mut Engine, now: Millis) -> Result<Outcome, Refusal> {
    let result = call.task_result()?;
    if result.task_id.is_empty() || result.workflow_instance_id.is_empty() {
        return Err(Refusal::failed("Validation failed for argument [0]: taskId and workflowInstanceId are required"));
    }
    let (task_id, worker_id, is_lease) = (result.task_id.clone(), result.worker_id.clone(), result.extend_lease);
    engine.step(Command::Update(result), now)?;
    match engine.task(&task_id).filter(|task| !is_lease && task.status.is_terminal()) {
        None => Ok(Outcome::Reply(Reply::empty(204))),
        Some(task) => {
            let poll = Poll { task_type: task.task_type, domain: task.domain, worker_id };
            Ok(Outcome::Poll(PollOrder { poll, count: 1, hold: DEFAULT_HOLD.into(), is_single: true }))
        }
    }
}

fn asked(call: &Call, task_type: &str) -> Poll {
    let own = |name| call.param(name).map(str::to_owned);
    Poll { task_type: task_type.to_owned(), domain: own("domain"), worker_id: own("workerid") }
}

fn poll(call: &Call, _: &mut Engine, _: Millis) -> Result<Outcome, Refusal> {
    let poll = asked(call, call.segment(3));
    Ok(Outcome::Poll(PollOrder { poll, count: 1, hold: DEFAULT_HOLD.into(), is_single: true }))
}

fn poll_batch(call: &Call, _: &mut Engine, _: Millis) -> Result<Outcome, Refusal> {
    let count = call.number("count", "int")?.unwrap_or(1);
    let timeout = call.number("timeout", "int")?.unwrap_or(DEFAULT_HOLD);
    if timeout > LONGEST_HOLD {
        return Err(Refusal::invalid("Long Poll Timeout value cannot be more than 5 seconds"));
    }
    let count = usize::try_from(count).unwrap_or(0);
    let poll = asked(call, call.segment(4));
    Ok(Outcome::Poll(PollOrder { poll, count, hold: timeout.max(0).into(), is_single: false }))
}

fn get(call: &Call, engine: &mut Engine, _: Millis) -> Result<Outcome, Refusal> {
    let task_id = call.segment(2);
    let missing = || Refusal::not_found(format!("Task not found for taskId: {task_id}"));
    sent(&engine.task(task_id).ok_or_else(missing)?)
}

fn logs(call: &Call, engine: &mut Engine, _: Millis) -> Result<Outcome, Refusal> {
    match engine.logs(call.segment(2)) {
        [] => Ok(Outcome::Reply(Reply::empty(204))),
        logs => sent(&logs),
    }
}

fn add_log(call: &Call, engine: &mut Engine, now: Millis) -> Result<Outcome, Refusal> {
    if call.body.is_empty() {
        return Err(Refusal::failed("Required request body is missing"));
    }
    let line = String::from_utf8_lossy(&call.body).into_owned();
    done(engine, Command::AddLog { task_id: call.segment(2).to_owned(), line }, now)
}

fn queue_size(call: &Call, engine: &mut Engine, _: Millis) -> Result<Outcome, Refusal> {
    let queue = queue_name(call.required("taskType")?, call.param("domain").filter(|domain| !domain.is_empty()));
    sent(&engine.queue_size(&queue))
}

fn queue_sizes(call: &Call, engine: &mut Engine, _: Millis) -> Result<Outcome, Refusal> {
    if call.param("taskType").is_none() {
        let message = "Cannot invoke \"java.util.List.iterator()\" because \"taskDefNames\" is null";
        return Err(Refusal::failed(message));
    }
    let sizes: BTreeMap<&str, usize> = call.params("taskType").map(|name| (name, engine.queue_size(name))).collect();
    sent(&sizes)
}

/// Messages are gone once they are handed out, so none is ever "uacked" here.
fn verbose(_: &Call, engine: &mut Engine, _: Millis) -> Result<Outcome, Refusal> {
    let shards = |size| serde_json::json!({"a": {"size": size, "uacked": 0}});
    sent(&engine.queue_sizes().into_iter().map(|(queue, size)| (queue, shards(size))).collect::<BTreeMap<_, _>>())
}

fn poll_data(call: &Call, engine: &mut Engine, _: Millis) -> Result<Outcome, Refusal> {
    sent(&engine.poll_data(Some(call.required("taskType")?)))
}

/// The update of a call that names the task by workflow, reference name and status.
fn by_reference(call: &Call, wipes_worker: bool) -> Result<ByReference, Refusal> {
    const CLASS: &str = "com.netflix.conductor.common.metadata.tasks.TaskResult$Status";
    let status = TaskResultStatus::from(call.segment(4));
    if let TaskResultStatus::Other(text) = &status {
        return Err(Refusal::failed(format!(
            "Method parameter 'status': Failed to convert value of type 'java.lang.String' to required type \
             '{CLASS}'; Failed to convert from type [java.lang.String] to type \
             [@org.springframework.web.bind.annotation.PathVariable {CLASS}] for value [{text}]"
        )));
    }
    let mut result = TaskResult::new("", "", status).output(call.object()?);
    result.worker_id = call.param("workerid").map(str::to_owned);
    Ok(ByReference {
        workflow_id: call.segment(2).to_owned(),
        reference: call.segment(3).to_owned(),
        result,
        wipes_worker,
    })
}

fn update_by_reference(call: &Call, engine: &mut Engine, now: Millis) -> Result<Outcome, Refusal> {
    id(engine, Command::UpdateByReference(by_reference(call, false)?), now)
}

fn update_by_reference_sync(call: &Call, engine: &mut Engine, now: Millis) -> Result<Outcome, Refusal> {
    let update = by_reference(call, true)?;
    let (workflow_id, reference) = (update.workflow_id.clone(), update.reference.clone());
    match engine.step(Command::UpdateByReference(update), now)? {
        Answer::Id(Some(_)) => sent(&engine.workflow(&workflow_id, true)),
        _ => Err(Refusal::not_found(format!("Found no running task {reference} of workflow {workflow_id} to update"))),
    }
}
