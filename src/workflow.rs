//! Workflows: one execution as the server sees it, the request that starts one, and the calls under `/workflow`.

mod bulk;
mod execute;
mod look;
mod lookup;
mod steer;
mod wait;

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    error::{Error, ErrorKind, Result, excerpt},
    http::{Http, Method, Request},
    json::{RawJson, times, wire, wire_enum},
    metadata::{IdempotencyStrategy, WorkflowDef},
    task::Task,
};

pub(crate) use bulk::check_ids;
pub use bulk::{BulkOutcome, WorkflowBulkClient};
pub use execute::{ExecuteWorkflowRequest, TaskMock, WorkflowTestRequest};
pub(crate) use look::{Looks, rest_until};
pub(crate) use lookup::tasks_of;
pub use lookup::{CorrelationQuery, RunningQuery, WorkflowSummary, WorkflowTasksQuery};
pub use steer::{Removal, RerunWorkflowRequest, SkipTaskRequest};
pub(crate) use steer::{no_task_to_begin_with, said};
pub use wait::StartOutcome;

wire_enum! {
    /// The state of a workflow.
    pub enum WorkflowStatus {
        /// Under way.
        Running = "RUNNING",
        /// Schedules nothing until it is resumed.
        Paused = "PAUSED",
        /// Done.
        Completed = "COMPLETED",
        /// A task failed for good.
        Failed = "FAILED",
        /// A timeout passed.
        TimedOut = "TIMED_OUT",
        /// Ended from outside, or by a task that was CANCELED.
        Terminated = "TERMINATED",
    }
}

impl WorkflowStatus {
    /// Whether it has ended; false for a value this crate does not know.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::TimedOut | Self::Terminated)
    }
}

wire! {
    /// One execution of a workflow.
    ///
    /// Times are milliseconds since 1970, 0 where there is none yet.
    pub struct Workflow {
        /// Its id.
        pub workflow_id: String = "workflowId",
        /// The state; empty text in `Other` when missing.
        pub status: WorkflowStatus = "status",
        /// The name of its definition.
        pub workflow_name: String = "workflowName",
        /// The version of its definition.
        pub workflow_version: i32 = "workflowVersion",
        /// When it was started.
        pub start_time: i64 = "startTime",
        /// When it ended.
        pub end_time: i64 = "endTime",
        /// When it was created.
        pub create_time: i64 = "createTime",
        /// When it was changed.
        pub update_time: i64 = "updateTime",
        /// Its tasks in order, all attempts; empty when they were not asked for.
        pub tasks: Vec<Task> = "tasks",
        /// The input. Empty when it was too large and is stored outside.
        pub input: RawJson = "input",
        /// The output.
        pub output: RawJson = "output",
        /// Variables, as SET_VARIABLE tasks left them.
        pub variables: RawJson = "variables",
        /// The id its starter gave it.
        pub correlation_id: Option<String> = "correlationId",
        /// Why it did not complete.
        pub reason_for_incompletion: Option<String> = "reasonForIncompletion",
        /// Reference names of the tasks that failed.
        pub failed_reference_task_names: Vec<String> = "failedReferenceTaskNames",
        /// Names of the tasks that failed.
        pub failed_task_names: Vec<String> = "failedTaskNames",
        /// Domains for its tasks.
        pub task_to_domain: BTreeMap<String, String> = "taskToDomain",
        /// Its priority, 0 to 99, 99 first.
        pub priority: i32 = "priority",
        /// The workflow that started it.
        pub parent_workflow_id: Option<String> = "parentWorkflowId",
        /// The task that started it.
        pub parent_workflow_task_id: Option<String> = "parentWorkflowTaskId",
        /// The workflow it is a rerun of.
        pub re_run_from_workflow_id: Option<String> = "reRunFromWorkflowId",
        /// The event that started it.
        pub event: Option<String> = "event",
        /// Its definition, as it was at the start.
        pub workflow_definition: Option<Box<WorkflowDef>> = "workflowDefinition",
        /// Where the input is stored when it was too large.
        pub external_input_payload_storage_path: Option<String> = "externalInputPayloadStoragePath",
        /// Where the output is stored when it was too large.
        pub external_output_payload_storage_path: Option<String> = "externalOutputPayloadStoragePath",
        /// When it was last retried.
        pub last_retried_time: i64 = "lastRetriedTime",
        /// Earlier runs of it.
        pub history: Vec<RawJson> = "history",
        /// The key against starting twice; never stored by 3.32.1.
        pub idempotency_key: Option<String> = "idempotencyKey",
        /// The key of its rate limit.
        pub rate_limit_key: Option<String> = "rateLimitKey",
        /// Whether a rate limit holds it.
        pub rate_limited: bool = "rateLimited",
        /// Tokens that its language model tasks used, all together.
        pub aggregate_token_usage: Option<RawJson> = "aggregateTokenUsage",
        /// The application that owns it.
        pub owner_app: Option<String> = "ownerApp",
        /// Who started it.
        pub created_by: Option<String> = "createdBy",
        /// Who changed it.
        pub updated_by: Option<String> = "updatedBy",
    }
}

