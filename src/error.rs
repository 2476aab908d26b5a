//! [`Error`]: what was attempted, on what, what the server said, and what to do. Callers branch on predicates and on
//! [`ErrorKind`], never on text.

use std::{any::Any, error::Error as StdError, fmt, time::Duration};

/// The result of a call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed.
///
/// Its `Display` is one clause: the operation and its object, what went wrong, and what to do where that is known.
/// [`std::error::Error::source`] gives the cause beneath it.
///
/// ```
/// use conductor_sync::{Client, Config, ErrorKind};
/// let client = Client::new(Config::new("http://127.0.0.1:1/api")?)?;
/// let error = client.tasks().get("no-such-task").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Connect);
/// assert!(error.is_retryable());
/// # Ok::<(), conductor_sync::Error>(())
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: String,
    message: String,
    status: Option<u16>,
    server_message: Option<String>,
    retryable_by_server: bool,
    retry_after: Option<Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    /// What was seen of the object before; the room that puts it in has a typed accessor for it.
    seen: Option<Box<dyn Any + Send + Sync>>,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value given by the caller can't be used: an empty name, a bad URL, a duplicate worker.
    Invalid,
    /// No connection: refused, unreachable, the name is not known, or TLS could not be agreed on. The server has not seen
    /// the request.
    Connect,
    /// No whole answer came: a timeout or a broken connection. The server may have done what was asked.
    NoAnswer,
    /// The thing that was named does not exist on the server.
    NotFound,
    /// The address does not lead to a Conductor API: another page answered, or the route does not exist.
    WrongAddress,
    /// The server says that the thing exists already or is in a state that forbids the operation (409).
    Conflict,
    /// The server does not accept the credentials (401 or 403).
    Unauthorized,
    /// The server does not accept the request: any other 4xx, or an input that is too large for it, which it reports as 500.
    Rejected,
    /// The server failed (5xx), asked for a pause (429), or refused in a way it reports as 500.
    Server,
    /// An answer, or a text to be read, is not what was expected: no JSON, or JSON of another shape.
    Decode,
    /// The answer is larger than [`Config::max_answer_bytes`](crate::Config::max_answer_bytes).
    TooLarge,
    /// A value can't be written as JSON.
    Encode,
    /// The deadline passed before what was waited for.
    Deadline,
    /// Something on this machine: a port that is taken, a thread that can't be started.
    Local,
}

