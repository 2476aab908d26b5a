//! What users write: a [`Worker`] is a handler with its settings, a [`TaskContext`] is what the handler sees of its task,
//! a [`TaskError`] is its verdict. No threads here, so a handler can be tested by calling it.

use std::{
    error::Error as StdError,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::Sender;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{
    error::{Error, Result},
    json::RawJson,
    task::{Task, TaskExecLog, TaskResult, TaskResultStatus},
};

/// The server keeps this many log entries of one report (3.32.1); further lines share the last one.
const MAX_LOG_ENTRIES: usize = 10;

/// A handler for the tasks of one type, with its settings.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use conductor_sync::{TaskContext, TaskError, Worker};
///
/// #[derive(Deserialize)]
/// struct Greet { name: String }
/// #[derive(Serialize)]
/// struct Greeting { text: String }
///
/// fn greet(_: &TaskContext, input: Greet) -> Result<Greeting, TaskError> {
///     Ok(Greeting { text: format!("Hello, {}", input.name) })
/// }
///
/// let plain = Worker::new("greet", greet);
/// let blocking = Worker::new("shout", |_, input: Greet| Ok(input.name.to_uppercase())).dedicated_threads(20);
/// ```
#[derive(Clone)]
#[must_use]
pub struct Worker {
    task_type: String,
    domain: Option<String>,
    dedicated_threads: Option<usize>,
    max_concurrent: Option<usize>,
    poll_timeout: Duration,
    n_pollers: usize,
    heartbeats: Heartbeats,
    handler: Handler,
}

/// When heartbeats are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Heartbeats {
    Off,
    /// At 80 % of the lease.
    ByLease,
    Every(Duration),
}

/// A handler with its types erased.
pub(crate) type Handler = Arc<dyn Fn(&TaskContext) -> Outcome + Send + Sync>;

impl Worker {
    /// Runs `handler` for each task of the type `task_type`.
    ///
    /// The task's input is decoded into `I`; an input that does not fit fails the task for good, naming the field. What the
    /// handler returns becomes the output; anything but an object is wrapped as `{"result": …}`. A float that is no number
    /// is written as null. A panic fails the task with the panic's message.
    pub fn new<I, O, F>(task_type: impl Into<String>, handler: F) -> Self
    where
        I: DeserializeOwned,
        O: Serialize,
        F: Fn(&TaskContext, I) -> Result<O, TaskError> + Send + Sync + 'static,
    {
        Self::with_handler(
            task_type.into(),
            Arc::new(move |cx| match decode_input(cx.input().get()) {
                Ok(input) => Outcome::from_verdict(cx, handler(cx, input).map(|output| encode_output(&output))),
                Err(reason) => Outcome::invalid_input(cx, reason),
            }),
        )
    }

    /// Runs `handler` for each task of the type `task_type`, without decoding anything, and reports the result it returns
    /// as it is. The ids of the result are filled in where they are empty.
    ///
    /// ```
    /// use conductor_sync::{TaskResultStatus, Worker};
    /// let worker = Worker::raw("weigh", |cx| {
    ///     let text = cx.input().get();
    ///     Ok(cx.result(TaskResultStatus::Completed).output(serde_json::json!({"bytes": text.len()})))
    /// });
    /// ```
    pub fn raw<F>(task_type: impl Into<String>, handler: F) -> Self
    where
        F: Fn(&TaskContext) -> Result<TaskResult, TaskError> + Send + Sync + 'static,
    {
        Self::with_handler(
            task_type.into(),
            Arc::new(move |cx| match handler(cx) {
                Ok(result) => Outcome::from_result(cx, result),
                Err(error) => Outcome::from_verdict(cx, Err(error)),
            }),
        )
    }

    fn with_handler(task_type: String, handler: Handler) -> Self {
        Self {
            task_type,
            domain: None,
            dedicated_threads: None,
            max_concurrent: None,
            poll_timeout: Duration::from_secs(2),
            n_pollers: 1,
            heartbeats: Heartbeats::ByLease,
            handler,
        }
    }

