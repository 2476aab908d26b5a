//! The REST routes: what a request asks of the engine, and how the answer is written. Statuses, bodies and messages are
//! those of the real server (3.32.1), its oddities included.

mod decode;
mod metadata;
mod task;
mod workflow;

use std::str::FromStr;

use serde::Serialize;

use super::engine::{Answer, Command, Engine, Millis, Poll, REAL_SERVER, Refusal, RefusalKind, Violation};

/// A request, taken apart.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) method: String,
    /// The path's segments, decoded.
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) content_type: Option<String>,
    pub(super) body: Vec<u8>,
}

/// What is sent back.
#[derive(Debug, PartialEq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: Option<&'static str>,
    pub(super) body: Vec<u8>,
}

/// What follows from a request.
#[derive(Debug)]
pub(super) enum Outcome {
    Reply(Reply),
    Poll(PollOrder),
}

/// A poll, which may have to wait.
#[derive(Clone, Debug)]
pub(super) struct PollOrder {
    pub(super) poll: Poll,
    pub(super) count: usize,
    pub(super) hold: Millis,
    /// Answers one task or 204 instead of a list.
    pub(super) is_single: bool,
}

const JSON: &str = "application/json";
const TEXT: &str = "text/plain;charset=UTF-8";

/// The name of the host in errors, as the real server writes its own.
const INSTANCE: &str = "embedded";

const VERSION: &str = "3.32.1";

impl Reply {
    pub(super) fn json(value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self { status: 200, content_type: Some(JSON), body },
            Err(error) => Self::refusal(&Refusal::failed(format!("Could not write JSON: {error}"))),
        }
    }

    fn text(text: impl Into<String>) -> Self {
        Self { status: 200, content_type: Some(TEXT), body: text.into().into_bytes() }
    }

    /// No body and no content type.
    pub(super) fn empty(status: u16) -> Self {
        Self { status, content_type: None, body: Vec::new() }
    }

    /// To what is no HTTP.
    pub(super) fn bad_request() -> Self {
        Self { status: 400, content_type: Some("text/html;charset=utf-8"), body: b"<h1>Bad Request</h1>".to_vec() }
    }

    fn error(status: u16, message: &str) -> Self {
        let envelope = Envelope { status, message, instance: Some(INSTANCE), retryable: false, validation_errors: &[] };
        Self { status, ..Self::json(&envelope) }
    }

    fn refusal(refusal: &Refusal) -> Self {
        let status = match refusal.kind {
            RefusalKind::Invalid => 400,
            RefusalKind::NotFound => 404,
            RefusalKind::Conflict => 409,
            RefusalKind::Failed => 500,
            RefusalKind::NotServed => 501,
        };
        if refusal.violations.is_empty() {
            return Self::error(status, &refusal.message);
        }
        let envelope = Envelope {
            status,
            message: &refusal.message,
            instance: None,
            retryable: false,
            validation_errors: &refusal.violations,
        };
        Self { status, ..Self::json(&envelope) }
    }

    /// The answer to a poll.
    pub(super) fn to_poll(order: &PollOrder, answer: Result<Answer, Refusal>) -> Self {
        match answer {
            Ok(Answer::Tasks(tasks)) if !order.is_single => Self::json(&tasks),
            Ok(Answer::Tasks(tasks)) => tasks.first().map_or_else(|| Self::empty(204), Self::json),
            Ok(_) => Self::empty(204),
            Err(refusal) => Self::refusal(&refusal),
        }
    }
}

/// The body of an error.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    status: u16,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    retryable: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    validation_errors: &'a [Violation],
}

impl Call {
    /// A query parameter; the first when it is given more than once.
    fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn params<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn required(&self, name: &str) -> Result<&str, Refusal> {
        let missing = || format!("Required request parameter '{name}' for method parameter type String is not present");
        self.param(name).ok_or_else(|| Refusal::failed(missing()))
    }

