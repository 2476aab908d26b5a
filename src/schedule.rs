//! Schedules, which start workflows at times given by cron expressions, and the calls under `/scheduler`.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    error::{Error, Result, excerpt},
    http::{Http, Method, Request, problem_with_name},
    json::{JsonMap, document::document, times, wire, wire_enum},
    search::{Search, SearchParams},
    workflow::{BulkOutcome, StartWorkflowRequest},
};

wire_enum! {
    /// What became of one run of a schedule.
    pub enum ScheduleExecutionState {
        /// It is due, and the workflow is about to be started.
        Polled = "POLLED",
        /// The workflow could not be started.
        Failed = "FAILED",
        /// The workflow was started.
        Executed = "EXECUTED",
    }
}

wire! {
    /// A cron expression with its time zone.
    pub struct CronSchedule {
        /// Six fields: second, minute, hour, day of month, month, day of week.
        pub cron_expression: String = "cronExpression",
        /// The time zone, as `Europe/Berlin`. Defaults to UTC.
        pub zone_id: Option<String> = "zoneId",
    }
}

wire! {
    /// A schedule: what is started, and when.
    ///
    /// ```
    /// use conductor_sync::{StartWorkflowRequest, WorkflowSchedule};
    /// let nightly = WorkflowSchedule::new("nightly", "0 0 3 * * ?", StartWorkflowRequest::new("report")).zone("Europe/Berlin");
    /// assert!(!nightly.paused);
    /// ```
    pub struct WorkflowSchedule {
        /// Its name.
        pub name: String = "name",
        /// Six fields: second, minute, hour, day of month, month, day of week.
        pub cron_expression: Option<String> = "cronExpression",
        /// The time zone of `cron_expression`. Defaults to UTC.
        pub zone_id: Option<String> = "zoneId",
        /// Several expressions, which then count instead of the single one.
        pub cron_schedules: Vec<CronSchedule> = "cronSchedules",
        /// Whether runs that were missed are made up for. Defaults to false.
        pub run_catchup_schedule_instances: bool = "runCatchupScheduleInstances",
        /// Whether it starts nothing for now.
        pub paused: bool = "paused",
        /// Why it is paused.
        pub paused_reason: Option<String> = "pausedReason",
        /// What is started. The server requires it.
        pub start_workflow_request: Option<StartWorkflowRequest> = "startWorkflowRequest",
        /// When it begins, milliseconds since 1970.
        pub schedule_start_time: Option<i64> = "scheduleStartTime",
        /// When it ends, milliseconds since 1970.
        pub schedule_end_time: Option<i64> = "scheduleEndTime",
        /// When it was created, milliseconds since 1970; set by the server.
        pub create_time: Option<i64> = "createTime",
        /// When it was changed, milliseconds since 1970; set by the server.
        pub updated_time: Option<i64> = "updatedTime",
        /// Who created it; set by the server.
        pub created_by: Option<String> = "createdBy",
        /// Who changed it; set by the server.
        pub updated_by: Option<String> = "updatedBy",
        /// What it is for.
        pub description: Option<String> = "description",
        /// When it starts something next, milliseconds since 1970. 3.32.1 does not tell it.
        pub next_run_time: Option<i64> = "nextRunTime",
    }
}

document!(WorkflowSchedule, "schedule");

impl WorkflowSchedule {
    /// Starts a workflow at the times of a cron expression of six fields, in UTC.
    pub fn new(name: impl Into<String>, cron: impl Into<String>, start: StartWorkflowRequest) -> Self {
        Self {
            name: name.into(),
            cron_expression: Some(cron.into()),
            start_workflow_request: Some(start),
            ..Self::default()
        }
    }

    /// Sets the time zone, as `Europe/Berlin`.
    #[must_use]
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.zone_id = Some(zone.into());
        self
    }

    /// Sets when it begins.
    #[must_use]
    pub fn begins(mut self, at: SystemTime) -> Self {
        self.schedule_start_time = Some(millis(at));
        self
    }

    /// Sets when it ends.
    #[must_use]
    pub fn ends(mut self, at: SystemTime) -> Self {
        self.schedule_end_time = Some(millis(at));
        self
    }

    /// Saves it paused.
    #[must_use]
    pub fn paused(mut self) -> Self {
        self.paused = true;
        self
    }
}

