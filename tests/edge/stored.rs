//! What the host has taken: the events that were not there before.

use super::support::Host;

/// How many new events are looked for.
const NEW_MAX: usize = 100;

/// Tells new events from those that were there.
pub(crate) struct Stored<'a> {
    host: &'a Host,
    newest: Option<String>,
}

impl<'a> Stored<'a> {
    pub(crate) async fn of(host: &'a Host) -> Self {
        let mut stored = Self { host, newest: None };
        stored.newest = stored.ids(1).await.into_iter().next();
        stored
    }

    /// The bodies of the events that came since this was asked last, the oldest first.
    pub(crate) async fn new_bodies(&mut self) -> Vec<Vec<u8>> {
        // Nothing is new most of the time.
        if self.ids(1).await.first() == self.newest.as_ref() {
            return Vec::new();
        }
        let ids = self.ids(NEW_MAX).await;
        let new: Vec<_> = ids.iter().take_while(|id| Some(*id) != self.newest.as_ref()).cloned().collect();
        self.newest = ids.into_iter().next();
        let mut bodies = Vec::new();
        for id in new.iter().rev() {
            let answer = self.host.admin.get(&format!("/v1/tenants/acme/events/{id}/body")).await;
            assert_eq!(answer.status, 200);
            bodies.push(answer.body.to_vec());
        }
        bodies
    }

    /// The newest first.
    async fn ids(&self, most: usize) -> Vec<String> {
        let page = self.host.admin.get(&format!("/v1/tenants/acme/events?limit={most}")).await.expect(200);
        page["items"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
    }
}
