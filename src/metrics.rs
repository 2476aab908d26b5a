//! [`Metrics`]: what the clients and workers of a process count. Two implementations stand behind it, one for each state
//! of the feature `metrics`, so that no other file asks for it. Recording never blocks on anything but a short lock and
//! never fails.

#[cfg(feature = "metrics")]
mod catalogue;
#[cfg(feature = "metrics")]
mod exporter;
#[cfg(feature = "metrics")]
mod head;
#[cfg(feature = "metrics")]
mod registry;
#[cfg(not(feature = "metrics"))]
mod silent;

#[cfg(feature = "metrics")]
use registry as backend;
#[cfg(not(feature = "metrics"))]
use silent as backend;

use std::{
    fmt, fs,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, ToSocketAddrs},
    path::Path,
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::error::{Error, ErrorKind, Result};

pub(crate) use backend::TaskMetrics;
#[cfg(feature = "metrics")]
pub use exporter::MetricsServer;
#[cfg(not(feature = "metrics"))]
pub use silent::MetricsServer;

/// Tells what keeps a runner from being ready; nothing where it is.
pub(crate) type Problems = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// Counters and timings of the clients and workers that it was given to.
///
/// A clone is a handle on the same counts. Each `Metrics` made by [`Metrics::new`] is its own: nothing is global, and
/// nothing of it shows up in the default registry of the `prometheus` crate.
///
/// Without the feature `metrics`, nothing is counted and [`Metrics::render`] is empty.
///
/// ```
/// use conductor_sync::{Client, Config, Metrics};
///
/// let metrics = Metrics::new();
/// let client = Client::with_metrics(Config::new("http://127.0.0.1:1/api")?, metrics.clone())?;
/// client.tasks().get("no-server-there").unwrap_err();
///
/// let text = metrics.render();
/// # if cfg!(feature = "metrics") {
/// assert!(text.contains("http_api_client_request_seconds_count{method=\"GET\",status=\"0\""));
/// # }
/// # Ok::<(), conductor_sync::Error>(())
/// ```
///
/// # The series
///
/// There are two sets of names, chosen with a [`MetricSet`]: those of Conductor's worker guide, which come first here, and
/// those that the current SDKs of other languages share together with this SDK's own. No label holds an id or a message.
/// Above 1,000 task types the further ones share the series of `taskType="other"`; the same goes for workflow types.
/// `status` is `SUCCESS` or `FAILURE`, except for `task_poll_error` and `http_api_client_request_seconds`, where it is the
/// HTTP status or 0 where no answer came. The series of a task type begin at 0 when its worker is made, `task_poll_error`
/// with the status 0; those with `exception`, another HTTP status, a `uri` or a workflow's name show up when they are first
/// needed.
///
/// Of the shared names, `task_ack_error_total`, `task_ack_failed_total` and `external_payload_used_total` are not there:
/// the server has no acknowledgement call any more, and this SDK uses no external payloads.
///
/// | Name | Kind | Labels | Meaning |
/// |---|---|---|---|
/// | `task_poll_counter` | counter | `taskType` | Polls for tasks, failed ones too. |
/// | `task_poll_error` | counter | `taskType`, `includeRetries`, `status` | Failed polls, by HTTP status (0 = no answer); includeRetries is false, since each try counts. |
/// | `task_poll_time` | histogram, s | `taskType` | Time of a poll, failed ones too, in seconds. |
/// | `task_execute_time` | histogram, s | `taskType` | Time of an execution, failed ones too, in seconds. |
/// | `task_execute_error` | counter | `taskType` | Failed executions. |
/// | `task_update_error` | counter | `taskType` | Failed tries to deliver a result. |
/// | `task_result_size` | histogram, bytes | `taskType` | Size of an output, in bytes. |
/// | `task_poll_total` | counter | `taskType` | Polls for tasks, failed ones too. |
/// | `task_poll_error_total` | counter | `taskType`, `exception` | Failed polls. |
/// | `task_poll_time_seconds` | histogram, s | `taskType`, `status` | Time of a poll. |
/// | `task_poll_ambiguous_total` | counter | `taskType` | Polls without a whole answer: tasks may have been handed out and be lost until they time out. |
/// | `task_execution_queue_full_total` | counter | `taskType` | Polls not made for want of a free slot. |
/// | `task_paused_total` | counter | `taskType` | Polls not made since the worker is paused. |
/// | `task_execution_started_total` | counter | `taskType` | Tasks handed to the handler. |
/// | `active_workers` | gauge | `taskType` | Tasks in the handler now. |
/// | `task_execute_time_seconds` | histogram, s | `taskType`, `status` | Time in the handler. |
/// | `task_execute_error_total` | counter | `taskType`, `exception` | Failed executions. |
/// | `task_result_size_bytes` | histogram, bytes | `taskType` | Size of an output. |
/// | `task_update_time_seconds` | histogram, s | `taskType`, `status` | SUCCESS: from the first try until the result was acknowledged; FAILURE: time of a failed try. |
/// | `task_update_error_total` | counter | `taskType`, `exception` | Failed tries to deliver a result. |
/// | `task_results_undelivered` | gauge | `taskType` | Results not acknowledged yet. |
/// | `task_heartbeat_total` | counter | `taskType`, `status` | Extensions of a lease. |
/// | `task_given_back_total` | counter | `taskType` | Tasks given back to the server unstarted. |
/// | `task_unwanted_total` | counter | `taskType` | Results dropped since the server says that the task does not exist. |
/// | `task_set_aside_total` | counter | `taskType` | Results set aside since they can't be delivered. |
/// | `task_cancelled_total` | counter | `taskType` | Tasks that ended on the server while they ran here; their results were not sent. |
/// | `task_late_total` | counter | `taskType` | Tasks whose time was over before the handler was done, counted when it is. |
/// | `http_api_client_request_seconds` | histogram, s | `method`, `uri`, `status` | Time of a request to the server; uri is a template, status 0 = no answer. |
/// | `workflow_start_error_total` | counter | `workflowType`, `exception` | Workflows that could not be started. |
/// | `workflow_input_size_bytes` | histogram, bytes | `workflowType`, `version` | Size of the input of a workflow to be started; version is empty where none was asked for. |
/// | `thread_uncaught_exceptions_total` | counter | `exception` | Panics: HandlerPanic in a handler, RunnerPanic in a thread of this SDK. |
#[derive(Clone)]
pub struct Metrics {
    backend: Arc<backend::Backend>,
    set: MetricSet,
}

