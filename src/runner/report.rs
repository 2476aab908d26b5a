//! A report: the bytes for the server, and what is known of the tries to deliver them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    error::{Error, ErrorKind},
    json::RawJson,
    runner::{
        register::{GONE_AGAIN_AFTER, Held},
        retry::Backoff,
        slot::Token,
    },
    task::{TaskResult, TaskResultStatus},
    worker::TaskContext,
};

/// The longest pause between two tries.
const PAUSE_CAP: Duration = Duration::from_secs(30);

/// A report that failed is tried at once when others get through again, but no more often than this: it may be the report.
const MOST_HURRIES: u32 = 3;

/// A server that acknowledges a result and gives no answer to looks at its task for so long is believed.
const LOOKS_MAY_FAIL_FOR: Duration = Duration::from_secs(10);

/// And one that refuses so many looks.
const MOST_REFUSED_LOOKS: u32 = 5;

/// A finished task on its way to the server.
#[derive(Debug)]
pub(crate) struct Report {
    pub(super) held: Arc<Held>,
    pub(super) body: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) backoff: Backoff,
    /// When it was first offered.
    pub(super) first_try: Option<Instant>,
    /// When a try first got no clear answer, so that the server may have taken it.
    pub(super) ambiguous_since: Option<Instant>,
    /// When the server first said that it knows no such task.
    pub(super) gone: Option<Instant>,
    /// A try has failed.
    pub(super) has_failed: bool,
    /// No try makes sense before this.
    pub(super) not_before: Option<Instant>,
    /// The server asked for the pause that it waits out.
    pub(super) asked_to_wait: bool,
    pub(super) n_hurries: u32,
    /// A heartbeat got no clear answer, so it may undo the result when that has been acknowledged already.
    pub(super) doubtful: bool,
    /// Since when that heartbeat is given time to end.
    pub(super) beat_awaited_since: Option<Instant>,
    pub(super) beat_waited_for: bool,
    /// The server has taken it, and what is left is to look whether the heartbeat has undone it.
    pub(super) acknowledged: bool,
    /// A look has shown the task ended.
    pub(super) seen_ended: bool,
    pub(super) n_looks: u32,
    pub(super) n_failed_looks: u32,
    pub(super) looks_fail_since: Option<Instant>,
    pub(super) refusals: Option<Refusals>,
    /// What it stands for, until that was told.
    pub(super) unfit: Option<Unfit>,
    /// The right to be undelivered; taken by an updater, given back when the report is settled.
    pub(super) place: Option<Token>,
    /// It has given its place to another.
    pub(super) is_aside: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// Ends the task; sending it twice is safe.
    Final,
    /// Puts the task back into the queue; sending it twice may take it from whoever has it then.
    InProgress,
    /// Puts a task back that was not started.
    GiveBack,
    /// Fails the task in place of a report that the server refused.
    Substitute,
}

#[derive(Debug)]
pub(super) struct Refusals {
    pub(super) n: u64,
    pub(super) since: Instant,
    /// How many reports had been tried and had got through before.
    pub(super) tries_before: u64,
    pub(super) settled_before: u64,
    /// How many reports had got through after a refusal before.
    pub(super) recovered_before: u64,
}

impl Report {
    pub(crate) fn new(held: Arc<Held>, body: Vec<u8>, in_progress: bool) -> Self {
        Self::of_kind(held, body, if in_progress { Kind::InProgress } else { Kind::Final })
    }

    /// Hands a task that was not started back to the server, for another worker to have at once.
    pub(crate) fn give_back(context: &TaskContext, held: Arc<Held>) -> Self {
        let mut result = context.result(TaskResultStatus::InProgress);
        // The report replaces the output on the server, so what was there goes along.
        result.output_data = context.output_so_far().cloned();
        held.set_reporting(true);
        Self::of_kind(held, small_body(&result), Kind::GiveBack)
    }

    /// What is left of the second in which the server is not asked again about a task that it does not know.
    pub(super) fn gone_pause(&self) -> Duration {
        self.gone.map_or(Duration::ZERO, |at| (at + GONE_AGAIN_AFTER).saturating_duration_since(Instant::now()))
    }

    /// Notes a try that failed.
    pub(super) fn may_have_been_taken(&mut self, error: &Error) {
        if error.may_have_been_done() {
            self.ambiguous_since.get_or_insert_with(Instant::now);
        }
    }

    /// Notes a look at the task that failed; says whether there shall be another.
    pub(super) fn looks_again(&mut self, error: &Error) -> bool {
        let since = *self.looks_fail_since.get_or_insert_with(Instant::now);
        self.n_failed_looks += 1;
        let is_refused = matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Rejected);
        match is_refused {
            true => self.n_failed_looks < MOST_REFUSED_LOOKS,
            false => since.elapsed() < LOOKS_MAY_FAIL_FOR,
        }
    }

    /// Notes a wait that nothing shortens.
    pub(super) fn wait(mut self, pause: Duration) -> (Self, Duration) {
        self.not_before = Some(Instant::now() + pause);
        (self, pause)
    }

    /// Whether its pause is of our own choice.
    pub(super) fn may_be_early(&mut self) -> bool {
        let must_wait = self.not_before.is_some_and(|at| Instant::now() < at);
        !must_wait && !self.asked_to_wait && self.gone_pause().is_zero()
    }

    /// Whether its pause may be cut short since others get through again.
    pub(super) fn hurry(&mut self) -> bool {
        let may = self.may_be_early() && self.n_hurries < MOST_HURRIES;
        self.n_hurries += u32::from(may);
        may
    }

    pub(crate) fn in_place_of(mut self, unfit: Option<Unfit>) -> Self {
        self.unfit = unfit;
        self
    }

    pub(super) fn of_kind(held: Arc<Held>, body: Vec<u8>, kind: Kind) -> Self {
        Self {
            held,
            body,
            kind,
            backoff: Backoff::new(PAUSE_CAP),
            first_try: None,
            ambiguous_since: None,
            gone: None,
            has_failed: false,
            not_before: None,
            asked_to_wait: false,
            n_hurries: 0,
            doubtful: false,
            beat_awaited_since: None,
            beat_waited_for: false,
            acknowledged: false,
            seen_ended: false,
            n_looks: 0,
            n_failed_looks: 0,
            looks_fail_since: None,
            refusals: None,
            unfit: None,
            place: None,
            is_aside: false,
        }
    }
}

/// A handler's result that no server would take.
#[derive(Debug)]
pub(crate) struct Unfit {
    pub(crate) body: Vec<u8>,
    pub(crate) reason: String,
}

/// A body of texts and JSON that was checked before, which can always be written.
pub(crate) fn small_body(result: &TaskResult) -> Vec<u8> {
    serde_json::to_vec(result).unwrap_or_default()
}

/// A result that the server does not take.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UndeliverableResult {
    /// The task it belongs to.
    pub task_id: String,
    /// The workflow of the task.
    pub workflow_id: String,
    /// What the server said.
    pub reason: String,
    /// The whole report as it was sent: see [`TaskResult`].
    pub result: RawJson,
}
