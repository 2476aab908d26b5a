//! The only file that talks HTTP and names ureq: typed calls, encoded paths, bounded answers, statuses turned into
//! [`Error`]s. One request is one try; who calls decides about another.

mod address;
mod events;

use std::{
    borrow::Cow,
    io,
    net::{IpAddr, SocketAddr},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use ureq::{
    Agent, ProxyProtocol,
    http::{Response, Uri, header},
    typestate::WithBody,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};

use crate::{
    config::Config,
    error::{Error, ErrorKind, Result, excerpt},
    json::misfit,
    metrics::Metrics,
};

pub(crate) use events::{Ended, EventStream, Opened, Until};

/// All but the unreserved characters of RFC 3986 are encoded in paths and queries.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The server drops idle connections after 60 s, so ours go first; each ends with its 100th answer, which says so (3.32.1).
const MAX_IDLE_AGE: Duration = Duration::from_secs(50);

/// The pool holds as many connections as threads have used at once, up to this; further ones are closed after their answer.
/// More threads than that (a runner takes 10,000) do not send at the same time: a process has 1024 files unless it asks for more.
const MAX_IDLE_CONNECTIONS: usize = 4096;

/// Encoded, the longest of these fills most of what the server takes (3.32.1).
const MAX_SEGMENT_BYTES: usize = 2000;

/// How long a resolved host name is used without asking again.
const RESOLVE_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// As much of an error page as is worth reading.
const MAX_ERROR_BYTES: u64 = 64 << 10;

/// Two of these belong to each connection; tasks of usual size fit, larger bodies take several reads.
const BUFFER_BYTES: usize = 16 << 10;

/// What to do where the server may be another one, or none.
const CHECK_ADDRESS: &str = "check host and port of the server URL";

/// The longest pause a `Retry-After` can ask for.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// A connection pool to one server.
#[derive(Debug)]
pub(crate) struct Http {
    agent: Agent,
    base: String,
    /// The proxy in words, where there is one; or that the address is the default one.
    via: String,
    request_timeout: Duration,
    max_answer_bytes: u64,
    metrics: Metrics,
}

/// The verbs of the API.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// One request: what it is about, where it goes, what it carries.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    method: Method,
    /// The path with its `{…}` still open: the label in the metrics.
    route: &'static str,
    path: String,
    /// Verb and object for messages: `("get task", "4711")`.
    about: (&'static str, &'a str),
    headers: Vec<(&'static str, String)>,
    body: Option<(Cow<'static, str>, Vec<u8>)>,
    /// Less than the client's own limit, where that is too long.
    limit: Option<Duration>,
    small_answer: bool,
    /// The route says no in plain text: a 404 without JSON is then about the thing, not about the address.
    plain_refusals: bool,
}

impl<'a> Request<'a> {
    /// Fills the `{…}` of `route` with `values`, encoded.
    ///
    /// # Errors
    /// When a value is empty or can't stand in a path: the server answers `/` and `\` with an HTML page even when they
    /// are encoded, and `.` and `..` lead to another route (3.32.1).
    pub(crate) fn new(
        method: Method,
        route: &'static str,
        values: &[&str],
        about: (&'static str, &'a str),
    ) -> Result<Self> {
        let mut path = String::with_capacity(route.len() + 48);
        let mut values = values.iter();
        let mut rest = route;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            let value = values.next().copied().unwrap_or_default();
            check_segment(name, value).map_err(|e| Error::invalid(about.0, e))?;
            path.push_str(before);
            path.extend(utf8_percent_encode(value, ENCODED));
            rest = after;
        }
        path.push_str(rest);
        let headers = Vec::new();
        Ok(Self {
            method,
            route,
            path,
            about,
            headers,
            body: None,
            limit: None,
            small_answer: false,
            plain_refusals: false,
        })
    }

    /// Adds a query parameter.
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        self.path.extend(utf8_percent_encode(name, ENCODED));
        self.path.push('=');
        self.path.extend(utf8_percent_encode(value, ENCODED));
        self
    }

    /// Adds a query parameter where there is a value.
    pub(crate) fn query_some(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Adds a header.
    ///
    /// # Errors
    /// When the value can't be one.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Result<Self> {
        if header::HeaderValue::from_str(value).is_err() {
            return Err(Error::invalid(self.about.0, format!("{name} holds what no header can")));
        }
        self.headers.push((name, value.to_owned()));
        Ok(self)
    }

    /// Adds a JSON body.
    pub(crate) fn json(self, body: &impl Serialize) -> Result<Self> {
        let bytes =
            serde_json::to_vec(body).map_err(|e| Error::encode(format!("{} {}", self.about.0, self.about.1), e))?;
        Ok(self.json_bytes(bytes))
    }

    /// Adds a body that is JSON already.
    pub(crate) fn json_bytes(mut self, bytes: Vec<u8>) -> Self {
        self.body = Some(("application/json".into(), bytes));
        self
    }

    /// Gives up after `limit`, where that is sooner than the client would.
    pub(crate) fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Reads no more than an id and the like.
    pub(crate) fn small_answer(mut self) -> Self {
        self.small_answer = true;
        self
    }

    /// Takes refusals in plain text for words of the API.
    pub(crate) fn plain_refusals(mut self) -> Self {
        self.plain_refusals = true;
        self
    }

    /// Adds a body of bytes.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.body = Some(("application/octet-stream".into(), bytes.to_vec()));
        self
    }

    /// Adds a body of plain text.
    pub(crate) fn text(mut self, text: &str) -> Self {
        self.body = Some(("text/plain; charset=utf-8".into(), text.as_bytes().to_vec()));
        self
    }

    /// Adds a body of parts, as a form of HTML sends them: a text and a file, each with its name.
    pub(crate) fn form(mut self, text: (&str, &str), file: (&str, &[u8])) -> Self {
        let is_inside =
            |mark: &str| file.1.windows(mark.len()).any(|part| part == mark.as_bytes()) || text.1.contains(mark);
        let mut mark = "conductor-sync-form".to_owned();
        while is_inside(&mark) {
            mark.push('+');
        }
        let ((text_name, text), (file_name, content)) = (text, file);
        let head = format!(
            "--{mark}\r\nContent-Disposition: form-data; name=\"{text_name}\"\r\n\r\n{text}\r\n--{mark}\r\n\
             Content-Disposition: form-data; name=\"{file_name}\"; filename=\"{file_name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        let body = [head.as_bytes(), content, format!("\r\n--{mark}--\r\n").as_bytes()].concat();
        self.body = Some((format!("multipart/form-data; boundary={mark}").into(), body));
        self
    }
}

