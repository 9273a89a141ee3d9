//! Asks a receiver what its endpoint wants it asked, before the first delivery. `handshake` and `verification` say what is asked and what an answer
//! means; the gate keeps what was allowed.
//!
//! The handshake comes first, and a challenge only where it was allowed: a challenge is a POST, and nobody is to be sent one who did not agree.

use super::handshake::{self, HandshakeError};
use super::lanes::LaneKey;
use super::outcome::Failure;
use super::request::Attempted;
use super::send::Sender;
use super::tokens::Token;
use super::verification::{self, Challenge, VerificationError};
use crate::config::Endpoint;
use http::HeaderValue;

impl Sender {
    /// Asks what is to be asked, unless that was answered lately. From here on the attempt says its origin, where the endpoint has a handshake.
    pub(super) async fn ask_first(
        &self,
        lane: &LaneKey,
        endpoint: &Endpoint,
        token: Option<&Token>,
        attempted: &mut Attempted,
    ) -> Result<(), Failure> {
        let Some(asking) = &endpoint.asking else { return Ok(()) };
        if asking.handshake {
            let origin = self.origin.clone().ok_or(Failure::Handshake(HandshakeError::NoOrigin))?;
            attempted.origin = Some(origin);
        }
        if self.gates.is_open(lane, endpoint, attempted.now_ms) {
            return Ok(());
        }
        let per_min = match &attempted.origin {
            Some(origin) => self.shake_hands(lane, endpoint, token, origin).await?,
            None => None,
        };
        if asking.challenge {
            self.challenge(lane, endpoint, token, attempted).await?;
        }
        self.gates.permit(lane, endpoint, per_min, self.clock.now_ms());
        Ok(())
    }

    /// Asks whether deliveries are allowed, and says how many each minute; none for as many as there are.
    async fn shake_hands(
        &self,
        lane: &LaneKey,
        endpoint: &Endpoint,
        token: Option<&Token>,
        origin: &HeaderValue,
    ) -> Result<Option<u64>, Failure> {
        let value = token.map(|token| &token.value);
        let question = handshake::question(endpoint, origin, value).map_err(Failure::Request)?;
        let answer = self.transport.send(question).await;
        let answer = answer.map_err(|error| Failure::Handshake(HandshakeError::Send(error)))?;
        self.learn(lane, token, &answer).await;
        handshake::answer(&answer, origin).map_err(Failure::Handshake)
    }

    /// Has the receiver repeat a challenge.
    async fn challenge(
        &self,
        lane: &LaneKey,
        endpoint: &Endpoint,
        token: Option<&Token>,
        attempted: &Attempted,
    ) -> Result<(), Failure> {
        let challenge = Challenge::new(attempted.now_ms, random()?, random()?);
        let question = verification::question(endpoint, &challenge, attempted).map_err(Failure::Request)?;
        let answer = self.transport.send(question).await;
        let answer = answer.map_err(|error| Failure::Verification(VerificationError::Send(error)))?;
        self.learn(lane, token, &answer).await;
        verification::answer(&answer, &challenge).map_err(Failure::Verification)
    }
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    let filled = getrandom::fill(&mut bytes);
    filled.map_err(|error| Failure::Verification(VerificationError::Random(error.to_string())))?;
    Ok(bytes)
}
