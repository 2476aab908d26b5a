//! What came of a task, made fit to be sent: verdicts, outputs and raw results become one report.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{Result, without_value},
    json::{RawJson, misfit},
    task::{TaskResult, TaskResultStatus},
    worker::{TaskContext, TaskError},
};

/// What came of a task: the result to report, and the name of its failure for the metrics.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) result: TaskResult,
    pub(crate) failure: Option<&'static str>,
}

impl Outcome {
    /// A verdict that the runner gives instead of the handler.
    pub(crate) fn failed(cx: &TaskContext, status: TaskResultStatus, reason: String, failure: &'static str) -> Self {
        let mut result = cx.result(status).reason(shorten(&reason)).worker_id(&cx.worker_id);
        result.logs = cx.take_logs(Vec::new());
        Self { result, failure: Some(failure) }
    }

    pub(super) fn invalid_input(cx: &TaskContext, reason: String) -> Self {
        Self::failed(cx, TaskResultStatus::FailedWithTerminalError, format!("input: {reason}"), "InvalidInput")
    }

    pub(super) fn from_verdict(cx: &TaskContext, verdict: Result<Result<RawJson, String>, TaskError>) -> Self {
        let error = match verdict {
            Ok(Ok(output)) => {
                let mut result = cx.result(TaskResultStatus::Completed).output(output).worker_id(&cx.worker_id);
                result.logs = cx.take_logs(Vec::new());
                return Self { result, failure: None };
            }
            Ok(Err(reason)) => {
                let reason = format!("output: {reason}");
                return Self::failed(cx, TaskResultStatus::FailedWithTerminalError, reason, "InvalidOutput");
            }
            Err(error) => error,
        };
        let failure = match error.status {
            TaskResultStatus::InProgress => None,
            TaskResultStatus::FailedWithTerminalError => Some("TerminalError"),
            _ => Some("TaskError"),
        };
        let mut result = cx.result(error.status).worker_id(&cx.worker_id).callback_after(error.callback_after);
        result.reason_for_incompletion = error.reason.as_deref().map(shorten);
        // An IN_PROGRESS report replaces the output on the server, so what was there goes along.
        let kept = (failure.is_none()).then(|| cx.output_so_far().cloned()).flatten();
        result.output_data = error.output.map(wrap).or(kept);
        result.logs = cx.take_logs(Vec::new());
        Self { result, failure }
    }

    /// A whole result of a raw handler, made fit to be sent.
    pub(super) fn from_result(cx: &TaskContext, mut result: TaskResult) -> Self {
        let given = |id: &str, own: &str| id.is_empty() || id == own;
        let problem = if !given(&result.task_id, cx.task_id()) || !given(&result.workflow_instance_id, cx.workflow_id())
        {
            Some(format!(
                "it is for task {} of workflow {}: make it with TaskContext::result",
                result.task_id, result.workflow_instance_id
            ))
        } else if result.status == TaskResultStatus::default() {
            Some("it has no status: make it with TaskContext::result".to_owned())
        } else {
            None
        };
        if let Some(problem) = problem {
            let reason = format!("the handler returned a result that can't be used: {problem}");
            return Self::failed(cx, TaskResultStatus::FailedWithTerminalError, reason, "InvalidOutput");
        }
        result.task_id = cx.task_id().to_owned();
        result.workflow_instance_id = cx.workflow_id().to_owned();
        if result.worker_id.is_none() {
            result.worker_id = Some(cx.worker_id.clone());
        }
        // A negative pause strands the task on 3.32.1, and a lease extension would be taken instead of the result.
        result.callback_after_seconds = result.callback_after_seconds.max(0);
        result.extend_lease = false;
        result.output_data = result.output_data.map(wrap);
        result.reason_for_incompletion = result.reason_for_incompletion.as_deref().map(shorten);
        result.logs = cx.take_logs(result.logs);
        let failure = match result.status {
            TaskResultStatus::Completed | TaskResultStatus::InProgress => None,
            TaskResultStatus::FailedWithTerminalError => Some("TerminalError"),
            _ => Some("TaskError"),
        };
        Self { result, failure }
    }
}

pub(super) fn decode_input<I: DeserializeOwned>(text: &str) -> Result<I, String> {
    serde_json::from_str(text).or_else(|error| {
        // A type without content, such as `()`, takes any input.
        let unit = (size_of::<I>() == 0).then(|| serde_json::from_str("null").ok()).flatten();
        unit.ok_or_else(|| match misfit::<I>(text) {
            Some(path) => format!("{path}: {}", without_value(&error)),
            None => without_value(&error),
        })
    })
}

/// The output as JSON text, wrapped where it is no object.
pub(super) fn encode_output<O: Serialize>(output: &O) -> Result<RawJson, String> {
    RawJson::new(output).map(wrap).map_err(|e| e.to_string())
}

fn wrap(output: RawJson) -> RawJson {
    #[derive(Serialize)]
    struct Wrapped {
        result: RawJson,
    }
    if output.is_object() {
        return output;
    }
    let fallback = output.clone();
    RawJson::new(&Wrapped { result: output }).unwrap_or(fallback)
}

/// The server keeps 500 characters of a reason (3.32.1).
pub(crate) fn shorten(reason: &str) -> String {
    const MOST: usize = 500;
    if reason.chars().nth(MOST).is_none() { reason.to_owned() } else { reason.chars().take(MOST).collect() }
}
