//! Definitions as JSON: what is read from a file is written again, and what is sent to a server and fetched is what was
//! sent. Two files of `fixtures` hold definitions in which every field of the server's model has a value that is not its
//! default, every type of task, and fields that no server knows yet.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process,
    time::SystemTime,
};

use common::{Answer, Server};
use conductor_sync::{
    Client, Config, ErrorKind, EventAction, EventHandler, MetadataClient, Result, StartWorkflowAction,
    StartWorkflowRequest, TaskDef, WorkflowDef, WorkflowSchedule,
};
use serde_json::{Map, Value, json};

/// What a later server may send; 3.32.1 drops it.
const UNKNOWN: &str = "fromALaterServer";

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn tasks() -> String {
    file("tests/fixtures/task-definitions.json")
}

fn workflows() -> String {
    file("tests/fixtures/workflow-definitions.json")
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

// Files.

#[test]
fn a_file_that_is_read_and_written_is_the_same_file() {
    assert_eq!(TaskDef::list_to_json(&TaskDef::list_from_json(&tasks()).unwrap()), tasks());
    assert_eq!(WorkflowDef::list_to_json(&WorkflowDef::list_from_json(&workflows()).unwrap()), workflows());
    let ship = file("examples/ship.json");
    assert_eq!(WorkflowDef::from_json(&ship).unwrap().to_json(), ship);
    assert_eq!(WorkflowDef::list_from_json(&ship).unwrap(), [WorkflowDef::from_json(&ship).unwrap()]);
}

#[test]
fn a_file_with_nulls_and_empty_values_keeps_them() {
    let text = r#"{"description":null,"name":"w","tasks":[{"joinOn":null,"type":"","later":null}],"inputParameters":[],
        "timeoutSeconds":0,"metadata":null,"variables":{"n":123456789012345678901234567890,"z":0.50,"a":null}}"#;
    let def = WorkflowDef::from_json(text).unwrap();
    assert_eq!(parsed(&def.to_json()), parsed(text));
    assert!(def.to_json().contains("123456789012345678901234567890"));
    assert!(def.to_json().contains("0.50"));
}

#[test]
fn event_handlers_and_schedules_are_files_too() {
    let start = StartWorkflowAction::new("ship").input("order", "${order}");
    let handler = EventHandler::new("on_paid", "conductor:orders:paid").action(EventAction::start_workflow(start));
    assert_eq!(EventHandler::from_json(&handler.to_json()).unwrap(), handler);
    assert_eq!(
        EventHandler::list_from_json(&EventHandler::list_to_json(std::slice::from_ref(&handler))).unwrap(),
        [handler]
    );
    let nightly = WorkflowSchedule::new("nightly", "0 0 3 * * ?", StartWorkflowRequest::new("report"));
    assert_eq!(WorkflowSchedule::from_json(&nightly.to_json()).unwrap(), nightly);
    assert_eq!(WorkflowSchedule::list_from_json(&nightly.to_json()).unwrap(), [nightly]);
}

