//! The register of tasks held by this process, and the keeper that watches over them: heartbeats, cancellation, deadlines.
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

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select};

use crate::{
    client::Client,
    metrics::TaskMetrics,
    runner::update::{Verdict, verdict},
    task::TaskResult,
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
    /// The server said once that it knows no such task.
    gone: bool,
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
            Heartbeats::Every(interval) => Some(interval),
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
            gone: false,
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

    /// Whether the server still takes a result: false once it is known to have ended the task.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.signals.cancelled.load(Ordering::Acquire)
    }

    /// Whether the server has given up waiting for this task.
    pub(crate) fn lease_is_over(&self, now: Instant) -> bool {
        self.state().lease_until.is_some_and(|until| until <= now)
    }

    fn cancel(&self) {
        if !self.signals.cancelled.swap(true, Ordering::AcqRel) {
            self.metrics.cancelled();
            log::info!("task ended on the server while it ran here {self}");
        }
    }

    /// Waits until no heartbeat is on the wire and keeps new ones off it, until [`Held::end_report`].
    ///
    /// Returns whether a heartbeat got no clear answer, so that the report should be looked at afterwards.
    pub(crate) fn begin_report(&self) -> bool {
        let mut state = self.state();
        // Ends when the heartbeat's request does, which is bounded by the request timeout.
        while state.beating {
            state = self.beat_ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.report_on_wire = true;
        std::mem::take(&mut state.doubtful_beat)
    }

    /// Lets heartbeats go on between two tries of a report.
    pub(crate) fn end_report(&self) {
        self.state().report_on_wire = false;
    }

    /// Whether a heartbeat may be sent now. While a report is on the wire it may not, and is due again soon.
    fn begin_beat(&self) -> bool {
        let mut state = self.state();
        let free = !state.beating && !state.report_on_wire;
        state.beating |= free;
        if state.report_on_wire {
            state.next_beat = self.lease.map(|lease| Instant::now() + beat_again_after(lease));
        }
        free
    }

    fn end_beat(&self, next: Option<Instant>, doubtful: bool) {
        let mut state = self.state();
        state.beating = false;
        state.doubtful_beat |= doubtful;
        state.next_beat = next;
        self.beat_ended.notify_all();
    }

    /// When the keeper next has to look at it.
    fn due(&self, check_every: Duration) -> Instant {
        let state = self.state();
        let check = match (state.stage, self.deadline) {
            (Stage::Reporting, _) => None,
            (_, Some(deadline)) if deadline > state.next_check => Some(deadline.min(state.next_check + check_every)),
            _ => Some(state.next_check + check_every),
        };
        let beat = state.next_beat.filter(|_| !state.beating);
        beat.into_iter().chain(check).min().unwrap_or(self.received + Duration::from_secs(3600))
    }
}

impl fmt::Display for Held {
    /// The tail of a log line about it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { task_type, task_id, workflow_id, attempt, .. } = self;
        write!(f, "task_type={task_type} task_id={task_id} workflow_id={workflow_id} attempt={attempt}")
    }
}

/// The part of the lease after which a heartbeat is sent, unless the worker says otherwise.
const BEAT_AT: f64 = 0.8;

/// Several tries fit into what is left of the lease.
fn beat_again_after(interval: Duration) -> Duration {
    (interval / 16).clamp(Duration::from_millis(100), Duration::from_secs(15))
}

/// All tasks held by a runner.
#[derive(Debug)]
pub(crate) struct Register {
    tasks: Mutex<Tasks>,
    /// Written after a change, once somebody waits for one; read by a stop; has room for one.
    changes: (Sender<()>, Receiver<()>),
    somebody_waits: AtomicBool,
    check_every: Duration,
    /// Written when a task is due before the keeper would wake; read by the keeper; has room for one.
    nudge: Sender<()>,
}

#[derive(Debug, Default)]
struct Tasks {
    by_id: HashMap<String, Arc<Held>>,
    /// When the keeper will wake by itself.
    planned: Option<Instant>,
    n_settled: u64,
    n_given_back: u64,
}

impl Register {
    pub(crate) fn new(check_every: Duration, nudge: Sender<()>) -> Self {
        Self {
            tasks: Mutex::default(),
            changes: bounded(1),
            somebody_waits: AtomicBool::new(false),
            check_every,
            nudge,
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
        }
        tasks.by_id.insert(held.task_id.clone(), held);
        self.wake_keeper(tasks, due);
        true
    }

    /// Wakes the keeper where it would wake later than `due`.
    fn wake_keeper(&self, mut tasks: MutexGuard<'_, Tasks>, due: Instant) {
        if tasks.planned.is_none_or(|planned| due < planned) {
            tasks.planned = Some(due);
            // Full means that the keeper is about to look anyway.
            let _full = self.nudge.try_send(());
        }
    }

