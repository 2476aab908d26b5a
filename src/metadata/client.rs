//! The calls under `/metadata`.

use std::{collections::BTreeMap, sync::Arc};

use serde::de::DeserializeOwned;

use super::{TaskDef, WorkflowDef, WorkflowDefSummary};
use crate::{
    error::{Error, ErrorKind, Result},
    http::{Http, Method, Request, problem_with_name},
    workflow::BulkOutcome,
};

/// The calls under `/metadata`. From [`Client::metadata`](crate::Client::metadata).
///
/// What exists already is treated as the server does it:
///
/// | | when there is one | when there is none |
/// |---|---|---|
/// | [`register_task`](Self::register_task), [`register_tasks`](Self::register_tasks) | replaces it | makes it |
/// | [`update_task`](Self::update_task) | replaces it | an error |
/// | [`register_workflow`](Self::register_workflow) | an error | makes it |
/// | [`overwrite_workflow`](Self::overwrite_workflow), [`update_workflow`](Self::update_workflow), [`update_workflows`](Self::update_workflows) | replaces the version | makes it |
///
/// ```
/// # #[cfg(feature = "embedded")] {
/// use conductor_sync::{Client, Config, WorkflowDef, WorkflowTask};
/// # let server = conductor_sync::embedded::EmbeddedServer::start()?;
/// # let client = Client::new(Config::new(&server.url())?)?;
/// let def = WorkflowDef::new("hello").task(WorkflowTask::simple("greet", "greet_ref"));
/// client.metadata().register_workflow(&def)?;
/// assert!(client.metadata().register_workflow(&def).is_err(), "it exists: use update_workflow");
/// # }
/// # Ok::<(), conductor_sync::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MetadataClient {
    http: Arc<Http>,
}

impl MetadataClient {
    pub(crate) fn new(http: Arc<Http>) -> Self {
        Self { http }
    }

    /// Registers a task definition, or **replaces** the one of that name: `POST /metadata/taskdefs`. Workflows that run keep the
    /// definition they started with; a task without a definition has the defaults of [`TaskDef`].
    ///
    /// # Errors
    /// When the name can't stand in a path, or the server can't be reached or refuses the definition.
    pub fn register_task(&self, definition: &TaskDef) -> Result<()> {
        self.register_tasks(std::slice::from_ref(definition))
    }

    /// Registers several task definitions, or **replaces** those of the same names: `POST /metadata/taskdefs`.
    ///
    /// # Errors
    /// When there is none, a name can't stand in a path, or the server can't be reached or refuses one of them (then none is registered).
    pub fn register_tasks(&self, definitions: &[TaskDef]) -> Result<()> {
        if definitions.is_empty() {
            return Err(Error::invalid("register task definitions", "definitions must not be empty"));
        }
        for definition in definitions {
            check_name("register task definition", &definition.name)?;
        }
        let about = ("register task definition", definitions[0].name.as_str());
        let request = Request::new(Method::Post, "/metadata/taskdefs", &[], about)?.json(&definitions)?;
        self.http.send(&request)?.done()
    }

    /// The definition of a task: `GET /metadata/taskdefs/{name}`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is none; otherwise when the server can't be reached or refuses.
    pub fn task(&self, name: &str) -> Result<TaskDef> {
        let about = ("get task definition", name);
        let request = Request::new(Method::Get, "/metadata/taskdefs/{name}", &[name], about)?;
        self.http.send_safe(&request)?.json()
    }

    /// Replaces the definition of a task that is registered already: `PUT /metadata/taskdefs`. Workflows that run keep the
    /// definition they started with.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when it is not registered; otherwise when the server can't be reached or refuses.
    pub fn update_task(&self, definition: &TaskDef) -> Result<()> {
        check_name("update task definition", &definition.name)?;
        let about = ("update task definition", definition.name.as_str());
        let request = Request::new(Method::Put, "/metadata/taskdefs", &[], about)?.json(definition)?;
        self.http.send_safe(&request)?.done()
    }

    /// Deletes the definition of a task: `DELETE /metadata/taskdefs/{name}`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is none; otherwise when the server can't be reached or refuses.
    pub fn delete_task(&self, name: &str) -> Result<()> {
        let about = ("delete task definition", name);
        let request = Request::new(Method::Delete, "/metadata/taskdefs/{name}", &[name], about)?;
        missing_as_not_found(self.http.send(&request))?.done()
    }

