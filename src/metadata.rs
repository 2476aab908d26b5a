//! Definitions of tasks and workflows, and the calls under `/metadata`.

mod client;
mod nameable;

use std::{collections::BTreeMap, time::Duration};

use crate::json::{JsonMap, RawJson, document::document, times, wire, wire_enum};

pub(crate) use client::HIDDEN_NAMES;
pub use client::MetadataClient;
pub(crate) use nameable::{OF_TASK, OF_WORKFLOW};

wire_enum! {
    /// How the delay before a retry grows.
    pub enum RetryLogic {
        /// The same delay each time.
        Fixed = "FIXED",
        /// Doubles each time; `backoffScaleFactor` is ignored by the server.
        ExponentialBackoff = "EXPONENTIAL_BACKOFF",
        /// Grows by the delay times `backoffScaleFactor` each time.
        LinearBackoff = "LINEAR_BACKOFF",
    }
}

wire_enum! {
    /// What the server does when a timeout passes.
    pub enum TimeoutPolicy {
        /// Times the task out and retries it. For tasks only.
        Retry = "RETRY",
        /// Times the whole workflow out.
        TimeOutWf = "TIME_OUT_WF",
        /// Does nothing but log.
        AlertOnly = "ALERT_ONLY",
    }
}

wire_enum! {
    /// The language of a schema.
    pub enum SchemaType {
        /// JSON Schema.
        Json = "JSON",
        /// Apache Avro.
        Avro = "AVRO",
        /// Protocol Buffers.
        Protobuf = "PROTOBUF",
    }
}

wire_enum! {
    /// How a JOIN task is evaluated.
    pub enum JoinMode {
        /// As soon as a task of the workflow changes.
        Sync = "SYNC",
        /// By a background worker of the server.
        Async = "ASYNC",
    }
}

wire_enum! {
    /// What happens when a workflow is started again with a known idempotency key.
    pub enum IdempotencyStrategy {
        /// The start is refused.
        Fail = "FAIL",
        /// The id of the first one is returned.
        ReturnExisting = "RETURN_EXISTING",
        /// The start is refused while the first one runs.
        FailOnRunning = "FAIL_ON_RUNNING",
    }
}

wire_enum! {
    /// What happens to a workflow over its rate limit.
    pub enum RateLimitPolicy {
        /// It waits.
        Queue = "QUEUE",
        /// It is refused.
        Reject = "REJECT",
    }
}

