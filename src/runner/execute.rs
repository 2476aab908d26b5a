//! The pool: takes an assigned task, runs its handler, and hands the finished report on. A handler's panic ends here.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use crossbeam_channel::{Receiver, TryRecvError};

use crate::{
    error::excerpt,
    metrics::Metrics,
    runner::{
        register::{End, Held, Register},
        report::{Report, Unfit, small_body},
        slot::Slot,
        update::Outbox,
    },
    task::TaskResultStatus,
    worker::{Handler, TaskContext, callback::discard, outcome::Outcome},
};

/// The server fails a task for good whose output is larger (3.32.1, default settings).
const MAX_OUTPUT_BYTES: usize = 10 << 20;

/// The server's parser refuses a report that is nested deeper than 1000 (3.32.1), and the report is a level itself.
const MAX_DEPTH: usize = 999;

/// A task with everything that is needed to run it, and the slot it occupies.
pub(crate) struct Assigned {
    pub(crate) context: TaskContext,
    pub(crate) held: Arc<Held>,
    pub(crate) handler: Handler,
    /// How often the handler has panicked; counted here, read by nobody else.
    pub(crate) n_panics: Arc<AtomicU64>,
    /// Dropped once the report is handed on.
    pub(crate) slot: Slot,
}

/// Runs tasks until the pollers have gone and none is left.
///
/// `too_late` closes at the end of a stop's grace: what is not started by then is given back.
pub(crate) fn execute(
    assigned: &Receiver<Assigned>,
    outbox: &Outbox,
    register: &Register,
    too_late: &Receiver<()>,
    metrics: &Metrics,
) {
    for task in assigned {
        if task.held.lease_is_over(Instant::now()) {
            log::warn!("task not started: its lease ended while it waited here {}", task.held);
            task.held.metrics.late();
            register.settle(&task.held, End::Dropped);
            continue;
        }
        if too_late.try_recv() == Err(TryRecvError::Disconnected) {
            outbox.give_back(Report::give_back(&task.context, Arc::clone(&task.held)));
        } else {
            outbox.deliver(run(&task, register, metrics));
        }
        drop(task.slot);
    }
}

fn run(task: &Assigned, register: &Register, metrics: &Metrics) -> Report {
    let Assigned { context, held, handler, .. } = task;
    held.set_running();
    held.metrics.execution_started();
    let begun = Instant::now();
    let outcome = match context.external_input() {
        Some(path) => Outcome::failed(
            context,
            TaskResultStatus::FailedWithTerminalError,
            format!(
                "the input was too large for the server and is stored outside, at {path}, where this worker can't read it"
            ),
            "InvalidInput",
        ),
        None => catch_unwind(AssertUnwindSafe(|| handler(context)))
            .unwrap_or_else(|panic| panicked(context, panic, metrics)),
    };
    let elapsed = begun.elapsed();
    let Encoded { outcome, body, unfit } = encode(context, outcome);
    held.metrics.result_size(outcome.result.output_data.as_ref().map_or(0, |output| output.get().len()));
    match outcome.failure {
        None => held.metrics.executed(elapsed),
        Some(failure) => {
            held.metrics.execution_failed(elapsed, failure);
            let reason = outcome.result.reason_for_incompletion.as_deref().unwrap_or_default();
            match failure {
                "Panic" => {
                    let n = task.n_panics.fetch_add(1, Ordering::Relaxed) + 1;
                    // A handler that always panics is worth a few lines, not one for each task.
                    let level = if n.is_power_of_two() { log::Level::Warn } else { log::Level::Info };
                    log::log!(level, "{} {held} n_panics={n}", excerpt(reason));
                }
                _ => log::info!("attempt ended as {}: {} {held}", outcome.result.status, excerpt(reason)),
            }
        }
    }
    let in_progress = outcome.result.status == TaskResultStatus::InProgress;
    held.set_reporting(in_progress);
    register.stage_changed();
    Report::new(Arc::clone(held), body, in_progress).in_place_of(unfit)
}

/// A report as bytes, made once: every try sends the same.
struct Encoded {
    outcome: Outcome,
    body: Vec<u8>,
    /// What it stands for, where the server can't take that.
    unfit: Option<Unfit>,
}

/// What the server can't take becomes a failure that says so.
fn encode(context: &TaskContext, outcome: Outcome) -> Encoded {
    let output = outcome.result.output_data.as_ref().map_or("", |output| output.get());
    let problem = if output.len() > MAX_OUTPUT_BYTES {
        Some(format!("it has {} bytes, and the server takes at most {MAX_OUTPUT_BYTES}", output.len()))
    } else if output.len() > MAX_DEPTH && depth(output) > MAX_DEPTH {
        Some(format!("it is nested deeper than the {MAX_DEPTH} levels the server takes"))
    } else {
        None
    };
    let body = serde_json::to_vec(&outcome.result);
    let reason = match (&body, problem) {
        (Ok(_), Some(problem)) => format!("the output can't be sent: {problem}"),
        (Ok(_), None) => return Encoded { outcome, body: body.unwrap_or_default(), unfit: None },
        (Err(e), _) => format!("the result can't be written: {e}"),
    };
    let status = TaskResultStatus::FailedWithTerminalError;
    let small = Outcome::failed(context, status, reason.clone(), "InvalidOutput");
    Encoded {
        body: small_body(&small.result),
        outcome: small,
        unfit: Some(Unfit { body: body.unwrap_or_default(), reason }),
    }
}

/// How deep the brackets of a JSON text go.
fn depth(text: &str) -> usize {
    let (mut now, mut most, mut in_string, mut escaped) = (0usize, 0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                now += 1;
                most = most.max(now);
            }
            b'}' | b']' if !in_string => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// The report of a handler that panicked.
fn panicked(context: &TaskContext, panic: Box<dyn Any + Send>, metrics: &Metrics) -> Outcome {
    metrics.uncaught("HandlerPanic");
    let message = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "its payload is no text".to_owned(),
    };
    discard(panic);
    Outcome::failed(context, TaskResultStatus::Failed, format!("the handler panicked: {message}"), "Panic")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_strings() {
        for (text, deep) in [("{}", 1), (r#"{"a":[[1],{}]}"#, 3), (r#"{"a":"[[[\"{"}"#, 1), ("7", 0)] {
            assert_eq!(depth(text), deep, "{text}");
        }
    }
}
