//! What the clients of events, schedules, files and the server itself refuse, send and say.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

mod common;

use common::{Answer, Server};
use conductor_sync::{
    ErrorKind, EventHandler, FileUploadRequest, Result, ScheduleSearch, StartWorkflowRequest, WorkflowSchedule,
};
use serde_json::json;

#[track_caller]
fn check<T: std::fmt::Debug>(outcome: Result<T>, kind: ErrorKind, says: &str) {
    let error = outcome.unwrap_err();
    assert!(error.kind() == kind && error.to_string().contains(says), "`{says}` is not in: {error:?}");
}

#[test]
fn bad_input_names_the_parameter_and_sends_nothing() {
    let server = Server::well_behaved();
    let client = server.client();
    let bad = ErrorKind::Invalid;
    check(client.events().register(&EventHandler::new("a/b", "e")), bad, "name");
    check(client.events().register(&EventHandler::new("a", "")), bad, "event must not be empty");
    check(client.events().update(&EventHandler::new("a", "e")), bad, "actions must not be empty");
    check(client.events().delete(""), bad, "name must not be empty");
    check(client.events().active_of("sqs:a/b"), bad, "event");
    let start = StartWorkflowRequest::new("w");
    check(client.schedules().save(&WorkflowSchedule::new("", "c", start.clone())), bad, "name must not be empty");
    check(client.schedules().save(&WorkflowSchedule::new("s", " ", start)), bad, "cron_expression");
    let nothing = StartWorkflowRequest::new("");
    check(client.schedules().save(&WorkflowSchedule::new("s", "c", nothing)), bad, "start_workflow_request");
    check(client.schedules().next_runs("c", 6), bad, "limit is 6");
    check(client.schedules().pause_all_of(&[]), bad, "must not be empty");
    check(client.schedules().search(&ScheduleSearch::new().page_size(0)).first_page(), bad, "page_size is 0");
    check(client.admin().pending_tasks("t", 0, 0), bad, "count must be at least 1");
    check(client.files().create(&FileUploadRequest::new("", "f")), bad, "workflow_id must not be empty");
    check(client.files().get("w", "a/b"), bad, "fileId");
    check(client.metadata().update_workflows(&[]), bad, "must not be empty");
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_route_that_is_switched_off_says_so() {
    let server = Server::start(|_| Some(Answer::refused(404, "No static resource api/files.")));
    let file = FileUploadRequest::new("w", "f");
    check(
        server.client().files().create(&file),
        ErrorKind::WrongAddress,
        "switched off (conductor.file-storage.enabled)",
    );
}

#[test]
fn the_list_of_status_queues_is_asked_for_with_its_slash() {
    let server = Server::start(|_| Some(Answer::json(200, &json!({"COMPLETED": "q"}))));
    assert_eq!(server.client().admin().status_queues().unwrap()["COMPLETED"], "q");
    assert_eq!(server.requests()[0].target, "/api/queue/");
}
