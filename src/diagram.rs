//! Pictures of workflows: a definition, or an execution with the state of each task, as a Mermaid or DOT diagram, and an
//! execution as a timeline for terminals. Pure functions of the wire types: nothing is fetched, and any definition gives a
//! picture, however odd it is.
//!
//! One model (nodes, edges, groups) is built by `graph`, with what `run` knows of an execution; `pen` walks it and writes
//! it in the languages of `mermaid` and `dot`. The timeline stands for itself.

mod dot;
mod graph;
mod mermaid;
mod pen;
mod run;
mod text;
mod timeline;

use crate::{metadata::WorkflowDef, workflow::Workflow};

use dot::Dot;
use graph::Graph;
use mermaid::Mermaid;
pub use timeline::Timeline;

/// A picture of a workflow, from [`WorkflowDef::diagram`] or [`Workflow::diagram`].
///
/// Nodes have ids of their own (`n0`, `n1`, …), so that names may hold anything; long names and expressions are cut in the
/// middle. Branches of a SWITCH carry their case; a loop is a group whose last node, the DO_WHILE itself, has a dashed edge
/// back to the first; a sub-workflow that is given inline is a group too, one that is named is a single node. What is
/// nested deeper than 24 levels is left out with a note.
#[derive(Clone, Debug)]
pub struct Diagram {
    graph: Graph,
    name: String,
}

impl Diagram {
    /// The picture in the language of [Mermaid](https://mermaid.js.org), which GitHub, GitLab and many editors show.
    ///
    /// A viewer may refuse a text beyond 50,000 characters or 500 edges: raise its `maxTextSize` and `maxEdges`, or take
    /// [`Diagram::dot`].
    ///
    /// ```
    /// use conductor_sync::{WorkflowDef, WorkflowTask};
    /// let def = WorkflowDef::new("hello").task(WorkflowTask::simple("greet", "greet_ref"));
    /// assert!(def.diagram().mermaid().starts_with(
    /// r#"flowchart TD
    ///     n0(["hello<br/>version 1"])
    ///     n1["greet_ref<br/>greet"]
    ///     n2(["end"])
    ///     n0 --> n1
    ///     n1 --> n2
    /// "#));
    /// ```
    pub fn mermaid(&self) -> String {
        pen::draw(&self.graph, &Mermaid)
    }

    /// The picture in the language of [Graphviz](https://graphviz.org): `dot -Tsvg workflow.dot > workflow.svg`.
    ///
    /// ```
    /// use conductor_sync::{WorkflowDef, WorkflowTask};
    /// let def = WorkflowDef::new("hello").task(WorkflowTask::simple("greet", "greet_ref"));
    /// let dot = def.diagram().dot();
    /// assert!(dot.starts_with("digraph \"hello\" {\n"));
    /// assert!(dot.contains("    n0 -> n1;\n"));
    /// ```
    pub fn dot(&self) -> String {
        pen::draw(&self.graph, &Dot { name: &self.name })
    }
}

impl WorkflowDef {
    /// A picture of the definition.
    ///
    /// A loop and a switch come out as
    ///
    /// ```text
    /// flowchart TD
    ///     n0(["order<br/>version 1"])
    ///     subgraph g0["loop pay_loop"]
    ///         n1["pay<br/>pay_card"]
    ///         n2{"pay_loop<br/>DO_WHILE<br/>$.pay#91;'paid'#93; == false"}
    ///     end
    ///     n3{"how<br/>SWITCH<br/>way"}
    ///     n4["post<br/>post_parcel"]
    ///     n5(["end"])
    ///     n0 --> n1
    ///     n1 --> n2
    ///     n2 -.->|"again"| n1
    ///     n2 --> n3
    ///     n3 -->|"parcel"| n4
    ///     n4 --> n5
    ///     n3 -->|"default"| n5
    /// ```
    ///
    /// where `n0(["…"])` is the start, `n3{"…"}` a choice, and `n2 -.-> n1` the way back.
    pub fn diagram(&self) -> Diagram {
        Diagram { graph: graph::of_definition(self), name: self.name.clone() }
    }
}

impl Workflow {
    /// The picture of its definition with the state, the duration and the number of attempts and rounds on each node, in
    /// words and in colour; tasks without an execution are dashed.
    ///
    /// Tasks that a dynamic fork made are drawn between it and its join, at most 30 of them. Without the definition (some
    /// calls leave it out) the tasks are drawn in order. The inside of a sub-workflow is another execution, whose state is
    /// not known here; its id is on the node.
    ///
    /// ```text
    ///     n1["pay<br/>pay_card<br/>✓ COMPLETED 3.2 s, 2 attempts"]:::done
    ///     n2["post<br/>post_parcel<br/>▶ IN_PROGRESS since +3.3 s"]:::running
    ///     n3["thank<br/>send_mail<br/>not yet"]:::idle
    /// ```
    pub fn diagram(&self) -> Diagram {
        Diagram { graph: graph::of_execution(self), name: self.workflow_name.clone() }
    }

    /// The attempts of its tasks as lines of text with bars. Show it with `{}`.
    ///
    /// ```text
    /// order version 1  COMPLETED  4.0 s
    /// reference  type         status       start   took
    /// pay        pay_card     ✗ FAILED     +0 ms   1.1 s   █████████████
    /// pay try 2  pay_card     ✓ COMPLETED  +2.2 s  900 ms               ░░░░░░░░░░░░░███████████
    /// post       post_parcel  ✓ COMPLETED  +3.1 s  850 ms                                       ██████████
    /// ```
    ///
    /// `█` is the time in work, `░` the time in the queue.
    pub fn timeline(&self) -> Timeline<'_> {
        Timeline::new(self)
    }
}
