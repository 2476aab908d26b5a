//! Workflows: one execution as the server sees it, the request that starts one, and the calls under `/workflow`.

use std::collections::BTreeMap;

use crate::{
    json::{RawJson, wire, wire_enum},
    metadata::{IdempotencyStrategy, WorkflowDef},
    task::Task,
};

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
    /// The last attempt of the task with this reference name.
    pub fn task(&self, reference: &str) -> Option<&Task> {
        self.tasks.iter().rev().find(|task| task.reference_task_name == reference)
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
        /// An id of the caller's own, to find the workflow by.
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

    /// Sets the input, an object.
    #[must_use]
    pub fn input(mut self, input: impl Into<RawJson>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// Sets an id of the caller's own, to find the workflow by.
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
