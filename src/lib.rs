//! Workers and clients for the [Conductor](https://github.com/conductor-oss/conductor) workflow server, for programs that
//! block: threads and channels, no async runtime.
//!
//! # A worker
//!
//! A worker is a function from an input to an output. A [`TaskRunner`] fetches the tasks of its type, runs the function on a
//! fixed pool of threads and delivers what it returns.
//!
//! ```
//! # #[cfg(feature = "embedded")] {
//! use std::time::Duration;
//! use conductor_sync::{embedded::EmbeddedServer, *};
//!
//! // An in-memory server; a real one is named by `Config::from_env()`.
//! let server = EmbeddedServer::start()?;
//! let client = Client::new(Config::new(&server.url())?)?;
//! let workflow = WorkflowDef::new("hello")
//!     .task(WorkflowTask::simple("greet", "greet_ref").input("name", "${workflow.input.name}"))
//!     .output("text", "${greet_ref.output.result}");
//! client.metadata().update_workflow(&workflow)?;
//!
//! #[derive(serde::Deserialize)]
//! struct Greet { name: String }
//! let greet = Worker::new("greet", |_, input: Greet| Ok(format!("Hello, {}", input.name)));
//! let runner = TaskRunner::new(&client).worker(greet).start()?;
//!
//! let input = serde_json::json!({"name": "Ada"});
//! let id = client.workflows().start(&StartWorkflowRequest::new("hello").input(input))?;
//! let done = client.workflows().wait(&id, Duration::from_secs(30))?;
//! assert_eq!(done.output.get(), r#"{"text":"Hello, Ada"}"#);
//! let report = runner.stop(Duration::from_secs(5));
//! assert!(report.is_clean());
//! # }
//! # Ok::<(), conductor_sync::Error>(())
//! ```
//!
//! # Create and execute workflows
//!
//! A [`WorkflowBuilder`] puts tasks, which are [`Node`]s, in order. There is a constructor for each kind of task: `simple` is
//! what workers execute, the server itself executes [`Node::http`], [`Node::inline`], [`Node::switch`], [`Node::fork`],
//! [`Node::do_while`], [`Node::sub_workflow`] and the others. What one task takes from another is a [`Reference`], made by a
//! call on what it refers to: [`Node::output`], [`workflow_input`], [`workflow_variable`]; text with `${…}` will do as well.
//!
//! [`WorkflowBuilder::build`] checks everything and tells all that is wrong, each with its place, before the server is asked;
//! [`WorkflowBuilder::register`] sends what belongs together in the right order. With a [`TypedTask`] the worker and the
//! workflow share the names of inputs and outputs.
//!
//! ```
//! # #[cfg(feature = "embedded")] {
//! use std::time::Duration;
//! use conductor_sync::{embedded::EmbeddedServer, *};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Order { item: String, pieces: u32 }
//! #[derive(Serialize, Deserialize)]
//! struct Price { cents: u32 }
//! const PRICE: TypedTask<Order, Price> = TypedTask::new("price");
//!
//! let server = EmbeddedServer::start()?;
//! let client = Client::new(Config::new(&server.url())?)?;
//!
//! // Build and register: the task definition goes first, then the workflow.
//! let price = PRICE
//!     .node("price_ref")
//!     .input("item", workflow_input("item"))
//!     .input("pieces", 3)
//!     .definition(TaskDef::new("price").retries(2, RetryLogic::Fixed, Duration::from_secs(1)));
//! let shop = WorkflowBuilder::new("shop").inputs(["item"]).task(&price).output("cents", price.output("cents"));
//! shop.register(&client.metadata())?;
//!
//! // What is wrong is told at once: the output is called `cents`.
//! let error = shop.output("oops", price.output("cent")).build().unwrap_err();
//! assert!(error.to_string().contains("`price_ref` has no output `cent`, only `cents`"));
//!
//! // Execute.
//! let worker = PRICE.worker(|_, order| Ok(Price { cents: 30 * order.pieces }));
//! let runner = TaskRunner::new(&client).worker(worker).start()?;
//! let request = StartWorkflowRequest::new("shop").input(serde_json::json!({"item": "apple"}));
//! let id = client.workflows().start(&request)?;
//! let done = client.workflows().wait(&id, Duration::from_secs(30))?;
//! assert_eq!(done.output.get(), r#"{"cents":90}"#);
//! # assert!(runner.stop(Duration::from_secs(5)).is_clean());
//! # }
//! # Ok::<(), conductor_sync::Error>(())
//! ```
//!
//! Branches, loops and sub-workflows are shown at [`WorkflowBuilder`] and in the example `control_flow`. Definitions in JSON
//! files, starting, waiting, searching, steering and errors have a chapter of their own: [`manual::workflows`]. Every
//! operation of the server with its method stands in [`manual::operations`]; those who come from the official Rust SDK find
//! their names in [`manual::official_sdk`].
//!
//! # Verdicts
//!
//! `Ok` completes the task. `?` on any [`std::error::Error`] fails the attempt, and the server retries as the task definition
//! says; a boxed error or one of anyhow is turned into that by `map_err(|e| TaskError::caused_by(e.as_ref()))`, a text by
//! [`TaskError::failed`].
//! [`TaskError::terminal`] fails it for good; [`TaskError::in_progress`] hands it out again later. A panic is a failed
//! attempt. An input that can't be decoded is a terminal failure that names the field.
//!
//! # Pools
//!
//! Workers share one pool of [`TaskRunner::threads`] unless they have [`Worker::dedicated_threads`]: give those to slow
//! blocking work, so that CPU work does not wait behind it. No task is fetched without a free thread for it.
//!
//! # Long tasks
//!
//! The server waits for a task as long as its definition's response timeout, the *lease*. Heartbeats extend it by
//! themselves, from other threads, as long as the handler runs. [`TaskContext::is_cancelled`] tells when the task has ended
//! on the server meanwhile, [`TaskContext::deadline`] when its time is over.
//!
//! # Delivery
//!
//! A result is offered until the server acknowledges it, with growing pauses and no limit on tries, while the process lives.
//! What the server refuses for good is set aside and the task failed in its place: see [`TaskRunner::on_undeliverable`]. For
//! good means that it is too large (10 MiB of output, or 413) or malformed, or that it was refused eight times while others
//! got through (of a report of 1 MB and more, a broken connection counts as a refusal), or for five minutes while heartbeats
//! of the same task got through.
//!
//! After a heartbeat without an answer, which could undo the result on the server, the result waits until the server answers
//! again and half a second more, and is looked at twice afterwards. Acknowledged does not mean used: the server answers late
//! and duplicate results alike. Tasks may run more than once, so handlers should be idempotent: see
//! [`TaskContext::idempotency_key`].
//!
//! # Stopping
//!
//! [`RunnerHandle::stop`] and [`RunnerHandle::run_until_signal`] drain: polls under way are waited for, what they bring is
//! run or given back, results are delivered. The [`StopReport`] says what is left.
//!
//! # Logging
//!
//! Everything is logged through the [`log`](https://docs.rs/log) crate: install a logger, or nothing is seen, not even that
//! the server can't be reached. ERROR means that a result or a task is lost or set aside, WARN that something fails and is tried again, INFO
//! tells of starts, stops, recoveries and attempts that failed. Inputs and outputs are never logged.
//!
//! # Pictures
//!
//! [`WorkflowDef::diagram`] draws a definition, [`Workflow::diagram`] an execution with states and times, both for Mermaid
//! and for Graphviz. [`Workflow::timeline`] draws the attempts of an execution with bars for a terminal. The example `draw`
//! writes them all.
//!
//! # Testing
//!
//! A handler is a function: call it with [`TaskContext::for_test`]. With the feature `embedded` a test has a whole server in
//! memory, whose time can be moved; the worker's own time (heartbeats, deadlines, pauses) is always real.
//!
//! # Features
//!
//! `rustls` (on): https. `metrics` (on): counting and the `/metrics` listener. `embedded` (off): `embedded::EmbeddedServer`.
//!
//! # Glossary
//!
//! *Task*: one execution. *Task definition*: how tasks of a name are retried and timed out. *Workflow task*: a node of a
//! workflow definition. *Node*: a workflow task to be, in a builder. *Workflow*: one execution. *Worker*: a handler with its
//! settings. *Handler*: your function. *Runner*: runs the workers of a process. *Poller*, *pool*, *updater*: its three
//! stages. *Slot*: the right to hold one task. *Lease*: how long the server waits for a task. *Heartbeat*: extends the
//! lease. *Domain*: a queue of its own for some of the tasks of a type.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod a2a;
mod admin;
mod agent;
mod builder;
mod client;
mod config;
mod diagram;
#[cfg(feature = "embedded")]
pub mod embedded;
mod error;
mod event;
mod file;
mod http;
mod json;
#[cfg(any(doc, doctest))]
pub mod manual;
mod metadata;
mod metrics;
mod runner;
mod schedule;
mod search;
mod secret;
mod skill;
mod task;
mod worker;
mod workflow;

