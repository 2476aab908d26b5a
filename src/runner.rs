//! [`TaskRunner`]: builds the channels, starts and names every thread, and waits for their end. The stages are in the files beside this one:
//! poll, execute, update, keep.

mod calls;
mod crew;
mod execute;
mod handle;
mod keep;
mod poll;
mod readiness;
mod register;
mod report;
mod retry;
#[cfg(unix)]
mod signals;
mod slot;
mod update;
mod verdict;

use std::{
    fmt,
    net::{SocketAddr, ToSocketAddrs},
    panic::catch_unwind,
    process,
    sync::{Arc, Mutex, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::{
    client::Client,
    error::{Error, ErrorKind, Result, excerpt},
    http::problem_with_name,
    metrics::{Metrics, MetricsServer},
    task::{FAR, MAX_POLL_TIMEOUT},
    worker::{LEAST_INTERVAL, Worker, callback::Callback},
};
use crew::{Alarm, Crew};
use execute::{Assigned, execute};
use keep::{Errands, beat, check, keep};
use poll::{Poller, Polling, Told, help};
use readiness::Readiness;
use register::{Held, Register};
use report::Report;
use slot::{Places, SlotSource};
use update::{Delivery, OnUndeliverable, Outbox, Updater, hold_retries};

use handle::Switch;
pub use handle::{RunnerControl, RunnerHandle, StopReport};
pub use report::UndeliverableResult;

/// Undelivered results that are kept for each thread before the pools wait.
const UNDELIVERED_PER_THREAD: usize = 2;

/// Tasks are looked at by at most this many threads at once: it is no hurry.
const MOST_CHECKERS: usize = 2;

/// What is meant by a larger number is no number of threads; and starting so many would end the process.
const MOST_THREADS: usize = 10_000;

/// Longer, a task waits where nobody runs it, and its lease is extended all the while.
const MOST_WAIT_FOR_SLOT: Duration = Duration::from_secs(60);

/// As for names in paths: the server takes 8 KB of address and headers (3.32.1).
const MOST_NAME_BYTES: usize = 2000;

/// What an answer may take on its way when the server has held its poll: with less, tasks may be lost with a late answer.
const POLL_MARGIN: Duration = Duration::from_secs(1);

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
    /// Looked up when it is set; a failure is told at start.
    metrics_address: Option<Result<Vec<SocketAddr>, String>>,
    on_undeliverable: Option<OnUndeliverable>,
    undeliverable_after: Duration,
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
            undeliverable_after: Duration::from_secs(60),
        }
    }

    /// Adds a worker. Two workers for the same task type in the same domain are refused at start.
    pub fn worker(mut self, worker: Worker) -> Self {
        self.workers.push(worker);
        self
    }

    /// Adds several workers.
    pub fn workers(mut self, workers: impl IntoIterator<Item = Worker>) -> Self {
        self.workers.extend(workers);
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
    /// costs a request in that time. Less than 10 ms counts as that; defaults to 30 s.
    pub fn cancellation_check(mut self, every: Duration) -> Self {
        self.check_every = every.clamp(LEAST_INTERVAL, FAR);
        self
    }

    /// Serves `/metrics`, `/health` and `/ready` on this address. `/ready` answers 503 with the reasons while the last poll
    /// of a worker failed or results can't be delivered; the reasons show the server's address. Port 0 picks a free one: see
    /// [`RunnerHandle::metrics_address`]. Give a loopback address unless others shall see it. Defaults to none.
    pub fn metrics_address(mut self, address: impl ToSocketAddrs) -> Self {
        let addresses = address.to_socket_addrs().map(Iterator::collect::<Vec<_>>);
        self.metrics_address = Some(addresses.map_err(|e| e.to_string()));
        self
    }

    /// Sets what is called with a handler's result that the server does not take. The task is failed in its place. What is
    /// called should be quick: it runs on a thread that delivers results. A panic in it is logged and goes no further.
    pub fn on_undeliverable(mut self, callback: impl Fn(&UndeliverableResult) + Send + Sync + 'static) -> Self {
        self.on_undeliverable = Some(Arc::new(Callback::new(Box::new(callback))));
        self
    }

    /// Sets how long the server must have refused a handler's result, while it took others, before it counts as one that it
    /// will never take (see [`TaskRunner::on_undeliverable`]). Refusals that are no doubt, such as of a result that is too
    /// large, are not waited for. Defaults to 60 s.
    pub fn undeliverable_after(mut self, patience: Duration) -> Self {
        self.undeliverable_after = patience;
        self
    }

    /// Checks every setting and starts all threads, or none. A server that is down is no error: it is tried again, and
    /// [`RunnerHandle::wait_until_polling`] tells.
    ///
    /// # Errors
    /// When there is no worker, a name, a domain or the worker id can't be used, two workers are for the same tasks, a number of
    /// threads is 0 or there would be more than 10,000, one worker has both threads of its own and a limit in the shared pool, a
    /// poll timeout is above 5 s or not below the client's request timeout, a wait for a thread is above 1 min, the metrics
    /// address is none or taken, or a thread can't be started. The error names all that is wrong.
    pub fn start(self) -> Result<RunnerHandle> {
        self.build()?.start(self)
    }

    fn warn_of_tight_polls(&self) {
        let limit = self.client.http().request_timeout();
        for worker in self.workers.iter().filter(|worker| limit.saturating_sub(worker.hold()) < POLL_MARGIN) {
            log::warn!(
                "poll_timeout is {:?}, Config::request_timeout only {limit:?}: tasks may be lost with answers that come too late; leave {POLL_MARGIN:?} between them task_type={}",
                worker.hold(),
                excerpt(worker.task_type()),
            );
        }
    }

    /// Starts and runs until SIGTERM or SIGINT: see [`RunnerHandle::run_until_signal`].
    ///
    /// # Errors
    /// As [`TaskRunner::start`], and when the signals can't be caught.
    #[cfg(unix)]
    pub fn run_until_signal(self) -> Result<StopReport> {
        // Caught before the first poll: a signal in between would lose the tasks that it brings.
        let build = self.build()?;
        let signals = signals::StopSignals::catch(&build.alarm)?;
        build.start(self)?.run_until(signals)
    }

    fn build(&self) -> Result<Build> {
        self.check()?;
        if cfg!(panic = "abort") {
            log::warn!(
                "this program aborts on panic: a panicking handler ends the process and its tasks wait for their timeouts"
            );
        }
        self.warn_of_tight_polls();
        Build::new(self)
    }

    /// Everything that is wrong, in one error.
    fn check(&self) -> Result<()> {
        let mut problems = Vec::new();
        if self.workers.is_empty() {
            problems.push("there is no worker: add one with TaskRunner::worker".to_owned());
        }
        if self.n_threads == 0 && self.workers.iter().any(|w| w.n_dedicated_threads().is_none()) {
            problems.push("threads must not be 0".to_owned());
        }
        match &self.metrics_address {
            Some(Err(e)) => problems.push(format!("the metrics address is no HOST:PORT of this machine: {e}")),
            Some(Ok(addresses)) if addresses.is_empty() => {
                problems.push("the metrics address has no address".to_owned())
            }
            _ => {}
        }
        let n_dedicated = self.workers.iter().filter_map(Worker::n_dedicated_threads).fold(0, usize::saturating_add);
        let n_pollers = self.workers.iter().map(Worker::n_pollers).fold(0, usize::saturating_add);
        if n_dedicated.saturating_add(self.n_threads).saturating_add(n_pollers) > MOST_THREADS {
            problems.push(format!("there would be more than {MOST_THREADS} threads"));
        }
        if self.worker_id.as_ref().is_some_and(|id| id.len() > MOST_NAME_BYTES) {
            problems.push("worker_id must not be longer than 2,000 bytes".to_owned());
        }
        for (n, worker) in self.workers.iter().enumerate() {
            let about = |problem| format!("worker `{}`: {problem}", excerpt(worker.task_type()));
            problems.extend(self.problems_with(worker, &self.workers[..n]).into_iter().map(about));
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(Error::invalid("start runner", problems.join("; "))),
        }
    }

    fn problems_with(&self, worker: &Worker, before: &[Worker]) -> Vec<String> {
        let same =
            |other: &Worker| (other.task_type(), other.domain_name()) == (worker.task_type(), worker.domain_name());
        let domain = worker.domain_name().unwrap_or_default();
        let (hold, limit) = (worker.hold(), self.client.http().request_timeout());
        let in_domain =
            worker.domain_name().map_or_else(String::new, |domain| format!(" in domain `{}`", excerpt(domain)));
        let checks = [
            (worker.n_dedicated_threads() == Some(0), "dedicated_threads must not be 0".to_owned()),
            (worker.most_at_once() == Some(0), "max_concurrent must not be 0".to_owned()),
            (
                worker.most_at_once().is_some() && worker.n_dedicated_threads().is_some(),
                "max_concurrent is for workers of the shared pool: dedicated_threads limits this one already"
                    .to_owned(),
            ),
            (worker.n_pollers() == 0, "pollers must not be 0".to_owned()),
            (
                hold > MAX_POLL_TIMEOUT,
                format!("poll_timeout is {hold:?}; it must not be above 5 s, which the server refuses"),
            ),
            (
                hold >= limit,
                format!(
                    "poll_timeout is {hold:?}; it must be below Config::request_timeout, which is {limit:?}, or tasks are lost with answers that come too late"
                ),
            ),
            (
                worker.wait_for_slot() > MOST_WAIT_FOR_SLOT,
                format!("give_back_after is {:?}; it must not be above 1 min", worker.wait_for_slot()),
            ),
            (domain.chars().any(char::is_control), "domain must not contain control characters".to_owned()),
            (domain.contains(','), "domain must not contain `,`, which parts domains in taskToDomain".to_owned()),
            (domain.len() > MOST_NAME_BYTES, "domain must not be longer than 2,000 bytes".to_owned()),
            (
                before.iter().any(same),
                format!(
                    "there is another worker for this type{in_domain}: use one with more threads, or another domain"
                ),
            ),
        ];
        let named = problem_with_name("task type", worker.task_type());
        named
            .into_iter()
            .chain(checks.iter().filter(|(is_bad, _)| *is_bad).map(|(_, text)| (*text).to_owned()))
            .collect()
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
    last_try: Arc<Mutex<Option<Instant>>>,
    in_time: Option<Sender<()>>,
    too_late: Receiver<()>,
    register: Arc<Register>,
    nudge: Receiver<()>,
    outbox: Outbox,
    reports: Receiver<Report>,
    over: Option<Sender<()>>,
    readiness: Arc<Readiness>,
    delivery: Arc<Delivery>,
    told: Arc<Mutex<Told>>,
    n_threads_in_all: usize,
    worker_id: String,
}

impl Build {
    fn new(runner: &TaskRunner) -> Result<Self> {
        let (over_in, over) = bounded(0);
        let (reports_in, reports) = unbounded();
        let readiness = Arc::new(Readiness::new(runner.workers.iter().map(|w| (w.task_type(), w.domain_name()))));
        let (alarm, stop) = Alarm::new(runner.client.metrics().clone(), Arc::clone(&readiness));
        let (nudge_in, nudge) = bounded(1);
        let (in_time, too_late) = bounded(1);
        let register = Arc::new(Register::new(runner.check_every, runner.client.http().request_timeout(), nudge_in));
        let shared = runner.workers.iter().any(|w| w.n_dedicated_threads().is_none());
        let dedicated: usize = runner.workers.iter().filter_map(Worker::n_dedicated_threads).sum();
        let n_threads_in_all = dedicated + if shared { runner.n_threads } else { 0 };
        let stopping = Arc::new(AtomicBool::new(false));
        let last_try = Arc::default();
        let on_undeliverable = runner.on_undeliverable.clone();
        let n_places = n_threads_in_all * UNDELIVERED_PER_THREAD;
        let (client, known) = (runner.client.clone(), Arc::clone(&register));
        let delivery =
            Delivery::new(client, known, on_undeliverable, Arc::clone(&last_try), n_places, runner.undeliverable_after);
        Ok(Self {
            alarm,
            stop,
            stopping,
            last_try,
            in_time: Some(in_time),
            too_late,
            register,
            nudge,
            outbox: Outbox { places: Places::new(n_places), reports: reports_in, over },
            reports,
            over: Some(over_in),
            readiness,
            delivery: Arc::new(delivery),
            told: Arc::default(),
            n_threads_in_all,
            worker_id: runner.worker_id.clone().unwrap_or_else(default_worker_id),
        })
    }

    fn start(mut self, runner: TaskRunner) -> Result<RunnerHandle> {
        let metrics = runner.client.metrics().clone();
        let server = self.serve_metrics(&runner, &metrics)?;
        let (pollers_alive, pollers_ended) = bounded(0);
        let mut handle = RunnerHandle {
            control: RunnerControl {
                switches: Vec::new(),
                alarm: Arc::clone(&self.alarm),
                readiness: Arc::clone(&self.readiness),
            },
            grace: runner.grace,
            alarm: Arc::clone(&self.alarm),
            stop: self.stop.clone(),
            stopping: Arc::clone(&self.stopping),
            last_try: Arc::clone(&self.last_try),
            retries: None,
            in_time: self.in_time.take(),
            register: Arc::clone(&self.register),
            readiness: Arc::clone(&self.readiness),
            waiting: Vec::new(),
            outbox: Some(self.outbox.clone()),
            over: self.over.take(),
            ended: vec![],
            pollers_ended,
            server,
            metrics,
            stopped: false,
        };
        // Polls begin when all is there: a start that fails must not have fetched anything.
        let (gate, opened) = bounded(0);
        let started = self
            .start_updaters(&mut handle)
            .and_then(|()| self.start_keepers(&runner.client, &mut handle))
            .and_then(|()| self.start_workers(&runner, &pollers_alive, &opened, &mut handle));
        drop(pollers_alive);
        if let Err(error) = started {
            // What was started ends when these have gone; nothing was fetched that would need time.
            handle.grace = Duration::ZERO;
            drop((self, gate));
            return Err(error);
        }
        drop(gate);
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
        let Some(Ok(addresses)) = &runner.metrics_address else {
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
        metrics.serve_with(addresses, Arc::new(problems)).map(Some)
    }

    fn start_updaters(&self, handle: &mut RunnerHandle) -> Result<()> {
        let (retries_in, retries) = unbounded();
        handle.retries = Some(retries_in.clone());
        let updater =
            Updater { delivery: Arc::clone(&self.delivery), reports: self.reports.clone(), retries: retries_in };
        let most = self.n_threads_in_all.max(LEAST_CREW);
        let (crew, ended) = Crew::new("update", most, Arc::clone(&self.alarm), move |crew| updater.run(crew));
        handle.ended.push(ended);
        if !crew.call() {
            return Err(Error::new(ErrorKind::Local, "start runner", "no thread can be started"));
        }
        let Outbox { reports, over, .. } = self.outbox.clone();
        self.spawn("retries".to_owned(), None, handle, move || hold_retries(&retries, &reports, &over))
    }

    fn start_keepers(&self, client: &Client, handle: &mut RunnerHandle) -> Result<()> {
        // Room for one of each task; what does not fit is due again at once.
        let (beats, beats_due) = bounded(self.n_threads_in_all.max(16));
        let (checks, checks_due) = bounded(self.n_threads_in_all.max(16));
        // One that gets no answer holds up no other.
        let most = self.n_threads_in_all.max(LEAST_CREW);
        self.start_crew("beat", most, client, beats_due, beat, handle)?;
        self.start_crew("check", MOST_CHECKERS, client, checks_due, check, handle)?;
        let (register, nudge, over) = (Arc::clone(&self.register), self.nudge.clone(), self.outbox.over.clone());
        let errands = Errands { beats, checks };
        self.spawn("keep".to_owned(), None, handle, move || keep(&register, &nudge, &over, &errands))
    }

    /// A crew that does the same for each task it is given.
    fn start_crew(
        &self,
        name: &'static str,
        most: usize,
        client: &Client,
        tasks: Receiver<Arc<Held>>,
        run: fn(&Client, &Register, &Held),
        handle: &mut RunnerHandle,
    ) -> Result<()> {
        const IDLE_END: Duration = Duration::from_secs(10);
        let (client, register) = (client.clone(), Arc::clone(&self.register));
        let (crew, ended) = Crew::new(name, most, Arc::clone(&self.alarm), move |crew| {
            loop {
                match tasks.recv_timeout(IDLE_END) {
                    Ok(held) => crew.busy(|| run(&client, &register, &held)),
                    Err(e) if e.is_disconnected() || crew.leave() => return,
                    Err(_) => {}
                }
            }
        });
        handle.ended.push(ended);
        match crew.call() {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Local, "start runner", "no thread can be started")),
        }
    }

    fn start_workers(
        &self,
        runner: &TaskRunner,
        alive: &Sender<()>,
        gate: &Receiver<()>,
        handle: &mut RunnerHandle,
    ) -> Result<()> {
        let mut shared = None;
        for worker in &runner.workers {
            let (places, assigned) = match (worker.n_dedicated_threads(), &shared) {
                (Some(n), _) => self.start_pool(&format!("work:{}", worker.task_type()), n, handle)?,
                (None, Some(pool)) => Clone::clone(pool),
                (None, None) => shared.insert(self.start_pool("work", runner.n_threads, handle)?).clone(),
            };
            let own = worker.most_at_once().filter(|n| *n < runner.n_threads).map(Places::new);
            let polling = self.polling(runner, worker, SlotSource { pool: places, own }, assigned);
            let (changed_in, changed) = bounded(1);
            let paused = Arc::clone(&polling.paused);
            handle.control.switches.push(Switch {
                task_type: worker.task_type().to_owned(),
                domain: polling.domain.clone(),
                paused,
                changed: changed_in,
            });
            let (more_in, more) = bounded(1);
            for n in 1..worker.n_pollers() {
                let (polling, more, tell) = (polling.clone(), more.clone(), more_in.clone());
                let name = format!("poll:{}:{n}", worker.task_type());
                self.spawn(name, Some(alive.clone()), handle, move || help(&polling, &more, &tell))?;
            }
            let poller = Poller::new(polling, changed, gate.clone(), more_in);
            self.spawn(format!("poll:{}", worker.task_type()), Some(alive.clone()), handle, move || poller.run())?;
        }
        Ok(())
    }

    fn polling(&self, runner: &TaskRunner, worker: &Worker, slots: SlotSource, assigned: Sender<Assigned>) -> Polling {
        Polling {
            client: runner.client.clone(),
            task_type: worker.task_type().into(),
            domain: worker.domain_name().map(str::to_owned),
            worker_id: self.worker_id.clone(),
            hold: worker.hold().max(Duration::from_millis(1)),
            wait_for_slot: worker.wait_for_slot(),
            heartbeats: worker.heartbeats(),
            dedicated: worker.n_dedicated_threads().is_some(),
            handler: worker.handler(),
            n_panics: Arc::default(),
            metrics: runner.client.metrics().task(worker.task_type()),
            slots,
            register: Arc::clone(&self.register),
            readiness: Arc::clone(&self.readiness),
            stopping: Arc::clone(&self.stopping),
            assigned,
            outbox: self.outbox.clone(),
            paused: Arc::default(),
            odd: Arc::default(),
            told: Arc::clone(&self.told),
            pace: Arc::default(),
            stop: self.stop.clone(),
            too_late: self.too_late.clone(),
        }
    }

    /// A fixed pool. Its threads end when the pollers that feed it have.
    fn start_pool(
        &self,
        name: &str,
        n_threads: usize,
        handle: &mut RunnerHandle,
    ) -> Result<(Places, Sender<Assigned>)> {
        let (assigned_in, assigned) = bounded::<Assigned>(n_threads);
        let build = || {
            let builder = threadpool::Builder::new().num_threads(n_threads).thread_name(name.to_owned());
            builder.thread_stack_size(STACK_BYTES).build()
        };
        // It panics where the system has no thread for it (threadpool 1.8.1).
        let pool = catch_unwind(build).map_err(|_| {
            let message =
                format!("no {n_threads} threads can be started for {name}: raise the limits, or ask for fewer");
            Error::new(ErrorKind::Local, "start runner", message)
        })?;
        let (alive, ended) = bounded(0);
        handle.ended.push(ended);
        handle.waiting.push(assigned.clone());
        for _ in 0..n_threads {
            let metrics = handle.metrics.clone();
            let (alarm, register, too_late) =
                (Arc::clone(&self.alarm), Arc::clone(&self.register), self.too_late.clone());
            let (assigned, outbox, alive, name) =
                (assigned.clone(), self.outbox.clone(), alive.clone(), name.to_owned());
            pool.execute(move || {
                alarm.guard(&name, || execute(&assigned, &outbox, &register, &too_late, &metrics));
                drop(alive);
            });
        }
        Ok((Places::new(n_threads), assigned_in))
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

fn default_worker_id() -> String {
    let host = hostname::get().map_or_else(|_| "worker".to_owned(), |name| name.to_string_lossy().into_owned());
    format!("{host}-{}", process::id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn worker(task_type: &str) -> Worker {
        Worker::raw(task_type, |cx| Ok(cx.result("COMPLETED".into())))
    }

    fn refused(runner: TaskRunner) -> String {
        runner.start().unwrap_err().to_string()
    }

    fn runner() -> TaskRunner {
        TaskRunner::new(&Client::new(Config::new("http://127.0.0.1:1").unwrap()).unwrap())
    }

    #[test]
    fn a_runner_says_everything_that_is_wrong_at_once() {
        let error = refused(runner().threads(0).worker(worker("a")).worker(worker("a")).worker(worker("b/c")));
        for part in [
            "threads must not be 0",
            "worker `a`: there is another worker",
            "worker `b/c`: task type must not contain `/`",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn a_bad_setting_is_named() {
        for (bad, says) in [
            (worker(""), "task type must not be empty"),
            (worker(".."), "`.` or `..`"),
            (worker("a\\b"), "must not contain `/` or `\\`"),
            (worker("a\nb"), "control characters"),
            (worker(" "), "task type must not be empty"),
            (worker("a").domain("x\ny"), "domain must not contain"),
            (worker("a").domain("x,y"), "domain must not contain `,`"),
            (worker("a").domain("x".repeat(2001)), "domain must not be longer"),
            (worker("a").dedicated_threads(0), "dedicated_threads"),
            (worker("a").max_concurrent(0), "max_concurrent"),
            (worker("a").pollers(0), "pollers"),
            (worker("a").poll_timeout(Duration::from_millis(5001)), "above 5 s"),
            (worker("a").give_back_after(Duration::from_secs(61)), "not be above 1 min"),
            (worker("a").dedicated_threads(1_000_000), "more than 10000 threads"),
            (worker("a").dedicated_threads(2).max_concurrent(1), "dedicated_threads limits this one"),
        ] {
            let error = refused(runner().worker(bad));
            assert!(error.contains(says), "{says}: {error}");
        }
        assert!(refused(runner()).contains("no worker"));
    }

    #[test]
    fn a_poll_may_not_outlast_the_request() {
        let config = Config::new("http://127.0.0.1:1").unwrap().request_timeout(Duration::from_secs(2));
        let runner = TaskRunner::new(&Client::new(config).unwrap());
        assert!(refused(runner.worker(worker("a"))).contains("below Config::request_timeout"));
    }

    #[test]
    fn workers_of_two_domains_are_no_duplicates() {
        let runner = runner().worker(worker("a")).worker(worker("a").domain("eu"));
        runner.check().unwrap();
    }
}
