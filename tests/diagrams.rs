//! Pictures: what they hold for known definitions and executions, and what holds for any text, whatever the names in it.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

use std::{collections::HashSet, fs, path::Path, process::Command};

use conductor_sync::{RawJson, SubWorkflowParams, Workflow, WorkflowDef, WorkflowTask};
use serde_json::json;

/// Names that a language of pictures could stumble over.
const HOSTILE: &[&str] = &[
    "",
    "end",
    "a b",
    "\"",
    "]",
    "[[x]]",
    "a\"]; n0 --> n9",
    "line\nbreak",
    "\r\n",
    "\\",
    "\\N\\",
    "#35;",
    "&lt;",
    "<script>alert(1)</script>",
    "%%{init: {}}%%",
    "%% note",
    "`code`",
    "1. first",
    "- item",
    "_x_",
    "style x:#a;",
    "日本語",
    "🙂",
    "\u{202e}abc",
    "\u{1b}[31m",
    "\0",
    "|",
    "-->",
    "subgraph",
    "}",
    "{{",
    "$$x$$",
    "x__1",
    "n0",
    "é",
    "graph",
    "flowchart TD",
    "click n0 call alert()",
    "class n0 done",
    "classDef default fill:#000",
    "linkStyle 0 stroke:#f00",
    "direction LR",
    "default",
    "a|b",
    "{a}|<b>",
    "fa:fa-ban",
    "www.example.com",
    "\\l\\r\\G",
    "strict digraph",
    "a\"; b=\"c",
    "@{ shape: cyl }",
    "a & b",
    "/* c */ // d",
    "---\ntitle: x\n---",
];

fn task(kind: &str, reference: &str) -> WorkflowTask {
    let mut task = WorkflowTask::simple("work", reference);
    task.task_type = Some(kind.to_owned());
    task
}

#[test]
fn a_loop_and_a_switch_are_drawn_as_documented() {
    let mut repeat = task("DO_WHILE", "pay_loop");
    repeat.loop_over = vec![WorkflowTask::simple("pay_card", "pay")];
    repeat.loop_condition = Some("$.pay['paid'] == false".to_owned());
    let mut switch = task("SWITCH", "how");
    switch.expression = Some("way".to_owned());
    switch.decision_cases.insert("parcel".to_owned(), vec![WorkflowTask::simple("post_parcel", "post")]);
    let drawn = WorkflowDef::new("order").task(repeat).task(switch).diagram().mermaid();
    let expected = r#"flowchart TD
    n0(["order<br/>version 1"])
    subgraph g0["loop pay_loop"]
        n1["pay<br/>pay_card"]
        n2{"pay_loop<br/>DO_WHILE<br/>$.pay#91;'paid'#93; == false"}
    end
    n3{"how<br/>SWITCH<br/>way"}
    n4["post<br/>post_parcel"]
    n5(["end"])
    n0 --> n1
    n1 --> n2
    n2 -.->|"again"| n1
    n2 --> n3
    n3 -->|"parcel"| n4
    n4 --> n5
    n3 -->|"default"| n5
"#;
    assert_eq!(drawn, expected);
}

#[test]
fn a_fork_leads_to_its_join_and_shows_what_nobody_waits_for() {
    let mut fork = task("FORK_JOIN", "both");
    fork.fork_tasks = vec![vec![WorkflowTask::simple("a", "a")], vec![WorkflowTask::simple("b", "b")]];
    let mut join = task("JOIN", "joined");
    join.join_on = vec!["a".to_owned()];
    let drawn = WorkflowDef::new("w").task(fork).task(join).diagram();
    let mermaid = drawn.mermaid();
    assert!(
        mermaid.contains("    n1 --> n2\n    n1 --> n3\n    n2 --> n4\n    n3 -.->|\"not waited for\"| n4\n"),
        "{mermaid}"
    );
    assert!(drawn.dot().contains("    n3 -> n4 [label=\"not waited for\", style=dashed];\n"), "{}", drawn.dot());
}

#[test]
fn an_inline_sub_workflow_is_a_group_and_a_named_one_a_node() {
    let inner = WorkflowDef::new("inner").task(WorkflowTask::simple("a", "a"));
    let mut params = SubWorkflowParams::default();
    params.name = Some("inner".to_owned());
    params.workflow_definition = Some(RawJson::new(&inner).unwrap());
    let mut inline = task("SUB_WORKFLOW", "inline");
    inline.sub_workflow_param = Some(params.clone());
    let mut named = task("SUB_WORKFLOW", "named");
    params.workflow_definition = None;
    params.name = Some("w".to_owned());
    named.sub_workflow_param = Some(params);
    let mermaid = WorkflowDef::new("w").task(inline).task(named).diagram().mermaid();
    assert!(
        mermaid
            .contains("    subgraph g0[\"sub-workflow inner\"]\n        n1[[\"inline<br/>SUB_WORKFLOW<br/>inner\"]]\n")
    );
    assert!(mermaid.contains("    n3[[\"named<br/>SUB_WORKFLOW<br/>w\"]]\n"), "{mermaid}");
    assert!(mermaid.contains("    n2 --> n3\n"), "{mermaid}");
}

