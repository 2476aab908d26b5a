//! The routes under `/api/metadata`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    embedded::engine::{Answer, Command, Engine, Millis, Refusal},
    metadata::WorkflowDef,
};

use super::{Call, Outcome, Route, done, not_a_number, sent};

pub(super) const ROUTES: &[Route] = &[
    ("POST", "api/metadata/taskdefs", Some(|c, engine, now| done(engine, Command::RegisterTasks(c.task_defs()?), now))),
    ("PUT", "api/metadata/taskdefs", Some(|c, engine, now| done(engine, Command::UpdateTask(c.task_def()?), now))),
    ("GET", "api/metadata/taskdefs", Some(|_, engine, _| sent(&engine.task_defs()))),
    ("GET", "api/metadata/taskdefs/*", Some(task_def)),
    ("DELETE", "api/metadata/taskdefs/*", Some(delete_task_def)),
    ("POST", "api/metadata/workflow", Some(register_workflow)),
    ("PUT", "api/metadata/workflow", Some(update_workflows)),
    ("GET", "api/metadata/workflow", Some(|_, engine, _| sent(&engine.workflow_defs().collect::<Vec<_>>()))),
    ("POST", "api/metadata/workflow/validate", Some(validate)),
    ("GET", "api/metadata/workflow/names", Some(|_, engine, _| sent(&names(engine)))),
    ("GET", "api/metadata/workflow/names-and-versions", Some(names_and_versions)),
    ("GET", "api/metadata/workflow/latest-versions", Some(latest_versions)),
    ("GET", "api/metadata/workflow/*", Some(workflow_def)),
    ("GET", "api/metadata/workflow/*/versions", Some(versions)),
    ("DELETE", "api/metadata/workflow/*/*", Some(delete_workflow_def)),
];

/// One version of a workflow definition, in lists.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    name: &'a str,
    version: i32,
    create_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    update_time: Option<i64>,
}

impl<'a> Summary<'a> {
    fn of(def: &'a WorkflowDef) -> Self {
        let WorkflowDef { name, version, create_time, update_time, .. } = def;
        Self { name, version: version.unwrap_or(1), create_time: *create_time, update_time: *update_time }
    }
}

fn task_def(call: &Call, engine: &mut Engine, _: Millis) -> Result<Outcome, Refusal> {
    let name = call.segment(3);
    let missing = || Refusal::not_found(format!("No such taskType found by name: {name}"));
    sent(engine.task_def(name).ok_or_else(missing)?)
}

fn delete_task_def(call: &Call, engine: &mut Engine, now: Millis) -> Result<Outcome, Refusal> {
    done(engine, Command::DeleteTask(call.segment(3).to_owned()), now)
}

fn register_workflow(call: &Call, engine: &mut Engine, now: Millis) -> Result<Outcome, Refusal> {
    let overwrite = call.flag("overwrite", false)?;
    done(engine, Command::RegisterWorkflow { definition: call.workflow_def()?, overwrite }, now)
}

fn update_workflows(call: &Call, engine: &mut Engine, now: Millis) -> Result<Outcome, Refusal> {
    let names = match engine.step(Command::UpdateWorkflows(call.workflow_defs()?), now)? {
        Answer::Ids(names) => names,
        _ => Vec::new(),
    };
    sent(&serde_json::json!({"bulkErrorResults": {}, "bulkSuccessfulResults": names}))
}

fn validate(call: &Call, engine: &mut Engine, now: Millis) -> Result<Outcome, Refusal> {
    done(engine, Command::ValidateWorkflow(call.workflow_def()?), now)
}

fn workflow_def(call: &Call, engine: &mut Engine, _: Millis) -> Result<Outcome, Refusal> {
    let (name, version) = (call.segment(3), call.number::<i32>("version", "java.lang.Integer")?);
    let missing = || {
        let version = version.map_or_else(|| "null".to_owned(), |version| version.to_string());
        Refusal::not_found(format!("No such workflow found by name: {name}, version: {version}"))
    };
    sent(engine.workflow_def(name, version).ok_or_else(missing)?)
}

fn names(engine: &Engine) -> Vec<&str> {
    let mut names: Vec<&str> = engine.workflow_defs().map(|def| def.name.as_str()).collect();
    names.dedup();
    names
}

fn names_and_versions(_: &Call, engine: &mut Engine, _: Millis) -> Result<Outcome, Refusal> {
    let mut by_name: BTreeMap<&str, Vec<Summary<'_>>> = BTreeMap::new();
    for def in engine.workflow_defs() {
        by_name.entry(&def.name).or_default().push(Summary::of(def));
    }
    sent(&by_name)
}

fn latest_versions(_: &Call, engine: &mut Engine, _: Millis) -> Result<Outcome, Refusal> {
    let latest: Vec<&WorkflowDef> =
        names(engine).into_iter().filter_map(|name| engine.workflow_def(name, None)).collect();
    sent(&latest)
}

fn versions(call: &Call, engine: &mut Engine, _: Millis) -> Result<Outcome, Refusal> {
    let name = call.segment(3);
    let of_name = engine.workflow_defs().filter(|def| def.name == name);
    // In this list, unlike in the other one, the server leaves the time of the update out.
    let versions: Vec<Summary<'_>> = of_name.map(|def| Summary { update_time: None, ..Summary::of(def) }).collect();
    sent(&versions)
}

fn delete_workflow_def(call: &Call, engine: &mut Engine, now: Millis) -> Result<Outcome, Refusal> {
    let Some(version) = call.segment(4).parse().ok() else {
        return Err(not_a_number("version", "java.lang.Integer", call.segment(4)));
    };
    done(engine, Command::DeleteWorkflow { name: call.segment(3).to_owned(), version }, now)
}
