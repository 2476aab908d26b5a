//! What no server is asked: every method of every client refuses what can't be right, names the parameter, and sends
//! nothing. The sources are read for methods, so that none is left out. What only a server knows, it names itself.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

mod common;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use common::{Answer, Server};
use conductor_sync::*;
use serde_json::json;

/// A method, the parameter that is wrong, and the call; it gets an id where that is what is wrong.
type Row = (&'static str, &'static str, fn(&Client, &str) -> Option<Error>);

macro_rules! rows {
    ($c:ident, $id:ident; $($method:literal $parameter:literal: $call:expr;)*) => {
        &[$(($method, $parameter, |$c, $id| $call.err()),)*]
    };
}

/// What can't stand in a path: the server routes it elsewhere or answers a page of HTML, encoded or not (3.32.1).
const BAD_IDS: &[&str] = &["", "a/b", "/", "a\\b", ".", "..", "a\nb", "\0", LONG];

const LONG: &str = {
    const BYTES: [u8; 2001] = [b'x'; 2001];
    match std::str::from_utf8(&BYTES) {
        Ok(text) => text,
        Err(_) => "",
    }
};

/// Methods with a parameter that becomes a part of the path.
const IDS: &[Row] = rows! { c, id;
    "TaskClient::poll" "taskType": c.tasks().poll(id);
    "TaskClient::poll_batch" "taskType": c.tasks().poll_batch(id);
    "TaskClient::get" "taskId": c.tasks().get(id);
    "TaskClient::update_by_reference" "workflowId": c.tasks().update_by_reference(&update(id, "r", DONE));
    "TaskClient::update_by_reference" "reference": c.tasks().update_by_reference(&update("w", id, DONE));
    "TaskClient::update_by_reference_sync" "workflowId": c.tasks().update_by_reference_sync(&update(id, "r", DONE));
    "TaskClient::update_by_reference_sync" "reference": c.tasks().update_by_reference_sync(&update("w", id, DONE));
    "TaskClient::signal" "workflowId": c.tasks().signal(&SignalRequest::new(id, DONE));
    "TaskClient::signal_sync" "workflowId": c.tasks().signal_sync(&SignalRequest::new(id, DONE));
    "TaskClient::add_log" "taskId": c.tasks().add_log(id, "line");
    "TaskClient::logs" "taskId": c.tasks().logs(id);
    "TaskClient::requeue" "taskType": c.tasks().requeue(id);
    "WorkflowClient::start_by_name" "name": c.workflows().start_by_name(&start(id));
    "WorkflowClient::execute" "name": c.workflows().execute(&ExecuteWorkflowRequest::new(start(id)));
    "WorkflowClient::get" "workflowId": c.workflows().get(id);
    "WorkflowClient::without_tasks" "workflowId": c.workflows().without_tasks(id);
    "WorkflowClient::status" "workflowId": c.workflows().status(id);
    "WorkflowClient::tasks" "workflowId": c.workflows().tasks(id).first_page();
    "WorkflowClient::correlated" "name": c.workflows().correlated(id, "c");
    "WorkflowClient::correlated" "correlationId": c.workflows().correlated("w", id);
    "WorkflowClient::correlated_by_each" "name": c.workflows().correlated_by_each(id, &["c"]);
    "WorkflowClient::running" "name": c.workflows().running(id);
    "WorkflowClient::terminate" "workflowId": c.workflows().terminate(id, None);
    "WorkflowClient::pause" "workflowId": c.workflows().pause(id);
    "WorkflowClient::resume" "workflowId": c.workflows().resume(id);
    "WorkflowClient::decide" "workflowId": c.workflows().decide(id);
    "WorkflowClient::restart" "workflowId": c.workflows().restart(id);
    "WorkflowClient::restart_with_latest_definition" "workflowId": c.workflows().restart_with_latest_definition(id);
    "WorkflowClient::retry" "workflowId": c.workflows().retry(id);
    "WorkflowClient::retry_within_sub_workflows" "workflowId": c.workflows().retry_within_sub_workflows(id);
    "WorkflowClient::rerun" "workflowId": c.workflows().rerun(id, &RerunWorkflowRequest::new());
    "WorkflowClient::reset_callbacks" "workflowId": c.workflows().reset_callbacks(id);
    "WorkflowClient::skip_task" "workflowId": c.workflows().skip_task(id, "r", &SkipTaskRequest::new());
    "WorkflowClient::skip_task" "reference": c.workflows().skip_task("w", id, &SkipTaskRequest::new());
    "WorkflowClient::remove" "workflowId": c.workflows().remove(id, Removal::Delete);
    "WorkflowClient::terminate_and_remove" "workflowId":
        c.workflows().terminate_and_remove(id, None, Removal::Archive);
    "WorkflowClient::send_message" "workflowId": c.workflows().send_message(id, &JsonMap::new());
    "WorkflowClient::wait" "workflowId": c.workflows().wait(id, SHORT);
    "WorkflowClient::wait_all" "workflowId": c.workflows().wait_all(&[id], SHORT).remove(0);
    "MetadataClient::register_task" "name": c.metadata().register_task(&TaskDef::new(id));
    "MetadataClient::register_tasks" "name": c.metadata().register_tasks(&[TaskDef::new("t"), TaskDef::new(id)]);
    "MetadataClient::task" "name": c.metadata().task(id);
    "MetadataClient::update_task" "name": c.metadata().update_task(&TaskDef::new(id));
    "MetadataClient::delete_task" "name": c.metadata().delete_task(id);
    "MetadataClient::register_workflow" "name": c.metadata().register_workflow(&WorkflowDef::new(id));
    "MetadataClient::update_workflow" "name": c.metadata().update_workflow(&WorkflowDef::new(id));
    "MetadataClient::overwrite_workflow" "name": c.metadata().overwrite_workflow(&WorkflowDef::new(id));
    "MetadataClient::update_workflows" "name":
        c.metadata().update_workflows(&[WorkflowDef::new("w"), WorkflowDef::new(id)]);
    "MetadataClient::validate_workflow" "name": c.metadata().validate_workflow(&WorkflowDef::new(id));
    "MetadataClient::workflow" "name": c.metadata().workflow(id);
    "MetadataClient::workflow_version" "name": c.metadata().workflow_version(id, 1);
    "MetadataClient::delete_workflow" "name": c.metadata().delete_workflow(id, 1);
    "MetadataClient::workflow_versions" "name": c.metadata().workflow_versions(id);
    "EventClient::register" "name": c.events().register(&handler(id));
    "EventClient::update" "name": c.events().update(&handler(id));
    "EventClient::delete" "name": c.events().delete(id);
    "EventClient::active_of" "event": c.events().active_of(id);
    "EventClient::all_of" "event": c.events().all_of(id);
    "ScheduleClient::save" "name": c.schedules().save(&WorkflowSchedule::new(id, "0 0 3 * * ?", start("w")));
    "ScheduleClient::get" "name": c.schedules().get(id);
    "ScheduleClient::delete" "name": c.schedules().delete(id);
    "ScheduleClient::pause" "name": c.schedules().pause(id, None);
    "ScheduleClient::resume" "name": c.schedules().resume(id);
    "AdminClient::pending_tasks" "taskType": c.admin().pending_tasks(id, 0, 1);
    "AdminClient::requeue_sweep" "workflowId": c.admin().requeue_sweep(id);
    "AdminClient::verify_and_repair" "workflowId": c.admin().verify_and_repair(id);
    "AdminClient::update_through_queue" "workflowId":
        c.admin().update_through_queue(&QueueUpdate::by_reference(id, "r", DONE));
    "AdminClient::update_through_queue" "reference":
        c.admin().update_through_queue(&QueueUpdate::by_reference("w", id, DONE));
    "AdminClient::update_through_queue" "taskId": c.admin().update_through_queue(&QueueUpdate::by_id("w", id, DONE));
    "AdminClient::environment_value" "name": c.admin().environment_value(id);
    "A2aClient::card" "name": c.a2a().card(A2aAgent::Workflow(id));
    "A2aClient::card" "name": c.a2a().card(A2aAgent::Agent(id));
    "A2aClient::send" "name": c.a2a().send(A2aAgent::Agent(id), &A2aMessage::text("hello"));
    "A2aClient::stream" "name": c.a2a().stream(A2aAgent::Agent(id), &A2aMessage::text("hello"), Duration::from_secs(9));
    "A2aClient::task" "name": c.a2a().task(A2aAgent::Workflow(id), "t");
    "A2aClient::cancel" "name": c.a2a().cancel(A2aAgent::Workflow(id), "t");
    "A2aClient::callback" "taskId": c.a2a().callback(id, &Secret::new("t"));
    "SecretClient::value" "key": c.secrets().value(id);
    "SecretClient::put" "key": c.secrets().put(id, &Secret::new("v"));
    "SecretClient::delete" "key": c.secrets().delete(id);
    "SecretClient::exists" "key": c.secrets().exists(id);
    "AgentClient::events" "executionId": c.agents().events(id);
    "AgentClient::push_event" "executionId": c.agents().push_event(id, &event("thinking"));
    "AgentClient::respond" "executionId": c.agents().respond(id, &JsonMap::new());
    "AgentClient::status" "executionId": c.agents().status(id);
    "AgentClient::execution" "executionId": c.agents().execution(id);
    "AgentClient::run" "executionId": c.agents().run(id);
    "AgentClient::workflow" "executionId": c.agents().workflow(id);
    "AgentClient::pause" "executionId": c.agents().pause(id);
    "AgentClient::resume" "executionId": c.agents().resume(id);
    "AgentClient::cancel" "executionId": c.agents().cancel(id, None);
    "AgentClient::stop" "executionId": c.agents().stop(id);
    "AgentClient::signal" "executionId": c.agents().signal(id, "m");
    "AgentClient::restart" "executionId": c.agents().restart(id);
    "AgentClient::restart_with_latest_definition" "executionId": c.agents().restart_with_latest_definition(id);
    "AgentClient::retry" "executionId": c.agents().retry(id);
    "AgentClient::retry_within_sub_workflows" "executionId": c.agents().retry_within_sub_workflows(id);
    "AgentClient::rerun" "executionId": c.agents().rerun(id, &RerunWorkflowRequest::new());
    "AgentClient::remove" "executionId": c.agents().remove(id, Removal::Delete);
    "AgentClient::complete_tracked" "executionId": c.agents().complete_tracked(id, &JsonMap::new());
    "AgentClient::inject_task" "executionId": c.agents().inject_task(id, &InjectTaskRequest::tool("t", "r"));
    "AgentClient::tasks" "executionId": c.agents().tasks(id).first_page();
    "AgentClient::get" "name": c.agents().get(id, None);
    "AgentClient::definition" "name": c.agents().definition(id, None);
    "AgentClient::delete" "name": c.agents().delete(id, None);
    "AgentClient::task_logs" "taskId": c.agents().task_logs(id);
    "AgentClient::update_task" "workflowId": c.agents().update_task(&update(id, "r", DONE));
    "AgentClient::update_task" "reference": c.agents().update_task(&update("w", id, DONE));
    "SkillClient::latest" "name": c.skills().latest(id);
    "SkillClient::get" "name": c.skills().get(id, "1");
    "SkillClient::get" "version": c.skills().get("s", id);
    "SkillClient::file" "name": c.skills().file(id, "1", "p");
    "SkillClient::file" "version": c.skills().file("s", id, "p");
    "SkillClient::package" "name": c.skills().package(id, "1");
    "SkillClient::package" "version": c.skills().package("s", id);
    "SkillClient::deploy" "name": c.skills().deploy(id, "1", &SkillDeployRequest::new("m"));
    "SkillClient::deploy" "version": c.skills().deploy("s", id, &SkillDeployRequest::new("m"));
    "SkillClient::delete" "name": c.skills().delete(id, "1");
    "SkillClient::delete" "version": c.skills().delete("s", id);
    "FileClient::create" "workflow_id": c.files().create(&FileUploadRequest::new(id, "f"));
    "FileClient::get" "workflowId": c.files().get(id, "f");
    "FileClient::get" "fileId": c.files().get("w", id);
    "FileClient::upload_url" "workflowId": c.files().upload_url(id, "f");
    "FileClient::upload_url" "fileId": c.files().upload_url("w", id);
    "FileClient::download_url" "workflowId": c.files().download_url(id, "f");
    "FileClient::download_url" "fileId": c.files().download_url("w", id);
    "FileClient::upload" "workflowId": c.files().upload(id, "f", b"");
    "FileClient::upload" "fileId": c.files().upload("w", id, b"");
    "FileClient::complete_upload" "workflowId": c.files().complete_upload(id, "f");
    "FileClient::complete_upload" "fileId": c.files().complete_upload("w", id);
    "FileClient::download" "workflowId": c.files().download(id, "f");
    "FileClient::download" "fileId": c.files().download("w", id);
    "FileClient::begin_multipart" "workflowId": c.files().begin_multipart(id, "f");
    "FileClient::begin_multipart" "fileId": c.files().begin_multipart("w", id);
    "FileClient::part_url" "workflowId": c.files().part_url(&MultipartUpload::new(id, "f", "u"), 1);
    "FileClient::part_url" "fileId": c.files().part_url(&MultipartUpload::new("w", id, "u"), 1);
    "FileClient::part_url" "uploadId": c.files().part_url(&MultipartUpload::new("w", "f", id), 1);
    "FileClient::complete_multipart" "workflowId": c.files().complete_multipart(&MultipartUpload::new(id, "f", "u"), &["e"]);
    "FileClient::complete_multipart" "fileId": c.files().complete_multipart(&MultipartUpload::new("w", id, "u"), &["e"]);
    "FileClient::complete_multipart" "uploadId": c.files().complete_multipart(&MultipartUpload::new("w", "f", id), &["e"]);
    "FileClient::abort_multipart" "workflowId": c.files().abort_multipart(&MultipartUpload::new(id, "f", "u"));
    "FileClient::abort_multipart" "fileId": c.files().abort_multipart(&MultipartUpload::new("w", id, "u"));
    "FileClient::abort_multipart" "uploadId": c.files().abort_multipart(&MultipartUpload::new("w", "f", id));
};

