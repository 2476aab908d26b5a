//! What an answer to a report or a heartbeat means.

use crate::error::{Error, ErrorKind, Result};

/// What an answer to a report means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Acknowledged.
    Settled,
    /// The server knows no such task or workflow.
    Gone,
    /// The server can't take this report, now or later.
    Refused,
    /// The server refuses in a way that may be its own fault or the report's.
    Suspect,
    /// Worth another try.
    Retry,
}

/// Classifies the outcome of a report or a heartbeat. Conductor 3.32.1 answers malformed reports with 500 as well as 400,
/// so texts decide where they are known.
pub(crate) fn verdict(outcome: &Result<()>) -> Verdict {
    let Err(error) = outcome else {
        return Verdict::Settled;
    };
    let said = error.server_message();
    match (error.kind(), error.status()) {
        (ErrorKind::NotFound, _) if is_gone(error) => Verdict::Gone,
        (_, Some(413)) => Verdict::Refused,
        (ErrorKind::Rejected, Some(400)) if said.is_some_and(|m| m.starts_with("Validation failed")) => {
            Verdict::Refused
        }
        (ErrorKind::Rejected, Some(408 | 425)) => Verdict::Retry,
        (ErrorKind::Rejected, _) => Verdict::Suspect,
        (ErrorKind::Server, Some(500)) if said.is_some_and(|m| m.starts_with("JSON parse error")) => Verdict::Refused,
        (ErrorKind::Server, Some(500)) if !error.is_retryable() => Verdict::Suspect,
        _ => Verdict::Retry,
    }
}

/// Whether the server itself says that it knows no such task or workflow.
pub(crate) fn is_gone(error: &Error) -> bool {
    error.is_not_found() && error.server_message().is_some_and(|message| message.starts_with("No such "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: ErrorKind, status: u16, message: Option<&str>) -> Result<()> {
        let error = Error::new(kind, "update task", "x").with_status(status);
        Err(error.with_server_message(message.map(str::to_owned), false))
    }

    #[test]
    fn answers_fall_into_their_classes() {
        use ErrorKind as K;
        for (kind, status, message, expected) in [
            (K::NotFound, 404, Some("No such task found by id: x"), Verdict::Gone),
            (K::NotFound, 404, Some("nothing here"), Verdict::Retry),
            (K::WrongAddress, 404, None, Verdict::Retry),
            (K::WrongAddress, 302, None, Verdict::Retry),
            (K::Rejected, 400, Some("Validation failed, check below errors for detail."), Verdict::Refused),
            (K::Rejected, 400, None, Verdict::Suspect),
            (K::Rejected, 400, Some("odd"), Verdict::Suspect),
            (K::Rejected, 413, None, Verdict::Refused),
            (K::Server, 500, Some("JSON parse error: x"), Verdict::Refused),
            (K::Server, 500, Some("Cannot invoke"), Verdict::Suspect),
            (K::Server, 503, None, Verdict::Retry),
            (K::Server, 429, None, Verdict::Retry),
            (K::Unauthorized, 401, None, Verdict::Retry),
            (K::Conflict, 409, Some("x"), Verdict::Retry),
        ] {
            assert_eq!(verdict(&failure(kind, status, message)), expected, "{status} {message:?}");
        }
        assert_eq!(verdict(&Ok(())), Verdict::Settled);
        assert_eq!(verdict(&Err(Error::new(K::NoAnswer, "update task", "x"))), Verdict::Retry);
    }
}
