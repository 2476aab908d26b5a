//! Executions of agents: what is told about them, and what is done to them from outside.

use std::time::Duration;

use serde::Deserialize;

use super::AgentClient;
use crate::{
    error::{Error, Result},
    http::{Method, Request},
    json::{JsonMap, RawJson, length, times, wire},
    search::{Index, Place, Search, SearchParams, SearchRequest},
    task::{ReferenceUpdate, Task, TaskClient, TaskExecLog, TaskStatus},
    workflow::{
        Removal, RerunWorkflowRequest, Workflow, WorkflowStatus, WorkflowSummary, WorkflowTasksQuery,
        no_task_to_begin_with, said, tasks_of,
    },
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

wire! {
    /// How an execution of an agent stands: the least that can be asked. Times are milliseconds since 1970.
    pub struct AgentStatus {
        /// Its id, that of a workflow.
        pub execution_id: String = "executionId",
        /// The state of the workflow.
        pub status: WorkflowStatus = "status",
        /// Whether it has ended, well or not.
        pub is_complete: bool = "isComplete",
        /// Whether it is RUNNING.
        pub is_running: bool = "isRunning",
        /// Whether somebody is waited for: see [`AgentClient::respond`].
        pub is_waiting: bool = "isWaiting",
        /// The output, where it has ended.
        pub output: Option<RawJson> = "output",
        /// Why it did not complete.
        pub reason_for_incompletion: Option<String> = "reasonForIncompletion",
        /// What is waited for: `taskRefName`, `tool_name`, `parameters` and others.
        pub pending_tool: Option<JsonMap> = "pendingTool",
        /// When it was started.
        pub start_time: Option<i64> = "startTime",
        /// When it ended.
        pub end_time: Option<i64> = "endTime",
    }
}

times! {
    AgentStatus {
        /// When it was started.
        started_at = start_time;
        /// When it ended.
        ended_at = end_time;
    }
}

wire! {
    /// The task of an execution that has not ended.
    pub struct AgentTask {
        /// Its reference name.
        pub task_ref_name: String = "taskRefName",
        /// Its type.
        pub task_type: String = "taskType",
        /// Its state.
        pub status: TaskStatus = "status",
        /// Its input.
        pub input_data: RawJson = "inputData",
        /// Its output so far.
        pub output_data: RawJson = "outputData",
    }
}

wire! {
    /// An execution of an agent with the task that it is at.
    pub struct AgentExecution {
        /// Its id, that of a workflow.
        pub execution_id: String = "executionId",
        /// The agent.
        pub agent_name: String = "agentName",
        /// Its version.
        pub version: i32 = "version",
        /// The state of the workflow.
        pub status: WorkflowStatus = "status",
        /// The input.
        pub input: RawJson = "input",
        /// The output.
        pub output: RawJson = "output",
        /// The last of the tasks that have not ended.
        pub current_task: Option<AgentTask> = "currentTask",
    }
}

wire! {
    /// What the language models of an execution have read and written.
    pub struct TokenUsage {
        /// Tokens read.
        pub prompt_tokens: i64 = "promptTokens",
        /// Tokens written.
        pub completion_tokens: i64 = "completionTokens",
        /// Both.
        pub total_tokens: i64 = "totalTokens",
    }
}

wire! {
    /// A task of an [`AgentRun`].
    pub struct AgentTaskDetail {
        /// Its type.
        pub task_type: String = "taskType",
        /// Its reference name.
        pub reference_task_name: String = "referenceTaskName",
        /// Its state.
        pub status: TaskStatus = "status",
        /// The execution of the agent within, for a task of the type SUB_WORKFLOW.
        pub sub_workflow_id: Option<String> = "subWorkflowId",
        /// Its output.
        pub output_data: RawJson = "outputData",
    }
}

wire! {
    /// An execution of an agent with its tasks in short. Times are milliseconds since 1970.
    pub struct AgentRun {
        /// Its id, that of a workflow.
        pub execution_id: String = "executionId",
        /// The agent.
        pub agent_name: String = "agentName",
        /// Its version.
        pub version: i32 = "version",
        /// The state of the workflow.
        pub status: WorkflowStatus = "status",
        /// When it was started.
        pub start_time: i64 = "startTime",
        /// When it ended; 0 before.
        pub end_time: i64 = "endTime",
        /// The input.
        pub input: RawJson = "input",
        /// The output.
        pub output: RawJson = "output",
        /// What its own models have used, without those of agents within; `None` where none was asked.
        pub token_usage: Option<TokenUsage> = "tokenUsage",
        /// Its tasks.
        pub tasks: Vec<AgentTaskDetail> = "tasks",
    }
}

times! {
    AgentRun {
        /// When it was started.
        started_at = start_time;
        /// When it ended.
        ended_at = end_time;
    }
}

wire! {
    /// What a search tells of an execution of an agent.
    ///
    /// Times are texts such as `2026-11-24T11:10:14.621Z`.
    pub struct AgentExecutionSummary {
        /// Its id, that of a workflow.
        pub execution_id: String = "executionId",
        /// The agent.
        pub agent_name: String = "agentName",
        /// Its version.
        pub version: i32 = "version",
        /// The state of the workflow.
        pub status: WorkflowStatus = "status",
        /// When it was started.
        pub start_time: Option<String> = "startTime",
        /// When it ended.
        pub end_time: Option<String> = "endTime",
        /// When it was changed.
        pub update_time: Option<String> = "updateTime",
        /// How long it ran, milliseconds.
        pub execution_time: i64 = "executionTime",
        /// The input as text for people, such as `{x=1}`: **no JSON**.
        pub input: String = "input",
        /// The output as text for people, as the input.
        pub output: String = "output",
        /// Who started it.
        pub created_by: Option<String> = "createdBy",
    }
}

impl AgentExecutionSummary {
    /// How long it ran.
    pub fn took(&self) -> Duration {
        length(self.execution_time)
    }
}

/// Which executions of agents to look for.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct AgentSearch {
    params: SearchParams,
}

