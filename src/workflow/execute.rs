//! Starting a workflow in other ways than `POST /workflow`: by the name in the path, with the server waiting for it, and
//! with the results of its tasks given beforehand.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use super::{StartWorkflowRequest, Workflow, WorkflowClient, check_start};
use crate::{
    error::{Error, Result, excerpt},
    http::{Method, Request},
    json::{RawJson, wire},
    metadata::whole_seconds,
    task::{ReturnStrategy, SignalResponse, TaskResultStatus, check_strategy, check_waiting_time},
};

/// Starts a workflow and lets the server wait for it, for [`WorkflowClient::execute`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ExecuteWorkflowRequest {
    start: StartWorkflowRequest,
    request_id: Option<String>,
    until: Vec<String>,
    wait_for: Duration,
    returns: ReturnStrategy,
}

impl ExecuteWorkflowRequest {
    /// Waits up to 10 s until the workflow ends or blocks, and answers it.
    pub fn new(start: StartWorkflowRequest) -> Self {
        Self {
            start,
            request_id: None,
            until: Vec::new(),
            wait_for: Duration::from_secs(10),
            returns: ReturnStrategy::TargetWorkflow,
        }
    }

    /// Sets an id that the answer repeats. It has no other effect: a request that comes twice starts two workflows.
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    /// Ends the waiting also when the task with this reference name has ended; several calls name several tasks.
    pub fn until_task(mut self, reference: impl Into<String>) -> Self {
        self.until.push(reference.into());
        self
    }

    /// Sets how long the server may wait; rounded up to whole seconds. Defaults to 10 s.
    pub fn wait_for(mut self, limit: Duration) -> Self {
        self.wait_for = limit;
        self
    }

    /// Sets what is answered. Defaults to the workflow that is started.
    pub fn returns(mut self, strategy: ReturnStrategy) -> Self {
        self.returns = strategy;
        self
    }

    fn problem(&self) -> Option<&'static str> {
        match self {
            _ if self.start.version == Some(0) => {
                Some("version is 0, which this route takes for the latest: leave it out")
            }
            _ if self.wait_for.is_zero() => Some("wait_for must not be zero, which the server takes for 10 s"),
            _ if self.until.iter().any(|reference| reference.trim().is_empty() || reference.contains(',')) => {
                Some("until_task: a reference name must not be empty or contain a comma")
            }
            _ if self.request_id.as_deref() == Some("") => Some("request_id must not be empty"),
            _ => None,
        }
    }
}

wire! {
    /// One result of a task in a test of a workflow.
    ///
    /// ```
    /// use conductor_sync::TaskMock;
    /// let mocks = [TaskMock::failed(), TaskMock::completed(serde_json::json!({"price": 3}))];
    /// ```
    pub struct TaskMock {
        /// How this attempt ends; COMPLETED when missing.
        pub status: Option<TaskResultStatus> = "status",
        /// Its output, an object. The server answers 500 when it is missing.
        pub output: Option<RawJson> = "output",
        /// How long it is to seem to have run, milliseconds.
        pub execution_time: i64 = "executionTime",
        /// How long it is to seem to have waited in the queue, milliseconds.
        pub queue_wait_time: i64 = "queueWaitTime",
    }
}

impl TaskMock {
    /// An attempt that completes with this output, an object.
    pub fn completed(output: impl Into<RawJson>) -> Self {
        Self::ended(TaskResultStatus::Completed).output(output)
    }

    /// An attempt that fails, and is retried as the task's definition says.
    pub fn failed() -> Self {
        Self::ended(TaskResultStatus::Failed)
    }

    /// An attempt with another end.
    pub fn ended(status: TaskResultStatus) -> Self {
        Self { status: Some(status), output: Some(RawJson::default()), ..Self::default() }
    }

    /// Sets the output, an object.
    #[must_use]
    pub fn output(mut self, output: impl Into<RawJson>) -> Self {
        self.output = Some(output.into());
        self
    }

    /// Sets how long it is to seem to have run; whole milliseconds.
    #[must_use]
    pub fn execution_time(mut self, time: Duration) -> Self {
        self.execution_time = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        self
    }

    /// Sets how long it is to seem to have waited in the queue; whole milliseconds.
    #[must_use]
    pub fn queue_wait_time(mut self, time: Duration) -> Self {
        self.queue_wait_time = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        self
    }
}

/// Runs a workflow with given results of its tasks, for [`WorkflowClient::test`].
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[must_use]
pub struct WorkflowTestRequest {
    #[serde(flatten)]
    start: StartWorkflowRequest,
    task_ref_to_mock_output: BTreeMap<String, Vec<TaskMock>>,
    sub_workflow_test_request: BTreeMap<String, WorkflowTestRequest>,
}

impl WorkflowTestRequest {
    /// Tests the workflow that this request would start; its definition may come along.
    pub fn new(start: StartWorkflowRequest) -> Self {
        Self { start, task_ref_to_mock_output: BTreeMap::new(), sub_workflow_test_request: BTreeMap::new() }
    }

    /// Adds a result of the task with this reference name: the first for its first attempt, and so on.
    pub fn mock(mut self, reference: impl Into<String>, mock: TaskMock) -> Self {
        self.task_ref_to_mock_output.entry(reference.into()).or_default().push(mock);
        self
    }

    /// Gives results for the tasks of the sub-workflow that the task with this reference name starts.
    ///
    /// The server looks after a sub-workflow only while a [`WorkflowTestRequest::mock`] of the outer workflow is left
    /// (3.32.1): without one for a task behind it, the answer comes before the sub-workflow has run.
    pub fn sub_workflow(mut self, reference: impl Into<String>, request: WorkflowTestRequest) -> Self {
        self.sub_workflow_test_request.insert(reference.into(), request);
        self
    }

