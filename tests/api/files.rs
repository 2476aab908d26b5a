//! The operations under `/files`. The server does not check that the workflow of a file exists.

use std::time::SystemTime;

use conductor_sync::{ErrorKind, FileHandle, FileUploadRequest, FileUploadStatus, MultipartUpload};

use super::{Api, fails, just_now};

const CONTENT: &[u8] = b"<p>\0\xff";

fn create_file(api: &Api) -> FileHandle {
    let request = FileUploadRequest::new(api.name("w"), "note.html").content_type("text/html");
    api.client.files().create(&request).unwrap()
}

/// A file whose content has been sent.
fn sent(api: &Api) -> FileHandle {
    let file = create_file(api);
    api.client.files().upload(&api.name("w"), file.id(), CONTENT).unwrap();
    api.client.files().complete_upload(&api.name("w"), file.id()).unwrap()
}

pub(crate) fn create(api: &Api) {
    let file = create_file(api);
    assert_eq!((file.file_name.as_deref(), &file.upload_status), (Some("note.html"), &FileUploadStatus::Uploading));
    assert!(file.file_handle_id.starts_with("conductor://file/") && file.upload_url.is_some());
    assert!(file.upload_url_expires_at() > Some(SystemTime::now()), "{file:?}");
}

pub(crate) fn get(api: &Api) {
    let file = api.client.files().get(&api.name("w"), sent(api).id()).unwrap();
    assert_eq!((file.content_type.as_deref(), file.file_size), (Some("text/html"), Some(5)));
    just_now(file.created_at());
    just_now(file.updated_at());
}

/// What was sent comes back, byte by byte; the whole name of a file does as well as its id.
pub(crate) fn upload_and_download(api: &Api) {
    let (files, workflow) = (api.client.files(), api.name("w"));
    let file = create_file(api);
    files.upload(&workflow, &file.file_handle_id, CONTENT).unwrap();
    files.complete_upload(&workflow, &file.file_handle_id).unwrap();
    assert_eq!(files.download(&workflow, file.id()).unwrap(), CONTENT);
    assert_eq!(files.download(&workflow, &file.file_handle_id).unwrap(), CONTENT);
    // Every byte there is, more than a buffer of them.
    let large: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[usize::from(n % 3 == 0)]).collect();
    let file = create_file(api);
    files.upload(&workflow, file.id(), &large).unwrap();
    files.complete_upload(&workflow, file.id()).unwrap();
    assert!(files.download(&workflow, file.id()).unwrap() == large);
}

pub(crate) fn complete_upload(api: &Api) {
    assert_eq!(sent(api).upload_status, FileUploadStatus::Uploaded);
}

pub(crate) fn upload_url(api: &Api) {
    let url = api.client.files().upload_url(&api.name("w"), create_file(api).id()).unwrap();
    assert!(url.upload_url.as_ref().unwrap().contains(&api.name("w")) && url.expires_at() > Some(SystemTime::now()));
}

pub(crate) fn download_url(api: &Api) {
    let url = api.client.files().download_url(&api.name("w"), sent(api).id()).unwrap();
    assert!(url.download_url.as_ref().unwrap().contains(&api.name("w")) && url.expires_at() > Some(SystemTime::now()));
}

/// The server's own store knows no parts, and yet has nothing against giving them up.
pub(crate) fn abort_multipart(api: &Api) {
    api.client.files().abort_multipart(&MultipartUpload::new(api.name("w"), create_file(api).id(), "u")).unwrap();
}

pub(crate) mod refused {
    use super::super::{lost, missing};
    use super::*;

    pub(crate) fn create(api: &Api) {
        fails(api.client.files().create(&FileUploadRequest::new("", "f")), ErrorKind::Invalid);
        lost(api.elsewhere().files().create(&FileUploadRequest::new("w", "f")));
    }

    pub(crate) fn get(api: &Api) {
        missing(api.client.files().get(&api.name("w"), "no-such-file"));
        let other = api.client.files().get(&api.name("another"), create_file(api).id());
        assert_eq!(other.unwrap_err().status(), Some(403));
    }

    pub(crate) fn upload_and_download(api: &Api) {
        missing(api.client.files().upload(&api.name("w"), "no-such-file", b"x"));
        missing(api.client.files().download(&api.name("w"), "no-such-file"));
        fails(api.client.files().download(&api.name("w"), create_file(api).id()), ErrorKind::Rejected);
    }

    pub(crate) fn complete_upload(api: &Api) {
        missing(api.client.files().complete_upload(&api.name("w"), "no-such-file"));
        fails(api.client.files().complete_upload(&api.name("w"), create_file(api).id()), ErrorKind::Server);
    }

    pub(crate) fn upload_url(api: &Api) {
        missing(api.client.files().upload_url(&api.name("w"), "no-such-file"));
    }

    pub(crate) fn download_url(api: &Api) {
        missing(api.client.files().download_url(&api.name("w"), "no-such-file"));
        fails(api.client.files().download_url(&api.name("w"), create_file(api).id()), ErrorKind::Rejected);
    }

    /// This is all that the server's own store has to say to parts.
    #[track_caller]
    fn no_parts<T: std::fmt::Debug>(outcome: conductor_sync::Result<T>) {
        let error = fails(outcome, ErrorKind::Server);
        assert!(error.to_string().contains("does not support multipart uploads"), "{error}");
    }

    pub(crate) fn begin_multipart(api: &Api) {
        no_parts(api.client.files().begin_multipart(&api.name("w"), create_file(api).id()));
        missing(api.client.files().begin_multipart(&api.name("w"), "no-such-file"));
    }

    pub(crate) fn part_url(api: &Api) {
        no_parts(api.client.files().part_url(&MultipartUpload::new(api.name("w"), create_file(api).id(), "u"), 1));
        missing(api.client.files().part_url(&MultipartUpload::new(api.name("w"), "no-such-file", "u"), 1));
    }

    pub(crate) fn complete_multipart(api: &Api) {
        no_parts(
            api.client
                .files()
                .complete_multipart(&MultipartUpload::new(api.name("w"), create_file(api).id(), "u"), &["e"]),
        );
        missing(
            api.client.files().complete_multipart(&MultipartUpload::new(api.name("w"), "no-such-file", "u"), &["e"]),
        );
        fails(
            api.client.files().complete_multipart(&MultipartUpload::new(api.name("w"), "f", "u"), &[]),
            ErrorKind::Invalid,
        );
    }

    pub(crate) fn abort_multipart(api: &Api) {
        missing(api.client.files().abort_multipart(&MultipartUpload::new(api.name("w"), "no-such-file", "u")));
    }
}
