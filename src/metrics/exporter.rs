//! The exporter: [`MetricsServer`] answers `/metrics`, `/health` and `/ready`.
//!
//! tiny_http writes the answers and is kept from listening. Its server (0.12) gives each connection a thread without end
//! or deadline, stops accepting for good after one failed `accept`, and leaves threads behind when it is dropped, whatever
//! stands in front of it. So three threads of our own listen and read: one accepts, two serve. All that a client can take
//! up is bounded: the bytes and the time of a request, the time of an answer, the connections that wait. After the start
//! nothing here needs a new file descriptor but an accepted connection, and when there is none, accepting goes on later.

use std::{
    convert::Infallible,
    fmt,
    io::{self, ErrorKind as IoErrorKind, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};
use tiny_http::{HTTPVersion, Header, Response, StatusCode};

use crate::error::{Error, ErrorKind, Result};

use super::{
    Health, Metrics,
    head::{self, MOST_HEAD_BYTES, Page, Refusal, Request},
};

/// One scraper and one health check at a time need no more.
const N_SERVING_THREADS: usize = 2;

/// Connections that wait for a serving thread. Beyond it the one that waited longest gives way, so that connections which
/// only wait can't lock out a scraper that comes after them.
const MOST_WAITING: usize = 16;

/// A request must have arrived this long after its connection, and an answer must be taken within it. Half of the shortest
/// scrape interval in use (10 s).
const DEADLINE: Duration = Duration::from_secs(5);

/// The same while other connections wait: several round trips around the world.
const PATIENCE: Duration = Duration::from_secs(1);

/// A socket can't be waited for together with a channel, so a blocked read or write is interrupted this often to see a stop
/// and other connections. It costs nothing while no client is slow.
const SLICE: Duration = Duration::from_millis(200);

/// How long and how much to read from a client after its request was refused: closing on unread bytes resets the
/// connection, and the client would not see why.
const LINGER: Duration = Duration::from_millis(500);
const MOST_LINGER_BYTES: usize = 64 * 1024;

/// Before the next `accept` after one that failed, which is for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Failures to accept that come sooner after one that was logged are not.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// How long a drop waits for the threads. Without a stuck readiness callback they need two slices.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// A running exporter, made by [`Metrics::serve`]. Dropping it closes the port and joins its threads.
///
/// A drop takes less than half a second, and up to 5 seconds when the readiness callback does not return, whose
/// thread is then left behind with a warning.
#[must_use = "dropping it closes the port"]
pub struct MetricsServer {
    address: SocketAddr,
    /// Nothing is sent; that it is gone is the stop. All threads hold a receiver.
    stop: Option<Sender<Infallible>>,
    /// Given up at the stop, so that there is a descriptor to connect with even when the process has none left.
    spare: Option<TcpListener>,
    /// Nothing is sent; each thread holds a sender until it ends.
    ended: Receiver<Infallible>,
    threads: Vec<JoinHandle<()>>,
}

impl MetricsServer {
    pub(super) fn start(
        metrics: Metrics,
        addresses: &[SocketAddr],
        health: impl Fn() -> Health + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind(addresses).map_err(|e| cannot_bind(addresses, e))?;
        let address = listener.local_addr().map_err(|e| local("its address is not known", e))?;
        let (visitors_in, visitors) = bounded(MOST_WAITING);
        let (stop, stopped) = bounded(0);
        let (ends, ended) = bounded(0);
        let spare = listener.try_clone().ok();
        let mut server = Self { address, stop: Some(stop), spare, ended, threads: Vec::new() };
        let site = Arc::new(Site { metrics, health: Box::new(health) });
        for n in 0..N_SERVING_THREADS {
            let desk = Desk { site: Arc::clone(&site), visitors: visitors.clone(), stopped: stopped.clone() };
            server.spawn(format!("metrics:{n}"), ends.clone(), move || desk.serve())?;
        }
        let door = Door { listener, visitors_in, visitors, stopped };
        server.spawn("metrics:accept".to_owned(), ends, move || door.keep())?;
        log::info!("metrics are served at http://{address}/metrics");
        Ok(server)
    }

    /// The address that it listens on, with the real port where port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// # Errors
    /// When the thread can't be started. Those that run end by the drop of `self`.
    fn spawn(&mut self, name: String, ends: Sender<Infallible>, run: impl FnOnce() + Send + 'static) -> Result<()> {
        let run = move || {
            run();
            drop(ends);
        };
        let thread = thread::Builder::new().name(name).spawn(run).map_err(|e| local("a thread can't be started", e))?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.stop = None;
        self.spare = None;
        let wake = wake_address(self.address);
        let deadline = Instant::now() + STOP_DEADLINE;
        loop {
            // `accept` has no deadline, and returns for this connection. It fails once that thread is gone.
            let woken = TcpStream::connect_timeout(&wake, SLICE);
            match self.ended.recv_timeout(SLICE) {
                Err(RecvTimeoutError::Disconnected) => break,
                _ if Instant::now() < deadline => {}
                _ => {
                    log::warn!(
                        "the metrics server at {} does not stop: is its readiness callback stuck?",
                        self.address
                    );
                    return;
                }
            }
            drop(woken);
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                log::error!("a thread of the metrics server at {} panicked", self.address);
            }
        }
    }
}

