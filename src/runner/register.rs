//! The register of tasks held by this process, from receipt until their reports are settled.
//!
//! A heartbeat that overlaps the final update on the wire can destroy the result although both were acknowledged
//! (3.32.1: 47 of 300 damaged, none when one waits for the other). So each task has a fence: a heartbeat is begun only
//! while no report is under way, and a report waits for the heartbeat that is.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::{
    error::{Error, excerpt},
    http::MAX_RETRY_AFTER,
    metrics::TaskMetrics,
    runner::retry::{Allowed, Limit, Notice, Trouble},
    task::FAR,
    worker::{Heartbeats, Signals, polled::PolledTask},
};

/// Where a held task is on its way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stage {
    /// Fetched, and not started.
    Waiting,
    /// In its handler.
    Running,
    /// Done, its report not acknowledged.
    Reporting,
    /// Done, its report acknowledged and still looked at.
    Acknowledged,
}

impl Stage {
    /// Whether nothing is left but its report.
    pub(crate) fn is_done(self) -> bool {
        matches!(self, Self::Reporting | Self::Acknowledged)
    }
}

/// How a task left this process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    /// Its result was acknowledged, is not wanted, or was set aside.
    Reported,
    /// It was given back without being started.
    GivenBack,
    /// It had ended on the server, or its lease had.
    Dropped,
}

/// A task that this process holds, from receipt until its report is settled.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) task_type: Arc<str>,
    pub(crate) task_id: String,
    pub(crate) workflow_id: String,
    pub(crate) attempt: u32,
    pub(crate) poll_count: u32,
    pub(crate) signals: Arc<Signals>,
    pub(crate) metrics: TaskMetrics,
    /// `None` where no heartbeats are sent.
    beat_every: Option<Duration>,
    /// How long the server waits; `None` where it does for ever.
    lease: Option<Duration>,
    received: Instant,
    deadline: Option<Instant>,
    state: Mutex<State>,
    /// Woken when a heartbeat ends.
    beat_ended: Condvar,
}

#[derive(Debug)]
struct State {
    stage: Stage,
    /// The report says IN_PROGRESS, so the server may hand the task out again before the acknowledgement is here.
    reports_in_progress: bool,
    next_beat: Option<Instant>,
    lease_until: Option<Instant>,
    next_check: Instant,
    beating: bool,
    report_on_wire: bool,
    /// A heartbeat got no clear answer, so it may still be under way on the server.
    doubtful_beat: bool,
    /// One ever did.
    was_doubtful: bool,
    /// No heartbeat is sent before this, as a try of the report may still be under way on the server.
    quiet_until: Option<Instant>,
    /// When the server first said, with nothing else since, that it knows no such task.
    gone_since: Option<Instant>,
    /// The server has ended the task, so it takes no result any more.
    ended: bool,
    /// Heartbeats that failed since one got through.
    n_failed_beats: u32,
    last_beat: Option<Instant>,
}

impl Held {
    /// A task of which only the ids can be read. It gets no heartbeats.
    pub(crate) fn unreadable(task_type: &Arc<str>, workflow_id: &str, task_id: &str, metrics: TaskMetrics) -> Self {
        Self::with_ids(task_type, workflow_id, task_id, metrics, Arc::default())
    }

    pub(crate) fn new(
        task_type: &Arc<str>,
        task: &PolledTask,
        heartbeats: Heartbeats,
        metrics: TaskMetrics,
        signals: Arc<Signals>,
    ) -> Self {
        let beat_every = match heartbeats {
            Heartbeats::Off => None,
            Heartbeats::ByLease => task.lease.map(|lease| lease.mul_f64(BEAT_AT)),
            Heartbeats::Every(interval) => Some(interval.min(FAR)),
        };
        let mut held = Self::with_ids(task_type, &task.workflow_id, &task.task_id, metrics, signals);
        held.attempt = task.attempt;
        held.poll_count = task.poll_count;
        held.beat_every = beat_every;
        held.lease = task.lease;
        held.deadline = task.time_left.map(|left| held.received + left);
        let received = held.received;
        let state = held.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.next_beat = beat_every.map(|interval| received + interval);
        state.lease_until = task.lease.map(|lease| received + lease);
        held
    }

