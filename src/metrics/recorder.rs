//! The series behind [`Metrics`](super::Metrics): made in one place, registered where the chosen set holds them, and moved
//! by one method per event. A family outside the chosen set counts as well and is only not handed out, so that no event
//! has to ask which set it is, and the summary is there in all.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder, core::Collector,
};

use super::MetricSet;

/// Task types with series of their own, and as many pairs of a workflow and its version. That many task types make 12 MB of
/// text, rendered in a tenth of a second, which is the most that a scrape should meet.
const MOST_TYPES: usize = 1_000;

/// The label of all that is beyond [`MOST_TYPES`].
const OTHER: &str = "other";

/// The buckets of the current SDKs, so that one dashboard serves them all.
const SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const BYTES: &[f64] = &[1e2, 1e3, 1e4, 1e5, 1e6, 1e7];

const SUCCESS: &str = "SUCCESS";
const FAILURE: &str = "FAILURE";

/// What a clone of [`Metrics`](super::Metrics) shares.
#[derive(Clone)]
pub(super) struct Recorder(Arc<Shared>);

struct Shared {
    set: MetricSet,
    registry: Registry,
    families: Arc<Families>,
    /// The handles given out. Written by [`Recorder::task`], read by the summary as well; valid between any two statements.
    tasks: Mutex<BTreeMap<String, TaskMetrics>>,
    /// Handles by method, route and status: all three come from closed sets.
    http: Mutex<HashMap<(&'static str, &'static str, u16), Histogram>>,
    /// The workflows with labels of their own, with the version as it is in the label.
    workflows: Mutex<BTreeSet<(String, String)>>,
}

impl Recorder {
    pub(super) fn new(set: MetricSet) -> Self {
        let registry = Registry::new();
        let families = Arc::new(Families::new(&registry, set));
        Self(Arc::new(Shared {
            set,
            registry,
            families,
            tasks: Mutex::default(),
            http: Mutex::default(),
            workflows: Mutex::default(),
        }))
    }

    pub(super) fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.0.registry.gather()).unwrap_or_else(|error| {
            log::error!("the metrics can't be written as text: {error}");
            String::new()
        })
    }

    pub(super) fn summary(&self) -> String {
        let mut text = String::new();
        for (task_type, task) in &*locked(&self.0.tasks) {
            let task = &task.0;
            text.push_str(&format!(
                "{task_type}: {} polls, {} executed, {} failed, {} updates\n",
                task.polls.get(),
                task.execute_time_success.get_sample_count(),
                task.execute_time_failure.get_sample_count(),
                task.update_time_success.get_sample_count(),
            ));
        }
        text
    }

    pub(super) fn task(&self, task_type: &str) -> TaskMetrics {
        let mut tasks = locked(&self.0.tasks);
        if let Some(task) = tasks.get(task_type) {
            return task.clone();
        }
        let label = if tasks.len() < MOST_TYPES { task_type } else { OTHER };
        // For `other` there may be an entry already.
        tasks.entry(label.to_owned()).or_insert_with(|| TaskMetrics::new(&self.0.families, label)).clone()
    }

    pub(super) fn http_request(&self, method: &'static str, route: &'static str, status: u16, took: Duration) {
        let mut handles = locked(&self.0.http);
        let handle = handles
            .entry((method, route, status))
            .or_insert_with(|| histogram(&self.0.families.http_request_seconds, &[method, route, &status.to_string()]));
        handle.observe(took.as_secs_f64());
    }

    pub(super) fn workflow_start_error(&self, workflow: &str, exception: &'static str) {
        let (workflow, _) = self.workflow_labels(workflow, String::new());
        counter(&self.0.families.workflow_start_error, &[&workflow, exception]).inc();
    }

    pub(super) fn workflow_input_size(&self, workflow: &str, version: Option<i32>, n_bytes: usize) {
        let version = version.map_or_else(String::new, |version| version.to_string());
        let (workflow, version) = self.workflow_labels(workflow, version);
        histogram(&self.0.families.workflow_input_bytes, &[&workflow, &version]).observe(as_value(n_bytes));
    }

    pub(super) fn uncaught(&self, exception: &'static str) {
        counter(&self.0.families.uncaught, &[exception]).inc();
    }

    fn workflow_labels(&self, workflow: &str, version: String) -> (String, String) {
        let mut known = locked(&self.0.workflows);
        let labels = (workflow.to_owned(), version);
        if known.contains(&labels) {
            return labels;
        }
        if known.len() >= MOST_TYPES {
            return (OTHER.to_owned(), String::new());
        }
        known.insert(labels.clone());
        labels
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("set", &self.0.set)
            .field("n_task_types", &locked(&self.0.tasks).len())
            .finish_non_exhaustive()
    }
}

