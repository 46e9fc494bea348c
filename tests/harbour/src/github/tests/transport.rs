//! The repositories, read by `git` itself over HTTP.

use std::io::Write as _;
use std::process::Output;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::{FILE, OWNER, REPO, World};
use crate::github::transport::asked;

impl World {
    /// The address of a repository.
    fn clone_url(&self, repo: &str) -> String {
        self.server.clone_url(OWNER, repo)
    }

    /// Runs `git` in a folder of this world, as somebody whom nothing can be asked.
    async fn git(&self, args: &[&str]) -> Output {
        Command::new("git")
            .args(args)
            .current_dir(self.dir.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_NAME", "Ada")
            .env("GIT_AUTHOR_EMAIL", "ada@example.com")
            .env("GIT_COMMITTER_NAME", "Ada")
            .env("GIT_COMMITTER_EMAIL", "ada@example.com")
            .env("LC_ALL", "C")
            .env_remove("GIT_DIR")
            .env_remove("GIT_PROTOCOL")
            .env_remove("http_proxy")
            .output()
            .await
            .unwrap()
    }

    /// The same; fails unless `git` succeeds, and gives what it wrote.
    async fn git_well(&self, args: &[&str]) -> String {
        let Output {
            status,
            stdout,
            stderr,
        } = self.git(args).await;
        let said = String::from_utf8_lossy(&stderr);
        assert!(status.success(), "git {args:?}: {said}");
        String::from_utf8(stdout).unwrap()
    }

    /// Asks as no `git` would, and gives the status and the answer.
    async fn curl(&self, method: &str, target: &str) -> (u16, String) {
        self.send(method, target, "", &[]).await
    }

    /// The same with more headers, a line each, and a body.
    async fn send(&self, method: &str, target: &str, more: &str, body: &[u8]) -> (u16, String) {
        let mut stream = tokio::net::TcpStream::connect(self.server.addr())
            .await
            .unwrap();
        let length = body.len();
        let asked = format!(
            "{method} {target} HTTP/1.1\r\nHost: harbour\r\nConnection: close\r\n{more}Content-Length: {length}\r\n\r\n"
        );
        stream.write_all(asked.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer)
    }
}

/// In each version of the protocol: where the branches are, a clone, and what came since.
#[tokio::test]
async fn git_reads_a_repository() {
    let world = World::new().await;
    let url = world.clone_url(REPO);
    for version in ["0", "1", "2"] {
        let protocol = format!("protocol.version={version}");
        let listed = world.git_well(&["-c", &protocol, "ls-remote", &url]).await;
        let tip = world.tip("main").await;
        assert!(
            listed.contains(&format!("{tip}\trefs/heads/main")),
            "{listed}"
        );

        let copy = format!("copy-{version}");
        world
            .git_well(&["-c", &protocol, "clone", "--quiet", &url, &copy])
            .await;
        let file = world.dir.path().join(&copy).join(FILE);
        let original = world
            .server
            .read_file(OWNER, REPO, "main", FILE)
            .await
            .unwrap();
        assert_eq!(std::fs::read(&file).ok(), original);

        // What comes later is fetched by the id of its commit, as Argo CD does it.
        let content = format!("appname: poseidon\nversion: {version}\n");
        let new = world.branch("main", &content).await;
        let fetch = [
            "-C", &copy, "-c", &protocol, "fetch", "--quiet", "origin", &new,
        ];
        world.git_well(&fetch).await;
        let name = format!("FETCH_HEAD:{FILE}");
        let shown = world.git_well(&["-C", &copy, "show", &name]).await;
        assert_eq!(shown, content);
    }
}

/// A client that has much to say packs it.
#[tokio::test]
async fn what_comes_packed_is_understood() {
    let world = World::new().await;
    let tip = world.tip("main").await;
    let target = format!("/{OWNER}/{REPO}.git/git-upload-pack");
    let wanted = format!("0032want {tip}\n00000009done\n");
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(wanted.as_bytes()).unwrap();
    let packed = packer.finish().unwrap();
    for (coding, body, expected) in [
        ("", wanted.as_bytes(), 200),
        ("Content-Encoding: gzip\r\n", &packed, 200),
        ("Content-Encoding: gzip\r\n", wanted.as_bytes(), 400),
        ("Content-Encoding: br\r\n", &packed, 415),
    ] {
        let (status, said) = world.send("POST", &target, coding, body).await;
        assert_eq!(status, expected, "{coding}: {said}");
        assert_eq!(said.contains("PACK"), expected == 200, "{coding}: {said}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let world = World::new().await;
    // A repository beside the root, which no name may lead to.
    let outside = world.dir.path().join("outside.git");
    world
        .git_well(&["init", "--quiet", "--bare", outside.to_str().unwrap()])
        .await;
    let missing = world.clone_url("missing");
    let refused = world.git(&["clone", "--quiet", &missing, "copy"]).await;
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("not found"), "{said}");
    for path in [
        "/platform/missing.git",
        "/../outside.git",
        "/%2e%2e/outside.git",
        "/platform/..%2f..%2foutside.git",
        "/platform%2f../outside.git",
        "/platform/.git",
        "/-c/orders.git",
        "//orders.git",
    ] {
        let target = format!("{path}/info/refs?service=git-upload-pack");
        let (status, said) = world.curl("GET", &target).await;
        assert_eq!(status, 404, "{path}: {said}");
    }
}

#[tokio::test]
async fn nothing_can_be_pushed() {
    let world = World::new().await;
    let url = world.clone_url(REPO);
    world.git_well(&["clone", "--quiet", &url, "copy"]).await;
    let empty = [
        "-C",
        "copy",
        "commit",
        "--quiet",
        "--allow-empty",
        "-m",
        "Mine",
    ];
    world.git_well(&empty).await;
    let before = world.tip("main").await;
    let refused = world.git(&["-C", "copy", "push", "origin", "main"]).await;
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("403"), "{said}");
    assert_eq!(world.tip("main").await, before);

    let at = format!("/{OWNER}/{REPO}.git");
    for (method, target, expected) in [
        ("POST", format!("{at}/git-receive-pack"), 403),
        (
            "GET",
            format!("{at}/info/refs?service=git-receive-pack"),
            403,
        ),
        ("GET", format!("{at}/info/refs"), 403),
        (
            "DELETE",
            format!("{at}/info/refs?service=git-upload-pack"),
            405,
        ),
        ("GET", format!("{at}/git-upload-pack"), 405),
    ] {
        let (status, said) = world.curl(method, &target).await;
        assert_eq!(status, expected, "{method} {target}: {said}");
    }
}

/// Git's addresses end in `.git`, and the REST API's do not.
#[test]
fn the_two_interfaces_do_not_meet() {
    assert!(asked("/platform/orders.git/info/refs").is_some());
    assert!(asked("/platform/orders.git/git-upload-pack").is_some());
    for rest in [
        "/",
        "/repos/platform/orders",
        "/repos/platform/orders.git",
        "/repos/info/refs",
        "/platform/orders/info/refs",
        "/api/v3/repos/platform/orders.git/info/refs",
    ] {
        assert_eq!(asked(rest), None, "{rest}");
    }
}
