//! Which operations there are, which methods call them, and what tests that: what they do and what they say when they can't.

use std::{collections::BTreeSet, fs, path::Path};

use super::{
    Test, a2a, admin, agents, bulk, events, files, metadata, schedules, secrets, skills, sub_workflows, tasks,
    workflows,
};

/// An operation.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// Method and path, below `/api`.
    pub(crate) operation: &'static str,
    pub(crate) methods: &'static [&'static str],
    /// What it does; `None` where `why_not` says why it can't be seen on the reference server.
    pub(crate) success: Option<Test>,
    pub(crate) why_not: &'static str,
    /// What it says when it can't.
    pub(crate) error: Test,
    /// Why the server never refuses it, so that a wrong address is its only error; empty where it does.
    pub(crate) never: &'static str,
}

/// The tests of a row have the same name, that of the error in a module of its own.
macro_rules! row {
    ($operation:literal, $methods:expr, $noun:ident :: $test:ident) => {
        Row {
            operation: $operation,
            methods: &$methods,
            success: Some($noun::$test),
            why_not: "",
            error: $noun::refused::$test,
            never: "",
        }
    };
    ($operation:literal, $methods:expr, not $why_not:ident, $noun:ident :: $test:ident) => {
        Row {
            operation: $operation,
            methods: &$methods,
            success: None,
            why_not: $why_not,
            error: $noun::refused::$test,
            never: "",
        }
    };
    ($operation:literal, $methods:expr, never $why:ident, $noun:ident :: $test:ident) => {
        Row { never: $why, ..row!($operation, $methods, $noun::$test) }
    };
}

const NO_PARTS: &str = "the server's own store refuses uploads in parts; other stores are outside the server";

const NO_STORE: &str = "the reference server's secrets are variables of its process, which can't be written";

const NO_PARAMETER: &str = "there is no parameter that could be wrong";
pub(crate) const REFUSED_BEFORE: &str = "what the server would refuse is refused before it is asked";
const ANY_VALUE: &str = "any value is right to the server, and one that it does not know is no error";

