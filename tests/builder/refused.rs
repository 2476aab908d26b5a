//! What `build()` must refuse, one by one; on the real server each is refused too or runs wrongly.

use std::{thread, time::Duration};

use conductor_sync::{Client, ErrorKind, Node, StartWorkflowRequest, WorkflowBuilder, WorkflowDef};
use serde_json::{Value, json};

use super::{real, unique};

/// What is found, the tasks, and what the real server makes of them unchecked: had they been right, the workflow would
/// have been COMPLETED with `{"ok":true}`.
const CASES: &[(&str, &str, &str)] = &[
    (
        "used more than once",
        r#"[{"name":"n","taskReferenceName":"r","type":"NOOP"},{"name":"n","taskReferenceName":"r","type":"NOOP"}]"#,
        "r should be unique across tasks",
    ),
    (
        "which does not exist",
        r#"[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${gone.output.ok}"}}]"#,
        "${gone.output.ok} is not defined in workflow definition",
    ),
    (
        "which comes later",
        r#"[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${later.output.result}"}},{"name":"n","taskReferenceName":"later","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]"#,
        r#"COMPLETED {"ok":null}"#,
    ),
    (
        "the task itself",
        r#"[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${r.output.result}"}}]"#,
        r#"COMPLETED {"ok":null}"#,
    ),
    (
        "is in another branch",
        r#"[{"name":"s","taskReferenceName":"s","type":"SWITCH","evaluatorType":"value-param","expression":"v","inputParameters":{"v":"b"},"decisionCases":{"a":[{"name":"n","taskReferenceName":"a","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}],"b":[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${a.output.result}"}}]}}]"#,
        r#"COMPLETED {"ok":null}"#,
    ),
    (
        "no join follows",
        r#"[{"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]]}]"#,
        "FAILED {} Fork task definition is not followed by a join task",
    ),
    (
        "waits for `gone`, which does not exist",
        r#"[{"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]]},{"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["gone"]}]"#,
        "stuck: f COMPLETED, r COMPLETED, j IN_PROGRESS",
    ),
    (
        "branch 1 is empty",
        r#"[{"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[[],[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]]},{"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["r"]}]"#,
        "not started:",
    ),
    (
        "loop is empty",
        r#"[{"name":"l","taskReferenceName":"r","type":"DO_WHILE","loopCondition":"false","loopOver":[]}]"#,
        "loopOver field is required",
    ),
    (
        "there are no branches",
        r#"[{"name":"f","taskReferenceName":"r","type":"FORK_JOIN","forkTasks":[]},{"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":[]}]"#,
        "forkTasks should have atleast one task",
    ),
    (
        "there are no cases",
        r#"[{"name":"s","taskReferenceName":"r","type":"SWITCH","evaluatorType":"value-param","expression":"v","inputParameters":{"v":1}}]"#,
        "decisionCases should have atleast one task",
    ),
    ("there are no tasks", "[]", "WorkflowTask list cannot be empty"),
    (
        "no input `w`",
        r#"[{"name":"s","taskReferenceName":"s","type":"SWITCH","evaluatorType":"value-param","expression":"w","inputParameters":{"v":"a"},"decisionCases":{"a":[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]}}]"#,
        r#"COMPLETED {"ok":null}"#,
    ),
    (
        "the script reads `$.ko`",
        r#"[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ko","ok":true}}]"#,
        r#"COMPLETED {"ok":null}"#,
    ),
    ("there is no sink", r#"[{"name":"n","taskReferenceName":"r","type":"EVENT"}]"#, "sink field is required"),
    (
        "the duration must be",
        r#"[{"name":"n","taskReferenceName":"r","type":"WAIT","inputParameters":{"duration":"2 fortnights"}}]"#,
        "Either date or duration is passed as null",
    ),
    (
        "for a duration and until a time",
        r#"[{"name":"n","taskReferenceName":"r","type":"WAIT","inputParameters":{"duration":"2s","until":"2020-01-01"}}]"#,
        "Both 'duration' and 'until' specified",
    ),
    (
        "the time must be",
        r#"[{"name":"n","taskReferenceName":"r","type":"WAIT","inputParameters":{"until":"tomorrow"}}]"#,
        "Unable to parse date",
    ),
    (
        "the status must be",
        r#"[{"name":"n","taskReferenceName":"r","type":"TERMINATE","inputParameters":{"terminationStatus":"DONE"}}]"#,
        "must have an terminationStatus parameter",
    ),
    (
        "can't be optional",
        r#"[{"name":"n","taskReferenceName":"r","type":"TERMINATE","optional":true,"inputParameters":{"terminationStatus":"COMPLETED"}}]"#,
        "terminate task cannot be optional",
    ),
    (
        "can't be reached",
        r#"[{"name":"n","taskReferenceName":"t","type":"TERMINATE","inputParameters":{"terminationStatus":"COMPLETED"}},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]"#,
        "COMPLETED {} Workflow is COMPLETED by TERMINATE task",
    ),
    (
        "there is no request",
        r#"[{"name":"n","taskReferenceName":"r","type":"HTTP"}]"#,
        "inputParameters.uri field is required",
    ),
    (
        "there is no message",
        r#"[{"name":"n","taskReferenceName":"r","type":"KAFKA_PUBLISH"}]"#,
        "kafka_request field is required",
    ),
    (
        "there is no jq",
        r#"[{"name":"n","taskReferenceName":"r","type":"JSON_JQ_TRANSFORM"}]"#,
        "queryExpression field is required",
    ),
    (
        "there is no script",
        r#"[{"name":"n","taskReferenceName":"r","type":"INLINE","retryCount":0}]"#,
        "Empty 'expression' in Inline task",
    ),
    (
        "there is no sub-workflow",
        r#"[{"name":"n","taskReferenceName":"r","type":"SUB_WORKFLOW"}]"#,
        "subWorkflowParam field is required",
    ),
    (
        "no workflow to start",
        r#"[{"name":"n","taskReferenceName":"r","type":"START_WORKFLOW"}]"#,
        "Missing 'startWorkflow' in input data",
    ),
    (
        "that names the task",
        r#"[{"name":"n","taskReferenceName":"r","type":"DYNAMIC","dynamicTaskNameParam":"which"}]"#,
        "FAILED {} Cannot map a dynamic task",
    ),
    (
        "that holds the tasks",
        r#"[{"name":"f","taskReferenceName":"r","type":"FORK_JOIN_DYNAMIC"},{"name":"j","taskReferenceName":"j","type":"JOIN"}]"#,
        "dynamicForkTasksInputParamName field is required",
    ),
    (
        "there is no condition",
        r#"[{"name":"l","taskReferenceName":"r","type":"DO_WHILE","loopOver":[{"name":"n","taskReferenceName":"n","type":"NOOP"}]}]"#,
        "loopCondition field is required",
    ),
    (
        "the start delay",
        r#"[{"name":"n","taskReferenceName":"r","type":"NOOP","startDelay":-1}]"#,
        "startDelay: must be greater than or equal to 0",
    ),
    (
        "it needs one",
        r#"[{"name":"n","taskReferenceName":"","type":"NOOP"}]"#,
        "taskReferenceName name cannot be empty",
    ),
    (
        "the name is empty",
        r#"[{"name":"","taskReferenceName":"r","type":"NOOP"}]"#,
        "WorkflowTask name cannot be empty",
    ),
    (
        "means the workflow itself",
        r#"[{"name":"n","taskReferenceName":"workflow","type":"NOOP"},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.v == 1","v":"${workflow.version}"}}]"#,
        r#"COMPLETED {"ok":false}"#,
    ),
    (
        "can't be used in references",
        r#"[{"name":"n","taskReferenceName":"x.y","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${x.y.output.result}"}}]"#,
        "${x.y.output.result} is not defined in workflow definition",
    ),
    (
        "a task has no `ouptut`",
        r#"[{"name":"n","taskReferenceName":"x","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${x.ouptut.result}"}}]"#,
        r#"COMPLETED {"ok":null}"#,
    ),
    (
        "not for what follows in its branches",
        r#"[{"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[[{"name":"s","taskReferenceName":"s","type":"SWITCH","evaluatorType":"value-param","expression":"v","inputParameters":{"v":"a"},"decisionCases":{"a":[{"name":"w","taskReferenceName":"w","type":"WAIT","inputParameters":{"duration":"2s"}}]}}]]},{"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["s"]},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok == 'COMPLETED'","ok":"${w.status}"}}]"#,
        r#"COMPLETED {"ok":false}"#,
    ),
    (
        "a loop inside a loop",
        r#"[{"name":"l","taskReferenceName":"o","type":"DO_WHILE","loopCondition":"$.o.iteration < 2","loopOver":[{"name":"l","taskReferenceName":"i","type":"DO_WHILE","loopCondition":"$.i.iteration < 2","loopOver":[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]}]}]"#,
        "Unable to evaluate condition $.i.iteration < 2",
    ),
    (
        "refers to nothing",
        r#"[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${}"}}]"#,
        "input parameter value:  is not valid",
    ),
    (
        "is no path",
        r#"[{"name":"n","taskReferenceName":"x","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${x.output[}"}}]"#,
        r#"COMPLETED {"ok":{"result":true}}"#,
    ),
    (
        "a workflow has no `inptu`",
        r#"[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${workflow.inptu.ok}"}}]"#,
        r#"COMPLETED {"ok":null}"#,
    ),
    (
        "has no input `kay`",
        r#"[{"name":"s","taskReferenceName":"s","type":"SUB_WORKFLOW","inputParameters":{"kay":true},"subWorkflowParam":{"name":"c","version":1,"workflowDefinition":{"name":"c","version":1,"schemaVersion":2,"inputParameters":["ok"],"tasks":[{"name":"n","taskReferenceName":"n","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${workflow.input.ok}"}}],"outputParameters":{"result":"${n.output.result}"}}}},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${s.output.result}"}}]"#,
        r#"COMPLETED {"ok":null}"#,
    ),
    (
        "the join behind it waits for nothing",
        r#"[{"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[[{"name":"w","taskReferenceName":"w","type":"WAIT","inputParameters":{"duration":"3s"}}]]},{"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":[]},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok == 'COMPLETED'","ok":"${w.status}"}}]"#,
        r#"COMPLETED {"ok":false}"#,
    ),
];

fn definition(name: &str, tasks: &str) -> WorkflowDef {
    let tasks: Value = serde_json::from_str(tasks).unwrap();
    let def = json!({"name": name, "version": 1, "schemaVersion": 2, "tasks": tasks,
        "outputParameters": {"ok": "${r.output.result}"}});
    // The output is not to add findings of its own.
    serde_json::from_value(def).unwrap()
}

#[test]
fn what_build_must_refuse_is_refused_and_would_not_have_worked() {
    let wrong: Vec<String> = thread::scope(|scope| {
        let told: Vec<_> = CASES.iter().map(|case| scope.spawn(|| tell(*case))).collect();
        told.into_iter().filter_map(|told| told.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn tell((finding, tasks, expected): (&str, &str, &str)) -> Option<String> {
    let name = unique("builder_refused");
    let def = definition(&name, tasks);
    match WorkflowBuilder::from(def.clone()).build() {
        Ok(_) => return Some(format!("`{finding}` is not found")),
        Err(error) if !error.to_string().contains(finding) => return Some(format!("`{finding}` is not in: {error}")),
        Err(_) => {}
    }
    // What is stuck stays so; the rest may be slow on a busy server.
    let limit = Duration::from_secs(if expected.starts_with("stuck") { 5 } else { 60 });
    let seen = unchecked(&real()?, &def, limit);
    (!seen.contains(expected)).then(|| format!("`{finding}`: not `{expected}` but {seen}"))
}

/// What the real server makes of a definition that nobody has checked.
fn unchecked(client: &Client, def: &WorkflowDef, limit: Duration) -> String {
    if let Err(error) = client.metadata().update_workflow(def) {
        return format!("refused: {error}");
    }
    let seen = match client.workflows().start(&StartWorkflowRequest::new(&*def.name)) {
        Err(error) => format!("not started: {error}"),
        Ok(id) => ended(client, &id, limit),
    };
    client.metadata().delete_workflow(&def.name, 1).unwrap();
    seen
}

fn ended(client: &Client, id: &str, limit: Duration) -> String {
    match client.workflows().wait(id, limit) {
        Ok(done) => {
            let reason = done.reason_for_incompletion.unwrap_or_default();
            format!("{} {} {reason}", done.status, done.output.get())
        }
        Err(error) if error.kind() == ErrorKind::Deadline => {
            let seen = client.workflows().get(id).unwrap();
            client.workflows().terminate(id, Some("a test")).unwrap();
            let tasks = seen.tasks.iter().map(|task| format!("{} {}", task.reference_task_name, task.status));
            format!("stuck: {}", tasks.collect::<Vec<_>>().join(", "))
        }
        Err(error) => format!("{error}"),
    }
}

#[test]
fn names_that_can_not_be_part_of_an_address_are_refused() {
    for name in ["", " ", "a/b", "a\\b", "..", "a\nb", "names"] {
        let error = WorkflowBuilder::new(name).task(Node::noop("n")).build().unwrap_err();
        assert!(error.to_string().contains("the name"), "{name}: {error}");
    }
}
