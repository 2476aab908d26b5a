//! [`TaskRunner`]: builds the channels, starts, names and joins every thread. The stages are in the files beside this one:
//! poll, execute, update, keep.

mod crew;
mod execute;
mod keep;
mod poll;
mod readiness;
mod retry;
mod slot;
mod update;

use std::{
    fmt,
    net::SocketAddr,
    process,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::{
    client::Client,
    error::{Error, ErrorKind, Result},
    http::problem_with_name,
    metrics::{Metrics, MetricsServer},
    task::MAX_POLL_TIMEOUT,
    worker::Worker,
};
use crew::{Alarm, Crew};
use execute::{Assigned, execute};
use keep::{Errand, Register, Stage, keep, run_errand};
use poll::{Command, Poller, Polling, help};
use readiness::Readiness;
use slot::{Places, SlotSource};
use update::{Delivery, OnUndeliverable, Report, Updater, hold_retries};

pub use update::UndeliverableResult;

/// After the grace, deliveries and polls under way have this long to end before they are reported as they are.
const FLUSH: Duration = Duration::from_secs(3);

/// Undelivered results that are kept for each thread before the pools wait.
const UNDELIVERED_PER_THREAD: usize = 2;

/// Heartbeats and checks are sent by at most this many threads at once.
const MOST_KEEPERS: usize = 8;

/// Also with one task at a time, one more thread than is waiting for an answer: the next report or heartbeat shall not wait.
const LEAST_CREW: usize = 2;

/// Handlers recurse more than our own threads do, so theirs get more than the 2 MiB that threads have by default.
const STACK_BYTES: usize = 4 << 20;

/// Runs the workers of a process.
///
/// ```
/// # #[cfg(feature = "embedded")] {
/// use std::time::Duration;
/// use conductor_sync::*;
/// let server = embedded::EmbeddedServer::start()?;
/// let client = Client::new(Config::new(&server.url())?)?;
/// let runner = TaskRunner::new(&client)
///     .worker(Worker::new("greet", |_, input: serde_json::Value| Ok(serde_json::json!({"text": input["name"]}))))
///     .threads(4)
///     .start()?;
/// runner.wait_until_polling(Duration::from_secs(10))?;
/// let report = runner.stop(Duration::from_secs(10));
/// assert!(report.is_clean());
/// # }
/// # Ok::<(), conductor_sync::Error>(())
/// ```
#[must_use]
pub struct TaskRunner {
    client: Client,
    workers: Vec<Worker>,
    n_threads: usize,
    worker_id: Option<String>,
    grace: Duration,
    check_every: Duration,
    metrics_address: Option<SocketAddr>,
    on_undeliverable: Option<OnUndeliverable>,
}

impl TaskRunner {
    /// A runner without workers. Its pool has as many threads as the machine can run at once.
    pub fn new(client: &Client) -> Self {
        Self {
            client: client.clone(),
            workers: Vec::new(),
            n_threads: thread::available_parallelism().map_or(1, |n| n.get()),
            worker_id: None,
            grace: Duration::from_secs(20),
            check_every: Duration::from_secs(30),
            metrics_address: None,
            on_undeliverable: None,
        }
    }

    /// Adds a worker. Two workers for the same task type in the same domain are refused at start.
    pub fn worker(mut self, worker: Worker) -> Self {
        self.workers.push(worker);
        self
    }

    /// Sets how many threads the workers share that have none of their own. Defaults to the machine's parallelism.
    pub fn threads(mut self, n_threads: usize) -> Self {
        self.n_threads = n_threads;
        self
    }

    /// Sets the name under which the server knows this process. Defaults to the host's name and the process id.
    pub fn worker_id(mut self, worker_id: impl Into<String>) -> Self {
        self.worker_id = Some(worker_id.into());
        self
    }

    /// Sets how long [`RunnerHandle::run_until_signal`] and a dropped handle wait for running tasks. Defaults to 20 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets how often the server is asked about a task that runs long, so that its handler learns of its end. Each such task
    /// costs a request in that time. Defaults to 30 s.
    pub fn cancellation_check(mut self, every: Duration) -> Self {
        self.check_every = every;
        self
    }

    /// Serves `/metrics`, `/health` and `/ready` on this address. Port 0 picks a free one: see
    /// [`RunnerHandle::metrics_address`]. Give a loopback address unless others shall see it. Defaults to none.
    pub fn metrics_address(mut self, address: impl Into<SocketAddr>) -> Self {
        self.metrics_address = Some(address.into());
        self
    }

    /// Sets what is called with a result that the server does not take. The task is failed in its place.
    pub fn on_undeliverable(mut self, callback: impl Fn(&UndeliverableResult) + Send + Sync + 'static) -> Self {
        self.on_undeliverable = Some(Arc::new(callback));
        self
    }

    /// Checks every setting and starts all threads, or none. A server that is down is no error: it is tried again, and
    /// [`RunnerHandle::wait_until_polling`] tells.
    ///
    /// # Errors
    /// When there is no worker, a name can't be used, two workers are for the same tasks, a number of threads is 0, a poll
    /// timeout is above 5 s or not below the client's request timeout, the metrics port is taken, or a thread can't be started.
    pub fn start(self) -> Result<RunnerHandle> {
        self.check()?;
        if cfg!(panic = "abort") {
            log::warn!(
                "this program aborts on panic: a panicking handler ends the process and its tasks wait for their timeouts"
            );
        }
        Build::new(&self)?.start(self)
    }

    /// Starts and runs until SIGTERM or SIGINT: see [`RunnerHandle::run_until_signal`].
    ///
    /// # Errors
    /// As [`TaskRunner::start`], and when the signals can't be caught.
    #[cfg(unix)]
    pub fn run_until_signal(self) -> Result<StopReport> {
        self.start()?.run_until_signal()
    }

    fn check(&self) -> Result<()> {
        let bad = |what: String, message: &str| Err(Error::invalid(what, message));
        if self.workers.is_empty() {
            return bad("start runner".into(), "there is no worker: add one with TaskRunner::worker");
        }
        if self.n_threads == 0 && self.workers.iter().any(|w| w.n_dedicated_threads().is_none()) {
            return bad("start runner".into(), "threads must not be 0");
        }
        let limit = self.client.http().request_timeout();
        for (n, worker) in self.workers.iter().enumerate() {
            let about = format!("worker {}", worker.task_type());
            if let Some(problem) = problem_with_name("task type", worker.task_type()) {
                return bad(about, &problem);
            }
            if let Some(problem) =
                worker.domain_name().and_then(|d| d.chars().any(char::is_control).then_some("control"))
            {
                return bad(about, &format!("domain must not contain {problem} characters"));
            }
            if worker.n_dedicated_threads() == Some(0) {
                return bad(about, "dedicated_threads must not be 0");
            }
            if worker.most_at_once() == Some(0) {
                return bad(about, "max_concurrent must not be 0");
            }
            if worker.n_pollers() == 0 {
                return bad(about, "pollers must not be 0");
            }
            if worker.hold() > MAX_POLL_TIMEOUT {
                return bad(about, "poll_timeout must not be above 5 s: the server refuses it");
            }
            if worker.hold() >= limit {
                return bad(
                    about,
                    "poll_timeout must be below Config::request_timeout, or tasks are lost with answers that come too late",
                );
            }
            let same =
                |other: &Worker| (other.task_type(), other.domain_name()) == (worker.task_type(), worker.domain_name());
            if self.workers[..n].iter().any(same) {
                return bad(about, "there are two workers for this task type and domain");
            }
        }
        Ok(())
    }
}

impl fmt::Debug for TaskRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskRunner")
            .field("workers", &self.workers)
            .field("n_threads", &self.n_threads)
            .field("worker_id", &self.worker_id)
            .field("metrics_address", &self.metrics_address)
            .finish_non_exhaustive()
    }
}

