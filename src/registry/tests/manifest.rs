//! Artifacts of all kinds: which layer is picked, and what is refused.

use serde_json::json;

use super::*;

fn described(media_type: &str, digit: char) -> Value {
    json!({ "mediaType": media_type, "size": 8, "digest": format!("sha256:{}", digit.to_string().repeat(64)) })
}

fn listed(os: &str, architecture: &str, digit: char) -> Value {
    let mut listed = described(OCI_MANIFEST, digit);
    listed["platform"] = json!({ "os": os, "architecture": architecture });
    listed
}

fn image(layers: &[Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": layers })
}

fn index(manifests: &[Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests })
}

fn content(document: &Value) -> Result<ManifestContent, ManifestError> {
    read(document.to_string().as_bytes(), None)
}

fn module(digit: char) -> Result<ManifestContent, ManifestError> {
    let sha256 = digit.to_string().repeat(64).parse().expect("a digest");
    Ok(ManifestContent::Module(Descriptor { sha256, size: 8 }))
}

fn manifest(digit: char) -> Result<ManifestContent, ManifestError> {
    let sha256 = digit.to_string().repeat(64).parse().expect("a digest");
    Ok(ManifestContent::Manifest(Descriptor { sha256, size: 8 }))
}

#[test]
fn the_one_layer_that_is_a_module_is_picked() {
    for name in MODULES {
        assert_eq!(content(&image(&[described(name, '1')])), module('1'));
        let others = [described("text/plain", '1'), described(name, '2'), described("application/x.tar+gzip", '3')];
        assert_eq!(content(&image(&others)), module('2'));
    }
    let unstated = json!({ "schemaVersion": 2, "layers": [described(MODULES[0], '1')] });
    assert_eq!(content(&unstated), module('1'));
    assert_eq!(read(unstated.to_string().as_bytes(), Some("text/plain")), module('1'));
}

#[test]
fn of_an_index_the_entry_for_webassembly_is_picked_or_the_only_one() {
    let [arm, first, second] =
        [listed("linux", "arm64", '1'), listed("wasip1", "wasm", '2'), listed("wasip2", "wasm", '3')];
    for (entries, picked) in [
        (vec![arm.clone()], '1'),
        (vec![arm.clone(), second.clone()], '3'),
        (vec![arm.clone(), first.clone(), second.clone()], '2'),
        (vec![described("text/plain", '4'), described(DOCKER_MANIFEST, '5')], '5'),
    ] {
        assert_eq!(content(&index(&entries)), manifest(picked));
    }
    let two = [arm.clone(), listed("linux", "amd64", '4')];
    assert_eq!(content(&index(&two)), Err(ManifestError::SeveralManifests(2)));
    assert_eq!(content(&index(&[first.clone(), first])), Err(ManifestError::SeveralManifests(2)));
    assert_eq!(content(&index(&[])), Err(ManifestError::EmptyIndex));
    assert_eq!(content(&index(&[described(OCI_INDEX, '1')])), Err(ManifestError::Nested));
}

#[test]
fn what_leaves_a_choice_or_holds_no_module_is_refused() {
    let wasm = described(MODULES[1], '1');
    let packed = "application/vnd.oci.image.layer.v1.tar+gzip";
    let [mut no_size, mut long_digest, mut odd_size] = [wasm.clone(), wasm.clone(), wasm.clone()];
    no_size["size"] = Value::Null;
    odd_size["size"] = json!(-1);
    long_digest["digest"] = json!(format!("sha512:{}", "0".repeat(128)));
    let mut both = image(std::slice::from_ref(&wasm));
    both["manifests"] = json!([]);
    let mut liar = image(std::slice::from_ref(&wasm));
    liar["mediaType"] = json!(OCI_INDEX);
    let mut old = image(std::slice::from_ref(&wasm));
    old["schemaVersion"] = json!(1);
    for (document, part) in [
        (image(&[]), "no layer is a module; there are: none"),
        (image(&[described("text/plain", '1')]), "`text/plain`"),
        (image(&[described(packed, '1')]), packed),
        (image(&[wasm.clone(), described(MODULES[0], '2')]), "2 of the layers"),
        (image(&[no_size]), "`size` is missing"),
        (image(&[odd_size]), "`size` is missing"),
        (image(&[long_digest]), "not a SHA-256"),
        (both, "both"),
        (liar, "both"),
        (old, "schema version"),
        (json!({ "schemaVersion": 2, "layers": "none" }), "`layers`"),
        (json!({ "schemaVersion": 2 }), "neither"),
        (json!({ "schemaVersion": 2, "mediaType": "text/plain", "layers": [] }), "`text/plain`"),
        (json!([]), "not JSON"),
    ] {
        let error = content(&document).expect_err(part).to_string();
        assert!(error.contains(part), "{document}: {error}");
    }
    let long = content(&image(&[described(&"x".repeat(1 << 20), '1')])).expect_err("no module").to_string();
    assert!(long.len() < 300, "{}", long.len());
    assert_eq!(read(b"<html>", None), Err(ManifestError::Json));
    assert_eq!(read("[".repeat(100_000).as_bytes(), None), Err(ManifestError::Json));
    let image = image(&[wasm]).to_string();
    assert_eq!(read(image.as_bytes(), Some(OCI_INDEX)), Err(ManifestError::Both));
}
