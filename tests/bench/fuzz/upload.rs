//! Uploads: good and hostile modules, broken within a section whose length is then put right, so that the parsers get past it; with
//! sections taken out, doubled, or taken from one another.

use super::call::call;
use super::hostile::{all, flipped, good};
use super::{Random, Target, runtime};
use bytes::Bytes;
use hookswitch::runtime::Runtime;
use std::time::{Duration, Instant};

/// The largest module to begin with, in bytes: small ones are broken more often in the same time.
const SEED_BYTES_MAX: usize = 64 * 1024;
/// How long one of them may take to be refused or compiled.
const COMPILE_TIME_MAX: Duration = Duration::from_secs(10);

pub(crate) struct Uploads {
    runtime: Runtime,
    seeds: Vec<Vec<u8>>,
}

impl Uploads {
    pub(crate) fn new() -> Self {
        let hostile = all(false).into_iter().map(|guest| guest.upload).filter(|upload| upload.len() <= SEED_BYTES_MAX);
        // Good ones as often as all others together.
        let mut seeds: Vec<_> = hostile.chain(flipped(20)).collect();
        let good = [good(), wit_component::ComponentEncoder::default().module(&good()).unwrap().encode().unwrap()];
        seeds.extend(good.iter().cycle().take(seeds.len()).cloned().collect::<Vec<_>>());
        Self { runtime: runtime(), seeds }
    }
}

impl Target for Uploads {
    fn make(&mut self, random: &mut Random) -> Vec<u8> {
        let mut upload = random.of(&self.seeds).clone();
        let other = random.of(&self.seeds).clone();
        for _ in 0..=random.below(4) {
            let (mut parts, theirs) = (sections(&upload), sections(&other));
            if parts.len() < 2 || random.one_in(8) {
                random.mutate(&mut upload);
                continue;
            }
            let at = 1 + random.below(parts.len() - 1);
            match random.below(8) {
                0 => drop(parts.remove(at)),
                1 => parts.insert(at, parts[at].clone()),
                2 => parts.insert(at, random.of(&theirs).clone()),
                3 => {
                    let to = 1 + random.below(parts.len() - 1);
                    parts.swap(at, to);
                }
                _ => random.mutate(&mut parts[at].1),
            }
            upload = together(&parts);
        }
        upload
    }

    fn throw(&mut self, input: &[u8]) -> Result<&'static str, String> {
        let began = Instant::now();
        let compiled = self.runtime.compile(input);
        let took = began.elapsed();
        if took > COMPILE_TIME_MAX {
            return Err(format!("compiling took {took:?}"));
        }
        match compiled {
            Ok(module) => {
                let result = call(&module, &Bytes::from_static(b"{}"), Duration::from_millis(5));
                Ok(result.map_or_else(|error| error.code(), |_| "taken"))
            }
            Err(error) if error.to_string().contains("panic") => Err(error.to_string()),
            Err(error) => Ok(error.code()),
        }
    }
}

/// The header, as section 0 with the eight bytes it has, and the sections of the outermost module. What cannot be read is the last one.
fn sections(binary: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let (header, mut rest) = binary.split_at(binary.len().min(8));
    let mut parts = vec![(0, header.to_vec())];
    while let [id, tail @ ..] = rest {
        let (mut length, mut used) = (0_usize, 0);
        for byte in tail.iter().take(4) {
            length |= usize::from(byte & 127) << (7 * used);
            used += 1;
            if *byte < 128 {
                break;
            }
        }
        let end = (used + length).min(tail.len());
        parts.push((*id, tail[used..end].to_vec()));
        rest = &tail[end..];
    }
    parts
}

fn together(parts: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = parts[0].1.clone();
    for (id, content) in &parts[1..] {
        bytes.push(*id);
        let mut length = content.len();
        while length >= 128 {
            bytes.push(u8::try_from(length % 128 + 128).unwrap());
            length /= 128;
        }
        bytes.push(u8::try_from(length).unwrap());
        bytes.extend_from_slice(content);
    }
    bytes
}
