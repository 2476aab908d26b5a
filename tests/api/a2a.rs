//! The operations under `/a2a`. The other side is the server itself, which exposes workflows and agents.

use std::time::Duration;

use conductor_sync::{
    A2aAgent, A2aMessage, A2aPart, A2aTaskState, A2aUpdate, A2aUpdates, AgentStartRequest, Client, Config, ErrorKind,
    RawJson, Secret, StartWorkflowRequest, Task, TaskResultStatus, TaskStatus, WorkflowDef, WorkflowStatus,
    WorkflowTask,
};
use serde_json::json;

use super::{Api, LONG, eventually, fails, lost, missing, pass};

/// Registers a workflow `w` that is exposed.
fn exposed(api: &Api, node: WorkflowTask) -> String {
    let mut def = WorkflowDef::new(api.name("w")).task(node);
    def.description = Some("waits".to_owned());
    def.metadata = [("a2a.enabled".to_owned(), true.into()), ("a2a.tags".to_owned(), json!(["calm"]).into())].into();
    api.client.metadata().update_workflow(&def).unwrap();
    def.name
}

fn waits(api: &Api) -> String {
    let mut node = WorkflowTask::simple("wait", "w1");
    node.task_type = Some("WAIT".to_owned());
    exposed(api, node)
}

/// Deploys an agent that is a task of type `t`.
fn deployed(api: &Api) -> String {
    let config = json!({"name": api.name("agent"), "_worker_name": api.name("t")});
    api.client.agents().deploy(&AgentStartRequest::of_framework("langgraph", config)).unwrap();
    api.name("agent")
}

/// Where the server is talked to by the protocol.
fn url(api: &Api, path: &str) -> String {
    format!("{}/a2a/{path}", api.client.server_url())
}

pub(crate) fn lists(api: &Api) {
    let (a2a, workflow, agent) = (api.client.a2a(), waits(api), deployed(api));
    let hidden = api.name("hidden");
    let def = WorkflowDef::new(&hidden).task(WorkflowTask::simple("t", "t"));
    api.client.metadata().update_workflow(&def).unwrap();
    let workflows = a2a.workflows().unwrap();
    let listed = workflows.iter().find(|one| one.name == workflow).unwrap();
    assert_eq!(listed.url, url(api, &format!("workflow/{workflow}")));
    assert_eq!(listed.agent_card, format!("{}/.well-known/agent-card.json", listed.url));
    assert!(workflows.iter().all(|one| one.name != hidden));
    let agents = a2a.agents().unwrap();
    let listed = agents.iter().find(|one| one.name == agent).unwrap();
    assert_eq!(listed.url, url(api, &format!("agent/{agent}")));
}

pub(crate) fn card(api: &Api) {
    let (a2a, workflow, agent) = (api.client.a2a(), waits(api), deployed(api));
    let card = a2a.card(A2aAgent::Workflow(&workflow)).unwrap();
    assert_eq!(
        (&card.name, card.description.as_deref(), card.version.as_deref()),
        (&workflow, Some("waits"), Some("1"))
    );
    assert_eq!(card.url, Some(url(api, &format!("workflow/{workflow}"))));
    assert_eq!(card.capabilities["streaming"], RawJson::from(true));
    assert_eq!(card.provider["organization"], RawJson::from("Conductor"));
    assert_eq!((&card.skills[0].id, &card.skills[0].tags[..]), (&workflow, &["calm".to_owned()][..]));
    let card = a2a.card(A2aAgent::Agent(&agent)).unwrap();
    assert_eq!((card.name, card.url), (agent.clone(), Some(url(api, &format!("agent/{agent}")))));
}

/// A message starts a workflow, whatever its id; another one is what the workflow waits for.
pub(crate) fn workflow(api: &Api) {
    let (a2a, name) = (api.client.a2a(), waits(api));
    let agent = A2aAgent::Workflow(&name);
    let first = A2aMessage::text("hello").part(A2aPart::data(json!({"n": 1}))).message_id("m1").context_id("c 1");
    let task = a2a.send(agent, &first).unwrap();
    assert_eq!((task.context_id.as_deref(), task.kind.as_deref()), (Some("c 1"), Some("task")));
    assert_ne!(a2a.send(agent, &first).unwrap().id, task.id);
    let workflow = api.client.workflows().get(&task.id).unwrap();
    let input = workflow.input.to_value().unwrap();
    assert_eq!(
        (&input["n"], &input["_a2a_text"], &input["_a2a_message_id"]),
        (&json!(1), &json!("hello"), &json!("m1"))
    );
    let waiting = eventually("it waits", || {
        a2a.task(agent, &task.id).ok().filter(|task| task.status.state == A2aTaskState::InputRequired)
    });
    assert!(waiting.status.message.unwrap().parts[0].text.as_deref().unwrap().contains("awaiting input"));
    let done = a2a.send(agent, &A2aMessage::text("go on").task_id(&task.id)).unwrap();
    assert_eq!((&done.id, done.status.state.is_terminal()), (&task.id, true));
    let output = done.artifacts[0].parts[0].data.as_ref().unwrap().to_value().unwrap();
    assert_eq!(output["_a2a_text"], json!("go on"));
    let other = a2a.send(agent, &A2aMessage::text("hello")).unwrap();
    assert_eq!(a2a.cancel(agent, &other.id).unwrap().status.state, A2aTaskState::Canceled);
    assert_eq!(a2a.cancel(agent, &task.id).unwrap().status.state, A2aTaskState::Completed, "it has ended");
    streamed_workflow(api);
}