/// The handles of one task type: an event moves atomics and neither looks anything up nor allocates, save for a failure,
/// whose series has its reason in the name. A clone moves the same series.
#[derive(Clone)]
pub(crate) struct TaskMetrics(Arc<TaskSeries>);

struct TaskSeries {
    task_type: String,
    /// Where failures find their series.
    families: Arc<Families>,

    guide_polls: IntCounter,
    guide_poll_time: Histogram,
    guide_execute_time: Histogram,
    guide_execute_error: IntCounter,
    guide_update_error: IntCounter,
    guide_result_size: Histogram,

    polls: IntCounter,
    poll_time_success: Histogram,
    poll_time_failure: Histogram,
    poll_ambiguous: IntCounter,
    queue_full: IntCounter,
    paused: IntCounter,
    execution_started: IntCounter,
    active_workers: IntGauge,
    execute_time_success: Histogram,
    execute_time_failure: Histogram,
    result_bytes: Histogram,
    update_time_success: Histogram,
    update_time_failure: Histogram,
    heartbeat_success: IntCounter,
    heartbeat_failure: IntCounter,
    given_back: IntCounter,
    unwanted: IntCounter,
    set_aside: IntCounter,
    cancelled: IntCounter,
    late: IntCounter,
    undelivered: IntGauge,
}

impl TaskMetrics {
    fn new(families: &Arc<Families>, task_type: &str) -> Self {
        let all = families;
        let (only, good, bad) = (&[task_type], &[task_type, SUCCESS], &[task_type, FAILURE]);
        Self(Arc::new(TaskSeries {
            task_type: task_type.to_owned(),
            families: Arc::clone(families),
            guide_polls: counter(&all.guide_polls, only),
            guide_poll_time: histogram(&all.guide_poll_time, only),
            guide_execute_time: histogram(&all.guide_execute_time, only),
            guide_execute_error: counter(&all.guide_execute_error, only),
            guide_update_error: counter(&all.guide_update_error, only),
            guide_result_size: histogram(&all.guide_result_size, only),
            polls: counter(&all.polls, only),
            poll_time_success: histogram(&all.poll_seconds, good),
            poll_time_failure: histogram(&all.poll_seconds, bad),
            poll_ambiguous: counter(&all.poll_ambiguous, only),
            queue_full: counter(&all.queue_full, only),
            paused: counter(&all.paused, only),
            execution_started: counter(&all.execution_started, only),
            active_workers: gauge(&all.active_workers, only),
            execute_time_success: histogram(&all.execute_seconds, good),
            execute_time_failure: histogram(&all.execute_seconds, bad),
            result_bytes: histogram(&all.result_bytes, only),
            update_time_success: histogram(&all.update_seconds, good),
            update_time_failure: histogram(&all.update_seconds, bad),
            heartbeat_success: counter(&all.heartbeat, good),
            heartbeat_failure: counter(&all.heartbeat, bad),
            given_back: counter(&all.given_back, only),
            unwanted: counter(&all.unwanted, only),
            set_aside: counter(&all.set_aside, only),
            cancelled: counter(&all.cancelled, only),
            late: counter(&all.late, only),
            undelivered: gauge(&all.undelivered, only),
        }))
    }

