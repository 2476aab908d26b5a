//! What the workers and clients count, as Prometheus series. A [`Metrics`] owns its registry; the pipeline records beside
//! each event through handles that are made once per task type, and an exporter, a text file or the caller's own web
//! server hands the numbers out. Without the feature `metrics` the same types are there and count nothing.

#[cfg(feature = "metrics")]
mod exporter;
#[cfg(not(feature = "metrics"))]
mod nothing;
#[cfg(feature = "metrics")]
mod recorder;
#[cfg(feature = "metrics")]
mod request;
#[cfg(feature = "metrics")]
mod upstream;

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

#[cfg(not(feature = "metrics"))]
use self::nothing::{Exporter, Recorder};
#[cfg(feature = "metrics")]
use self::{exporter::Exporter, recorder::Recorder};
use crate::error::{Error, ErrorKind, Result};

#[cfg(not(feature = "metrics"))]
pub(crate) use self::nothing::TaskMetrics;
#[cfg(feature = "metrics")]
pub(crate) use self::recorder::TaskMetrics;

/// Tells why the program is not ready, one reason per entry; an empty list means that it is.
pub(crate) type Readiness = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// Which names [`Metrics`] hands out. The two sets don't share a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetricSet {
    /// The seven names of Conductor's worker guide, such as `task_poll_counter` and `task_execute_time`.
    Guide,
    /// The names that the current Conductor SDKs share, such as `task_poll_total` and `task_execute_time_seconds`, and
    /// the ones of this crate in the same style.
    Canonical,
    /// Both sets side by side, so that dashboards for either show data. The default.
    #[default]
    Both,
}

/// Counts polls, executions, updates and HTTP calls, and hands the numbers out in Prometheus' text format 0.0.4.
///
/// A clone is cheap and shares the numbers. Each `Metrics` made anew has a registry of its own, so several clients in one
/// process don't mix unless they are given the same one. There are three ways out: [`Metrics::serve`] opens a listener,
/// [`Metrics::write_to`] writes a file for the textfile collector of the node exporter, and [`Metrics::render`] gives the
/// text to a web server that is there already.
///
/// Times are in seconds, sizes in bytes. In all sets the label `taskType` takes 1,000 values; the task types behind them
/// share the value `other`. Series of a task type are there, at zero, from the moment its worker starts.
///
/// [`MetricSet::Guide`]:
///
/// | Name | Type | Labels |
/// |---|---|---|
/// | `task_poll_counter` | counter | `taskType` |
/// | `task_poll_error` | counter | `taskType`, `includeRetries` (always `false`), `status` (`0` = no answer) |
/// | `task_poll_time` | histogram | `taskType` |
/// | `task_execute_time` | histogram | `taskType` |
/// | `task_execute_error` | counter | `taskType` |
/// | `task_update_error` | counter | `taskType` |
/// | `task_result_size` | histogram | `taskType` |
///
/// [`MetricSet::Canonical`], where `status` is `SUCCESS` or `FAILURE` unless said otherwise, and `exception` is the name of
/// a kind of error and never a message:
///
/// | Name | Type | Labels |
/// |---|---|---|
/// | `task_poll_total` | counter | `taskType` |
/// | `task_poll_error_total` | counter | `taskType`, `exception` |
/// | `task_poll_time_seconds` | histogram | `taskType`, `status` |
/// | `task_poll_ambiguous_total` | counter | `taskType` |
/// | `task_execution_queue_full_total` | counter | `taskType` |
/// | `task_paused_total` | counter | `taskType` |
/// | `task_execution_started_total` | counter | `taskType` |
/// | `task_execute_time_seconds` | histogram | `taskType`, `status` |
/// | `task_execute_error_total` | counter | `taskType`, `exception` |
/// | `active_workers` | gauge | `taskType` |
/// | `task_result_size_bytes` | histogram | `taskType` |
/// | `task_update_time_seconds` | histogram | `taskType`, `status` |
/// | `task_update_error_total` | counter | `taskType`, `exception` |
/// | `task_heartbeat_total` | counter | `taskType`, `status` |
/// | `task_given_back_total` | counter | `taskType` |
/// | `task_unwanted_total` | counter | `taskType` |
/// | `task_set_aside_total` | counter | `taskType` |
/// | `task_cancelled_total` | counter | `taskType` |
/// | `task_late_total` | counter | `taskType` |
/// | `task_results_undelivered` | gauge | `taskType` |
/// | `thread_uncaught_exceptions_total` | counter | `exception` |
/// | `workflow_start_error_total` | counter | `workflowType`, `exception` |
/// | `workflow_input_size_bytes` | histogram | `workflowType`, `version` (empty = the latest) |
/// | `http_api_client_request_seconds` | histogram | `method`, `uri` (the path with its `{…}`), `status` (the code, `0` = no answer) |
///
/// Without the feature `metrics` (it is on by default) nothing is counted and [`Metrics::render`] is empty.
///
/// ```
/// use conductor_sync::{Client, Config, Metrics};
/// let metrics = Metrics::new();
/// let client = Client::with_metrics(Config::new("http://127.0.0.1:1/api")?, metrics.clone())?;
/// client.tasks().get("no-such-task").unwrap_err();
/// # #[cfg(feature = "metrics")]
/// assert!(metrics.render().contains("http_api_client_request_seconds"));
/// # Ok::<(), conductor_sync::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Metrics {
    recorder: Recorder,
}

