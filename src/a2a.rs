//! Workflows and agents of a server as agents of the A2A protocol, which others talk to, and the calls under `/a2a`. A refusal
//! of the protocol comes with the status 200: it becomes an [`Error`] here as any other.

mod updates;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    error::{Error, ErrorKind, Result, excerpt},
    http::{Answer, Http, Method, Request},
    json::{JsonMap, RawJson, wire, wire_enum},
    secret::Secret,
};

pub use updates::{A2aArtifactUpdate, A2aStatusUpdate, A2aUpdate, A2aUpdates};

/// An agent that a server exposes by the A2A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum A2aAgent<'a> {
    /// The latest version of the workflow of this name, whose definition has `"a2a.enabled": true` in its `metadata`, or which
    /// the server's settings expose.
    Workflow(&'a str),
    /// The deployed agent of this name. All are exposed.
    Agent(&'a str),
}

impl<'a> A2aAgent<'a> {
    /// The name of the workflow or the agent.
    pub fn name(self) -> &'a str {
        match self {
            Self::Workflow(name) | Self::Agent(name) => name,
        }
    }
}

wire! {
    /// What a list tells of an exposed agent.
    pub struct A2aAgentSummary {
        /// Its name.
        pub name: String = "name",
        /// Where it is talked to.
        pub url: String = "url",
        /// The address of its card.
        pub agent_card: String = "agentCard",
    }
}

wire! {
    /// What an agent tells of itself to those who may want to talk to it.
    pub struct A2aAgentCard {
        /// Its name.
        pub name: String = "name",
        /// What it is for.
        pub description: Option<String> = "description",
        /// Where it is talked to.
        pub url: Option<String> = "url",
        /// Its version, any text.
        pub version: Option<String> = "version",
        /// The version of the protocol, as `0.3.0`.
        pub protocol_version: Option<String> = "protocolVersion",
        /// How it is talked to, as `JSONRPC`.
        pub preferred_transport: Option<String> = "preferredTransport",
        /// Where more is written of it.
        pub documentation_url: Option<String> = "documentationUrl",
        /// The address of a picture.
        pub icon_url: Option<String> = "iconUrl",
        /// Who offers it: an object with `organization` and `url`.
        pub provider: JsonMap = "provider",
        /// What of the protocol it can do: an object with `streaming`, `pushNotifications` and others.
        pub capabilities: JsonMap = "capabilities",
        /// What it can do.
        pub skills: Vec<A2aSkill> = "skills",
        /// The types of content that it takes.
        pub default_input_modes: Vec<String> = "defaultInputModes",
        /// The types of content that it answers with.
        pub default_output_modes: Vec<String> = "defaultOutputModes",
        /// Where and how it is talked to, the best way first: objects of the protocol 1.0.
        pub supported_interfaces: Vec<JsonMap> = "supportedInterfaces",
        /// Where and how it is talked to besides: objects of the protocol 0.3.
        pub additional_interfaces: Vec<JsonMap> = "additionalInterfaces",
        /// How callers prove who they are, by name.
        pub security_schemes: JsonMap = "securitySchemes",
        /// Which of these it wants, as the protocol 1.0 writes it.
        pub security_requirements: Vec<JsonMap> = "securityRequirements",
        /// Which of these it wants, as the protocol 0.3 writes it.
        pub security: Vec<JsonMap> = "security",
        /// Signatures of the card.
        pub signatures: Vec<JsonMap> = "signatures",
    }
}

wire! {
    /// Something that an agent can do, in its card.
    pub struct A2aSkill {
        /// Its id.
        pub id: String = "id",
        /// Its name.
        pub name: String = "name",
        /// What it is for.
        pub description: Option<String> = "description",
        /// Words to find it by: of a workflow, those of `a2a.tags` in the `metadata` of its definition.
        pub tags: Vec<String> = "tags",
        /// What it may be asked.
        pub examples: Vec<String> = "examples",
        /// The types of content that it takes.
        pub input_modes: Vec<String> = "inputModes",
        /// The types of content that it answers with.
        pub output_modes: Vec<String> = "outputModes",
    }
}

