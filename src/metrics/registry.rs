//! The recording side with the feature `metrics`: the series, and handles on them that are made once, so that recording
//! is a few atomic additions.
//!
//! Each series is a collector with constant labels and not the child of a `prometheus` vector: vectors (0.14) find
//! children by a hash of the label values without a separator, so workflow `a` version 12 and workflow `a1` version 2
//! would share a series.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Opts, Registry, TextEncoder, core::Collector};

use super::{
    MetricSet, Metrics,
    catalogue::{self, BYTES_BUCKETS, Family, Kind, Naming, SECONDS_BUCKETS},
};

/// Distinct task types, workflow types (each with its versions or exceptions). Names come from programs,
/// but a program may make them up at run time. 1,000 task types are a scrape of 10 MB, written in 0.1 s, and 30 MB of memory;
/// nobody has that many on purpose in one process.
const MOST_NAMES: usize = 1_000;

/// The label value that the names beyond [`MOST_NAMES`] share.
const OTHER: &str = "other";

const SUCCESS: &str = "SUCCESS";
const FAILURE: &str = "FAILURE";

/// What is behind [`Metrics`].
pub(super) struct Backend {
    series: Arc<SeriesMaker>,
    tasks: Mutex<BTreeMap<String, TaskMetrics>>,
    requests: Found<(&'static str, &'static str, u16), Histogram>,
    workflow_start_errors: Found<(String, &'static str), IntCounter>,
    workflow_input_sizes: Found<(String, Option<i32>), Histogram>,
    uncaught: Found<&'static str, IntCounter>,
}

impl Backend {
    pub(super) fn new(set: MetricSet) -> Self {
        Self {
            series: Arc::new(SeriesMaker { registry: Registry::new(), set }),
            tasks: Mutex::default(),
            requests: Found::default(),
            workflow_start_errors: Found::default(),
            workflow_input_sizes: Found::default(),
            uncaught: Found::default(),
        }
    }

    pub(super) fn render(&self) -> String {
        let families = self.series.registry.gather();
        TextEncoder::new().encode_to_string(&families).unwrap_or_else(|e| {
            log::error!("metrics can't be written as text: {e}");
            String::new()
        })
    }

    pub(super) fn summary(&self) -> String {
        let tasks = locked(&self.tasks);
        tasks.iter().map(|(task_type, task)| task.summary(task_type)).collect()
    }
}

impl Metrics {
    /// The handles of one task type, made at the first call. Its series start at 0.
    pub(crate) fn task(&self, task_type: &str) -> TaskMetrics {
        let backend = &*self.backend;
        let mut tasks = locked(&backend.tasks);
        if let Some(task) = tasks.get(task_type) {
            return task.clone();
        }
        let name = if tasks.len() < MOST_NAMES { task_type } else { OTHER };
        tasks.entry(name.to_owned()).or_insert_with(|| TaskMetrics::new(&backend.series, name)).clone()
    }

    /// One try of a request; `uri` is the path's template, `status` 0 where no answer came.
    pub(crate) fn http_request(&self, method: &'static str, uri: &'static str, status: u16, elapsed: Duration) {
        let backend = &*self.backend;
        let histogram = backend.requests.get((method, uri, status), || {
            backend.series.histogram(catalogue::HTTP_TIME, &[method, uri, &status.to_string()])
        });
        histogram.observe(elapsed.as_secs_f64());
    }

    pub(crate) fn workflow_start_error(&self, workflow_type: &str, exception: &'static str) {
        let backend = &*self.backend;
        let key = (workflow_type.to_owned(), exception);
        let counter =
            backend.workflow_start_errors.get_named(key, (OTHER.to_owned(), exception), |(name, exception)| {
                backend.series.counter(catalogue::WORKFLOW_START_ERRORS, &[name, exception])
            });
        counter.inc();
    }

    pub(crate) fn workflow_input_size(&self, workflow_type: &str, version: Option<i32>, bytes: usize) {
        let backend = &*self.backend;
        let key = (workflow_type.to_owned(), version);
        let histogram = backend.workflow_input_sizes.get_named(key, (OTHER.to_owned(), None), |(name, version)| {
            let version = version.map(|version| version.to_string()).unwrap_or_default();
            backend.series.histogram(catalogue::WORKFLOW_INPUT_SIZE, &[name, &version])
        });
        histogram.observe(bytes as f64);
    }