/// The channels and shared parts of a runner while it is put together.
struct Build {
    alarm: Arc<Alarm>,
    stop: Receiver<()>,
    stopping: Arc<AtomicBool>,
    too_late: Arc<OnceLock<Instant>>,
    register: Arc<Register>,
    nudge: Receiver<()>,
    finished: (Sender<Report>, Receiver<Report>),
    readiness: Arc<Readiness>,
    delivery: Arc<Delivery>,
    n_threads_in_all: usize,
    worker_id: String,
}

impl Build {
    fn new(runner: &TaskRunner) -> Result<Self> {
        let (alarm, stop) = Alarm::new(runner.client.metrics().clone());
        let (nudge_in, nudge) = bounded(1);
        let register = Arc::new(Register::new(runner.check_every, nudge_in));
        let shared = runner.workers.iter().any(|w| w.n_dedicated_threads().is_none());
        let dedicated: usize = runner.workers.iter().filter_map(Worker::n_dedicated_threads).sum();
        let n_threads_in_all = dedicated + if shared { runner.n_threads } else { 0 };
        let stopping = Arc::new(AtomicBool::new(false));
        let on_undeliverable = runner.on_undeliverable.clone();
        let delivery =
            Delivery::new(runner.client.clone(), Arc::clone(&register), on_undeliverable, Arc::clone(&stopping));
        Ok(Self {
            alarm,
            stop,
            stopping,
            too_late: Arc::new(OnceLock::new()),
            register,
            nudge,
            // One for each thread: a result never waits for a place in it while an updater is free.
            finished: bounded(n_threads_in_all),
            readiness: Arc::new(Readiness::new(runner.workers.iter().map(|w| (w.task_type(), w.domain_name())))),
            delivery: Arc::new(delivery),
            n_threads_in_all,
            worker_id: runner.worker_id.clone().unwrap_or_else(default_worker_id),
        })
    }

