//! Definitions: what they must be like, the defaults the server fills in, and the plan that a workflow follows.

use std::collections::HashMap;

use crate::{
    json::{Extra, JsonMap, RawJson},
    metadata::{RetryLogic, TaskDef, TimeoutPolicy, WorkflowDef, WorkflowTask},
};

use super::Millis;

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

/// The members of an input on top of those of the template of its workflow. An empty input stays empty, as on the real
/// server.
pub(super) fn with_template(template: &JsonMap, input: &RawJson) -> RawJson {
    let given: JsonMap = input.decode().unwrap_or_default();
    if template.is_empty() || given.is_empty() {
        return input.clone();
    }
    let mut members = template.clone();
    // A null that is given counts as not given.
    members.extend(given.into_iter().filter(|(name, value)| !value.is_null() || !template.contains_key(name)));
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
                "createTime": 5, "updateTime": 0, "name": "t", "retryCount": 3, "timeoutSeconds": 0,
                "inputKeys": [], "outputKeys": [], "runtimeMetadata": [], "timeoutPolicy": "TIME_OUT_WF",
                "retryLogic": "FIXED", "retryDelaySeconds": 60, "responseTimeoutSeconds": 3600, "inputTemplate": {},
                "rateLimitPerFrequency": 0, "rateLimitFrequencyInSeconds": 1, "backoffScaleFactor": 1,
                "maxRetryDelaySeconds": 0, "backoffJitterMs": 0, "totalTimeoutSeconds": 0,
                "taskStatusListenerEnabled": true, "enforceSchema": false
            })
        );
    }
}
