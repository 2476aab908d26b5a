//! Tasks: one execution of a task as the server sees it, the result a worker reports, and the calls under `/tasks`.

mod lookup;
mod queue;
mod signal;

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result, excerpt},
    http::{Http, Method, Request},
    json::{Field, RawJson, length, times, wire, wire_enum},
    metadata::{TaskDef, WorkflowTask, whole_seconds},
    workflow::Workflow,
};

pub use lookup::{ExternalStorageLocation, PayloadOperation, PayloadType, TaskSummary};
pub use queue::QueueShard;
pub use signal::{ReturnStrategy, SignalRequest, SignalResponse, TaskRun, WorkflowRun};
pub(crate) use {
    lookup::storage_location,
    signal::{check_strategy, check_waiting_time},
};

wire_enum! {
    /// The state of a task on the server.
    pub enum TaskStatus {
        /// In the queue, waiting for a worker.
        Scheduled = "SCHEDULED",
        /// Handed to a worker.
        InProgress = "IN_PROGRESS",
        /// Done.
        Completed = "COMPLETED",
        /// Failed, but optional, and another task followed.
        CompletedWithErrors = "COMPLETED_WITH_ERRORS",
        /// Failed; retried while the definition allows.
        Failed = "FAILED",
        /// Failed for good.
        FailedWithTerminalError = "FAILED_WITH_TERMINAL_ERROR",
        /// The server did not hear of it in time.
        TimedOut = "TIMED_OUT",
        /// Ended from outside, with its workflow.
        Canceled = "CANCELED",
        /// Skipped on request.
        Skipped = "SKIPPED",
    }
}

impl TaskStatus {
    /// Whether the server accepts no further change; false for a value this crate does not know.
    pub fn is_terminal(&self) -> bool {
        !matches!(self, Self::Scheduled | Self::InProgress | Self::Other(_))
    }
}

wire_enum! {
    /// What a worker may report.
    pub enum TaskResultStatus {
        /// Back into the queue, to be handed out again after `callbackAfterSeconds`.
        InProgress = "IN_PROGRESS",
        /// Done.
        Completed = "COMPLETED",
        /// Failed; the server retries while the task definition allows.
        Failed = "FAILED",
        /// Failed for good: no retry.
        FailedWithTerminalError = "FAILED_WITH_TERMINAL_ERROR",
        /// Ends the whole workflow as TERMINATED.
        Canceled = "CANCELED",
    }
}