    /// A panic: a handler's, or one that ended a thread of this SDK.
    pub(crate) fn uncaught(&self, exception: &'static str) {
        let backend = &*self.backend;
        backend.uncaught.get(exception, || backend.series.counter(catalogue::UNCAUGHT, &[exception])).inc();
    }
}

/// The handles on the series of one task type.
#[derive(Clone)]
pub(crate) struct TaskMetrics(Arc<TaskSeries>);

struct TaskSeries {
    series: Arc<SeriesMaker>,
    task_type: String,
    guide: GuideSeries,
    polls: IntCounter,
    poll_errors: Found<&'static str, IntCounter>,
    poll_time: ByStatus<Histogram>,
    polls_ambiguous: IntCounter,
    queue_full: IntCounter,
    paused: IntCounter,
    started: IntCounter,
    active: IntGauge,
    execute_time: ByStatus<Histogram>,
    execute_errors: Found<&'static str, IntCounter>,
    result_size: Histogram,
    update_time: ByStatus<Histogram>,
    update_errors: Found<&'static str, IntCounter>,
    undelivered: IntGauge,
    heartbeats: ByStatus<IntCounter>,
    given_back: IntCounter,
    unwanted: IntCounter,
    set_aside: IntCounter,
    cancelled: IntCounter,
    late: IntCounter,
}

struct GuideSeries {
    polls: IntCounter,
    poll_errors: Found<u16, IntCounter>,
    poll_time: Histogram,
    execute_time: Histogram,
    execute_errors: IntCounter,
    update_errors: IntCounter,
    result_size: Histogram,
}

struct ByStatus<S> {
    success: S,
    failure: S,
}

impl<S> ByStatus<S> {
    fn new(make: impl Fn(&str) -> S) -> Self {
        Self { success: make(SUCCESS), failure: make(FAILURE) }
    }
}

impl TaskMetrics {
    fn new(series: &Arc<SeriesMaker>, task_type: &str) -> Self {
        let counter = |family| series.counter(family, &[task_type]);
        let histogram = |family| series.histogram(family, &[task_type]);
        let times = |family| ByStatus::new(|status| series.histogram(family, &[task_type, status]));
        Self(Arc::new(TaskSeries {
            series: Arc::clone(series),
            task_type: task_type.to_owned(),
            guide: GuideSeries {
                polls: counter(catalogue::GUIDE_POLLS),
                // The other series of this family show up with their status.
                poll_errors: Found::with(0, series.guide_poll_errors(task_type, 0)),
                poll_time: histogram(catalogue::GUIDE_POLL_TIME),
                execute_time: histogram(catalogue::GUIDE_EXECUTE_TIME),
                execute_errors: counter(catalogue::GUIDE_EXECUTE_ERRORS),
                update_errors: counter(catalogue::GUIDE_UPDATE_ERRORS),
                result_size: histogram(catalogue::GUIDE_RESULT_SIZE),
            },
            polls: counter(catalogue::POLLS),
            poll_errors: Found::default(),
            poll_time: times(catalogue::POLL_TIME),
            polls_ambiguous: counter(catalogue::POLLS_AMBIGUOUS),
            queue_full: counter(catalogue::QUEUE_FULL),
            paused: counter(catalogue::PAUSED),
            started: counter(catalogue::STARTED),
            active: series.gauge(catalogue::ACTIVE, &[task_type]),
            execute_time: times(catalogue::EXECUTE_TIME),
            execute_errors: Found::default(),
            result_size: histogram(catalogue::RESULT_SIZE),
            update_time: times(catalogue::UPDATE_TIME),
            update_errors: Found::default(),
            undelivered: series.gauge(catalogue::UNDELIVERED, &[task_type]),
            heartbeats: ByStatus::new(|status| series.counter(catalogue::HEARTBEATS, &[task_type, status])),
            given_back: counter(catalogue::GIVEN_BACK),
            unwanted: counter(catalogue::UNWANTED),
            set_aside: counter(catalogue::SET_ASIDE),
            cancelled: counter(catalogue::CANCELLED),
            late: counter(catalogue::LATE),
        }))
    }

    /// One poll that was answered.
    pub(crate) fn polled(&self, elapsed: Duration) {
        self.0.poll_time.success.observe(elapsed.as_secs_f64());
        self.count_poll(elapsed);
    }

