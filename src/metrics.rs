//! [`Metrics`]: what the clients and workers of a process count. Two implementations stand behind it, one for each state
//! of the feature `metrics`, so that no other file asks for it. Recording never blocks on anything but a short lock and
//! never fails.

// Most of the recording methods are for the runner.
#![allow(dead_code)]

#[cfg(feature = "metrics")]
mod catalogue;
#[cfg(feature = "metrics")]
mod registry;
#[cfg(not(feature = "metrics"))]
mod silent;

#[cfg(feature = "metrics")]
use registry as backend;
#[cfg(not(feature = "metrics"))]
use silent as backend;

use std::{
    fmt, fs, io,
    path::Path,
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::error::{Error, ErrorKind, Result};

pub(crate) use backend::TaskMetrics;

/// Counters and timings of the clients and workers that it was given to.
///
/// A clone is a handle on the same counts. Each `Metrics` made by [`Metrics::new`] is its own: nothing is global, and
/// nothing of it shows up in the default registry of the `prometheus` crate.
///
/// Without the feature `metrics`, nothing is counted and [`Metrics::render`] is empty.
#[derive(Clone)]
pub struct Metrics {
    backend: Arc<backend::Backend>,
    set: MetricSet,
}

/// Which names [`Metrics`] are shown under.
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
            let _: io::Result<()> = fs::remove_file(&beside);
            let operation = format!("write metrics to {}", path.display());
            Error::new(ErrorKind::Local, operation, error.to_string()).with_source(error)
        })
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
