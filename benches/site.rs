//! A server to measure against, and the workflows that are run on it. Part of `figures` and `soak`.

use std::{error::Error, time::Duration};

use conductor_sync::{
    Client, Config, StartWorkflowRequest, TaskDef, WorkflowDef, WorkflowTask, embedded::EmbeddedServer,
};

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// The one task of each workflow.
pub(crate) const TASK: &str = "task";

/// A server to run workflows on.
pub(crate) struct Site {
    pub(crate) client: Client,
    /// Lives as long as the site.
    _embedded: Option<EmbeddedServer>,
}

impl Site {
    /// The server of `CONDUCTOR_SERVER_URL`, or an embedded one.
    pub(crate) fn open() -> Outcome<Self> {
        if let Some(config) = Config::from_env_if_set()? {
            return Ok(Self { client: Client::new(config)?, _embedded: None });
        }
        let server = EmbeddedServer::start()?;
        let url = server.url();
        Ok(Self { _embedded: Some(server), ..Self::at(&url)? })
    }

    pub(crate) fn at(url: &str) -> Outcome<Self> {
        Ok(Self { client: Client::new(Config::new(url)?)?, _embedded: None })
    }

    /// Registers a task type and a workflow of the same name that hands `n` to it and gives its output as its own. The
    /// name is new, so that no earlier run is in the way.
    pub(crate) fn define(&self, name: &str, set: impl FnOnce(TaskDef) -> TaskDef) -> Outcome<String> {
        let name = format!("{name}_{:08x}", fastrand::u32(..));
        let lease = Duration::from_secs(60);
        self.client.metadata().register_task(&set(TaskDef::new(&name).response_timeout(lease)))?;
        let task = WorkflowTask::simple(&name, TASK).input("n", "${workflow.input.n}");
        let workflow = WorkflowDef::new(&name).task(task).output("result", format!("${{{TASK}.output}}").as_str());
        self.client.metadata().update_workflow(&workflow)?;
        Ok(name)
    }

    /// Starts workflows with `n` from 0; their ids in this order.
    pub(crate) fn start(&self, name: &str, n_workflows: usize) -> Outcome<Vec<String>> {
        (0..n_workflows).map(|n| Ok(self.client.workflows().start(&request(name, n))?)).collect()
    }
}

/// Starts the workflow with the number `n`.
pub(crate) fn request(name: &str, n: usize) -> StartWorkflowRequest {
    StartWorkflowRequest::new(name).input(serde_json::json!({"n": n}))
}

/// Waits for a while.
pub(crate) fn rest(pause: Duration) {
    // It delivers once, when the time is over.
    let _over = crossbeam_channel::after(pause).recv();
}