impl AgentSearch {
    /// All of agents that are deployed, the latest first, in pages of 100.
    pub fn new() -> Self {
        Self::default()
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.params.set(name, value);
        self
    }

    /// Those of this agent, deployed or not.
    pub fn agent(self, name: impl Into<String>) -> Self {
        self.with("agentName", name)
    }

    /// Those in this state.
    pub fn status(mut self, status: WorkflowStatus) -> Self {
        self.params.refuse(status.problem("status"));
        self.with("status", status.as_str())
    }

    /// Those that hold this text.
    pub fn free_text(self, text: impl Into<String>) -> Self {
        self.with("freeText", text)
    }

    /// Those of this class, as `agent`, in place of those of deployed agents.
    pub fn classifier(self, classifier: impl Into<String>) -> Self {
        self.with("classifier", classifier)
    }

    /// The order, as `startTime:DESC`, which is the default.
    pub fn sort(self, order: impl Into<String>) -> Self {
        self.with("sort", order)
    }

    /// How many are fetched at once, 1 to 5,000. Defaults to 100.
    pub fn page_size(mut self, n_hits: u32) -> Self {
        self.params.set_page_size(n_hits);
        self
    }
}

impl AgentClient {
    /// How an execution stands: `GET /agent/{executionId}/status`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is none; otherwise when the server can't be reached, has its AI integrations off or
    /// refuses.
    pub fn status(&self, execution_id: &str) -> Result<AgentStatus> {
        self.read("/agent/{executionId}/status", ("get status of agent execution", execution_id))
    }

    /// An execution with the task that it is at: `GET /agent/executions/{executionId}`.
    ///
    /// # Errors
    /// As [`AgentClient::status`].
    pub fn execution(&self, execution_id: &str) -> Result<AgentExecution> {
        if execution_id == "search" {
            return Err(Error::no_such(("get agent execution", execution_id)));
        }
        self.read("/agent/executions/{executionId}", ("get agent execution", execution_id))
    }

    /// An execution with its tasks in short, and what its models have used: `GET /agent/execution/{executionId}`.
    ///
    /// # Errors
    /// As [`AgentClient::status`].
    pub fn run(&self, execution_id: &str) -> Result<AgentRun> {
        self.read("/agent/execution/{executionId}", ("get agent execution", execution_id))
    }

    /// The workflow of an execution with its tasks: `GET /agent/executions/{executionId}/full`. What all models have used, also
    /// those of agents within, is in its `aggregate_token_usage`.
    ///
    /// # Errors
    /// As [`AgentClient::status`].
    pub fn workflow(&self, execution_id: &str) -> Result<Workflow> {
        self.read("/agent/executions/{executionId}/full", ("get workflow of agent execution", execution_id))
    }

    /// The tasks of an execution page by page: `GET /agent/executions/{executionId}/tasks`. Nothing is sent before the
    /// [`Search`] is read. At most one state can be asked for.
    pub fn tasks(&self, query: impl Into<WorkflowTasksQuery>) -> Search<Task> {
        let place = ("get tasks of agent execution", "/agent/executions/{executionId}/tasks");
        tasks_of(&self.http, place, Some(1), query.into())
    }