    fn with_ids(
        task_type: &Arc<str>,
        workflow_id: &str,
        task_id: &str,
        metrics: TaskMetrics,
        signals: Arc<Signals>,
    ) -> Self {
        let now = Instant::now();
        let state = State {
            stage: Stage::Waiting,
            reports_in_progress: false,
            next_beat: None,
            lease_until: None,
            next_check: now,
            beating: false,
            report_on_wire: false,
            doubtful_beat: false,
            was_doubtful: false,
            quiet_until: None,
            gone_since: None,
            ended: false,
            n_failed_beats: 0,
            last_beat: None,
        };
        Self {
            task_type: Arc::clone(task_type),
            task_id: task_id.to_owned(),
            workflow_id: workflow_id.to_owned(),
            attempt: 0,
            poll_count: 0,
            signals,
            metrics,
            beat_every: None,
            lease: None,
            received: now,
            deadline: None,
            state: Mutex::new(state),
            beat_ended: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is a single assignment, so the state is valid whatever panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stage(&self) -> Stage {
        self.state().stage
    }

    pub(crate) fn set_running(&self) {
        self.state().stage = Stage::Running;
    }

    pub(crate) fn set_reporting(&self, in_progress: bool) {
        let mut state = self.state();
        state.stage = Stage::Reporting;
        state.reports_in_progress = in_progress;
    }

    /// Notes whether the server has acknowledged the report.
    pub(super) fn set_acknowledged(&self, is_so: bool) {
        self.state().stage = if is_so { Stage::Acknowledged } else { Stage::Reporting };
    }

    /// Whether the server still takes a result: false once it is known to have ended the task.
    pub(super) fn is_wanted(&self) -> bool {
        !self.state().ended
    }

    /// Whether the server has given up waiting for this task.
    pub(super) fn lease_is_over(&self, now: Instant) -> bool {
        self.state().lease_until.is_some_and(|until| until <= now)
    }

    /// The server has ended the task: its handler is told, and its result is not sent.
    pub(super) fn end(&self) {
        {
            let mut state = self.state();
            // A look that has begun earlier may see what our own report did.
            if state.stage.is_done() {
                return;
            }
            state.ended = true;
        }
        self.cancel("ended on the server");
    }

    /// The server says that it knows no such task. Once is not enough, since it may be a server that is starting, or
    /// something in front of it; after a while the handler is told. Its result is offered all the same.
    pub(super) fn gone(&self, now: Instant) {
        let since = *self.state().gone_since.get_or_insert(now);
        if now.duration_since(since) >= GONE_AGAIN_AFTER {
            self.cancel("is not known to the server any more");
        }
    }

    /// The server knows the task.
    pub(super) fn known(&self) {
        self.state().gone_since = None;
    }

    fn cancel(&self, why: &str) {
        if !self.signals.cancelled.swap(true, Ordering::AcqRel) {
            self.metrics.cancelled();
            log::info!("task {why} while it ran here {self}");
        }
    }

    fn is_cancelled(&self) -> bool {
        self.signals.cancelled.load(Ordering::Acquire)
    }

    /// Waits until no heartbeat is on the wire and keeps new ones off it, until [`Held::end_report`].
    ///
    /// Returns whether a heartbeat got no clear answer, so that the report should be looked at afterwards. One that is still
    /// on the wire when the runner has to end is waited for no longer.
    pub(crate) fn begin_report(&self, has_to_end: impl Fn() -> bool) -> bool {
        /// How often is asked whether it has to end.
        const ASK: Duration = Duration::from_millis(100);
        let mut state = self.state();
        // Ends when the heartbeat's request does, which is bounded by the request timeout.
        while state.beating {
            if has_to_end() {
                state.doubtful_beat = true;
                break;
            }
            state = self.beat_ended.wait_timeout(state, ASK).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.report_on_wire = true;
        std::mem::take(&mut state.doubtful_beat)
    }

    /// Notes a heartbeat that was sent beside the keeper's and got no clear answer.
    pub(super) fn doubt_beat(&self) {
        let mut state = self.state();
        (state.doubtful_beat, state.was_doubtful) = (true, true);
    }

    /// Whether a heartbeat was sent after this.
    pub(super) fn was_kept_after(&self, at: Instant) -> bool {
        self.state().last_beat.is_some_and(|beat| beat >= at)
    }

    /// Lets heartbeats go on between two tries of a report.
    pub(crate) fn end_report(&self) {
        self.state().report_on_wire = false;
    }

    /// Lets heartbeats go on a while after a try that got no answer: it may still be under way on the server.
    pub(super) fn end_unanswered_report(&self) {
        /// The longest such while, unless the lease is short.
        const MOST: Duration = Duration::from_secs(5);
        let quiet = self.lease.map_or(MOST, |lease| (lease / 4).min(MOST));
        let mut state = self.state();
        state.report_on_wire = false;
        state.quiet_until = Some(Instant::now() + quiet);
    }

    /// Whether a heartbeat may be sent now, and how long it may take: half of what is left of the lease, so that another one
    /// can follow. While a report is on the wire it may not, and is due again soon.
    pub(super) fn begin_beat(&self, now: Instant) -> Option<Duration> {
        /// Shorter than this no server is expected to answer.
        const LEAST: Duration = Duration::from_secs(1);
        let mut state = self.state();
        if state.report_on_wire {
            state.next_beat = self.beat_every.map(|interval| now + beat_again_after(interval, 0));
        }
        let quiet_until = state.quiet_until.filter(|until| now < *until);
        if quiet_until.is_some() {
            state.next_beat = self.beat_every.and(quiet_until);
        }
        if state.beating || state.report_on_wire || quiet_until.is_some() || self.is_cancelled() {
            return None;
        }
        state.beating = true;
        state.last_beat = Some(now);
        let left = state.lease_until.map_or(FAR, |until| until.saturating_duration_since(now));
        Some((left / 2).max(LEAST))
    }

    /// A heartbeat that began at `begun` got through.
    pub(super) fn end_beat(&self, begun: Instant) {
        let mut state = self.state();
        state.n_failed_beats = 0;
        state.lease_until = self.lease.map(|lease| begun + lease);
        let next = self.beat_every.map(|interval| Instant::now() + interval);
        self.beat_is_over(state, next);
    }

    /// A heartbeat failed, and may still be under way on the server when it is `doubtful`.
    pub(super) fn fail_beat(&self, asked_to_wait: Option<Duration>, doubtful: bool) {
        let mut state = self.state();
        state.doubtful_beat |= doubtful;
        state.was_doubtful |= doubtful;
        let pause = self.beat_every.map(|interval| beat_again_after(interval, state.n_failed_beats));
        state.n_failed_beats = state.n_failed_beats.saturating_add(1);
        let next = pause.map(|pause| Instant::now() + pause.max(asked_to_wait.unwrap_or_default()));
        self.beat_is_over(state, next);
    }

    fn beat_is_over(&self, mut state: MutexGuard<'_, State>, next: Option<Instant>) {
        state.beating = false;
        state.next_beat = next;
        self.beat_ended.notify_all();
    }

    /// What is due: a heartbeat, a look at the task. Both count as done from now on.
    pub(super) fn take_due(&self, now: Instant, check_every: Duration) -> Due {
        let mut state = self.state();
        if self.is_cancelled() {
            state.next_beat = None;
            return Due::default();
        }
        let rested = state.last_beat.is_none_or(|last| now.duration_since(last) >= LEAST_GAP);
        // What is wanted while a heartbeat is under way is sent after it.
        let wanted = !state.beating && rested && self.signals.heartbeat_wanted.swap(false, Ordering::AcqRel);
        let beat = wanted || !state.beating && state.next_beat.is_some_and(|at| at <= now);
        let over = self.deadline.is_some_and(|deadline| deadline <= now && deadline > state.next_check);
        let check = !state.stage.is_done() && (over || state.next_check + check_every <= now);
        if check {
            state.next_check = now;
        }
        if beat {
            state.next_beat = self.beat_every.map(|interval| now + interval);
        }
        Due { beat, check, overrun: over && state.stage == Stage::Running }
    }

    /// A heartbeat that was due could not be sent for want of a thread.
    pub(super) fn beat_stays_due(&self, now: Instant) {
        self.state().next_beat = Some(now);
    }

    /// When the keeper next has to look at it.
    fn due(&self, check_every: Duration) -> Instant {
        let far = Instant::now() + Duration::from_secs(3600);
        if self.is_cancelled() {
            return far;
        }
        let state = self.state();
        let check = match (state.stage, self.deadline) {
            (stage, _) if stage.is_done() => None,
            (_, Some(deadline)) if deadline > state.next_check => Some(deadline.min(state.next_check + check_every)),
            _ => Some(state.next_check + check_every),
        };
        let wanted = self.signals.heartbeat_wanted.load(Ordering::Acquire);
        let wanted = wanted.then(|| state.last_beat.map_or(self.received, |last| last + LEAST_GAP));
        let beat = state.next_beat.into_iter().chain(wanted).min().filter(|_| !state.beating);
        beat.into_iter().chain(check).min().unwrap_or(far)
    }
}

impl fmt::Display for Held {
    /// The tail of a log line about it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { task_type, task_id, workflow_id, attempt, .. } = self;
        let (task_id, workflow_id) = (excerpt(task_id), excerpt(workflow_id));
        write!(f, "task_type={task_type} task_id={task_id} workflow_id={workflow_id} attempt={attempt}")
    }
}

/// What is due for a task.
#[derive(Debug, Default)]
pub(super) struct Due {
    pub(super) beat: bool,
    /// A look whether the server still wants it.
    pub(super) check: bool,
    /// Its time is over, and its handler still runs.
    pub(super) overrun: bool,
}

/// A handler that asks for heartbeats in a loop gets no more than one in this time.
const LEAST_GAP: Duration = Duration::from_millis(10);

/// The part of the lease after which a heartbeat is sent, unless the worker says otherwise.
const BEAT_AT: f64 = 0.8;

/// A second "no such task" counts only after this: the first may be a server that is just starting.
pub(super) const GONE_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A heartbeat without an answer is taken to be over after this.
const DOUBT_LASTS: Duration = Duration::from_secs(120);

/// The longest pause between two tries of a heartbeat.
const LONGEST_BEAT_PAUSE: Duration = Duration::from_secs(15);

/// Several tries fit into what is left of the lease; they become fewer while none gets through.
fn beat_again_after(interval: Duration, n_failed: u32) -> Duration {
    let first = (interval / 16).clamp(Duration::from_millis(100), LONGEST_BEAT_PAUSE);
    first.saturating_mul(1 << n_failed.min(10)).min(interval.max(first)).min(LONGEST_BEAT_PAUSE)
}

/// All tasks held by a runner.
#[derive(Debug)]
pub(crate) struct Register {
    tasks: Mutex<Tasks>,
    /// Written after a change, once somebody waits for one; read by a stop; has room for one.
    changes: (Sender<()>, Receiver<()>),
    somebody_waits: AtomicBool,
    pub(super) check_every: Duration,
    /// Written when a task is due before the keeper would wake; read by the keeper; has room for one.
    nudge: Sender<()>,
    /// Heartbeats that fail, of all tasks together.
    beats: Mutex<Trouble>,
    /// No task whose heartbeats fail is silent for so long.
    beats_silence: Duration,
    /// Handlers that run for longer than the server waits.
    overruns: Mutex<Limit>,
}

#[derive(Debug, Default)]
struct Tasks {
    by_id: HashMap<String, Arc<Held>>,
    /// When the keeper will wake by itself.
    planned: Option<Instant>,
    /// Tasks that were handed back while one of their heartbeats had got no clear answer, and when: should they come again,
    /// it may still undo their results.
    doubtful: HashMap<String, Instant>,
    n_reported: u64,
    n_given_back: u64,
}

impl Register {
    pub(crate) fn new(check_every: Duration, request_timeout: Duration, nudge: Sender<()>) -> Self {
        Self {
            tasks: Mutex::default(),
            changes: bounded(1),
            somebody_waits: AtomicBool::new(false),
            check_every,
            nudge,
            beats: Mutex::default(),
            beats_silence: (LONGEST_BEAT_PAUSE.max(MAX_RETRY_AFTER) + request_timeout) * 2,
            overruns: Mutex::new(Limit::new(5)),
        }
    }

    /// Tells that a handler still runs when the time of its task is over.
    pub(super) fn tell_overrun(&self, held: &Held) {
        let allowed = self.overruns.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
        let level = if allowed == Allowed::No { log::Level::Info } else { log::Level::Warn };
        log::log!(
            level,
            "a handler still runs, and keeps its thread, though the task's time on the server is over {held}"
        );
    }

    /// Takes note of a heartbeat that failed, or of one that worked.
    pub(super) fn note_beat(&self, held: &Held, failure: Option<&Error>) {
        let mut beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let notice = match failure {
            Some(_) => {
                beats.forget(self.beats_silence, now);
                beats.failed(now)
            }
            None => beats.worked(now),
        };
        match (notice, failure) {
            (Some(Notice::Over(after, n)), _) => {
                log::info!("heartbeats work again after_s={} n_failures={n}", after.as_secs());
            }
            (Some(Notice::GoesOn(since, n)), Some(error)) => {
                log::warn!("heartbeats still fail for_s={} n_failures={n}: {error} {held}", since.as_secs());
            }
            (Some(Notice::Began), Some(error)) => {
                log::warn!(
                    "heartbeats fail and are tried again; without one the server hands a task out anew after its response timeout: {error} {held}"
                );
            }
            (_, Some(error)) => log::debug!("{error} {held}"),
            (_, None) => {}
        }
    }

    /// A sender that makes the keeper look at all tasks.
    pub(crate) fn nudge(&self) -> Sender<()> {
        self.nudge.clone()
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        // The map is valid between statements, so poisoning means nothing.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a task in, unless it is held already: a task never runs twice at once here.
    pub(crate) fn admit(&self, held: Arc<Held>) -> bool {
        let due = held.due(self.check_every);
        let mut tasks = self.tasks();
        if let Some(known) = tasks.by_id.get(&held.task_id) {
            let state = known.state();
            let redelivered =
                state.reports_in_progress && state.stage == Stage::Reporting && held.poll_count > known.poll_count;
            if !redelivered {
                return false;
            }
            if state.was_doubtful {
                held.doubt_beat();
            }
        }
        if tasks.doubtful.remove(&held.task_id).is_some() {
            held.doubt_beat();
        }
        tasks.by_id.insert(held.task_id.clone(), held);
        self.wake_keeper(tasks, due);
        true
    }

    /// Makes the keeper look at a task again as soon as it is due.
    pub(super) fn look_again(&self, held: &Held) {
        let due = held.due(self.check_every);
        self.wake_keeper(self.tasks(), due);
    }

    /// Wakes the keeper where it would wake later than `due`.
    fn wake_keeper(&self, mut tasks: MutexGuard<'_, Tasks>, due: Instant) {
        if tasks.planned.is_none_or(|planned| due < planned) {
            tasks.planned = Some(due);
            // Full means that the keeper is about to look anyway.
            let _full = self.nudge.try_send(());
        }
    }

    /// Lets a task go.
    pub(super) fn settle(&self, held: &Arc<Held>, end: End) {
        let mut tasks = self.tasks();
        if tasks.by_id.get(&held.task_id).is_some_and(|known| Arc::ptr_eq(known, held)) {
            tasks.by_id.remove(&held.task_id);
        }
        let comes_again = {
            let state = held.state();
            state.reports_in_progress && state.was_doubtful
        };
        if comes_again {
            let now = Instant::now();
            tasks.doubtful.retain(|_, since| now.duration_since(*since) < DOUBT_LASTS);
            tasks.doubtful.insert(held.task_id.clone(), now);
        }
        match end {
            End::Reported => tasks.n_reported += 1,
            End::GivenBack => tasks.n_given_back += 1,
            End::Dropped => {}
        }
        drop(tasks);
        self.stage_changed();
    }

    /// Whether a held task is in one of the stages.
    pub(crate) fn any(&self, is_one: impl Fn(Stage) -> bool) -> bool {
        self.tasks().by_id.values().any(|held| is_one(held.stage()))
    }

    /// Tells when tasks leave or change their stage, from now on.
    pub(crate) fn changes(&self) -> &Receiver<()> {
        self.somebody_waits.store(true, Ordering::Release);
        &self.changes.1
    }

    /// Tells those who wait that a task has left or changed its stage.
    pub(crate) fn stage_changed(&self) {
        if self.somebody_waits.load(Ordering::Acquire) {
            // Full means that whoever waits is about to look anyway.
            let _full = self.changes.0.try_send(());
        }
    }

    /// How many results were settled, and how many tasks were given back.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let tasks = self.tasks();
        (tasks.n_reported, tasks.n_given_back)
    }

    /// The ids of the held tasks in a stage.
    pub(crate) fn ids(&self, stage: Stage) -> Vec<String> {
        let mut ids: Vec<_> =
            self.tasks().by_id.values().filter(|h| h.stage() == stage).map(|h| h.task_id.clone()).collect();
        ids.sort();
        ids
    }

    /// The tasks that are due.
    pub(super) fn due(&self, now: Instant) -> Vec<Arc<Held>> {
        let tasks = self.tasks();
        let is_due = |held: &&Arc<Held>| held.due(self.check_every) <= now;
        tasks.by_id.values().filter(is_due).cloned().collect()
    }

    /// When the next task will be due; whoever makes one due earlier wakes the keeper.
    pub(super) fn plan(&self) -> Option<Instant> {
        let mut tasks = self.tasks();
        tasks.planned = tasks.by_id.values().map(|held| held.due(self.check_every)).min();
        tasks.planned
    }
}
