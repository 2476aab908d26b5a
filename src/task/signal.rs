//! Signals: a report about whatever task a workflow waits in, and the answers of calls that wait for the workflow.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::{TaskClient, TaskResultStatus, TaskStatus, check_report};
use crate::{
    error::{Error, Result, excerpt},
    http::{Method, Request},
    json::{RawJson, times, wire, wire_enum},
    task::Task,
    workflow::WorkflowStatus,
};

wire_enum! {
    /// What a call answers that waits for a workflow.
    pub enum ReturnStrategy {
        /// The workflow that was named or started.
        TargetWorkflow = "TARGET_WORKFLOW",
        /// The workflow with the task that blocks: the named one or one of its sub-workflows.
        BlockingWorkflow = "BLOCKING_WORKFLOW",
        /// The task that blocks. When nothing blocks, the server answers 500 **after** it has done what was asked (3.32.1).
        BlockingTask = "BLOCKING_TASK",
        /// As `BlockingTask`, for callers that want its input.
        BlockingTaskInput = "BLOCKING_TASK_INPUT",
    }
}

wire! {
    /// A workflow as a waiting call answers it.
    ///
    /// Times are milliseconds since 1970, 0 where there is none yet.
    pub struct WorkflowRun {
        /// Why this is what was answered.
        pub response_type: ReturnStrategy = "responseType",
        /// The workflow that was named or started.
        pub target_workflow_id: String = "targetWorkflowId",
        /// Its state.
        pub target_workflow_status: WorkflowStatus = "targetWorkflowStatus",
        /// The id of the request, the caller's own or one that the server made up.
        pub request_id: String = "requestId",
        /// The workflow that is told about.
        pub workflow_id: String = "workflowId",
        /// The id its starter gave it.
        pub correlation_id: Option<String> = "correlationId",
        /// Its input.
        pub input: RawJson = "input",
        /// Its output so far.
        pub output: RawJson = "output",
        /// Whether the waiting time passed before the workflow ended or blocked.
        pub signal_timeout: bool = "signalTimeout",
        /// Its priority, 0 to 99, 99 first.
        pub priority: i32 = "priority",
        /// Its variables.
        pub variables: RawJson = "variables",
        /// Its tasks in order, all attempts.
        pub tasks: Vec<Task> = "tasks",
        /// Who started it.
        pub created_by: Option<String> = "createdBy",
        /// When it was created.
        pub create_time: i64 = "createTime",
        /// Its state.
        pub status: WorkflowStatus = "status",
        /// When it was changed.
        pub update_time: i64 = "updateTime",
    }
}

wire! {
    /// A task as a waiting call answers it.
    ///
    /// Times are milliseconds since 1970, 0 where there is none yet.
    pub struct TaskRun {
        /// Why this is what was answered.
        pub response_type: ReturnStrategy = "responseType",
        /// The workflow that was named or started.
        pub target_workflow_id: String = "targetWorkflowId",
        /// Its state.
        pub target_workflow_status: WorkflowStatus = "targetWorkflowStatus",
        /// The id of the request, the caller's own or one that the server made up.
        pub request_id: String = "requestId",
        /// The workflow of the task.
        pub workflow_id: String = "workflowId",
        /// The id that the starter of the workflow gave it.
        pub correlation_id: Option<String> = "correlationId",
        /// The input of the task.
        pub input: RawJson = "input",
        /// The output of the task so far.
        pub output: RawJson = "output",
        /// Whether the waiting time passed before the workflow ended or blocked.
        pub signal_timeout: bool = "signalTimeout",
        /// The type of the task.
        pub task_type: String = "taskType",
        /// Its id.
        pub task_id: String = "taskId",
        /// The name of its node in the workflow definition.
        pub reference_task_name: String = "referenceTaskName",
        /// Which attempt this is, from 0.
        pub retry_count: i32 = "retryCount",
        /// The name of its definition.
        pub task_def_name: String = "taskDefName",
        /// The id of the attempt before this one.
        pub retried_task_id: Option<String> = "retriedTaskId",
        /// The name of its workflow.
        pub workflow_type: String = "workflowType",
        /// Why it did not complete.
        pub reason_for_incompletion: Option<String> = "reasonForIncompletion",
        /// The priority of its workflow.
        pub priority: i32 = "priority",
        /// The variables of its workflow.
        pub variables: Option<RawJson> = "variables",
        /// The tasks of its workflow, where the server sends them.
        pub tasks: Vec<Task> = "tasks",
        /// Who started its workflow.
        pub created_by: Option<String> = "createdBy",
        /// When it was put into the queue.
        pub create_time: i64 = "createTime",
        /// When it was changed.
        pub update_time: i64 = "updateTime",
        /// Its state.
        pub status: TaskStatus = "status",
    }
}

