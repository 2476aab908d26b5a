//! tiny_http, out of a stranger's reach. It answers the requests, but it waits without end for slow clients, starts a
//! thread for each connection, and stops listening at the first failed accept. So it listens where only this program
//! comes, gets one connection that stays, and sees only requests that the guard has written.

#[cfg(unix)]
use std::{
    env, fs,
    os::unix::{
        fs::DirBuilderExt,
        net::{UnixListener, UnixStream},
    },
    path::PathBuf,
};
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    panic::{self, AssertUnwindSafe},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use tiny_http::{Header, Listener, Response, Server};

use super::{Metrics, Readiness, request::Request};

/// What a read or a write may take. Rendering a thousand task types takes less than a second.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The way to tiny_http, which the serving threads share: whoever has taken the connection out is alone with it.
pub(super) struct Upstream {
    metrics: Metrics,
    ready: Readiness,
    /// Holds the one [`Connection`], or `None` after it broke; empty while a serving thread has it.
    put: Sender<Option<Connection>>,
    take: Receiver<Option<Connection>>,
}

impl Upstream {
    pub(super) fn start(metrics: Metrics, ready: Readiness) -> io::Result<Self> {
        let connection = Connection::open(&metrics, &ready)?;
        let (put, take) = bounded(1);
        // The channel is new and empty, and its other end is here.
        drop(put.send(Some(connection)));
        Ok(Self { metrics, ready, put, take })
    }

    /// The whole answer, ready to be written to a client. A broken connection is made anew, once per request.
    pub(super) fn answer(&self, request: Request) -> io::Result<Vec<u8>> {
        let held = self.take.recv_timeout(TIMEOUT).map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
        let (held, answer) = self.answer_over(held, request);
        // This thread has just emptied the channel, and both ends live in `self`.
        drop(self.put.send(held));
        answer
    }

    fn answer_over(&self, held: Option<Connection>, request: Request) -> (Option<Connection>, io::Result<Vec<u8>>) {
        if let Some(mut connection) = held {
            match connection.exchange(request) {
                Ok(answer) => return (Some(connection), Ok(answer)),
                Err(error) => log::warn!("the server behind the metrics listener is started again: {error}"),
            }
        }
        let again = Connection::open(&self.metrics, &self.ready).and_then(|mut connection| {
            let answer = connection.exchange(request)?;
            Ok((connection, answer))
        });
        match again {
            Ok((connection, answer)) => (Some(connection), Ok(answer)),
            Err(error) => (None, Err(error)),
        }
    }
}

/// A tiny_http and the one connection to it.
struct Connection {
    /// `None` only while this is dropped.
    stream: Option<BufReader<Box<dyn Stream>>>,
    /// `None` only while this is dropped.
    server: Option<Arc<Server>>,
    /// Never written; the answering thread takes its disconnection for the end.
    stop: Option<Sender<()>>,
    answering: Option<JoinHandle<()>>,
    /// Goes last: tiny_http ends by connecting to the path in it.
    #[allow(dead_code, reason = "it is there to be dropped")]
    folder: Option<Folder>,
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

impl Connection {
    fn open(metrics: &Metrics, ready: &Readiness) -> io::Result<Self> {
        let (listener, folder) = listen()?;
        let connect = connector(&listener, folder.as_ref())?;
        let server = Server::from_listener(listener, None).map_err(io::Error::other)?;
        let (stop, stopped) = bounded(0);
        // From here on dropping it ends what has been started.
        let mut connection =
            Self { stream: None, server: Some(Arc::new(server)), stop: Some(stop), answering: None, folder };
        let (metrics, ready) = (metrics.clone(), Arc::clone(ready));
        let server = connection.server.clone();
        let answering = thread::Builder::new().name("metrics:answer".to_owned());
        connection.answering = Some(answering.spawn(move || {
            if let Some(server) = server {
                answer_requests(&server, &metrics, &ready, &stopped);
            }
        })?);
        connection.stream = Some(BufReader::new(connect()?));
        // Without descriptors tiny_http would end in silence: better to know at the start.
        connection.exchange(Request { method: "HEAD", path: "/health" })?;
        Ok(connection)
    }

