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
    task::{Task, TaskResult, TaskResultStatus, TaskStatus},
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
    pub(super) late_beat: LateBeat,
    /// How many times it was acknowledged and did not show.
    pub(super) n_undone: u32,
    pub(super) failed_looks: FailedLooks,
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

/// What is known of a heartbeat that got no clear answer: it may still be at work on the server, and undo the result there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum LateBeat {
    /// There is no such heartbeat.
    None,
    /// It is given time to end since then, before the result is sent.
    Awaited(Instant),
    /// It has had its time, and the result is sent.
    Outwaited,
    /// The server has acknowledged the result, and what is left is to look whether it has been undone.
    Acknowledged,
    /// So it is, and one look has found it undisturbed.
    SeenUndisturbed,
}

impl LateBeat {
    /// Notes that there is one. Each report waits only once.
    pub(super) fn suspect(&mut self) {
        if *self == Self::None {
            *self = Self::Awaited(Instant::now());
        }
    }

    pub(super) fn is_acknowledged(self) -> bool {
        matches!(self, Self::Acknowledged | Self::SeenUndisturbed)
    }
}

/// What a look at the task of a report shows.
#[derive(Debug)]
pub(super) enum Seen {
    /// The task has ended.
    Ended,
    /// It is in progress, as it was handed to this process.
    Ours,
    /// It waits in its queue, or was handed out again.
    LetGo,
    /// The server knows no such task.
    Gone(Error),
    /// The look failed, and another may not.
    Later(Error),
    /// Looks don't tell.
    Unknown(Error),
}

impl Seen {
    pub(super) fn of(task: &Task, held: &Held) -> Self {
        let is_same_hand_out = u32::try_from(task.poll_count).is_ok_and(|n| n == held.poll_count);
        match task.status {
            TaskStatus::InProgress if is_same_hand_out => Self::Ours,
            _ if task.status.is_terminal() => Self::Ended,
            _ => Self::LetGo,
        }
    }
}

/// Looks at the task that failed, one after the other.
#[derive(Debug, Default)]
pub(super) struct FailedLooks {
    since: Option<Instant>,
    n: u32,
}

impl FailedLooks {
    /// Notes a look that failed; says whether there shall be another.
    pub(super) fn permit_another(&mut self, error: &Error) -> bool {
        let since = *self.since.get_or_insert_with(Instant::now);
        self.n += 1;
        match error.kind() {
            // An id that no call can look up.
            ErrorKind::Invalid => false,
            ErrorKind::Unauthorized | ErrorKind::Rejected => self.n < MOST_REFUSED_LOOKS,
            _ => since.elapsed() < LOOKS_MAY_FAIL_FOR,
        }
    }
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
            late_beat: LateBeat::None,
            n_undone: 0,
            failed_looks: FailedLooks::default(),
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
