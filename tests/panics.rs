//! What a panic of a thread of the runner itself does. The program's logger makes one: it is called on those threads, and
//! nothing keeps it from panicking.

#![cfg(feature = "metrics")]
#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

mod common;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use common::{Answer, Call, Request, Server, comes_true, ready, task};
use conductor_sync::{Client, TaskContext, TaskError, TaskRunner, Worker};
use log::{Level, LevelFilter, Log, Metadata, Record};
use serde_json::Value;

/// Panics on the threads that it is told of, and keeps the errors.
struct Logger(Mutex<State>);

struct State {
    /// How the names of the threads begin.
    panics_on: &'static str,
    panics_at_errors: bool,
    errors: Vec<String>,
}

static LOGGER: Logger = Logger(Mutex::new(State { panics_on: "-", panics_at_errors: false, errors: Vec::new() }));

impl Logger {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("conductor_sync")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let thread = thread::current();
        let name = thread.name().unwrap_or_default();
        let is_error = record.level() == Level::Error;
        let mut state = self.state();
        if is_error {
            state.errors.push(record.args().to_string());
        }
        if name.starts_with(state.panics_on) && (state.panics_at_errors || !is_error) {
            drop(state);
            panic!("the logger of {name}");
        }
    }

    fn flush(&self) {}
}

/// What a thread of the runner logs something at.
type Trouble = fn(&Request) -> Option<Answer>;

const TROUBLES: [(&str, Trouble); 3] = [
    ("poll:job", |r| r.is_poll().then(|| Answer::refused(503, "not now"))),
    // A handler that fails is told of.
    ("work", |_| None),
    ("check:", |r| matches!(r.call, Call::Get(_)).then(|| Answer::refused(500, "not now"))),
];

fn runner(client: &Client, thread: &str) -> TaskRunner {
    let fails = thread == "work";
    let worker = Worker::new("job", move |cx: &TaskContext, input: Value| {
        if fails {
            return Err(TaskError::failed("meant"));
        }
        assert!(comes_true(|| cx.is_stopping()));
        Ok(input)
    });
    let runner = TaskRunner::new(client).worker(worker.poll_timeout(Duration::from_millis(200))).threads(1);
    runner.cancellation_check(Duration::from_millis(50)).grace(Duration::from_millis(100))
}

/// Runs a runner whose thread panics to its end; that has to raise the panic again.
fn check(thread: &'static str, trouble: Trouble, panics_at_errors: bool, end: fn(TaskRunner)) {
    *LOGGER.state() = State { panics_on: thread, panics_at_errors, errors: Vec::new() };
    let server = Server::start(trouble);
    server.add([task("t0")]);
    let client = server.client();
    let runner = runner(&client, thread);
    let raised = catch_unwind(AssertUnwindSafe(|| end(runner))).unwrap_err();
    let message = raised.downcast_ref::<String>().map(String::as_str).unwrap_or_default();
    assert!(message.starts_with(&format!("the logger of {thread}")), "{thread}: {message}");
    let errors = std::mem::take(&mut LOGGER.state().errors);
    let is_told = |line: &String| line.contains(thread) && line.contains("of the runner panicked");
    assert!(errors.iter().any(is_told), "{thread}: {errors:?}");
    let metrics = client.metrics().render();
    let series = "thread_uncaught_exceptions_total{exception=\"RunnerPanic\"} 1\n";
    assert!(metrics.contains(series), "{thread}: {metrics}");
}

#[test]
fn a_panic_of_a_thread_of_the_runner_ends_the_runner_and_is_raised_again() {
    log::set_logger(&LOGGER).unwrap();
    log::set_max_level(LevelFilter::Debug);
    for (thread, trouble) in TROUBLES {
        for panics_at_errors in [false, true] {
            check(thread, trouble, panics_at_errors, |runner| {
                let handle = runner.metrics_address("127.0.0.1:0").start().unwrap();
                let has_stopped = || ready(&handle).contains("the runner is stopping, or has stopped");
                assert!(comes_true(has_stopped), "{}", ready(&handle));
                assert!(ready(&handle).starts_with("HTTP/1.1 503 "));
                let _raised = handle.stop(Duration::from_millis(100));
            });
            #[cfg(unix)]
            check(thread, trouble, panics_at_errors, |runner| drop(runner.run_until_signal().unwrap()));
        }
    }
}