times! {
    WorkflowRun {
        /// When it was created.
        created_at = create_time;
        /// When it was changed.
        updated_at = update_time;
    }
}

times! {
    TaskRun {
        /// When it was put into its queue.
        created_at = create_time;
        /// When it was changed; `None` before.
        updated_at = update_time;
    }
}

/// What a waiting call answers: a workflow or a task, by the [`ReturnStrategy`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum SignalResponse {
    /// The workflow that was named, started, or blocks.
    Workflow(Box<WorkflowRun>),
    /// The task that blocks.
    Task(Box<TaskRun>),
}

impl SignalResponse {
    /// The workflow that was named or started.
    pub fn target_workflow_id(&self) -> &str {
        match self {
            Self::Workflow(run) => &run.target_workflow_id,
            Self::Task(run) => &run.target_workflow_id,
        }
    }

    /// The state of the workflow that was named or started.
    pub fn target_workflow_status(&self) -> &WorkflowStatus {
        match self {
            Self::Workflow(run) => &run.target_workflow_status,
            Self::Task(run) => &run.target_workflow_status,
        }
    }

    /// Whether the waiting time passed before the workflow ended or blocked.
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Workflow(run) => run.signal_timeout,
            Self::Task(run) => run.signal_timeout,
        }
    }

    /// The workflow, if it is one.
    pub fn workflow(&self) -> Option<&WorkflowRun> {
        match self {
            Self::Workflow(run) => Some(run),
            Self::Task(_) => None,
        }
    }

    /// The task, if it is one.
    pub fn task(&self) -> Option<&TaskRun> {
        match self {
            Self::Task(run) => Some(run),
            Self::Workflow(_) => None,
        }
    }
}

/// By the type that the answer names; one without a type this crate knows is a task when it has the id of one.
impl<'de> Deserialize<'de> for SignalResponse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Kind {
            #[serde(default)]
            response_type: ReturnStrategy,
            #[serde(default)]
            task_id: Option<String>,
        }
        let text = RawJson::deserialize(deserializer)?;
        let kind: Kind = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        let is_task = match kind.response_type {
            ReturnStrategy::BlockingTask | ReturnStrategy::BlockingTaskInput => true,
            ReturnStrategy::TargetWorkflow | ReturnStrategy::BlockingWorkflow => false,
            ReturnStrategy::Other(_) => kind.task_id.is_some(),
        };
        match is_task {
            true => serde_json::from_str(text.get()).map(Self::Task),
            false => serde_json::from_str(text.get()).map(Self::Workflow),
        }
        .map_err(D::Error::custom)
    }
}

/// A report about the task that a workflow waits in, for [`TaskClient::signal`] and [`TaskClient::signal_sync`].
#[derive(Clone, Debug)]
#[must_use]
pub struct SignalRequest {
    workflow_id: String,
    status: TaskResultStatus,
    output: RawJson,
    returns: ReturnStrategy,
    wait_for: Duration,
}

