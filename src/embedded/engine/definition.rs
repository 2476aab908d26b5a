//! Definitions: what they must be like, the defaults the server fills in, and the plan that a workflow follows.

use std::collections::{BTreeSet, HashMap};

use crate::{
    json::{Extra, JsonMap, RawJson},
    metadata::{RetryLogic, TaskDef, TimeoutPolicy, WorkflowDef, WorkflowTask},
};

use super::{Millis, Refusal, Violation};

/// What a workflow follows: its definition with the definitions of its tasks, as they were at the start.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) definition: WorkflowDef,
    pub(super) nodes: Vec<Node>,
}

/// A task of a plan.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) task: WorkflowTask,
    pub(super) rules: TaskDef,
    /// How the node and its task definition are written into tasks.
    pub(super) task_json: RawJson,
    pub(super) rules_json: RawJson,
}

impl Plan {
    /// Puts the definitions of the tasks into a workflow definition; a task without one gets the default definition.
    pub(super) fn new(mut definition: WorkflowDef, task_defs: &HashMap<String, TaskDef>) -> Self {
        for task in &mut definition.tasks {
            let known = || task_defs.get(&task.name).cloned();
            let default = || complete_task(TaskDef::new(task.name.clone()), 0, 0);
            let rules = task.task_definition.take().or_else(known).unwrap_or_else(default);
            task.task_definition = Some(rules);
        }
        let nodes: Vec<Node> = definition.tasks.iter().map(Node::new).collect();
        Self { definition, nodes }
    }

    pub(super) fn name(&self) -> &str {
        &self.definition.name
    }

    pub(super) fn version(&self) -> i32 {
        self.definition.version.unwrap_or(1)
    }
}

impl Node {
    fn new(task: &WorkflowTask) -> Self {
        let rules = task.task_definition.clone().unwrap_or_default();
        Self {
            task_json: RawJson::new(task).unwrap_or_default(),
            rules_json: RawJson::new(&rules).unwrap_or_default(),
            task: task.clone(),
            rules,
        }
    }

    pub(super) fn is_optional(&self) -> bool {
        self.task.optional == Some(true)
    }

    pub(super) fn is_permissive(&self) -> bool {
        self.task.permissive == Some(true)
    }

    pub(super) fn n_retries(&self) -> i32 {
        self.task.retry_count.or(self.rules.retry_count).unwrap_or(3)
    }

    /// The delay before the attempt that follows attempt `attempt`, whole seconds.
    pub(super) fn retry_delay(&self, attempt: i32) -> i32 {
        let rules = &self.rules;
        let delay = i64::from(rules.retry_delay_seconds.unwrap_or(60));
        let grown = match rules.retry_logic {
            Some(RetryLogic::LinearBackoff) => delay
                .saturating_mul(i64::from(rules.backoff_scale_factor.unwrap_or(1)))
                .saturating_mul(i64::from(attempt) + 1),
            Some(RetryLogic::ExponentialBackoff) => {
                delay.saturating_mul(1_i64.checked_shl(attempt.unsigned_abs().min(62)).unwrap_or(i64::MAX))
            }
            _ => delay,
        };
        let capped = match rules.max_retry_delay_seconds {
            Some(cap) if cap > 0 => grown.min(i64::from(cap)),
            _ => grown,
        };
        i32::try_from(capped).unwrap_or(i32::MAX)
    }

    pub(super) fn policy(&self) -> &TimeoutPolicy {
        self.rules.timeout_policy.as_ref().unwrap_or(&TimeoutPolicy::TimeOutWf)
    }
}

