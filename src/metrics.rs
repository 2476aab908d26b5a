//! Interim.
use std::time::Duration;
/// Interim.
#[derive(Clone, Debug, Default)]
pub struct Metrics;
impl Metrics {
    /// Interim.
    pub fn new() -> Self {
        Self
    }
    /// Interim.
    pub fn render(&self) -> String {
        String::new()
    }
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
impl Metrics {
    pub(crate) fn serve_with(
        &self,
        _: std::net::SocketAddr,
        _: std::sync::Arc<dyn Fn() -> Vec<String> + Send + Sync>,
    ) -> crate::error::Result<MetricsServer> {
        Ok(MetricsServer)
    }
}
/// Interim.
#[derive(Debug)]
pub struct MetricsServer;
impl MetricsServer {
    /// Interim.
    pub fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }
}
