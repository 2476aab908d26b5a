//! Workflows as code. A [`Node`] is a task of a workflow to be, with one constructor per kind of task; a
//! [`WorkflowBuilder`] puts nodes in order, checks everything at once and makes a [`WorkflowDef`], the form of the wire.
//! Nothing here talks to the server but [`WorkflowBuilder::register`].

mod ai;
mod check;
mod definition;
mod expression;
mod kinds;
mod place;
mod reference;
mod text;
mod typed;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    error::{Error, Result},
    json::RawJson,
    metadata::{CacheConfig, MetadataClient, TaskDef, TimeoutPolicy, WorkflowDef, WorkflowTask, whole_seconds},
    worker::Worker,
};

pub use ai::{
    AgentCall, AgentCancel, AgentCard, AudioGeneration, ChatCompletion, EmbeddingGeneration, EmbeddingSearch,
    EmbeddingStore, ImageGeneration, IndexSearch, McpCall, McpTools, PdfGeneration, TextCompletion, TextIndexing,
    VideoGeneration,
};
pub use kinds::{DoWhile, HttpRequest, KafkaMessage, SubWorkflow, Switch};
pub use reference::{
    Reference, TaskReference, ValueOf, task_reference, workflow_environment, workflow_field, workflow_input,
    workflow_secret, workflow_variable,
};
pub use typed::TypedTask;

/// What a node carries besides its tasks; nodes hand theirs on to the node or the builder that holds them.
#[derive(Clone, Debug)]
enum Note {
    /// To be registered before the workflow.
    Definition(Box<TaskDef>),
    /// To be registered before the workflow.
    SubWorkflow(Box<WorkflowDef>),
    /// The task with this reference name takes these inputs only.
    Inputs(String, Vec<&'static str>),
    /// The task with this reference name has these outputs only.
    Outputs(String, Vec<&'static str>),
    /// A setting that can't be used: the reference name, and what is wrong.
    Unusable(String, String),
    /// Tasks that are inside each other to this depth are left out, so that nothing has to go as deep.
    TooDeep,
}

/// For timeouts.
const NO_TIME: &str = "the timeout is zero, which the server takes for no limit: leave it out";

/// A task of a workflow to be: what it is, what goes in, how it is retried.
///
/// There is a constructor for each kind of task, which takes the reference name and what that kind needs. The node is given
/// to [`WorkflowBuilder::task`] or to a branch by value or by reference, so it can be referred to before and after that.
///
/// ```
/// use conductor_sync::{Node, WorkflowBuilder, workflow_input};
/// let greet = Node::simple("greet", "greet_ref").input("name", workflow_input("name"));
/// let shout = Node::simple("shout", "shout_ref").input("text", greet.output("text")).optional();
/// let def = WorkflowBuilder::new("hello").task(&greet).task(&shout).output("text", shout.output("text")).build()?;
/// assert_eq!(def.tasks.len(), 2);
/// # Ok::<(), conductor_sync::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Node {
    task: WorkflowTask,
    /// The JOIN behind a fork.
    join: Option<WorkflowTask>,
    notes: Vec<Note>,
}

impl Node {
    fn new(kind: &str, name: impl Into<String>, reference: impl Into<String>) -> Self {
        let mut task = WorkflowTask::simple(name, reference);
        task.task_type = Some(kind.to_owned());
        Self::from(task)
    }

    /// A task that workers execute: the task definition `name`.
    pub fn simple(name: impl Into<String>, reference: impl Into<String>) -> Self {
        Self::new("SIMPLE", name, reference)
    }

    /// A task that this worker executes.
    pub fn for_worker(worker: &Worker, reference: impl Into<String>) -> Self {
        Self::simple(worker.task_type(), reference)
    }

    fn with_known_fields(mut self, inputs: Option<Vec<&'static str>>, outputs: Option<Vec<&'static str>>) -> Self {
        let reference = self.task.task_reference_name.clone();
        self.notes.extend(inputs.map(|fields| Note::Inputs(reference.clone(), fields)));
        self.notes.extend(outputs.map(|fields| Note::Outputs(reference, fields)));
        self
    }

    /// The task as others refer to it. For a fork this is its join, whose output holds the outputs of the branches by
    /// reference name.
    pub fn reference(&self) -> TaskReference {
        task_reference(&*self.join.as_ref().unwrap_or(&self.task).task_reference_name)
    }

    /// A value of this task's output, for later tasks: a name, or a path of names with dots. The whole output when empty.
    pub fn output(&self, path: &str) -> Reference {
        self.reference().output(path)
    }