    /// One poll that failed, which counts as a poll too; `status` is 0 where no answer came.
    pub(crate) fn poll_failed(&self, elapsed: Duration, status: u16, exception: &'static str) {
        let TaskSeries { series, task_type, guide, poll_errors, poll_time, .. } = &*self.0;
        poll_time.failure.observe(elapsed.as_secs_f64());
        self.count_poll(elapsed);
        self.count_exception(poll_errors, catalogue::POLL_ERRORS, exception);
        guide.poll_errors.get(status, || series.guide_poll_errors(task_type, status)).inc();
    }

    /// No whole answer came to a poll: tasks may have been handed out. Goes with [`TaskMetrics::poll_failed`].
    pub(crate) fn poll_ambiguous(&self) {
        self.0.polls_ambiguous.inc();
    }

    /// A poll was not made since no slot is free.
    pub(crate) fn queue_full(&self) {
        self.0.queue_full.inc();
    }

    /// A poll was not made since the worker is paused.
    pub(crate) fn paused(&self) {
        self.0.paused.inc();
    }

    /// The handler is called. Each call is followed by one of `executed` or `execution_failed`.
    pub(crate) fn execution_started(&self) {
        self.0.started.inc();
        self.0.active.inc();
    }

    /// The handler is done.
    pub(crate) fn executed(&self, elapsed: Duration) {
        self.0.execute_time.success.observe(elapsed.as_secs_f64());
        self.0.guide.execute_time.observe(elapsed.as_secs_f64());
        self.0.active.dec();
    }

    /// The handler failed; `exception` is one of TaskError, TerminalError, Panic, InvalidInput, InvalidOutput.
    pub(crate) fn execution_failed(&self, elapsed: Duration, exception: &'static str) {
        self.0.execute_time.failure.observe(elapsed.as_secs_f64());
        self.0.guide.execute_time.observe(elapsed.as_secs_f64());
        self.count_exception(&self.0.execute_errors, catalogue::EXECUTE_ERRORS, exception);
        self.0.guide.execute_errors.inc();
        self.0.active.dec();
    }

    /// The size of a result's body.
    pub(crate) fn result_size(&self, bytes: usize) {
        self.0.result_size.observe(bytes as f64);
        self.0.guide.result_size.observe(bytes as f64);
    }

    /// A result was acknowledged, `elapsed` after its first try began.
    pub(crate) fn updated(&self, elapsed: Duration) {
        self.0.update_time.success.observe(elapsed.as_secs_f64());
    }

    /// One try to deliver a result failed.
    pub(crate) fn update_failed(&self, elapsed: Duration, exception: &'static str) {
        self.0.update_time.failure.observe(elapsed.as_secs_f64());
        self.count_exception(&self.0.update_errors, catalogue::UPDATE_ERRORS, exception);
        self.0.guide.update_errors.inc();
    }

    /// A lease was extended.
    pub(crate) fn heartbeat(&self) {
        self.0.heartbeats.success.inc();
    }

    /// A lease could not be extended.
    pub(crate) fn heartbeat_failed(&self) {
        self.0.heartbeats.failure.inc();
    }

    /// A task was given back to the server unstarted.
    pub(crate) fn given_back(&self) {
        self.0.given_back.inc();
    }

    /// A result was dropped since the server said twice that the task does not exist.
    pub(crate) fn unwanted(&self) {
        self.0.unwanted.inc();
    }

    /// A result was set aside since it can't be delivered.
    pub(crate) fn set_aside(&self) {
        self.0.set_aside.inc();
    }

    /// A task ended on the server while it ran here, and its result was not sent.
    pub(crate) fn cancelled(&self) {
        self.0.cancelled.inc();
    }

    /// The time of a task was over before its handler was done.
    pub(crate) fn late(&self) {
        self.0.late.inc();
    }

    /// Results were put in line for delivery (more), or left it (less).
    pub(crate) fn undelivered_changed(&self, by: i64) {
        self.0.undelivered.add(by);
    }

    fn count_poll(&self, elapsed: Duration) {
        self.0.polls.inc();
        self.0.guide.polls.inc();
        self.0.guide.poll_time.observe(elapsed.as_secs_f64());
    }

    fn count_exception(&self, errors: &Found<&'static str, IntCounter>, family: &'static Family, name: &'static str) {
        errors.get(name, || self.0.series.counter(family, &[&self.0.task_type, name])).inc();
    }

