//! `deploy/` holds what the binary prints.

#[test]
fn the_definitions_in_deploy_are_those_of_the_binary() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/base/crds.yaml");
    let deployed = std::fs::read_to_string(path).unwrap_or_default();
    let printed = refloat::cli::crd::documents().expect("they can be printed");
    assert!(
        deployed == printed,
        "deploy/base/crds.yaml is out of date: cargo run -- crd > deploy/base/crds.yaml"
    );
}