    fn start(self, runner: TaskRunner) -> Result<RunnerHandle> {
        let metrics = runner.client.metrics().clone();
        let server = self.serve_metrics(&runner, &metrics)?;
        let (over_in, over) = bounded(0);
        let (pollers_alive, pollers_ended) = bounded(0);
        let mut handle = RunnerHandle {
            controls: Vec::new(),
            grace: runner.grace,
            alarm: Arc::clone(&self.alarm),
            stop: self.stop.clone(),
            stopping: Arc::clone(&self.stopping),
            too_late: Arc::clone(&self.too_late),
            register: Arc::clone(&self.register),
            readiness: Arc::clone(&self.readiness),
            waiting: Vec::new(),
            finished: Some(self.finished.0.clone()),
            over: Some(over_in),
            ended: vec![],
            pollers_ended,
            server,
            metrics,
            stopped: false,
        };
        // From here on a failure drops the handle, which stops what was started.
        self.start_updaters(&over, &mut handle)?;
        self.start_keepers(&runner.client, &over, &mut handle)?;
        self.start_workers(&runner, &pollers_alive, &mut handle)?;
        log::info!(
            "runner started server={} worker_id={} workers={} threads={}",
            runner.client.server_url(),
            self.worker_id,
            runner.workers.len(),
            self.n_threads_in_all
        );
        Ok(handle)
    }

    fn serve_metrics(&self, runner: &TaskRunner, metrics: &Metrics) -> Result<Option<MetricsServer>> {
        let Some(address) = runner.metrics_address else {
            return Ok(None);
        };
        let (readiness, delivery) = (Arc::clone(&self.readiness), Arc::clone(&self.delivery));
        let problems = move || {
            let mut problems = readiness.problems();
            if delivery.is_stuck() {
                problems.push("results can't be delivered".to_owned());
            }
            problems
        };
        metrics.serve_with(address, Arc::new(problems)).map(Some)
    }

    fn start_updaters(&self, over: &Receiver<()>, handle: &mut RunnerHandle) -> Result<()> {
        let (retries_in, retries) = unbounded();
        let (due_in, due) = unbounded();
        let updater = Updater {
            delivery: Arc::clone(&self.delivery),
            finished: self.finished.1.clone(),
            due,
            retries: retries_in,
            places: Places::new(self.n_threads_in_all * UNDELIVERED_PER_THREAD),
        };
        let most = self.n_threads_in_all.max(LEAST_CREW);
        let (crew, ended) = Crew::new("update", most, Arc::clone(&self.alarm), move |crew| updater.run(crew));
        handle.ended.push(ended);
        if !crew.call() {
            return Err(Error::new(ErrorKind::Local, "start runner", "no thread can be started"));
        }
        let (stop, over) = (self.stop.clone(), over.clone());
        self.spawn("retries".to_owned(), None, handle, move || hold_retries(&retries, &due_in, &stop, &over))
    }

    fn start_keepers(&self, client: &Client, over: &Receiver<()>, handle: &mut RunnerHandle) -> Result<()> {
        // Room for one errand of each task; what does not fit is due again at once.
        let (errands_in, errands) = bounded(self.n_threads_in_all.max(16));
        let (client, known) = (client.clone(), Arc::clone(&self.register));
        let most = self.n_threads_in_all.clamp(LEAST_CREW, MOST_KEEPERS);
        let (crew, ended) =
            Crew::new("beat", most, Arc::clone(&self.alarm), move |crew| run_errands(&client, &known, &errands, crew));
        handle.ended.push(ended);
        if !crew.call() {
            return Err(Error::new(ErrorKind::Local, "start runner", "no thread can be started"));
        }
        let (register, nudge, over) = (Arc::clone(&self.register), self.nudge.clone(), over.clone());
        self.spawn("keep".to_owned(), None, handle, move || keep(&register, &nudge, &over, &errands_in))
    }

