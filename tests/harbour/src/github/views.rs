//! Pull requests as tests look at them.

use super::hub::Scope;
use super::state::{Pull, PullState, ReviewState};

/// What became of a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullStatus {
    Open,
    Closed,
    /// With the commit that its base then pointed at, and who merged it.
    Merged {
        commit: String,
        by: String,
    },
}

/// A review, for assertions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewView {
    pub login: String,
    pub state: ReviewState,
    pub commit_id: String,
    pub body: String,
}

/// A comment, for assertions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommentView {
    pub login: String,
    pub body: String,
}

/// A pull request, for assertions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullView {
    pub number: u64,
    pub title: String,
    pub body: String,
    pub author: String,
    pub draft: bool,
    pub head: String,
    pub base: String,
    pub head_sha: String,
    pub base_sha: String,
    pub status: PullStatus,
    pub reviews: Vec<ReviewView>,
    pub comments: Vec<CommentView>,
    pub labels: Vec<String>,
    /// Why the branch's protection does not let it be merged yet, as GitHub words it.
    pub blocked_by: Vec<String>,
}

/// A pull request as it is now.
pub(super) fn view(at: &Scope<'_>, pull: &Pull, blocked_by: Vec<String>) -> PullView {
    PullView {
        number: pull.number,
        title: pull.title.clone(),
        body: pull.body.clone().unwrap_or_default(),
        author: pull.author.clone(),
        draft: pull.draft,
        head: pull.head.clone(),
        base: pull.base.clone(),
        head_sha: pull.head_sha.clone(),
        base_sha: pull.base_sha.clone(),
        status: match &pull.state {
            PullState::Open => PullStatus::Open,
            PullState::Closed { .. } => PullStatus::Closed,
            PullState::Merged { commit, by, .. } => PullStatus::Merged {
                commit: commit.clone(),
                by: by.clone(),
            },
        },
        reviews: pull
            .reviews
            .iter()
            .map(|review| ReviewView {
                login: review.user.clone(),
                state: review.state,
                commit_id: review.commit.clone(),
                body: review.body.clone(),
            })
            .collect(),
        comments: at
            .state
            .comments
            .iter()
            .filter(|comment| comment.issue == pull.number)
            .map(|comment| CommentView {
                login: comment.user.clone(),
                body: comment.body.clone(),
            })
            .collect(),
        labels: pull.labels.clone(),
        blocked_by,
    }
}