/// A retry, a loop of two rounds, a dynamic fork, a task that has not run, and one that the definition does not know.
fn execution() -> Workflow {
    let definition = json!({"name": "w", "tasks": [
        {"name": "pay", "taskReferenceName": "pay", "type": "SIMPLE"},
        {"name": "l", "taskReferenceName": "l", "type": "DO_WHILE", "loopOver": [
            {"name": "r", "taskReferenceName": "r", "type": "SIMPLE"}]},
        {"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN_DYNAMIC"},
        {"name": "j", "taskReferenceName": "j", "type": "JOIN"},
        {"name": "last", "taskReferenceName": "last", "type": "SIMPLE"}]});
    let done = |reference: &str, kind: &str, from: i64, to: i64, more: serde_json::Value| {
        let mut task = json!({"referenceTaskName": reference, "taskType": kind, "status": "COMPLETED",
            "scheduledTime": from, "startTime": from, "endTime": to});
        task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        task
    };
    let tasks = json!([
        done("pay", "pay", 1_000, 2_000, json!({"status": "FAILED", "retried": true, "seq": 1})),
        done("pay", "pay", 3_000, 4_000, json!({"retryCount": 1, "seq": 2})),
        done("l", "DO_WHILE", 4_000, 6_000, json!({"iteration": 2, "seq": 3})),
        done("r__1", "r", 4_000, 5_000, json!({"iteration": 1, "seq": 4})),
        done("r__2", "r", 5_000, 6_000, json!({"iteration": 2, "seq": 5})),
        done("f", "FORK", 6_000, 6_000, json!({"seq": 6, "inputData": {"forkedTasks": ["made"]}})),
        done("made", "copy", 6_000, 7_000, json!({"seq": 7})),
        done("j", "JOIN", 6_000, 0, json!({"status": "IN_PROGRESS", "seq": 8})),
        done("odd", "odd", 6_000, 0, json!({"status": "NEW_STATE", "seq": 9})),
    ]);
    let workflow = json!({"workflowName": "w", "workflowVersion": 1, "status": "RUNNING", "startTime": 1_000,
        "updateTime": 9_000, "tasks": tasks, "workflowDefinition": definition});
    serde_json::from_str(&workflow.to_string()).unwrap()
}

#[test]
fn an_execution_shows_states_in_words_and_colours() {
    let mermaid = execution().diagram().mermaid();
    for part in [
        "n1[\"pay<br/>pay<br/>✓ COMPLETED 3.0 s, 2 attempts\"]:::done\n",
        "n2[\"r<br/>r<br/>✓ COMPLETED 2.0 s, 2 rounds\"]:::done\n",
        "n3{\"l<br/>DO_WHILE<br/>✓ COMPLETED 2.0 s, 2 rounds\"}:::done\n",
        "n5[\"made<br/>copy<br/>✓ COMPLETED 1.0 s\"]:::done\n",
        "n6{{\"j<br/>JOIN<br/>▶ IN_PROGRESS since +5.0 s\"}}:::running\n",
        "n7[\"last<br/>last<br/>not yet\"]:::idle\n",
        "n8([\"▶ RUNNING\"]):::running\n",
        "subgraph g1[\"not in the definition\"]\n        n9[\"odd<br/>odd<br/>? NEW_STATE since +5.0 s\"]:::doubtful\n",
        "classDef done fill:#d1e7dd,stroke:#198754,color:#000\n",
    ] {
        assert!(mermaid.contains(part), "{part} is not in\n{mermaid}");
    }
    check(&execution().diagram().mermaid(), &execution().diagram().dot());
}

#[test]
fn a_timeline_has_a_line_for_each_attempt() {
    let expected = "\
w version 1  RUNNING  8.0 s so far
reference  type      status         start   took
pay        pay       ✗ FAILED       +0 ms   1.0 s  ████
pay try 2  pay       ✓ COMPLETED    +2.0 s  1.0 s          ████
l          DO_WHILE  ✓ COMPLETED    +3.0 s  2.0 s              ████████
r round 1  r         ✓ COMPLETED    +3.0 s  1.0 s              ████
r round 2  r         ✓ COMPLETED    +4.0 s  1.0 s                  ████
f          FORK      ✓ COMPLETED    +5.0 s  0 ms                       █
made       copy      ✓ COMPLETED    +5.0 s  1.0 s                      ████
j          JOIN      ▶ IN_PROGRESS  +5.0 s  –                          ████████████
odd        odd       ? NEW_STATE    +5.0 s  –                          ████████████
";
    assert_eq!(execution().timeline().width(83).to_string(), expected);
}