impl Workflow {
    /// The last attempt of the task with this reference name. Each round of a loop makes its tasks anew and calls them
    /// `{reference}__{round}`: by its plain name such a task is that of the last round it ran in.
    pub fn task(&self, reference: &str) -> Option<&Task> {
        let is_of_round = |task: &Task| {
            let name = task.reference_task_name.strip_suffix(&task.iteration.to_string());
            task.iteration > 0 && name.and_then(|name| name.strip_suffix("__")) == Some(reference)
        };
        let exact = self.tasks.iter().rev().find(|task| task.reference_task_name == reference);
        // Attempts of an earlier round may stand behind those of a later one.
        exact.or_else(|| self.tasks.iter().filter(|task| is_of_round(task)).max_by_key(|task| task.iteration))
    }
}

times! {
    Workflow {
        /// When it was made.
        created_at = create_time;
        /// When it was started.
        started_at = start_time;
        /// When the server last wrote it.
        updated_at = update_time;
        /// When it ended; `None` before.
        ended_at = end_time;
        /// When it was last retried; `None` before.
        last_retried_at = last_retried_time;
    }
}

wire! {
    /// The state of a workflow without its tasks: `GET /workflow/{id}/status`.
    pub struct WorkflowState {
        /// Its id.
        pub workflow_id: String = "workflowId",
        /// The id its starter gave it.
        pub correlation_id: Option<String> = "correlationId",
        /// The state.
        pub status: WorkflowStatus = "status",
        /// The output; empty when it was not asked for.
        pub output: RawJson = "output",
        /// The variables; empty when they were not asked for.
        pub variables: RawJson = "variables",
    }
}

wire! {
    /// Starts a workflow: `POST /workflow`.
    ///
    /// ```
    /// use conductor_sync::StartWorkflowRequest;
    /// let request = StartWorkflowRequest::new("hello").input(serde_json::json!({"name": "Ada"})).priority(9);
    /// assert_eq!(request.priority, 9);
    /// ```
    pub struct StartWorkflowRequest {
        /// The name of the definition; required even when the definition is given here.
        pub name: String = "name",
        /// Its version; the latest when missing.
        pub version: Option<i32> = "version",
        /// An id of the caller's own: see [`WorkflowClient::correlated`].
        pub correlation_id: Option<String> = "correlationId",
        /// The input, an object.
        pub input: Option<RawJson> = "input",
        /// Domains by task type, or `*` for all; a list is tried in order.
        pub task_to_domain: BTreeMap<String, String> = "taskToDomain",
        /// The definition, instead of a registered one.
        pub workflow_def: Option<WorkflowDef> = "workflowDef",
        /// Where the input is stored, when it is not here.
        pub external_input_payload_storage_path: Option<String> = "externalInputPayloadStoragePath",
        /// 0 to 99, 99 first. Defaults to 0.
        pub priority: i32 = "priority",
        /// Who starts it.
        pub created_by: Option<String> = "createdBy",
        /// A key against starting twice; **ignored** by the open-source server.
        pub idempotency_key: Option<String> = "idempotencyKey",
        /// What happens when the key is known; **ignored** by the open-source server.
        pub idempotency_strategy: Option<IdempotencyStrategy> = "idempotencyStrategy",
    }
}