impl fmt::Debug for MetricsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsServer").field("address", &self.address).finish_non_exhaustive()
    }
}

fn local(message: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::Local, "serve metrics", format!("{message}: {error}")).with_source(error)
}

fn cannot_bind(addresses: &[SocketAddr], error: io::Error) -> Error {
    let names: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
    let names = names.join(" and ");
    let message = match error.kind() {
        IoErrorKind::AddrInUse => {
            format!("{names} is taken by another listener; choose another port, or port 0 for any free one")
        }
        IoErrorKind::AddrNotAvailable => {
            format!("{names} is no address of this machine; 127.0.0.1 serves this machine, 0.0.0.0 all networks")
        }
        IoErrorKind::PermissionDenied => format!("no permission for {names}; choose a port above 1023"),
        _ => format!("can't listen on {names}: {error}"),
    };
    Error::new(ErrorKind::Local, "serve metrics", message).with_source(error)
}

/// Where a listener at `address` can be reached from here.
fn wake_address(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// A connection that wants something.
struct Visitor {
    stream: TcpStream,
    since: Instant,
}

/// The accepting thread.
struct Door {
    listener: TcpListener,
    /// The only sender: the desks end when it is gone.
    visitors_in: Sender<Visitor>,
    /// To take back the one that waited longest.
    visitors: Receiver<Visitor>,
    stopped: Receiver<Infallible>,
}

impl Door {
    fn keep(self) {
        let (mut is_failing, mut last_told) = (false, None::<Instant>);
        loop {
            let accepted = self.listener.accept();
            if is_stopped(&self.stopped) {
                return;
            }
            match accepted {
                Ok((stream, _)) => {
                    if is_failing {
                        log::info!("metrics: connections are accepted again");
                        is_failing = false;
                    }
                    self.admit(Visitor { stream, since: Instant::now() });
                }
                // The client gave up before it was its turn.
                Err(error) if matches!(error.kind(), IoErrorKind::ConnectionAborted | IoErrorKind::Interrupted) => {}
                Err(error) => {
                    // What fails now and then is told now and then.
                    if !is_failing && last_told.is_none_or(|at| at.elapsed() > TELL_AGAIN_AFTER) {
                        log::warn!("metrics: can't accept connections for now: {error}");
                        (is_failing, last_told) = (true, Some(Instant::now()));
                    }
                    if self.stopped.recv_timeout(ACCEPT_PAUSE) == Err(RecvTimeoutError::Disconnected) {
                        return;
                    }
                }
            }
        }
    }

    fn admit(&self, visitor: Visitor) {
        if let Err(refused) = self.visitors_in.try_send(visitor) {
            if let Ok(oldest) = self.visitors.try_recv() {
                turn_away(&oldest);
            }
            // There is room now: nobody else puts visitors in.
            if let Err(refused) = self.visitors_in.try_send(refused.into_inner()) {
                turn_away(&refused.into_inner());
            }
        }
    }
}

/// Says why, as far as that goes without waiting.
fn turn_away(visitor: &Visitor) {
    let answer = Answer::refusal(Refusal::TooMany).written(true);
    // The client learns less when this fails, and it is closed in either case.
    drop(visitor.stream.set_nonblocking(true).and_then(|()| (&visitor.stream).write(&answer)));
}

fn is_stopped(stopped: &Receiver<Infallible>) -> bool {
    stopped.try_recv() == Err(TryRecvError::Disconnected)
}

/// A serving thread.
struct Desk {
    site: Arc<Site>,
    visitors: Receiver<Visitor>,
    stopped: Receiver<Infallible>,
}

impl Desk {
    fn serve(self) {
        for visitor in &self.visitors {
            if is_stopped(&self.stopped) {
                continue;
            }
            if catch_unwind(AssertUnwindSafe(|| self.attend(&visitor))).is_err() {
                log::error!("metrics: answering a request panicked");
            }
        }
    }

    fn attend(&self, visitor: &Visitor) {
        match self.read_request(visitor) {
            Ok(request) => {
                let answer = self.site.answer(request.page).written(request.wants_body);
                self.write(&visitor.stream, &answer);
            }
            Err(Some(refusal)) => {
                if self.write(&visitor.stream, &Answer::refusal(refusal).written(true)) {
                    self.linger(&visitor.stream);
                }
            }
            Err(None) => {}
        }
    }

    /// # Errors
    /// With what to answer; with nothing where the client is gone or never said a word.
    fn read_request(&self, visitor: &Visitor) -> Result<Request, Option<Refusal>> {
        let mut head = [0; MOST_HEAD_BYTES];
        let mut len = 0;
        loop {
            // A visitor whose time was over while it waited gets this one look, since its request may be there.
            let time = self.time_left(visitor.since).clamp(Duration::from_millis(1), SLICE);
            visitor.stream.set_read_timeout(Some(time)).map_err(|_| None)?;
            match (&visitor.stream).read(&mut head[len..]) {
                Ok(0) => return Err(None),
                Ok(n_bytes) => {
                    let seen = len;
                    len += n_bytes;
                    if let Some(end) = head::head_len(&head[..len], seen) {
                        return head::parse(&head[..end]).map_err(Some);
                    }
                    if !head[0].is_ascii_alphabetic() {
                        return Err(Some(Refusal::Malformed("this is not HTTP")));
                    }
                    if len == head.len() {
                        return Err(Some(Refusal::TooLarge));
                    }
                }
                Err(error) if is_pause(&error) => {}
                Err(_) => return Err(None),
            }
            if self.time_left(visitor.since).is_zero() || is_stopped(&self.stopped) {
                return Err((len > 0).then_some(Refusal::TooSlow));
            }
        }
    }

    fn time_left(&self, since: Instant) -> Duration {
        let limit = if self.visitors.is_empty() { DEADLINE } else { PATIENCE };
        limit.saturating_sub(since.elapsed())
    }

    /// Whether all of `bytes` could be written. Many a scraper is slow, so with others waiting it is progress that counts.
    fn write(&self, stream: &TcpStream, bytes: &[u8]) -> bool {
        let begun = Instant::now();
        let mut progressed = begun;
        let mut rest = bytes;
        if stream.set_write_timeout(Some(SLICE)).is_err() {
            return false;
        }
        while !rest.is_empty() {
            match (&*stream).write(rest) {
                Ok(0) => return false,
                Ok(n_bytes) => {
                    rest = &rest[n_bytes..];
                    progressed = Instant::now();
                }
                Err(error) if is_pause(&error) => {}
                Err(_) => return false,
            }
            let is_in_the_way = progressed.elapsed() >= PATIENCE && !self.visitors.is_empty();
            if !rest.is_empty() && (is_in_the_way || begun.elapsed() >= DEADLINE || is_stopped(&self.stopped)) {
                return false;
            }
        }
        true
    }

    fn linger(&self, stream: &TcpStream) {
        let begun = Instant::now();
        let mut n_bytes = 0;
        let mut ignored = [0; 4096];
        if stream.shutdown(Shutdown::Write).is_err() || stream.set_read_timeout(Some(SLICE)).is_err() {
            return;
        }
        while begun.elapsed() < LINGER && n_bytes < MOST_LINGER_BYTES && !is_stopped(&self.stopped) {
            match (&*stream).read(&mut ignored) {
                Ok(n_read @ 1..) => n_bytes += n_read,
                Err(error) if is_pause(&error) && self.visitors.is_empty() => {}
                _ => return,
            }
        }
    }
}

fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), IoErrorKind::WouldBlock | IoErrorKind::TimedOut | IoErrorKind::Interrupted)
}

