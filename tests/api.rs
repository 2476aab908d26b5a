//! Every operation of the server that a client calls: what it does, and what it says when it can't. See [`table`] for the
//! list. The real server is asked when `CONDUCTOR_SERVER_URL` is set, and has to have file storage, message queues, the
//! repair service, a default event queue, AI integrations, skills and A2A switched on, and a value and a secret in its
//! environment, as `.ci/server` does. The embedded one is asked for what it serves.

#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests stand outside #[test] functions")]

#[path = "api/a2a.rs"]
mod a2a;
#[path = "api/admin.rs"]
mod admin;
#[path = "api/agents.rs"]
mod agents;
#[path = "api/bulk.rs"]
mod bulk;
#[path = "api/events.rs"]
mod events;
#[path = "api/files.rs"]
mod files;
#[path = "api/metadata.rs"]
mod metadata;
#[path = "api/schedules.rs"]
mod schedules;
#[path = "api/secrets.rs"]
mod secrets;
#[path = "api/skills.rs"]
mod skills;
#[path = "api/sub_workflows.rs"]
mod sub_workflows;
#[path = "api/table.rs"]
mod table;
#[path = "api/tasks.rs"]
mod tasks;
#[path = "api/workflows.rs"]
mod workflows;

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    process,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use conductor_sync::{
    Client, Config, Error, ErrorKind, PollRequest, RawJson, Result, StartOutcome, StartWorkflowRequest, Task, TaskDef,
    TaskResult, TaskResultStatus, WorkflowDef, WorkflowStatus, WorkflowTask, embedded::EmbeddedServer,
};
use serde_json::json;

use table::{EFFECTS, OPERATIONS, REAL_ONLY, REFUSED_BEFORE, Row};

/// What a row runs.
type Test = fn(&Api);

/// How long anything may take that should happen: the server looks for new event handlers once a minute.
pub(crate) const LONG: Duration = Duration::from_secs(100);

/// Inputs of workflows and outputs of tasks may be so large, unless the server is told otherwise.
pub(crate) const MOST_BYTES: usize = 10 << 20;

/// Rows that run at the same time.
const N_AT_ONCE: usize = 10;

/// A client and names of its own for one row.
pub(crate) struct Api {
    pub(crate) client: Client,
    prefix: String,
}

impl Api {
    fn new(client: &Client) -> Self {
        static N_MADE: AtomicUsize = AtomicUsize::new(0);
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let nth = N_MADE.fetch_add(1, Ordering::Relaxed);
        Self { client: client.clone(), prefix: format!("api_{}_{millis}_{nth}", process::id()) }
    }

    /// For what belongs to a row and has other names.
    pub(crate) fn beside(other: &Self) -> Self {
        Self::new(&other.client)
    }

    /// A client of the same server that has its address wrong.
    pub(crate) fn elsewhere(&self) -> Client {
        Client::new(Config::new(&format!("{}/nowhere", self.client.server_url())).unwrap()).unwrap()
    }

    /// A name that nobody else uses.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}_{name}", self.prefix)
    }

    /// Registers the task `t`, which is not retried, and the workflow `w` with one or more of them: `a`, `b` ….
    pub(crate) fn register(&self, references: &[&str]) -> String {
        let mut task = TaskDef::new(self.name("t"));
        task.retry_count = Some(0);
        self.client.metadata().register_task(&task).unwrap();
        let node = |reference: &&str| WorkflowTask::simple(self.name("t"), *reference);
        let def = references.iter().map(node).fold(WorkflowDef::new(self.name("w")), WorkflowDef::task);
        self.client.metadata().update_workflow(&def).unwrap();
        def.name
    }

    /// Registers the workflow `w` with a WAIT task `w1`.
    pub(crate) fn register_wait(&self) -> String {
        let mut node = WorkflowTask::simple("wait", "w1");
        node.task_type = Some("WAIT".to_owned());
        let def = WorkflowDef::new(self.name("w")).task(node);
        self.client.metadata().update_workflow(&def).unwrap();
        def.name
    }

    /// Starts the workflow `w`.
    pub(crate) fn start(&self) -> String {
        let request = StartWorkflowRequest::new(self.name("w")).correlation_id("c 1").input(json!({"n": 1}));
        self.client.workflows().start(&request).unwrap()
    }

    /// Takes a task of type `t`.
    pub(crate) fn take(&self) -> Task {
        let poll = PollRequest::new(self.name("t")).timeout(Duration::from_secs(3)).worker_id("w");
        self.client.tasks().poll_batch(poll).unwrap().pop().expect("a task is due")
    }

    /// Takes a task and gives it an end.
    pub(crate) fn end(&self, status: TaskResultStatus) -> Task {
        let task = self.take();
        let result = TaskResult::new(&task.workflow_instance_id, &task.task_id, status).output(json!({"n": 2}));
        self.client.tasks().update(&result).unwrap();
        task
    }
}