    /// A value that this task was given, for later tasks: a name, or a path of names with dots.
    pub fn input_value(&self, path: &str) -> Reference {
        task_reference(&*self.task.task_reference_name).input(path)
    }

    /// Sets an input: a value, a [`Reference`], or JSON or text with `${…}` inside; a struct of your own goes by
    /// [`RawJson::new`]. The server looks up values only: a
    /// `${…}` in the name of a field stays as it is.
    pub fn input(mut self, name: impl Into<String>, value: impl Into<RawJson>) -> Self {
        self.task.input_parameters.insert(name.into(), value.into());
        self
    }

    /// Sets the description.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.task.description = Some(text.into());
        self
    }

    /// Sets how often a failed attempt is retried, instead of what the task definition says; 0 is not at all.
    pub fn retries(mut self, n_retries: u16) -> Self {
        self.task.retry_count = Some(n_retries.into());
        self
    }

    /// Lets the workflow go on when this task fails.
    pub fn optional(mut self) -> Self {
        self.task.optional = Some(true);
        self
    }

    /// Lets later tasks still run when this one fails; the workflow fails at its end.
    pub fn permissive(mut self) -> Self {
        self.task.permissive = Some(true);
        self
    }

    /// Lets the output be reused for `ttl` where `key`, a text with references, comes out equal; rounded up to whole seconds.
    /// The open-source server 3.32.1 keeps this setting and does **not** use it: the task runs each time.
    pub fn cache(mut self, key: impl Into<String>, ttl: Duration) -> Self {
        let ttl_in_second = self.seconds("cache", ttl);
        self.task.cache_config = Some(CacheConfig { key: Some(key.into()), ttl_in_second, ..CacheConfig::default() });
        self
    }

    /// Lets some time pass before the task is scheduled; rounded up to whole seconds. For tasks that workers run, HTTP and
    /// sub-workflows; without effect on what the server runs in the same step: INLINE, JSON_JQ_TRANSFORM, SET_VARIABLE, NOOP,
    /// EVENT and WAIT (3.32.1).
    pub fn start_delay(mut self, delay: Duration) -> Self {
        self.task.start_delay = self.seconds("start delay", delay);
        self
    }

    /// Leaves the task in progress until it is completed from outside, although the server has done its part.
    pub fn async_complete(mut self) -> Self {
        self.task.async_complete = Some(true);
        self
    }

    /// The task definition, registered with the workflow by [`WorkflowBuilder::register`]: retries, timeouts, limits for all
    /// tasks of that name. Its name must be the name of this task.
    pub fn definition(mut self, definition: TaskDef) -> Self {
        if definition.name != self.task.name {
            let what = format!("the task definition is for `{}`, not for `{}`", definition.name, self.task.name);
            self.refuse(what);
        }
        self.notes.push(Note::Definition(Box::new(definition)));
        self
    }

    /// A task definition for this task alone: it goes with the workflow and is not registered.
    pub fn own_definition(mut self, definition: TaskDef) -> Self {
        self.task.task_definition = Some(definition);
        self
    }

    /// Sets how long an attempt of this task may take, for this task alone, and what happens then; rounded up to whole
    /// seconds. Zero, which the server would take for no limit, is refused: leave the timeout out. What the task definition of that name says is **not** used for this task any more: see
    /// [`Node::own_definition`].
    pub fn timeout(mut self, limit: Duration, policy: TimeoutPolicy) -> Self {
        if limit.is_zero() {
            self.refuse(NO_TIME);
        }
        let own = self.task.task_definition.take().unwrap_or_else(|| TaskDef::new(&*self.task.name));
        let lease = own.response_timeout_seconds.unwrap_or(3600).min(whole_seconds(limit).max(1));
        let mut own = own.timeout(limit, policy);
        own.response_timeout_seconds = Some(lease);
        self.task.task_definition = Some(own);
        self
    }

    fn seconds(&mut self, what: &str, duration: Duration) -> Option<i32> {
        let seconds = i32::try_from(whole_seconds(duration)).ok();
        if seconds.is_none() {
            self.refuse(format!("the {what} is longer than {} s", i32::MAX));
        }
        seconds
    }

    fn refuse(&mut self, what: impl Into<String>) {
        self.notes.push(Note::Unusable(self.task.task_reference_name.clone(), what.into()));
    }

    /// The tasks of `nodes`, whose notes go to `notes`.
    fn branch(nodes: impl IntoIterator<Item: Into<Self>>, notes: &mut Vec<Note>) -> Vec<WorkflowTask> {
        let mut tasks = Vec::new();
        for node in nodes {
            let node: Self = node.into();
            if check::too_deep(std::slice::from_ref(&node.task)) {
                notes.push(Note::TooDeep);
                continue;
            }
            tasks.push(node.task);
            tasks.extend(node.join);
            notes.extend(node.notes);
        }
        tasks
    }
}

