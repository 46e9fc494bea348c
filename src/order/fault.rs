//! What is wrong with an order, and where.

use std::fmt;

/// One thing that is wrong, at a place in the file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// Line in the file, from 1.
    pub line: usize,
    /// Column in that line, in characters, from 1.
    pub column: usize,
    /// The key's path in the file, such as `values.argocd.syncPolicy.selfHeal`; empty for the file itself.
    pub path: String,
    /// What is wrong and what would be right, on one line.
    pub words: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.words)
    }
}

/// Why an order cannot be read, or an edit was refused: one or more faults, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderError {
    /// Never empty.
    faults: Vec<Fault>,
}

impl OrderError {
    /// The faults, at least one, in the order of the file.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    pub(super) fn many(mut faults: Vec<Fault>) -> Self {
        faults.sort_by_key(|fault| (fault.line, fault.column));
        Self { faults }
    }
}

impl From<Fault> for OrderError {
    fn from(fault: Fault) -> Self {
        Self {
            faults: vec![fault],
        }
    }
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for OrderError {}