    /// A poll that the server answered, with or without tasks.
    pub(crate) fn polled(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.0.guide_polls.inc();
        self.0.guide_poll_time.observe(seconds);
        self.0.polls.inc();
        self.0.poll_time_success.observe(seconds);
    }

    /// A poll that failed, which is a poll as well. `status` is 0 where no answer came.
    pub(crate) fn poll_failed(&self, took: Duration, status: u16, exception: &'static str) {
        let (seconds, task_type) = (took.as_secs_f64(), self.0.task_type.as_str());
        self.0.guide_polls.inc();
        self.0.guide_poll_time.observe(seconds);
        counter(&self.0.families.guide_poll_error, &[task_type, "false", &status.to_string()]).inc();
        self.0.polls.inc();
        self.0.poll_time_failure.observe(seconds);
        counter(&self.0.families.poll_error, &[task_type, exception]).inc();
    }

    /// A poll without an answer, whose tasks the server may have handed out all the same.
    pub(crate) fn poll_ambiguous(&self) {
        self.0.poll_ambiguous.inc();
    }

    /// A poll that was left out, since no worker is free.
    pub(crate) fn queue_full(&self) {
        self.0.queue_full.inc();
    }

    /// A poll that was left out, since the worker is paused.
    pub(crate) fn paused(&self) {
        self.0.paused.inc();
    }

    /// A task that goes into user code; [`Self::executed`] or [`Self::execution_failed`] has to follow.
    pub(crate) fn execution_started(&self) {
        self.0.execution_started.inc();
        self.0.active_workers.inc();
    }

    pub(crate) fn executed(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.0.active_workers.dec();
        self.0.guide_execute_time.observe(seconds);
        self.0.execute_time_success.observe(seconds);
    }

    pub(crate) fn execution_failed(&self, took: Duration, exception: &'static str) {
        let seconds = took.as_secs_f64();
        self.0.active_workers.dec();
        self.0.guide_execute_time.observe(seconds);
        self.0.guide_execute_error.inc();
        self.0.execute_time_failure.observe(seconds);
        counter(&self.0.families.execute_error, &[&self.0.task_type, exception]).inc();
    }

    /// The bytes of a result as it goes over the wire.
    pub(crate) fn result_size(&self, n_bytes: usize) {
        let n_bytes = as_value(n_bytes);
        self.0.guide_result_size.observe(n_bytes);
        self.0.result_bytes.observe(n_bytes);
    }

    /// A result that the server took.
    pub(crate) fn updated(&self, took: Duration) {
        self.0.update_time_success.observe(took.as_secs_f64());
    }

    /// An attempt to deliver a result that failed.
    pub(crate) fn update_failed(&self, took: Duration, exception: &'static str) {
        self.0.guide_update_error.inc();
        self.0.update_time_failure.observe(took.as_secs_f64());
        counter(&self.0.families.update_error, &[&self.0.task_type, exception]).inc();
    }

    pub(crate) fn heartbeat(&self) {
        self.0.heartbeat_success.inc();
    }

    pub(crate) fn heartbeat_failed(&self) {
        self.0.heartbeat_failure.inc();
    }

    /// A task returned to the server unexecuted.
    pub(crate) fn given_back(&self) {
        self.0.given_back.inc();
    }

    /// A result that the server no longer wants.
    pub(crate) fn unwanted(&self) {
        self.0.unwanted.inc();
    }

    /// A result that was put aside after its last attempt.
    pub(crate) fn set_aside(&self) {
        self.0.set_aside.inc();
    }

    /// An execution that was asked to end early.
    pub(crate) fn cancelled(&self) {
        self.0.cancelled.inc();
    }

    /// A result that came after the server's deadline.
    pub(crate) fn late(&self) {
        self.0.late.inc();
    }

