//! [`RunnerHandle`]: what a program holds while its workers run, and how they are stopped.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, select};

#[cfg(unix)]
use crate::runner::signals::StopSignals;
use crate::{
    error::{Error, Result},
    metrics::{Metrics, MetricsServer},
    runner::{
        crew::Alarm,
        execute::Assigned,
        readiness::Readiness,
        register::{Register, Stage},
        report::Report,
        update::{Outbox, Retry},
    },
    task::FAR,
};

/// After the grace, deliveries and polls under way have this long to end before they are reported as they are.
const FLUSH: Duration = Duration::from_secs(3);

/// After a signal that ends the grace, deliveries have this long.
const FORCED_FLUSH: Duration = Duration::from_secs(2);

/// And reports that the server asked to wait are tried once more after this.
const FORCED_LAST_TRY: Duration = Duration::from_millis(1500);

/// Threads that have nothing left to do end at once; this is for a machine that is busy.
const JOIN: Duration = Duration::from_secs(2);

/// Threads that are stuck are not waited for.
const JOIN_STUCK: Duration = Duration::from_millis(100);

/// A running [`TaskRunner`](crate::TaskRunner). Dropping it stops the runner with its grace and waits for that.
#[must_use = "dropping the handle stops the runner"]
pub struct RunnerHandle {
    pub(super) control: RunnerControl,
    pub(super) grace: Duration,
    pub(super) alarm: Arc<Alarm>,
    pub(super) stop: Receiver<()>,
    pub(super) stopping: Arc<AtomicBool>,
    pub(super) last_try: Arc<Mutex<Option<Instant>>>,
    /// To the thread that holds the retries.
    pub(super) retries: Option<Sender<Retry>>,
    /// Nothing is sent on it: it goes at the end of a stop's grace.
    pub(super) in_time: Option<Sender<()>>,
    pub(super) register: Arc<Register>,
    pub(super) readiness: Arc<Readiness>,
    /// The pools' queues: at the end of the grace, what is still in them is given back from here.
    pub(super) waiting: Vec<Receiver<Assigned>>,
    pub(super) outbox: Option<Outbox>,
    pub(super) over: Option<Sender<()>>,
    /// Each closes when a thread, or the threads of a crew or a pool, have ended.
    pub(super) ended: Vec<Receiver<()>>,
    pub(super) pollers_ended: Receiver<()>,
    pub(super) server: Option<MetricsServer>,
    pub(super) metrics: Metrics,
    pub(super) stopped: bool,
}

impl RunnerHandle {
    /// Waits until every worker's last poll was answered by the server.
    ///
    /// # Errors
    /// [`ErrorKind::Deadline`](crate::ErrorKind::Deadline) when `limit` passes first, naming the workers and what their polls met; its source is the
    /// [`Error`] of a poll, if one failed.
    pub fn wait_until_polling(&self, limit: Duration) -> Result<()> {
        self.readiness.wait(limit)
    }

    /// What other threads can steer the runner with while this handle waits in [`RunnerHandle::run_until_signal`].
    pub fn control(&self) -> RunnerControl {
        self.control.clone()
    }

    /// As [`RunnerControl::pause`].
    ///
    /// # Errors
    /// When there is no worker for `task_type`.
    pub fn pause(&self, task_type: &str) -> Result<()> {
        self.control.pause(task_type)
    }

    /// As [`RunnerControl::resume`].
    ///
    /// # Errors
    /// When there is no worker for `task_type`.
    pub fn resume(&self, task_type: &str) -> Result<()> {
        self.control.resume(task_type)
    }