wire! {
    /// A part of an [`A2aMessage`] or of an [`A2aArtifact`].
    pub struct A2aPart {
        /// Which of the fields counts: `text`, `data` or `file`.
        pub kind: Option<String> = "kind",
        /// Text.
        pub text: Option<String> = "text",
        /// JSON.
        pub data: Option<RawJson> = "data",
        /// A file: an object.
        pub file: Option<RawJson> = "file",
        /// What else is to be said of it.
        pub metadata: JsonMap = "metadata",
    }
}

impl A2aPart {
    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { kind: Some("text".to_owned()), text: Some(text.into()), ..Self::default() }
    }

    /// JSON. The fields of an object become inputs of a workflow.
    pub fn data(data: impl Into<RawJson>) -> Self {
        Self { kind: Some("data".to_owned()), data: Some(data.into()), ..Self::default() }
    }
}

wire! {
    /// Something that is said to an agent or by it.
    ///
    /// ```
    /// use conductor_sync::{A2aMessage, A2aPart};
    /// let part = A2aPart::data(serde_json::json!({"order": 4711}));
    /// let message = A2aMessage::text("Where is it?").part(part).message_id("m1");
    /// assert_eq!((message.role.as_str(), message.parts.len()), ("user", 2));
    /// ```
    pub struct A2aMessage {
        /// Who says it: `user` or `agent`.
        pub role: String = "role",
        /// What is said.
        pub parts: Vec<A2aPart> = "parts",
        /// Its id, which the sender chooses.
        pub message_id: Option<String> = "messageId",
        /// The task that it is about.
        pub task_id: Option<String> = "taskId",
        /// The conversation.
        pub context_id: Option<String> = "contextId",
        /// Always `message`.
        pub kind: Option<String> = "kind",
        /// What else is to be said of it.
        pub metadata: JsonMap = "metadata",
    }
}

impl A2aMessage {
    /// Says this part to an agent.
    pub fn new(part: A2aPart) -> Self {
        let (role, kind) = ("user".to_owned(), Some("message".to_owned()));
        Self { role, kind, parts: vec![part], ..Self::default() }
    }

    /// Says this text to an agent.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(A2aPart::text(text))
    }

    /// Adds a part.
    #[must_use]
    pub fn part(mut self, part: A2aPart) -> Self {
        self.parts.push(part);
        self
    }

    /// Sets its id: of several messages with the same one to an agent, only the first starts something. To a workflow, each
    /// does (3.32.1).
    #[must_use]
    pub fn message_id(mut self, id: impl Into<String>) -> Self {
        self.message_id = Some(id.into());
        self
    }

    /// Makes it the answer that a task waits for. Without, it starts something new.
    #[must_use]
    pub fn task_id(mut self, id: impl Into<String>) -> Self {
        self.task_id = Some(id.into());
        self
    }

    /// Sets the conversation: the correlation id of a workflow, the session of an agent.
    #[must_use]
    pub fn context_id(mut self, id: impl Into<String>) -> Self {
        self.context_id = Some(id.into());
        self
    }
}

wire_enum! {
    /// How far an [`A2aTask`] is.
    pub enum A2aTaskState {
        /// It has been taken.
        Submitted = "submitted",
        /// It is worked at.
        Working = "working",
        /// It waits for a message: of a workflow, a WAIT or HUMAN task does.
        InputRequired = "input-required",
        /// It waits for a proof of who asks.
        AuthRequired = "auth-required",
        /// It has completed.
        Completed = "completed",
        /// It has been cancelled: a workflow was terminated.
        Canceled = "canceled",
        /// It has failed.
        Failed = "failed",
        /// The agent did not take it.
        Rejected = "rejected",
        /// The agent does not know.
        Unknown = "unknown",
    }
}

impl A2aTaskState {
    /// Whether nothing more comes.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed | Self::Canceled | Self::Failed | Self::Rejected)
    }
}

wire! {
    /// The status of an [`A2aTask`].
    pub struct A2aTaskStatus {
        /// How far it is.
        pub state: A2aTaskState = "state",
        /// What the agent says about it, as why it has failed.
        pub message: Option<A2aMessage> = "message",
        /// When that was, as RFC 3339 writes times. 3.32.1 does not tell.
        pub timestamp: Option<String> = "timestamp",
    }
}

