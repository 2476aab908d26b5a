//! The poller of one worker: fetches no more tasks than there are free slots, and hands each on with its slot.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, select};
use serde_json::value::RawValue;

use crate::{
    client::Client,
    error::{Error, ErrorKind, Result},
    http::{Method, Request},
    metrics::TaskMetrics,
    runner::{
        execute::Assigned,
        keep::{Held, Register},
        readiness::Readiness,
        retry::{Backoff, Notice, Trouble},
        slot::{Slot, SlotSource},
        update::{Report, small_body},
    },
    task::{TaskResult, TaskResultStatus},
    worker::{Handler, Heartbeats, PolledTask, Signals, TaskContext, Unreadable, shorten},
};

/// The first hold of a poll of an empty queue; it doubles up to the worker's poll timeout.
const FIRST_HOLD: Duration = Duration::from_millis(100);

/// The longest pause after failed polls: a server that comes back is noticed within this.
const PAUSE_CAP: Duration = Duration::from_secs(15);

/// How long a task that came without a slot may wait for one before it is given back.
const WAIT_FOR_SLOT: Duration = Duration::from_secs(1);

/// A larger batch would be a larger answer than is worth reading at once.
const MAX_BATCH: usize = 1000;

/// What a running poller can be told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Command {
    Pause,
    Resume,
}

/// Everything that the pollers of one worker know.
#[derive(Clone)]
pub(crate) struct Polling {
    pub(crate) client: Client,
    pub(crate) task_type: String,
    pub(crate) domain: Option<String>,
    pub(crate) worker_id: String,
    pub(crate) hold: Duration,
    pub(crate) heartbeats: Heartbeats,
    /// In a pool of its own a worker holds a slot while the server holds its poll; in a shared one that would keep the
    /// slot from busier workers.
    pub(crate) dedicated: bool,
    pub(crate) handler: Handler,
    pub(crate) metrics: TaskMetrics,
    pub(crate) slots: SlotSource,
    pub(crate) register: Arc<Register>,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) stopping: Arc<AtomicBool>,
    /// Read by the pool; closes when all pollers have ended. Has room for every slot, so sending never waits.
    pub(crate) assigned: Sender<Assigned>,
    /// Read by the updaters: tasks that can't be run here.
    pub(crate) finished: Sender<Report>,
    /// Closes when the runner stops.
    pub(crate) stop: Receiver<()>,
}

/// Where a wait has ended.
enum Waited<T> {
    Got(T),
    Stop,
    Other,
}

/// The main poller of a worker.
pub(crate) struct Poller {
    pub(crate) polling: Polling,
    /// Written by the runner's handle.
    pub(crate) commands: Receiver<Command>,
    /// Read by the helpers: a full batch came, so another poll may pay. Has room for one.
    pub(crate) more: Sender<()>,
    state: State,
}

struct State {
    paused: bool,
    /// How long the next poll is to be held; zero while the queue is busy.
    hold: Duration,
    backoff: Backoff,
    trouble: Trouble,
    most: usize,
}

impl Poller {
    pub(crate) fn new(polling: Polling, commands: Receiver<Command>, more: Sender<()>) -> Self {
        let state = State {
            paused: false,
            hold: Duration::ZERO,
            backoff: Backoff::new(PAUSE_CAP),
            trouble: Trouble::default(),
            most: MAX_BATCH,
        };
        Self { polling, commands, more, state }
    }

    /// Polls until the runner stops.
    pub(crate) fn run(mut self) {
        // Nothing is ever sent on it: it is empty until it closes.
        while self.polling.stop.try_recv().is_err_and(|e| e.is_empty()) {
            while let Ok(command) = self.commands.try_recv() {
                self.state.paused = command == Command::Pause;
            }
            let going = if self.state.paused {
                self.polling.metrics.paused();
                self.rest(None)
            } else if self.state.hold.is_zero() {
                self.drain_queue()
            } else {
                self.watch_queue()
            };
            if !going {
                return;
            }
        }
    }

    /// One batch poll for all free slots, which the server answers at once. False when the runner stops.
    fn drain_queue(&mut self) -> bool {
        let first = match self.wait_for_slot() {
            Waited::Got(slot) => slot,
            Waited::Stop => return false,
            Waited::Other => return true,
        };
        let mut slots = vec![first];
        while slots.len() < self.state.most {
            match self.polling.slots.take() {
                Some(slot) => slots.push(slot),
                None => break,
            }
        }
        let asked = slots.len();
        match self.polling.fetch(asked, Duration::ZERO) {
            Ok(tasks) => {
                self.worked();
                if tasks.is_empty() {
                    self.state.hold = FIRST_HOLD.min(self.polling.hold);
                } else if tasks.len() >= asked {
                    // Full means that a helper is being asked already.
                    let _full = self.more.try_send(());
                }
                self.polling.dispatch(tasks, slots)
            }
            Err(error) => {
                drop(slots);
                self.failed(&error)
            }
        }
    }