    /// Takes tasks of a domain only. An empty name means none. Defaults to none.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into()).filter(|d: &String| !d.trim().is_empty());
        self
    }

    /// Gives this worker threads of its own instead of the pool it shares with others, so that slow blocking work and CPU
    /// work do not wait for each other.
    pub fn dedicated_threads(mut self, n_threads: usize) -> Self {
        self.dedicated_threads = Some(n_threads);
        self
    }

    /// Limits how many tasks of this worker run at once in the shared pool. Defaults to the pool's size.
    pub fn max_concurrent(mut self, n_tasks: usize) -> Self {
        self.max_concurrent = Some(n_tasks);
        self
    }

    /// Sets how long the server may hold a poll of an idle queue, at most 5 s. An idle worker costs one request in that
    /// time. Defaults to 2 s.
    pub fn poll_timeout(mut self, hold: Duration) -> Self {
        self.poll_timeout = hold;
        self
    }

    /// Sets how many polls may be under way at once while the queue is busy. More than 1 helps where the network is slow.
    /// Defaults to 1.
    pub fn pollers(mut self, n_pollers: usize) -> Self {
        self.n_pollers = n_pollers;
        self
    }

    /// Turns heartbeats off: the server then times a task out when its handler takes longer than the response timeout.
    /// They are on by default.
    pub fn without_heartbeats(mut self) -> Self {
        self.heartbeats = Heartbeats::Off;
        self
    }

    /// Sets how often heartbeats are sent. Defaults to 80 % of the response timeout of each task; 0 means that too.
    pub fn heartbeat_every(mut self, interval: Duration) -> Self {
        self.heartbeats = if interval.is_zero() { Heartbeats::ByLease } else { Heartbeats::Every(interval) };
        self
    }

    /// The type of its tasks.
    pub fn task_type(&self) -> &str {
        &self.task_type
    }

    pub(crate) fn domain_name(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    pub(crate) fn n_dedicated_threads(&self) -> Option<usize> {
        self.dedicated_threads
    }

    pub(crate) fn most_at_once(&self) -> Option<usize> {
        self.max_concurrent
    }

    pub(crate) fn hold(&self) -> Duration {
        self.poll_timeout
    }

    pub(crate) fn n_pollers(&self) -> usize {
        self.n_pollers
    }

    pub(crate) fn heartbeats(&self) -> Heartbeats {
        self.heartbeats
    }

    pub(crate) fn handler(&self) -> Handler {
        Arc::clone(&self.handler)
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("task_type", &self.task_type)
            .field("domain", &self.domain)
            .field("dedicated_threads", &self.dedicated_threads)
            .field("max_concurrent", &self.max_concurrent)
            .field("poll_timeout", &self.poll_timeout)
            .field("n_pollers", &self.n_pollers)
            .finish_non_exhaustive()
    }
}

/// How a handler says that its task did not complete. It is a verdict, not an error: the server acts on it.
///
/// `?` on any [`std::error::Error`] makes [`TaskError::failed`], with the whole chain of causes as the reason.
///
/// ```
/// use std::time::Duration;
/// use conductor_sync::TaskError;
/// fn charge(card: &str) -> Result<u32, TaskError> {
///     let number: u64 = card.parse()?; // retried while the definition allows
///     if number == 0 {
///         return Err(TaskError::terminal("no such card")); // never retried
///     }
///     Err(TaskError::in_progress(Duration::from_secs(30))) // ask again in 30 s
/// }
/// assert!(charge("x").is_err());
/// ```
#[derive(Debug)]
pub struct TaskError {
    status: TaskResultStatus,
    reason: Option<String>,
    callback_after: Duration,
    output: Option<RawJson>,
}

impl TaskError {
    /// The attempt failed; the server retries while the task definition allows. It keeps 500 characters of the reason.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::with_status(TaskResultStatus::Failed, Some(reason.into()))
    }

    /// The task failed for good: no retry.
    pub fn terminal(reason: impl Into<String>) -> Self {
        Self::with_status(TaskResultStatus::FailedWithTerminalError, Some(reason.into()))
    }

    /// Nothing is wrong, but the task is not done: it is handed out again after `callback_after`, rounded up to whole
    /// seconds. The output so far is kept unless [`TaskError::output`] sets another.
    pub fn in_progress(callback_after: Duration) -> Self {
        Self { callback_after, ..Self::with_status(TaskResultStatus::InProgress, None) }
    }

    /// Sets the output, which should be an object.
    #[must_use]
    pub fn output(mut self, output: impl Into<RawJson>) -> Self {
        self.output = Some(output.into());
        self
    }

    fn with_status(status: TaskResultStatus, reason: Option<String>) -> Self {
        Self { status, reason, callback_after: Duration::ZERO, output: None }
    }
}

