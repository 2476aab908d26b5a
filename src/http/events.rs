//! Streams of server-sent events, read while they come: of agents and of the A2A protocol. A connection lives as long as a
//! request may take, so that a dead one is noticed; who reads decides what comes next, by what is [`Ended`].

use std::{
    io::{self, BufRead, BufReader, Read},
    time::{Duration, Instant},
};

use super::{Answer, Http, MAX_ERROR_BYTES, Request, operation};
use crate::error::{Error, ErrorKind, Result};

/// The body of an answer that is no stream of events, or the stream.
pub(crate) enum Opened<'a> {
    Events(EventStream),
    Other(Answer<'a>),
}

/// The events of one connection. Dropping it closes the connection.
pub(crate) struct EventStream {
    lines: BufReader<Box<dyn Read + Send + Sync>>,
    operation: String,
    /// A longer event is refused.
    max_bytes: u64,
    has_told: bool,
}

/// Why no event came.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The time of the connection was over.
    TimeOver,
    /// The connection broke.
    Broken(Error),
    /// What came is of no use.
    Bad(Error),
}

impl EventStream {
    /// The data of the next event, `None` where the server ends the stream. Comments, which keep it open, are passed over, as
    /// are names, numbers and `retry`: data says the first two again, and the server sends no third (3.32.1).
    pub(crate) fn next(&mut self) -> std::result::Result<Option<Vec<u8>>, Ended> {
        let data = next_data(&mut self.lines, self.max_bytes).map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => Ended::TimeOver,
            io::ErrorKind::FileTooLarge => Ended::Bad(Error::new(
                ErrorKind::TooLarge,
                self.operation.as_str(),
                format!("an event is larger than the {} bytes allowed by Config::max_answer_bytes", self.max_bytes),
            )),
            _ => {
                let message = format!("the stream of events broke off: {error}");
                Ended::Broken(Error::new(ErrorKind::NoAnswer, self.operation.as_str(), message).with_source(error))
            }
        })?;
        self.has_told |= data.is_some();
        Ok(data)
    }

    /// Whether it has brought an event.
    pub(crate) fn has_told(&self) -> bool {
        self.has_told
    }
}

impl Http {
    /// Sends once, and leaves a stream of events to be read while it comes, as long as a request may take. Another answer is
    /// read whole.
    ///
    /// # Errors
    /// As [`Http::send`].
    pub(crate) fn open<'a>(&'a self, request: &'a Request<'_>) -> Result<Opened<'a>> {
        request.check_length(&self.base)?;
        let begun = Instant::now();
        let outcome = self.call(request).and_then(|mut response| {
            let kind = response.headers().get("content-type").map_or(&b""[..], |kind| kind.as_bytes());
            if !kind.to_ascii_lowercase().starts_with(b"text/event-stream") || !response.status().is_success() {
                return self.read(request, &mut response, MAX_ERROR_BYTES).map(Opened::Other);
            }
            Ok(Opened::Events(EventStream {
                lines: BufReader::new(Box::new(Incoming(response.into_body().into_reader()))),
                operation: operation(request.about),
                max_bytes: self.max_answer_bytes,
                has_told: false,
            }))
        });
        let status = match &outcome {
            Ok(Opened::Other(answer)) => answer.status,
            Ok(Opened::Events(_)) => 200,
            Err(error) => error.status().unwrap_or(0),
        };
        self.metrics.http_request(request.method.as_str(), request.route, status, begun.elapsed());
        outcome
    }

    /// As [`Http::open`], where no other answer is known.
    ///
    /// # Errors
    /// As [`Http::open`], and for any other answer.
    pub(crate) fn events(&self, request: &Request<'_>) -> Result<EventStream> {
        match self.open(request)? {
            Opened::Events(events) => Ok(events),
            Opened::Other(answer) => {
                answer.done()?;
                let message = "the answer is no stream of events";
                Err(Error::new(ErrorKind::Decode, answer.operation(), message).with_status(answer.status))
            }
        }
    }
}

/// Until when something is waited for that may take many requests.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Until(Option<Instant>);

impl Until {
    /// After `limit`, from now on; never, where that is beyond what a clock can tell.
    pub(crate) fn within(limit: Duration) -> Self {
        Self(Instant::now().checked_add(limit))
    }

    pub(crate) fn is_over(self) -> bool {
        self.0.is_some_and(|end| end <= Instant::now())
    }

    /// `time`, or the end where that comes first.
    pub(crate) fn or(self, time: Instant) -> Instant {
        self.0.map_or(time, |end| end.min(time))
    }

    /// Lets the request take no longer.
    ///
    /// # Errors
    /// When the time is over: `what` says for what.
    pub(crate) fn limit<'a>(self, request: Request<'a>, what: &str) -> Result<Request<'a>> {
        let Some(end) = self.0 else { return Ok(request) };
        match end.saturating_duration_since(Instant::now()) {
            rest if rest.is_zero() => Err(Error::new(ErrorKind::Deadline, operation(request.about), what)),
            rest => Ok(request.within(rest)),
        }
    }

    /// An error that comes of the end says so.
    pub(crate) fn judge(self, error: Error, what: &str) -> Error {
        match error.kind() {
            ErrorKind::NoAnswer | ErrorKind::Connect if self.is_over() => {
                Error::new(ErrorKind::Deadline, error.operation(), what).with_source(error)
            }
            _ => error,
        }
    }
}

/// The body of an answer while it comes.
struct Incoming(ureq::BodyReader<'static>);

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.get_ref().and_then(|cause| cause.downcast_ref()) {
            Some(ureq::Error::Timeout(_)) => io::Error::new(io::ErrorKind::TimedOut, error),
            _ => error,
        })
    }
}

/// The data of the next event in a stream of server-sent events, `None` at its end.
fn next_data(lines: &mut impl BufRead, max_bytes: u64) -> io::Result<Option<Vec<u8>>> {
    let mut data = Vec::new();
    loop {
        let mut line = Vec::new();
        let room = max_bytes.saturating_sub(u64::try_from(data.len()).unwrap_or(u64::MAX));
        if lines.take(room.saturating_add(1)).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if u64::try_from(line.len()).unwrap_or(u64::MAX) > room {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        match line.trim_ascii_end() {
            b"" if data.is_empty() => {}
            b"" => return Ok(Some(data)),
            line => {
                if let Some(part) = line.strip_prefix(b"data:") {
                    if !data.is_empty() {
                        data.push(b'\n');
                    }
                    data.extend_from_slice(part.trim_ascii_start());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_of_events_is_read_and_comments_are_passed_over() {
        let text =
            b":connected\n\nid:1\nevent:a\ndata:{\"id\":1}\n\n:heartbeat\r\n\r\ndata: [1,\r\ndata: 2]\r\n\r\ndata:cut";
        let mut lines = &text[..];
        let mut next = || next_data(&mut lines, 100).unwrap().map(|data| String::from_utf8(data).unwrap());
        assert_eq!(next().as_deref(), Some("{\"id\":1}"));
        assert_eq!(next().as_deref(), Some("[1,\n2]"));
        assert_eq!(next(), None, "an event that was cut off is none");
    }

    #[test]
    fn a_long_line_and_many_lines_are_too_large() {
        for text in [&b"data:12345678901234567890\n\n"[..], b"data:12345\ndata:12345\ndata:12345\ndata:12345\n\n"] {
            let error = next_data(&mut &text[..], 19).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        }
        assert!(next_data(&mut &b"data:1234567890123\n\n"[..], 19).unwrap().is_some());
    }
}
