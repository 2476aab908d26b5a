//! Right workflows that are broken at random: `build()` refuses each, and the real server refuses it too or runs it wrongly.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use conductor_sync::{
    Client, Error, ErrorKind, Node, RawJson, StartWorkflowRequest, Workflow, WorkflowBuilder, WorkflowDef,
    WorkflowStatus, WorkflowTask,
};
use fastrand::Rng;
use serde_json::json;

use super::{MANY, random::Maker, real, unique};

#[test]
fn what_is_broken_at_random_is_refused_and_would_not_have_worked() {
    let seed = fastrand::u64(..);
    let mut maker = Maker::of_short_ones(seed);
    let mut broken = Vec::new();
    while broken.len() < MANY {
        let mut def = maker.workflow("broken", false).build().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let Some(finding) = break_one(&mut maker.rng, &mut def) else { continue };
        let said = WorkflowBuilder::from(def.clone()).build().err().map(|error| error.to_string()).unwrap_or_default();
        let text = serde_json::to_string(&def).unwrap();
        assert!(said.contains(finding), "seed {seed}: `{finding}` is not in `{said}`\n{text}");
        def.name = unique("builder_broken");
        broken.push((finding, def));
    }
    let Some(client) = real() else { return };
    let deadline = Instant::now() + Duration::from_secs(240);
    let begun: Vec<_> = thread::scope(|scope| {
        let parts = broken.chunks(MANY / 8).map(|part| {
            let client = &client;
            scope.spawn(move || part.iter().map(|(_, def)| begin(client, def)).collect::<Vec<_>>())
        });
        let parts: Vec<_> = parts.collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    let begun = broken.into_iter().zip(begun).map(|((finding, def), begun)| (finding, begun, def));
    // What can't end is looked at when the others have come to their ends.
    let (ending, others): (Vec<_>, Vec<_>) = begun.partition(|(finding, ..)| COMPLETED.contains(finding));
    let wrong: Vec<_> = ending
        .into_iter()
        .chain(others)
        .filter_map(|(finding, begun, def)| {
            let seen = begun.and_then(|id| end(&client, &id, finding, deadline));
            (!is_wrong(finding, &seen)).then(|| {
                let seen = seen.map(|done| format!("{} {}", done.status, done.output));
                format!("`{finding}`: {seen:?}\n{}", serde_json::to_string(&def).unwrap())
            })
        })
        .collect();
    assert!(wrong.is_empty(), "seed {seed}: {} ran well, as\n{}", wrong.len(), wrong[0]);
}

/// Where the run is completed, and wrong.
const COMPLETED: &[&str] = &[
    "which comes later",
    "the task itself",
    "a workflow has no `inptu`",
    "can't be used in references",
    "the workflow has no input `z`",
    "the name can't be part of an address",
];

/// Registers and starts one; what the server says where it refuses either.
fn begin(client: &Client, def: &WorkflowDef) -> Result<String, String> {
    let metadata = client.metadata();
    metadata.update_workflow(def).map_err(refusal)?;
    let input = json!({"a": "A", "b": "B", "list": [1, 2]});
    let started = client.workflows().start(&StartWorkflowRequest::new(&*def.name).input(input));
    metadata.delete_workflow(&def.name, 1).unwrap();
    started.map_err(refusal)
}

/// What the server said. An error of another kind is none of the definition.
fn refusal(error: Error) -> String {
    assert!(matches!(error.kind(), ErrorKind::Rejected | ErrorKind::Server), "{error}");
    error.server_message().unwrap_or_default().to_owned()
}

/// Waits for its end, or until it can't have one; what the server says where it can't go on with it.
fn end(client: &Client, id: &str, finding: &str, deadline: Instant) -> Result<Workflow, String> {
    let workflows = client.workflows();
    let may_stay_open = !COMPLETED.contains(&finding);
    let done = loop {
        match workflows.wait(id, Duration::from_secs(1)) {
            Err(error) if error.kind() == ErrorKind::Deadline => {
                let seen = workflows.get(id).unwrap();
                if may_stay_open && is_stuck(&seen) || Instant::now() >= deadline {
                    break Ok(seen);
                }
                if let Err(error) = workflows.decide(id) {
                    break Err(refusal(error));
                }
            }
            outcome => return Ok(outcome.unwrap()),
        }
    };
    workflows.terminate(id, Some("a test")).unwrap();
    done
}

/// Whether the server refuses it for what was found, or this is the harm that the finding is about.
fn is_wrong(finding: &str, seen: &Result<Workflow, String>) -> bool {
    let is_told = |said: &str| words_of_server(finding).iter().any(|words| said.contains(words));
    let seen = match seen {
        Ok(seen) => seen,
        Err(said) => return is_told(said),
    };
    let inputs: Vec<_> = seen.tasks.iter().map(|task| RawJson::new(&task.input_data).unwrap()).collect();
    let has_input = |text: &str| inputs.iter().any(|input| input.get().contains(text));
    let is_harm = || match finding {
        "which comes later" | "the task itself" => has_input("at null"),
        "a workflow has no `inptu`" => has_input(r#""in0":null"#),
        // What is wrong with such a name is shown below.
        "the name can't be part of an address" => true,
        _ => seen.output.get().contains(r#""bad":null"#),
    };
    match seen.status {
        WorkflowStatus::Completed => COMPLETED.contains(&finding) && is_harm(),
        WorkflowStatus::Running => !COMPLETED.contains(&finding) && is_stuck(seen),
        _ => is_told(seen.reason_for_incompletion.as_deref().unwrap_or_default()),
    }
}

/// How the server (3.32.1) tells of what was found, where it does.
fn words_of_server(finding: &str) -> &'static [&'static str] {
    match finding {
        "used more than once" => &["should be unique"],
        "`nobody`, which does not exist" => &["taskReferenceName: nobody for given task"],
        "is empty" => &["Index 0 out of bounds"],
        "loop is empty" => &["loopOver field is required"],
        // Another task may name the join that is gone.
        "no join follows" => &["is not followed by a join task", "_join for given task"],
        // `${x.y}` and the condition of a loop are read as those of another task.
        "can't be used in references" => &["for given task", "Unable to evaluate condition"],
        _ => &[],
    }
}

/// Whether it waits for a join and for nothing else.
fn is_stuck(seen: &Workflow) -> bool {
    let open = seen.tasks.iter().filter(|task| !task.status.is_terminal()).map(|task| task.task_type.as_str());
    open.eq(["JOIN"])
}

#[test]
fn what_is_made_at_random_and_not_broken_runs_to_its_end() {
    let Some(client) = real() else { return };
    let seed = fastrand::u64(..);
    let mut maker = Maker::of_short_ones(seed);
    let made: Vec<_> = (0..20).map(|_| maker.workflow(&unique("builder_whole"), false).build().unwrap()).collect();
    let begun: Vec<_> = made.iter().map(|def| begin(&client, def).unwrap()).collect();
    for (id, def) in begun.iter().zip(&made) {
        let done = client.workflows().wait(id, Duration::from_secs(90)).unwrap();
        let text = serde_json::to_string(def).unwrap();
        assert_eq!(done.status, WorkflowStatus::Completed, "seed {seed}: {:?}\n{text}", done.reason_for_incompletion);
    }
}

/// The status of an answer of the real server to a path as it stands here.
fn status(client: &Client, request: &str) -> String {
    let server = client.server_url().trim_start_matches("http://");
    let (address, base) = server.split_once('/').unwrap();
    let (method, path) = request.split_once(' ').unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let head = "Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close";
    write!(stream, "{method} /{base}{path} HTTP/1.1\r\nHost: {address}\r\n{head}\r\n\r\n{{}}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn a_name_with_a_slash_can_not_be_addressed() {
    let by_name = WorkflowBuilder::new("w").task(Node::simple("a/b", "r")).build().unwrap_err();
    assert!(by_name.to_string().contains("r: the name can't be part of an address"), "{by_name}");
    let by_reference = WorkflowBuilder::new("w").task(Node::human("a/b")).build().unwrap_err();
    assert!(by_reference.to_string().contains("a/b: the reference name has characters"), "{by_reference}");
    let Some(client) = real() else { return };
    let name = unique("builder_broken");
    let mut def = WorkflowBuilder::new(&*name).task(Node::human("ask")).build().unwrap();
    let begun = |def: &WorkflowDef| begin(&client, def).unwrap();
    let state = |id: &str| client.workflows().get(id).unwrap().tasks[0].status.clone();
    // So it is answered by the name of a reference, and so it is not.
    let good = begun(&def);
    assert_eq!(status(&client, &format!("POST /tasks/{good}/ask/COMPLETED")), "200");
    assert!(state(&good).is_terminal());
    def.tasks[0].task_reference_name = "a/b".to_owned();
    let bad = begun(&def);
    for path in [format!("POST /tasks/{bad}/a%2Fb/COMPLETED"), format!("POST /tasks/{bad}/a/b/COMPLETED")] {
        let said = status(&client, &path);
        assert!(said.starts_with('4'), "{path}: {said}");
    }
    assert!(!state(&bad).is_terminal());
    client.workflows().terminate(&bad, Some("a test")).unwrap();
    // Nor do workers get at tasks of such a name.
    for path in ["GET /tasks/poll/a%2Fb", "GET /tasks/poll/a/b", "GET /metadata/taskdefs/a%2Fb"] {
        let said = status(&client, path);
        assert!(said.starts_with('4'), "{path}: {said}");
    }
}

/// Breaks a right definition in one way; the words that the finding must have. `None` where it does not apply.
fn break_one(rng: &mut Rng, def: &mut WorkflowDef) -> Option<&'static str> {
    let n_tasks = def.tasks.len();
    let at = rng.usize(..n_tasks);
    let last = def.tasks[n_tasks - 1].task_reference_name.clone();
    let task = &mut def.tasks[at];
    // The others show no inputs of their own when they have run.
    let takes_inputs = matches!(
        task.task_type.as_deref(),
        Some("INLINE" | "JSON_JQ_TRANSFORM" | "SET_VARIABLE" | "EVENT" | "SWITCH" | "SUB_WORKFLOW")
    );
    match rng.usize(0..11) {
        0 => {
            let copy = task.clone();
            def.tasks.push(copy);
            Some("used more than once")
        }
        1 | 2 | 5 if !takes_inputs => None,
        1 => break_input(task, "${nobody.output.x}", "`nobody`, which does not exist"),
        2 => break_input(
            task,
            json!({"deep": [format!("at ${{{last}.output}}")]}),
            match at + 1 == n_tasks {
                true => "the task itself",
                false => "which comes later",
            },
        ),
        3 => {
            task.name = "a/b".to_owned();
            Some("the name can't be part of an address")
        }
        4 => {
            task.task_reference_name = "x.y".to_owned();
            def.output_parameters.insert("bad".to_owned(), "${x.y.status}".into());
            Some("can't be used in references")
        }
        5 => break_input(task, "${workflow.inptu.a}", "a workflow has no `inptu`"),
        6 => {
            let join = def.tasks.iter_mut().find(|task| !task.join_on.is_empty())?;
            join.join_on.push("nobody".to_owned());
            Some("waits for `nobody`, which does not exist")
        }
        7 => {
            let fork = def.tasks.iter_mut().find(|task| !task.fork_tasks.is_empty())?;
            fork.fork_tasks.push(Vec::new());
            Some("is empty")
        }
        8 => {
            let fork = def.tasks.iter().position(|task| !task.fork_tasks.is_empty())?;
            def.tasks.remove(fork + 1);
            Some("no join follows")
        }
        9 => {
            def.tasks.iter_mut().find(|task| !task.loop_over.is_empty())?.loop_over.clear();
            Some("loop is empty")
        }
        _ => {
            def.output_parameters.insert("bad".to_owned(), "${workflow.input.z}".into());
            Some("the workflow has no input `z`")
        }
    }
}

fn break_input(task: &mut WorkflowTask, value: impl Into<RawJson>, finding: &'static str) -> Option<&'static str> {
    // Sub-workflows know this one.
    task.input_parameters.insert("in0".to_owned(), value.into());
    Some(finding)
}