    /// Looks for executions: `GET /agent/executions`. Nothing is sent before the [`Search`] is read.
    pub fn search(&self, search: &AgentSearch) -> Search<AgentExecutionSummary> {
        search.params.search(&self.http, "search agent executions", "/agent/executions")
    }

    /// As [`WorkflowClient::search`](crate::WorkflowClient::search), by another route: `GET /agent/executions/search`. It finds
    /// workflows that are no agents too, unless the classifier `agent` is asked for. Whether a hit is one of another workflow
    /// is not looked at (3.32.1).
    pub fn search_workflows(&self, request: impl Into<SearchRequest>) -> Search<WorkflowSummary> {
        let place = Place::of_index("search agent executions", "/agent/executions/search", Index::Workflows);
        Search::new(&self.http, place, request.into())
    }

    /// Answers the first task of an execution that waits for somebody, and completes it: `POST /agent/{executionId}/respond`.
    /// `answer` is put into its output: `approved` and `reason`, or `message`, or what the task asks for.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) when nothing waits (the server answers 500); otherwise as
    /// [`AgentClient::status`].
    pub fn respond(&self, execution_id: &str, answer: &JsonMap) -> Result<()> {
        let about = ("respond to agent execution", execution_id);
        let request = Request::new(Method::Post, "/agent/{executionId}/respond", &[execution_id], about)?;
        said(self.http.send(&request.json(answer)?), "No pending HUMAN task found")?.done()
    }

    /// Pauses an execution: `PUT /agent/{executionId}/pause`.
    ///
    /// # Errors
    /// As [`AgentClient::status`].
    pub fn pause(&self, execution_id: &str) -> Result<()> {
        self.steer(Method::Put, "/agent/{executionId}/pause", ("pause agent execution", execution_id))
    }

    /// Lets a paused execution go on: `PUT /agent/{executionId}/resume`.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) when it is not PAUSED; otherwise as [`AgentClient::status`].
    pub fn resume(&self, execution_id: &str) -> Result<()> {
        self.steer(Method::Put, "/agent/{executionId}/resume", ("resume agent execution", execution_id))
    }

    /// Ends an execution as TERMINATED: `DELETE /agent/{executionId}/cancel`. One that has ended stays as it is, and the server
    /// does not tell (3.32.1).
    ///
    /// # Errors
    /// As [`AgentClient::status`].
    pub fn cancel(&self, execution_id: &str, reason: Option<&str>) -> Result<()> {
        let about = ("cancel agent execution", execution_id);
        let request = Request::new(Method::Delete, "/agent/{executionId}/cancel", &[execution_id], about)?;
        self.http.send(&request.query_some("reason", reason))?.done()
    }

    /// Asks an execution to end after what it is at: `POST /agent/{executionId}/stop`. An agent without a loop does not look.
    ///
    /// # Errors
    /// As [`AgentClient::status`].
    pub fn stop(&self, execution_id: &str) -> Result<()> {
        self.steer(Method::Post, "/agent/{executionId}/stop", ("stop agent execution", execution_id))
    }

    /// Tells an execution something that stays in what its model reads: `POST /agent/{executionId}/signal`. A later message
    /// replaces it, an empty one takes it back.
    ///
    /// # Errors
    /// As [`AgentClient::status`].
    pub fn signal(&self, execution_id: &str, message: &str) -> Result<()> {
        let about = ("signal agent execution", execution_id);
        let request = Request::new(Method::Post, "/agent/{executionId}/signal", &[execution_id], about)?;
        self.http.send(&request.json(&std::collections::BTreeMap::from([("message", message)]))?)?.done()
    }

    /// Runs an execution that has ended again from its beginning, under the same id:
    /// `POST /agent/executions/{executionId}/restart`.
    ///
    /// # Errors
    /// As [`WorkflowClient::restart`](crate::WorkflowClient::restart).
    pub fn restart(&self, execution_id: &str) -> Result<()> {
        self.again("/agent/executions/{executionId}/restart", "restart agent execution", execution_id, None)
    }

    /// As [`AgentClient::restart`], with the agent as it is now: `POST /agent/executions/{executionId}/restart`.
    ///
    /// # Errors
    /// As [`AgentClient::restart`].
    pub fn restart_with_latest_definition(&self, execution_id: &str) -> Result<()> {
        let latest = Some("useLatestDefinitions");
        self.again("/agent/executions/{executionId}/restart", "restart agent execution", execution_id, latest)
    }

