//! Bodies of requests: what the server says of those it can't read.

use serde::de::DeserializeOwned;

use crate::{
    json::RawJson,
    metadata::{TaskDef, WorkflowDef},
    task::{TaskResult, TaskResultStatus},
    workflow::StartWorkflowRequest,
};

use super::{Call, Refusal};

/// The package of the server's own wire types, which its messages name.
const JAVA: &str = "com.netflix.conductor.common.metadata";

impl Call {
    /// The body as JSON. The real server answers 500 to one it can't read, whatever the reason.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let content_type = self.content_type.as_deref().unwrap_or("application/octet-stream");
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/json") {
            return Err(Refusal::failed(format!("Content-Type '{content_type}' is not supported")));
        }
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return Err(Refusal::failed("Required request body is missing"));
        }
        serde_json::from_slice(&self.body).map_err(|error| parse_error(&error.to_string()))
    }

    /// The body as a JSON object.
    pub(super) fn object(&self) -> Result<RawJson, Refusal> {
        let object: RawJson = self.json()?;
        check_object(Some(&object))?;
        Ok(object)
    }

    pub(super) fn task_result(&self) -> Result<TaskResult, Refusal> {
        let result: TaskResult = self.json()?;
        let known = ["CANCELED", "COMPLETED", "FAILED_WITH_TERMINAL_ERROR", "FAILED", "IN_PROGRESS"];
        if let TaskResultStatus::Other(text) = &result.status {
            // A missing status reads as the empty text.
            check_enum(Some(text.as_str()).filter(|text| !text.is_empty()), "tasks.TaskResult$Status", &known)?;
        }
        check_object(result.output_data.as_ref())?;
        Ok(result)
    }

    pub(super) fn start_request(&self) -> Result<StartWorkflowRequest, Refusal> {
        let request: StartWorkflowRequest = self.json()?;
        check_object(request.input.as_ref())?;
        request.workflow_def.iter().try_for_each(check_workflow)?;
        Ok(request)
    }

    pub(super) fn task_def(&self) -> Result<TaskDef, Refusal> {
        let def: TaskDef = self.json()?;
        check_task(&def)?;
        Ok(def)
    }

    pub(super) fn task_defs(&self) -> Result<Vec<TaskDef>, Refusal> {
        let defs: Vec<TaskDef> = self.json()?;
        defs.iter().try_for_each(check_task)?;
        Ok(defs)
    }

    pub(super) fn workflow_def(&self) -> Result<WorkflowDef, Refusal> {
        let def: WorkflowDef = self.json()?;
        check_workflow(&def)?;
        Ok(def)
    }

    pub(super) fn workflow_defs(&self) -> Result<Vec<WorkflowDef>, Refusal> {
        let defs: Vec<WorkflowDef> = self.json()?;
        defs.iter().try_for_each(check_workflow)?;
        Ok(defs)
    }
}

fn parse_error(what: &str) -> Refusal {
    Refusal::failed(format!("JSON parse error: {what}"))
}

fn check_object(value: Option<&RawJson>) -> Result<(), Refusal> {
    let token = match value.map(RawJson::get).and_then(|text| text.chars().next()) {
        None | Some('{' | 'n') => return Ok(()),
        Some('[') => "Array value (token `JsonToken.START_ARRAY`)",
        Some('"') => "String value (token `JsonToken.VALUE_STRING`)",
        Some('t' | 'f') => "Boolean value",
        Some(_) => "Number value",
    };
    Err(parse_error(&format!(
        "Cannot deserialize value of type `java.util.LinkedHashMap<java.lang.String,java.lang.Object>` from {token}"
    )))
}

fn check_enum(text: Option<&str>, class: &str, known: &[&str]) -> Result<(), Refusal> {
    match text.filter(|text| !known.contains(text)) {
        None => Ok(()),
        Some(text) => Err(parse_error(&format!(
            "Cannot deserialize value of type `{JAVA}.{class}` from String \"{text}\": not one of the values accepted \
             for Enum class: [{}]",
            known.join(", ")
        ))),
    }
}

fn check_task(def: &TaskDef) -> Result<(), Refusal> {
    let logic = def.retry_logic.as_ref().map(|logic| logic.as_str());
    check_enum(logic, "tasks.TaskDef$RetryLogic", &["FIXED", "EXPONENTIAL_BACKOFF", "LINEAR_BACKOFF"])?;
    let policy = def.timeout_policy.as_ref().map(|policy| policy.as_str());
    check_enum(policy, "tasks.TaskDef$TimeoutPolicy", &["RETRY", "TIME_OUT_WF", "ALERT_ONLY"])
}

fn check_workflow(def: &WorkflowDef) -> Result<(), Refusal> {
    let policy = def.timeout_policy.as_ref().map(|policy| policy.as_str());
    check_enum(policy, "workflow.WorkflowDef$TimeoutPolicy", &["TIME_OUT_WF", "ALERT_ONLY"])?;
    def.tasks.iter().filter_map(|task| task.task_definition.as_ref()).try_for_each(check_task)
}
