//! Event handlers: what the server does when an event comes, and the calls under `/event`.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    error::{Error, Result, excerpt},
    http::{Http, Method, Request, problem_with_name},
    json::{JsonMap, RawJson, document::document, wire, wire_enum},
};

wire_enum! {
    /// What an event handler does.
    pub enum EventActionKind {
        /// Starts a workflow.
        StartWorkflow = "start_workflow",
        /// Completes a task.
        CompleteTask = "complete_task",
        /// Fails a task.
        FailTask = "fail_task",
        /// Terminates a workflow.
        TerminateWorkflow = "terminate_workflow",
        /// Changes variables of a workflow.
        UpdateWorkflowVariables = "update_workflow_variables",
        /// Starts an agent, where the server has its AI integrations on.
        StartAgent = "start_agent",
    }
}

wire! {
    /// For [`EventAction::start_workflow`]: what to start. Text may hold `${…}` references into the event.
    pub struct StartWorkflowAction {
        /// The name of the workflow.
        pub name: String = "name",
        /// Its version; the latest when missing.
        pub version: Option<i32> = "version",
        /// An id of the caller's own.
        pub correlation_id: Option<String> = "correlationId",
        /// The input.
        pub input: JsonMap = "input",
        /// Domains for its tasks.
        pub task_to_domain: BTreeMap<String, String> = "taskToDomain",
    }
}

impl StartWorkflowAction {
    /// Starts the latest version of the workflow `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Sets an input; text may hold `${…}` references into the event.
    #[must_use]
    pub fn input(mut self, name: impl Into<String>, value: impl Into<RawJson>) -> Self {
        self.input.insert(name.into(), value.into());
        self
    }
}

wire! {
    /// For [`EventAction::complete_task`] and [`EventAction::fail_task`]: which task. It is named by its id, or by its workflow
    /// and reference name. Text may hold `${…}` references into the event.
    pub struct TaskAction {
        /// The id of the workflow.
        pub workflow_id: Option<String> = "workflowId",
        /// The reference name of the task.
        pub task_ref_name: Option<String> = "taskRefName",
        /// The id of the task.
        pub task_id: Option<String> = "taskId",
        /// The output of the task.
        pub output: JsonMap = "output",
        /// Why the task failed.
        pub reason_for_incompletion: Option<String> = "reasonForIncompletion",
    }
}

impl TaskAction {
    /// The pending task called `reference` in the workflow `workflow_id`.
    pub fn by_reference(workflow_id: impl Into<String>, reference: impl Into<String>) -> Self {
        Self { workflow_id: Some(workflow_id.into()), task_ref_name: Some(reference.into()), ..Self::default() }
    }

    /// The task `task_id` of the workflow `workflow_id`.
    pub fn by_id(workflow_id: impl Into<String>, task_id: impl Into<String>) -> Self {
        Self { workflow_id: Some(workflow_id.into()), task_id: Some(task_id.into()), ..Self::default() }
    }

    /// Sets a value of the output.
    #[must_use]
    pub fn output(mut self, name: impl Into<String>, value: impl Into<RawJson>) -> Self {
        self.output.insert(name.into(), value.into());
        self
    }

    /// Whether it names a task, by its id or by the workflow and the reference name. Of the ids only the empty one counts as
    /// none (3.32.1).
    fn is_named(&self) -> bool {
        let is_there = |id: &Option<String>| id.as_ref().is_some_and(|id| !id.trim().is_empty());
        match self.task_id.as_deref() {
            None | Some("") => is_there(&self.workflow_id) && is_there(&self.task_ref_name),
            Some(_) => is_there(&self.task_id),
        }
    }
}

wire! {
    /// For [`EventAction::terminate_workflow`]: which workflow, and why.
    pub struct TerminateWorkflowAction {
        /// The id of the workflow.
        pub workflow_id: Option<String> = "workflowId",
        /// Why.
        pub termination_reason: Option<String> = "terminationReason",
    }
}

