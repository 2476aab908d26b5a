//! The listening socket: requests as they come in, and answers as bytes.
//!
//! Each connection has a thread that reads. tiny_http does not serve here, since it may queue two new connections for one
//! idle thread (0.12): the second is then not read before the first is closed, which keep-alive clients do not do.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::Builder,
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use percent_encoding::percent_decode_str;

use crate::error::{Error, ErrorKind, Result};

use super::routes::{Call, Reply};

/// As many header lines as are worth reading.
const MAX_HEADERS: usize = 64;

/// The real server answers a longer head with a page (3.32.1).
const MAX_HEAD_BYTES: usize = 64 << 10;

/// The socket on a free loopback port.
pub(super) struct Listener {
    address: SocketAddr,
    /// Written by the threads of the connections, read by those that answer; closes when all connections have ended.
    incoming: Receiver<Incoming>,
    connections: Arc<Connections>,
    /// Closes when the threads of the socket and of all connections have ended.
    ended: Receiver<()>,
}

/// What the thread of the socket and those of the connections share.
#[derive(Default)]
struct Connections {
    open: Mutex<HashMap<u64, Arc<TcpStream>>>,
    is_stopping: AtomicBool,
}

/// A request with its body, still to be answered.
pub(super) struct Incoming {
    stream: Arc<TcpStream>,
    head: Head,
    body: Vec<u8>,
}

/// What is of use in the head of a request.
struct Head {
    method: String,
    path: String,
    content_type: Option<String>,
    content_length: usize,
    chunked: bool,
    expects_continue: bool,
}

impl Listener {
    pub(super) fn bind() -> Result<Self> {
        let failed = |e: io::Error| {
            Error::new(ErrorKind::Local, "start the embedded server", "no loopback port or thread to be had")
                .with_source(e)
        };
        let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        // Each connection has one request under way, so this is only reached by that many connections.
        let (incoming_in, incoming) = bounded(1024);
        let (alive, ended) = bounded(0);
        let connections = Arc::<Connections>::default();
        let shared = Arc::clone(&connections);
        Builder::new()
            .name("embedded:accept".to_owned())
            .spawn(move || accept(&listener, &shared, &incoming_in, &alive))
            .map_err(failed)?;
        Ok(Self { address, incoming, connections, ended })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next request; `None` once the listener is closed.
    pub(super) fn next(&self) -> Option<Incoming> {
        self.incoming.recv().ok()
    }

    /// Closes the socket and every connection, so that no client waits for an answer that never comes.
    pub(super) fn close(&self) {
        /// The threads have nothing left to wait for, so this is generous.
        const END: Duration = Duration::from_secs(5);
        self.connections.is_stopping.store(true, Ordering::Release);
        // The thread of the socket looks up when somebody connects.
        drop(TcpStream::connect(self.address));
        for stream in self.connections.open.lock().unwrap_or_else(PoisonError::into_inner).values() {
            // One that the client has closed is closed already.
            drop(stream.shutdown(Shutdown::Both));
        }
        // Nothing is sent on it: it closes.
        let _closed = self.ended.recv_timeout(END);
    }
}

fn accept(listener: &TcpListener, connections: &Arc<Connections>, incoming: &Sender<Incoming>, alive: &Sender<()>) {
    /// Without file descriptors, the next try waits this long.
    const AGAIN: Duration = Duration::from_millis(50);
    for n in 0.. {
        let accepted = listener.accept();
        if connections.is_stopping.load(Ordering::Acquire) {
            return;
        }
        let Ok((stream, _)) = accepted else {
            // It delivers once, when the time is over.
            let _over = crossbeam_channel::after(AGAIN).recv();
            continue;
        };
        let stream = Arc::new(stream);
        connections.open.lock().unwrap_or_else(PoisonError::into_inner).insert(n, Arc::clone(&stream));
        let (shared, incoming, alive) = (Arc::clone(connections), incoming.clone(), alive.clone());
        let started = Builder::new().name(format!("embedded:{n}")).spawn(move || {
            read_requests(&stream, &incoming);
            shared.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&n);
            drop(alive);
        });
        if started.is_err() {
            connections.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&n);
        }
    }
}