wire! {
    /// One execution of a task.
    ///
    /// Times are milliseconds since 1970, 0 where there is none yet.
    pub struct Task {
        /// The queue it came from; for a SIMPLE task the name of its definition.
        pub task_type: String = "taskType",
        /// The state; empty text in `Other` when missing.
        pub status: TaskStatus = "status",
        /// The input, as the server resolved it. Empty when it was too large and is stored outside.
        pub input_data: RawJson = "inputData",
        /// The name of its node in the workflow definition; ends in `__N` in round N of a loop.
        pub reference_task_name: String = "referenceTaskName",
        /// Which attempt this is, from 0.
        pub retry_count: i32 = "retryCount",
        /// Its place in the workflow, from 1.
        pub seq: i32 = "seq",
        /// The workflow's correlation id.
        pub correlation_id: Option<String> = "correlationId",
        /// How often this attempt was handed out.
        pub poll_count: i32 = "pollCount",
        /// The name of its definition.
        pub task_def_name: String = "taskDefName",
        /// When it was put into the queue.
        pub scheduled_time: i64 = "scheduledTime",
        /// When this attempt was first handed out.
        pub start_time: i64 = "startTime",
        /// When it ended.
        pub end_time: i64 = "endTime",
        /// When it was last handed out or its lease extended.
        pub update_time: i64 = "updateTime",
        /// The delay before this attempt, seconds.
        pub start_delay_in_seconds: i32 = "startDelayInSeconds",
        /// The id of the attempt before this one.
        pub retried_task_id: Option<String> = "retriedTaskId",
        /// Whether another attempt followed.
        pub retried: bool = "retried",
        /// The server's bookkeeping: whether the workflow went on from it.
        pub executed: bool = "executed",
        /// Whether a worker, not the server, executes it.
        pub callback_from_worker: bool = "callbackFromWorker",
        /// How long the server waits to hear of it before it times out, seconds; 0 when missing.
        pub response_timeout_seconds: i64 = "responseTimeoutSeconds",
        /// The id of its workflow.
        pub workflow_instance_id: String = "workflowInstanceId",
        /// The name of its workflow.
        pub workflow_type: String = "workflowType",
        /// Its id.
        pub task_id: String = "taskId",
        /// Why it did not complete; a retry carries the text of the attempt before.
        pub reason_for_incompletion: Option<String> = "reasonForIncompletion",
        /// How long it stays hidden in the queue, seconds.
        pub callback_after_seconds: i64 = "callbackAfterSeconds",
        /// The worker that polled or reported it last.
        pub worker_id: Option<String> = "workerId",
        /// The output so far.
        pub output_data: RawJson = "outputData",
        /// Its node in the workflow definition; [`Task::workflow_task`] decodes it.
        pub workflow_task: Option<RawJson> = "workflowTask",
        /// The domain it is queued in.
        pub domain: Option<String> = "domain",
        /// Hand-outs allowed per interval; 0 is no limit.
        pub rate_limit_per_frequency: i32 = "rateLimitPerFrequency",
        /// The interval of the rate limit, seconds.
        pub rate_limit_frequency_in_seconds: i32 = "rateLimitFrequencyInSeconds",
        /// Where the input is stored when it was too large.
        pub external_input_payload_storage_path: Option<String> = "externalInputPayloadStoragePath",
        /// Where the output is stored when it was too large.
        pub external_output_payload_storage_path: Option<String> = "externalOutputPayloadStoragePath",
        /// The priority of its workflow, 0 to 99, 99 first.
        pub workflow_priority: i32 = "workflowPriority",
        /// The execution namespace of its definition.
        pub execution_name_space: Option<String> = "executionNameSpace",
        /// The isolation group of its definition.
        pub isolation_group_id: Option<String> = "isolationGroupId",
        /// The round of the loop it is in; 0 outside loops.
        pub iteration: i32 = "iteration",
        /// The workflow it started, for a SUB_WORKFLOW task.
        pub sub_workflow_id: Option<String> = "subWorkflowId",
        /// Whether that workflow changed since it was last looked at.
        pub subworkflow_changed: bool = "subworkflowChanged",
        /// The task it belongs to, for tasks inside another.
        pub parent_task_id: Option<String> = "parentTaskId",
        /// When the first attempt started; always 0 on 3.32.1.
        pub first_start_time: i64 = "firstStartTime",
        /// Latencies the server collects.
        pub execution_metadata: Option<RawJson> = "executionMetadata",
        /// Secrets and environment values resolved for this hand-out.
        pub runtime_metadata: RuntimeMetadata = "runtimeMetadata",
        /// Its definition, as it was when the workflow started; [`Task::task_definition`] decodes it.
        pub task_definition: Option<RawJson> = "taskDefinition",
        /// Whether it runs inside a loop.
        pub loop_over_task: bool = "loopOverTask",
        /// How long it waited in the queue, milliseconds.
        pub queue_wait_time: i64 = "queueWaitTime",
    }
}

impl Task {
    /// Its node in the workflow definition.
    ///
    /// Decoded when asked for: with the definition it is two thirds of a task's text, and few handlers look at it.
    ///
    /// # Errors
    /// When the text is no such node.
    pub fn workflow_task(&self) -> Result<Option<WorkflowTask>> {
        self.workflow_task.as_ref().map(RawJson::decode).transpose()
    }

    /// Its definition, as it was when the workflow started; decoded when asked for.
    ///
    /// # Errors
    /// When the text is no task definition.
    pub fn task_definition(&self) -> Result<Option<TaskDef>> {
        self.task_definition.as_ref().map(RawJson::decode).transpose()
    }
}

/// Secrets and environment values that the server resolved for one hand-out of a task.
///
/// The definition names them in `runtimeMetadata`. Debug output shows the names only, but they are written when the
/// task is serialised.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuntimeMetadata(BTreeMap<String, String>);