    /// Lets a task go, since its report is settled one way or another.
    pub(crate) fn settle(&self, held: &Arc<Held>, given_back: bool) {
        let mut tasks = self.tasks();
        if tasks.by_id.get(&held.task_id).is_some_and(|known| Arc::ptr_eq(known, held)) {
            tasks.by_id.remove(&held.task_id);
        }
        match given_back {
            true => tasks.n_given_back += 1,
            false => tasks.n_settled += 1,
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

    /// How many reports were settled, and how many tasks were given back.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let tasks = self.tasks();
        (tasks.n_settled, tasks.n_given_back)
    }

    /// The ids of the held tasks in a stage.
    pub(crate) fn ids(&self, stage: Stage) -> Vec<String> {
        let mut ids: Vec<_> =
            self.tasks().by_id.values().filter(|h| h.stage() == stage).map(|h| h.task_id.clone()).collect();
        ids.sort();
        ids
    }

    /// The tasks that are due.
    fn due(&self, now: Instant) -> Vec<Arc<Held>> {
        let tasks = self.tasks();
        let is_due = |held: &&Arc<Held>| {
            held.due(self.check_every) <= now || held.signals.heartbeat_wanted.load(Ordering::Acquire)
        };
        tasks.by_id.values().filter(is_due).cloned().collect()
    }

    /// When the next task will be due; whoever makes one due earlier wakes the keeper.
    fn plan(&self) -> Option<Instant> {
        let mut tasks = self.tasks();
        tasks.planned = tasks.by_id.values().map(|held| held.due(self.check_every)).min();
        tasks.planned
    }
}

/// What the keeper's helpers are asked to do.
#[derive(Debug)]
pub(crate) enum Errand {
    Beat(Arc<Held>),
    Check(Arc<Held>),
}

/// Asks its helpers for heartbeats and checks when they are due, until `stop` closes.
pub(crate) fn keep(register: &Register, nudge: &Receiver<()>, stop: &Receiver<()>, errands: &Sender<Errand>) {
    /// Due tasks whose errand could not be handed over are looked at again after this.
    const AGAIN: Duration = Duration::from_millis(20);
    loop {
        let now = Instant::now();
        for held in register.due(now) {
            hand_out(held, now, register.check_every, errands);
        }
        let wake = register.plan().map(|due| due.max(now + AGAIN));
        let timer = wake.map_or_else(crossbeam_channel::never, crossbeam_channel::at);
        select! {
            recv(stop) -> _ => return,
            recv(nudge) -> _ => {}
            recv(timer) -> _ => {}
        }
    }
}

/// Hands out what is due for one task. What finds the helpers all busy stays due.
fn hand_out(held: Arc<Held>, now: Instant, check_every: Duration, errands: &Sender<Errand>) {
    let (beat, check) = {
        let mut state = held.state();
        // What is wanted while a heartbeat is under way is sent after it.
        let wanted = !state.beating && held.signals.heartbeat_wanted.swap(false, Ordering::AcqRel);
        let beat = wanted || !state.beating && state.next_beat.is_some_and(|at| at <= now);
        let over = held.deadline.is_some_and(|deadline| deadline <= now && deadline > state.next_check);
        let check = state.stage != Stage::Reporting && (over || state.next_check + check_every <= now);
        if check {
            state.next_check = now;
        }
        (beat, check)
    };
    if !held.is_wanted() {
        held.state().next_beat = None;
        return;
    }
    if check {
        // Full means that it is not asked about this time.
        let _full = errands.try_send(Errand::Check(Arc::clone(&held)));
    }
    if beat {
        // Until the helper has sent it, it is not due again.
        held.state().next_beat = held.beat_every.map(|interval| now + interval);
        if let Err(TrySendError::Full(_)) = errands.try_send(Errand::Beat(Arc::clone(&held))) {
            held.state().next_beat = Some(now);
        }
    }
}

/// Runs one errand.
pub(crate) fn run_errand(client: &Client, register: &Register, errand: Errand) {
    let held = match errand {
        Errand::Beat(held) => {
            beat(client, &held);
            held
        }
        Errand::Check(held) => {
            check(client, &held);
            held
        }
    };
    let is_wanted = held.signals.heartbeat_wanted.load(Ordering::Acquire);
    let due = if is_wanted { Instant::now() } else { held.due(register.check_every) };
    register.wake_keeper(register.tasks(), due);
}

fn beat(client: &Client, held: &Held) {
    if !held.is_wanted() || !held.begin_beat() {
        return;
    }
    let mut extension = TaskResult::new(&held.workflow_id, &held.task_id, "IN_PROGRESS");
    extension.extend_lease = true;
    let begun = Instant::now();
    let outcome = client.tasks().update(&extension);
    let doubtful = outcome.as_ref().is_err_and(|e| e.is_ambiguous());
    let pause = match verdict(&outcome) {
        Verdict::Settled => {
            held.metrics.heartbeat();
            held.state().lease_until = held.lease.map(|lease| begun + lease);
            held.beat_every
        }
        gone_or_failed => {
            held.metrics.heartbeat_failed();
            if gone_or_failed == Verdict::Gone && std::mem::replace(&mut held.state().gone, true) {
                held.cancel();
            }
            held.beat_every.map(beat_again_after)
        }
    };
    held.end_beat(pause.map(|pause| Instant::now() + pause), doubtful);
}

fn check(client: &Client, held: &Held) {
    match client.tasks().get(&held.task_id) {
        Ok(task) if task.status.is_terminal() => held.cancel(),
        Ok(_) => held.state().gone = false,
        Err(error) if error.is_not_found() => {
            if std::mem::replace(&mut held.state().gone, true) {
                held.cancel();
            }
        }
        Err(error) => log::debug!("{error}"),
    }
}