#[test]
fn a_file_that_does_not_fit_says_line_column_and_field() {
    let deep = "{\n  \"name\": \"w\",\n  \"tasks\": [\n    {\"loopOver\": [{\"retryCount\": \"often\"}]}\n  ]\n}";
    for (text, says) in [
        (deep, "line 4, column 40: tasks: loopOver: retryCount: invalid value: string \"often\", expected an integer"),
        ("", "line 1, column 0: EOF while parsing a value"),
        ("{\n\"name\": \"w\",\n}", "line 3, column 1: trailing comma"),
        ("{\"name\": \"w\"", "line 1, column 12: EOF while parsing an object"),
        ("[]", "line 1, column 0: invalid type: sequence, expected a WorkflowDef object"),
        ("{} {}", "line 1, column 4: trailing characters"),
    ] {
        let error = WorkflowDef::from_json(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
        assert_eq!(error.to_string(), format!("read workflow definition: {says}"), "{text}");
        assert!(std::error::Error::source(&error).is_some());
    }
    let error = TaskDef::list_from_json("[{},\n{},\n{\"name\": 3}]").unwrap_err().to_string();
    assert!(error.starts_with("read task definition: line 3, column 10: entry 3: name: invalid type"), "{error}");
}

// The definitions of the files use everything.

/// The values that the server fills in, by type and field (3.32.1); fields without one have none.
fn defaults() -> Value {
    json!({
        "TaskDef": {"retryCount": 3, "timeoutSeconds": 0, "timeoutPolicy": "TIME_OUT_WF", "retryLogic": "FIXED",
            "retryDelaySeconds": 60, "backoffScaleFactor": 1, "maxRetryDelaySeconds": 0, "backoffJitterMs": 0,
            "responseTimeoutSeconds": 3600, "totalTimeoutSeconds": 0, "inputKeys": [], "outputKeys": [],
            "runtimeMetadata": [], "inputTemplate": {}, "rateLimitPerFrequency": 0, "rateLimitFrequencyInSeconds": 1,
            "taskStatusListenerEnabled": true, "enforceSchema": false, "createTime": 0, "updateTime": 0},
        "SchemaDef": {"version": 1, "createTime": 0, "updateTime": 0},
        "WorkflowTask": {"type": null, "inputParameters": {}, "optional": false, "permissive": false, "startDelay": 0,
            "asyncComplete": false, "decisionCases": {}, "defaultCase": [], "forkTasks": [], "joinOn": [],
            "defaultExclusiveJoinTask": [], "loopOver": [], "onStateChange": {}, "metadata": {}},
        "SubWorkflowParams": {},
        "CacheConfig": {"ttlInSecond": 0},
        "RateLimitConfig": {"concurrentExecLimit": 0, "policy": "QUEUE"},
        "StateChangeEvent": {},
        // The server accepts no other version of the format than its default, 2.
        "WorkflowDef": {"version": 1, "inputParameters": [], "outputParameters": {}, "restartable": true,
            "workflowStatusListenerEnabled": false, "timeoutPolicy": "ALERT_ONLY", "timeoutSeconds": 0, "variables": {},
            "inputTemplate": {}, "enforceSchema": true, "metadata": {}, "maskedFields": [], "createTime": 0, "updateTime": 0},
    })
}

/// Goes through a wire object of the type `name` and notes each field whose value is neither null nor the default.
fn note(name: &str, object: &Value, seen: &mut BTreeMap<String, BTreeSet<String>>) {
    let defaults = defaults();
    for (field, value) in object.as_object().unwrap() {
        let items = || value.as_array().into_iter().flatten();
        match field.as_str() {
            "tasks" | "defaultCase" | "loopOver" => items().for_each(|task| note("WorkflowTask", task, seen)),
            "forkTasks" => {
                items().flat_map(|branch| branch.as_array().unwrap()).for_each(|task| note("WorkflowTask", task, seen));
            }
            "decisionCases" => {
                let branches = value.as_object().unwrap().values().flat_map(|branch| branch.as_array().unwrap());
                branches.for_each(|task| note("WorkflowTask", task, seen));
            }
            "onStateChange" => {
                let events = value.as_object().unwrap().values().flat_map(|events| events.as_array().unwrap());
                events.for_each(|event| note("StateChangeEvent", event, seen));
            }
            "taskDefinition" => note("TaskDef", value, seen),
            "inputSchema" | "outputSchema" => note("SchemaDef", value, seen),
            "subWorkflowParam" => note("SubWorkflowParams", value, seen),
            "cacheConfig" => note("CacheConfig", value, seen),
            "rateLimitConfig" => note("RateLimitConfig", value, seen),
            _ => {}
        }
        if !value.is_null() && defaults[name].get(field) != Some(value) {
            seen.entry(name.to_owned()).or_default().insert(field.clone());
        }
    }
}

#[test]
fn every_field_of_the_model_is_used_with_a_value_that_is_not_its_default() {
    let mut seen = BTreeMap::new();
    parsed(&tasks()).as_array().unwrap().iter().for_each(|task| note("TaskDef", task, &mut seen));
    parsed(&workflows()).as_array().unwrap().iter().for_each(|def| note("WorkflowDef", def, &mut seen));
    let model: BTreeMap<String, Map<String, Value>> =
        serde_json::from_str(&file("tests/fixtures/every-field.json")).unwrap();
    let types: Vec<&str> = seen.keys().map(String::as_str).collect();
    assert_eq!(types, defaults().as_object().unwrap().keys().collect::<Vec<_>>());
    for (name, fields) in seen {
        let known: BTreeSet<&str> = model[&name].keys().map(String::as_str).chain([UNKNOWN]).collect();
        assert_eq!(fields.iter().map(String::as_str).collect::<BTreeSet<_>>(), known, "{name}");
    }
}

#[test]
fn every_type_of_task_is_used() {
    /// Of the server's model (3.32.1); the last one stands for those of a later server.
    const TYPES: &str = "SIMPLE DYNAMIC FORK_JOIN FORK_JOIN_DYNAMIC DECISION SWITCH JOIN DO_WHILE SUB_WORKFLOW \
        START_WORKFLOW EVENT WAIT HUMAN USER_DEFINED HTTP LAMBDA INLINE EXCLUSIVE_JOIN TERMINATE KAFKA_PUBLISH \
        JSON_JQ_TRANSFORM SET_VARIABLE NOOP LLM_TEXT_COMPLETE LLM_CHAT_COMPLETE LLM_INDEX_TEXT LLM_SEARCH_INDEX \
        LLM_GENERATE_EMBEDDINGS LLM_STORE_EMBEDDINGS LLM_GET_EMBEDDINGS LIST_MCP_TOOLS CALL_MCP_TOOL \
        PULL_WORKFLOW_MESSAGES AGENT GET_AGENT_CARD CANCEL_AGENT OF_A_LATER_SERVER";
    let defs = WorkflowDef::list_from_json(&workflows()).unwrap();
    let used: BTreeSet<&str> = defs.iter().flat_map(|def| &def.tasks).filter_map(|t| t.task_type.as_deref()).collect();
    assert_eq!(used, TYPES.split_whitespace().collect());
}

// Servers.

/// A call that sends a definition of a workflow.
type Write = fn(&MetadataClient, &WorkflowDef) -> Result<()>;

/// A server that answers what it was sent last, as a store that keeps everything would.
fn store() -> Server {
    let kept = std::sync::Mutex::new(Value::Null);
    Server::start(move |request| {
        let mut kept = kept.lock().unwrap();
        if request.body.is_empty() {
            return Some(Answer::json(200, &kept));
        }
        *kept = match request.json() {
            Value::Array(mut list) if list.len() == 1 => list.remove(0),
            other => other,
        };
        Some(Answer::json(200, &json!({})))
    })
}

#[test]
fn the_client_sends_and_fetches_all_of_a_definition_what_no_server_knows_included() {
    let server = store();
    let metadata = server.client().metadata();
    for (text, def) in parsed(&tasks()).as_array().unwrap().iter().zip(TaskDef::list_from_json(&tasks()).unwrap()) {
        metadata.register_task(&def).unwrap();
        assert_eq!(server.requests().last().unwrap().json(), json!([text]));
        let fetched = metadata.task(&def.name).unwrap();
        metadata.update_task(&fetched).unwrap();
        assert_eq!(server.requests().last().unwrap().json(), *text);
    }
    let defs = WorkflowDef::list_from_json(&workflows()).unwrap();
    for (text, def) in parsed(&workflows()).as_array().unwrap().iter().zip(defs) {
        metadata.register_workflow(&def).unwrap();
        assert_eq!(server.requests().last().unwrap().json(), *text);
        let fetched = metadata.workflow(&def.name).unwrap();
        for write in [
            MetadataClient::update_workflow as Write,
            MetadataClient::overwrite_workflow,
            MetadataClient::validate_workflow,
        ] {
            write(&metadata, &fetched).unwrap();
            let sent = match server.requests().last().unwrap().json() {
                Value::Array(list) => list[0].clone(),
                one => one,
            };
            assert_eq!(sent, *text);
        }
    }
}

/// The same without the fields that no server knows.
fn known(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| *name != UNKNOWN)
            .map(|(name, value)| (name.clone(), known(value)))
            .collect(),
        Value::Array(items) => items.iter().map(known).collect(),
        other => other.clone(),
    }
}

