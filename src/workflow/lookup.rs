//! Looking workflows up: by correlation id, by name, by search; and their tasks page by page.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{Workflow, WorkflowClient, WorkflowStatus};
use crate::{
    error::{Error, Result, excerpt},
    http::{Http, Method, Request},
    json::{length, wire},
    search::{Index, Place, Search, SearchRequest},
    task::{ExternalStorageLocation, PayloadOperation, PayloadType, Task, TaskStatus, epoch_millis, storage_location},
};

wire! {
    /// What a search tells about a workflow.
    ///
    /// Times are texts such as `2026-11-24T11:10:14.621Z`.
    pub struct WorkflowSummary {
        /// The name of its definition.
        pub workflow_type: String = "workflowType",
        /// The version of its definition.
        pub version: i32 = "version",
        /// Its id.
        pub workflow_id: String = "workflowId",
        /// The id its starter gave it.
        pub correlation_id: Option<String> = "correlationId",
        /// When it was started.
        pub start_time: Option<String> = "startTime",
        /// When it was changed.
        pub update_time: Option<String> = "updateTime",
        /// When it ended.
        pub end_time: Option<String> = "endTime",
        /// The state.
        pub status: WorkflowStatus = "status",
        /// The input as text for people, such as `{x=1}`: **no JSON**, unless the server is told to write it.
        pub input: String = "input",
        /// The output as text for people, as the input.
        pub output: String = "output",
        /// Why it did not complete.
        pub reason_for_incompletion: Option<String> = "reasonForIncompletion",
        /// How long it ran, milliseconds.
        pub execution_time: i64 = "executionTime",
        /// The event that started it.
        pub event: Option<String> = "event",
        /// Reference names of the tasks that failed, with commas between them.
        pub failed_reference_task_names: String = "failedReferenceTaskNames",
        /// Names of the tasks that failed.
        pub failed_task_names: Vec<String> = "failedTaskNames",
        /// Where the input is stored when it was too large.
        pub external_input_payload_storage_path: Option<String> = "externalInputPayloadStoragePath",
        /// Where the output is stored when it was too large.
        pub external_output_payload_storage_path: Option<String> = "externalOutputPayloadStoragePath",
        /// Its priority, 0 to 99, 99 first.
        pub priority: i32 = "priority",
        /// Who started it.
        pub created_by: Option<String> = "createdBy",
        /// Domains for its tasks.
        pub task_to_domain: BTreeMap<String, String> = "taskToDomain",
        /// The key against starting twice; never stored by 3.32.1.
        pub idempotency_key: Option<String> = "idempotencyKey",
        /// The workflow that started it; empty when none did.
        pub parent_workflow_id: String = "parentWorkflowId",
        /// What kind of workflow it is.
        pub classifier: Option<String> = "classifier",
        /// How long the text of the input is.
        pub input_size: i64 = "inputSize",
        /// How long the text of the output is.
        pub output_size: i64 = "outputSize",
    }
}

impl WorkflowSummary {
    /// How long it ran.
    pub fn took(&self) -> Duration {
        length(self.execution_time)
    }
}

/// The workflows of a name with some correlation id, for [`WorkflowClient::correlated`].
#[derive(Clone, Debug)]
#[must_use]
pub struct CorrelationQuery {
    name: String,
    with_closed: bool,
    with_tasks: bool,
}

impl CorrelationQuery {
    /// The workflows called `name` that are RUNNING, without their tasks. Paused ones are left out too.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), with_closed: false, with_tasks: false }
    }

    /// Takes workflows in any state.
    pub fn in_any_state(mut self) -> Self {
        self.with_closed = true;
        self
    }

    /// Fetches their tasks too.
    pub fn with_tasks(mut self) -> Self {
        self.with_tasks = true;
        self
    }
}

impl From<&str> for CorrelationQuery {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

/// The workflows of a name that run, for [`WorkflowClient::running`].
#[derive(Clone, Debug)]
#[must_use]
pub struct RunningQuery {
    name: String,
    version: Option<u16>,
    range: Option<(SystemTime, SystemTime)>,
}

impl RunningQuery {
    /// The workflows called `name` that have not ended, of any version (3.32.1).
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), version: None, range: None }
    }

    /// Sets the version. It counts for a range of time only (3.32.1), where it defaults to 1.
    pub fn version(mut self, version: u16) -> Self {
        self.version = Some(version);
        self
    }

    /// Takes the workflows **in any state** that were started in this range instead: this is how the server has it (3.32.1).
    pub fn started_between(mut self, from: SystemTime, to: SystemTime) -> Self {
        self.range = Some((from, to));
        self
    }
}