wire! {
    /// The registered definition of a task: how it is retried and when it times out.
    ///
    /// What is `None` is left to the server; its defaults (3.32.1) stand beside each field. A task that was never
    /// registered runs with those defaults. The server keeps every field but the four that say who and when, which it sets
    /// itself, and drops fields it does not know.
    ///
    /// ```
    /// use std::time::Duration;
    /// use conductor_sync::{RetryLogic, TaskDef};
    /// let def = TaskDef::new("greet")
    ///     .retries(2, RetryLogic::Fixed, Duration::from_secs(5))
    ///     .response_timeout(Duration::from_secs(30));
    /// assert_eq!(def.retry_count, Some(2));
    /// ```
    pub struct TaskDef {
        /// The name, which is the queue that workers poll.
        pub name: String = "name",
        /// What it is for.
        pub description: Option<String> = "description",
        /// Retries after the first attempt. Defaults to 3.
        pub retry_count: Option<i32> = "retryCount",
        /// How long one attempt may take from its first hand-out, seconds; 0 is no limit. Defaults to 0.
        pub timeout_seconds: Option<i64> = "timeoutSeconds",
        /// What happens when `timeout_seconds` passes. Defaults to TIME_OUT_WF.
        pub timeout_policy: Option<TimeoutPolicy> = "timeoutPolicy",
        /// How the delay grows. Defaults to FIXED.
        pub retry_logic: Option<RetryLogic> = "retryLogic",
        /// The delay before a retry, seconds. Defaults to 60.
        pub retry_delay_seconds: Option<i32> = "retryDelaySeconds",
        /// The factor of LINEAR_BACKOFF, at least 1. Defaults to 1.
        pub backoff_scale_factor: Option<i32> = "backoffScaleFactor",
        /// The longest delay, seconds; 0 is no cap. Defaults to 0.
        pub max_retry_delay_seconds: Option<i32> = "maxRetryDelaySeconds",
        /// Random extra delay, milliseconds. Defaults to 0.
        pub backoff_jitter_ms: Option<i32> = "backoffJitterMs",
        /// How long the server waits to hear of a task in progress, seconds: the lease. At least 1, at most
        /// `timeout_seconds` where that is set. Defaults to 3600. When it passes, the task is tried again, whatever
        /// `timeout_policy` says (3.32.1). The server finds out when it looks at the workflow: on sqlite it may be minutes
        /// late (3.32.1). See [`WorkflowClient::decide`](crate::WorkflowClient::decide).
        pub response_timeout_seconds: Option<i64> = "responseTimeoutSeconds",
        /// How long a task may wait in the queue, seconds. Defaults to no limit.
        pub poll_timeout_seconds: Option<i32> = "pollTimeoutSeconds",
        /// How long all attempts together may take, seconds; 0 is no limit. Defaults to 0.
        pub total_timeout_seconds: Option<i64> = "totalTimeoutSeconds",
        /// Names of inputs, for people to read.
        pub input_keys: Vec<String> = "inputKeys",
        /// Names of outputs, for people to read.
        pub output_keys: Vec<String> = "outputKeys",
        /// Names of secrets and environment values handed out with the task.
        pub runtime_metadata: Vec<String> = "runtimeMetadata",
        /// Inputs used where a workflow gives none.
        pub input_template: JsonMap = "inputTemplate",
        /// How many may be in progress at once. Defaults to no limit.
        pub concurrent_exec_limit: Option<i32> = "concurrentExecLimit",
        /// Hand-outs per interval; ignored by the SQL stores.
        pub rate_limit_per_frequency: Option<i32> = "rateLimitPerFrequency",
        /// The interval of the rate limit, seconds. Defaults to 1.
        pub rate_limit_frequency_in_seconds: Option<i32> = "rateLimitFrequencyInSeconds",
        /// Its isolation group. Such tasks can't be polled over REST.
        pub isolation_group_id: Option<String> = "isolationGroupId",
        /// Its execution namespace. Such tasks can't be polled over REST.
        pub execution_name_space: Option<String> = "executionNameSpace",
        /// The definition it builds on.
        pub base_type: Option<String> = "baseType",
        /// Whom to ask about it.
        pub owner_email: Option<String> = "ownerEmail",
        /// Whether status listeners hear of it. Defaults to true.
        pub task_status_listener_enabled: Option<bool> = "taskStatusListenerEnabled",
        /// The schema of its input; not enforced by the open-source server.
        pub input_schema: Option<SchemaDef> = "inputSchema",
        /// The schema of its output; not enforced by the open-source server.
        pub output_schema: Option<SchemaDef> = "outputSchema",
        /// Whether schemas are to be enforced. Defaults to false.
        pub enforce_schema: Option<bool> = "enforceSchema",
        /// The application that owns it.
        pub owner_app: Option<String> = "ownerApp",
        /// When it was created, milliseconds since 1970; set by the server.
        pub create_time: Option<i64> = "createTime",
        /// When it was changed, milliseconds since 1970; set by the server.
        pub update_time: Option<i64> = "updateTime",
        /// Who created it; set by the server.
        pub created_by: Option<String> = "createdBy",
        /// Who changed it; set by the server.
        pub updated_by: Option<String> = "updatedBy",
    }
}

document!(TaskDef, "task definition");

impl TaskDef {
    /// A definition with the server's defaults.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Sets the description.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// Sets how often and how a failed task is retried; the delay is rounded up to whole seconds.
    #[must_use]
    pub fn retries(mut self, n_retries: u16, logic: RetryLogic, delay: Duration) -> Self {
        self.retry_count = Some(n_retries.into());
        self.retry_logic = Some(logic);
        self.retry_delay_seconds = Some(i32::try_from(whole_seconds(delay)).unwrap_or(i32::MAX));
        self
    }

    /// Sets how long one attempt may take and what happens then; rounded up to whole seconds.
    #[must_use]
    pub fn timeout(mut self, limit: Duration, policy: TimeoutPolicy) -> Self {
        self.timeout_seconds = Some(whole_seconds(limit));
        self.timeout_policy = Some(policy);
        self
    }

    /// Sets the lease: how long the server waits to hear of a task in progress; rounded up to whole seconds.
    #[must_use]
    pub fn response_timeout(mut self, lease: Duration) -> Self {
        self.response_timeout_seconds = Some(whole_seconds(lease));
        self
    }

