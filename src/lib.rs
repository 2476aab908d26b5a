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
//! # Verdicts
//!
//! `Ok` completes the task. `?` on any error fails the attempt, and the server retries as the task definition says.
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
//! What the server refuses for good is set aside: see [`TaskRunner::on_undeliverable`]. Acknowledged does not mean used: the
//! server answers late and duplicate results alike. Tasks may run more than once, so handlers should be idempotent: see
//! [`TaskContext::idempotency_key`].
//!
//! # Stopping
//!
//! [`RunnerHandle::stop`] and [`RunnerHandle::run_until_signal`] drain: polls under way are waited for, what they bring is
//! run or given back, results are delivered. The [`StopReport`] says what is left.
//!
//! # Logging
//!
//! Everything is logged through the [`log`] crate: install a logger, or nothing is seen, not even that the server can't be
//! reached. ERROR means that a result or a task is lost or set aside, WARN that something fails and is tried again, INFO
//! tells of starts, stops, recoveries and attempts that failed.
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
//! workflow definition. *Workflow*: one execution. *Worker*: a handler with its settings. *Handler*: your function.
//! *Runner*: runs the workers of a process. *Poller*, *pool*, *updater*: its three stages. *Slot*: the right to hold one
//! task. *Lease*: how long the server waits for a task. *Heartbeat*: extends the lease. *Domain*: a queue of its own for
//! some of the tasks of a type.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod client;
mod config;
mod diagram;
#[cfg(feature = "embedded")]
pub mod embedded;
mod error;
mod http;
mod json;
mod metadata;
mod metrics;
mod runner;
mod task;
mod worker;
mod workflow;

pub use client::Client;
pub use config::Config;
pub use diagram::{Diagram, Timeline};
pub use error::{Error, ErrorKind, Result};
pub use json::{JsonMap, RawJson};
pub use metadata::{
    CacheConfig, IdempotencyStrategy, JoinMode, MetadataClient, RateLimitConfig, RateLimitPolicy, RetryLogic,
    SchemaDef, SchemaType, StateChangeEvent, SubWorkflowParams, TaskDef, TimeoutPolicy, WorkflowDef, WorkflowTask,
};
pub use metrics::{Health, MetricSet, Metrics, MetricsServer};
pub use runner::{RunnerControl, RunnerHandle, StopReport, TaskRunner, UndeliverableResult};
pub use task::{
    PollData, PollRequest, ReferenceUpdate, RuntimeMetadata, Task, TaskClient, TaskExecLog, TaskResult,
    TaskResultStatus, TaskStatus,
};
pub use worker::{TaskContext, TaskError, Worker};
pub use workflow::{StartWorkflowRequest, Workflow, WorkflowClient, WorkflowState, WorkflowStatus};

/// The examples of the README are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