impl RuntimeMetadata {
    /// The value with this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl fmt::Debug for RuntimeMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl Field for RuntimeMetadata {}

wire! {
    /// What a worker reports about a task: `POST /tasks`.
    ///
    /// ```
    /// use conductor_sync::{TaskResult, TaskResultStatus};
    /// let result = TaskResult::new("workflow-id", "task-id", TaskResultStatus::Completed)
    ///     .output(serde_json::json!({"parcel": 7}))
    ///     .log("weighed");
    /// assert_eq!(result.logs.len(), 1);
    /// ```
    pub struct TaskResult {
        /// The workflow of the task. The server refuses an empty one.
        pub workflow_instance_id: String = "workflowInstanceId",
        /// The task. The server refuses an empty one.
        pub task_id: String = "taskId",
        /// The verdict. The server answers 500 when it is missing, unless `extend_lease` is set.
        pub status: TaskResultStatus = "status",
        /// Why it failed; the server keeps the first 500 characters.
        pub reason_for_incompletion: Option<String> = "reasonForIncompletion",
        /// For IN_PROGRESS: how long the task stays hidden in the queue, seconds. Negative values strand a task on 3.32.1.
        pub callback_after_seconds: i64 = "callbackAfterSeconds",
        /// Who reports. It overwrites the worker id on the server, also when missing.
        pub worker_id: Option<String> = "workerId",
        /// The output. It **replaces** what was there: a missing one wipes it.
        pub output_data: Option<RawJson> = "outputData",
        /// Log lines; the server keeps the first 10 of each report.
        pub logs: Vec<TaskExecLog> = "logs",
        /// Where the output is stored, when it is not here.
        pub external_output_payload_storage_path: Option<String> = "externalOutputPayloadStoragePath",
        /// The workflow that this task started.
        pub sub_workflow_id: Option<String> = "subWorkflowId",
        /// Makes this a lease extension: the server then ignores everything but the two ids.
        pub extend_lease: bool = "extendLease",
        /// Whether the worker can be told to stop; no effect on 3.32.1.
        pub supports_cancellation: bool = "supportsCancellation",
        /// Latencies the worker measured; ignored by 3.32.1.
        pub execution_metadata: Option<RawJson> = "executionMetadata",
    }
}

impl TaskResult {
    /// A report about the task `task_id` of the workflow `workflow_instance_id`.
    pub fn new(
        workflow_instance_id: impl Into<String>,
        task_id: impl Into<String>,
        status: impl Into<TaskResultStatus>,
    ) -> Self {
        Self {
            workflow_instance_id: workflow_instance_id.into(),
            task_id: task_id.into(),
            status: status.into(),
            ..Self::default()
        }
    }

    /// Sets the output; a value that is no object is for the caller to wrap, the server refuses it.
    #[must_use]
    pub fn output(mut self, output: impl Into<RawJson>) -> Self {
        self.output_data = Some(output.into());
        self
    }

    /// Sets the reason.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason_for_incompletion = Some(reason.into());
        self
    }

    /// Adds a log line with the present time.
    #[must_use]
    pub fn log(mut self, line: impl Into<String>) -> Self {
        self.logs.push(TaskExecLog::now(line));
        self
    }

    /// Sets how long an IN_PROGRESS task stays hidden; rounded up to whole seconds.
    #[must_use]
    pub fn callback_after(mut self, pause: Duration) -> Self {
        self.callback_after_seconds = whole_seconds(pause);
        self
    }

    /// Sets who reports.
    #[must_use]
    pub fn worker_id(mut self, worker_id: impl Into<String>) -> Self {
        self.worker_id = Some(worker_id.into());
        self
    }
}

wire! {
    /// A line of a task's log.
    pub struct TaskExecLog {
        /// The text.
        pub log: String = "log",
        /// The task it belongs to; the server fills it in.
        pub task_id: Option<String> = "taskId",
        /// When it was written, milliseconds since 1970.
        pub created_time: i64 = "createdTime",
    }
}

impl TaskExecLog {
    /// A line written now.
    pub fn now(log: impl Into<String>) -> Self {
        let mut line = Self { log: log.into(), created_time: epoch_millis(SystemTime::now()), ..Self::default() };
        line.keep_text();
        line
    }

