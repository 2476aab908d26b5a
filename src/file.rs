//! Files of workflows, and the calls under `/files`, which a server has only where file storage is switched on.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;

use crate::{
    error::{Error, Result},
    http::{Http, Method, Request, problem_with_name},
    json::{times, wire, wire_enum},
};

wire_enum! {
    /// How far an upload has come.
    pub enum FileUploadStatus {
        /// Not begun.
        Pending = "PENDING",
        /// Under way.
        Uploading = "UPLOADING",
        /// Done.
        Uploaded = "UPLOADED",
        /// Failed.
        Failed = "FAILED",
    }
}

wire! {
    /// A file of a workflow. Times are milliseconds since 1970.
    pub struct FileHandle {
        /// Its name for references: `conductor://file/` and the id.
        pub file_handle_id: String = "fileHandleId",
        /// Its name.
        pub file_name: Option<String> = "fileName",
        /// The type of its content.
        pub content_type: Option<String> = "contentType",
        /// Its size, bytes.
        pub file_size: Option<i64> = "fileSize",
        /// What the content was hashed to.
        pub content_hash: Option<String> = "contentHash",
        /// Where it is kept, as `CONDUCTOR` or `S3`.
        pub storage_type: Option<String> = "storageType",
        /// How far the upload has come.
        pub upload_status: FileUploadStatus = "uploadStatus",
        /// The workflow it belongs to.
        pub workflow_id: Option<String> = "workflowId",
        /// The task it belongs to.
        pub task_id: Option<String> = "taskId",
        /// Where the content goes to, right after [`FileClient::create`].
        pub upload_url: Option<String> = "uploadUrl",
        /// Until when `upload_url` can be used.
        pub upload_url_expires_at: Option<i64> = "uploadUrlExpiresAt",
        /// When it was created.
        pub created_at: Option<i64> = "createdAt",
        /// When it was changed.
        pub updated_at: Option<i64> = "updatedAt",
    }
}

times! {
    FileHandle {
        /// When it was made known.
        created_at = created_at;
        /// When it was changed.
        updated_at = updated_at;
        /// Until when `upload_url` can be used.
        upload_url_expires_at = upload_url_expires_at;
    }
}

impl FileHandle {
    /// The id as the calls want it: what stands behind `conductor://file/`.
    pub fn id(&self) -> &str {
        file_id(&self.file_handle_id)
    }
}

/// An upload in parts that has begun: see [`FileClient::begin_multipart`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MultipartUpload {
    /// The workflow the file belongs to.
    pub workflow_id: String,
    /// The bare id of the file.
    pub file_id: String,
    /// What the store calls the upload.
    pub upload_id: String,
}

impl MultipartUpload {
    /// An upload that another process has begun.
    pub fn new(workflow_id: impl Into<String>, file: &str, upload_id: impl Into<String>) -> Self {
        Self { workflow_id: workflow_id.into(), file_id: file_id(file).to_owned(), upload_id: upload_id.into() }
    }

    fn values(&self) -> [&str; 3] {
        [&self.workflow_id, &self.file_id, &self.upload_id]
    }
}

wire! {
    /// An address for the content of a file, which can be used for about a minute.
    pub struct FileUrl {
        /// The name of the file for references.
        pub file_handle_id: String = "fileHandleId",
        /// Where to send the content.
        pub upload_url: Option<String> = "uploadUrl",
        /// Where to fetch the content.
        pub download_url: Option<String> = "downloadUrl",
        /// Until when, milliseconds since 1970.
        pub expires_at: Option<i64> = "expiresAt",
    }
}

times! {
    FileUrl {
        /// Until when it can be used.
        expires_at = expires_at;
    }
}

wire! {
    /// Makes a file known before its content is sent.
    pub struct FileUploadRequest {
        /// Its name.
        pub file_name: String = "fileName",
        /// The type of its content.
        pub content_type: String = "contentType",
        /// The workflow it belongs to. The server does not check that it exists.
        pub workflow_id: String = "workflowId",
        /// The task it belongs to.
        pub task_id: Option<String> = "taskId",
    }
}

impl FileUploadRequest {
    /// A file of the workflow `workflow_id`, as `application/octet-stream`.
    pub fn new(workflow_id: impl Into<String>, file_name: impl Into<String>) -> Self {
        Self {
            workflow_id: workflow_id.into(),
            file_name: file_name.into(),
            content_type: "application/octet-stream".to_owned(),
            ..Self::default()
        }
    }

