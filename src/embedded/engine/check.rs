//! What definitions must be like, in the words of the server.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    json::Extra,
    metadata::{TaskDef, WorkflowDef, WorkflowTask},
};

use super::{REAL_SERVER, Refusal, Violation};

/// A text that must not be empty; the server tells a missing one from an empty one.
fn required(extra: &Extra, name: &'static str, value: &str, path: String, message: &str) -> Option<Violation> {
    match value.is_empty() {
        true if extra.came_as_null(name) == Some(false) => Some(Violation::of_value(path, message, "")),
        true => Some(Violation::of(path, message)),
        false => None,
    }
}

/// What is wrong with a task definition. `at` is the path of the argument, as the server names it.
pub(super) fn check_task(def: &TaskDef, at: &str) -> Vec<Violation> {
    let field = |name: &str| format!("{at}.{name}");
    let named = required(&def.extra, "name", &def.name, field("name"), "TaskDef name cannot be null or empty");
    let mut wrong: Vec<Violation> = named.into_iter().collect();
    let not_negative = [
        ("retryCount", def.retry_count),
        ("maxRetryDelaySeconds", def.max_retry_delay_seconds),
        ("backoffJitterMs", def.backoff_jitter_ms),
        ("pollTimeoutSeconds", def.poll_timeout_seconds),
    ];
    let not_negative = not_negative.map(|(name, value)| (name, value.map(i64::from)));
    for (name, value) in not_negative.into_iter().chain([("totalTimeoutSeconds", def.total_timeout_seconds)]) {
        if let Some(value) = value.filter(|value| *value < 0) {
            wrong.push(Violation::of_value(field(name), format!("TaskDef {name}: 0 must be >= 0"), value));
        }
    }
    if let Some(lease) = def.response_timeout_seconds.filter(|lease| *lease < 1) {
        let message = format!("TaskDef responseTimeoutSeconds: {lease} should be minimum 1 second");
        wrong.push(Violation::of_value(field("responseTimeoutSeconds"), message, lease));
    }
    if let Some(factor) = def.backoff_scale_factor.filter(|factor| *factor < 1) {
        let message = "Backoff scale factor. Applicable for LINEAR_BACKOFF";
        wrong.push(Violation::of_value(field("backoffScaleFactor"), message, factor));
    }
    let (response, timeout) = (def.response_timeout_seconds.unwrap_or(3600), def.timeout_seconds.unwrap_or(0));
    let mut too_long = |what: &str| wrong.push(Violation::of(at, format!("TaskDef: {} {what}", def.name)));
    if timeout > 0 && response > timeout {
        too_long(&format!("responseTimeoutSeconds: {response} must be less than timeoutSeconds: {timeout}"));
    }
    let total = def.total_timeout_seconds.unwrap_or(0);
    if total > 0 && timeout > total {
        too_long(&format!("timeoutSeconds: {timeout} must be less than or equal to totalTimeoutSeconds: {total}"));
    }
    wrong
}

/// What is wrong with a workflow definition. `at` is the path of the argument, as the server names it.
pub(super) fn check_workflow(def: &WorkflowDef, at: &str) -> Vec<Violation> {
    let named =
        required(&def.extra, "name", &def.name, format!("{at}.name"), "WorkflowDef name cannot be null or empty");
    let mut wrong: Vec<Violation> = named.into_iter().collect();
    let mut references = BTreeSet::new();
    for task in all_tasks(&def.tasks) {
        if !references.insert(task.task_reference_name.as_str()) {
            let message = format!(
                "taskReferenceName: {} should be unique across tasks for a given workflowDefinition: {}",
                task.task_reference_name, def.name
            );
            wrong.push(Violation::of(at, message));
        }
    }
    if def.tasks.is_empty() {
        wrong.push(Violation::of(format!("{at}.tasks"), "WorkflowTask list cannot be empty"));
    }
    if let Some(version) = def.schema_version.filter(|version| *version != 2) {
        let message = "workflowDef schemaVersion: 2 is only supported";
        wrong.push(Violation::of_value(format!("{at}.schemaVersion"), message, version));
    }
    for (n, task) in def.tasks.iter().enumerate() {
        let path = |field: &str| format!("{at}.tasks[{n}].{field}");
        let no_name = "WorkflowTask name cannot be empty or null";
        let no_reference = "WorkflowTask taskReferenceName name cannot be empty or null";
        wrong.extend(required(&task.extra, "name", &task.name, path("name"), no_name));
        let reference = (&task.extra, task.task_reference_name.as_str());
        wrong.extend(required(reference.0, "taskReferenceName", reference.1, path("taskReferenceName"), no_reference));
        for (key, value) in &task.input_parameters {
            let mut errors = Vec::new();
            check_references(key, &value.to_value().unwrap_or_default(), &task.name, &references_of(def), &mut errors);
            wrong.extend(errors.into_iter().map(|message| Violation::of(at, message)));
        }
    }
    wrong
}

fn references_of(def: &WorkflowDef) -> BTreeSet<&str> {
    all_tasks(&def.tasks).into_iter().map(|task| task.task_reference_name.as_str()).collect()
}

/// The tasks of a definition, those inside others included.
fn all_tasks(tasks: &[WorkflowTask]) -> Vec<&WorkflowTask> {
    let mut all = Vec::new();
    for task in tasks {
        all.push(task);
        let branches = task.decision_cases.values().chain(&task.fork_tasks);
        for inner in branches.chain([&task.default_case, &task.loop_over]) {
            all.extend(all_tasks(inner));
        }
    }
    all
}

/// Collects what is wrong with the `${…}` references in a parameter.
fn check_references(key: &str, value: &Value, task: &str, known: &BTreeSet<&str>, errors: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            for path in simple_references(text) {
                let root = path.split('.').next().unwrap_or_default();
                if path.trim().is_empty() || path.matches('[').count() != path.matches(']').count() {
                    errors.push(format!("key: {key} input parameter value: {path} is not valid"));
                } else if !matches!(root, "workflow" | "CPEWF_TASK_ID") && !known.contains(root) {
                    errors.push(format!(
                        "taskReferenceName: {root} for given task: {task} input value: {key} of input parameter: \
                         {text} is not defined in workflow definition."
                    ));
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| check_references(key, item, task, known, errors)),
        Value::Object(members) => {
            members.iter().for_each(|(key, value)| check_references(key, value, task, known, errors));
        }
        _ => {}
    }
}

/// The insides of those `${…}` that hold no other.
fn simple_references(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.find('}') {
        if let Some(start) = rest[..end].rfind("${").filter(|start| !rest[..*start].ends_with('$')) {
            found.push(&rest[start + 2..end]);
        }
        rest = &rest[end + 1..];
    }
    found
}

/// Refuses to start a workflow with tasks of kinds that are not executed here. Its definition may be registered, so that
/// it can be read back.
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
            "the embedded server executes SIMPLE tasks only; workflow {} has {}; {REAL_SERVER}",
            def.name,
            others.join(", ")
        ))),
    }
}