    /// Sets how long a task may wait in the queue; rounded up to whole seconds.
    #[must_use]
    pub fn poll_timeout(mut self, limit: Duration) -> Self {
        self.poll_timeout_seconds = Some(i32::try_from(whole_seconds(limit)).unwrap_or(i32::MAX));
        self
    }

    /// Sets how long all attempts together may take; rounded up to whole seconds.
    #[must_use]
    pub fn total_timeout(mut self, limit: Duration) -> Self {
        self.total_timeout_seconds = Some(whole_seconds(limit));
        self
    }

    /// Sets the longest delay before a retry; rounded up to whole seconds.
    #[must_use]
    pub fn max_retry_delay(mut self, limit: Duration) -> Self {
        self.max_retry_delay_seconds = Some(i32::try_from(whole_seconds(limit)).unwrap_or(i32::MAX));
        self
    }

    /// Sets how much longer, at random, a delay before a retry may be; whole milliseconds.
    #[must_use]
    pub fn backoff_jitter(mut self, limit: Duration) -> Self {
        self.backoff_jitter_ms = Some(i32::try_from(limit.as_millis()).unwrap_or(i32::MAX));
        self
    }

    /// Sets how many may be in progress at once.
    #[must_use]
    pub fn concurrent_exec_limit(mut self, limit: u16) -> Self {
        self.concurrent_exec_limit = Some(limit.into());
        self
    }

    /// Sets an input used where a workflow gives none.
    #[must_use]
    pub fn input_default(mut self, name: impl Into<String>, value: impl Into<RawJson>) -> Self {
        self.input_template.insert(name.into(), value.into());
        self
    }

    /// Sets whom to ask about it.
    #[must_use]
    pub fn owner_email(mut self, address: impl Into<String>) -> Self {
        self.owner_email = Some(address.into());
        self
    }
}

wire! {
    /// A schema of inputs or outputs.
    pub struct SchemaDef {
        /// The name.
        pub name: String = "name",
        /// The version. Defaults to 1.
        pub version: Option<i32> = "version",
        /// The language, on the wire `type`.
        pub schema_type: Option<SchemaType> = "type",
        /// The schema itself.
        pub data: Option<RawJson> = "data",
        /// Where it is kept, when it is not here.
        pub external_ref: Option<String> = "externalRef",
        /// The application that owns it.
        pub owner_app: Option<String> = "ownerApp",
        /// When it was created, milliseconds since 1970.
        pub create_time: Option<i64> = "createTime",
        /// When it was changed, milliseconds since 1970.
        pub update_time: Option<i64> = "updateTime",
        /// Who created it.
        pub created_by: Option<String> = "createdBy",
        /// Who changed it.
        pub updated_by: Option<String> = "updatedBy",
    }
}

wire! {
    /// Whether and how long an output may be reused for equal inputs.
    pub struct CacheConfig {
        /// What tells inputs apart; text may hold `${…}` references.
        pub key: Option<String> = "key",
        /// How long an output may be reused, seconds. Defaults to 0.
        pub ttl_in_second: Option<i32> = "ttlInSecond",
    }
}

wire! {
    /// How many workflows with the same key may run at once.
    pub struct RateLimitConfig {
        /// The key; text may hold `${…}` references.
        pub rate_limit_key: Option<String> = "rateLimitKey",
        /// How many may run. Defaults to 0.
        pub concurrent_exec_limit: Option<i32> = "concurrentExecLimit",
        /// What happens to one more. Defaults to QUEUE.
        pub policy: Option<RateLimitPolicy> = "policy",
    }
}

wire! {
    /// An event to send when the state of a task changes.
    pub struct StateChangeEvent {
        /// Its type, on the wire `type`. The server refuses a missing one.
        pub event_type: String = "type",
        /// What it carries.
        pub payload: JsonMap = "payload",
    }
}

