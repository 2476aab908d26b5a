//! Searching tasks, and where payloads are stored that are too large for the server itself.

use std::time::Duration;

use super::{Task, TaskClient, TaskStatus};
use crate::{
    error::{Error, Result},
    http::{Http, Method, Request},
    json::{length, wire},
    search::{Index, Place, Search, SearchRequest},
};

wire! {
    /// What a search tells about a task.
    ///
    /// Times are texts such as `2026-11-24T11:10:14.621Z`.
    pub struct TaskSummary {
        /// The id of its workflow.
        pub workflow_id: String = "workflowId",
        /// The name of its workflow.
        pub workflow_type: String = "workflowType",
        /// The workflow's correlation id.
        pub correlation_id: Option<String> = "correlationId",
        /// When it was put into the queue.
        pub scheduled_time: Option<String> = "scheduledTime",
        /// When it was first handed out.
        pub start_time: Option<String> = "startTime",
        /// When it was changed.
        pub update_time: Option<String> = "updateTime",
        /// When it ended.
        pub end_time: Option<String> = "endTime",
        /// The state.
        pub status: TaskStatus = "status",
        /// Why it did not complete.
        pub reason_for_incompletion: Option<String> = "reasonForIncompletion",
        /// How long it ran, milliseconds.
        pub execution_time: i64 = "executionTime",
        /// How long it waited in the queue, milliseconds.
        pub queue_wait_time: i64 = "queueWaitTime",
        /// The name of its definition.
        pub task_def_name: String = "taskDefName",
        /// The queue it came from; for a SIMPLE task the name of its definition.
        pub task_type: String = "taskType",
        /// The input as text for people, such as `{x=1}`: **no JSON**, unless the server is told to write it.
        pub input: String = "input",
        /// The output as text for people, as the input.
        pub output: String = "output",
        /// Its id.
        pub task_id: String = "taskId",
        /// Where the input is stored when it was too large.
        pub external_input_payload_storage_path: Option<String> = "externalInputPayloadStoragePath",
        /// Where the output is stored when it was too large.
        pub external_output_payload_storage_path: Option<String> = "externalOutputPayloadStoragePath",
        /// The priority of its workflow.
        pub workflow_priority: i32 = "workflowPriority",
        /// The domain it was queued in.
        pub domain: Option<String> = "domain",
    }
}

impl TaskSummary {
    /// How long it ran.
    pub fn took(&self) -> Duration {
        length(self.execution_time)
    }

    /// How long it waited in the queue.
    pub fn waited(&self) -> Duration {
        length(self.queue_wait_time)
    }
}

wire! {
    /// A place outside the server for a payload that is too large.
    pub struct ExternalStorageLocation {
        /// Where to read it from or write it to. `None` when the server has no storage that clients can reach, which is so
        /// unless one is configured (3.32.1).
        pub uri: Option<String> = "uri",
        /// The name to give the server in place of the payload.
        pub path: String = "path",
    }
}

/// What is to be done with a payload outside the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadOperation {
    /// Fetch it.
    Read,
    /// Store it.
    Write,
}

/// What a payload outside the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayloadType {
    /// The input of a workflow.
    WorkflowInput,
    /// The output of a workflow.
    WorkflowOutput,
    /// The input of a task.
    TaskInput,
    /// The output of a task.
    TaskOutput,
}

impl TaskClient {
    /// Searches tasks: `GET /tasks/search`. Nothing is sent before the [`Search`] is read.
    ///
    /// A plain text is a query in the language of the server.
    pub fn search(&self, request: impl Into<SearchRequest>) -> Search<TaskSummary> {
        let place = Place::of_index("search tasks", "/tasks/search", Index::Tasks);
        Search::new(&self.http, place, request.into())
    }

    /// As [`TaskClient::search`], with whole tasks: `GET /tasks/search-v2`.
    pub fn search_tasks(&self, request: impl Into<SearchRequest>) -> Search<Task> {
        let place = Place::of_index("search tasks", "/tasks/search-v2", Index::Tasks);
        Search::new(&self.http, place, request.into())
    }

    /// Where to put or find a payload that is too large for the server: `GET /tasks/externalstoragelocation`.
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
        storage_location(&self.http, "/tasks/externalstoragelocation", path, operation, payload)
    }
}

/// The call of both clients.
pub(crate) fn storage_location(
    http: &Http,
    route: &'static str,
    path: &str,
    operation: PayloadOperation,
    payload: PayloadType,
) -> Result<ExternalStorageLocation> {
    if path.is_empty() && operation == PayloadOperation::Read {
        return Err(Error::invalid("get external storage location", "path must not be empty when it is to be read"));
    }
    let operation = match operation {
        PayloadOperation::Read => "READ",
        PayloadOperation::Write => "WRITE",
    };
    let payload = match payload {
        PayloadType::WorkflowInput => "WORKFLOW_INPUT",
        PayloadType::WorkflowOutput => "WORKFLOW_OUTPUT",
        PayloadType::TaskInput => "TASK_INPUT",
        PayloadType::TaskOutput => "TASK_OUTPUT",
    };
    let request = Request::new(Method::Get, route, &[], ("get external storage location of", path))?
        .query("path", path)
        .query("operation", operation)
        .query("payloadType", payload);
    http.send_safe(&request)?.json()
}
