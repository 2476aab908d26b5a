//! The end of a runner: what was handed to it is run, given back or told about, and the end comes in time.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

mod common;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use common::{
    Answer, Gate, PATIENCE, Request, Server, be_slow, comes_true, echo, start, stop_clean, task, task_with, tasks,
};
use conductor_sync::{Client, TaskContext, TaskRunner, Worker};
use crossbeam_channel::bounded;
use serde_json::{Value, json};

/// Far more than a stop with a short grace takes, and far less than what it must not wait for.
const BOUND: Duration = Duration::from_secs(30);

const SHORT_HOLD: Duration = Duration::from_millis(200);

/// A worker, and the gate that it opens when it runs.
fn telling(task_type: &str, handler: impl Fn(&TaskContext) + Send + Sync + 'static) -> (Worker, Gate) {
    let runs = Gate::new();
    let tell = runs.clone();
    let worker = Worker::new(task_type, move |cx, input: Value| {
        tell.open();
        handler(cx);
        Ok(input)
    });
    (worker.poll_timeout(SHORT_HOLD), runs)
}

/// Waits in a handler until the runner stops.
fn wait_for_stop(cx: &TaskContext) {
    assert!(comes_true(|| cx.is_stopping()));
}

/// A worker of another type with a thread of its own, which runs a step when the runner stops.
fn at_stop(step: impl Fn() + Send + Sync + 'static) -> (Worker, Gate) {
    let (worker, runs) = telling("watch", move |cx| {
        wait_for_stop(cx);
        step();
    });
    (worker.dedicated_threads(1), runs)
}

/// The task for [`at_stop`].
fn watch() -> Value {
    task_with("watch", json!({"taskType": "watch", "taskDefName": "watch"}))
}

fn n_polls(all: &[Request]) -> usize {
    all.iter().filter(|r| r.is_poll()).count()
}

fn is_open_poll(r: &Request) -> bool {
    r.task_type() == "job" && !r.hold().is_zero()
}

#[test]
fn tasks_that_an_open_poll_brings_after_the_stop_are_run() {
    let stopping = Gate::new();
    let (wait, is_open) = (stopping.clone(), AtomicBool::new(false));
    let server = Server::start(move |r| {
        (is_open_poll(r) && !is_open.swap(true, Ordering::AcqRel)).then(|| {
            wait.pass();
            Answer::tasks(&tasks(3).collect::<Vec<_>>())
        })
    });
    server.add([watch()]);
    let (watching, _) = at_stop(move || stopping.open());
    let handle = TaskRunner::new(&server.client()).worker(watching).worker(echo()).threads(3).start().unwrap();
    server.wait_for("an open poll", |all| all.iter().any(is_open_poll) && all.iter().any(|r| r.task_type() == "watch"));
    let settled = stop_clean(handle);
    assert_eq!((settled.completed, settled.given_back), (4, 0));
    assert!(server.requests().iter().filter(|r| r.is_update()).all(|r| r.status() == "COMPLETED"));
}

#[test]
fn tasks_that_an_open_poll_brings_after_the_stop_are_given_back_when_no_thread_is_free() {
    let (stopping, given_back) = (Gate::new(), Gate::new());
    let (wait, seen) = (stopping.clone(), given_back.clone());
    let (is_open, n_seen) = (AtomicBool::new(false), AtomicUsize::new(0));
    let server = Server::start(move |r| {
        if r.is_update() && r.status() == "IN_PROGRESS" && n_seen.fetch_add(1, Ordering::AcqRel) == 2 {
            seen.open();
        }
        (is_open_poll(r) && !is_open.swap(true, Ordering::AcqRel)).then(|| {
            wait.pass();
            Answer::tasks(&tasks(3).collect::<Vec<_>>())
        })
    });
    // It has no thread of its own, so it takes the only one.
    let (watching, runs) = telling("watch", move |cx| {
        wait_for_stop(cx);
        stopping.open();
        given_back.pass();
    });
    let handle = TaskRunner::new(&server.client()).worker(echo()).worker(watching).threads(1).start().unwrap();
    server.wait_for("an open poll", |all| all.iter().any(is_open_poll));
    server.add([watch()]);
    runs.pass();
    let settled = stop_clean(handle);
    assert_eq!((settled.completed, settled.given_back), (1, 3));
}