wire! {
    /// A node of a [`WorkflowDef`], in the form of the wire; a [`Node`](crate::Node) makes one of any kind.
    ///
    /// ```
    /// use conductor_sync::WorkflowTask;
    /// let node = WorkflowTask::simple("greet", "greet_ref").input("name", "${workflow.input.name}");
    /// assert_eq!(node.task_reference_name, "greet_ref");
    /// ```
    pub struct WorkflowTask {
        /// The name of the task definition. Where none is registered, the server takes one with 3 retries 60 s apart and a
        /// response timeout of an hour (3.32.1).
        pub name: String = "name",
        /// Its name inside the workflow, which references use.
        pub task_reference_name: String = "taskReferenceName",
        /// What it is for.
        pub description: Option<String> = "description",
        /// Its inputs; text may hold `${…}` references.
        pub input_parameters: JsonMap = "inputParameters",
        /// What kind of task it is, on the wire `type`. Defaults to SIMPLE.
        pub task_type: Option<String> = "type",
        /// For DYNAMIC: the input that names the task.
        pub dynamic_task_name_param: Option<String> = "dynamicTaskNameParam",
        /// Deprecated by the server: see `expression`.
        pub case_value_param: Option<String> = "caseValueParam",
        /// Deprecated by the server: see `expression`.
        pub case_expression: Option<String> = "caseExpression",
        /// A script of older task kinds.
        pub script_expression: Option<String> = "scriptExpression",
        /// For SWITCH: the branches.
        pub decision_cases: BTreeMap<String, Vec<WorkflowTask>> = "decisionCases",
        /// Deprecated by the server: see `dynamic_fork_tasks_param`.
        pub dynamic_fork_join_tasks_param: Option<String> = "dynamicForkJoinTasksParam",
        /// For FORK_JOIN_DYNAMIC: the input that holds the tasks.
        pub dynamic_fork_tasks_param: Option<String> = "dynamicForkTasksParam",
        /// For FORK_JOIN_DYNAMIC: the input that holds their inputs.
        pub dynamic_fork_tasks_input_param_name: Option<String> = "dynamicForkTasksInputParamName",
        /// For SWITCH: the branch when none matches.
        pub default_case: Vec<WorkflowTask> = "defaultCase",
        /// For FORK_JOIN: the branches.
        pub fork_tasks: Vec<Vec<WorkflowTask>> = "forkTasks",
        /// The delay before it is scheduled, seconds. Defaults to 0.
        pub start_delay: Option<i32> = "startDelay",
        /// For SUB_WORKFLOW: what to start.
        pub sub_workflow_param: Option<SubWorkflowParams> = "subWorkflowParam",
        /// For JOIN: the references it waits for.
        pub join_on: Vec<String> = "joinOn",
        /// For EVENT: where to.
        pub sink: Option<String> = "sink",
        /// Whether the workflow goes on when it fails. Defaults to false.
        pub optional: Option<bool> = "optional",
        /// Its definition; the server fills it in at start.
        pub task_definition: Option<TaskDef> = "taskDefinition",
        /// Whether rate limits apply.
        pub rate_limited: Option<bool> = "rateLimited",
        /// For EXCLUSIVE_JOIN: what counts when no branch ran.
        pub default_exclusive_join_task: Vec<String> = "defaultExclusiveJoinTask",
        /// Whether the task is completed from outside. Defaults to false.
        pub async_complete: Option<bool> = "asyncComplete",
        /// For DO_WHILE: whether to go round again.
        pub loop_condition: Option<String> = "loopCondition",
        /// For DO_WHILE: the tasks of a round.
        pub loop_over: Vec<WorkflowTask> = "loopOver",
        /// For DO_WHILE over items: a `${…}` reference to the list.
        pub items: Option<String> = "items",
        /// Overrides the retries of the definition; 0 counts.
        pub retry_count: Option<i32> = "retryCount",
        /// The language of `expression`.
        pub evaluator_type: Option<String> = "evaluatorType",
        /// What SWITCH and INLINE evaluate.
        pub expression: Option<String> = "expression",
        /// For JOIN: a script that decides its status.
        pub join_status: Option<String> = "joinStatus",
        /// Events to send when its state changes, by the names of the changes.
        pub on_state_change: BTreeMap<String, Vec<StateChangeEvent>> = "onStateChange",
        /// Whether its output may come from a cache.
        pub cache_config: Option<CacheConfig> = "cacheConfig",
        /// Whether later tasks still run when it fails; the workflow fails at the end. Defaults to false.
        pub permissive: Option<bool> = "permissive",
        /// For JOIN: when it is evaluated.
        pub join_mode: Option<JoinMode> = "joinMode",
        /// Free data.
        pub metadata: JsonMap = "metadata",
    }
}