wire! {
    /// Something that an agent has made.
    pub struct A2aArtifact {
        /// Its id among those of its task.
        pub artifact_id: String = "artifactId",
        /// Its name.
        pub name: Option<String> = "name",
        /// What it is.
        pub description: Option<String> = "description",
        /// What it consists of.
        pub parts: Vec<A2aPart> = "parts",
        /// What else is to be said of it.
        pub metadata: JsonMap = "metadata",
    }
}

wire! {
    /// What an agent does upon a message: here, an execution of a workflow.
    pub struct A2aTask {
        /// Its id, which is that of the workflow.
        pub id: String = "id",
        /// The conversation.
        pub context_id: Option<String> = "contextId",
        /// Its status.
        pub status: A2aTaskStatus = "status",
        /// What was said. 3.32.1 does not tell.
        pub history: Vec<A2aMessage> = "history",
        /// What came of it: of a workflow that has completed, its output as `data`.
        pub artifacts: Vec<A2aArtifact> = "artifacts",
        /// What else is to be said of it.
        pub metadata: JsonMap = "metadata",
        /// Always `task`.
        pub kind: Option<String> = "kind",
    }
}

/// The calls under `/a2a`. From [`Client::a2a`](crate::Client::a2a). The embedded server does not serve them.
///
/// A server has them with `conductor.integrations.ai.enabled=true` (its default) and, but for [`A2aClient::discover`] and
/// [`A2aClient::callback`], with `conductor.a2a.server.enabled=true`; for agents, `agentspan.embedded=true` too. Otherwise they
/// fail with [`ErrorKind::WrongAddress`] and a message that says so.
///
/// Of the methods of the protocol, the server has these and no others: `tasks/resubscribe` and those about push notifications
/// are unknown to it (3.32.1).
///
/// ```no_run
/// use conductor_sync::{A2aAgent, A2aMessage};
/// let a2a = conductor_sync::Client::from_env()?.a2a();
/// let agent = A2aAgent::Workflow("order");
/// let task = a2a.send(agent, &A2aMessage::text("two pizzas").message_id("m1"))?;
/// println!("{}", a2a.task(agent, &task.id)?.status.state);
/// # Ok::<(), conductor_sync::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct A2aClient {
    http: Arc<Http>,
}

impl A2aClient {
    pub(crate) fn new(http: Arc<Http>) -> Self {
        Self { http }
    }

    /// The workflows that are exposed: `GET /a2a/workflow`.
    ///
    /// # Errors
    /// When the server can't be reached, has its A2A server off or refuses.
    pub fn workflows(&self) -> Result<Vec<A2aAgentSummary>> {
        let request = Request::new(Method::Get, "/a2a/workflow", &[], ("list workflows of A2A", ""))?;
        self.http.send_safe(&request)?.json()
    }

    /// The agents that are exposed: `GET /a2a/agent`.
    ///
    /// # Errors
    /// As [`A2aClient::workflows`].
    pub fn agents(&self) -> Result<Vec<A2aAgentSummary>> {
        self.http.send_safe(&Request::new(Method::Get, "/a2a/agent", &[], ("list agents of A2A", ""))?)?.json()
    }

    /// The card of an exposed agent: `GET /a2a/workflow/{name}/.well-known/agent-card.json`,
    /// `GET /a2a/agent/{name}/.well-known/agent-card.json`. Where there is none the server is asked for the list too, since its
    /// answer could come from any server.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is none or it is not exposed; otherwise when the server can't be reached, has its A2A
    /// server off or refuses.
    pub fn card(&self, agent: A2aAgent<'_>) -> Result<A2aAgentCard> {
        let route = match agent {
            A2aAgent::Workflow(_) => "/a2a/workflow/{name}/.well-known/agent-card.json",
            A2aAgent::Agent(_) => "/a2a/agent/{name}/.well-known/agent-card.json",
        };
        let request = Request::new(Method::Get, route, &[agent.name()], ("get card of agent", agent.name()))?;
        let is_api = || match agent {
            A2aAgent::Workflow(_) => self.workflows().is_ok(),
            A2aAgent::Agent(_) => self.agents().is_ok(),
        };
        found(self.http.send_safe(&request), "there is no such agent, or it is not exposed", is_api)?.json()
    }