    /// Results that wait for delivery, more or fewer.
    pub(crate) fn undelivered_changed(&self, by: i64) {
        self.0.undelivered.add(by);
    }
}

impl fmt::Debug for TaskMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskMetrics").field("task_type", &self.0.task_type).finish_non_exhaustive()
    }
}

/// All names, with their labels and helps.
struct Families {
    guide_polls: IntCounterVec,
    guide_poll_error: IntCounterVec,
    guide_poll_time: HistogramVec,
    guide_execute_time: HistogramVec,
    guide_execute_error: IntCounterVec,
    guide_update_error: IntCounterVec,
    guide_result_size: HistogramVec,

    polls: IntCounterVec,
    poll_error: IntCounterVec,
    poll_seconds: HistogramVec,
    poll_ambiguous: IntCounterVec,
    queue_full: IntCounterVec,
    paused: IntCounterVec,
    execution_started: IntCounterVec,
    active_workers: IntGaugeVec,
    execute_seconds: HistogramVec,
    execute_error: IntCounterVec,
    result_bytes: HistogramVec,
    update_seconds: HistogramVec,
    update_error: IntCounterVec,
    heartbeat: IntCounterVec,
    given_back: IntCounterVec,
    unwanted: IntCounterVec,
    set_aside: IntCounterVec,
    cancelled: IntCounterVec,
    late: IntCounterVec,
    undelivered: IntGaugeVec,
    uncaught: IntCounterVec,
    workflow_start_error: IntCounterVec,
    workflow_input_bytes: HistogramVec,
    http_request_seconds: HistogramVec,
}

impl Families {
    #[rustfmt::skip]
    fn new(registry: &Registry, set: MetricSet) -> Self {
        let guide = Maker { registry: (set != MetricSet::Canonical).then_some(registry) };
        let canonical = Maker { registry: (set != MetricSet::Guide).then_some(registry) };
        let (task, status, exception) = (&["taskType"], &["taskType", "status"], &["taskType", "exception"]);
        Self {
            guide_polls: guide.counter("task_poll_counter", "Polls, failed ones too", task),
            guide_poll_error: guide.counter("task_poll_error", "Failed polls, by HTTP status (0 = no answer)", &["taskType", "includeRetries", "status"]),
            guide_poll_time: guide.histogram("task_poll_time", "Seconds until a poll ended, failed ones too", task, SECONDS),
            guide_execute_time: guide.histogram("task_execute_time", "Seconds in the worker's code, failed executions too", task, SECONDS),
            guide_execute_error: guide.counter("task_execute_error", "Executions that failed", task),
            guide_update_error: guide.counter("task_update_error", "Attempts to deliver a result that failed", task),
            guide_result_size: guide.histogram("task_result_size", "Bytes of a result", task, BYTES),

            polls: canonical.counter("task_poll_total", "Polls, failed ones too", task),
            poll_error: canonical.counter("task_poll_error_total", "Failed polls, by kind of error", exception),
            poll_seconds: canonical.histogram("task_poll_time_seconds", "Seconds until a poll ended", status, SECONDS),
            poll_ambiguous: canonical.counter("task_poll_ambiguous_total", "Polls without an answer, whose tasks may have been handed out", task),
            queue_full: canonical.counter("task_execution_queue_full_total", "Polls left out because no worker was free", task),
            paused: canonical.counter("task_paused_total", "Polls left out because the worker was paused", task),
            execution_started: canonical.counter("task_execution_started_total", "Tasks given to the worker's code", task),
            active_workers: canonical.gauge("active_workers", "Tasks in the worker's code now", task),
            execute_seconds: canonical.histogram("task_execute_time_seconds", "Seconds in the worker's code", status, SECONDS),
            execute_error: canonical.counter("task_execute_error_total", "Executions that failed, by kind of error", exception),
            result_bytes: canonical.histogram("task_result_size_bytes", "Bytes of a result", task, BYTES),
            update_seconds: canonical.histogram("task_update_time_seconds", "Seconds of an attempt to deliver a result", status, SECONDS),
            update_error: canonical.counter("task_update_error_total", "Attempts to deliver a result that failed, by kind of error", exception),
            heartbeat: canonical.counter("task_heartbeat_total", "Extensions of a running task's lease", status),
            given_back: canonical.counter("task_given_back_total", "Tasks returned to the server unexecuted", task),
            unwanted: canonical.counter("task_unwanted_total", "Results that the server no longer wanted", task),
            set_aside: canonical.counter("task_set_aside_total", "Results put aside after their last attempt", task),
            cancelled: canonical.counter("task_cancelled_total", "Executions asked to end early", task),
            late: canonical.counter("task_late_total", "Results that came after the server's deadline", task),
            undelivered: canonical.gauge("task_results_undelivered", "Results that wait for delivery now", task),
            uncaught: canonical.counter("thread_uncaught_exceptions_total", "Panics that ended in a thread of the SDK", &["exception"]),
            workflow_start_error: canonical.counter("workflow_start_error_total", "Workflows that could not be started, by kind of error", &["workflowType", "exception"]),
            workflow_input_bytes: canonical.histogram("workflow_input_size_bytes", "Bytes of a workflow's input", &["workflowType", "version"], BYTES),
            http_request_seconds: canonical.histogram("http_api_client_request_seconds", "Seconds of an attempt of an HTTP call", &["method", "uri", "status"], SECONDS),
        }
    }
}