#[test]
fn a_timeline_keeps_its_width() {
    for width in [0, 70, 100, 200] {
        let drawn = execution().timeline().width(width).to_string();
        let widest = drawn.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= width.max(61), "{width}: {widest}\n{drawn}");
    }
}

#[test]
fn odd_definitions_and_executions_are_drawn() {
    let mut alone =
        WorkflowDef::new("").task(task("JOIN", "j")).task(task("FORK_JOIN", "f")).task(task("DO_WHILE", "d"));
    alone =
        alone.task(task("SWITCH", "s")).task(task("", "x")).task(task("NEW_KIND", "y")).task(task("SUB_WORKFLOW", "z"));
    alone = alone.task(task("FORK_JOIN_DYNAMIC", "g")).task(task("TERMINATE", "t")).task(WorkflowTask::default());
    for definition in [WorkflowDef::default(), WorkflowDef::new("empty"), alone] {
        check(&definition.diagram().mermaid(), &definition.diagram().dot());
    }
    let odd: Workflow = serde_json::from_str(
        r#"{"startTime": -9223372036854775808, "endTime": 9223372036854775807, "tasks": [{"referenceTaskName": "__1",
        "iteration": 1, "endTime": -5, "startTime": 9223372036854775807, "retryCount": 2147483647}, {"seq": -1}]}"#,
    )
    .unwrap();
    for workflow in [Workflow::default(), odd] {
        check(&workflow.diagram().mermaid(), &workflow.diagram().dot());
        assert!(workflow.timeline().to_string().lines().count() >= 2);
    }
}

#[test]
fn deep_nesting_is_cut_off() {
    let mut inner = WorkflowTask::simple("a", "innermost");
    let mut definition = WorkflowDef::new("sub").task(inner.clone());
    for at in 0..200 {
        let mut around = task("DO_WHILE", &format!("loop{at}"));
        around.loop_over = vec![inner];
        inner = around;
    }
    for _ in 0..100 {
        let mut sub = task("SUB_WORKFLOW", "sub");
        let mut params = SubWorkflowParams::default();
        params.workflow_definition = Some(RawJson::new(&definition).unwrap());
        sub.sub_workflow_param = Some(params);
        definition = WorkflowDef::new("sub").task(sub);
    }
    for drawn in [definition.task(WorkflowTask::default()), WorkflowDef::new("deep").task(inner)] {
        let mermaid = drawn.diagram().mermaid();
        assert!(mermaid.contains("nested too deep to draw"), "{mermaid}");
        check(&mermaid, &drawn.diagram().dot());
    }
}

/// Tasks in any nesting, with hostile names.
fn random(rng: &mut fastrand::Rng, depth: usize) -> Vec<WorkflowTask> {
    let n_tasks = rng.usize(0..4);
    (0..n_tasks).map(|_| random_task(rng, depth)).collect()
}

fn name(rng: &mut fastrand::Rng) -> String {
    match rng.u8(0..10) {
        0 => HOSTILE[rng.usize(..HOSTILE.len())].repeat(rng.usize(1..300)),
        1 => (0..rng.usize(0..80)).map(|_| rng.char(..)).collect(),
        _ => HOSTILE[rng.usize(..HOSTILE.len())].to_owned(),
    }
}

fn random_task(rng: &mut fastrand::Rng, depth: usize) -> WorkflowTask {
    let kinds = ["SIMPLE", "SWITCH", "FORK_JOIN", "JOIN", "DO_WHILE", "SUB_WORKFLOW", "FORK_JOIN_DYNAMIC", "TERMINATE"];
    let kind = if depth > 3 { "SIMPLE".to_owned() } else { kinds[rng.usize(..kinds.len())].to_owned() };
    let mut task = task(&if rng.u8(0..20) == 0 { name(rng) } else { kind.clone() }, &name(rng));
    task.name = name(rng);
    task.expression = Some(name(rng));
    task.loop_condition = Some(name(rng));
    task.join_on = vec![name(rng)];
    match kind.as_str() {
        "SWITCH" => {
            task.decision_cases = (0..rng.usize(0..3)).map(|_| (name(rng), random(rng, depth + 1))).collect();
            task.default_case = random(rng, depth + 1);
        }
        "FORK_JOIN" => task.fork_tasks = (0..rng.usize(0..3)).map(|_| random(rng, depth + 1)).collect(),
        "DO_WHILE" => task.loop_over = random(rng, depth + 1),
        "SUB_WORKFLOW" => {
            let mut inner = WorkflowDef::new(name(rng));
            inner.tasks = random(rng, depth + 1);
            let mut params = SubWorkflowParams::default();
            params.name = Some(name(rng));
            params.workflow_definition = Some(RawJson::new(&inner).unwrap());
            task.sub_workflow_param = Some(params);
        }
        _ => {}
    }
    task
}