#[test]
fn a_task_that_waits_for_a_thread_at_the_end_of_the_grace_is_given_back() {
    let (busy, gate) = (Gate::new(), Gate::new());
    let (wait, closed, is_open) = (busy.clone(), gate.clone(), AtomicBool::new(false));
    let server = Server::start(move |r| {
        (is_open_poll(r) && !is_open.swap(true, Ordering::AcqRel)).then(|| {
            wait.pass();
            Answer::tasks(&tasks(1).collect::<Vec<_>>())
        })
    });
    // It takes the only thread for good.
    let (stuck, _) = telling("watch", move |_| {
        busy.open();
        closed.pass();
    });
    let patient = echo().give_back_after(Duration::from_secs(60));
    let handle = TaskRunner::new(&server.client()).worker(patient).worker(stuck).threads(1).start().unwrap();
    server.wait_for("an open poll", |all| all.iter().any(is_open_poll));
    server.add([watch()]);
    server.wait_for("its answer", |all| all.iter().any(|r| is_open_poll(r) && r.answered.is_some()));
    let begun = Instant::now();
    let report = handle.stop(Duration::from_secs(1));
    assert!(begun.elapsed() < BOUND);
    assert_eq!((report.given_back, &*report.abandoned), (1, &["watch".to_owned()][..]));
    assert!(report.undelivered.is_empty() && !report.poll_unanswered, "{report:?}");
    gate.open();
}

#[test]
fn a_handler_that_never_ends_is_told_as_abandoned_in_time() {
    let server = Server::well_behaved();
    server.add([task("t0"), watch()]);
    let gate = Gate::new();
    let closed = gate.clone();
    let (stuck, runs) = telling("job", move |_| closed.pass());
    let (watching, watches) = at_stop(|| ());
    let handle = TaskRunner::new(&server.client()).worker(stuck).worker(watching).threads(2).start().unwrap();
    runs.pass();
    watches.pass();
    let begun = Instant::now();
    let report = handle.stop(Duration::from_secs(2));
    assert!(begun.elapsed() < BOUND);
    assert!(!report.is_clean());
    assert_eq!((report.abandoned, report.undelivered), (vec!["t0".to_owned()], vec![]));
    assert_eq!((report.completed, report.poll_unanswered), (1, false));
    assert_eq!((server.updates("watch").len(), server.updates("t0").len()), (1, 0));
    gate.open();
}

#[test]
fn results_that_no_stop_can_deliver_are_told_in_time_and_have_had_another_try() {
    let server = Server::start(|r| r.is_update().then(|| Answer::html(503)));
    server.add(tasks(2));
    let handle = start(&server, echo());
    let n_tries = |all: &[Request]| all.iter().filter(|r| r.is_update() && r.answered.is_some()).count();
    // The pauses are some seconds long by now.
    server.wait_for("some tries", |all| n_tries(all) >= 12);
    let (begun, before) = (Instant::now(), n_tries(&server.requests()));
    let report = handle.stop(Duration::from_secs(1));
    assert!(begun.elapsed() < BOUND);
    assert_eq!((report.undelivered, report.completed), (vec!["t0".to_owned(), "t1".to_owned()], 0));
    assert!(n_tries(&server.requests()) >= before + 2);
}

#[test]
fn a_stop_keeps_the_pause_that_the_server_asks_for_and_tries_once_more() {
    let server = Server::start(|r| {
        r.is_update().then(|| Answer::with_headers(503, "text/plain", "Retry-After: 50\r\n", b"later"))
    });
    server.add([task("t0")]);
    let handle = start(&server, echo());
    server.wait_for_updates("t0", 1);
    let begun = Instant::now();
    let report = handle.stop(Duration::from_secs(1));
    assert!(begun.elapsed() < BOUND);
    assert_eq!(report.undelivered, ["t0"]);
    let updates = server.updates("t0");
    assert_eq!(updates.len(), 2);
    assert!(updates[1].at - begun > Duration::from_millis(900));
}

#[test]
fn a_stop_delivers_what_waits_when_the_server_takes_it_again() {
    let cured = Arc::new(AtomicBool::new(false));
    let is_cured = Arc::clone(&cured);
    let server =
        Server::start(move |r| (r.is_update() && !is_cured.load(Ordering::Acquire)).then(|| Answer::html(503)));
    server.add(tasks(2));
    server.add([watch()]);
    let (watching, runs) = at_stop(move || cured.store(true, Ordering::Release));
    let handle = TaskRunner::new(&server.client()).worker(echo()).worker(watching).threads(2).start().unwrap();
    runs.pass();
    server.wait_for("some tries", |all| all.iter().filter(|r| r.is_update() && r.answered.is_some()).count() >= 10);
    assert_eq!(stop_clean(handle).completed, 3);
}

#[test]
fn a_stop_without_a_server_is_bounded_and_tells_what_is_left() {
    let server = Server::start(|r| r.is_update().then(|| Answer::html(503)));
    server.add([task("t0")]);
    let handle = start(&server, echo());
    server.wait_for_updates("t0", 1);
    drop(server);
    let begun = Instant::now();
    let report = handle.stop(Duration::ZERO);
    assert!(begun.elapsed() < BOUND);
    assert_eq!((report.undelivered, report.abandoned, report.poll_unanswered), (vec!["t0".to_owned()], vec![], false));
}

