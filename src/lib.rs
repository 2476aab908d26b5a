//! Conductor workers and clients for programs that block.

mod error;
mod json;
mod metadata;
mod task;
mod workflow;

pub use error::{Error, ErrorKind, Result};
pub use json::{JsonMap, RawJson};
pub use metadata::{
    CacheConfig, IdempotencyStrategy, JoinMode, RateLimitConfig, RateLimitPolicy, RetryLogic, SchemaDef, SchemaType,
    StateChangeEvent, SubWorkflowParams, TaskDef, TimeoutPolicy, WorkflowDef, WorkflowTask,
};
pub use task::{PollData, RuntimeMetadata, Task, TaskExecLog, TaskResult, TaskResultStatus, TaskStatus};
pub use workflow::{StartWorkflowRequest, Workflow, WorkflowState, WorkflowStatus};