thread_local! {
    /// How often the server has refused something to the row that this thread runs.
    static N_REFUSED: Cell<usize> = const { Cell::new(0) };
    /// How often that row had the address wrong.
    static N_LOST: Cell<usize> = const { Cell::new(0) };
    /// How often something was refused to it before the server was asked.
    static N_REFUSED_BEFORE: Cell<usize> = const { Cell::new(0) };
}

/// The server has refused something.
pub(crate) fn refused() {
    N_REFUSED.set(N_REFUSED.get() + 1);
}

#[track_caller]
pub(crate) fn fails<T: std::fmt::Debug>(outcome: Result<T>, kind: ErrorKind) -> Error {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    if error.status().is_some() && !error.is_wrong_address() {
        refused();
    }
    if kind == ErrorKind::Invalid {
        N_REFUSED_BEFORE.set(N_REFUSED_BEFORE.get() + 1);
    }
    error
}

/// A value that is longer than the server takes an address for.
pub(crate) fn long() -> String {
    "x".repeat(9_000)
}

/// An address that is longer than the server takes is not sent.
#[track_caller]
pub(crate) fn too_long<T: std::fmt::Debug>(outcome: Result<T>, parameter: &str) {
    let error = fails(outcome, ErrorKind::Invalid).to_string();
    assert!(error.contains(&format!("{parameter} is too long")), "{error}");
}

#[track_caller]
pub(crate) fn missing<T: std::fmt::Debug>(outcome: Result<T>) {
    fails(outcome, ErrorKind::NotFound);
}

/// The server has no such route, as the address is wrong.
#[track_caller]
pub(crate) fn lost<T: std::fmt::Debug>(outcome: Result<T>) {
    fails(outcome, ErrorKind::WrongAddress);
    N_LOST.set(N_LOST.get() + 1);
}

/// Runs the test of a row's error: the server has refused something, or where it refuses nothing, the address was wrong.
fn refuse(row: &Row, api: &Api) {
    N_REFUSED.set(0);
    N_LOST.set(0);
    N_REFUSED_BEFORE.set(0);
    (row.error)(api);
    let (n_refused, n_lost) = (N_REFUSED.get(), N_LOST.get());
    assert!(row.never != REFUSED_BEFORE || N_REFUSED_BEFORE.get() > 0, "nothing was refused, although {}", row.never);
    match row.never {
        "" => assert!(n_refused > 0, "the server has refused nothing: say why in the table"),
        why => assert!(n_refused == 0 && n_lost > 0, "{n_refused} refusals, {n_lost} wrong addresses, although {why}"),
    }
}

#[track_caller]
pub(crate) fn holds(json: &RawJson, value: &serde_json::Value) {
    assert_eq!(json.to_value().unwrap(), *value);
}

/// It was a moment ago, by the clocks of both sides.
#[track_caller]
pub(crate) fn just_now(at: Option<SystemTime>) {
    let since = at.expect("it is told").elapsed().unwrap_or_default();
    assert!(since < LONG, "{since:?} ago");
}

/// Lets a time pass.
pub(crate) fn pass(time: Duration) {
    crossbeam_channel::after(time).recv().unwrap();
}

