//! What the clients of events, schedules, files, A2A and the server itself refuse, send and say.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

mod common;

use std::time::{Duration, SystemTime};

use common::{Answer, Server};
use conductor_sync::{
    A2aAgent, A2aMessage, ErrorKind, EventHandler, FileUploadRequest, FileUploadStatus, MultipartUpload, NextRunsQuery,
    QueueUpdate, Result, ScheduleSearch, Secret, StartWorkflowRequest, TaskResultStatus, WorkflowSchedule,
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
    check(client.events().register(&EventHandler::new("a/b", "q:e")), bad, "name");
    check(client.events().register(&EventHandler::new("a", "")), bad, "event must not be empty");
    check(client.events().update(&EventHandler::new("a", "q:e")), bad, "actions must not be empty");
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
    check(
        client.files().complete_multipart(&MultipartUpload::new("w", "f", "u"), &[]),
        bad,
        "part_etags must not be empty",
    );
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

/// What no server at hand does: stores that take parts are outside the server.
#[test]
fn an_upload_in_parts_is_sent_as_the_server_wants_it() {
    let server = Server::start(|request| {
        let file = json!({"fileHandleId": "conductor://file/f", "uploadId": "u 1", "uploadUrl": "http://s/1"});
        let is_end = request.target.ends_with("/complete");
        let done = json!({"fileHandleId": "conductor://file/f", "uploadStatus": "UPLOADED", "contentHash": "h"});
        Some(Answer::json(200, if is_end { &done } else { &file }))
    });
    let files = server.client().files();
    let upload = files.begin_multipart("w", "conductor://file/f").unwrap();
    assert_eq!(upload, MultipartUpload::new("w", "f", "u 1"));
    assert_eq!(files.part_url(&upload, 2).unwrap().upload_url.as_deref(), Some("http://s/1"));
    let done = files.complete_multipart(&upload, &["e1", "e2"]).unwrap();
    assert_eq!((done.upload_status, done.content_hash.as_deref()), (FileUploadStatus::Uploaded, Some("h")));
    let requests = server.requests();
    let targets: Vec<&str> = requests.iter().map(|request| request.target.as_str()).collect();
    let upload = "/api/files/w/f/multipart/u%201";
    assert_eq!(targets, ["/api/files/w/f/multipart", &format!("{upload}/part/2"), &format!("{upload}/complete")]);
    assert_eq!(requests[2].json(), json!({"partETags": ["e1", "e2"]}));
}

/// What no server at hand does: its secrets are variables of its process.
#[test]
fn a_secret_is_put_as_plain_text_and_its_value_is_not_shown() {
    let server = Server::start(|_| Some(Answer::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec())));
    let secrets = server.client().secrets();
    secrets.put("KEY", &Secret::new("hush \"ü\"")).unwrap();
    secrets.delete("KEY").unwrap();
    let requests = server.requests();
    let sent: Vec<_> = requests.iter().map(|request| (request.method.as_str(), request.target.as_str())).collect();
    assert_eq!(sent, [("PUT", "/api/secrets/KEY"), ("DELETE", "/api/secrets/KEY")]);
    assert_eq!(requests[0].body, "hush \"ü\"".as_bytes());
}

#[test]
fn no_message_holds_the_value_of_a_secret() {
    for (status, body) in
        [("200 OK", "\u{feff}hush\u{1b}".as_bytes()), ("200 OK", b"hush\xff"), ("200 OK", b" \"hush\" ")]
    {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
        let answer = [head.as_bytes(), body].concat();
        let server = Server::start(move |_| Some(Answer::Bytes(answer.clone())));
        let value = server.client().secrets().value("KEY");
        match &value {
            Ok(value) => assert_eq!(value.reveal().as_bytes(), body, "as it came"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Decode),
        }
        assert!(!format!("{value:?}").contains("hush"), "{value:?}");
        let source = value.err().and_then(|error| std::error::Error::source(&error).map(|source| source.to_string()));
        assert_eq!(source, None);
    }
}

#[test]
fn an_update_through_a_queue_names_the_task_as_it_was_named() {
    let server = Server::start(|_| Some(Answer::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec())));
    let admin = server.client().admin();
    let by_reference = QueueUpdate::by_reference("w", "a", TaskResultStatus::Completed).output(json!({"n": 1}));
    admin.update_through_queue(&by_reference).unwrap();
    admin.update_through_queue(&QueueUpdate::by_id("w", "t", TaskResultStatus::Failed)).unwrap();
    let requests = server.requests();
    let targets: Vec<&str> = requests.iter().map(|request| request.target.as_str()).collect();
    assert_eq!(targets, ["/api/queue/update/w/a/COMPLETED", "/api/queue/update/w/task/t/FAILED"]);
    assert_eq!((requests[0].json(), requests[1].json()), (json!({"n": 1}), json!({})));
}

#[test]
fn the_beginning_and_the_end_of_a_preview_are_sent_in_milliseconds() {
    let server = Server::start(|_| Some(Answer::json(200, &json!([5000, 9000]))));
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let runs = server
        .client()
        .schedules()
        .next_runs_between(&NextRunsQuery::new("* * * * * ?").begins(at(4)).ends(at(6)).limit(2))
        .unwrap();
    assert_eq!(runs, [at(5)], "what is after the end is left out");
    let requests = server.requests();
    assert_eq!(requests[0].query("scheduleStartTime"), Some("4000"));
    assert_eq!(requests[0].query("scheduleEndTime"), Some("6000"));
}

#[test]
fn an_empty_404_of_any_server_is_a_wrong_address() {
    let none = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec();
    let server = Server::start(move |_| Some(Answer::Bytes(none.clone())));
    let a2a = server.client().a2a();
    for agent in [A2aAgent::Workflow("w"), A2aAgent::Agent("a")] {
        check(a2a.card(agent), ErrorKind::WrongAddress, "check the server URL");
    }
    check(a2a.callback("t", &Secret::new("hush")), ErrorKind::WrongAddress, "check the server URL");
}

#[test]
fn a_refusal_with_the_status_200_is_an_error() {
    for (answer, kind, says) in [
        (json!({"error": {"code": -32001, "message": "no A"}}), ErrorKind::NotFound, "server said -32001: no A"),
        (json!({"error": {"code": -32602, "message": "no B"}}), ErrorKind::Rejected, "no B"),
        (json!({"error": {"code": -32603, "message": "no C"}}), ErrorKind::Server, "no C"),
        (json!({"jsonrpc": "2.0", "id": 1}), ErrorKind::Decode, "neither a result nor an error"),
    ] {
        let server = Server::start(move |_| Some(Answer::json(200, &answer)));
        let a2a = server.client().a2a();
        check(a2a.send(A2aAgent::Agent("a"), &A2aMessage::text("hello")), kind, says);
    }
}

#[test]
fn headers_for_another_agent_are_sent_along_and_a_token_is_not_shown() {
    let server = Server::start(|_| Some(Answer::json(200, &json!({"agentCard": {"name": "a"}}))));
    let a2a = server.client().a2a();
    assert_eq!(a2a.discover("https://a.b", &[("Authorization", "Bearer x")]).unwrap().name, "a");
    let sent = server.requests()[0].json();
    assert_eq!(sent, json!({"agentUrl": "https://a.b", "headers": {"Authorization": "Bearer x"}}));
    let error = a2a.callback("t", &Secret::new("hush\n")).unwrap_err();
    assert!(error.kind() == ErrorKind::Invalid && !format!("{error:?}").contains("hush"), "{error:?}");
}
