//! Watches, as kube's own machinery uses them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Resource;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::core::PartialObjectMeta;
use kube::runtime::Controller;
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::watcher::{self, watcher};
use serde_json::json;

use super::{Harbour, config_map, soon};

#[tokio::test]
async fn a_watch_tells_every_change_in_order() {
    let harbour = Harbour::start().await;
    let api: Api<ConfigMap> = harbour.api("one");
    let start = api
        .create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap()
        .resource_version()
        .unwrap();
    let watch = api
        .watch(&WatchParams::default().labels("value=2"), &start)
        .await
        .unwrap();
    let steps = async {
        let value = |value: &str| Patch::Merge(json!({"metadata": {"labels": {"value": value}}}));
        api.patch("a", &PatchParams::default(), &value("2"))
            .await
            .unwrap();
        api.patch(
            "a",
            &PatchParams::default(),
            &Patch::Merge(json!({"data": {"more": "x"}})),
        )
        .await
        .unwrap();
        api.patch("a", &PatchParams::default(), &value("3"))
            .await
            .unwrap();
        api.create(&PostParams::default(), &config_map("b", "2"))
            .await
            .unwrap();
        api.delete("b", &DeleteParams::default()).await.unwrap();
    };
    let watched = watch.map_ok(|event| match event {
        WatchEvent::Added(object) => format!("+{}", object.name_any()),
        WatchEvent::Modified(object) => format!("~{}", object.name_any()),
        WatchEvent::Deleted(object) => format!("-{}", object.name_any()),
        other => format!("{other:?}"),
    });
    let (told, ()) = soon(futures::future::join(
        watched.take(5).try_collect::<Vec<_>>(),
        steps,
    ))
    .await;
    assert_eq!(told.unwrap(), ["+a", "~a", "-a", "+b", "-b"]);
    // What was missed is told afterwards.
    let late = api.watch(&WatchParams::default(), &start).await.unwrap();
    let missed: Vec<_> = soon(late.take(5).try_collect()).await.unwrap();
    assert!(matches!(&missed[4], WatchEvent::Deleted(object) if object.name_any() == "b"));
}

