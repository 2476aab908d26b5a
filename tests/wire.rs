//! The wire types against what the server said and accepts: every recorded exchange that carries one of them, and every
//! field of every type with each kind of value that may turn up in it.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use conductor_sync::{
    CacheConfig, CronSchedule, EnvironmentValue, EventAction, EventHandler, ExternalStorageLocation, FileHandle,
    FileUploadRequest, FileUrl, PollData, RateLimitConfig, RerunWorkflowRequest, ScheduleExecution, SchemaDef,
    ServerHealth, SignalResponse, StartAgentAction, StartWorkflowAction, StartWorkflowRequest, StateChangeEvent,
    SubWorkflowParams, Task, TaskAction, TaskDef, TaskExecLog, TaskMock, TaskResult, TaskRun, TaskStatus, TaskSummary,
    TerminateWorkflowAction, UpdateVariablesAction, Workflow, WorkflowDef, WorkflowDefSummary, WorkflowRun,
    WorkflowSchedule, WorkflowState, WorkflowSummary, WorkflowTask,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

trait Wire: DeserializeOwned + Serialize {
    /// The names of the fields that the type has no name for.
    fn unknown(&self) -> Vec<String>;
}

impl<T: Wire> Wire for Vec<T> {
    fn unknown(&self) -> Vec<String> {
        self.iter().flat_map(T::unknown).collect()
    }
}

impl<T: Wire> Wire for BTreeMap<String, T> {
    fn unknown(&self) -> Vec<String> {
        self.values().flat_map(T::unknown).collect()
    }
}

impl Wire for SignalResponse {
    fn unknown(&self) -> Vec<String> {
        let task = self.task().map(Wire::unknown);
        task.or_else(|| self.workflow().map(Wire::unknown)).unwrap_or_default()
    }
}

/// Decodes a text into a wire type and encodes it again; also returns the names of unknown fields.
type Back = fn(&str) -> serde_json::Result<(Value, Vec<String>)>;

fn back<T: Wire>(text: &str) -> serde_json::Result<(Value, Vec<String>)> {
    let value: T = serde_json::from_str(text)?;
    Ok((serde_json::to_value(&value)?, value.unknown()))
}