    /// Registers a new version of a workflow: `POST /metadata/workflow`.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when that version exists; otherwise when the name can't stand in a path, the version
    /// is negative, or the server can't be reached or
    /// refuses the definition.
    pub fn register_workflow(&self, definition: &WorkflowDef) -> Result<()> {
        check_workflow("register workflow", definition)?;
        let about = ("register workflow", definition.name.as_str());
        let request = Request::new(Method::Post, "/metadata/workflow", &[], about)?.json(definition)?;
        self.http.send(&request)?.done()
    }

    /// Registers a version of a workflow, or **replaces** it: `PUT /metadata/workflow`. Workflows that run keep the
    /// definition they started with.
    ///
    /// # Errors
    /// When the name can't stand in a path, the version is negative, or the server can't be reached or refuses the definition.
    pub fn update_workflow(&self, definition: &WorkflowDef) -> Result<()> {
        check_workflow("update workflow", definition)?;
        let about = ("update workflow", definition.name.as_str());
        let request = Request::new(Method::Put, "/metadata/workflow", &[], about)?.json(&[definition])?;
        let outcome: BulkOutcome = self.http.send_safe(&request)?.json()?;
        match outcome.errors.into_iter().next() {
            None => Ok(()),
            Some((name, message)) => Err(Error::new(ErrorKind::Rejected, format!("update workflow {name}"), message)),
        }
    }

    /// The latest version of a workflow: `GET /metadata/workflow/{name}`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is none; otherwise when the server can't be reached or refuses.
    pub fn workflow(&self, name: &str) -> Result<WorkflowDef> {
        let about = ("get workflow definition", name);
        check_not_hidden(about.0, name)?;
        let request = Request::new(Method::Get, "/metadata/workflow/{name}", &[name], about)?;
        self.http.send_safe(&request)?.json()
    }

    /// One version of a workflow: `GET /metadata/workflow/{name}?version=`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is none; otherwise when the server can't be reached or refuses.
    pub fn workflow_version(&self, name: &str, version: u16) -> Result<WorkflowDef> {
        let about = ("get workflow definition", name);
        check_not_hidden(about.0, name)?;
        let request = Request::new(Method::Get, "/metadata/workflow/{name}", &[name], about)?;
        self.http.send_safe(&request.query("version", &version.to_string()))?.json()
    }

    /// Deletes one version of a workflow: `DELETE /metadata/workflow/{name}/{version}`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is none; otherwise when the server can't be reached or refuses.
    pub fn delete_workflow(&self, name: &str, version: u16) -> Result<()> {
        let about = ("delete workflow definition", name);
        let version = version.to_string();
        let request = Request::new(Method::Delete, "/metadata/workflow/{name}/{version}", &[name, &version], about)?;
        missing_as_not_found(self.http.send(&request))?.done()
    }

    /// As [`MetadataClient::register_workflow`], but **replaces** the version when it exists: `POST
    /// /metadata/workflow?overwrite=true`. The time of its creation becomes that of `definition` (3.32.1).
    ///
    /// # Errors
    /// As [`MetadataClient::register_workflow`], without the conflict.
    pub fn overwrite_workflow(&self, definition: &WorkflowDef) -> Result<()> {
        check_workflow("overwrite workflow", definition)?;
        let about = ("overwrite workflow", definition.name.as_str());
        let request = Request::new(Method::Post, "/metadata/workflow", &[], about)?;
        self.http.send_safe(&request.query("overwrite", "true").json(definition)?)?.done()
    }

    /// Registers or **replaces** several versions of workflows: `PUT /metadata/workflow`. What failed is in the outcome.
    ///
    /// # Errors
    /// When there is none, a name can't stand in a path, or the server can't be reached or refuses one of them (then none is registered).
    pub fn update_workflows(&self, definitions: &[WorkflowDef]) -> Result<BulkOutcome> {
        const VERB: &str = "update workflows";
        if definitions.is_empty() {
            return Err(Error::invalid(VERB, "definitions must not be empty"));
        }
        definitions.iter().try_for_each(|definition| check_workflow(VERB, definition))?;
        let request = Request::new(Method::Put, "/metadata/workflow", &[], (VERB, ""))?.json(&definitions)?;
        self.http.send_safe(&request)?.json()
    }