wire! {
    /// For [`EventAction::update_workflow_variables`]: which workflow, and what to set.
    pub struct UpdateVariablesAction {
        /// The id of the workflow.
        pub workflow_id: Option<String> = "workflowId",
        /// The variables.
        pub variables: JsonMap = "variables",
        /// Whether lists are appended to instead of replaced.
        pub append_array: Option<bool> = "appendArray",
    }
}

wire! {
    /// For [`EventAction::start_agent`]: which agent, and what it is told.
    pub struct StartAgentAction {
        /// The name of the agent.
        pub name: String = "name",
        /// Its version; the latest when missing.
        pub version: Option<i32> = "version",
        /// What it is told.
        pub prompt: Option<String> = "prompt",
        /// The session it goes on with.
        pub session_id: Option<String> = "sessionId",
        /// Addresses of media.
        pub media: Vec<String> = "media",
        /// Further data.
        pub context: JsonMap = "context",
        /// A key against starting twice.
        pub idempotency_key: Option<String> = "idempotencyKey",
    }
}

wire! {
    /// One thing that an event handler does.
    pub struct EventAction {
        /// What kind of thing, on the wire `action`. The field of that name holds the details.
        pub kind: EventActionKind = "action",
        /// Details of `start_workflow`.
        pub start_workflow: Option<StartWorkflowAction> = "start_workflow",
        /// Details of `complete_task`.
        pub complete_task: Option<TaskAction> = "complete_task",
        /// Details of `fail_task`.
        pub fail_task: Option<TaskAction> = "fail_task",
        /// Details of `terminate_workflow`.
        pub terminate_workflow: Option<TerminateWorkflowAction> = "terminate_workflow",
        /// Details of `update_workflow_variables`.
        pub update_workflow_variables: Option<UpdateVariablesAction> = "update_workflow_variables",
        /// Details of `start_agent`.
        pub start_agent: Option<StartAgentAction> = "start_agent",
        /// Whether text in the event that is JSON is taken for JSON. Defaults to false.
        pub expand_inline_json: bool = "expandInlineJSON",
    }
}

impl EventAction {
    /// Starts a workflow.
    pub fn start_workflow(details: StartWorkflowAction) -> Self {
        Self { kind: EventActionKind::StartWorkflow, start_workflow: Some(details), ..Self::default() }
    }

    /// Completes a task.
    pub fn complete_task(details: TaskAction) -> Self {
        Self { kind: EventActionKind::CompleteTask, complete_task: Some(details), ..Self::default() }
    }

    /// Fails a task.
    pub fn fail_task(details: TaskAction) -> Self {
        Self { kind: EventActionKind::FailTask, fail_task: Some(details), ..Self::default() }
    }

    /// Terminates a workflow.
    pub fn terminate_workflow(workflow_id: impl Into<String>, reason: impl Into<String>) -> Self {
        let details = TerminateWorkflowAction {
            workflow_id: Some(workflow_id.into()),
            termination_reason: Some(reason.into()),
            ..TerminateWorkflowAction::default()
        };
        Self { kind: EventActionKind::TerminateWorkflow, terminate_workflow: Some(details), ..Self::default() }
    }

    /// Changes variables of a workflow.
    pub fn update_workflow_variables(details: UpdateVariablesAction) -> Self {
        Self {
            kind: EventActionKind::UpdateWorkflowVariables,
            update_workflow_variables: Some(details),
            ..Self::default()
        }
    }

    /// Starts an agent.
    pub fn start_agent(details: StartAgentAction) -> Self {
        Self { kind: EventActionKind::StartAgent, start_agent: Some(details), ..Self::default() }
    }

