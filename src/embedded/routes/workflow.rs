//! The routes under `/api/workflow`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    embedded::engine::{Command, Engine, Millis, Refusal},
    task::Task,
    workflow::{StartWorkflowRequest, Workflow, WorkflowStatus},
};

use super::{Call, Outcome, Reply, Route, done, id, sent};

pub(super) const ROUTES: &[Route] = &[
    ("POST", "api/workflow", Some(|call, engine, now| id(engine, Command::Start(call.start_request()?), now))),
    ("GET", "api/workflow/running/*", Some(running)),
    ("PUT", "api/workflow/decide/*", Some(|call, engine, now| done(engine, Command::Decide(named(call, 3)), now))),
    ("POST", "api/workflow/execute/*/*", None),
    ("POST", "api/workflow/test", None),
    ("GET", "api/workflow/search", None),
    ("GET", "api/workflow/search-v2", None),
    ("GET", "api/workflow/search-by-tasks", None),
    ("GET", "api/workflow/search-by-tasks-v2", None),
    ("GET", "api/workflow/externalstoragelocation", None),
    ("GET", "api/workflow/external-storage-location", None),
    ("POST", "api/workflow/bulk/search", Some(several)),
    ("PUT", "api/workflow/bulk/pause", None),
    ("PUT", "api/workflow/bulk/resume", None),
    ("POST", "api/workflow/bulk/restart", None),
    ("POST", "api/workflow/bulk/retry", None),
    ("POST", "api/workflow/bulk/terminate", None),
    ("DELETE", "api/workflow/bulk/remove", None),
    ("DELETE", "api/workflow/bulk/terminate-remove", None),
    ("POST", "api/workflow/*", Some(start_by_name)),
    ("GET", "api/workflow/*", Some(get)),
    ("DELETE", "api/workflow/*", Some(terminate)),
    ("GET", "api/workflow/*/status", Some(status)),
    ("GET", "api/workflow/*/tasks", Some(tasks)),
    ("GET", "api/workflow/*/correlated/*", Some(correlated)),
    ("POST", "api/workflow/*/correlated", Some(correlated_by_several)),
    ("PUT", "api/workflow/*/pause", Some(|call, engine, now| done(engine, Command::Pause(named(call, 2)), now))),
    ("PUT", "api/workflow/*/resume", Some(|call, engine, now| done(engine, Command::Resume(named(call, 2)), now))),
    ("POST", "api/workflow/*/restart", Some(restart)),
    ("POST", "api/workflow/*/retry", Some(|call, engine, now| quiet(engine, Command::Retry(named(call, 2)), now))),
    ("POST", "api/workflow/*/rerun", None),
    ("POST", "api/workflow/*/resetcallbacks", None),
    ("PUT", "api/workflow/*/skiptask/*", None),
    ("DELETE", "api/workflow/*/remove", Some(remove)),
    ("DELETE", "api/workflow/*/terminate-remove", None),
];

fn named(call: &Call, at: usize) -> String {
    call.segment(at).to_owned()
}

fn start_by_name(call: &Call, engine: &mut Engine, now: Millis) -> Result<Outcome, Refusal> {
    let mut request = StartWorkflowRequest::new(call.segment(2)).input(call.object()?);
    request.version = call.number("version", "java.lang.Integer")?;
    request.correlation_id = call.param("correlationId").map(str::to_owned);
    request.priority = call.number("priority", "int")?.unwrap_or(0);
    id(engine, Command::StartByName(request), now)
}

fn no_workflow(workflow_id: &str) -> Refusal {
    Refusal::not_found(format!("No such workflow found by id: {workflow_id}"))
}

fn get(call: &Call, engine: &mut Engine, _: Millis) -> Result<Outcome, Refusal> {
    let workflow_id = call.segment(2);
    let with_tasks = call.flag("includeTasks", true)?;
    sent(&engine.workflow(workflow_id, with_tasks).ok_or_else(|| no_workflow(workflow_id))?)
}

fn several(call: &Call, engine: &mut Engine, _: Millis) -> Result<Outcome, Refusal> {
    let with_tasks = call.flag("includeTasks", true)?;
    let (mut found, mut missing) = (Vec::new(), BTreeMap::new());
    for workflow_id in call.json::<Vec<String>>("java.util.ArrayList<java.lang.String>")? {
        match engine.workflow(&workflow_id, with_tasks) {
            Some(workflow) => found.push(workflow),
            None => {
                let message = format!("No such workflow found by id: {workflow_id}");
                missing.insert(workflow_id, message);
            }
        }
    }
    sent(&serde_json::json!({"bulkSuccessfulResults": found, "bulkErrorResults": missing}))
}