// `TaskError` itself is no `std::error::Error`: only so can any other error turn into one.
impl<E: StdError> From<E> for TaskError {
    fn from(error: E) -> Self {
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !reason.ends_with(&text) {
                reason.push_str(": ");
                reason.push_str(&text);
            }
            cause = error.source();
        }
        Self::failed(reason)
    }
}

/// A task as it was handed out: its text, and the few fields that every step needs.
#[derive(Debug)]
pub(crate) struct PolledTask {
    pub(crate) task_id: String,
    pub(crate) workflow_id: String,
    pub(crate) type_names: [Option<String>; 2],
    pub(crate) attempt: u32,
    pub(crate) poll_count: u32,
    /// The lease; `None` where the server never times the task out.
    pub(crate) lease: Option<Duration>,
    /// What is left of the definition's time for this attempt.
    pub(crate) time_left: Option<Duration>,
    pub(crate) input: RawJson,
    pub(crate) output: Option<RawJson>,
    pub(crate) external_input: Option<String>,
    text: RawJson,
}

/// The fields of a task that are decoded at once; all the rest stays text until somebody asks.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    task_id: Option<String>,
    workflow_instance_id: Option<String>,
    task_type: Option<String>,
    task_def_name: Option<String>,
    retry_count: Option<i64>,
    poll_count: Option<i64>,
    response_timeout_seconds: Option<i64>,
    start_time: Option<i64>,
    update_time: Option<i64>,
    input_data: Option<Box<RawValue>>,
    output_data: Option<Box<RawValue>>,
    external_input_payload_storage_path: Option<String>,
    task_definition: Option<Limits>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Limits {
    timeout_seconds: Option<i64>,
}

/// Enough of a task to report that the rest can't be read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaskIds {
    pub(crate) task_id: String,
    pub(crate) workflow_instance_id: String,
}

/// A task that can't be read: why, and its ids where they can.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) reason: String,
    pub(crate) ids: Option<(String, String)>,
}

impl Unreadable {
    pub(crate) fn new(text: &RawValue, reason: impl Into<String>) -> Self {
        let ids = serde_json::from_str::<TaskIds>(text.get()).ok();
        let ids = ids.filter(|ids| !ids.task_id.is_empty() && !ids.workflow_instance_id.is_empty());
        Self { reason: reason.into(), ids: ids.map(|ids| (ids.workflow_instance_id, ids.task_id)) }
    }
}

impl PolledTask {
    /// Reads one element of a poll's answer.
    pub(crate) fn read(text: &RawValue) -> Result<Self, Unreadable> {
        let envelope: Envelope = serde_json::from_str(text.get()).map_err(|e| Unreadable::new(text, e.to_string()))?;
        let lost = |what: &str| Unreadable { reason: format!("it has no {what}"), ids: None };
        let given = |id: Option<String>| id.filter(|id| !id.is_empty());
        let seconds =
            |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0).map(Duration::from_secs);
        let limit = seconds(envelope.task_definition.unwrap_or_default().timeout_seconds);
        // Both times are the server's, so their difference needs no common clock.
        let used = envelope.update_time.unwrap_or(0).saturating_sub(envelope.start_time.unwrap_or(0));
        let used = Duration::from_millis(u64::try_from(used).unwrap_or(0));
        Ok(Self {
            workflow_id: given(envelope.workflow_instance_id).ok_or_else(|| lost("workflowInstanceId"))?,
            task_id: given(envelope.task_id).ok_or_else(|| lost("taskId"))?,
            type_names: [envelope.task_type, envelope.task_def_name],
            attempt: u32::try_from(envelope.retry_count.unwrap_or(0)).unwrap_or(0),
            poll_count: u32::try_from(envelope.poll_count.unwrap_or(0)).unwrap_or(0),
            lease: seconds(envelope.response_timeout_seconds),
            time_left: limit.map(|limit| limit.saturating_sub(used)),
            input: envelope.input_data.map_or_else(RawJson::default, RawJson::from),
            output: envelope.output_data.map(RawJson::from).filter(|output| output.get().len() > 2),
            external_input: envelope.external_input_payload_storage_path.filter(|path| !path.is_empty()),
            text: RawJson::from(text.to_owned()),
        })
    }
}

