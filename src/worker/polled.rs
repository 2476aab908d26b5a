//! A task as a poll brings it: only what every step needs is decoded, all else stays text until somebody asks.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{
    error::{Result, without_value},
    json::{Field, RawJson},
    task::FAR,
};

/// A task as it was handed out: its text, and the few fields that every step needs.
#[derive(Debug)]
pub(crate) struct PolledTask {
    pub(crate) task_id: String,
    pub(crate) workflow_id: String,
    pub(crate) type_names: [Option<String>; 2],
    pub(crate) attempt: u32,
    pub(crate) poll_count: u32,
    /// The lease; `None` where the server never times the task out.
    pub(crate) lease: Option<Duration>,
    /// What is left of the definition's times: for this attempt and, in the first one, for all of them.
    pub(crate) time_left: Option<Duration>,
    pub(crate) input: RawJson,
    pub(crate) output: Option<RawJson>,
    pub(crate) external_input: Option<String>,
    pub(super) text: RawJson,
}

/// The fields of a task that are decoded at once; all the rest stays text until somebody asks.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    task_id: Option<String>,
    workflow_instance_id: Option<String>,
    task_type: Option<String>,
    task_def_name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    retry_count: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    poll_count: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    response_timeout_seconds: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    scheduled_time: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    start_time: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    update_time: Option<i64>,
    input_data: Option<Box<RawValue>>,
    output_data: Option<Box<RawValue>>,
    external_input_payload_storage_path: Option<String>,
    #[serde(default, deserialize_with = "if_it_fits")]
    task_definition: Option<Limits>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Limits {
    #[serde(default, deserialize_with = "lenient")]
    timeout_seconds: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    total_timeout_seconds: Option<i64>,
}

/// A number, also as `3.0` or as text.
fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    i64::read(deserializer)
}

/// What a task can do without is not worth failing it for.
fn if_it_fits<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    let text = Option::<&RawValue>::deserialize(deserializer)?;
    Ok(text.and_then(|text| serde_json::from_str(text.get()).ok()))
}

/// Enough of a task to report that the rest can't be read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaskIds {
    pub(crate) task_id: String,
    pub(crate) workflow_instance_id: String,
}

/// A task that can't be read: why, and its ids where they can.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) reason: String,
    pub(crate) ids: Option<(String, String)>,
}

impl Unreadable {
    pub(crate) fn new(text: &RawValue, reason: impl Into<String>) -> Self {
        let ids = serde_json::from_str::<TaskIds>(text.get()).ok();
        let ids = ids.filter(|ids| !ids.task_id.is_empty() && !ids.workflow_instance_id.is_empty());
        Self { reason: reason.into(), ids: ids.map(|ids| (ids.workflow_instance_id, ids.task_id)) }
    }
}

impl PolledTask {
    /// Reads one element of a poll's answer.
    pub(crate) fn read(text: &RawValue) -> Result<Self, Unreadable> {
        let envelope: Envelope =
            serde_json::from_str(text.get()).map_err(|e| Unreadable::new(text, without_value(&e)))?;
        let given = |id: Option<String>| id.filter(|id| !id.is_empty());
        let (Some(workflow_id), Some(task_id)) = (given(envelope.workflow_instance_id), given(envelope.task_id)) else {
            let reason = "it needs both `taskId` and `workflowInstanceId`".to_owned();
            return Err(Unreadable { reason, ids: None });
        };
        let seconds = |n: Option<i64>| {
            n.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0).map(|n| Duration::from_secs(n).min(FAR))
        };
        let left = |limit: Option<i64>, begun: Option<i64>| {
            // Both times are the server's, so their difference needs no common clock.
            let now = envelope.update_time.unwrap_or(0);
            let used = begun.filter(|at| *at > 0).map_or(0, |begun| now.saturating_sub(begun));
            let used = Duration::from_millis(u64::try_from(used).unwrap_or(0));
            seconds(limit).map(|limit| limit.saturating_sub(used))
        };
        let limits = envelope.task_definition.unwrap_or_default();
        let attempt = u32::try_from(envelope.retry_count.unwrap_or(0)).unwrap_or(0);
        // A later attempt does not say when the first one was scheduled.
        let total = limits.total_timeout_seconds.filter(|_| attempt == 0);
        let times_left = [left(limits.timeout_seconds, envelope.start_time), left(total, envelope.scheduled_time)];
        Ok(Self {
            workflow_id,
            task_id,
            type_names: [envelope.task_type, envelope.task_def_name],
            attempt,
            poll_count: u32::try_from(envelope.poll_count.unwrap_or(0)).unwrap_or(0),
            lease: seconds(envelope.response_timeout_seconds),
            time_left: times_left.into_iter().flatten().min(),
            input: envelope.input_data.map_or_else(RawJson::default, RawJson::from),
            output: envelope.output_data.map(RawJson::from).filter(|output| output.get().len() > 2),
            external_input: envelope.external_input_payload_storage_path.filter(|path| !path.is_empty()),
            text: RawJson::from(text.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json, value::to_raw_value};

    use super::*;

    #[test]
    fn the_time_left_is_the_shorter_of_the_attempts_and_in_the_first_one_of_the_total() {
        let left = |attempt: i64, scheduled: Value, limits: Value| {
            let task = json!({
                "taskId": "t", "workflowInstanceId": "w", "retryCount": attempt, "scheduledTime": scheduled,
                "startTime": 60_000, "updateTime": 65_000, "taskDefinition": limits,
            });
            PolledTask::read(&to_raw_value(&task).unwrap()).unwrap().time_left.map(|left| left.as_secs())
        };
        for (attempt, scheduled, limits, expected) in [
            (0, json!(50_000), json!({}), None),
            (0, json!(50_000), json!({"timeoutSeconds": 0, "totalTimeoutSeconds": 0}), None),
            (0, json!(50_000), json!({"timeoutSeconds": 20}), Some(15)),
            (0, json!(50_000), json!({"totalTimeoutSeconds": 20}), Some(5)),
            (0, json!(50_000), json!({"timeoutSeconds": 20, "totalTimeoutSeconds": 20}), Some(5)),
            (0, json!(50_000), json!({"timeoutSeconds": 20, "totalTimeoutSeconds": 60}), Some(15)),
            (0, json!(50_000), json!({"totalTimeoutSeconds": 3}), Some(0)),
            (0, json!(null), json!({"totalTimeoutSeconds": 20}), Some(20)),
            (1, json!(50_000), json!({"totalTimeoutSeconds": 20}), None),
            (1, json!(50_000), json!({"timeoutSeconds": 20, "totalTimeoutSeconds": 20}), Some(15)),
        ] {
            assert_eq!(left(attempt, scheduled, limits.clone()), expected, "attempt {attempt}: {limits}");
        }
    }
}