    /// Has the text written also where it is empty: an entry without one is refused (3.32.1, with sqlite) when the task has been
    /// completed already, and its workflow then stands still.
    pub(crate) fn keep_text(&mut self) {
        if self.log.is_empty() {
            self.extra.keep_default("log");
        }
    }

    pub(crate) fn has_no_text(&self) -> bool {
        self.log.is_empty() && self.extra.came_as_null("log") != Some(false)
    }
}

wire! {
    /// When workers last polled a queue.
    pub struct PollData {
        /// The task type.
        pub queue_name: String = "queueName",
        /// The domain, if any.
        pub domain: Option<String> = "domain",
        /// The worker that polled last.
        pub worker_id: Option<String> = "workerId",
        /// When, milliseconds since 1970.
        pub last_poll_time: i64 = "lastPollTime",
    }
}

/// Which tasks to fetch, for [`TaskClient::poll`] and [`TaskClient::poll_batch`].
///
/// ```
/// use std::time::Duration;
/// use conductor_sync::PollRequest;
/// let request = PollRequest::new("greet").domain("eu").count(5).timeout(Duration::from_millis(500));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct PollRequest {
    task_type: String,
    worker_id: Option<String>,
    domain: Option<String>,
    count: usize,
    timeout: Duration,
}

impl PollRequest {
    /// One task of `task_type`, without waiting for it.
    pub fn new(task_type: impl Into<String>) -> Self {
        Self { task_type: task_type.into(), worker_id: None, domain: None, count: 1, timeout: Duration::ZERO }
    }

    /// Says who polls; the server keeps it with the task.
    pub fn worker_id(mut self, worker_id: impl Into<String>) -> Self {
        self.worker_id = Some(worker_id.into());
        self
    }

    /// Polls the queue of a domain. An empty name means none: the server would take it for a queue of its own (3.32.1).
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into()).filter(|d: &String| !d.trim().is_empty());
        self
    }

    /// Sets how many tasks to fetch at most. Defaults to 1. For a batch only.
    pub fn count(mut self, count: usize) -> Self {
        self.count = count;
        self
    }

    /// Sets how long the server may wait until `count` tasks are there, at most 5 s. Defaults to not waiting. For a batch
    /// only. The server waits the whole time when there are fewer (3.32.1).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Why this is no batch poll. A poll is cut off at the client's limit, so the server has to answer before.
    fn problem(&self, limit: Duration) -> Option<String> {
        let Self { count, timeout, .. } = self;
        if *timeout > MAX_POLL_TIMEOUT {
            Some(format!("timeout is {timeout:?}; it must not be above 5 s, which the server refuses"))
        } else if *timeout >= limit {
            Some(format!(
                "timeout is {timeout:?}; it must be below Config::request_timeout, which is {limit:?}, or tasks are lost with answers that come too late"
            ))
        } else if !(1..=MAX_POLL_COUNT).contains(count) {
            Some(format!("count is {count}; it must be from 1 to {MAX_POLL_COUNT}"))
        } else {
            None
        }
    }
}

impl From<&str> for PollRequest {
    fn from(task_type: &str) -> Self {
        Self::new(task_type)
    }
}

/// A report about the pending task with a reference name, for [`TaskClient::update_by_reference`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ReferenceUpdate {
    workflow_id: String,
    reference: String,
    status: TaskResultStatus,
    output: RawJson,
    worker_id: Option<String>,
}

impl ReferenceUpdate {
    /// Gives the pending task called `reference` in the workflow `workflow_id` a new status.
    pub fn new(workflow_id: impl Into<String>, reference: impl Into<String>, status: TaskResultStatus) -> Self {
        Self {
            workflow_id: workflow_id.into(),
            reference: reference.into(),
            status,
            output: RawJson::default(),
            worker_id: None,
        }
    }

    /// Sets the output, an object. It is **merged** into what is there, unlike the output of a [`TaskResult`].
    pub fn output(mut self, output: impl Into<RawJson>) -> Self {
        self.output = output.into();
        self
    }

    /// Says who reports.
    pub fn worker_id(mut self, worker_id: impl Into<String>) -> Self {
        self.worker_id = Some(worker_id.into());
        self
    }
}

