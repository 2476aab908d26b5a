//! What is done to a workflow from outside after its start.

use super::WorkflowClient;
use crate::{
    error::{Error, Result, excerpt},
    http::{Method, Request},
    json::{JsonMap, RawJson, wire},
};

wire! {
    /// Where a rerun begins and with what, for [`WorkflowClient::rerun`].
    ///
    /// ```
    /// use conductor_sync::RerunWorkflowRequest;
    /// let again = RerunWorkflowRequest::new().from_task("task-id").task_input(serde_json::json!({"n": 2}));
    /// ```
    pub struct RerunWorkflowRequest {
        /// The task to begin with; the whole workflow again when missing.
        pub re_run_from_task_id: Option<String> = "reRunFromTaskId",
        /// Another input for that task.
        pub task_input: Option<RawJson> = "taskInput",
        /// Another input for the workflow.
        pub workflow_input: Option<RawJson> = "workflowInput",
        /// Another correlation id.
        pub correlation_id: Option<String> = "correlationId",
    }
}

impl RerunWorkflowRequest {
    /// The whole workflow again, with the input it had.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins with this task, by its id; what came before it stays.
    #[must_use]
    pub fn from_task(mut self, task_id: impl Into<String>) -> Self {
        self.re_run_from_task_id = Some(task_id.into());
        self
    }

    /// Gives that task another input, an object.
    #[must_use]
    pub fn task_input(mut self, input: impl Into<RawJson>) -> Self {
        self.task_input = Some(input.into());
        self
    }

    /// Gives the workflow another input, an object.
    #[must_use]
    pub fn workflow_input(mut self, input: impl Into<RawJson>) -> Self {
        self.workflow_input = Some(input.into());
        self
    }

    /// Gives the workflow another correlation id.
    #[must_use]
    pub fn correlation_id(mut self, id: impl Into<String>) -> Self {
        self.correlation_id = Some(id.into());
        self
    }

    /// What is wrong with it, if anything.
    pub(crate) fn problem(&self) -> Option<String> {
        for (name, input) in [("task_input", &self.task_input), ("workflow_input", &self.workflow_input)] {
            if let Some(input) = input.as_ref().filter(|input| !input.is_object()) {
                return Some(format!("{name} must be a JSON object (given: `{}`)", excerpt(input.get())));
            }
        }
        match self.re_run_from_task_id.as_deref() {
            Some("") => Some("re_run_from_task_id must not be empty".to_owned()),
            None if self.task_input.is_some() => Some("task_input is given, but no task to begin with".to_owned()),
            _ => None,
        }
    }
}

/// The input and output that a skipped task is to have, for [`WorkflowClient::skip_task`].
///
/// The server takes them from the address and knows **text** only there (3.32.1): a number becomes a text.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct SkipTaskRequest {
    fields: Vec<(&'static str, String, String)>,
}

impl SkipTaskRequest {
    /// No input and no output.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value of the input.
    pub fn input(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push(("taskInput", name.into(), value.into()));
        self
    }

    /// Sets a value of the output.
    pub fn output(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push(("taskOutput", name.into(), value.into()));
        self
    }
}

/// What becomes of a workflow that is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It goes to the archive of the server, which can only take a workflow that has ended. Whether it can be found there
    /// depends on the storage: on sqlite searches still tell of it, but it can't be looked at any more (3.32.1).
    Archive,
    /// It is deleted, in whatever state it is.
    Delete,
}

impl Removal {
    /// As the parameter `archiveWorkflow`.
    pub(crate) fn archives(self) -> &'static str {
        match self {
            Self::Archive => "true",
            Self::Delete => "false",
        }
    }
}

impl WorkflowClient {
    /// Runs a workflow that has ended again from its beginning, under the same id: `POST /workflow/{workflowId}/restart`.
    /// It keeps the definition it had.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when it has not ended; [`Error::is_not_found`] when it does not exist, or its definition forbids
    /// a restart; otherwise when the server can't be reached or refuses.
    ///
    /// [`ErrorKind::Conflict`]: crate::ErrorKind::Conflict
    pub fn restart(&self, workflow_id: &str) -> Result<()> {
        self.restart_as(workflow_id, "false")
    }

