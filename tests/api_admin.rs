//! Every operation under `/metadata/workflow` lists, `/event`, `/scheduler`, `/admin`, `/queue` and `/files` on the real server
//! that `CONDUCTOR_SERVER_URL` names; `CONDUCTOR_FILES_SERVER_URL` names one that has file storage switched on. Without them
//! only the table is checked.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process,
    time::SystemTime,
};

use conductor_sync::*;
use serde_json::json;

type Row = (&'static str, &'static str, fn(&Client, &str));

const OPERATIONS: &[Row] = &[
    ("POST /metadata/workflow/validate", "MetadataClient::validate_workflow", validate),
    ("GET /metadata/taskdefs", "MetadataClient::tasks", definitions),
    ("GET /metadata/workflow", "MetadataClient::workflows", definitions),
    ("GET /metadata/workflow?classifier", "MetadataClient::workflows_of", definitions),
    ("GET /metadata/workflow/names", "MetadataClient::workflow_names", definitions),
    ("GET /metadata/workflow/names-and-versions", "MetadataClient::workflow_names_and_versions", definitions),
    ("GET /metadata/workflow/{name}/versions", "MetadataClient::workflow_versions", definitions),
    ("GET /metadata/workflow/latest-versions", "MetadataClient::latest_workflows", definitions),
    ("POST /metadata/workflow?overwrite", "MetadataClient::overwrite_workflow", definitions),
    ("PUT /metadata/workflow", "MetadataClient::update_workflows", definitions),
    ("POST /event", "EventClient::register", events),
    ("PUT /event", "EventClient::update", events),
    ("DELETE /event/{name}", "EventClient::delete", events),
    ("GET /event", "EventClient::list", events),
    ("GET /event/{event}", "EventClient::active_of, all_of", events),
    ("POST /scheduler/schedules", "ScheduleClient::save", schedules),
    ("GET /scheduler/schedules", "ScheduleClient::list, list_of", schedules),
    ("GET /scheduler/schedules/search", "ScheduleClient::search", schedules),
    ("GET /scheduler/schedules/{name}", "ScheduleClient::get", schedules),
    ("DELETE /scheduler/schedules/{name}", "ScheduleClient::delete", schedules),
    ("PUT /scheduler/schedules/{name}/pause", "ScheduleClient::pause", schedules),
    ("PUT /scheduler/schedules/{name}/resume", "ScheduleClient::resume", schedules),
    ("PUT /scheduler/bulk/pause", "ScheduleClient::pause_all_of", schedules),
    ("PUT /scheduler/bulk/resume", "ScheduleClient::resume_all_of", schedules),
    ("GET /scheduler/nextFewSchedules", "ScheduleClient::next_runs", schedules),
    ("GET /scheduler/search/executions", "ScheduleClient::search_executions", schedules),
    ("GET /scheduler/admin/requeue", "ScheduleClient::requeue_executions", schedules),
    ("GET /admin/config", "AdminClient::config", admin),
    ("GET /admin/task/{type}", "AdminClient::pending_tasks", admin),
    ("POST /admin/sweep/requeue/{wf}", "AdminClient::requeue_sweep", admin),
    ("POST /admin/consistency/verifyAndRepair/{wf}", "AdminClient::verify_and_repair", admin),
    ("GET /admin/queues", "AdminClient::queues, queues_verbose", admin),
    ("GET /queue/", "AdminClient::status_queues", admin),
    ("GET /queue/size", "AdminClient::status_queue_sizes", admin),
    ("POST /queue/update/{wf}/{ref}/{status}", "AdminClient::update_through_queue", admin),
    ("GET /environment", "AdminClient::environment, environment_value", admin),
    ("GET /secrets", "AdminClient::secret_names", admin),
    ("GET /version", "AdminClient::version", admin),
    ("GET /health", "AdminClient::health", admin),
];

/// On a server that has file storage, and that nobody else uses.
const OWN_SERVER: &[Row] = &[
    ("POST /files", "FileClient::create", files),
    ("GET /files/{wf}/{file}", "FileClient::get", files),
    ("PUT /files/content/{wf}/{file}", "FileClient::upload", files),
    ("GET /files/content/{wf}/{file}", "FileClient::download", files),
    ("POST /files/{wf}/{file}/upload-complete", "FileClient::complete_upload", files),
    ("GET /files/{wf}/{file}/upload-url, download-url", "FileClient::upload_url, download_url", files),
    ("GET /scheduler/admin/pause, resume", "ScheduleClient::pause_scheduler, resume_scheduler", whole_scheduler),
];