/// What the embedded server serves too.
#[rustfmt::skip]
pub(crate) const OPERATIONS: &[Row] = &[
    row!("GET /tasks/poll/{type}", ["TaskClient::poll"], never REFUSED_BEFORE, tasks::poll),
    row!("GET /tasks/poll/batch/{type}", ["TaskClient::poll_batch"], never REFUSED_BEFORE, tasks::poll_batch),
    row!("POST /tasks", ["TaskClient::update"], tasks::update),
    row!("POST /tasks/update-v2", ["TaskClient::update_and_poll"], tasks::update_and_poll),
    row!("POST /tasks/{wfId}/{ref}/{status}", ["TaskClient::update_by_reference"], tasks::update_by_reference),
    row!("POST /tasks/{wfId}/{ref}/{status}/sync", ["TaskClient::update_by_reference_sync"], tasks::update_by_reference_sync),
    row!("POST /tasks/{taskId}/log", ["TaskClient::add_log"], never REFUSED_BEFORE, tasks::logs),
    row!("GET /tasks/{taskId}/log", ["TaskClient::logs"], never ANY_VALUE, tasks::logs),
    row!("GET /tasks/{taskId}", ["TaskClient::get"], tasks::get),
    row!("GET /tasks/queue/size", ["TaskClient::queue_size"], never ANY_VALUE, tasks::queue_size),
    row!("GET /tasks/queue/sizes", ["TaskClient::queue_sizes"], never REFUSED_BEFORE, tasks::queue_sizes),
    row!("GET /tasks/queue/all", ["TaskClient::all_queue_sizes"], never NO_PARAMETER, tasks::all_queue_sizes),
    row!("GET /tasks/queue/all/verbose", ["TaskClient::all_queue_details"], never NO_PARAMETER, tasks::all_queue_sizes),
    row!("GET /tasks/queue/polldata", ["TaskClient::poll_data"], never REFUSED_BEFORE, tasks::poll_data),
    row!("GET /tasks/queue/polldata/all", ["TaskClient::all_poll_data"], never NO_PARAMETER, tasks::all_poll_data),
    row!("POST /workflow", ["WorkflowClient::start"], workflows::start),
    row!("POST /workflow/{name}", ["WorkflowClient::start_by_name"], workflows::start_by_name),
    row!("GET /workflow/{id}", ["WorkflowClient::get", "WorkflowClient::without_tasks"], workflows::get),
    row!("GET /workflow/{id}/status", ["WorkflowClient::status"], workflows::status),
    row!("GET /workflow/{id}/tasks", ["WorkflowClient::tasks"], workflows::tasks),
    row!("GET /workflow/{name}/correlated/{corrId}", ["WorkflowClient::correlated"], never REFUSED_BEFORE, workflows::correlated),
    row!("POST /workflow/{name}/correlated", ["WorkflowClient::correlated_by_each"], never ANY_VALUE, workflows::correlated_by_each),
    row!("GET /workflow/running/{name}", ["WorkflowClient::running"], never ANY_VALUE, workflows::running),
    row!("PUT /workflow/decide/{id}", ["WorkflowClient::decide"], workflows::decide),
    row!("PUT /workflow/{id}/pause", ["WorkflowClient::pause"], workflows::pause_and_resume),
    row!("PUT /workflow/{id}/resume", ["WorkflowClient::resume"], workflows::pause_and_resume),
    row!("POST /workflow/{id}/restart", ["WorkflowClient::restart", "WorkflowClient::restart_with_latest_definition"], workflows::restart),
    row!("POST /workflow/{id}/retry", ["WorkflowClient::retry", "WorkflowClient::retry_within_sub_workflows"], workflows::retry),
    row!("DELETE /workflow/{id}", ["WorkflowClient::terminate"], workflows::terminate),
    row!("DELETE /workflow/{id}/remove", ["WorkflowClient::remove"], workflows::remove),
    row!("POST /metadata/taskdefs", ["MetadataClient::register_task", "MetadataClient::register_tasks"], metadata::register_task),
    row!("PUT /metadata/taskdefs", ["MetadataClient::update_task"], metadata::update_task),
    row!("GET /metadata/taskdefs", ["MetadataClient::tasks"], never NO_PARAMETER, metadata::tasks),
    row!("GET /metadata/taskdefs/{type}", ["MetadataClient::task"], metadata::task_of_name),
    row!("DELETE /metadata/taskdefs/{type}", ["MetadataClient::delete_task"], metadata::delete_task),
    row!("POST /metadata/workflow", ["MetadataClient::register_workflow", "MetadataClient::overwrite_workflow"], metadata::register_workflow),
    row!("PUT /metadata/workflow", ["MetadataClient::update_workflow", "MetadataClient::update_workflows"], metadata::update_workflows),
    row!("POST /metadata/workflow/validate", ["MetadataClient::validate_workflow"], metadata::validate_workflow),
    row!("GET /metadata/workflow/{name}", ["MetadataClient::workflow", "MetadataClient::workflow_version"], metadata::workflow_of_name),
    row!("GET /metadata/workflow/names", ["MetadataClient::workflow_names"], never NO_PARAMETER, metadata::workflow_names),
    row!("GET /metadata/workflow/names-and-versions", ["MetadataClient::workflow_names_and_versions"], never NO_PARAMETER, metadata::workflow_names_and_versions),
    row!("GET /metadata/workflow/{name}/versions", ["MetadataClient::workflow_versions"], never ANY_VALUE, metadata::workflow_versions),
    row!("GET /metadata/workflow/latest-versions", ["MetadataClient::latest_workflows"], never NO_PARAMETER, metadata::latest_workflows),
    row!("DELETE /metadata/workflow/{name}/{version}", ["MetadataClient::delete_workflow"], metadata::delete_workflow),
    row!("GET /version", ["AdminClient::version"], never NO_PARAMETER, admin::version),
    row!("GET /health", ["AdminClient::health"], never NO_PARAMETER, admin::health),
    row!("POST /workflow/bulk/search", ["WorkflowBulkClient::get", "WorkflowBulkClient::without_tasks"], bulk::get),
];

