//! Skills of agents: packages of instructions and files that a server keeps, and the calls under `/skills`, which it has where
//! they are switched on.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    agent::StartedAgent,
    error::{Error, Result},
    http::{Http, Method, Request},
    json::{JsonMap, times, wire},
};

wire! {
    /// A file of a skill.
    pub struct SkillFile {
        /// Its path in the package.
        pub path: String = "path",
        /// Its size, bytes.
        pub size: i64 = "size",
        /// The SHA-256 of its content, as hexadecimal digits.
        pub sha256: Option<String> = "sha256",
        /// The type of its content.
        pub content_type: Option<String> = "contentType",
    }
}

wire! {
    /// A version of a skill. Times are milliseconds since 1970.
    pub struct Skill {
        /// Its name.
        pub name: String = "name",
        /// Its version, any text.
        pub version: String = "version",
        /// What it is for.
        pub description: Option<String> = "description",
        /// The SHA-256 of its package, as hexadecimal digits.
        pub checksum: Option<String> = "checksum",
        /// The name of its package in the server's store.
        pub package_file_handle_id: Option<String> = "packageFileHandleId",
        /// What store that is, as `conductor-db`.
        pub storage_type: Option<String> = "storageType",
        /// Its state, as `READY`.
        pub status: Option<String> = "status",
        /// When it was registered.
        pub created_at: Option<i64> = "createdAt",
        /// When it was changed.
        pub updated_at: Option<i64> = "updatedAt",
        /// The size of its package, bytes.
        pub package_size: Option<i64> = "packageSize",
        /// How many files it has.
        pub file_count: Option<i64> = "fileCount",
        /// Its files.
        pub files: Vec<SkillFile> = "files",
        /// What `SKILL.md` says of it besides.
        pub metadata: JsonMap = "metadata",
        /// What an agent is made of from it.
        pub raw_config: JsonMap = "rawConfig",
    }
}

times! {
    Skill {
        /// When it was registered.
        created_at = created_at;
        /// When it was changed.
        updated_at = updated_at;
    }
}

wire! {
    /// What a list tells of a version of a skill. Times are milliseconds since 1970.
    pub struct SkillSummary {
        /// Its name.
        pub name: String = "name",
        /// Its version, any text.
        pub version: String = "version",
        /// What it is for.
        pub description: Option<String> = "description",
        /// The SHA-256 of its package, as hexadecimal digits.
        pub checksum: Option<String> = "checksum",
        /// Its state, as `READY`.
        pub status: Option<String> = "status",
        /// When it was registered.
        pub created_at: Option<i64> = "createdAt",
        /// When it was changed.
        pub updated_at: Option<i64> = "updatedAt",
        /// The size of its package, bytes.
        pub package_size: Option<i64> = "packageSize",
        /// How many files it has.
        pub file_count: Option<i64> = "fileCount",
        /// How many of them are scripts.
        pub script_count: Option<i64> = "scriptCount",
        /// How many agents it has within.
        pub sub_agent_count: Option<i64> = "subAgentCount",
        /// How many of its files are neither scripts nor agents.
        pub resource_count: Option<i64> = "resourceCount",
    }
}

times! {
    SkillSummary {
        /// When it was registered.
        created_at = created_at;
        /// When it was changed.
        updated_at = updated_at;
    }
}

wire! {
    /// The content of a file of a skill: `content` where it is text, otherwise `content_base64`.
    pub struct SkillFileContent {
        /// Its path in the package.
        pub path: String = "path",
        /// The type of its content.
        pub content_type: Option<String> = "contentType",
        /// Its size, bytes.
        pub size: i64 = "size",
        /// Whether it is no text.
        pub binary: bool = "binary",
        /// The text.
        pub content: Option<String> = "content",
        /// The bytes in Base64.
        pub content_base64: Option<String> = "contentBase64",
    }
}

wire! {
    /// With what models an agent is made of a skill: for [`SkillClient::deploy`].
    ///
    /// ```
    /// use conductor_sync::SkillDeployRequest;
    /// let request = SkillDeployRequest::new("openai/gpt-4o").agent_model("reviewer", "anthropic/claude");
    /// assert_eq!(request.agent_models["reviewer"], "anthropic/claude");
    /// ```
    pub struct SkillDeployRequest {
        /// The model, as `provider/model`.
        pub model: Option<String> = "model",
        /// Other models for agents within the skill, by their name.
        pub agent_models: BTreeMap<String, String> = "agentModels",
    }
}

impl SkillDeployRequest {
    /// With this model for all, as `provider/model`.
    pub fn new(model: impl Into<String>) -> Self {
        Self { model: Some(model.into()), ..Self::default() }
    }

    /// Sets another model for an agent within the skill.
    #[must_use]
    pub fn agent_model(mut self, agent: impl Into<String>, model: impl Into<String>) -> Self {
        self.agent_models.insert(agent.into(), model.into());
        self
    }
}

/// The calls under `/skills`. From [`Client::skills`](crate::Client::skills). The embedded server does not serve them.
///
/// A server has them with `conductor.integrations.ai.enabled=true` (its default) and `agentspan.skills.enabled=true`; otherwise
/// every call fails with [`ErrorKind::WrongAddress`](crate::ErrorKind::WrongAddress) and a message that says so.
///
/// For a version the calls take `latest` too, and the beginning of a checksum (3.32.1).
///
/// ```no_run
/// let skills = conductor_sync::Client::from_env()?.skills();
/// let package = std::fs::read("greeter.zip").expect("a package");
/// let skill = skills.register(Some("1"), &package)?;
/// println!("{} {}: {} files", skill.name, skill.version, skill.files.len());
/// # Ok::<(), conductor_sync::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SkillClient {
    http: Arc<Http>,
}