    /// One poll for one task, which the server holds while the queue is empty. False when the runner stops.
    fn watch_queue(&mut self) -> bool {
        let slot = match self.wait_for_slot() {
            Waited::Got(slot) => Some(slot).filter(|_| self.polling.dedicated),
            Waited::Stop => return false,
            Waited::Other => return true,
        };
        let begun = Instant::now();
        let hold = self.state.hold;
        match self.polling.fetch(1, hold) {
            Ok(tasks) if tasks.is_empty() => {
                drop(slot);
                self.worked();
                self.state.hold = (hold * 2).min(self.polling.hold);
                // A server or proxy that does not hold must not make this loop spin.
                let left = hold.saturating_sub(begun.elapsed());
                left < Duration::from_millis(5) || self.rest(Some(left))
            }
            Ok(tasks) => {
                self.worked();
                self.state.hold = Duration::ZERO;
                self.polling.dispatch(tasks, slot.into_iter().collect())
            }
            Err(error) => {
                drop(slot);
                self.failed(&error)
            }
        }
    }

    /// Waits for a slot; a worker with a limit of its own needs a place there first.
    fn wait_for_slot(&mut self) -> Waited<Slot> {
        let slots = &self.polling.slots;
        if let Some(slot) = slots.take() {
            return Waited::Got(slot);
        }
        self.polling.metrics.queue_full();
        let own = match &slots.own {
            Some(places) => select! {
                recv(places.free()) -> _ => Some(places.token()),
                recv(self.polling.stop) -> _ => return Waited::Stop,
                recv(self.commands) -> command => return self.commanded(command.ok()),
            },
            None => None,
        };
        select! {
            recv(slots.pool.free()) -> _ => Waited::Got(Slot::new(slots.pool.token(), own)),
            recv(self.polling.stop) -> _ => Waited::Stop,
            recv(self.commands) -> command => self.commanded(command.ok()),
        }
    }

    /// Follows a command that came during a wait; its channel closes only with the runner.
    fn commanded<T>(&mut self, command: Option<Command>) -> Waited<T> {
        let Some(command) = command else {
            return Waited::Stop;
        };
        self.state.paused = command == Command::Pause;
        Waited::Other
    }

    /// Waits for a time, a command or the stop; false for the stop.
    fn rest(&mut self, pause: Option<Duration>) -> bool {
        let timer = pause.map_or_else(crossbeam_channel::never, crossbeam_channel::after);
        select! {
            recv(timer) -> _ => true,
            recv(self.polling.stop) -> _ => false,
            recv(self.commands) -> command => !matches!(self.commanded::<()>(command.ok()), Waited::Stop),
        }
    }

    fn worked(&mut self) {
        let Polling { task_type, readiness, .. } = &self.polling;
        self.state.backoff.reset();
        self.state.most = MAX_BATCH;
        readiness.polled(task_type, self.polling.domain.as_deref());
        if let Some(Notice::Over(after, n)) = self.state.trouble.worked(Instant::now()) {
            log::info!("polls work again task_type={task_type} after_s={} n_failures={n}", after.as_secs());
        }
    }

    /// Waits out the pause after a failed poll; false when the runner stops.
    fn failed(&mut self, error: &Error) -> bool {
        let task_type = &self.polling.task_type;
        self.polling.readiness.failed(task_type, self.polling.domain.as_deref(), &error.to_string());
        match self.state.trouble.failed(Instant::now()) {
            Some(Notice::Began) => log::warn!("{error} task_type={task_type}"),
            Some(Notice::GoesOn(since, n)) => {
                log::warn!("{error} task_type={task_type} for_s={} n_failures={n}", since.as_secs());
            }
            _ => log::debug!("{error} task_type={task_type}"),
        }
        if error.kind() == ErrorKind::TooLarge {
            self.state.most = (self.state.most.min(self.polling.slots.pool.n_free().max(2)) / 2).max(1);
        }
        let pause = self.state.backoff.pause(error.retry_after(), fastrand::f64());
        self.rest(Some(pause))
    }
}

/// A further poller, which polls only while batches come back full.
pub(crate) fn help(polling: &Polling, more: &Receiver<()>, tell: &Sender<()>) {
    loop {
        select! {
            recv(polling.stop) -> _ => return,
            recv(more) -> asked => if asked.is_err() { return },
        }
        let Some(first) = polling.slots.take() else {
            continue;
        };
        let mut slots = vec![first];
        slots.extend(std::iter::from_fn(|| polling.slots.take()).take(MAX_BATCH - 1));
        let asked = slots.len();
        // A failure shows in the metrics here; the main poller meets it too, and waits and logs.
        if let Ok(tasks) = polling.fetch(asked, Duration::ZERO) {
            if tasks.len() >= asked {
                let _full = tell.try_send(());
            }
            if !polling.dispatch(tasks, slots) {
                return;
            }
        }
    }
}

