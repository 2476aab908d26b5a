//! An in-memory Conductor server inside the program, for tests and first steps.
//!
//! [`EmbeddedServer`] speaks the REST API of the real server on a loopback port, so that clients and workers run against
//! it unchanged and with nothing installed. **It is no engine for production**: everything is lost when it is dropped.
//! For production the engine is [Conductor](https://github.com/conductor-oss/conductor) itself.
//!
//! # What is served
//! - Task definitions and workflow definitions: register, update, get, list, delete, validate.
//! - Workflows: start, get, status, tasks, pause, resume, decide, terminate, restart, retry, remove, ids of the running
//!   ones, lookups by correlation id.
//! - Tasks: poll, batch poll with long polls, update, update-v2, update by reference name (also `/sync`), lease extension,
//!   logs, get, queue sizes, poll data.
//! - Linear workflows of SIMPLE tasks with `${…}` references, retries, callbacks, timeouts with their policies, optional
//!   and permissive tasks, concurrency limits, priorities, domains, start delays, failure workflows.
//!
//! What the real server has beyond that is answered with status 501 and a message that names it. A definition with other
//! kinds of tasks can be registered and read back; the start of a workflow with them is refused in the same way.
//!
//! # What differs from the real server
//! - Timeouts come promptly; the real server may find out minutes later.
//! - A batch of tasks is ordered by priority; on the real server its order is arbitrary.
//! - Inputs and outputs that are computed from `${…}` references list their keys in alphabetical order.
//! - Of JSONPath, references know all but filters and functions other than `length()`; what they don't know is null. There
//!   are no secrets and no environment, except `CPEWF_TASK_ID`.
//! - Messages about malformed JSON have other words after `JSON parse error: `.
//! - Rate limits are not enforced (the SQL stores of the real server don't enforce them either). Inputs of workflows and
//!   outputs of tasks are limited to 10 MiB as there, but nothing is moved to external storage below that.
//! - `/tasks/queue/all` lists the queues of tasks only.
//! - A connection is kept open for any time and any number of requests; the real server closes it after 100 of them.

mod connection;
mod engine;
mod parked;
mod routes;

use std::{
    collections::HashMap,
    fmt, io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{self, SyncSender},
    },
    thread::{Builder, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::{
    error::{Error, ErrorKind, Result},
    metadata::{TaskDef, WorkflowDef},
    task::{FAR, Task, TaskResult},
    workflow::{StartWorkflowRequest, Workflow, WorkflowStatus},
};

use connection::{Connection, Incoming};
use engine::{Answer, Command, Engine, Millis, Refusal, queue_name};
use parked::{Parked, Waiting};
use routes::{Outcome, PollOrder, Reply};

/// After a connection that could not be accepted, the next is waited for after this.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// A Conductor server in memory, on a loopback port. It stops when it is dropped.
///
/// ```
/// use std::time::Duration;
/// use conductor_sync::{
///     Client, Config, PollRequest, StartWorkflowRequest, TaskResult, TaskResultStatus, WorkflowDef, WorkflowTask,
///     embedded::EmbeddedServer,
/// };
/// let server = EmbeddedServer::start()?;
/// let greet = WorkflowTask::simple("greet", "greet_ref").input("name", "${workflow.input.name}");
/// server.register_workflow(WorkflowDef::new("hello").task(greet))?;
/// let id = server.start_workflow(&StartWorkflowRequest::new("hello").input(serde_json::json!({"name": "Ada"})))?;
///
/// let client = Client::new(Config::new(&server.url())?)?;
/// let task = client.tasks().poll(PollRequest::new("greet"))?.expect("a task");
/// assert_eq!(task.input_data.get(), r#"{"name":"Ada"}"#);
/// let result = TaskResult::new(&id, &task.task_id, TaskResultStatus::Completed);
/// client.tasks().update(&result.output(serde_json::json!({"text": "Hello, Ada"})))?;
///
/// let workflow = server.wait_for_workflow(&id, Duration::from_secs(5))?;
/// assert_eq!(workflow.output.get(), r#"{"text":"Hello, Ada"}"#);
/// # Ok::<(), conductor_sync::Error>(())
/// ```
///
/// With virtual time, timeouts and retry delays pass when the test says so:
///
/// ```
/// use std::time::Duration;
/// use conductor_sync::{
///     RetryLogic, StartWorkflowRequest, TaskDef, WorkflowDef, WorkflowStatus, WorkflowTask, embedded::EmbeddedServer,
/// };
/// let server = EmbeddedServer::start_virtual()?;
/// server.register_task(TaskDef::new("greet").poll_timeout(Duration::from_secs(3600)))?;
/// server.register_workflow(WorkflowDef::new("hello").task(WorkflowTask::simple("greet", "greet_ref")))?;
/// let id = server.start_workflow(&StartWorkflowRequest::new("hello"))?;
/// server.advance(Duration::from_secs(3600));
/// let workflow = server.workflow(&id).expect("it was started");
/// assert_eq!(workflow.status, WorkflowStatus::TimedOut);
/// # Ok::<(), conductor_sync::Error>(())
/// ```
#[must_use = "the server stops when it is dropped"]
pub struct EmbeddedServer {
    shared: Arc<Shared>,
    /// The clock and the one that accepts connections, which itself waits for those of the connections.
    threads: Vec<JoinHandle<()>>,
}

/// A request that the server has seen.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SeenRequest {
    /// The method.
    pub method: String,
    /// The path with the query, as it came.
    pub path: String,
    /// The body.
    pub body: String,
    /// The status of the answer; `None` while it waits.
    pub status: Option<u16>,
    /// When it came, by the clock of the server, since the server was started.
    pub at: Duration,
}

