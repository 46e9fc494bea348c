//! Custom kinds: definitions, schemas, rules.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiResource, Discovery};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};

use super::super::install_crds;
use super::{Harbour, parse, refusal, soon};

const PATH: &str = "/apis/example.com/v1/namespaces/one/ships";
const JSON: &str = "application/json";

fn definition() -> CustomResourceDefinition {
    let spec = json!({
        "type": "object",
        "required": ["port"],
        "properties": {
            "port": {
                "type": "string", "minLength": 2,
                "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "port is immutable"}],
            },
            "draught": {"type": "integer", "format": "int32", "minimum": 1, "default": 3},
            "size": {"x-kubernetes-int-or-string": true},
            "since": {"type": "string", "format": "date-time", "nullable": true},
            "kind": {"type": "string", "enum": ["Tanker", "Ferry"]},
            "cargo": {"type": "object", "additionalProperties": {"type": "integer"}},
            "extra": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "crew": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": {"type": "string"}, "rank": {"type": "integer"}},
                },
            },
        },
        "x-kubernetes-validations": [
            {
                "rule": "!has(self.crew) || self.crew.exists(c, c.rank > 2)",
                "message": "somebody must command",
                "reason": "FieldValueForbidden",
                "fieldPath": ".crew",
            },
            {
                "rule": "!has(self.cargo) || size(self.cargo) <= self.draught",
                "messageExpression": "'at most ' + string(self.draught) + ' kinds of cargo'",
            },
        ],
    });
    parse(json!({
        "metadata": {"name": "ships.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"kind": "Ship", "plural": "ships", "shortNames": ["sh"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "required": ["spec"],
                    "properties": {
                        "spec": spec,
                        "status": {"type": "object", "properties": {"place": {"type": "string"}}},
                    },
                }},
            }],
        },
    }))
}

fn ship(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Ship", "metadata": {"name": name}, "spec": spec})
}

async fn with_ships() -> (Harbour, Api<DynamicObject>) {
    let harbour = Harbour::start().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(harbour.client.clone());
    definitions
        .create(&PostParams::default(), &definition())
        .await
        .unwrap();
    soon(await_condition(
        definitions,
        "ships.example.com",
        is_crd_established(),
    ))
    .await
    .unwrap();
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("example.com", "v1", "Ship"));
    let api = Api::namespaced_with(harbour.client.clone(), "one", &resource);
    (harbour, api)
}

