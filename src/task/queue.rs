//! The queues that tasks wait in: how long they are, who polls them, and putting their tasks in again.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{PollData, TaskClient};
use crate::{
    error::{Error, ErrorKind, Result},
    http::{Method, Request},
};

/// A part of a queue, as [`TaskClient::all_queue_details`] tells of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct QueueShard {
    /// How many messages are in it.
    #[serde(default)]
    pub size: i64,
    /// How many were handed out and not acknowledged.
    #[serde(default)]
    pub uacked: i64,
}

impl TaskClient {
    /// How many tasks of each of these types wait, domains left out: `GET /tasks/queue/sizes`. A type nobody knows has 0.
    ///
    /// # Errors
    /// When the list is empty or holds an empty type, or the server can't be reached or refuses.
    pub fn queue_sizes<T: AsRef<str>>(&self, task_types: &[T]) -> Result<BTreeMap<String, u64>> {
        if task_types.is_empty() {
            return Err(Error::invalid("get queue sizes", "task_types must not be empty"));
        }
        if task_types.iter().any(|task_type| task_type.as_ref().trim().is_empty()) {
            return Err(Error::invalid("get queue sizes", "task_types must not hold an empty type"));
        }
        let mut request = Request::new(Method::Get, "/tasks/queue/sizes", &[], ("get queue sizes", ""))?;
        for task_type in task_types {
            request = request.query("taskType", task_type.as_ref());
        }
        self.http.send_safe(&request)?.json()
    }

    /// How many messages wait in every queue: `GET /tasks/queue/all`.
    ///
    /// The server's own queues, whose names begin with `_`, are among them. The queue of a domain is called `domain:type`.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn all_queue_sizes(&self) -> Result<BTreeMap<String, u64>> {
        let request = Request::new(Method::Get, "/tasks/queue/all", &[], ("get sizes of all queues", ""))?;
        self.http.send_safe(&request)?.json()
    }

    /// Every queue with its parts: `GET /tasks/queue/all/verbose`. How many parts there are and how they are called depends
    /// on the server's storage.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn all_queue_details(&self) -> Result<BTreeMap<String, BTreeMap<String, QueueShard>>> {
        let request = Request::new(Method::Get, "/tasks/queue/all/verbose", &[], ("get details of all queues", ""))?;
        self.http.send_safe(&request)?.json()
    }

    /// Who polled which queue last: `GET /tasks/queue/polldata/all`.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn all_poll_data(&self) -> Result<Vec<PollData>> {
        let request = Request::new(Method::Get, "/tasks/queue/polldata/all", &[], ("get all poll data", ""))?;
        self.http.send_safe(&request)?.json()
    }

    /// Puts every unfinished task of a type into its queue again and tells how many: `POST /tasks/queue/requeue/{taskType}`.
    ///
    /// For queues that lost messages. Tasks that a worker is busy with are among them: they are handed out a **second** time.
    ///
    /// # Errors
    /// When the type can't stand in a path, or the server can't be reached or refuses.
    pub fn requeue(&self, task_type: &str) -> Result<u64> {
        let about = ("requeue", task_type);
        let request = Request::new(Method::Post, "/tasks/queue/requeue/{taskType}", &[task_type], about)?;
        let text = self.http.send(&request)?.text()?;
        text.parse().map_err(|e: std::num::ParseIntError| {
            Error::new(ErrorKind::Decode, format!("requeue {task_type}"), "the answer is no number").with_source(e)
        })
    }
}