    /// The registry this runner counts in.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Where `/metrics` is served, if it is.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.server.as_ref().map(MetricsServer::address)
    }

    /// Stops the runner and tells what became of its tasks.
    ///
    /// No new poll is begun. A poll under way is waited for, and what it brings is run, or given back to the server where
    /// no thread is free in time: see [`Worker::give_back_after`](crate::Worker::give_back_after). Running handlers have
    /// until the end of `grace`; what has not been started by then is given back as well. Results are delivered and
    /// heartbeats go on meanwhile. It takes at most `grace` and 3 s; then it returns with what is left undone in the report, and the
    /// threads that are still stuck end with the process or with what they are stuck in.
    ///
    /// # Panics
    /// When a thread of the runner (not a handler) has panicked: the panic goes on here.
    pub fn stop(mut self, grace: Duration) -> StopReport {
        let report = self.stop_all(grace, None);
        if let Some(panic) = self.alarm.take_panic() {
            std::panic::resume_unwind(panic);
        }
        report
    }

    /// Runs until SIGTERM, SIGINT or [`RunnerControl::stop`] and stops with the runner's grace. A second signal ends the grace at once,
    /// unless it comes within half a second of the first: who signals a program and its group means one.
    ///
    /// A signal between the start and this call ends the process as without it:
    /// [`TaskRunner::run_until_signal`](crate::TaskRunner::run_until_signal) leaves no such gap.
    ///
    /// # Errors
    /// When the signals can't be caught; the runner is stopped then.
    ///
    /// # Panics
    /// As [`RunnerHandle::stop`].
    #[cfg(unix)]
    pub fn run_until_signal(self) -> Result<StopReport> {
        let signals = StopSignals::catch(&self.alarm)?;
        self.run_until(signals)
    }

    #[cfg(unix)]
    pub(super) fn run_until(mut self, signals: StopSignals) -> Result<StopReport> {
        select! {
            recv(signals.heard) -> signal => log::info!("stopping on signal {}", signal.unwrap_or_default()),
            // Somebody has stopped the runner, or a thread of ours has panicked.
            recv(self.stop) -> _ => {}
        }
        let report = self.stop_all(self.grace, Some(&signals.heard));
        drop(signals);
        if let Some(panic) = self.alarm.take_panic() {
            std::panic::resume_unwind(panic);
        }
        Ok(report)
    }

    fn stop_all(&mut self, grace: Duration, force: Option<&Receiver<i32>>) -> StopReport {
        let begun = Instant::now();
        self.stopped = true;
        self.stopping.store(true, Ordering::Release);
        self.alarm.stop();
        let grace_end = begun + grace.min(FAR);
        self.hurry(grace_end);
        let is_idle = || self.polls_have_ended() && !self.register.any(|stage| !stage.is_done());
        let forced = self.wait(grace_end, Duration::ZERO, force, is_idle);
        // Whoever takes a task from now on gives it back; what nobody takes is given back here, twice, since a last poll may
        // bring more.
        self.in_time = None;
        self.give_back_waiting();
        let end = if forced { Instant::now() + FORCED_FLUSH } else { grace_end.max(Instant::now()) + FLUSH };
        self.wait(end, FORCED_FLUSH, force, || self.polls_have_ended());
        self.give_back_waiting();
        self.wait(end, FORCED_FLUSH, force, || !self.register.any(|stage| stage != Stage::Running));
        let report = self.report(!self.polls_have_ended());
        // The updaters and keepers end when nothing can come any more.
        self.outbox = None;
        self.retries = None;
        self.over = None;
        self.waiting.clear();
        let now = Instant::now();
        let join = if report.is_clean() { (now + JOIN).min(end) } else { now };
        let join = join.max(now + JOIN_STUCK);
        for ended in self.ended.drain(..) {
            // Nothing is sent on these: they close when the thread has ended, or the deadline passes.
            let _ended = ended.recv_deadline(join);
        }
        self.server = None;
        report.log(begun.elapsed());
        report
    }

    /// Waits until it is done or `end` passes. A signal leaves no more than `when_forced`; says whether one came.
    fn wait(
        &self,
        mut end: Instant,
        when_forced: Duration,
        force: Option<&Receiver<i32>>,
        is_done: impl Fn() -> bool,
    ) -> bool {
        let (never_forced, never_ended) = (crossbeam_channel::never(), crossbeam_channel::never());
        let force = force.unwrap_or(&never_forced);
        let mut pollers = &self.pollers_ended;
        let mut forced = false;
        let changes = self.register.changes();
        while !is_done() && Instant::now() < end {
            select! {
                recv(changes) -> _ => {}
                // Nothing is sent on it: it closes when the last poller has ended.
                recv(pollers) -> _ => pollers = &never_ended,
                recv(force) -> signal => {
                    if !std::mem::replace(&mut forced, true) {
                        log::warn!("a further signal ({}) ends the grace", signal.unwrap_or_default());
                        self.hurry(Instant::now() + FORCED_LAST_TRY);
                    }
                    end = end.min(Instant::now() + when_forced);
                }
                recv(crossbeam_channel::at(end)) -> _ => {}
            }
        }
        forced
    }

    /// Has every report that waits tried once more: those that may be at once, the others at `last_try`.
    fn hurry(&self, last_try: Instant) {
        *self.last_try.lock().unwrap_or_else(PoisonError::into_inner) = Some(last_try);
        if let Some(retries) = &self.retries {
            // Nobody reads only when a thread of the runner has panicked.
            let _unread = retries.send(Retry::Stop(last_try));
        }
    }

    fn polls_have_ended(&self) -> bool {
        self.pollers_ended.try_recv().is_err_and(|e| e.is_disconnected())
    }

    fn give_back_waiting(&self) {
        let Some(outbox) = &self.outbox else {
            return;
        };
        for task in self.waiting.iter().flat_map(Receiver::try_iter) {
            outbox.give_back(Report::give_back(&task.context, Arc::clone(&task.held)));
        }
    }

    fn report(&self, polls_left: bool) -> StopReport {
        let (completed, given_back) = self.register.counts();
        StopReport {
            completed,
            given_back,
            abandoned: self.register.ids(Stage::Running),
            undelivered: [self.register.ids(Stage::Reporting), self.register.ids(Stage::Waiting)].concat(),
            poll_unanswered: polls_left,
        }
    }
}