/// The task of the first update.
#[track_caller]
fn begins(updates: &mut A2aUpdates<'_>) -> String {
    match updates.next().unwrap().unwrap() {
        A2aUpdate::Task(task) => task.id,
        other => panic!("{other:?}"),
    }
}

/// The rest: what it has brought, and how it stands at the end.
fn ends(updates: A2aUpdates<'_>) -> (Vec<A2aUpdate>, Option<A2aTaskState>) {
    let updates: Vec<A2aUpdate> = updates.map(Result::unwrap).collect();
    let state = updates.iter().filter_map(|update| Some(update.status()?.state.clone())).next_back();
    (updates, state)
}

/// What comes of a message is told until the workflow waits for another one, or has ended: also where a connection does not
/// last as long.
fn streamed_workflow(api: &Api) {
    let api = &Api::beside(api);
    let config = Config::new(api.client.server_url()).unwrap().request_timeout(Duration::from_secs(4));
    let a2a = Client::new(config).unwrap().a2a();
    let mut node = WorkflowTask::simple("wait", "w1");
    node.task_type = Some("WAIT".to_owned());
    api.register(&["a"]);
    let mut def = WorkflowDef::new(api.name("two")).task(WorkflowTask::simple(api.name("t"), "a")).task(node);
    def.metadata = [("a2a.enabled".to_owned(), true.into())].into();
    api.client.metadata().update_workflow(&def).unwrap();
    let agent = A2aAgent::Workflow(&def.name);
    let mut updates = a2a.stream(agent, &A2aMessage::text("hello"), LONG).unwrap();
    let id = begins(&mut updates);
    pass(Duration::from_secs(5));
    api.end(TaskResultStatus::Completed);
    assert_eq!(ends(updates).1, Some(A2aTaskState::InputRequired));
    let mut updates = a2a.stream(agent, &A2aMessage::text("go on").task_id(&id), LONG).unwrap();
    let artifacts = match updates.next().unwrap().unwrap() {
        A2aUpdate::Task(task) => task.artifacts,
        other => panic!("{other:?}"),
    };
    let (rest, state) = ends(updates);
    let output = artifacts[0].parts[0].data.as_ref().unwrap().to_value().unwrap();
    assert_eq!((&output["_a2a_text"], rest.len(), state), (&json!("go on"), 1, Some(A2aTaskState::Completed)));
}

/// A message starts an agent, once for its id.
pub(crate) fn agent(api: &Api) {
    let (a2a, name) = (api.client.a2a(), deployed(api));
    let agent = A2aAgent::Agent(&name);
    let first = A2aMessage::text("hello").message_id("m1").context_id("s 1");
    let task = a2a.send(agent, &first).unwrap();
    assert_eq!(a2a.send(agent, &first).unwrap().id, task.id);
    assert_eq!(task.status.state, A2aTaskState::Working);
    api.end(TaskResultStatus::Completed);
    api.client.workflows().wait(&task.id, LONG).unwrap();
    assert_eq!(a2a.task(agent, &task.id).unwrap().status.state, A2aTaskState::Completed);
    let other = a2a.send(agent, &A2aMessage::text("hello")).unwrap();
    assert_eq!(a2a.cancel(agent, &other.id).unwrap().status.state, A2aTaskState::Canceled);
    assert_eq!(api.client.workflows().get(&other.id).unwrap().status, WorkflowStatus::Terminated);
    let mut updates = a2a.stream(agent, &A2aMessage::text("hello"), LONG).unwrap();
    let id = begins(&mut updates);
    api.client.workflows().terminate(&id, Some("enough")).unwrap();
    assert_eq!(ends(updates).1, Some(A2aTaskState::Canceled));
}

pub(crate) fn discover(api: &Api) {
    let (a2a, name) = (api.client.a2a(), waits(api));
    let card = a2a.card(A2aAgent::Workflow(&name)).unwrap();
    let place = url(api, &format!("workflow/{name}"));
    assert_eq!(a2a.discover(&place, &[("X-Any", "v")]).unwrap(), card);
    assert_eq!(a2a.discover(&format!("{place}/.well-known/agent-card.json"), &[]).unwrap(), card);
}

