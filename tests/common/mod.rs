//! A scripted Conductor for tests of what goes wrong. It hands out the tasks it was given and acknowledges what it is
//! told, unless the script of the test wants another answer: wrong bytes, a late one, none, a broken connection. Every
//! request is recorded. Waits are for a condition or a channel and have a deadline; only what stands for something slow
//! takes a time.

#![allow(dead_code, reason = "no test program uses all of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests stand outside #[test] functions")]

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt::Write as _,
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    panic, process,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use conductor_sync::{Client, Config, RunnerHandle, TaskRunner, Worker};
use crossbeam_channel::{Receiver, Sender, after, bounded, tick};
use serde::Deserialize;
use serde_json::{Value, json};

/// How long anything may take that should happen. Far more than it does take: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Call {
    Poll,
    /// A result for the task with this id.
    Update(String),
    /// A lease extension for the task with this id.
    Heartbeat(String),
    /// A look at the task with this id.
    Get(String),
    Other,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) call: Call,
    /// How many equal calls came before.
    pub(crate) nth: usize,
    pub(crate) method: String,
    /// The path with its query.
    pub(crate) target: String,
    /// The lines above its body.
    head: String,
    pub(crate) body: Vec<u8>,
    /// When it was read.
    pub(crate) at: Instant,
    /// When its answer was about to be sent; `None` where there is no answer yet.
    pub(crate) answered: Option<Instant>,
}

impl Request {
    /// The value of a header, whose name is given in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.to_ascii_lowercase() == name).map(|(_, value)| value.trim())
    }

    /// The value of a query parameter.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let query = self.target.split_once('?')?.1;
        query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The type that a poll asks for, as it stands in the path.
    pub(crate) fn task_type(&self) -> &str {
        let path = self.target.split('?').next().unwrap_or_default();
        path.strip_prefix("/api/tasks/poll/batch/").unwrap_or_default()
    }

    /// How many tasks a poll asks for.
    pub(crate) fn count(&self) -> usize {
        self.query("count").and_then(|count| count.parse().ok()).unwrap_or(1)
    }

    /// How long a poll wants to be held.
    pub(crate) fn hold(&self) -> Duration {
        Duration::from_millis(self.query("timeout").and_then(|ms| ms.parse().ok()).unwrap_or(0))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The status that an update reports.
    pub(crate) fn status(&self) -> String {
        self.json()["status"].as_str().unwrap_or_default().to_owned()
    }

    /// The reason that an update gives.
    pub(crate) fn reason(&self) -> String {
        self.json()["reasonForIncompletion"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn is_poll(&self) -> bool {
        self.call == Call::Poll
    }

    pub(crate) fn is_update(&self) -> bool {
        matches!(self.call, Call::Update(_))
    }

    pub(crate) fn is_heartbeat(&self) -> bool {
        matches!(self.call, Call::Heartbeat(_))
    }

    /// The task it is about.
    pub(crate) fn task_id(&self) -> &str {
        match &self.call {
            Call::Update(id) | Call::Heartbeat(id) | Call::Get(id) => id,
            Call::Poll | Call::Other => "",
        }
    }
}

/// What is sent back.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// These bytes, and the connection is kept.
    Bytes(Vec<u8>),
    /// These bytes, and then the end of the connection.
    BytesAndEnd(Vec<u8>),
    /// One of these bytes now and then, for longer than anybody should wait.
    Drip(Vec<u8>),
    /// The connection is reset.
    Reset,
    /// The connection is closed in order.
    Close,
    /// Nothing, while the server lives.
    Never,
}

impl Answer {
    /// An answer with further header lines, each ending in CR LF.
    pub(crate) fn with_headers(status: u16, kind: &str, headers: &str, body: &[u8]) -> Self {
        let mut bytes = format!(
            "HTTP/1.1 {status} Status\r\nContent-Type: {kind}\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        Self::Bytes(bytes)
    }

    pub(crate) fn status(status: u16, kind: &str, body: impl AsRef<[u8]>) -> Self {
        Self::with_headers(status, kind, "", body.as_ref())
    }

    /// The bytes of an answer.
    pub(crate) fn bytes(self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) | Self::BytesAndEnd(bytes) | Self::Drip(bytes) => bytes,
            Self::Reset | Self::Close | Self::Never => Vec::new(),
        }
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::status(status, "application/json", body.to_string())
    }

    pub(crate) fn html(status: u16) -> Self {
        Self::status(status, "text/html", "<!DOCTYPE html><html><body>Please sign in</body></html>")
    }

    pub(crate) fn tasks(tasks: &[Value]) -> Self {
        Self::json(200, &Value::Array(tasks.to_vec()))
    }

    /// As the server acknowledges an update.
    pub(crate) fn acknowledged(task_id: &str) -> Self {
        Self::status(200, "text/plain", task_id)
    }

    /// As the server refuses: an envelope with a message.
    pub(crate) fn refused(status: u16, message: &str) -> Self {
        Self::json(status, &json!({"status": status, "message": message, "instance": "here", "retryable": false}))
    }

    /// As the server refuses a report that it can't take.
    pub(crate) fn invalid() -> Self {
        let problem = json!({"path": "updateTask.taskResult.x", "message": "must not be odd", "invalidValue": null});
        let message = "Validation failed, check below errors for detail.";
        Self::json(400, &json!({"status": 400, "message": message, "validationErrors": [problem], "retryable": false}))
    }

    pub(crate) fn unknown_task(task_id: &str) -> Self {
        Self::refused(404, &format!("No such task found by id: {task_id}"))
    }
}

