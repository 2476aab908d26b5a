//! Conductor workers and clients for programs that block.

mod client;
mod config;
mod error;
mod http;
mod json;
mod metadata;
mod metrics;
mod task;
mod workflow;

pub use client::Client;
pub use config::Config;
pub use error::{Error, ErrorKind, Result};
pub use json::{JsonMap, RawJson};
pub use metadata::{
    CacheConfig, IdempotencyStrategy, JoinMode, MetadataClient, RateLimitConfig, RateLimitPolicy, RetryLogic,
    SchemaDef, SchemaType, StateChangeEvent, SubWorkflowParams, TaskDef, TimeoutPolicy, WorkflowDef, WorkflowTask,
};
pub use metrics::{Health, MetricSet, Metrics, MetricsServer};
pub use task::{
    PollData, PollRequest, ReferenceUpdate, RuntimeMetadata, Task, TaskClient, TaskExecLog, TaskResult,
    TaskResultStatus, TaskStatus,
};
pub use workflow::{StartWorkflowRequest, Workflow, WorkflowClient, WorkflowState, WorkflowStatus};