/// Why `value` can't be a segment of a path, if so.
fn check_segment(name: &str, value: &str) -> Result<(), String> {
    let problem = match value {
        _ if value.trim().is_empty() => "must not be empty",
        "." | ".." => "must not be `.` or `..`: they lead to another route",
        _ if value.contains(['/', '\\']) => "must not contain `/` or `\\`: the server refuses them in any spelling",
        _ if value.len() > MAX_SEGMENT_BYTES => {
            "must not be longer than 2,000 bytes: the server takes 8 KB of address and headers"
        }
        _ if value.chars().any(char::is_control) => "must not contain control characters",
        _ => return Ok(()),
    };
    match value {
        "" => Err(format!("{name} {problem}")),
        _ => Err(format!("{name} {problem} (given: `{}`)", excerpt(value))),
    }
}

/// What is wrong with a task type or another name that stands in paths; `None` when nothing is.
pub(crate) fn problem_with_name(name: &str, value: &str) -> Option<String> {
    check_segment(name, value).err()
}

/// A 2xx answer with its body.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    about: (&'static str, &'a str),
    base: &'a str,
}

impl Answer<'_> {
    /// Decodes the body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        self.refuse_page()?;
        serde_json::from_slice(&self.body).map_err(|e| {
            let text = String::from_utf8_lossy(&self.body);
            Error::decode(self.operation(), misfit::<T>(&text), e, &text).with_status(self.status)
        })
    }

    /// As [`Answer::json`], borrowing from `text`, which is the body.
    pub(crate) fn json_text<'t, T: Deserialize<'t>>(&self, text: &'t str) -> Result<T> {
        self.refuse_page()?;
        serde_json::from_str(text).map_err(|e| Error::decode(self.operation(), None, e, text).with_status(self.status))
    }

    /// As [`Answer::json`], but `None` for an empty body or a 204.
    pub(crate) fn json_or_empty<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        if self.body.is_empty() { Ok(None) } else { self.json().map(Some) }
    }

    /// The body as an id or another short text; quotes around it, which some proxies add, are taken off.
    pub(crate) fn text(&self) -> Result<String> {
        self.refuse_page()?;
        let text = String::from_utf8_lossy(&self.body);
        let text = text.trim();
        Ok(text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text).to_owned())
    }

    /// Checks that a call without an answer was not answered by a page of something else.
    pub(crate) fn done(&self) -> Result<()> {
        self.refuse_page()
    }

    /// What it answers, for messages.
    pub(crate) fn operation(&self) -> String {
        operation(self.about)
    }

    fn refuse_page(&self) -> Result<()> {
        if self.body.starts_with(&[0x1f, 0x8b]) {
            let message =
                "the answer is compressed with gzip, which was not asked for: see what stands in front of the server";
            return Err(Error::new(ErrorKind::Decode, self.operation(), message).with_status(self.status));
        }
        if !is_page(&self.body) {
            return Ok(());
        }
        let message = format!("an HTML page answered instead of the API: check the server URL {}", self.base);
        Err(Error::new(ErrorKind::WrongAddress, self.operation(), message).with_status(self.status))
    }
}

