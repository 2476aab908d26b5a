//! The operations under `/agent`. No model is asked: the agent of these tests is one whose work is a task of a worker.

use std::time::Duration;

use conductor_sync::{
    AgentEvent, AgentEventKind, AgentRun, AgentSearch, AgentStartRequest, ErrorKind, InjectTaskRequest, JsonMap,
    RawJson, ReferenceUpdate, Removal, RerunWorkflowRequest, SearchField, SearchQuery, TaskResultStatus, TaskStatus,
    TrackingRequest, WorkflowStatus, WorkflowTasksQuery,
};
use serde_json::{Value, json};

use super::{Api, LONG, admin, eventually, fails, holds, just_now, lost, missing, too_long};

/// The reference name of the one task of [`worked`].
const TASK: &str = "_fw_task";

/// An agent that is a task of type `t`.
fn worked(api: &Api) -> AgentStartRequest {
    let config = json!({"name": api.name("agent"), "_worker_name": api.name("t")});
    AgentStartRequest::of_framework("langgraph", config)
}

/// An agent with a model that nobody has.
fn described(api: &Api) -> AgentStartRequest {
    AgentStartRequest::configured(
        json!({"name": api.name("agent"), "model": "openai/none", "instructions": "Be brief."}),
    )
}

/// Starts the agent that is a task.
fn started(api: &Api) -> String {
    api.client.agents().start(&worked(api).prompt("hello")).unwrap().execution_id.unwrap()
}

/// An execution that has completed.
fn completed(api: &Api) -> String {
    let id = started(api);
    api.end(TaskResultStatus::Completed);
    api.client.workflows().wait(&id, LONG).unwrap();
    id
}

fn map(json: &Value) -> JsonMap {
    RawJson::from(json.clone()).decode().unwrap()
}

#[track_caller]
fn is(api: &Api, id: &str, status: &WorkflowStatus) {
    assert_eq!(api.client.agents().status(id).unwrap().status, *status);
}

pub(crate) fn compile(api: &Api) {
    let compiled = api.client.agents().compile(&described(api)).unwrap();
    assert_eq!(compiled.workflow_def.name, api.name("agent"));
    assert_eq!(compiled.workflow_def.tasks[0].task_type.as_deref(), Some("LLM_CHAT_COMPLETE"));
    let compiled = api.client.agents().compile(&worked(api)).unwrap();
    assert_eq!(compiled.required_workers, [api.name("t")]);
    missing(api.client.agents().get(&api.name("agent"), None));
}

pub(crate) fn inspect_plan(api: &Api) {
    let config = json!({"name": "planner", "model": "openai/none", "strategy": "plan_execute"});
    let plan = json!({"steps": [{"id": "a", "operations": [{"tool": "look", "args": {}}]}]});
    let inspected = api.client.agents().inspect_plan(&config.clone().into(), &plan.into()).unwrap();
    let def = inspected.workflow_def.unwrap();
    assert_eq!((def.tasks[0].name.as_str(), inspected.error), ("look", None));
    assert_eq!(inspected.stats["stepCount"].get(), "1");
    let inspected = api.client.agents().inspect_plan(&config.into(), &json!({}).into()).unwrap();
    assert!(inspected.workflow_def.is_none() && inspected.error.is_some(), "{inspected:?}");
}

/// A deployed agent is listed, found and deleted.
pub(crate) fn deploy(api: &Api) {
    let (agents, name) = (api.client.agents(), api.name("agent"));
    let deployed = agents.deploy(&described(api)).unwrap();
    assert_eq!((&deployed.agent_name, &deployed.execution_id), (&name, &None));
    let listed = agents.list().unwrap().into_iter().find(|agent| agent.name == name).expect("it is listed");
    assert_eq!((listed.version, listed.agent_type.as_deref()), (1, Some("conductor")));
    just_now(listed.created_at());
    assert_eq!(listed.updated_at(), None);
    assert_eq!(agents.get(&name, None).unwrap().to_value().unwrap()["instructions"], "Be brief.");
    assert_eq!(agents.get(&name, Some(1)).unwrap(), agents.get(&name, None).unwrap());
    let def = agents.definition(&name, Some(1)).unwrap();
    assert_eq!((&def.name, &def), (&name, &agents.definition(&name, None).unwrap()));
    agents.delete(&name, Some(1)).unwrap();
    missing(agents.get(&name, None));
    agents.deploy(&described(api)).unwrap();
    agents.delete(&name, None).unwrap();
    missing(agents.definition(&name, None));
}

