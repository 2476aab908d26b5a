//! Every operation under `/tasks`, `/workflow` and `/workflow/bulk`, called through the client against a server: what it does,
//! and what it says when it can't. Against the real server when `CONDUCTOR_SERVER_URL` is set, else against the embedded one,
//! which leaves out what that does not serve.

#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests stand outside #[test] functions")]

#[path = "api/bulk.rs"]
mod bulk;
#[path = "api/tasks.rs"]
mod tasks;
#[path = "api/workflows.rs"]
mod workflows;

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    process,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use conductor_sync::{
    Client, Config, Error, ErrorKind, PollRequest, RawJson, Result, StartOutcome, StartWorkflowRequest, Task, TaskDef,
    TaskResult, TaskResultStatus, WorkflowDef, WorkflowStatus, WorkflowTask, embedded::EmbeddedServer,
};
use serde_json::json;

/// What a row runs.
type Test = fn(&Api);

/// Each operation, the method that calls it, and the test.
const OPERATIONS: &[(&str, &str, Test)] = &[
    ("GET /tasks/poll/{type}", "TaskClient::poll", tasks::poll),
    ("GET /tasks/poll/batch/{type}", "TaskClient::poll_batch", tasks::poll_batch),
    ("POST /tasks", "TaskClient::update", tasks::update),
    ("POST /tasks/update-v2", "TaskClient::update_and_poll", tasks::update_and_poll),
    ("POST /tasks/{wfId}/{ref}/{status}", "TaskClient::update_by_reference", tasks::update_by_reference),
    ("POST /tasks/{wfId}/{ref}/{status}/sync", "TaskClient::update_by_reference_sync", tasks::update_by_reference_sync),
    ("POST /tasks/{wfId}/{status}/signal", "TaskClient::signal", tasks::signal),
    ("POST /tasks/{wfId}/{status}/signal/sync", "TaskClient::signal_sync", tasks::signal_sync),
    ("POST /tasks/{taskId}/log", "TaskClient::add_log", tasks::logs),
    ("GET /tasks/{taskId}/log", "TaskClient::logs", tasks::logs),
    ("GET /tasks/{taskId}", "TaskClient::get", tasks::get),
    ("GET /tasks/queue/size", "TaskClient::queue_size", tasks::queue_size),
    ("GET /tasks/queue/sizes", "TaskClient::queue_sizes", tasks::queue_sizes),
    ("GET /tasks/queue/all", "TaskClient::all_queue_sizes", tasks::all_queue_sizes),
    ("GET /tasks/queue/all/verbose", "TaskClient::all_queue_details", tasks::all_queue_sizes),
    ("GET /tasks/queue/polldata", "TaskClient::poll_data", tasks::poll_data),
    ("GET /tasks/queue/polldata/all", "TaskClient::all_poll_data", tasks::poll_data),
    ("POST /tasks/queue/requeue/{type}", "TaskClient::requeue", tasks::requeue),
    ("GET /tasks/search", "TaskClient::search", tasks::search),
    ("GET /tasks/search-v2", "TaskClient::search_tasks", tasks::search_tasks),
    ("GET /tasks/externalstoragelocation", "TaskClient::external_storage_location", tasks::external_storage),
    ("POST /workflow", "WorkflowClient::start", workflows::start),
    ("POST /workflow/{name}", "WorkflowClient::start_by_name", workflows::start_by_name),
    ("POST /workflow/execute/{name}/{version}", "WorkflowClient::execute", workflows::execute),
    ("GET /workflow/{id}", "WorkflowClient::get", workflows::get),
    ("GET /workflow/{id}/status", "WorkflowClient::status", workflows::status),
    ("GET /workflow/{id}/tasks", "WorkflowClient::tasks", workflows::tasks),
    ("GET /workflow/{name}/correlated/{corrId}", "WorkflowClient::correlated", workflows::correlated),
    ("POST /workflow/{name}/correlated", "WorkflowClient::correlated_by_each", workflows::correlated),
    ("GET /workflow/running/{name}", "WorkflowClient::running", workflows::running),
    ("PUT /workflow/decide/{id}", "WorkflowClient::decide", workflows::decide),
    ("PUT /workflow/{id}/pause", "WorkflowClient::pause", workflows::pause_and_resume),
    ("PUT /workflow/{id}/resume", "WorkflowClient::resume", workflows::pause_and_resume),
    ("POST /workflow/{id}/restart", "WorkflowClient::restart", workflows::restart),
    ("POST /workflow/{id}/retry", "WorkflowClient::retry", workflows::retry),
    ("POST /workflow/{id}/rerun", "WorkflowClient::rerun", workflows::rerun),
    ("POST /workflow/{id}/resetcallbacks", "WorkflowClient::reset_callbacks", workflows::reset_callbacks),
    ("PUT /workflow/{id}/skiptask/{ref}", "WorkflowClient::skip_task", workflows::skip_task),
    ("DELETE /workflow/{id}", "WorkflowClient::terminate", workflows::terminate),
    ("DELETE /workflow/{id}/remove", "WorkflowClient::remove", workflows::remove),
    ("DELETE /workflow/{id}/terminate-remove", "WorkflowClient::terminate_and_remove", workflows::terminate_and_remove),
    ("GET /workflow/search", "WorkflowClient::search", workflows::search),
    ("GET /workflow/search-v2", "WorkflowClient::search_workflows", workflows::search_workflows),
    ("GET /workflow/search-by-tasks", "WorkflowClient::search_by_tasks", workflows::search_by_tasks),
    (
        "GET /workflow/search-by-tasks-v2",
        "WorkflowClient::search_workflows_by_tasks",
        workflows::search_workflows_by_tasks,
    ),
    ("GET /workflow/externalstoragelocation", "WorkflowClient::external_storage_location", workflows::external_storage),
    ("POST /workflow/test", "WorkflowClient::test", workflows::test),
    ("POST /workflow/{id}/messages", "WorkflowClient::send_message", workflows::send_message),
    ("PUT /workflow/bulk/pause", "WorkflowBulkClient::pause", bulk::pause_and_resume),
    ("PUT /workflow/bulk/resume", "WorkflowBulkClient::resume", bulk::pause_and_resume),
    ("POST /workflow/bulk/restart", "WorkflowBulkClient::restart", bulk::restart),
    ("POST /workflow/bulk/retry", "WorkflowBulkClient::retry", bulk::retry),
    ("POST /workflow/bulk/terminate", "WorkflowBulkClient::terminate", bulk::terminate),
    ("DELETE /workflow/bulk/remove", "WorkflowBulkClient::remove", bulk::remove),
    ("DELETE /workflow/bulk/terminate-remove", "WorkflowBulkClient::terminate_and_remove", bulk::terminate_and_remove),
    ("POST /workflow/bulk/search", "WorkflowBulkClient::get", bulk::get),
];