/// What the threads around a handler and the handler tell each other.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// Set by the keeper when the task has ended on the server; read by the handler and the updater.
    pub(crate) cancelled: AtomicBool,
    /// Set by the handler's `heartbeat()`; taken by the keeper.
    pub(crate) heartbeat_wanted: AtomicBool,
    /// Wakes the keeper, which reads it; has room for one. `None` in tests of handlers.
    pub(crate) nudge: Option<Sender<()>>,
    /// Set by a stop; read by the handler.
    pub(crate) stopping: Arc<AtomicBool>,
}

/// What a handler sees of its task and of the world around it.
#[derive(Debug)]
pub struct TaskContext {
    task: PolledTask,
    domain: Option<String>,
    worker_id: String,
    deadline: Option<Instant>,
    signals: Arc<Signals>,
    /// Written by the handler, possibly from threads of its own; emptied into the result.
    logs: Mutex<Vec<TaskExecLog>>,
}

impl TaskContext {
    /// A context for calling a handler in a test, without a server.
    ///
    /// ```
    /// use conductor_sync::{RawJson, TaskContext};
    /// let cx = TaskContext::for_test(&serde_json::json!({"taskId": "t", "workflowInstanceId": "w", "retryCount": 2}))?;
    /// assert_eq!(cx.attempt(), 2);
    /// # Ok::<(), conductor_sync::Error>(())
    /// ```
    ///
    /// # Errors
    /// When `task` is no task: see the fields of [`Task`].
    pub fn for_test(task: &impl Serialize) -> Result<Self> {
        let text = serde_json::value::to_raw_value(task).map_err(|e| Error::encode("task", e))?;
        let task =
            PolledTask::read(&text).map_err(|e| Error::invalid("task", format!("can't be read: {}", e.reason)))?;
        Ok(Self::new(task, None, "test".to_owned(), Arc::default()))
    }

    pub(crate) fn new(task: PolledTask, domain: Option<String>, worker_id: String, signals: Arc<Signals>) -> Self {
        let deadline = task.time_left.map(|left| Instant::now() + left);
        Self { task, domain, worker_id, deadline, signals, logs: Mutex::new(Vec::new()) }
    }

    /// The whole task, decoded anew on each call.
    ///
    /// # Errors
    /// When a field of it is not what it should be; the error names the field.
    pub fn task(&self) -> Result<Task> {
        self.task.text.decode()
    }

    /// The input as the server sent it.
    pub fn input(&self) -> &RawJson {
        &self.task.input
    }

    /// The output so far, from an earlier hand-out of the same attempt.
    pub fn output_so_far(&self) -> Option<&RawJson> {
        self.task.output.as_ref()
    }

    /// The id of this attempt.
    pub fn task_id(&self) -> &str {
        &self.task.task_id
    }

    /// The id of the workflow.
    pub fn workflow_id(&self) -> &str {
        &self.task.workflow_id
    }

    /// Which attempt this is, from 0.
    pub fn attempt(&self) -> u32 {
        self.task.attempt
    }

    /// How often this attempt was handed out, from 1: more than 1 after an IN_PROGRESS result.
    pub fn poll_count(&self) -> u32 {
        self.task.poll_count
    }

    /// The domain it was polled from.
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// A key that is the same for each hand-out of this attempt and differs between attempts: hand it to services that can
    /// tell a repeated call from a new one.
    pub fn idempotency_key(&self) -> String {
        format!("{}:{}", self.task.workflow_id, self.task.task_id)
    }

    /// Adds a line to the task's log; it is sent with the result.
    pub fn log(&self, line: impl Into<String>) {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner).push(TaskExecLog::now(line));
    }

    /// Whether the task has ended on the server meanwhile: cancelled, timed out or gone. Its result will not be sent, so a
    /// handler may return at once. The server is asked only now and then: see
    /// [`TaskRunner::cancellation_check`](crate::TaskRunner::cancellation_check).
    pub fn is_cancelled(&self) -> bool {
        self.signals.cancelled.load(Ordering::Acquire)
    }

    /// Whether the runner is stopping. A handler that can leave its work in a good place should do so, for instance with
    /// [`TaskError::in_progress`].
    pub fn is_stopping(&self) -> bool {
        self.signals.stopping.load(Ordering::Acquire)
    }

    /// When the task definition's `timeoutSeconds` is over for this attempt; `None` where it sets none. Heartbeats do not
    /// move it.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Asks for a heartbeat now instead of when it is due. Heartbeats are sent without this as well.
    pub fn heartbeat(&self) {
        self.signals.heartbeat_wanted.store(true, Ordering::Release);
        if let Some(nudge) = &self.signals.nudge {
            // Full means that the keeper is about to look anyway.
            let _full = nudge.try_send(());
        }
    }

    /// A result for this task, for handlers made with [`Worker::raw`].
    pub fn result(&self, status: TaskResultStatus) -> TaskResult {
        TaskResult::new(self.workflow_id(), self.task_id(), status)
    }

    pub(crate) fn external_input(&self) -> Option<&str> {
        self.task.external_input.as_deref()
    }

    /// The lines so far; what is beyond the server's limit shares the last entry.
    fn take_logs(&self) -> Vec<TaskExecLog> {
        let mut logs = std::mem::take(&mut *self.logs.lock().unwrap_or_else(PoisonError::into_inner));
        let rest = logs.split_off(logs.len().min(MAX_LOG_ENTRIES));
        if let Some(last) = logs.last_mut() {
            for line in rest {
                last.log.push('\n');
                last.log.push_str(&line.log);
            }
        }
        logs
    }
}

