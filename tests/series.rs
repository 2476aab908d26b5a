//! Every series that the documentation of `Metrics` names is moved by something that happens to a runner or a client.

#![cfg(feature = "metrics")]
#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

mod common;

use std::{collections::BTreeSet, time::Duration};

use common::{Answer, Call, Gate, PATIENCE, Server, be_slow, comes_true, quiet_handlers, task, task_with};
use conductor_sync::{StartWorkflowRequest, TaskError, TaskRunner, Worker};
use serde_json::{Value, json};

/// The families in the documentation of `Metrics`, read from its table.
fn documented() -> BTreeSet<String> {
    let source = include_str!("../src/metrics.rs");
    let rows = source.lines().filter_map(|line| line.strip_prefix("/// | `"));
    let names: BTreeSet<_> = rows.filter_map(|row| row.split('`').next()).map(str::to_owned).collect();
    assert!(names.len() > 25, "the table was not found: {names:?}");
    names
}

/// The families with a sample above 0.
fn moved(text: &str) -> BTreeSet<String> {
    let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    let above_zero = samples.filter(|(_, value)| value.parse::<f64>().is_ok_and(|value| value > 0.0));
    let name = |series: &str| {
        let name = series.split('{').next().unwrap_or_default();
        let histogram = ["_bucket", "_count", "_sum"].iter().find_map(|part| name.strip_suffix(part));
        histogram.unwrap_or(name).to_owned()
    };
    above_zero.map(|(series, _)| name(series)).collect()
}

/// A server on which everything goes wrong once. It opens the gate when a heartbeat of `long` has got through.
fn server(is_kept: &Gate) -> Server {
    let is_kept = is_kept.clone();
    let server = Server::start(move |request| match &request.call {
        Call::Poll if request.nth == 0 => Some(Answer::refused(500, "not now")),
        Call::Poll if request.nth == 1 => Some(Answer::Close),
        Call::Poll if request.nth == 2 => {
            Some(Answer::tasks(&[task_with("other", json!({"taskType": "another", "taskDefName": "another"}))]))
        }
        Call::Update(id) if id == "fails_once" && request.nth == 0 => Some(Answer::refused(503, "not now")),
        Call::Update(id) if id == "unknown" => Some(Answer::unknown_task(id)),
        Call::Update(id) if id == "refused" && request.nth == 0 => Some(Answer::invalid()),
        Call::Heartbeat(_) if request.nth == 0 => Some(Answer::refused(503, "not now")),
        Call::Heartbeat(id) if id == "long" && request.nth == 2 => {
            is_kept.open();
            None
        }
        Call::Get(id) if id == "cancelled" => {
            Some(Answer::json(200, &task_with(id, json!({"status": "CANCELED", "workflowInstanceId": "w"}))))
        }
        Call::Other if request.target.contains("/workflow") => Some(Answer::refused(404, "No such workflow defined.")),
        _ => None,
    });
    server.add(["plain", "fails_once", "unknown", "refused", "panics", "wrong", "long", "cancelled"].map(task));
    server.add([task_with("late", json!({"taskType": "slow", "taskDefName": "slow", "responseTimeoutSeconds": 1}))]);
    server
}

fn worker(is_kept: Gate) -> Worker {
    let worker = Worker::new("job", move |cx, _: Value| -> Result<(), TaskError> {
        match cx.task_id() {
            "panics" => panic!("meant"),
            "wrong" => return Err(TaskError::failed("meant")),
            "long" => is_kept.pass(),
            "cancelled" => assert!(comes_true(|| cx.is_cancelled())),
            _ => {}
        }
        Ok(())
    });
    worker.heartbeat_every(Duration::from_millis(100)).poll_timeout(Duration::from_millis(200))
}

#[test]
fn every_documented_series_is_moved_by_something_that_happens() {
    quiet_handlers();
    let is_kept = Gate::new();
    let server = server(&is_kept);
    let client = server.client();
    // Its lease is not extended, so that it ends.
    let slow = Worker::new("slow", |_, _: Value| {
        be_slow(Duration::from_millis(1300));
        Ok(())
    });
    let runner = TaskRunner::new(&client).worker(worker(is_kept)).worker(slow.without_heartbeats()).threads(1);
    let handle = runner.cancellation_check(Duration::from_millis(50)).start().unwrap();

    let refused = client.workflows().start(&StartWorkflowRequest::new("unknown").input(json!({"n": 1})));
    assert!(refused.unwrap_err().is_not_found());
    server.wait_for("the last tasks", |requests| {
        let settled = |id: &str| requests.iter().any(|r| r.is_update() && r.task_id() == id && r.answered.is_some());
        ["plain", "fails_once", "unknown", "refused", "panics", "wrong", "long", "late", "other"]
            .iter()
            .all(|id| settled(id))
            // A pause keeps what was not fetched from being.
            && requests.iter().any(|r| r.call == Call::Get("cancelled".to_owned()))
    });
    handle.pause("job").unwrap();
    let missing = || documented().difference(&moved(&client.metrics().render())).cloned().collect::<Vec<_>>();
    let gauges = ["active_workers", "task_results_undelivered"];
    // What a gauge shows is over by now; that it moves both ways is tested beside it.
    let done = |missing: &[String]| missing.iter().all(|name| gauges.contains(&name.as_str()));
    assert!(comes_true(|| done(&missing())), "never moved: {:?}", missing());
    assert!(handle.stop(PATIENCE).is_clean());
}
