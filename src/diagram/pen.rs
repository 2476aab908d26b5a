//! The walk over a picture, from its nodes in their groups to its edges. What each of them looks like is up to the pen, one
//! for each language.

use std::fmt;

use super::graph::{Edge, Graph, Item, Node};

/// A language of pictures.
pub(super) trait Pen {
    /// Opens the picture.
    fn head(&self, page: &mut Page);
    fn node(&self, id: usize, node: &Node, page: &mut Page);
    /// Opens a group; `number` counts them from 0.
    fn open_group(&self, number: usize, title: &str, page: &mut Page);
    fn close_group(&self, page: &mut Page);
    fn edge(&self, edge: &Edge, page: &mut Page);
    /// What stands behind all edges.
    fn foot(&self, graph: &Graph, page: &mut Page);
}

pub(super) fn draw(graph: &Graph, pen: &impl Pen) -> String {
    let mut page = Page::default();
    pen.head(&mut page);
    items(graph, &graph.items, &mut 0, pen, &mut page);
    for edge in &graph.edges {
        pen.edge(edge, &mut page);
    }
    pen.foot(graph, &mut page);
    page.text
}

fn items(graph: &Graph, list: &[Item], n_groups: &mut usize, pen: &impl Pen, page: &mut Page) {
    for item in list {
        match item {
            Item::Node(id) => pen.node(*id, &graph.nodes[*id], page),
            Item::Group { title, items: inner } => {
                pen.open_group(*n_groups, title, page);
                *n_groups += 1;
                items(graph, inner, n_groups, pen, page);
                pen.close_group(page);
            }
        }
    }
}

/// Lines of text, indented by what is open.
#[derive(Default)]
pub(super) struct Page {
    text: String,
    depth: usize,
}

impl Page {
    pub(super) fn line(&mut self, text: impl fmt::Display) {
        self.text.push_str(&"    ".repeat(self.depth));
        self.text.push_str(&text.to_string());
        self.text.push('\n');
    }

    pub(super) fn open(&mut self, text: impl fmt::Display) {
        self.line(text);
        self.depth += 1;
    }

    pub(super) fn close(&mut self, text: impl fmt::Display) {
        self.depth = self.depth.saturating_sub(1);
        self.line(text);
    }
}