    fn start_workers(&self, runner: &TaskRunner, alive: &Sender<()>, handle: &mut RunnerHandle) -> Result<()> {
        let mut shared = None;
        for worker in &runner.workers {
            let (places, assigned) = match (worker.n_dedicated_threads(), &shared) {
                (Some(n), _) => self.start_pool(&format!("work:{}", worker.task_type()), n, handle),
                (None, Some(pool)) => Clone::clone(pool),
                (None, None) => shared.insert(self.start_pool("work", runner.n_threads, handle)).clone(),
            };
            let own = worker.most_at_once().map(Places::new);
            let polling = self.polling(runner, worker, SlotSource { pool: places, own }, assigned);
            // A command waits here while a poll is under way; more than a few are never needed.
            let (commands_in, commands) = bounded(16);
            handle.controls.push((worker.task_type().to_owned(), commands_in));
            let (more_in, more) = bounded(1);
            for n in 1..worker.n_pollers() {
                let (polling, more, tell) = (polling.clone(), more.clone(), more_in.clone());
                let name = format!("poll:{}:{n}", worker.task_type());
                self.spawn(name, Some(alive.clone()), handle, move || help(&polling, &more, &tell))?;
            }
            let poller = Poller::new(polling, commands, more_in);
            self.spawn(format!("poll:{}", worker.task_type()), Some(alive.clone()), handle, move || poller.run())?;
        }
        Ok(())
    }

    fn polling(&self, runner: &TaskRunner, worker: &Worker, slots: SlotSource, assigned: Sender<Assigned>) -> Polling {
        Polling {
            client: runner.client.clone(),
            task_type: worker.task_type().to_owned(),
            domain: worker.domain_name().map(str::to_owned),
            worker_id: self.worker_id.clone(),
            hold: worker.hold().max(Duration::from_millis(1)),
            heartbeats: worker.heartbeats(),
            dedicated: worker.n_dedicated_threads().is_some(),
            handler: worker.handler(),
            metrics: runner.client.metrics().task(worker.task_type()),
            slots,
            register: Arc::clone(&self.register),
            readiness: Arc::clone(&self.readiness),
            stopping: Arc::clone(&self.stopping),
            assigned,
            finished: self.finished.0.clone(),
            paused: Arc::default(),
            stop: self.stop.clone(),
        }
    }

    /// A fixed pool. Its threads end when the pollers that feed it have.
    fn start_pool(&self, name: &str, n_threads: usize, handle: &mut RunnerHandle) -> (Places, Sender<Assigned>) {
        let (assigned_in, assigned) = bounded::<Assigned>(n_threads);
        let pool = threadpool::Builder::new()
            .num_threads(n_threads)
            .thread_name(name.to_owned())
            .thread_stack_size(STACK_BYTES)
            .build();
        let (alive, ended) = bounded(0);
        handle.ended.push(ended);
        handle.waiting.push(assigned.clone());
        for _ in 0..n_threads {
            let metrics = handle.metrics.clone();
            let (alarm, register, too_late) =
                (Arc::clone(&self.alarm), Arc::clone(&self.register), Arc::clone(&self.too_late));
            let (assigned, finished, alive, name) =
                (assigned.clone(), self.finished.0.clone(), alive.clone(), name.to_owned());
            pool.execute(move || {
                alarm.guard(&name, || execute(&assigned, &finished, &register, &too_late, &metrics));
                drop(alive);
            });
        }
        (Places::new(n_threads), assigned_in)
    }