/// Fields that are written even when empty, and nothing else of what came along.
pub(super) fn always_written(fields: &[&'static str]) -> Extra {
    let mut extra = Extra::default();
    fields.iter().for_each(|field| extra.keep_default(field));
    extra
}

/// A task definition with the server's defaults filled in and unknown fields dropped.
pub(super) fn complete_task(def: TaskDef, created: Millis, updated: Millis) -> TaskDef {
    TaskDef {
        retry_count: def.retry_count.or(Some(3)),
        timeout_seconds: def.timeout_seconds.or(Some(0)),
        timeout_policy: def.timeout_policy.or(Some(TimeoutPolicy::TimeOutWf)),
        retry_logic: def.retry_logic.or(Some(RetryLogic::Fixed)),
        retry_delay_seconds: def.retry_delay_seconds.or(Some(60)),
        backoff_scale_factor: def.backoff_scale_factor.or(Some(1)),
        max_retry_delay_seconds: def.max_retry_delay_seconds.or(Some(0)),
        backoff_jitter_ms: def.backoff_jitter_ms.or(Some(0)),
        response_timeout_seconds: def.response_timeout_seconds.or(Some(3600)),
        total_timeout_seconds: def.total_timeout_seconds.or(Some(0)),
        rate_limit_per_frequency: def.rate_limit_per_frequency.or(Some(0)),
        rate_limit_frequency_in_seconds: def.rate_limit_frequency_in_seconds.or(Some(1)),
        task_status_listener_enabled: def.task_status_listener_enabled.or(Some(true)),
        enforce_schema: def.enforce_schema.or(Some(false)),
        create_time: Some(created),
        update_time: Some(updated),
        created_by: def.created_by.or(Some(String::new())),
        extra: always_written(&["inputKeys", "outputKeys", "runtimeMetadata", "inputTemplate"]),
        ..def
    }
}

/// A workflow definition with the server's defaults filled in and unknown fields dropped.
pub(super) fn complete_workflow(def: WorkflowDef, created: Millis, updated: Millis) -> WorkflowDef {
    WorkflowDef {
        version: def.version.or(Some(1)),
        tasks: def.tasks.into_iter().map(complete_node).collect(),
        schema_version: def.schema_version.or(Some(2)),
        restartable: def.restartable.or(Some(true)),
        workflow_status_listener_enabled: def.workflow_status_listener_enabled.or(Some(false)),
        timeout_policy: def.timeout_policy.or(Some(TimeoutPolicy::AlertOnly)),
        timeout_seconds: def.timeout_seconds.or(Some(0)),
        enforce_schema: def.enforce_schema.or(Some(true)),
        create_time: Some(created),
        update_time: Some(updated),
        extra: always_written(&[
            "tasks",
            "inputParameters",
            "outputParameters",
            "variables",
            "inputTemplate",
            "metadata",
            "maskedFields",
        ]),
        ..def
    }
}

fn complete_node(task: WorkflowTask) -> WorkflowTask {
    let all = |tasks: Vec<WorkflowTask>| tasks.into_iter().map(complete_node).collect();
    WorkflowTask {
        task_type: task.task_type.or_else(|| Some("SIMPLE".to_owned())),
        start_delay: task.start_delay.or(Some(0)),
        optional: task.optional.or(Some(false)),
        permissive: task.permissive.or(Some(false)),
        async_complete: task.async_complete.or(Some(false)),
        task_definition: task.task_definition.map(|def| complete_task(def, 0, 0)),
        decision_cases: task.decision_cases.into_iter().map(|(case, tasks)| (case, all(tasks))).collect(),
        default_case: all(task.default_case),
        fork_tasks: task.fork_tasks.into_iter().map(all).collect(),
        loop_over: all(task.loop_over),
        extra: always_written(&[
            "inputParameters",
            "decisionCases",
            "defaultCase",
            "forkTasks",
            "joinOn",
            "defaultExclusiveJoinTask",
            "loopOver",
            "onStateChange",
            "metadata",
        ]),
        ..task
    }
}

/// What is wrong with a task definition. `at` is the path of the argument, as the server names it.
pub(super) fn check_task(def: &TaskDef, at: &str) -> Vec<Violation> {
    let mut wrong = Vec::new();
    let field = |name: &str| format!("{at}.{name}");
    if def.name.is_empty() {
        wrong.push(Violation::of_value(field("name"), "TaskDef name cannot be null or empty", ""));
    }
    for (name, value) in [("retryCount", def.retry_count), ("maxRetryDelaySeconds", def.max_retry_delay_seconds)] {
        if let Some(value) = value.filter(|value| *value < 0) {
            wrong.push(Violation::of_value(field(name), format!("TaskDef {name}: 0 must be >= 0"), value));
        }
    }
    let at_least_one = [
        ("responseTimeoutSeconds", def.response_timeout_seconds),
        ("backoffScaleFactor", def.backoff_scale_factor.map(i64::from)),
    ];
    for (name, value) in at_least_one {
        if let Some(value) = value.filter(|value| *value < 1) {
            let bound =
                if name == "backoffScaleFactor" { "Backoff scale factor" } else { "TaskDef responseTimeoutSeconds" };
            let message = format!("{bound}: {value} should be minimum 1 second");
            wrong.push(Violation::of_value(field(name), message, value));
        }
    }
    let (response, timeout) = (def.response_timeout_seconds.unwrap_or(3600), def.timeout_seconds.unwrap_or(0));
    if timeout > 0 && response > timeout {
        let message = format!(
            "TaskDef: {} responseTimeoutSeconds: {response} must be less than timeoutSeconds: {timeout}",
            def.name
        );
        wrong.push(Violation::of(at, message));
    }
    let total = def.total_timeout_seconds.unwrap_or(0);
    if total > 0 && timeout > total {
        let message =
            format!("TaskDef: {} timeoutSeconds: {timeout} must be less than totalTimeoutSeconds: {total}", def.name);
        wrong.push(Violation::of(at, message));
    }
    wrong
}

/// What is wrong with a workflow definition. `at` is the path of the argument, as the server names it.
pub(super) fn check_workflow(def: &WorkflowDef, at: &str) -> Vec<Violation> {
    let mut wrong = Vec::new();
    let mut references = BTreeSet::new();
    for task in &def.tasks {
        if !references.insert(&task.task_reference_name) {
            let message = format!(
                "taskReferenceName: {} should be unique across tasks for a given workflowDefinition: {}",
                task.task_reference_name, def.name
            );
            wrong.push(Violation::of(at, message));
        }
    }
    if def.name.is_empty() {
        wrong.push(Violation::of_value(format!("{at}.name"), "WorkflowDef name cannot be null or empty", ""));
    }
    if def.tasks.is_empty() {
        wrong.push(Violation::of(format!("{at}.tasks"), "WorkflowTask list cannot be empty"));
    }
    for (n, task) in def.tasks.iter().enumerate() {
        let required = [
            ("name", &task.name, "WorkflowTask name cannot be empty or null"),
            (
                "taskReferenceName",
                &task.task_reference_name,
                "WorkflowTask taskReferenceName name cannot be empty or null",
            ),
        ];
        for (field, _, message) in required.iter().filter(|(_, value, _)| value.is_empty()) {
            wrong.push(Violation::of(format!("{at}.tasks[{n}].{field}"), *message));
        }
    }
    wrong
}

/// Refuses a workflow definition with tasks of kinds that are not executed here.
pub(super) fn check_served(def: &WorkflowDef) -> Result<(), Refusal> {
    let others: Vec<String> = def
        .tasks
        .iter()
        .filter_map(|task| Some((task, task.task_type.as_deref().filter(|kind| *kind != "SIMPLE")?)))
        .map(|(task, kind)| format!("{} ({kind})", task.task_reference_name))
        .collect();
    match others.is_empty() {
        true => Ok(()),
        false => Err(Refusal::not_served(format!(
            "the embedded server executes SIMPLE tasks only; workflow {} has {}",
            def.name,
            others.join(", ")
        ))),
    }
}

/// The members of `over` on top of those of `under`, as a JSON object; `over` itself when there is nothing under it.
pub(super) fn overlaid(under: &JsonMap, over: &RawJson) -> RawJson {
    if under.is_empty() {
        return over.clone();
    }
    let mut members = under.clone();
    members.extend(over.decode::<JsonMap>().unwrap_or_default());
    RawJson::new(&members).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(def: TaskDef) -> Node {
        let mut task = WorkflowTask::simple("t", "t");
        task.task_definition = Some(complete_task(def, 0, 0));
        Node::new(&complete_node(task))
    }

    #[test]
    fn the_delay_before_a_retry_grows_as_the_logic_says() {
        let base = |logic: RetryLogic, factor, cap| {
            let mut def = TaskDef::new("t").retries(9, logic, std::time::Duration::from_secs(1));
            def.backoff_scale_factor = Some(factor);
            def.max_retry_delay_seconds = Some(cap);
            node(def)
        };
        for (node, expected) in [
            (base(RetryLogic::Fixed, 2, 0), [1, 1, 1]),
            (base(RetryLogic::LinearBackoff, 2, 0), [2, 4, 6]),
            (base(RetryLogic::LinearBackoff, 2, 5), [2, 4, 5]),
            (base(RetryLogic::ExponentialBackoff, 2, 0), [1, 2, 4]),
            (base(RetryLogic::ExponentialBackoff, 2, 3), [1, 2, 3]),
        ] {
            assert_eq!([0, 1, 2].map(|attempt| node.retry_delay(attempt)), expected);
        }
        assert_eq!(base(RetryLogic::ExponentialBackoff, 1, 0).retry_delay(60), i32::MAX);
    }

    #[test]
    fn a_definition_gets_the_defaults_of_the_server() {
        let json = serde_json::to_value(complete_task(TaskDef::new("t"), 5, 0)).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "createTime": 5, "updateTime": 0, "createdBy": "", "name": "t", "retryCount": 3, "timeoutSeconds": 0,
                "inputKeys": [], "outputKeys": [], "runtimeMetadata": [], "timeoutPolicy": "TIME_OUT_WF",
                "retryLogic": "FIXED", "retryDelaySeconds": 60, "responseTimeoutSeconds": 3600, "inputTemplate": {},
                "rateLimitPerFrequency": 0, "rateLimitFrequencyInSeconds": 1, "backoffScaleFactor": 1,
                "maxRetryDelaySeconds": 0, "backoffJitterMs": 0, "totalTimeoutSeconds": 0,
                "taskStatusListenerEnabled": true, "enforceSchema": false
            })
        );
    }
}
