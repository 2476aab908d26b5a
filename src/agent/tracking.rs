//! Executions of agents that run outside the server, told to it so that they can be seen there: nothing of them is run by it.

use serde::Deserialize;

use super::{AgentClient, not_an_object};
use crate::{
    error::{Error, Result},
    http::{Method, Request},
    json::{JsonMap, RawJson, wire},
};

wire! {
    /// An execution that runs outside the server: for [`AgentClient::track`].
    pub struct TrackingRequest {
        /// What it is called.
        pub workflow_name: String = "workflowName",
        /// Its input, an object.
        pub input: Option<RawJson> = "input",
        /// The execution it belongs to.
        pub parent_workflow_id: Option<String> = "parentWorkflowId",
        /// The task there that it is of.
        pub parent_workflow_task_id: Option<String> = "parentWorkflowTaskId",
    }
}

impl TrackingRequest {
    /// An execution with this name.
    pub fn new(workflow_name: impl Into<String>) -> Self {
        Self { workflow_name: workflow_name.into(), ..Self::default() }
    }

    /// Sets its input, an object.
    #[must_use]
    pub fn input(mut self, input: impl Into<RawJson>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// Sets the execution it belongs to, and the task there that it is of.
    #[must_use]
    pub fn parent(mut self, execution_id: impl Into<String>, task_id: impl Into<String>) -> Self {
        self.parent_workflow_id = Some(execution_id.into());
        self.parent_workflow_task_id = Some(task_id.into());
        self
    }
}

wire! {
    /// The execution that an injected task stands for.
    pub struct TrackingSubWorkflow {
        /// What it is called.
        pub name: String = "name",
        /// The version of its definition.
        pub version: Option<i32> = "version",
        /// Its id.
        pub execution_id: String = "executionId",
    }
}

wire! {
    /// A task that was done outside the server: for [`AgentClient::inject_task`].
    pub struct InjectTaskRequest {
        /// What it is called.
        pub task_def_name: String = "taskDefName",
        /// Its reference name.
        pub reference_task_name: String = "referenceTaskName",
        /// Its type: `SIMPLE`, `SUB_WORKFLOW`, or `LLM_CHAT_COMPLETE`, whose outputs `promptTokens`, `completionTokens` and
        /// `tokenUsed` are counted as [`TokenUsage`](crate::TokenUsage).
        pub task_type: String = "type",
        /// Its input, an object.
        pub input_data: Option<RawJson> = "inputData",
        /// Its state, which 3.32.1 does not look at: an injected task is IN_PROGRESS.
        pub status: Option<String> = "status",
        /// The execution that a task of the type `SUB_WORKFLOW` stands for.
        pub sub_workflow_param: Option<TrackingSubWorkflow> = "subWorkflowParam",
    }
}

impl InjectTaskRequest {
    /// A tool that was called.
    pub fn tool(name: impl Into<String>, reference: impl Into<String>) -> Self {
        Self {
            task_def_name: name.into(),
            reference_task_name: reference.into(),
            task_type: "SIMPLE".to_owned(),
            ..Self::default()
        }
    }

    /// An agent within, whose execution is tracked: see [`AgentClient::track`].
    pub fn sub_agent(name: &str, reference: impl Into<String>, execution_id: impl Into<String>) -> Self {
        let sub = TrackingSubWorkflow {
            name: name.to_owned(),
            version: Some(1),
            execution_id: execution_id.into(),
            ..TrackingSubWorkflow::default()
        };
        Self { task_type: "SUB_WORKFLOW".to_owned(), sub_workflow_param: Some(sub), ..Self::tool(name, reference) }
    }

    /// Sets its input, an object.
    #[must_use]
    pub fn input(mut self, input: impl Into<RawJson>) -> Self {
        self.input_data = Some(input.into());
        self
    }
}

impl AgentClient {
    /// Tells the server of an execution that runs outside it, and returns its id: `POST /agent/execution`.
    ///
    /// # Errors
    /// When the name is empty, the input is no object, or the server can't be reached, has its AI integrations off or refuses.
    pub fn track(&self, request: &TrackingRequest) -> Result<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Created {
            execution_id: String,
        }
        let about = ("track agent execution", request.workflow_name.as_str());
        if request.workflow_name.trim().is_empty() {
            return Err(Error::invalid(about.0, "workflow_name must not be empty"));
        }
        if let Some(problem) = not_an_object("input", request.input.as_ref()) {
            return Err(Error::invalid(about.0, problem));
        }
        let sent = Request::new(Method::Post, "/agent/execution", &[], about)?.json(request)?;
        self.http.send(&sent)?.json().map(|created: Created| created.execution_id)
    }

    /// Says that a tracked execution has completed, with an output: `POST /agent/execution/{executionId}/complete`. Its tasks
    /// that have not ended are completed too.
    ///
    /// # Errors
    /// As [`AgentClient::status`].
    pub fn complete_tracked(&self, execution_id: &str, output: &JsonMap) -> Result<()> {
        let about = ("complete tracked agent execution", execution_id);
        let request = Request::new(Method::Post, "/agent/execution/{executionId}/complete", &[execution_id], about)?;
        self.http.send(&request.json(output)?)?.done()
    }

    /// Puts a task that was done outside the server into an execution, where it can be seen, and returns its id:
    /// `POST /agent/{executionId}/tasks`. The server does not hand it out, and nothing follows from it.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no such execution; otherwise when a name is empty, the input is no object, or the
    /// server can't be reached, has its AI integrations off or refuses.
    pub fn inject_task(&self, execution_id: &str, task: &InjectTaskRequest) -> Result<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Injected {
            task_id: String,
        }
        let about = ("inject task into agent execution", execution_id);
        let names = [
            ("task_def_name", &task.task_def_name),
            ("reference_task_name", &task.reference_task_name),
            ("task_type", &task.task_type),
        ];
        let empty = names.iter().find(|(_, value)| value.trim().is_empty());
        let problem = empty.map(|(name, _)| format!("{name} must not be empty"));
        if let Some(problem) = problem.or_else(|| not_an_object("input_data", task.input_data.as_ref())) {
            return Err(Error::invalid(about.0, problem));
        }
        let request = Request::new(Method::Post, "/agent/{executionId}/tasks", &[execution_id], about)?.json(task)?;
        self.http.send(&request)?.json().map(|injected: Injected| injected.task_id)
    }
}