impl Drop for RunnerHandle {
    fn drop(&mut self) {
        if !self.stopped {
            if self.readiness.is_in_trouble() {
                log::warn!(
                    "the runner's handle is dropped while not all workers poll, and the runner stops: keep the handle"
                );
            }
            let _report = self.stop_all(self.grace, None);
        }
        if self.alarm.take_panic().is_some() {
            log::error!("a thread of the runner panicked before it was dropped");
        }
    }
}

impl fmt::Debug for RunnerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunnerHandle")
            .field("control", &self.control)
            .field("stopped", &self.stopped)
            .finish_non_exhaustive()
    }
}

/// Steers a running [`TaskRunner`](crate::TaskRunner) from any thread. Cloning is cheap. From [`RunnerHandle::control`].
///
/// ```
/// # #[cfg(feature = "embedded")] {
/// # use conductor_sync::*;
/// # let server = embedded::EmbeddedServer::start()?;
/// # let client = Client::new(Config::new(&server.url())?)?;
/// let runner = TaskRunner::new(&client).worker(Worker::new("greet", |_, _: ()| Ok("hello"))).start()?;
/// let control = runner.control();
/// std::thread::scope(|scope| {
///     scope.spawn(move || {
///         control.pause("greet").unwrap();
///         control.stop();
///     });
///     runner.run_until_signal().map(drop)
/// })?;
/// # }
/// # Ok::<(), conductor_sync::Error>(())
/// ```
#[derive(Clone)]
pub struct RunnerControl {
    pub(super) switches: Vec<Switch>,
    pub(super) alarm: Arc<Alarm>,
    pub(super) readiness: Arc<Readiness>,
}

