//! What is logged while things go wrong: enough to know, and not a line for each request.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

mod common;

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use common::{Answer, Gate, PATIENCE, Request, Server, quiet_handlers, start, stop_clean, task, task_with};
use conductor_sync::{Client, Config, TaskError, TaskRunner, Worker};
use log::{Level, LevelFilter, Log, Metadata, Record};
use serde_json::{Value, json};

/// Keeps what this crate says at INFO and above.
struct Lines {
    lines: Mutex<Vec<(Level, String)>>,
    said: Condvar,
}

static LINES: Lines = Lines { lines: Mutex::new(Vec::new()), said: Condvar::new() };

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Info && metadata.target().starts_with("conductor_sync")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.lines().push((record.level(), record.args().to_string()));
            self.said.notify_all();
        }
    }

    fn flush(&self) {}
}

impl Lines {
    fn lines(&self) -> MutexGuard<'_, Vec<(Level, String)>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a line says this.
    fn wait_for(&self, part: &str) {
        let is_missing = |lines: &mut Vec<(Level, String)>| !lines.iter().any(|(_, text)| text.contains(part));
        let waited = self.said.wait_timeout_while(self.lines(), PATIENCE, is_missing);
        let (lines, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!waited.timed_out(), "nothing says `{part}`: {lines:#?}");
    }
}

/// The log is one for the whole program, so the tests in here run one after the other.
fn listen() -> MutexGuard<'static, ()> {
    static ONE_BY_ONE: Mutex<()> = Mutex::new(());
    static ONCE: Once = Once::new();
    let alone = ONE_BY_ONE.lock().unwrap_or_else(PoisonError::into_inner);
    ONCE.call_once(|| {
        log::set_logger(&LINES).unwrap();
        log::set_max_level(LevelFilter::Info);
    });
    LINES.lines().clear();
    alone
}

fn warnings() -> Vec<String> {
    LINES.lines().iter().filter(|(level, _)| *level <= Level::Warn).map(|(_, text)| text.clone()).collect()
}

fn echo() -> Worker {
    Worker::new("job", |_, input: Value| Ok(input)).poll_timeout(Duration::from_millis(200))
}

/// A worker whose handler waits for the gate.
fn held_by(gate: &Gate) -> Worker {
    let gate = gate.clone();
    Worker::new("job", move |_, input: Value| {
        gate.pass();
        Ok(input)
    })
}

#[test]
fn an_outage_of_a_hundred_requests_is_worth_a_few_lines() {
    let _alone = listen();
    let down = Arc::new(AtomicBool::new(false));
    let is_down = Arc::clone(&down);
    let server = Server::start(move |r| {
        // It goes down with the first result, so that all results and heartbeats meet it.
        is_down.fetch_or(r.is_update() && r.nth == 0 && r.task_id() == "t0", Ordering::AcqRel);
        is_down.load(Ordering::Acquire).then(|| Answer::refused(503, "down for maintenance"))
    });
    server.add((0..64).map(|n| task_with(&format!("t{n}"), json!({"responseTimeoutSeconds": 1}))));
    let handle = TaskRunner::new(&server.client()).worker(echo()).threads(16).start().unwrap();
    let n_refused = |all: &[Request]| {
        let first = all.iter().position(Request::is_update).unwrap_or(all.len());
        all[first..].iter().filter(|r| r.answered.is_some()).count()
    };
    server.wait_for("a hundred requests", |all| n_refused(all) >= 100);
    down.store(false, Ordering::Release);
    server.wait_for_tasks(64);
    LINES.wait_for("results are delivered again");
    assert_eq!(stop_clean(handle).completed, 64);
    let warnings = warnings();
    assert!(!warnings.is_empty() && warnings.len() < 20, "{} lines: {warnings:#?}", warnings.len());
    assert!(warnings.iter().any(|line| line.contains("down for maintenance")), "{warnings:#?}");
}

#[test]
fn a_server_that_sends_nothing_but_rubbish_is_worth_a_few_lines() {
    const N_POLLS_EACH: usize = 6;
    const N_LINES_EACH: usize = 2;
    let _alone = listen();
    let running = ["[null]", r#"[{"taskId": "t0"}]"#, "<html>", "{}", ""].map(|body| {
        let server = Server::start(move |r| r.is_poll().then(|| Answer::status(200, "application/json", body)));
        let handle = start(&server, echo());
        (server, handle)
    });
    for (server, _) in &running {
        server.wait_for("polls", |all| all.len() >= N_POLLS_EACH);
    }
    let (lines, n_servers) = (warnings(), running.len());
    for (_server, handle) in running {
        assert_eq!(stop_clean(handle).completed, 0);
    }
    assert!((n_servers..=n_servers * N_LINES_EACH).contains(&lines.len()), "{} lines: {lines:#?}", lines.len());
}

#[test]
fn a_handler_that_always_panics_is_worth_a_few_lines() {
    quiet_handlers();
    let _alone = listen();
    let server = Server::well_behaved();
    server.add((0..100).map(|n| task(&format!("t{n}"))));
    let handle = start(&server, Worker::new("job", |_, _: Value| -> Result<(), TaskError> { panic!("again") }));
    server.wait_for_tasks(100);
    assert_eq!(stop_clean(handle).completed, 100);
    let lines: Vec<_> = warnings().into_iter().filter(|line| line.contains("again")).collect();
    let times = lines.iter().filter_map(|line| line.split_once("n_panics=")).map(|(_, n)| n.parse::<u64>().unwrap());
    // Threads count one after another, yet a later one may be the first to write.
    assert_eq!(times.collect::<BTreeSet<_>>(), BTreeSet::from([1, 2, 4, 8, 16, 32, 64]), "{lines:#?}");
    assert_eq!(lines.len(), 7, "{lines:#?}");
}