wire! {
    /// One run of a schedule.
    pub struct ScheduleExecution {
        /// Its id.
        pub execution_id: String = "executionId",
        /// The schedule.
        pub schedule_name: String = "scheduleName",
        /// When it was due, milliseconds since 1970.
        pub scheduled_time: Option<i64> = "scheduledTime",
        /// When it was run, milliseconds since 1970.
        pub execution_time: Option<i64> = "executionTime",
        /// The name of the workflow.
        pub workflow_name: Option<String> = "workflowName",
        /// The workflow that was started.
        pub workflow_id: Option<String> = "workflowId",
        /// Why it could not be started.
        pub reason: Option<String> = "reason",
        /// Where in the server that happened.
        pub stack_trace: Option<String> = "stackTrace",
        /// What was to be started.
        pub start_workflow_request: Option<StartWorkflowRequest> = "startWorkflowRequest",
        /// What became of it; empty text in `Other` when missing.
        pub state: ScheduleExecutionState = "state",
        /// The time zone. 3.32.1 says UTC whatever that of the schedule is.
        pub zone_id: Option<String> = "zoneId",
    }
}

times! {
    WorkflowSchedule {
        /// When it begins: see [`WorkflowSchedule::begins`].
        begins_at = schedule_start_time;
        /// When it ends: see [`WorkflowSchedule::ends`].
        ends_at = schedule_end_time;
        /// When it was saved first.
        created_at = create_time;
        /// When it was changed.
        updated_at = updated_time;
        /// When it is due next; 3.32.1 never tells: see [`ScheduleClient::next_runs`].
        next_run_at = next_run_time;
    }
}

times! {
    ScheduleExecution {
        /// When it was due.
        scheduled_at = scheduled_time;
        /// When it was done.
        executed_at = execution_time;
    }
}

/// What to do about a cron expression that the server can't read, where that is plain.
fn advice(cron: &str) -> &'static str {
    let is_whole = cron.trim_start().starts_with('@') || cron.split_whitespace().count() == 6;
    if is_whole { "" } else { ", which needs six fields, the first for seconds" }
}

/// When a cron expression would be due: for [`ScheduleClient::next_runs_between`].
#[derive(Clone, Debug)]
#[must_use]
pub struct NextRunsQuery {
    cron: String,
    begins: Option<SystemTime>,
    ends: Option<SystemTime>,
    limit: u8,
}

impl NextRunsQuery {
    /// The next five times.
    pub fn new(cron: impl Into<String>) -> Self {
        Self { cron: cron.into(), begins: None, ends: None, limit: 5 }
    }

    /// Not before this time. Defaults to now.
    pub fn begins(mut self, at: SystemTime) -> Self {
        self.begins = Some(at);
        self
    }

    /// Not after this time. Defaults to no end.
    pub fn ends(mut self, at: SystemTime) -> Self {
        self.ends = Some(at);
        self
    }

    /// So many at most, from 1 to 5. Defaults to 5.
    pub fn limit(mut self, n: u8) -> Self {
        self.limit = n;
        self
    }
}

/// Which schedules, or which of their runs, to look for.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ScheduleSearch {
    params: SearchParams,
}

impl ScheduleSearch {
    /// All, in pages of 100.
    pub fn new() -> Self {
        Self::default()
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.params.set(name, value);
        self
    }

    /// Schedules of this workflow. For schedules only.
    pub fn workflow(self, name: impl Into<String>) -> Self {
        self.with("workflowName", name)
    }

    /// Schedules with this name. For schedules only.
    pub fn name(self, name: impl Into<String>) -> Self {
        self.with("scheduleName", name)
    }

    /// Schedules that are paused. For schedules only.
    pub fn only_paused(self) -> Self {
        self.with("paused", "true")
    }

    /// Schedules that are not paused. For schedules only.
    pub fn only_active(self) -> Self {
        self.with("paused", "false")
    }

