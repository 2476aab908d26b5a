//! What users write: a [`Worker`] is a handler with its settings, a [`TaskContext`] is what the handler sees of its task,
//! a [`TaskError`] is its verdict. No threads here, so a handler can be tested by calling it.

pub(crate) mod callback;
pub(crate) mod outcome;
pub(crate) mod polled;

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
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, Result},
    json::RawJson,
    task::{Task, TaskExecLog, TaskResult, TaskResultStatus},
};

use callback::Callback;
use outcome::{Outcome, decode_input, encode_output};
use polled::PolledTask;

/// The server keeps this many log entries of one report (3.32.1); further lines share the last one.
const MAX_LOG_ENTRIES: usize = 10;

/// All lines of a report together: far below the 20,000,000 characters that the server takes for one text (3.32.1).
const MAX_LOG_BYTES: usize = 1 << 20;

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
    give_back_after: Duration,
    n_pollers: usize,
    heartbeats: Heartbeats,
    handler: Handler,
}

/// What concerns one task is not sent more often: no lease needs that.
pub(crate) const LEAST_INTERVAL: Duration = Duration::from_millis(10);

/// When heartbeats are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Heartbeats {
    Off,
    /// At 80 % of the lease.
    ByLease,
    Every(Duration),
}

/// A handler with its types erased.
pub(crate) type Handler = Arc<Callback<AnyHandler>>;

type AnyHandler = dyn Fn(&TaskContext) -> Outcome + Send + Sync;

impl Worker {
    /// Runs `handler` for each task of the type `task_type`.
    ///
    /// The task's input is decoded into `I`; an input that does not fit fails the task for good, naming the field. What the
    /// handler returns becomes the output; anything but an object is wrapped as `{"result": …}`. A float that is no number
    /// is written as null. A panic fails the task with the panic's message. With `()` for `I` any input will do.
    ///
    /// Write a closure where it is used, or name the type of its first argument (`|cx: &TaskContext, input: I|`): the
    /// compiler can't infer it otherwise.
    pub fn new<I, O, F>(task_type: impl Into<String>, handler: F) -> Self
    where
        I: DeserializeOwned,
        O: Serialize,
        F: Fn(&TaskContext, I) -> Result<O, TaskError> + Send + Sync + 'static,
    {
        Self::with_handler(
            task_type.into(),
            Box::new(move |cx| match decode_input(cx.input().get()) {
                Ok(input) => Outcome::from_verdict(cx, handler(cx, input).map(|output| encode_output(&output))),
                Err(reason) => Outcome::invalid_input(cx, reason),
            }),
        )
    }

