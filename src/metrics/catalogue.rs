//! Every metric there is, in one table: name, kind, labels, meaning. The registry makes series from nothing else, and a
//! test holds the table in the documentation of [`Metrics`](super::Metrics) against it.

/// One metric family.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) labels: &'static [&'static str],
    pub(super) naming: Naming,
    pub(super) help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    /// A histogram of seconds.
    Seconds,
    /// A histogram of bytes.
    Bytes,
}

/// Which of the two sets of names a family is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    Guide,
    Canonical,
}

/// The bounds that the other Conductor SDKs use, so that one dashboard fits all of them.
pub(super) const SECONDS_BUCKETS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
pub(super) const BYTES_BUCKETS: &[f64] = &[1e2, 1e3, 1e4, 1e5, 1e6, 1e7];

const fn guide(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind, labels, naming: Naming::Guide, help }
}

const fn canonical(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind, labels, naming: Naming::Canonical, help }
}

const TASK: &[&str] = &["taskType"];
const TASK_STATUS: &[&str] = &["taskType", "status"];
const TASK_EXCEPTION: &[&str] = &["taskType", "exception"];

/// Makes one constant a family, and [`CATALOGUE`] of them all, so that none can be left out of it.
macro_rules! catalogue {
    ($($constant:ident = $naming:ident($name:literal, $kind:ident, $labels:expr, $help:literal);)*) => {
        $(pub(super) const $constant: &Family = &$naming($name, Kind::$kind, $labels, $help);)*
        #[cfg(test)]
        pub(super) const CATALOGUE: &[&Family] = &[$($constant),*];
    };
}

catalogue! {
    GUIDE_POLLS = guide("task_poll_counter", Counter, TASK, "Polls for tasks, failed ones too.");
    GUIDE_POLL_ERRORS = guide("task_poll_error", Counter, &["taskType", "includeRetries", "status"],
        "Failed polls, by HTTP status (0 = no answer); includeRetries is false, since each try counts.");
    GUIDE_POLL_TIME = guide("task_poll_time", Seconds, TASK, "Time of a poll, failed ones too, in seconds.");
    GUIDE_EXECUTE_TIME = guide("task_execute_time", Seconds, TASK,
        "Time of an execution, failed ones too, in seconds.");
    GUIDE_EXECUTE_ERRORS = guide("task_execute_error", Counter, TASK, "Failed executions.");
    GUIDE_UPDATE_ERRORS = guide("task_update_error", Counter, TASK, "Failed tries to deliver a result.");
    GUIDE_RESULT_SIZE = guide("task_result_size", Bytes, TASK, "Size of an output, in bytes.");

    POLLS = canonical("task_poll_total", Counter, TASK, "Polls for tasks, failed ones too.");
    POLL_ERRORS = canonical("task_poll_error_total", Counter, TASK_EXCEPTION, "Failed polls.");
    POLL_TIME = canonical("task_poll_time_seconds", Seconds, TASK_STATUS, "Time of a poll.");
    POLLS_AMBIGUOUS = canonical("task_poll_ambiguous_total", Counter, TASK,
        "Polls without a whole answer: tasks may have been handed out and be lost until they time out.");
    QUEUE_FULL = canonical("task_execution_queue_full_total", Counter, TASK, "Polls not made for want of a free slot.");
    PAUSED = canonical("task_paused_total", Counter, TASK, "Polls not made since the worker is paused.");
    STARTED = canonical("task_execution_started_total", Counter, TASK, "Tasks handed to the handler.");
    ACTIVE = canonical("active_workers", Gauge, TASK, "Tasks in the handler now.");
    EXECUTE_TIME = canonical("task_execute_time_seconds", Seconds, TASK_STATUS, "Time in the handler.");
    EXECUTE_ERRORS = canonical("task_execute_error_total", Counter, TASK_EXCEPTION, "Failed executions.");
    RESULT_SIZE = canonical("task_result_size_bytes", Bytes, TASK, "Size of an output.");
    UPDATE_TIME = canonical("task_update_time_seconds", Seconds, TASK_STATUS,
        "SUCCESS: from the first try until the result was acknowledged; FAILURE: time of a failed try.");
    UPDATE_ERRORS = canonical("task_update_error_total", Counter, TASK_EXCEPTION, "Failed tries to deliver a result.");
    UNDELIVERED = canonical("task_results_undelivered", Gauge, TASK, "Results not acknowledged yet.");
    HEARTBEATS = canonical("task_heartbeat_total", Counter, TASK_STATUS, "Extensions of a lease.");
    GIVEN_BACK = canonical("task_given_back_total", Counter, TASK, "Tasks given back to the server unstarted.");
    UNWANTED = canonical("task_unwanted_total", Counter, TASK,
        "Results dropped since the server says that the task does not exist.");
    SET_ASIDE = canonical("task_set_aside_total", Counter, TASK,
        "Results set aside since they can't be delivered.");
    CANCELLED = canonical("task_cancelled_total", Counter, TASK,
        "Tasks that ended on the server while they ran here; their results were not sent.");
    LATE = canonical("task_late_total", Counter, TASK, "Tasks whose time was over before the handler was done, counted when it is.");

    HTTP_TIME = canonical("http_api_client_request_seconds", Seconds, &["method", "uri", "status"],
        "Time of a request to the server; uri is a template, status 0 = no answer.");
    WORKFLOW_START_ERRORS = canonical("workflow_start_error_total", Counter, &["workflowType", "exception"],
        "Workflows that could not be started.");
    WORKFLOW_INPUT_SIZE = canonical("workflow_input_size_bytes", Bytes, &["workflowType", "version"],
        "Size of the input of a workflow to be started; version is empty where none was asked for.");
    UNCAUGHT = canonical("thread_uncaught_exceptions_total", Counter, &["exception"],
        "Panics: HandlerPanic in a handler, RunnerPanic in a thread of this SDK.");
}
