//! What operators ask a server: configuration, queues, repair, environment, version, health.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    error::{Error, ErrorKind, Result},
    http::{Http, Method, Request},
    json::{JsonMap, RawJson, wire},
    task::{Task, TaskResultStatus, check_report},
};

wire! {
    /// A value of the server's environment.
    pub struct EnvironmentValue {
        /// Its name.
        pub name: String = "name",
        /// The value.
        pub value: Option<String> = "value",
    }
}

wire! {
    /// What the server says of its health. 3.32.1 always says that it is well, whatever its database does.
    pub struct ServerHealth {
        /// Whether it is well.
        pub healthy: bool = "healthy",
        /// What was looked at.
        pub health_results: Vec<RawJson> = "healthResults",
        /// What was looked at and does not count.
        pub suppressed_health_results: Vec<RawJson> = "suppressedHealthResults",
    }
}

wire! {
    /// A provider of language models, as the server sees it.
    pub struct Provider {
        /// Its name, as `openai`.
        pub name: String = "name",
        /// Whether the server can make a client for it. 3.32.1 says so of some without a key too, whose calls then fail.
        pub configured: bool = "configured",
        /// Its address, where that is not the provider's own.
        pub base_url: Option<String> = "baseUrl",
        /// Whether something answers at `base_url`. Told of `ollama` alone, which the server asks for this.
        pub reachable: Option<bool> = "reachable",
    }
}

wire! {
    /// The providers of language models that a server knows.
    pub struct Providers {
        /// Whether a program that the server is a part of decides about providers; `providers` may then be empty. 3.32.1: never.
        pub managed_by_host: bool = "managedByHost",
        /// Each of them.
        pub providers: Vec<Provider> = "providers",
    }
}

/// The calls under `/admin`, `/queue`, `/environment`, `/secrets`, `/providers`, `/health` and `/version`. From
/// [`Client::admin`](crate::Client::admin). The embedded server does not serve all of them.
///
/// ```no_run
/// let admin = conductor_sync::Client::from_env()?.admin();
/// println!("{} healthy={}", admin.version()?, admin.health()?.healthy);
/// # Ok::<(), conductor_sync::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AdminClient {
    http: Arc<Http>,
}

impl AdminClient {
    pub(crate) fn new(http: Arc<Http>) -> Self {
        Self { http }
    }

    fn read<T: serde::de::DeserializeOwned>(&self, route: &'static str, verb: &'static str) -> Result<T> {
        self.http.send_safe(&Request::new(Method::Get, route, &[], (verb, ""))?)?.json()
    }