    /// A query in the language of the server: `scheduleName IN (a,b)`, `state IN (EXECUTED,FAILED)`, `workflowName=a`,
    /// `executionId=a`, `scheduledTime>0` and `scheduledTime<0` (milliseconds since 1970), joined by ` AND `. The server takes
    /// anything else for the name of a schedule (3.32.1). For runs only.
    pub fn query(self, query: impl Into<String>) -> Self {
        self.with("query", query)
    }

    /// A text that is looked for. Defaults to any. It has no effect on runs (3.32.1 on sqlite).
    pub fn free_text(self, text: impl Into<String>) -> Self {
        self.with("freeText", text)
    }

    /// The order, as `field:ASC` or `field:DESC`, several with commas.
    pub fn sort(self, order: impl Into<String>) -> Self {
        self.with("sort", order)
    }

    /// How many are fetched at once, 1 to 5,000. Defaults to 100.
    pub fn page_size(mut self, n_hits: u32) -> Self {
        self.params.set_page_size(n_hits);
        self
    }
}

/// The calls under `/scheduler`. From [`Client::schedules`](crate::Client::schedules). The embedded server does not serve them.
///
/// ```no_run
/// use conductor_sync::{Client, StartWorkflowRequest, WorkflowSchedule};
/// let schedules = Client::from_env()?.schedules();
/// schedules.save(&WorkflowSchedule::new("nightly", "0 0 3 * * ?", StartWorkflowRequest::new("report")))?;
/// schedules.pause("nightly", Some("holidays"))?;
/// # Ok::<(), conductor_sync::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ScheduleClient {
    http: Arc<Http>,
}

impl ScheduleClient {
    pub(crate) fn new(http: Arc<Http>) -> Self {
        Self { http }
    }

    /// Saves a schedule, or **replaces** the one of that name, and returns it as stored: `POST /scheduler/schedules`.
    ///
    /// The server stores a cron expression that it can't read and never runs it (3.32.1), so each expression is shown to it
    /// first with [`ScheduleClient::next_runs`].
    ///
    /// # Errors
    /// When the schedule has no name, workflow or cron expression, an expression or time zone is not one (the server answers
    /// 500; the error names the one it is about), or the server can't be reached or refuses.
    pub fn save(&self, schedule: &WorkflowSchedule) -> Result<WorkflowSchedule> {
        const VERB: &str = "save schedule";
        // With other names it could not be deleted.
        if let Some(problem) = problem_with_name("name", &schedule.name) {
            return Err(Error::invalid(VERB, problem));
        }
        let invalid = |problem| Err(Error::invalid(format!("{VERB} {}", schedule.name), problem));
        if schedule.start_workflow_request.as_ref().is_none_or(|start| start.name.trim().is_empty()) {
            return invalid("start_workflow_request must name a workflow");
        }
        let several = schedule.cron_schedules.iter().map(|cron| cron.cron_expression.as_str());
        let expressions: Vec<&str> = several.chain(schedule.cron_expression.as_deref()).collect();
        if expressions.is_empty() || expressions.iter().any(|cron| cron.trim().is_empty()) {
            return invalid("cron_expression must not be empty");
        }
        let about = (VERB, schedule.name.as_str());
        for cron in expressions {
            // The server says that one is bad, and not which.
            self.runs(about, &NextRunsQuery::new(cron).limit(1)).map_err(|error| match error.status() {
                Some(500) => error.with_part(&format!("cron_expression `{}`{}", excerpt(cron), advice(cron))),
                _ => error,
            })?;
        }
        let request = Request::new(Method::Post, "/scheduler/schedules", &[], about)?.json(schedule)?;
        self.http.send(&request)?.json()
    }