/// By its name and described, once only where a key says so; what it was given is the input.
pub(crate) fn start(api: &Api) {
    let agents = api.client.agents();
    agents.deploy(&worked(api)).unwrap();
    let by_name = AgentStartRequest::named(api.name("agent")).prompt("hello").session_id("s").version(1);
    let by_name = by_name.context(json!({"n": 1})).timeout(Duration::from_secs(77)).idempotency_key(api.name("key"));
    let first = agents.start(&by_name).unwrap();
    assert_eq!(first.required_workers, [api.name("t")]);
    let id = first.execution_id.unwrap();
    let workflow = agents.workflow(&id).unwrap();
    let input = workflow.input.to_value().unwrap();
    assert_eq!(
        (&input["prompt"], &input["session_id"], &input["context"]["n"]),
        (&json!("hello"), &json!("s"), &json!(1))
    );
    assert_eq!(workflow.workflow_definition.unwrap().timeout_seconds, Some(77));
    assert_eq!(api.take().workflow_instance_id, id);
    let again = agents.start(&by_name).unwrap();
    assert_eq!(again.execution_id, Some(id));
    assert_ne!(started(api), again.execution_id.unwrap());
}

/// What is told while it runs, from the beginning or from any event; the last one has the output.
pub(crate) fn events(api: &Api) {
    let (agents, id) = (api.client.agents(), started(api));
    agents.push_event(&id, &map(&json!({"type": "thinking", "content": "hm"}))).unwrap();
    agents.push_event(&id, &map(&json!({"type": "tool_call", "toolName": "look", "args": {"n": 1}}))).unwrap();
    let events = agents.events(&id).unwrap().within(LONG);
    let mut events = events.map(Result::unwrap);
    let first = events.find(|event| event.kind == AgentEventKind::Thinking).unwrap();
    assert_eq!(first.content.as_deref(), Some("hm"));
    just_now(first.at());
    api.end(TaskResultStatus::Completed);
    let rest: Vec<AgentEvent> = events.collect();
    let (call, last) = (&rest[0], &rest[rest.len() - 1]);
    assert_eq!((&call.kind, call.tool_name.as_deref()), (&AgentEventKind::ToolCall, Some("look")));
    assert!(last.is_last() && last.output.as_ref().is_some_and(RawJson::is_object), "{last:?}");
    let later = agents.events(&id).unwrap().after(call.id).within(LONG);
    assert_eq!(later.map(Result::unwrap).collect::<Vec<_>>(), rest[1..]);
}

/// Whoever is waited for answers.
pub(crate) fn respond(api: &Api) {
    let (agents, id) = (api.client.agents(), admin::start_human(api));
    let status = agents.status(&id).unwrap();
    assert!(status.is_waiting && status.pending_tool.unwrap()["taskRefName"].get() == "\"h\"");
    agents.respond(&id, &map(&json!({"approved": true}))).unwrap();
    let done = api.client.workflows().wait(&id, LONG).unwrap();
    assert_eq!(done.tasks[0].output_data.to_value().unwrap()["approved"], true);
}

/// One of a deployed agent is found by all that is known of it.
pub(crate) fn search(api: &Api) {
    let (agents, id) = (api.client.agents(), completed(api));
    let of = || AgentSearch::new().agent(api.name("agent"));
    for search in [
        of(),
        of().status(WorkflowStatus::Completed).sort("startTime:ASC"),
        of().classifier("agent").free_text(&id).page_size(1),
    ] {
        let found = eventually("it is in the index", || {
            agents.search(&search).into_iter().next().map(Result::unwrap).filter(|found| found.end_time.is_some())
        });
        assert_eq!((&found.execution_id, &found.agent_name), (&id, &api.name("agent")), "{search:?}");
        assert!(found.took() < LONG);
    }
    assert_eq!(agents.search(&of().status(WorkflowStatus::Failed)).into_iter().count(), 0);
}