fn operation(about: (&'static str, &str)) -> String {
    if about.1.is_empty() { about.0.to_owned() } else { format!("{} {}", about.0, excerpt(about.1)) }
}

fn is_page(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'<')
}

impl Http {
    /// # Errors
    /// When the server's address is no URL.
    pub(crate) fn new(config: &Config, metrics: Metrics) -> Result<Self> {
        let (connect_timeout, request_timeout, max_answer_bytes) = config.limits()?;
        let base = config.server_url().to_owned();
        base.parse::<Uri>()
            .map_err(|e| Error::invalid("server URL", format!("`{base}` is no URL: {e}")).with_source(e))?;
        if config.has_credentials() {
            log::warn!(
                "credentials are set, but this version does not exchange them for a token: requests go without one"
            );
        }
        let mut builder = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("conductor-sync/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(connect_timeout))
            .timeout_global(Some(request_timeout))
            .max_idle_connections(MAX_IDLE_CONNECTIONS)
            .max_idle_connections_per_host(MAX_IDLE_CONNECTIONS)
            .max_idle_age(MAX_IDLE_AGE)
            .input_buffer_size(BUFFER_BYTES)
            .output_buffer_size(BUFFER_BYTES);
        let proxy = if config.is_loopback() { None } else { ureq::Proxy::try_from_env() };
        if let Some(proxy) =
            proxy.as_ref().filter(|p| !matches!(p.protocol(), ProxyProtocol::Http | ProxyProtocol::Https))
        {
            let message = format!(
                "{} is a SOCKS proxy, only http and https are spoken: see ALL_PROXY, HTTPS_PROXY, HTTP_PROXY",
                proxy.uri()
            );
            return Err(Error::invalid("proxy", message));
        }
        let via = proxy.as_ref().map_or_else(
            || config.origin().to_owned(),
            |proxy| format!(" through the proxy {}:{}", proxy.host(), proxy.port()),
        );
        builder = builder.proxy(proxy);
        let agent = Agent::with_parts(builder.build(), DefaultConnector::default(), CachingResolver::default());
        Ok(Self { agent, base, via, request_timeout, max_answer_bytes, metrics })
    }

    /// The address in use.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// How long a request may take in all.
    pub(crate) fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    /// The registry that requests are counted in.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Sends once and reads the whole answer.
    ///
    /// # Errors
    /// For an address that is too long (nothing is sent), no connection, no whole answer, and every status but 2xx.
    pub(crate) fn send<'a>(&'a self, request: &'a Request<'_>) -> Result<Answer<'a>> {
        request.check_length(&self.base)?;
        let begun = Instant::now();
        let outcome = self.exchange(request);
        let status = match &outcome {
            Ok(answer) => answer.status,
            Err(error) => error.status().unwrap_or(0),
        };
        self.metrics.http_request(request.method.as_str(), request.route, status, begun.elapsed());
        outcome
    }

    /// As [`Http::send`], for requests that do no harm when they arrive twice: a second try where the first got no
    /// answer, since a connection that idled may have been closed by the other side.
    ///
    /// # Errors
    /// As [`Http::send`].
    pub(crate) fn send_safe<'a>(&'a self, request: &'a Request<'_>) -> Result<Answer<'a>> {
        let begun = Instant::now();
        match self.send(request) {
            Err(error) if error.is_ambiguous() && begun.elapsed() < self.request_timeout / 2 => self.send(request),
            outcome => outcome,
        }
    }

    /// Sends once, and reads as far as the body of the answer.
    fn call(&self, request: &Request<'_>) -> Result<Response<ureq::Body>> {
        let url = format!("{}{}", self.base, request.path);
        let limit = request.limit.filter(|limit| *limit < self.request_timeout);
        let agent = &self.agent;
        let headers = &request.headers;
        let sent = match (request.method, &request.body) {
            (Method::Get, _) => prepared(agent.get(url), limit, headers).call(),
            (Method::Delete, Some(body)) => {
                send_body(prepared(agent.delete(url).force_send_body(), limit, headers), body)
            }
            (Method::Delete, None) => prepared(agent.delete(url), limit, headers).call(),
            (Method::Post, Some(body)) => send_body(prepared(agent.post(url), limit, headers), body),
            (Method::Put, Some(body)) => send_body(prepared(agent.put(url), limit, headers), body),
            (Method::Post, None) => prepared(agent.post(url), limit, headers).send_empty(),
            (Method::Put, None) => prepared(agent.put(url), limit, headers).send_empty(),
        };
        sent.map_err(|e| self.no_answer(request, e))
    }

    fn exchange<'a>(&'a self, request: &'a Request<'_>) -> Result<Answer<'a>> {
        let max_bytes = if request.small_answer { MAX_ERROR_BYTES } else { self.max_answer_bytes };
        self.read(request, &mut self.call(request)?, max_bytes)
    }

    /// The answer, or what refuses.
    fn read<'a>(
        &'a self,
        request: &'a Request<'_>,
        response: &mut Response<ureq::Body>,
        max_bytes: u64,
    ) -> Result<Answer<'a>> {
        let status = response.status().as_u16();
        let success = (200..300).contains(&status);
        let limit = if success { max_bytes } else { MAX_ERROR_BYTES };
        let read = response.body_mut().with_config().limit(limit).read_to_vec();
        if success {
            let body = read.map_err(|e| self.no_answer(request, e).with_status(status))?;
            return Ok(Answer { status, body, about: request.about, base: &self.base });
        }
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok());
        let retry_after = retry_after.and_then(|text| parse_retry_after(text, SystemTime::now()));
        let location = response.headers().get(header::LOCATION).and_then(|v| v.to_str().ok()).map(excerpt);
        // An error page that can't be read whole still has its status.
        Err(self.refused(request, status, &read.unwrap_or_default(), location).with_retry_after(retry_after))
    }

    /// An exchange that brought no whole answer.
    fn no_answer(&self, request: &Request<'_>, cause: ureq::Error) -> Error {
        use std::io::ErrorKind as Io;
        let operation = operation(request.about);
        let base = format!("{}{}", self.base, self.via);
        let limit = request.limit.unwrap_or(self.request_timeout).min(self.request_timeout).as_millis();
        let (kind, message) = match &cause {
            ureq::Error::HostNotFound => {
                (ErrorKind::Connect, format!("the host of {base} is not known: {CHECK_ADDRESS}"))
            }
            ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
                (ErrorKind::Connect, format!("no connection to {base} in time: is the server up and reachable?"))
            }
            ureq::Error::Timeout(_) => (
                ErrorKind::NoAnswer,
                format!("no answer from {base} within {limit} ms; if it is always so, {CHECK_ADDRESS}"),
            ),
            ureq::Error::Io(e) if e.kind() == Io::ConnectionRefused => (
                ErrorKind::Connect,
                format!("{base} refused the connection: is the server running, and is the port right?"),
            ),
            ureq::Error::Io(e)
                if matches!(e.kind(), Io::HostUnreachable | Io::NetworkUnreachable | Io::AddrNotAvailable)
                    || e.to_string().contains("lookup") =>
            {
                (ErrorKind::Connect, format!("{base} can't be reached: {e}: {CHECK_ADDRESS}"))
            }
            ureq::Error::Io(e) if matches!(e.raw_os_error(), Some(23 | 24)) && cfg!(unix) => {
                (ErrorKind::Local, format!("nothing was sent: {e}: raise the limit of open files"))
            }
            ureq::Error::Io(e) if e.kind() == Io::InvalidData && base.starts_with("https") => (
                ErrorKind::Connect,
                format!("no TLS connection to {base}: {e}: does the server speak https on this port?"),
            ),
            ureq::Error::ConnectionFailed => (ErrorKind::Connect, format!("no connection to {base}: {CHECK_ADDRESS}")),
            ureq::Error::BodyExceedsLimit(limit) if request.small_answer => (
                ErrorKind::TooLarge,
                format!("the answer is larger than {limit} bytes, as none of Conductor to this is: {CHECK_ADDRESS}"),
            ),
            ureq::Error::BodyExceedsLimit(limit) => (
                ErrorKind::TooLarge,
                format!("the answer is larger than the {limit} bytes allowed by Config::max_answer_bytes"),
            ),
            ureq::Error::BadUri(text) => (ErrorKind::Invalid, format!("{base} is no URL: {text}")),
            // It may also have been cut off on its way.
            other => {
                (classify(other), format!("no whole answer from {base}: {other}; if it is always so, {CHECK_ADDRESS}"))
            }
        };
        Error::new(kind, operation, message).with_source(cause)
    }

    /// An answer with a status that is not 2xx.
    fn refused(&self, request: &Request<'_>, status: u16, body: &[u8], location: Option<String>) -> Error {
        let said = serde_json::from_slice::<Envelope>(body).ok();
        let text = said.as_ref().map_or_else(|| excerpt(&String::from_utf8_lossy(body)), Envelope::text);
        let is_route = text.starts_with("No static resource ");
        let is_plain = said.is_none() && request.plain_refusals && !text.is_empty() && !is_page(body);
        let kind = match status {
            300..=399 => ErrorKind::WrongAddress,
            404 | 405 if said.is_none() && !is_plain || is_route => ErrorKind::WrongAddress,
            404 => ErrorKind::NotFound,
            409 => ErrorKind::Conflict,
            // An input beyond the server's limit (3.32.1).
            500 if text.starts_with("The payload size: ") => ErrorKind::Rejected,
            401 | 403 => ErrorKind::Unauthorized,
            429 | 500.. => ErrorKind::Server,
            _ => ErrorKind::Rejected,
        };
        let base = &self.base;
        let mut message = format!("server said {status}");
        if said.is_some() || !is_page(body) && !text.is_empty() {
            message = format!("{message}: {text}");
        }
        if let (300..=399, Some(target)) = (status, location) {
            message.push_str(&format!(
                ": it points to {target}; redirects are not followed, so set the server URL to where the API is"
            ));
        } else if let (true, Some(switch)) = (is_route, switch_of(request.route)) {
            message.push_str(&format!(
                "; the server has this switched off ({switch}), or no Conductor API answers at {base}"
            ));
        } else if kind == ErrorKind::Unauthorized {
            message.push_str("; this version of the SDK sends no credentials: ask for none, or add them in a proxy");
        } else if kind == ErrorKind::Server && is_page(body) {
            message
                .push_str(&format!(" with a page, so perhaps it was no Conductor but a proxy that answered at {base}"));
        } else if kind == ErrorKind::WrongAddress {
            message.push_str(&format!("; no Conductor API answers at {base}: check the server URL"));
        } else if kind == ErrorKind::Rejected && said.is_none() && !is_plain {
            // Conductor says in JSON what it does not like.
            message.push_str(&format!("; perhaps no Conductor API answers at {base}: {CHECK_ADDRESS}"));
        }
        let retryable = said.as_ref().is_some_and(|envelope| envelope.retryable);
        Error::new(kind, operation(request.about), message)
            .with_status(status)
            .with_server_message(said.map(|envelope| envelope.words()).or(is_plain.then_some(text)), retryable)
    }
}