impl SeenRequest {
    /// What it reports about a task: an update, or a heartbeat, which has `extend_lease` set. `None` for any other request.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use conductor_sync::{Client, Config, TaskResult, TaskResultStatus, embedded::EmbeddedServer};
    /// # let server = EmbeddedServer::start()?;
    /// # let client = Client::new(Config::new(&server.url())?)?;
    /// # let update = TaskResult::new("w", "t", TaskResultStatus::Completed);
    /// # assert!(client.tasks().update(&update).unwrap_err().is_not_found());
    /// let reports = server.requests().iter().filter_map(|request| request.task_result()).count();
    /// assert_eq!(reports, 1);
    /// # Ok::<(), conductor_sync::Error>(())
    /// ```
    pub fn task_result(&self) -> Option<TaskResult> {
        let is_report = self.method == "POST" && matches!(self.path.as_str(), "/api/tasks" | "/api/tasks/update-v2");
        is_report.then(|| serde_json::from_str(&self.body).ok()).flatten()
    }
}

/// What [`EmbeddedServer::wait_until`] shows to its condition: the server at one moment.
pub struct View<'a> {
    state: &'a State,
}

/// What the threads share. Everything that changes is in `state`, which is whole between two statements that hold it, so a
/// panic elsewhere does not spoil it.
struct Shared {
    address: SocketAddr,
    state: Mutex<State>,
    /// Told after each change, for those who wait for a state.
    changed: Condvar,
    /// Told when the clock thread must look again.
    due: Condvar,
    started: Instant,
    started_at: Millis,
}

struct State {
    engine: Engine,
    parked: Parked<Answerable>,
    /// A second handle of each open connection, by its number, to end it with.
    connections: HashMap<u64, TcpStream>,
    requests: Vec<SeenRequest>,
    /// The time since the start, when it is virtual.
    virtual_time: Option<Duration>,
    /// Until when the clock thread sleeps; `None` is until it is told.
    clock_wakes: Option<Instant>,
    is_stopping: bool,
}

/// A poll that is still to be answered: its place among the requests seen, and where the thread of its connection waits for
/// the answer. One answer is sent, and the sender is gone.
struct Answerable {
    seen: usize,
    answer: SyncSender<Reply>,
}

impl EmbeddedServer {
    /// Starts a server on a free port, whose time is real.
    ///
    /// # Errors
    /// When no port or no thread is to be had.
    pub fn start() -> Result<Self> {
        Self::launch(None)
    }