/// Methods with other values that can't be right: empty, too small, too large, of no known kind.
const VALUES: &[Row] = rows! { c, _id;
    "TaskClient::poll" "taskType": c.tasks().poll("");
    "TaskClient::poll_batch" "count": c.tasks().poll_batch(PollRequest::new("t").count(0));
    "TaskClient::poll_batch" "count": c.tasks().poll_batch(PollRequest::new("t").count(1 << 31));
    "TaskClient::poll_batch" "timeout": c.tasks().poll_batch(PollRequest::new("t").timeout(Duration::from_millis(5001)));
    "TaskClient::update" "taskId": c.tasks().update(&TaskResult::new("w", "", DONE));
    "TaskClient::update" "workflowInstanceId": c.tasks().update(&TaskResult::new("", "t", DONE));
    "TaskClient::update" "status": c.tasks().update(&TaskResult::new("w", "t", ""));
    "TaskClient::update" "status": c.tasks().update(&TaskResult::new("w", "t", "OF_A_LATER_SERVER"));
    "TaskClient::update" "output_data": c.tasks().update(&TaskResult::new("w", "t", DONE).output(json!([1])));
    "TaskClient::update" "callback_after_seconds": c.tasks().update(&negative_callback());
    "TaskClient::update_and_poll" "workflowInstanceId": c.tasks().update_and_poll(&TaskResult::new("", "t", DONE));
    "TaskClient::update_and_poll" "output_data": c.tasks().update_and_poll(&TaskResult::new("w", "t", DONE).output(1));
    "TaskClient::update_and_poll" "taskId": c.tasks().update_and_poll(&TaskResult::new("w", "", DONE));
    "TaskClient::update_and_poll" "status": c.tasks().update_and_poll(&TaskResult::new("w", "t", "completed"));
    "TaskClient::update_and_poll" "callback_after_seconds": c.tasks().update_and_poll(&negative_callback());
    "TaskClient::update_by_reference" "status": c.tasks().update_by_reference(&update("w", "r", LATER()));
    "TaskClient::update_by_reference" "output": c.tasks().update_by_reference(&update("w", "r", DONE).output(3));
    "TaskClient::update_by_reference_sync" "status": c.tasks().update_by_reference_sync(&update("w", "r", LATER()));
    "TaskClient::update_by_reference_sync" "output":
        c.tasks().update_by_reference_sync(&update("w", "r", DONE).output("text"));
    "TaskClient::signal" "status": c.tasks().signal(&SignalRequest::new("w", LATER()));
    "TaskClient::signal" "output": c.tasks().signal(&SignalRequest::new("w", DONE).output(json!([])));
    "TaskClient::signal_sync" "status": c.tasks().signal_sync(&SignalRequest::new("w", "".into()));
    "TaskClient::signal_sync" "returns": c.tasks().signal_sync(&SignalRequest::new("w", DONE).returns("LATER".into()));
    "TaskClient::signal_sync" "wait_for":
        c.tasks().signal_sync(&SignalRequest::new("w", DONE).wait_for(Duration::from_secs(3600)));
    "TaskClient::add_log" "line": c.tasks().add_log("t", "");
    "TaskClient::queue_size" "task_type": c.tasks().queue_size("", None);
    "TaskClient::queue_sizes" "task_types": c.tasks().queue_sizes::<&str>(&[]);
    "TaskClient::queue_sizes" "task_types": c.tasks().queue_sizes(&["t", ""]);
    "TaskClient::poll_data" "task_type": c.tasks().poll_data(" ");
    "TaskClient::search" "page_size": c.tasks().search(page(0)).first_page();
    "TaskClient::search" "query": c.tasks().search(SearchQuery::new().is(SearchField::Status, "")).first_page();
    "TaskClient::search_tasks" "page_size": c.tasks().search_tasks(page(5001)).first_page();
    "TaskClient::search_tasks" "skip": c.tasks().search_tasks(SearchRequest::new().skip(u32::MAX)).first_page();
    "TaskClient::external_storage_location" "path":
        c.tasks().external_storage_location("", PayloadOperation::Read, PayloadType::TaskInput);
    "WorkflowClient::start" "name": c.workflows().start(&start(" "));
    "WorkflowClient::start" "version": c.workflows().start(&version(-1));
    "WorkflowClient::start" "priority": c.workflows().start(&start("w").priority(100));
    "WorkflowClient::start" "input": c.workflows().start(&start("w").input(json!([1])));
    "WorkflowClient::start" "input": c.workflows().start(&start("w").input(json!(null)));
    "WorkflowClient::start" "idempotency_strategy": c.workflows().start(&later_strategy());
    "WorkflowClient::start_by_name" "version": c.workflows().start_by_name(&version(-7));
    "WorkflowClient::start_by_name" "priority": c.workflows().start_by_name(&start("w").priority(255));
    "WorkflowClient::start_by_name" "task_to_domain": c.workflows().start_by_name(&start("w").domain("*", "d"));
    "WorkflowClient::start_once" "correlation_id": c.workflows().start_once(&start("w"), SHORT);
    "WorkflowClient::start_once" "correlation_id": c.workflows().start_once(&start("w").correlation_id(""), SHORT);
    "WorkflowClient::start_once" "version": c.workflows().start_once(&version(-1).correlation_id("c"), SHORT);
    "WorkflowClient::start_once" "name": c.workflows().start_once(&start("").correlation_id("c"), SHORT);
    "WorkflowClient::run" "name": c.workflows().run(&start(""), SHORT);
    "WorkflowClient::run" "priority": c.workflows().run(&start("w").priority(100), SHORT);
    "WorkflowClient::run" "input": c.workflows().run(&start("w").input(json!([])), SHORT);
    "WorkflowClient::run" "version": c.workflows().run(&version(-1), SHORT);
    "WorkflowClient::execute" "version": c.workflows().execute(&ExecuteWorkflowRequest::new(version(-1)));
    "WorkflowClient::execute" "version": c.workflows().execute(&ExecuteWorkflowRequest::new(version(0)));
    "WorkflowClient::execute" "wait_for": c.workflows().execute(&execute().wait_for(Duration::ZERO));
    "WorkflowClient::execute" "wait_for": c.workflows().execute(&execute().wait_for(Duration::MAX));
    "WorkflowClient::execute" "until_task": c.workflows().execute(&execute().until_task(""));
    "WorkflowClient::execute" "request_id": c.workflows().execute(&execute().request_id(""));
    "WorkflowClient::execute" "returns": c.workflows().execute(&execute().returns("LATER".into()));
    "WorkflowClient::execute" "input": c.workflows().execute(&ExecuteWorkflowRequest::new(start("w").input(1)));
    "WorkflowClient::test" "name": c.workflows().test(&WorkflowTestRequest::new(start("")));
    "WorkflowClient::test" "version": c.workflows().test(&WorkflowTestRequest::new(version(-1)));
    "WorkflowClient::test" "mock of r": c.workflows().test(&mocked(TaskMock::completed(3)));
    "WorkflowClient::test" "status": c.workflows().test(&mocked(TaskMock::ended(LATER())));
    "WorkflowClient::tasks" "page_size": c.workflows().tasks(WorkflowTasksQuery::new("w").page_size(0)).first_page();
    "WorkflowClient::tasks" "page_size": c.workflows().tasks(WorkflowTasksQuery::new("w").page_size(9999)).first_page();
    "WorkflowClient::tasks" "status": c.workflows().tasks(WorkflowTasksQuery::new("w").status("X".into())).first_page();
    "WorkflowClient::correlated_by_each" "correlation_ids": c.workflows().correlated_by_each::<&str>("w", &[]);
    "WorkflowClient::correlated_by_each" "correlation_ids": c.workflows().correlated_by_each("w", &["c", ""]);
    "WorkflowClient::running" "started_between": c.workflows().running(backwards());
    "WorkflowClient::search" "page_size": c.workflows().search(page(0)).first_page();
    "WorkflowClient::search" "classifier": c.workflows().search(SearchRequest::new().classifier("")).first_page();
    "WorkflowClient::search" "taskType":
        c.workflows().search(SearchQuery::new().is(SearchField::TaskType, "t")).first_page();
    "WorkflowClient::search_workflows" "page_size": c.workflows().search_workflows(page(5001)).first_page();
    "WorkflowClient::search_by_tasks" "page_size": c.workflows().search_by_tasks(page(0)).first_page();
    "WorkflowClient::search_workflows_by_tasks" "page_size":
        c.workflows().search_workflows_by_tasks(page(u32::MAX)).first_page();
    "WorkflowClient::external_storage_location" "path":
        c.workflows().external_storage_location("", PayloadOperation::Read, PayloadType::WorkflowInput);
    "WorkflowClient::rerun" "re_run_from_task_id": c.workflows().rerun("w", &RerunWorkflowRequest::new().from_task(""));
    "WorkflowClient::rerun" "task_input": c.workflows().rerun("w", &RerunWorkflowRequest::new().task_input(json!({})));
    "WorkflowClient::rerun" "workflow_input": c.workflows().rerun("w", &RerunWorkflowRequest::new().workflow_input(1));
    "WorkflowClient::skip_task" "taskInput": c.workflows().skip_task("w", "r", &SkipTaskRequest::new().input("", "1"));
    "WorkflowClient::skip_task" "taskOutput":
        c.workflows().skip_task("w", "r", &SkipTaskRequest::new().output("a[0]", "1"));
    "WorkflowBulkClient::pause" "workflow_ids": c.workflows().bulk().pause::<&str>(&[]);
    "WorkflowBulkClient::pause" "workflow_ids": c.workflows().bulk().pause(&["a"; 1001]);
    "WorkflowBulkClient::resume" "workflow_ids": c.workflows().bulk().resume(&["a", ""]);
    "WorkflowBulkClient::restart" "workflow_ids": c.workflows().bulk().restart(&[""]);
    "WorkflowBulkClient::restart_with_latest_definitions" "workflow_ids":
        c.workflows().bulk().restart_with_latest_definitions(&["a"; 1001]);
    "WorkflowBulkClient::retry" "workflow_ids": c.workflows().bulk().retry::<String>(&[]);
    "WorkflowBulkClient::terminate" "workflow_ids": c.workflows().bulk().terminate(&[""], None);
    "WorkflowBulkClient::remove" "workflow_ids": c.workflows().bulk().remove::<&str>(&[], Removal::Delete);
    "WorkflowBulkClient::terminate_and_remove" "workflow_ids":
        c.workflows().bulk().terminate_and_remove(&["a"; 1001], None, Removal::Delete);
    "WorkflowBulkClient::get" "workflow_ids": c.workflows().bulk().get(&["a", "", "b"]);
    "WorkflowBulkClient::without_tasks" "workflow_ids": c.workflows().bulk().without_tasks::<&str>(&[]);
    "MetadataClient::register_tasks" "definitions": c.metadata().register_tasks(&[]);
    "MetadataClient::update_workflows" "definitions": c.metadata().update_workflows(&[]);
    "MetadataClient::register_task" "name": c.metadata().register_task(&TaskDef::new(" "));
    "MetadataClient::register_workflow" "version": c.metadata().register_workflow(&negative_version());
    "MetadataClient::update_workflow" "version": c.metadata().update_workflow(&negative_version());
    "MetadataClient::overwrite_workflow" "version": c.metadata().overwrite_workflow(&negative_version());
    "MetadataClient::update_workflows" "version": c.metadata().update_workflows(&[negative_version()]);
    "MetadataClient::validate_workflow" "version": c.metadata().validate_workflow(&negative_version());
    "MetadataClient::workflows_of" "classifier": c.metadata().workflows_of("");
    "EventClient::register" "event": c.events().register(&EventHandler::new("h", " "));
    "EventClient::register" "event": c.events().register(&EventHandler::new("h", "no_colon").action(EventAction::default()));
    "EventClient::update" "event": c.events().update(&EventHandler::new("h", "conductor: ").action(EventAction::default()));
    "EventClient::register" "actions": c.events().register(&EventHandler::new("h", "q:e"));
    "EventClient::register" "name": c.events().register(&acting(EventAction::start_workflow(StartWorkflowAction::new(""))));
    "EventClient::register" "workflow_id": c.events().register(&acting(EventAction::terminate_workflow("", "over")));
    "EventClient::register" "task_id": c.events().register(&acting(EventAction::fail_task(TaskAction::by_id("w", " "))));
    "EventClient::update" "task_ref_name": c.events().update(&acting(EventAction::complete_task(TaskAction::by_reference("w", ""))));
    "EventClient::register" "kind": c.events().register(&EventHandler::new("h", "q:e").action(EventAction::default()));
    "EventClient::update" "actions": c.events().update(&EventHandler::new("h", "q:e"));
    "ScheduleClient::save" "cron_expression": c.schedules().save(&WorkflowSchedule::new("s", "", start("w")));
    "ScheduleClient::save" "cron_expression": c.schedules().save(&second_cron(""));
    "ScheduleClient::save" "start_workflow_request": c.schedules().save(&WorkflowSchedule::new("s", "c", start("")));
    "ScheduleClient::list_of" "workflow_name": c.schedules().list_of("");
    "ScheduleClient::search" "page_size": c.schedules().search(&ScheduleSearch::new().page_size(0)).first_page();
    "ScheduleClient::search" "workflowName": c.schedules().search(&ScheduleSearch::new().workflow("")).first_page();
    "ScheduleClient::search_executions" "page_size":
        c.schedules().search_executions(&ScheduleSearch::new().page_size(5001)).first_page();
    "ScheduleClient::search_executions" "query":
        c.schedules().search_executions(&ScheduleSearch::new().query(" ")).first_page();
    "ScheduleClient::pause_all_of" "names": c.schedules().pause_all_of(&[]);
    "ScheduleClient::resume_all_of" "names": c.schedules().resume_all_of(&["s", ""]);
    "ScheduleClient::next_runs" "cron": c.schedules().next_runs(" ", 1);
    "ScheduleClient::next_runs" "limit": c.schedules().next_runs("0 0 3 * * ?", 0);
    "ScheduleClient::next_runs" "limit": c.schedules().next_runs("0 0 3 * * ?", 6);
    "ScheduleClient::next_runs_between" "cron": c.schedules().next_runs_between(&NextRunsQuery::new(" "));
    "ScheduleClient::next_runs_between" "limit": c.schedules().next_runs_between(&NextRunsQuery::new("0 0 3 * * ?").limit(6));
    "ScheduleClient::next_runs_between" "ends":
        c.schedules().next_runs_between(
            &NextRunsQuery::new("0 0 3 * * ?").begins(SystemTime::now()).ends(SystemTime::UNIX_EPOCH),
        );
    "MetadataClient::workflow" "name": c.metadata().workflow("names");
    "MetadataClient::workflow_version" "name": c.metadata().workflow_version("latest-versions", 1);
    "MetadataClient::update_workflow" "name": c.metadata().update_workflow(&WorkflowDef::new("names-and-versions"));
    "AdminClient::pending_tasks" "count": c.admin().pending_tasks("t", 0, 0);
    "AdminClient::update_through_queue" "status":
        c.admin().update_through_queue(&QueueUpdate::by_reference("w", "r", LATER()));
    "AdminClient::update_through_queue" "output":
        c.admin().update_through_queue(&QueueUpdate::by_id("w", "t", DONE).output(true));
    "SecretClient::value" "key": c.secrets().value("not a key");
    "SecretClient::value" "key": c.secrets().value("v2");
    "SecretClient::put" "key": c.secrets().put("v2", &Secret::new("v"));
    "SecretClient::put" "value": c.secrets().put("KEY", &Secret::new(""));
    "SecretClient::delete" "key": c.secrets().delete("ä");
    "SecretClient::exists" "key": c.secrets().exists("a.b");
    "AgentClient::compile" "agent_config": c.agents().compile(&AgentStartRequest::named("a"));
    "AgentClient::compile" "agent_config": c.agents().compile(&AgentStartRequest::configured("text"));
    "AgentClient::deploy" "raw_config": c.agents().deploy(&AgentStartRequest::of_framework("openai", json!([])));
    "AgentClient::start" "name": c.agents().start(&AgentStartRequest::default().prompt("p"));
    "AgentClient::start" "name": c.agents().start(&AgentStartRequest::of_framework("openai", json!({})).prompt("p").version(1));
    "AgentClient::start" "agent_config": c.agents().start(&named_and_described());
    "AgentClient::start" "prompt": c.agents().start(&AgentStartRequest::named("a").prompt(" "));
    "AgentClient::start" "context": c.agents().start(&AgentStartRequest::named("a").context(1));
    "AgentClient::start" "static_plan": c.agents().start(&AgentStartRequest::named("a").prompt("p").static_plan("s"));
    "AgentClient::inspect_plan" "agent_config": c.agents().inspect_plan(&1.into(), &RawJson::default());
    "AgentClient::inspect_plan" "plan": c.agents().inspect_plan(&RawJson::default(), &1.into());
    "AgentClient::get" "name": c.agents().get("list", None);
    "AgentClient::push_event" "type": c.agents().push_event("e", &event("done"));
    "AgentClient::push_event" "type": c.agents().push_event("e", &JsonMap::new());
    "AgentClient::search" "agentName": c.agents().search(&AgentSearch::new().agent("")).first_page();
    "AgentClient::search" "status": c.agents().search(&AgentSearch::new().status(WorkflowStatus::Other("LATER".into()))).first_page();
    "AgentClient::search" "page_size": c.agents().search(&AgentSearch::new().page_size(0)).first_page();
    "AgentClient::search_workflows" "page_size": c.agents().search_workflows(page(0)).first_page();
    "AgentClient::tasks" "status":
        c.agents().tasks(WorkflowTasksQuery::new("w").status("FAILED".into()).status("COMPLETED".into())).first_page();
    "AgentClient::rerun" "task_input": c.agents().rerun("e", &RerunWorkflowRequest::new().from_task("t").task_input(1));
    "AgentClient::prune" "age": c.agents().prune(Duration::ZERO, Removal::Delete);
    "AgentClient::prune" "age": c.agents().prune(Duration::MAX, Removal::Delete);
    "AgentClient::update_task" "status": c.agents().update_task(&update("w", "r", LATER()));
    "AgentClient::update_task" "output": c.agents().update_task(&update("w", "r", DONE).output(3));
    "AgentClient::track" "workflow_name": c.agents().track(&TrackingRequest::new(" "));
    "AgentClient::track" "input": c.agents().track(&TrackingRequest::new("w").input(1));
    "AgentClient::inject_task" "reference_task_name": c.agents().inject_task("e", &InjectTaskRequest::tool("t", ""));
    "AgentClient::inject_task" "input_data": c.agents().inject_task("e", &InjectTaskRequest::tool("t", "r").input(1));
    "AgentClient::pause_all" "execution_ids": c.agents().pause_all::<&str>(&[]);
    "AgentClient::resume_all" "execution_ids": c.agents().resume_all(&["a", ""]);
    "AgentClient::restart_all" "execution_ids": c.agents().restart_all(&["a"; 1001]);
    "AgentClient::restart_all_with_latest_definitions" "execution_ids":
        c.agents().restart_all_with_latest_definitions(&[""]);
    "AgentClient::retry_all" "execution_ids": c.agents().retry_all(&[""]);
    "AgentClient::cancel_all" "execution_ids": c.agents().cancel_all(&[""], None);
    "A2aClient::send" "parts": c.a2a().send(A2aAgent::Workflow("w"), &A2aMessage::default());
    "A2aClient::stream" "parts": c.a2a().stream(A2aAgent::Workflow("w"), &A2aMessage::default(), Duration::from_secs(9));
    "A2aClient::task" "task_id": c.a2a().task(A2aAgent::Workflow("w"), "");
    "A2aClient::cancel" "task_id": c.a2a().cancel(A2aAgent::Agent("a"), "");
    "A2aClient::discover" "agent_url": c.a2a().discover("nowhere", &[]);
    "A2aClient::discover" "headers": c.a2a().discover("http://nowhere", &[("", "v")]);
    "A2aClient::callback" "token": c.a2a().callback("t", &Secret::new(" "));
    "A2aClient::callback" "Token": c.a2a().callback("t", &Secret::new("a\nb"));
    "SkillClient::register" "package": c.skills().register(None, b"");
    "SkillClient::register" "version": c.skills().register(Some(""), b"zip");
    "SkillClient::file" "path": c.skills().file("s", "1", " ");
    "FileClient::part_url" "part_number": c.files().part_url(&MultipartUpload::new("w", "f", "u"), 0);
    "FileClient::complete_multipart" "part_etags": c.files().complete_multipart(&MultipartUpload::new("w", "f", "u"), &[]);
    "FileClient::create" "file_name": c.files().create(&FileUploadRequest::new("w", ""));
    "FileClient::create" "content_type": c.files().create(&FileUploadRequest::new("w", "f").content_type(" "));
};

