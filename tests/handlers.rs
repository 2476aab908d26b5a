//! What handlers do: panics, outputs that the server can't take. Each is the end of one task and of nothing else.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

mod common;

use std::{
    collections::BTreeMap,
    panic::panic_any,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::{Gate, Request, Server, comes_true, quiet_handlers, start, stop_clean, task, tasks};
use conductor_sync::{RawJson, TaskError, TaskResult, TaskResultStatus, TaskRunner, Worker};
use serde::{Serialize, Serializer, ser};
use serde_json::{Value, json};

/// A payload whose drop panics, and the payload of that panic panics too.
struct Bomb(u32);

impl Bomb {
    fn strength(&self) -> u32 {
        self.0
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 > 0 {
            panic_any(Bomb(self.0 - 1));
        }
    }
}

/// The one report for each task.
fn reports(server: &Server) -> BTreeMap<String, Request> {
    let all: Vec<_> = server.requests().into_iter().filter(Request::is_update).collect();
    let reports: BTreeMap<_, _> = all.iter().map(|r| (r.task_id().to_owned(), r.clone())).collect();
    assert_eq!(reports.len(), all.len(), "a task was reported twice");
    reports
}

#[test]
fn what_a_handler_captured_may_panic_when_it_is_dropped() {
    quiet_handlers();
    let server = Server::well_behaved();
    server.add([task("t0")]);
    let captured = Bomb(2);
    let handle = start(&server, Worker::new("job", move |_, _: Value| Ok(captured.strength())));
    server.wait_for_tasks(1);
    assert_eq!(stop_clean(handle).completed, 1);
}

#[test]
fn lines_of_a_log_beyond_the_tenth_share_the_last_entry_and_empty_ones_are_written() {
    let server = Server::well_behaved();
    server.add([task("t0")]);
    let worker = Worker::raw("job", |cx| {
        (0..5).for_each(|n| cx.log(format!("own {n}")));
        cx.log("");
        let result = cx.result(TaskResultStatus::Completed);
        Ok((0..15).fold(result, |result, n| result.log(format!("result {n}"))))
    });
    let handle = start(&server, worker);
    server.wait_for_tasks(1);
    assert_eq!(stop_clean(handle).completed, 1);
    let report = reports(&server)["t0"].json();
    let entries: Vec<_> =
        report["logs"].as_array().unwrap().iter().map(|entry| entry["log"].as_str().unwrap()).collect();
    let own = (0..5).map(|n| format!("own {n}")).chain([String::new()]);
    let lines: Vec<_> = own.chain((0..15).map(|n| format!("result {n}"))).collect();
    assert_eq!(
        (entries.len(), entries.join("\n").split('\n').collect::<Vec<_>>()),
        (10, lines.iter().map(String::as_str).collect())
    );
}

#[test]
fn every_kind_of_panic_is_a_failed_task_with_its_message() {
    quiet_handlers();
    let cases = ["str", "string", "number", "bomb", "index", "unwrap", "refcell"];
    let server = Server::well_behaved();
    server.add(cases.map(task));
    let worker = Worker::new("job", |cx, _: Value| -> Result<(), TaskError> {
        match cx.task_id() {
            "str" => panic!("plain text"),
            "string" => panic!("text with {}", cx.task_id()),
            "number" => panic_any(7),
            "bomb" => panic_any(Bomb(3)),
            "index" => drop([1].iter().map(|n| [1, 2][n + cx.task_id().len()]).collect::<Vec<_>>()),
            "unwrap" => drop("x".parse::<u8>().unwrap()),
            _ => std::cell::RefCell::new(1).try_borrow_mut().map(|_| panic!("{}", "long ".repeat(1000))).unwrap(),
        }
        Ok(())
    });
    let handle = start(&server, worker);
    server.wait_for_tasks(cases.len());
    assert_eq!(stop_clean(handle).completed, cases.len() as u64);
    let reports = reports(&server);
    for (id, says) in [
        ("str", "the handler panicked: plain text"),
        ("string", "text with string"),
        ("number", "no text"),
        ("bomb", "no text"),
        ("index", "index out of bounds"),
        ("unwrap", "InvalidDigit"),
        ("refcell", "long long long"),
    ] {
        let report = &reports[id];
        assert!(report.status() == "FAILED" && report.reason().contains(says), "{id}: {}", report.reason());
        assert!(report.reason().chars().count() <= 500, "{id}");
    }
}

#[test]
fn a_panic_while_the_output_is_written_is_a_failed_task() {
    quiet_handlers();
    struct Broken;
    impl Serialize for Broken {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("no way to write this")
        }
    }
    struct Unwilling;
    impl Serialize for Unwilling {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(ser::Error::custom("will not be written"))
        }
    }
    let server = Server::well_behaved();
    server.add([task("t0")]);
    let handle = start(&server, Worker::new("job", |_, _: Value| Ok(Broken)));
    let updates = server.wait_for_updates("t0", 1);
    stop_clean(handle);
    assert!(updates[0].status() == "FAILED" && updates[0].reason().contains("no way to write this"));

    let server = Server::well_behaved();
    server.add([task("t0")]);
    let handle = start(&server, Worker::new("job", |_, _: Value| Ok(Unwilling)));
    let updates = server.wait_for_updates("t0", 1);
    stop_clean(handle);
    assert!(updates[0].status() == "FAILED_WITH_TERMINAL_ERROR");
    assert!(updates[0].reason().contains("will not be written"), "{}", updates[0].reason());
}

