//! Reads the head of a request that a stranger sends: never more bytes and never longer than allowed, and nothing of it is
//! passed on but one of the known methods and paths. Used by the guard of the exporter.

use std::{
    io::{self, Read},
    net::TcpStream,
    time::{Duration, Instant},
};

/// Prometheus sends some 250 bytes, a browser with cookies a few thousand.
const MOST_HEAD_BYTES: usize = 8 * 1024;

/// The paths there are; also what the canonical request names.
const PATHS: [&str; 3] = ["/metrics", "/health", "/ready"];

/// A request that may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
}

/// Why a request goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The client left, or sent nothing in its time: there is nobody to answer.
    Gone,
    Malformed,
    HasBody,
    UnknownPath {
        method: &'static str,
    },
    OtherMethod,
    TooSlow,
    TooLarge,
    /// What is behind the guard does not answer.
    NoAnswer {
        method: &'static str,
    },
}

/// Reads from `stream` until the head is whole or `deadline` has passed.
pub(super) fn read(mut stream: &TcpStream, deadline: Instant) -> Result<Request, Refusal> {
    let mut head = Vec::with_capacity(1024);
    let mut chunk = [0; 1024];
    loop {
        let n_bytes =
            match set_timeout(deadline, |left| stream.set_read_timeout(left)).and_then(|()| stream.read(&mut chunk)) {
                Ok(n_bytes) => n_bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if is_timeout(&error) && !head.is_empty() => return Err(Refusal::TooSlow),
                Err(_) => return Err(Refusal::Gone),
            };
        if n_bytes == 0 {
            return Err(if head.is_empty() { Refusal::Gone } else { Refusal::Malformed });
        }
        // The blank line may have begun in the bytes before.
        let looked_at = head.len().saturating_sub(3);
        head.extend_from_slice(&chunk[..n_bytes]);
        if let Some(end) = end_of_head(&head[looked_at..]) {
            let end = looked_at + end;
            return if end > MOST_HEAD_BYTES { Err(Refusal::TooLarge) } else { parse(&head[..end]) };
        }
        if head.len() > MOST_HEAD_BYTES {
            return Err(Refusal::TooLarge);
        }
    }
}

/// Gives what is left until `deadline` to `set`; an error of the kind of a timeout if nothing is.
pub(super) fn set_timeout(deadline: Instant, set: impl Fn(Option<Duration>) -> io::Result<()>) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    set(Some(left))
}

/// Unix says `WouldBlock` when a socket's timeout passes, Windows `TimedOut`.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Where the blank line ends. A line may end in a bare line feed, as RFC 9112 allows and a person with netcat types.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    (0..bytes.len()).filter(|at| bytes[*at] == b'\n').find_map(|at| match &bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

fn parse(head: &[u8]) -> Result<Request, Refusal> {
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let (method, target) = lines.next().and_then(request_line).ok_or(Refusal::Malformed)?;
    let mut has_body = false;
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = header(line).ok_or(Refusal::Malformed)?;
        has_body |= name.eq_ignore_ascii_case(b"transfer-encoding")
            || name.eq_ignore_ascii_case(b"content-length") && value != b"0";
    }
    let method = match method {
        b"GET" => "GET",
        b"HEAD" => "HEAD",
        _ => return Err(Refusal::OtherMethod),
    };
    if has_body {
        return Err(Refusal::HasBody);
    }
    let path =
        PATHS.into_iter().find(|path| path.as_bytes() == path_of(target)).ok_or(Refusal::UnknownPath { method })?;
    Ok(Request { method, path })
}

/// The method and the target, if the line has three parts and a version that can be answered.
fn request_line(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (method, target, version) = (parts.next()?, parts.next()?, parts.next()?);
    let is_whole = parts.next().is_none() && is_token(method) && matches!(version, b"HTTP/1.1" | b"HTTP/1.0");
    let is_target = !target.is_empty() && target.iter().all(u8::is_ascii_graphic);
    (is_whole && is_target).then_some((method, target))
}

fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let value = line[colon + 1..].trim_ascii();
    let is_value = value.iter().all(|byte| !byte.is_ascii_control() || *byte == b'\t');
    (is_token(&line[..colon]) && is_value).then_some((&line[..colon], value))
}

fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// The path without its query; RFC 9112 wants the absolute form understood as well.
fn path_of(target: &[u8]) -> &[u8] {
    let after_authority = |rest: &[u8]| rest.iter().position(|byte| *byte == b'/');
    let target = match target.strip_prefix(b"http://") {
        Some(rest) => after_authority(rest).map_or(&b"/"[..], |at| &rest[at..]),
        None => target,
    };
    target.split(|byte| *byte == b'?').next().unwrap_or(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_known_question_goes_on() {
        let ask = |method, path| Ok(Request { method, path });
        let lost = |method| Err(Refusal::UnknownPath { method });
        for (head, expected) in [
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", ask("GET", "/metrics")),
            ("GET /metrics HTTP/1.0\n\n", ask("GET", "/metrics")),
            ("HEAD /ready?why=1 HTTP/1.1\r\n\r\n", ask("HEAD", "/ready")),
            ("GET http://host:1/health HTTP/1.1\r\ncontent-length: 0\r\n\r\n", ask("GET", "/health")),
            ("GET http://host HTTP/1.1\r\n\r\n", lost("GET")),
            ("HEAD / HTTP/1.1\r\n\r\n", lost("HEAD")),
            ("GET /metrics/ HTTP/1.1\r\n\r\n", lost("GET")),
            ("GET /%6detrics HTTP/1.1\r\n\r\n", lost("GET")),
            ("POST /metrics HTTP/1.1\r\nContent-Length: 2\r\n\r\n", Err(Refusal::OtherMethod)),
            ("get /metrics HTTP/1.1\r\n\r\n", Err(Refusal::OtherMethod)),
            ("GET /metrics HTTP/1.1\r\nContent-Length: 2\r\n\r\n", Err(Refusal::HasBody)),
            ("GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", Err(Refusal::HasBody)),
            ("GET /metrics HTTP/2.0\r\n\r\n", Err(Refusal::Malformed)),
            ("GET  /metrics HTTP/1.1\r\n\r\n", Err(Refusal::Malformed)),
            ("GET /metrics\r\n\r\n", Err(Refusal::Malformed)),
            ("GET /metrics HTTP/1.1\r\nno colon\r\n\r\n", Err(Refusal::Malformed)),
            ("GET /metrics HTTP/1.1\r\na: b\r\n folded\r\n\r\n", Err(Refusal::Malformed)),
            ("GET /metrics HTTP/1.1\r\na : b\r\n\r\n", Err(Refusal::Malformed)),
            ("GET /metrics HTTP/1.1\r\na: b\rc\r\n\r\n", Err(Refusal::Malformed)),
            ("\r\n\r\n", Err(Refusal::Malformed)),
        ] {
            assert_eq!(parse(head.as_bytes()), expected, "{head:?}");
        }
    }

    #[test]
    fn a_head_ends_with_a_blank_line() {
        for (bytes, expected) in [
            ("a\r\n\r\nrest", Some(5)),
            ("a\n\nrest", Some(3)),
            ("a\r\nb\n\r\n", Some(7)),
            ("a\r\n\r", None),
            ("a\n", None),
            ("", None),
        ] {
            assert_eq!(end_of_head(bytes.as_bytes()), expected, "{bytes:?}");
        }
    }
}