/// Asks until there is something.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LONG;
    loop {
        if let Some(thing) = ask() {
            return thing;
        }
        assert!(Instant::now() < end, "in vain: {what}");
        pass(Duration::from_millis(100));
    }
}

/// Runs a row; what it says when it fails.
fn run(test: impl Fn(&Api), client: &Client) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(|| test(&Api::new(client)))).err()?;
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
}

/// Runs rows, some at a time; what those say that fail.
fn run_all<'r, T: Fn(&Api) + Send>(rows: impl IntoIterator<Item = (&'r str, T)>, client: &Client) {
    let rows = Mutex::new(rows.into_iter().collect::<Vec<_>>().into_iter());
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..N_AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((name, test)) = rows.lock().unwrap().next() else { break };
                    if let Some(said) = run(test, client) {
                        failures.lock().unwrap().push(format!("{name}: {said}"));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// The real server; without one the test says that it does nothing.
#[expect(clippy::print_stderr, reason = "a test that did not run must not look as if it had")]
fn real() -> Option<Client> {
    let config = Config::from_env_if_set().unwrap();
    if config.is_none() {
        eprintln!("NOT RUN: CONDUCTOR_SERVER_URL names no real server");
    }
    config.map(|config| Client::new(config).unwrap())
}

fn every_row() -> impl Iterator<Item = &'static Row> {
    OPERATIONS.iter().chain(REAL_ONLY)
}

#[test]
fn the_real_server_does_every_operation() {
    if let Some(client) = real() {
        run_all(every_row().filter_map(|row| Some((row.operation, row.success?))), &client);
    }
}

#[test]
fn the_real_server_says_why_it_can_not() {
    if let Some(client) = real() {
        run_all(every_row().map(|row| (row.operation, move |api: &Api| refuse(row, api))), &client);
    }
}

#[test]
fn calls_have_their_effects_on_the_real_server() {
    if let Some(client) = real() {
        run_all(EFFECTS.iter().copied(), &client);
    }
}

#[test]
fn the_embedded_server_does_what_it_serves_and_says_why_it_can_not() {
    let embedded = EmbeddedServer::start().unwrap();
    let client = Client::new(Config::new(&embedded.url()).unwrap()).unwrap();
    run_all(OPERATIONS.iter().filter_map(|row| Some((row.operation, row.success?))), &client);
    run_all(OPERATIONS.iter().map(|row| (row.operation, move |api: &Api| refuse(row, api))), &client);
}

#[test]
fn waiting_and_starting_once_work_on_any_server() {
    let embedded = EmbeddedServer::start().unwrap();
    let config = Config::from_env_if_set().unwrap().unwrap_or_else(|| Config::new(&embedded.url()).unwrap());
    let api = Api::new(&Client::new(config).unwrap());
    let workflows = api.client.workflows();
    let name = api.register(&["a"]);
    let late = fails(workflows.run(&StartWorkflowRequest::new(&name), Duration::from_millis(200)), ErrorKind::Deadline);
    assert!(late.to_string().contains("SCHEDULED, which no worker has fetched"), "{late}");
    let first = late.workflow_state().expect("it has been started").clone();
    assert_eq!(first.status, WorkflowStatus::Running);
    api.end(TaskResultStatus::Completed);
    let done = workflows.wait(&first.workflow_id, Duration::from_secs(20)).unwrap();
    assert_eq!((done.status, done.tasks.len()), (WorkflowStatus::Completed, 1));
    let once = StartWorkflowRequest::new(&name).correlation_id("only / one");
    let started = workflows.start_once(&once, Duration::from_secs(20)).unwrap();
    assert!(matches!(started, StartOutcome::Started(_)));
    api.end(TaskResultStatus::Completed);
    let again = workflows.start_once(&once, Duration::from_secs(20)).unwrap();
    assert_eq!(again, StartOutcome::Found(started.workflow_id().to_owned()), "also when it has ended");
    let ids = [first.workflow_id.as_str(), "nope", started.workflow_id()];
    let ended = workflows.wait_all(&ids, Duration::from_secs(20));
    assert_eq!(ended.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    assert!(ended[1].as_ref().unwrap_err().is_not_found());
}