impl From<&Node> for Node {
    fn from(node: &Node) -> Self {
        node.clone()
    }
}

impl From<WorkflowTask> for Node {
    /// A task written by hand or read from a file.
    fn from(task: WorkflowTask) -> Self {
        Self { task, join: None, notes: Vec::new() }
    }
}

/// Builds a workflow and checks it before it reaches the server.
///
/// [`WorkflowDef`] and [`WorkflowTask`] are the form of the wire, in which definitions come from and go to the server and
/// files; there nothing is checked. The builder makes them from [`Node`]s and tells everything that is wrong at once. A
/// definition from elsewhere is checked with `WorkflowBuilder::from(definition).build()`.
///
/// ```
/// use conductor_sync::{DoWhile, Node, Switch, WorkflowBuilder, task_reference, workflow_input};
///
/// // Two things at the same time; a NOOP at the end of each, so that a failed attempt is retried.
/// let stock = Node::simple("check_stock", "stock").input("item", workflow_input("item"));
/// let price = Node::simple("find_price", "price").input("item", workflow_input("item"));
/// let both = Node::fork("both", [[&stock], [&price]]).noops_at_the_ends();
/// // One way or the other.
/// let order = Node::simple("order_more", "order").input("item", workflow_input("item"));
/// let route = Node::switch(
///     "route",
///     Switch::on(stock.output("state")).case("none", [order]).case("plenty", [Node::noop("nothing")]),
/// );
/// // Several times.
/// let mail = Node::simple("send_mail", "mail")
///     .input("to", task_reference("mails").output("loopItem"))
///     .input("price", price.output("cents"));
/// let mails = Node::do_while("mails", DoWhile::each(workflow_input("addresses"), [mail]));
///
/// let def = WorkflowBuilder::new("restock")
///     .inputs(["item", "addresses"])
///     .task(both)
///     .task(route)
///     .task(&mails)
///     .output("n_mails", mails.output("iteration"))
///     .build()?;
/// assert_eq!(def.tasks.len(), 4, "a fork brings its join along");
/// # Ok::<(), conductor_sync::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct WorkflowBuilder {
    def: WorkflowDef,
    notes: Vec<Note>,
}

impl WorkflowBuilder {
    /// A workflow without tasks, version 1.
    pub fn new(name: impl Into<String>) -> Self {
        Self::from(WorkflowDef::new(name))
    }

    /// Sets the version, from 1.
    pub fn version(mut self, version: u16) -> Self {
        self.def = self.def.version(version);
        self
    }