    /// All schedules: `GET /scheduler/schedules`.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn list(&self) -> Result<Vec<WorkflowSchedule>> {
        let request = Request::new(Method::Get, "/scheduler/schedules", &[], ("list schedules", ""))?;
        self.http.send_safe(&request)?.json()
    }

    /// The schedules of a workflow: `GET /scheduler/schedules?workflowName=`.
    ///
    /// # Errors
    /// When the name is empty (the server would give all schedules), or the server can't be reached or refuses.
    pub fn list_of(&self, workflow_name: &str) -> Result<Vec<WorkflowSchedule>> {
        let about = ("list schedules of workflow", workflow_name);
        if workflow_name.trim().is_empty() {
            return Err(Error::invalid(about.0, "workflow_name must not be empty"));
        }
        let request = Request::new(Method::Get, "/scheduler/schedules", &[], about)?;
        self.http.send_safe(&request.query("workflowName", workflow_name))?.json()
    }

    /// Looks for schedules: `GET /scheduler/schedules/search`. Nothing is sent before the search is read.
    pub fn search(&self, search: &ScheduleSearch) -> Search<WorkflowSchedule> {
        self.found("search schedules", "/scheduler/schedules/search", search)
    }

    /// Looks for runs of schedules: `GET /scheduler/search/executions`. Nothing is sent before the search is read.
    pub fn search_executions(&self, search: &ScheduleSearch) -> Search<ScheduleExecution> {
        self.found("search executions of schedules", "/scheduler/search/executions", search)
    }

    fn found<T>(&self, verb: &'static str, route: &'static str, search: &ScheduleSearch) -> Search<T> {
        search.params.search(&self.http, verb, route)
    }

    /// A schedule: `GET /scheduler/schedules/{name}`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is none; otherwise when the server can't be reached or refuses.
    pub fn get(&self, name: &str) -> Result<WorkflowSchedule> {
        let about = ("get schedule", name);
        let request = Request::new(Method::Get, "/scheduler/schedules/{name}", &[name], about)?;
        let schedule: WorkflowSchedule = self.http.send_safe(&request)?.json()?;
        if schedule.name.is_empty() { Err(Error::no_such(about)) } else { Ok(schedule) }
    }

    /// Deletes a schedule: `DELETE /scheduler/schedules/{name}`. One that does not exist is no error: the server does not tell.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn delete(&self, name: &str) -> Result<()> {
        let request = Request::new(Method::Delete, "/scheduler/schedules/{name}", &[name], ("delete schedule", name))?;
        self.http.send_safe(&request)?.done()
    }

    /// Lets a schedule start nothing until it is resumed: `PUT /scheduler/schedules/{name}/pause`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is none; otherwise when the server can't be reached or refuses.
    pub fn pause(&self, name: &str, reason: Option<&str>) -> Result<()> {
        let request =
            Request::new(Method::Put, "/scheduler/schedules/{name}/pause", &[name], ("pause schedule", name))?;
        self.http.send_safe(&request.query_some("reason", reason))?.done()
    }

    /// Lets a paused schedule go on: `PUT /scheduler/schedules/{name}/resume`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is none; otherwise when the server can't be reached or refuses.
    pub fn resume(&self, name: &str) -> Result<()> {
        let about = ("resume schedule", name);
        self.http.send_safe(&Request::new(Method::Put, "/scheduler/schedules/{name}/resume", &[name], about)?)?.done()
    }

    /// Pauses several schedules: `PUT /scheduler/bulk/pause`.
    ///
    /// # Errors
    /// When there is none, or the server can't be reached or refuses. What failed for one of them is in the outcome.
    pub fn pause_all_of(&self, names: &[&str]) -> Result<BulkOutcome> {
        self.bulk("/scheduler/bulk/pause", "pause schedules", names)
    }

    /// Resumes several schedules: `PUT /scheduler/bulk/resume`.
    ///
    /// # Errors
    /// As [`ScheduleClient::pause_all_of`].
    pub fn resume_all_of(&self, names: &[&str]) -> Result<BulkOutcome> {
        self.bulk("/scheduler/bulk/resume", "resume schedules", names)
    }

    fn bulk(&self, route: &'static str, verb: &'static str, names: &[&str]) -> Result<BulkOutcome> {
        if names.is_empty() {
            return Err(Error::invalid(verb, "names must not be empty"));
        }
        if names.iter().any(|name| name.trim().is_empty()) {
            return Err(Error::invalid(verb, "names must not hold an empty name"));
        }
        self.http.send_safe(&Request::new(Method::Put, route, &[], (verb, ""))?.json(&names)?)?.json()
    }

    /// When a cron expression would be due next, at most `limit` times, in UTC: `GET /scheduler/nextFewSchedules`. The server
    /// gives no more than 5.
    ///
    /// # Errors
    /// When `cron` is no cron expression (the server answers 500), `limit` is not from 1 to 5, or the server can't be reached
    /// or refuses.
    pub fn next_runs(&self, cron: &str, limit: u8) -> Result<Vec<SystemTime>> {
        self.next_runs_between(&NextRunsQuery::new(cron).limit(limit))
    }

    /// As [`ScheduleClient::next_runs`] (`GET /scheduler/nextFewSchedules`), for a schedule that begins and ends: see [`WorkflowSchedule::begins`] and
    /// [`WorkflowSchedule::ends`]. The server has no parameter for a time zone here.
    ///
    /// The server gives the first run after a beginning that is still to come even when the end is before it (3.32.1); it is
    /// left out here.
    ///
    /// # Errors
    /// As [`ScheduleClient::next_runs`]; also when it ends before it begins.
    pub fn next_runs_between(&self, query: &NextRunsQuery) -> Result<Vec<SystemTime>> {
        let NextRunsQuery { cron, begins, ends, limit } = query;
        let about = ("get next runs of", cron.as_str());
        if cron.trim().is_empty() {
            return Err(Error::invalid(about.0, "cron must not be empty"));
        }
        if !(1..=5).contains(limit) {
            return Err(Error::invalid(about.0, format!("limit is {limit}; it must be from 1 to 5")));
        }
        if begins.zip(*ends).is_some_and(|(begins, ends)| ends < begins) {
            return Err(Error::invalid(about.0, "ends must not be before begins"));
        }
        self.runs(about, query).map_err(|error| match error.status() {
            Some(500) => error.with_part(&format!("cron{}", advice(cron))),
            _ => error,
        })
    }

    fn runs(&self, about: (&'static str, &str), query: &NextRunsQuery) -> Result<Vec<SystemTime>> {
        let NextRunsQuery { cron, begins, ends, limit } = query;
        let (begins, ends) = (*begins, *ends);
        let as_millis = |at: Option<SystemTime>| at.map(|at| millis(at).to_string());
        let request = Request::new(Method::Get, "/scheduler/nextFewSchedules", &[], about)?
            .query("cronExpression", cron)
            .query("limit", &limit.to_string())
            .query_some("scheduleStartTime", as_millis(begins).as_deref())
            .query_some("scheduleEndTime", as_millis(ends).as_deref());
        let times: Vec<u64> = self.http.send_safe(&request)?.json()?;
        let runs = times.into_iter().filter_map(|ms| UNIX_EPOCH.checked_add(Duration::from_millis(ms)));
        Ok(runs.filter(|at| ends.is_none_or(|ends| *at <= ends)).collect())
    }

    /// Puts records of runs that are not archived yet into their queue again, and tells how many:
    /// `GET /scheduler/admin/requeue`.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn requeue_executions(&self) -> Result<JsonMap> {
        self.http.send(&Request::new(Method::Get, "/scheduler/admin/requeue", &[], ("requeue executions", ""))?)?.json()
    }

    /// Stops **all** schedules of the server process that answers: `GET /scheduler/admin/pause`. The schedules themselves are
    /// not marked as paused.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn pause_scheduler(&self) -> Result<()> {
        self.admin("/scheduler/admin/pause", "pause the scheduler")
    }

    /// Ends what [`ScheduleClient::pause_scheduler`] began: `GET /scheduler/admin/resume`.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn resume_scheduler(&self) -> Result<()> {
        self.admin("/scheduler/admin/resume", "resume the scheduler")
    }

    fn admin(&self, route: &'static str, verb: &'static str) -> Result<()> {
        let _status: BTreeMap<String, String> =
            self.http.send_safe(&Request::new(Method::Get, route, &[], (verb, ""))?)?.json()?;
        Ok(())
    }
}

/// Milliseconds since 1970; 0 for a time before.
fn millis(at: SystemTime) -> i64 {
    i64::try_from(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}