impl From<&str> for RunningQuery {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

/// The tasks of a workflow, for [`WorkflowClient::tasks`].
#[derive(Clone, Debug)]
#[must_use]
pub struct WorkflowTasksQuery {
    workflow_id: String,
    statuses: Vec<TaskStatus>,
    page: SearchRequest,
}

impl WorkflowTasksQuery {
    /// All tasks of the workflow `workflow_id`, in pages of 100.
    pub fn new(workflow_id: impl Into<String>) -> Self {
        Self { workflow_id: workflow_id.into(), statuses: Vec::new(), page: SearchRequest::new() }
    }

    /// Takes tasks in this state only; several calls name several states.
    pub fn status(mut self, status: TaskStatus) -> Self {
        self.statuses.push(status);
        self
    }

    /// Sets how many are fetched at once, 1 to 5,000. Defaults to 100.
    pub fn page_size(mut self, n_tasks: u32) -> Self {
        self.page = self.page.page_size(n_tasks);
        self
    }

    /// Leaves out the first tasks. Defaults to 0.
    pub fn skip(mut self, n_tasks: u32) -> Self {
        self.page = self.page.skip(n_tasks);
        self
    }
}

impl From<&str> for WorkflowTasksQuery {
    fn from(workflow_id: &str) -> Self {
        Self::new(workflow_id)
    }
}

impl WorkflowClient {
    /// The workflow without its tasks: `GET /workflow/{workflowId}?includeTasks=false`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is none; otherwise when the server can't be reached or refuses.
    pub fn without_tasks(&self, workflow_id: &str) -> Result<Workflow> {
        let about = ("get workflow", workflow_id);
        let request = Request::new(Method::Get, "/workflow/{workflowId}", &[workflow_id], about)?;
        let workflow: Workflow = self.http.send_safe(&request.query("includeTasks", "false"))?.json()?;
        if workflow.workflow_id.is_empty() { Err(Error::no_such(about)) } else { Ok(workflow) }
    }

    /// The tasks of a workflow, page by page: `GET /workflow/{workflowId}/tasks`. Nothing is sent before the [`Search`] is
    /// read; its first answer is [`Error::is_not_found`] when there is no such workflow.
    pub fn tasks(&self, query: impl Into<WorkflowTasksQuery>) -> Search<Task> {
        tasks_of(&self.http, ("get tasks of workflow", "/workflow/{workflowId}/tasks"), None, query.into())
    }

    /// The workflows of a name with this correlation id: `GET /workflow/{name}/correlated/{correlationId}`.
    ///
    /// A name alone takes RUNNING ones: `correlated("order", "4711")`.
    ///
    /// # Errors
    /// When the name or the id can't stand in a path ([`WorkflowClient::correlated_by_each`] takes any id), or the server
    /// can't be reached or refuses.
    pub fn correlated(&self, query: impl Into<CorrelationQuery>, correlation_id: &str) -> Result<Vec<Workflow>> {
        let query = query.into();
        let about = ("get workflows by correlation id", correlation_id);
        let values = [query.name.as_str(), correlation_id];
        let request = Request::new(Method::Get, "/workflow/{name}/correlated/{correlationId}", &values, about)?
            .query("includeClosed", if query.with_closed { "true" } else { "false" })
            .query("includeTasks", if query.with_tasks { "true" } else { "false" });
        self.http.send_safe(&request)?.json()
    }

    /// As [`WorkflowClient::correlated`] for several ids at once, by id: `POST /workflow/{name}/correlated`.
    ///
    /// # Errors
    /// When the list is empty, the name can't stand in a path, or the server can't be reached or refuses.
    pub fn correlated_by_each<I: AsRef<str>>(
        &self,
        query: impl Into<CorrelationQuery>,
        correlation_ids: &[I],
    ) -> Result<BTreeMap<String, Vec<Workflow>>> {
        let query = query.into();
        let about = ("get workflows by correlation ids of", query.name.as_str());
        let ids: Vec<&str> = correlation_ids.iter().map(AsRef::as_ref).collect();
        if ids.is_empty() || ids.contains(&"") {
            let message = "correlation_ids must not be empty or hold an empty id";
            return Err(Error::invalid(format!("{} {}", about.0, excerpt(about.1)), message));
        }
        let request = Request::new(Method::Post, "/workflow/{name}/correlated", &[&query.name], about)?
            .query("includeClosed", if query.with_closed { "true" } else { "false" })
            .query("includeTasks", if query.with_tasks { "true" } else { "false" })
            .json(&ids)?;
        self.http.send_safe(&request)?.json()
    }