pub(crate) fn search_workflows(api: &Api) {
    let (agents, id) = (api.client.agents(), started(api));
    let query = SearchQuery::new().is(SearchField::WorkflowType, api.name("agent"));
    let query = conductor_sync::SearchRequest::new().query(query).classifier("agent");
    let found: Vec<_> = agents.search_workflows(query).into_iter().map(Result::unwrap).collect();
    assert_eq!((found.len(), &found[0].workflow_id), (1, &id));
}

/// The same execution, in all the ways in which it can be looked at.
pub(crate) fn look(api: &Api) {
    let (agents, id) = (api.client.agents(), started(api));
    let status = agents.status(&id).unwrap();
    assert_eq!((status.is_complete, status.is_running, status.is_waiting), (false, true, false));
    just_now(status.started_at());
    assert_eq!(status.ended_at(), None);
    let at = agents.execution(&id).unwrap();
    assert_eq!((&at.agent_name, at.version), (&api.name("agent"), 1));
    assert_eq!(at.input.to_value().unwrap()["prompt"], "hello");
    assert_eq!(at.current_task.unwrap().task_ref_name, TASK);
    let run: AgentRun = agents.run(&id).unwrap();
    assert_eq!((run.tasks.len(), &run.tasks[0].task_type, run.token_usage.clone()), (1, &api.name("t"), None));
    just_now(run.started_at());
    api.end(TaskResultStatus::Completed);
    eventually("it ends", || agents.status(&id).unwrap().is_complete.then_some(()));
    just_now(agents.status(&id).unwrap().ended_at());
    just_now(agents.run(&id).unwrap().ended_at());
    assert_eq!(agents.execution(&id).unwrap().current_task, None);
    let workflow = agents.workflow(&id).unwrap();
    assert_eq!((&workflow.workflow_id, workflow.tasks.len()), (&id, 1));
}

pub(crate) fn tasks(api: &Api) {
    let (agents, id) = (api.client.agents(), started(api));
    let all: Vec<_> = agents.tasks(id.as_str()).into_iter().map(Result::unwrap).collect();
    assert_eq!((all.len(), all[0].reference_task_name.as_str()), (1, TASK));
    let done = WorkflowTasksQuery::new(&id).status(TaskStatus::Completed);
    assert_eq!(agents.tasks(done).into_iter().count(), 0);
}

pub(crate) fn pause_and_resume(api: &Api) {
    let (agents, id) = (api.client.agents(), started(api));
    agents.pause(&id).unwrap();
    is(api, &id, &WorkflowStatus::Paused);
    agents.resume(&id).unwrap();
    is(api, &id, &WorkflowStatus::Running);
}

pub(crate) fn cancel(api: &Api) {
    let (agents, id) = (api.client.agents(), started(api));
    agents.cancel(&id, Some("enough")).unwrap();
    let status = agents.status(&id).unwrap();
    assert_eq!(
        (status.status, status.reason_for_incompletion.as_deref()),
        (WorkflowStatus::Terminated, Some("enough"))
    );
}

/// Both are kept in variables, which the loop of an agent looks at.
pub(crate) fn stop_and_signal(api: &Api) {
    let (agents, id) = (api.client.agents(), started(api));
    agents.stop(&id).unwrap();
    agents.signal(&id, "be quick").unwrap();
    let variables = agents.workflow(&id).unwrap().variables;
    let variables = variables.to_value().unwrap();
    assert_eq!((&variables["_stop_requested"], &variables["_signal_injection"]), (&json!(true), &json!("be quick")));
}

pub(crate) fn again(api: &Api) {
    let (agents, id) = (api.client.agents(), completed(api));
    agents.restart(&id).unwrap();
    is(api, &id, &WorkflowStatus::Running);
    api.end(TaskResultStatus::FailedWithTerminalError);
    eventually("it fails", || agents.status(&id).unwrap().is_complete.then_some(()));
    agents.retry(&id).unwrap();
    is(api, &id, &WorkflowStatus::Running);
    api.end(TaskResultStatus::FailedWithTerminalError);
    eventually("it fails", || agents.status(&id).unwrap().is_complete.then_some(()));
    agents.retry_within_sub_workflows(&id).unwrap();
    is(api, &id, &WorkflowStatus::Running);
    api.end(TaskResultStatus::Completed);
    eventually("it completes", || agents.status(&id).unwrap().is_complete.then_some(()));
    let input = json!({"prompt": "and now?"});
    assert_eq!(agents.rerun(&id, &RerunWorkflowRequest::new().workflow_input(input)).unwrap(), id);
    assert_eq!(agents.execution(&id).unwrap().input.to_value().unwrap()["prompt"], "and now?");
    agents.cancel(&id, None).unwrap();
    agents.restart_with_latest_definition(&id).unwrap();
    is(api, &id, &WorkflowStatus::Running);
}

