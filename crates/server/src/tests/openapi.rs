//! The description of the API is whole, and true.

use super::*;

async fn document() -> Value {
    get(&hub(), "/api/v1/openapi.json").await.json()
}

/// Every value under a key `$ref`.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members
                .values()
                .for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn it_is_openapi_without_loose_ends() {
    let document = document().await;
    let parsed: utoipa::openapi::OpenApi = serde_json::from_value(document.clone()).unwrap();
    assert_eq!(serde_json::to_value(&parsed.openapi).unwrap(), "3.1.0");
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let pointer = reference
            .strip_prefix('#')
            .expect("every reference is inside");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let mut ids = std::collections::BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let declared = |name: &str| {
            item.as_object().unwrap().values().all(|operation| {
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                parameters
                    .filter(|it| it["in"] == "path" && it["required"] == true)
                    .any(|it| it["name"] == name)
            })
        };
        for name in path
            .split('/')
            .filter_map(|it| it.strip_prefix('{')?.strip_suffix('}'))
        {
            assert!(declared(name), "{name} of {path}");
        }
        for operation in item.as_object().unwrap().values() {
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap().to_owned()),
                "{path}"
            );
            assert!(
                operation["responses"]
                    .as_object()
                    .is_some_and(|it| !it.is_empty()),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn every_described_operation_is_there() {
    let document = document().await;
    let hub = hub();
    for (path, item) in document["paths"].as_object().unwrap() {
        let concrete = path.replace("{ns}", "demo").replace("{name}", "shop");
        for method in item.as_object().unwrap().keys() {
            let request = request(&method.to_uppercase(), &concrete, Body::empty());
            let response = app(Arc::clone(&hub)).oneshot(request).await.unwrap();
            assert_ne!(
                response.status(),
                StatusCode::METHOD_NOT_ALLOWED,
                "{method} {path}"
            );
            if response.status() == StatusCode::NOT_FOUND {
                let bytes = response.into_body().collect().await.unwrap().to_bytes();
                let text = String::from_utf8_lossy(&bytes).into_owned();
                assert!(!text.contains("nothing at this path"), "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn the_surface_is_what_it_was() {
    let document = document().await;
    let mut surface = String::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let names = |what: &str| {
                let all = operation["parameters"].as_array().into_iter().flatten();
                let some = all
                    .filter(|it| it["in"] == what)
                    .filter_map(|it| it["name"].as_str());
                some.collect::<Vec<_>>().join(",")
            };
            let statuses: Vec<_> = operation["responses"]
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect();
            surface += &format!(
                "{} {path}?{} -> {}\n",
                method.to_uppercase(),
                names("query"),
                statuses.join(" ")
            );
        }
    }
    insta::assert_snapshot!(surface);
}
