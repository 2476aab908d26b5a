//! The listener behind [`Metrics::serve`]: a guard that owns the public port and keeps every stranger within bounds of
//! bytes, time and number, before tiny_http sees a request. One thread accepts, two serve; all end when this is dropped.

#[cfg(unix)]
use std::os::fd::OwnedFd;
use std::{
    convert::Infallible,
    fmt,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, TrySendError, bounded};

use super::{
    Metrics, Readiness,
    request::{self, Refusal, set_timeout},
    upstream::Upstream,
};
use crate::error::{Error, ErrorKind, Result};

/// Two, so that one slow reader does not keep the others from their numbers.
const N_SERVING: usize = 2;

/// Connections that wait for a serving thread. A handful of scrapers come at the same time; more are a mistake or worse.
const MOST_WAITING: usize = 16;

/// From the accept to the last byte of the head.
const HEAD_DEADLINE: Duration = Duration::from_secs(5);

/// What a connection has at least after its wait, enough to read what has arrived meanwhile.
const LEAST_FOR_HEAD: Duration = Duration::from_millis(100);

/// For the whole answer. Prometheus gives up after 10 s unless told otherwise.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);

/// How long and for how much a refused client is listened to, so that it gets to read why: closing a socket with unread
/// bytes throws the answer away.
const LINGER_DEADLINE: Duration = Duration::from_millis(500);
const MOST_LINGER_BYTES: usize = 256 * 1024;

/// Between two accepts without success. What a failed accept waits for is that something else closes a descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts may fail ten times a second; a log wants to know it less often.
const LOG_PAUSE: Duration = Duration::from_secs(60);

pub(super) struct Exporter {
    address: SocketAddr,
    /// Never written; its disconnection tells the accepting thread to end.
    stop: Option<Sender<Infallible>>,
    accepting: Option<JoinHandle<()>>,
    serving: Vec<(Arc<Client>, JoinHandle<()>)>,
    /// A second handle of the listener, which is what it takes to wake the accepting thread.
    waker: Option<TcpListener>,
}

/// An accepted connection on its way to a serving thread.
struct Incoming {
    stream: TcpStream,
    deadline: Instant,
}

impl Exporter {
    pub(super) fn start(metrics: Metrics, address: SocketAddr, ready: Readiness) -> Result<Self> {
        let failed = |error| not_served(address, error);
        let listener = TcpListener::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let upstream = Arc::new(Upstream::start(metrics, ready).map_err(failed)?);
        let (stop, stopped) = bounded(0);
        // Before the queue: when a thread can't be started, the queue is gone first and the threads that run end.
        let mut exporter = Self {
            address,
            stop: Some(stop),
            accepting: None,
            serving: Vec::with_capacity(N_SERVING),
            waker: Some(listener.try_clone().map_err(failed)?),
        };
        let (queue, incoming) = bounded(MOST_WAITING);
        for index in 0..N_SERVING {
            let (incoming, upstream) = (incoming.clone(), Arc::clone(&upstream));
            let client = Arc::new(Client::default());
            let its_client = Arc::clone(&client);
            let thread = named(format!("metrics:serve:{index}"), move || serve(&incoming, &its_client, &upstream));
            exporter.serving.push((client, thread.map_err(failed)?));
        }
        let accepting = named("metrics:accept".to_owned(), move || accept(&listener, &queue, &stopped));
        exporter.accepting = Some(accepting.map_err(failed)?);
        log::info!("metrics on http://{address}/metrics");
        Ok(exporter)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(waker) = self.waker.take() {
            wake(waker, self.address);
        }
        // With the accepting thread goes the only sender of the queue, whose end the serving threads wait for.
        let accepting = self.accepting.take().into_iter();
        let mut panicked = accepting.map(JoinHandle::join).filter(Result::is_err).count();
        for (client, _) in &self.serving {
            client.stop();
        }
        panicked += self.serving.drain(..).map(|(_, thread)| thread.join()).filter(Result::is_err).count();
        if panicked > 0 {
            log::error!("{panicked} threads of the metrics listener panicked");
        }
    }
}

fn not_served(address: SocketAddr, error: io::Error) -> Error {
    let message = match error.kind() {
        io::ErrorKind::AddrInUse => "the port is taken: choose another one, or 0 for any that is free".to_owned(),
        io::ErrorKind::PermissionDenied => format!("{error}: choose a port from 1024 on"),
        io::ErrorKind::AddrNotAvailable => format!("{error}: choose an address of this machine"),
        _ => error.to_string(),
    };
    Error::new(ErrorKind::Local, format!("serve metrics on {address}"), message).with_source(error)
}

fn named(name: String, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name).spawn(run)
}

