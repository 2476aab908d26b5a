//! Agents: workflows that a server makes of the description of an agent, and the calls under `/agent`, which it has where its
//! AI integrations are switched on. What is done about their executions is in [`execution`], what they tell meanwhile in
//! [`events`], and executions outside the server in [`tracking`].

mod bulk;
mod events;
mod execution;
mod tracking;

use std::{sync::Arc, time::Duration};

use serde::de::DeserializeOwned;

use crate::{
    error::{Error, Result, excerpt},
    http::{Http, Method, Request},
    json::{JsonMap, RawJson, times, wire},
    metadata::WorkflowDef,
};

pub use events::{AgentEvent, AgentEventKind, AgentEvents};
pub use execution::{
    AgentExecution, AgentExecutionSummary, AgentRun, AgentSearch, AgentStatus, AgentTask, AgentTaskDetail, TokenUsage,
};
pub use tracking::{InjectTaskRequest, TrackingRequest, TrackingSubWorkflow};

wire! {
    /// Which agent, and with what: for [`AgentClient::start`], [`AgentClient::deploy`] and [`AgentClient::compile`].
    ///
    /// An agent is either one that is deployed, by its name, or described here.
    ///
    /// ```
    /// use conductor_sync::AgentStartRequest;
    /// let config = serde_json::json!({"name": "helper", "model": "openai/gpt-4o", "instructions": "Be brief."});
    /// let described = AgentStartRequest::configured(config).prompt("How are you?");
    /// let deployed = AgentStartRequest::named("helper").prompt("How are you?").session_id("s1");
    /// assert_eq!(described.prompt, deployed.prompt);
    /// ```
    pub struct AgentStartRequest {
        /// The name of a deployed agent.
        pub name: Option<String> = "name",
        /// Its version; the latest when missing.
        pub version: Option<i32> = "version",
        /// The description of an agent: an object with `name`, `model` as `provider/model`, `instructions`, `tools` and others.
        pub agent_config: Option<RawJson> = "agentConfig",
        /// What the agent is asked.
        pub prompt: Option<String> = "prompt",
        /// Another model for this execution of a deployed agent.
        pub model: Option<String> = "model",
        /// What the conversation is called.
        pub session_id: Option<String> = "sessionId",
        /// Addresses of pictures and the like.
        pub media: Vec<String> = "media",
        /// What the agent may know besides, an object.
        pub context: Option<RawJson> = "context",
        /// A second start with it gives the execution of the first one, if that has not failed.
        pub idempotency_key: Option<String> = "idempotencyKey",
        /// The framework that `raw_config` is of, as `openai`, `langgraph` or `skill`.
        pub framework: Option<String> = "framework",
        /// The description of an agent in the form of that framework, an object.
        pub raw_config: Option<RawJson> = "rawConfig",
        /// A registered skill to make an agent of, an object with `name` and `version`.
        pub skill_ref: Option<RawJson> = "skillRef",
        /// How long the execution may take, seconds.
        pub timeout_seconds: Option<i32> = "timeoutSeconds",
        /// The domain of the tasks of this execution that workers do.
        pub run_id: Option<String> = "runId",
        /// The plan that an agent of the strategy `plan_execute` follows in place of its own, an object.
        pub static_plan: Option<RawJson> = "static_plan",
    }
}

