//! One call about many executions. Unlike those about workflows, the server ends such a call with the first execution that it
//! can't do it to (3.32.1): those before it are done, those behind it are not, and the answer is about that one.

use super::AgentClient;
use crate::{
    error::Result,
    http::{Method, Request},
    workflow::check_ids,
};

impl AgentClient {
    /// As [`AgentClient::pause`] for each: `PUT /agent/executions/bulk/pause`. An execution that can't be paused ends the call:
    /// those before it are paused, those behind it are not.
    ///
    /// # Errors
    /// When the list is empty, longer than 1,000 or holds an empty id; otherwise as [`AgentClient::pause`] for the first
    /// execution that has one.
    pub fn pause_all<I: AsRef<str>>(&self, execution_ids: &[I]) -> Result<()> {
        self.all(Method::Put, "/agent/executions/bulk/pause", "pause agent executions", execution_ids, None)
    }

    /// As [`AgentClient::resume`] for each: `PUT /agent/executions/bulk/resume`. As with [`AgentClient::pause_all`], an error
    /// ends the call.
    ///
    /// # Errors
    /// As [`AgentClient::pause_all`].
    pub fn resume_all<I: AsRef<str>>(&self, execution_ids: &[I]) -> Result<()> {
        self.all(Method::Put, "/agent/executions/bulk/resume", "resume agent executions", execution_ids, None)
    }

    /// As [`AgentClient::restart`] for each: `POST /agent/executions/bulk/restart`. As with [`AgentClient::pause_all`], an error
    /// ends the call.
    ///
    /// # Errors
    /// As [`AgentClient::pause_all`].
    pub fn restart_all<I: AsRef<str>>(&self, execution_ids: &[I]) -> Result<()> {
        self.all(Method::Post, "/agent/executions/bulk/restart", "restart agent executions", execution_ids, None)
    }

    /// As [`AgentClient::restart_all`], with the agents as they are now: `POST /agent/executions/bulk/restart`.
    ///
    /// # Errors
    /// As [`AgentClient::pause_all`].
    pub fn restart_all_with_latest_definitions<I: AsRef<str>>(&self, execution_ids: &[I]) -> Result<()> {
        let latest = Some(("useLatestDefinitions", "true"));
        self.all(Method::Post, "/agent/executions/bulk/restart", "restart agent executions", execution_ids, latest)
    }

    /// As [`AgentClient::retry`] for each: `POST /agent/executions/bulk/retry`. As with [`AgentClient::pause_all`], an error
    /// ends the call.
    ///
    /// # Errors
    /// As [`AgentClient::pause_all`].
    pub fn retry_all<I: AsRef<str>>(&self, execution_ids: &[I]) -> Result<()> {
        self.all(Method::Post, "/agent/executions/bulk/retry", "retry agent executions", execution_ids, None)
    }

    /// As [`AgentClient::cancel`] for each: `POST /agent/executions/bulk/terminate`. As with [`AgentClient::pause_all`], an error
    /// ends the call.
    ///
    /// # Errors
    /// As [`AgentClient::pause_all`].
    pub fn cancel_all<I: AsRef<str>>(&self, execution_ids: &[I], reason: Option<&str>) -> Result<()> {
        let reason = reason.map(|reason| ("reason", reason));
        self.all(Method::Post, "/agent/executions/bulk/terminate", "cancel agent executions", execution_ids, reason)
    }

    fn all<I: AsRef<str>>(
        &self,
        method: Method,
        route: &'static str,
        verb: &'static str,
        ids: &[I],
        param: Option<(&str, &str)>,
    ) -> Result<()> {
        let ids = check_ids(verb, "execution_ids", ids)?;
        let mut request = Request::new(method, route, &[], (verb, ""))?.json(&ids)?;
        if let Some((name, value)) = param {
            request = request.query(name, value);
        }
        self.http.send(&request)?.done()
    }
}