/// What there is to see.
struct Site {
    metrics: Metrics,
    health: Box<dyn Fn() -> Health + Send + Sync>,
}

impl Site {
    fn answer(&self, page: Page) -> Answer {
        match page {
            Page::Metrics => Answer { status: 200, content_type: TEXT_FORMAT, body: self.metrics.render() },
            Page::Health => Answer::json(200, &serde_json::json!({"status": "UP"})),
            Page::Ready => {
                let health = catch_unwind(AssertUnwindSafe(&self.health))
                    .unwrap_or_else(|_| Health::not_ready(["the readiness callback panicked"]));
                match health.reasons() {
                    [] => Answer::json(200, &serde_json::json!({"status": "UP"})),
                    reasons => Answer::json(503, &serde_json::json!({"status": "DOWN", "reasons": reasons})),
                }
            }
        }
    }
}

struct Answer {
    status: u16,
    content_type: &'static str,
    body: String,
}

impl Answer {
    fn json(status: u16, body: &serde_json::Value) -> Self {
        Self { status, content_type: JSON, body: format!("{body}\n") }
    }

    fn refusal(refusal: Refusal) -> Self {
        Self { status: refusal.status(), content_type: TEXT, body: format!("{}\n", refusal.text()) }
    }

    /// The bytes for the wire. All headers are constants: tiny_http 0.12 passes line breaks in values on.
    fn written(self, with_body: bool) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.body.len() + 256);
        let mut response = Response::from_data(self.body)
            .with_status_code(StatusCode(self.status))
            .with_chunked_threshold(usize::MAX)
            .with_header(header("Content-Type", self.content_type));
        if self.status == 405 {
            response.add_header(header("Allow", "GET, HEAD"));
        }
        #[expect(clippy::expect_used, reason = "a vector takes all that is written to it")]
        response.raw_print(&mut bytes, HTTPVersion(1, 1), &[], !with_body, None).expect("written to memory");
        // tiny_http leaves this header to its own listener and refuses it here.
        let end_of_line = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
        bytes.splice(end_of_line..end_of_line, *b"Connection: close\r\n");
        bytes
    }
}