    /// Sends a request and gives the answer back, with the word that the client's connection ends after it.
    fn exchange(&mut self, request: Request) -> io::Result<Vec<u8>> {
        let Some(stream) = &mut self.stream else { return Err(io::ErrorKind::NotConnected.into()) };
        let Request { method, path } = request;
        let text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.get_mut().write_all(text.as_bytes())?;
        let mut answer = Vec::new();
        let mut body_bytes = None;
        loop {
            let begin = answer.len();
            stream.read_until(b'\n', &mut answer)?;
            match &answer[begin..] {
                b"\r\n" => break,
                line if !line.ends_with(b"\r\n") => return Err(io::ErrorKind::UnexpectedEof.into()),
                line => body_bytes = body_bytes.or_else(|| content_length(line)),
            }
        }
        let body_bytes = body_bytes.ok_or_else(|| io::Error::other("an answer without Content-Length"))?;
        answer.truncate(answer.len() - 2);
        answer.extend_from_slice(b"Connection: close\r\n\r\n");
        if method != "HEAD" {
            let begin = answer.len();
            answer.resize(begin + body_bytes, 0);
            stream.read_exact(&mut answer[begin..])?;
        }
        Ok(answer)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // First, since it gives back the descriptor that tiny_http needs for its own end.
        self.stream = None;
        self.stop = None;
        if let Some(server) = &self.server {
            server.unblock();
        }
        if self.answering.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("the thread metrics:answer panicked");
        }
        // The last one: its drop ends the accepting thread. The pool of tiny_http follows within five seconds.
        self.server = None;
    }
}

/// The value of the header `Content-Length`, if the line is this.
fn content_length(line: &[u8]) -> Option<usize> {
    let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
    name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
}

/// Listens where no stranger comes: behind a folder of our own, or on loopback where there are no Unix sockets or no place
/// for a folder, as with a read-only file system.
fn listen() -> io::Result<(Listener, Option<Folder>)> {
    #[cfg(unix)]
    match Folder::new().and_then(|folder| Ok((UnixListener::bind(folder.socket())?, folder))) {
        Ok((listener, folder)) => return Ok((Listener::Unix(listener), Some(folder))),
        Err(error) => log::debug!("no Unix socket for the metrics, loopback instead: {error}"),
    }
    Ok((Listener::Tcp(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?), None))
}

type Connect = Box<dyn FnOnce() -> io::Result<Box<dyn Stream>>>;

/// How to connect to `listener`, to be asked for before tiny_http takes it.
#[cfg_attr(not(unix), allow(unused_variables, reason = "only Unix sockets have a folder"))]
fn connector(listener: &Listener, folder: Option<&Folder>) -> io::Result<Connect> {
    #[cfg(unix)]
    if let Some(socket) = folder.map(Folder::socket) {
        return Ok(Box::new(move || {
            let stream = UnixStream::connect(socket)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.set_write_timeout(Some(TIMEOUT))?;
            Ok(Box::new(stream))
        }));
    }
    let address = match listener {
        Listener::Tcp(listener) => listener.local_addr()?,
        #[cfg(unix)]
        Listener::Unix(_) => return Err(io::ErrorKind::AddrNotAvailable.into()),
    };
    Ok(Box::new(move || {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Box::new(stream))
    }))
}

/// A folder that only this user may enter, removed when dropped.
#[cfg(unix)]
struct Folder(PathBuf);

