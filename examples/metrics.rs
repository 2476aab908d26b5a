//! Serves the worker's numbers to Prometheus and reads them once, as Prometheus would. Of one task type, it prints the
//! seven series that Conductor's worker guide names.
//!
//! `cargo run --example metrics --features embedded` needs no server. With `CONDUCTOR_SERVER_URL` set, the same program
//! runs on that server.

#![allow(clippy::print_stdout, reason = "it is what the example is for")]

use std::{
    error::Error,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use conductor_sync::{
    Client, Config, StartWorkflowRequest, TaskContext, TaskDef, TaskError, TaskRunner, Worker, WorkflowDef,
    WorkflowTask, embedded::EmbeddedServer,
};
use serde::Deserialize;

const COUNTERS: [&str; 4] = ["task_poll_counter", "task_poll_error", "task_execute_error", "task_update_error"];
const HISTOGRAMS: [&str; 3] = ["task_poll_time", "task_execute_time", "task_result_size"];

#[derive(Deserialize)]
struct Division {
    dividend: i32,
    divisor: i32,
}

fn divide(_: &TaskContext, division: Division) -> Result<i32, TaskError> {
    division.dividend.checked_div(division.divisor).ok_or_else(|| TaskError::terminal("division by zero"))
}

/// What Prometheus does every 15 seconds or so.
fn scrape(address: SocketAddr) -> Result<String, Box<dyn Error>> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
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
    client.metadata().register_task(&TaskDef::new("metrics_divide").response_timeout(Duration::from_secs(30)))?;
    let task = WorkflowTask::simple("metrics_divide", "divide")
        .input("dividend", "${workflow.input.dividend}")
        .input("divisor", "${workflow.input.divisor}");
    client.metadata().update_workflow(&WorkflowDef::new("metrics_workflow").task(task))?;

    // Give a fixed port in production: Prometheus has to know it.
    let runner = TaskRunner::new(&client)
        .worker(Worker::new("metrics_divide", divide))
        .metrics_address((Ipv4Addr::LOCALHOST, 0))
        .start()?;
    for divisor in [3, 4, 0] {
        let input = serde_json::json!({"dividend": 12, "divisor": divisor});
        let id = client.workflows().start(&StartWorkflowRequest::new("metrics_workflow").input(input))?;
        client.workflows().wait(&id, Duration::from_secs(20))?;
    }

    let address = runner.metrics_address().ok_or("no metrics are served")?;
    let text = scrape(address)?;
    let names = COUNTERS.iter().map(ToString::to_string).chain(HISTOGRAMS.iter().map(|name| format!("{name}_count")));
    for name in names {
        let start = format!("{name}{{");
        let mut lines =
            text.lines().filter(|line| line.starts_with(&start) && line.contains("metrics_divide")).peekable();
        if lines.peek().is_none() {
            return Err(format!("no series {name} in:\n{text}").into());
        }
        lines.for_each(|line| println!("{line}"));
    }
    for expected in
        ["task_execute_time_count{taskType=\"metrics_divide\"} 3", "task_execute_error{taskType=\"metrics_divide\"} 1"]
    {
        if !text.lines().any(|line| line == expected) {
            return Err(format!("expected {expected} in:\n{text}").into());
        }
    }
    if !runner.stop(Duration::from_secs(2)).is_clean() {
        return Err("not a clean stop".into());
    }
    Ok(())
}