impl WorkflowTask {
    /// A task that workers execute: the task definition `name`, called `reference` inside the workflow.
    pub fn simple(name: impl Into<String>, reference: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            task_reference_name: reference.into(),
            task_type: Some("SIMPLE".to_owned()),
            ..Self::default()
        }
    }

    /// Sets an input; text may hold `${…}` references.
    #[must_use]
    pub fn input(mut self, name: impl Into<String>, value: impl Into<RawJson>) -> Self {
        self.input_parameters.insert(name.into(), value.into());
        self
    }

    /// Lets the workflow go on when this task fails.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = Some(true);
        self
    }
}

wire! {
    /// What a SUB_WORKFLOW task starts.
    pub struct SubWorkflowParams {
        /// The name of the workflow.
        pub name: Option<String> = "name",
        /// Its version; the latest when missing.
        pub version: Option<i32> = "version",
        /// Domains for its tasks.
        pub task_to_domain: BTreeMap<String, String> = "taskToDomain",
        /// The definition itself, or a `${…}` reference to one.
        pub workflow_definition: Option<RawJson> = "workflowDefinition",
        /// A key against starting twice.
        pub idempotency_key: Option<String> = "idempotencyKey",
        /// What happens when the key is known.
        pub idempotency_strategy: Option<IdempotencyStrategy> = "idempotencyStrategy",
        /// Its priority: a number or a `${…}` reference.
        pub priority: Option<RawJson> = "priority",
    }
}

wire! {
    /// The definition of a workflow, in the form of the wire: nothing is checked here. A
    /// [`WorkflowBuilder`](crate::WorkflowBuilder) makes one and checks it.
    ///
    /// ```
    /// use conductor_sync::{WorkflowDef, WorkflowTask};
    /// let def = WorkflowDef::new("hello")
    ///     .task(WorkflowTask::simple("greet", "greet_ref").input("name", "${workflow.input.name}"))
    ///     .output("text", "${greet_ref.output.text}");
    /// assert_eq!(def.tasks.len(), 1);
    /// ```
    ///
    /// The server keeps every field but `update_time`, which it sets itself, and drops fields it does not know (3.32.1).
    /// Definitions may be kept in files:
    ///
    /// ```
    /// use conductor_sync::WorkflowDef;
    /// let text = std::fs::read_to_string("examples/ship.json")?;
    /// let def = WorkflowDef::from_json(&text)?;
    /// assert_eq!((def.name.as_str(), def.tasks.len()), ("ship", 2));
    /// assert_eq!(def.to_json(), text, "written again it is the same file");
    ///
    /// assert!(def.to_json().contains("\"drawnWith\""), "what this crate has no name for stays");
    /// let error = WorkflowDef::from_json(&text.replace("3600", "\"an hour\"")).unwrap_err();
    /// assert_eq!(error.operation(), "read workflow definition");
    /// assert!(error.to_string().contains("line 45, column 29: timeoutSeconds: "), "{error}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub struct WorkflowDef {
        /// The name.
        pub name: String = "name",
        /// What it is for.
        pub description: Option<String> = "description",
        /// The version. Defaults to 1.
        pub version: Option<i32> = "version",
        /// The tasks, in order.
        pub tasks: Vec<WorkflowTask> = "tasks",
        /// Names of inputs, for people to read.
        pub input_parameters: Vec<String> = "inputParameters",
        /// The output; text may hold `${…}` references. The output of the last task when empty.
        pub output_parameters: JsonMap = "outputParameters",
        /// The workflow to start when this one fails.
        pub failure_workflow: Option<String> = "failureWorkflow",
        /// The version of that workflow.
        pub failure_workflow_version: Option<i32> = "failureWorkflowVersion",
        /// The version of the definition format: 2, the only one the server accepts.
        pub schema_version: Option<i32> = "schemaVersion",
        /// Whether it can be restarted. Defaults to true.
        pub restartable: Option<bool> = "restartable",
        /// Whether status listeners hear of it. Defaults to false.
        pub workflow_status_listener_enabled: Option<bool> = "workflowStatusListenerEnabled",
        /// Where the listener writes to.
        pub workflow_status_listener_sink: Option<String> = "workflowStatusListenerSink",
        /// Whom to ask about it.
        pub owner_email: Option<String> = "ownerEmail",
        /// What happens when `timeout_seconds` passes: TIME_OUT_WF or ALERT_ONLY. Defaults to ALERT_ONLY.
        pub timeout_policy: Option<TimeoutPolicy> = "timeoutPolicy",
        /// How long the workflow may run, seconds; 0 is no limit. Defaults to 0.
        pub timeout_seconds: Option<i64> = "timeoutSeconds",
        /// Variables at the start.
        pub variables: JsonMap = "variables",
        /// Inputs used where a start gives others but not these; a start without any input gets none (3.32.1).
        pub input_template: JsonMap = "inputTemplate",
        /// Stored, but not enforced by the open-source server.
        pub rate_limit_config: Option<RateLimitConfig> = "rateLimitConfig",
        /// The schema of its input; not enforced by the open-source server.
        pub input_schema: Option<SchemaDef> = "inputSchema",
        /// The schema of its output; not enforced by the open-source server.
        pub output_schema: Option<SchemaDef> = "outputSchema",
        /// Whether schemas are to be enforced. Defaults to true.
        pub enforce_schema: Option<bool> = "enforceSchema",
        /// Free data.
        pub metadata: JsonMap = "metadata",
        /// Whether its output may come from a cache.
        pub cache_config: Option<CacheConfig> = "cacheConfig",
        /// Fields to be masked.
        pub masked_fields: Vec<String> = "maskedFields",
        /// The application that owns it.
        pub owner_app: Option<String> = "ownerApp",
        /// When it was created, milliseconds since 1970; set by the server.
        pub create_time: Option<i64> = "createTime",
        /// When it was changed, milliseconds since 1970; set by the server.
        pub update_time: Option<i64> = "updateTime",
        /// Who created it; set by the server.
        pub created_by: Option<String> = "createdBy",
        /// Who changed it; set by the server.
        pub updated_by: Option<String> = "updatedBy",
    }
}