#[cfg(unix)]
impl Folder {
    fn new() -> io::Result<Self> {
        // Making it fails where something is there already, be it put there by somebody else.
        let name = format!("conductor-sync-{:016x}", fastrand::u64(..));
        let path = env::temp_dir().join(name);
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    fn socket(&self) -> PathBuf {
        self.0.join("http")
    }
}

#[cfg(unix)]
impl Drop for Folder {
    fn drop(&mut self) {
        // The socket is gone already where tiny_http had it.
        drop(fs::remove_file(self.socket()));
        if let Err(error) = fs::remove_dir(&self.0) {
            log::debug!("{} stays: {error}", self.0.display());
        }
    }
}

#[cfg(not(unix))]
#[allow(dead_code, reason = "only Unix sockets have a folder")]
struct Folder;

fn answer_requests(server: &Server, metrics: &Metrics, ready: &Readiness, stopped: &Receiver<()>) {
    loop {
        let received = server.recv();
        if stopped.try_recv() == Err(TryRecvError::Disconnected) {
            return;
        }
        // An error means that it accepts no more, which is nothing to the connection that is there.
        let Ok(request) = received else { continue };
        let (status, content_type, body) = match request.url() {
            "/metrics" => (200, "text/plain; version=0.0.4", metrics.render()),
            "/ready" => readiness(ready),
            _ => (200, "application/json", up()),
        };
        let mut response = Response::from_string(body)
            .with_status_code(status)
            // From 32 KiB on it would leave Content-Length out.
            .with_chunked_threshold(usize::MAX);
        if let Ok(header) = Header::from_bytes("Content-Type", content_type) {
            response.add_header(header);
        }
        // If it can't be written, the guard sees that the connection broke.
        drop(request.respond(response));
    }
}

fn up() -> String {
    r#"{"status":"UP"}"#.to_owned()
}

fn readiness(ready: &Readiness) -> (u16, &'static str, String) {
    // A panic in there must not silence `/metrics`.
    let reasons = panic::catch_unwind(AssertUnwindSafe(|| ready()))
        .unwrap_or_else(|_| vec!["the question whether the program is ready panicked".to_owned()]);
    if reasons.is_empty() {
        return (200, "application/json", up());
    }
    let body = serde_json::json!({ "status": "DOWN", "reasons": reasons });
    (503, "application/json", body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEALTH: Request = Request { method: "GET", path: "/health" };

    fn upstream() -> Upstream {
        Upstream::start(Metrics::new(), Arc::new(Vec::new)).unwrap()
    }

    #[test]
    fn one_connection_carries_many_requests() {
        let upstream = upstream();
        for _ in 0..100 {
            let answer = String::from_utf8(upstream.answer(HEALTH).unwrap()).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert!(answer.ends_with("Connection: close\r\n\r\n{\"status\":\"UP\"}"), "{answer}");
            let head = String::from_utf8(upstream.answer(Request { method: "HEAD", ..HEALTH }).unwrap()).unwrap();
            assert!(head.contains("Content-Length: 15\r\n") && head.ends_with("\r\n\r\n"), "{head}");
        }
    }

    #[test]
    fn a_broken_connection_is_made_anew() {
        let upstream = upstream();
        for _ in 0..3 {
            let mut held = upstream.take.recv_timeout(TIMEOUT).unwrap();
            held.as_mut().unwrap().stream = None;
            upstream.put.send(held).unwrap();
            assert!(upstream.answer(HEALTH).is_ok());
        }
        upstream.take.recv_timeout(TIMEOUT).unwrap();
        upstream.put.send(None).unwrap();
        assert!(upstream.answer(HEALTH).is_ok(), "after a time without any");
    }

    #[cfg(unix)]
    #[test]
    fn the_folder_of_the_socket_is_for_this_user_only_and_goes_at_the_end() {
        use std::os::unix::fs::PermissionsExt;

        let connection = Connection::open(&Metrics::new(), &(Arc::new(Vec::new) as Readiness)).unwrap();
        let path = connection.folder.as_ref().unwrap().0.clone();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(connection);
        assert!(!path.exists());
    }
}
