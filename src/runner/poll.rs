//! The poller of one worker: fetches no more tasks than there are free slots, and hands each on with its slot.

use std::{
    borrow::Cow,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
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
        readiness::Readiness,
        register::{Held, Register},
        report::{Report, small_body},
        retry::{Allowed, Backoff, Limit, Notice, Trouble},
        slot::{Slot, SlotSource},
        update::Outbox,
    },
    task::{TaskResult, TaskResultStatus},
    worker::{
        Handler, Heartbeats, Signals, TaskContext,
        outcome::shorten,
        polled::{PolledTask, Unreadable},
    },
};

/// The first hold of a poll of an empty queue; it doubles up to the worker's poll timeout.
const FIRST_HOLD: Duration = Duration::from_millis(100);

/// The longest pause after failed polls: a server that comes back is noticed within this.
const PAUSE_CAP: Duration = Duration::from_secs(15);

/// After a failed poll of a helper, when the server did not ask for more.
const HELPER_PAUSE: Duration = Duration::from_millis(100);

/// A larger batch would be a larger answer than is worth reading at once.
const MAX_BATCH: usize = 1000;

/// After an answer that was too large to read, batches stay smaller for this many polls: its tasks wait for their timeout.
const POLLS_WITH_SMALL_BATCHES: u32 = 1000;

/// Everything that the pollers of one worker know.
#[derive(Clone)]
pub(crate) struct Polling {
    pub(crate) client: Client,
    pub(crate) task_type: Arc<str>,
    pub(crate) domain: Option<String>,
    pub(crate) worker_id: String,
    pub(crate) hold: Duration,
    /// How long tasks that came without a slot may wait for one before they are given back.
    pub(crate) wait_for_slot: Duration,
    pub(crate) heartbeats: Heartbeats,
    /// In a pool of its own a worker holds a slot while the server holds its poll; in a shared one that would keep the
    /// slot from busier workers.
    pub(crate) dedicated: bool,
    pub(crate) handler: Handler,
    pub(crate) n_panics: Arc<AtomicU64>,
    pub(crate) metrics: TaskMetrics,
    pub(crate) slots: SlotSource,
    pub(crate) register: Arc<Register>,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) stopping: Arc<AtomicBool>,
    /// Read by the pool; closes when all pollers have ended. Has room for every slot, so sending never waits.
    pub(crate) assigned: Sender<Assigned>,
    /// For tasks that can't be run here.
    pub(crate) outbox: Outbox,
    /// Written by the runner's control.
    pub(crate) paused: Arc<AtomicBool>,
    /// What came that can't be run; shared with the helpers.
    pub(crate) odd: Arc<Mutex<Trouble>>,
    /// Shared by all workers.
    pub(crate) told: Arc<Mutex<Told>>,
    /// Shared with the helpers.
    pub(crate) pace: Arc<Mutex<Pace>>,
    /// Closes when the runner stops.
    pub(crate) stop: Receiver<()>,
    /// Closes at the end of a stop's grace.
    pub(crate) too_late: Receiver<()>,
}

/// What may be logged about polls in a while, of all workers together.
pub(crate) struct Told {
    began: Limit,
    goes_on: Limit,
    /// Tasks that are not run.
    odd: Limit,
}

impl Default for Told {
    fn default() -> Self {
        Self { began: Limit::new(5), goes_on: Limit::new(1), odd: Limit::new(5) }
    }
}

impl Told {
    fn take(&mut self, notice: &Notice, now: Instant) -> Allowed {
        match notice {
            Notice::GoesOn(..) => self.goes_on.take(now),
            Notice::Began | Notice::Over(..) => self.began.take(now),
        }
    }
}

/// How much and how soon the pollers of one worker may ask for.
pub(crate) struct Pace {
    /// The largest batch.
    most: usize,
    /// How many polls ago an answer was too large.
    n_polls_since: u32,
    /// Nobody polls before this.
    rest_until: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { most: MAX_BATCH, n_polls_since: 0, rest_until: None }
    }
}

impl Pace {
    fn rest(&mut self, until: Instant) {
        self.rest_until = self.rest_until.max(Some(until));
    }