    /// The settings and system properties of the server's process: `GET /admin/config`. They may hold secrets.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn config(&self) -> Result<JsonMap> {
        self.read("/admin/config", "get configuration")
    }

    /// Tasks of a type that are not done, `count` of them from the place `start`: `GET /admin/task/{taskType}`. Empty where
    /// nobody knows the type.
    ///
    /// # Errors
    /// When `task_type` can't stand in a path, `count` is 0, or the server can't be reached or refuses.
    pub fn pending_tasks(&self, task_type: &str, start: u16, count: u16) -> Result<Vec<Task>> {
        let about = ("list pending tasks", task_type);
        if count == 0 {
            return Err(Error::invalid(about.0, "count must be at least 1"));
        }
        let request = Request::new(Method::Get, "/admin/task/{taskType}", &[task_type], about)?
            .query("start", &start.to_string())
            .query("count", &count.to_string());
        self.http.send_safe(&request)?.json()
    }

    /// Puts a workflow into the queue of those to be looked at: `POST /admin/sweep/requeue/{workflowId}`. Says whether it was
    /// put there: false when it is queued already, which this does not hurry. The server does not check that it exists.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn requeue_sweep(&self, workflow_id: &str) -> Result<bool> {
        self.post_flag("/admin/sweep/requeue/{workflowId}", ("requeue sweep of workflow", workflow_id))
    }

    /// Lets the server compare the queues with a workflow and repair them, and says whether it did:
    /// `POST /admin/consistency/verifyAndRepair/{workflowId}`. What it says is about the last task alone (3.32.1): it may have
    /// put the workflow or another task into a queue although this is false.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the workflow does not exist (the server answers 500). Otherwise when the server has
    /// `conductor.workflow-repair-service.enabled` off, which is its default (500 too), can't be reached or refuses.
    pub fn verify_and_repair(&self, workflow_id: &str) -> Result<bool> {
        let about = ("verify and repair workflow", workflow_id);
        self.post_flag("/admin/consistency/verifyAndRepair/{workflowId}", about).map_err(|error| {
            match error.server_message() {
                Some(message) if message.ends_with("because \"workflow\" is null") => error.into_not_found(),
                _ => error,
            }
        })
    }

    /// The answer is `true` or `false`, with or without the id behind a dot.
    fn post_flag(&self, route: &'static str, about: (&'static str, &str)) -> Result<bool> {
        let request = Request::new(Method::Post, route, &[about.1], about)?;
        let text = self.http.send(&request)?.text()?;
        match text.split('.').next() {
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            _ => Err(Error::new(ErrorKind::Decode, format!("{} {}", about.0, about.1), "the answer is no truth value")),
        }
    }

    /// The queues that event handlers listen to: `GET /admin/queues`.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn queues(&self) -> Result<JsonMap> {
        self.read("/admin/queues", "list event queues")
    }

    /// As [`AdminClient::queues`], with their sizes.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn queues_verbose(&self) -> Result<JsonMap> {
        self.read("/admin/queues?verbose=true", "list event queues")
    }

    /// The queues through which tasks can be updated, by the status that each one sets: `GET /queue/`. Empty unless the server
    /// has a default event queue.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn status_queues(&self) -> Result<BTreeMap<String, String>> {
        // Without the slash there is no such route.
        self.read("/queue/", "list status queues")
    }

    /// How many messages wait in each of [`AdminClient::status_queues`]: `GET /queue/size`.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn status_queue_sizes(&self) -> Result<BTreeMap<String, i64>> {
        self.read("/queue/size", "get sizes of status queues")
    }

    /// An update of a task through a queue: `POST /queue/update/{workflowId}/{reference}/{status}` or
    /// `POST /queue/update/{workflowId}/task/{taskId}/{status}`. The output holds the message, the output of the update
    /// among it. The server does not tell when there is no such task: what nobody waits for is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] when the server has no queue for the status, which is its default; otherwise when the server
    /// can't be reached or refuses.
    pub fn update_through_queue(&self, update: &QueueUpdate) -> Result<()> {
        let QueueUpdate { workflow_id, task, by_id, status, output } = update;
        let (route, verb) = match by_id {
            true => ("/queue/update/{workflowId}/task/{taskId}/{status}", "update through queue task"),
            false => ("/queue/update/{workflowId}/{reference}/{status}", "update through queue task"),
        };
        check_report((verb, task), status, output)?;
        let values = [workflow_id.as_str(), task, status.as_str()];
        let request = Request::new(Method::Post, route, &values, (verb, task))?.json(output)?;
        self.http.send(&request)?.done()
    }

    /// The values of the server's environment that tasks may use: `GET /environment`. See
    /// [`workflow_environment`](crate::workflow_environment).
    ///
    /// 3.32.1 takes them from the variables `CONDUCTOR_ENV_…` of its process, without the prefix.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn environment(&self) -> Result<Vec<EnvironmentValue>> {
        self.read("/environment", "list environment")
    }

    /// One value of [`AdminClient::environment`]: `GET /environment/{name}`. `None` where there is none or it is empty, which
    /// the server does not tell apart.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn environment_value(&self, name: &str) -> Result<Option<String>> {
        let request = Request::new(Method::Get, "/environment/{name}", &[name], ("get environment value", name))?;
        let text = self.http.send_safe(&request)?.text()?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// The names of the secrets that tasks may use: `GET /secrets`. Their values are told to nobody but the workers whose tasks
    /// refer to them: see [`workflow_secret`](crate::workflow_secret).
    ///
    /// 3.32.1 takes them from the variables `CONDUCTOR_SECRET_…` of its process, without the prefix.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn secret_names(&self) -> Result<Vec<String>> {
        self.read("/secrets", "list secrets")
    }

    /// The providers of language models, and whether the server can use them: `GET /providers/status`. Takes up to three seconds
    /// where the address of `ollama` does not answer.
    ///
    /// # Errors
    /// When the server can't be reached, has its AI integrations off or refuses.
    pub fn providers(&self) -> Result<Providers> {
        self.read("/providers/status", "get status of providers")
    }

    /// The version of the server: `GET /version`.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn version(&self) -> Result<String> {
        self.http.send_safe(&Request::new(Method::Get, "/version", &[], ("get version", ""))?)?.text()
    }

    /// What the server says of its health: `GET /health`. The server's `/actuator/health` is no better: as packaged, 3.32.1
    /// answers 503 there although all is well.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn health(&self) -> Result<ServerHealth> {
        self.read("/health", "get health")
    }
}

/// A report about a task for [`AdminClient::update_through_queue`].
#[derive(Clone, Debug)]
#[must_use]
pub struct QueueUpdate {
    workflow_id: String,
    task: String,
    by_id: bool,
    status: TaskResultStatus,
    output: RawJson,
}

impl QueueUpdate {
    /// About the pending task called `reference` in the workflow `workflow_id`.
    pub fn by_reference(
        workflow_id: impl Into<String>,
        reference: impl Into<String>,
        status: TaskResultStatus,
    ) -> Self {
        let (workflow_id, task) = (workflow_id.into(), reference.into());
        Self { workflow_id, task, by_id: false, status, output: RawJson::default() }
    }

    /// About the task `task_id` of the workflow `workflow_id`.
    pub fn by_id(workflow_id: impl Into<String>, task_id: impl Into<String>, status: TaskResultStatus) -> Self {
        Self { by_id: true, ..Self::by_reference(workflow_id, task_id, status) }
    }

    /// Sets the output, an object.
    pub fn output(mut self, output: impl Into<RawJson>) -> Self {
        self.output = output.into();
        self
    }
}