/// Makes families and registers them, if their set is chosen.
struct Maker<'a> {
    registry: Option<&'a Registry>,
}

impl Maker<'_> {
    fn counter(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.registered(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn gauge(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.registered(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    fn histogram(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
        self.registered(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels))
    }

    #[expect(
        clippy::expect_used,
        reason = "names and labels are constants of this file, and a test makes each of them"
    )]
    fn registered<F: Collector + Clone + 'static>(&self, family: prometheus::Result<F>) -> F {
        let family = family.expect("well-formed names");
        if let Some(registry) = self.registry {
            registry.register(Box::new(family.clone())).expect("names that differ");
        }
        family
    }
}

#[expect(clippy::expect_used, reason = "a family and its labels are both written in this file, and a test joins them")]
fn counter(family: &IntCounterVec, labels: &[&str]) -> IntCounter {
    family.get_metric_with_label_values(labels).expect("as many labels as declared")
}

#[expect(clippy::expect_used, reason = "a family and its labels are both written in this file, and a test joins them")]
fn gauge(family: &IntGaugeVec, labels: &[&str]) -> IntGauge {
    family.get_metric_with_label_values(labels).expect("as many labels as declared")
}

#[expect(clippy::expect_used, reason = "a family and its labels are both written in this file, and a test joins them")]
fn histogram(family: &HistogramVec, labels: &[&str]) -> Histogram {
    family.get_metric_with_label_values(labels).expect("as many labels as declared")
}

/// Exact below 2⁵³ bytes.
fn as_value(n_bytes: usize) -> f64 {
    n_bytes as f64
}