    /// A number of the query. An empty one counts as missing.
    fn number<T: FromStr>(&self, name: &str, kind: &str) -> Result<Option<T>, Refusal> {
        let Some(text) = self.param(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        text.trim().parse().map(Some).map_err(|_| not_a_number(name, kind, text))
    }

    fn flag(&self, name: &str, default: bool) -> Result<bool, Refusal> {
        let Some(text) = self.param(name).filter(|text| !text.is_empty()) else { return Ok(default) };
        match text.to_ascii_lowercase().as_str() {
            "true" | "on" | "yes" | "1" => Ok(true),
            "false" | "off" | "no" | "0" => Ok(false),
            _ => Err(Refusal::failed(format!(
                "Method parameter '{name}': Failed to convert value of type 'java.lang.String' to required type \
                 'boolean'; Invalid boolean value [{text}]"
            ))),
        }
    }

    /// A segment of the path, which the pattern of the route guarantees.
    fn segment(&self, at: usize) -> &str {
        self.path.get(at).map_or("", String::as_str)
    }
}

/// What a route does; `None` for one that the real server has and this one does not serve.
type Handler = Option<fn(&Call, &mut Engine, Millis) -> Result<Outcome, Refusal>>;

/// A route: method, pattern (where `*` is any segment), handler. The first that matches counts.
type Route = (&'static str, &'static str, Handler);

const GENERAL: &[Route] = &[
    ("GET", "health", Some(health)),
    ("GET", "api/health", Some(health)),
    ("GET", "api/version", Some(|_, _, _| Ok(Outcome::Reply(Reply::text(VERSION))))),
];

/// Beginnings of paths that the real server serves and this one does not.
const NOT_SERVED: &[&str] = &["api/event", "api/queue", "api/admin", "api/scheduler", "api/workflow/bulk", "api/files"];

fn health(_: &Call, _: &mut Engine, _: Millis) -> Result<Outcome, Refusal> {
    let health = serde_json::json!({"healthResults": [], "suppressedHealthResults": [], "healthy": true});
    Ok(Outcome::Reply(Reply::json(&health)))
}

/// Answers a request, or says that it is a poll.
pub(super) fn respond(call: &Call, engine: &mut Engine, now: Millis) -> Outcome {
    let tables = [GENERAL, task::ROUTES, workflow::ROUTES, metadata::ROUTES];
    let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
    let of_path: Vec<&Route> = tables.iter().copied().flatten().filter(|(_, p, _)| matches(p, &path)).collect();
    let joined = path.join("/");
    let asked = if call.method == "HEAD" { "GET" } else { &call.method };
    match of_path.iter().find(|(method, ..)| *method == asked) {
        Some((_, _, Some(handler))) => {
            handler(call, engine, now).unwrap_or_else(|refusal| Outcome::Reply(Reply::refusal(&refusal)))
        }
        Some((method, pattern, None)) => not_served(method, pattern),
        None if !of_path.is_empty() => {
            Outcome::Reply(Reply::error(405, &format!("Request method '{}' is not supported", call.method)))
        }
        None if NOT_SERVED.iter().any(|begin| begins_with(&joined, begin)) => not_served(&call.method, &joined),
        None => Outcome::Reply(Reply::error(404, &format!("No static resource {}.", joined.trim_end_matches('/')))),
    }
}

fn not_served(method: &str, route: &str) -> Outcome {
    let message = format!("the embedded server does not serve {method} /{route}; {REAL_SERVER}");
    Outcome::Reply(Reply::error(501, &message))
}

fn begins_with(path: &str, begin: &str) -> bool {
    path.strip_prefix(begin).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn matches(pattern: &str, path: &[&str]) -> bool {
    let mut segments = path.iter();
    pattern.split('/').all(|part| segments.next().is_some_and(|s| part == *s || part == "*" && !s.is_empty()))
        && segments.next().is_none()
}

/// The server's word for the kind of a number is `int` where it has a default, else `java.lang.Integer`.
fn not_a_number(name: &str, kind: &str, text: &str) -> Refusal {
    Refusal::failed(format!(
        "Method parameter '{name}': Failed to convert value of type 'java.lang.String' to required type '{kind}'; \
         For input string: \"{text}\""
    ))
}

/// Steps the engine and answers 200 without a body.
fn done(engine: &mut Engine, command: Command, now: Millis) -> Result<Outcome, Refusal> {
    engine.step(command, now)?;
    Ok(Outcome::Reply(Reply::empty(200)))
}

/// Steps the engine and answers the id as text, or nothing where there is none.
fn id(engine: &mut Engine, command: Command, now: Millis) -> Result<Outcome, Refusal> {
    let reply = match engine.step(command, now)? {
        Answer::Id(Some(id)) => Reply::text(id),
        _ => Reply::empty(200),
    };
    Ok(Outcome::Reply(reply))
}

fn sent(value: &impl Serialize) -> Result<Outcome, Refusal> {
    Ok(Outcome::Reply(Reply::json(value)))
}
