//! What SIGTERM and SIGINT do to a program with runners.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

mod common;

use std::{
    process::{self, Command},
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use common::{Gate, PATIENCE, Server, comes_true, task};
use conductor_sync::{StopReport, TaskContext, TaskRunner, Worker};
use serde_json::Value;

const TYPES: [&str; 2] = ["second", "third"];

/// A signal is for all runners of a process, so one test at a time sends them.
static TURN: Mutex<()> = Mutex::new(());

fn send(signal: &str) {
    let pid = process::id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
}

#[test]
fn a_signal_stops_every_runner_that_waits_for_it_and_not_the_program() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
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
        send("-TERM");
        waiting.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(reports.iter().all(StopReport::is_clean), "{reports:?}");
}

#[test]
fn a_second_signal_of_either_kind_ends_the_grace_at_once() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for (first, second) in [("-TERM", "-TERM"), ("-INT", "-INT"), ("-TERM", "-INT"), ("-INT", "-TERM")] {
        let server = Server::well_behaved();
        server.add([task("t0")]);
        let gate = Gate::new();
        let waits = gate.clone();
        let (reached_in, reached) = mpsc::channel();
        let worker = Worker::new("job", move |cx: &TaskContext, input: Value| {
            reached_in.send("started").unwrap();
            assert!(comes_true(|| cx.is_stopping()));
            reached_in.send("stopping").unwrap();
            waits.pass();
            Ok(input)
        });
        let runner = TaskRunner::new(&server.client()).worker(worker.poll_timeout(Duration::from_millis(200)));
        // Without a second signal the report would come after the handler, which is let go only then.
        let runner = runner.grace(PATIENCE);
        let report = thread::scope(|scope| {
            let (report_in, report) = mpsc::channel();
            scope.spawn(move || report_in.send(runner.run_until_signal().unwrap()));
            assert_eq!(reached.recv_timeout(PATIENCE), Ok("started"));
            send(first);
            assert_eq!(reached.recv_timeout(PATIENCE), Ok("stopping"));
            assert!(report.try_recv().is_err(), "{first} has ended the grace");
            // Within half a second of the first it is none of its own.
            send(second);
            let at_once = report.recv_timeout(Duration::from_millis(600));
            assert!(at_once.is_err(), "{second} at once after {first} has ended the grace");
            send(second);
            let report = report.recv_timeout(PATIENCE / 2);
            gate.open();
            report
        });
        let report = report.unwrap_or_else(|_| panic!("{second} after {first} has not ended the grace"));
        assert_eq!(report.abandoned.len(), 1, "{first}, {second}: {report:?}");
    }
}
