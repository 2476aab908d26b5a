//! All of it without the feature `metrics`: nothing is counted and nothing is served. The methods are those of
//! `registry.rs` and `exporter.rs`.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use crate::error::{Error, ErrorKind, Result};

use super::{Health, MetricSet, Metrics};

/// What is behind [`Metrics`].
pub(super) struct Backend;

impl Backend {
    pub(super) fn new(_: MetricSet) -> Self {
        Self
    }

    pub(super) fn render(&self) -> String {
        String::new()
    }

    pub(super) fn summary(&self) -> String {
        String::new()
    }
}

impl Metrics {
    pub(crate) fn task(&self, _: &str) -> TaskMetrics {
        TaskMetrics
    }

    pub(crate) fn http_request(&self, _: &'static str, _: &'static str, _: u16, _: Duration) {}

    pub(crate) fn workflow_start_error(&self, _: &str, _: &'static str) {}

    pub(crate) fn workflow_input_size(&self, _: &str, _: Option<i32>, _: usize) {}

    pub(crate) fn uncaught(&self, _: &'static str) {}
}

#[derive(Clone, Debug)]
pub(crate) struct TaskMetrics;

impl TaskMetrics {
    pub(crate) fn polled(&self, _: Duration) {}

    pub(crate) fn poll_failed(&self, _: Duration, _: u16, _: &'static str) {}

    pub(crate) fn poll_ambiguous(&self) {}

    pub(crate) fn queue_full(&self) {}

    pub(crate) fn paused(&self) {}

    pub(crate) fn execution_started(&self) {}

    pub(crate) fn executed(&self, _: Duration) {}

    pub(crate) fn execution_failed(&self, _: Duration, _: &'static str) {}

    pub(crate) fn result_size(&self, _: usize) {}

    pub(crate) fn updated(&self, _: Duration) {}

    pub(crate) fn update_failed(&self, _: Duration, _: &'static str) {}

    pub(crate) fn heartbeat(&self) {}

    pub(crate) fn heartbeat_failed(&self) {}

    pub(crate) fn given_back(&self) {}

    pub(crate) fn unwanted(&self) {}

    pub(crate) fn set_aside(&self) {}

    pub(crate) fn cancelled(&self) {}

    pub(crate) fn late(&self) {}

    pub(crate) fn undelivered_changed(&self, _: i64) {}
}

/// A running exporter. There is none without the feature `metrics`.
#[derive(Debug)]
#[must_use]
pub struct MetricsServer(Infallible);

impl MetricsServer {
    pub(super) fn start(_: Metrics, _: &[SocketAddr], _: impl Fn() -> Health + Send + Sync + 'static) -> Result<Self> {
        let message = "this program was built without the feature `metrics` of conductor-sync";
        Err(Error::new(ErrorKind::Local, "serve metrics", message))
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        match self.0 {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_feature_nothing_is_shown_and_serving_is_an_error_that_names_it() {
        let metrics = Metrics::new();
        metrics.task("greet").polled(Duration::from_millis(1));
        metrics.http_request("GET", "/health", 200, Duration::from_millis(1));
        assert_eq!((metrics.render(), metrics.summary()), (String::new(), String::new()));
        let error = metrics.serve("127.0.0.1:0").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Local);
        assert!(error.to_string().contains("without the feature `metrics`"), "{error}");
    }
}