/// Which names [`Metrics`] are shown under.
///
/// ```
/// use conductor_sync::{MetricSet, Metrics};
///
/// let metrics = Metrics::with_set(MetricSet::Guide);
/// # let _ = metrics;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetricSet {
    /// The seven names of Conductor's worker guide, such as `task_poll_counter`.
    Guide,
    /// The names that the current SDKs of other languages share, such as `task_poll_total`, and those of this SDK's own.
    Canonical,
    /// Both, side by side: no name is in both sets. The default.
    #[default]
    Both,
}

impl Metrics {
    /// Port 2112, the one of Conductor's worker guide, for connections from this machine only.
    pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 2112));

    /// Makes metrics that are shown under both sets of names.
    pub fn new() -> Self {
        Self::with_set(MetricSet::Both)
    }

    /// Makes metrics that are shown under the names of `set`.
    pub fn with_set(set: MetricSet) -> Self {
        Self { backend: Arc::new(backend::Backend::new(set)), set }
    }

    /// Writes all series in the Prometheus text format 0.0.4 (`Content-Type: text/plain; version=0.0.4`), for programs
    /// that have a web server of their own.
    pub fn render(&self) -> String {
        self.backend.render()
    }

    /// Writes [`Metrics::render`] to a file, for the textfile collector of Prometheus' node exporter, which reads files
    /// named `*.prom`.
    ///
    /// The text is written beside the file and renamed, so that no reader sees half of it. It is not flushed to the disk.
    ///
    /// # Errors
    /// When the file can't be written or renamed ([`ErrorKind::Local`]).
    pub fn write_to(&self, path: impl AsRef<Path>) -> Result<()> {
        // Two writers of one process must not share the file beside.
        static WRITES: AtomicU64 = AtomicU64::new(0);
        let path = path.as_ref();
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}-{}.tmp", process::id(), WRITES.fetch_add(1, Ordering::Relaxed)));
        fs::write(&beside, self.render()).and_then(|()| fs::rename(&beside, path)).map_err(|error| {
            // It may not be there at all, and the first error is the one to tell.
            drop(fs::remove_file(&beside));
            let operation = format!("write metrics to {}", path.display());
            Error::new(ErrorKind::Local, operation, error.to_string()).with_source(error)
        })
    }

    /// Serves these metrics over HTTP: `GET /metrics` in the Prometheus text format, and `GET /health` and `GET /ready`, which
    /// answer 200 as long as the process lives.
    ///
    /// [`Metrics::DEFAULT_ADDRESS`] is for this machine only. Name `0.0.0.0` (or `[::]`) to serve all networks: there is no
    /// authentication and no TLS. Port 0 takes any free port, and [`MetricsServer::address`] tells which. The port is closed
    /// when the [`MetricsServer`] is dropped.
    ///
    /// ```
    /// # if !cfg!(feature = "metrics") { return Ok(()) }
    /// use conductor_sync::Metrics;
    ///
    /// let metrics = Metrics::new();
    /// let server = metrics.serve("127.0.0.1:0")?;
    /// println!("http://{}/metrics", server.address());
    /// # Ok::<(), conductor_sync::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the address can't be understood ([`ErrorKind::Invalid`]), is taken, or the threads can't be started
    /// ([`ErrorKind::Local`]); always without the feature `metrics`.
    pub fn serve(&self, address: impl ToSocketAddrs) -> Result<MetricsServer> {
        self.serve_with_health(address, Health::ready)
    }

    /// As [`Metrics::serve`], with a callback that says whether the process is ready, which is what `GET /ready` answers:
    /// 200 with `{"status": "UP"}`, or 503 with `{"status": "DOWN", "reasons": ["…"]}`, as JSON.
    ///
    /// The callback runs on a thread of the server at each such request. One that blocks keeps others from being answered;
    /// one that panics counts as not ready.
    ///
    /// ```
    /// # if !cfg!(feature = "metrics") { return Ok(()) }
    /// use std::{io::{Read, Write}, net::TcpStream};
    /// use conductor_sync::{Health, Metrics};
    ///
    /// let server = Metrics::new().serve_with_health("127.0.0.1:0", || Health::not_ready(["warming up"]))?;
    ///
    /// let mut connection = TcpStream::connect(server.address()).unwrap();
    /// connection.write_all(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    /// let mut answer = String::new();
    /// connection.read_to_string(&mut answer).unwrap();
    /// assert!(answer.starts_with("HTTP/1.1 503 "));
    /// assert!(answer.contains("warming up"));
    /// # Ok::<(), conductor_sync::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Metrics::serve`].
    pub fn serve_with_health(
        &self,
        address: impl ToSocketAddrs,
        health: impl Fn() -> Health + Send + Sync + 'static,
    ) -> Result<MetricsServer> {
        let cannot_use = |why: String| Error::invalid("metrics address", why);
        let addresses =
            address.to_socket_addrs().map_err(|e| cannot_use(format!("no HOST:PORT: {e}")).with_source(e))?;
        let addresses: Vec<SocketAddr> = addresses.collect();
        if addresses.is_empty() {
            return Err(cannot_use("the name has no address".to_owned()));
        }
        MetricsServer::start(self.clone(), &addresses, health)
    }

    /// As [`Metrics::serve_with_health`], for a runner's list of problems.
    pub(crate) fn serve_with(&self, addresses: &[SocketAddr], problems: Problems) -> Result<MetricsServer> {
        self.serve_with_health(addresses, move || Health::not_ready(problems()))
    }

    /// Sums up each task type in one line, for people: polls, executions, results.
    pub fn summary(&self) -> String {
        self.backend.summary()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("set", &self.set).finish_non_exhaustive()
    }
}

/// Whether a process is ready for work, and if not, why. Made by the callback of [`Metrics::serve_with_health`].
///
/// ```
/// use conductor_sync::Health;
///
/// assert!(Health::ready().is_ready());
/// assert_eq!(Health::not_ready(["no poll of greet was answered for 5 min"]).reasons().len(), 1);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Health {
    reasons: Vec<String>,
}

impl Health {
    /// All is well.
    pub fn ready() -> Self {
        Self::default()
    }

    /// Not ready for these reasons. Anyone who can reach the port can read them. Without a reason this is
    /// [`Health::ready`], so that what a check collects can be handed in as it is.
    pub fn not_ready(reasons: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { reasons: reasons.into_iter().map(Into::into).collect() }
    }

    /// Whether there is no reason against it.
    pub fn is_ready(&self) -> bool {
        self.reasons.is_empty()
    }

    /// The reasons against it.
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }
}