    /// Starts a server on a free port, whose time stands still until [`EmbeddedServer::advance`].
    ///
    /// A poll that waits for tasks is answered when they come, when the virtual time passes its end, or when it has been
    /// held for its timeout in real time: workers go on polling.
    ///
    /// The time of workers is real all the same: their heartbeats, cancellation checks and [`deadline`] do not see an
    /// `advance`. A task that is IN_PROGRESS has been handed out, but its handler may not have begun: wait for the handler
    /// itself, for instance by a channel, before moving time.
    ///
    /// [`deadline`]: crate::TaskContext::deadline
    ///
    /// # Errors
    /// When no port or no thread is to be had.
    pub fn start_virtual() -> Result<Self> {
        Self::launch(Some(Duration::ZERO))
    }

    fn launch(virtual_time: Option<Duration>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| not_started("no loopback port", e))?;
        let state = State {
            engine: Engine::new(fastrand::u64(..)),
            parked: Parked::default(),
            connections: HashMap::new(),
            requests: Vec::new(),
            virtual_time,
            clock_wakes: None,
            is_stopping: false,
        };
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let shared = Arc::new(Shared {
            address: listener.local_addr().map_err(|e| not_started("no address", e))?,
            state: Mutex::new(state),
            changed: Condvar::new(),
            due: Condvar::new(),
            started: Instant::now(),
            started_at: millis(since_1970),
        });
        let mut server = Self { shared: Arc::clone(&shared), threads: Vec::new() };
        let failed = |e| not_started("no thread", e);
        let clock = Arc::clone(&shared);
        server.threads.push(spawn("embedded:clock", move || clock.keep_time()).map_err(failed)?);
        server.threads.push(spawn("embedded:accept", move || accept(&shared, &listener)).map_err(failed)?);
        Ok(server)
    }

    /// The base URL for clients: `http://127.0.0.1:PORT/api`.
    pub fn url(&self) -> String {
        format!("http://{}/api", self.shared.address)
    }

    /// Registers a task definition, or replaces it.
    ///
    /// # Errors
    /// When the definition breaks a rule of the server.
    pub fn register_task(&self, definition: TaskDef) -> Result<()> {
        let about = format!("register task {}", definition.name);
        self.shared.command(about, Command::RegisterTasks(vec![definition])).map(drop)
    }

    /// Registers a workflow definition, or replaces it.
    ///
    /// # Errors
    /// When the definition breaks a rule of the server.
    pub fn register_workflow(&self, definition: WorkflowDef) -> Result<()> {
        let about = format!("register workflow {}", definition.name);
        self.shared.command(about, Command::RegisterWorkflow { definition, overwrite: true }).map(drop)
    }

    /// Starts a workflow and returns its id.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no such definition; otherwise when the request can't be used.
    pub fn start_workflow(&self, request: &StartWorkflowRequest) -> Result<String> {
        let about = format!("start workflow {}", request.name);
        match self.shared.command(about, Command::Start(request.clone()))? {
            Answer::Id(id) => Ok(id.unwrap_or_default()),
            _ => Ok(String::new()),
        }
    }

    /// A workflow with its tasks.
    pub fn workflow(&self, workflow_id: &str) -> Option<Workflow> {
        self.shared.view(|view| view.workflow(workflow_id))
    }

    /// A task.
    pub fn task(&self, task_id: &str) -> Option<Task> {
        self.shared.view(|view| view.task(task_id))
    }

    /// How many tasks wait in the queue of a task type, also those that are not due yet. The queue of a domain is named
    /// `domain:type`, as the server names it.
    pub fn queue_size(&self, task_type: &str) -> usize {
        self.shared.view(|view| view.queue_size(task_type))
    }

    /// The requests seen so far, in order. All are kept until the server is dropped.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.shared.view(|view| view.requests().to_vec())
    }

    /// The time by the clock of the server, since the server was started: what [`SeenRequest::at`] is compared with. The
    /// times of tasks and workflows are milliseconds since 1970 by the same clock.
    pub fn now(&self) -> Duration {
        self.shared.time(&self.shared.lock())
    }

    /// Waits until a workflow has ended, however it ended, and returns it with its tasks.
    ///
    /// # Errors
    /// [`ErrorKind::Deadline`] when `deadline` of real time passes first, with the state of the workflow and its tasks.
    pub fn wait_for_workflow(&self, workflow_id: &str, deadline: Duration) -> Result<Workflow> {
        let has_ended = |view: &View<'_>| {
            // The whole workflow is put together once.
            view.status(workflow_id).filter(WorkflowStatus::is_terminal).and_then(|_| view.workflow(workflow_id))
        };
        let state = |view: &View<'_>| view.workflow(workflow_id).map_or_else(|| "unknown".to_owned(), |w| summary(&w));
        self.wait(&format!("the end of workflow {workflow_id}"), deadline, has_ended, state)
    }

    /// Waits until `condition` holds. It is tried now and after each change, with the server held still meanwhile, so it
    /// must not call the server. `what` names it in the error.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use conductor_sync::{StartWorkflowRequest, WorkflowDef, WorkflowTask, embedded::EmbeddedServer};
    /// # let server = EmbeddedServer::start()?;
    /// # server.register_workflow(WorkflowDef::new("hello").task(WorkflowTask::simple("greet", "greet_ref")))?;
    /// # server.start_workflow(&StartWorkflowRequest::new("hello"))?;
    /// server.wait_until("a task in the queue greet", Duration::from_secs(5), |view| view.queue_size("greet") == 1)?;
    /// # Ok::<(), conductor_sync::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Deadline`] when `deadline` of real time passes first, with the state of all workflows that run.
    pub fn wait_until(&self, what: &str, deadline: Duration, condition: impl Fn(&View<'_>) -> bool) -> Result<()> {
        self.wait(what, deadline, |view| condition(view).then_some(()), |view| view.summary())
    }

    fn wait<T>(
        &self,
        what: &str,
        deadline: Duration,
        find: impl Fn(&View<'_>) -> Option<T>,
        summary: impl Fn(&View<'_>) -> String,
    ) -> Result<T> {
        let end = Instant::now() + deadline.min(FAR);
        let mut state = self.shared.lock();
        loop {
            let view = View { state: &state };
            if let Some(found) = find(&view) {
                return Ok(found);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let message = format!("not within {} ms; state: {}", deadline.as_millis(), summary(&view));
                return Err(Error::new(ErrorKind::Deadline, format!("wait for {what}"), message));
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Lets virtual time pass: all that is due within it happens, in order. Without effect when the time is real.
    pub fn advance(&self, time: Duration) {
        self.shared.advance(time);
    }
}

impl Drop for EmbeddedServer {
    /// Answers the polls that wait, closes all connections and the port, and waits for the threads.
    fn drop(&mut self) {
        self.shared.stop();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so on standard error, and there is nobody to tell in a drop.
            drop(thread.join());
        }
    }
}

impl fmt::Debug for EmbeddedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedServer").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").finish_non_exhaustive()
    }
}

impl View<'_> {
    /// The state of a workflow.
    pub fn status(&self, workflow_id: &str) -> Option<WorkflowStatus> {
        self.state.engine.status(workflow_id)
    }

    /// A workflow with its tasks.
    pub fn workflow(&self, workflow_id: &str) -> Option<Workflow> {
        self.state.engine.workflow(workflow_id, true)
    }

    /// A task.
    pub fn task(&self, task_id: &str) -> Option<Task> {
        self.state.engine.task(task_id)
    }

    /// How many tasks wait in the queue of a task type, also those that are not due yet. The queue of a domain is named
    /// `domain:type`, as the server names it.
    pub fn queue_size(&self, task_type: &str) -> usize {
        self.state.engine.queue_size(task_type)
    }

    /// The requests seen so far, in order.
    pub fn requests(&self) -> &[SeenRequest] {
        &self.state.requests
    }

    fn summary(&self) -> String {
        let running: Vec<String> = self.state.engine.all_running().iter().map(summary).collect();
        let n_requests = self.state.requests.len();
        format!("{n_requests} requests seen, {} workflows running: [{}]", running.len(), running.join("; "))
    }
}

