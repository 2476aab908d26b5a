//! The DOT writer. Labels are quoted; backslashes and quotes are escaped, and ampersands too, since Graphviz reads HTML
//! entities in any label.

use std::fmt::Write as _;

use super::{
    graph::{Edge, Graph, Item, Line, Node, Shape, Tone},
    text,
};

pub(super) fn write(graph: &Graph, name: &str) -> String {
    let mut out = String::new();
    push(&mut out, format_args!("digraph \"{}\" {{\n", escape(&text::line(name))));
    out.push_str("    charset=\"UTF-8\";\n");
    out.push_str("    node [fontname=\"Helvetica\", style=\"filled\", fillcolor=\"#ffffff\"];\n");
    out.push_str("    edge [fontname=\"Helvetica\"];\n");
    let mut n_groups = 0;
    write_items(graph, &graph.items, 1, &mut n_groups, &mut out);
    for edge in &graph.edges {
        write_edge(edge, &mut out);
    }
    out.push_str("}\n");
    out
}

/// Writing into a `String` never fails.
fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).unwrap_or_default();
}

fn write_items(graph: &Graph, items: &[Item], depth: usize, n_groups: &mut usize, out: &mut String) {
    let indent = "    ".repeat(depth);
    for item in items {
        match item {
            Item::Node(id) => write_node(*id, &graph.nodes[*id], &indent, out),
            Item::Group { title, items } => {
                push(out, format_args!("{indent}subgraph cluster_{n_groups} {{\n"));
                push(out, format_args!("{indent}    label=\"{}\";\n", escape(title)));
                push(out, format_args!("{indent}    fontname=\"Helvetica\";\n"));
                *n_groups += 1;
                write_items(graph, items, depth + 1, n_groups, out);
                push(out, format_args!("{indent}}}\n"));
            }
        }
    }
}

fn write_node(id: usize, node: &Node, indent: &str, out: &mut String) {
    let label = node.lines.iter().map(|line| escape(line)).collect::<Vec<_>>().join("\\n");
    let (shape, rounded) = match node.shape {
        Shape::Step => ("box", ",rounded"),
        Shape::Terminal => ("oval", ""),
        Shape::Choice => ("diamond", ""),
        Shape::Fork => ("hexagon", ""),
        Shape::Sub => ("component", ""),
        Shape::Various => ("box3d", ""),
    };
    let tone = match node.tone {
        Tone::Plain if rounded.is_empty() => String::new(),
        tone => {
            let (fill, border) = tone.colours();
            let dashed = if tone == Tone::Idle { ",dashed" } else { "" };
            format!(", style=\"filled{rounded}{dashed}\", fillcolor=\"{fill}\", color=\"{border}\"")
        }
    };
    push(out, format_args!("{indent}n{id} [label=\"{label}\", shape={shape}{tone}];\n"));
}

fn write_edge(edge: &Edge, out: &mut String) {
    let label = edge.label.as_ref().map(|label| format!("label=\"{}\"", escape(label)));
    let style = match edge.line {
        Line::Solid => None,
        Line::Dashed => Some("style=dashed".to_owned()),
        Line::Back => Some("style=dashed, constraint=false".to_owned()),
    };
    let attributes: Vec<String> = label.into_iter().chain(style).collect();
    match attributes.is_empty() {
        true => push(out, format_args!("    n{} -> n{};\n", edge.from, edge.to)),
        false => push(out, format_args!("    n{} -> n{} [{}];\n", edge.from, edge.to, attributes.join(", "))),
    }
}

fn escape(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '&' => out.push_str("&amp;"),
            c => out.push(c),
        }
    }
    if out.trim().is_empty() { "(empty)".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn what_means_something_is_escaped() {
        for (text, expected) in
            [("", "(empty)"), ("a \"b\" ]", "a \\\"b\\\" ]"), ("\\N\\", "\\\\N\\\\"), ("&lt;", "&amp;lt;")]
        {
            assert_eq!(escape(text), expected, "{text}");
        }
    }
}