impl SignalRequest {
    /// Gives the WAIT task, in which the workflow `workflow_id` or one of its sub-workflows stands, a new status.
    pub fn new(workflow_id: impl Into<String>, status: TaskResultStatus) -> Self {
        Self {
            workflow_id: workflow_id.into(),
            status,
            output: RawJson::default(),
            returns: ReturnStrategy::TargetWorkflow,
            wait_for: Duration::from_secs(5),
        }
    }

    /// Sets the output of the task, an object.
    pub fn output(mut self, output: impl Into<RawJson>) -> Self {
        self.output = output.into();
        self
    }

    /// Sets what is answered. Defaults to the named workflow. For [`TaskClient::signal_sync`] only.
    pub fn returns(mut self, strategy: ReturnStrategy) -> Self {
        self.returns = strategy;
        self
    }

    /// Sets how long the server may wait until the workflow ends or blocks again; whole milliseconds. Defaults to 5 s. For
    /// [`TaskClient::signal_sync`] only.
    pub fn wait_for(mut self, limit: Duration) -> Self {
        self.wait_for = limit;
        self
    }

    fn check(&self) -> Result<()> {
        check_report(("signal workflow", &self.workflow_id), &self.status, &self.output)
    }
}

impl TaskClient {
    /// Reports about the WAIT task in which a workflow stands: `POST /tasks/{workflowId}/{status}/signal`.
    ///
    /// The server looks for it in running sub-workflows too. It answers alike when no task waits (3.32.1), so a signal that
    /// comes too early is lost: [`TaskClient::signal_sync`] tells.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no such workflow; otherwise when the status is none of this crate's, the output is
    /// no object, or the server can't be reached or refuses.
    pub fn signal(&self, signal: &SignalRequest) -> Result<()> {
        signal.check()?;
        let values = [signal.workflow_id.as_str(), signal.status.as_str()];
        let about = ("signal workflow", signal.workflow_id.as_str());
        let request = Request::new(Method::Post, "/tasks/{workflowId}/{status}/signal", &values, about)?;
        self.http.send(&request.json(&signal.output)?)?.done()
    }

    /// As [`TaskClient::signal`], waiting until the workflow ends or stands in another WAIT task:
    /// `POST /tasks/{workflowId}/{status}/signal/sync`.
    ///
    /// When the waiting time passes first, the answer tells the state it is in and [`SignalResponse::is_timeout`].
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no such workflow or no task waits in it. With a strategy that answers the task
    /// that blocks, the server answers 500 when none does, although the signal has been heard. Otherwise when the output is no
    /// object, the waiting time is not below [`Config::request_timeout`](crate::Config::request_timeout), or the server can't
    /// be reached or refuses.
    pub fn signal_sync(&self, signal: &SignalRequest) -> Result<SignalResponse> {
        signal.check()?;
        let about = ("signal workflow", signal.workflow_id.as_str());
        check_strategy(about, &signal.returns)?;
        check_waiting_time(about, signal.wait_for, self.http.request_timeout())?;
        let values = [signal.workflow_id.as_str(), signal.status.as_str()];
        let request = Request::new(Method::Post, "/tasks/{workflowId}/{status}/signal/sync", &values, about)?
            .query("returnStrategy", signal.returns.as_str())
            .query("timeoutMillis", &signal.wait_for.as_millis().to_string());
        self.http.send(&request.json(&signal.output)?)?.json()
    }
}

pub(crate) fn check_strategy(about: (&str, &str), returns: &ReturnStrategy) -> Result<()> {
    let invalid = |what| Err(Error::invalid(format!("{} {}", about.0, excerpt(about.1)), what));
    returns.problem("returns").map_or(Ok(()), invalid)
}

/// A call is cut off at the client's limit, so the server has to answer before.
pub(crate) fn check_waiting_time(about: (&str, &str), wait_for: Duration, limit: Duration) -> Result<()> {
    if wait_for < limit {
        return Ok(());
    }
    let message = format!(
        "wait_for is {wait_for:?}; it must be below Config::request_timeout, which is {limit:?}: raise that, or start and wait"
    );
    Err(Error::invalid(format!("{} {}", about.0, excerpt(about.1)), message))
}
