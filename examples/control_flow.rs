//! The ways a workflow can take: at the same time (fork), one or the other (switch), again and again (loop), and through
//! another workflow.
//!
//! It needs a server that executes these tasks, which the embedded one does not: set `CONDUCTOR_SERVER_URL`. Without it, the
//! program prints the definition.

#![allow(clippy::print_stdout)]

use std::{error::Error, time::Duration};

use conductor_sync::{
    Client, Config, DoWhile, Node, StartWorkflowRequest, SubWorkflow, Switch, WorkflowBuilder, task_reference,
    workflow_input, workflow_variable,
};
use serde_json::json;

/// Greets one guest; a workflow of its own.
fn greeting() -> WorkflowBuilder {
    let text = Node::inline("text", "$.word + ', ' + $.name + '!'")
        .input("word", workflow_input("word"))
        .input("name", workflow_input("name"));
    WorkflowBuilder::new("control_flow_greeting")
        .inputs(["word", "name"])
        .task(&text)
        .output("text", text.output("result"))
}

fn party() -> WorkflowBuilder {
    // Two things at the same time; the join behind them has the outputs of both.
    let count = Node::json_jq("count", ".guests | length").input("guests", workflow_input("guests"));
    let hour = Node::inline("hour", "$.at < 12 ? 'morning' : 'evening'").input("at", workflow_input("at"));
    let look = Node::fork("look", [[&count], [&hour]]);

    // One way or the other.
    let say = |reference: &str, word: &str| Node::set_variable(reference, "word", word);
    let which = Node::switch(
        "which",
        Switch::on(hour.output("result"))
            .case("morning", [say("early", "Good morning")])
            .otherwise([say("late", "Good evening")]),
    );

    // Once for each guest, by another workflow.
    let greet = Node::sub_workflow("greet", SubWorkflow::registered(&greeting()))
        .input("word", workflow_variable("word"))
        .input("name", task_reference("each_guest").output("loopItem"));
    let each_guest = Node::do_while("each_guest", DoWhile::each(workflow_input("guests"), [&greet]));

    WorkflowBuilder::new("control_flow_party")
        .inputs(["guests", "at"])
        .task(&look)
        .task(which)
        .task(&each_guest)
        .output("guests", count.output("result"))
        .output("rounds", each_guest.output("iteration"))
        .output("last", greet.output("text"))
}

fn main() -> Result<(), Box<dyn Error>> {
    env_logger::init();
    let Some(config) = Config::from_env_if_set()? else {
        let def = party().build()?;
        let shown: Vec<_> = def.tasks.iter().map(|task| task.task_reference_name.as_str()).collect();
        println!("checked: {}\n{}", shown.join(", "), serde_json::to_string_pretty(&def)?);
        return Ok(());
    };
    let client = Client::new(config)?;
    let def = party().register(&client.metadata())?;
    for (guests, at) in [(json!(["Ada", "Grace"]), 9), (json!(["Alan"]), 20)] {
        let request = StartWorkflowRequest::new(&*def.name).input(json!({"guests": guests, "at": at}));
        let id = client.workflows().start(&request)?;
        let done = client.workflows().wait(&id, Duration::from_secs(90))?;
        println!("{} {}", done.status, done.output);
    }
    Ok(())
}
