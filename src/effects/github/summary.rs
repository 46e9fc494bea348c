//! The summary of a restore as a comment on its pull request.

use serde::Deserialize;
use serde_json::json;

use super::{Github, body, explain};

#[derive(Deserialize)]
struct Comment {
    body: Option<String>,
}

impl Github {
    /// Comments on a pull request, once: a comment that carries the marker of `uid`
    /// is found again.
    pub async fn summarize(&self, number: u64, uid: &str, lines: &[String]) -> anyhow::Result<()> {
        let marker = format!("<!-- refloat {uid} summary -->");
        let comments: Vec<Comment> = self
            .read(&format!("issues/{number}/comments?per_page=100"))
            .await?
            .unwrap_or_default();
        let said = comments
            .iter()
            .any(|comment| comment.body.as_deref().is_some_and(|body| body.contains(&marker)));
        if said {
            return Ok(());
        }
        let lines: Vec<String> = lines.iter().map(|line| body::harmless(line)).collect();
        let posted: Result<serde_json::Value, _> = self
            .client
            .post(
                self.route(&format!("issues/{number}/comments")),
                Some(&json!({ "body": format!("{}\n\n{marker}", lines.join("\n")) })),
            )
            .await;
        posted
            .map(|_| ())
            .map_err(|error| explain(error, "comment on the pull request"))
    }
}
