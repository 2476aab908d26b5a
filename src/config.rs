//! [`Config`]: where the server is and how to talk to it. The only reader of the environment.

use std::{collections::BTreeMap, env, fmt, net::Ipv6Addr, time::Duration};

use crate::error::{Error, Result};

/// Every environment variable this crate reads.
///
/// | name | meaning | default |
/// |---|---|---|
/// | `CONDUCTOR_SERVER_URL` | the server's address, with or without `/api` | `http://localhost:8080/api` |
/// | `CONDUCTOR_AUTH_KEY`, `CONDUCTOR_AUTH_SECRET` | credentials, both or neither | none |
/// | `CONDUCTOR_CONNECT_TIMEOUT_MS` | how long a connection may take | 5000 |
/// | `CONDUCTOR_REQUEST_TIMEOUT_MS` | how long a whole request may take | 15000 |
///
/// `http.rs` lets ureq read the usual names of a proxy besides: `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`.
const SERVER_URL: &str = "CONDUCTOR_SERVER_URL";
const AUTH_KEY: &str = "CONDUCTOR_AUTH_KEY";
const AUTH_SECRET: &str = "CONDUCTOR_AUTH_SECRET";
const CONNECT_TIMEOUT_MS: &str = "CONDUCTOR_CONNECT_TIMEOUT_MS";
const REQUEST_TIMEOUT_MS: &str = "CONDUCTOR_REQUEST_TIMEOUT_MS";

const DEFAULT_URL: &str = "http://localhost:8080/api";

/// Longer times are as good as this one, which can be added to an `Instant`.
const LONGEST: Duration = Duration::from_secs(30 * 365 * 86_400);

/// Where the server is and how to talk to it.
///
/// ```
/// use std::time::Duration;
/// use conductor_sync::Config;
/// let config = Config::new("http://conductor.example:8080")?.request_timeout(Duration::from_secs(20));
/// assert_eq!(config.server_url(), "http://conductor.example:8080/api");
/// # Ok::<(), conductor_sync::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Config {
    base: String,
    /// Nobody has named a server.
    is_default: bool,
    credentials: Option<Credentials>,
    connect_timeout: Duration,
    request_timeout: Duration,
    max_answer_bytes: u64,
}

/// A key and its secret; the secret is never shown.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    #[expect(
        dead_code,
        reason = "sent once the token exchange of servers with accounts is there; the open-source server has none"
    )]
    key: String,
    #[expect(dead_code, reason = "see `key`")]
    secret: Secret,
}

#[derive(Clone)]
struct Secret(#[expect(dead_code, reason = "see `Credentials::key`")] String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The value of a variable, where it is set.
fn variable(name: &'static str) -> Result<Option<String>> {
    #[expect(clippy::disallowed_methods, reason = "this is the one reader of the environment")]
    match env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(Error::invalid(name, "is no UTF-8")),
    }
}

impl Config {
    /// A server at `url`: `http` or `https`, a host name or address, a port and a path prefix where needed.
    ///
    /// `/api` is added unless the path ends in it; a trailing slash does not matter.
    ///
    /// # Errors
    /// When `url` has no scheme or another one, no host, a bad port, credentials, a query or a fragment.
    pub fn new(url: &str) -> Result<Self> {
        Ok(Self {
            base: normalise(url)?,
            is_default: false,
            credentials: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(15),
            max_answer_bytes: 64 << 20,
        })
    }

    /// Reads the environment: `CONDUCTOR_SERVER_URL` (`http://localhost:8080/api` when unset), `CONDUCTOR_AUTH_KEY` with
    /// `CONDUCTOR_AUTH_SECRET`, `CONDUCTOR_CONNECT_TIMEOUT_MS`, `CONDUCTOR_REQUEST_TIMEOUT_MS`. A blank value is an unset
    /// one. A client goes through the proxy that `ALL_PROXY`, `HTTPS_PROXY` or `HTTP_PROXY` names, in this order and for any
    /// server, unless `NO_PROXY` excepts the host or the server is on this machine; SOCKS proxies are not supported.
    ///
    /// # Errors
    /// When a value can't be used; the error names the variable.
    pub fn from_env() -> Result<Self> {
        let names = [SERVER_URL, AUTH_KEY, AUTH_SECRET, CONNECT_TIMEOUT_MS, REQUEST_TIMEOUT_MS];
        let set = names.into_iter().map(|name| Ok((name, variable(name)?))).collect::<Result<BTreeMap<_, _>>>()?;
        Self::from_lookup(|name| set.get(name).cloned().flatten())
    }