#[test]
#[expect(clippy::disallowed_methods, reason = "only a test that needs the real server asks where it is")]
fn every_operation_works_and_fails_as_described() {
    let mut failed = Vec::new();
    for (variable, rows) in [("CONDUCTOR_SERVER_URL", OPERATIONS), ("CONDUCTOR_FILES_SERVER_URL", OWN_SERVER)] {
        assert!(rows.iter().all(|(route, method, _)| route.contains(" /") && method.contains("Client::")));
        let Ok(url) = std::env::var(variable) else { continue };
        let client = Client::new(Config::new(&url).unwrap()).unwrap();
        let mut done: Vec<fn(&Client, &str)> = Vec::new();
        for (nth, (route, _, test)) in rows.iter().enumerate() {
            // One test may stand for several rows.
            if done.iter().any(|known| std::ptr::fn_addr_eq(*known, *test)) {
                continue;
            }
            done.push(*test);
            let millis = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
            let name = format!("apiadmin_{}_{millis}_{nth}", process::id());
            if catch_unwind(AssertUnwindSafe(|| test(&client, &name))).is_err() {
                failed.push(*route);
            }
        }
    }
    assert!(failed.is_empty(), "failed: {failed:?}");
}

fn kind<T: std::fmt::Debug>(outcome: Result<T>) -> ErrorKind {
    outcome.unwrap_err().kind()
}

fn workflow(name: &str) -> WorkflowDef {
    WorkflowDef::new(name).task(WorkflowTask::simple(format!("{name}_t"), "a"))
}

fn validate(client: &Client, name: &str) {
    client.metadata().validate_workflow(&workflow(name)).unwrap();
    assert!(client.metadata().workflow(name).unwrap_err().is_not_found());
    assert_eq!(kind(client.metadata().validate_workflow(&WorkflowDef::new(name))), ErrorKind::Rejected);
}

fn definitions(client: &Client, name: &str) {
    let metadata = client.metadata();
    metadata.register_task(&TaskDef::new(format!("{name}_t"))).unwrap();
    assert!(metadata.tasks().unwrap().iter().any(|task| task.name == format!("{name}_t")));
    metadata.overwrite_workflow(&workflow(name)).unwrap();
    metadata.overwrite_workflow(&workflow(name).description("again")).unwrap();
    assert_eq!(metadata.workflow(name).unwrap().description.as_deref(), Some("again"));
    let outcome = metadata.update_workflows(&[workflow(name).version(2), workflow(name).version(3)]).unwrap();
    assert!(outcome.is_complete() && outcome.successes.len() == 2, "{outcome:?}");
    assert_eq!(kind(metadata.update_workflows(&[WorkflowDef::new(name)])), ErrorKind::Rejected);
    assert!(metadata.workflow_names().unwrap().iter().any(|known| known == name));
    assert_eq!(metadata.workflow_names_and_versions().unwrap()[name].len(), 3);
    assert_eq!(metadata.workflow_versions(name).unwrap().len(), 3);
    assert_eq!(metadata.workflow_versions("no_such_workflow").unwrap().len(), 0);
    assert!(metadata.latest_workflows().unwrap().iter().any(|def| def.name == name && def.version == Some(3)));
    assert_eq!(metadata.workflows().unwrap().iter().filter(|def| def.name == name).count(), 3);
    metadata.workflows_of("no_such_kind").unwrap();
    // What was fetched goes back and comes again as it was.
    let fetched = metadata.workflow(name).unwrap();
    let text = serde_json::to_string(&fetched).unwrap();
    metadata.update_workflow(&serde_json::from_str(&text).unwrap()).unwrap();
    let mut again = metadata.workflow(name).unwrap();
    again.update_time = fetched.update_time;
    assert_eq!(again, fetched);
}

fn events(client: &Client, name: &str) {
    let events = client.events();
    let event = format!("conductor:{name}:paid");
    let start = EventAction::start_workflow(StartWorkflowAction::new(name).input("order", "${order}"));
    let handler = EventHandler::new(name, &event).action(start).inactive();
    events.register(&handler).unwrap();
    assert_eq!(kind(events.register(&handler)), ErrorKind::Conflict);
    assert_eq!(events.active_of(&event).unwrap().len(), 0);
    assert_eq!(events.all_of(&event).unwrap()[0].actions, handler.actions);
    assert!(events.list().unwrap().iter().any(|known| known.name == name));
    let changed = handler.clone().action(EventAction::terminate_workflow("w", "enough"));
    events.update(&changed).unwrap();
    assert_eq!(events.all_of(&event).unwrap()[0].actions.len(), 2);
    events.delete(name).unwrap();
    assert_eq!(kind(events.delete(name)), ErrorKind::NotFound);
    assert_eq!(kind(events.update(&changed)), ErrorKind::NotFound);
    assert_eq!(events.all_of(&event).unwrap().len(), 0);
}