    /// Says something to an exposed agent, `message/send` of the protocol: `POST /a2a/workflow/{name}`,
    /// `POST /a2a/agent/{name}`. A message with a [`A2aMessage::task_id`] completes the WAIT or HUMAN task that the execution
    /// waits for; any other starts an execution: of an agent, once for each [`A2aMessage::message_id`]; of a workflow, a second
    /// one when a lost answer makes you send it again. The answer does not wait for it.
    ///
    /// A workflow gets the fields of all `data` that are objects as its input, and `_a2a_text`, `_a2a_message_id` and
    /// `_a2a_context_id`; an agent gets the text alone. A completed WAIT or HUMAN task has the same as its output.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no such agent or task, or the agent is not exposed; otherwise when the message has
    /// no parts, or the server can't be reached, has its A2A server off or refuses.
    pub fn send(&self, agent: A2aAgent<'_>, message: &A2aMessage) -> Result<A2aTask> {
        outcome(&self.http.send(&spoken(agent, "send message to agent", "message/send", message)?)?)
    }

    /// What an agent does, `tasks/get` of the protocol: `POST /a2a/workflow/{name}`, `POST /a2a/agent/{name}`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no such agent or task, or the agent is not exposed; otherwise when `task_id` is
    /// empty, or the server can't be reached, has its A2A server off or refuses.
    pub fn task(&self, agent: A2aAgent<'_>, task_id: &str) -> Result<A2aTask> {
        outcome(&self.http.send_safe(&task_call(agent, task_id)?)?)
    }

    /// Terminates what an agent does, `tasks/cancel` of the protocol: `POST /a2a/workflow/{name}`, `POST /a2a/agent/{name}`.
    /// What has ended stays as it is and is no error.
    ///
    /// # Errors
    /// As [`A2aClient::task`].
    pub fn cancel(&self, agent: A2aAgent<'_>, task_id: &str) -> Result<A2aTask> {
        outcome(&self.http.send_safe(&call_about(agent, "cancel task of agent", "tasks/cancel", task_id)?)?)
    }

    /// The card of an agent anywhere, which the server fetches: `POST /a2a/agent-card`. `agent_url` is where the agent is, or
    /// the address of its card. The headers, each with its value, go to the agent.
    ///
    /// # Errors
    /// When `agent_url` is no address of HTTP, a header has no name, the server can't fetch the card (it answers 500), can't be
    /// reached, has its AI integrations off or refuses.
    pub fn discover(&self, agent_url: &str, headers: &[(&str, &str)]) -> Result<A2aAgentCard> {
        let about = ("discover agent", agent_url);
        if !["http://", "https://"].iter().any(|begin| agent_url.starts_with(begin)) {
            return Err(Error::invalid(about.0, "agent_url must begin with http:// or https://"));
        }
        if headers.iter().any(|(name, _)| name.is_empty()) {
            return Err(Error::invalid(about.0, "headers must not hold an empty name"));
        }
        let headers: BTreeMap<_, _> = headers.iter().copied().collect();
        let body = serde_json::json!({ "agentUrl": agent_url, "headers": headers });
        let request = Request::new(Method::Post, "/a2a/agent-card", &[], about)?.json(&body)?;
        self.http.send_safe(&request)?.json::<Discovered>().map(|discovered| discovered.agent_card)
    }

