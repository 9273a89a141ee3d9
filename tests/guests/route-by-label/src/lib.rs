//! A router for the tests: sends the message, unchanged, to every endpoint that has the label of its settings, and says in a
//! header how many there are.

use hookswitch_guest::{Dispatch, Event, Failure, Message, Output, endpoints, log, router};

/// `{"name": "team", "value": "sales"}`
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    name: String,
    value: String,
}

router!(route_by_label);

/// One dispatch per endpoint with the label.
///
/// # Errors
/// None.
pub fn route_by_label(label: &Label, _: &Event, _: &Message) -> Result<Vec<Dispatch>, Failure> {
    let found = endpoints::find(&[(&label.name, &label.value)]);
    log::info(format!("{} endpoints have {}={}", found.len(), label.name, label.value));
    let count = found.len().to_string();
    let dispatch = |name| Output::unchanged().with_header("x-routed-to", &count).to(name);
    Ok(found.into_iter().map(|endpoint| dispatch(endpoint.name)).collect())
}

#[cfg(test)]
mod tests {
    use hookswitch_guest::testing::Host;

    use super::*;

    #[test]
    fn every_endpoint_with_the_label_is_named() {
        let sales = [("team", "sales")];
        Host::default().endpoint("crm", &sales).endpoint("ops", &[("team", "ops")]).endpoint("bi", &sales).install();
        let label = Label { name: "team".to_owned(), value: "sales".to_owned() };
        let dispatches = route_by_label(&label, &Event::default(), &Message::default()).unwrap();
        let names: Vec<_> = dispatches.iter().map(|dispatch| dispatch.endpoint.as_str()).collect();
        assert_eq!(names, ["bi", "crm"]);
    }
}
