//! What a simulation begins with: endpoints, their receivers, what comes in when, and when it crashes.

use super::receiver::Receiver;
use crate::deliverer::lanes::Bounds;

/// When the simulation begins.
pub(super) const BEGIN_MS: u64 = 1_674_087_000_000;
/// How long anything is broken, in milliseconds. After that everything can end.
pub(super) const TROUBLE_MS: u64 = 120_000;

/// Numbers from a seed (splitmix64).
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `most`, `most` not included.
    pub(super) const fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    /// The same, for an index.
    pub(super) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.index(all.len())]
    }
}

/// An endpoint and who is there.
#[derive(Clone, Debug)]
pub(super) struct Party {
    pub(super) name: &'static str,
    /// Its fields besides the URL, as JSON.
    pub(super) fields: String,
    pub(super) receiver: Receiver,
}

/// An event: when it comes, and what it makes: endpoint and ordering key.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    pub(super) at_ms: u64,
    pub(super) messages: Vec<(&'static str, Option<&'static str>)>,
}

/// See above.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) bounds: Bounds,
    pub(super) parties: Vec<Party>,
    pub(super) arrivals: Vec<Arrival>,
    pub(super) crashes_ms: Vec<u64>,
    /// When somebody enables an endpoint or cancels a delivery.
    pub(super) hands_ms: Vec<u64>,
    /// Whether reads of the store fail, and hints get lost, now and then.
    pub(super) mishaps: bool,
}

impl Setup {
    /// Anything.
    pub(super) fn random(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let receivers = [
            ("well", Receiver::Well { latency_ms_max: 1 + random.below(200) }),
            ("busy", Receiver::Busy { per_s: 1 + random.index(10), taken_ms: Vec::new() }),
            ("sick", Receiver::Sick { from_ms: at(&mut random), until_ms: at(&mut random) }),
            ("flaky", Receiver::Flaky { percent: random.below(100), until_ms: BEGIN_MS + TROUBLE_MS }),
            ("gone", Receiver::Gone { from_ms: at(&mut random), until_ms: at(&mut random) }),
        ];
        let parties = receivers.map(|(name, receiver)| Party { name, fields: fields(&mut random), receiver });
        let mut arrivals: Vec<_> = (0..10 + random.below(30)).map(|_| arrival(&mut random)).collect();
        arrivals.sort_by_key(|arrival| arrival.at_ms);
        let crashes_ms = (0..random.below(4)).map(|_| at(&mut random)).collect();
        let hands_ms = (0..random.below(20)).map(|_| at(&mut random)).collect();
        let bounds =
            Bounds { in_flight_max: 2 + random.index(30), lane_ready_max: 1 + random.index(8), failure_rest_ms: 50 };
        Self { bounds, parties: parties.into(), arrivals, crashes_ms, hands_ms, mishaps: true }
    }

    /// Steady traffic to an endpoint that is well; beside it, if wanted, a backlog for one that hangs. Both may have more in flight than there
    /// is room for, so that nothing but the lanes' shares keeps the one from the other.
    pub(super) fn good_lane(beside_a_dead_one: bool) -> Self {
        let party = |name, receiver| Party {
            name,
            fields: r#""hold_after": 0, "concurrency_max": 100, "retry": {"schedule_s": [0]}"#.to_owned(),
            receiver,
        };
        let parties = vec![party("good", Receiver::Well { latency_ms_max: 40 }), party("dead", Receiver::Hangs)];
        let message = |at_ms, endpoint| Arrival { at_ms: BEGIN_MS + at_ms, messages: vec![(endpoint, None)] };
        let mut arrivals: Vec<_> = (0..500).map(|n| message(n * 10, "good")).collect();
        if beside_a_dead_one {
            arrivals.extend((0..200).map(|n| message(n, "dead")));
            arrivals.sort_by_key(|arrival| arrival.at_ms);
        }
        let bounds = Bounds { in_flight_max: 32, lane_ready_max: 16, failure_rest_ms: 50 };
        Self { bounds, parties, arrivals, crashes_ms: Vec::new(), hands_ms: Vec::new(), mishaps: false }
    }
}

fn at(random: &mut Random) -> u64 {
    BEGIN_MS + random.below(TROUBLE_MS)
}

fn fields(random: &mut Random) -> String {
    let rate = random.one_of(&["", r#""rate_per_s": 1,"#, r#""rate_per_s": 7,"#, r#""rate_per_s": 50,"#]);
    let ordering = random.one_of(&["none", "key"]);
    let hold_after = random.one_of(&[0, 1, 3, 10]);
    let disable_after_s = random.one_of(&[0, 60]);
    let concurrency_max = random.one_of(&[1, 3, 16]);
    format!(
        r#"{rate} "ordering": "{ordering}", "hold_after": {hold_after}, "disable_after_s": {disable_after_s},
           "concurrency_max": {concurrency_max}, "retry": {{"schedule_s": [0, 1, 2, 5, 10, 30]}}"#
    )
}

fn arrival(random: &mut Random) -> Arrival {
    // Some at once, some spread out.
    let at_ms = if random.below(2) == 0 { BEGIN_MS + random.below(1000) } else { at(random) };
    let message = |random: &mut Random| {
        let endpoint = random.one_of(&["well", "busy", "sick", "flaky", "gone"]);
        (endpoint, random.one_of(&[None, Some("a"), Some("a"), Some("b")]))
    };
    Arrival { at_ms, messages: (0..1 + random.below(6)).map(|_| message(random)).collect() }
}