    /// The ids of the workflows of a name that have not ended: `GET /workflow/running/{name}`.
    ///
    /// # Errors
    /// When the name can't stand in a path, the range of time ends before it begins, or the server can't be reached or refuses.
    pub fn running(&self, query: impl Into<RunningQuery>) -> Result<Vec<String>> {
        let query = query.into();
        let about = ("get running workflows", query.name.as_str());
        let version = query.version.map(|version| version.to_string());
        let mut request = Request::new(Method::Get, "/workflow/running/{name}", &[&query.name], about)?
            .query_some("version", version.as_deref());
        if let Some((from, to)) = query.range {
            if to < from {
                let message = "started_between: the end must not be before the beginning";
                return Err(Error::invalid(format!("{} {}", about.0, excerpt(about.1)), message));
            }
            // The server takes a zero for a missing time.
            request = request
                .query("startTime", &epoch_millis(from).max(1).to_string())
                .query("endTime", &epoch_millis(to).max(1).to_string());
        }
        self.http.send_safe(&request)?.json()
    }

    /// Searches workflows: `GET /workflow/search`. Nothing is sent before the [`Search`] is read.
    ///
    /// A plain text is a query in the language of the server; a [`SearchQuery`](crate::SearchQuery) finds mistakes before they
    /// widen the result.
    pub fn search(&self, request: impl Into<SearchRequest>) -> Search<WorkflowSummary> {
        let place = Place::of_index("search workflows", "/workflow/search", Index::Workflows);
        Search::new(&self.http, place, request.into())
    }

    /// As [`WorkflowClient::search`], with whole workflows but without their tasks: `GET /workflow/search-v2`. Workflows that
    /// have been archived are left out.
    pub fn search_workflows(&self, request: impl Into<SearchRequest>) -> Search<Workflow> {
        let place = Place::of_index("search workflows", "/workflow/search-v2", Index::Workflows);
        Search::new(&self.http, place, request.into())
    }

    /// Searches workflows by conditions on their tasks: `GET /workflow/search-by-tasks`. One that has several such tasks may
    /// come several times.
    pub fn search_by_tasks(&self, request: impl Into<SearchRequest>) -> Search<WorkflowSummary> {
        let place = Place::of_index("search workflows by tasks", "/workflow/search-by-tasks", Index::Tasks);
        Search::new(&self.http, place, request.into())
    }

    /// As [`WorkflowClient::search_by_tasks`], with whole workflows but without their tasks:
    /// `GET /workflow/search-by-tasks-v2`.
    pub fn search_workflows_by_tasks(&self, request: impl Into<SearchRequest>) -> Search<Workflow> {
        let place = Place::of_index("search workflows by tasks", "/workflow/search-by-tasks-v2", Index::Tasks);
        Search::new(&self.http, place, request.into())
    }

    /// Where to put or find a payload that is too large for the server: `GET /workflow/externalstoragelocation`.
    ///
    /// `path` is what the server said before; for a new payload it may be empty.
    ///
    /// # Errors
    /// When the path is empty and is to be read, or the server can't be reached or refuses.
    pub fn external_storage_location(
        &self,
        path: &str,
        operation: PayloadOperation,
        payload: PayloadType,
    ) -> Result<ExternalStorageLocation> {
        storage_location(&self.http, "/workflow/externalstoragelocation", path, operation, payload)
    }
}

/// The tasks of a workflow page by page, by a verb and a route, with so many states at most.
pub(crate) fn tasks_of(
    http: &Arc<Http>,
    (verb, route): (&'static str, &'static str),
    most_statuses: Option<usize>,
    query: WorkflowTasksQuery,
) -> Search<Task> {
    let unknown = query.statuses.iter().find_map(|status| status.problem("status"));
    let many = most_statuses.filter(|most| query.statuses.len() > *most);
    let many = many.map(|most| format!("status is given {} times; this route takes {most}", query.statuses.len()));
    let place = Place {
        verb,
        route,
        values: vec![query.workflow_id],
        size_name: "count",
        params: query.statuses.iter().map(|status| ("status", status.as_str().to_owned())).collect(),
        problem: unknown.or(many),
        index: None,
    };
    Search::new(http, place, query.page)
}