async fn follow(harbour: &Harbour, config: watcher::Config) {
    let api: Api<ConfigMap> = harbour.api("one");
    api.create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap();
    let mut stream = watcher(api.clone(), config).boxed();
    let mut names = BTreeSet::new();
    loop {
        match soon(stream.next()).await.unwrap().unwrap() {
            watcher::Event::InitApply(object) => {
                names.insert(object.name_any());
            }
            watcher::Event::InitDone => break,
            watcher::Event::Init => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(names, BTreeSet::from(["a".to_owned()]));
    api.create(&PostParams::default(), &config_map("b", "1"))
        .await
        .unwrap();
    let event = soon(stream.next()).await.unwrap().unwrap();
    assert!(matches!(event, watcher::Event::Apply(object) if object.name_any() == "b"));
    api.delete("a", &DeleteParams::default()).await.unwrap();
    let event = soon(stream.next()).await.unwrap().unwrap();
    assert!(matches!(event, watcher::Event::Delete(object) if object.name_any() == "a"));

    // After a gap the watcher is told 410 and lists anew.
    harbour.server.forget_history();
    let mut gone = false;
    let mut names = BTreeSet::new();
    loop {
        match soon(stream.next()).await.unwrap() {
            Err(watcher::Error::WatchError(status)) => {
                assert_eq!(status.code, 410);
                gone = true;
            }
            Err(error) => panic!("{error:?}"),
            Ok(watcher::Event::InitApply(object)) => {
                names.insert(object.name_any());
            }
            Ok(watcher::Event::InitDone) => break,
            Ok(_) => {}
        }
    }
    assert!(gone);
    assert_eq!(names, BTreeSet::from(["b".to_owned()]));
}

#[tokio::test]
async fn a_watcher_follows_and_survives_410() {
    follow(&Harbour::start().await, watcher::Config::default()).await;
}

#[tokio::test]
async fn a_streaming_list_works() {
    follow(
        &Harbour::start().await,
        watcher::Config::default().streaming_lists(),
    )
    .await;
}

#[tokio::test]
async fn metadata_can_be_watched() {
    let harbour = Harbour::start().await;
    let api: Api<ConfigMap> = harbour.api("one");
    api.create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap();
    let partial: Api<PartialObjectMeta<ConfigMap>> = harbour.api("one");
    let mut stream = watcher(partial, watcher::Config::default()).boxed();
    loop {
        match soon(stream.next()).await.unwrap().unwrap() {
            watcher::Event::InitApply(object) => assert_eq!(object.name_any(), "a"),
            watcher::Event::InitDone => break,
            _ => {}
        }
    }
    api.create(&PostParams::default(), &config_map("b", "1"))
        .await
        .unwrap();
    let event = soon(stream.next()).await.unwrap().unwrap();
    assert!(matches!(event, watcher::Event::Apply(object) if object.name_any() == "b"));
}

#[derive(Debug, thiserror::Error)]
#[error("never")]
struct Never;

#[tokio::test]
async fn a_controller_reconciles_and_reports() {
    let harbour = Harbour::start().await;
    let api: Api<ConfigMap> = harbour.api("one");
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let recorder = Recorder::new(harbour.client.clone(), Reporter::from("tester"));
    let reconcile =
        |object: Arc<ConfigMap>, (seen, recorder): &(Arc<Mutex<BTreeSet<String>>>, Recorder)| {
            let (seen, recorder) = (Arc::clone(seen), recorder.clone());
            async move {
                let event = Event {
                    type_: EventType::Normal,
                    reason: "Seen".into(),
                    note: Some("was seen".into()),
                    action: "See".into(),
                    secondary: None,
                };
                recorder
                    .publish(&event, &object.object_ref(&()))
                    .await
                    .map_err(|_| Never)?;
                seen.lock().unwrap().insert(object.name_any());
                Ok::<_, Never>(Action::await_change())
            }
        };
    let mut passes = Controller::new(api.clone(), watcher::Config::default())
        .run(
            |object, context| reconcile(object, &context),
            |_, _, _| Action::await_change(),
            Arc::new((Arc::clone(&seen), recorder)),
        )
        .boxed();
    for name in ["a", "b"] {
        api.create(&PostParams::default(), &config_map(name, "1"))
            .await
            .unwrap();
    }
    while seen.lock().unwrap().len() < 2 {
        soon(passes.next()).await.unwrap().unwrap();
    }
    let events: Api<k8s_openapi::api::events::v1::Event> = harbour.api("one");
    let told = events
        .list(&kube::api::ListParams::default().fields("regarding.name=a"))
        .await
        .unwrap();
    assert_eq!(told.items[0].reason.as_deref(), Some("Seen"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_change_is_lost_among_many_writers() {
    const WRITERS: usize = 4;
    const TURNS: usize = 25;
    let harbour = Harbour::start().await;
    let api: Api<ConfigMap> = harbour.api("one");
    let start = api
        .create(&PostParams::default(), &config_map("a", "0"))
        .await
        .unwrap()
        .resource_version()
        .unwrap();
    let watch = api.watch(&WatchParams::default(), &start).await.unwrap();
    let write = |api: Api<ConfigMap>| async move {
        for _ in 0..TURNS {
            loop {
                let mut object = api.get("a").await.unwrap();
                let count = object.data.as_mut().unwrap().get_mut("key").unwrap();
                *count = (count.parse::<usize>().unwrap() + 1).to_string();
                match api.replace("a", &PostParams::default(), &object).await {
                    Ok(_) => break,
                    Err(kube::Error::Api(status)) if status.code == 409 => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
        }
    };
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| tokio::spawn(write(api.clone())))
        .collect();
    let told: Vec<WatchEvent<ConfigMap>> = soon(watch.take(WRITERS * TURNS).try_collect())
        .await
        .unwrap();
    for (index, event) in told.into_iter().enumerate() {
        let WatchEvent::Modified(object) = event else {
            panic!("{event:?}")
        };
        assert_eq!(object.data.unwrap()["key"], (index + 1).to_string());
    }
    for writer in writers {
        soon(writer).await.unwrap();
    }
}