fn summary(workflow: &Workflow) -> String {
    let tasks: Vec<String> = workflow
        .tasks
        .iter()
        .map(|task| format!("{} attempt {} {}", task.reference_task_name, task.retry_count, task.status))
        .collect();
    format!("{} {}: {}", workflow.workflow_id, workflow.status, tasks.join(", "))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        look(&View { state: &self.lock() })
    }

    /// Answers the requests of a connection, one after the other.
    fn serve(&self, mut connection: Connection) {
        while let Some(incoming) = connection.next() {
            let (is_head, keeps_open) = (incoming.call.method == "HEAD", incoming.keeps_open);
            let reply = self.reply_to(incoming);
            if !connection.answer(&reply, is_head, keeps_open) {
                return;
            }
        }
    }

    /// The answer to a request, which a poll may have to wait for.
    fn reply_to(&self, incoming: Incoming) -> Reply {
        let Incoming { call, path, .. } = incoming;
        let mut state = self.lock();
        let seen = state.requests.len();
        let at = self.time(&state);
        let body = String::from_utf8_lossy(&call.body).into_owned();
        state.requests.push(SeenRequest { method: call.method.clone(), path, body, status: None, at });
        let now = self.now(&state);
        match routes::respond(&call, &mut state.engine, now) {
            Outcome::Reply(reply) => {
                state.requests[seen].status = Some(reply.status);
                self.settle(state);
                reply
            }
            Outcome::Poll(order) => {
                let (answer, answered) = mpsc::sync_channel(1);
                self.begin_poll(&mut state, order, Answerable { seen, answer });
                self.settle(state);
                // Each poll is answered, at the latest when the server stops.
                answered.recv().unwrap_or_else(|_| Reply::empty(204))
            }
        }
    }

    /// Answers a poll at once if it can be, else lets it wait.
    fn begin_poll(&self, state: &mut State, order: PollOrder, request: Answerable) {
        let now = self.now(state);
        let queue = queue_name(&order.poll.task_type, order.poll.domain.as_deref());
        let end = Instant::now() + duration(order.hold);
        let mut poll =
            Waiting { taken: Vec::new(), end, end_by_server: now.saturating_add(order.hold), order, request };
        poll.taken = state.take(queue, poll.order.count, now);
        if poll.taken.len() >= poll.order.count || poll.order.hold == 0 || state.is_stopping {
            state.answer_poll(poll, now);
        } else {
            state.parked.park(poll);
        }
    }

    /// After a change: serves the polls that wait and wakes whom it concerns.
    fn settle(&self, mut state: MutexGuard<'_, State>) {
        let now = self.now(&state);
        state.serve_parked(now);
        let wakes = self.next_wake(&state);
        if wakes.is_some_and(|wakes| state.clock_wakes.is_none_or(|planned| wakes < planned)) {
            self.due.notify_one();
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Does what is due by the clock, until the server stops.
    fn keep_time(&self) {
        let mut state = self.lock();
        while !state.is_stopping {
            let now = self.now(&state);
            state.tick(now);
            self.changed.notify_all();
            let wakes = self.next_wake(&state);
            state.clock_wakes = wakes;
            let left = wakes.map(|wakes| wakes.saturating_duration_since(Instant::now()));
            state = match left {
                Some(left) => self.due.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.due.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// When something happens by itself in real time.
    fn next_wake(&self, state: &State) -> Option<Instant> {
        let by_engine = match state.virtual_time {
            Some(_) => None,
            None => state.engine.next_event().map(|at| self.started + duration(at - self.started_at)),
        };
        [by_engine, state.parked.next_end()].into_iter().flatten().min()
    }

    fn advance(&self, time: Duration) {
        let mut state = self.lock();
        let Some(from) = state.virtual_time else { return };
        let end = from.saturating_add(time).min(FAR);
        loop {
            let event = [state.engine.next_event(), state.parked.next_end_by_server()].into_iter().flatten().min();
            let next = event.map(|at| duration(at - self.started_at)).filter(|next| *next <= end);
            state.virtual_time = Some(next.unwrap_or(end).max(from));
            let now = self.now(&state);
            state.tick(now);
            if next.is_none() {
                break;
            }
        }
        self.settle(state);
    }

    fn command(&self, about: String, command: Command) -> Result<Answer> {
        let mut state = self.lock();
        let now = self.now(&state);
        let answer = state.engine.step(command, now);
        self.settle(state);
        answer.map_err(|refusal| refused(about, refusal))
    }

    /// Answers the polls that wait and tells all threads to end.
    fn stop(&self) {
        let mut state = self.lock();
        state.is_stopping = true;
        let now = self.now(&state);
        while let Some(poll) = state.parked.any() {
            state.answer_poll(poll, now);
        }
        for stream in state.connections.values() {
            // Ends the read of the next request, while an answer can still be written. A connection that is closed already
            // needs no end.
            drop(stream.shutdown(Shutdown::Read));
        }
        drop(state);
        self.due.notify_all();
        // Wakes the thread that accepts; without a connection to be had it has no reason to wait either.
        drop(TcpStream::connect(self.address));
    }

    /// The time since the start, by the clock of the server.
    fn time(&self, state: &State) -> Duration {
        state.virtual_time.unwrap_or_else(|| self.started.elapsed())
    }

    fn now(&self, state: &State) -> Millis {
        self.started_at.saturating_add(millis(self.time(state)))
    }
}

impl State {
    fn take(&mut self, queue: String, most: usize, now: Millis) -> Vec<String> {
        match self.engine.step(Command::Take { queue, most }, now) {
            Ok(Answer::Ids(task_ids)) => task_ids,
            _ => Vec::new(),
        }
    }

    fn answer_poll(&mut self, poll: Waiting<Answerable>, now: Millis) {
        let Waiting { order, taken, request, .. } = poll;
        let answer = self.engine.step(Command::HandOut(order.poll.clone(), taken), now);
        let reply = Reply::to_poll(&order, answer);
        self.requests[request.seen].status = Some(reply.status);
        // The thread of the connection waits for it, and there is room for one.
        drop(request.answer.try_send(reply));
    }

    /// Does what is due.
    fn tick(&mut self, now: Millis) {
        // A tick can't be refused.
        drop(self.engine.step(Command::Tick, now));
        self.serve_parked(now);
        let real_now = Instant::now();
        while let Some(poll) = self.parked.expired(real_now, now) {
            self.answer_poll(poll, now);
        }
    }

    /// Gives tasks that became ready to the polls that wait for them.
    fn serve_parked(&mut self, now: Millis) {
        for queue in self.parked.queues() {
            while self.engine.has_ready(&queue) {
                let Some(most) = self.parked.wanted(&queue) else { break };
                let task_ids = self.take(queue.clone(), most, now);
                if let Some(full) = self.parked.give(&queue, task_ids) {
                    self.answer_poll(full, now);
                }
            }
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(run)
}

fn not_started(what: &str, cause: io::Error) -> Error {
    Error::new(ErrorKind::Local, "start the embedded server", format!("{what} to be had: {cause}")).with_source(cause)
}

/// Accepts connections, each with a thread of its own, until the server stops; then waits for those threads.
fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    for (number, stream) in (0..).zip(listener.incoming()) {
        let mut state = shared.lock();
        if state.is_stopping {
            break;
        }
        // What fails here is one connection, or the descriptors have run out, which takes a while to pass.
        let Ok(stream) = stream else {
            drop(shared.due.wait_timeout(state, ACCEPT_AGAIN).unwrap_or_else(PoisonError::into_inner));
            continue;
        };
        let Ok(handle) = stream.try_clone() else { continue };
        state.connections.insert(number, handle);
        drop(state);
        threads.retain(|thread| !thread.is_finished());
        let own = Arc::clone(shared);
        let serve = move || {
            if let Ok(connection) = Connection::new(stream) {
                own.serve(connection);
            }
            own.lock().connections.remove(&number);
        };
        match spawn(&format!("embedded:io:{number}"), serve) {
            Ok(thread) => threads.push(thread),
            Err(_) => drop(shared.lock().connections.remove(&number)),
        }
    }
    for thread in threads {
        // A thread that panicked has said so on standard error.
        drop(thread.join());
    }
}

fn refused(about: String, refusal: Refusal) -> Error {
    let kind = match refusal.kind {
        engine::RefusalKind::NotFound => ErrorKind::NotFound,
        engine::RefusalKind::Conflict => ErrorKind::Conflict,
        engine::RefusalKind::Invalid | engine::RefusalKind::NotServed | engine::RefusalKind::Failed => {
            ErrorKind::Invalid
        }
    };
    let violations = refusal.violations.iter().map(|violation| format!("; {}: {}", violation.path, violation.message));
    let message = violations.fold(refusal.message.clone(), |all, one| all + &one);
    Error::new(kind, about, message)
}

fn millis(time: Duration) -> Millis {
    Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX)
}

fn duration(time: Millis) -> Duration {
    Duration::from_millis(u64::try_from(time).unwrap_or(0))
}