const DONE: TaskResultStatus = TaskResultStatus::Completed;
const SHORT: Duration = Duration::from_millis(100);

#[expect(non_snake_case, reason = "it stands beside DONE in the table")]
fn LATER() -> TaskResultStatus {
    "OF_A_LATER_SERVER".into()
}

fn update(workflow_id: &str, reference: &str, status: TaskResultStatus) -> ReferenceUpdate {
    ReferenceUpdate::new(workflow_id, reference, status)
}

fn event(kind: &str) -> JsonMap {
    JsonMap::from([("type".to_owned(), kind.into())])
}

fn named_and_described() -> AgentStartRequest {
    let mut request = AgentStartRequest::configured(json!({"name": "a"})).prompt("p");
    request.name = Some("a".to_owned());
    request
}

fn negative_callback() -> TaskResult {
    let mut result = TaskResult::new("w", "t", TaskResultStatus::InProgress);
    result.callback_after_seconds = -1;
    result
}

fn start(name: &str) -> StartWorkflowRequest {
    StartWorkflowRequest::new(name)
}

fn version(version: i32) -> StartWorkflowRequest {
    let mut request = start("w");
    request.version = Some(version);
    request
}

fn later_strategy() -> StartWorkflowRequest {
    let mut request = start("w");
    request.idempotency_strategy = Some("OF_A_LATER_SERVER".into());
    request
}