    /// A name or id that is there, has nothing in it and is needed.
    fn blank(&self) -> Option<&'static str> {
        let tasks = self.complete_task.iter().chain(&self.fail_task);
        let of_tasks = tasks.filter(|task| !task.is_named()).flat_map(|task| {
            [("workflow_id", &task.workflow_id), ("task_ref_name", &task.task_ref_name), ("task_id", &task.task_id)]
        });
        let ended = self.terminate_workflow.iter().map(|ended| ("workflow_id", &ended.workflow_id));
        let updated = self.update_workflow_variables.iter().map(|updated| ("workflow_id", &updated.workflow_id));
        let ids = of_tasks.chain(ended).chain(updated).filter_map(|(name, id)| Some((name, id.as_deref()?)));
        let started = self.start_workflow.iter().map(|started| ("name", started.name.as_str()));
        let agents = self.start_agent.iter().map(|agent| ("name", agent.name.as_str()));
        let all = ids.chain(started).chain(agents).chain([("kind", self.kind.as_str())]);
        all.filter(|(_, text)| text.trim().is_empty()).map(|(name, _)| name).next()
    }
}

wire! {
    /// What the server does when an event comes.
    ///
    /// The server looks for new handlers once a minute; what was sent to its own queues before is not lost. Each event of
    /// these that is listened to takes one of its `conductor.app.eventQueueSchedulerPollThreadCount` threads, by default as
    /// many as cores, and what is one too many is not heard (3.32.1).
    ///
    /// ```
    /// use conductor_sync::{EventAction, EventHandler, StartWorkflowAction};
    /// let ship = StartWorkflowAction::new("ship").input("order", "${order}");
    /// let handler = EventHandler::new("on_paid", "conductor:orders:paid").action(EventAction::start_workflow(ship));
    /// assert!(handler.active);
    /// ```
    pub struct EventHandler {
        /// Its name.
        pub name: String = "name",
        /// The event: the kind of queue, a colon and the place, as `conductor:workflow:reference`.
        pub event: String = "event",
        /// A script that decides whether the actions are done.
        pub condition: Option<String> = "condition",
        /// What is done.
        pub actions: Vec<EventAction> = "actions",
        /// Whether it listens. The server's default is false; [`EventHandler::new`] sets true.
        pub active: bool = "active",
        /// The language of `condition`.
        pub evaluator_type: Option<String> = "evaluatorType",
    }
}

document!(EventHandler, "event handler");

impl EventHandler {
    /// A handler that listens, without actions so far.
    pub fn new(name: impl Into<String>, event: impl Into<String>) -> Self {
        Self { name: name.into(), event: event.into(), active: true, ..Self::default() }
    }

    /// Adds an action at the end.
    #[must_use]
    pub fn action(mut self, action: EventAction) -> Self {
        self.actions.push(action);
        self
    }

    /// Does the actions only where a script says so; `evaluator` is its language, as `javascript`.
    #[must_use]
    pub fn condition(mut self, evaluator: impl Into<String>, script: impl Into<String>) -> Self {
        self.evaluator_type = Some(evaluator.into());
        self.condition = Some(script.into());
        self
    }

    /// Registers it without letting it listen.
    #[must_use]
    pub fn inactive(mut self) -> Self {
        self.active = false;
        self
    }
}

/// The calls under `/event`. From [`Client::events`](crate::Client::events). The embedded server does not serve them.
///
/// ```no_run
/// use conductor_sync::{Client, EventAction, EventHandler, StartWorkflowAction};
/// let events = Client::from_env()?.events();
/// let start = EventAction::start_workflow(StartWorkflowAction::new("ship"));
/// events.register(&EventHandler::new("on_paid", "conductor:orders:paid").action(start))?;
/// assert_eq!(events.active_of("conductor:orders:paid")?.len(), 1);
/// # Ok::<(), conductor_sync::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct EventClient {
    http: Arc<Http>,
}

impl EventClient {
    pub(crate) fn new(http: Arc<Http>) -> Self {
        Self { http }
    }