#[test]
fn results_that_a_server_refuses_all_the_time_are_worth_a_few_errors() {
    const MANY: usize = 200;
    let _alone = listen();
    let server =
        Server::start(|r| (r.is_update() && r.status() == "COMPLETED").then(|| Answer::refused(413, "too large")));
    server.add((0..MANY).map(|n| task(&format!("t{n}"))));
    let handle = start(&server, echo());
    server.wait_for("failures in their place", |all| {
        all.iter().filter(|r| r.status() == "FAILED_WITH_TERMINAL_ERROR").count() == MANY
    });
    stop_clean(handle);
    let n_lines = |most: Level| {
        let lines = LINES.lines();
        lines.iter().filter(|(level, text)| *level <= most && text.starts_with("result set aside")).count()
    };
    assert!((20..100).contains(&n_lines(Level::Error)), "{}", n_lines(Level::Error));
    assert_eq!(n_lines(Level::Info), MANY);
}

#[test]
fn heartbeats_that_fail_are_warned_of_once() {
    let _alone = listen();
    let is_cured = Arc::new(AtomicBool::new(false));
    let cured = Arc::clone(&is_cured);
    let server = Server::start(move |r| {
        (r.is_heartbeat() && !cured.load(Ordering::Acquire)).then(|| Answer::refused(500, "database is locked"))
    });
    server.add([task_with("t0", json!({"responseTimeoutSeconds": 1}))]);
    let gate = Gate::new();
    let handle = start(&server, held_by(&gate));
    server.wait_for("heartbeats", |all| all.iter().filter(|r| r.is_heartbeat() && r.answered.is_some()).count() >= 4);
    is_cured.store(true, Ordering::Release);
    LINES.wait_for("heartbeats work again");
    gate.open();
    stop_clean(handle);
    let lines: Vec<_> = warnings().into_iter().filter(|line| line.starts_with("heartbeats fail")).collect();
    assert!(lines.len() == 1 && lines[0].contains("database is locked"), "{lines:?}");
}

#[test]
fn a_handler_that_runs_for_longer_than_the_server_waits_is_warned_of_once() {
    let _alone = listen();
    let server = Server::well_behaved();
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let limited = json!({"startTime": started, "taskDefinition": {"timeoutSeconds": 1}});
    server.add([task_with("t0", limited)]);
    let gate = Gate::new();
    let handle = start(&server, held_by(&gate));
    LINES.wait_for("a handler still runs");
    gate.open();
    stop_clean(handle);
    let lines: Vec<_> = warnings().into_iter().filter(|line| line.contains("task_id=t0")).collect();
    assert!(lines.len() == 1 && lines[0].contains("keeps its thread"), "{lines:?}");
}

#[test]
fn a_poll_timeout_close_to_the_request_timeout_is_warned_of() {
    let _alone = listen();
    let server = Server::well_behaved();
    for (hold, n_lines) in [(500, 1), (200, 0)] {
        LINES.lines().clear();
        let config = Config::new(&server.url()).unwrap().request_timeout(Duration::from_millis(1200));
        let worker = echo().poll_timeout(Duration::from_millis(hold));
        let handle = TaskRunner::new(&Client::new(config).unwrap()).worker(worker).threads(1).start().unwrap();
        stop_clean(handle);
        let of_it = warnings().into_iter().filter(|line| line.contains("task_type=job"));
        let of_it: Vec<_> = of_it.filter(|line| line.contains("Config::request_timeout only 1.2s")).collect();
        assert_eq!(of_it.len(), n_lines, "{of_it:?}");
    }
}

#[test]
fn connections_that_the_server_ends_in_order_are_no_trouble() {
    let _alone = listen();
    let n_requests = AtomicUsize::new(0);
    let queue = Mutex::new((0..300).map(|n| task(&format!("t{n}"))).collect::<VecDeque<_>>());
    // The real server ends a connection with its 100th request.
    let server = Server::start(move |r| {
        let ends = n_requests.fetch_add(1, Ordering::AcqRel) % 3 == 2;
        let headers = if ends { "Connection: close\r\n" } else { "" };
        let answer = if r.is_poll() {
            let mut queue = queue.lock().unwrap();
            let n = r.count().min(queue.len());
            Value::Array(queue.drain(..n).collect()).to_string()
        } else {
            r.task_id().to_owned()
        };
        let answer = Answer::with_headers(200, "application/json", headers, answer.as_bytes());
        Some(if ends { Answer::BytesAndEnd(answer.bytes()) } else { answer })
    });
    let handle = TaskRunner::new(&server.client()).worker(echo()).threads(8).start().unwrap();
    server.wait_for_tasks(300);
    assert_eq!(stop_clean(handle).completed, 300);
    assert_eq!(warnings(), Vec::<String>::new());
    assert_eq!(server.requests().iter().filter(|r| r.is_update()).count(), 300);
}
