//! What a server says to TLS itself after the handshake: alerts, session tickets, changes of keys.

use rustls::{AlertDescription, ContentType, Error, InvalidMessage, PeerMisbehaved};

use super::records::{Opener, unexpected};
use super::shared::{Alert, Shared};

/// The longest message of the handshake's kind that is put together.
const LONGEST: usize = 1 << 16;

const HELLO_REQUEST: u8 = 0;
const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;

const CLOSE_NOTIFY: u8 = 0;
const USER_CANCELED: u8 = 90;
const WARNING: u8 = 1;
const FATAL: u8 = 2;

/// How often a server may do what makes us work and brings nothing.
#[derive(Debug)]
struct Patience {
    empty_records: u8,
    key_updates: u8,
    warnings: u8,
    renegotiations: u8,
}

impl Patience {
    const FULL: Self = Self { empty_records: 32, key_updates: 32, warnings: 4, renegotiations: 1 };

    fn spend(left: &mut u8, otherwise: PeerMisbehaved) -> Result<(), Error> {
        *left = left.checked_sub(1).ok_or(Error::PeerMisbehaved(otherwise))?;
        Ok(())
    }
}

/// What is known of a connection from the messages that came.
#[derive(Debug)]
pub(super) struct Messages {
    patience: Patience,
    /// The beginning of a message whose rest comes in the next record.
    begun: Vec<u8>,
}

impl Messages {
    pub(super) fn new() -> Self {
        Self { patience: Patience::FULL, begun: Vec::new() }
    }

    /// A record of the program's data came.
    pub(super) fn data(&mut self, count: usize) -> Result<(), Error> {
        if !self.begun.is_empty() {
            return Err(PeerMisbehaved::MessageInterleavedWithHandshakeMessage.into());
        }
        if count == 0 {
            return Patience::spend(&mut self.patience.empty_records, PeerMisbehaved::TooManyEmptyFragments);
        }
        self.patience.empty_records = Patience::FULL.empty_records;
        self.patience.key_updates = Patience::FULL.key_updates;
        Ok(())
    }

    /// An alert came; true when it says goodbye.
    pub(super) fn alert(&mut self, alert: &[u8], is_tls13: bool) -> Result<bool, Error> {
        let &[level, description] = alert else {
            return Err(InvalidMessage::TrailingData("AlertMessagePayload").into());
        };
        let told = Err(Error::AlertReceived(AlertDescription::from(description)));
        match (level, description) {
            (WARNING | FATAL, CLOSE_NOTIFY) => Ok(true),
            // TLS 1.3 has no warnings but this one (RFC 8446 6.1).
            (WARNING, USER_CANCELED) => self.warning().map(|()| false),
            (WARNING, _) if !is_tls13 => self.warning().map(|()| false),
            _ => told,
        }
    }

    fn warning(&mut self) -> Result<(), Error> {
        Patience::spend(&mut self.patience.warnings, PeerMisbehaved::TooManyWarningAlertsReceived)
    }

    /// A record of the handshake's kind came: the end of a message, several, the beginning of one.
    pub(super) fn handshake(
        &mut self,
        record: &[u8],
        opener: &mut Opener,
        shared: &Shared,
    ) -> Result<(), Error> {
        if record.is_empty() {
            return Err(unexpected(ContentType::Handshake));
        }
        let joined;
        let mut rest = record;
        if !self.begun.is_empty() {
            self.begun.extend_from_slice(record);
            joined = std::mem::take(&mut self.begun);
            rest = &joined;
        }
        while let Some(&[kind, high, middle, low]) = rest.first_chunk() {
            let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
            if length > LONGEST {
                return Err(InvalidMessage::HandshakePayloadTooLarge.into());
            }
            let Some((body, behind)) = rest[4..].split_at_checked(length) else { break };
            rest = behind;
            self.message(kind, body, rest.is_empty(), opener, shared)?;
        }
        self.begun = rest.to_vec();
        Ok(())
    }

    fn message(
        &mut self,
        kind: u8,
        body: &[u8],
        is_last: bool,
        opener: &mut Opener,
        shared: &Shared,
    ) -> Result<(), Error> {
        match (kind, body) {
            (NEW_SESSION_TICKET, _) if opener.is_tls13() => {
                shared.secrets().kernel.handle_new_session_ticket(body)
            }
            (KEY_UPDATE, &[wish @ (0 | 1)]) if opener.is_tls13() => {
                if !is_last {
                    // What follows under the old key may be anybody's (RFC 8446 5.1).
                    return Err(PeerMisbehaved::KeyEpochWithPendingFragment.into());
                }
                Patience::spend(&mut self.patience.key_updates, PeerMisbehaved::TooManyKeyUpdateRequests)?;
                opener.change_key(shared.secrets().kernel.update_rx_secret()?)?;
                if wish == 1 {
                    shared.owe(|secrets| secrets.key_update = true);
                }
                Ok(())
            }
            (KEY_UPDATE, _) if opener.is_tls13() => Err(InvalidMessage::InvalidKeyUpdate.into()),
            // Renegotiation. It is refused once, politely (RFC 5246 7.2.2).
            (HELLO_REQUEST, []) if !opener.is_tls13() => {
                Patience::spend(
                    &mut self.patience.renegotiations,
                    PeerMisbehaved::TooManyRenegotiationRequests,
                )?;
                let alert = Alert { is_fatal: false, description: AlertDescription::NoRenegotiation };
                shared.owe(|secrets| secrets.alert = Some(alert));
                Ok(())
            }
            _ => Err(unexpected(ContentType::Handshake)),
        }
    }
}

/// What the server is told of an error of its own; nothing, where it was the one who told us.
pub(super) fn alert_for(error: &Error) -> Option<AlertDescription> {
    match error {
        Error::AlertReceived(_) => None,
        Error::DecryptError => Some(AlertDescription::BadRecordMac),
        Error::PeerSentOversizedRecord | Error::InvalidMessage(InvalidMessage::MessageTooLarge) => {
            Some(AlertDescription::RecordOverflow)
        }
        Error::InvalidMessage(InvalidMessage::InvalidKeyUpdate) => Some(AlertDescription::IllegalParameter),
        Error::InvalidMessage(_) => Some(AlertDescription::DecodeError),
        Error::InappropriateMessage { .. } | Error::PeerMisbehaved(_) => {
            Some(AlertDescription::UnexpectedMessage)
        }
        _ => Some(AlertDescription::InternalError),
    }
}