impl AgentStartRequest {
    /// The deployed agent of this name.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::default() }
    }

    /// The agent that is described, by an object with `name`, `model` as `provider/model`, `instructions`, `tools` and others.
    pub fn configured(agent_config: impl Into<RawJson>) -> Self {
        Self { agent_config: Some(agent_config.into()), ..Self::default() }
    }

    /// The agent that is described in the form of a framework.
    pub fn of_framework(framework: impl Into<String>, raw_config: impl Into<RawJson>) -> Self {
        Self { framework: Some(framework.into()), raw_config: Some(raw_config.into()), ..Self::default() }
    }

    /// An agent made of a registered skill, with this model.
    pub fn of_skill(name: &str, version: &str, model: &str) -> Self {
        let skill = serde_json::json!({"name": name, "version": version, "model": model});
        Self { framework: Some("skill".to_owned()), skill_ref: Some(skill.into()), ..Self::default() }
    }

    /// Sets the version of a deployed agent. Defaults to the latest.
    #[must_use]
    pub fn version(mut self, version: u16) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Sets what the agent is asked.
    #[must_use]
    pub fn prompt(mut self, prompt: impl Into<String>) -> Self {
        self.prompt = Some(prompt.into());
        self
    }

    /// Sets another model for this execution of a deployed agent.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// Sets what the conversation is called.
    #[must_use]
    pub fn session_id(mut self, id: impl Into<String>) -> Self {
        self.session_id = Some(id.into());
        self
    }

    /// Adds the address of a picture or the like.
    #[must_use]
    pub fn media(mut self, address: impl Into<String>) -> Self {
        self.media.push(address.into());
        self
    }

    /// Sets what the agent may know besides, an object.
    #[must_use]
    pub fn context(mut self, context: impl Into<RawJson>) -> Self {
        self.context = Some(context.into());
        self
    }

    /// Makes a second start give the execution of the first one, if that has not failed.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// Sets how long the execution may take, in whole seconds. Defaults to what the agent says.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout_seconds = Some(i32::try_from(limit.as_secs()).unwrap_or(i32::MAX));
        self
    }

    /// Sets the domain of the tasks of this execution that workers do.
    #[must_use]
    pub fn run_id(mut self, id: impl Into<String>) -> Self {
        self.run_id = Some(id.into());
        self
    }

    /// Sets the plan that an agent of the strategy `plan_execute` follows in place of its own, an object.
    #[must_use]
    pub fn static_plan(mut self, plan: impl Into<RawJson>) -> Self {
        self.static_plan = Some(plan.into());
        self
    }

    /// What is wrong with the description of the agent, if anything.
    fn problem(&self) -> Option<String> {
        let objects = [
            ("agent_config", &self.agent_config),
            ("context", &self.context),
            ("raw_config", &self.raw_config),
            ("skill_ref", &self.skill_ref),
            ("static_plan", &self.static_plan),
        ];
        objects.iter().find_map(|(name, value)| not_an_object(name, value.as_ref()))
    }

    fn is_described(&self) -> bool {
        self.agent_config.is_some() || self.framework.as_deref().is_some_and(|framework| !framework.is_empty())
    }
}

/// What is wrong with `value`, if it is there and no object.
fn not_an_object(name: &str, value: Option<&RawJson>) -> Option<String> {
    let value = value.filter(|value| !value.is_object())?;
    Some(format!("{name} must be a JSON object (given: `{}`)", excerpt(value.get())))
}

wire! {
    /// A started or deployed agent.
    pub struct StartedAgent {
        /// The id of the execution, where one was started.
        pub execution_id: Option<String> = "executionId",
        /// The name of the agent.
        pub agent_name: String = "agentName",
        /// The types of the tasks that workers have to do.
        pub required_workers: Vec<String> = "requiredWorkers",
    }
}

wire! {
    /// What the description of an agent becomes.
    pub struct CompiledAgent {
        /// The workflow.
        pub workflow_def: WorkflowDef = "workflowDef",
        /// The types of the tasks that workers have to do.
        pub required_workers: Vec<String> = "requiredWorkers",
    }
}

wire! {
    /// What a plan becomes: for [`AgentClient::inspect_plan`].
    pub struct InspectedPlan {
        /// The workflow, where the plan can be followed.
        pub workflow_def: Option<WorkflowDef> = "workflowDef",
        /// Why it can't be followed.
        pub error: Option<String> = "error",
        /// What may be wrong with it.
        pub warnings: Vec<String> = "warnings",
        /// Figures, as `taskCount`.
        pub stats: JsonMap = "stats",
    }
}

wire! {
    /// What a list tells of an agent. Times are milliseconds since 1970.
    pub struct AgentSummary {
        /// Its name.
        pub name: String = "name",
        /// Its version.
        pub version: i32 = "version",
        /// The framework it was described in; `conductor` for none.
        pub agent_type: Option<String> = "type",
        /// What it can do, as `tool-calling`.
        pub tags: Vec<String> = "tags",
        /// When it was deployed first.
        pub create_time: Option<i64> = "createTime",
        /// When it was changed.
        pub update_time: Option<i64> = "updateTime",
        /// What it is for.
        pub description: Option<String> = "description",
        /// The SHA-256 of its workflow, as hexadecimal digits.
        pub checksum: Option<String> = "checksum",
        /// Whose it is.
        pub owner_email: Option<String> = "ownerEmail",
        /// The names of its inputs.
        pub input_parameters: Vec<String> = "inputParameters",
        /// Its outputs.
        pub output_parameters: JsonMap = "outputParameters",
        /// How long an execution may take, seconds.
        pub timeout_seconds: Option<i64> = "timeoutSeconds",
    }
}