    /// Schedules the failed tasks of an execution once more: `POST /agent/executions/{executionId}/retry`.
    ///
    /// # Errors
    /// As [`WorkflowClient::retry`](crate::WorkflowClient::retry).
    pub fn retry(&self, execution_id: &str) -> Result<()> {
        self.again("/agent/executions/{executionId}/retry", "retry agent execution", execution_id, None)
    }

    /// As [`AgentClient::retry`], but agents within go on from their own failed tasks:
    /// `POST /agent/executions/{executionId}/retry`.
    ///
    /// # Errors
    /// As [`AgentClient::retry`].
    pub fn retry_within_sub_workflows(&self, execution_id: &str) -> Result<()> {
        let resumes = Some("resumeSubworkflowTasks");
        self.again("/agent/executions/{executionId}/retry", "retry agent execution", execution_id, resumes)
    }

    fn again(&self, route: &'static str, verb: &'static str, execution_id: &str, how: Option<&str>) -> Result<()> {
        let mut request = Request::new(Method::Post, route, &[execution_id], (verb, execution_id))?;
        if let Some(name) = how {
            request = request.query(name, "true");
        }
        // The server answers 404 for it (3.32.1), as for an execution that does not exist.
        said(self.http.send(&request), "Workflow is still running")?.done()
    }

    /// Runs an execution that has ended again, from its beginning or from one of its tasks, and returns its id, which stays the
    /// same: `POST /agent/executions/{executionId}/rerun`.
    ///
    /// # Errors
    /// As [`WorkflowClient::rerun`](crate::WorkflowClient::rerun).
    pub fn rerun(&self, execution_id: &str, request: &RerunWorkflowRequest) -> Result<String> {
        let about = ("rerun agent execution", execution_id);
        if let Some(problem) = request.problem() {
            return Err(Error::invalid(about.0, problem));
        }
        let route = "/agent/executions/{executionId}/rerun";
        let sent = Request::new(Method::Post, route, &[execution_id], about)?.json(request)?;
        no_task_to_begin_with(self.http.send(&sent))?.text()
    }

    /// Removes an execution: `DELETE /agent/executions/{executionId}/record`.
    ///
    /// # Errors
    /// As [`WorkflowClient::remove`](crate::WorkflowClient::remove).
    pub fn remove(&self, execution_id: &str, removal: Removal) -> Result<()> {
        let about = ("remove agent execution", execution_id);
        let request = Request::new(Method::Delete, "/agent/executions/{executionId}/record", &[execution_id], about)?;
        self.http.send(&request.query("archiveTasks", removal.archives()))?.done()
    }

    /// Removes the executions of deployed agents that ended longer than `age` ago, and returns how many:
    /// `POST /agent/executions/prune`. The server counts whole days, from 1; of a part of a day it is told one more.
    ///
    /// # Errors
    /// When `age` is zero or too long, or the server can't be reached, has its AI integrations off or refuses.
    pub fn prune(&self, age: Duration, removal: Removal) -> Result<u64> {
        #[derive(Deserialize)]
        struct Pruned {
            deleted: u64,
        }
        const VERB: &str = "prune agent executions";
        let n_days = age.as_secs().div_ceil(DAY.as_secs());
        if n_days == 0 || i32::try_from(n_days).is_err() {
            return Err(Error::invalid(VERB, "age must be at least a second, and its days fit 32 bits"));
        }
        let request = Request::new(Method::Post, "/agent/executions/prune", &[], (VERB, ""))?
            .query("olderThanDays", &n_days.to_string())
            .query("archiveTasks", removal.archives());
        self.http.send(&request)?.json().map(|pruned: Pruned| pruned.deleted)
    }

    /// Gives a task of an execution, named by its reference, a new status:
    /// `POST /agent/tasks/{executionId}/{reference}/{status}`. The last task of that name is meant, whatever its state.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no such execution or task; otherwise when the output is no object, the status is not
    /// known, or the server can't be reached, has its AI integrations off or refuses.
    pub fn update_task(&self, update: &ReferenceUpdate) -> Result<()> {
        let request = TaskClient::reference_request("/agent/tasks/{workflowId}/{reference}/{status}", update)?;
        self.http.send(&request)?.done()
    }

    /// The log of a task: `GET /agent/tasks/{taskId}/log`; empty also for a task that does not exist.
    ///
    /// # Errors
    /// When the server can't be reached, has its AI integrations off or refuses.
    pub fn task_logs(&self, task_id: &str) -> Result<Vec<TaskExecLog>> {
        self.read("/agent/tasks/{taskId}/log", ("get log of task", task_id))
    }
}