pub(crate) fn remove(api: &Api) {
    let (agents, id) = (api.client.agents(), completed(api));
    agents.remove(&id, Removal::Delete).unwrap();
    missing(agents.status(&id));
}

/// Nothing here is so old.
/// Nothing that a client can do makes an execution older than it is, so there is none to prune.
pub(crate) fn prune(api: &Api) {
    let id = completed(api);
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    assert_eq!(api.client.agents().prune(year, Removal::Delete).unwrap(), 0);
    is(api, &id, &WorkflowStatus::Completed);
}

pub(crate) fn update_task(api: &Api) {
    let (agents, id) = (api.client.agents(), started(api));
    let update = ReferenceUpdate::new(&id, TASK, TaskResultStatus::Completed).output(json!({"result": "done"}));
    agents.update_task(&update.worker_id("me")).unwrap();
    let status = agents.status(&id).unwrap();
    assert_eq!(status.output.unwrap().to_value().unwrap()["result"], "done");
}

pub(crate) fn task_logs(api: &Api) {
    started(api);
    let task = api.take();
    api.client.tasks().add_log(&task.task_id, "line").unwrap();
    let logs = eventually("the line is there", || {
        Some(api.client.agents().task_logs(&task.task_id).unwrap()).filter(|logs| !logs.is_empty())
    });
    assert_eq!(logs[0].log, "line");
    assert_eq!(api.client.agents().task_logs("nope").unwrap(), []);
}

/// It is seen like one that the server runs, and its agent within too.
pub(crate) fn track(api: &Api) {
    let agents = api.client.agents();
    let id = agents.track(&TrackingRequest::new(api.name("w")).input(json!({"n": 1}))).unwrap();
    let tool = InjectTaskRequest::tool("look", "look_1").input(json!({"at": "it"}));
    let task_id = agents.inject_task(&id, &tool).unwrap();
    let inner = agents.track(&TrackingRequest::new(api.name("inner")).parent(&id, &task_id)).unwrap();
    agents.inject_task(&id, &InjectTaskRequest::sub_agent(&api.name("inner"), "sub_1", &inner)).unwrap();
    assert_eq!(agents.workflow(&inner).unwrap().parent_workflow_id.as_deref(), Some(id.as_str()));
    let run = agents.run(&id).unwrap();
    let seen: Vec<_> =
        run.tasks.iter().map(|task| (task.reference_task_name.as_str(), &task.sub_workflow_id)).collect();
    assert_eq!(seen, [("look_1", &None), ("sub_1", &Some(inner))]);
    holds(&api.client.tasks().get(&task_id).unwrap().input_data, &json!({"at": "it"}));
    agents.complete_tracked(&id, &map(&json!({"n": 2}))).unwrap();
    let status = agents.status(&id).unwrap();
    assert_eq!((status.status, status.output), (WorkflowStatus::Completed, Some(json!({"n": 2}).into())));
    assert_eq!(api.client.tasks().get(&task_id).unwrap().status, TaskStatus::Completed);
    tokens(api);
}