    /// Registers a handler: `POST /event`.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) when the name is taken (the server answers 500); otherwise when the
    /// handler has no name or action, its event is not a kind of queue, a colon and a place (the server takes any text and never
    /// listens then), or the server can't be reached or refuses.
    pub fn register(&self, handler: &EventHandler) -> Result<()> {
        self.write(Method::Post, "register event handler", handler)
    }

    /// Replaces a handler: `PUT /event`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is none of that name (the server answers 500); otherwise as [`EventClient::register`].
    pub fn update(&self, handler: &EventHandler) -> Result<()> {
        self.write(Method::Put, "update event handler", handler)
    }

    fn write(&self, method: Method, verb: &'static str, handler: &EventHandler) -> Result<()> {
        // With other names it could not be deleted.
        if let Some(problem) = problem_with_name("name", &handler.name) {
            return Err(Error::invalid(verb, problem));
        }
        let invalid = |problem| Err(Error::invalid(format!("{verb} {}", handler.name), problem));
        if handler.event.trim().is_empty() {
            return invalid("event must not be empty".to_owned());
        }
        if !is_event(&handler.event) {
            let message =
                format!("event must be a kind of queue, a colon and a place (given: `{}`)", excerpt(&handler.event));
            return invalid(message);
        }
        if handler.actions.is_empty() {
            return invalid("actions must not be empty".to_owned());
        }
        if let Some(field) = handler.actions.iter().find_map(EventAction::blank) {
            return invalid(format!("{field} of an action must not be empty"));
        }
        let request = Request::new(method, "/event", &[], (verb, &handler.name))?.json(handler)?;
        told_apart(self.http.send(&request))?.done()
    }

    /// Deletes a handler: `DELETE /event/{name}`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is none (the server answers 500); otherwise when the server can't be reached or
    /// refuses.
    pub fn delete(&self, name: &str) -> Result<()> {
        let request = Request::new(Method::Delete, "/event/{name}", &[name], ("delete event handler", name))?;
        told_apart(self.http.send(&request))?.done()
    }

    /// All handlers: `GET /event`.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn list(&self) -> Result<Vec<EventHandler>> {
        let request = Request::new(Method::Get, "/event", &[], ("list event handlers", ""))?;
        self.http.send_safe(&request)?.json()
    }

    /// The handlers that listen to an event: `GET /event/{event}`. Empty where nobody knows the event. An event with a `/`
    /// can't be asked for: look through [`EventClient::list`].
    ///
    /// # Errors
    /// When `event` can't stand in a path, or the server can't be reached or refuses.
    pub fn active_of(&self, event: &str) -> Result<Vec<EventHandler>> {
        self.of(event, "true")
    }

    /// As [`EventClient::active_of`], with the handlers that do not listen.
    ///
    /// # Errors
    /// As [`EventClient::active_of`].
    pub fn all_of(&self, event: &str) -> Result<Vec<EventHandler>> {
        self.of(event, "false")
    }

    fn of(&self, event: &str, active_only: &str) -> Result<Vec<EventHandler>> {
        let request = Request::new(Method::Get, "/event/{event}", &[event], ("list handlers of event", event))?;
        self.http.send_safe(&request.query("activeOnly", active_only))?.json()
    }
}

/// What the server replaces in it may hold the colon.
fn is_event(text: &str) -> bool {
    let has_both = |(kind, place): (&str, &str)| !kind.trim().is_empty() && !place.trim().is_empty();
    text.contains("${") || text.split_once(':').is_some_and(has_both)
}

/// Names that are taken and names that are missing are both a 500 (3.32.1).
fn told_apart<T>(outcome: Result<T>) -> Result<T> {
    outcome.map_err(|error| match (error.status(), error.server_message()) {
        (Some(500), Some(message)) if message.starts_with("EventHandler with name ") => {
            match (message.ends_with("already exists!"), message.ends_with("not found!")) {
                (true, _) => error.into_conflict(),
                (_, true) => error.into_not_found(),
                _ => error,
            }
        }
        _ => error,
    })
}