impl Metrics {
    /// Makes a registry with both sets of names.
    pub fn new() -> Self {
        Self::with_set(MetricSet::default())
    }

    /// Makes a registry that hands out the names of `set` only.
    ///
    /// ```
    /// use conductor_sync::{MetricSet, Metrics};
    /// let metrics = Metrics::with_set(MetricSet::Canonical);
    /// assert_eq!(metrics.render(), "", "a series appears with its first user");
    /// ```
    pub fn with_set(set: MetricSet) -> Self {
        Self { recorder: Recorder::new(set) }
    }

    /// Writes all series in the text format 0.0.4, sorted by name. Serve it as `text/plain; version=0.0.4`.
    pub fn render(&self) -> String {
        self.recorder.render()
    }

    /// Writes what [`Metrics::render`] gives into the file at `path`, for the textfile collector of the node exporter, which
    /// wants the name to end in `.prom`.
    ///
    /// The text is written into a file beside it that is then renamed, so a reader never sees a half of it. Nothing is
    /// written again by itself: call this in the rhythm of the collector. Without the feature `metrics` no file is touched.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if `path` names no file, [`ErrorKind::Local`] if it can't be written.
    ///
    /// ```
    /// # let folder = std::env::temp_dir();
    /// let path = folder.join("orders-worker.prom");
    /// conductor_sync::Metrics::new().write_to(&path)?;
    /// # drop(std::fs::remove_file(path));
    /// # Ok::<(), conductor_sync::Error>(())
    /// ```
    pub fn write_to(&self, path: impl AsRef<Path>) -> Result<()> {
        if !cfg!(feature = "metrics") {
            return Ok(());
        }
        let path = path.as_ref();
        let Some(name) = path.file_name() else {
            return Err(Error::invalid("path", format!("`{}` names no file for the metrics", path.display())));
        };
        // Not `.prom`, or the collector would read it; a number, since two programs may write to one name.
        let mut beside = name.to_owned();
        beside.push(format!(".{:08x}.tmp", fastrand::u32(..)));
        let beside = path.with_file_name(beside);
        let written = fs::write(&beside, self.render()).and_then(|()| fs::rename(&beside, path));
        written.map_err(|error| {
            // The write failed already, and a file that is not there can't be removed.
            drop(fs::remove_file(&beside));
            let operation = format!("write metrics to {}", path.display());
            Error::new(ErrorKind::Local, operation, error.to_string()).with_source(error)
        })
    }