/// The setting that a route depends on, where it is not always there (3.32.1).
fn switch_of(route: &str) -> Option<&'static str> {
    match route {
        _ if route.starts_with("/files") => Some("conductor.file-storage.enabled"),
        _ if route.starts_with("/scheduler") => Some("conductor.scheduler.enabled"),
        _ if route.starts_with("/skills") => Some("conductor.integrations.ai.enabled or agentspan.skills.enabled"),
        _ if route.starts_with("/a2a/workflow") || route.starts_with("/a2a/agent/") || route == "/a2a/agent" => {
            Some("conductor.a2a.server.enabled; agents need agentspan.embedded too")
        }
        _ if ["/secrets/", "/providers/", "/agent/", "/a2a/"].iter().any(|begin| route.starts_with(begin)) => {
            Some("conductor.integrations.ai.enabled")
        }
        _ if route.ends_with("/messages") => Some("conductor.workflow-message-queue.enabled"),
        _ => None,
    }
}

fn send_body(
    builder: ureq::RequestBuilder<WithBody>,
    (kind, body): &(Cow<'static, str>, Vec<u8>),
) -> std::result::Result<Response<ureq::Body>, ureq::Error> {
    builder.header(header::CONTENT_TYPE, &**kind).send(&body[..])
}

fn prepared<B>(
    builder: ureq::RequestBuilder<B>,
    limit: Option<Duration>,
    headers: &[(&'static str, String)],
) -> ureq::RequestBuilder<B> {
    let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, value));
    match limit {
        Some(limit) => builder.config().timeout_global(Some(limit)).build(),
        None => builder,
    }
}

/// Failures of the TLS handshake come before anything was sent; all others may have come after.
fn classify(cause: &ureq::Error) -> ErrorKind {
    match cause {
        ureq::Error::Tls(_) => ErrorKind::Connect,
        #[cfg(feature = "rustls")]
        ureq::Error::Rustls(_) | ureq::Error::Pem(_) => ErrorKind::Connect,
        _ => ErrorKind::NoAnswer,
    }
}

/// How the server says no.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    message: Option<String>,
    #[serde(default)]
    retryable: bool,
    #[serde(default)]
    validation_errors: Vec<ValidationError>,
}

