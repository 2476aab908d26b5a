//! Bodies of requests: what the server says of those it can't read.

use serde::de::DeserializeOwned;

use crate::{
    json::{JsonMap, RawJson},
    metadata::{TaskDef, WorkflowDef},
    task::{TaskExecLog, TaskResult, TaskResultStatus},
    workflow::StartWorkflowRequest,
};

use super::{Call, Refusal};

/// The package of the server's own wire types, which its messages name.
const JAVA: &str = "com.netflix.conductor.common.metadata";

const LIST: &str = "java.util.ArrayList";

/// The server's type of free data.
const MAP: &str = "java.util.LinkedHashMap<java.lang.String,java.lang.Object>";

/// The server's limit of nesting.
const MOST_DEPTH: usize = 1000;

impl Call {
    /// The body as JSON, which can't be of another kind than `java_type`. The real server answers 500 to one that it
    /// can't read, whatever the reason.
    pub(super) fn json<T: DeserializeOwned>(&self, java_type: &str) -> Result<T, Refusal> {
        let text = self.json_text()?;
        let is_list = java_type.starts_with(LIST);
        match text.bytes().next() {
            Some(b'[') if !is_list => Err(wrong_kind(java_type, "Array value (token `JsonToken.START_ARRAY`)")),
            Some(b'{') if is_list => Err(wrong_kind(java_type, "Object value (token `JsonToken.START_OBJECT`)")),
            _ => serde_json::from_str(text).map_err(|error| parse_error(&error.to_string())),
        }
    }

    fn json_text(&self) -> Result<&str, Refusal> {
        let missing = || Refusal::failed("Required request body is missing");
        if self.body.is_empty() {
            return Err(missing());
        }
        check_content_type(self.content_type.as_deref())?;
        let text = std::str::from_utf8(&self.body).map_err(|_| parse_error("Invalid UTF-8"))?.trim();
        match text {
            "" | "null" => Err(missing()),
            text if depth(text) > MOST_DEPTH => Err(parse_error(&format!(
                "Document nesting depth ({}) exceeds the maximum allowed ({MOST_DEPTH}, from \
                 `StreamReadConstraints.getMaxNestingDepth()`)",
                MOST_DEPTH + 1
            ))),
            text => Ok(text),
        }
    }

    /// The body as a JSON object.
    pub(super) fn object(&self) -> Result<RawJson, Refusal> {
        let object: RawJson = self.json(MAP)?;
        check_object(Some(&object))?;
        Ok(object)
    }

    pub(super) fn task_result(&self) -> Result<TaskResult, Refusal> {
        let result = self.json(&format!("{JAVA}.tasks.TaskResult")).or_else(|refusal| {
            // Log entries may be bare strings.
            with_logs_as_objects(&self.body).ok_or(refusal)
        });
        let result: TaskResult = result?;
        let known = ["CANCELED", "COMPLETED", "FAILED_WITH_TERMINAL_ERROR", "FAILED", "IN_PROGRESS"];
        if let TaskResultStatus::Other(text) = &result.status {
            // A missing status reads as the empty text.
            check_enum(Some(text.as_str()).filter(|text| !text.is_empty()), "tasks.TaskResult$Status", &known)?;
        }
        check_object(result.output_data.as_ref())?;
        // The real server fails on it with the task half done.
        match result.logs.iter().any(TaskExecLog::has_no_text) {
            true => Err(Refusal::failed("NOT NULL constraint failed: task_execution_logs.log")),
            false => Ok(result),
        }
    }

    pub(super) fn start_request(&self) -> Result<StartWorkflowRequest, Refusal> {
        let request: StartWorkflowRequest = self.json(&format!("{JAVA}.workflow.StartWorkflowRequest"))?;
        check_object(request.input.as_ref())?;
        request.workflow_def.iter().try_for_each(check_workflow)?;
        Ok(request)
    }

    pub(super) fn task_def(&self) -> Result<TaskDef, Refusal> {
        let def: TaskDef = self.json(&format!("{JAVA}.tasks.TaskDef"))?;
        check_task(&def)?;
        Ok(def)
    }

    pub(super) fn task_defs(&self) -> Result<Vec<TaskDef>, Refusal> {
        let defs: Vec<TaskDef> = self.json(&format!("{LIST}<{JAVA}.tasks.TaskDef>"))?;
        defs.iter().try_for_each(check_task)?;
        Ok(defs)
    }

    pub(super) fn workflow_def(&self) -> Result<WorkflowDef, Refusal> {
        let def: WorkflowDef = self.json(&format!("{JAVA}.workflow.WorkflowDef"))?;
        check_workflow(&def)?;
        Ok(def)
    }

    pub(super) fn workflow_defs(&self) -> Result<Vec<WorkflowDef>, Refusal> {
        let defs: Vec<WorkflowDef> = self.json(&format!("{LIST}<{JAVA}.workflow.WorkflowDef>"))?;
        defs.iter().try_for_each(check_workflow)?;
        Ok(defs)
    }
}

fn parse_error(what: &str) -> Refusal {
    Refusal::failed(format!("JSON parse error: {what}"))
}

fn wrong_kind(java_type: &str, found: &str) -> Refusal {
    parse_error(&format!("Cannot deserialize value of type `{java_type}` from {found}"))
}

fn check_content_type(content_type: Option<&str>) -> Result<(), Refusal> {
    let Some(content_type) = content_type else {
        return Err(Refusal::failed("Content-Type 'application/octet-stream' is not supported"));
    };
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let charset = if content_type.contains("charset") { "" } else { ";charset=UTF-8" };
    Err(Refusal::failed(format!("Content-Type '{content_type}{charset}' is not supported")))
}

/// How deep the brackets of a JSON text are nested.
fn depth(text: &str) -> usize {
    let (mut deepest, mut depth, mut in_string, mut is_escaped) = (0_usize, 0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The result in a body whose log entries may be bare strings.
fn with_logs_as_objects(body: &[u8]) -> Option<TaskResult> {
    let mut fields: JsonMap = serde_json::from_slice(body).ok()?;
    let logs: Vec<RawJson> = fields.remove("logs")?.decode().ok()?;
    let mut result: TaskResult = RawJson::new(&fields).ok()?.decode().ok()?;
    for log in logs {
        result.logs.push(match log.get().starts_with('"') {
            true => TaskExecLog::now(log.decode::<String>().ok()?),
            false => log.decode().ok()?,
        });
    }
    Some(result)
}

fn check_object(value: Option<&RawJson>) -> Result<(), Refusal> {
    let found = match value.map(RawJson::get).and_then(|text| text.chars().next()) {
        None | Some('{' | 'n') => return Ok(()),
        Some('[') => "Array value (token `JsonToken.START_ARRAY`)",
        Some('"') => "String value (token `JsonToken.VALUE_STRING`)",
        Some('t' | 'f') => "Boolean value",
        Some(_) => "Number value",
    };
    Err(wrong_kind(MAP, found))
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