/// What models have used is counted, that of agents within in the workflow only.
fn tokens(api: &Api) {
    let agents = api.client.agents();
    let asked = |id: &str, n_read: i64| {
        let mut model = InjectTaskRequest::tool("model", "model_1");
        model.task_type = "LLM_CHAT_COMPLETE".to_owned();
        let task_id = agents.inject_task(id, &model).unwrap();
        let output = json!({"promptTokens": n_read, "completionTokens": 7, "tokenUsed": n_read + 7});
        (task_id, ReferenceUpdate::new(id, "model_1", TaskResultStatus::Completed).output(output))
    };
    let id = agents.track(&TrackingRequest::new(api.name("w"))).unwrap();
    let (task_id, used) = asked(&id, 11);
    let inner = agents.track(&TrackingRequest::new(api.name("inner")).parent(&id, &task_id)).unwrap();
    agents.inject_task(&id, &InjectTaskRequest::sub_agent(&api.name("inner"), "sub_1", &inner)).unwrap();
    agents.update_task(&used).unwrap();
    agents.update_task(&asked(&inner, 5).1).unwrap();
    let usage = agents.run(&id).unwrap().token_usage.unwrap();
    assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (11, 7, 18));
    let all = agents.workflow(&id).unwrap().aggregate_token_usage.unwrap().to_value().unwrap();
    assert_eq!(all, json!({"promptTokens": 16, "completionTokens": 14, "totalTokens": 30}));
}

pub(crate) fn all(api: &Api) {
    let (agents, ids) = (api.client.agents(), [started(api), started(api)]);
    let are = |status: &WorkflowStatus| ids.iter().for_each(|id| is(api, id, status));
    agents.pause_all(&ids).unwrap();
    are(&WorkflowStatus::Paused);
    agents.resume_all(&ids).unwrap();
    are(&WorkflowStatus::Running);
    agents.cancel_all(&ids, Some("enough")).unwrap();
    are(&WorkflowStatus::Terminated);
    assert_eq!(agents.status(&ids[0]).unwrap().reason_for_incompletion.as_deref(), Some("enough"));
    agents.retry_all(&ids).unwrap();
    are(&WorkflowStatus::Running);
    agents.cancel_all(&ids, None).unwrap();
    agents.restart_all(&ids).unwrap();
    are(&WorkflowStatus::Running);
    agents.cancel_all(&ids, None).unwrap();
    agents.restart_all_with_latest_definitions(&ids).unwrap();
    are(&WorkflowStatus::Running);
    // An error ends the call.
    let some = [ids[0].as_str(), "nope", ids[1].as_str()];
    missing(agents.pause_all(&some));
    is(api, &ids[0], &WorkflowStatus::Paused);
    is(api, &ids[1], &WorkflowStatus::Running);
}

pub(crate) mod refused {
    use super::*;

    pub(crate) fn compile(api: &Api) {
        let no_model = AgentStartRequest::configured(json!({"name": "a"}));
        fails(api.client.agents().compile(&no_model), ErrorKind::Rejected);
    }

    pub(crate) fn inspect_plan(api: &Api) {
        let config: RawJson = json!({"name": "a", "model": "openai/none"}).into();
        let error = fails(api.client.agents().inspect_plan(&config, &RawJson::default()), ErrorKind::Rejected);
        assert!(error.to_string().contains("strategy must be 'plan_execute'"), "{error}");
    }

    pub(crate) fn deploy(api: &Api) {
        let (agents, name) = (api.client.agents(), api.name("agent"));
        fails(agents.deploy(&AgentStartRequest::configured(json!({"name": "a"}))), ErrorKind::Rejected);
        missing(agents.get(&name, None));
        missing(agents.definition(&name, None));
        missing(agents.definition(&name, Some(1)));
        missing(agents.delete(&name, None));
        missing(agents.delete(&name, Some(1)));
    }

    pub(crate) fn list(api: &Api) {
        lost(api.elsewhere().agents().list());
    }

    pub(crate) fn start(api: &Api) {
        missing(api.client.agents().start(&AgentStartRequest::named(api.name("agent")).prompt("hello")));
        let workflow = AgentStartRequest::named(api.register(&["a"])).prompt("hello");
        missing(api.client.agents().start(&workflow));
    }

    pub(crate) fn events(api: &Api) {
        missing(api.client.agents().events("nope").map(|_| ()));
        // An execution that goes on.
        let mut events = api.client.agents().events(&started(api)).unwrap().within(Duration::from_millis(300));
        let error = events.find_map(Result::err).expect("it has not ended");
        assert_eq!(error.kind(), ErrorKind::Deadline);
        assert!(events.next().is_none());
    }