    fn check(&self) -> Result<()> {
        let about = format!("test workflow {}", excerpt(&self.start.name));
        for (reference, mocks) in &self.task_ref_to_mock_output {
            if let Some(what) = mocks.iter().find_map(|mock| mock.status.as_ref()?.problem("status")) {
                return Err(Error::invalid(about, format!("a mock of {reference}: {what}")));
            }
            let outputs = mocks.iter().map(|mock| mock.output.as_ref());
            if let Some(odd) = outputs.into_iter().find(|output| !output.is_some_and(RawJson::is_object)) {
                let given = odd.map_or_else(|| "nothing".to_owned(), |output| format!("`{}`", excerpt(output.get())));
                let message = format!("the output of a mock of {reference} must be a JSON object (given: {given})");
                return Err(Error::invalid(about, message));
            }
        }
        self.sub_workflow_test_request.values().try_for_each(Self::check)
    }
}

impl WorkflowClient {
    /// Starts a workflow by the other route that the server has for it: `POST /workflow/{name}`.
    ///
    /// It does what [`WorkflowClient::start`] does, which can say more; this one is there for gateways that let only this
    /// route pass.
    ///
    /// # Errors
    /// When the request holds what this route has no place for (domains, a definition, a path of the input, who starts it, an
    /// idempotency key); otherwise as [`WorkflowClient::start`].
    pub fn start_by_name(&self, request: &StartWorkflowRequest) -> Result<String> {
        check_start("start workflow", request)?;
        let homeless = [
            ("task_to_domain", !request.task_to_domain.is_empty()),
            ("workflow_def", request.workflow_def.is_some()),
            ("external_input_payload_storage_path", request.external_input_payload_storage_path.is_some()),
            ("created_by", request.created_by.is_some()),
            ("idempotency_key", request.idempotency_key.is_some()),
        ];
        if let Some((field, _)) = homeless.iter().find(|(_, is_set)| *is_set) {
            let message = format!("{field} can't be sent by name: use start");
            return Err(Error::invalid(format!("start workflow {}", excerpt(&request.name)), message));
        }
        let about = ("start workflow", request.name.as_str());
        let version = request.version.map(|version| version.to_string());
        let sent = Request::new(Method::Post, "/workflow/{name}", &[&request.name], about)?
            .query_some("version", version.as_deref())
            .query_some("correlationId", request.correlation_id.as_deref())
            .query("priority", &request.priority.to_string())
            .json(&request.input.clone().unwrap_or_default())?;
        self.started(request, &sent)
    }

    /// Starts a workflow and waits at the server until it ends or stands in a WAIT task:
    /// `POST /workflow/execute/{name}/{version}`.
    ///
    /// The server looks every 100 ms, for whole seconds. When the time passes first, the answer tells the state the workflow is
    /// in and [`SignalResponse::is_timeout`]; the workflow goes on. For waits beyond [`Config::request_timeout`]
    /// (15 s) there is [`WorkflowClient::run`].
    ///
    /// [`Config::request_timeout`]: crate::Config::request_timeout
    ///
    /// ```no_run
    /// use conductor_sync::{Client, ExecuteWorkflowRequest, StartWorkflowRequest};
    /// let client = Client::from_env()?;
    /// let done = client.workflows().execute(&ExecuteWorkflowRequest::new(StartWorkflowRequest::new("hello")))?;
    /// println!("{} is {}", done.target_workflow_id(), done.target_workflow_status());
    /// # Ok::<(), conductor_sync::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the definition does not exist. With a strategy that answers the task that blocks, the
    /// server answers 500 when none does, although the workflow has been **started**. Otherwise when the request can't be used,
    /// the waiting time is not below [`Config::request_timeout`], or the server can't be reached or refuses. With
    /// [`Error::is_ambiguous`] it may have started.
    pub fn execute(&self, request: &ExecuteWorkflowRequest) -> Result<SignalResponse> {
        check_start("execute workflow", &request.start)?;
        let about = ("execute workflow", request.start.name.as_str());
        if let Some(problem) = request.problem() {
            return Err(Error::invalid(format!("{} {}", about.0, excerpt(about.1)), problem));
        }
        check_strategy(about, &request.returns)?;
        check_waiting_time(about, request.wait_for, self.http.request_timeout())?;
        let version = request.start.version.unwrap_or(0).to_string();
        let until = request.until.join(",");
        let sent =
            Request::new(Method::Post, "/workflow/execute/{name}/{version}", &[about.1, version.as_str()], about)?
                .query_some("requestId", request.request_id.as_deref())
                .query_some("waitUntilTaskRef", Some(until.as_str()).filter(|until| !until.is_empty()))
                .query("waitForSeconds", &whole_seconds(request.wait_for).to_string())
                .query("returnStrategy", request.returns.as_str())
                .json(&request.start)?;
        self.counted(&request.start, self.http.send(&sent).and_then(|answer| answer.json()))
    }

    /// Runs a workflow on the server with given results of its tasks, and answers how far it came: `POST /workflow/test`.
    ///
    /// It is a workflow like any other, in a domain of its own so that no worker gets its tasks, and it stays on the server.
    /// It stops where a task has no result left, and is then RUNNING: see [`WorkflowClient::terminate_and_remove`].
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the definition does not exist; otherwise when the request can't be used, or the server
    /// can't be reached or refuses. With [`Error::is_ambiguous`] it may have started.
    pub fn test(&self, request: &WorkflowTestRequest) -> Result<Workflow> {
        check_start("test workflow", &request.start)?;
        request.check()?;
        let about = ("test workflow", request.start.name.as_str());
        let sent = Request::new(Method::Post, "/workflow/test", &[], about)?.json(request)?;
        self.http.send(&sent)?.json()
    }
}
