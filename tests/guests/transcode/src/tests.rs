//! Orders that somebody broke, a few thousand in each format: each is read or refused in words, and what is read is written and read
//! again as the same.

use super::*;

const FORMATS: [Format; 5] = [Format::Json, Format::Xml, Format::Form, Format::Msgpack, Format::Protobuf];
const BROKEN_PER_FORMAT: usize = 5_000;

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

fn order() -> Order {
    let tags = ["a b", "<c>&amp;", "é🚀", "", "]]>"].map(str::to_owned).to_vec();
    Order { id: 9_007_199_254_740_993, customer: "Zoë & \"Söhne\"\r\n".to_owned(), tags }
}

fn written(order: &Order, to: Format) -> Message {
    let json = Message::from_json(serde_json::to_vec(order).unwrap());
    let output = transcode(&Settings { to }, &Event::default(), &json).unwrap().remove(0);
    Message { content_type: output.content_type.unwrap(), body: output.body.unwrap(), ..Message::default() }
}

/// One to four changes: a byte flipped, taken out or put in, the end cut off, a piece doubled.
fn broken(body: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut broken = body.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(broken.len().max(1));
        match numbers.below(5) {
            _ if broken.is_empty() => broken.push(b'<'),
            0 => broken[at] ^= 1 << numbers.below(8),
            1 => drop(broken.remove(at)),
            2 => broken.insert(at, u8::try_from(numbers.below(256)).unwrap()),
            3 => broken.truncate(at),
            _ => broken.extend_from_within(at..),
        }
    }
    broken
}

#[test]
fn each_format_holds_an_order_as_it_is() {
    for to in FORMATS {
        assert_eq!(read(&written(&order(), to)), Ok(order()), "{to:?}");
    }
}

#[test]
fn broken_bodies_are_read_or_refused_and_never_panic() {
    let mut numbers = Numbers(1);
    for to in FORMATS {
        let good = written(&order(), to);
        let mut refused = 0;
        for _ in 0..BROKEN_PER_FORMAT {
            let message = Message { body: broken(&good.body, &mut numbers), ..good.clone() };
            match read(&message) {
                Ok(order) => {
                    // XML cannot hold every character; what it read, it can.
                    let again = written(&order, to);
                    assert_eq!(read(&again), Ok(order), "{to:?}: {:?}", message.body);
                }
                Err(failure) => {
                    refused += 1;
                    assert_eq!(failure.code, "input-invalid", "{to:?}: {:?}", message.body);
                    assert!(failure.message.len() > 20, "{to:?}: {failure:?}");
                }
            }
        }
        assert!((BROKEN_PER_FORMAT / 20..BROKEN_PER_FORMAT).contains(&refused), "{to:?}: {refused} refused");
    }
}