    /// Gives one short line per task type, sorted by name, for people: an example or a log at the end of a run.
    ///
    /// `executed` and `failed` are the executions that ended well and the others; `updates` are the results that the server
    /// took. The wording is no interface: use [`Metrics::render`] for programs.
    ///
    /// ```
    /// assert_eq!(conductor_sync::Metrics::new().summary(), "", "nothing has run");
    /// ```
    pub fn summary(&self) -> String {
        self.recorder.summary()
    }

    /// Opens a listener for `GET /metrics`, `GET /health` and `GET /ready`, which serves until the [`MetricsServer`] is
    /// dropped.
    ///
    /// Prefer a loopback address such as `127.0.0.1:2112`: there is no encryption and no login, so `0.0.0.0` shows the
    /// numbers to whoever reaches the machine. Port 0 takes any free port; [`MetricsServer::address`] tells which. A client
    /// gets one answer per connection, has 5 seconds for its request, and is turned away while 18 others wait.
    ///
    /// `/health` says `{"status":"UP"}` as long as the process lives, and so does `/ready`: only a runner knows more.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Local`] if the port is taken or may not be opened, if a thread can't be started, or if the feature
    /// `metrics` is off.
    ///
    /// ```
    /// # #[cfg(feature = "metrics")] {
    /// use conductor_sync::Metrics;
    /// use std::net::{Ipv4Addr, SocketAddr};
    /// let metrics = Metrics::new();
    /// let server = metrics.serve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    /// println!("curl http://{}/metrics", server.address());
    /// # }
    /// # Ok::<(), conductor_sync::Error>(())
    /// ```
    pub fn serve(&self, address: SocketAddr) -> Result<MetricsServer> {
        self.serve_with(address, Arc::new(Vec::new))
    }

    /// [`Metrics::serve`] whose `/ready` asks `ready`. It is called on a thread of the exporter, once per request, and has
    /// to answer at once: a request behind it waits.
    pub(crate) fn serve_with(&self, address: SocketAddr, ready: Readiness) -> Result<MetricsServer> {
        Ok(MetricsServer { exporter: Exporter::start(self.clone(), address, ready)? })
    }

    /// The handles of a task type. To be asked for once per worker, since it takes a lock.
    pub(crate) fn task(&self, task_type: &str) -> TaskMetrics {
        self.recorder.task(task_type)
    }

    /// One attempt of an HTTP call; `route` is the path with its `{…}` still open, and `status` is 0 without an answer.
    pub(crate) fn http_request(&self, method: &'static str, route: &'static str, status: u16, took: Duration) {
        self.recorder.http_request(method, route, status, took);
    }

    pub(crate) fn workflow_start_error(&self, workflow: &str, exception: &'static str) {
        self.recorder.workflow_start_error(workflow, exception);
    }

    pub(crate) fn workflow_input_size(&self, workflow: &str, version: Option<i32>, n_bytes: usize) {
        self.recorder.workflow_input_size(workflow, version, n_bytes);
    }

    /// A panic that ended in a thread of this crate.
    pub(crate) fn uncaught(&self, exception: &'static str) {
        self.recorder.uncaught(exception);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// The listener that [`Metrics::serve`] opened.
///
/// Dropping it closes the port and ends its threads; an answer that is under way may be cut off.
///
/// ```
/// # #[cfg(feature = "metrics")] {
/// let server = conductor_sync::Metrics::new().serve("127.0.0.1:0".parse().unwrap())?;
/// assert_ne!(server.address().port(), 0);
/// # }
/// # Ok::<(), conductor_sync::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping it closes the port"]
pub struct MetricsServer {
    exporter: Exporter,
}

impl MetricsServer {
    /// The address it listens on, with the real port where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.exporter.address()
    }
}