/// What the embedded server does not serve, or not in full.
#[rustfmt::skip]
pub(crate) const REAL_ONLY: &[Row] = &[
    row!("POST /tasks/{wfId}/{status}/signal", ["TaskClient::signal"], tasks::signal),
    row!("POST /tasks/{wfId}/{status}/signal/sync", ["TaskClient::signal_sync"], tasks::signal_sync),
    row!("POST /tasks/queue/requeue/{type}", ["TaskClient::requeue"], never ANY_VALUE, tasks::requeue),
    row!("GET /tasks/search", ["TaskClient::search"], tasks::search),
    row!("GET /tasks/search-v2", ["TaskClient::search_tasks"], tasks::search_tasks),
    row!("GET /tasks/externalstoragelocation", ["TaskClient::external_storage_location"], never REFUSED_BEFORE, tasks::external_storage),
    row!("POST /workflow/execute/{name}/{version}", ["WorkflowClient::execute"], workflows::execute),
    row!("POST /workflow/{id}/rerun", ["WorkflowClient::rerun"], workflows::rerun),
    row!("POST /workflow/{id}/resetcallbacks", ["WorkflowClient::reset_callbacks"], workflows::reset_callbacks),
    row!("PUT /workflow/{id}/skiptask/{ref}", ["WorkflowClient::skip_task"], workflows::skip_task),
    row!("DELETE /workflow/{id}/terminate-remove", ["WorkflowClient::terminate_and_remove"], workflows::terminate_and_remove),
    row!("GET /workflow/search", ["WorkflowClient::search"], workflows::search),
    row!("GET /workflow/search-v2", ["WorkflowClient::search_workflows"], workflows::search_workflows),
    row!("GET /workflow/search-by-tasks", ["WorkflowClient::search_by_tasks"], workflows::search_by_tasks),
    row!("GET /workflow/search-by-tasks-v2", ["WorkflowClient::search_workflows_by_tasks"], workflows::search_workflows_by_tasks),
    row!("GET /workflow/externalstoragelocation", ["WorkflowClient::external_storage_location"], never REFUSED_BEFORE, workflows::external_storage),
    row!("POST /workflow/test", ["WorkflowClient::test"], workflows::test),
    row!("POST /workflow/{id}/messages", ["WorkflowClient::send_message"], workflows::send_message),
    row!("PUT /workflow/bulk/pause", ["WorkflowBulkClient::pause"], bulk::pause_and_resume),
    row!("PUT /workflow/bulk/resume", ["WorkflowBulkClient::resume"], bulk::pause_and_resume),
    row!("POST /workflow/bulk/restart", ["WorkflowBulkClient::restart", "WorkflowBulkClient::restart_with_latest_definitions"], bulk::restart),
    row!("POST /workflow/bulk/retry", ["WorkflowBulkClient::retry"], bulk::retry),
    row!("POST /workflow/bulk/terminate", ["WorkflowBulkClient::terminate"], bulk::terminate),
    row!("DELETE /workflow/bulk/remove", ["WorkflowBulkClient::remove"], bulk::remove),
    row!("DELETE /workflow/bulk/terminate-remove", ["WorkflowBulkClient::terminate_and_remove"], bulk::terminate_and_remove),
    row!("GET /metadata/workflow", ["MetadataClient::workflows", "MetadataClient::workflows_of"], never ANY_VALUE, metadata::workflows),
    row!("POST /event", ["EventClient::register"], events::register),
    row!("PUT /event", ["EventClient::update"], events::update),
    row!("DELETE /event/{name}", ["EventClient::delete"], events::delete),
    row!("GET /event", ["EventClient::list"], never NO_PARAMETER, events::list),
    row!("GET /event/{event}", ["EventClient::active_of", "EventClient::all_of"], never ANY_VALUE, events::of_event),
    row!("POST /scheduler/schedules", ["ScheduleClient::save"], schedules::save),
    row!("GET /scheduler/schedules", ["ScheduleClient::list", "ScheduleClient::list_of"], never ANY_VALUE, schedules::list),
    row!("GET /scheduler/schedules/search", ["ScheduleClient::search"], never ANY_VALUE, schedules::search),
    row!("GET /scheduler/schedules/{name}", ["ScheduleClient::get"], schedules::get),
    row!("DELETE /scheduler/schedules/{name}", ["ScheduleClient::delete"], never ANY_VALUE, schedules::delete),
    row!("PUT /scheduler/schedules/{name}/pause", ["ScheduleClient::pause"], schedules::pause_and_resume),
    row!("PUT /scheduler/schedules/{name}/resume", ["ScheduleClient::resume"], schedules::pause_and_resume),
    row!("PUT /scheduler/bulk/pause", ["ScheduleClient::pause_all_of"], schedules::pause_and_resume_several),
    row!("PUT /scheduler/bulk/resume", ["ScheduleClient::resume_all_of"], schedules::pause_and_resume_several),
    row!("GET /scheduler/nextFewSchedules", ["ScheduleClient::next_runs", "ScheduleClient::next_runs_between"], schedules::next_runs),
    row!("GET /scheduler/search/executions", ["ScheduleClient::search_executions"], schedules::search_executions),
    row!("GET /scheduler/admin/requeue", ["ScheduleClient::requeue_executions"], never NO_PARAMETER, schedules::requeue_executions),
    row!("GET /scheduler/admin/pause", ["ScheduleClient::pause_scheduler"], never NO_PARAMETER, schedules::whole_scheduler),
    row!("GET /scheduler/admin/resume", ["ScheduleClient::resume_scheduler"], never NO_PARAMETER, schedules::whole_scheduler),
    row!("GET /admin/config", ["AdminClient::config"], never NO_PARAMETER, admin::config),
    row!("GET /admin/task/{type}", ["AdminClient::pending_tasks"], never ANY_VALUE, admin::pending_tasks),
    row!("POST /admin/sweep/requeue/{wf}", ["AdminClient::requeue_sweep"], never ANY_VALUE, admin::requeue_sweep),
    row!("POST /admin/consistency/verifyAndRepair/{wf}", ["AdminClient::verify_and_repair"], admin::verify_and_repair),
    row!("GET /admin/queues", ["AdminClient::queues", "AdminClient::queues_verbose"], never NO_PARAMETER, admin::queues),
    row!("GET /queue/", ["AdminClient::status_queues"], never NO_PARAMETER, admin::status_queues),
    row!("GET /queue/size", ["AdminClient::status_queue_sizes"], never NO_PARAMETER, admin::status_queues),
    row!("POST /queue/update/{wf}/{ref}/{status}", ["AdminClient::update_through_queue"], admin::update_through_queue),
    row!("POST /queue/update/{wf}/task/{taskId}/{status}", ["AdminClient::update_through_queue"], admin::update_through_queue),
    row!("GET /environment", ["AdminClient::environment"], never NO_PARAMETER, admin::environment),
    row!("GET /environment/{key}", ["AdminClient::environment_value"], never ANY_VALUE, admin::environment),
    row!("GET /secrets", ["AdminClient::secret_names"], never NO_PARAMETER, admin::secret_names),
    row!("GET /secrets/v2", ["SecretClient::list"], never NO_PARAMETER, secrets::list),
    row!("GET /secrets/{key}", ["SecretClient::value"], secrets::value),
    row!("PUT /secrets/{key}", ["SecretClient::put"], not NO_STORE, secrets::put),
    row!("DELETE /secrets/{key}", ["SecretClient::delete"], not NO_STORE, secrets::delete),
    row!("GET /secrets/{key}/exists", ["SecretClient::exists"], never REFUSED_BEFORE, secrets::exists),
    row!("GET /providers/status", ["AdminClient::providers"], never NO_PARAMETER, admin::providers),
    row!("POST /agent/compile", ["AgentClient::compile"], agents::compile),
    row!("POST /agent/inspect-plan", ["AgentClient::inspect_plan"], agents::inspect_plan),
    row!("POST /agent/deploy", ["AgentClient::deploy"], agents::deploy),
    row!("POST /agent/start", ["AgentClient::start"], agents::start),
    row!("GET /agent/list", ["AgentClient::list"], never NO_PARAMETER, agents::list),
    row!("GET /agent/{name}", ["AgentClient::get"], agents::deploy),
    row!("DELETE /agent/{name}", ["AgentClient::delete"], agents::deploy),
    row!("GET /agent/definitions/{name}", ["AgentClient::definition"], agents::deploy),
    row!("GET /agent/stream/{id}", ["AgentClient::events"], agents::events),
    row!("POST /agent/events/{id}", ["AgentClient::push_event"], never ANY_VALUE, agents::push_event),
    row!("POST /agent/{id}/respond", ["AgentClient::respond"], agents::respond),
    row!("GET /agent/executions", ["AgentClient::search"], never ANY_VALUE, agents::search),
    row!("GET /agent/executions/search", ["AgentClient::search_workflows"], agents::search_workflows),
    row!("GET /agent/{id}/status", ["AgentClient::status"], agents::look),
    row!("GET /agent/executions/{id}", ["AgentClient::execution"], agents::look),
    row!("GET /agent/execution/{id}", ["AgentClient::run"], agents::look),
    row!("GET /agent/executions/{id}/full", ["AgentClient::workflow"], agents::look),
    row!("GET /agent/executions/{id}/tasks", ["AgentClient::tasks"], agents::tasks),
    row!("PUT /agent/{id}/pause", ["AgentClient::pause"], agents::pause_and_resume),
    row!("PUT /agent/{id}/resume", ["AgentClient::resume"], agents::pause_and_resume),
    row!("DELETE /agent/{id}/cancel", ["AgentClient::cancel"], agents::cancel),
    row!("POST /agent/{id}/stop", ["AgentClient::stop"], agents::stop_and_signal),
    row!("POST /agent/{id}/signal", ["AgentClient::signal"], agents::stop_and_signal),
    row!("POST /agent/executions/{id}/restart", ["AgentClient::restart", "AgentClient::restart_with_latest_definition"], agents::again),
    row!("POST /agent/executions/{id}/retry", ["AgentClient::retry", "AgentClient::retry_within_sub_workflows"], agents::again),
    row!("POST /agent/executions/{id}/rerun", ["AgentClient::rerun"], agents::again),
    row!("DELETE /agent/executions/{id}/record", ["AgentClient::remove"], agents::remove),
    row!("POST /agent/executions/prune", ["AgentClient::prune"], never REFUSED_BEFORE, agents::prune),
    row!("POST /agent/tasks/{id}/{ref}/{status}", ["AgentClient::update_task"], agents::update_task),
    row!("GET /agent/tasks/{taskId}/log", ["AgentClient::task_logs"], never ANY_VALUE, agents::task_logs),
    row!("POST /agent/execution", ["AgentClient::track"], never REFUSED_BEFORE, agents::track),
    row!("POST /agent/{id}/tasks", ["AgentClient::inject_task"], agents::tracked),
    row!("POST /agent/execution/{id}/complete", ["AgentClient::complete_tracked"], agents::tracked),
    row!("PUT /agent/executions/bulk/pause", ["AgentClient::pause_all"], agents::all),
    row!("PUT /agent/executions/bulk/resume", ["AgentClient::resume_all"], agents::all),
    row!("POST /agent/executions/bulk/restart", ["AgentClient::restart_all", "AgentClient::restart_all_with_latest_definitions"], agents::all),
    row!("POST /agent/executions/bulk/retry", ["AgentClient::retry_all"], agents::all),
    row!("POST /agent/executions/bulk/terminate", ["AgentClient::cancel_all"], agents::all),
    row!("POST /skills/register", ["SkillClient::register"], skills::register),
    row!("GET /skills", ["SkillClient::list", "SkillClient::all_versions"], never NO_PARAMETER, skills::list),
    row!("GET /skills/{name}", ["SkillClient::latest"], skills::get),
    row!("GET /skills/{name}/versions/{version}", ["SkillClient::get"], skills::get),
    row!("GET /skills/{name}/versions/{version}/files", ["SkillClient::file"], skills::content),
    row!("GET /skills/{name}/versions/{version}/package", ["SkillClient::package"], skills::content),
    row!("POST /skills/{name}/versions/{version}/deploy", ["SkillClient::deploy"], skills::deploy),
    row!("DELETE /skills/{name}/versions/{version}", ["SkillClient::delete"], skills::delete),
    row!("GET /a2a/workflow", ["A2aClient::workflows"], never NO_PARAMETER, a2a::lists),
    row!("GET /a2a/agent", ["A2aClient::agents"], never NO_PARAMETER, a2a::lists),
    row!("GET /a2a/workflow/{name}/.well-known/agent-card.json", ["A2aClient::card"], a2a::card),
    row!("GET /a2a/agent/{name}/.well-known/agent-card.json", ["A2aClient::card"], a2a::card),
    row!("POST /a2a/workflow/{name}", ["A2aClient::send", "A2aClient::stream", "A2aClient::task", "A2aClient::cancel"], a2a::workflow),
    row!("POST /a2a/agent/{name}", ["A2aClient::send", "A2aClient::stream", "A2aClient::task", "A2aClient::cancel"], a2a::agent),
    row!("POST /a2a/agent-card", ["A2aClient::discover"], a2a::discover),
    row!("POST /a2a/callback/{taskId}", ["A2aClient::callback"], a2a::callback),
    row!("POST /files", ["FileClient::create"], never REFUSED_BEFORE, files::create),
    row!("GET /files/{wf}/{file}", ["FileClient::get"], files::get),
    row!("GET /files/{wf}/{file}/upload-url", ["FileClient::upload_url"], files::upload_url),
    row!("GET /files/{wf}/{file}/download-url", ["FileClient::download_url"], files::download_url),
    row!("PUT /files/content/{wf}/{file}", ["FileClient::upload"], files::upload_and_download),
    row!("GET /files/content/{wf}/{file}", ["FileClient::download"], files::upload_and_download),
    row!("POST /files/{wf}/{file}/upload-complete", ["FileClient::complete_upload"], files::complete_upload),
    row!("POST /files/{wf}/{file}/multipart", ["FileClient::begin_multipart"], not NO_PARTS, files::begin_multipart),
    row!("GET /files/{wf}/{file}/multipart/{up}/part/{n}", ["FileClient::part_url"], not NO_PARTS, files::part_url),
    row!("POST /files/{wf}/{file}/multipart/{up}/complete", ["FileClient::complete_multipart"], not NO_PARTS, files::complete_multipart),
    row!("DELETE /files/{wf}/{file}/multipart/{up}", ["FileClient::abort_multipart"], files::abort_multipart),
];