times! {
    AgentSummary {
        /// When it was deployed first.
        created_at = create_time;
        /// When it was changed.
        updated_at = update_time;
    }
}

/// The calls under `/agent`. From [`Client::agents`](crate::Client::agents). The embedded server does not serve them, nor does a
/// server with `conductor.integrations.ai.enabled=false`.
///
/// An agent is a workflow that the server makes, and an execution of it has the id of a workflow, so that the calls of
/// [`WorkflowClient`](crate::WorkflowClient) do for it too.
///
/// ```no_run
/// use std::time::Duration;
/// use conductor_sync::{AgentEventKind, AgentStartRequest};
/// let agents = conductor_sync::Client::from_env()?.agents();
/// let started = agents.start(&AgentStartRequest::named("helper").prompt("How are you?"))?;
/// for event in agents.events(&started.execution_id.unwrap_or_default())?.within(Duration::from_secs(60)) {
///     let event = event?;
///     if event.kind == AgentEventKind::Done {
///         println!("{:?}", event.output);
///     }
/// }
/// # Ok::<(), conductor_sync::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AgentClient {
    http: Arc<Http>,
}

impl AgentClient {
    pub(crate) fn new(http: Arc<Http>) -> Self {
        Self { http }
    }

    /// What the description of an agent becomes, which the server keeps nothing of: `POST /agent/compile`.
    ///
    /// # Errors
    /// When no agent is described, the description is not as the server wants it, or the server can't be reached, has its AI
    /// integrations off or refuses.
    pub fn compile(&self, request: &AgentStartRequest) -> Result<CompiledAgent> {
        self.described("/agent/compile", "compile agent", request)
    }

    /// Makes an agent known, which can then be started by its name: `POST /agent/deploy`. One of that name is replaced.
    ///
    /// # Errors
    /// As [`AgentClient::compile`].
    pub fn deploy(&self, request: &AgentStartRequest) -> Result<StartedAgent> {
        self.described("/agent/deploy", "deploy agent", request)
    }

    fn described<T: DeserializeOwned>(
        &self,
        route: &'static str,
        verb: &'static str,
        request: &AgentStartRequest,
    ) -> Result<T> {
        if !request.is_described() {
            return Err(Error::invalid(verb, "agent_config or framework must be given"));
        }
        self.send_agent(route, (verb, ""), request)
    }