/// What came of a task: the result to report, and the name of its failure for the metrics.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) result: TaskResult,
    pub(crate) failure: Option<&'static str>,
}

impl Outcome {
    /// A verdict that the runner gives instead of the handler.
    pub(crate) fn failed(cx: &TaskContext, status: TaskResultStatus, reason: String, failure: &'static str) -> Self {
        let mut result = cx.result(status).reason(shorten(&reason)).worker_id(&cx.worker_id);
        result.logs = cx.take_logs();
        Self { result, failure: Some(failure) }
    }

    fn invalid_input(cx: &TaskContext, reason: String) -> Self {
        Self::failed(cx, TaskResultStatus::FailedWithTerminalError, format!("input: {reason}"), "InvalidInput")
    }

    fn from_verdict(cx: &TaskContext, verdict: Result<Result<RawJson, String>, TaskError>) -> Self {
        let error = match verdict {
            Ok(Ok(output)) => {
                let mut result = cx.result(TaskResultStatus::Completed).output(output).worker_id(&cx.worker_id);
                result.logs = cx.take_logs();
                return Self { result, failure: None };
            }
            Ok(Err(reason)) => {
                let reason = format!("output: {reason}");
                return Self::failed(cx, TaskResultStatus::FailedWithTerminalError, reason, "InvalidOutput");
            }
            Err(error) => error,
        };
        let failure = match error.status {
            TaskResultStatus::InProgress => None,
            TaskResultStatus::FailedWithTerminalError => Some("TerminalError"),
            _ => Some("TaskError"),
        };
        let mut result = cx.result(error.status).worker_id(&cx.worker_id).callback_after(error.callback_after);
        result.reason_for_incompletion = error.reason.as_deref().map(shorten);
        // An IN_PROGRESS report replaces the output on the server, so what was there goes along.
        let kept = (failure.is_none()).then(|| cx.output_so_far().cloned()).flatten();
        result.output_data = error.output.map(wrap).or(kept);
        result.logs = cx.take_logs();
        Self { result, failure }
    }

    /// A whole result of a raw handler, made fit to be sent.
    fn from_result(cx: &TaskContext, mut result: TaskResult) -> Self {
        if result.task_id.is_empty() {
            result.task_id = cx.task_id().to_owned();
        }
        if result.workflow_instance_id.is_empty() {
            result.workflow_instance_id = cx.workflow_id().to_owned();
        }
        if result.worker_id.is_none() {
            result.worker_id = Some(cx.worker_id.clone());
        }
        // A negative pause strands the task on 3.32.1, and a lease extension would be taken instead of the result.
        result.callback_after_seconds = result.callback_after_seconds.max(0);
        result.extend_lease = false;
        result.output_data = result.output_data.map(wrap);
        result.reason_for_incompletion = result.reason_for_incompletion.as_deref().map(shorten);
        let mut logs = cx.take_logs();
        logs.append(&mut result.logs);
        result.logs = logs;
        let failure = match result.status {
            TaskResultStatus::Completed | TaskResultStatus::InProgress => None,
            TaskResultStatus::FailedWithTerminalError => Some("TerminalError"),
            _ => Some("TaskError"),
        };
        Self { result, failure }
    }
}