impl SkillClient {
    pub(crate) fn new(http: Arc<Http>) -> Self {
        Self { http }
    }

    /// Registers a skill and returns it: `POST /skills/register`. `package` is a ZIP file with a `SKILL.md`, which tells the
    /// name. Without a version the server takes the beginning of the checksum. The same package may be registered again.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) when the package is not as the server wants it, or the version is
    /// there with another package; otherwise when the package or the version is empty, or the server can't be reached, has no
    /// skills or refuses.
    pub fn register(&self, version: Option<&str>, package: &[u8]) -> Result<Skill> {
        let about = ("register skill", version.unwrap_or_default());
        if package.is_empty() {
            return Err(Error::invalid(about.0, "package must not be empty"));
        }
        if version == Some("") {
            return Err(Error::invalid(about.0, "version must not be empty"));
        }
        let manifest = serde_json::json!({ "version": version }).to_string();
        let request = Request::new(Method::Post, "/skills/register", &[], about)?;
        self.http.send(&request.form(("manifest", &manifest), ("package", package)))?.json()
    }

    /// The latest version of each skill: `GET /skills`.
    ///
    /// # Errors
    /// When the server can't be reached, has no skills or refuses.
    pub fn list(&self) -> Result<Vec<SkillSummary>> {
        self.http.send_safe(&Request::new(Method::Get, "/skills", &[], ("list skills", ""))?)?.json()
    }

    /// All versions of all skills: `GET /skills?allVersions=true`.
    ///
    /// # Errors
    /// When the server can't be reached, has no skills or refuses.
    pub fn all_versions(&self) -> Result<Vec<SkillSummary>> {
        let request = Request::new(Method::Get, "/skills", &[], ("list versions of skills", ""))?;
        self.http.send_safe(&request.query("allVersions", "true"))?.json()
    }

    /// The latest version of a skill: `GET /skills/{name}`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is none (the server answers 400); otherwise when the server can't be reached, has no
    /// skills or refuses.
    pub fn latest(&self, name: &str) -> Result<Skill> {
        let request = Request::new(Method::Get, "/skills/{name}", &[name], ("get skill", name))?;
        found(self.http.send_safe(&request))?.json()
    }

    /// A version of a skill: `GET /skills/{name}/versions/{version}`.
    ///
    /// # Errors
    /// As [`SkillClient::latest`].
    pub fn get(&self, name: &str, version: &str) -> Result<Skill> {
        let route = "/skills/{name}/versions/{version}";
        found(self.http.send_safe(&Request::new(Method::Get, route, &[name, version], ("get skill", name))?))?.json()
    }

    /// The content of a file of a skill, of at most 1 MiB: `GET /skills/{name}/versions/{version}/files`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no such skill or file (the server answers 400); otherwise when `path` is empty,
    /// the file is larger, or the server can't be reached, has no skills or refuses.
    pub fn file(&self, name: &str, version: &str, path: &str) -> Result<SkillFileContent> {
        let about = ("get file of skill", name);
        if path.trim().is_empty() {
            return Err(Error::invalid(about.0, "path must not be empty"));
        }
        let request = Request::new(Method::Get, "/skills/{name}/versions/{version}/files", &[name, version], about)?;
        found(self.http.send_safe(&request.query("path", path)))?.json()
    }

    /// The package of a skill, a ZIP file, as it was registered: `GET /skills/{name}/versions/{version}/package`.
    ///
    /// # Errors
    /// As [`SkillClient::latest`]; also when it is larger than
    /// [`Config::max_answer_bytes`](crate::Config::max_answer_bytes).
    pub fn package(&self, name: &str, version: &str) -> Result<Vec<u8>> {
        let route = "/skills/{name}/versions/{version}/package";
        let request = Request::new(Method::Get, route, &[name, version], ("get package of skill", name))?;
        let answer = found(self.http.send_safe(&request))?;
        answer.done()?;
        Ok(answer.body)
    }

    /// Makes an agent of a skill, which can then be started by its name: `POST /skills/{name}/versions/{version}/deploy`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no such skill (the server answers 400); otherwise when neither the request nor the
    /// skill names a model, or the server can't be reached, has no skills or refuses.
    pub fn deploy(&self, name: &str, version: &str, request: &SkillDeployRequest) -> Result<StartedAgent> {
        let route = "/skills/{name}/versions/{version}/deploy";
        let sent = Request::new(Method::Post, route, &[name, version], ("deploy skill", name))?.json(request)?;
        found(self.http.send(&sent))?.json()
    }

    /// Deletes a version of a skill: `DELETE /skills/{name}/versions/{version}`. One that does not exist is no error: the
    /// server does not tell. An agent that was made of it stays.
    ///
    /// # Errors
    /// When the server can't be reached, has no skills or refuses; for the version `latest`, also when there is none.
    pub fn delete(&self, name: &str, version: &str) -> Result<()> {
        let route = "/skills/{name}/versions/{version}";
        let request = Request::new(Method::Delete, route, &[name, version], ("delete skill", name))?;
        found(self.http.send_safe(&request))?.done()
    }
}

/// The server answers 400 for what does not exist (3.32.1).
fn found<T>(outcome: Result<T>) -> Result<T> {
    outcome.map_err(|error| match error.server_message() {
        Some(message) if message.starts_with("Skill not found: ") || message.starts_with("Skill file not found: ") => {
            error.into_not_found()
        }
        _ => error,
    })
}
