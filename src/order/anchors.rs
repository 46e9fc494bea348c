//! Aliases and merges: which node is meant, and which value a key has through them.

use std::collections::HashMap;

use super::tree::{Entry, Kind, Node, Style};

/// How many aliases and merges are followed for one key.
const HOPS: usize = 16;

/// The nodes that carry an anchor, by number.
pub(super) struct Anchors<'s>(HashMap<usize, &'s Node>);

impl<'s> Anchors<'s> {
    pub(super) fn of(document: &'s Node) -> Self {
        let mut anchors = HashMap::new();
        let mut left = vec![document];
        while let Some(node) = left.pop() {
            if node.anchor != 0 {
                anchors.insert(node.anchor, node);
            }
            match &node.kind {
                Kind::Mapping { entries, .. } => {
                    for entry in entries {
                        left.extend([&entry.key, &entry.value]);
                    }
                }
                Kind::Sequence { items, .. } => left.extend(items),
                Kind::Scalar { .. } | Kind::Alias(_) => {}
            }
        }
        Self(anchors)
    }

    /// The node that is meant: an alias is followed.
    pub(super) fn resolve(&self, mut node: &'s Node) -> &'s Node {
        for _ in 0..HOPS {
            let Kind::Alias(target) = node.kind else {
                break;
            };
            let Some(next) = self.0.get(&target) else {
                break;
            };
            node = next;
        }
        node
    }

    /// The value of a key, also when a merge brings it.
    pub(super) fn get(&self, mapping: &'s Node, name: &str, hops: usize) -> Option<&'s Entry> {
        let Kind::Mapping { entries, .. } = &self.resolve(mapping).kind else {
            return None;
        };
        if let Some(entry) = entries.iter().find(|entry| entry.name() == Some(name)) {
            return Some(entry);
        }
        if hops == 0 {
            return None;
        }
        let merges = entries.iter().filter(|entry| is_merge(entry));
        for merge in merges {
            let source = self.resolve(&merge.value);
            let found = match &source.kind {
                Kind::Sequence { items, .. } => items
                    .iter()
                    .take(HOPS)
                    .find_map(|item| self.get(item, name, hops - 1)),
                _ => self.get(source, name, hops - 1),
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

/// Is this `<<: ...`?
pub(super) fn is_merge(entry: &Entry) -> bool {
    matches!(entry.key.scalar(), Some(("<<", Style::Plain)))
}