#[derive(Deserialize)]
struct ValidationError {
    path: Option<String>,
    message: Option<String>,
}

impl Envelope {
    /// For the message of an error: what is wrong with the request in full, other words in part.
    fn text(&self) -> String {
        self.with_problems(self.message.as_deref().map(excerpt).unwrap_or_default())
    }

    /// In the server's own words, however many.
    fn words(&self) -> String {
        self.with_problems(self.message.clone().unwrap_or_default())
    }

    fn with_problems(&self, message: String) -> String {
        let mut parts: Vec<String> = self
            .validation_errors
            .iter()
            .map(|v| format!("{}: {}", v.path.as_deref().unwrap_or("?"), v.message.as_deref().unwrap_or("not valid")))
            .collect();
        // The server gives them in an order that varies between calls.
        parts.sort();
        match parts.is_empty() {
            true => message,
            false => format!("{message} ({})", parts.join("; ")),
        }
    }
}

/// `Retry-After` as seconds or as a date; anything else counts as not given.
fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let pause = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) if is_number => MAX_RETRY_AFTER,
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(pause.min(MAX_RETRY_AFTER))
}

/// Resolves through ureq's own resolver and remembers the answer for a while.
///
/// ureq resolves before it looks for an idle connection, and starts a thread for it when a timeout is set: on every
/// request, 160 µs of CPU instead of 32.
#[derive(Debug, Default)]
struct CachingResolver {
    inner: DefaultResolver,
    /// Written and read by whoever sends; a plain value, valid between statements, so poisoning means nothing.
    last: Mutex<Option<Arc<Resolved>>>,
}