/// An AGENT task that waits to be called back by a workflow that is a task of type `t`.
fn waiting(api: &Api) -> (Task, Secret) {
    let remote = exposed(api, WorkflowTask::simple(api.name("t"), "a"));
    let mut node = WorkflowTask::simple("agent", "agent");
    node.task_type = Some("AGENT".to_owned());
    let place = url(api, &format!("workflow/{remote}"));
    let input = json!({"agentType": "a2a", "agentUrl": place, "text": "hello", "pushNotification": true});
    node.input_parameters = RawJson::from(input).decode().unwrap();
    let def = WorkflowDef::new(api.name("caller")).task(node);
    api.client.metadata().update_workflow(&def).unwrap();
    let id = api.client.workflows().start(&StartWorkflowRequest::new(&def.name)).unwrap();
    eventually("the agent is asked", || {
        let task = api.client.workflows().get(&id).unwrap().tasks.pop()?;
        assert!(!task.status.is_terminal(), "{task:?}");
        let token = task.output_data.to_value().unwrap()["pushToken"].as_str().map(Secret::new)?;
        Some((task, token))
    })
}

/// While the agent works nothing comes of it; when it has ended the task has too.
pub(crate) fn callback(api: &Api) {
    let (a2a, (task, token)) = (api.client.a2a(), waiting(api));
    a2a.callback(&task.task_id, &token).unwrap();
    assert_eq!(api.client.tasks().get(&task.task_id).unwrap().status, TaskStatus::InProgress);
    let done = api.end(TaskResultStatus::Completed);
    api.client.workflows().wait(&done.workflow_instance_id, LONG).unwrap();
    a2a.callback(&task.task_id, &token).unwrap();
    let caller = api.client.workflows().wait(&task.workflow_instance_id, LONG).unwrap();
    assert_eq!(caller.status, WorkflowStatus::Completed);
    assert_eq!(caller.tasks[0].output_data.to_value().unwrap()["state"], json!("completed"));
    a2a.callback(&task.task_id, &token).unwrap();
}

pub(crate) mod refused {
    use super::*;

    pub(crate) fn lists(api: &Api) {
        lost(api.elsewhere().a2a().workflows());
        lost(api.elsewhere().a2a().agents());
    }

    pub(crate) fn card(api: &Api) {
        for agent in [A2aAgent::Workflow("no such"), A2aAgent::Agent("no such")] {
            missing(api.client.a2a().card(agent));
            lost(api.elsewhere().a2a().card(agent));
        }
        missing(api.client.a2a().card(A2aAgent::Workflow(&api.register(&["a"]))));
    }

    /// The refusals of the protocol come with the status 200.
    #[track_caller]
    fn no_task(api: &Api, agent: A2aAgent<'_>) {
        let a2a = api.client.a2a();
        let error = fails(a2a.task(agent, "no such task"), ErrorKind::NotFound);
        assert!(error.to_string().starts_with("get task of agent "), "{error}");
        assert!(error.server_message().unwrap().contains("no such task"), "{error}");
        missing(a2a.cancel(agent, "no such task"));
        let message = A2aMessage::text("hello").task_id("no such task");
        missing(a2a.send(agent, &message));
        missing(a2a.stream(agent, &message, LONG));
    }

    pub(crate) fn workflow(api: &Api) {
        no_task(api, A2aAgent::Workflow(&waits(api)));
        let (a2a, hidden) = (api.client.a2a(), api.register(&["a"]));
        missing(a2a.send(A2aAgent::Workflow(&hidden), &A2aMessage::text("hello")));
        missing(a2a.stream(A2aAgent::Workflow(&hidden), &A2aMessage::text("hello"), LONG));
        lost(api.elsewhere().a2a().task(A2aAgent::Workflow("w"), "t"));
        lost(api.elsewhere().a2a().stream(A2aAgent::Workflow("w"), &A2aMessage::text("hello"), LONG));
    }

    pub(crate) fn agent(api: &Api) {
        no_task(api, A2aAgent::Agent(&deployed(api)));
        missing(api.client.a2a().send(A2aAgent::Agent("no such"), &A2aMessage::text("hello")));
        missing(api.client.a2a().stream(A2aAgent::Agent("no such"), &A2aMessage::text("hello"), LONG));
        lost(api.elsewhere().a2a().task(A2aAgent::Agent("a"), "t"));
        lost(api.elsewhere().a2a().stream(A2aAgent::Agent("a"), &A2aMessage::text("hello"), LONG));
    }

    pub(crate) fn discover(api: &Api) {
        let error = fails(api.client.a2a().discover(&url(api, "workflow/none"), &[]), ErrorKind::Server);
        assert!(error.server_message().unwrap().starts_with("HTTP 404 from A2A agent"), "{error}");
    }

    pub(crate) fn callback(api: &Api) {
        let (a2a, (task, _)) = (api.client.a2a(), waiting(api));
        fails(a2a.callback(&task.task_id, &Secret::new("not its own")), ErrorKind::Unauthorized);
        missing(a2a.callback("no such task", &Secret::new("t")));
        let agent = api.take();
        missing(a2a.callback(&agent.task_id, &Secret::new("t")));
        lost(api.elsewhere().a2a().callback("t", &Secret::new("t")));
    }
}
