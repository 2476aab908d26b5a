//! Secrets that tasks may use, and the calls under `/secrets`, which a server has where its AI integrations are switched on.

use std::{fmt, sync::Arc};

use crate::{
    error::{Error, ErrorKind, Result},
    http::{Http, Method, Request, problem_with_name},
    json::wire,
};

/// The value of a secret. Its `Debug` does not show it, and no message of this crate holds it.
///
/// ```
/// use conductor_sync::Secret;
/// let secret = Secret::new("hush");
/// assert_eq!(format!("{secret:?}"), "Secret(***)");
/// assert_eq!(secret.reveal(), "hush");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `value` from being shown by accident.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

wire! {
    /// What a server tells of a secret without its value.
    pub struct SecretSummary {
        /// Its name.
        pub name: String = "name",
        /// The first and the last four characters of a value of more than eight, as `abcd...wxyz`; otherwise `...`.
        pub partial: Option<String> = "partial",
    }
}

/// The calls under `/secrets` but for the list of names, which is [`AdminClient::secret_names`](crate::AdminClient::secret_names).
/// From [`Client::secrets`](crate::Client::secrets). The embedded server does not serve them, nor does a server with
/// `conductor.integrations.ai.enabled=false`.
///
/// 3.32.1 takes secrets from the variables `CONDUCTOR_SECRET_…` of its process, without the prefix, and has no other store:
/// there [`SecretClient::put`] and [`SecretClient::delete`] are refused. A server has no users and no rights of its own:
/// whoever reaches it can read all values.
///
/// ```no_run
/// let secrets = conductor_sync::Client::from_env()?.secrets();
/// if secrets.exists("KEY")? {
///     println!("{} characters", secrets.value("KEY")?.reveal().len());
/// }
/// # Ok::<(), conductor_sync::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SecretClient {
    http: Arc<Http>,
}

impl SecretClient {
    pub(crate) fn new(http: Arc<Http>) -> Self {
        Self { http }
    }

    /// What there is, without values: `GET /secrets/v2`. Keys of providers of language models that the server finds in its
    /// environment are among it, although no task can use them and [`SecretClient::value`] does not know them.
    ///
    /// # Errors
    /// When the server can't be reached, has its AI integrations off or refuses.
    pub fn list(&self) -> Result<Vec<SecretSummary>> {
        let request = Request::new(Method::Get, "/secrets/v2", &[], ("list summaries of secrets", ""))?;
        self.http.send_safe(&request)?.json()
    }

    /// The value of a secret: `GET /secrets/{key}`. Without one the server is asked [`SecretClient::exists`] too, since its
    /// answer could come from any server.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is none; otherwise when `key` has other characters than `a-z`, `A-Z`, `0-9`, `_` and
    /// `-`, or the server can't be reached, has its AI integrations off or refuses.
    pub fn value(&self, key: &str) -> Result<Secret> {
        let about = ("get secret", key);
        let request = keyed(Method::Get, "/secrets/{key}", about)?;
        let answer = match self.http.send_safe(&request) {
            Err(error) if error.status() == Some(404) && !self.exists(key)? => {
                let none = Error::new(ErrorKind::NotFound, error.operation(), "there is no such secret");
                return Err(none.with_status(404));
            }
            outcome => outcome?,
        };
        if answer.body.starts_with(b"<") && !self.exists(key)? {
            // A page of something else.
            answer.done()?;
        }
        // The error holds no source, which would hold the value.
        String::from_utf8(answer.body)
            .map(Secret)
            .map_err(|_| Error::new(ErrorKind::Decode, format!("{} {key}", about.0), "the value is no text in UTF-8"))
    }

    /// Sets the value of a secret, whether or not there is one: `PUT /secrets/{key}`.
    ///
    /// # Errors
    /// When `value` is empty, `key` is as it must not be for [`SecretClient::value`], the server's secrets can't be written,
    /// as those of 3.32.1 (it answers 501), or the server can't be reached, has its AI integrations off or refuses.
    pub fn put(&self, key: &str, value: &Secret) -> Result<()> {
        let about = ("put secret", key);
        if value.0.is_empty() {
            return Err(Error::invalid(about.0, "value must not be empty"));
        }
        self.http.send_safe(&keyed(Method::Put, "/secrets/{key}", about)?.text(&value.0))?.done()
    }

    /// Deletes a secret: `DELETE /secrets/{key}`.
    ///
    /// # Errors
    /// As [`SecretClient::put`].
    pub fn delete(&self, key: &str) -> Result<()> {
        self.http.send_safe(&keyed(Method::Delete, "/secrets/{key}", ("delete secret", key))?)?.done()
    }

    /// Whether there is such a secret: `GET /secrets/{key}/exists`.
    ///
    /// # Errors
    /// When `key` is as it must not be for [`SecretClient::value`], or the server can't be reached, has its AI integrations
    /// off or refuses.
    pub fn exists(&self, key: &str) -> Result<bool> {
        self.http.send_safe(&keyed(Method::Get, "/secrets/{key}/exists", ("look for secret", key))?)?.json()
    }
}

/// A request about one secret. The server takes `v2` for another route (3.32.1).
fn keyed<'a>(method: Method, route: &'static str, about: (&'static str, &'a str)) -> Result<Request<'a>> {
    let key = about.1;
    if problem_with_name("key", key).is_none() && !key.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)) {
        return Err(Error::invalid(about.0, "key must be of the characters a-z, A-Z, 0-9, _ and - alone"));
    }
    if key == "v2" {
        return Err(Error::invalid(about.0, "key is `v2`, which the server takes for another route"));
    }
    Request::new(method, route, &[key], about)
}