/// The calls under `/tasks`. From [`Client::tasks`](crate::Client::tasks).
///
/// ```
/// # #[cfg(feature = "embedded")] {
/// use conductor_sync::*;
/// # let server = embedded::EmbeddedServer::start()?;
/// # let client = Client::new(Config::new(&server.url())?)?;
/// client.metadata().register_workflow(&WorkflowDef::new("hello").task(WorkflowTask::simple("greet", "greet_ref")))?;
/// let workflow_id = client.workflows().start(&StartWorkflowRequest::new("hello"))?;
/// let task = client.tasks().poll("greet")?.expect("a task is due");
/// let result = TaskResult::new(&workflow_id, &task.task_id, TaskResultStatus::Completed);
/// client.tasks().update(&result.output(serde_json::json!({"text": "hello"})))?;
/// assert_eq!(client.tasks().get(&task.task_id)?.status, TaskStatus::Completed);
/// # }
/// # Ok::<(), conductor_sync::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TaskClient {
    http: Arc<Http>,
}

impl TaskClient {
    pub(crate) fn new(http: Arc<Http>) -> Self {
        Self { http }
    }

    /// Fetches one task: `GET /tasks/poll/{taskType}`. The server waits up to 100 ms for one.
    ///
    /// What is fetched is IN_PROGRESS at once: when the answer is lost on its way, the task waits for its response timeout.
    /// `None` may also mean that the queue could not be read: the server does not tell (3.32.1).
    ///
    /// # Errors
    /// When the type can't stand in a path, or the server can't be reached or refuses.
    pub fn poll(&self, request: impl Into<PollRequest>) -> Result<Option<Task>> {
        let poll = request.into();
        let request =
            Request::new(Method::Get, "/tasks/poll/{taskType}", &[&poll.task_type], ("poll", &poll.task_type))?
                .query_some("workerid", poll.worker_id.as_deref())
                .query_some("domain", poll.domain.as_deref());
        self.http.send(&request)?.json_or_empty()
    }

    /// Fetches up to `count` tasks: `GET /tasks/poll/batch/{taskType}`. Those of the highest priority are chosen, but come in no
    /// order (3.32.1).
    ///
    /// One task that can't be decoded fails the whole call here; a [`TaskRunner`](crate::TaskRunner) is more patient.
    ///
    /// # Errors
    /// When the type can't stand in a path, the count is 0 or beyond 31 bits, the timeout is above 5 s or not below
    /// [`Config::request_timeout`](crate::Config::request_timeout), or the server can't be reached or refuses.
    pub fn poll_batch(&self, request: impl Into<PollRequest>) -> Result<Vec<Task>> {
        let poll = request.into();
        let about = ("poll", poll.task_type.as_str());
        if let Some(what) = poll.problem(self.http.request_timeout()) {
            return Err(Error::invalid(format!("poll {}", excerpt(&poll.task_type)), what));
        }
        let request = Request::new(Method::Get, "/tasks/poll/batch/{taskType}", &[&poll.task_type], about)?
            .query("count", &poll.count.to_string())
            .query("timeout", &poll.timeout.as_millis().to_string())
            .query_some("workerid", poll.worker_id.as_deref())
            .query_some("domain", poll.domain.as_deref());
        self.http.send(&request)?.json()
    }

    /// The task with this id: `GET /tasks/{taskId}`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is none; otherwise when the server can't be reached or refuses.
    pub fn get(&self, task_id: &str) -> Result<Task> {
        let about = ("get task", task_id);
        let request = Request::new(Method::Get, "/tasks/{taskId}", &[task_id], about)?;
        let task: Task = self.http.send_safe(&request)?.json()?;
        if task.task_id.is_empty() { Err(Error::no_such(about)) } else { Ok(task) }
    }

