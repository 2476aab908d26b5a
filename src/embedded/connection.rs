//! HTTP/1.1 over one connection: requests as they come in, answers as bytes.
//!
//! tiny_http serves the metrics only: with many kept-alive connections, of which some hold a long poll, its pool of threads
//! may leave one connection unread for long (0.12), and a test that waits for an answer then fails for no reason of its own.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use percent_encoding::percent_decode_str;

use super::routes::{Call, Reply};

/// Request line and headers may be so long together, as for the real server, which answers 400 to more.
const MOST_HEAD_BYTES: u64 = 8 * 1024;

/// So much of them is read: an answer to a request that is not read may get lost.
const MOST_READ_BYTES: u64 = 64 * 1024;

/// A client that does not read for so long does not hold up the end of the server any more.
const LONGEST_WRITE: Duration = Duration::from_secs(5);

/// A connection of a client. It carries one request after the other; what a client sends before it has its answer waits.
pub(super) struct Connection {
    reader: BufReader<TcpStream>,
}

/// A request, whole.
pub(super) struct Incoming {
    pub(super) call: Call,
    /// The path with the query, as it came.
    pub(super) path: String,
    /// Whether the client wants the connection kept open.
    pub(super) keeps_open: bool,
}

impl Connection {
    /// # Errors
    /// When the system refuses the options of the socket.
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        // An answer is one write; nothing is gained from waiting for more.
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(LONGEST_WRITE))?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    /// The next request; `None` when the client has closed the connection, or when it sends what is no HTTP, which is
    /// answered here.
    pub(super) fn next(&mut self) -> Option<Incoming> {
        match self.read() {
            Ok(incoming) => incoming,
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                self.answer(&Reply::bad_request(), false, false);
                None
            }
            Err(_) => None,
        }
    }

    fn read(&mut self) -> io::Result<Option<Incoming>> {
        let mut head = (&mut self.reader).take(MOST_READ_BYTES);
        let Some(first) = line(&mut head)? else { return Ok(None) };
        let mut parts = first.split(' ');
        let (Some(method), Some(path), Some(version)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed());
        };
        let mut headers = Vec::new();
        loop {
            let text = line(&mut head)?.ok_or_else(malformed)?;
            if text.is_empty() {
                break;
            }
            let (name, value) = text.split_once(':').ok_or_else(malformed)?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        if MOST_READ_BYTES - head.limit() > MOST_HEAD_BYTES {
            return Err(malformed());
        }
        let header = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let has = |name: &str, word: &str| header(name).is_some_and(|value| value.eq_ignore_ascii_case(word));
        let (bare_path, query) = path.split_once('?').unwrap_or((path, ""));
        if bare_path.to_ascii_lowercase().contains("%2f") {
            // The real server does not take an encoded slash either.
            return Err(malformed());
        }
        let mut call = Call {
            method: method.to_owned(),
            path: bare_path.trim_start_matches('/').split('/').map(decoded).collect(),
            query: query.split('&').filter(|part| !part.is_empty()).map(parameter).collect(),
            content_type: header("content-type").map(str::to_owned),
            body: Vec::new(),
        };
        let keeps_open = version == "HTTP/1.1" && !has("connection", "close") || has("connection", "keep-alive");
        if has("expect", "100-continue") {
            self.reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        call.body = match header("content-length") {
            _ if has("transfer-encoding", "chunked") => self.chunks()?,
            Some(length) => self.bytes(length.parse().map_err(|_| malformed())?)?,
            None => Vec::new(),
        };
        Ok(Some(Incoming { call, path: path.to_owned(), keeps_open }))
    }

    fn bytes(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let n_read = (&mut self.reader).take(length).read_to_end(&mut bytes)?;
        match u64::try_from(n_read) == Ok(length) {
            true => Ok(bytes),
            false => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let text = line(&mut self.reader)?.ok_or_else(malformed)?;
            let size = text.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(|_| malformed())?;
            body.extend(self.bytes(size)?);
            // The end of the chunk, or of the trailer.
            while !line(&mut self.reader)?.ok_or_else(malformed)?.is_empty() {}
            if size == 0 {
                return Ok(body);
            }
        }
    }

    /// Writes an answer, in one piece; whether the connection can go on.
    pub(super) fn answer(&mut self, reply: &Reply, is_head: bool, keeps_open: bool) -> bool {
        let mut head = format!("HTTP/1.1 {} {}\r\n", reply.status, reason_phrase(reply.status));
        if let Some(content_type) = reply.content_type {
            head = head + "Content-Type: " + content_type + "\r\n";
        }
        // A 204 has no body and may not say how long it is.
        if reply.status != 204 {
            head += &format!("Content-Length: {}\r\n", reply.body.len());
        }
        head += if keeps_open { "Connection: keep-alive\r\n\r\n" } else { "Connection: close\r\n\r\n" };
        let mut bytes = head.into_bytes();
        if !is_head {
            bytes.extend(&reply.body);
        }
        // A client that has gone does not want its answer.
        self.reader.get_mut().write_all(&bytes).is_ok() && keeps_open
    }
}

/// A line without its end; `None` when there is nothing more.
fn line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    reader.read_until(b'\n', &mut bytes)?;
    match bytes.pop() {
        None => return Ok(None),
        Some(b'\n') => {}
        Some(_) => return Err(malformed()),
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    String::from_utf8(bytes).map(Some).map_err(|_| malformed())
}

fn malformed() -> io::Error {
    ErrorKind::InvalidData.into()
}

fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        501 => "Not Implemented",
        _ => "Internal Server Error",
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