    /// Tells an `AGENT` task that the agent it talks to has news, which the server then asks that agent for:
    /// `POST /a2a/callback/{taskId}`. This is how agents call back where the task has `pushNotification` and the server
    /// `conductor.a2a.callback.url`. The token is `pushToken` in the output of the task, which lasts 24 hours. A task that has
    /// ended is no error. Without such a task the server is asked for the task too, since its answer could come from any
    /// server.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no such `AGENT` task; [`ErrorKind::Unauthorized`] when the token is not its own or
    /// has expired; otherwise when the token is empty or no header can hold it, the agent does not answer (the server says 502),
    /// or the server can't be reached, has its AI integrations off or refuses.
    pub fn callback(&self, task_id: &str, token: &Secret) -> Result<()> {
        let about = ("call back task", task_id);
        if token.reveal().trim().is_empty() {
            return Err(Error::invalid(about.0, "token must not be empty"));
        }
        let request = Request::new(Method::Post, "/a2a/callback/{taskId}", &[task_id], about)?
            .header("X-Conductor-A2A-Token", token.reveal())?;
        let task = Request::new(Method::Get, "/tasks/{taskId}", &[task_id], about)?;
        let is_api = || match self.http.send_safe(&task) {
            Ok(answer) => answer.done().is_ok(),
            Err(error) => error.is_not_found(),
        };
        found(self.http.send_safe(&request), "there is no such AGENT task", is_api)?.done()
    }
}

/// How the server answers with the card of another agent.
#[derive(Deserialize)]
struct Discovered {
    #[serde(rename = "agentCard")]
    agent_card: A2aAgentCard,
}

/// An answer of JSON-RPC: one of the two.
#[derive(Deserialize)]
struct RpcAnswer<T> {
    result: Option<T>,
    error: Option<RpcError>,
}

impl<T> RpcAnswer<T> {
    /// The result, or the refusal as an error.
    fn result(self, operation: String, status: u16) -> Result<T> {
        let (kind, message, said) = match self {
            Self { error: Some(RpcError { code, message }), .. } => {
                let kind = match code {
                    -32001 => ErrorKind::NotFound,
                    -32603 => ErrorKind::Server,
                    _ => ErrorKind::Rejected,
                };
                (kind, format!("server said {code}: {}", excerpt(&message)), Some(message))
            }
            Self { result: Some(result), .. } => return Ok(result),
            _ => (ErrorKind::Decode, "the answer holds neither a result nor an error".to_owned(), None),
        };
        Err(Error::new(kind, operation, message).with_status(status).with_server_message(said, false))
    }
}

#[derive(Deserialize)]
struct RpcError {
    code: i64,
    message: String,
}

/// A call of JSON-RPC, the only one of its request: the id says nothing.
fn call<'a>(agent: A2aAgent<'a>, verb: &'static str, method: &str, params: &serde_json::Value) -> Result<Request<'a>> {
    let route = match agent {
        A2aAgent::Workflow(_) => "/a2a/workflow/{name}",
        A2aAgent::Agent(_) => "/a2a/agent/{name}",
    };
    let body = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    Request::new(Method::Post, route, &[agent.name()], (verb, agent.name()))?.json(&body)
}

fn call_about<'a>(agent: A2aAgent<'a>, verb: &'static str, method: &str, task_id: &str) -> Result<Request<'a>> {
    if task_id.is_empty() {
        return Err(Error::invalid(verb, "task_id must not be empty"));
    }
    call(agent, verb, method, &serde_json::json!({ "id": task_id }))
}

/// Something that is said to an agent.
fn spoken<'a>(agent: A2aAgent<'a>, verb: &'static str, method: &str, message: &A2aMessage) -> Result<Request<'a>> {
    if message.parts.is_empty() {
        return Err(Error::invalid(verb, "parts must not be empty"));
    }
    call(agent, verb, method, &serde_json::json!({ "message": message }))
}

fn task_call<'a>(agent: A2aAgent<'a>, task_id: &str) -> Result<Request<'a>> {
    call_about(agent, "get task of agent", "tasks/get", task_id)
}

fn outcome<T: DeserializeOwned>(answer: &Answer<'_>) -> Result<T> {
    answer.json::<RpcAnswer<T>>()?.result(answer.operation(), answer.status)
}

/// The server answers 404 without a word for what does not exist (3.32.1); so does any server for a wrong address.
fn found<T>(outcome: Result<T>, none: &str, is_api: impl FnOnce() -> bool) -> Result<T> {
    outcome.map_err(|error| match (error.status(), error.server_message()) {
        (Some(404), None) if is_api() => Error::new(ErrorKind::NotFound, error.operation(), none).with_status(404),
        _ => error,
    })
}