    fn summary(&self, task_type: &str) -> String {
        let TaskSeries { polls, poll_time, execute_time, update_time, active, undelivered, .. } = &*self.0;
        let [executed, failed] = [&execute_time.success, &execute_time.failure].map(Histogram::get_sample_count);
        format!(
            "{task_type}: {} polls ({} failed), {} executions ({failed} failed), {} running, {} results acknowledged, {} waiting\n",
            polls.get(),
            poll_time.failure.get_sample_count(),
            executed + failed,
            active.get(),
            update_time.success.get_sample_count(),
            undelivered.get(),
        )
    }
}

impl fmt::Debug for TaskMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskMetrics").field(&self.0.task_type).finish()
    }
}

/// Makes series of the catalogue's families. What is not of the chosen set works as well and is shown to nobody.
struct SeriesMaker {
    registry: Registry,
    set: MetricSet,
}

impl SeriesMaker {
    /// Each try is a poll of its own here, so no count includes retries.
    fn guide_poll_errors(&self, task_type: &str, status: u16) -> IntCounter {
        self.counter(catalogue::GUIDE_POLL_ERRORS, &[task_type, "false", &status.to_string()])
    }

    fn counter(&self, family: &'static Family, labels: &[&str]) -> IntCounter {
        debug_assert_eq!(family.kind, Kind::Counter, "{}", family.name);
        self.shown(family, IntCounter::with_opts(options(family, labels)))
    }

    fn gauge(&self, family: &'static Family, labels: &[&str]) -> IntGauge {
        debug_assert_eq!(family.kind, Kind::Gauge, "{}", family.name);
        self.shown(family, IntGauge::with_opts(options(family, labels)))
    }

    fn histogram(&self, family: &'static Family, labels: &[&str]) -> Histogram {
        let buckets = if family.kind == Kind::Bytes { BYTES_BUCKETS } else { SECONDS_BUCKETS };
        let options = HistogramOpts { common_opts: options(family, labels), buckets: buckets.to_vec() };
        self.shown(family, Histogram::with_opts(options))
    }

    fn shown<S: Collector + Clone + 'static>(&self, family: &'static Family, made: prometheus::Result<S>) -> S {
        #[expect(
            clippy::expect_used,
            reason = "names, labels and buckets are the catalogue's; a test makes every family"
        )]
        let series = made.expect("a family of the catalogue is valid");
        let is_of_the_set = match self.set {
            MetricSet::Both => true,
            MetricSet::Guide => family.naming == Naming::Guide,
            MetricSet::Canonical => family.naming == Naming::Canonical,
        };
        if is_of_the_set {
            if let Err(error) = self.registry.register(Box::new(series.clone())) {
                // Two sets of labels with one 64-bit hash; recording goes on unseen.
                log::warn!("a series of {} is not shown: {error}", family.name);
            }
        }
        series
    }
}

fn options(family: &'static Family, labels: &[&str]) -> Opts {
    debug_assert_eq!(family.labels.len(), labels.len(), "{}", family.name);
    let labels = family.labels.iter().zip(labels).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Opts::new(family.name, family.help).const_labels(labels.collect())
}

/// Series found by the values of their open labels. Every thread that records reads and writes it, for a moment.
struct Found<K, S>(Mutex<HashMap<K, S>>);

impl<K, S> Default for Found<K, S> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, S: Clone> Found<K, S> {
    fn with(key: K, series: S) -> Self {
        Self(Mutex::new(HashMap::from([(key, series)])))
    }

    /// The series of `key`, whose values are a closed set.
    fn get(&self, key: K, make: impl FnOnce() -> S) -> S {
        locked(&self.0).entry(key).or_insert_with(make).clone()
    }

    /// The series of `key`, or, where [`MOST_NAMES`] are there already, the one of `other`.
    fn get_named(&self, key: K, other: K, make: impl FnOnce(&K) -> S) -> S {
        let mut found = locked(&self.0);
        let key = if found.len() < MOST_NAMES || found.contains_key(&key) { key } else { other };
        if let Some(series) = found.get(&key) {
            return series.clone();
        }
        let series = make(&key);
        found.insert(key, series.clone());
        series
    }
}

/// A panic elsewhere can't leave these maps half changed, so a poisoned lock is as good as any.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