    fn spawn(
        &self,
        name: String,
        alive: Option<Sender<()>>,
        handle: &mut RunnerHandle,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<()> {
        let alarm = Arc::clone(&self.alarm);
        let alive = alive.unwrap_or_else(|| {
            let (alive, ended) = bounded(0);
            handle.ended.push(ended);
            alive
        });
        let started = thread::Builder::new().name(name.clone()).spawn(move || {
            alarm.guard(&name, work);
            drop(alive);
        });
        // How the thread ended is told by its channel, which can be waited for with a deadline.
        started.map(drop).map_err(|e| {
            Error::new(ErrorKind::Local, "start runner", format!("no thread can be started: {e}")).with_source(e)
        })
    }
}

/// Runs errands until there can be none any more.
fn run_errands(client: &Client, register: &Register, errands: &Receiver<Errand>, crew: &Arc<Crew>) {
    const IDLE_END: Duration = Duration::from_secs(10);
    loop {
        match errands.recv_timeout(IDLE_END) {
            Ok(errand) => {
                crew.busy(|| run_errand(client, register, errand));
            }
            Err(e) if e.is_disconnected() || crew.leave() => return,
            Err(_) => {}
        }
    }
}

fn default_worker_id() -> String {
    let host = hostname::get().map_or_else(|_| "worker".to_owned(), |name| name.to_string_lossy().into_owned());
    format!("{host}-{}", process::id())
}

/// A running [`TaskRunner`]. Dropping it stops the runner with its grace and waits for that.
#[must_use = "dropping the handle stops the runner"]
pub struct RunnerHandle {
    controls: Vec<(String, Sender<Command>)>,
    grace: Duration,
    alarm: Arc<Alarm>,
    stop: Receiver<()>,
    stopping: Arc<AtomicBool>,
    too_late: Arc<OnceLock<Instant>>,
    register: Arc<Register>,
    readiness: Arc<Readiness>,
    /// The pools' queues: at the end of the grace, what is still in them is given back from here.
    waiting: Vec<Receiver<Assigned>>,
    finished: Option<Sender<Report>>,
    over: Option<Sender<()>>,
    /// Each closes when a thread, or the threads of a crew or a pool, have ended.
    ended: Vec<Receiver<()>>,
    pollers_ended: Receiver<()>,
    server: Option<MetricsServer>,
    metrics: Metrics,
    stopped: bool,
}

impl RunnerHandle {
    /// Waits until every worker's last poll was answered by the server.
    ///
    /// # Errors
    /// [`ErrorKind::Deadline`] when `limit` passes first, naming the workers and what their polls met.
    pub fn wait_until_polling(&self, limit: Duration) -> Result<()> {
        self.readiness.wait(limit)
    }

    /// Stops fetching tasks for the workers of a type; what is running goes on, and a poll under way may still bring a task.
    ///
    /// # Errors
    /// When there is no worker for `task_type`.
    pub fn pause(&self, task_type: &str) -> Result<()> {
        self.command(task_type, Command::Pause)
    }

    /// Lets a paused worker fetch tasks again.
    ///
    /// # Errors
    /// When there is no worker for `task_type`.
    pub fn resume(&self, task_type: &str) -> Result<()> {
        self.command(task_type, Command::Resume)
    }