/// Ends a blocked accept, even where no descriptor is free.
fn wake(listener: TcpListener, mut address: SocketAddr) {
    #[cfg(unix)]
    {
        // Linux ends the accept with this. Other systems refuse, and connect below with the descriptor it gives back.
        let socket = TcpStream::from(OwnedFd::from(listener));
        drop(socket.shutdown(Shutdown::Both));
    }
    #[cfg(not(unix))]
    drop(listener);
    // What listens everywhere is to be reached on loopback.
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    // Refused if the accept has ended already.
    drop(TcpStream::connect_timeout(&address, Duration::from_secs(1)));
}

fn accept(listener: &TcpListener, queue: &Sender<Incoming>, stopped: &Receiver<Infallible>) {
    let mut logged: Option<Instant> = None;
    loop {
        let accepted = listener.accept();
        if stopped.try_recv() == Err(TryRecvError::Disconnected) {
            return;
        }
        match accepted {
            Ok((stream, _)) => {
                let incoming = Incoming { stream, deadline: Instant::now() + HEAD_DEADLINE };
                match queue.try_send(incoming) {
                    Ok(()) => {}
                    // Dropped and so closed: whoever scrapes comes again.
                    Err(TrySendError::Full(_)) => log::debug!("too many connections to the metrics listener"),
                    Err(TrySendError::Disconnected(_)) => return,
                }
            }
            // The client left before its turn.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                if logged.is_none_or(|at| at.elapsed() >= LOG_PAUSE) {
                    log::warn!("the metrics listener can't accept at the moment, and keeps trying: {error}");
                    logged = Some(Instant::now());
                }
                if stopped.recv_timeout(ACCEPT_PAUSE) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        }
    }
}

/// Whom a serving thread talks to. Written by that thread, and by the drop of the exporter to cut it short.
#[derive(Default)]
struct Client(Mutex<Talk>);

#[derive(Default)]
enum Talk {
    #[default]
    Idle,
    With(Arc<TcpStream>),
    Over,
}

impl Client {
    /// Says no once the exporter ends.
    fn begin(&self, stream: &Arc<TcpStream>) -> bool {
        let mut talk = self.talk();
        let may = !matches!(*talk, Talk::Over);
        if may {
            *talk = Talk::With(Arc::clone(stream));
        }
        may
    }

    fn end(&self) {
        let mut talk = self.talk();
        if matches!(*talk, Talk::With(_)) {
            *talk = Talk::Idle;
        }
    }

