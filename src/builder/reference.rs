//! References to what is known only at run time: a value that is written as `${…}` and taken from where it points to when
//! the task is scheduled.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::{builder::Node, json::RawJson};

/// A value that the server looks up when a task is scheduled, written as `${…}`.
///
/// It goes wherever a value goes: as an input, inside [`serde_json::json!`], or inside a longer text through `format!`.
/// What is not there when the task is scheduled becomes null.
///
/// ```
/// use conductor_sync::{RawJson, task_reference, workflow_input};
/// let name = workflow_input("customer").field("name");
/// assert_eq!(name.to_string(), "${workflow.input.customer.name}");
/// assert_eq!(format!("Dear {name}"), "Dear ${workflow.input.customer.name}");
/// let first = task_reference("list").output("lines").index(0);
/// assert_eq!(RawJson::from(first).get(), r#""${list.output.lines[0]}""#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    path: String,
}

impl Reference {
    fn new(root: &str, part: &str) -> Self {
        Self { path: format!("{root}.{part}") }
    }

    fn below(root: &str, part: &str, path: &str) -> Self {
        let whole = Self::new(root, part);
        if path.is_empty() { whole } else { whole.field(path) }
    }

    /// A value inside this one: a name, or a path of names with dots (`address.city`). `[0]` and `[*]` may follow a name. A
    /// text with characters other than letters, digits, `_`, `-` and these is one name, dots and all. No name with a brace
    /// can be referred to.
    #[must_use]
    pub fn field(mut self, name: &str) -> Self {
        let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']' | '*');
        match name.chars().all(is_plain) {
            true => self.path.extend([".", name]),
            false => self.path.extend(["['", &name.replace('\\', "\\\\").replace('\'', "\\'"), "']"]),
        }
        self
    }

    /// The value at a place of this list, from 0.
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        self.path.push_str(&format!("[{index}]"));
        self
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${{{}}}", self.path)
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl From<Reference> for RawJson {
    fn from(reference: Reference) -> Self {
        Self::from(reference.to_string())
    }
}

impl From<&Reference> for RawJson {
    fn from(reference: &Reference) -> Self {
        Self::from(reference.to_string())
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

impl From<Reference> for Value {
    fn from(reference: Reference) -> Self {
        Self::from(reference.to_string())
    }
}

/// A task as others refer to it. From [`Node::reference`](crate::Node::reference) or [`task_reference`]; a `&Node` or a
/// reference name does as well where one is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TaskReference {
    name: String,
}

impl TaskReference {
    /// A value of its output: a name, or a path of names with dots. The whole output when empty.
    pub fn output(&self, path: &str) -> Reference {
        Reference::below(&self.name, "output", path)
    }

    /// A value of its input: a name, or a path of names with dots. The whole input when empty.
    pub fn input(&self, path: &str) -> Reference {
        Reference::below(&self.name, "input", path)
    }

    /// Something else of the task: `status`, `taskId`, `retryCount`, `startTime`, `reasonForIncompletion`, `iteration` …
    pub fn field(&self, name: &str) -> Reference {
        Reference::new(&self.name, name)
    }
}

impl From<&str> for TaskReference {
    fn from(name: &str) -> Self {
        task_reference(name)
    }
}

impl From<String> for TaskReference {
    fn from(name: String) -> Self {
        task_reference(name)
    }
}

impl From<&String> for TaskReference {
    fn from(name: &String) -> Self {
        task_reference(name)
    }
}

impl From<&Self> for TaskReference {
    fn from(reference: &Self) -> Self {
        reference.clone()
    }
}

impl From<&Node> for TaskReference {
    fn from(node: &Node) -> Self {
        node.reference()
    }
}

impl From<TaskReference> for String {
    /// The reference name.
    fn from(reference: TaskReference) -> Self {
        reference.name
    }
}

/// The task with this reference name, for instance a loop inside its own body.
pub fn task_reference(name: impl Into<String>) -> TaskReference {
    TaskReference { name: name.into() }
}

/// A value of the workflow's input: a name, or a path of names with dots. The whole input when empty.
pub fn workflow_input(path: &str) -> Reference {
    Reference::below("workflow", "input", path)
}

/// A variable of the workflow, as it is when the task is scheduled: see [`Node::set_variable`](crate::Node::set_variable).
pub fn workflow_variable(path: &str) -> Reference {
    Reference::below("workflow", "variables", path)
}

/// Something else of the workflow: `workflowId`, `correlationId`, `workflowType` (its name), `version`, `status` …
pub fn workflow_field(name: &str) -> Reference {
    Reference::new("workflow", name)
}

/// A secret of the server; it is looked up when the task is handed out, and is not stored with the workflow.
pub fn workflow_secret(name: &str) -> Reference {
    Reference::new("workflow.secrets", name)
}

/// An environment value of the server.
pub fn workflow_environment(name: &str) -> Reference {
    Reference::new("workflow.env", name)
}

/// A value of type `T`, or a [`Reference`] to one.
pub trait ValueOf<T>: Into<RawJson> {}

impl ValueOf<String> for &str {}
impl ValueOf<String> for String {}
impl ValueOf<bool> for bool {}
impl ValueOf<i64> for i32 {}
impl ValueOf<i64> for u32 {}
impl ValueOf<i64> for i64 {}
impl ValueOf<f64> for f64 {}
impl ValueOf<f64> for i32 {}
impl ValueOf<Value> for Value {}
impl ValueOf<Value> for RawJson {}
impl<T> ValueOf<T> for Reference {}
impl<T> ValueOf<T> for &Reference {}