/// The guard even after a panic elsewhere: each map is valid between any two statements.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Series that are neither a bucket nor a sum, by their text, with their values.
    fn series(recorder: &Recorder) -> BTreeMap<String, f64> {
        let text = recorder.render();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let values = lines.map(|line| line.rsplit_once(' ').unwrap());
        let wanted = values.filter(|(name, _)| !name.contains("_bucket{") && !name.contains("_sum{"));
        wanted.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect()
    }

    /// What `event` moves, one `series change` per entry, with `task` for the label of its task type.
    fn moved(set: MetricSet, event: impl FnOnce(&Recorder, &TaskMetrics)) -> Vec<String> {
        let recorder = Recorder::new(set);
        let task = recorder.task("greet");
        let before = series(&recorder);
        event(&recorder, &task);
        let after = series(&recorder);
        assert!(before.keys().all(|name| after.contains_key(name)), "a series went away");
        after
            .into_iter()
            .map(|(name, value)| (value - before.get(&name).copied().unwrap_or(0.0), name))
            .filter(|(change, _)| *change != 0.0)
            .map(|(change, name)| format!("{} {change:+}", name.replace("taskType=\"greet\"", "task")))
            .collect()
    }

    const TOOK: Duration = Duration::from_millis(3);

    type Event = fn(&TaskMetrics);

    #[test]
    fn each_event_of_a_task_type_moves_its_series_and_no_other() {
        let cases: &[(&str, Event, &[&str])] = &[
            (
                "polled",
                |task| task.polled(TOOK),
                &[
                    "task_poll_counter{task} +1",
                    "task_poll_time_count{task} +1",
                    "task_poll_time_seconds_count{status=\"SUCCESS\",task} +1",
                    "task_poll_total{task} +1",
                ],
            ),
            (
                "poll_failed",
                |task| task.poll_failed(TOOK, 503, "Server"),
                &[
                    "task_poll_counter{task} +1",
                    "task_poll_error_total{exception=\"Server\",task} +1",
                    "task_poll_error{includeRetries=\"false\",status=\"503\",task} +1",
                    "task_poll_time_count{task} +1",
                    "task_poll_time_seconds_count{status=\"FAILURE\",task} +1",
                    "task_poll_total{task} +1",
                ],
            ),
            ("poll_ambiguous", TaskMetrics::poll_ambiguous, &["task_poll_ambiguous_total{task} +1"]),
            ("queue_full", TaskMetrics::queue_full, &["task_execution_queue_full_total{task} +1"]),
            ("paused", TaskMetrics::paused, &["task_paused_total{task} +1"]),
            (
                "execution_started",
                TaskMetrics::execution_started,
                &["active_workers{task} +1", "task_execution_started_total{task} +1"],
            ),
            (
                "executed",
                |task| task.executed(TOOK),
                &[
                    "active_workers{task} -1",
                    "task_execute_time_count{task} +1",
                    "task_execute_time_seconds_count{status=\"SUCCESS\",task} +1",
                ],
            ),
            (
                "execution_failed",
                |task| task.execution_failed(TOOK, "Panic"),
                &[
                    "active_workers{task} -1",
                    "task_execute_error_total{exception=\"Panic\",task} +1",
                    "task_execute_error{task} +1",
                    "task_execute_time_count{task} +1",
                    "task_execute_time_seconds_count{status=\"FAILURE\",task} +1",
                ],
            ),
            (
                "result_size",
                |task| task.result_size(2_000),
                &["task_result_size_bytes_count{task} +1", "task_result_size_count{task} +1"],
            ),
            ("updated", |task| task.updated(TOOK), &["task_update_time_seconds_count{status=\"SUCCESS\",task} +1"]),
            (
                "update_failed",
                |task| task.update_failed(TOOK, "Connect"),
                &[
                    "task_update_error_total{exception=\"Connect\",task} +1",
                    "task_update_error{task} +1",
                    "task_update_time_seconds_count{status=\"FAILURE\",task} +1",
                ],
            ),
            ("heartbeat", TaskMetrics::heartbeat, &["task_heartbeat_total{status=\"SUCCESS\",task} +1"]),
            ("heartbeat_failed", TaskMetrics::heartbeat_failed, &["task_heartbeat_total{status=\"FAILURE\",task} +1"]),
            ("given_back", TaskMetrics::given_back, &["task_given_back_total{task} +1"]),
            ("unwanted", TaskMetrics::unwanted, &["task_unwanted_total{task} +1"]),
            ("set_aside", TaskMetrics::set_aside, &["task_set_aside_total{task} +1"]),
            ("cancelled", TaskMetrics::cancelled, &["task_cancelled_total{task} +1"]),
            ("late", TaskMetrics::late, &["task_late_total{task} +1"]),
            ("undelivered_changed", |task| task.undelivered_changed(-2), &["task_results_undelivered{task} -2"]),
        ];
        for (name, event, expected) in cases {
            assert_eq!(moved(MetricSet::Both, |_, task| event(task)), *expected, "{name}");
        }
    }

    #[test]
    fn each_event_of_a_client_moves_its_series_and_no_other() {
        type Event = fn(&Recorder);
        let cases: &[(Event, &str)] = &[
            (
                |all| all.http_request("GET", "/tasks/{taskId}", 404, TOOK),
                "http_api_client_request_seconds_count{method=\"GET\",status=\"404\",uri=\"/tasks/{taskId}\"} +1",
            ),
            (
                |all| all.workflow_start_error("order", "Rejected"),
                "workflow_start_error_total{exception=\"Rejected\",workflowType=\"order\"} +1",
            ),
            (
                |all| all.workflow_input_size("order", Some(7), 10),
                "workflow_input_size_bytes_count{version=\"7\",workflowType=\"order\"} +1",
            ),
            (
                |all| all.workflow_input_size("order", None, 10),
                "workflow_input_size_bytes_count{version=\"\",workflowType=\"order\"} +1",
            ),
            (|all| all.uncaught("Panic"), "thread_uncaught_exceptions_total{exception=\"Panic\"} +1"),
        ];
        for (event, expected) in cases {
            assert_eq!(moved(MetricSet::Both, |all, _| event(all)), [*expected]);
        }
    }

    #[test]
    fn times_are_in_seconds_and_sizes_in_bytes_and_the_buckets_are_those_of_the_other_sdks() {
        let recorder = Recorder::new(MetricSet::Both);
        let task = recorder.task("greet");
        task.polled(TOOK);
        task.result_size(2_000);
        let text = recorder.render();
        for line in [
            "# TYPE task_poll_time histogram",
            "task_poll_time_bucket{taskType=\"greet\",le=\"0.001\"} 0",
            "task_poll_time_bucket{taskType=\"greet\",le=\"0.005\"} 1",
            "task_poll_time_bucket{taskType=\"greet\",le=\"10\"} 1",
            "task_poll_time_sum{taskType=\"greet\"} 0.003",
            "task_result_size_bucket{taskType=\"greet\",le=\"1000\"} 0",
            "task_result_size_bucket{taskType=\"greet\",le=\"10000\"} 1",
            "task_result_size_sum{taskType=\"greet\"} 2000",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        for (name, n_buckets) in [
            ("task_poll_time", 13),
            ("task_poll_time_seconds", 26),
            ("task_execute_time", 13),
            ("task_execute_time_seconds", 26),
            ("task_update_time_seconds", 26),
            ("task_result_size", 7),
            ("task_result_size_bytes", 7),
        ] {
            let found = text.lines().filter(|line| line.starts_with(&format!("{name}_bucket{{"))).count();
            assert_eq!(found, n_buckets, "{name}");
        }
    }

    #[test]
    fn every_time_and_size_says_its_unit_in_its_help() {
        let recorder = Recorder::new(MetricSet::Both);
        recorder.task("greet");
        recorder.http_request("GET", "/", 200, TOOK);
        recorder.workflow_input_size("order", None, 1);
        let text = recorder.render();
        for family in text.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
            let (name, help) = family.split_once(' ').unwrap();
            let unit = if name.contains("_time") || name.ends_with("_seconds") {
                "Seconds"
            } else if name.contains("_size") {
                "Bytes"
            } else {
                ""
            };
            assert!(help.starts_with(unit), "{family}");
        }
    }

    #[test]
    fn a_set_hands_out_its_names_only() {
        let names = |set| {
            let recorder = Recorder::new(set);
            let task = recorder.task("greet");
            task.poll_failed(TOOK, 0, "Connect");
            task.execution_failed(TOOK, "Panic");
            task.update_failed(TOOK, "Connect");
            recorder.http_request("GET", "/", 200, TOOK);
            recorder.workflow_start_error("order", "Rejected");
            recorder.workflow_input_size("order", None, 1);
            recorder.uncaught("Panic");
            let text = recorder.render();
            let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
            types.map(|line| line.split(' ').next().unwrap().to_owned()).collect::<BTreeSet<_>>()
        };
        let (guide, canonical, both) = (names(MetricSet::Guide), names(MetricSet::Canonical), names(MetricSet::Both));
        let of_the_guide = [
            "task_execute_error",
            "task_execute_time",
            "task_poll_counter",
            "task_poll_error",
            "task_poll_time",
            "task_result_size",
            "task_update_error",
        ];
        assert_eq!(guide.iter().collect::<Vec<_>>(), of_the_guide);
        assert_eq!(canonical.len(), 24);
        assert!(guide.is_disjoint(&canonical));
        assert_eq!(both, guide.union(&canonical).cloned().collect());
    }

    #[test]
    fn task_types_beyond_a_thousand_share_one_label() {
        let recorder = Recorder::new(MetricSet::Guide);
        for index in 0..MOST_TYPES {
            recorder.task(&format!("type-{index}")).polled(TOOK);
        }
        recorder.task("late-comer").polled(TOOK);
        recorder.task("another").polled(TOOK);
        recorder.task("type-7").polled(TOOK);
        let series = series(&recorder);
        assert_eq!(series["task_poll_counter{taskType=\"other\"}"], 2.0);
        assert_eq!(series["task_poll_counter{taskType=\"type-7\"}"], 2.0);
        let n_types = series.keys().filter(|name| name.starts_with("task_poll_counter")).count();
        assert_eq!(n_types, MOST_TYPES + 1);
    }

    #[test]
    fn workflows_beyond_a_thousand_share_one_label() {
        let recorder = Recorder::new(MetricSet::Canonical);
        for version in 0..1_002 {
            recorder.workflow_input_size("order", Some(version), 1);
        }
        let series = series(&recorder);
        assert_eq!(series["workflow_input_size_bytes_count{version=\"\",workflowType=\"other\"}"], 2.0);
        assert_eq!(series.len(), MOST_TYPES + 1);
    }

    #[test]
    fn the_summary_has_a_line_per_task_type_in_every_set() {
        for set in [MetricSet::Guide, MetricSet::Canonical, MetricSet::Both] {
            let recorder = Recorder::new(set);
            let task = recorder.task("pay");
            task.polled(TOOK);
            task.poll_failed(TOOK, 0, "Connect");
            task.execution_started();
            task.executed(TOOK);
            task.execution_failed(TOOK, "Panic");
            task.updated(TOOK);
            task.update_failed(TOOK, "Connect");
            recorder.task("greet");
            let expected = "greet: 0 polls, 0 executed, 0 failed, 0 updates\n\
                            pay: 2 polls, 1 executed, 1 failed, 1 updates\n";
            assert_eq!(recorder.summary(), expected);
        }
    }

    #[test]
    fn clones_share_their_numbers_and_registries_do_not() {
        let (recorder, stranger) = (Recorder::new(MetricSet::Both), Recorder::new(MetricSet::Both));
        recorder.clone().task("greet").polled(TOOK);
        recorder.task("greet").polled(TOOK);
        assert!(recorder.summary().contains("2 polls"));
        assert_eq!(stranger.render(), "");
    }

    #[test]
    fn threads_that_record_at_the_same_time_lose_nothing() {
        let recorder = Recorder::new(MetricSet::Both);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let task = recorder.task("greet");
                    for _ in 0..1_000 {
                        task.polled(TOOK);
                        recorder.http_request("GET", "/", 200, TOOK);
                    }
                });
            }
        });
        let series = series(&recorder);
        assert_eq!(series["task_poll_time_count{taskType=\"greet\"}"], 4_000.0);
        assert_eq!(series["http_api_client_request_seconds_count{method=\"GET\",status=\"200\",uri=\"/\"}"], 4_000.0);
    }
}