document!(WorkflowDef, "workflow definition");

impl WorkflowDef {
    /// An empty definition, version 1.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), version: Some(1), schema_version: Some(2), ..Self::default() }
    }

    /// Sets the version, from 1.
    #[must_use]
    pub fn version(mut self, version: u16) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Sets the description.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// Adds a task at the end.
    #[must_use]
    pub fn task(mut self, task: WorkflowTask) -> Self {
        self.tasks.push(task);
        self
    }

    /// Sets a value of the output; text may hold `${…}` references.
    #[must_use]
    pub fn output(mut self, name: impl Into<String>, value: impl Into<RawJson>) -> Self {
        self.output_parameters.insert(name.into(), value.into());
        self
    }

    /// Sets how long the workflow may run and what happens then; rounded up to whole seconds.
    #[must_use]
    pub fn timeout(mut self, limit: Duration, policy: TimeoutPolicy) -> Self {
        self.timeout_seconds = Some(whole_seconds(limit));
        self.timeout_policy = Some(policy);
        self
    }

    /// Sets whom to ask about it.
    #[must_use]
    pub fn owner_email(mut self, address: impl Into<String>) -> Self {
        self.owner_email = Some(address.into());
        self
    }
}

wire! {
    /// A version of a workflow definition in a list.
    pub struct WorkflowDefSummary {
        /// The name.
        pub name: String = "name",
        /// The version.
        pub version: i32 = "version",
        /// When it was created, milliseconds since 1970.
        pub create_time: Option<i64> = "createTime",
        /// When it was changed, milliseconds since 1970.
        pub update_time: Option<i64> = "updateTime",
    }
}

times! {
    TaskDef {
        /// When it was created.
        created_at = create_time;
        /// When it was changed; `None` before.
        updated_at = update_time;
    }
}

times! {
    WorkflowDef {
        /// When it was registered; `None` where an update or an overwriting did it (3.32.1).
        created_at = create_time;
        /// When it was changed; `None` before.
        updated_at = update_time;
    }
}

times! {
    WorkflowDefSummary {
        /// When it was registered; `None` where an update or an overwriting did it (3.32.1).
        created_at = create_time;
        /// When it was changed; `None` before.
        updated_at = update_time;
    }
}

/// Whole seconds for the wire, rounded up so that a pause never gets shorter.
pub(crate) fn whole_seconds(duration: Duration) -> i64 {
    let up = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    i64::try_from(up).unwrap_or(i64::MAX)
}