/// What the calls bring about beyond their answers.
pub(crate) const EFFECTS: &[(&str, Test)] = &[
    ("a task is told of the environment and of secrets", admin::environment_and_secrets),
    ("an output beyond the limit fails its task", tasks::output_beyond_the_limit),
    ("a type that is not registered is retried", tasks::unregistered),
    ("an event completes a task and starts a workflow", events::acts),
    ("an event handler acts on its condition", events::acts_on_condition),
    ("a schedule tells why it can't start a workflow", schedules::fails_to_start),
    ("a schedule keeps to its time zone", schedules::keeps_to_its_zone),
    ("a retry goes into sub-workflows", sub_workflows::retry),
    ("a rerun begins in a sub-workflow", sub_workflows::rerun),
    ("a signal reaches a sub-workflow", sub_workflows::signal),
    ("a test of a workflow reaches its sub-workflow", sub_workflows::test),
];

/// Methods that make other calls of the table, so that they have no operation of their own.
const COMPOSED: &[&str] = &[
    "WorkflowClient::bulk",
    "WorkflowClient::wait",
    "WorkflowClient::wait_all",
    "WorkflowClient::run",
    "WorkflowClient::start_once",
];

/// The operations that a client should call, from the list of all.
fn listed() -> Vec<&'static str> {
    let list = include_str!("../fixtures/operations.txt").lines();
    let operations = list.filter(|line| !line.starts_with('#') && !line.contains(" absent: "));
    operations.map(str::trim).filter(|line| !line.is_empty()).collect()
}