    fn command(&self, task_type: &str, command: Command) -> Result<()> {
        let mut found = false;
        for (_, control) in self.controls.iter().filter(|(name, _)| name == task_type) {
            found = true;
            // A poller that has ended does as it is told already.
            let _ended = control.send(command);
        }
        match found {
            true => Ok(()),
            false => Err(Error::invalid("task type", format!("there is no worker for `{task_type}`"))),
        }
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
    /// No new poll is begun. A poll under way is waited for, and what it brings is run. Running handlers have until the end
    /// of `grace`; what has not been started by then is given back to the server. Results are delivered and heartbeats go
    /// on meanwhile. It takes at most `grace` and 3 s; then it returns with what is left undone in the report, and the
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

    /// Runs until SIGTERM or SIGINT and stops with the runner's grace. A second signal ends the grace at once.
    ///
    /// # Errors
    /// When the signals can't be caught; the runner is stopped then.
    ///
    /// # Panics
    /// As [`RunnerHandle::stop`].
    #[cfg(unix)]
    pub fn run_until_signal(mut self) -> Result<StopReport> {
        use signal_hook::{
            consts::{SIGINT, SIGTERM},
            iterator::Signals,
        };
        let mut signals = Signals::new([SIGTERM, SIGINT])
            .map_err(|e| Error::new(ErrorKind::Local, "catch signals", e.to_string()).with_source(e))?;
        let closer = signals.handle();
        // Read below; written once for each signal; closes when the listener ends.
        let (heard_in, heard) = bounded(8);
        let listener = thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                // A third signal and more say nothing new.
                let _full = heard_in.try_send(signal);
            }
        });
        let listener =
            listener.map_err(|e| Error::new(ErrorKind::Local, "catch signals", e.to_string()).with_source(e))?;
        crossbeam_channel::select! {
            recv(heard) -> signal => log::info!("stopping on signal {}", signal.unwrap_or_default()),
            // A thread of ours has panicked.
            recv(self.stop) -> _ => {}
        }
        let report = self.stop_all(self.grace, Some(&heard));
        closer.close();
        if listener.join().is_err() {
            log::error!("the thread that listens for signals panicked");
        }
        if let Some(panic) = self.alarm.take_panic() {
            std::panic::resume_unwind(panic);
        }
        Ok(report)
    }

    fn stop_all(&mut self, grace: Duration, force: Option<&Receiver<i32>>) -> StopReport {
        let begun = Instant::now();
        self.stopped = true;
        let end = begun + grace;
        self.stopping.store(true, Ordering::Release);
        self.alarm.stop();
        self.controls.clear();
        let busy = |stage| stage != Stage::Reporting;
        let forced = self.wait_forceable(end, force, busy);
        let end = if forced { Instant::now() } else { end };
        // Whoever takes a task from now on gives it back; what nobody takes is given back here.
        self.too_late.get_or_init(Instant::now);
        self.give_back_waiting();
        let flush = end.max(Instant::now()) + FLUSH;
        let polls_left = self.wait_for_pollers(flush);
        self.give_back_waiting();
        self.register.wait_while(flush, |stage| stage != Stage::Running);
        let report = self.report(polls_left);
        // The updaters and keepers end when nothing can come any more.
        self.finished = None;
        self.over = None;
        self.waiting.clear();
        let join = Instant::now() + Duration::from_millis(if report.is_clean() { 2000 } else { 100 });
        for ended in self.ended.drain(..) {
            // Nothing is sent on these: they close when the thread has ended, or the deadline passes.
            let _ended = ended.recv_deadline(join);
        }
        self.server = None;
        report.log(begun.elapsed());
        report
    }

    /// Waits until the pollers have ended and no held task is in one of the stages, `end` passes, or a signal says to force it.
    fn wait_forceable(&self, end: Instant, force: Option<&Receiver<i32>>, still: impl Fn(Stage) -> bool) -> bool {
        const LOOK: Duration = Duration::from_millis(100);
        loop {
            if force.is_some_and(|force| force.try_recv().is_ok()) {
                return true;
            }
            let now = Instant::now();
            if now >= end {
                return false;
            }
            let next = (now + LOOK).min(end);
            let polls_left = self.wait_for_pollers(next);
            if self.register.wait_while(next, &still) && !polls_left {
                return false;
            }
        }
    }

    /// Whether a poller is still waiting for an answer at `end`.
    fn wait_for_pollers(&self, end: Instant) -> bool {
        // Nothing is sent on it: it closes when the last poller has ended.
        self.pollers_ended.recv_deadline(end).is_err_and(|e| e.is_timeout())
    }

    fn give_back_waiting(&self) {
        let Some(finished) = &self.finished else {
            return;
        };
        for task in self.waiting.iter().flat_map(Receiver::try_iter) {
            let report = Report::give_back(&task.context, Arc::clone(&task.held));
            // A full channel means that nothing gets through: then the task is listed with the undelivered.
            drop(finished.try_send(report));
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
            let _report = self.stop_all(self.grace, None);
        }
        if self.alarm.take_panic().is_some() {
            log::error!("a thread of the runner panicked before it was dropped");
        }
    }
}

impl fmt::Debug for RunnerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workers: Vec<_> = self.controls.iter().map(|(name, _)| name).collect();
        f.debug_struct("RunnerHandle")
            .field("workers", &workers)
            .field("stopped", &self.stopped)
            .finish_non_exhaustive()
    }
}

/// What became of the tasks of a runner.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct StopReport {
    /// Tasks whose results were settled, from the start of the runner: acknowledged, unwanted or set aside.
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

impl StopReport {
    /// Whether nothing was left undone.
    pub fn is_clean(&self) -> bool {
        self.abandoned.is_empty() && self.undelivered.is_empty() && !self.poll_unanswered
    }

    fn log(&self, took: Duration) {
        let Self { completed, given_back, abandoned, undelivered, poll_unanswered } = self;
        log::info!("runner stopped completed={completed} given_back={given_back} took_ms={}", took.as_millis());
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