    /// As [`Config::from_env`], but `None` when `CONDUCTOR_SERVER_URL` is not set: for programs that then use a server of
    /// their own, such as the embedded one.
    ///
    /// # Errors
    /// When a value can't be used; the error names the variable.
    pub fn from_env_if_set() -> Result<Option<Self>> {
        let is_set = variable(SERVER_URL)?.is_some_and(|url| !url.trim().is_empty());
        if is_set { Self::from_env().map(Some) } else { Ok(None) }
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let read = |name: &str| lookup(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let millis = |name: &'static str| match read(name) {
            None => Ok(None),
            Some(text) => match text.parse() {
                Ok(ms) if ms > 0 => Ok(Some(Duration::from_millis(ms))),
                _ => Err(Error::invalid(name, format!("`{text}` is no number of milliseconds above 0"))),
            },
        };
        let url = read(SERVER_URL).unwrap_or_else(|| DEFAULT_URL.to_owned());
        let mut config = Self::new(&url).map_err(|e| Error::invalid(SERVER_URL, e.to_string()).with_source(e))?;
        config.is_default = read(SERVER_URL).is_none();
        match (read(AUTH_KEY), read(AUTH_SECRET)) {
            (None, None) => {}
            (Some(key), Some(secret)) => config = config.credentials(key, secret),
            (Some(_), None) => return Err(Error::invalid(AUTH_SECRET, "is missing, while CONDUCTOR_AUTH_KEY is set")),
            (None, Some(_)) => return Err(Error::invalid(AUTH_KEY, "is missing, while CONDUCTOR_AUTH_SECRET is set")),
        }
        config.connect_timeout = millis(CONNECT_TIMEOUT_MS)?.unwrap_or(config.connect_timeout);
        config.request_timeout = millis(REQUEST_TIMEOUT_MS)?.unwrap_or(config.request_timeout);
        Ok(config)
    }

    /// Sets the server's address, by the rules of [`Config::new`], and keeps all else: for programs that take their server
    /// from elsewhere than the environment.
    ///
    /// ```
    /// use conductor_sync::Config;
    /// let config = Config::from_env()?.with_server_url("http://conductor.example:8080")?;
    /// assert_eq!(config.server_url(), "http://conductor.example:8080/api");
    /// # Ok::<(), conductor_sync::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Config::new`].
    pub fn with_server_url(mut self, url: &str) -> Result<Self> {
        self.base = normalise(url)?;
        self.is_default = false;
        Ok(self)
    }

    /// Sets the credentials of a server with accounts.
    ///
    /// This version keeps them but does not exchange them for a token yet: requests go out without one, and a client
    /// made with them logs a warning. The open-source server has no accounts and needs none.
    pub fn credentials(mut self, key: impl Into<String>, secret: impl Into<String>) -> Self {
        self.credentials = Some(Credentials { key: key.into(), secret: Secret(secret.into()) });
        self
    }

    /// Sets how long a connection may take, TLS included. Defaults to 5 s.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// Sets how long a whole request may take, from the first byte out to the last byte in; a poll's hold on the server
    /// counts. Defaults to 15 s.
    pub fn request_timeout(mut self, limit: Duration) -> Self {
        self.request_timeout = limit;
        self
    }

    /// Sets the largest answer that is read, bytes. Defaults to 64 MiB.
    pub fn max_answer_bytes(mut self, bytes: u64) -> Self {
        self.max_answer_bytes = bytes;
        self
    }

    /// The server's address as it is used: with `/api`, without a trailing slash.
    pub fn server_url(&self) -> &str {
        &self.base
    }

    pub(crate) fn has_credentials(&self) -> bool {
        self.credentials.is_some()
    }

    /// # Errors
    /// When one of them lets nothing through.
    pub(crate) fn limits(&self) -> Result<(Duration, Duration, u64)> {
        let limits = [
            ("connect_timeout", self.connect_timeout.is_zero()),
            ("request_timeout", self.request_timeout.is_zero()),
            ("max_answer_bytes", self.max_answer_bytes == 0),
        ];
        if let Some((name, _)) = limits.into_iter().find(|(_, is_zero)| *is_zero) {
            return Err(Error::invalid("create client", format!("Config::{name} must not be 0")));
        }
        Ok((self.connect_timeout.min(LONGEST), self.request_timeout.min(LONGEST), self.max_answer_bytes))
    }

