//! One call about many workflows: the calls under `/workflow/bulk`.

use std::{
    collections::{BTreeMap, HashSet},
    hash::Hash,
    sync::Arc,
};

use serde::{Deserialize, de::DeserializeOwned};

use super::{Removal, Workflow, WorkflowClient};
use crate::{
    error::{Error, Result},
    http::{Http, Method, Request},
};

/// The server refuses more in one call (3.32.1).
const MOST_IDS: usize = 1000;

/// What became of each part of a call about many things.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
#[non_exhaustive]
#[must_use = "what failed is told in here only"]
pub struct BulkOutcome<T = String> {
    /// What was done, or found.
    #[serde(default = "Vec::new", rename = "bulkSuccessfulResults")]
    pub successes: Vec<T>,
    /// Why the others were not, by id.
    #[serde(default, rename = "bulkErrorResults")]
    pub errors: BTreeMap<String, String>,
}

impl<T> BulkOutcome<T> {
    /// Whether nothing failed.
    pub fn is_complete(&self) -> bool {
        self.errors.is_empty()
    }
}

/// The calls under `/workflow/bulk`, each about 1 to 1,000 workflows. From [`WorkflowClient::bulk`].
///
/// A call succeeds when it was heard; what it did for each workflow is in the [`BulkOutcome`].
///
/// ```no_run
/// let client = conductor_sync::Client::from_env()?;
/// let ids = ["id-1", "id-2"];
/// for (id, reason) in client.workflows().bulk().terminate(&ids, Some("not needed"))?.errors {
///     eprintln!("{id}: {reason}");
/// }
/// # Ok::<(), conductor_sync::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct WorkflowBulkClient {
    http: Arc<Http>,
}

impl WorkflowClient {
    /// The calls about many workflows at once.
    pub fn bulk(&self) -> WorkflowBulkClient {
        WorkflowBulkClient { http: Arc::clone(&self.http) }
    }
}

/// A call: method, route, what it is about.
type Call = (Method, &'static str, &'static str);

impl WorkflowBulkClient {
    /// As [`WorkflowClient::pause`] for each: `PUT /workflow/bulk/pause`.
    ///
    /// # Errors
    /// When the list is empty, longer than 1,000 or holds an empty id, or the server can't be reached or refuses.
    pub fn pause<I: AsRef<str>>(&self, workflow_ids: &[I]) -> Result<BulkOutcome> {
        self.steer((Method::Put, "/workflow/bulk/pause", "pause workflows"), workflow_ids, &[])
    }

    /// As [`WorkflowClient::resume`] for each: `PUT /workflow/bulk/resume`.
    ///
    /// # Errors
    /// When the list is empty, longer than 1,000 or holds an empty id, or the server can't be reached or refuses.
    pub fn resume<I: AsRef<str>>(&self, workflow_ids: &[I]) -> Result<BulkOutcome> {
        self.steer((Method::Put, "/workflow/bulk/resume", "resume workflows"), workflow_ids, &[])
    }

    /// As [`WorkflowClient::restart`] for each: `POST /workflow/bulk/restart`.
    ///
    /// # Errors
    /// When the list is empty, longer than 1,000 or holds an empty id, or the server can't be reached or refuses.
    pub fn restart<I: AsRef<str>>(&self, workflow_ids: &[I]) -> Result<BulkOutcome> {
        let call = (Method::Post, "/workflow/bulk/restart", "restart workflows");
        self.steer(call, workflow_ids, &[("useLatestDefinitions", "false")])
    }

    /// As [`WorkflowClient::restart_with_latest_definition`] for each: `POST /workflow/bulk/restart`.
    ///
    /// # Errors
    /// When the list is empty, longer than 1,000 or holds an empty id, or the server can't be reached or refuses.
    pub fn restart_with_latest_definitions<I: AsRef<str>>(&self, workflow_ids: &[I]) -> Result<BulkOutcome> {
        let call = (Method::Post, "/workflow/bulk/restart", "restart workflows");
        self.steer(call, workflow_ids, &[("useLatestDefinitions", "true")])
    }

    /// As [`WorkflowClient::retry`] for each: `POST /workflow/bulk/retry`.
    ///
    /// # Errors
    /// When the list is empty, longer than 1,000 or holds an empty id, or the server can't be reached or refuses.
    pub fn retry<I: AsRef<str>>(&self, workflow_ids: &[I]) -> Result<BulkOutcome> {
        self.steer((Method::Post, "/workflow/bulk/retry", "retry workflows"), workflow_ids, &[])
    }