    /// Sets the type of its content.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = content_type.into();
        self
    }
}

/// The calls under `/files`. From [`Client::files`](crate::Client::files). Files are named by [`FileHandle::id`] or by the whole
/// `conductor://file/…`. Uploads in parts need a store outside the server: its own (`type=conductor`) answers them with 500
/// "does not support multipart uploads" (3.32.1).
///
/// A server has them with `conductor.file-storage.enabled=true` and a `conductor.file-storage.type`; otherwise every call fails
/// with [`ErrorKind::WrongAddress`](crate::ErrorKind::WrongAddress) and a message that says so.
///
/// ```no_run
/// use conductor_sync::{Client, FileUploadRequest};
/// let files = Client::from_env()?.files();
/// let file = files.create(&FileUploadRequest::new("workflow-id", "note.txt"))?;
/// files.upload("workflow-id", file.id(), b"hello")?;
/// files.complete_upload("workflow-id", file.id())?;
/// assert_eq!(files.download("workflow-id", file.id())?, b"hello");
/// # Ok::<(), conductor_sync::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileClient {
    http: Arc<Http>,
}

impl FileClient {
    pub(crate) fn new(http: Arc<Http>) -> Self {
        Self { http }
    }

    fn about<'a>(
        method: Method,
        route: &'static str,
        verb: &'static str,
        workflow_id: &str,
        file: &'a str,
    ) -> Result<Request<'a>> {
        Request::new(method, route, &[workflow_id, file_id(file)], (verb, file))
    }

    /// Makes a file known: `POST /files`.
    ///
    /// # Errors
    /// When the name or the type of the content is empty, the workflow id can't stand in a path, or the server can't be reached, has no file storage or refuses.
    pub fn create(&self, file: &FileUploadRequest) -> Result<FileHandle> {
        for (name, value) in [("file_name", &file.file_name), ("content_type", &file.content_type)] {
            if value.trim().is_empty() {
                return Err(Error::invalid("create file", format!("{name} must not be empty")));
            }
        }
        // Otherwise the file could not be asked for.
        if let Some(problem) = problem_with_name("workflow_id", &file.workflow_id) {
            return Err(Error::invalid("create file", problem));
        }
        let request = Request::new(Method::Post, "/files", &[], ("create file", &file.file_name))?.json(file)?;
        self.http.send(&request)?.json()
    }

    /// A file: `GET /files/{workflowId}/{fileId}`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is none; otherwise when the server can't be reached, has no file storage or refuses.
    pub fn get(&self, workflow_id: &str, file: &str) -> Result<FileHandle> {
        let request = Self::about(Method::Get, "/files/{workflowId}/{fileId}", "get file", workflow_id, file)?;
        self.http.send_safe(&request)?.json()
    }

    /// An address to send the content to: `GET /files/{workflowId}/{fileId}/upload-url`.
    ///
    /// # Errors
    /// As [`FileClient::get`].
    pub fn upload_url(&self, workflow_id: &str, file: &str) -> Result<FileUrl> {
        let route = "/files/{workflowId}/{fileId}/upload-url";
        self.http.send_safe(&Self::about(Method::Get, route, "get upload address of file", workflow_id, file)?)?.json()
    }

    /// An address to fetch the content from: `GET /files/{workflowId}/{fileId}/download-url`.
    ///
    /// # Errors
    /// As [`FileClient::get`]; also when it is not uploaded.
    pub fn download_url(&self, workflow_id: &str, file: &str) -> Result<FileUrl> {
        let route = "/files/{workflowId}/{fileId}/download-url";
        self.http
            .send_safe(&Self::about(Method::Get, route, "get download address of file", workflow_id, file)?)?
            .json()
    }

    /// Sends the content to the server's own store: `PUT /files/content/{workflowId}/{fileId}`.
    ///
    /// # Errors
    /// As [`FileClient::get`].
    pub fn upload(&self, workflow_id: &str, file: &str, content: &[u8]) -> Result<()> {
        let route = "/files/content/{workflowId}/{fileId}";
        let request = Self::about(Method::Put, route, "upload file", workflow_id, file)?.bytes(content);
        self.http.send_safe(&request)?.done()
    }

    /// Says that the content is there: `POST /files/{workflowId}/{fileId}/upload-complete`.
    ///
    /// # Errors
    /// As [`FileClient::get`]; also when the content is not there.
    pub fn complete_upload(&self, workflow_id: &str, file: &str) -> Result<FileHandle> {
        let route = "/files/{workflowId}/{fileId}/upload-complete";
        self.http.send(&Self::about(Method::Post, route, "complete upload of file", workflow_id, file)?)?.json()
    }

    /// Fetches the content from the server's own store: `GET /files/content/{workflowId}/{fileId}`.
    ///
    /// # Errors
    /// As [`FileClient::get`]; also when it is larger than [`Config::max_answer_bytes`](crate::Config::max_answer_bytes).
    pub fn download(&self, workflow_id: &str, file: &str) -> Result<Vec<u8>> {
        let route = "/files/content/{workflowId}/{fileId}";
        let request = Self::about(Method::Get, route, "download file", workflow_id, file)?;
        let body = self.http.send_safe(&request)?.body;
        if body.starts_with(b"<") {
            // A page of something else, unless the server knows the file.
            self.get(workflow_id, file)?;
        }
        Ok(body)
    }

    /// Begins an upload in parts: `POST /files/{workflowId}/{fileId}/multipart`.
    ///
    /// # Errors
    /// As [`FileClient::get`]; also when the store of the server takes no parts (it answers 500).
    pub fn begin_multipart(&self, workflow_id: &str, file: &str) -> Result<MultipartUpload> {
        #[derive(Deserialize)]
        struct Begun {
            #[serde(rename = "uploadId")]
            upload_id: String,
        }
        let route = "/files/{workflowId}/{fileId}/multipart";
        let request = Self::about(Method::Post, route, "begin upload in parts of file", workflow_id, file)?;
        let begun: Begun = self.http.send(&request)?.json()?;
        Ok(MultipartUpload::new(workflow_id, file, begun.upload_id))
    }

    /// An address to send a part to, counted from 1: `GET /files/{workflowId}/{fileId}/multipart/{uploadId}/part/{partNumber}`.
    ///
    /// # Errors
    /// As [`FileClient::begin_multipart`].
    pub fn part_url(&self, upload: &MultipartUpload, part_number: u16) -> Result<FileUrl> {
        const VERB: &str = "get address of a part of file";
        if part_number == 0 {
            return Err(Error::invalid(VERB, "part_number is 0; parts are counted from 1"));
        }
        let route = "/files/{workflowId}/{fileId}/multipart/{uploadId}/part/{partNumber}";
        let [workflow_id, file, upload_id] = upload.values();
        let values = [workflow_id, file, upload_id, &part_number.to_string()];
        self.http.send_safe(&Request::new(Method::Get, route, &values, (VERB, file))?)?.json()
    }

    /// Says that all parts are there: `POST /files/{workflowId}/{fileId}/multipart/{uploadId}/complete`. `part_etags` are what
    /// the store answered to each part, in order.
    ///
    /// # Errors
    /// As [`FileClient::begin_multipart`]; also when there is no part.
    pub fn complete_multipart(&self, upload: &MultipartUpload, part_etags: &[&str]) -> Result<FileHandle> {
        const VERB: &str = "complete upload in parts of file";
        if part_etags.is_empty() {
            return Err(Error::invalid(VERB, "part_etags must not be empty"));
        }
        let route = "/files/{workflowId}/{fileId}/multipart/{uploadId}/complete";
        let request = Request::new(Method::Post, route, &upload.values(), (VERB, &upload.file_id))?;
        self.http.send(&request.json(&BTreeMap::from([("partETags", part_etags)]))?)?.json()
    }

    /// Gives an upload in parts up: `DELETE /files/{workflowId}/{fileId}/multipart/{uploadId}`. The server's own store accepts
    /// it although no such upload can have begun (3.32.1).
    ///
    /// # Errors
    /// As [`FileClient::get`].
    pub fn abort_multipart(&self, upload: &MultipartUpload) -> Result<()> {
        let route = "/files/{workflowId}/{fileId}/multipart/{uploadId}";
        let about = ("give up upload in parts of file", upload.file_id.as_str());
        self.http.send_safe(&Request::new(Method::Delete, route, &upload.values(), about)?)?.done()
    }
}

/// Paths hold the bare id, JSON a longer form.
fn file_id(file: &str) -> &str {
    file.strip_prefix("conductor://file/").unwrap_or(file)
}
