//! From a request to its answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};

use super::delete::{self, Deleted};
use super::discovery;
use super::kinds::{Kind, Origin};
use super::patch::{Patch, patch};
use super::pods;
use super::policy::{self, Review};
use super::rbac::{self, Accounts, User, Wish};
use super::read::{list, render};
use super::request::{Query, Target, View, body, media_type, segments};
use super::selector::Selector;
use super::status::{Failure, answer, raw};
use super::store::{Key, Object, Store, World};
use super::watch;
use super::write::{self, Part, Write};

/// The largest body that is read.
const LARGEST: usize = 3 * 1024 * 1024;

/// The routes of the API server.
pub(super) fn router(store: Arc<Store>, write_time: Duration, accounts: Accounts) -> Router {
    Router::new()
        .fallback(handle)
        .with_state((store, write_time, accounts))
}

/// How many objects a request has written, where it is not one.
#[derive(Clone, Copy)]
struct Writes(u32);

async fn handle(
    State((store, write_time, accounts)): State<(Arc<Store>, Duration, Accounts)>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, LARGEST).await else {
        return Failure::new(413, "RequestEntityTooLarge", "the body is too large").into_response();
    };
    let path = segments(&head.uri);
    let call = Call {
        user: User::of(&head.headers, &accounts),
        store,
        method: head.method.clone(),
        headers: head.headers,
        bytes,
    };
    let answered = Query::parse(&head.uri).and_then(|query| match call.meta(&path) {
        Some(found) => found,
        None => call.resource(&path, &query),
    });
    let response = answered.unwrap_or_else(IntoResponse::into_response);
    if head.method != Method::GET && !write_time.is_zero() {
        let Writes(writes) = response.extensions().get().copied().unwrap_or(Writes(1));
        tokio::time::sleep(write_time * writes).await;
    }
    response
}

struct Call {
    user: User,
    store: Arc<Store>,
    method: Method,
    headers: HeaderMap,
    bytes: Bytes,
}

