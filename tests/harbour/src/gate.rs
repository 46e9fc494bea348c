//! What stands between a client and each server of the harbour: a journal of
//! what was asked, and the faults a test wants.
//!
//! A server hands its router to [`serve`]; every request then passes the
//! [`Gate`], which may let it through, answer in the server's place, cut the
//! connection before the request is carried out, or carry it out and cut the
//! connection before the answer is sent.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Which server of the harbour a request was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Github,
    Kubernetes,
    /// Velero's object storage, where signed download addresses point.
    Storage,
    Discord,
}

/// A request as it arrived, before anything was done about it.
#[derive(Clone, Debug)]
pub struct Call {
    pub service: Service,
    /// What stood behind `Bearer `, `Bot ` or `token ` in the `Authorization` header.
    pub token: Option<String>,
    pub method: Method,
    /// The path and, behind `?`, the query, as sent.
    pub target: String,
    pub body: Bytes,
}

impl Call {
    /// The path without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// True for a request that may change the world.
    pub fn writes(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }
}

/// What becomes of a request.
#[derive(Debug, Default)]
pub enum Fate {
    /// It is carried out and answered.
    #[default]
    Pass,
    /// It is carried out and answered after a pause.
    Late(Duration),
    /// The connection is cut and nothing is done.
    CutBefore,
    /// It is carried out, and the connection is cut before the answer.
    CutAfter,
    /// It is answered with this, and nothing is done.
    Answer(Response<Bytes>),
}

/// A rule that a test puts into the gate; the first that does not say
/// [`Fate::Pass`] decides.
pub type Rule = Box<dyn FnMut(&Call) -> Fate + Send>;

/// A request that passed, and how it was answered (`None`: it was not).
#[derive(Clone, Debug)]
pub struct Entry {
    pub call: Call,
    pub status: Option<u16>,
}

/// The journal and the faults of a harbour, shared by its servers.
#[derive(Clone, Default)]
pub struct Gate {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    rules: Vec<(u64, Rule)>,
    next_rule: u64,
    journal: Option<Vec<Entry>>,
    cuts: usize,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

/// Names a rule, so that it can be taken out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleId(u64);

impl Gate {
    /// A gate that lets everything pass and keeps no journal.
    pub fn open() -> Self {
        Self::default()
    }

    /// From here on, remembers each request and the status it was answered with.
    pub fn keep_journal(&self) {
        self.with(|inner| {
            inner.journal.get_or_insert_default();
        });
    }

    /// The requests since [`Gate::keep_journal`], in the order of their answers.
    pub fn journal(&self) -> Vec<Entry> {
        self.with(|inner| inner.journal.clone().unwrap_or_default())
    }

    /// How many connections were cut so far, counted when all that was to be
    /// carried out had been.
    pub fn cuts(&self) -> usize {
        self.with(|inner| inner.cuts)
    }

    /// The requests since the last time this was asked, and forgets them.
    pub fn take_journal(&self) -> Vec<Entry> {
        self.with(|inner| {
            inner
                .journal
                .as_mut()
                .map(std::mem::take)
                .unwrap_or_default()
        })
    }

    /// Adds a rule; rules are asked in the order in which they were added.
    pub fn add(&self, rule: impl FnMut(&Call) -> Fate + Send + 'static) -> RuleId {
        self.with(|inner| {
            let id = inner.next_rule;
            inner.next_rule += 1;
            inner.rules.push((id, Box::new(rule)));
            RuleId(id)
        })
    }

    /// Takes a rule out; nothing happens if it is not there.
    pub fn remove(&self, id: RuleId) {
        self.with(|inner| inner.rules.retain(|(other, _)| *other != id.0));
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        // A test that panicked inside a rule must not hide its own message
        // behind a second panic here.
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn fate(&self, call: &Call) -> Fate {
        self.with(|inner| {
            for (_, rule) in &mut inner.rules {
                match rule(call) {
                    Fate::Pass => {}
                    fate => return fate,
                }
            }
            Fate::Pass
        })
    }

    fn remember(&self, call: Call, status: Option<u16>) {
        self.with(|inner| {
            inner.cuts += usize::from(status.is_none());
            if let Some(journal) = &mut inner.journal {
                journal.push(Entry { call, status });
            }
        });
    }

    async fn pass(
        &self,
        service: Service,
        router: Router,
        request: Request<Incoming>,
    ) -> io::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let call = Call {
            service,
            token: head
                .headers
                .get(hyper::header::AUTHORIZATION)
                .and_then(|value| value.to_str().ok())
                .and_then(|value| value.split_once(' '))
                .map(|(_, token)| token.to_owned()),
            method: head.method.clone(),
            target: head
                .uri
                .path_and_query()
                .map_or_else(|| head.uri.path().to_owned(), ToString::to_string),
            body: body.clone(),
        };
        let cut = || io::Error::new(io::ErrorKind::ConnectionAborted, "cut by the gate");
        let fate = self.fate(&call);
        let pause = match fate {
            Fate::CutBefore => {
                self.remember(call, None);
                return Err(cut());
            }
            Fate::Answer(answer) => {
                self.remember(call, Some(answer.status().as_u16()));
                return Ok(answer.map(Body::from));
            }
            Fate::Late(pause) => Some(pause),
            Fate::Pass | Fate::CutAfter => None,
        };
        let request = Request::from_parts(head, Body::from(body));
        // A request is carried out to its end even if the client goes away, as
        // a real server would: hence a task of its own.
        // So is one that is late: it is under way, and nobody can call it back.
        let answer = tokio::spawn(async move {
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
            router.oneshot(request).await
        });
        let answer = match answer.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(never)) => match never {},
            Err(panicked) => return Err(io::Error::other(panicked)),
        };
        if matches!(fate, Fate::CutAfter) {
            self.remember(call, None);
            return Err(cut());
        }
        self.remember(call, Some(answer.status().as_u16()));
        Ok(answer)
    }
}

/// Serves `router` on `listener` through `gate` until `stop`; returns the
/// address and the task that serves.
pub fn serve(
    service: Service,
    listener: TcpListener,
    router: Router,
    gate: Gate,
    stop: CancellationToken,
) -> io::Result<(SocketAddr, impl Future<Output = ()> + Send + 'static)> {
    let addr = listener.local_addr()?;
    let task = async move {
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else { continue };
            let _ = stream.set_nodelay(true);
            let (gate, router, stop) = (gate.clone(), router.clone(), stop.clone());
            tokio::spawn(async move {
                let each = hyper::service::service_fn(move |request| {
                    let (gate, router) = (gate.clone(), router.clone());
                    async move { gate.pass(service, router, request).await }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), each);
                tokio::select! {
                    () = stop.cancelled() => {}
                    ended = connection => {
                        if let Err(error) = ended {
                            tracing::debug!(%error, "connection ended");
                        }
                    }
                }
            });
        }
    };
    Ok((addr, task))
}