/// What the embedded server does not serve.
const REAL_ONLY: &[&str] = &[
    "POST /tasks/{wfId}/{status}/signal",
    "POST /tasks/{wfId}/{status}/signal/sync",
    "POST /tasks/queue/requeue/{type}",
    "GET /tasks/search",
    "GET /tasks/search-v2",
    "GET /tasks/externalstoragelocation",
    "POST /workflow/execute/{name}/{version}",
    "POST /workflow/{id}/rerun",
    "POST /workflow/{id}/resetcallbacks",
    "PUT /workflow/{id}/skiptask/{ref}",
    "DELETE /workflow/{id}/terminate-remove",
    "GET /workflow/search",
    "GET /workflow/search-v2",
    "GET /workflow/search-by-tasks",
    "GET /workflow/search-by-tasks-v2",
    "GET /workflow/externalstoragelocation",
    "POST /workflow/test",
    "POST /workflow/{id}/messages",
    "PUT /workflow/bulk/pause",
    "PUT /workflow/bulk/resume",
    "POST /workflow/bulk/restart",
    "POST /workflow/bulk/retry",
    "POST /workflow/bulk/terminate",
    "DELETE /workflow/bulk/remove",
    "DELETE /workflow/bulk/terminate-remove",
    "POST /workflow/bulk/search",
];

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

#[track_caller]
pub(crate) fn fails<T: std::fmt::Debug>(outcome: Result<T>, kind: ErrorKind) -> Error {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    error
}

#[track_caller]
pub(crate) fn missing<T: std::fmt::Debug>(outcome: Result<T>) {
    fails(outcome, ErrorKind::NotFound);
}

#[track_caller]
pub(crate) fn holds(json: &RawJson, value: &serde_json::Value) {
    assert_eq!(json.to_value().unwrap(), *value);
}

/// Runs a row; what it says when it fails.
fn run(test: Test, client: &Client) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(|| test(&Api::new(client)))).err()?;
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
}

#[test]
fn every_operation_does_what_it_should_and_says_why_it_can_not() {
    let embedded = EmbeddedServer::start().unwrap();
    let real = Config::from_env_if_set().unwrap();
    let is_real = real.is_some();
    let config = real.unwrap_or_else(|| Config::new(&embedded.url()).unwrap());
    let client = Client::new(config).unwrap();
    let failures: Vec<String> = thread::scope(|scope| {
        let served = OPERATIONS.iter().filter(|row| is_real || !REAL_ONLY.contains(&row.0));
        let rows: Vec<_> = served.map(|row| (row, scope.spawn(|| run(row.2, &client)))).collect();
        let ended = rows.into_iter().filter_map(|(row, thread)| Some((row, thread.join().unwrap()?)));
        ended.map(|((operation, method, _), said)| format!("{operation} ({method}): {said}")).collect()
    });
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn waiting_and_starting_once_work_on_any_server() {
    let embedded = EmbeddedServer::start().unwrap();
    let config = Config::from_env_if_set().unwrap().unwrap_or_else(|| Config::new(&embedded.url()).unwrap());
    let api = Api::new(&Client::new(config).unwrap());
    let workflows = api.client.workflows();
    let name = api.register(&["a"]);
    let late = fails(workflows.run(&StartWorkflowRequest::new(&name), Duration::from_millis(200)), ErrorKind::Deadline);
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

#[test]
fn no_operation_and_no_method_is_listed_twice() {
    let operations: BTreeSet<&str> = OPERATIONS.iter().map(|row| row.0).collect();
    let methods: BTreeSet<&str> = OPERATIONS.iter().map(|row| row.1).collect();
    assert_eq!((operations.len(), methods.len()), (OPERATIONS.len(), OPERATIONS.len()));
    let unknown: Vec<_> = REAL_ONLY.iter().filter(|operation| !operations.contains(*operation)).collect();
    assert!(unknown.is_empty(), "not listed: {unknown:?}");
}