fn execute() -> ExecuteWorkflowRequest {
    ExecuteWorkflowRequest::new(start("w"))
}

fn mocked(mock: TaskMock) -> WorkflowTestRequest {
    WorkflowTestRequest::new(start("w")).mock("r", mock)
}

fn page(n_hits: u32) -> SearchRequest {
    SearchRequest::new().page_size(n_hits)
}

fn backwards() -> RunningQuery {
    RunningQuery::new("w").started_between(SystemTime::UNIX_EPOCH + SHORT, SystemTime::UNIX_EPOCH)
}

fn negative_version() -> WorkflowDef {
    let mut def = WorkflowDef::new("w");
    def.version = Some(-3);
    def
}

#[test]
fn a_task_that_is_named_one_way_needs_no_other_name() {
    let server = Server::start(|_| Some(Answer::json(200, &json!({}))));
    let mut task = TaskAction::by_reference("w", "r");
    task.task_id = Some(String::new());
    server.client().events().update(&acting(EventAction::complete_task(task))).unwrap();
    assert_eq!(server.requests().len(), 1);
    // The server takes any other text for an id.
    let mut task = TaskAction::by_reference("w", "r");
    task.task_id = Some(" ".to_owned());
    server.client().events().update(&acting(EventAction::complete_task(task))).unwrap_err();
    assert_eq!(server.requests().len(), 1);
}