pub use a2a::{
    A2aAgent, A2aAgentCard, A2aAgentSummary, A2aArtifact, A2aArtifactUpdate, A2aClient, A2aMessage, A2aPart, A2aSkill,
    A2aStatusUpdate, A2aTask, A2aTaskState, A2aTaskStatus, A2aUpdate, A2aUpdates,
};
pub use admin::{AdminClient, EnvironmentValue, Provider, Providers, QueueUpdate, ServerHealth};
pub use agent::{
    AgentClient, AgentEvent, AgentEventKind, AgentEvents, AgentExecution, AgentExecutionSummary, AgentRun, AgentSearch,
    AgentStartRequest, AgentStatus, AgentSummary, AgentTask, AgentTaskDetail, CompiledAgent, InjectTaskRequest,
    InspectedPlan, StartedAgent, TokenUsage, TrackingRequest, TrackingSubWorkflow,
};
pub use builder::{
    AgentCall, AgentCancel, AgentCard, AudioGeneration, ChatCompletion, DoWhile, EmbeddingGeneration, EmbeddingSearch,
    EmbeddingStore, HttpRequest, ImageGeneration, IndexSearch, KafkaMessage, McpCall, McpTools, Node, PdfGeneration,
    Reference, SubWorkflow, Switch, TaskReference, TextCompletion, TextIndexing, TypedTask, ValueOf, VideoGeneration,
    WorkflowBuilder, task_reference, workflow_environment, workflow_field, workflow_input, workflow_secret,
    workflow_variable,
};
pub use client::Client;
pub use config::Config;
pub use diagram::{Diagram, Timeline};
pub use error::{Error, ErrorKind, Result};
pub use event::{
    EventAction, EventActionKind, EventClient, EventHandler, StartAgentAction, StartWorkflowAction, TaskAction,
    TerminateWorkflowAction, UpdateVariablesAction,
};
pub use file::{FileClient, FileHandle, FileUploadRequest, FileUploadStatus, FileUrl, MultipartUpload};
pub use json::{JsonMap, RawJson};
pub use metadata::{
    CacheConfig, IdempotencyStrategy, JoinMode, MetadataClient, RateLimitConfig, RateLimitPolicy, RetryLogic,
    SchemaDef, SchemaType, StateChangeEvent, SubWorkflowParams, TaskDef, TimeoutPolicy, WorkflowDef,
    WorkflowDefSummary, WorkflowTask,
};
pub use metrics::{Health, MetricSet, Metrics, MetricsServer};
pub use runner::{RunnerControl, RunnerHandle, StopReport, TaskRunner, UndeliverableResult};
pub use schedule::{
    CronSchedule, NextRunsQuery, ScheduleClient, ScheduleExecution, ScheduleExecutionState, ScheduleSearch,
    WorkflowSchedule,
};
pub use search::{Hits, Pages, Search, SearchField, SearchQuery, SearchRequest, SearchResult};
pub use secret::{Secret, SecretClient, SecretSummary};
pub use skill::{Skill, SkillClient, SkillDeployRequest, SkillFile, SkillFileContent, SkillSummary};
pub use task::{
    ExternalStorageLocation, PayloadOperation, PayloadType, PollData, PollRequest, QueueShard, ReferenceUpdate,
    ReturnStrategy, RuntimeMetadata, SignalRequest, SignalResponse, Task, TaskClient, TaskExecLog, TaskResult,
    TaskResultStatus, TaskRun, TaskStatus, TaskSummary, WorkflowRun,
};
pub use worker::{TaskContext, TaskError, Worker};
pub use workflow::{
    BulkOutcome, CorrelationQuery, ExecuteWorkflowRequest, Removal, RerunWorkflowRequest, RunningQuery,
    SkipTaskRequest, StartOutcome, StartWorkflowRequest, TaskMock, Workflow, WorkflowBulkClient, WorkflowClient,
    WorkflowState, WorkflowStatus, WorkflowSummary, WorkflowTasksQuery, WorkflowTestRequest,
};

/// The examples of the README are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
