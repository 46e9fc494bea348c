//! Scalars as an edit writes them.

use super::tree::{Kind, Node, Style};

/// How a scalar is written; anything else as plain.
pub(super) fn style(node: &Node) -> Style {
    node.scalar().map_or(Style::Plain, |(_, style)| style)
}

/// What a written word must read as.
pub(super) fn value(text: &str, word: &str) -> Node {
    let style = if word.starts_with(['"', '\'']) {
        Style::Double
    } else {
        Style::Plain
    };
    Node::intended(Kind::Scalar {
        text: text.to_owned(),
        style,
    })
}

/// A text as YAML, in the quotes that stood there; without any only where it is `plain`.
pub(super) fn quoted(text: &str, like: Style, plain: bool) -> String {
    match like {
        Style::Single => format!("'{}'", text.replace('\'', "''")),
        Style::Plain if plain => text.to_owned(),
        Style::Plain | Style::Double | Style::Literal | Style::Folded => {
            format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
        }
    }
}
