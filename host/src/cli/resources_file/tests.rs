//! What a file of resources says, and each mistake with its line.

use super::*;
use serde_json::json;

const GOOD: &str = r#"
[operator.modules.match]
file = "match.wasm"

[tenants.acme.routes.all]
source = "in"
steps = [ { module = "operator/match", settings = { env = "kept" } } ]
to = { endpoints = ["out"] }

[tenants.acme.sources.in]
verify = { scheme = "github", secrets = [{ env = "SECRET" }] }

[tenants.acme.endpoints.out]
url = { env = "URL" }
"#;

fn read(text: &str) -> Result<Vec<Resource>, String> {
    let env = |name: &str| (name != "MISSING").then(|| format!("http://{}.example/", name.to_lowercase()));
    let (resources, mistakes) = ResourcesFile::new("r.toml", text).resources(env);
    mistakes.check().map(|()| resources).map_err(|mistakes| mistakes.to_string())
}

#[test]
fn resources_come_in_the_order_in_which_they_can_be_applied() {
    let resources = read(GOOD).unwrap();
    let paths: Vec<_> = resources.iter().map(|resource| resource.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/v1/tenants/acme",
            "/v1/operator/modules/match",
            "/v1/tenants/acme/sources/in",
            "/v1/tenants/acme/endpoints/out",
            "/v1/tenants/acme/routes/all",
        ]
    );
    let Content::Module(module) = &resources[1].content else { panic!("a module is a file") };
    assert_eq!((module.file.as_str(), module.query().as_str()), ("match.wasm", ""));
    assert_eq!(resources[3].content, Content::Spec(json!({ "url": "http://url.example/" })));
    let Content::Spec(route) = &resources[4].content else { panic!("a route is a spec") };
    assert_eq!(route["steps"][0]["settings"], json!({ "env": "kept" }));
}

#[test]
fn the_name_of_an_event_type_leads_nowhere_else() {
    let text = "[tenants.acme.event-types.\"orders/create\"]\nexamples = [{ env = \"prod\" }]\n[tenants.acme.event-types.\"..\"]\n";
    let resources = read(text).unwrap();
    let paths: Vec<_> = resources[1..].iter().map(|resource| resource.path.as_str()).collect();
    assert_eq!(paths, ["/v1/tenants/acme/event-types/%2E%2E", "/v1/tenants/acme/event-types/orders%2Fcreate"]);
    let Content::Spec(spec) = &resources[2].content else { panic!("an event type is a spec") };
    assert_eq!(spec["examples"], json!([{ "env": "prod" }]));
}

#[test]
fn a_label_or_header_named_env_is_no_reference() {
    let text = r#"
[tenants.acme.endpoints.out]
url = "http://x/"
labels = { env = "prod" }
headers = { env = "prod" }
[tenants.acme.endpoints.other]
url = "http://x/"
headers = { authorization = { env = "TOKEN" } }
"#;
    let resources = read(text).unwrap();
    let specs: Vec<_> = resources.iter().map(|resource| resource.content.clone()).collect();
    let plain = json!({ "env": "prod" });
    assert!(specs.contains(&Content::Spec(json!({ "url": "http://x/", "labels": plain, "headers": plain }))));
    let headers = json!({ "authorization": "http://token.example/" });
    assert!(specs.contains(&Content::Spec(json!({ "url": "http://x/", "headers": headers }))));
}

#[test]
fn a_mistake_is_told_with_file_line_and_keys() {
    let cases = [
        ("[tenants.acme\n", "r.toml:1: "),
        ("\n[tenant.acme]\n", "r.toml:2: tenant: is not known here"),
        ("[operator.sources.x]\n", "r.toml:1: operator.sources: is not known here"),
        ("[tenants.acme.endpoints.e]\nurl = 3\n", "r.toml:2: tenants.acme.endpoints.e.url: invalid type"),
        (
            "[tenants.acme.endpoints.e]\nurl = \"http://x\"\nlables = {}\n",
            "r.toml:3: tenants.acme.endpoints.e.lables: unknown field",
        ),
        ("[tenants.acme.endpoints.e]\n", "r.toml:1: tenants.acme.endpoints.e: missing field `url`"),
        (
            "[tenants.acme.endpoints.e]\nurl = { env = \"MISSING\" }\n",
            "r.toml:2: tenants.acme.endpoints.e.url: the environment has no `MISSING`",
        ),
        ("[tenants.acme.modules.m]\nfile = 3\n", "r.toml:2: tenants.acme.modules.m.file: invalid type"),
        (
            "[tenants.acme.modules.m]\nfile = \"m\"\nmax_time = 3\n",
            "r.toml:3: tenants.acme.modules.m.max_time: unknown field",
        ),
        (
            "[tenants.\"../operator\".modules.m]\nfile = \"m\"\n",
            "r.toml:1: tenants.../operator: `../operator` is not a name",
        ),
        ("[tenants.acme.endpoints.\"a/b\"]\n", "r.toml:1: tenants.acme.endpoints.a/b: `a/b` is not a name"),
        ("[tenants.acme]\ntitle = 2020-01-01\n", "r.toml:2: tenants.acme.title: JSON has no dates"),
        (
            "[tenants.acme.routes.r]\nsource = \"s\"\nsteps = [\n  { module = \"a\" },\n  { modul = \"b\" },\n]\n",
            "r.toml:5: tenants.acme.routes.r.steps.1",
        ),
    ];
    for (text, expected) in cases {
        let error = read(text).unwrap_err();
        assert!(error.starts_with(expected), "{error}\nshould begin with\n{expected}");
    }
}

#[test]
fn a_tenant_is_put_only_where_the_file_says_something_of_it() {
    let implied = read("[tenants.acme.sources.in]\nverify = { scheme = \"none\" }\n[tenants.other]\n").unwrap();
    let tenants = implied.iter().filter(|resource| resource.content == Content::Implied);
    assert_eq!(
        tenants.map(|tenant| tenant.path.as_str()).collect::<Vec<_>>(),
        ["/v1/tenants/acme", "/v1/tenants/other"]
    );
    let said = read("[tenants.acme]\ntitle = \"Acme\"\n").unwrap();
    assert_eq!(said[0].content, Content::Spec(json!({ "title": "Acme" })));
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_their_lines() {
    let text = "[tenants.acme]\ntitle = 3\n[tenants.acme.routes.r]\nsorce = \"in\"\n[tenants.acme.endpoints.e]\nurl = { env = \"MISSING\" }\n\
                headers = { x = { env = \"MISSING\" } }\n[tenants.\"a b\"]\n[tenant]\n";
    let told = read(text).unwrap_err();
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines[0], "6 mistakes, and nothing was put:");
    let begins = ["  r.toml:2: ", "  r.toml:4: ", "  r.toml:6: ", "  r.toml:7: ", "  r.toml:8: ", "  r.toml:9: "];
    for (line, begin) in lines[1..].iter().zip(begins) {
        assert!(line.starts_with(begin), "{told}");
    }
    assert!(read("# nothing yet\n").unwrap_err().contains("there is nothing in it"));
}
