//! What the `${…}` of a definition may name (3.32.1): the builder checks it, the embedded server resolves it.

/// The fields of `${task.…}`.
pub(crate) const OF_TASK: &[&str] = &[
    "input",
    "output",
    "taskType",
    "status",
    "referenceTaskName",
    "retryCount",
    "correlationId",
    "pollCount",
    "taskDefName",
    "scheduledTime",
    "startTime",
    "endTime",
    "workflowInstanceId",
    "taskId",
    "reasonForIncompletion",
    "callbackAfterSeconds",
    "workerId",
    "iteration",
];

/// The fields of `${workflow.…}`, besides `secrets` and `env`, which are the server's.
pub(crate) const OF_WORKFLOW: &[&str] = &[
    "input",
    "output",
    "status",
    "workflowId",
    "parentWorkflowId",
    "parentWorkflowTaskId",
    "workflowType",
    "version",
    "correlationId",
    "reasonForIncompletion",
    "schemaVersion",
    "variables",
];