    /// Sets the description.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.def = self.def.description(text);
        self
    }

    /// Names the inputs. Once there are names, references to other inputs are refused. The server does not insist on them.
    pub fn inputs(mut self, names: impl IntoIterator<Item: Into<String>>) -> Self {
        self.def.input_parameters.extend(names.into_iter().map(Into::into));
        self
    }

    /// Names an input, and sets what it is where a start gives others but not this one. A start without any input gets no
    /// defaults (3.32.1): give one it has no use for. A sub-workflow gets them in any case.
    pub fn input_default(mut self, name: impl Into<String>, value: impl Into<RawJson>) -> Self {
        let name = name.into();
        if !self.def.input_parameters.contains(&name) {
            self.def.input_parameters.push(name.clone());
        }
        self.def.input_template.insert(name, value.into());
        self
    }

    /// Sets a variable at the start; see [`Node::set_variable`] and [`workflow_variable`].
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<RawJson>) -> Self {
        self.def.variables.insert(name.into(), value.into());
        self
    }

    /// Adds a task at the end; a fork brings its join along.
    pub fn task(mut self, node: impl Into<Node>) -> Self {
        self.def.tasks.extend(Node::branch([node], &mut self.notes));
        self
    }

    /// Adds tasks at the end.
    pub fn tasks(mut self, nodes: impl IntoIterator<Item: Into<Node>>) -> Self {
        self.def.tasks.extend(Node::branch(nodes, &mut self.notes));
        self
    }

    /// Sets a value of the output; without any, the output of the last task is the workflow's.
    pub fn output(mut self, name: impl Into<String>, value: impl Into<RawJson>) -> Self {
        self.def = self.def.output(name, value);
        self
    }

    /// Sets how long the workflow may run and what happens then; rounded up to whole seconds. Zero, which the server would
    /// take for no limit, is refused: leave the timeout out.
    pub fn timeout(mut self, limit: Duration, policy: TimeoutPolicy) -> Self {
        if limit.is_zero() {
            self.notes.push(Note::Unusable("workflow".to_owned(), NO_TIME.to_owned()));
        }
        self.def = self.def.timeout(limit, policy);
        self
    }

    /// Names the workflow that is started when this one fails.
    pub fn failure_workflow(mut self, name: impl Into<String>) -> Self {
        self.def.failure_workflow = Some(name.into());
        self
    }

    /// Sets whom to ask about it.
    pub fn owner_email(mut self, address: impl Into<String>) -> Self {
        self.def = self.def.owner_email(address);
        self
    }

    /// Adds free data: `a2a.enabled` with `true` lets agents elsewhere talk to the workflow, see
    /// [`A2aClient`](crate::A2aClient).
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<RawJson>) -> Self {
        self.def.metadata.insert(name.into(), value.into());
        self
    }

    /// A task definition to be registered with the workflow: see [`WorkflowBuilder::register`].
    pub fn task_definition(mut self, definition: TaskDef) -> Self {
        self.notes.push(Note::Definition(Box::new(definition)));
        self
    }

    /// Checks everything and makes the definition. What is checked:
    ///
    /// - names: none empty or unfit for an address, reference names unique and fit for `${…}`;
    /// - references, also inside text: to tasks that exist, that come earlier and are in no other branch; to fields that
    ///   exist; to inputs that have been named. Inside a loop a later task of the same loop may be referred to: it is the one
    ///   of the round before;
    /// - scripts of switches, loops and inline tasks: what follows `$.` is an input (or, in a loop's condition, a task of it);
    /// - forks: no empty branch, and a join behind them that waits for known tasks; loops: not empty, none inside
    ///   another; switches: at least one case; joins: for earlier tasks of no other branch, in the same loop if any;
    /// - nesting that this client could not read back, which is 40 tasks inside each other or more;
    /// - what a kind needs: a sink of a known kind, a method of HTTP, a well-formed duration, a day of the calendar, a status …;
    /// - switches on a constant: a case for it;
    /// - task definitions given along: numbers that the server refuses, timeouts that contradict each other, and policies
    ///   that this version of the crate does not know;
    /// - tasks that can't be reached, behind one that terminates the workflow;
    /// - sub-workflows given along: the same checks, and inputs that they do not know.
    ///
    /// Not checked are the grammar of scripts and jq expressions, what only the server knows (workflows, tasks and events
    /// named, `${HOME}` and the like), and the types of values.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) with all findings, each with its place.
    pub fn build(&self) -> Result<WorkflowDef> {
        let findings = self.findings();
        if findings.is_empty() {
            return Ok(self.def.clone());
        }
        let count = match findings.len() {
            1 => String::new(),
            n => format!("{n} findings: "),
        };
        Err(Error::invalid(format!("build workflow {}", self.def.name), format!("{count}{}", findings.join("; "))))
    }

    fn findings(&self) -> Vec<String> {
        let mut findings = check::findings(&self.def, &self.notes);
        findings.extend(check::overwritten(&self.def, &self.notes));
        // Of a node that stands in it twice, all is found twice.
        let mut known = BTreeSet::new();
        findings.retain(|finding| known.insert(finding.clone()));
        findings
    }

    /// Builds the workflow and registers all of it: first the task definitions given along, then the sub-workflows, then the
    /// workflow. Each one **replaces** what is registered under its name (and version).
    ///
    /// # Errors
    /// What [`WorkflowBuilder::build`] finds, before anything is sent; otherwise when the server can't be reached or refuses.
    pub fn register(&self, metadata: &MetadataClient) -> Result<WorkflowDef> {
        let def = self.build()?;
        // Those of one name are equal, or there would have been a finding.
        let (mut tasks, mut children) = (BTreeMap::new(), Vec::new());
        for note in &self.notes {
            match note {
                Note::Definition(task) => drop(tasks.insert(task.name.clone(), (**task).clone())),
                Note::SubWorkflow(child) if !children.contains(&child) => children.push(child),
                _ => {}
            }
        }
        if !tasks.is_empty() {
            metadata.register_tasks(&tasks.into_values().collect::<Vec<_>>())?;
        }
        for child in children {
            metadata.update_workflow(child)?;
        }
        metadata.update_workflow(&def)?;
        Ok(def)
    }
}

impl From<WorkflowDef> for WorkflowBuilder {
    /// Goes on from a definition, for instance to check one from a file.
    fn from(def: WorkflowDef) -> Self {
        Self { def, notes: Vec::new() }
    }
}