    /// As [`WorkflowClient::restart`], with the latest version of its definition as it is now.
    ///
    /// # Errors
    /// As [`WorkflowClient::restart`].
    pub fn restart_with_latest_definition(&self, workflow_id: &str) -> Result<()> {
        self.restart_as(workflow_id, "true")
    }

    fn restart_as(&self, workflow_id: &str, with_latest: &str) -> Result<()> {
        let about = ("restart workflow", workflow_id);
        let request = Request::new(Method::Post, "/workflow/{workflowId}/restart", &[workflow_id], about)?;
        self.http.send(&request.query("useLatestDefinitions", with_latest))?.done()
    }

    /// Schedules the failed tasks of a workflow that did not complete once more: `POST /workflow/{workflowId}/retry`.
    /// A failed sub-workflow is started anew.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when it runs, has completed, or has nothing to retry; otherwise when it does not exist, or the
    /// server can't be reached or refuses.
    ///
    /// [`ErrorKind::Conflict`]: crate::ErrorKind::Conflict
    pub fn retry(&self, workflow_id: &str) -> Result<()> {
        self.retry_as(workflow_id, "false")
    }

    /// As [`WorkflowClient::retry`], but a failed sub-workflow goes on from its own failed task. When nothing has failed, the
    /// server does nothing and does not tell (3.32.1).
    ///
    /// # Errors
    /// As [`WorkflowClient::retry`].
    pub fn retry_within_sub_workflows(&self, workflow_id: &str) -> Result<()> {
        self.retry_as(workflow_id, "true")
    }

    fn retry_as(&self, workflow_id: &str, resumes: &str) -> Result<()> {
        let about = ("retry workflow", workflow_id);
        let request = Request::new(Method::Post, "/workflow/{workflowId}/retry", &[workflow_id], about)?
            .query("resumeSubworkflowTasks", resumes);
        let outcome = self.http.send(&request);
        // The server answers 404 for it (3.32.1), as for a workflow that does not exist.
        said(outcome, "Workflow is still running")?.done()
    }

    /// Runs a workflow that has ended again, from its beginning or from one of its tasks, and returns its id, which stays the
    /// same: `POST /workflow/{workflowId}/rerun`. A rerun from the beginning deletes its tasks.
    ///
    /// Where a skipped task follows, 3.32.1 answers 500 and has made the workflow RUNNING all the same: look at its state.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when it has not ended; [`Error::is_not_found`] when there is no such workflow, or no such task
    /// in it (the server answers 400); otherwise when an input is no object, or the server can't be reached or refuses.
    ///
    /// [`ErrorKind::Conflict`]: crate::ErrorKind::Conflict
    pub fn rerun(&self, workflow_id: &str, request: &RerunWorkflowRequest) -> Result<String> {
        let about = ("rerun workflow", workflow_id);
        if let Some(problem) = request.problem() {
            return Err(Error::invalid(format!("rerun workflow {}", excerpt(workflow_id)), problem));
        }
        let sent = Request::new(Method::Post, "/workflow/{workflowId}/rerun", &[workflow_id], about)?.json(request)?;
        no_task_to_begin_with(self.http.send(&sent))?.text()
    }

    /// Makes the tasks of a workflow that wait for a callback due now: `POST /workflow/{workflowId}/resetcallbacks`.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when it has ended; otherwise when it does not exist, or the server can't be reached or refuses.
    ///
    /// [`ErrorKind::Conflict`]: crate::ErrorKind::Conflict
    pub fn reset_callbacks(&self, workflow_id: &str) -> Result<()> {
        let about = ("reset callbacks of workflow", workflow_id);
        let request = Request::new(Method::Post, "/workflow/{workflowId}/resetcallbacks", &[workflow_id], about)?;
        self.http.send(&request)?.done()
    }

