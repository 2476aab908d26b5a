//! What is wrong with a task definition, as the server (3.32.1) sees it. Used for those given along with a workflow.

use crate::{
    builder::text::name_problem,
    metadata::{SchemaDef, TaskDef},
};

/// What is wrong with a definition that is to be registered.
pub(super) fn problems(task: &TaskDef) -> Vec<String> {
    let mut found: Vec<String> = name_problem(&task.name).map(|what| format!("the name {what}")).into_iter().collect();
    let not_negative = [
        ("retry count", task.retry_count.map(i64::from)),
        ("longest retry delay", task.max_retry_delay_seconds.map(i64::from)),
        ("jitter", task.backoff_jitter_ms.map(i64::from)),
        ("poll timeout", task.poll_timeout_seconds.map(i64::from)),
        ("total timeout", task.total_timeout_seconds),
    ];
    for (what, _) in not_negative.into_iter().filter(|(_, value)| value.is_some_and(|value| value < 0)) {
        found.push(format!("the {what} must not be negative"));
    }
    if task.backoff_scale_factor.is_some_and(|factor| factor < 1) {
        found.push("the backoff scale factor must be 1 or more".to_owned());
    }
    let (lease, limit) = (task.response_timeout_seconds.unwrap_or(3600), task.timeout_seconds.unwrap_or(0));
    let total = task.total_timeout_seconds.unwrap_or(0);
    if lease < 1 {
        found.push("the response timeout must be 1 s or more".to_owned());
    }
    if limit > 0 && lease > limit {
        found.push(format!(
            "the response timeout ({lease} s, 3600 s unless set) is longer than the timeout ({limit} s)"
        ));
    }
    if total > 0 && limit > total {
        found.push(format!("the timeout ({limit} s) is longer than the total timeout ({total} s)"));
    }
    found.extend(problems_of_own(task));
    found
}

/// What is wrong with a definition that goes with one task: there the server takes any number. A negative timeout, which it
/// takes anywhere, is none.
pub(super) fn problems_of_own(task: &TaskDef) -> Vec<String> {
    let limit = task.timeout_seconds.filter(|seconds| *seconds < 0);
    let policy = task.timeout_policy.as_ref().and_then(|policy| policy.problem("timeout_policy"));
    let logic = task.retry_logic.as_ref().and_then(|logic| logic.problem("retry_logic"));
    let limit = limit.map(|_| "the timeout must not be negative".to_owned());
    let schemas = schema_problems([&task.input_schema, &task.output_schema]);
    limit.into_iter().chain(policy).chain(logic).chain(schemas).collect()
}

/// What is wrong with the schemas of a definition.
pub(super) fn schema_problems(schemas: [&Option<SchemaDef>; 2]) -> impl Iterator<Item = String> {
    schemas.into_iter().flatten().filter_map(|schema| schema.schema_type.as_ref()?.problem("schema_type"))
}