#[derive(Debug)]
struct Resolved {
    authority: String,
    /// An address needs no looking up.
    is_literal: bool,
    at: Instant,
    addresses: Vec<SocketAddr>,
}

impl Resolver for CachingResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let authority = uri.authority().map_or("", |a| a.as_str());
        let mut addresses = self.empty();
        let known = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let known = known.filter(|known| known.authority == authority);
        if let Some(known) = known.as_ref().filter(|known| known.is_literal || known.at.elapsed() < RESOLVE_AGAIN_AFTER)
        {
            known.addresses.iter().for_each(|address| addresses.push(*address));
            return Ok(addresses);
        }
        // Where no thread is to be had for it, ureq's resolver panics.
        let found = catch_unwind(AssertUnwindSafe(|| self.inner.resolve(uri, config, timeout)))
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::WouldBlock, "no thread to look the host up").into()));
        let found = match (found, known) {
            (Ok(found), _) => found,
            // Better an old address than none.
            (Err(_), Some(known)) => {
                known.addresses.iter().for_each(|address| addresses.push(*address));
                return Ok(addresses);
            }
            (Err(error), None) => return Err(error),
        };
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let entry = Resolved {
            authority: authority.to_owned(),
            is_literal: host.parse::<IpAddr>().is_ok(),
            at: Instant::now(),
            addresses: found.iter().copied().collect(),
        };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(entry));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_encoded_and_queries_appended() {
        let request =
            Request::new(Method::Get, "/tasks/poll/batch/{taskType}", &["a b;c?d#é%25"], ("poll", "x")).unwrap();
        let request = request.query("domain", "a&b").query_some("none", None);
        assert_eq!(request.path, "/tasks/poll/batch/a%20b%3Bc%3Fd%23%C3%A9%2525?domain=a%26b");
    }

    #[test]
    fn a_bad_segment_names_its_parameter() {
        for value in ["", ".", "..", "a/b", "a\\b", "a\nb"] {
            let error = Request::new(Method::Get, "/tasks/{taskId}", &[value], ("get task", value)).unwrap_err();
            assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains("taskId"), "{error}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_at_most_a_minute() {
        let now = httpdate::parse_http_date("Tue, 24 Nov 2026 10:00:00 GMT").unwrap();
        for (text, pause) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("99999", Some(60)),
            ("99999999999999999999999", Some(60)),
            ("Tue, 24 Nov 2026 10:00:05 GMT", Some(5)),
            ("Tue, 24 Nov 2026 09:00:00 GMT", Some(0)),
            ("abc", None),
            ("-1", None),
        ] {
            assert_eq!(parse_retry_after(text, now), pause.map(Duration::from_secs), "{text}");
        }
    }
}