impl ErrorKind {
    /// The name as a metrics label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "Invalid",
            Self::Connect => "Connect",
            Self::NoAnswer => "NoAnswer",
            Self::NotFound => "NotFound",
            Self::WrongAddress => "WrongAddress",
            Self::Conflict => "Conflict",
            Self::Unauthorized => "Unauthorized",
            Self::Rejected => "Rejected",
            Self::Server => "Server",
            Self::Decode => "Decode",
            Self::TooLarge => "TooLarge",
            Self::Encode => "Encode",
            Self::Deadline => "Deadline",
            Self::Local => "Local",
        }
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, operation: impl Into<String>, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            operation: operation.into(),
            message: message.into(),
            status: None,
            server_message: None,
            retryable_by_server: false,
            retry_after: None,
            source: None,
            seen: None,
        }))
    }

    /// A value of the caller's that can't be used; `what` names the parameter.
    pub(crate) fn invalid(what: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, what, message)
    }

    /// The server answers something, but nothing about what was asked for: its id is a word that another route has.
    pub(crate) fn no_such((verb, value): (&str, &str)) -> Self {
        let message = "there is none: the server has another route with this word in the place of an id";
        Self::new(ErrorKind::NotFound, format!("{verb} {}", excerpt(value)), message)
    }

    pub(crate) fn encode(what: impl Into<String>, source: serde_json::Error) -> Self {
        Self::new(ErrorKind::Encode, what, format!("can't be written as JSON: {source}")).with_source(source)
    }

    /// JSON that is not what was expected; a `text` that is none is quoted in part.
    pub(crate) fn decode(
        what: impl Into<String>,
        place: Option<String>,
        source: serde_json::Error,
        text: &str,
    ) -> Self {
        let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
        let mut message = format!("not the expected JSON: {place}{}", without_value(&source));
        // An object or a list is somebody's data, of which nothing shall get into a log.
        if !text.trim_start().starts_with(['{', '[']) {
            message
                .push_str(&format!("; it starts with `{}`: if it is always so, check the server URL", excerpt(text)));
        }
        Self::new(ErrorKind::Decode, what, message).with_source(source)
    }

    /// The same for another who has met it, without its source.
    pub(crate) fn copy(&self) -> Self {
        let Inner { kind, operation, message, status, server_message, retryable_by_server, retry_after, .. } = &*self.0;
        let mut copy = Self::new(*kind, operation, message);
        (copy.0.status, copy.0.server_message) = (*status, server_message.clone());
        (copy.0.retryable_by_server, copy.0.retry_after) = (*retryable_by_server, *retry_after);
        copy
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    pub(crate) fn with_server_message(mut self, message: Option<String>, retryable: bool) -> Self {
        self.0.server_message = message;
        self.0.retryable_by_server = retryable;
        self
    }

    /// The same failure, known to mean that the thing does not exist.
    pub(crate) fn into_not_found(mut self) -> Self {
        self.0.kind = ErrorKind::NotFound;
        self
    }

    /// The same failure, known to mean that the thing is in a state that forbids the operation.
    pub(crate) fn into_conflict(mut self) -> Self {
        self.0.kind = ErrorKind::Conflict;
        self
    }

    /// The same failure, about a part of what was sent.
    pub(crate) fn with_part(mut self, part: &str) -> Self {
        self.0.message = format!("{part}: {}", self.0.message);
        self
    }

    pub(crate) fn with_seen(mut self, seen: impl Any + Send + Sync) -> Self {
        self.0.seen = Some(Box::new(seen));
        self
    }

    pub(crate) fn seen<T: Any>(&self) -> Option<&T> {
        self.0.seen.as_deref()?.downcast_ref()
    }

    pub(crate) fn with_retry_after(mut self, pause: Option<Duration>) -> Self {
        self.0.retry_after = pause;
        self
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was attempted, with its object: `get task 4711`.
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// The HTTP status, where the server answered.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// What the server said, in its own words.
    pub fn server_message(&self) -> Option<&str> {
        self.0.server_message.as_deref()
    }

    /// How long the server asked to wait before the next try, by `Retry-After`; 60 s where it asked for more.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the thing that was named does not exist. A wrong address is not this: see [`Error::is_wrong_address`].
    pub fn is_not_found(&self) -> bool {
        self.0.kind == ErrorKind::NotFound
    }

    /// Whether the base URL does not lead to a Conductor API.
    pub fn is_wrong_address(&self) -> bool {
        self.0.kind == ErrorKind::WrongAddress
    }

    /// Whether the server may have done what was asked although no answer came.
    pub fn is_ambiguous(&self) -> bool {
        self.0.kind == ErrorKind::NoAnswer
    }

    /// Whether the server may have done what was asked, although no answer or no clear one came: also a gateway that gave up
    /// waiting says 502 or 504.
    pub(crate) fn may_have_been_done(&self) -> bool {
        let unclear = matches!(self.0.kind, ErrorKind::NoAnswer | ErrorKind::TooLarge);
        let unreadable = matches!(self.0.status, Some(200..=299));
        unclear || unreadable || matches!(self.0.status, Some(408 | 500..=599))
    }

    /// Whether the same call may succeed later without a change on this side.
    ///
    /// True for no connection, no answer, 408, 425, 429, 502, 503, 504 and any status where the server says `retryable`.
    /// A plain 500 is not: Conductor 3.32.1 answers client mistakes with it.
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Connect | ErrorKind::NoAnswer)
            || self.0.retryable_by_server
            || matches!(self.0.status, Some(408 | 425 | 429 | 502 | 503 | 504))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.operation, self.0.message)
    }
}

/// What a `main` that returns it prints: the text, and the kind.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({:?})", self.0.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// What is wrong with JSON, without the value that is: errors are logged, and data is not.
pub(crate) fn without_value(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let cut = |rest: &str| {
        let (found, expected) = rest.rsplit_once(", expected ")?;
        let kind = found.split(['"', '`']).next().unwrap_or_default().trim_end();
        Some(format!("{kind}, expected {expected}"))
    };
    for begin in ["invalid type: ", "invalid value: ", "unknown variant "] {
        if let Some((place, rest)) = text.split_once(begin).and_then(|(place, rest)| Some((place, cut(rest)?))) {
            return format!("{place}{begin}{rest}").replace(" ,", ",");
        }
    }
    text
}

/// The beginning of a text from outside, made fit for a log line: no control characters, at most 200 characters.
pub(crate) fn excerpt(text: &str) -> String {
    const MOST: usize = 200;
    let mut out: String = text.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(MOST).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_word_and_crosses_threads() {
        fn crosses<T: Send + Sync + 'static>() {}
        crosses::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn an_excerpt_is_short_and_has_no_control_characters() {
        assert_eq!(excerpt("a\r\nb"), "a  b");
        assert_eq!(excerpt(&"x".repeat(500)).chars().count(), 201);
    }

    #[derive(Debug, serde::Deserialize)]
    enum Colour {
        Red,
        Green,
    }

    #[test]
    fn what_does_not_fit_is_told_without_its_value() {
        fn told<T: serde::de::DeserializeOwned + fmt::Debug>(text: &str) -> String {
            without_value(&serde_json::from_str::<T>(text).unwrap_err())
        }
        assert_eq!(told::<u32>(r#""se, expected cret""#), "invalid type: string, expected u32 at line 1 column 19");
        assert_eq!(told::<u32>("-41"), "invalid value: integer, expected u32 at line 1 column 3");
        assert_eq!(told::<bool>("[4111]"), "invalid type: sequence, expected a boolean at line 1 column 0");
        assert_eq!(told::<Vec<u8>>("{}"), "invalid type: map, expected a sequence at line 1 column 0");
        assert_eq!(told::<Colour>(r#""secret""#), "unknown variant, expected `Red` or `Green` at line 1 column 8");
    }
}
