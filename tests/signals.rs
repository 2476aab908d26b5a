//! What SIGTERM does to a program with more than one runner.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

mod common;

use std::{
    process::{self, Command},
    thread,
    time::Duration,
};

use common::{PATIENCE, Server};
use conductor_sync::{StopReport, TaskRunner, Worker};
use serde_json::Value;

const TYPES: [&str; 2] = ["second", "third"];

#[test]
fn a_signal_stops_every_runner_that_waits_for_it_and_not_the_program() {
    let server = Server::well_behaved();
    let runner = |task_type| {
        let worker = Worker::new(task_type, |_, input: Value| Ok(input)).poll_timeout(Duration::from_millis(200));
        TaskRunner::new(&server.client()).worker(worker).grace(PATIENCE)
    };
    let reports: Vec<StopReport> = thread::scope(|scope| {
        let waiting = TYPES.map(|task_type| {
            let runner = runner(task_type);
            scope.spawn(|| runner.run_until_signal().unwrap())
        });
        // Signals are caught before the first poll.
        server.wait_for("polls of both", |all| TYPES.iter().all(|name| all.iter().any(|r| r.task_type() == *name)));
        // The end of one runner leaves the others listening.
        let first = runner("first").start().unwrap();
        first.control().stop();
        assert!(first.run_until_signal().unwrap().is_clean());
        let pid = process::id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        waiting.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(reports.iter().all(StopReport::is_clean), "{reports:?}");
}