fn status(call: &Call, engine: &mut Engine, _: Millis) -> Result<Outcome, Refusal> {
    let workflow_id = call.segment(2);
    let (with_output, with_variables) = (call.flag("includeOutput", false)?, call.flag("includeVariables", false)?);
    let workflow = engine.workflow(workflow_id, false).ok_or_else(|| no_workflow(workflow_id))?;
    let mut state = serde_json::json!({"workflowId": workflow.workflow_id, "status": workflow.status});
    if let Some(correlation_id) = workflow.correlation_id {
        state["correlationId"] = correlation_id.into();
    }
    let state = crate::json::RawJson::from(state);
    let mut state: crate::json::JsonMap = state.decode().unwrap_or_default();
    if with_output {
        state.insert("output".to_owned(), workflow.output);
    }
    if with_variables {
        state.insert("variables".to_owned(), workflow.variables);
    }
    sent(&state)
}

fn terminate(call: &Call, engine: &mut Engine, now: Millis) -> Result<Outcome, Refusal> {
    let reason = call.param("reason").map(str::to_owned);
    done(engine, Command::Terminate { workflow_id: named(call, 2), reason }, now)
}

fn restart(call: &Call, engine: &mut Engine, now: Millis) -> Result<Outcome, Refusal> {
    let with_latest = call.flag("useLatestDefinitions", false)?;
    quiet(engine, Command::Restart { workflow_id: named(call, 2), with_latest }, now)
}

fn remove(call: &Call, engine: &mut Engine, now: Millis) -> Result<Outcome, Refusal> {
    let archive = call.flag("archiveWorkflow", true)?;
    done(engine, Command::Remove { workflow_id: named(call, 2), archive }, now)
}

/// Steps the engine and answers 204.
fn quiet(engine: &mut Engine, command: Command, now: Millis) -> Result<Outcome, Refusal> {
    engine.step(command, now)?;
    Ok(Outcome::Reply(Reply::empty(204)))
}

fn running(call: &Call, engine: &mut Engine, _: Millis) -> Result<Outcome, Refusal> {
    let version = call.number("version", "int")?.unwrap_or(1);
    let (from, to) = (
        call.number("startTime", "java.lang.Long")?.unwrap_or(0),
        call.number("endTime", "java.lang.Long")?.unwrap_or(0),
    );
    let is_wanted = |workflow: &&Workflow| match (from, to) {
        // Without a range of time the real server does not look at the version.
        (0, _) | (_, 0) => !workflow.status.is_terminal(),
        (from, to) => workflow.workflow_version == version && (from..=to).contains(&workflow.create_time),
    };
    let workflows = engine.named(call.segment(3));
    sent(&workflows.filter(is_wanted).map(|workflow| &workflow.workflow_id).collect::<Vec<_>>())
}

/// A page of the tasks of a workflow.
fn tasks(call: &Call, engine: &mut Engine, _: Millis) -> Result<Outcome, Refusal> {
    let workflow_id = call.segment(2);
    let number = |name, default| {
        call.number::<i32>(name, "java.lang.Integer").map(|n| n.map_or(default, |n| usize::try_from(n).unwrap_or(0)))
    };
    let (start, count) = (number("start", 0)?, number("count", 15)?);
    let workflow = engine.workflow(workflow_id, true).ok_or_else(|| no_workflow(workflow_id))?;
    let statuses: Vec<&str> = call.params("status").flat_map(|list| list.split(',')).collect();
    let is_wanted = |task: &Task| {
        statuses.is_empty() || statuses.iter().any(|status| status.eq_ignore_ascii_case(task.status.as_str()))
    };
    let tasks: Vec<Task> = workflow.tasks.into_iter().filter(is_wanted).collect();
    sent(&Page { total_hits: tasks.len(), results: tasks.iter().skip(start).take(count).collect() })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    total_hits: usize,
    results: Vec<&'a Task>,
}

/// The workflows of a name with this correlation id.
fn of_correlation(call: &Call, engine: &Engine, correlation_id: &str) -> Result<Vec<Workflow>, Refusal> {
    let (with_closed, with_tasks) = (call.flag("includeClosed", false)?, call.flag("includeTasks", false)?);
    let is_wanted = |workflow: &&Workflow| {
        workflow.correlation_id.as_deref() == Some(correlation_id)
            && (with_closed || workflow.status == WorkflowStatus::Running)
    };
    let found = engine.named(call.segment(2)).filter(is_wanted);
    Ok(found.filter_map(|workflow| engine.workflow(&workflow.workflow_id, with_tasks)).collect())
}

fn correlated(call: &Call, engine: &mut Engine, _: Millis) -> Result<Outcome, Refusal> {
    sent(&of_correlation(call, engine, call.segment(4))?)
}

fn correlated_by_several(call: &Call, engine: &mut Engine, _: Millis) -> Result<Outcome, Refusal> {
    let mut found = BTreeMap::new();
    for correlation_id in call.json::<Vec<String>>("java.util.ArrayList<java.lang.String>")? {
        let workflows = of_correlation(call, engine, &correlation_id)?;
        found.insert(correlation_id, workflows);
    }
    sent(&found)
}