/// Decides about a request; `None` leaves it to the server's own manners. It may wait.
type Script = dyn Fn(&Request) -> Option<Answer> + Send + Sync;

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    n_calls: HashMap<Call, usize>,
    /// The tasks for which a result was answered.
    heard_of: HashSet<String>,
    queue: VecDeque<Value>,
    connections: Vec<TcpStream>,
    n_connections: usize,
    over: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    script: Box<Script>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The scripted server.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// A server that behaves.
    pub(crate) fn well_behaved() -> Self {
        Self::start(|_| None)
    }

    /// A server with a script.
    pub(crate) fn start(script: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), script)
    }

    /// As [`Server::start`], at an address from [`free_address`].
    pub(crate) fn start_at(
        address: SocketAddr,
        script: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), script: Box::new(script) });
        let known = Arc::clone(&shared);
        let accepting = thread::Builder::new().name("accept".to_owned()).spawn(move || accept(&listener, &known));
        Self { address, shared, accepting: Some(accepting.unwrap()) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/api", self.address)
    }

    pub(crate) fn config(&self) -> Config {
        Config::new(&self.url()).unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.config()).unwrap()
    }

    /// Puts tasks into the queue.
    pub(crate) fn add(&self, tasks: impl IntoIterator<Item = Value>) {
        self.shared.state().queue.extend(tasks);
        self.shared.changed.notify_all();
    }

    /// How many tasks nobody has fetched.
    pub(crate) fn n_queued(&self) -> usize {
        self.shared.state().queue.len()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    pub(crate) fn n_connections(&self) -> usize {
        self.shared.state().n_connections
    }

    /// The connections that neither side has closed.
    pub(crate) fn n_open_connections(&self) -> usize {
        self.shared.state().connections.len()
    }

    /// The requests with this call.
    pub(crate) fn calls(&self, call: &Call) -> Vec<Request> {
        self.requests().into_iter().filter(|r| r.call == *call).collect()
    }

    /// The results that came for a task.
    pub(crate) fn updates(&self, task_id: &str) -> Vec<Request> {
        self.calls(&Call::Update(task_id.to_owned()))
    }

    pub(crate) fn n_polls(&self) -> usize {
        self.shared.state().requests.iter().filter(|r| r.is_poll()).count()
    }

    /// Waits until the requests are as wanted.
    pub(crate) fn wait_for(&self, what: &str, wanted: impl Fn(&[Request]) -> bool) {
        let came = self.comes(PATIENCE, wanted);
        assert!(came, "{what}: did not come; the last requests were\n{}", describe(&self.requests()));
    }

    /// Whether the requests become as wanted within `limit`.
    pub(crate) fn comes(&self, limit: Duration, wanted: impl Fn(&[Request]) -> bool) -> bool {
        self.wait_while(limit, |state| !wanted(&state.requests))
    }

    /// Waits until this many results for a task have been answered, and gives them.
    pub(crate) fn wait_for_updates(&self, task_id: &str, n: usize) -> Vec<Request> {
        let call = Call::Update(task_id.to_owned());
        self.wait_for(&format!("{n} results for {task_id}"), |all| {
            all.iter().filter(|r| r.call == call && r.answered.is_some()).count() >= n
        });
        self.updates(task_id)
    }

    /// Waits until results for this many tasks were answered.
    pub(crate) fn wait_for_tasks(&self, n: usize) {
        let came = self.wait_while(PATIENCE, |state| state.heard_of.len() < n);
        assert!(came, "results for {n} tasks: did not come; the last requests were\n{}", describe(&self.requests()));
    }

    fn wait_while(&self, limit: Duration, unfit: impl Fn(&State) -> bool) -> bool {
        let end = Instant::now() + limit;
        let mut state = self.shared.state();
        while unfit(&state) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Waits until so many polls have begun after now.
    pub(crate) fn wait_for_polls(&self, n_more: usize) {
        let before = self.n_polls();
        self.wait_for(&format!("{n_more} more polls"), |all| {
            all.iter().filter(|r| r.is_poll()).count() >= before + n_more
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let connections = {
            let mut state = self.shared.state();
            state.over = true;
            std::mem::take(&mut state.connections)
        };
        self.shared.changed.notify_all();
        for connection in connections {
            // It may have been closed by the other side.
            let _closed = connection.shutdown(Shutdown::Both);
        }
        // Wakes the listener, which then looks whether it is over; the port is free when it has gone.
        if let (Ok(_), Some(accepting)) = (TcpStream::connect(self.address), self.accepting.take()) {
            // The test has told of its panic already.
            let _ended = accepting.join();
        }
    }
}

/// An address where nobody listens and which no other test is given by chance.
pub(crate) fn free_address() -> SocketAddr {
    static N_GIVEN: AtomicUsize = AtomicUsize::new(0);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let [low, high, ..] = process::id().to_le_bytes();
    let nth = N_GIVEN.fetch_add(1, Ordering::Relaxed);
    // Elsewhere than on Linux, only one loopback address can be used.
    let ip = match cfg!(target_os = "linux") {
        true => Ipv4Addr::new(127, 100 + u8::try_from(nth % 100).unwrap(), high, low.max(2)),
        false => Ipv4Addr::LOCALHOST,
    };
    (ip, port).into()
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for connection in listener.incoming() {
        let Ok(connection) = connection else { continue };
        let mut state = shared.state();
        if state.over {
            return;
        }
        state.n_connections += 1;
        state.connections.push(connection.try_clone().unwrap());
        drop(state);
        let shared = Arc::clone(shared);
        thread::Builder::new().name("serve".to_owned()).spawn(move || serve(connection, &shared)).unwrap();
    }
}

/// Answers the requests of a connection until one of them ends it.
fn serve(mut connection: TcpStream, shared: &Shared) {
    connection.set_nodelay(true).unwrap();
    while let Some((head, body)) = read_request(&mut connection) {
        let (at, request) = record(shared, head, body);
        let answer = (shared.script)(&request).unwrap_or_else(|| manners(&request, shared));
        if matches!(answer, Answer::Never) {
            let mut state = shared.state();
            while !state.over {
                state = shared.changed.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
            }
            return;
        }
        {
            let mut state = shared.state();
            state.requests[at].answered = Some(Instant::now());
            if request.is_update() {
                state.heard_of.insert(request.task_id().to_owned());
            }
        }
        shared.changed.notify_all();
        // The last byte is unread so far: closing the connection with an unread byte resets it.
        if matches!(answer, Answer::Reset) || connection.read_exact(&mut [0]).is_err() {
            break;
        }
        let (bytes, goes_on) = match answer {
            Answer::Bytes(bytes) => (bytes, true),
            Answer::BytesAndEnd(bytes) => (bytes, false),
            Answer::Drip(bytes) => (drip(&mut connection, &bytes, shared), false),
            Answer::Reset | Answer::Close | Answer::Never => (Vec::new(), false),
        };
        if connection.write_all(&bytes).is_err() || !goes_on {
            break;
        }
    }
    forget(&connection, shared);
}

/// Sends a byte every tenth of a second, until the other side or the server has had enough; nothing is left to send then.
fn drip(connection: &mut TcpStream, bytes: &[u8], shared: &Shared) -> Vec<u8> {
    for byte in bytes {
        if connection.write_all(&[*byte]).is_err() {
            break;
        }
        let end = Instant::now() + Duration::from_millis(100);
        let mut state = shared.state();
        while !state.over && Instant::now() < end {
            state = shared
                .changed
                .wait_timeout(state, end.saturating_duration_since(Instant::now()))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        if state.over {
            break;
        }
    }
    Vec::new()
}

/// Lets go of the clone of a connection that has ended, so that it is closed in fact.
fn forget(connection: &TcpStream, shared: &Shared) {
    let Ok(peer) = connection.peer_addr() else {
        shared.state().connections.retain(|c| c.peer_addr().is_ok());
        return;
    };
    shared.state().connections.retain(|c| c.peer_addr().is_ok_and(|known| known != peer));
}

/// Reads a request but for its last byte, which stays unread; `None` at the end of the connection.
fn read_request(connection: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = match connection.peek(&mut buffer) {
            Ok(0) => return None,
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return None,
        };
        let had = bytes.len();
        bytes.extend_from_slice(&buffer[..n]);
        let Some(whole) = request_len(&bytes).filter(|whole| *whole <= bytes.len()) else {
            connection.read_exact(&mut buffer[..n]).ok()?;
            continue;
        };
        connection.read_exact(&mut buffer[..whole - 1 - had]).ok()?;
        bytes.truncate(whole);
        let body = bytes.split_off(bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4);
        return Some((String::from_utf8_lossy(&bytes).into_owned(), body));
    }
}

/// The length of a request with its body, where the whole head is there, and for a body in chunks all of that.
fn request_len(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    if text.contains("transfer-encoding: chunked") {
        const LAST: &[u8] = b"\r\n0\r\n\r\n";
        return bytes.windows(LAST.len()).position(|w| w == LAST).map(|at| at + LAST.len());
    }
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    Some(head + length.unwrap_or(0))
}

fn record(shared: &Shared, head: String, body: Vec<u8>) -> (usize, Request) {
    let mut words = head.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let call = call(&format!("{method} {target}"), &body);
    let mut state = shared.state();
    let n_before = state.n_calls.entry(call.clone()).or_default();
    let nth = *n_before;
    *n_before += 1;
    let request = Request { call, nth, method, target, head, body, at: Instant::now(), answered: None };
    state.requests.push(request.clone());
    let at = state.requests.len() - 1;
    drop(state);
    shared.changed.notify_all();
    (at, request)
}

fn call(target: &str, body: &[u8]) -> Call {
    if target.starts_with("GET /api/tasks/poll/batch/") {
        return Call::Poll;
    }
    if let Some(id) = target.strip_prefix("GET /api/tasks/") {
        return Call::Get(id.to_owned());
    }
    if target != "POST /api/tasks" {
        return Call::Other;
    }
    // Other fields may hold what a `Value` can't.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Report {
        task_id: String,
        #[serde(default)]
        extend_lease: bool,
    }
    match serde_json::from_slice(body) {
        Ok(Report { task_id, extend_lease: true }) => Call::Heartbeat(task_id),
        Ok(Report { task_id, .. }) => Call::Update(task_id),
        Err(_) => Call::Other,
    }
}

/// What a server answers that behaves.
fn manners(request: &Request, shared: &Shared) -> Answer {
    match &request.call {
        Call::Poll => Answer::tasks(&hand_out(request, shared)),
        Call::Update(id) | Call::Heartbeat(id) => Answer::acknowledged(id),
        Call::Get(id) => Answer::json(200, &task(id)),
        Call::Other => Answer::refused(404, "No static resource"),
    }
}

fn hand_out(request: &Request, shared: &Shared) -> Vec<Value> {
    let end = Instant::now() + request.hold();
    let mut state = shared.state();
    loop {
        let is_wanted = |task: &Value| task["taskType"] == request.task_type();
        let left = end.saturating_duration_since(Instant::now());
        if state.queue.iter().any(is_wanted) || left.is_zero() || state.over {
            let (wanted, others): (VecDeque<_>, _) = std::mem::take(&mut state.queue).into_iter().partition(is_wanted);
            let mut wanted = Vec::from(wanted);
            let rest = wanted.split_off(request.count().min(wanted.len()));
            state.queue = rest.into_iter().chain::<VecDeque<_>>(others).collect();
            return wanted;
        }
        state = shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
    }
}

fn describe(requests: &[Request]) -> String {
    let Some(first) = requests.first() else { return "none".to_owned() };
    let is_dull = |at: usize| requests[at].is_poll() && requests.get(at + 1).is_some_and(Request::is_poll);
    let told: Vec<_> = (0..requests.len()).rev().filter(|at| !is_dull(*at)).take(20).collect();
    told.into_iter().rev().map(|at| &requests[at]).fold(String::new(), |mut text, r| {
        let body: String = String::from_utf8_lossy(&r.body).chars().take(200).collect();
        writeln!(text, "{:?} {:?} {} {body}", r.at - first.at, r.call, r.target).unwrap();
        text
    })
}

/// A task of the type `job` with a long lease and its id as input.
pub(crate) fn task(id: &str) -> Value {
    json!({
        "taskId": id,
        "workflowInstanceId": format!("workflow-of-{id}"),
        "taskType": "job",
        "taskDefName": "job",
        "status": "IN_PROGRESS",
        "retryCount": 0,
        "pollCount": 1,
        "responseTimeoutSeconds": 3600,
        "inputData": {"id": id},
    })
}

/// A task with some fields set otherwise; null takes a field away.
pub(crate) fn task_with(id: &str, fields: Value) -> Value {
    let mut task = task(id);
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    for (name, value) in fields {
        match value {
            Value::Null => drop(task.as_object_mut().unwrap().remove(&name)),
            value => task[name] = value,
        }
    }
    task
}

/// As many tasks, `t0` and so on.
pub(crate) fn tasks(n: usize) -> impl Iterator<Item = Value> {
    (0..n).map(|n| task(&format!("t{n}")))
}

/// A worker for `job` that completes each task with its input, and polls with short holds.
pub(crate) fn echo() -> Worker {
    Worker::new("job", |_, input: Value| Ok(input)).poll_timeout(Duration::from_millis(200))
}

/// Starts a runner with one worker and two threads.
pub(crate) fn start(server: &Server, worker: Worker) -> RunnerHandle {
    TaskRunner::new(&server.client()).worker(worker).threads(2).start().unwrap()
}

/// Stops a runner, which leaves nothing undone; says how many results were settled and how many tasks given back.
pub(crate) fn stop_clean(handle: RunnerHandle) -> Settled {
    let report = handle.stop(PATIENCE);
    assert!(report.is_clean(), "{report:?}");
    Settled { completed: report.completed, given_back: report.given_back }
}

/// What `/ready` of a runner answers.
pub(crate) fn ready(runner: &RunnerHandle) -> String {
    let mut stream = TcpStream::connect(runner.metrics_address().unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /ready HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// See [`stop_clean`].
#[derive(Debug, PartialEq)]
pub(crate) struct Settled {
    pub(crate) completed: u64,
    pub(crate) given_back: u64,
}

/// What others wait at until it is opened.
#[derive(Clone)]
pub(crate) struct Gate {
    closed: Arc<Mutex<Option<Sender<()>>>>,
    opened: Receiver<()>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        let (closed, opened) = bounded(0);
        Self { closed: Arc::new(Mutex::new(Some(closed))), opened }
    }

    pub(crate) fn open(&self) {
        drop(self.closed.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Waits until it is open; a test that forgets to open it goes on at some time.
    pub(crate) fn pass(&self) {
        // Nothing is sent on it: it closes.
        let _opened = self.opened.recv_timeout(PATIENCE);
    }
}

/// Whether this becomes true within [`PATIENCE`]. For what tells nobody when it changes, so that it has to be looked at
/// again and again: a flag of a handler's context, a page of an exporter, the threads of a process.
pub(crate) fn comes_true(mut is_true: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + PATIENCE;
    let again = tick(Duration::from_millis(5));
    while !is_true() {
        if Instant::now() >= end {
            return false;
        }
        again.recv().unwrap();
    }
    true
}

/// Takes this long, in a handler or a script whose slowness is what is tested. No test waits with it for something to
/// happen.
pub(crate) fn be_slow(time: Duration) {
    after(time).recv().unwrap();
}

/// Keeps the panics of handlers, which are meant, out of the output of the tests.
pub(crate) fn quiet_handlers() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let meant = ["work", "update:"];
            if !thread::current().name().is_some_and(|name| meant.iter().any(|m| name.starts_with(m))) {
                before(info);
            }
        }));
    });
}