#[test]
fn any_definition_gives_a_valid_picture() {
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut definition = WorkflowDef::new(name(&mut rng));
        definition.tasks = random(&mut rng, 0);
        check(&definition.diagram().mermaid(), &definition.diagram().dot());
        let mut workflow = execution();
        workflow.workflow_name = name(&mut rng);
        for task in &mut workflow.tasks {
            task.reference_task_name = name(&mut rng);
            task.iteration = rng.i32(-1..3);
        }
        workflow.workflow_definition = rng.bool().then(|| Box::new(definition));
        check(&workflow.diagram().mermaid(), &workflow.diagram().dot());
        let timeline = workflow.timeline().to_string();
        assert_eq!(timeline.lines().count(), workflow.tasks.len() + 2, "{timeline}");
        assert!(!timeline.contains('\u{1b}'), "{timeline}");
    }
}

/// Where the program is installed, as it is where all checks of this package run.
#[test]
fn graphviz_reads_every_picture() {
    if Command::new("dot").arg("-V").output().is_err() {
        return;
    }
    let mut text = String::new();
    for seed in 0..200 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut definition = WorkflowDef::new(name(&mut rng));
        definition.tasks = random(&mut rng, 0);
        let mut workflow = execution();
        workflow.tasks.iter_mut().for_each(|task| task.reference_task_name = name(&mut rng));
        text.push_str(&workflow.diagram().dot());
        workflow.workflow_definition = None;
        text.push_str(&workflow.diagram().dot());
        text.push_str(&definition.diagram().dot());
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures.dot");
    fs::write(&file, &text).unwrap();
    let drawn = Command::new("dot").arg("-Tplain").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&drawn.stderr);
    assert!(drawn.status.success(), "{}: {said}", file.display());
    let plain = String::from_utf8(drawn.stdout).unwrap();
    let n_of = |what: &str| plain.lines().filter(|line| line.starts_with(what)).count();
    assert_eq!(n_of("graph "), 600);
    assert_eq!(n_of("node "), text.lines().filter(|line| line.contains(", shape=")).count());
    let is_edge =
        |line: &&str| line.trim_start().starts_with('n') && line.contains(" -> n") && !line.contains("shape=");
    assert_eq!(n_of("edge "), text.lines().filter(is_edge).count());
}

/// What holds for every picture: each node is declared once, edges name declared nodes, groups are closed, and nothing in
/// a label ends it.
fn check(mermaid: &str, dot: &str) {
    let mut lines = mermaid.lines();
    assert_eq!(lines.next(), Some("flowchart TD"));
    let mut nodes = HashSet::new();
    let (mut depth, mut n_edges) = (0_usize, 0);
    for line in lines.map(str::trim_start) {
        let quotes = line.matches('"').count();
        assert!(matches!(quotes, 0 | 2), "{line}");
        let label = line.split('"').nth(1).unwrap_or("x");
        assert!(!label.trim().is_empty() && !label.contains(['`', '\\', '%', ']', '|']), "{line}");
        assert!(label.replace("<br/>", "").chars().all(|c| !c.is_control() && c != '<' && c != '>'), "{line}");
        let id = |text: &str| text.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned();
        match line {
            "end" => depth = depth.checked_sub(1).unwrap(),
            _ if line.starts_with("subgraph g") => depth += 1,
            _ if line.starts_with("classDef ") => {}
            _ if line.contains(" --> ") || line.contains("-->|\"") || line.contains(" -.->") => {
                let to = line.rsplit(' ').next().unwrap().to_owned();
                assert!(nodes.contains(&id(line)) && nodes.contains(&to), "{line}\n{mermaid}");
                n_edges += 1;
            }
            _ => assert!(nodes.insert(id(line)), "{line} is declared twice"),
        }
    }
    assert_eq!(depth, 0, "{mermaid}");
    let is_edge =
        |line: &&str| line.contains(" -> n") && line.trim_start().starts_with('n') && !line.contains("shape=");
    assert_eq!(dot.lines().filter(is_edge).count(), n_edges, "{dot}");
    assert_eq!(dot.lines().filter(|line| line.contains(", shape=")).count(), nodes.len(), "{dot}");
    let opened = dot.lines().filter(|line| line.ends_with(" {")).count();
    assert_eq!(opened, dot.lines().filter(|line| line.trim() == "}").count(), "{dot}");
    for line in dot.lines() {
        let bare = line.replace("\\\\", "").replace("\\\"", "");
        assert!(bare.matches('"').count() % 2 == 0, "{line}");
    }
}
