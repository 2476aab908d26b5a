//! Two kinds of work in one process: CPU work in the shared pool, which has as many threads as the machine can run at once,
//! and calls that block, on threads of their own, so that neither waits for the other.
//!
//! `cargo run --example blocking_and_cpu --features embedded` needs no server. With `CONDUCTOR_SERVER_URL` set, the same program
//! runs on that server.

#![allow(clippy::print_stdout, reason = "it is what the example is for")]

use std::{
    error::Error,
    time::{Duration, Instant},
};

use conductor_sync::{
    Client, Config, StartWorkflowRequest, TaskContext, TaskDef, TaskError, TaskRunner, Worker, WorkflowDef,
    WorkflowStatus, WorkflowTask, embedded::EmbeddedServer,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Range {
    below: u32,
}

/// CPU work: more of it at once than there are cores would only make each slower.
fn count_primes(_: &TaskContext, range: Range) -> Result<usize, TaskError> {
    let is_prime = |n: &u32| (2..).take_while(|d| d * d <= *n).all(|d| n % d != 0);
    Ok((2..range.below).filter(is_prime).count())
}

#[derive(Deserialize)]
struct Page {
    number: u32,
}

/// A call that blocks: a database, a slow service. Here a channel that takes a second to deliver stands in for it.
fn fetch(_: &TaskContext, page: Page) -> Result<String, TaskError> {
    crossbeam_channel::after(Duration::from_secs(1)).recv()?;
    Ok(format!("page {}", page.number))
}

fn main() -> Result<(), Box<dyn Error>> {
    env_logger::init();
    let embedded; // Lives as long as the program does.
    let config = match Config::from_env_if_set()? {
        Some(config) => config,
        None => {
            embedded = EmbeddedServer::start()?;
            Config::new(&embedded.url())?
        }
    };
    let client = Client::new(config)?;
    for (task, key) in [("blocking_and_cpu_primes", "below"), ("blocking_and_cpu_fetch", "number")] {
        client.metadata().register_task(&TaskDef::new(task).response_timeout(Duration::from_secs(30)))?;
        let workflow = WorkflowDef::new(task)
            .task(WorkflowTask::simple(task, "only").input(key, format!("${{workflow.input.{key}}}").as_str()))
            .output("result", "${only.output.result}");
        client.metadata().update_workflow(&workflow)?;
    }
    let runner = TaskRunner::new(&client)
        .worker(Worker::new("blocking_and_cpu_primes", count_primes))
        .worker(Worker::new("blocking_and_cpu_fetch", fetch).dedicated_threads(8))
        .start()?;
    runner.wait_until_polling(Duration::from_secs(10))?;

    let began = Instant::now();
    let mut started = Vec::new();
    for number in 1..=8 {
        let input = serde_json::json!({"number": number});
        let request = StartWorkflowRequest::new("blocking_and_cpu_fetch").input(input);
        started.push((client.workflows().start(&request)?, serde_json::json!({"result": format!("page {number}")})));
    }
    for (below, n_primes) in [(100_000, 9_592), (200_000, 17_984), (300_000, 25_997), (400_000, 33_860)] {
        let request = StartWorkflowRequest::new("blocking_and_cpu_primes").input(serde_json::json!({"below": below}));
        started.push((client.workflows().start(&request)?, serde_json::json!({"result": n_primes})));
    }
    for (id, expected) in &started {
        let done = client.workflows().wait(id, Duration::from_secs(20))?;
        if done.status != WorkflowStatus::Completed || done.output.to_value()? != *expected {
            return Err(format!("expected {expected}: {done:?}").into());
        }
        println!("{} after {} ms: {}", done.workflow_name, began.elapsed().as_millis(), done.output);
    }
    println!("8 calls of a second and 4 computations took {} ms", began.elapsed().as_millis());
    let report = runner.stop(Duration::from_secs(2));
    match report.is_clean() {
        true => Ok(()),
        false => Err(format!("not a clean stop: {report:?}").into()),
    }
}