fn fixture(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

/// Checks that `text` comes back equal, and returns the names of unknown fields.
#[track_caller]
fn assert_survives(what: &str, back: Back, text: &str) -> Vec<String> {
    let there: Value = serde_json::from_str(text).unwrap();
    match back(text) {
        Ok((value, unknown)) => {
            assert_eq!(value, there, "{what}");
            unknown
        }
        Err(e) => panic!("{what}: {e}: {text}"),
    }
}

// Recorded exchanges.

#[derive(Deserialize)]
struct Case {
    name: String,
    method: String,
    path: String,
    request_body: Option<String>,
    status: u16,
    response_body: String,
}

/// Where a body holds a wire type: the whole of it for an empty pointer.
type Place = (&'static str, Back);

impl Case {
    /// The parts of the path below the API.
    fn segments(&self) -> Vec<&str> {
        let path = self.path.split('?').next().unwrap();
        path.trim_start_matches("/api/").split('/').collect()
    }

    fn request(&self) -> Option<Place> {
        Some(match (self.method.as_str(), &*self.segments()) {
            ("POST", ["tasks"] | ["tasks", "update-v2"]) => ("", back::<TaskResult>),
            ("POST", ["metadata", "taskdefs"]) => ("", back::<Vec<TaskDef>>),
            ("PUT", ["metadata", "taskdefs"]) => ("", back::<TaskDef>),
            ("POST", ["metadata", "workflow"] | ["metadata", "workflow", "validate"]) => ("", back::<WorkflowDef>),
            ("PUT", ["metadata", "workflow"]) => ("", back::<Vec<WorkflowDef>>),
            ("POST", ["workflow"] | ["workflow", "test"] | ["workflow", "execute", ..]) => {
                ("", back::<StartWorkflowRequest>)
            }
            ("POST", ["workflow", _, "rerun"]) => ("", back::<RerunWorkflowRequest>),
            ("POST", ["scheduler", "schedules"]) => ("", back::<WorkflowSchedule>),
            ("POST" | "PUT", ["event"]) => ("", back::<EventHandler>),
            _ => return None,
        })
    }

    fn response(&self) -> Option<Place> {
        if self.status != 200 {
            return None;
        }
        Some(match (self.method.as_str(), &*self.segments()) {
            ("GET", ["metadata", "taskdefs", _]) => ("", back::<TaskDef>),
            ("GET", ["metadata", "workflow", _]) => ("", back::<WorkflowDef>),
            ("GET", ["tasks", "poll", "batch", _] | ["admin", "task", _]) => ("", back::<Vec<Task>>),
            ("GET", ["tasks", "externalstoragelocation"]) => ("", back::<ExternalStorageLocation>),
            ("GET", ["tasks", "poll", _] | ["tasks", _]) => ("", back::<Task>),
            ("GET", ["tasks", _, "log"]) => ("", back::<Vec<TaskExecLog>>),
            ("GET", ["workflow", "search"]) => ("/results", back::<Vec<WorkflowSummary>>),
            ("GET", ["workflow", _]) => ("", back::<Workflow>),
            ("GET", ["workflow", _, "status"]) => ("", back::<WorkflowState>),
            ("GET", ["workflow", _, "correlated", _]) => ("", back::<Vec<Workflow>>),
            ("POST", ["workflow", _, "correlated"]) => ("", back::<BTreeMap<String, Vec<Workflow>>>),
            ("POST", ["workflow", "bulk", "search"]) => ("/bulkSuccessfulResults", back::<Vec<Workflow>>),
            ("POST", ["workflow", "execute", ..] | ["tasks", _, _, "signal", "sync"]) => ("", back::<SignalResponse>),
            ("POST", ["workflow", "test"] | ["tasks", _, _, _, "sync"]) => ("", back::<Workflow>),
            ("POST", ["scheduler", "schedules"]) => ("", back::<WorkflowSchedule>),
            ("GET", ["scheduler", "schedules", "search"]) => ("/results", back::<Vec<WorkflowSchedule>>),
            ("GET", ["scheduler", "schedules", _]) => ("", back::<WorkflowSchedule>),
            ("GET", ["event"] | ["event", _]) => ("", back::<Vec<EventHandler>>),
            ("GET", ["health"]) => ("", back::<ServerHealth>),
            _ => return None,
        })
    }

    /// The texts of wire types in this exchange, each with the type that reads it.
    fn wire_texts(&self) -> Vec<(Back, String)> {
        let bodies = [(self.request(), self.request_body.as_deref()), (self.response(), Some(&*self.response_body))];
        let text = |(place, body): (Option<Place>, Option<&str>)| {
            let (pointer, back) = place?;
            let body: Value = serde_json::from_str(body?).ok()?;
            Some((back, body.pointer(pointer)?.to_string()))
        };
        bodies.into_iter().filter_map(text).collect()
    }
}

fn cases() -> Vec<Case> {
    fixture("server-cases.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The exchanges that carry no wire type, with the reason.
const LEFT_OUT: &[(&str, &[&str])] = &[
    (
        "neither side sends a body, or the answer is empty",
        &[
            "task_log_get_none_204",
            "workflow_pause",
            "workflow_resume",
            "workflow_decide",
            "workflow_terminate_again",
            "workflow_restart_204",
            "workflow_retry_204",
            "workflow_remove",
            "taskdef_delete",
            "wfdef_delete",
        ],
    ),
    (
        "the answer is an error, which src/error.rs reads, and the request has no body",
        &[
            "wfdef_get_404",
            "workflow_get_404",
            "workflow_get_removed_404",
            "task_poll_batch_timeout_too_long_400",
            "task_poll_batch_bad_count_500",
            "task_get_404",
            "workflow_resume_not_paused_500",
            "workflow_pause_terminal_409",
            "workflow_restart_running_409",
            "workflow_skip_already_scheduled_500",
            "workflow_search_too_big_400",
            "external_storage_location_bad_400",
            "wfdef_delete_missing_500",
        ],
    ),
    (
        "the request is a plain object of user data, or no JSON at all on purpose",
        &[
            "workflow_start_by_name",
            "task_update_by_ref",
            "task_update_by_ref_not_pending",
            "task_update_by_ref_sync_404",
            "signal_async",
            "signal_sync_404",
            "queue_update_no_queue_400",
            "task_log_add",
            "task_update_malformed_json_500",
        ],
    ),
    (
        "ids, counts and plain text",
        &["workflow_running_ids", "queue_sizes", "queue_all", "bulk_pause", "bulk_resume", "bulk_terminate", "version"],
    ),
    ("no route of the server", &["method_not_allowed_405", "token_404"]),
    (
        "event handlers and schedules that are only named",
        &[
            "event_delete",
            "event_delete_missing_500",
            "scheduler_get_missing_404",
            "scheduler_pause",
            "scheduler_resume",
            "scheduler_next",
            "scheduler_bad_cron_500",
            "scheduler_delete",
            "scheduler_delete_missing",
        ],
    ),
];

#[test]
fn every_recorded_exchange_survives_or_is_listed_with_a_reason() {
    let left_out: BTreeSet<&str> = LEFT_OUT.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let cases = cases();
    let mut covered = BTreeSet::new();
    let mut unknown = BTreeSet::new();
    for case in &cases {
        for (back, text) in case.wire_texts() {
            unknown.extend(assert_survives(&case.name, back, &text));
            covered.insert(case.name.as_str());
        }
    }
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "names are unique");
    let listed: BTreeSet<&str> = names.difference(&covered).copied().collect();
    assert_eq!(listed, left_out, "left: carries no wire type; right: listed in LEFT_OUT");
    assert_eq!((covered.len(), left_out.len()), (69, 50), "covered and left out of {}", cases.len());
    // Bulk search answers the server's inner form of a workflow; the last one is a request to test a workflow.
    assert_eq!(Vec::from_iter(unknown), ["previousStatus", "taskRefToMockOutput", "updatedTime"]);
}

#[test]
fn what_a_recorded_task_brings_along_decodes_when_asked_for() {
    let mut n_tasks = 0;
    for case in cases().iter().filter(|case| case.path.contains("/tasks/poll/") && case.status == 200) {
        let tasks: Value = serde_json::from_str(&case.response_body).unwrap();
        for task in tasks.as_array().unwrap_or(&vec![tasks.clone()]) {
            let task: Task = serde_json::from_value(task.clone()).unwrap();
            let (node, definition) = (task.workflow_task().unwrap().unwrap(), task.task_definition().unwrap().unwrap());
            assert_eq!((node.unknown(), definition.unknown()), (vec![], vec![]), "{}", case.name);
            assert_eq!((node.name, definition.name), (task.task_def_name.clone(), task.task_def_name), "{}", case.name);
            n_tasks += 1;
        }
    }
    assert_eq!(n_tasks, 4);
}

#[test]
fn an_unknown_field_in_any_recorded_object_survives() {
    for case in cases() {
        for (back, text) in case.wire_texts() {
            let mut value: Value = serde_json::from_str(&text).unwrap();
            let injected = inject(&mut value);
            assert!(injected > 0 || value == json!([]), "{}", case.name);
            assert_survives(&case.name, back, &value.to_string());
        }
    }
}

/// Adds an unknown field to every object that is a wire type, and returns how many there were.
fn inject(value: &mut Value) -> usize {
    /// Fields that hold user data, or objects whose keys are names.
    const NOT_WIRE: &[&str] = &[
        "inputData",
        "outputData",
        "input",
        "output",
        "variables",
        "inputParameters",
        "outputParameters",
        "inputTemplate",
        "metadata",
        "payload",
        "data",
        "taskToDomain",
        "runtimeMetadata",
        "executionMetadata",
        "aggregateTokenUsage",
        "history",
        "taskRefToMockOutput",
        "context",
    ];
    /// Fields whose keys are names and whose values are wire types.
    const BY_NAME: &[&str] = &["decisionCases", "onStateChange"];
    match value {
        Value::Array(items) => items.iter_mut().map(inject).sum(),
        Value::Object(fields) => {
            // One answer is a map of workflows by correlation id.
            let is_wire = !fields.contains_key("corr-1");
            let mut injected = 0;
            for (key, field) in fields.iter_mut().filter(|(key, _)| !NOT_WIRE.contains(&key.as_str())) {
                injected += match field {
                    Value::Object(named) if BY_NAME.contains(&key.as_str()) => named.values_mut().map(inject).sum(),
                    other => inject(other),
                };
            }
            if is_wire {
                fields.insert("fromALaterServer".to_owned(), json!({"n": [1, null, {"deep": true}]}));
                injected += 1;
            }
            injected
        }
        _ => 0,
    }
}

// Every field of every type.

struct WireType {
    name: &'static str,
    back: Back,
}

macro_rules! wire_types {
    ($($name:ident,)*) => {
        $(impl Wire for $name {
            fn unknown(&self) -> Vec<String> {
                self.unknown_fields().keys().cloned().collect()
            }
        })*
        const WIRE_TYPES: &[WireType] = &[$(WireType { name: stringify!($name), back: back::<$name> },)*];
    };
}

wire_types! {
    Task,
    TaskResult,
    TaskExecLog,
    PollData,
    TaskDef,
    SchemaDef,
    WorkflowTask,
    SubWorkflowParams,
    CacheConfig,
    RateLimitConfig,
    StateChangeEvent,
    WorkflowDef,
    Workflow,
    WorkflowState,
    StartWorkflowRequest,
    WorkflowRun,
    TaskRun,
    WorkflowSummary,
    TaskSummary,
    ExternalStorageLocation,
    RerunWorkflowRequest,
    TaskMock,
    EventHandler,
    EventAction,
    StartWorkflowAction,
    TaskAction,
    TerminateWorkflowAction,
    UpdateVariablesAction,
    StartAgentAction,
    CronSchedule,
    WorkflowSchedule,
    ScheduleExecution,
    FileHandle,
    FileUrl,
    FileUploadRequest,
    WorkflowDefSummary,
    EnvironmentValue,
    ServerHealth,
}

/// Every wire type with an object in which every field of the server's model has a value that is not its default.
fn samples() -> Vec<(&'static WireType, serde_json::Map<String, Value>)> {
    let mut samples: BTreeMap<String, serde_json::Map<String, Value>> =
        serde_json::from_str(&fixture("every-field.json")).unwrap();
    let pairs = WIRE_TYPES.iter().map(|wire| (wire, samples.remove(wire.name).unwrap())).collect();
    assert!(samples.is_empty(), "samples without a type: {:?}", samples.keys());
    pairs
}

/// Calls `check` for every field of every sample with its object changed by `change`.
fn for_each_field(change: impl Fn(&mut serde_json::Map<String, Value>, &str), check: impl Fn(&WireType, &str, &str)) {
    for (wire, sample) in samples() {
        for field in sample.keys() {
            let mut changed = sample.clone();
            change(&mut changed, field);
            check(wire, field, &Value::Object(changed).to_string());
        }
    }
}

/// What the server may mean by nothing in the place of `value`.
fn empty(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => json!(false),
        Value::Number(_) => json!(0),
        Value::String(_) => json!(""),
        Value::Array(_) => json!([]),
        Value::Object(_) => json!({}),
    }
}

#[test]
fn every_field_of_the_servers_model_has_a_name_here() {
    for (wire, sample) in samples() {
        let text = Value::Object(sample).to_string();
        assert_eq!(assert_survives(wire.name, wire.back, &text), Vec::<String>::new(), "{}", wire.name);
    }
}

#[test]
fn null_survives_in_every_field() {
    for_each_field(
        |object, field| drop(object.insert(field.to_owned(), Value::Null)),
        |wire, field, text| drop(assert_survives(&format!("{}.{field}", wire.name), wire.back, text)),
    );
}

#[test]
fn every_field_may_be_missing() {
    for_each_field(
        |object, field| drop(object.remove(field)),
        |wire, field, text| drop(assert_survives(&format!("{}.{field}", wire.name), wire.back, text)),
    );
}

#[test]
fn the_empty_value_survives_in_every_field() {
    for_each_field(
        |object, field| object[field] = empty(&object[field]),
        |wire, field, text| drop(assert_survives(&format!("{}.{field}", wire.name), wire.back, text)),
    );
}

#[test]
fn an_object_survives_with_all_fields_null_empty_or_missing() {
    for (wire, sample) in samples() {
        let all = |value: fn(&Value) -> Value| -> serde_json::Map<String, Value> {
            sample.iter().map(|(field, there)| (field.clone(), value(there))).collect()
        };
        for object in [all(|_| Value::Null), all(empty), serde_json::Map::new()] {
            assert_survives(wire.name, wire.back, &Value::Object(object).to_string());
        }
    }
}

#[test]
fn an_unknown_field_survives_in_every_type_at_every_level() {
    for (wire, sample) in samples() {
        let mut value = Value::Object(sample);
        assert!(inject(&mut value) > 0);
        let unknown = assert_survives(wire.name, wire.back, &value.to_string());
        assert_eq!(unknown, ["fromALaterServer"], "{}", wire.name);
    }
}

#[test]
fn a_value_of_another_kind_is_an_error_that_names_the_field_unless_any_json_goes() {
    const ANY_JSON: &[&str] = &[
        "Task.executionMetadata",
        "Task.inputData",
        "Task.outputData",
        "Task.taskDefinition",
        "Task.workflowTask",
        "TaskResult.executionMetadata",
        "TaskResult.outputData",
        "SchemaDef.data",
        "SubWorkflowParams.priority",
        "SubWorkflowParams.workflowDefinition",
        "Workflow.aggregateTokenUsage",
        "Workflow.input",
        "Workflow.output",
        "Workflow.variables",
        "WorkflowState.output",
        "WorkflowState.variables",
        "StartWorkflowRequest.input",
        "WorkflowRun.input",
        "WorkflowRun.output",
        "WorkflowRun.variables",
        "TaskRun.input",
        "TaskRun.output",
        "TaskRun.variables",
        "RerunWorkflowRequest.taskInput",
        "RerunWorkflowRequest.workflowInput",
        "TaskMock.output",
    ];
    let other_kind = |value: &Value| match value {
        Value::String(_) | Value::Null => json!([7]),
        Value::Number(_) => json!("many"),
        Value::Bool(_) => json!("perhaps"),
        Value::Array(_) | Value::Object(_) => json!(7),
    };
    for_each_field(
        |object, field| object[field] = other_kind(&object[field]),
        |wire, field, text| {
            let place = format!("{}.{field}", wire.name);
            if ANY_JSON.contains(&&*place) {
                assert_survives(&place, wire.back, text);
            } else {
                let error = (wire.back)(text).expect_err(&place).to_string();
                assert!(error.starts_with(&format!("{field}: ")), "{place}: {error}");
            }
        },
    );
}

#[test]
fn an_error_inside_a_nested_object_names_the_whole_way() {
    let text = r#"{"name":"w","tasks":[{"loopOver":[{"taskDefinition":{"retryCount":"often"}}]}]}"#;
    let error = serde_json::from_str::<WorkflowDef>(text).unwrap_err().to_string();
    assert!(error.starts_with("tasks: loopOver: taskDefinition: retryCount: "), "{error}");
}

#[test]
fn an_odd_definition_does_not_spoil_the_task_it_comes_with() {
    let text = r#"{"taskId":"t","taskDefinition":{"retryCount":"often"},"workflowTask":[]}"#;
    let task: Task = serde_json::from_str(text).unwrap();
    assert!(task.task_definition().unwrap_err().to_string().contains("retryCount: "));
    assert!(task.workflow_task().is_err());
    assert_eq!(Task::default().task_definition().unwrap(), None);
}

#[test]
fn null_inside_a_list_or_map_of_names_is_an_error_that_names_the_field() {
    for (field, value) in [("joinOn", "[null]"), ("loopOver", "[null]"), ("decisionCases", r#"{"a":null}"#)] {
        let error = serde_json::from_str::<WorkflowTask>(&format!(r#"{{"{field}":{value}}}"#)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{field}: ")), "{error}");
    }
}

#[test]
fn an_integer_may_come_as_a_whole_float_or_as_digits_in_a_string() {
    for seconds in ["60", "60.0", "6e1", r#""60""#] {
        let text = format!(r#"{{"responseTimeoutSeconds":{seconds},"retryCount":{seconds}}}"#);
        let task: Task = serde_json::from_str(&text).unwrap();
        assert_eq!((task.response_timeout_seconds, task.retry_count), (60, 60), "{seconds}");
    }
}

#[test]
fn an_integer_that_does_not_fit_is_an_error_that_names_the_field() {
    for count in ["2147483648", "-2147483649", "1e10", r#""99999999999""#, "18446744073709551616", "1.5", "1e999"] {
        let error = serde_json::from_str::<Task>(&format!(r#"{{"retryCount":{count}}}"#)).unwrap_err().to_string();
        assert!(error.starts_with("retryCount: "), "{count}: {error}");
    }
}

// Unknown values of enums.

#[test]
fn unknown_enum_values_survive_everywhere() {
    let enums = [
        ("Task", "status"),
        ("TaskResult", "status"),
        ("TaskDef", "timeoutPolicy"),
        ("TaskDef", "retryLogic"),
        ("SchemaDef", "type"),
        ("WorkflowTask", "joinMode"),
        ("SubWorkflowParams", "idempotencyStrategy"),
        ("RateLimitConfig", "policy"),
        ("WorkflowDef", "timeoutPolicy"),
        ("Workflow", "status"),
        ("WorkflowState", "status"),
        ("StartWorkflowRequest", "idempotencyStrategy"),
        ("WorkflowRun", "responseType"),
        ("WorkflowRun", "targetWorkflowStatus"),
        ("TaskRun", "status"),
        ("WorkflowSummary", "status"),
        ("TaskSummary", "status"),
        ("TaskMock", "status"),
        ("EventAction", "action"),
        ("ScheduleExecution", "state"),
        ("FileHandle", "uploadStatus"),
    ];
    for (wire, sample) in samples() {
        for (_, field) in enums.iter().filter(|(name, _)| *name == wire.name) {
            for unknown in ["FROM_A_LATER_SERVER", "completed", "tab\tand \"quotes\" ü", " "] {
                let mut object = sample.clone();
                object[*field] = json!(unknown);
                assert_survives(&format!("{}.{field}", wire.name), wire.back, &Value::Object(object).to_string());
            }
        }
    }
}

#[test]
fn an_unknown_status_is_not_terminal_and_keeps_its_text() {
    let task: Task = serde_json::from_str(r#"{"status":"ON_HOLD"}"#).unwrap();
    assert_eq!(task.status, TaskStatus::Other("ON_HOLD".to_owned()));
    assert!(!task.status.is_terminal());
    assert_eq!(task.status.to_string(), "ON_HOLD");
}

// User data.

#[track_caller]
fn assert_same_text<T: DeserializeOwned + Serialize>(text: &str) {
    let value: T = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&value).unwrap(), text);
}

#[test]
fn numbers_of_any_length_survive_in_user_data() {
    for number in ["123456789012345678901234567890", "-9223372036854775809", "0.10000000000000000000001", "1e400"] {
        assert_same_text::<Task>(&format!(r#"{{"inputData":{{"n":{number}}},"taskId":"t"}}"#));
        assert_same_text::<TaskResult>(&format!(r#"{{"taskId":"t","outputData":{{"n":[{number}]}}}}"#));
        assert_same_text::<WorkflowTask>(&format!(r#"{{"inputParameters":{{"n":{number}}}}}"#));
        assert_same_text::<StartWorkflowRequest>(&format!(r#"{{"input":{{"n":{number}}},"later":{number}}}"#));
    }
    let digits = "9".repeat(1000);
    assert_same_text::<Task>(&format!(r#"{{"inputData":{{"n":{digits}}}}}"#));
}

#[test]
fn nesting_far_beyond_the_servers_thousand_levels_survives_in_user_data() {
    for depth in [127, 128, 1000, 100_000] {
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_same_text::<Vec<Task>>(&format!(r#"[{{"inputData":{{"deep":{deep}}},"taskId":"t"}}]"#));
        assert_same_text::<TaskResult>(&format!(r#"{{"taskId":"t","outputData":{deep}}}"#));
    }
}

#[test]
fn the_order_of_keys_duplicate_keys_and_escapes_survive_in_user_data() {
    assert_same_text::<Task>(r#"{"inputData":{"z":1,"a":2,"z":3,"\u0041":"\ud83d\ude00 \/"},"taskId":"t"}"#);
}

#[test]
fn a_value_tree_and_a_reader_decode_like_text() {
    let task: Task = serde_json::from_value(json!({"taskId": "t", "inputData": {"n": [1]}})).unwrap();
    assert_eq!(task.input_data.to_value().unwrap(), json!({"n": [1]}));
    let task: Task = serde_json::from_reader(&br#"{"task\u0049d":"t","inputData":{"n":[1]}}"#[..]).unwrap();
    assert_eq!((task.task_id.as_str(), task.input_data.get()), ("t", r#"{"n":[1]}"#));
}

#[test]
fn resolved_secrets_are_readable_but_not_in_debug_output() {
    let task: Task = serde_json::from_str(r#"{"runtimeMetadata":{"SCALE_KEY":"s3cret"}}"#).unwrap();
    assert_eq!(task.runtime_metadata.get("SCALE_KEY"), Some("s3cret"));
    assert_eq!(task.runtime_metadata.names().collect::<Vec<_>>(), ["SCALE_KEY"]);
    let shown = format!("{task:?}");
    assert!(shown.contains("SCALE_KEY") && !shown.contains("s3cret"), "{shown}");
}

#[test]
fn a_task_in_a_loop_is_found_by_its_plain_name_in_its_last_round() {
    let task = |name: &str, id: &str, round: u32| json!({"referenceTaskName": name, "taskId": id, "iteration": round});
    let tasks = [
        task("loop", "l", 2),
        task("n__1", "a", 1),
        task("n__2", "b", 2),
        task("n__2", "c", 2),
        task("n__1", "d", 1),
        task("m__1", "e", 0),
    ];
    let workflow: Workflow = serde_json::from_value(json!({"tasks": tasks})).unwrap();
    let id = |name: &str| workflow.task(name).map(|task| task.task_id.as_str());
    assert_eq!([id("loop"), id("n"), id("n__1"), id("m"), id("o")], [Some("l"), Some("c"), Some("d"), None, None]);
}