/// What a worker is paused with.
#[derive(Clone)]
pub(super) struct Switch {
    pub(super) task_type: String,
    pub(super) domain: Option<String>,
    /// Read by the pollers.
    pub(super) paused: Arc<AtomicBool>,
    /// Makes the main poller look; has room for one.
    pub(super) changed: Sender<()>,
}

impl RunnerControl {
    /// Stops fetching tasks for the workers of a type, in all domains; what is running goes on, and a poll under way may
    /// still bring a task. Nobody waits for its polls meanwhile: [`RunnerHandle::wait_until_polling`] and `/ready` pass over it.
    ///
    /// # Errors
    /// When there is no worker for `task_type`.
    pub fn pause(&self, task_type: &str) -> Result<()> {
        self.set_paused(task_type, true)
    }

    /// Lets paused workers fetch tasks again.
    ///
    /// # Errors
    /// When there is no worker for `task_type`.
    pub fn resume(&self, task_type: &str) -> Result<()> {
        self.set_paused(task_type, false)
    }

    /// Lets the runner fetch nothing more, and [`RunnerHandle::run_until_signal`] stop as on a signal. Returns at once.
    pub fn stop(&self) {
        self.alarm.stop();
    }

    fn set_paused(&self, task_type: &str, paused: bool) -> Result<()> {
        let mut found = false;
        for switch in self.switches.iter().filter(|switch| switch.task_type == task_type) {
            found = true;
            switch.paused.store(paused, Ordering::Release);
            self.readiness.set_paused(task_type, switch.domain.as_deref(), paused);
            // Full means that the poller is about to look anyway.
            let _full = switch.changed.try_send(());
        }
        match found {
            true => Ok(()),
            false => Err(Error::invalid("task type", format!("there is no worker for `{task_type}`"))),
        }
    }
}

impl fmt::Debug for RunnerControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.switches.iter().map(|switch| &switch.task_type)).finish()
    }
}

/// What became of the tasks of a runner.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct StopReport {
    /// Results that were settled, from the start of the runner: acknowledged, whatever their verdict, unwanted or set aside. A
    /// task that was handed back as in progress counts each time.
    pub completed: u64,
    /// Tasks that were given back to the server without being started.
    pub given_back: u64,
    /// Ids of tasks whose handlers had not returned at the end of the grace. The server hands them out again when their
    /// response timeout has passed.
    pub abandoned: Vec<String>,
    /// Ids of tasks whose results, or whose return, the server had not acknowledged.
    pub undelivered: Vec<String>,
    /// Whether a poll got no answer before the end: tasks that the server handed out to it wait for their response timeout.
    pub poll_unanswered: bool,
}

impl fmt::Display for StopReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { completed, given_back, abandoned, undelivered, poll_unanswered } = self;
        let (n_abandoned, n_undelivered) = (abandoned.len(), undelivered.len());
        write!(
            f,
            "{completed} results settled, {given_back} tasks given back, {n_abandoned} abandoned, {n_undelivered} undelivered"
        )?;
        if *poll_unanswered {
            f.write_str(", a poll without an answer")?;
        }
        Ok(())
    }
}

impl StopReport {
    /// Whether nothing was left undone.
    pub fn is_clean(&self) -> bool {
        self.abandoned.is_empty() && self.undelivered.is_empty() && !self.poll_unanswered
    }

    fn log(&self, took: Duration) {
        let Self { completed, given_back, abandoned, undelivered, poll_unanswered } = self;
        log::info!("runner stopped n_results={completed} given_back={given_back} took_ms={}", took.as_millis());
        if !abandoned.is_empty() {
            log::warn!(
                "handlers did not return in time, their tasks wait for the response timeout: {}",
                abandoned.join(" ")
            );
        }
        if !undelivered.is_empty() {
            log::error!("results were not acknowledged: {}", undelivered.join(" "));
        }
        if *poll_unanswered {
            log::warn!("a poll got no answer before the end: tasks it was given wait for their response timeout");
        }
    }
}
