//! The calls about one held task: its report, a heartbeat, a look at it.

use std::time::Duration;

use crate::{
    client::Client,
    error::{Error, ErrorKind, Result, excerpt},
    http::{Method, Request},
    runner::{register::Held, report::Report},
    task::{Task, TaskResult},
};

/// A look that takes longer holds up others for too long.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

/// Sends a report once. What comes back neither with the task's id nor as 204 is no acknowledgement.
pub(super) fn update_task(client: &Client, report: &Report) -> Result<()> {
    let id = &report.held.task_id;
    let request = Request::new(Method::Post, "/tasks", &[], ("update task", id))?;
    let request = request.json_bytes(report.body.clone()).small_answer();
    let answer = client.http().send(&request)?;
    if answer.body == id.as_bytes() {
        return Ok(());
    }
    let text = answer.text()?;
    if text == *id || text.is_empty() && answer.status == 204 {
        return Ok(());
    }
    let message = format!("the answer is not the task's id but `{}`, so it counts as not delivered", excerpt(&text));
    Err(Error::new(ErrorKind::Decode, format!("update task {id}"), message))
}

/// One heartbeat.
pub(super) fn extend_lease(client: &Client, held: &Held, limit: Duration) -> Result<()> {
    let mut extension = TaskResult::new(&held.workflow_id, &held.task_id, "IN_PROGRESS");
    extension.extend_lease = true;
    let request = Request::new(Method::Post, "/tasks", &[], ("extend lease of task", &held.task_id))?;
    let request = request.json(&extension)?.small_answer().within(limit);
    client.http().send(&request)?.done()
}

/// The task as the server has it. An answer about another task says nothing about this one.
pub(super) fn look(client: &Client, held: &Held) -> Result<Task> {
    let about = ("get task", held.task_id.as_str());
    let request = Request::new(Method::Get, "/tasks/{taskId}", &[&held.task_id], about)?.within(LOOK_LIMIT);
    let task: Task = client.http().send(&request)?.json()?;
    if task.task_id == held.task_id {
        return Ok(task);
    }
    let message = format!("the answer is about another task, `{}`", excerpt(&task.task_id));
    Err(Error::new(ErrorKind::Decode, format!("get task {}", excerpt(&held.task_id)), message))
}
