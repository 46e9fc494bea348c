//! The server, asked by the client that the product uses, and each request and
//! answer held against the published description where that is at hand.

mod contract;
mod models;
mod rules;
mod transport;

use std::path::{Path, PathBuf};
use std::sync::{LazyLock, OnceLock};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use octocrab::Octocrab;
use octocrab::service::middleware::retry::RetryConfig;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Options, Permission, Server, SpecChecker};

const OWNER: &str = "platform";
const REPO: &str = "orders";
const FILE: &str = "wave-1/poseidon-tenant.yaml";

static SPEC: LazyLock<Option<SpecChecker>> = LazyLock::new(|| {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/specs");
    let dir = std::env::var_os("REFLOAT_SPECS").map_or(beside, PathBuf::from);
    let spec = SpecChecker::load(&dir).expect("the description can be read");
    if spec.is_none() {
        eprintln!(
            "answers are not held against GitHub's description: it is not there (set REFLOAT_SPECS)"
        );
    }
    spec
});

/// An answer: status, headers, body.
struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    fn said(&self) -> String {
        self.json()["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

struct World {
    server: Server,
    dir: TempDir,
    client: OnceLock<Octocrab>,
}

impl World {
    /// The orders repository with a bot, a reviewer and a reader.
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(adjust: impl FnOnce(&mut Options)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options = Options::new(dir.path().join("git"));
        adjust(&mut options);
        let server = Server::start(options).await.unwrap();
        server.create_repository(OWNER, REPO).await.unwrap();
        server.add_bot("refloat[bot]", "bot-token").unwrap();
        for (login, permission) in [
            ("refloat[bot]", Permission::Write),
            ("rita", Permission::Write),
            ("rune", Permission::Write),
            ("reader", Permission::Read),
        ] {
            if login != "refloat[bot]" {
                server.add_user(login, &format!("{login}-token")).unwrap();
            }
            server
                .set_permission(OWNER, REPO, login, permission)
                .await
                .unwrap();
        }
        server.add_user("stranger", "stranger-token").unwrap();
        server
            .add_team(OWNER, "restorers", &["rita", "rune"])
            .unwrap();
        let files: [(&str, Option<&[u8]>); 2] = [
            (FILE, Some(b"appname: poseidon\n")),
            ("README.md", Some(b"Orders\n")),
        ];
        server
            .commit_files(OWNER, REPO, "main", "Begin", "rita", &files)
            .await
            .unwrap();
        Self {
            server,
            dir,
            client: OnceLock::new(),
        }
    }

    /// The client, which reads the system's certificates when it is built: once.
    fn crab(&self, token: &str) -> Octocrab {
        let client = self.client.get_or_init(|| self.build());
        client.user_access_token(token.to_owned()).unwrap()
    }

    fn build(&self) -> Octocrab {
        Octocrab::builder()
            .base_uri(self.server.api_url())
            .unwrap()
            .add_retry_config(RetryConfig::None)
            .build()
            .unwrap()
    }

    /// A client that signs absolute addresses too, such as links to other pages.
    fn signed(&self, token: &str) -> Octocrab {
        Octocrab::builder()
            .base_uri(self.server.api_url())
            .unwrap()
            .personal_token(token.to_owned())
            .build()
            .unwrap()
    }

    async fn tip(&self, branch: &str) -> String {
        self.server
            .resolve(OWNER, REPO, branch)
            .await
            .unwrap()
            .unwrap()
    }

    /// A branch with one changed file.
    async fn branch(&self, name: &str, content: &str) -> String {
        let files = [(FILE, Some(content.as_bytes()))];
        self.server
            .commit_files(OWNER, REPO, name, "Change", "refloat[bot]", &files)
            .await
            .unwrap()
    }

    /// A branch, and a pull request from it by the bot; gives its number.
    async fn pull(&self, name: &str) -> u64 {
        self.branch(name, &format!("appname: {name}\n")).await;
        let body = json!({"title": format!("Change {name}"), "head": name, "base": "main", "body": "Because."});
        let made = self.bot("POST", "pulls", body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        made.json()["number"].as_u64().unwrap()
    }

    /// The bot asks about the repository.
    async fn bot(&self, method: &str, path: &str, body: Value) -> Answer {
        self.ask(
            "bot-token",
            method,
            &format!("/repos/{OWNER}/{REPO}/{path}"),
            body,
            &[],
        )
        .await
    }

    /// Asks, and holds question and answer against the description.
    async fn ask(
        &self,
        token: &str,
        method: &str,
        target: &str,
        body: Value,
        headers: &[(&str, &str)],
    ) -> Answer {
        let crab = self.crab(token);
        // Relative: the client signs nothing else.
        let uri = target;
        let sent = (!body.is_null()).then_some(&body);
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (
                    name.parse::<HeaderName>().unwrap(),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect();
        let response = match method {
            "GET" => crab._get_with_headers(uri, Some(headers)).await,
            "POST" => crab._post(uri, sent).await,
            "PUT" => crab._put(uri, sent).await,
            "PATCH" => crab._patch(uri, sent).await,
            "DELETE" => crab._delete(uri, sent).await,
            other => panic!("{other}"),
        }
        .unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = crab.body_to_string(response).await.unwrap();
        if let Some(spec) = SPEC.as_ref() {
            let body = sent.map(ToString::to_string).unwrap_or_default();
            if status < 400 {
                let checked = spec.check_request(method, target, body.as_bytes());
                assert_eq!(checked, Ok(()), "request");
            }
            let json = !headers
                .get("content-type")
                .is_some_and(|kind| kind.to_str().unwrap().contains("raw"));
            if json {
                let checked = spec.check_response(method, target, status, text.as_bytes());
                assert_eq!(checked, Ok(()), "{text}");
            }
        }
        Answer {
            status,
            headers,
            text,
        }
    }
}