    /// Lets a running workflow pass by a task that has not been scheduled yet:
    /// `PUT /workflow/{workflowId}/skiptask/{reference}`.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when the task has been scheduled or the workflow does not run; [`Error::is_not_found`] when the
    /// workflow or the task in its definition does not exist; otherwise when a name is empty or contains a square bracket, or
    /// the server can't be reached or refuses.
    ///
    /// [`ErrorKind::Conflict`]: crate::ErrorKind::Conflict
    pub fn skip_task(&self, workflow_id: &str, reference: &str, skip: &SkipTaskRequest) -> Result<()> {
        let about = ("skip task", reference);
        let values = [workflow_id, reference];
        let mut request = Request::new(Method::Put, "/workflow/{workflowId}/skiptask/{reference}", &values, about)?;
        for (map, name, value) in &skip.fields {
            if name.is_empty() || name.contains(['[', ']']) {
                let message = format!("{map}: a name must not be empty or contain a square bracket (given: `{name}`)");
                return Err(Error::invalid(format!("skip task {}", excerpt(reference)), message));
            }
            request = request.query(&format!("{map}[{name}]"), value);
        }
        // The server answers 500 for all of these (3.32.1).
        let outcome = said(self.http.send(&request), "already been processed");
        let outcome = said(outcome, "not running so the task");
        outcome
            .map_err(|error| match error.server_message() {
                Some(message) if message.contains("does not exist in the WorkflowDefinition") => error.into_not_found(),
                _ => error,
            })?
            .done()
    }

    /// Removes a workflow: `DELETE /workflow/{workflowId}/remove`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is none; [`ErrorKind::Rejected`] when it is to be archived and has not ended;
    /// otherwise when the server can't be reached or refuses.
    ///
    /// [`ErrorKind::Rejected`]: crate::ErrorKind::Rejected
    pub fn remove(&self, workflow_id: &str, removal: Removal) -> Result<()> {
        let about = ("remove workflow", workflow_id);
        let request = Request::new(Method::Delete, "/workflow/{workflowId}/remove", &[workflow_id], about)?;
        self.http.send(&request.query("archiveWorkflow", removal.archives()))?.done()
    }

    /// Ends a workflow as TERMINATED and removes it: `DELETE /workflow/{workflowId}/terminate-remove`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is none; [`ErrorKind::Conflict`] when it is COMPLETED; otherwise when the server
    /// can't be reached or refuses.
    ///
    /// [`ErrorKind::Conflict`]: crate::ErrorKind::Conflict
    pub fn terminate_and_remove(&self, workflow_id: &str, reason: Option<&str>, removal: Removal) -> Result<()> {
        let about = ("terminate and remove workflow", workflow_id);
        let request = Request::new(Method::Delete, "/workflow/{workflowId}/terminate-remove", &[workflow_id], about)?
            .query_some("reason", reason)
            .query("archiveWorkflow", removal.archives());
        self.http.send(&request)?.done()
    }

    /// Puts a message into the queue of a running workflow, from which its PULL_WORKFLOW_MESSAGES tasks take it, and returns
    /// the id of the message: `POST /workflow/{workflowId}/messages`.
    ///
    /// # Errors
    /// [`Error::is_wrong_address`] when the server's message queues are off, as they are unless it is told otherwise;
    /// [`Error::is_not_found`] when the workflow does not exist; [`ErrorKind::Conflict`] when it does not run;
    /// [`Error::is_retryable`] when its queue is full; otherwise when the server can't be reached or refuses.
    ///
    /// [`ErrorKind::Conflict`]: crate::ErrorKind::Conflict
    pub fn send_message(&self, workflow_id: &str, message: &JsonMap) -> Result<String> {
        let about = ("send message to workflow", workflow_id);
        let request = Request::new(Method::Post, "/workflow/{workflowId}/messages", &[workflow_id], about)?;
        self.http.send(&request.plain_refusals().json(message)?)?.text()
    }
}

/// That a rerun shall begin with a task that is not there is a 400 (3.32.1).
pub(crate) fn no_task_to_begin_with<T>(outcome: Result<T>) -> Result<T> {
    outcome.map_err(|error| match (error.status(), error.server_message()) {
        (Some(400), Some(message)) if message.starts_with("Task ") && message.ends_with(" not found") => {
            error.into_not_found()
        }
        _ => error,
    })
}

/// A refusal in these words means that the workflow is in a state that forbids the operation, whatever its status says.
pub(crate) fn said<T>(outcome: Result<T>, words: &str) -> Result<T> {
    outcome.map_err(|error| match error.server_message() {
        Some(message) if message.contains(words) => error.into_conflict(),
        _ => error,
    })
}