    fn stop(&self) {
        let talk = std::mem::replace(&mut *self.talk(), Talk::Over);
        if let Talk::With(stream) = talk {
            // Reads and writes end at once; an error means that they have ended already.
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    /// Valid between any two statements, and so after a panic.
    fn talk(&self) -> MutexGuard<'_, Talk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(incoming: &Receiver<Incoming>, client: &Client, upstream: &Upstream) {
    for Incoming { stream, deadline } in incoming {
        let stream = Arc::new(stream);
        if client.begin(&stream) {
            // A client that has left is no news.
            drop(talk_to(&stream, deadline, upstream));
            client.end();
        }
    }
}

fn talk_to(stream: &TcpStream, deadline: Instant, upstream: &Upstream) -> io::Result<()> {
    let deadline = deadline.max(Instant::now() + LEAST_FOR_HEAD);
    let refusal = match request::read(stream, deadline) {
        Ok(request) => match upstream.answer(request) {
            Ok(answer) => return write(stream, &answer),
            Err(error) => {
                log::warn!("a request to the metrics listener got no answer: {error}");
                Refusal::NoAnswer { method: request.method }
            }
        },
        Err(refusal) => refusal,
    };
    let Some(answer) = refusal_text(refusal) else { return Ok(()) };
    write(stream, answer.as_bytes())?;
    // Whoever was slow has had its time.
    if refusal == Refusal::TooSlow { Ok(()) } else { linger(stream) }
}

/// The answer to a request that goes no further, unless nobody is there to read it.
fn refusal_text(refusal: Refusal) -> Option<String> {
    let (status, why) = match refusal {
        Refusal::Gone => return None,
        Refusal::Malformed => ("400 Bad Request", "this is no HTTP/1.1 request\n"),
        Refusal::HasBody => ("400 Bad Request", "a request for metrics has no body\n"),
        Refusal::UnknownPath { .. } => ("404 Not Found", "there are /metrics, /health and /ready\n"),
        Refusal::OtherMethod => ("405 Method Not Allowed", "there are GET and HEAD\n"),
        Refusal::TooSlow => ("408 Request Timeout", "the request took too long\n"),
        Refusal::TooLarge => ("431 Request Header Fields Too Large", "the head of the request is too long\n"),
        Refusal::NoAnswer { .. } => ("503 Service Unavailable", "the metrics can't be had at the moment\n"),
    };
    let allow = if refusal == Refusal::OtherMethod { "Allow: GET, HEAD\r\n" } else { "" };
    let is_head = matches!(refusal, Refusal::UnknownPath { method: "HEAD" } | Refusal::NoAnswer { method: "HEAD" });
    let body = if is_head { "" } else { why };
    let n_bytes = why.len();
    Some(format!(
        "HTTP/1.1 {status}\r\n{allow}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {n_bytes}\r\n\
         Connection: close\r\n\r\n{body}"
    ))
}

fn write(mut stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    let deadline = Instant::now() + WRITE_DEADLINE;
    while !bytes.is_empty() {
        set_timeout(deadline, |left| stream.set_write_timeout(left))?;
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n_bytes) => bytes = &bytes[n_bytes..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads and forgets what a refused client goes on sending.
fn linger(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let deadline = Instant::now() + LINGER_DEADLINE;
    let mut chunk = [0; 4096];
    let mut n_bytes = 0;
    while n_bytes < MOST_LINGER_BYTES {
        set_timeout(deadline, |left| stream.set_read_timeout(left))?;
        match stream.read(&mut chunk)? {
            0 => break,
            n => n_bytes += n,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::MetricsServer;

    const DEADLINE: Duration = Duration::from_secs(20);

    fn loopback() -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
    }

    fn connect(server: &MetricsServer, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    fn get(server: &MetricsServer, path: &str) -> String {
        let mut text = String::new();
        connect(server, &format!("GET {path} HTTP/1.1\r\n\r\n")).read_to_string(&mut text).unwrap();
        text
    }

    /// Metrics whose text is larger than what the sockets between two programs hold.
    fn large() -> Metrics {
        let metrics = Metrics::new();
        for index in 0..1_000 {
            metrics.task(&format!("type-{index}"));
        }
        metrics
    }

    #[test]
    fn ready_says_why_not() {
        let reasons = Arc::new(Mutex::new(vec!["no poll \"yet\"".to_owned()]));
        let asked = Arc::clone(&reasons);
        let server = Metrics::new().serve_with(loopback(), Arc::new(move || asked.lock().unwrap().clone())).unwrap();
        let answer = get(&server, "/ready");
        assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
        let body: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!(body, serde_json::json!({ "status": "DOWN", "reasons": ["no poll \"yet\""] }));
        assert!(get(&server, "/health").starts_with("HTTP/1.1 200 "), "alive all the same");
        reasons.lock().unwrap().clear();
        let answer = get(&server, "/ready");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("{\"status\":\"UP\"}"), "{answer}");
    }

    #[test]
    fn a_panic_in_the_readiness_does_not_silence_the_metrics() {
        let server = Metrics::new().serve_with(loopback(), Arc::new(|| panic!("of the test"))).unwrap();
        assert!(get(&server, "/ready").contains("panicked"));
        assert!(get(&server, "/metrics").starts_with("HTTP/1.1 200 "));
    }

    #[test]
    fn a_large_text_comes_whole_and_with_its_length() {
        let metrics = large();
        let server = metrics.serve(loopback()).unwrap();
        let answer = get(&server, "/metrics");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
        assert!(!head.contains("chunked"), "{head}");
        assert!(body == metrics.render());
    }

    #[test]
    fn a_reader_that_stops_in_the_middle_does_not_block_the_others() {
        let server = large().serve(loopback()).unwrap();
        let mut stalled = connect(&server, "GET /metrics HTTP/1.1\r\n\r\n");
        stalled.read_exact(&mut [0; 1024]).unwrap();
        let begun = Instant::now();
        for _ in 0..3 {
            assert!(get(&server, "/health").starts_with("HTTP/1.1 200 "));
        }
        assert!(begun.elapsed() < WRITE_DEADLINE / 2, "took {:?}", begun.elapsed());
        let begun = Instant::now();
        drop(server);
        assert!(begun.elapsed() < WRITE_DEADLINE / 2, "the drop waited for the reader: {:?}", begun.elapsed());
    }

    #[test]
    fn a_client_that_is_slow_with_its_head_is_told_and_left() {
        let server = Metrics::new().serve(loopback()).unwrap();
        let begun = Instant::now();
        let mut answer = String::new();
        connect(&server, "GET /metr").read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        let took = begun.elapsed();
        assert!(took >= HEAD_DEADLINE / 2 && took < HEAD_DEADLINE * 2, "took {took:?}");
    }

    #[test]
    fn a_slow_readiness_is_waited_for() {
        let (go, wait) = bounded::<()>(0);
        let ready = move || if wait.recv_timeout(DEADLINE).is_ok() { Vec::new() } else { vec!["too late".to_owned()] };
        let server = Metrics::new().serve_with(loopback(), Arc::new(ready)).unwrap();
        let mut held = connect(&server, "GET /ready HTTP/1.1\r\n\r\n");
        go.send_timeout((), DEADLINE).unwrap();
        let mut answer = String::new();
        held.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}