impl StartWorkflowRequest {
    /// Starts the latest version of the workflow `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Sets the version.
    #[must_use]
    pub fn version(mut self, version: u16) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Sets the input, an object; a struct of your own goes by [`RawJson::new`].
    #[must_use]
    pub fn input(mut self, input: impl Into<RawJson>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// Sets an id of the caller's own: see [`WorkflowClient::correlated`].
    #[must_use]
    pub fn correlation_id(mut self, id: impl Into<String>) -> Self {
        self.correlation_id = Some(id.into());
        self
    }

    /// Sends the tasks of this type, or of all types for `*`, to a domain.
    #[must_use]
    pub fn domain(mut self, task_type: impl Into<String>, domain: impl Into<String>) -> Self {
        self.task_to_domain.insert(task_type.into(), domain.into());
        self
    }

    /// Sets the priority, 0 to 99, 99 first.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority.into();
        self
    }

    /// Brings the definition along instead of naming a registered one.
    #[must_use]
    pub fn definition(mut self, definition: WorkflowDef) -> Self {
        self.workflow_def = Some(definition);
        self
    }
}

/// The calls under `/workflow`. From [`Client::workflows`](crate::Client::workflows).
///
/// ```
/// # #[cfg(feature = "embedded")] {
/// use conductor_sync::*;
/// # let server = embedded::EmbeddedServer::start()?;
/// # let client = Client::new(Config::new(&server.url())?)?;
/// # client.metadata().register_workflow(&WorkflowDef::new("hello").task(WorkflowTask::simple("greet", "greet_ref")))?;
/// let id = client.workflows().start(&StartWorkflowRequest::new("hello"))?;
/// client.workflows().terminate(&id, Some("not needed"))?;
/// assert_eq!(client.workflows().get(&id)?.status, WorkflowStatus::Terminated);
/// # }
/// # Ok::<(), conductor_sync::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct WorkflowClient {
    http: Arc<Http>,
    looks: Arc<Looks>,
}

impl WorkflowClient {
    pub(crate) fn new(http: Arc<Http>, looks: Arc<Looks>) -> Self {
        Self { http, looks }
    }

    /// Starts a workflow and returns its id: `POST /workflow`.
    ///
    /// The open-source server ignores idempotency keys: when the answer is lost, a second start is a second workflow. See
    /// [`WorkflowClient::start_once`].
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the definition does not exist; [`ErrorKind::Rejected`] when the input is beyond the server's
    /// limit, 10 MiB unless it is told otherwise (it answers 500, and nothing is left behind); otherwise when the request can't
    /// be used, or the server can't be reached or refuses. With [`Error::is_ambiguous`] it may have started.
    pub fn start(&self, request: &StartWorkflowRequest) -> Result<String> {
        check_start("start workflow", request)?;
        let sent = Request::new(Method::Post, "/workflow", &[], ("start workflow", &request.name))?.json(request)?;
        self.started(request, &sent)
    }

    /// Sends a request that answers the id of the workflow it starts.
    fn started(&self, start: &StartWorkflowRequest, request: &Request<'_>) -> Result<String> {
        let id = self.counted(start, self.http.send(request).and_then(|answer| answer.text()))?;
        match id.is_empty() {
            true => {
                Err(Error::new(ErrorKind::Decode, format!("start workflow {}", start.name), "the answer holds no id"))
            }
            false => Ok(id),
        }
    }

    /// Counts a start with its outcome.
    fn counted<T>(&self, start: &StartWorkflowRequest, outcome: Result<T>) -> Result<T> {
        let input_bytes = start.input.as_ref().map_or(2, |input| input.get().len());
        self.http.metrics().workflow_input_size(&start.name, start.version, input_bytes);
        if let Err(error) = &outcome {
            self.http.metrics().workflow_start_error(&start.name, error.kind().as_str());
        }
        outcome
    }

