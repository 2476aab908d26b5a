//! [`Client`]: hands out the client of each resource. Holds no logic.

use std::sync::Arc;

use crate::{
    a2a::A2aClient,
    admin::AdminClient,
    agent::AgentClient,
    config::Config,
    error::Result,
    event::EventClient,
    file::FileClient,
    http::Http,
    metadata::MetadataClient,
    metrics::Metrics,
    schedule::ScheduleClient,
    secret::SecretClient,
    skill::SkillClient,
    task::TaskClient,
    workflow::{Looks, WorkflowClient},
};

/// A connection pool to one Conductor server. Cloning is cheap and shares the pool; calls may come from any thread.
///
/// Every call blocks its thread until the answer is there or [`Config::request_timeout`] passes.
///
/// ```
/// # #[cfg(feature = "embedded")] {
/// use conductor_sync::{Client, Config, TaskDef, embedded::EmbeddedServer};
/// let server = EmbeddedServer::start()?;
/// let client = Client::new(Config::new(&server.url())?)?;
/// client.metadata().register_task(&TaskDef::new("greet"))?;
/// assert_eq!(client.metadata().task("greet")?.name, "greet");
/// # }
/// # Ok::<(), conductor_sync::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    http: Arc<Http>,
    /// Of all threads that wait for workflows.
    looks: Arc<Looks>,
}

impl Client {
    /// A client for the server that `config` names. Nothing is sent yet: a server that is down is no error here.
    ///
    /// # Errors
    /// When the server's address is no URL.
    pub fn new(config: Config) -> Result<Self> {
        Self::with_metrics(config, Metrics::new())
    }

    /// As [`Client::new`], counting requests in a registry that is shared with others.
    ///
    /// # Errors
    /// When the server's address is no URL.
    pub fn with_metrics(config: Config, metrics: Metrics) -> Result<Self> {
        Ok(Self { http: Arc::new(Http::new(&config, metrics)?), looks: Arc::default() })
    }

    /// A client for the server that the environment names: see [`Config::from_env`].
    ///
    /// # Errors
    /// When a variable can't be used.
    pub fn from_env() -> Result<Self> {
        Self::new(Config::from_env()?)
    }

    /// Tasks: poll, look at, report, log.
    pub fn tasks(&self) -> TaskClient {
        TaskClient::new(Arc::clone(&self.http))
    }

    /// Workflows: start, look at, steer, wait for.
    pub fn workflows(&self) -> WorkflowClient {
        WorkflowClient::new(Arc::clone(&self.http), Arc::clone(&self.looks))
    }

    /// Definitions of tasks and workflows.
    pub fn metadata(&self) -> MetadataClient {
        MetadataClient::new(Arc::clone(&self.http))
    }

    /// Event handlers.
    pub fn events(&self) -> EventClient {
        EventClient::new(Arc::clone(&self.http))
    }

    /// Schedules that start workflows.
    pub fn schedules(&self) -> ScheduleClient {
        ScheduleClient::new(Arc::clone(&self.http))
    }

    /// What operators ask a server.
    pub fn admin(&self) -> AdminClient {
        AdminClient::new(Arc::clone(&self.http))
    }

    /// Agents and their executions, where the server has its AI integrations switched on.
    pub fn agents(&self) -> AgentClient {
        AgentClient::new(Arc::clone(&self.http))
    }

    /// Skills of agents, where the server has them switched on.
    pub fn skills(&self) -> SkillClient {
        SkillClient::new(Arc::clone(&self.http))
    }

    /// Workflows and agents by the A2A protocol, where the server has its AI integrations and its A2A server switched on.
    pub fn a2a(&self) -> A2aClient {
        A2aClient::new(Arc::clone(&self.http))
    }

    /// Secrets that tasks may use, where the server has its AI integrations switched on.
    pub fn secrets(&self) -> SecretClient {
        SecretClient::new(Arc::clone(&self.http))
    }

    /// Files of workflows, where the server has file storage switched on.
    pub fn files(&self) -> FileClient {
        FileClient::new(Arc::clone(&self.http))
    }

    /// The registry that this client counts in.
    pub fn metrics(&self) -> &Metrics {
        self.http.metrics()
    }

    /// The server's address as it is used.
    pub fn server_url(&self) -> &str {
        self.http.base()
    }

    pub(crate) fn http(&self) -> &Arc<Http> {
        &self.http
    }
}
