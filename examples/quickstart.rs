//! The main job from end to end: define a workflow, register it, start workers, run a few workflows, print what came of
//! them, stop.
//!
//! `cargo run --example quickstart --features embedded` needs no server. With `CONDUCTOR_SERVER_URL` set, the same program
//! runs on that server.

#![allow(clippy::print_stdout)]

use std::{error::Error, time::Duration};

use conductor_sync::{
    Client, Config, RetryLogic, StartWorkflowRequest, TaskContext, TaskDef, TaskError, TaskRunner, Worker, WorkflowDef,
    WorkflowStatus, WorkflowTask, embedded::EmbeddedServer,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Deserialize)]
struct Order {
    item: String,
    pieces: u32,
}

#[derive(Serialize)]
struct Price {
    total_cents: u32,
}

/// A worker is a function. What it returns is the task's output; an error fails the task.
fn price(cx: &TaskContext, order: Order) -> Result<Price, TaskError> {
    cx.log(format!("pricing {} x {}", order.pieces, order.item));
    let cents = match order.item.as_str() {
        "apple" => 30,
        "pear" => 45,
        other => return Err(TaskError::terminal(format!("nobody sells {other}"))),
    };
    Ok(Price { total_cents: cents * order.pieces })
}

#[derive(Deserialize)]
struct Receipt {
    item: String,
    total_cents: u32,
}

fn print_receipt(_: &TaskContext, receipt: Receipt) -> Result<String, TaskError> {
    Ok(format!("{}: {}.{:02}", receipt.item, receipt.total_cents / 100, receipt.total_cents % 100))
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
    println!("server: {}", client.server_url());

    let lease = Duration::from_secs(30);
    for name in ["quickstart_price", "quickstart_receipt"] {
        let definition =
            TaskDef::new(name).retries(2, RetryLogic::Fixed, Duration::from_secs(1)).response_timeout(lease);
        client.metadata().register_task(&definition)?;
    }
    let workflow = WorkflowDef::new("quickstart_order")
        .task(
            WorkflowTask::simple("quickstart_price", "price")
                .input("item", "${workflow.input.item}")
                .input("pieces", "${workflow.input.pieces}"),
        )
        .task(
            WorkflowTask::simple("quickstart_receipt", "receipt")
                .input("item", "${workflow.input.item}")
                .input("total_cents", "${price.output.total_cents}"),
        )
        .output("receipt", "${receipt.output.result}");
    client.metadata().update_workflow(&workflow)?;

    let runner = TaskRunner::new(&client)
        .worker(Worker::new("quickstart_price", price))
        .worker(Worker::new("quickstart_receipt", print_receipt))
        .start()?;
    runner.wait_until_polling(Duration::from_secs(30))?;

    let mut ids = Vec::new();
    let orders = [("apple", 3, "apple: 0.90"), ("pear", 2, "pear: 0.90"), ("apple", 10, "apple: 3.00")];
    for (item, pieces, _) in orders {
        let input = json!({"item": item, "pieces": pieces});
        ids.push(client.workflows().start(&StartWorkflowRequest::new("quickstart_order").input(input))?);
    }
    for (id, (.., receipt)) in ids.iter().zip(orders) {
        let done = client.workflows().wait(id, Duration::from_secs(60))?;
        println!("{id} {} {}", done.status, done.output);
        if done.status != WorkflowStatus::Completed || done.output.to_value()? != json!({"receipt": receipt}) {
            return Err(format!("{id} should be COMPLETED with the receipt {receipt}").into());
        }
    }

    print!("{}", runner.metrics().summary());
    let report = runner.stop(Duration::from_secs(10));
    println!("stopped: {} tasks completed, clean: {}", report.completed, report.is_clean());
    if report.is_clean() { Ok(()) } else { Err(format!("the stop left something undone: {report:?}").into()) }
}