    fn send_agent<T: DeserializeOwned>(
        &self,
        route: &'static str,
        about: (&'static str, &str),
        request: &AgentStartRequest,
    ) -> Result<T> {
        if let Some(problem) = request.problem() {
            return Err(Error::invalid(about.0, problem));
        }
        self.http.send(&Request::new(Method::Post, route, &[], about)?.json(request)?)?.json()
    }

    /// Starts an agent: `POST /agent/start`. One that is described is deployed by this too.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no agent of that name; otherwise when there is neither a prompt nor media nor
    /// context, an agent is both named and described or neither, the description is not as the server wants it, or the server
    /// can't be reached, has its AI integrations off or refuses.
    pub fn start(&self, request: &AgentStartRequest) -> Result<StartedAgent> {
        let name = request.name.as_deref().unwrap_or_default();
        let invalid = |problem| Err(Error::invalid("start agent", problem));
        let is_described = request.is_described() || request.raw_config.is_some() || request.skill_ref.is_some();
        match (name.trim().is_empty(), is_described) {
            (true, false) => return invalid("name, agent_config or framework must be given"),
            (false, true) => return invalid("name and agent_config or framework must not both be given"),
            (true, true) if request.version.is_some() => return invalid("version is given, but no name"),
            _ => {}
        }
        let is_blank = |text: &str| text.trim().is_empty();
        let has_prompt = request.prompt.as_deref().is_some_and(|prompt| !is_blank(prompt));
        if !has_prompt && request.media.iter().all(|media| is_blank(media)) && request.context.is_none() {
            return invalid("prompt must not be empty where there are no media and no context");
        }
        self.send_agent("/agent/start", ("start agent", name), request)
    }

    /// What a plan becomes for an agent of the strategy `plan_execute`, which the server keeps nothing of:
    /// `POST /agent/inspect-plan`. `plan` is an object with `steps`.
    ///
    /// # Errors
    /// When an argument is no object, the agent has another strategy, or the server can't be reached, has its AI integrations
    /// off or refuses. A plan that can't be followed is no error here: see [`InspectedPlan::error`].
    pub fn inspect_plan(&self, agent_config: &RawJson, plan: &RawJson) -> Result<InspectedPlan> {
        const VERB: &str = "inspect plan";
        for (name, value) in [("agent_config", agent_config), ("plan", plan)] {
            if let Some(problem) = not_an_object(name, Some(value)) {
                return Err(Error::invalid(VERB, problem));
            }
        }
        let body = std::collections::BTreeMap::from([("agentConfig", agent_config), ("plan", plan)]);
        self.http.send(&Request::new(Method::Post, "/agent/inspect-plan", &[], (VERB, ""))?.json(&body)?)?.json()
    }

    /// The latest version of each deployed agent: `GET /agent/list`.
    ///
    /// # Errors
    /// When the server can't be reached, has its AI integrations off or refuses.
    pub fn list(&self) -> Result<Vec<AgentSummary>> {
        self.http.send_safe(&Request::new(Method::Get, "/agent/list", &[], ("list agents", ""))?)?.json()
    }

    /// The description of a deployed agent, of its latest version unless one is given: `GET /agent/{name}`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is none; otherwise when the server can't be reached, has its AI integrations off or
    /// refuses.
    pub fn get(&self, name: &str, version: Option<u16>) -> Result<RawJson> {
        self.http.send_safe(&named(Method::Get, "/agent/{name}", ("get agent", name), version)?)?.json()
    }

    /// The workflow of a deployed agent, of its latest version unless one is given: `GET /agent/definitions/{name}`. Other
    /// workflows are found too.
    ///
    /// # Errors
    /// As [`AgentClient::get`].
    pub fn definition(&self, name: &str, version: Option<u16>) -> Result<WorkflowDef> {
        let about = ("get workflow of agent", name);
        self.http.send_safe(&named(Method::Get, "/agent/definitions/{name}", about, version)?)?.json()
    }

    /// Deletes a deployed agent, its latest version unless one is given: `DELETE /agent/{name}`. The server does not check that
    /// it is an agent: any workflow definition of that name is deleted (3.32.1).
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is none (for a version the server answers 500); otherwise when the server can't be
    /// reached, has its AI integrations off or refuses.
    pub fn delete(&self, name: &str, version: Option<u16>) -> Result<()> {
        let request = named(Method::Delete, "/agent/{name}", ("delete agent", name), version)?;
        let outcome = self.http.send(&request).map_err(|error| match error.server_message() {
            Some(message) if message.starts_with("No such workflow definition: ") => error.into_not_found(),
            _ => error,
        });
        outcome?.done()
    }

    /// Sends a request about one execution, from whose answer nothing is to be read.
    fn steer(&self, method: Method, route: &'static str, about: (&'static str, &str)) -> Result<()> {
        self.http.send(&Request::new(method, route, &[about.1], about)?)?.done()
    }

    /// Reads something about one execution.
    fn read<T: DeserializeOwned>(&self, route: &'static str, about: (&'static str, &str)) -> Result<T> {
        self.http.send_safe(&Request::new(Method::Get, route, &[about.1], about)?)?.json()
    }
}

/// Words that the server takes for other routes in the place of an agent's name (3.32.1).
const HIDDEN_NAMES: &[&str] = &["list", "executions"];

/// A request about one agent.
fn named<'a>(
    method: Method,
    route: &'static str,
    about: (&'static str, &'a str),
    version: Option<u16>,
) -> Result<Request<'a>> {
    if HIDDEN_NAMES.contains(&about.1) {
        return Err(Error::invalid(
            about.0,
            format!("name is `{}`, which the server takes for another route", about.1),
        ));
    }
    let version = version.map(|version| version.to_string());
    Ok(Request::new(method, route, &[about.1], about)?.query_some("version", version.as_deref()))
}