/// The ids of the threads of this process whose name begins so.
/// None where the system does not tell.
fn threads_named(start: &str) -> Vec<String> {
    let mut ids: Vec<_> = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| std::fs::read_to_string(entry.path().join("comm")).is_ok_and(|name| name.starts_with(start)))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    ids.sort();
    ids
}

#[test]
fn a_thousand_panics_leave_the_same_threads_and_lose_nothing() {
    quiet_handlers();
    let server = Server::well_behaved();
    server.add(tasks(3000));
    let all_run = Gate::new();
    let wait = all_run.clone();
    let n_runs = Arc::new(AtomicUsize::new(0));
    let worker = Worker::new("job", move |cx, input: Value| {
        // The first eight show all the threads before the first panic.
        let nth = n_runs.fetch_add(1, Ordering::AcqRel);
        if nth < 8 {
            wait.pass();
        }
        assert!(nth % 3 != 2, "every third panics");
        Ok(json!({"id": cx.task_id(), "input": input}))
    });
    let runner = TaskRunner::new(&server.client()).worker(worker.dedicated_threads(8));
    let handle = runner.start().unwrap();
    server.wait_for("a poll for eight tasks", |all| all.iter().any(|r| r.is_poll() && r.answered.is_some()));
    let before = threads_named("work:job");
    all_run.open();
    server.wait_for_tasks(3000);
    assert_eq!(threads_named("work:job"), before);
    assert!(before.len() == 8 || cfg!(not(target_os = "linux")), "{before:?}");
    assert_eq!(stop_clean(handle).completed, 3000);
    let n_failed = reports(&server).values().filter(|r| r.status() == "FAILED").count();
    assert_eq!(n_failed, 1000);
    let have_ended = || threads_named("work:job").is_empty();
    assert!(comes_true(have_ended), "threads are left: {:?}", threads_named("work:job"));
}

#[test]
fn a_panic_does_not_break_what_handlers_share() {
    quiet_handlers();
    let server = Server::well_behaved();
    server.add(tasks(20));
    let worker = Worker::new("job", |cx, _: Value| {
        cx.log("before");
        assert!(cx.task_id() != "t0", "the first panics");
        Ok(())
    });
    let handle = start(&server, worker);
    server.wait_for_tasks(20);
    assert_eq!(stop_clean(handle).completed, 20);
    let reports = reports(&server);
    assert_eq!(reports["t0"].json()["logs"][0]["log"], "before", "the log of a panicking handler is kept");
    assert_eq!(reports.values().filter(|r| r.status() == "COMPLETED").count(), 19);
}