    /// Where the address comes from, for errors, when it is not from the user.
    pub(crate) fn origin(&self) -> &'static str {
        if self.is_default { " (the default, since CONDUCTOR_SERVER_URL is not set)" } else { "" }
    }

    /// Whether the server is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let authority = self.base.split('/').nth(2).unwrap_or_default();
        let host = authority.rsplit_once(':').map_or(authority, |(host, port)| match port.ends_with(']') {
            true => authority,
            false => host,
        });
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        host == "localhost" || host == "[::1]" || host.starts_with("127.")
    }
}

/// Checks a base URL and brings it into the one form that is used.
fn normalise(url: &str) -> Result<String> {
    let bad = |message: &str| Err(Error::invalid("server URL", format!("`{}` {message}", without_credentials(url))));
    let url = url.trim();
    let Some((scheme, rest)) = url.split_once("://") else {
        return bad("has no scheme: write it as http://HOST:PORT/api");
    };
    let scheme = scheme.to_ascii_lowercase();
    if scheme != "http" && scheme != "https" {
        return bad("is neither http nor https");
    }
    if scheme == "https" && !cfg!(feature = "rustls") {
        return bad("is https, and this build has no TLS: turn on the feature `rustls`");
    }
    if rest.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#' | '\\' | '"' | '<' | '>')) {
        return bad("holds a blank, a query, a fragment or another character that a base URL can't have");
    }
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    if authority.contains('@') {
        return bad(
            "holds credentials: give them with Config::credentials or CONDUCTOR_AUTH_KEY and CONDUCTOR_AUTH_SECRET",
        );
    }
    if let Some(problem) = problem_of(authority) {
        return bad(problem);
    }
    let path = path.trim_end_matches('/');
    let api = if path == "/api" || path.ends_with("/api") { "" } else { "/api" };
    Ok(format!("{scheme}://{authority}{path}{api}"))
}

/// What is wrong with a host and its port.
fn problem_of(authority: &str) -> Option<&'static str> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|n| n > 0);
    if host.is_empty() {
        Some("has no host")
    } else if authority.parse::<Ipv6Addr>().is_ok() || host.parse::<Ipv6Addr>().is_ok() {
        Some("has a bare IPv6 address: put it into brackets, as in http://[::1]:8080/api")
    } else if let Some(address) = host.strip_prefix('[') {
        let is_address = address.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
        let is_right = is_address && port.is_none_or(is_port);
        (!is_right).then_some("has no IPv6 address in its brackets, or a bad port: write it as http://[::1]:8080/api")
    } else if host.contains(':') {
        Some("has more than one port: write it as http://HOST:PORT/api")
    } else if host.contains(['[', ']']) {
        Some("has a bracket in its host: only an IPv6 address is in brackets, as in http://[::1]:8080/api")
    } else if !host.is_ascii() {
        Some("has a host name with characters beyond ASCII: write it in its xn-- form (Punycode)")
    } else if !port.is_none_or(is_port) {
        Some("has a port that is no number from 1 to 65535")
    } else {
        None
    }
}