/// Reads requests until the connection ends or sends something else. The answers are written by others.
fn read_requests(stream: &Arc<TcpStream>, incoming: &Sender<Incoming>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut buffer = Vec::new();
    while let Ok(Some((head, body))) = read_request(stream, &mut buffer) {
        if incoming.send(Incoming { stream: Arc::clone(stream), head, body }).is_err() {
            return;
        }
    }
    // Whoever is not understood, or has gone, gets no answer.
    drop(stream.shutdown(Shutdown::Both));
}

/// The next request; what came after it stays in `buffer`. `None` at the end of the connection.
fn read_request(stream: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<(Head, Vec<u8>)>> {
    let (head, n_bytes) = loop {
        if let Some(found) = parse_head(buffer)? {
            break found;
        }
        if buffer.len() > MAX_HEAD_BYTES || !read_more(stream, buffer)? {
            return Ok(None);
        }
    };
    buffer.drain(..n_bytes);
    if head.expects_continue {
        (&*stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    if head.chunked {
        let body = read_chunks(stream, buffer)?;
        return Ok(Some((head, body)));
    }
    while buffer.len() < head.content_length {
        if !read_more(stream, buffer)? {
            return Ok(None);
        }
    }
    let body = buffer.drain(..head.content_length).collect();
    Ok(Some((head, body)))
}

/// The head at the start of `buffer` and its length, once it is there.
fn parse_head(buffer: &[u8]) -> io::Result<Option<(Head, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(buffer).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    let httparse::Status::Complete(n_bytes) = parsed else {
        return Ok(None);
    };
    let header = |name: &str| {
        let found = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok()
    };
    let head = Head {
        method: request.method.unwrap_or_default().to_owned(),
        path: request.path.unwrap_or_default().to_owned(),
        content_type: header("Content-Type").map(str::to_owned),
        content_length: header("Content-Length").and_then(|n| n.trim().parse().ok()).unwrap_or(0),
        chunked: header("Transfer-Encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")),
        expects_continue: header("Expect").is_some_and(|what| what.eq_ignore_ascii_case("100-continue")),
    };
    Ok(Some((head, n_bytes)))
}

fn read_chunks(stream: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    let cut_off = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let mut body = Vec::new();
    loop {
        let (start, size) = loop {
            match httparse::parse_chunk_size(buffer) {
                Ok(httparse::Status::Complete(found)) => break found,
                Ok(httparse::Status::Partial) => {}
                Err(_) => return Err(io::Error::from(io::ErrorKind::InvalidData)),
            }
            if !read_more(stream, buffer)? {
                return Err(cut_off());
            }
        };
        let size = usize::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        // A line end follows each chunk; trailers, which nobody sends, are not understood.
        while buffer.len() < start + size + 2 {
            if !read_more(stream, buffer)? {
                return Err(cut_off());
            }
        }
        body.extend_from_slice(&buffer[start..start + size]);
        buffer.drain(..start + size + 2);
        if size == 0 {
            return Ok(body);
        }
    }
}

/// Reads what is there; false at the end of the connection.
fn read_more(mut stream: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let mut chunk = [0; 16 << 10];
    let n = stream.read(&mut chunk)?;
    buffer.extend_from_slice(&chunk[..n]);
    Ok(n > 0)
}

impl Incoming {
    /// The path with the query, as it came.
    pub(super) fn path(&self) -> &str {
        &self.head.path
    }

    pub(super) fn call(&self) -> Call {
        let (path, query) = self.path().split_once('?').unwrap_or((self.path(), ""));
        Call {
            method: self.head.method.clone(),
            path: path.trim_start_matches('/').split('/').map(decoded).collect(),
            query: query.split('&').filter(|part| !part.is_empty()).map(parameter).collect(),
            content_type: self.head.content_type.clone(),
            body: self.body.clone(),
        }
    }

    /// Writes the answer in one piece: in two, the second would wait for the client to acknowledge the first.
    pub(super) fn answer(self, reply: &Reply) {
        let mut head = format!("HTTP/1.1 {} \r\n", reply.status);
        if let Some(content_type) = reply.content_type {
            head = head + "Content-Type: " + content_type + "\r\n";
        }
        // A 204 has no body and may not say how long it is.
        if reply.status != 204 {
            head += &format!("Content-Length: {}\r\n", reply.body.len());
        }
        head += "\r\n";
        let mut bytes = head.into_bytes();
        bytes.extend(&reply.body);
        // A client that has gone does not want its answer.
        drop((&*self.stream).write_all(&bytes));
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn parameter(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let decoded = |part: &str| decoded(&part.replace('+', " "));
    (decoded(name), decoded(value))
}
