//! A workflow as an agent of the A2A protocol: somebody asks it for a pizza, reads what comes of it while it comes, and says
//! where to when it asks.
//!
//! It needs a real server, with `conductor.a2a.server.enabled=true`, since the embedded one does not speak A2A:
//! `CONDUCTOR_SERVER_URL=http://localhost:8080/api cargo run --example a2a`

#![allow(clippy::print_stdout, reason = "it is what the example is for")]

use std::{error::Error, time::Duration};

use conductor_sync::{
    A2aAgent, A2aClient, A2aMessage, A2aTaskState, A2aUpdate, Client, Config, Node, TaskDef, TaskRunner, TypedTask,
    WorkflowBuilder, workflow_input,
};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Pizza {
    name: String,
}

const BAKE: TypedTask<Pizza, String> = TypedTask::new("a2a_bake");
const PIZZERIA: &str = "a2a_pizzeria";

/// What has come of the message, once no more comes: the id of the task and how far it is.
fn say(a2a: &A2aClient, message: &A2aMessage) -> Result<(String, A2aTaskState), Box<dyn Error>> {
    let (mut id, mut state) = (String::new(), A2aTaskState::Unknown);
    for update in a2a.stream(A2aAgent::Workflow(PIZZERIA), message, Duration::from_secs(30))? {
        let update = update?;
        if let Some(status) = update.status() {
            println!("it is {}", status.state);
            state = status.state.clone();
        }
        match update {
            A2aUpdate::Task(task) => id = task.id,
            A2aUpdate::Artifact(update) => println!("it has brought {}", update.artifact.artifact_id),
            _ => {}
        }
    }
    Ok((id, state))
}

fn main() -> Result<(), Box<dyn Error>> {
    env_logger::init();
    let config = Config::from_env_if_set()?.ok_or("this example needs a real server: set CONDUCTOR_SERVER_URL")?;
    let client = Client::new(config)?;
    let a2a = client.a2a();

    // The text of a message is an input of the workflow, and an output of the task that waits for it.
    let bake = BAKE.node("bake").input("name", workflow_input("_a2a_text")).definition(TaskDef::new(BAKE.name()));
    let mut def = WorkflowBuilder::new(PIZZERIA).task(&bake).task(Node::human("where_to")).build()?;
    def.metadata = [("a2a.enabled".to_owned(), true.into())].into();
    client.metadata().register_task(&TaskDef::new(BAKE.name()))?;
    client.metadata().update_workflow(&def)?;
    println!("{} is exposed", a2a.card(A2aAgent::Workflow(PIZZERIA))?.name);

    let worker = BAKE.worker(|_, pizza| Ok(format!("{}, hot", pizza.name)));
    let runner = TaskRunner::new(&client).worker(worker).start()?;
    let (id, state) = say(&a2a, &A2aMessage::text("Margherita"))?;
    if state == A2aTaskState::InputRequired {
        let (_, state) = say(&a2a, &A2aMessage::text("to table 5").task_id(&id))?;
        println!("the order is {state}");
    }
    let report = runner.stop(Duration::from_secs(10));
    println!("stopped, clean: {}", report.is_clean());
    Ok(())
}