#[tokio::test]
async fn a_definition_adds_a_kind_until_it_goes() {
    let (harbour, api) = with_ships().await;
    let found = Discovery::new(harbour.client.clone())
        .filter(&["example.com"])
        .run()
        .await
        .unwrap();
    let (resource, _) = found
        .groups()
        .next()
        .unwrap()
        .recommended_kind("Ship")
        .unwrap();
    assert_eq!(resource.plural, "ships");
    api.create(
        &PostParams::default(),
        &parse(ship("a", &json!({"port": "Kiel"}))),
    )
    .await
    .unwrap();

    let mut watch = Box::pin(
        api.watch(&kube::api::WatchParams::default(), "0")
            .await
            .unwrap(),
    );
    let definitions: Api<CustomResourceDefinition> = Api::all(harbour.client.clone());
    definitions
        .delete("ships.example.com", &DeleteParams::default())
        .await
        .unwrap();
    assert!(
        definitions
            .get_opt("ships.example.com")
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(refusal(api.list(&ListParams::default()).await).0, 404);
    // The watch on it ends.
    while let Some(Ok(_)) = soon(futures::StreamExt::next(&mut watch)).await {}
    assert!(
        harbour
            .server
            .dump()
            .keys()
            .all(|key| !key.contains("Ship"))
    );
}

#[tokio::test]
async fn objects_follow_their_schema() {
    let (harbour, _) = with_ships().await;
    let cases = [
        (
            json!({}),
            "spec.port",
            "FieldValueRequired",
            "Required value",
        ),
        (
            json!({"port": 7}),
            "spec.port",
            "FieldValueTypeInvalid",
            "Invalid value: \"integer\": spec.port in body must be of type string: \"integer\"",
        ),
        (
            json!({"port": "K"}),
            "spec.port",
            "FieldValueInvalid",
            "Invalid value: \"K\": spec.port in body should be at least 2 chars long",
        ),
        (
            json!({"port": "Kiel", "kind": "Submarine"}),
            "spec.kind",
            "FieldValueNotSupported",
            "Unsupported value: \"Submarine\": supported values: \"Tanker\", \"Ferry\"",
        ),
        (
            json!({"port": "Kiel", "draught": 0}),
            "spec.draught",
            "FieldValueInvalid",
            "Invalid value: 0: spec.draught in body should be greater than or equal to 1",
        ),
        (
            json!({"port": "Kiel", "since": "yesterday"}),
            "spec.since",
            "FieldValueInvalid",
            "Invalid value: \"yesterday\": spec.since in body must be of type date-time: \"yesterday\"",
        ),
        (
            json!({"port": "Kiel", "cargo": {"tea": "much"}}),
            "spec.cargo.tea",
            "FieldValueTypeInvalid",
            "Invalid value: \"string\": spec.cargo.tea in body must be of type integer: \"string\"",
        ),
        (
            json!({"port": "Kiel", "crew": [{"name": "a", "rank": 1}]}),
            "spec.crew",
            "FieldValueForbidden",
            "Forbidden: somebody must command",
        ),
        (
            json!({"port": "Kiel", "draught": 1, "cargo": {"tea": 1, "tin": 1}}),
            "spec",
            "FieldValueInvalid",
            "Invalid value: \"object\": at most 1 kinds of cargo",
        ),
    ];
    for (spec, field, reason, message) in cases {
        let (code, body) = harbour.send("POST", PATH, JSON, &ship("a", &spec)).await;
        assert_eq!(code, 422, "{spec}: {body}");
        assert_eq!(
            body["details"]["causes"],
            json!([{"reason": reason, "message": message, "field": field}])
        );
        assert_eq!(
            body["message"],
            format!("Ship.example.com \"a\" is invalid: {field}: {message}")
        );
        assert_eq!(
            (&body["reason"], &body["details"]["kind"]),
            (&json!("Invalid"), &json!("Ship"))
        );
    }
    let (code, body) = harbour
        .send(
            "POST",
            PATH,
            JSON,
            &json!({"metadata": {"name": "a"}, "spec": {"port": "Kiel"}}),
        )
        .await;
    assert_eq!(code, 400, "{body}");
}

#[tokio::test]
async fn unknown_fields_are_pruned_and_defaults_filled() {
    let (harbour, api) = with_ships().await;
    let spec = json!({
        "port": "Kiel", "colour": "red", "size": "big", "since": null, "kind": null,
        "extra": {"any": {"thing": 1}}, "crew": [{"name": "a", "rank": 3, "hat": "none"}],
    });
    let (code, body) = harbour
        .send(
            "POST",
            &format!("{PATH}?fieldValidation=Strict"),
            JSON,
            &ship("a", &spec),
        )
        .await;
    assert_eq!(code, 400);
    let message = body["message"].as_str().unwrap();
    assert!(
        message.contains("unknown field \"spec.colour\", unknown field \"spec.crew[0].hat\""),
        "{message}"
    );
    let (code, body) = harbour.send("POST", PATH, JSON, &ship("a", &spec)).await;
    assert_eq!(code, 201);
    assert_eq!(
        body["spec"],
        json!({
            "port": "Kiel", "size": "big", "since": null, "draught": 3,
            "extra": {"any": {"thing": 1}}, "crew": [{"name": "a", "rank": 3}],
        })
    );
    let strategic: Patch<Value> = Patch::Strategic(json!({"spec": {"draught": 4}}));
    assert_eq!(
        refusal(api.patch("a", &PatchParams::default(), &strategic).await).0,
        415
    );
}

#[tokio::test]
async fn rules_compare_with_what_was() {
    let (_harbour, api) = with_ships().await;
    api.create(
        &PostParams::default(),
        &parse(ship("a", &json!({"port": "Kiel"}))),
    )
    .await
    .unwrap();
    let patch = |spec: Value| Patch::Merge(json!({"spec": spec}));
    let refused = api
        .patch(
            "a",
            &PatchParams::default(),
            &patch(json!({"port": "Bari"})),
        )
        .await;
    let Err(kube::Error::Api(status)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
    assert_eq!(
        status.message,
        "Ship.example.com \"a\" is invalid: spec.port: Invalid value: \"Kiel\": port is immutable"
            .replace("Kiel", "Bari")
    );
    let seen = api
        .patch("a", &PatchParams::default(), &patch(json!({"draught": 5})))
        .await
        .unwrap();
    assert_eq!(seen.metadata.generation, Some(2));
    let status =
        Patch::Merge(json!({"spec": {"draught": 9}, "status": {"place": "sea", "mood": "good"}}));
    let seen = api
        .patch_status("a", &PatchParams::default(), &status)
        .await
        .unwrap();
    assert_eq!(
        (&seen.data["spec"]["draught"], &seen.data["status"]),
        (&json!(5), &json!({"place": "sea"}))
    );
    assert_eq!(seen.metadata.generation, Some(2));
    let mut unversioned = seen.clone();
    unversioned.metadata.resource_version = None;
    assert_eq!(
        refusal(api.replace("a", &PostParams::default(), &unversioned).await).0,
        422
    );
}

#[tokio::test]
async fn a_definition_that_makes_no_sense_is_refused() {
    let harbour = Harbour::start().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(harbour.client.clone());
    let mut misnamed = definition();
    misnamed.metadata.name = Some("boats.example.com".into());
    assert_eq!(
        refusal(definitions.create(&PostParams::default(), &misnamed).await).0,
        422
    );
    let mut broken = serde_json::to_value(definition()).unwrap();
    broken["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-validations"] =
        json!([{"rule": "self ==="}]);
    assert_eq!(
        refusal(
            definitions
                .create(&PostParams::default(), &parse(broken))
                .await
        )
        .0,
        422
    );
    // The same with server-side apply.
    let apply = PatchParams::apply("test").force();
    definitions
        .patch("ships.example.com", &apply, &Patch::Apply(definition()))
        .await
        .unwrap();
    soon(await_condition(
        definitions,
        "ships.example.com",
        is_crd_established(),
    ))
    .await
    .unwrap();
}

#[tokio::test]
async fn open_definitions_stand_in_for_published_ones() {
    let harbour = Harbour::start().await;
    harbour.server.install_crds().await.unwrap();
    // Installing them from outside finds them there.
    install_crds(harbour.client.clone(), None).await.unwrap();
    let namespaces: Api<Namespace> = Api::all(harbour.client.clone());
    namespaces
        .create(
            &PostParams::default(),
            &parse(json!({"metadata": {"name": "openshift-adp"}})),
        )
        .await
        .unwrap();
    let restore = json!({
        "apiVersion": "velero.io/v1", "kind": "Restore", "metadata": {"name": "r"},
        "spec": {"backupName": "b"}, "status": {"phase": "New"},
    });
    let path = "/apis/velero.io/v1/namespaces/openshift-adp/restores";
    let (code, body) = harbour.send("POST", path, JSON, &restore).await;
    // Without a status subresource the status is a field like any other.
    assert_eq!((code, &body["status"]["phase"]), (201, &json!("New")));
    let (code, _) = harbour
        .send("PUT", &format!("{path}/r/status"), JSON, &body)
        .await;
    assert_eq!(code, 404);
}

#[tokio::test]
async fn published_definitions_are_preferred() {
    let specs = tempfile::tempdir().unwrap();
    let folder = specs.path().join("crds/velero");
    std::fs::create_dir_all(&folder).unwrap();
    let published = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "backups.velero.io"},
        "spec": {
            "group": "velero.io", "scope": "Namespaced",
            "names": {"kind": "Backup", "plural": "backups"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {
                    "type": "object", "description": "what it is",
                    "properties": {"spec": {"type": "object", "properties": {"description": {"type": "string"}}}},
                }},
            }],
        },
    });
    std::fs::write(
        folder.join("backups.yaml"),
        serde_saphyr::to_string(&published).unwrap(),
    )
    .unwrap();
    let harbour = Harbour::start().await;
    install_crds(harbour.client.clone(), Some(specs.path()))
        .await
        .unwrap();
    let path = "/apis/velero.io/v1/namespaces/one/backups";
    let body = |spec: Value| json!({"apiVersion": "velero.io/v1", "kind": "Backup", "metadata": {"name": "a"}, "spec": spec});
    let (code, _) = harbour
        .send("POST", path, JSON, &body(json!({"description": 1})))
        .await;
    assert_eq!(code, 422);
    let (code, seen) = harbour
        .send(
            "POST",
            path,
            JSON,
            &body(json!({"description": "x", "other": 1})),
        )
        .await;
    assert_eq!((code, &seen["spec"]), (201, &json!({"description": "x"})));
}