/// A URL fit for a message.
fn without_credentials(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}://***{}", &url[..scheme], &url[at..]),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_url_has_one_form() {
        for (given, used) in [
            ("http://localhost:8080", "http://localhost:8080/api"),
            ("http://localhost:8080/", "http://localhost:8080/api"),
            ("http://localhost:8080/api", "http://localhost:8080/api"),
            (" http://localhost:8080/api/ ", "http://localhost:8080/api"),
            ("HTTP://host/conductor", "http://host/conductor/api"),
            ("http://host/conductor/api/", "http://host/conductor/api"),
            ("http://[::1]:8080", "http://[::1]:8080/api"),
            ("http://[fe80::1]", "http://[fe80::1]/api"),
        ] {
            assert_eq!(Config::new(given).unwrap().server_url(), used, "{given}");
        }
    }

    #[test]
    fn a_bad_server_url_says_what_to_do() {
        for (given, says) in [
            ("localhost:8080", "no scheme"),
            ("", "no scheme"),
            ("ftp://host", "neither http nor https"),
            ("http://", "no host"),
            ("http://:80", "no host"),
            ("http://host:99999", "port"),
            ("http://host:", "port"),
            ("http://host:+80", "port"),
            ("http://host:0", "port"),
            ("http://::1/api", "bare IPv6"),
            ("http://fe80::1:8080", "bare IPv6"),
            ("http://[]", "no IPv6 address"),
            ("http://[zz]:80", "no IPv6 address"),
            ("http://[::1", "no IPv6 address"),
            ("http://[::1]x:80", "no IPv6 address"),
            ("http://[::1]:+80", "bad port"),
            ("http://localhost:80:80", "more than one port"),
            ("http://ho]st", "bracket in its host"),
            ("http://hôst", "xn--"),
            ("http://host/api?x=1", "query"),
            ("http://host/a b", "blank"),
        ] {
            let error = Config::new(given).unwrap_err().to_string();
            assert!(error.contains(says), "{given}: {error}");
        }
    }

    #[test]
    fn another_server_url_keeps_all_else() {
        let values = [(AUTH_KEY, "k"), (AUTH_SECRET, "s"), (CONNECT_TIMEOUT_MS, "7"), (REQUEST_TIMEOUT_MS, "8")];
        let lookup = |asked: &str| values.iter().find(|(name, _)| *name == asked).map(|(_, value)| (*value).to_owned());
        let config = Config::from_lookup(lookup).unwrap().max_answer_bytes(9).with_server_url("http://host").unwrap();
        assert_eq!((config.server_url(), config.origin()), ("http://host/api", ""));
        assert!(config.has_credentials());
        assert_eq!(config.limits().unwrap(), (Duration::from_millis(7), Duration::from_millis(8), 9));
        assert!(config.with_server_url("host").is_err());
    }

    #[test]
    fn a_limit_of_nothing_is_refused() {
        let config = Config::new("http://host").unwrap();
        for (name, bad) in [
            ("connect_timeout", config.clone().connect_timeout(Duration::ZERO)),
            ("request_timeout", config.clone().request_timeout(Duration::ZERO)),
            ("max_answer_bytes", config.clone().max_answer_bytes(0)),
        ] {
            let error = bad.limits().unwrap_err().to_string();
            assert_eq!(error, format!("create client: Config::{name} must not be 0"));
        }
    }

    #[test]
    fn credentials_in_a_url_are_refused_and_not_shown() {
        let error = Config::new("http://key:hunter2@host/api").unwrap_err().to_string();
        assert!(error.contains("Config::credentials") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn the_environment_is_read_once_and_blank_is_unset() {
        let config = Config::from_lookup(|name| (name == AUTH_KEY).then(String::new)).unwrap();
        assert_eq!(config.server_url(), DEFAULT_URL);
        assert!(!config.has_credentials());
    }

    #[test]
    fn a_bad_value_in_the_environment_names_its_variable() {
        for (name, value) in [
            (SERVER_URL, "host"),
            (AUTH_KEY, "k"),
            (AUTH_SECRET, "s"),
            (CONNECT_TIMEOUT_MS, "soon"),
            (REQUEST_TIMEOUT_MS, "0"),
        ] {
            let error = Config::from_lookup(|asked| (asked == name).then(|| value.to_owned())).unwrap_err().to_string();
            assert!(error.contains(name), "{name}: {error}");
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        let config = Config::new("http://host").unwrap().credentials("k", "hunter2");
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn loopback_is_known() {
        for (url, loopback) in [
            ("http://localhost", true),
            ("http://127.0.0.1:8", true),
            ("http://[::1]:8", true),
            ("http://[::1]", true),
            ("http://host:8", false),
        ] {
            assert_eq!(Config::new(url).unwrap().is_loopback(), loopback, "{url}");
        }
    }

    #[test]
    fn an_address_that_nobody_named_is_told_as_the_default() {
        let read =
            |url: Option<&str>| Config::from_lookup(|name| url.filter(|_| name == SERVER_URL).map(str::to_owned));
        assert!(read(None).unwrap().origin().contains("CONDUCTOR_SERVER_URL is not set"));
        assert!(read(Some("  ")).unwrap().origin().contains("CONDUCTOR_SERVER_URL is not set"));
        assert_eq!(read(Some("http://localhost:8080")).unwrap().origin(), "");
    }
}