impl Call {
    /// Answers what is not about a resource: health, version, discovery.
    fn meta(&self, path: &[String]) -> Option<Result<Response, Failure>> {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let world = || self.store.lock();
        let aggregated = self
            .headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|accept| {
                accept.contains("g=apidiscovery.k8s.io") && accept.contains("v=v2;")
                    || accept.contains("v=v2,")
            });
        let host = self
            .headers
            .get(header::HOST)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let found = match path.as_slice() {
            [] => Some(
                json!({"paths": ["/api", "/apis", "/healthz", "/livez", "/readyz", "/version"]}),
            ),
            ["healthz" | "livez" | "readyz", ..] => {
                let mut response = raw(200, Bytes::from_static(b"ok"));
                response.headers_mut().insert(
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("text/plain; charset=utf-8"),
                );
                return Some(Ok(response));
            }
            ["version"] => Some(discovery::version()),
            ["api" | "apis"] if aggregated => {
                let mut response = answer(200, &discovery::aggregated(&world(), path == ["api"]));
                let media = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
                response
                    .headers_mut()
                    .insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
                return Some(Ok(response));
            }
            ["api"] => Some(discovery::core_versions(host)),
            ["apis"] => Some(discovery::group_list(&world())),
            ["apis", group] => discovery::group(&world(), group),
            ["api", version] => discovery::resources(&world(), "", version),
            ["apis", group, version] => discovery::resources(&world(), group, version),
            _ => return None,
        };
        Some(match (found, &self.method) {
            (Some(_), method) if method != Method::GET && method != Method::HEAD => {
                Err(Failure::method_not_allowed())
            }
            (Some(found), _) => Ok(answer(200, &found)),
            (None, _) => Err(Failure::no_such_path()),
        })
    }

    fn resource(&self, path: &[String], query: &Query) -> Result<Response, Failure> {
        let target = Target::parse(path).ok_or_else(Failure::no_such_path)?;
        let kind = self
            .store
            .lock()
            .kind(&target.group, &target.version, &target.plural)
            .ok_or_else(Failure::no_such_path)?;
        if target.ns.is_some() && !kind.namespaced
            || target.name.is_some() && kind.namespaced && target.ns.is_none()
        {
            return Err(Failure::no_such_path());
        }
        let view = View::of(&self.headers)?;
        if matches!(kind.origin, Origin::Review) {
            return self.review(&kind, &target);
        }
        let wish = Wish::of(&self.method, query.flag("watch"), &target);
        rbac::authorize(&mut self.store.lock(), &self.user, &wish)?;
        let part = match target.subresource.as_deref() {
            None => Part::Main,
            Some(sub) if kind.is("", "Pod") && pods::POSTED.contains(&sub) => {
                return self.post_to_pod(&kind, &target, sub, query);
            }
            Some(sub) if !discovery::subresources(&kind).contains(&sub) => {
                return Err(Failure::no_such_path());
            }
            Some("finalize") => return self.finalize(&kind, &target, query),
            Some(_) => Part::Status,
        };
        let ns = target.ns.as_deref();
        match (&self.method, target.name.as_deref()) {
            (&Method::GET, None) if query.flag("watch") => {
                watch::open(&self.store, &kind, ns, query, view)
            }
            (&Method::GET, None) => {
                list(&mut self.store.lock(), &kind, ns, query, view).map(|body| raw(200, body))
            }
            (&Method::GET, Some(name)) if query.flag("watch") => {
                let _ = name;
                Err(Failure::bad_request(
                    "watch one object by its fieldSelector metadata.name",
                ))
            }
            (&Method::GET, Some(name)) => {
                let world = self.store.lock();
                if let Some(asked) = query.number("resourceVersion")?
                    && asked > world.version
                {
                    return Err(Failure::too_large(asked, world.version));
                }
                let object = found(&world, &kind, &Key::new(ns, name))?;
                Ok(raw(200, render(&kind, object, view)))
            }
            (&Method::POST, None) => self.create(&kind, ns, query, view),
            (&Method::PUT, Some(name)) => {
                self.update(&kind, &Key::new(ns, name), part, query, view)
            }
            (&Method::PATCH, Some(name)) => {
                let mut write = query.write(&self.headers)?;
                let key = Key::new(ns, name);
                let sent = Patch {
                    media: media_type(&self.headers),
                    body: &self.bytes,
                    force: query.flag("force"),
                    named: query.get("fieldManager").is_some(),
                };
                let (object, created) = self.store.write(|world| {
                    if !self.user.is_master() && part == Part::Main {
                        let mut trial = query.write(&self.headers)?;
                        trial.dry_run = true;
                        let (new, _) = patch(world, &kind, &key, part, &sent, &mut trial)?;
                        self.admit(world, &kind, &key, &new.value)?;
                    }
                    patch(world, &kind, &key, part, &sent, &mut write)
                })?;
                warm(&self.store.lock(), &kind, &object);
                Ok(written(
                    &kind,
                    &object,
                    view,
                    if created { 201 } else { 200 },
                    &write,
                ))
            }
            (&Method::DELETE, Some(name)) if part == Part::Main => {
                self.delete(&kind, &Key::new(ns, name), query, view)
            }
            (&Method::DELETE, None) => self.delete_collection(&kind, ns, query),
            _ => Err(Failure::method_not_allowed()),
        }
    }

    fn body(&self) -> Result<Value, Failure> {
        body(&self.headers, &self.bytes)
    }

    fn create(
        &self,
        kind: &Kind,
        ns: Option<&str>,
        query: &Query,
        view: View,
    ) -> Result<Response, Failure> {
        if kind.namespaced && ns.is_none() {
            return Err(Failure::method_not_allowed());
        }
        let mut write = query.write(&self.headers)?;
        let body = self.body()?;
        let object = self.store.write(|world| {
            if !self.user.is_master() {
                rbac::no_escalation(world, &self.user, kind, &body, ns)?;
                let name = body["metadata"]["name"].as_str().unwrap_or_default();
                self.admit(world, kind, &Key::new(ns, name), &body)?;
            }
            write::create(world, kind, ns, body, &mut write)
        })?;
        warm(&self.store.lock(), kind, &object);
        Ok(written(kind, &object, view, 201, &write))
    }

    fn update(
        &self,
        kind: &Kind,
        key: &Key,
        part: Part,
        query: &Query,
        view: View,
    ) -> Result<Response, Failure> {
        let mut write = query.write(&self.headers)?;
        let body = self.body()?;
        let object = self.store.write(|world| {
            let old = Arc::clone(found(world, kind, key)?);
            if part == Part::Main {
                self.admit(world, kind, key, &body)?;
            }
            write::replace(world, kind, &old, body, part, &mut write)
        })?;
        Ok(written(kind, &object, view, 200, &write))
    }

    fn delete(
        &self,
        kind: &Kind,
        key: &Key,
        query: &Query,
        view: View,
    ) -> Result<Response, Failure> {
        let how = query.deletion(&self.body()?)?;
        let deleted = self.store.write(|world| {
            if world.get(kind, key).is_some() {
                self.admit(world, kind, key, &Value::Null)?;
            }
            delete::delete(world, kind, key, &how)
        })?;
        match deleted {
            Deleted::Waiting(object) => Ok(raw(200, render(kind, &object, view))),
            Deleted::Gone(object) if kind.is("", "Pod") => {
                Ok(raw(200, render(kind, &object, view)))
            }
            Deleted::Gone(object) => Ok(answer(
                200,
                &json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                    "details": {"name": key.name, "group": kind.group, "kind": kind.plural, "uid": object.uid()},
                }),
            )),
        }
    }

    fn delete_collection(
        &self,
        kind: &Kind,
        ns: Option<&str>,
        query: &Query,
    ) -> Result<Response, Failure> {
        if kind.namespaced && ns.is_none() {
            return Err(Failure::method_not_allowed());
        }
        let how = query.deletion(&self.body()?)?;
        let selector =
            Selector::parse(kind, query.get("labelSelector"), query.get("fieldSelector"))?;
        self.store.write(|world| {
            let chosen: Vec<(Key, Object)> = world
                .collection(kind)
                .within(ns)
                .filter(|(_, object)| selector.matches(&object.value))
                .map(|(key, object)| (key.clone(), Arc::clone(object)))
                .collect();
            for (key, _) in &chosen {
                // One may be gone because another was deleted.
                if world.get(kind, key).is_some() {
                    self.admit(world, kind, key, &Value::Null)?;
                    delete::delete(world, kind, key, &how)?;
                }
            }
            let items: Vec<&Value> = chosen.iter().map(|(_, object)| &object.value).collect();
            let mut response = answer(
                200,
                &json!({
                    "kind": kind.list_kind, "apiVersion": kind.api_version(),
                    "metadata": {"resourceVersion": world.version.to_string()}, "items": items,
                }),
            );
            let writes = u32::try_from(chosen.len()).unwrap_or(u32::MAX);
            response.extensions_mut().insert(Writes(writes));
            Ok(response)
        })
    }

    /// Holds a write to the admission policies. An object that is null is deleted;
    /// one that was not there before is created.
    fn admit(&self, world: &World, kind: &Kind, key: &Key, object: &Value) -> Result<(), Failure> {
        let old = world.get(kind, key).map(Arc::clone);
        let operation = match (&old, object) {
            (_, Value::Null) => "DELETE",
            (Some(_), _) => "UPDATE",
            (None, _) => "CREATE",
        };
        policy::admit(
            world,
            &Review {
                user: &self.user,
                kind,
                namespace: kind.namespaced.then_some(key.ns.as_str()),
                name: &key.name,
                operation,
                object,
                old: old.as_ref().map_or(&Value::Null, |old| &old.value),
            },
        )
    }

    /// The `finalize` subresource of a namespace: sets what holds it.
    fn finalize(&self, kind: &Kind, target: &Target, query: &Query) -> Result<Response, Failure> {
        let (&Method::PUT, Some(name)) = (&self.method, target.name.as_deref()) else {
            return Err(Failure::method_not_allowed());
        };
        let write = query.write(&self.headers)?;
        let body = self.body()?;
        let key = Key::new(None, name);
        let object = self.store.write(|world| {
            let old = Arc::clone(found(world, kind, &key)?);
            write::finalize(world, kind, &old, &body, &write)
        })?;
        Ok(written(kind, &object, View::Whole, 200, &write))
    }

    fn post_to_pod(
        &self,
        kind: &Kind,
        target: &Target,
        sub: &str,
        query: &Query,
    ) -> Result<Response, Failure> {
        let (&Method::POST, Some(name)) = (&self.method, target.name.as_deref()) else {
            return Err(Failure::method_not_allowed());
        };
        let write = query.write(&self.headers)?;
        let body = self.body()?;
        let key = Key::new(target.ns.as_deref(), name);
        let done = self
            .store
            .write(|world| pods::post(world, kind, &key, sub, &body, &write))?;
        Ok(answer(201, &done))
    }

    /// Answers the reviews: who asks is known by the token, what they may do by the roles.
    fn review(&self, kind: &Kind, target: &Target) -> Result<Response, Failure> {
        if self.method != Method::POST || target.name.is_some() {
            return Err(Failure::method_not_allowed());
        }
        let mut review = self.body()?;
        if !review.is_object() {
            return Err(Failure::bad_request("the body is not an object"));
        }
        review["kind"] = json!(kind.kind);
        review["apiVersion"] = json!(kind.api_version());
        review["status"] = match kind.kind.as_str() {
            "SelfSubjectReview" => json!({"userInfo": self.user.info()}),
            "TokenReview" => {
                let asked = review["spec"]["token"].as_str();
                json!({"authenticated": asked.is_some(), "user": User::with(asked).info()})
            }
            of => {
                let user = match review["spec"]["user"].as_str() {
                    Some(other) if of != "SelfSubjectAccessReview" => User::with(Some(other)),
                    _ => self.user.clone(),
                };
                let allowed = Wish::asked(&review["spec"]["resourceAttributes"])
                    .is_none_or(|wish| rbac::may(&self.store.lock(), &user, &wish));
                json!({"allowed": allowed})
            }
        };
        Ok(answer(201, &review))
    }
}

fn found<'a>(world: &'a World, kind: &Kind, key: &Key) -> Result<&'a Object, Failure> {
    world
        .get(kind, key)
        .ok_or_else(|| Failure::not_found(kind, &key.name))
}

/// Compiles the schemas of a definition that was just written, so that the
/// first object does not have to wait for it.
fn warm(world: &World, kind: &Kind, definition: &Object) {
    if kind.is("apiextensions.k8s.io", "CustomResourceDefinition") {
        let kinds = world.customs.of(definition.name()).to_vec();
        tokio::task::spawn_blocking(move || {
            for schema in kinds.iter().filter_map(|kind| kind.schema()) {
                schema.compile();
            }
        });
    }
}

fn written(kind: &Kind, object: &Object, view: View, code: u16, write: &Write) -> Response {
    let mut response = raw(code, render(kind, object, view));
    for warning in &write.warnings {
        let text = format!("299 - \"{}\"", warning.replace('"', "\\\""));
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}