impl Polling {
    /// One poll.
    fn fetch(&self, count: usize, hold: Duration) -> Result<Vec<Result<PolledTask, Unreadable>>> {
        let begun = Instant::now();
        let outcome = self.request(count, hold);
        match &outcome {
            Ok(_) => self.metrics.polled(begun.elapsed()),
            Err(error) => {
                let status = error.status().unwrap_or(0);
                self.metrics.poll_failed(begun.elapsed(), status, error.kind().as_str());
                if error.is_ambiguous() {
                    self.metrics.poll_ambiguous();
                }
            }
        }
        outcome
    }

    fn request(&self, count: usize, hold: Duration) -> Result<Vec<Result<PolledTask, Unreadable>>> {
        let about = ("poll", self.task_type.as_str());
        let request = Request::new(Method::Get, "/tasks/poll/batch/{taskType}", &[&self.task_type], about)?
            .query("count", &count.to_string())
            .query("timeout", &hold.as_millis().to_string())
            .query("workerid", &self.worker_id)
            .query_some("domain", self.domain.as_deref());
        let answer = self.client.http().send(&request)?;
        if answer.status == 204 && answer.body.is_empty() {
            return Ok(Vec::new());
        }
        // Bytes that are no UTF-8 are replaced, so that only the task they belong to suffers.
        let text = String::from_utf8_lossy(&answer.body);
        let elements: Vec<&RawValue> = answer.json_text(&text)?;
        Ok(elements.into_iter().map(PolledTask::read).collect())
    }

    /// Hands tasks on, each with a slot; what has none waits for one, or is given back. False when the runner stops.
    fn dispatch(&self, tasks: Vec<Result<PolledTask, Unreadable>>, slots: Vec<Slot>) -> bool {
        let mut slots = slots.into_iter();
        for task in tasks {
            let task = match task {
                Ok(task) => task,
                Err(unreadable) => {
                    self.refuse(&unreadable);
                    continue;
                }
            };
            let signals = Arc::new(Signals {
                stopping: Arc::clone(&self.stopping),
                wake_keeper: Some(self.register.nudge()),
                ..Signals::default()
            });
            let held = Arc::new(Held::new(&task, self.heartbeats, self.metrics.clone(), Arc::clone(&signals)));
            if !self.register.admit(Arc::clone(&held)) {
                log::warn!(
                    "task was handed out again while it is held here, so it is not run twice task_id={}",
                    held.task_id
                );
                continue;
            }
            let ours = task.type_names.iter().flatten().any(|name| *name == self.task_type)
                || task.type_names.iter().all(Option::is_none);
            let context = TaskContext::new(task, self.domain.clone(), self.worker_id.clone(), signals);
            if !ours {
                log::warn!(
                    "poll {}: the server handed out a task of another type task_id={}",
                    self.task_type,
                    held.task_id
                );
                self.finish(Report::give_back(&context, held));
                continue;
            }
            match slots.next().or_else(|| self.late_slot()) {
                Some(slot) => self.assign(Assigned { context, held, handler: Arc::clone(&self.handler), slot }),
                None => self.finish(Report::give_back(&context, held)),
            }
        }
        true
    }

    /// A slot for a task that came without one, within a bound.
    fn late_slot(&self) -> Option<Slot> {
        let end = Instant::now() + WAIT_FOR_SLOT;
        let timer = crossbeam_channel::at(end);
        let own = match &self.slots.own {
            None => None,
            Some(places) => select! {
                recv(places.free()) -> _ => Some(places.token()),
                recv(timer) -> _ => return None,
            },
        };
        let timer = crossbeam_channel::at(end);
        select! {
            recv(self.slots.pool.free()) -> _ => Some(Slot::new(self.slots.pool.token(), own)),
            recv(timer) -> _ => None,
        }
    }

    fn assign(&self, task: Assigned) {
        // The pool outlives its pollers, so this fails only when it has panicked and the runner is ending.
        if self.assigned.send(task).is_err() {
            log::error!("a fetched task is lost since the pool has ended task_type={}", self.task_type);
        }
    }

    fn finish(&self, report: Report) {
        if self.finished.send(report).is_err() {
            log::error!("a fetched task is lost since the updaters have ended task_type={}", self.task_type);
        }
    }

    /// Fails a task that can't be read, so that its workflow does not hang; its neighbours are not affected.
    fn refuse(&self, unreadable: &Unreadable) {
        let reason = &unreadable.reason;
        let Some((workflow_id, task_id)) = &unreadable.ids else {
            log::error!("poll {}: a task can't be read and has no ids to report it by: {reason}", self.task_type);
            return;
        };
        log::error!("poll {}: a task can't be read and is failed: {reason} task_id={task_id}", self.task_type);
        let status = TaskResultStatus::FailedWithTerminalError;
        let text = shorten(&format!("the worker can't read the task: {reason}"));
        let body = small_body(&TaskResult::new(workflow_id, task_id, status).reason(text).worker_id(&self.worker_id));
        let held = Arc::new(Held::unreadable(workflow_id, task_id, self.metrics.clone()));
        held.set_reporting(false);
        if self.register.admit(Arc::clone(&held)) {
            self.finish(Report::new(held, body, false));
        }
    }
}