/// A handler that does this.
fn acting(action: EventAction) -> EventHandler {
    EventHandler::new("h", "q:e").action(action)
}

fn second_cron(cron: &str) -> WorkflowSchedule {
    let mut schedule = WorkflowSchedule::new("s", "0 0 3 * * ?", start("w"));
    let mut several = CronSchedule::default();
    several.cron_expression = cron.to_owned();
    schedule.cron_schedules.push(several);
    schedule
}

fn handler(name: &str) -> EventHandler {
    EventHandler::new(name, "q:e").action(EventAction::start_workflow(StartWorkflowAction::new("w")))
}

#[test]
fn every_method_refuses_what_can_not_be_right_names_it_and_sends_nothing() {
    let server = Server::well_behaved();
    let client = server.client();
    let rows =
        IDS.iter().flat_map(|row| BAD_IDS.iter().map(move |id| (row, *id))).chain(VALUES.iter().map(|r| (r, "")));
    let mut wrong = Vec::new();
    for ((method, parameter, call), id) in rows {
        let told = format!("{method} ({parameter}: `{}`)", &id[..id.len().min(9)]);
        let sent = server.requests().len();
        match call(&client, id) {
            None => wrong.push(format!("{told} succeeded")),
            Some(error) if error.kind() != ErrorKind::Invalid => wrong.push(format!("{told}: {error:?}")),
            // The operation comes first; what is wrong comes behind it.
            Some(error) if !error.to_string()[error.operation().len()..].contains(parameter) => {
                wrong.push(format!("{told} is not named: {error}"));
            }
            Some(_) => {}
        }
        if server.requests().len() != sent {
            wrong.push(format!("{told} was sent"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The files below a folder of the sources.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

/// The public methods of the clients of resources, each with what it takes: `name: type`.
fn methods() -> Vec<(String, Vec<String>)> {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let mut methods = Vec::new();
    for text in files.iter().map(|file| fs::read_to_string(file).unwrap()) {
        for part in text.split("\nimpl ").skip(1) {
            let (client, body) = part.split_once(" {\n").unwrap_or_default();
            if !client.ends_with("Client") || client == "Client" {
                continue;
            }
            for rest in body.split("\n}\n").next().unwrap().split("\n    pub fn ").skip(1) {
                let (name, rest) = rest.split_once('(').unwrap();
                let parameters = rest.split_once(')').unwrap().0.split(',').map(|one| one.trim().to_owned());
                // Neither `&self` nor the rest of a type that holds a comma has a name.
                let takes = parameters.filter(|one| one.contains(": ")).collect();
                methods.push((format!("{client}::{}", name.split('<').next().unwrap()), takes));
            }
        }
    }
    methods
}

#[test]
fn no_method_of_a_client_is_left_out() {
    let methods = methods();
    let that_take = methods.iter().filter(|(_, takes)| !takes.is_empty());
    let of_sources: BTreeSet<&str> = that_take.map(|(name, _)| &**name).collect();
    let of_tables: BTreeSet<&str> = IDS.iter().chain(VALUES).map(|row| row.0).collect();
    assert_eq!(of_tables, of_sources, "left: in the tables; right: methods of the sources that take something");
    assert!(methods.len() > of_sources.len() && of_sources.len() > 90, "{} methods were found", methods.len());
    for client in [
        "Task",
        "Workflow",
        "WorkflowBulk",
        "Metadata",
        "Event",
        "Schedule",
        "Admin",
        "Secret",
        "Agent",
        "Skill",
        "A2a",
        "File",
    ] {
        assert!(methods.iter().any(|(name, _)| name.starts_with(&format!("{client}Client::"))), "{client}Client");
    }
}

/// Parameters of which any value can be right, or which only the server knows to be wrong.
const FREE: &[&str] = &["start: u16", "version: u16", "content: &[u8]", "message: &str"];

#[test]
fn no_text_list_or_number_that_a_method_takes_is_left_out() {
    let plain = |text: &str| text.replace('_', "").to_ascii_lowercase();
    let mut left_out = Vec::new();
    let mut n_seen = 0;
    for (method, takes) in methods() {
        let rows = IDS.iter().chain(VALUES).filter(|row| row.0 == method);
        let named: BTreeSet<String> = rows.map(|row| plain(row.1)).collect();
        for parameter in takes.iter().filter(|one| !FREE.contains(&one.as_str())) {
            let (name, kind) = parameter.split_once(": ").unwrap();
            // Requests have fields of their own; what may be missing is free text.
            if kind != "&str" && !kind.starts_with("&[") && !kind.starts_with(['u', 'i']) || kind.starts_with("impl") {
                continue;
            }
            n_seen += 1;
            let singular = name.trim_end_matches('s');
            let fits = [name, singular, &format!("{name}Id")].iter().any(|name| named.contains(&plain(name)));
            if !fits {
                left_out.push(format!("{method}({parameter})"));
            }
        }
    }
    assert!(left_out.is_empty(), "{left_out:?}");
    assert!(n_seen > 70, "{n_seen} parameters were found");
}

#[test]
fn what_looks_odd_but_can_be_right_is_sent() {
    let server = Server::start(|_| Some(Answer::json(200, &json!([]))));
    let client = server.client();
    // In a query and in a body any text reaches the server.
    drop(client.tasks().queue_size("a/b", None));
    drop(client.workflows().correlated_by_each("w", &["c/1"]));
    drop(client.workflows().bulk().pause(&["a/b"]));
    // In a path it is encoded.
    drop(client.workflows().correlated("w ü", "a b?c#d%2F"));
    // A lease is extended whatever else is said.
    let mut lease = TaskResult::new("w", "t", "");
    lease.extend_lease = true;
    drop(client.tasks().update(&lease));
    let targets: Vec<String> = server.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(
        targets,
        [
            "/api/tasks/queue/size?taskType=a%2Fb",
            "/api/workflow/w/correlated?includeClosed=false&includeTasks=false",
            "/api/workflow/bulk/pause",
            "/api/workflow/w%20%C3%BC/correlated/a%20b%3Fc%23d%252F?includeClosed=false&includeTasks=false",
            "/api/tasks",
        ]
    );
}

#[cfg(feature = "embedded")]
#[test]
fn what_only_the_server_knows_the_server_names() {
    let embedded = embedded::EmbeddedServer::start().unwrap();
    let real = Config::from_env_if_set().unwrap();
    let is_real = real.is_some();
    let client = Client::new(real.unwrap_or_else(|| Config::new(&embedded.url()).unwrap())).unwrap();
    let name = format!("inputs_{}_{}", std::process::id(), SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis());
    let def = WorkflowDef::new(&name).task(WorkflowTask::simple("t", "t"));
    client.metadata().register_workflow(&def).unwrap();
    let (workflows, metadata) = (client.workflows(), client.metadata());
    let mut calls: Vec<(&str, Error)> = vec![
        ("workflow_version", metadata.workflow_version(&name, 99).unwrap_err()),
        ("delete_workflow", metadata.delete_workflow(&name, 99).unwrap_err()),
        ("start", workflows.start(&start(&name).version(99)).unwrap_err()),
        ("start_by_name", workflows.start_by_name(&start(&name).version(99)).unwrap_err()),
    ];
    if is_real {
        let run = ExecuteWorkflowRequest::new(start(&name).version(99));
        calls.push(("execute", workflows.execute(&run).unwrap_err()));
        calls.push(("test", workflows.test(&WorkflowTestRequest::new(start(&name).version(99))).unwrap_err()));
    }
    for (method, error) in calls {
        assert!(error.is_not_found(), "{method}: {error:?}");
        let said = error.server_message().unwrap_or_default();
        assert!(said.contains(&name) && said.contains("99"), "{method}: {error}");
    }
    // In a definition a value of a later server goes to the server, which names it when it is too old.
    let mut task = TaskDef::new(format!("{name}_t"));
    task.retry_logic = Some("OF_A_LATER_SERVER".into());
    let error = metadata.register_task(&task).unwrap_err();
    assert!(error.server_message().unwrap_or_default().contains("OF_A_LATER_SERVER"), "{error}");
    let mut task = TaskDef::new(format!("{name}_t"));
    task.retry_count = Some(-1);
    let error = metadata.register_task(&task).unwrap_err();
    assert!(error.server_message().unwrap_or_default().contains("retryCount"), "{error}");
    metadata.delete_workflow(&name, 1).unwrap();
}