    pub(crate) fn push_event(api: &Api) {
        lost(api.elsewhere().agents().push_event("nope", &map(&json!({"type": "thinking"}))));
        api.client.agents().push_event("nope", &map(&json!({"type": "thinking"}))).unwrap();
    }

    pub(crate) fn respond(api: &Api) {
        fails(api.client.agents().respond(&started(api), &JsonMap::new()), ErrorKind::Conflict);
        missing(api.client.agents().respond("nope", &JsonMap::new()));
    }

    pub(crate) fn search(api: &Api) {
        too_long(
            api.client.agents().search(&AgentSearch::new().free_text(super::super::long())).first_page(),
            "freeText",
        );
        lost(api.elsewhere().agents().search(&AgentSearch::new()).first_page());
    }

    pub(crate) fn search_workflows(api: &Api) {
        fails(api.client.agents().search_workflows("nonsense").first_page(), ErrorKind::Rejected);
    }

    pub(crate) fn look(api: &Api) {
        let agents = api.client.agents();
        missing(agents.status("nope"));
        missing(agents.execution("nope"));
        missing(agents.run("nope"));
        missing(agents.workflow("nope"));
    }

    pub(crate) fn tasks(api: &Api) {
        missing(api.client.agents().tasks("nope").first_page());
    }

    pub(crate) fn pause_and_resume(api: &Api) {
        missing(api.client.agents().pause("nope"));
        missing(api.client.agents().resume("nope"));
        fails(api.client.agents().resume(&started(api)), ErrorKind::Conflict);
    }

    pub(crate) fn cancel(api: &Api) {
        missing(api.client.agents().cancel("nope", None));
    }

    pub(crate) fn stop_and_signal(api: &Api) {
        missing(api.client.agents().stop("nope"));
        missing(api.client.agents().signal("nope", "be quick"));
    }

    pub(crate) fn again(api: &Api) {
        let (agents, id) = (api.client.agents(), started(api));
        fails(agents.restart(&id), ErrorKind::Conflict);
        fails(agents.retry(&id), ErrorKind::Conflict);
        fails(agents.rerun(&id, &RerunWorkflowRequest::new()), ErrorKind::Conflict);
        missing(agents.restart_with_latest_definition("nope"));
        missing(agents.retry_within_sub_workflows("nope"));
        missing(agents.rerun("nope", &RerunWorkflowRequest::new()));
        agents.cancel(&id, None).unwrap();
        missing(agents.rerun(&id, &RerunWorkflowRequest::new().from_task("nope")));
    }

    pub(crate) fn remove(api: &Api) {
        missing(api.client.agents().remove("nope", Removal::Delete));
    }

    pub(crate) fn prune(api: &Api) {
        lost(api.elsewhere().agents().prune(Duration::from_secs(1), Removal::Delete));
        fails(api.client.agents().prune(Duration::ZERO, Removal::Delete), ErrorKind::Invalid);
    }

    pub(crate) fn update_task(api: &Api) {
        let update = |id: &str| ReferenceUpdate::new(id, "nope", TaskResultStatus::Completed);
        missing(api.client.agents().update_task(&update("nope")));
        missing(api.client.agents().update_task(&update(&started(api))));
    }

    pub(crate) fn task_logs(api: &Api) {
        lost(api.elsewhere().agents().task_logs("nope"));
    }

    pub(crate) fn track(api: &Api) {
        lost(api.elsewhere().agents().track(&TrackingRequest::new("w")));
        fails(api.client.agents().track(&TrackingRequest::new("")), ErrorKind::Invalid);
    }

    pub(crate) fn tracked(api: &Api) {
        missing(api.client.agents().inject_task("nope", &InjectTaskRequest::tool("t", "t_1")));
        missing(api.client.agents().complete_tracked("nope", &JsonMap::new()));
    }

    pub(crate) fn all(api: &Api) {
        let agents = api.client.agents();
        missing(agents.pause_all(&["nope"]));
        missing(agents.resume_all(&["nope"]));
        missing(agents.restart_all(&["nope"]));
        missing(agents.restart_all_with_latest_definitions(&["nope"]));
        missing(agents.retry_all(&["nope"]));
        missing(agents.cancel_all(&["nope"], None));
    }
}

pub(crate) use deploy as list;
pub(crate) use events as push_event;
pub(crate) use track as tracked;
