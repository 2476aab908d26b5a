//! The operations under `/secrets` that a server has with its AI integrations on. The reference server's secrets are variables
//! of its process, which can't be written.

use conductor_sync::{ErrorKind, Secret};

use super::{Api, admin::VALUES, fails, lost, missing};

/// The summary of a short value says nothing about it.
pub(crate) fn list(api: &Api) {
    let secrets = api.client.secrets().list().unwrap();
    let key = secrets.iter().find(|secret| secret.name == "KEY").unwrap_or_else(|| panic!("{VALUES}: {secrets:?}"));
    assert_eq!(key.partial.as_deref(), Some("..."));
}

pub(crate) fn value(api: &Api) {
    assert_eq!(api.client.secrets().value("KEY").unwrap().reveal(), "hush", "{VALUES}");
}

pub(crate) fn exists(api: &Api) {
    assert!(api.client.secrets().exists("KEY").unwrap(), "{VALUES}");
    assert!(!api.client.secrets().exists("NO_SUCH_SECRET").unwrap());
}

pub(crate) mod refused {
    use super::*;

    pub(crate) fn list(api: &Api) {
        lost(api.elsewhere().secrets().list());
    }

    pub(crate) fn value(api: &Api) {
        missing(api.client.secrets().value("NO_SUCH_SECRET"));
        lost(api.elsewhere().secrets().value("NO_SUCH_SECRET"));
        fails(api.client.secrets().value("not a key"), ErrorKind::Invalid);
    }

    pub(crate) fn exists(api: &Api) {
        lost(api.elsewhere().secrets().exists("KEY"));
        fails(api.client.secrets().exists("not a key"), ErrorKind::Invalid);
    }

    /// What the server says, which does not hold the value.
    #[track_caller]
    fn read_only(outcome: conductor_sync::Result<()>) {
        let error = fails(outcome, ErrorKind::Server);
        assert_eq!(error.status(), Some(501));
        assert!(error.to_string().ends_with("env-backed secrets are read-only"), "{error}");
    }

    pub(crate) fn put(api: &Api) {
        read_only(api.client.secrets().put("KEY", &Secret::new("v")));
    }

    pub(crate) fn delete(api: &Api) {
        read_only(api.client.secrets().delete("KEY"));
    }
}