#[test]
fn a_stop_does_not_wait_for_a_poll_that_is_never_answered() {
    let server = Server::start(|r| r.is_poll().then_some(Answer::Never));
    let client = Client::new(server.config().request_timeout(Duration::from_secs(600))).unwrap();
    let handle = TaskRunner::new(&client).worker(echo()).threads(2).start().unwrap();
    server.wait_for("a poll", |all| n_polls(all) >= 1);
    let begun = Instant::now();
    let report = handle.stop(Duration::from_millis(100));
    assert!(begun.elapsed() < BOUND);
    assert!(report.poll_unanswered && !report.is_clean());
}

#[test]
fn no_poll_is_begun_after_a_stop_while_heartbeats_go_on() {
    let (stopping, beaten) = (Arc::new(AtomicBool::new(false)), Gate::new());
    let (is_stopping, enough, n_beats) = (Arc::clone(&stopping), beaten.clone(), AtomicUsize::new(0));
    let n_late = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&n_late);
    let server = Server::start(move |r| {
        let is_late = is_stopping.load(Ordering::Acquire);
        if is_late && r.is_heartbeat() && n_beats.fetch_add(1, Ordering::AcqRel) == 2 {
            enough.open();
        }
        count.fetch_add(usize::from(is_late && r.is_poll()), Ordering::AcqRel);
        None
    });
    server.add([task_with("t0", json!({"responseTimeoutSeconds": 1}))]);
    let (worker, runs) = telling("job", move |cx| {
        wait_for_stop(cx);
        stopping.store(true, Ordering::Release);
        beaten.pass();
    });
    let handle = start(&server, worker);
    runs.pass();
    assert_eq!(stop_clean(handle).completed, 1);
    assert_eq!(server.updates("t0")[0].status(), "COMPLETED");
    let n_late = n_late.load(Ordering::Acquire);
    assert!(n_late <= 1, "{n_late} polls, of which one may have been on its way");
}

#[test]
fn dropping_the_handle_stops_and_waits_for_running_tasks() {
    let server = Server::well_behaved();
    server.add([task("t0")]);
    let (held, ended) = bounded::<()>(0);
    let (worker, runs) = telling("job", move |cx| {
        let _held = &held;
        wait_for_stop(cx);
    });
    let handle = TaskRunner::new(&server.client()).worker(worker).threads(2).grace(PATIENCE).start().unwrap();
    runs.pass();
    drop(handle);
    assert!(server.updates("t0")[0].answered.is_some());
    // A poller holds the handler, for the tasks it fetches.
    assert!(ended.recv_timeout(PATIENCE).is_err_and(|e| e.is_disconnected()), "it still polls");
}

#[test]
fn dropping_the_handle_waits_no_longer_than_its_grace_for_a_stuck_handler() {
    let server = Server::well_behaved();
    server.add([task("t0")]);
    let gate = Gate::new();
    let closed = gate.clone();
    let (worker, runs) = telling("job", move |_| closed.pass());
    let runner = TaskRunner::new(&server.client()).worker(worker).threads(2).grace(Duration::from_millis(100));
    let handle = runner.start().unwrap();
    runs.pass();
    let begun = Instant::now();
    drop(handle);
    assert!(begun.elapsed() < BOUND);
    gate.open();
}

/// Starts and stops runners in the middle of work; returns what was handed out and is not accounted for.
fn lost_by_stops(grace: Duration, n_rounds: usize) -> BTreeSet<String> {
    let mut lost = BTreeSet::new();
    for round in 0..n_rounds {
        let server = Server::well_behaved();
        server.add(tasks(300));
        let (worker, _) = telling("job", |_| be_slow(Duration::from_millis(1)));
        let handle =
            TaskRunner::new(&server.client()).worker(worker.pollers(1 + round % 3)).threads(4).start().unwrap();
        let enough = move |all: &[Request]| all.iter().filter(|r| r.is_update()).count() >= 3 * round;
        server.wait_for("some results", enough);
        let report = handle.stop(grace);
        assert!(!report.poll_unanswered);
        let acknowledged: BTreeSet<_> = server
            .requests()
            .iter()
            .filter(|r| r.is_update() && r.answered.is_some())
            .map(|r| r.task_id().to_owned())
            .chain(report.abandoned)
            .chain(report.undelivered)
            .collect();
        // The queue is in order, so what was handed out is its first part.
        let handed_out = 300 - server.n_queued();
        lost.extend((0..handed_out).map(|n| format!("t{n}")).filter(|id| !acknowledged.contains(id)));
    }
    lost
}

#[test]
fn a_stop_at_any_moment_accounts_for_every_task_that_was_handed_out() {
    let threads: Vec<_> = [PATIENCE, PATIENCE, Duration::ZERO, Duration::ZERO]
        .into_iter()
        .map(|grace| {
            let work = move || lost_by_stops(grace, 25);
            thread::Builder::new().name("rounds".to_owned()).spawn(work).unwrap()
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), BTreeSet::new());
    }
}