    /// Lets the server check a definition without registering it: `POST /metadata/workflow/validate`.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] with the server's reasons when it is not valid; otherwise when the server can't be reached.
    pub fn validate_workflow(&self, definition: &WorkflowDef) -> Result<()> {
        check_workflow("validate workflow", definition)?;
        let about = ("validate workflow", definition.name.as_str());
        let request = Request::new(Method::Post, "/metadata/workflow/validate", &[], about)?.json(definition)?;
        self.http.send_safe(&request)?.done()
    }

    fn list<T: DeserializeOwned>(&self, route: &'static str, verb: &'static str) -> Result<T> {
        self.http.send_safe(&Request::new(Method::Get, route, &[], (verb, ""))?)?.json()
    }

    /// All task definitions: `GET /metadata/taskdefs`.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn tasks(&self) -> Result<Vec<TaskDef>> {
        self.list("/metadata/taskdefs", "list task definitions")
    }

    /// All versions of all workflows: `GET /metadata/workflow`.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn workflows(&self) -> Result<Vec<WorkflowDef>> {
        self.list("/metadata/workflow", "list workflow definitions")
    }

    /// The workflows of a kind: `GET /metadata/workflow?classifier=`.
    ///
    /// # Errors
    /// When `classifier` is empty, or the server can't be reached or refuses.
    pub fn workflows_of(&self, classifier: &str) -> Result<Vec<WorkflowDef>> {
        let about = ("list workflow definitions of kind", classifier);
        if classifier.trim().is_empty() {
            return Err(Error::invalid(about.0, "classifier must not be empty"));
        }
        let request = Request::new(Method::Get, "/metadata/workflow", &[], about)?.query("classifier", classifier);
        self.http.send_safe(&request)?.json()
    }

    /// The names of all workflows: `GET /metadata/workflow/names`.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn workflow_names(&self) -> Result<Vec<String>> {
        self.list("/metadata/workflow/names", "list workflow names")
    }

    /// The versions of all workflows, by name: `GET /metadata/workflow/names-and-versions`.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn workflow_names_and_versions(&self) -> Result<BTreeMap<String, Vec<WorkflowDefSummary>>> {
        self.list("/metadata/workflow/names-and-versions", "list workflow versions")
    }

    /// The versions of a workflow: `GET /metadata/workflow/{name}/versions`. Empty where nobody knows it.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn workflow_versions(&self, name: &str) -> Result<Vec<WorkflowDefSummary>> {
        let about = ("list versions of workflow", name);
        let request = Request::new(Method::Get, "/metadata/workflow/{name}/versions", &[name], about)?;
        self.http.send_safe(&request)?.json()
    }

    /// The latest version of each workflow: `GET /metadata/workflow/latest-versions`.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn latest_workflows(&self) -> Result<Vec<WorkflowDef>> {
        self.list("/metadata/workflow/latest-versions", "list latest workflow definitions")
    }
}

/// With other names it could neither be fetched nor deleted.
fn check_name(operation: &str, name: &str) -> Result<()> {
    match problem_with_name("name", name) {
        None if name.trim().is_empty() => Err(Error::invalid(operation, "name must not be empty")),
        None => Ok(()),
        Some(problem) => Err(Error::invalid(operation, problem)),
    }
}

/// The server takes a negative version (3.32.1), which can then be neither fetched nor deleted here.
fn check_workflow(operation: &str, definition: &WorkflowDef) -> Result<()> {
    check_name(operation, &definition.name)?;
    check_not_hidden(operation, &definition.name)?;
    match definition.version {
        Some(version @ ..0) => {
            let message = format!("version is {version}; it must not be negative");
            Err(Error::invalid(format!("{operation} {}", definition.name), message))
        }
        _ => Ok(()),
    }
}

/// Words that the server takes for other routes in the place of a workflow's name (3.32.1).
pub(crate) const HIDDEN_NAMES: &[&str] = &["names", "names-and-versions", "latest-versions"];

fn check_not_hidden(operation: &str, name: &str) -> Result<()> {
    match HIDDEN_NAMES.contains(&name) {
        true => Err(Error::invalid(operation, format!("name is `{name}`, which the server takes for another route"))),
        false => Ok(()),
    }
}

/// Deleting what does not exist is a 500 "No such …" on 3.32.1; here it is "not found" as everywhere else.
fn missing_as_not_found<T>(outcome: Result<T>) -> Result<T> {
    outcome.map_err(|error| match (error.status(), error.server_message()) {
        (Some(500), Some(message)) if message.starts_with("No such ") => error.into_not_found(),
        _ => error,
    })
}