    /// Reports about a task: `POST /tasks`.
    ///
    /// The server answers alike whether it uses the report or ignores it (the task or its workflow has ended already): to
    /// know, look at the task. An output beyond its limit (10 MiB unless it is told otherwise) is answered as any other too, and
    /// the task is then FAILED_WITH_TERMINAL_ERROR with the size in its reason (3.32.1).
    ///
    /// # Errors
    /// When an id is empty, the status is none of this crate's, the output is no object, the callback time is negative, the task
    /// or the workflow does not exist, or the server can't be reached or refuses.
    pub fn update(&self, result: &TaskResult) -> Result<()> {
        check_result(result)?;
        let request = Request::new(Method::Post, "/tasks", &[], ("update task", &result.task_id))?.json(result)?;
        self.http.send(&request)?.done()
    }

    /// Reports about a task and fetches the next one of its type and domain: `POST /tasks/update-v2`.
    ///
    /// `None` when no task is due, or the report leaves its own one unfinished. The next task is fetched by the worker that
    /// the report names, as by [`TaskClient::poll`]; while none is due, the server takes about 100 ms to acknowledge.
    ///
    /// # Errors
    /// As [`TaskClient::update`]. With [`Error::is_ambiguous`] the report may have been heard and a task handed out that
    /// nobody has: repeat with [`TaskClient::update`], so that no second one is.
    pub fn update_and_poll(&self, result: &TaskResult) -> Result<Option<Task>> {
        check_result(result)?;
        let about = ("update task", result.task_id.as_str());
        let request = Request::new(Method::Post, "/tasks/update-v2", &[], about)?.json(result)?;
        self.http.send(&request)?.json_or_empty()
    }

    /// Reports about the pending task with a reference name: `POST /tasks/{workflowId}/{reference}/{status}`.
    ///
    /// Returns the id of the task, or `None` when the workflow has no pending task of that name or does not exist: the
    /// server answers both alike (3.32.1). It acknowledges too large an output as at [`TaskClient::update`].
    ///
    /// # Errors
    /// When an id or the reference can't stand in a path, the status is none of this crate's, the output is no object, or the
    /// server can't be reached or refuses.
    pub fn update_by_reference(&self, update: &ReferenceUpdate) -> Result<Option<String>> {
        let request = Self::reference_request("/tasks/{workflowId}/{reference}/{status}", update)?;
        let id = self.http.send(&request)?.text()?;
        Ok(Some(id).filter(|id| !id.is_empty()))
    }

    /// As [`TaskClient::update_by_reference`], returning the workflow as it is afterwards:
    /// `POST /tasks/{workflowId}/{reference}/{status}/sync`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when no task of that name is pending; otherwise when the server can't be reached or refuses.
    pub fn update_by_reference_sync(&self, update: &ReferenceUpdate) -> Result<Workflow> {
        let request = Self::reference_request("/tasks/{workflowId}/{reference}/{status}/sync", update)?;
        self.http.send(&request)?.json()
    }

    pub(crate) fn reference_request<'a>(route: &'static str, update: &'a ReferenceUpdate) -> Result<Request<'a>> {
        check_report(("update task", &update.reference), &update.status, &update.output)?;
        let values = [update.workflow_id.as_str(), &update.reference, update.status.as_str()];
        Request::new(Method::Post, route, &values, ("update task", &update.reference))?
            .query_some("workerid", update.worker_id.as_deref())
            .json(&update.output)
    }

    /// Adds a line to the log of a task: `POST /tasks/{taskId}/log`. The server does not check that the task exists.
    ///
    /// # Errors
    /// When the line is empty, which the server refuses, or the server can't be reached or refuses.
    pub fn add_log(&self, task_id: &str, line: &str) -> Result<()> {
        if line.is_empty() {
            return Err(Error::invalid("add log", "line must not be empty"));
        }
        let request = Request::new(Method::Post, "/tasks/{taskId}/log", &[task_id], ("add log to task", task_id))?;
        self.http.send(&request.text(line))?.done()
    }