    /// The workflow with its tasks: `GET /workflow/{workflowId}`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is none; otherwise when the server can't be reached or refuses.
    pub fn get(&self, workflow_id: &str) -> Result<Workflow> {
        let about = ("get workflow", workflow_id);
        let request = Request::new(Method::Get, "/workflow/{workflowId}", &[workflow_id], about)?;
        let workflow: Workflow = self.http.send_safe(&request)?.json()?;
        if workflow.workflow_id.is_empty() { Err(Error::no_such(about)) } else { Ok(workflow) }
    }

    /// The state of a workflow with its output and variables, without its tasks: `GET /workflow/{workflowId}/status`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is none; otherwise when the server can't be reached or refuses.
    pub fn status(&self, workflow_id: &str) -> Result<WorkflowState> {
        let about = ("get status of workflow", workflow_id);
        let request = Request::new(Method::Get, "/workflow/{workflowId}/status", &[workflow_id], about)?
            .query("includeOutput", "true")
            .query("includeVariables", "true");
        self.http.send_safe(&request)?.json()
    }

    /// Ends a workflow as TERMINATED: `DELETE /workflow/{workflowId}`.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when it is COMPLETED; otherwise when it does not exist, or the server can't be reached or
    /// refuses.
    pub fn terminate(&self, workflow_id: &str, reason: Option<&str>) -> Result<()> {
        let about = ("terminate workflow", workflow_id);
        let request = Request::new(Method::Delete, "/workflow/{workflowId}", &[workflow_id], about)?;
        self.http.send_safe(&request.query_some("reason", reason))?.done()
    }

    /// Lets a workflow schedule nothing more until it is resumed: `PUT /workflow/{workflowId}/pause`. Tasks that are queued
    /// already are still handed out.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when it has ended; otherwise when it does not exist, or the server can't be reached or refuses.
    pub fn pause(&self, workflow_id: &str) -> Result<()> {
        self.put("/workflow/{workflowId}/pause", ("pause workflow", workflow_id))
    }

    /// Lets a paused workflow go on: `PUT /workflow/{workflowId}/resume`.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when it is not paused; otherwise when it does not exist, or the server can't be reached or
    /// refuses.
    pub fn resume(&self, workflow_id: &str) -> Result<()> {
        let outcome = self.put("/workflow/{workflowId}/resume", ("resume workflow", workflow_id));
        // The server answers 500 for it (3.32.1).
        said(outcome, "is not PAUSED so cannot resume")
    }

    /// Lets the server look at timeouts and due tasks of a workflow now: `PUT /workflow/decide/{workflowId}`. It does so by
    /// itself too, but may take minutes.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is none; otherwise when the server can't be reached or refuses.
    pub fn decide(&self, workflow_id: &str) -> Result<()> {
        self.put("/workflow/decide/{workflowId}", ("decide workflow", workflow_id))
    }

    fn put(&self, route: &'static str, about: (&'static str, &str)) -> Result<()> {
        let request = Request::new(Method::Put, route, &[about.1], about)?;
        self.http.send(&request)?.done()
    }
}

fn check_start(verb: &str, request: &StartWorkflowRequest) -> Result<()> {
    if request.name.trim().is_empty() {
        return Err(Error::invalid(verb, "name must not be empty"));
    }
    let invalid = |message: String| Err(Error::invalid(format!("{verb} {}", excerpt(&request.name)), message));
    if !(0..=99).contains(&request.priority) {
        return invalid(format!("priority is {}; it must be from 0 to 99", request.priority));
    }
    if let Some(version @ ..0) = request.version {
        return invalid(format!("version is {version}; it must not be negative"));
    }
    if let Some(what) = request.idempotency_strategy.as_ref().and_then(|known| known.problem("idempotency_strategy")) {
        return invalid(what);
    }
    if let Some(input) = request.input.as_ref().filter(|input| !input.is_object()) {
        return invalid(format!("input must be a JSON object (given: `{}`)", excerpt(input.get())));
    }
    Ok(())
}