fn header(name: &'static str, value: &'static str) -> Header {
    #[expect(clippy::expect_used, reason = "both are constants in ASCII")]
    Header::from_bytes(name, value).expect("ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(server: &MetricsServer, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        stream
    }

    fn whole_answer(mut stream: TcpStream) -> String {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer within 10 s");
        answer
    }

    /// More than the socket buffers of both sides hold.
    fn many_metrics() -> Metrics {
        let metrics = Metrics::new();
        for n in 0..1_000 {
            metrics.task(&format!("a_task_type_with_a_rather_long_name_{n}"));
        }
        assert!(metrics.render().len() > 10_000_000);
        metrics
    }

    #[test]
    fn a_large_answer_arrives_whole_and_with_its_length() {
        let metrics = many_metrics();
        let server = metrics.serve("127.0.0.1:0").unwrap();
        let answer = whole_answer(send(&server, "/metrics"));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())), "{head}");
        assert!(body == metrics.render(), "the body differs");
    }

    #[test]
    fn readers_that_stop_in_the_middle_do_not_block_others_for_long() {
        let server = many_metrics().serve("127.0.0.1:0").unwrap();
        let stuck: Vec<TcpStream> = (0..N_SERVING_THREADS).map(|_| send(&server, "/metrics")).collect();
        for stream in &stuck {
            stream.peek(&mut [0]).expect("an answer begins within 10 s");
        }
        let begun = Instant::now();
        assert!(whole_answer(send(&server, "/health")).starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_drop_does_not_wait_for_a_reader_that_stopped() {
        let server = many_metrics().serve("127.0.0.1:0").unwrap();
        let stuck = send(&server, "/metrics");
        stuck.peek(&mut [0]).expect("an answer begins within 10 s");
        let begun = Instant::now();
        drop(server);
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }

    #[test]
    fn answers_close_the_connection_and_tell_the_methods_that_are_allowed() {
        let written = |refusal, with_body| String::from_utf8(Answer::refusal(refusal).written(with_body)).unwrap();
        let answer = written(Refusal::OtherMethod, true);
        assert!(answer.starts_with("HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\n"), "{answer}");
        assert!(answer.contains("\r\nAllow: GET, HEAD\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nonly GET and HEAD are answered\n"), "{answer}");
        assert!(written(Refusal::TooSlow, false).ends_with("\r\n\r\n"));
    }

    #[test]
    fn a_listener_on_all_networks_is_woken_through_loopback() {
        for (address, expected) in [
            ("0.0.0.0:7", "127.0.0.1:7"),
            ("[::]:7", "[::1]:7"),
            ("10.1.2.3:7", "10.1.2.3:7"),
            ("127.0.0.1:7", "127.0.0.1:7"),
        ] {
            assert_eq!(wake_address(address.parse().unwrap()), expected.parse().unwrap());
        }
    }

    #[test]
    fn an_address_that_is_not_of_this_machine_is_an_error_that_says_so() {
        let error = Metrics::new().serve("192.0.2.1:0").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Local);
        assert!(error.to_string().contains("no address of this machine"), "{error}");
    }
}