    /// What is left of the rest.
    fn left(&self, now: Instant) -> Option<Duration> {
        Some(self.rest_until?.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    fn worked(&mut self) {
        self.n_polls_since += 1;
        if self.n_polls_since >= POLLS_WITH_SMALL_BATCHES {
            self.most = (self.most * 2).min(MAX_BATCH);
            self.n_polls_since = 0;
        }
    }

    /// An answer to a poll for `asked` tasks was too large to read.
    fn was_too_large(&mut self, asked: usize) {
        self.most = (self.most.min(asked) / 2).max(1);
        self.n_polls_since = 0;
    }
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
    /// Written by the runner's control after a change of `paused`; has room for one.
    pub(crate) changed: Receiver<()>,
    /// Closes once every thread of the runner is there.
    pub(crate) gate: Receiver<()>,
    /// Read by the helpers: a full batch came, so another poll may pay. Has room for one.
    pub(crate) more: Sender<()>,
    state: State,
}

struct State {
    /// How long the next poll is to be held; zero while the queue is busy.
    hold: Duration,
    backoff: Backoff,
    trouble: Trouble,
    /// Pauses after polls that brought nothing but tasks that can't be run here.
    useless: Backoff,
}

impl Poller {
    /// How long no thread is free until that is told.
    const LONG_WAIT: Duration = Duration::from_secs(60);

    pub(crate) fn new(polling: Polling, changed: Receiver<()>, gate: Receiver<()>, more: Sender<()>) -> Self {
        let state = State {
            hold: Duration::ZERO,
            backoff: Backoff::new(PAUSE_CAP),
            trouble: Trouble::default(),
            useless: Backoff::new(PAUSE_CAP),
        };
        Self { polling, changed, gate, more, state }
    }

    /// Polls until the runner stops.
    pub(crate) fn run(mut self) {
        // Nothing is ever sent on these: they close.
        let _opened = self.gate.recv();
        while self.polling.stop.try_recv().is_err_and(|e| e.is_empty()) {
            let rest = self.polling.pace().left(Instant::now());
            let going = if self.polling.paused.load(Ordering::Acquire) {
                self.polling.metrics.paused();
                self.await_change()
            } else if let Some(left) = rest {
                self.sit_out(left)
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
        // A helper may have been told to wait meanwhile.
        if self.polling.pace().left(Instant::now()).is_some() {
            return true;
        }
        let mut slots = vec![first];
        slots.extend(self.polling.more_slots());
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
                self.dispatch(tasks, slots)
            }
            Err(error) => {
                drop(slots);
                self.failed(error)
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
                // A server or proxy that does not hold, or holds that are next to nothing, must not make this loop spin.
                let left = hold.max(FIRST_HOLD).saturating_sub(begun.elapsed());
                left < Duration::from_millis(5) || self.sit_out(left)
            }
            Ok(tasks) => {
                self.worked();
                self.state.hold = Duration::ZERO;
                self.dispatch(tasks, slot.into_iter().collect())
            }
            Err(error) => {
                drop(slot);
                self.failed(error)
            }
        }
    }

    /// Hands tasks on. A server that sends nothing but what can't be run must not make this loop spin. False when the
    /// runner stops.
    fn dispatch(&mut self, tasks: Vec<Result<PolledTask, Unreadable>>, slots: Vec<Slot>) -> bool {
        let is_empty = tasks.is_empty();
        if self.polling.dispatch(tasks, slots) > 0 || is_empty {
            self.state.useless.reset();
            return true;
        }
        let pause = self.state.useless.pause(None, fastrand::f64());
        self.sit_out(pause)
    }

    /// Waits for a slot; a worker with a limit of its own needs a place there first.
    fn wait_for_slot(&mut self) -> Waited<Slot> {
        let slots = &self.polling.slots;
        if let Some(slot) = slots.take() {
            return Waited::Got(slot);
        }
        self.polling.metrics.queue_full();
        let begun = Instant::now();
        let (mut own, mut told_after) = (None, Self::LONG_WAIT);
        loop {
            let places = slots.own.as_ref().filter(|_| own.is_none());
            select! {
                recv(places.unwrap_or(&slots.pool).free()) -> _ => match places {
                    Some(places) => own = Some(places.token()),
                    None => return Waited::Got(Slot::new(slots.pool.token(), own)),
                },
                recv(self.polling.stop) -> _ => return Waited::Stop,
                recv(self.changed) -> _ => return Waited::Other,
                recv(crossbeam_channel::at(begun + told_after)) -> _ => {
                    let (task_type, for_s) = (&self.polling.task_type, told_after.as_secs());
                    let why = if places.is_some() { "max_concurrent tasks run" } else { "no thread has been free" };
                    log::info!("nothing is fetched, since {why} task_type={task_type} for_s={for_s}");
                    told_after *= 2;
                }
            }
        }
    }

    /// Waits until it is told of a change; false for the stop.
    fn await_change(&self) -> bool {
        select! {
            recv(self.polling.stop) -> _ => false,
            recv(self.changed) -> _ => true,
        }
    }

    /// Waits for a time, whatever changes; false for the stop.
    fn sit_out(&self, pause: Duration) -> bool {
        select! {
            recv(crossbeam_channel::after(pause)) -> _ => true,
            recv(self.polling.stop) -> _ => false,
        }
    }

    fn worked(&mut self) {
        let Polling { task_type, readiness, .. } = &self.polling;
        self.state.backoff.reset();
        readiness.polled(task_type, self.polling.domain.as_deref());
        if let Some(Notice::Over(after, n)) = self.state.trouble.worked(Instant::now()) {
            log::info!("polls work again task_type={task_type} after_s={} n_failures={n}", after.as_secs());
        }
    }

    /// Has all pollers of the worker pause after a failed poll; false when the runner stops.
    fn failed(&mut self, error: Error) -> bool {
        let error = Arc::new(error);
        let task_type = &self.polling.task_type;
        self.polling.readiness.failed(task_type, self.polling.domain.as_deref(), &error);
        let now = Instant::now();
        let notice = self.state.trouble.failed(now);
        let may_tell = |notice| self.polling.told.lock().unwrap_or_else(PoisonError::into_inner).take(notice, now);
        match notice.as_ref().map(|notice| (notice, may_tell(notice))) {
            None | Some((_, Allowed::No)) => log::debug!("{error} task_type={task_type}"),
            Some((Notice::GoesOn(since, n), _)) => {
                let n_workers = self.polling.readiness.n_failing();
                let for_s = since.as_secs();
                log::warn!("{error} task_type={task_type} for_s={for_s} n_failures={n} n_workers_failing={n_workers}");
            }
            Some((_, allowed)) => {
                log::warn!("{error} task_type={task_type}");
                if allowed == Allowed::Last {
                    log::warn!("the polls of further workers fail as well");
                }
            }
        }
        let pause = self.state.backoff.pause(error.retry_after(), fastrand::f64());
        self.polling.pace().rest(now + pause);
        true
    }
}

/// A further poller, which polls only while batches come back full.
pub(crate) fn help(polling: &Polling, more: &Receiver<()>, tell: &Sender<()>) {
    loop {
        select! {
            recv(polling.stop) -> _ => return,
            recv(more) -> asked => if asked.is_err() { return },
        }
        if polling.paused.load(Ordering::Acquire) || polling.pace().left(Instant::now()).is_some() {
            continue;
        }
        let Some(first) = polling.slots.take() else {
            continue;
        };
        let mut slots = vec![first];
        slots.extend(polling.more_slots());
        let asked = slots.len();
        match polling.fetch(asked, Duration::ZERO) {
            Ok(tasks) => {
                let is_full = tasks.len() >= asked;
                if polling.dispatch(tasks, slots) > 0 && is_full {
                    let _full = tell.try_send(());
                }
            }
            // The main poller meets it too when it lasts, and logs.
            Err(error) => polling.pace().rest(Instant::now() + error.retry_after().unwrap_or(HELPER_PAUSE)),
        }
    }
}

impl Polling {
    fn pace(&self) -> MutexGuard<'_, Pace> {
        // Numbers that are valid in any state.
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The free slots that a batch may have besides its first.
    fn more_slots(&self) -> impl Iterator<Item = Slot> {
        let most = self.pace().most;
        std::iter::from_fn(|| self.slots.take()).take(most - 1)
    }

    /// One poll.
    fn fetch(&self, count: usize, hold: Duration) -> Result<Vec<Result<PolledTask, Unreadable>>> {
        let begun = Instant::now();
        let outcome = self.request(count, hold);
        match &outcome {
            Ok(_) => self.pace().worked(),
            Err(error) if error.kind() == ErrorKind::TooLarge => self.pace().was_too_large(count),
            Err(_) => {}
        }
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
        let about = ("poll", &*self.task_type);
        let request = Request::new(Method::Get, "/tasks/poll/batch/{taskType}", &[&self.task_type], about)?
            .query("count", &count.to_string())
            .query("timeout", &hold.as_millis().to_string())
            .query("workerid", &self.worker_id)
            .query_some("domain", self.domain.as_deref());
        let answer = self.client.http().send(&request)?;
        if answer.status == 204 && answer.body.is_empty() {
            return Ok(Vec::new());
        }
        let (text, replaced) = to_text(&answer.body);
        let elements: Vec<&RawValue> = answer.json_text(&text)?;
        let read = |element: &RawValue| {
            let begin = element.get().as_ptr().addr() - text.as_ptr().addr();
            let place = begin..begin + element.get().len();
            match replaced.iter().any(|at| place.contains(at)) {
                true => Err(Unreadable::new(element, "it holds bytes that are no UTF-8")),
                false => PolledTask::read(element),
            }
        };
        Ok(elements.into_iter().map(read).collect())
    }

    /// Hands tasks on, each with a slot; what has none waits for one, or is given back. Says how many were run or would
    /// have been.
    fn dispatch(&self, tasks: Vec<Result<PolledTask, Unreadable>>, slots: Vec<Slot>) -> usize {
        let mut slots = slots.into_iter();
        let mut odd = Vec::new();
        let mut n_fit = 0;
        let wait_until = Instant::now() + self.wait_for_slot;
        for task in tasks {
            match task.map_err(|unreadable| self.refuse(&unreadable)).and_then(|task| self.take_in(task)) {
                Err(why) => odd.push(why),
                Ok((context, held)) => {
                    n_fit += 1;
                    match slots.next().or_else(|| self.late_slot(wait_until)) {
                        Some(slot) => {
                            let (handler, n_panics) = (Arc::clone(&self.handler), Arc::clone(&self.n_panics));
                            self.assign(Assigned { context, held, handler, n_panics, slot });
                        }
                        None => self.outbox.give_back(Report::give_back(&context, held)),
                    }
                }
            }
        }
        self.tell_odd(&odd);
        n_fit
    }

    /// Takes a task into the register, unless it is not to be run here; then says why.
    fn take_in(&self, task: PolledTask) -> Result<(TaskContext, Arc<Held>), String> {
        let (stopping, nudge) = (Arc::clone(&self.stopping), Some(self.register.nudge()));
        let signals = Arc::new(Signals { stopping, nudge, ..Signals::default() });
        let metrics = self.metrics.clone();
        let held = Arc::new(Held::new(&self.task_type, &task, self.heartbeats, metrics, Arc::clone(&signals)));
        if !self.register.admit(Arc::clone(&held)) {
            return Err(format!("it was handed out again while it is held here, so it is not run twice {held}"));
        }
        let ours = task.type_names.iter().flatten().any(|name| **name == *self.task_type)
            || task.type_names.iter().all(Option::is_none);
        let context = TaskContext::new(task, self.domain.clone(), self.worker_id.clone(), signals);
        if !ours {
            let why = format!("it is of another type, and is given back {held}");
            self.outbox.give_back(Report::give_back(&context, held));
            return Err(why);
        }
        Ok((context, held))
    }

    /// Tells of tasks that are not run, the first of them in full; not of each, since a server that sends one may send many.
    fn tell_odd(&self, odd: &[String]) {
        let now = Instant::now();
        let mut trouble = self.odd.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(first) = odd.first() else {
            trouble.worked(now);
            return;
        };
        let task_type = &self.task_type;
        let may_tell = || self.told.lock().unwrap_or_else(PoisonError::into_inner).odd.take(now) != Allowed::No;
        match trouble.failed(now).filter(|_| may_tell()) {
            Some(Notice::Began) => log::error!("poll {task_type}: {} tasks are not run; the first: {first}", odd.len()),
            Some(Notice::GoesOn(since, n_polls)) => {
                log::error!("poll {task_type}: tasks are not run for_s={} n_polls={n_polls}: {first}", since.as_secs());
            }
            _ => odd.iter().for_each(|why| log::debug!("poll {task_type}: a task is not run: {why}")),
        }
    }

    /// A slot for a task that came without one, where there is one until `end` and within the grace of a stop.
    fn late_slot(&self, end: Instant) -> Option<Slot> {
        let timer = crossbeam_channel::at(end);
        let own = match &self.slots.own {
            None => None,
            Some(places) => select! {
                recv(places.free()) -> _ => Some(places.token()),
                recv(timer) -> _ => return None,
                recv(self.too_late) -> _ => return None,
            },
        };
        let timer = crossbeam_channel::at(end);
        select! {
            recv(self.slots.pool.free()) -> _ => Some(Slot::new(self.slots.pool.token(), own)),
            recv(timer) -> _ => None,
            recv(self.too_late) -> _ => None,
        }
    }

    fn assign(&self, task: Assigned) {
        // The pool outlives its pollers, so this fails only when it has panicked and the runner is ending.
        if self.assigned.send(task).is_err() {
            log::error!("a fetched task is lost since the pool has ended task_type={}", self.task_type);
        }
    }

    /// Fails a task that can't be read, so that its workflow does not hang; its neighbours are not affected. Gives the words
    /// for it.
    fn refuse(&self, unreadable: &Unreadable) -> String {
        let reason = &unreadable.reason;
        let Some((workflow_id, task_id)) = &unreadable.ids else {
            return format!("it can't be read and has no ids to report it by: {reason}");
        };
        let status = TaskResultStatus::FailedWithTerminalError;
        let text = shorten(&format!("the worker can't read the task: {reason}"));
        let body = small_body(&TaskResult::new(workflow_id, task_id, status).reason(text).worker_id(&self.worker_id));
        let held = Arc::new(Held::unreadable(&self.task_type, workflow_id, task_id, self.metrics.clone()));
        held.set_reporting(false);
        let why = format!("it can't be read and is failed: {reason} {held}");
        if self.register.admit(Arc::clone(&held)) {
            self.outbox.give_back(Report::new(held, body, false));
        }
        why
    }
}

/// An answer as text. Bytes that are no UTF-8 are replaced, and it is told where, so that only the tasks they belong to suffer.
fn to_text(body: &[u8]) -> (Cow<'_, str>, Vec<usize>) {
    if let Ok(text) = std::str::from_utf8(body) {
        return (text.into(), Vec::new());
    }
    let (mut text, mut replaced) = (String::with_capacity(body.len() + 2), Vec::new());
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            replaced.push(text.len());
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    (text.into(), replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_halved_until_they_can_be_read_and_grow_slowly() {
        let mut pace = Pace::default();
        pace.was_too_large(64);
        assert_eq!(pace.most, 32);
        (0..40).for_each(|_| pace.was_too_large(1));
        assert_eq!(pace.most, 1);
        (1..POLLS_WITH_SMALL_BATCHES).for_each(|_| pace.worked());
        assert_eq!(pace.most, 1);
        pace.worked();
        assert_eq!(pace.most, 2);
    }

    #[test]
    fn twenty_workers_whose_polls_fail_for_minutes_are_worth_a_few_lines() {
        let start = Instant::now();
        let mut told = Told::default();
        let mut workers: Vec<_> = (0..20).map(|_| Trouble::default()).collect();
        // Each tries every ten seconds, at times of its own.
        let lines = (0..24_000).filter(|n| {
            let now = start + Duration::from_millis(n * 25);
            let notice = (n % 20 == 0).then(|| workers[(n / 20 % 20) as usize].failed(now)).flatten();
            notice.is_some_and(|notice| told.take(&notice, now) != Allowed::No)
        });
        let lines: Vec<_> = lines.map(|n| n / 40).collect();
        assert!(lines.iter().filter(|second| **second < 65).count() < 10, "{lines:?}");
        assert!((8..16).contains(&lines.len()), "{lines:?}");
    }

    #[test]
    fn a_rest_is_as_long_as_the_longest_that_was_asked_for() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut pace = Pace::default();
        assert_eq!(pace.left(now), None);
        pace.rest(now + 5 * second);
        pace.rest(now + second);
        assert_eq!((pace.left(now), pace.left(now + 5 * second)), (Some(5 * second), None));
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_and_told() {
        for (body, text, replaced) in [
            (&b"[1]"[..], "[1]", vec![]),
            (b"a\xff\xe2\x82b", "a\u{fffd}\u{fffd}b", vec![1, 4]),
            (b"\xff", "\u{fffd}", vec![0]),
            ("\u{fffd}".as_bytes(), "\u{fffd}", vec![]),
        ] {
            assert_eq!(to_text(body), (text.into(), replaced));
        }
    }
}
