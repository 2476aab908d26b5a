//! What stands in for the recorder and the exporter when the feature `metrics` is off: the same methods, which do nothing.

use std::{net::SocketAddr, time::Duration};

use super::{MetricSet, Metrics, Readiness};
use crate::error::{Error, ErrorKind, Result};

#[derive(Clone, Debug)]
pub(super) struct Recorder;

impl Recorder {
    pub(super) fn new(_: MetricSet) -> Self {
        Self
    }

    pub(super) fn render(&self) -> String {
        String::new()
    }

    pub(super) fn summary(&self) -> String {
        String::new()
    }

    pub(super) fn task(&self, _: &str) -> TaskMetrics {
        TaskMetrics
    }

    pub(super) fn http_request(&self, _: &'static str, _: &'static str, _: u16, _: Duration) {}

    pub(super) fn workflow_start_error(&self, _: &str, _: &'static str) {}

    pub(super) fn workflow_input_size(&self, _: &str, _: Option<i32>, _: usize) {}

    pub(super) fn uncaught(&self, _: &'static str) {}
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

/// There is none without the feature.
#[derive(Debug)]
pub(super) enum Exporter {}

impl Exporter {
    pub(super) fn start(_: Metrics, address: SocketAddr, _: Readiness) -> Result<Self> {
        let message = "this build can't: turn on the feature `metrics` of conductor-sync";
        Err(Error::new(ErrorKind::Local, format!("serve metrics on {address}"), message))
    }

    pub(super) fn address(&self) -> SocketAddr {
        match *self {}
    }
}
