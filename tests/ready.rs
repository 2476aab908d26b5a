//! What `/ready` of a runner answers, and the gauges of what it is at.

#![cfg(feature = "metrics")]
#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use common::{Answer, Gate, Server, comes_true, ready, stop_clean, task};
use conductor_sync::{TaskRunner, Worker};
use serde_json::Value;

#[track_caller]
fn wait_for(what: &str, look: impl Fn() -> String, wanted: &[&str]) {
    let is_seen = || {
        let seen = look();
        wanted.iter().all(|part| seen.contains(part))
    };
    assert!(comes_true(is_seen), "{what}: {}", look());
}

#[test]
fn a_runner_is_ready_unless_its_polls_fail_or_its_results_can_not_be_delivered() {
    let (polls_fail, updates_fail) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
    let server = {
        let (polls_fail, updates_fail) = (Arc::clone(&polls_fail), Arc::clone(&updates_fail));
        Server::start(move |request| {
            let fails = request.is_poll() && polls_fail.load(Ordering::Acquire)
                || request.is_update() && updates_fail.load(Ordering::Acquire);
            fails.then(|| Answer::html(503))
        })
    };
    let gate = Gate::new();
    let waits = gate.clone();
    let worker = Worker::new("job", move |_, input: Value| {
        waits.pass();
        Ok(input)
    });
    let runner = TaskRunner::new(&server.client()).worker(worker).metrics_address("127.0.0.1:0").start().unwrap();
    let metrics = || runner.metrics().render();
    wait_for("polls fail", || ready(&runner), &["HTTP/1.1 503 ", "job", "poll"]);
    polls_fail.store(false, Ordering::Release);
    wait_for("polls are answered", || ready(&runner), &["HTTP/1.1 200 "]);
    server.add([task("t0")]);
    wait_for("the handler runs", metrics, &["active_workers{taskType=\"job\"} 1\n"]);
    gate.open();
    let undelivered = ["active_workers{taskType=\"job\"} 0\n", "task_results_undelivered{taskType=\"job\"} 1\n"];
    wait_for("the result is on its way", metrics, &undelivered);
    wait_for("it is refused", || ready(&runner), &["HTTP/1.1 503 ", "deliver"]);
    updates_fail.store(false, Ordering::Release);
    wait_for("it is delivered", || ready(&runner), &["HTTP/1.1 200 "]);
    wait_for("none is left", metrics, &["task_results_undelivered{taskType=\"job\"} 0\n"]);
    stop_clean(runner);
}

#[test]
fn a_paused_worker_keeps_nobody_waiting_until_it_is_resumed() {
    let server = Server::start(|request| request.is_poll().then(|| Answer::html(503)));
    let worker = Worker::new("job", |_, input: Value| Ok(input));
    let runner = TaskRunner::new(&server.client()).worker(worker).metrics_address("127.0.0.1:0").start().unwrap();
    wait_for("polls fail", || ready(&runner), &["HTTP/1.1 503 ", "job", "poll"]);
    runner.pause("job").unwrap();
    runner.wait_until_polling(Duration::ZERO).unwrap();
    assert!(ready(&runner).starts_with("HTTP/1.1 200 "));
    runner.resume("job").unwrap();
    assert!(runner.wait_until_polling(Duration::ZERO).is_err());
    assert!(ready(&runner).starts_with("HTTP/1.1 503 "));
    stop_clean(runner);
}