    /// As [`WorkflowClient::terminate`] for each: `POST /workflow/bulk/terminate`.
    ///
    /// # Errors
    /// When the list is empty, longer than 1,000 or holds an empty id, or the server can't be reached or refuses.
    pub fn terminate<I: AsRef<str>>(&self, workflow_ids: &[I], reason: Option<&str>) -> Result<BulkOutcome> {
        let reason: Vec<_> = reason.map(|reason| ("reason", reason)).into_iter().collect();
        self.steer((Method::Post, "/workflow/bulk/terminate", "terminate workflows"), workflow_ids, &reason)
    }

    /// As [`WorkflowClient::remove`] for each: `DELETE /workflow/bulk/remove`.
    ///
    /// # Errors
    /// When the list is empty, longer than 1,000 or holds an empty id, or the server can't be reached or refuses.
    pub fn remove<I: AsRef<str>>(&self, workflow_ids: &[I], removal: Removal) -> Result<BulkOutcome> {
        let call = (Method::Delete, "/workflow/bulk/remove", "remove workflows");
        self.steer(call, workflow_ids, &[("archiveWorkflow", removal.archives())])
    }

    /// As [`WorkflowClient::terminate_and_remove`] for each: `DELETE /workflow/bulk/terminate-remove`.
    ///
    /// # Errors
    /// When the list is empty, longer than 1,000 or holds an empty id, or the server can't be reached or refuses.
    pub fn terminate_and_remove<I: AsRef<str>>(
        &self,
        workflow_ids: &[I],
        reason: Option<&str>,
        removal: Removal,
    ) -> Result<BulkOutcome> {
        let mut params = vec![("archiveWorkflow", removal.archives())];
        params.extend(reason.map(|reason| ("reason", reason)));
        let call = (Method::Delete, "/workflow/bulk/terminate-remove", "terminate and remove workflows");
        self.steer(call, workflow_ids, &params)
    }

    /// Many workflows with their tasks: `POST /workflow/bulk/search`. What `errors` holds was not found.
    ///
    /// The server writes them in its inner form here (3.32.1): some fields of [`Workflow`] are missing, such as its name, which
    /// is in the definition, and others are in its unknown fields.
    ///
    /// # Errors
    /// When the list is empty, longer than 1,000 or holds an empty id, or the server can't be reached or refuses.
    pub fn get<I: AsRef<str>>(&self, workflow_ids: &[I]) -> Result<BulkOutcome<Workflow>> {
        self.call(GET, workflow_ids, &[("includeTasks", "true")])
    }

    /// As [`WorkflowBulkClient::get`] without the tasks: `POST /workflow/bulk/search`.
    ///
    /// # Errors
    /// When the list is empty, longer than 1,000 or holds an empty id, or the server can't be reached or refuses.
    pub fn without_tasks<I: AsRef<str>>(&self, workflow_ids: &[I]) -> Result<BulkOutcome<Workflow>> {
        self.call(GET, workflow_ids, &[("includeTasks", "false")])
    }

    /// A call that answers ids, some of which the server names twice (3.32.1).
    fn steer<I: AsRef<str>>(&self, call: Call, ids: &[I], params: &[(&str, &str)]) -> Result<BulkOutcome> {
        let mut outcome: BulkOutcome = self.call(call, ids, params)?;
        keep_first(&mut outcome.successes);
        Ok(outcome)
    }

    fn call<I: AsRef<str>, T: DeserializeOwned>(
        &self,
        (method, route, verb): Call,
        workflow_ids: &[I],
        params: &[(&str, &str)],
    ) -> Result<BulkOutcome<T>> {
        let ids = check_ids(verb, "workflow_ids", workflow_ids)?;
        let mut request = Request::new(method, route, &[], (verb, ""))?.json(&ids)?;
        for (name, value) in params {
            request = request.query(name, value);
        }
        self.http.send(&request)?.json()
    }
}

/// The ids of a call about many workflows, which is what executions of agents are too.
pub(crate) fn check_ids<'a, I: AsRef<str>>(verb: &str, name: &str, ids: &'a [I]) -> Result<Vec<&'a str>> {
    let ids: Vec<&str> = ids.iter().map(AsRef::as_ref).collect();
    if !(1..=MOST_IDS).contains(&ids.len()) {
        let message = format!("{name} holds {} ids; it must hold from 1 to 1,000", ids.len());
        return Err(Error::invalid(verb, message));
    }
    if ids.contains(&"") {
        return Err(Error::invalid(verb, format!("{name} must not hold an empty id")));
    }
    Ok(ids)
}

const GET: Call = (Method::Post, "/workflow/bulk/search", "get workflows");

fn keep_first<T: Hash + Eq + Clone>(items: &mut Vec<T>) {
    let mut seen = HashSet::new();
    items.retain(|item| seen.insert(item.clone()));
}