/// Where `now` differs from `sent`; what was added to it does not count.
fn changes(sent: &Value, now: &Value, way: &str, found: &mut Vec<String>) {
    match (sent, now) {
        (Value::Object(fields), Value::Object(kept)) => {
            for (name, value) in fields {
                let way = format!("{way}/{name}");
                match kept.get(name) {
                    Some(kept) => changes(value, kept, &way, found),
                    None if value.is_null() => {}
                    None => found.push(way),
                }
            }
        }
        (Value::Array(items), Value::Array(kept)) if items.len() == kept.len() => {
            for (nth, (item, kept)) in items.iter().zip(kept).enumerate() {
                changes(item, kept, &format!("{way}/{nth}"), found);
            }
        }
        _ if sent == now => {}
        _ => found.push(way.to_owned()),
    }
}

#[track_caller]
fn assert_changed(sent: &str, now: &str, fields: &[&str]) {
    let mut found = Vec::new();
    changes(&known(&parsed(sent)), &parsed(now), "", &mut found);
    assert_eq!(found, fields, "{now}");
}

fn own_names(text: &str) -> String {
    let millis = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
    text.replace("\"defs_", &format!("\"defs_{}_{millis}_", process::id()))
}

#[test]
fn the_real_server_keeps_every_field_of_a_task_definition_but_who_and_when() {
    let Some(config) = Config::from_env_if_set().unwrap() else { return };
    let metadata = Client::new(config).unwrap().metadata();
    let defs = TaskDef::list_from_json(&own_names(&tasks())).unwrap();
    metadata.register_tasks(&defs).unwrap();
    for def in defs {
        let fetched = metadata.task(&def.name).unwrap();
        let stamps: &[&str] =
            if def.create_time.is_some() { &["/createTime", "/createdBy", "/updateTime", "/updatedBy"] } else { &[] };
        assert_changed(&def.to_json(), &fetched.to_json(), stamps);
        // Written back unchanged, by way of a file, and fetched again.
        metadata.update_task(&TaskDef::from_json(&fetched.to_json()).unwrap()).unwrap();
        let mut again = metadata.task(&def.name).unwrap();
        assert!(again.update_time > fetched.update_time, "{:?}", again.update_time);
        (again.update_time, again.updated_by) = (fetched.update_time, fetched.updated_by.clone());
        assert_eq!(parsed(&again.to_json()), parsed(&fetched.to_json()));
        metadata.delete_task(&def.name).unwrap();
    }
}