#[test]
fn an_output_that_the_server_can_not_take_is_one_terminal_failure() {
    let nested = |levels: usize| -> RawJson {
        format!(r#"{{"x":{}{}}}"#, "[".repeat(levels - 1), "]".repeat(levels - 1)).parse().unwrap()
    };
    let text = |bytes: usize| -> RawJson { format!(r#"{{"x":"{}"}}"#, "y".repeat(bytes)).parse().unwrap() };
    let cases = ["deep", "too-deep", "large", "too-large", "raw-too-large", "unfinished-too-large"];
    let server = Server::well_behaved();
    server.add(cases.map(task));
    let worker = Worker::raw("job", move |cx| {
        let result = cx.result(TaskResultStatus::Completed);
        match cx.task_id() {
            "deep" => Ok(result.output(nested(999))),
            "too-deep" => Ok(result.output(nested(1000))),
            "large" => Ok(result.output(text(9 << 20))),
            "unfinished-too-large" => Err(TaskError::in_progress(Duration::from_secs(9)).output(text(11 << 20))),
            _ => Ok(result.output(text(11 << 20))),
        }
    });
    let handle = start(&server, worker);
    server.wait_for_tasks(cases.len());
    assert_eq!(stop_clean(handle).completed, cases.len() as u64);
    let reports = reports(&server);
    for id in ["deep", "large"] {
        assert_eq!(reports[id].body.windows(9).filter(|w| w == b"COMPLETED").count(), 1, "{id}");
    }
    for (id, says) in [
        ("too-deep", "nested deeper"),
        ("too-large", "11534344 bytes"),
        ("raw-too-large", "11534344 bytes"),
        ("unfinished-too-large", "11534344 bytes"),
    ] {
        let report = &reports[id];
        assert_eq!(report.status(), "FAILED_WITH_TERMINAL_ERROR", "{id}");
        assert!(report.reason().contains(says), "{id}: {}", report.reason());
        assert!(report.body.len() < 1000, "{id}");
    }
}

#[test]
fn a_handler_that_blocks_delays_neither_polls_nor_heartbeats_nor_results_of_others() {
    let server = Server::well_behaved();
    let mut slow = task("slow");
    slow["responseTimeoutSeconds"] = json!(1);
    server.add([slow]);
    let gate = Gate::new();
    let (closed, runs) = (gate.clone(), Arc::new(AtomicBool::new(false)));
    let is_running = Arc::clone(&runs);
    let worker = Worker::new("job", move |cx, input: Value| {
        if cx.task_id() == "slow" {
            is_running.store(true, Ordering::Release);
            closed.pass();
        }
        Ok(input)
    });
    let handle = start(&server, worker);
    server.wait_for("a heartbeat", |all| all.iter().any(Request::is_heartbeat));
    server.add(tasks(20));
    server.wait_for_tasks(20);
    assert!(runs.load(Ordering::Acquire) && server.updates("slow").is_empty());
    gate.open();
    assert_eq!(stop_clean(handle).completed, 21);
}

#[test]
fn a_result_is_about_its_own_task_whatever_ids_a_handler_puts_into_it() {
    let server = Server::well_behaved();
    server.add([task("t0")]);
    let worker = Worker::raw("job", |_| {
        let mut result = TaskResult::new("another-workflow", "another-task", TaskResultStatus::Completed);
        result.extend_lease = true;
        result.callback_after_seconds = -7;
        Ok(result)
    });
    let handle = start(&server, worker);
    let updates = server.wait_for_updates("t0", 1);
    assert_eq!(stop_clean(handle).completed, 1);
    assert_eq!(updates[0].json()["workflowInstanceId"], "workflow-of-t0");
}

#[test]
fn a_handler_may_ask_for_a_pause_without_end() {
    let server = Server::well_behaved();
    server.add([task("t0")]);
    let worker =
        Worker::new("job", |_, _: Value| -> Result<(), TaskError> { Err(TaskError::in_progress(Duration::MAX)) });
    let handle = start(&server, worker);
    let updates = server.wait_for_updates("t0", 1);
    assert_eq!(stop_clean(handle).completed, 1);
    assert!(updates[0].json()["callbackAfterSeconds"].as_i64().is_some_and(|seconds| seconds > 1 << 40));
}