    /// Runs `handler` for each task of the type `task_type`, without decoding anything, and reports the result it returns
    /// as it is, but for the ids: a result is always about the handler's own task.
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
            Box::new(move |cx| match handler(cx) {
                Ok(result) => Outcome::from_result(cx, result),
                Err(error) => Outcome::from_verdict(cx, Err(error)),
            }),
        )
    }

    fn with_handler(task_type: String, handler: Box<AnyHandler>) -> Self {
        Self {
            task_type,
            domain: None,
            dedicated_threads: None,
            max_concurrent: None,
            poll_timeout: Duration::from_secs(2),
            give_back_after: Duration::from_secs(1),
            n_pollers: 1,
            heartbeats: Heartbeats::ByLease,
            handler: Arc::new(Callback::new(handler)),
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

    /// Limits how many tasks of this worker run at once in the shared pool. Defaults to the pool's size; more than that is no
    /// limit. Not for a worker with threads of its own.
    pub fn max_concurrent(mut self, n_tasks: usize) -> Self {
        self.max_concurrent = Some(n_tasks);
        self
    }

    /// Sets how long the server may hold a poll of an idle queue, at most 5 s. An idle worker costs one request in that
    /// time, and at most ten in a second. Defaults to 2 s.
    pub fn poll_timeout(mut self, hold: Duration) -> Self {
        self.poll_timeout = hold;
        self
    }

    /// Sets how long a task that came while every thread is busy may wait for one before it is given back to the server, so
    /// that another process may run it: at most 1 min. Such a task comes at most one at a time, from a held poll in the shared
    /// pool. Defaults to 1 s.
    pub fn give_back_after(mut self, wait: Duration) -> Self {
        self.give_back_after = wait;
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

    /// Sets how often heartbeats are sent; less than 10 ms counts as that. Defaults to 80 % of the response timeout of each
    /// task; 0 means that too.
    pub fn heartbeat_every(mut self, interval: Duration) -> Self {
        self.heartbeats =
            if interval.is_zero() { Heartbeats::ByLease } else { Heartbeats::Every(interval.max(LEAST_INTERVAL)) };
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

    pub(crate) fn wait_for_slot(&self) -> Duration {
        self.give_back_after
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
            .field("give_back_after", &self.give_back_after)
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
#[derive(Clone, Debug, PartialEq)]
#[must_use = "it only has an effect when the handler returns it"]
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

    /// The attempt failed because of `error`, for errors that `?` does not take: `TaskError::caused_by(error.as_ref())` for a
    /// boxed error or one of the anyhow crate. The reason is the error with its chain of causes.
    pub fn caused_by(error: &(dyn StdError + 'static)) -> Self {
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

    /// Says what was being done when it failed, in front of the reason:
    /// `fs::read(path).map_err(|e| TaskError::from(e).context("read the invoice"))?`.
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.reason = Some(match self.reason {
            Some(reason) => format!("{doing}: {reason}"),
            None => doing.to_string(),
        });
        self
    }

    /// What is reported.
    pub fn status(&self) -> &TaskResultStatus {
        &self.status
    }

    /// Why, if there is a reason.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// After what time an IN_PROGRESS task is handed out again.
    pub fn callback_after(&self) -> Duration {
        self.callback_after
    }

    /// The output that is reported along, if one was set.
    pub fn output_data(&self) -> Option<&RawJson> {
        self.output.as_ref()
    }

    /// Sets the output, which should be an object.
    pub fn output(mut self, output: impl Into<RawJson>) -> Self {
        self.output = Some(output.into());
        self
    }

    fn with_status(status: TaskResultStatus, reason: Option<String>) -> Self {
        Self { status, reason, callback_after: Duration::ZERO, output: None }
    }
}

// `TaskError` itself is no `std::error::Error`: only so can any other error turn into one.
impl<E: StdError + 'static> From<E> for TaskError {
    fn from(error: E) -> Self {
        Self::caused_by(&error)
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Some(reason) => write!(f, "{}: {reason}", self.status),
            None => self.status.fmt(f),
        }
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
    logs: Mutex<Logs>,
}

/// The lines of a task's log. What is beyond a limit is counted only.
#[derive(Debug, Default)]
struct Logs {
    lines: Vec<TaskExecLog>,
    n_bytes: usize,
    n_left_out: u64,
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
    /// When `task` is no task: it is JSON as the server sends it, with at least `taskId` and `workflowInstanceId`; the
    /// input is `inputData`. See the wire names of [`Task`].
    pub fn for_test(task: &impl Serialize) -> Result<Self> {
        let text = serde_json::value::to_raw_value(task).map_err(|e| Error::encode("task", e))?;
        let task =
            PolledTask::read(&text).map_err(|e| Error::invalid("task", format!("can't be read: {}", e.reason)))?;
        let domain = task.text.decode::<Task>()?.domain;
        Ok(Self::new(task, domain, "test".to_owned(), Arc::default()))
    }

    /// The same, for a task that has ended on the server: [`TaskContext::is_cancelled`] is true. For tests of handlers.
    #[must_use]
    pub fn cancelled(self) -> Self {
        self.signals.cancelled.store(true, Ordering::Release);
        self
    }

    /// The same, for a runner that is stopping: [`TaskContext::is_stopping`] is true. For tests of handlers.
    #[must_use]
    pub fn stopping(self) -> Self {
        self.signals.stopping.store(true, Ordering::Release);
        self
    }

    /// The same with a deadline. For tests of handlers.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The lines that were logged so far.
    pub fn logged(&self) -> Vec<String> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner).lines.iter().map(|line| line.log.clone()).collect()
    }

    pub(crate) fn new(task: PolledTask, domain: Option<String>, worker_id: String, signals: Arc<Signals>) -> Self {
        let deadline = task.time_left.map(|left| Instant::now() + left);
        Self { task, domain, worker_id, deadline, signals, logs: Mutex::default() }
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

    /// The output so far, from an earlier hand-out of the same attempt: `None` or an empty object the first time. A handler
    /// that is called again carries its state in it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use conductor_sync::{TaskContext, TaskError, Worker};
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Default, Deserialize, Serialize)]
    /// #[serde(default)] // An empty object is the beginning.
    /// struct Progress { pages: u32 }
    ///
    /// let import = Worker::new("import", |cx: &TaskContext, _: ()| {
    ///     let mut progress: Progress = cx.output_so_far().map(|output| output.decode()).transpose()?.unwrap_or_default();
    ///     progress.pages += 10;
    ///     match progress.pages < 30 {
    ///         true => Err(TaskError::in_progress(Duration::from_secs(5)).output(serde_json::to_value(&progress)?)),
    ///         false => Ok(progress),
    ///     }
    /// });
    /// ```
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
        self.task.poll_count.max(1)
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

    /// Adds a line to the task's log; it is sent with the result. The server keeps 10 entries of a report (3.32.1), so lines
    /// beyond the tenth are joined into the last entry. Lines beyond 1 MiB in all are left out and counted.
    pub fn log(&self, line: impl Into<String>) {
        let line = line.into();
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.n_bytes = logs.n_bytes.saturating_add(line.len() + 1);
        match logs.n_bytes <= MAX_LOG_BYTES {
            true => add_line(&mut logs.lines, TaskExecLog::now(line)),
            false => logs.n_left_out += 1,
        }
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

    /// When the task definition's `timeoutSeconds` is over for this attempt, or its `totalTimeoutSeconds` where that is
    /// sooner; `None` where it sets neither. Heartbeats do not move it.
    ///
    /// Of the total time this knows in the first attempt only: later ones do not say when the first was scheduled.
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

    /// The lines so far, and others.
    fn take_logs(&self, others: Vec<TaskExecLog>) -> Vec<TaskExecLog> {
        let Logs { lines: mut logs, n_left_out, .. } =
            std::mem::take(&mut *self.logs.lock().unwrap_or_else(PoisonError::into_inner));
        if n_left_out > 0 {
            let message = format!("{n_left_out} lines were left out: a log may have 1 MiB");
            add_line(&mut logs, TaskExecLog::now(message));
        }
        others.into_iter().for_each(|line| add_line(&mut logs, line));
        logs
    }
}

/// What is beyond the server's limit shares the last entry.
fn add_line(lines: &mut Vec<TaskExecLog>, mut line: TaskExecLog) {
    let is_full = lines.len() >= MAX_LOG_ENTRIES;
    match lines.last_mut().filter(|_| is_full) {
        None => {
            line.keep_text();
            lines.push(line);
        }
        Some(last) => {
            last.log.push('\n');
            last.log.push_str(&line.log);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{json, value::RawValue};

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
        let logs = cx.take_logs(Vec::new());
        assert_eq!((logs.len(), logs[9].log.as_str()), (10, "9\n10\n11\n12"));
    }

    #[test]
    fn an_unreadable_task_keeps_its_ids() {
        let read = |text: &str| PolledTask::read(&RawValue::from_string(text.to_owned()).unwrap()).unwrap_err().ids;
        assert_eq!(read(r#"{"taskId":"t","workflowInstanceId":"w","retryCount":"x"}"#), Some(("w".into(), "t".into())));
        assert_eq!(read(r#"{"taskId":null,"workflowInstanceId":"w"}"#), None);
        assert_eq!(read("17"), None);
    }

    #[test]
    fn a_raw_result_that_can_not_be_used_fails_its_task() {
        for (result, says) in [
            (TaskResult::default(), "no status"),
            (TaskResult::new("t", "w", TaskResultStatus::Completed), "it is for task w of workflow t"),
        ] {
            let worker = Worker::raw("odd", move |_| Ok(result.clone()));
            let sent = run(&worker, &json!({}));
            assert_eq!(sent.status, TaskResultStatus::FailedWithTerminalError);
            assert_eq!((sent.workflow_instance_id.as_str(), sent.task_id.as_str()), ("w", "t"));
            let reason = sent.reason_for_incompletion.unwrap();
            assert!(reason.contains(says), "{reason}");
        }
    }

    #[test]
    fn a_handler_without_input_takes_any() {
        let worker = Worker::new("ping", |_, _: ()| Ok("pong"));
        for input in [json!({}), json!({"n": 1})] {
            assert_eq!(run(&worker, &input).status, TaskResultStatus::Completed);
        }
    }

    #[test]
    fn a_verdict_can_be_looked_at() {
        let boxed: Box<dyn StdError + Send + Sync> = "x".parse::<u32>().unwrap_err().into();
        let error = TaskError::caused_by(boxed.as_ref()).context("read the count").output(json!({"n": 1}));
        assert_eq!(error.to_string(), "FAILED: read the count: invalid digit found in string");
        assert_eq!(error.output_data().unwrap().get(), r#"{"n":1}"#);
        let error = TaskError::in_progress(Duration::from_secs(3));
        assert_eq!((error.status(), error.callback_after()), (&TaskResultStatus::InProgress, Duration::from_secs(3)));
        assert_eq!(error.reason(), None);
    }

    #[test]
    fn a_test_can_put_a_handler_into_any_situation() {
        let task = json!({"taskId": "t", "workflowInstanceId": "w", "domain": "eu"});
        let end = Instant::now();
        let cx = TaskContext::for_test(&task).unwrap().cancelled().stopping().with_deadline(end);
        cx.log("seen");
        assert!(cx.is_cancelled() && cx.is_stopping());
        assert_eq!((cx.domain(), cx.poll_count(), cx.deadline()), (Some("eu"), 1, Some(end)));
        assert_eq!(cx.logged(), ["seen"]);
    }
}