fn schedules(client: &Client, name: &str) {
    let schedules = client.schedules();
    let nightly = WorkflowSchedule::new(name, "0 0 3 * * ?", StartWorkflowRequest::new(name)).zone("Europe/Berlin");
    assert_eq!(schedules.save(&nightly).unwrap().name, name);
    let bad = WorkflowSchedule::new(name, "bad", StartWorkflowRequest::new(name));
    assert_eq!(kind(schedules.save(&bad)), ErrorKind::Server);
    assert_eq!(schedules.get(name).unwrap().zone_id.as_deref(), Some("Europe/Berlin"));
    assert!(schedules.list().unwrap().iter().any(|known| known.name == name));
    assert_eq!(schedules.list_of(name).unwrap().len(), 1);
    let found: Vec<_> = schedules.search(&ScheduleSearch::new().workflow(name).page_size(1)).into_iter().collect();
    assert_eq!(found.len(), 1, "{found:?}");
    schedules.pause(name, Some("holidays")).unwrap();
    assert_eq!(schedules.get(name).unwrap().paused_reason.as_deref(), Some("holidays"));
    schedules.resume(name).unwrap();
    assert_eq!(kind(schedules.pause("no_such_schedule", None)), ErrorKind::NotFound);
    assert_eq!(kind(schedules.resume("no_such_schedule")), ErrorKind::NotFound);
    for outcome in
        [schedules.pause_all_of(&[name, "no_such_schedule"]), schedules.resume_all_of(&[name, "no_such_schedule"])]
    {
        let outcome = outcome.unwrap();
        assert!(outcome.successes == [name] && outcome.errors.contains_key("no_such_schedule"), "{outcome:?}");
    }
    assert_eq!(schedules.next_runs("0 0 3 * * ?", 3).unwrap().len(), 3);
    assert_eq!(kind(schedules.next_runs("bad", 1)), ErrorKind::Server);
    schedules.search_executions(&ScheduleSearch::new()).first_page().unwrap();
    schedules.requeue_executions().unwrap();
    schedules.delete(name).unwrap();
    schedules.delete(name).unwrap();
    assert_eq!(kind(schedules.get(name)), ErrorKind::NotFound);
}

fn admin(client: &Client, name: &str) {
    let admin = client.admin();
    assert!(admin.config().unwrap().contains_key("java.specification.version"));
    client.metadata().update_workflow(&workflow(name)).unwrap();
    let id = client.workflows().start(&StartWorkflowRequest::new(name)).unwrap();
    assert_eq!(admin.pending_tasks(&format!("{name}_t"), 0, 10).unwrap().len(), 1);
    assert_eq!(admin.pending_tasks("no_such_type", 0, 10).unwrap().len(), 0);
    admin.requeue_sweep(&id).unwrap();
    assert_eq!(kind(admin.verify_and_repair(&id)), ErrorKind::Server);
    admin.queues().unwrap();
    admin.queues_verbose().unwrap();
    admin.status_queues().unwrap();
    admin.status_queue_sizes().unwrap();
    for update in [
        QueueUpdate::by_reference(&id, "a", TaskResultStatus::Completed),
        QueueUpdate::by_id(&id, "t", TaskResultStatus::Completed).output(json!({"n": 1})),
    ] {
        assert_eq!(kind(admin.update_through_queue(&update)), ErrorKind::Rejected);
    }
    admin.environment().unwrap();
    assert_eq!(admin.environment_value("NO_SUCH_VALUE").unwrap(), None);
    admin.secret_names().unwrap();
    assert!(admin.version().unwrap().starts_with("3."));
    assert!(admin.health().unwrap().healthy);
    client.workflows().terminate(&id, None).unwrap();
}

fn files(client: &Client, name: &str) {
    let files = client.files();
    let request = FileUploadRequest::new(name, "note.html").content_type("text/html");
    let file = files.create(&request).unwrap();
    assert!(files.upload_url(name, file.id()).unwrap().upload_url.is_some());
    files.upload(name, file.id(), b"<p>\0\xff").unwrap();
    assert_eq!(files.complete_upload(name, &file.file_handle_id).unwrap().upload_status, FileUploadStatus::Uploaded);
    assert_eq!(files.get(name, file.id()).unwrap().file_name.as_deref(), Some("note.html"));
    assert_eq!(files.download(name, file.id()).unwrap(), b"<p>\0\xff");
    assert!(files.download_url(name, file.id()).unwrap().download_url.is_some());
    assert_eq!(kind(files.get(name, "no-such-file")), ErrorKind::NotFound);
    assert!(files.download(name, "no-such-file").is_err());
    assert!(files.upload(name, "no-such-file", b"x").is_err());
}

fn whole_scheduler(client: &Client, _: &str) {
    client.schedules().pause_scheduler().unwrap();
    client.schedules().resume_scheduler().unwrap();
}