#[test]
fn the_real_server_keeps_every_field_of_a_workflow_definition_but_when_it_was_changed() {
    let Some(config) = Config::from_env_if_set().unwrap() else { return };
    let metadata = Client::new(config).unwrap().metadata();
    for def in WorkflowDef::list_from_json(&own_names(&workflows())).unwrap() {
        metadata.update_workflow(&def).unwrap();
        let fetched = metadata.workflow(&def.name).unwrap();
        let stamps: &[&str] = if def.update_time.is_some() { &["/updateTime"] } else { &[] };
        assert_changed(&def.to_json(), &fetched.to_json(), stamps);
        for write in [MetadataClient::update_workflow as Write, MetadataClient::overwrite_workflow] {
            write(&metadata, &WorkflowDef::from_json(&fetched.to_json()).unwrap()).unwrap();
            let mut again = metadata.workflow(&def.name).unwrap();
            assert!(again.update_time > fetched.update_time, "{:?}", again.update_time);
            again.update_time = fetched.update_time;
            assert_eq!(parsed(&again.to_json()), parsed(&fetched.to_json()));
        }
        metadata.delete_workflow(&def.name, u16::try_from(def.version.unwrap()).unwrap()).unwrap();
    }
}

#[cfg(feature = "embedded")]
#[test]
fn the_embedded_server_keeps_and_drops_fields_as_the_real_one_does() {
    let server = conductor_sync::embedded::EmbeddedServer::start().unwrap();
    let metadata = Client::new(Config::new(&server.url()).unwrap()).unwrap().metadata();
    let text = file("examples/ship.json");
    metadata.register_workflow(&WorkflowDef::from_json(&text).unwrap()).unwrap();
    // What no server knows has been sent to it: see above.
    let mut found = Vec::new();
    changes(&parsed(&text), &parsed(&metadata.workflow("ship").unwrap().to_json()), "", &mut found);
    assert_eq!(found, ["/drawnWith"]);
}