    /// The log of a task: `GET /tasks/{taskId}/log`; empty also for a task that does not exist.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn logs(&self, task_id: &str) -> Result<Vec<TaskExecLog>> {
        let request = Request::new(Method::Get, "/tasks/{taskId}/log", &[task_id], ("get log of task", task_id))?;
        Ok(self.http.send_safe(&request)?.json_or_empty()?.unwrap_or_default())
    }

    /// How many tasks of a type wait: `GET /tasks/queue/size`. `domain` as in [`PollRequest::domain`].
    ///
    /// # Errors
    /// When the type is empty, or the server can't be reached or refuses.
    pub fn queue_size(&self, task_type: &str, domain: Option<&str>) -> Result<u64> {
        check_type("get queue size", task_type)?;
        let request = Request::new(Method::Get, "/tasks/queue/size", &[], ("get queue size of", task_type))?
            .query("taskType", task_type)
            .query_some("domain", domain.filter(|d| !d.trim().is_empty()));
        self.http.send_safe(&request)?.json()
    }

    /// Who polled a type last, one entry for each domain: `GET /tasks/queue/polldata`.
    ///
    /// # Errors
    /// When the type is empty, or the server can't be reached or refuses.
    pub fn poll_data(&self, task_type: &str) -> Result<Vec<PollData>> {
        check_type("get poll data", task_type)?;
        let request = Request::new(Method::Get, "/tasks/queue/polldata", &[], ("get poll data of", task_type))?
            .query("taskType", task_type);
        self.http.send_safe(&request)?.json()
    }
}

fn check_result(result: &TaskResult) -> Result<()> {
    for (name, id) in [("taskId", &result.task_id), ("workflowInstanceId", &result.workflow_instance_id)] {
        if id.is_empty() {
            return Err(Error::invalid("update task", format!("{name} must not be empty")));
        }
    }
    if result.output_data.as_ref().is_some_and(|output| !output.is_object() && !output.is_null()) {
        let message = "output_data must be a JSON object: wrap it in one, for instance as {\"result\": …}";
        return Err(Error::invalid(format!("update task {}", excerpt(&result.task_id)), message));
    }
    if result.extend_lease {
        // Nothing but the ids counts.
        return Ok(());
    }
    let problem = match result.callback_after_seconds {
        _ if result.logs.iter().any(TaskExecLog::has_no_text) => Some("an entry of logs has no `log`".to_owned()),
        ..0 => Some(format!("callback_after_seconds is {}; it must not be negative", result.callback_after_seconds)),
        _ => result.status.problem("status"),
    };
    problem.map_or(Ok(()), |what| Err(Error::invalid(format!("update task {}", excerpt(&result.task_id)), what)))
}

/// Checks what a report that is no [`TaskResult`] says.
pub(crate) fn check_report(about: (&str, &str), status: &TaskResultStatus, output: &RawJson) -> Result<()> {
    let problem = status.problem("status").or_else(|| {
        (!output.is_object()).then(|| format!("output must be a JSON object (given: `{}`)", excerpt(output.get())))
    });
    problem.map_or(Ok(()), |what| Err(Error::invalid(format!("{} {}", about.0, excerpt(about.1)).trim_end(), what)))
}

/// In a query an empty type is no error to the server: it counts nothing.
fn check_type(operation: &str, task_type: &str) -> Result<()> {
    match task_type.trim().is_empty() {
        true => Err(Error::invalid(operation, "task_type must not be empty")),
        false => Ok(()),
    }
}

/// The server reads the number of tasks as a 32-bit integer.
const MAX_POLL_COUNT: usize = i32::MAX as usize;

/// The server refuses a longer wait with a 400 (3.32.1).
pub(crate) const MAX_POLL_TIMEOUT: Duration = Duration::from_secs(5);

/// Longer times are as good as this one, which can be added to an `Instant`. Servers and callers say "never" with the
/// largest number there is.
pub(crate) const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);

impl Task {
    /// How long it waited in the queue.
    pub fn waited(&self) -> Duration {
        length(self.queue_wait_time)
    }
}

times! {
    Task {
        /// When it was put into its queue; `None` before.
        scheduled_at = scheduled_time;
        /// When it was handed out first; `None` before.
        started_at = start_time;
        /// When the server last wrote it.
        updated_at = update_time;
        /// When it ended; `None` before.
        ended_at = end_time;
    }
}

times! {
    TaskExecLog {
        /// When the line was written.
        created_at = created_time;
    }
}

times! {
    PollData {
        /// When the worker last polled.
        last_polled_at = last_poll_time;
    }
}

/// Milliseconds since 1970 for the wire.
pub(crate) fn epoch_millis(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