fn decode_input<I: DeserializeOwned>(text: &str) -> Result<I, String> {
    serde_json::from_str(text).map_err(|first| {
        // Decoded once more, to say where it went wrong.
        let mut decoder = serde_json::Deserializer::from_str(text);
        match serde_path_to_error::deserialize::<_, I>(&mut decoder) {
            Err(e) if e.path().iter().next().is_some() => format!("{}: {}", e.path(), e.inner()),
            _ => first.to_string(),
        }
    })
}

/// The output as JSON text, wrapped where it is no object.
fn encode_output<O: Serialize>(output: &O) -> Result<RawJson, String> {
    RawJson::new(output).map(wrap).map_err(|e| e.to_string())
}

fn wrap(output: RawJson) -> RawJson {
    #[derive(Serialize)]
    struct Wrapped {
        result: RawJson,
    }
    if output.is_object() {
        return output;
    }
    let fallback = output.clone();
    RawJson::new(&Wrapped { result: output }).unwrap_or(fallback)
}

/// The server keeps 500 characters of a reason (3.32.1).
pub(crate) fn shorten(reason: &str) -> String {
    const MOST: usize = 500;
    if reason.chars().nth(MOST).is_none() { reason.to_owned() } else { reason.chars().take(MOST).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn context(input: &serde_json::Value) -> TaskContext {
        TaskContext::for_test(&json!({"taskId": "t", "workflowInstanceId": "w", "inputData": input})).unwrap()
    }

    #[derive(Deserialize)]
    struct Order {
        items: Vec<u32>,
    }

    fn run(worker: &Worker, input: &serde_json::Value) -> TaskResult {
        (worker.handler())(&context(input)).result
    }

    #[test]
    fn a_wrong_input_is_a_terminal_failure_that_names_the_field() {
        let worker = Worker::new("sum", |_, order: Order| Ok(order.items.iter().sum::<u32>()));
        for (input, says) in [
            (json!({"items": [1, "x"]}), "items[1]"),
            (json!({}), "missing field `items`"),
            (json!({"items": -1}), "items"),
        ] {
            let result = run(&worker, &input);
            assert_eq!(result.status, TaskResultStatus::FailedWithTerminalError);
            let reason = result.reason_for_incompletion.unwrap();
            assert!(reason.contains(says), "{reason}");
        }
    }

    #[test]
    fn an_output_that_is_no_object_is_wrapped() {
        let worker = Worker::new("sum", |_, order: Order| Ok(order.items.iter().sum::<u32>()));
        let result = run(&worker, &json!({"items": [1, 2]}));
        assert_eq!(result.output_data.unwrap().get(), r#"{"result":3}"#);
    }

    #[test]
    fn any_error_becomes_a_failure_with_its_causes() {
        let worker = Worker::new("fail", |_, _: serde_json::Value| {
            let number: u32 = "x".parse()?;
            Ok(number)
        });
        let result = run(&worker, &json!({}));
        assert_eq!(result.status, TaskResultStatus::Failed);
        assert_eq!(result.reason_for_incompletion.as_deref(), Some("invalid digit found in string"));
    }

    #[test]
    fn an_in_progress_result_keeps_the_output_so_far() {
        let worker = Worker::new("later", |_, _: serde_json::Value| -> Result<(), TaskError> {
            Err(TaskError::in_progress(Duration::from_millis(1500)))
        });
        let task = json!({"taskId": "t", "workflowInstanceId": "w", "outputData": {"page": 3}});
        let result = (worker.handler())(&TaskContext::for_test(&task).unwrap()).result;
        assert_eq!((result.status, result.callback_after_seconds), (TaskResultStatus::InProgress, 2));
        assert_eq!(result.output_data.unwrap().get(), r#"{"page":3}"#);
    }

    #[test]
    fn log_lines_beyond_the_servers_limit_share_the_last_entry() {
        let cx = context(&json!({}));
        (0..13).for_each(|n| cx.log(n.to_string()));
        let logs = cx.take_logs();
        assert_eq!((logs.len(), logs[9].log.as_str()), (10, "9\n10\n11\n12"));
    }

    #[test]
    fn an_unreadable_task_keeps_its_ids() {
        let read = |text: &str| PolledTask::read(&RawValue::from_string(text.to_owned()).unwrap()).unwrap_err().ids;
        assert_eq!(read(r#"{"taskId":"t","workflowInstanceId":"w","retryCount":"x"}"#), Some(("w".into(), "t".into())));
        assert_eq!(read(r#"{"taskId":null,"workflowInstanceId":"w"}"#), None);
        assert_eq!(read("17"), None);
    }
}