/// Every public method of the clients, as `TaskClient::poll`, read from their sources.
fn methods_of_clients() -> Vec<String> {
    let mut methods = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let mut client = None;
            for line in text.lines() {
                if let Some(name) = line.strip_prefix("impl ").and_then(|rest| rest.strip_suffix("Client {")) {
                    // The client of all clients makes no calls.
                    client = Some(name).filter(|name| !name.is_empty());
                } else if line == "}" {
                    client = None;
                } else if let (Some(client), Some(rest)) = (client, line.strip_prefix("    pub fn ")) {
                    let name = rest.split(['(', '<']).next().unwrap();
                    methods.push(format!("{client}Client::{name}"));
                }
            }
        }
    }
    methods
}

#[test]
fn the_table_has_every_operation_once() {
    let in_table: Vec<&str> = OPERATIONS.iter().chain(REAL_ONLY).map(|row| row.operation).collect();
    let (table, list) = (BTreeSet::from_iter(in_table.iter()), BTreeSet::from_iter(listed()));
    assert_eq!(table.len(), in_table.len(), "an operation is there twice");
    let table = BTreeSet::from_iter(in_table);
    let missing: Vec<_> = list.difference(&table).collect();
    let unknown: Vec<_> = table.difference(&list).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "missing: {missing:?}, unknown: {unknown:?}");
    assert_eq!(listed().len(), list.len(), "an operation is listed twice");
}

#[test]
fn the_table_has_every_method_of_the_clients() {
    let rows = OPERATIONS.iter().chain(REAL_ONLY);
    let in_table: BTreeSet<&str> = rows.flat_map(|row| row.methods).chain(COMPOSED).copied().collect();
    let methods = methods_of_clients();
    let in_sources: BTreeSet<&str> = methods.iter().map(String::as_str).collect();
    assert!(in_sources.len() > 100, "the sources were not read: {in_sources:?}");
    let missing: Vec<_> = in_sources.difference(&in_table).collect();
    let unknown: Vec<_> = in_table.difference(&in_sources).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "missing: {missing:?}, unknown: {unknown:?}");
}

#[test]
fn what_has_no_test_of_success_says_why() {
    for row in OPERATIONS.iter().chain(REAL_ONLY) {
        assert_eq!(row.success.is_none(), !row.why_not.is_empty(), "{}", row.operation);
    }
}
