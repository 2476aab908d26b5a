//! The routes under `/api/workflow`.

use crate::{
    embedded::engine::{Command, Engine, Millis, Refusal},
    workflow::StartWorkflowRequest,
};

use super::{Call, Outcome, Route, done, id, sent};

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
    ("POST", "api/workflow/*", Some(start_by_name)),
    ("GET", "api/workflow/*", Some(get)),
    ("DELETE", "api/workflow/*", Some(terminate)),
    ("GET", "api/workflow/*/status", Some(status)),
    ("GET", "api/workflow/*/tasks", None),
    ("GET", "api/workflow/*/correlated/*", None),
    ("POST", "api/workflow/*/correlated", None),
    ("PUT", "api/workflow/*/pause", Some(|call, engine, now| done(engine, Command::Pause(named(call, 2)), now))),
    ("PUT", "api/workflow/*/resume", Some(|call, engine, now| done(engine, Command::Resume(named(call, 2)), now))),
    ("POST", "api/workflow/*/restart", None),
    ("POST", "api/workflow/*/retry", None),
    ("POST", "api/workflow/*/rerun", None),
    ("POST", "api/workflow/*/resetcallbacks", None),
    ("PUT", "api/workflow/*/skiptask/*", None),
    ("DELETE", "api/workflow/*/remove", None),
    ("DELETE", "api/workflow/*/terminate-remove", None),
];

fn named(call: &Call, at: usize) -> String {
    call.segment(at).to_owned()
}

fn start_by_name(call: &Call, engine: &mut Engine, now: Millis) -> Result<Outcome, Refusal> {
    let mut request = StartWorkflowRequest::new(call.segment(2)).input(call.object()?);
    request.version = call.number("version")?;
    request.correlation_id = call.param("correlationId").map(str::to_owned);
    request.priority = call.number("priority")?.unwrap_or(0);
    id(engine, Command::Start(request), now)
}

fn no_workflow(workflow_id: &str) -> Refusal {
    Refusal::not_found(format!("No such workflow found by id: {workflow_id}"))
}

fn get(call: &Call, engine: &mut Engine, _: Millis) -> Result<Outcome, Refusal> {
    let workflow_id = call.segment(2);
    let with_tasks = call.flag("includeTasks", true)?;
    sent(&engine.workflow(workflow_id, with_tasks).ok_or_else(|| no_workflow(workflow_id))?)
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

fn running(call: &Call, engine: &mut Engine, _: Millis) -> Result<Outcome, Refusal> {
    let version = call.number("version")?.unwrap_or(1);
    sent(&engine.running(call.segment(3), version))
}
